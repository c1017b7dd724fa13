"""The engine: a model laid out for decoding, its weights multiplied together once.

Every way to write or to search stands on three operations:

    engine = Engine(model)
    cache, logits = engine.prefill(prompts)   # read each prompt once; logits [prompts, V]
    cache = cache.fork(rows)                  # copy rows, drop rows, change their order
    logits = engine.step(ids, cache)          # one more token in each row; ids [B], logits [B, V]

`generate` samples with them. A beam is a dozen lines more (tests/test_engine.py has one): step all
rows, take the best (row, token) pairs, fork the rows they come from. Rows that come from different
places of a search go on together after `join` (`cache.py`).
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from minilrm.model import KVCache, Transformer
from minilrm.sampler.cache import BLOCK, Cache
from minilrm.sampler.fused import FusedTransformer, pair_order

Fingerprint = list[tuple[int, int, int]]


class Engine:
    """A model that is asked often: `prefill`, `step`, and caches that can be forked.

    dtype: the precision to decode in; None is the model's own. No gradients are kept.

    **When the model learns.** The engine follows its model: each `prefill` compares the weights
    with those it has laid out (half a millisecond for 3M parameters), and lays them out anew where
    they have changed. So no answer comes from old weights. A cache belongs to the weights that
    filled it: a text that is being written goes on with them, whatever becomes of the model, and
    once the engine has new weights, `step` refuses the old cache. Half of a text by one model and
    half by another would be neither's.

    Greedy decoding, by hand:

    >>> engine = Engine(model)
    >>> cache, logits = engine.prefill([tokenizer.encode("Question: What is 2 + 2?\\nAnswer:")])
    >>> ids = [logits.argmax(-1)]
    >>> while ids[-1] != tokenizer.eos_id:
    ...     ids.append(engine.step(ids[-1], cache).argmax(-1))
    """

    def __init__(self, model: Transformer, dtype: torch.dtype | None = None):
        self.model, self.dtype = model, dtype or next(model.parameters()).dtype
        self.reader = model  # reads prompts: the model, or a copy in another precision
        self.weights: FusedTransformer | None = None  # laid out by the first `prefill`
        self.seen: Fingerprint | None = None  # of the weights that are laid out

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @torch.inference_mode(False)
    @torch.no_grad()
    def refresh(self) -> None:
        """Lay out the model's weights as they are now, unless they are."""
        now = fingerprint(self.model)
        if now == self.seen:
            return
        own = next(self.model.parameters()).dtype
        self.reader = self.model if own == self.dtype else copy.deepcopy(self.model).to(self.dtype)
        self.weights, self.seen = FusedTransformer(self.model, self.dtype), now

    @torch.no_grad()
    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Cache, Tensor]:
        """Read prompts (token ids, of any lengths), each once: a cache with a row for each, and the
        logits [prompts, V] of their next token.

        Prompts are padded at the left, so that all end in the last column. Padding is hidden from
        them, and sees itself only because a softmax over nothing would be NaN.

        Raises ValueError for no prompts, an empty one, and one that exceeds the context.
        """
        if not prompts or not all(map(len, prompts)):
            raise ValueError("an empty prompt: there is nothing to go on from")
        width, longest = max(map(len, prompts)), self.model.config.max_seq_len
        if width > longest:
            raise ValueError(f"a prompt of {width} tokens exceeds the context of {longest}")
        self.refresh()
        ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts], device=self.device)
        start = torch.tensor([width - len(p) for p in prompts], device=self.device)
        column = torch.arange(width, device=self.device)
        seen = (column >= start[:, None, None]) & (column <= column[:, None])
        seen = seen | torch.eye(width, dtype=torch.bool, device=self.device)
        room = -(-width // BLOCK) * BLOCK
        read = KVCache(self.model.config, len(prompts), room, dtype=self.dtype, device=self.device)
        positions = (column - start[:, None]).clamp(min=0)
        hidden = self.reader.hidden(ids, positions=positions, mask=seen[:, None], cache=read)
        k = read.k[..., pair_order(self.model.config.head_dim).to(self.device)]
        v = read.v.transpose(-1, -2).contiguous()
        cache = Cache(list(k), list(v), start, width, self.weights)
        return cache, self.reader.lm_head(hidden[:, -1])

    @torch.no_grad()
    def step(self, ids: Tensor, cache: Cache) -> Tensor:
        """Append a token to each row of the cache, ids [B]; return the logits [B, V] of the next.

        Raises ValueError for another number of ids than rows, for a row that fills the context, and
        for a cache that other weights have filled (see the head of this class).
        """
        if self.weights is None or cache.weights is not self.weights:
            raise ValueError("this cache was filled by other weights; prefill the prompts again")
        if ids.shape != (cache.rows,):
            raise ValueError(f"{cache.rows} rows take as many ids, not {list(ids.shape)}")
        longest = self.model.config.max_seq_len
        if cache.length >= longest and cache.length - int(cache.start.min()) >= longest:
            raise ValueError(f"a row fills the context of {longest} tokens")
        return self.weights.step(ids, cache)


def fingerprint(model: Transformer) -> Fingerprint:
    """Differs as soon as weights do: of each parameter where it lies, how often autograd has seen
    it written, and the sum of its bits, which tells of writes to `p.data`, too (autograd does not
    see those)."""
    parameters = [p.detach() for p in model.parameters()]
    sums = torch.stack([sum_of_bits(p) for p in parameters]).tolist()
    written = [0 if p.is_inference() else p._version for p in model.parameters()]
    return [(p.data_ptr(), w, s) for p, w, s in zip(parameters, written, sums, strict=True)]


def sum_of_bits(x: Tensor) -> Tensor:
    """A tensor's memory, read as whole numbers and added: unlike a sum of floats, exact in any
    order."""
    size = x.element_size()
    aligned = x.is_contiguous() and x.nbytes % 8 == 0 and x.storage_offset() * size % 8 == 0
    integers = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return x.flatten().view(torch.int64 if aligned else integers[size]).sum()
