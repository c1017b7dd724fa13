"""The figure and numbers of lecture 17: what a second try is worth, and how a seed of trying again
grows.

    python lectures/17_aha_moment/figures.py            measure (seconds of one core), and draw
    python lectures/17_aha_moment/figures.py --draw     only draw what was measured

Left, by formula (section 2): the probability of a right answer against the most attempts that are
allowed. Right, a toy policy with a single parameter, its probability of going on after a rejected
attempt, trained by sampled groups as in lecture 15. Writes data/results/lecture-17.json and, from
that file, lectures/17_aha_moment/second_try.png. The experiment of the lecture is another thing:
`python -m studies.aha` measures it.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import curves
from minilrm.curves import LOOKS
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
    figure, (left, right) = curves.panels(2, height=3.2)
    for (accept, values), look in zip(result["right within"].items(), LOOKS, strict=False):
        curves.line(left, range(1, len(values) + 1), values, look, f"{float(accept):.0%}")
    curves.frame(left, "Answer right", x="attempts allowed", share=True)
    left.legend(title="wrong attempts accepted", ncols=2, loc="lower right")
    for (start, rows), look in zip(result["going on"].items(), LOOKS, strict=False):
        words = f"from\n{100 * float(start):g} %"
        curves.band(right, range(len(rows[0])), rows, look, words, markersize=4)
    curves.frame(right, "Goes on after failing", x="step", share=True)
    curves.label_ends(right)
    save(figure, HERE / "second_try.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
