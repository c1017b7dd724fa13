"""Proofs of a lecture: that its solutions are right, its mistakes are found, its text is true and
its release holds no answer. What is wrong is a line each.

- The solutions get full points, in a process of their own, as a submission does.
- A function that is not yet written fails with NotImplementedError and nothing else.
- Each mutant is rejected with its own message; an exercise has at least three.
- exercises.py is what solutions.py makes of it.
- Code quoted in the README is the library's: a fence of Python under the line
  `<!-- quote: minilrm/objectives.py name -->` must be found in that file, word for word, blank
  lines and docstrings aside.
- No file that students get holds an exercise's body, or a function that earns its points.
"""

import ast
import functools
import importlib
import importlib.util
import inspect
import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

from course import grade
from course.grade import Lecture, LocalStudent
from course.grade.lecture import load_module
from course.leaks import FEWEST_NODES, answers_shown, size, without_docstring
from course.sources import BEGIN, holds_answers, read, released, student_version

ROOT = Path(__file__).resolve().parent.parent
FEWEST_MUTANTS = 3
LONGEST_RUN = 100_000  # lines of Python in a call
QUOTE = re.compile(r"<!-- quote: (\S+) (\S+) -->\n```python\n(.*?)```", flags=re.DOTALL)

Functions = dict[str, Any]


def problems(folder: Path) -> Iterator[str]:
    """All that is wrong with a lecture, but for leaks."""
    lecture = grade.load_lecture(folder)
    source = read(folder / "solutions.py")
    made = student_version(source, str(folder / "solutions.py"))
    exercises = folder / "exercises.py"
    if holds_answers(exercises):
        yield (
            "exercises.py holds answers, so it is somebody's work: move it away, then "
            "`python -m course generate`"
        )
    elif not exercises.is_file() or exercises.read_text(encoding="utf-8") != made:
        yield "exercises.py is stale: run `python -m course generate`"
    for outcome in grade.grade_file(lecture, folder / "solutions.py"):
        if not outcome.passed:
            yield f"the solution fails {outcome.exercise.name!r}: {outcome.message}"
    solutions = solutions_of(folder)
    yield from stub_problems(lecture, solutions)
    yield from mutant_problems(lecture, solutions)
    yield from text_problems(folder, lecture, source)
    for name in lecture.forbidden:
        if not exists(name):
            yield f"checks.py forbids {name}, and there is no such module"


def solutions_of(folder: Path) -> Functions:
    """The functions of a lecture's solutions.py, in this process."""
    return dict(vars(load_module(folder / "solutions.py", f"minilrm_solutions_{folder.name}")))


def exists(name: str) -> bool:
    """True if this is a module, or what a package of that name gives (`minilrm.Tokenizer`)."""
    try:
        if importlib.util.find_spec(name) is not None:
            return True
    except ImportError:  # its package is missing
        return False
    package, _, attribute = name.rpartition(".")
    return package != "" and hasattr(importlib.import_module(package), attribute)


def stub_problems(lecture: Lecture, solutions: Functions) -> Iterator[str]:
    """A function that is not written yet must be told so, by each of its checks, the others being
    right."""

    def stub(*args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    for check in lecture.exercises:
        outcome = grade.run_check(check, LocalStudent(solutions | {check.function: stub}))
        if not outcome.unwritten:
            said = outcome.message or "it passes"
            yield f"a stub is not rejected as unwritten by {check.name!r}: {said}"


def mutant_problems(lecture: Lecture, solutions: Functions) -> Iterator[str]:
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
            yield f"README.md quotes {name} of {file}: {remedy(code, ROOT / file, name)}"
    for target in re.findall(r"!\[[^\]]*\]\(([^)\s]+)\)", readme):
        if not target.startswith("http") and not (folder / target).is_file():
            yield f"README.md shows {target}, which is not there"


def is_quotation(code: str, file: Path, name: str) -> bool:
    """True if these lines are in that function or class, in one piece, docstring and blank lines
    left out."""
    quoted = "\n" + bare(code)
    return bare(code) != "" and any(quoted in "\n" + body for body in bodies(file, name).values())


def remedy(code: str, file: Path, name: str) -> str:
    """What to do about a quotation that is none: where today's lines are, and the first of the
    quoted ones that is not among them."""
    found = bodies(file, name)
    if not found:
        return "there is no such function or class now: name its new place, or drop the quotation"
    number, body = next(iter(found.items()))
    today = set(body.splitlines())
    gone = next((line for line in bare(code).splitlines() if line not in today), None)
    why = (
        "its lines are in no such order" if gone is None else f"it no longer has the line {gone!r}"
    )
    return f"{why}: copy today's lines from {file.name}, line {number}, into the README"


def bodies(file: Path, name: str) -> dict[int, str]:
    """The functions and classes of this name in a file, by their first lines, as `bare` code
    without docstrings."""
    if not file.is_file():
        return {}
    source, found = file.read_text(encoding="utf-8"), {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            lines = source.splitlines()[node.lineno - 1 : node.end_lineno]
            if ast.get_docstring(node) is not None:
                first, last = node.body[0].lineno, node.body[0].end_lineno or node.body[0].lineno
                lines[first - node.lineno : last - node.lineno + 1] = []
            found[node.lineno] = bare("\n".join(lines))
    return found


def bare(code: str) -> str:
    """The lines of the code without blank ones and without indentation, each ended by a newline."""
    return "".join(line.strip() + "\n" for line in code.splitlines() if line.strip())


# -- leaks -----------------------------------------------------------------------------------------


def leaks(folder: Path) -> Iterator[str]:
    """Where a student could copy an answer from what is released before the deadline."""
    lecture, source = grade.load_lecture(folder), read(folder / "solutions.py")
    for file, text in released(folder).items():
        if file.suffix == ".py" and file.name != "exercises.py":
            text = read(file) if text is None else text
            for function in answers_shown(text, source):
                yield f"{file.name} shows the answer to {function}"
    solutions = solutions_of(folder)
    for helper in helpers(folder, lecture):
        for function in lecture.functions:
            if earns_all(helper, function, lecture, solutions):
                yield f"{helper.__name__} of {place(helper)} is an answer to {function}"


def helpers(folder: Path, lecture: Lecture) -> list[FunctionType]:
    """The functions that a student could paste: in the modules that checks.py consists of, neither
    checks nor mutants, longer than a call, and without what a submission may not import."""
    ours = {check.check for check in lecture.exercises} | {m.code for m in lecture.mutants}
    hidden = {folder / "solutions.py", folder / "mutants.py"}
    return [
        value
        for module in list(sys.modules.values())
        if (file := getattr(module, "__file__", None)) and Path(file).parent == folder
        for value in list(vars(module).values())
        if isinstance(value, FunctionType) and value not in ours
        if value.__module__ == module.__name__ and Path(file) not in hidden
        if length(value) >= FEWEST_NODES and not uses(value, lecture.forbidden)
    ]


def length(function: FunctionType) -> int:
    """Nodes of a function's body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return sum(size(without_docstring(n)) for n in tree.body if isinstance(n, ast.FunctionDef))


def uses(function: FunctionType, modules: Sequence[str]) -> bool:
    """True if a function names one of these modules, or something that comes from one."""
    named = (function.__globals__.get(name) for name in function.__code__.co_names)
    homes = [v.__name__ if inspect.ismodule(v) else getattr(v, "__module__", "") for v in named]
    return any(f"{home}.".startswith(f"{module}.") for home in homes for module in modules)


def place(function: FunctionType) -> str:
    """The name of the file in which a function stands."""
    return Path(function.__code__.co_filename).name


def earns_all(helper: FunctionType, function: str, lecture: Lecture, solutions: Functions) -> bool:
    """True if a function gets all points of an exercise that needs as many arguments."""
    if needed(helper) != needed(solutions[function]):
        return False
    student = LocalStudent(solutions | {function: bounded(helper)})
    checks = (check for check in lecture.exercises if check.function == function)
    with warnings.catch_warnings(action="ignore"):  # arguments that a helper is not made for
        return all(grade.run_check(check, student).passed for check in checks)


def bounded(function: FunctionType) -> Callable[..., Any]:
    """The function, which raises TimeoutError where it would run through more than LONGEST_RUN
    lines of Python: with arguments that it is not made for it might never end."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        lines = 0

        def count(frame: FrameType, event: str, value: Any) -> Any:
            nonlocal lines
            lines += event == "line"
            if lines > LONGEST_RUN:
                raise TimeoutError(f"more than {LONGEST_RUN} lines")
            return count

        before = sys.gettrace()
        sys.settrace(count)
        try:
            return function(*args, **kwargs)
        finally:
            sys.settrace(before)

    return call


def needed(function: FunctionType) -> int:
    """The number of arguments without a default."""
    return sum(p.default is p.empty for p in inspect.signature(function).parameters.values())
