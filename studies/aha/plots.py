"""The two plots of the aha experiment. `studies/aha/figures.py` calls this.

A line is the mean of an arm's seeds over the training batches, a band reaches from the least seed
to the greatest.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from minilrm import curves
from minilrm.curves import LOOKS, Look
from minilrm.files import write_bytes_atomic

ARMS: dict[str, tuple[str, Look]] = {  # arm: (its name in the key, its look)
    "seeded": ("base with reflection, T = 1", LOOKS[0]),
    "hot": ("base with reflection, T = 1.25", LOOKS[1]),
    "unseeded": ("base without reflection", LOOKS[2]),
    "shuffled": ("with reflection, rewards shuffled", LOOKS[3]),
}
ROWS = (  # (what a row of panels shows, the key of its curves)
    ("answer right", "accuracy"),
    ("first try right", "reflection/first_try_accuracy"),
    ("tries again\nafter failing", "reflection/retry_rate"),
    ("mean length,\ntokens", "completions/mean_length"),
)
MEASURES = {  # of a base before any RL: its name, its look
    "sampled": ("right, T = 1", LOOKS[0]),
    "greedy": ("right, greedy", LOOKS[1]),
    "retry_rate": ("tries again\nafter failing", LOOKS[2]),
}


@curves.style()
def draw_arms(results: dict[str, dict], path: Path) -> None:
    """A column of panels per task. `results`: task -> {arm: {seed: part}}."""
    grid = {"columns": len(results), "sharex": "col", "sharey": "row"}
    figure, panels = curves.panels(len(ROWS) * len(results), height=1.75, **grid)
    table = np.reshape(panels, (len(ROWS), len(results)))
    for row, (words, curve) in zip(table, ROWS, strict=True):
        for axes, (task, kinds) in zip(row, results.items(), strict=True):
            for arm, look in ARMS.items():
                if kinds[arm]:
                    found = [part["curves"][curve] for part in kinds[arm].values()]
                    draw_arm(axes, look, found)
            title = task if curve == ROWS[0][1] else ""
            curves.frame(axes, title, share=curve != "completions/mean_length")
        row[0].set_ylabel(words)
    for axes in table[-1]:
        axes.set_xlabel("step")
    curves.key(figure, columns=2)
    write_bytes_atomic(path, curves.png(figure))


def draw_arm(axes: Axes, named: tuple[str, Look], found: list[list]) -> None:
    """One arm: its seeds, as far as all of them go, smoothed."""
    (label, look), steps = named, min(map(len, found))
    rows = np.array([curve[:steps] for curve in found], dtype=float)
    smooth = [curves.smoothed(row, max(1, steps // 60)) for row in rows]
    curves.band(axes, range(steps), smooth, look, label)


@curves.style()
def draw_pretraining(tasks: dict[str, dict], path: Path) -> None:
    """Accuracy and retry rate by the share of reflecting writers in the corpus. `tasks`: as in
    aha.json."""
    figure, panels = curves.panels(len(tasks), height=3.0, sharey="row")
    for axes, (task, shares) in zip(panels, tasks.items(), strict=True):
        x = [float(share) for share in shares]
        for measure, (label, look) in MEASURES.items():
            rows = by_seed([found["seeds"] for found in shares.values()], measure)
            curves.band(axes, x, rows, look, label)
        curves.frame(axes, task, x="share of reflecting writers in the corpus", share=True)
        axes.set_xticks(x)
    curves.label_ends(panels[-1])
    write_bytes_atomic(path, curves.png(figure))


def by_seed(parts: Sequence[dict[str, dict]], measure: str) -> list[list[float | None]]:
    """[seeds, shares]: the seeds' figures of one measure."""
    seeds = sorted({seed for part in parts for seed in part})
    return [[figure_of(part[s], measure) if s in part else None for part in parts] for s in seeds]


def figure_of(seed: dict, measure: str) -> float | None:
    if measure == "retry_rate":
        return seed["retry_rate"]["rate"]
    return seed["accuracy" if measure == "sampled" else "greedy"]
