"""Lecture 13's figure: how much a reward model can learn from comparisons, and what happens to
those who trust it too far.

    python lectures/13_preferences/figures.py            measure (seconds of one core), and draw
    python lectures/13_preferences/figures.py --draw     only draw what was measured

A made-up world in which the truth is known. An answer has a quality q and a length l (both normal),
and people like q + l - l^2 / 2: longer is better, up to a point. They compare two answers and
choose by Bradley-Terry, so not always the better one. The reward model is linear in l and in a
noisy view of q. Right: the best of n answers by that model. The numbers are in
data/results/lecture-13.json.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import curves
from minilrm.curves import LOOKS, REFERENCE
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent
PAIRS, RUNS, SEED = [10, 30, 100, 300, 1000, 3000], 20, 0
BEST_OF, DRAWS, FITTED_ON = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048], 400, 1000


def answers(rng: np.random.Generator, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """(what the reward model sees [..., 2], what people like [...])."""
    quality, length = rng.standard_normal(shape), rng.standard_normal(shape)
    seen = np.stack([quality + rng.standard_normal(shape), length], -1)
    return seen, quality + length - length**2 / 2


def compared(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, float]:
    """n pairs, the preferred one first [n, 2, 2]; what people like [n, 2]; how often a perfect
    judge would agree with them."""
    seen, liked = answers(rng, n, 2)
    first = rng.random(n) < 1 / (1 + np.exp(liked[:, 1] - liked[:, 0]))
    order = np.where(first[:, None], [[0, 1]], [[1, 0]])
    liked = np.take_along_axis(liked, order, 1)
    return (
        np.take_along_axis(seen, order[:, :, None], 1),
        liked,
        float((liked[:, 0] > liked[:, 1]).mean()),
    )


def fit(pairs: np.ndarray) -> np.ndarray:
    """The weights of a linear reward model that minimise the Bradley-Terry loss."""
    weights = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    difference = torch.tensor(pairs[:, 0] - pairs[:, 1])
    optimizer = torch.optim.LBFGS([weights], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (
            -torch.nn.functional.logsigmoid(difference @ weights).mean()
            + 1e-3 * weights.square().sum()
        )
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach().numpy()


def learning() -> dict:
    """Agreement with people on 20,000 fresh comparisons, against the number of comparisons learnt
    from."""
    rng = np.random.default_rng(SEED)
    fresh, _, ceiling = compared(rng, 20_000)
    agreement = []
    for n in PAIRS:
        runs = [
            float((((fresh[:, 0] - fresh[:, 1]) @ fit(compared(rng, n)[0])) > 0).mean())
            for _ in range(RUNS)
        ]
        agreement.append([round(x, 4) for x in (np.mean(runs), min(runs), max(runs))])
    return {
        "pairs": PAIRS,
        "runs": RUNS,
        "seed": SEED,
        "agreement_mean_min_max": agreement,
        "ceiling": round(ceiling, 4),
    }


def overoptimisation() -> dict:
    """Score by the reward model and what people like, of the best of n by the model; means over
    DRAWS draws."""
    rng = np.random.default_rng(SEED + 1)
    weights = fit(compared(rng, FITTED_ON)[0])
    score, liked_mean = [], []
    for n in BEST_OF:
        seen, liked = answers(rng, DRAWS, n)
        scores = seen @ weights
        best = scores.argmax(1)
        score.append(round(float(scores[np.arange(DRAWS), best].mean()), 4))
        liked_mean.append(round(float(liked[np.arange(DRAWS), best].mean()), 4))
    return {
        "best_of": BEST_OF,
        "draws": DRAWS,
        "fitted_on": FITTED_ON,
        "weights": weights.round(4).tolist(),
        "score": score,
        "liked": liked_mean,
    }


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.4)
    a = result["learning"]
    mean, low, high = np.array(a["agreement_mean_min_max"]).T
    ends = zip(low, high, strict=True)
    curves.intervals(left, a["pairs"], mean, ends, LOOKS[0], "reward model")
    how = {"linewidth": 1.3, "zorder": 0}
    for level, look, label in (
        (a["ceiling"], LOOKS[2], "a judge who\nknows the truth"),
        (0.5, REFERENCE, "a coin"),
    ):
        left.axhline(level, color=look.color, linestyle=look.dash, label=label, **how)
    left.set_xscale("log")
    curves.frame(left, "Agreement with people", x="comparisons learnt from", share=True)
    left.legend(loc="lower right")
    b = result["overoptimisation"]
    curves.line(right, b["best_of"], b["score"], LOOKS[1], "score by\nthe model")
    curves.line(right, b["best_of"], b["liked"], LOOKS[0], "what people\nlike")
    right.set_xscale("log", base=2)
    right.set_xticks(b["best_of"][::3], [str(n) for n in b["best_of"][::3]])
    curves.frame(right, "Best of n by the model", x="n", y="mean")
    curves.label_ends(right)
    save(figure, HERE / "preferences.png")


def measure() -> dict:
    return {"learning": learning(), "overoptimisation": overoptimisation()}


if __name__ == "__main__":
    main(__file__, measure, draw)
