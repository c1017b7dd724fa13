"""The files of a tokenizer: what is written opens here and in Hugging Face's libraries, and what is
damaged or of another kind is one clear error."""

import json
import pickle
from pathlib import Path

import pytest
import tokenizers

from minilrm.errors import UserError
from minilrm.tokenizer import BYTE_TO_CHAR, SPECIALS, Tokenizer, from_chars, to_chars
from tests.test_tokenizer import CODE, CORPUS, MATHS, SCRIPTS, SPANISH


@pytest.fixture(scope="module")
def tok() -> Tokenizer:
    return Tokenizer.train(CORPUS, vocab_size=480)


@pytest.fixture(scope="module")
def folder(tok, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    tok.save(folder)
    return folder


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
    with pytest.raises(UserError, match="cannot write.*tokenizer.json: disk"):
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


def test_a_place_that_cannot_be_written_is_one_clear_error(tok, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make the folder.*choose another"):
        tok.save(tmp_path / "file" / "a")


def test_transformers_pads_a_batch_on_the_side_from_which_it_does_not_generate(folder):
    transformers = pytest.importorskip("transformers")
    fast = transformers.AutoTokenizer.from_pretrained(folder)
    short, long = fast(["12", "the cat sat"], padding=True)["input_ids"]
    assert len(short) == len(long) and short[0] == fast.pad_token_id != short[-1]
