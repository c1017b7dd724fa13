"""Batched generation with a key-value cache.

Each prompt is read once for its `n` completions; rows that have finished leave the batch. Every row
owns its random numbers, so what it says depends on the seed, its prompt and its place alone, not on
which other rows are still running or how the work was split into batches. How one token follows
another, fast, is in `sampler/decoding.py`.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from minilrm.model import Transformer
from minilrm.sampler.decoding import DecodingCache, FusedTransformer, prefill
from minilrm.tokenizer import Tokenizer

if TYPE_CHECKING:
    from minilrm.sampler.workers import Workers


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
class Ban:
    """An answer of the `allowed` hook: these ids may not be sampled now."""

    ids: Sequence[int]


@dataclass(frozen=True)
class Force:
    """An answer of the `allowed` hook: only these ids may be sampled now."""

    ids: Sequence[int]


class ToolError(Exception):
    """Raised by an `intervene` hook: that row ends with finish_reason "tool_error"."""


WORTH_SHARING = 64  # fewer rows are decoded sooner by one process than they are shared out
MAX_ROWS = 512  # rows decoded at once; more are done in turn, to bound memory
# A batch shrinks to multiples of this. Matrix products are prepared anew for each size they have
# not met yet, which takes as long as dozens of them.
FEW_SIZES = 16


def generate(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str | Sequence[int]],
    *,
    n: int = 1,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int | None = None,
    stop: Sequence[str] = (),
    allowed: Callable[[int, list[int]], Ban | Force | None] | None = None,
    intervene: Callable[[int, list[int]], Sequence[int] | None] | None = None,
    stream: Callable[[int, int, bool], None] | None = None,
    dtype: torch.dtype | None = None,
    workers: "Workers | None" = None,
) -> list[list[Completion]]:
    """`n` completions for each prompt (a text, or token ids).

    temperature 0 is greedy. top_p, top_k: sample from the smallest set of tokens that holds this
    much probability / of this size. stop: the completion ends before the first of these strings.
    The hooks get the row (prompt index * n + completion index) and the ids after the prompt so far:
    `allowed` bans or forces ids for the next token; `intervene` returns ids that are appended
    without being sampled (they pass through the same batch and get mask 0); `stream` is told every
    new (row, id, sampled). dtype: precision to decode in; None is the model's own. workers: other
    processes that take a share of the prompts (`sampler/workers.py`); hooks cannot reach into them,
    so with hooks they stand idle.

    Raises ValueError for an empty prompt, for options out of range, and where prompt and completion
    exceed the context. With a trained model:

    >>> generate(model, tokenizer, ["Question: What is 2 + 2?\\nAnswer:"], max_new_tokens=8, temperature=0)[0][0].text
    ' #### 4'
    """
    if (
        not temperature >= 0 or not 0 < top_p <= 1 or top_k < 0 or n < 1 or max_new_tokens < 1
    ):  # "not": NaN fails too
        raise ValueError(
            "need temperature >= 0, 0 < top_p <= 1, top_k >= 0, n >= 1, max_new_tokens >= 1"
        )
    if isinstance(prompts, str) or isinstance(stop, str) or "" in stop:
        raise ValueError("prompts and stop are lists of texts, and no stop string is empty")
    prompt_ids = [tokenizer.encode(p) if isinstance(p, str) else list(p) for p in prompts]
    longest = max(map(len, prompt_ids), default=1)
    if min(map(len, prompt_ids), default=1) == 0:
        raise ValueError("an empty prompt: there is nothing to go on from")
    if longest + max_new_tokens > model.config.max_seq_len:
        raise ValueError(
            f"a prompt of {longest} tokens and {max_new_tokens} new ones exceed the context of "
            f"{model.config.max_seq_len}"
        )
    how = Sampling(
        n,
        max_new_tokens,
        temperature,
        top_p,
        top_k,
        seed,
        tuple(stop),
        dtype or next(model.parameters()).dtype,
    )
    if (
        workers is not None
        and not (allowed or intervene or stream)
        and len(prompt_ids) * n >= WORTH_SHARING
    ):
        return workers.decode(model, tokenizer, prompt_ids, how)
    return decode(
        model, tokenizer, prompt_ids, how, Hooks(tokenizer, how.stop, allowed, intervene, stream)
    )


@dataclass(frozen=True)
class Sampling:
    """How to go on from prompts; `generate` says what the fields mean."""

    n: int
    max_new_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int | None
    stop: tuple[str, ...]
    dtype: torch.dtype


def decode(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    how: Sampling,
    hooks: "Hooks",
    first: int = 0,
) -> list[list[Completion]]:
    """`how.n` completions for each of the prompts, of which the first is number `first` of its
    seed's."""
    n, per_batch = how.n, max(1, MAX_ROWS // how.n)
    noise = (
        uniform_noise((first + len(prompts)) * n, how.max_new_tokens, how.seed)[first * n :]
        if how.temperature > 0
        else None
    )
    parameter = next(model.parameters())
    reader = model if parameter.dtype == how.dtype else copy.deepcopy(model).to(how.dtype)
    picker = Picker(how.temperature, how.top_p, how.top_k)
    results: list[list[Completion]] = []
    with torch.inference_mode():
        fused = FusedTransformer(
            model, how.dtype, max(map(len, prompts), default=1) + how.max_new_tokens
        )
        for start in range(0, len(prompts), per_batch):
            part = prompts[start : start + per_batch]
            rows = slice(start * n, (start + len(part)) * n)
            u = noise[rows].to(parameter.device) if noise is not None else None
            cache, logits = prefill(reader, part, n)
            done = Decoder(
                fused, cache, how.max_new_tokens, picker, hooks, u, first_row=start * n
            ).run(logits)
            results += [done[i * n : (i + 1) * n] for i in range(len(part))]
    return results


def uniform_noise(rows: int, steps: int, seed: int | None) -> Tensor:
    """One number in [0, 1) for each row and step, drawn on the CPU: the same on every device."""
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return torch.rand(rows, steps, generator=generator)


@dataclass(frozen=True)
class Picker:
    """Choose tokens from logits."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0

    def __call__(self, logits: Tensor, u: Tensor | None) -> tuple[Tensor, Tensor]:
        """logits [B, V] and uniform numbers u [B] -> token ids [B] and their log-probabilities
        [B]."""
        if self.temperature == 0:
            return logits.argmax(-1), torch.zeros(len(logits), device=logits.device)
        logits = logits.float() if self.temperature == 1 else logits.float() / self.temperature
        if self.top_k or self.top_p < 1:
            logits = truncate(logits.log_softmax(-1), self.top_p, self.top_k)
        probs = logits.softmax(-1)
        ids = inverse_cdf(probs, u)
        return ids, probs.gather(1, ids[:, None]).squeeze(1).log()


def truncate(logprobs: Tensor, top_p: float, top_k: int) -> Tensor:
    """Keep the top k tokens and, of those, the smallest set that holds top_p; renormalise. [B, V]
    -> [B, V]."""
    ordered, order = logprobs.sort(dim=-1, descending=True)
    keep = torch.ones_like(ordered, dtype=torch.bool)
    if top_k:
        keep[:, top_k:] = False
    if top_p < 1:
        before = ordered.exp().cumsum(-1) - ordered.exp()  # probability of all likelier tokens
        keep &= before < top_p
    keep = torch.zeros_like(keep).scatter(1, order, keep)
    return torch.log_softmax(logprobs.masked_fill(~keep, float("-inf")), dim=-1)


def inverse_cdf(probs: Tensor, u: Tensor) -> Tensor:
    """Sample one id a row: the first whose cumulative probability exceeds u. probs [B, V], u [B] ->
    [B]."""
    cdf = probs.cumsum(-1)
    # Scaling u by the total keeps rounding in the sum from ever picking an id of probability 0 at
    # the end.
    return (
        torch.searchsorted(cdf, (u[:, None] * cdf[:, -1:]).contiguous(), right=True)
        .squeeze(1)
        .clamp_(max=probs.shape[1] - 1)
    )


@dataclass(frozen=True)
class Hooks:
    """What may look at, or reach into, a running batch."""

    tokenizer: Tokenizer
    stop: tuple[str, ...] = ()
    allowed: Callable | None = None
    intervene: Callable | None = None
    stream: Callable | None = None

    def stopped(self, ids: list[int]) -> bool:
        """Whether a stop string has just been completed; only the tail can hold it."""
        longest = max(map(len, (s.encode() for s in self.stop)), default=0)
        tail = self.tokenizer.decode(ids[-longest - 1 :]) if longest else ""
        return any(s in tail for s in self.stop)


class Decoder:
    """One batch of rows decoded together, a column at a time.

    A *row* is a completion, for good; a *line* is its place in the batch, which changes as finished
    rows leave.
    """

    def __init__(
        self,
        model: FusedTransformer,
        cache: DecodingCache,
        max_new: int,
        picker: Picker,
        hooks: Hooks,
        u: Tensor | None,
        first_row: int,
    ):
        self.model, self.cache, self.max_new, self.picker, self.hooks = (
            model,
            cache,
            max_new,
            picker,
            hooks,
        )
        self.u, self.first_row, self.eos = u, first_row, hooks.tokenizer.eos_id
        lines, device = len(cache.start), cache.start.device
        self.rows: list[int | None] = list(
            range(lines)
        )  # the row of each line; None once it has finished
        self.done: list[Completion | None] = [None] * lines  # by row
        self.ids = torch.zeros(lines, max_new, dtype=torch.long, device=device)
        self.logprobs = torch.zeros(lines, max_new, device=device)
        self.mask = torch.ones(lines, max_new, dtype=torch.long, device=device)
        self.inserted: dict[int, list[int]] = {}  # row -> ids still to be fed

    def run(self, logits: Tensor) -> list[Completion]:
        """logits [B, V]: of the first token."""
        for t in range(self.max_new):
            new, logp = self.picker(
                self.constrain(logits, t), None if self.u is None else self.u[:, t]
            )
            fed = self.feed_inserted(t, new, logp)
            self.ids[:, t], self.logprobs[:, t] = (
                new,
                logp,
            )  # finished lines get something, too; it is never read
            self.watch(t, new, fed)
            keep = self.lines_to_keep()
            if not keep or t + 1 == self.max_new:
                break
            if len(keep) < len(self.rows):
                new = self.shrink(keep, new)
            logits = self.model.step(new, self.cache)
        for line, row in enumerate(self.rows):
            if row is not None:
                self.finish(line, self.max_new, "length")
        return self.done

    def constrain(self, logits: Tensor, t: int) -> Tensor:
        """Apply the `allowed` hook: banned ids get probability 0 before anything else is computed.

        It is not asked where nothing will be sampled: in rows that are done, or have inserted text
        waiting.
        """
        if self.hooks.allowed is None:
            return logits
        logits = logits.clone()
        for line, row in enumerate(self.rows):
            if row is None or self.inserted.get(row):
                continue
            rule = self.hooks.allowed(self.first_row + row, self.so_far(line, t))
            if isinstance(rule, Ban):
                logits[line, list(rule.ids)] = float("-inf")
            elif isinstance(rule, Force):
                kept = logits[line, list(rule.ids)].clone()
                logits[line] = float("-inf")
                logits[line, list(rule.ids)] = kept
            elif rule is not None:
                raise TypeError(
                    f"the `allowed` hook answers Ban, Force or None, not {type(rule).__name__}"
                )
        if logits.amax(-1).isneginf().any():
            raise ValueError("the `allowed` hook left a row no token to sample")
        return logits

    def feed_inserted(self, t: int, new: Tensor, logp: Tensor) -> set[int]:
        """Rows with inserted text waiting take its next token instead of the sampled one. Their
        lines."""
        fed = (
            {line for line, row in enumerate(self.rows) if self.inserted.get(row)}
            if self.inserted
            else set()
        )
        for line in fed:
            new[line], logp[line], self.mask[line, t] = (
                self.inserted[self.rows[line]].pop(0),
                0.0,
                0,
            )
        return fed

    def watch(self, t: int, new: Tensor, fed: set[int]) -> None:
        """What a new token may bring about: the end of its row, a word to the stream, an
        intervention."""
        hooks, ends = self.hooks, set((new == self.eos).nonzero().flatten().tolist()) - fed
        for line in (
            range(len(self.rows)) if hooks.stream or hooks.stop or hooks.intervene else ends
        ):
            row = self.rows[line]
            if row is None:
                continue
            if hooks.stream:
                hooks.stream(self.first_row + row, int(new[line]), line not in fed)
            if line in ends:
                self.finish(line, t + 1, "eos")
            elif hooks.stop and hooks.stopped(self.so_far(line, t + 1)):
                self.finish(line, t + 1, "stop")
            elif hooks.intervene and not self.inserted.get(row):
                self.ask(line, row, t)

    def ask(self, line: int, row: int, t: int) -> None:
        try:
            extra = self.hooks.intervene(self.first_row + row, self.so_far(line, t + 1))
        except ToolError:
            self.finish(line, t + 1, "tool_error")
            return
        if extra:
            self.inserted[row] = list(extra)

    def so_far(self, line: int, t: int) -> list[int]:
        return self.ids[line, :t].tolist()

    def lines_to_keep(self) -> list[int]:
        """All lines, until an eighth of them has finished; then those that have not, filled up to a
        multiple."""
        running = [line for line, row in enumerate(self.rows) if row is not None]
        if 8 * len(running) > 7 * len(self.rows):
            return [*range(len(self.rows))]
        if len(running) > FEW_SIZES:
            finished = [line for line, row in enumerate(self.rows) if row is None]
            running = sorted(running + finished[: -len(running) % FEW_SIZES])
        return running

    def shrink(self, keep: list[int], new: Tensor) -> Tensor:
        """Only these lines go on. Returns their new tokens."""
        self.rows = [self.rows[line] for line in keep]
        lines = torch.tensor(keep, device=new.device)
        self.cache.keep(lines)
        self.ids, self.logprobs, self.mask = self.ids[lines], self.logprobs[lines], self.mask[lines]
        self.u = self.u[lines] if self.u is not None else None
        return new[lines]

    def finish(self, line: int, count: int, reason: str) -> None:
        """The row has said its last of `count` tokens: what it said, as the caller will see it."""
        ids, mask, logprobs = (
            x[line, :count].tolist() for x in (self.ids, self.mask, self.logprobs)
        )
        decode, body = self.hooks.tokenizer.decode, ids[:-1] if reason == "eos" else ids
        text = decode(body)
        spoken = text if all(mask) else decode([i for i, m in zip(body, mask, strict=False) if m])
        if reason == "stop":
            text, spoken = (cut(x, self.hooks.stop) for x in (text, spoken))
        self.done[self.rows[line]] = Completion(text, spoken, ids, mask, logprobs, reason)
        self.rows[line] = None


def cut(text: str, stops: Sequence[str]) -> str:
    """The text before the first stop string."""
    ends = [text.find(s) for s in stops if s in text]
    return text[: min(ends)] if ends else text
