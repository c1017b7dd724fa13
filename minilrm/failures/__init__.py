"""A gallery of classic bugs: each run beside a healthy run on a task that takes seconds, and both
curves drawn.

    python -m minilrm.failures                   what is in the gallery
    python -m minilrm.failures inverted-clip     two runs of seconds, a text, a picture

The bugs live here, outside the training code (`faults.py`): grpo.py has no flag for any of them.
`gallery.py` says of each what it does, why, and which test of the project would have caught it;
`toy.py` is the small task and its base.

Left out: several seeds. One run of 40 steps is a demonstration, not a measurement; `--seed` shows
how much is chance.
"""

import contextlib
import difflib
import os
import tempfile
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilrm import cli, curves
from minilrm.errors import UserError
from minilrm.failures import toy
from minilrm.failures.faults import none
from minilrm.failures.gallery import FAILURES, Failure
from minilrm.files import write_bytes_atomic
from minilrm.options import option
from minilrm.progress import quiet_stream
from minilrm.runlog import RunLog

__all__ = ["FAILURES", "Failure", "compare", "account", "draw", "get", "main"]

WIDTH = 100  # columns of text
SECONDS = "10 to 25 seconds on an idle core (the first time some 20 more, for the base)"
LOOKS = {"healthy": curves.LOOKS[0], "broken": curves.LOOKS[1]}


def get(name: str) -> Failure:
    """The failure of this name; UserError, with near names, if there is none.

    >>> get("inverted-clip").title
    'min(rho, clip(rho)) * A in place of min(rho A, clip(rho) A)'
    """
    known = {failure.name: failure for failure in FAILURES}
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    if wanted not in known:
        near = " or ".join(near_names(wanted, known))
        raise UserError(
            f"no failure is called {name!r}{f'; did you mean {near}?' if near else ''} "
            f"(python -m minilrm.failures lists all {len(known)})"
        )
    return known[wanted]


def near_names(wanted: str, known: Iterable[str]) -> list[str]:
    """Names that look alike, or share a word.

    >>> near_names("clip", ["inverted-clip", "wrong-sign"])
    ['inverted-clip']
    """
    shared = [name for name in known if set(wanted.split("-")) & set(name.split("-"))]
    return shared or difflib.get_close_matches(wanted, list(known), n=3, cutoff=0.5)


# -- running ---------------------------------------------------------------------------------------


def compare(failure: Failure, out: Path, seed: int = 0, steps: int = 40) -> dict[str, RunLog]:
    """{"healthy": log, "broken": log}: two runs of `steps` steps that differ in the bug alone.

    Kept under `out`; what is finished there is not run again. Failures with the same base and
    options share a healthy run.
    """
    out = Path(out)
    base = toy.make_base(out, failure.corpus)
    common = {"seed": seed, "steps": steps, **failure.options}
    kind = "-".join(
        ["healthy", failure.corpus, *(f"{name}={value}" for name, value in common.items())]
    )
    return {
        "healthy": run_once(out / kind, base, none, common),
        "broken": run_once(
            place_of(failure, out, seed, steps) / "run",
            base,
            failure.fault,
            common | dict(failure.wrong),
        ),
    }


def place_of(failure: Failure, out: Path, seed: int, steps: int) -> Path:
    """The folder of what belongs to this failure alone: the broken run, the text and the
    picture."""
    return Path(out) / f"{failure.name}-seed={seed}-steps={steps}"


def run_once(folder: Path, base: Path, fault, options: dict) -> RunLog:
    """The finished run in this folder; if there is none, one is made elsewhere and moved here when
    it has ended.

    So a run that was broken off leaves nothing behind, and two commands at the same time do not
    meet. Raises UserError if the folder is something else, or a run of other options (the gallery's
    own may have changed since).
    """
    if not (folder / "summary.json").is_file():
        if folder.exists():
            raise UserError(
                f"{folder} is there, and no finished run: choose another --out, or remove it"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        # beside the bar, which does not say which of the two it is
        print(f"-> {folder}", file=quiet_stream(), flush=True)
        with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder.parent) as place:
            toy.run(Path(place) / "run", base, fault, **options)
            with contextlib.suppress(OSError):  # another command was faster: its run is the same
                os.rename(Path(place) / "run", folder)
    log = RunLog.open(folder, "grpo")
    if any(log.config["options"].get(name) != value for name, value in options.items()):
        raise UserError(f"{folder} was run with other options: choose another --out, or remove it")
    return log


# -- showing ---------------------------------------------------------------------------------------


def curve(log: RunLog, key: str) -> tuple[list[int], list[float]]:
    """(steps, values) of a figure of the training steps."""
    lines = [m for m in log.metrics("train") if isinstance(m.get(key), (int, float))]
    return [m["step"] for m in lines], [m[key] for m in lines]


def ends(log: RunLog, key: str) -> tuple[float, float] | None:
    """The means over the first and over the last fifth of the steps; None if nothing was logged."""
    _, values = curve(log, key)
    part = max(1, len(values) // 5)
    return (float(np.mean(values[:part])), float(np.mean(values[-part:]))) if values else None


def account(failure: Failure, logs: dict[str, RunLog]) -> str:
    """The paragraph, a table of what changed in either run, and the test."""
    rows = [f"{'':34}{'healthy run':>22}{'broken run':>22}"]
    for key in dict.fromkeys(
        ("accuracy", "reward", "entropy", "completions/mean_length", "grad_norm", failure.watch)
    ):
        cells = [
            f"{pair[0]:.3g} -> {pair[1]:.3g}" if (pair := ends(log, key)) else "-"
            for log in logs.values()
        ]
        rows.append(f"{key:34}" + "".join(f"{cell:>22}" for cell in cells))
    held_out = [[m["accuracy"] for m in log.metrics("eval")] for log in logs.values()]
    rows.append(
        f"{'accuracy, held out, before -> after':34}"
        + "".join(f"{f'{a[0]:.3g} -> {a[-1]:.3g}':>22}" for a in held_out)[1:]
    )
    caught = (
        "It is a setting, not a line, and no test of the code can refuse one. The fact behind it "
        "is tested by"
        if failure.is_setting
        else "The test that would have caught it:"
    )
    text = [
        f"{failure.name}: {failure.title}",
        "",
        *wrap(failure.why),
        "",
        "Means over the first and the last fifth of the steps:",
        "",
        *rows,
        "",
        caught,
        f'  python -m pytest "{failure.test}"',
    ]
    return "\n".join(text)


def wrap(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= WIDTH:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


@curves.style()
def draw(failure: Failure, logs: dict[str, RunLog], path: Path) -> Path:
    """Both runs in three panels, as a PNG: accuracy, the figure that shows the bug best, and
    reward. Thin: as logged; bold: smoothed."""
    figure, panels = curves.panels(3)
    for axes, key in zip(panels, ("accuracy", failure.watch, "reward"), strict=True):
        for run, log in logs.items():
            (steps, values), look = curve(log, key), LOOKS[run]
            curves.line(axes, steps, values, look, alpha=0.35, linewidth=0.7, marker="")
            bold = curves.smoothed(values, max(1, len(values) // 12))
            curves.line(axes, steps, list(bold), look, run)
        curves.frame(axes, key, x="step", share=key == "accuracy")
        curves.label_ends(axes)
    words = "\n".join([failure.name, "", *textwrap.wrap(failure.title, 30)])
    figure.axes[-1].text(0, 0.5, words, va="center", transform=figure.axes[-1].transAxes)
    write_bytes_atomic(path, curves.png(figure))
    return path


def listing() -> str:
    """The gallery, a line each."""
    width = max(len(failure.name) for failure in FAILURES) + 2
    lines = ["The failures; `python -m minilrm.failures NAME` runs one beside a healthy run."]
    for heading, settings in (("Wrong lines:", False), ("Wrong settings:", True)):
        lines += [
            "",
            heading,
            *(f"  {f.name:<{width}}{f.title}" for f in FAILURES if f.is_setting == settings),
        ]
    return "\n".join(lines)


# -- the command -----------------------------------------------------------------------------------


@dataclass
class Options:
    """Run a classic bug beside a healthy run, and draw both curves."""

    name: str | None = option(None, "which failure; without one, the gallery is listed")
    seed: int = option(0, "seed of problems and samples")
    steps: int = option(40, "steps of each of the two runs", minimum=5)
    out: Path = option(
        Path("runs/failures"), "folder for the base, the runs, the text and the picture"
    )


def show(options: Options) -> None:
    if options.name is None:
        print(listing())
        return
    failure = get(options.name)
    try:
        options.out.mkdir(parents=True, exist_ok=True)  # find out now, not after the first run
    except OSError as error:
        raise UserError(
            f"cannot make the folder {options.out} ({error.strerror}); choose another with --out"
        ) from error
    print(
        f"{failure.name}: two runs of {options.steps} steps on sums of small numbers, {SECONDS}",
        flush=True,
    )
    logs = compare(failure, options.out, options.seed, options.steps)
    text, place = (
        account(failure, logs),
        place_of(failure, options.out, options.seed, options.steps),
    )
    write_bytes_atomic(place / "failure.txt", (text + "\n").encode())
    print(f"\n{text}\n\npicture: {draw(failure, logs, place / 'failure.png')}")


def main(argv: list[str] | None = None) -> None:
    cli.run_command(
        show,
        Options,
        argv,
        prog="python -m minilrm.failures NAME",
        description=Options.__doc__,
        first="name",
    )
