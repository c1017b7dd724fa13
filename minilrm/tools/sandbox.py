"""The code sandbox: a Python program in a process of its own, behind walls that the kernel makes.

    >>> run("print(6 * 7)").stdout  # doctest: +SKIP
    '42\\n'

What a program gets: an isolated interpreter (`python -I -S`), an empty environment, a folder in
memory to work in, no network, no file of the machine but Python's own (read-only), no process but
its own, and limits on time, memory, files, processes and output. A deadline from outside ends it
with all that it has started. `SECURITY.md` says what that protects against, and what not.

Where the kernel does not give a wall, `run` says which and refuses, unless `allow_weaker` is set;
then `Result.missing` says it. `jail.py` is the inner side.
"""

import contextlib
import importlib.util
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm.errors import UserError
from minilrm.tools.tool import ToolFailed, cut

Pipes = dict[str, bytes]  # stdout, stderr, report -> what came through it

JAIL = Path(__file__).with_name("jail.py")
LONGEST_PROGRAM = 20_000  # characters
LONGEST_TEXT = 300  # characters of what a model reads of the output
NOT_STARTED = "not started"
GRACE = 2.0  # seconds that a killed program's pipes are read for
CHUNK = 65536

#: what limits alone do not cut, in the weaker way
NOT_CUT = (
    "network: a program can reach what this machine can",
    "files: it can read and write what this user can",
    "processes: it can see and signal this user's, and a child that leaves its group lives on",
    "system calls: neither seccomp nor Landlock cuts any",
)
NOT_CUT_SUPERUSER = "number of processes: the kernel does not count the superuser's"
NOT_CUT_ELSEWHERE = "memory: this system does not keep to the limit"


@dataclass(frozen=True)
class Limits:
    """seconds: until all is ended from outside. cpu_seconds, memory (bytes): of each process.
    processes: at once. disk: bytes of its folder (which is memory, too). file: bytes of one file.
    output: bytes of stdout and stderr together."""

    seconds: float = 5.0
    cpu_seconds: int = 4
    memory: int = 256 << 20
    processes: int = 8
    disk: int = 8 << 20
    file: int = 4 << 20
    open_files: int = 64
    output: int = 64 << 10


@dataclass(frozen=True)
class Result:
    """stdout, stderr: what was written, up to the limit. ended: "finished", "failed" (an exit code
    that is not 0), "killed" (by a signal: a limit, a crash), "deadline" or "output" (too much);
    within this file also "not started". missing: the walls that were not there."""

    stdout: str
    stderr: str
    ended: str
    missing: tuple[str, ...] = ()


class SandboxRefused(UserError):
    """A wall is missing, and the caller did not allow that."""


def run(code: str, limits: Limits | None = None, allow_weaker: bool = False) -> Result:
    """Run a program, and say what it wrote and how it ended.

    Raises SandboxRefused where the kernel does not give the walls and `allow_weaker` is not set,
    and ValueError for a program that is too long. Never anything that the program does. A kernel
    without Landlock is no reason to refuse: the file system in memory cuts the same files.
    """
    if len(code) > LONGEST_PROGRAM:
        raise ValueError(f"a program of more than {LONGEST_PROGRAM} characters")
    if importlib.util.find_spec("resource") is None:
        raise SandboxRefused("the sandbox needs limits (`resource`), which this system has not")
    limits = limits or Limits()
    missing: tuple[str, ...] = ("namespaces: only Linux has them",)
    lost = not_cut()
    if sys.platform == "linux":
        result = start(code, limits, isolated=True, allow_weaker=allow_weaker)
        if result.ended != NOT_STARTED:
            return result
        missing = result.missing
        # Without the filter alone, a weaker sandbox keeps all other walls.
        lost = missing if missing[0].startswith("seccomp") else not_cut()
    if not allow_weaker:
        raise SandboxRefused(
            f"the sandbox cannot shut a program in on this machine ({'; '.join(missing)}); what "
            f"would be missing: {'; '.join(lost)}. allow_weaker=True runs it nevertheless"
        )
    result = start(code, limits, isolated=False)
    return Result(result.stdout, result.stderr, result.ended, not_cut())


def run_code(code: str, limits: Limits | None = None) -> str:
    """The sandbox as a tool: what a program prints. ToolFailed with the last line of its error.

    A model's program is never run behind weaker walls."""
    try:
        result = run(code.strip("\n"), limits)
    except (SandboxRefused, ValueError) as error:
        raise ToolFailed(str(error)) from error
    if result.ended == "finished":
        return cut(result.stdout.rstrip("\n") or "(nothing printed)", LONGEST_TEXT)
    last = (result.stderr.strip().split("\n") or [""])[-1]
    told = {
        "failed": last or "the program failed",
        "killed": last or "the program was stopped by a limit",
        "deadline": "the program takes too long",
        "output": "the program writes too much",
    }
    raise ToolFailed(cut(told[result.ended], LONGEST_TEXT))


def not_cut() -> tuple[str, ...]:
    """What is missing in the weaker way, on this machine, for this user."""
    superuser = hasattr(os, "getuid") and os.getuid() == 0
    return (
        *NOT_CUT,
        *([NOT_CUT_SUPERUSER] if superuser else []),
        *([NOT_CUT_ELSEWHERE] if sys.platform != "linux" else []),
    )


# -- the process -----------------------------------------------------------------------------------


def start(code: str, limits: Limits, isolated: bool, allow_weaker: bool = False) -> Result:
    """Start the jail with a program, read what comes, end it in time, leave nothing behind."""
    folder = tempfile.mkdtemp(prefix="minilrm-sandbox-")
    reading, report = os.pipe()
    process = None
    try:
        settings = settings_of(limits, isolated, folder, report) | {"allow_weaker": allow_weaker}
        process = subprocess.Popen(
            [settings["python"], "-I", "-S", str(JAIL), json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={},
            cwd=folder,
            pass_fds=(report,),
            start_new_session=True,
        )
        os.close(report)
        report = -1
        hand_over(process, code)
        return result_of(*watch(process, reading, limits), limits, isolated)
    finally:
        if process:
            end(process)
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        for descriptor in (reading, report):
            if descriptor >= 0:
                os.close(descriptor)
        shutil.rmtree(folder, ignore_errors=True)


def settings_of(limits: Limits, isolated: bool, folder: str, report: int) -> dict[str, Any]:
    """What the jail is told."""
    # Of a virtual environment, the interpreter behind it: -S has no use for the rest.
    python = os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)
    system = ["/usr", "/lib", "/lib64"]
    own = {sys.base_prefix, sys.base_exec_prefix, os.path.dirname(python)}
    needs = system + sorted(map(os.path.realpath, own))
    kept = [path for path in needs if not any(path.startswith(f"{o}/") for o in needs if o != path)]
    names = ("cpu_seconds", "memory", "processes", "disk", "file", "open_files")
    return {
        **{name: getattr(limits, name) for name in names},
        "python": python,
        "python_needs": list(dict.fromkeys(kept)),
        "isolated": isolated,
        "inner": str(Path(__file__).parent.resolve()),
        "folder": folder,
        "root": folder,
        "report": report,
    }


def hand_over(process: subprocess.Popen[bytes], code: str) -> None:
    """The jail reads the whole program before it does anything else."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it ended at once; `watch` sees how
        process.stdin.write(code.encode("utf-8", "replace"))
        process.stdin.close()


def watch(process: subprocess.Popen[bytes], reading: int, limits: Limits) -> tuple[str, Pipes]:
    """Read the pipes until the program has ended, or has to. Returns why it had to ("" if it did
    not), and what came."""
    assert process.stdout is not None and process.stderr is not None
    got: Pipes = {"stdout": b"", "stderr": b"", "report": b""}
    until, why, ended = time.monotonic() + limits.seconds, "", False
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ, "stdout")
        pipes.register(process.stderr, selectors.EVENT_READ, "stderr")
        pipes.register(reading, selectors.EVENT_READ, "report")
        while pipes.get_map():
            for key, _ in pipes.select(max(0.0, until - time.monotonic())):
                chunk = os.read(key.fd, CHUNK)
                if not chunk:
                    pipes.unregister(key.fileobj)
                if len(got["stdout"]) + len(got["stderr"]) <= limits.output:
                    got[key.data] += chunk
            late = time.monotonic() >= until
            if ended:
                if late:
                    break  # in the weaker way, what has got away may hold a pipe open
                continue
            if len(got["stdout"]) + len(got["stderr"]) > limits.output:
                why = "output"
            elif late:
                why = "deadline"
            elif any(key.data == "report" for key in pipes.get_map().values()):
                continue
            end(process)
            until, ended = time.monotonic() + GRACE, True
    return why, got


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the jail with its group; in namespaces, what left the group ends with it."""
    if process.returncode is None:  # so its number is still its own
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def result_of(why: str, got: Pipes, limits: Limits, isolated: bool) -> Result:
    stdout = got["stdout"][: limits.output]
    stderr = got["stderr"][: limits.output - len(stdout)]
    texts = stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace")
    reports = [json.loads(line) for line in got["report"].splitlines()]
    begun = next((report for report in reports if "missing" in report), None)
    missing = tuple(begun["missing"]) if begun else ()
    if begun and not begun["started"]:
        return Result(*texts, NOT_STARTED, missing)
    if begun is None and isolated and not why:
        return Result(*texts, NOT_STARTED, ("the jail did not start",))
    if not why:
        status = next((report["status"] for report in reports if "status" in report), None)
        code = None if status is None else os.waitstatus_to_exitcode(status)
        why = "finished" if code == 0 else "killed" if code is None or code < 0 else "failed"
    return Result(*texts, why, missing)
