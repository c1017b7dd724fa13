r"""Products of longer numbers, each attempt checked by another route: casting out nines.

    Question: What is 347 * 86?
    Answer: 347*86=27760+2092=29852~26~8, 14~5 14~5 5*5~7 no
    wait, 347*86=27760+2082=29842~25~7, 14~5 14~5 5*5~7 ok
    #### 29842

An attempt is what stands on paper after a long multiplication: a row for the tens of the second
number (347*80), a row for its ones (347*6), and their sum. The check works with remainders alone.
`~` means "leaves the same remainder when divided by nine", and as 10 ~ 1, a number leaves that of
the sum of its digits (casting out nines; Fibonacci, Liber Abaci, 1202):

    29842 ~ 2+9+8+4+2 = 25 ~ 7
    347 ~ 3+4+7 = 14 ~ 5,    86 ~ 8+6 = 14 ~ 5,    5 * 5 ~ 7        they agree: ok

The sums of digits are written down: a small model that has to put the remainder of 347 without them
guesses it (LOG.md).

A right product passes. A wrong one passes too if it is off by a multiple of 9, which happens one
time in nine: so an honest "ok" may stand after a wrong result. `attempt_right` knows, for it
multiplies; the check cannot.

A slip is one row, or the sum, that comes out wrong by d * 10^k with d of 1..9 up or down; all else
is worked rightly on what stands there. As 10^k ~ 1, the product is off by d, and only d = 9 escapes
the check: exactly one slip in nine. For each of the places a slip has 18 values, so that each wrong
digit is less likely than the right one, and greedy decoding can be right where sampling often is
not.

By default 72,000 products of three digits by two: 57,635 to train on, 7,178 for validation, 7,187
for the test. With digits=2 there are only 4,040, few enough to learn by heart.

Left out: second numbers of more than two digits, negative numbers, Spanish, a second check by
elevens (which would find most of what nines miss).
"""

import random
import re
from dataclasses import dataclass
from typing import Any

from minilrm.errors import UserError
from minilrm.tasks import answers
from minilrm.tasks.arithmetic import TRIES, WORDINGS, canonical_key, place_values
from minilrm.tasks.base import SOLUTION_STYLES, SPLITS, Problem, split_of
from minilrm.tasks.traces import (
    ACCEPT,
    AGAIN,
    REFLECTION_WORD,
    REJECT,
    Attempt,
    Trace,
    TracedTask,
    Writer,
    read_attempts,
)

LEAST_DIGITS, DEFAULT_DIGITS, MOST_DIGITS = 2, 3, 4


class Multiplication(TracedTask):
    """A number of `digits` digits times a number of two, 12 to 99 and no multiple of ten (so that
    there are two rows).

    digits: 2, 3 or 4. The first number of an `ood` problem has one digit more. UserError for
    another value.
    """

    name = "multiplication"
    max_new_tokens = 336
    writer = Writer(skill=0.3, careless=0.01, longest=6)
    base = "multiplication-base"
    # It learns at less than a third of countdown's rate: faster, its base unlearns to check
    # (LOG.md).
    recipe = {"steps": 120, "group_size": 16, "lr": 1.5e-4, "lr_hold": 90, "eval_every": 30}
    shipped = {"test": {"digits": DEFAULT_DIGITS}, "ood": {"digits": DEFAULT_DIGITS}}

    def __init__(self, digits: int = DEFAULT_DIGITS):
        if type(digits) is not int or not LEAST_DIGITS <= digits <= MOST_DIGITS:
            raise UserError(f"multiplication: digits must be {LEAST_DIGITS} to {MOST_DIGITS}")
        self.digits = digits
        self.max_new_tokens = 236 + 25 * (digits + 1)  # no six attempts take more, at `ood` either

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        if split not in SPLITS:
            raise UserError(
                f"multiplication has no split {split!r}; there are: {', '.join(SPLITS)}"
            )
        while True:
            problem = pose(*draw_factors(rng, self.digits + (split == "ood")))
            if split in ("ood", split_of(problem.key)):
                return problem

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """reflex: the answer alone. careless: a slip, accepted. steps: right. plan_verify: a slip,
        found, then right."""
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        if style == "reflex":
            return f" {answers.MARK} {problem.answer}"
        a, b = problem.meta["factors"]
        right, wrong = multiply(a, b), slip(a, b, rng)
        while style == "plan_verify" and passes(wrong):
            wrong = slip(a, b, rng)
        tries = {
            "steps": [(right, True)],
            "careless": [(wrong, True)],
            "plan_verify": [(wrong, False), (right, True)],
        }
        return write_trace(tries[style])

    def write(self, problem: Problem, rng: random.Random, writer: Writer) -> str:
        """What this writer puts down. The remainders are always worked rightly: a careless writer
        says "ok" although they are seen to differ."""
        a, b = problem.meta["factors"]
        tries: list[tuple[Work, bool]] = []
        while True:
            made = {work for work, _ in tries}
            work = fresh_attempt(a, b, rng, writer.chance(len(tries)), made)
            overlooks = rng.random() < writer.careless
            tries.append((work, passes(work) or overlooks))
            if tries[-1][1] or not writer.reflects or len(tries) >= writer.longest:
                return write_trace(tries)

    def parse_trace(self, text: str) -> Trace:
        return parse_trace(text)

    def attempt_right(self, problem: Problem, attempt: Attempt) -> bool:
        return attempt.content.rpartition("=")[2] == problem.answer

    def fails_check(self, problem: Problem, attempt: Attempt) -> bool:
        """Casting out nines; one slip in nine escapes it."""
        return (int(attempt.content.rpartition("=")[2]) - int(problem.answer)) % 9 != 0

    def to_record(self, problem: Problem) -> dict[str, Any]:
        """A line in GSM8K's schema."""
        worked = write_trace([(multiply(*problem.meta["factors"]), True)])
        return {
            "question": problem.prompt,
            "answer": worked.removeprefix(" "),
            "key": problem.key,
            "difficulty": problem.difficulty,
            "meta": problem.meta,
        }

    def from_record(self, record: dict[str, Any]) -> Problem:
        a, b = record["meta"]["factors"]
        problem = pose(a, b)
        if problem.key != record["key"] or answers.extract(record["answer"]) != [problem.answer]:
            raise ValueError(f"{record['key']!r} is another product than {a} * {b}")
        return problem


# ---- making products


def draw_factors(rng: random.Random, digits: int) -> tuple[int, int]:
    """A number of so many digits, and one of 12..99 that does not end in zero; each pair is as
    likely as any other."""
    second = 10 * rng.randint(1, 9) + rng.randint(1, 9)
    return (
        (rng.randint(10 ** (digits - 1), 10**digits - 1), second)
        if second > 11
        else draw_factors(rng, digits)
    )


def pose(a: int, b: int) -> Problem:
    """The question, with its right answer; "47 * 86" and "86 * 47" have one key.

    >>> pose(347, 86).prompt, pose(347, 86).answer, pose(347, 86).key
    ('What is 347 * 86?', '29842', 'multiply:86*347')
    """
    product = f"{a} * {b}"
    return Problem(
        "multiplication",
        WORDINGS["en"][0].replace("{sum}", product),
        str(a * b),
        canonical_key("multiply", product),
        difficulty=3,
        meta={"factors": [a, b]},
    )


# ---- working them


@dataclass(frozen=True)
class Work:
    """What one attempt puts down: the factors, the rows of the second one's tens and ones, and the
    rows' sum."""

    a: int
    b: int
    tens: int
    ones: int
    result: int


def multiply(a: int, b: int, slip_at: int | None = None, off: int = 0) -> Work:
    """Work a product; the row of the tens (`slip_at` 0), of the ones (1) or the sum (2) is off by
    so much.

    >>> multiply(347, 86)
    Work(a=347, b=86, tens=27760, ones=2082, result=29842)
    >>> multiply(347, 86, slip_at=1, off=10)
    Work(a=347, b=86, tens=27760, ones=2092, result=29852)
    """
    offs = [off if step == slip_at else 0 for step in range(3)]
    tens, ones = (a * part + off for part, off in zip(place_values(b).values(), offs, strict=False))
    return Work(a, b, tens, ones, tens + ones + offs[2])


def slip(a: int, b: int, rng: random.Random) -> Work:
    """An attempt with one slip: always a wrong result, and one time in nine a remainder that gives
    nothing away."""
    right = multiply(a, b)
    at = rng.randrange(3)
    value = (right.tens, right.ones, right.result)[at]
    # Any place but the first digit's, so that the wrong number stays positive; nobody misses the
    # zero behind the tens.
    place = rng.randrange(1 if at == 0 else 0, len(str(value)) - 1)
    return multiply(a, b, at, rng.choice((-1, 1)) * rng.randint(1, 9) * 10**place)


def fresh_attempt(a: int, b: int, rng: random.Random, skill: float, made: set[Work]) -> Work:
    """An attempt that is none of those made before, free of slips with probability `skill`."""
    if rng.random() >= skill:
        for _ in range(TRIES):
            if (work := slip(a, b, rng)) not in made:
                return work
    # New, as a right one would have ended the trace; and all that is left when each slip was made.
    return multiply(a, b)


def passes(work: Work) -> bool:
    """Casting out nines: whether the result and the factors' product leave the same remainder.

    >>> [passes(multiply(347, 86, 1, off)) for off in (0, 10, 90)]
    [True, False, True]
    """
    return (work.result - work.a * work.b) % 9 == 0


# ---- writing them down


def write_attempt(work: Work, accepted: bool) -> str:
    """The rows, their sum, and the check.

    >>> write_attempt(multiply(347, 86, 1, 10), accepted=False)
    '347*86=27760+2092=29852~26~8, 14~5 14~5 5*5~7 no'
    """
    a, b = work.a % 9, work.b % 9
    result, first, second = (
        f"{sum(map(int, str(n)))}~{n % 9}" for n in (work.result, work.a, work.b)
    )
    return (
        f"{work.a}*{work.b}={work.tens}+{work.ones}={work.result}~{result}, {first} {second} "
        f"{a}*{b}~{a * b % 9} {ACCEPT if accepted else REJECT}"
    )


def write_trace(tries: list[tuple[Work, bool]]) -> str:
    """All attempts with their verdicts; the last one's result is the answer."""
    return (
        " "
        + AGAIN.join(write_attempt(*one) for one in tries)
        + f"\n{answers.MARK} {tries[-1][0].result}"
    )


# ---- reading them back

N = "([0-9]{1,12})"
# A result counts as read when something stands behind it.
WORK = re.compile(rf"{N}\*{N}={N}\+{N}={N}(?=~)")
CAST = "[0-9]{1,2}~[0-9]"  # a sum of digits and its remainder
CHECK = re.compile(rf"~{CAST}, {CAST} {CAST} [0-9]\*[0-9]~[0-9] ({ACCEPT}|{REJECT})(?![a-z0-9])")
LEAD = re.compile(rf"[ \n]?(?:({REFLECTION_WORD}),? ?)?")
ANSWER = re.compile(rf"\n{answers.MARK} [0-9]{{1,12}}")


def parse_trace(text: str) -> Trace:
    r"""The attempts of a completion (`traces.read_attempts`). Total, and linear: each pattern sees
    a bounded stretch.

    >>> trace = parse_trace(" 47*86=3760+292=4052~11~2, 11~2 14~5 2*5~1 no\nwait, "
    ...                     "47*86=3760+282=4042~10~1, 11~2 14~5 2*5~1 ok\n#### 4042")
    >>> [(attempt.content, attempt.accepted) for attempt in trace.attempts]
    [('47*86=3760+292=4052', False), ('47*86=3760+282=4042', True)]
    >>> trace.reflections, trace.well_formed
    (1, True)
    >>> parse_trace(" 47*86=3760+282=4042~1").attempts
    (Attempt(start=1, end=20, content='47*86=3760+282=4042', accepted=None),)
    """
    return read_attempts(text, LEAD, read_attempt, is_answer)


def read_attempt(text: str, start: int) -> Attempt | None:
    """The attempt that starts there; None if its steps cannot be read."""
    work = WORK.match(text, start)
    if work is None:
        return None
    check = CHECK.match(text, work.end())
    accepted = check[1] == ACCEPT if check else None
    return Attempt(start, (check or work).end(), normal_form(work), accepted)


def is_answer(text: str, start: int) -> bool:
    """Whether the rest of a text is an answer line. An answer without an attempt is none."""
    return start > 0 and ANSWER.fullmatch(text, start) is not None


def normal_form(work: re.Match[str]) -> str:
    """The steps without leading zeros: "047*86=3760+282=4042" is the attempt
    "47*86=3760+282=4042"."""
    a, b, tens, ones, result = map(int, work.groups())
    return f"{a}*{b}={tens}+{ones}={result}"
