"""Tokenizers of other projects: the ids of their library on strings that are meant to hurt, special
tokens out of no user's text, text back byte by byte; and what is no byte-level BPE is refused."""

import json
import pickle
import random
import sys
import unicodedata

import pytest

from minilrm.errors import UserError
from minilrm.tokenizer import ForeignTokenizer, StreamDecoder, Tokenizer
from tests.foreign import FAMILIES, NOT_CALLED_SPECIAL, SPECIAL, definition, tokenizers

CONTROL = (*SPECIAL, *NOT_CALLED_SPECIAL)
PIECES = [
    *CONTROL,
    *(name[: len(name) // 2] for name in CONTROL),  # torn ones
    *(name.upper() for name in CONTROL),
    "< think >",
    *(" " * n for n in (1, 2, 3, 7, 8, 9, 17)),
    *("\n", "\r\n", "\t", "\u00a0", "\u2028", "\u200b", "\x00", "\x04", "\x7f", "\ufeff"),
    *("'s", "'LL", "’s", "12345", "3.14", "٣٤", "½", "１２", "####", "<<3*4=12>>", "_", "¿"),
    *("é", "e\u0301", "ﬁ", "ß", "İ", "日本語", "한국어", "कि", "ไทย", "مرحبا", "\u0301\u0302"),
    *("🙂", "👩\u200d👩\u200d👧", "🏳️\u200d🌈", "\U0001f1e9\U0001f1ea", "\U000e0041", "\U0010ffff"),
    *("Question: What is 2 + 2?\nAnswer:", " #### 12", "Let's think", "Ġthe", "Ċ", "<0x0A>"),
]


# All of Unicode but the surrogates.
PLANES = [*range(0xD800), *range(0xE000, 0x110000)]


@pytest.fixture(scope="module", params=FAMILIES)
def both(request):
    """(ours, the library's own)."""
    contents = definition(request.param)
    text, end = json.dumps(contents), contents["added_tokens"][0]["id"]
    return ForeignTokenizer(text, [end]), tokenizers.Tokenizer.from_str(text)


def strings(count, seed):
    """Pieces put together, with single characters of all Unicode between them."""
    rng = random.Random(seed)
    for _ in range(count):
        parts = [
            rng.choice(PIECES)
            if rng.random() < 0.7
            else chr(rng.choice(PLANES))
            if rng.random() < 0.5
            else chr(rng.randrange(32, 0x250))
            for _ in range(rng.randrange(1, 9))
        ]
        yield "".join(parts)


def test_the_ids_are_the_librarys_on_20_000_strings(both):
    ours, library = both
    control = {library.token_to_id(name) for name in CONTROL}
    named, normal_form = 0, library.normalizer and "NFC"
    for text in strings(20_000 // len(FAMILIES), seed=1):
        theirs = library.encode(text, add_special_tokens=False).ids
        assert ours.encode(text, allow_special=True) == theirs, repr(text)
        plain = ours.encode(text)
        assert control.isdisjoint(plain), repr(text)
        if control.isdisjoint(theirs):
            assert plain == theirs, repr(text)
        else:
            named += 1
        normal = unicodedata.normalize(normal_form, text) if normal_form else text
        assert ours.decode(plain) == normal
        assert ours.decode(theirs) == library.decode(theirs, skip_special_tokens=False)
    assert named > 1000  # strings that spell a special token


def test_text_comes_back_byte_by_byte(both):
    ours, library = both
    for text in strings(200, seed=2):
        ids, stream = ours.encode(text, allow_special=True), StreamDecoder(ours)
        assert "".join([*map(stream.push, ids), stream.flush()]) == ours.decode(ids)
    shuffled = random.Random(0).choices(range(400), k=500)  # bytes that are no UTF-8
    assert ours.decode(shuffled) == library.decode(shuffled, skip_special_tokens=False)
    end = ours.eos_id
    assert ours.decode([end, *ours.encode("a"), end], skip_special=True) == "a"
    assert ours.decode([end]) == SPECIAL[0]


def test_a_prompt_begins_as_the_file_says(both):
    ours, library = both
    text = "Question: What is 2 + 2?\nAnswer:"
    assert ours.encode_prompt(text) == library.encode(text).ids
    begun = ours.encode_prompt("<|im_start|>")  # a user's text adds nothing to that
    assert begun.count(421) == (library.post_processor is not None)
    assert ours.encode_prompt("")[:1] in ([], [421])


def test_it_has_the_interface_of_our_own(both):
    ours, library = both
    assert len(ours) == ours.vocab_size == library.get_vocab_size()
    assert set(CONTROL) == set(ours.special_ids) == set(ours.specials)
    assert ours.end_ids == (ours.eos_id,) and ours.pad_id == ours.eos_id
    assert ours.encode("half a pair \ud83d") == ours.encode("half a pair \ufffd")
    again = pickle.loads(pickle.dumps(ours))
    assert again == ours and hash(again) == hash(ours) and again.encode("a b") == ours.encode("a b")
    assert ours != Tokenizer([]) and ours.fingerprint() != Tokenizer([]).fingerprint()
    with pytest.raises(IndexError):
        ours.token_bytes(len(ours))


def test_another_spelling_of_one_tokenizer_is_the_same():
    """Older files write a merge as "a b", and leave out what is not set."""
    contents = definition()
    ours = ForeignTokenizer(json.dumps(contents), [420])
    contents["model"]["merges"] = [" ".join(pair) for pair in contents["model"]["merges"]]
    del contents["truncation"], contents["model"]["dropout"]
    assert ForeignTokenizer(json.dumps(contents), [420]) == ours
    contents["model"]["merges"].pop()
    assert ForeignTokenizer(json.dumps(contents), [420]) != ours


def test_ids_without_a_token_stand_for_nothing():
    text = json.dumps(definition())
    padded = ForeignTokenizer(text, [420], size=512)
    assert len(padded) == 512 and padded.decode([511, *padded.encode("a")]) == "a"


def test_an_unknown_byte_makes_no_special_token():
    contents = definition()
    del contents["model"]["vocab"]["ĉ"]  # the tab
    contents["model"]["unk_token"] = SPECIAL[0]
    contents["model"]["vocab"][SPECIAL[0]] = 420
    contents["model"]["merges"] = [m for m in contents["model"]["merges"] if "ĉ" not in "".join(m)]
    ours = ForeignTokenizer(json.dumps(contents), [420])
    assert ours.decode(ours.encode("a\tb")) == "ab"
    assert 420 in ours.encode("a\tb", allow_special=True)  # as the library does


def word_piece():
    return {"model": {"type": "WordPiece", "vocab": {"a": 0}}}


def sentence_piece():
    """Llama 2's: a BPE on characters, with bytes for what it has not."""
    return definition() | {
        "pre_tokenizer": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}]},
    }


def not_bytes():
    contents = definition()
    contents["model"]["vocab"]["日"] = 500
    return contents


def merged_special(first="Ġ"):
    """A special token that ordinary text makes by merges, here one that begins with a space."""
    contents = definition()
    word = next(w for w, i in contents["model"]["vocab"].items() if i > 300 and w[0] == first)
    contents["added_tokens"][1] |= {"content": word, "id": contents["model"]["vocab"][word]}
    return contents


@pytest.mark.parametrize(
    "make, words",
    [
        (word_piece, "WordPiece, not BPE"),
        (sentence_piece, "not on bytes"),
        (not_bytes, "not spelled in bytes"),
        (merged_special, "ordinary text makes its special token"),
        (lambda: merged_special("e"), "ordinary text makes its special token"),
        (lambda: [], "no tokenizer.json"),
        (lambda: definition() | {"normalizer": {"type": "Nonsense"}}, "refuses it"),
    ],
)
def test_what_is_no_byte_level_bpe_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        ForeignTokenizer(json.dumps(make()), [420])


def test_an_end_that_it_has_not_is_refused():
    text = json.dumps(definition())
    for ends in ([], [999]):
        with pytest.raises(ValueError, match="end-of-text"):
            ForeignTokenizer(text, ends)


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    text = json.dumps(definition())
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UserError, match=r"pip install -e .*real"):
        ForeignTokenizer(text, [420])
