"""Batched generation with a key-value cache.

Each prompt is prefilled once and shared by its `n` completions; the cache is allocated once; rows that have finished
leave the batch. Every row owns its random numbers, so what it says depends on the seed, its prompt and its place alone,
not on which other rows are still running or how the work was split into batches.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minilrm.model import KVCache, Transformer
from minilrm.tokenizer import Tokenizer


@dataclass(frozen=True)
class Completion:
    """What followed one prompt.

    text: everything, inserted text included. sampled_text: only what the model itself said; graders see this one.
    token_ids: all tokens after the prompt, the end-of-text token included. mask: 1 where the model sampled the token,
    0 where it was inserted. logprobs: under the distribution that was sampled, temperature and bans included; 0 where
    inserted (and at temperature 0, where nothing is left to chance). finish_reason: eos | stop | length | tool_error.
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


MAX_ROWS = 512  # rows decoded at once; more are done in turn, to bound memory


def generate(
    model: Transformer, tokenizer: Tokenizer, prompts: Sequence[str | Sequence[int]], *, n: int = 1,
    max_new_tokens: int, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0, seed: int | None = None,
    stop: Sequence[str] = (),
    allowed: Callable[[int, list[int]], Ban | Force | None] | None = None,
    intervene: Callable[[int, list[int]], Sequence[int] | None] | None = None,
    stream: Callable[[int, int, bool], None] | None = None, dtype: torch.dtype | None = None,
) -> list[list[Completion]]:
    """`n` completions for each prompt (a text, or token ids).

    temperature 0 is greedy. top_p, top_k: sample from the smallest set of tokens that holds this much probability / of
    this size. stop: the completion ends before the first of these strings. The hooks get the row (prompt index * n +
    completion index) and the ids after the prompt so far: `allowed` bans or forces ids for the next token; `intervene`
    returns ids that are appended without being sampled (they pass through the same batch and get mask 0); `stream` is
    told every new (row, id, sampled). dtype: precision to decode in; None is the model's own.

    Raises ValueError for an empty prompt, for options out of range, and where prompt and completion exceed the context.
    With a trained model:

    >>> generate(model, tokenizer, ["Question: What is 2 + 2?\\nAnswer:"], max_new_tokens=8, temperature=0)[0][0].text
    ' #### 4'
    """
    if not temperature >= 0 or not 0 < top_p <= 1 or top_k < 0 or n < 1 or max_new_tokens < 1:  # "not": NaN fails too
        raise ValueError("need temperature >= 0, 0 < top_p <= 1, top_k >= 0, n >= 1, max_new_tokens >= 1")
    if isinstance(prompts, str) or isinstance(stop, str) or "" in stop:
        raise ValueError("prompts and stop are lists of texts, and no stop string is empty")
    prompt_ids = [tokenizer.encode(p) if isinstance(p, str) else list(p) for p in prompts]
    longest = max(map(len, prompt_ids), default=1)
    if min(map(len, prompt_ids), default=1) == 0:
        raise ValueError("an empty prompt: there is nothing to go on from")
    if longest + max_new_tokens > model.config.max_seq_len:
        raise ValueError(f"a prompt of {longest} tokens and {max_new_tokens} new ones exceed the context of "
                         f"{model.config.max_seq_len}")
    hooks = Hooks(tokenizer, tuple(stop), allowed, intervene, stream)
    picker = Picker(temperature, top_p, top_k)
    noise = uniform_noise(len(prompt_ids) * n, max_new_tokens, seed) if temperature > 0 else None
    device = next(model.parameters()).device
    if dtype is not None and next(model.parameters()).dtype != dtype:
        model = copy.deepcopy(model).to(dtype)
    per_batch = max(1, MAX_ROWS // n)
    results: list[list[Completion]] = []
    with torch.inference_mode():
        for start in range(0, len(prompt_ids), per_batch):
            part = prompt_ids[start:start + per_batch]
            rows = slice(start * n, (start + len(part)) * n)
            u = noise[rows].to(device) if noise is not None else None
            done = Decoder(model, part, n, max_new_tokens, picker, hooks, u, first_row=start * n).run()
            results += [done[i * n:(i + 1) * n] for i in range(len(part))]
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
        """logits [B, V] and uniform numbers u [B] -> token ids [B] and their log-probabilities [B]."""
        if self.temperature == 0:
            return logits.argmax(-1), torch.zeros(len(logits), device=logits.device)
        logprobs = torch.log_softmax(logits.float() / self.temperature, dim=-1)
        if self.top_k or self.top_p < 1:
            logprobs = truncate(logprobs, self.top_p, self.top_k)
        ids = inverse_cdf(logprobs.exp(), u)
        return ids, logprobs.gather(1, ids[:, None]).squeeze(1)


def truncate(logprobs: Tensor, top_p: float, top_k: int) -> Tensor:
    """Keep the top k tokens and, of those, the smallest set that holds top_p; renormalise. [B, V] -> [B, V]."""
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
    """Sample one id a row: the first whose cumulative probability exceeds u. probs [B, V], u [B] -> [B]."""
    cdf = probs.cumsum(-1)
    # Scaling u by the total keeps rounding in the sum from ever picking an id of probability 0 at the end.
    return torch.searchsorted(cdf, (u[:, None] * cdf[:, -1:]).contiguous(), right=True).squeeze(1).clamp_(
        max=probs.shape[1] - 1)


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
        tail = self.tokenizer.decode(ids[-longest - 1:]) if longest else ""
        return any(s in tail for s in self.stop)


class Decoder:
    """One batch: len(prompts) * n rows decoded together, a column at a time."""

    def __init__(self, model: Transformer, prompts: list[list[int]], n: int, max_new: int, picker: Picker, hooks: Hooks,
                 u: Tensor | None, first_row: int):
        self.model, self.max_new, self.picker, self.hooks = model, max_new, picker, hooks
        self.u, self.first_row = u, first_row
        self.eos = hooks.tokenizer.eos_id
        parameter = next(model.parameters())
        self.device, rows = parameter.device, len(prompts) * n
        self.lengths = torch.tensor([len(p) for p in prompts], device=self.device).repeat_interleave(n)
        self.cache, self.logits = prefill(model, prompts, n, max_new)
        self.live = torch.arange(rows, device=self.device)  # the row that each line of the batch belongs to
        self.done = torch.zeros(rows, dtype=torch.bool, device=self.device)
        self.ids = torch.zeros(rows, max_new, dtype=torch.long, device=self.device)
        self.logprobs = torch.zeros(rows, max_new, device=self.device)
        self.mask = torch.zeros(rows, max_new, dtype=torch.long, device=self.device)
        self.counts = torch.zeros(rows, dtype=torch.long, device=self.device)
        self.reasons = ["length"] * rows
        self.inserted: dict[int, list[int]] = {}  # row -> ids still to be fed

    def run(self) -> list[Completion]:
        for t in range(self.max_new):
            new, logp = self.picker(self.constrain(self.logits, t), None if self.u is None else self.u[self.live, t])
            sampled = torch.ones_like(new)
            self.feed_inserted(new, logp, sampled)
            self.record(t, new, logp, sampled)
            self.watch(t, new, sampled)
            if not self.shrink() or t + 1 == self.max_new:
                break
            new = self.ids[self.live, t]
            positions = (self.lengths[self.live] + t)[:, None]
            hidden = self.model.hidden(new[:, None], positions=positions, cache=self.cache)
            self.logits = self.model.lm_head(hidden[:, -1])
        return self.completions()

    def constrain(self, logits: Tensor, t: int) -> Tensor:
        """Apply the `allowed` hook: banned ids get probability 0 before anything else is computed.

        It is not asked where nothing will be sampled: in rows that are done, or have inserted text waiting.
        """
        if self.hooks.allowed is None:
            return logits
        logits = logits.clone()
        for line, row in enumerate(self.live.tolist()):
            if self.done[row] or self.inserted.get(row):
                continue
            rule = self.hooks.allowed(self.first_row + row, self.so_far(row, t))
            if isinstance(rule, Ban):
                logits[line, list(rule.ids)] = float("-inf")
            elif isinstance(rule, Force):
                kept = logits[line, list(rule.ids)].clone()
                logits[line] = float("-inf")
                logits[line, list(rule.ids)] = kept
            elif rule is not None:
                raise TypeError(f"the `allowed` hook answers Ban, Force or None, not {type(rule).__name__}")
        if logits.amax(-1).isneginf().any():
            raise ValueError("the `allowed` hook left a row no token to sample")
        return logits

    def feed_inserted(self, new: Tensor, logp: Tensor, sampled: Tensor) -> None:
        """Rows with inserted text waiting take its next token instead of the sampled one."""
        for line, row in enumerate(self.live.tolist() if self.inserted else ()):
            queue = self.inserted.get(row)
            if queue:
                new[line], logp[line], sampled[line] = queue.pop(0), 0.0, 0

    def record(self, t: int, new: Tensor, logp: Tensor, sampled: Tensor) -> None:
        running = ~self.done[self.live]
        rows = self.live[running]
        self.ids[self.live, t] = new  # finished lines that still sit in the batch need some id; never read back
        self.logprobs[rows, t] = logp[running]
        self.mask[rows, t] = sampled[running]
        self.counts[rows] += 1
        ended = running & (new == self.eos) & (sampled == 1)
        for row in self.live[ended].tolist():
            self.reasons[row] = "eos"
        self.done[self.live[ended]] = True

    def watch(self, t: int, new: Tensor, sampled: Tensor) -> None:
        """Hooks that look at a row after its new token: streaming, stop strings, interventions."""
        hooks = self.hooks
        if not (hooks.stream or hooks.stop or hooks.intervene):
            return
        for line, row in enumerate(self.live.tolist()):
            if int(self.counts[row]) != t + 1:  # finished before
                continue
            if hooks.stream:
                hooks.stream(self.first_row + row, int(new[line]), bool(sampled[line]))
            if self.done[row]:
                continue
            if hooks.stop and hooks.stopped(self.so_far(row, t + 1)):
                self.finish(row, "stop")
            elif hooks.intervene and not self.inserted.get(row):
                self.ask(row, t)

    def ask(self, row: int, t: int) -> None:
        try:
            extra = self.hooks.intervene(self.first_row + row, self.so_far(row, t + 1))
        except ToolError:
            self.finish(row, "tool_error")
            return
        if extra:
            self.inserted[row] = list(extra)

    def finish(self, row: int, reason: str) -> None:
        self.done[row], self.reasons[row] = True, reason

    def so_far(self, row: int, t: int) -> list[int]:
        return self.ids[row, :t].tolist()

    def shrink(self) -> bool:
        """Take finished rows out of the batch, once they are an eighth of it. False when no row is left."""
        finished = self.done[self.live]
        count = int(finished.sum())
        if count == len(self.live):
            return False
        if count * 8 >= len(self.live):
            keep = (~finished).nonzero().squeeze(1)
            self.live = self.live[keep]
            self.cache.keep(keep)
        return True

    def completions(self) -> list[Completion]:
        decode, out = self.hooks.tokenizer.decode, []
        table = zip(self.ids.tolist(), self.mask.tolist(), self.logprobs.tolist(), self.counts.tolist(), self.reasons,
                    strict=True)
        for ids, mask, logprobs, count, reason in table:
            ids, mask, logprobs = ids[:count], mask[:count], logprobs[:count]
            body = ids[:-1] if reason == "eos" else ids
            text = decode(body)
            spoken = text if all(mask) else decode([i for i, m in zip(body, mask, strict=False) if m])
            if reason == "stop":
                text, spoken = (cut(x, self.hooks.stop) for x in (text, spoken))
            out.append(Completion(text, spoken, ids, mask, logprobs, reason))
        return out


def cut(text: str, stops: Sequence[str]) -> str:
    """The text before the first stop string."""
    ends = [text.find(s) for s in stops if s in text]
    return text[:min(ends)] if ends else text


def prefill(model: Transformer, prompts: list[list[int]], n: int, max_new: int) -> tuple[KVCache, Tensor]:
    """Read every prompt once; return a cache with `n` rows a prompt and room for `max_new` columns, and the logits.

    Prompts are padded at the right: causal attention then needs no mask, since no token sees what comes after it.
    Decoding goes on in the column after the longest prompt; the gap behind a shorter one is marked invisible.
    """
    parameter = next(model.parameters())
    place = {"dtype": parameter.dtype, "device": parameter.device}
    width = max(map(len, prompts))
    ids = torch.zeros(len(prompts), width, dtype=torch.long, device=parameter.device)
    for i, p in enumerate(prompts):
        ids[i, :len(p)] = torch.tensor(p)
    small = KVCache(model.config, len(prompts), width, **place)
    hidden = model.hidden(ids, cache=small)
    lengths = torch.tensor([len(p) for p in prompts], device=parameter.device)
    last = hidden[torch.arange(len(prompts), device=parameter.device), lengths - 1]
    cache = KVCache(model.config, len(prompts) * n, width + max_new, **place)
    cache.k.unflatten(1, (-1, n))[..., :width, :] = small.k.unsqueeze(2)  # into place, without a copy in between
    cache.v.unflatten(1, (-1, n))[..., :width, :] = small.v.unsqueeze(2)
    column = torch.arange(width + max_new, device=parameter.device)
    cache.visible = ((column < lengths[:, None]) | (column >= width)).repeat_interleave(n, dim=0)
    cache.length = width
    return cache, model.lm_head(last).repeat_interleave(n, dim=0)
