"""All benchmarks, one after another, and one table of what came out against what was aimed at.

Each is a command of its own, so a failure of one does not lose the others. The table is made from
the JSON files alone: `--table` shows it again without measuring.

    python -m benchmarks.all
    python -m benchmarks.all --table
    python -m benchmarks.all --readme       write it into benchmarks/README.md
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import common
from minilrm import machine
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.files import read_json, write_bytes_atomic
from minilrm.options import option

NAMES = ("tokenizer", "train", "grpo", "rollout", "scaling")  # the short ones first
# At least, and the aim. Ratios are minilrm's rate over its peer's.
GOALS = {
    "rollout": (4.0, 8.0),
    "rollout, equal lengths": (2.0, 3.0),
    "grpo": (4.0, 8.0),
    "train": (1.5, 2.5),
}
TOKENIZER_SECONDS = (3.0, 1.5)
VERIFY_SHARE = 0.03


@dataclass
class Options:
    """Every benchmark in turn, then the table."""

    names: list[str] = option(list(NAMES), "which ones", choices=NAMES)
    pairs: int = option(5, "pairs of measurements", minimum=1)
    threads: int | None = option(
        None, "threads of each side; each benchmark's own if not given", minimum=1
    )
    quick: bool = option(False, "tiny sizes, to see that everything works; the times mean nothing")
    table: bool = option(False, "only show the table of what is there")
    readme: bool = option(False, "only write the table of what is there into benchmarks/README.md")
    out: Path | None = option(
        None, "folder of the JSON files; data/results if not given (with --quick, a temporary one)"
    )


def command_of(name: str, options: Options, folder: Path) -> list[str]:
    """The command line of one benchmark."""
    words = [
        sys.executable,
        "-m",
        f"benchmarks.{name}",
        "--pairs",
        str(options.pairs),
        "--out",
        str(folder / f"bench-{name}.json"),
    ]
    words += ["--threads", str(options.threads)] if options.threads else []
    return words + (["--quick"] if options.quick else [])


def verdict(value: float, least: float, aim: float) -> str:
    """How a figure stands to its goals; where less is better, `least` is above `aim`.

    >>> verdict(5, 4, 8), verdict(3, 4, 8), verdict(1.2, 3, 1.5)
    ('reached', 'MISSED', 'aim reached')
    """
    sign = 1 if aim > least else -1
    return (
        "aim reached"
        if sign * value >= sign * aim
        else "reached"
        if sign * value >= sign * least
        else "MISSED"
    )


def rows_of(report: dict) -> list[tuple[str, str, str, str]]:
    """Lines of the table out of one report: (what, figure, goal, verdict)."""
    name, rows = report["benchmark"], []
    for case in report["cases"] if name in ("rollout", "grpo", "train") else ():
        if "ratio" in case:
            least, aim = GOALS["rollout, equal lengths" if case.get("case") == "equal" else name]
            r = case["ratio"]
            rows.append(
                (
                    f"{name}: {case['name']}",
                    f"{r['median']:.2f} x ({r['min']:.2f} to {r['max']:.2f})",
                    f"{least:g} x, aim {aim:g} x",
                    verdict(r["median"], least, aim),
                )
            )
    if name == "grpo" and "verify" in report:
        v = report["verify"]
        share = v["share_of_step"]["median"]
        rows.append(
            (
                f"verifying {v['completions']} completions",
                f"{share:.2%} of the step",
                f"{VERIFY_SHARE:.0%}",
                "reached" if share < VERIFY_SHARE else "MISSED",
            )
        )
    for case in report["cases"] if name == "tokenizer" else ():
        seconds = case["ours"]["seconds"]["median"]
        same = case.get("same_as_ours", {}).get("rustbpe", {}).get("equal")
        note = (
            ""
            if same is None
            else ", the merges of rustbpe"
            if same
            else ", merges differ from rustbpe's"
        )
        rows.append(
            (
                f"tokenizer: {case['name']}",
                f"{seconds:.2f} s{note}",
                "{:g} s, aim {:g} s".format(*TOKENIZER_SECONDS),
                verdict(seconds, *TOKENIZER_SECONDS),
            )
        )
    if report.get("four_times"):
        f = report["four_times"]
        rows.append(
            (
                "scaling: 4 x the sequences",
                f"{f['peak']:.2f} x the memory, {f['seconds']:.2f} x the time",
                "less than 4 x the memory",
                "reached" if f["peak"] < 4 else "MISSED",
            )
        )
    return rows


def table(folder: Path, names: list[str]) -> str:
    """The table of all reports in a folder."""
    rows = []
    for name in names:
        path = folder / f"bench-{name}.json"
        rows += rows_of(read_json(path)) if path.exists() else [(name, "not measured", "", "")]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=False))
        + "  "
        + row[3]
        for row in rows
    )


def markdown(folder: Path, names: list[str]) -> str:
    """The same as Markdown, with the machine and how it was measured."""
    reports = [
        read_json(path) for name in names if (path := folder / f"bench-{name}.json").exists()
    ]
    lines = ["| what | measured | at least, aim | |", "|---|---:|---|---|"]
    lines += [
        f"| {what} | {figure} | {goal} | {said} |"
        for report in reports
        for what, figure, goal, said in rows_of(report)
    ]
    for report in reports[:1]:
        m, v = report["machine"], report["versions"]
        lines += [
            "",
            "Ratios are minilrm's rate over its peer's, the median of the pairs and their range; "
            f"machine: {m['processor']}, {m['cores']} cores, torch {m['torch']}; transformers "
            f"{v.get('transformers')}, trl {v.get('trl')}.",
        ]
    return "\n".join(lines)


def write_readme(path: Path, text: str, block: str = "bench") -> None:
    """Put the text between the markers of a block."""
    begin, end = f"<!-- figures:{block} -->", f"<!-- /figures:{block} -->"
    head, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, closed, tail = rest.partition(end)
    if not (found and closed):
        raise UserError(f"{path} has no lines {begin} and {end} to write between")
    write_bytes_atomic(path, f"{head}{begin}\n{text}\n{end}{tail}".encode())


def run(options: Options) -> None:
    """Run the benchmarks and show the table."""
    if options.readme:
        folder = options.out or machine.data_folder() / "results"
        write_readme(Path(__file__).with_name("README.md"), markdown(folder, options.names))
        return
    if not (options.table or set(options.names) <= {"scaling"}):
        common.require("transformers", "trl", "datasets", "accelerate", "tokenizers", "rustbpe")
    folder = options.out or (
        Path(tempfile.gettempdir()) if options.quick else machine.data_folder() / "results"
    )
    failed = []
    for name in () if options.table else options.names:
        print(f"== {name}", flush=True)
        if subprocess.call(command_of(name, options, folder)):
            failed.append(name)
    print(table(folder, options.names))
    if failed:
        raise UserError(f"these benchmarks failed (see above): {', '.join(failed)}")


if __name__ == "__main__":
    run_command(run, Options, prog="python -m benchmarks.all", description=Options.__doc__)
