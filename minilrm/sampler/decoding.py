"""Batches of completions, decoded together.

Each prompt is read once for its `n` completions, and rows that have finished leave the batch. Every
row owns its random numbers, so what it says depends on the seed, its prompt and its number alone,
not on which other rows are still running or how the work was split into batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minilrm.sampler.cache import Cache
from minilrm.sampler.engine import Engine
from minilrm.sampler.hooks import Ban, Force, Hooks, ToolError
from minilrm.sampler.picking import Picker, uniform_noise
from minilrm.tokenizer import Tokenizer

# Rows decoded at once; more are done in turn, to bound memory. Of a large model, fewer: so many
# that their keys and values fit into this many bytes.
MAX_ROWS, CACHE_BYTES = 512, 2 << 30
# A batch shrinks to multiples of this. Matrix products are prepared anew for each size they have
# not met yet, which takes as long as dozens of them.
FEW_SIZES = 16


@dataclass(frozen=True)
class Completion:
    """What followed one prompt.

    text: everything, inserted text included. sampled_text: only what the model itself said; graders
    see this one. token_ids: all tokens after the prompt, the end-of-text token included. mask: 1
    where the model sampled the token, 0 where it was inserted. logprobs: under the distribution
    that was sampled, temperature and bans included; 0 where inserted (and at temperature 0, where
    nothing is left to chance). finish_reason: eos | stop | length | tool_error.
    """

    text: str
    sampled_text: str
    token_ids: list[int]
    mask: list[int]
    logprobs: list[float]
    finish_reason: str


@dataclass(frozen=True)
class Sampling:
    """How to go on from prompts; `generate` says what the fields mean. Raises ValueError for a
    value out of range."""

    n: int
    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int | None
    stop: tuple[str, ...]

    def __post_init__(self) -> None:
        ranges = (
            self.temperature >= 0,  # false for NaN, too
            0 < self.top_p <= 1,
            self.top_k >= 0,
            self.n >= 1,
            self.max_new_tokens >= 1,
        )
        if not all(ranges):
            raise ValueError(
                "need temperature >= 0, 0 < top_p <= 1, top_k >= 0, n >= 1, max_new_tokens >= 1"
            )
        if "" in self.stop:
            raise ValueError("a stop string is empty")


def decode(
    engine: Engine,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    how: Sampling,
    hooks: Hooks,
    *,
    places: Sequence[int] | None = None,
    numbers: range | None = None,
) -> list[list[Completion]]:
    """Completions of each prompt, decoded in this process.

    A share of a larger job says which part of it it is, since random numbers go by the place in the
    whole: `places` are those of the prompts (None: this is the whole), and of the `how.n`
    completions of each only those in `numbers` are wanted (None: all).
    """
    numbers = range(how.n) if numbers is None else numbers
    places = range(len(prompts)) if places is None else places
    noise = None
    if how.temperature > 0:
        size = max(places, default=-1) + 1
        whole = uniform_noise(size * how.n, how.max_new_tokens, how.seed)
        of_prompt = whole.view(-1, how.n, how.max_new_tokens)[list(places)]
        noise = of_prompt[:, numbers.start : numbers.stop].flatten(0, 1).to(engine.device)
    picker = Picker(how.temperature, how.top_p, how.top_k)
    longest = max(map(len, prompts), default=0) + how.max_new_tokens
    n, per_batch = len(numbers), max(1, rows_at_once(engine, longest) // len(numbers))
    results: list[list[Completion]] = []
    with torch.inference_mode():
        for start in range(0, len(prompts), per_batch):
            part = prompts[start : start + per_batch]
            u = None if noise is None else noise[start * n : (start + len(part)) * n]
            cache, logits = begin(engine, part, n)
            batch = Batch(engine, cache, how.max_new_tokens, picker, hooks, u, start * n)
            del cache  # or its first, largest state would live as long as the batch
            done = batch.run(logits)
            results += [done[i * n : (i + 1) * n] for i in range(len(part))]
    return results


def rows_at_once(engine: Engine, tokens: int) -> int:
    """How many rows of so many tokens are decoded together."""
    c = engine.model.config
    numbers = 2 * c.n_layers * c.n_kv_heads * c.head_dim * tokens
    return max(1, min(MAX_ROWS, CACHE_BYTES // (numbers * engine.dtype.itemsize)))


def begin(engine: Engine, prompts: Sequence[Sequence[int]], n: int) -> tuple[Cache, Tensor]:
    """Read every prompt once; a cache with `n` rows per prompt, and the logits [rows, V] of their
    first token."""
    cache, logits = engine.prefill(prompts)
    if n == 1:
        return cache, logits
    rows = torch.arange(len(prompts), device=logits.device).repeat_interleave(n)
    return cache.fork(rows), logits[rows]


class Batch:
    """Rows that are decoded together, one token each at a time.

    A *row* is a completion, for good; a *slot* is its place in the batch (its row of the cache),
    which changes as finished rows leave. u [slots, max_new]: random numbers. The hooks know row 0
    of this batch as `first_row`.
    """

    def __init__(
        self,
        engine: Engine,
        cache: Cache,
        max_new: int,
        picker: Picker,
        hooks: Hooks,
        u: Tensor | None,
        first_row: int,
    ):
        self.engine, self.cache, self.max_new = engine, cache, max_new
        self.picker, self.hooks, self.u, self.first_row = picker, hooks, u, first_row
        slots, device = cache.rows, cache.start.device
        self.rows: list[int | None] = list(range(slots))  # of each slot; None once it has finished
        self.done: dict[int, Completion] = {}  # by row
        self.ids = torch.zeros(slots, max_new, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(slots, max_new, device=device)
        self.mask = torch.ones(slots, max_new, dtype=torch.long, device=device)
        self.inserted: dict[int, list[int]] = {}  # row -> ids still to be fed

    def run(self, logits: Tensor) -> list[Completion]:
        """logits [slots, V]: of the first token. Returns the completions, by row."""
        for t in range(self.max_new):
            u = None if self.u is None else self.u[:, t]
            new, logp = self.picker(self.constrain(logits, t), u)
            fed = self.feed_inserted(t, new, logp)
            # Finished slots get something, too; it is never read.
            self.ids[:, t], self.logprobs[:, t] = new, logp
            self.watch(t, new, fed)
            keep = self.slots_to_keep()
            if not keep or t + 1 == self.max_new:
                break
            if len(keep) < len(self.rows):
                new = self.shrink(keep, new)
            logits = self.engine.step(new, self.cache)
        for slot, row in enumerate(self.rows):
            if row is not None:
                self.finish(slot, self.max_new, "length")
        return [self.done[row] for row in range(len(self.done))]

    # -- the next token ----------------------------------------------------------------------------

    def constrain(self, logits: Tensor, t: int) -> Tensor:
        """Apply the `allowed` hook: banned ids get probability 0 before anything else is computed.

        It is not asked where nothing will be sampled: in rows that are done, or have inserted text
        waiting.
        """
        if self.hooks.allowed is None:
            return logits
        logits = logits.clone()
        for slot, row in enumerate(self.rows):
            if row is None or self.inserted.get(row):
                continue
            rule = self.hooks.allowed(self.first_row + row, self.so_far(slot, t))
            if isinstance(rule, Ban):
                logits[slot, list(rule.ids)] = float("-inf")
            elif isinstance(rule, Force):
                kept = logits[slot, list(rule.ids)].clone()
                logits[slot] = float("-inf")
                logits[slot, list(rule.ids)] = kept
            elif rule is not None:
                raise TypeError(
                    f"the `allowed` hook answers Ban, Force or None, not {type(rule).__name__}"
                )
        if logits.amax(-1).isneginf().any():
            raise ValueError("the `allowed` hook left no token to sample in a row")
        return logits

    def feed_inserted(self, t: int, new: Tensor, logp: Tensor) -> set[int]:
        """Rows with inserted text waiting take its next token instead of the sampled one. Returns
        their slots."""
        fed = set()
        for slot, row in enumerate(self.rows) if self.inserted else ():
            if row is not None and self.inserted.get(row):
                fed.add(slot)
                new[slot], logp[slot], self.mask[slot, t] = self.inserted[row].pop(0), 0.0, 0
        return fed

    # -- what it brings about ----------------------------------------------------------------------

    def watch(self, t: int, new: Tensor, fed: set[int]) -> None:
        """What a new token may bring about: the end of its row, a call of the stream, an
        intervention."""
        hooks, tokenizer = self.hooks, self.hooks.tokenizer
        ended = new == tokenizer.eos_id
        for other in tokenizer.other_ends:
            ended = ended | (new == other)
        ends = set(ended.nonzero().flatten().tolist()) - fed
        every = hooks.stream or hooks.stop or hooks.intervene
        for slot in range(len(self.rows)) if every else ends:
            row = self.rows[slot]
            if row is None:
                continue
            if hooks.stream:
                hooks.stream(self.first_row + row, int(new[slot]), slot not in fed)
            if slot in ends:
                self.finish(slot, t + 1, "eos")
            elif hooks.stop and hooks.stopped(self.so_far(slot, t + 1)):
                self.finish(slot, t + 1, "stop")
            elif hooks.intervene and not self.inserted.get(row):
                try:
                    extra = hooks.intervene(self.first_row + row, self.so_far(slot, t + 1))
                    self.inserted[row] = list(extra or ())
                except ToolError:
                    self.finish(slot, t + 1, "tool_error")

    def so_far(self, slot: int, t: int) -> list[int]:
        return self.ids[slot, :t].tolist()

    def finish(self, slot: int, count: int, reason: str) -> None:
        """The row has said its last of `count` tokens: what it said, as the caller will see it."""
        row = self.rows[slot]
        assert row is not None
        ids, mask, logprobs = (
            x[slot, :count].tolist() for x in (self.ids, self.mask, self.logprobs)
        )
        decode, body = self.hooks.tokenizer.decode, ids[:-1] if reason == "eos" else ids
        text = decode(body)
        spoken = text if all(mask) else decode([i for i, m in zip(body, mask, strict=False) if m])
        if reason == "stop":
            text, spoken = self.hooks.cut(text), self.hooks.cut(spoken)
        self.done[row] = Completion(text, spoken, ids, mask, logprobs, reason)
        self.rows[slot] = None

    # -- rows that leave ---------------------------------------------------------------------------

    def slots_to_keep(self) -> list[int]:
        """All slots, until an eighth of them has finished; then those that have not, filled up to a
        multiple of FEW_SIZES."""
        running = [slot for slot, row in enumerate(self.rows) if row is not None]
        if 8 * len(running) > 7 * len(self.rows):
            return [*range(len(self.rows))]
        if len(running) > FEW_SIZES:
            finished = [slot for slot, row in enumerate(self.rows) if row is None]
            running = sorted(running + finished[: -len(running) % FEW_SIZES])
        return running

    def shrink(self, keep: list[int], new: Tensor) -> Tensor:
        """Only these slots go on. Returns their new tokens."""
        self.rows = [self.rows[slot] for slot in keep]
        slots = torch.tensor(keep, device=new.device)
        self.cache = self.cache.fork(slots)
        self.ids, self.logprobs, self.mask = self.ids[slots], self.logprobs[slots], self.mask[slots]
        self.u = None if self.u is None else self.u[slots]
        return new[slots]
