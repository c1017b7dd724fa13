"""Reinforcement learning from preferences, and where it goes wrong (Gao, Schulman and Hilton,
2210.10760).

    python -m studies.rlhf labels-300 0    seed 0: a preference model of 300 pairs, one verdict in
                                           ten wrong; so labels-100, -1000, -3000, -10000
    python -m studies.rlhf matched 0       the same of 1000 pairs whose lengths are alike
    python -m studies.rlhf best-of 0       the best of 1 to 64 answers by that model: what it
                                           promises and what is true
    python -m studies.rlhf grpo 0          GRPO with its score for the only reward
    python -m studies.rlhf grpo-kl 0       the same with a penalty for leaving the base
    python -m studies.rlhf dpo 0           DPO on its verdicts
    python -m studies.rlhf exact 0         GRPO with the grader for the only reward: what was wanted
    python -m studies.rlhf all             everything that is missing, one after another

True quality is the grader's verdict, which neither the preference model nor the policy is shown.
The model of RL_PAIRS pairs is the one that is optimised. Each finished part is a line of
data/results/rlhf.jsonl. One thread; three seeds of everything.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minilrm import checkpoint, dpo, grpo, preference_model
from minilrm.intervals import mean
from minilrm.rewards import ByRewardModel
from minilrm.rollout import Episode, rollout
from minilrm.sampler import Engine
from minilrm.tasks import get_task
from studies import common
from studies.thinking.best_of import distance, expected_best

TASK, BASE, SEEDS, N = "bilingual", "bilingual-base", (0, 1, 2), 1000
LABELS, NOISE, RL_PAIRS = (100, 300, 1000, 3000, 10_000), 0.1, 300
FAR_N, NUMBERS = 300, (1, 2, 4, 8, 16, 32, 64)
STEPS = 100  # of GRPO
NEARLY_NOTHING = 1e-6  # weight of a KL term that is there to be measured
PENALTY = 0.1
CURVES = ("reward", "accuracy", "kl", "completions/mean_length", "completions/think_rate")


def judge_folder(kind: str, seed: int) -> Path:
    return common.folder("rlhf", kind, seed)


def study_labels(kind: str, seed: int) -> dict[str, Any]:
    """A preference model: how often it puts new pairs in the right order."""
    pairs = 1000 if kind == "matched" else int(kind.removeprefix("labels-"))
    log = common.run(
        preference_model.train, preference_model.Options, judge_folder(kind, seed), task=TASK,
        init=BASE, seed=seed, threads=1, pairs=pairs, noise=NOISE, eval_n=1000, save_every=1000,
        match_lengths=kind == "matched",
    )  # fmt: skip
    return {
        "pairs": pairs,
        "noise": NOISE,
        "curves": common.curves(log, ("loss", "accuracy_of_order")),
        "summary": common.summary(log),
    }


def proxy(seed: int) -> str:
    """The reward that is optimised: the model of RL_PAIRS pairs of this seed."""
    return f"model@{checkpoint.resolve(judge_folder(f'labels-{RL_PAIRS}', seed))}"


def study_best_of(seed: int) -> dict[str, Any]:
    """For the best of n by the model's score: the mean score, and the share that is right."""
    model, tokenizer = common.open_model(BASE)
    task, scores = get_task(TASK), ByRewardModel(proxy(seed).removeprefix("model@"))
    groups = rollout(
        Engine(model), tokenizer, task, task.problems("test", FAR_N), group_size=max(NUMBERS),
        max_new_tokens=task.max_new_tokens, seed=seed,
    )  # fmt: skip
    judged = [(scores(group), truth(group)) for group in groups]
    rows = [
        {
            "n": n,
            "d": distance(n),
            "true": mean([expected_best(said, true, n) for said, true in judged]),
            "promised": mean([expected_best(said, said, n) for said, _ in judged]),
        }
        for n in NUMBERS
    ]
    return {"rows": rows}


def truth(group: list[Episode]) -> list[float]:
    return [float(e.grade.correct) for e in group]


def study_grpo(kind: str, seed: int) -> dict[str, Any]:
    """GRPO; then the test split."""
    reward = {"accuracy": 1.0} if kind == "exact" else {proxy(seed): 1.0}
    coefficient = PENALTY if kind == "grpo-kl" else NEARLY_NOTHING
    log = common.run(
        grpo.train, grpo.Options, common.folder("rlhf", kind, seed), task=TASK, init=BASE,
        seed=seed, threads=1, steps=STEPS, save_every=STEPS, reward=reward, kl_coef=coefficient,
        eval_every=STEPS, eval_n=500, collapse=0.0,
    )  # fmt: skip
    found = common.curves(log, CURVES)
    found["d"] = [
        round(math.sqrt(max(0.0, kl * length)), 4)
        for kl, length in zip(found["kl"], found["completions/mean_length"], strict=True)
    ]  # a metric of GRPO's is a mean over tokens; d is one of answers
    return {"curves": found, "summary": common.summary(log), "test": on_test(common.last(log))}


def study_dpo(seed: int) -> dict[str, Any]:
    log = common.run(
        dpo.train, dpo.Options, common.folder("rlhf", "dpo", seed), task=TASK, init=BASE,
        seed=seed, threads=1, reward={proxy(seed): 1.0}, eval_n=500, eval_every=1000,
    )  # fmt: skip
    return {"summary": common.summary(log), "test": on_test(common.last(log))}


def on_test(where: str | Path) -> dict[str, Any]:
    return common.measure(where, TASK, "test", N, quick=False, samples=4)


STUDIES: dict[str, Callable[[int], dict[str, Any]]] = {
    **{
        kind: (lambda seed, kind=kind: study_labels(kind, seed))
        for kind in (*(f"labels-{n}" for n in LABELS), "matched")
    },
    "best-of": study_best_of,
    "grpo": lambda seed: study_grpo("grpo", seed),
    "grpo-kl": lambda seed: study_grpo("grpo-kl", seed),
    "dpo": study_dpo,
    "exact": lambda seed: study_grpo("exact", seed),
}


def main() -> None:
    parts = {kind: (study, SEEDS) for kind, study in STUDIES.items()}
    common.measure_missing("rlhf", "studies.rlhf", __doc__, parts)


if __name__ == "__main__":
    common.command(main)
