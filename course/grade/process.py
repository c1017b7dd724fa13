"""Starting and ending the processes that submissions run in, and what these are given.

On Linux and macOS one process imports torch once and splits off a copy of itself for each
submission (course/submission/forkserver.py). On Windows, which has no fork, each submission starts
a Python of its own.
"""

import array
import atexit
import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO, cast

ROOT = Path(__file__).resolve().parents[2]
CAN_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")
START_SECONDS = 600  # until torch is imported: our business, and slow on a busy machine
PASSED_ON = (
    *("PATH", "SYSTEMROOT", "HOME", "USERPROFILE", "TEMP", "TMP", "TMPDIR", "LANG"),
    *("LD_LIBRARY_PATH", "VIRTUAL_ENV"),
)


def environment() -> dict[str, str]:
    """What a new process may know of ours: no keys, no tokens. One thread, and no GPU."""
    mine = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    ours = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": ""}
    return mine | threads | ours


def command(*words: str) -> list[str]:
    """The command line of such a process. -P: it imports nothing from where we happen to be."""
    return [sys.executable, "-B", "-P", "-m", "course.submission", *words]


@functools.cache
def library(forbidden: tuple[str, ...]) -> Path:
    """A folder with a copy of `minilrm` that lacks the modules where the answers stand; anybody may
    read it. Deleted when the grader ends."""
    folder = tempfile.TemporaryDirectory(prefix="minilrm-library-", ignore_cleanup_errors=True)
    atexit.register(folder.cleanup)
    top = Path(folder.name)

    def left_out(place: str, names: list[str]) -> list[str]:
        package = ".".join(Path(place).relative_to(ROOT).parts)
        return [
            name
            for name in names
            if name == "__pycache__" or f"{package}.{name.removesuffix('.py')}" in forbidden
        ]

    shutil.copytree(ROOT / "minilrm", top / "minilrm", ignore=left_out)
    for path in (top, *top.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return top


class Spawned:
    """A process started from nothing."""

    def __init__(self, folder: Path):
        self.process = subprocess.Popen(
            command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment(),
        )
        self.stdin = cast(BinaryIO, self.process.stdin)
        self.stdout = cast(BinaryIO, self.process.stdout)
        self.pid = self.process.pid

    def end(self) -> int | None:
        """Make sure that it is gone. Its exit code if it ended by itself, None if it was killed
        now."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(timeout=0.2)
        self.process.kill()
        self.process.wait()
        return None


class ForkServer:
    """The process out of which submissions' processes come."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(START_SECONDS)
        with theirs:
            self.process = subprocess.Popen(
                command(str(theirs.fileno())),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=environment(),
                start_new_session=True,
            )
        self.stderr = cast(BinaryIO, self.process.stderr)
        atexit.register(self.close)

    def order(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> dict[str, Any]:
        """One message there, one back. OSError if the process is gone."""
        data = json.dumps(message).encode("ascii")
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], ancillary)
        answer = self.socket.recv(4096)
        if not answer:
            said = self.stderr.read().decode(errors="replace").strip().splitlines()
            raise OSError(said[-1] if said else "the process that starts submissions has ended")
        return json.loads(answer)

    def close(self) -> None:
        self.socket.close()  # it reads the end of the line and leaves
        self.stderr.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)


_server: list[ForkServer] = []  # one for all submissions, made when first needed


class Forked:
    """A copy of the fork server's process."""

    def __init__(self, folder: Path):
        if not _server or _server[0].process.poll() is not None:
            _server[:] = [ForkServer()]
        self.server = _server[0]
        (request, mine), (theirs, answer) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(mine, "wb"), os.fdopen(theirs, "rb")
        try:
            self.pid = self.server.order({"start": str(folder)}, (request, answer))["pid"]
        finally:
            os.close(request)
            os.close(answer)

    def end(self) -> int | None:
        """As Spawned.end."""
        with contextlib.suppress(OSError):
            return self.server.order({"end": self.pid})["code"]
        return None


def start(folder: Path) -> Forked | Spawned:
    """A process that waits for a submission, in this working directory. OSError if none can be
    had."""
    return Forked(folder) if CAN_FORK else Spawned(folder)


def usage(pid: int) -> tuple[float, str] | None:
    """(processor seconds that a process has used, its state), where the system says so (Linux),
    else None.

    State R: it computes, or would if a processor were free. Others: it sleeps, waits for a disk, or
    was stopped.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), fields[0]
    except (OSError, ValueError, IndexError):
        return None
