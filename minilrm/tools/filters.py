"""Two more walls of the jail, which a process builds around itself and can never take down:
a filter of its system calls (seccomp), and rules for its files (Landlock).

Both need no right, only `no_new_privs`. `jail.py` imports this file and nothing else of ours, so it
imports nothing of ours either. All is ctypes: the kernel's structures stand here byte by byte.

The filter is a program for the kernel's classic BPF machine. It reads the number of a call and, of
a few calls, an argument, and says what becomes of it: allowed, an error, or the end of the process.
It names what a Python program needs not, so a call that a later kernel adds is allowed: the filter
makes the kernel smaller for an attacker, and the other walls stand without it.

Sources: the kernel's seccomp_filter.rst and landlock.rst; uapi/linux/seccomp.h, landlock.h.
"""

import ctypes
import errno
import os
import platform
import struct

libc = ctypes.CDLL(None, use_errno=True)

# -- which calls -----------------------------------------------------------------------------------

# name -> its number on x86_64 and on aarch64 (None: not there)
Numbers = dict[str, tuple["int | None", "int | None"]]

#: no program makes these by accident: the process is killed
KILLED: Numbers = {
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "create_module": (174, None),
    "query_module": (178, None), "bpf": (321, 280), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "reboot": (169, 142), "iopl": (172, None),
    "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "open_by_handle_at": (304, 265), "kcmp": (312, 272),
}  # fmt: skip

#: these fail as if a right were missing (EPERM). For some it is missing already (mounts, the
#: clock); for others none is needed (a user namespace, io_uring, System V's memory and that of
#: memfd, which no limit of a process counts).
REFUSED: Numbers = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "unshare": (272, 97), "setns": (308, 268),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "io_setup": (206, 0), "personality": (135, 92), "swapon": (167, 224), "swapoff": (168, 225),
    "acct": (163, 89), "quotactl": (179, 60), "quotactl_fd": (443, 443),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "sethostname": (170, 161), "setdomainname": (171, 162),
    "syslog": (103, 116), "name_to_handle_at": (303, 264), "lookup_dcookie": (212, 18),
    "vhangup": (153, 58), "nfsservctl": (180, 42), "sysfs": (139, None), "ustat": (136, None),
    "fanotify_init": (300, 262), "fanotify_mark": (301, 263), "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "move_pages": (279, 239),
    "migrate_pages": (256, 238), "mbind": (237, 235), "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186),
    "remap_file_pages": (216, 234), "vmsplice": (278, 75), "statmount": (457, 457),
    "listmount": (458, 458), "open_tree_attr": (467, 467),
}  # fmt: skip

CLONE, CLONE3 = (56, 220), (435, 435)
SOCKETS = ((41, 198), (53, 199))  # socket, socketpair
IOCTL = (16, 29)
NAMESPACES = 0x7E020000  # the flags of clone that make a namespace
AF_UNIX = 1
TERMINAL = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX: typing into a terminal, pasting

# -- the BPF program -------------------------------------------------------------------------------

# machine -> its AUDIT_ARCH, its column in the tables
MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
X32 = 0x40000000  # x86_64: from here on, the numbers of another interface

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCH, ARGUMENTS = 0, 4, 16  # where they stand in `struct seccomp_data`
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


def filter_for(machine: str) -> list[Instruction]:
    """The filter for a kind of machine: a list of checks, each of which falls through to the
    next."""
    arch, column = MACHINES[machine]
    code = [(LOAD, 0, 0, ARCH), (EQUAL, 1, 0, arch), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":
        code += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    for calls, action in ((KILLED, KILL), (REFUSED, ERROR | errno.EPERM)):
        for numbers in calls.values():
            number = numbers[column]
            if number is not None:
                code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, action)]
    # What clone3 is asked for lies in memory, where no filter can look. Without it, the C library
    # takes clone.
    code += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, ERROR | errno.ENOSYS)]
    code += if_argument(CLONE[column], 0, (ANY_BIT, 0, 1, NAMESPACES), errno.EPERM)
    for socket in SOCKETS:
        code += if_argument(socket[column], 0, (EQUAL, 1, 0, AF_UNIX), errno.EAFNOSUPPORT)
    for request in TERMINAL:
        code += if_argument(IOCTL[column], 1, (EQUAL, 0, 1, request), errno.EPERM)
    return [*code, (RETURN, 0, 0, ALLOW)]


def if_argument(number: int, place: int, test: Instruction, error: int) -> list[Instruction]:
    """An error for a call where a test of one argument's lower half leads on to the next line."""
    return [
        (EQUAL, 0, 4, number),
        (LOAD, 0, 0, ARGUMENTS + 8 * place),  # little-endian, both machines
        test,
        (RETURN, 0, 0, ERROR | error),
        (LOAD, 0, 0, NUMBER),
    ]


# -- seccomp ---------------------------------------------------------------------------------------

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
SECCOMP, SECCOMP_GET_ACTION_AVAIL = {"x86_64": 317, "aarch64": 277}, 2


class Lines(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_char_p)]


def filter_calls() -> None:
    """Filter the calls of this process and of all that it starts, for ever. OSError where the
    kernel does not."""
    code = filter_for(platform.machine())
    packed = b"".join(struct.pack("=HBBI", *line) for line in code)
    program = Lines(len(code), packed)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def can_filter_calls() -> bool:
    """Whether this kernel knows filters of this kind."""
    if platform.machine() not in MACHINES:
        return False
    action = ctypes.c_uint32(KILL)
    number = SECCOMP[platform.machine()]
    return libc.syscall(number, SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0


# -- Landlock --------------------------------------------------------------------------------------

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every machine
VERSION, PATH_BENEATH = 1, 1

# Rights to files: bit n came with the version of Landlock that is named.
EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
DEVICES = 1 << 6 | 1 << 11  # making a character or a block device
FIRST_RIGHTS = (1 << 13) - 1
LATER_RIGHTS = {2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # moving between folders, truncating, ioctl
TCP = {4: 0b11}  # binding, connecting
SCOPES = {6: 0b11}  # abstract sockets of others, signals to others


def landlock_version() -> int:
    """The version that this kernel has; 0: none, or it is switched off."""
    return max(0, libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION))


def shut_files_in(readable: "list[str]", writable: "list[str]") -> None:
    """This process, and all that it starts, may read and run what lies in the first folders, do
    anything in the second but make devices, and nothing to any other file: it may open no TCP
    connection and signal no process of before. OSError where the kernel does not."""
    version = landlock_version()
    rights, tcp, scopes = (
        first | sum(bits for since, bits in later.items() if since <= version)
        for first, later in ((FIRST_RIGHTS, LATER_RIGHTS), (0, TCP), (0, SCOPES))
    )
    asked = struct.pack("=QQQ", rights, tcp, scopes)[
        : 8 if version < 4 else 16 if version < 6 else 24
    ]
    rules = checked(libc.syscall(CREATE_RULESET, asked, ctypes.c_size_t(len(asked)), 0))
    for folders, allowed in (
        (readable, EXECUTE | READ_FILE | READ_DIR),
        (writable, rights & ~DEVICES),
    ):
        for folder in folders:
            opened = os.open(folder, os.O_PATH | os.O_CLOEXEC)
            rule = struct.pack("=Qi", allowed, opened)
            checked(libc.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0))
            os.close(opened)
    checked(libc.syscall(RESTRICT_SELF, rules, 0))
    os.close(rules)


def checked(outcome: int) -> int:
    if outcome < 0:
        raise OSError(ctypes.get_errno(), "Landlock")
    return outcome
