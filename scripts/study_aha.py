"""The aha moment, measured: does reinforcement learning make a model think again, and does thinking
again help?

    python scripts/study_aha.py countdown bases             the shipped bases, with and without a seed of reflection
    python scripts/study_aha.py countdown seeded 0          seed 0: GRPO from the seeded base, what `grpo --task countdown` does
    python scripts/study_aha.py countdown hot 0             the same, rollouts at temperature 1.25
    python scripts/study_aha.py countdown unseeded 0        control: from a base whose corpus held no reflection
    python scripts/study_aha.py countdown shuffled 0        control: rewards handed out at random within each batch
    python scripts/study_aha.py countdown parallel 0        one long sample against best-of-n of the unreflecting, equal tokens
    python scripts/study_aha.py countdown pretraining 0     retry data in pretraining, shares 0, .1, .25, .5, no RL at all
    python scripts/study_aha.py countdown all               everything that is missing, one after another
    python scripts/study_aha.py countdown timing 0          `grpo --task countdown` by the clock, alone on all cores

The second task is `multiplication`. Each finished part is a line of data/results/aha.jsonl; what
stands there is not run again, and a run that was broken off goes on from its last checkpoint in the
folder runs/. One thread each, so that two parts can run side by side on two cores. Every figure is
of the test split, n = 1000; tuning used validation alone. The test is at temperature 1 for all
arms; the curves and the evaluations within a run are at that of its rollouts (1.25 for `hot`).
"""

import argparse
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # a clone's own package, installed or not

import torch  # noqa: E402

from minilrm import checkpoint, cli, files, grpo, intervals, machine, pretrain, reflection, runlog  # noqa: E402
from minilrm.errors import UserError  # noqa: E402
from minilrm.evaluate import TEMPERATURES, fingerprint  # noqa: E402
from minilrm.rollout import Episode, fitting, rollout  # noqa: E402
from minilrm.tasks import Problem, get_task  # noqa: E402

SEEDS, N = (0, 1, 2), 1000
MOST = 16  # samples of the unreflecting policy
ARMS = {
    "seeded": {},
    "hot": {"temperature": 1.25},
    "unseeded": {},
    "shuffled": {"shuffle_rewards": True},
}
SHARES = (0.0, 0.1, 0.25, 0.5)
SHARE_TOKENS = 4_000_000  # that each of these bases reads: a fifth of the shipped base's, as there are twelve of them
CURVES = (
    "reward",
    "accuracy",
    "completions/mean_length",
    "completions/clipped_ratio",
    "entropy",
    "frac_reward_zero_std",
    "reflection/rate",
    "reflection/retry_rate",
    "reflection/first_try_accuracy",
    "reflection/attempts",
    "reflection/false_accept",
)


def base_of(task: str, seeded: bool = True) -> str:
    return f"{task}-base" if seeded else f"{task}-base-unseeded"


def records(task: str, kind: str) -> list[dict]:
    return [r for r in runlog.load_results("aha") if r["task"] == task and r["kind"] == kind]


def loaded(where: str | Path):
    model, tokenizer, _ = checkpoint.load(checkpoint.resolve(str(where)))
    return model.eval(), tokenizer


def begun(folder: Path) -> bool:
    """Whether a run can be gone on with there; the remains of one that died at once are cleared
    away."""
    if any((folder / "checkpoints").glob("step-*")):
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def finished(folder: Path) -> runlog.RunLog:
    """The run, if it came to its end: half a run (Ctrl-C) is no result."""
    if not (folder / "summary.json").is_file():
        raise KeyboardInterrupt
    return runlog.RunLog.open(folder)


# -- measuring -------------------------------------------------------------------------------------


def sampling(task, model, seed: int) -> dict:
    return {
        "seed": seed,
        "max_new_tokens": task.max_new_tokens,
        "dtype": torch.bfloat16 if machine.bfloat16_pays(next(model.parameters()).device) else None,
    }


def answers(
    task, model, tokenizer, problems: list[Problem], temperature: float, seed: int
) -> tuple[dict, list[Episode]]:
    """One answer a problem: (accuracy with its interval, mean length, and who was right, "0110...";
    the episodes)."""
    figures, episodes = measure(
        model, tokenizer, task, problems, temperature=temperature, **sampling(task, model, seed)
    )
    kept = {key: figures[key] for key in ("accuracy", "accuracy_ci", "mean_length", "n")}
    return {**kept, "right": right(episodes)}, episodes


def right(episodes: Sequence[Episode]) -> str:
    return "".join(str(int(e.grade.correct)) for e in episodes)


def greedy_and_ood(task, model, tokenizer, seed: int) -> dict:
    greedy, _ = answers(task, model, tokenizer, task.problems("test", N), 0.0, seed)
    ood, _ = answers(task, model, tokenizer, task.problems("ood", N), 1.0, seed)
    return {
        "greedy": greedy["accuracy"],
        "greedy_ci": greedy["accuracy_ci"],
        "greedy_right": greedy["right"],
        "ood": ood["accuracy"],
        "ood_ci": ood["accuracy_ci"],
        "ood_n": ood["n"],
    }


# -- the bases -------------------------------------------------------------------------------------


def study_base(task_name: str, seeded: bool) -> None:
    """A base on test: all measures at temperature 1, accuracy at each temperature (what a lower one
    alone would give)."""
    task = get_task(task_name)
    problems = task.problems("test", N)
    model, tokenizer = loaded(base_of(task_name, seeded))
    by_temperature = {}
    for temperature in TEMPERATURES:
        by_temperature[f"{temperature:g}"], episodes = answers(
            task, model, tokenizer, problems, temperature, seed=0
        )
        if temperature == 1.0:
            measured = reflection.measures(task, episodes)
    append(
        task_name,
        "base",
        0,
        {
            "base": base_of(task_name, seeded),
            "seeded": seeded,
            "measures": measured,
            "temperatures": by_temperature,
            "problems_sha256": fingerprint(problems),
            **greedy_and_ood(task, model, tokenizer, 0),
        },
    )


# -- reinforcement learning from them --------------------------------------------------------------


def study_arm(task_name: str, arm: str, seed: int) -> None:
    """One run of GRPO, then `reflection.study` against its base, and the policy's greedy and ood
    figures."""
    base = base_of(task_name, seeded=arm != "unseeded")
    log = run(task_name, arm, seed, init=base, **ARMS[arm])
    task = get_task(task_name)
    problems = task.problems("test", N)
    before, tokenizer = loaded(base)
    after, _ = loaded(log.checkpoints()[-1][1])
    found = reflection.study(before, after, tokenizer, task, problems, seed=seed, say=print)
    train, evals = log.metrics("train"), log.metrics("eval")
    append(
        task_name,
        arm,
        seed,
        {
            "study": found,
            "problems_sha256": fingerprint(problems),
            **greedy_and_ood(task, after, tokenizer, seed),
            "steps": train[-1]["step"],
            "seconds": round(train[-1]["seconds"], 1),
            "elapsed": evals[-1]["elapsed"],
            "tokens": [m["tokens"] for m in train],
            "curves": {
                name: [None if m.get(name) is None else round(m[name], 4) for m in train]
                for name in CURVES
            },
            "evals": [
                {
                    k: e.get(k)
                    for k in ("step", "n", "accuracy", "accuracy_ci", "mean_length", "elapsed")
                }
                for e in evals
            ],
            "transcripts": transcripts(log),
        },
    )


def folder_of(task_name: str, arm: str, seed: int) -> Path:
    return Path("runs") / f"study-aha-{task_name}-{arm}-{seed}"


def run(task_name: str, arm: str, seed: int, **options) -> runlog.RunLog:
    """A fresh run, or one that was broken off, carried on."""
    folder = folder_of(task_name, arm, seed)
    if begun(folder) and (folder / "summary.json").is_file():
        return finished(folder)  # trained, but broken off while it was measured
    how = (
        {"resume": folder}
        if begun(folder)
        else {
            "task": task_name,
            "seed": seed,
            "threads": 1,
            "out": folder,
            **grpo.RECIPES.get(task_name, {}),
            **options,
        }
    )
    return finished(grpo.train(grpo.Options(**how)))


def transcripts(log: runlog.RunLog, count: int = 2) -> list[dict]:
    """Problems that were answered wrong at step 0 and right at the end, after a first try that was
    wrong."""
    samples = log.samples()
    end = max(s["step"] for s in samples)
    before = {s["key"]: s for s in samples if s["step"] == 0}
    after = {s["key"]: s for s in samples if s["step"] == end}
    return [
        {"prompt": s["prompt"], "before": before[key]["completion"], "after": s["completion"]}
        for key, s in after.items()
        if s["correct"] and key in before and not before[key]["correct"] and failed_first(s)
    ][:count]


def failed_first(sample: dict) -> bool:
    """Whether a sample, cut into pieces, holds a wrong attempt before any right one, and a word of
    reflection."""
    kinds = [kind for _, kind in sample.get("pieces") or ()]
    return (
        "reflection" in kinds
        and next((k for k in kinds if k.startswith("attempt")), "") == "attempt-wrong"
    )


# -- sequential against parallel -------------------------------------------------------------------


def study_parallel(task_name: str, seed: int) -> None:
    """The reflecting policy's one long sample against the unreflecting one's best of n by its own
    check, at equal tokens.

    The unreflecting policy (RL without a seed of reflection) answers n times; the first answer that
    its own check accepts is taken, else the last. Two costs: `tokens` where it stops at that
    answer, `tokens_all` where all n are written at once.
    """
    task = get_task(task_name)
    long, tokenizer = loaded(last_checkpoint(task_name, "seeded", seed))
    short, _ = loaded(last_checkpoint(task_name, "unseeded", seed))
    context = min(long.config.max_seq_len, short.config.max_seq_len)
    problems = fitting(task, tokenizer, task.problems("test", N), context - task.max_new_tokens)
    one = [g[0] for g in rollout(long, tokenizer, task, problems, **sampling(task, long, seed))]
    many = rollout(short, tokenizer, task, problems, group_size=MOST, **sampling(task, short, seed))
    rows = []
    for n in range(1, MOST + 1):
        chosen = [self_checked(task, g[:n]) for g in many]
        rows.append(
            {
                **intervals.rate([e.grade.correct for e, _ in chosen]),
                "samples": n,
                "right": right([e for e, _ in chosen]),
                "tokens": intervals.mean([spent for _, spent in chosen]),
                "tokens_all": intervals.mean([sum(e.length for e in g[:n]) for g in many]),
                "oracle": intervals.mean([any(e.grade.correct for e in g[:n]) for g in many]),
            }
        )
    sequential = {
        **intervals.rate([e.grade.correct for e in one]),
        "right": right(one),
        "tokens": intervals.mean([e.length for e in one]),
    }
    append(
        task_name,
        "parallel",
        seed,
        {"sequential": sequential, "parallel": rows, "problems_sha256": fingerprint(problems)},
    )


def self_checked(task, group: Sequence[Episode]) -> tuple[Episode, int]:
    """(the first answer whose own check accepts it, else the last; tokens spent until then)."""
    spent = 0
    for episode in group:
        spent += episode.length
        attempts = task.parse_trace(episode.text).attempts
        if attempts and attempts[-1].accepted:
            break
    return episode, spent


def last_checkpoint(task_name: str, arm: str, seed: int) -> Path:
    """Of an arm that has its line in the results: of any other the last checkpoint may be that of
    half a run."""
    folder = folder_of(task_name, arm, seed)
    if (
        seed not in {r["seed"] for r in records(task_name, arm)}
        or not (folder / "checkpoints").is_dir()
    ):
        raise UserError(
            f"sequential against parallel needs the run {folder}; make it first: "
            f"python scripts/study_aha.py {task_name} {arm} {seed}"
        )
    return runlog.RunLog.open(folder).checkpoints()[-1][1]


# -- retry data in pretraining ---------------------------------------------------------------------


def study_pretraining(task_name: str, seed: int, share: float) -> None:
    """A base from random weights whose corpus holds this share of reflecting writers; equal tokens,
    no RL."""
    folder = folder_of(task_name, f"pretraining-{share:g}", seed)
    if not (folder / "summary.json").is_file():
        how = (
            {"resume": folder}
            if begun(folder)
            else {
                "task": task_name,
                "scale": "nano",
                "reflection": share,
                "seed": seed,
                "tokens": SHARE_TOKENS,
                "threads": 1,
                "out": folder,
                "eval_n": 0,
            }
        )
        pretrain.train(pretrain.Options(**how))
    log = finished(folder)
    model, tokenizer = loaded(log.checkpoints()[-1][1])
    task = get_task(task_name)
    problems = task.problems("test", N)
    sampled, episodes = answers(task, model, tokenizer, problems, 1.0, seed=0)
    append(
        task_name,
        "pretraining",
        seed,
        {
            "share": share,
            "measures": reflection.measures(task, episodes),
            "accuracy": sampled["accuracy"],
            "accuracy_ci": sampled["accuracy_ci"],
            "right": sampled["right"],
            "problems_sha256": fingerprint(problems),
            "pretraining_tokens": files.read_json(folder / "summary.json")["tokens_trained"],
            **greedy_and_ood(task, model, tokenizer, 0),
        },
    )


# -- by the clock ----------------------------------------------------------------------------------


def study_timing(task_name: str, seed: int) -> None:
    """The default run as its command runs it, with as many threads as it takes; stop all else
    before."""
    folder, started = folder_of(task_name, "timing", seed), time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    log = finished(
        grpo.train(
            grpo.Options(task=task_name, seed=seed, out=folder, **grpo.RECIPES.get(task_name, {}))
        )
    )
    evals = log.metrics("eval")
    last = evals[-1]
    append(
        task_name,
        "timing",
        seed,
        {
            "elapsed": last["elapsed"],
            "seconds_total": round(time.perf_counter() - started, 1),
            "evals": [{key: e[key] for key in ("step", "elapsed", "accuracy", "n")} for e in evals],
            "threads": machine.default_threads(),
            **{key: last[key] for key in ("step", "accuracy", "accuracy_ci", "n")},
        },
    )


# -- which -----------------------------------------------------------------------------------------


def append(task: str, kind: str, seed: int, record: dict) -> None:
    runlog.append_result("aha", {"task": task, "kind": kind, "seed": seed, **record})


def missing(task: str, what: str, seed: int | None) -> list[tuple]:
    """The parts asked for that have no line yet, in the order in which they need each other."""
    done = {r["seeded"] for r in records(task, "base")}
    parts = [
        (study_base, task, seeded)
        for seeded in (True, False)
        if what in ("bases", "all") and seeded not in done
    ]
    for arm in ARMS:
        done = {r["seed"] for r in records(task, arm)}
        parts += [
            (study_arm, task, arm, s)
            for s in SEEDS
            if what in (arm, "all") and seed in (s, None) and s not in done
        ]
    done = {r["seed"] for r in records(task, "parallel")}
    parts += [
        (study_parallel, task, s)
        for s in SEEDS
        if what in ("parallel", "all") and seed in (s, None) and s not in done
    ]
    if what == "timing":  # not a part of `all`, beside which it would measure nothing
        parts += [(study_timing, task, s) for s in SEEDS if seed in (s, None)]
    done = {(r["seed"], r["share"]) for r in records(task, "pretraining")}
    parts += [
        (study_pretraining, task, s, share)
        for s in SEEDS
        for share in SHARES
        if what in ("pretraining", "all") and seed in (s, None) and (s, share) not in done
    ]
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("countdown", "multiplication"))
    parser.add_argument(
        "what", choices=("bases", *ARMS, "parallel", "pretraining", "timing", "all")
    )
    parser.add_argument("seed", nargs="?", type=int, choices=SEEDS)
    chosen = parser.parse_args()
    if chosen.seed is not None and chosen.what in ("bases", "all"):
        parser.error(f"{chosen.what} is for no seed in particular")
    machine.raise_malloc_thresholds()
    machine.set_threads(1)
    parts = missing(chosen.task, chosen.what, chosen.seed)
    print(f"{len(parts)} part{'s' * (len(parts) != 1)} to be measured", flush=True)
    for study, *arguments in parts:
        study(*arguments)


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        cli.fail(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on from here")
