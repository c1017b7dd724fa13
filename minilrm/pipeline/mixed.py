"""Word problems and general requests as one task: what the last stage of the pipeline trains on."""

import random

from minilrm.tasks import Task, get_task, register
from minilrm.tasks.base import Grade, Problem


def mixed_with(words: str, share: float = 0.5) -> str:
    """The name of a task of which this share are general requests, and the others problems of
    `words`. It is registered by this call."""

    class Mixed(Task):
        name = f"{words}+general"

        def __init__(self) -> None:
            self.parts = {words: get_task(words), "general": get_task("general")}
            self.max_new_tokens = max(task.max_new_tokens for task in self.parts.values())

        def sample(self, rng: random.Random, split: str = "train") -> Problem:
            return self.parts["general" if rng.random() < share else words].sample(rng, split)

        def grade(self, problem: Problem, completion: str) -> Grade:
            return self.parts[problem.task].grade(problem, completion)

        def vote_key(self, problem: Problem, answer: str | None) -> str | None:
            return self.parts[problem.task].vote_key(problem, answer)

    register(Mixed)
    return Mixed.name
