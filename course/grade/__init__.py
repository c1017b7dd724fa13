"""Exercises that check themselves: a student's file in place, or a whole class.

    python -m course.grade 15                                        your own exercises.py
    python -m course.grade 15 --file answers.py --json results.json  in Gradescope's format
    python -m course.grade 15 --submissions FOLDER --csv grades.csv  a class

`writing.py` is what a lecture's checks.py is written with, `lecture.py` finds and loads it,
`results.py` makes outcomes and tables of it, `classroom.py` grades many, `command.py` is the
command. The student's functions run in another process (course/submission/); the checks run in this
one and call them over a pipe (`student.py`, `remote.py`), through which only values can come. So a
submission can hang, crash, leave or lie, and the worst that it gets is its own 0.
"""

from course.grade.classroom import grade_class
from course.grade.command import main
from course.grade.errors import GraderError, Rejected, StudentError
from course.grade.lecture import Lecture, find_lecture, find_lectures, load_lecture
from course.grade.remote import RemoteStudent
from course.grade.results import (
    Outcome,
    grade_file,
    grade_student,
    gradescope,
    run_check,
    table,
    total,
)
from course.grade.student import LocalStudent
from course.grade.writing import (
    Exercise,
    Mutant,
    close,
    exercise,
    expect,
    expect_close,
    expect_raises,
    gradients,
    mutant,
    reject,
)

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
    "find_lecture",
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
    "total",
]
