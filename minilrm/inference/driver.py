"""Answers the requests of many runs at once.

Every run is a generator (`requests.py`). In each turn the driver takes one request of every run
that still goes on, writes them all in a few batches, has the verifier read what it should, charges
the budgets, and sends every run its pieces.

The k-th piece that is written in answer to one request about one problem is always the same,
whichever method asks: its random numbers come from (seed, problem, request, k) alone. So two
methods that draw chains draw the same ones, the difference between them is theirs and not the
dice's, and a piece that another run has already had is not written twice. It is charged all the
same.
"""

import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from minilrm.inference.requests import Answer, Method, Piece, Run, Write
from minilrm.sampler.decoding import Batch, Completion, rows_at_once
from minilrm.sampler.engine import Engine
from minilrm.sampler.hooks import Hooks
from minilrm.sampler.picking import Picker
from minilrm.scorers import Scorer, step_enders
from minilrm.tasks.base import Problem, Task, problem_rng
from minilrm.tasks.frames import language
from minilrm.tokenizer import Tokenizer

FEW_SHOT, SHOTS = "few_shot", 2  # the style, and how many solved problems it shows
Ask = tuple[int, Write, int]  # the problem's number, what was asked, for which time


@dataclass(frozen=True)
class StepHooks(Hooks):
    """Rows stop behind a token that ends a step. ends [V]: whether a token does."""

    ends: Sequence[bool] = ()

    def stopped(self, ids: list[int]) -> bool:
        return self.ends[ids[-1]]

    def cut(self, text: str) -> str:
        return text


@dataclass
class Prompts:
    """The prompts of the problems, by the way in which they are asked, as token ids. room: for a
    prompt with its solved examples."""

    task: Task
    tokenizer: Tokenizer
    problems: Sequence[Problem]
    room: int
    known: dict[tuple[int, str], tuple[int, ...]] = field(default_factory=dict)

    def ids(self, i: int, request: Write) -> tuple[int, ...]:
        """The prompt of problem `i` and what stands behind it already."""
        if (i, request.style) not in self.known:
            self.known[i, request.style] = self.asked(self.problems[i], request.style)
        return (*self.known[i, request.style], *request.ids)

    def asked(self, problem: Problem, style: str) -> tuple[int, ...]:
        """A prompt; in the style of few shots with at most SHOTS solved problems that fit."""
        examples = worked_examples(self.task, language(problem)) if style == FEW_SHOT else ()
        while True:
            text = self.task.render(problem, style, examples)
            ids = tuple(self.task.encode_prompt(self.tokenizer, text))
            if len(ids) <= self.room or not examples:
                return ids
            examples = examples[1:]

    def name(self, ask: Ask) -> Any:
        """What a piece is called, whichever run asks for it."""
        i, request, k = ask
        return self.problems[i].prompt, request, k


@dataclass
class Driver:
    """An engine, a task and a verifier, that answer runs.

    scorer: the verifier; None where no method asks for one. seed: of all random numbers. written,
    judged: what has been written and read before, kept for all runs of this driver.
    """

    engine: Engine
    tokenizer: Tokenizer
    task: Task
    scorer: Scorer | None = None
    seed: int = 0
    written: dict[Any, Piece] = field(default_factory=dict)
    judged: dict[Any, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ends_step = step_enders(self.task, self.tokenizer)

    def solve(
        self,
        method: Callable[..., Method],
        problems: Sequence[Problem],
        budget: int | Sequence[int],
        **options: Any,
    ) -> list[Answer]:
        """An answer of the method to each problem, none for more than the budget (of each, or one
        for all): tokens written and read by the verifier together.

        options: the method's own. ValueError for a budget below 1.
        """
        budgets = [budget] * len(problems) if isinstance(budget, int) else list(budget)
        if any(b < 1 for b in budgets):
            raise ValueError("a budget is at least one token")
        started = time.perf_counter()
        runs = [
            Run(self.task, self.tokenizer, p, b) for p, b in zip(problems, budgets, strict=True)
        ]
        room = self.engine.model.config.max_seq_len - self.task.max_new_tokens
        prompts = Prompts(self.task, self.tokenizer, problems, room)
        methods = [method(run, **options) for run in runs]
        answers: dict[int, Answer] = {}
        waiting: dict[int, Write] = {}
        for i, generator in enumerate(methods):
            advance(i, generator, None, waiting, answers)
        while waiting:
            asked, waiting = waiting, {}
            pieces = self.write(asked, runs, prompts)
            for i in asked:
                advance(i, methods[i], pieces[i], waiting, answers)
        seconds = time.perf_counter() - started
        return [replace(answers[i], seconds=seconds) for i in range(len(problems))]

    # -- one turn ----------------------------------------------------------------------------------

    def write(
        self, asked: dict[int, Write], runs: Sequence[Run], prompts: Prompts
    ) -> dict[int, list[Piece]]:
        """The pieces of one request of each run, charged to it."""
        asks = {i: numbered(i, request, runs[i]) for i, request in asked.items()}
        every = [ask for of_run in asks.values() for ask in of_run]
        missing = [a for a in dict.fromkeys(every) if prompts.name(a) not in self.written]
        for ask, piece in zip(missing, self.decode(missing, prompts), strict=True):
            self.written[prompts.name(ask)] = piece
        self.judge([a for a in every if asked[a[0]].judge], prompts)
        reads = self.scorer is not None and self.scorer.reads
        return {
            i: charge(
                runs[i],
                [self.written[prompts.name(ask)] for ask in of_run],
                [self.judged.get(prompts.name(ask), ()) for ask in of_run],
                2 if reads and asked[i].judge else 1,
                self.tokenizer,
            )
            for i, of_run in asks.items()
        }

    def decode(self, asks: Sequence[Ask], prompts: Prompts) -> list[Piece]:
        """Write pieces, in batches of one temperature and of one kind of end."""
        pieces: dict[int, Piece] = {}
        kinds: dict[Any, list[int]] = {}
        for place, (_, request, _) in enumerate(asks):
            if len(request.ids) >= self.task.max_new_tokens:  # "wait" was put in at the very end
                text = self.tokenizer.decode(list(request.ids))
                pieces[place] = Piece(request.ids, text, 0, 0.0, (), "length")
                continue
            kind = request.temperature, request.steps, request.style == FEW_SHOT
            kinds.setdefault(kind, []).append(place)
        with torch.inference_mode():
            for places in kinds.values():
                # alike long together, so that few columns are padding
                places.sort(key=lambda p: len(prompts.ids(*asks[p][:2])))
                longest = len(prompts.ids(*asks[places[-1]][:2])) + self.task.max_new_tokens
                at_once = rows_at_once(self.engine, longest)
                for start in range(0, len(places), at_once):
                    part = places[start : start + at_once]
                    batch = self.batch([asks[p] for p in part], prompts)
                    pieces |= dict(zip(part, batch, strict=True))
        return [pieces[place] for place in range(len(asks))]

    def batch(self, asks: Sequence[Ask], prompts: Prompts) -> list[Piece]:
        """Pieces that are written side by side. Rows with one prefix read it once and fork it."""
        temperature, steps, style = (
            getattr(asks[0][1], name) for name in ("temperature", "steps", "style")
        )
        prefixes = [prompts.ids(i, request) for i, request, _ in asks]
        distinct = list(dict.fromkeys(prefixes))
        cache, logits = self.engine.prefill(distinct)
        place = {prefix: row for row, prefix in enumerate(distinct)}
        rows = torch.tensor([place[prefix] for prefix in prefixes], device=logits.device)
        room = [self.task.max_new_tokens - len(request.ids) for _, request, _ in asks]
        u = None
        if temperature > 0:
            noise = [self.noise(prompts.name(ask), max(room)) for ask in asks]
            u = torch.stack(noise).to(logits.device)
        hooks = (
            StepHooks(self.tokenizer, (" ",), ends=self.ends_step)
            if steps
            # Behind its answer the model would go on with a question of its own.
            else Hooks(self.tokenizer, (self.task.separator,) if style == FEW_SHOT else ())
        )
        batch = Batch(self.engine, cache.fork(rows), max(room), Picker(temperature), hooks, u, 0)
        return [
            piece_of(request, completion, most, self.tokenizer)
            for (_, request, _), completion, most in zip(
                asks, batch.run(logits[rows]), room, strict=True
            )
        ]

    def noise(self, name: Any, steps: int) -> Tensor:
        """The random numbers of a piece [steps], from its name alone."""
        key = hashlib.blake2b(repr((self.seed, name)).encode(), digest_size=16).digest()
        generator = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
        return torch.from_numpy(generator.random(steps, np.float32))

    def judge(self, asks: Sequence[Ask], prompts: Prompts) -> None:
        """Have the verifier read those pieces that it has not read yet, all together."""
        if self.scorer is None:
            return
        fresh = {prompts.name(a): a for a in asks if prompts.name(a) not in self.judged}
        rows = [(prompts.problems[a[0]], self.written[name]) for name, a in fresh.items()]
        self.judged |= dict(zip(fresh, self.scorer(rows), strict=True))


# -- pure pieces -----------------------------------------------------------------------------------


def advance(
    i: int,
    method: Method,
    pieces: list[Piece] | None,
    waiting: dict[int, Write],
    answers: dict[int, Answer],
) -> None:
    """Send a run its pieces (None: begin): it asks for more, or has its answer."""
    try:
        waiting[i] = next(method) if pieces is None else method.send(pieces)
    except StopIteration as ended:
        answers[i] = ended.value


def numbered(i: int, request: Write, run: Run) -> list[Ask]:
    """The pieces that are wanted, each with its number among all that one request has had."""
    alike = replace(request, n=1, judge=False)
    first = run.drawn.get(alike, 0)
    run.drawn[alike] = first + request.n
    return [(i, alike, k) for k in range(first, first + request.n)]


def charge(
    run: Run,
    pieces: Sequence[Piece],
    scores: Sequence[tuple[float, ...]],
    price: int,
    tokenizer: Tokenizer,
) -> list[Piece]:
    """Pay for the pieces in turn, `price` for each token: 1 for its writing, and 1 where the
    verifier reads it. The piece in which the budget ends is cut there and has no score; those
    behind it were never asked for."""
    paid: list[Piece] = []
    for piece, score in zip(pieces, scores, strict=True):
        affordable = run.left // price
        if affordable <= 0:
            if not paid:  # a token that cannot be read is not worth writing
                run.tokens += run.left
                paid.append(
                    replace(
                        piece, ids=piece.ids[: len(piece.ids) - piece.new], new=0, finish="budget"
                    )
                )
            break
        run.calls += 1
        new = min(piece.new, affordable)
        run.tokens += new
        run.verifier_tokens += (price - 1) * new
        if new == piece.new:
            paid.append(replace(piece, scores=score))
            continue
        ids = piece.ids[: len(piece.ids) - piece.new + new]
        paid.append(Piece(ids, tokenizer.decode(list(ids)), new, 0.0, (), "budget"))
        run.tokens += run.left if run.left < price else 0
        break
    return paid


def piece_of(request: Write, completion: Completion, most: int, tokenizer: Tokenizer) -> Piece:
    """What was written, as a piece of at most `most` new tokens."""
    new, finish = completion.token_ids[:most], completion.finish_reason
    if len(completion.token_ids) > most:
        finish = "length"
    ids = (*request.ids, *new)
    body = ids[:-1] if finish == "eos" else ids
    if finish == "stop":
        finish = "step" if request.steps else "eos"
    text = tokenizer.decode(list(body))
    return Piece(ids, text, len(new), sum(completion.logprobs[:most]), (), finish)


@functools.cache
def worked_examples(task: Task, language_: str) -> tuple[tuple[Problem, str], ...]:
    """The shortest of some solved training problems in a language, the same ones for all."""
    drawn = [problem_rng(0, k, "few-shot") for k in range(60)]
    solved = [(p, task.solution(p, rng)) for rng in drawn for p in [task.sample(rng, "train")]]
    own = [pair for pair in solved if language(pair[0]) == language_] or solved
    return tuple(sorted(own, key=lambda pair: len(pair[0].prompt + pair[1]))[:SHOTS])
