"""The variant study's figure; `python -m studies.variants.figures` calls this."""

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


from studies.markdown import MISSING


def draw(s: dict, path: Path) -> None:
    """Accuracy of each arm, the lengths of its right and wrong answers, and pass@k: by markers, not
    by colour."""
    arms = s["tasks"][s["task"]]["arms"]
    order = sorted(arms, key=lambda arm: arms[arm]["sampled"]["value"])
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.6 + 0.28 * max(8, len(order))), layout="constrained")
        (left, middle), (way, right) = figure.subplots(
            2, 2, width_ratios=(1.5, 1), height_ratios=(0.3 * max(8, len(order)), 3)
        )
        for y, arm in enumerate(order):
            f = arms[arm]
            (low, high), apart = f["sampled"]["ci"], (f["against default"] or {}).get("significant")
            left.plot([100 * low, 100 * high], [y, y], color=INK, linewidth=1)
            left.plot(
                100 * f["sampled"]["value"],
                y,
                "D",
                color=INK,
                markersize=7,
                markerfacecolor=INK if apart else "white",
            )
            for marker, c in zip("osv" * len(f["seeds"]), f["seeds"].values(), strict=False):
                left.plot(
                    100 * c["value"],
                    y - 0.28,
                    marker,
                    color=INK,
                    markersize=3,
                    markerfacecolor="white",
                )
            for name, marker in (
                ("length right", "o"),
                ("length wrong", "x"),
                ("length wrong, not cut", "|"),
            ):
                if f[name]["value"] is not None:
                    middle.plot(f[name]["ci"], [y, y], color=INK, linewidth=0.8)
                    middle.plot(
                        f[name]["value"],
                        y,
                        marker,
                        color=INK,
                        markersize=6,
                        markerfacecolor="white",
                    )
        if s["default"] in arms:
            left.axvspan(
                *(100 * end for end in arms[s["default"]]["sampled"]["ci"]),
                color=PALE,
                alpha=0.4,
                zorder=0,
            )
        for axes, labels in ((left, order), (middle, [""] * len(order))):
            axes.set_yticks(range(len(order)), labels)
        left.set_title("Right at T = 1, %", loc="left", fontweight="bold")
        left.set_xlabel(
            "band: the default; filled: differs from it;\nsmall: seeds 0 o, 1 square, 2 triangle",
            fontsize=8,
        )
        middle.set_title("Tokens an answer", loc="left", fontweight="bold")
        middle.set_xlabel("o right   x wrong   | wrong, without those cut at the limit", fontsize=8)
        draw_way(way, arms, s["tokens"])
        draw_pass(right, s["pass_at_k"])
        for axes in (left, middle, way, right):
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(axis="x", color="#dddddd", linewidth=0.5)
        save(figure, path)


def draw_way(axes: Axes, arms: dict, tokens: int) -> None:
    """Who is ahead depends on when one looks."""
    axes.set_title("Rollouts right while training, %", loc="left", fontweight="bold")
    axes.set_xlabel("generated tokens, thousands")
    for arm, style in (
        ("grpo", "o-"),
        ("std-off", "v-"),
        ("token-mean", "o--"),
        ("dr_grpo", "v--"),
        ("ppo", "s:"),
    ):
        if way := arms.get(arm, {}).get("on the way"):
            axes.plot(
                tokens / 1000 * np.arange(1, 16) / 15,
                100 * np.array(way),
                style,
                color=INK,
                linewidth=1.2,
                markersize=4,
                markerfacecolor="white",
                label=arm,
            )
    if axes.lines:
        axes.legend(frameon=False, handlelength=4, fontsize=8)


def draw_pass(axes: Axes, found: dict | None) -> None:
    axes.set_title("One of k samples right, %", loc="left", fontweight="bold")
    if not found:
        axes.text(0.5, 0.5, MISSING, ha="center", transform=axes.transAxes)
        return
    ks = [int(k) for k in found]
    for name, style in (("base", "s--"), ("RL", "o-")):
        values = np.array([[f[name]["value"], *f[name]["ci"]] for f in found.values()]).T * 100
        ends = np.maximum(0, [values[0] - values[1], values[2] - values[0]])
        axes.errorbar(
            ks,
            values[0],
            yerr=ends,
            fmt=style,
            color=INK,
            markersize=5,
            linewidth=1,
            capsize=2,
            markerfacecolor="white",
            label=name,
        )
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, map(str, ks))
    axes.set_xlabel("k")
    axes.legend(frameon=False, handlelength=3)
