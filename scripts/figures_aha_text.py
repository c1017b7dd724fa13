"""The aha experiment's numbers -> tables in Markdown. `scripts/figures_aha.py` calls this; nothing
is computed here."""

from collections.abc import Callable

from figures_text import DASH, LEAST_SEEDS, MISSING, machine_words, percent, table

from minilrm.ask import neutralise
from minilrm.reflection.command import ROWS, cell, points

ARMS = {
    "seeded": "GRPO from the seeded base, rollouts at T = 1",
    "hot": "the same, rollouts at T = 1.25",
    "unseeded": "control: GRPO from a base whose corpus held no reflection",
    "shuffled": "control: rewards handed out at random",
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
ASIDE = {
    "multiplication": " (The thresholds are countdown's. Of this task no more was asked than to measure the same.)"
}


# -- cells -----------------------------------------------------------------------------------------


def rate(value: float | None, ci: list | None, n: int | None = None) -> str:
    if value is None:
        return DASH
    return f"{percent(value)} ({100 * ci[0]:.1f} to {100 * ci[1]:.1f}" + (
        f", n = {n})" if n else ")"
    )


def spread(over: dict | None, form: Callable[[float], str] = percent) -> str:
    if over is None:
        return DASH
    return f"{form(over['mean'])} ({form(over['min']).removesuffix(' %')} to {form(over['max']).removesuffix(' %')})"


def form_of(name: str) -> Callable[[float], str]:
    return {"mean_length": "{:.1f}".format, "entropy": "{:.3f}".format}.get(name, percent)


def seeds_of(found: dict) -> list[str]:
    return sorted({*found, *map(str, range(LEAST_SEEDS))}, key=int)


# -- parts -----------------------------------------------------------------------------------------


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
        count = (
            f" ({c['held']} of {c['of']} seeds)" if c["held"] is not None and c["of"] > 1 else ""
        )
        rows.append([c["claim"], found, word + count])
    return table(["claim", "found, seed by seed", "holds"], rows)


def bases_table(s: dict) -> str:
    """Both bases: accuracy at each temperature, as a lower one alone can look like learning."""
    rows = []
    for name in ("seeded", "unseeded"):
        base = s["bases"].get(name)
        if base is None:
            rows.append([name, MISSING, *[DASH] * 6])
            continue
        heat = [
            rate(f["accuracy"], f["accuracy_ci"]) + (" *" if t == base["best"] else "")
            for t, f in base["temperatures"].items()
        ]
        rows.append(
            [
                f"{name} (`{base['name']}`)",
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
    rows = []
    for arm, name in ARMS.items():
        found = s["arms"].get(arm)
        if found is None:
            rows.append([name, *[DASH] * (len(OVER) + 1), MISSING])
            continue
        verdict = found["verdict"]
        few = len(verdict["each"]) < LEAST_SEEDS
        word = verdict["verdict"] + (
            ""
            if verdict["claim"]
            else f" ({len(verdict['each'])} seeds only: no claim)"
            if few
            else f" (no claim, the seeds differ: {', '.join(verdict['each'])})"
        )
        if stopped := collapsed(s, arm):
            name += f" (seed {', '.join(stopped)}: accuracy collapsed, the run stopped itself)"
        rows.append(
            [
                name,
                *(spread(found["over_seeds"][key], form_of(key)) for key in OVER),
                spread(found["over_seeds"]["ablation_gap"], lambda v: f"{100 * v:+.1f}"),
                word,
            ]
        )
    return table(
        [
            "mean (least to greatest of the seeds)",
            *OVER.values(),
            "ablation gap, points",
            "verdict",
        ],
        rows,
    )


def hot_line(s: dict) -> str:
    seeds = "; ".join(f"seed {seed} {points(d)}" for seed, d in s["hot less default"].items())
    return f"Rollouts at T = 1.25 less those at T = 1, both tested at T = 1 on the same problems: {seeds or MISSING}."


def arm_table(arm: dict) -> str:
    """All measures of one arm, seed by seed."""
    seeds = seeds_of(arm["seeds"])
    got = [arm["seeds"].get(seed) for seed in seeds]

    def line(label: str, form: Callable[[dict], str]) -> list[str]:
        return [label, *(DASH if x is None else form(x) for x in got)]

    def part(name: str) -> Callable[[dict], str]:
        def form(x: dict) -> str:
            p = x["decomposition"][name]
            return points(p) + (
                f"; {p['share']:.0%} of the gain"
                if p["share"] is not None and name != "gain"
                else ""
            )

        return form

    rows = [
        line(
            label.strip(),
            lambda x, name=name: f"{cell(x['before'][name])} → {cell(x['after'][name])}",
        )
        for name, label in ROWS.items()
    ]
    rows += [
        line(
            "answer right with the word banned", lambda x: cell(x["after_banned"]["final_accuracy"])
        ),
        line("tries again with the word banned", lambda x: cell(x["after_banned"]["retry_rate"])),
        line("ablation gap", lambda x: points(x["ablation_gap"])),
        line("gain", part("gain")),
        line("... sharpening", part("sharpening")),
        line("... retrying", part("retrying")),
        line(
            "above the base's best temperature",
            lambda x: points(x["over best temperature"]) if x["over best temperature"] else MISSING,
        ),
        line("greedy", lambda x: rate(x["greedy"], x["greedy_ci"])),
        line(
            "greedy, above the base's best temperature",
            lambda x: (
                points(x["greedy over best temperature"])
                if x["greedy over best temperature"]
                else MISSING
            ),
        ),
        line("right out of distribution", lambda x: rate(x["ood"], x["ood_ci"], x["ood_n"])),
        line(
            "verdict",
            lambda x: (
                x["verdict"]["verdict"]
                + (
                    f" (fails: {', '.join(x['verdict']['failed'])})".replace("_", " ")
                    if x["verdict"]["failed"]
                    else ""
                )
            ),
        ),
        line(
            "cost",
            lambda x: (
                f"{x['steps']} steps, {x['tokens']:,} tokens, {x['seconds'] / 60:.1f} min on one thread"
            ),
        ),
    ]
    return table(["step 0 → after", *(f"seed {seed}" for seed in seeds)], rows)


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


def transcript(t: dict | None) -> str:
    """One problem before and after. It is picked; the tables count them all."""
    if not t:
        return f"A transcript: {MISSING}."
    text = neutralise(
        f"{t['prompt']}\n\n--- before ---\n{t['before'].strip()}\n\n--- after ---\n{t['after'].strip()}"
    )
    return (
        "```text\n" + text.replace("<!--", "<! --").replace("```", "'''") + "\n```"
    )  # a model's text stays in its box


def task_block(task: str, s: dict) -> str:
    if not s["bases"] and not s["arms"] and not s["parallel"] and not s["pretraining"]:
        return f"### {task}\n\n{MISSING}: `python scripts/study_aha.py {task} all` measures it."
    first = next((x for arm in s["arms"].values() for x in arm["seeds"].values()), None)
    n = f"n = {first['n']} problems, the same for all; " if first else ""
    parts = [
        f"### {task}",
        f"Test split, {n}last checkpoint, sampled at T = 1 unless said otherwise. An interval is 95 %; "
        f"in brackets behind it, the cases. A dash: {MISSING}, too few cases, or nothing to divide by.",
        "*What this was to show.* A claim holds if it holds in every seed." + ASIDE.get(task, ""),
        claims_table(s),
        "*The bases.* A star: the best temperature.",
        bases_table(s),
        "*The arms.*",
        overview_table(s),
        hot_line(s),
    ]
    for arm, name in ARMS.items():
        if arm in s["arms"]:
            parts += [
                f"<details><summary>{name}: all measures, seed by seed</summary>",
                arm_table(s["arms"][arm]),
                "</details>",
            ]
    parts += [
        "*Sequential against parallel*, at equal tokens: the reflecting policy once, against the unreflecting one until "
        "as many tokens are spent.",
        parallel_table(s),
        "*Retry data in pretraining*, at equal tokens, before any reinforcement learning:",
        pretraining_table(s),
        "*A transcript.*",
        transcript(s["transcript"]),
        f"Measured on {machine_words(s['machine'])}." if s["machine"] else "",
    ]
    return "\n\n".join(part for part in parts if part)


def headline(summary: dict) -> str:
    """The README's few lines: what grew, what it is worth, and what comes without it. Mean, least
    and greatest of the seeds."""

    def row(label: str, s: dict, name: str) -> list[str]:
        arms, base = s["arms"], s["bases"].get("seeded")
        before, best = DASH, DASH
        if base and name == "final_accuracy":
            before, best = (
                percent(base["temperatures"][t]["accuracy"]) for t in ("1", base["best"])
            )
        elif base and not base["measures"][name]["too_few"]:
            before = percent(base["measures"][name]["rate"])
        over = [
            spread(arms[arm]["over_seeds"][key]) + " *" * bool(collapsed(s, arm))
            if arm in arms
            else DASH
            for arm, key in (
                ("seeded", name),
                ("seeded", f"banned {name}"),
                ("unseeded", name),
                ("shuffled", name),
            )
        ]
        return [label, before, best, *over]

    rows = [
        row(f"{task}: {words}", s, name)
        for task, s in summary.items()
        if s["arms"]
        for words, name in (
            ("right", "final_accuracy"),
            ("tries again after failing", "retry_rate"),
        )
    ]
    if not rows:
        return f"The aha moment: {MISSING}."
    n = max(
        seed["n"]
        for s in summary.values()
        for arm in s["arms"].values()
        for seed in arm["seeds"].values()
    )
    return table(
        [
            f"test, n = {n}, T = 1; mean (least to greatest of the seeds)",
            "base",
            "base at its best temperature",
            "after GRPO",
            "... with the word banned",
            "GRPO, no reflection in the corpus",
            "GRPO, rewards at random (*: collapsed, stopped early)",
        ],
        rows,
    )


def block(summary: dict) -> str:
    """All there is, task by task."""
    parts = [task_block(task, s) for task, s in summary.items()]
    if any(s["arms"] for s in summary.values()):
        parts.append(
            "Reflection is amplified here from a seed in the corpus, not created from nothing: the control without "
            "the seed is the test of that."
        )
    parts.append("Every number: data/results/aha.json, by `python scripts/figures_aha.py`.")
    return "\n\n".join(parts)
