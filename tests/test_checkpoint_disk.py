"""What a save needs of the disk: a folder is there as a whole or not at all, whatever fails and
whenever the process is killed."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minilrm import checkpoint
from minilrm.checkpoint import disk
from minilrm.errors import UserError
from tests.checkpoints import TINY, TOKENIZER, new_model, refused, save_one

# -- Whole or not at all ---------------------------------------------------------------------------


def test_an_existing_folder_is_never_overwritten(tmp_path):
    save_one(tmp_path / "a")
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    refused(
        lambda: checkpoint.save(tmp_path / "a", new_model(seed=1), TOKENIZER),
        "never overwritten",
        "a",
    )
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    (tmp_path / "empty").mkdir()
    refused(lambda: save_one(tmp_path / "empty"), "never overwritten")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refused(lambda: save_one(tmp_path / "link"), "never overwritten")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        PermissionError(errno.EACCES, "Permission denied"),
        KeyboardInterrupt(),
        MemoryError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("when", range(1, 8))
def test_a_save_that_fails_leaves_nothing_behind(tmp_path, monkeypatch, error, when):
    """It fails at the when-th file, or (after them all) at the renaming."""
    count, real_fsync = 0, os.fsync

    def fsync(descriptor):
        nonlocal count
        count += 1
        if count == when:
            raise error
        real_fsync(descriptor)

    def rename(*_):
        raise error

    monkeypatch.setattr(os, "fsync", fsync)
    if when == 7:
        monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(UserError if isinstance(error, OSError) else type(error)) as caught:
        save_one(tmp_path / "deep/a")
    if isinstance(error, OSError):
        assert str(caught.value).startswith(f"cannot save {tmp_path / 'deep/a'}: {error.strerror};")
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_full_disk_is_one_line(tmp_path):
    """A real one, where the system has it: writing to /dev/full fails as a full disk does."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with pytest.raises(OSError, match="No space left"):
        disk.write_tensors(Path("/dev/full"), {"a": torch.ones(3)})


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    refused(lambda: save_one(tmp_path / "file/a"), "cannot save", "file/a")


KILLED = """
import os, sys
from pathlib import Path
import torch
from minilrm import checkpoint
from minilrm.model import ModelConfig, Transformer

count, real = 0, os.fsync
def fsync(descriptor):
    global count
    count += 1
    if count == 2:
        os.kill(os.getpid(), 9)
    real(descriptor)
os.fsync = fsync
checkpoint.save(sys.argv[1], Transformer(ModelConfig(**{config})), None)
"""


def test_a_killed_save_is_not_seen_and_is_swept_up_by_the_next(tmp_path):
    code = KILLED.format(config={key: getattr(TINY, key) for key in TINY.__dataclass_fields__})
    where = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "OMP_NUM_THREADS": "1",
    }
    target = tmp_path / "checkpoints/step-000007"
    assert (
        subprocess.run([sys.executable, "-c", code, str(target)], env=where).returncode
        == -signal.SIGKILL
    )
    left = list(target.parent.iterdir())
    assert len(left) == 1 and left[0].name.startswith(".")
    refused(lambda: checkpoint.newest_valid(target.parent), "no whole checkpoint")
    save_one(target)
    assert list(target.parent.iterdir()) == [target]


def test_a_removed_checkpoint_is_gone(tmp_path):
    folder = save_one(tmp_path / "a")
    checkpoint.remove(folder)
    assert list(tmp_path.iterdir()) == []
    refused(lambda: checkpoint.remove(folder), "cannot remove", str(folder))
