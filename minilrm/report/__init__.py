"""The report of a run: one HTML file that needs nothing else, made from what the run folder holds.

    python -m minilrm.report runs/grpo-gsm8k-mini-20250131-142500

Several runs on one page, with the options in which they differ:

    python -m minilrm.report RUN RUN ... --out compared.html

It says what came out (accuracy before and after, with intervals), draws the curves, shows what the
model wrote for the same problems before and after, and ends with the cost and the options. A run
that was interrupted has a report too.

`outcome.py` writes the sentences, `panels.py` the curves, `transcripts.py` what the model wrote,
`page.py` puts them on a page, and `comparison.py` puts several runs on one. What a model wrote is
text from a stranger: every piece of it is escaped, and the page forbids scripts altogether.
"""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path

from minilrm.cli import run_command
from minilrm.curves import png, style
from minilrm.errors import UserError
from minilrm.files import refuse_to_overwrite, write_bytes_atomic
from minilrm.options import option
from minilrm.report.comparison import render_comparison
from minilrm.report.page import render_page
from minilrm.report.panels import draw_overview
from minilrm.runlog import RunLog

__all__ = ["Options", "main", "plot_run", "write_comparison", "write_report"]


def write_report(folder: str | Path) -> Path:
    """Write report.html into a run folder and return its path. Training commands call this as they
    end."""
    log = RunLog.open(folder)
    path = log.folder / "report.html"
    # A completion may hold half a surrogate pair, which UTF-8 cannot spell: it becomes a question
    # mark.
    write_bytes_atomic(path, render_page(log).encode("utf-8", "replace"))
    return path


@style()
def plot_run(folder: str | Path, path: str | Path, *, title: str = "") -> Path:
    """A run in three small panels, as a PNG: R1-Zero's famous figure in miniature (accuracy,
    thinking, length)."""
    write_bytes_atomic(path, png(draw_overview(RunLog.open(folder).metrics(), title)))
    return Path(path)


def write_comparison(folders: Sequence[Path], out: Path) -> Path:
    """Write the page of several runs and return its path, at which nothing may be yet."""
    refuse_to_overwrite(out)
    write_bytes_atomic(out, render_comparison(folders).encode("utf-8", "replace"))
    return out


@dataclass
class Options:
    run: list[Path] = option(
        MISSING, "the run folder, for example runs/grpo-countdown-20250131-142500; or several"
    )
    out: Path | None = option(None, "file for the page of several runs (default: compared.html)")


def report(options: Options) -> None:
    """Write the page, and say where it is."""
    if len(options.run) > 1:
        print(write_comparison(options.run, options.out or Path("compared.html")))
    elif options.out:
        raise UserError("--out is for several runs; the page of one is in its folder, report.html")
    else:
        print(write_report(options.run[0]))


def main(argv: list[str] | None = None) -> None:
    run_command(
        report,
        Options,
        argv,
        prog="python -m minilrm.report RUN ...",
        description="Write RUN/report.html: outcome, curves, transcripts before and after, cost. "
        "Of several runs, one page that compares them.",
        first="run",
    )
