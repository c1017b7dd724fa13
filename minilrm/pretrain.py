"""Pretraining: from random weights to a base model that has read the web in miniature.

    minimise  - sum_t log p(x_t | x_<t)     over the documents of `corpus/`, one document per row

The loss leaves out what a tool said in a document. Bigger recipes pack documents into full rows and
average weights. This leaves both out: with one document per row nothing attends across documents,
and rows of like length waste little.

    python -m minilrm.pretrain --scale micro --export data/checkpoints/gsm8k-mini-base
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minilrm import checkpoint, cli, corpus, devices, loop, machine
from minilrm.batches import batches_by_length, pad, read_only, readable
from minilrm.errors import UserError
from minilrm.measure import Scores, measure
from minilrm.model import SCALES, Transformer
from minilrm.optim import add_gradients, pretraining_optimizers, set_lr
from minilrm.options import fill, option, to_dict
from minilrm.tasks import task_class
from minilrm.tokenizer import Tokenizer
from minilrm.tools import inserted

# The dial: tokens to read, micro-batches in a step.
SCALE = {
    "pico": {"tokens": 4_000_000, "accumulate": 2},
    "nano": {"tokens": 10_000_000, "accumulate": 2},
    "micro": {"tokens": 26_000_000, "accumulate": 4},
    "mini": {"tokens": 100_000_000, "accumulate": 8},
}
ROUND = (
    16  # rows are padded to a multiple of this, so that buffers come in few sizes and are reused
)
HELD_OUT = 100_000  # tokens of documents for the validation loss
WARMUP = 50  # steps over which the learning rates rise
PLACES = (
    "out",
    "export",
    "resume",
    "tokenizer",
)  # folders of this machine, which say nothing of the model
LOSSES_KEPT = 50  # of the newest steps, to be averaged


@dataclass
class Options(loop.Options):
    """Train a base model from random weights on a task's corpus."""

    scale: str = option("micro", "size of the model and the batch", choices=SCALES)
    tokens: int | None = option(None, "tokens to read; the scale's own if not given", minimum=1)
    max_tokens_per_batch: int = option(
        4096, "tokens in a micro-batch, padding included: bounds the memory", minimum=1
    )
    accumulate: int | None = option(
        None, "micro-batches per step; the scale's own if not given", minimum=1
    )
    muon_lr: float = option(0.02, "learning rate of the blocks' matrices", exclusive_minimum=0)
    adam_lr: float = option(0.003, "learning rate of embeddings and norms", exclusive_minimum=0)
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0)
    spanish: float | None = option(
        None,
        "share of Spanish, for word problems; the task's own if not given",
        minimum=0.0,
        maximum=1.0,
    )
    reflection: float | None = option(
        None,
        "share of writers who go on after a failed attempt, for tasks with attempts "
        f"(default {corpus.REFLECTION})",
        minimum=0.0,
        maximum=1.0,
    )
    mix: dict[str, float] | None = option(
        None,
        "shares of the kinds of documents, textbook=3 drill=1, for tasks whose base reads the web "
        "(python -m minilrm.corpus lists the kinds); the web's own if not given",
        minimum=0,
    )
    tokenizer: str | None = option(None, "folder of a tokenizer; the shipped one if not given")
    context: int = option(
        512, "longest sequence; longer documents are dropped and counted", minimum=64
    )
    eval_every: int = option(200, "steps between validation losses", minimum=1)
    held_out: int = option(
        HELD_OUT, "tokens of documents for the validation loss; 0: none is measured", minimum=0
    )
    eval_n: int = option(400, "validation problems to answer at the end", minimum=0)
    save_every: int = option(500, "steps between checkpoints for --resume", minimum=1)
    export: Path | None = option(None, "also save the final model here, in bfloat16")


@dataclass
class State(loop.State):
    """recent: the losses of the newest steps."""

    recent: list[float] = field(default_factory=list)

    def restore(self, saved: Mapping[str, Any]) -> None:
        super().restore(saved)
        # JSON knows no NaN.
        self.recent = [math.nan if loss is None else loss for loss in self.recent]


class Trainer(loop.Trainer):
    command = "pretrain"
    batch_option = "accumulate"
    log_every = 25

    @classmethod
    def kept(cls, options: Options) -> Sequence[str]:
        return ("task", "scale", "mix", "tokenizer")

    @classmethod
    def complete(cls, options: Options, saved: Mapping[str, Any]) -> Options:
        """The scale's own numbers."""
        return fill(options, SCALE[options.scale])

    def __init__(self, options: Options):
        super().__init__(options)
        self.state: State = State()
        if options.export and options.export.exists():  # said now, not after the training
            raise UserError(f"--export {options.export} is there already; choose another folder")
        if options.weights != "float32":  # Muon has no float32 copy of them
            raise UserError("--weights bfloat16 is for models that are trained on; leave it out")
        self.tokenizer = Tokenizer.load(options.tokenizer or machine.data_folder() / "tokenizer")
        print("writing documents ...", flush=True)
        pages = self.documents("train", self.options.tokens, options.seed)
        self.held_out = (
            self.documents("validation", options.held_out, options.seed + 1)
            if options.held_out
            else None
        )
        limit = options.max_tokens_per_batch
        self.reader = Reader(pages, options.context, limit, options.seed, self.tokenizer)
        scale, words = SCALES[options.scale], len(self.tokenizer)
        shape = replace(scale, vocab_size=words, max_seq_len=options.context)
        self.model = self.ready(Transformer(shape))
        self.origin = (
            f"random weights; {len(self.reader.rows):,} documents to read ({self.reader.dropped} "
            "too long, dropped)"
        )
        self.optimizers = pretraining_optimizers(self.model, options.muon_lr, options.adam_lr)
        self.stream: Iterator[Tensor] | None = None
        self.by_style: dict[str, Any] = {}  # the scores at the end, by prompt and temperature

    def task_options(self) -> dict[str, Any]:
        known = inspect.signature(task_class(self.options.task)).parameters
        spanish = {"spanish": self.options.spanish} if "spanish" in known else {}
        return super().task_options() | spanish

    def documents(self, split: str, tokens: int, seed: int) -> corpus.TokenSet:
        o = self.options
        pages = corpus.corpus_of(
            o.task, seed=seed, split=split, spanish=o.spanish, reflection=o.reflection, mix=o.mix
        )
        return corpus.build(self.tokenizer, tokens, pages)

    # -- the algorithm box -----------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """Read a batch, and step. The loss that is logged is a mean of those since the last
        line."""
        o, state, started = self.options, self.state, time.perf_counter()
        if self.stream is None:
            self.stream = self.reader.micro_batches(skip=step * o.accumulate)
        batch = devices.share(list(itertools.islice(self.stream, o.accumulate)))
        count = devices.total(sum(int((ids[:, 1:] >= 0).sum()) for ids in batch))
        set_lr(self.optimizers, min((step + 1) / WARMUP, max(0.0, 1 - self.done / self.goal)))
        state.recent.append(devices.total(backward(self.model, batch, count, self.device)))
        norm = self.update_weights(state.recent[-1])
        del state.recent[:-LOSSES_KEPT]
        state.tokens_trained += count
        state.seconds += time.perf_counter() - started
        return {
            "loss": float(np.mean(state.recent[-self.log_every :])),
            "grad_norm": norm,
            "learning_rate": self.optimizers["muon"].param_groups[0]["lr"],
            "tokens": state.tokens_trained,
            "seconds": state.seconds,
        }

    # -- around it -------------------------------------------------------------------------------

    @property
    def goal(self) -> int:
        return self.options.tokens

    @property
    def done(self) -> int:
        return self.state.tokens_trained

    def evaluate(self, full: bool) -> loop.Evaluation:
        """The loss on held-out documents; at the end also answers to problems. Nothing is measured
        before: random weights answer nothing."""
        if self.state.step == 0:
            return loop.Evaluation()
        loss: dict[str, float] = {}
        if self.held_out:
            loss["val_loss"] = validation_loss(
                self.model, self.held_out, self.device, self.tokenizer
            )
        if not full or not self.options.eval_n:
            return loop.Evaluation(figures=loss)
        scores, episodes = self.answer_in_all_ways()
        return loop.Evaluation(scores, episodes, loss)

    def answer_in_all_ways(self) -> tuple[Scores, list[Any]]:
        """A few hundred unseen problems, asked plainly and with thinking forced, sampled and
        greedily."""
        task = self.task
        problems = task.problems("validation", self.options.eval_n)
        answers = {}
        for style, temperature in (("plain", 1.0), ("plain", 0.0), ("cot", 1.0), ("cot", 0.0)):
            scores, episodes = measure(
                self.model,
                self.tokenizer,
                task,
                problems,
                seed=0,
                max_new_tokens=task.max_new_tokens,
                temperature=temperature,
                style=style,
            )
            answers[style, temperature] = scores, episodes
            self.by_style[f"validation/{style}/T={temperature:g}"] = scores.as_dict()
            print(f"validation, {style}, temperature {temperature:g}: {scores.words()}")
        scores, episodes = answers["plain", 1.0]
        greedy = answers["plain", 0.0][0].accuracy
        return dataclasses.replace(scores, greedy=greedy), episodes

    def summary(self, after: Scores | None, last: Path) -> dict[str, Any]:
        return super().summary(after, last) | self.by_style | {"best": last.name}

    def close(self, summary: dict[str, Any]) -> None:
        """Export the base model."""
        o = self.options
        if o.export:
            checkpoint.save(
                o.export,
                self.model,
                self.tokenizer,
                dtype=torch.bfloat16,
                info=checkpoint.Info(
                    task=o.task,
                    command="python -m minilrm.pretrain",
                    options={k: v for k, v in to_dict(o).items() if k not in PLACES},
                    scores=summary,
                ),
            )
            print(f"base model in {o.export}")


# -- reading ---------------------------------------------------------------------------------------


def loss_of(
    model: Transformer, ids: torch.Tensor, device: torch.device, denominator: float | None = None
) -> torch.Tensor:
    """Cross-entropy of the next token, summed and divided by `denominator` (the batch's tokens;
    None: this one's own).

    Padding (-1), which stands behind each row's end-of-text, does not count, nor do tokens that are
    only read (`batches.read_only`).
    """
    ids = ids.to(device)
    targets = ids[:, 1:]
    real = targets >= 0
    with machine.autocast(device):
        logits = model.lm_head(model.hidden(readable(ids[:, :-1]))[real])
    total = F.cross_entropy(logits.float(), targets[real], reduction="sum")
    return total / (denominator or max(1, len(logits)))


def validation_loss(
    model: Transformer,
    documents: corpus.TokenSet,
    device: torch.device,
    tokenizer: Tokenizer | None = None,
) -> float:
    """The mean loss on documents; `tokenizer` as for a `Reader`."""
    with torch.inference_mode():
        losses = []
        for rows in batches_by_length(documents.lengths, 4096):
            ids = without_results(pad([documents[i] for i in rows], value=-1), tokenizer)
            losses.append(float(loss_of(model, ids, device)))
    return float(np.mean(losses))


def without_results(ids: torch.Tensor, tokenizer: Tokenizer | None) -> torch.Tensor:
    """Ids [B, T] in which what a tool said is read and not learnt."""
    return read_only(ids, inserted(tokenizer, ids)) if tokenizer else ids


class Reader:
    """An endless, resumable stream of micro-batches: epoch after epoch over the documents, each in
    an order of its own.

    tokenizer: whose tags say what a tool wrote in a document; None: no tool wrote anything."""

    def __init__(
        self,
        documents: corpus.TokenSet,
        context: int,
        max_tokens: int,
        seed: int,
        tokenizer: Tokenizer | None = None,
    ):
        self.documents = documents
        self.rows = np.flatnonzero(documents.lengths <= context)
        self.dropped = len(documents) - len(self.rows)
        self.max_tokens, self.seed, self.tokenizer = max_tokens, seed, tokenizer

    def micro_batches(self, skip: int = 0) -> Iterator[torch.Tensor]:
        lengths = -(-self.documents.lengths[self.rows] // ROUND) * ROUND
        for epoch in itertools.count():
            rng = np.random.default_rng((self.seed, epoch))
            for rows in batches_by_length(lengths, self.max_tokens, rng):
                if skip:
                    skip -= 1
                    continue
                ids = pad([self.documents[self.rows[i]].astype(np.int64) for i in rows], value=-1)
                ids = without_results(ids, self.tokenizer)
                yield torch.nn.functional.pad(
                    ids, (0, int(lengths[rows].max()) - ids.shape[1]), value=-1
                )


def backward(
    model: Transformer, batch: Sequence[torch.Tensor], count: int, device: torch.device
) -> float:
    """The loss of a batch, whose gradient is then in `.grad`. Each micro-batch is shared among the
    threads by rows."""
    parameters = list(model.parameters())

    def gradient(ids: torch.Tensor) -> tuple[float, tuple[torch.Tensor, ...]]:
        loss = loss_of(model, ids, device, denominator=count)
        return float(loss.detach()), torch.autograd.grad(loss, parameters)

    total = 0.0
    parts = machine.together(device)
    for loss, gradients in machine.side_by_side(
        gradient, [part for ids in batch for part in ids.chunk(parts)], device
    ):
        add_gradients(parameters, gradients)
        total += loss
    return total


def train(options: Options) -> loop.Result:
    """A whole run, or the rest of one."""
    return loop.train(Trainer, options)


def main(options: Options) -> int:
    return loop.train(Trainer, options, show_options=True).exit_code


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.pretrain", description=Options.__doc__)
