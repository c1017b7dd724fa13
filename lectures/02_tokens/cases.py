"""Texts for checks.py, and two byte-pair encoders that work in other ways than the exercises do:
the library's trainer, which counts by a heap, and tiktoken."""

import random

import regex
import tiktoken

from minilrm import tokenizer

SPECIALS = ("<|endoftext|>", "<|pad|>")
WORD = regex.compile(r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s")
PAGES = [
    "Tom has 12 boxes of 12 pens. Tom gives 3 of the pens to Ana.",
    "<<12*12=144>>144 pens, <<144-3=141>>141 pens.\n#### 141",
    "Each of the 4 boxes has 25 pencils. The pencils cost 2 euros each.",
    "Ana tiene 12 lápices y da 3 lápices al niño.\n#### 9",
]
BYTES = [bytes([b]) for b in range(256)]


def learnt(texts, n_merges, **options):
    """The merges that the library's trainer learns from these texts, word by word."""
    words = [word for text in texts for word in WORD.findall(text)]
    return tokenizer.train_bpe(words, 256 + n_merges, specials=(), **options)


def encoder(merges):
    """tiktoken's encoder with these merges and this lecture's ids: a function from text to ids."""
    ids = {token: 2 + i for i, token in enumerate(BYTES + [a + b for a, b in merges])}
    plain = tiktoken.Encoding("x", pat_str=WORD.pattern, mergeable_ranks=ids, special_tokens={})
    return plain.encode_ordinary


def tokens_of(merges):
    """id -> its bytes."""
    return [name.encode() for name in SPECIALS] + BYTES + [a + b for a, b in merges]


PIECES = [
    "pens ",
    "lápices",
    " boxes",
    "日本",
    "👩‍👩‍👧",
    "١٢",
    "½",
    "\r\n",
    "\t",
    "12",
    "  ",
    "e\u0301",
    *SPECIALS,
]


def odd_texts(n=60):
    """Texts of all kinds of characters: any of Unicode but the halves of pairs, which UTF-8
    lacks."""
    rng = random.Random(0)
    kinds = [
        lambda: chr(rng.randint(0, 127)),
        lambda: chr(rng.randint(0, 0xD7FF)),
        lambda: chr(rng.randint(0xE000, 0x10FFFF)),
        lambda: rng.choice(PIECES),
    ]
    texts = ["".join(rng.choice(kinds)() for _ in range(rng.randint(0, 14))) for _ in range(n)]
    return ["", " ", "\n\n", "  a", "\x00", "a\u2028b", "\ufeffbom", "<|endoftext|>", *texts]
