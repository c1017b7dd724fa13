"""Several tasks as one: each problem is of one of them, drawn by its share, and is posed, solved
and judged by the task that it came from (`Problem.task`).

    class Reasoning(Mixture):
        name = "reasoning"
        parts = {"logic": 1, "ledger": 1}
"""

import random
from collections.abc import Mapping
from pathlib import Path

from minilrm.tasks import get_task, register
from minilrm.tasks.base import Grade, Problem, Task


class Mixture(Task):
    """A task made of others. Its base reads the documents of each part, by the same shares, which
    need not add up to 1."""

    corpus = "parts"

    def __init__(self) -> None:
        self.tasks = {name: get_task(name) for name in self.parts}
        self.max_new_tokens = max(task.max_new_tokens for task in self.tasks.values())
        self.repeats = any(task.repeats for task in self.tasks.values())

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        (name,) = rng.choices(list(self.parts), list(self.parts.values()))
        return self.tasks[name].sample(rng, split)

    def render(
        self,
        problem: Problem,
        style: str = "plain",
        examples: tuple[tuple[Problem, str], ...] = (),
    ) -> str:
        return self.of(problem).render(problem, style, examples)

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        return self.of(problem).solution(problem, rng, style)

    def grade(self, problem: Problem, completion: str) -> Grade:
        return self.of(problem).grade(problem, completion)

    def vote_key(self, problem: Problem, answer: str | None) -> str | None:
        return self.of(problem).vote_key(problem, answer)

    def step_labels(self, problem: Problem, completion: str) -> list[bool]:
        return self.of(problem).step_labels(problem, completion)

    def level(self, problem: Problem) -> int:
        return self.of(problem).level(problem)

    def database(self, problem: Problem) -> Path | None:
        return self.of(problem).database(problem)

    def made_up(self, problem: Problem, completion: str) -> bool | None:
        return self.of(problem).made_up(problem, completion)

    def thinks(self, completion: str) -> bool:
        """Whether anything stands before the answer: a part may have no sums to look for."""
        return self.mark in completion and bool(completion.partition(self.mark)[0].strip())

    @classmethod
    def runs_on(cls, text: str) -> bool:
        """Whether a text goes on behind the line of its answer, which need not be a number."""
        return bool(cls.answers_in(text)) and bool(cls.after_answer(text).strip())

    def of(self, problem: Problem) -> Task:
        """The task that a problem came from; a user's own question is for the first of them."""
        return self.tasks.get(problem.task) or next(iter(self.tasks.values()))


def mixture_of(parts: Mapping[str, float]) -> str:
    """The name of a task made of these others, which every command knows after this call.

    >>> mixture_of({"gsm8k-mini": 1, "general": 1})
    'gsm8k-mini+general'
    """
    cls = type("Mixture", (Mixture,), {"name": "+".join(parts), "parts": dict(parts)})
    return register(cls).name
