"""Our model's shape and names in Hugging Face's words, and back.

`from_huggingface` reads a stranger's config.json. It builds nothing, and it refuses what our model
would do otherwise than `transformers`: a wrong logit is never computed in silence. The fields are
those of Qwen3Config, Qwen2Config and LlamaConfig in transformers 4.51 to 5.23; fields that say how
to train or how to generate (dropout, initializer_range, use_cache, token ids ...) are not read.
"""

import json
from typing import Any

import torch

from minilrm.errors import UserError
from minilrm.model import ModelConfig

# The architectures that our options can spell: model_type -> (class, qk_norm, qkv_bias).
FAMILIES = {
    "qwen3": ("Qwen3ForCausalLM", True, False),
    "qwen2": ("Qwen2ForCausalLM", False, True),
    "llama": ("LlamaForCausalLM", False, False),
}

# Fields that change the logits, and the one value that is built here. None is as good as absent.
ONLY = {
    "hidden_act": "silu",
    "attention_bias": False,
    "mlp_bias": False,
    "use_sliding_window": False,
    "is_causal": True,
}

# Fields that are refused whatever they hold, with the reason.
REFUSED = {
    "quantization_config": "its weights are quantized",
    "compression_config": "its weights are quantized",
    "auto_map": "its logits come from code of its own",
    "per_layer_config": "its layers differ from each other",
}

# The largest values that are believed, well above those of any published model: a wrong number is
# to be found here, not by the memory that it asks for.
LARGEST = {
    "vocab_size": 1 << 24,
    "hidden_size": 1 << 18,
    "num_hidden_layers": 1_000,
    "num_attention_heads": 1 << 12,
    "num_key_value_heads": 1 << 12,
    "head_dim": 1 << 12,
    "intermediate_size": 1 << 20,
    "max_position_embeddings": 1 << 24,
}
ROPE_THETA, RMS_NORM_EPS = (1.0, 1e12), (1e-12, 0.1)  # from, to
PLAIN_ROPE = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}


def hf_name(name: str) -> str:
    """Our parameter's name in Hugging Face's files. Only the output matrix, where it is untied, is
    called otherwise."""
    return "lm_head.weight" if name == "lm_head_weight" else f"model.{name}"


def to_huggingface(config: ModelConfig, dtype: torch.dtype) -> dict[str, Any]:
    """Our shape as config.json. `transformers` 4 and 5 call the base of the angles and the
    precision differently; without sliding_window null, some of 4 warn of sliding windows.

    UserError for a model that no architecture of Hugging Face can spell, or that could not be
    opened again.
    """
    flags = (config.qk_norm, config.qkv_bias)
    family = next((name for name, (_, *own) in FAMILIES.items() if tuple(own) == flags), None)
    if family is None:
        raise UserError(
            "a model with qk_norm and qkv_bias cannot be saved: no architecture of Hugging Face "
            "has just these two; switch one of them off"
        )
    precision = str(dtype).removeprefix("torch.")
    data = {
        "architectures": [FAMILIES[family][0]],
        "model_type": family,
        "vocab_size": config.vocab_size,
        "hidden_size": config.dim,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.n_kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.ffn_dim,
        "max_position_embeddings": config.max_seq_len,
        "rope_theta": config.rope_theta,  # version 4
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},  # version 5
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": config.tie_embeddings,
        "attention_bias": False,
        "hidden_act": "silu",
        "use_sliding_window": False,
        "sliding_window": None,
        "torch_dtype": precision,  # version 4
        "dtype": precision,  # version 5
    }
    try:
        from_huggingface(data)
    except ValueError as error:
        raise UserError(f"this model could not be opened again: {error}; change it") from error
    return data


def from_huggingface(data: dict[str, Any]) -> ModelConfig:
    """config.json in our words. ValueError, which names the field, for numbers that make no sense
    and for what our model does not do."""
    family = data.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        raise ValueError(f"model_type is {shown(family)}, not {', '.join(FAMILIES)}")
    refuse_what_is_not_built(data)
    dim, heads = whole(data, "hidden_size"), whole(data, "num_attention_heads")
    config = ModelConfig(
        vocab_size=whole(data, "vocab_size"),
        dim=dim,
        n_layers=whole(data, "num_hidden_layers"),
        n_heads=heads,
        n_kv_heads=whole(data, "num_key_value_heads", heads),
        ffn_dim=whole(data, "intermediate_size"),
        head_dim=whole(data, "head_dim", 128 if family == "qwen3" else dim // heads),
        max_seq_len=whole(data, "max_position_embeddings"),
        rope_theta=rope_theta(data),
        norm_eps=number(data, "rms_norm_eps", RMS_NORM_EPS, 1e-6),
        qk_norm=FAMILIES[family][1],
        qkv_bias=FAMILIES[family][2],
        tie_embeddings=flag(data, "tie_word_embeddings"),
    )
    refuse_heads_that_do_not_divide(data, config)
    return config


def refuse_what_is_not_built(data: dict[str, Any]) -> None:
    """ValueError for a field that changes the logits in a way that our model has not."""
    for key, why in REFUSED.items():
        if data.get(key) is not None:
            raise ValueError(f"{key} is given: {why}")
    for key, value in ONLY.items():
        found = data.get(key)
        if found is not None and (type(found) is not type(value) or found != value):
            raise ValueError(f"{key} is {shown(found)}, and only {shown(value)} is built here")
    layers = data.get("layer_types")
    if layers is not None and (
        not isinstance(layers, list) or any(kind != "full_attention" for kind in layers)
    ):
        raise ValueError(f"layer_types is {shown(layers)}, and only full_attention is built here")


def rope_theta(data: dict[str, Any]) -> float:
    """The base of the rotary angles, wherever it stands.

    Version 4 of `transformers` has it in rope_theta, version 5 in rope_parameters; how positions
    are stretched beyond the trained length ("yarn", "linear" ...) stands in rope_scaling or in
    rope_parameters, and in both versions rope_scaling wins. ValueError for any stretching, and for
    places that contradict each other.
    """
    given = [n for n in ("rope_scaling", "rope_parameters") if data.get(n) not in (None, {})]
    for name in given:
        refuse_scaling(name, data[name])
    if len(given) > 1:
        raise ValueError("rope_scaling and rope_parameters are both given; leave one of them")
    places = [data, *(data[name] for name in given)]
    if any(number(place, "partial_rotary_factor", (0, 1), 1) != 1 for place in places):
        raise ValueError("partial_rotary_factor is not 1, and only whole heads turn here")
    bases = {
        number(place, "rope_theta", ROPE_THETA, 10_000.0)
        for place in places
        if place.get("rope_theta") is not None
    }
    if len(bases) > 1:
        raise ValueError(f"rope_theta is given twice, as {' and as '.join(map(str, bases))}")
    return bases.pop() if bases else 10_000.0


def refuse_scaling(name: str, rope: object) -> None:
    """ValueError unless a rope_scaling or rope_parameters asks for plain rotary positions."""
    if not isinstance(rope, dict):
        raise ValueError(f"{name} is {shown(rope)}, where an object {{...}} is needed")
    for key in ("rope_type", "type"):
        if rope.get(key) not in (None, "default"):
            raise ValueError(
                f"{name} asks for {shown(rope[key])} positions, and only plain ones are built "
                "here (if you added it for texts beyond the trained length, take it out again)"
            )
    for key, value in rope.items():
        if value is not None and key not in PLAIN_ROPE:
            raise ValueError(f"{name} has {shown(key)}, and only plain positions are built here")


def refuse_heads_that_do_not_divide(data: dict[str, Any], config: ModelConfig) -> None:
    """ValueError if the heads cannot share the width, the keys, or the rotary pairs evenly."""
    if config.n_heads % config.n_kv_heads:
        raise ValueError(
            f"num_attention_heads is {config.n_heads}, which is no multiple of "
            f"num_key_value_heads, {config.n_kv_heads}"
        )
    if (
        data.get("head_dim") is None
        and data["model_type"] != "qwen3"
        and config.dim % config.n_heads
    ):
        raise ValueError(
            f"hidden_size is {config.dim}, which is no multiple of num_attention_heads, "
            f"{config.n_heads}, and head_dim is not given"
        )
    if config.head_dim % 2:
        raise ValueError(f"head_dim is {config.head_dim}, and rotary positions need an even one")


# Reading one field


def whole(data: dict[str, Any], key: str, default: int | None = None) -> int:
    """A whole number from 1 to the largest that is believed."""
    value = default if data.get(key) is None else data[key]
    if type(value) is not int or not 1 <= value <= LARGEST[key]:
        raise ValueError(
            f"{key} is {shown(value)}, where a whole number from 1 to {LARGEST[key]} is needed"
        )
    return value


def number(data: dict[str, Any], key: str, bounds: tuple[float, float], default: float) -> float:
    """A number within the bounds, both included; the default if the field is not there."""
    value, (low, high) = default if data.get(key) is None else data[key], bounds
    if type(value) not in (int, float) or not low <= value <= high:  # NaN is within no bounds
        raise ValueError(
            f"{key} is {shown(value)}, where a number from {low:g} to {high:g} is needed"
        )
    return float(value)


def flag(data: dict[str, Any], key: str) -> bool:
    """true or false; false if the field is not there."""
    value = data.get(key)
    if value is not None and type(value) is not bool:
        raise ValueError(f"{key} is {shown(value)}, where true or false is needed")
    return bool(value)


def shown(value: object) -> str:
    """A value for a message of one line: as it stands in the file, cut where it is long."""
    text = "not given" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
