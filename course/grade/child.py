"""The student's process: imports one submission and calls its functions when the grader asks.

Started by nursery.py. A line of JSON in on stdin, a line out on stdout:

    {"start": {"file": ...}}                            -> {"ready": true}
    {"call": "kl_k3", "args": [...], "kwargs": {...}}   -> {"value": ..., "changed": {...}} or {"error": {...}}
    {"backward": 3, "grads": [...]}                     -> {"value": [...]}

No verdict is made here, so there is none to forge: a submission that writes to the pipe itself only
claims that its functions returned something, and the grader checks that as it checks everything.

The fence (limits, and an audit hook that refuses to write, start programs or use the network) keeps
accidents and pranks away from the rest of a class. It is no sandbox against somebody who knows how
to break one: for that, grade in a container.
"""

import collections
import contextlib
import importlib
import importlib.util
import json
import os
import random
import sys
import tokenize
from pathlib import Path
from typing import Any

import numpy as np
import torch

from course.grade import nursery
from course.grade.wire import Codec

try:
    import resource
except ImportError:  # Windows: the grader's clock is the only limit
    resource = None

GRAPHS_KEPT = 256  # calls whose autograd graph is kept for a backward pass
REFUSED = (
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "os.utime",
    "os.kill",
    "os.killpg",
    "os.fork",
    "os.forkpty",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "subprocess.",
    "socket.",
    "shutil.",
    "signal.pthread_kill",
    "ctypes.dlopen",
    "webbrowser.",
    "sqlite3.",
)
MUTABLE = (
    "tensor",
    "dict",
    "set",
    "random",
    "generator",
)  # kinds of arguments that a function can change
SECRET = ("solutions.py", "checks.py", "mutants.py")


def limits(memory_mb: int, seconds: int) -> bool:
    """Bound address space and processor time; False where the system has no such limits."""
    if resource is None:
        return False
    try:
        pages = (
            int(Path("/proc/self/statm").read_text().split()[0])
            if os.path.exists("/proc/self/statm")
            else 0
        )
        memory = pages * resource.getpagesize() + memory_mb * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (0, 0)
        )  # not a byte into any file; pipes are no files
    except (OSError, ValueError):
        return False
    return True


def fence(file: Path) -> None:
    """From here on this process reads and computes, and does nothing to the outside."""
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def hook(event: str, args: tuple) -> None:
        if event == "open":
            name, mode, flags = args
            shown = (
                os.path.basename(os.fsdecode(name))
                if isinstance(name, (str, bytes, os.PathLike))
                else str(name)
            )
            if name != os.devnull and (
                flags & writing if isinstance(flags, int) else set(mode or "") & set("wax+")
            ):
                raise PermissionError(
                    f"your file tried to write {shown}; exercises compute, they write no files"
                )
            if shown in SECRET and os.path.abspath(os.fsdecode(name)) != str(file):
                raise PermissionError(
                    f"your file tried to read {shown}; write the function yourself"
                )
        elif event.startswith(REFUSED):
            raise PermissionError(
                f"your file tried {event}; exercises compute, they do nothing to the outside"
            )

    def no_files(*_: Any, **__: Any) -> None:
        raise PermissionError(
            "your file tried to write a file by torch; exercises compute, they write no files"
        )

    # These open files in C++, past any audit hook: torch.save, and memory that is shared with a
    # file.
    torch._C.PyTorchFileWriter = torch.from_file = torch.UntypedStorage.from_file = no_files
    sys.addaudithook(hook)


def load(file: Path) -> Any:
    """The submission as a module."""
    try:
        with tokenize.open(
            file
        ) as text:  # as Python reads it: UTF-8, or what its first lines declare
            text.read()
    except (UnicodeDecodeError, SyntaxError):
        raise SyntaxError(
            "it is not written in UTF-8; save it again, with the encoding UTF-8"
        ) from None
    spec = importlib.util.spec_from_file_location("exercises", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules["exercises"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def failure(error: BaseException, file: Path) -> dict:
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
        text = str(error)[:400]
    except Exception:  # an exception may be the student's own
        text = ""
    kinds = [kind.__name__ for kind in type(error).__mro__[:-1]]
    return {"error": {"kinds": kinds, "text": text, "line": line}}


class Servant:
    """Reads messages, does what they ask, answers."""

    def __init__(self, requests, answers):
        self.requests, self.answers = requests, answers
        self.codec = Codec(self.ask)
        self.graphs: dict[int, tuple[list, list]] = collections.OrderedDict()
        self.file, self.module, self.calls = Path(), None, 0

    def send(self, message: dict) -> None:
        self.answers.write(json.dumps(message).encode("ascii") + b"\n")
        self.answers.flush()

    def receive(self) -> dict:
        line = self.requests.readline()
        if not line:  # the grader has gone
            os._exit(0)
        return json.loads(line)

    def ask(self, number: int, args: list, kwargs: dict) -> Any:
        """Call a function that the check passed as an argument: it lives in the grader's
        process."""
        self.send(
            {"ask": number, "args": self.codec.encode(args), "kwargs": self.codec.encode(kwargs)}
        )
        answer = self.receive()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return self.codec.decode(answer["value"])

    def start(self, file: str, memory_mb: int, seconds: int) -> dict:
        self.file = Path(file)
        limited = limits(memory_mb, seconds)
        fence(self.file)
        self.module = load(self.file)
        return {"ready": True, "limited": limited}

    def call(self, name: str | int, args: list, kwargs: dict) -> dict:
        function = (
            self.codec.functions[name] if isinstance(name, int) else getattr(self.module, name)
        )
        codec, self.codec.tracked = self.codec, []
        given, named = codec.decode(args), codec.decode(kwargs)
        leaves, codec.tracked = codec.tracked, []
        value = codec.encode(function(*given, **named))
        outputs, codec.tracked = codec.tracked, []
        self.calls += 1
        self.graphs[self.calls] = (outputs, leaves)
        if len(self.graphs) > GRAPHS_KEPT:
            self.graphs.popitem(last=False)
        return {"value": value, "graph": self.calls, "changed": self.changed(args, given)}

    def changed(self, before: list, given: list) -> dict:
        """The arguments that the function has changed, by position."""
        found = {}
        for i, (old, now) in enumerate(zip(before, given, strict=True)):
            if isinstance(old, list) or (isinstance(old, dict) and old["~"] in MUTABLE):
                self.codec.tracked = []
                with contextlib.suppress(TypeError):
                    new = self.codec.encode(now)
                    if strip(new) != strip(old):
                        found[str(i)] = new
        return found

    def backward(self, call: int, grads: list) -> dict:
        outputs, leaves = self.graphs[call]
        gradients = torch.autograd.grad(
            outputs, leaves, self.codec.decode(grads), retain_graph=True, allow_unused=True
        )
        return {"value": self.codec.encode(list(gradients))}

    def draws(self, n: int) -> dict:
        """The next draws of this process' three global generators, for exercises that seed them."""
        return {
            "value": self.codec.encode(
                [
                    [random.random() for _ in range(n)],
                    np.random.rand(n).tolist(),
                    torch.rand(n).tolist(),
                ]
            )
        }

    def answer(self, message: dict) -> dict:
        try:
            if "start" in message:
                return self.start(**message["start"])
            if "has" in message:
                return {"value": callable(getattr(self.module, message["has"], None))}
            if "call" in message:
                return self.call(message["call"], message["args"], message["kwargs"])
            if "draws" in message:
                return self.draws(message["draws"])
            return self.backward(message["backward"], message["grads"])
        except (
            BaseException
        ) as error:  # sys.exit and Ctrl-C in a submission are its own result, too
            return failure(error, self.file)


def strip(message: Any) -> Any:
    """A message without the numbers of autograd and functions, to compare contents."""
    if isinstance(message, list):
        return [strip(item) for item in message]
    if isinstance(message, dict):
        return {key: strip(item) for key, item in message.items() if key not in ("grad", "id")}
    return message


def main(argv: list[str]) -> None:
    """Take the pipes for ourselves; what the submission prints goes nowhere, be it megabytes."""
    torch.set_num_threads(1)
    with contextlib.suppress(ImportError):
        importlib.import_module(
            "sympy"
        )  # torch does so at the first backward pass: half a second, spent once here
    if argv and not nursery.tend(
        int(argv[0])
    ):  # with a socket's number: the nursery, out of which submissions come
        return
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    servant = Servant(requests, answers)
    servant.send({"hello": True})
    while True:
        message = servant.receive()
        reply = servant.answer(message)
        try:
            servant.send(reply)
        except (MemoryError, ValueError, TypeError) as error:
            servant.send(failure(error, servant.file))


if __name__ == "__main__":
    main(sys.argv[1:])
