"""Ladders as a picture: a row a rung, the base with thinking forced and the policy after GRPO."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.ticker import PercentFormatter

from minilrm import curves

BEFORE, AFTER = curves.LOOKS[1], curves.LOOKS[0]


class Row(NamedTuple):
    """A rung: its label, the base's share of right answers with its interval, and each seed's."""

    label: str
    base: float
    ci: Sequence[float]
    seeds: Sequence[float]


@curves.style()
def draw(rows: Sequence[Row]) -> bytes:
    """The picture as PNG. All answers are greedy; the first row is at the top."""
    figure, [axes] = curves.panels(1, height=0.32 * len(rows) + 0.9)
    thin: dict[str, Any] = {"linestyle": "-", "linewidth": 1.2}
    for place, row in enumerate(rows):
        axes.plot(row.ci, [place, place], color=BEFORE.color, linewidth=4, alpha=0.3, linestyle="-")
        axes.plot(row.base, place, BEFORE.marker, color=BEFORE.color)
        if row.seeds:
            ends = [min(row.seeds), max(row.seeds)]
            axes.plot(ends, [place, place], color=AFTER.color, **thin)
            axes.plot(sum(row.seeds) / len(row.seeds), place, AFTER.marker, color=AFTER.color)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set(title="Right answers, greedy", xlim=(-0.02, 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axes.plot([], [], BEFORE.marker, color=BEFORE.color, label="base, thinking forced")
    axes.plot([], [], AFTER.marker, color=AFTER.color, label="after GRPO")
    axes.legend(loc="lower right")
    return curves.png(figure)
