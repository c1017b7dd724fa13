"""From rewards to advantages: how much better each completion is than its group."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from minilrm.objectives.exact import full_precision, inside

NORMALIZATIONS = ("std", "none", "rloo", "batch")
CREDITS = ("sum", "min")


def group_advantages(
    rewards: Tensor,
    normalize: str = "std",
    eps: float = 1e-4,
    valid: Tensor | None = None,
    batch_std: Tensor | None = None,
) -> Tensor:
    """How much better each completion is than its group: `rewards[P, G]` -> `[P, G]`, a group's sum
    is 0.

        std    (r - mean) / (std + eps)        GRPO, 2402.03300; std with Bessel's correction
        none   r - mean                        Dr. GRPO, 2503.20783: (G-1)/G of the policy gradient
        rloo   r - mean of the OTHERS          2402.14740: G/(G-1) (r - mean), the policy gradient
        batch  (r - mean) / (batch std + eps)  REINFORCE++-baseline, 2501.03262: one scale for all

    A group whose rewards are all equal gets exactly 0, by comparison and not by division: float32
    rounding in the mean, divided by a std of nearly 0, would otherwise teach from noise.
    `valid[P, G]` False (a grader that failed) gives 0, and that reward, NaN included, enters
    neither mean nor std; G is then the number of valid ones. `batch_std`: the std of the whole
    batch, where several devices hold a part of it each; None: of the rewards given.

    >>> group_advantages(torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]), "rloo")
    tensor([[ 0.6667, -0.6667, -0.6667,  0.6667],
            [ 0.0000,  0.0000,  0.0000,  0.0000]])
    """
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize must be one of {NORMALIZATIONS}, not {normalize!r}")
    rewards = full_precision(rewards)
    valid = torch.ones_like(rewards, dtype=torch.bool) if valid is None else valid.bool()
    n = valid.sum(1, keepdim=True)
    # With fewer than two valid rewards this divides 0 by 0; the last line has no use for what comes
    # out.
    centered = rewards - inside(rewards, valid).sum(1, keepdim=True) / n
    if normalize == "rloo":
        centered = centered * n / (n - 1)
    elif normalize == "std":
        variance = inside(centered, valid).square().sum(1, keepdim=True) / (n - 1)
        centered = centered / (variance.sqrt() + eps)
    elif normalize == "batch" and valid.sum() > 1:
        std = rewards[valid].std() if batch_std is None else batch_std
        centered = centered / (std + eps)
    highest = rewards.masked_fill(~valid, -math.inf).amax(1, keepdim=True)
    lowest = rewards.masked_fill(~valid, math.inf).amin(1, keepdim=True)
    return inside(centered, valid & (highest > lowest))


def process_advantages(
    rewards: Sequence[Sequence[float]],
    ends: Sequence[Sequence[int]],
    lengths: Sequence[int],
    credit: str = "sum",
    eps: float = 1e-4,
) -> list[Tensor]:
    """A group whose single steps are rewarded -> an advantage per token, `[T]` each.

    rewards: of each completion's steps. ends: the places of the tokens that end them, rising, in
    [0, length).

        sum  r~ = (r - mean r) / (std r + eps) over all steps of the group; a token's advantage is
             the sum of r~ over the steps that end at it or later   DeepSeekMath, 2402.03300, 4.1.3
        min  a step is worth the worst reward from it on: G_j = min of r_k, k >= j (PURE,
             2504.15275); a token's advantage is (G - mean G) / (std G + eps) of its step

    With `sum`, every further step above the mean adds to a completion: many easy steps pay. With
    `min` they do not. Tokens behind the last end get 0. A group whose rewards are all equal gets
    exactly 0 everywhere.

    >>> steps, ends = [[1.0, 0.0], [1.0]], [[1, 3], [2]]
    >>> found = process_advantages(steps, ends, lengths=[4, 3], credit="min")
    >>> [[round(x, 2) for x in advantages.tolist()] for advantages in found]
    [[-0.58, -0.58, -0.58, -0.58], [1.15, 1.15, 1.15]]
    """
    if credit not in CREDITS:
        raise ValueError(f"credit must be one of {CREDITS}, not {credit!r}")
    everything = [torch.tensor(list(row), dtype=torch.float64) for row in rewards]
    if len({float(r) for row in everything for r in row}) < 2:
        return [torch.zeros(length) for length in lengths]
    if credit == "min":  # the lowest of what is still to come, from the end backwards
        everything = [row.flip(0).cummin(0).values.flip(0) for row in everything]
    together = torch.cat(everything)
    # Rewards that differ may have returns that do not.
    scale = together.std() + eps if together.max() > together.min() else math.inf
    scaled = [(row - together.mean()) / scale for row in everything]
    if credit == "sum":
        scaled = [row.flip(0).cumsum(0).flip(0) for row in scaled]
    advantages = []
    for row, places, length in zip(scaled, ends, lengths, strict=True):
        # The step that a token belongs to is the first one that ends at it or later.
        step = torch.searchsorted(torch.tensor(list(places)), torch.arange(length))
        advantages.append(torch.cat([row, row.new_zeros(1)])[step].float())
    return advantages


def soft_overlong_penalty(lengths: Tensor, max_length: int, cache: int) -> Tensor:
    """What DAPO (2503.14476, eq. 13) adds to the reward of a long completion: `lengths[...]` ->
    `[...]` in [-1, 0].

        0                                    length <= max_length - cache
        (max_length - cache - length)/cache  in between: a slope instead of a cliff
        -1                                   length >= max_length

    >>> lengths = torch.tensor([80, 85, 90, 100, 101])
    >>> soft_overlong_penalty(lengths, max_length=100, cache=20).tolist()
    [0.0, -0.25, -0.5, -1.0, -1.0]
    """
    if not 0 < cache <= max_length:
        raise ValueError(f"cache must be between 1 and max_length {max_length}, not {cache}")
    return ((max_length - cache - lengths) / cache).clamp(-1.0, 0.0)
