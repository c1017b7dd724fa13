"""Lecture 12, actor-critic, trust regions, PPO: the exercises. Write the functions below, then
check them:

    python -m course.grade lectures/12_ppo

Shapes: T steps (tokens) of one episode, N tokens of a batch, V vocabulary. None of the functions
needs more than eight lines.
"""

import torch
from torch import Tensor


def gae(rewards: Tensor, values: Tensor, gamma: float = 1.0, lam: float = 0.95) -> Tensor:
    """Generalised advantage estimation of one episode: `rewards[T]`, `values[T]` -> advantages
    `[T]`, without gradient.

        delta_t = r_t + gamma V_{t+1} - V_t             how much better than the critic thought
        A_t     = delta_t + gamma lam A_{t+1}           from the last step backwards

    `values[t]` is what the critic expected before step t was taken. After the last step the episode
    is over: V and A are 0 there. The critic is trained by a loss of its own, so no gradient flows
    through `values` here.

    Rewards `[0, 0, 1]`, values `[0.5, 0.25, 0.75]`, gamma 1: delta is `[-0.25, 0.5, 0.25]`, and
    with lam 0.5 the advantages are `[0.0625, 0.625, 0.25]`: 0.5 + 0.5 * 0.25 = 0.625, then -0.25 +
    0.5 * 0.625 = 0.0625.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def ppo_clip_loss(logp: Tensor, old_logp: Tensor, advantages: Tensor, clip: float = 0.2) -> Tensor:
    """PPO's clipped policy loss, to be minimised: three `[N]` -> a tensor without axes.

        rho = exp(logp - old_logp)
        loss = - mean of min(rho A, clip(rho, 1 - clip, 1 + clip) A)

    One entry a token, each with an advantage of its own. Gradient flows through `logp` alone.

    Ratios 1.3 and 0.5 with advantages 1 and 2: the terms are 1.2 (clipped) and 1 (not clipped), the
    loss is -1.1.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def kl_categorical(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL(p || q) in nats of categorical distributions given by their logits: two `[..., V]` ->
    `[...]`.

        p = softmax(p_logits), q = softmax(q_logits)          KL = sum_v p_v (log p_v - log q_v)

    0 where they agree, else positive. What p never does costs nothing: a logit of -inf in
    `p_logits` (a banned token) contributes 0, whatever q says. Where q has -inf and p has not, KL
    is infinite.

    p = (1/2, 1/2) and q = (3/4, 1/4) give 1/2 log(2/3) + 1/2 log 2 = 0.143841; the other way round
    it is 0.130812.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
