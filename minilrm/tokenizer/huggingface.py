"""Merges and special tokens in Hugging Face's form, the files `tokenizer.json` and
`tokenizer_config.json`, and back."""

from collections.abc import Sequence
from typing import Any

from minilrm.tokenizer.words import EOS, PAD, PATTERN, Pair


def bytes_to_unicode() -> dict[int, str]:
    """GPT-2's one-to-one map from bytes to printable characters, which `tokenizer.json` is written
    in.

    Printable bytes stand for themselves, the other 68 are moved up to 256, 257, ...: b" " -> "Ġ",
    b"\\n" -> "Ċ".
    """
    printable = {
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    }
    hidden = [byte for byte in range(256) if byte not in printable]
    return {
        byte: chr(byte) if byte in printable else chr(256 + hidden.index(byte))
        for byte in range(256)
    }


BYTE_TO_CHAR = bytes_to_unicode()
CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}


def to_chars(token: bytes) -> str:
    """b" the" -> "Ġthe"."""
    return "".join(BYTE_TO_CHAR[byte] for byte in token)


def from_chars(chars: str) -> bytes:
    """ "Ġthe" -> b" the"; KeyError for a character that stands for no byte."""
    return bytes(CHAR_TO_BYTE[char] for char in chars)


def tokenizer_json(merges: Sequence[Pair], specials: Sequence[str]) -> dict[str, Any]:
    """The contents of `tokenizer.json`. Special tokens are in the vocabulary too, or they would
    lose their ids."""
    tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    names = [*specials, *map(to_chars, tokens)]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "normalizer": None,
        "post_processor": None,
        "added_tokens": [special_token(i, name) for i, name in enumerate(specials)],
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPLIT, BYTE_LEVEL]},
        "decoder": BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "vocab": {name: i for i, name in enumerate(names)},
            "merges": [[to_chars(left), to_chars(right)] for left, right in merges],
        },
    }


BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": False,
}
SPLIT = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}


def special_token(i: int, name: str) -> dict[str, Any]:
    """One of `added_tokens`: matched wherever it stands, and taken as it is."""
    return {
        "id": i,
        "content": name,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }


def tokenizer_config(longest: int) -> dict[str, Any]:
    """The contents of `tokenizer_config.json`; `longest` is the most tokens that the model reads.

    Padding goes to the left: `transformers` generates from the last column of a batch, and with
    padding at the right that is, in all rows but the longest, a pad token. The input names are
    those that a decoder takes: version 4 would add token_type_ids, which `generate` refuses.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": EOS,
        "pad_token": PAD,
        "padding_side": "left",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": longest,
        "clean_up_tokenization_spaces": False,
    }


def merges_and_specials(data: dict[str, Any]) -> tuple[list[Pair], list[str]]:
    """`tokenizer_json` backwards. It only picks out; the caller sees whether all the rest agrees.

    Raises KeyError, TypeError, ValueError or AttributeError for what is no such file.
    """
    pairs = [
        pair.split(" ") if isinstance(pair, str) else pair  # older versions write "a b"
        for pair in data["model"]["merges"]
    ]
    added = sorted(data["added_tokens"], key=lambda token: token["id"])
    return (
        [(from_chars(left), from_chars(right)) for left, right in pairs],
        [token["content"] for token in added],
    )
