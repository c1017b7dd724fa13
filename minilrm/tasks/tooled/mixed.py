"""tools: sums, prices and loops in one, so that one base serves all three.

python -m minilrm.pretrain --task tools --scale nano
python -m minilrm.grpo --task prices --init runs/... --tools database,calculator
"""

import random
from pathlib import Path

from minilrm.tasks.base import Grade, Problem
from minilrm.tasks.tooled.loops import Loops
from minilrm.tasks.tooled.prices import Prices
from minilrm.tasks.tooled.sums import Sums
from minilrm.tasks.tooled.task import ToolTask

PARTS: tuple[type[ToolTask], ...] = (Sums, Prices, Loops)


class Tools(ToolTask):
    """A problem belongs to the task that it comes from (`Problem.task`), which writes its solutions
    and grades them."""

    name = "tools"
    tools = ("calculator", "database", "code")
    max_new_tokens = max(part.max_new_tokens for part in PARTS)
    levels = {n: f"level {n}" for n in range(7)}

    def __init__(self) -> None:
        self.parts: dict[str, ToolTask] = {part.name: part() for part in PARTS}

    def of(self, problem: Problem) -> ToolTask:
        """The task of a problem; a user's own question is read as a sum."""
        return self.parts.get(problem.task, self.parts["sums"])

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        return self.parts[rng.choice(list(self.parts))].sample(rng, split)

    def solution(self, problem: Problem, rng: random.Random, style: str = "steps") -> str:
        return self.of(problem).solution(problem, rng, style)

    def grade(self, problem: Problem, completion: str) -> Grade:
        return self.of(problem).grade(problem, completion)

    def thinks(self, completion: str) -> bool:
        return any(part.thinks(completion) for part in self.parts.values())

    def database(self, problem: Problem) -> Path | None:
        return self.of(problem).database(problem)

    def made_up(self, problem: Problem, completion: str) -> bool | None:
        return self.of(problem).made_up(problem, completion)
