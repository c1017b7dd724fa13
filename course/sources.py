"""The course's files: one source an exercise, `solutions.py`, from which the students' is made, and
what they get.

What stands between the markers `### BEGIN SOLUTION` and `### END SOLUTION` is the answer.
"""

import re
import shutil
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from minilrm.errors import UserError

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
MUTANTS = re.compile(
    r"\n*^### BEGIN MUTANTS$.*?^### END MUTANTS$\n*", flags=re.DOTALL | re.MULTILINE
)
NOT_RELEASED = ("solutions.py", "mutants.py", "__pycache__", ".ipynb_checkpoints")
AFTER_THE_DEADLINE = ("notebook*.py", "minimal.py")  # they write exercises' bodies


def student_version(source: str, name: str = "solutions.py") -> str:
    """The student's file: what stands between the markers gives way to `raise NotImplementedError`.

    >>> body = ["### BEGIN SOLUTION", "return x", "### END SOLUTION"]
    >>> print(student_version("\\n    ".join(["def f(x):", *body])), end="")
    def f(x):
        ### BEGIN SOLUTION
        raise NotImplementedError
        ### END SOLUTION
    """
    lines, inside = [], False
    for number, line in enumerate(source.splitlines(), 1):
        word = line.strip()
        if word in (BEGIN, END) and inside == (word == BEGIN):
            raise UserError(f"{name}, line {number}: {word} does not follow its counterpart")
        if word == BEGIN:
            inside = True
            lines += [line, line[: len(line) - len(line.lstrip())] + "raise NotImplementedError"]
        elif word == END:
            inside = False
            lines.append(line)
        elif not inside:
            lines.append(line)
    if inside:
        raise UserError(f"{name} ends inside a solution: {END} is missing")
    return "\n".join(lines) + "\n"


def without_mutants(checks: str) -> str:
    """checks.py as students get it."""
    return MUTANTS.sub("\n", checks)


def read(file: Path) -> str:
    """The text of one of a lecture's files; UserError if it is missing."""
    if not file.is_file():
        raise UserError(
            f"{file} is missing; a lecture has README.md, solutions.py, checks.py "
            "(lectures/INSTRUCTORS.md)"
        )
    return file.read_text(encoding="utf-8")


def holds_answers(file: Path) -> bool:
    """True if somebody has written between this exercises.py's markers: hours of work, never to be
    written over."""
    try:
        text = file.read_text(encoding="utf-8")
        return student_version(text).split() != text.split()
    except (OSError, ValueError, UserError):  # no file, another encoding, broken markers
        return file.is_file()


def generate(folder: Path) -> str:
    """Write the lecture's exercises.py, unless it holds answers. Says in a word or two what was
    done."""
    made = student_version(read(folder / "solutions.py"), str(folder / "solutions.py"))
    file = folder / "exercises.py"
    if file.is_file() and file.read_bytes() == made.encode():
        return "as it was"
    if holds_answers(file):
        return "left alone: it holds answers; move it away to get a fresh one"
    file.write_text(made, encoding="utf-8", newline="\n")
    return "written"


# -- what students get -----------------------------------------------------------------------------


def released(folder: Path, with_notebooks: bool = False) -> dict[Path, str | None]:
    """What students get of a lecture: file -> its text, or None for a file that is copied as it is.
    `with_notebooks`: those and other files that write the exercises' bodies, too."""
    left_out = NOT_RELEASED if with_notebooks else (*NOT_RELEASED, *AFTER_THE_DEADLINE)
    files: dict[Path, str | None] = {}
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if file.is_file() and not any(fnmatch(p, pattern) for p in parts for pattern in left_out):
            files[file] = None
    files[folder / "exercises.py"] = student_version(read(folder / "solutions.py"))
    files[folder / "checks.py"] = without_mutants(read(folder / "checks.py"))
    return files


def release(folders: Sequence[Path], out: Path, with_notebooks: bool = False) -> list[Path]:
    """Write what students get of these lectures, and the course's own pages, to `out`. Returns the
    folders written."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a new folder")
    if out.exists() and any(out.iterdir()):
        raise UserError(
            f"{out} is not empty; name a new folder, so that nothing of an older release stays"
        )
    for folder in folders:
        for file, text in released(folder, with_notebooks).items():
            target = out / folder.name / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                shutil.copyfile(file, target)
            else:
                target.write_text(text, encoding="utf-8", newline="\n")
    for page in sorted(folders[0].parent.glob("*.md")):
        shutil.copyfile(page, out / page.name)
    return [out / folder.name for folder in folders]
