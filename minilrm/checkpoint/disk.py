"""What a checkpoint needs of the disk: a folder is there as a whole or not at all, whenever the
process is killed or the power fails."""

import contextlib
import ctypes
import errno
import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors.torch
from torch import Tensor

from minilrm.errors import UserError
from minilrm.files import json_ready

# A folder is filled (and emptied) under a hidden name, which says whose it is. A process number
# means something on one machine only, so the name has the machine's as well.
HOST = re.sub(r"\W", "", platform.node())[:32]
TEMPORARY = re.compile(r"\..+\.minilrm-(?P<host>\w*)-(?P<process>\d{1,9})\.tmp")
SECONDS_A_DAY = 86_400

# How long the rename of a folder is tried again, in seconds. Windows refuses it while another
# program has one of the files open, and virus scanners open each new file for a moment.
WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6) if sys.platform == "win32" else ()

# What says of a folder "it cannot be synced here", and not "the disk has failed": the list that
# PostgreSQL ignores (fsync_fname_ext), and the two names of "not supported".
NO_FOLDER_SYNC = {
    errno.EACCES,
    errno.EISDIR,
    errno.EBADF,
    errno.EINVAL,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
}

in_use: set[str] = set()  # the hidden folders that this process is filling now


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A hidden sibling to fill: renamed to `folder` when all of it is on the disk, removed if
    anything fails. UserError if the folder is there already, or if the disk refuses.

        with new_folder(Path("step-000007")) as temporary:
            write_bytes(temporary / "a", b"1")
    """
    if os.path.lexists(folder):
        raise UserError(
            f"{folder} is there already, and checkpoints are never overwritten; choose another name"
        )
    temporary = hidden_sibling(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        sweep(folder.parent)
        temporary.mkdir()
    except OSError as error:
        raise cannot_save(folder, error) from error
    in_use.add(os.path.abspath(temporary))
    try:
        yield temporary
        sync_folder(temporary)
        rename(temporary, folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise cannot_save(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        in_use.discard(os.path.abspath(temporary))


def cannot_save(folder: Path, error: OSError) -> UserError:
    """The error of a disk that refuses, in a line that says what to do."""
    return UserError(
        f"cannot save {folder}: {reason(error)}; free some space, or choose another place"
    )


def remove(folder: str | Path) -> None:
    """Take a checkpoint away: as when it was written, nobody ever sees half of it."""
    folder = Path(folder)
    temporary = hidden_sibling(folder)
    try:
        rename(folder, temporary)
    except OSError as error:
        raise UserError(f"cannot remove {folder}: {reason(error)}") from error
    shutil.rmtree(temporary, ignore_errors=True)


# Hidden folders, and what is left over of them


def hidden_sibling(folder: Path) -> Path:
    """Where a folder is filled before it gets its name: .step-000007.minilrm-laptop-4711.tmp"""
    return folder.with_name(f".{folder.name}.minilrm-{HOST}-{os.getpid()}.tmp")


def sweep(parent: Path) -> None:
    """Remove the hidden folders that killed processes have left beside the checkpoints."""
    with contextlib.suppress(OSError):
        for path in parent.iterdir():
            if is_left_over(path):
                shutil.rmtree(path, ignore_errors=True)


def is_left_over(path: Path) -> bool:
    """True for a hidden folder that no process fills or empties any more.

    How to tell: its name has the number of its process, and no process of this machine has that
    number; or the number is ours, but we are not filling it (a container gives each start the same
    number). Of another machine that shares the disk we cannot know: a save takes minutes, so after
    a day without a change it is left over.
    """
    match = TEMPORARY.fullmatch(path.name)
    if match is None or path.is_symlink() or not path.is_dir():
        return False
    if match["host"] != HOST:
        return time.time() - path.stat().st_mtime > SECONDS_A_DAY
    process = int(match["process"])
    if process == os.getpid():
        return os.path.abspath(path) not in in_use
    return not is_alive(process)


if sys.platform == "win32":

    def is_alive(process: int) -> bool:
        """True if this machine has a process of that number. (Here `os.kill` would end it.)"""
        query_limited_information, access_denied, still_active = 0x1000, 5, 259
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = ctypes.c_void_p(kernel.OpenProcess(query_limited_information, False, process))
        if not handle:
            return ctypes.get_last_error() == access_denied
        code = ctypes.c_ulong()
        known = kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return not known or code.value == still_active

else:

    def is_alive(process: int) -> bool:
        """True if this machine has a process of that number."""
        try:
            os.kill(process, 0)  # signal 0 is not sent, only looked up
        except ProcessLookupError:
            return False
        except PermissionError:  # another user's
            return True
        return True


def rename(old: Path, new: Path) -> None:
    """Rename a folder; where another program may hold it for a moment, try again for a while."""
    for wait in WAITS:
        try:
            os.rename(old, new)
            return
        except PermissionError:
            time.sleep(wait)
    os.rename(old, new)


def reason(error: OSError) -> str:
    """What the system says, and on Windows who may be in the way."""
    said = str(error.strerror or error)
    if WAITS and isinstance(error, PermissionError):
        said += " (perhaps a virus scanner or another program has one of its files open)"
    return said


# Files


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file, on the disk on return."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # As bytes, because safetensors' own writer neither syncs nor tells of a full disk by an
    # OSError.
    write_bytes(path, safetensors.torch.save(ready, metadata={"format": "pt"}))


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """A JSON file, on the disk on return."""
    text = json.dumps(json_ready(value), ensure_ascii=False, allow_nan=False, indent=2)
    write_bytes(path, text.encode("utf-8", "backslashreplace") + b"\n")


def write_bytes(path: Path, data: bytes) -> None:
    """A file, on the disk on return."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, not only the files' contents.

    Windows has no such thing, nor have some file systems; a disk that fails is an OSError.
    """
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in NO_FOLDER_SYNC:
            raise
