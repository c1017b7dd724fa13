"""What lecture 11 holds its exercises to. The bandits are so small that every batch of samples can
be listed, so what is expected is exact: no check depends on luck. Gradients are compared with
finite differences, losses with the library's."""

import itertools
import math

import torch

from course.grade import close, exercise, expect, expect_close, gradients
from minilrm import objectives

FORBIDDEN = ("minilrm.objectives", "minilrm.values", "minilrm.grpo", "minilrm.ppo")

DOUBLE = torch.float64
PI = torch.tensor([0.5, 0.25, 0.25], dtype=DOUBLE)
THETA = PI.log() + 0.7  # a constant in all logits changes no probability
EARNS = torch.tensor([1.0, 2.0, 4.0], dtype=DOUBLE)  # what each arm pays
OTHER = torch.tensor([0.3, -0.8, 1.1, 0.0], dtype=DOUBLE)

# The scores of the three arms under PI, one a row.
SCORES = torch.tensor([[0.5, -0.25, -0.25], [-0.5, 0.75, -0.25], [-0.5, -0.25, 0.75]], dtype=DOUBLE)


def noise(seed, *shape):
    """Normal numbers in float64, the same at each run."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def slope(function, at, step=1e-5):
    """The gradient of a function of a vector by finite differences, without any formula for it."""
    steps = step * torch.eye(len(at), dtype=DOUBLE)
    return torch.stack([(function(at + e) - function(at - e)) / (2 * step) for e in steps])


def one_hot(actions, arms):
    return torch.nn.functional.one_hot(torch.as_tensor(actions), arms).to(DOUBLE)


# -- score -----------------------------------------------------------------------------------------


@exercise("score", points=2)
def value(student):
    """Policies over two to seven arms, each of their actions; logits of a thousand."""
    for theta in (THETA, OTHER, noise(1, 7), noise(2, 2)):
        pi = theta.softmax(0)
        for action in range(len(theta)):
            wanted = slope(lambda t, action=action: t.log_softmax(0)[action], theta)
            chosen = one_hot(action, len(theta))
            expect_close(
                student.score(theta.clone(), action),
                wanted,
                f"{len(theta)} arms, action {action}: the score is 1 - pi at the action, else -pi",
                {
                    "this is the gradient of the probability pi(a); that of its logarithm lacks "
                    "the factor pi(a)": pi[action] * wanted,
                    "you left out the normaliser: a softmax sinks everywhere when one logit rises, "
                    "so -pi_k for every k": chosen,
                    "the sign is the other way round: raising an action's own logit makes it "
                    "likelier": -wanted,
                    "you subtract the logits; subtract the probabilities, softmax(theta)": (
                        chosen - theta
                    ),
                    "you subtract exp(theta), which does not sum to 1; take softmax(theta)": (
                        chosen - theta.exp()
                    ),
                    "this is log pi itself; its gradient is asked for": theta.log_softmax(0),
                },
                tolerance=1e-6,
            )
    far = student.score(torch.tensor([1000.0, 1000.0, 0.0]), 0)
    expect_close(
        far, [0.5, -0.5, 0.0], "logits of a thousand: use softmax, which subtracts the maximum"
    )


# -- reinforce_gradient ----------------------------------------------------------------------------


def scores_of(theta):
    """The score of each arm, one a row, by finite differences."""
    arms = range(len(theta))
    return torch.stack([slope(lambda t, arm=arm: t.log_softmax(0)[arm], theta) for arm in arms])


@exercise("reinforce_gradient", points=2)
def finite_differences_on_a_bandit(student):
    """Samples in exactly the policy's proportions: then the estimate is the gradient itself."""
    actions = torch.tensor([2, 0, 1, 0])
    rewards = EARNS[actions]
    found = student.reinforce_gradient(THETA.clone(), actions.clone(), rewards.clone())
    wanted, scores = slope(lambda t: (t.softmax(0) * EARNS).sum(), THETA), SCORES[actions]
    expect_close(
        found,
        wanted,
        "finite differences of the expected reward give another gradient",
        {
            "the sum of the samples; take their mean, or the step grows with the batch": 4 * wanted,
            "the sign is the other way round: this is downhill. A loss gets a minus, a gradient of "
            "the reward none": -wanted,
            "you weigh by pi(a) once more; that action a comes up with probability pi(a) has seen "
            "to it": (rewards * PI[actions]) @ scores / 4,
            "the scores lack -pi_k: without it every pulled arm with a positive reward looks good, "
            "the worst one too": (rewards[:, None] * one_hot(actions, 3)).mean(0),
            "the rewards do not enter": scores.mean(0),
        },
        tolerance=1e-6,
    )


@exercise("reinforce_gradient", points=2)
def batch_by_hand(student):
    """One arm may pay now this, now that; batches and bandits of several sizes."""
    batches = [(OTHER, torch.tensor([1, 1, 3, 0, 3]), torch.tensor([1.0, -1.0, 0.5, 2.0, 0.0]))]
    for seed, arms, size in ((1, 2, 1), (2, 6, 9), (3, 3, 30)):
        actions = torch.randint(arms, (size,), generator=torch.Generator().manual_seed(seed))
        batches.append((noise(seed, arms), actions, noise(seed + 9, size)))
    for theta, actions, rewards in batches:
        rewards, scores, size = rewards.double(), scores_of(theta)[actions], len(actions)
        wanted = sum(r * row for r, row in zip(rewards, scores, strict=True)) / size
        by_arm = rewards[actions] if actions.max() < size else rewards
        expect_close(
            student.reinforce_gradient(theta.clone(), actions.clone(), rewards.clone()),
            wanted,
            f"{len(theta)} arms, {len(actions)} samples: it is 1/N sum_i r_i grad log pi(a_i)",
            {
                "you subtract the mean reward; that is a baseline, and not asked for here": (
                    wanted - rewards.mean() * scores.mean(0)
                ),
                "you divide by the sum of the rewards; divide by N": (
                    wanted * size / rewards.sum()
                ),
                "rewards are taken by arm, rewards[actions]; rewards[i] belongs to sample i": (
                    by_arm @ scores / size
                ),
                "you take the size of the reward and lose its sign: punishment would teach like "
                "praise": rewards.abs() @ scores / size,
            },
            tolerance=1e-6,
        )


# -- baseline --------------------------------------------------------------------------------------


@exercise("baseline", points=2)
def mean_of_the_others(student):
    """Four rewards, and three, by hand; then two to nine of any size."""
    for rewards, wanted in (
        ([1.0, 0.0, 0.0, 1.0], [1 / 3, 2 / 3, 2 / 3, 1 / 3]),
        ([2.0, -1.0, 5.0], [2.0, 3.5, 0.5]),
    ):
        rewards, wanted = torch.tensor(rewards), torch.tensor(wanted)
        n = len(rewards)
        expect_close(
            student.baseline(rewards.clone()),
            wanted,
            "b_i is the mean of the other rewards",
            {
                "your mean holds the sample's own reward; take the mean of the others alone": (
                    rewards.mean().expand(n)
                ),
                "one number for all; each sample has its own baseline, from the others": (
                    rewards.mean()
                ),
                "you divide by N; there are N - 1 others": wanted * (n - 1) / n,
                "this is the sum of the others; divide by their number, N - 1": wanted * (n - 1),
                "these are advantages, r - b; return b itself": rewards - wanted,
            },
        )
    for size in (2, 5, 9):
        rewards = noise(size, size)
        found = student.baseline(rewards.clone())
        expect(
            getattr(found, "shape", None) == rewards.shape,
            f"{size} rewards have {size} baselines, one a sample",
        )
        expect_close(
            found * (size - 1) + rewards,
            rewards.sum().expand(size),
            f"{size} rewards: N - 1 times your baseline and the sample's own reward must sum to "
            "the sum of all rewards, for each sample",
        )


def all_batches(student, size):
    """Every batch of so many pulls: their probabilities, and the gradients that they estimate
    without a baseline and with the student's."""
    chances, plain, with_it = [], [], []
    for actions in itertools.product(range(3), repeat=size):
        rewards, scores = EARNS[list(actions)], SCORES[list(actions)]
        b = student.baseline(rewards.clone())
        expect(
            getattr(b, "shape", None) == rewards.shape,
            f"{size} rewards have {size} baselines, one a sample",
        )
        chances.append(PI[list(actions)].prod())
        plain.append(rewards @ scores / size)
        with_it.append((rewards - b) @ scores / size)
    return torch.stack(chances), torch.stack(plain), torch.stack(with_it)


@exercise("baseline", points=2)
def keeps_the_mean(student):
    """All batches of two and of three pulls, each with its probability: the expected gradient is
    the same with it and without."""
    for size in (3, 2):
        chance, plain, with_it = all_batches(student, size)
        exact = chance @ plain
        expect_close(
            chance @ with_it,
            exact,
            f"{size} pulls: your baseline changes the expected gradient, so it knows something of "
            "the action that it judges",
            {
                "the expected gradient shrinks to (N - 1)/N: your baseline of sample i holds r_i, "
                "so it depends on action i": (size - 1) / size * exact,
                "the expected gradient is 0: your baseline is the reward itself, and nothing is "
                "left of it": 0 * exact,
                "the expected gradient is twice as large: your baseline is minus the reward": (
                    2 * exact
                ),
            },
            tolerance=1e-6,
        )


@exercise("baseline", points=1)
def lowers_the_variance(student):
    """All batches of three pulls: the spread of the gradient around its mean."""
    chance, plain, with_it = all_batches(student, 3)

    def variance(estimates):
        return (chance * (estimates - chance @ estimates).square().sum(1)).sum().item()

    expect(
        variance(with_it) < 0.9 * variance(plain),
        f"the variance of the gradient is {variance(with_it):.3f} with your "
        f"baseline and {variance(plain):.3f} without: it should fall",
    )


# -- reinforce_loss --------------------------------------------------------------------------------


def batch(seed, rows, width):
    """Log-probabilities, rewards, baselines, and a mask with holes and leading zeros. The first
    batch is small enough for numbers by hand."""
    if seed == 0:
        logp = torch.tensor([[-1.0, -9.0, -2.0, -9.0], [-0.5, -1.0, -1.5, -2.0]], dtype=DOUBLE)
        rewards, baselines = torch.tensor([[1.0, 0.0], [0.25, 0.5]], dtype=DOUBLE)
        return logp, rewards, baselines, torch.tensor([[1, 0, 1, 0], [1, 1, 1, 1]])
    mask = (noise(seed, rows, width) > 0).long()
    mask[:, 0], mask[:, 1], mask[:, -1] = 0, 1, torch.arange(rows) % 2
    return noise(seed + 1, rows, width) - 2, noise(seed + 2, rows), noise(seed + 3, rows), mask


def by_library(logp, rewards, baselines, mask):
    """REINFORCE's loss with the aggregation of this lecture: a sum over tokens, a mean over
    answers."""
    settings = {"objective": "reinforce", "aggregation": "constant", "max_length": 1}
    return objectives.policy_loss(logp, None, rewards - baselines, mask, **settings)[0]


def prefix(mask):
    """A mask with as many ones in each row, all of them at its beginning."""
    return (torch.arange(mask.shape[1]) < mask.sum(1, keepdim=True)).long()


BATCHES = ((0, 2, 4), (10, 3, 6), (20, 5, 9), (30, 1, 3))


@exercise("reinforce_loss", points=2)
def gradient(student):
    """What an optimizer will follow, token by token."""
    for shape in BATCHES:
        logp, rewards, baselines, mask = batch(*shape)
        logp.requires_grad_(True)
        (wanted,) = gradients(by_library(logp, rewards, baselines, mask), logp)
        (bare,) = gradients(by_library(logp, rewards, 0 * baselines, mask), logp)
        everywhere = torch.ones_like(mask)
        (unmasked,) = gradients(by_library(logp, rewards, baselines, everywhere), logp)
        (first,) = gradients(by_library(logp, rewards, baselines, prefix(mask)), logp)
        rows, width = mask.shape
        loss = student.reinforce_loss(logp, rewards.clone(), baselines.clone(), mask.clone())
        (found,) = gradients(loss, logp)
        expect_close(
            found,
            wanted,
            f"{rows} answers: the gradient at a sampled token of answer i is -(r_i - b_i) / B, "
            "where the mask is 0 it is 0",
            {
                "the minus is missing: an optimizer goes downhill, so this makes good answers less "
                "likely": -wanted,
                "padding is trained, too: use the mask": unmasked,
                "you take the first mask.sum(1) tokens of each row; the ones of the mask may stand "
                "anywhere": first,
                "a mean over the tokens of an answer; log pi(o) is the sum of its tokens' "
                "log-probabilities": wanted / mask.sum(1, keepdim=True),
                "a mean over all tokens; divide by the number of answers, B": (
                    wanted * rows / mask.sum()
                ),
                "a mean over the padded width as well; divide by the number of answers alone": (
                    wanted / width
                ),
                "the sum over answers, not their mean": wanted * rows,
                "the baseline is not subtracted": bare,
                "you take probabilities, exp(logp); it is the log-probability that is weighed": (
                    wanted * logp.detach().exp()
                ),
            },
            tolerance=1e-6,
        )


@exercise("reinforce_loss", points=1)
def value_of_the_loss(student):
    """The number itself, with padding that holds anything."""
    for shape in BATCHES:
        logp, rewards, baselines, mask = batch(*shape)
        expect_close(
            student.reinforce_loss(logp.clone(), rewards.clone(), baselines.clone(), mask.clone()),
            by_library(logp, rewards, baselines, mask),
            "L = -1/B sum_i (r_i - b_i) sum_t m_it logp_it",
        )
    mask, ones = torch.tensor([[0, 1, 0]]), torch.ones(1)
    for hidden in (-math.inf, math.nan, math.inf):
        wild = torch.where(mask.bool(), -1.0, hidden).requires_grad_(True)
        loss = student.reinforce_loss(wild, ones.clone(), torch.zeros(1), mask.clone())
        expect_close(
            loss,
            1.0,
            f"what stands where the mask is 0 must not matter, here {hidden}: {hidden} * 0 is NaN; "
            "replace it (torch.where)",
        )
        (found,) = gradients(loss, wild)
        expect(
            close(found, [[0.0, -1.0, 0.0]]),
            f"what stands where the mask is 0 must not reach the gradient, here {hidden}",
        )


@exercise("reinforce_loss", points=1)
def baseline_is_a_number(student):
    """A baseline may come out of a network; this loss is not what trains it. Rewards are numbers,
    too."""
    logp, rewards, baselines, mask = batch(0, 2, 4)
    given = [x.clone().requires_grad_(True) for x in (logp, rewards, baselines)]
    _, through_rewards, through = gradients(student.reinforce_loss(*given, mask), *given)
    expect(
        not through.any(),
        "gradient flows into the baseline: the policy's loss would push the critic towards "
        "wherever the loss is small, not towards the truth; detach it",
    )
    expect(
        not through_rewards.any(),
        "gradient flows into the rewards: only logp is trained here; detach r - b as a whole",
    )
