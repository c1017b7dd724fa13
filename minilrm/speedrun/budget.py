"""The recipe of the record table: what a budget of minutes buys, on two cores, from random weights.

    measure how fast this machine writes documents and reads them
    write as many documents as can be read once                     90 % of the time: pretrain
    GRPO, until the time is over                                     the rest

Nothing is planned in steps. Both trainers are asked by the clock how far they are (`ByTheClock`):
so the learning rate of pretraining falls to 0 when its time is over, however fast the machine is
and whatever else it does, and GRPO fills what is left. GRPO can, because its learning rate does not
ask how long the run will be.

All documents teach what the table asks for: worked solutions in the frame of a plain question, bare
sums, and pages on which one only writes down who has what. The web in miniature, from which
`stories-base` learnt, spends half of its tokens on other things.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from minilrm import checkpoint, corpus, grpo, loop, machine, pretrain
from minilrm.checkpoint import newest_valid
from minilrm.model import SCALES, Transformer
from minilrm.optim import Guard, pretraining_optimizers, set_lr
from minilrm.progress import Interrupt
from minilrm.runlog import RunLog
from minilrm.tokenizer import Tokenizer

TASK = "stories"
#: The shares of the kinds of documents (corpus/web.py says what each is).
MIX: Mapping[str, float] = {"steps": 0.66, "reading": 0.18, "drill": 0.16}
PRETRAINING = 0.9  # share of the time; GRPO has the rest
RESERVE = 12  # seconds at the end: to save, to draw the page, to write the model out
BATCH = 4096  # tokens of a step of pretraining
NEVER = 10**9  # steps: nothing is measured on the way, for the clock runs
SAMPLE, WARM_STEPS, MEASURED_SECONDS = 300, 4, 8.0  # documents; steps; how long reading is timed


# -- trainers that look at the clock ---------------------------------------------------------------


class ByTheClock(loop.Trainer):
    """A trainer whose goal is a time, and who is as far as the clock is. A step is begun only if
    there is time for one as long as the longest so far."""

    def __init__(self, options: Any, ends: float):
        """ends: when to stop, by `time.monotonic()`."""
        super().__init__(options)
        self.begins, self.ends, self.longest = time.monotonic(), ends, 0.0

    def prepare(self, log: RunLog, interrupt: Interrupt) -> bool:
        self.begins = time.monotonic()
        return super().prepare(log, interrupt)

    def step(self, step: int) -> dict[str, Any]:
        started = time.monotonic()
        metrics = super().step(step)
        self.longest = max(self.longest, time.monotonic() - started)
        return metrics

    @property
    def goal(self) -> int:
        """Milliseconds."""
        return max(0, int(1000 * (self.ends - self.begins)))

    @property
    def done(self) -> int:
        spent = 0.0 if self.state.step == 0 else time.monotonic() - self.begins + self.longest
        return min(self.goal, int(1000 * spent))


class Pretraining(ByTheClock, pretrain.Trainer):
    """Reads until the time is over."""


class Reinforcement(ByTheClock, grpo.Trainer):
    """Samples and learns until the time is over."""


# -- the recipe ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speed:
    """Tokens a second of this machine: documents written, documents read."""

    writes: float
    reads: float

    def tokens(self, seconds: float) -> int:
        """How many tokens can be written and then read in that time.

        >>> Speed(writes=90_000, reads=10_000).tokens(100)
        900000
        """
        return int(seconds / (1 / self.writes + 1 / self.reads))


def train(
    minutes: float, out: Path, scale: str, seed: int, threads: int, started: float
) -> Path | None:
    """Train for so many minutes from `started` (by `time.monotonic()`); the last model, or None
    after Ctrl-C: then the time is lost, for the clock of a record does not stand still."""
    machine.raise_malloc_thresholds()
    machine.set_threads(threads)
    machine.seed_everything(seed)
    ends = started + 60 * minutes - RESERVE
    reading_ends = started + PRETRAINING * (ends - started)
    speed = measure_speed(scale, seed)
    tokens = max(1, speed.tokens(reading_ends - time.monotonic()))
    print(
        f"this machine writes {speed.writes:,.0f} tokens a second and reads {speed.reads:,.0f}: "
        f"{tokens:,} tokens of documents",
        flush=True,
    )
    common: dict[str, Any] = {"task": TASK, "seed": seed, "threads": threads, "device": "cpu"}
    quiet: dict[str, Any] = {"eval_every": NEVER, "save_every": NEVER}
    read = loop.train(
        Pretraining,
        pretrain.Options(
            out=out / "pretrain", scale=scale, tokens=tokens, mix=dict(MIX), accumulate=1,
            max_tokens_per_batch=BATCH, held_out=0, eval_n=0, **common, **quiet,
        ),
        ends=reading_ends,
    )  # fmt: skip
    if not read.finished:
        return None
    base = newest_valid(read.folder / "checkpoints")[1]
    rewarded = loop.train(
        Reinforcement,
        grpo.Options(out=out / "grpo", init=str(base), eval_n=1, eval_quick=1, **common, **quiet),
        ends=ends,
    )
    return newest_valid(rewarded.folder / "checkpoints")[1] if rewarded.finished else None


def measure_speed(scale: str, seed: int) -> Speed:
    """Write a few documents, and read them for some seconds with a model that is then thrown
    away."""
    tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
    pages = corpus.corpus_of(TASK, seed=seed, split="train", mix=MIX)
    started = time.perf_counter()
    documents = corpus.tokenize(tokenizer, pages, start=0, count=SAMPLE)
    writes = len(documents.ids) / (time.perf_counter() - started)

    device = torch.device("cpu")
    shape = replace(SCALES[scale], vocab_size=len(tokenizer), max_seq_len=512)
    model = Transformer(shape).to(device)
    optimizers, guard = pretraining_optimizers(model, 0.02, 0.003), Guard(1.0)
    set_lr(optimizers, 0.0)
    batches = pretrain.Reader(documents, shape.max_seq_len, BATCH, seed).micro_batches()

    def read() -> int:
        """One step; how many tokens it read."""
        batch = next(batches)
        count = int((batch[:, 1:] >= 0).sum())
        guard.step(model, optimizers, pretrain.backward(model, [batch], count, device))
        return count

    for _ in range(WARM_STEPS):  # the first ones fetch memory
        read()
    tokens, started = 0, time.perf_counter()
    while time.perf_counter() - started < MEASURED_SECONDS:
        tokens += read()
    return Speed(writes, tokens / (time.perf_counter() - started))


def write_out(model: Path, folder: Path) -> Path:
    """The model as an entry has it: its weights and its tokenizer, without what it takes to train
    on."""
    _, trained, tokenizer, info = checkpoint.open_model(model)
    kept = checkpoint.Info(task=TASK, step=info.step, command="python -m minilrm.speedrun")
    return checkpoint.save(folder, trained, tokenizer, info=kept)
