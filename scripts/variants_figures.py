"""The variant study's numbers as one table and one figure. `scripts/study_variants.py table` calls
this; nothing is computed here. The figure tells its arms apart by place and its measures by marker,
so it needs no colour."""

from pathlib import Path

import matplotlib
import numpy as np
from figures_plots import INK, PALE, STYLE, save
from figures_text import DASH, MISSING, points, show, table
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def significant(difference: dict | None) -> str:
    if difference is None:
        return DASH
    return {None: f"{len(difference['each'])} seeds only", True: "yes", False: "no"}[
        difference["significant"]
    ]


def row(name: str, change: str, f: dict | None) -> list[str]:
    if f is None:
        return [name, change, MISSING, *[DASH] * 9]
    seeds = [c["value"] for c in f["seeds"].values()]
    return [
        name,
        change,
        show(f["sampled"]),
        f"{100 * min(seeds):.1f} to {100 * max(seeds):.1f}",
        show(f["greedy"]),
        show(f["against default"], points),
        significant(f["against default"]),
        thirds(f["on the way"]),
        length(f["length right"]),
        length(f["length wrong"]),
        length(f["length wrong, not cut"]),
        f"{1000 * f['cut']:.0f}",
    ]


def thirds(way: list[float] | None) -> str:
    """Accuracy of the rollouts after a third of the tokens, after two thirds, and at the end: each
    with its neighbours."""
    return (
        DASH
        if way is None
        else ", ".join(f"{100 * np.mean(way[i - 1 : i + 2]):.0f}" for i in (4, 9, 14))
    )


def length(c: dict) -> str:
    if c["value"] is None:
        return f"too few (n = {c['n']})"
    return f"{c['value']:.1f} ({c['ci'][0]:.1f} to {c['ci'][1]:.1f})"


def tables(s: dict) -> str:
    """The table in Markdown, one part a task, and pass@k."""
    head = (
        "arm",
        "what is other",
        "right, T = 1",
        "seeds",
        "greedy",
        "less the default, points",
        "a difference?",
        "rollouts right after 1/3, 2/3, all tokens, %",
        "tokens, right answers",
        "tokens, wrong answers",
        "wrong ones that were not cut",
        "cut, of 1,000",
    )
    parts = [
        f"Test, n = {s['n']}, {len(s['seeds'])} seeds, {s['tokens']:,} generated tokens a run. In brackets: 95 % "
        f"intervals by bootstrap over problems, seeds averaged. A difference: the interval does not hold 0, and "
        f"all seeds have the same sign. Of {len(s['arms']) - 1} comparisons one in twenty would pass the first test "
        "by chance."
    ]
    for task, found in s["tasks"].items():
        shown = {
            arm: found["arms"].get(arm)
            for arm in s["arms"]
            if task == s["task"] or arm in found["arms"]
        }
        order = sorted(
            shown, key=lambda arm: -(shown[arm]["sampled"]["value"] if shown[arm] else -1)
        )
        parts += [
            f"**{task}**",
            table(
                head,
                [
                    row("base", "before RL", found["base"]),
                    *(row(arm, s["arms"][arm], shown[arm]) for arm in order),
                ],
            ),
        ]
    return "\n\n".join([*parts, pass_table(s["pass_at_k"])])


def pass_table(found: dict | None) -> str:
    if not found:
        return f"pass@k of the base against RL: {MISSING}."
    rows = [
        [
            k,
            show(f["base"]),
            show(f["RL"]),
            show(f["RL - base"], points),
            significant(f["RL - base"]),
        ]
        for k, f in found.items()
    ]
    k, last = max(found, key=int), found[max(found, key=int)]["RL - base"]
    low, high = (100 * end for end in last["ci"])
    words = (
        "RL reaches more than its base did"
        if low > 0
        else "RL reaches less than its base did"
        if high < 0
        else f"no difference is shown: {low:+.1f} to {high:+.1f} points are possible"
    )
    return (
        f"**pass@k, the default arm (RL) against its base** (n = {last['n']})\n\n"
        + table(("k", "base", "RL", "RL less base, points", "a difference?"), rows)
        + f"\n\nDoes RL only sharpen? With {k} samples a problem {words}."
    )


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
