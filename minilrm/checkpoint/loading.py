"""Loading: the model of a folder, its tokenizer, where it comes from, and its heads.

Whatever is wrong with a folder is a UserError that names the file, before a wrong model is built.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from minilrm.checkpoint.huggingface import from_huggingface, hf_name
from minilrm.checkpoint.integrity import PRECISIONS, checked, read_checked_json, read_tensors
from minilrm.checkpoint.record import RESTORE, Info, read_json_file, read_record
from minilrm.checkpoint.saving import HEADS, WEIGHTS, head_tensors
from minilrm.errors import UserError
from minilrm.model import ModelConfig, Transformer
from minilrm.tokenizer import ForeignTokenizer, Tokenizer
from minilrm.tokenizer.foreign import BESIDE, FILE, is_ours

INDEX = "model.safetensors.index.json"  # of weights that are cut into several files


def load(
    folder: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = torch.float32,
) -> tuple[Transformer, Tokenizer | None, Info]:
    """(model, tokenizer, info) out of a checkpoint of ours or a plain Hugging Face folder of the
    same architecture.

    The tokenizer is None where the folder has none that can be used here (ours, or a byte-level
    BPE); info is empty where there is no minilrm.json. dtype None keeps the precision on disk.
    Whatever is wrong with the folder is a UserError that names the file.
    """
    folder = Path(folder)
    config = load_config(folder)
    model = assemble(config, read_weights(folder), folder, device, dtype)
    tokenizer = load_tokenizer(folder, config.vocab_size)
    if tokenizer is not None and len(tokenizer) > config.vocab_size:
        raise UserError(
            f"{folder / 'tokenizer.json'} has {len(tokenizer)} tokens, but its model knows only "
            f"{config.vocab_size}; they do not belong together: choose another checkpoint"
        )
    return model, tokenizer, read_record(folder).info


def load_config(folder: str | Path) -> ModelConfig:
    """The shape of the model in a folder."""
    data = read_checked_json(Path(folder), "config.json")
    try:
        return from_huggingface(data)
    except ValueError as error:
        raise UserError(
            f"{Path(folder) / 'config.json'} describes no model that minilrm can open: {error}; "
            "choose another folder, or mend the file"
        ) from error


def load_tokenizer(folder: Path, size: int) -> Tokenizer | None:
    """The folder's tokenizer, for a model with logits for `size` tokens; None if it is not one of
    ours and no byte-level BPE, or if there is none."""
    if FILE in read_record(folder).files:
        return read_tokenizer(folder, size)
    with contextlib.suppress(UserError):
        return read_tokenizer(folder, size)
    return None


def read_tokenizer(folder: Path, size: int) -> Tokenizer:
    """The tokenizer of a folder, ours or a foreign one. UserError, with the reason, if it has none
    that can be used here."""
    path = checked(folder, FILE)
    definition = read_json_file(path)
    if is_ours(definition):
        return Tokenizer.load(path)
    beside = {
        name: read_text(checked(folder, name)) for name in BESIDE if (folder / name).is_file()
    }
    ends, pad = end_of_text(folder)
    try:
        return ForeignTokenizer(read_text(path), ends, pad, size, beside)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no tokenizer that minilrm can use: {error}; only a byte-level BPE is, as "
            "that of GPT-2, Llama 3, Qwen or SmolLM2: choose another model"
        ) from error


def end_of_text(folder: Path) -> tuple[list[int], int | None]:
    """(the ids that end a text, the padding's id or None), as generation_config.json says, or else
    config.json. UserError if neither names an end."""
    pad: int | None = None
    for name in ("generation_config.json", "config.json"):
        if not (folder / name).is_file():
            continue
        data = read_checked_json(folder, name)
        ends, pad = data.get("eos_token_id"), as_whole(data.get("pad_token_id"))
        ends = ends if isinstance(ends, list) else [ends]
        if ends and all(as_whole(i) is not None for i in ends):
            return ends, pad
    raise UserError(
        f"{folder} does not say which token ends a text; write eos_token_id into its "
        "generation_config.json"
    )


def as_whole(value: object) -> int | None:
    """A token's id; None for what is none."""
    return value if type(value) is int and value >= 0 else None


def read_text(path: Path) -> str:
    """A text file of a checkpoint. UserError if it is none."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}; {RESTORE}") from error


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors, or of the files into which Hugging Face cuts large
    models."""
    if (folder / WEIGHTS).exists() or not (folder / INDEX).exists():
        return read_tensors(folder, WEIGHTS)
    places = read_checked_json(folder, INDEX).get("weight_map")
    listed = list(places.values()) if isinstance(places, dict) else [None]
    # Names only: a path could lead out of the folder.
    files = [file for file in listed if isinstance(file, str) and file == Path(file).name]
    if len(files) < len(listed):
        raise UserError(
            f"{folder / INDEX} is corrupt: its weight_map should name a file for each weight; "
            "restore it"
        )
    return {
        name: tensor
        for file in sorted(set(files))
        for name, tensor in read_tensors(folder, file).items()
    }


def assemble(
    config: ModelConfig,
    weights: dict[str, Tensor],
    folder: Path,
    device: str | torch.device,
    dtype: torch.dtype | None,
) -> Transformer:
    """The model out of its shape and its weights. Draws no random numbers, so a resumed run is not
    thrown off."""
    with torch.device("meta"):  # shapes only: memory is asked for once, by the weights themselves
        model = Transformer(config)
    refuse_quantized(weights, folder)
    if config.tie_embeddings:
        drop_tied_copy(weights, folder)
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


def refuse_quantized(weights: Mapping[str, Tensor], folder: Path) -> None:
    """UserError for weights in integers or 8-bit floats, which mean nothing without scales."""
    for name, tensor in weights.items():
        if tensor.dtype not in PRECISIONS:
            raise UserError(
                f"{name} in {folder} is {str(tensor.dtype).removeprefix('torch.')}, so the weights "
                "are quantized, which minilrm cannot open; choose the model in bfloat16 or float32"
            )


def drop_tied_copy(weights: dict[str, Tensor], folder: Path) -> None:
    """Some write the matrix that embeddings and output share twice; take the second away, in place.

    UserError if it is another matrix.
    """
    copy = weights.pop("lm_head.weight", None)
    embeddings = weights.get("model.embed_tokens.weight")
    if copy is not None and (embeddings is None or not torch.equal(copy, embeddings)):
        raise UserError(
            f"the weights in {folder} have an output matrix of their own; set tie_word_embeddings "
            "to false in its config.json"
        )


def compare_shapes(
    expected: Mapping[str, Tensor], found: Mapping[str, Tensor], trouble: str
) -> None:
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


def load_heads(folder: str | Path, heads: Mapping[str, nn.Module]) -> None:
    """Fill the heads, which the caller has made, with the saved weights, in place.

    UserError if the saved ones have other names or sizes.
    """
    tensors = read_tensors(Path(folder), HEADS)
    trouble = f"{Path(folder) / HEADS} does not fit the heads {', '.join(heads)}"
    compare_shapes(head_tensors(heads), tensors, trouble)
    for head, module in heads.items():
        module.load_state_dict({name: tensors[f"{head}.{name}"] for name in module.state_dict()})
