"""The course as instructors keep it: one source an exercise, from which all else is made and by
which all is proved.

    python -m course check               prove all lectures, or those named by --lectures
    python -m course generate            write exercises.py from solutions.py
    python -m course release --out DIR   what students get: no solutions, no mutants, no notebooks

sources.py makes the files, proofs.py proves them, leaks.py looks for answers in them.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

from course import grade, sources
from course.grade.lecture import LECTURES
from course.proofs import leaks, problems
from minilrm import cli
from minilrm.errors import UserError
from minilrm.options import option


@dataclass
class Options:
    """Keep the course: prove that it is right, write the students' files, build what they get."""

    action: str = option("check", "what to do", choices=("check", "generate", "release"))
    lectures: list[str] = option([], "lectures by number, name or folder; all if not given")
    out: Path | None = option(None, "release: the folder to build, new or empty")
    with_notebooks: bool = option(
        False, "release: the lectures' notebooks too, which write exercises' bodies"
    )
    root: Path = dataclass_field(
        default=LECTURES, metadata={"help": "the folder with all lectures"}
    )


def chosen(options: Options) -> list[Path]:
    """The lectures' folders that the options name."""
    if options.lectures:
        return [grade.find_lecture(word, options.root) for word in options.lectures]
    every = grade.find_lectures(options.root)
    if not every:
        raise UserError(f"{options.root} holds no lecture with a checks.py")
    return every


def run(options: Options) -> None:
    """Do what the command line asks for. A course with problems ends in exit code 1."""
    folders = chosen(options)
    if options.action == "generate":
        for folder in folders:
            print(f"{folder.name}: {sources.generate(folder)}")
    elif options.action == "release":
        if options.out is None:
            raise UserError("name the folder to build: --out DIR")
        for target in sources.release(folders, options.out, options.with_notebooks):
            print(target)
    elif not check(folders):
        sys.exit(1)


def check(folders: Sequence[Path]) -> bool:
    """Prove all of each lecture and print what is wrong; True if nothing is."""
    well = True
    for folder in folders:
        found = [*problems(folder), *leaks(folder)]
        lecture = grade.load_lecture(folder)
        said = f"{len(found)} problems" if found else "all proved"
        print(
            f"{folder.name}: {len(lecture.functions)} exercises, {lecture.points} points, "
            f"{len(lecture.mutants)} mutants: {said}",
            flush=True,
        )
        for problem in found:
            print(f"    {problem}")
        well = well and not found
    return well


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    cli.run_command(
        run,
        Options,
        argv,
        prog="python -m course check|generate|release",
        description=Options.__doc__ or "",
        first="action",
    )
