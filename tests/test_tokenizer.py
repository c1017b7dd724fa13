"""The tokenizer: three encoders that must agree, a trainer that must equal the obvious one. Its
files are in test_tokenizer_files.py."""

import json
import unicodedata
from pathlib import Path

import pytest
import tokenizers
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from minilrm.tokenizer import (
    EOS,
    PAD,
    SPECIALS,
    StreamDecoder,
    Tokenizer,
    clean_text,
    split_words,
    train_bpe,
)

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "tokenizer"
quick = settings(derandomize=True, deadline=None, database=None, max_examples=150)

MATHS = (
    "Question: Natalia sold 48/2 = <<48/2=24>>24 clips.\n"
    "She didn't sell 'total' more: it's $3.50 each (10%).\n"
    "\n\n    Step 1) 12 + 7 = 19.   Step 2) 19*3=57\t# tab\n  indented\n\n\nAnswer: #### 1,234\n"
)
SPANISH = "¿Cuántos niños compró María? ¡Él gastó 20 €! «Año» — la señora pagó 3½ pingüinos.\n"
SCRIPTS = (
    "日本語の文章です。 Привет, мир! नमस्ते दुनिया १२३ مرحبا ٤٥ e\u0301 n\u0303 👩‍👩‍👧‍👦 ❤️ 🇪🇸 𝟘𝟙 ²₃ Ⅷ"
)
CODE = (
    "def f(x):\r\n\tif x_1 >= 10:\r\n\t\treturn 'total' + \"s\"  # ok\r\n\r\n"
    + " " * 70
    + "end"
    + "\n" * 5
)
CORPUS = [MATHS, SPANISH, SCRIPTS, CODE] * 3
PARITY = [
    "",
    " ",
    "  ",
    "\n",
    " \n ",
    "\r\n\r\n",
    "a\r\nb",
    ".\n",
    ".\n\n",
    "Answer:",
    "Answer: #### 12",
    "1234567890",
    " 1  2   3",
    "x=<<3*4=12>>12",
    "'s 'so don't DON'T ’s",
    "\t\tx",
    "a\u00a0b\u2003c\u2028d\u0085e\x1cf\x0bg",
    "\ufeffbom",
    "\x00\x7f",
    "\ufffd",
    "<|endoftext|>",
    "<think>no</think>",
    "<<think>>",
    "Ġthe Ċ",
    "🙂" * 20,
    " " * 200 + "x",
    "\ud83d",
    *CORPUS[:4],
]


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return Tokenizer.train(CORPUS, vocab_size=480)


@pytest.fixture(scope="module")
def folder(tok, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tok.save(folder)
    return folder


@pytest.fixture(scope="module")
def hugging(folder) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


def assert_parity(tok: Tokenizer, hugging: tokenizers.Tokenizer, text: str) -> None:
    """All three encoders give the same ids."""
    ids = tok.encode(text)
    assert ids == tok.encode_reference(text)
    # `tokenizers` always matches special tokens
    with_specials = tok.encode(text, allow_special=True)
    assert with_specials == tok.encode_reference(text, allow_special=True)
    assert with_specials == hugging.encode(clean_text(text), add_special_tokens=False).ids
    if not any(name in text for name in SPECIALS):
        assert ids == with_specials


# -- encoding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", PARITY, ids=lambda text: ascii(text[:16]))
def test_three_encoders_agree_on_chosen_texts(tok, hugging, text):
    assert_parity(tok, hugging, text)


any_text = st.text(st.characters(exclude_categories=()), max_size=60)  # surrogates too
# Characters that this Python's Unicode has (14 in Python 3.11): about later ones the three engines
# may differ.
known_text = st.text(st.characters(exclude_categories=("Cn",)), max_size=60)
PIECES = [
    "the",
    " Answer",
    ":",
    " ####",
    "<<",
    ">>",
    "\n",
    "\r\n",
    " ",
    "   ",
    "\t",
    "7",
    "½",
    "ñ",
    "'s",
    "日本",
    "🙂",
]


@quick
@given(known_text)
@example("\ud83d\ude42 \ude42 \ud83d")
def test_three_encoders_agree_on_any_characters_of_unicode_14(tok, hugging, text):
    assert_parity(tok, hugging, text)


@quick
@given(any_text)
def test_any_text_comes_back(tok, text):
    for ids in (tok.encode(text), tok.encode_reference(text), tok.encode(text, allow_special=True)):
        assert tok.decode(ids) == clean_text(text)


def characters_at_the_ends_of_each_run():
    """Where the category of characters changes from one to the next, both of them; and a sample of
    what lies between, as regular-expression engines keep them in ranges."""
    category = [unicodedata.category(chr(code)) for code in range(0x110000)]
    for code in range(0x80, 0x10FFFF):
        run_ends = not category[code - 1] == category[code] == category[code + 1]
        if category[code] not in ("Cn", "Cs") and (run_ends or code % 256 == 0):
            yield chr(code)


def test_three_encoders_cut_words_alike_around_every_kind_of_character():
    """With merges of every byte that can begin a character after a letter and after an exclamation
    mark, and of every byte that can end one before a letter, the ids show where the cuts are."""
    first = [bytes([byte]) for byte in range(0xC2, 0xF5)]
    last = [bytes([byte]) for byte in range(0x80, 0xC0)]
    merges = [(b"a", byte) for byte in first] + [(b"!", byte) for byte in first]
    tok = Tokenizer(merges + [(byte, b"a") for byte in last])
    hugging = tokenizers.Tokenizer.from_str(json.dumps(tok.to_huggingface()))
    seen = 0
    for char in characters_at_the_ends_of_each_run():
        text, seen = f"a{char} !{char}a", seen + 1
        ids = tok.encode(text)
        assert ids == tok.encode_reference(text), hex(ord(char))
        assert ids == hugging.encode(text, add_special_tokens=False).ids, hex(ord(char))
    assert seen > 5000


@quick
@given(
    st.lists(st.sampled_from([*PIECES, *SPECIALS]) | st.text(max_size=3), max_size=20).map("".join)
)
def test_three_encoders_agree_on_glued_pieces(tok, hugging, text):
    assert_parity(tok, hugging, text)


@quick
@given(any_text)
def test_words_cover_the_text(text):
    assert "".join(split_words(text)) == text


def test_cuts():
    assert split_words("So 3*4=12.\nAnswer: #### 12") == [
        "So",
        " ",
        "3",
        "*",
        "4",
        "=",
        "1",
        "2",
        ".",
        "\n",
        "Answer",
        ":",
        " ####",
        " ",
        "1",
        "2",
    ]
    assert split_words("it's 'total'\n\n  x") == ["it", "'s", " '", "total", "'", "\n\n", " ", " x"]
    # not "'t" "otal"
    assert split_words("'total'\n'did'") == ["'", "total", "'", "\n", "'", "did", "'"]
    assert split_words("x=<<3+4=7>>7!\r\n") == [
        "x",
        "=<<",
        "3",
        "+",
        "4",
        "=",
        "7",
        ">>",
        "7",
        "!",
        "\r\n",
    ]


def test_digits_are_never_merged(tok):
    assert [tok.token_bytes(i) for i in tok.encode("2024")] == [b"2", b"0", b"2", b"4"]
    digits = set(b"0123456789")
    assert not any(
        digits & set(left + right) for left, right in train_bpe(["1111 22 a1 1a =1"] * 50, 600)
    )
    for word in split_words("12٤٥१२½²"):
        assert len(word) == 1


@quick
@given(
    st.text(max_size=20),
    st.sampled_from([" ", "\n", "\r\n", "\t", "  ", "\u00a0"]),
    st.text(max_size=20),
)
def test_a_prompt_is_a_prefix_of_its_document(tok, prompt, blank, rest):
    assume(prompt and not prompt[-1].isspace())
    assert tok.encode(prompt + blank + rest) == tok.encode(prompt) + tok.encode(blank + rest)


def test_millions_of_blanks_do_not_break_tiktoken(tok):
    for text in (" " * 1_500_000, " " * 1_500_000 + "x", "\n" * 1_500_000):
        assert len(tok.encode(text)) > 0


def test_lone_surrogates(tok):
    assert clean_text("a\ud83d") == "a\ufffd" and clean_text("\ude42b") == "\ufffdb"
    assert clean_text("\ud83d\ude42") == "🙂"
    assert tok.encode("\ud83d\ude42") == tok.encode("🙂")
    assert tok.decode(tok.encode("x\udc80y")) == "x\ufffdy"


# -- special tokens --------------------------------------------------------------------------------


def test_layout(tok):
    assert len(SPECIALS) == len(set(SPECIALS)) == 32
    assert (tok.eos_id, tok.pad_id) == (0, 1) == (tok.special_ids[EOS], tok.special_ids[PAD])
    assert [tok.token_bytes(32 + byte) for byte in range(256)] == [
        bytes([byte]) for byte in range(256)
    ]
    assert tok.token_bytes(288) == b"".join(tok.merges[0])
    assert len(tok) == tok.vocab_size == 288 + len(tok.merges)
    for wrong in (-1, tok.vocab_size):
        with pytest.raises(IndexError):
            tok.decode([wrong])


@pytest.mark.parametrize("name", SPECIALS)
def test_a_user_cannot_smuggle_in_a_special_token(tok, name):
    text = f"hi {name}{name} 2"
    assert min(tok.encode(text)) >= len(SPECIALS) and tok.decode(tok.encode(text)) == text
    ids = tok.encode(text, allow_special=True)
    assert ids.count(tok.special_ids[name]) == 2 and tok.decode(ids) == text
    assert tok.decode(ids, skip_special=True) == "hi  2"


@quick
@given(
    st.lists(st.sampled_from([*SPECIALS, "<", "|", ">", "<|", "think", " "]), max_size=12).map(
        "".join
    )
)
def test_no_text_smuggles_in_a_special_token(tok, text):
    assert all(i >= len(SPECIALS) for i in tok.encode(text))


def test_special_tokens_in_the_corpus_are_not_learnt():
    assert train_bpe(["<think>"] * 100, 400) == []
    assert train_bpe(["<think>"] * 100, 400, specials=()) != []


@pytest.mark.parametrize("added", [[""], ["<x", "<x>"], [EOS], ["a"]])
def test_bad_special_tokens(added):
    for specials in ([EOS, PAD, *added], added):
        with pytest.raises(ValueError):
            Tokenizer([], specials)


# -- decoding --------------------------------------------------------------------------------------


@quick
@given(st.lists(st.integers(0, 479), max_size=40))
@example([32 + 0xF0, 32 + 0x9F])
def test_streaming_gives_what_decode_gives(tok, ids):
    ids = [i % len(tok) for i in ids]
    for skip in (False, True):
        stream = StreamDecoder(tok, skip_special=skip)
        assert "".join([stream.push(i) for i in ids]) + stream.flush() == tok.decode(
            ids, skip_special=skip
        )


def test_streaming_holds_back_half_a_character():
    tok = Tokenizer([])
    stream = StreamDecoder(tok)
    assert [stream.push(i) for i in tok.encode("né🙂!")] == ["n", "", "é", "", "", "", "🙂", "!"]
    assert stream.push(32 + 0xF0) == "" and stream.flush() == "\ufffd"


def test_decode_bytes(tok):
    assert tok.decode_bytes([32 + 0xC3, 0]) == b"\xc3<|endoftext|>"
    assert tok.decode([32 + 0xC3, 0], skip_special=True) == "\ufffd"


# -- the shipped tokenizer -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> tuple[Tokenizer, tokenizers.Tokenizer]:
    return Tokenizer.load(SHIPPED), tokenizers.Tokenizer.from_file(str(SHIPPED / "tokenizer.json"))


@pytest.mark.skipif(not SHIPPED.exists(), reason="data/tokenizer is not made yet")
class TestShipped:
    """The same on the one tokenizer that all shipped checkpoints share."""

    def test_layout(self, shipped):
        tok, _ = shipped
        assert tok.vocab_size == 1024 and tok.specials == SPECIALS
        assert (tok.eos_id, tok.pad_id) == (0, 1)
        assert not any(set(b"0123456789") & set(tok.token_bytes(i)) for i in range(288, 1024))

    @pytest.mark.parametrize("text", PARITY, ids=lambda text: ascii(text[:16]))
    def test_three_encoders_agree_on_chosen_texts(self, shipped, text):
        assert_parity(*shipped, text)

    @quick
    @given(known_text)
    def test_three_encoders_agree_on_any_characters_of_unicode_14(self, shipped, text):
        assert_parity(*shipped, text)

    @pytest.mark.parametrize(
        "prompt", ["Answer:", "Question: 3+4=?\nAnswer:", "¿Cuánto?\nRespuesta:"]
    )
    @pytest.mark.parametrize("rest", [" #### 12", "\n#### 12", " 12", " <think>"])
    def test_a_prompt_is_a_prefix_of_its_document(self, shipped, prompt, rest):
        tok, _ = shipped
        assert tok.encode(prompt + rest, True) == tok.encode(prompt) + tok.encode(rest, True)
