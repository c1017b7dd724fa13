r"""What a task is: a supply of problems, one way to write a prompt, model solutions, and an exact
grader.

The way of the data starts here: `Task -> Problem -> prompt`, and ends here: `completion -> grade`.
All that is special to a task stands in its class, so that a new task is one file. The smallest has
a name, `sample` and `solution`; all else has a default, and the defaults follow GSM8K's convention:
the answer is a number on the last line, behind `####`.

    class Largest(Task):
        name = "largest"

        def sample(self, rng, split="train"):
            while True:
                numbers = [rng.randint(1, 99) for _ in range(3)]
                key = "largest:" + "-".join(map(str, sorted(numbers)))
                if split in ("ood", split_of(key)):
                    asked = "Which is the largest of " + ", ".join(map(str, numbers)) + "?"
                    return Problem(self.name, asked, str(max(numbers)), key)

        def solution(self, problem, rng, style="steps"):
            return f" #### {problem.answer}"

    register(Largest)        # of minilrm.tasks: now every command knows it

`tests/test_new_task.py` takes a task like this one through every command.
"""

import json
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

from minilrm import machine
from minilrm.errors import UserError
from minilrm.tasks import answers
from minilrm.tasks.calculator import number
from minilrm.tasks.frames import SEPARATOR, guess_language, render_frame
from minilrm.tasks.problem import (
    PROMPT_STYLES,
    SOLUTION_STYLES,
    SPLITS,
    TOOL_STYLE,
    Grade,
    PlanMarks,
    Problem,
    problem_rng,
    split_of,
)

__all__ = [
    "PROMPT_STYLES",
    "SOLUTION_STYLES",
    "SPLITS",
    "TOOL_STYLE",
    "Grade",
    "PlanMarks",
    "Problem",
    "Task",
    "problem_rng",
    "split_of",
]


PATIENCE = 3000  # problems drawn in a row of which none is new: there are no more


class Encoder(Protocol):
    """A tokenizer, as far as a task needs to know one."""

    def encode(self, text: str, allow_special: bool = False) -> list[int]: ...

    def encode_prompt(self, text: str, allow_special: bool = False) -> list[int]: ...


class Task:
    """The interface of every task. A task holds no state but its options."""

    name: str = ""
    #: the tokens that a completion may need; training and evaluation use it unless told otherwise
    max_new_tokens: int = 128
    #: the characters that end a step of a completion: a search goes on from there
    step_ends: str = "\n"
    #: what announces the answer in a completion; "": nothing does, all of it is the answer
    mark: str = answers.MARK
    #: how an answer is read as a number: strictly, or as larger models write it (`answers.py`)
    read_number = staticmethod(number)
    #: what a solved question ends with in a document of several; few-shot sampling stops there
    separator: str = SEPARATOR
    #: whether "<answer>" and its like in the task's own texts stand for special tokens
    special_tokens: bool = False
    #: the styles in which it writes solutions
    styles: tuple[str, ...] = SOLUTION_STYLES
    #: the tools that its solutions call in the style "tool"
    tools: tuple[str, ...] = ()

    #: the shipped checkpoint to start from, one that has read problems of this kind
    base: str | None = None
    #: what a base for this task reads: its own "solved" problems, "attempts" or the "web" (see
    #: `corpus.corpus_of`)
    corpus: str = "solved"
    #: style -> its share of those "solved" pages; the corpus's own (`solved.STYLES`) if none
    pages: ClassVar[Mapping[str, float]] = {}
    #: the task whose word problems that web is full of
    web_of: str = "gsm8k-mini"
    #: the tasks that this one is made of -> their shares of its problems (see `mixture.py`)
    parts: ClassVar[Mapping[str, float]] = {}
    #: options of reinforcement learning that this task wants otherwise than the defaults
    recipe: ClassVar[Mapping[str, Any]] = {}

    #: whether the problems are those of a file that the user names (the option `data`)
    reads_file: bool = False
    #: split -> the options with which its file, data/<name>/<split>.jsonl, was made
    shipped: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    #: whether a fixed set may hold a problem twice, since there are so few
    repeats: bool = False

    #: rung -> what it varies, where the task measures how far reasoning carries (`--ladder`)
    rungs: ClassVar[Mapping[str, str]] = {}

    # -- problems ----------------------------------------------------------------------------------

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        """A random problem of a split (`train`, `validation`, `test`, `ood`)."""
        raise NotImplementedError

    def drill(self, rng: random.Random, split: str) -> Problem:
        """A problem whose single steps are worth learning as bare sums; the web has pages of
        these."""
        return self.sample(rng, split)

    def reword(self, problem: Problem, rng: random.Random) -> Problem:
        """The same sum in other words (same key, same answer); tasks without wordings return it
        unchanged."""
        return problem

    def question(self, text: str, language: str | None = None) -> Problem:
        """A user's own question, as a problem without a known answer. UserError if the task cannot
        be asked this.

        language: "en" or "es"; seen from the words if None. Line breaks become spaces, as in
        training.
        """
        text = " ".join(text.split())
        return Problem(self.name, text, "", "", meta={"language": language or guess_language(text)})

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """A fixed set of `n` problems of a split, in a fixed order: the first of the shipped file,
        if the split has one for these options and it holds so many; else `make`."""
        file = self.shipped_file(split) if seed == 0 else None
        found = self.read_shipped(file) if file else []
        return found[:n] if file and len(found) >= n else self.make(split, n, seed)

    def rung_problems(self, rung: str, n: int, split: str = "test") -> list[Problem]:
        """A fixed set of `n` problems of a rung of the ladder, for final figures (`test`) or for
        tuning (`validation`)."""
        rngs = (problem_rng(0, i, f"{self.name}/ladder/{rung}/{split}") for i in range(n))
        return [self.sample_rung(rng, rung, split) for rng in rngs]

    def sample_rung(self, rng: random.Random, rung: str, split: str = "test") -> Problem:
        """A random problem of a rung; what the rung leaves open is as in that split."""
        raise NotImplementedError

    def make(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """`n` problems made anew: problem i comes from (seed, i) alone, and none comes twice (but
        see `repeats`). UserError if there are not so many."""
        found: dict[object, Problem] = {}
        index, last = 0, 0  # the problem to draw, and the last one that was new
        while len(found) < n:
            # A problem that has been found is drawn again and again; the more are found, the longer
            # it takes to draw one of the few that are left.
            if index - last > PATIENCE + 20 * len(found):
                raise UserError(
                    f"{self.name} finds only {len(found)} different {split} problems, not {n}: ask "
                    "for fewer, or give it options that leave more"
                )
            problem = self.sample(problem_rng(seed, index, f"{self.name}/{split}"), split)
            key = index if self.repeats else problem.key
            if key not in found:
                found[key], last = problem, index
            index += 1
        return list(found.values())

    # -- texts -------------------------------------------------------------------------------------

    def render(
        self,
        problem: Problem,
        style: str = "plain",
        examples: tuple[tuple[Problem, str], ...] = (),
    ) -> str:
        """The prompt text. This is the only place that writes one.

        `plain` asks; `cot` asks and begins the answer with "Let's think step by step."; `few_shot`
        puts solved `examples` (pairs of problem and solution text) before it.
        """
        return render_frame(problem, style, examples)

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """A model completion for the `plain` prompt, in one of its `styles`, its leading space or
        newline included. A task with one way to answer may give it whatever the style."""
        raise NotImplementedError

    def posted(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """A solution as people write it on a forum, in the documents of a base: with their bad
        habits, where the task has some."""
        return self.solution(problem, rng, style)

    def encode(self, tokenizer: Encoder, text: str) -> list[int]:
        """The ids of a text that the task itself wrote (prompt, solved examples, solution), as its
        base has read them: tags such as <answer> are special tokens where `special_tokens` says so.

        What a user wrote goes through `tokenizer.encode`, which never makes a special token.
        """
        return tokenizer.encode(text, allow_special=self.special_tokens)

    def encode_prompt(self, tokenizer: Encoder, text: str) -> list[int]:
        """`encode` of what a model goes on from; a tokenizer that chats puts it as the user's
        turn."""
        return tokenizer.encode_prompt(text, allow_special=self.special_tokens)

    # -- judging -----------------------------------------------------------------------------------

    def grade(self, problem: Problem, completion: str) -> Grade:
        """Judge a completion. Total: any string gets a Grade, nothing raises, nothing is evaluated
        as code."""
        return answers.grade_final(problem.answer, completion, self.read_number)

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        """Answers that count as one vote share a key ("12" and "12.0"); None abstains."""
        return answers.vote_key(answer, self.read_number)

    def thinks(self, completion: str) -> bool:
        """Whether the completion works towards its answer instead of blurting it out."""
        return answers.thinks(completion)

    def step_labels(self, problem: Problem, completion: str) -> list[bool]:
        """For each step of a completion (what ends with one of `step_ends`, or with the text):
        whether the right answer can still be reached after it. Exact. UserError where a task cannot
        tell."""
        raise UserError(f"the task {self.name} does not judge single steps")

    def level(self, problem: Problem) -> int:
        """How hard a problem is, in few levels: who calls a tool when is counted by them."""
        return problem.difficulty

    def database(self, problem: Problem) -> Path | None:
        """The SQLite file that the question refers to; None: it refers to none."""
        return None

    def made_up(self, problem: Problem, completion: str) -> bool | None:
        """Whether the answer is a fact that stands neither in the question nor where it could be
        looked up. None: nothing was to be looked up, or nothing was answered."""
        return None

    def plan_marks(self, problem: Problem) -> PlanMarks | None:
        """What the parts of a planned and checked solution begin with; None: there are none."""
        return None

    def gives_up(self, completion: str) -> bool:
        """Whether a completion has just rejected what it tried, so that a search goes on
        elsewhere."""
        return False

    # Reading needs no options, so it is the class that reads: the doctor has a run's transcripts,
    # and perhaps no longer its data.

    @classmethod
    def answers_in(cls, text: str) -> list[str]:
        """All answers of a text, right or wrong, in order."""
        return answers.extract(text)

    @classmethod
    def read_answer(cls, text: str) -> str | None:
        """The answer of a completion to a question whose right answer nobody knows. As in grading,
        two answers are none."""
        found = cls.answers_in(text)
        return found[0] if len(found) == 1 and found[0] else None

    @classmethod
    def after_answer(cls, text: str) -> str:
        """What stands behind the first answer, where nothing should."""
        return answers.after_answer(text)

    @classmethod
    def runs_on(cls, text: str) -> bool:
        """Whether a text goes on after its answer: on other lines, or on the same one, where it
        should have ended."""
        found = cls.answers_in(text)
        return bool(found) and (
            bool(cls.after_answer(text).strip()) or cls.read_number(found[0]) is None
        )

    @classmethod
    def no_split(cls, split: str) -> UserError:
        """What to say of a split that there is not."""
        return UserError(f"{cls.name} has no split {split!r}; there are: {', '.join(SPLITS)}")

    # -- the shipped files -------------------------------------------------------------------------

    def to_record(self, problem: Problem) -> dict[str, Any]:
        """A problem as a line of a shipped file."""
        return asdict(problem)

    def from_record(self, record: dict[str, Any]) -> Problem:
        """`to_record` backwards. ValueError, KeyError, TypeError or ArithmeticError if the record
        is no problem as the task poses them now."""
        return Problem(**record)

    def shipped_file(self, split: str) -> Path | None:
        """The file of a split that comes with the project (`scripts/make_data.py` made it); None if
        there is none, or if this task has other options than the file."""
        options = self.shipped.get(split)
        if options is None or any(getattr(self, key) != value for key, value in options.items()):
            return None
        with suppress(UserError):  # no data folder, no file
            path = machine.data_folder() / self.name / f"{split}.jsonl"
            return path if path.is_file() else None
        return None

    def read_shipped(self, path: Path) -> list[Problem]:
        """The problems of a shipped file. UserError if a line of it is damaged."""
        found = []
        for row, line in enumerate(path.read_bytes().splitlines(), 1):
            try:
                found.append(self.from_record(json.loads(line)))
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                raise UserError(
                    f"{path}, line {row}: no problem as {self.name} poses them now ({error!r}); "
                    f"make the file anew: python scripts/make_data.py --task {self.name}"
                ) from error
        return found
