"""Learning the merges: the most frequent pair of neighbours becomes one token, again and again."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

from minilrm.tokenizer.words import (
    SPECIALS,
    Pair,
    clean_text,
    merge_pair,
    specials_regex,
    split_bytes,
    split_words,
)


def train_bpe(
    texts: Iterable[str],
    vocab_size: int,
    specials: Sequence[str] = SPECIALS,
    min_count: int = 2,
    ties: str = "bytes",
) -> list[Pair]:
    """Learn the merges that fill a vocabulary of `vocab_size` = specials + 256 bytes + merges.

    The most frequent pair wins. Of equals, the lexicographically smallest (left bytes, right
    bytes), or with ties="age" the one of the older tokens: then the merges are rustbpe's. Pairs
    seen fewer than `min_count` times are not learnt, so a tiny corpus gives fewer merges. Special
    tokens in the texts are cut out first: they have ids of their own and need no merges.

    The result is that of counting all pairs anew before each merge, without the work: each distinct
    word is kept once with its count, a merge visits only the words that hold the pair, and the best
    pair comes from a heap.
    """
    counted = count_words(texts, specials)
    words, word_counts = [split_bytes(word.encode()) for word in counted], list(counted.values())
    pair_counts, pair_words = count_pairs(words, word_counts)
    age = {bytes([byte]): byte for byte in range(256)}
    orders: dict[str, Callable[[Pair], Any]] = {
        "bytes": lambda pair: pair,
        "age": lambda pair: (age[pair[0]], age[pair[1]]),
    }
    first = orders[ties]
    heap = [(-count, first(pair), pair) for pair, count in pair_counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < vocab_size - 256 - len(specials):
        minus_count, _, pair = heapq.heappop(heap)
        count = pair_counts[pair]
        if count != -minus_count:
            # A lazy heap: other merges have eaten into this pair since it was pushed. Counts only
            # ever fall, so no better pair can be hidden below; put this one where it belongs.
            if count:
                heapq.heappush(heap, (-count, first(pair), pair))
            continue
        if count < min_count:
            break
        merges.append(pair)
        age.setdefault(b"".join(pair), 255 + len(merges))
        for new in apply_merge(pair, words, word_counts, pair_counts, pair_words):
            heapq.heappush(heap, (-pair_counts[new], first(new), new))
    return merges


def count_words(texts: Iterable[str], specials: Sequence[str]) -> Counter[str]:
    """How often each pre-token occurs in the ordinary parts of the texts."""
    counts: Counter[str] = Counter()
    special = specials_regex(specials)
    for text in texts:
        for ordinary in special.split(clean_text(text))[::2]:
            counts.update(split_words(ordinary))
    return counts


def count_pairs(
    words: list[list[bytes]], word_counts: list[int]
) -> tuple[dict[Pair, int], dict[Pair, set[int]]]:
    """For each pair of neighbours, how often it occurs, and the indices of the words that hold
    it."""
    pair_counts: dict[Pair, int] = defaultdict(int)
    pair_words: dict[Pair, set[int]] = defaultdict(set)
    for index, symbols in enumerate(words):
        for pair in pairwise(symbols):
            pair_counts[pair] += word_counts[index]
            pair_words[pair].add(index)
    return pair_counts, pair_words


def apply_merge(
    pair: Pair,
    words: list[list[bytes]],
    word_counts: list[int],
    pair_counts: dict[Pair, int],
    pair_words: dict[Pair, set[int]],
) -> set[Pair]:
    """Merge the pair in the words that hold it and bring the counts up to date, all in place.
    Returns the new pairs.

    A touched word takes its old pairs out of the counts and puts its new ones in; what did not
    change cancels out. `pair_words` may still list words that have lost a pair since: harmless, for
    there the merge changes nothing.
    """
    merged, created = b"".join(pair), set()
    for index in pair_words.pop(pair):
        before, count = words[index], word_counts[index]
        after = words[index] = merge_pair(before, pair)
        for old in pairwise(before):
            pair_counts[old] -= count
        for new in pairwise(after):
            pair_counts[new] += count
            if merged in new:
                pair_words[new].add(index)
                created.add(new)
    return created
