"""From checks to a grade: run a lecture's checks on one submission, and show the outcome as a table
or for Gradescope.

A failed check is the student's. A check that fails for want of something on our side is a
GraderError and ends the grading with exit code 2: no grade is better than a wrong 0.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from course.grade.errors import Dead, GraderError, Rejected, StudentError
from course.grade.lecture import Lecture
from course.grade.remote import RemoteStudent
from course.grade.student import Student
from course.grade.writing import Exercise
from minilrm.errors import UserError

# In a check these are ours: nobody's answer does that.
OURS = (ImportError, NameError, SyntaxError, OSError, MemoryError, RecursionError)
PLAIN = ("TimeoutError", "AttributeError", "PermissionError")  # what their texts say is enough
WIDTH = 118


@dataclass(frozen=True)
class Outcome:
    """What one check found. `message` is empty if it passed; `line` is a line of the submission, if
    one is known."""

    exercise: Exercise
    score: int
    message: str = ""
    line: int | None = None
    unwritten: bool = False
    hung: bool = False

    @property
    def passed(self) -> bool:
        return not self.message


def run_check(exercise: Exercise, student: Student) -> Outcome:
    """One check of one student. Raises GraderError if the check itself cannot run."""
    try:
        student.begin(exercise.function, exercise.in_place)
        exercise.check(student)
    except Rejected as rejected:
        return Outcome(exercise, 0, str(rejected) or "wrong")
    except StudentError as error:
        return student_outcome(exercise, error)
    except GraderError:
        raise
    except OURS as error:
        raise GraderError(
            f"the check {exercise.name!r} cannot run ({type(error).__name__}: {error}); "
            "the submission is not graded"
        ) from error
    except Exception as error:
        # `course check` proves each check on the reference, so it stumbled over the value.
        return Outcome(
            exercise,
            0,
            "the check could make nothing of what your function returned "
            f"({type(error).__name__}: {error}): look at its type and shape in the docstring",
        )
    return Outcome(exercise, exercise.points)


def student_outcome(exercise: Exercise, error: StudentError) -> Outcome:
    """What a student reads whose function gave nothing back."""
    hung = isinstance(error, Dead)
    if error.isa(NotImplementedError):
        return Outcome(exercise, 0, "not written yet", error.line, unwritten=True)
    if error.isa(SystemExit) and not hung:
        said = "SystemExit: your code leaves the program (sys.exit, quit); take that out"
        return Outcome(exercise, 0, said, error.line)
    said = error.text if error.kinds[0] in PLAIN and error.text else str(error)
    return Outcome(exercise, 0, said, error.line, hung=hung)


def grade_student(lecture: Lecture, student: Student) -> list[Outcome]:
    """All checks of a lecture on one student. An exercise that has hung once is not given the time
    to hang again."""
    outcomes: list[Outcome] = []
    hung: dict[str, Outcome] = {}
    for exercise in lecture.exercises:
        if exercise.function in hung:
            outcomes.append(replace(hung[exercise.function], exercise=exercise))
            continue
        outcomes.append(run_check(exercise, student))
        if outcomes[-1].hung:
            hung[exercise.function] = outcomes[-1]
    return outcomes


def grade_file(
    lecture: Lecture, file: Path, *, seconds: float = 20, memory_mb: int = 2048
) -> list[Outcome]:
    """All checks on a submission, which is imported and called in a process of its own, never in
    this one."""
    if not Path(file).is_file():
        raise UserError(missing(Path(file), lecture.folder))
    with remote(lecture, file, seconds=seconds, memory_mb=memory_mb) as student:
        return grade_student(lecture, student)


def remote(lecture: Lecture, file: Path, **limits: Any) -> RemoteStudent:
    """A submission to a lecture: what the lecture forbids, and where the answers stand, is closed
    to it."""
    hidden = (lecture.folder.resolve().parent,)
    return RemoteStudent(file, forbidden=lecture.forbidden, hidden=hidden, **limits)


def nothing(lecture: Lecture, reason: str) -> list[Outcome]:
    """No points, for a reason that holds for all exercises."""
    return [Outcome(exercise, 0, reason) for exercise in lecture.exercises]


def missing(file: Path, folder: Path) -> str:
    """There is nothing to grade at this path: what to do about it."""
    if file.is_dir():
        return f"{file} is a folder; name the file in it: --file {file / 'exercises.py'}"
    if file != folder / "exercises.py":
        return f"there is no file {file}; name the submission with --file"
    if (folder / "solutions.py").is_file():
        return f"there is no file {file}; `python -m course generate` writes a fresh one"
    return f"there is no file {file}; copy it anew from what you were given"


# -- showing ---------------------------------------------------------------------------------------


def total(outcomes: Sequence[Outcome]) -> tuple[int, int]:
    """(points reached, points in all)."""
    return sum(o.score for o in outcomes), sum(o.exercise.points for o in outcomes)


def where(outcome: Outcome, file: str) -> str:
    """`exercises.py, line 12`, or nothing."""
    return f"{file}, line {outcome.line}" if outcome.line else ""


def table(outcomes: Sequence[Outcome], file: str = "exercises.py") -> str:
    """A row a check: mark, name, points, and under it what is wrong and where to look."""
    width = max(len(o.exercise.name) for o in outcomes) + 2
    lines = []
    for before, o in zip([None, *outcomes], outcomes, strict=False):
        mark = "ok  " if o.passed else "-   " if o.unwritten else "no  "
        again = (
            before is not None and not o.passed and not o.unwritten and before.message == o.message
        )
        lines.append(
            f"{mark:<6}{o.exercise.name:<{width}}{o.score:>3} / {o.exercise.points}"
            + (f"   {o.message}" if o.unwritten else "   as above" if again else "")
        )
        if not (o.passed or o.unwritten or again):
            text = o.message + (f" ({where(o, file)})" if o.line else "")
            lines += textwrap.wrap(text, WIDTH, initial_indent=" " * 10, subsequent_indent=" " * 10)
    reached, most = total(outcomes)
    return "\n".join([*lines, f"{'':<6}{'total':<{width}}{reached:>3} / {most}"])


def gradescope(outcomes: Sequence[Outcome], file: str = "exercises.py") -> dict[str, Any]:
    """The object that Gradescope reads as results.json."""
    tests = [
        {
            "name": o.exercise.name,
            "number": str(i),
            "score": o.score,
            "max_score": o.exercise.points,
            "status": "passed" if o.passed else "failed",
            "output": " ".join(filter(None, [o.message, where(o, file)])) or "right",
        }
        for i, o in enumerate(outcomes, 1)
    ]
    reached, most = total(outcomes)
    return {
        "score": reached,
        "output": f"{reached} of {most} points",
        "visibility": "visible",
        "tests": tests,
    }
