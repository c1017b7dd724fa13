"""How cost grows: seconds and peak memory of a GRPO step against sequences, length, parameters and
micro-batch.

The models have random weights, so nearly every completion runs to its full length and the figure
does not depend on what was learnt; every second completion is rewarded, so no group is left out of
the update. Each point is a process of its own: one step to warm up, then the median of a few.
Memory is the peak of the process; "work" is what came on top of interpreter, libraries and weights.

Memory ends where the straight line through the points of a panel meets the machine's memory. That
is a prediction (the points themselves stay far below), given as the number of sequences, tokens,
... at which it would happen.

    python -m benchmarks.scaling
    python -m benchmarks.scaling --draw data/results/bench-scaling.json      the figure alone
"""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks import common
from benchmarks.sides import Link, Worker
from minilrm import curves, grpo, machine
from minilrm.cli import run_command
from minilrm.files import read_json, write_bytes_atomic
from minilrm.model import count_parameters
from minilrm.options import option
from minilrm.rollout import Episode

GROUP = 8
# The point that all panels share, and what each panel changes. The default step of `minilrm.grpo`
# has 256 sequences.
CENTRE = {"scale": "micro", "sequences": 256, "length": 64, "max_tokens_per_batch": 4096}
PANELS = {
    "sequences": [64, 128, 256, 512, 1024],
    "length": [16, 32, 64, 128, 224],
    "scale": ["pico", "nano", "micro", "mini"],
    "max_tokens_per_batch": [512, 1024, 2048, 4096, 8192, 16384],
}
TITLES = {
    "sequences": "sequences per step",
    "length": "tokens per completion",
    "scale": "parameters",
    "max_tokens_per_batch": "--max-tokens-per-batch",
}


@dataclass
class Options(common.Options):
    """Seconds and memory of a GRPO step as it grows."""

    panels: list[str] = option(list(PANELS), "what to change", choices=tuple(PANELS))
    steps: int = option(3, "measured steps a point, after one to warm up", minimum=1)
    draw: Path | None = option(None, "draw the figure from this JSON file and measure nothing")


def every_second(episodes: Sequence[Episode]) -> list[float]:
    """A reward that a random model earns about every second time: half of all token ids are
    odd."""
    return [float(episode.completion_ids[0] % 2) for episode in episodes]


def step_of(link: Link, scale: str, sequences: int, length: int, max_tokens_per_batch: int) -> None:
    """A worker: GRPO steps of a random model."""
    trainer = grpo.Trainer(
        grpo.Options(
            task="gsm8k-mini",
            init="scratch",
            scale=scale,
            prompts=sequences // GROUP,
            group_size=GROUP,
            max_new_tokens=length,
            max_tokens_per_batch=max_tokens_per_batch,
            device="cpu",
            threads=torch.get_num_threads(),
            reward={"every second": 1.0},
        ),
        rewards={"every second": every_second},
    )
    while True:
        turn = link.next()["turn"]
        started = time.perf_counter()
        metrics = trainer.step(turn)
        link.answer(
            seconds=time.perf_counter() - started,
            rollout=metrics["seconds/rollout"],
            update=metrics["seconds/update"],
            mean_length=metrics["completions/mean_length"],
            parameters=count_parameters(trainer.model),
            helpers_mb=trainer.workers.peaks_mb if trainer.workers else [],
        )


def measure(point: dict, steps: int, threads: int) -> dict:
    """One point of the figure."""
    with Worker(step_of, threads=threads, **point) as worker:
        answers = [worker(turn=turn) for turn in range(steps + 1)][1:]
    found = {
        name: statistics.median(a[name] for a in answers)
        for name in ("seconds", "rollout", "update", "mean_length")
    }
    return {
        **point,
        **found,
        "parameters": answers[-1]["parameters"],
        "peak_mb": answers[-1]["peak_mb"],
        "start_mb": answers[-1]["start_mb"],
    }


def memory_ends(x: list[float], memory_mb: list[float], limit_mb: float) -> float | None:
    """The x at which the straight line of least squared error meets the limit; None where memory
    does not grow with x.

    >>> memory_ends([1, 2, 3], [300, 400, 500], 1000)
    8.0
    """
    slope, intercept = statistics.linear_regression(x, memory_mb)
    return (limit_mb - intercept) / slope if slope > 0 else None


def place(point: dict, panel: str) -> float:
    """Where a point stands on the axis of a panel."""
    return point["parameters"] if panel == "scale" else point[panel]


def growth(points: list[dict]) -> dict | None:
    """The step with four times the centre's sequences against the centre: how much more time and
    memory."""
    by_size = {p["sequences"]: p for p in points}
    small, large = by_size.get(CENTRE["sequences"]), by_size.get(4 * CENTRE["sequences"])
    if not (small and large and small["start_mb"]):
        return None
    return {
        "from": small["sequences"],
        "to": large["sequences"],
        "seconds": large["seconds"] / small["seconds"],
        "peak": large["peak_mb"] / small["peak_mb"],
        "work": (large["peak_mb"] - large["start_mb"]) / (small["peak_mb"] - small["start_mb"]),
    }


def points_of(panel: str, quick: bool) -> list[dict]:
    """What a panel measures."""
    if quick:
        centre = {"scale": "pico", "sequences": 16, "length": 4, "max_tokens_per_batch": 256}
        values = {
            "sequences": [16, 32],
            "length": [4, 8],
            "scale": ["pico", "nano"],
            "max_tokens_per_batch": [256, 512],
        }[panel]
    else:
        centre, values = CENTRE, PANELS[panel]
    return [{**centre, panel: value} for value in values]


def run(options: Options) -> Path:
    """All panels; writes the report and the figure."""
    if options.draw:
        report = read_json(options.draw)
        return draw(report, options.draw.with_suffix(".png"))
    threads = options.threads or machine.default_threads()
    report = common.new_report("scaling", options, [threads])
    known: dict[tuple, dict] = {}  # panels share their centre: measured once
    for panel in options.panels:
        points = []
        for point in points_of(panel, options.quick):
            key = tuple(point.values())
            known[key] = known.get(key) or measure(
                point, 1 if options.quick else options.steps, threads
            )
            points.append(known[key])
            p = points[-1]
            print(
                f"{TITLES[panel]} {place(p, panel):>10,}: {p['seconds']:.3g} s (rollout "
                f"{p['rollout']:.3g}, update {p['update']:.3g}), peak memory "
                f"{p['peak_mb'] or 0:,.0f} MB",
                flush=True,
            )
        report["cases"].append({"name": panel, "points": points})
    finish(report)
    path = common.write(report, options)
    draw(report, path.with_suffix(".png"))
    return path


def finish(report: dict) -> None:
    """What the points say of memory."""
    for case in report["cases"]:
        memory, limit = [p["peak_mb"] for p in case["points"]], report["machine"]["memory_gb"]
        if limit and all(memory) and len(memory) > 1:
            case["memory_ends_at"] = memory_ends(
                [place(p, case["name"]) for p in case["points"]], memory, limit * 1e9 / 2**20
            )
            if case["memory_ends_at"]:
                end = f"{case['memory_ends_at']:,.0f} {TITLES[case['name']]}"
                print(f"memory ({limit} GB) would end at about {end}")
        if case["name"] == "sequences":
            report["four_times"] = growth(case["points"])
    if report.get("four_times"):
        print(
            "a step of {to} sequences against one of {from}: {seconds:.2f} x the time, {peak:.2f} "
            "x the peak memory, {work:.2f} x the memory of the work alone".format(
                **report["four_times"]
            )
        )


# -- the figure ------------------------------------------------------------------------------------

LINES = {
    "seconds": ("step", curves.LOOKS[0]),
    "rollout": ("rollout", curves.LOOKS[1]),
    "update": ("update", curves.LOOKS[2]),
}


@curves.style()
def draw(report: dict, path: Path) -> Path:
    """The figure out of the JSON: a row per case, seconds to the left, peak memory to the right."""
    cases = report["cases"]
    figure, panels = curves.panels(2 * len(cases), height=2.3, sharey="col")
    for row, case in enumerate(cases):
        seconds, memory = panels[2 * row : 2 * row + 2]
        x = [place(p, case["name"]) for p in case["points"]]
        for axes in (seconds, memory):
            axes.set_xscale("log")
            axes.set_xticks(x, map(short, x))
            axes.minorticks_off()
        for key, (label, look) in LINES.items():
            curves.line(seconds, x, [p[key] for p in case["points"]], look, label)
        used = [p["peak_mb"] or math.nan for p in case["points"]]
        curves.line(memory, x, used, curves.LOOKS[0])
        memory.text(0.04, 0.06, end_of_memory(case, report), transform=memory.transAxes)
        finish_seconds(seconds)
        curves.frame(seconds, "" if row else "Seconds per step", x=TITLES[case["name"]])
        curves.frame(memory, "" if row else "Peak memory, MB", x=TITLES[case["name"]])
        curves.label_ends(seconds)
    highest = max((p["peak_mb"] or 0 for case in cases for p in case["points"]), default=0)
    panels[1].set_ylim(0, 1.1 * highest or 1)  # shared by the column
    write_bytes_atomic(path, curves.png(figure))
    print(f"written: {path}")
    return path


def end_of_memory(case: dict, report: dict) -> str:
    """Where memory would end."""
    end = case.get("memory_ends_at")
    limit = report["machine"]["memory_gb"]
    return f"{limit:g} GB are reached\nat about {rounded(end)}" if end else "does not grow"


def short(value: float) -> str:
    """A number at a tick.

    >>> short(2558784), short(16384), short(512)
    ('2.6M', '16k', '512')
    """
    if value >= 1e5:
        return f"{value / 1e6:.2g}M"
    return f"{value / 1024:g}k" if value >= 1e4 else f"{value:g}"


def rounded(value: float) -> str:
    """Two digits are all that a prediction is worth.

    >>> rounded(123456), rounded(8.2)
    ('120,000', '8')
    """
    digits = max(0, int(math.log10(max(1.0, value))) - 1)
    return f"{round(value, -digits):,.0f}"


def finish_seconds(axes: Axes) -> None:
    """Time on a logarithmic axis with plain numbers."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


if __name__ == "__main__":
    run_command(run, Options, prog="python -m benchmarks.scaling", description=Options.__doc__)
