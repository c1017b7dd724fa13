"""The figure and the tables of lecture 18 that need no model: what the forum of the task bilingual
holds, when mixing languages pays, and what reinforcement learning makes of it in a policy with one
number.

    python lectures/18_r1_pipeline/figures.py            count, simulate, draw and fill
    python lectures/18_r1_pipeline/figures.py --draw     only draw and fill what was computed

It writes data/results/lecture-18.json and, from that file, mixing.png and the blocks of README.md
between <!-- figures:forum --> and its end, <!-- figures:pays --> and its end. The figures of the
whole pipeline and of preference models come from `python -m studies.r1.figures` and
`python -m studies.rlhf.figures`.
"""

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import curves, manner
from minilrm.intervals import mean
from minilrm.tasks import Problem, get_task
from minilrm.tasks.frames import language as language_of
from studies import markdown
from studies.lecture import main, save
from studies.markdown import percent, table

HERE = Path(__file__).resolve().parent

READ = 8000  # pages of the forum
WEIGHTS = (0.0, 0.1, 0.2, 0.5)  # of the reward for one language
SEEDS, STEPS, GROUPS, G, LR = (0, 1, 2), 120, 32, 8, 0.12
AFTER = (0.97, 0.93)  # right when mixing, right alone: a policy that has learnt its sums


# -- the forum -------------------------------------------------------------------------------------


def forum() -> dict[str, float]:
    """Of Spanish problems that are worked out on the forum: how many chains mix, how often either
    kind is right, and which share of a mixed chain's words is Spanish."""
    task = get_task("bilingual")
    rows: list[tuple[float, bool]] = []  # share of words in the question's language, right
    for i in range(READ):
        rng = random.Random(f"lecture-18/{i}")
        problem = task.sample(rng, "train")
        if language_of(problem) == "es":
            text = task.posted(problem, rng)
            rows.append((share_of(task, problem, text), task.grade(problem, text).correct))
    mixed = [row for row in rows if row[0] < 1]
    clean = [row for row in rows if row[0] == 1]
    return {
        "spanish": len(rows),
        "mixes": len(mixed) / len(rows),
        "right mixed": mean([right for _, right in mixed]),
        "right alone": mean([right for _, right in clean]),
        "share": mean([share for share, _ in mixed]),
    }


def share_of(task: Any, problem: Problem, text: str) -> float:
    """The reward for one language of a text: `manner.shares` asks for no more of an episode."""

    class Answer:
        def __init__(self) -> None:
            self.problem, self.text = problem, text

    return manner.shares([Answer()])[0]


# -- a policy with one number ----------------------------------------------------------------------


def pays(right_mixed: float, right_alone: float, share: float, weight: float) -> float:
    """What a mixed answer earns more than a clean one: accuracy, and weight times the share."""
    return (right_mixed - right_alone) - weight * (1 - share)


def simulate(
    found: dict[str, float], right: tuple[float, float], weight: float, seed: int
) -> list[float]:
    """GRPO on a policy that only chooses whether to mix: its share of mixed answers, step by step.

    right: how often a mixed and how often a clean answer is right. The advantage is the reward less
    its group's mean, and the gradient that of log pi.
    """
    rng = np.random.default_rng(seed)
    logit, shares = float(np.log(found["mixes"] / (1 - found["mixes"]))), []
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-logit))
        shares.append(round(float(p), 4))
        mixes = rng.random((GROUPS, G)) < p
        correct = rng.random((GROUPS, G)) < np.where(mixes, *right)
        reward = correct + weight * np.where(mixes, found["share"], 1.0)
        advantage = reward - reward.mean(1, keepdims=True)
        logit += LR * float((advantage * (mixes - p)).sum(1).mean())
    return shares


def measure() -> dict:
    found = forum()
    right = (found["right mixed"], found["right alone"])
    even = (found["right alone"], found["right alone"])
    runs = {
        f"weight {weight:g}": [simulate(found, right, weight, seed) for seed in SEEDS]
        for weight in WEIGHTS
    }
    runs["mixing does not pay"] = [simulate(found, even, 0.0, seed) for seed in SEEDS]
    gain = {
        name: [pays(*rates, found["share"], weight) for weight in WEIGHTS]
        for name, rates in (("base", right), ("after", AFTER))
    }
    return {
        "forum": found,
        "runs": runs,
        "pays": gain,
        "least weight": {
            "base": (right[0] - right[1]) / (1 - found["share"]),
            "after": (AFTER[0] - AFTER[1]) / (1 - found["share"]),
        },
    }


# -- drawing ---------------------------------------------------------------------------------------


def forum_block(result: dict) -> str:
    found = result["forum"]
    rows = [
        ["chains that go over to English", percent(found["mixes"])],
        ["right, if the chain mixes", percent(found["right mixed"])],
        ["right, if it stays in Spanish", percent(found["right alone"])],
        ["share of Spanish among the words of a mixed chain", percent(found["share"])],
    ]
    return table((f"{found['spanish']:,} Spanish problems, worked out on the forum", ""), rows)


def pays_block(result: dict) -> str:
    names = {
        "base": "people of the forum",
        "after": f"a policy that is right {AFTER[0]:.0%} mixed and {AFTER[1]:.0%} alone",
    }
    rows = [
        [names[who], *[f"{x:+.3f}" for x in gains], f"{result['least weight'][who]:.2f}"]
        for who, gains in result["pays"].items()
    ]
    head = ("a mixed answer earns, more than a clean one", *[f"weight {w:g}" for w in WEIGHTS],
            "nothing from")  # fmt: skip
    return table(head, rows)


def draw(result: dict) -> None:
    figure, [axes] = curves.panels(1, height=3.2)
    for (name, rows), look in zip(result["runs"].items(), curves.LOOKS, strict=False):
        curves.band(axes, range(STEPS), rows, look, name)
    title = "Share of mixed answers: a policy that chooses nothing else"
    curves.frame(axes, title, x="step", share=True)
    curves.label_ends(axes)
    save(figure, HERE / "mixing.png")
    blocks = {"figures:forum": forum_block(result), "figures:pays": pays_block(result)}

    def filled(page: str) -> str:
        for name, body in blocks.items():
            page = markdown.put(page, name, body)
        return page

    markdown.fill([HERE / "README.md"], filled)


if __name__ == "__main__":
    main(__file__, measure, draw)
