"""Tokenizers of other projects: any byte-level BPE `tokenizer.json` (GPT-2's, Llama 3's, Qwen's,
SmolLM2's), encoded by the library `tokenizers`, which is what their models were trained with.

Sources: GPT-2 (Radford et al. 2019) for BPE on bytes; the format of the file is that of
https://huggingface.co/docs/tokenizers. The library is asked for ids alone. What a token stands for
is read from the file, so that text can be shown byte by byte while a model writes.

Of the added tokens those that are only blanks are ordinary text (some vocabularies have runs of
spaces so). All others steer a model, whether the file calls them special or not (Qwen's "<think>"
is not): a user's text never makes one of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from minilrm.errors import UserError
from minilrm.tokenizer.chat import Chat
from minilrm.tokenizer.encoding import Tokenizer
from minilrm.tokenizer.huggingface import BYTE_LEVEL, SPLIT, from_chars
from minilrm.tokenizer.words import clean_text

FILE = "tokenizer.json"
# What a model folder holds beside it, and a checkpoint of ours keeps as it is.
BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")
DECIDES = ("normalizer", "pre_tokenizer", "model", "added_tokens")  # what the ids depend on


class ForeignTokenizer(Tokenizer):
    """A byte-level BPE that minilrm did not train, with the methods of our own.

    text: the contents of `tokenizer.json`. ends: the ids that end a text, the first of them the one
    that training writes; pad_id: None takes that one. size: how many tokens the model has logits
    for; ids without a token (some embeddings are rounded up) stand for no bytes. beside: name ->
    contents of the files that belong to it.

    ValueError for a file that is no byte-level BPE, and for ends that it has not; UserError where
    the library is not installed.
    """

    _chat: Chat | None = None

    def __init__(
        self,
        text: str,
        ends: Sequence[int],
        pad_id: int | None = None,
        size: int = 0,
        beside: Mapping[str, str] | None = None,
    ) -> None:
        self._made_of = (text, tuple(ends), pad_id, size, dict(beside or {}))
        definition = json.loads(text)
        refuse_other_kinds(definition)
        ordinary, added = tokens_of(definition)
        self._control = {i for i, name in added.items() if name.strip()}
        self.special_ids = {added[i]: i for i in sorted(self._control)}
        self.specials = tuple(self.special_ids)
        spelled = ordinary | {i: name.encode("utf-8") for i, name in added.items()}
        self.vocab_size = max(size, max(spelled) + 1)
        self._bytes = [spelled.get(i, b"") for i in range(self.vocab_size)]
        for i in (*ends, *(() if pad_id is None else (pad_id,))):
            if i not in spelled:
                raise ValueError(f"the end-of-text or padding token {i} is not in the vocabulary")
        if not ends:
            raise ValueError("no end-of-text token is named")
        self.eos_id, self.other_ends = ends[0], tuple(ends[1:])
        self.pad_id = self.eos_id if pad_id is None else pad_id
        self._whole, self._plain = libraries(definition, self._control)
        self._beginning = beginning(definition)
        self._fingerprint = fingerprint_of(self._whole, self._beginning)
        for name, i in self.special_ids.items():
            for text in (name, as_bytes(name).decode("utf-8", "replace")):
                if not self._control.isdisjoint(self.encode(text)):
                    raise ValueError(f"ordinary text makes its special token {name!r} ({i})")

    def encode(self, text: str, allow_special: bool = False) -> list[int]:
        """Text -> ids, those of the library. Without `allow_special` the name of a special token
        is encoded as the ordinary text that it is; nothing is put before or behind the text."""
        library = self._whole if allow_special else self._plain
        ids: list[int] = library.encode(clean_text(text), add_special_tokens=False).ids
        return ids

    def start_chat(self) -> None:
        """From now on prompts are put as the user's turn of the model's chat template. UserError
        if it has none, or if `transformers` is not installed."""
        text, *_, beside = self._made_of
        self._chat = Chat(text, beside, self.encode, self._control)

    def encode_prompt(self, text: str, allow_special: bool = False) -> list[int]:
        """The ids of a prompt, begun as the file says; in a chat those of the whole conversation
        up to the model's turn, and then the prompt itself makes no special token."""
        if self._chat:
            return self._chat.encode(text)
        return [*self._beginning, *self.encode(text, allow_special)]

    @property
    def chats(self) -> bool:
        return self._chat is not None

    def encode_reference(self, text: str, allow_special: bool = False) -> list[int]:
        """The library is its own reference."""
        return self.encode(text, allow_special)

    def decode_bytes(self, ids: Iterable[int], skip_special: bool = False) -> bytes:
        """The concatenated bytes of the tokens; they need not be valid UTF-8."""
        skipped = self._control if skip_special else frozenset()
        return b"".join(self.token_bytes(i) for i in ids if i not in skipped)

    def fingerprint(self) -> str:
        """A sha256 of all that decides the ids: equal for two models that share a tokenizer."""
        return self._fingerprint

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ForeignTokenizer)
            and self.fingerprint() == other.fingerprint()
            and self.end_ids == other.end_ids
        )

    def __hash__(self) -> int:
        return hash(self.fingerprint())

    def __reduce__(self) -> tuple[Any, ...]:
        return ForeignTokenizer, self._made_of

    def files(self, model_max_length: int) -> dict[str, dict[str, Any] | str]:
        """File name -> contents, as they were found."""
        text, *_, beside = self._made_of
        return {FILE: text, **beside}

    def to_huggingface(self) -> dict[str, Any]:
        """The contents of `tokenizer.json`."""
        contents: dict[str, Any] = json.loads(self._made_of[0])
        return contents


def is_ours(definition: Any) -> bool:
    """Whether a `tokenizer.json` cuts text into words as `tokenizer/words.py` does."""
    ours = {"type": "Sequence", "pretokenizers": [SPLIT, BYTE_LEVEL]}
    return isinstance(definition, dict) and definition.get("pre_tokenizer") == ours


def refuse_other_kinds(definition: Any) -> None:
    """ValueError unless this is the contents of a `tokenizer.json` with a byte-level BPE."""
    if not isinstance(definition, dict) or not isinstance(definition.get("model"), dict):
        raise ValueError("it is no tokenizer.json")
    model = definition["model"]
    kind = model.get("type", "BPE" if "merges" in model else None)
    if kind != "BPE":
        raise ValueError(f"its model is {kind}, not BPE")
    steps = [*parts(definition.get("pre_tokenizer")), *parts(definition.get("decoder"))]
    kinds = [step.get("type") for step in steps]
    if model.get("byte_fallback") or kinds.count("ByteLevel") < 2:
        raise ValueError("it is a BPE on characters, not on bytes (ByteLevel)")
    if not isinstance(model.get("vocab"), dict) or not model["vocab"]:
        raise ValueError("it has no vocabulary")


def parts(step: Any) -> list[dict[str, Any]]:
    """A pre-tokenizer or a decoder as the list of its parts."""
    if not isinstance(step, dict):
        return []
    inner = step.get("pretokenizers") or step.get("decoders") or []
    return [step, *(part for part in inner if isinstance(part, dict))]


def tokens_of(definition: Mapping[str, Any]) -> tuple[dict[int, bytes], dict[int, str]]:
    """(id -> bytes of the ordinary tokens, id -> name of the added ones). ValueError for a token
    that is not spelled in the characters that stand for bytes, and for an id that is none."""
    added: dict[int, str] = {}
    for token in definition.get("added_tokens") or ():
        added[as_id(token["id"])] = str(token["content"])
    ordinary: dict[int, bytes] = {}
    for name, number in definition["model"]["vocab"].items():
        i = as_id(number)
        if i in added:
            continue
        if i in ordinary:
            raise ValueError(f"two tokens have the id {i}")
        try:
            ordinary[i] = from_chars(name)
        except KeyError:
            raise ValueError(f"its token {name[:40]!r} is not spelled in bytes") from None
    return ordinary, added


def as_bytes(name: str) -> bytes:
    """The text from which merges would make a token of this name, if they make it at all."""
    try:
        return from_chars(name)
    except KeyError:
        return name.encode("utf-8")


def as_id(value: Any) -> int:
    """A token's id. ValueError for what is none."""
    if type(value) is not int or not 0 <= value < 1 << 24:
        raise ValueError(f"{value!r:.40} is no id of a token")
    return value


def fingerprint_of(library: Any, begins: Sequence[int]) -> str:
    """A sha256 of what decides the ids, as the library writes it: files of several versions spell
    one tokenizer differently."""
    written = json.loads(library.to_str())
    decides = {name: written[name] for name in DECIDES} | {"begins": list(begins)}
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def libraries(definition: Mapping[str, Any], control: set[int]) -> tuple[Any, Any]:
    """The library's tokenizer twice: one reads special tokens in a text, the other never does.

    Of the second's model an unknown byte makes no token. (With an `unk_token` it would make a
    special one, and a user can write any byte; SmolLM2's vocabulary lacks eight of them.)
    """
    changed = {"truncation": None, "padding": None, "post_processor": None}
    whole = dict(definition) | changed
    added = [
        token | {"special": token["id"] in control}
        for token in definition.get("added_tokens") or ()
    ]
    plain = whole | {"added_tokens": added, "model": definition["model"] | {"unk_token": None}}
    made = [read_by_library(each) for each in (whole, plain)]
    made[1].encode_special_tokens = True  # "encode them like any other text"
    return made[0], made[1]


def beginning(definition: Mapping[str, Any]) -> list[int]:
    """The special tokens that the file's post-processor puts before a text: Llama 3's "begin of
    text", none of most others."""
    if definition.get("post_processor") is None:
        return []
    encoded = read_by_library(dict(definition) | {"truncation": None, "padding": None}).encode("a")
    first = encoded.special_tokens_mask.index(0)
    ids: list[int] = encoded.ids[:first]
    return ids


def read_by_library(definition: Mapping[str, Any]) -> Any:
    """The library's tokenizer. ValueError for what it cannot read; UserError where it is not
    installed."""
    try:
        import tokenizers
    except ImportError:
        raise UserError(
            "a tokenizer of another project needs the package tokenizers; install it: "
            'pip install -e ".[real]"'
        ) from None
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(definition))
    except Exception as error:  # the library raises nothing more precise
        raise ValueError(f"the library tokenizers refuses it: {error}") from None
