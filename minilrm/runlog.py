"""The run folder: everything a training run leaves behind, written so that a crash costs at most
one line.

    runs/grpo-gsm8k-mini-20250131-142500/
        config.json      command, options, version, machine, start: enough to do it again
        metrics.jsonl    one line per step; evaluations are lines with "event": "eval"
        samples.jsonl    what the model wrote, with its prompt and its grade
        groups.jsonl     of RL: now and then, the completions of one prompt in training
        checkpoints/     step-000123/ ...
        summary.json     the outcome, written once at the end
        report.html      made from the files above (report/)
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from minilrm import machine
from minilrm.errors import UserError
from minilrm.files import (
    append_jsonl,
    json_line,
    json_ready,
    read_json,
    read_log,
    reason,
    write_bytes_atomic,
    write_json_atomic,
)


class RunLog:
    """One run folder. `create` starts a new one, `open` goes on with one that is there."""

    def __init__(self, folder: Path, config: dict):
        self.folder, self.config = Path(folder), config
        self.seconds_before = 0.0  # time spent before a resume; a checkpoint keeps it
        self._started = time.monotonic()
        self.board: Any = None  # a writer of TensorBoard's, which is told of all numbers, too

    @classmethod
    def create(
        cls, command: str, task: str | None, options: dict, out: str | Path | None = None
    ) -> RunLog:
        """Make the folder (`out`, or one under runs/ named after command, task and time) and write
        its config.json."""
        config = {
            "command": command,
            "task": task,
            "options": options,
            "version": version(),
            "machine": machine.describe(),
            "started": _now(),
        }
        try:
            folder = _new_folder(command, task) if out is None else _claim_folder(Path(out))
        except OSError as error:
            raise UserError(
                f"cannot make the run folder {out or 'under runs'}: {reason(error)}; "
                "choose another place with --out"
            ) from error
        write_json_atomic(folder / "config.json", config)
        return cls(folder, json_ready(config))

    @classmethod
    def open(cls, folder: str | Path, command: str | None = None) -> RunLog:
        """The run in an existing folder, for `--resume` (then it must be a run of this command) and
        for reports."""
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(
                f"there is no run folder {folder}; runs are kept under runs/ unless --out said "
                "otherwise"
            )
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder} is not a run folder: it has no config.json")
        log = cls(folder, read_json(folder / "config.json"))
        if command and not isinstance(log.config.get("command"), str):
            raise UserError(
                f"{folder}/config.json does not say which command made the run; restore the file, "
                "or start the run anew"
            )
        if command not in (None, log.config.get("command")):
            raise UserError(
                f"{folder} is a run of {log.config.get('command')}, not of {command}; name "
                "another folder"
            )
        return log

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Inside, this process alone may write here. UserError that names the holder if another one
        does.

        The system gives the lock back when its holder ends, in whatever way.
        """
        lock, holder = FileLock(self.folder / ".lock", timeout=0), self.folder / ".holder.json"
        try:
            with lock:
                write_json_atomic(holder, {"pid": os.getpid(), "since": _now()})
                try:
                    yield
                finally:
                    holder.unlink(missing_ok=True)
        except Timeout:
            who = read_json(holder) if holder.exists() else {}
            raise UserError(
                f"{self.folder} is being written by another process (number "
                f"{who.get('pid', 'unknown')}, since {who.get('since', 'unknown')}); wait for it, "
                "or stop it first"
            ) from None

    def discard(self) -> None:
        """Remove a run that came to nothing, so that it is not in the way of the next try."""
        shutil.rmtree(self.folder, ignore_errors=True)

    # Writing

    def resume_with(self, options: dict) -> None:
        """Keep the options that the run goes on with; config.json remembers what was changed, and
        when."""
        before = self.config.get("options", {})
        changed = {name: value for name, value in options.items() if before.get(name) != value}
        changed = {
            name: value
            for name, value in json_ready(changed).items()
            if name not in ("resume", "out")
        }
        if changed:
            history = [*self.config.get("resumed", []), {"time": _now(), "options": changed}]
            self.config |= {"options": before | changed, "resumed": history}
            write_json_atomic(self.folder / "config.json", self.config)

    def log(self, step: int, metrics: dict, event: str = "train") -> None:
        """Append one line to metrics.jsonl. Floats keep 6 significant digits; NaN and infinity
        become null."""
        # No fsync: one line per step must stay cheap, and a line handed to the system survives the
        # death of the process.
        line = json_ready({"step": step, "event": event, **metrics}, digits=6)
        append_jsonl(self.folder / "metrics.jsonl", line, sync=False)
        if self.board is not None:
            for name, value in line.items():
                if name != "step" and isinstance(value, (int, float)):
                    self.board.add_scalar(f"{event}/{name}", value, step)

    @contextlib.contextmanager
    def tensorboard(self, after: int) -> Iterator[None]:
        """Inside, what is logged is written for TensorBoard, too, into the folder `tensorboard`:
        `tensorboard --logdir runs` shows all runs. after: the step of a checkpoint from which the
        run goes on; what stood behind it is forgotten there."""
        self.board = tensorboard_writer()(str(self.folder / "tensorboard"), purge_step=after + 1)
        try:
            yield
        finally:
            self.board.close()
            self.board = None

    def sample(self, step: int, records: list[dict]) -> None:
        """Append transcripts to samples.jsonl, one line each."""
        for record in records:
            append_jsonl(self.folder / "samples.jsonl", {"step": step, **record}, sync=False)

    def group(self, step: int, records: list[dict]) -> None:
        """Append the completions of one prompt, a line each, as `sample` does."""
        for record in records:
            append_jsonl(self.folder / "groups.jsonl", {"step": step, **record}, sync=False)

    def summary(self, outcome: dict) -> None:
        write_json_atomic(self.folder / "summary.json", outcome)

    def truncate_after(self, step: int) -> None:
        """Forget what was logged after `step`: a run resumed from that step's checkpoint will log
        it again."""
        for name in ("metrics.jsonl", "samples.jsonl", "groups.jsonl"):
            path = self.folder / name
            if path.exists():
                kept = [record for record in read_log(path) if (record.get("step") or 0) <= step]
                write_bytes_atomic(path, b"".join(json_line(record) for record in kept))

    def forget(self, step: int, event: str) -> None:
        """Forget what an event logged at this step, so that it can be logged again and stands there
        once."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            path = self.folder / name
            records = read_log(path)
            kept = [r for r in records if (r.get("step"), r.get("event")) != (step, event)]
            if len(kept) < len(records):
                write_bytes_atomic(path, b"".join(json_line(record) for record in kept))

    # Reading

    def metrics(self, event: str | None = None) -> list[dict]:
        """The lines of metrics.jsonl, or those of one event ("train", "eval"); empty if nothing was
        logged."""
        return [
            line
            for line in read_log(self.folder / "metrics.jsonl")
            if event in (None, line.get("event"))
        ]

    def samples(self) -> list[dict]:
        return read_log(self.folder / "samples.jsonl")

    def groups(self) -> list[dict]:
        """The completions of groups.jsonl; empty if the run is no RL."""
        return read_log(self.folder / "groups.jsonl")

    # Checkpoints: the names only; checkpoint.py fills the folders

    def checkpoint_path(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step-{step:06d}"

    def checkpoints(self) -> list[tuple[int, Path]]:
        """(step, folder) of each checkpoint, oldest first. Half-written ones have other names and
        are not listed."""
        found = [
            (re.fullmatch(r"step-(\d+)", path.name), path)
            for path in self.folder.glob("checkpoints/step-*")
        ]
        return sorted((int(match[1]), path) for match, path in found if match and path.is_dir())

    @property
    def seconds(self) -> float:
        """Time spent on this run, stretches before a resume included (see `seconds_before`)."""
        return self.seconds_before + time.monotonic() - self._started


class OnlookersLog(RunLog):
    """The run folder as a process sees it that is not number 0 of several: it may read, and what it
    would write goes nowhere."""

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def tensorboard(self, after: int) -> Iterator[None]:
        yield

    def discard(self) -> None: ...
    def resume_with(self, options: dict) -> None: ...
    def log(self, step: int, metrics: dict, event: str = "train") -> None: ...
    def sample(self, step: int, records: list[dict]) -> None: ...
    def summary(self, outcome: dict) -> None: ...
    def truncate_after(self, step: int) -> None: ...
    def forget(self, step: int, event: str) -> None: ...


def tensorboard_writer() -> Any:
    """TensorBoard's SummaryWriter, which comes with torch. UserError where what it needs does
    not."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError(
            "--log tensorboard needs a package more: pip install tensorboard (or leave --log out: "
            "metrics.jsonl has the same numbers)"
        ) from error
    return SummaryWriter


def _new_folder(command: str, task: str | None) -> Path:
    """runs/<command>-<task>-<YYYYmmdd-HHMMSS>/; a second run in the same second gets -2, and so
    on."""
    words = [re.sub(r"[^\w.-]+", "-", word) for word in (command, task) if word]
    name = "-".join([*words, time.strftime("%Y%m%d-%H%M%S")])
    for attempt in range(1, 1000):
        folder = Path("runs") / (name if attempt == 1 else f"{name}-{attempt}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise FileExistsError(f"{name} and 998 more are taken")


def _claim_folder(folder: Path) -> Path:
    """Make the folder the user named; one that holds something already is never written over."""
    refuse_taken(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def refuse_taken(folder: Path | None) -> None:
    """UserError if `--out` names a file, or a folder that holds something. Asked before the work
    that comes before a run, and again when the folder is made."""
    if folder is None or not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"--out {folder} is a file; choose another --out")
    if any(folder.iterdir()):
        raise UserError(
            f"{folder} is not empty; choose another --out, or go on with that run by --resume"
        )


def version() -> str:
    """minilrm's version: a clone that was never installed has no metadata, so its package is asked
    as well."""
    try:
        return importlib.metadata.version("minilrm")
    except importlib.metadata.PackageNotFoundError:
        return getattr(sys.modules.get("minilrm"), "__version__", "unknown")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
