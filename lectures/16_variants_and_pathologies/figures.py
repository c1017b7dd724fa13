"""The figures and numbers of lecture 16: what the variants weigh, and eight recorded runs.

    python lectures/16_variants_and_pathologies/figures.py             numbers and figures, seconds of one core
    python lectures/16_variants_and_pathologies/figures.py --record    first record the eight runs anew: minutes of one core

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

import matplotlib.pyplot as plt
import torch
from matplotlib.ticker import MaxNLocator

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import machine, objectives
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent

RECORDINGS = HERE / "recordings"
COMMON = "--threads 1 --prompts 6 --group-size 8 --eval-n 1 --eval-every 1000 --save-every 1000 --warmup 2"
RUNS = {  # letter -> the options besides; they prevail over those that are common
    "a": "--task gsm8k-mini --style cot --max-new-tokens 40 --steps 8",
    "b": "--task gsm8k-mini --steps 20 --lr 0.0005",
    "c": "--task multiplication --init gsm8k-mini-base --steps 6 --max-new-tokens 96 --reward accuracy=1",
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
    figure, axes = plt.subplots(1, 3, figsize=(6.8, 2.6), layout="constrained")
    for axis, a in zip(axes[:2], (1, -1), strict=True):
        for objective, style, width in (
            ("cispo", "-", 3.0),
            ("dapo", "--", 1.4),
            ("grpo", "-", 1.0),
        ):
            axis.plot(
                result["ratios"],
                result["gradient"][f"{objective}, A = {a:+d}"],
                style,
                linewidth=width,
                color="#aaaaaa" if objective == "cispo" else "black",
                label={"grpo": "clip 0.2", "dapo": "clip-higher", "cispo": "CISPO"}[objective],
            )
        axis.set(xlabel="ratio", title=f"A = {a:+d}".replace("-", "−"))
    axes[0].set(ylabel="gradient on log p", ylim=(-0.08, 1.75))
    axes[1].set(ylim=(-1.75, 0.08))
    axes[0].legend(frameon=False, loc="upper left", fontsize=7.5)
    lengths = range(20, 201, 5)
    for how, style, width in (
        ("sequence", "k-", 1.2),
        ("token", "k--", 1.2),
        ("constant", "k:", 3.0),
    ):
        axes[2].plot(
            lengths, [weight_of(n, how) for n in lengths], style, linewidth=width, label=how
        )
    axes[2].set(
        xlabel="length of an answer",
        ylabel="weight of its tokens",
        ylim=(0, 2.6),
        title="three averages",
    )
    axes[2].legend(frameon=False, fontsize=7.5)
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
    figure, axes = plt.subplots(2, 4, figsize=(6.8, 3.4), layout="constrained", sharey=True)
    lines = {
        "accuracy": ("k-", 1.6),
        "reward": ("k:", 1.4),
        "cut": ("k-.", 0.9),
        "dull": ("k--", 0.9),
    }
    for letter, axis in zip(RUNS, axes.flat, strict=True):
        metrics = json.loads((RECORDINGS / f"{letter}.json").read_text(encoding="utf-8"))["metrics"]
        steps = range(1, len(metrics["accuracy"]) + 1)
        entropy = [min(1.0, e / 0.4) for e in metrics["entropy"]]
        axis.fill_between(
            steps, entropy, color="#dddddd", linewidth=0, label="entropy (1: 0.4 nats)"
        )
        for name, (style, width) in lines.items():
            axis.plot(steps, metrics[name], style, linewidth=width, label=name)
        axis.set_title(letter, loc="left", fontweight="bold", pad=2)
        axis.set(ylim=(-0.03, 1.13), xlim=(1, max(steps)))
        axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    for axis in axes[1]:
        axis.set_xlabel("step")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(),
        frameon=False,
        loc="outside upper center",
        ncols=5,
        fontsize=7.5,
    )
    save(figure, path)


def draw(result: dict) -> None:
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    draw_variants(result, HERE / "variants.png")
    draw_recordings(HERE / "recordings.png")


if __name__ == "__main__":
    if "--record" in sys.argv:
        RECORDINGS.mkdir(exist_ok=True)
        for letter in RUNS:
            record(letter)
    main(__file__, measure, draw)
