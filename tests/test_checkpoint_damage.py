"""Checkpoints that are damaged are refused in one line that names the file; saves that fail leave
nothing behind."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minilrm import checkpoint
from minilrm.checkpoint import disk
from minilrm.errors import UserError
from minilrm.model import ScalarHead
from tests.test_checkpoint import (
    TINY,
    TOKENIZER,
    cut_short,
    flip_a_bit,
    muon_and_adamw,
    new_model,
    refused,
    save_one,
    train,
)

# -- Damage ----------------------------------------------------------------------------------------


def turn_into_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGE = {
    "cut short": cut_short,
    "one bit": flip_a_bit,
    "gone": Path.unlink,
    "emptied": lambda p: p.write_bytes(b""),
    "noise": lambda p: p.write_bytes(b"\xff\x00" * 60),
    "a folder": turn_into_a_folder,
}


def load_all(folder):
    model, _, _ = checkpoint.load(folder)
    checkpoint.load_heads(folder, {"value": ScalarHead(16)})
    checkpoint.load_trainer(folder, muon_and_adamw(model))


@pytest.fixture
def trained(tmp_path):
    model = new_model()
    optimizers = muon_and_adamw(model)
    train(model, optimizers, range(1))
    folder = checkpoint.save(
        tmp_path / "step-000001",
        model,
        TOKENIZER,
        info={},
        optimizers=optimizers,
        heads={"value": ScalarHead(16)},
        trainer={"step": 1},
    )
    load_all(folder)
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "heads.safetensors",
        "optimizer.safetensors",
        "trainer.json",
    ],
)
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_refused_by_name(trained, name, damage):
    damage(trained / name)
    refused(lambda: load_all(trained), name, str(trained))
    refused(lambda: checkpoint.newest_valid(trained.parent), name)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model.safetensors",
        "heads.safetensors",
        "optimizer.safetensors",
        "trainer.json",
    ],
)
@pytest.mark.parametrize(
    "damage", [DAMAGE[x] for x in ("cut short", "gone", "emptied", "noise", "a folder")]
)
def test_damage_is_found_without_a_manifest_too(trained, name, damage):
    (trained / "minilrm.json").unlink()
    load_all(trained)
    damage(trained / name)
    refused(lambda: load_all(trained), name, str(trained))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"files": 3}', '{"info": {}}', "[" * 100_000, "\ud800"]
)
def test_a_broken_record_of_ours_is_refused(trained, text):
    (trained / "minilrm.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    refused(lambda: checkpoint.load(trained), "minilrm.json", "restore it")


def test_no_folder_and_no_checkpoint_are_refused(tmp_path):
    refused(lambda: checkpoint.load(tmp_path / "nowhere"), "no checkpoint folder", "nowhere")
    refused(lambda: checkpoint.load(tmp_path), "config.json")
    (tmp_path / "file").write_text("")
    refused(lambda: checkpoint.load(tmp_path / "file"), "no checkpoint folder")


def rewrite(path, **changes):
    """Change values of a JSON file; None takes a key away."""
    data = {
        key: value
        for key, value in (json.loads(path.read_text()) | changes).items()
        if value is not None
    }
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"model_type": "gpt2"}, "gpt2"),
        ({"model_type": None}, "model_type"),
        ({"hidden_size": None}, "hidden_size"),
        ({"hidden_size": "16"}, "hidden_size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_hidden_layers": True}, "num_hidden_layers"),
        ({"head_dim": 7}, "head_dim"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"attention_bias": True}, "attention_bias"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"use_sliding_window": True}, "use_sliding_window"),
        ({"rope_parameters": None, "rope_theta": "big"}, "big"),
        ({"rope_parameters": [1]}, "list"),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "yarn"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear"}}, "linear"),
    ],
)
def test_a_config_that_we_cannot_follow_is_refused(trained, changes, word):
    (trained / "minilrm.json").unlink()
    rewrite(trained / "config.json", **changes)
    refused(lambda: checkpoint.load(trained), "config.json", word)


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"hidden_size": 18}, "embed_tokens"),
        ({"vocab_size": 10**9}, "embed_tokens"),
        ({"model_type": "llama"}, "_norm"),
        ({"num_hidden_layers": 3}, "layers.2"),
        ({"num_hidden_layers": 1}, "no place"),
        ({"tie_word_embeddings": False}, "lm_head"),
    ],
)
def test_weights_that_do_not_fit_the_config_are_refused(trained, changes, word):
    (trained / "minilrm.json").unlink()
    rewrite(trained / "config.json", **changes)
    refused(lambda: checkpoint.load(trained), str(trained), "config.json", word)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path):
    checkpoint.save(tmp_path / "a", new_model(replace(TINY, vocab_size=291)), TOKENIZER, info={})
    refused(lambda: checkpoint.load(tmp_path / "a"), "tokenizer.json", "292", "291")


# -- Whole or not at all ---------------------------------------------------------------------------


def test_an_existing_folder_is_never_overwritten(tmp_path):
    save_one(tmp_path / "a")
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    refused(
        lambda: checkpoint.save(tmp_path / "a", new_model(seed=1), TOKENIZER, info={}),
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
checkpoint.save(sys.argv[1], Transformer(ModelConfig(**{config})), None, info={{}})
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
