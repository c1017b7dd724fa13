"""The fence's layers one by one: the kernel's rules without Python's, another user, limits."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course.submission import fence, kernel, limits

ROOT = Path(__file__).resolve().parent.parent
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux's interfaces")
UNIX = pytest.mark.skipif(os.name != "posix", reason="interfaces of Unix")

# -- the kernel's rules alone ----------------------------------------------------------------------

ALONE = """
import os, socket, sys
from course.submission import kernel

home, secret, parent = sys.argv[1], sys.argv[2], int(sys.argv[3])
places = ["/usr", "/lib", "/lib64", "/dev/urandom", sys.prefix, sys.base_prefix, "/proc/self"]
lacking = kernel.close_doors([(place, kernel.READ) for place in places] + [(home, kernel.WRITE)])
if lacking:
    sys.exit(f"this system has no {lacking}")
attempts = {
    "read": lambda: open(secret),
    "read by a link": lambda: (os.symlink(secret, home + "/link"), open(home + "/link")),
    "write": lambda: open(secret, "a"),
    "delete": lambda: os.remove(secret),
    "move": lambda: (open(home + "/x", "w"), os.rename(home + "/x", secret + "x")),
    "pipe": lambda: os.mkfifo(home + "/pipe"),
    "rights": lambda: os.chmod(secret, 0o777),
    "owner": lambda: os.chown(secret, 1, 1),
    "times": lambda: os.utime(secret),
    "attribute": lambda: os.setxattr(secret, "user.x", b"1"),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "socket": socket.socket,
    "signal": lambda: os.kill(parent, 0),
    "handle": lambda: os.pidfd_open(parent),
    "processors": lambda: os.sched_setaffinity(parent, {0}),
    "environment": lambda: open(f"/proc/{parent}/environ"),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError:
        continue
    print(name)
import threading
thread = threading.Thread(target=print, args=["a thread"])
thread.start()
thread.join()
print(open(home + "/cache", "w").write("allowed"))
"""


@LINUX
def test_the_kernel_refuses_what_python_would_let_through(tmp_path):
    """Catches: a rule of Landlock or a number of seccomp's that refuses nothing, and one that
    refuses too much."""
    (tmp_path / "home").mkdir()
    secret = tmp_path / "secret.txt"
    secret.write_text("mine")
    command = [sys.executable, "-c", ALONE, tmp_path / "home", secret, str(os.getpid())]
    found = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    if "this system has no" in found.stderr:
        pytest.skip(found.stderr.strip())
    assert found.stdout.split("\n") == ["a thread", "7", ""], found.stderr
    assert secret.read_text() == "mine"


@pytest.mark.parametrize("processor", kernel.PROCESSORS)
def test_a_filter_jumps_to_its_own_lines(processor):
    """Run the program by hand: what it says of a call."""
    lines = kernel.program(processor)
    column, name = kernel.PROCESSORS[processor]

    def verdict(number, flags=0, architecture=name):
        seen = {kernel.NUMBER: number, kernel.ARCHITECTURE: architecture}
        seen[kernel.FIRST_ARGUMENT] = flags
        at, value = 0, 0
        while True:
            code, yes, no, operand = lines[at]
            at += 1
            if code == kernel.RETURN:
                return operand
            if code == kernel.LOAD:
                value = seen[operand]
            elif code == kernel.EQUAL:
                at += yes if value == operand else no
            elif code == kernel.AT_LEAST:
                at += yes if value >= operand else no
            else:
                at += yes if value & operand else no

    refused = kernel.ERROR | errno.EPERM
    assert all(
        verdict(numbers[column]) == refused
        for numbers in kernel.REFUSED.values()
        if numbers[column] is not None
    )
    assert verdict(kernel.CLONE[column], flags=17) == refused
    assert verdict(kernel.CLONE[column], flags=kernel.THREAD | 17) == kernel.ALLOW
    assert verdict(kernel.CLONE3) == kernel.ERROR | errno.ENOSYS, "the C library then takes clone"
    assert verdict(0) == verdict(3) == kernel.ALLOW
    assert verdict(0, architecture=1) == verdict(kernel.FOREIGN) == refused


# -- a user of its own, and limits -----------------------------------------------------------------


@UNIX
def test_another_user_is_taken_only_if_he_can_read_python(monkeypatch, tmp_path):
    """Catches: a process of root's that gives up its rights and then cannot import anything."""
    calls = []
    for name in ("setgroups", "setegid", "seteuid", "setgid", "setuid", "chown"):
        monkeypatch.setattr(os, name, lambda *args, name=name: calls.append((name, *args)))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert not limits.become(7, [], []) and not calls
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert limits.become(7, ["folder"], [str(tmp_path)])
    assert calls[-3:] == [("chown", "folder", 7, 7), ("setgid", 7), ("setuid", 7)]
    calls.clear()
    assert not limits.become(7, ["folder"], [str(tmp_path), str(tmp_path / "not there")])
    assert calls[-2:] == [("seteuid", 0), ("setegid", 0)], "it stays who it was"
    monkeypatch.setattr(os, "seteuid", lambda user: (_ for _ in ()).throw(OSError("no such user")))
    assert not limits.become(7, [], [])


@UNIX
def test_one_limit_that_is_refused_does_not_keep_the_others_away(monkeypatch):
    """As on macOS, which has no limit on address space."""
    given = {}

    def setrlimit(which, amounts):
        if which == limits.resource.RLIMIT_AS:
            raise ValueError("not here")
        given[which] = amounts

    monkeypatch.setattr(limits.resource, "setrlimit", setrlimit)
    assert limits.limit(256, 60) == ["limit on memory"]
    r = limits.resource
    assert set(given) == {r.RLIMIT_CPU, r.RLIMIT_FSIZE, r.RLIMIT_CORE}
    assert given[r.RLIMIT_CPU] == (60, 60)


def test_hidden_folders_are_left_out_of_those_that_may_be_read(tmp_path):
    """Landlock cannot take a folder out of one that it allows: its neighbours are allowed."""
    for name in ("a", "b/secret", "b/c"):
        (tmp_path / name).mkdir(parents=True)
    rules = dict(fence.reading(str(tmp_path), [str(tmp_path / "b" / "secret")]))
    assert rules == {
        str(tmp_path): kernel.LOOK,
        str(tmp_path / "a"): kernel.READ,
        str(tmp_path / "b"): kernel.LOOK,
        str(tmp_path / "b" / "c"): kernel.READ,
    }
    assert dict(fence.reading(str(tmp_path / "a"), [])) == {str(tmp_path / "a"): kernel.READ}
    assert not list(fence.reading(str(tmp_path / "a"), [str(tmp_path)]))
