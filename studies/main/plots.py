"""The two plots of the main job, each three small panels. `scripts/figures.py` calls this.

Readable on paper and without colour: a seed is a thin line with a dash of its own, over the thick
line of their mean. What was rolled out in training is a line, what was measured on held-out
problems a marker, with the least and the greatest seed.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from PIL import Image

from minilrm.files import write_bytes_atomic

INK, SOFT, PALE, ACCENT = "#1a1a1a", "#6f6f6f", "#b4b4b4", "#b03a06"
DASHES = ((0, (1, 1.2)), (0, (4, 1.6)), (0, (7, 1.6, 1.4, 1.6)))
# panel: (title, key of the training curve, key of the evaluations)
THINKS = ("Completions that think", "completions/think_rate", "think_rate")
LENGTH = ("Mean length, tokens", "completions/mean_length", "mean_length")
ACCURACY = ("Accuracy, sampled at T = 1", "accuracy", "accuracy")
ENTROPY = ("Entropy, nats a token", "entropy", None)
STYLE = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw_main(grpo: dict[int, dict], path: Path) -> None:
    """The default run."""
    steps = min(len(record["tokens"]) for record in grpo.values())
    save(draw(grpo, (THINKS, LENGTH, ACCURACY), steps), path)


def draw_hold(hold: dict[int, dict], path: Path) -> None:
    """The long run, the training batches smoothed; a line marks where the default run ends."""
    steps = min(len(record["tokens"]) for record in hold.values())
    figure = draw(hold, (ACCURACY, LENGTH, ENTROPY), steps, smooth=max(1, steps // 50))
    end = min(record["steps"] for record in hold.values())
    for axes in figure.axes:
        axes.axvline(end, color=SOFT, linewidth=0.8, zorder=0)
    figure.axes[0].annotate(
        "make grpo ends", (end, 0.06), (4, 0), textcoords="offset points", color=SOFT, fontsize=8
    )
    save(figure, path)


def draw(runs: dict[int, dict], panels: Sequence[tuple], steps: int, smooth: int = 1) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 3.1), layout="constrained")
        for place, (title, curve, evaluated) in enumerate(panels, start=1):
            axes = figure.add_subplot(1, len(panels), place)
            draw_seeds(axes, {seed: r["curves"][curve][:steps] for seed, r in runs.items()}, smooth)
            if evaluated:
                draw_evaluations(axes, [r["evals"] for r in runs.values()], evaluated, steps)
            finish(axes, title, steps, share=evaluated in ("think_rate", "accuracy"))
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=len(labels),
            frameon=False,
            handlelength=3,
        )
    return figure


def draw_seeds(axes: Axes, curves: dict[int, list], smooth: int) -> None:
    """Batch i was rolled out after i updates."""
    table = np.array(
        [[np.nan if v is None else v for v in values] for values in curves.values()], dtype=float
    )
    table = np.array([running_mean(row, smooth) for row in table])
    for row, (seed, dash) in zip(
        table, zip(curves, DASHES * len(curves), strict=False), strict=True
    ):
        axes.plot(row, color=INK, linewidth=0.9, linestyle=dash, label=f"seed {seed}")
    if len(table) > 1:
        axes.plot(
            table.mean(0), color=PALE, linewidth=3.6, zorder=1.5, label="mean, training batches"
        )


def running_mean(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of `width` neighbours at each side's reach; fewer at the ends."""
    if width < 2:
        return values
    kernel = np.ones(width)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def draw_evaluations(axes: Axes, evals: Sequence[list[dict]], key: str, steps: int) -> None:
    """Mean over the seeds on held-out problems, at the steps where all were evaluated."""
    by_step = [
        {e["step"]: e[key] for e in seed if e["step"] <= steps and e.get(key) is not None}
        for seed in evals
    ]
    shared = sorted(set.intersection(*map(set, by_step)))
    values = np.array([[seed[step] for step in shared] for seed in by_step], dtype=float)
    if shared:
        mean = values.mean(0)
        axes.errorbar(
            shared,
            mean,
            yerr=[mean - values.min(0), values.max(0) - mean],
            color=ACCENT,
            linestyle="none",
            marker="o",
            markersize=4.5,
            markerfacecolor="white",
            markeredgewidth=1.3,
            elinewidth=1.2,
            capsize=2.5,
            label="mean, validation (least to greatest seed)",
            zorder=5,
        )


def finish(axes: Axes, title: str, steps: int, share: bool) -> None:
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("step")
    axes.set_xlim(-0.02 * steps, 1.02 * steps)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#bbbbbb", linewidth=0.5)
    axes.set_axisbelow(True)
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        axes.set_ylim(0, 1.03)
    else:
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])  # a cut axis makes small changes look large


def save(figure: Figure, path: Path) -> None:
    """A PNG of few colours: small, and the same bytes for the same figures."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, facecolor="white", metadata={"Software": None})
    picture = Image.open(buffer).convert("RGB").quantize(48, dither=Image.Dither.NONE)
    small = io.BytesIO()
    picture.save(small, format="PNG", optimize=True)
    write_bytes_atomic(path, small.getvalue())
