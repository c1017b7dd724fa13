"""The tokenizer: three encoders that must agree, a trainer that must equal the obvious one, files
that must open."""

import json
import pickle
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import tokenizers
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from minilrm.errors import UserError
from minilrm.tokenizer import (
    BYTE_TO_CHAR,
    EOS,
    PAD,
    SPECIALS,
    StreamDecoder,
    Tokenizer,
    clean_text,
    from_chars,
    merge_pair,
    split_bytes,
    split_words,
    to_chars,
    train_bpe,
)

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "tokenizer"
quick = settings(derandomize=True, deadline=None, database=None, max_examples=150)

MATHS = """Question: Natalia sold 48/2 = <<48/2=24>>24 clips.\nShe didn't sell 'total' more: it's $3.50 each (10%).
\n\n    Step 1) 12 + 7 = 19.   Step 2) 19*3=57\t# tab\n  indented\n\n\nAnswer: #### 1,234\n"""
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
    """All three encoders give the same ids, and decoding gives the text back."""
    ids = tok.encode(text)
    assert ids == tok.encode_reference(text)
    assert tok.decode(ids) == clean_text(text)
    with_specials = tok.encode(
        text, allow_special=True
    )  # `tokenizers` always matches special tokens
    assert with_specials == tok.encode_reference(text, allow_special=True)
    assert with_specials == hugging.encode(clean_text(text), add_special_tokens=False).ids
    if not any(name in text for name in SPECIALS):
        assert ids == with_specials


# -- encoding --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", PARITY, ids=lambda text: ascii(text[:16]))
def test_three_encoders_agree_on_chosen_texts(tok, hugging, text):
    assert_parity(tok, hugging, text)


any_text = st.text(st.characters(exclude_categories=()), max_size=60)  # surrogates too
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
@given(any_text)
@example("\ud83d\ude42 \ude42 \ud83d")
def test_three_encoders_agree_on_any_unicode(tok, hugging, text):
    assert_parity(tok, hugging, text)


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
    assert split_words("'total'\n'did'") == [
        "'",
        "total",
        "'",
        "\n",
        "'",
        "did",
        "'",
    ]  # not "'t" "otal"
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


# -- training --------------------------------------------------------------------------------------


def naive_train(texts: list[str], n_merges: int, min_count: int = 2) -> list[tuple[bytes, bytes]]:
    """Sennrich et al., figure 1: count every pair anew before each merge."""
    words = [split_bytes(word.encode()) for text in texts for word in split_words(text)]
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pair for word in words for pair in pairwise(word))
        best = min(counts, key=lambda pair: (-counts[pair], pair), default=None)
        if best is None or counts[best] < min_count:
            break
        merges.append(best)
        words = [merge_pair(word, best) for word in words]
    return merges


@quick
@given(
    st.lists(st.text("aabbcé .\n1<", max_size=40), max_size=12),
    st.integers(0, 40),
    st.integers(1, 3),
)
@example(["aaaaaaa aaa aaaa"] * 3, 10, 2)  # overlapping pairs
def test_incremental_trainer_equals_the_naive_one(texts, n_merges, min_count):
    assert train_bpe(texts, 256 + n_merges, (), min_count) == naive_train(
        texts, n_merges, min_count
    )


def test_incremental_trainer_equals_the_naive_one_on_real_text():
    assert train_bpe(CORPUS, 256 + 300, ()) == naive_train(CORPUS, 300)


def test_ties_go_to_the_smallest_pair():
    assert train_bpe(["zy", "ab", "cd", "ac"] * 2, 400) == [
        (b"a", b"b"),
        (b"a", b"c"),
        (b"c", b"d"),
        (b"z", b"y"),
    ]
    assert train_bpe(["xy"] * 2 + ["ab"] * 3, 289) == [(b"a", b"b")]


def test_ties_by_age_go_to_the_older_tokens():
    # "abx" and "cdx" twice each: of (ab, x) and (c, d) the bytes prefer "ab", which is the younger
    # token.
    texts = ["abx", "cdx"] * 2 + ["ab"]
    assert train_bpe(texts, 256 + 2, ()) == [(b"a", b"b"), (b"ab", b"x")]
    assert train_bpe(texts, 256 + 2, (), ties="age") == [(b"a", b"b"), (b"c", b"d")]


def test_training_does_not_depend_on_the_order_of_texts():
    assert train_bpe(CORPUS, 500) == train_bpe(CORPUS[::-1], 500) == train_bpe(iter(CORPUS), 500)


def test_worked_example_of_the_module():
    tok = Tokenizer.train(["low "] * 5 + ["lot "] * 3 + ["now "] * 2, vocab_size=290)
    assert tok.merges == [(b"l", b"o"), (b"lo", b"w")]
    assert [tok.token_bytes(i) for i in tok.encode("lowlot")] == [b"low", b"lo", b"t"]


def test_vocabulary_sizes():
    assert Tokenizer.train(CORPUS, 300).vocab_size == 300
    assert Tokenizer.train([], 1024).vocab_size == 288  # nothing to learn from
    with pytest.raises(UserError, match="287"):
        Tokenizer.train(CORPUS, 287)


def test_merges_that_training_cannot_give_are_refused():
    with pytest.raises(ValueError):
        Tokenizer([(b"ab", b"c")])  # "ab" was never learnt
    with pytest.raises(
        ValueError
    ):  # "abc" would never be reached: b and c are joined first. tiktoken would reach it
        Tokenizer([(b"b", b"c"), (b"a", b"b"), (b"ab", b"c")])


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


# -- files -----------------------------------------------------------------------------------------


def test_save_and_load(tok, folder):
    for path in (folder, str(folder), folder / "tokenizer.json"):
        again = Tokenizer.load(path)
        assert (
            again == tok and again.fingerprint() == tok.fingerprint() and hash(again) == hash(tok)
        )
        assert again.encode(MATHS) == tok.encode(MATHS)
    assert sorted(path.name for path in folder.iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_saving_is_reproducible(tok, folder, tmp_path):
    Tokenizer.load(folder).save(tmp_path / "a" / "b")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "a" / "b" / name).read_bytes() == (folder / name).read_bytes()


def test_equality_is_about_merges_and_specials(tok):
    assert tok != Tokenizer(tok.merges[:-1]) and tok != "tok"
    assert tok.fingerprint() != Tokenizer(tok.merges, [*SPECIALS, "<new>"]).fingerprint()
    assert pickle.loads(pickle.dumps(tok)) == tok


def damaged(folder: Path, **changes) -> str:
    """The saved file with some keys changed; "model.vocab" is written model__vocab."""
    data = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = data
        for parent in parents:
            place = place[parent]
        place[last] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"model": None},
        {"model__type": "WordPiece"},
        {"model__vocab": {"a": 0}},
        {"model__merges": []},
        {"model__merges": 3},
        {"model__merges": [["x"]]},
        {"model__merges": [["日", "a"]]},
        {"model__merges": [["Ġt", "he"]]},
        {"pre_tokenizer": None},
        {"normalizer": {"type": "NFC"}},
        {"added_tokens": []},
        {"added_tokens": [{"id": None}, {"id": 1}]},
    ],
    ids=str,
)
def test_a_tokenizer_of_another_kind_is_one_clear_error(folder, tmp_path, changes):
    path = tmp_path / "tokenizer.json"
    path.write_text(damaged(folder, **changes), encoding="utf-8")
    with pytest.raises(UserError, match="tokenizer.json") as caught:
        Tokenizer.load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 9999, b'{"model": {"merges": []}}']
)
def test_a_corrupt_file_is_one_clear_error(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(UserError, match="tokenizer.json"):
        Tokenizer.load(tmp_path)


def test_a_missing_file_is_one_clear_error(tmp_path):
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "x.json"):
        with pytest.raises(UserError, match="cannot read"):
            Tokenizer.load(path)


def test_a_failed_save_leaves_the_old_file(tok, tmp_path, monkeypatch):
    tok.save(tmp_path)
    before = (tmp_path / "tokenizer.json").read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError):
        Tokenizer([]).save(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == before and len(
        list(tmp_path.iterdir())
    ) == 2


def test_older_spelling_of_merges(tok, folder, tmp_path):
    merges = [f"{to_chars(left)} {to_chars(right)}" for left, right in tok.merges]
    (tmp_path / "tokenizer.json").write_text(
        damaged(folder, model__merges=merges), encoding="utf-8"
    )
    assert Tokenizer.load(tmp_path) == tok


def test_byte_map():
    assert len(set(BYTE_TO_CHAR.values())) == 256 and (to_chars(b" the\n"), from_chars("Ġthe")) == (
        "ĠtheĊ",
        b" the",
    )
    assert set(BYTE_TO_CHAR.values()) == set(tokenizers.pre_tokenizers.ByteLevel.alphabet())


def test_transformers_opens_the_folder(tok, folder, tmp_path):
    transformers = pytest.importorskip("transformers")
    fast = transformers.PreTrainedTokenizerFast.from_pretrained(folder)
    assert (fast.eos_token_id, fast.pad_token_id, len(fast)) == (tok.eos_id, tok.pad_id, len(tok))
    for text in (MATHS, SPANISH, SCRIPTS, CODE, "<think>2</think>"):
        ids = fast(text)["input_ids"]
        assert ids == tok.encode(text, allow_special=True) and fast.decode(ids) == text
    fast.save_pretrained(tmp_path)
    assert Tokenizer.load(tmp_path) == tok


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
    @given(any_text)
    def test_three_encoders_agree_on_any_unicode(self, shipped, text):
        assert_parity(*shipped, text)

    @pytest.mark.parametrize(
        "prompt", ["Answer:", "Question: 3+4=?\nAnswer:", "¿Cuánto?\nRespuesta:"]
    )
    @pytest.mark.parametrize("rest", [" #### 12", "\n#### 12", " 12", " <think>"])
    def test_a_prompt_is_a_prefix_of_its_document(self, shipped, prompt, rest):
        tok, _ = shipped
        assert tok.encode(prompt + rest, True) == tok.encode(prompt) + tok.encode(rest, True)
