"""Small helpers that keep formulas exact: full precision, masks that let nothing through."""

import torch
from torch import Tensor


def full_precision(x: Tensor) -> Tensor:
    """float64 stays (tests use it), all else becomes float32."""
    return x if x.dtype == torch.float64 else x.float()


def inside(values: Tensor, mask: Tensor) -> Tensor:
    """0 where mask is False. Not `values * mask`: 0 * NaN is NaN, and so would be the gradient."""
    return torch.where(mask, values, 0.0)


def count(denominator: float | Tensor | None, own: int | Tensor) -> float | Tensor:
    """The divisor: the whole batch's count where given, else this call's own; at least 1, so that
    nothing is 0 / 0."""
    return max(own if denominator is None else denominator, 1)
