"""A lecture: its folder, what its checks.py holds, and how a command line names it."""

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from course.grade.errors import GraderError
from course.grade.writing import Exercise, Mutant
from minilrm.errors import UserError

LECTURES = Path(__file__).resolve().parents[2] / "lectures"


@dataclass(frozen=True)
class Lecture:
    """A lecture's folder and what its checks.py holds. `forbidden`: modules where the answers
    stand, which a submission may not import."""

    folder: Path
    exercises: tuple[Exercise, ...]
    mutants: tuple[Mutant, ...]
    forbidden: tuple[str, ...] = ()

    @property
    def functions(self) -> list[str]:
        """The exercises in their order, each once."""
        return list(dict.fromkeys(exercise.function for exercise in self.exercises))

    @property
    def points(self) -> int:
        """Those of all exercises."""
        return sum(exercise.points for exercise in self.exercises)


def find_lectures(root: Path = LECTURES) -> list[Path]:
    """The folders with a checks.py, in the order of their numbers."""
    return sorted(file.parent for file in Path(root).glob("[0-9]*_*/checks.py"))


def find_lecture(word: str, root: Path = LECTURES) -> Path:
    """The folder that a word names: a folder with a checks.py, or a lecture of the course by its
    number, its name or both. UserError, with the names that there are, if there is none.

    >>> find_lecture("15").name, find_lecture("grpo").name, find_lecture("lectures/15_grpo").name
    ('15_grpo', '15_grpo', '15_grpo')
    """
    folder = Path(word)
    if (folder / "checks.py").is_file():
        return folder
    every, wanted = find_lectures(root), folder.resolve().name
    for lecture in every:
        number, _, name = lecture.name.partition("_")
        if wanted in (lecture.name, name) or wanted.zfill(2) == number:
            return lecture
    if folder.is_dir() and folder != Path():
        return folder
    if not every:
        raise UserError(f"{root} holds no lecture with a checks.py")
    raise UserError(
        f"no lecture is called {word!r}; name one by its folder or its number: "
        + ", ".join(lecture.name for lecture in every)
    )


def load_module(file: Path, name: str) -> ModuleType:
    """A file of ours as a fresh module. Not for submissions: those are imported in a process of
    their own."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None, file
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise GraderError(
            f"{file} cannot be imported ({type(error).__name__}: {error}); nothing was graded"
        ) from error
    return module


def load_lecture(folder: Path) -> Lecture:
    """The lecture in a folder; GraderError if its checks cannot be used."""
    file = Path(folder) / "checks.py"
    if not file.is_file():
        raise GraderError(
            f"{file} is missing, so there is nothing to grade by; restore it from the course"
        )
    module = load_module(file, f"minilrm_checks_{file.resolve().parent.name}")
    lecture = Lecture(
        Path(folder),
        tuple(getattr(module, "_EXERCISES", ())),
        (*getattr(module, "_MUTANTS", ()), *more_mutants(Path(folder), module)),
        tuple(getattr(module, "FORBIDDEN", ())),
    )
    if not lecture.exercises:
        raise GraderError(f"{file} holds no @exercise; restore it from the course")
    names = [exercise.name for exercise in lecture.exercises]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise GraderError(f"{file} has two checks called {twice[0]!r}; rename one")
    return lecture


def more_mutants(folder: Path, checks: ModuleType) -> Sequence[Mutant]:
    """Those of mutants.py, if the lecture has one; while it is read, `checks` is the module of that
    name."""
    file = folder / "mutants.py"
    if not file.is_file():
        return ()
    before = sys.modules.get("checks")
    sys.modules["checks"] = checks
    try:
        module = load_module(file, f"minilrm_mutants_{folder.resolve().name}")
        return getattr(module, "_MUTANTS", ())
    finally:
        sys.modules.pop("checks")
        if before is not None:
            sys.modules["checks"] = before
