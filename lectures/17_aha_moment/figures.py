"""The figure and numbers of lecture 17: what a second try is worth, and how a seed of trying again
grows.

    python lectures/17_aha_moment/figures.py

Left, by formula (section 2): the probability of a right answer against the most attempts that are
allowed. Right, a toy policy with a single parameter, its probability of going on after a rejected
attempt, trained by sampled groups as in lecture
15. Writes data/results/lecture-17.json and, from that file, lectures/17_aha_moment/second_try.png.
Seconds of one core. The experiment of the lecture is another thing: scripts/study_aha.py measures
it.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from studies.lecture import main, save

HERE = Path(__file__).resolve().parent


SKILL, CARELESS, LONGEST = 0.4, 0.05, 8  # of the people in section 2's example
FALSE_ACCEPTS = (0.0, CARELESS, 0.3, 1.0)
STARTS, SEEDS, STEPS, PROMPTS, GROUP, RATE = (0.08, 0.01, 0.001, 0.0), (0, 1, 2), 300, 32, 8, 3.0


def right_within(
    attempts: int, skill: float, false_accept: float, false_reject: float = 0.0
) -> float:
    """P(answer right): try until the check accepts, at most so often; an attempt rejected at the
    very end is the answer."""
    rejected = skill * false_reject + (1 - skill) * (1 - false_accept)
    accepted_right = sum(rejected**k for k in range(attempts)) * skill * (1 - false_reject)
    return accepted_right + rejected ** (attempts - 1) * skill * false_reject


def train(start: float, seed: int) -> list[float]:
    """P(goes on after a rejected attempt), step by step: policy gradient on it alone, everything
    else as the writers do it."""
    rng = np.random.default_rng(seed)
    logit, curve = (np.log(start / (1 - start)) if start else -np.inf), []
    for _ in range(STEPS + 1):
        p = 1 / (1 + np.exp(-logit))
        curve.append(round(float(p), 5))
        score, right = np.zeros((PROMPTS, GROUP)), np.zeros((PROMPTS, GROUP))
        for i, j in np.ndindex(PROMPTS, GROUP):
            for attempt in range(LONGEST):
                reaches = rng.random() < SKILL
                accepted = reaches or rng.random() < CARELESS
                right[i, j] = reaches
                if accepted or attempt == LONGEST - 1:
                    break
                goes_on = rng.random() < p
                score[i, j] += (1 - p) if goes_on else -p  # d log pi / d logit
                if not goes_on:
                    break
        advantage = right - right.mean(1, keepdims=True)
        logit += RATE * float((advantage * score).mean())
    return curve


def measure() -> dict:
    curves = {
        str(a): [right_within(k, SKILL, a) for k in range(1, LONGEST + 1)] for a in FALSE_ACCEPTS
    }
    seen = {str(s): 1 - (1 - s * (1 - SKILL) * (1 - CARELESS)) ** GROUP for s in STARTS}
    rejected = (1 - SKILL) * (1 - CARELESS)
    return {
        "skill": SKILL,
        "careless": CARELESS,
        "longest": LONGEST,
        "right within": curves,
        "expected attempts": sum(rejected**k for k in range(LONGEST)),
        "group": GROUP,
        "prompts": PROMPTS,
        "rate": RATE,
        "seeds": SEEDS,
        "a group holds a retry": seen,
        "going on": {str(s): [train(s, seed) for seed in SEEDS] for s in STARTS},
    }


def draw(result: dict) -> None:
    plt.rcParams.update({"font.size": 8.5, "axes.spines.top": False, "axes.spines.right": False})
    figure, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3.0), layout="constrained")
    for (accept, values), style in zip(
        result["right within"].items(), ("k-o", "k--s", "k-.^", "k:x"), strict=True
    ):
        left.plot(
            range(1, len(values) + 1),
            values,
            style,
            markersize=3.5,
            linewidth=1,
            label=f"{float(accept):.0%}",
        )
    left.set(xlabel="attempts allowed", ylabel="answer right", ylim=(0.3, 1.04))
    left.legend(
        frameon=False,
        title="wrong attempts accepted",
        fontsize=8,
        title_fontsize=8,
        loc=(0.46, 0.17),
    )
    for (start, curves), style in zip(
        result["going on"].items(), ("-", "--", "-.", ":"), strict=True
    ):
        for number, curve in enumerate(curves):
            right.plot(
                curve,
                color="black",
                linestyle=style,
                linewidth=1.1,
                label=None if number else f"{float(start):.1%}",
            )
    right.set(xlabel="step", ylabel="goes on after a failure", ylim=(-0.02, 1.04))
    right.legend(
        frameon=False, title="at the start", fontsize=8, title_fontsize=8, loc="center right"
    )
    save(figure, HERE / "second_try.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
