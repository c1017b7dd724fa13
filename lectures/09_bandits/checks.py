"""What lecture 9 holds its exercises to. All exact: sums by hand, and the equations that returns
and values must fulfil."""

import torch

from course.grade import exercise, expect, expect_close

FORBIDDEN = ("minilrm.values", "minilrm.objectives")

DOUBLE = torch.float64


def double(numbers):
    return torch.tensor(numbers, dtype=DOUBLE)


def noise(seed, *shape):
    """Numbers from 0 to 1, the same at each run."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


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
            "half the old mean, half the new reward: the newest of many rewards would count as "
            "much as all others": 6.0,
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
    for rewards in ([1.0, 0.0, 0.0, 1.0, 1.0, 7.0], (10 * noise(1, 60)).tolist()):
        mean = 99.0
        for n, reward in enumerate(rewards):
            mean = student.running_mean(mean, n, reward)
            expect_close(
                mean, sum(rewards[: n + 1]) / (n + 1), f"after {n + 1} rewards, starting from n = 0"
            )


# -- epsilon_greedy --------------------------------------------------------------------------------


@exercise("epsilon_greedy", points=2)
def probabilities(student):
    """Four, two and seven arms, three epsilons each."""
    near = double([0.0, 1e-6])
    for values in (double([1.0, 3.0, -2.0, 0.5]), double([-0.1, -0.2]), noise(2, 7), near):
        arms, top, low = len(values), int(values.argmax()), int(values.argmin())
        for epsilon in (0.2, 0.0, 1.0):

            def spread(rest, best, at=top, arms=arms):
                """`rest` for each arm, `best` for one."""
                return double([best if i == at else rest for i in range(arms)])

            share = epsilon / arms
            millionth = "two arms that differ by a millionth are not equally good: compare exactly"
            expect_close(
                student.epsilon_greedy(values.clone(), epsilon),
                spread(share, share + 1 - epsilon),
                f"epsilon {epsilon:g}, {arms} arms: epsilon / {arms} each, and 1 - epsilon more "
                "for the best",
                {
                    millionth: double([0.5, 0.5]) if values is near else None,
                    "you explore among the other arms only; an exploring pull may hit the best "
                    "arm, too": spread(epsilon / (arms - 1), 1 - epsilon),
                    "your probabilities do not sum to 1: the best arm also gets its share of the "
                    "exploring pulls, epsilon / K": spread(share, 1 - epsilon),
                    "epsilon and 1 - epsilon are exchanged: epsilon is the share of pulls that "
                    "explore": spread((1 - epsilon) / arms, (1 - epsilon) / arms + epsilon),
                    "you prefer the arm of least value": spread(share, share + 1 - epsilon, at=low),
                    "your arms are drawn in proportion to a softmax; epsilon-greedy does not care "
                    "how much better the best one is": share + (1 - epsilon) * values.softmax(0),
                    "epsilon is shared among four arms; there are K": spread(
                        epsilon / 4, epsilon / 4 + 1 - epsilon
                    ),
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
            "the first of equal arms gets all; then the arm that happens to stand first is tried "
            "first, whatever its worth": double([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]),
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
    expect_close(
        student.epsilon_greedy(double([2.0, 5.0, 5.0, -1.0, 5.0]), 0.25),
        double([0.05, 0.3, 0.3, 0.05, 0.3]),
        "three equally good arms of five share 1 - epsilon",
    )


# -- discounted_return -----------------------------------------------------------------------------

REWARDS = double([0.5, 0.0, -1.0, 2.0, 0.25])


def expect_chain(found, rewards, gamma):
    """Each return is its own reward and gamma times the next return; after the end there is 0."""
    case = f"{len(rewards)} rewards, gamma {gamma:g}"
    expect(
        getattr(found, "shape", None) == rewards.shape, f"{case}: there is one return for each step"
    )
    expect(
        bool(torch.isfinite(found).all()),
        f"{case}: your returns hold NaN or infinity. Powers of gamma become 0, so never divide by "
        "them; go backwards from the last step",
    )
    worth = [*found.tolist(), 0.0]
    for t, reward in enumerate(rewards.tolist()):
        right = reward + gamma * worth[t + 1]
        expect(
            abs(right - worth[t]) < 1e-6,
            f"{case}: your return from step {t} on is {worth[t]:.6g}, and r_t + gamma G_(t+1), by "
            f"your own next return, is {right:.6g}: both must be equal (after the last step there "
            "is 0)",
        )


@exercise("discounted_return", points=3)
def every_step(student):
    """Five rewards, gamma 0.9; then episodes of one to 500 steps."""
    gamma = 0.9
    powers = gamma ** torch.arange(5, dtype=DOUBLE)
    wanted = double([1.312025, 0.90225, 1.0025, 2.225, 0.25])
    forwards = torch.stack([(powers[: t + 1].flip(0) * REWARDS[: t + 1]).sum() for t in range(5)])
    expect_close(
        student.discounted_return(REWARDS.clone(), gamma),
        wanted,
        "rewards 0.5, 0, -1, 2, 0.25, gamma 0.9: G_t = r_t + gamma G_(t+1)",
        {
            "you count the discount from the beginning of the episode; G_t starts with r_t "
            "undiscounted": wanted * powers,
            "your returns look back, at what was earned so far; a return is still to come": (
                forwards
            ),
            "your own step's reward is discounted, too: r_t itself counts in full": gamma * wanted,
            "gamma does not enter": double([1.75, 1.25, 1.25, 2.25, 0.25]),
            "one number; each of the T steps has its own return": wanted[0],
            "you discount each reward once and forget the powers: gamma G_{t+1}, not gamma "
            "r_{t+1}": double([0.5, -0.9, 0.8, 2.225, 0.25]),
        },
    )
    for steps, gamma in ((1, 0.9), (2, 0.3), (9, 0.99), (40, 0.5), (500, 0.1)):
        rewards = noise(steps, steps) - 0.4
        expect_chain(student.discounted_return(rewards.clone(), gamma), rewards, gamma)


@exercise("discounted_return", points=1)
def the_ends(student):
    """Gamma 1 and 0, and an argument that stays as it was."""
    for kept in (REWARDS, noise(7, 12)):
        for gamma in (1.0, 0.0):
            rewards = kept.clone()
            expect_chain(student.discounted_return(rewards, gamma), kept, gamma)
            expect(
                torch.equal(rewards, kept),
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


def expect_bellman(found, transition, rewards, policy, gamma):
    """What a state is worth is what the policy's next action earns there, and gamma times what
    follows: an equation for each state, in plain numbers."""
    states, actions = rewards.shape
    case = f"{states} states, {actions} actions, gamma {gamma:g}"
    expect(getattr(found, "shape", None) == (states,), f"{case}: there is one value for each state")
    worth = found.tolist()
    for s in range(states):
        right = 0.0
        for a in range(actions):
            ahead = sum(p * v for p, v in zip(transition[s, a].tolist(), worth, strict=True))
            right += policy[s, a].item() * (rewards[s, a].item() + gamma * ahead)
        expect(
            abs(right - worth[s]) < 1e-6,
            f"{case}: by your values state {s} is worth {worth[s]:.7g}, and what the policy earns "
            f"there, with gamma times what follows, is {right:.7g}: both must be equal. Solve the "
            "equations (torch.linalg.solve); sweeps come near, and no nearer",
        )


def world(seed, states, actions):
    """A random world and a random policy."""
    transition, policy = noise(seed, states, actions, states), noise(seed + 1, states, actions)
    transition = transition / transition.sum(2, keepdim=True)
    return (
        transition,
        2 * noise(seed + 2, states, actions) - 1,
        policy / policy.sum(1, keepdim=True),
    )


@exercise("policy_value", points=3)
def four_states(student):
    """A chain with a slippery step and a policy that is not sure; then random worlds."""
    transition, rewards = chain()
    expect_close(
        student.policy_value(transition, rewards, POLICY.clone(), 0.9),
        double([0.753548, 0.823978, 0.959616, 0.0]),
        "V = r + gamma P V, with r and P averaged over the policy's actions",
        {
            "you average over the actions as if all were equally likely; weigh them by "
            "policy[s, a]": double([0.679337, 0.729152, 0.855075, 0.0]),
            "the rewards are not averaged by the policy": double(
                [1.121497, 1.155246, 1.198057, 0.0]
            ),
            "your transition matrix is transposed: rows are the states that one comes from": double(
                [0.219196, 0.225911, 1.016697, 6.588196]
            ),
            "these are the values of the best policy; the given one is asked for": double(
                [1.0, 1.0, 1.0, 0.0]
            ),
            "this is what the next step earns; values look further": double([0.05, 0.025, 0.73, 0]),
            "(I + gamma P) r looks two steps ahead; the values are the solution of (I - gamma P) V "
            "= r": double([0.086, 0.433825, 0.85051, 0.0]),
            "ten sweeps are not enough: solve the equations (torch.linalg.solve)": double(
                [0.707064, 0.802341, 0.956045, 0.0]
            ),
            "the reward comes a step late: V = r + gamma P V, with r undiscounted": double(
                [0.678193, 0.741580, 0.863654, 0.0]
            ),
        },
        tolerance=2e-6,
    )
    for seed, (states, actions), gamma in ((1, (3, 3), 0.5), (2, (6, 2), 0.99), (3, (1, 4), 0.8)):
        transition, rewards, policy = world(seed, states, actions)
        found = student.policy_value(transition.clone(), rewards.clone(), policy.clone(), gamma)
        expect_bellman(found, transition, rewards, policy, gamma)


@exercise("policy_value", points=1)
def far_sighted(student):
    """Gamma 0.9999 and an end that leads back to the start: sweeps would take for ever here."""
    transition, rewards = chain()
    transition[3] = torch.eye(4, dtype=DOUBLE)[0]
    found = student.policy_value(transition.clone(), rewards.clone(), POLICY.clone(), 0.9999)
    expect_bellman(found, transition, rewards, POLICY, 0.9999)


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
