"""countdown with four numbers: a space of ways that one chain of thought seldom gets right.

    Question: Make 98 with 4, 7, 13, 25.
    Answer: 25-13=12, 12*7=84, 84+4=88 no
    <answer>(25-13)*7+4</answer>

Four numbers can be combined in some 3,000 ways, of which a handful make the target. It is what
search is for (`inference/`). The rules, the grammar and the split by the numbers are those of
`countdown.py`; the pages of training have three numbers in 3 of 10.
"""

import random
from dataclasses import replace

from minilrm.tasks import expressions, reach
from minilrm.tasks.countdown import Countdown, puzzle, split_of_numbers, targets
from minilrm.tasks.expressions import Tree
from minilrm.tasks.problem import Problem

EASIER = 0.3  # share of training problems with three numbers


class Countdown4(Countdown):
    """largest: numbers are drawn from 1 to this, 5 to 99."""

    name = "countdown-4"
    base = "countdown-4-base"
    shipped = {}

    def __init__(self, largest: int = 25):
        super().__init__(4, largest)

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        _, largest = self.range_of(split)
        count = 3 if split == "train" and rng.random() < EASIER else 4
        while True:
            numbers = [rng.randint(1, largest) for _ in range(count)]
            if split_of_numbers(numbers) == split and (within_reach := targets(numbers)):
                target = rng.choice(within_reach)
                answer = expressions.write(way(numbers, target, rng))
                return replace(puzzle(numbers, target, answer), task=self.name)

    def right_attempt(self, problem: Problem, rng: random.Random) -> Tree:
        """Found from the target backwards: to list the ways of four numbers takes long."""
        return way(problem.meta["numbers"], problem.meta["target"], rng)


def way(numbers: list[int], target: int, rng: random.Random) -> Tree:
    found = reach.random_way(tuple(sorted(numbers)), target, rng)
    assert found is not None  # the target is within reach
    return reach.shuffled(found, rng)
