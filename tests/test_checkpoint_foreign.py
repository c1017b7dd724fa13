"""Folders of Hugging Face: what must open gives the logits of `transformers`; what would give others
is refused, with the field that says why; and what we write, `transformers` can use."""

import json

import pytest
import safetensors.torch

from minilrm import checkpoint
from tests.checkpoints import (
    TOKENIZER,
    cut_short,
    new_model,
    refused,
    same_weights,
    save_one,
)

# -- Folders of Hugging Face -----------------------------------------------------------------------


def as_shards(folder, places=None):
    """Cut the weights of a checkpoint into two files with an index, as Hugging Face does for large
    models."""
    (folder / "minilrm.json").unlink()
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    names = sorted(tensors)
    files = {
        "model-00001-of-00002.safetensors": names[:5],
        "model-00002-of-00002.safetensors": names[5:],
    }
    for file, part in files.items():
        safetensors.torch.save_file({name: tensors[name] for name in part}, folder / file)
    places = (
        {name: file for file, part in files.items() for name in part} if places is None else places
    )
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": places})
    )
    (folder / "model.safetensors").unlink()
    return folder


def test_weights_in_several_files_are_read(tmp_path):
    loaded, tokenizer, info = checkpoint.load(as_shards(save_one(tmp_path / "a")))
    assert same_weights(new_model(), loaded) and tokenizer == TOKENIZER and info == {}


def test_a_damaged_one_of_several_files_is_refused(tmp_path):
    folder = as_shards(save_one(tmp_path / "a"))
    cut_short(folder / "model-00002-of-00002.safetensors")
    refused(lambda: checkpoint.load(folder), "model-00002-of-00002.safetensors")
    (folder / "model-00002-of-00002.safetensors").unlink()
    refused(lambda: checkpoint.load(folder), "model-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    "places", [[], "x", {"a": 1}, {"a": ["x"]}, {"a": "../b/model.safetensors"}, {"a": "/etc/x"}]
)
def test_an_index_that_makes_no_sense_or_leads_out_of_the_folder_is_refused(tmp_path, places):
    save_one(tmp_path / "b")
    folder = as_shards(save_one(tmp_path / "a"), places)
    refused(lambda: checkpoint.load(folder), "model.safetensors.index.json")


def test_a_tied_output_matrix_that_is_written_twice_is_read_and_another_one_refused(tmp_path):
    folder = save_one(tmp_path / "a")
    (folder / "minilrm.json").unlink()
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    assert same_weights(new_model(), checkpoint.load(folder)[0])
    tensors["lm_head.weight"] += 1
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    refused(lambda: checkpoint.load(folder), "tie_word_embeddings")


def test_another_projects_tokenizer_is_none(tmp_path):
    folder = save_one(tmp_path / "a")
    (folder / "minilrm.json").unlink()
    (folder / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}')
    assert checkpoint.load(folder)[1] is None
    (folder / "tokenizer.json").unlink()
    assert checkpoint.load(folder)[1] is None
    checkpoint.save(tmp_path / "b", new_model(), None)
    assert checkpoint.load(tmp_path / "b")[1] is None
