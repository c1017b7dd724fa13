"""What lecture 6 holds its exercises to. Reference values: by enumeration, by hand, and by the
library's intervals."""

import itertools
import math
import random

from course.grade import close, exercise, expect, expect_close, expect_raises, reject
from minilrm import intervals

FORBIDDEN = ("minilrm.intervals", "minilrm.evaluate")


# -- pass_at_k -------------------------------------------------------------------------------------


@exercise("pass_at_k", points=2)
def by_enumeration(student):
    """Every way to draw k of n <= 6 samples, counted."""
    found = student.pass_at_k(10, 3, 2)
    expect_close(
        found,
        24 / 45,
        "10 samples, 3 right, k = 2: 24 of the 45 pairs hold a right one",
        {
            "1 - (1 - c/n)^k draws with replacement and comes out too low; you have n samples, so "
            "draw k of them without": 1 - 0.7**2,
            "this is the chance that all k samples are right; one is enough": 3 / 45,
            "this is the chance that none is right; take it from 1": 21 / 45,
            "k times c/n counts a pair with two right samples twice": 0.6,
            "this is c/n, whatever k is": 0.3,
            "this is the chance that exactly one is right; at least one is meant": 21 / 45,
            "cut to a whole number: divide with /, not with //": 1.0,
        },
        tolerance=1e-9,
    )
    for n in range(1, 7):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            draws = [
                any(draw) for draw in itertools.combinations([True] * c + [False] * (n - c), k)
            ]
            expect_close(
                student.pass_at_k(n, c, k),
                sum(draws) / len(draws),
                f"n = {n}, c = {c}, k = {k}: {sum(draws)} of {len(draws)} draws hold a right one",
                tolerance=1e-9,
            )


@exercise("pass_at_k", points=1)
def limits(student):
    """More samples than there are; and large numbers."""
    for n, k in ((8, 16), (8, 0)):
        expect_raises(
            ValueError,
            lambda n=n, k=k: student.pass_at_k(n, 3, k),
            f"k = {k} from n = {n} samples must be a ValueError: the formula holds for 1 <= k <= n",
        )
    for n, c, k, wanted in ((2000, 800, 2, 0.640120060), (2000, 20, 50, 0.398788332)):
        expect_close(
            student.pass_at_k(n, c, k), wanted, f"n = {n}, c = {c}, k = {k}", tolerance=1e-8
        )


# -- majority_vote ---------------------------------------------------------------------------------


@exercise("majority_vote", points=2)
def counts(student):
    """The most votes win; None abstains."""
    expect(
        student.majority_vote(["12", "7", None, "7"]) == "7",
        '["12", "7", None, "7"]: "7" has two votes',
    )
    said = student.majority_vote([None, None, "5", None])
    expect(
        said == "5",
        f'[None, None, "5", None] gives "5", and you say {said!r}: None abstains, it is no answer '
        "that can win",
    )
    said = student.majority_vote(["9", "10", "10"])
    expect(
        said == "10",
        f'["9", "10", "10"] gives "10", and you say {said!r}: count votes, do not compare the '
        "answers",
    )
    said = student.majority_vote(["1", "2", "3", "1"])
    expect(
        said == "1",
        f'["1", "2", "3", "1"] gives "1", and you say {said!r}: more votes than any other are '
        "enough, more than half are not needed",
    )
    said = student.majority_vote(["", "5", ""])
    expect(said == "", f'["", "5", ""] gives "", and you say {said!r}: only None abstains')
    said = student.majority_vote([" 5", "7", "5", "7", " 5", "7"])
    expect(
        said == "7",
        f'[" 5", "7", "5", "7", " 5", "7"] gives "7", and you say {said!r}: answers are compared '
        "as they are",
    )
    for nobody in ([None, None], []):
        said = student.majority_vote(nobody)
        expect(said is None, f"{nobody}: nobody voted, so the answer is None, and you say {said!r}")


@exercise("majority_vote", points=1)
def ties(student):
    """Of equals the one seen first."""
    for answers in (
        ["c", "a", "b"],
        ["a", "c", "b"],
        ["b", "c", "a"],
        ["12", "7"],
        ["b", "a", "a", "b"],
        ["a", "b", "b", "a"],
        [None, "3", "1", "2", "2", "1", "3"],
        list("fedcba"),
        list("abcdef"),
        list("cafebd"),
        list("bdface"),
    ):
        first = next(answer for answer in answers if answer is not None)
        said = student.majority_vote(answers)
        if said != first and answers.count(said) == answers.count(first):
            reject(
                f"{answers}: several answers have equally many votes, so the one seen first "
                f"({first!r}) wins, and you say {said!r}: the order of first sight decides. A set "
                "has no order, max and sorted go by the alphabet, and which answer is complete "
                "first does not matter"
            )
        expect(said == first, f"{answers} gives {first!r}, and you say {said!r}")


# -- wilson_interval -------------------------------------------------------------------------------


CASES = ((8, 10, 1.96), (8, 10, 1.0), (3, 7, 2.576), (50, 400, 1.96), (1, 3, 1.645), (5, 5, 1.96))


def wald(successes, n, z):
    p = successes / n
    half = z * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


@exercise("wilson_interval", points=2)
def values(student):
    """Six values from the formula, with four z, and no case at all."""
    for successes, n, z in CASES:
        low, high = intervals.wilson_interval(successes, n, z)
        centre, half, square, p = (low + high) / 2, (high - low) / 2, z * z / n, successes / n
        old = wald(successes, n, z)
        given = () if z == 1.96 else (z,)
        expect_close(
            student.wilson_interval(successes, n, *given),
            (low, high),
            f"{successes} of {n}, z = {z}",
            {
                "this is p -+ z sqrt(p(1-p)/n), the interval that Wilson's replaces": old,
                "this is p -+ z sqrt(p(1-p)/n) cut to [0, 1]; Wilson's has another centre and "
                "another width": (max(0.0, old[0]), min(1.0, old[1])),
                "the interval lies around p; Wilson's centre is p + z^2/2n, divided like the "
                "rest": (p - half, p + half),
                "high before low: return (low, high)": (high, low),
                "in per cent: return rates between 0 and 1": (100 * low, 100 * high),
                "the division by 1 + z^2/n is missing": (
                    low * (1 + square),
                    min(1.0, high * (1 + square)),
                ),
                "centre and half width, not the two ends": (centre, half),
                "z changes nothing: you have 1.96 in the formula": (
                    intervals.wilson_interval(successes, n)
                ),
            },
            tolerance=1e-6,
        )
    nothing = student.wilson_interval(0, 0)
    expect(
        close(nothing, (0.0, 1.0)), f"of 0 cases nothing is known: (0, 1), and you say {nothing!r}"
    )
    zero = student.wilson_interval(0, 10)
    expect(
        close(zero, (0.0, 0.277540), 1e-5) and zero[0] >= 0,
        f"0 of 10 gives (0, 0.27754), and you say {zero!r}",
    )


@exercise("wilson_interval", points=2)
def coverage(student):
    """Does it hold the true rate 95 times in 100? 6,000 experiments, rates spread over [0, 1]."""
    n, rng = 20, random.Random(6)
    intervals = [student.wilson_interval(c, n) for c in range(n + 1)]
    held = []
    for _ in range(6000):
        p = rng.random()
        low, high = intervals[sum(rng.random() < p for _ in range(n))]
        held.append(low <= p <= high)
    share = sum(held) / len(held)
    expect(
        share > 0.93,
        f"in a simulation with n = {n} your interval holds the true rate in {share:.1%} of the "
        "experiments; 95 % +- 2 is wanted: it is too narrow or in the wrong place",
    )
    expect(
        share < 0.97,
        f"in a simulation with n = {n} your interval holds the true rate in {share:.1%} of the "
        "experiments; 95 % +- 2 is wanted: it is too wide",
    )


# -- leakage ---------------------------------------------------------------------------------------

TRAIN = [
    "Tom has 3 red boxes and 4 blue boxes. How many boxes does Tom have?",
    "A train leaves at noon.",
    "It comes back at six in the evening.",
    "El niño tiene doce lápices.",
]


def compare(student, test, wanted, why, n=4):
    said = student.leakage(list(TRAIN), list(test), n)
    expect(
        isinstance(said, list) and all(type(i) is int for i in said),
        f"the answer is a list of indices of `test`, such as [0, 2], and you say {said!r}",
    )
    expect(
        said == wanted, f"n = {n}, test {test}: {why}; the answer is {wanted}, and you say {said!r}"
    )


# n, test texts, the indices that count, why
RUNS = [
    (
        4,
        ["What if Tom has 3 red boxes?"],
        [0],
        "it shares `tom has 3 red` with a training text; a copy need not be whole",
    ),
    (
        4,
        ["Blue and red boxes: how many has Tom?"],
        [],
        "all its words occur in a training text, but no four of them in a row, in that "
        "order; compare runs, not sets of words",
    ),
    (
        4,
        ["At noon it comes back."],
        [],
        "`at noon it comes` runs over the end of one training text into the next; texts are "
        "compared one by one",
    ),
    (
        4,
        ["Ann sings a song.", "Tom has 3 red boxes", "A train leaves at noon."],
        [1, 2],
        "the indices of `test` are asked for, in ascending order",
    ),
    (
        4,
        ["Tom has 3 red", "many boxes does Tom have"],
        [0, 1],
        "a run of exactly n words counts, wherever it stands",
    ),
    (
        3,
        ["Ann has 3 red", "3 red boxes and", "many blue skies", "back to noon"],
        [0, 1],
        "three words in a row are shared by the first two, two or one by the others",
    ),
    (
        1,
        ["Blue skies", "green"],
        [0],
        "with n = 1 one word in common is enough",
    ),
    (
        11,
        ["Tom has 3 red boxes and 4 blue boxes. How many are left?"],
        [0],
        "eleven words in a row are shared, up to `many`",
    ),
    (
        4,
        ["rain leaves at noon", "A train leaves at noonday"],
        [1],
        "`rain` and `train` are different words: compare words, not letters (`a train leaves "
        "at` is shared by the second)",
    ),
    (
        4,
        ["Tom has 3 red", "Tom has 3 red"],
        [0, 1],
        "each test text is judged by itself, also if it comes twice",
    ),
]


@exercise("leakage", points=2)
def runs_of_words(student):
    """What is shared must be n words in a row, in one text."""
    for n, test, wanted, why in RUNS:
        compare(student, test, wanted, why, n)


@exercise("leakage", points=2)
def spelling_and_short_texts(student):
    """Capitals, punctuation, numbers, short texts, empty texts."""
    compare(
        student, ["TOM HAS 3 RED BOXES"], [0], "capitals make no difference: lower() both sides"
    )
    compare(
        student,
        ["Tom has 7 red boxes"],
        [],
        "another number is another problem: digits are words like others",
    )
    compare(
        student,
        ["El ni o tiene doce", "El NIÑO tiene doce"],
        [1],
        "letters with accents are letters, so `niño` is one word",
    )
    compare(
        student,
        ['He said: "Tom has -- 3 red!"'],
        [0],
        r"punctuation makes no difference: take the words by re.findall(r'\w+', ...)",
    )
    compare(
        student,
        ["at noon", "noon at"],
        [0],
        "a test text of fewer than n words counts if all of them stand in a row",
        n=8,
    )
    compare(student, ["", "?!", "noon"], [2], "a text without words never counts", n=8)
    long = "Tom has 3 red boxes and 4 blue ones."
    compare(student, [long], [0], "eight words in a row are shared (up to `blue`)", n=8)
    compare(student, [long], [], "only eight words in a row are shared", n=9)
