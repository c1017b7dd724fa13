"""The finished parts of the variant study -> every number of its table and figure."""

import math
from collections.abc import Sequence

import numpy as np

from minilrm import files
from minilrm.errors import UserError
from minilrm.intervals import (
    TOO_FEW,
    crossed_bootstrap,
    mean,
    paired_bootstrap,
    pass_at_k,
    wilson_interval,
)
from minilrm.tasks import get_task
from studies.common import bits
from studies.markdown import LEAST_SEEDS
from studies.variants.study import (
    ARMS,
    DEFAULT,
    OTHER,
    SEEDS,
    TASK,
    TOKENS,
    N,
    best_arms,
    records,
)


def cell(value: float | None, low: float = 0, high: float = 0, n: int | None = None) -> dict:
    return {"value": value, "ci": [low, high], "n": n}


def over_seeds(rows: Sequence[Sequence[float]]) -> list[float]:
    """Each problem's mean over the seeds: the problem stays the unit that is drawn again, however
    many seeds there are."""
    return np.mean(np.array(rows, dtype=float), axis=0).tolist()


def average(rows: Sequence[Sequence[float]]) -> dict:
    values = over_seeds(rows)
    return cell(*paired_bootstrap(values, [0.0] * len(values)), n=len(values))


def compare(ours: dict[int, list], theirs: dict[int, list]) -> dict | None:
    """Ours less theirs on the same problems and the seeds that both have; and whether that is a
    difference.

    It is one if the interval over problems and seeds (`crossed_bootstrap`) does not hold 0 and
    every one of at least three seeds has the same sign. `over problems`: the interval for these
    very trainings. None: no seed yet.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    mine, other = [ours[s] for s in seeds], [theirs[s] for s in seeds]
    found = cell(*crossed_bootstrap(mine, other), n=len(mine[0]))
    each = [mean(a) - mean(b) for a, b in zip(mine, other, strict=True)]
    apart = found["ci"][0] > 0 and min(each) > 0 or found["ci"][1] < 0 and max(each) < 0
    narrow = paired_bootstrap(over_seeds(mine), over_seeds(other))[1:]
    significant = bool(apart) if len(seeds) >= LEAST_SEEDS else None
    return found | {"over problems": list(narrow), "each": each, "significant": significant}


def mean_length(runs: Sequence[dict], right: int, below: float = math.inf) -> dict:
    """Mean length of the right (or wrong) answers of several runs; the interval by drawing problems
    again.

    below: the limit of tokens, to leave out the answers that ran into it.
    """
    lengths = np.array([r["lengths"] for r in runs])
    chosen = np.array([[int(c) == right for c in r["right"]] for r in runs]) & (lengths < below)
    sums, counts = (lengths * chosen).sum(0), chosen.sum(0)
    if counts.sum() < TOO_FEW:
        return cell(None, n=int(counts.sum()))
    again = np.random.default_rng(0).integers(0, len(counts), (2000, len(counts)))
    means = sums[again].sum(1) / np.maximum(1, counts[again].sum(1))
    return cell(
        float(sums.sum() / counts.sum()),
        *map(float, np.percentile(means, (2.5, 97.5))),
        n=int(counts.sum()),
    )


def on_the_way(runs: Sequence[dict]) -> list[float] | None:
    """Accuracy of the rollouts after 1/15, 2/15, ... of a run's tokens, the seeds averaged.

    All steps have equally many rollouts, so a step's tokens are as its mean length; between two
    steps is interpolated.
    """
    if any("curves" not in r for r in runs):
        return None
    shares, curves = np.arange(1, 16) / 15, []
    for r in runs:
        spent = np.cumsum(r["curves"]["completions/mean_length"])
        curves.append(np.interp(shares, spent / spent[-1], r["curves"]["accuracy"]))
    return np.mean(curves, 0).tolist()


def figures_of(task: str, runs: dict[int, dict], default: dict[int, dict]) -> dict:
    """One arm on one task."""
    right = {s: bits(r["right"]) for s, r in runs.items()}
    others = {s: bits(r["right"]) for s, r in default.items()}
    first, limit = next(iter(runs.values())), get_task(task).max_new_tokens
    return {
        "sampled": average(list(right.values())),
        "greedy": average([bits(r["greedy"]) for r in runs.values()]),
        "seeds": {
            s: cell(mean(b), *wilson_interval(sum(b), len(b)), n=len(b)) for s, b in right.items()
        },
        "against default": compare(right, others) if runs is not default else None,
        "length right": mean_length(list(runs.values()), 1),
        "length wrong": mean_length(list(runs.values()), 0),
        "length wrong, not cut": mean_length(list(runs.values()), 0, below=limit),
        "cut": mean([r["cut"] / len(r["right"]) for r in runs.values()]),
        "on the way": on_the_way(list(runs.values())),
        "cost": {
            name: [r[name] for r in runs.values()]
            for name in ("steps", "tokens", "seconds")
            if name in first
        },
    }


def pass_figures() -> dict | None:
    """pass@k of the base and of the default, and the difference on the same problems: does RL only
    sharpen?"""
    base, ours = records("pass_at_k", TASK, "base"), records("pass_at_k", TASK, DEFAULT)
    if not base or not ours:
        return None
    same_problems([*base.values(), *ours.values()])
    n, found = base[0]["samples"], {}
    for k in (2**i for i in range(int(math.log2(n)) + 1)):
        before = [pass_at_k(n, c, k) for c in base[0]["counts"]]
        after = {s: [pass_at_k(n, c, k) for c in r["counts"]] for s, r in ours.items()}
        found[str(k)] = {
            "base": average([before]),
            "RL": average(list(after.values())),
            "RL - base": compare(after, dict.fromkeys(after, before)),
        }
    return found


def same_problems(parts: Sequence[dict]) -> None:
    if len({r["problems_sha256"] for r in parts}) > 1:
        raise UserError(
            "data/results/variants.jsonl holds results on different problems, which cannot be "
            "compared; take the old ones out and measure again"
        )


def summarise() -> dict:
    """Every number of the table and the figure."""
    out = {
        "tokens": TOKENS,
        "seeds": list(SEEDS),
        "n": N,
        "task": TASK,
        "default": DEFAULT,
        "tasks": {},
        "best": best_arms(),
        "arms": {arm: change for arm, (change, _) in ARMS.items()},
        "pass_at_k": pass_figures(),
    }
    for task in (TASK, OTHER):
        base, default = records("base", task), records("run", task, DEFAULT)
        runs = {arm: default if arm == DEFAULT else records("run", task, arm) for arm in ARMS}
        same_problems([*base.values(), *(r for found in runs.values() for r in found.values())])
        out["tasks"][task] = {
            "base": figures_of(task, base, {}) if base else None,
            "arms": {arm: figures_of(task, found, default) for arm, found in runs.items() if found},
        }
    return files.json_ready(out, digits=6)
