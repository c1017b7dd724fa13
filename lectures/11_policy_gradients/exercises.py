"""Lecture 11, policy gradients: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/11_policy_gradients

A bandit with K arms: `theta[K]` are logits, the policy is pi = softmax(theta), pulling an arm earns
a reward. Other shapes: N samples; B sequences, T tokens. In the examples pi = (1/2, 1/4, 1/4), that
is `theta = log([0.5, 0.25, 0.25])`. None of the functions needs more than six lines.
"""

import torch
from torch import Tensor


def score(theta: Tensor, action: int) -> Tensor:
    """The score function, the gradient of log pi(action) with respect to the logits: `theta[K]` ->
    `[K]`.

        d log pi(a) / d theta_k = 1 - pi_k  for k = a,   - pi_k  for the others

    with pi = softmax(theta). In words: pulling a's logit up makes a likelier, pulling any other one
    up makes it less likely.

    Action 0 of the example gives `[0.5, -0.25, -0.25]`. The numbers of a score always sum to 0.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def reinforce_gradient(theta: Tensor, actions: Tensor, rewards: Tensor) -> Tensor:
    """REINFORCE's estimate of the gradient of the expected reward: `theta[K]`, `actions[N]`,
    `rewards[N]` -> `[K]`.

        1/N sum_i r_i grad log pi(a_i)

    The actions (integers) were sampled from pi; `rewards[i]` is what `actions[i]` earned. No
    baseline here. It points uphill: a bit of it added to theta raises the expected reward.

    Actions `[0, 2]` with rewards `[1, 4]` give `[-0.75, -0.625, 1.375]`: half of 1 * (0.5, -0.25,
    -0.25) plus half of 4 * (-0.5, -0.25, 0.75).
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def baseline(rewards: Tensor) -> Tensor:
    """For each sample the mean reward of the other samples: `rewards[N]` -> `[N]`, N at least 2.

        b_i = 1/(N - 1) sum_{j != i} r_j

    Subtracted from r_i it lowers the variance of the gradient. It leaves the mean of the gradient
    as it is because the other samples know nothing of action i; that is why r_i itself must not be
    in it.

    Rewards `[1, 0, 0, 1]` give `[1/3, 2/3, 2/3, 1/3]`.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def reinforce_loss(logp: Tensor, rewards: Tensor, baselines: Tensor, mask: Tensor) -> Tensor:
    """A loss whose gradient is minus the policy gradient: `logp, mask [B, T]`,
    `rewards, baselines [B]` -> no axes.

        L = - 1/B sum_i (r_i - b_i) log pi(o_i),     log pi(o_i) = sum_t m_it logp_it

    `logp[i, t]` is the log-probability of token t of answer i; `mask` is 1 on the tokens that the
    policy sampled and 0 on all others, where `logp` may hold anything. Autograd does the rest.
    Gradient flows through `logp` alone: for the policy's loss a baseline is a number, even if a
    network computed it.

    One answer of two tokens with log-probabilities -1 and -2, reward 1, baseline 0.5: the loss is
    1.5, its gradient with respect to each of the two log-probabilities -0.5.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
