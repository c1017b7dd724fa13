"""The two last walls of the sandbox: what the filter says of each call, on both kinds of machine,
and what happens where a kernel has no filter or no Landlock."""

import errno
import platform
import re
from pathlib import Path

import pytest

from minilrm.tools import ToolFailed, filters, run_code, sandbox
from minilrm.tools.sandbox import Limits, SandboxRefused, run
from tests.hostile import HOSTILE

SLOW = Limits(seconds=60)  # on a busy machine; no program here needs it
EPERM = filters.ERROR | errno.EPERM
both = pytest.mark.parametrize("machine", filters.MACHINES)


def verdict(machine, number, *arguments, arch=None):
    """What the filter of a machine says of a call: its BPF program, run by hand."""
    arch = filters.MACHINES[machine][0] if arch is None else arch
    words = {filters.NUMBER: number, filters.ARCH: arch}
    for place in range(6):
        value = arguments[place] if place < len(arguments) else 0
        words[filters.ARGUMENTS + 8 * place] = value & 0xFFFFFFFF
    code, at, loaded = filters.filter_for(machine), 0, 0
    while True:
        what, yes, no, constant = code[at]
        at += 1
        if what == filters.RETURN:
            return constant
        if what == filters.LOAD:
            loaded = words[constant]
        else:
            true = {
                filters.EQUAL: loaded == constant,
                filters.AT_LEAST: loaded >= constant,
                filters.ANY_BIT: loaded & constant != 0,
            }[what]
            at += yes if true else no


@both
def test_every_named_call_is_cut_and_others_are_not(machine):
    column, named = filters.MACHINES[machine][1], set()
    for calls, want in ((filters.KILLED, filters.KILL), (filters.REFUSED, EPERM)):
        for name, numbers in calls.items():
            if numbers[column] is not None:
                named.add(numbers[column])
                assert verdict(machine, numbers[column]) == want, name
    special = {n[column] for n in (filters.CLONE, filters.CLONE3, *filters.SOCKETS)}
    assert not named & special
    for number in set(range(470)) - named - special:
        assert verdict(machine, number, 1, 2, 3) == filters.ALLOW, number


@both
def test_arguments_decide_where_a_call_is_needed_too(machine):
    column = filters.MACHINES[machine][1]
    clone, ioctl = filters.CLONE[column], filters.IOCTL[column]
    threads, child = 0x3D0F00, 17
    assert verdict(machine, clone, threads) == verdict(machine, clone, child) == filters.ALLOW
    spaces = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
    assert all(verdict(machine, clone, flag | child) == EPERM for flag in spaces)
    assert verdict(machine, filters.CLONE3[column]) == filters.ERROR | errno.ENOSYS
    for socket in filters.SOCKETS:
        assert verdict(machine, socket[column], 1, 1) == filters.ALLOW
        for family in (0, 2, 10, 16, 17, 38, 40):
            want = filters.ERROR | errno.EAFNOSUPPORT
            assert verdict(machine, socket[column], family, 1) == want
    assert verdict(machine, ioctl, 0, 0x5412) == verdict(machine, ioctl, 0, 0x541C) == EPERM
    assert verdict(machine, ioctl, 0x5412, 0x5401) == filters.ALLOW
    # The kernel reads the lower half alone; so does the filter.
    assert verdict(machine, ioctl, 0, 0x5412 | 1 << 32) == EPERM


@both
def test_calls_under_other_numbers_are_killed(machine):
    """Catches: a filter that reads the numbers of another interface as its own."""
    for arch in (0x40000003, 0x40000028, 0):  # i386, arm
        assert verdict(machine, 20, arch=arch) == filters.KILL
    if machine == "x86_64":
        assert verdict(machine, filters.X32 | 39) == filters.KILL


HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", r"#define __NR_(\w+)\s+(\d+)"),
    "aarch64": ("/usr/include/asm-generic/unistd.h", r"#define __NR(?:3264)?_(\w+)\s+(\d+)"),
}


@both
def test_the_numbers_are_the_kernels(machine):
    path, pattern = HEADERS[machine]
    if not Path(path).is_file():
        pytest.skip("the kernel's headers are not here")
    known = dict(re.findall(pattern, Path(path).read_text()))
    column, compared = filters.MACHINES[machine][1], 0
    single = {"clone": filters.CLONE, "clone3": filters.CLONE3, "ioctl": filters.IOCTL}
    single |= dict(zip(("socket", "socketpair"), filters.SOCKETS, strict=True))
    for name, numbers in (filters.KILLED | filters.REFUSED | single).items():
        if name in known:  # a header may be older than a call
            assert int(known[name]) == numbers[column], name
            compared += 1
    assert compared > 70


# -- kernels that have them not --------------------------------------------------------------------


@pytest.fixture
def changed(monkeypatch, tmp_path):
    """`changed(old, new)`: a jail with another line; of the walls that are there first."""
    try:
        if run("pass", SLOW).missing:
            pytest.skip("this kernel has no Landlock")
    except SandboxRefused as error:
        pytest.skip(str(error))

    def change(old, new):
        text = sandbox.JAIL.read_text()
        assert old in text
        (tmp_path / "jail.py").write_text(text.replace(old, new))
        monkeypatch.setattr(sandbox, "JAIL", tmp_path / "jail.py")

    return change


def test_without_landlock_it_runs_and_says_so(changed):
    changed("if filters.landlock_version()", "if False")
    result = run("import os\nprint(len(os.listdir('/')) > 1)", SLOW)
    assert result.stdout == "True\n" and result.ended == "finished"
    [missing] = result.missing
    assert missing.startswith("Landlock: ")
    assert run_code("print(6 * 7)", SLOW) == "42"


def test_without_a_filter_it_is_refused_or_says_so(changed):
    changed("if filters.can_filter_calls()", "if False")
    with pytest.raises(SandboxRefused, match="seccomp: this kernel") as error:
        run("print(1)", SLOW)
    assert "network" not in str(error.value)  # nothing else would be missing
    with pytest.raises(ToolFailed, match="seccomp"):
        run_code("print(1)", SLOW)
    result = run(HOSTILE["passwords"], SLOW, allow_weaker=True)
    assert "ESCAPED" not in result.stdout  # the other walls stand
    [missing] = result.missing
    assert missing.startswith("seccomp: ")


def test_walls_that_cannot_be_built_after_all_start_no_program(changed):
    changed("filters.filter_calls()", "raise OSError('no filter')")
    result = run("print('ESCAPED')", SLOW)
    assert result.ended == "failed" and not result.stdout and "no filter" in result.stderr


@pytest.mark.parametrize(
    "name",
    ["a namespace of users", "memory that is in no limit", "files in memory", "an old personality",
     "what stands beside its folder"],
)  # fmt: skip
def test_without_these_walls_such_programs_escape(changed, name):
    """They are shut in by the filter or by Landlock, not by a mistake of their own."""
    column = filters.MACHINES[platform.machine()][1]
    program = re.sub(
        r"NR_(\w+)", lambda found: str(filters.REFUSED[found[1]][column]), HOSTILE[name]
    )
    assert "ESCAPED" not in run(program, SLOW).stdout
    changed("        if isolated:\n            shut_in", "        if False:\n            shut_in")
    if "ESCAPED" not in run(program, SLOW).stdout and name == "a namespace of users":
        pytest.skip("this kernel gives no namespace to such a user")
    assert "ESCAPED" in run(program, SLOW).stdout


def test_what_a_program_may_still_do(changed):
    program = """
import os, socket, subprocess, threading, time
threading.Thread(target=print, args=("thread",)).start()
a, b = socket.socketpair(); a.send(b"socket"); print(b.recv(9).decode())
print(subprocess.run(["PYTHON", "-c", "print('child')"], capture_output=True).stdout.decode())
os.mkdir("d"); open("f", "w").write("file"); os.rename("f", "d/f"); os.truncate("d/f", 3)
print(open("d/f").read(), time.time() > 0)
"""
    python = sandbox.settings_of(SLOW, True, "/", 0)["python"]
    result = run(program.replace("PYTHON", python), SLOW)
    assert result.stdout.split() == ["thread", "socket", "child", "fil", "True"], result
