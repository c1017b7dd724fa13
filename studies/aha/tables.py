"""The aha experiment's numbers -> tables in Markdown; text.py makes a page of them."""

from collections.abc import Callable

from minilrm.reflection.command import ROWS, cell, points
from studies.markdown import DASH, LEAST_SEEDS, MISSING, percent, spread, table

ARMS = {
    "seeded": "GRPO from the base with reflection, rollouts at T = 1",
    "hot": "the same, rollouts at T = 1.25",
    "unseeded": "control: GRPO from a base whose corpus held no reflection",
    "shuffled": "control: rewards handed out at random",
    "shuffled-slow": "the same at a learning rate of 5e-5, which a policy survives",
    "expert": "expert iteration: right answers imitated, nothing compared",
}
OVER = {
    "final_accuracy": "answer right",
    "greedy": "greedy",
    "first_try_accuracy": "first try right",
    "retry_rate": "tries again after failing",
    "false_accept": "accepts a wrong attempt",
    "mean_length": "mean length, tokens",
    "entropy": "entropy, nats",
    "ood": "right out of distribution",
}


# -- cells -----------------------------------------------------------------------------------------


def rate(value: float | None, ci: list | None, n: int | None = None) -> str:
    if value is None:
        return DASH
    return f"{percent(value)} ({100 * ci[0]:.1f} to {100 * ci[1]:.1f}" + (
        f", n = {n})" if n else ")"
    )


def form_of(name: str) -> Callable[[float], str]:
    return {"mean_length": "{:.1f}".format, "entropy": "{:.3f}".format}.get(name, percent)


def seeds_of(found: dict) -> list[str]:
    return sorted({*found, *map(str, range(LEAST_SEEDS))}, key=int)


# -- tables ----------------------------------------------------------------------------------------


def claims_table(s: dict) -> str:
    forms = {
        "share": percent,
        "points": lambda v: f"{100 * v:+.1f} points",
        "times": "x {:.1f}".format,
        "seconds": lambda v: f"{v / 60:.1f} min",
        "nats": "{:.3f}".format,
        "word": str,
    }
    rows = []
    for c in s["claims"]:
        found = "; ".join(DASH if v is None else forms[c["unit"]](v) for v in c["found"]) or DASH
        word = {True: "yes", False: "no", None: MISSING, "stated": "stated"}[c["holds"]]
        if c["holds"] is None and None in c["found"]:
            word = "too few cases"
        elif c["holds"] is None and c["of"] >= LEAST_SEEDS:
            word = "not shown by this"
        elif c["holds"] is None and c["of"]:
            word = "too few seeds so far" if c["held"] is not None else "stated so far"
        several = c["held"] is not None and c["of"] > 1
        count = f" ({c['held']} of {c['of']} seeds)" if several else ""
        rows.append([c["claim"], found, word + count])
    return table(["claim", "found, seed by seed", "holds"], rows)


def bases_table(s: dict) -> str:
    """Both bases: accuracy at each temperature, as a lower one alone can look like learning."""
    rows = []
    for name, words in (("seeded", "with reflection"), ("unseeded", "without reflection")):
        base = s["bases"].get(name)
        if base is None:
            rows.append([words, MISSING, *[DASH] * 6])
            continue
        heat = [
            rate(f["accuracy"], f["accuracy_ci"]) + (" *" if t == base["best"] else "")
            for t, f in base["temperatures"].items()
        ]
        rows.append(
            [
                f"{words} (`{base['name']}`)",
                *heat,
                cell(base["measures"]["retry_rate"]),
                cell(base["measures"]["mean_length"]),
                rate(base["ood"], base["ood_ci"]),
            ]
        )
    return table(
        [
            "base",
            "right, greedy",
            "T = 0.3",
            "T = 0.6",
            "T = 1",
            "tries again after failing",
            "mean length, tokens",
            "right out of distribution",
        ],
        rows,
    )


def collapsed(s: dict, arm: str) -> list[str]:
    """Of which seeds the run stopped itself, as its accuracy had collapsed: it has fewer steps than
    the other arms' runs."""
    planned = max(
        (x["steps"] for found in s["arms"].values() for x in found["seeds"].values()), default=0
    )
    return [seed for seed, x in s["arms"][arm]["seeds"].items() if x["steps"] < planned]


def overview_table(s: dict) -> str:
    """Each arm over its seeds, with its verdict."""
    head = ["mean (least to greatest of the seeds)", *OVER.values()]
    rows = []
    for arm, name in ARMS.items():
        if arm not in s["arms"]:
            rows.append([name, *[DASH] * (len(OVER) + 1), MISSING])
            continue
        over, verdict = s["arms"][arm]["over_seeds"], s["arms"][arm]["verdict"]
        if stopped := collapsed(s, arm):
            name += f" (seed {', '.join(stopped)}: accuracy collapsed, the run stopped itself)"
        cells = [spread(over[key], form_of(key)) for key in OVER]
        gap = spread(over["ablation_gap"], lambda v: f"{100 * v:+.1f}")
        rows.append([name, *cells, gap, over_seeds_words(verdict)])
    return table([*head, "ablation gap, points", "verdict"], rows)


def over_seeds_words(verdict: dict) -> str:
    """The verdict over the seeds, and why it is no claim if it is none."""
    each = verdict["each"]
    if verdict["claim"]:
        return verdict["verdict"]
    if len(each) < LEAST_SEEDS:
        return f"{verdict['verdict']} ({len(each)} seeds only: no claim)"
    return f"{verdict['verdict']} (no claim, the seeds differ: {', '.join(each)})"


def arm_table(arm: dict) -> str:
    """All measures of one arm, seed by seed."""
    seeds = seeds_of(arm["seeds"])
    got = [arm["seeds"].get(seed) for seed in seeds]
    rows = [
        [label, *(DASH if seed is None else form(seed) for seed in got)]
        for label, form in arm_rows().items()
    ]
    return table(["step 0 → after", *(f"seed {seed}" for seed in seeds)], rows)


def arm_rows() -> dict[str, Callable[[dict], str]]:
    """Label of a row -> how a seed's figures are written there."""
    change = {
        label.strip(): lambda x, name=name: f"{cell(x['before'][name])} → {cell(x['after'][name])}"
        for name, label in ROWS.items()
    }
    best = "over best temperature"
    return {
        **change,
        "answer right with the word banned": lambda x: cell(x["after_banned"]["final_accuracy"]),
        "tries again with the word banned": lambda x: cell(x["after_banned"]["retry_rate"]),
        "ablation gap": lambda x: points(x["ablation_gap"]),
        "gain": lambda x: points(x["decomposition"]["gain"]),
        "... sharpening": lambda x: part_of_gain(x["decomposition"]["sharpening"]),
        "... retrying": lambda x: part_of_gain(x["decomposition"]["retrying"]),
        "above the base's best temperature": lambda x: points(x[best]) if x[best] else MISSING,
        "greedy": lambda x: rate(x["greedy"], x["greedy_ci"]),
        "greedy, above the base's best temperature": lambda x: (
            points(x[f"greedy {best}"]) if x[f"greedy {best}"] else MISSING
        ),
        "right out of distribution": lambda x: rate(x["ood"], x["ood_ci"], x["ood_n"]),
        "verdict": lambda x: verdict_words(x["verdict"]),
        "cost": lambda x: (
            f"{x['steps']} steps, {x['tokens']:,} tokens, {x['seconds'] / 60:.1f} min on one thread"
        ),
    }


def part_of_gain(part: dict) -> str:
    share = part["share"]
    return points(part) + ("" if share is None else f"; {share:.0%} of the gain")


def verdict_words(verdict: dict) -> str:
    failed = ", ".join(verdict["failed"]).replace("_", " ")
    return verdict["verdict"] + (f" (fails: {failed})" if failed else "")


def parallel_table(s: dict) -> str:
    if not s["parallel"]:
        return f"One long sample against best-of-n: {MISSING}."
    rows = []
    for seed, found in s["parallel"].items():
        one = found["sequential"]
        for price, words in (("stops", "stops when its check accepts"), ("all", "all n at once")):
            p = found["parallel"][price]
            rows.append(
                [
                    seed,
                    rate(one["accuracy"], one["ci"]),
                    f"{one['tokens']:.1f}",
                    words,
                    f"{p['n']}" + ("" if p["budget_met"] else " (the most there is)"),
                    rate(p["accuracy"], p["ci"]),
                    f"{p['tokens']:.1f}",
                    points(p["sequential less parallel"]),
                    percent(p["oracle"]),
                ]
            )
    return table(
        [
            "seed",
            "one long sample",
            "tokens",
            "the unreflecting one",
            "n",
            "best of n by its own check",
            "tokens",
            "sequential less parallel",
            "any of n right",
        ],
        rows,
    )


def pretraining_table(s: dict) -> str:
    if not s["pretraining"]:
        return f"Retry data in pretraining: {MISSING}."
    rows = []
    for share, found in s["pretraining"].items():
        for seed, x in found["seeds"].items():
            rows.append(
                [
                    share,
                    seed,
                    rate(x["accuracy"], x["accuracy_ci"]),
                    DASH if x["over none"] is None else points(x["over none"]),
                    rate(x["greedy"], x["greedy_ci"]),
                    DASH if x["over none, greedy"] is None else points(x["over none, greedy"]),
                    cell(x["first_try_accuracy"]),
                    cell(x["retry_rate"]),
                    cell(x["mean_length"]),
                ]
            )
    return table(
        [
            "share of reflecting writers",
            "seed",
            "right, T = 1",
            "less share 0",
            "right, greedy",
            "less share 0",
            "first try right",
            "tries again after failing",
            "mean length, tokens",
        ],
        rows,
    )
