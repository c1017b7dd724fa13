"""More thinking for hard questions, less for easy ones, at the same total.

Each problem gets a guess of how probable it is that one of its chains is right; then the tokens are
given out chain by chain, each to the problem whose accuracy it raises most. Where any right chain
is found (a verifier, or the model's own check), the k-th chain adds

    p (1 - p)^(k - 1)

so hopeless problems get little, and so do easy ones that have had their chain (2410.04707).

Where the guesses come from:

    probes      the verdicts on four chains each, which are paid for
    length      how long the question is, which is free
    judge       what a process model says of the question before anything is written, which is free
"""

import heapq
from collections.abc import Sequence

PROBES = 4


def allocate(chances: Sequence[float], total: float, price: float) -> list[int]:
    """Chains for each problem, so that the expected number of solved problems is greatest for
    `total` tokens at `price` tokens a chain. Exact, since what a chain adds only falls.

    >>> allocate([0.9, 0.5, 0.0], total=40, price=10)
    [1, 3, 0]
    """
    counts = [0] * len(chances)
    heap = [(-p, i) for i, p in enumerate(chances)]
    heapq.heapify(heap)
    for _ in range(int(total / price)):
        gain, i = heapq.heappop(heap)
        counts[i] += 1
        heapq.heappush(heap, (gain * (1 - chances[i]), i))
    return counts


def binned(
    features: Sequence[float], outcomes: Sequence[float], bins: int = 8
) -> list[tuple[float, float]]:
    """A guess of the chance by a feature, learnt on other problems: (upper end of a bin, mean
    outcome in it), bins of equal counts.

    >>> binned([1, 2, 3, 4], [1.0, 1.0, 0.0, 0.5], bins=2)
    [(2, 1.0), (inf, 0.25)]
    """
    order = sorted(range(len(features)), key=lambda i: features[i])
    cuts = [order[k * len(order) // bins : (k + 1) * len(order) // bins] for k in range(bins)]
    table = [
        (features[part[-1]], sum(outcomes[i] for i in part) / len(part)) for part in cuts if part
    ]
    return [*table[:-1], (float("inf"), table[-1][1])]


def guess(table: Sequence[tuple[float, float]], feature: float) -> float:
    """The mean outcome of the bin that a feature falls into."""
    return next(outcome for end, outcome in table if feature <= end)
