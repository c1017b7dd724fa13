"""What checks.py plays with: answers to countdown problems, a policy that is a table, rows of
scores."""

import itertools
import random

import torch

from minilrm.tasks import get_task, reach
from minilrm.tasks.countdown import make_problem

# -- countdown -------------------------------------------------------------------------------------


class Reach:
    """Whether a target is within reach of what is left; keeps what it was asked for."""

    def __init__(self, target):
        self.target, self.asked = target, []

    def __call__(self, left):
        self.asked.append(sorted(left))
        return self.target in reach.reachable(tuple(sorted(left)))


def anything(left):
    """For steps that are to be judged by their sums and their numbers alone."""
    return True


# numbers, steps, labels where all is within reach, what a wrong answer may be about
SUMS = [
    ([4, 7, 25], [(4, "*", 7, 28), (28, "+", 25, 53)], [True, True],
     "the result of a step is one of the numbers of the next one"),
    ([4, 7, 25], [(4, "+", 7, 11), (4, "+", 25, 29)], [True, False],
     "the 4 was taken by the first step: an operand is taken away"),
    ([4, 7, 25], [(4, "*", 7, 29), (29, "+", 25, 54)], [False],
     "4*7 is not 29: a step is right only if its sum is true"),
    ([5, 2, 2], [(5, "+", 5, 10)], [False],
     "there is one 5: two equal operands need two equal numbers"),
    ([5, 5, 2], [(5, "-", 2, 3), (5, "+", 3, 8)], [True, True],
     "there are two 5s, and a step takes one of them"),
    ([2, 7, 25], [(7, "/", 2, 3)], [False], "7/2 does not come out even"),
    ([6, 3, 2], [(6, "/", 3, 2), (2, "*", 2, 4)], [True, True], "6/3=2 is true, and leaves two 2s"),
    ([4, 4, 8], [(4, "-", 4, 0), (8, "/", 0, 8)], [True, False], "nothing divides by 0"),
    ([4, 4, 8, 8], [(4, "-", 4, 0), (8, "-", 8, 0), (0, "/", 0, 1)], [True, True, False],
     "nothing divides by 0, whatever the result"),
    ([3, 8, 9], [(3, "-", 8, -5), (9, "+", -5, 4)], [True, True],
     "the sums are true, and whether a number below 0 leads on is for `can_reach` to say"),
    ([4, 7, 25], [], [], "no steps have no labels"),
]  # fmt: skip
# numbers, target, steps, labels, what a wrong answer may be about
REACH = [
    ([2, 19, 18], 35, [(19, "-", 2, 17), (17, "+", 18, 35)], [True, True],
     "17 and 18 are left after the first step, and make 35: a step is not wrong because its result "
     "is far from the target"),
    ([2, 19, 18], 35, [(18, "*", 2, 36)], [False],
     "36 is near to 35, and 35 is out of reach of 36 and 19: `can_reach` says so"),
    ([1, 2, 3, 4], 24, [(2, "*", 3, 6), (4, "-", 1, 3), (6, "*", 3, 18)], [True, False],
     "24 is out of reach of 6 and 3"),
]  # fmt: skip


def answers(count, seed=0):
    """(numbers, target, steps) of random answers to countdown problems of three to five numbers:
    most steps are possible moves, and some are not."""
    rng, found = random.Random(seed), []
    for i in range(count):
        numbers = [rng.randint(1, 13) for _ in range(3 + i % 3)]
        target = rng.choice(sorted(reach.reachable(tuple(sorted(numbers)))))
        left, steps = list(numbers), []
        while len(left) > 1:
            a, b = rng.sample(left, 2)
            step = rng.choice(reach.moves(a, b))
            result = step.result + (rng.random() < 0.06)
            steps.append((step.a, step.op, step.b, result))
            if rng.random() > 0.06:  # else the operands stay, and are taken twice
                left.remove(a)
                left.remove(b)
            left.append(result)
        found.append((numbers, target, steps))
    return found


def told(numbers, target, steps):
    """What the library says of the same steps, written as a completion."""
    text = "".join(f" {a}{sign}{b}={result}," for a, sign, b, result in steps)
    return get_task("countdown").step_labels(make_problem(numbers, target), text)


# -- roll-outs -------------------------------------------------------------------------------------


class Policy:
    """Writes what its table has for a text; keeps what it was asked for."""

    def __init__(self, table):
        self.table, self.asked = table, []

    def __call__(self, text, n):
        self.asked.append((text, n))
        return list(self.table.get(text, ["?"]))[:n]


STEPS = ["a,", "b,", "c,", "d"]
WAYS = {
    "a,": ["x", "b,c,e", "y", "z"],  # 1 of 4 right
    "a,b,": ["c,e", "f", "c,e", "c,e"],  # 3 of 4
    "a,b,c,": ["y", "d", "z", "x"],  # none, though the answer itself is among them
    "a,b,c,d": ["e", "e", "e", "e"],  # nobody is to ask for this
    "": ["a,b,c,e", "x", "y", "a,b,c,e"],
    "b,": ["c,e", "c,e", "x", "y"],
    "c,": ["e", "e", "e", "e"],
}
RIGHT = {"a,b,c,e", "e", "c,e"}  # "e" and "c,e" alone are right, too, but no answer here is either


def worlds(n):
    """All ways in which n roll-outs can be right (True) or wrong, each with its chance."""
    return [
        (ways, lambda p, ways=ways: p ** sum(ways) * (1 - p) ** (n - sum(ways)))
        for ways in itertools.product((True, False), repeat=n)
    ]


# -- rows of scores --------------------------------------------------------------------------------

NAN = float("nan")
# scores, mask, min, product, last
ROWS = [
    ([0.5, 0.25, 0.75, 1.0], [1, 1, 1, 1], 0.25, 0.09375, 1.0),
    ([0.5, 0.25, 0.75, 0.125], [1, 1, 1, 0], 0.25, 0.09375, 0.75),
    ([0.5, 0.125, 0.25, 0.75], [1, 0, 1, 0], 0.25, 0.125, 0.25),
    ([0.125, 0.75, 0.5, 0.25], [0, 1, 1, 0], 0.5, 0.375, 0.5),
    ([0.75, 0.5, 0.25, 0.125], [1, 0, 0, 0], 0.75, 0.75, 0.75),
    ([0.25, 0.5, 0.25, 0.875], [0, 0, 0, 1], 0.875, 0.875, 0.875),
    ([0.0, 0.5, 1.0, 0.5], [1, 0, 1, 1], 0.0, 0.0, 0.5),
]


def rows(filler):
    """ROWS as tensors [7, 4]: scores, mask; `filler` where the mask is 0."""
    scores = torch.tensor([row[0] for row in ROWS], dtype=torch.float64)
    mask = torch.tensor([row[1] for row in ROWS])
    return scores.masked_fill(mask == 0, filler), mask


PLACE = {"min": 2, "product": 3, "last": 4}  # of what is wanted, in ROWS


def mistakes_of(how, filler):
    """message -> the value that this mistake gives, with `filler` where the mask is 0."""
    scores, mask = rows(filler)
    row, count = torch.arange(len(mask)), mask.sum(1)
    zeros = scores.masked_fill(mask == 0, 0.0)
    wanted = {name: torch.tensor([r[i] for r in ROWS]).double() for name, i in PLACE.items()}
    return {
        "min": {
            "the *lowest* score of the steps; you have the highest": zeros.amax(1),
            "where the mask is 0 there is no step; you take a 0 there for the lowest score": (
                zeros.amin(1)
            ),
            "this is the product": wanted["product"],
        },
        "product": {
            "where the mask is 0 there is no step; a factor 0 there makes all of the product 0": (
                zeros.prod(1)
            ),
            "this is the mean of the scores; multiply them": zeros.sum(1) / count,
            "this is the sum of the logarithms; take exp of it": wanted["product"].log(),
            "the product itself is asked for, not its K-th root": wanted["product"] ** (1 / count),
            "this is the lowest score": wanted["min"],
        },
        "last": {
            "you take the last column; the last step is the last one whose mask is 1": scores[
                :, -1
            ],
            "you take the place mask.sum() - 1; there may be holes before the last step": (
                scores[row, count - 1]
            ),
            "this is the first step's score": scores[row, mask.argmax(1)],
        },
    }[how]


# -- a judge's scores ------------------------------------------------------------------------------

QUARTERS = ([0.125, 0.125, 0.3125, 0.625, 0.625, 0.625, 0.9375, 0.8125],
            [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0])  # fmt: skip
# its bins of 1/4: how many scores, mean score, mean label, middle
BINS = [(2, 1 / 8, 1 / 2, 1 / 8), (1, 5 / 16, 0.0, 3 / 8), (3, 5 / 8, 2 / 3, 5 / 8),
        (2, 7 / 8, 1.0, 7 / 8)]  # fmt: skip


def mistakes_in_quarters():
    """message -> the value that this mistake gives for QUARTERS in four bins."""
    n, cases = 8, list(zip(*QUARTERS, strict=True))
    gaps = [(count, score - label) for count, score, label, _ in BINS]
    return {
        "each bin counts with its number of scores; you take the plain mean of the bins": (
            sum(abs(gap) for _, gap in gaps) / len(gaps)
        ),
        "differences of opposite sign do not cancel: the absolute value is that of each bin": (
            abs(sum(count * gap for count, gap in gaps)) / n
        ),
        "the absolute value of each bin's difference is missing": (
            sum(count * gap for count, gap in gaps) / n
        ),
        "this is the largest difference of a bin; the expected one is asked for": (
            max(abs(gap) for _, gap in gaps)
        ),
        "the *mean score* of a bin is compared, not its middle": (
            sum(count * abs(middle - label) for count, _, label, middle in BINS) / n
        ),
        "the absolute difference, not its square": sum(c * gap**2 for c, gap in gaps) / n,
        "this is the mean distance of each score from its own label; a bin is compared by its "
        "means": sum(abs(s - y) for s, y in cases) / n,
        "this is the mean squared error (Brier), which no bins enter": (
            sum((s - y) ** 2 for s, y in cases) / n
        ),
        "divide by the number of scores": 1.4375,
    }
