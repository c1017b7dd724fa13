"""The figure and numbers of lecture 4: a very small model learns for seconds, and the shipped base
is taken apart.

    python lectures/04_pretraining/figures.py

trains the scale `pico` three times on the same 600,000 tokens with three schedules of the learning
rate, measures the loss of it and of the shipped base by kind of token, and writes
data/results/lecture-04.json. From that file, and from data/results/lecture-04-base.json (the log of
the base's own training), it draws base.png and schedules.png. Two minutes.
"""

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, corpus, machine
from minilrm.model import SCALES, Transformer, count_parameters
from minilrm.objectives import selected_logprobs
from minilrm.optim import Guard, lr_factor, pretraining_optimizers, set_lr
from minilrm.pretrain import Reader, loss_of, validation_loss
from minilrm.tokenizer import Tokenizer
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent

BASE = ROOT / "data" / "results" / "lecture-04-base.json"
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
    curves, models = {}, {}
    for name, factor in schedules(steps).items():
        models[name], curves[name] = train(factor, pages, held_out, tokenizer, steps)
    web = corpus.Web(SEED + 1, "validation")
    texts = [web.document(i, "steps").text for i in range(150)]
    base = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))[0].eval()
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
        "curves": curves,
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
    plt.rcParams.update({"font.size": 8.5, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.0), layout="constrained")
    left.plot(
        [row[0] / 1e6 for row in base["train"]],
        [row[1] for row in base["train"]],
        "k-",
        linewidth=1.2,
    )
    left.axhline(math.log(1024), color="black", linestyle=":", linewidth=0.8)
    left.text(
        base["tokens"] / 1e6,
        math.log(1024) * 0.93,
        "all 1,024 tokens alike: 6.93",
        ha="right",
        va="top",
        fontsize=8,
    )
    left.set(yscale="log", xlabel="million tokens read", title="training loss, nats")
    left.set_yticks([0.3, 0.5, 1, 2, 4, 7], ["0.3", "0.5", "1", "2", "4", "7"])
    left.minorticks_off()
    rows = range(len(KINDS))
    for shift, name, hatch, color in (
        (-0.2, "pico", "////", "white"),
        (0.2, "base", "", "#555555"),
    ):
        right.barh(
            [r + shift for r in rows],
            [result["loss_by_kind"][name][k]["nats"] for k in KINDS],
            height=0.38,
            hatch=hatch,
            color=color,
            edgecolor="black",
            linewidth=0.6,
            label=name,
        )
    right.set_yticks(rows, KINDS)
    right.invert_yaxis()
    right.set(xlabel="loss, nats", title="by what the token is")
    right.legend(frameon=False, loc="lower right")
    save(figure, path)


def draw_schedules(result: dict, path: Path) -> None:
    """A pico model under three schedules."""
    figure, axis = plt.subplots(figsize=(4.8, 2.7), layout="constrained")
    for (name, curve), style in zip(result["curves"].items(), (":", "--", "-"), strict=True):
        axis.plot(
            [x / 1000 for x, _ in curve],
            [y for _, y in curve],
            "k",
            linestyle=style,
            linewidth=1.2,
            label=name,
        )
    axis.set(xlabel="thousand tokens read", ylabel="validation loss, nats", ylim=(1.5, 7))
    axis.legend(frameon=False)
    save(figure, path)


def draw(result: dict) -> None:
    draw_base(result, json.loads(BASE.read_text(encoding="utf-8")), HERE / "base.png")
    draw_schedules(result, HERE / "schedules.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
