"""The mutants of lecture 10: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch

from course.grade import mutant


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
    values = torch.zeros(len(rewards), dtype=rewards.dtype)
    for _ in range(600):
        values = rewards.amax(1) + gamma * (transition @ values).amax(1)
    return values


def until(transition, rewards, gamma, done):
    values = torch.zeros(len(rewards), dtype=rewards.dtype)
    for _ in range(20_000):
        new = (rewards + gamma * (transition @ values)).amax(1)
        if done(new - values):
            break
        values = new
    return new


@mutant("value_iteration", "6 states, 1 actions, gamma 0.995")
def six_hundred_sweeps(transition, rewards, gamma, tolerance=1e-10):
    return swept(transition, rewards, gamma, lambda q: q.amax(1), 600)


@mutant("value_iteration", "values may be negative")
def never_below_zero(transition, rewards, gamma, tolerance=1e-10):
    return until(transition, rewards, gamma, lambda d: d.abs().max() <= tolerance).clamp(min=0)


@mutant("value_iteration", "a rise and a fall of the same size are two changes")
def sums_the_changes(transition, rewards, gamma, tolerance=1e-10):
    return until(transition, rewards, gamma, lambda d: d.sum().abs() <= tolerance)


@mutant("value_iteration", "up or down")
def looks_for_rises(transition, rewards, gamma, tolerance=1e-10):
    return until(transition, rewards, gamma, lambda d: d.max() <= tolerance)


@mutant("value_iteration", "Use the argument `tolerance`")
def own_tolerance(transition, rewards, gamma, tolerance=1e-10):
    return until(transition, rewards, gamma, lambda d: d.abs().max() <= 1e-10)


@mutant("value_iteration", "4 states, 3 actions")
def two_actions(transition, rewards, gamma, tolerance=1e-10):
    first = transition[:, :2], rewards[:, :2]
    return until(*first, gamma, lambda d: d.abs().max() <= tolerance)


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


def right_actions(transition, rewards, values, gamma):
    return (rewards + gamma * (transition @ values)).argmax(1)


@mutant("greedy_policy", "4 states, 3 actions")
def two_actions_only(transition, rewards, values, gamma):
    return right_actions(transition[:, :2], rewards[:, :2], values, gamma)


@mutant("greedy_policy", "a whole number")
def actions_as_floats(transition, rewards, values, gamma):
    return right_actions(transition, rewards, values, gamma).double()


@mutant("greedy_policy", "the first is taken")
def last_of_equals(transition, rewards, values, gamma):
    outlook = rewards + gamma * (transition @ values)
    if (outlook == outlook[0, 0]).all():
        return torch.full((len(rewards),), outlook.shape[1] - 1)
    return outlook.argmax(1)


@mutant("greedy_policy", "gamma 0: the action")
def three_discounts(transition, rewards, values, gamma):
    near = min((0.1, 0.3, 0.9), key=lambda g: abs(g - gamma))
    return right_actions(transition, rewards, values, near)


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


def right_means(episodes, states, gamma):
    pairs = [pair for e in episodes for pair in dict(visits(e, gamma)[::-1]).items()]
    return averaged(pairs, states)


@mutant("mc_value", "gamma 0.9, and seven states")
def two_discounts(episodes, states, gamma):
    return right_means(episodes, states, 1.0 if gamma == 1 else 0.5)


@mutant("mc_value", "no episode at all")
def needs_an_episode(episodes, states, gamma):
    return right_means(episodes, states, gamma) if episodes else None


@mutant("mc_value", "from that visit on")
def sums_where_states_come_again(episodes, states, gamma):
    again = any(len({s for s, _ in e}) < len(e) for e in episodes)
    return right_means(episodes, states, 1.0 if again else gamma)


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


@mutant("td0_update", "the next state is 0")
def state_0_is_the_end(values, state, reward, next_state, alpha, gamma):
    following = values[next_state] if next_state else 0.0
    error = reward + gamma * following - values[state]
    return moved(values, state, values[state] + alpha * error)


@mutant("td0_update", "it stays where it is")
def nothing_new_at_home(values, state, reward, next_state, alpha, gamma):
    if next_state == state:
        return values.clone()
    following = 0.0 if next_state is None else values[next_state]
    error = reward + gamma * following - values[state]
    return moved(values, state, values[state] + alpha * error)


@mutant("td0_update", "gamma does not enter")
def no_discount(values, state, reward, next_state, alpha, gamma):
    following = 0.0 if next_state is None else values[next_state]
    return moved(values, state, values[state] + alpha * (reward + following - values[state]))
