"""Pools of right answers: what rejection sampling keeps of a model's samples, for distillation and
fine-tuning.

A pool is a file, traces.jsonl. Its first line counts what became of all samples; each further line
is one that was kept, as text and as the very ids that were sampled.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minilrm import devices
from minilrm.batches import Example
from minilrm.errors import UserError
from minilrm.files import read_jsonl, write_bytes_atomic
from minilrm.progress import Interrupt, Progress
from minilrm.rewards import formatted
from minilrm.rollout import Episode
from minilrm.tasks import Problem, Task
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import Tokenizer

PROMPTS_AT_ONCE = 128  # Ctrl-C is heard, and the bar moves, when so many have been answered
NOTHING = {"sampled": 0, "kept": 0, "tokens": 0, "seconds": 0.0}

Ask = Callable[[Sequence[Problem], int], list[Episode]]


@dataclass
class Pool:
    """Right answers to learn from, and what became of all samples that were drawn for them."""

    examples: list[Example] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=lambda: dict(NOTHING))


def keep_right(episodes: Sequence[Episode], seen: set) -> tuple[list[Episode], Counter]:
    """The samples worth learning from, and what became of all: right ones that end as they should,
    each once (`seen` grows)."""
    kept, tokens = [], sum(e.length for e in episodes)
    counts = Counter(sampled=len(episodes), kept=0, wrong=0, untidy=0, duplicates=0, tokens=tokens)
    for e, tidy in zip(episodes, formatted(episodes), strict=True):
        name = (tuple(e.prompt_ids), e.text)
        if not e.grade.correct:
            fate = "wrong"
        elif not tidy:  # right, but it went on behind its answer, or was cut off
            fate = "untidy"
        else:
            fate = "duplicates" if name in seen else "kept"
        counts[fate] += 1
        if fate == "kept":
            seen.add(name)
            kept.append(e)
    return kept, counts


def write_pool(
    path: Path,
    task: Task,
    tokenizer: Tokenizer,
    ask: Ask,
    fits: Callable[[Problem], bool],
    seed: int,
    prompts: int,
    interrupt: Interrupt,
) -> dict[str, Any] | None:
    """Have so many training problems answered by `ask(problems, number)` and keep the right answers
    in a file. Returns what became of all; None, and no file, after Ctrl-C. Several processes ask
    for a share of the problems each, and process 0 writes the file."""
    started = time.perf_counter()
    seen: set = set()
    records: dict[tuple[str, str], dict[str, Any]] = {}  # each answer once, whoever was asked
    counts: Counter = Counter()
    with Progress(prompts, label="traces") as bar:
        for first in range(0, prompts, PROMPTS_AT_ONCE):
            numbers = range(first, min(first + PROMPTS_AT_ONCE, prompts))
            problems = draw_problems(task, fits, seed, devices.share(numbers), "traces")
            kept, found = keep_right(ask(problems, first), seen)
            own = [as_record(tokenizer, e) for e in kept]
            for part, its_counts in devices.gathered([own, dict(found)]):
                counts.update(its_counts)
                for record in part:
                    name = record["prompt"], record["completion"]
                    twice = name in records
                    counts.update(kept=-twice, duplicates=twice)
                    records.setdefault(name, record)
            bar.update(len(numbers), kept=f"{len(records)} of {counts['sampled']}")
            if devices.anywhere(interrupt.requested):
                return None
    if not records:
        raise UserError(
            f"none of the teacher's {counts['sampled']} answers is right and well-formed: nothing "
            "to learn; choose another --teacher, or --way on-policy --lmbda 1"
        )
    head = {"task": task.name, **counts, "seconds": time.perf_counter() - started}
    lines = (json.dumps(record) + "\n" for record in (head, *records.values()))
    if devices.rank() == 0:
        write_bytes_atomic(path, "".join(lines).encode())
    devices.anywhere(False)  # the file is there before anybody reads it
    return head


def as_record(tokenizer: Tokenizer, episode: Episode) -> dict[str, Any]:
    record = {
        "key": episode.problem.key,
        "prompt": tokenizer.decode(episode.prompt_ids),
        "completion": episode.text,
        "completion_ids": episode.completion_ids,
        # The text of a chat would not be read back as these ids: no text makes a special token.
        **({"prompt_ids": episode.prompt_ids} if tokenizer.chats else {}),
    }
    # Where a tool has inserted something: nobody learns to write that himself.
    return record if all(episode.mask) else record | {"mask": episode.mask}


def read_pool(path: Path, task: Task, tokenizer: Tokenizer) -> Pool:
    """The pool in a file. UserError if it is none, or of another task or tokenizer."""
    try:
        counts, *records = read_jsonl(path)
        if counts.get("task", task.name) != task.name:
            raise ValueError(f"they are of the task {counts['task']}")
        examples = [as_example(task, tokenizer, r) for r in records if says_its_text(tokenizer, r)]
        if not len(records) == len(examples) > 0:
            raise ValueError("the ids of a completion are not its text, or there is none")
        return Pool(examples, {name: counts[name] for name in NOTHING} | counts)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(
            f"{path} holds no traces to learn from ({error!r}); without it, they are made anew"
        ) from error


def mask_of(record: dict[str, Any]) -> list[int]:
    """1 on the tokens of a record that were sampled, 0 on those that a tool inserted."""
    return record.get("mask") or [1] * len(record["completion_ids"])


def says_its_text(tokenizer: Tokenizer, record: dict[str, Any]) -> bool:
    """Whether the sampled ids of a record are its text."""
    ids = record["completion_ids"]
    sampled = [i for i, chosen in zip(ids, mask_of(record), strict=True) if chosen]
    return tokenizer.decode(sampled[:-1]) == record["completion"]


def as_example(task: Task, tokenizer: Tokenizer, record: dict[str, Any]) -> Example:
    prompt = record.get("prompt_ids") or task.encode(tokenizer, record["prompt"])
    return Example(prompt, record["completion_ids"], mask_of(record))


def walk(size: int, seed: int, first: int, count: int) -> list[int]:
    """Steps `first` to `first + count - 1` of an endless walk through `size` places: each round in
    a new order."""
    rounds = range(first // size, (first + count - 1) // size + 1)
    order = np.concatenate([np.random.default_rng((seed, n)).permutation(size) for n in rounds])
    return order[first % size :][:count].tolist()


def draw_problems(
    task: Task,
    fits: Callable[[Problem], bool],
    seed: int,
    numbers: Sequence[int],
    what: str,
) -> list[Problem]:
    """Problems of the training split, each by its number alone. One too long for the context gives
    way to another."""
    found: list[Problem] = []
    for i in numbers:
        for again in range(100):
            rng = problem_rng(seed, i, f"{task.name}/distill-{what}/{again}")
            problem = task.sample(rng, "train")
            if fits(problem):
                found.append(problem)
                break
        else:
            raise UserError(
                f"hardly any problem of {task.name} fits into the context of teacher and student; "
                "choose others"
            )
    return found
