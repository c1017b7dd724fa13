"""Stages that follow on each other, each of which leaves one artefact: a model, a file of examples,
or any other file.

    OUT/pipeline.json              what was asked for
    OUT/NAME/stage.json            of a finished stage: what it read and made, by hash; its figures
    OUT/NAME/model/, traces.jsonl  what it made

A finished stage is not run again. What it made is checked against its hash before anybody reads
it, so a damaged or exchanged file is found where it lies. A stage that was interrupted goes on: a
run of training resumes from its last checkpoint, samples are drawn anew from the same seeds. Both
end with the artefact that an undisturbed run makes, bit for bit (tests/test_pipeline.py).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm.checkpoint import newest_valid
from minilrm.errors import UserError
from minilrm.files import read_json, write_json_atomic
from minilrm.loop import Result

RECORD, WEIGHTS = "stage.json", "model.safetensors"
# What a record keeps of a run's summary.
KEPT = ("steps", "accuracy_before", "accuracy_after", "tokens_generated", "tokens_trained")

Outcome = tuple[Path, dict[str, Any]] | None  # an artefact and its figures; None after Ctrl-C


@dataclass(frozen=True)
class Stage:
    """name: of its folder. does: in a few words. needs: the stages whose artefacts it reads. work:
    writes its artefact into a folder, where a stage that was interrupted finds what it has left,
    and returns an `Outcome`. share: of the time of all stages, for the time that is left."""

    name: str
    does: str
    needs: tuple[str, ...]
    work: Callable[[Path, Mapping[str, Path]], Outcome]
    share: float = 1.0


@dataclass(frozen=True)
class Done:
    """What a finished stage wrote down. artefact: its place within the stage's folder. inputs: the
    hashes of what it read. resumed: whether it was interrupted on the way; then `seconds` are those
    of its last stretch."""

    artefact: str
    sha256: str
    inputs: dict[str, str]
    seconds: float
    figures: dict[str, Any]
    resumed: bool = False


# -- running ---------------------------------------------------------------------------------------


def run(
    folder: Path,
    stages: Sequence[Stage],
    only: str | None = None,
    start: str | None = None,
    report: Callable[[str], None] = print,
) -> dict[str, Done] | None:
    """Run what is missing, in order; returns all that is done, or None after Ctrl-C.

    only: this stage alone. start: this stage and all behind it are made anew. UserError for an
    unknown stage, a damaged artefact, and one that was made from others than those that are there.
    """
    names = [stage.name for stage in stages]
    for name in (only, start):
        if name is not None and name not in names:
            raise UserError(f"no stage is called {name!r}; there are {', '.join(names)}")
    if start:
        for stage in stages[names.index(start) :]:
            shutil.rmtree(folder / stage.name, ignore_errors=True)
    done: dict[str, Done] = {}
    for stage in stages:
        found = finished(folder, stage.name)
        if found is None and only in (None, stage.name):
            report(table(stages, done, running=stage.name))
            found = carry_out(folder, stage, done)
            if found is None:
                return None
        if found is not None:
            refuse_foreign(stage, found, done)
            done[stage.name] = found
    report(table(stages, done))
    return done


def carry_out(folder: Path, stage: Stage, done: Mapping[str, Done]) -> Done | None:
    """Run one stage, and write down what it read and made."""
    missing = [name for name in stage.needs if name not in done]
    if missing:
        raise UserError(
            f"{stage.name} needs {missing[0]}, which is not finished; leave --only away"
        )
    inputs = {name: folder / name / done[name].artefact for name in stage.needs}
    place, started = folder / stage.name, time.perf_counter()
    resumed = place.is_dir()
    place.mkdir(parents=True, exist_ok=True)
    outcome = stage.work(place, inputs)
    if outcome is None:
        return None
    artefact, figures = outcome
    record: dict[str, Any] = {
        "artefact": artefact.relative_to(place).as_posix(),
        "sha256": fingerprint(artefact),
        "inputs": {name: done[name].sha256 for name in stage.needs},
        "seconds": time.perf_counter() - started,
        "figures": figures,
        "resumed": resumed,
    }
    write_json_atomic(place / RECORD, record)
    return Done(**record)


def outcome_of(result: Result) -> Outcome:
    """The last model of a run of training, and what it cost."""
    if not result.finished:
        return None
    summary = read_json(result.folder / "summary.json")
    last = newest_valid(result.folder / "checkpoints")[1]
    return last, {name: summary[name] for name in KEPT if name in summary}


# -- what is done ----------------------------------------------------------------------------------


def finished(folder: Path, stage: str) -> Done | None:
    """The record of the stage of that name, its artefact looked at. None if it is not finished."""
    path = folder / stage / RECORD
    if not path.is_file():
        return None
    try:
        found = Done(**read_json(path))
        actual = fingerprint(folder / stage / found.artefact)
    except (UserError, TypeError, OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read ({error!r}); --from {stage} makes it anew"
        ) from error
    if actual != found.sha256:
        raise UserError(
            f"what the stage {stage} made has been changed since (its hash differs); "
            f"--from {stage} makes it anew"
        )
    return found


def refuse_foreign(stage: Stage, found: Done, done: Mapping[str, Done]) -> None:
    """UserError for a stage that was made from other artefacts than those before it."""
    for name, sha256 in found.inputs.items():
        if name in done and done[name].sha256 != sha256:
            raise UserError(
                f"the stage {stage.name} was made from another {name} than the one that is there; "
                f"--from {stage.name} makes it anew"
            )


def fingerprint(artefact: Path) -> str:
    """The hash of what an artefact says: the weights of a model; of a file of examples (.jsonl)
    every line, but not the seconds that it took; of another file every byte."""
    found = hashlib.sha256()
    if artefact.is_dir() or artefact.suffix != ".jsonl":
        found.update((artefact / WEIGHTS if artefact.is_dir() else artefact).read_bytes())
        return found.hexdigest()
    head, *lines = artefact.read_text(encoding="utf-8").splitlines()
    counts = {k: v for k, v in json.loads(head).items() if k != "seconds"}
    for line in (json.dumps(counts, sort_keys=True), *lines):
        found.update(line.encode() + b"\n")
    return found.hexdigest()


# -- for a person ----------------------------------------------------------------------------------


def table(stages: Sequence[Stage], done: Mapping[str, Done], running: str | None = None) -> str:
    """Every stage: finished, running or waiting, its time, and what is left as it looks now."""
    spent = sum(d.seconds for d in done.values())
    shares = {stage.name: stage.share for stage in stages}
    behind = sum(shares[name] for name in done)
    ahead = sum(shares.values()) - behind
    lines = []
    for stage in stages:
        if stage.name in done:
            state = f"done in {done[stage.name].seconds:.0f} s"
        else:
            state = "running" if stage.name == running else "waiting"
        lines.append(f"{stage.name:<20}{state:<16}{stage.does}")
    if running and behind:
        lines.append(f"about {spent / behind * ahead / 60:.0f} minutes left")
    return "\n".join(lines)
