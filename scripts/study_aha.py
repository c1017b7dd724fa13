"""The aha moment, measured: does reinforcement learning make a model think again, and does thinking again help?

    python scripts/study_aha.py countdown bases             the shipped bases, with and without a seed of reflection
    python scripts/study_aha.py countdown seeded 0          seed 0: GRPO from the seeded base, what `grpo --task countdown` does
    python scripts/study_aha.py countdown hot 0             the same, rollouts at temperature 1.25
    python scripts/study_aha.py countdown unseeded 0        control: from a base whose corpus held no reflection
    python scripts/study_aha.py countdown shuffled 0        control: rewards handed out at random within each batch
    python scripts/study_aha.py countdown parallel 0        one long sample against best-of-n of the unreflecting, equal tokens
    python scripts/study_aha.py countdown pretraining 0     retry data in pretraining, shares 0, .1, .25, .5, no RL at all
    python scripts/study_aha.py countdown all               everything that is missing, one after another

The second task is `multiplication`. Each finished part is a line of data/results/aha.jsonl; what stands there is not run again,
and a run that was broken off goes on from its last checkpoint in the folder runs/. One thread each, so that two parts can run
side by side on two cores. Every figure is of the test split, n = 1000; tuning used validation alone.
"""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a clone's own package, installed or not

from minilrm import checkpoint, grpo, intervals, machine, pretrain, reflection, runlog  # noqa: E402
from minilrm.evaluate import TEMPERATURES, quick  # noqa: E402
from minilrm.rollout import rollout  # noqa: E402
from minilrm.tasks import get_task  # noqa: E402

SEEDS, N = (0, 1, 2), 1000
ARMS = {"seeded": {}, "hot": {"temperature": 1.25}, "unseeded": {"init": "unseeded"}, "shuffled": {"shuffle_rewards": True}}
SHARES = (0.0, 0.1, 0.25, 0.5)
CURVES = ("reward", "accuracy", "completions/mean_length", "completions/clipped_ratio", "entropy", "frac_reward_zero_std",
          "reflection/rate", "reflection/retry_rate", "reflection/first_try_accuracy", "reflection/attempts",
          "reflection/false_accept")


def base_of(task: str, seeded: bool = True) -> str:
    return f"{task}-base" if seeded else f"{task}-base-unseeded"


def records(task: str, kind: str) -> list[dict]:
    return [r for r in runlog.load_results("aha") if r["task"] == task and r["kind"] == kind]


def loaded(where: str | Path):
    model, tokenizer, _ = checkpoint.load(checkpoint.resolve(str(where)))
    return model.eval(), tokenizer


# -- the bases ---------------------------------------------------------------------------------------------------------

def study_bases(task_name: str, seed: int) -> None:
    """Both bases on test: all measures at temperature 1, accuracy at each temperature (what a lower one alone would give)."""
    task = get_task(task_name)
    problems = task.problems("test", N)
    for seeded in (True, False):
        model, tokenizer = loaded(base_of(task_name, seeded))
        how = {"seed": 0, "max_new_tokens": task.max_new_tokens, "dtype": decoding_dtype(model)}
        by_temperature = {}
        for temperature in TEMPERATURES:
            figures, episodes = quick(model, tokenizer, task, problems, temperature=temperature, **how)
            by_temperature[f"{temperature:g}"] = {k: figures[k] for k in ("accuracy", "accuracy_ci", "mean_length", "n")}
            if temperature == 1.0:
                measured = reflection.measures(task, episodes)
        ood, _ = quick(model, tokenizer, task, task.problems("ood", N), temperature=1.0, **how)
        append(task_name, "base", 0, {"base": base_of(task_name, seeded), "seeded": seeded, "measures": measured,
                                      "temperatures": by_temperature, "ood": ood["accuracy"], "ood_ci": ood["accuracy_ci"]})


def decoding_dtype(model):
    import torch
    return torch.bfloat16 if machine.bfloat16_pays(next(model.parameters()).device) else None


# -- reinforcement learning from them ----------------------------------------------------------------------------------

def study_arm(task_name: str, arm: str, seed: int) -> None:
    """One run of GRPO, then `reflection.study` against its base, and the base's and the policy's greedy and ood figures."""
    options = dict(ARMS[arm])
    seeded = options.pop("init", None) != "unseeded"
    if not seeded:
        options["init"] = base_of(task_name, seeded=False)
    log = run(task_name, arm, seed, **options)
    task = get_task(task_name)
    before, tokenizer = loaded(base_of(task_name, seeded))
    after, _ = loaded(log.checkpoints()[-1][1])
    found = reflection.study(before, after, tokenizer, task, task.problems("test", N), seed=seed, say=print)
    how = {"seed": seed, "max_new_tokens": task.max_new_tokens, "dtype": decoding_dtype(after)}
    greedy, _ = quick(after, tokenizer, task, task.problems("test", N), temperature=0.0, **how)
    ood, _ = quick(after, tokenizer, task, task.problems("ood", N), temperature=1.0, **how)
    train, evals = log.metrics("train"), log.metrics("eval")
    append(task_name, arm, seed, {
        "study": found, "greedy": greedy["accuracy"], "greedy_ci": greedy["accuracy_ci"], "ood": ood["accuracy"],
        "ood_ci": ood["accuracy_ci"], "steps": train[-1]["step"], "seconds": round(train[-1]["seconds"], 1),
        "tokens": [m["tokens"] for m in train],
        "curves": {name: [None if m.get(name) is None else round(m[name], 4) for m in train] for name in CURVES},
        "evals": [{k: e.get(k) for k in ("step", "n", "accuracy", "accuracy_ci", "mean_length", "elapsed")} for e in evals],
        "transcripts": transcripts(task, log)})


def run(task_name: str, arm: str, seed: int, **options) -> runlog.RunLog:
    """A fresh run, or one that was broken off, carried on."""
    folder = Path("runs") / f"study-aha-{task_name}-{arm}-{seed}"
    if (folder / "checkpoints").is_dir() and any((folder / "checkpoints").iterdir()):
        how = grpo.Options(resume=folder)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        how = grpo.Options(task=task_name, seed=seed, threads=1, out=folder, **options)
    return runlog.RunLog.open(grpo.train(how))


def transcripts(task, log: runlog.RunLog, count: int = 2) -> list[dict]:
    """Problems that were answered wrong at step 0 and right at the end after a failed first try."""
    samples = log.samples()
    end = max(s["step"] for s in samples)
    before = {s["key"]: s for s in samples if s["step"] == 0}
    found = []
    for s in samples:
        if s["step"] == end and s["correct"] and not before[s["key"]]["correct"]:
            if task.parse_trace(s["completion"]).reflections:
                found.append({"prompt": s["prompt"], "before": before[s["key"]]["completion"], "after": s["completion"]})
    return found[:count]


# -- sequential against parallel -------------------------------------------------------------------------------------

def study_parallel(task_name: str, seed: int) -> None:
    """The reflecting policy's one long sample against the unreflecting one's best of n by its own check, at equal tokens.

    The unreflecting policy (RL without a seed of reflection) answers n times; the first answer that its own check accepts is
    taken, else the last. n grows until its tokens a problem reach those of the reflecting policy's single sample.
    """
    task = get_task(task_name)
    problems = task.problems("test", N)
    long, tokenizer = loaded(last_checkpoint(task_name, "seeded", seed))
    short, _ = loaded(last_checkpoint(task_name, "unseeded", seed))
    how = {"max_new_tokens": task.max_new_tokens, "seed": seed, "dtype": decoding_dtype(long)}
    one = rollout(long, tokenizer, task, problems, **how)
    many = rollout(short, tokenizer, task, problems, group_size=16, **how)
    budget = sum(g[0].length for g in one) / N
    table = []
    for n in range(1, 17):
        chosen = [self_checked(task, g[:n]) for g in many]
        right = [c.grade.correct for c, _ in chosen]
        table.append({"n": n, **intervals.rate(right), "tokens": sum(t for _, t in chosen) / N,
                      "oracle": sum(any(e.grade.correct for e in g[:n]) for g in many) / N})
    append(task_name, "parallel", seed, {"sequential": {**intervals.rate([g[0].grade.correct for g in one]),
                                                        "tokens": budget}, "parallel": table})


def self_checked(task, group) -> tuple:
    """(the first answer whose own check accepts it, else the last; tokens spent until then)."""
    spent = 0
    for episode in group:
        spent += episode.length
        attempts = task.parse_trace(episode.text).attempts
        if attempts and attempts[-1].accepted:
            break
    return episode, spent


def last_checkpoint(task_name: str, arm: str, seed: int) -> Path:
    folder = Path("runs") / f"study-aha-{task_name}-{arm}-{seed}"
    return runlog.RunLog.open(folder).checkpoints()[-1][1]


# -- retry data in pretraining -----------------------------------------------------------------------------------------

def study_pretraining(task_name: str, seed: int, share: float) -> None:
    """A base from random weights whose corpus holds this share of reflecting writers; equal tokens, no RL."""
    folder = Path("runs") / f"study-aha-{task_name}-pretraining-{share:g}-{seed}"
    if not (folder / "summary.json").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        pretrain.train(pretrain.Options(task=task_name, scale="nano", reflection=share, seed=seed, threads=1, out=folder,
                                        eval_n=0))
    model, tokenizer = loaded(folder)
    task = get_task(task_name)
    how = {"seed": 0, "max_new_tokens": task.max_new_tokens, "dtype": decoding_dtype(model)}
    problems = task.problems("test", N)
    figures, episodes = quick(model, tokenizer, task, problems, temperature=1.0, **how)
    greedy, _ = quick(model, tokenizer, task, problems, temperature=0.0, **how)
    append(task_name, "pretraining", seed, {"share": share, "measures": reflection.measures(task, episodes),
                                            "accuracy": figures["accuracy"], "accuracy_ci": figures["accuracy_ci"],
                                            "greedy": greedy["accuracy"], "greedy_ci": greedy["accuracy_ci"]})


# -- which ---------------------------------------------------------------------------------------------------------------

def append(task: str, kind: str, seed: int, record: dict) -> None:
    runlog.append_result("aha", {"task": task, "kind": kind, "seed": seed, **record})


def missing(task: str, what: str, seed: int | None) -> list[tuple]:
    """The parts asked for that have no line yet, in the order in which they need each other."""
    parts = [] if records(task, "base") or what not in ("bases", "all") else [(study_bases, task, 0)]
    for arm in ARMS:
        done = {r["seed"] for r in records(task, arm)}
        parts += [(study_arm, task, arm, s) for s in SEEDS if what in (arm, "all") and seed in (s, None) and s not in done]
    done = {r["seed"] for r in records(task, "parallel")}
    parts += [(study_parallel, task, s) for s in SEEDS if what in ("parallel", "all") and seed in (s, None) and s not in done]
    done = {(r["seed"], r["share"]) for r in records(task, "pretraining")}
    parts += [(study_pretraining, task, s, share) for s in SEEDS for share in SHARES
              if what in ("pretraining", "all") and seed in (s, None) and (s, share) not in done]
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", choices=("countdown", "multiplication"))
    parser.add_argument("what", choices=("bases", *ARMS, "parallel", "pretraining", "all"))
    parser.add_argument("seed", nargs="?", type=int)
    chosen = parser.parse_args()
    machine.raise_malloc_thresholds()
    machine.set_threads(1)
    for study, *arguments in missing(chosen.task, chosen.what, chosen.seed):
        study(*arguments)


if __name__ == "__main__":
    main()
