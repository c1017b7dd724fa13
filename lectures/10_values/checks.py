"""What lecture 10 holds its exercises to. The exact values solve linear equations or come from
trying every policy."""

import itertools

import torch

from course.grade import exercise, expect, expect_close, mutant

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


def of_policy(transition, rewards, actions, gamma):
    """Exact values of a policy that takes these actions."""
    states = torch.arange(len(rewards))
    moves, earned = transition[states, actions], rewards[states, actions]
    return torch.linalg.solve(torch.eye(len(rewards), dtype=DOUBLE) - gamma * moves, earned)


def best_values(transition, rewards, gamma):
    """By trying every policy there is."""
    policies = itertools.product(range(rewards.shape[1]), repeat=len(rewards))
    return torch.stack(
        [of_policy(transition, rewards, torch.tensor(p), gamma) for p in policies]
    ).amax(0)


# -- value_iteration -------------------------------------------------------------------------------


@exercise("value_iteration", points=3)
def best_of_all_policies(student):
    """Two states, and five; the truth by trying all 32 policies."""
    for (transition, rewards), gamma in ((example(), 0.5), (island(), 0.8), (island(), 0.95)):
        sweep = torch.zeros(len(rewards), dtype=DOUBLE)
        mean = torch.zeros(len(rewards), dtype=DOUBLE)
        for _ in range(600):
            mean = (rewards + gamma * (transition @ mean)).mean(1)
        for _ in range(10):
            sweep = (rewards + gamma * (transition @ sweep)).amax(1)
        wanted = best_values(transition, rewards, gamma)
        expect_close(
            student.value_iteration(transition, rewards, gamma),
            wanted,
            "the values of the best policy",
            {
                "you take the mean over the actions, not the best of them: the values of a policy that tosses a coin": mean,
                "one sweep only; repeat until nothing changes": rewards.amax(1),
                "ten sweeps are not enough here; repeat until the largest change is below the tolerance": sweep,
                "you take the worst action (min)": -best_values(transition, -rewards, gamma),
                "your rewards and your outlook take their best action apart: one max over the sum of both": apart(
                    transition, rewards, gamma
                ),
            },
            tolerance=1e-6,
        )


def apart(transition, rewards, gamma):
    values = torch.zeros(len(rewards), dtype=DOUBLE)
    for _ in range(600):
        values = rewards.amax(1) + gamma * (transition @ values).amax(1)
    return values


@exercise("value_iteration", points=1)
def patience(student):
    """A chain of 40 steps with the only reward at its end, gamma 0.99: the news takes forty sweeps
    to arrive."""
    n = 40
    transition, rewards = torch.zeros(n, 2, n, dtype=DOUBLE), torch.zeros(n, 2, dtype=DOUBLE)
    for s in range(n):
        transition[s, 0, max(s - 1, 0)] = transition[s, 1, min(s + 1, n - 1)] = 1
    transition[n - 1] = 0
    transition[n - 1, :, n - 1] = 1
    rewards[n - 2, 1] = 1
    wanted = double([0.99 ** (n - 2 - s) if s < n - 1 else 0.0 for s in range(n)])
    expect_close(
        student.value_iteration(transition, rewards, 0.99),
        wanted,
        "a chain of 40 states: V(s) = 0.99^(38 - s)",
        tolerance=1e-6,
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
    transition, rewards = island()
    for gamma in (0.3, 0.9):
        values = double([0.0, 1.0, 0.2, 0.3, 2.0])
        wanted = (rewards + gamma * (transition @ values)).argmax(1)
        expect_close(
            student.greedy_policy(transition, rewards, values, gamma),
            wanted,
            f"five states, gamma {gamma:g}",
            {
                "gamma does not enter": (rewards + transition @ values).argmax(1),
                "you go to the best state that can be reached at all; weigh the next states by their probabilities": (
                    rewards + gamma * torch.where(transition > 0, values, -torch.inf).amax(2)
                ).argmax(1),
            },
        )


# -- mc_value --------------------------------------------------------------------------------------


@exercise("mc_value", points=2)
def returns(student):
    """Episodes in which no state comes twice."""
    episodes = [[(0, 0.0), (1, 0.0), (2, 1.0)], [(0, 0.5), (2, 0.0)], [(1, 2.0)]]
    g = 0.5
    expect_close(
        student.mc_value(episodes, 4, g),
        torch.tensor([(0.25 + 0.5) / 2, (0.5 + 2) / 2, (1 + 0) / 2, 0.0]),
        "the mean of the discounted returns from each state",
        {
            "gamma does not enter": torch.tensor([0.75, 1.5, 0.5, 0.0]),
            "you average the rewards of the state's own step; a value is about all that comes after it": torch.tensor(
                [0.25, 1.0, 0.5, 0.0]
            ),
            "every state gets the return of its whole episode; count from the state's own step on": torch.tensor(
                [(0.25 + 0.5) / 2, (0.25 + 2) / 2, (0.25 + 0.5) / 2, 0.0]
            ),
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


@exercise("mc_value", points=2)
def first_visits(student):
    """A state that comes again in the same episode counts once."""
    episodes = [[(0, 1.0), (1, 0.0), (0, 0.0), (1, 4.0)], [(1, 1.0), (0, 5.0)]]
    expect_close(
        student.mc_value(episodes, 2, 1.0),
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
            "after the end you still count a value; nothing follows there (next_state is None)": double(
                [0.5, 1.9, 2.0]
            )
        },
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
            student.td0_update(exact, *step, 0.5, 1.0) - exact for step in steps if step[0] == s
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


### BEGIN MUTANTS


def swept(transition, rewards, gamma, choose, sweeps):
    values = torch.zeros(len(rewards), dtype=rewards.dtype)
    for _ in range(sweeps):
        values = choose(rewards + gamma * (transition @ values))
    return values


@mutant("value_iteration", "tosses a coin")
def mean_over_actions(transition, rewards, gamma, tolerance=1e-10):
    return swept(transition, rewards, gamma, lambda q: q.mean(1), 600)


@mutant("value_iteration", "one sweep only")
def one_sweep(transition, rewards, gamma, tolerance=1e-10):
    return swept(transition, rewards, gamma, lambda q: q.amax(1), 1)


@mutant("value_iteration", "ten sweeps")
def ten_sweeps(transition, rewards, gamma, tolerance=1e-10):
    return swept(transition, rewards, gamma, lambda q: q.amax(1), 10)


@mutant("value_iteration", "worst action")
def least(transition, rewards, gamma, tolerance=1e-10):
    return swept(transition, rewards, gamma, lambda q: q.amin(1), 600)


@mutant("value_iteration", "apart")
def two_maxima(transition, rewards, gamma, tolerance=1e-10):
    return apart(transition, rewards, gamma)


@mutant("greedy_policy", "next reward alone")
def short_sighted(transition, rewards, values, gamma):
    return rewards.argmax(1)


@mutant("greedy_policy", "value of the next state alone")
def without_reward(transition, rewards, values, gamma):
    return (transition @ values).argmax(1)


@mutant("greedy_policy", "gamma does not enter")
def without_gamma(transition, rewards, values, gamma):
    return (rewards + transition @ values).argmax(1)


@mutant("greedy_policy", "weigh the next states")
def optimist(transition, rewards, values, gamma):
    return (rewards + gamma * torch.where(transition > 0, values, -torch.inf).amax(2)).argmax(1)


@mutant("greedy_policy", "argmax")
def outlooks(transition, rewards, values, gamma):
    return (rewards + gamma * (transition @ values)).amax(1)


def visits(episode, gamma):
    """(state, return) of each step, in order."""
    out, following = [], 0.0
    for state, reward in reversed(episode):
        following = reward + gamma * following
        out.append((state, following))
    return out[::-1]


def averaged(pairs, states):
    total, count = torch.zeros(states), torch.zeros(states)
    for state, value in pairs:
        total[state] += value
        count[state] += 1
    return total / count.clamp(min=1)


@mutant("mc_value", "every visit")
def every_visit(episodes, states, gamma):
    return averaged([pair for e in episodes for pair in visits(e, gamma)], states)


@mutant("mc_value", "last visit")
def last_visit(episodes, states, gamma):
    return averaged([pair for e in episodes for pair in dict(visits(e, gamma)).items()], states)


@mutant("mc_value", "gamma does not enter")
def undiscounted(episodes, states, gamma):
    return averaged([pair for e in episodes for pair in dict(visits(e, 1.0)[::-1]).items()], states)


@mutant("mc_value", "own step")
def immediate_rewards(episodes, states, gamma):
    return averaged([step for e in episodes for step in e], states)


@mutant("mc_value", "whole episode")
def return_of_the_episode(episodes, states, gamma):
    return averaged([(s, visits(e, gamma)[0][1]) for e in episodes for s, _ in e], states)


@mutant("mc_value", "0 / 0")
def nan_where_unseen(episodes, states, gamma):
    total, count = torch.zeros(states), torch.zeros(states)
    for state, value in [pair for e in episodes for pair in dict(visits(e, gamma)[::-1]).items()]:
        total[state] += value
        count[state] += 1
    return total / count


def moved(values, state, by):
    new = values.clone()
    new[state] = by
    return new


@mutant("td0_update", "share alpha of the way")
def jumps(values, state, reward, next_state, alpha, gamma):
    return moved(
        values, state, reward + (0.0 if next_state is None else gamma * values[next_state])
    )


@mutant("td0_update", "without end")
def never_forgets(values, state, reward, next_state, alpha, gamma):
    following = 0.0 if next_state is None else values[next_state]
    return moved(values, state, values[state] + alpha * (reward + gamma * following))


@mutant("td0_update", "other way round")
def wrong_sign(values, state, reward, next_state, alpha, gamma):
    following = 0.0 if next_state is None else values[next_state]
    return moved(
        values, state, values[state] - alpha * (reward + gamma * following - values[state])
    )


@mutant("td0_update", "nothing follows")
def last_state_again(values, state, reward, next_state, alpha, gamma):
    following = values[2] if next_state is None else values[next_state]
    return moved(
        values, state, values[state] + alpha * (reward + gamma * following - values[state])
    )


@mutant("td0_update", "changes its argument")
def in_place(values, state, reward, next_state, alpha, gamma):
    following = 0.0 if next_state is None else values[next_state]
    values[state] += alpha * (reward + gamma * following - values[state])
    return values


@mutant("td0_update", "gamma does not enter")
def no_discount(values, state, reward, next_state, alpha, gamma):
    following = 0.0 if next_state is None else values[next_state]
    return moved(values, state, values[state] + alpha * (reward + following - values[state]))


### END MUTANTS
