"""Saving: a model and all that belongs to it, as one new folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minilrm.checkpoint.card import CARD, model_card
from minilrm.checkpoint.disk import new_folder, write_bytes, write_json, write_tensors
from minilrm.checkpoint.huggingface import hf_name, to_huggingface
from minilrm.checkpoint.integrity import first_not_finite, sha256
from minilrm.checkpoint.record import RECORD, Info, Record
from minilrm.errors import UserError
from minilrm.model import Transformer, count_parameters
from minilrm.tokenizer import Tokenizer

WEIGHTS, HEADS = "model.safetensors", "heads.safetensors"
OPTIMIZER, TRAINER = "optimizer.safetensors", "trainer.json"


def save(
    folder: str | Path,
    model: Transformer,
    tokenizer: Tokenizer | None,
    *,
    info: Info | None = None,
    heads: Mapping[str, nn.Module] | None = None,
    optimizers: Mapping[str, Optimizer] | None = None,
    trainer: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a new checkpoint folder and return it; an existing one is never overwritten.

    info: where the model comes from. trainer: what a loop needs to go on, anything that JSON can
    hold. dtype: precision of the weights on disk, torch.bfloat16 for those we ship; None keeps the
    model's own.

    UserError, before anything is written, if a weight is NaN or infinite, or if the folder is
    there; UserError, with nothing left behind, if the disk refuses.
    """
    folder = Path(folder)
    config = to_huggingface(model.config, dtype or model.norm.weight.dtype)
    special: dict[str, Any] = {}
    if tokenizer is not None:
        ends = list(tokenizer.end_ids) if tokenizer.other_ends else tokenizer.eos_id
        special = {"eos_token_id": ends, "pad_token_id": tokenizer.pad_id}
    tensors = {WEIGHTS: {hf_name(name): p.to(dtype) for name, p in model.state_dict().items()}}
    if heads:
        tensors[HEADS] = head_tensors(heads)
    numbers: dict[str, Any] = {}
    if optimizers is not None or trainer is not None:
        tensors[OPTIMIZER], numbers = flatten_optimizers(optimizers or {})
    refuse_broken(folder, tensors)
    with new_folder(folder) as temporary:
        write_json(temporary / "config.json", config | special)
        for name, part in tensors.items():
            write_tensors(temporary / name, part)
        if tokenizer is not None:
            write_json(temporary / "generation_config.json", special)
            for name, contents in tokenizer.files(model.config.max_seq_len).items():
                if isinstance(contents, str):
                    write_bytes(temporary / name, contents.encode("utf-8"))
                else:
                    write_json(temporary / name, contents)
        if OPTIMIZER in tensors:
            state = {"trainer": trainer or {}, "optimizers": numbers}
            write_json(temporary / TRAINER, state)
        card = model_card(config, count_parameters(model), info or Info())
        write_bytes(temporary / CARD, card.encode("utf-8", "replace"))
        files = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
        write_json(temporary / RECORD, Record(files, info or Info()).to_json())
    return folder


def refuse_broken(folder: Path, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """UserError if a tensor, by file and name, holds NaN or infinity: such a checkpoint is worth
    nothing, and older ones are pruned to make room for it."""
    for file, part in tensors.items():
        broken = first_not_finite(part)
        if broken is not None:
            raise UserError(
                f"{folder} is not saved: {broken} (of {file}) holds NaN or infinity, so the "
                "training has broken down; the checkpoints before it are kept: go on from the "
                "newest with a lower learning rate"
            )


def head_tensors(heads: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The parameters of heads by the name "head.parameter"."""
    return {
        f"{head}.{name}": p
        for head, module in heads.items()
        for name, p in module.state_dict().items()
    }


def flatten_optimizers(
    optimizers: Mapping[str, Optimizer],
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The states of optimizers as (tensors by the name "optimizer.parameter.key", all the rest for
    JSON)."""
    tensors: dict[str, Tensor] = {}
    rest: dict[str, Any] = {}
    for name, optimizer in optimizers.items():
        state = optimizer.state_dict()
        values = {
            f"{name}.{i}.{key}": value
            for i, entry in state["state"].items()
            for key, value in entry.items()
        }
        tensors |= {key: value for key, value in values.items() if isinstance(value, Tensor)}
        rest[name] = {
            "param_groups": state["param_groups"],
            "state": {key: value for key, value in values.items() if not isinstance(value, Tensor)},
        }
    return tensors, rest
