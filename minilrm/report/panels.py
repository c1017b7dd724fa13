"""The curves of a run: which panels there are, and how a panel is drawn from the run's metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minilrm.curves import LOOKS, frame, intervals, label_ends, line, panels, smoothed, style, svg

Point = tuple[int, float, tuple[float, float] | None]  # step, value, interval


@dataclass(frozen=True)
class Source:
    """Where the values of a curve come from, and how it looks: the same in every panel."""

    label: str
    look: int
    noisy: bool = False  # one batch a value: faint as logged, bold smoothed


TRAIN = Source("training", 0, noisy=True)
HELD_OUT = Source("held out", 1)
GREEDY = Source("greedy", 2)
# Of a panel's picture, as shares: the same for all, so that they stand in line, and quicker than
# to have them worked out.
MARGINS = {"left": 0.17, "right": 0.79, "bottom": 0.2, "top": 0.89}
DOTS = 400  # across a panel: of more points, the means of neighbours are drawn


@dataclass(frozen=True)
class Panel:
    """One small plot: its curves are (source, event, key), and those that were not logged are left
    out."""

    title: str
    curves: tuple[tuple[Source, str, str], ...]
    share: bool = False  # the values are shares of 1, shown in percent


ACCURACY = Panel(
    "Accuracy",
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
    Panel("Entropy, nats per token", ((TRAIN, "train", "entropy"),)),
    Panel("Zero-std groups", ((TRAIN, "train", "frac_reward_zero_std"),), share=True),
    Panel("KL to the reference model", ((TRAIN, "train", "kl"),)),
    Panel("First try right", ((TRAIN, "train", "reflection/first_try_accuracy"),), share=True),
    Panel("Tries again after failing", ((TRAIN, "train", "reflection/retry_rate"),), share=True),
    Panel("Accepts a wrong attempt", ((TRAIN, "train", "reflection/false_accept"),), share=True),
    Panel("Variance the critic explains", ((TRAIN, "train", "val/explained_variance"),)),
]
WHEN_FITTED = [
    Panel(
        "Loss, nats per token",
        ((TRAIN, "train", "loss"), (HELD_OUT, "", "val_loss"), (HELD_OUT, "eval", "loss")),
    ),
    Panel("Learning rate", ((TRAIN, "train", "learning_rate"),)),
    ACCURACY,
    LENGTH,
]


# -- drawing ---------------------------------------------------------------------------------------


@style()
def curves_svg(metrics: list[dict]) -> list[str]:
    """Each panel this run logged something for, as an inline SVG of its own: a page sets them side
    by side, or below each other on a phone."""
    known = WHEN_REINFORCED if points(metrics, "reward") else WHEN_FITTED
    pictures: list[str] = []
    for panel in known:
        if any(points(metrics, key, event) for _, event, key in panel.curves):
            figure, (axes,) = panels(1, width=3.5, height=2.4, margins=MARGINS)
            draw_panel(axes, panel, metrics)
            label_ends(axes)
            pictures.append(svg(figure, f"{panel.title}, over steps", len(pictures)))
    return pictures


def draw_overview(metrics: list[dict], title: str) -> Figure:
    """Accuracy (or reward), thinking and length, and the key in the fourth place."""
    first = ACCURACY if points(metrics, "accuracy") else REWARD
    figure, places = panels(3)
    for axes, panel in zip(places, (first, THINKING, LENGTH), strict=True):
        draw_panel(axes, panel, metrics)
    if handles := places[0].get_legend_handles_labels()[0]:
        figure.axes[-1].legend(handles=handles, loc="center", labelspacing=1.2)
    if title:
        figure.suptitle(title, fontweight="bold")
    return figure


def draw_panel(axes: Axes, panel: Panel, metrics: list[dict]) -> None:
    """A panel with those of its curves that were logged."""
    for source, event, key in panel.curves:
        if found := points(metrics, key, event):
            draw_curve(axes, source, found)
    frame(axes, panel.title, x="step", share=panel.share)


def draw_curve(axes: Axes, source: Source, found: Sequence[Point]) -> None:
    """Draw one curve, and its intervals if it has any."""
    look, steps = LOOKS[source.look], np.array([step for step, _, _ in found], dtype=float)
    values = np.array([value for _, value, _ in found], dtype=float)
    known = [point for point in found if point[2]]
    if known:
        at, middle, ends = zip(*known, strict=True)
        intervals(axes, at, middle, ends, look, linestyle="none", marker="")
    if len(values) > DOTS:
        steps, values = (
            np.array([part.mean() for part in np.array_split(row, DOTS)]) for row in (steps, values)
        )
    if not source.noisy:
        line(axes, steps, values, look, source.label, markevery=1)
        return
    reach = len(values) // 20
    if reach:
        line(axes, steps, values, look, alpha=0.3, linewidth=0.8, marker="")
    line(axes, steps, smoothed(values, reach) if reach else values, look, source.label, marker="")


# -- reading metrics -------------------------------------------------------------------------------


def points(metrics: list[dict], key: str, event: str = "") -> list[Point]:
    """(step, value, interval or None) of a figure, from one event's lines or from all (""); nulls
    are left out.

    >>> points([{"step": 5, "loss": 0.5, "loss_ci": [0.4, 0.6]}, {"step": 6, "loss": None}], "loss")
    [(5, 0.5, (0.4, 0.6))]
    """
    return [
        (m["step"], m[key], interval(m.get(key + "_ci")))
        for m in metrics
        if event in ("", m.get("event")) and is_number(m.get(key)) and is_number(m.get("step"))
    ]


def is_number(value: object) -> TypeGuard[float]:
    """A number that can be drawn: no bool, and not NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def interval(value: object) -> tuple[float, float] | None:
    if isinstance(value, list) and len(value) == 2 and all(map(is_number, value)):
        return value[0], value[1]
    return None
