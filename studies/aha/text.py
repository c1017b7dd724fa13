"""The aha experiment's numbers -> pages in Markdown. `studies/aha/figures.py` calls this."""

from minilrm.reflection.command import points
from studies.aha.tables import (
    ARMS,
    arm_table,
    bases_table,
    claims_table,
    collapsed,
    overview_table,
    parallel_table,
    pretraining_table,
)
from studies.markdown import DASH, MISSING, boxed, machine_words, percent, spread, table

ASIDE = {
    "multiplication": " (The thresholds are countdown's. Of this task no more was asked than to "
    "measure the same.)"
}


def block(summary: dict) -> str:
    """All there is, task by task."""
    parts = [task_block(task, s) for task, s in summary.items()]
    if any(s["arms"] for s in summary.values()):
        parts.append(
            "Reflection is amplified here from a seed in the corpus, not created from nothing: the "
            "control without the seed is the test of that."
        )
    parts.append("Every number: data/results/aha.json, by `python -m studies.aha.figures`.")
    return "\n\n".join(parts)


def task_block(task: str, s: dict) -> str:
    if not s["bases"] and not s["arms"] and not s["parallel"] and not s["pretraining"]:
        return f"### {task}\n\n{MISSING}: `python -m studies.aha {task} all` measures it."
    first = next((x for arm in s["arms"].values() for x in arm["seeds"].values()), None)
    n = f"n = {first['n']} problems, the same for all; " if first else ""
    parts = [
        f"### {task}",
        f"Test split, {n}last checkpoint, sampled at T = 1 unless said otherwise. An interval is "
        f"95 %; in brackets behind it, the cases. A dash: {MISSING}, too few cases, or nothing to "
        "divide by.",
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
        "*Sequential against parallel*, at equal tokens: the reflecting policy once, against the "
        "unreflecting one until as many tokens are spent.",
        parallel_table(s),
        "*Retry data in pretraining*, at equal tokens, before any reinforcement learning:",
        pretraining_table(s),
        "*A transcript.*",
        transcript(s["transcript"]),
        f"Measured on {machine_words(s['machine'])}." if s["machine"] else "",
    ]
    return "\n\n".join(part for part in parts if part)


def hot_line(s: dict) -> str:
    seeds = "; ".join(f"seed {seed} {points(d)}" for seed, d in s["hot less default"].items())
    return (
        "Rollouts at T = 1.25 less those at T = 1, both tested at T = 1 on the same problems: "
        f"{seeds or MISSING}."
    )


def transcript(t: dict | None) -> str:
    """One problem before and after. It is picked; the tables count them all."""
    if not t:
        return f"A transcript: {MISSING}."
    return boxed(
        f"{t['prompt']}\n\n--- before ---\n{t['before'].strip()}\n\n"
        f"--- after ---\n{t['after'].strip()}"
    )


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
