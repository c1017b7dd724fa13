"""The process of one submission, started by grade/process.py. A line of JSON in on stdin, a line
out on stdout:

    {"enter": {"folder": ...}}      -> {"value": [what this system lacks of the fence]}
    {"load": "exercises.py"}        -> {"value": null}
    what functions.py answers       -> its answer
    {"ask": 3, "args": ...}         <- out, during a call: a function that the check passed
"""

import contextlib
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO

import torch

from course.submission import fence, forkserver, kernel, limits
from course.submission.functions import Functions, failure
from course.submission.wire import Codec, Message

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """Reads messages, does what they ask, answers."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO):
        self.requests, self.answers = requests, answers
        self.codec = Codec(self.ask)
        self.folder, self.file = "", Path()
        self.functions: Functions | None = None

    def send(self, message: Message) -> None:
        self.answers.write(json.dumps(message).encode("ascii") + b"\n")
        self.answers.flush()

    def receive(self) -> Message:
        line = self.requests.readline()
        if not line:  # the grader has gone
            os._exit(0)
        return json.loads(line)

    def ask(self, number: int, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """Call a function that the check passed as an argument: it lives in the grader's
        process."""
        given = {key: self.codec.encode(value) for key, value in kwargs.items()}
        self.send({"ask": number, "args": self.codec.encode(args), "kwargs": given})
        answer = self.receive()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return self.codec.decode(answer["value"])

    def enter(self, order: Message) -> list[str]:
        """Close the doors, one after the other. Returns what this system lacks of them."""
        self.folder, home = order["folder"], os.path.join(order["folder"], "home")
        secret = fence.answers([str(ROOT), *sys.path], order["forbidden"]) + order["hidden"]
        fence.environment(home, order["data"])
        fence.forget(order["tree"], str(ROOT), order["forbidden"])
        libraries = fence.libraries()
        given = [self.folder, *map(os.path.realpath, (order["tree"], order["data"]))]
        readable = [*given, *map(os.path.realpath, fence.SYSTEM), *libraries]
        hidden = [s for s in secret if not any(fence.within(n, [s]) for n in (*given, *libraries))]
        rules = [rule for place in readable for rule in fence.reading(place, hidden)]
        rules += [(home, kernel.WRITE), (os.devnull, kernel.WRITE)]
        needed = [path for path in sys.path if os.path.isdir(path)]
        limits.become(limits.USER, [self.folder, home], needed)
        lacking = kernel.close_doors(rules) + limits.limit(order["memory_mb"], order["seconds"])
        fence.refuse_unseen()
        fence.fence(home, readable, hidden)
        return lacking

    def load(self, name: str) -> None:
        """Import the submission."""
        self.file = Path(self.folder, name)
        self.functions = Functions(fence.load(self.file), self.file, self.codec)

    def answer(self, message: Message) -> Message:
        """What a message asks for, or the exception in its way."""
        try:
            if "enter" in message:
                return {"value": self.enter(message["enter"])}
            if "load" in message:
                self.load(message["load"])
                return {"value": None}
            assert self.functions is not None, "a call before the submission was loaded"
            return self.functions.answer(message)
        except BaseException as error:  # sys.exit in a submission is its own result, too
            return failure(error, self.file)

    def run(self) -> None:
        """Serve until the grader leaves."""
        self.send({"value": "ready"})
        while True:
            reply = self.answer(self.receive())
            try:
                self.send(reply)
            except (MemoryError, ValueError, TypeError) as error:
                self.send(failure(error, self.file))


def main(argv: list[str]) -> None:
    """Take the pipes for ourselves; what the submission prints goes nowhere, be it megabytes."""
    torch.set_num_threads(1)
    with contextlib.suppress(ImportError):  # torch imports it at the first backward pass: half a
        importlib.import_module("sympy")  # second, spent once here
    if argv and not forkserver.serve(int(argv[0])):  # a socket's number: out of us come processes
        return
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    Process(requests, answers).run()


if __name__ == "__main__":
    main(sys.argv[1:])
