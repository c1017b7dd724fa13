"""What a lecture's checks.py is written with: exercises, mutants, and ways to say what is wrong.

    @exercise("kl_k3", points=2)
    def value(student):
        '''What it is held to, in a line.'''
        expect_close(student.kl_k3(logp, ref), wanted, "k3 is exp(d) - d - 1",
                     {"d is ref_logp - logp": the_other_way})

    @mutant("kl_k3", "d is ref_logp - logp")
    def backwards(logp, ref_logp): ...

An exercise may have several checks; each is a row of its own with its own points. A check raises
nothing if all is well. Mutants stand at the end of checks.py, or, if that gets long, beside it in
mutants.py, which may `from checks import` helpers. `student` has the functions, here or in another
process (student.py); a check cannot tell which.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from course.grade.errors import Rejected, StudentError
from course.submission.wire import Function, a_kind

Check = Callable[[Any], None]  # takes a student; raises Rejected


@dataclass(frozen=True)
class Exercise:
    """One check of one exercise. `in_place`: the function may change its arguments."""

    function: str
    part: str
    points: int
    check: Check
    in_place: bool = False

    @property
    def name(self) -> str:
        """The row's name in tables."""
        return f"{self.function}: {self.part}"


@dataclass(frozen=True)
class Mutant:
    """A plausible wrong answer, and a piece of the message that it must get."""

    function: str
    message: str
    code: Function

    @property
    def name(self) -> str:
        """What `course check` calls it."""
        return f"{self.function}, mutant {self.code.__name__}"


def exercise(function: str, *, points: int, in_place: bool = False) -> Callable[[Check], Check]:
    """Decorator: this is a check of the exercise `function`, worth so many points.

    A function that changes an argument fails the check, with a message that names the argument.
    Unless `in_place`: then the check's own arguments change as the function's did, to be looked at.
    """

    def register(check: Check) -> Check:
        found = check.__globals__.setdefault("_EXERCISES", [])
        part = check.__name__.replace("_", " ")
        found.append(Exercise(function, part, points, check, in_place))
        return check

    return register


def mutant(function: str, message: str) -> Callable[[Function], Function]:
    """Decorator: this is a wrong answer to the exercise `function`; its message must contain
    `message`."""

    def register(code: Function) -> Function:
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
    course.grade.errors.Rejected: you took the sum, not the mean
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
