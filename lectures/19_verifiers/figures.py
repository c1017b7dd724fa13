"""The figure, tables and numbers of lecture 19: what labels by roll-outs say, how judges of steps
do, what they buy at equal tokens, and what many steps are worth where their rewards are summed.

    python lectures/19_verifiers/figures.py            measure (a quarter of an hour of one core,
                                                       most of it trainings), draw and fill
    python lectures/19_verifiers/figures.py --draw     only draw and fill what was measured
    python lectures/19_verifiers/figures.py --exact    only fill the table that needs no model

It trains judges of `countdown-base` on exact labels and on outcomes, one seed each (runs/,
resumed if it was interrupted), judges answers to validation problems with three numbers, and writes
data/results/lecture-19.json and, from that file, verifiers.png and the blocks of README.md between
the markers <!-- figures:NAME --> and <!-- /figures:NAME -->.
"""

import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, curves, inference, objectives, reward_model
from minilrm.compare import compare, figures, worth
from minilrm.curves import LOOKS, REFERENCE
from minilrm.inference import Driver, Run, sequential
from minilrm.intervals import mean
from minilrm.labels import Verdicts, against_the_truth, best_threshold, exact_label, step_places
from minilrm.labels import verdicts as verdicts_of
from minilrm.rollout import Episode, rollout
from minilrm.sampler import Engine
from minilrm.scorers import open_judge
from minilrm.tasks import get_task
from minilrm.tasks.countdown import make_problem
from studies import common, markdown
from studies.lecture import main, save
from studies.markdown import percent, spread, table

HERE = Path(__file__).resolve().parent

KINDS, SEEDS, STEPS = ("exact", "outcome"), (0,), 150  # judges, and steps of their training
N, WORTHS, CHAINS = 200, (1, 2, 4, 8, 16), 16  # problems at equal tokens; samples' worth
JUDGED, EACH, BINS = 500, 2, 10  # problems whose answers are judged, answers to each
LABELLED, ROLLOUTS = 200, 8  # answers that are labelled in three ways
SEEDS_SAID = {1: "one seed, so nothing here is a claim", 3: "three seeds (mean, least to greatest)"}
WAITS = (0, 2, 4, 8, 16)  # idle steps in front of a wrong answer
COMBINED: dict[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "product": math.prod,
    "last": lambda scores: scores[-1],
}


# -- what needs no model ---------------------------------------------------------------------------


def credit() -> dict[str, dict[str, list[float]]]:
    """The advantages of the first tokens of four answers to one problem, a group: right, wrong,
    wrong from its second step on, and wrong behind so many steps that say "wait,". Steps are
    rewarded by the exact rule, and a token stands for a step."""
    task, problem = get_task("countdown"), make_problem([4, 7, 25], 53)
    wrong = " 25-7=18, 18+4=22 no\n<answer>25-7+4</answer>"
    later = " 4*7=28, 28-25=3 no\n<answer>4*7-25</answer>"
    right = " 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>"
    found: dict[str, dict[str, list[float]]] = {"sum": {}, "min": {}}
    for waits in WAITS:
        texts = (right, wrong, later, " wait," * waits + wrong)
        rewards = [[*map(float, task.step_labels(problem, text))] for text in texts]
        ends = [list(range(len(row))) for row in rewards]
        for name, of in found.items():
            advantages = objectives.process_advantages(rewards, ends, [*map(len, rewards)], name)
            of[str(waits)] = [round(float(row[0]), 2) for row in advantages]
    return found


def credit_block(found: dict[str, dict[str, list[float]]]) -> str:
    rows = [
        [f"{name}: {who}", *[f"{of[str(waits)][place]:+.2f}" for waits in WAITS]]
        for name, of in found.items()
        for who, place in (("the right answer", 0), ("the wrong answer with the steps", 3))
    ]
    return table(("advantage of the first token, steps put in front", *map(str, WAITS)), rows)


# -- measuring -------------------------------------------------------------------------------------


def labels_of(answers: Sequence[Episode], trainer: reward_model.Trainer) -> dict[str, Any]:
    """The means of exact, soft and hard labels, over all steps, and over those that the exact rule
    calls right or wrong."""
    places = [step_places(e, trainer.judge) for e in answers]
    exact = [
        exact_label(trainer.task, trainer.tokenizer, e, p)
        for e, of in zip(answers, places, strict=True)
        for p in of
    ]
    soft = [share for of in trainer.continue_from(answers, places, 0) for share in of]
    labels = {"exact": exact, "soft": soft, "hard": [float(share > 0) for share in soft]}
    groups = {"all": (0.0, 1.0), "right": (1.0,), "wrong": (0.0,)}
    return {
        name: {
            group: mean([y for y, truth in zip(of, exact, strict=True) if truth in wanted])
            for group, wanted in groups.items()
        }
        for name, of in labels.items()
    } | {"steps": len(exact)}


def reliability(rows: Sequence[Verdicts]) -> dict[str, Any]:
    """Mean score and share of right steps in bins of equal width, and the mean distance of the two;
    of steps up to the first wrong one."""
    scores = np.array([s for row in rows for s in row.scores[: row.until]])
    truth = np.array([float(t) for row in rows for t in row.truth[: row.until]])
    place = np.minimum((scores * BINS).astype(int), BINS - 1)
    bins = [
        {"n": int(here.sum()), "score": scores[here].mean(), "right": truth[here].mean()}
        for here in (place == b for b in range(BINS))
        if here.any()
    ]
    far = sum(b["n"] * abs(b["score"] - b["right"]) for b in bins)
    return {"bins": bins, "error": far / len(scores), "steps": len(scores)}


def how_good(rows: Sequence[Verdicts]) -> dict[str, Any]:
    """Of a judge: the threshold by the first half of the problems, all else by the second."""
    half = len(rows) // 2
    threshold = best_threshold(rows[:half])
    return {
        "threshold": threshold,
        "at a half": against_the_truth(rows[half:]),
        "at the threshold": against_the_truth(rows[half:], threshold),
        "calibration": reliability(rows[half:]),
    }


def drawn(run: Run, n: int) -> inference.Method:
    """n chains, all read by the judge."""
    chains = yield run.chain(n=n, judge=True)
    return run.answer(chains[0], chains)


def combined(driver: Driver, problems) -> dict[str, float]:
    """How often the best of CHAINS chains is right, by each way to make one score of many."""
    answers = driver.solve(drawn, problems, 10**9, n=CHAINS)
    right: dict[str, list[bool]] = {name: [] for name in COMBINED}
    for problem, answer in zip(problems, answers, strict=True):
        able = [c for c in answer.trace if c.ended and driver.task.read_answer(c.text)]
        for name, combine in COMBINED.items():
            best = max(able, key=lambda c, combine=combine: combine(c.scores), default=None)
            right[name].append(best is not None and driver.task.grade(problem, best.text).correct)
    return {name: mean(of) for name, of in right.items()}


def train(kind: str, seed: int) -> inference.ByModel:
    log = common.run(
        reward_model.train,
        reward_model.Options,
        common.folder("lecture-19", kind, seed),
        task="countdown",
        labels=kind,
        steps=STEPS,
        seed=seed,
        threads=1,
        eval_n=50,
        eval_every=STEPS,
        save_every=50,
    )
    return open_judge(str(log.folder), get_task("countdown"))


def measure() -> dict:
    task = get_task("countdown")
    judges = {kind: [train(kind, seed) for seed in SEEDS] for kind in KINDS}
    _, model, tokenizer, _ = checkpoint.open_model("countdown-base")
    engine, problems = Engine(model), task.problems("validation", N)
    options = reward_model.Options(task="countdown", rollouts=ROLLOUTS, threads=1)
    groups = rollout(
        engine, tokenizer, task, task.problems("validation", JUDGED), group_size=EACH,
        max_new_tokens=task.max_new_tokens, seed=19,
    )  # fmt: skip
    answers = [e for group in groups for e in group]
    found: dict[str, Any] = {
        "n": N, "seeds": SEEDS, "steps": STEPS, "split": "validation", "credit": credit(),
        "labels": labels_of(answers[: EACH * LABELLED : EACH], reward_model.Trainer(options)),
        "judges": {
            kind: [how_good(verdicts_of(judge, answers)) for judge in of]
            for kind, of in judges.items()
        },
    }  # fmt: skip
    free = Driver(engine, tokenizer, task, inference.ByLikelihood())
    unit = worth(free, problems)
    budgets = [round(k * unit) for k in WORTHS]
    methods: dict[str, list[list[dict]]] = {
        "majority": [compare(free, problems, ("majority",), budgets)["methods"]["majority"]]
    }
    again = [free.solve(sequential.retry, problems, budget) for budget in budgets]
    methods["retry"] = [
        [figures(task, problems, a, b) for a, b in zip(again, budgets, strict=True)]
    ]
    found["combined"] = []
    checker = inference.ByChecker(task)
    for kind, of in {**judges, "checker": [checker]}.items():
        for judge in of:
            driver = Driver(engine, tokenizer, task, judge, written=free.written)
            rows = compare(driver, problems, ("best-of-n",), budgets)["methods"]["best-of-n"]
            methods.setdefault(f"best-of-n, {kind}", []).append(rows)
            if kind == "exact":
                found["combined"].append(combined(driver, problems))
    for rows in (row for of in methods.values() for row in of):
        for row in rows:
            row.pop("seconds", None)
    return {**found, "unit": unit, "budgets": budgets, "methods": methods}


# -- drawing ---------------------------------------------------------------------------------------

NAMES = {"exact": "a judge of exact labels", "outcome": "a judge of outcomes"}
METHODS = {
    "majority": "majority",
    "best-of-n, outcome": f"best-of-n, {NAMES['outcome']}",
    "best-of-n, exact": f"best-of-n, {NAMES['exact']}",
    "best-of-n, checker": "best-of-n, the exact checker (free)",
    "retry": "retry, by the model's own check",
}


def over_seeds(values: Sequence[float]) -> dict[str, float]:
    return {"mean": mean(values), "min": min(values), "max": max(values)}


def told(over: dict[str, float], form: Callable[[float], str] = percent) -> str:
    """Mean, least and greatest of the seeds; of one seed its number."""
    return spread(over, form) if over["min"] < over["max"] else form(over["mean"])


def decimals(value: float) -> str:
    return f"{value:.2f}"


def labels_table(found: dict[str, Any]) -> str:
    said = {"exact": "exact", "soft": f"soft, {ROLLOUTS} roll-outs", "hard": f"hard, {ROLLOUTS}"}
    head = ("mean label", "all steps", "right by the rule", "wrong by the rule")
    rows = [[said[k], *[decimals(found[k][g]) for g in ("all", "right", "wrong")]] for k in said]
    return table(head, rows)


def judges_table(found: dict[str, list[dict[str, Any]]]) -> str:
    rows = []
    for kind, of in found.items():
        cells = [
            over_seeds([judge["at a half"]["f1"] or 0.0 for judge in of]),
            over_seeds([judge["threshold"] for judge in of]),
            *[
                over_seeds([judge["at the threshold"][key] or 0.0 for judge in of])
                for key in ("f1", "error_accuracy", "right_accuracy")
            ],
            over_seeds([judge["calibration"]["error"] for judge in of]),
        ]
        rows.append([NAMES[kind], *[told(cell, decimals) for cell in cells]])
    head = ("", "f1 at 1/2", "threshold", "f1 there", "first wrong step", "right answers",
            "calibration error")  # fmt: skip
    return table(head, rows)


def methods_table(result: dict[str, Any]) -> str:
    rows = []
    for name, said in METHODS.items():
        of = result["methods"][name]
        cells = [over_seeds([r["accuracy"] for r in rows_]) for rows_ in zip(*of, strict=True)]
        rows.append([said, *[told(c) for c in cells]])
    return table(("samples' worth", *map(str, WORTHS)), rows)


def measured_block(result: dict[str, Any]) -> str:
    judge = result["judges"]["exact"][0]["at the threshold"]
    alt = "left: share of right steps against the score; right: accuracy over tokens"
    means = {key: [row[key] for row in result["combined"]] for key in COMBINED}
    return "\n\n".join([
        f"![{alt}](verifiers.png)",
        f"**Labels** of the {result['labels']['steps']} steps of {LABELLED} answers of "
        "`countdown-base` to validation problems:",
        labels_table(result["labels"]),
        f"**Judges**, trained for {result['steps']} steps, {SEEDS_SAID[len(SEEDS)]}; on "
        f"{judge['n_wrong']} answers with a wrong step and {judge['n_right']} without; the "
        "threshold was chosen on as many other problems:",
        judges_table(result["judges"]),
        f"**At equal tokens**, what a judge reads included: right of {result['n']} validation "
        f"problems; a sample is worth {result['unit']:.0f} tokens:",
        methods_table(result),
        f"**One score of many**: the best of {CHAINS} chains by the judges of exact labels:",
        table(("", *means), [["right", *[told(over_seeds(v)) for v in means.values()]]]),
        "All numbers: [`lecture-19.json`](../../data/results/lecture-19.json).",
    ])  # fmt: skip


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.3)
    curves.line(left, [0, 1], [0, 1], REFERENCE, "calibrated", marker="")
    for kind, look in zip(KINDS, LOOKS, strict=False):
        bins = result["judges"][kind][0]["calibration"]["bins"]
        curves.line(left, [b["score"] for b in bins], [b["right"] for b in bins], look, NAMES[kind])
    curves.frame(left, "Does a score mean it?", x="mean score of a bin (seed 0)", share=True)
    left.legend(loc="upper left", fontsize=7.5)
    for (name, said), look in zip(METHODS.items(), LOOKS, strict=False):
        of = result["methods"][name]
        x = [mean([r["tokens"] + r["verifier_tokens"] for r in rows]) for rows in zip(*of)]  # noqa: B905
        curves.band(right, x, [[r["accuracy"] for r in rows] for rows in of], look, said)
    right.set_xscale("log", base=2)
    title = f"countdown, n = {result['n']}"
    curves.frame(right, title, x="tokens, the judge's included", share=True)
    right.set_ylim(-0.6, 1.03)
    right.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    right.legend(loc="lower right", fontsize=7)
    save(figure, HERE / "verifiers.png")
    blocks = {
        "figures:credit": credit_block(result["credit"]),
        "figures:verifiers": measured_block(result),
    }
    fill(blocks)


def fill(blocks: dict[str, str]) -> None:
    """Write these blocks of the lecture's README anew."""

    def filled(page: str) -> str:
        for name, body in blocks.items():
            page = markdown.put(page, name, body)
        return page

    markdown.fill([HERE / "README.md"], filled)


if __name__ == "__main__":
    if "--exact" in sys.argv[1:]:
        fill({"figures:credit": credit_block(credit())})
    else:
        main(__file__, measure, draw)
