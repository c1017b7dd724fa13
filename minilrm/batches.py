"""Rows of different lengths made into batches that waste little on padding."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn


def batches_by_length(
    lengths: Sequence[int],
    tokens_per_batch: int,
    rng: np.random.Generator | None = None,
    window: int = 8192,
) -> Iterator[np.ndarray]:
    """Indices of rows to pad together: each batch holds about `tokens_per_batch` tokens, padding
    included.

    Rows are taken in random order (in the given one without `rng`), sorted by length within
    windows, so that rows of a batch are of like length and little is spent on padding; then the
    batches of a window come in random order.
    """
    lengths = np.asarray(lengths)
    order = rng.permutation(len(lengths)) if rng is not None else np.arange(len(lengths))
    for start in range(0, len(order), window):
        part = order[start : start + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches = list(fill_batches(part, lengths[part], tokens_per_batch))
        for i in rng.permutation(len(batches)) if rng is not None else range(len(batches)):
            yield batches[i]


def fill_batches(
    rows: np.ndarray, lengths: np.ndarray, tokens_per_batch: int
) -> Iterator[np.ndarray]:
    """Cut rows, sorted by length, so that (rows) x (longest) stays within the budget. One row is
    always allowed."""
    start = 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end - start + 1) * int(lengths[end]) > tokens_per_batch:
            yield rows[start:end]
            start = end


def pad(rows: Iterable[Sequence[int]], value: int = 0) -> Tensor:
    """Rows of ids as one matrix, padded at the right."""
    rows = [torch.as_tensor(np.asarray(row, dtype=np.int64)) for row in rows]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
