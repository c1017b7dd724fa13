"""Checkpoints that are damaged, or whose training broke down, are refused in one line that names
the file."""

from dataclasses import replace
from pathlib import Path

import pytest

from minilrm import checkpoint
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
