"""Checkpoints that are damaged, or whose training broke down, are refused in one line that names
the file."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from minilrm import checkpoint
from minilrm.checkpoint import saving
from minilrm.errors import UserError
from minilrm.model import ScalarHead
from tests.checkpoints import (
    TINY,
    TOKENIZER,
    cut_short,
    flip_a_bit,
    muon_and_adamw,
    new_model,
    refused,
    rewrite,
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


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"hidden_size": 18}, "embed_tokens"),
        ({"vocab_size": 10**7}, "embed_tokens"),
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
    checkpoint.save(tmp_path / "a", new_model(replace(TINY, vocab_size=291)), TOKENIZER)
    refused(lambda: checkpoint.load(tmp_path / "a"), "tokenizer.json", "292", "291")


@pytest.mark.parametrize("with_record", [True, False], ids=["with minilrm.json", "without"])
def test_random_damage_is_one_line_or_harmless_and_never_a_traceback(trained, with_record):
    """A byte is changed, some are cut out or put in. With sha256 all of it is found; without, what
    still makes sense is read."""
    if not with_record:
        (trained / "minilrm.json").unlink()
    rng = random.Random(0)
    for path in sorted(trained.iterdir()):
        whole = path.read_bytes()
        for _ in range(25):
            data, at = bytearray(whole), rng.randrange(len(whole))
            data[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(1, 3))
            path.write_bytes(data)
            try:
                load_all(trained)
            except UserError as error:
                assert "\n" not in str(error) and str(trained) in str(error)
                continue
            unread = ("generation_config.json", "tokenizer_config.json", "README.md")
            read = path.name not in unread
            assert not (with_record and read and path.name != "minilrm.json" and data != whole)
        path.write_bytes(whole)
    load_all(trained)


@pytest.mark.parametrize(
    "info, word",
    [
        ({"task": ["gsm8k-mini"]}, "task"),
        ({"options": "lr"}, "options"),
        ({"step": True}, "step"),
        ([], "info"),
        (3, "info"),
    ],
    ids=str,
)
def test_a_record_with_values_of_a_wrong_kind_is_refused(trained, info, word):
    rewrite(trained / "minilrm.json", info=info)
    refused(lambda: checkpoint.load(trained), "minilrm.json", word)


def test_a_record_that_leads_out_of_the_folder_is_refused(trained):
    rewrite(trained / "minilrm.json", files={"../secret": "0" * 64})
    refused(lambda: checkpoint.load(trained), "minilrm.json")


# -- Training that broke down ----------------------------------------------------------------------

NOT_FINITE = {"NaN": float("nan"), "infinity": float("inf"), "minus infinity": float("-inf")}


def broken_model(value):
    model = new_model()
    with torch.no_grad():
        model.layers[1].mlp.down_proj.weight[3, 4] = value
    return model


def write_unchecked(folder, model, monkeypatch, **more):
    """A checkpoint as an older version wrote it: whole, by its sha256, whatever its weights are."""
    with monkeypatch.context() as patch:
        patch.setattr(saving, "refuse_broken", lambda *_: None)
        return checkpoint.save(folder, model, TOKENIZER, **more)


@pytest.mark.parametrize("value", NOT_FINITE.values(), ids=NOT_FINITE.keys())
def test_weights_that_broke_down_are_not_saved_and_older_checkpoints_stay(value, tmp_path):
    older = save_one(tmp_path / "step-000001")
    refused(
        lambda: checkpoint.save(tmp_path / "step-000002", broken_model(value), TOKENIZER),
        "step-000002 is not saved",
        "model.layers.1.mlp.down_proj.weight",
        "lower learning rate",
    )
    assert list(tmp_path.iterdir()) == [older]
    assert checkpoint.newest_valid(tmp_path) == (1, older, [])


def test_weights_that_the_precision_on_disk_cannot_hold_are_not_saved(tmp_path):
    model = broken_model(3.4e38)
    checkpoint.load(checkpoint.save(tmp_path / "a", model, None))
    refused(lambda: checkpoint.save(tmp_path / "b", model, None, dtype=torch.bfloat16), "down_proj")


@pytest.mark.parametrize("where", ["heads", "optimizers"])
def test_a_critic_or_an_optimizer_that_broke_down_is_not_saved_either(where, tmp_path):
    model, head = new_model(), ScalarHead(16)
    optimizers = muon_and_adamw(model)
    train(model, optimizers, range(1))
    if where == "heads":
        torch.nn.init.constant_(head.linear.bias, float("nan"))
    else:
        next(iter(optimizers["adamw"].state.values()))["exp_avg_sq"].fill_(float("inf"))
    parts = {"heads": {"value": head}, "optimizers": optimizers}
    name = {"heads": "value.linear.bias", "optimizers": "adamw.0.exp_avg_sq"}[where]
    refused(lambda: checkpoint.save(tmp_path / "a", model, None, **parts), name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", NOT_FINITE.values(), ids=NOT_FINITE.keys())
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "another's"])
def test_a_checkpoint_of_nan_is_refused_with_the_tensor_and_what_to_do(
    value, ours, tmp_path, monkeypatch
):
    folder = write_unchecked(tmp_path / "a", broken_model(value), monkeypatch)
    if not ours:
        (folder / "minilrm.json").unlink()
    for read in (checkpoint.load, checkpoint.open_model):
        refused(
            lambda read=read: read(folder),
            "model.safetensors",
            "model.layers.1.mlp.down_proj.weight",
            "older checkpoint",
        )


def test_resume_skips_a_checkpoint_of_nan(tmp_path, monkeypatch, capsys):
    model = new_model()
    optimizers = muon_and_adamw(model)
    checkpoint.save(tmp_path / "step-000001", model, TOKENIZER, optimizers=optimizers)
    broken = broken_model(float("nan"))
    write_unchecked(tmp_path / "step-000002", broken, monkeypatch, optimizers=optimizers)
    step, path, skipped = checkpoint.newest_valid(tmp_path)
    assert step == 1 and [p.name for p, _ in skipped] == ["step-000002"]
    assert checkpoint.resume(tmp_path, new_model(), optimizers).step == 1
    assert "step-000002" in capsys.readouterr().err
