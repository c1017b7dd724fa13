"""Which part of the recipe matters? Twelve variants of GRPO, one change at a time, three seeds,
equal generated tokens.

    python -m studies.variants all                  everything that is missing
    python -m studies.variants all --seed 0         the same for one seed, so that two can run side
                                                    by side
    python -m studies.variants runs --arm dapo      one arm
    python -m studies.variants.figures              one table and one figure of what is there so far

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
stands there is not run again, and a run that was interrupted goes on from its last checkpoint in
the folder runs/.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from minilrm import checkpoint, evaluate, grpo, loop, ppo, rl
from minilrm.errors import UserError
from minilrm.intervals import mean
from minilrm.runlog import RunLog
from minilrm.tasks import get_task
from studies import common

BASE, TASK, OTHER = "gsm8k-mini-base", "gsm8k-mini", "arithmetic"
SEEDS, N, TOKENS, BEST = (0, 1, 2), 1000, 300_000, 3
PASS_N, PASS_SAMPLES = 200, 64
DEFAULT = "grpo"
# the budget ends a run, not the steps
COMMON = {
    "init": BASE,
    "updates": 4,
    "steps": 10_000,
    "eval_n": 200,
    "eval_every": 10_000,
    "save_every": 10,
    "keep": 1,
    "threads": 1,
}
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
    fields = {"kind": kind, "task": task} | ({} if arm is None else {"arm": arm})
    return {r["seed"]: r for r in common.records("variants", **fields)}


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
    right = {
        a: [mean(common.bits(r["right"])) for r in records("run", TASK, a).values()] for a in ARMS
    }
    if any(len(values) < len(SEEDS) for values in right.values()):
        return []
    return sorted((a for a in ARMS if a != DEFAULT), key=lambda a: -mean(right[a]))[:BEST]


# -- measuring -------------------------------------------------------------------------------------


def measure(where: str | Path, task_name: str) -> dict:
    """Who was right, problem by problem, at T = 1 and greedily; and how long each sampled answer
    is."""
    task = get_task(task_name)
    ask = common.evaluator(where, task, task.problems("test", N))
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
    train, outcome = log.metrics("train"), common.summary(log)
    found = {
        "steps": train[-1]["step"],
        "tokens": train[-1]["tokens"],
        "seconds": round(train[-1]["seconds"], 1),
        "skipped_steps": outcome["skipped_steps"],
        "validation": outcome["accuracy_after"],
        "curves": common.curves(log, CURVES),
        **measure(common.last(log), task),
    }
    if arm != DEFAULT:  # 30 MB a checkpoint, and no other part asks for it again
        for _, path in log.checkpoints():
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
    asked = get_task(task)
    ask = common.evaluator(where, asked, asked.problems("test", PASS_N))
    groups = ask(1.0, samples=PASS_SAMPLES)
    return {
        "samples": PASS_SAMPLES,
        "counts": [sum(e.grade.correct for e in g) for g in groups],
        "problems_sha256": evaluate.fingerprint(ask.problems),
    }


# -- a run of equal cost ---------------------------------------------------------------------------


def folder(task: str, arm: str, seed: int) -> Path:
    return common.folder("variants", task, arm, seed)


def run(task: str, arm: str, seed: int) -> RunLog:
    """A run until its tokens are spent, fresh or resumed."""
    make, options = LOOPS.get(arm, (grpo.Trainer, grpo.Options))
    own = {"aggregation": None} if options is grpo.Options else {}  # None: the objective's own
    chosen = {"task": task, "seed": seed, **COMMON, **own, **ARMS[arm][1]}
    budgeted = with_budget(make, TOKENS)
    where = folder(task, arm, seed)
    return common.run(lambda how: loop.train(budgeted, how), options, where, **chosen)


def with_budget(make: type[rl.Trainer], tokens: int) -> type[rl.Trainer]:
    """The same loop, ended by the step in which so many tokens have been generated.

    Steps cannot be reckoned beforehand: lengths change while a policy learns. The learning rate
    does not depend on the number of steps, so the end may come at any of them.
    """

    class Budgeted(make):
        goal = property(lambda self: tokens)
        done = property(lambda self: self.state.tokens_generated)

    return Budgeted


# -- the command -----------------------------------------------------------------------------------


def main() -> None:
    parser = common.parser("studies.variants", __doc__)
    parser.add_argument("what", choices=("base", "runs", "pass", "other", "all"))
    parser.add_argument("--arm", choices=tuple(ARMS))
    parser.add_argument("--seed", type=int, choices=SEEDS)
    chosen = parser.parse_args()
    common.one_thread()
    # Asked anew after each part: another process may have finished one, and the best arms show at
    # the end.
    while part := next(missing(chosen.what, chosen.arm, chosen.seed), None):
        study, task, arm, seed = part
        kind = {study_base: "base", study_run: "run", study_pass: "pass_at_k"}[study]
        fields = {"kind": kind, "task": task, "arm": arm, "seed": seed}
        common.append_result("variants", {**fields, **study(task, arm, seed)})
