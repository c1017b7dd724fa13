"""What a lecture's checks.py is written with: exercises, mutants, and ways to say what is wrong.

    @exercise("kl_k3", points=2)
    def value(student):
        '''What it is held to, in a line.''' expect_close(student.kl_k3(logp, ref), wanted, "k3 is
        exp(d) - d - 1", {"d is ref_logp - logp": the_other_way})

    @mutant("kl_k3", "d is ref_logp - logp")
    def backwards(logp, ref_logp): ...

An exercise may have several checks; each is a row of its own with its own points. A check raises
nothing if all is well. Mutants stand at the end of checks.py, or, if that gets long, beside it in
mutants.py, which may `from checks import` helpers. `student` has the functions, here (LocalStudent)
or in another process (RemoteStudent); a check cannot tell which.
"""

import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import torch

from course.grade.remote import GraderError, StudentError
from course.grade.wire import a_kind
from minilrm.errors import UserError


class Rejected(Exception):
    """A check's verdict: what is wrong, in words for the student."""


@dataclass(frozen=True)
class Exercise:
    """One check of one exercise."""

    function: str
    part: str
    points: int
    check: Callable[[Any], None]

    @property
    def name(self) -> str:
        return f"{self.function}: {self.part}"


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong answer, and a piece of the message that it must get."""

    function: str
    message: str
    code: Callable

    @property
    def name(self) -> str:
        return f"{self.function}, mutant {self.code.__name__}"


@dataclass(frozen=True)
class Lecture:
    """A lecture's folder and what its checks.py holds."""

    folder: Path
    exercises: tuple[Exercise, ...]
    mutants: tuple[Mutant, ...]
    forbidden: tuple[
        str, ...
    ] = ()  # modules that hold the answers: a submission may not import them

    @property
    def functions(self) -> list[str]:
        """The exercises in their order, each once."""
        return list(dict.fromkeys(exercise.function for exercise in self.exercises))


# -- writing checks --------------------------------------------------------------------------------


def exercise(function: str, *, points: int) -> Callable:
    """Decorator: this is a check of the exercise `function`, worth so many points."""

    def register(check: Callable) -> Callable:
        found = check.__globals__.setdefault("_EXERCISES", [])
        found.append(Exercise(function, check.__name__.replace("_", " "), points, check))
        return check

    return register


def mutant(function: str, message: str) -> Callable:
    """Decorator: this is a wrong answer to the exercise `function`; its message must contain
    `message`."""

    def register(code: Callable) -> Callable:
        code.__globals__.setdefault("_MUTANTS", []).append(Mutant(function, message, code))
        return code

    return register


def reject(message: str) -> NoReturn:
    """The answer is wrong, and this is how."""
    raise Rejected(message)


def expect(condition: object, message: str) -> None:
    """Reject with `message` unless the condition holds."""
    if not condition:
        reject(message)


def close(actual: Any, wanted: Any, tolerance: float = 1e-5) -> bool:
    """True if two numbers or tensors are the same but for rounding, in the same shape. NaN equals
    NaN."""
    try:
        actual, wanted = (
            torch.as_tensor(x, dtype=torch.float64).detach() for x in (actual, wanted)
        )
    except (TypeError, ValueError, RuntimeError):
        return False
    return actual.shape == wanted.shape and torch.allclose(
        actual, wanted, atol=tolerance, rtol=tolerance, equal_nan=True
    )


def expect_close(
    actual: Any,
    wanted: Any,
    message: str,
    mistakes: dict[str, Any] | None = None,
    tolerance: float = 1e-5,
) -> None:
    """Reject unless `actual` is `wanted`. `mistakes` maps a message to the value that this mistake
    gives.

    So a student who made a known mistake reads which one, and others read `message` and both
    values.

    >>> expect_close(2.0, 1.0, "the mean is wrong", {"you took the sum, not the mean": 2.0})
    Traceback (most recent call last):
    course.grade.lecture.Rejected: you took the sum, not the mean
    """
    if close(actual, wanted, tolerance):
        return
    for mistake, value in (mistakes or {}).items():
        if close(actual, value, tolerance):
            reject(mistake)
    try:
        shape = tuple(torch.as_tensor(wanted).shape)
        same_shape = tuple(torch.as_tensor(actual).shape) == shape
    except (TypeError, ValueError, RuntimeError):
        reject(f"{message} (you returned {a_kind(actual)})")
    if not same_shape:
        wanted = f"have the shape {shape}" if shape else "be one number, without axes"
        reject(f"you returned {a_kind(actual)}, it should {wanted} [{message}]")
    reject(f"{message} (you returned {short(actual)}, it should be {short(wanted)})")


def expect_raises(kind: type[Exception], call: Callable[[], Any], message: str) -> None:
    """Reject with `message` unless the call raises an exception of this kind; what is not written
    yet stays so."""
    try:
        call()
    except StudentError as error:
        if error.isa(kind):
            return
        if error.isa(NotImplementedError):
            raise
        reject(f"{message} (it raised {error.kinds[0]})")
    reject(message)


def gradients(value: Any, *of: torch.Tensor) -> list[torch.Tensor]:
    """d value / d each tensor, zeros where it does not depend on it; rejects what autograd cannot
    follow at all."""
    expect(
        isinstance(value, torch.Tensor) and value.dim() == 0,
        f"the loss must be one number, a tensor without axes; you returned {a_kind(value)}",
    )
    expect(
        value.requires_grad,
        "no gradient flows through your result: is there a detach(), .item() or .data too many?",
    )
    found = torch.autograd.grad(value, of, allow_unused=True, retain_graph=True)
    return [
        torch.zeros_like(x) if grad is None else grad for x, grad in zip(of, found, strict=True)
    ]


def short(value: Any) -> str:
    """A value in a sentence, four digits, at most 120 characters."""
    if isinstance(value, torch.Tensor):
        value = value.detach().tolist()
    return re.sub(r"-?\d+\.\d{5,}(e-?\d+)?", lambda m: f"{float(m[0]):.4g}", str(value))[:120]


# -- a student in this process, and lectures from their folders ------------------------------------


class LocalStudent:
    """Functions of this process, called as a RemoteStudent's are. For our own code only: nothing is
    limited."""

    limited = True

    def __init__(self, functions: dict[str, Any], file: str = ""):
        self._functions, self._file = functions, file

    def begin(self, name: str) -> None:
        if not callable(self._functions.get(name)):
            raise StudentError(["AttributeError"], f"there is no function {name}")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return self._functions[name](*args, **kwargs)
            except (Exception, SystemExit) as error:
                raise StudentError(
                    [kind.__name__ for kind in type(error).__mro__[:-1]], str(error)
                ) from error

        return call

    def draws(self, n: int) -> list[list[float]]:
        """As RemoteStudent's."""
        import random

        import numpy as np

        return [
            [random.random() for _ in range(n)],
            np.random.rand(n).tolist(),
            torch.rand(n).tolist(),
        ]


def load_module(file: Path, name: str) -> ModuleType:
    """A file of ours as a fresh module. Not for submissions: those are imported in a process of
    their own."""
    spec = importlib.util.spec_from_file_location(name, file)
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
    """The lecture in a folder; UserError if it is none, GraderError if its checks cannot be
    used."""
    folder = Path(folder)
    file = folder / "checks.py"
    if not folder.is_dir():
        raise UserError(
            f"there is no folder {folder}; name a lecture, for example lectures/15_grpo"
        )
    if not file.is_file():
        raise GraderError(
            f"{file} is missing, so there is nothing to grade by; restore it from the course"
        )
    module = load_module(file, f"minilrm_checks_{folder.resolve().name}")
    mutants = (*getattr(module, "_MUTANTS", ()), *more_mutants(folder, module))
    lecture = Lecture(
        folder,
        tuple(getattr(module, "_EXERCISES", ())),
        mutants,
        tuple(getattr(module, "FORBIDDEN", ())),
    )
    if not lecture.exercises:
        raise GraderError(f"{file} holds no @exercise; restore it from the course")
    names = [e.name for e in lecture.exercises]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise GraderError(f"{file} has two checks called {sorted(twice)[0]!r}; rename one")
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
        return load_module(file, f"minilrm_mutants_{folder.resolve().name}").__dict__.get(
            "_MUTANTS", ()
        )
    finally:
        sys.modules.pop("checks")
        if before is not None:
            sys.modules["checks"] = before


def find_lectures(root: Path) -> list[Path]:
    """The folders with a checks.py, in the order of their numbers."""
    return sorted(file.parent for file in Path(root).glob("[0-9]*_*/checks.py"))


def titles(lectures: Sequence[Path]) -> dict[str, str]:
    """slug -> the first heading of its README."""
    found = {}
    for folder in lectures:
        readme = folder / "README.md"
        lines = readme.read_text(encoding="utf-8").splitlines() if readme.is_file() else []
        found[folder.name] = next(
            (line.lstrip("# ") for line in lines if line.startswith("# ")), folder.name
        )
    return found
