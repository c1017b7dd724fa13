"""The code sandbox: what a program may do, and hostile programs that try to do more.

Each hostile program says ESCAPED where it reaches what it should not.
"""

import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from minilrm.tools import ToolFailed, filters, run_code, sandbox
from minilrm.tools.sandbox import Limits, SandboxRefused, run
from tests.hostile import HOSTILE

SLOW = Limits(seconds=60)  # on a busy machine; no program here needs it
MARK = f"canary-{os.getpid()}"  # in the command line of processes that try to live on
CANARY = "the canary lives"


@pytest.fixture(scope="module")
def walls():
    """What is missing here, and may be: Landlock."""
    try:
        return run("pass", SLOW).missing
    except SandboxRefused as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """What is to stay as it is: a file, a port, a variable, an open handle."""
    folder = tmp_path_factory.mktemp("outside")
    folder.chmod(0o755)
    file = folder / "canary"
    file.write_text(CANARY)
    file.chmod(0o666)
    with socket.create_server(("127.0.0.1", 0)) as server, file.open() as handle:
        server.setblocking(False)
        os.set_inheritable(handle.fileno(), True)
        os.environ["MINILRM_SECRET"] = CANARY
        yield {"file": str(file), "port": server.getsockname()[1], "server": server}
        del os.environ["MINILRM_SECRET"]


def alive():
    """Processes of this machine that carry the mark."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if MARK.encode() in words:
            found.append(entry)
    return found


@pytest.fixture(scope="module", autouse=True)
def folders(tmp_path_factory):
    """Where the sandbox makes its folders: here no other test does."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("boxes"))
    yield
    tempfile.tempdir = before


def left_over():
    return list(Path(tempfile.gettempdir()).iterdir())


# -- what a program may do -------------------------------------------------------------------------


def test_a_program_runs_and_says_what_it_says(walls):
    result = run("import math, json\nprint(math.factorial(10), json.dumps([1]))", SLOW)
    assert result == sandbox.Result("3628800 [1]\n", "", "finished")


def test_how_programs_end(walls):
    assert run("raise SystemExit(3)", SLOW).ended == "failed"
    failed = run("print('so far')\n1 / 0", SLOW)
    assert failed.stdout == "so far\n" and failed.stderr.endswith("division by zero\n")
    assert run("import os\nos.abort()", SLOW).ended == "killed"
    assert run("def f(:", SLOW).ended == "failed"
    assert run("import time\ntime.sleep(99)", Limits(seconds=0.7)).ended == "deadline"
    assert run("while True: print('x' * 1000)", SLOW).ended == "output"


def test_its_folder_is_empty_and_gone_afterwards(walls):
    program = "import os\nprint(sorted(os.listdir()))\nopen('note', 'w').write('here')"
    assert run(program, SLOW).stdout == run(program, SLOW).stdout == "['main.py']\n"
    assert not left_over()


def test_the_environment_is_empty(walls):
    result = run("import os\nprint(set(os.environ) - {'LC_CTYPE'})", SLOW)
    assert result.stdout == "set()\n"


def test_the_tool_gives_text_and_says_what_went_wrong(walls):
    assert run_code("\nprint(sum(range(1000)))\n", SLOW) == "499500"
    assert run_code("x = 3", SLOW) == "(nothing printed)"
    assert len(run_code("print('x' * 5000)", SLOW)) == sandbox.LONGEST_TEXT
    with pytest.raises(ToolFailed, match="ZeroDivisionError: division by zero"):
        run_code("1 / 0", SLOW)
    with pytest.raises(ToolFailed, match="more than"):
        run_code("#" * 50_000)


# -- hostile programs ------------------------------------------------------------------------------

ENDS = Limits(seconds=0.5, cpu_seconds=1)
LATE = 0.5  # seconds after the deadline, at most


def made_real(name, outside):
    """A hostile program with what stands outside, and the numbers of this machine's calls."""
    program = HOSTILE[name].replace("FILE", outside["file"]).replace("MARK", MARK)
    program = program.replace("PORT", str(outside["port"]))
    program = program.replace("PYTHON", sandbox.settings_of(ENDS, True, "/", 0)["python"])
    column = filters.MACHINES[platform.machine()][1]
    known = filters.KILLED | filters.REFUSED | {"clone": filters.CLONE, "clone3": filters.CLONE3}
    return re.sub(r"NR_(\w+)", lambda found: str(known[found[1]][column]), program)


def test_there_are_many():
    assert len(HOSTILE) >= 100


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_are_shut_in(walls, outside, name):
    if walls and name == "what stands beside its folder":
        pytest.skip("only Landlock hides it")
    program, seconds = made_real(name, outside), []
    for _ in range(4):  # others may keep this machine busy: once in time is in time
        started = time.monotonic()
        result = run(program, ENDS)
        seconds.append(time.monotonic() - started)
        if seconds[-1] <= ENDS.seconds + LATE:
            break
    assert min(seconds) <= ENDS.seconds + LATE, seconds
    assert "ESCAPED" not in result.stdout and CANARY not in result.stdout, result
    assert result.missing == walls and len(result.stdout + result.stderr) <= ENDS.output
    assert Path(outside["file"]).read_text() == CANARY
    with pytest.raises(BlockingIOError):  # nobody has called
        outside["server"].accept()
    assert not alive()
    assert not left_over()
    assert not Path(f"/tmp/note-{MARK}").exists()


@pytest.mark.parametrize("name", ["passwords", "up and out", "a socket to this machine"])
def test_without_walls_these_programs_escape(no_namespaces, outside, name):
    """They are shut in by the walls, not by a mistake of their own."""
    program = HOSTILE[name].replace("FILE", outside["file"].lstrip("/"))
    program = program.replace("PORT", str(outside["port"]))
    assert "ESCAPED" in run(program, SLOW, allow_weaker=True).stdout
    if "PORT" in HOSTILE[name]:
        outside["server"].accept()[0].close()


def test_the_mark_would_be_seen():
    """A search that finds nothing proves nothing."""
    code = "import sys; print('up', flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, MARK], **pipes) as process:
        process.stdout.readline()  # it has its own command line by now
        assert alive()
        process.stdin.close()
        process.wait()
    assert not alive()


# -- walls that are missing ------------------------------------------------------------------------


@pytest.fixture
def no_namespaces(monkeypatch, tmp_path):
    """A kernel that gives none: the jail asks for a kind that does not exist."""
    text = sandbox.JAIL.read_text()
    broken = text.replace("flags = CLONE_NEWNS |", "flags = 0x3 | CLONE_NEWNS |")
    assert broken != text
    jail = tmp_path / "jail.py"
    jail.write_text(broken)
    monkeypatch.setattr(sandbox, "JAIL", jail)


def test_a_missing_wall_is_named_and_refused(no_namespaces):
    with pytest.raises(SandboxRefused, match="unshare: Invalid argument.*network.*files.*process"):
        run("print(1)", SLOW)
    with pytest.raises(ToolFailed, match="cannot shut a program in"):
        run_code("print(1)")


def test_weaker_walls_run_only_where_they_are_allowed_and_are_reported(no_namespaces):
    result = run("print(6 * 7)", SLOW, allow_weaker=True)
    assert result.stdout == "42\n" and result.ended == "finished"
    assert result.missing == sandbox.not_cut() and len(result.missing) >= 3
    assert run("x = bytearray(1 << 30)", SLOW, allow_weaker=True).ended == "failed"
    assert run("while True: pass", ENDS, allow_weaker=True).ended in ("deadline", "killed")
    assert not left_over()


def test_a_system_without_limits_is_refused(monkeypatch):
    monkeypatch.setattr(sandbox.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SandboxRefused, match="needs limits"):
        run("print(1)", allow_weaker=True)


def test_a_jail_that_does_not_start_is_no_success(monkeypatch, tmp_path):
    jail = tmp_path / "jail.py"
    jail.write_text("raise SystemExit(1)")
    monkeypatch.setattr(sandbox, "JAIL", jail)
    with pytest.raises(SandboxRefused, match="the jail did not start"):
        run("print(1)", SLOW)
