"""What lecture 13 holds its exercises to: values by hand, in plain numbers and in float64."""

import math

import torch

from course.grade import exercise, expect, expect_close, gradients

FORBIDDEN = ("minilrm.values", "minilrm.objectives", "minilrm.ppo")

DOUBLE = torch.float64


def double(numbers):
    return torch.tensor(numbers, dtype=DOUBLE)


def noise(seed, *shape):
    """Normal numbers in float64, the same at each run."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


# -- bradley_terry_loss ----------------------------------------------------------------------------

CHOSEN, REJECTED = double([2.0, 0.5, -1.0, 0.0]), double([1.0, 0.5, 1.0, -3.0])
LOSSES = [0.313262, 0.693147, 2.126928, 0.048587]  # of the four comparisons


@exercise("bradley_terry_loss", points=2)
def values(student):
    """Four comparisons by hand, then one, seven and twelve."""
    d, wanted = CHOSEN - REJECTED, sum(LOSSES) / 4
    p = d.sigmoid()
    expect_close(
        student.bradley_terry_loss(CHOSEN.clone(), REJECTED.clone()),
        wanted,
        "-mean log sigmoid(chosen - rejected)",
        {
            "the minus is missing: an optimizer would teach the model to disagree with people": (
                -wanted
            ),
            "chosen and rejected are exchanged: the model would learn to prefer what people "
            "rejected": wanted + d.mean(),
            "the logarithm is missing: this is minus the mean probability": -p.mean(),
            "you take sigmoid of each score; only their difference means anything": -(
                CHOSEN.sigmoid() - REJECTED.sigmoid()
            ).mean(),
            "the sigmoid is missing: a bare difference has no lowest value": -d.mean(),
            "the sum over comparisons, not their mean": 4 * wanted,
            "the mean before the logarithm; each comparison has a loss of its own": -p.mean().log(),
            "the logarithm to base 2; use the natural one": wanted / math.log(2),
            "one value a comparison; take the mean": double(LOSSES),
            "the mean of the differences first; each comparison has a loss of its own": (
                -d.mean().sigmoid().log()
            ),
        },
        tolerance=2e-6,
    )
    for size in (1, 7, 12):
        chosen, rejected = 2 * noise(size, size), 2 * noise(size + 1, size)
        pairs = zip(chosen.tolist(), rejected.tolist(), strict=True)
        expect_close(
            student.bradley_terry_loss(chosen.clone(), rejected.clone()),
            sum(math.log(1 + math.exp(r - c)) for c, r in pairs) / size,
            f"{size} comparisons: the mean of log(1 + exp(rejected - chosen))",
        )


@exercise("bradley_terry_loss", points=2)
def gradient(student):
    """How hard each comparison pulls: 1 minus the probability that the model gave it."""
    for chosen, rejected in ((CHOSEN, REJECTED), (2 * noise(3, 9), 2 * noise(4, 9))):
        wanted = (1 - (chosen - rejected).sigmoid()) / len(chosen)
        leaves = [x.clone().requires_grad_(True) for x in (chosen, rejected)]
        up, down = gradients(student.bradley_terry_loss(*leaves), *leaves)
        expect_close(
            up,
            -wanted,
            "the gradient with respect to the preferred scores is -(1 - p) / N",
            {"no gradient reaches the preferred scores": 0 * wanted},
            tolerance=1e-6,
        )
        expect_close(
            down,
            wanted,
            "the gradient with respect to the rejected scores is (1 - p) / N",
            {
                "no gradient reaches the rejected scores; they are pushed down as the preferred "
                "ones are pushed up": 0 * wanted
            },
            tolerance=1e-6,
        )


@exercise("bradley_terry_loss", points=1)
def far_apart(student):
    """Differences of 1000, right and wrong way round."""
    low, high = torch.tensor([-500.0]), torch.tensor([500.0])
    overflow = "log(sigmoid(x)) underflows, and exp(x) overflows; use logsigmoid or softplus"
    expect_close(
        student.bradley_terry_loss(low.clone(), high.clone()),
        1000.0,
        "a difference of -1000 gives 1000",
        {f"a difference of -1000 gives 1000, not infinity: {overflow}": math.inf},
    )
    expect_close(
        student.bradley_terry_loss(high.clone(), low.clone()),
        0.0,
        "a difference of 1000 gives 0",
    )
    far = low.clone().requires_grad_(True)
    (found,) = gradients(student.bradley_terry_loss(far, high.clone()), far)
    expect_close(
        found,
        torch.tensor([-1.0]),
        f"where the model is badly wrong its gradient must be -1, not 0 or NaN: {overflow}",
    )


# -- preference_accuracy ---------------------------------------------------------------------------


@exercise("preference_accuracy", points=2)
def shares(student):
    """Comparisons above 0 and below, one alone, eight, and some that are nearly equal."""
    for chosen, rejected, wanted in (
        ([2.0, -1.0, 0.5, 3.0, 1.0], [1.0, 0.5, 0.0, -1.0, 4.0], 0.6),
        ([-1.0, -2.0, -0.5, -9.0, -0.1], [-2.0, -1.0, -3.0, -10.0, -0.2], 0.8),
        ([0.5], [0.25], 1.0),
        ([1.0, 2, 3, 4, 5, 6, 7, 8], [9.0, 1, 9, 9, 9, 9, 6, 9], 0.25),
        ([1.0, 2.0, 3.0, 4.0], [1.0001, 1.9999, 2.9999, 3.9999], 0.75),
    ):
        c, r, n = double(chosen), double(rejected), len(chosen)
        found = student.preference_accuracy(c.clone(), r.clone())
        expect(not isinstance(found, torch.Tensor), "return a Python number: mean().item()")
        expect_close(
            found,
            wanted,
            f"the share of the {n} comparisons with chosen above rejected",
            {
                "scores that differ by 0.0001 are not equal: compare exactly": (
                    0.5 if wanted == 0.75 else None
                ),
                "exchanged: this is the share in which the rejected answer wins": 1 - wanted,
                "a count; divide by the number of comparisons": wanted * n,
                "you ask whether the preferred score is positive; compare it with the other one": (
                    (c > 0).double().mean()
                ),
                "this is the mean probability sigmoid(chosen - rejected); count comparisons": (
                    (c - r).sigmoid().mean()
                ),
                "in percent; a share from 0 to 1 is asked for": wanted * 100,
                "every preferred answer is compared with every other one; compare the two of a "
                "pair": (c[:, None] > r).double().mean(),
            },
        )


@exercise("preference_accuracy", points=1)
def ties(student):
    """A model that says the same of everything."""
    same = torch.zeros(4)
    expect_close(
        student.preference_accuracy(same.clone(), same.clone()),
        0.5,
        "equal scores count one half",
        {
            "equal scores count as wrong: a model without opinion would be worse than a coin": 0.0,
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
    """Rewards, log-probabilities, those of the reference, the mask, and the difference of the two:
    answers of 4, 2, 1 and 3 sampled tokens, two with holes and a foreign token in front. NaN where
    the mask is 0."""
    mask = torch.tensor([[1, 1, 1, 1, 0], [0, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0, 1, 1, 0, 1]])
    logp = double(
        [[-1, -0.5, -2, -0.1, 0], [0, -0.3, 0, -1.5, 0], [-0.7, 0, 0, 0, 0], [0, -1, -2, 0, -3]]
    )
    moved = double(
        [[0.5, -0.3, 0, 0.5, 0], [0, 0.1, 0, -0.5, 0], [-0.5, 0, 0, 0, 0], [0, 0.2, -0.4, 0, 1]]
    )
    hidden = mask == 0
    rewards = double([1.0, 0.5, -2.0, 0.25])
    return (
        rewards,
        logp.masked_fill(hidden, math.nan),
        (logp - moved).masked_fill(hidden, math.nan),
        mask,
        moved,
    )


# Each answer's reward at its last sampled token.
END = double([[0, 0, 0, 1.0, 0], [0, 0, 0, 0.5, 0], [-2.0, 0, 0, 0, 0], [0, 0, 0, 0, 0.25]])
NOT_A_NUMBER = (
    "what stands where the mask is 0 makes your rewards NaN: 0 * NaN is NaN; use torch.where"
)
BY_COUNT = (
    "you put the reward at place mask.sum() - 1; the last 1 of the mask may stand further behind"
)


def at(*places):
    """The four rewards at these columns, one a row."""
    out = torch.zeros(4, 5, dtype=DOUBLE)
    out[torch.arange(4), list(places)] = double([1.0, 0.5, -2.0, 0.25])
    return out


@exercise("token_rewards", points=2)
def where_the_reward_stands(student):
    """Without a price (beta 0)."""
    rewards, logp, ref, mask, _ = batch()
    expect_close(
        student.token_rewards(*(x.clone() for x in (rewards, logp, ref, mask)), 0.0),
        END,
        "each answer's reward stands at its last sampled token",
        {
            "the reward stands at the last column, also where that is padding; find each row's own "
            "last token": at(4, 4, 4, 4),
            "every token gets the whole reward: the return would count it once a token": (
                rewards[:, None] * mask
            ),
            "the reward is spread over the tokens; it comes once, at the end": (
                rewards[:, None] * mask / mask.sum(1, keepdim=True)
            ),
            "the reward stands at the first token; it is earned at the end": at(0, 1, 0, 1),
            "the reward stands at the first column; it is earned at the end": at(0, 0, 0, 0),
            "the reward stands one place behind the last token": END.roll(1, 1),
            BY_COUNT: at(3, 1, 0, 2),
            NOT_A_NUMBER: END.masked_fill(mask == 0, math.nan),
        },
    )


@exercise("token_rewards", points=2)
def price_of_moving_away(student):
    """Beta 0.1 and 0.5: each token pays for being likelier than under the reference."""
    rewards, logp, ref, mask, d = batch()
    for beta in (0.1, 0.5):
        k3 = torch.where(mask.bool(), (-d).exp() - 1 + d, 0.0)
        only_last = torch.where(END != 0, d.sum(1, keepdim=True), 0.0)
        expect_close(
            student.token_rewards(*(x.clone() for x in (rewards, logp, ref, mask)), beta),
            END - beta * d,
            f"beta {beta}: r_t = -beta (logp - ref_logp), and the reward more at the end",
            {
                "the sign of the price is the other way round: you pay the policy for moving away "
                "from the reference": END + beta * d,
                "beta does not enter": END - d,
                "there is no price in your rewards": END,
                "here your beta is 0.1; use the argument `beta`": END - 0.1 * d,
                "the last token pays nothing; the reward comes on top of its price": torch.where(
                    END != 0, END, -beta * d
                ),
                "the whole price stands at the last token; each token pays its own, so that the "
                "critic can learn what each costs": END - beta * only_last,
                "this is the estimator k3; in a reward it is k1, logp - ref_logp, that has the "
                "right gradient": END - beta * k3,
                "you take the absolute difference; a token that became less likely gets something "
                "back": END - beta * d.abs(),
                BY_COUNT: at(3, 1, 0, 2) - beta * d,
                NOT_A_NUMBER: (END - beta * d).masked_fill(mask == 0, math.nan),
            },
        )


@exercise("token_rewards", points=2)
def a_number_like_any_reward(student):
    """No gradient, and tokens between sampled ones (a tool's) earn nothing and cost nothing."""
    rewards, logp, ref, mask, _ = batch()
    for name, given in (
        ("logp", (rewards, logp.clone().requires_grad_(True), ref)),
        ("ref_logp", (rewards, logp, ref.clone().requires_grad_(True))),
        ("rewards", (rewards.clone().requires_grad_(True), logp, ref)),
    ):
        paid = student.token_rewards(*given, mask, 0.1)
        expect(
            not getattr(paid, "requires_grad", False),
            f"gradient flows from your result into {name}: a reward is a number, detach it (as a "
            "loss this estimate of the KL has the expected gradient 0, lecture 15)",
        )
    for holes, first, found_at in (([1, 0, 1, 0, 0], 0, 2), ([0, 1, 0, 0, 1], 1, 4)):
        holes = torch.tensor([holes])
        logp = torch.where(holes.bool(), -1.0, 5.0).double()
        ref = torch.where(holes.bool(), -2.0, 0.0).double()
        ref[0, found_at], wanted = 0.0, torch.zeros(1, 5, dtype=DOUBLE)
        wanted[0, first], wanted[0, found_at] = -0.1, 1.1
        priced = -0.1 * (logp - ref)
        priced[0, found_at] += 1
        counted = wanted.clone()
        counted[0, 1] += 1
        counted[0, found_at] -= 1
        expect_close(
            student.token_rewards(double([1.0]), logp.clone(), ref.clone(), holes.clone(), 0.1),
            wanted,
            f"mask {holes[0].tolist()}: the reward stands at place {found_at}, counted from 0, and "
            "only sampled tokens pay",
            {BY_COUNT: counted, "you price tokens that the policy did not sample": priced},
        )
