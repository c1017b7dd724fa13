"""What Linux itself refuses a submission, whatever its Python code does.

A process can give up rights for good, without being root. Two interfaces serve that, both called
through the C library:

- Landlock (kernel 5.13; https://docs.kernel.org/userspace-api/landlock.html): a list of folders
  that may be read or written. Everything else on the disk, starting programs, and from later
  versions on TCP (6.7) and signals to processes outside (6.12) are refused.
- seccomp (https://docs.kernel.org/userspace-api/seccomp_filter.html): a small program (BPF) that
  the kernel runs before each system call. Ours refuses new processes, sockets, signals, and what
  Landlock leaves out: owners, modes and attributes of files.

Elsewhere neither exists, and fence.py is all there is.
"""

import contextlib
import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterable

NO_NEW_PRIVILEGES, SET_SECCOMP, FILTER = 38, 22, 2  # of prctl

# -- Landlock --------------------------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # system calls, the same on all processors
ABI_VERSION, BENEATH = 1, 1  # flag; kind of a rule

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REMOVE = 1 << 4 | 1 << 5  # folders, files
MAKE = 1 << 7 | 1 << 8 | 1 << 12  # folders, files, links; no sockets, pipes or devices
RENAME, TRUNCATE = 1 << 13, 1 << 14
LOOK = READ_DIR
READ = READ_FILE | READ_DIR
WRITE = READ | WRITE_FILE | REMOVE | MAKE | RENAME | TRUNCATE
OF_A_FILE = WRITE_FILE | READ_FILE | TRUNCATE  # the others are rights of folders

BIND_AND_CONNECT = 3  # TCP
SOCKETS_AND_SIGNALS = 3  # abstract sockets, signals: none to the outside


def landlock(rules: Iterable[tuple[str, int]]) -> bool:
    """From here on this process reaches only these places, each with these rights, and what is
    beneath them. False, and nothing done, where the system has no Landlock."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ABI_VERSION)
    if version < 1:
        return False
    known = (1 << (13 + (version >= 2) + (version >= 3) + (version >= 5))) - 1
    network = BIND_AND_CONNECT if version >= 4 else 0
    scoped = SOCKETS_AND_SIGNALS if version >= 6 else 0
    handled = struct.pack("=QQQ", known, network, scoped)
    ruleset = libc.syscall(CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        return False
    try:
        for path, rights in rules:
            with contextlib.suppress(OSError):  # a place that this system does not have
                add_rule(libc, ruleset, path, rights & known)
        libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        return libc.syscall(RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def add_rule(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    """Allow `rights` beneath `path`; OSError if there is no such place."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights = rights if os.path.isdir(path) else rights & OF_A_FILE
        rule = struct.pack("=Qi", rights, place)
        if libc.syscall(ADD_RULE, ruleset, BENEATH, rule, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    finally:
        os.close(place)


# -- seccomp ---------------------------------------------------------------------------------------

# System calls that are refused: their numbers on x86-64 and on ARM64; None: it has none of this
# name.
REFUSED = {
    # new programs and processes (clone is looked at more closely: threads are allowed)
    **{"fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281)},
    # other processes
    **{"kill": (62, 129), "tkill": (200, 130), "pidfd_open": (434, 434)},
    **{"pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138), "ptrace": (101, 117)},
    **{"rt_tgsigqueueinfo": (297, 240), "process_vm_readv": (310, 270)},
    **{"process_vm_writev": (311, 271), "setpriority": (141, 140)},
    **{"sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119)},
    **{"sched_setparam": (142, 118), "sched_setattr": (314, 274)},
    # the network, and a way around this filter
    **{"socket": (41, 198), "socketpair": (53, 199), "io_uring_setup": (425, 425)},
    # files: what Landlock leaves out
    **{"mknod": (133, None), "mknodat": (259, 33), "chmod": (90, None), "fchmod": (91, 52)},
    **{"fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None), "lchown": (94, None)},
    **{"fchown": (93, 55), "fchownat": (260, 54), "utime": (132, None), "utimes": (235, None)},
    **{"futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5)},
    **{"lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14)},
    **{"lremovexattr": (198, 15), "fremovexattr": (199, 16), "setxattrat": (463, 463)},
    # the machine
    **{"mount": (165, 40), "umount2": (166, 39), "chroot": (161, 51), "unshare": (272, 97)},
    **{"setns": (308, 268), "bpf": (321, 280), "reboot": (169, 142), "keyctl": (250, 219)},
}
PROCESSORS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, kernel's name
CLONE, CLONE3 = (56, 220), 435
THREAD = 0x10000  # the flag of clone that asks for a thread
FOREIGN = 0x40000000  # numbers from here on are those of another calling convention (x32)

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # where these stand in what the filter looks at
ALLOW, ERROR = 0x7FFF0000, 0x00050000

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, operand


def program(processor: str) -> list[Instruction]:
    """The filter for a processor. A jump counts the instructions that are passed over."""
    column, name = PROCESSORS[processor]
    refuse = (RETURN, 0, 0, ERROR | errno.EPERM)
    lines = [(LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, name), refuse, (LOAD, 0, 0, NUMBER)]
    lines += [(AT_LEAST, 0, 1, FOREIGN), refuse]
    lines += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, ERROR | errno.ENOSYS)]  # so clone is asked
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            lines += [(EQUAL, 0, 1, number), refuse]
    lines += [(EQUAL, 0, 3, CLONE[column]), (LOAD, 0, 0, FIRST_ARGUMENT)]
    return [*lines, (ANY_BIT, 1, 0, THREAD), refuse, (RETURN, 0, 0, ALLOW)]


def seccomp() -> bool:
    """From here on the calls above are refused. False, and nothing done, where that cannot be."""
    if platform.machine() not in PROCESSORS or sys.maxsize < 2**32:
        return False
    lines = program(platform.machine())
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    whole = struct.pack("@HP", len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return libc.prctl(SET_SECCOMP, FILTER, whole, 0, 0) == 0


def close_doors(rules: Iterable[tuple[str, int]]) -> list[str]:
    """Both of them. Returns what this system lacks."""
    if sys.platform != "linux":
        return ["rules of the kernel (Linux has them)"]
    lacking = [] if landlock(rules) else ["Landlock"]
    return lacking if seccomp() else [*lacking, "seccomp"]
