"""The README's section on the stories, written from the results by code."""

from typing import Any

from studies.main.numbers import difference, figures_of, outcomes, over_seeds
from studies.main.text import EQUAL_DECODING, accuracy_table, all_seeds, heading
from studies.markdown import MISSING, points, show

ROWS = ("sampled", "greedy", "forced 0", "pass@8", "thinks", "mean length")


def comparison(base: dict[str, Any], runs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Base and policies on the test split, as `studies.main` has them for its own task."""
    before = figures_of(base["test"], None)
    after = {seed: figures_of(run["test"], None) for seed, run in runs.items()}
    return {
        "n": base["test"]["n"],
        "steps": next((run["summary"]["steps"] for run in runs.values()), None),
        "seeds": list(runs),
        "base": before,
        "grpo": after,
        "grpo_over_seeds": {name: over_seeds(f[name] for f in after.values()) for name in before},
        "equal": {
            seed: difference(
                outcomes(run["test"], "greedy"),
                outcomes(base["test"], "forced 0"),
                base["structures"],
            )
            for seed, run in runs.items()
        },
        "structures": len(set(base["structures"])),
        "base_over_structures": difference(
            outcomes(base["test"], "forced 0"), [0] * base["test"]["n"], base["structures"]
        ),
    }


def readme_block(s: dict[str, Any] | None, beyond: list[str]) -> str:
    """The ladder as a picture, the table, and what is left at equal decoding. beyond: the rungs on
    which every seed is above the base's interval."""
    if not s or not s["grpo"]:
        return f"Figures: {MISSING}. `python -m studies.stories all` measures."
    each = "; ".join(show(cell, points) for cell in s["equal"].values())
    return "\n\n".join(
        [
            "![right answers, rung by rung, base and after GRPO](data/results/ladder.png)",
            heading(s, "stories (the test split has structures that no training story has)"),
            accuracy_table(s, all_seeds(s), ROWS),
            f"Stories of one structure are alike, and the test split has {s['structures']} "
            "structures: with an interval over these instead of problems, the base with thinking "
            f"forced, greedily, is at {show(s['base_over_structures'])}. "
            f"At equal decoding ({EQUAL_DECODING}) the gain in points is {each}, with intervals "
            "over structures; what a policy gains beyond that is *when* to think. Every seed lies "
            "above the base's interval on these rungs alone: "
            f"{', '.join(beyond) or 'none'}. Each rung with its definition and its "
            "intervals: [data/results/ladder.md](data/results/ladder.md).",
        ]
    )
