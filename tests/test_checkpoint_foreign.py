"""Folders of Hugging Face: what must open gives the logits of `transformers`; what would give other
logits is refused, with the field that says why; and `transformers` can use what we write."""

import json

import pytest
import safetensors.torch
import torch

from minilrm import checkpoint, machine
from minilrm.checkpoint.huggingface import from_huggingface, to_huggingface
from minilrm.sampler import generate
from tests.checkpoints import (
    TINY,
    TOKENIZER,
    cut_short,
    new_model,
    refused,
    rewrite,
    same_weights,
    save_one,
)

# -- Weights as others write them ------------------------------------------------------------------


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
    assert (
        same_weights(new_model(), loaded) and tokenizer == TOKENIZER and info == checkpoint.Info()
    )


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


@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn])
def test_quantized_weights_are_refused(kind, tmp_path):
    folder = save_one(tmp_path / "a")
    (folder / "minilrm.json").unlink()
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    tensors["model.layers.0.mlp.up_proj.weight"] = tensors["model.layers.0.mlp.up_proj.weight"].to(
        kind
    )
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    refused(lambda: checkpoint.load(folder), "up_proj", str(kind).split(".")[1], "quantized")


# -- The logits of transformers, or a refusal ------------------------------------------------------

SHAPE = {
    "vocab_size": 292,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "max_position_embeddings": 64,
    "pad_token_id": 1,
    "bos_token_id": None,
    "eos_token_id": 0,
}
FAMILIES = {
    "qwen3": {"head_dim": 8, "rope_parameters": {"rope_type": "default", "rope_theta": 50.0}},
    "qwen2": {"tie_word_embeddings": True, "rms_norm_eps": 1e-5},
    "llama": {"head_dim": 10, "rope_parameters": {"rope_type": "default", "rope_theta": 500.0}},
}
IDS = torch.randint(0, 292, (3, 29), generator=torch.Generator().manual_seed(0))


def their_config(family, **changes):
    transformers = pytest.importorskip("transformers")
    return transformers.AutoConfig.for_model(family, **SHAPE, **(FAMILIES[family] | changes))


def their_logits(folder, config):
    """A random model of theirs, saved in a folder; returns its logits."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.Generator().manual_seed(len(name) + p.numel())
            p.add_(torch.randn(p.shape, generator=noise) * 0.3)
        model.save_pretrained(folder)
        return model(IDS).logits


@torch.no_grad()
def assert_same_logits(folder, theirs):
    ours = checkpoint.load(folder)[0]
    torch.testing.assert_close(ours(IDS), theirs, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_that_transformers_wrote_opens_with_the_same_logits(family, tmp_path):
    theirs = their_logits(tmp_path, their_config(family))
    assert_same_logits(tmp_path, theirs)
    # As version 4 writes it, with the fields of real folders that do nothing:
    theta = FAMILIES[family].get("rope_parameters", {}).get("rope_theta", 10_000.0)
    idle = {"sliding_window": 8, "max_window_layers": 1, "use_sliding_window": False}
    idle |= {"attention_dropout": 0.1, "pretraining_tp": 2, "torch_dtype": "float32"}
    rewrite(tmp_path / "config.json", rope_parameters=None, rope_theta=theta, **idle)
    assert_same_logits(tmp_path, theirs)


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
WINDOW = {"use_sliding_window": True, "sliding_window": 4}
OTHERWISE = {
    "rope_scaling beside rope_parameters": ("qwen3", {"rope_scaling": YARN}, "rope_scaling"),
    "yarn": ("qwen3", {"rope_parameters": YARN | {"rope_theta": 50.0}}, "rope_parameters"),
    "linear": ("qwen2", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "linear"),
    "linear, as it was written": (
        "llama",
        {"rope_scaling": {"type": "linear", "factor": 2.0}},
        "linear",
    ),
    "llama3": ("llama", {"rope_scaling": LLAMA3}, "llama3"),
    "windows": ("qwen2", WINDOW | {"max_window_layers": 0}, "use_sliding_window"),
    "windows in some layers": ("qwen3", WINDOW | {"max_window_layers": 2}, "use_sliding_window"),
    "layer types": (
        "qwen3",
        {"layer_types": ["full_attention", "sliding_attention", "full_attention"], **WINDOW},
        "use_sliding_window",
    ),
    "activation": ("llama", {"hidden_act": "gelu"}, "hidden_act"),
    "both directions": ("qwen3", {"is_causal": False}, "is_causal"),
    "biases of attention": ("llama", {"attention_bias": True}, "attention_bias"),
    "biases of qwen3": ("qwen3", {"attention_bias": True}, "attention_bias"),
    "biases of the feed-forward": ("llama", {"mlp_bias": True}, "mlp_bias"),
}


@pytest.mark.parametrize("family, changes, word", OTHERWISE.values(), ids=OTHERWISE.keys())
def test_what_changes_the_logits_and_is_not_built_is_refused(family, changes, word, tmp_path):
    """Each of these is a real change: `transformers` gives other logits with it."""
    plain = their_logits(tmp_path / "plain", their_config(family))
    theirs = their_logits(tmp_path / "theirs", their_config(family, **changes))
    assert (theirs - plain).abs().max() > 1e-2
    refused(lambda: checkpoint.load(tmp_path / "theirs"), "config.json")
    # The field as a user writes it, into a folder that opened before:
    checkpoint.load(tmp_path / "plain")
    rewrite(tmp_path / "plain/config.json", **changes)
    refused(lambda: checkpoint.load(tmp_path / "plain"), "config.json", word)


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"quantization_config": {"quant_method": "fp8"}}, "quantization_config"),
        ({"compression_config": {}}, "compression_config"),
        ({"auto_map": {"AutoModelForCausalLM": "modeling.Model"}}, "auto_map"),
        ({"per_layer_config": {"0": {"head_dim": 4}}}, "per_layer_config"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "partial_rotary_factor"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 1e4}}}, "full_attention"),
        ({"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]}}, "mrope"),
        ({"rope_parameters": [1]}, "rope_parameters"),
        ({"rope_scaling": "yarn"}, "rope_scaling"),
        ({"rope_scaling": False}, "rope_scaling"),
        ({"rope_theta": 5e5}, "twice"),
        ({"rope_scaling": {"rope_type": "default"}}, "both"),
        ({"layer_types": ["full_attention", "linear_attention"]}, "layer_types"),
        ({"layer_types": "full_attention"}, "layer_types"),
        ({"model_type": "gpt2"}, "gpt2"),
        ({"model_type": None}, "model_type"),
        ({"model_type": ["qwen3"]}, "model_type"),
    ],
    ids=str,
)
def test_other_things_that_are_not_built_are_refused_too(changes, word, tmp_path):
    folder = save_one(tmp_path / "a")
    (folder / "minilrm.json").unlink()
    rewrite(folder / "config.json", **changes)
    refused(lambda: checkpoint.load(folder), "config.json", word)


# -- Numbers that make no sense --------------------------------------------------------------------

SIZES = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "max_position_embeddings",
]
NO_SIZE = [0, -1, -(2**62), 200_000_000, 2**62, 2**64, 16.0, 1e400, True, "16", [16], {}]
NO_NUMBER = [0, -1.0, 1e30, 2**64, 1e400, float("nan"), True, "10000", [1e4], {}]
ABSURD = (
    [(field, value) for field in SIZES for value in NO_SIZE]
    + [("num_hidden_layers", 200_000), ("num_hidden_layers", 1001)]
    + [("num_key_value_heads", 3), ("num_key_value_heads", 4), ("head_dim", 7)]
    + [(field, value) for field in ("rope_theta", "rms_norm_eps") for value in NO_NUMBER]
    + [("tie_word_embeddings", value) for value in ("false", 0, 1, [], {})]
    + [("use_sliding_window", value) for value in ("false", 0)]
)


@pytest.mark.parametrize("field, value", ABSURD, ids=lambda x: str(x)[:24])
def test_a_foreign_folder_with_absurd_numbers_is_refused_before_anything_is_built(
    field, value, tmp_path
):
    """The folder has no weights, and they are not missed: the numbers are looked at before."""
    config = to_huggingface(TINY, torch.float32) | {"rope_parameters": None, field: value}
    (tmp_path / "config.json").write_text(json.dumps(config))
    refused(lambda: checkpoint.load(tmp_path), "config.json", field)


def test_heads_that_do_not_divide_the_width_are_refused(tmp_path):
    their_logits(tmp_path, their_config("qwen2"))
    rewrite(tmp_path / "config.json", hidden_size=26)
    refused(lambda: checkpoint.load(tmp_path), "hidden_size", "num_attention_heads", "head_dim")


@pytest.mark.parametrize(
    "field", [name for name in SIZES if name not in ("num_key_value_heads", "head_dim")]
)
def test_a_size_that_is_missing_is_named(field, tmp_path):
    config = to_huggingface(TINY, torch.float32)
    del config[field]
    (tmp_path / "config.json").write_text(json.dumps(config))
    refused(lambda: checkpoint.load(tmp_path), f"{field} is not given")


PUBLISHED = {
    "Qwen3-0.6B": {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "head_dim": 128,
        "hidden_act": "silu",
        "hidden_size": 1024,
        "initializer_range": 0.02,
        "intermediate_size": 3072,
        "max_position_embeddings": 40960,
        "max_window_layers": 28,
        "model_type": "qwen3",
        "num_attention_heads": 16,
        "num_hidden_layers": 28,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.51.0",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": 151936,
    },
    "Qwen2.5-0.5B": {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151643,
        "hidden_act": "silu",
        "hidden_size": 896,
        "initializer_range": 0.02,
        "intermediate_size": 4864,
        "max_position_embeddings": 32768,
        "max_window_layers": 24,
        "model_type": "qwen2",
        "num_attention_heads": 14,
        "num_hidden_layers": 24,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.40.1",
        "use_cache": True,
        "use_mrope": False,
        "use_sliding_window": False,
        "vocab_size": 151936,
    },
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_config_as_it_was_published_is_read(name):
    data = PUBLISHED[name]
    config = from_huggingface(data)
    assert (config.dim, config.n_layers) == (data["hidden_size"], data["num_hidden_layers"])
    assert config.head_dim == data.get("head_dim", config.dim // config.n_heads)
    assert config.rope_theta == data["rope_theta"] and config.norm_eps == data["rms_norm_eps"]


# -- What transformers does with our folders -------------------------------------------------------


def answers_of_transformers(folder, prompts):
    """Greedy answers (ids without padding), all prompts in one batch, as its documentation says."""
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    batch = tokenizer(prompts, return_tensors="pt", padding=True)
    ids = model.generate(**batch, max_new_tokens=24, do_sample=False)
    pad = tokenizer.pad_token_id
    answers = ids[:, batch["input_ids"].shape[1] :].tolist()
    return [[i for i in answer if i != pad] for answer in answers]


def test_prompts_of_different_length_in_one_batch_of_transformers_get_their_own_answers():
    folder = machine.data_folder() / "checkpoints" / "gsm8k-mini-base"
    prompts = [
        "Question: What is 12 + 7?\nAnswer:",
        "Question: Ana has 3 boxes of 4 pens and buys 2 more pens. How many pens does she have?\n"
        "Answer:",
        "Question: Tom had 9 apples and ate 4. How many are left?\nAnswer:",
    ]
    together = answers_of_transformers(folder, prompts)
    assert together == [answers_of_transformers(folder, [prompt])[0] for prompt in prompts]
    _, model, tokenizer, _ = checkpoint.open_model(folder)
    ours = generate(model, tokenizer, prompts, max_new_tokens=24, temperature=0)
    assert together == [row[0].token_ids for row in ours]


def test_a_folder_of_ours_tells_transformers_of_no_sliding_window(tmp_path):
    transformers = pytest.importorskip("transformers")
    folder = save_one(tmp_path / "a")
    assert json.loads((folder / "config.json").read_text())["sliding_window"] is None
    assert transformers.AutoConfig.from_pretrained(folder).sliding_window is None
