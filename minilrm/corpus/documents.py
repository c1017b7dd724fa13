"""Documents, and documents as tokens: what every corpus has in common.

A corpus is anything with a method `document(index) -> Document`, always the same document for one
index, whatever was made before it. `build` reads as many documents of it as a budget of tokens
allows.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from minilrm.tokenizer import Tokenizer


@dataclass(frozen=True)
class Document:
    """One page. `problems` are the keys of the sums in it, for checks that none belongs to another
    split.

    special: whether "<answer>" and its like in the text stand for special tokens. Only text that
    the project writes itself may say so; a user's text never does.
    """

    kind: str
    text: str
    problems: tuple[str, ...] = ()
    special: bool = False


class Corpus(Protocol):
    """Documents by number."""

    def document(self, index: int) -> Document: ...


@dataclass(frozen=True)
class TokenSet:
    """Documents as one flat array of ids, each ended by the end-of-text token: document i is
    ids[ends[i-1]:ends[i]]."""

    ids: np.ndarray
    ends: np.ndarray

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, i: int) -> np.ndarray:
        return self.ids[self.ends[i - 1] if i else 0 : self.ends[i]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.ends, prepend=0)


def tokenize(tokenizer: Tokenizer, corpus: Corpus, *, start: int, count: int) -> TokenSet:
    """Documents start .. start+count as tokens."""
    documents = (corpus.document(i) for i in range(start, start + count))
    pieces = [
        np.array(
            [*tokenizer.encode(d.text, allow_special=d.special), tokenizer.eos_id], dtype=np.uint16
        )
        for d in documents
    ]
    return TokenSet(np.concatenate(pieces), np.cumsum([len(p) for p in pieces]))


def build(tokenizer: Tokenizer, tokens: int, corpus: Corpus, *, chunk: int = 5000) -> TokenSet:
    """At least `tokens` tokens of documents, in order."""
    parts: list[TokenSet] = []
    while sum(len(p.ids) for p in parts) < tokens:
        parts.append(tokenize(tokenizer, corpus, start=len(parts) * chunk, count=chunk))
    offsets = np.cumsum([0, *(len(p.ids) for p in parts[:-1])])
    return TokenSet(
        np.concatenate([p.ids for p in parts]),
        np.concatenate([p.ends + o for p, o in zip(parts, offsets, strict=True)]),
    )
