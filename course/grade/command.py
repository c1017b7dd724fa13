"""`python -m course.grade LECTURE`: what the command line asks for."""

import contextlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from course.grade import classroom
from course.grade.lecture import Lecture, find_lecture, load_lecture
from course.grade.results import grade_file, gradescope, nothing, table
from minilrm import cli
from minilrm.errors import UserError
from minilrm.options import option


@dataclass
class Options:
    """Check the exercises of a lecture: yours, or those of a class."""

    lecture: str | None = option(None, "the lecture: its number, its name or its folder")
    file: Path | None = option(None, "the file to check; the lecture's exercises.py if not given")
    json: Path | None = option(None, "write the results there in Gradescope's format")
    submissions: Path | None = option(
        None, "grade a class: folder with a folder, or a NAME.py, for each student"
    )
    csv: Path | None = option(None, "with --submissions: the table of grades to write")
    seconds: float = option(20.0, "time limit of one check", exclusive_minimum=0)
    memory_mb: int = option(
        2048, "memory a submission may take, in MB (not on Windows)", minimum=256
    )


def run(options: Options) -> None:
    """Do what the command line asks for."""
    if options.lecture is None:
        raise UserError("name a lecture by its number, name or folder: python -m course.grade 15")
    if options.csv and not options.submissions:
        raise UserError("--csv is the table of a class: name its folder with --submissions")
    if options.submissions and (options.json or options.file):
        raise UserError(
            "--json and --file are for one submission, --submissions and --csv for a class: "
            "give one pair of them"
        )
    for flag, target in (("--csv", options.csv), ("--json", options.json)):
        if target:
            classroom.writable(target, flag)
    lecture = load_lecture(find_lecture(options.lecture))
    limits = {"seconds": options.seconds, "memory_mb": options.memory_mb}
    if options.submissions:
        grade_many(lecture, options.submissions, options.csv, limits)
    else:
        grade_one(lecture, options, limits)


def grade_one(lecture: Lecture, options: Options, limits: dict[str, Any]) -> None:
    """One submission: a table on the screen, and results.json if asked for. A file that is missing
    is then the student's, who gave it another name, and 0 points: Gradescope shows the reason."""
    file: Path | str = options.file or lecture.folder / "exercises.py"
    if options.json and options.file and not options.file.exists() and options.file.parent.is_dir():
        file = classroom.handed_in(options.file.parent, options.file.name)
    if isinstance(file, str):
        outcomes, name = nothing(lecture, file), "exercises.py"
    else:
        outcomes, name = grade_file(lecture, file, **limits), file.name
    print(table(outcomes, name))
    if options.json:
        found = json.dumps(gradescope(outcomes, name), indent=2)
        options.json.write_text(found + "\n", encoding="utf-8")
        print(f"results: {options.json}")


def grade_many(lecture: Lecture, folder: Path, csv: Path | None, limits: dict[str, Any]) -> None:
    """A class: a row of the table for each submission, written when it is graded. Without a file
    for it the table goes to stdout, and what is said meanwhile to stderr."""

    def say(line: str) -> None:
        print(line, file=sys.stdout if csv else sys.stderr, flush=True)

    graded = classroom.grade_class(lecture, folder, say=say, **limits)
    rows = 0
    try:
        with opened(csv) as out:
            print(classroom.header(lecture), end="", file=out, flush=True)
            for name, outcomes in graded:
                print(classroom.row(name, outcomes), end="", file=out, flush=True)
                rows += 1
    except BaseException:
        print(f"graded so far: {rows} ({csv or 'above'})", file=sys.stderr)
        raise
    if csv:
        print(f"grades: {csv}")


def opened(csv: Path | None) -> contextlib.AbstractContextManager[TextIO]:
    """The table to write to, in UTF-8 whatever the console's encoding is."""
    if csv:
        return csv.open("w", encoding="utf-8", newline="")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    return contextlib.nullcontext(sys.stdout)


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    cli.run_command(
        run,
        Options,
        argv,
        prog="python -m course.grade LECTURE",
        description=Options.__doc__ or "",
        first="lecture",
    )
