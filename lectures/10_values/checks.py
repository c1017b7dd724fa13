"""What lecture 10 holds its exercises to: numbers by hand, and the equations that the values of the
best policy must fulfil."""

import copy

import torch

from course.grade import exercise, expect, expect_close

FORBIDDEN = ("minilrm.values", "minilrm.objectives")

DOUBLE = torch.float64


def double(numbers):
    return torch.tensor(numbers, dtype=DOUBLE)


def example(reward_of_going=0.0):
    """The two states of the docstring."""
    transition = torch.zeros(2, 2, 2, dtype=DOUBLE)
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, 0, 1] = transition[1, 1, 1] = 1
    return transition, double([[1.0, reward_of_going], [2.0, 2.0]])


def island():
    """Five states in a row, two actions: left and right, each slips with probability 0.2 the other
    way. The ends pay."""
    transition, rewards = torch.zeros(5, 2, 5, dtype=DOUBLE), torch.zeros(5, 2, dtype=DOUBLE)
    for s in range(5):
        left, right = max(s - 1, 0), min(s + 1, 4)
        transition[s, 0, left] += 0.8
        transition[s, 0, right] += 0.2
        transition[s, 1, left] += 0.2
        transition[s, 1, right] += 0.8
    rewards[0] = double([0.3, 0.0])
    rewards[4] = double([0.0, 1.0])
    rewards[2] = double([-0.1, -0.2])
    return transition, rewards


def world(seed, states, actions, shift=0.0):
    """A random world; the rewards lie between -1 and 1, moved by `shift`."""
    generator = torch.Generator().manual_seed(seed)
    transition = torch.rand(states, actions, states, generator=generator, dtype=DOUBLE) ** 3
    rewards = 2 * torch.rand(states, actions, generator=generator, dtype=DOUBLE) - 1 + shift
    return transition / transition.sum(2, keepdim=True), rewards


def outlooks(transition, rewards, values, gamma, state):
    """What each action promises in this state, in plain numbers."""
    promised = []
    for chances, reward in zip(transition[state].tolist(), rewards[state].tolist(), strict=True):
        ahead = sum(p * v for p, v in zip(chances, values, strict=True))
        promised.append(reward + gamma * ahead)
    return promised


# -- value_iteration -------------------------------------------------------------------------------


@exercise("value_iteration", points=3)
def best_of_all_policies(student):
    """Five states and two, by hand; then random worlds, by the equation of the best values."""
    transition, rewards = island()
    expect_close(
        student.value_iteration(transition, rewards, 0.8),
        double([1.476644, 1.447449, 1.892478, 2.907635, 4.070060]),
        "five states, gamma 0.8: the values of the best policy",
        {
            "you take the mean over the actions, not the best of them: the values of a policy that "
            "tosses a coin": double([0.396628, 0.219941, 0.153226, 0.538123, 1.192082]),
            "one sweep only; repeat until nothing changes": double([0.3, 0.0, -0.1, 0.0, 1.0]),
            "ten sweeps are not enough here; repeat until the largest change is below the "
            "tolerance": double([1.182757, 1.084430, 1.506224, 2.514463, 3.675087]),
            "you take the worst action (min)": double(
                [-0.266389, -0.349636, -0.479709, -0.349636, -0.266389]
            ),
            "your rewards and your outlook take their best action apart: one max over the sum of "
            "both": double([1.532295, 1.542387, 2.026905, 2.937693, 4.083419]),
        },
        tolerance=2e-6,
    )
    transition, rewards = example()
    expect_close(
        student.value_iteration(transition, rewards, 0.5),
        double([2.0, 4.0]),
        "the example of the docstring",
        tolerance=1e-6,
    )
    for seed, (states, actions), gamma, shift in (
        (1, (4, 3), 0.9, 0.0),
        (2, (3, 4), 0.6, -2.0),
        (3, (6, 1), 0.995, 0.3),
        (4, (1, 5), 0.3, -1.5),
    ):
        transition, rewards = world(seed, states, actions, shift)
        found = student.value_iteration(transition.clone(), rewards.clone(), gamma)
        case = f"{states} states, {actions} actions, gamma {gamma}"
        expect(
            getattr(found, "shape", None) == (states,), f"{case}: there is one value for each state"
        )
        worth = found.tolist()
        for s in range(states):
            best = max(outlooks(transition, rewards, worth, gamma, s))
            expect(
                abs(best - worth[s]) < 1e-7,
                f"{case}: by your values state {s} is worth {worth[s]:.7g}, and its best action "
                f"promises {best:.7g}: both must be equal. Sweep until no value changes by more "
                "than the tolerance, up or down (values may be negative)",
            )
    apart = torch.eye(2, dtype=DOUBLE)[:, None]
    expect_close(
        student.value_iteration(apart, double([[1.0], [-1.0]]), 0.5),
        double([2.0, -2.0]),
        "two states that stay where they are and earn 1 and -1 a step, gamma 0.5: a rise and a "
        "fall of the same size are two changes, so take the largest of the absolute values",
        tolerance=1e-6,
    )


@exercise("value_iteration", points=1)
def patience(student):
    """A chain of 40 steps with the only reward at its end, gamma 0.99: the news takes forty sweeps
    to arrive. With a tolerance of 1 it does not arrive at all."""
    n = 40
    transition, rewards = torch.zeros(n, 2, n, dtype=DOUBLE), torch.zeros(n, 2, dtype=DOUBLE)
    for s in range(n):
        transition[s, 0, max(s - 1, 0)] = transition[s, 1, min(s + 1, n - 1)] = 1
    transition[n - 1] = 0
    transition[n - 1, :, n - 1] = 1
    rewards[n - 2, 1] = 1
    wanted = double([0.99 ** (n - 2 - s) if s < n - 1 else 0.0 for s in range(n)])
    expect_close(
        student.value_iteration(transition.clone(), rewards.clone(), 0.99),
        wanted,
        "a chain of 40 states: V(s) = 0.99^(38 - s)",
        tolerance=1e-6,
    )
    rough = student.value_iteration(transition.clone(), rewards.clone(), 0.99, 1.0)
    expect(
        rough[0] == 0,
        "with tolerance 1 the first sweep is the last here, for nothing changes by more than 1 in "
        f"it; and yours went on until state 0 was worth {rough[0]:.3g}. Use the argument "
        "`tolerance`",
    )


# -- greedy_policy ---------------------------------------------------------------------------------


@exercise("greedy_policy", points=3)
def best_outlook(student):
    """Given values, right or wrong; gamma decides whether the future is worth a detour."""
    transition, rewards = example()
    found = student.greedy_policy(transition, rewards, double([18.0, 20.0]), 0.9)
    expect_close(
        found,
        [1, 0],
        "the docstring's example: going is worth 0.9 * 20 = 18, staying 1 + 0.9 * 18 = 17.2",
        {
            "you look at the next reward alone; add gamma times the value of where it leads": [
                0,
                0,
            ],
            "these are the outlooks; the action is asked for (argmax)": [18.0, 20.0],
        },
    )
    transition, rewards = example(0.5)
    found = student.greedy_policy(transition, rewards, double([3.0, 3.2]), 0.1)
    expect_close(
        found,
        [0, 0],
        "gamma 0.1: staying is worth 1 + 0.3, going 0.5 + 0.32",
        {
            "you look at the value of the next state alone; the reward on the way counts, too": [
                1,
                0,
            ],
            "you take the action of the worst outlook": [1, 0],
        },
    )
    worlds = [(island(), gamma, [0.0, 1.0, 0.2, 0.3, 2.0]) for gamma in (0.3, 0.9)]
    worlds += [(world(1, 4, 3), 0.5, [3.0, -1.0, 0.5, 2.0]), (world(5, 3, 5), 0.7, [-4.0, 1, 1])]
    worlds += [(world(6, 2, 2), 0.0, [1.0, 9.0]), (world(7, 7, 4), 1.0, [5.0, 1, 2, 0, -3, 4, 2])]
    for (transition, rewards), gamma, values in worlds:
        found = student.greedy_policy(transition.clone(), rewards.clone(), double(values), gamma)
        states, actions = rewards.shape
        case = f"{states} states, {actions} actions, gamma {gamma:g}"
        expect(
            getattr(found, "shape", None) == (states,) and not found.is_floating_point(),
            f"{case}: there is one action for each state, a whole number (dtype int64)",
        )
        best = [outlooks(transition, rewards, values, gamma, s) for s in range(states)]
        undiscounted = [outlooks(transition, rewards, values, 1.0, s) for s in range(states)]
        reached = torch.where(transition > 0, double(values), -torch.inf).amax(2)
        expect_close(
            found,
            [row.index(max(row)) for row in best],
            f"{case}: the action with the best outlook in each state",
            {
                "gamma does not enter": [row.index(max(row)) for row in undiscounted],
                "you go to the best state that can be reached at all; weigh the next states by "
                "their probabilities": (rewards + gamma * reached).argmax(1),
            },
        )
    same = student.greedy_policy(torch.full((2, 3, 2), 0.5), torch.zeros(2, 3), torch.ones(2), 0.9)
    expect_close(same, [0, 0], "of equally good actions the first is taken")


# -- mc_value --------------------------------------------------------------------------------------


@exercise("mc_value", points=2)
def returns(student):
    """Episodes in which no state comes twice."""
    episodes = [[(0, 0.0), (1, 0.0), (2, 1.0)], [(0, 0.5), (2, 0.0)], [(1, 2.0)]]
    g = 0.5
    expect_close(
        student.mc_value(copy.deepcopy(episodes), 4, g),
        torch.tensor([(0.25 + 0.5) / 2, (0.5 + 2) / 2, (1 + 0) / 2, 0.0]),
        "the mean of the discounted returns from each state",
        {
            "gamma does not enter": torch.tensor([0.75, 1.5, 0.5, 0.0]),
            "you average the rewards of the state's own step; a value is about all that comes "
            "after it": torch.tensor([0.25, 1.0, 0.5, 0.0]),
            "every state gets the return of its whole episode; count from the state's own step "
            "on": torch.tensor([(0.25 + 0.5) / 2, (0.25 + 2) / 2, (0.25 + 0.5) / 2, 0.0]),
            "the sum of the returns; divide by the number of visits": torch.tensor(
                [0.75, 2.5, 1.0, 0.0]
            ),
            "you divide by the number of episodes; divide by the visits of the state": torch.tensor(
                [0.75, 2.5, 1.0, 0.0]
            )
            / 3,
            "a state that was never visited gives NaN, 0 / 0; it has the value 0": torch.tensor(
                [0.375, 1.25, 0.5, torch.nan]
            ),
            "you discount a step's own reward, too; r_t counts in full": torch.tensor(
                [0.375, 1.25, 0.5, 0.0]
            )
            * g,
        },
    )
    expect_close(
        student.mc_value([[(4, 2.0), (2, 0.0), (0, 10.0)]], 7, 0.9),
        torch.tensor([10.0, 0.0, 9.0, 0.0, 10.1, 0.0, 0.0]),
        "one episode 4, 2, 0 with rewards 2, 0, 10, gamma 0.9, and seven states",
    )
    expect_close(
        student.mc_value([], 3, 0.5), torch.zeros(3), "no episode at all: all values are 0"
    )


@exercise("mc_value", points=2)
def first_visits(student):
    """A state that comes again in the same episode counts once."""
    episodes = [[(0, 1.0), (1, 0.0), (0, 0.0), (1, 4.0)], [(1, 1.0), (0, 5.0)]]
    expect_close(
        student.mc_value(copy.deepcopy(episodes), 2, 1.0),
        torch.tensor([(5 + 5) / 2, (4 + 6) / 2]),
        "the mean return after the first visit of each episode",
        {
            "you count every visit, also the second of the same state in an episode": torch.tensor(
                [(5 + 4 + 5) / 3, (4 + 4 + 6) / 3]
            ),
            "you count the last visit of each episode; the first is asked for": torch.tensor(
                [(4 + 5) / 2, (4 + 6) / 2]
            ),
        },
    )
    expect_close(
        student.mc_value(copy.deepcopy(episodes), 2, 0.5),
        torch.tensor([(1.5 + 5) / 2, (1 + 3.5) / 2]),
        "the same with gamma 0.5: the return of a first visit is discounted from that visit on",
    )


# -- td0_update ------------------------------------------------------------------------------------


@exercise("td0_update", points=2)
def one_step(student):
    """In the middle of an episode, and at its end."""
    values = double([0.5, -1.0, 2.0])
    v, r, alpha, gamma = 0.5, 0.25, 0.1, 0.8
    following = 2.0
    wanted = double([v + alpha * (r + gamma * following - v), -1.0, 2.0])
    expect_close(
        student.td0_update(values, 0, r, 2, alpha, gamma),
        wanted,
        "V(s) moves by alpha times (r + gamma V(s') - V(s)), the others stay",
        {
            "gamma does not enter": double([v + alpha * (r + following - v), -1.0, 2.0]),
            "you jump to the target at once; go a share alpha of the way": double(
                [r + gamma * following, -1.0, 2.0]
            ),
            "the old value is not subtracted: V grows without end": double(
                [v + alpha * (r + gamma * following), -1.0, 2.0]
            ),
            "the sign of the error is the other way round": double(
                [v - alpha * (r + gamma * following - v), -1.0, 2.0]
            ),
            "the reward does not enter": double([v + alpha * (gamma * following - v), -1.0, 2.0]),
            "you update the next state; the news is about the state that one came from": double(
                [v, -1.0, following + alpha * (r + gamma * following - v)]
            ),
        },
    )
    expect_close(
        values,
        double([0.5, -1.0, 2.0]),
        "your function changes its argument `values`; work on a copy",
    )
    found = student.td0_update(values, 1, 3.0, None, 0.5, 0.9)
    expect_close(
        found,
        double([0.5, 1.0, 2.0]),
        "at the end of an episode the target is the reward alone",
        {
            "after the end you still count a value; nothing follows there (next_state is None)": (
                double([0.5, 1.9, 2.0])
            )
        },
    )
    for five, step, wanted, why in (
        ([4.0, 1, 1, 1, 3], (4, 0.5, 0, 0.5, 0.5), [4.0, 1, 1, 1, 2.75], "the next state is 0"),
        ([4.0, 1, 1, 1, 3], (4, 1.0, 4, 0.25, 0.5), [4.0, 1, 1, 1, 2.875], "it stays where it is"),
        ([2.0, 7], (1, 0.0, 0, 1.0, 1.0), [2.0, 2.0], "alpha 1 and gamma 1"),
    ):
        state, reward, after, alpha, gamma = step
        expect_close(
            student.td0_update(double(five), *step),
            double(wanted),
            f"values {five}, from state {state} to {after} with reward {reward}, alpha {alpha}, "
            f"gamma {gamma} ({why})",
        )


@exercise("td0_update", points=2)
def converges(student):
    """A walk over three states, left or right with probability 1/2; the right end pays 1. The
    values are 1/4, 2/4, 3/4."""
    exact = double([0.25, 0.5, 0.75])
    steps = [
        (s, float(s + d == 3), None if s + d in (-1, 3) else s + d)
        for s in range(3)
        for d in (-1, 1)
    ]
    for s in range(3):
        change = sum(
            student.td0_update(exact.clone(), *step, 0.5, 1.0) - exact
            for step in steps
            if step[0] == s
        )
        expect_close(
            change,
            torch.zeros(3),
            "at the exact values left and right must cancel: the expected update there is 0",
            tolerance=1e-9,
        )
    values = torch.full((3,), 0.5, dtype=DOUBLE)
    for round_ in range(60):
        for step in steps:
            values = student.td0_update(values, *step, 0.3 / (1 + 0.1 * round_), 1.0)
    expect(
        (values - exact).abs().max() < 0.05,
        f"after 60 walks through all steps the values should be near 1/4, 1/2, 3/4; "
        f"yours are {', '.join(f'{v:.2f}' for v in values.tolist())}",
    )
