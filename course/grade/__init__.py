"""Exercises that check themselves: a student's file in place, or a whole class.

    python -m course.grade lectures/15_grpo                                     your own exercises.py
    python -m course.grade lectures/15_grpo --file answers.py --json results.json      in Gradescope's format
    python -m course.grade lectures/15_grpo --submissions FOLDER --csv grades.csv

`lecture.py` is what a lecture's checks.py is written with, `results.py` makes outcomes and tables
of it, `classroom.py` grades many. The student's functions run in another process (`child.py`); the
checks run in this one and call them over a pipe (`remote.py`), through which only values can come
(`wire.py`). So a submission can hang, crash, leave or lie, and the worst that it gets is its own 0.

What is left out: a sandbox. Limits on time and memory and a ban on writing, starting programs and
the network keep accidents and pranks in; whoever expects attacks grades in a container.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course.grade.classroom import grade_class, to_csv, writable
from course.grade.lecture import (
    Exercise,
    Lecture,
    LocalStudent,
    Mutant,
    Rejected,
    close,
    exercise,
    expect,
    expect_close,
    expect_raises,
    find_lectures,
    gradients,
    load_lecture,
    mutant,
    reject,
)
from course.grade.remote import GraderError, RemoteStudent, StudentError
from course.grade.results import (
    Outcome,
    grade_file,
    grade_student,
    gradescope,
    run_check,
    table,
    total,
)
from minilrm import cli
from minilrm.errors import UserError
from minilrm.options import option

__all__ = [
    "Exercise",
    "GraderError",
    "Lecture",
    "LocalStudent",
    "Mutant",
    "Outcome",
    "Rejected",
    "RemoteStudent",
    "StudentError",
    "close",
    "exercise",
    "expect",
    "expect_close",
    "expect_raises",
    "find_lectures",
    "grade_class",
    "grade_file",
    "grade_student",
    "gradescope",
    "gradients",
    "load_lecture",
    "main",
    "mutant",
    "reject",
    "run_check",
    "table",
    "to_csv",
    "total",
]


@dataclass
class Options:
    """Check the exercises of a lecture: yours, or those of a class."""

    lecture: Path | None = option(None, "the lecture's folder, for example lectures/15_grpo")
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
        raise UserError("name a lecture: python -m course.grade lectures/15_grpo")
    if options.csv and not options.submissions:
        raise UserError("--csv is the table of a class: name its folder with --submissions")
    if options.submissions and (options.json or options.file):
        raise UserError(
            "--json and --file are for one submission, --submissions and --csv for a class: give one pair of them"
        )
    for flag, target in (("--csv", options.csv), ("--json", options.json)):
        if target:
            writable(target, flag)
    lecture = load_lecture(options.lecture)
    limits = {"seconds": options.seconds, "memory_mb": options.memory_mb}
    if os.name != "posix":
        print(
            "note: this system has no limits on memory; a submission is bounded in time alone",
            file=sys.stderr,
        )
    if options.submissions:
        grades = to_csv(lecture, grade_class(lecture, options.submissions, **limits))
        if options.csv:
            options.csv.write_text(grades, encoding="utf-8")
            print(f"grades: {options.csv}")
        else:
            print(grades, end="")
        return
    file = options.file or options.lecture / "exercises.py"
    outcomes = grade_file(lecture, file, **limits)
    print(table(outcomes, file.name))
    if options.json:
        options.json.write_text(
            json.dumps(gradescope(outcomes, file.name), indent=2) + "\n", encoding="utf-8"
        )
        print(f"results: {options.json}")


def main(argv: Sequence[str] | None = None) -> None:
    cli.run_command(
        run,
        Options,
        argv,
        prog="python -m course.grade LECTURE",
        description=Options.__doc__,
        first="lecture",
    )
