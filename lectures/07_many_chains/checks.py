"""What lecture 7 holds its exercises to. Reference values: by hand, by going through all series of
answers, and by the library."""

import itertools
import math

from course.grade import exercise, expect, expect_close, expect_raises, reject
from minilrm import intervals
from minilrm.inference import voting

FORBIDDEN = ("minilrm.inference", "minilrm.intervals")


# -- weighted_vote ---------------------------------------------------------------------------------


def vote(student, answers, scores, wanted, why):
    said = student.weighted_vote(list(answers), list(scores))
    expect(
        said == wanted,
        f"{answers} with scores {scores} gives {wanted!r}, and you say {said!r}: {why}",
    )


@exercise("weighted_vote", points=2)
def sums(student):
    """The greatest sum wins; None abstains."""
    two_against_one = ["5", "7", "5"]
    vote(student, two_against_one, [0.25, 0.75, 0.25], "7",
         "0.75 is more than 0.25 + 0.25; add the scores, do not count the chains")  # fmt: skip
    vote(student, two_against_one, [0.5, 0.75, 0.5], "5",
         "0.5 + 0.5 is more than 0.75; the sum of an answer's scores counts, neither its best "
         "score nor their mean")  # fmt: skip
    vote(student, ["1", "2", "1", "2"], [0.5, 0.75, 0.5, 0.125], "1",
         "1.0 against 0.875; add the scores, do not multiply them")  # fmt: skip
    vote(student, [None, "5", None], [0.75, 0.25, 0.75], "5",
         "None abstains, whatever its score is")  # fmt: skip
    vote(student, ["a", "b", "a", "c", "c", "c"], [1.0, 2.5, 1.0, 0.25, 0.25, 0.25], "b",
         "2.5 is more than 2.0 and than 0.75")  # fmt: skip
    vote(student, [" 5", "5", " 5"], [0.25, 0.625, 0.25], "5",
         "answers are compared as they are")  # fmt: skip
    for nobody in ([None, None], []):
        said = student.weighted_vote(nobody, [0.5] * len(nobody))
        expect(said is None, f"{nobody}: nobody voted, so the answer is None, and you say {said!r}")
    expect_raises(
        ValueError,
        lambda: student.weighted_vote(["5", "7"], [0.5]),
        "two answers and one score must be a ValueError: zip(..., strict=True) says so by itself",
    )


@exercise("weighted_vote", points=1)
def ties_and_signs(student):
    """Of equals the one seen first; sums of 0 and below."""
    for answers, scores in (
        (["c", "a", "b"], [0.5, 0.5, 0.5]),
        (["b", "a", "a"], [1.0, 0.5, 0.5]),
        (["b", "a", "a", "b"], [0.5, 0.5, 0.5, 0.5]),
        (["a", "b", "b", "a"], [0.25, 0.5, 0.25, 0.5]),
        ([None, "3", "1"], [2.0, 1.0, 1.0]),
        (list("fedcba"), [0.5] * 6),
        (list("abcdef"), [0.5] * 6),
        (list("cafebd"), [0.5] * 6),
    ):
        first = next(answer for answer in answers if answer is not None)
        said = student.weighted_vote(list(answers), list(scores))
        if said != first and said in answers:
            reject(
                f"{answers} with scores {scores}: the sums are equal, so the answer seen first "
                f"({first!r}) wins, and you say {said!r}: neither the alphabet nor which sum is "
                "complete first decides"
            )
        vote(student, answers, scores, first, "the sums are equal, so the first one seen wins")
    vote(student, ["5", "7"], [0.0, 0.0], "5", "an answer with the sum 0 wins if none has more")
    vote(student, ["5", "7", "7"], [-3.0, -1.0, -1.0], "7",
         "-2 is more than -3; do not begin the comparison with 0")  # fmt: skip


# -- best_of_n -------------------------------------------------------------------------------------

# answers, scores, the chain that is chosen, why
BEST = [
    (["5", "7", "7"], [0.75, 0.5, 0.5], 0, "one chain with 0.75 is the best; nothing is added up"),
    (["5", "7", "9"], [0.25, 0.5, 0.75], 2, "the greatest score is the best one"),
    (["5", None, "7"], [0.5, 0.9, 0.75], 2, "a chain without an answer is never chosen"),
    (["5", "7", "9"], [-3.0, -1.0, -2.0], 1, "scores may be negative: do not begin with 0"),
    ([None, "5"], [-1.0, -2.0], 1, "the second chain is the only one with an answer"),
    (["5", "7", "7", "5"], [0.5, 0.75, 0.75, 0.25], 1, "of equal scores the first is chosen"),
    (["9", "8", "7"], [0.5, 0.5, 0.5], 0, "of equal scores the first is chosen"),
    ([None, "8", "7"], [0.0, 0.0, 0.0], 1, "of equal scores the first with an answer is chosen"),
    (["", "5"], [0.75, 0.5], 0, "only None is no answer"),
]


@exercise("best_of_n", points=2)
def the_best_chain(student):
    """Its index, by nine cases and by nothing at all."""
    for answers, scores, wanted, why in BEST:
        said = student.best_of_n(list(answers), list(scores))
        case = f"{answers} with scores {scores}"
        expect(
            said is None or (isinstance(said, int) and not isinstance(said, bool)),
            f"{case}: the index of a chain is asked for, such as {wanted}, and you say {said!r}",
        )
        expect(said == wanted, f"{case} gives {wanted}, and you say {said!r}: {why}")
    for nobody in ([], [None, None]):
        said = student.best_of_n(nobody, [0.5] * len(nobody))
        expect(said is None, f"{nobody}: no chain has an answer, so None; you say {said!r}")


# -- vote_curve ------------------------------------------------------------------------------------


def by_binomial(p, k):
    """Two answers: more than half of k, and half of the ties."""
    terms = [math.comb(k, c) * p**c * (1 - p) ** (k - c) for c in range(k + 1)]
    half = terms[k // 2] / 2 if k % 2 == 0 else 0.0
    return sum(t for c, t in enumerate(terms) if 2 * c > k) + half


def by_series(chances, k):
    """All series of k answers, each with its probability; the first seen of equals wins."""
    found = 0.0
    for series in itertools.product(range(len(chances)), repeat=k):
        if intervals.majority(series) == 0:
            found += math.prod(chances[i] for i in series)
    return found


def curve(student, chances, ks):
    found = student.vote_curve(list(chances), list(ks))
    expect(
        isinstance(found, list) and len(found) == len(ks),
        f"one number for each k of {ks} is asked for, as a list; you gave {found!r}",
    )
    return found


@exercise("vote_curve", points=2)
def two_answers(student):
    """Against the binomial sums: a vote makes a model more like itself, in both directions."""
    for p in (0.6, 0.4, 0.75, 0.1):
        ks = [1, 3, 5, 2, 4, 8, 15]
        for k, found in zip(ks, curve(student, (p, 1 - p), ks), strict=True):
            wanted = by_binomial(p, k)
            ties = math.comb(k, k // 2) * (p * (1 - p)) ** (k // 2) / 2 if k % 2 == 0 else 0.0
            expect_close(
                found,
                wanted,
                f"chances ({p}, {1 - p:g}), k = {k}",
                {
                    f"k = {k}: a tie counts one half, and you count it as lost": wanted - ties,
                    f"k = {k}: a tie counts one half, and you count it as won": wanted + ties,
                    f"k = {k}: this is the chance that all chains are right": p**k,
                    f"k = {k}: this is the chance that at least one chain is right (pass@k)": 1
                    - (1 - p) ** k,
                    f"k = {k}: this is the chance of one chain; a vote changes it": p,
                    f"k = {k}: this is how often the wrong answer wins; chances[0] is that of the "
                    "right one": 1 - wanted,
                },
                tolerance=1e-9,
            )
    found = curve(student, (1.0, 0.0), [1, 4, 7])
    expect_close(found, [1.0, 1.0, 1.0], "a chain that is always right: so is the vote")


@exercise("vote_curve", points=2)
def several_answers(student):
    """Scattered wrong answers, one common wrong answer, ties of three."""
    for chances, ks in (
        ((0.4, 0.2, 0.2, 0.2), [1, 2, 3, 5, 6]),
        ((0.4, 0.6), [1, 3, 7]),
        ((0.4, 0.5, 0.1), [1, 3, 4, 7]),
        ((0.25, 0.25, 0.25, 0.25), [3, 4]),
        ((0.7, 0.1, 0.2), [6, 2]),
        ((0.0, 0.5, 0.5), [4]),
        ((1.0,), [3]),
    ):
        for k, found in zip(ks, curve(student, chances, ks), strict=True):
            wanted = by_series(chances, k)
            counts = [c for c in itertools.product(range(k + 1), repeat=len(chances))
                      if sum(c) == k]  # fmt: skip
            said = f"chances {chances}, k = {k}"
            expect_close(
                found,
                wanted,
                said,
                {
                    f"{said}: you ask for more than half of the votes; more than any other answer "
                    "has is enough": by_binomial(chances[0], k),
                    f"{said}: you ask for more than half of the votes; more than any other has is "
                    "enough": sum(weight(c, chances) for c in counts if 2 * c[0] > k),
                    f"{said}: of m answers that share the first place each wins with 1 / m, and "
                    "you count a tie as lost": sum(
                        weight(c, chances) for c in counts if c[0] > max((0, *c[1:]))
                    ),
                    f"{said}: of m answers that share the first place each wins with 1 / m, not "
                    "with 1 / 2": sum(
                        weight(c, chances) / min(2, c.count(max(c)))
                        for c in counts
                        if c[0] == max(c)
                    ),
                    f"{said}: count the orders in which votes can come, k! / (c_0! c_1! ...)": sum(
                        math.prod(p**n for p, n in zip(chances, c, strict=True)) / c.count(max(c))
                        for c in counts
                        if c[0] == max(c)
                    ),
                },
                tolerance=1e-9,
            )


def weight(counts, chances):
    """The probability of these counts."""
    k, orders = sum(counts), 1
    for c in counts:
        orders, k = orders * math.comb(k, c), k - c
    return orders * math.prod(p**c for p, c in zip(chances, counts, strict=True))


# -- stays_ahead -----------------------------------------------------------------------------------

# votes of the first and the second -> P(p > 1/2), by hand
EXACT = {
    (3, 1): 13 / 16,
    (0, 0): 1 / 2,
    (1, 0): 3 / 4,
    (2, 0): 7 / 8,
    (4, 0): 31 / 32,
    (1, 1): 1 / 2,
    (2, 1): 11 / 16,
    (4, 2): 99 / 128,
    (0, 1): 1 / 4,
}


@exercise("stays_ahead", points=2)
def small_counts(student):
    """Nine values by hand."""
    for (a, b), wanted in EXACT.items():
        n = a + b + 1
        expect_close(
            student.stays_ahead(a, b),
            wanted,
            f"{a} votes against {b}",
            {
                f"{a} against {b}: the two answers are swapped": 1 - wanted,
                f"{a} against {b}: this is the leader's share of the votes, not how sure its lead "
                "is": a / (a + b) if a + b else math.nan,
                f"{a} against {b}: this is the mean of p; asked for is the probability that p is "
                "above 1/2": (a + 1) / (a + b + 2),
                f"{a} against {b}: the sum goes up to k = first, that one included": wanted
                - math.comb(n, a) / 2**n,
                f"{a} against {b}: the density is that of Beta(first + 1, second + 1): n is first "
                "+ second + 1": sum(math.comb(a + b, k) for k in range(a)) / 2 ** (a + b),
            },
            tolerance=1e-9,
        )


@exercise("stays_ahead", points=1)
def large_counts(student):
    """Exact at a thousand votes, too."""
    for a, b in ((30, 20), (60, 41), (600, 500), (1000, 999), (1500, 1500)):
        expect_close(
            student.stays_ahead(a, b),
            voting.stays_ahead(a, b),
            f"{a} votes against {b}: exact is asked for, not an approximation",
            tolerance=1e-9,
        )
    spent = next(n for n in range(1, 50) if student.stays_ahead(n, 0) > 0.95)
    expect(
        spent == 4,
        "with 0.95 as the bound a vote may stop after 4 chains that agree; yours stops after "
        f"{spent}",
    )
