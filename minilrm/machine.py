"""What we run on: memory, threads, precision, seeds, and the folder of shipped data.

Everything is harmless where it does not apply: on another system than Linux a setting is skipped, a
figure is None.
"""

import contextlib
import ctypes
import functools
import os
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from minilrm.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

# glibc's <malloc.h>
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4
ONE_GIB = 1 << 30  # mallopt takes a C int: below 2**31

DEVICES = ("auto", "cpu", "cuda", "mps")
MOST_THREADS = 4  # the small matrices of small models gain nothing from more


# -- memory ----------------------------------------------------------------------------------------


def raise_malloc_thresholds() -> bool:
    """Let glibc keep the memory of freed tensors for the next step. True if it was done.

    By default, malloc takes big buffers fresh from the kernel (mmap) and gives them back at once,
    so each training step pays for the same page faults again: on two busy cores we measured 2.9k
    tokens per second so, and 19k without. Linux with glibc only.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library than glibc
        return False
    kept = mallopt(M_TRIM_THRESHOLD, ONE_GIB)
    # Some versions of glibc refuse a threshold above 32 MiB; there, allow no buffer of its own
    # mapping at all.
    mapped = mallopt(M_MMAP_THRESHOLD, ONE_GIB) or mallopt(M_MMAP_MAX, 0)
    return bool(kept and mapped)


def peak_memory_mb() -> float | None:
    """The most memory this process has held so far, in MB; None where the system does not say."""
    try:  # Linux: getrusage would count the parent process as well, from before we were started
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(
            int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")
        )
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, others kilobytes
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def memory_gb() -> float | None:
    """The machine's memory in GB; None where the system does not say."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):  # Windows; a system without these names
        return None


# -- device, threads, precision --------------------------------------------------------------------


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" (a CUDA GPU if there is one, else the CPU), "cpu", "cuda" or "mps", Apple's GPU."""
    if name not in DEVICES:
        raise UserError(f"there is no device {name!r}; choose {', '.join(DEVICES)}")
    if name == "mps" and not torch.backends.mps.is_available():
        raise UserError(
            "Apple's GPU cannot be used here (torch.backends.mps.is_available() is False); choose "
            "auto or cpu"
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "no CUDA GPU can be used here (torch.cuda.is_available() is False); choose auto or cpu"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def cores_of_quota(folder: Path = Path("/sys/fs/cgroup")) -> float | None:
    """How many cores' time a container may use (Linux control groups, version 2); None if there is
    no limit."""
    try:
        quota, period = (folder / "cpu.max").read_text(encoding="utf-8").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # not Linux, no container, or "max 100000"
        return None


def available_cores() -> int:
    """The cores this process may use, which can be fewer than the machine has. At least 1."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    quota = cores_of_quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


def default_threads() -> int:
    """OMP_NUM_THREADS if it is set, else the available cores, but no more than pay.

    More threads than free cores are not merely useless: each waits, spinning, for the one that has
    no core.
    """
    wish = os.environ.get("OMP_NUM_THREADS", "")
    return int(wish) if wish.isdecimal() and int(wish) > 0 else min(available_cores(), MOST_THREADS)


def set_threads(n: int | None = None) -> int:
    """Set how many threads torch computes with (None: `default_threads()`), and return it.

    Sums are split among the threads, so the same seed gives the same weights bit for bit only on
    the same number.
    """
    if n is not None and n < 1:
        raise UserError(f"the number of threads must be at least 1, not {n}")
    threads = default_threads() if n is None else n
    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # can be set once only, before the first parallel work
        torch.set_num_interop_threads(1)
    return threads


def together(device: torch.device) -> int:
    """How many pieces `side_by_side` works on at a time."""
    return torch.get_num_threads() if device.type == "cpu" else 1


def side_by_side(
    function: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Iterator[Result]:
    """function(item) for each item, in order; on a CPU as many at a time as there are threads, each
    on one core.

    For work that falls into independent pieces, such as micro-batches. One thread a piece beats all
    threads on one piece after another: small matrices gain little from a second core, and threads
    that share a piece wait for each other whenever another program takes one of the cores. Torch
    lets go of Python's lock while it computes.

    >>> list(side_by_side(lambda x: x * x, [1, 2, 3], torch.device("cpu")))
    [1, 4, 9]
    """
    if together(device) == 1:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(together(device), initializer=work_alone) as pool:
        yield from pool.map(function, items)


def work_alone() -> None:
    """Make the calling thread compute by itself.

    All threads share one cache of the weights that autocast has cast, and whoever leaves autocast
    clears it for the others. A weight that a piece uses twice (for the prompts, then for the
    completions) was then cast once or twice as it happened, its gradient summed in bfloat16 or in
    float32, and the same seed gave other weights each time.
    """
    torch.set_num_threads(1)
    torch.set_autocast_cache_enabled(False)


def cpu_flags(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, in Linux's words; empty elsewhere."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(
        next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    )


@functools.cache
def bfloat16_pays(device: torch.device) -> bool:
    """True where the hardware multiplies bfloat16 itself, so that it is faster and not just
    shorter. On Apple's GPU, where nobody has measured it, all is float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and not cpu_flags().isdisjoint({"avx512_bf16", "amx_bf16"})


def autocast(device: torch.device) -> AbstractContextManager:
    """A context in which matrix products run in bfloat16 where that pays; elsewhere it changes
    nothing."""
    if bfloat16_pays(device):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def seed_everything(seed: int) -> None:
    """Seed the three global random generators: Python's, NumPy's and torch's (with its GPUs')."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # NumPy takes 32 bits
    torch.manual_seed(seed)


# -- words for figures -----------------------------------------------------------------------------


def processor_name(file: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as its maker writes it, or the nearest to it that the system knows."""
    with contextlib.suppress(OSError):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if sys.platform == "darwin":
            words = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine() or "unknown"


def describe(device: str | torch.device = "auto") -> dict[str, Any]:
    """The machine in a few words, JSON-able: a time in a figure says on what it was measured."""
    device = choose_device(device) if isinstance(device, str) else device
    return {
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": processor_name(),
        "cores": available_cores(),
        "memory_gb": memory_gb(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
    }


# -- shipped data ----------------------------------------------------------------------------------


def data_folder() -> Path:
    """The folder of shipped data: MINILRM_DATA if it is set; else `data/` within the package, where
    a wheel has it, or beside the package, where a clone has it. Never the working one."""
    named, package = os.environ.get("MINILRM_DATA"), Path(__file__).resolve().parent
    inside, beside = package / "data", package.parent / "data"
    folder = Path(named) if named else inside if inside.is_dir() else beside
    if folder.is_dir():
        return folder
    if named:
        raise UserError(
            f"MINILRM_DATA names {folder}, which is no folder; unset it, or set it to the clone's "
            "data/"
        )
    raise UserError(
        f"the shipped data is not at {folder}; install minilrm anew, from a clone with `pip "
        "install -e .` or from a wheel, or set MINILRM_DATA to a clone's data/"
    )
