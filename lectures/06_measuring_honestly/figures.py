"""The figures and numbers of lecture 6, from data/results/main.jsonl and from exact sums and
simulations with fixed seeds.

    python lectures/06_measuring_honestly/figures.py            measure (half a minute), and draw
    python lectures/06_measuring_honestly/figures.py --draw     only draw what was measured

It writes data/results/lecture-06.json and, from that file,
lectures/06_measuring_honestly/intervals.png.
"""

import math
import re
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import curves, machine
from minilrm.curves import LOOKS, REFERENCE
from minilrm.files import read_jsonl
from minilrm.intervals import paired_bootstrap, wilson_interval
from minilrm.tasks import get_task, split_of
from minilrm.tasks.base import problem_rng
from studies.lecture import main, main_study, save

HERE = Path(__file__).resolve().parent

POOL = 20_000


def wald(successes: int, n: int) -> tuple[float, float]:
    p = successes / n
    half = 1.96 * math.sqrt(p * (1 - p) / n)
    return p - half, p + half


def coverage(interval, n: int, p: float) -> float:
    """How often the interval holds the true rate p: an exact sum over all outcomes."""
    return sum(
        math.comb(n, c) * p**c * (1 - p) ** (n - c)
        for c in range(n + 1)
        if interval(c, n)[0] <= p <= interval(c, n)[1]
    )


def best_of_checkpoints(checkpoints: int, n: int, p: float, runs: int = 2000) -> float:
    """Mean of the best measured accuracy among checkpoints that are all equally good."""
    rng = np.random.default_rng(0)
    return float(rng.binomial(n, p, size=(runs, checkpoints)).max(axis=1).mean() / n)


def pairing(one: dict, way: str, other: dict, other_way: str) -> dict:
    """One model's accuracy minus another's on the same problems: its interval paired and, as if
    they were others, unpaired."""
    after, before = (
        [int(c) for c in test["outcomes"][w]] for test, w in ((one, way), (other, other_way))
    )
    n, a, b = len(after), sum(after) / len(after), sum(before) / len(before)
    half = 1.96 * math.sqrt(a * (1 - a) / n + b * (1 - b) / n)
    return {
        "n": n,
        "difference": a - b,
        "correlation": float(np.corrcoef(after, before)[0, 1]),
        "paired": paired_bootstrap(after, before)[1:],
        "unpaired": (a - b - half, a - b + half),
    }


def split_leaks() -> dict:
    """Share of test problems whose sum is in training, too, if the split goes by text instead of by
    sum."""
    task = get_task("gsm8k-mini")
    pool = []
    for i in range(POOL):
        rng = problem_rng(6, i, "lecture-06")
        pool.append(task.sample(rng, rng.choices(("train", "validation", "test"), (8, 1, 1))[0]))
    found = {"pool": POOL}
    for name, key in (("by text", lambda p: p.prompt), ("by sum", lambda p: p.key)):
        train = {p.key for p in pool if split_of(key(p)) == "train"}
        test = [p for p in pool if split_of(key(p)) == "test"]
        found[name] = {"test": len(test), "leaked": sum(p.key in train for p in test) / len(test)}
    return found


def shared_runs() -> dict:
    """Share of the shipped test questions that have n words in a row in common with 1,000 training
    questions."""

    def texts(name):
        lines = read_jsonl(machine.data_folder() / "gsm8k-mini" / f"{name}.jsonl")
        return [line["question"] for line in lines]

    pages, tests = (
        [re.findall(r"\w+", text.lower()) for text in texts(name)]
        for name in ("train_sample", "test")
    )
    found = {}
    for n in (8, 13):
        seen = {tuple(page[i : i + n]) for page in pages for i in range(len(page) - n + 1)}
        found[str(n)] = sum(
            any(tuple(w[i : i + n]) in seen for i in range(len(w) - n + 1)) for w in tests
        ) / len(tests)
    return found


def measure() -> dict:
    parts = main_study("base") + main_study("grpo")
    records = {(r["kind"], r["seed"]): r["test"] for r in parts}
    rates = [round(0.005 * i, 3) for i in range(1, 200)]
    return {
        "coverage": {
            "n": 30,
            "rates": rates,
            "wald": [coverage(wald, 30, p) for p in rates],
            "wilson": [coverage(wilson_interval, 30, p) for p in rates],
        },
        "interval_of_90_percent": {
            str(n): wilson_interval(0.9 * n, n) for n in (30, 100, 1000, 10000)
        },
        "best_of_20_checkpoints_of_90_percent": {
            str(n): best_of_checkpoints(20, n, 0.9) for n in (30, 100, 1000)
        },
        "pass_at_k": {
            f"{kind} {seed}": test["pass_at_k"] for (kind, seed), test in sorted(records.items())
        },
        "majority_at_k": {
            f"{kind} {seed}": test["majority_at_k"]
            for (kind, seed), test in sorted(records.items())
        },
        "pairing": {
            "GRPO sampled, base forced, T = 1": pairing(
                records["grpo", 0], "sampled", records["base", 0], "forced 1"
            ),
            "GRPO greedy, seeds 0 and 1": pairing(
                records["grpo", 0], "greedy", records["grpo", 1], "greedy"
            ),
        },
        "splits": split_leaks(),
        "shared_runs_of_words": shared_runs(),
    }


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.3)
    c = result["coverage"]
    plain = {"marker": "", "linewidth": 1.2}
    curves.line(left, c["rates"], c["wald"], LOOKS[1], "p ∓ 1.96 s.e.", **plain)
    curves.line(left, c["rates"], c["wilson"], LOOKS[0], "Wilson", **plain)
    left.axhline(0.95, color=curves.INK, linestyle=REFERENCE.dash, linewidth=1, zorder=5)
    curves.frame(left, "Coverage, 30 problems", x="true rate", share=True)
    left.set(ylim=(0.5, 1.005), xlim=(0, 1), ylabel="95 % intervals that hold it")
    left.legend(loc="lower center")
    for model, look in (("grpo 0", LOOKS[0]), ("base 0", LOOKS[1])):
        for what, word, marker in (("pass_at_k", "pass@k", "o"), ("majority_at_k", "vote", "s")):
            values = [result[what][model][k] for k in "1248"]
            label = f"{'GRPO' if model == 'grpo 0' else 'base'}:\n{word}"
            curves.line(right, [1, 2, 4, 8], values, look, label, marker=marker)
    right.set_xscale("log", base=2)
    right.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    curves.frame(right, "Right at T = 1", x="k samples", share=True)
    curves.label_ends(right)
    save(figure, HERE / "intervals.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
