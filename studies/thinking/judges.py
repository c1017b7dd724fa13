"""Verifiers, and what is learnt from them: tables and a picture for the figures of this study.

chains        one chain, asked for in different ways
judges        how each reward model does against the exact labels
best of n     what a judge promises and what is true
process       GRPO with rewards for steps against rewards for outcomes
"""

from collections.abc import Sequence
from typing import Any

from minilrm import curves
from studies.markdown import DASH, percent, plain_number, show, table

LABELS = {
    "judge-exact": "exact labels",
    "judge-branch": "exact labels, and as many answers again that begin behind right steps",
    "judge-soft": "soft labels: the share of 8 continuations that are right",
    "judge-hard": "hard labels: whether any of 8 is right",
    "judge-outcome": "outcomes alone",
    "judge-noise-10": "exact, 10 % of them turned round",
    "judge-noise-30": "exact, 30 % of them turned round",
    "judge-thumbs": "500 verdicts of a simulated person, 5 % of them wrong",
    "judge-three": "three numbers: exact labels",
    "judge-stories": "word problems (a policy after GRPO): exact labels",
}
BEST_OF = {
    "best-of-exact": "a process model of exact labels",
    "best-of-outcome": "an outcome model",
    "best-of-likelihood": "the likelihood of the chain",
}
PROCESS = {
    "grpo-outcome": "outcome alone",
    "grpo-sum": "steps, summed (DeepSeekMath)",
    "grpo-min": "steps, the worst of those that follow (PURE)",
}
Part = dict[str, Any]


# -- numbers ---------------------------------------------------------------------------------------


def summarise(parts: Sequence[Part]) -> dict[str, Any]:
    """What of this study's parts belongs here; kinds that are missing are left out."""

    def of(kind: str) -> list[Part]:
        return [part for part in parts if part["kind"] == kind]

    judge_keys = ("f1", "error_accuracy", "right_accuracy", "step_accuracy", "brier", "threshold")
    return {
        "chains": of("chains")[0]["tasks"] if of("chains") else {},
        "judges": {
            kind: [{k: p["summary"][k] for k in judge_keys} | {"seed": p["seed"]} for p in of(kind)]
            for kind in LABELS
            if of(kind)
        },
        "best_of": {
            kind: {key: of(kind)[0][key] for key in ("rows", "alpha", "beta")}
            for kind in BEST_OF
            if of(kind)
        },
        "process": {kind: [trained(p) for p in of(kind)] for kind in PROCESS if of(kind)},
    }


def trained(part: Part) -> dict[str, Any]:
    """What a run of GRPO came to, and how many steps its answers have at its end."""
    test, curve = part["test"], part["curves"]
    steps = [x for x in curve.get("process/steps", ()) if x is not None]
    return {
        "seed": part["seed"],
        "sampled": {"value": test["accuracy"], "ci": test["accuracy_ci"], "n": test["n"]},
        "greedy": {"value": test["greedy"], "ci": test["greedy_ci"], "n": test["n"]},
        "length": curve["completions/mean_length"][-1],
        "steps": [steps[0], steps[-1]] if steps else None,
    }


# -- tables ----------------------------------------------------------------------------------------


def chains_block(found: dict[str, Any]) -> str:
    """Accuracy, tokens and seconds of one chain in each way."""
    rows = [
        [
            f"{task}: {way}",
            show({"value": row["accuracy"], "ci": row["ci"], "n": len(row["right"])}),
            plain_number(row["tokens"]),
            f"{1000 * row['seconds']:.0f} ms",
        ]
        for task, part in found["chains"].items()
        for way, row in part["ways"].items()
    ]
    return table(("one greedy chain", "right", "tokens", "time a problem"), rows)


def judges_block(found: dict[str, Any]) -> str:
    """One row a judge; of several seeds their mean."""

    def mean(rows: Sequence[dict[str, float]], key: str) -> float:
        return sum(row[key] for row in rows) / len(rows)

    rows = [
        [
            LABELS[kind],
            str(len(of)),
            *[f"{mean(of, key):.2f}" for key in ("f1", "error_accuracy", "right_accuracy")],
            percent(mean(of, "step_accuracy")),
            f"{mean(of, 'brier'):.3f}",
        ]
        for kind, of in found["judges"].items()
    ]
    head = ("learnt from", "seeds", "harmonic mean", "first wrong step", "right answers", "steps",
            "squared error")  # fmt: skip
    return table(head, rows)


def best_of_block(found: dict[str, Any]) -> str:
    """Right and promised by n, and where the fitted curve turns."""
    kinds = found["best_of"]
    numbers = [row["n"] for row in next(iter(kinds.values()))["rows"]]
    rows = []
    for kind, part in kinds.items():
        of = part["rows"]
        rows.append([f"{BEST_OF[kind]}: right", *[percent(r["true"]) for r in of], DASH])
        turn = part["alpha"] / (2 * part["beta"]) if part["beta"] > 0 else None
        said = f"d = {turn:.2f}" if turn else "nowhere"
        rows.append(["its mean score", *[f"{r['promised']:.2f}" for r in of], said])
    text = table(("best of", *map(str, numbers), "the curve turns at"), rows)
    alt = "right answers over the distance from the policy, for each judge"
    return f"![{alt}](../../data/results/best-of.png)\n\n{text}"


def process_block(found: dict[str, Any]) -> str:
    rows = []
    for kind, runs in found["process"].items():
        for run in runs:
            steps = f"{run['steps'][0]:.1f} to {run['steps'][1]:.1f}" if run["steps"] else DASH
            rows.append([
                PROCESS[kind], str(run["seed"]), show(run["sampled"]), show(run["greedy"]),
                plain_number(run["length"]), steps,
            ])  # fmt: skip
    head = ("rewards", "seed", "sampled", "greedily", "tokens at the end", "steps an answer")
    return table(head, rows)


BLOCKS = {
    "figures:one-chain": ("chains", chains_block),
    "figures:judges": ("judges", judges_block),
    "figures:best-of": ("best_of", best_of_block),
    "figures:process": ("process", process_block),
}


# -- a picture -------------------------------------------------------------------------------------


@curves.style()
def draw(kinds: dict[str, Part]) -> bytes:
    """Right answers over the distance from the policy, with the fitted curve behind them."""
    figure, [axes] = curves.panels(1, height=3.0)
    for (kind, part), look in zip(kinds.items(), curves.LOOKS, strict=False):
        d = [row["d"] for row in part["rows"]]
        first = part["rows"][0]["true"]
        fitted = [first + x * (part["alpha"] - part["beta"] * x) for x in d]
        axes.plot(d, fitted, color=look.color, alpha=0.35, linewidth=3.5, linestyle="-")
        curves.line(axes, d, [row["true"] for row in part["rows"]], look, BEST_OF[kind])
    x = "distance from the policy, sqrt(KL), of the best of 1 to 64"
    curves.frame(axes, "What is true of the chain that a judge likes best", x=x, share=True)
    axes.legend()
    return curves.png(figure)
