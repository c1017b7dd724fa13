"""The variant study's numbers -> tables in Markdown; `python -m studies.variants.figures` calls
this."""

import numpy as np

from studies.markdown import DASH, MISSING, points, show, table


def significant(difference: dict | None) -> str:
    if difference is None:
        return DASH
    return {None: f"{len(difference['each'])} seeds only", True: "yes", False: "no"}[
        difference["significant"]
    ]


HEAD = ("arm", "what is other", "right, T = 1", "less the default, points", "a difference?")
REST = (
    "greedy",
    "over problems alone",
    "rollouts right after 1/3, 2/3, all tokens, %",
    "tokens, right answers",
    "tokens, wrong answers",
    "wrong ones that were not cut",
    "cut, of 1,000",
)


def row(name: str, change: str, f: dict | None) -> list[str]:
    """The five columns of the lecture: mean of the seeds, with the least and the greatest."""
    if f is None:
        return [name, change, MISSING, *[DASH] * (len(HEAD) - 3)]
    against, seeds = f["against default"], [c["value"] for c in f["seeds"].values()]
    ends = f" ({100 * min(seeds):.1f} to {100 * max(seeds):.1f})" if len(seeds) > 1 else ""
    return [
        name,
        change,
        f"{100 * f['sampled']['value']:.1f} %{ends}",
        show(against, points),
        significant(against),
    ]


def rest(f: dict | None) -> list[str]:
    """The other columns."""
    if f is None:
        return [DASH] * len(REST)
    against = f["against default"]
    return [
        show(f["greedy"]),
        DASH if against is None else show({**against, "ci": against["over problems"]}, points),
        thirds(f["on the way"]),
        length(f["length right"]),
        length(f["length wrong"]),
        length(f["length wrong, not cut"]),
        f"{1000 * f['cut']:.0f}",
    ]


def thirds(way: list[float] | None) -> str:
    """Accuracy of the rollouts after a third of the tokens, after two thirds, and at the end: each
    with its neighbours."""
    return (
        DASH
        if way is None
        else ", ".join(f"{100 * np.mean(way[i - 1 : i + 2]):.0f}" for i in (4, 9, 14))
    )


def length(c: dict) -> str:
    if c["value"] is None:
        return f"too few (n = {c['n']})"
    return f"{c['value']:.1f} ({c['ci'][0]:.1f} to {c['ci'][1]:.1f})"


def tables(s: dict, whole: bool = False) -> str:
    """A table a task in Markdown, and pass@k. whole: with all columns; else the lecture's five."""
    parts = [
        f"Test, n = {s['n']}, {len(s['seeds'])} seeds, {s['tokens']:,} generated tokens a run; "
        "behind a mean, in brackets, the least and the greatest seed. Differences: 95 % intervals "
        "by bootstrap over problems *and* seeds (of three seeds they come out too narrow, by up to "
        "a fifth). A difference: the interval does not hold 0, and all seeds have the same sign. "
        f"Of {len(s['arms']) - 1} comparisons one in twenty would pass the first test by chance."
    ]
    for task, found in s["tasks"].items():
        shown = {
            arm: found["arms"].get(arm)
            for arm in s["arms"]
            if task == s["task"] or arm in found["arms"]
        }
        order = sorted(
            shown, key=lambda arm: -(shown[arm]["sampled"]["value"] if shown[arm] else -1)
        )
        lines = [("base", "before RL", found["base"])]
        lines += [(arm, s["arms"][arm], shown[arm]) for arm in order]
        head = HEAD + REST * whole
        rows = [row(*line) + (rest(line[2]) if whole else []) for line in lines]
        parts += [f"**{task}**", table(head, rows)]
    return "\n\n".join([*parts, pass_table(s["pass_at_k"])])


def page(s: dict) -> str:
    """data/results/variants.md: everything."""
    return (
        "# Twelve variants of GRPO: all columns\n\nWritten by `python -m studies.variants.figures` "
        "from [variants.jsonl](variants.jsonl); [lecture 16]"
        "(../../lectures/16_variants_and_pathologies/README.md) says what to make of it.\n\n"
        f"{tables(s, whole=True)}\n"
    )


def pass_table(found: dict | None) -> str:
    if not found:
        return f"pass@k of the base against RL: {MISSING}."
    rows = [
        [
            k,
            show(f["base"]),
            show(f["RL"]),
            show(f["RL - base"], points),
            significant(f["RL - base"]),
        ]
        for k, f in found.items()
    ]
    k, last = max(found, key=int), found[max(found, key=int)]["RL - base"]
    low, high = (100 * end for end in last["ci"])
    words = (
        "RL reaches more than its base did"
        if low > 0
        else "RL reaches less than its base did"
        if high < 0
        else f"no difference is shown: {low:+.1f} to {high:+.1f} points are possible"
    )
    return (
        f"**pass@k, the default arm (RL) against its base** (n = {last['n']})\n\n"
        + table(("k", "base", "RL", "RL less base, points", "a difference?"), rows)
        + f"\n\nDoes RL only sharpen? With {k} samples a problem {words}."
    )
