"""The grader's end of the line: a student whose functions run in another process (child.py), called
as if they were here.

    with RemoteStudent(file) as student:
        loss = student.grpo_loss(logp, old_logp, advantages, mask)
        loss.backward()                                  # the gradient comes back, too

A call that raises, hangs, ends the process or gives back what cannot cross is a StudentError. What
is missing on our side (no Python to start, no memory for the child to begin with) is a GraderError.
The two are never mixed up.
"""

import contextlib
import json
import queue
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from course.grade import nursery
from course.grade.wire import Codec, write_back
from minilrm.errors import UserError

LONGEST_MESSAGE = 32 * 2**20  # bytes of one answer
PATIENCE = 4  # a check may sleep for so many times its limit
GLANCE = 1.0  # seconds between two looks at a process that computes


class GraderError(UserError):
    """Something is missing or broken on the grader's side: no grade is given, exit code 2."""


class StudentError(Exception):
    """What a submission's function did instead of giving back a value.

    `kinds` are the exception's class and its bases by name, `line` the last line of the submission
    it went through.
    """

    def __init__(self, kinds: list[str], text: str, line: int | None = None):
        super().__init__(f"{kinds[0]}: {text}")
        self.kinds, self.text, self.line = kinds, text, line

    def isa(self, kind: type) -> bool:
        """True if the exception was of this class or of one derived from it."""
        return kind.__name__ in self.kinds


class Dead(StudentError):
    """The student's process has ended, or was ended: the next exercise gets a fresh one."""


class RemoteStudent:
    """A submission in a process of its own. Attributes are its functions; a name that it lacks is a
    StudentError."""

    def __init__(self, file: Path, *, seconds: float = 20, memory_mb: int = 2048):
        self._file, self._seconds, self._memory_mb = Path(file).resolve(), seconds, memory_mb
        self._process: Any = None  # of nursery.start
        self._broken: StudentError | None = (
            None  # the file cannot even be imported: said once for all exercises
        )
        self.limited = True

    def __enter__(self) -> "RemoteStudent":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._call(name, list(args), kwargs)

    # -- the process -------------------------------------------------------------------------------

    def begin(self, name: str) -> None:
        """Before each exercise: a living process with the file imported, a fresh clock, and the
        function there."""
        if self._broken:
            raise self._broken
        if self._process is not None and b"" in list(
            self._lines.queue
        ):  # it left between two exercises
            self._stop()
        if self._process is None:
            self._start()
        self._wind(self._seconds)
        if not self._request({"has": name})["value"]:
            raise StudentError(
                ["AttributeError"],
                f"there is no function {name} in {self._file.name}; put its `def` line back",
            )

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix="minilrm-grade-", ignore_cleanup_errors=True
        )
        try:
            self._process = nursery.start(self._folder.name)
        except OSError as error:
            raise GraderError(
                f"no process for the submission could be started ({error}); nothing was graded"
            ) from error
        self._lines: queue.Queue = queue.Queue(maxsize=64)
        threading.Thread(
            target=read_lines, args=(self._process.stdout, self._lines), daemon=True
        ).start()
        self._codec = Codec(self._call)
        self._wind(nursery.START_SECONDS)
        try:
            self._receive()
        except StudentError as error:  # nothing of the student's has run yet
            raise GraderError(
                f"the process for a submission did not start ({error.text}); nothing was graded"
            ) from error
        self._wind(self._seconds)
        start = {
            "file": str(self._file),
            "memory_mb": self._memory_mb,
            "seconds": int(20 * self._seconds) + 60,
        }
        try:
            self.limited = self._request({"start": start})["limited"]
        except StudentError as error:
            self._broken = StudentError(
                error.kinds, f"the file cannot be imported: {error.text}", error.line
            )
            self._stop()
            raise self._broken from None

    def _stop(self) -> int | None:
        """End the process; its exit code if it had ended by itself."""
        if self._process is None:
            return None
        code = self._process.end()
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process = None
        self._folder.cleanup()
        return code

    def _wind(self, seconds: float) -> None:
        """Start the clock anew."""
        self._limit, self._begun, self._idle = seconds, time.monotonic(), 0.0
        self._seen, self._first = self._begun, nursery.usage(self._process.pid)

    def _left(self) -> float:
        """Seconds to wait before looking at the clock again; 0 or less: time is up.

        The limit is on processor time where the system tells it, so that a busy machine costs
        nobody points; who sleeps instead of computing is stopped after PATIENCE times the limit. A
        pause of the whole machine counts as a moment.
        """
        now, usage = time.monotonic(), nursery.usage(self._process.pid)
        if self._first is None or usage is None:
            return self._limit - (now - self._begun)
        used, state = usage
        if state != "R":
            self._idle += min(now - self._seen, 2 * GLANCE)
        self._seen = now
        return min(self._limit - (used - self._first[0]), PATIENCE * self._limit - self._idle)

    # -- messages ----------------------------------------------------------------------------------

    def _send(self, message: dict) -> None:
        try:
            self._process.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self._process.stdin.flush()
        except OSError:
            self._die("ended the process")

    def _receive(self) -> dict:
        line = None
        while line is None:
            left = self._left()
            try:
                line = self._lines.get(timeout=min(GLANCE, max(0.01, left)))
            except queue.Empty:
                if left <= 0.01:
                    self._die(
                        f"took longer than {self._limit:g} s and was stopped: is there a loop that never ends?",
                        "TimeoutError",
                    )
        if not line:
            self._die("ended the process")
        if not line.endswith(b"\n"):
            self._die(f"gave back more than {LONGEST_MESSAGE >> 20} MB", "MemoryError")
        try:
            message = json.loads(line)
            if not isinstance(message, dict):
                raise ValueError("no object")
            return message
        except (ValueError, RecursionError):
            self._die("broke the line to the grader: it wrote to a file that it did not open")

    def _die(self, text: str, kind: str = "SystemExit") -> None:
        code = self._stop()
        ended = (
            ""
            if code is None
            else f" (signal {-code}: out of time or memory?)"
            if code < 0
            else f" (exit code {code})"
        )
        raise Dead([kind], text + ended)

    def _request(self, message: dict) -> dict:
        """Send a message and wait for its answer; meanwhile serve calls of functions that we passed
        as arguments."""
        if self._process is None:
            raise Dead(["SystemExit"], "ended the process")
        self._send(message)
        while True:
            answer = self._receive()
            if "ask" in answer:
                self._serve(answer)
            elif "error" in answer:
                raise student_error(answer["error"])
            elif "value" in answer or "ready" in answer:
                return answer
            else:
                self._die("broke the line to the grader")

    def _serve(self, message: dict) -> None:
        try:
            args, kwargs = (
                self._codec.decode(message["args"]),
                self._codec.decode(message["kwargs"]),
            )
            reply = {
                "value": self._codec.encode(self._codec.functions[message["ask"]](*args, **kwargs))
            }
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:400]}
        self._send(reply)

    # -- calls -------------------------------------------------------------------------------------

    def _call(self, name: str | int, args: list, kwargs: dict) -> Any:
        self._codec.tracked = []
        message = {
            "call": name,
            "args": self._codec.encode(args),
            "kwargs": self._codec.encode(kwargs),
        }
        leaves = self._codec.tracked
        answer = self._request(message)
        try:
            self._codec.tracked = []
            value = self._codec.decode(answer["value"])
            outputs = self._codec.tracked
            for i, changed in answer.get("changed", {}).items():
                write_back(args[int(i)], self._codec.decode(changed))
        except Exception as error:  # only a submission that writes to the pipe itself gets here
            raise StudentError(["ValueError"], f"gave back a broken value ({error})") from error
        if outputs and leaves:
            attached = iter(Remote.apply(self, answer.get("graph"), outputs, *leaves))
            value = replace(value, {id(tensor): next(attached) for tensor in outputs})
        elif outputs:
            value = replace(value, {id(tensor): tensor.detach() for tensor in outputs})
        return value

    def draws(self, n: int) -> list[list[float]]:
        """The next `n` draws from random, numpy and torch in the student's process."""
        return self._codec.decode(self._request({"draws": n})["value"])

    def _backward(self, graph: int, grads: list) -> list:
        answer = self._request({"backward": graph, "grads": self._codec.encode(grads)})
        try:
            return self._codec.decode(answer["value"])
        except Exception as error:
            raise StudentError(["ValueError"], f"gave back a broken gradient ({error})") from error


class Remote(torch.autograd.Function):
    """Carries a backward pass over to the student's process."""

    @staticmethod
    def forward(ctx, student, graph, outputs, *leaves):
        ctx.student, ctx.graph = student, graph
        return tuple(output.detach().clone() for output in outputs)

    @staticmethod
    def backward(ctx, *grads):
        return None, None, None, *ctx.student._backward(ctx.graph, [g.contiguous() for g in grads])


def replace(value: Any, by: dict[int, torch.Tensor]) -> Any:
    """The same value with some of its tensors exchanged."""
    if isinstance(value, torch.Tensor):
        return by.get(id(value), value)
    if isinstance(value, (list, tuple)):
        return type(value)(replace(item, by) for item in value)
    if isinstance(value, dict):
        return {key: replace(item, by) for key, item in value.items()}
    return value


def read_lines(pipe: Any, lines: queue.Queue) -> None:
    """In a thread of its own: lines of the child into a queue; b"" at the end. (Pipes cannot be
    polled on Windows.)"""
    with pipe, contextlib.suppress(OSError, ValueError):
        while True:
            line = pipe.readline(LONGEST_MESSAGE)
            try:
                lines.put(line, timeout=600)
            except queue.Full:  # a flood that nobody reads: the process is gone
                return
            if not line.endswith(b"\n"):
                return


def student_error(error: Any) -> StudentError:
    """The child's account of an exception, with nothing in it that could upset a terminal."""
    if not isinstance(error, dict):
        return StudentError(["ValueError"], "broke the line to the grader")
    kinds = [str(kind)[:60] for kind in error.get("kinds") or ["Exception"]]
    text = "".join(c if c.isprintable() else " " for c in str(error.get("text", "")))
    line = error.get("line")
    return StudentError(kinds, text[:400].strip(), line if isinstance(line, int) else None)
