"""JSON and JSONL files, written so that a crash costs at most one line.

JSONL, one JSON object per line, is the format of logs because appending to it is safe: whatever
happens later, the lines that are there stay whole. Only the last line can be torn (by a power cut
in the middle of a write), so our own logs are read without it (`read_log`). Other files are
replaced as a whole: readers see the old file or the new one (`write_bytes_atomic`).
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minilrm.errors import UserError


def json_ready(value: Any, digits: int | None = None) -> Any:
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
        return {str(key): json_ready(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [json_ready(item, digits) for item in value]
    if hasattr(value, "tolist"):  # torch tensors and NumPy arrays and scalars
        return json_ready(value.tolist(), digits)
    return str(value)


def json_line(record: dict) -> bytes:
    # Half a surrogate pair has no UTF-8, but backslashreplace writes it as \udXXX, which is how
    # JSON spells it.
    text = json.dumps(json_ready(record), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"


def append_jsonl(path: str | Path, record: dict, *, sync: bool = True) -> None:
    """Add one line in a single write, and have it on the disk on return (unless sync is off)."""
    line = json_line(record)
    with user_errors("write", path), open(path, "ab+", buffering=0) as file:
        if file.seek(0, os.SEEK_END) > 0:
            file.seek(-1, os.SEEK_END)
            # a torn line before us, or a hand-made file: do not glue ours to it
            if file.read(1) != b"\n":
                line = b"\n" + line
        if file.write(line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if sync:
            os.fsync(file.fileno())


def read_jsonl(path: str | Path) -> list[dict]:
    """All the objects of a user's JSONL file; a bad line is reported by its number, never
    skipped."""
    records = parse_lines(path)
    if not records:
        raise UserError(f"{path} is empty: one JSON object a line is expected")
    return records


def read_log(path: Path) -> list[dict]:
    """One of our own logs: it may be missing, and its last line may be torn."""
    return parse_lines(path, forgive_last=True) if path.exists() else []


def parse_lines(path: str | Path, forgive_last: bool = False) -> list[dict]:
    with user_errors("read", path):
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
    with user_errors("read", path):
        data = Path(path).read_bytes()
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} should hold a JSON object {{...}}")
    return value


def write_json_atomic(path: str | Path, value: object) -> None:
    text = json.dumps(json_ready(value), ensure_ascii=False, allow_nan=False, indent=2)
    write_bytes_atomic(path, text.encode("utf-8", "backslashreplace") + b"\n")


def write_bytes_atomic(path: str | Path, data: bytes) -> None:
    """Readers see the old file or the new one, never half of it: write a sibling, sync it, rename
    it into place."""
    path = Path(path)
    sibling = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with user_errors("write", path):
        try:
            with open(sibling, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(sibling, path)
        finally:
            sibling.unlink(missing_ok=True)


def refuse_to_overwrite(path: Path | None, flag: str = "--out") -> None:
    """UserError unless a new file can be written at `path`: said before the work, not after it.
    None is fine: then nothing is to be written. `flag`: the option that names the file."""
    if path is None:
        return
    folder = path.absolute().parent
    if path.is_dir() or not folder.is_dir():
        raise UserError(f"{flag} {path} must name a file in a folder that is there")
    if os.path.lexists(path):
        raise UserError(f"{flag} {path} is there already; choose another name, or remove it first")
    if not os.access(folder, os.W_OK):
        raise UserError(f"{flag} {path} cannot be written: no permission; choose another folder")


@contextlib.contextmanager
def user_errors(verb: str, path: str | Path) -> Iterator[None]:
    """A full disk or a missing permission is the user's to mend: one line, no traceback."""
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot {verb} {path}: {reason(error)}") from error


def reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
