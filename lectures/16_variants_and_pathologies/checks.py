"""What lecture 16 holds its exercises to: values by hand, gradients, and runs that were really
recorded (recordings/)."""

import json
import math
from pathlib import Path

import torch

from course.grade import close, exercise, expect, expect_close, expect_raises, gradients

FORBIDDEN = ("minilrm.objectives", "minilrm.grpo")
RECORDINGS = Path(__file__).resolve().parent / "recordings"


def double(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# -- dr_grpo_loss ----------------------------------------------------------------------------------

MASK = double([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0]])
RATIOS = double([[1.1, 1.3, 1, 1], [0.7, 1.1, 1.3, 1.0], [1.3, 1.3, 0.9, 1], [0.7, 1, 1, 1]])
REWARDS = double([[1.0, 0.0], [1.0, 0.0]])
CENTERED = double([0.5, -0.5, 0.5, -0.5]).unsqueeze(1)


def surrogate(
    ratio: torch.Tensor, a: torch.Tensor, low: float = 0.8, high: float = 1.2
) -> torch.Tensor:
    return torch.minimum(ratio * a, ratio.clamp(low, high) * a)


def two_prompts() -> tuple:
    old = torch.full((4, 4), -1.0, dtype=torch.float64)
    return (old + RATIOS.log()).requires_grad_(True), old


@exercise("dr_grpo_loss", points=2)
def value(student):
    """Two prompts of two answers, four lengths, ratios on all sides of the clip."""
    logp, old = two_prompts()
    terms = surrogate(RATIOS, CENTERED) * MASK
    scaled = CENTERED / (math.sqrt(0.5) + 1e-4)
    crossed = double([0.5, 0.5, -0.5, -0.5]).unsqueeze(1)
    expect_close(
        student.dr_grpo_loss(logp, old, REWARDS, MASK, 12),
        -terms.sum() / 48,
        "the loss is the sum over all tokens that count, over B times max_length, with the minus",
        {
            "the minus is missing": terms.sum() / 48,
            "you divide by the std of the group; Dr. GRPO leaves it out": -(
                surrogate(RATIOS, scaled) * MASK
            ).sum()
            / 48,
            "you divide each answer by its own length; that is the bias which Dr. GRPO removes": -(
                terms.sum(1) / MASK.sum(1)
            ).mean(),
            "you divide by the number of tokens (DAPO's mean); the divisor is constant: B times max_length": -terms.sum()
            / 10,
            "you divide by the padded width T, which depends on the batch; take max_length": -terms.sum()
            / 16,
            "you divide by max_length alone; it is B times max_length": -terms.sum() / 12,
            "there is no clip in your loss": -(RATIOS * CENTERED * MASK).sum() / 48,
            "you clip without the min": -(RATIOS.clamp(0.8, 1.2) * CENTERED * MASK).sum() / 48,
            "you pay the bare reward: subtract the mean of its group": -(
                surrogate(RATIOS, REWARDS.reshape(-1, 1)) * MASK
            ).sum()
            / 48,
            "rows of logp go prompt by prompt: row p * G + g is answer g of prompt p": -(
                surrogate(RATIOS, crossed) * MASK
            ).sum()
            / 48,
            "the mask is not used": -surrogate(RATIOS, CENTERED).sum() / 48,
        },
        tolerance=1e-7,
    )


@exercise("dr_grpo_loss", points=1)
def gradient(student):
    """When samples are fresh the gradient of each token is -A / (B L), whatever the length of its
    answer."""
    logp = torch.full((4, 4), -1.0, dtype=torch.float64, requires_grad=True)
    old = torch.full((4, 4), -1.0, dtype=torch.float64, requires_grad=True)
    found, through_old = gradients(student.dr_grpo_loss(logp, old, REWARDS, MASK, 12), logp, old)
    expect_close(
        found,
        -CENTERED * MASK / 48,
        "the gradient with respect to logp, fresh samples",
        {"no gradient through the ratio: only old_logp is detached": torch.zeros(4, 4)},
        tolerance=1e-9,
    )
    expect(
        not through_old.any(), "gradient flows into old_logp: the old policy is fixed, detach it"
    )


# -- gspo_ratio ------------------------------------------------------------------------------------


@exercise("gspo_ratio", points=2)
def geometric_mean(student):
    """Three sequences; the padding of the first two is full of large numbers."""
    log_ratio = double([[0.2, -0.1, 0.05, 3.0], [0.4, 0.0, 3.0, 3.0], [0.1, 0.1, 0.1, 0.1]])
    mask = double([[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 1, 1]])
    old = torch.full((3, 4), -2.0, dtype=torch.float64)
    kept = log_ratio * mask
    lengths = mask.sum(1)
    expect_close(
        student.gspo_ratio(old + log_ratio, old, mask),
        (kept.sum(1) / lengths).exp(),
        "s is exp of the mean log-ratio over the tokens that count",
        {
            "the exponential is missing: this is the mean log-ratio": kept.sum(1) / lengths,
            "the root is missing: divide the sum by |o|, or a long sequence's ratio explodes": kept.sum(
                1
            ).exp(),
            "that is the mean of the tokens' ratios; GSPO takes their geometric mean: first the mean of the logs, then exp": (
                kept.exp() * mask
            ).sum(1)
            / lengths,
            "you divide by the padded width; divide by mask.sum(1)": kept.mean(1).exp(),
            "the mask is not used: padding enters the mean": log_ratio.mean(1).exp(),
            "upside down: new over old, logp - old_logp": (-kept.sum(1) / lengths).exp(),
            "one ratio a sequence, not one a token": kept.exp(),
        },
        tolerance=1e-7,
    )


@exercise("gspo_ratio", points=1)
def its_gradient(student):
    """Each token of a sequence gets the same gradient, s / |o|."""
    logp = double([[-1.0, -2.0, -1.5], [-1.0, -1.0, -9.0]]).requires_grad_(True)
    old = double([[-1.2, -1.9, -1.5], [-1.1, -1.2, -1.0]]).requires_grad_(True)
    mask = double([[1, 1, 1], [1, 1, 0]])
    found, through_old = gradients(student.gspo_ratio(logp, old, mask).sum(), logp, old)
    s = ((logp - old) * mask).sum(1, keepdim=True).div(mask.sum(1, keepdim=True)).exp().detach()
    expect_close(
        found,
        s / mask.sum(1, keepdim=True) * mask,
        "d s / d logp_t is s / |o|",
        {"no gradient through logp: is there a detach() too many?": torch.zeros(2, 3)},
        tolerance=1e-9,
    )
    expect(
        not through_old.any(), "gradient flows into old_logp: the old policy is fixed, detach it"
    )
    empty = student.gspo_ratio(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2))
    expect(
        close(empty, [1.0]),
        "a sequence without any token must have the ratio 1, not NaN: divide by at least 1",
    )


# -- cispo_loss ------------------------------------------------------------------------------------


@exercise("cispo_loss", points=2)
def weights(student):
    """One token, both signs of the advantage, ratios under, at and above the cap: by gradient."""
    losses = []
    for advantage, ratio in ((1.0, 0.5), (1.0, 1.25), (1.0, 1.5), (-1.0, 0.5), (-1.0, 1.5)):
        logp = double([[-0.6]]).requires_grad_(True)
        old = (logp - math.log(ratio)).detach().requires_grad_(True)
        loss = student.cispo_loss(logp, old, double([advantage]), torch.ones(1, 1))
        found, through_old = gradients(loss, logp, old)
        case, weight = f"A = {advantage:g}, ratio {ratio}", min(ratio, 1.28)
        expect_close(
            found,
            [[-weight * advantage]],
            f"{case}: the gradient with respect to logp is -min(rho, cap) A",
            {
                "the minus is missing": [[weight * advantage]],
                f"{case}: gradient flows through the ratio as well: detach the weight": [
                    [-weight * advantage * (1 + (-0.6 if ratio < 1.28 else 0.0))]
                ],
                f"{case}: a clip has stopped this token's gradient; CISPO stops none, it bounds the weight": [
                    [0.0]
                ],
                f"{case}: your weight has a lower bound; CISPO has none": [
                    [-max(weight, 0.8) * advantage]
                ],
                f"{case}: your weight has a lower bound; CISPO has none.": [
                    [-max(weight, 0.72) * advantage]
                ],
                f"{case}: the weight is not bounded by the cap": [[-ratio * advantage]],
            },
            tolerance=1e-7,
        )
        expect(
            not through_old.any(),
            "gradient flows into old_logp: the old policy is fixed, detach it",
        )
        losses.append((loss, weight * advantage, case))
    for loss, weight, case in losses:
        expect_close(
            loss,
            0.6 * weight,
            f"{case}, logp -0.6: the loss is -min(rho, cap) A logp",
            {
                f"{case}: your loss holds the ratio itself; CISPO's holds the log-probability, weighted": -weight
            },
            tolerance=1e-7,
        )


@exercise("cispo_loss", points=1)
def mean_over_all_tokens(student):
    """Two answers of 1 and 3 tokens; the padding of the first is full of large numbers."""
    logp = double([[-1.0, -7.0, -7.0], [-2.0, -2.0, -2.0]])
    mask = double([[1, 0, 0], [1, 1, 1]])
    wanted = -(1.0 * -1.0 + 2.0 * -6.0) / 4
    expect_close(
        student.cispo_loss(logp, logp - 0.5 * (1 - mask), double([1.0, 2.0]), mask),
        wanted,
        "the mean over all tokens that count",
        {
            "a mean of each sequence first (GRPO); here all tokens of the batch weigh the same": -(
                -1.0 + 2.0 * -2.0
            )
            / 2,
            "you divide by all entries, padding included": -(1.0 * -1.0 + 2.0 * -6.0) / 6,
            "a sum; divide by the number of tokens": -(1.0 * -1.0 + 2.0 * -6.0),
            "the advantages are not used": -(-1.0 - 6.0) / 4,
        },
        tolerance=1e-7,
    )


# -- soft_overlong ---------------------------------------------------------------------------------


@exercise("soft_overlong", points=2)
def slope(student):
    """The slope, its two ends, and another cache."""
    cases = (
        ([80, 85, 90, 100, 101, 500, 1], 100, 20, [0, -0.25, -0.5, -1, -1, -1, 0]),
        ([6, 7, 8, 9, 10, 11], 10, 4, [0, -0.25, -0.5, -0.75, -1, -1]),
        ([0, 5, 10], 10, 10, [0, -0.5, -1]),
    )
    for lengths, longest, cache, wanted in cases:
        found = student.soft_overlong(lengths, longest, cache)
        expect_close(
            found,
            wanted,
            f"lengths {lengths}, max_length {longest}, cache {cache}",
            {
                "a penalty is negative: it is added to the reward": [-w for w in wanted],
                "a cliff: between max_length - cache and max_length the penalty grows little by little": [
                    -1.0 if n >= longest else 0.0 for n in lengths
                ],
                "the slope begins too late: at max_length - cache, not at max_length": [
                    max(-1.0, min(0.0, (longest - n) / cache)) for n in lengths
                ],
                "bounded below by -1: beyond max_length it does not go on falling": [
                    min(0.0, (longest - cache - n) / cache) for n in lengths
                ],
                "a short answer earns a bonus in your function; the upper bound 0 is missing": [
                    max(-1.0, (longest - cache - n) / cache) for n in lengths
                ],
                "the slope is too flat: divide by the cache, not by max_length": [
                    max(-1.0, min(0.0, (longest - cache - n) / longest)) for n in lengths
                ],
            },
        )


# -- dynamic_filter --------------------------------------------------------------------------------


class Source:
    """Batches of groups, one after the other; counts the draws."""

    def __init__(self, *batches):
        self.batches, self.drawn = batches, 0

    def __call__(self):
        if self.drawn >= 30:
            raise RuntimeError("drawn more than 30 times: where is the bound?")
        self.drawn += 1
        return self.batches[min(self.drawn, len(self.batches)) - 1]


def filtered(student, source: Source, wanted: int, rounds: int):
    found = student.dynamic_filter(source, wanted, rounds)
    expect(
        isinstance(found, (tuple, list)) and len(found) == 2,
        "return two things: the groups, and how often was drawn",
    )
    expect(found[1] == source.drawn, f"you drew {source.drawn} times and say {found[1]}")
    return [list(group) for group in found[0]], source.drawn


@exercise("dynamic_filter", points=2)
def which_groups(student):
    """Groups that teach, in order, and not more of them than wanted."""
    half, tenth = [1.0, 0.0, 0.0, 1.0], [0.1] * 4
    kept, drawn = filtered(
        student, Source([[1.0] * 4, half, [0.0] * 4], [[0.1, 1.1, 0.1, 0.1], half]), 2, 9
    )
    expect(
        len(kept) <= 2, f"no more than `wanted` groups, the first ones; you kept {len(kept)} of 2"
    )
    expect(
        kept == [half, [0.1, 1.1, 0.1, 0.1]],
        f"kept were to be the two groups of unlike rewards, in order; you kept {kept}",
    )
    kept, _ = filtered(student, Source([tenth, [1.1] * 4, half]), 1, 1)
    expect(
        tenth not in kept and [1.1] * 4 not in kept,
        "a group of equal rewards teaches nothing, also if they are 0.1 or 1.1 "
        "(the form was paid): compare the greatest with the least",
    )
    mixed = [0.0, 0.1, 0.1, 0.0]
    kept, _ = filtered(student, Source([mixed]), 1, 1)
    expect(
        kept == [mixed],
        "rewards 0 and 0.1 differ, so this group teaches, although no answer in it is right",
    )
    for value, size in (
        (2.1, 23),
        (0.1, 12),
    ):  # Python 3.12 sums more exactly, and still errs in the second
        kept, _ = filtered(student, Source([[value] * size]), 1, 1)
        expect(
            not kept,
            f"{size} equal rewards of {value} have no spread, but a std computed in floats may be 1e-16: compare "
            "max and min",
        )


@exercise("dynamic_filter", points=1)
def how_often(student):
    """Sampling is the expensive part: no draw too many, and an end."""
    half, dull = [1.0, 0.0], [1.0, 1.0]
    _, drawn = filtered(student, Source([half, half]), 2, 9)
    expect(drawn == 1, f"one draw was enough, and you made {drawn}")
    kept, drawn = filtered(student, Source([half, dull]), 3, 9)
    expect(
        (kept, drawn) == ([half] * 3, 3),
        f"a batch with one group that teaches, wanted 3: three draws, not {drawn}, and "
        "keep what earlier draws have given",
    )
    kept, drawn = filtered(student, Source([dull]), 2, 5)
    expect(
        (kept, drawn) == ([], 5),
        f"a policy that is always right: draw `rounds` times (5), then return what there is; you "
        f"drew {drawn} times",
    )
    _, drawn = filtered(student, Source([half]), 2, 0)
    expect(drawn == 0, "rounds 0 allows no draw at all")


# -- length_bias -----------------------------------------------------------------------------------


@exercise("length_bias", points=2)
def one_token(student):
    """What one token weighs, for three ways to average."""
    lengths = [4, 8, 2, 2]
    mistakes = {
        "that is the weight of a whole answer; asked is that of one of its tokens": {
            "sequence": [1 / 4] * 4,
            "token": [n / 16 for n in lengths],
            "constant": [n / 40 for n in lengths],
        },
        "the mean over the answers is missing: divide by their number, too": {
            "sequence": [1 / n for n in lengths],
            "constant": [1 / 10] * 4,
        },
        "constant divides by max_length, not by the longest answer of the batch": {
            "constant": [1 / 32] * 4
        },
        "token and sequence are exchanged": {
            "token": [1 / (4 * n) for n in lengths],
            "sequence": [1 / 16] * 4,
        },
    }
    for how, wanted in {
        "sequence": [1 / (4 * n) for n in lengths],
        "token": [1 / 16] * 4,
        "constant": [1 / 40] * 4,
    }.items():
        expect_close(
            student.length_bias(lengths, how, 10),
            wanted,
            f"lengths {lengths}, {how!r}, max_length 10",
            {message: values[how] for message, values in mistakes.items() if how in values},
        )
    expect_raises(
        ValueError,
        lambda: student.length_bias(lengths, "mean", 10),
        "any other word raises ValueError",
    )


# -- diagnose --------------------------------------------------------------------------------------

#: What ails the runs in recordings/; figures.py has their commands.
RECORDED = {
    "a": "cut off",
    "b": "healthy",
    "c": "all wrong",
    "d": "too fast",
    "e": "too fast",
    "f": "wrong reward",
    "g": "all right",
    "h": "stale",
}
HEALTHY = {
    "reward": (0.35, 0.85),
    "accuracy": (0.3, 0.8),
    "entropy": (0.3, 0.15),
    "mean_length": (40, 60),
    "cut": (0.02, 0.0),
    "dull": (0.1, 0.3),
    "grad_norm": (0.4, 0.3),
    "clipped": (0.0, 0.0),
}


def made_up(steps: int = 12, **other) -> dict:
    """A run in straight lines, `name=(at first, at last)`, else healthy; the first and last quarter
    are flat."""
    quarter = max(1, steps // 4)
    curves = {}
    for name, (low, high) in (HEALTHY | other).items():
        between = [
            low + (high - low) * (i + 1) / (steps - 2 * quarter + 1)
            for i in range(steps - 2 * quarter)
        ]
        curves[name] = [low] * quarter + between + [high] * quarter if steps > 1 else [high]
    return curves


def expect_word(student, metrics: dict, wanted: str, why: str) -> None:
    found = student.diagnose(metrics)
    expect(found == wanted, f"{why}: {wanted!r}, and you say {found!r}")


@exercise("diagnose", points=2)
def recorded_runs(student):
    """The eight runs of the lecture."""
    for letter, wanted in RECORDED.items():
        metrics = json.loads((RECORDINGS / f"{letter}.json").read_text(encoding="utf-8"))["metrics"]
        expect_word(student, metrics, wanted, f"run {letter}")


@exercise("diagnose", points=2)
def which_first(student):
    """Runs in which several things hold: the cause stands above its symptoms."""
    cases = [
        (
            {"cut": (0.9, 0.9), "accuracy": (0.0, 0.0), "dull": (1.0, 1.0)},
            "cut off",
            "all answers are cut off and so all are wrong; the limit is the cause",
        ),
        (
            {"cut": (0.0, 0.9), "accuracy": (0.4, 0.0), "dull": (0.1, 1.0)},
            "too fast",
            "it began well and ends with endless wrong answers; cut and dull at the END are symptoms",
        ),
        (
            {"accuracy": (0.4, 0.0), "dull": (0.1, 1.0), "entropy": (0.3, 0.0)},
            "too fast",
            "it began well and ends all wrong, frozen: entropy is a symptom",
        ),
        (
            {"accuracy": (0.4, 0.1), "clipped": (0.3, 0.4)},
            "stale",
            "accuracy was lost on old samples: that is the cause",
        ),
        (
            {"accuracy": (0.3, 0.97), "dull": (0.1, 0.9), "entropy": (0.3, 0.02)},
            "healthy",
            "it has learnt all there is: entropy near 0 and equal groups are how success looks",
        ),
        (
            {"accuracy": (0.95, 0.99), "dull": (0.7, 0.9), "entropy": (0.2, 0.02)},
            "all right",
            "right from the FIRST quarter on: there was nothing to learn",
        ),
        (
            {"accuracy": (0.0, 0.8), "dull": (0.6, 0.2)},
            "healthy",
            "nothing right at first, and yet it has learnt",
        ),
        (
            {"accuracy": (0.3, 0.35), "reward": (0.4, 0.95), "entropy": (0.3, 0.02)},
            "collapsed",
            "reward rose without accuracy, and entropy is spent: the table asks for collapse first",
        ),
    ]
    for other, wanted, why in cases:
        expect_word(student, made_up(**other), wanted, why)


@exercise("diagnose", points=1)
def quarters(student):
    """Means over quarters, single steps that stick out, and very short runs."""
    expect_word(student, made_up(), "healthy", "a run that learns")
    odd = made_up(16)
    odd["cut"][0] = 1.0
    odd["accuracy"][-1] = 0.0
    expect_word(
        student, odd, "healthy", "one bad step at each end: take means over a quarter of the steps"
    )
    late = made_up(16, clipped=(0.0, 0.0))
    late["clipped"] = [0.0] * 8 + [0.3] * 8
    expect_word(
        student,
        late,
        "stale",
        "clipped is 0 at first and 0.3 in the second half: its mean over ALL steps counts",
    )
    for steps in (1, 2, 3, 5, 7):
        expect_word(
            student,
            made_up(steps, cut=(0.9, 0.9)),
            "cut off",
            f"a run of {steps} steps: a quarter has at least one",
        )
    mild = made_up(accuracy=(0.5, 0.3), reward=(0.6, 0.4))
    expect_word(student, mild, "healthy", "accuracy from 0.5 to 0.3 is not less than half")
    expect_word(
        student,
        made_up(reward=(1.0, 1.0), accuracy=(0.3, 0.35)),
        "wrong reward",
        "reward 1 all the time and a third of the answers right: it need not rise to be wrong",
    )
