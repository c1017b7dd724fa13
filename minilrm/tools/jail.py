"""Run one Python program behind as many walls as the kernel gives.

`sandbox.py` starts this file as a process of its own, `python -I -S jail.py SETTINGS`, with the
program on its standard input. Of ours it imports `filters.py` alone.

Three processes, one inside the other:

    this one    has namespaces of its own (mounts, processes, network, ...), builds a file system
                of its own in memory, and waits
    init        is number 1 of the new processes: when it ends, the kernel ends all of them,
                whatever they did to be forgotten; it dies with this one
    program     has limits and no rights, files and system calls shut in, and then is the program

On file descriptor `report` goes a JSON line that says which walls are missing, and one with the
exit status. Without namespaces no program is started, nor without the filter of system calls,
unless `allow_weaker` is set. Landlock is a second wall behind the file system: without it,
`missing` names it and the program runs.
"""

import ctypes
import json
import os
import platform
import resource
import signal
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 1, 4, 38, 24
MOUNT_SETATTR = 442  # the same number on every machine
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
ATTRIBUTES_READ_ONLY = 1 | 2 | 4  # read-only, no set-uid, no devices
FIRST_UID = 1 << 28  # of users that no system has

NO_FILTER = "seccomp: this kernel does not filter a program's system calls"
NO_LANDLOCK = "Landlock: this kernel has no second wall around files"

libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The kernel does not give a wall; the text says which."""


def checked(outcome: int, what: str) -> None:
    if outcome != 0:
        raise Failed(f"{what}: {os.strerror(ctypes.get_errno())}")


def text(value: "str | None") -> "bytes | None":
    return None if value is None else value.encode()


def mount(
    source: "str | None", target: str, kind: "str | None", flags: int, data: str = ""
) -> None:
    checked(
        libc.mount(text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data)),
        f"mount {target}",
    )


def read_only(target: str, flags: int = AT_RECURSIVE) -> None:
    attributes = (ctypes.c_uint64 * 4)(ATTRIBUTES_READ_ONLY, 0, 0, 0)
    outcome = libc.syscall(
        MOUNT_SETATTR, AT_FDCWD, text(target), flags, ctypes.byref(attributes), 32
    )
    checked(outcome, f"make {target} read-only")


# -- the walls -------------------------------------------------------------------------------------


def enter_namespaces() -> int:
    """Namespaces of our own. Returns the user id that the program is to have in them.

    The superuser needs no namespace of users, and gives the program a user that nobody else is. Any
    other user gets one in which he may set up the rest, and keeps his own id.
    """
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
    user, group = os.getuid(), os.getgid()
    if user == 0:
        checked(libc.unshare(flags), "unshare")
        return FIRST_UID + os.getpid()
    checked(libc.unshare(flags | CLONE_NEWUSER), "unshare")
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    return user


def build_root(root: str, settings: dict, user: int, program: bytes) -> None:
    """A file system in memory: Python, read-only, and a folder to work in; then make it ours."""
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("none", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,nr_inodes=200,mode=755")
    for folder in settings["python_needs"]:
        target = root + folder
        if os.path.islink(folder):
            os.symlink(os.readlink(folder), target)
        elif os.path.isdir(folder):
            os.makedirs(target, exist_ok=True)
            mount(folder, target, None, MS_BIND | MS_REC)
            read_only(target)
    box = root + "/box"
    os.mkdir(box)
    whose = f"mode=700,uid={user},gid={os.getgid()}"
    options = f"size={settings['disk']},nr_inodes=1000,{whose}"
    mount("none", box, "tmpfs", MS_NOSUID | MS_NODEV, options)
    write_program(box, program)
    os.chdir(root)
    checked(
        libc.syscall(PIVOT_ROOT[platform.machine()], b".", b"."), "make the new file system ours"
    )
    checked(libc.umount2(b".", MNT_DETACH), "leave the old file system")
    read_only("/", 0)  # without what is mounted below: the program may write in its folder
    os.chdir("/box")


def write_program(folder: str, program: bytes) -> None:
    path = folder + "/main.py"
    with open(path, "wb") as file:
        file.write(program)
    os.chmod(path, 0o644)


def set_limits(settings: dict, processes: int) -> None:
    for name, bound in (
        ("RLIMIT_CPU", settings["cpu_seconds"]),
        ("RLIMIT_AS", settings["memory"]),
        ("RLIMIT_FSIZE", settings["file"]),
        ("RLIMIT_NOFILE", settings["open_files"]),
        ("RLIMIT_NPROC", processes),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_MEMLOCK", 0),
        ("RLIMIT_MSGQUEUE", 0),
    ):
        if hasattr(resource, name):  # macOS has not all of them
            resource.setrlimit(getattr(resource, name), (bound, bound))


def drop_rights(user: "int | None") -> None:
    """The user that the program is to have (None: our own), no group, no right, and none to be had
    from a set-uid program."""
    if user is not None and os.getuid() == 0:
        for right in range(64):
            libc.prctl(PR_CAPBSET_DROP, right, 0, 0, 0)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    if hasattr(libc, "prctl"):
        checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new rights")


def lacking() -> "list[str]":
    """Which of the two last walls this kernel does not have."""
    import filters  # type: ignore[import-not-found]

    no_filter = [] if filters.can_filter_calls() else [NO_FILTER]
    return no_filter + ([] if filters.landlock_version() else [NO_LANDLOCK])


def shut_in(settings: dict) -> None:
    """Build the two last walls that there are; the filter is last, for it forbids to build."""
    import filters

    missing = lacking()
    if NO_LANDLOCK not in missing:
        shown = [folder for folder in settings["python_needs"] if os.path.isdir(folder)]
        filters.shut_files_in(shown, ["/box"])
    if NO_FILTER not in missing:
        filters.filter_calls()


# -- the processes ---------------------------------------------------------------------------------


def run_isolated(settings: dict, program: bytes, report: int) -> None:
    """All walls, or Failed before a program has been started."""
    if platform.machine() not in PIVOT_ROOT:
        raise Failed(f"a file system of its own: not on {platform.machine()}")
    missing = lacking()
    if NO_FILTER in missing and not settings["allow_weaker"]:
        raise Failed("; ".join(missing))
    user = enter_namespaces()
    build_root(settings["root"], settings, user, program)
    say(report, {"missing": missing, "started": True})
    init = os.fork()
    if init:
        _, status = os.waitpid(init, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    try:
        be_init(settings, user, report)
    finally:
        os._exit(126)  # whatever happens: what stands above is no business of this process


def be_init(settings: dict, user: int, report: int) -> None:
    """Start the program and wait for it, as number 1 of its namespace."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)  # the program may share our user: it may not trace us
    child = os.fork()
    if child == 0:
        # Of the user's processes in these namespaces, two are ours, where we share the user.
        start(settings, settings["processes"] + (2 if os.getuid() else 0), user, isolated=True)
    while True:
        ended, status = os.wait()
        if ended == child:
            say(report, {"status": status})
            os._exit(0)


def start(settings: dict, processes: int, user: "int | None", isolated: bool = False) -> None:
    """Become the program."""
    try:
        for number in range(1, 65):
            if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
                signal.signal(number, signal.SIG_DFL)
        set_limits(settings, processes)
        drop_rights(user)
        if isolated:
            shut_in(settings)
        os.execve(settings["python"], ["python", "-I", "-S", "main.py"], {})
    except BaseException as error:
        print(f"the sandbox could not start the program: {error!r}", file=sys.stderr, flush=True)
    os._exit(125)


def run_weaker(settings: dict, program: bytes, report: int) -> None:
    """Limits alone, in a folder of the disk."""
    write_program(settings["folder"], program)
    os.chdir(settings["folder"])
    child = os.fork()
    if child == 0:
        start(settings, settings["processes"], None)
    _, status = os.waitpid(child, 0)
    say(report, {"status": status})


def say(report: int, message: dict) -> None:
    os.write(report, json.dumps(message).encode() + b"\n")


def main() -> None:
    os.umask(0o022)
    settings = json.loads(sys.argv[1])
    program = sys.stdin.buffer.read()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.path.append(settings["inner"])  # -I leaves it out; last, so that it hides nothing
    report = settings["report"]
    os.set_inheritable(report, False)
    if settings["isolated"]:
        try:
            run_isolated(settings, program, report)
        except (Failed, OSError, AttributeError) as error:
            say(report, {"missing": [f"{error}"], "started": False})
    else:
        run_weaker(settings, program, report)


if __name__ == "__main__":
    main()
