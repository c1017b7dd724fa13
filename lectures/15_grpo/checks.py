"""What lecture 15 holds its exercises to: values computed by hand, and the library's functions on
random batches of several shapes."""

import math

import torch

from course.grade import close, exercise, expect, expect_close, gradients
from minilrm import objectives

FORBIDDEN = ("minilrm.objectives", "minilrm.grpo")

DOUBLE = torch.float64


def noise(seed, *shape):
    """Normal numbers in float64, the same at each run."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


# -- group_advantages ------------------------------------------------------------------------------


@exercise("group_advantages", points=2)
def table(student):
    """Three groups whose advantages are known; then other group sizes and another eps."""
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0], [1.2, 0.2, 0.0, 1.2]])
    wanted = torch.tensor(
        [
            [0.865875, -0.865875, -0.865875, 0.865875],
            [1.4997, -0.4999, -0.4999, -0.4999],
            [0.858822, -0.702672, -1.014971, 0.858822],
        ]
    )
    centered = rewards - rewards.mean(1, keepdim=True)
    std = rewards.std(1, keepdim=True)
    expect_close(
        student.group_advantages(rewards.clone()),
        wanted,
        "the advantages are (r - mean) / (std + eps) of each group",
        {
            "your std divides by G; the group is a sample, so it is G - 1 (Bessel's correction)": (
                centered / (rewards.std(1, keepdim=True, correction=0) + 1e-4)
            ),
            "you divide by the variance; the root is missing": centered / (std.square() + 1e-4),
            "you only subtract the mean; that is Dr. GRPO, here it is divided by the std too": (
                centered
            ),
            "your mean runs over all prompts; each group is compared with itself alone (dim=1)": (
                (rewards - rewards.mean()) / (rewards.std() + 1e-4)
            ),
            "your mean and std run over dim 0, across prompts; a group is a row (dim=1)": (
                (rewards - rewards.mean(0)) / (rewards.std(0) + 1e-4)
            ),
            "worse completions get the higher advantage: it is r - mean, not mean - r": -wanted,
        },
        tolerance=1e-4,
    )
    for seed, (prompts, group), eps in ((1, (2, 7), 0.5), (2, (5, 2), 0.05), (3, (1, 3), 2.0)):
        rewards = noise(seed, prompts, group)
        spread = rewards.var(1, keepdim=True)
        expect_close(
            student.group_advantages(rewards.clone(), eps),
            objectives.group_advantages(rewards, eps=eps),
            f"{prompts} groups of {group} random rewards, eps {eps}",
            {
                "here your eps is 1e-4; use the argument": (objectives.group_advantages(rewards)),
                "eps stands beside the std, not under the root beside the variance": (
                    (rewards - rewards.mean(1, keepdim=True)) / (spread + eps).sqrt()
                ),
            },
        )


@exercise("group_advantages", points=1)
def equal_rewards(student):
    """A group of equal rewards teaches nothing: exactly 0. Its neighbours teach as ever."""
    for value, size in ((1.0, 4), (0.0, 4), (2.1, 23), (0.1, 7)):
        rewards = torch.tensor([[value] * size, [1.0] + [0.0] * (size - 1)])
        found = student.group_advantages(rewards.clone())
        expect(not torch.isnan(found[0]).any(), "a group of equal rewards gives NaN: 0 / 0")
        worst = found[0].abs().max().item()
        expect(
            worst == 0,
            f"{size} equal rewards of {value} must give exactly 0, and give up to {worst:.2g}: "
            "compare max and min of each group; a mean is rounded, and a std of nearly 0 makes "
            "that large",
        )
        wanted = objectives.group_advantages(rewards)
        expect_close(
            found[1],
            wanted[1],
            f"the group beside the {size} equal rewards of {value} has a 1 and zeros, and its own "
            "advantages",
            {
                "one group of equal rewards makes all groups 0: compare group by group": 0
                * wanted[1]
            },
        )
    near = torch.tensor([[0.0, 1e-5]], dtype=DOUBLE)
    expect_close(
        student.group_advantages(near.clone()),
        objectives.group_advantages(near),
        "rewards 0 and 0.00001 differ, so this group teaches a little",
        {
            "rewards 0 and 0.00001 differ, and you give 0: compare exactly, not with a threshold": (
                0 * near
            )
        },
    )


# -- token_logprobs --------------------------------------------------------------------------------


@exercise("token_logprobs", points=2)
def alignment(student):
    """Each token is paired with the logits before it; the gradient flows back into the logits."""
    for seed, (rows, width, vocab) in ((0, (2, 5, 7)), (1, (3, 2, 4)), (2, (1, 9, 3))):
        logits = noise(seed, rows, width, vocab).requires_grad_(True)
        ids = torch.randint(vocab, (rows, width), generator=torch.Generator().manual_seed(seed))
        wanted = objectives.token_logprobs(logits, ids).detach()
        log_p, bare = logits.detach().log_softmax(-1), logits.detach()
        found = student.token_logprobs(logits, ids.clone())
        expect_close(
            found,
            wanted,
            f"logits {tuple(logits.shape)}: out[b, t] is the log-probability of ids[b, t + 1] "
            "under the logits at t",
            {
                "off by one: you ask the logits at t for token t, which the model has just read; "
                "they are about t + 1": picked(log_p[:, :-1], ids[:, :-1]),
                "off by one the other way: the logits at t + 1 have already seen token t + 1": (
                    picked(log_p[:, 1:], ids[:, 1:])
                ),
                "one column too many: nothing predicted the first token, and the last logits "
                "predict a token that is not there": picked(log_p, ids),
                "these are probabilities; take their logarithm": wanted.exp(),
                "these are bare logits; a log-probability subtracts logsumexp over the words": (
                    picked(bare[:, :-1], ids[:, 1:])
                ),
            },
        )
        gradients(found.sum(), logits)


def picked(rows, ids):
    """The entry of each row that its id names, by a loop."""
    return torch.tensor(
        [[row[i] for row, i in zip(*pair, strict=True)] for pair in zip(rows, ids, strict=True)]
    )


@exercise("token_logprobs", points=1)
def temperature(student):
    """The policy that sampled at 0.7 is another than the one at 1; logits of 1000."""
    logits, ids = noise(1, 1, 4, 5), torch.tensor([[0, 3, 1, 4]])
    for t in (0.7, 1.6):
        at_one = objectives.token_logprobs(logits, ids)
        expect_close(
            student.token_logprobs(logits.clone(), ids.clone(), t),
            objectives.token_logprobs(logits, ids, t),
            f"temperature {t}: the logits are divided by the temperature before the softmax",
            {
                "the temperature changes nothing in your function": at_one,
                "you multiply by the temperature; logits are divided by it": (
                    objectives.token_logprobs(logits * t, ids)
                ),
                "you divide the log-probabilities, which then no longer sum to 1; "
                "divide the logits": at_one / t,
            },
        )
    huge = torch.tensor([[[1000.0, 0.0], [0.0, 0.0]]])
    expect(
        close(student.token_logprobs(huge, torch.tensor([[0, 1]])), [[-1000.0]]),
        "logits 1000 and 0 must give -1000 for the second token, not -inf or NaN: use log_softmax "
        "or logsumexp, not log(softmax)",
    )


# -- kl_k3 -----------------------------------------------------------------------------------------


@exercise("kl_k3", points=2)
def value(student):
    """Values of d from the definition, in one row and in several; and the gradient."""
    d = torch.tensor([0.1, -0.1, 1.0, -1.0, 4.0, -6.0], dtype=DOUBLE)
    logp = torch.tensor([-1.0, -2.0, -3.0, -0.5, -7.0, -0.1], dtype=DOUBLE)
    wanted = torch.tensor(
        [0.005170918, 0.004837418, 0.718281828, 0.367879441, 49.598150033, 5.002478752],
        dtype=DOUBLE,
    )
    expect_close(
        student.kl_k3(logp.clone(), logp + d),
        wanted,
        "k3 is exp(d) - d - 1",
        {
            "backwards: d is ref_logp - logp, and you took logp - ref_logp": torch.exp(-d) + d - 1,
            "this is k1 = -d: unbiased as a value, but as a loss its expected gradient is zero": -d,
            "this is k2 = d^2 / 2, another estimator": d.square() / 2,
            "the term -d is missing: exp(d) - 1 is 0 on average and says nothing": wanted + d,
            "the -1 is missing: your estimate is 1 where both agree": wanted + 1,
            "the sum of all tokens; return one value a token": wanted.sum(),
        },
        tolerance=1e-7,
    )
    rows, ref = noise(3, 2, 3).requires_grad_(True), noise(4, 2, 3)
    wanted, by_hand = objectives.kl_estimate(rows, ref).detach(), 1 - (ref - rows.detach()).exp()
    found = student.kl_k3(rows, ref.clone())
    expect_close(found, wanted, "two rows of three tokens give [2, 3]")
    (slope,) = gradients(found.sum(), rows)
    expect_close(slope, by_hand, "the gradient with respect to logp is 1 - exp(d)")
    expect_close(
        student.kl_k3(logp.clone(), logp.clone()), 0 * logp, "where both agree the estimate is 0"
    )


# -- grpo_loss -------------------------------------------------------------------------------------


# advantage, ratio -> value of the maximised term and its gradient with respect to logp (clip 0.2)
CASES = [
    (2.0, 1.1, 2.2, 2.2),
    (2.0, 0.7, 1.4, 1.4),
    (2.0, 1.5, 2.4, 0.0),
    (-2.0, 0.9, -1.8, -1.8),
    (-2.0, 1.5, -3.0, -3.0),
    (-2.0, 0.7, -1.6, 0.0),
]


def one_token(ratio, advantage):
    """A sequence of one token with this ratio."""
    old = torch.tensor([[-1.0]], dtype=DOUBLE)
    logp, weight = old + math.log(ratio), torch.tensor([advantage], dtype=DOUBLE)
    return logp, old, weight, torch.ones(1, 1)


def mistakes_in(advantage, ratio):
    """Message -> what this mistake makes of one token with clip 0.2. The first of the cases that
    goes wrong tells the mistakes apart."""
    clipped, product = min(max(ratio, 0.8), 1.2), ratio * advantage
    quotient = 1 - math.log(ratio)  # of the log-probabilities; the old one is -1
    found = {
        "the minus is missing: this would make right answers less likely": min(
            product, clipped * advantage
        ),
        "your ratio divides log-probabilities; exponentiate their difference": (
            -quotient * advantage
        ),
        "your ratio is upside down: it is exp(logp - old_logp)": -advantage / ratio,
    }
    if advantage > 0:
        about_product = "you clip the product rho A; the clip belongs around the ratio alone"
        found[about_product] = -min(product, min(max(product, 0.8), 1.2))
    else_clipped = {
        (True, True): "no clip stops a ratio above 1 + clip whose advantage is positive",
        (False, False): "no clip stops a ratio below 1 - clip whose advantage is negative",
        (True, False): "you clip without the min, or you take the max: the bound is pessimistic",
        (False, True): "for a negative advantage your clip acts on the wrong side, above 1 + clip. "
        "Multiply both by A first, and take the min then: min(rho A, clip(rho) A)",
    }
    if clipped != ratio:
        side = (advantage > 0, ratio > 1)
        found[else_clipped[side]] = -product if side[0] == side[1] else -clipped * advantage
    return found


@exercise("grpo_loss", points=2)
def values(student):
    """One token, both signs of the advantage, the ratio under, in and above the clip range."""
    for advantage, ratio, wanted, _ in CASES:
        expect_close(
            student.grpo_loss(*one_token(ratio, advantage)),
            -wanted,
            f"A = {advantage:g}, ratio {ratio}: the loss is -min(rho A, clip(rho) A)",
            mistakes_in(advantage, ratio),
        )


@exercise("grpo_loss", points=2)
def gradient(student):
    """The same six cases, by gradient; and none through the old policy and the advantages."""
    for advantage, ratio, _, wanted in CASES:
        logp, old, weight, mask = one_token(ratio, advantage)
        for leaf in (logp, old, weight):
            leaf.requires_grad_(True)
        loss = student.grpo_loss(logp, old, weight, mask)
        found, through_old, through_weight = gradients(loss, logp, old, weight)
        case = f"A = {advantage:g}, ratio {ratio}"
        expect_close(
            found,
            [[-wanted]],
            f"{case}: the gradient with respect to logp",
            {
                f"{case}: no gradient reaches logp, and the clip must not act here: does yours, or "
                "is the ratio detached?": [[0.0]]
            }
            if wanted
            else {
                f"{case}: the ratio has moved far enough, and your loss still pushes it on": [
                    [-ratio * advantage]
                ]
            },
        )
        expect(not through_old.any(), "gradient flows into old_logp: it is fixed, detach it")
        expect(
            not through_weight.any(),
            "gradient flows into the advantages: they are numbers here, detach them",
        )


def random_batch(seed, rows, width):
    """log-probabilities, old ones, advantages, and a mask with holes in every row."""
    old = noise(seed, rows, width) - 2
    mask = (noise(seed + 1, rows, width) > 0).int()
    mask[:, 0], mask[:, 1], mask[:, -1] = 0, 1, torch.arange(rows) % 2
    return old + 0.4 * noise(seed + 2, rows, width), old, noise(seed + 3, rows), mask


def prefix(mask):
    """A mask with as many ones in each row, all of them at its beginning."""
    return (torch.arange(mask.shape[1]) < mask.sum(1, keepdim=True)).to(mask)


@exercise("grpo_loss", points=2)
def mean_over_tokens(student):
    """First the mean of each sequence, then the mean of the sequences; what the mask leaves out
    counts nowhere, wherever it stands; any number of rows, any clip."""
    mask = torch.tensor([[0.0, 1, 1, 0, 1, 0, 0, 0], [1.0] * 8])
    old = torch.full((2, 8), -1.0)
    logp = torch.where(mask.bool(), old, -0.5)
    expect_close(
        student.grpo_loss(logp, old, torch.tensor([2.0, 1.0]), mask),
        -1.5,
        "two sequences of 3 and 8 tokens, advantages 2 and 1, all ratios 1",
        {
            "a mean over all tokens (DAPO); GRPO takes each sequence's mean first": -14 / 11,
            "you divide by the padded width; divide by the number of tokens that count, "
            "mask.sum(1)": -(6 / 8 + 1) / 2,
            "a sum over sequences, not their mean": -3.0,
            "the mask is not used: prompt and padding are trained": -((6 + 5 * 2.4) / 8 + 1) / 2,
            "you take the first mask.sum(1) tokens of each row; the ones of the mask may stand "
            "anywhere": -((2.4 + 4) / 3 + 1) / 2,
        },
    )
    for seed, (rows, width), clip in ((10, (3, 6), 0.1), (20, (5, 9), 0.35), (30, (1, 4), 0.2)):
        batch = random_batch(seed, rows, width)

        def right(mask, clip, batch=batch):
            return objectives.policy_loss(*batch[:3], mask, clip_low=clip, clip_high=clip)[0]

        expect_close(
            student.grpo_loss(*(x.clone() for x in batch), clip),
            right(batch[3], clip),
            f"a random batch of {rows} rows of {width}, with clip {clip}",
            {
                "here your clip range is 0.2; use the argument `clip`": right(batch[3], 0.2),
                "you take the first mask.sum(1) tokens of each row; the ones of the mask may stand "
                "anywhere": right(prefix(batch[3]), clip),
            },
        )
    ends, one = torch.full((1, 3), -1.0, requires_grad=True), torch.ones(1)
    loss = student.grpo_loss(ends, torch.full((1, 3), -1.0), one, torch.ones(1, 3))
    (found,) = gradients(loss, ends)
    expect(
        found[0, 2] != 0,
        "the last token gets no gradient: it is the EOS, without which a policy never stops",
    )


@exercise("grpo_loss", points=1)
def what_the_mask_hides(student):
    """A padded entry may hold anything, also what overflows and what is no number."""
    old, mask = torch.full((1, 5), -1.0), torch.tensor([[0, 1, 0, 1, 0]])
    weight = torch.tensor([-1.0])
    given = (x.clone() for x in (old, old, weight, mask))
    calm = student.grpo_loss(*given)
    expect_close(calm, 1.0, "mask [0, 1, 0, 1, 0], A = -1, all ratios 1")
    for wild in (2000.0, math.nan, -math.inf):
        logp = torch.where(mask.bool(), -1.0, wild).requires_grad_(True)
        loss = student.grpo_loss(logp, *(x.clone() for x in (old, weight, mask)))
        expect(
            close(loss, 1.0),
            f"logp {wild} where the mask is 0 turns your loss from 1 into {loss.item():.4g}: "
            "replace masked log-ratios by 0 before exp, with torch.where (0 * inf and 0 * NaN are "
            "NaN)",
        )
        (found,) = gradients(loss, logp)
        expect(
            torch.isfinite(found).all(),
            f"logp {wild} where the mask is 0 makes the gradient NaN: replace masked log-ratios by "
            "0 before exp, with torch.where; behind exp it is too late, as inf * 0 is NaN",
        )
        expect(not found[mask == 0].any(), "the gradient reaches entries where the mask is 0")
