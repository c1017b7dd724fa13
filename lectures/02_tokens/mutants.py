"""The mutants of lecture 2: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

from collections import Counter
from itertools import pairwise

import regex
from checks import CASES

from course.grade import mutant

SPECIALS, WORD = CASES.SPECIALS, CASES.WORD


def bytes_of(word):
    return [bytes([b]) for b in word.encode()]


def join(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        fits = tuple(symbols[i : i + 2]) == pair
        out.append(pair[0] + pair[1] if fits else symbols[i])
        i += 1 + fits
    return out


def train(
    texts,
    n_merges,
    cut=WORD.findall,
    order=lambda counts, pair: (-counts[pair], pair),
    least=2,
    count=True,
):
    """The right merges. The options are for the wrong versions."""
    words = Counter(word for text in texts for word in cut(text))
    state, merges = [(bytes_of(word), n if count else 1) for word, n in words.items()], []
    while len(merges) < n_merges:
        counts = Counter()
        for symbols, n in state:
            for pair in pairwise(symbols):
                counts[pair] += n
        if not counts or max(counts.values()) < least:
            break
        merges.append(min(counts, key=lambda pair: order(counts, pair)))
        state = [(join(symbols, merges[-1]), n) for symbols, n in state]
    return merges


def encoded(text, merges):
    ranks = {pair: i for i, pair in enumerate(merges)}
    ids = {bytes([b]): 2 + b for b in range(256)} | {
        a + b: 258 + i for i, (a, b) in enumerate(merges)
    }
    out = []
    for word in WORD.findall(text):
        symbols = bytes_of(word)
        while fitting := [pair for pair in pairwise(symbols) if pair in ranks]:
            symbols = join(symbols, min(fitting, key=ranks.__getitem__))
        out += [ids[symbol] for symbol in symbols]
    return out


@mutant("merge_pair", "every occurrence")
def first_one_only(symbols, pair):
    for i in range(len(symbols) - 1):
        if (symbols[i], symbols[i + 1]) == pair:
            return symbols[:i] + [pair[0] + pair[1]] + symbols[i + 2 :]
    return list(symbols)


@mutant("merge_pair", "lost, at the end")
def drops_the_end(symbols, pair):
    out, i = [], 0
    while i < len(symbols) - 1:
        fits = (symbols[i], symbols[i + 1]) == pair
        out.append(pair[0] + pair[1] if fits else symbols[i])
        i += 1 + fits
    return out


@mutant("merge_pair", "used twice")
def overlaps(symbols, pair):
    out = [a + b if (a, b) == pair else a for a, b in pairwise(symbols)]
    return out + symbols[-1:]


@mutant("merge_pair", "from left to right")
def from_the_right(symbols, pair):
    turned = join([s[::-1] for s in symbols[::-1]], (pair[1][::-1], pair[0][::-1]))
    return [s[::-1] for s in turned[::-1]]


@mutant("merge_pair", "changes its argument")
def in_place(symbols, pair):
    symbols[:] = join(symbols, pair)
    return symbols


@mutant("merge_pair", "of these two symbols")
def by_their_bytes(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        fits = b"".join(symbols[i : i + 2]) == pair[0] + pair[1] and symbols[i] != pair[0] + pair[1]
        out.append(pair[0] + pair[1] if fits else symbols[i])
        i += 1 + fits
    return out


@mutant("merge_pair", "of these two symbols")
def single_bytes(symbols, pair):
    text, both, out = b"".join(symbols), pair[0] + pair[1], []
    while text:
        out.append(both if text.startswith(both) else text[:1])
        text = text[len(out[-1]) :]
    return out


@mutant("train_bpe", "count it each time")
def each_word_once(texts, n_merges):
    return train(texts, n_merges, count=False)


@mutant("train_bpe", "do not carry them out")
def never_merges(texts, n_merges):
    counts = Counter(
        pair for text in texts for word in WORD.findall(text) for pair in pairwise(bytes_of(word))
    )
    best = sorted(counts, key=lambda pair: (-counts[pair], pair))
    return [pair for pair in best if counts[pair] > 1][:n_merges]


@mutant("train_bpe", "you take the largest")
def largest_of_equals(texts, n_merges):
    flip = bytes(255 - i for i in range(256))
    return train(
        texts,
        n_merges,
        order=lambda counts, pair: (-counts[pair], *(p.translate(flip) for p in pair)),
    )


@mutant("train_bpe", "the one seen first")
def first_of_equals(texts, n_merges):
    return train(texts, n_merges, order=lambda counts, pair: -counts[pair])


@mutant("train_bpe", "you merge digits")
def no_words(texts, n_merges):
    return train(texts, n_merges, cut=lambda text: [text])


@mutant("train_bpe", "crosses the border of a word")
def digits_alone(texts, n_merges):
    return train(texts, n_merges, cut=lambda text: regex.findall(r"[0-9]|[^0-9]+", text))


@mutant("train_bpe", "fewer than two times")
def to_the_bitter_end(texts, n_merges):
    return train(texts, n_merges, least=1)


@mutant("train_bpe", "130 merges")
def fifty_at_most(texts, n_merges):
    return train(texts, min(n_merges, 50))


@mutant("train_bpe", "begin with blanks")
def strips_the_texts(texts, n_merges):
    return train([text.strip() for text in texts], n_merges)


@mutant("train_bpe", "40 merges: merge number 5")
def smallest_token_of_equals(texts, n_merges):
    return train(texts, n_merges, order=lambda counts, pair: (-counts[pair], pair[0] + pair[1]))


@mutant("train_bpe", "your symbols are texts")
def characters(texts, n_merges):
    return [(a.decode("latin-1"), b.decode("latin-1")) for a, b in train(texts, n_merges)]


def by_rule(text, merges, merge_word, first=2):
    ids = {bytes([b]): first + b for b in range(256)} | {
        a + b: first + 256 + i for i, (a, b) in enumerate(merges)
    }
    return [
        ids[symbol]
        for word in WORD.findall(text)
        for symbol in merge_word(bytes_of(word), merges, ids)
    ]


def earliest(symbols, merges, ids):
    for pair in merges:
        symbols = join(symbols, pair)
    return symbols


@mutant("encode", "your ids begin at 0")
def no_room_for_specials(text, merges):
    return by_rule(text, merges, earliest, first=0)


@mutant("encode", "nor the longest token")
def longest_match(text, merges):
    def longest(symbols, merges, ids):
        word, out = b"".join(symbols), []
        while word:
            n = next(n for n in range(len(word), 0, -1) if word[:n] in ids)
            out.append(word[:n])
            word = word[n:]
        return out

    return by_rule(text, merges, longest)


@mutant("encode", "the *earliest learnt* merge")
def from_the_left(text, merges):
    def leftmost(symbols, merges, ids):
        while fitting := [pair for pair in pairwise(symbols) if pair in merges]:
            symbols = join(symbols, fitting[0])
        return symbols

    return by_rule(text, merges, leftmost)


@mutant("encode", "join only pairs that are")
def joins_what_makes_a_token(text, merges):
    def known(symbols, merges, ids):
        while fitting := [pair for pair in pairwise(symbols) if pair[0] + pair[1] in ids]:
            symbols = join(symbols, min(fitting, key=lambda pair: ids[pair[0] + pair[1]]))
        return symbols

    return by_rule(text, merges, known)


@mutant("encode", "no merge crosses the border")
def across_words(text, merges):
    ranks, symbols = {pair: i for i, pair in enumerate(merges)}, bytes_of(text)
    while fitting := [pair for pair in pairwise(symbols) if pair in ranks]:
        symbols = join(symbols, min(fitting, key=ranks.__getitem__))
    tokens = [b"", b"", *(bytes([b]) for b in range(256)), *(a + b for a, b in merges)]
    return [tokens.index(symbol) for symbol in symbols]


@mutant("encode", "are not the right ones")
def merges_not_used(text, merges):
    return [2 + byte for byte in text.encode()]


@mutant("encode", "gives the id of a special token")
def special_aware(text, merges):
    out = []
    for part in regex.split(r"(<\|endoftext\|>|<\|pad\|>)", text):
        out += [SPECIALS.index(part)] if part in SPECIALS else encoded(part, merges)
    return out


@mutant("encode", "may vanish")
def strips_specials(text, merges):
    return encoded(text.replace("<|endoftext|>", "").replace("<|pad|>", ""), merges)


@mutant("encode", "raises")
def characters_as_bytes(text, merges):
    return (
        by_rule(text, merges, earliest)
        if text.isascii() or text == "é"
        else [2 + bytes([ord(c)])[0] for c in text]
    )


@mutant("decode", "join all bytes")
def token_by_token(ids, merges):
    tokens = (
        [name.encode() for name in SPECIALS]
        + [bytes([b]) for b in range(256)]
        + [a + b for a, b in merges]
    )
    return "".join(tokens[i].decode("utf-8", errors="replace") for i in ids)


@mutant("decode", "raises UnicodeDecodeError")
def strict(ids, merges):
    tokens = (
        [name.encode() for name in SPECIALS]
        + [bytes([b]) for b in range(256)]
        + [a + b for a, b in merges]
    )
    return b"".join(tokens[i] for i in ids).decode("utf-8")


@mutant("decode", "shows as U+FFFD")
def ignores(ids, merges):
    tokens = (
        [name.encode() for name in SPECIALS]
        + [bytes([b]) for b in range(256)]
        + [a + b for a, b in merges]
    )
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="ignore")


@mutant("decode", "is not UTF-8")
def chr_of_bytes(ids, merges):
    tokens = (
        [*SPECIALS] + [chr(b) for b in range(256)] + [(a + b).decode("latin-1") for a, b in merges]
    )
    return "".join(tokens[i] for i in ids)


@mutant("decode", "'<|endoftext|>low<|pad|>'")
def skips_specials(ids, merges):
    tokens = [b"", b""] + [bytes([b]) for b in range(256)] + [a + b for a, b in merges]
    return b"".join(tokens[i] for i in ids).decode("utf-8", errors="replace")
