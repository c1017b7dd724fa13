"""What lecture 2 holds its exercises to: tables by hand, and two byte-pair encoders that work in
other ways, the library's trainer and tiktoken (cases.py)."""

from pathlib import Path

from course.grade import StudentError, exercise, expect, reject
from course.grade.lecture import load_module

FORBIDDEN = ("minilrm.tokenizer", "minilrm.Tokenizer", "tiktoken", "tokenizers")

CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_02_cases")
PAGES, learnt, encoder, odd_texts = CASES.PAGES, CASES.learnt, CASES.encoder, CASES.odd_texts


# -- merge_pair ------------------------------------------------------------------------------------


@exercise("merge_pair", points=2)
def left_to_right(student):
    """Every occurrence, from left to right, without overlap; symbols of one byte and of several."""
    for given, pair, wanted in (
        ("a a a b", "a a", "aa a b"),
        ("a a a a", "a a", "aa aa"),
        ("a b c a b", "a b", "ab c ab"),
        ("b a", "a b", "b a"),
        ("x a b", "a b", "x ab"),
        ("", "a b", ""),
        ("lo w lo w lo t", "lo w", "low low lo t"),
        ("l ow lo w", "lo w", "l ow low"),
        ("é r é r", "é r", "ér ér"),
    ):
        given, pair, wanted = ([x.encode() for x in row.split()] for row in (given, pair, wanted))
        symbols = list(given)
        found = student.merge_pair(symbols, tuple(pair))
        expect(symbols == given, "your function changes its argument, the list; build a new one")
        expect(isinstance(found, list), "return a list of symbols")
        expect(
            b"".join(found) == b"".join(given),
            f"of {given} with the pair {pair} you make {found}: is a symbol lost, at "
            "the end perhaps, or used twice?",
        )
        expect(
            found == wanted,
            f"{given} with the pair {pair} becomes {wanted}, and yours is {found}: every "
            "occurrence of these two symbols, from left to right, and a symbol that was used is "
            "used up",
        )


# -- train_bpe -------------------------------------------------------------------------------------

LOW = ["low"] * 5 + ["lot"] * 3 + ["now"] * 2


NOT_TEXTS = (
    "your symbols are texts; begin with the UTF-8 bytes, each a `bytes` of length 1: "
    "[bytes([b]) for b in word.encode()]"
)


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
    expect(not any(isinstance(x, str) for pair in found for x in pair), NOT_TEXTS)
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
    """low, lot, now: counts by hand. Then four pages, until nothing repeats."""
    wanted = [(b"l", b"o"), (b"lo", b"w"), (b"lo", b"t")]
    compare(
        student.train_bpe(list(LOW), 3),
        wanted,
        "low 5 times, lot 3 times, now 2 times",
        [
            (
                "you count each different word once; count it each time that it occurs",
                learnt(set(LOW), 3),
            ),
            (
                "you note merges but do not carry them out, so that the pairs stay those of single "
                "bytes",
                [(b"l", b"o"), (b"o", b"w"), (b"o", b"t")],
            ),
        ],
    )
    for pages, times, n in ((PAGES, "once", 40), (PAGES, "once", 7), (PAGES * 2, "twice", 130)):
        what = f"four short pages, {times} each, {n} merges"
        compare(student.train_bpe(list(pages), n), learnt(pages, n), what)
    blanks = [" up up", "\n\nup", " up"]
    compare(
        student.train_bpe(list(blanks), 9),
        [(b"u", b"p"), (b" ", b"up")],
        "texts that begin with blanks and line ends, which belong to the text",
    )


@exercise("train_bpe", points=1)
def ties(student):
    """Of equally frequent pairs the smallest, so that every machine learns the same merges."""
    texts = ["zy", "ab", "mn", "ab", "zy", "mn", "b", "ba", "ba"]
    wanted = [(b"a", b"b"), (b"b", b"a"), (b"m", b"n"), (b"z", b"y")]
    compare(
        student.train_bpe(list(texts), 4),
        wanted,
        "four pairs, twice each",
        [
            (
                "of equally frequent pairs you take the largest; the smallest is asked for: "
                "max(...) over (count, pair) prefers large pairs, min over (-count, pair) does not",
                wanted[::-1],
            ),
            (
                "of equally frequent pairs you take the one seen first, so the result depends on "
                "the order of the texts: ties go by the pair itself",
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
    found = student.train_bpe(list(texts), 50)
    expect(isinstance(found, list), "return a list of merges, each a pair of bytes")
    for left, right in found:
        expect(not isinstance(left, str), NOT_TEXTS)
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
    compare(found, learnt(texts, 50), "texts with many digits")
    compare(
        student.train_bpe(["aaaa", "aaaa", "aab"], 2),
        [(b"a", b"a"), (b"aa", b"aa")],
        "aaaa twice and aab",
        [
            (
                "aaaa holds the pair (a, a) three times, and it is replaced from left to right "
                "without overlap: aa aa",
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
                "a pair that occurs once is no pattern: stop where the best one occurs fewer than "
                "two times",
                learnt(["abc", "xy"], 10, min_count=1),
            )
        ],
    )
    compare(student.train_bpe(list(LOW), 1), [(b"l", b"o")], "one merge was asked for")
    compare(student.train_bpe(list(LOW), 0), [], "no merge was asked for")
    compare(student.train_bpe([], 5), [], "no texts, no merges")


# -- encode ----------------------------------------------------------------------------------------

LOW_MERGES = [(b"l", b"o"), (b"lo", b"w")]


def ids_of(student, text, merges):
    found = student.encode(text, list(merges))
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
        "merges (b, c), (a, b), (bc, d): you cut 'abc' into ab|c. Neither the leftmost pair nor "
        "the longest token comes first, but the *earliest learnt* merge: (b, c), so a|bc",
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
    across = [(b"1", b"2"), (b"s", b" "), (b"a", b"+")]
    for text, wanted in (("12", [51, 52]), ("s s", [117, 34, 117]), ("a+", [99, 45])):
        found = ids_of(student, text, across)
        expect(
            found == wanted,
            f"merges (1, 2), (s, blank), (a, +): {text!r} is {wanted}, and yours is {found}. Cut "
            "the text by split_words first: no merge crosses the border of a word",
        )
    merges = learnt(PAGES * 2, 90)
    right = encoder(merges)
    for text in PAGES:
        found = ids_of(student, text, merges)
        expect(
            found == right(text),
            f"with merges learnt from four pages, {text[:30]!r}... has other ids: is each "
            "word encoded by itself, and are merges applied until none fits?",
        )


@exercise("encode", points=2)
def any_text(student):
    """Every text of Unicode has ids, from which it can be read again."""
    merges = learnt(PAGES * 2, 90)
    right, tokens = encoder(merges), CASES.tokens_of(merges)
    for text in odd_texts():
        try:
            found = ids_of(student, text, merges)
        except StudentError as error:
            if error.isa(NotImplementedError):
                raise
            reject(
                f"encode({text!r:.60}) raises {error.kinds[0]}: start from the UTF-8 bytes, and "
                "every text can be encoded"
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
        expect(
            found == right(text),
            f"the ids of {text!r:.60} stand for its bytes, and are not the right ones: in each "
            "word apply merges until none fits, and use no special token",
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
            found == encoder(LOW_MERGES)(text),
            f"{text!r} has other ids than its characters: they are characters like any others, and "
            "nothing of a user's text may vanish",
        )


# -- decode ----------------------------------------------------------------------------------------


@exercise("decode", points=2)
def bytes_first(student):
    """Join the bytes, then read them."""
    found = student.decode([259, 34, 258], list(LOW_MERGES))
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
        f"[197, 171] are the bytes C3 A9, which is 'é'; yours is {found!r:.40} (chr() of a byte is "
        "not UTF-8)",
    )
    merges = learnt(PAGES * 2, 90)
    right = encoder(merges)
    for text in odd_texts():
        found = student.decode(right(text), list(merges))
        expect(found == text, f"the ids of {text!r:.50} give {found!r:.50}")


@exercise("decode", points=1)
def specials(student):
    """Special ids show as their names."""
    found = student.decode([0, 259, 1], list(LOW_MERGES))
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
                f"decode({ids}, []) raises {error.kinds[0]}: a model can sample any bytes; decode "
                "with errors='replace'"
            )
        expect(
            found == wanted,
            f"decode({ids}, []) is {wanted!r}, and yours is {found!r:.40}: what is no UTF-8 "
            "shows as U+FFFD (errors='replace')",
        )
