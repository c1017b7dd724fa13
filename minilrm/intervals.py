"""How sure a figure is: intervals, pass@k, votes. Pure functions on plain numbers; nothing here
knows a model.

A student's rule of thumb: of n = 1000 problems, an accuracy of 50 % is known to about 3 points
either way; of n = 100, to 10. Most "gains" in small studies are smaller than that.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np

TOO_FEW = 20  # a rate of fewer cases than this is not printed
# shares of the votes, for calibration; unanimity has a bin of its own
VOTE_BINS = (0.0, 0.25, 0.5, 0.75, 1.0)


def mean(values: Sequence[float]) -> float:
    """The mean as a float; NaN of nothing (which JSON writes as null)."""
    return float(sum(values)) / len(values) if len(values) else math.nan


def wilson_interval(successes: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a rate (1927): where the true rate lies, 95 times in 100 for z = 1.96.

        (p + z^2/2n  -+  z sqrt(p (1-p)/n + z^2/4n^2)) / (1 + z^2/n)        with p = successes / n

    Unlike p -+ z sqrt(p (1-p)/n) it stays within [0, 1], and is not empty where all or none
    succeed.

    >>> [round(x, 3) for x in wilson_interval(8, 10)], [round(x, 3) for x in wilson_interval(0, 10)]
    ([0.49, 0.943], [0.0, 0.278])
    >>> wilson_interval(0, 0)
    (0.0, 1.0)
    """
    if n == 0:
        return 0.0, 1.0
    p, square = successes / n, z * z / n
    centre = p + square / 2
    half = z * math.sqrt(p * (1 - p) / n + square / (4 * n))
    return max(0.0, (centre - half) / (1 + square)), min(1.0, (centre + half) / (1 + square))


def rate(values: Sequence[bool]) -> dict:
    """A rate with its interval and its count, as they stand in a result."""
    return {
        "accuracy": mean(values),
        "ci": list(wilson_interval(sum(values), len(values))),
        "n": len(values),
    }


def pass_at_k(n: int, c: int, k: int) -> float:
    """The chance that k of n samples hold a right one, if c of the n are right: unbiased (arXiv
    2107.03374).

        1 - C(n-c, k) / C(n, k)        every draw of k without replacement, less those that miss

    The tempting 1 - (1 - c/n)^k draws with replacement, and comes out too low.

    >>> [round(pass_at_k(10, 3, k), 6) for k in (1, 2, 5, 8)]
    [0.3, 0.533333, 0.916667, 1.0]
    """
    if not 1 <= k <= n:
        raise ValueError(
            f"pass@{k} needs at least {max(k, 1)} samples per problem and k >= 1; there are {n} "
            "samples"
        )
    return 1.0 - math.comb(n - c, k) / math.comb(n, k)


def majority(keys: Sequence[Hashable | None]) -> Hashable | None:
    """The answer with most votes; None abstains. Of equals the one seen first wins, so that a run
    can be repeated.

    >>> majority(["12", "7", None, "7"]), majority(["12", "7"]), majority([None])
    ('7', '12', None)
    """
    # a Counter remembers the order of first sight
    votes = Counter(key for key in keys if key is not None)
    return max(votes, key=votes.__getitem__, default=None)


def majority_is_right(keys: Sequence[Hashable | None], correct: Sequence[bool]) -> bool:
    """Whether the majority's answer is right: `correct[i]` is the verdict on sample i, whose vote
    is `keys[i]`."""
    winner = majority(keys)
    return winner is not None and bool(correct[list(keys).index(winner)])


def majority_at_k(keys: Sequence[Hashable | None], correct: Sequence[bool], k: int) -> float:
    """Expected accuracy of a vote among k samples of one problem, from its n samples.

    The samples are cut into consecutive blocks of k, each block votes, and the blocks are averaged:
    every sample is used once at most, so the estimate is unbiased. What does not fill a block is
    left out.

    >>> answers, right = ["7", "7", "5", "5", "5", "7", "7"], [1, 1, 0, 0, 0, 1, 1]
    >>> majority_at_k(answers, right, k=3)  # of the two whole blocks the first is right
    0.5
    """
    if not 1 <= k <= len(keys):
        raise ValueError(
            f"a vote of {k} needs that many samples per problem, and k >= 1; there are {len(keys)}"
        )
    starts = range(0, len(keys) - k + 1, k)
    return mean([majority_is_right(keys[i : i + k], correct[i : i + k]) for i in starts])


def calibration(votes: Sequence[tuple[Sequence[Hashable | None], Sequence[bool]]]) -> list[dict]:
    """Accuracy of the majority's answer by its share of the samples: how far can a clear vote be
    trusted?

    votes: (keys, correct) of each problem, as in `majority_at_k`; an abstention is a vote against.
    One entry a bin, of shares above `above` and up to `up_to`; the last is unanimity. A calibrated
    model has accuracy near mean_share in every bin. Problems without any vote are in no bin.

    >>> certain = (["7"] * 4, [True] * 4)
    >>> split = (["7", "7", "5", None], [False, False, True, False])
    >>> [(b["up_to"], b["n"], b["accuracy"]) for b in calibration([certain, split]) if b["n"]]
    [(0.5, 1, 0.0), (1.0, 1, 1.0)]
    """
    cases = []
    for keys, correct in votes:
        votes_for = Counter(key for key in keys if key is not None)
        cases.append(
            (max(votes_for.values(), default=0) / len(keys), majority_is_right(keys, correct))
        )
    table = []
    for low, high in [*pairwise(VOTE_BINS), (1.0, 1.0)]:
        inside = [c for c in cases if (c[0] == 1 if low == 1 else low < c[0] <= high and c[0] < 1)]
        table.append(
            {
                "above": low,
                "up_to": high,
                "mean_share": mean([share for share, _ in inside]),
                **rate([right for _, right in inside]),
            }
        )
    return table


def paired_bootstrap(
    a: Sequence[float],
    b: Sequence[float],
    samples: int = 2000,
    seed: int = 0,
    clusters: Sequence[Hashable] | None = None,
) -> tuple[float, float, float]:
    """mean(a) - mean(b) over the same problems, with its 95 % interval: (difference, low, high).

    `a[i]` and `b[i]` are two models' results on problem i. Problems are drawn again with
    replacement, each with both its results: what makes a problem hard for both then cancels out,
    and the interval is narrower than for two separate sets of problems. An interval that does not
    hold 0 is a difference.

    clusters: what each problem belongs to, where several are alike (stories of one structure, say):
    whole clusters are drawn again, and the interval tells of other clusters.

    >>> after, before = [1, 1, 1, 0] * 250, [1, 1, 0, 0] * 250
    >>> [round(x, 2) for x in paired_bootstrap(after, before)]
    [0.25, 0.22, 0.28]
    >>> [round(x, 2) for x in paired_bootstrap(after, before, clusters=[0, 0, 1, 0] * 250)]
    [0.25, 0.0, 1.0]
    """
    if len(a) != len(b) or len(a) == 0:
        raise ValueError(f"results are paired problem by problem; these are {len(a)} and {len(b)}")
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    rng, n = np.random.default_rng(seed), len(differences)
    if clusters is None:
        means = [differences[rng.integers(0, n, n)].mean() for _ in range(samples)]
    else:
        numbers = {cluster: i for i, cluster in enumerate(dict.fromkeys(clusters))}
        of = np.array([numbers[cluster] for cluster in clusters])
        sums, sizes = np.bincount(of, differences), np.bincount(of)
        chosen = rng.integers(0, len(sizes), (samples, len(sizes)))
        means = sums[chosen].sum(1) / sizes[chosen].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(differences.mean()), float(low), float(high)


def crossed_bootstrap(
    a: Sequence[Sequence[float]],
    b: Sequence[Sequence[float]],
    samples: int = 2000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """mean(a) - mean(b) with its 95 % interval over problems *and* seeds: (difference, low, high).

    `a[s][i]` is the result of seed s of one arm on problem i, `b` the same of another arm; the
    problems are the same, the seeds are independent of each other (an arm that has but one model
    has one row). Problems are drawn again with replacement, once for both arms; seeds are drawn
    again too, for each arm by itself. `paired_bootstrap` says how the difference would vary over
    other problems with these very trainings; this one says how it would vary over other trainings,
    too. Of S seeds the spread comes out too small by sqrt((S - 1) / S), a fifth for three: it is a
    least interval.

    >>> worse, better = [[0, 1] * 50] * 3, [[0, 1] * 50, [1, 1] * 50, [0, 1] * 50]
    >>> paired_bootstrap([1 / 3, 1] * 50, [0, 1] * 50)[1] > 0  # these three trainings do differ
    True
    >>> crossed_bootstrap(better, worse)[1] > 0  # but one in three says nothing of the next
    False
    """
    one, two = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if one.ndim != 2 or two.ndim != 2 or one.shape[1] != two.shape[1] or not one.size * two.size:
        raise ValueError(
            f"results are paired problem by problem, a row a seed; these are of shape {one.shape} "
            f"and {two.shape}"
        )
    rng, n = np.random.default_rng(seed), one.shape[1]

    def drawn(rows: np.ndarray) -> np.ndarray:
        """[samples, n]: each problem's mean over seeds that were drawn again."""
        again = rng.integers(0, len(rows), (samples, len(rows)))
        return rows[again].mean(1)

    chosen = rng.integers(0, n, (samples, n))
    means = np.take_along_axis(drawn(one) - drawn(two), chosen, 1).mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(one.mean() - two.mean()), float(low), float(high)
