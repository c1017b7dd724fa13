"""The run folder: everything a training run leaves behind, written so that a crash costs at most
one line.

    runs/grpo-gsm8k-mini-20250131-142500/
        config.json      command, options, version, machine, start: enough to do it again
        metrics.jsonl    one line a step; evaluations are lines with "event": "eval"
        samples.jsonl    what the model wrote, with its prompt and its grade
        checkpoints/     step-000123/ ...
        summary.json     the outcome, written once at the end
        report.html      made from the files above (report.py)

Beside it, what every training loop needs around the mathematics: `Interrupt` (Ctrl-C saves, then
stops) and `Progress` (a bar with the time left).

JSONL, one JSON object a line, is the format because appending to it is safe: whatever happens
later, the lines that are there stay whole. Only the last line can be torn (a power cut in
mid-write), so our own logs are read without it.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import json
import math
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tqdm import tqdm

from minilrm import machine
from minilrm.errors import UserError


class RunLog:
    """One run folder. `create` starts a new one, `open` goes on with one that is there."""

    def __init__(self, folder: Path, config: dict):
        self.folder, self.config = Path(folder), config
        self.seconds_before = (
            0.0  # time spent before a resume; the trainer keeps it in its checkpoints
        )
        self._started = time.monotonic()

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
                f"cannot make the run folder {out or 'under runs'}: {_reason(error)}; "
                "choose another place with --out"
            ) from error
        write_json_atomic(folder / "config.json", config)
        return cls(folder, plain(config))

    @classmethod
    def open(cls, folder: str | Path, command: str | None = None) -> RunLog:
        """The run in an existing folder, for `--resume` (then it must be a run of this command) and
        for reports."""
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(
                f"there is no run folder {folder}; runs are kept under runs/ unless --out said otherwise"
            )
        if not (folder / "config.json").is_file():
            raise UserError(f"{folder} is not a run folder: it has no config.json")
        log = cls(folder, read_json(folder / "config.json"))
        if command not in (None, log.config.get("command")):
            raise UserError(
                f"{folder} is a run of {log.config.get('command')}, not of {command}; name another folder"
            )
        return log

    # Writing

    def log(self, step: int, metrics: dict, event: str = "train") -> None:
        """Append one line to metrics.jsonl. Floats keep 6 significant digits; NaN and infinity
        become null."""
        # No fsync: a line a step must stay cheap, and a line handed to the system survives the
        # death of the process.
        line = plain({"step": step, "event": event, **metrics}, digits=6)
        append_jsonl(self.folder / "metrics.jsonl", line, sync=False)

    def sample(self, step: int, records: list[dict]) -> None:
        """Append transcripts to samples.jsonl, one line each."""
        for record in records:
            append_jsonl(self.folder / "samples.jsonl", {"step": step, **record}, sync=False)

    def summary(self, outcome: dict) -> None:
        write_json_atomic(self.folder / "summary.json", outcome)

    def truncate_after(self, step: int) -> None:
        """Forget what was logged after `step`: a run resumed from that step's checkpoint will log
        it again."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            path = self.folder / name
            if path.exists():
                kept = [record for record in _read_log(path) if (record.get("step") or 0) <= step]
                write_bytes_atomic(path, b"".join(_json_line(record) for record in kept))

    # Reading

    def metrics(self, event: str | None = None) -> list[dict]:
        """The lines of metrics.jsonl, or those of one event ("train", "eval"); empty if nothing was
        logged."""
        return [
            line
            for line in _read_log(self.folder / "metrics.jsonl")
            if event in (None, line.get("event"))
        ]

    def samples(self) -> list[dict]:
        return _read_log(self.folder / "samples.jsonl")

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
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder} is a file; choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UserError(
            f"{folder} is not empty; choose another --out, or go on with that run by --resume"
        )
    return folder


def version() -> str:
    """minilrm's version: a clone that was never installed has no metadata, so its package is asked
    as well."""
    try:
        return importlib.metadata.version("minilrm")
    except importlib.metadata.PackageNotFoundError:
        return getattr(sys.modules.get("minilrm"), "__version__", "unknown")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


# JSON and JSONL files


def plain(value: object, digits: int | None = None) -> object:
    """What JSON can hold: tensors and NumPy scalars become numbers, paths and the like text, NaN
    and infinity None.

    `digits` rounds floats to so many significant digits; options are never rounded, for a run must
    be repeatable.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(value) if digits is None else float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {str(key): plain(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item, digits) for item in value]
    if hasattr(value, "tolist"):  # torch tensors and NumPy arrays and scalars
        return plain(value.tolist(), digits)
    return str(value)


def _json_line(record: dict) -> bytes:
    # Half a surrogate pair has no UTF-8, but backslashreplace writes it as \udXXX, which is how
    # JSON spells it.
    text = json.dumps(plain(record), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def append_jsonl(path: str | Path, record: dict, *, sync: bool = True) -> None:
    """Add one line in a single write, and have it on the disk on return (unless sync is off)."""
    line = _json_line(record)
    with _user_errors("write", path), open(path, "ab+", buffering=0) as file:
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            if (
                file.read(1) != b"\n"
            ):  # a torn line before us, or a hand-made file: do not glue ours to it
                line = b"\n" + line
        if file.write(line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fsync(file.fileno())


def read_jsonl(path: str | Path) -> list[dict]:
    """All the objects of a user's JSONL file; a bad line is reported by its number, never
    skipped."""
    records = _parse_lines(path)
    if not records:
        raise UserError(f"{path} is empty: one JSON object a line is expected")
    return records


def _read_log(path: Path) -> list[dict]:
    """One of our own logs: it may be missing, and its last line may be torn."""
    return _parse_lines(path, forgive_last=True) if path.exists() else []


def _parse_lines(path: str | Path, forgive_last: bool = False) -> list[dict]:
    with _user_errors("read", path):
        data = Path(path).read_bytes()
    # Split at \n alone: str.splitlines would also cut at characters that may stand inside a JSON
    # string.
    lines = [
        (number, line) for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()
    ]
    records = []
    for position, (number, line) in enumerate(lines, start=1):
        try:
            record = json.loads(line.decode("utf-8-sig"))
            if not isinstance(record, dict):
                raise ValueError("a JSON object {...} is expected")
        except (ValueError, RecursionError) as error:  # bad UTF-8 and bad JSON are both ValueErrors
            if forgive_last and position == len(lines):
                break
            what = (
                f"{error.msg} (column {error.colno})"
                if isinstance(error, json.JSONDecodeError)
                else error
            )
            raise UserError(f"{path}, line {number}: {what}") from error
        records.append(record)
    return records


def read_json(path: str | Path) -> dict:
    """One JSON object out of a file."""
    with _user_errors("read", path):
        data = Path(path).read_bytes()
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} should hold a JSON object {{...}}")
    return value


def write_json_atomic(path: str | Path, value: object) -> None:
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2)
    write_bytes_atomic(path, text.encode("utf-8", "backslashreplace") + b"\n")


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Readers see the old file or the new one, never half of it: write a sibling, sync it, rename
    it into place."""
    path = Path(path)
    sibling = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _user_errors("write", path):
        try:
            with open(sibling, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(sibling, path)
        finally:
            sibling.unlink(missing_ok=True)


@contextlib.contextmanager
def _user_errors(verb: str, path: str | Path) -> Iterator[None]:
    """A full disk or a missing permission is the user's to mend: one line, no traceback."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot {verb} {path}: {_reason(error)}") from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


# Around a training loop


class Interrupt:
    """The first Ctrl-C asks the loop to stop after its step; a second one stops it at once.

        with Interrupt() as interrupt:
            for step in range(...):
                ...
                if interrupt.requested:
                    save(); say how to go on; break

    A SIGTERM (a batch system's, or a closing laptop's) asks in the same way. Python hands signals
    to the main thread only, so elsewhere this does nothing; nor does it wake a signal that was
    switched off, as nohup does.
    """

    def __init__(self) -> None:
        self.requested = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            # None stands for a handler that was not set from Python, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous.clear()

    def _ask(self, number: int, frame: object) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        # The signal may have come in the middle of a print; then this one is refused, which is no
        # reason to die.
        with contextlib.suppress(RuntimeError, OSError, ValueError):
            print(
                "\nstopping after this step; Ctrl-C again stops at once, without saving",
                file=sys.stderr,
                flush=True,
            )


class Progress:
    """A bar on stderr with the time left and whatever figures `update` is given.

    In a terminal it redraws itself; where there is none (a file, a CI log) it writes a plain line
    every 10 seconds.
    """

    def __init__(self, total: int, initial: int = 0, label: str = ""):
        live = sys.stderr.isatty()
        self._out = sys.stderr if live else _Lines(sys.stderr)
        self._bar = _Bar(
            total=total,
            initial=initial,
            desc=label or None,
            unit="step",
            file=self._out,
            mininterval=0.2 if live else 10.0,
            miniters=1,
            dynamic_ncols=live,
            smoothing=0.05,
        )  # evaluations are slow steps; heed them little when the time left is guessed

    def update(self, steps: int = 1, /, **shown: object) -> None:
        """One step done; `shown` are figures to stand beside the bar: update(reward=0.41,
        length=38.2)."""
        figures = " ".join(f"{name}={_short(value)}" for name, value in shown.items())
        self._bar.set_postfix_str(figures, refresh=False)
        self._bar.update(steps)

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        if isinstance(self._out, _Lines):
            self._out.write(text)
        else:  # tqdm takes the bar away, prints, and draws it again
            self._bar.write(text, file=self._out)

    def close(self) -> None:
        self._bar.close()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Bar(tqdm):
    monitor_interval = (
        0  # tqdm's watching thread is of no use here, and threads and forked workers mix badly
    )


class _Lines:
    """Turns the redrawing of a bar (carriage return, padding) into plain lines, for output that is
    no terminal."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> None:
        if text.strip():
            self._stream.write(text.strip("\r\n").rstrip() + "\n")

    def flush(self) -> None:
        self._stream.flush()


def _short(value: object) -> str:
    value = plain(value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
