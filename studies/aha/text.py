"""The aha experiment's numbers -> pages in Markdown. `studies/aha/figures.py` calls this."""

from minilrm.reflection.command import points
from studies.aha import rivals_text
from studies.aha.tables import (
    ARMS,
    arm_table,
    bases_table,
    claims_table,
    collapsed,
    form_of,
    overview_table,
    parallel_table,
    pretraining_table,
)
from studies.markdown import DASH, MISSING, boxed, machine_words, percent, spread, table

ASIDE = {
    "multiplication": " (The thresholds are countdown's. Of this task no more was asked than to "
    "measure the same.)"
}


def page(summary: dict) -> str:
    """data/results/aha.md: the lecture's block, and all measures of each arm, seed by seed."""
    return (
        "# The aha moment: all measures\n\nWritten by `python -m studies.aha.figures` from "
        "[aha.jsonl](aha.jsonl) and [aha-baselines.jsonl](aha-baselines.jsonl); [lecture 17]"
        "(../../lectures/17_aha_moment/README.md) says what to make of it.\n\n"
        f"{block(summary, whole=True)}\n"
    )


def block(summary: dict, whole: bool = False) -> str:
    """Task by task. whole: with all measures of each arm, seed by seed."""
    parts = [task_block(task, s, whole) for task, s in summary.items()]
    if any(s["arms"] for s in summary.values()):
        parts.append(
            "Reflection is amplified here from what the corpus holds, not created from nothing: "
            "the control whose corpus held none is the test of that."
        )
    parts.append(
        "All measures of each arm, seed by seed: data/results/aha.md; every number: "
        "data/results/aha.json; both by `python -m studies.aha.figures`."
    )
    return "\n\n".join(parts)


def task_block(task: str, s: dict, whole: bool = False) -> str:
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
        *rivals_text.block(task, s),
        "*The arms.*",
        overview_table(s),
        hot_line(s),
    ]
    for arm, name in ARMS.items():
        if whole and arm in s["arms"]:
            parts += [
                f"*{name[0].upper()}{name[1:]}*: all measures, seed by seed.",
                arm_table(s["arms"][arm]),
            ]
    parts += [
        "*The policies, sequential against parallel*, at equal tokens: the reflecting one once, "
        "against the unreflecting one until as many tokens are spent. (Above: against the base.)",
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
    both = s.get("rivals", {}).get("differences", {}).get("GRPO less GRPO, rollouts at T = 1.25")
    low, high = both["ci"] if both else (0.0, 0.0)
    over = both and f" Over seeds and problems: {-100 * both['difference']:+.1f} points "
    ends = f"({-100 * high:.1f} to {-100 * low:.1f})."
    return (
        "Rollouts at T = 1.25 less those at T = 1, both tested at T = 1 on the same problems: "
        f"{seeds or MISSING}.{over + ends if over else ''}"
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
    if not any(s["arms"] for s in summary.values()):
        return f"The aha moment: {MISSING}."
    n = max(
        seed["n"]
        for s in summary.values()
        for arm in s["arms"].values()
        for seed in arm["seeds"].values()
    )
    head = [
        f"test, n = {n}, policies at T = 1; mean (least to greatest of the seeds)",
        "base",
        "base at its best temperature",
        "base made to try again",
        "... repeats refused",
        "after GRPO",
        "... with the word banned",
        "GRPO, no reflection in the corpus",
        "GRPO, rewards at random (*: collapsed, stopped early)",
    ]
    rows = [
        [f"{task}: {words}", *headline_cells(s, name)]
        for task, s in summary.items()
        if s["arms"]
        for words, name in (
            ("right", "final_accuracy"),
            ("tokens per answer", "mean_length"),
            ("tries again after failing", "retry_rate"),
        )
    ]
    return table(head, rows)


def headline_cells(s: dict, name: str) -> list[str]:
    """A row of the README's table: the base, its rivals, the arms."""
    arms, base, form = s["arms"], s["bases"].get("seeded"), form_of(name)
    cells = [DASH, DASH]
    if base and name != "retry_rate":
        key = {"final_accuracy": "accuracy", "mean_length": "mean_length"}[name]
        cells = [form(base["temperatures"][t][key]) for t in ("1", base["best"])]
    elif base and not base["measures"][name]["too_few"]:
        cells = [percent(base["measures"][name]["rate"]), DASH]
    for kind in rivals_text.FORCED:
        found = s.get("rivals", {}).get(kind, {}).get("seeded")
        known = found and name != "retry_rate"
        words = rivals_text.over(found) if known and name == "final_accuracy" else DASH
        cells.append(form(found["tokens"]) if known and name == "mean_length" else words)
    for arm, key in (
        ("seeded", name),
        ("seeded", f"banned {name}"),
        ("unseeded", name),
        ("shuffled", name),
    ):
        over = arms[arm]["over_seeds"].get(key) if arm in arms else None
        mark = " *" * (arm in arms and bool(collapsed(s, arm)))
        cells.append(spread(over, form) + mark)
    return cells
