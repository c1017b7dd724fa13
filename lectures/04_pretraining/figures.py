"""The figures and numbers of lecture 4: a very small model learns for seconds, and the shipped base
is taken apart.

    python lectures/04_pretraining/figures.py            measure (two minutes of one core), and draw
    python lectures/04_pretraining/figures.py --draw     only draw what was measured

It trains the scale `pico` three times on the same 600,000 tokens with three schedules of the
learning rate, measures the loss of it and of the shipped base by kind of token, and writes
data/results/lecture-04.json. From that file, and from data/results/lecture-04-base.json (the log of
the base's own training), it draws base.png and schedules.png.
"""

import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, corpus, curves, machine
from minilrm.curves import LOOKS, REFERENCE
from minilrm.files import read_json
from minilrm.model import SCALES, Transformer, count_parameters
from minilrm.objectives import selected_logprobs
from minilrm.optim import Guard, lr_factor, pretraining_optimizers, set_lr
from minilrm.pretrain import Reader, loss_of, validation_loss
from minilrm.tokenizer import Tokenizer
from studies.lecture import RESULTS, main, save

HERE = Path(__file__).resolve().parent

BASE = RESULTS / "lecture-04-base.json"
CPU = torch.device("cpu")
TOKENS, BATCH, SEED, EVERY = 600_000, 2048, 0, 20
KINDS = (
    "question",
    "first token of the answer",
    "words of the solution",
    "numbers of a sum",
    "result of a sum",
    "the end",
)


def schedules(total: int) -> dict:
    """Factor of the learning rate at each step."""
    return {
        "constant": lambda step: 1.0,
        "decay": lambda step: lr_factor(step, total, 0),
        "warm-up, decay": lambda step: lr_factor(step, total, 20),
    }


def train(factor, pages, held_out, tokenizer, steps: int) -> tuple[Transformer, list]:
    """One run; returns the model and [tokens read, validation loss] as it goes."""
    machine.seed_everything(SEED)
    model = Transformer(replace(SCALES["pico"], vocab_size=len(tokenizer), max_seq_len=512))
    optimizers = pretraining_optimizers(model, 0.02, 0.003)
    guard, seen, curve = Guard(1.0), 0, []
    stream = Reader(pages, 512, BATCH, SEED).micro_batches()
    for step in range(steps):
        if step % EVERY == 0:
            curve.append([seen, validation_loss(model, held_out, CPU)])
        ids = next(stream)
        set_lr(optimizers, factor(step))
        loss = loss_of(model, ids, CPU)
        loss.backward()
        guard.step(model, optimizers, float(loss.detach()))
        seen += int((ids[:, 1:] >= 0).sum())
    return model, [*curve, [seen, validation_loss(model, held_out, CPU)]]


def kind_of_characters(text: str) -> list[str]:
    """What each character of a forum page with a worked solution is."""
    start = re.search(r"\n(Answer|Respuesta):", text).end()
    kind = ["question"] * start + ["words of the solution"] * (len(text) - start)
    kind[start] = "first token of the answer"
    for match in re.finditer(r"<<([^=]*)=([^>]*)>>", text):
        for name, (a, b) in (
            ("numbers of a sum", match.span(1)),
            ("result of a sum", match.span(2)),
        ):
            kind[a:b] = [name if c.isdigit() else "words of the solution" for c in text[a:b]]
    return kind


def loss_by_kind(model, tokenizer, texts) -> dict:
    sums: dict[str, list[float]] = {}
    for text in texts:
        ids = [*tokenizer.encode(text), tokenizer.eos_id]
        with torch.inference_mode():
            losses = -selected_logprobs(model(torch.tensor([ids[:-1]]))[0], torch.tensor(ids[1:]))
        kind, at = (
            kind_of_characters(text),
            len(tokenizer.token_bytes(ids[0]).decode("utf-8", "replace")),
        )
        for token, value in zip(ids[1:], losses.tolist(), strict=True):
            name = "the end" if token == tokenizer.eos_id else kind[min(at, len(kind) - 1)]
            sums.setdefault(name, []).append(value)
            at += len(tokenizer.token_bytes(token).decode("utf-8", "replace"))
    return {name: {"nats": sum(v) / len(v), "tokens": len(v)} for name, v in sums.items()}


def measure() -> dict:
    tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
    pages = corpus.build(tokenizer, TOKENS, corpus.Web(SEED), chunk=1000)
    held_out = corpus.build(tokenizer, 20_000, corpus.Web(SEED + 1, "validation"), chunk=200)
    steps = sum(
        1
        for _ in zip(
            Reader(pages, 512, BATCH, SEED).micro_batches(), range(TOKENS // BATCH), strict=False
        )
    )
    losses, models = {}, {}
    for name, factor in schedules(steps).items():
        models[name], losses[name] = train(factor, pages, held_out, tokenizer, steps)
    web = corpus.Web(SEED + 1, "validation")
    texts = [web.document(i, "steps").text for i in range(150)]
    base = checkpoint.open_model("gsm8k-mini-base").model
    mix = {}
    for document in map(corpus.Web(SEED).document, range(3000)):
        mix[document.kind] = mix.get(document.kind, 0) + len(tokenizer.encode(document.text)) + 1
    return {
        "seed": SEED,
        "steps": steps,
        "tokens_a_batch": BATCH,
        "parameters": {
            "pico": count_parameters(models["constant"]),
            "base": count_parameters(base),
        },
        "curves": losses,
        "pages": len(texts),
        "loss_by_kind": {
            "pico": loss_by_kind(models["warm-up, decay"], tokenizer, texts),
            "base": loss_by_kind(base, tokenizer, texts),
        },
        "validation_loss_of_base": validation_loss(base, held_out, CPU),
        "share_of_tokens": {
            kind: count / sum(mix.values())
            for kind, count in sorted(mix.items(), key=lambda x: -x[1])
        },
    }


def draw_base(result: dict, base: dict, path: Path) -> None:
    """The shipped base: its training, and where its loss is."""
    figure, (left, right) = curves.panels(2, height=3.1)
    read, losses = ([row[i] for row in base["train"]] for i in (0, 1))
    curves.line(left, [tokens / 1e6 for tokens in read], losses, LOOKS[0], marker="")
    even = math.log(1024)
    left.axhline(even, color=REFERENCE.color, linestyle=REFERENCE.dash, linewidth=1)
    words = "all 1,024 tokens\nalike: 6.93"
    left.text(base["tokens"] / 1e6, 0.93 * even, words, ha="right", va="top", color=REFERENCE.ink)
    left.set_yscale("log")
    curves.frame(left, "Training loss", x="million tokens read", y="nats per token")
    left.set_yticks([0.3, 0.5, 1, 2, 4, 7], ["0.3", "0.5", "1", "2", "4", "7"])
    left.minorticks_off()
    rows = range(len(KINDS))
    for shift, model, look in ((-0.2, "pico", LOOKS[1]), (0.2, "base", LOOKS[0])):
        nats = [result["loss_by_kind"][model][kind]["nats"] for kind in KINDS]
        curves.bars(right, [r + shift for r in rows], nats, look, model, flat=True, height=0.38)
    right.set_yticks(rows, [kind.replace(" of ", "\nof ") for kind in KINDS], fontsize=9)
    right.invert_yaxis()
    right.grid(axis="y", visible=False)
    right.set(title="By kind of token", xlabel="nats per token")
    right.legend(loc="lower right", handlelength=1.6)
    save(figure, path)


def draw_schedules(result: dict, path: Path) -> None:
    """A pico model under three schedules."""
    figure, (axes,) = curves.panels(1, height=2.9)
    for (schedule, curve), look in zip(result["curves"].items(), LOOKS, strict=False):
        read, losses = zip(*curve, strict=True)
        curves.line(axes, [tokens / 1000 for tokens in read], losses, look, schedule)
    curves.frame(axes, "Validation loss", x="thousand tokens read", y="nats per token")
    curves.label_ends(axes)
    save(figure, path)


def draw(result: dict) -> None:
    draw_base(result, read_json(BASE), HERE / "base.png")
    draw_schedules(result, HERE / "schedules.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
