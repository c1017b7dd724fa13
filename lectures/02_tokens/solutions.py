"""Lecture 2, tokens: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/02_tokens

Together they are a byte-pair encoder that can read and write any text. Ids, in this order:

    0, 1          the special tokens <|endoftext|> and <|pad|>
    2 .. 257      the 256 bytes: byte b has the id 2 + b
    258 ..        the merges: merge number i (from 0) has the id 258 + i

`split_words` and `SPECIALS` are given; use them.
"""

from collections import Counter
from itertools import pairwise

import regex

SPECIALS = ("<|endoftext|>", "<|pad|>")
# One digit; or letters with the blank before them; or other signs with the blank before them; or
# one blank.
WORD = regex.compile(r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s")


def split_words(text: str) -> list[str]:
    """Cut a text into words, which merges never cross: "So 12+7" -> ["So", " ", "1", "2", "+",
    "7"]. Given.

    The words together are the text, character for character.
    """
    return WORD.findall(text)


def merge_pair(symbols: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """Replace each occurrence of the pair by its concatenation, from left to right. A new list; the
    given one stays as it is.

    `merge_pair([b"a", b"a", b"a", b"b"], (b"a", b"a"))` is `[b"aa", b"a", b"b"]`.
    """
    ### BEGIN SOLUTION
    out: list[bytes] = []
    i = 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out
    ### END SOLUTION


def train_bpe(texts: list[str], n_merges: int) -> list[tuple[bytes, bytes]]:
    """Learn merges from texts, the first learnt first.

    Cut each text into words by `split_words`. Each word is a list of symbols, at first its UTF-8
    bytes one by one. Then, again and again until there are `n_merges` merges:

    1. count all pairs of neighbours, over all words, each time a word occurs (a a a holds the pair
    (a, a) twice);
    2. take the most frequent pair; of equally frequent ones, the smallest: Python's order of tuples
    of bytes;
    3. if it occurs fewer than two times, stop; else note it, and merge it in every word
    (`merge_pair`).

    Worked example: `train_bpe(["low"] * 5 + ["lot"] * 3 + ["now"] * 2, 2)` counts (l, o) 8 times,
    (o, w) 7, (o, t) 3, (n, o) 2. It merges (l, o). Now (lo, w) occurs 5 times, (lo, t) 3, (n, o) 2,
    (o, w) 2. So the result is

        [(b"l", b"o"), (b"lo", b"w")]
    """
    ### BEGIN SOLUTION
    counts = Counter(word for text in texts for word in split_words(text))
    words = [([bytes([b]) for b in word.encode()], n) for word, n in counts.items()]
    merges: list[tuple[bytes, bytes]] = []
    while len(merges) < n_merges:
        pairs: Counter = Counter()
        for symbols, n in words:
            for pair in pairwise(symbols):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < 2:
            break
        merges.append(best)
        words = [(merge_pair(symbols, best), n) for symbols, n in words]
    return merges
    ### END SOLUTION


def encode(text: str, merges: list[tuple[bytes, bytes]]) -> list[int]:
    """Text -> ids (see the head of this file for which).

    Cut the text into words and each word into bytes. In each word apply, again and again, the
    *earliest learnt* merge that fits anywhere in it, until none fits. A pair that is not in the
    list is never joined, even if its bytes make a known token.

    No text whatever gives the id of a special token. `"<|endoftext|>"`, written by a user, is
    thirteen characters.

    With the merges [(l, o), (lo, w)], "low" is [259], "lot" [258, 118], "wow" [121, 113, 121]. (The
    byte of "o" is 111.)
    """
    ### BEGIN SOLUTION
    ranks = {pair: i for i, pair in enumerate(merges)}
    first = len(SPECIALS)
    ids = {bytes([b]): first + b for b in range(256)}
    for i, (left, right) in enumerate(merges):
        ids.setdefault(left + right, first + 256 + i)
    out: list[int] = []
    for word in split_words(text):
        symbols = [bytes([b]) for b in word.encode()]
        while fitting := [pair for pair in pairwise(symbols) if pair in ranks]:
            symbols = merge_pair(symbols, min(fitting, key=ranks.__getitem__))
        out += [ids[symbol] for symbol in symbols]
    return out
    ### END SOLUTION


def decode(ids: list[int], merges: list[tuple[bytes, bytes]]) -> str:
    """Ids -> text. The special tokens give their names, "<|endoftext|>" and "<|pad|>".

    A character may be spread over several tokens: join all the bytes first, and read them as UTF-8
    then. A model can sample any ids, so the bytes need not be UTF-8: what cannot be read shows as
    U+FFFD (`errors="replace"`), and nothing raises.

    With the merges [(l, o), (lo, w)], `decode([259, 34, 258], merges)` is "low lo".
    `decode([197, 171], [])` is "é".
    """
    ### BEGIN SOLUTION
    tokens = (
        [name.encode() for name in SPECIALS]
        + [bytes([b]) for b in range(256)]
        + [a + b for a, b in merges]
    )
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")
    ### END SOLUTION
