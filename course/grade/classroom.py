"""A whole class: grade a folder of submissions, each in a process of its own, into one CSV table.

    submissions/ana/exercises.py      a folder a student, as Gradescope, Moodle and code hosts
                                      export them
    submissions/ben.py                or a file a student

The reference is graded before the first submission and after the last: if our own solution does not
get full points, the grader is broken and says so.
"""

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from course.grade.errors import GraderError
from course.grade.lecture import Lecture
from course.grade.results import Outcome, grade_file, grade_student, nothing, remote, total
from minilrm.errors import UserError

Say = Callable[[str], None]  # takes a line for the screen


def submissions(folder: Path) -> tuple[dict[str, Path | str], list[str]]:
    """(name of the student -> the file to grade, or why there is none; the names of what is no
    submission at all)."""
    if folder.is_file():
        raise UserError(
            f"{folder} is a file; unpack it, and name the folder that holds the submissions"
        )
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name the one that holds the submissions")
    found: dict[str, Path | str] = {}
    others = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "__")):
            continue
        if entry.is_dir():
            found[entry.name] = handed_in(entry)
        elif (
            entry.suffix == ".py"
        ):  # `ana.py` beside a folder `ana` keeps its whole name: nobody's grade is lost
            found[entry.name if entry.stem in found else entry.stem] = own(entry, folder)
        else:
            others.append(entry.name)
    if not found:
        raise UserError(
            f"{folder} holds no submissions: a folder a student with exercises.py in it, or a "
            "NAME.py a student" + (f" (there is {listed(others)})" if others else "")
        )
    return found, others


def handed_in(folder: Path, name: str = "exercises.py") -> Path | str:
    """The one file of this name in a student's folder, or why there is not exactly one."""
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not {"__MACOSX", "__pycache__"} & set(file.parts)
    ]
    named = [file for file in files if file.name == name]
    if len(named) == 1:
        return own(named[0], folder)
    if named:
        where = listed(file.relative_to(folder) for file in named)
        return f"{len(named)} files are called {name} ({where}): keep one"
    if files:
        return f"no {name} was handed in, but {listed(f.relative_to(folder) for f in files)}"
    return "nothing was handed in: the folder is empty"


def own(file: Path, folder: Path) -> Path | str:
    """The file, unless it is a link to somewhere else (to the reference, say)."""
    inside = file.resolve().is_relative_to(folder.resolve())
    return (
        file
        if inside
        else f"{file.name} is a link to a place outside the submission: hand in the file itself"
    )


def listed(names: Iterable[object]) -> str:
    """At most four names, for one line.

    >>> listed("abcdef")
    'a, b, c, d and 2 more'
    """
    shown = [plain(str(name)) for name in names]
    return ", ".join(shown[:4]) + (f" and {len(shown) - 4} more" if len(shown) > 4 else "")


def prove(lecture: Lecture, consequence: str, **limits: Any) -> list[str]:
    """Raise GraderError unless the reference gets full points here and now. Returns what this
    system lacks of the fence."""
    reference = lecture.folder / "solutions.py"
    if not reference.is_file():
        raise GraderError(
            f"{reference} is missing: a class is graded only where the reference proves that the "
            "checks work"
        )
    with remote(lecture, reference, **limits) as student:
        outcomes = grade_student(lecture, student)
    for wrong in (outcome for outcome in outcomes if not outcome.passed):
        raise GraderError(
            f"the reference itself fails {wrong.exercise.name!r} ({wrong.message}); {consequence}"
        )
    return student.lacking


def grade_class(
    lecture: Lecture, folder: Path, *, say: Say = print, **limits: Any
) -> Iterator[tuple[str, list[Outcome]]]:
    """Grade all submissions in a folder: (name, outcomes), one after the other, each when it is
    finished. What a submission does is its own result.

    Raises UserError or GraderError before the first if there is nothing to grade or the reference
    fails, and GraderError after the last if it fails then.
    """
    found, others = submissions(folder)
    if others:
        say(f"passed over, neither a folder nor a .py file: {listed(others)}")
    lacking = prove(lecture, "nothing was graded", **limits)
    if lacking:
        say(f"this system has no {', no '.join(lacking)}: lectures/INSTRUCTORS.md says what holds")
    return each(lecture, found, say, limits)


def each(
    lecture: Lecture, found: dict[str, Path | str], say: Say, limits: dict[str, Any]
) -> Iterator[tuple[str, list[Outcome]]]:
    """The submissions of grade_class."""
    for i, (name, file) in enumerate(found.items(), 1):
        if isinstance(file, str):
            outcomes = nothing(lecture, file)
        else:
            outcomes = grade_file(lecture, file, **limits)
        yield name, outcomes
        reached, most = total(outcomes)
        say(f"{i:>4} of {len(found)}  {plain(name):<32} {reached:>3} / {most}")
    prove(lecture, "something changed meanwhile: do not use these grades", **limits)


def writable(file: Path, flag: str) -> None:
    """UserError if this file cannot be written: said before an hour of grading, not after it."""
    if file.is_dir():
        example = file / f"grades.{flag.removeprefix('--')}"
        raise UserError(f"{flag} {file} is a folder; name a file in it, for example {example}")
    if not file.parent.is_dir():
        raise UserError(f"{flag}: there is no folder {file.parent}; make it first")
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UserError(
            f"{flag} {file} cannot be written; choose another folder, or change its permissions"
        )


def plain(text: str) -> str:
    """A text for one cell or one line: nothing unprintable, and nothing that a spreadsheet takes
    for a formula.

    >>> plain("=1+1"), plain("two\\nlines")
    ("'=1+1", 'two lines')
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def header(lecture: Lecture) -> str:
    """The first line of the table: name, total, most, each check, and what was wrong."""
    return line(["submission", "total", "most", *(e.name for e in lecture.exercises), "comments"])


def row(name: str, outcomes: Sequence[Outcome]) -> str:
    """A submission's line of the table."""
    return line(
        [plain(name), *total(outcomes), *(o.score for o in outcomes), plain(comments(outcomes))]
    )


def line(cells: Sequence[object]) -> str:
    """Cells as a line of CSV.

    >>> line(["a, b", 1])
    '"a, b",1\\n'
    """
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def comments(outcomes: Sequence[Outcome]) -> str:
    """What was wrong, each message once, with the checks that it is about:
    `kl_k3: value: not written yet; ...`."""
    about: dict[str, list[str]] = {}
    for o in outcomes:
        if not o.passed:
            about.setdefault(o.message, []).append(o.exercise.name)
    return "; ".join(
        f"{'everything' if len(names) == len(outcomes) > 1 else ', '.join(names)}: {message}"
        for message, names in about.items()
    )
