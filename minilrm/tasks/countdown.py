r"""countdown: reach a target from a few numbers with + - * /, each number used exactly once.

    Question: Make 53 with 4, 7, 25.
    Answer: 25-7=18, 18+4=22 no
    wait, 4*7=28, 28+25=53 ok
    <answer>4*7+25</answer>

The puzzle cannot be worked out from left to right: somebody has to try, look at what came out, and
perhaps try again. So it shows whether a model does. A completion is written in the grammar of
`traces.py` (an attempt is its steps, comma between, then `ok` or `no`), and every attempt is judged
exactly, whatever its writer thought of it.

The problems. By default three numbers from 1..25 and a target from 1..99, within reach if all on
the way is whole and not negative: 27,279 problems (a problem is a multiset of numbers and a target)
over 2,925 multisets. The split is a hash of the numbers alone, so all targets of a multiset are on
one side, and no right answer to a test problem is one to a training problem. `ood` has four numbers
from 1..13 (88,597 problems). `python -m studies.census` counts them again.

The answer is judged by its value: fractions on the way are right too, 8/(3-8/3) makes 24 from 3, 3,
8, 8.
"""

import random
import re
from collections import Counter
from dataclasses import replace
from typing import Any

from minilrm.errors import UserError
from minilrm.tasks import expressions, reach
from minilrm.tasks.answers import CLOSE, OPEN, read_tags
from minilrm.tasks.base import SOLUTION_STYLES, SPLITS, Grade, Problem, split_of
from minilrm.tasks.countdown_traces import (
    answer_line,
    content,
    parse_trace,
    read_step,
    right_attempt,
    transcript,
    wrong_attempt,
)
from minilrm.tasks.expressions import Step, Tree
from minilrm.tasks.traces import (
    ACCEPT,
    REFLECTION_WORD,
    REJECT,
    Attempt,
    Trace,
    TracedTask,
    Writer,
)

# Of the problems that are drawn; `make_problem` takes any target within reach.
SMALLEST_TARGET, LARGEST_TARGET = 1, 99
OOD = (4, 13)  # how many numbers, and up to which, the split `ood` has
MAX_TARGET = 10**10  # of a user's own problem: more than five numbers of two digits can make
ANSWER = re.compile(f"{OPEN}([^<>]*){CLOSE}")


class Countdown(TracedTask):
    """numbers: how many each problem has, 2 to 5. largest: they are drawn from 1 to this, 5 to 99.

    `ood` has four numbers from 1..13 whatever the options. With numbers=4 training sees such
    problems, and there is no `ood`.
    """

    name = "countdown"
    mark = OPEN
    step_ends = ",\n"
    special_tokens = True
    base: str | None = "countdown-base"
    # Tuned on validation (LOG.md).
    recipe = {"steps": 100, "group_size": 16, "lr": 5e-4, "lr_hold": 40, "eval_every": 25}
    # RL needs these (LOG.md). Low skill behind a failure makes long pages: a model that has read
    # no page of twelve attempts writes none.
    writer = Writer(skill=0.5, skill_again=0.3, careless=0.02, longest=12)
    max_new_tokens = 384  # twelve attempts at three numbers take 320 tokens at most
    shipped = {"test": {"numbers": 3, "largest": 25}, "ood": {}}

    def __init__(self, numbers: int = 3, largest: int = 25):
        for option, given, low, high in (("numbers", numbers, 2, 5), ("largest", largest, 5, 99)):
            if type(given) is not int or not low <= given <= high:
                raise UserError(
                    f"countdown: {option} must be a whole number from {low} to {high}, not "
                    f"{given!r}"
                )
        self.numbers, self.largest = numbers, largest
        self.max_new_tokens = {4: 384, 5: 448}.get(numbers, Countdown.max_new_tokens)

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        """Numbers drawn one by one, then a target, each within reach as likely as any other."""
        count, largest = self.range_of(split)
        # Not for long: even two numbers up to 5 have multisets in every split.
        while True:
            numbers = [rng.randint(1, largest) for _ in range(count)]
            if (split == "ood" or split_of_numbers(numbers) == split) and (
                within_reach := targets(numbers)
            ):
                return puzzle(numbers, rng.choice(within_reach))

    def range_of(self, split: str) -> tuple[int, int]:
        """How many numbers the problems of a split have, and up to which."""
        if split not in SPLITS:
            raise UserError(f"countdown has no split {split!r}; there are: {', '.join(SPLITS)}")
        if split == "ood" and self.numbers == OOD[0]:
            raise UserError(
                "countdown: with numbers=4 the split 'ood' (4 numbers from 1..13) is not new; use "
                "'test'"
            )
        return OOD if split == "ood" else (self.numbers, self.largest)

    def question(self, text: str, language: str | None = None) -> Problem:
        """The target and then the numbers, whatever words stand between. UserError if there are too
        few, or if they cannot make the target."""
        found = [int(digits) for digits in re.findall(r"[0-9]{1,12}", text)]
        if len(found) < 2:
            raise UserError('a countdown is asked like this: "Make 53 with 4, 7, 25."')
        return make_problem(found[1:], found[0])

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        """reflex: the answer alone. careless: a wrong attempt, accepted. steps: a right one.
        plan_verify: a wrong one first."""
        if style not in SOLUTION_STYLES:
            raise ValueError(f"no solution style is called {style!r}")
        wrong = self.draw_attempt(problem, rng, right=False, tried=set())
        right = self.draw_attempt(problem, rng, right=True, tried=set())
        if style == "reflex":
            return answer_line(right)
        return transcript(
            {
                "careless": [(wrong, True)],
                "steps": [(right, True)],
                "plan_verify": [(wrong, False), (right, True)],
            }[style]
        )

    def draw_attempt(
        self, problem: Problem, rng: random.Random, right: bool, tried: set[str]
    ) -> Tree:
        """A right attempt, or a wrong one that is not among those tried; a right one where wrong
        ones have run out."""
        wrong = None if right else wrong_attempt(problem, rng, tried)
        return wrong or self.right_attempt(problem, rng)

    def right_attempt(self, problem: Problem, rng: random.Random) -> Tree:
        """Each way as likely as any other."""
        return right_attempt(problem, rng)

    def write(self, problem: Problem, rng: random.Random, writer: Writer) -> str:
        """What this writer puts down. The sums are always right; it is what is tried that may be
        wrong."""
        tried: set[str] = set()
        attempts: list[tuple[Tree, bool]] = []
        while True:
            right = rng.random() < writer.chance(len(attempts))
            tree = self.draw_attempt(problem, rng, right, tried)
            accepted = (
                expressions.value(tree) == problem.meta["target"] or rng.random() < writer.careless
            )
            attempts.append((tree, accepted))
            tried.add(content(tree))
            if accepted or not writer.reflects or len(attempts) >= writer.longest:
                return transcript(attempts)

    def parse_trace(self, text: str) -> Trace:
        return parse_trace(text)

    def attempt_right(self, problem: Problem, attempt: Attempt) -> bool:
        """Each number used once, every sum right, the last one the target."""
        read = [read_step(part) for part in attempt.content.split(", ")]
        series = [step for step in read if step is not None]
        numbers, target = problem.meta["numbers"], problem.meta["target"]
        return (
            len(series) == len(read) == len(numbers) - 1
            and all(map(expressions.is_true, series))
            and expressions.runs(series, Counter(numbers))
            and series[-1].result == target
        )

    def fails_check(self, problem: Problem, attempt: Attempt) -> bool:
        """What came out is compared with the target; a false sum that ends in it passes."""
        return attempt.content.rpartition("=")[2] != str(problem.meta["target"])

    def step_labels(self, problem: Problem, completion: str) -> list[bool]:
        """Whether the target is still within reach of the numbers that are left. Not whether it is
        near: 19-2=17 is the only way to 17+18=35."""
        return step_labels(problem, completion)

    def gives_up(self, completion: str) -> bool:
        return completion.rstrip("\n").endswith(f" {REJECT}")

    def grade(self, problem: Problem, completion: str) -> Grade:
        return grade(problem, completion)

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        """4*7+25 and 25+(7*4) are one vote. Not the value: all know the target, so such a vote
        would be a check."""
        tree = None if answer is None else expressions.parse(answer)
        return None if tree is None else expressions.normal(tree)

    @classmethod
    def answers_in(cls, text: str) -> list[str]:
        """What stands between tags; an answer that is not closed is none."""
        return [answer.strip() for answer in ANSWER.findall(text)]

    @classmethod
    def after_answer(cls, text: str) -> str:
        return text.partition(CLOSE)[2]

    @classmethod
    def runs_on(cls, text: str) -> bool:
        return bool(cls.answers_in(text) and cls.after_answer(text).strip())

    def reword(self, problem: Problem, rng: random.Random) -> Problem:
        """The same numbers in another order."""
        numbers = rng.sample(problem.meta["numbers"], len(problem.meta["numbers"]))
        return replace(
            problem,
            prompt=ask(numbers, problem.meta["target"]),
            meta={**problem.meta, "numbers": numbers},
        )

    def problems(self, split: str, n: int, seed: int = 0) -> list[Problem]:
        self.range_of(split)  # an error if these options have no such split, whatever is shipped
        return super().problems(split, n, seed)

    def to_record(self, problem: Problem) -> dict[str, Any]:
        """Numbers, target and one right answer; the rest follows from them."""
        return {
            "numbers": problem.meta["numbers"],
            "target": problem.meta["target"],
            "answer": problem.answer,
        }

    def from_record(self, record: dict[str, Any]) -> Problem:
        numbers, target, answer = record["numbers"], record["target"], record["answer"]
        tree = expressions.parse(answer)
        if tree is None or judge(tree, numbers, target) != "right":
            raise ValueError(f"{answer} is not the answer to: {ask(numbers, target)}")
        return puzzle(numbers, target, answer)


# -- problems --------------------------------------------------------------------------------------


def multiset(numbers: list[int] | tuple[int, ...]) -> str:
    """The name of the numbers, whatever their order: `multiset([25, 4, 7])` is
    `"countdown:4-7-25"`."""
    return "countdown:" + "-".join(map(str, sorted(numbers)))


def split_of_numbers(numbers: list[int] | tuple[int, ...]) -> str:
    """The split by the numbers alone, so that no multiset has one target in training and another in
    the test."""
    return split_of(multiset(numbers))


def targets(numbers: list[int] | tuple[int, ...]) -> list[int]:
    """The targets that problems with these numbers have, in order: `targets([2, 6])` is
    `[3, 4, 8, 12]`."""
    return [
        n
        for n in sorted(reach.reachable(tuple(sorted(numbers))))
        if SMALLEST_TARGET <= n <= LARGEST_TARGET
    ]


def ask(numbers: list[int], target: int) -> str:
    return f"Make {target} with {', '.join(map(str, numbers))}."


def puzzle(numbers: list[int], target: int, answer: str | None = None) -> Problem:
    """The problem with the numbers in the order given. The target must be within reach."""
    answer = answer or reach.solve(numbers, target)[0]
    return Problem(
        "countdown",
        ask(numbers, target),
        answer,
        f"{multiset(numbers)}={target}",
        len(numbers) - 1,
        {"numbers": list(numbers), "target": target},
    )


def make_problem(numbers: list[int], target: int) -> Problem:
    """A user's own problem.

    >>> make_problem([4, 7, 25], 53).prompt, make_problem([4, 7, 25], 53).answer
    ('Make 53 with 4, 7, 25.', '25+4*7')
    >>> make_problem([4, 7, 25], 54)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    minilrm.errors.UserError: 54 cannot be reached ... the nearest target is 53
    """
    if not 2 <= len(numbers) <= 5 or any(type(n) is not int or not 1 <= n <= 99 for n in numbers):
        raise UserError("countdown takes 2 to 5 whole numbers from 1 to 99, such as 4, 7, 25")
    if type(target) is not int or not 0 <= target <= MAX_TARGET:
        raise UserError(
            f"the target of a countdown problem is a whole number from 0 to {MAX_TARGET}"
        )
    within_reach = reach.reachable(tuple(sorted(numbers)))
    if target not in within_reach:
        nearest = min(within_reach, key=lambda n: (abs(n - target), n))
        raise UserError(
            f"{target} cannot be reached from {', '.join(map(str, numbers))} by whole, "
            f"non-negative steps; the nearest target is {nearest}"
        )
    return puzzle(list(numbers), target)


# -- judging ---------------------------------------------------------------------------------------


def grade(problem: Problem, completion: str) -> Grade:
    r"""Judge by the one `<answer>...</answer>`. What stands after it costs the form, not the
    answer, as in `answers.py`.

    >>> p = make_problem([4, 7, 25], 53)
    >>> [grade(p, f"\n<answer>{t}</answer>").reason for t in ("(7*4)+25", "25*4-7", "4**7", "")]
    ['right', 'wrong value', 'unreadable answer', 'empty answer']
    >>> [grade(p, f"\n<answer>{t}</answer>").reason for t in ("7+7+25+4*4-2", "53")]
    ['numbers not used once each', 'numbers not used once each']
    >>> [grade(p, f"<answer>\n{t}\n</answer>").reason for t in ("25+4*7", "-(-25-4*7)")]
    ['right', 'right']
    """
    given = read_tags(completion)
    if given.answer is None:
        return Grade(False, False, None, given.reason)
    tree = expressions.parse(given.answer)
    if tree is None:
        return Grade(False, False, None, "unreadable answer")
    verdict = judge(tree, problem.meta["numbers"], problem.meta["target"])
    right = verdict == "right"
    reason = "text after the answer" if right and not given.ends else verdict
    return Grade(right, given.ends, given.answer, reason)


def step_labels(problem: Problem, completion: str) -> list[bool]:
    r"""For each step: is the target still within reach? An attempt that is announced ("wait,")
    begins with all numbers again; one that its writer rejects is over; the answer is right or not.

    >>> p = make_problem([4, 7, 25], 53)
    >>> step_labels(p, " 25-7=18, 18+4=22 no\nwait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>")
    [False, False, True, True, True, True]
    """
    numbers, target = problem.meta["numbers"], problem.meta["target"]
    left, alive, labels = Counter(numbers), True, []
    for part in re.findall(r"[^,\n]*[,\n]|[^,\n]+\Z", completion):
        words = part.strip(", \n")
        if words == REFLECTION_WORD:
            left, alive = Counter(numbers), True
        elif OPEN in words:
            alive = grade(problem, words).correct
        else:
            step = read_step(words.removesuffix(f" {ACCEPT}").removesuffix(f" {REJECT}"))
            alive = alive and step is not None and use(left, step)
            alive = alive and target in reach.reachable(tuple(sorted(left.elements())))
            alive = alive and not words.endswith(f" {REJECT}")
        labels.append(alive)
    return labels


def use(left: Counter[int], step: Step) -> bool:
    """Put a step's result in the place of its operands; False if it is wrong or uses a number that
    is not there."""
    if not expressions.is_true(step) or not expressions.runs([step], left):
        return False
    left.subtract((step.a, step.b))
    left[step.result] += 1
    return True


def judge(tree: Tree, numbers: list[int], target: int) -> str:
    """The verdict on an expression, in a short phrase."""
    if Counter(expressions.leaves(tree)) != Counter(numbers):
        return "numbers not used once each"
    made = expressions.value(tree)
    return "division by zero" if made is None else "right" if made == target else "wrong value"
