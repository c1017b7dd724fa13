"""The aha moment, measured: does reinforcement learning make a model think again, and does thinking
again help?

    python -m studies.aha countdown bases            the shipped bases, with and without a seed of
                                                     reflection in their corpus
    python -m studies.aha countdown seeded 0         seed 0: GRPO from the seeded base, what
                                                     `grpo --task countdown` does
    python -m studies.aha countdown hot 0            the same, rollouts at temperature 1.25
    python -m studies.aha countdown unseeded 0       control: a base whose corpus held no reflection
    python -m studies.aha countdown shuffled 0       control: rewards at random within each batch
    python -m studies.aha countdown shuffled-slow 0  the same at --lr 5e-5, which a policy survives
    python -m studies.aha countdown expert 0         a plainer rival: right answers imitated,
                                                     nothing compared
    python -m studies.aha countdown parallel 0       one long sample against best-of-n of the
                                                     unreflecting policy, equal tokens
    python -m studies.aha countdown pretraining 0    retry data in pretraining, shares 0, .1, .25
                                                     and .5, no RL at all
    python -m studies.aha countdown all              everything that is missing
    python -m studies.aha countdown timing 0         `grpo --task countdown` by the clock, alone on
                                                     all cores

The second task is `multiplication`. Each finished part is a line of data/results/aha.jsonl; what
stands there is not run again, and a run that was interrupted goes on from its last checkpoint in
the folder runs/. One thread each, so that two parts can run side by side on two cores. Every figure
is of the test split, n = 1000; tuning used validation alone. The test is at temperature 1 for all
arms; the curves and the evaluations within a run are at that of its rollouts (1.25 for `hot`).
"""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from minilrm import grpo, intervals, machine, pretrain, reflection
from minilrm.errors import UserError
from minilrm.evaluate import TEMPERATURES, fingerprint
from minilrm.measure import measure
from minilrm.model import Transformer
from minilrm.rollout import Episode, fitting, rollout
from minilrm.runlog import RunLog
from minilrm.tasks import Problem, get_task
from minilrm.tasks.base import Task
from minilrm.tasks.traces import TracedTask
from minilrm.tokenizer import Tokenizer
from studies import common

TASKS = ("countdown", "multiplication")
SEEDS, N = (0, 1, 2), 1000
MOST = 16  # samples of the unreflecting policy
ARMS = {  # arm: its options
    "seeded": {},
    "hot": {"temperature": 1.25},
    "unseeded": {},
    "shuffled": {"shuffle_rewards": True},
    "shuffled-slow": {"shuffle_rewards": True, "lr": 5e-5},
    "expert": {
        "objective": "reinforce",
        "normalize": "reward",
        "aggregation": "token",
        "reward": {"accuracy": 1.0},
    },
}
SHARES = (0.0, 0.1, 0.25, 0.5)
# What each base of these shares reads: a fifth of the shipped base's, as there are twelve of them.
SHARE_TOKENS = 4_000_000
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
EVALUATED = ("step", "n", "accuracy", "accuracy_ci", "mean_length", "elapsed")


def base_of(task: str, seeded: bool = True) -> str:
    return f"{task}-base" if seeded else f"{task}-base-unseeded"


def folder(task: str, arm: str, seed: int) -> Path:
    return common.folder("aha", task, arm, seed)


def append(task: str, kind: str, seed: int, record: dict) -> None:
    common.append_result("aha", {"task": task, "kind": kind, "seed": seed, **record})


# -- measuring -------------------------------------------------------------------------------------


def sampling(task: Task, model: Transformer, seed: int) -> dict:
    limit = task.max_new_tokens
    return {"seed": seed, "max_new_tokens": limit, "dtype": common.decoding_dtype(model)}


def answers(
    task: Task,
    model: Transformer,
    tokenizer: Tokenizer,
    problems: list[Problem],
    temperature: float,
    seed: int,
) -> tuple[dict, list[Episode]]:
    """One answer a problem: (accuracy with its interval, mean length, and who was right, "0110...";
    the episodes)."""
    scores, episodes = measure(
        model, tokenizer, task, problems, temperature=temperature, **sampling(task, model, seed)
    )
    kept = {key: getattr(scores, key) for key in ("accuracy", "accuracy_ci", "mean_length", "n")}
    return {**kept, "right": right(episodes)}, episodes


def right(episodes: Sequence[Episode]) -> str:
    return "".join(str(int(e.grade.correct)) for e in episodes)


def greedy_and_ood(task: Task, model: Transformer, tokenizer: Tokenizer, seed: int) -> dict:
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
    model, tokenizer = common.open_model(base_of(task_name, seeded))
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
    base, task = base_of(task_name, seeded=arm != "unseeded"), get_task(task_name)
    log = run(task_name, arm, seed, init=base, threads=1, **ARMS[arm])
    problems = task.problems("test", N)
    before, tokenizer = common.open_model(base)
    after, _ = common.open_model(common.last(log))
    found = reflection.study(before, after, tokenizer, task, problems, seed=seed, report=print)
    train, evals = log.metrics("train"), log.metrics("eval")
    record = {
        "study": found,
        "problems_sha256": fingerprint(problems),
        **greedy_and_ood(task, after, tokenizer, seed),
        "steps": train[-1]["step"],
        "seconds": round(train[-1]["seconds"], 1),
        "elapsed": evals[-1]["elapsed"],
        "tokens": [m["tokens"] for m in train],
        "curves": common.curves(log, CURVES),
        "evals": common.evaluations(log, EVALUATED),
        "transcripts": transcripts(log),
    }
    append(task_name, arm, seed, record)


def run(task_name: str, arm: str, seed: int, **options) -> RunLog:
    """A run with the recipe of its task, fresh or resumed."""
    chosen = {"task": task_name, "seed": seed, **options}
    return common.run(grpo.train, grpo.Options, folder(task_name, arm, seed), **chosen)


def transcripts(log: RunLog, count: int = 2) -> list[dict]:
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
    long, tokenizer = common.open_model(last_checkpoint(task_name, "seeded", seed))
    short, _ = common.open_model(last_checkpoint(task_name, "unseeded", seed))
    context = min(long.config.max_seq_len, short.config.max_seq_len)
    problems = fitting(task, tokenizer, task.problems("test", N), context - task.max_new_tokens)
    one = [g[0] for g in rollout(long, tokenizer, task, problems, **sampling(task, long, seed))]
    many = rollout(short, tokenizer, task, problems, group_size=MOST, **sampling(task, short, seed))
    rows = by_its_own_check(task, many)
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


def by_its_own_check(task: TracedTask, groups: Sequence[Sequence[Episode]]) -> list[dict]:
    """Best of n by the model's own check, for n up to the size of a group. `tokens`: where it
    stops at the answer that its check accepts; `tokens_all`: where all n are written; `oracle`: any
    of n is right."""
    rows = []
    for n in range(1, len(groups[0]) + 1):
        chosen = [self_checked(task, g[:n]) for g in groups]
        rows.append(
            {
                **intervals.rate([e.grade.correct for e, _ in chosen]),
                "samples": n,
                "right": right([e for e, _ in chosen]),
                "tokens": intervals.mean([spent for _, spent in chosen]),
                "tokens_all": intervals.mean([sum(e.length for e in g[:n]) for g in groups]),
                "oracle": intervals.mean([any(e.grade.correct for e in g[:n]) for g in groups]),
            }
        )
    return rows


def self_checked(task: TracedTask, group: Sequence[Episode]) -> tuple[Episode, int]:
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
    where = folder(task_name, arm, seed)
    measured = common.records("aha", task=task_name, kind=arm, seed=seed)
    if not measured or not (where / "checkpoints").is_dir():
        raise UserError(
            f"sequential against parallel needs the run {where}; make it first: "
            f"python -m studies.aha {task_name} {arm} {seed}"
        )
    return common.last(RunLog.open(where))


# -- retry data in pretraining ---------------------------------------------------------------------


def study_pretraining(task_name: str, seed: int, share: float) -> None:
    """A base from random weights whose corpus holds this share of reflecting writers; equal tokens,
    no RL."""
    log = common.run(
        pretrain.train,
        pretrain.Options,
        folder(task_name, f"pretraining-{share:g}", seed),
        task=task_name,
        scale="nano",
        reflection=share,
        seed=seed,
        tokens=SHARE_TOKENS,
        threads=1,
        eval_n=0,
    )
    model, tokenizer = common.open_model(common.last(log))
    task = get_task(task_name)
    problems = task.problems("test", N)
    sampled, episodes = answers(task, model, tokenizer, problems, 1.0, seed=0)
    record = {
        "share": share,
        "measures": reflection.measures(task, episodes),
        **{key: sampled[key] for key in ("accuracy", "accuracy_ci", "right")},
        "problems_sha256": fingerprint(problems),
        "pretraining_tokens": common.summary(log)["tokens_trained"],
        **greedy_and_ood(task, model, tokenizer, 0),
    }
    append(task_name, "pretraining", seed, record)


# -- by the clock ----------------------------------------------------------------------------------


def study_timing(task_name: str, seed: int) -> None:
    """The default run as its command runs it, with as many threads as it takes; stop all else
    before."""
    started = time.perf_counter()
    shutil.rmtree(folder(task_name, "timing", seed), ignore_errors=True)
    evals = run(task_name, "timing", seed).metrics("eval")
    record = {
        "elapsed": evals[-1]["elapsed"],
        "seconds_total": round(time.perf_counter() - started, 1),
        "evals": [{key: e[key] for key in ("step", "elapsed", "accuracy", "n")} for e in evals],
        "threads": machine.default_threads(),
        **{key: evals[-1][key] for key in ("step", "accuracy", "accuracy_ci", "n")},
    }
    append(task_name, "timing", seed, record)


# -- which -----------------------------------------------------------------------------------------


def missing(task: str, what: str, seed: int | None) -> list[tuple]:
    """The parts asked for that have no line yet, in the order in which they need each other."""

    def open_seeds(kind: str, **fields) -> list[int]:
        """The seeds asked for that have no such line."""
        done = {r["seed"] for r in common.records("aha", task=task, kind=kind, **fields)}
        asked = what in (kind, "all")
        return [s for s in SEEDS if asked and seed in (s, None) and s not in done]

    bases = [seeded for seeded in (True, False) if what in ("bases", "all")]
    known = {r["seeded"] for r in common.records("aha", task=task, kind="base")}
    parts: list[tuple] = [(study_base, task, seeded) for seeded in bases if seeded not in known]
    parts += [(study_arm, task, arm, s) for arm in ARMS for s in open_seeds(arm)]
    parts += [(study_parallel, task, s) for s in open_seeds("parallel")]
    if what == "timing":  # not a part of `all`, beside which it would measure nothing
        parts += [(study_timing, task, s) for s in SEEDS if seed in (s, None)]
    shares = {share: open_seeds("pretraining", share=share) for share in SHARES}
    parts += [
        (study_pretraining, task, s, share) for s in SEEDS for share in SHARES if s in shares[share]
    ]
    return parts


def main() -> None:
    parser = common.parser("studies.aha", __doc__)
    parser.add_argument("task", choices=TASKS)
    kinds = ("bases", *ARMS, "parallel", "pretraining", "timing", "all")
    parser.add_argument("what", choices=kinds)
    parser.add_argument("seed", nargs="?", type=int, choices=SEEDS)
    chosen = parser.parse_args()
    if chosen.seed is not None and chosen.what in ("bases", "all"):
        parser.error(f"{chosen.what} is for no seed in particular")
    common.one_thread()
    parts = missing(chosen.task, chosen.what, chosen.seed)
    print(f"{len(parts)} part{'s' * (len(parts) != 1)} to be measured", flush=True)
    for study, *arguments in parts:
        study(*arguments)
