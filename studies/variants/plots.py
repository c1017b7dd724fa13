"""The variant study's figure; `python -m studies.variants.figures` calls this."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from minilrm import curves
from minilrm.curves import LOOKS, REFERENCE
from minilrm.files import write_bytes_atomic
from studies.markdown import MISSING

LENGTHS = {  # of which answers: its name in the key, its look
    "length right": ("right", LOOKS[0]),
    "length wrong": ("wrong", LOOKS[1]),
    "length wrong, not cut": ("wrong, not cut\nat the limit", LOOKS[2]),
}
ON_THE_WAY = ("grpo", "std-off", "token-mean", "dr_grpo", "ppo")
SEEDS_BELOW = 0.3  # of a row: where the seeds stand under their mean


@curves.style()
def draw(s: dict, path: Path) -> None:
    """Accuracy of each arm, the lengths of its right and wrong answers, accuracy on the way, and
    pass@k."""
    arms = s["tasks"][s["task"]]["arms"]
    order = sorted(arms, key=lambda arm: arms[arm]["sampled"]["value"])
    rows = 0.26 * max(8, len(order)) + 1.1  # inches
    figure, (left, middle, way, right) = curves.panels(
        4, height=(rows + 2.7) / 2, height_ratios=(rows, 2.7), width_ratios=(1.15, 1)
    )
    draw_accuracy(left, arms, order, s["default"])
    draw_lengths(middle, arms, order)
    draw_way(way, arms, s["tokens"])
    draw_pass(right, s["pass_at_k"])
    write_bytes_atomic(path, curves.png(figure))


def draw_accuracy(axes: Axes, arms: dict, order: list[str], default: str) -> None:
    """A row per arm: its mean with the interval, and below it the seeds."""
    for y, arm in enumerate(order):
        found, blue = arms[arm], LOOKS[0].color
        apart = (found["against default"] or {}).get("significant")
        low, high = (100 * end for end in found["sampled"]["ci"])
        seeds = [100 * c["value"] for c in found["seeds"].values()]
        axes.plot([low, high], [y, y], "-", color=blue, linewidth=1.3)
        face = blue if apart else "white"
        axes.plot(100 * found["sampled"]["value"], y, "D", color=blue, markerfacecolor=face)
        below = [y - SEEDS_BELOW] * len(seeds)
        axes.plot(seeds, below, ".", color=REFERENCE.color, markersize=4, linestyle="none")
    if default in arms:
        low, high = (100 * end for end in arms[default]["sampled"]["ci"])
        axes.axvspan(low, high, color=REFERENCE.color, alpha=0.15, zorder=0, linewidth=0)
    curves.frame(axes, "Right at T = 1, %")
    axes.set_xlabel("band: interval of the default;\nfilled: differs from it; dots: seeds")
    rows_of_arms(axes, order)


def draw_lengths(axes: Axes, arms: dict, order: list[str]) -> None:
    """A row per arm: how long its right and its wrong answers are."""
    for y, arm in enumerate(order):
        for measure, (label, look) in LENGTHS.items():
            found = arms[arm][measure]
            if found["value"] is not None:
                axes.plot(found["ci"], [y, y], "-", color=look.color, linewidth=1, alpha=0.7)
                how = {"color": look.color, "markerfacecolor": "white", "linestyle": "none"}
                axes.plot(found["value"], y, look.marker, label=label if y == 0 else "_", **how)
    curves.frame(axes, "Tokens per answer")
    rows_of_arms(axes, [""] * len(order))
    if axes.get_legend_handles_labels()[0]:
        how = {"handlelength": 1, "labelspacing": 0.3, "borderpad": 0}
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=2, **how)


def rows_of_arms(axes: Axes, names: list[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(-0.7, len(names) - 0.4)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)


def draw_way(axes: Axes, arms: dict, tokens: int) -> None:
    """Who is ahead depends on when one looks."""
    thousands = tokens / 1000 * np.arange(1, 16) / 15
    for arm, look in zip(ON_THE_WAY, LOOKS, strict=False):
        if way := arms.get(arm, {}).get("on the way"):
            curves.line(axes, thousands, 100 * np.array(way), look, arm)
    curves.frame(axes, "Rollouts right, %", x="generated tokens, thousands")
    curves.label_ends(axes)


def draw_pass(axes: Axes, found: dict | None) -> None:
    title = "pass@k, %"
    if not found:
        curves.frame(axes, title)
        axes.text(0.5, 0.5, MISSING, ha="center", transform=axes.transAxes)
        return
    ks = [int(k) for k in found]
    for arm, look in (("base", LOOKS[1]), ("RL", LOOKS[0])):
        values = [100 * f[arm]["value"] for f in found.values()]
        ends = [[100 * end for end in f[arm]["ci"]] for f in found.values()]
        curves.intervals(axes, ks, values, ends, look, linestyle="none", marker="")
        curves.line(axes, ks, values, look, arm)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, map(str, ks))
    curves.frame(axes, title, x="k, samples per problem")
    curves.label_ends(axes)
