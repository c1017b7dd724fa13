"""Over-optimisation in two forms (Gao, Schulman and Hilton, 2210.10760), over the distance from the
first policy, d = sqrt(KL):

    best-of-n                R(d) = R(0) + d (alpha - beta d)       turns at alpha / (2 beta)
    reinforcement learning   R(d) = R(0) + d (alpha - beta log d)   turns at exp(alpha / beta - 1)

R is what is true of the answers. Where beta is above 0 it rises and falls again, however much the
judge's score still promises.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from minilrm.intervals import mean

Fitted = tuple[float, float, float]  # R(0), alpha, beta
LEAST_POINTS = 3  # as many as there are numbers to fit


def squared(d: np.ndarray) -> np.ndarray:
    """What beta multiplies in the form for best-of-n."""
    return d * d


def d_log_d(d: np.ndarray) -> np.ndarray:
    """What beta multiplies in the form for reinforcement learning; 0 at d = 0."""
    return d * np.log(np.where(d > 0, d, 1.0))


Form = Callable[[np.ndarray], np.ndarray]


def fit(distances: Sequence[float], rewards: Sequence[float], form: Form) -> Fitted | None:
    """R(0), alpha and beta by least squares; None where there are fewer than three distances. R(0)
    is fitted, too, since the first step of a run is as noisy as any other.

    >>> d = [0.0, 0.5, 1.0, 2.0]
    >>> [round(float(x), 3) for x in fit(d, [0.1 + x * (0.4 - 0.1 * x) for x in d], squared)]
    [0.1, 0.4, 0.1]
    """
    d, r = np.asarray(distances, float), np.asarray(rewards, float)
    if len(set(d.tolist())) < LEAST_POINTS:
        return None
    columns = np.stack([np.ones_like(d), d, -form(d)], 1)
    (start, alpha, beta), *_ = np.linalg.lstsq(columns, r, rcond=None)
    return float(start), float(alpha), float(beta)


def curve(fitted: Fitted, distances: Sequence[float], form: Form) -> list[float]:
    """R at these distances."""
    start, alpha, beta = fitted
    d = np.asarray(distances, float)
    return (start + alpha * d - beta * form(d)).tolist()


def turn(fitted: Fitted | None, form: Form, farthest: float) -> float | None:
    """The distance at which R is highest, or None where it turns nowhere within what was measured.

    >>> turn((0.1, 0.4, 0.1), squared, farthest=3.0)
    2.0
    >>> print(turn((0.1, 0.4, 0.1), squared, farthest=1.5), turn((0.1, 0.4, 0), d_log_d, 9.0))
    None None
    """
    if fitted is None or fitted[2] <= 0:
        return None
    _, alpha, beta = fitted
    at = alpha / (2 * beta) if form is squared else math.exp(min(50.0, alpha / beta - 1))
    return at if 0 < at < farthest else None


def at_equal_distance(
    one: tuple[Sequence[float], Sequence[float]],
    other: tuple[Sequence[float], Sequence[float]],
    bins: int = 8,
) -> float | None:
    """How much higher the values of one run lie than those of another at the same distance: the
    mean over bins of distance that both have been in; None where there are none.

    one, other: (distances, values), a value a step.

    >>> at_equal_distance(([0.0, 1.0, 2.0], [0.2, 0.4, 0.9]), ([0.0, 1.0], [0.1, 0.3]), bins=2)
    0.1
    """
    common = min(max(one[0], default=0.0), max(other[0], default=0.0))
    if common <= 0:
        return None

    def by_bin(run: tuple[Sequence[float], Sequence[float]]) -> dict[int, float]:
        found: dict[int, list[float]] = {}
        for d, value in zip(*run, strict=True):
            if d <= common:
                found.setdefault(min(bins - 1, int(d / common * bins)), []).append(value)
        return {place: mean(values) for place, values in found.items()}

    first, second = by_bin(one), by_bin(other)
    gaps = [first[place] - second[place] for place in first if place in second]
    return round(mean(gaps), 6) if gaps else None
