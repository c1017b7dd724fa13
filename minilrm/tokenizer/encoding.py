"""Text <-> ids, at run time and in code that can be read, and text out of ids as they come."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import tiktoken

from minilrm.errors import UserError
from minilrm.files import write_bytes_atomic, write_json_atomic
from minilrm.tokenizer.huggingface import (
    merges_and_specials,
    to_chars,
    tokenizer_config,
    tokenizer_json,
)
from minilrm.tokenizer.training import train_bpe
from minilrm.tokenizer.words import (
    EOS,
    PAD,
    PATTERN,
    SPECIALS,
    Pair,
    clean_text,
    merge_pair,
    specials_regex,
    split_bytes,
    split_words,
)


class Tokenizer:
    """Text <-> ids, made from the merges and the special tokens; nothing else is stored.

    >>> tok = Tokenizer.train(["the cat sat on the mat"] * 9, vocab_size=292)  # 32 + 256 + 4 merges
    >>> [tok.token_bytes(i) for i in tok.encode("the hat 12")]
    [b'the', b' ', b'h', b'at', b' ', b'1', b'2']
    """

    other_ends: tuple[int, ...] = ()  # what ends a text besides `eos_id`: some models have several

    def __init__(self, merges: Iterable[Pair], specials: Sequence[str] = SPECIALS) -> None:
        self.merges: list[Pair] = [(bytes(left), bytes(right)) for left, right in merges]
        self.specials: tuple[str, ...] = tuple(specials)
        self.ordinary = [bytes([byte]) for byte in range(256)] + [
            left + right for left, right in self.merges
        ]
        self._bytes = [name.encode("utf-8") for name in self.specials] + self.ordinary
        self._ids = {token: i for i, token in enumerate(self.ordinary, start=len(self.specials))}
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self.special_ids: dict[str, int] = {name: i for i, name in enumerate(self.specials)}
        check_tokenizer(self)
        self.vocab_size = len(self._bytes)
        self.eos_id, self.pad_id = self.special_ids[EOS], self.special_ids[PAD]
        # tiktoken wants "ranks": only their order counts, so our ids serve, though they do not
        # start at 0.
        self._tiktoken = tiktoken.Encoding(
            "minilrm", pat_str=PATTERN, mergeable_ranks=self._ids, special_tokens=self.special_ids
        )

    @classmethod
    def train(
        cls, texts: Iterable[str], vocab_size: int = 1024, specials: Sequence[str] = SPECIALS
    ) -> Tokenizer:
        """Learn a tokenizer from texts. `vocab_size` is an upper bound: see `train_bpe`."""
        if vocab_size < len(specials) + 256:
            raise UserError(
                f"vocab_size {vocab_size} is less than {len(specials)} special tokens + 256 bytes"
            )
        return cls(train_bpe(texts, vocab_size, specials), specials)

    def __len__(self) -> int:
        return self.vocab_size

    @property
    def end_ids(self) -> tuple[int, ...]:
        """All tokens that end a text; training writes the first of them, `eos_id`."""
        return (self.eos_id, *self.other_ends)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that a token stands for; a special token stands for its own name."""
        if not 0 <= token_id < self.vocab_size:
            raise IndexError(f"token id {int(token_id)} is not in 0..{self.vocab_size - 1}")
        return self._bytes[token_id]

    def fingerprint(self) -> str:
        """A sha256 of all that decides the ids: equal for two models that share a tokenizer."""
        return hashlib.sha256(repr((PATTERN, self.specials, self.merges)).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tokenizer) and (self.merges, self.specials) == (
            other.merges,
            other.specials,
        )

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[list[Pair], tuple[str, ...]]]:
        # tiktoken's object cannot be pickled; a worker process rebuilds it from the merges.
        return Tokenizer, (self.merges, self.specials)

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Text -> ids. Without `allow_special` no text whatever yields a special id: "<think>"
        becomes "<" "think" ">".

        That is for what a user wrote; `allow_special=True` is for documents that we wrote
        ourselves.
        """
        text = clean_text(text)
        if allow_special:
            return self._tiktoken.encode(text, allowed_special="all")
        return self._tiktoken.encode_ordinary(text)

    def start_chat(self) -> None:
        """UserError: this is for models of other projects, which come with a chat template."""
        raise UserError("--chat needs a model with a chat template; minilrm's own have none")

    def encode_prompt(self, text: str, allow_special: bool = False) -> list[int]:
        """The ids of what a model goes on from."""
        return self.encode(text, allow_special)

    @property
    def chats(self) -> bool:
        """Whether prompts are put as turns of a conversation."""
        return False

    def encode_batch(self, texts: Iterable[str], allow_special: bool = False) -> list[list[int]]:
        """`encode` for each text, in this thread (more threads than cores would only wait for each
        other)."""
        return [self.encode(text, allow_special) for text in texts]

    def encode_reference(self, text: str, allow_special: bool = False) -> list[int]:
        """The ids of `encode`, slowly, in code that can be read (see the package's docstring for
        which characters that is tested)."""
        ids: list[int] = []
        special = specials_regex(self.specials if allow_special else ())
        for place, part in enumerate(special.split(clean_text(text))):
            if place % 2:
                ids.append(self.special_ids[part])
            else:
                ids += [
                    self._ids[token]
                    for word in split_words(part)
                    for token in self.merge_all(word.encode())
                ]
        return ids

    def merge_all(self, word: bytes) -> list[bytes]:
        """Apply the earliest learnt merge that fits, until none does: "low" -> l|o|w -> lo|w ->
        low."""
        symbols = split_bytes(word)
        while fitting := [pair for pair in pairwise(symbols) if pair in self._ranks]:
            symbols = merge_pair(symbols, min(fitting, key=self._ranks.__getitem__))
        return symbols

    def decode_bytes(self, ids: Iterable[int], skip_special: bool = False) -> bytes:
        """The concatenated bytes of the tokens; they need not be valid UTF-8."""
        first = len(self.specials) if skip_special else 0
        return b"".join(self.token_bytes(i) for i in ids if not 0 <= i < first)

    def decode(self, ids: Iterable[int], skip_special: bool = False) -> str:
        """Ids -> text. Bytes that are not UTF-8 (a model can sample any) show as U+FFFD."""
        return self.decode_bytes(ids, skip_special).decode("utf-8", errors="replace")

    def save(self, folder: str | os.PathLike[str], model_max_length: int = 1_000_000) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, each as a whole or not at all.

        UserError if the disk refuses.
        """
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cannot make the folder {folder}: {error.strerror or error}; choose another"
            ) from error
        for name, contents in self.files(model_max_length).items():
            if isinstance(contents, str):
                write_bytes_atomic(Path(folder, name), contents.encode("utf-8"))
            else:
                write_json_atomic(Path(folder, name), contents)

    def files(self, model_max_length: int) -> dict[str, dict[str, Any] | str]:
        """File name -> contents (JSON, or the text of the file), as Hugging Face's libraries expect
        them."""
        return {
            "tokenizer.json": self.to_huggingface(),
            "tokenizer_config.json": tokenizer_config(model_max_length),
        }

    def to_huggingface(self) -> dict[str, Any]:
        """The contents of `tokenizer.json`; `from_huggingface` reads them."""
        return tokenizer_json(self.merges, self.specials)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Tokenizer:
        """Read a `tokenizer.json` that `save` wrote, or the folder that holds it."""
        path = Path(path, "tokenizer.json") if Path(path).is_dir() else Path(path)
        try:
            return from_huggingface(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise UserError(
                f"cannot read the tokenizer {path}: {error.strerror or error}"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(
                f"{path} is corrupt, or not a tokenizer that minilrm wrote: {error!r}"
            ) from error


class StreamDecoder:
    """Text out of ids as they come. A character whose bytes are spread over tokens is held back
    until it is whole.

    >>> stream = StreamDecoder(Tokenizer([]))  # no merges: the tokens are n, \\xc3, \\xa9, !
    >>> [stream.push(32 + byte) for byte in "né!".encode()], stream.flush()
    (['n', '', 'é', '!'], '')
    """

    def __init__(self, tokenizer: Tokenizer, skip_special: bool = False) -> None:
        self._tokenizer, self._skip_special = tokenizer, skip_special
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def push(self, *ids: int) -> str:
        """The text that these ids complete, perhaps ""."""
        return self._decoder.decode(self._tokenizer.decode_bytes(ids, self._skip_special))

    def flush(self) -> str:
        """What was held back, as U+FFFD. All pushes and the flush together are `decode` of all
        ids."""
        return self._decoder.decode(b"", final=True)


def check_tokenizer(tokenizer: Tokenizer) -> None:
    """ValueError for a vocabulary on which the three ways to encode would disagree."""
    specials, ordinary = tokenizer.specials, tokenizer.ordinary
    if not {EOS, PAD} <= set(specials):
        raise ValueError(f"the special tokens must include {EOS} and {PAD}")
    for one in specials:
        # Were one the beginning of another, which of them matches would depend on the library.
        if not one or any(other.startswith(one) for other in specials if other is not one):
            raise ValueError(f"special token {one!r} is empty or the beginning of another")
    if len({*specials, *map(to_chars, ordinary)}) < len(specials) + len(ordinary):
        raise ValueError("two tokens are the same")
    # tiktoken joins any two neighbours that make a known token, the others only the pairs in the
    # list of merges. That is the same if each token is what its own bytes are merged into: always
    # so after training, not in any list.
    if any(tokenizer.merge_all(token) != [token] for token in ordinary):
        raise ValueError("these merges are not in an order that training can give")


def from_huggingface(data: dict[str, Any]) -> Tokenizer:
    """The tokenizer of a `tokenizer.json` of ours.

    ValueError (or KeyError, TypeError, AttributeError) if rebuilding it does not give the same
    vocabulary and the same cut into words.
    """
    tokenizer = Tokenizer(*merges_and_specials(data))
    rebuilt = tokenizer.to_huggingface()
    if data["model"]["type"] != "BPE" or data["model"]["vocab"] != rebuilt["model"]["vocab"]:
        raise ValueError("its vocabulary is not special tokens, then bytes, then merges")
    if data["pre_tokenizer"] != rebuilt["pre_tokenizer"] or data.get("normalizer") is not None:
        raise ValueError("it cuts text into words in another way")
    return tokenizer
