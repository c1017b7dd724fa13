"""What a submission may do to the outside: nothing. Each way out that somebody has found is tried
here through the grader, and what a right answer needs is allowed."""

import contextlib
import os
import signal
import sys
import textwrap
from pathlib import Path

import pytest

from course import grade
from course.grade import process

ROOT = Path(__file__).resolve().parent.parent
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux's interfaces")
UNIX = pytest.mark.skipif(os.name != "posix", reason="interfaces of Unix")

CHECKS = """
from course.grade import exercise, expect

FORBIDDEN = ("minilrm.objectives", "minilrm.grpo")


def held_to_nothing(name):
    def value(student):
        found = getattr(student, name)()
        expect(found == "nothing", f"it got {{found!r}}")

    exercise(name, points=1)(value)


for name in {names}:
    held_to_nothing(name)
"""
READS_IN_C = """
import ctypes
fopen, fread = ctypes.pythonapi.fopen, ctypes.pythonapi.fread
fopen.restype = ctypes.c_void_p
text = ctypes.create_string_buffer(90)
fread(text, 1, 90, ctypes.c_void_p(fopen({solutions!r}.encode(), b"r")))
return text.value
"""
READS_BY_A_LIBRARY = """
import readline
readline.read_history_file({solutions!r})
return readline.get_history_item(1)
"""
FORKS = """
import _posixsubprocess as p, os
r, w = os.pipe()
none, touch = [-1] * 6, [b"/usr/bin/touch", {new!r}.encode()]
return p.fork_exec(touch, touch[:1], True, (w,), None, None, *none, r, w, False, False, -1, None,
                   None, None, -1, None, False)
"""
SAVES_A_MODULE = """
import torch
module = torch.jit.trace(torch.nn.Identity(), torch.ones(1))
return torch.jit.save(module, {new!r})
"""
CONNECTS = """
import torch.distributed as d
return d.TCPStore("127.0.0.1", 0, 1, True, wait_for_workers=False).port
"""
SIGNALS = """
import os, signal
return signal.pidfd_send_signal(os.pidfd_open({pid}), signal.SIGUSR1)
"""
UNLINKS = """
import os
return os.unlink("other.py", dir_fd=os.open(os.path.dirname({other!r}), 0))
"""
A_FRESH_MODULE = """
import sys
del sys.modules["posix"]
import posix
return posix.mkfifo({new!r})
"""
PATCHES = """
import builtins
builtins.isinstance = lambda *_: False
return open({solutions!r}).read()
"""
IN_MEMORY = """
import sys
return [name for name in sys.modules if name.startswith(("minilrm", "course"))] or "nothing"
"""
BUILT_NAME = "import importlib as i; return i.import_module('minilrm.obj' + 'ectives')"
WAYS_OUT = {  # name -> what a function does; all in one process, in this order
    "finds them in memory": IN_MEMORY,
    "imports the answers": "from minilrm import objectives; return 1",
    "imports them from elsewhere": "from minilrm.rl import objectives; return 1",
    "imports them by a built name": BUILT_NAME,
    "reads the library's source": "return open({source!r}).read()",
    "runs the library's source": "import runpy; return runpy.run_path({source!r})",
    "reads the solutions": "return open({solutions!r}).read()",
    "patches the fence": "import __main__; __main__.SECRET = (); return open({solutions!r}).read()",
    "reads a link to them": "return open({link!r}).read()",
    "reads them by a library": READS_BY_A_LIBRARY,
    "reads them by C": READS_IN_C,
    "reads them by another interpreter": "import _xxsubinterpreters as i; return i.create()",
    "reads another submission": "return open({other!r}).read()",
    "looks for other submissions": "import os; return os.listdir(os.path.dirname({other!r}))",
    "reads the grader's environment": "return open('/proc/{pid}/environ', 'rb').read()",
    "sends a signal": "import os; return os.kill({pid}, 10)",
    "sends a signal by a handle": SIGNALS,
    "makes a pipe": "import os; return os.mkfifo({new!r})",
    "makes a file": "import os; return os.mknod({new!r})",
    "makes a link": "import os; return os.symlink({solutions!r}, {new!r})",
    "sets an attribute": "import os; return os.setxattr({other!r}, 'user.x', b'1')",
    "changes rights": "import os; return os.chmod({other!r}, 0o777)",
    "deletes": "import os; return os.remove({other!r})",
    "deletes beneath a folder": UNLINKS,
    "starts a program": FORKS,
    "opens a socket": CONNECTS,
    "saves a module by torch": SAVES_A_MODULE,
    "slows the grader": "import os; return os.sched_setaffinity({pid}, {{0}})",
    "makes a pipe by a fresh module": A_FRESH_MODULE,
    "patches the builtins": PATCHES,
}
KERNEL_ALONE = {"makes a pipe by a fresh module"}  # nothing that Python says keeps this in


def graded(folder, bodies):
    """What the checks say of functions with these bodies, by name."""
    lecture = folder / "lectures" / "01_one"
    lecture.mkdir(parents=True)
    names = [f"f{i}" for i in range(len(bodies))]
    (lecture / "checks.py").write_text(CHECKS.format(names=names), encoding="utf-8")
    (lecture / "solutions.py").write_text("THE = 'answers'\n", encoding="utf-8")
    file = folder / "class" / "mine.py"
    file.parent.mkdir()
    (file.parent / "other.py").write_text("OTHER = 1\n", encoding="utf-8")
    with contextlib.suppress(OSError):  # a system without links
        (file.parent / "data.txt").symlink_to(lecture / "solutions.py")
    filled = {
        "solutions": str(lecture / "solutions.py"),
        "other": str(file.parent / "other.py"),
        "link": str(file.parent / "data.txt"),
        "new": str(folder / "new"),
        "pid": os.getpid(),
        "source": str(ROOT / "minilrm" / "objectives" / "policy.py"),
    }
    assert all(map(os.path.isfile, map(filled.get, ("solutions", "other", "source"))))
    functions = (
        f"def {name}():\n" + textwrap.indent(body.format(**filled), "    ")
        for name, body in zip(names, bodies.values(), strict=True)
    )
    file.write_text("\n\n".join(functions), encoding="utf-8")
    outcomes = grade.grade_file(grade.load_lecture(lecture), file, seconds=10)
    return dict(zip(bodies, outcomes, strict=True))


@pytest.fixture(scope="module", params=["as it is", "without the kernel's rules"])
def attacked(request, tmp_path_factory):
    """All ways out tried, once as they are, and once as on a system whose kernel helps with
    nothing."""
    folder = tmp_path_factory.mktemp("attacked")
    weaker = (
        "from course.submission import kernel, limits\nkernel.close_doors = lambda rules: []\n"
        "limits.become = lambda *_: False\n"
        "import sys\nfrom course.submission.__main__ import main\nmain(sys.argv[1:])"
    )
    came = []
    before = signal.signal(signal.SIGUSR1, lambda *_: came.append(1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "_server", [])
        if request.param != "as it is":
            patch.setattr(process, "command", lambda *w: [sys.executable, "-Bc", weaker, *w])
        found = graded(folder, WAYS_OUT)
        process._server[0].close()
    signal.signal(signal.SIGUSR1, before)
    return found, folder, came, request.param == "as it is"


@UNIX
@pytest.mark.parametrize("way", WAYS_OUT)
def test_a_way_out_is_closed(attacked, way):
    """The student reads what was refused. (One way only the kernel closes.)"""
    outcomes, _, _, whole = attacked
    if whole or way not in KERNEL_ALONE:
        assert "it got" not in outcomes[way].message, outcomes[way].message


@UNIX
def test_nothing_comes_of_all_these_attempts(attacked):
    _, folder, came, whole = attacked
    other = folder / "class" / "other.py"
    assert other.read_text() == "OTHER = 1\n" and not came
    assert not hasattr(os, "listxattr") or not os.listxattr(other)
    assert not other.stat().st_mode & 0o111
    assert not whole or not os.path.lexists(folder / "new")


# -- what a right answer may do --------------------------------------------------------------------

FINE = {
    "pyplot": "import matplotlib.pyplot; return 'nothing'",
    "a cache": """
import os, tempfile
folder = os.path.join(os.path.expanduser("~"), ".cache", "of a library")
os.makedirs(folder)
with open(os.path.join(folder, "new"), "w") as file:
    file.write("x" * 1000)
os.replace(os.path.join(folder, "new"), os.path.join(folder, "fonts"))
with tempfile.TemporaryFile() as file:
    file.write(b"x")
return "nothing" if os.listdir(folder) == ["fonts"] else 0
""",
    "the library": "from minilrm.tasks import get_task; get_task('countdown'); return 'nothing'",
    "a program that is not there": """
import subprocess
try:
    subprocess.run(["fc-list"])
except OSError:
    return "nothing"
""",
    "an environment without the grader's": """
import os
return "nothing" if "HOME" in os.environ and "secret" not in os.environ.values() else 0
""",
    "sympy, random, threads": """
import random, threading, sympy, uuid
thread = threading.Thread(target=random.random)
thread.start(), thread.join(), uuid.uuid4()
return "nothing"
""",
}


@pytest.fixture(scope="module")
def allowed(tmp_path_factory):
    """All of these, without a cache of the grader's own, as in a fresh container."""
    folder = tmp_path_factory.mktemp("allowed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder / "not there"))
        patch.setenv("API_KEY", "secret")
        patch.setattr(process, "_server", [])  # a process that is started now
        found = graded(folder, FINE)
        process._server[0].close()
    return found


@pytest.mark.parametrize("name", FINE)
def test_what_libraries_do_is_allowed(allowed, name):
    assert allowed[name].passed, allowed[name].message


def test_the_copy_of_the_library_lacks_the_answers():
    top = process.library(("minilrm.objectives", "minilrm.tasks"))
    names = {path.relative_to(top).as_posix() for path in top.rglob("*.py")}
    assert "minilrm/model.py" in names and "minilrm/objectives.py" not in names
    assert not any(name.startswith("minilrm/tasks") for name in names)
