"""The runs that `diagnose` is held to: those of recordings/, and runs that are made up, each with
the word for it."""

import json
from collections.abc import Iterator
from pathlib import Path

RECORDINGS = Path(__file__).resolve().parent / "recordings"

#: What ails the runs in recordings/; figures.py has their commands.
RECORDED = {
    "a": "cut off",
    "b": "healthy",
    "c": "all wrong",
    "d": "too fast",
    "e": "too fast",
    "f": "wrong reward",
    "g": "all right",
    "h": "stale",
}

# name -> its value in the first half of the steps, and in the second
HEALTHY = {
    "reward": (0.35, 0.85),
    "accuracy": (0.3, 0.8),
    "entropy": (0.3, 0.15),
    "mean_length": (40, 60),
    "cut": (0.02, 0.0),
    "dull": (0.1, 0.3),
    "grad_norm": (0.4, 0.3),
    "clipped": (0.0, 0.0),
}

# Runs in which several lines of the table hold: (what differs from HEALTHY, word, why).
CAUSES = [
    (
        {"cut": (0.9, 0.9), "accuracy": (0.0, 0.0), "dull": (1.0, 1.0)},
        "cut off",
        "all answers are cut off and so all are wrong; the limit is the cause",
    ),
    (
        {"cut": (0.0, 0.9), "accuracy": (0.4, 0.0), "dull": (0.1, 1.0)},
        "too fast",
        "it began well and ends with endless wrong answers; cut and dull at the END are symptoms",
    ),
    (
        {"accuracy": (0.4, 0.0), "dull": (0.1, 1.0), "entropy": (0.3, 0.0)},
        "too fast",
        "it began well and ends all wrong, frozen: entropy is a symptom",
    ),
    (
        {"accuracy": (0.4, 0.1), "clipped": (0.3, 0.4)},
        "stale",
        "accuracy was lost on old samples: that is the cause",
    ),
    (
        {"accuracy": (0.3, 0.97), "dull": (0.1, 0.9), "entropy": (0.3, 0.02)},
        "healthy",
        "it has learnt all there is: entropy near 0 and equal groups are how success looks",
    ),
    (
        {"accuracy": (0.95, 0.99), "dull": (0.7, 0.9), "entropy": (0.2, 0.02)},
        "all right",
        "right from the FIRST quarter on: there was nothing to learn",
    ),
    (
        {"accuracy": (0.0, 0.8), "dull": (0.6, 0.2)},
        "healthy",
        "nothing right at first, and yet it has learnt",
    ),
    (
        {"accuracy": (0.3, 0.35), "reward": (0.4, 0.95), "entropy": (0.3, 0.02)},
        "collapsed",
        "reward rose without accuracy, and entropy is spent: the table asks for collapse first",
    ),
    (
        {"accuracy": (0.3, 0.35), "reward": (1.0, 1.0)},
        "wrong reward",
        "reward 1 all the time and a third of the answers right: it need not rise to be wrong",
    ),
    (
        {"clipped": (0.0, 0.3)},
        "stale",
        "clipped is 0 at first and 0.3 in the second half: its mean over ALL steps counts",
    ),
]

# Runs just inside and just outside of each limit of the table.
BORDERS = [
    ({"cut": (0.55, 0.0)}, "cut off"),
    ({"cut": (0.5, 0.0)}, "healthy"),
    ({"dull": (0.83, 0.1), "accuracy": (0.08, 0.5)}, "all wrong"),
    ({"dull": (0.77, 0.1), "accuracy": (0.08, 0.5)}, "healthy"),
    ({"dull": (0.83, 0.1), "accuracy": (0.12, 0.5)}, "healthy"),
    ({"dull": (0.55, 0.6), "accuracy": (0.92, 0.95)}, "all right"),
    ({"dull": (0.45, 0.6), "accuracy": (0.92, 0.95)}, "healthy"),
    ({"dull": (0.55, 0.6), "accuracy": (0.88, 0.95)}, "healthy"),
    ({"clipped": (0.12, 0.12)}, "stale"),
    ({"clipped": (0.08, 0.08)}, "healthy"),
    ({"accuracy": (0.5, 0.23), "reward": (0.6, 0.3)}, "too fast"),
    ({"accuracy": (0.5, 0.27), "reward": (0.6, 0.3)}, "healthy"),
    ({"accuracy": (0.5, 0.85), "entropy": (0.5, 0.045)}, "collapsed"),
    ({"accuracy": (0.5, 0.85), "entropy": (0.5, 0.055)}, "healthy"),
    ({"accuracy": (0.5, 0.88), "entropy": (0.5, 0.02)}, "collapsed"),
    ({"accuracy": (0.5, 0.92), "entropy": (0.5, 0.02)}, "healthy"),
    ({"accuracy": (0.3, 0.4), "reward": (0.4, 0.92)}, "wrong reward"),
    ({"accuracy": (0.3, 0.4), "reward": (0.4, 0.88)}, "healthy"),
]


def made_up(steps: int = 12, **other) -> dict:
    """A run of two halves, `name=(in the first half, in the second)`, else healthy. So how many
    steps a mean takes at either end does not matter here."""
    first = steps - steps // 2
    return {
        name: [low] * first + [high] * (steps // 2)
        for name, (low, high) in (HEALTHY | other).items()
    }


def windows() -> Iterator[tuple[dict, str, str]]:
    """Runs whose word depends on how many steps make a quarter: (metrics, word, why)."""
    for steps, begins in (
        (16, [0.4, 0.4, 0.4, 1.0]),
        (10, [0.4, 0.7]),
        (11, [0.4, 0.7]),
        (7, [0.6]),
    ):
        metrics = made_up(steps)
        metrics["cut"] = begins + [0.0] * (steps - len(begins))
        share = sum(begins) / len(begins)
        why = f"of {steps} steps the first quarter is the first {len(begins)}"
        yield metrics, "cut off", f"{why} (n // 4), and the mean of cut there is {share:.2f}"
    metrics = made_up(16)
    metrics["accuracy"] = [0.8] * 12 + [0.1, 0.45, 0.45, 0.45]
    why = (
        "of 16 steps the last quarter is the last 4 (n // 4), and accuracy there is 0.36, from 0.8"
    )
    yield metrics, "too fast", why


def recorded(letter: str) -> dict:
    """The metrics of a run in recordings/."""
    return json.loads((RECORDINGS / f"{letter}.json").read_text(encoding="utf-8"))["metrics"]
