"""What lecture 9 holds its exercises to. All exact: sums by hand, and values against a slow
fixed-point iteration."""

import torch

from course.grade import exercise, expect, expect_close, mutant

FORBIDDEN = ("minilrm.values", "minilrm.objectives")

DOUBLE = torch.float64


def double(numbers):
    return torch.tensor(numbers, dtype=DOUBLE)


# -- running_mean ----------------------------------------------------------------------------------


@exercise("running_mean", points=2)
def one_update(student):
    """A mean of three rewards and a fourth."""
    mean, n, reward = 2.0, 3, 10.0
    expect_close(
        student.running_mean(mean, n, reward),
        4.0,
        "three rewards with the mean 2, and a fourth of 10",
        {
            "half the old mean, half the new reward: the newest of many rewards would count as much as all others": 6.0,
            "you divide by n; with the new reward there are n + 1": mean + (reward - mean) / n,
            "you add the whole reward; only its difference from the mean moves the mean": mean
            + reward / (n + 1),
            "the sign is the other way round: the mean moves towards the reward": mean
            - (reward - mean) / (n + 1),
            "this is the sum; divide by n + 1": 3 * mean + reward,
            "the old rewards have lost their weight: there are n of them": (mean + reward)
            / (n + 1),
            "a constant step of 0.1 is an exponential average, not the mean": mean
            + 0.1 * (reward - mean),
        },
    )


@exercise("running_mean", points=1)
def a_whole_history(student):
    """From the first reward on, whatever the mean was before there was any."""
    mean, rewards = 99.0, [1.0, 0.0, 0.0, 1.0, 1.0, 7.0]
    for n, reward in enumerate(rewards):
        mean = student.running_mean(mean, n, reward)
        expect_close(
            mean, sum(rewards[: n + 1]) / (n + 1), f"after {n + 1} rewards, starting from n = 0"
        )


# -- epsilon_greedy --------------------------------------------------------------------------------


@exercise("epsilon_greedy", points=2)
def probabilities(student):
    """Four arms, three epsilons."""
    values = double([1.0, 3.0, -2.0, 0.5])
    for epsilon in (0.2, 0.0, 1.0):
        wanted = double([epsilon / 4] * 4)
        wanted[1] += 1 - epsilon
        others, best_only = double([epsilon / 3] * 4), double([epsilon / 4] * 4)
        others[1] = best_only[1] = 1 - epsilon
        swapped, worst = double([(1 - epsilon) / 4] * 4), double([epsilon / 4] * 4)
        swapped[1] += epsilon
        worst[2] += 1 - epsilon
        expect_close(
            student.epsilon_greedy(values, epsilon),
            wanted,
            f"epsilon {epsilon:g}, 4 arms: epsilon / 4 each, and 1 - epsilon more for the best",
            {
                "you explore among the other arms only; an exploring pull may hit the best arm, too": others,
                "your probabilities do not sum to 1: the best arm also gets its share of the exploring pulls, epsilon / K": best_only,
                "epsilon and 1 - epsilon are exchanged: epsilon is the share of pulls that explore": swapped,
                "you prefer the arm of least value": worst,
                "your arms are drawn in proportion to a softmax; epsilon-greedy does not care how much better the best one is": epsilon
                / 4
                + (1 - epsilon) * values.softmax(0),
            },
        )


@exercise("epsilon_greedy", points=2)
def ties(student):
    """Before anything is known all arms are equal: then nobody must be preferred for its place in
    the list."""
    expect_close(
        student.epsilon_greedy(double([0.0, 0.0, 0.0]), 0.1),
        double([1 / 3] * 3),
        "three equal arms share equally",
        {
            "the first of equal arms gets all; then the arm that happens to stand first is tried first, whatever its worth": double(
                [0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]
            ),
            "the last of equal arms gets all; share equally": double(
                [0.1 / 3, 0.1 / 3, 0.9 + 0.1 / 3]
            ),
            "each of the equal arms gets the whole 1 - epsilon: divide it among them": double(
                [0.9 + 0.1 / 3] * 3
            ),
        },
    )
    expect_close(
        student.epsilon_greedy(double([2.0, -1.0, 2.0, 1.0]), 0.4),
        double([0.4, 0.1, 0.4, 0.1]),
        "two equally good arms of four share 1 - epsilon",
    )


# -- discounted_return -----------------------------------------------------------------------------

REWARDS = double([0.5, 0.0, -1.0, 2.0, 0.25])


@exercise("discounted_return", points=3)
def every_step(student):
    """Five rewards, gamma 0.9."""
    gamma, n = 0.9, len(REWARDS)
    powers = gamma ** torch.arange(n, dtype=DOUBLE)
    wanted = torch.stack([(powers[: n - t] * REWARDS[t:]).sum() for t in range(n)])
    from_zero = (powers * REWARDS).flip(0).cumsum(0).flip(0)
    forwards = torch.stack([(powers[: t + 1].flip(0) * REWARDS[: t + 1]).sum() for t in range(n)])
    expect_close(
        student.discounted_return(REWARDS.clone(), gamma),
        wanted,
        "G_t = r_t + gamma G_{t+1}",
        {
            "you count the discount from the beginning of the episode; G_t starts with r_t undiscounted": from_zero,
            "your returns look back, at what was earned so far; a return is what is still to come": forwards,
            "your own step's reward is discounted, too: r_t itself counts in full": gamma * wanted,
            "gamma does not enter": REWARDS.flip(0).cumsum(0).flip(0),
            "one number; each of the T steps has its own return": wanted[0],
            "you discount each reward once and forget the powers: gamma G_{t+1}, not gamma r_{t+1}": REWARDS
            + gamma * torch.cat([REWARDS[1:], double([0.0])]),
        },
    )


@exercise("discounted_return", points=1)
def the_ends(student):
    """Gamma 1 and 0, and an argument that stays as it was."""
    rewards = REWARDS.clone()
    expect_close(
        student.discounted_return(rewards, 1.0),
        REWARDS.flip(0).cumsum(0).flip(0),
        "gamma 1: the plain sums to come",
    )
    expect_close(
        student.discounted_return(REWARDS.clone(), 0.0),
        REWARDS,
        "gamma 0: only the next reward counts",
    )
    expect(
        torch.equal(rewards, REWARDS),
        "your function changes its argument `rewards`; work on a copy",
    )


# -- policy_value ----------------------------------------------------------------------------------


def chain():
    """Four states; action 0 goes back, action 1 forward and slips in one of five. State 3 is the
    end."""
    transition, rewards = torch.zeros(4, 2, 4, dtype=DOUBLE), torch.zeros(4, 2, dtype=DOUBLE)
    for s in range(3):
        transition[s, 0, max(s - 1, 0)] = 1
        transition[s, 1, s + 1], transition[s, 1, s] = 0.8, 0.2
        rewards[s, 0] = 0.1
    transition[3, :, 3] = 1
    rewards[2, 1] = 0.8
    return transition, rewards


POLICY = double([[0.5, 0.5], [0.25, 0.75], [0.1, 0.9], [0.5, 0.5]])


def solved(moves, earned, gamma):
    return torch.linalg.solve(torch.eye(4, dtype=DOUBLE) - gamma * moves, earned)


@exercise("policy_value", points=3)
def four_states(student):
    """A chain with a slippery step and a policy that is not sure."""
    transition, rewards = chain()
    gamma = 0.9
    earned, moves = (POLICY * rewards).sum(1), torch.einsum("sa,sat->st", POLICY, transition)
    swept = torch.zeros(4, dtype=DOUBLE)
    for _ in range(10):
        swept = earned + gamma * moves @ swept
    every = torch.full((4, 2), 0.5, dtype=DOUBLE)
    found = student.policy_value(transition, rewards, POLICY, gamma)
    expect_close(
        found,
        solved(moves, earned, gamma),
        "V = r + gamma P V, with r and P averaged over the policy's actions",
        {
            "you average over the actions as if all were equally likely; weigh them by policy[s, a]": solved(
                torch.einsum("sa,sat->st", every, transition), (every * rewards).sum(1), gamma
            ),
            "the rewards are not averaged by the policy": solved(moves, rewards.sum(1), gamma),
            "your transition matrix is transposed: rows are the states that one comes from": solved(
                moves.T, earned, gamma
            ),
            "these are the values of the best policy; the given one is asked for": best(
                transition, rewards, gamma
            ),
            "this is what the next step earns; values look further": earned,
            "(I + gamma P) r looks two steps ahead; the values are the solution of (I - gamma P) V = r": earned
            + gamma * moves @ earned,
            "ten sweeps are not enough: solve the equations (torch.linalg.solve)": swept,
            "the reward comes a step late: V = r + gamma P V, with r undiscounted": gamma
            * solved(moves, earned, gamma),
        },
        tolerance=1e-6,
    )


def best(transition, rewards, gamma):
    values = torch.zeros(4, dtype=DOUBLE)
    for _ in range(500):
        values = (rewards + gamma * (transition @ values)).amax(1)
    return values


@exercise("policy_value", points=1)
def far_sighted(student):
    """Gamma 0.9999 and an end that leads back to the start: whoever iterates instead of solving is
    caught."""
    transition, rewards = chain()
    transition[3] = torch.eye(4, dtype=DOUBLE)[0]
    earned, moves = (POLICY * rewards).sum(1), torch.einsum("sa,sat->st", POLICY, transition)
    expect_close(
        student.policy_value(transition, rewards, POLICY, 0.9999),
        solved(moves, earned, 0.9999),
        "with gamma 0.9999 the values are still the solution of (I - gamma P) V = r",
        tolerance=1e-6,
    )


@exercise("policy_value", points=1)
def sure_of_itself(student):
    """A policy that always does the same is a policy, too; the example of the docstring."""
    transition, rewards = torch.zeros(4, 1, 4, dtype=DOUBLE), torch.zeros(4, 1, dtype=DOUBLE)
    for s in range(4):
        transition[s, 0, min(s + 1, 3)] = 1
    rewards[2, 0] = 1
    expect_close(
        student.policy_value(transition, rewards, torch.ones(4, 1, dtype=DOUBLE), 0.9),
        double([0.81, 0.9, 1.0, 0.0]),
        "the chain of the docstring",
        tolerance=1e-6,
    )


### BEGIN MUTANTS


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


@mutant("policy_value", "gamma 0.9999")
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


### END MUTANTS
