"""Lecture 10, values: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/10_values

Shapes: S states, A actions. `transition[s, a]` holds the probabilities of the next state,
`rewards[s, a]` the expected reward of action a in state s, as in lecture 9. None of the functions
needs more than ten lines.
"""

import torch
from torch import Tensor


def value_iteration(
    transition: Tensor, rewards: Tensor, gamma: float, tolerance: float = 1e-10
) -> Tensor:
    """The values of the best policy: `transition[S, A, S]`, `rewards[S, A]` -> `[S]`.

        V(s) <- max_a ( r(s, a) + gamma sum_s' p(s' | s, a) V(s') )

    for all states, again and again, from V = 0 until no value changes by more than `tolerance` in a
    sweep. gamma is below 1.

    Two states. In state 0, action 0 stays and earns 1, action 1 goes to state 1 and earns 0. In
    state 1 both stay and earn 2. With gamma 0.5 the values are `[2, 4]`: staying in 0 is worth 1 /
    (1 - 0.5) = 2, and so is going, 0.5 * 4.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def greedy_policy(transition: Tensor, rewards: Tensor, values: Tensor, gamma: float) -> Tensor:
    """The action with the best outlook in each state, given values: `[S, A, S]`, `[S, A]`, `[S]` ->
    `[S]`, integers.

        argmax_a ( r(s, a) + gamma sum_s' p(s' | s, a) V(s') )

    Of equally good actions the first is taken. In the example above with gamma 0.9 the values are
    `[18, 20]`, and going is better in state 0: `[1, 0]`.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def mc_value(episodes: list[list[tuple[int, float]]], states: int, gamma: float) -> Tensor:
    """Values from experience alone, by Monte Carlo: the mean return after the first visit of each
    state. -> `[states]`.

    An episode is a list of steps (state, reward): in that state something was done, and it earned
    that reward. The return of a step is r_t + gamma r_{t+1} + gamma^2 r_{t+2} + ... to the end of
    its episode. For each episode and each state in it only the first visit counts. A state that was
    never visited has the value 0.

    The episodes `[(0, 0.0), (1, 1.0)]` and `[(0, 0.0), (0, 0.0)]` with gamma 1 and 3 states give
    `[0.5, 1, 0]`.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION


def td0_update(
    values: Tensor, state: int, reward: float, next_state: int | None, alpha: float, gamma: float
) -> Tensor:
    """One update by temporal difference after a single step: `values[S]` -> new values `[S]`.

        V(s) <- V(s) + alpha (r + gamma V(s') - V(s))

    `next_state` is None where the episode ended; what follows is then worth 0. All other values
    stay. The argument is not changed.

    Values `[0.5, 0.5]`, from state 0 to state 1 with reward 0, alpha 0.1, gamma 0.8: `[0.49, 0.5]`.
    """
    ### BEGIN SOLUTION
    raise NotImplementedError
    ### END SOLUTION
