"""What the main job was to show, claim by claim. A claim holds if it holds in every seed."""

from collections.abc import Sequence

from studies.markdown import LEAST_SEEDS


def verdict(
    claim: str, unit: str, found: Sequence[float], held: Sequence[bool], needed: int = LEAST_SEEDS
) -> dict:
    """True if it holds in every seed, False if it fails in one; None as long as seeds are
    missing."""
    holds = False if not all(held) else True if len(held) >= needed else None
    return {
        "claim": claim,
        "unit": unit,
        "found": list(found),
        "held": sum(held),
        "of": len(held),
        "holds": holds,
    }


def verdicts(s: dict) -> list[dict]:
    """What this run was to show, claim by claim. unit: share, times (the base's), or points (of
    percentage)."""
    base = s["base"]
    name = f"GRPO after {s['steps']} steps" if s["steps"] else "GRPO"
    start = [base["sampled"]["value"]] if base else []
    cells = [figures["sampled"] for figures in s["grpo"].values()]
    sampled = [c["value"] for c in cells]
    ratios = [r["value"] for r in s["error_ratio"].values() if r["value"] is not None]
    held = [h["ratio"] for h in s["hold"].values()]
    found = [
        verdict(
            "base, sampled at T = 1: 20 to 45 % right",
            "share",
            start,
            [0.20 <= v <= 0.45 for v in start],
            needed=1,
        ),
        verdict(
            f"{name}, sampled at T = 1: at least 90 % right",
            "share",
            sampled,
            [v >= 0.90 for v in sampled],
        ),
        verdict(
            "the same: at least 97 % (the aim)", "share", sampled, [v >= 0.97 for v in sampled]
        ),
        verdict(
            "share of wrong answers when it thinks: at most half of the base's",
            "times",
            ratios,
            [r <= 0.5 for r in ratios],
        ),
    ]
    for label, rival in (
        ("with thinking forced, T = 1", "forced 1"),
        ("with thinking forced, T = 0", "forced 0"),
        ("at its best temperature", "best"),
    ):
        pairs = [(c, base[rival]) for c in cells] if base else []
        found.append(
            verdict(
                f"{name}, sampled: above the base {label}, intervals apart",
                "points",
                [c["value"] - b["value"] for c, b in pairs],
                [c["ci"][0] > b["ci"][1] for c, b in pairs],
            )
        )
    found.append(
        verdict(
            f"after {s['long_steps'] or 'five times as many'} steps: at least 97 % of its own best",
            "share",
            held,
            [ratio >= 0.97 for ratio in held],
        )
    )
    return found
