"""A whole class: grade a folder of submissions, each in a process of its own, into one CSV table.

    submissions/ana/exercises.py      a folder a student, as Gradescope, Moodle and a code host export them
    submissions/ben.py                or a file a student

Before the first submission the reference is graded: if our own solution does not get full points, the grader is broken,
says so and gives no grades.
"""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from minilrm.errors import UserError
from minilrm.grade.lecture import Lecture
from minilrm.grade.remote import GraderError
from minilrm.grade.results import Outcome, grade_file, total


def submissions(folder: Path) -> dict[str, Path | None]:
    """Name of the student -> the file to grade; None where a student handed in no exercises.py, or several."""
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; name the one that holds the submissions")
    found: dict[str, Path | None] = {}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            files = [f for f in entry.rglob("exercises.py") if "__MACOSX" not in f.parts]
            found[entry.name] = files[0] if len(files) == 1 else None
        elif entry.suffix == ".py":
            found[entry.stem] = entry
    if not found:
        raise UserError(f"{folder} holds no submissions: a folder a student with exercises.py in it, or a NAME.py a student")
    return found


def prove(lecture: Lecture, **limits: float) -> None:
    """Raise GraderError unless the reference gets full points here and now."""
    reference = lecture.folder / "solutions.py"
    if not reference.is_file():
        raise GraderError(f"{reference} is missing: a class is graded only where the reference proves that the checks work")
    wrong = [o for o in grade_file(lecture, reference, **limits) if not o.passed]
    if wrong:
        raise GraderError(f"the reference itself fails {wrong[0].exercise.name!r} ({wrong[0].message}); nothing was graded")


def grade_class(
    lecture: Lecture, folder: Path, *, say: Callable[[str], None] = print, **limits: float,
) -> dict[str, list[Outcome]]:
    """Grade all submissions in a folder. What one of them does is its own result."""
    found = submissions(folder)
    prove(lecture, **limits)
    grades = {}
    for i, (name, file) in enumerate(found.items(), 1):
        if file is None:
            outcomes = [Outcome(e, 0, "there is not exactly one exercises.py in the submission") for e in lecture.exercises]
        else:
            outcomes = grade_file(lecture, file, **limits)
        grades[name] = outcomes
        reached, most = total(outcomes)
        say(f"{i:>4} of {len(found)}  {plain(name):<32} {reached:>3} / {most}")
    return grades


def plain(text: str) -> str:
    """A text for one cell or one line: nothing unprintable, and nothing that a spreadsheet takes for a formula.

    >>> plain("=1+1"), plain("two\\nlines")
    ("'=1+1", 'two lines')
    """
    text = "".join(c if c.isprintable() else " " for c in text)
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def to_csv(lecture: Lecture, grades: dict[str, Sequence[Outcome]]) -> str:
    """A row a submission: name, total, most, points of each check, and what was wrong."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["submission", "total", "most", *(e.name for e in lecture.exercises), "comments"])
    for name, outcomes in grades.items():
        comments = "; ".join(f"{o.exercise.name}: {o.message}" for o in outcomes if not o.passed)
        writer.writerow([plain(name), *total(outcomes), *(o.score for o in outcomes), plain(comments)])
    return out.getvalue()
