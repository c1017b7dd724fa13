"""The far end of best-of-n: what a judge promises, and what is true, when more and more chains are
drawn and the one that it likes best is taken (Gao, Schulman and Hilton, 2210.10760).

The distance from the policy is d = sqrt(KL), and best-of-n has KL = log n - (n - 1) / n. The true
reward is fitted with R(d) = R(0) + d (alpha - beta d): it rises, and where beta is above 0 falls
again behind d = alpha / (2 beta), however much the judge still promises.
"""

import math
from collections.abc import Sequence

import numpy as np


def distance(n: int) -> float:
    """sqrt(KL) between best-of-n and the policy.

    >>> round(distance(1), 3), round(distance(4), 3), round(distance(64), 3)
    (0.0, 0.798, 1.782)
    """
    return math.sqrt(math.log(n) - (n - 1) / n)


def expected_best(scores: Sequence[float], values: Sequence[float], n: int) -> float:
    """The mean value of the chain with the best score among n that are drawn without replacement
    from those given; chains of equal scores share their chance.

    >>> expected_best([0.1, 0.5, 0.9], [1.0, 0.0, 0.0], 1)  # the mean of all
    0.3333333333333333
    >>> expected_best([0.1, 0.5, 0.9], [1.0, 0.0, 1.0], 2)  # the last one in two draws of three
    0.6666666666666666
    """
    order = np.argsort(scores, kind="stable")
    ranked = np.asarray(values, float)[order]
    of = np.asarray(scores, float)[order]
    for score in np.unique(of):  # a tie is broken at random
        ranked[of == score] = ranked[of == score].mean()
    total = len(ranked)
    # The k-th from below is the best of n where the other n - 1 are among the k below it.
    chances = np.array([math.comb(k, n - 1) for k in range(total)], float) / math.comb(total, n)
    return float(chances @ ranked)


def fit(distances: Sequence[float], rewards: Sequence[float]) -> tuple[float, float]:
    """(alpha, beta) of R(d) = R(0) + d (alpha - beta d) by least squares; R(0): the first reward.

    >>> alpha, beta = fit([0.0, 1.0, 2.0], [0.1, 0.4, 0.3])
    >>> round(alpha, 3), round(beta, 3)
    (0.5, 0.2)
    """
    d, gain = np.asarray(distances, float), np.asarray(rewards, float) - rewards[0]
    (alpha, minus_beta), *_ = np.linalg.lstsq(np.stack([d, d * d], 1), gain, rcond=None)
    return float(alpha), float(-minus_beta)
