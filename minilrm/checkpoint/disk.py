"""What a checkpoint needs of the disk: a folder is there as a whole or not at all, and a damaged
file is refused."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from minilrm.errors import UserError
from minilrm.files import plain, read_json

RECORD = (
    "minilrm.json"  # our own file in a checkpoint: what it is, and the sha256 of each other file
)
RESTORE = "restore it, or choose another checkpoint"


# Writing


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary sibling to fill: renamed to `folder` when all of it is on the disk, removed if
    anything fails."""
    if os.path.lexists(folder):
        raise UserError(
            f"{folder} is there already, and checkpoints are never overwritten; choose another name"
        )
    temporary = hidden_sibling(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.iterdir():  # by a save of the same checkpoint that was killed
            if left.name.startswith(f".{folder.name}.") and left.name.endswith(".tmp"):
                shutil.rmtree(left, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        sync_folder(temporary)
        os.rename(temporary, folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise UserError(
            f"cannot save {folder}: {error.strerror or error}; free some space, or choose another place"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove(folder: str | Path) -> None:
    """Take a checkpoint away: as when it was written, nobody ever sees half of it."""
    folder = Path(folder)
    temporary = hidden_sibling(folder)
    try:
        os.rename(folder, temporary)
    except OSError as error:
        raise UserError(f"cannot remove {folder}: {error.strerror or error}") from error
    shutil.rmtree(temporary, ignore_errors=True)


def hidden_sibling(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.{os.getpid()}.tmp")


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # As bytes, because safetensors' own writer neither syncs nor tells of a full disk by an
    # OSError.
    write_bytes(path, safetensors.torch.save(tensors, metadata={"format": "pt"}))


def write_json(path: Path, value: dict) -> None:
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2)
    write_bytes(path, text.encode("utf-8", "backslashreplace") + b"\n")


def write_bytes(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, not only the files' contents. Windows has no such
    thing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Reading


def checked(folder: Path, name: str) -> Path:
    """The path of a file in a checkpoint, once it is known to be there and, if minilrm.json lists
    it, to be whole."""
    path = folder / name
    try:
        if not folder.is_dir():
            raise UserError(f"there is no checkpoint folder {folder}; check the path")
        if not path.is_file():
            raise UserError(
                f"{folder} has no {name}, so it is no checkpoint, or not a whole one; choose another"
            )
        wanted = read_record(folder)["files"].get(name)
        if wanted is not None and sha256(path) != wanted:
            raise UserError(
                f"{path} is not what was saved (another sha256); {RESTORE}; if you changed it on purpose, "
                f"delete {RECORD} beside it"
            )
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; {RESTORE}") from error
    return path


def verify(folder: Path, needed: Iterable[str]) -> None:
    """UserError unless every file of a checkpoint of ours is there and is what was saved."""
    checked(folder, RECORD)
    for name in {*needed, *read_record(folder)["files"]}:
        checked(folder, name)


def read_record(folder: Path) -> dict:
    """Our own minilrm.json, which has at least "files": {name: sha256}. Empty for a folder that is
    not ours."""
    path = folder / RECORD
    record = read_json_file(path) if path.exists() else {"files": {}}
    if not isinstance(record.get("files"), dict):
        raise UserError(f"{path} is corrupt: it should list the files and their sha256; {RESTORE}")
    return record


def read_checked_json(folder: Path, name: str) -> dict:
    return read_json_file(checked(folder, name))


def read_json_file(path: Path) -> dict:
    try:
        return read_json(path)
    except UserError as error:
        raise UserError(f"{error}; {RESTORE}") from error


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file, which stays mapped: copy what is to be kept."""
    path = checked(folder, name)
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is corrupt or cut short ({reason}); {RESTORE}") from error
