"""The figures and numbers of lecture 16: what the variants weigh, and eight recorded runs.

    python lectures/16_variants_and_pathologies/figures.py             measure (seconds), and draw
    python lectures/16_variants_and_pathologies/figures.py --draw      only draw what was measured
    python lectures/16_variants_and_pathologies/figures.py --record    first record the eight runs
                                                                       anew: minutes of one core

Writes data/results/lecture-16.json and, from it and from recordings/, variants.png and
recordings.png in this folder. A recording holds the metrics that the lecture needs of one short run
of `python -m minilrm.grpo`, with its command.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from matplotlib.ticker import MaxNLocator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import curves, machine, objectives
from minilrm.curves import LOOKS, REFERENCE
from minilrm.files import read_json
from studies.lecture import ROOT, main, save

HERE = Path(__file__).resolve().parent

RECORDINGS = HERE / "recordings"
COMMON = (
    "--threads 1 --prompts 6 --group-size 8 --eval-n 1 --eval-every 1000 --save-every 1000 "
    "--warmup 2"
)
RUNS = {  # letter -> the options besides; they prevail over those that are common
    "a": "--task gsm8k-mini --style cot --max-new-tokens 40 --steps 8",
    "b": "--task gsm8k-mini --steps 20 --lr 0.0005",
    "c": "--task multiplication --init gsm8k-mini-base --steps 6 --max-new-tokens 96 "
    "--reward accuracy=1",
    "d": "--task gsm8k-mini --steps 16 --lr 0.001",
    "e": "--task gsm8k-mini --steps 16 --lr 0.02 --warmup 0 --prompts 8 --eval-n 8",
    "f": "--task gsm8k-mini --reward format=1 --steps 16 --lr 0.0005",
    "g": "--task gsm8k-mini --style cot --temperature 0.3 --reward accuracy=1 --steps 8",
    "h": "--task gsm8k-mini --steps 6 --updates 4 --epochs 4 --lr 0.002",
}
KEPT = {
    "reward": "reward",
    "accuracy": "accuracy",
    "entropy": "entropy",
    "mean_length": "completions/mean_length",
    "cut": "completions/clipped_ratio",
    "dull": "frac_reward_zero_std",
    "grad_norm": "grad_norm",
    "clipped": "clip_ratio/region_mean",
}
GROUP = 8


# -- recording -------------------------------------------------------------------------------------


def command(letter: str) -> str:
    """The command of a run; each option has one value."""
    common, own = (
        dict(zip(words[::2], words[1::2], strict=True))
        for words in (COMMON.split(), RUNS[letter].split())
    )
    return "python -m minilrm.grpo " + " ".join(
        f"{name} {value}" for name, value in (common | own).items()
    )


def record(letter: str) -> None:
    """One run in a folder of its own; of its log stays what KEPT names. A step without any gradient
    has clipped nothing: 0."""
    words = command(letter)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        subprocess.run(
            [sys.executable, *shlex.split(words)[1:], "--out", str(out)],
            cwd=ROOT,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        keep(letter, out, words)


def keep(letter: str, out: Path, words: str) -> None:
    lines = [
        json.loads(line)
        for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    steps = [line for line in lines if line["event"] == "train"]
    metrics = {
        name: [round(step.get(key) or 0.0, 4) for step in steps] for name, key in KEPT.items()
    }
    content = {
        "command": words,
        "seed": 0,
        "machine": machine.describe("cpu"),
        "steps": len(steps),
        "metrics": metrics,
    }
    (RECORDINGS / f"{letter}.json").write_text(
        json.dumps(content, indent=1) + "\n", encoding="utf-8"
    )


# -- numbers ---------------------------------------------------------------------------------------


def gradient_weight(objective: str, ratio: float, advantage: float) -> float:
    """Gradient of the maximised term with respect to logp, for one token."""
    _, low, high = objectives.OBJECTIVES[objective]
    logp = torch.tensor([[ratio]], dtype=torch.float64).log().requires_grad_(True)
    term = objectives.surrogate_terms(
        logp, logp.exp(), torch.tensor([[advantage]]), objective, 1 - low, 1 + high
    )
    return torch.autograd.grad(term.sum(), logp)[0].item()


def measure() -> dict:
    ratios = [round(0.5 + 0.01 * i, 2) for i in range(101)]
    rights = list(range(1, GROUP))
    rewards = torch.tensor([[1.0] * c + [0.0] * (GROUP - c) for c in rights], dtype=torch.float64)
    push = {
        how: objectives.group_advantages(rewards, how).abs().sum(1).tolist()
        for how in ("std", "none")
    }
    return {
        "ratios": ratios,
        "gradient": {
            f"{o}, A = {a:+.0f}": [round(gradient_weight(o, r, a), 4) for r in ratios]
            for o in ("grpo", "dapo", "cispo")
            for a in (1.0, -1.0)
        },
        "sum of |A|, by right answers of 8": {
            how: [round(x, 4) for x in values] for how, values in push.items()
        },
        "share of groups that teach": {
            str(p): round(1 - p**GROUP - (1 - p) ** GROUP, 4)
            for p in (0.02, 0.1, 0.5, 0.9, 0.95, 0.99)
        },
    }


# -- drawing ---------------------------------------------------------------------------------------


def draw_variants(result: dict, path: Path) -> None:
    """The gradient of one token against its ratio, and the weight of a token by its answer's
    length."""
    figure, (positive, negative, weights) = curves.panels(3)
    for axes, a in ((positive, 1), (negative, -1)):
        for objective, look, label, width in (
            ("cispo", LOOKS[2], "CISPO", 3.2),
            ("dapo", LOOKS[1], "clip-higher", 1.8),
            ("grpo", LOOKS[0], "clip 0.2", 1.2),
        ):
            values = result["gradient"][f"{objective}, A = {a:+d}"]
            how = {"marker": "", "linewidth": width}
            curves.line(axes, result["ratios"], values, look, label, **how)
        curves.frame(axes, f"A = {a:+d}".replace("-", "−"), x="ratio", y="gradient on log p")
    positive.set_ylim(-0.08, 1.75)
    negative.set_ylim(-1.75, 0.08)
    positive.legend(loc="upper left")
    lengths = range(20, 201, 5)
    for how, look in (("sequence", LOOKS[0]), ("token", LOOKS[1]), ("constant", LOOKS[2])):
        curves.line(weights, lengths, [weight_of(n, how) for n in lengths], look, how)
    curves.frame(weights, "Three averages", x="length of an answer", y="weight of its tokens")
    figure.axes[-1].legend(*weights.get_legend_handles_labels(), loc="center", title="averages")
    save(figure, path)


def weight_of(length: int, how: str) -> float:
    """Weight of one token of an answer beside one of 100 tokens, over that of a token there.
    (constant: max_length 200)"""
    values, mask = torch.zeros(2, 200), torch.zeros(2, 200)
    mask[0, :length], mask[1, :100] = 1, 1
    values[0, 0] = 1
    mine = objectives.aggregate(values, mask, how, max_length=200)
    return float(mine / objectives.aggregate(values.flip(0), mask, how, max_length=200))


def draw_recordings(path: Path) -> None:
    """Eight runs, five curves each and their entropy as an area."""
    figure, panels = curves.panels(len(RUNS), height=1.7, sharey=True)
    names = ("accuracy", "reward", "cut", "dull", "clipped")
    looks = dict(zip(names, LOOKS, strict=False))
    for letter, axes in zip(RUNS, panels, strict=True):
        metrics = read_json(RECORDINGS / f"{letter}.json")["metrics"]
        steps = range(1, len(metrics["accuracy"]) + 1)
        entropy = [min(1.0, e / 0.4) for e in metrics["entropy"]]
        grey = {"color": REFERENCE.color, "alpha": 0.25, "linewidth": 0}
        axes.fill_between(steps, entropy, label="entropy (1: 0.4 nats)", **grey)
        for metric, look in looks.items():
            if metric == "clipped" and not any(metrics[metric]):
                continue  # one optimizer step on each batch, as in all but one of them
            curves.line(axes, steps, metrics[metric], look, metric, linewidth=1.3, markersize=4)
        axes.set_title(letter)
        axes.set(ylim=(-0.03, 1.13))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axes in panels[-2:]:
        axes.set_xlabel("step")
    curves.key(figure, columns=3)
    save(figure, path)


def draw(result: dict) -> None:
    draw_variants(result, HERE / "variants.png")
    draw_recordings(HERE / "recordings.png")


if __name__ == "__main__":
    if "--record" in sys.argv:
        RECORDINGS.mkdir(exist_ok=True)
        for letter in RUNS:
            record(letter)
    main(__file__, measure, draw)
