r"""Tasks of the package `reasoning-gym` (2505.24760), by name: `--task gym:leg_counting`.

    pip install -e ".[gym]"
    python -m minilrm.sft --task gym:chain_sum
    python -m minilrm.evaluate --task gym:chain_sum --checkpoint RUN

The package makes problems and judges answers; what we add is our form: the answer is all that
stands behind `####`, and an answer is right if the package gives it its full score.

**Splits.** In the package, item i of the set of seed s is, mostly, item 0 of the set of seed s + i,
so sets of neighbouring seeds hold the same problems. Here each split has a set of its own, and
their seeds lie further apart than a set is long. Beyond that a question belongs to the split that
the hash of its text says (`split_of`), since small tasks ask the same question again.

**Scorers.** Some scorers evaluate an answer as Python code. What a model writes is never evaluated
here, so these tasks are refused (`REFUSED`), and so is any whose scorer calls such a function in
another version of the package, itself or through functions of the package. A scorer that raises
says "wrong"; one that works on a number with a huge exponent would never end, so such answers are
wrong unseen.
"""

import ast
import difflib
import functools
import hashlib
import importlib
import inspect
import random
import re
import textwrap
from typing import Any, ClassVar

from minilrm.errors import UserError
from minilrm.tasks.answers import MARK
from minilrm.tasks.base import Grade, Problem, Task, split_of
from minilrm.tasks.calculator import format_number, number

PREFIX = "gym:"
SIZE = 10_000  # problems of a split before the hash takes its share
APART = 1_000_000  # the seeds of two splits
SPLIT_SEEDS = {"train": 0, "validation": APART, "test": 2 * APART}
LONGEST_ANSWER = 4000  # characters
FULL = 0.999  # the score of a right answer
HUGE = re.compile(r"[eE][+-]?[\d_]{4,}")  # 1e9999: text that a scorer may write out

EVALUATES = "its scorer evaluates the answer as Python code"
PARSES = "its scorer gives the answer to sympy's parser, which evaluates it as Python code"
#: name -> why a model's text may not get there
REFUSED = {
    "binary_matrix": EVALUATES,
    "n_queens": EVALUATES,
    "spiral_matrix": EVALUATES,
    "string_insertion": EVALUATES,
    "countdown": PARSES + "; our own task countdown asks the same",
    "puzzle24": PARSES,
    "intermediate_integration": PARSES,
    "polynomial_multiplication": PARSES,
    "simple_integration": PARSES,
    "composite": "it is made of other tasks; name one of those",
}
DANGEROUS = {"eval", "exec", "compile", "__import__", "parse_expr", "sympify", "literal_eval"}
#: read by hand: what it evaluates is the package's own answer, never a model's
READ_BY_HAND = {"number_sorting", "bitwise_arithmetic"}


@functools.cache
def gym_task(name: str) -> type[Task]:
    """The class of the task "gym:NAME". UserError where the package is missing or has no such task,
    or where its scorer may not be used."""
    short = name.removeprefix(PREFIX)
    if short in REFUSED:
        raise UserError(f"{name} is refused: {REFUSED[short]}")
    known = package().factory.DATASETS
    if short not in known:
        near = difflib.get_close_matches(short, known, n=1)
        hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        raise UserError(f"reasoning-gym has no task {short!r}{hint}")
    called = calls_of(known[short][0].score_answer) & DANGEROUS
    if called and short not in READ_BY_HAND:
        raise UserError(f"{name} is refused: its scorer calls {', '.join(sorted(called))}()")
    return type("Gym", (GymTask,), {"name": name, "short": short})


@functools.cache
def package() -> Any:
    """The package. UserError where it is not installed."""
    try:
        importlib.import_module("reasoning_gym.factory")
        return importlib.import_module("reasoning_gym")
    except ImportError as error:
        raise UserError(
            'tasks called gym:NAME need the package reasoning-gym: pip install -e ".[gym]"'
        ) from error


def calls_of(scorer: Any) -> set[str]:
    """The names of all functions that a scorer calls, itself or through the package's own functions
    and methods; of one whose source cannot be read, all dangerous ones."""
    owner, found = inspect.getmodule(scorer), set[str]()
    waiting, seen = [scorer], set[Any]()
    while waiting:
        function = waiting.pop()
        if function in seen:
            continue
        seen.add(function)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        except (OSError, TypeError, SyntaxError):
            return found | DANGEROUS
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                name = called_name(node.func)
                found.add(name)
                waiting += within(owner, scorer, name)
    return found


def called_name(called: ast.expr) -> str:
    """What a call names; a method `compile` (as in `re.compile`) is not the builtin function."""
    if isinstance(called, ast.Attribute):
        return "" if called.attr == "compile" else called.attr
    return called.id if isinstance(called, ast.Name) else ""


def within(owner: Any, scorer: Any, name: str) -> list[Any]:
    """The functions of that name that a scorer may mean, of its module and of its class; those of
    other libraries are not looked into."""
    holder = getattr(owner, scorer.__qualname__.split(".")[0], None)
    places = (getattr(owner, name, None), getattr(holder, name, None))
    ours = scorer.__module__.split(".")[0]
    return [f for f in places if inspect.isfunction(f) and f.__module__.split(".")[0] == ours]


@functools.cache
def data_set(short: str, split: str) -> Any:
    """The package's set of a split. Some take seconds to make."""
    return package().create_dataset(short, seed=SPLIT_SEEDS[split], size=SIZE)


@functools.lru_cache(maxsize=20_000)
def entry_of(short: str, split: str, item: int) -> dict[str, Any]:
    """A problem as the package writes it; what it is made of need not survive JSON, its number
    does."""
    return data_set(short, split)[item]


class GymTask(Task):
    """One task of the package. `short`: its name there."""

    short: ClassVar[str]
    max_new_tokens = 128
    base = "gsm8k-mini-base"

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        if split not in SPLIT_SEEDS:
            raise UserError(f"{self.name} has no problems in the split {split!r}")
        for _ in range(1000):
            item = rng.randrange(SIZE)
            entry = entry_of(self.short, split, item)
            question, answer = str(entry["question"]).strip(), entry["answer"]
            key = f"{self.name}:{hashlib.sha256(question.encode()).hexdigest()[:16]}"
            if split_of(key) == split:
                meta = {"split": split, "item": item, "known": answer is not None}
                right = "" if answer is None else str(answer).strip()
                return Problem(self.name, question, right, key, meta=meta)
        raise UserError(f"{self.name} asks too few different questions for the split {split!r}")

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """The answer at once, whatever the style: the package tells no steps. `careless`: that of
        another problem."""
        if not problem.meta["known"]:
            raise UserError(
                f"{self.name} tells no right answer, it only judges: it can be evaluated, and "
                "learnt by rewards (grpo), not from solutions"
            )
        if style != "careless":
            return f" {MARK} {problem.answer}"
        for _ in range(100):
            other = self.sample(rng, problem.meta["split"]).answer
            if not self.grade(problem, f" {MARK} {other}").correct:
                return f" {MARK} {other}"
        return f" {MARK} ?"

    def grade(self, problem: Problem, completion: str) -> Grade:
        found = self.answers_in(completion)
        answer = self.read_answer(completion)
        if answer is None:
            return Grade(False, False, None, "two answers" if len(found) > 1 else "no answer")
        right = self.score(problem, answer) >= FULL
        return Grade(right, True, answer, "right" if right else "wrong answer")

    def score(self, problem: Problem, answer: str) -> float:
        """The package's own score of an answer, in [0, 1]; 0 for what its scorer cannot read."""
        if len(answer) > LONGEST_ANSWER or HUGE.search(answer):
            return 0.0
        where = problem.meta["split"], problem.meta["item"]
        entry = entry_of(self.short, *where)
        try:
            return float(data_set(self.short, where[0]).score_answer(answer, entry))
        except Exception:  # a scorer of somebody else's, on text of a model
            return 0.0

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        if answer is None:
            return None
        value = number(answer)
        return " ".join(answer.split()) if value is None else format_number(value)

    @classmethod
    def answers_in(cls, text: str) -> list[str]:
        """What stands behind each mark; an answer may have several lines."""
        return [part.strip() for part in text.split(MARK)[1:]]

    @classmethod
    def after_answer(cls, text: str) -> str:
        """All that stands behind the mark is the answer."""
        return ""

    @classmethod
    def runs_on(cls, text: str) -> bool:
        return len(cls.answers_in(text)) > 1
