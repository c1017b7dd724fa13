"""How far does reasoning carry that was learnt on composed stories? The base of the stories, and
GRPO from it, on every rung of the ladder.

    python -m studies.stories structures    how many structures a split has, and near neighbours
    python -m studies.stories base          the base: test split and ladder
    python -m studies.stories grpo 0        seed 0: GRPO for 100 steps, then test split and ladder
    python -m studies.stories errors        the base: the first wrong step of its wrong answers
    python -m studies.stories all           everything that is missing, one after another

Each finished part is a line of data/results/stories.jsonl. Tuning used the validation split alone.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from minilrm import evaluate, grpo
from minilrm.evaluate.ladder import climb
from minilrm.tasks import get_task
from minilrm.tasks.base import problem_rng
from minilrm.tasks.stories import graph as graphs
from minilrm.tasks.stories.ladder import Rung
from minilrm.tasks.stories.task import draw_structure
from studies import common
from studies.stories import errors

TASK, BASE, SEEDS, N, RUNG_N = "stories", "stories-base", (0, 1, 2), 1000, 500
DRAWN = 40_000  # training structures against which near neighbours are looked for


def study_structures(seed: int) -> dict[str, Any]:
    """What the splits hold. A near neighbour of a test structure: a training structure that differs
    in one relation, all else alike."""
    drawn = Counter(drawn_structure(seed, i) for i in range(DRAWN))
    test = [p.key for p in get_task(TASK).problems("test", N)]
    near = {mask for key in drawn for mask in with_one_left_open(key)}
    return {
        "drawn": DRAWN,
        "training_structures": len(drawn),
        "training_structures_drawn_once": sum(times == 1 for times in drawn.values()),
        "test_problems": N,
        "test_structures": len(set(test)),
        "test_in_training": sum(key in drawn for key in test) / N,
        "test_with_near_neighbour": sum(bool(near & with_one_left_open(key)) for key in test) / N,
    }


def drawn_structure(seed: int, index: int) -> str:
    """The key of a training structure."""
    rng, rung = problem_rng(seed, index, "studies.stories"), Rung("", "train")
    return graphs.key(draw_structure(rng, rung, rung.draw_steps(rng))[1])


def with_one_left_open(key: str) -> set[str]:
    """The key with a question mark in the place of each relation in turn.

    >>> sorted(with_one_left_open("more(has)"))
    ['?(has)', 'more(?)']
    """
    names = list(re.finditer(r"[a-z_]+3?", key))
    return {key[: m.start()] + "?" + key[m.end() :] for m in names}


def study_base(seed: int) -> dict[str, Any]:
    return figures(BASE)


def study_grpo(seed: int) -> dict[str, Any]:
    """GRPO with the defaults, from the base."""
    where = common.folder("stories", "grpo", seed)
    log = common.run(grpo.train, grpo.Options, where, task=TASK, seed=seed, threads=1)
    return {
        "curves": common.curves(log, ("reward", "entropy", "completions/think_rate")),
        "evals": common.evaluations(log, ("step", "accuracy", "accuracy_ci", "greedy")),
        "summary": common.summary(log),
        **figures(common.last(log)),
    }


def study_errors(seed: int) -> dict[str, Any]:
    """What the base gets wrong on validation, greedily, with thinking forced."""
    task = get_task(TASK)
    ask = common.evaluator(BASE, task, task.problems("validation", N), ("cot",))
    return errors.analyse(ask(0.0, "cot"))


def figures(where: str | Path) -> dict[str, Any]:
    """Test split and ladder. structures: which test problems have one structure, by number."""
    numbers: dict[str, int] = {}
    structures = [
        numbers.setdefault(p.key, len(numbers)) for p in get_task(TASK).problems("test", N)
    ]
    model, tokenizer = common.open_model(where)
    options = evaluate.Options(checkpoint=str(where), task=TASK, n=RUNG_N, ladder=True)
    ladder = climb(model, tokenizer, get_task(TASK), options, print)
    return {
        "test": common.measure(where, TASK, "test", N, quick=False, samples=8),
        "structures": structures,
        "ladder": ladder["rungs"],
    }


STUDIES: dict[str, common.Part] = {
    "structures": (study_structures, (0,)),
    "base": (study_base, (0,)),
    "grpo": (study_grpo, SEEDS),
    "errors": (study_errors, (0,)),
}


def main() -> None:
    common.measure_missing("stories", "studies.stories", __doc__, STUDIES)


if __name__ == "__main__":
    common.command(main)
