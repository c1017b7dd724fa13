"""What a submission's process may use, and whose process it is."""

import os
from collections.abc import Iterable
from pathlib import Path

try:
    import resource
except ImportError:  # Windows: the grader's clock is the only limit
    resource = None  # type: ignore[assignment]

USER = 61_000  # a number of a user that no distribution gives to anybody
LARGEST_FILE = 64 * 2**20  # bytes: a library's cache, and no full disk


def limit(memory_mb: int, seconds: int) -> list[str]:
    """Bound memory, processor time and the size of files. Returns what the system refuses to bound;
    one refusal does not keep the others from being set."""
    if resource is None:
        return ["limit on memory"]
    limits = {
        "limit on memory": (resource.RLIMIT_AS, memory_now() + memory_mb * 2**20),
        "limit on processor time": (resource.RLIMIT_CPU, seconds),
        "limit on the size of files": (resource.RLIMIT_FSIZE, LARGEST_FILE),
        "ban on core files": (resource.RLIMIT_CORE, 0),
    }
    refused = []
    for name, (which, amount) in limits.items():
        try:
            resource.setrlimit(which, (amount, amount))
        except (OSError, ValueError):
            refused.append(name)
    return refused


def memory_now() -> int:
    """Bytes of address space that this process has, where the system says so (Linux), else 0."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()


def become(user: int, own: Iterable[str], needed: Iterable[str]) -> bool:
    """Go on as another user, who owns nothing but the folders `own`. Possible for root alone, and
    only if that user may read the folders that are `needed` (Python's); False if not."""
    if not hasattr(os, "seteuid") or os.geteuid() != 0:
        return False
    try:
        os.setgroups([])
        os.setegid(user)
        os.seteuid(user)
        readable = all(map(may_list, needed))
        os.seteuid(0)
        os.setegid(0)
        if readable:
            for folder in own:
                os.chown(folder, user, user)
            os.setgid(user)
            os.setuid(user)
        return readable
    except OSError:  # a container that has no such user
        return False


def may_list(folder: str) -> bool:
    """True if this process can read a folder."""
    try:
        os.listdir(folder)
    except OSError:
        return False
    return True
