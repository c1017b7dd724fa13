"""How many stories does it take until a model reasons, and does not remember? (2306.15063 finds
such a number for regression.)

    python -m studies.stories.how_many 500 0     a base that has read 500 stories, seed 0; then GRPO
    python -m studies.stories.how_many all       everything that is missing

A story is a theme and a structure. Each base (nano) reads as many tokens, in the same mix of pages;
what differs is from how many stories the problems on them are drawn. Numbers, names, things and
wordings are drawn anew each time, so that no problem comes twice. GRPO then asks the same stories
again.

Measured greedily, before (thinking forced) and after: on the test split of `stories`, whose
structures no arm has read, and on each arm's own stories with new numbers. Each finished part is a
line of data/results/how-many.jsonl.
"""

import functools
import random
from pathlib import Path
from typing import Any

from minilrm import grpo, pretrain
from minilrm.tasks import Problem, get_task, register
from minilrm.tasks.base import problem_rng
from minilrm.tasks.stories import Stories
from minilrm.tasks.stories import graph as graphs
from minilrm.tasks.stories.graph import Graph
from minilrm.tasks.stories.ladder import Rung
from minilrm.tasks.stories.numbers import draw_numbers
from minilrm.tasks.stories.task import draw_structure
from minilrm.tasks.stories.telling import Telling
from minilrm.tasks.stories.themes import Theme
from studies import common

COUNTS: dict[str, int | None] = {"50": 50, "150": 150, "500": 500, "5000": 5000, "unlimited": None}
SEEDS, N, OWN_N = (0, 1, 2), 500, 200
PRETRAINING = {"scale": "nano", "tokens": 6_000_000, "accumulate": 1, "max_tokens_per_batch": 2048}
STEPS = 60  # of GRPO


class Few(Stories):
    """Stories of which training knows so many (None: all that can be composed)."""

    limit: int | None = None

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        if split != "train" or self.limit is None:
            return super().sample(rng, split)
        stories = first_stories(self.limit)
        while True:
            theme, graph = rng.choice(stories)
            if solved := draw_numbers(graph, rng):
                return self.pose(rng, theme, graph, solved, Telling())


@functools.cache
def first_stories(limit: int) -> list[tuple[Theme, Graph]]:
    """The first so many different training stories; those of a smaller number are among those of a
    larger one."""
    found: dict[tuple[str, str], tuple[Theme, Graph]] = {}
    i = 0
    while len(found) < limit:
        rng, rung = problem_rng(0, i, "studies.stories.how_many"), Rung("", "train")
        theme, graph = draw_structure(rng, rung, rung.draw_steps(rng))
        if draw_numbers(graph, rng):
            found.setdefault((theme.name, graphs.key(graph)), (theme, graph))
        i += 1
    return list(found.values())


def name_of(count: str) -> str:
    return f"stories-of-{count}"


for _count, _limit in COUNTS.items():
    register(type(f"Few{_count}", (Few,), {
        "name": name_of(_count), "web_of": name_of(_count), "limit": _limit,
    }))  # fmt: skip


def study(count: str, seed: int) -> dict[str, Any]:
    task = name_of(count)
    base = common.run(
        pretrain.train, pretrain.Options, common.folder("how-many", count, "base", seed), task=task,
        seed=seed, threads=1, eval_n=0, eval_every=10_000, save_every=1000, **PRETRAINING,
    )  # fmt: skip
    after = common.run(
        grpo.train, grpo.Options, common.folder("how-many", count, "grpo", seed), task=task,
        init=str(common.last(base)), seed=seed, threads=1, steps=STEPS, save_every=STEPS, eval_n=0,
        eval_quick=100,
    )  # fmt: skip
    return {
        "stories": COUNTS[count],
        "before": figures(common.last(base), task, "cot"),
        "after": figures(common.last(after), task, "plain"),
    }


def figures(where: Path, task: str, style: str) -> dict[str, Any]:
    """Right, greedily: on new stories, and on those of training with new numbers."""
    few = get_task(task)
    rngs = (problem_rng(1, i, "how many: own") for i in range(OWN_N))
    asked = {
        "new": get_task("stories").problems("test", N),
        "own": [few.sample(rng, "train") for rng in rngs],
    }
    return {
        name: common.outcomes(common.evaluator(where, few, problems, (style,))(0.0, style))
        for name, problems in asked.items()
    }


def main() -> None:
    parts: dict[str, common.Part] = {
        count: (functools.partial(study, count), SEEDS) for count in COUNTS
    }
    common.measure_missing("how-many", "studies.stories.how_many", __doc__, parts)


if __name__ == "__main__":
    common.command(main)
