"""The mutants of lecture 9: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch

from course.grade import mutant


@mutant("running_mean", "half the old mean")
def halfway(mean, n, reward):
    return (mean + reward) / 2


@mutant("running_mean", "there are n + 1")
def over_n(mean, n, reward):
    return mean + (reward - mean) / max(n, 1)


@mutant("running_mean", "only its difference")
def adds_the_reward(mean, n, reward):
    return mean + reward / (n + 1)


@mutant("running_mean", "exponential average")
def constant_step(mean, n, reward):
    return mean + 0.1 * (reward - mean)


@mutant("running_mean", "after 11 rewards")
def ten_rewards_at_most(mean, n, reward):
    return mean + (reward - mean) / min(n + 1, 10)


@mutant("epsilon_greedy", "shared among four arms")
def four_arms(values, epsilon):
    best = (values == values.max()).to(values.dtype)
    return epsilon / 4 + (1 - epsilon) * best / best.sum()


@mutant("epsilon_greedy", "compare exactly")
def nearly_equal(values, epsilon):
    best = torch.isclose(values, values.max(), atol=1e-3).to(values.dtype)
    return epsilon / len(values) + (1 - epsilon) * best / best.sum()


@mutant("epsilon_greedy", "three equally good arms")
def two_of_equals(values, epsilon):
    best = (values == values.max()).to(values.dtype)
    if 2 < best.sum() < len(values):
        best = torch.where(best.cumsum(0) > 2, 0.0, best)
    return epsilon / len(values) + (1 - epsilon) * best / best.sum()


@mutant("epsilon_greedy", "among the other arms only")
def explores_elsewhere(values, epsilon):
    out = torch.full_like(values, epsilon / (len(values) - 1))
    out[values.argmax()] = 1 - epsilon
    return out


@mutant("epsilon_greedy", "do not sum to 1")
def best_loses_its_share(values, epsilon):
    out = torch.full_like(values, epsilon / len(values))
    out[values.argmax()] = 1 - epsilon
    return out


@mutant("epsilon_greedy", "exchanged")
def exchanged(values, epsilon):
    out = torch.full_like(values, (1 - epsilon) / len(values))
    out[values.argmax()] += epsilon
    return out


@mutant("epsilon_greedy", "first of equal arms")
def first_of_equals(values, epsilon):
    out = torch.full_like(values, epsilon / len(values))
    out[values.argmax()] += 1 - epsilon
    return out


@mutant("epsilon_greedy", "softmax")
def softmax_instead(values, epsilon):
    return epsilon / len(values) + (1 - epsilon) * values.softmax(0)


@mutant("epsilon_greedy", "divide it among them")
def not_shared(values, epsilon):
    return epsilon / len(values) + (1 - epsilon) * (values == values.max()).to(values.dtype)


@mutant("discounted_return", "from the beginning of the episode")
def from_the_start(rewards, gamma):
    return (gamma ** torch.arange(len(rewards)) * rewards).flip(0).cumsum(0).flip(0)


@mutant("discounted_return", "look back")
def backwards_in_time(rewards, gamma):
    out = rewards.clone()
    for t in range(1, len(out)):
        out[t] += gamma * out[t - 1]
    return out


@mutant("discounted_return", "forget the powers")
def one_step_only(rewards, gamma):
    out = rewards.clone()
    out[:-1] += gamma * rewards[1:]
    return out


@mutant("discounted_return", "counts in full")
def discounts_its_own(rewards, gamma):
    out = torch.zeros_like(rewards)
    following = 0.0
    for t in reversed(range(len(rewards))):
        following = out[t] = gamma * (rewards[t] + following)
    return out


@mutant("discounted_return", "one number")
def only_the_first(rewards, gamma):
    return (gamma ** torch.arange(len(rewards)) * rewards).sum()


@mutant("discounted_return", "changes its argument")
def in_place(rewards, gamma):
    for t in reversed(range(len(rewards) - 1)):
        rewards[t] += gamma * rewards[t + 1]
    return rewards


def right_returns(rewards, gamma):
    out = rewards.clone()
    for t in reversed(range(len(out) - 1)):
        out[t] += gamma * out[t + 1]
    return out


@mutant("discounted_return", "gamma 0.3")
def two_gammas(rewards, gamma):
    return right_returns(rewards, 0.9 if 0 < gamma < 1 else gamma)


@mutant("discounted_return", "one return for each step")
def five_steps(rewards, gamma):
    return right_returns(rewards[:5], gamma)


@mutant("discounted_return", "9 rewards, gamma 0.99")
def five_steps_ahead(rewards, gamma):
    n = len(rewards)
    return torch.stack(
        [sum(gamma**k * rewards[t + k] for k in range(min(5, n - t))) for t in range(n)]
    )


@mutant("discounted_return", "never divide by them")
def divides_by_powers(rewards, gamma):
    powers = gamma ** torch.arange(len(rewards), dtype=rewards.dtype)
    return (powers * rewards).flip(0).cumsum(0).flip(0) / powers


def averaged(transition, rewards, policy):
    return (policy * rewards).sum(1), torch.einsum("sa,sat->st", policy, transition)


@mutant("policy_value", "equally likely")
def ignores_the_policy(transition, rewards, policy, gamma):
    earned, moves = averaged(transition, rewards, torch.full_like(policy, 1 / policy.shape[1]))
    return torch.linalg.solve(torch.eye(len(earned), dtype=earned.dtype) - gamma * moves, earned)


@mutant("policy_value", "transposed")
def transposed(transition, rewards, policy, gamma):
    earned, moves = averaged(transition, rewards, policy)
    return torch.linalg.solve(torch.eye(len(earned), dtype=earned.dtype) - gamma * moves.T, earned)


@mutant("policy_value", "ten sweeps")
def ten_sweeps(transition, rewards, policy, gamma):
    earned, moves = averaged(transition, rewards, policy)
    values = torch.zeros_like(earned)
    for _ in range(10):
        values = earned + gamma * moves @ values
    return values


@mutant("policy_value", "sweeps come near")
def many_sweeps(transition, rewards, policy, gamma):
    earned, moves = averaged(transition, rewards, policy)
    values = torch.zeros_like(earned)
    for _ in range(300):
        values = earned + gamma * moves @ values
    return values


@mutant("policy_value", "best policy")
def of_the_best_policy(transition, rewards, policy, gamma):
    values = torch.zeros(len(rewards), dtype=rewards.dtype)
    for _ in range(500):
        values = (rewards + gamma * (transition @ values)).amax(1)
    return values


@mutant("policy_value", "a step late")
def late(transition, rewards, policy, gamma):
    earned, moves = averaged(transition, rewards, policy)
    return gamma * torch.linalg.solve(
        torch.eye(len(earned), dtype=earned.dtype) - gamma * moves, earned
    )


def right_values(transition, rewards, policy, gamma):
    earned, moves = averaged(transition, rewards, policy)
    return torch.linalg.solve(torch.eye(len(earned), dtype=earned.dtype) - gamma * moves, earned)


@mutant("policy_value", "RuntimeError")
def four_states_only(transition, rewards, policy, gamma):
    earned, moves = averaged(transition, rewards, policy)
    return torch.linalg.solve(torch.eye(4, dtype=earned.dtype) - gamma * moves, earned)


@mutant("policy_value", "3 states, 3 actions, gamma 0.5")
def two_actions_only(transition, rewards, policy, gamma):
    return right_values(transition[:, :2], rewards[:, :2], policy[:, :2], gamma)


@mutant("policy_value", "3 states, 3 actions, gamma 0.5")
def two_discounts(transition, rewards, policy, gamma):
    return right_values(transition, rewards, policy, gamma if gamma > 0.99 else 0.9)
