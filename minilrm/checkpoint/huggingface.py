"""Our model's shape and names in Hugging Face's words, and back."""

import torch

from minilrm.errors import UserError
from minilrm.model import ModelConfig

# The architectures that our options can spell: model_type -> (class, qk_norm, qkv_bias).
FAMILIES = {
    "qwen3": ("Qwen3ForCausalLM", True, False),
    "qwen2": ("Qwen2ForCausalLM", False, True),
    "llama": ("LlamaForCausalLM", False, False),
}


def hf_name(name: str) -> str:
    """Our parameter's name in Hugging Face's files. Only the output matrix, where it is untied, is
    called otherwise."""
    return "lm_head.weight" if name == "lm_head_weight" else f"model.{name}"


def to_huggingface(config: ModelConfig, dtype: torch.dtype) -> dict:
    """Our shape as config.json. `transformers` 4 and 5 call the base of the angles and the
    precision differently."""
    flags = (config.qk_norm, config.qkv_bias)
    family = next((name for name, (_, *own) in FAMILIES.items() if tuple(own) == flags), None)
    if family is None:
        raise UserError(
            "a model with qk_norm and qkv_bias cannot be saved: no architecture of Hugging Face has just "
            "these two; switch one of them off"
        )
    number = str(dtype).removeprefix("torch.")
    return {
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
        "torch_dtype": number,
        "dtype": number,  # versions 4 and 5
    }


def from_huggingface(data: dict) -> ModelConfig:
    """config.json in our words. ValueError for what our model does not do: it must never be done
    wrong in silence."""
    family = data.get("model_type")
    if family not in FAMILIES:
        raise ValueError(f"model_type is {family!r}, not {', '.join(FAMILIES)}")
    rope = data.get("rope_parameters") or data.get("rope_scaling") or {}
    only(rope, "rope_type" if "rope_type" in rope else "type", "default")
    only(data, "hidden_act", "silu")
    for extra in ("attention_bias", "mlp_bias", "use_sliding_window"):
        only(data, extra, False)
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
        rope_theta=float(rope.get("rope_theta", data.get("rope_theta", 10_000.0))),
        norm_eps=float(data.get("rms_norm_eps", 1e-6)),
        qk_norm=FAMILIES[family][1],
        qkv_bias=FAMILIES[family][2],
        tie_embeddings=bool(data.get("tie_word_embeddings", False)),
    )
    if config.n_heads % config.n_kv_heads or config.head_dim % 2:
        raise ValueError(
            "num_attention_heads must be a multiple of num_key_value_heads, and head_dim even"
        )
    return config


def only(data: dict, key: str, value: object) -> None:
    """ValueError if an option is set to anything but the one value that we have built."""
    if data.get(key, value) not in (value, None):
        raise ValueError(f"{key} is {data[key]!r}, and only {value!r} is built here")


def whole(data: dict, key: str, default: int | None = None) -> int:
    """A whole number above 0."""
    value = default if data.get(key) is None else data[key]
    if type(value) is not int or value < 1:
        raise ValueError(f"{key} is {value!r}, where a whole number above 0 is needed")
    return value
