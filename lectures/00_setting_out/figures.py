"""The figure of lecture 0: three curves, out of data/results/lecture-00.json and main.jsonl.

    python lectures/00_setting_out/figures.py            measure (ten seconds of one core), and draw
    python lectures/00_setting_out/figures.py --draw     only draw what was measured

The loss is measured here: a model of the smallest size reads 60 batches, with seed 0, with seed 0
again, and with seed 1. Reward and length are those of the main job's three runs of GRPO.
"""

import itertools
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import corpus, curves, machine
from minilrm.curves import LOOKS
from minilrm.model import SCALES, Transformer
from minilrm.optim import Guard, pretraining_optimizers, set_lr
from minilrm.pretrain import Reader, loss_of
from minilrm.tokenizer import Tokenizer
from studies.lecture import main, main_study, save

STEPS, TOKENS = 60, 768  # optimizer steps; tokens in a batch


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
        "what": "loss of the first steps of pretraining, the smallest model, seeds 0, 0 again and "
        "1",
        "steps": STEPS,
        "tokens_per_batch": TOKENS,
        "seed_0_twice_equal": found[0] == found[1],
        "runs": [{"seed": seed, "losses": [round(x, 4) for x in values]} for seed, values in found],
    }


def draw(result: dict) -> None:
    """Three panels, and their key in the fourth place."""
    figure, (loss, reward, length) = curves.panels(3)
    first, again, other = (run["losses"] for run in result["runs"])
    curves.line(loss, range(len(first)), first, LOOKS[0], "seed 0", marker="")
    hollow = {"linestyle": "none", "markerfacecolor": "white", "markevery": 1}
    curves.line(
        loss, range(0, len(again), 6), again[::6], LOOKS[0], "seed 0, again (loss)", **hollow
    )
    curves.line(loss, range(len(other)), other, LOOKS[1], "seed 1", marker="")
    curves.frame(loss, "Pretraining: loss", x="step", y="nats per token")
    for axes, key in ((reward, "reward"), (length, "completions/mean_length")):
        for run, look in zip(main_study("grpo"), LOOKS, strict=False):
            words = "seed 2 (GRPO)" if run["seed"] == 2 and axes is reward else ""
            values = run["curves"][key]
            curves.line(axes, range(len(values)), values, look, words, marker="", linewidth=1.2)
    curves.frame(reward, "GRPO: mean reward", x="step")
    curves.frame(length, "GRPO: mean length", x="step", y="tokens")
    handles = [h for axes in (loss, reward) for h in axes.get_legend_handles_labels()[0]]
    figure.axes[-1].legend(handles=handles, loc="center", labelspacing=1)
    save(figure, Path(__file__).with_name("three_curves.png"))


if __name__ == "__main__":
    main(__file__, measure, draw)
