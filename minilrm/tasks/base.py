"""What a task is: a supply of problems, one way to write a prompt, model solutions, and an exact
grader.

The way of the data starts here: `Task -> Problem -> prompt`, and ends here: `completion -> grade`.
"""

import hashlib
import random
from dataclasses import dataclass, field

from minilrm.tasks.traces import Attempt, Trace, Writer

SPLITS = ("train", "validation", "test", "ood")
PROMPT_STYLES = ("plain", "cot", "few_shot")
SOLUTION_STYLES = ("reflex", "careless", "steps", "plan_verify")


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
    meta: dict = field(default_factory=dict)


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


class Task:
    """The interface that every task fills in. A task holds no state but its options."""

    name = ""
    #: tokens that a completion may need; training and evaluation use it unless told otherwise
    max_new_tokens = 128
    #: what announces the answer in a completion
    mark = "####"
    #: what a solved question ends with in a document of several; few-shot sampling stops there
    separator = "\n\n"

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        """A random problem of a split (`train`, `validation`, `test`, `ood`)."""
        raise NotImplementedError

    def render(self, problem: Problem, style: str = "plain", examples: tuple = ()) -> str:
        """The prompt text. This is the only place that writes one.

        `plain` asks; `cot` asks and begins the answer with "Let's think step by step."; `few_shot`
        puts solved `examples` (pairs of problem and solution text) before it.
        """
        raise NotImplementedError

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """A model completion for the `plain` prompt, in one of SOLUTION_STYLES, its leading space
        or newline included."""
        raise NotImplementedError

    def grade(self, problem: Problem, completion: str) -> Grade:
        """Judge a completion. Total: any string gets a Grade, nothing raises, nothing is evaluated
        as code."""
        raise NotImplementedError

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        """Answers that count as one vote share a key ("12" and "12.0"); None abstains."""
        return answer

    def thinks(self, completion: str) -> bool:
        """Whether the completion works towards its answer instead of blurting it out."""
        return False

    #: for tasks with traces: how the people of the corpus work
    writer = Writer()

    def write(self, problem: Problem, rng: random.Random, writer: Writer) -> str:
        """For tasks with traces: what this writer puts down, right or wrong (see `traces.py`)."""
        raise NotImplementedError

    def parse_trace(self, text: str) -> Trace | None:
        """The attempts of a completion; None for a task without traces. Total: any string parses,
        at once."""
        return None

    def attempt_right(self, problem: Problem, attempt: Attempt) -> bool:
        """Whether an attempt solves the problem: exact, whatever its writer says of it."""
        raise NotImplementedError

    def fails_check(self, problem: Problem, attempt: Attempt) -> bool:
        """Whether the check that a writer has at hand, done with care, says no to what stands
        there. It may see less than `attempt_right` does, and never fails a right attempt."""
        return not self.attempt_right(problem, attempt)

    def reword(self, problem: Problem, rng: random.Random) -> Problem:
        """The same sum in other words (same key, same answer); tasks without wordings return it
        unchanged."""
        return problem

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """`n` problems in a fixed order. Test and ood sets that are shipped override this with the
        shipped file."""
        return [self.sample(problem_rng(seed, i, f"{self.name}/{split}"), split) for i in range(n)]
