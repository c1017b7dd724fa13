"""The main job's figures: the shipped base, GRPO from it with three seeds, five times as long, and
a plain rival.

    python scripts/study_main.py base          the base and the baselines that could explain a gain away
    python scripts/study_main.py grpo 0        seed 0: GRPO for STEPS steps, the run that `make grpo` does
    python scripts/study_main.py expert 0      seed 0: expert iteration until as many tokens are generated
    python scripts/study_main.py timing        what `make grpo` does, alone on the machine, by the clock; and a transcript
    python scripts/study_main.py hold 0        seed 0: the same run, five times as long
    python scripts/study_main.py again 0       seed 0: GRPO once more, with today's code: do speed-ups leave its figures alone?
    python scripts/study_main.py all           everything that is missing, one after another

Each finished part is a line of data/results/main.jsonl; what stands there is not run again, and a
run that was broken off goes on from its last checkpoint in the folder runs/. Everything but the
timing runs on one thread, so that two seeds can run side by side on two cores; tuning used the
validation split alone.
"""

import argparse
import math
import shutil
import sys
import time
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # a clone's own package, installed or not

from minilrm import checkpoint, evaluate, files, grpo, machine, pretrain, runlog  # noqa: E402
from minilrm.tasks import get_task  # noqa: E402

STEPS, TIMES, SEEDS, N = grpo.Options.steps, 5, (0, 1, 2), 1000
DEFAULT_STEPS = grpo.Options.steps
TASK = "gsm8k-mini"
CURVES = (
    "reward",
    "accuracy",
    "accuracy_thinking",
    "completions/think_rate",
    "completions/mean_length",
    "entropy",
    "frac_reward_zero_std",
    "completions/clipped_ratio",
)


def done(kind: str, seed: int) -> bool:
    return any(r["kind"] == kind and r["seed"] == seed for r in runlog.load_results("main"))


def measure(where: str | Path, split: str, quick: bool, samples: int = 8) -> dict:
    """A checkpoint on a shipped split: one JSON object, as `python -m minilrm.evaluate` writes
    it."""
    model, tokenizer, _ = checkpoint.load(checkpoint.resolve(str(where)))
    options = evaluate.Options(
        checkpoint=str(where), task=TASK, split=split, n=N, samples=samples, seed=0, quick=quick
    )
    task = get_task(TASK)
    result = evaluate.evaluate(
        model.eval(), tokenizer, task, task.problems(split, N), options, say=print
    )
    result["checkpoint"] = Path(where).name
    return result


def study_base(seed: int = 0) -> dict:
    return {
        "test": measure("gsm8k-mini-base", "test", quick=False),
        "ood": measure("gsm8k-mini-base", "ood", quick=True),
    }


def study_grpo(seed: int, kind: str = "grpo") -> dict:
    """The main job's result."""
    log = run(kind, seed, steps=STEPS, save_every=STEPS)
    return {
        "steps": STEPS,
        **curves(log),
        "test": measure(last(log), "test", quick=False),
        "ood": measure(last(log), "ood", quick=True),
        "summary": summary(log),
    }


def study_again(seed: int) -> dict:
    """The main job once more: beside the first record it shows what changes in the code have done,
    by rounding above all."""
    return study_grpo(seed, "again")


def study_hold(seed: int) -> dict:
    """Does it hold? The learning rate does not depend on the number of steps, so the long run goes
    on from the end of `study_grpo`, where that is still in the runs folder; else its first STEPS
    steps are that run once more (on the same machine, with the same number of threads; figures.py
    looks whether they are)."""
    ended = folder("grpo", seed)
    if ended.exists():
        log = runlog.RunLog.open(
            grpo.train(grpo.Options(resume=ended, steps=TIMES * STEPS, eval_quick=N, eval_every=50))
        )
    else:
        log = run("hold", seed, steps=TIMES * STEPS, eval_quick=N, eval_every=50)
    return {
        "steps": STEPS,
        "long_steps": TIMES * STEPS,
        **curves(log),
        "long_test": measure(last(log), "test", quick=True, samples=1),
        "summary": summary(log),
    }


def study_expert(seed: int) -> dict:
    """Expert iteration, online: imitate the right answers alone, no group, no comparison; as many
    generated tokens."""
    goal = next(
        r for r in runlog.load_results("main") if r["kind"] == "grpo" and r["seed"] == seed
    )["tokens"][-1]
    log = run(
        "expert",
        seed,
        steps=STEPS // 2,
        normalize="reward",
        objective="reinforce",
        reward={"accuracy": 1.0},
        eval_quick=N,
    )
    while (end := log.metrics("train")[-1])["tokens"] < goal and end[
        "step"
    ] < 3 * STEPS:  # on until the budget is met
        target = min(
            3 * STEPS, end["step"] + math.ceil((goal - end["tokens"]) * end["step"] / end["tokens"])
        )
        target += (
            target == DEFAULT_STEPS
        )  # an option equal to its default would not be taken over by a resumed run
        log = runlog.RunLog.open(grpo.train(grpo.Options(resume=log.folder, steps=target)))
    return {
        "steps": end["step"],
        **curves(log),
        "test": measure(last(log), "test", quick=True, samples=1),
    }


def study_timing(seed: int) -> dict:
    """The default run on all cores, from its beginning: seconds to the step-0 evaluation, to a gain
    with intervals apart, and to the end. Before it, the speed of pretraining."""
    time_pretraining()
    shutil.rmtree(folder("timing", seed), ignore_errors=True)
    started = time.perf_counter()
    log = run("timing", seed, threads=None)
    evals = log.metrics("eval")
    gain = next(
        (e["elapsed"] for e in evals if e["accuracy_ci"][0] > evals[0]["accuracy_ci"][1]), None
    )
    runlog.append_result("main", {"kind": "transcript", "seed": seed, **transcript(log)})
    runlog.append_result(
        "timing",
        {
            "kind": "make grpo",
            "seed": seed,
            "steps": STEPS,
            "seconds_to_step0": evals[0]["elapsed"],
            "seconds_to_gain": gain,
            "seconds_total": time.perf_counter() - started,
            "peak_memory_mb": machine.peak_memory_mb(),
        },
    )
    return {"steps": STEPS, **curves(log)}


def time_pretraining(tokens: int = 600_000) -> None:
    """How fast the base's own command reads, alone and on all cores; the slow first steps count."""
    where = folder("pretraining", 0)
    shutil.rmtree(where, ignore_errors=True)
    pretrain.train(pretrain.Options(scale="micro", tokens=tokens, eval_n=0, out=where))
    ended = files.read_json(where / "summary.json")
    runlog.append_result(
        "timing",
        {
            "kind": "pretraining",
            "tokens": ended["tokens_trained"],
            "tokens_per_second": ended["tokens_trained"] / ended["seconds"],
        },
    )


def transcript(log: runlog.RunLog) -> dict:
    """The first problem that was answered wrong at step 0 and right at the end, before and
    after."""
    samples = log.samples()
    end = max(s["step"] for s in samples)
    after = {s["key"]: s for s in samples if s["step"] == end}
    before = next(
        s for s in samples if s["step"] == 0 and not s["correct"] and after[s["key"]]["correct"]
    )
    return {
        "prompt": before["prompt"],
        "before": before["completion"],
        "after": after[before["key"]]["completion"],
        "answer": before["answer"],
        "step_after": end,
    }


def folder(kind: str, seed: int) -> Path:
    return Path("runs") / f"study-main-{kind}-{seed}"


def run(kind: str, seed: int, threads: int | None = 1, **options) -> runlog.RunLog:
    """A fresh run, or one that was broken off, carried on."""
    where = folder(kind, seed)
    if (where / "checkpoints").is_dir() and any((where / "checkpoints").iterdir()):
        how = grpo.Options(resume=where)
    else:
        shutil.rmtree(where, ignore_errors=True)
        how = grpo.Options(task=TASK, seed=seed, threads=threads, out=where, **options)
    return runlog.RunLog.open(grpo.train(how))


def last(log: runlog.RunLog) -> Path:
    """The run's last checkpoint: that of its last step, however it ended."""
    return log.checkpoints()[-1][1]


def summary(log: runlog.RunLog) -> dict:
    """The run's summary.json without this machine's paths."""
    outcome = files.read_json(log.folder / "summary.json")
    return {
        key: value
        for key, value in outcome.items()
        if not (isinstance(value, str) and Path(value).is_absolute())
    }


def curves(log: runlog.RunLog) -> dict:
    """What the figures need of a run: every step's metrics, and the evaluations on validation."""
    train, evals = log.metrics("train"), log.metrics("eval")
    return {
        "curves": {
            name: [None if m.get(name) is None else round(m[name], 4) for m in train]
            for name in CURVES
        },
        "tokens": [m["tokens"] for m in train],
        "seconds": round(train[-1]["seconds"], 1),
        "evals": [
            {
                k: e.get(k)
                for k in (
                    "step",
                    "n",
                    "accuracy",
                    "accuracy_ci",
                    "greedy",
                    "think_rate",
                    "accuracy_thinking",
                    "mean_length",
                )
            }
            for e in evals
        ],
    }


STUDIES = {
    "base": (study_base, (0,)),
    "grpo": (study_grpo, SEEDS),
    "expert": (study_expert, SEEDS),
    "timing": (study_timing, (0,)),
    "hold": (study_hold, SEEDS),
    "again": (study_again, SEEDS),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=(*STUDIES, "all"))
    parser.add_argument("seed", nargs="?", type=int)
    parser.add_argument(
        "--again", action="store_true", help="timing: measure once more, as the code has changed"
    )
    chosen = parser.parse_args()
    if chosen.again and chosen.what != "timing":
        parser.error("--again goes with timing alone; of all else there is one record a seed")
    machine.raise_malloc_thresholds()
    machine.set_threads(1)
    for kind, (study, seeds) in STUDIES.items():
        for seed in seeds:
            if (
                chosen.what in (kind, "all")
                and chosen.seed in (seed, None)
                and (chosen.again or not done(kind, seed))
            ):
                runlog.append_result("main", {"kind": kind, "seed": seed, **study(seed)})


if __name__ == "__main__":
    main()
