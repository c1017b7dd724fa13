r"""program: trace a small program, and say what it ends with, or where and why it stops.

    Question: What is y at the end?            Answer:
    1 def f(p):                                3: x = 6
    2     return p * 2                         4: 6 > 5 True
    3 x = 6                                    5: f(6)
    4 if x > 5:                                2: return <<6*2=12>>12
    5     y = f(x)                             5: y = 12
                                               #### 12

Three questions: a value at the end; the line that crashes, and why (none, zero, index, key); and,
given the stack trace, which line made the None, the zero, the index or the key that the program
stopped on. The last one needs the way that the run took, for a value is handed through names and
arguments that did not make it.

A program is text in a small language that looks like Python (`language.py`), run by an interpreter
of our own (`interpreter.py`). The split is by its shape, which has no names, numbers or operators:
no program of the test split has the shape of one that training shows.
"""

import ast
import itertools
import random
import re
import zlib
from dataclasses import replace

from minilrm.errors import UserError
from minilrm.tasks.base import SOLUTION_STYLES, SPLITS, Grade, Problem, Task, split_of
from minilrm.tasks.program import solutions
from minilrm.tasks.program.drafts import Draft
from minilrm.tasks.program.interpreter import Run, execute
from minilrm.tasks.program.ladder import LADDER, Rung
from minilrm.tasks.program.language import (
    ProgramError,
    calls,
    calls_in_loops,
    count_statements,
    depth,
    drop_numbers,
    functions_of,
    number_lines,
    parse,
    shape,
)
from minilrm.tasks.program.solutions import CALLED, REASONS, answer_of, canonical, traceback

SHARES = {"value": 0.6, "crash": 0.2, "blame": 0.2}  # of the questions
PATIENCE = 400  # drafts of one length
LONGEST_TEXT = 240  # characters of a program, and of its trace: with both, 400 tokens suffice
LONGEST_BOTH = 380
HOW_TO_ASK = (
    'a program is asked like this: "What is x at the end?" or "Which line crashes, and why?", and '
    "the program on the lines below"
)


class Program(Task):
    """Programs of 4 to 10 statements: assignments, branches, loops, lists, dicts, calls."""

    name = "program"
    base = "reasoning-base"
    max_new_tokens = 288
    corpus = "solved"
    repeats = True  # a shape may come again with other numbers
    rungs = {name: rung.meaning for name, rung in LADDER.items()}

    # -- problems ----------------------------------------------------------------------------------

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        if split not in SPLITS:
            raise UserError(f"program has no split {split!r}; there are: {', '.join(SPLITS)}")
        if split == "ood":
            return self.sample_rung(rng, rng.choice([r for r in LADDER if "structures" not in r]))
        return self.draw(rng, Rung("", split))

    def sample_rung(self, rng: random.Random, rung: str, split: str = "test") -> Problem:
        """A problem of one rung of the ladder; a new structure is one of that split."""
        chosen = LADDER[rung]
        problem = self.draw(rng, replace(chosen, split=split) if chosen.split == "test" else chosen)
        problem.meta["ood"] = rung
        return problem

    def draw(self, rng: random.Random, rung: Rung) -> Problem:
        """Drafts are drawn until one does what is asked for."""
        question = rng.choices(list(SHARES), list(SHARES.values()))[0]
        reason = "" if question == "value" else rng.choice(list(REASONS))
        length = 0
        for tries in itertools.count():
            if tries % PATIENCE == 0:  # a length may have no such program
                length = rng.choice(rung.lengths)
            kind = replace(rung.kind, statements=length, danger=reason)
            text = Draft(rng, kind).write()
            tree = parse(text)
            run = fitting_run(text, tree, rung)
            if run is None or (run.crash.reason if run.crash else "") != reason:
                continue
            name = choose_name(tree, run, rng) if question == "value" else ""
            if (question == "value" and not name) or answer_of(question, run, name) is None:
                continue
            return pose(text, question, name)
        raise AssertionError("drafts do not end")

    def question(self, text: str, language: str | None = None) -> Problem:
        """A user's own program: the question on the first line, the program on the lines below it,
        with line numbers or without. UserError if it is not in the small language."""
        asked, _, rest = text.strip("\n").replace("\t", "    ").partition("\n")
        lines = [line.rstrip() for line in rest.split("\n") if line.strip()]
        told = [line for line in lines if line.startswith("Traceback:")]
        program = drop_numbers("\n".join(line for line in lines if line not in told))
        named = re.search(r"what is (\w+)", asked, re.IGNORECASE)
        words = {"crash": "crash", "blame": "made"}
        question = next((q for q, word in words.items() if word in asked.lower()), "")
        question = question or ("value" if named else "")
        if not question:
            raise UserError(HOW_TO_ASK)
        try:
            return pose(program, question, named[1] if named else "")
        except ProgramError as error:
            raise UserError(f"{error}; {HOW_TO_ASK}") from error

    # -- solutions ---------------------------------------------------------------------------------

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        meta = problem.meta
        tree = parse(meta["program"])
        return solutions.write_solution(tree, meta["question"], meta["name"], rng, style)

    def grade(self, problem: Problem, completion: str) -> Grade:
        return solutions.grade(problem.answer, completion)

    def step_labels(self, problem: Problem, completion: str) -> list[bool]:
        return solutions.step_labels(parse(problem.meta["program"]), problem.answer, completion)

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        return None if answer is None else solutions.same_kind(problem.answer, answer)

    def thinks(self, completion: str) -> bool:
        """Whether at least one step stands before the answer."""
        working = completion.partition(self.mark)[0]
        return any(solutions.STEP.match(line) for line in working.split("\n"))

    @classmethod
    def runs_on(cls, text: str) -> bool:
        found = cls.answers_in(text)
        after = bool(cls.after_answer(text).strip())
        return bool(found) and (after or canonical(found[0]) is None)


def fitting_run(text: str, tree: ast.Module, rung: Rung) -> Run | None:
    """The run of a draft, if draft and run are what the rung asks for."""
    kind = rung.kind
    if count_statements(tree) not in rung.lengths or len(text) > LONGEST_TEXT:
        return None
    if not rung.deepest[0] <= depth(tree.body) <= rung.deepest[1]:
        return None
    functions = functions_of(tree)
    if calls(tree, functions) != functions or (kind.functions_last and not functions):
        return None
    if calls_in_loops(tree) != kind.calls_in_loops:
        return None
    if split_of_shape(key_of(tree), rung.unseen) != rung.split:
        return None
    try:
        run = execute(tree)
    except ProgramError:
        return None
    trace = solutions.trace(run)
    if len(trace) > solutions.LONGEST_TRACE or len(text) + len(trace) > LONGEST_BOTH:
        return None
    if not rung.steps[0] <= len(run.steps) <= rung.steps[1]:
        return None
    if run.nested < 2 * kind.chain + kind.calls_in_loops:
        return None
    largest = max(abs(int(number)) for number in re.findall(r"[0-9]+", trace))
    if not rung.largest[0] <= largest <= rung.largest[1]:
        return None
    return run if rung.turns[0] <= run.turns <= rung.turns[1] else None


def split_of_shape(key: str, unseen: bool) -> str:
    """The split of a shape; those that training never has are halved between the two others."""
    if not unseen:
        return split_of(key)
    return "test" if zlib.crc32(key.encode()) % 2 else "validation"


def key_of(tree: ast.Module) -> str:
    return f"program:{shape(tree)}"


def choose_name(tree: ast.Module, run: Run, rng: random.Random) -> str:
    """A name that is worth asking for: one that was not set once and for all to a constant; mostly
    one that was set more than once. That of a loop is no riddle."""
    loops = [ast.unparse(node.target) for node in ast.walk(tree) if isinstance(node, ast.For)]
    times = {
        name: sum(step.text.startswith(f"{name} = ") for step in run.steps)
        for name, value in run.names.items()
        if not isinstance(value, (dict, str)) and name not in loops
    }
    worth = [name for name, count in times.items() if count > 1]
    worth += [
        name
        for name, count in times.items()
        if count == 1 and any(step.text.startswith(f"{name} = <<") for step in run.steps)
    ]
    return rng.choice(worth) if worth else ""


def pose(program: str, question: str, name: str) -> Problem:
    """The problem of a program. ProgramError if it has no answer.

    >>> problem = pose("x = 3\\nx += 4", "value", "x")
    >>> print(problem.prompt, problem.answer, problem.key, sep="\\n")
    What is x at the end?
    1 x = 3
    2 x += 4
    7
    program:set(#) change(#)
    """
    tree = parse(program)
    run = execute(tree)
    answer = answer_of(question, run, name)
    if answer is None:
        where = f"stops in line {run.crash.line}" if run.crash else "runs to its end"
        raise ProgramError(f"this program {where}, and so has no answer to that question")
    lines = number_lines(program)
    if question == "value":
        prompt = f"What is {name} at the end?\n{lines}"
    elif question == "crash":
        prompt = f"Which line crashes, and why?\n{lines}"
    else:
        assert run.crash is not None
        prompt = f"Which line made the {CALLED[run.crash.reason]}?\n{lines}\n{traceback(run)}"
    meta = {"program": program, "question": question, "name": name}
    return Problem("program", prompt, answer, key_of(tree), len(run.steps), meta)
