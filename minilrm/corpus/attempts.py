"""Pages of people who try: the documents that the bases of `countdown` and `multiplication` read.

Each page is one problem and what one writer put down for it. All writers try and check; most leave
it at that, right or wrong. A known share of them, `reflection`, goes on after a failed attempt
("wait, ...") until one is accepted. That share is the seed of reflection which reinforcement
learning may amplify; with 0 there is none, which makes the control.

The share is one of *writers*, not of failed attempts: a writer who goes on at all goes on after
every failure. A model that read "one failed attempt in ten is followed by another" would learn to
stop as readily after the third as after the first.
"""

from collections import Counter
from dataclasses import replace

from minilrm.corpus.documents import Document
from minilrm.errors import UserError
from minilrm.tasks import TracedTask, get_task
from minilrm.tasks.base import problem_rng
from minilrm.tasks.traces import REFLECTION_WORD, Writer
from minilrm.tokenizer import Tokenizer

REFLECTION = 0.08  # share of writers who reflect, unless told otherwise


class Attempts:
    """Documents by number. Page `i` asks the same problem, and makes the same first attempt,
    whatever `reflection` is.

    task: name of a task with traces. writer: how people work (the task's own if None); its
    `reflects` is set for each page.
    """

    def __init__(
        self,
        task: str,
        seed: int = 0,
        split: str = "train",
        reflection: float = REFLECTION,
        writer: Writer | None = None,
    ):
        traced = get_task(task)
        if not isinstance(traced, TracedTask):
            raise UserError(f"the corpus of attempts is for tasks with traces, which {task} is not")
        self.task, self.seed, self.split = traced, seed, split
        self.reflection, self.writer = reflection, writer or traced.writer

    def document(self, index: int) -> Document:
        rng = problem_rng(self.seed, index, f"attempts/{self.task.name}/{self.split}")
        reflects = rng.random() < self.reflection
        problem = self.task.sample(rng, self.split)
        text = self.task.render(problem) + self.task.write(
            problem, rng, replace(self.writer, reflects=reflects)
        )
        kind = "goes on" if reflects else "leaves it"
        return Document(kind, text, (problem.key,), special=self.task.special_tokens)


def census(corpus: Attempts, tokenizer: Tokenizer, count: int) -> dict[str, float]:
    """How much reflection the first `count` pages hold: per writer, per failed attempt and per
    token."""
    found: Counter[str] = Counter()
    longest = 0
    for i in range(count):
        document = corpus.document(i)
        _, _, completion = document.text.partition("\nAnswer:")
        trace = corpus.task.parse_trace(completion)
        ids = corpus.task.encode(tokenizer, completion)
        rejected = sum(attempt.accepted is False for attempt in trace.attempts)
        found.update(
            pages=1,
            tokens=len(ids),
            reflecting=document.kind == "goes on",
            rejected=rejected,
            retried=trace.reflections,
            words=completion.count(REFLECTION_WORD),
            attempts=len(trace.attempts),
        )
        longest = max(longest, len(ids))
    return {
        "pages": found["pages"],
        "share of writers who reflect": found["reflecting"] / found["pages"],
        "share of failed attempts followed by another": found["retried"]
        / max(1, found["rejected"]),
        "share of tokens that announce another attempt": found["words"] / found["tokens"],
        "attempts a page": found["attempts"] / found["pages"],
        "tokens a page": found["tokens"] / found["pages"],
        "longest trace, tokens": longest,
    }
