"""A decoding process: `python -m minilrm.sampler.serve`, started and spoken to by `workers.py`.

It says hello once it is ready, then answers one job after another. It ends as soon as the pipe
from its parent does, whatever it is doing and however the parent ended, without a word: nobody is
left to read one.
"""

import functools
import json
import os
import queue
import signal
import sys
import threading
import traceback
from typing import Any, BinaryIO

import safetensors.torch
import torch

from minilrm import machine
from minilrm.model import ModelConfig, Transformer
from minilrm.sampler.decoding import Sampling, decode
from minilrm.sampler.engine import Engine
from minilrm.sampler.hooks import Hooks
from minilrm.tokenizer import Tokenizer, from_huggingface

Job = tuple[dict[str, Any], bytes]  # the fields of its line, and the weights


def read_job(pipe: BinaryIO) -> Job | None:
    """The next job; None if the pipe has ended, be it in the middle of one."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        return None
    header = json.loads(line)
    weights = pipe.read(header["weights"])
    return (header, weights) if len(weights) == header["weights"] else None


def answer(job: Job) -> dict[str, Any]:
    """Decode a share."""
    header, weights = job
    tokenizer = tokenizer_of(header["tokenizer"], header["eos"])
    model = model_of(ModelConfig(**header["config"]), weights)
    engine = Engine(model, getattr(torch, header["dtype"]))
    how = Sampling(**header["how"] | {"stop": tuple(header["how"]["stop"])})
    hooks, numbers = Hooks(tokenizer, how.stop), range(*header["numbers"])
    places = header["places"]
    groups = decode(
        engine, tokenizer, header["prompts"], how, hooks, places=places, numbers=numbers
    )
    return {
        "completions": [[list(vars(c).values()) for c in group] for group in groups],
        "peak_mb": machine.peak_memory_mb(),
    }


@functools.lru_cache(maxsize=1)  # the same for a whole run, and slow to build
def tokenizer_of(text: str, eos: int) -> Tokenizer:
    tokenizer = from_huggingface(json.loads(text))
    tokenizer.eos_id = eos
    return tokenizer


def model_of(config: ModelConfig, weights: bytes) -> Transformer:
    """The model with these weights; no time is spent on drawing random ones first."""
    tensors = safetensors.torch.load(weights)
    with torch.device("meta"):
        model = Transformer(config)
    model = model.to_empty(device="cpu").to(next(iter(tensors.values())).dtype)
    model.load_state_dict(tensors)
    return model.eval()


def listen(pipe: BinaryIO, jobs: "queue.SimpleQueue[Job]") -> None:
    while job := read_job(pipe):
        jobs.put(job)
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    machine.raise_malloc_thresholds()
    machine.set_threads(1)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # nothing else may get between the answers
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=listen, args=(sys.stdin.buffer, jobs), daemon=True).start()
    said: dict[str, Any] = {"ready": True}
    while True:
        try:
            answers.write(json.dumps(said).encode() + b"\n")
            answers.flush()
        except OSError:  # the parent has ended
            os._exit(0)
        try:
            said = answer(jobs.get())
        # the parent does this share itself, and meets the same error if it is one
        except Exception:
            traceback.print_exc()
            os._exit(1)


if __name__ == "__main__":
    main()
