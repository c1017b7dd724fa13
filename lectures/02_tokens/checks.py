"""What lecture 2 holds its exercises to: a slow and obvious encoder of the checker's own."""

import random
from collections import Counter
from itertools import pairwise

import regex

from course.grade import StudentError, exercise, expect, reject

FORBIDDEN = ("minilrm.tokenizer", "minilrm.Tokenizer", "tiktoken", "tokenizers")

SPECIALS = ("<|endoftext|>", "<|pad|>")
WORD = regex.compile(r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s")
PAGES = [
    "Tom has 12 boxes of 12 pens. Tom gives 3 of the pens to Ana.",
    "<<12*12=144>>144 pens, <<144-3=141>>141 pens.\n#### 141",
    "Each of the 4 boxes has 25 pencils. The pencils cost 2 euros each.",
    "Ana tiene 12 lápices y da 3 lápices al niño.\n#### 9",
]


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
    """The reference. The options are for the wrong versions that messages and mutants name."""
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


# -- merge_pair ------------------------------------------------------------------------------------


@exercise("merge_pair", points=2)
def left_to_right(student):
    """Every occurrence, from left to right, without overlap."""
    for word, pair, wanted in (
        ("aaab", "aa", ["aa", "a", "b"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("abcab", "ab", ["ab", "c", "ab"]),
        ("ba", "ab", ["b", "a"]),
        ("xab", "ab", ["x", "ab"]),
        ("", "ab", []),
    ):
        symbols = [c.encode() for c in word]
        given = list(symbols)
        found = student.merge_pair(symbols, (pair[:1].encode(), pair[1:].encode()))
        wanted = [piece.encode() for piece in wanted]
        expect(symbols == given, "your function changes the list that it is given; build a new one")
        expect(isinstance(found, list), "return a list of symbols")
        expect(
            b"".join(found) == word.encode(),
            f"of {given} with the pair {pair!r} you make {found}: is a symbol lost, at "
            "the end perhaps, or used twice?",
        )
        expect(
            found == wanted,
            f"{given} with the pair {pair!r} becomes {wanted}, and yours is {found}: every occurrence, "
            "from left to right, and a symbol that was used is used up",
        )


# -- train_bpe -------------------------------------------------------------------------------------

LOW = ["low"] * 5 + ["lot"] * 3 + ["now"] * 2


def compare(found, wanted, what, mistakes=()):
    """Reject unless the merges are the wanted ones; `mistakes` are pairs of a message and what that
    mistake gives."""
    expect(
        isinstance(found, list),
        "return a list of merges, each a pair of bytes, in the order in which they were learnt",
    )
    found = [tuple(pair) if isinstance(pair, (list, tuple)) else pair for pair in found]
    if found == wanted:
        return
    expect(
        not any(isinstance(x, str) for pair in found for x in pair),
        "your symbols are texts; begin with the UTF-8 bytes, "
        "each a `bytes` of length 1: [bytes([b]) for b in word.encode()]",
    )
    for message, value in mistakes:
        if found == value:
            reject(message)
    at = next(
        (i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b),
        min(len(found), len(wanted)),
    )
    yours, ours = (str(x[at]) if at < len(x) else "none" for x in (found, wanted))
    reject(f"{what}: merge number {at} should be {ours}, and yours is {yours}")


@exercise("train_bpe", points=2)
def worked_example(student):
    """low, lot, now: counts by hand."""
    wanted = [(b"l", b"o"), (b"lo", b"w"), (b"lo", b"t")]
    compare(
        student.train_bpe(LOW, 3),
        wanted,
        "low 5 times, lot 3 times, now 2 times",
        [
            (
                "you count each different word once; count it each time that it occurs",
                train(LOW, 3, count=False),
            ),
            (
                "you note merges but do not carry them out, so that the pairs stay those of single bytes",
                [(b"l", b"o"), (b"o", b"w"), (b"o", b"t")],
            ),
        ],
    )
    compare(student.train_bpe(PAGES, 40), train(PAGES, 40), "four short pages, 40 merges")


@exercise("train_bpe", points=1)
def ties(student):
    """Of equally frequent pairs the smallest, so that every machine learns the same merges."""
    texts = ["zy", "ab", "mn", "ab", "zy", "mn", "b", "ba", "ba"]
    wanted = [(b"a", b"b"), (b"b", b"a"), (b"m", b"n"), (b"z", b"y")]
    compare(
        student.train_bpe(texts, 4),
        wanted,
        "four pairs, twice each",
        [
            (
                "of equally frequent pairs you take the largest; the smallest is asked for: max(...) over (count, pair) prefers large "
                "pairs, min over (-count, pair) does not",
                wanted[::-1],
            ),
            (
                "of equally frequent pairs you take the one seen first, so the result depends on the order of the texts: ties go by "
                "the pair itself",
                [(b"z", b"y"), (b"a", b"b"), (b"m", b"n"), (b"b", b"a")],
            ),
        ],
    )
    compare(
        student.train_bpe(texts[::-1], 4),
        wanted,
        "the same texts in another order must give the same merges",
    )


@exercise("train_bpe", points=2)
def words_and_digits(student):
    """No merge crosses a word, and digits stand alone."""
    texts = ["1212 1212 1212", "in a box in a box in a box", "x1 x1 x1"]
    found = student.train_bpe(texts, 50)
    expect(isinstance(found, list), "return a list of merges, each a pair of bytes")
    for left, right in found:
        both = bytes(left) + bytes(right)
        expect(
            not any(48 <= byte <= 57 for byte in both),
            f"you merge digits: {both}. Cut each text by split_words first; "
            "every digit is a word of its own, so that 347 is three tokens like 348",
        )
        expect(
            b" " not in both[1:],
            f"your merge {both} crosses the border of a word: cut each text by split_words first",
        )
    compare(found, train(texts, 50), "texts with many digits")
    compare(
        student.train_bpe(["aaaa", "aaaa", "aab"], 2),
        [(b"a", b"a"), (b"aa", b"aa")],
        "aaaa twice and aab",
        [
            (
                "aaaa holds the pair (a, a) three times, and it is replaced from left to right without overlap: aa aa",
                [(b"a", b"a")],
            )
        ],
    )


@exercise("train_bpe", points=1)
def the_end(student):
    """It begins with bytes and stops where nothing repeats."""
    compare(
        student.train_bpe(["né", "né", "né"], 9),
        [(b"n", b"\xc3"), (b"n\xc3", b"\xa9")],
        "né, three times: é is the two bytes C3 A9",
    )
    compare(
        student.train_bpe(["abc", "xy"], 10),
        [],
        "where no pair occurs twice there is nothing to learn",
        [
            (
                "a pair that occurs once is no pattern: stop where the best one occurs fewer than two times",
                train(["abc", "xy"], 10, least=1),
            )
        ],
    )
    compare(student.train_bpe(LOW, 1), [(b"l", b"o")], "one merge was asked for")
    compare(student.train_bpe(LOW, 0), [], "no merge was asked for")
    compare(student.train_bpe([], 5), [], "no texts, no merges")


# -- encode ----------------------------------------------------------------------------------------

LOW_MERGES = [(b"l", b"o"), (b"lo", b"w")]


def ids_of(student, text, merges):
    found = student.encode(text, merges)
    expect(
        isinstance(found, list) and all(isinstance(i, int) for i in found),
        "return a list of ids, which are whole numbers",
    )
    return found


@exercise("encode", points=1)
def ids(student):
    """Which number each token has."""
    for text, wanted in (
        ("low", [259]),
        ("lot", [258, 118]),
        ("wow", [121, 113, 121]),
        ("é", [197, 171]),
    ):
        found = ids_of(student, text, LOW_MERGES)
        expect(
            found != [i - 2 for i in wanted],
            f"{text!r}: your ids begin at 0; the two special tokens come first, so byte b "
            "has the id 2 + b",
        )
        expect(
            found == wanted,
            f"with the merges (l, o), (lo, w), {text!r} is {wanted}, and yours is {found}",
        )


@exercise("encode", points=2)
def order(student):
    """The earliest learnt merge first, wherever it stands in the word."""
    merges = [(b"b", b"c"), (b"a", b"b"), (b"bc", b"d")]
    found = ids_of(student, "abc", merges)
    expect(
        found != [259, 101],
        "merges (b, c), (a, b), (bc, d): you cut 'abc' into ab|c. Neither the leftmost pair nor the "
        "longest token comes first, but the *earliest learnt* merge: (b, c), so a|bc",
    )
    expect(
        found == [99, 258],
        f"merges (b, c), (a, b), (bc, d): 'abc' is a|bc = [99, 258], and yours is {found}",
    )
    found = ids_of(student, "abcd", merges)
    expect(
        found == [99, 260],
        f"merges (b, c), (a, b), (bc, d): 'abcd' is a|bc|d, then a|bcd = [99, 260], and yours "
        f"is {found}",
    )
    joined = [(b"a", b"b"), (b"b", b"c"), (b"a", b"bc")]
    expect(
        ids_of(student, "abc", joined) == [258, 101],
        "merges (a, b), (b, c), (a, bc): 'abc' is ab|c. There is a token of "
        "the bytes abc, but the pair (ab, c) is not in the list; join only pairs that are",
    )
    merges = train(PAGES, 60)
    for text in PAGES:
        found = ids_of(student, text, merges)
        expect(
            found == encoded(text, merges),
            f"with merges learnt from four pages, {text[:30]!r}... has other ids: is each "
            "word encoded by itself, and are merges applied until none fits?",
        )


@exercise("encode", points=2)
def any_text(student):
    """Every text of Unicode has ids, from which it can be read again."""
    merges = train(PAGES, 60)
    tokens = (
        [name.encode() for name in SPECIALS]
        + [bytes([b]) for b in range(256)]
        + [a + b for a, b in merges]
    )
    for text in odd_texts():
        try:
            found = ids_of(student, text, merges)
        except StudentError as error:
            if error.isa(NotImplementedError):
                raise
            reject(
                f"encode({text!r:.60}) raises {error.kinds[0]}: start from the UTF-8 bytes, and every text can be encoded"
            )
        expect(
            all(0 <= i < len(tokens) for i in found),
            f"encode({text!r:.60}) gives ids that no token has",
        )
        back = b"".join(tokens[i] for i in found)
        expect(
            back == text.encode(),
            f"the ids of {text!r:.60} stand for other bytes than the text's: is anything lost or "
            "changed?",
        )


@exercise("encode", points=1)
def no_special_ids(student):
    """What a user writes never becomes a special token."""
    for text in (
        "<|endoftext|>",
        "Answer: 72<|endoftext|>Question:",
        "<|pad|><|pad|>",
        "<|end<|pad|>oftext|>",
    ):
        found = ids_of(student, text, LOW_MERGES)
        expect(
            0 not in found and 1 not in found,
            f"{text!r} gives the id of a special token: then any user can end the text, "
            "or say what only we may say. In encode they are plain characters",
        )
        expect(
            found == encoded(text, LOW_MERGES),
            f"{text!r} has other ids than its characters: nothing of a user's text may vanish",
        )


# -- decode ----------------------------------------------------------------------------------------


@exercise("decode", points=2)
def bytes_first(student):
    """Join the bytes, then read them."""
    found = student.decode([259, 34, 258], LOW_MERGES)
    expect(
        found == "low lo",
        f"[259, 34, 258] is 'low lo', and yours is {found!r:.40}: byte b has the id 2 + b, "
        "merge i the id 258 + i",
    )
    found = student.decode([197, 171], [])
    expect(
        "\ufffd" not in found and found != "",
        "é is two tokens here, C3 and A9, and neither is a character: join all bytes "
        "first, then decode them once",
    )
    expect(
        found == "é",
        f"[197, 171] are the bytes C3 A9, which is 'é'; yours is {found!r:.40} (chr() of a byte is not UTF-8)",
    )
    merges = train(PAGES, 60)
    for text in odd_texts():
        found = student.decode(encoded(text, merges), merges)
        expect(found == text, f"the ids of {text!r:.50} give {found!r:.50}")


@exercise("decode", points=1)
def specials(student):
    """Special ids show as their names."""
    found = student.decode([0, 259, 1], LOW_MERGES)
    expect(
        found == "<|endoftext|>low<|pad|>",
        f"[0, 259, 1] is '<|endoftext|>low<|pad|>', and yours is {found!r:.60}",
    )


@exercise("decode", points=1)
def broken(student):
    """Ids that a model may sample: bytes that are no UTF-8."""
    for ids, wanted in (
        ([197], "\ufffd"),
        ([197, 34], "\ufffd "),
        ([257, 99], "\ufffda"),
        ([], ""),
    ):
        try:
            found = student.decode(ids, [])
        except StudentError as error:
            if error.isa(NotImplementedError):
                raise
            reject(
                f"decode({ids}, []) raises {error.kinds[0]}: a model can sample any bytes; decode with errors='replace'"
            )
        expect(
            found == wanted,
            f"decode({ids}, []) is {wanted!r}, and yours is {found!r:.40}: what is no UTF-8 shows as "
            "U+FFFD (errors='replace')",
        )
