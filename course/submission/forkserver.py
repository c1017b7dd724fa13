"""A process that has torch in memory and splits off a copy of itself for each submission.

Importing torch takes a second or more of processor time, and a class would pay it for every
student. This process runs nothing of anybody's; each copy (fork) is a fresh process in
milliseconds. grade/process.py starts it and sends it orders over a socket.
"""

import contextlib
import json
import os
import socket
import time


def serve(number: int) -> bool:
    """Take orders from the socket of this number until the grader leaves (False); in each new
    process, return True to go on as a submission's."""
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
    started in any case. Its exit code, or None if it was killed."""
    code = None
    for _ in range(20):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.01)
    with contextlib.suppress(OSError):  # the group outlives its leader; without members it is gone
        os.killpg(pid, 9)
    if code is None:
        os.waitpid(pid, 0)
    return code
