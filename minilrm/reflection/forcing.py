"""Reflection put in by hand: the baseline that any training of it must beat.

`force` inserts `AGAIN` ("\\nwait, ") behind each rejected attempt while the model decodes, so that
it tries again whether it wants to or not. Nothing of the model changes. This is budget forcing
(s1, arXiv 2501.19393) at the one place where a retry can help.

`without_repeats` does the same and refuses an attempt that equals an earlier one of its answer: it
is drawn again until it is new. By rejection, attempts come from the model's own distribution given
that they are new. So the two differ in nothing but repeats.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch

from minilrm.model import Transformer
from minilrm.rollout import Episode, episode, rollout
from minilrm.sampler import Completion, Engine, generate
from minilrm.sampler.hooks import Intervene
from minilrm.tasks.base import Problem
from minilrm.tasks.traces import ACCEPT, AGAIN, REJECT, TracedTask
from minilrm.tokenizer import Tokenizer

LONGEST = 96  # tokens of one attempt, at most: those of both tasks have fewer than 70
AT_ONCE = 8  # draws side by side of an attempt that has been refused: fewer rounds, same odds
REDRAWN = 4 * AT_ONCE  # draws of one attempt besides the first, at most; then a repeat is kept


def insert_again(tokenizer: Tokenizer) -> Intervene:
    """An `intervene` hook for `sampler.generate`: behind " no" it appends "\\nwait, "."""
    again, verdict = tokenizer.encode(AGAIN), f" {REJECT}"

    def intervene(row: int, ids: list[int]) -> list[int]:
        # " no" is one token, or two where a model spells it so
        return again if tokenizer.decode(ids[-2:]).endswith(verdict) else []

    return intervene


def force(
    model: Transformer,
    tokenizer: Tokenizer,
    task: TracedTask,
    problems: Sequence[Problem],
    *,
    max_new_tokens: int,
    seed: int,
    temperature: float = 1.0,
    dtype: torch.dtype | None = None,
) -> list[list[Episode]]:
    """An answer to each problem in which every rejected attempt is followed by another one.

    The episodes' `text` holds what was inserted, so that the trace can be read; the grade is of
    what the model said itself. `completion_ids` are all tokens, `length` those it chose.
    """
    groups = rollout(
        model,
        tokenizer,
        task,
        problems,
        max_new_tokens=max_new_tokens,
        seed=seed,
        temperature=temperature,
        dtype=dtype,
        intervene=insert_again(tokenizer),
    )
    return [[replace(e, text=whole_text(tokenizer, e)) for e in group] for group in groups]


def whole_text(tokenizer: Tokenizer, e: Episode) -> str:
    """All that stands behind the prompt, inserted text included, without the end-of-text token."""
    ids = e.completion_ids
    return tokenizer.decode(ids[:-1] if e.finish_reason == "eos" else ids)


# -- attempt by attempt ----------------------------------------------------------------------------


@dataclass
class Answer:
    """An answer that grows attempt by attempt.

    ids, mask, logprobs: as in `sampler.Completion`, [T] each. tried: the contents of its attempts,
    in order. draws: how often the present attempt was drawn. refused: tokens of attempts that were
    thrown away. ended: "eos" or "length", or "" while it goes on.
    """

    problem: Problem
    prompt: list[int]
    ids: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    draws: int = 0
    refused: int = 0
    ended: str = ""

    def add(self, ids: Sequence[int], logprobs: Sequence[float], sampled: bool) -> None:
        self.ids += ids
        self.mask += [int(sampled)] * len(ids)
        self.logprobs += logprobs

    def cut(self, limit: int) -> None:
        """At most so many tokens."""
        if len(self.ids) >= limit:
            self.ended = self.ended if len(self.ids) == limit and self.ended else "length"
            self.ids, self.mask = self.ids[:limit], self.mask[:limit]
            self.logprobs = self.logprobs[:limit]


def without_repeats(
    model: Transformer,
    tokenizer: Tokenizer,
    task: TracedTask,
    problems: Sequence[Problem],
    *,
    max_new_tokens: int,
    seed: int,
    temperature: float,
    dtype: torch.dtype | None = None,
) -> tuple[list[Episode], list[int]]:
    """(an answer to each problem as by `force`, none of whose attempts equals an earlier one;
    tokens of the attempts that were refused, answer by answer).

    An attempt that is drawn again `REDRAWN` times and never new is kept. At temperature 0 there is
    nothing to draw again: ValueError.
    """
    if temperature <= 0:
        raise ValueError("at temperature 0 a repeated attempt would be repeated for ever")
    engine = Engine(model, dtype)
    answers = [Answer(p, task.encode_prompt(tokenizer, task.render(p))) for p in problems]
    turn = 0
    while going := [a for a in answers if not a.ended]:
        fresh, refused = [a for a in going if not a.draws], [a for a in going if a.draws]
        for n, rows in ((1, fresh), (AT_ONCE, refused)):
            pieces = generate(
                engine,
                tokenizer,
                [a.prompt + a.ids for a in rows],
                n=n,
                max_new_tokens=LONGEST,
                temperature=temperature,
                seed=seed * 100_003 + turn,
                stop=(f" {ACCEPT}", f" {REJECT}"),
            )
            turn += 1
            for answer, candidates in zip(rows, pieces, strict=True):
                # the first that is taken, as if they had been drawn one by one
                any(take(answer, piece, task, tokenizer) for piece in candidates)
                answer.cut(max_new_tokens)
    finished = [episode_of(answer, task, tokenizer) for answer in answers]
    return finished, [answer.refused for answer in answers]


def take(answer: Answer, piece: Completion, task: TracedTask, tokenizer: Tokenizer) -> bool:
    """Append a piece to its answer, or refuse it if its attempt was made before; whether it was
    taken."""
    text = tokenizer.decode([*answer.ids, *piece.token_ids])
    attempts = task.parse_trace(text).attempts
    judged = [a.content for a in attempts if a.accepted is not None]
    fresh = judged[len(answer.tried) :]
    repeats = piece.finish_reason == "stop" and any(content in answer.tried for content in fresh)
    if repeats and answer.draws < REDRAWN:
        answer.draws += 1
        answer.refused += len(piece.token_ids)
        return False
    answer.draws = 0
    answer.tried += fresh
    answer.add(piece.token_ids, piece.logprobs, sampled=True)
    if piece.finish_reason == "eos":
        answer.ended = "eos"
    elif text.endswith(f" {REJECT}"):
        again = tokenizer.encode(AGAIN)
        answer.add(again, [0.0] * len(again), sampled=False)
    return True


def episode_of(answer: Answer, task: TracedTask, tokenizer: Tokenizer) -> Episode:
    """The finished answer, graded as any other."""
    body = answer.ids[:-1] if answer.ended == "eos" else answer.ids
    spoken = [i for i, sampled in zip(body, answer.mask, strict=False) if sampled]
    completion = Completion(
        tokenizer.decode(body),
        tokenizer.decode(spoken),
        answer.ids,
        answer.mask,
        answer.logprobs,
        answer.ended,
    )
    graded = episode(task, answer.problem, answer.prompt, completion)
    return replace(graded, text=completion.text)
