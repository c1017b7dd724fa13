"""Pretraining: from random weights to a base model that has read the web in miniature.

    minimise  - sum_t log p(x_t | x_<t)          over the documents of `corpus/`, one document a row

What bigger recipes have and this leaves out: packing of documents into full rows (with one document
a row nothing attends across documents, and rows of like length waste little), weight averaging,
data parallelism, gradient accumulation.

    python -m minilrm.pretrain --scale micro --export data/checkpoints/gsm8k-mini-base
"""

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from minilrm import checkpoint, cli, corpus, evaluate, machine
from minilrm.batches import batches_by_length, pad
from minilrm.cli import option
from minilrm.errors import UserError
from minilrm.model import SCALES, Transformer, count_parameters
from minilrm.optim import Guard, add_gradients, pretraining_optimizers, set_lr
from minilrm.progress import Interrupt, Progress
from minilrm.report import write_report
from minilrm.runlog import RunLog, version
from minilrm.tasks import get_task
from minilrm.tokenizer import Tokenizer

# The dial: tokens to read, micro-batches in a step.
SCALE = {
    "pico": {"tokens": 4_000_000, "accumulate": 2},
    "nano": {"tokens": 10_000_000, "accumulate": 2},
    "micro": {"tokens": 26_000_000, "accumulate": 4},
    "mini": {"tokens": 100_000_000, "accumulate": 8},
}
ROUND = 16  # rows are padded to a multiple of this, so that buffers come in few sizes and are used again


@dataclass
class Options:
    """Train a base model from random weights on a task's corpus."""

    task: str = option(
        "gsm8k-mini", "whose corpus to read", choices=("gsm8k-mini", *corpus.traced_tasks())
    )
    scale: str = option("micro", "size of the model and the batch", choices=tuple(SCALES))
    seed: int = option(0, "seed of weights, documents and order")
    tokens: int | None = option(
        None, "tokens to read; the scale's own if not given", minimum=10_000
    )
    max_tokens_per_batch: int = option(
        4096, "tokens in a micro-batch, padding included: bounds the memory", minimum=512
    )
    accumulate: int | None = option(
        None, "micro-batches a step; the scale's own if not given", minimum=1
    )
    muon_lr: float = option(0.02, "learning rate of the blocks' matrices", exclusive_minimum=0)
    adam_lr: float = option(0.003, "learning rate of embeddings and norms", exclusive_minimum=0)
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0)
    spanish: float = option(0.25, "share of Spanish, for gsm8k-mini", minimum=0.0, maximum=1.0)
    reflection: float | None = option(
        None,
        "share of writers who go on after a failed attempt, for tasks with attempts "
        f"(default {corpus.REFLECTION})",
        minimum=0.0,
        maximum=1.0,
    )
    context: int = option(
        512, "longest sequence; longer documents are dropped and counted", minimum=64
    )
    eval_every: int = option(200, "steps between validation losses", minimum=1)
    save_every: int = option(500, "steps between checkpoints for --resume", minimum=1)
    eval_n: int = option(400, "validation problems to answer at the end", minimum=0)
    out: Path | None = option(None, "run folder; runs/pretrain-... if not given")
    resume: Path | None = option(None, "run folder to go on with")
    export: Path | None = option(None, "also save the final model here, in bfloat16")
    device: str = option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    threads: int | None = option(
        None, "threads; the available cores, at most 4, if not given", minimum=1
    )


def loss_of(
    model: Transformer, ids: torch.Tensor, device: torch.device, denominator: int | None = None
) -> torch.Tensor:
    """Cross-entropy of the next token, summed and divided by `denominator` (the batch's tokens;
    None: this one's own).

    Padding (-1), which stands behind each row's end-of-text, does not count.
    """
    ids = ids.to(device)
    targets = ids[:, 1:]
    real = targets >= 0
    with machine.autocast(device):
        logits = model.lm_head(model.hidden(ids[:, :-1].clamp(min=0))[real])
    total = F.cross_entropy(logits.float(), targets[real], reduction="sum")
    return total / (denominator or max(1, len(logits)))


def validation_loss(model: Transformer, documents: corpus.TokenSet, device: torch.device) -> float:
    with torch.inference_mode():
        losses = [
            float(loss_of(model, pad([documents[i] for i in rows], value=-1), device))
            for rows in batches_by_length(documents.lengths, 4096)
        ]
    return float(np.mean(losses))


class Reader:
    """An endless, resumable stream of micro-batches: epoch after epoch over the documents, each in
    an order of its own."""

    def __init__(self, documents: corpus.TokenSet, context: int, max_tokens: int, seed: int):
        self.documents = documents
        self.rows = np.flatnonzero(documents.lengths <= context)
        self.dropped = len(documents) - len(self.rows)
        self.max_tokens, self.seed = max_tokens, seed

    def micro_batches(self, skip: int = 0) -> Iterator[torch.Tensor]:
        lengths = -(-self.documents.lengths[self.rows] // ROUND) * ROUND
        for epoch in itertools.count():
            rng = np.random.default_rng((self.seed, epoch))
            for rows in batches_by_length(lengths, self.max_tokens, rng):
                if skip:
                    skip -= 1
                    continue
                ids = pad([self.documents[self.rows[i]].astype(np.int64) for i in rows], value=-1)
                yield torch.nn.functional.pad(
                    ids, (0, int(lengths[rows].max()) - ids.shape[1]), value=-1
                )


def train(options: Options) -> Path:
    if options.resume:
        log = RunLog.open(options.resume, "pretrain")
        options = cli.resumed(options, log.config.get("options", {}))
    if options.export and options.export.exists():  # said now, not after the training
        raise UserError(f"--export {options.export} is there already; choose another folder")
    options = cli.fill(options, SCALE[options.scale])
    device = machine.choose_device(options.device)
    machine.raise_malloc_thresholds()
    machine.set_threads(options.threads)
    machine.seed_everything(options.seed)
    if not options.resume:
        log = RunLog.create("pretrain", options.task, cli.to_dict(options), options.out)
    print(cli.describe(options))
    tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
    print("writing documents ...", flush=True)
    pages, held_out = (
        corpus.build(
            tokenizer,
            tokens,
            corpus.corpus_of(
                options.task,
                seed=seed,
                split=split,
                spanish=options.spanish,
                reflection=options.reflection,
            ),
        )
        for tokens, seed, split in (
            (options.tokens, options.seed, "train"),
            (100_000, options.seed + 1, "validation"),
        )
    )
    reader = Reader(pages, options.context, options.max_tokens_per_batch, options.seed)
    model = Transformer(
        replace(SCALES[options.scale], vocab_size=len(tokenizer), max_seq_len=options.context)
    ).to(device)
    optimizers = pretraining_optimizers(model, options.muon_lr, options.adam_lr)
    # recent: losses, to be averaged
    state = {"step": 0, "tokens": 0, "seconds": 0.0, "skipped_steps": 0, "recent": []}
    if options.resume:
        step, saved = checkpoint.go_on(log.folder / "checkpoints", model, optimizers)
        state |= saved
        # JSON knows no NaN
        state["recent"] = [math.nan if x is None else x for x in state["recent"]]
        log.truncate_after(step)
    print(
        f"{count_parameters(model):,} parameters, {len(reader.rows):,} documents ({reader.dropped} too long, dropped)"
    )
    finished = loop(options, model, optimizers, reader, held_out, log, state, tokenizer, device)
    last = save(log, model, tokenizer, optimizers, state, options)
    if finished:
        finish(options, model, tokenizer, log, state, device, last)
    return log.folder


def loop(options, model, optimizers, reader, held_out, log, state, tokenizer, device) -> bool:
    """Read until the budget of tokens is used up. False if it was interrupted."""
    guard, recent = Guard(options.clip), state["recent"]
    stream = reader.micro_batches(skip=state["step"] * options.accumulate)
    with (
        Interrupt() as interrupt,
        Progress(options.tokens, initial=state["tokens"], label="pretrain") as bar,
    ):
        while state["tokens"] < options.tokens:
            started = time.perf_counter()
            batch = list(itertools.islice(stream, options.accumulate))
            count = sum(int((ids[:, 1:] >= 0).sum()) for ids in batch)
            set_lr(
                optimizers,
                min((state["step"] + 1) / 50, max(0.0, 1 - state["tokens"] / options.tokens)),
            )
            recent.append(backward(model, batch, count, device))
            norm = guard.step(model, optimizers, recent[-1])
            del recent[:-50]
            state["skipped_steps"] += math.isnan(norm)
            state["step"] += 1
            state["tokens"] += count
            state["seconds"] += time.perf_counter() - started
            bar.update(count, loss=float(np.mean(recent[-50:])))
            if state["step"] % 25 == 0:
                log.log(
                    state["step"],
                    {
                        "loss": float(np.mean(recent[-25:])),
                        "grad_norm": norm,
                        "learning_rate": optimizers["muon"].param_groups[0]["lr"],
                        "tokens": state["tokens"],
                        "seconds": state["seconds"],
                    },
                )
            if state["step"] % options.eval_every == 0:
                log.log(
                    state["step"],
                    {"val_loss": validation_loss(model, held_out, device)},
                    event="eval",
                )
            if state["step"] % options.save_every == 0 or interrupt.requested:
                save(log, model, tokenizer, optimizers, state, options)
            if interrupt.requested:
                bar.note(
                    f"stopped at step {state['step']}; go on with: python -m minilrm.pretrain --resume {log.folder}"
                )
                return False
    return True


def backward(
    model: Transformer, batch: list[torch.Tensor], count: int, device: torch.device
) -> float:
    """The loss of a batch, whose gradient is then in `.grad`. Each micro-batch is shared among the
    threads by rows."""
    parameters = list(model.parameters())

    def gradient(ids: torch.Tensor) -> tuple[float, tuple[torch.Tensor, ...]]:
        loss = loss_of(model, ids, device, denominator=count)
        return float(loss.detach()), torch.autograd.grad(loss, parameters)

    total = 0.0
    parts = torch.get_num_threads() if device.type == "cpu" else 1
    for loss, gradients in machine.side_by_side(
        gradient, [part for ids in batch for part in ids.chunk(parts)], device
    ):
        add_gradients(parameters, gradients)
        total += loss
    return total


def save(log: RunLog, model, tokenizer, optimizers, state, options) -> Path:
    path = log.checkpoint_path(state["step"])
    if not path.exists():
        checkpoint.save(
            path,
            model,
            tokenizer,
            optimizers=optimizers,
            trainer=dict(state),
            info={
                "task": options.task,
                "options": cli.to_dict(options),
                "step": state["step"],
                "tokens": state["tokens"],
                "seconds": state["seconds"],
            },
        )
    return path


def finish(options, model, tokenizer, log, state, device, last: Path) -> None:
    """Say what came out: a few hundred unseen problems, answered; then export."""
    task = get_task(
        options.task, **({"spanish": options.spanish} if options.task == "gsm8k-mini" else {})
    )
    problems = task.problems("validation", options.eval_n) if options.eval_n else []
    outcome = {
        "task": options.task,
        "seed": options.seed,
        "steps": state["step"],
        "split": "validation",
        "eval_n": len(problems),
        "parameters": count_parameters(model),
        "tokens_trained": state["tokens"],
        "tokens_generated": 0,
        "seconds": state["seconds"],
        "device": str(device),
        "version": version(),
        "machine": machine.describe(device),
        "best": last.name,
        "last": last.name,
        "skipped_steps": state["skipped_steps"],
    }
    # Nothing was measured before: random weights answer nothing.
    outcome |= {
        f"{name}_{when}": None
        for when in ("before", "after")
        for name in ("accuracy", "greedy", "length")
    }
    outcome |= {"accuracy_before_ci": None, "accuracy_after_ci": None}
    for style, temperature in (
        (("plain", 1.0), ("plain", 0.0), ("cot", 1.0), ("cot", 0.0)) if problems else ()
    ):
        scores, _ = evaluate.quick(
            model,
            tokenizer,
            task,
            problems,
            seed=0,
            max_new_tokens=task.max_new_tokens,
            temperature=temperature,
            style=style,
        )
        outcome[f"validation/{style}/T={temperature:g}"] = scores
        if (style, temperature) == ("plain", 1.0):
            outcome |= {
                "accuracy_after": scores["accuracy"],
                "accuracy_after_ci": scores["accuracy_ci"],
                "length_after": scores["mean_length"],
            }
        elif style == "plain":
            outcome["greedy_after"] = scores["accuracy"]
        print(
            f"validation, {style}, temperature {temperature:g}: accuracy {scores['accuracy']:.1%}, thinks "
            f"{scores['think_rate']:.1%}, right when thinking {scores['accuracy_thinking']:.1%}"
        )
    log.summary(outcome)
    if options.export:
        checkpoint.save(
            options.export,
            model,
            tokenizer,
            dtype=torch.bfloat16,
            info={
                "task": options.task,
                "command": "python -m minilrm.pretrain",
                "options": cli.to_dict(options),
                "scores": outcome,
            },
        )
        print(f"base model in {options.export}")
    print(f"report: {write_report(log.folder)}")


if __name__ == "__main__":
    cli.run_command(train, Options, prog="python -m minilrm.pretrain", description=Options.__doc__)
