"""What the lectures' figures.py scripts share: measure, keep the numbers, draw from the kept
numbers alone.

    python lectures/NN_slug/figures.py          measures, writes data/results/lecture-NN.json, and draws
    python lectures/NN_slug/figures.py --draw   draws from that file

A script brings `measure() -> dict` (what its lecture is about) and `draw(result)`; the command, the
machine and the seconds are added here. Figures are grey, about 6 x 3 inches, and small.
"""

import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from minilrm import machine
from minilrm.files import read_json, write_json_atomic

ROOT = Path(__file__).resolve().parent.parent


def main(script: str, measure: Callable[[], dict], draw: Callable[[dict], None]) -> None:
    """Run a lecture's figures.py, whose `__file__` is `script`."""
    folder = Path(script).resolve().parent
    kept = ROOT / "data" / "results" / f"lecture-{folder.name[:2]}.json"
    machine.raise_malloc_thresholds()
    if "--draw" not in sys.argv[1:]:
        machine.set_threads(1)  # for the same digits on any number of cores
        started = time.perf_counter()
        found = measure()
        write_json_atomic(
            kept,
            {
                "command": f"python lectures/{folder.name}/figures.py",
                "machine": machine.describe("cpu"),
                **found,
                "seconds": round(time.perf_counter() - started, 1),
            },
        )
    matplotlib.use("Agg")
    draw(read_json(kept))


def save(figure: Figure, path: Path) -> None:
    """A small PNG of few greys; the same bytes for the same numbers."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, facecolor="white", metadata={"Software": None})
    Image.open(buffer).convert("L").quantize(16).save(path, optimize=True)
