"""Lecture 19, verifiers and process reward models: the exercises. Write the functions below, then
check them:

    python -m course.grade lectures/19_verifiers

Two of them make labels of steps, one makes one score of many, and one measures a judge. No model is
needed: where a policy has to write, a function that you are given plays it.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Step = tuple[int, str, int, int]  # (a, sign, b, result): the sum "a sign b = result"


def label_steps(
    numbers: list[int], steps: list[Step], can_reach: Callable[[list[int]], bool]
) -> list[bool]:
    """Exact labels of an answer's steps, up to and including the first wrong one: K steps -> at
    most K labels (the labels of PRM800K, arXiv 2305.20050, for countdown).

    The answer begins with `numbers`. A step (a, sign, b, result), such as (4, "*", 7, 28), takes a
    and b away and puts the result in their place. The sign is one of + - * /, and all numbers are
    whole. A step is right, and its label is True, if all three hold:

    1. a and b are there: among what is left of the numbers and the results so far. Each one can be
       taken once, so two equal operands need two equal numbers.
    2. The sum is true. A division must come out even, and nothing divides by 0, whatever the
       result.
    3. The target is still within reach: `can_reach(left)` says so of a list of all that is left
       after the step, in any order.

    The first wrong step has the label False, and it is the last label: nobody can say what a step
    is worth that goes on from a mistake.

    From 4, 7, 25 to the target 53: [(4, "*", 7, 28), (28, "+", 25, 53)] gives [True, True], and
    [(25, "-", 7, 18), (18, "+", 4, 22)] gives [False], since 53 is out of reach of 18 and 4. No
    steps give [].
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def mc_label(
    steps: list[str],
    roll_out: Callable[[str, int], list[str]],
    is_right: Callable[[str], bool],
    n: int,
    hard: bool = False,
) -> list[float]:
    """Labels of steps by roll-outs, without a person and without a rule for steps: K texts -> K
    labels in [0, 1] (Math-Shepherd, arXiv 2312.08935, equations 3 and 4).

    The answer is the texts of its steps, one behind the other. `roll_out(text, n)` lets the policy
    write n continuations behind a text that has begun, and gives a list of the n new texts, without
    that text. `is_right(answer)` grades a *whole* answer, from its first step on.

    For each step but the last: n continuations from the end of this step, the step included. Its
    label is, if `hard` is False, the share of them that make a right answer (soft), and with `hard`
    1.0 if any of them does and else 0.0. The last step ends the answer, so there is nothing to roll
    out: its label is 1.0 or 0.0, as the answer is right or not.

    Three steps "a,", "b,", "c" and n = 4: `roll_out` is asked for ("a,", 4) and ("a,b,", 4). If of
    the first four one makes a right answer, of the second four none does, and "a,b,c" is wrong, the
    soft labels are [0.25, 0.0, 0.0] and the hard ones [1.0, 0.0, 0.0].

    The soft label is unbiased: its expectation is the chance p that a continuation is right. That
    of the hard label is 1 - (1 - p)^n: with p = .25 and n = 8 it is 1.0 nine times in ten.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def aggregate_steps(scores: Tensor, mask: Tensor, how: str) -> Tensor:
    """One score for each answer, out of the scores of its steps: scores[B, K], mask[B, K] -> [B].

        min       the lowest score of its steps           (Math-Shepherd, arXiv 2312.08935)
        product   of the scores of all its steps          (PRM800K, arXiv 2305.20050)
        last      the score of its last step

    Scores are floats in [0, 1]. The mask is 1 where a step has a score and 0 elsewhere; each row
    has at least one 1. Where it is 0 the scores are not to be used: anything may stand there, NaN
    included, in front, in between and at the end. The last step is the last one whose mask is 1.
    Another `how` is a ValueError.

    Scores [0.5, 0.25, 0.75, NaN] with the mask [1, 1, 1, 0] give 0.25 by min, 0.09375 by product
    and 0.75 by last.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def calibration_error(scores: list[float], labels: list[float], bins: int = 10) -> float:
    """Expected calibration error of a judge: n scores, n labels -> one number in [0, 1] (arXiv
    1706.04599; here of the score itself, and with bins that are closed at the left).

        sum over bins of  n_bin / n * | mean score in the bin - mean label in the bin |

    [0, 1] is cut into `bins` bins of equal width: bin b holds the scores s with
    b / bins <= s < (b + 1) / bins, and the last bin holds 1.0 as well. A bin without a score is
    left out. Labels are in [0, 1], 0.0 and 1.0 or the shares of `mc_label`. There is at least one
    score; the number of scores and of labels must be the same, or it is a ValueError.

    Scores 0.25, 0.25, 0.75, 0.75 with labels 0, 0, 1, 0 and 2 bins: 2/4 * |0.25 - 0| + 2/4 *
    |0.75 - 0.5| = 0.25.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
