r"""Products of longer numbers, each attempt checked by another route: casting out nines.

    Question: What is 347 * 86?
    Answer: 347*86=27760+2092=29852~26~8, 14~5 14~5 5*5~7 no
    wait, 347*86=27760+2082=29842~25~7, 14~5 14~5 5*5~7 ok
    #### 29842

An attempt is what stands on paper after a long multiplication: a row for the tens of the second
number (347*80), a row for its ones (347*6), and their sum. The check works with remainders alone.
`~` means "leaves the same remainder when divided by nine", and as 10 ~ 1, a number leaves that of
the sum of its digits (casting out nines; Fibonacci, Liber Abaci, 1202):

    29842 ~ 2+9+8+4+2 = 25 ~ 7,    347 ~ 3+4+7 = 14 ~ 5,    86 ~ 8+6 = 14 ~ 5,    5 * 5 ~ 7    they agree: ok

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
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from minilrm import machine
from minilrm.errors import UserError
from minilrm.tasks import answers
from minilrm.tasks.arithmetic import TRIES, WORDINGS, canonical_key, place_values
from minilrm.tasks.base import SOLUTION_STYLES, SPLITS, Grade, Problem, Task, problem_rng, split_of
from minilrm.tasks.frames import render_frame
from minilrm.tasks.problem_files import load_problems
from minilrm.tasks.traces import ACCEPT, REFLECTION_WORD, REJECT, Attempt, Trace, Writer

PATIENCE = 3000  # problems drawn in a row of which none is new: there are no more
LEAST_DIGITS, DEFAULT_DIGITS, MOST_DIGITS = 2, 3, 4
AGAIN = f"\n{REFLECTION_WORD}, "


class Multiplication(Task):
    """A number of `digits` digits times a number of two, 12 to 99 and no multiple of ten (so that
    there are two rows).

    digits: 2, 3 or 4. The first number of an `ood` problem has one digit more. UserError for
    another value.
    """

    name = "multiplication"
    max_new_tokens = 336
    writer = Writer(skill=0.3, careless=0.01, longest=6)

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

    def render(self, problem: Problem, style: str = "plain", examples: tuple = ()) -> str:
        return render_frame(problem, style, examples)

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """reflex: the answer alone. careless: a slip, accepted. steps: right. plan_verify: a slip,
        found, then right."""
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        if style == "reflex":
            return f" {answers.MARK} {problem.answer}"
        factors = problem.meta["factors"]
        right, wrong = multiply(*factors), slip(*factors, rng)
        while style == "plan_verify" and passes(wrong):
            wrong = slip(*factors, rng)
        tries = {
            "steps": [(right, True)],
            "careless": [(wrong, True)],
            "plan_verify": [(wrong, False), (right, True)],
        }
        return write_trace(tries[style])

    def write(self, problem: Problem, rng: random.Random, writer: Writer) -> str:
        """What this writer puts down. The remainders are always worked rightly: who is careless
        says "ok" although they are seen to differ."""
        tries: list[tuple[Work, bool]] = []
        while True:
            work = fresh_attempt(
                *problem.meta["factors"],
                rng,
                writer.chance(len(tries)),
                {made for made, _ in tries},
            )
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

    def grade(self, problem: Problem, completion: str) -> Grade:
        return answers.grade_final(problem.answer, completion)

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        return answers.vote_key(answer)

    def thinks(self, completion: str) -> bool:
        return bool(self.parse_trace(completion).attempts)

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """A fixed set of a split. Of test and ood, the first `n` in the shipped file, where it
        holds as many."""
        shipped = shipped_file(split)
        if shipped and (seed, self.digits) == (0, DEFAULT_DIGITS):  # else other problems are wanted
            found = [restore(problem) for problem in load_problems(shipped, self.name)[:n]]
            if len(found) == n:
                return found
        return self.make(split, n, seed)

    def make(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        """`n` problems made anew: problem i comes from (seed, i) alone, and no product comes
        twice."""
        found: dict[str, Problem] = {}
        index, last = 0, 0  # the problem to draw, and the last one that was new
        while len(found) < n and index - last < PATIENCE:
            problem = self.sample(problem_rng(seed, index, f"{self.name}/{split}"), split)
            if found.setdefault(problem.key, problem) is problem:
                last = index
            index += 1
        if len(found) < n:
            raise UserError(
                f"multiplication finds only {len(found)} different {split} problems with digits="
                f"{self.digits}, not {n}: ask for fewer or raise digits"
            )
        return list(found.values())


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
    return multiply(
        a, b
    )  # new: it would have passed, and ended the trace; and all that is left when each slip was made


def passes(work: Work) -> bool:
    """Casting out nines: whether the result and the factors' product leave the same remainder.

    >>> passes(multiply(347, 86)), passes(multiply(347, 86, 1, 10)), passes(multiply(347, 86, 1, 90))
    (True, False, True)
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
        f"{work.a}*{work.b}={work.tens}+{work.ones}={work.result}~{result}, {first} {second} {a}*{b}~{a * b % 9} "
        f"{ACCEPT if accepted else REJECT}"
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
WORK = re.compile(
    rf"{N}\*{N}={N}\+{N}={N}(?=~)"
)  # a result counts as read when something stands behind it
CAST = "[0-9]{1,2}~[0-9]"  # a sum of digits and its remainder
CHECK = re.compile(rf"~{CAST}, {CAST} {CAST} [0-9]\*[0-9]~[0-9] ({ACCEPT}|{REJECT})(?![a-z0-9])")
LEAD = re.compile(rf"[ \n]?(?:({REFLECTION_WORD}),? ?)?")
ANSWER = re.compile(rf"\n{answers.MARK} [0-9]{{1,12}}")


def parse_trace(text: str) -> Trace:
    r"""Read the attempts of a completion, one after the other. Total, and linear: each pattern sees
    a bounded stretch.

    A second attempt counts without the reflection word too, but is not well-formed. Reading ends
    where no attempt stands, or where one has no verdict.

    >>> trace = parse_trace(" 47*86=3760+292=4052~11~2, 11~2 14~5 2*5~1 no\nwait, "
    ...                     "47*86=3760+282=4042~10~1, 11~2 14~5 2*5~1 ok\n#### 4042")
    >>> [(attempt.content, attempt.accepted) for attempt in trace.attempts], trace.reflections, trace.well_formed
    ([('47*86=3760+292=4052', False), ('47*86=3760+282=4042', True)], 1, True)
    >>> parse_trace(" 47*86=3760+282=4042~1")
    Trace(attempts=(Attempt(start=1, end=20, content='47*86=3760+282=4042', accepted=None),), reflections=0, well_formed=False)
    """
    attempts, reflections, at, wanted, well_led = [], 0, 0, " ", True
    while True:
        lead = LEAD.match(text, at)
        work = WORK.match(text, lead.end())
        if not work:
            break
        check = CHECK.match(text, work.end())
        end = (check or work).end()
        attempts.append(Attempt(work.start(), end, normal_form(work), check and check[1] == ACCEPT))
        reflections += lead[1] is not None
        well_led = well_led and lead[0] == wanted
        at, wanted = end, AGAIN
        if not check:
            break
    judged = bool(attempts) and attempts[-1].accepted is not None
    return Trace(
        tuple(attempts), reflections, judged and well_led and ANSWER.fullmatch(text, at) is not None
    )


def normal_form(work: re.Match) -> str:
    """The steps without leading zeros: "047*86=3760+282=4042" is the attempt
    "47*86=3760+282=4042"."""
    a, b, tens, ones, result = map(int, work.groups())
    return f"{a}*{b}={tens}+{ones}={result}"


# ---- the shipped files


def shipped_file(split: str) -> Path | None:
    """The file of a split that comes with the project (`scripts/make_data_multiplication.py` made
    it), if there is one."""
    with suppress(UserError):  # no data folder, no file
        path = machine.data_folder() / "multiplication" / f"{split}.jsonl"
        return path if split in ("test", "ood") and path.is_file() else None
    return None


def to_record(problem: Problem) -> dict:
    """A problem as a line of a file in GSM8K's schema."""
    worked = write_trace([(multiply(*problem.meta["factors"]), True)])
    return {
        "question": problem.prompt,
        "answer": worked.removeprefix(" "),
        "key": problem.key,
        "difficulty": problem.difficulty,
        "meta": problem.meta,
    }


def restore(line: Problem) -> Problem:
    """A problem as read from a line. UserError if it is no product as this file poses them."""
    with suppress(KeyError, TypeError, ValueError):
        a, b = line.meta["factors"]
        if (problem := pose(a, b)).key == line.key and problem.answer == line.answer:
            return problem
    raise UserError(
        f"the shipped problem {line.key!r} is no product as they are posed now; make the files anew: "
        "python scripts/make_data_multiplication.py"
    )
