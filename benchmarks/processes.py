"""Two cores for one run of training: the threads of one process, or torchrun with a process each.

    threads    python -m minilrm.grpo --threads N: completions are shared out to decoding processes
               (sampler/workers.py), micro-batches to threads (`machine.side_by_side`)
    processes  torchrun --nproc-per-node N -m minilrm.grpo: PyTorch's own engine (devices.py)

Both do the same work: the same questions, the same random numbers, the same gradient but for
rounding. The ways take turns (A B, B A, ...), each turn a short run of its own. What is compared
are seconds of training steps, the first few left out, in which buffers are made and products
prepared; start and evaluation are left out, too. If torchrun is as fast within 10 %, the other way
can go.

    python -m benchmarks.processes
    python -m benchmarks.processes --commands grpo --pairs 3
    python -m benchmarks.processes --readme             write what was found into README.md
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import common
from benchmarks.all import write_readme
from minilrm import machine
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.files import read_json
from minilrm.options import option
from minilrm.runlog import RunLog

WARM_UP = 3  # steps of each run that are not counted
ENOUGH = 0.9  # as fast within 10 %
# command -> options of a run of so many steps. The batches are those of a usual run.
COMMANDS = {
    "grpo": ["--task", "gsm8k-mini", "--eval-n", "20", "--eval-quick", "20"],
    "sft": ["--task", "gsm8k-mini", "--eval-n", "20"],
}
WAYS = ("threads", "processes")


@dataclass
class Options(common.Options):
    """One process with several threads beside torchrun with several processes."""

    commands: list[str] = option(list(COMMANDS), "what to train", choices=COMMANDS)
    steps: int = option(12, "steps of each run", minimum=WARM_UP + 1)
    readme: bool = option(False, "measure nothing; write the table into benchmarks/README.md")


def words(way: str, command: str, count: int, steps: int, out: Path) -> list[str]:
    """The command line of a run on so many cores.

    >>> " ".join(words("processes", "sft", 2, 9, Path("x"))[1:6])
    '-m torch.distributed.run --standalone --nproc-per-node 2'
    """
    asked = [*COMMANDS[command], "--steps", str(steps), "--out", str(out)]
    module = ["-m", f"minilrm.{command}", *asked]
    if way == "threads":
        return [sys.executable, *module, "--threads", str(count)]
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    return [sys.executable, *torchrun, *module, "--threads", "1"]


def measure(way: str, command: str, count: int, steps: int) -> dict:
    """One run: `work` (steps that count) and the `seconds` that they took."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        done = subprocess.run(
            words(way, command, count, steps, out), capture_output=True, text=True
        )
        if done.returncode:
            raise UserError(f"{way}, {command}: {done.stderr.strip()[-500:]}")
        return counted(RunLog.open(out).metrics("train"))


def counted(lines: list[dict]) -> dict:
    """What the lines of a run say of the steps behind the warm-up.

    >>> counted([{"step": s, "seconds": 2.0 * s} for s in range(1, 6)])
    {'work': 2, 'seconds': 4.0}
    """
    times = {line["step"]: line["seconds"] for line in lines}
    return {"work": max(times) - WARM_UP, "seconds": times[max(times)] - times[WARM_UP]}


def compare(rounds: list[dict[str, dict]]) -> dict:
    """The ratio of the rates, processes over threads, pair by pair; and whether torchrun is as fast
    within 10 %: "yes" or "no" where all pairs agree, "not settled" where they do not."""
    ratios = [common.rate(pair["processes"]) / common.rate(pair["threads"]) for pair in rounds]
    ratio = common.spread(ratios)
    agreed = {r >= ENOUGH for r in ratios}
    verdict = "not settled" if len(agreed) == 2 else "yes" if agreed == {True} else "no"
    return {"pairs": rounds, "ratio": ratio, "as_fast": verdict}


def table(report: dict) -> str:
    """What was found, for benchmarks/README.md."""
    lines = [
        "| training | seconds a step, threads | torchrun | torchrun's rate over the threads' "
        "| within 10 % |",
        "|---|---:|---:|---:|---|",
    ]
    for case in report["cases"]:
        threads, torchrun = (
            common.spread([pair[way]["seconds"] / pair[way]["work"] for pair in case["pairs"]])
            for way in WAYS
        )
        r = case["ratio"]
        lines.append(
            f"| `{case['command']}` | {threads['median']:.2f} | {torchrun['median']:.2f} "
            f"| {r['median']:.2f} ({r['min']:.2f} to {r['max']:.2f}) "
            f"| {case['as_fast']} |"
        )
    m, pairs = report["machine"], len(report["cases"][0]["pairs"])
    return "\n".join([*lines, "", f"Medians of {pairs} pairs, and the ratio's range; machine: "
                      f"{m['processor']}, {m['cores']} cores, torch {m['torch']}."])  # fmt: skip


def results_file() -> Path:
    return machine.data_folder() / "results" / "bench-processes.json"


def main(options: Options) -> int:
    if options.readme:
        text = table(read_json(options.out or results_file()))
        write_readme(Path(__file__).with_name("README.md"), text, "processes")
        return 0
    count = options.threads or machine.available_cores()
    if count < 2:
        raise UserError("there is one core, so nothing to share; name more with --threads")
    report = common.new_report("processes", options, [count])
    steps, pairs = (WARM_UP + 1, 1) if options.quick else (options.steps, options.pairs)
    for command in options.commands:
        rounds = []
        for turn in range(pairs):
            order = WAYS if turn % 2 == 0 else tuple(reversed(WAYS))
            rounds.append({way: measure(way, command, count, steps) for way in order})
        case = {"command": command, "steps": steps} | compare(rounds)
        report["cases"].append(case)
        r = case["ratio"]
        print(
            f"{command}: torchrun over threads {r['median']:.2f} ({r['min']:.2f} to {r['max']:.2f})"
            f"; as fast within 10 %: {case['as_fast']}",
            flush=True,
        )
    common.write(report, options)
    return 0


if __name__ == "__main__":
    run_command(main, Options, prog="python -m benchmarks.processes", description=Options.__doc__)
