"""Distillation of the recipe's result: what a quarter and a twelfth of the teacher keep of it, and
what reinforcement learning does to the same students (table 6 of 2501.12948, in miniature).

    python -m studies.r1.students quarter-base 0        the student's own base: it has read the
                                                        corpus that the teacher's base has read
    python -m studies.r1.students quarter-traces 0      learns from what the teacher writes; so
                                                        quarter-logits, quarter-on-policy
    python -m studies.r1.students quarter-rl 0          GRPO from the same base, for as much compute
                                                        as quarter-traces took
    python -m studies.r1.students quarter-after 0       GRPO on the student that has learnt from the
                                                        traces
    python -m studies.r1.students twelfth-base 0        and so on
    python -m studies.r1.students all                   everything that is missing

The teacher is the last model of `python -m studies.r1 pipeline` with the same seed, whose folder
must still be there. Compute is counted as in benchmarks/: 2 operations a parameter and token read
or written, 6 a token learnt from; prompts are left out on all sides, and groups that teach nothing
are counted. Each finished part is a line
of data/results/r1-students.jsonl. One thread; nothing was tuned on test.
"""

from collections.abc import Callable
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

from minilrm import checkpoint, distill, grpo, model, pretrain
from minilrm.errors import UserError
from minilrm.model import ModelConfig
from minilrm.pipeline.stages import finished
from minilrm.runlog import RunLog
from studies import common
from studies.r1.study import SEEDS, TASK, figures

STUDY = "r1-students"
# Of the teacher's 820,608 parameters: 24.7 and 8.3 %.
SIZES = {
    "quarter": ModelConfig(dim=64, n_layers=3, n_heads=4, n_kv_heads=2, head_dim=16, ffn_dim=176),
    "twelfth": ModelConfig(dim=40, n_layers=2, n_heads=2, n_kv_heads=1, head_dim=20, ffn_dim=72),
}
SHARES = {"quarter": 0.25, "twelfth": 1 / 12}
BASE = {"tokens": 20_000_000, "accumulate": 1, "max_tokens_per_batch": 2048}
TOKENS = 2_500_000  # that a student learns from
PROMPTS = 40_000  # that the teacher answers once each; six in ten are right
BATCH = 16
EVAL_N = 300  # validation problems of a run
FIRST = 20  # steps of GRPO after which its compute is compared for the first time
AFTER = 40  # steps of GRPO after distillation
ROLLOUTS = {"prompts": 16, "group_size": 16}  # of a step of GRPO


# -- sizes and compute -----------------------------------------------------------------------------


def count(place: str | Path) -> int:
    """The parameters of a checkpoint."""
    shape = checkpoint.load_config(checkpoint.resolve(place))
    return model.count_parameters(model.Transformer(shape))


def teacher_of(seed: int) -> Path:
    """The recipe's last model. UserError where its pipeline was not run on this machine."""
    where = common.folder("r1", "pipeline", seed)
    done = finished(where, "rl-2")
    if done is None:
        raise UserError(f"{where} has no finished rl-2; python -m studies.r1 pipeline {seed} first")
    return where / "rl-2" / done.artefact


def compute(way: str, summary: dict[str, Any], teacher: int, student: int) -> float:
    """Operations of a run by its way: of the teacher's writing, of the student's, of the teacher's
    reading, of the student's learning. In reinforcement learning what is written is learnt from.

    >>> compute("rl", {"tokens_generated": 10}, teacher=4, student=1)
    80.0
    >>> traces = {"tokens_generated": 10, "tokens_trained": 5, "traces": {"tokens": 10}}
    >>> compute("traces", traces, teacher=4, student=1)
    110.0
    """
    written = summary["tokens_generated"]
    by_teacher = summary.get("traces", {}).get("tokens", 0)
    learnt = written if way == "rl" else summary["tokens_trained"]
    read = learnt if way in ("logits", "on-policy") else 0
    return float(2 * teacher * (by_teacher + read) + 2 * student * (written - by_teacher)
                 + 6 * student * learnt)  # fmt: skip


# -- the parts -------------------------------------------------------------------------------------


def student_base(size: str, seed: int) -> Path:
    """The student's base; made if it is not there. UserError for a shape above its share."""
    small, whole = model.count_parameters(model.Transformer(SIZES[size])), count(teacher_of(seed))
    if small > whole * SHARES[size]:
        raise UserError(f"a {size} of {whole:,} parameters is less than {small:,}; change SIZES")
    # A scale of this study's own.
    model.SCALES[size], pretrain.SCALE[size] = SIZES[size], pretrain.SCALE["pico"]
    log = common.run(
        pretrain.train, pretrain.Options, common.folder("r1", f"{size}-base", seed), task=TASK,
        scale=size, seed=seed, threads=1, eval_n=100, **BASE,
    )  # fmt: skip
    return common.last(log)


def study_base(size: str, seed: int) -> dict[str, Any]:
    base = student_base(size, seed)
    return {"parameters": count(base), "test": figures(base, seed)}


def distilled(size: str, way: str, seed: int) -> tuple[Path, dict[str, Any]]:
    """The student of a way, and the summary of its run. All ways learn from the traces that the
    way `traces` has had written."""
    pool = common.folder("r1", f"{size}-traces", seed) / "traces.jsonl"
    log = common.run(
        distill.train, distill.Options, common.folder("r1", f"{size}-{way}", seed), task=TASK,
        teacher=str(teacher_of(seed)), student=str(student_base(size, seed)), way=way, seed=seed,
        threads=1, tokens=TOKENS, batch=BATCH, prompts=PROMPTS, samples=1, eval_every=1000,
        eval_n=EVAL_N, pool=pool if pool.exists() else None,
    )  # fmt: skip
    return common.last(log), common.summary(log)


def study_way(size: str, way: str, seed: int) -> dict[str, Any]:
    student, summary = distilled(size, way, seed)
    spent = compute(way, summary, count(teacher_of(seed)), count(student))
    return {"test": figures(student, seed), "flops": spent, "seconds": summary["seconds"]}


def study_rl(size: str, seed: int) -> dict[str, Any]:
    """GRPO on the base, until it has taken as much compute as the traces."""
    base = student_base(size, seed)
    goal = study_cost(size, seed)
    where, steps = common.folder("r1", f"{size}-rl", seed), FIRST
    while True:
        log = reinforced(where, base, seed, steps)
        done = common.summary(log)
        spent = compute("rl", done, 0, count(base))
        if spent >= goal:
            break
        steps = max(done["steps"] + 1, ceil(done["steps"] * goal / spent))
    costs = {"flops": spent, "steps": done["steps"], "seconds": done["seconds"]}
    return {"test": figures(common.last(log), seed), **costs}


def study_cost(size: str, seed: int) -> float:
    """What the traces of a size took. UserError before they are measured."""
    of_traces = common.records(STUDY, kind=f"{size}-traces", seed=seed)
    if not of_traces:
        raise UserError(f"{size}-traces {seed} comes first: it says how much compute is equal")
    return of_traces[0]["flops"]


def study_after(size: str, seed: int) -> dict[str, Any]:
    """GRPO on the student of the traces."""
    student, _ = distilled(size, "traces", seed)
    log = reinforced(common.folder("r1", f"{size}-after", seed), student, seed, AFTER)
    spent = compute("rl", common.summary(log), 0, count(student))
    return {"test": figures(common.last(log), seed), "flops": spent + study_cost(size, seed)}


def reinforced(where: Path, start: Path, seed: int, steps: int) -> RunLog:
    """A run of GRPO of at least so many steps; one that ended with fewer goes on from there."""
    log = common.run(
        grpo.train, grpo.Options, where, task=TASK, init=str(start), seed=seed, threads=1,
        steps=steps, save_every=steps, eval_every=1000, eval_n=EVAL_N, **ROLLOUTS,
    )  # fmt: skip
    if common.summary(log)["steps"] >= steps:
        return log
    return common.trained(grpo.train, grpo.Options(resume=where, steps=steps, save_every=steps))


def parts_of(size: str) -> dict[str, Callable[[int], dict[str, Any]]]:
    ways = {way: partial(study_way, size, way) for way in distill.WAYS}
    return {
        "base": partial(study_base, size),
        **ways,
        "rl": partial(study_rl, size),
        "after": partial(study_after, size),
    }


STUDIES = {f"{size}-{part}": study for size in SIZES for part, study in parts_of(size).items()}


def main() -> None:
    parts = {kind: (study, SEEDS) for kind, study in STUDIES.items()}
    common.measure_missing(STUDY, "studies.r1.students", __doc__, parts)


if __name__ == "__main__":
    common.command(main)
