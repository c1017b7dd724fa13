"""Training documents out of tasks: what the base models read. `python -m minilrm.corpus` shows them."""

from minilrm.corpus.attempts import REFLECTION, Attempts, census, traced_tasks
from minilrm.corpus.documents import Corpus, Document, TokenSet, build, tokenize
from minilrm.corpus.planned import tokenizer_texts
from minilrm.corpus.web import MIX, Web
from minilrm.errors import UserError

__all__ = ["MIX", "REFLECTION", "Attempts", "Corpus", "Document", "TokenSet", "Web", "build", "census", "corpus_of",
           "tokenize", "tokenizer_texts", "traced_tasks"]


def corpus_of(task: str, *, seed: int, split: str = "train", spanish: float = 0.25, reflection: float | None = None
              ) -> Corpus:
    """The documents that a base model for this task reads."""
    if task in traced_tasks():
        return Attempts(task, seed, split, REFLECTION if reflection is None else reflection)
    if reflection is not None:
        raise UserError(f"--reflection is for the corpora of {' and '.join(traced_tasks())}; {task} has no attempts to repeat")
    return Web(seed, split, spanish)
