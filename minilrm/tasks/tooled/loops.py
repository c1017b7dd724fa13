r"""loops: what a small program ends with, whose loop turns too often to be traced by hand.

    Question: What is x at the end?            Answer:
    1 x = 7                                    <tool:code>
    2 for i in range(40):                      x = 7
    3     x += i                               for i in range(40):
                                                   x += i
                                               print(x)
                                               </tool><result>787</result>
                                               #### 787

The programs are those of the task `program` (its language, its interpreter, its traces), short ones
with loops of 2 to 60 turns. Where the loop turns two or three times, the trace is as short as the
call. `ood` has loops of 61 to 90 turns.
"""

import random
import re
from dataclasses import replace

from minilrm.tasks.base import TOOL_STYLE, Problem, split_of
from minilrm.tasks.program.drafts import Draft, Kind
from minilrm.tasks.program.interpreter import Run, execute
from minilrm.tasks.program.language import ProgramError, functions_of, parse
from minilrm.tasks.program.solutions import LONGEST_TRACE, trace, write_solution
from minilrm.tasks.program.task import Program, choose_name, pose
from minilrm.tasks.tooled.task import ToolTask, call, worked, wrong_number

TURNS = {1: (2, 3), 2: (4, 9), 3: (10, 60)}  # of the loop, by level
TURNS_BEYOND = (61, 90)
LONGEST_PROGRAM = 90  # characters
LARGEST = 99_999  # of the answer
STEP = re.compile(r"[0-9]+: ")


class Loops(ToolTask):
    """Programs of three to five statements with a loop. The level says how often it turns."""

    name = "loops"
    tools = ("code",)
    max_new_tokens = 192
    levels = {level: f"{low} to {high} turns" for level, (low, high) in TURNS.items()}

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        self.check(split)
        level = 3 if split == "ood" else rng.choice(list(TURNS))
        turns = TURNS_BEYOND if split == "ood" else TURNS[level]
        while True:
            found = drawn(rng, turns)
            if found is None:
                continue
            text, name = found
            if split in ("ood", split_of(f"loops:{text}")):
                problem = pose(text, "value", name)
                meta = {**problem.meta, "level": level}
                return replace(problem, task=self.name, key=f"loops:{text}", meta=meta)

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """By a trace where it is short enough; else by the answer alone, or by running the
        program."""
        self.check(style=style)
        program, name = problem.meta["program"], problem.meta["name"]
        tree = parse(program)
        steps = trace(execute(tree))
        short = len(steps) <= LONGEST_TRACE
        if style == TOOL_STYLE:
            ran = call("code", f"\n{program}\nprint({name})\n", problem.answer)
            before = rng.choice(([], [], begun(steps), [steps] if short else []))
            return worked([*before, ran], problem.answer)
        if short and style != "reflex":
            return write_solution(tree, "value", name, rng, style)
        careless = style == "careless"
        return worked([], wrong_number(problem.answer, rng) if careless else problem.answer)

    def question(self, text: str, language: str | None = None) -> Problem:
        """A user's own program, as `program` reads it."""
        problem = Program().question(text, language)
        return replace(problem, task=self.name, meta={**problem.meta, "level": max(TURNS)})

    def thinks(self, completion: str) -> bool:
        """Whether a call, or a step of a trace, stands before the answer."""
        working = completion.partition(self.mark)[0]
        return super().thinks(completion) or any(map(STEP.match, working.split("\n")))


def drawn(rng: random.Random, turns: tuple[int, int]) -> tuple[str, str] | None:
    """A program whose loop turns so often, and the name to ask for; None if the draft is no
    such."""
    statements = rng.choice((3, 3, 4, 5))
    text = Draft(rng, Kind(statements=statements, deepest=2, turns=turns)).write()
    if len(text) > LONGEST_PROGRAM or "[" in text or "{" in text:
        return None
    tree = parse(text)
    if functions_of(tree):
        return None
    try:
        run = execute(tree)
    except ProgramError:
        return None
    if run.crash or not turns[0] <= run.turns <= turns[1]:
        return None
    name = choose_name(tree, run, rng)
    if not name or not worth_asking(text, run, name):
        return None
    return text, name


def worth_asking(text: str, run: Run, name: str) -> bool:
    """Whether a name is worked out of itself turn by turn, has taken at least three values, and
    ends with a number of few digits."""
    if not re.search(rf" {name} ([-+*]=|= {name}\b|= .* {name}$)", text, re.MULTILINE):
        return False
    values = {step.text for step in run.steps if step.text.startswith(f"{name} = ")}
    value = run.names[name]
    return len(values) >= 3 and isinstance(value, int) and abs(value) <= LARGEST


def begun(steps: str) -> list[str]:
    """The first line of a trace, for someone who begins by hand and then runs the program."""
    return steps.split("\n")[:1]
