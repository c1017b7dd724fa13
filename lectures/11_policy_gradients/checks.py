"""What lecture 11 holds its exercises to. The bandits are so small that every batch of samples can
be listed, so what is expected is exact: no check depends on luck."""

import itertools

import torch

from course.grade import exercise, expect, expect_close, gradients, mutant

FORBIDDEN = ("minilrm.objectives", "minilrm.values", "minilrm.grpo", "minilrm.ppo")

DOUBLE = torch.float64
PI = torch.tensor([0.5, 0.25, 0.25], dtype=DOUBLE)
THETA = PI.log() + 0.7  # a constant in all logits changes no probability
EARNS = torch.tensor([1.0, 2.0, 4.0], dtype=DOUBLE)  # what each arm pays
OTHER = torch.tensor([0.3, -0.8, 1.1, 0.0], dtype=DOUBLE)


def one_hot(actions, arms=3):
    return torch.nn.functional.one_hot(torch.as_tensor(actions), arms).to(DOUBLE)


# -- score -----------------------------------------------------------------------------------------


@exercise("score", points=2)
def value(student):
    """Two policies, each of their actions."""
    for theta in (THETA, OTHER):
        pi = theta.softmax(0)
        for action in range(len(theta)):
            chosen = one_hot(action, len(theta))
            expect_close(
                student.score(theta.clone(), action),
                chosen - pi,
                "the score is 1 - pi at the action, else -pi",
                {
                    "this is the gradient of the probability pi(a); that of its logarithm lacks the factor pi(a)": pi[
                        action
                    ]
                    * (chosen - pi),
                    "you left out the normaliser: a softmax sinks everywhere when one logit rises, so -pi_k for every k": chosen,
                    "the sign is the other way round: raising an action's own logit makes it likelier": pi
                    - chosen,
                    "you subtract the logits; subtract the probabilities, softmax(theta)": chosen
                    - theta,
                    "you subtract exp(theta), which does not sum to 1; take softmax(theta)": chosen
                    - theta.exp(),
                    "this is log pi itself; its gradient is asked for": theta.log_softmax(0),
                },
                tolerance=1e-6,
            )


# -- reinforce_gradient ----------------------------------------------------------------------------


def finite_differences(theta, step=1e-5):
    """The gradient of J = sum_a pi(a) q(a), without any formula for it."""

    def expected(logits):
        return (logits.softmax(0) * EARNS).sum()

    return torch.stack(
        [
            (expected(theta + step * e) - expected(theta - step * e)) / (2 * step)
            for e in torch.eye(len(theta), dtype=DOUBLE)
        ]
    )


@exercise("reinforce_gradient", points=2)
def finite_differences_on_a_bandit(student):
    """Samples in exactly the policy's proportions: then the estimate is the gradient itself."""
    actions = torch.tensor([2, 0, 1, 0])
    rewards = EARNS[actions]
    scores = one_hot(actions) - PI
    weighted = (rewards[:, None] * scores).mean(0)
    found = student.reinforce_gradient(THETA.clone(), actions, rewards)
    expect_close(
        found,
        finite_differences(THETA),
        "finite differences of the expected reward give another gradient",
        {
            "the sum of the samples; take their mean, or the step grows with the batch": 4
            * weighted,
            "the sign is the other way round: this is downhill. A loss gets a minus, a gradient of the reward none": -weighted,
            "you weigh by pi(a) once more; that action a comes up with probability pi(a) has seen to it": (
                PI[actions][:, None] * rewards[:, None] * scores
            ).mean(0),
            "the scores lack -pi_k: without it every pulled arm with a positive reward looks good, the worst one too": (
                rewards[:, None] * one_hot(actions)
            ).mean(0),
            "the rewards do not enter": scores.mean(0),
        },
        tolerance=1e-6,
    )


@exercise("reinforce_gradient", points=2)
def batch_by_hand(student):
    """One arm may pay now this, now that."""
    actions = torch.tensor([1, 1, 3, 0, 3])
    rewards = torch.tensor([1.0, -1.0, 0.5, 2.0, 0.0], dtype=DOUBLE)
    scores = one_hot(actions, 4) - OTHER.softmax(0)
    expect_close(
        student.reinforce_gradient(OTHER.clone(), actions, rewards),
        (rewards[:, None] * scores).mean(0),
        "it is 1/N sum_i r_i grad log pi(a_i)",
        {
            "you subtract the mean reward; that is a baseline, and not asked for here": (
                (rewards - rewards.mean())[:, None] * scores
            ).mean(0),
            "you divide by the sum of the rewards; divide by N": (rewards[:, None] * scores).sum(0)
            / rewards.sum(),
            "rewards are taken by arm, rewards[actions]; rewards[i] belongs to sample i": (
                rewards[actions][:, None] * scores
            ).mean(0),
            "you take the size of the reward and lose its sign: punishment would teach like praise": (
                rewards.abs()[:, None] * scores
            ).mean(0),
        },
        tolerance=1e-6,
    )


# -- baseline --------------------------------------------------------------------------------------


@exercise("baseline", points=2)
def mean_of_the_others(student):
    """Four rewards, and three."""
    for rewards in (torch.tensor([1.0, 0.0, 0.0, 1.0]), torch.tensor([2.0, -1.0, 5.0])):
        n = len(rewards)
        expect_close(
            student.baseline(rewards),
            (rewards.sum() - rewards) / (n - 1),
            "b_i is the mean of the other rewards",
            {
                "your mean holds the sample's own reward; take the mean of the others alone": rewards.mean().expand(
                    n
                ),
                "one number for all; each sample has its own baseline, from the others": rewards.mean(),
                "you divide by N; there are N - 1 others": (rewards.sum() - rewards) / n,
                "this is the sum of the others; divide by their number, N - 1": rewards.sum()
                - rewards,
                "these are advantages, r - b; return b itself": rewards
                - (rewards.sum() - rewards) / (n - 1),
            },
        )


def all_batches(student, size=3):
    """Every batch of so many pulls: (probability, gradient without a baseline, gradient with the
    student's)."""
    for actions in itertools.product(range(3), repeat=size):
        rewards, scores = EARNS[list(actions)], one_hot(actions) - PI
        b = student.baseline(rewards)
        expect(
            getattr(b, "shape", None) == rewards.shape,
            f"{size} rewards have {size} baselines, one a sample",
        )
        yield (
            PI[list(actions)].prod(),
            (rewards[:, None] * scores).mean(0),
            ((rewards - b)[:, None] * scores).mean(0),
        )


@exercise("baseline", points=2)
def keeps_the_mean(student):
    """All 27 batches of three pulls, each with its probability: the expected gradient is the same
    with it and without."""
    chance, plain, with_it = (torch.stack(x) for x in zip(*all_batches(student), strict=True))
    exact, mean = (chance[:, None] * plain).sum(0), (chance[:, None] * with_it).sum(0)
    expect_close(
        mean,
        exact,
        "your baseline changes the expected gradient: it knows something of the action that it judges",
        {
            "the expected gradient shrinks to (N - 1)/N: your baseline of sample i holds r_i, so it depends on action i": 2
            / 3
            * exact,
            "the expected gradient is 0: your baseline is the reward itself, and nothing is left of it": 0
            * exact,
            "the expected gradient is twice as large: your baseline is minus the reward": 2 * exact,
        },
        tolerance=1e-6,
    )


@exercise("baseline", points=1)
def lowers_the_variance(student):
    """The same 27 batches: the spread of the gradient around its mean."""
    chance, plain, with_it = (torch.stack(x) for x in zip(*all_batches(student), strict=True))

    def variance(estimates):
        return (
            (chance * (estimates - (chance[:, None] * estimates).sum(0)).square().sum(1))
            .sum()
            .item()
        )

    expect(
        variance(with_it) < 0.9 * variance(plain),
        f"the variance of the gradient is {variance(with_it):.3f} with your "
        f"baseline and {variance(plain):.3f} without: it should fall",
    )


# -- reinforce_loss --------------------------------------------------------------------------------


def batch():
    """Two answers of 2 and 4 tokens; rewards 1 and 0, baselines 0.25 and 0.5."""
    logp = torch.tensor(
        [[-1.0, -2.0, -9.0, -9.0], [-0.5, -1.0, -1.5, -2.0]], dtype=DOUBLE, requires_grad=True
    )
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    rewards = torch.tensor([1.0, 0.0], dtype=DOUBLE)
    return logp, rewards, torch.tensor([0.25, 0.5], dtype=DOUBLE), mask


@exercise("reinforce_loss", points=2)
def gradient(student):
    """What an optimizer will follow, token by token."""
    logp, rewards, baselines, mask = batch()
    wanted = -torch.tensor([[0.75, 0.75, 0.0, 0.0], [-0.5, -0.5, -0.5, -0.5]], dtype=DOUBLE) / 2
    everywhere = -torch.tensor([[0.75] * 4, [-0.5] * 4], dtype=DOUBLE) / 2
    (found,) = gradients(student.reinforce_loss(logp, rewards, baselines, mask), logp)
    expect_close(
        found,
        wanted,
        "the gradient at a sampled token of answer i is -(r_i - b_i) / B, at padding 0",
        {
            "the minus is missing: an optimizer goes downhill, so this makes good answers less likely": -wanted,
            "padding is trained, too: use the mask": everywhere,
            "a mean over the tokens of an answer; log pi(o) is the sum of its tokens' log-probabilities": wanted
            / torch.tensor([[2.0], [4.0]]),
            "a mean over all tokens; divide by the number of answers, B": wanted * 2 / 6,
            "a mean over the padded width as well; divide by the number of answers alone": wanted
            / 4,
            "the sum over answers, not their mean": wanted * 2,
            "the baseline is not subtracted": -torch.tensor(
                [[1.0, 1, 0, 0], [0, 0, 0, 0]], dtype=DOUBLE
            )
            / 2,
            "you take probabilities, exp(logp); it is the log-probability that is weighed": wanted
            * logp.detach().exp(),
        },
        tolerance=1e-6,
    )


@exercise("reinforce_loss", points=1)
def value_of_the_loss(student):
    """The number itself, with padding that holds anything."""
    logp, rewards, baselines, mask = batch()
    wanted = -(0.75 * -3.0 + -0.5 * -5.0) / 2
    found = student.reinforce_loss(logp, rewards, baselines, mask)
    expect_close(found, wanted, "L = -1/B sum_i (r_i - b_i) sum_t m_it logp_it")
    wild = torch.tensor([[-1.0, float("-inf")]])
    loss = student.reinforce_loss(wild, torch.ones(1), torch.zeros(1), torch.tensor([[1, 0]]))
    expect_close(
        loss,
        1.0,
        "what stands where the mask is 0 must not matter: -inf * 0 is NaN; replace it (torch.where)",
    )


@exercise("reinforce_loss", points=1)
def baseline_is_a_number(student):
    """A baseline may come out of a network; this loss is not what trains it."""
    logp, rewards, baselines, mask = batch()
    baselines.requires_grad_(True)
    _, through = gradients(student.reinforce_loss(logp, rewards, baselines, mask), logp, baselines)
    expect(
        not through.any(),
        "gradient flows into the baseline: the policy's loss would push the critic towards wherever the "
        "loss is small, not towards the truth; detach it",
    )


### BEGIN MUTANTS


def pi_of(theta):
    return torch.softmax(theta, 0)


def hot(actions, theta):
    return torch.nn.functional.one_hot(torch.as_tensor(actions), len(theta)).to(theta.dtype)


@mutant("score", "gradient of the probability")
def of_the_probability(theta, action):
    return pi_of(theta)[action] * (hot(action, theta) - pi_of(theta))


@mutant("score", "normaliser")
def indicator_alone(theta, action):
    return hot(action, theta)


@mutant("score", "other way round")
def flipped(theta, action):
    return pi_of(theta) - hot(action, theta)


@mutant("score", "subtract the probabilities")
def minus_logits(theta, action):
    return hot(action, theta) - theta


@mutant("reinforce_gradient", "take their mean")
def summed(theta, actions, rewards):
    return (rewards[:, None] * (hot(actions, theta) - pi_of(theta))).sum(0)


@mutant("reinforce_gradient", "downhill")
def downhill(theta, actions, rewards):
    return -(rewards[:, None] * (hot(actions, theta) - pi_of(theta))).mean(0)


@mutant("reinforce_gradient", "once more")
def weighted_twice(theta, actions, rewards):
    weights = rewards * pi_of(theta)[actions]
    return (weights[:, None] * (hot(actions, theta) - pi_of(theta))).mean(0)


@mutant("reinforce_gradient", "lack -pi_k")
def counts_alone(theta, actions, rewards):
    return (rewards[:, None] * hot(actions, theta)).mean(0)


@mutant("reinforce_gradient", "that is a baseline")
def with_a_baseline(theta, actions, rewards):
    return ((rewards - rewards.mean())[:, None] * (hot(actions, theta) - pi_of(theta))).mean(0)


@mutant("reinforce_gradient", "lose its sign")
def without_sign(theta, actions, rewards):
    return (rewards.abs()[:, None] * (hot(actions, theta) - pi_of(theta))).mean(0)


@mutant("baseline", "own reward")
def mean_of_all(rewards):
    return rewards.mean().expand(len(rewards))


@mutant("baseline", "(N - 1)/N")
def mean_of_all_again(rewards):
    return torch.full_like(rewards, rewards.mean().item())


@mutant("baseline", "nothing is left")
def its_own(rewards):
    return rewards.clone()


@mutant("baseline", "it should fall")
def nothing(rewards):
    return torch.zeros_like(rewards)


@mutant("baseline", "divide by their number")
def sum_of_others(rewards):
    return rewards.sum() - rewards


@mutant("baseline", "N - 1 others")
def over_n(rewards):
    return (rewards.sum() - rewards) / len(rewards)


def weighed(logp, rewards, baselines, mask):
    return (rewards - baselines).detach()[:, None] * torch.where(mask.bool(), logp, 0.0)


@mutant("reinforce_loss", "minus is missing")
def no_minus(logp, rewards, baselines, mask):
    return weighed(logp, rewards, baselines, mask).sum(1).mean()


@mutant("reinforce_loss", "use the mask")
def no_mask(logp, rewards, baselines, mask):
    return weighed(-logp, rewards, baselines, torch.ones_like(mask)).sum(1).mean()


@mutant("reinforce_loss", "mean over the tokens of an answer")
def per_token(logp, rewards, baselines, mask):
    return -(weighed(logp, rewards, baselines, mask).sum(1) / mask.sum(1)).mean()


@mutant("reinforce_loss", "mean over all tokens")
def over_all_tokens(logp, rewards, baselines, mask):
    return -weighed(logp, rewards, baselines, mask).sum() / mask.sum()


@mutant("reinforce_loss", "take probabilities")
def of_probabilities(logp, rewards, baselines, mask):
    return -weighed(logp.exp(), rewards, baselines, mask).sum(1).mean()


@mutant("reinforce_loss", "not subtracted")
def baseline_forgotten(logp, rewards, baselines, mask):
    return -weighed(logp, rewards, torch.zeros_like(baselines), mask).sum(1).mean()


@mutant("reinforce_loss", "detach it")
def trains_the_baseline(logp, rewards, baselines, mask):
    return -((rewards - baselines)[:, None] * torch.where(mask.bool(), logp, 0.0)).sum(1).mean()


@mutant("reinforce_loss", "is NaN")
def mask_by_product(logp, rewards, baselines, mask):
    return -((rewards - baselines).detach() * (logp * mask).sum(1)).mean()


@mutant("reinforce_loss", "no gradient flows")
def all_detached(logp, rewards, baselines, mask):
    return -weighed(logp.detach(), rewards, baselines, mask).sum(1).mean()


### END MUTANTS
