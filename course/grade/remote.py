"""A student whose functions run in another process (course/submission/).

    with RemoteStudent(file) as student:
        student.begin("grpo_loss")
        loss = student.grpo_loss(logp, old_logp, advantages, mask)

A call that raises, hangs, ends the process or gives back what cannot cross is a StudentError. What
is missing on our side (no Python to start, no memory for the process to begin with) is a
GraderError. The two are never mixed up.
"""

import contextlib
import json
import os
import queue
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

from course.grade import process
from course.grade.errors import Dead, GraderError, StudentError
from course.grade.student import Student, student_error
from course.submission.wire import Codec, Message

LONGEST_MESSAGE = 32 * 2**20  # bytes of one answer
PATIENCE = 4  # a check may sleep for so many times its limit
GLANCE = 1.0  # seconds between two looks at a process that computes


class RemoteStudent(Student):
    """A submission in a process of its own.

    file: the submission; its process gets a copy of it, and a folder for what libraries cache.
    forbidden: modules that it may not import. hidden: folders that it may not read.
    seconds, memory_mb: limits of one check, and of the process.
    """

    def __init__(
        self,
        file: Path,
        *,
        forbidden: Sequence[str] = (),
        hidden: Sequence[Path] = (),
        seconds: float = 20,
        memory_mb: int = 2048,
    ):
        super().__init__(Path(file))
        self._forbidden = tuple(forbidden)
        self._hidden = [str(Path(place).resolve()) for place in (*hidden, self._file.parent)]
        self._seconds, self._memory_mb = seconds, memory_mb
        self._process: process.Forked | process.Spawned | None = None
        self._broken: StudentError | None = None  # the file cannot be imported: said once for all
        self.lacking: list[str] = []  # what this system has not of the fence

    def __enter__(self) -> "RemoteStudent":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    # -- the process -------------------------------------------------------------------------------

    def begin(self, name: str, in_place: bool = False) -> None:
        """Before each check: a living process with the file imported, a fresh clock, and the
        function there."""
        if self._broken:
            raise self._broken
        if self._process is not None and b"" in list(self._lines.queue):
            self._stop()  # it left between two checks
        if self._process is None:
            self._start()
        self._wind(self._seconds)
        super().begin(name, in_place)

    def _start(self) -> None:
        """A process with the submission imported, or StudentError."""
        self._folder = tempfile.TemporaryDirectory(prefix="minilrm-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        try:
            self._process = process.start(folder)
        except OSError as error:
            raise GraderError(
                f"no process for the submission could be started ({error}); it is not graded"
            ) from error
        self._lines: queue.Queue[bytes] = queue.Queue(maxsize=64)
        reader = (self._process.stdout, self._lines)
        threading.Thread(target=read_lines, args=reader, daemon=True).start()
        self._codec = Codec(self._call)
        self._wind(process.START_SECONDS)
        try:
            self._receive()
            self.lacking = self._request({"enter": self._order(folder)})["value"]
        except StudentError as error:  # nothing of the student's has run yet
            raise GraderError(
                f"the process for the submission did not start ({error.text}); it is not graded"
            ) from error
        self._wind(self._seconds)
        try:
            (folder / "exercises.py").write_bytes(self._file.read_bytes())
            self._request({"load": "exercises.py"})
        except OSError as error:
            self._refuse(StudentError(["OSError"], str(error)))
        except StudentError as error:
            self._refuse(error)

    def _order(self, folder: Path) -> Message:
        """What the process has to know."""
        (folder / "home").mkdir()
        return {
            "folder": os.path.realpath(folder),
            "tree": str(process.library(self._forbidden)),
            "data": os.environ.get("MINILRM_DATA") or str(process.ROOT / "data"),
            "forbidden": self._forbidden,
            "hidden": self._hidden,
            "memory_mb": self._memory_mb,
            "seconds": int(20 * self._seconds) + 60,
        }

    def _refuse(self, error: StudentError) -> NoReturn:
        """The file cannot be imported; neither will it be for the next check."""
        said = f"the file cannot be imported: {error.text}"
        self._broken = StudentError(error.kinds, said, error.line)
        self._stop()
        raise self._broken from None

    @property
    def _living(self) -> process.Forked | process.Spawned:
        """The process; Dead if there is none."""
        if self._process is None:
            raise Dead(["SystemExit"], "ended the process")
        return self._process

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
        self._seen, self._first = self._begun, process.usage(self._living.pid)

    def _left(self) -> float:
        """Seconds to wait before looking at the clock again; 0 or less: time is up.

        The limit is on processor time where the system tells it, so that a busy machine costs
        nobody points; who sleeps instead of computing is stopped after PATIENCE times the limit. A
        pause of the whole machine counts as a moment.
        """
        now, usage = time.monotonic(), process.usage(self._living.pid)
        if self._first is None or usage is None:
            return self._limit - (now - self._begun)
        used, state = usage
        if state != "R":
            self._idle += min(now - self._seen, 2 * GLANCE)
        self._seen = now
        return min(self._limit - (used - self._first[0]), PATIENCE * self._limit - self._idle)

    # -- messages ----------------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        try:
            self._living.stdin.write(json.dumps(message).encode("ascii") + b"\n")
            self._living.stdin.flush()
        except OSError:
            self._die("ended the process")

    def _receive(self) -> Message:
        line = None
        while line is None:
            left = self._left()
            if left <= 0:  # looked at for each message, so that a flood of them gains no time
                said = f"took longer than {self._limit:g} s and was stopped"
                self._die(f"{said}: is there a loop that never ends?", "TimeoutError")
            with contextlib.suppress(queue.Empty):
                line = self._lines.get(timeout=min(GLANCE, left))
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

    def _die(self, text: str, kind: str = "SystemExit") -> NoReturn:
        code = self._stop()
        ended = (
            ""
            if code is None
            else f" (signal {-code}: out of time or memory?)"
            if code < 0
            else f" (exit code {code})"
        )
        raise Dead([kind], text + ended)

    def _request(self, message: Message) -> Message:
        """Send a message and wait for its answer; meanwhile serve calls of functions that we passed
        as arguments."""
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

    def _serve(self, message: Message) -> None:
        """Call a function of the check for the student's process."""
        try:
            args = self._codec.decode(message["args"])
            kwargs = {key: self._codec.decode(part) for key, part in message["kwargs"].items()}
            value = self._codec.functions[message["ask"]](*args, **kwargs)
            reply = {"value": self._codec.encode(value)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:400]}
        self._send(reply)


def read_lines(pipe: BinaryIO, lines: queue.Queue[bytes]) -> None:
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
