"""The two plots of the aha experiment. `scripts/figures_aha.py` calls this.

Readable on paper and without colour: an arm has a dash and a marker of its own. A line is the mean
of the seeds over the training batches; a marker's bar reaches from the least seed to the greatest.
"""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter



ARMS = {  # arm: (its name in the legend, dash, marker)
    "seeded": ("seeded base, T = 1", "-", "o"),
    "hot": ("seeded base, T = 1.25", (0, (6, 2)), "s"),
    "unseeded": ("base without reflection", (0, (1, 1.5)), "^"),
    "shuffled": ("seeded base, rewards shuffled", (0, (6, 2, 1, 2)), "x"),
}
PANELS = (
    ("Answer right", "accuracy"),
    ("First try right", "reflection/first_try_accuracy"),
    ("Tries again after failing", "reflection/retry_rate"),
    ("Mean length, tokens", "completions/mean_length"),
)
MARKERS = 5  # a line


def draw_arms(results: dict[str, dict], path: Path) -> None:
    """A row of panels a task. `results`: task -> {arm: {seed: part}}."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 0.5 + 2.7 * len(results)), layout="constrained")
        table = figure.subplots(len(results), len(PANELS), squeeze=False)
        for line, (task, kinds) in zip(table, results.items(), strict=True):
            for axes, (title, curve) in zip(line, PANELS, strict=True):
                for place, arm in enumerate(ARMS):
                    if kinds[arm]:
                        draw_arm(
                            axes,
                            arm,
                            [part["curves"][curve] for part in kinds[arm].values()],
                            place,
                        )
                finish(axes, title, share=curve != "completions/mean_length")
            line[0].set_ylabel(task, fontweight="bold")
        handles = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(),
            handles.keys(),
            loc="outside lower center",
            ncols=len(handles),
            frameon=False,
            handlelength=4,
        )
        save(figure, path)


def draw_arm(axes: Axes, arm: str, curves: list[list], place: int) -> None:
    """`place` sets the arms' markers apart, so that none hides another."""
    steps = min(map(len, curves))
    rows = np.array(
        [[np.nan if v is None else v for v in curve[:steps]] for curve in curves], dtype=float
    )
    rows = np.array([running_mean(row, max(1, steps // 30)) for row in rows])
    name, dash, marker = ARMS[arm]
    axes.plot(rows.mean(0), color=INK, linewidth=1.1, linestyle=dash)
    at = np.unique(
        np.linspace(0, steps - 1, MARKERS + 1).astype(int)[:-1]
        + place * max(0, steps // (MARKERS * len(ARMS)))
    )
    at = at[at < steps]
    middle = rows.mean(0)[at]
    ends = np.maximum(0, [middle - rows.min(0)[at], rows.max(0)[at] - middle])
    axes.errorbar(
        at,
        middle,
        yerr=ends,
        color=INK,
        linestyle="none",
        marker=marker,
        markersize=5,
        markerfacecolor="white",
        elinewidth=0.8,
        capsize=2,
    )
    axes.plot(
        [],
        [],
        color=INK,
        linewidth=1.1,
        linestyle=dash,
        marker=marker,
        markerfacecolor="white",
        label=name,
    )


def finish(axes: Axes, title: str, share: bool) -> None:
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel("step")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#bbbbbb", linewidth=0.5)
    axes.set_axisbelow(True)
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        axes.set_ylim(-0.02, 1.03)
    else:
        axes.set_ylim(0, 1.05 * axes.get_ylim()[1])  # a cut axis makes small changes look large


def draw_pretraining(tasks: dict[str, dict], path: Path) -> None:
    """Accuracy and retry rate by the share of reflecting writers in the corpus. `tasks`: as in
    aha.json."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(tasks) + 1, 3.4), layout="constrained")
        for axes, (task, shares) in zip(
            figure.subplots(1, len(tasks), squeeze=False)[0], tasks.items(), strict=True
        ):
            x = np.array([float(share) for share in shares])
            for name, dash, marker in (
                ("sampled, T = 1", "-", "o"),
                ("greedy", (0, (5, 2)), "s"),
                ("tries again after failing", (0, (1, 1.5)), "^"),
            ):
                values = [
                    [figure_of(seed, name) for seed in found["seeds"].values()]
                    for found in shares.values()
                ]
                known = [[v for v in row if v is not None] for row in values]
                axes.plot(
                    x,
                    [np.mean(row) if row else np.nan for row in known],
                    color=INK,
                    linestyle=dash,
                    linewidth=1.1,
                    marker=marker,
                    markersize=6,
                    markerfacecolor="white",
                    label=name,
                )
                for share, row in zip(x, known, strict=True):  # the seeds
                    axes.plot(
                        [share] * len(row),
                        row,
                        color=INK,
                        marker=marker,
                        markersize=2.5,
                        linestyle="none",
                    )
            finish(axes, task, share=True)
            axes.set_xlabel("share of writers who go on after a failed attempt")
            axes.set_xticks(x)
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=3,
            frameon=False,
            handlelength=4,
        )
        save(figure, path)


def figure_of(seed: dict, name: str) -> float | None:
    return {"sampled, T = 1": seed["accuracy"], "greedy": seed["greedy"]}.get(
        name, seed["retry_rate"]["rate"]
    )
