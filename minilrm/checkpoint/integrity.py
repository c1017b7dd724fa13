"""What is read is what was saved: a file that is damaged, cut short or missing is refused by name,
and so is a tensor that holds NaN or infinity."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from minilrm.checkpoint.record import RECORD, RESTORE, read_json_file, read_record
from minilrm.errors import UserError

# What weights come in. Anything else is quantized: numbers that mean nothing without their scales.
PRECISIONS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)


def sha256(path: Path) -> str:
    """The sha256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked(folder: Path, name: str) -> Path:
    """The path of a file in a checkpoint, once it is known to be there and, if minilrm.json lists
    it, to be whole."""
    path = folder / name
    try:
        if not folder.is_dir():
            raise UserError(f"there is no checkpoint folder {folder}; check the path")
        if not path.is_file():
            raise UserError(
                f"{folder} has no {name}, so it is no checkpoint, or not a whole one; "
                "choose another"
            )
        wanted = read_record(folder).files.get(name)
        if wanted is not None and sha256(path) != wanted:
            raise UserError(
                f"{path} is not what was saved (another sha256); {RESTORE}; if you changed it on "
                f"purpose, delete {RECORD} beside it"
            )
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; {RESTORE}") from error
    return path


def verify(folder: Path, needed: Iterable[str]) -> None:
    """UserError unless every file of a checkpoint of ours is there, is what was saved, and holds
    no NaN and no infinity."""
    checked(folder, RECORD)
    for name in sorted({*needed, *read_record(folder).files}):
        if name.endswith(".safetensors"):
            read_tensors(folder, name)
        else:
            checked(folder, name)


def read_checked_json(folder: Path, name: str) -> dict[str, Any]:
    """One JSON object out of a file that is known to be whole."""
    return read_json_file(checked(folder, name))


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file, which stays mapped: copy what is to be kept."""
    path = checked(folder, name)
    try:
        tensors = safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} is corrupt or cut short ({reason}); {RESTORE}") from error
    broken = first_not_finite(tensors)
    if broken is not None:
        raise UserError(
            f"{path} holds NaN or infinity in {broken}: the training that made it broke down; "
            "choose an older checkpoint, and train on from it with a lower learning rate"
        )
    return tensors


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity; None if there is none.

    One pass over the memory without a copy: NaN and infinity show in the smallest or the largest.
    """
    for name, tensor in tensors.items():
        if tensor.dtype in PRECISIONS and tensor.numel():
            if not torch.stack(torch.aminmax(tensor.detach())).isfinite().all():
                return name
    return None
