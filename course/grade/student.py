"""A student, whose functions a check calls as if they were here:

    loss = student.grpo_loss(logp, old_logp, advantages, mask)
    loss.backward()                                     # the gradient comes back, too

The functions get copies of the check's values, so that nothing a submission does to its arguments
reaches the check, its expectation or the next student. A function that changes an argument is told
so and nothing else. The exceptions: drawing from a generator of random numbers is how it is used,
and a check with `in_place=True` is about the change itself.
"""

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from course.grade.errors import Rejected, StudentError
from course.submission.functions import Functions
from course.submission.wire import Codec, Function, Message


class Student:
    """A submission's functions as attributes; a name that it lacks is a StudentError.

    `_request` sends a message (see course/submission/functions.py) and returns the answer; what the
    functions are, and where they run, is the subclass's.
    """

    def __init__(self, file: Path):
        self._file, self._in_place = file, False
        self._codec = Codec(self._call)

    def _request(self, message: Message) -> Message:
        raise NotImplementedError

    def begin(self, name: str, in_place: bool = False) -> None:
        """Before each check: the function is there. `in_place`: it may change its arguments, and
        the check's own are changed in the same way."""
        self._in_place = in_place
        if not self._request({"has": name})["value"]:
            raise StudentError(
                ["AttributeError"],
                f"there is no function {name} in {self._file.name}; put its `def` line back",
            )

    def draws(self, n: int) -> list[list[float]]:
        """The next `n` draws from random, numpy and torch in the student's process."""
        return self._codec.decode(self._request({"draws": n})["value"])

    def __getattr__(self, name: str) -> Function:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._call(name, list(args), kwargs)

    def _call(self, name: str | int, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a function by its name, or one that the submission gave back by its number."""
        leaves: list[torch.Tensor] = []
        outputs: list[torch.Tensor] = []
        given = {
            "args": [self._codec.encode(value, leaves) for value in args],
            "kwargs": {key: self._codec.encode(value, leaves) for key, value in kwargs.items()},
        }
        answer = self._request({"call": name, **given})
        try:
            value = self._codec.decode(answer["value"], outputs)
            changed = [(key, str(name), after) for key, name, after in answer["changed"]]
            for key, parameter, after in changed:
                self._settle(args[key] if isinstance(key, int) else kwargs[key], parameter, after)
        except Rejected:
            raise
        except Exception as error:  # only a submission that writes to the pipe itself gets here
            raise StudentError(["ValueError"], f"gave back a broken value ({error})") from error
        if outputs and leaves:
            attached = iter(Remote.apply(self, answer.get("graph"), outputs, *leaves))
            return replace(value, {id(tensor): next(attached) for tensor in outputs})
        return replace(value, {id(tensor): tensor.detach() for tensor in outputs})

    def _settle(self, argument: Any, parameter: str, after: Message) -> None:
        """What comes of an argument that a function has changed."""
        if self._in_place or isinstance(argument, (random.Random, torch.Generator)):
            write_back(argument, self._codec.decode(after))
        else:
            shown = parameter if parameter.isidentifier() else "?"
            raise Rejected(f"your function changes its argument `{shown}`; work on a copy")

    def _backward(self, graph: int, grads: list[torch.Tensor]) -> list[torch.Tensor | None]:
        """The gradients of a call's arguments, given those of what it gave back."""
        answer = self._request({"backward": graph, "grads": self._codec.encode(grads)})
        try:
            return self._codec.decode(answer["value"])
        except Exception as error:
            raise StudentError(["ValueError"], f"gave back a broken gradient ({error})") from error


class LocalStudent(Student):
    """Functions of this process. For our own code only: nothing is limited."""

    def __init__(self, functions: dict[str, Any], file: Path = Path("exercises.py")):
        super().__init__(file)
        caught = (Exception, SystemExit)
        module = SimpleNamespace(**functions)
        self._functions = Functions(module, file, Codec(self._ask), caught)

    def _request(self, message: Message) -> Message:
        answer = self._functions.answer(message)
        if "error" in answer:
            raise student_error(answer["error"])
        return answer

    def _ask(self, number: int, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return self._codec.functions[number](*args, **kwargs)


class Remote(torch.autograd.Function):
    """Carries a backward pass over to where the functions are."""

    @staticmethod
    def forward(
        ctx: Any, student: Student, graph: int, outputs: list[torch.Tensor], *leaves: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        ctx.student, ctx.graph = student, graph
        return tuple(output.detach().clone() for output in outputs)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        found = ctx.student._backward(ctx.graph, [grad.contiguous() for grad in grads])
        return None, None, None, *found


def replace(value: Any, by: dict[int, torch.Tensor]) -> Any:
    """The same value with some of its tensors exchanged."""
    if isinstance(value, torch.Tensor):
        return by.get(id(value), value)
    if isinstance(value, (list, tuple)):
        return type(value)(replace(item, by) for item in value)
    if isinstance(value, dict):
        return {key: replace(item, by) for key, item in value.items()}
    return value


def write_back(original: Any, changed: Any) -> None:
    """Do to our argument what the function did to its copy, as if both had been the same object."""
    if isinstance(original, torch.Tensor):
        with torch.no_grad():
            original.copy_(changed)
    elif isinstance(original, np.ndarray):
        original[...] = changed
    elif isinstance(original, list):
        original[:] = changed
    elif isinstance(original, (dict, set)):
        original.clear()
        original.update(changed)
    elif isinstance(original, random.Random):
        original.setstate(changed.getstate())
    elif isinstance(original, torch.Generator):
        original.set_state(changed.get_state())


def student_error(error: Any) -> StudentError:
    """The other side's account of an exception, with nothing in it that could upset a terminal."""
    if not isinstance(error, dict):
        return StudentError(["ValueError"], "broke the line to the grader")
    kinds = [str(kind)[:60] for kind in error.get("kinds") or ["Exception"]]
    text = "".join(c if c.isprintable() else " " for c in str(error.get("text", "")))
    line = error.get("line")
    return StudentError(kinds, text[:400].strip(), line if isinstance(line, int) else None)


Check = Callable[[Any], None]  # takes a student
