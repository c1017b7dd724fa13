"""Which corpus belongs to which task: the one that the task names (`Task.corpus`)."""

from collections.abc import Mapping

from minilrm.corpus.attempts import REFLECTION, Attempts
from minilrm.corpus.documents import Corpus
from minilrm.corpus.parts import Parts
from minilrm.corpus.solved import Solved
from minilrm.corpus.web import Web
from minilrm.errors import UserError
from minilrm.tasks import task_class, traced_tasks


def corpus_of(
    task: str,
    *,
    seed: int,
    split: str = "train",
    spanish: float | None = None,
    reflection: float | None = None,
    mix: Mapping[str, float] | None = None,
) -> Corpus:
    """The documents that a base model for this task reads.

    spanish: share of Spanish on the web, the task's own if None; reflection: share of writers who
    go on after a failed attempt; mix: the shares of the web's kinds of documents, the web's own if
    None. UserError for `reflection` where the documents have no attempts, for `mix` where they are
    no web.
    """
    name = task_class(task).corpus
    if mix is not None and name != "web":
        raise UserError(f"--mix is for tasks whose base reads the web; {task} has another corpus")
    if name == "attempts":
        return Attempts(task, seed, split, REFLECTION if reflection is None else reflection)
    if reflection is not None:
        raise UserError(
            f"--reflection is for the corpora of {', '.join(traced_tasks())}; {task} has no "
            "attempts to repeat"
        )
    if name == "parts":
        shares = dict(task_class(task).parts)
        corpora = {
            part: corpus_of(part, seed=seed, split=split, spanish=spanish) for part in shares
        }
        return Parts(corpora, shares, seed, split)
    if name == "web":
        return Web(seed, split, spanish, mix, task=task_class(task).web_of)
    return Solved(task, seed, split)
