"""Starting and ending the processes that submissions run in.

Importing torch takes a second or more of processor time, and a class would pay it for every
student. On Linux and macOS one process, the nursery, imports torch once, runs nothing of anybody's,
and splits off a copy of itself (fork) for each submission: a fresh process in milliseconds. On
Windows, which has no fork, each submission starts a Python of its own.
"""

import array
import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CHILD = "course.grade.child"
CAN_FORK = hasattr(os, "fork") and hasattr(socket, "send_fds")
START_SECONDS = 600  # until torch is imported: our business, and slow on a busy machine
PASSED_ON = (
    "PATH",
    "SYSTEMROOT",
    "HOME",
    "USERPROFILE",
    "TEMP",
    "TMP",
    "TMPDIR",
    "LANG",
    "LD_LIBRARY_PATH",
    "VIRTUAL_ENV",
    "MINILRM_DATA",
)


def environment() -> dict[str, str]:
    """What a submission may know of ours: no keys, no tokens; one thread."""
    mine = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    return mine | threads | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}


class Spawned:
    """A process started from nothing."""

    def __init__(self, folder: str):
        self.process = subprocess.Popen(
            [sys.executable, "-B", "-m", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment(),
        )
        self.stdin, self.stdout, self.pid = (
            self.process.stdin,
            self.process.stdout,
            self.process.pid,
        )

    def end(self) -> int | None:
        """Make sure that it is gone. Its exit code if it ended by itself, None if it was killed
        now."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(timeout=0.2)
        self.process.kill()
        self.process.wait()
        return None


class Nursery:
    """The grader's end of the nursery: orders a process, orders its end."""

    def __init__(self):
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(START_SECONDS)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-B", "-m", CHILD, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=environment(),
                start_new_session=True,
            )
        atexit.register(self.close)

    def order(self, message: dict, fds: tuple[int, ...] = ()) -> dict:
        """One message there, one back. OSError if the nursery is gone."""
        data = json.dumps(message).encode("ascii")
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], ancillary)
        answer = self.socket.recv(4096)
        if not answer:
            said = self.process.stderr.read().decode(errors="replace").strip().splitlines()
            raise OSError(said[-1] if said else "the process that starts submissions has ended")
        return json.loads(answer)

    def close(self) -> None:
        self.socket.close()  # it reads the end of the line and leaves
        self.process.stderr.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=5)


_nursery: list[Nursery] = []  # one for all submissions, made when first needed


class Forked:
    """A copy of the nursery."""

    def __init__(self, folder: str):
        if not _nursery or _nursery[0].process.poll() is not None:
            _nursery[:] = [Nursery()]
        self.nursery = _nursery[0]
        (request, mine), (theirs, answer) = os.pipe(), os.pipe()
        self.stdin, self.stdout = os.fdopen(mine, "wb"), os.fdopen(theirs, "rb")
        try:
            self.pid = self.nursery.order({"start": folder}, (request, answer))["pid"]
        finally:
            os.close(request)
            os.close(answer)

    def end(self) -> int | None:
        """As Spawned.end."""
        with contextlib.suppress(OSError):
            return self.nursery.order({"end": self.pid})["code"]
        return None


def start(folder: str) -> Any:
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


# -- inside the nursery ----------------------------------------------------------------------------


def tend(number: int) -> bool:
    """Serve orders until the grader leaves (False); in each new process, return True to go on as a
    submission's."""
    line = socket.socket(fileno=number)
    while True:
        data, fds, _, _ = socket.recv_fds(line, 65536, 2)
        if not data:
            return False
        message = json.loads(data)
        if "end" in message:
            line.send(json.dumps({"code": reap(int(message["end"]))}).encode("ascii"))
            continue
        pid = os.fork()
        if pid == 0:
            line.close()
            os.setsid()
            os.chdir(message["start"])
            for i, fd in enumerate(fds):
                os.dup2(fd, i)
                os.close(fd)
            return True
        for fd in fds:
            os.close(fd)
        line.send(json.dumps({"pid": pid}).encode("ascii"))


def reap(pid: int) -> int | None:
    """Wait a moment for one of our processes to end by itself, else kill it; and kill all it
    started in any case."""
    code = None
    for _ in range(20):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.01)
    with contextlib.suppress(
        OSError
    ):  # the group outlives its leader; without members there is none, and nothing to do
        os.killpg(pid, 9)
    if code is None:
        os.waitpid(pid, 0)
    return code
