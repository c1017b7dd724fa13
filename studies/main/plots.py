"""The two plots of the main job. `studies/main/figures.py` calls this.

A band is the three seeds' training batches with their mean; a marker is the mean of the seeds on
held-out problems, with the least and the greatest seed.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minilrm import curves
from minilrm.files import write_bytes_atomic

TRAINING, VALIDATION = curves.LOOKS[0], curves.LOOKS[1]
# panel: (title, key of the training curve, key of the evaluations)
THINKS = ("Completions that think", "completions/think_rate", "think_rate")
LENGTH = ("Mean length, tokens", "completions/mean_length", "mean_length")
ACCURACY = ("Accuracy at T = 1", "accuracy", "accuracy")
ENTROPY = ("Entropy, nats per token", "entropy", None)
SHARES = ("think_rate", "accuracy")


@curves.style()
def draw_main(grpo: dict[int, dict], path: Path) -> None:
    """The default run."""
    steps = min(len(record["tokens"]) for record in grpo.values())
    write_bytes_atomic(path, curves.png(draw(grpo, (THINKS, LENGTH, ACCURACY), steps)))


@curves.style()
def draw_hold(hold: dict[int, dict], path: Path) -> None:
    """The long run, the training batches smoothed; a line marks where the default run ends."""
    steps = min(len(record["tokens"]) for record in hold.values())
    figure = draw(hold, (ACCURACY, LENGTH, ENTROPY), steps, reach=max(1, steps // 100))
    end = min(record["steps"] for record in hold.values())
    for axes in figure.axes[:3]:
        axes.axvline(end, color=curves.REFERENCE.color, linewidth=0.9, zorder=0)
    figure.axes[0].annotate(
        "make grpo\nends here",
        (end, 0.06),
        (5, 0),
        textcoords="offset points",
        color=curves.REFERENCE.ink,
    )
    write_bytes_atomic(path, curves.png(figure))


def draw(runs: dict[int, dict], shown: Sequence[tuple], steps: int, reach: int = 0) -> Figure:
    """Three panels, and the key in the fourth place."""
    figure, panels = curves.panels(len(shown))
    for axes, (title, curve, evaluated) in zip(panels, shown, strict=True):
        rows = [np.array(r["curves"][curve][:steps], dtype=float) for r in runs.values()]
        rows = [curves.smoothed(row, reach) if reach else row for row in rows]
        words = f"training batches, mean of\n{len(rows)} seeds (band: least to greatest)"
        curves.band(axes, range(steps), rows, TRAINING, words, marker="", linewidth=1.4)
        if evaluated:
            draw_evaluations(axes, [r["evals"] for r in runs.values()], evaluated, steps)
        curves.frame(axes, title, x="step", share=evaluated in SHARES)
        axes.set_xlim(-0.02 * steps, 1.02 * steps)
    free = figure.axes[-1]
    free.legend(*panels[0].get_legend_handles_labels(), loc="center", labelspacing=1.2)
    return figure


def draw_evaluations(axes: Axes, evals: Sequence[list[dict]], key: str, steps: int) -> None:
    """Mean over the seeds on held-out problems, at the steps where all were evaluated."""
    by_step = [
        {e["step"]: e[key] for e in seed if e["step"] <= steps and e.get(key) is not None}
        for seed in evals
    ]
    if shared := sorted(set.intersection(*map(set, by_step))):
        values = np.array([[seed[step] for step in shared] for seed in by_step], dtype=float)
        curves.intervals(
            axes,
            shared,
            values.mean(0),
            zip(values.min(0), values.max(0), strict=True),
            VALIDATION,
            "held-out problems, the same",
            linestyle="none",
            markersize=4.5,
            markerfacecolor="white",
            markeredgewidth=1.3,
            zorder=5,
        )
