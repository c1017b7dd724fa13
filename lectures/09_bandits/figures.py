"""Lecture 9's figure: exploring and exploiting, on made-up arms and on four ways to ask the shipped
base model.

    python lectures/09_bandits/figures.py            measure (seconds of one core), and draw
    python lectures/09_bandits/figures.py --draw     only draw what was measured

Left: 2,000 bandits with 10 arms, whose worth is drawn from a normal distribution; a pull adds noise
of deviation 1. Right: the arms are four ways to ask gsm8k-mini-base, each right as often as
data/results/main.json says. The numbers are in data/results/lecture-09.json.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import curves
from minilrm.curves import LOOKS, REFERENCE
from minilrm.files import read_json
from studies.lecture import RESULTS, main, save

HERE = Path(__file__).resolve().parent
BANDITS, ARMS, PULLS, SEED = 2000, 10, 1000, 0
EPSILONS = [0.0, 0.01, 0.1]
ASKS, LEARNERS = [20, 200, 2000], 1000
GRID = [0.0, 0.01, 0.03, 0.1, 0.3, 1.0]


def play(
    worth: np.ndarray, epsilon: float, pulls: int, draw, rng: np.random.Generator
) -> np.ndarray:
    """Epsilon-greedy with running means on many bandits at once: `worth[N, K]` -> the arms pulled
    `[pulls, N]`."""
    rows = np.arange(len(worth))
    means, counts = np.zeros(worth.shape), np.zeros(worth.shape)
    chosen = []
    for _ in range(pulls):
        greedy = (means + 1e-9 * rng.random(means.shape)).argmax(
            1
        )  # the smallest noise breaks ties
        arm = np.where(
            rng.random(len(worth)) < epsilon, rng.integers(worth.shape[1], size=len(worth)), greedy
        )
        reward = draw(worth[rows, arm])
        counts[rows, arm] += 1
        means[rows, arm] += (reward - means[rows, arm]) / counts[rows, arm]
        chosen.append(arm)
    return np.array(chosen)


def testbed() -> dict:
    """How often the best arm is pulled, pull by pull, averaged over the bandits."""
    rng = np.random.default_rng(SEED)
    worth = rng.standard_normal((BANDITS, ARMS))
    share = {}
    for epsilon in EPSILONS:
        arms = play(worth, epsilon, PULLS, lambda mean: mean + rng.standard_normal(mean.shape), rng)
        share[f"{epsilon:g}"] = (arms == worth.argmax(1)).mean(1).round(4).tolist()
    return {"bandits": BANDITS, "arms": ARMS, "pulls": PULLS, "seed": SEED, "best_arm_share": share}


def prompts() -> dict:
    """Share of questions answered rightly when the way to ask is learnt on the job."""
    base = read_json(RESULTS / "main.json")["base"]
    arms = {
        "plain, T = 0": base["greedy"]["value"],
        "plain, T = 1": base["sampled"]["value"],
        "thinking forced, T = 0": base["forced 0"]["value"],
        "thinking forced, T = 1": base["forced 1"]["value"],
    }
    worth = np.tile(list(arms.values()), (LEARNERS, 1))
    rng = np.random.default_rng(SEED)
    right = {}
    for epsilon in GRID:
        chosen = play(
            worth, epsilon, max(ASKS), lambda p: (rng.random(p.shape) < p).astype(float), rng
        )
        earned = worth[0][chosen]
        right[f"{epsilon:g}"] = [round(float(earned[:n].mean()), 4) for n in ASKS]
    return {"arms": arms, "learners": LEARNERS, "asks": ASKS, "seed": SEED, "right": right}


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.0)
    for (epsilon, share), look in zip(
        result["testbed"]["best_arm_share"].items(), LOOKS, strict=False
    ):
        smooth = np.convolve(share, np.ones(9) / 9, "valid")
        curves.line(left, np.arange(len(smooth)) + 5, smooth, look, f"ε = {epsilon}", linewidth=1.3)
    curves.frame(left, "Pull the best of ten arms", x="pull", share=True)
    curves.label_ends(left)
    p = result["prompts"]
    for i, (n, look) in enumerate(zip(p["asks"], LOOKS, strict=False)):
        share = [row[i] for row in p["right"].values()]
        curves.line(right, range(len(share)), share, look, f"{n:,}")
    right.set_xticks(range(len(p["right"])), list(p["right"]))
    best = max(p["arms"].values())
    right.axhline(best, color=REFERENCE.color, linestyle=REFERENCE.dash, linewidth=1)
    curves.frame(right, "Questions right", x="epsilon", share=True)
    right.legend(title="after so many questions", loc="lower left")
    save(figure, HERE / "exploring.png")


def measure() -> dict:
    return {"testbed": testbed(), "prompts": prompts()}


if __name__ == "__main__":
    main(__file__, measure, draw)
