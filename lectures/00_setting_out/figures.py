"""The figure of lecture 0: three curves. Writes data/results/lecture-00.json, then draws
three_curves.png from it.

    python lectures/00_setting_out/figures.py            measure (about ten seconds of one core), then draw
    python lectures/00_setting_out/figures.py --draw     only draw what was measured

The loss is measured here: a model of the smallest size reads 60 batches, with seed 0, with seed 0
again, and with seed 1. Reward and length are those of the main job's three runs of GRPO
(data/results/main.jsonl).
"""

import itertools
import json
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import corpus, machine
from minilrm.model import SCALES, Transformer
from minilrm.optim import Guard, pretraining_optimizers, set_lr
from minilrm.pretrain import Reader, loss_of
from minilrm.tokenizer import Tokenizer
from studies.lecture import main, save

STEPS, TOKENS = 60, 768  # optimizer steps; tokens in a batch
INK, SOFT = "#1a1a1a", "#7a7a7a"
DASHES = ("-", (0, (4, 1.6)), (0, (1, 1.2)))


def losses(seed: int) -> list[float]:
    """Loss of each step of a short pretraining of the smallest model."""
    machine.seed_everything(seed)
    tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
    pages = corpus.build(
        tokenizer, 2 * STEPS * TOKENS, corpus.corpus_of("gsm8k-mini", seed=seed), chunk=500
    )
    model = Transformer(replace(SCALES["pico"], vocab_size=len(tokenizer)))
    optimizers, guard, found = pretraining_optimizers(model, 0.02, 0.003), Guard(1.0), []
    for step, ids in enumerate(
        itertools.islice(Reader(pages, 512, TOKENS, seed).micro_batches(), STEPS)
    ):
        set_lr(optimizers, min((step + 1) / 20, 1 - step / STEPS))
        loss = loss_of(model, ids, torch.device("cpu"))
        loss.backward()
        found.append(float(loss.detach()))
        guard.step(model, optimizers, found[-1])
    return found


def measure() -> dict:
    found = [(seed, losses(seed)) for seed in (0, 0, 1)]
    return {
        "what": "loss of the first steps of pretraining, the smallest model, seeds 0, 0 again and 1",
        "steps": STEPS,
        "tokens_per_batch": TOKENS,
        "seed_0_twice_equal": found[0] == found[1],
        "runs": [{"seed": seed, "losses": [round(x, 4) for x in values]} for seed, values in found],
    }


def draw(result: dict) -> None:
    lines = (ROOT / "data" / "results" / "main.jsonl").read_text(encoding="utf-8").splitlines()
    grpo = sorted(
        (r for r in map(json.loads, lines) if r["kind"] == "grpo"), key=lambda r: r["seed"]
    )
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.7), layout="constrained")
    first, again, other = (run["losses"] for run in result["runs"])
    axes[0].plot(first, color=INK, linewidth=1, label="seed 0")
    axes[0].plot(
        range(0, len(again), 5),
        again[::5],
        "o",
        color=INK,
        markerfacecolor="white",
        markersize=3.5,
        linewidth=0,
        label="seed 0, again",
    )
    axes[0].plot(other, color=SOFT, linewidth=1, linestyle=DASHES[1], label="seed 1")
    for axis, key in ((axes[1], "reward"), (axes[2], "completions/mean_length")):
        for run, dash in zip(grpo, DASHES, strict=True):
            axis.plot(
                run["curves"][key],
                color=INK,
                linewidth=0.9,
                linestyle=dash,
                label=f"seed {run['seed']}",
            )
    titles = (
        "loss, nats a token\n(pretraining)",
        "mean reward\n(GRPO)",
        "mean length, tokens\n(the same GRPO)",
    )
    for axis, title in zip(axes, titles, strict=True):
        axis.set_title(title, fontsize=8.5, loc="left")
        axis.set_xlabel("step")
        axis.set_ylim(bottom=0)
        axis.legend(frameon=False, fontsize=7, handlelength=2.6)
    save(figure, Path(__file__).with_name("three_curves.png"))


if __name__ == "__main__":
    main(__file__, measure, draw)
