"""The engine's key-value cache: what the rows of a batch have read so far.

It can be forked, so that several continuations go on from one row, and joined, so that rows from
different places go on together. `engine.py` shows how the three work together.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCK = 32  # the cache grows by so many columns at a time


class Cache:
    """Keys and values of B rows that all end in the same column, with room for the columns to come.

    k, v: a tensor per layer, k [B, n_kv_heads, capacity, head_dim] and v [B, n_kv_heads, head_dim,
    capacity] (the layouts in which bfloat16 products are fastest). `length` columns are in use; the
    others hold zeros, since a weight of 0 times what lies in fresh memory could be NaN.
    start [B]: row b begins in column start[b], so its next token has position length - start[b].
    bias [B, 1, capacity]: what is added to the scores, 0 where a row may look, -inf before its
    beginning and behind its end. weights: the weights that filled it (see `Engine`).

    Two rows of 3 and 5 tokens, in a cache of length 5 (x: a token, .: hidden):

        row 0   . . x x x     start 2
        row 1   x x x x x     start 0
    """

    def __init__(
        self, k: Sequence[Tensor], v: Sequence[Tensor], start: Tensor, length: int, weights: object
    ):
        self.k, self.v, self.start, self.length, self.weights = (
            list(k),
            list(v),
            start,
            length,
            weights,
        )
        column = torch.arange(self.k[0].shape[2], device=start.device)
        hidden = (column < start[:, None]) | (column >= length)
        bias = torch.zeros_like(hidden, dtype=self.k[0].dtype).masked_fill_(hidden, float("-inf"))
        self.bias = bias[:, None]

    @property
    def rows(self) -> int:
        """B: how many rows go on."""
        return len(self.start)

    def open_column(self) -> int:
        """Begin a new column, for the layers to write into. Returns its number."""
        if self.length == self.bias.shape[-1]:
            self.k = [F.pad(x, (0, 0, 0, BLOCK)) for x in self.k]
            self.v = [F.pad(x, (0, BLOCK)) for x in self.v]
            self.bias = F.pad(self.bias, (0, BLOCK), value=float("-inf"))
        self.bias[..., self.length] = 0
        self.length += 1
        return self.length - 1

    def fork(self, rows: Tensor | Sequence[int]) -> "Cache":
        """A new cache whose row i is a copy of row rows[i]. This one stays as it is.

        A row that is named twice goes on twice, one that is not named is dropped:

        >>> cache.fork([0, 0, 2]).start.tolist()  # of three: the first twice, the second pruned
        [2, 2, 0]
        """
        if not isinstance(rows, Tensor):
            rows = torch.tensor(rows, dtype=torch.long)
        rows = rows.to(self.start.device)
        k, v = ([x.index_select(0, rows) for x in layers] for layers in (self.k, self.v))
        return Cache(k, v, self.start[rows], self.length, self.weights)


def join(caches: Sequence[Cache]) -> Cache:
    """One cache with the rows of all, in order, for rows that come from different places in a
    search. Shorter ones move to the right, until all end in the same column.

    Raises ValueError where there are none, and where they were filled by different weights.
    """
    if len({id(cache.weights) for cache in caches}) != 1:
        raise ValueError("join needs at least one cache, and all filled by the same weights")
    length = max(cache.length for cache in caches)
    k: list[list[Tensor]] = [[] for _ in caches[0].k]  # by layer, the parts of each cache
    v: list[list[Tensor]] = [[] for _ in caches[0].v]
    start = []
    for cache in caches:
        used, before, behind = cache.length, length - cache.length, -length % BLOCK
        for layer, (layer_k, layer_v) in enumerate(zip(cache.k, cache.v, strict=True)):
            k[layer].append(F.pad(layer_k[:, :, :used], (0, 0, before, behind)))
            v[layer].append(F.pad(layer_v[..., :used], (before, behind)))
        start.append(cache.start + before)
    whole_k, whole_v = [torch.cat(x) for x in k], [torch.cat(x) for x in v]
    return Cache(whole_k, whole_v, torch.cat(start), length, caches[0].weights)
