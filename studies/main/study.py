"""The main job's measurements: the shipped base, GRPO from it with three seeds, the same run five
times as long, and a plain rival.

    python -m studies.main base          the base, and what else could explain a gain away
    python -m studies.main grpo 0        seed 0: GRPO for STEPS steps, the run that `make grpo` does
    python -m studies.main expert 0      seed 0: expert iteration, for as many generated tokens
    python -m studies.main timing        `make grpo` by the clock, alone on all cores of the machine
    python -m studies.main transcript    a problem that seed 0 learnt to answer, before and after
    python -m studies.main hold 0        seed 0: the same run, five times as long
    python -m studies.main again 0       seed 0: GRPO once more: do speed-ups change its figures?
    python -m studies.main all           everything that is missing, one after another

Each finished part is a line of data/results/main.jsonl; what stands there is not run again, and a
run that was interrupted goes on from its last checkpoint in the folder runs/. Everything but the
timing runs on one thread, so that two seeds can run side by side on two cores; tuning used the
validation split alone.
"""

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from minilrm import grpo, machine, pretrain
from minilrm.files import read_json
from minilrm.runlog import RunLog
from minilrm.tasks import get_task
from studies import common

STEPS, TIMES, SEEDS, N = grpo.Options.steps, 5, (0, 1, 2), 1000
TASK, BASE = "gsm8k-mini", "gsm8k-mini-base"
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
EVALUATED = (
    "step",
    "n",
    "accuracy",
    "accuracy_ci",
    "greedy",
    "think_rate",
    "accuracy_thinking",
    "mean_length",
)
# worth measuring once more; of all else one line a seed is kept
REPEATED = ("timing", "transcript")


def run(kind: str, seed: int, threads: int | None = 1, **options) -> RunLog:
    """A run of GRPO, fresh or resumed."""
    chosen = {"task": TASK, "seed": seed, "threads": threads, **options}
    return common.run(grpo.train, grpo.Options, folder(kind, seed), **chosen)


def folder(kind: str, seed: int) -> Path:
    return common.folder("main", kind, seed)


def figures(log: RunLog) -> dict:
    """What the plots need of a run: the metrics of every step, the evaluations on validation."""
    train = log.metrics("train")
    return {
        "curves": common.curves(log, CURVES),
        "tokens": [m["tokens"] for m in train],
        "seconds": round(train[-1]["seconds"], 1),
        "evals": common.evaluations(log, EVALUATED),
    }


def measure(where: str | Path, split: str, quick: bool, samples: int = 8) -> dict:
    return common.measure(where, TASK, split, N, quick=quick, samples=samples)


# -- the parts -------------------------------------------------------------------------------------


def study_base(seed: int = 0) -> dict:
    """The shipped base and the baselines that could explain a gain away."""
    return {"test": measure(BASE, "test", quick=False), "ood": measure(BASE, "ood", quick=True)}


def study_grpo(seed: int, kind: str = "grpo") -> dict:
    """The main job's result."""
    log = run(kind, seed, steps=STEPS, save_every=STEPS)
    return {
        "steps": STEPS,
        **figures(log),
        "test": measure(common.last(log), "test", quick=False),
        "ood": measure(common.last(log), "ood", quick=True),
        "summary": common.summary(log),
    }


def study_again(seed: int) -> dict:
    """The main job once more: beside the first line it shows what changes in the code have done, by
    rounding above all."""
    return study_grpo(seed, "again")


def study_hold(seed: int) -> dict:
    """Does it hold? The same run for TIMES times as many steps.

    The learning rate does not depend on the number of steps. So the long run resumes the end of
    `study_grpo` where that is still under runs/. Elsewhere its first STEPS steps are that run once
    more (on the same machine, with the same number of threads; `numbers.starts_as` compares them).
    """
    longer = {"steps": TIMES * STEPS, "eval_quick": N, "eval_every": 50}
    if (ended := folder("grpo", seed)).exists():
        log = common.trained(grpo.train, grpo.Options(resume=ended, **longer))
    else:
        log = run("hold", seed, **longer)
    return {
        "steps": STEPS,
        "long_steps": TIMES * STEPS,
        **figures(log),
        "long_test": measure(common.last(log), "test", quick=True, samples=1),
        "summary": common.summary(log),
    }


def study_expert(seed: int) -> dict:
    """Expert iteration, online: imitate the right answers alone, no group, no comparison, until as
    many tokens are generated as GRPO did."""
    (rival,) = common.records("main", kind="grpo", seed=seed)
    goal, most = rival["tokens"][-1], 3 * STEPS
    how = {"normalize": "reward", "objective": "reinforce", "reward": {"accuracy": 1.0}}
    log = run("expert", seed, steps=STEPS // 2, eval_quick=N, **how)
    while (end := log.metrics("train")[-1])["tokens"] < goal and end["step"] < most:
        missing = math.ceil((goal - end["tokens"]) * end["step"] / end["tokens"])
        longer = grpo.Options(resume=log.folder, steps=min(most, end["step"] + missing))
        log = common.trained(grpo.train, longer)
    return {
        "steps": end["step"],
        **figures(log),
        "test": measure(common.last(log), "test", quick=True, samples=1),
    }


def study_timing(seed: int) -> dict:
    """The default run on all cores, from its beginning: seconds to the step-0 evaluation, to a gain
    with intervals apart, and to the end. Before it, the speed of pretraining."""
    time_pretraining()
    shutil.rmtree(folder("timing", seed), ignore_errors=True)
    started = time.perf_counter()
    log = run("timing", seed, threads=None)
    evals = log.metrics("eval")
    gained = (e["elapsed"] for e in evals if e["accuracy_ci"][0] > evals[0]["accuracy_ci"][1])
    timing = {
        "kind": "make grpo",
        "seed": seed,
        "steps": STEPS,
        "seconds_to_step0": evals[0]["elapsed"],
        "seconds_to_gain": next(gained, None),
        "seconds_total": time.perf_counter() - started,
        "peak_memory_mb": machine.peak_memory_mb(),
    }
    common.append_result("timing", timing)
    return {"steps": STEPS, **figures(log)}


def time_pretraining(tokens: int = 600_000) -> None:
    """How fast the base's own command reads, alone and on all cores; the slow first steps count."""
    where = folder("pretraining", 0)
    shutil.rmtree(where, ignore_errors=True)
    log = common.trained(
        pretrain.train, pretrain.Options(scale="micro", tokens=tokens, eval_n=0, out=where)
    )
    ended = read_json(log.folder / "summary.json")
    read, seconds = ended["tokens_trained"], ended["seconds"]
    timing = {"kind": "pretraining", "tokens": read, "tokens_per_second": read / seconds}
    common.append_result("timing", timing)


def study_transcript(seed: int) -> dict:
    """A problem before and after the default run; the run is made if it is not under runs/."""
    return transcript(run("grpo", seed, steps=STEPS, save_every=STEPS))


def transcript(log: RunLog) -> dict:
    """The first problem in English that was answered wrong at step 0 and right at the end."""
    samples = log.samples()
    after = {s["key"]: s for s in samples if s["step"] == STEPS}
    english = english_prompts(2 * len(after))
    before = next(
        s
        for s in samples
        if s["step"] == 0
        and s["prompt"] in english
        and not s["correct"]
        and after[s["key"]]["correct"]
    )
    return {
        "language": "en",
        "prompt": before["prompt"],
        "before": before["completion"],
        "after": after[before["key"]]["completion"],
        "answer": before["answer"],
        "step_after": STEPS,
    }


def english_prompts(n: int) -> set[str]:
    """Those of the first n validation problems; a run's transcripts are of the first that fit."""
    problems = get_task(TASK).problems("validation", n)
    return {p.prompt for p in problems if p.meta["language"] == "en"}


# -- which -----------------------------------------------------------------------------------------

STUDIES: dict[str, tuple[Callable[[int], dict], tuple[int, ...]]] = {
    "base": (study_base, (0,)),
    "grpo": (study_grpo, SEEDS),
    "expert": (study_expert, SEEDS),
    "timing": (study_timing, (0,)),
    "transcript": (study_transcript, (0,)),
    "hold": (study_hold, SEEDS),
    "again": (study_again, SEEDS),
}


def main() -> None:
    parser = common.parser("studies.main", __doc__)
    parser.add_argument("what", choices=(*STUDIES, "all"))
    parser.add_argument("seed", nargs="?", type=int)
    parser.add_argument(
        "--again",
        action="store_true",
        help=f"measure once more, as the code has changed: {', '.join(REPEATED)} alone",
    )
    chosen = parser.parse_args()
    if chosen.again and chosen.what not in REPEATED:
        parser.error(
            f"--again goes with {' and '.join(REPEATED)}; of all else one line a seed is kept"
        )
    common.one_thread()
    for kind, (study, seeds) in STUDIES.items():
        for seed in seeds:
            asked = chosen.what in (kind, "all") and chosen.seed in (seed, None)
            if asked and (chosen.again or not common.records("main", kind=kind, seed=seed)):
                common.append_result("main", {"kind": kind, "seed": seed, **study(seed)})
