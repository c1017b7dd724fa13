"""Lecture 7, many chains: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/07_many_chains

All four work on plain Python values. None needs a tensor, and the longest needs about ten lines.
"""

import itertools
import math


def weighted_vote(answers: list[str | None], scores: list[float]) -> str | None:
    """The answer whose chains have the greatest sum of scores: n answers, n scores -> one answer.

    `answers[i]` is the answer of chain i, `scores[i]` what a verifier says of that chain. None
    means that the chain has no answer: it abstains, whatever its score is. Among answers with equal
    sums the one that was *seen first* wins. No vote at all gives None. Scores may be 0 or negative,
    and an answer with such a sum wins, too, if no other has a greater one.

    `["5", "7", "5"]` with scores 0.5, 0.75, 0.5 gives "5" (1.0 against 0.75); with scores 0.25,
    0.75, 0.25 it gives "7". With equal positive scores this is the majority vote.
    """
    ### BEGIN SOLUTION
    votes: dict[str, float] = {}  # keeps the order of first sight
    for answer, score in zip(answers, scores, strict=True):
        if answer is not None:
            votes[answer] = votes.get(answer, 0.0) + score
    return max(votes, key=votes.__getitem__, default=None)
    ### END SOLUTION


def best_of_n(answers: list[str | None], scores: list[float]) -> int | None:
    """Which chain has the best score: n answers, n scores -> the chain's index, or None.

    A chain without an answer (None) is never chosen, whatever its score is. Of chains with equal
    scores the first is chosen. If no chain has an answer, the result is None. Scores may be
    negative: a log-probability always is.

    `["5", None, "7"]` with scores -3.0, -1.0, -2.0 gives 2.
    """
    ### BEGIN SOLUTION
    able = [i for i, answer in enumerate(answers) if answer is not None]
    return max(able, key=lambda i: scores[i], default=None)
    ### END SOLUTION


def vote_curve(chances: list[float], ks: list[int]) -> list[float]:
    """How often a vote of k chains is right, for each k of `ks`: exact, no simulation.

    `chances[0]` is the probability that one chain gives the right answer; the other entries are
    those of the wrong answers. They sum to 1, and chains are independent. The answer with most
    votes wins, and more than half is not needed. Of m answers that share the first place each has
    been seen first with probability 1 / m, so such a vote counts 1 / m if the right answer is among
    them.

    The probability that the answers get c_0, c_1, ... votes of k = c_0 + c_1 + ... is

        k! / (c_0! c_1! ...) * chances[0]**c_0 * chances[1]**c_1 * ...

    At most four answers and k at most 15: there is no need to be clever.

    Chances (0.6, 0.4) give 0.6 for k = 1, 0.36 + 0.48 / 2 = 0.6 for k = 2 and 0.648 for k = 3.
    """
    ### BEGIN SOLUTION
    curve = []
    for k in ks:
        right = 0.0
        for counts in itertools.product(range(k + 1), repeat=len(chances)):
            first = max(counts)
            if sum(counts) == k and counts[0] == first:
                orders = math.factorial(k) // math.prod(map(math.factorial, counts))
                chance = math.prod(p**c for p, c in zip(chances, counts, strict=True))
                right += orders * chance / counts.count(first)
        curve.append(right)
    return curve
    ### END SOLUTION


def stays_ahead(first: int, second: int) -> float:
    """How probable it is that the leader of a vote is really the more frequent of the two answers.

    `first` votes for the leader and `second` votes for the runner-up are taken as draws of a coin
    whose chance p of the leader is unknown, and before the first draw all p were equally probable.
    Then p has the density of Beta(first + 1, second + 1), and asked for is P(p > 1/2):

        integral from 1/2 to 1 of p**first (1 - p)**second dp
        -----------------------------------------------------
        integral from 0   to 1 of p**first (1 - p)**second dp

    Exact but for rounding, at counts of a thousand, too: section 2 of the lecture has a sum that
    equals it. Whole numbers of Python have any size, and the quotient of two large ones is exact;
    `2.0 ** 2000` is an overflow.

    No votes give 0.5; one vote against none 0.75; four against none 31/32 = 0.96875; four against
    two 99/128.
    """
    ### BEGIN SOLUTION
    n = first + second + 1
    return sum(math.comb(n, k) for k in range(first + 1)) / 2**n
    ### END SOLUTION
