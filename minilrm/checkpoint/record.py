"""minilrm.json, our own file in a checkpoint: where the model comes from, and the sha256 of every
other file, by which damage is found."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from minilrm.errors import UserError
from minilrm.files import read_json

RECORD = "minilrm.json"
RESTORE = "restore it, or choose another checkpoint"


@dataclass(frozen=True)
class Info:
    """Where a model comes from. Each loop fills in what it knows; nothing of it changes the model.

    >>> Info(task="countdown", step=3, notes={"corpus": "mute"}).to_json()
    {'task': 'countdown', 'step': 3, 'corpus': 'mute'}
    """

    task: str | None = None  # what it was trained for: evaluate, ask and others start from this
    init: str | None = None  # the checkpoint that it started from
    command: str | None = None  # the command line that makes it again
    options: dict[str, Any] = field(default_factory=dict)  # of the run
    step: int | None = None  # of the run
    scores: dict[str, Any] = field(default_factory=dict)  # how it did: the run's summary
    notes: dict[str, Any] = field(default_factory=dict)  # whatever else is worth keeping

    def to_json(self) -> dict[str, Any]:
        """One flat object of what is known; the notes stand beside the rest."""
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "notes"}
        return {
            name: value for name, value in named.items() if value not in (None, {})
        } | self.notes

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Info":
        """`to_json` backwards; ValueError for a value of a wrong kind."""
        known: dict[str, Any] = {}
        for name, kind in KINDS.items():
            value = data.get(name)
            if value is None:
                continue
            if type(value) is not kind:
                raise ValueError(f"{name} is {value!r}, where {WORDS[kind]} is needed")
            known[name] = value
        notes = {name: value for name, value in data.items() if name not in KINDS}
        return cls(**known, notes=notes)


KINDS: dict[str, type] = {
    "task": str,
    "init": str,
    "command": str,
    "options": dict,
    "step": int,
    "scores": dict,
}
WORDS = {str: "text", dict: "an object {...}", int: "a whole number"}


@dataclass(frozen=True)
class Record:
    """minilrm.json. A folder that is not ours has an empty one.

    files: file name -> sha256, of every other file in the folder.
    """

    files: dict[str, str] = field(default_factory=dict)
    info: Info = field(default_factory=Info)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "task": self.info.task,
            "info": self.info.to_json(),
            "files": self.files,
        }


def read_record(folder: Path) -> Record:
    """The folder's minilrm.json; an empty record if it has none. UserError if it is damaged."""
    path = folder / RECORD
    if not path.exists():
        return Record()
    data = read_json_file(path)
    files, info = data.get("files"), data.get("info", {})
    # Names only: a path could lead out of the folder.
    if not isinstance(files, dict) or not all(
        isinstance(sha, str) and name == Path(name).name for name, sha in files.items()
    ):
        raise UserError(f"{path} is corrupt: it should list the files and their sha256; {RESTORE}")
    try:
        return Record(files, Info.from_json(info))
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path} is corrupt: in info, {error}; {RESTORE}") from error


def read_json_file(path: Path) -> dict[str, Any]:
    """One JSON object out of a file of a checkpoint."""
    try:
        return read_json(path)
    except UserError as error:
        raise UserError(f"{error}; {RESTORE}") from error
