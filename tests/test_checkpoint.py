"""Checkpoints: what goes in comes out, bit for bit, and is found by what a user calls it.

Resuming is in test_checkpoint_resume.py, others' folders in test_checkpoint_foreign.py, damage in
test_checkpoint_damage.py, kills and full disks in test_checkpoint_disk.py.
"""

import hashlib
import json
import os
import shutil
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from torch import nn

from minilrm import checkpoint, machine
from minilrm.checkpoint.huggingface import to_huggingface
from minilrm.errors import UserError
from minilrm.model import ScalarHead
from minilrm.tokenizer import Tokenizer
from tests.checkpoints import (
    TINY,
    TOKENIZER,
    cut_short,
    flip_a_bit,
    muon_and_adamw,
    new_model,
    refused,
    same_weights,
    save_one,
    train,
)

# -- Round trips -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, tie_embeddings=False),
        replace(TINY, rope_theta=12.5, norm_eps=3e-5, vocab_size=300),
        replace(TINY, qk_norm=False),
        replace(TINY, qk_norm=False, qkv_bias=True),
    ],
    ids=["tied", "untied", "numbers", "without qk_norm", "with biases"],
)
def test_model_tokenizer_and_info_come_back(config, tmp_path):
    model = new_model(config)
    info = checkpoint.Info(task="toy", options={"lr": 0.1}, step=3, notes={"note": "né"})
    assert checkpoint.save(tmp_path / "a", model, TOKENIZER, info=info) == tmp_path / "a"
    loaded, tokenizer, back = checkpoint.load(str(tmp_path / "a"))
    assert loaded.config == config == checkpoint.load_config(tmp_path / "a")
    assert same_weights(model, loaded) and tokenizer == TOKENIZER and back == info
    assert all(
        p.requires_grad and p.dtype == torch.float32 and p.device.type == "cpu"
        for p in loaded.parameters()
    )


def test_the_folder_is_what_hugging_face_expects(tmp_path):
    save_one(tmp_path / "a")
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        "README.md",
        "config.json",
        "generation_config.json",
        "minilrm.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    config = json.loads((tmp_path / "a/config.json").read_text())
    assert config["architectures"] == ["Qwen3ForCausalLM"] and config["model_type"] == "qwen3"
    assert config["eos_token_id"] == TOKENIZER.eos_id and config["pad_token_id"] == TOKENIZER.pad_id
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == TINY.rope_theta
    assert config["dtype"] == config["torch_dtype"] == "float32"
    tensors = safetensors.torch.load_file(tmp_path / "a/model.safetensors")
    assert "lm_head.weight" not in tensors and "model.layers.1.self_attn.q_norm.weight" in tensors


def test_the_manifest_has_the_sha256_of_every_other_file(tmp_path):
    save_one(tmp_path / "a", trainer={"step": 1}, heads={"value": ScalarHead(16)})
    record = json.loads((tmp_path / "a/minilrm.json").read_text())
    assert record["task"] == record["info"]["task"] == "toy"
    assert record["files"] == {
        p.name: hashlib.sha256(p.read_bytes()).hexdigest()
        for p in (tmp_path / "a").iterdir()
        if p.name != "minilrm.json"
    }


def test_shipped_checkpoints_are_half_as_large_and_as_exact_as_bfloat16_is(tmp_path):
    model = new_model()
    save_one(tmp_path / "whole")
    save_one(tmp_path / "half", dtype=torch.bfloat16)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    # saving leaves the model as it was
    assert all(p.dtype == torch.float32 for p in model.parameters())
    loaded, _, _ = checkpoint.load(tmp_path / "half")
    as_saved, _, _ = checkpoint.load(tmp_path / "half", dtype=None)
    for p, q, r in zip(model.parameters(), loaded.parameters(), as_saved.parameters(), strict=True):
        assert q.dtype == torch.float32 and r.dtype == torch.bfloat16
        assert torch.equal(p.to(torch.bfloat16).float(), q) and torch.equal(q, r.float())


def test_two_saves_of_the_same_are_the_same_bytes(tmp_path):
    for name in "ab":
        save_one(tmp_path / name, trainer={"step": 1})
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_loading_draws_no_random_numbers(tmp_path):
    save_one(tmp_path / "a")
    before = torch.get_rng_state()
    checkpoint.load(tmp_path / "a")
    assert torch.equal(before, torch.get_rng_state())


def test_what_was_loaded_does_not_hang_on_the_files(tmp_path):
    """safetensors maps a file into memory: a tensor that were not copied would change with it."""
    model = new_model()
    optimizers = muon_and_adamw(model)
    train(model, optimizers, range(1))
    checkpoint.save(tmp_path / "a", model, TOKENIZER, optimizers=optimizers)
    loaded, _, _ = checkpoint.load(tmp_path / "a")
    fresh = muon_and_adamw(loaded)
    checkpoint.load_trainer(tmp_path / "a", fresh)
    for name in ("model.safetensors", "optimizer.safetensors"):
        with open(tmp_path / "a" / name, "r+b") as file:
            file.write(bytes(os.path.getsize(file.name)))
    assert same_weights(model, loaded)
    assert all(
        value.any()
        for each in fresh.values()
        for entry in each.state.values()
        for value in entry.values()
    )


def test_heads_come_back(tmp_path):
    heads = {"value": ScalarHead(16), "reward": ScalarHead(16)}
    for head in heads.values():
        nn.init.normal_(head.linear.weight)
    save_one(tmp_path / "a", heads=heads)
    back = {name: ScalarHead(16) for name in heads}
    checkpoint.load_heads(tmp_path / "a", back)
    assert all(same_weights(heads[name], back[name]) for name in heads)
    with pytest.raises(UserError, match="heads.safetensors does not fit the heads critic"):
        checkpoint.load_heads(tmp_path / "a", {"critic": ScalarHead(16)})
    with pytest.raises(UserError, match="heads.safetensors does not fit"):
        checkpoint.load_heads(tmp_path / "a", {name: ScalarHead(17) for name in heads})


def test_a_model_that_hugging_face_cannot_spell_is_not_saved(tmp_path):
    with pytest.raises(UserError, match="qk_norm and qkv_bias"):
        checkpoint.save(tmp_path / "a", new_model(replace(TINY, qkv_bias=True)), TOKENIZER)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("change", [{"norm_eps": 0.5}, {"rope_theta": 0.5}, {"norm_eps": 0.0}])
def test_a_model_that_could_not_be_opened_again_is_not_saved(change, tmp_path):
    model = new_model(replace(TINY, **change))
    refused(lambda: checkpoint.save(tmp_path / "a", model, None), "could not be opened again")
    assert list(tmp_path.iterdir()) == []


# -- Shipped ---------------------------------------------------------------------------------------


SHIPPED = sorted(path.parent for path in machine.data_folder().glob("checkpoints/*/config.json"))


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_a_shipped_checkpoint_is_what_save_would_write_today(folder):
    """Its small files, to the letter; all its files by their sha256."""
    config, tokenizer = checkpoint.load_config(folder), Tokenizer.load(folder)
    checkpoint.load(folder)
    special = {"eos_token_id": tokenizer.eos_id, "pad_token_id": tokenizer.pad_id}
    wanted = tokenizer.files(config.max_seq_len) | {
        "config.json": to_huggingface(config, torch.bfloat16) | special,
        "generation_config.json": special,
    }
    for name, contents in wanted.items():
        text = json.dumps(contents, ensure_ascii=False, indent=2) + "\n"
        assert (folder / name).read_text(encoding="utf-8") == text
    record = json.loads((folder / "minilrm.json").read_text(encoding="utf-8"))
    assert set(record["files"]) == {p.name for p in folder.iterdir()} - {"minilrm.json"}
    for name, sha in record["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha


# -- Finding ---------------------------------------------------------------------------------------


def test_the_newest_whole_checkpoint_is_found_and_broken_ones_are_named(tmp_path):
    for step in (9, 80, 1_000_000, 700):
        save_one(tmp_path / f"step-{step:06d}")
    (tmp_path / "step-best").mkdir()
    (tmp_path / ".step-000900.12.tmp").mkdir()
    (tmp_path / "step-000901").write_text("")
    assert checkpoint.newest_valid(tmp_path) == (1_000_000, tmp_path / "step-1000000", [])
    flip_a_bit(tmp_path / "step-1000000/model.safetensors")
    (tmp_path / "step-000700/minilrm.json").unlink()
    step, path, skipped = checkpoint.newest_valid(tmp_path)
    assert (step, path) == (80, tmp_path / "step-000080")
    assert [p.name for p, _ in skipped] == ["step-1000000", "step-000700"]
    assert "model.safetensors" in skipped[0][1] and "minilrm.json" in skipped[1][1]


def test_no_whole_checkpoint_at_all(tmp_path):
    refused(
        lambda: checkpoint.newest_valid(tmp_path / "nowhere"),
        "no whole checkpoint",
        "without --resume",
    )
    cut_short(save_one(tmp_path / "step-000002") / "config.json")
    refused(
        lambda: checkpoint.newest_valid(tmp_path), "1 broken", "config.json", "without --resume"
    )


def test_shipped_checkpoints_are_found_and_a_missing_one_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    message = refused(
        lambda: checkpoint.shipped("gsm8k-mini-base"),
        "python -m minilrm.pretrain",
        "there are: none",
    )
    assert message.endswith("--export data/checkpoints/gsm8k-mini-base")
    save_one(tmp_path / "checkpoints/toy-base")
    assert checkpoint.shipped("toy-base") == tmp_path / "checkpoints/toy-base"
    refused(lambda: checkpoint.shipped("toy"), "'toy'", "toy-base")
    for name in ("../checkpoints/toy-base", "", ".", ".."):
        refused(lambda name=name: checkpoint.shipped(name), repr(name))


def test_a_user_may_name_a_checkpoint_a_run_or_a_shipped_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folder, run = save_one(tmp_path / "checkpoints/toy-base"), tmp_path / "runs/grpo-toy"
    for step in (1, 2):
        shutil.copytree(folder, run / f"checkpoints/step-{step:06d}")
    (run / "config.json").write_text("{}")
    assert checkpoint.resolve("toy-base") == checkpoint.resolve(str(folder)) == folder
    assert checkpoint.resolve("runs/grpo-toy").name == "step-000002"
    flip_a_bit(run / "checkpoints/step-000002/model.safetensors")
    assert checkpoint.resolve(run).name == "step-000001"
    assert "skipped" in capsys.readouterr().err
    refused(lambda: checkpoint.resolve("toybase"), "'toybase'", "toy-base")
    refused(lambda: checkpoint.load(checkpoint.resolve("runs/none")), "runs/none")


def test_a_model_is_opened_ready_to_be_asked(tmp_path):
    opened = checkpoint.open_model(save_one(tmp_path / "a"))
    assert opened.folder == tmp_path / "a" and opened.info == checkpoint.Info(task="toy")
    assert opened.tokenizer == TOKENIZER and not opened.model.training
    assert same_weights(opened.model, new_model())
    checkpoint.save(tmp_path / "mute", new_model(), None)
    refused(lambda: checkpoint.open_model(tmp_path / "mute"), "mute", "no tokenizer", "choose")


def test_a_run_without_a_whole_checkpoint_is_not_advised_to_resume(tmp_path):
    (tmp_path / "run/checkpoints").mkdir(parents=True)
    message = refused(lambda: checkpoint.open_model(tmp_path / "run"), "choose another run")
    assert "--resume" not in message
