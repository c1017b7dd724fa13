"""A pretraining step: minilrm's beside transformers' Qwen3 with AdamW, in tokens a second.

Both start from the same random weights, of the shipped base's shape, and read the same
micro-batches of up to 4,096 tokens (padding included), made of real corpus documents, one document
a row. A step is a few micro-batches, the clipping of the gradient, and the optimizer.

    ours    `pretrain.backward` (bfloat16 where it pays), Muon and AdamW
            (`optim.pretraining_optimizers`)
    peer    Qwen3ForCausalLM with its own loss, fused AdamW for everything; float32 or bfloat16
            autocast, whichever of them is faster for it. No attention mask is given: rows are
            padded at the right, so none is needed

A step of Muon is dearer than one of AdamW, and worth it: this benchmark times steps and says
nothing of what they teach. Tokens are those that are predicted; padding does not count.

    python -m benchmarks.train
"""

import contextlib
import itertools
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import common, same
from benchmarks.sides import Link, Worker
from minilrm import checkpoint, corpus, machine, pretrain
from minilrm.cli import run_command
from minilrm.model import SCALES, Transformer
from minilrm.optim import Guard, pretraining_optimizers
from minilrm.options import option
from minilrm.tokenizer import Tokenizer

CONTEXT, CLIP = 512, 1.0
# The peer as it comes (fused attention, its default), in the precision that suits it; and with
# plain attention where that is faster, which one must know of.
PEERS = (
    ("default attention", tuple(name for name in common.SETTINGS if "sdpa" in name)),
    ("fastest attention", common.SETTINGS),
)


@dataclass
class Options(common.Options):
    """Pretraining tokens a second, against transformers' Qwen3 and AdamW."""

    scale: str = option("micro", "size of the model", choices=tuple(SCALES))
    steps: int = option(2, "optimizer steps in a measurement", minimum=1)
    max_tokens_per_batch: int = option(
        4096, "tokens in a micro-batch, padding included", minimum=64
    )


def documents(count: int, max_tokens: int) -> list[Tensor]:
    """`count` micro-batches [rows, tokens] as pretraining reads them; -1 is padding."""
    tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
    tokens = corpus.build(
        tokenizer, count * max_tokens, corpus.corpus_of("gsm8k-mini", seed=0), chunk=500
    )
    return list(
        itertools.islice(
            pretrain.Reader(tokens, CONTEXT, max_tokens, seed=0).micro_batches(), count
        )
    )


def predicted(batches: Sequence[Tensor]) -> int:
    """How many tokens are predicted: all but each row's first, and no padding."""
    return sum(int((ids[:, 1:] >= 0).sum()) for ids in batches)


def steps_of(batches: list[Tensor], accumulate: int, steps: int, turn: int) -> list[list[Tensor]]:
    """The batches of each step of one measurement. Every turn reads the next ones, and begins anew
    behind the last."""
    taken = [
        batches[(turn * steps * accumulate + i) % len(batches)] for i in range(steps * accumulate)
    ]
    return [taken[i : i + accumulate] for i in range(0, len(taken), accumulate)]


def ours(link: Link, folder: Path, batches: list[Tensor], accumulate: int, steps: int) -> None:
    """A worker: the inner loop of `pretrain.loop`."""
    model, _, _ = checkpoint.load(folder)
    optimizers, guard, device = (
        pretraining_optimizers(model, 0.02, 0.003),
        Guard(CLIP),
        torch.device("cpu"),
    )

    def step(batch: list[Tensor]) -> float:
        total = pretrain.backward(model, batch, predicted(batch), device)
        guard.step(model, optimizers, total)
        return total

    measure_steps(link, step, batches, accumulate, steps)


def peer(
    link: Link, folder: Path, batches: list[Tensor], accumulate: int, steps: int, setting: str
) -> None:
    """A worker: the loop as a user of transformers writes it."""
    from transformers import AutoModelForCausalLM

    precision, attention = setting.split(",")[0].split()
    # The weights stay float32; in bfloat16 run the matrix products alone (autocast), as on our
    # side.
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    ).train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=0.003, betas=(0.9, 0.95), weight_decay=0.0, fused=True
    )
    autocast = (
        torch.autocast("cpu", torch.bfloat16)
        if precision == "bfloat16"
        else contextlib.nullcontext()
    )

    def step(batch: list[Tensor]) -> float:
        count, total = predicted(batch), 0.0
        for ids in batch:
            with autocast:
                loss = model(
                    input_ids=ids.clamp(min=0),
                    labels=ids.masked_fill(ids < 0, -100),
                    num_items_in_batch=count,
                    use_cache=False,
                ).loss
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return total

    measure_steps(link, step, batches, accumulate, steps)


def measure_steps(link: Link, step, batches: list[Tensor], accumulate: int, steps: int) -> None:
    """Answer every job with `steps` steps. The very first loss is told each time, for
    comparison."""
    losses: list[float] = []
    while True:
        mine = steps_of(batches, accumulate, steps, link.next()["turn"])
        started = time.perf_counter()
        losses += [step(batch) for batch in mine]
        seconds = time.perf_counter() - started
        tokens = sum(predicted(batch) for batch in mine)
        link.answer(
            seconds=seconds,
            work=tokens,
            tokens=tokens,
            first_loss=losses[0],
            last_loss=losses[-1],
            padded_tokens=sum(ids.numel() for batch in mine for ids in batch),
        )


@contextlib.contextmanager
def random_weights(scale: str) -> Iterator[Path]:
    """A folder with random weights that both sides open."""
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
    model = Transformer(replace(SCALES[scale], vocab_size=len(tokenizer), max_seq_len=CONTEXT))
    with tempfile.TemporaryDirectory() as folder:
        yield checkpoint.save(Path(folder) / "random", model, tokenizer)


def run(options: Options) -> Path:
    """Measure; writes the report."""
    if options.peer:
        common.require("transformers")
    threads = options.threads or machine.default_threads()
    report = common.new_report("train", options, [threads])
    accumulate, steps = (
        (1, 1) if options.quick else (pretrain.SCALE[options.scale]["accumulate"], options.steps)
    )
    max_tokens = 256 if options.quick else options.max_tokens_per_batch
    work = {
        "batches": documents((options.pairs + 1) * steps * accumulate, max_tokens),
        "accumulate": accumulate,
        "steps": steps,
        "threads": threads,
    }
    scale = "pico" if options.quick else options.scale
    with random_weights(scale) as folder:

        def start(setting: str) -> Worker:
            return Worker(
                peer, memory=setting != common.AS_INSTALLED, folder=folder, setting=setting, **work
            )

        if options.peer:
            report["same_model"] = same.prove_same_model(
                folder, ["Question: What is 3 + 4?\nAnswer:"], threads, 4
            )
        parameters = same.parameters_of(folder)
        for against, settings in PEERS[:1] if options.quick or not options.peer else PEERS:
            rounds, note = common.duel(
                lambda: Worker(ours, folder=folder, **work),
                start if options.peer else None,
                settings,
                options.pairs,
            )
            if options.peer:
                check_losses(rounds)
            for side in (side for pair in rounds for side in pair.values()):
                side["flops"] = common.flops(parameters, trained=side["tokens"])
            case = {
                "name": f"pretraining step, {scale}, {threads} thread(s), {against}",
                "parameters": parameters,
                "accumulate": accumulate,
                "max_tokens_per_batch": max_tokens,
                "steps": steps,
                "threads": threads,
                **note,
                **common.compare(rounds, common.peak(report, threads)),
            }
            report["cases"].append(case)
            common.say(f"{case['name']} (peer: {case['peer_setting']})", case)
    return common.write(report, options)


def check_losses(rounds: list[dict]) -> None:
    """Both sides do the same work: as many tokens, and the same first loss up to bfloat16's
    rounding.

    From the second step on the two optimizers part them.
    """
    a, b = rounds[-1]["ours"], rounds[-1]["peer"]
    if a["tokens"] != b["tokens"] or not math.isclose(
        a["first_loss"], b["first_loss"], rel_tol=2e-3
    ):
        raise RuntimeError(f"the two sides do not do the same work: {a}, {b}")
    if not all(math.isfinite(side["last_loss"]) for side in (a, b)):
        raise RuntimeError(f"a loss is no number: {a}, {b}")


if __name__ == "__main__":
    run_command(run, Options, prog="python -m benchmarks.train", description=Options.__doc__)
