"""Many chains and a choice among them.

    majority          the answer with most votes                      (self-consistency, 2203.11171)
    best_of_n         the chain with the best score
    weighted          the answer with the greatest sum of scores      (2206.02336)
    adaptive          majority, that stops as soon as the leader is safe   (2305.11860)

All of them draw chains one by one until the budget ends. A chain that the budget cuts off has no
vote.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

from minilrm.inference.requests import Method, Piece, Run

SURE = 0.95  # how probable it must be that the leader stays the leader
FEWEST = 2  # chains before `adaptive` may stop


def majority(run: Run) -> Method:
    """The answer of most chains. Of equals, the one that came first."""
    chains: list[Piece] = []
    while run.left > 0:
        chains += yield run.chain()
    return run.answer(elect(run, chains, lambda chain: 1.0), chains)


def best_of_n(run: Run) -> Method:
    """The chain that the verifier likes best; without a verifier, the likeliest per token."""
    chains: list[Piece] = []
    while run.left > 0:
        chains += yield run.chain(judge=True)
    answers = [chain for chain in chains if run.vote_key(chain) is not None]
    return run.answer(max(answers, key=quality, default=None), chains)


def weighted(run: Run) -> Method:
    """The answer whose chains have the greatest sum of scores."""
    chains: list[Piece] = []
    while run.left > 0:
        chains += yield run.chain(judge=True)
    return run.answer(elect(run, chains, quality), chains)


def adaptive(run: Run) -> Method:
    """Majority that stops when it is probable enough that its leader would stay ahead.

    The votes for the leader and for the second, a and b, are taken as draws of a coin whose chance
    is unknown: P(the leader is the likelier one) = P(p > 1/2) under Beta(a + 1, b + 1).
    """
    chains: list[Piece] = []
    while run.left > 0:
        chains += yield run.chain()
        first, second = leaders(run, chains)
        if len(chains) >= FEWEST and stays_ahead(first, second) > SURE:
            break
    return run.answer(elect(run, chains, lambda chain: 1.0), chains)


# -- the choice ------------------------------------------------------------------------------------


def quality(chain: Piece) -> float:
    """The score of a whole chain: that of its last step. A verifier of steps says there how
    probable it is that all is right so far."""
    return chain.scores[-1] if chain.scores else 0.0


def elect(run: Run, chains: Sequence[Piece], weight: Callable[[Piece], float]) -> Piece | None:
    """The first chain of the answer with the greatest sum of weights; None where nobody votes."""
    votes: dict[str, float] = defaultdict(float)
    first: dict[str, Piece] = {}
    for chain in chains:
        key = run.vote_key(chain)
        if key is not None:
            votes[key] += weight(chain)
            first.setdefault(key, chain)
    return first[max(votes, key=votes.__getitem__)] if votes else None


def leaders(run: Run, chains: Sequence[Piece]) -> tuple[int, int]:
    """The votes of the first and of the second answer."""
    keys = [run.vote_key(chain) for chain in chains]
    counts = sorted((keys.count(key) for key in set(keys) if key is not None), reverse=True)
    return (*counts, 0, 0)[0], (*counts, 0, 0)[1]


def stays_ahead(first: int, second: int) -> float:
    """P(p > 1/2) for p ~ Beta(first + 1, second + 1), which a sum of binomials gives exactly.

    >>> [round(stays_ahead(a, b), 3) for a, b in ((0, 0), (1, 0), (4, 0), (4, 2))]
    [0.5, 0.75, 0.969, 0.773]
    """
    n = first + second + 1
    return sum(math.comb(n, k) for k in range(first + 1)) / 2**n
