"""What lecture 13 holds its exercises to. Values by hand and in float64."""

import math

import torch

from course.grade import exercise, expect, expect_close, gradients

FORBIDDEN = ("minilrm.values", "minilrm.objectives", "minilrm.ppo")

DOUBLE = torch.float64


def double(numbers):
    return torch.tensor(numbers, dtype=DOUBLE)


# -- bradley_terry_loss ----------------------------------------------------------------------------

CHOSEN, REJECTED = double([2.0, 0.5, -1.0, 0.0]), double([1.0, 0.5, 1.0, -3.0])


@exercise("bradley_terry_loss", points=2)
def values(student):
    """Four comparisons."""
    d = CHOSEN - REJECTED
    p = d.sigmoid()
    expect_close(
        student.bradley_terry_loss(CHOSEN, REJECTED),
        -p.log().mean(),
        "-mean log sigmoid(chosen - rejected)",
        {
            "the minus is missing: an optimizer would teach the model to disagree with the people": p.log().mean(),
            "chosen and rejected are exchanged: the model would learn to prefer what people rejected": -(
                1 - p
            )
            .log()
            .mean(),
            "the logarithm is missing: this is minus the mean probability": -p.mean(),
            "you take sigmoid of each score; only their difference means anything": -(
                CHOSEN.sigmoid() - REJECTED.sigmoid()
            ).mean(),
            "the sigmoid is missing: a bare difference has no lowest value": -d.mean(),
            "the sum over comparisons, not their mean": -p.log().sum(),
            "the mean before the logarithm; each comparison has a loss of its own": -p.mean().log(),
            "the logarithm to base 2; use the natural one": -p.log2().mean(),
            "one value a comparison; take the mean": -p.log(),
            "the mean of the differences first; each comparison has a loss of its own": -d.mean()
            .sigmoid()
            .log(),
        },
        tolerance=1e-6,
    )


@exercise("bradley_terry_loss", points=2)
def gradient(student):
    """How hard each comparison pulls: 1 minus the probability that the model gave it."""
    chosen, rejected = CHOSEN.clone().requires_grad_(True), REJECTED.clone().requires_grad_(True)
    wanted = (1 - (CHOSEN - REJECTED).sigmoid()) / 4
    up, down = gradients(student.bradley_terry_loss(chosen, rejected), chosen, rejected)
    expect_close(
        up,
        -wanted,
        "the gradient with respect to the preferred scores is -(1 - p) / N",
        tolerance=1e-6,
    )
    expect_close(
        down,
        wanted,
        "the gradient with respect to the rejected scores is (1 - p) / N",
        {
            "no gradient reaches the rejected scores; they are pushed down as the preferred ones are pushed up": 0
            * wanted
        },
        tolerance=1e-6,
    )


@exercise("bradley_terry_loss", points=1)
def far_apart(student):
    """Differences of 1000, right and wrong way round."""
    expect_close(
        student.bradley_terry_loss(torch.tensor([-500.0]), torch.tensor([500.0])),
        1000.0,
        "a difference of -1000 gives 1000, not infinity: log(sigmoid(x)) underflows; use logsigmoid or softplus",
    )
    expect_close(
        student.bradley_terry_loss(torch.tensor([500.0]), torch.tensor([-500.0])),
        0.0,
        "a difference of 1000 gives 0",
    )
    far = torch.tensor([-500.0], requires_grad=True)
    (found,) = gradients(student.bradley_terry_loss(far, torch.tensor([500.0])), far)
    expect_close(
        found,
        torch.tensor([-1.0]),
        "where the model is badly wrong its gradient must be -1, not 0 or NaN",
    )


# -- preference_accuracy ---------------------------------------------------------------------------


@exercise("preference_accuracy", points=2)
def shares(student):
    """Five comparisons, and five others, all below 0."""
    for chosen, rejected, wanted in (
        ([2.0, -1.0, 0.5, 3.0, 1.0], [1.0, 0.5, 0.0, -1.0, 4.0], 0.6),
        ([-1.0, -2.0, -0.5, -9.0, -0.1], [-2.0, -1.0, -3.0, -10.0, -0.2], 0.8),
    ):
        c, r = torch.tensor(chosen), torch.tensor(rejected)
        expect_close(
            student.preference_accuracy(c, r),
            wanted,
            "the share of comparisons with chosen above rejected",
            {
                "exchanged: this is the share in which the rejected answer wins": 1 - wanted,
                "a count; divide by the number of comparisons": wanted * 5,
                "you ask whether the preferred score is positive; compare it with the other one": (
                    c > 0
                )
                .double()
                .mean(),
                "this is the mean probability sigmoid(chosen - rejected); count who is ahead": (
                    c - r
                )
                .sigmoid()
                .mean(),
                "in percent; a share from 0 to 1 is asked for": wanted * 100,
                "every preferred answer is compared with every other one; compare the two of a pair": (
                    c[:, None] > r
                )
                .double()
                .mean(),
            },
        )


@exercise("preference_accuracy", points=1)
def ties(student):
    """A model that says the same of everything."""
    same = torch.zeros(4)
    expect_close(
        student.preference_accuracy(same, same),
        0.5,
        "equal scores count one half",
        {
            "equal scores count as wrong: a model without an opinion would be worse than a coin": 0.0,
            "equal scores count as right: a model without an opinion would be perfect": 1.0,
        },
    )
    expect_close(
        student.preference_accuracy(
            torch.tensor([2.0, 0.0, 1.0, 1.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
        ),
        0.625,
        "right, wrong, a tie, right: 2.5 of 4",
        {"you leave ties out of the count; they count one half": 2 / 3},
    )


# -- token_rewards ---------------------------------------------------------------------------------


def batch():
    """Three answers of 4, 2 and 1 tokens; NaN where the mask is 0."""
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    logp = double([[-1.0, -0.5, -2.0, -0.1], [-0.3, -1.5, 0, 0], [-0.7, 0, 0, 0]]).masked_fill(
        mask == 0, math.nan
    )
    ref = double([[-1.5, -0.2, -2.0, -0.6], [-0.4, -1.0, 0, 0], [-0.2, 0, 0, 0]]).masked_fill(
        mask == 0, math.nan
    )
    return double([1.0, 0.5, -2.0]), logp, ref, mask


@exercise("token_rewards", points=2)
def where_the_reward_stands(student):
    """Without a price (beta 0)."""
    rewards, logp, ref, mask = batch()
    wanted = double([[0, 0, 0, 1.0], [0, 0.5, 0, 0], [-2.0, 0, 0, 0]])
    found = student.token_rewards(rewards, logp, ref, mask, 0.0)
    expect_close(
        found,
        wanted,
        "each answer's reward stands at its last sampled token",
        {
            "the reward stands at the last column, also where that is padding; find each row's own last token": double(
                [[0, 0, 0, 1.0], [0, 0, 0, 0.5], [0, 0, 0, -2.0]]
            ),
            "every token gets the whole reward: the return would count it once a token": rewards[
                :, None
            ]
            * mask,
            "the reward is spread over the tokens; it comes once, at the end": rewards[:, None]
            * mask
            / mask.sum(1, keepdim=True),
            "the reward stands at the first token; it is earned at the end": double(
                [[1.0, 0, 0, 0], [0.5, 0, 0, 0], [-2.0, 0, 0, 0]]
            ),
            "the reward stands one place behind the last token": double(
                [[0, 0, 0, 0], [0, 0, 0.5, 0], [0, -2.0, 0, 0]]
            ),
            "what stands where the mask is 0 makes your rewards NaN: 0 * NaN is NaN; use torch.where": wanted.masked_fill(
                mask == 0, math.nan
            ),
        },
    )


@exercise("token_rewards", points=2)
def price_of_moving_away(student):
    """Beta 0.1: each token pays for being likelier than under the reference."""
    rewards, logp, ref, mask = batch()
    beta = 0.1
    d = torch.where(mask.bool(), logp - ref, 0.0)
    end = double([[0, 0, 0, 1.0], [0, 0.5, 0, 0], [-2.0, 0, 0, 0]])
    k3 = torch.where(mask.bool(), (-d).exp() - 1 + d, 0.0)
    only_last = torch.where(end != 0, d.sum(1, keepdim=True), 0.0)
    found = student.token_rewards(rewards, logp, ref, mask, beta)
    expect_close(
        found,
        end - beta * d,
        "r_t = -beta (logp - ref_logp), and the reward more at the end",
        {
            "the sign of the price is the other way round: you pay the policy for moving away from the reference": end
            + beta * d,
            "beta does not enter": end - d,
            "there is no price in your rewards": end,
            "the last token pays nothing; the reward comes on top of its price": torch.where(
                end != 0, end, -beta * d
            ),
            "the whole price stands at the last token; each token pays its own, so that the critic can learn who costs what": end
            - beta * only_last,
            "this is the estimator k3; in a reward it is k1, logp - ref_logp, that has the right gradient": end
            - beta * k3,
            "you take the absolute difference; a token that became less likely gets something back": end
            - beta * d.abs(),
            "what stands where the mask is 0 makes your rewards NaN: 0 * NaN is NaN; use torch.where": (
                end - beta * d
            ).masked_fill(mask == 0, math.nan),
        },
    )


@exercise("token_rewards", points=2)
def a_number_like_any_reward(student):
    """No gradient, and tokens between sampled ones (a tool's) earn nothing and cost nothing."""
    rewards, logp, ref, mask = batch()
    paid = student.token_rewards(rewards, logp.clone().requires_grad_(True), ref, mask, 0.1)
    expect(
        not getattr(paid, "requires_grad", False),
        "gradient flows through your rewards: as a loss this estimate of the KL "
        "has the expected gradient 0 (lecture 15); in a reward it is a number, detach it",
    )
    holes = torch.tensor([[1, 0, 1, 0, 0]])
    logp, ref = double([[-1.0, 5.0, -2.0, 5.0, 5.0]]), double([[-2.0, 0, -1.0, 0, 0]])
    found = student.token_rewards(double([1.0]), logp, ref, holes, 0.1)
    expect_close(
        found,
        double([[-0.1, 0, 1.1, 0, 0]]),
        "mask [1, 0, 1, 0, 0]: the last sampled token is the third",
        {
            "you put the reward at place mask.sum() - 1; the last 1 of the mask may stand further behind": double(
                [[-0.1, 1.0, 0.1, 0, 0]]
            ),
            "you price tokens that the policy did not sample": double(
                [[-0.1, -0.5, 1.1, -0.5, -0.5]]
            ),
        },
    )
