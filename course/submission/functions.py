"""A submission's functions, called when a message asks for it.

    {"has": "kl_k3"}                                    -> {"value": true}
    {"call": "kl_k3", "args": [...], "kwargs": {...}}   -> {"value": ..., "changed": [...]}
    {"backward": 3, "grads": [...]}                     -> {"value": [...]}

or {"error": {...}} for an exception. The functions get copies of the grader's values (wire.py), and
"changed" says which of them a call has changed. No verdict is made here, so there is none to forge:
whoever writes to the pipe claims that a function returned something, and the grader checks that as
it checks everything.
"""

import collections
import contextlib
import inspect
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course.submission.wire import GENERATORS, Codec, Function, Message, content

GRAPHS_KEPT = 256  # calls whose autograd graph is kept for a backward pass

Graph = tuple[list[torch.Tensor], list[torch.Tensor]]  # a call's outputs and leaves


class Functions:
    """The functions of one submission.

    `module` has them as attributes; `codec` reads and writes values, and calls the functions that a
    check passes as arguments; `caught` are the exceptions that are the submission's own result.
    """

    def __init__(
        self,
        module: Any,
        file: Path,
        codec: Codec,
        caught: tuple[type[BaseException], ...] = (BaseException,),
    ):
        self.module, self.file, self.codec, self.caught = module, file, codec, caught
        self.graphs: collections.OrderedDict[int, Graph] = collections.OrderedDict()
        self.calls = 0

    def answer(self, message: Message) -> Message:
        """Do what a message asks for."""
        try:
            if "has" in message:
                return {"value": callable(getattr(self.module, message["has"], None))}
            if "call" in message:
                return self.call(message)
            if "draws" in message:
                return {"value": self.codec.encode(draws(message["draws"]))}
            return self.backward(message["backward"], message["grads"])
        except self.caught as error:  # sys.exit in a submission is its own result, too
            return failure(error, self.file)

    def call(self, message: Message) -> Message:
        """Call a function of the module by its name, or one that it gave back by its number."""
        name, codec = message["call"], self.codec
        function = codec.functions[name] if isinstance(name, int) else getattr(self.module, name)
        leaves: list[torch.Tensor] = []
        outputs: list[torch.Tensor] = []
        args = [codec.decode(part, leaves) for part in message["args"]]
        kwargs = {key: codec.decode(part, leaves) for key, part in message["kwargs"].items()}
        value = codec.encode(function(*args, **kwargs), outputs)
        self.calls += 1
        self.graphs[self.calls] = (outputs, leaves)
        if len(self.graphs) > GRAPHS_KEPT:
            self.graphs.popitem(last=False)
        given = [*enumerate(message["args"]), *message["kwargs"].items()]
        changed = changes(function, given, [*args, *kwargs.values()])
        return {"value": value, "graph": self.calls, "changed": changed}

    def backward(self, call: int, grads: list[Message]) -> Message:
        """The gradients of a call's leaves, given those of its outputs."""
        outputs, leaves = self.graphs[call]
        gradients = torch.autograd.grad(
            outputs, leaves, self.codec.decode(grads), retain_graph=True, allow_unused=True
        )
        return {"value": self.codec.encode(list(gradients))}


def changes(
    function: Function, given: list[tuple[Any, Message]], now: list[Any]
) -> list[list[Message]]:
    """[position or keyword, the parameter's name, the value now] of each argument that is no longer
    what was given."""
    found = []
    for (key, before), value in zip(given, now, strict=True):
        try:
            after = Codec(None).encode(value)
        except TypeError:  # something was put into it that cannot cross
            after = None
        drawn = isinstance(before, dict) and before["~"] in GENERATORS and after != before
        if drawn or content(after) != content(before):
            found.append([key, parameter(function, key), after])
    return found


def parameter(function: Function, key: int | str) -> str:
    """The name of a function's parameter at this position.

    >>> parameter(lambda x, *more: x, 0), parameter(lambda x, *more: x, 3), parameter(max, "key")
    ('x', 'more', 'key')
    """
    if isinstance(key, str):
        return key
    with contextlib.suppress(ValueError, TypeError, IndexError):  # a builtin without a signature
        names = list(inspect.signature(function).parameters)
        return names[min(key, len(names) - 1)]
    return str(key + 1)


def draws(n: int) -> list[list[float]]:
    """The next draws of this process' three global generators, for exercises that seed them."""
    return [[random.random() for _ in range(n)], np.random.rand(n).tolist(), torch.rand(n).tolist()]


def failure(error: BaseException, file: Path) -> Message:
    """An exception in a few words: its kind, its text, and the last line of the submission that it
    went through."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line = error.lineno
    try:
        said = str(error)[:400]
    except Exception:  # an exception may be the student's own
        said = ""
    kinds = [kind.__name__ for kind in type(error).__mro__[:-1]]
    return {"error": {"kinds": kinds, "text": said, "line": line}}
