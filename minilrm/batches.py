"""Rows of different lengths made into batches that waste little on padding."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn


def batches_by_length(
    lengths: Sequence[int] | np.ndarray,
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


def pad(rows: Iterable[Sequence[int] | np.ndarray], value: int = 0) -> Tensor:
    """Rows of ids as one matrix, padded at the right."""
    tensors = [torch.as_tensor(np.asarray(row, dtype=np.int64)) for row in rows]
    return nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)


# Ids in which some tokens are read and not learnt: those are written as -2 - id, padding as -1.


def read_only(ids: Tensor, which: Tensor) -> Tensor:
    """Ids [B, T] whose tokens `which` [B, T] are to be read and not learnt.

    >>> read_only(torch.tensor([[5, 6, 7]]), torch.tensor([[False, True, False]])).tolist()
    [[5, -8, 7]]
    """
    return torch.where(which & (ids >= 0), -2 - ids, ids)


def readable(ids: Tensor) -> Tensor:
    """The ids themselves, 0 for padding: `read_only` backwards.

    >>> readable(torch.tensor([[5, -8, 7, -1]])).tolist()
    [[5, 6, 7, 0]]
    """
    return torch.where(ids < -1, -2 - ids, ids.clamp(min=0))


# -- texts to imitate ------------------------------------------------------------------------------


class Answered(Protocol):
    """A prompt and what follows it: an `Example`, or an episode of a rollout."""

    @property
    def prompt_ids(self) -> list[int]: ...
    @property
    def completion_ids(self) -> list[int]: ...
    @property
    def mask(self) -> list[int]: ...


@dataclass(frozen=True)
class Example:
    """A prompt with a completion to learn from, as token ids; the end-of-text token is among the
    latter.

    mask: 1 on the completion's tokens that the loss counts, [T].
    """

    prompt_ids: list[int]
    completion_ids: list[int]
    mask: list[int]

    @property
    def length(self) -> int:
        """Tokens that the loss counts."""
        return sum(self.mask)


def example_batches(rows: Sequence[Answered], max_tokens: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(ids [B, T], loss mask [B, T]) of prompts with their completions, rows of like length
    together.

    The mask is True on the tokens of the completions that the loss counts, never on a prompt or on
    padding.
    """
    lengths = np.array([len(r.prompt_ids) + len(r.completion_ids) for r in rows])
    order = np.argsort(lengths, kind="stable")
    for places in fill_batches(order, lengths[order], max_tokens):
        part = [rows[i] for i in places]
        ids = pad([*r.prompt_ids, *r.completion_ids] for r in part)
        yield ids, pad([0] * len(r.prompt_ids) + list(r.mask) for r in part).bool()
