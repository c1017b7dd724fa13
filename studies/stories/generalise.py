"""Does RL generalise where SFT memorises? (2501.17161) Training at the edge of what the base can
do, and what becomes of everything else.

    python -m studies.stories.generalise grpo 0      seed 0: GRPO on stories of six steps alone
    python -m studies.stories.generalise all         everything that is missing

The base has read stories of one to five steps. Each arm then learns from stories of six steps, for
as many completion tokens as GRPO generated:

    grpo      reinforcement learning from rewards that are checked
    expert    expert iteration: the policy's own right answers alone, imitated, no comparison
    sft       the task's own solutions of six steps
    mixture   the same, half of them of one to five steps
    distill   the right answers of seed 0 of `grpo`, sampled once it has learnt

Measured before and after: greedily on rungs of the ladder, sampled with pass@k on six steps. Each
finished part is a line of data/results/generalise.jsonl.
"""

import functools
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minilrm import distill, grpo, sft
from minilrm.intervals import mean, pass_at_k
from minilrm.runlog import RunLog
from minilrm.tasks import Problem, get_task, register
from minilrm.tasks.stories import Stories
from studies import common

BASE, SEEDS = "stories-base", (0, 1, 2)
STEPS = 60  # of GRPO; the others learn from as many tokens
EDGE = "6 steps"
RUNGS = ("new stories", "new shapes", EDGE, "7 steps", "to 600")
N, K_PROBLEMS, SAMPLES = 300, 150, 64


@register
class Edge(Stories):
    """Stories of six steps alone."""

    name = "stories-6"

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        return self.sample_rung(rng, EDGE, split)


@register
class Mixture(Stories):
    """Half of six steps, half of one to five."""

    name = "stories-mixture"

    def sample(self, rng: random.Random, split: str = "train") -> Problem:
        if rng.random() < 0.5:
            return super().sample(rng, split)
        return self.sample_rung(rng, EDGE, split)


def folder(kind: str, seed: int) -> Path:
    return common.folder("generalise", kind, seed)


# -- the arms --------------------------------------------------------------------------------------


def rl(kind: str, seed: int, **how: Any) -> RunLog:
    return common.run(
        grpo.train, grpo.Options, folder(kind, seed), task="stories-6", init=BASE, seed=seed,
        threads=1, steps=STEPS, save_every=STEPS, eval_n=200, **how,
    )  # fmt: skip


def study_grpo(seed: int) -> RunLog:
    return rl("grpo", seed)


def study_expert(seed: int) -> RunLog:
    return rl("expert", seed, normalize="reward", objective="reinforce", reward={"accuracy": 1.0})


def imitate(task: str, kind: str, seed: int) -> RunLog:
    """Fine-tuning on the task's own solutions, for as many tokens as GRPO generated."""
    batch = 64
    steps = max(1, round(tokens_of_grpo(seed) / (batch * 80)))  # a solution has some 80 tokens
    return common.run(
        sft.train, sft.Options, folder(kind, seed), task=task, init=BASE, seed=seed, threads=1,
        steps=steps, batch=batch, save_every=steps, eval_every=steps, eval_n=200,
    )  # fmt: skip


def study_distill(seed: int) -> RunLog:
    teacher = common.last(RunLog.open(folder("grpo", 0)))
    return common.run(
        distill.train, distill.Options, folder("distill", seed), task="stories-6",
        teacher=str(teacher), student=BASE, seed=seed, threads=1, tokens=tokens_of_grpo(seed),
        steps=10_000, prompts=4000, lr=3e-4, eval_every=10_000, save_every=10_000, eval_n=200,
    )  # fmt: skip


def tokens_of_grpo(seed: int) -> int:
    """Completion tokens that GRPO's run of this seed generated."""
    [record] = common.records("generalise", kind="grpo", seed=seed)
    return int(record["tokens"])


ARMS: dict[str, Callable[[int], RunLog]] = {
    "grpo": study_grpo,
    "sft": lambda seed: imitate("stories-6", "sft", seed),
    "mixture": lambda seed: imitate("stories-mixture", "mixture", seed),
    "expert": study_expert,
    "distill": study_distill,
}


# -- measuring -------------------------------------------------------------------------------------


def figures(where: str | Path) -> dict[str, Any]:
    """Greedy accuracy on each rung, and pass@k on six steps."""
    task = get_task("stories")
    found: dict[str, Any] = {"rungs": {}}
    for rung in RUNGS:
        ask = common.evaluator(where, task, task.rung_problems(rung, N), ("plain", "cot"))
        found["rungs"][rung] = {
            "greedy": common.outcomes(ask(0.0, "plain")),
            "forced": common.outcomes(ask(0.0, "cot")),
        }
    ask = common.evaluator(where, task, task.rung_problems(EDGE, K_PROBLEMS), ("cot",))
    groups = ask(1.0, "cot", samples=SAMPLES)
    counts = [sum(e.grade.correct for e in group) for group in groups]
    found["pass_at_k"] = passes(counts)
    return found


def passes(counts: Sequence[int]) -> dict[int, float]:
    """pass@k of so many right ones among SAMPLES each."""
    ks = [1, 2, 4, 8, 16, 32, 64]
    return {k: mean([pass_at_k(SAMPLES, c, k) for c in counts]) for k in ks}


def study(kind: str, seed: int) -> dict[str, Any]:
    log = ARMS[kind](seed)
    end = common.summary(log)
    tokens = end["tokens_generated"] if kind in ("grpo", "expert") else end["tokens_trained"]
    return {"steps": end["steps"], "tokens": tokens, **figures(common.last(log))}


def main() -> None:
    parts: dict[str, common.Part] = {"base": (lambda seed: figures(BASE), (0,))}
    parts |= {kind: (functools.partial(study, kind), SEEDS) for kind in ARMS}
    common.measure_missing("generalise", "studies.stories.generalise", __doc__, parts)


if __name__ == "__main__":
    common.command(main)
