"""The rules of the house (DESIGN.md, sections 2 and 4), read from the source: who may import whom,
how long things are.

A file is a room, a room is on a floor, and a file imports only from lower floors; the files of a
package are one room.
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "minilrm"

FLOORS = [
    {"model", "kernels", "tokenizer", "objectives", "values", "intervals", "tasks"},
    {"checkpoint", "sampler", "tools", "corpus", "optim", "batches"},
    {"rollout", "scorers", "manner"},
    {"rewards", "measure", "labels", "tool_use"},
    {"loop", "evaluate", "reflection", "traces", "process", "beginnings"},
    {"inference", "pretrain", "sft", "reward_model", "rl", "preferences"},
    {"grpo", "ppo", "dpo", "preference_model", "distill"},
    {"pipeline"},
    {"speedrun"},
    {"ask", "compare", "feedback", "page", "doctor", "failures"},
]
# The one exception: model.py is written as in the papers and calls its fast arithmetic by name from
# kernels.py. The two are one thing in two files, and kernels.py imports nothing of ours.
ALSO = {"model": {"kernels"}}
# Side rooms: every floor may import them. They import nothing of the floors, and of each other only
# this.
SIDE = {
    "errors": set(),
    "files": {"errors"},
    "machine": {"errors"},
    "devices": {"errors", "machine"},
    "options": {"errors", "files", "machine"},
    "cli": {"errors", "machine", "devices", "options"},
    "runlog": {"errors", "files", "machine"},
    "progress": {"errors", "files"},
    "curves": set(),
    "painter": set(),
    "report": {"errors", "files", "machine", "options", "cli", "runlog", "curves"},
}
EXEMPT = {"__init__", "__main__"}

LONGEST_FILE, LONGEST_FUNCTION = 400, 60
FORBIDDEN_IMPORTS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec"}


def room_of(file, package):
    """The room a file belongs to: its name, or that of the sub-package it is in."""
    first = file.relative_to(package).parts[0]
    return first.removesuffix(".py")


def may_import(room, other):
    """True if the room may import the other one."""
    if room == other or room in EXEMPT or other in ALSO.get(room, ()):
        return True
    if room in SIDE:
        return other in SIDE[room]
    floor = next(number for number, rooms in enumerate(FLOORS) if room in rooms)
    return other in SIDE or any(other in rooms for rooms in FLOORS[:floor])


def absolute(node, file, package):
    """The dotted modules that an import statement may bring in, relative ones made absolute."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    module = node.module or ""
    if node.level:
        parts = [package.name, *file.relative_to(package).parent.parts]
        parts = parts[: len(parts) - node.level + 1]
        module = ".".join([*parts, module] if module else parts)
    return [f"{module}.{alias.name}" for alias in node.names]


def imported_rooms(tree, file, package):
    """(line, room) for every import of our own, wherever in the file it stands."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in absolute(node, file, package):
                parts = name.split(".")
                if parts[0] == package.name and parts[-1] != "__version__":
                    # `import minilrm` brings the package's __init__, which knows rooms of upper
                    # floors.
                    yield node.lineno, parts[1] if len(parts) > 1 else "__init__"


def import_problems(tree, file, package):
    """What the file imports against the floors."""
    room = room_of(file, package)
    if room not in EXEMPT and room not in SIDE and not any(room in rooms for rooms in FLOORS):
        return [
            f"{file.name}: the room {room!r} is on no floor; give it one here, and in DESIGN.md, "
            "section 2"
        ]
    return [
        f"{file.name}:{line}: {room} may not import {other}"
        for line, other in sorted(set(imported_rooms(tree, file, package)))
        if not may_import(room, other)
    ]


def length_problems(tree, file, lines):
    """A file or a function that is too long to be read at one go."""
    problems = (
        [f"{file.name}: {lines} lines, {LONGEST_FILE} at most"] if lines > LONGEST_FILE else []
    )
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = node.end_lineno - node.lineno + 1
            if length > LONGEST_FUNCTION:
                where = f"{file.name}:{node.lineno}"
                problems.append(
                    f"{where}: {node.name} has {length} lines, {LONGEST_FUNCTION} at most"
                )
    return problems


def safety_problems(tree, file):
    """What could run text as code: pickle in any dress, and the builtins eval and exec
    (`model.eval()` is another)."""
    problems = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            named = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
            problems += [
                f"{file.name}:{node.lineno}: imports {name}"
                for name in named
                if name.split(".")[0] in FORBIDDEN_IMPORTS
            ]
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in FORBIDDEN_CALLS
        ):
            problems.append(f"{file.name}:{node.lineno}: calls {node.func.id}()")
    return problems


def problems_of(package):
    """Everything against the rules in a package."""
    problems = []
    for file in sorted(package.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=str(file))
        problems += import_problems(tree, file, package)
        problems += length_problems(tree, file, len(text.splitlines()))
        problems += safety_problems(tree, file)
    return problems


def test_the_package_keeps_the_rules():
    assert PACKAGE.is_dir()
    problems = problems_of(PACKAGE)
    assert not problems, "\n".join(problems)


BESIDE = {"course", "studies", "tests", "benchmarks"}  # the folders beside the package


def outward_imports(package):
    """Imports of what lies beside the package, which somebody who installs it does not have."""
    return [
        f"{file.name}:{node.lineno}: imports {name}"
        for file in sorted(package.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in absolute(node, file, package)
        if name.split(".")[0] in BESIDE
    ]


def test_the_package_imports_nothing_that_lies_beside_it(tmp_path):
    assert outward_imports(PACKAGE) == []
    package = house(tmp_path, grpo="from studies import common", ask="import course.grade as g")
    assert outward_imports(package) == [
        "ask.py:1: imports course.grade",
        "grpo.py:1: imports studies.common",
    ]


def test_the_course_keeps_those_of_length_and_safety():
    """The grader stands beside the package; its process for submissions knows no room of either."""
    course = PACKAGE.parent / "course"
    for file in sorted(course.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        tree = ast.parse(text, filename=str(file))
        problems = length_problems(tree, file, len(text.splitlines())) + safety_problems(tree, file)
        if "submission" in file.parts:
            for node in ast.walk(tree):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    names = absolute(node, file, course)
                    problems += [n for n in names if n.startswith(("minilrm", "course.grade"))]
        assert not problems, "\n".join(problems)


# -- the rules themselves: a checker that finds nothing proves nothing -----------------------------


def house(folder, **files):
    """A package with these files; `__` in a name is a folder's slash."""
    package = folder / "minilrm"
    for name, text in files.items():
        file = package / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return package


def test_imports_from_lower_floors_and_side_rooms_are_fine(tmp_path):
    package = house(
        tmp_path,
        model="import torch\nfrom minilrm.errors import UserError\n"
        "from minilrm.kernels import attend",
        tasks__countdown="from minilrm.tasks.base import Task\nfrom . import base\n"
        "from .templates import words",
        tasks__templates__words="from ..base import Task\nfrom ...errors import UserError",
        grpo="from minilrm import machine, __version__\nfrom .model import Transformer\n"
        "import minilrm.sft",
        report="from minilrm.runlog import read_json",
    )
    assert problems_of(package) == []


def test_imports_from_the_same_or_a_higher_floor_are_found(tmp_path):
    package = house(
        tmp_path,
        model="from minilrm.tokenizer import Tokenizer",
        kernels="from minilrm.model import Transformer",
        tokenizer="from minilrm.kernels import attend",
        sampler="from .rollout import Episode",
        tasks__countdown="from ..model import Transformer",
        tasks__templates__words="from ... import sampler",
        sft="def late():\n    import minilrm.grpo as g",
        cli="from minilrm.model import Transformer",
        rollout="from minilrm import generate",
        evaluate="import minilrm",
        attic="",
    )
    found = "\n".join(problems_of(package))
    assert "model.py:1: model may not import tokenizer" in found
    assert "kernels.py:1: kernels may not import model" in found
    assert "tokenizer.py:1: tokenizer may not import kernels" in found
    assert "sampler.py:1: sampler may not import rollout" in found
    assert "countdown.py:1: tasks may not import model" in found
    assert "words.py:1: tasks may not import sampler" in found
    assert "sft.py:2: sft may not import grpo" in found
    assert "cli.py:1: cli may not import model" in found
    assert "rollout.py:1: rollout may not import generate" in found
    assert "evaluate.py:1: evaluate may not import __init__" in found
    assert "'attic' is on no floor" in found


def test_long_and_unsafe_code_is_found(tmp_path):
    package = house(
        tmp_path,
        model="def long():\n" + "    pass\n" * LONGEST_FUNCTION,
        tokenizer="x = 1\n" * (LONGEST_FILE + 1),
        objectives="def f():\n    import pickle\n    return eval('1')",
        sampler="model.eval()\nfrom pickle import loads",
    )
    found = [problem.split(".py")[0] for problem in problems_of(package)]
    assert found == ["model", "objectives", "objectives", "sampler", "tokenizer"]


def test_at_the_limit_is_allowed(tmp_path):
    package = house(
        tmp_path,
        model="def f():\n" + "    pass\n" * (LONGEST_FUNCTION - 1),
        tokenizer="x = 1\n" * LONGEST_FILE,
    )
    assert problems_of(package) == []
