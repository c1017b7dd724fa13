"""Training documents out of tasks: what the base models read. `python -m minilrm.corpus` shows
them."""

from minilrm.corpus.attempts import REFLECTION, Attempts, census
from minilrm.corpus.choose import corpus_of
from minilrm.corpus.command import Options
from minilrm.corpus.documents import Corpus, Document, TokenSet, build, tokenize
from minilrm.corpus.planned import tokenizer_texts
from minilrm.corpus.solved import Solved
from minilrm.corpus.web import MIX, Web

__all__ = [
    "MIX",
    "REFLECTION",
    "Attempts",
    "Corpus",
    "Document",
    "Options",
    "Solved",
    "TokenSet",
    "Web",
    "build",
    "census",
    "corpus_of",
    "tokenize",
    "tokenizer_texts",
]
