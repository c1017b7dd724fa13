"""Other processes that decode a share of the work each, on a core of their own.

Decoding multiplies small matrices thousands of times, and two threads on such a product are hardly
faster than one; two processes with a thread each are. `serve.py` is the other side: a Python
process that is sent weights, tokenizer and prompts over a pipe and sends completions back.

How a job is cut into shares depends on its size and on the number of processes asked for alone,
and each share is decoded on one thread. So a share comes out the same, bit for bit, whichever
process decodes it: one that is not ready yet, or that has died, costs time and nothing else.

A message is a line of JSON, which may say that so many bytes of weights (safetensors) follow.
Nothing here can run code that comes over the pipe.
"""

import contextlib
import functools
import itertools
import json
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from minilrm import machine
from minilrm.sampler.decoding import Completion, Sampling, decode
from minilrm.sampler.engine import Engine
from minilrm.sampler.hooks import Hooks
from minilrm.tokenizer import Tokenizer

Answer = dict[str, Any]  # {"completions": [[a Completion's fields]], "peak_mb": float}


@functools.cache
def pool(count: int, owner: int) -> "Workers":
    return Workers(count)


def beside_this(device: torch.device, most: int | None = None) -> "Workers | None":
    """The decoding processes of this session: one for each of torch's threads but one, as far as
    there are cores (`most`: count no more threads than this). None on a GPU, or where that is none.

    They are the same at each call, start with the first work, and end with this process.
    """
    threads = min(torch.get_num_threads(), machine.available_cores())
    threads = threads if most is None else min(threads, most)
    # By process: a fork of this one must not talk to its parent's.
    return pool(threads - 1, os.getpid()) if device.type == "cpu" and threads > 1 else None


@dataclass(frozen=True)
class Share:
    """A part of a job: some of its prompts, and of the completions of each those with these
    numbers."""

    prompts: range
    numbers: range


def shares_of(prompts: int, n: int, parts: int) -> list[Share]:
    """A job of `n` completions for each prompt in at most `parts` shares, cut between prompts where
    there are enough of them, so that each is read once.

    >>> [share.prompts for share in shares_of(5, 8, 2)]
    [range(0, 3), range(3, 5)]
    >>> [share.numbers for share in shares_of(1, 64, 2)]
    [range(0, 32), range(32, 64)]
    """
    if prompts >= parts:
        return [Share(part, range(n)) for part in nearly_equal(prompts, parts)]
    return [Share(range(prompts), part) for part in nearly_equal(n, min(n, parts))]


def nearly_equal(count: int, parts: int) -> list[range]:
    """range(count), cut.

    >>> nearly_equal(5, 2)
    [range(0, 3), range(3, 5)]
    """
    ends = [-(-count * i // parts) for i in range(parts + 1)]
    return [range(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


class Workers:
    """`count` processes beside this one. They start with the first work, or with `start`, and end
    with this object or with this process.

    >>> workers = Workers(1)
    >>> groups = generate(model, tokenizer, prompts, n=64, max_new_tokens=8, workers=workers)
    """

    def __init__(self, count: int):
        self.count = count
        self.processes: list[DecodingProcess] | None = None  # None: not started
        self.peaks_mb: list[float] = []  # of the processes that took part in the last job
        self.one_job = threading.Lock()  # each sets and restores torch's number of threads

    def start(self, wait: bool = False) -> None:
        """Start them now, so that they have imported torch by the time that they are needed. wait:
        until then."""
        if self.processes is None:
            self.processes = []
            weakref.finalize(self, stop, self.processes)
            # Where no more processes or threads are allowed, those that there are will do.
            with contextlib.suppress(OSError, RuntimeError):
                for _ in range(self.count):
                    self.processes.append(DecodingProcess())
        for process in self.processes if wait else ():
            process.ready.wait()

    def decode(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        prompts: Sequence[Sequence[int]],
        how: Sampling,
        places: Sequence[int] | None = None,
    ) -> list[list[Completion]]:
        """As `decoding.decode`: the first share here, on one thread, the others in the processes.

        A share that its process has not begun when ours is done is decoded here, too.
        """
        with self.one_job:
            self.start()
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                places = range(len(prompts)) if places is None else places
                return self.share_out(engine, tokenizer, prompts, how, places)
            except BaseException:
                # Ctrl-C, too: an answer left in the pipe would be taken for that to the next job.
                stop(self.processes or [])
                self.processes = None
                raise
            finally:
                torch.set_num_threads(threads)

    def share_out(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        prompts: Sequence[Sequence[int]],
        how: Sampling,
        places: Sequence[int],
    ) -> list[list[Completion]]:
        assert self.processes is not None
        shares = shares_of(len(prompts), how.n, self.count + 1)
        fields, weights = common_fields(engine, tokenizer, how)
        requests = [
            process.send(fields | fields_of(share, prompts, places), weights)
            for process, share in zip(self.processes, shares[1:], strict=False)
        ]
        results: list[list[Completion]] = [[] for _ in prompts]
        answers: list[Answer] = []
        for share, request in itertools.zip_longest(shares, [None, *requests]):
            answer = None if request is None or request.cancel() else request.result()
            if answer is None:
                hooks, here = Hooks(tokenizer, how.stop), slice(*bounds(share.prompts))
                groups = decode(
                    engine, tokenizer, prompts[here], how, hooks,
                    places=places[here], numbers=share.numbers,
                )  # fmt: skip
            else:
                answers.append(answer)
                groups = [[Completion(*c) for c in group] for group in answer["completions"]]
            for prompt, group in zip(share.prompts, groups, strict=True):
                results[prompt] += group
        self.peaks_mb = [answer["peak_mb"] for answer in answers]
        self.drop_ended()
        return results

    def drop_ended(self) -> None:
        """Go on without the processes that have ended."""
        assert self.processes is not None
        ended = [process for process in self.processes if process.ended]
        if ended:
            print(
                f"{len(ended)} of {len(self.processes)} decoding processes ended; going on without",
                file=sys.stderr,
                flush=True,
            )
            stop(ended)
            self.processes[:] = [process for process in self.processes if not process.ended]


def common_fields(
    engine: Engine, tokenizer: Tokenizer, how: Sampling
) -> tuple[dict[str, Any], bytes]:
    """What the messages to all processes have in common: fields of the line, and the weights."""
    weights = safetensors.torch.save(
        {name: p.detach().cpu().contiguous() for name, p in engine.model.state_dict().items()}
    )
    return {
        "config": asdict(engine.model.config),
        "dtype": str(engine.dtype).removeprefix("torch."),
        "tokenizer": json.dumps(tokenizer.to_huggingface()),
        "eos": tokenizer.eos_id,
        "weights": len(weights),
        "how": asdict(how),
    }, weights


def bounds(part: range) -> tuple[int, int]:
    return part.start, part.stop


def fields_of(
    share: Share, prompts: Sequence[Sequence[int]], places: Sequence[int]
) -> dict[str, Any]:
    """What one share's message says besides."""
    return {
        "places": [places[i] for i in share.prompts],
        "numbers": bounds(share.numbers),
        "prompts": [list(map(int, prompts[i])) for i in share.prompts],
    }


class DecodingProcess:
    """One process, and the thread of ours that talks to it.

    The thread waits until the process says that it is ready (it has imported torch), then for the
    answer to one request after another. It is an executor with one thread, but not a
    `ThreadPoolExecutor`, which would make a program that ends wait for that first word.
    """

    def __init__(self) -> None:
        self.owner, self.popen = os.getpid(), start_process()
        self.ready, self.ended = threading.Event(), False
        self.requests: queue.SimpleQueue[tuple[Future[Answer | None], bytes] | None]
        self.requests = queue.SimpleQueue()
        threading.Thread(target=self.talk, daemon=True).start()

    def send(self, fields: dict[str, Any], weights: bytes) -> "Future[Answer | None]":
        """A request, whose result is the answer, or None where the process has ended. It can be
        cancelled until the process begins with it."""
        request: Future[Answer | None] = Future()
        self.requests.put((request, json.dumps(fields).encode() + b"\n" + weights))
        return request

    def talk(self) -> None:
        self.ended = self.receive() is None
        self.ready.set()
        while item := self.requests.get():
            request, message = item
            if request.set_running_or_notify_cancel():
                answer = self.exchange(message)
                self.ended = answer is None
                request.set_result(answer)

    def exchange(self, message: bytes) -> Answer | None:
        assert self.popen.stdin is not None
        try:
            self.popen.stdin.write(message)
            self.popen.stdin.flush()
        except (OSError, ValueError):  # the pipe is broken, or closed by `stop`
            return None
        return self.receive()

    def receive(self) -> Answer | None:
        assert self.popen.stdout is not None
        try:
            return json.loads(self.popen.stdout.readline())
        except (OSError, ValueError):
            return None

    def stop(self) -> None:
        """At once: it holds nothing that could be lost."""
        if os.getpid() != self.owner:  # we are a fork; the process is our parent's
            return
        self.requests.put(None)
        self.popen.kill()
        self.popen.wait()
        for pipe in (self.popen.stdin, self.popen.stdout):
            # What was still to be written went to one that is gone.
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()


def stop(processes: Sequence[DecodingProcess]) -> None:
    for process in processes:
        process.stop()


def start_process() -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parent.parent.parent)  # this very package, installed or not
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    # A session of its own (Windows: a group, and no window): Ctrl-C in the terminal is for this
    # process, which decides what becomes of the others.
    group = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return subprocess.Popen(
        [sys.executable, "-m", "minilrm.sampler.serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        creationflags=group | getattr(subprocess, "CREATE_NO_WINDOW", 0),
        env={**os.environ, "PYTHONPATH": paths, **threads},
    )
