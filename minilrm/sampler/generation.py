"""`generate`: completions of prompts, the one function that most callers need.

**What is guaranteed.** With the same seed, `workers` and number of threads, on one machine, a
call gives the same completions bit for bit, whichever processes take part and whatever becomes of
them. Between other choices of `workers` and threads, completions are the same but for rounding:
products over batches of another size round differently, so log-probabilities differ (by about 1e-6
in float32, by some hundredths in bfloat16). Where a row's random number lies that close to the
border between two tokens (at temperature 0: where two logits are that close), the row takes the
other token, and goes on from there.
"""

from collections.abc import Sequence
from typing import Literal

import torch

from minilrm import machine
from minilrm.model import Transformer
from minilrm.sampler.decoding import Completion, Sampling, decode
from minilrm.sampler.engine import Engine
from minilrm.sampler.hooks import Allowed, Hooks, Intervene, Stream
from minilrm.sampler.workers import Workers, beside_this
from minilrm.tokenizer import ForeignTokenizer, Tokenizer

WORTH_SHARING = 64  # fewer rows are decoded sooner by one process than they are shared out
WORTH_SENDING = 16  # fewer tokens per row are decoded sooner than a model is sent


def generate(
    model: Transformer | Engine,
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
    allowed: Allowed | None = None,
    intervene: Intervene | None = None,
    stream: Stream | None = None,
    dtype: torch.dtype | None = None,
    workers: Workers | Literal["auto"] | None = "auto",
    places: Sequence[int] | None = None,
) -> list[list[Completion]]:
    """`n` completions for each prompt (a text, or token ids). A text never makes a special token:
    for a task's own texts that hold solved examples, pass `task.encode(tokenizer, text)`.

    model: a model, or an `Engine` of it, which saves many small calls the laying out of weights.
    temperature 0 is greedy. top_p, top_k: sample from the smallest set of tokens that holds this
    much probability / of this size. stop: the completion ends before the first of these strings.
    dtype: precision to decode in; None is the model's (or the engine's) own.

    The hooks get the row (prompt index * n + completion index) and the ids after the prompt so far:
    `allowed` bans or forces ids for the next token; `intervene` returns ids that are appended
    without being sampled (they pass through the same batch and get mask 0); `stream` is told every
    new (row, id, sampled).

    workers: processes that take a share of the rows. "auto": those of this session, where they are
    faster: on a CPU with several threads, for many rows (`shared_by`); None: none. With hooks there
    are none, since hooks cannot reach into them. Whether completions depend on it is said at the
    head of this file. places: of a share of a larger job, each prompt's number in the whole: it is
    completed as it would be there (None: this is the whole).

    Raises ValueError for an empty prompt, for options out of range, and where prompt and completion
    exceed the context. With the shipped gsm8k-mini-base:

    >>> prompts = ["Question: What is 2 + 2?\\nAnswer: Let's think step by step.\\n"]
    >>> generate(model, tokenizer, prompts, max_new_tokens=40, temperature=0)[0][0].text
    '<<2+2=4>>4\\n#### 4'
    """
    if isinstance(prompts, str) or isinstance(stop, str):
        raise ValueError("prompts and stop are lists of texts")
    how = Sampling(n, max_new_tokens, temperature, top_p, top_k, seed, tuple(stop))
    hooks = Hooks(tokenizer, how.stop, allowed, intervene, stream)
    ids = [tokenizer.encode(p) if isinstance(p, str) else list(p) for p in prompts]
    engine = model if isinstance(model, Engine) else Engine(model, dtype)
    check_room(ids, engine, how, dtype)
    helpers = shared_by(workers, engine, hooks, len(ids) * n, max_new_tokens)
    if helpers is None:
        return decode(engine, tokenizer, ids, how, hooks, places=places)
    return helpers.decode(engine, tokenizer, ids, how, places)


def check_room(
    prompts: Sequence[Sequence[int]], engine: Engine, how: Sampling, dtype: torch.dtype | None
) -> None:
    """ValueError where a prompt is empty or leaves no room, and for an engine of another dtype."""
    if dtype not in (None, engine.dtype):
        raise ValueError(f"this engine decodes in {engine.dtype}, not in {dtype}; make another one")
    longest, context = max(map(len, prompts), default=1), engine.model.config.max_seq_len
    if min(map(len, prompts), default=1) == 0:
        raise ValueError("an empty prompt: there is nothing to go on from")
    if longest + how.max_new_tokens > context:
        raise ValueError(
            f"a prompt of {longest} tokens and {how.max_new_tokens} new ones exceed the context of "
            f"{context}"
        )


def shared_by(
    workers: Workers | str | None, engine: Engine, hooks: Hooks, rows: int, tokens: int
) -> Workers | None:
    """The processes that take a share of a job of so many rows of so many tokens; None where it is
    done here alone. Decided by the arguments and the number of threads alone, never by what is
    faster at the moment, so that a call can be repeated bit for bit."""
    if isinstance(workers, str) and workers != "auto":
        raise ValueError(f'workers is "auto", None, or a Workers, not {workers!r}')
    if hooks.asked or rows < WORTH_SHARING or isinstance(hooks.tokenizer, ForeignTokenizer):
        return None  # a model of another project is too large to be sent with each call
    if not isinstance(workers, str):
        return workers
    # A worker builds model and tokenizer anew from what they are made of: it would not know what
    # a class of the caller's own changes.
    known = type(engine.model) is Transformer and type(hooks.tokenizer) is Tokenizer
    if not known or tokens < WORTH_SENDING:
        return None
    return beside_this(engine.device, most=machine.MOST_THREADS)
