"""A GGUF file (llama.cpp's format: one file with shape, vocabulary and quantized weights) made into
a checkpoint: `python -m minilrm.checkpoint import FILE.gguf --out DIR`.

Sources: the format, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; the names of tensors
and what its converter changes, llama.cpp's convert_hf_to_gguf.py; how its vocabularies cut text,
llama-vocab.cpp. The package `gguf` reads the file and dequantises, here to float32.

Two things differ from a Hugging Face folder. Queries and keys of the architecture "llama" stand in
pairs of neighbours, (0, 1), (2, 3) ..., where ours turn (i, i + d / 2): `neighbours_apart`. And the
cut into words is a name alone, so only those below are known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minilrm.checkpoint.huggingface import from_huggingface
from minilrm.checkpoint.loading import assemble
from minilrm.checkpoint.record import Info
from minilrm.checkpoint.saving import save
from minilrm.errors import UserError
from minilrm.options import CommandOptions, option
from minilrm.tokenizer import ForeignTokenizer
from minilrm.tokenizer.huggingface import BYTE_LEVEL

ARCHITECTURES = ("llama", "qwen2", "qwen3")
TENSORS = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
# The config's field -> the metadata's, after the name of the architecture.
FIELDS = {
    "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "rope_theta": "rope.freq_base",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
}
CONTROL, USER_DEFINED = 3, 4  # kinds of tokens: both become added tokens


@dataclass
class Options(CommandOptions):
    """Make a checkpoint out of a GGUF file (Llama, Qwen2, Qwen3; a byte-level BPE vocabulary)."""

    file: Path | None = option(None, "the GGUF file; `import FILE` is short for it")
    out: Path | None = option(None, "the new folder")


def run(options: Options) -> None:
    if options.file is None or options.out is None:
        raise UserError("name the file and the new folder: import FILE.gguf --out DIR")
    folder = import_gguf(options.file, options.out)
    print(f"{options.file} is now the checkpoint {folder}")


def import_gguf(file: Path, out: Path) -> Path:
    """Write a checkpoint with the model and the tokenizer of a GGUF file; returns its folder.

    UserError for a file that is none, an architecture or a vocabulary that is not known here, and
    where the package `gguf` is not installed.
    """
    metadata, weights = read(file)
    try:
        config = from_huggingface(config_of(metadata, weights))
        tokenizer = tokenizer_of(metadata, config.vocab_size)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"it does not say {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{file} holds no model that minilrm can open: {what}; choose another file"
        ) from error
    model = assemble(config, weights, file, "cpu", torch.float32)
    if len(tokenizer) > config.vocab_size:
        raise UserError(
            f"{file} has {len(tokenizer)} tokens, but its embedding only {config.vocab_size} rows; "
            "choose another file"
        )
    made_of = {"source": file.name, "license": str(metadata.get("general.license", "not given"))}
    return save(out, model, tokenizer, info=Info(notes=made_of))


def read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(metadata, weights by Hugging Face's names, float32)."""
    try:
        import gguf
    except ImportError:
        raise UserError(
            'a GGUF file needs the package gguf; install it: pip install -e ".[real]"'
        ) from None
    if not file.is_file():
        raise UserError(f"there is no file {file}; check the path")
    try:
        reader = gguf.GGUFReader(file)
        metadata = {name: field.contents() for name, field in reader.fields.items()}
    except (ValueError, IndexError, KeyError, OSError, OverflowError, UnicodeError) as error:
        raise UserError(f"{file} is no whole GGUF file ({error}); get it again") from error
    refuse_architecture(file, metadata)
    heads = {"attn_q": "attention.head_count", "attn_k": "attention.head_count_kv"}
    weights: dict[str, Tensor] = {}
    for tensor in reader.tensors:
        try:
            values = torch.tensor(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
        except (NotImplementedError, ValueError) as error:
            raise UserError(f"{tensor.name} in {file} cannot be read: {error}") from error
        name, kind = hf_tensor_name(file, tensor.name)
        if metadata["general.architecture"] == "llama" and kind in heads:
            values = neighbours_apart(values, int(metadata[f"llama.{heads[kind]}"]))
        weights[name] = values.contiguous()
    return metadata, weights


def refuse_architecture(file: Path, metadata: Mapping[str, Any]) -> None:
    """UserError for an architecture that is not built here, and for stretched positions."""
    name = metadata.get("general.architecture")
    if name not in ARCHITECTURES:
        raise UserError(
            f"{file} holds a model of the architecture {name}, not {', '.join(ARCHITECTURES)}; "
            "choose another model"
        )
    scaling = metadata.get(f"{name}.rope.scaling.type", "none")
    if scaling != "none" or metadata.get(f"{name}.expert_count"):
        what = "experts" if scaling == "none" else f"{scaling} positions"
        raise UserError(f"{file} has {what}, which are not built here; choose another model")


def hf_tensor_name(file: Path, name: str) -> tuple[str, str]:
    """("model.layers.0.self_attn.q_proj.weight", "attn_q") for "blk.0.attn_q.weight"."""
    match = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
    if match is None or match[2] not in TENSORS:
        raise UserError(f"{file} has {name}, which has no place in the model; choose another file")
    layer = f"model.layers.{match[1]}." if match[1] else ""
    return f"{layer}{TENSORS[match[2]]}.{match[3]}", match[2]


def neighbours_apart(weight: Tensor, heads: int) -> Tensor:
    """The rows of a query or key matrix, or of its bias, from pairs of neighbours to (i, i + d/2).

    >>> neighbours_apart(torch.arange(6), heads=1).tolist()
    [0, 2, 4, 1, 3, 5]
    """
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def config_of(metadata: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The config.json of the file. KeyError for a field that it has not."""
    family = metadata["general.architecture"]
    config: dict[str, Any] = {"model_type": family}
    for field, name in FIELDS.items():
        if (value := metadata.get(f"{family}.{name}")) is not None:
            config[field] = value
    if "model.embed_tokens.weight" not in weights:
        raise ValueError("it has no embedding")
    config["vocab_size"] = len(weights["model.embed_tokens.weight"])
    config["tie_word_embeddings"] = "lm_head.weight" not in weights
    return config


# -- the vocabulary --------------------------------------------------------------------------------


def split(pattern: str) -> dict[str, Any]:
    """A pre-tokenizer that cuts by a pattern, then spells in bytes."""
    cut = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [cut, BYTE_LEVEL]}


GPT2 = BYTE_LEVEL | {"use_regex": True}
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
WORDS += r"|\s*[\r\n]+|\s+(?!\S)|\s+"
# tokenizer.ggml.pre -> what differs in tokenizer.json, as the families themselves publish it.
CUTS: dict[str, dict[str, Any]] = {
    "gpt-2": {"pre_tokenizer": GPT2},
    "smollm": {
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, GPT2],
        }
    },
    "llama-bpe": {"pre_tokenizer": split(WORDS % r"\p{N}{1,3}"), "ignore_merges": True},
    "qwen2": {"pre_tokenizer": split(WORDS % r"\p{N}"), "normalizer": {"type": "NFC"}},
}


def tokenizer_of(metadata: Mapping[str, Any], size: int) -> ForeignTokenizer:
    """The tokenizer of the file. ValueError for a vocabulary that is no byte-level BPE, or whose
    cut into words is not known here."""
    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != "gpt2":
        raise ValueError(f"its vocabulary is of the kind {kind}, no byte-level BPE")
    if pre not in CUTS:
        raise ValueError(f"its text is cut as {pre!r}, not as {', '.join(CUTS)}")
    names, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    added = [
        special_token(i, name, token_kind == CONTROL)
        for i, (name, token_kind) in enumerate(zip(names, kinds, strict=True))
        if token_kind in (CONTROL, USER_DEFINED)
    ]
    cut = CUTS[pre]
    definition = {
        "version": "1.0",
        "normalizer": cut.get("normalizer"),
        "pre_tokenizer": cut["pre_tokenizer"],
        "decoder": BYTE_LEVEL,
        "post_processor": begins_with(metadata, names),
        "added_tokens": added,
        "model": {
            "type": "BPE",
            "ignore_merges": cut.get("ignore_merges", False),
            "vocab": {name: i for i, name in enumerate(names)},
            "merges": [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]],
        },
    }
    # "end of text", and where a turn of a conversation ends with another one "end of turn"
    end, turn, pad = (
        metadata.get(f"tokenizer.ggml.{n}_token_id") for n in ("eos", "eot", "padding")
    )
    if end is None:
        raise ValueError("it does not say which token ends a text")
    ends = list(dict.fromkeys(int(i) for i in (end, turn) if i is not None))
    template = metadata.get("tokenizer.chat_template")
    beside = {
        "tokenizer_config.json": tokenizer_config(names, metadata),
        **({"chat_template.jinja": template} if template else {}),
    }
    text = json.dumps(definition, ensure_ascii=False)
    return ForeignTokenizer(text, ends, None if pad is None else int(pad), size, beside)


def begins_with(metadata: Mapping[str, Any], names: list[str]) -> dict[str, Any] | None:
    """The post-processor that puts the beginning-of-text token before a text, where the file asks
    for one."""
    i = metadata.get("tokenizer.ggml.bos_token_id")
    if not metadata.get("tokenizer.ggml.add_bos_token") or i is None:
        return None
    name = names[i]
    token, text = (
        {"SpecialToken": {"id": name, "type_id": 0}},
        {"Sequence": {"id": "A", "type_id": 0}},
    )
    pair = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [token, text],
        "pair": [token, text, pair],
        "special_tokens": {name: {"id": name, "ids": [int(i)], "tokens": [name]}},
    }


def special_token(i: int, name: str, special: bool) -> dict[str, Any]:
    """One of `added_tokens`."""
    flags = ("single_word", "lstrip", "rstrip", "normalized")
    return {"id": i, "content": name, "special": special} | dict.fromkeys(flags, False)


def tokenizer_config(names: list[str], metadata: Mapping[str, Any]) -> str:
    """The contents of tokenizer_config.json, by which `transformers` knows the ends of a text."""
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "attention_mask"],
        "clean_up_tokenization_spaces": False,
        "padding_side": "left",
    }
    for token, name in (("bos", "bos"), ("eos", "eos"), ("pad", "padding"), ("unk", "unknown")):
        i = metadata.get(f"tokenizer.ggml.{name}_token_id")
        if i is not None and 0 <= i < len(names):
            config[f"{token}_token"] = names[i]
    return json.dumps(config, ensure_ascii=False, indent=2)
