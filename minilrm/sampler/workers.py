"""Other processes that decode a share of the prompts each, on a core of their own.

Decoding multiplies small matrices thousands of times, and two threads on such a product are hardly
faster than one; two processes with a thread each are. A worker is a Python process of its own that
is sent weights, tokenizer and prompts over a pipe and sends completions back. Each row owns its
random numbers, so who decodes it makes no difference but that of rounding.

A message is a line of JSON, which may say that so many bytes of weights (safetensors) follow.
Nothing here can run code that comes over the pipe.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch

from minilrm import machine
from minilrm.model import ModelConfig, Transformer
from minilrm.sampler import Completion, Hooks, Sampling, decode
from minilrm.tokenizer import Tokenizer, from_huggingface


class Workers:
    """`count` processes beside this one. They start with the first work, or with `start`, and end
    with this object.

    >>> workers = Workers(1)
    >>> generate(model, tokenizer, prompts, n=8, max_new_tokens=64, workers=workers)
    """

    def __init__(self, count: int):
        self.count, self.processes, self.peaks_mb = count, None, []

    def start(self) -> None:
        """Start them now, so that they have imported torch by the time that they are needed."""
        if self.processes is None:
            self.processes = [start_process() for _ in range(self.count)]
            weakref.finalize(self, stop_processes, self.processes)

    def decode(
        self,
        model: Transformer,
        tokenizer: Tokenizer,
        prompts: Sequence[Sequence[int]],
        how: Sampling,
    ) -> list[list[Completion]]:
        """As `sampler.decode`: the first share here, on one thread, the others in the workers."""
        self.start()
        if how.seed is None:
            how = replace(how, seed=torch.Generator().seed())
        shares = contiguous_shares(len(prompts), len(self.processes) + 1)
        weights = safetensors.torch.save(
            {name: p.detach().cpu().contiguous() for name, p in model.state_dict().items()}
        )
        header = {
            "config": asdict(model.config),
            "tokenizer": tokenizer.to_huggingface(),
            "eos": tokenizer.eos_id,
            "weights": len(weights),
            "how": asdict(how) | {"dtype": str(how.dtype).removeprefix("torch.")},
        }
        hooks, threads = Hooks(tokenizer, how.stop), torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            sent = [
                send(
                    process,
                    header
                    | {
                        "first": share.start,
                        "prompts": [list(map(int, p)) for p in prompts[share]],
                    },
                    weights,
                )
                for process, share in zip(self.processes, shares[1:], strict=True)
            ]
            results = decode(model, tokenizer, prompts[shares[0]], how, hooks)
            answers = [
                receive(process) if went else None
                for process, went in zip(self.processes, sent, strict=True)
            ]
            for share, answer in zip(shares[1:], answers, strict=True):
                if (
                    answer is None
                ):  # it has died: its share is done here, and nothing is lost but time
                    results += decode(
                        model, tokenizer, prompts[share], how, hooks, first=share.start
                    )
                else:
                    results += [
                        [Completion(*fields) for fields in group] for group in answer["completions"]
                    ]
        except (
            BaseException
        ):  # Ctrl-C, too: an answer left in the pipe would be taken for that to the next job
            stop_processes(self.processes)
            self.processes = None
            raise
        finally:
            torch.set_num_threads(threads)
        self.peaks_mb = [answer["peak_mb"] for answer in answers if answer]
        if None in answers:
            self.drop(
                [p for p, answer in zip(self.processes, answers, strict=True) if answer is None]
            )
        return results

    def drop(self, dead: list[subprocess.Popen]) -> None:
        """Go on without these."""
        print(
            f"{len(dead)} of {len(self.processes)} decoding processes ended; going on without",
            file=sys.stderr,
            flush=True,
        )
        stop_processes(dead)
        self.processes[:] = [p for p in self.processes if p not in dead]


def beside_this(device: torch.device) -> Workers | None:
    """A worker for each thread but one; None on a GPU, or where there is one thread."""
    return (
        Workers(torch.get_num_threads() - 1)
        if device.type == "cpu" and torch.get_num_threads() > 1
        else None
    )


def contiguous_shares(count: int, parts: int) -> list[slice]:
    """Slices of nearly equal size.

    >>> contiguous_shares(5, 2)
    [slice(0, 3, None), slice(3, 5, None)]
    """
    ends = [-(-count * i // parts) for i in range(parts + 1)]
    return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def start_process() -> subprocess.Popen:
    root = str(Path(__file__).resolve().parent.parent.parent)  # this very package, installed or not
    paths = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    # A session of its own: Ctrl-C in the terminal is for this process, which says what becomes of
    # the others.
    return subprocess.Popen(
        [sys.executable, "-m", "minilrm.sampler.workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )


def stop_processes(processes: Sequence[subprocess.Popen]) -> None:
    """At once: they hold nothing that could be lost."""
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(
                OSError
            ):  # what was still to be written went to one that is gone
                pipe.close()


def send(process: subprocess.Popen, header: dict, weights: bytes) -> bool:
    """Whether it could be sent."""
    try:
        process.stdin.write(json.dumps(header).encode() + b"\n" + weights)
        process.stdin.flush()
    except OSError:
        return False
    return True


def receive(process: subprocess.Popen) -> dict | None:
    """The worker's answer; None if it has died."""
    try:
        return json.loads(process.stdout.readline())
    except (OSError, ValueError):
        return None


# -- the worker's side -----------------------------------------------------------------------------


def serve(jobs: BinaryIO, answers: BinaryIO) -> None:
    """Decode until the pipe is closed."""
    while line := jobs.readline():
        job = json.loads(line)
        weights = safetensors.torch.load(jobs.read(job["weights"]))
        model = Transformer(ModelConfig(**job["config"]))
        model = model.to(next(iter(weights.values())).dtype)
        model.load_state_dict(weights)
        tokenizer = from_huggingface(job["tokenizer"])
        tokenizer.eos_id = job["eos"]
        how = Sampling(
            **job["how"]
            | {"dtype": getattr(torch, job["how"]["dtype"]), "stop": tuple(job["how"]["stop"])}
        )
        groups = decode(
            model.eval(),
            tokenizer,
            job["prompts"],
            how,
            Hooks(tokenizer, how.stop),
            first=job["first"],
        )
        answer = {
            "completions": [[list(vars(c).values()) for c in group] for group in groups],
            "peak_mb": machine.peak_memory_mb(),
        }
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def main() -> None:
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # where there are no sessions (Windows), Ctrl-C comes here as well
    machine.raise_malloc_thresholds()
    machine.set_threads(1)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # nothing else may get between the answers
    try:
        serve(sys.stdin.buffer, answers)
    except BrokenPipeError:  # nobody is left to hear the answer
        os._exit(0)


if __name__ == "__main__":
    main()
