"""Random batches, what the library makes of them, and what known mistakes make of them: a message
and the value that this mistake gives. Most of these are the library's values for a wrong argument.
At the end, tables for the exercises without tensors."""

import math

import torch
from torch import Tensor

from minilrm import objectives

Mistakes = dict[str, Tensor]

FIRST = "you take the first mask.sum(1) tokens of each row; the ones of the mask may stand anywhere"
ROUND_RHO = "you clip the product rho A; the clip belongs around the ratio alone"


def noise(seed: int, *shape: int) -> Tensor:
    """Normal numbers in float64, the same at each run."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def random_batch(
    seed: int, rows: int, width: int, hidden: float = 3.0
) -> tuple[Tensor, Tensor, Tensor]:
    """(logp, old_logp, mask), each `[rows, width]`. Each row of the mask has a leading 0, holes,
    and two ones at least. Where it is 0, logp is `hidden`."""
    old = noise(seed, rows, width) - 2
    mask = (noise(seed + 1, rows, width) > 0).double()
    mask[:, 0], mask[:, 1], mask[:, -1] = 0, 1, 1
    logp = torch.where(mask.bool(), old + 0.3 * noise(seed + 2, rows, width), hidden)
    return logp, old, mask


def prefix(mask: Tensor) -> Tensor:
    """A mask with as many ones in each row, all of them at its beginning."""
    return (torch.arange(mask.shape[1]) < mask.sum(1, keepdim=True)).to(mask)


def dr_grpo(
    logp: Tensor, old: Tensor, rewards: Tensor, mask: Tensor, longest: int, clip: float
) -> tuple[Tensor, Mistakes]:
    """Dr. GRPO's loss of a batch, and its mistakes."""
    rows, width = logp.shape

    def loss(advantages, mask=mask, clip=clip, objective="dr_grpo"):
        bounds = {"objective": objective, "clip_low": clip, "clip_high": clip}
        flat = advantages.reshape(-1)
        return objectives.policy_loss(logp, old, flat, mask, max_length=longest, **bounds)[0]

    own = objectives.group_advantages(rewards, "none")
    ratio, a = torch.exp((logp - old) * mask), own.reshape(-1, 1)
    clipped = ratio.clamp(1 - clip, 1 + clip) * a
    product = torch.minimum(ratio * a, (ratio * a).clamp(1 - clip, 1 + clip))
    wanted = loss(own)
    return wanted, {
        "the minus is missing": -wanted,
        "here your clip range is 0.2; use the argument `clip`": loss(own, clip=0.2),
        "you subtract the mean of all rewards; each group has a mean of its own": loss(
            rewards - rewards.mean()
        ),
        "you subtract 0.5 from every reward; subtract the mean of its group": loss(rewards - 0.5),
        "you pay the bare reward: subtract the mean of its group": loss(rewards),
        "you divide by the std of the group; Dr. GRPO leaves it out": loss(
            objectives.group_advantages(rewards)
        ),
        "you divide each answer by its own length; that is the bias which Dr. GRPO removes": loss(
            own, objective="grpo"
        ),
        "you divide by the number of tokens (DAPO's mean); the divisor is constant: B times "
        "max_length": wanted * rows * longest / mask.sum(),
        "you divide by the padded width T, which depends on the batch; take max_length": (
            wanted * longest / width
        ),
        "you divide by max_length alone; it is B times max_length": wanted * rows,
        "there is no clip in your loss": loss(own, clip=math.inf),
        "you clip without the min": -(clipped * mask).sum() / (rows * longest),
        ROUND_RHO: -(product * mask).sum() / (rows * longest),
        "rows of logp go prompt by prompt: row p * G + g is answer g of prompt p": loss(own.T),
        "the mask is not used": loss(own, mask=torch.ones_like(mask)),
        FIRST: loss(own, mask=prefix(mask)),
    }


def gspo(logp: Tensor, old: Tensor, mask: Tensor) -> tuple[Tensor, Mistakes]:
    """GSPO's ratios of a batch, and their mistakes."""

    def ratios(logp, old, mask=mask):
        each = objectives.importance_ratio(logp, old, mask, per_sequence=True)
        return (each * mask).amax(1)

    kept, lengths, ratio = (logp - old) * mask, mask.sum(1), ratios(logp, old)
    return ratio, {
        "the exponential is missing: this is the mean log-ratio": ratio.log(),
        "the root is missing: divide the sum by |o|, or a long sequence's ratio explodes": (
            ratio**lengths
        ),
        "that is the mean of the tokens' ratios; GSPO takes their geometric mean: first the mean "
        "of the logs, then exp": (kept.exp() * mask).sum(1) / lengths,
        "you divide by the padded width; divide by mask.sum(1)": ratio ** mask.mean(1),
        "the mask is not used: padding enters the mean": ratios(logp, old, torch.ones_like(mask)),
        "upside down: new over old, logp - old_logp": ratios(old, logp),
        "one ratio a sequence, not one a token": kept.exp(),
        FIRST: ratios(logp, old, prefix(mask)),
    }


def cispo(
    logp: Tensor, old: Tensor, advantages: Tensor, mask: Tensor, cap: float
) -> tuple[Tensor, Mistakes]:
    """CISPO's loss of a batch, and its mistakes."""

    def loss(a=advantages, mask=mask, cap=cap, **other):
        settings = {"objective": "cispo", "clip_high": cap - 1} | other
        return objectives.policy_loss(logp, old, a, mask, **settings)[0]

    wanted = loss()
    return wanted, {
        "a mean of each sequence first (GRPO); here all tokens of the batch weigh the same": loss(
            aggregation="sequence"
        ),
        "you divide by all entries, padding included": wanted * mask.mean(),
        "a sum; divide by the number of tokens": wanted * mask.sum(),
        "the advantages are not used": loss(torch.ones_like(advantages)),
        "here your cap is 1.28; use the argument `cap`": loss(cap=1.28),
        "the mask is not used": loss(mask=torch.ones_like(mask)),
        FIRST: loss(mask=prefix(mask)),
    }


# -- dynamic_filter and length_bias ----------------------------------------------------------------

EQUAL = "a group of equal rewards teaches nothing, whatever they are: compare max and min"
DIFFERENT = "the rewards differ, so the group teaches"
GROUPS = [
    ([1.0, 0.0, 0.0, 1.0], True, DIFFERENT),
    ([1.0] * 4, False, EQUAL),
    ([0.0] * 4, False, EQUAL),
    ([0.1] * 4, False, f"only the form was paid; {EQUAL}"),
    ([1.1] * 4, False, f"the form was paid, too; {EQUAL}"),
    ([0.0, 0.1, 0.1, 0.0], True, f"{DIFFERENT}, although no answer in it is right"),
    ([0.0, 0.0, 1.0], True, f"{DIFFERENT}: look at all of them, not at the first two"),
    ([-1.0, -0.5], True, DIFFERENT),
    ([1.0, 1.0, 0.99], True, f"{DIFFERENT}, if only by a little"),
    # Python 3.12 sums more exactly, and still errs in the second
    ([2.1] * 23, False, "a std computed in floats may be 1e-16; compare max and min"),
    ([0.1] * 12, False, "a std computed in floats may be 1e-16; compare max and min"),
]

# lengths, max_length -> the weights
WEIGHTS = [
    (
        ([4, 8, 2, 2], 10),
        {
            "sequence": [1 / 16, 1 / 32, 1 / 8, 1 / 8],
            "token": [1 / 16] * 4,
            "constant": [1 / 40] * 4,
        },
    ),
    (
        ([3, 1, 5], 32),
        {"sequence": [1 / 9, 1 / 3, 1 / 15], "token": [1 / 9] * 3, "constant": [1 / 96] * 3},
    ),
    (([7], 9), {"sequence": [1 / 7], "token": [1 / 7], "constant": [1 / 9]}),
]
