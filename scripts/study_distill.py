"""How much of a teacher fits into a quarter of its parameters? Three ways of distillation, three
seeds, equal learnt tokens.

    python scripts/study_distill.py --teacher runs/grpo-... teacher     the teacher on test, and what explains it away
    python scripts/study_distill.py --teacher runs/grpo-... base        the student's own base: pretrained, then measured
    python scripts/study_distill.py --teacher runs/grpo-... traces 0    seed 0: hard traces; so `logits` and `on-policy`
    python scripts/study_distill.py --teacher runs/grpo-... all         everything that is missing, one after another
    python scripts/study_distill.py table                               what is there so far

The teacher is a model that was trained by GRPO. Every student starts from the same base, which read
the corpus that the teacher's base had read, so what it gains it has from the teacher; the base is
measured first, with its own baselines (best temperature, forced thinking). Equal are the completion
tokens that a student learns from (TOKENS); what it cost to have them written stands beside the
accuracies. The three ways share a seed's pool of traces, which the way `traces` has written. Every
figure is of the test split, n = 1000; what was tuned was tuned on validation.

Each finished part is a line of data/results/distill.jsonl; what stands there is not run again, and
a run that was broken off goes on from its last checkpoint in the folder runs/. One thread each, so
that two parts can run side by side on two cores.
"""

import argparse
import shutil
import sys
from pathlib import Path

sys.path.insert(
    0, str(Path(__file__).resolve().parent.parent)
)  # a clone's own package, installed or not

from minilrm import (  # noqa: E402
    checkpoint,
    cli,
    distill,
    evaluate,
    files,
    intervals,
    machine,
    model,
    pretrain,
    runlog,
)
from minilrm.errors import UserError  # noqa: E402
from minilrm.tasks import get_task  # noqa: E402

TASK, SEEDS, N = "gsm8k-mini", (0, 1, 2), 1000
WAYS = tuple(distill.WAYS)
TOKENS, BATCH = (
    2_000_000,
    16,
)  # that each student learns from, about 28,000 completions; completions a step
PROMPTS = 24_000  # that the teacher answers once each; some 23,000 traces are right, so each is seen at most twice
BASE_TOKENS = 20_000_000  # that the student's base reads; the teacher's has read 26M
EVAL_EVERY, EVAL_N = 200, 500
BAR = 0.8  # the share of the teacher's accuracy that a student should keep

# 632,016 parameters, 24.7 % of the 2,558,784 of a micro teacher: as deep as nano, but narrower.
SMALL = model.ModelConfig(dim=112, n_layers=4, n_heads=4, n_kv_heads=2, head_dim=28, ffn_dim=272)


def records(kind: str) -> list[dict]:
    return [r for r in runlog.load_results("distill") if r["kind"] == kind]


def done(kind: str, seed: int) -> bool:
    return any(r["seed"] == seed for r in records(kind))


def folder(kind: str, seed: int) -> Path:
    return Path("runs") / f"study-distill-{kind}-{seed}"


def begun(where: Path) -> bool:
    """Whether a run can be gone on with there; the remains of one that died at once are cleared
    away."""
    if any((where / "checkpoints").glob("step-*")):
        return True
    shutil.rmtree(where, ignore_errors=True)
    return False


def measure(where: Path, quick: bool, samples: int = 8) -> dict:
    """A checkpoint on the test split: one JSON object, as `python -m minilrm.evaluate` writes
    it."""
    student, tokenizer, _ = checkpoint.load(where)
    options = evaluate.Options(
        checkpoint=where.name, task=TASK, split="test", n=N, samples=samples, quick=quick
    )
    task = get_task(TASK)
    result = evaluate.evaluate(
        student.eval(), tokenizer, task, task.problems("test", N), options, say=print
    )
    return result | {"parameters": model.count_parameters(student)}


def study_teacher(teacher: Path, seed: int) -> dict:
    return {"test": measure(teacher, quick=False)}


def study_base(teacher: Path, seed: int) -> dict:
    """The student before distillation, as good as its own pretraining makes it."""
    share = parameter_share(teacher)
    return {
        "parameter_share": share,
        "pretraining_tokens": BASE_TOKENS,
        "test": measure(student_base(), quick=False),
    }


def parameter_share(teacher: Path) -> float:
    """The student's parameters over the teacher's: a quarter at most. Said before the base is
    pretrained."""
    small, large = (
        model.count_parameters(model.Transformer(shape))
        for shape in (SMALL, checkpoint.load_config(teacher))
    )
    if small > large / 4:
        raise UserError(
            f"the student's {small:,} parameters are more than a quarter of the teacher's {large:,}; "
            "change SMALL in this script"
        )
    return small / large


def student_base() -> Path:
    """The folder of the student's base; made if it is not there."""
    model.SCALES["small"], pretrain.SCALE["small"] = (
        SMALL,
        pretrain.SCALE["nano"],
    )  # a scale of this study's own
    run = folder("base", 0)
    if not (run / "summary.json").exists():
        how = (
            {"resume": run}
            if begun(run)
            else {"scale": "small", "tokens": BASE_TOKENS, "out": run, "threads": 1}
        )
        pretrain.train(pretrain.Options(**how))
    return checkpoint.resolve(run)


def study_way(teacher: Path, seed: int, way: str) -> dict:
    """One student by one way: the run's curves and costs, and the test figures of its last
    checkpoint."""
    run = folder(way, seed)
    if begun(run):
        how = {"resume": run}
    else:
        pool = folder("traces", seed) / "traces.jsonl"
        how = {
            "teacher": str(teacher),
            "student": str(student_base()),
            "way": way,
            "seed": seed,
            "out": run,
            "threads": 1,
            "tokens": TOKENS,
            "batch": BATCH,
            "prompts": PROMPTS,
            "samples": 1,
            "eval_every": EVAL_EVERY,
            "eval_n": EVAL_N,
            "pool": pool if pool.exists() else None,
        }
    log = runlog.RunLog.open(distill.train(distill.Options(**how)))
    summary = files.read_json(log.folder / "summary.json")
    kept = {
        key: value
        for key, value in summary.items()
        if not (isinstance(value, str) and Path(value).is_absolute())
    }
    evals = [
        {
            key: e.get(key)
            for key in ("step", "n", "accuracy", "accuracy_ci", "greedy", "mean_length")
        }
        for e in log.metrics("eval")
    ]
    return {
        "summary": kept,
        "evals": evals,
        "losses": [m["loss"] for m in log.metrics("train")],
        "test": measure(log.checkpoints()[-1][1], quick=True),
    }


def table() -> str:
    """Accuracy of teacher, base and students, what share of the teacher's each has kept, and how
    sure 80 % of it is."""
    found = {kind: records(kind) for kind in ("teacher", "base", *WAYS)}
    if not found["teacher"]:
        return "the teacher has not been measured yet"
    best = found["teacher"][0]["test"]
    lines = [
        f"{'':<10} seed  sampled  95 %               greedy    kept  kept, greedy  above {BAR:.0%} of teacher (paired)"
    ]
    for kind, rows in found.items():
        for r in sorted(rows, key=lambda r: r["seed"]):
            test, (low, high) = r["test"], r["test"]["accuracy_ci"]
            kept, kept_greedily = (test[name] / best[name] for name in ("accuracy", "greedy"))
            lines.append(
                f"{kind:<10} {r['seed']:>4}  {test['accuracy']:>7.1%}  {low:>6.1%} to {high:<6.1%}  "
                f"{test['greedy']:>7.1%}  {kept:>6.1%}  {kept_greedily:>12.1%}  {above_bar(test, best)}"
            )
    return "\n".join(lines)


def above_bar(test: dict, best: dict) -> str:
    """By how much a student is right more often than BAR times its teacher, on the same problems,
    with its interval."""
    if test["problems_sha256"] != best["problems_sha256"]:
        return "-"
    mine, its = ([int(c) for c in t["outcomes"]["sampled"]] for t in (test, best))
    difference, low, high = intervals.paired_bootstrap(mine, [BAR * right for right in its])
    return f"{difference:+.1%} ({low:+.1%} to {high:+.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("teacher", "base", *WAYS, "all", "table"))
    parser.add_argument("seed", nargs="?", type=int, choices=SEEDS)
    parser.add_argument("--teacher", help="a checkpoint or run folder of a model trained by GRPO")
    chosen = parser.parse_args()
    if chosen.seed is not None and chosen.what not in WAYS:
        parser.error(f"{chosen.what} is for no seed in particular")
    machine.raise_malloc_thresholds()
    machine.set_threads(1)
    if chosen.what != "table":
        if not chosen.teacher:
            parser.error(
                "--teacher must be given: a checkpoint or run folder of a model trained by GRPO"
            )
        teacher = checkpoint.resolve(chosen.teacher)
        parts = [("teacher", 0), ("base", 0), *((way, seed) for seed in SEEDS for way in WAYS)]
        for kind, seed in parts:
            if (
                chosen.what in (kind, "all")
                and chosen.seed in (seed, None)
                and not done(kind, seed)
            ):
                study = {"teacher": study_teacher, "base": study_base}.get(kind)
                result = study(teacher, seed) if study else study_way(teacher, seed, kind)
                runlog.append_result("distill", {"kind": kind, "seed": seed, **result})
    print(table())


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        cli.fail(str(error))
