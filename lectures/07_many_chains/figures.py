"""The figure and numbers of lecture 7: exact curves of votes and of a judge that is fooled, and
what many chains of the shipped base buy on countdown.

    python lectures/07_many_chains/figures.py            measure (minutes of one core), and draw
    python lectures/07_many_chains/figures.py --draw     only draw what was measured

It asks `countdown-base` 200 validation problems with three numbers, writes
data/results/lecture-07.json and, from that file, lectures/07_many_chains/chains.png.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, curves, inference
from minilrm.compare import compare, figures, worth
from minilrm.curves import LOOKS, REFERENCE
from minilrm.inference import Driver, sequential
from minilrm.intervals import mean
from minilrm.sampler import Engine
from minilrm.tasks import get_task
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent

N, SEED = 200, 0
WORTHS = (1, 2, 4, 8, 16)  # samples' worth of tokens
SIZES = (1, 3, 5, 7, 9, 11, 15, 19, 25, 31)
MODELS = {  # the right answer's probability first
    "right 60 %, one wrong answer": (0.6, 0.4),
    "right 40 %, six wrong answers": (0.4, *[0.1] * 6),
    "right 40 %, one wrong answer": (0.4, 0.6),
}
RIGHT, FOOLS = 0.1, (0.0, 0.002, 0.01)  # of a chain: right; wrong, and liked best by the judge


def right_by_vote(chances: Sequence[float], k: int) -> float:
    """How often a vote of k is right: the right answer's votes one number after another, and for
    each the ways in which the others stay below it or level, answer after answer."""
    total = 0.0
    for mine in range(k + 1):
        # ways[(votes given to the wrong answers so far, how many of them are level)] = weight
        ways = {(0, 0): chances[0] ** mine}
        for p in chances[1:]:
            after: Counter = Counter()
            for (used, level), weight in ways.items():
                for votes in range(min(mine, k - mine - used) + 1):
                    place = (used + votes, level + (votes == mine))
                    after[place] += weight * p**votes * choose(k - mine - used, votes)
            ways = dict(after)
        for (used, level), weight in ways.items():
            if used == k - mine:
                total += choose(k, mine) * weight / (1 + level)
    return total


def choose(n: int, k: int) -> int:
    found = 1
    for i in range(k):
        found = found * (n - i) // (i + 1)
    return found


def fooled(n: int, right: float, fool: float) -> float:
    """Best-of-n with a judge who prefers a few wrong answers to every right one: none of those is
    there, and a right one is."""
    return (1 - fool) ** n - (1 - fool - right) ** n


def who_leads(driver: Driver, problems, answers) -> dict:
    """Of the problems, by all chains that a vote had: is the right answer ahead, there and beaten,
    or not there at all?"""
    counts: Counter = Counter()
    for problem, answer in zip(problems, answers, strict=True):
        right = [p.ended and driver.task.grade(problem, p.text).correct for p in answer.trace]
        won = driver.task.grade(problem, answer.text).correct
        counts["the vote is right" if won else "right, but outvoted" if any(right) else "none"] += 1
    return {name: counts[name] / len(problems) for name in sorted(counts)}


def measure() -> dict:
    _, model, tokenizer, _ = checkpoint.open_model("countdown-base")
    task, engine = get_task("countdown"), Engine(model)
    problems = task.problems("validation", N)
    likely = Driver(engine, tokenizer, task, inference.ByLikelihood(), SEED)
    exact = Driver(engine, tokenizer, task, inference.ByChecker(task), SEED, likely.written)
    unit = worth(likely, problems)
    budgets = [round(k * unit) for k in WORTHS]
    found = {}
    for driver, verifier, names in (
        (likely, "likelihood", ("direct", "majority", "adaptive", "best-of-n", "weighted")),
        (exact, "checker", ("best-of-n",)),
    ):
        for name, rows in compare(driver, problems, names, budgets)["methods"].items():
            found[f"{name}, {verifier}" if name in ("best-of-n", "weighted") else name] = rows
    again = [likely.solve(sequential.retry, problems, budget) for budget in budgets]
    found["retry"] = [
        figures(task, problems, answers, budget)
        for answers, budget in zip(again, budgets, strict=True)
    ]
    chains = likely.solve(inference.majority, problems, budgets[-1])
    for rows in found.values():
        for row in rows:
            row.pop("seconds", None)
    return {
        "n": N,
        "seed": SEED,
        "split": "validation",
        "votes": {
            name: {str(k): right_by_vote(chances, k) for k in SIZES}
            for name, chances in MODELS.items()
        },
        "a judge that is fooled": {
            str(fool): {str(n): fooled(n, RIGHT, fool) for n in (2**i for i in range(11))}
            for fool in FOOLS
        },
        "unit": unit,
        "methods": found,
        "chains": mean([len(answer.trace) for answer in chains]),
        "who leads": who_leads(likely, problems, chains),
    }


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=4.0)
    for (name, values), look in zip(result["votes"].items(), LOOKS, strict=False):
        curves.line(left, [int(k) for k in values], [*values.values()], look, name)
    curves.frame(left, "A vote of k, exactly", x="k chains", share=True)
    left.legend(loc="center", bbox_to_anchor=(0.56, 0.47), fontsize=7.5)
    lines = ("best-of-n, checker", "retry", "weighted, likelihood", "majority", "adaptive",
             "best-of-n, likelihood")  # fmt: skip
    for name, look in zip(lines, LOOKS, strict=True):
        rows = result["methods"][name]
        x = [row["tokens"] + row["verifier_tokens"] for row in rows]
        curves.line(right, x, [row["accuracy"] for row in rows], look, name)
    greedy = result["methods"]["direct"][0]
    once = {"linestyle": "", "marker": "*", "markersize": 10}
    curves.line(
        right, [greedy["tokens"]], [greedy["accuracy"]], REFERENCE, "one greedy chain", **once
    )
    right.set_xscale("log", base=2)
    curves.frame(right, f"countdown, n = {result['n']}", x="tokens a problem", share=True)
    right.set_ylim(-0.45, 1.03)
    right.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    right.legend(loc="lower right", fontsize=7.5)
    save(figure, HERE / "chains.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
