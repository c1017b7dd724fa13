"""What more thinking buys on countdown with four numbers: many chains, verifiers, search, budgets.

    python -m studies.thinking judge-exact 0     a process model of exact labels; so judge-soft,
                                                 judge-hard, judge-outcome, judge-noise-10, -30, and
                                                 judge-thumbs, from 500 verdicts of a person who is
                                                 simulated and errs once in twenty
    python -m studies.thinking compare           every method with that judge, at equal tokens
    python -m studies.thinking checker           the searches with the exact checker
    python -m studies.thinking likelihood        the searches without a verifier
    python -m studies.thinking judge-three 0     the same judge for three numbers; judge-stories:
                                                 for word problems
    python -m studies.thinking stories-checker   longer word problems; so stories-judge, and
                                                 stories-likelihood
    python -m studies.thinking budgets           more for hard problems, less for easy ones
    python -m studies.thinking chains            one chain in different ways, on word problems and
                                                 on prompts that need no thinking
    python -m studies.thinking best-of-exact     the far end of best-of-n, by that judge; so
                                                 best-of-outcome, best-of-likelihood
    python -m studies.thinking forcing           one chain made longer: what "wait" corrects, and
                                                 what it spoils
    python -m studies.thinking three             three numbers within four greedy answers' tokens
    python -m studies.thinking grpo-sum 0        GRPO with rewards for steps; so grpo-min, and
                                                 grpo-outcome without them
    python -m studies.thinking all               everything that is missing, one after another

Each finished part is a line of data/results/thinking.jsonl; what stands there is not run again.
Test split, n = 1000; what was tuned was tuned on validation. One thread.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from minilrm import checkpoint, feedback, grpo, inference, reward_model
from minilrm.compare import compare, figures, worth
from minilrm.inference import METHODS, Driver
from minilrm.inference.difficulty import PROBES, allocate, binned, guess
from minilrm.intervals import mean, paired_bootstrap, wilson_interval
from minilrm.painter import Painter
from minilrm.sampler import Engine
from minilrm.scorers import open_judge
from minilrm.tasks import get_task
from studies import common
from studies.thinking.best_of import distance, expected_best, fit

TASK, BASE, N = "countdown-4", "countdown-4-base", 1000
BUDGETS = (1, 2, 4, 8, 16)  # samples' worth: where searches and votes part
FAR_N = 300  # problems of the far end of best-of-n, 64 chains each
BUDGET_N = 300  # problems for budgets by difficulty, 64 chains each, on validation and on test
COMPARED = [name for name in METHODS if name not in ("few-shot", "plan-verify", "sample")]
SEARCHES = [name for name, (_, judged) in METHODS.items() if judged == "steps"]
JUDGE_STEPS = 200
STORIES_POLICY = str(common.folder("stories", "grpo", 0))  # of `python -m studies.stories grpo 0`
BEST_JUDGE = "judge-exact"  # the one that guides the searches
JUDGES: dict[str, dict[str, Any]] = {
    "judge-exact": {"labels": "exact", "steps": JUDGE_STEPS},
    "judge-branch": {"labels": "exact", "branch": 1.0, "steps": JUDGE_STEPS},
    "judge-soft": {"labels": "soft", "steps": JUDGE_STEPS},
    "judge-hard": {"labels": "hard", "steps": JUDGE_STEPS},
    "judge-outcome": {"labels": "outcome", "steps": JUDGE_STEPS},
    "judge-noise-10": {"labels": "exact", "noise": 0.1, "steps": JUDGE_STEPS},
    "judge-noise-30": {"labels": "exact", "noise": 0.3, "steps": JUDGE_STEPS},
    "judge-thumbs": {"steps": 100},
    "judge-three": {"task": "countdown", "init": "countdown-base", "steps": JUDGE_STEPS},
    "judge-stories": {"task": "stories", "init": STORIES_POLICY, "steps": JUDGE_STEPS},
}
THUMBS, MISTAKES = 500, 0.05  # verdicts on steps, and the share of them that are wrong


def judge_folder(kind: str, seed: int) -> Path:
    return common.folder("thinking", kind, seed)


def study_judge(kind: str, seed: int) -> dict[str, Any]:
    """A judge, and how it does against the exact labels on validation."""
    chosen = {"task": TASK, "init": BASE, **JUDGES[kind]}
    if kind == "judge-thumbs":
        chosen["feedback"] = simulated_thumbs(Path("runs") / f"study-thumbs-{seed}.jsonl", seed)
    log = common.run(
        reward_model.train, reward_model.Options, judge_folder(kind, seed),
        seed=seed, threads=1, **chosen,
    )  # fmt: skip
    return {
        "losses": common.curves(log, ("loss",))["loss"],
        "evals": log.metrics("eval"),
        "summary": common.summary(log),
    }


class Simulated(feedback.Session):
    """A session whose labeller knows the truth and errs at times; it ends after THUMBS steps."""

    def show(self, step: feedback.Step) -> None:
        self.step = step

    def press(self) -> str:
        """The key for the step that is shown."""
        self.pressed = getattr(self, "pressed", 0) + 1
        if self.pressed > THUMBS:
            return "q"
        errs = random.Random(f"{self.options.seed}/{self.pressed}").random() < MISTAKES
        return "u" if bool(self.step.truth) != errs else "d"


def simulated_thumbs(path: Path, seed: int) -> Path:
    """A file of verdicts, as `python -m minilrm.feedback` writes it."""
    if not path.exists():
        options = feedback.Options(task=TASK, checkpoint=BASE, out=path, n=THUMBS, seed=seed)
        task, tokenizer, answers = feedback.write_answers(options)
        session = Simulated(options, task, tokenizer, answers, Painter(), lambda: "")
        session.key = session.press
        session.run()
    return path


def driver(scorer: inference.Scorer | None) -> Driver:
    model, tokenizer = common.open_model(BASE)
    return Driver(Engine(model), tokenizer, get_task(TASK), scorer)


def study_compare(scorer: inference.Scorer | None, names: list[str]) -> dict[str, Any]:
    """Methods on the test split, at equal tokens."""
    machine = driver(scorer)
    unit = worth(machine, get_task(TASK).problems("validation", 200))
    budgets = [round(k * unit) for k in BUDGETS]
    found = compare(machine, get_task(TASK).problems("test", N), names, budgets)
    return {"unit": unit, **found}


def judge(seed: int = 0, kind: str = BEST_JUDGE) -> inference.ByModel:
    where, task = judge_folder(kind, seed), JUDGES[kind].get("task", TASK)
    return open_judge(str(checkpoint.resolve(where)), get_task(task))


STORIES_RUNG, STORIES_N, STORIES_BUDGETS = "6 steps", 300, (1, 2, 4, 8)
STORIES_METHODS = ["direct", "majority", "adaptive", "best-of-n", "weighted", *SEARCHES]


def study_stories(scorer: inference.Scorer) -> dict[str, Any]:
    """Word problems one step longer than any in training, answered by a policy after GRPO, since
    its base seldom thinks unasked."""
    task = get_task("stories")
    model, tokenizer = common.open_model(STORIES_POLICY)
    machine = Driver(Engine(model), tokenizer, task, scorer)
    unit = worth(machine, task.problems("validation", 200))
    problems = task.rung_problems(STORIES_RUNG, STORIES_N)
    budgets = [round(k * unit) for k in STORIES_BUDGETS]
    return {"unit": unit, **compare(machine, problems, STORIES_METHODS, budgets)}


# -- budgets by difficulty -------------------------------------------------------------------------


def study_budgets(seed: int) -> dict[str, Any]:
    """Tokens by difficulty against the same for all, where any right chain is found by the model's
    own check. Each way of guessing a problem's chance is fitted on validation."""
    task, machine = get_task(TASK), driver(None)
    sets = {split: task.problems(split, BUDGET_N) for split in ("validation", "test")}
    chains = {split: outcomes(machine, problems, 64) for split, problems in sets.items()}
    price = mean([t for of in chains["validation"] for _, t in of])
    value = judge(seed)
    features = {
        "probes": lambda i, split: -mean([right for right, _ in chains[split][i][:PROBES]]),
        "length": lambda i, split: float(len(sets[split][i].prompt)),
        "judge": lambda i, split: -question_value(value, sets[split][i]),
        "known": lambda i, split: -mean([right for right, _ in chains[split][i]]),
    }
    found: dict[str, Any] = {"price": price, "uniform": {}, "by": {}}
    for k in (1, 2, 4, 8, 16, 32):
        right = [any(r for r, _ in chain[:k]) for chain in chains["test"]]
        found["uniform"][k] = {"accuracy": mean(right), "tokens": k * price}
    for name, feature in features.items():
        table = binned(
            [feature(i, "validation") for i in range(BUDGET_N)],
            [mean([r for r, _ in of]) for of in chains["validation"]],
            bins=5 if name == "probes" else 10,
        )
        chances = [guess(table, feature(i, "test")) for i in range(BUDGET_N)]
        paid = PROBES if name == "probes" else 0
        rows = {}
        for k in (1, 2, 4, 8, 16, 32):
            extra = allocate(chances, max(0.0, (k - paid) * BUDGET_N * price), price)
            right = [
                any(r for r, _ in chains["test"][i][: min(64, paid + extra[i])])
                for i in range(BUDGET_N)
            ]
            tokens = (paid + mean([min(64 - paid, e) for e in extra])) * price
            rows[k] = {
                "accuracy": mean(right),
                "ci": wilson_interval(sum(right), BUDGET_N),
                "tokens": tokens,
            }
        found["by"][name] = rows
    return found


def outcomes(machine: Driver, problems: Any, n: int) -> list[list[tuple[bool, int]]]:
    """(accepted by the model's own check and right, tokens) of n chains of each problem."""
    answers = machine.solve(drawn, problems, 10**9, n=n)
    return [
        [(machine.task.grade(p, chain.text).correct, chain.new) for chain in a.trace]
        for p, a in zip(problems, answers, strict=True)
    ]


def drawn(run: inference.Run, n: int, judge: bool = False) -> inference.Method:
    """n chains, whatever they say."""
    chains = yield run.chain(n=n, judge=judge)
    return run.answer(chains[0], chains)


@torch.inference_mode()
def question_value(value: inference.ByModel, problem: Any) -> float:
    """What the process model says of a question before anything is written."""
    ids = value.task.encode(value.tokenizer, value.task.render(problem))
    return float(value.head(value.model.hidden(torch.tensor([ids])))[0, -1].sigmoid())


# -- one chain -------------------------------------------------------------------------------------

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "direct": ("direct", {}),
    "few-shot": ("few-shot", {}),
    "step-by-step": ("step-by-step", {}),
    "plan-verify": ("plan-verify", {}),
    "without the plan": ("plan-verify", {"plan": False}),
    "without the check": ("plan-verify", {"check": False}),
}
ASKED = {"stories": ("stories-base", tuple(WAYS)), "general": ("stories-base", tuple(WAYS)[:3])}


def study_chains(seed: int) -> dict[str, Any]:
    """One greedy chain in each way: accuracy, tokens, seconds."""
    found: dict[str, Any] = {}
    for name, (base, ways) in ASKED.items():
        model, tokenizer = common.open_model(base)
        task = get_task(name)
        machine = Driver(Engine(model), tokenizer, task)
        problems = task.problems("test", N)
        rows = {}
        for way in ways:
            method, options = WAYS[way]
            answers = machine.solve(METHODS[method][0], problems, 10**6, **options)
            rows[way] = figures(task, problems, answers, 10**6)
            rows[way]["seconds"] = answers[0].seconds / N
        found[name] = {"base": base, "ways": rows}
    return {"tasks": found}


# -- one chain made longer, and three numbers ------------------------------------------------------

LEAST = (0, 1, 2, 3, 4)  # samples' worth of tokens before an answer is let through


def study_forcing(seed: int) -> dict[str, Any]:
    """Budget forcing: accuracy and tokens by the least length, and what became of the answers that
    nobody forced."""
    machine, problems = driver(None), get_task(TASK).problems("test", N)
    unit = worth(machine, get_task(TASK).problems("validation", 200))
    budget, rows = round(2 * max(LEAST) * unit), []
    methods = [("retry", METHODS["retry"][0], {})]
    methods += [
        (f"{k}", inference.budget_forcing, {"least": round(k * unit), "most": budget})
        for k in LEAST
    ]
    unforced: list[bool] = []
    for name, method, options in methods:
        answers = machine.solve(method, problems, budget, **options)
        row = figures(machine.task, problems, answers, budget)
        right = [bit == "1" for bit in row["right"]]
        if name == "0":
            unforced = right
        if unforced:
            row["corrected"] = mean([b and not a for a, b in zip(unforced, right, strict=True)])
            row["spoilt"] = mean([a and not b for a, b in zip(unforced, right, strict=True)])
        least = options.get("least", 0)
        row["control"] = mean([a.tokens >= least for a in answers])
        rows.append({"least": name, **row})
    return {"unit": unit, "rows": rows}


def study_three(seed: int) -> dict[str, Any]:
    """Three numbers, with the exact checker: right within the tokens of four greedy answers?"""
    task = get_task("countdown")
    model, tokenizer = common.open_model("countdown-base")
    machine = Driver(Engine(model), tokenizer, task, inference.ByChecker(task))
    greedy = machine.solve(inference.direct, task.problems("validation", 200), 10**6)
    unit = mean([a.tokens for a in greedy])
    names, budgets = ["retry", "weighted", *SEARCHES], [round(k * unit) for k in (1, 2, 4)]
    return {"unit": unit, **compare(machine, task.problems("test", N), names, budgets)}


# -- the far end of best-of-n ----------------------------------------------------------------------

NUMBERS = (1, 2, 4, 8, 16, 32, 64)


def study_best_of(scorer: inference.Scorer) -> dict[str, Any]:
    """What the judge promises and what is true, for the best of n by its score."""
    machine, problems = driver(scorer), get_task(TASK).problems("test", FAR_N)
    answers = machine.solve(drawn, problems, 10**9, n=max(NUMBERS), judge=True)
    groups = []
    for problem, answer in zip(problems, answers, strict=True):
        chains = [c for c in answer.trace if c.ended] or list(answer.trace)
        scores = [c.scores[-1] for c in chains]
        groups.append((scores, [machine.task.grade(problem, c.text).correct for c in chains]))
    rows = []
    for n in NUMBERS:
        sizes = [min(n, len(scores)) for scores, _ in groups]  # of few chains that came to an end
        true = [expected_best(s, v, k) for (s, v), k in zip(groups, sizes, strict=True)]
        promised = [expected_best(s, s, k) for (s, _), k in zip(groups, sizes, strict=True)]
        value, *interval = paired_bootstrap(true, [0.0] * len(true))
        row = {"n": n, "d": distance(n), "true": value, "ci": interval, "promised": mean(promised)}
        rows.append(row)
    alpha, beta = fit([row["d"] for row in rows], [row["true"] for row in rows])
    return {"rows": rows, "alpha": alpha, "beta": beta}


# -- reinforcement learning from steps -------------------------------------------------------------

GRPO_STEPS = 40
PROCESS: dict[str, dict[str, Any]] = {
    "grpo-outcome": {},
    "grpo-sum": {"process": "exact", "credit": "sum"},
    "grpo-min": {"process": "exact", "credit": "min"},
}


def study_grpo(kind: str, seed: int) -> dict[str, Any]:
    """GRPO from the base, for as many completions as the other arms; then the test split."""
    log = common.run(
        grpo.train, grpo.Options, common.folder("thinking", kind, seed), task=TASK, seed=seed,
        threads=1, steps=GRPO_STEPS, save_every=GRPO_STEPS, eval_n=500, **PROCESS[kind],
    )  # fmt: skip
    names = ("reward", "accuracy", "entropy", "completions/mean_length")
    return {
        "curves": common.curves(log, (*names, "process/steps", "process/reward")),
        "summary": common.summary(log),
        "test": common.measure(common.last(log), TASK, "test", N, quick=False, samples=4),
    }


# -- the command -----------------------------------------------------------------------------------

STUDIES: dict[str, Callable[[int], dict[str, Any]]] = {
    **{kind: (lambda seed, kind=kind: study_judge(kind, seed)) for kind in JUDGES},
    "compare": lambda seed: study_compare(judge(seed), COMPARED),
    "checker": lambda seed: study_compare(
        inference.ByChecker(get_task(TASK)), ["weighted", *SEARCHES]
    ),
    "likelihood": lambda seed: study_compare(inference.ByLikelihood(), ["weighted", *SEARCHES]),
    "stories-judge": lambda seed: study_stories(judge(seed, "judge-stories")),
    "stories-likelihood": lambda seed: study_stories(inference.ByLikelihood()),
    "stories-checker": lambda seed: study_stories(inference.ByChecker(get_task("stories"))),
    "budgets": study_budgets,
    "chains": study_chains,
    "forcing": study_forcing,
    "three": study_three,
    "best-of-exact": lambda seed: study_best_of(judge(seed)),
    "best-of-outcome": lambda seed: study_best_of(judge(seed, "judge-outcome")),
    "best-of-likelihood": lambda seed: study_best_of(inference.ByLikelihood()),
    **{kind: (lambda seed, kind=kind: study_grpo(kind, seed)) for kind in PROCESS},
}
SEEDS = {kind: (0, 1, 2) for kind in (BEST_JUDGE, *PROCESS)}


def main() -> None:
    parts = {kind: (study, SEEDS.get(kind, (0,))) for kind, study in STUDIES.items()}
    common.measure_missing("thinking", "studies.thinking", __doc__, parts)


if __name__ == "__main__":
    common.command(main)
