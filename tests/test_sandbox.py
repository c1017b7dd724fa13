"""The code sandbox: what a program may do, and hostile programs that try to do more.

Each hostile program says ESCAPED where it reaches what it should not.
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from minilrm.tools import ToolFailed, run_code, sandbox
from minilrm.tools.sandbox import Limits, SandboxRefused, run

SLOW = Limits(seconds=60)  # on a busy machine; no program here needs it
MARK = f"canary-{os.getpid()}"  # in the command line of processes that try to live on
CANARY = "the canary lives"


@pytest.fixture(scope="module")
def walls():
    try:
        run("pass", SLOW)
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

# FILE, PORT and MARK are put in.
HOSTILE = {
    "an endless loop": "while True: pass",
    "a loop that catches all": """
import signal
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try:
        while True: pass
    except BaseException: pass
""",
    "a fork loop": """
import os
made = 0
try:
    while made < 100:
        if os.fork() == 0:
            import time; time.sleep(99)
        made += 1
except OSError: pass
print('ESCAPED' if made > 20 else made)
""",
    "a fork bomb": "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
    "threads": """
import threading, time
made = 0
try:
    while made < 200:
        threading.Thread(target=time.sleep, args=(99,), daemon=True).start(); made += 1
except RuntimeError: pass
print('ESCAPED' if made > 50 else made)
import os; os._exit(0)
""",
    "much memory": "x = bytearray(1 << 30)\nprint('ESCAPED')",
    "memory in pieces": "x = []\nwhile True: x.append(bytearray(1 << 22))",
    "a large number": "print('ESCAPED' if 9 ** 9 ** 9 else '')",
    "a large file": """
with open('large', 'wb') as file:
    for _ in range(100): file.write(bytes(1 << 20)); file.flush()
print('ESCAPED')
""",
    "many files": """
for i in range(5000): open(f'f{i}', 'w').write('x')
print('ESCAPED')
""",
    "many large files": """
for i in range(50):
    with open(f'f{i}', 'wb') as file: file.write(bytes(1 << 20))
print('ESCAPED')
""",
    "open files": "kept = [open('main.py') for _ in range(500)]\nprint('ESCAPED')",
    "a flood on stderr": "import sys\nwhile True: sys.stderr.write('x' * 10000)",
    "a flood from a child": """
import os
if os.fork() == 0:
    while True: os.write(1, b'x' * 10000)
os.wait()
""",
    "writing outside": "open('FILE', 'w').write('gone'); print('ESCAPED')",
    "writing in /": "open('/note', 'w'); print('ESCAPED')",
    "writing in /tmp": "open('/tmp/note-MARK', 'w'); print('ESCAPED')",
    "writing to Python's own files": """
import os
with open(os.__file__, 'a') as file: file.write('#')
print('ESCAPED')
""",
    "up and out": "print('ESCAPED' if open('../' * 20 + 'FILE').read() else '')",
    "a symbolic link": """
import os
os.symlink('FILE', 'link'); print('ESCAPED', open('link').read())
""",
    "a hard link": "import os\nos.link('FILE', 'link'); print('ESCAPED')",
    "deleting": "import os, shutil\nshutil.rmtree('/', ignore_errors=True)\nos.remove('FILE')",
    "passwords": "print('ESCAPED', open('/etc/passwd').read())",
    "the processes of /proc": "import os\nprint('ESCAPED', os.listdir('/proc'))",
    "the environment of its parent": "print('ESCAPED', open('/proc/1/environ').read())",
    "devices": "print('ESCAPED', open('/dev/sda', 'rb').read(1))",
    "making a device": "import os\nos.mknod('d', 0o60600, os.makedev(8, 0)); print('ESCAPED')",
    "inherited handles": """
import os
for number in range(3, 300):
    try: print('ESCAPED', number, os.read(number, 100))
    except OSError: pass
""",
    "the environment": """
import os
if 'MINILRM_SECRET' in os.environ: print('ESCAPED')
""",
    "a socket to this machine": """
import socket
socket.create_connection(('127.0.0.1', PORT), 2); print('ESCAPED')
""",
    "a socket to the world": """
import socket
socket.create_connection(('1.1.1.1', 53), 2); print('ESCAPED')
""",
    "a datagram": """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53)); print('ESCAPED')
""",
    "a raw socket": """
import socket
socket.socket(socket.AF_PACKET, socket.SOCK_RAW); print('ESCAPED')
""",
    "an abstract socket": """
import os, socket
s = socket.socket(socket.AF_UNIX); s.connect(chr(0) + '/tmp/.X11-unix/X0'); print('ESCAPED')
""",
    "a child that lives on": """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(1); os.close(2)
        os.execv('PYTHON', ['python', '-c', 'import time; time.sleep(99)', 'MARK'])
    os._exit(0)
os.wait()
import time; time.sleep(0.2)
print('parent ends')
""",
    "many that live on": """
import os
for _ in range(5):
    if os.fork() == 0:
        os.setsid()
        os.execv('PYTHON', ['python', '-c', 'import time; time.sleep(99)', 'MARK'])
while True: pass
""",
    "no death with its parent": """
import ctypes, os
ctypes.CDLL(None).prctl(1, 0)
os.setsid()
os.execv('PYTHON', ['python', '-c', 'import time; time.sleep(99)', 'MARK'])
""",
    "signals to all": "import os, signal\nos.kill(-1, signal.SIGKILL)",
    "signals to its parent": """
import os, signal
for pid in (os.getppid(), 1):
    try: os.kill(pid, signal.SIGKILL)
    except OSError: pass
print('still here')
""",
    "tracing init": """
import ctypes
print('ESCAPED' if ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0 else '')
""",
    "higher limits": """
import resource
resource.setrlimit(resource.RLIMIT_CPU, (1000, 1000)); print('ESCAPED')
""",
    "another user": "import os\nos.setuid(0); print('ESCAPED')",
    "a mount": """
import ctypes
if ctypes.CDLL(None).mount(b'none', b'/box', b'tmpfs', 0, None) == 0: print('ESCAPED')
""",
    "another root": "import os\nos.chroot('.'); print('ESCAPED')",
    "the host's name": "import socket\nsocket.sethostname('mine'); print('ESCAPED')",
    "a set-uid file": """
import os
os.chmod('main.py', 0o6777)
os.execv('/usr/bin/su', ['su', '-c', 'echo ESCAPED'])
""",
    "the kernel's memory": "open('/dev/mem', 'rb'); print('ESCAPED')",
    "deep syntax": "x = " + "(" * 5000 + ")" * 5000,
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    "machine code": "import ctypes\nctypes.string_at(0)",
    "reading for ever": "input()",
    "a pipe of its own": "import os\nos.mkfifo('pipe')\nopen('pipe').read()",
    "a bomb of nested lists": "a = 0\nfor _ in range(60): a = [a, a]\nprint(len(repr(a)))",
    "compressed": "import zlib\nx = zlib.compress(bytes(1 << 28))\nprint('ESCAPED')",
}
ENDS = Limits(seconds=0.5, cpu_seconds=1)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_are_shut_in(walls, outside, name):
    python = sandbox.settings_of(ENDS, True, "/", 0)["python"]
    program = HOSTILE[name].replace("FILE", outside["file"]).replace("MARK", MARK)
    program = program.replace("PORT", str(outside["port"])).replace("PYTHON", python)
    result = run(program, ENDS)
    assert "ESCAPED" not in result.stdout and CANARY not in result.stdout, result
    assert not result.missing and len(result.stdout + result.stderr) <= ENDS.output
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
