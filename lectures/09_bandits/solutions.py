"""Lecture 9, bandits, Markov decision processes, returns: the exercises. Write the functions below,
then check them:

    python -m course.grade lectures/09_bandits

Shapes: K arms, T steps, S states, A actions. None of the functions needs more than six lines.
"""

import torch
from torch import Tensor


def running_mean(mean: float, n: int, reward: float) -> float:
    """The mean of n + 1 rewards, given the mean of the first n and the last one. No list of old
    rewards is kept.

        new mean = mean + (reward - mean) / (n + 1)

    Before the first reward n is 0, and whatever `mean` was is forgotten.

    The mean of two rewards is 3; a third reward of 6 makes it 4.
    """
    ### BEGIN SOLUTION
    return mean + (reward - mean) / (n + 1)
    ### END SOLUTION


def epsilon_greedy(values: Tensor, epsilon: float) -> Tensor:
    """The epsilon-greedy policy as probabilities: `values[K]` (the estimated worth of each arm) ->
    `[K]`, summing to 1.

    With probability epsilon any arm, all alike, the best one among them; otherwise the best one.
    Where several arms are equally good, they share equally.

    Values `[1, 3, 2, 0]` and epsilon 0.2 give `[0.05, 0.85, 0.05, 0.05]`: 0.2 / 4 for each, and 0.8
    more for the best.
    """
    ### BEGIN SOLUTION
    best = (values == values.max()).to(values.dtype)
    return epsilon / len(values) + (1 - epsilon) * best / best.sum()
    ### END SOLUTION


def discounted_return(rewards: Tensor, gamma: float) -> Tensor:
    """The return from each step on: `rewards[T]` -> `[T]`.

        G_t = r_t + gamma r_{t+1} + gamma^2 r_{t+2} + ...  =  r_t + gamma G_{t+1}

    `rewards[t]` is what step t earned; after the last step there is nothing.

    Rewards `[0, 0, 1]` and gamma 0.9 give `[0.81, 0.9, 1]`.
    """
    ### BEGIN SOLUTION
    returns = rewards.clone()
    for t in reversed(range(len(rewards) - 1)):
        returns[t] += gamma * returns[t + 1]
    return returns
    ### END SOLUTION


def policy_value(transition: Tensor, rewards: Tensor, policy: Tensor, gamma: float) -> Tensor:
    """The exact value of each state under a policy: `transition[S, A, S]`, `rewards[S, A]`,
    `policy[S, A]` -> `[S]`.

        V(s) = sum_a pi(a | s) (r(s, a) + gamma sum_s' p(s' | s, a) V(s'))         gamma below 1

    `transition[s, a]` holds the probabilities of the next state, `rewards[s, a]` the expected
    reward of action a in state s, `policy[s]` the probabilities of the actions. These are S linear
    equations for S unknowns; solve them, do not iterate.

    A chain of four states in which the only sensible action leads one to the right: it earns 1 in
    state 2, and state 3 leads nowhere and earns nothing. A policy that always goes right has, with
    gamma 0.9, the values `[0.81, 0.9, 1, 0]`.
    """
    ### BEGIN SOLUTION
    earned = (policy * rewards).sum(dim=1)
    # From state s to state t under the policy.
    moves = torch.einsum("sa,sat->st", policy, transition)
    identity = torch.eye(len(earned), dtype=earned.dtype)
    return torch.linalg.solve(identity - gamma * moves, earned)
    ### END SOLUTION
