"""How the benchmarks measure. `README.md` beside this file says what they compare.

Fairness, point by point:
- each side runs in a process of its own (sides.py), so that peak memory belongs to one side alone;
- the sides take turns (A B, B A, A B, ...); one works while the other waits for a message and uses
  no processor;
- the first turns are warm-up and are thrown away; the result is the median of the pairs' ratios,
  with their range;
- both get the same threads and the same memory settings (`machine.raise_malloc_thresholds`, huge
  pages), though a user of the peer would not know of them; "as installed" is among the peer's
  candidates too;
- of the peer's settings (precision, attention) its own fastest is taken, found by trying all of
  them first.

The share of the peak counts 2 floating-point operations per parameter and token forward, and twice
that backward:

    flops = 2 N (forward tokens) + 6 N (trained tokens)
    share = flops / seconds / (measured matrix-product peak)

N counts tied embeddings once (as the output matrix; looking up a row costs nothing). Attention's
own products, norms and the optimizer are left out, and only useful tokens count: no padding, a
prompt once for its whole group.
"""

import contextlib
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from benchmarks.sides import Link, Worker
from minilrm import machine
from minilrm.errors import UserError
from minilrm.files import write_json_atomic
from minilrm.options import option
from minilrm.runlog import version

PACKAGES = (
    "torch",
    "transformers",
    "trl",
    "tokenizers",
    "rustbpe",
    "datasets",
    "accelerate",
    "numpy",
)
AS_INSTALLED = "float32 sdpa, as installed"  # the peer without minilrm's memory settings
SETTINGS = ("float32 sdpa", "bfloat16 sdpa", "float32 eager", "bfloat16 eager", AS_INSTALLED)


@dataclass
class Options:
    """What every benchmark can be told."""

    pairs: int = option(5, "pairs of measurements, each ours and the peer's", minimum=1)
    threads: int | None = option(
        None, "threads of each side; the available cores, at most 4, if not given", minimum=1
    )
    peer: bool = option(True, "measure the peer too (--no-peer: minilrm alone)")
    quick: bool = option(False, "tiny sizes, to see that everything works; the times mean nothing")
    out: Path | None = option(
        None,
        "JSON file to write; data/results/bench-NAME.json if not given (with --quick, one in "
        "the temporary folder)",
    )


# -- what is there ---------------------------------------------------------------------------------


def require(*packages: str) -> None:
    """UserError unless the peers are installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"the peer {' and '.join(missing)} is not installed; install the extra with: pip "
            "install -e '.[bench]' -c constraints.txt (a benchmark's --no-peer measures minilrm "
            "alone)"
        )


def versions() -> dict[str, str]:
    """The versions of what is compared, as installed."""
    found = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def busy_share(seconds: float = 1.0, file: Path = Path("/proc/stat")) -> float | None:
    """The share of the processor that others use now; None where the system does not say (not
    Linux)."""
    try:
        first = [int(word) for word in file.read_text().split("\n")[0].split()[1:]]
        time.sleep(seconds)
        second = [int(word) for word in file.read_text().split("\n")[0].split()[1:]]
    except (OSError, ValueError):
        return None
    spent = [b - a for a, b in zip(first, second, strict=True)]
    return round(1 - (spent[3] + spent[4]) / max(1, sum(spent)), 3)  # idle, and waiting for a disk


# -- measuring -------------------------------------------------------------------------------------


def fastest(
    settings: Sequence[str], start: Callable[[str], Worker]
) -> tuple[str, dict[str, float]]:
    """The setting with the highest rate (work a second), and all rates. Each takes two turns; the
    second one counts.

    A setting that the peer cannot run here has rate 0; its error is raised if none can.
    """
    if len(settings) == 1:
        return settings[0], {}
    rates, failure = {}, None
    for setting in settings:
        try:
            with start(setting) as worker:
                worker(turn=0)
                rates[setting] = rate(worker(turn=1))
        except RuntimeError as error:
            rates[setting], failure = 0.0, error
        print(
            f"  peer with {setting}: "
            + (f"{rates[setting]:,.4g} a second" if rates[setting] else str(failure)),
            flush=True,
        )
    if failure and not any(rates.values()):
        raise failure
    return max(rates, key=rates.__getitem__), rates


def alternate(sides: dict[str, Worker], pairs: int) -> list[dict[str, dict]]:
    """After a warm-up turn of each side, `pairs` times an answer of every side, in changing
    order."""
    for side in sides.values():
        side(turn=0)
    rounds = []
    for turn in range(1, pairs + 1):
        order = list(sides) if turn % 2 else list(reversed(sides))
        answers = {name: sides[name](turn=turn) for name in order}
        rounds.append({name: answers[name] for name in sides})
    return rounds


def duel(
    ours: Callable[[], Worker],
    peer: Callable[[str], Worker] | None,
    settings: Sequence[str],
    pairs: int,
) -> tuple[list[dict[str, dict]], dict]:
    """Find the peer's best setting, then let both take turns. Returns the pairs, and what to note
    of the peer.

    peer None: minilrm alone.
    """
    setting, rates = fastest(settings, peer) if peer else (None, {})
    with contextlib.ExitStack() as stack:
        sides = {"ours": stack.enter_context(ours())}
        if peer:
            sides["peer"] = stack.enter_context(peer(setting))
        return alternate(sides, pairs), {"peer_setting": setting, "peer_rates": rates}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range.

    >>> spread([4.0, 1.0, 2.0])
    {'median': 2.0, 'min': 1.0, 'max': 4.0}
    """
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def flops(parameters: int, forward: float = 0, trained: float = 0) -> float:
    """Floating-point operations of the matrix products (see the head of this file).

    >>> flops(1_000_000, forward=10), flops(1_000_000, trained=10)
    (20000000, 60000000)
    """
    return 2 * parameters * forward + 6 * parameters * trained


def compare(
    rounds: list[dict[str, dict]], peak: float, ours: str = "ours", peer: str = "peer"
) -> dict:
    """What the pairs say: the ratio of the rates (work a second, ours over the peer's), and a
    summary of each side.

    Each answer tells `work` (tokens, steps: what the rate counts), `seconds`, and, where they mean
    something, `tokens` and `flops`. peak: operations a second. A ratio above 1 means that minilrm
    is faster.
    """
    result: dict = {"pairs": rounds}
    if peer in rounds[0]:
        result["ratio"] = spread([rate(pair[ours]) / rate(pair[peer]) for pair in rounds])
        result["ratio"]["all"] = [rate(pair[ours]) / rate(pair[peer]) for pair in rounds]
    for side in rounds[0]:
        answers = [pair[side] for pair in rounds]
        summary = {
            "seconds": spread([a["seconds"] for a in answers]),
            "peak_mb": answers[-1]["peak_mb"],
            "start_mb": answers[-1]["start_mb"],
        }
        if "tokens" in answers[0]:
            summary["tokens_per_second"] = statistics.median(
                a["tokens"] / a["seconds"] for a in answers
            )
        if "flops" in answers[0]:
            summary["share_of_peak"] = (
                statistics.median(a["flops"] / a["seconds"] for a in answers) / peak
            )
        result[side] = summary
    return result


def rate(answer: dict) -> float:
    return answer["work"] / answer["seconds"]


def matmul_peak(link: Link, sizes: Sequence[int], repeats: int) -> None:
    """A worker: the fastest square matrix product of each precision, in operations a second."""
    while True:
        dtype = getattr(torch, link.next()["dtype"])
        best = 0.0
        for size in sizes:
            a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
            out = a @ b
            for _ in range(repeats):
                started = time.perf_counter()
                torch.matmul(a, b, out=out)
                best = max(best, 2 * size**3 / (time.perf_counter() - started))
        link.answer(flops=best)


def measure_peak(threads: int, quick: bool) -> dict[str, float]:
    """Operations a second of the best matrix product of this machine, for each precision."""
    sizes, repeats = ((256,), 2) if quick else ((512, 1024, 2048), 10)
    with Worker(matmul_peak, threads=threads, sizes=sizes, repeats=repeats) as worker:
        return {dtype: worker(dtype=dtype)["flops"] for dtype in ("float32", "bfloat16")}


# -- reports ---------------------------------------------------------------------------------------


def new_report(name: str, options: Options, threads: Sequence[int]) -> dict:
    """The head of a result: what was run, on what, beside what else. Measures the peak for each
    number of threads."""
    machine.set_threads(max(threads))
    busy = busy_share()
    if busy is not None and busy > 0.1:
        print(
            f"warning: other programs use {busy:.0%} of the processor; these times mean little",
            file=sys.stderr,
        )
    peaks = {}
    for count in threads:
        peaks[str(count)] = measure_peak(count, options.quick)
        print(
            f"matrix-product peak with {count} thread(s): "
            + ", ".join(
                f"{dtype} {value / 1e9:.0f} GFLOP/s" for dtype, value in peaks[str(count)].items()
            ),
            flush=True,
        )
    return {
        "benchmark": name,
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": f"python -m benchmarks.{name} " + " ".join(sys.argv[1:]),
        "quick": options.quick,
        "version": version(),
        "versions": versions(),
        "machine": machine.describe("cpu"),
        "threads": list(threads),
        "busy_before": busy,
        "peak_flops": peaks,
        "flop_rule": "2 x parameters x tokens forward, x 3 with backward; share of the higher of "
        "the two peaks",
        "memory_rule": "peak resident memory of a process of its own for each side; start_mb: "
        "before its first job",
        "cases": [],
    }


def peak(report: dict, threads: int) -> float:
    """The higher of the two precisions' peaks, in operations a second."""
    return max(report["peak_flops"][str(threads)].values())


def say(name: str, case: dict, unit: str = "tok/s") -> None:
    """One case in a few lines."""
    print(name)
    for side in (key for key in case if isinstance(case[key], dict) and "peak_mb" in case[key]):
        s = case[side]
        rates = f"{s['tokens_per_second']:,.0f} {unit}, " if "tokens_per_second" in s else ""
        share = f", {s['share_of_peak']:.1%} of the peak" if "share_of_peak" in s else ""
        memory = (
            f", peak memory {s['peak_mb']:,.0f} MB ({s['start_mb']:,.0f} before work)"
            if s["start_mb"]
            else ""
        )
        print(f"  {side:<10} {s['seconds']['median']:.3g} s, {rates}{memory.lstrip(', ')}{share}")
    if "ratio" in case:
        r = case["ratio"]
        print(f"  ratio      {r['median']:.2f} ({r['min']:.2f} to {r['max']:.2f})", flush=True)


def write(report: dict, options: Options) -> Path:
    """Write the report where the options say."""
    name = f"bench-{report['benchmark']}.json"
    folder = Path(tempfile.gettempdir()) if options.quick else machine.data_folder() / "results"
    path = options.out or folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json_atomic(path, report)
    print(f"written: {path}", flush=True)
    return path
