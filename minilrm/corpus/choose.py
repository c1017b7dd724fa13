"""Which corpus belongs to which task."""

from minilrm.corpus.attempts import REFLECTION, Attempts, traced_tasks
from minilrm.corpus.documents import Corpus
from minilrm.corpus.web import Web
from minilrm.errors import UserError


def corpus_of(
    task: str,
    *,
    seed: int,
    split: str = "train",
    spanish: float = 0.25,
    reflection: float | None = None,
) -> Corpus:
    """The documents that a base model for this task reads."""
    if task in traced_tasks():
        return Attempts(task, seed, split, REFLECTION if reflection is None else reflection)
    if reflection is not None:
        raise UserError(
            f"--reflection is for the corpora of {' and '.join(traced_tasks())}; {task} has no attempts to repeat"
        )
    return Web(seed, split, spanish)
