"""Losses over a vocabulary so large that the logits of a whole batch would fill the memory.

The logits of T tokens over V words are T x V numbers, and a loss keeps several such tensors for its
backward pass: 4,096 tokens of a vocabulary of 150,000 are 2.5 GB each. But each row of logits is
needed for one token's loss alone. So rows are taken a few at a time, and what was computed for them
is thrown away and computed once more in the backward pass (arXiv 1604.06174; for the output layer
"cut cross-entropy", 2411.09009, does it inside a GPU kernel). What is kept is the hidden states, a
hundredth of it; what it costs is one more product with the output matrix.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# From so many tokens on; ours have 1,024, and their losses are computed at one go.
LARGE_VOCABULARY = 16_384
NUMBERS_AT_ONCE = 1 << 24  # logits that are there at a time: 64 MB in float32


def by_rows(function: Callable[..., Tensor], vocabulary: int, *rows: Tensor) -> list[Tensor]:
    """`function` of a few rows of the tensors at a time, [N, ...] each: so few that it may compute
    `vocabulary` numbers for each of them. Returns what it gave for each piece, in order.

    Nothing that it computes is kept for the backward pass, which calls it again.

    >>> x = torch.arange(4.0)
    >>> [piece.tolist() for piece in by_rows(lambda part: part * 2, NUMBERS_AT_ONCE // 3, x)]
    [[0.0, 2.0, 4.0], [6.0]]
    """
    at_once = max(1, NUMBERS_AT_ONCE // vocabulary)
    pieces = zip(*(tensor.split(at_once) for tensor in rows), strict=True)
    return [
        checkpoint(function, *piece, use_reentrant=False, preserve_rng_state=False)
        if torch.is_grad_enabled()
        else function(*piece)
        for piece in pieces
    ]
