"""Texts cut into words, words into symbols: what training and encoding share."""

from collections.abc import Sequence

import regex

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
# once: Python's `regex`, Rust's fancy-regex (in tiktoken) and the one in tokenizers. The first
# alternative that fits is taken:
PATTERN = "|".join(
    (
        # An English ending: 's 't 're, but not the opening quote of 'total'.
        r"'(?:s|t|re|ve|m|ll|d)(?!\p{L})",
        # A word, with the space before it (\p{M}: accents written as separate marks).
        r" ?\p{L}[\p{L}\p{M}]*",
        # ONE digit: numbers never merge, so 12 + 7 looks alike at every size.
        r"\p{N}",
        # A run of punctuation, with the space before it: " ####", "<<", "=", ":".
        r" ?[^\s\p{L}\p{N}]+",
        # Line ends, never glued to the full stop before them.
        r"[\r\n]+",
        # Spaces, less the last, which goes with the next word.
        r"[^\S\r\n]{1,64}(?!\S)",
        # What is left: one blank before a digit, a tab before a word.
        r"[^\S\r\n]",
    )
)
# Why {1,64}: with a bare + tiktoken panics on a million spaces (its engine keeps one backtracking
# state per blank). There is a cut wherever a non-blank meets a blank, whatever stands around them.
# So if a prompt ends in a non-blank and what follows starts with a blank ("Answer:" + " #### 12"),
# encode(prompt + rest) == encode(prompt) + encode(rest): a model is prompted with exactly the
# tokens that it was trained on.


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


def specials_regex(specials: Sequence[str]) -> regex.Pattern[str]:
    """Its `split` gives ordinary text at even places, special tokens at odd ones: "a<bad>b" ->
    ["a", "<bad>", "b"]."""
    return regex.compile("(" + "|".join(map(regex.escape, specials)) + ")" if specials else r"(?!)")


def split_words(text: str) -> list[str]:
    """The pre-tokens of a text: "It's 3*12.\\n A: #### 9" -> It 's _ 3 * 1 2 . \\n _A : _#### _ 9
    (_ is a space)."""
    words: list[str] = regex.findall(PATTERN, text)
    return words


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
