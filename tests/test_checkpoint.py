"""Checkpoints: what goes in comes out, bit for bit; a run goes on as if it had never stopped;
others' folders open.

Damage is in test_checkpoint_damage.py.
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

from minilrm import checkpoint
from minilrm.errors import UserError
from minilrm.model import ModelConfig, ScalarHead, Transformer
from minilrm.optim import pretraining_optimizers, remember_lr, set_lr
from minilrm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["the cat sat on the mat, the cat"] * 9, vocab_size=292)
TINY = ModelConfig(
    vocab_size=292,
    dim=16,
    n_layers=2,
    n_heads=2,
    n_kv_heads=1,
    head_dim=8,
    ffn_dim=20,
    max_seq_len=32,
)


def new_model(config=TINY, seed=0):
    torch.manual_seed(seed)
    return Transformer(config)


def save_one(folder, **more):
    return checkpoint.save(folder, new_model(), TOKENIZER, info={"task": "toy"}, **more)


def same_weights(a, b):
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def refused(call, *parts):
    """The call is refused by a UserError of one line, which names all the parts."""
    with pytest.raises(UserError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message and message.strip()
    for part in parts:
        assert part in message, message
    return message


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 4] ^= 1
    path.write_bytes(data)


def train(model, optimizers, steps):
    """Steps whose data depends on the step alone, with a learning rate that changes, as in a real
    run."""
    for step in steps:
        ids = torch.randint(0, 292, (4, 12), generator=torch.Generator().manual_seed(step))
        set_lr(optimizers, 1 - step / 10)
        nn.functional.cross_entropy(
            model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()
        ).backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()


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
    model, info = new_model(config), {"task": "toy", "options": {"lr": 0.1}, "note": "né"}
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
    assert record["task"] == "toy"
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
    assert all(
        p.dtype == torch.float32 for p in model.parameters()
    )  # saving leaves the model as it was
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
    checkpoint.save(tmp_path / "a", model, TOKENIZER, info={}, optimizers=optimizers)
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
    back = checkpoint.load_heads(tmp_path / "a", {name: ScalarHead(16) for name in heads})
    assert all(same_weights(heads[name], back[name]) for name in heads)
    with pytest.raises(UserError, match="heads.safetensors does not fit the heads critic"):
        checkpoint.load_heads(tmp_path / "a", {"critic": ScalarHead(16)})
    with pytest.raises(UserError, match="heads.safetensors does not fit"):
        checkpoint.load_heads(tmp_path / "a", {name: ScalarHead(17) for name in heads})


def test_a_model_that_hugging_face_cannot_spell_is_not_saved(tmp_path):
    with pytest.raises(UserError, match="qk_norm and qkv_bias"):
        checkpoint.save(tmp_path / "a", new_model(replace(TINY, qkv_bias=True)), TOKENIZER, info={})
    assert list(tmp_path.iterdir()) == []


# -- Going on with a run ---------------------------------------------------------------------------


def muon_and_adamw(model):
    return pretraining_optimizers(model, muon_lr=0.02, adam_lr=3e-3, weight_decay=0.1)


def others(model):
    """Further kinds of state: two groups of parameters, AMSGrad's extra tensors, a value that is
    None, none at all."""
    ps = list(model.parameters())
    return remember_lr(
        {
            "amsgrad": torch.optim.AdamW(
                [{"params": ps[:3], "lr": 1e-2}, {"params": ps[3:6]}], amsgrad=True
            ),
            "momentum": torch.optim.SGD(ps[6:9], lr=0.1, momentum=0.9),
            "plain": torch.optim.SGD(ps[9:], lr=0.1),
        }
    )


@pytest.mark.parametrize("make", [muon_and_adamw, others])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(make, tmp_path):
    model = new_model()
    optimizers = make(model)
    train(model, optimizers, range(3))
    state = {"step": 3, "best": None, "seconds": 0.1 + 0.2, "seen": [1, 2]}
    checkpoint.save(
        tmp_path / "step-000003", model, TOKENIZER, info={}, optimizers=optimizers, trainer=state
    )
    at_save = {name: optimizer.state_dict() for name, optimizer in optimizers.items()}
    groups = {
        name: [dict(group) for group in saved["param_groups"]] for name, saved in at_save.items()
    }
    tensors = {
        (name, i, key): value.clone()
        for name, saved in at_save.items()
        for i, entry in saved["state"].items()
        for key, value in entry.items()
        if value is not None
    }
    train(model, optimizers, range(3, 6))

    again, _, _ = checkpoint.load(tmp_path / "step-000003")
    fresh = make(again)
    assert checkpoint.load_trainer(tmp_path / "step-000003", fresh) == state
    for name, optimizer in fresh.items():
        assert optimizer.state_dict()["param_groups"] == groups[name]
    for (name, i, key), value in tensors.items():
        assert torch.equal(fresh[name].state_dict()["state"][i][key], value)
    train(again, fresh, range(3, 6))
    assert same_weights(model, again)


def test_without_the_optimizers_a_resumed_run_is_another():
    """The test above would prove little if the states did not matter."""
    model = new_model()
    optimizers = muon_and_adamw(model)
    train(model, optimizers, range(3))
    again = new_model()
    again.load_state_dict(model.state_dict())
    train(model, optimizers, range(3, 6))
    train(again, muon_and_adamw(again), range(3, 6))
    assert not same_weights(model, again)


def test_a_trainer_of_another_run_is_refused_and_changes_nothing(tmp_path):
    model = new_model()
    optimizers = muon_and_adamw(model)
    train(model, optimizers, range(2))
    checkpoint.save(
        tmp_path / "a", model, TOKENIZER, info={}, optimizers=optimizers, trainer={"step": 2}
    )
    with pytest.raises(UserError, match="trainer.json.*other options.*'muon', 'adamw'.*'adamw'"):
        checkpoint.load_trainer(tmp_path / "a", {"adamw": torch.optim.AdamW(model.parameters())})
    wider = muon_and_adamw(new_model(replace(TINY, ffn_dim=24)))
    with pytest.raises(UserError, match="shape"):
        checkpoint.load_trainer(tmp_path / "a", wider)
    assert not any(optimizer.state for optimizer in wider.values())
    deeper = muon_and_adamw(new_model(replace(TINY, n_layers=3)))
    with pytest.raises(UserError, match="other options"):
        checkpoint.load_trainer(tmp_path / "a", deeper)
    save_one(tmp_path / "finished")
    with pytest.raises(UserError, match="has no trainer.json"):
        checkpoint.load_trainer(tmp_path / "finished", optimizers)


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
    checkpoint.save(tmp_path / "b", new_model(), None, info={})
    assert checkpoint.load(tmp_path / "b")[1] is None


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
