"""Checkpoints: Hugging Face model folders, so that what is trained here opens elsewhere, and a
Qwen3 folder opens here.

    config.json             the shape of the model, in Qwen3's words           \\
    model.safetensors       the weights, under Hugging Face's names             |  what `transformers` reads
    tokenizer.json ...      our tokenizer, in Hugging Face's form               |
    generation_config.json  which token ends a text                            /
    minilrm.json            task, where it comes from, and the sha256 of every other file
    heads.safetensors       value and reward heads, if there are any
    optimizer.safetensors   the tensors of the optimizers' states              \\  only in the checkpoints of a run,
    trainer.json            their options and numbers, and the loop's counters /   to go on from (--resume)

Nothing is ever pickled: opening a stranger's checkpoint must not run a stranger's code.

This file has what other rooms call; `huggingface.py` spells our model in Hugging Face's words;
`disk.py` sees to it that a folder is there as a whole or not at all, whenever the power fails, and
that a damaged file is refused.
"""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minilrm import machine
from minilrm.checkpoint.disk import (
    RECORD,
    checked,
    new_folder,
    read_checked_json,
    read_record,
    read_tensors,
    remove,
    sha256,
    verify,
    write_json,
    write_tensors,
)
from minilrm.checkpoint.huggingface import from_huggingface, hf_name, to_huggingface
from minilrm.errors import UserError
from minilrm.model import ModelConfig, Transformer
from minilrm.tokenizer import Tokenizer

__all__ = [
    "save",
    "load",
    "load_config",
    "load_heads",
    "load_trainer",
    "go_on",
    "newest_valid",
    "resolve",
    "shipped",
    "remove",
]

WEIGHTS, INDEX, HEADS = "model.safetensors", "model.safetensors.index.json", "heads.safetensors"
OPTIMIZER, TRAINER = "optimizer.safetensors", "trainer.json"

# What makes a shipped checkpoint anew, for who has none. (minilrm.json beside each says what made
# that one.)
RECIPES = {
    "gsm8k-mini-base": "python -m minilrm.pretrain --export data/checkpoints/gsm8k-mini-base",
    "countdown-base": "python -m minilrm.pretrain --task countdown --scale nano --tokens 20000000 --reflection 0.1 --export "
    "data/checkpoints/countdown-base",
    "countdown-base-unseeded": "python -m minilrm.pretrain --task countdown --scale nano --tokens 20000000 --reflection 0 "
    "--export data/checkpoints/countdown-base-unseeded",
    "multiplication-base": "python -m minilrm.pretrain --task multiplication --scale nano --tokens 9000000 --reflection 0.1 "
    "--export data/checkpoints/multiplication-base",
    "multiplication-base-unseeded": "python -m minilrm.pretrain --task multiplication --scale nano --tokens 9000000 "
    "--reflection 0 --export data/checkpoints/multiplication-base-unseeded",
}


# Saving


def save(
    folder: str | Path,
    model: Transformer,
    tokenizer: Tokenizer | None,
    *,
    info: dict,
    heads: dict[str, nn.Module] | None = None,
    optimizers: dict[str, Optimizer] | None = None,
    trainer: dict | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a new checkpoint folder; an existing one is never overwritten.

    info: where the model comes from (its "task", if there is one, is also kept by that name).
    trainer: anything JSON can hold. dtype: precision of the weights on disk, torch.bfloat16 for
    those we ship; None keeps the model's own.
    """
    folder = Path(folder)
    special = (
        {"eos_token_id": tokenizer.eos_id, "pad_token_id": tokenizer.pad_id}
        if tokenizer is not None
        else {}
    )
    with new_folder(folder) as temporary:
        config = to_huggingface(model.config, dtype or model.norm.weight.dtype)
        write_json(temporary / "config.json", config | special)
        write_tensors(
            temporary / WEIGHTS,
            {hf_name(name): p.to(dtype) for name, p in model.state_dict().items()},
        )
        if tokenizer is not None:
            tokenizer.save(temporary, model_max_length=model.config.max_seq_len)
            write_json(temporary / "generation_config.json", special)
        if heads:
            write_tensors(temporary / HEADS, head_tensors(heads))
        if optimizers is not None or trainer is not None:
            tensors, rest = flatten_optimizers(optimizers or {})
            write_tensors(temporary / OPTIMIZER, tensors)
            write_json(temporary / TRAINER, {"trainer": trainer or {}, "optimizers": rest})
        files = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
        write_json(
            temporary / RECORD,
            {"format": 1, "task": info.get("task"), "info": info, "files": files},
        )
    return folder


def head_tensors(heads: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{head}.{name}": p
        for head, module in heads.items()
        for name, p in module.state_dict().items()
    }


def flatten_optimizers(optimizers: dict[str, Optimizer]) -> tuple[dict[str, Tensor], dict]:
    """The states of optimizers as (tensors by the name "optimizer.parameter.key", all the rest for
    JSON)."""
    tensors, rest = {}, {}
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


# Loading


def load(
    folder: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = torch.float32,
) -> tuple[Transformer, Tokenizer | None, dict]:
    """(model, tokenizer, info) out of a checkpoint of ours or a plain Hugging Face folder of the
    same architecture.

    The tokenizer is None where the folder's is not one of ours; info is {} where there is no
    minilrm.json. dtype None keeps the precision on disk. Whatever is wrong with the folder is a
    UserError that names the file.
    """
    folder = Path(folder)
    config = load_config(folder)
    model = assemble(config, read_weights(folder), folder, device, dtype)
    tokenizer = load_tokenizer(folder)
    if tokenizer is not None and len(tokenizer) > config.vocab_size:
        raise UserError(
            f"{folder / 'tokenizer.json'} has {len(tokenizer)} tokens, but its model knows only "
            f"{config.vocab_size}; they do not belong together: choose another checkpoint"
        )
    info = read_record(folder).get("info")
    return model, tokenizer, info if isinstance(info, dict) else {}


def load_config(folder: str | Path) -> ModelConfig:
    """The shape of the model in a folder."""
    data = read_checked_json(Path(folder), "config.json")
    try:
        return from_huggingface(data)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{Path(folder) / 'config.json'} describes no model that minilrm can open: {error}; "
            "choose another folder"
        ) from error


def load_tokenizer(folder: Path) -> Tokenizer | None:
    """The folder's tokenizer; None if there is none, or another project's."""
    if "tokenizer.json" in read_record(folder)["files"]:
        return Tokenizer.load(checked(folder, "tokenizer.json"))
    with contextlib.suppress(UserError):
        return Tokenizer.load(folder / "tokenizer.json")
    return None


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors, or of the files into which Hugging Face cuts large
    models."""
    if (folder / WEIGHTS).exists() or not (folder / INDEX).exists():
        return read_tensors(folder, WEIGHTS)
    places = read_checked_json(folder, INDEX).get("weight_map")
    files = list(places.values()) if isinstance(places, dict) else [None]
    if not all(
        isinstance(file, str) and file == Path(file).name for file in files
    ):  # no way out of the folder
        raise UserError(
            f"{folder / INDEX} is corrupt: its weight_map should name a file for each weight; restore it"
        )
    return {
        name: tensor
        for file in sorted(set(files))
        for name, tensor in read_tensors(folder, file).items()
    }


def assemble(
    config: ModelConfig, weights: dict[str, Tensor], folder: Path, device, dtype
) -> Transformer:
    """The model out of its shape and its weights. Draws no random numbers, so a resumed run is not
    thrown off."""
    with torch.device("meta"):  # shapes only: memory is asked for once, by the weights themselves
        model = Transformer(config)
    if config.tie_embeddings and "lm_head.weight" in weights:  # some write the tied matrix twice
        if not torch.equal(
            weights.pop("lm_head.weight"), weights.get("model.embed_tokens.weight", torch.empty(0))
        ):
            raise UserError(
                f"the weights in {folder} have an output matrix of their own; set tie_word_embeddings to "
                "false in its config.json"
            )
    expected = {hf_name(name): p for name, p in model.state_dict().items()}
    compare_shapes(expected, weights, f"the weights in {folder} do not fit its config.json")
    # Copied, because safetensors maps the file: were it changed on the disk, the model would change
    # with it.
    state = {
        name: weights[hf_name(name)].to(device=device, dtype=dtype, copy=True)
        for name in model.state_dict()
    }
    model.load_state_dict(state, assign=True)
    return model


def compare_shapes(expected: dict[str, Tensor], found: dict[str, Tensor], trouble: str) -> None:
    """UserError, beginning with `trouble`, unless both have the same names and sizes."""
    advice = "choose another checkpoint, or restore this one"
    for name in (*expected, *found):
        if name not in found:
            raise UserError(f"{trouble}: {name} is missing; {advice}")
        if name not in expected:
            raise UserError(f"{trouble}: {name} has no place in the model; {advice}")
        size, wanted = list(found[name].shape), list(expected[name].shape)
        if size != wanted:
            raise UserError(f"{trouble}: {name} is {size}, not {wanted}; {advice}")


def load_heads(folder: str | Path, heads: dict[str, nn.Module]) -> dict[str, nn.Module]:
    """Fill the heads, which the caller has made, with the saved weights, in place; returns them."""
    tensors = read_tensors(Path(folder), HEADS)
    compare_shapes(
        head_tensors(heads),
        tensors,
        f"{Path(folder) / HEADS} does not fit the heads {', '.join(heads)}",
    )
    for head, module in heads.items():
        module.load_state_dict({name: tensors[f"{head}.{name}"] for name in module.state_dict()})
    return heads


# Going on with a run


def load_trainer(folder: str | Path, optimizers: dict[str, Optimizer]) -> dict:
    """Put the saved states back into the optimizers, bit for bit; returns what `trainer` was."""
    folder = Path(folder)
    record, tensors = read_checked_json(folder, TRAINER), read_tensors(folder, OPTIMIZER)
    try:
        saved = record["optimizers"]
        if set(saved) != set(optimizers):
            raise ValueError(
                f"it has the optimizers {list(saved)}, where {list(optimizers)} are needed"
            )
        states = {
            name: optimizer_state(name, each, saved[name], tensors)
            for name, each in optimizers.items()
        }
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(states[name])
        return dict(record["trainer"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"cannot go on from {folder / TRAINER}: it is corrupt, or of a run with other options "
            f"({error!r}); start the run anew"
        ) from error


def optimizer_state(
    name: str, optimizer: Optimizer, saved: dict, tensors: dict[str, Tensor]
) -> dict:
    """`flatten_optimizers` backwards, for one optimizer; ValueError where the saved state does not
    fit it."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict] = {}
    for full, value in (*tensors.items(), *saved["state"].items()):
        owner, i, key = full.rsplit(".", 2)
        if owner != name:
            continue
        if isinstance(value, Tensor):
            if value.shape not in (
                (),
                parameters[int(i)].shape,
            ):  # a count, or as large as its parameter
                raise ValueError(f"{full} has the shape {list(value.shape)}")
            value = value.clone()  # out of the mapped file
        state.setdefault(int(i), {})[key] = value
    # JSON knows no tuples (betas): an option keeps the kind that the optimizer gave it.
    groups = [
        {
            key: tuple(value) if isinstance(own.get(key), tuple) else value
            for key, value in group.items()
        }
        for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=True)
    ]
    return {"state": state, "param_groups": groups}


def go_on(
    folder: str | Path, model: Transformer, optimizers: dict[str, Optimizer]
) -> tuple[int, dict]:
    """Put model and optimizers back to a run's newest whole checkpoint; returns its step and what
    `trainer` was.

    Broken ones are named, and set aside as step-000123.broken: the run will come by and save that
    step again.
    """
    step, path, skipped = newest_valid(folder)
    for broken, reason in skipped:
        print(f"skipped {broken}: {reason}", file=sys.stderr)
        aside = broken.with_name(broken.name + ".broken")
        if aside.exists():
            remove(aside)
        broken.rename(aside)
    weights = load(path)[0].state_dict()
    compare_shapes(
        model.state_dict(), weights, f"{path} is of another model than the one to go on with"
    )
    model.load_state_dict(weights)
    return step, load_trainer(path, optimizers)


# Finding


def newest_valid(folder: str | Path) -> tuple[int, Path, list[tuple[Path, str]]]:
    """The newest whole checkpoint among step-000123 folders, as (step, path), and what was skipped,
    with the reason."""
    folder, skipped = Path(folder), []
    for step, path in sorted(step_folders(folder), reverse=True):
        try:
            verify(path, {"config.json", WEIGHTS})
            return step, path, skipped
        except UserError as error:
            skipped.append((path, str(error)))
    broken = f" ({len(skipped)} broken; {skipped[0][1]})" if skipped else ""
    raise UserError(
        f"there is no whole checkpoint in {folder}{broken}; start the run anew, without --resume"
    )


def step_folders(folder: Path) -> Iterator[tuple[int, Path]]:
    """(step, path) of each step-000123 in a folder. Half-written ones have other names."""
    for path in folder.iterdir() if folder.is_dir() else ():
        match = re.fullmatch(r"step-(\d+)", path.name)
        if match and path.is_dir():
            yield int(match[1]), path


def resolve(where: str | Path) -> Path:
    """A checkpoint by what a user calls it: its folder, a run's folder (its newest checkpoint), or
    a shipped name."""
    path = Path(where)
    if (path / "checkpoints").is_dir():
        _, newest, skipped = newest_valid(path / "checkpoints")
        for _, reason in skipped:
            print(f"skipped a checkpoint: {reason}", file=sys.stderr)
        return newest
    if path.is_dir() or len(path.parts) != 1:
        return path  # `load` says what is wrong with it
    return shipped(path.name)


def shipped(name: str) -> Path:
    """The folder of a checkpoint that comes with the project."""
    shelf = machine.data_folder() / "checkpoints"
    if name == Path(name).name and (shelf / name / "config.json").is_file():
        return shelf / name
    there = ", ".join(sorted(path.parent.name for path in shelf.glob("*/config.json"))) or "none"
    advice = (
        f"make it with: {RECIPES[name]}"
        if name in RECIPES
        else "or give the folder of a checkpoint"
    )
    raise UserError(f"no checkpoint {name!r} is shipped (there are: {there}); {advice}")
