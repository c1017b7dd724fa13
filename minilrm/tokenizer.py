"""Byte-pair encoding: how text becomes the integers that a language model reads.

Sources: Sennrich et al. 2016 (arXiv 1508.07909) for the algorithm; GPT-2 (Radford et al. 2019) for
doing it on bytes, so that every text can be encoded and there is no "unknown" token.

Training. Cut the text into words (`PATTERN`), write each word as a list of bytes, then, again and
again:
    1. count every pair of neighbours;   2. take the most frequent pair;   3. replace it everywhere by one new token.
Encoding. Cut the text the same way and, in each word, apply the *earliest learnt* merge that fits,
until none does.

Worked example, words with their counts:  low x5, lot x3, now x2
    pairs       (l,o) 8   (o,w) 7   (o,t) 3   (n,o) 2
    merge 1     (l,o) -> "lo"       now lo|w x5, lo|t x3, n|o|w x2, and (lo,w) 5   (lo,t) 3   (n,o) 2   (o,w) 2
    merge 2     (lo,w) -> "low"     low x5, lo|t x3, n|o|w x2
    encode "lowlot" = l|o|w|l|o|t  -- merge 1 -->  lo|w|lo|t  -- merge 2 -->  low|lo|t

Three encoders give the same ids, which the tests prove: `encode_reference` (to read), `encode`
(tiktoken, to run), and Hugging Face `tokenizers` on the `tokenizer.json` that `save` writes (so
that others can open what was trained here).

Ids:  0..31 special tokens | 32..287 the 256 bytes | 288.. the merges, in the order in which they were learnt.
"""

from __future__ import annotations

import codecs
import hashlib
import heapq
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import regex
import tiktoken

from minilrm.errors import UserError

Pair = tuple[bytes, bytes]

EOS, PAD = "<|endoftext|>", "<|pad|>"
SPECIALS: tuple[str, ...] = (
    EOS,
    PAD,
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
    "<|end|>",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "<tool>",
    "</tool>",
    "<result>",
    "</result>",
    "<plan>",
    "</plan>",
    "<check>",
    "</check>",
    "<wait>",
    "<step>",
    "<good>",
    "<bad>",
    *(f"<|reserved_{i}|>" for i in range(10)),
)

# The cut into words ("pre-tokens"); no merge crosses a cut. Written for three regex engines at
# once: Python's `regex`, Rust's fancy-regex (in tiktoken) and Oniguruma (in tokenizers). The first
# alternative that fits is taken:
PATTERN = "|".join(
    (
        r"'(?:s|t|re|ve|m|ll|d)(?!\p{L})",  # an English ending: 's 't 're, but not the opening quote of 'total'
        r" ?\p{L}[\p{L}\p{M}]*",  # a word, with the space before it (\p{M}: accents written as separate marks)
        r"\p{N}",  # ONE digit: numbers never merge, so 12 + 7 looks alike at every size
        r" ?[^\s\p{L}\p{N}]+",  # a run of punctuation, with the space before it: " ####", "<<", "=", ":"
        r"[\r\n]+",  # line ends, never glued to the full stop before them
        r"[^\S\r\n]{1,64}(?!\S)",  # spaces, less the last, which goes with the next word
        r"[^\S\r\n]",  # what is left: one blank before a digit, a tab before a word
    )
)
# Why {1,64}: with a bare + tiktoken panics on a million spaces (its engine keeps one backtracking
# state per blank). There is a cut wherever a non-blank meets a blank, whatever stands around them.
# So if a prompt ends in a non-blank and what follows starts with a blank ("Answer:" + " #### 12"),
# encode(prompt + rest) == encode(prompt) + encode(rest): a model is prompted with exactly the
# tokens that it was trained on. `regex` may know letters of a newer Unicode than the other two;
# only merges learnt in those scripts could tell.


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


def clean_text(text: str) -> str:
    """Make any `str` encodable. Python strings may hold halves of UTF-16 pairs ("surrogates"),
    which UTF-8 has not.

    Two halves that belong together are joined (an emoji out of careless JSON); one on its own
    becomes U+FFFD.
    """
    try:
        text.encode("utf-8")
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def specials_regex(specials: Sequence[str]) -> regex.Pattern:
    """Its `split` gives ordinary text at even places, special tokens at odd ones: "a<bad>b" ->
    ["a", "<bad>", "b"]."""
    return regex.compile("(" + "|".join(map(regex.escape, specials)) + ")" if specials else r"(?!)")


def split_words(text: str) -> list[str]:
    """The pre-tokens of a text: "It's 3*12.\\n A: #### 9" -> It 's _ 3 * 1 2 . \\n _A : _#### _ 9
    (_ is a space)."""
    return regex.findall(PATTERN, text)


def split_bytes(data: bytes) -> list[bytes]:
    """The symbols that BPE starts from: "né" in UTF-8 -> [b"n", b"\\xc3", b"\\xa9"]."""
    return [bytes([byte]) for byte in data]


def merge_pair(symbols: list[bytes], pair: Pair) -> list[bytes]:
    """Replace the pair by its concatenation, from left to right: [a, a, a, b] with (a, a) -> [aa,
    a, b]."""
    left, right = pair
    merged, out, i = left + right, [], 0
    while i < len(symbols):
        if symbols[i] == left and i + 1 < len(symbols) and symbols[i + 1] == right:
            out.append(merged)
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def train_bpe(
    texts: Iterable[str],
    vocab_size: int,
    specials: Sequence[str] = SPECIALS,
    min_count=2,
    ties: str = "bytes",
) -> list[Pair]:
    """Learn the merges that fill a vocabulary of `vocab_size` = specials + 256 bytes + merges.

    The most frequent pair wins. Of equals, the lexicographically smallest (left bytes, right
    bytes), or with ties="age" the one of the older tokens: then the merges are rustbpe's. Pairs
    seen fewer than `min_count` times are not learnt, so a tiny corpus gives fewer merges. Special
    tokens in the texts are cut out first: they have ids of their own and need no merges.

    The result is that of counting all pairs anew before each merge, without the work: each distinct
    word is kept once with its count, a merge visits only the words that hold the pair, and the best
    pair comes from a heap.
    """
    counted = count_words(texts, specials)
    words, word_counts = [split_bytes(word.encode()) for word in counted], list(counted.values())
    pair_counts, pair_words = count_pairs(words, word_counts)
    age = {bytes([byte]): byte for byte in range(256)}
    first = {"bytes": lambda pair: pair, "age": lambda pair: (age[pair[0]], age[pair[1]])}[ties]
    heap = [(-count, first(pair), pair) for pair, count in pair_counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < vocab_size - 256 - len(specials):
        minus_count, _, pair = heapq.heappop(heap)
        count = pair_counts[pair]
        if (
            count != -minus_count
        ):  # Lazy heap: other merges have eaten into this pair since it was pushed. Counts only
            if (
                count
            ):  # ever fall, so no better pair can be hidden below; put this one where it belongs.
                heapq.heappush(heap, (-count, first(pair), pair))
            continue
        if count < min_count:
            break
        merges.append(pair)
        age.setdefault(b"".join(pair), 255 + len(merges))
        for new in apply_merge(pair, words, word_counts, pair_counts, pair_words):
            heapq.heappush(heap, (-pair_counts[new], first(new), new))
    return merges


def count_words(texts: Iterable[str], specials: Sequence[str]) -> Counter[str]:
    """How often each pre-token occurs in the ordinary parts of the texts."""
    counts: Counter[str] = Counter()
    special = specials_regex(specials)
    for text in texts:
        for ordinary in special.split(clean_text(text))[::2]:
            counts.update(split_words(ordinary))
    return counts


def count_pairs(
    words: list[list[bytes]], word_counts: list[int]
) -> tuple[dict[Pair, int], dict[Pair, set[int]]]:
    """For each pair of neighbours, how often it occurs, and the indices of the words that hold
    it."""
    pair_counts: dict[Pair, int] = defaultdict(int)
    pair_words: dict[Pair, set[int]] = defaultdict(set)
    for index, symbols in enumerate(words):
        for pair in pairwise(symbols):
            pair_counts[pair] += word_counts[index]
            pair_words[pair].add(index)
    return pair_counts, pair_words


def apply_merge(
    pair: Pair,
    words: list[list[bytes]],
    word_counts: list[int],
    pair_counts: dict[Pair, int],
    pair_words: dict[Pair, set[int]],
) -> set[Pair]:
    """Merge the pair in the words that hold it and bring the counts up to date, all in place.
    Returns the new pairs.

    A touched word takes its old pairs out of the counts and puts its new ones in; what did not
    change cancels out. `pair_words` may still list words that have lost a pair since: harmless, for
    there the merge changes nothing.
    """
    merged, created = b"".join(pair), set()
    for index in pair_words.pop(pair):
        before, count = words[index], word_counts[index]
        after = words[index] = merge_pair(before, pair)
        for old in pairwise(before):
            pair_counts[old] -= count
        for new in pairwise(after):
            pair_counts[new] += count
            if merged in new:
                pair_words[new].add(index)
                created.add(new)
    return created


class Tokenizer:
    """Text <-> ids, made from the merges and the special tokens; nothing else is stored.

    >>> tok = Tokenizer.train(["the cat sat on the mat"] * 9, vocab_size=292)     # 32 + 256 + 4 merges
    >>> [tok.token_bytes(i) for i in tok.encode("the hat 12")]
    [b'the', b' ', b'h', b'at', b' ', b'1', b'2']
    """

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

    def __reduce__(
        self,
    ):  # tiktoken's object cannot be pickled; a worker process rebuilds it from the merges
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

    def encode_batch(self, texts: Iterable[str], allow_special: bool = False) -> list[list[int]]:
        """`encode` for each text, in this thread (more threads than cores would only wait for each
        other)."""
        return [self.encode(text, allow_special) for text in texts]

    def encode_reference(self, text: str, allow_special: bool = False) -> list[int]:
        """The same ids as `encode`, slowly, in code that can be read."""
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

    def save(self, folder: str | os.PathLike, model_max_length: int = 1_000_000) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, as Hugging Face's libraries expect
        them."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        write_json(Path(folder, "tokenizer.json"), self.to_huggingface())
        config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": EOS, "pad_token": PAD}
        config |= {"model_max_length": model_max_length, "clean_up_tokenization_spaces": False}
        write_json(Path(folder, "tokenizer_config.json"), config)

    def to_huggingface(self) -> dict:
        """The contents of `tokenizer.json`. Special tokens are in the vocabulary too, or they would
        lose their ids."""
        names = [*self.specials, *map(to_chars, self.ordinary)]
        flags = {
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        byte_level = {
            "type": "ByteLevel",
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": False,
        }
        split = {
            "type": "Split",
            "pattern": {"Regex": PATTERN},
            "behavior": "Isolated",
            "invert": False,
        }
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "normalizer": None,
            "post_processor": None,
            "added_tokens": [
                {"id": i, "content": name, **flags} for name, i in self.special_ids.items()
            ],
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
            "decoder": byte_level,
            "model": {
                "type": "BPE",
                "vocab": {name: i for i, name in enumerate(names)},
                "merges": [[to_chars(left), to_chars(right)] for left, right in self.merges],
            },
        }

    @classmethod
    def load(cls, path: str | os.PathLike) -> Tokenizer:
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

    >>> stream = StreamDecoder(tok)
    >>> [stream.push(i) for i in tok.encode("né!")], stream.flush()  # the tokens are n, \\xc3, \\xa9, !
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
    """Raise ValueError unless the three encoders must agree on this vocabulary."""
    specials, ordinary = tokenizer.specials, tokenizer.ordinary
    if not {EOS, PAD} <= set(specials):
        raise ValueError(f"the special tokens must include {EOS} and {PAD}")
    for one in (
        specials
    ):  # were one the beginning of another, which of them matches would depend on the library
        if not one or any(other.startswith(one) for other in specials if other is not one):
            raise ValueError(f"special token {one!r} is empty or the beginning of another")
    if len({*specials, *map(to_chars, ordinary)}) < len(specials) + len(ordinary):
        raise ValueError("two tokens are the same")
    # tiktoken joins any two neighbours that make a known token, the others only the pairs in the
    # list of merges. That is the same if each token is what its own bytes are merged into: always
    # so after training, not in any list.
    if any(tokenizer.merge_all(token) != [token] for token in ordinary):
        raise ValueError("these merges are not in an order that training can give")


def from_huggingface(data: dict) -> Tokenizer:
    """`Tokenizer.to_huggingface` backwards; raises if rebuilding does not give the same vocabulary
    and pattern."""
    pairs = [
        pair.split(" ") if isinstance(pair, str) else pair for pair in data["model"]["merges"]
    ]  # older: "a b"
    added = sorted(data["added_tokens"], key=lambda token: token["id"])
    tokenizer = Tokenizer(
        [(from_chars(a), from_chars(b)) for a, b in pairs], [token["content"] for token in added]
    )
    rebuilt = tokenizer.to_huggingface()
    if data["model"]["type"] != "BPE" or data["model"]["vocab"] != rebuilt["model"]["vocab"]:
        raise ValueError("its vocabulary is not special tokens, then bytes, then merges")
    if data["pre_tokenizer"] != rebuilt["pre_tokenizer"] or data.get("normalizer") is not None:
        raise ValueError("it cuts text into words in another way")
    return tokenizer


def write_json(path: Path, data: dict) -> None:
    """Write to a sibling, flush it to disk, rename it: a reader sees the old file or the new one,
    never half of one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
