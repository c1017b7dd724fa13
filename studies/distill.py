"""How much of a teacher fits into a quarter of its parameters? Three ways of distillation, three
seeds, equal numbers of tokens to learn from.

    python -m studies.distill --teacher RUN teacher     the teacher on test, and what could explain
                                                        its accuracy away
    python -m studies.distill --teacher RUN base        the student's own base: pretrained, then
                                                        measured
    python -m studies.distill --teacher RUN traces 0    seed 0: hard traces; so `logits` and
                                                        `on-policy`
    python -m studies.distill --teacher RUN all         everything that is missing
    python -m studies.distill table                     what is there so far

The teacher is a model that was trained by GRPO. Every student starts from the same base, which read
the corpus that the teacher's base had read, so what it gains it has from the teacher; the base is
measured first, with its own baselines (best temperature, forced thinking). Equal are the completion
tokens that a student learns from (TOKENS); what it cost to have them written stands beside the
accuracies. The three ways share a seed's pool of traces, which the way `traces` has written. Every
figure is of the test split, n = 1000; what was tuned was tuned on validation.

Each finished part is a line of data/results/distill.jsonl; what stands there is not run again, and
a run that was interrupted goes on from its last checkpoint in the folder runs/. One thread each, so
that two parts can run side by side on two cores.
"""

from functools import partial
from pathlib import Path

from minilrm import checkpoint, distill, intervals, model, pretrain
from minilrm.errors import UserError
from studies import common
from studies.common import bits

TASK, SEEDS, N = "gsm8k-mini", (0, 1, 2), 1000
WAYS = tuple(distill.WAYS)
TOKENS = 2_000_000  # that each student learns from, about 28,000 completions
BATCH = 16  # completions a step
# That the teacher answers once each; some 23,000 traces are right, so each is seen at most twice.
PROMPTS = 24_000
BASE_TOKENS = 20_000_000  # that the student's base reads; the teacher's has read 26M
EVAL_EVERY, EVAL_N = 200, 500
EVALUATED = ("step", "n", "accuracy", "accuracy_ci", "greedy", "mean_length")
BAR = 0.8  # the share of the teacher's accuracy that a student should keep

# 632,016 parameters, 24.7 % of the 2,558,784 of a micro teacher: as deep as nano, but narrower.
SMALL = model.ModelConfig(dim=112, n_layers=4, n_heads=4, n_kv_heads=2, head_dim=28, ffn_dim=272)


def folder(kind: str, seed: int) -> Path:
    return common.folder("distill", kind, seed)


def measure(where: Path, quick: bool) -> dict:
    return common.measure(where, TASK, "test", N, quick=quick)


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
            f"the student's {small:,} parameters are more than a quarter of the teacher's "
            f"{large:,}; change SMALL in this script"
        )
    return small / large


def student_base() -> Path:
    """The folder of the student's base; made if it is not there."""
    # A scale of this study's own, as deep and trained as nano.
    model.SCALES["small"], pretrain.SCALE["small"] = SMALL, pretrain.SCALE["nano"]
    chosen = {"scale": "small", "tokens": BASE_TOKENS, "threads": 1}
    log = common.run(pretrain.train, pretrain.Options, folder("base", 0), **chosen)
    return checkpoint.resolve(log.folder)


def study_way(teacher: Path, seed: int, way: str) -> dict:
    """One student by one way: the run's curves and costs, and the test figures of its last
    checkpoint."""
    pool = folder("traces", seed) / "traces.jsonl"
    log = common.run(
        distill.train,
        distill.Options,
        folder(way, seed),
        teacher=str(teacher),
        student=str(student_base()),
        way=way,
        seed=seed,
        threads=1,
        tokens=TOKENS,
        batch=BATCH,
        prompts=PROMPTS,
        samples=1,
        eval_every=EVAL_EVERY,
        eval_n=EVAL_N,
        pool=pool if pool.exists() else None,
    )
    return {
        "summary": common.summary(log),
        "evals": common.evaluations(log, EVALUATED),
        "losses": [m["loss"] for m in log.metrics("train")],
        "test": measure(common.last(log), quick=True),
    }


def parts_of(teacher: Path) -> dict[str, common.Part]:
    """All parts of the study; teacher and base have no seed."""
    alone: dict[str, common.Part] = {
        "teacher": (partial(study_teacher, teacher), (0,)),
        "base": (partial(study_base, teacher), (0,)),
    }
    return alone | {way: (partial(study_way, teacher, way=way), SEEDS) for way in WAYS}


def table() -> str:
    """Accuracy of teacher, base and students, what share of the teacher's each has kept, and how
    sure 80 % of it is."""
    found = {kind: common.records("distill", kind=kind) for kind in ("teacher", "base", *WAYS)}
    if not found["teacher"]:
        return "the teacher has not been measured yet"
    best = found["teacher"][0]["test"]
    lines = [
        f"{'':<10} seed  sampled  95 %               greedy    kept  kept, greedy  "
        f"above {BAR:.0%} of teacher (paired)"
    ]
    for kind, rows in found.items():
        for r in sorted(rows, key=lambda r: r["seed"]):
            test, (low, high) = r["test"], r["test"]["accuracy_ci"]
            kept, kept_greedily = (test[name] / best[name] for name in ("accuracy", "greedy"))
            lines.append(
                f"{kind:<10} {r['seed']:>4}  {test['accuracy']:>7.1%}  {low:>6.1%} to {high:<6.1%}"
                f"  {test['greedy']:>7.1%}  {kept:>6.1%}  {kept_greedily:>12.1%}  "
                f"{above_bar(test, best)}"
            )
    return "\n".join(lines)


def above_bar(test: dict, best: dict) -> str:
    """By how much a student is right more often than BAR times its teacher, on the same problems,
    with its interval."""
    if test["problems_sha256"] != best["problems_sha256"]:
        return "-"
    mine, its = (bits(t["outcomes"]["sampled"]) for t in (test, best))
    difference, low, high = intervals.paired_bootstrap(mine, [BAR * right for right in its])
    return f"{difference:+.1%} ({low:+.1%} to {high:+.1%})"


def main() -> None:
    parser = common.parser("studies.distill", __doc__)
    parser.add_argument("what", choices=("teacher", "base", *WAYS, "all", "table"))
    parser.add_argument("seed", nargs="?", type=int, choices=SEEDS)
    parser.add_argument("--teacher", help="a checkpoint or run folder of a model trained by GRPO")
    chosen = parser.parse_args()
    if chosen.seed is not None and chosen.what not in WAYS:
        parser.error(f"{chosen.what} is for no seed in particular")
    if chosen.what != "table":
        if not chosen.teacher:
            parser.error("--teacher must be given: a model trained by GRPO, its folder or its run")
        common.one_thread()
        parts = parts_of(checkpoint.resolve(chosen.teacher))
        common.measure_parts("distill", parts, chosen.what, chosen.seed)
    print(table())


if __name__ == "__main__":
    common.command(main)
