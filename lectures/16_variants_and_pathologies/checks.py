"""What lecture 16 holds its exercises to: values by hand, the library's losses on random batches
whose masks have holes (cases.py), and runs that were really recorded (runs.py, recordings/)."""

import math
from pathlib import Path

import torch

from course.grade import close, exercise, expect, expect_close, expect_raises, gradients
from course.grade.lecture import load_module

FORBIDDEN = ("minilrm.objectives", "minilrm.grpo")
BESIDE = Path(__file__).resolve().parent
RUNS = load_module(BESIDE / "runs.py", "lecture_16_runs")
CASES = load_module(BESIDE / "cases.py", "lecture_16_cases")

FIXED = "gradient flows into old_logp: the old policy is fixed, detach it"
NUMBERS = "gradient flows into {}: the advantages are numbers here, detach them"
HIDDEN = (
    "a logp of 2000 where the mask is 0 makes your result or its gradient infinite or NaN: the "
    "difference must be 0 there before exp, for inf * 0 is NaN"
)


def double(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


# -- dr_grpo_loss ----------------------------------------------------------------------------------


@exercise("dr_grpo_loss", points=2)
def value(student):
    """Several numbers of prompts and answers, clips and lengths; the docstring's example."""
    for seed, (prompts, group), width, longest, clip in (
        (1, (2, 2), 4, 12, 0.2),
        (2, (2, 3), 6, 40, 0.1),
        (3, (3, 4), 5, 7, 0.3),
    ):
        logp, old, mask = CASES.random_batch(seed, prompts * group, width)
        rewards = 3 * CASES.noise(seed + 9, prompts, group)
        wanted, mistakes = CASES.dr_grpo(logp, old, rewards, mask, longest, clip)
        expect_close(
            student.dr_grpo_loss(*(x.clone() for x in (logp, old, rewards, mask)), longest, clip),
            wanted,
            f"{prompts} prompts of {group} answers, max_length {longest}, clip {clip}: the sum "
            "over all tokens that count, over B times max_length, with the minus",
            mistakes,
            tolerance=1e-7,
        )
    old = torch.zeros(2, 2, dtype=torch.float64)
    logp = double([[math.log(1.1)] * 2, [0.0] * 2])
    expect_close(
        student.dr_grpo_loss(logp, old, double([[1.0, 0.0]]), torch.ones(2, 2), 4),
        -0.0125,
        "the example of the docstring: ratio 1.1 on the first of two answers",
        tolerance=1e-7,
    )


@exercise("dr_grpo_loss", points=1)
def gradient(student):
    """When samples are fresh the gradient of each token is -A / (B L), whatever the length of its
    answer; none flows elsewhere, and what the mask hides may be large."""
    rewards, longest = double([[1.0, 0.0, 0.0], [1.0, 1.0, 0.25]]), 12
    centered = double([2 / 3, -1 / 3, -1 / 3, 0.25, 0.25, -0.5]).unsqueeze(1)
    _, old, mask = CASES.random_batch(5, 6, 4)
    wanted = -centered * mask / (6 * longest)
    for hidden in (-1.0, 2000.0):
        logp = torch.where(mask.bool(), old, hidden).requires_grad_(True)
        fixed, paid = old.clone().requires_grad_(True), rewards.clone().requires_grad_(True)
        loss = student.dr_grpo_loss(logp, fixed, paid, mask.clone(), longest)
        found, through_old, through_rewards = gradients(loss, logp, fixed, paid)
        expect(torch.isfinite(found).all() or hidden < 0, HIDDEN)
        expect_close(
            found,
            wanted,
            "the gradient with respect to logp, fresh samples",
            {"no gradient reaches logp: only old_logp is detached": torch.zeros(6, 4)},
            tolerance=1e-9,
        )
        expect(not through_old.any(), FIXED)
        expect(not through_rewards.any(), NUMBERS.format("the rewards"))


# -- gspo_ratio ------------------------------------------------------------------------------------


@exercise("gspo_ratio", points=2)
def geometric_mean(student):
    """Random batches, where the mask hides large numbers; a short and a long sequence."""
    for seed, rows, width in ((1, 3, 5), (2, 6, 9), (3, 1, 3)):
        batch = CASES.random_batch(seed, rows, width)
        wanted, mistakes = CASES.gspo(*batch)
        expect_close(
            student.gspo_ratio(*(x.clone() for x in batch)),
            wanted,
            f"{rows} sequences: s is exp of the mean log-ratio over the tokens that count",
            mistakes,
            tolerance=1e-7,
        )
    example = student.gspo_ratio(double([[0.2, -0.1, 0.05]]), torch.zeros(1, 3), torch.ones(1, 3))
    expect_close(example, [1.051271], "log-ratios .2, -.1, .05: exp of their mean")
    old = torch.full((1, 400), -1.5)
    expect_close(
        student.gspo_ratio(old + 0.5, old, torch.ones(1, 400)),
        [math.exp(0.5)],
        "400 tokens with log-ratio 0.5 have the ratio exp(0.5), and a product of 400 ratios "
        "overflows: take the mean of the logs, then exp",
    )


@exercise("gspo_ratio", points=1)
def its_gradient(student):
    """Each token of a sequence gets the same gradient, s / |o|."""
    logp, old, mask = CASES.random_batch(7, 4, 6, hidden=2000.0)
    logp.requires_grad_(True)
    old.requires_grad_(True)
    weight = mask / mask.sum(1, keepdim=True)
    s = student.gspo_ratio(logp, old, mask.clone())
    expect(torch.isfinite(s).all(), HIDDEN)
    found, through_old = gradients(s.sum(), logp, old)
    expect(torch.isfinite(found).all(), HIDDEN)
    expect_close(
        found,
        s.detach().unsqueeze(1) * weight,
        "d s / d logp_t is s / |o| where the mask is 1, else 0",
        {"no gradient through logp: is there a detach() too many?": torch.zeros(4, 6)},
        tolerance=1e-9,
    )
    expect(not through_old.any(), FIXED)
    empty = student.gspo_ratio(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 2))
    expect(
        close(empty, [1.0]),
        "a sequence without any token must have the ratio 1, not NaN: divide by at least 1",
    )


# -- cispo_loss ------------------------------------------------------------------------------------

# advantage, ratio; the first that goes wrong tells what is
ONE_TOKEN = ((2.0, 1.1), (2.0, 0.5), (2.0, 1.25), (2.0, 1.5), (-2.0, 0.5), (-2.0, 1.5))


@exercise("cispo_loss", points=2)
def weights(student):
    """One token, both signs of the advantage, ratios under and above the cap: by gradient."""
    losses = []
    for advantage, ratio in ONE_TOKEN:
        logp = double([[-0.6]]).requires_grad_(True)
        old = (logp - math.log(ratio)).detach().requires_grad_(True)
        a = double([advantage]).requires_grad_(True)
        loss = student.cispo_loss(logp, old, a, torch.ones(1, 1))
        found, through_old, through_a = gradients(loss, logp, old, a)
        case, weight = f"A = {advantage:g}, ratio {ratio}", min(ratio, 1.28)
        lower = f"{case}: your weight has a lower bound; CISPO has none"
        expect_close(
            found,
            [[-weight * advantage]],
            f"{case}: the gradient with respect to logp is -min(rho, cap) A",
            {
                "the minus is missing": [[weight * advantage]],
                f"{case}: gradient flows through the ratio as well: detach the weight": [
                    [-weight * advantage * (1 + (-0.6 if ratio < 1.28 else 0.0))]
                ],
                "the cap bounds rho A in your loss; it bounds the ratio alone": [
                    [-min(ratio * advantage, 1.28)] if advantage > 0 else []
                ],
                f"{case}: no gradient reaches this token; CISPO stops none, it bounds the weight": [
                    [0.0]
                ],
                lower: [[-max(weight, 0.8) * advantage]],
                lower + " ": [[-max(weight, 0.72) * advantage]],
                f"{case}: the weight is not bounded by the cap": [[-ratio * advantage]],
            },
            tolerance=1e-7,
        )
        expect(not through_old.any(), FIXED)
        expect(not through_a.any(), NUMBERS.format("the advantages"))
        losses.append((loss, weight * advantage, case))
    for loss, weight, case in losses:
        expect_close(
            loss,
            0.6 * weight,
            f"{case}, logp -0.6: the loss is -min(rho, cap) A logp",
            {
                f"{case}: your loss holds the ratio itself; CISPO's holds the log-probability, "
                "weighted": -weight
            },
            tolerance=1e-7,
        )


@exercise("cispo_loss", points=1)
def mean_over_all_tokens(student):
    """Random batches of several sizes and caps; what the mask hides is full of large numbers."""
    for seed, rows, width, cap in ((1, 2, 4, 1.28), (2, 5, 6, 1.05), (3, 3, 9, 2.0)):
        logp, old, mask = CASES.random_batch(seed, rows, width)
        logp, advantages = logp + 0.4 * mask, CASES.noise(seed + 9, rows)
        wanted, mistakes = CASES.cispo(logp, old, advantages, mask, cap)
        expect_close(
            student.cispo_loss(*(x.clone() for x in (logp, old, advantages, mask)), cap),
            wanted,
            f"{rows} sequences, cap {cap}: the mean over all tokens that count",
            mistakes,
            tolerance=1e-7,
        )
        large = logp.masked_fill(mask == 0, 2000.0)
        again = student.cispo_loss(*(x.clone() for x in (large, old, advantages, mask)), cap)
        expect(close(again, wanted), HIDDEN)


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
        found = student.soft_overlong(list(lengths), longest, cache)
        expect_close(
            found,
            wanted,
            f"lengths {lengths}, max_length {longest}, cache {cache}",
            {
                "a penalty is negative: it is added to the reward": [-w for w in wanted],
                "a cliff: from max_length - cache on the penalty grows little by little": [
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
    for group, teaches, why in CASES.GROUPS:
        kept, _ = filtered(student, Source([group]), 1, 1)
        what = "keep" if teaches else "leave out"
        shown = group if len(group) < 9 else f"of {len(group)} rewards of {group[0]}"
        expect(kept == [group] * teaches, f"{what} the group {shown}: {why}")
    half, other = [1.0, 0.0, 0.0, 1.0], [0.1, 1.1, 0.1, 0.1]
    for wanted in (2, 1, 3):
        source = Source([[1.0] * 4, half, [0.0] * 4], [other, half, half])
        kept, _ = filtered(student, source, wanted, 9)
        expect(
            len(kept) <= wanted,
            f"no more than `wanted` groups, the first ones; you kept {len(kept)} of {wanted}",
        )
        expect(
            kept == [half, other, half][:wanted],
            f"the first {wanted} groups of unlike rewards, in their order; you kept {kept}",
        )


@exercise("dynamic_filter", points=1)
def how_often(student):
    """Sampling is the expensive part: no draw too many, and an end."""
    half, equal = [1.0, 0.0], [1.0, 1.0]
    for source, wanted, rounds, draws, why in (
        (Source([half, half]), 2, 9, 1, "one draw was enough"),
        (
            Source([half, equal]),
            3,
            9,
            3,
            "each draw brings one group that teaches, and 3 are wanted",
        ),
        (Source([equal]), 2, 5, 5, "a policy that is always right: draw `rounds` times and stop"),
        (Source([half]), 2, 0, 0, "rounds 0 allows no draw at all"),
        (Source([half]), 0, 9, 0, "no group is missing if none is wanted"),
    ):
        kept, drawn = filtered(student, source, wanted, rounds)
        expect(drawn == draws, f"{why}: {draws} draws, and you made {drawn}")
        right = [group for batch in source.batches for group in batch if group == half]
        right = (right * draws)[:wanted]
        expect(kept == right, f"keep what all draws have given: {right}, and you kept {kept}")


# -- length_bias -----------------------------------------------------------------------------------


@exercise("length_bias", points=2)
def one_token(student):
    """What one token weighs, for three ways to average and three batches."""
    for (lengths, longest), table in CASES.WEIGHTS:
        for how, wanted in table.items():
            other = {"token": "sequence", "sequence": "token"}.get(how, how)
            longest_here = [wanted[0] * longest / max(lengths)] * len(lengths)
            mistakes = {
                "that is the weight of a whole answer; asked is that of one of its tokens": [
                    weight * n for weight, n in zip(wanted, lengths, strict=True)
                ],
                "the mean over the answers is missing: divide by their number, too": [
                    weight * len(lengths) for weight in wanted
                ],
                "constant divides by max_length, not by the longest answer of the batch": (
                    longest_here if how == "constant" else None
                ),
                "token and sequence are exchanged": table[other],
            }
            expect_close(
                student.length_bias(list(lengths), how, longest),
                wanted,
                f"lengths {lengths}, {how!r}, max_length {longest}",
                mistakes,
            )
    expect_raises(
        ValueError,
        lambda: student.length_bias([4, 8], "mean", 10),
        "any other word raises ValueError",
    )


# -- diagnose --------------------------------------------------------------------------------------


def expect_word(student, metrics: dict, wanted: str, why: str) -> None:
    found = student.diagnose(metrics)
    expect(found == wanted, f"{why}: {wanted!r}, and you say {found!r}")


@exercise("diagnose", points=2)
def recorded_runs(student):
    """The eight runs of the lecture."""
    for letter, wanted in RUNS.RECORDED.items():
        expect_word(student, RUNS.recorded(letter), wanted, f"run {letter}")


@exercise("diagnose", points=2)
def which_first(student):
    """Runs in which several things hold: the cause stands above its symptoms. Then the limits."""
    for other, wanted, why in RUNS.CAUSES:
        expect_word(student, RUNS.made_up(**other), wanted, why)
    for other, wanted in RUNS.BORDERS:
        said = ", ".join(
            f"{name} {low} at first, {high} at last" for name, (low, high) in other.items()
        )
        expect_word(student, RUNS.made_up(**other), wanted, f"{said}, all else healthy")


@exercise("diagnose", points=1)
def quarters(student):
    """Means over quarters, single steps that stick out, and very short runs."""
    expect_word(student, RUNS.made_up(), "healthy", "a run that learns")
    odd = RUNS.made_up(16)
    odd["cut"][0] = 1.0
    odd["accuracy"][-1] = 0.0
    expect_word(
        student, odd, "healthy", "one bad step at each end: take means over a quarter of the steps"
    )
    for metrics, wanted, why in RUNS.windows():
        expect_word(student, metrics, wanted, why)
    for steps in (1, 2, 3, 5, 7):
        metrics = RUNS.made_up(steps, cut=(0.9, 0.9))
        why = f"a run of {steps} steps: a quarter has at least one"
        expect_word(student, metrics, "cut off", why)
