"""What a submission's Python code may do: compute, read what Python itself consists of, and write
into a folder of its own. All else is refused by name, which keeps accidents and pranks away from
the rest of a class; it is no sandbox, for code that rewrites the running Python gets past it (on
Linux not past kernel.py), and an instructor who expects attacks grades in a container.
"""

import builtins
import contextlib
import importlib.util
import os
import sys
import tempfile
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from course.submission.kernel import LOOK, READ
from course.submission.limits import may_list

# The hook below looks up `isinstance` and its like here, not where a submission can exchange them.
globals()["__builtins__"] = dict(vars(builtins))

SYSTEM = (  # what libraries read on their own account
    *("/usr", "/opt", "/lib", "/lib64", "/nix/store", "/gnu/store", "/System", "/Library"),
    *("/etc/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/os-release"),
    *("/dev/null", "/dev/urandom", "/proc/self", "/proc/cpuinfo", "/proc/meminfo"),
    *("/sys/devices/system/cpu", os.environ.get("SYSTEMROOT", "/usr")),
)
OURS = ("minilrm", "course", "lectures", "notebooks", "tests")  # where answers may stand
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
AT_HOME = {"os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.rename": 2}  # event -> its paths
REFUSED = (  # beginnings of audit events: https://docs.python.org/3/library/audit_events.html
    *AT_HOME,
    *("os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown", "os.chflags", "os.utime"),
    *("os.setxattr", "os.removexattr", "os.lockf", "os.kill", "os.killpg", "signal.pthread_kill"),
    *("os.fork", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty."),
    *("subprocess.", "socket.", "sqlite3.", "webbrowser.", "syslog.", "resource.", "shutil.rmtree"),
    *("ctypes.", "gc.", "winreg.CreateKey", "winreg.Delete", "winreg.SetValue", "winreg.SaveKey"),
)
# What opens files, sockets or processes in C, past any audit hook.
UNSEEN = (
    *("torch._C.PyTorchFileWriter", "torch.from_file", "torch.UntypedStorage.from_file"),
    *("torch._C.ScriptModule.save", "torch._C.ScriptFunction.save", "torch.jit.save"),
    *("torch._C._distributed_c10d.TCPStore", "torch._C._distributed_c10d.FileStore"),
    *("torch.distributed.TCPStore", "torch.distributed.FileStore"),
    *("os.mkfifo", "os.mknod", "os.pidfd_open", "os.setpriority", "os.sched_setaffinity"),
    *("os.sched_setscheduler", "os.sched_setparam", "signal.pidfd_send_signal"),
    *("subprocess._fork_exec", "_posixsubprocess.fork_exec"),
)
BEHIND = {"os": "posix", "signal": "_signal"}  # a module of Python's -> where it has it from
UNSEEN_MODULES = ("readline", "_xxsubinterpreters", "_interpreters", "_testcapi")


# -- places ----------------------------------------------------------------------------------------


def environment(home: str, data: str) -> None:
    """Exchange the environment: nothing of the grader's, and for caches a folder of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    folders = ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "TMPDIR", "TEMP", "TMP")
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    os.environ.clear()
    os.environ.update(kept | dict.fromkeys(folders, home) | dict.fromkeys(threads, "1"))
    os.environ.update({"MPLBACKEND": "Agg", "CUDA_VISIBLE_DEVICES": "", "MINILRM_DATA": data})
    tempfile.tempdir = home


def answers(paths: Sequence[str], forbidden: Sequence[str]) -> list[str]:
    """Files and folders beneath these paths that hold our own code, or a forbidden package."""
    found = [os.path.join(path, name) for path in paths for name in OURS]
    for name in forbidden:
        spec = None if name.startswith("minilrm") else importlib.util.find_spec(name)
        if spec is not None:
            found += spec.submodule_search_locations or [spec.origin or ""]
    return sorted({os.path.realpath(path) for path in found if os.path.exists(path)})


def libraries() -> list[str]:
    """The folders that Python and its packages are read from."""
    of_python = [os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)]
    folders = [path for path in (*sys.path, *of_python) if os.path.isdir(path) and may_list(path)]
    linked = [e.path for folder in folders for e in os.scandir(folder) if e.is_symlink()]
    return sorted({os.path.realpath(path) for path in (*folders, *linked)})


def within(path: str, folders: Iterable[str]) -> bool:
    """True if a real path is one of these or beneath one of them."""
    return any(path == f or path.startswith(f.rstrip(os.sep) + os.sep) for f in folders)


def reading(folder: str, hidden: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Rules for kernel.landlock that allow to read all beneath a folder but what is hidden."""
    if within(folder, hidden):
        return
    if not any(within(secret, [folder]) for secret in hidden):
        yield folder, READ
        return
    yield folder, LOOK
    with contextlib.suppress(OSError):  # a folder that we may not read ourselves
        for entry in os.scandir(folder):
            if not entry.is_symlink():
                yield from reading(entry.path, hidden)


# -- the hook --------------------------------------------------------------------------------------


def fence(home: str, readable: Sequence[str], hidden: Sequence[str]) -> None:
    """From here on this process computes, reads what is readable and not hidden, and writes into
    `home`. All of them are real paths (no links)."""
    real, decode, exists, nothing = os.path.realpath, os.fsdecode, os.path.lexists, os.devnull

    def look(path: Any, writes: bool) -> None:
        place, shown = real(decode(path)), os.path.basename(decode(path))
        if path == nothing or within(place, [home]):
            return
        if writes:
            raise PermissionError(
                f"your file tried to write {shown}; exercises compute, they write no files"
            )
        if within(place, hidden):
            raise PermissionError(f"your file tried to read {shown}; write the function yourself")
        if exists(place) and not within(place, readable):
            raise PermissionError(
                f"your file tried to read {shown}; exercises compute from what they are given"
            )

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = args
            given = flags & WRITING if isinstance(flags, int) else set(mode or "") & set("wax+")
            if isinstance(path, (str, bytes, os.PathLike)):  # a number is a file that is open
                look(path, bool(given))
        elif event in ("os.listdir", "os.scandir"):
            if isinstance(args[0], (str, bytes, os.PathLike)):
                look(args[0], False)
        elif event in AT_HOME and args[-AT_HOME[event] :] == (-1,) * AT_HOME[event]:
            for path in args[: AT_HOME[event]]:  # -1: not relative to another folder
                look(path, True)
        elif event.startswith(REFUSED):
            raise PermissionError(
                f"your file tried {event}; exercises compute, they do nothing to the outside"
            )

    sys.addaudithook(hook)


def refuse_unseen() -> None:
    """Take away what acts on the outside without an audit event."""
    for name in UNSEEN:

        def refused(*_: Any, name: str = name, **__: Any) -> NoReturn:
            raise PermissionError(
                f"your file tried {name.removeprefix('torch._C.')}; exercises compute, they do "
                "nothing to the outside"
            )

        holder, _, attribute = name.rpartition(".")
        for found in map(find, (holder, BEHIND.get(holder, holder))):
            if hasattr(found, attribute):
                setattr(found, attribute, refused)


def find(name: str) -> Any:
    """A module in memory, or a class in it; None if there is none."""
    if name in sys.modules:
        return sys.modules[name]
    holder, _, attribute = name.rpartition(".")
    return getattr(find(holder), attribute, None) if holder else None


# -- imports ---------------------------------------------------------------------------------------


class Refuser(MetaPathFinder):
    """Says of a module that holds the answers that it may not be imported, whoever imports it."""

    def __init__(self, names: Sequence[str]):
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """An importer that finds nothing, and refuses what is forbidden."""
        if name in UNSEEN_MODULES:
            raise PermissionError(f"imports {name}; exercises compute, they need none of that")
        for forbidden in self.names:
            if name == forbidden or name.startswith(forbidden + "."):
                raise PermissionError(f"imports {name}, where the answers stand: write it yourself")


def forget(tree: str, root: str, forbidden: Sequence[str]) -> None:
    """From here on `minilrm` is the copy in `tree`; what this process itself consists of can no
    longer be imported, and what is forbidden never could."""
    for name in list(sys.modules):
        if name.partition(".")[0] in (*OURS, *forbidden):
            del sys.modules[name]
    sys.modules["__main__"] = ModuleType("__main__")
    sys.path[:] = [tree, *(path for path in sys.path if os.path.realpath(path) != root)]
    sys.path_importer_cache.clear()
    sys.meta_path.insert(0, Refuser(forbidden))


def load(file: Path) -> ModuleType:
    """The submission as a module."""
    try:
        with tokenize.open(file) as text:  # as Python reads it: UTF-8, or what its first lines say
            text.read()
    except (UnicodeDecodeError, SyntaxError):
        raise SyntaxError(
            "it is not written in UTF-8; save it again, with the encoding UTF-8"
        ) from None
    spec = importlib.util.spec_from_file_location("exercises", file)
    if spec is None or spec.loader is None:
        raise ImportError("it is no file of Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules["exercises"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
