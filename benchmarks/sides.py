"""One side of a comparison: a process of its own that waits for jobs and answers them."""

import contextlib
import multiprocessing
import os
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from minilrm import machine
from minilrm.errors import UserError

# Peers never look for a network, never draw progress bars.
QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "PYTHONWARNINGS": "ignore::FutureWarning",
}


class Link:
    """The working process's end: it takes jobs and gives answers until there are no more jobs."""

    def __init__(self, pipe):
        self.pipe, self.start_mb = pipe, None

    def next(self) -> dict:
        """Wait for the next job. The time before the first one is set-up and is not measured."""
        self.start_mb = self.start_mb or resident_mb()
        job = self.pipe.recv()
        if job is None:
            raise SystemExit
        return job

    def answer(self, **result) -> None:
        """Answer the job; what the process holds is told with it, and what its own helpers hold
        (`helpers_mb`)."""
        peak = machine.peak_memory_mb()
        self.pipe.send(
            result
            | {
                "peak_mb": peak and peak + sum(result.get("helpers_mb", ())),
                "start_mb": self.start_mb,
            }
        )


class Worker:
    """The measuring process's end: a process of its own in which `function(link, **settings)` runs.

    Call it with a job and get the answer; use it in a `with` block, which ends the process.
    memory: whether it has minilrm's memory settings.
    """

    def __init__(self, function: Callable, *, threads: int, memory: bool = True, **settings):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, function, threads, memory, settings), daemon=True
        )
        with environment(
            {
                **QUIET,
                "RAYON_NUM_THREADS": str(threads),
                "OMP_NUM_THREADS": str(threads),
                "THP_MEM_ALLOC_ENABLE": "1" if memory else "0",
            }
        ):
            self.process.start()
        theirs.close()

    def __call__(self, **job) -> dict:
        try:
            self.pipe.send(job)
            answer = self.pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self.process.join()
            raise RuntimeError(
                f"the process of one side ended with exit code {self.process.exitcode} (a negative "
                "one is a signal; -9 often means that memory ran out)"
            ) from None
        if "user_error" in answer:
            raise UserError(answer["user_error"])
        if "error" in answer:
            raise RuntimeError(f"one side failed:\n{answer['error']}")
        return answer

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self.pipe.send(None)
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


@contextlib.contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables that a process started here inherits."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def serve(pipe, function: Callable, threads: int, memory: bool, settings: dict) -> None:
    """What the process does: set up, work, and tell of every failure."""
    machine.set_threads(threads)
    if memory:
        machine.raise_malloc_thresholds()
    try:
        function(Link(pipe), **settings)
    except (
        SystemExit,
        KeyboardInterrupt,
        EOFError,
    ):  # no more jobs, or the measuring process is gone
        pass
    except UserError as error:
        pipe.send({"user_error": str(error)})
    except BaseException:
        pipe.send({"error": traceback.format_exc()})


def resident_mb() -> float | None:
    """The memory this process holds now; None where the system does not say."""
    try:
        return (
            int(Path("/proc/self/statm").read_text().split()[1])
            * os.sysconf("SC_PAGE_SIZE")
            / 2**20
        )
    except (OSError, ValueError, AttributeError):
        return None
