"""The curves of a run: small panels of what was logged, as an SVG in a page or as a PNG.

Readable without colour too: a look is a dash and a marker, and means the same thing in every panel.
"""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter


@dataclass(frozen=True)
class Panel:
    """One small plot: its curves are (look, event, key), and those that were not logged are left
    out."""

    title: str
    curves: tuple[tuple[str, str, str], ...]
    share: bool = False  # the values are shares of 1, shown in percent


LOOKS = {
    "training batches": {"color": "#2a78b8", "linestyle": "-", "linewidth": 1.7},
    "held out": {
        "color": "#d0590a",
        "linestyle": "-",
        "linewidth": 1.3,
        "marker": "o",
        "markersize": 4.5,
    },
    "held out, greedy": {
        "color": "#148f6b",
        "linestyle": "--",
        "linewidth": 1.3,
        "marker": "s",
        "markersize": 4,
    },
}
TRAIN, HELD_OUT, GREEDY = LOOKS
INK = "#2b2b2b"
ACCURACY = Panel(
    "Accuracy (95 % intervals)",
    ((TRAIN, "train", "accuracy"), (HELD_OUT, "eval", "accuracy"), (GREEDY, "eval", "greedy")),
    share=True,
)
THINKING = Panel(
    "Completions that think",
    ((TRAIN, "train", "completions/think_rate"), (HELD_OUT, "eval", "think_rate")),
    share=True,
)
LENGTH = Panel(
    "Mean length, tokens",
    ((TRAIN, "train", "completions/mean_length"), (HELD_OUT, "eval", "mean_length")),
)
REWARD = Panel("Reward", ((TRAIN, "train", "reward"),))
WHEN_REINFORCED = [
    REWARD,
    ACCURACY,
    THINKING,
    LENGTH,
    Panel("Entropy, nats a token", ((TRAIN, "train", "entropy"),)),
    Panel("Groups without variance", ((TRAIN, "train", "frac_reward_zero_std"),), share=True),
    Panel("KL to the reference", ((TRAIN, "train", "kl"),)),
    Panel("First try right", ((TRAIN, "train", "reflection/first_try_accuracy"),), share=True),
    Panel(
        "Tries again after a failed try", ((TRAIN, "train", "reflection/retry_rate"),), share=True
    ),
    Panel("Accepts a wrong attempt", ((TRAIN, "train", "reflection/false_accept"),), share=True),
    Panel("Variance that the critic explains", ((TRAIN, "train", "val/explained_variance"),)),
]
WHEN_FITTED = [
    Panel(
        "Loss", ((TRAIN, "train", "loss"), (HELD_OUT, "", "val_loss"), (HELD_OUT, "eval", "loss"))
    ),
    Panel("Learning rate", ((TRAIN, "train", "learning_rate"),)),
    ACCURACY,
    LENGTH,
]


def curves_svg(metrics: list[dict]) -> str:
    """All panels this run logged something for, as one inline SVG whose ink follows the page's text
    colour."""
    panels = [
        panel
        for panel in (WHEN_REINFORCED if points(metrics, "reward") else WHEN_FITTED)
        if any(points(metrics, key, event) for _, event, key in panel.curves)
    ]
    if not panels:
        return ""
    buffer = io.StringIO()
    with matplotlib.rc_context(
        {"svg.fonttype": "path", "svg.hashsalt": "minilrm"}
    ):  # no fonts, no random names
        draw_panels(metrics, panels).savefig(
            buffer, format="svg", transparent=True, metadata={"Date": None}
        )
    svg = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL).replace(
        INK, "currentColor"
    )
    told = "Curves over steps: " + ", ".join(panel.title for panel in panels)
    return svg[svg.index("<svg") :].replace(
        "<svg", f'<svg role="img" aria-label="{html.escape(told)}"', 1
    )


def draw_panels(metrics: list[dict], panels: list[Panel], title: str | None = None) -> Figure:
    """Up to three panels a row. Made without pyplot: that would want a display and change a
    notebook's settings."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    inked = (
        "text.color",
        "axes.edgecolor",
        "axes.labelcolor",
        "axes.titlecolor",
        "xtick.color",
        "ytick.color",
    )
    with matplotlib.rc_context({"font.size": 8, **dict.fromkeys(inked, INK)}):
        figure = Figure(figsize=(3.4 * columns, 2.45 * rows + 0.45), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.08)
        legend = {}
        for place, panel in enumerate(panels, start=1):
            axes = figure.add_subplot(rows, columns, place)
            for look, event, key in panel.curves:
                if line := points(metrics, key, event):
                    legend.setdefault(look, draw_curve(axes, look, line))
            finish_axes(axes, panel)
        if title:
            figure.suptitle(title, fontsize=11, fontweight="bold")
        if legend:
            figure.legend(
                legend.values(),
                legend.keys(),
                loc="outside lower center",
                ncols=len(legend),
                frameon=False,
            )
    return figure


def draw_curve(axes, look: str, line: list[tuple]):
    """Draw one curve, and its intervals if it has any. Training values are noisy: faint as logged,
    bold smoothed."""
    style = LOOKS[look]
    steps, values, _ = zip(*line, strict=True)
    if len(values) > 400:  # more points than the plot has dots across: draw the means of neighbours
        steps, values = (
            [part.mean() for part in np.array_split(np.array(row), 400)] for row in (steps, values)
        )
    if look == TRAIN and (reach := len(values) // 20):
        axes.plot(steps, values, color=style["color"], alpha=0.3, linewidth=0.8)
        # Through each point's neighbours the line of best fit: their mean would bend a slope at its
        # ends.
        near = [
            np.arange(max(0, i - reach), min(len(values), i + reach + 1))
            for i in range(len(values))
        ]
        values = [np.polyfit(who - i, np.take(values, who), 1)[1] for i, who in enumerate(near)]
    for step, value, (low, high) in [point for point in line if point[2]]:
        axes.errorbar(
            [step],
            [value],
            yerr=[[max(0, value - low)], [max(0, high - value)]],
            fmt="none",
            ecolor=style["color"],
            elinewidth=1,
            capsize=2.5,
        )
    return axes.plot(steps, values, **style)[0]


def finish_axes(axes, panel: Panel) -> None:
    axes.set_title(panel.title, loc="left", fontsize=9.5, fontweight="bold")
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#888888", alpha=0.25, linewidth=0.6)
    if panel.share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        axes.set_ylim(-0.02, 1.03)
    elif axes.get_ylim()[0] > 0:
        axes.set_ylim(bottom=0)  # a cut axis makes small changes look large


def points(metrics: list[dict], key: str, event: str = "") -> list[tuple]:
    """(step, value, interval or None) of a figure, from one event's lines or from all (""); nulls
    are left out.

    >>> points([{"step": 5, "accuracy": 0.5, "accuracy_ci": [0.4, 0.6]}, {"step": 6, "accuracy": None}], "accuracy")
    [(5, 0.5, (0.4, 0.6))]
    """
    return [
        (line["step"], line[key], interval(line.get(key + "_ci")))
        for line in metrics
        if event in ("", line.get("event"))
        and is_number(line.get(key))
        and is_number(line.get("step"))
    ]


def is_number(value: object) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300
    )  # and not NaN


def interval(value: object) -> tuple | None:
    return (
        tuple(value)
        if isinstance(value, list) and len(value) == 2 and all(map(is_number, value))
        else None
    )
