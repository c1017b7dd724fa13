"""Training a tokenizer: the fast trainer learns what the obvious one learns, and nothing else."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minilrm.errors import UserError
from minilrm.tokenizer import Tokenizer, merge_pair, split_bytes, split_words, train_bpe
from tests.test_tokenizer import CORPUS, quick


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
    # "abc" would never be reached: b and c are joined first. tiktoken would reach it
    with pytest.raises(ValueError):
        Tokenizer([(b"b", b"c"), (b"a", b"b"), (b"ab", b"c")])
