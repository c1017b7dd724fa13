"""The corpus of a task that names no other: its own solved problems, each written in one of several
ways.

Textbooks always work the problem out. On a forum most people give the answer alone, some work it
out, and a few are wrong. A base that has read both can solve the problems, but seldom shows its
work when it is asked as people ask on a forum: what reinforcement learning needs to start from.
"""

from minilrm.corpus.documents import Document
from minilrm.tasks import get_task
from minilrm.tasks.base import TOOL_STYLE, problem_rng

#: kind -> (share of all documents, what it is)
STYLES: dict[str, tuple[float, str]] = {
    "reflex": (0.24, "forum: the answer alone"),
    "careless": (0.03, "forum: worked out, with a slip, to a wrong answer"),
    "steps": (0.13, "forum: worked out"),
    "plan_verify": (0.04, "forum: a plan, the steps, a check"),
    "nudged": (0.06, 'forum: "Let\'s think step by step.", and worked out'),
    "textbook": (0.50, "a worked example: always shows its work, always right"),
}
#: kind -> the style of its prompt and of its solution, where they are not "plain" and its own name
FRAMES = {"nudged": ("cot", "steps"), "textbook": ("textbook", "steps")}
WITH_TOOLS = "with calls of tools, whose results are read and not learnt"


class Solved:
    """Documents by number: document `i` of a seed is always the same, whatever was made before it.

    task: its name.
    """

    def __init__(self, task: str, seed: int = 0, split: str = "train"):
        self.task, self.seed, self.split = get_task(task), seed, split
        about = {kind: what for kind, (_, what) in STYLES.items()} | {TOOL_STYLE: WITH_TOOLS}
        #: as STYLES: the task's own shares, if it has some
        self.mix = {kind: (share, about[kind]) for kind, share in self.task.pages.items()} or STYLES

    def document(self, index: int, kind: str | None = None) -> Document:
        """Document number `index`; of a given kind, whatever was drawn, if one is named."""
        rng = problem_rng(self.seed, index, f"solved/{self.task.name}/{self.split}")
        drawn = rng.choices(list(self.mix), [share for share, _ in self.mix.values()])[0]
        kind = kind or drawn
        prompt_style, style = FRAMES.get(kind, ("plain", kind))
        problem = self.task.sample(rng, self.split)
        text = self.task.render(problem, prompt_style) + self.task.solution(problem, rng, style)
        return Document(kind, text, (problem.key,), special=self.task.special_tokens)
