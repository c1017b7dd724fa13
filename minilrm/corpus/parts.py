"""The corpus of a task that is made of others: the documents that a base of each would read."""

from minilrm.corpus.documents import Corpus, Document
from minilrm.tasks.base import problem_rng


class Parts:
    """Documents by number: document `i` of a seed is always the same, whatever was made before it.

    corpora: name of a task -> its corpus. shares: how often each of them is drawn; they need not
    add up to 1.
    """

    def __init__(self, corpora: dict[str, Corpus], shares: dict[str, float], seed: int, split: str):
        self.corpora, self.shares, self.seed, self.split = corpora, shares, seed, split

    def document(self, index: int) -> Document:
        rng = problem_rng(self.seed, index, f"parts/{'+'.join(self.corpora)}/{self.split}")
        (name,) = rng.choices(list(self.corpora), [self.shares[part] for part in self.corpora])
        document = self.corpora[name].document(index)
        return Document(
            f"{name}: {document.kind}", document.text, document.problems, document.special
        )
