"""Which part of the recipe matters? Twelve variants of GRPO, one change at a time, three seeds,
equal generated tokens.

    python scripts/study_variants.py all                  everything that is missing, one after another
    python scripts/study_variants.py all --seed 0         the same for one seed, so that two can run side by side
    python scripts/study_variants.py runs --arm dapo      one arm
    python scripts/study_variants.py table                one table and one figure of what is there so far
    python scripts/study_variants.py table --into FILE    the table between the marks of this Markdown file, too

The default is GRPO as in its paper (mean over each sequence first, group std, clip 0.2, no KL) with
four optimizer steps a batch. Four, because with one step the ratio is 1, nothing is clipped, and
half of the objectives are one and the same. An objective's arm has the aggregation and the clips of
its own paper, and `dr_grpo` no std, as there.

Where: gsm8k-mini, from the shipped base, which has 2.6M parameters; no other base has to be made
first, and the figures stand beside those of `make grpo`. A run ends with the step in which it has
generated TOKENS tokens, about a fifth of `make grpo`: one to two minutes on one thread. By then the
default has not come to rest: what counts is speed, so the accuracy of the rollouts on the way
stands beside that at the end. The default and the three best arms run on `arithmetic` too, from the
same base.

Measured on test, n = 1000, one sample a problem at T = 1 and greedily; pass@k of base and default
up to k = 64 on 200 problems. Each finished part is a line of data/results/variants.jsonl; what
stands there is not run again, and a run that was broken off goes on from its last checkpoint in the
folder runs/.
"""

import argparse
import math
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]  # a clone's own package, installed or not

import numpy as np  # noqa: E402
import torch  # noqa: E402
from figures_text import LEAST_SEEDS, put  # noqa: E402
from variants_figures import draw, tables  # noqa: E402

from minilrm import checkpoint, cli, evaluate, files, grpo, machine, measure, ppo, rl, runlog  # noqa: E402
from minilrm.errors import UserError  # noqa: E402
from minilrm.intervals import TOO_FEW, mean, paired_bootstrap, pass_at_k, wilson_interval  # noqa: E402
from minilrm.tasks import get_task  # noqa: E402

BASE, TASK, OTHER = "gsm8k-mini-base", "gsm8k-mini", "arithmetic"
SEEDS, N, TOKENS, BEST = (0, 1, 2), 1000, 300_000, 3
PASS_N, PASS_SAMPLES = 200, 64
DEFAULT = "grpo"
COMMON = {
    "init": BASE,
    "updates": 4,
    "steps": 10_000,
    "eval_n": 200,
    "eval_every": 10_000,
    "save_every": 10,
    "keep": 1,
    "threads": 1,
}  # the budget ends a run, not the steps
ARMS = {  # arm: (what is other than in the default, its options)
    DEFAULT: ("the default", {}),
    "reinforce": ("log-probs weighted, no ratio, no clip", {"objective": "reinforce"}),
    "dr_grpo": (
        "constant in place of lengths, no std",
        {"objective": "dr_grpo", "normalize": "none"},
    ),
    "dapo": ("mean over all tokens, upper clip 0.28", {"objective": "dapo"}),
    "gspo": ("one ratio a sequence", {"objective": "gspo"}),
    "cispo": ("the ratio capped, no token's gradient stopped", {"objective": "cispo"}),
    "std-off": ("advantages not divided by the std", {"normalize": "none"}),
    "token-mean": ("mean over all tokens of the batch", {"aggregation": "token"}),
    "k2-loss": ("KL to the base as a loss, k2, 0.04", {"kl_coef": 0.04, "kl_kind": "k2"}),
    "k1-reward": (
        "KL to the base in the reward, k1, 0.04",
        {"kl_coef": 0.04, "kl_kind": "k1", "kl_in": "reward"},
    ),
    "ppo": ("a critic in place of the group", {}),
    "expert": (
        "right answers imitated, nothing compared",
        {
            "objective": "reinforce",
            "normalize": "reward",
            "aggregation": "token",
            "reward": {"accuracy": 1.0},
        },
    ),
}
LOOPS = {"ppo": (ppo.Trainer, ppo.Options)}  # the others are grpo's
CURVES = (
    "accuracy",
    "completions/mean_length",
    "entropy",
    "clip_ratio/region_mean",
    "kl",
    "frac_reward_zero_std",
    "grad_norm",
)


# -- what there is ---------------------------------------------------------------------------------


def records(kind: str, task: str = TASK, arm: str | None = None) -> dict[int, dict]:
    """The finished parts of one kind by seed."""
    return {
        r["seed"]: r
        for r in runlog.load_results("variants")
        if (r["kind"], r["task"]) == (kind, task) and arm in (r["arm"], None)
    }


def missing(what: str, arm: str | None, seed: int | None) -> Iterator[tuple]:
    """The parts asked for that have no line yet, in the order in which they need each other."""

    def open_runs(task: str, arms: Sequence[str]) -> Iterator[tuple]:
        yield from (
            (study_run, task, a, s)
            for s in SEEDS
            for a in arms
            if arm in (a, None) and seed in (s, None) and s not in records("run", task, a)
        )

    if what in ("base", "all") and seed in (0, None):
        yield from (
            (study_base, task, "base", 0) for task in (TASK, OTHER) if not records("base", task)
        )
    if what in ("runs", "all"):
        yield from open_runs(TASK, tuple(ARMS))
    if what in ("pass", "all"):
        who = (("base", 0), *((DEFAULT, s) for s in SEEDS))
        yield from (
            (study_pass, TASK, a, s)
            for a, s in who
            if arm in (DEFAULT, None)
            and seed in (s, None)
            and s not in records("pass_at_k", TASK, a)
        )
    if what in ("other", "all") and (best := best_arms()):
        yield from open_runs(OTHER, (DEFAULT, *best))


def best_arms() -> list[str]:
    """The arms that are right most often over all seeds; none as long as a run is missing."""
    right = {a: [mean(bits(r["right"])) for r in records("run", TASK, a).values()] for a in ARMS}
    if any(len(values) < len(SEEDS) for values in right.values()):
        return []
    return sorted((a for a in ARMS if a != DEFAULT), key=lambda a: -mean(right[a]))[:BEST]


# -- measuring -------------------------------------------------------------------------------------


def asker(where: str | Path, task_name: str, n: int) -> measure.Evaluator:
    """A checkpoint before the test problems of a task."""
    model, tokenizer, _ = checkpoint.load(checkpoint.resolve(str(where)))
    task = get_task(task_name)
    dtype = torch.bfloat16 if machine.bfloat16_pays(next(model.parameters()).device) else None
    return measure.Evaluator(
        model.eval(),
        tokenizer,
        task,
        task.problems("test", n),
        task.max_new_tokens,
        0,
        dtype,
        say=print,
    )


def measure(where: str | Path, task_name: str) -> dict:
    """Who was right, problem by problem, at T = 1 and greedily; and how long each sampled answer
    is."""
    ask = asker(where, task_name, N)
    sampled, greedy = ask(1.0), ask(0.0)
    return {
        "right": evaluate.outcome(sampled),
        "greedy": evaluate.outcome(greedy),
        "lengths": [g[0].length for g in sampled],
        "cut": sum(g[0].finish_reason == "length" for g in sampled),
        "thinks": sum(g[0].thinks for g in sampled),
        "problems_sha256": evaluate.fingerprint(ask.problems),
    }


def study_base(task: str, arm: str, seed: int) -> dict:
    return measure(BASE, task)


def study_run(task: str, arm: str, seed: int) -> dict:
    """One arm, one seed: a run until the budget is spent, then the test."""
    log = run(task, arm, seed)
    train, outcome = log.metrics("train"), files.read_json(log.folder / "summary.json")
    found = {
        "steps": train[-1]["step"],
        "tokens": train[-1]["tokens"],
        "seconds": round(train[-1]["seconds"], 1),
        "skipped_steps": outcome["skipped_steps"],
        "validation": outcome["accuracy_after"],
        "curves": {
            name: [None if m.get(name) is None else round(m[name], 4) for m in train]
            for name in CURVES
        },
        **measure(log.checkpoints()[-1][1], task),
    }
    for _, path in (
        log.checkpoints() if arm != DEFAULT else ()
    ):  # 30 MB each, and nobody will ask them again
        checkpoint.remove(path)
    return found


def study_pass(task: str, arm: str, seed: int) -> dict:
    """How many of many samples are right, problem by problem: out of that comes pass@k for every
    k."""
    where = folder(task, arm, seed) if arm in ARMS else BASE
    if arm in ARMS and not (where / "summary.json").is_file():
        raise UserError(
            f"{where} is no finished run; take the line of {task}, {arm}, seed {seed} out of "
            "data/results/variants.jsonl, if there is one, and do `runs` first"
        )
    ask = asker(where, task, PASS_N)
    groups = ask(1.0, samples=PASS_SAMPLES)
    return {
        "samples": PASS_SAMPLES,
        "counts": [sum(e.grade.correct for e in g) for g in groups],
        "problems_sha256": evaluate.fingerprint(ask.problems),
    }


# -- a run of equal cost ---------------------------------------------------------------------------


def folder(task: str, arm: str, seed: int) -> Path:
    return Path("runs") / f"study-variants-{task}-{arm}-{seed}"


def run(task: str, arm: str, seed: int) -> runlog.RunLog:
    """A fresh run, or one that was broken off, carried on, until its tokens are spent."""
    where = folder(task, arm, seed)
    if (where / "summary.json").is_file() and any((where / "checkpoints").glob("step-*")):
        return runlog.RunLog.open(where)  # trained, but broken off while it was measured
    make, options = LOOPS.get(arm, (grpo.Trainer, grpo.Options))
    if any((where / "checkpoints").glob("step-*")):
        how = options(resume=where)
    else:
        shutil.rmtree(where, ignore_errors=True)
        own = {"aggregation": None} if options is grpo.Options else {}  # None: the objective's own
        how = options(task=task, seed=seed, out=where, **COMMON | own | ARMS[arm][1])
    log = runlog.RunLog.open(rl.train(with_budget(make, TOKENS), how))
    if not (log.folder / "summary.json").is_file():  # Ctrl-C: half a run is no result
        raise KeyboardInterrupt
    return log


def with_budget(make: type[rl.Trainer], tokens: int) -> type[rl.Trainer]:
    """The same loop, ended by the step in which so many tokens have been generated.

    Steps cannot be reckoned beforehand: lengths change while a policy learns. The learning rate
    does not depend on the number of steps, so the end may come at any of them.
    """

    class Budgeted(make):
        def step(self, step: int) -> dict:
            metrics = super().step(step)
            if self.state["tokens_generated"] >= tokens:
                self.options.steps = step + 1
            return metrics

    return Budgeted


# -- numbers ---------------------------------------------------------------------------------------


def bits(right: str) -> list[int]:
    return [int(c) for c in right]


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
    """Ours less theirs on the same problems, the seeds that both have averaged; and whether that is
    a difference.

    It is one if the interval does not hold 0 and every one of at least three seeds has the same
    sign. None: no seed yet.
    """
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    found = cell(
        *paired_bootstrap(
            over_seeds([ours[s] for s in seeds]), over_seeds([theirs[s] for s in seeds])
        ),
        n=len(ours[seeds[0]]),
    )
    each = [mean(ours[s]) - mean(theirs[s]) for s in seeds]
    apart = found["ci"][0] > 0 and min(each) > 0 or found["ci"][1] < 0 and max(each) < 0
    return found | {"each": each, "significant": apart if len(seeds) >= LEAST_SEEDS else None}


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
            "data/results/variants.jsonl holds results on different problems, which cannot be compared; take the "
            "old ones out and measure again"
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
    return files.plain(out, digits=6)


# -- the command -----------------------------------------------------------------------------------


def show_all(into: Path | None) -> None:
    summary, results = summarise(), machine.data_folder() / "results"
    results.mkdir(exist_ok=True)
    files.write_json_atomic(results / "variants.json", summary)
    if into:
        files.write_bytes_atomic(
            into,
            put(into.read_text(encoding="utf-8"), "figures:variants", tables(summary)).encode(),
        )
    print(tables(summary))
    if summary["tasks"][TASK]["arms"]:
        draw(summary, results / "variants.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("base", "runs", "pass", "other", "all", "table"))
    parser.add_argument("--arm", choices=tuple(ARMS))
    parser.add_argument("--seed", type=int, choices=SEEDS)
    parser.add_argument(
        "--into",
        type=Path,
        help="of `table`: a Markdown file whose block figures:variants is filled",
    )
    chosen = parser.parse_args()
    if chosen.what == "table":
        return show_all(chosen.into)
    machine.raise_malloc_thresholds()
    machine.set_threads(1)
    # Asked anew after each part: another process may have finished one, and the best arms show at
    # the end.
    while part := next(missing(chosen.what, chosen.arm, chosen.seed), None):
        study, task, arm, seed = part
        kind = {study_base: "base", study_run: "run", study_pass: "pass_at_k"}[study]
        runlog.append_result(
            "variants",
            {"kind": kind, "task": task, "arm": arm, "seed": seed, **study(task, arm, seed)},
        )


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        cli.fail(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")
