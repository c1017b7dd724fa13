r"""long-sums: products, sums and differences of numbers with one to four digits, in the head or by
the calculator.

    Question: What is 4837*296-51?
    Answer:
    <tool:calculator>4837*296</tool><result>1431752</result>
    <tool:calculator>1431752-51</tool><result>1431701</result>
    #### 1431701

Sums of one digit are soon known by heart, so problems of one digit have two steps: the whole is new
where its steps are not. A product of two long numbers is never known. `ood` has numbers of five and
six digits.
"""

import random

from minilrm.tasks.base import TOOL_STYLE, Problem, split_of
from minilrm.tasks.calculator import evaluate
from minilrm.tasks.tooled.task import ToolTask, call, worked, wrong_number

WORDINGS = ("What is {sum}?", "Work out {sum}.", "How much is {sum}?")
SIGNS = ("+", "-", "*", "*")


class Sums(ToolTask):
    """One operation, or two. The level is the number of digits of the largest number."""

    name = "long-sums"
    tools = ("calculator",)
    max_new_tokens = 112
    levels = {n: f"{n} digit{'s' * (n > 1)}" for n in range(1, 7)}

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        self.check(split)
        while True:
            digits = rng.randint(5, 6) if split == "ood" else rng.randint(1, 4)
            steps = draw(rng, digits)
            written = whole(steps)
            key = f"sums:{written}"
            if split in ("ood", split_of(key)):
                prompt = rng.choice(WORDINGS).replace("{sum}", written)
                meta = {"steps": steps, "level": digits}
                return Problem(self.name, prompt, steps[-1][1], key, len(steps), meta)

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        self.check(style=style)
        steps = [(sum_, value) for sum_, value in problem.meta["steps"]]
        if style == "reflex":
            return worked([], problem.answer)
        if style == "careless":
            slip = wrong_number(problem.answer, rng)
            return worked([*map(by_hand, steps[:-1]), by_hand((steps[-1][0], slip))], slip)
        if style == TOOL_STYLE:
            return worked(called(steps, rng), problem.answer)
        return worked([by_hand(step) for step in steps], problem.answer)


Step = tuple[str, str]  # a sum and its value


def draw(rng: random.Random, digits: int) -> list[Step]:
    """One or two steps, whose largest number has so many digits; no result is negative."""

    def number(most: int) -> int:
        return rng.randint(10 ** (most - 1) if most > 1 else 2, 10**most - 1)

    sign = rng.choice(SIGNS)
    shorter = max(1, digits - 1)
    a, b = number(digits), number(shorter if sign == "*" else rng.randint(shorter, digits))
    if sign == "-":
        a, b = max(a, b), min(a, b)
    first = f"{a}{sign}{b}"
    value = str(evaluate(first))
    if digits > 1 and (sign != "*" or rng.random() < 0.7):
        return [(first, value)]
    c = min(number(digits), int(value))
    second = f"{value}{rng.choice('+-')}{c}"
    return [(first, value), (second, str(evaluate(second)))]


def whole(steps: list[Step]) -> str:
    """All steps as one sum.

    >>> whole([("3*4", "12"), ("12-5", "7")])
    '3*4-5'
    """
    first, value = steps[0]
    return first + "".join(sum_.removeprefix(value) for sum_, _ in steps[1:])


def by_hand(step: Step) -> str:
    """A step as GSM8K writes it: `<<12-5=7>>7`."""
    return f"<<{step[0]}={step[1]}>>{step[1]}"


def called(steps: list[Step], rng: random.Random) -> list[str]:
    """The lines of a solution that uses the calculator: for all at once, step by step, for the last
    step alone, or to check what was worked out by hand, rightly or not."""
    calls = [call("calculator", *step) for step in steps]
    once = call("calculator", whole(steps), steps[-1][1])
    way = rng.choice(("once", "once", "each", "last", "check"))
    if way == "once":
        return [once]
    if way == "each":
        return calls
    if way == "last":
        return [*map(by_hand, steps[:-1]), calls[-1]]
    guess = steps[-1][1] if rng.random() < 0.5 else wrong_number(steps[-1][1], rng)
    return [*map(by_hand, steps[:-1]), by_hand((steps[-1][0], guess)), once]
