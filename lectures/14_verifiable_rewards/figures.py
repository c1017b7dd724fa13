"""The figure and numbers of lecture 14: broken graders on the shipped base's answers, and what
optimising one leads to.

    python lectures/14_verifiable_rewards/figures.py            measure (a minute), and draw
    python lectures/14_verifiable_rewards/figures.py --draw     only draw what was measured

It samples 8 answers to each of 150 validation problems from the base, lets the eight broken graders
of graders.py and the strict one judge them, follows the expected policy gradient of a toy policy,
writes data/results/lecture-14.json and, from that file, lectures/14_verifiable_rewards/hacked.png.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from graders import BROKEN
from matplotlib.ticker import PercentFormatter

from minilrm import checkpoint, curves
from minilrm.curves import LOOKS
from minilrm.rollout import rollout
from minilrm.tasks import get_task
from minilrm.tasks.answers import MARK
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent

N, SAMPLES, SEED = 150, 8, 0
# The toy: a policy that chooses among three ways to answer. How often at first, right how often
# (main.json), paid by a hole?
WAYS = {"think": (0.330, 0.776), "blurt": (0.669, 0.018), "attack": (0.001, 0.0)}
STEPS, RATE = 200, 0.2


def with_tags(text: str) -> str:
    """A completion in the base's own form, `... #### 12`, in the form of this lecture; every mark
    becomes an answer."""
    thought, *answers = text.split(MARK)
    return f"<think>{thought}</think>" + "".join(
        f"<answer>{a.split(chr(10))[0].strip()}</answer>" for a in answers
    )


def judged(groups) -> dict:
    """For each grader: share of all answers paid, share of the wrong ones paid, and what best-of-8
    by its reward is worth."""
    strict = [[e.grade.correct for e in group] for group in groups]
    texts = [[with_tags(e.text) for e in group] for group in groups]
    found = {
        "strict": {
            "paid": share(sum(strict, [])),
            "wrong_paid": 0.0,
            "best_of_8": share([any(s) for s in strict]),
        }
    }
    for name, grader in BROKEN.items():
        rewards = [
            [grader(t, g[0].problem.answer) for t in row]
            for row, g in zip(texts, groups, strict=True)
        ]
        chosen = [right[row.index(max(row))] for row, right in zip(rewards, strict, strict=True)]
        wrong = [
            r >= 1
            for row, right in zip(rewards, strict, strict=True)
            for r, ok in zip(row, right, strict=True)
            if not ok
        ]
        right = [
            r >= 1
            for row, rights in zip(rewards, strict, strict=True)
            for r, ok in zip(row, rights, strict=True)
            if ok
        ]
        found[name] = {
            "paid": share([r >= 1 for row in rewards for r in row]),
            "wrong_paid": share(wrong),
            "right_unpaid": 1 - share(right),
            "best_of_8": share(chosen),
        }
    return found


def share(values) -> float:
    return sum(values) / len(values)


def optimise(paid_for_attack: float, natural: bool = True) -> list[dict]:
    """Expected policy gradient on the three logits: d logit = rate (r - mean r), natural, or rate p
    (r - mean r), plain."""
    logits = [math.log(p) for p, _ in WAYS.values()]
    rewards = [right for _, right in WAYS.values()][:2] + [paid_for_attack]
    curve = []
    for _ in range(STEPS + 1):
        weights = [math.exp(x) for x in logits]
        p = [w / sum(weights) for w in weights]
        paid = sum(a * b for a, b in zip(p, rewards, strict=True))
        right = sum(a * share for a, (_, share) in zip(p, WAYS.values(), strict=True))
        point = {"paid": paid, "right": right, **dict(zip(WAYS, p, strict=True))}
        curve.append({name: round(value, 4) for name, value in point.items()})
        logits = [
            x + RATE * (1 if natural else a) * (r - paid)
            for x, a, r in zip(logits, p, rewards, strict=True)
        ]
    return curve


def measure() -> dict:
    _, model, tokenizer, _ = checkpoint.open_model("gsm8k-mini-base")
    task = get_task("gsm8k-mini")
    groups = rollout(
        model,
        tokenizer,
        task,
        task.problems("validation", N),
        group_size=SAMPLES,
        max_new_tokens=task.max_new_tokens,
        seed=SEED,
    )
    return {
        "n": N,
        "samples": SAMPLES,
        "seed": SEED,
        "split": "validation",
        "temperature": 1.0,
        "graders": judged(groups),
        "toy": {
            "ways": WAYS,
            "rate": RATE,
            "hole": optimise(1.0),
            "no hole": optimise(0.0),
            "hole, plain gradient, last": optimise(1.0, natural=False)[-1],
        },
    }


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.9, width_ratios=(1, 1.1))
    names = list(BROKEN)
    values = [result["graders"][grader]["wrong_paid"] for grader in names]
    drawn = curves.bars(left, range(len(names)), values, LOOKS[1], flat=True, height=0.7)
    left.bar_label(drawn, [f"{value:.1%}" for value in values], padding=3, fontsize=9)
    left.set_yticks(range(len(names)), [grader.replace("_", " ") for grader in names], fontsize=9)
    left.invert_yaxis()
    left.grid(axis="y", visible=False)
    left.set(title="Wrong answers paid", xlim=(0, 1.3 * max(values) + 0.01))
    left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    hole, sound = result["toy"]["hole"], result["toy"]["no hole"]
    for points, what, look, label in (
        (hole, "paid", LOOKS[1], "paid, grader with a hole"),
        (hole, "right", LOOKS[0], "right, grader with a hole"),
        (sound, "right", LOOKS[2], "right, sound grader"),
    ):
        curves.line(right, range(len(points)), [c[what] for c in points], look, label)
    curves.frame(right, "Toy policy", x="step", share=True)
    right.legend(loc="upper left", bbox_to_anchor=(-0.15, -0.17))
    save(figure, HERE / "hacked.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
