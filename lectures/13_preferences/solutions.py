"""Lecture 13, language as a decision process, people's preferences: the exercises. Write the
functions below, then check them:

    python -m course.grade lectures/13_preferences

Shapes: N comparisons, B sequences, T tokens. None of the functions needs more than six lines.
"""

import torch
from torch import Tensor


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """What a reward model minimises: scores of the preferred and of the other answers, two `[N]` ->
    a tensor without axes.

        p(chosen is preferred) = sigmoid(chosen - rejected)          loss = - mean of log p

    Scores may be far apart: a difference of -1000 gives a loss of 1000, not infinity.

    Scores 2 and 1 give - log sigmoid(1) = 0.313262; two equal scores give log 2 = 0.693147.
    """
    ### BEGIN SOLUTION
    return -torch.nn.functional.logsigmoid(chosen - rejected).mean()
    ### END SOLUTION


def preference_accuracy(chosen: Tensor, rejected: Tensor) -> float:
    """How often a reward model agrees with the people: two `[N]` -> a number from 0 to 1.

    The share of comparisons in which the preferred answer has the higher score. Equal scores count
    one half: a model that gives the same score to everything is as good as a coin, not better and
    not worse.

    Scores `[2, 0, 1]` of preferred and `[1, 1, 1]` of other answers give 0.5: right, wrong, a half.
    """
    ### BEGIN SOLUTION
    right = (chosen > rejected).double() + 0.5 * (chosen == rejected).double()
    return right.mean().item()
    ### END SOLUTION


def token_rewards(
    rewards: Tensor, logp: Tensor, ref_logp: Tensor, mask: Tensor, beta: float
) -> Tensor:
    """The reward of each token: `rewards[B]`, `logp, ref_logp, mask [B, T]` -> `[B, T]`, without
    gradient.

        r_t = - beta (logp_t - ref_logp_t)          and rewards[i] more at the last sampled token

    The first part is what moving away from the reference model costs, token by token; its sum over
    an answer estimates beta times the KL divergence. `mask` is 1 on the tokens that the policy
    sampled (EOS is one of them) and 0 on padding, where the reward is 0 and the inputs may hold
    anything, NaN included. Every row has at least one sampled token.

    Reward 1, mask `[1, 1, 0]`, log-probabilities `[-1, -2, 0]`, reference `[-2, -1, 0]`, beta 0.1:
    `[-0.1, 1.1, 0]`.
    """
    ### BEGIN SOLUTION
    mask = mask.bool()
    price = beta * (logp - ref_logp).detach()
    still_to_come = mask.flip(1).cumsum(1).flip(1)  # sampled tokens from here on, this one included
    last = mask & (still_to_come == 1)
    return torch.where(last, rewards.detach()[:, None], 0.0) - torch.where(mask, price, 0.0)
    ### END SOLUTION
