"""What a task deals in: problems, verdicts on completions, splits, and random numbers that name
their problem."""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

SPLITS = ("train", "validation", "test", "ood")
PROMPT_STYLES = ("plain", "cot", "few_shot", "textbook")
SOLUTION_STYLES = ("reflex", "careless", "steps", "plan_verify")
TOOL_STYLE = "tool"  # of the tasks that need one: with calls of tools and their results


@dataclass(frozen=True)
class Problem:
    """One question with its right answer.

    `key` names the problem whatever its wording: two problems with one key are the same sum in
    other words, and always fall into the same split. `difficulty` is the number of steps of the
    shortest solution. `meta` holds whatever else the task wants to remember; it survives a round
    trip through JSON.
    """

    task: str
    prompt: str
    answer: str
    key: str
    difficulty: int = 1
    meta: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Grade:
    """The verdict on one completion.

    `correct`: the answer given equals the right one. `formatted`: exactly one answer, written as
    the task asks, with nothing after it. `answer`: what was read off (None if nothing could be).
    `reason`: one word or a short phrase, "right", "wrong answer", "no answer", "two answers", ...
    """

    correct: bool
    formatted: bool
    answer: str | None
    reason: str


@dataclass(frozen=True)
class PlanMarks:
    """What the parts of a planned and checked solution begin with, newlines in front included.

    plan: the plan, with which it begins. first: its first step, with which it begins without one.
    check: the line of the check.
    """

    plan: str
    first: str
    check: str


def split_of(key: str) -> str:
    """The split a problem belongs to: 80 % train, 10 % validation, 10 % test, by a hash of its key
    alone.

    A hash, not a shuffled list: the split never changes when templates or problems are added, and
    every wording, name and language of one sum lands on the same side.

    >>> [split_of(key) for key in ("buy:5", "buy:6", "buy:10")]
    ['train', 'validation', 'test']
    """
    bucket = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") % 10
    return {8: "validation", 9: "test"}.get(bucket, "train")


def problem_rng(seed: int, index: int, what: str = "") -> random.Random:
    """A generator for problem number `index` of a run: any problem can be made again without those
    before it."""
    digest = hashlib.sha256(f"{what}:{seed}:{index}".encode()).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))
