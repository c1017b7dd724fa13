"""The course as instructors keep it: one source an exercise, from which all else is made and by
which all is proved.

    python -m course check               everything below, for all lectures or those named by --lectures
    python -m course generate            write exercises.py from solutions.py
    python -m course release --out DIR   what students get: no solutions, no mutants

`check` proves of each lecture that its solutions get full points (in a process of their own, as a
submission does), that each function not yet written fails with NotImplementedError and nothing
else, that each mutant is rejected with its own message, that an exercise has at least three
mutants, that exercises.py is what solutions.py makes of it, and that the code quoted in its README
is the library's: a fence of Python under the line `<!-- quote: minilrm/objectives/policy.py name -->` must
be found in that file, word for word, blank lines and docstrings aside.

nbgrader's markers stay in both files, so whoever collects by nbgrader can.
"""

import ast
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path

from course import grade
from course.grade import Lecture, LocalStudent
from course.grade.lecture import load_module
from minilrm import cli
from minilrm.errors import UserError
from minilrm.options import option

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
MUTANTS = re.compile(
    r"\n*^### BEGIN MUTANTS$.*?^### END MUTANTS$\n*", flags=re.DOTALL | re.MULTILINE
)
FEWEST_MUTANTS = 3
NOT_RELEASED = {"solutions.py", "mutants.py", "__pycache__", ".ipynb_checkpoints"}
QUOTE = re.compile(r"<!-- quote: (\S+) (\S+) -->\n```python\n(.*?)```", flags=re.DOTALL)


# -- solutions.py -> exercises.py ------------------------------------------------------------------


def student_version(source: str, name: str = "solutions.py") -> str:
    """The student's file: what stands between the markers gives way to `raise NotImplementedError`.

    >>> print(student_version("def f(x):\\n    ### BEGIN SOLUTION\\n    return x\\n    ### END SOLUTION"), end="")
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
    if not file.is_file():
        raise UserError(
            f"{file} is missing; a lecture has README.md, solutions.py, checks.py (lectures/INSTRUCTORS.md)"
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


# -- proofs ----------------------------------------------------------------------------------------


def problems(folder: Path) -> Iterator[str]:
    """All that is wrong with a lecture, a line each."""
    lecture = grade.load_lecture(folder)
    source = read(folder / "solutions.py")
    made = student_version(source, str(folder / "solutions.py"))
    exercises = folder / "exercises.py"
    if holds_answers(exercises):
        yield "exercises.py holds answers, so it is somebody's work: move it away, then `python -m course generate`"
    elif not exercises.is_file() or exercises.read_text(encoding="utf-8") != made:
        yield "exercises.py is stale: run `python -m course generate`"
    for outcome in grade.grade_file(lecture, folder / "solutions.py"):
        if not outcome.passed:
            yield f"the solution fails {outcome.exercise.name!r}: {outcome.message}"
    solutions = vars(load_module(folder / "solutions.py", f"minilrm_solutions_{folder.name}"))
    yield from stub_problems(lecture, solutions)
    yield from mutant_problems(lecture, solutions)
    yield from text_problems(folder, lecture, source)


def stub_problems(lecture: Lecture, solutions: dict) -> Iterator[str]:
    """A function that is not written yet must be told so, by each of its checks, the others being
    right."""

    def stub(*args, **kwargs):
        raise NotImplementedError

    for check in lecture.exercises:
        outcome = grade.run_check(check, LocalStudent(solutions | {check.function: stub}))
        if not outcome.unwritten:
            yield f"a stub is not rejected as unwritten by {check.name!r}: {outcome.message or 'it passes'}"


def mutant_problems(lecture: Lecture, solutions: dict) -> Iterator[str]:
    """Each mutant must fail a check of its exercise, with its message."""
    for mutant in lecture.mutants:
        checks = [check for check in lecture.exercises if check.function == mutant.function]
        outcomes = [
            grade.run_check(c, LocalStudent(solutions | {mutant.function: mutant.code}))
            for c in checks
        ]
        messages = [outcome.message for outcome in outcomes if not outcome.passed]
        if not messages:
            yield f"{mutant.name} is not rejected"
        elif not any(mutant.message in message for message in messages):
            yield f"{mutant.name} should read {mutant.message!r}, and reads {messages[0]!r}"
    for function in lecture.functions:
        count = sum(mutant.function == function for mutant in lecture.mutants)
        if count < FEWEST_MUTANTS:
            yield f"{function} has {count} mutants, {FEWEST_MUTANTS} at least"


def text_problems(folder: Path, lecture: Lecture, source: str) -> Iterator[str]:
    """The README names each exercise and quotes the library truly; the markers enclose each
    exercise's body."""
    readme = read(folder / "README.md")
    for function in lecture.functions:
        if f"`{function}`" not in readme:
            yield f"README.md does not mention the exercise `{function}`"
    written = {
        node.name: ast.get_docstring(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and BEGIN in (ast.get_source_segment(source, node) or "")
    }
    for function in lecture.functions:
        if not written.get(function):
            yield f"solutions.py has no `{function}` with a docstring and {BEGIN}"
    for file, name, code in QUOTE.findall(readme):
        if not is_quotation(code, ROOT / file, name):
            yield f"README.md quotes {name} of {file}, and the file says something else"
    for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", readme):
        if not target.startswith("http") and not (folder / target).is_file():
            yield f"README.md shows {target}, which is not there"


def is_quotation(code: str, file: Path, name: str) -> bool:
    """True if these lines are in that function or class, in one piece, docstring and blank lines
    left out."""
    if not file.is_file():
        return False
    source = file.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
            if ast.get_docstring(node) is not None:
                said = node.body[0]
                lines[said.lineno - node.lineno : said.end_lineno - node.lineno + 1] = []
            return bare(code) != "" and "\n" + bare(code) in "\n" + bare("\n".join(lines))
    return False


def bare(code: str) -> str:
    """The lines of the code without blank ones and without indentation, each ended by a newline."""
    return "".join(line.strip() + "\n" for line in code.splitlines() if line.strip())


# -- what students get -----------------------------------------------------------------------------


def release(folders: Sequence[Path], out: Path) -> list[Path]:
    """Copy lectures to `out` without solutions and mutants; exercises.py is made fresh. Returns
    what was written."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file; name a new folder")
    if out.exists() and any(out.iterdir()):
        raise UserError(
            f"{out} is not empty; name a new folder, so that nothing of an older release stays"
        )
    written = []
    for folder in folders:
        target = out / folder.name
        shutil.copytree(
            folder, target, ignore=lambda _, names: [n for n in names if n in NOT_RELEASED]
        )
        (target / "exercises.py").write_text(
            student_version(read(folder / "solutions.py")), encoding="utf-8", newline="\n"
        )
        (target / "checks.py").write_text(
            without_mutants(read(folder / "checks.py")), encoding="utf-8", newline="\n"
        )
        written.append(target)
    for file in sorted(folders[0].parent.glob("*.md")):
        if file.name not in NOT_RELEASED:
            shutil.copyfile(file, out / file.name)
    return written


# -- the command -----------------------------------------------------------------------------------


@dataclass
class Options:
    """Keep the course: prove that it is right, write the students' files, build what they get."""

    action: str = option("check", "what to do", choices=("check", "generate", "release"))
    lectures: list[str] = option([], "the lectures' folders or numbers; all if not given")
    out: Path | None = option(None, "release: the folder to build, new or empty")
    root: Path = dataclass_field(
        default=ROOT / "lectures", metadata={"help": "the folder with all lectures"}
    )


def chosen(options: Options) -> list[Path]:
    """The lectures' folders that the options name."""
    every = grade.find_lectures(options.root)
    if not every:
        raise UserError(f"{options.root} holds no lecture with a checks.py")
    if not options.lectures:
        return every
    found = []
    for word in options.lectures:
        name = Path(word).name
        fitting = [f for f in every if f.name == name or f.name.split("_")[0] == name.zfill(2)]
        if not fitting:
            raise UserError(
                f"no lecture is called {word!r}; there are {', '.join(f.name for f in every)}"
            )
        found += fitting
    return found


def run(options: Options) -> None:
    """Do what the command line asks for. A course with problems ends in exit code 1."""
    folders = chosen(options)
    if options.action == "generate":
        for folder in folders:
            print(f"{folder.name}: {generate(folder)}")
    elif options.action == "release":
        if options.out is None:
            raise UserError("name the folder to build: --out DIR")
        for target in release(folders, options.out):
            print(target)
    elif not check(folders):
        sys.exit(1)


def check(folders: Sequence[Path]) -> bool:
    """Prove all of each lecture and print what is wrong; True if nothing is."""
    well = True
    for folder in folders:
        found = list(problems(folder))
        lecture = grade.load_lecture(folder)
        points = sum(e.points for e in lecture.exercises)
        print(
            f"{folder.name}: {len(lecture.functions)} exercises, {points} points, {len(lecture.mutants)} mutants: "
            f"{'all proved' if not found else f'{len(found)} problems'}",
            flush=True,
        )
        for problem in found:
            print(f"    {problem}")
        well = well and not found
    return well


def main(argv: Sequence[str] | None = None) -> None:
    cli.run_command(
        run,
        Options,
        argv,
        prog="python -m course check|generate|release",
        description=Options.__doc__,
        first="action",
    )


if __name__ == "__main__":
    main()
