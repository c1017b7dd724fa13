"""Lecture 16, variants and pathologies: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/16_variants_and_pathologies

Shapes: P prompts, G completions a prompt, B sequences (B = P * G), T tokens. `mask[B, T]` is 1 on
the tokens that the policy sampled, EOS included. Where it is 0 an entry may hold anything that is
finite, and counts nowhere.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def dr_grpo_loss(
    logp: Tensor,
    old_logp: Tensor,
    rewards: Tensor,
    mask: Tensor,
    max_length: int,
    clip: float = 0.2,
) -> Tensor:
    """Dr. GRPO's loss (arXiv 2503.20783): `logp, old_logp, mask [B, T]`, `rewards[P, G]` -> a
    tensor without axes.

        A_i  = r_i - mean of its group                                      no std
        loss = - 1/(B L) sum_i sum_t min(rho A, clip(rho, 1 - clip, 1 + clip) A)

    with L = max_length, and no |o_i|.
    Rows 0 .. G-1 of `logp` are the first prompt's completions, in the order of `rewards`; then come
    the second's. Gradient flows through `logp` alone.

    One prompt, rewards [[1, 0]], both answers of two tokens, L = 4, and logp = old_logp (all ratios
    1): the advantages are 1/2 and -1/2, the loss is -(2 * 1/2 - 2 * 1/2) / (2 * 4) = 0. With ratio
    1.1 on the first answer it is -(1.1 - 1) / 8 = -0.0125.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def gspo_ratio(logp: Tensor, old_logp: Tensor, mask: Tensor) -> Tensor:
    """GSPO's importance ratio of a whole sequence (arXiv 2507.18071): `[B, T]` x3 -> `[B]`.

        s_i = (pi(o_i) / pi_old(o_i)) ^ (1 / |o_i|) = exp(1/|o_i| sum_t (logp_it - old_logp_it))

    Gradient flows through `logp` alone: d s_i / d logp_it = s_i / |o_i|. A sequence without any
    token has the ratio 1.

    Log-ratios [.2, -.1, .05], all masked in, have the mean .05 and give 1.051271.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def cispo_loss(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, cap: float = 1.28
) -> Tensor:
    """CISPO's loss (arXiv 2506.13585): `logp, old_logp, mask [B, T]`, `advantages[B]` -> a tensor
    without axes.

        loss = - 1/N sum_i sum_t  stop_gradient(min(rho, cap))  A_i  logp_it

    with N the number of all tokens that count. The ratio is only a weight, bounded above and not
    below. Gradient flows through the last `logp` alone, so every token keeps one.

    One token with logp = log .65 and old_logp = log .5 (ratio 1.3), A = 1: weight 1.28, loss
    0.551402 (-1.28 log .65) and its gradient with respect to logp -1.28.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def soft_overlong(lengths: list[int], max_length: int, cache: int) -> list[float]:
    """What DAPO adds to the reward of long completions (arXiv 2503.14476, eq. 13): lengths ->
    numbers from -1 to 0.

        0                                         up to max_length - cache
        (max_length - cache - length) / cache     from there to max_length: a slope down to -1
        -1                                        beyond

    max_length 100 and cache 20: lengths [80, 85, 90, 100, 101] give [0, -.25, -.5, -1, -1].
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def dynamic_filter(
    draw: Callable[[], list[list[float]]], wanted: int, rounds: int
) -> tuple[list[list[float]], int]:
    """DAPO's dynamic sampling: draw groups until `wanted` of them teach something -> (those groups,
    how often was drawn).

    `draw()` samples a batch and returns the rewards of its groups, one list a group. A group
    teaches if its rewards are not all equal. Keep groups in the order in which they came, and no
    more than `wanted`. Draw only while groups are still missing, and at most `rounds` times: a
    policy that is always right would be asked for ever. Then return those that there are.

    With wanted 2, rounds 9, and draws [[1, 1], [1, 0]], then [[0, 0], [0, 1]], the result is ([[1,
    0], [0, 1]], 2).
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def length_bias(lengths: list[int], how: str, max_length: int) -> list[float]:
    """The weight of ONE token of each answer in the loss, for a batch of answers with these lengths
    -> one number an answer.

        how = "sequence"   mean over each answer's tokens, then over the answers          GRPO
        how = "token"      mean over all tokens of the batch                              DAPO
        how = "constant"   sum over all tokens, over (answers times max_length)           Dr. GRPO

    Two answers of 4 and 8 tokens: "sequence" gives [1/8, 1/16]: a token of the long answer weighs
    half as much. "token" gives [1/12, 1/12], "constant" with max_length 10 [1/20, 1/20]. Any other
    `how` raises ValueError.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def diagnose(metrics: dict[str, list[float]]) -> str:
    """What ails a run? `metrics` has a list over its steps for each name -> one of eight words.

    Names: reward, accuracy, entropy, mean_length, cut (share of answers that ran into the limit),
    dull (share of groups of equal rewards), grad_norm, clipped (share of tokens whose gradient the
    clip stopped).

    Let first(x) and last(x) be the means of x over the first and the last quarter of the steps (n
    // 4 steps, one at least). The first line that holds gives the word:

        "cut off"        first(cut) > 0.5
        "all wrong"      first(dull) > 0.8 and first(accuracy) < 0.1
        "all right"      first(dull) > 0.5 and first(accuracy) > 0.9
        "stale"          the mean of clipped over ALL steps > 0.1
        "too fast"       last(accuracy) < first(accuracy) / 2
        "collapsed"      last(entropy) < first(entropy) / 10 and last(accuracy) < 0.9
        "wrong reward"   last(reward) > last(accuracy) + 0.5
        "healthy"        otherwise

    What they mean, in the same order: the limit is too short; too hard for this model, or never
    paid; nothing left to learn here; too many steps on one batch; the learning rate destroys the
    policy; samples are all alike, and not right; something else than right answers is paid.

    A run whose accuracy goes from 0.3 to 0.9 while entropy halves, with nothing cut or clipped, is
    "healthy".
    """

    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
