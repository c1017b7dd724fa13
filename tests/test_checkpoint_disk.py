"""What a save needs of the disk: a folder is there as a whole or not at all, whatever fails and
whenever the process is killed."""

import copy
import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from minilrm import checkpoint
from minilrm.checkpoint import disk
from minilrm.checkpoint.saving import flatten_optimizers
from minilrm.errors import UserError
from tests.checkpoints import TOKENIZER, muon_and_adamw, new_model, refused, save_one, train

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


def test_a_removed_checkpoint_is_gone(tmp_path):
    folder = save_one(tmp_path / "a")
    checkpoint.remove(folder)
    assert list(tmp_path.iterdir()) == []
    refused(lambda: checkpoint.remove(folder), "cannot remove", str(folder))


# -- Killed, or refused by the disk, at any operation ----------------------------------------------

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks a process of torch")
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir"}


def in_a_child(work, when, event):
    """Run `work` in a process of its own, in which `event` happens before the when-th operation on
    the disk. Returns how it ended: "killed", "refused" (by a UserError), "done all the same",
    "never" (there were fewer operations) or "failed"."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            return "killed"
        words = {0: "done all the same", 2: "refused", 3: "never"}
        return words.get(os.WEXITSTATUS(status), "failed")
    try:
        count, fsync = 0, os.fsync

        def operation(name, _arguments=()):
            nonlocal count
            count += name in OPERATIONS
            if name in OPERATIONS and count == when:
                event()

        def audited_fsync(descriptor):
            operation("open")
            fsync(descriptor)

        os.fsync = audited_fsync
        sys.addaudithook(operation)
        work()
        os._exit(0 if count >= when else 3)
    except UserError:
        os._exit(2)
    except BaseException:
        os._exit(1)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def disk_error():
    raise OSError(errno.EIO, "Input/output error")


class Run:
    """Two checkpoints of a run, a third one to be saved, and the first to be pruned."""

    def __init__(self, folder):
        self.folder, self.model = folder, new_model()
        self.optimizers = muon_and_adamw(self.model)
        self.states = {}
        for step in (1, 2, 3):
            train(self.model, self.optimizers, range(step - 1, step))
            self.states[step] = self.all_bits()
            if step < 3:
                self.save(step)

    def save(self, step):
        folder = self.folder / f"step-{step:06d}"
        trainer = {"step": step}
        checkpoint.save(folder, self.model, None, optimizers=self.optimizers, trainer=trainer)

    def save_and_prune(self):
        self.save(3)
        checkpoint.remove(self.folder / "step-000001")

    def all_bits(self):
        tensors, _ = flatten_optimizers(self.optimizers)
        tensors = tensors | self.model.state_dict()
        return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}

    def resume(self):
        """The step at which a new process would go on, with all its bits."""
        other = Run.__new__(Run)
        other.model = new_model(seed=1)
        other.optimizers = muon_and_adamw(other.model)
        step, trainer = checkpoint.resume(self.folder, other.model, other.optimizers)
        assert trainer == {"step": step} and other.all_bits() == self.states[step]
        return step


def endings(tmp_path, event, most=200):
    """(how it ended, its run) for an event at the first operation of a save, the second, ..."""
    whole = Run(tmp_path / "whole")
    for when in range(1, most):
        run = copy.copy(whole)
        run.folder = shutil.copytree(whole.folder, tmp_path / f"run-{when}")
        ended = in_a_child(run.save_and_prune, when, event)
        yield ended, run
        if ended == "never":
            return
    raise AssertionError("the save never came to its end")


@linux
def test_a_kill_at_any_operation_of_a_save_or_a_prune_leaves_a_run_to_go_on_with(tmp_path):
    ended = []
    for how, run in endings(tmp_path, kill):
        step = run.resume()
        ended.append((how, step))
        # Nothing half-written is left over, seen or hidden.
        names = sorted(path.name for path in run.folder.iterdir())
        assert names in (
            ["step-000001", "step-000002"],
            ["step-000001", "step-000002", "step-000003"],
            ["step-000002", "step-000003"],
        )
    assert ended[0] == ("killed", 2) and ended[-1] == ("never", 3)
    assert ("killed", 3) in ended and len(ended) > 20


@linux
def test_a_disk_that_fails_at_any_operation_is_one_line_and_loses_nothing(tmp_path):
    ended = []
    for how, run in endings(tmp_path, disk_error):
        ended.append(how)
        assert how != "failed" and run.resume() in (2, 3)
        run.save(4)
        assert not list(run.folder.glob(".*"))
    assert ended.count("refused") > 15


# -- What killed processes leave -------------------------------------------------------------------


def left_over(parent, host=disk.HOST, process=None, name="step-000007"):
    folder = parent / f".{name}.minilrm-{host}-{process or os.getpid()}.tmp"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text("half")
    return folder


@pytest.fixture
def processes():
    """(a process that lives, the number of one that has ended)."""
    wait = [sys.executable, "-c", "input()"]
    living = subprocess.Popen(wait, stdin=subprocess.PIPE)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    yield living.pid, dead.pid
    living.kill()
    living.communicate()


def test_the_next_save_removes_what_a_killed_one_has_left(tmp_path, processes):
    living, dead = processes
    gone = [left_over(tmp_path, process=dead), left_over(tmp_path, name="step-000008")]
    stays = [left_over(tmp_path, process=living), left_over(tmp_path, host="another", process=dead)]
    save_one(tmp_path / "step-000009")
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stays)


def test_resuming_removes_what_a_killed_prune_has_left(tmp_path, processes):
    model = new_model()
    optimizers = muon_and_adamw(model)
    checkpoint.save(tmp_path / "step-000001", model, None, optimizers=optimizers)
    gone = left_over(tmp_path, process=processes[1])
    checkpoint.resume(tmp_path, model, optimizers)
    assert not gone.exists()


def test_what_another_machine_has_left_is_removed_after_a_day(tmp_path):
    new, old = left_over(tmp_path, host="a"), left_over(tmp_path, host="b")
    os.utime(old, (0, 0))
    save_one(tmp_path / "a")
    assert new.exists() and not old.exists()


def test_two_saves_of_one_process_do_not_sweep_each_other_away(tmp_path):
    with disk.new_folder(tmp_path / "a") as temporary:
        save_one(tmp_path / "b")
        assert temporary.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_only_our_own_hidden_folders_are_swept(tmp_path, processes):
    name = f".x.minilrm-{disk.HOST}-{processes[1]}.tmp"
    others = [tmp_path / ".x.123.tmp", tmp_path / ".cache", tmp_path / name[1:]]
    for folder in others:
        folder.mkdir()
    (tmp_path / name).write_text("a file")
    save_one(tmp_path / "a")
    assert (tmp_path / name).exists() and all(folder.is_dir() for folder in others)


# -- What the system says --------------------------------------------------------------------------


def failing_folder_sync(monkeypatch, number):
    real = os.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.skipif(sys.platform == "win32", reason="no folder is synced there")
def test_a_disk_that_fails_when_a_folder_is_synced_is_heard(tmp_path, monkeypatch):
    failing_folder_sync(monkeypatch, errno.EIO)
    refused(lambda: save_one(tmp_path / "a"), "cannot save", os.strerror(errno.EIO))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EBADF])
def test_a_file_system_that_cannot_sync_folders_is_no_reason_to_fail(number, tmp_path, monkeypatch):
    failing_folder_sync(monkeypatch, number)
    checkpoint.load(save_one(tmp_path / "a"))


def held_by_another_program(monkeypatch, times):
    """As on Windows: a fresh folder cannot be renamed while a virus scanner reads its files."""
    real, left = os.rename, times

    def rename(old, new):
        nonlocal left
        left -= 1
        if left >= 0:
            raise PermissionError(errno.EACCES, "Access is denied")
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(disk, "WAITS", (0, 0, 0))


def test_a_folder_that_a_virus_scanner_holds_for_a_moment_is_saved_and_removed(
    tmp_path, monkeypatch
):
    held_by_another_program(monkeypatch, times=3)
    folder = save_one(tmp_path / "a")
    checkpoint.load(folder)
    held_by_another_program(monkeypatch, times=3)
    checkpoint.remove(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_held_for_good_is_one_line(tmp_path, monkeypatch):
    held_by_another_program(monkeypatch, times=100)
    refused(lambda: save_one(tmp_path / "a"), "cannot save", "Access is denied", "virus scanner")
    assert list(tmp_path.iterdir()) == []
