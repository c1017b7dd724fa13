"""The corpus of a task that names no other: its own solved problems, each written in one of several
styles.

Most pages give the answer at once, some work it out, and a few are wrong. A base that has read them
can solve the problems, but not always, and seldom shows its work: what reinforcement learning needs
to start from.
"""

from minilrm.corpus.documents import Document
from minilrm.tasks import get_task
from minilrm.tasks.base import problem_rng

#: style of the solution -> (share of all documents, what it is)
STYLES: dict[str, tuple[float, str]] = {
    "reflex": (0.55, "the answer alone"),
    "careless": (0.10, "worked out, with a slip, to a wrong answer"),
    "steps": (0.25, "worked out"),
    "plan_verify": (0.10, "a plan, the steps, a check"),
}


class Solved:
    """Documents by number: document `i` of a seed is always the same, whatever was made before it.

    task: its name.
    """

    def __init__(self, task: str, seed: int = 0, split: str = "train"):
        self.task, self.seed, self.split = get_task(task), seed, split

    def document(self, index: int, kind: str | None = None) -> Document:
        """Document number `index`; of a given kind, whatever was drawn, if one is named."""
        rng = problem_rng(self.seed, index, f"solved/{self.task.name}/{self.split}")
        drawn = rng.choices(list(STYLES), [share for share, _ in STYLES.values()])[0]
        problem = self.task.sample(rng, self.split)
        text = self.task.render(problem) + self.task.solution(problem, rng, kind or drawn)
        return Document(kind or drawn, text, (problem.key,), special=self.task.special_tokens)
