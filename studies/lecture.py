"""What the lectures' figures.py scripts share: measure, keep the numbers, and draw from the kept
numbers alone.

    python lectures/NN_slug/figures.py            measure, write data/results/lecture-NN.json, draw
    python lectures/NN_slug/figures.py --draw     draw from that file

A script brings `measure() -> dict` (what its lecture is about) and `draw(result)`; the command, the
machine and the seconds are added here. The figures are of the one style in minilrm/curves.py.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from minilrm import curves, machine
from minilrm.files import read_json, read_jsonl, write_bytes_atomic, write_json_atomic

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "data" / "results"


def main(script: str, measure: Callable[[], dict], draw: Callable[[dict], None]) -> None:
    """Run a lecture's figures.py, whose `__file__` is `script`."""
    folder = Path(script).resolve().parent
    kept = RESULTS / f"lecture-{folder.name[:2]}.json"
    machine.raise_malloc_thresholds()
    if "--draw" not in sys.argv[1:]:
        machine.set_threads(1)  # for the same digits on any number of cores
        started = time.perf_counter()
        found = measure()
        about = {
            "command": f"python lectures/{folder.name}/figures.py",
            "machine": machine.describe("cpu"),
        }
        seconds = round(time.perf_counter() - started, 1)
        write_json_atomic(kept, {**about, **found, "seconds": seconds})
    with curves.style():
        draw(read_json(kept))


def save(figure: Figure, path: Path) -> None:
    write_bytes_atomic(path, curves.png(figure))


def main_study(kind: str) -> list[dict[str, Any]]:
    """The finished parts of one kind of the main study, seed by seed."""
    found = [r for r in read_jsonl(RESULTS / "main.jsonl") if r["kind"] == kind]
    return sorted(found, key=lambda r: r["seed"])
