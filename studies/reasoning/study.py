"""Four kinds of reasoning on one base: puzzles, cash, programs, word problems. The base, and GRPO
from it on all four at once, on each kind's test split and ladder.

    python -m studies.reasoning base       the base
    python -m studies.reasoning grpo 0     seed 0: GRPO, then the same measurements
    python -m studies.reasoning all        everything that is missing, one after another

Each finished part is a line of data/results/reasoning.jsonl. What was tuned was tuned on the
validation split alone.
"""

from pathlib import Path
from typing import Any

from minilrm import evaluate, grpo
from minilrm.evaluate.ladder import climb, in_each_way
from minilrm.rollout import fitting
from minilrm.tasks import get_task
from studies import common

TASK, BASE, SEEDS, N, RUNG_N = "reasoning", "reasoning-base", (0, 1, 2), 1000, 200
KINDS = ("logic", "ledger", "program", "gsm8k-mini")


def study_base(seed: int) -> dict[str, Any]:
    return figures(BASE)


def study_grpo(seed: int) -> dict[str, Any]:
    """GRPO with the task's recipe, from the base, on all kinds together."""
    where = common.folder("reasoning", "grpo", seed)
    log = common.run(grpo.train, grpo.Options, where, task=TASK, seed=seed, threads=1)
    return {
        "curves": common.curves(log, ("reward", "entropy", "completions/think_rate")),
        "evals": common.evaluations(log, ("step", "accuracy", "accuracy_ci", "greedy")),
        "summary": common.summary(log),
        **figures(common.last(log)),
    }


def figures(where: str | Path) -> dict[str, Any]:
    """Of each kind: the test split and the ladder, greedily, greedily with thinking forced, and
    sampled.

    structures: which test problems have one structure, by number.
    """
    model, tokenizer = common.open_model(where)
    found: dict[str, Any] = {"test": {}, "structures": {}, "ladder": {}}
    for kind in KINDS:
        task, numbers = get_task(kind), dict[str, int]()
        room = model.config.max_seq_len - task.max_new_tokens
        problems = fitting(task, tokenizer, task.problems("test", N), room, "cot")
        found["test"][kind] = in_each_way(model, tokenizer, task, problems, task.max_new_tokens)
        found["structures"][kind] = [numbers.setdefault(p.key, len(numbers)) for p in problems]
        options = evaluate.Options(checkpoint=str(where), task=kind, n=RUNG_N, ladder=True)
        if task.rungs:
            found["ladder"][kind] = climb(model, tokenizer, task, options, print)["rungs"]
    return found


STUDIES: dict[str, common.Part] = {
    "base": (study_base, (0,)),
    "grpo": (study_grpo, SEEDS),
}


def main() -> None:
    common.measure_missing("reasoning", "studies.reasoning", __doc__, STUDIES)


if __name__ == "__main__":
    common.command(main)
