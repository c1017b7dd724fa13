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


def row(name: str, change: str, f: dict | None) -> list[str]:
    if f is None:
        return [name, change, MISSING, *[DASH] * 9]
    seeds = [c["value"] for c in f["seeds"].values()]
    return [
        name,
        change,
        show(f["sampled"]),
        f"{100 * min(seeds):.1f} to {100 * max(seeds):.1f}",
        show(f["greedy"]),
        show(f["against default"], points),
        significant(f["against default"]),
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


def tables(s: dict) -> str:
    """The table in Markdown, one part a task, and pass@k."""
    head = (
        "arm",
        "what is other",
        "right, T = 1",
        "seeds",
        "greedy",
        "less the default, points",
        "a difference?",
        "rollouts right after 1/3, 2/3, all tokens, %",
        "tokens, right answers",
        "tokens, wrong answers",
        "wrong ones that were not cut",
        "cut, of 1,000",
    )
    parts = [
        f"Test, n = {s['n']}, {len(s['seeds'])} seeds, {s['tokens']:,} generated tokens a run. In "
        "brackets: 95 % intervals by bootstrap over problems, seeds averaged. A difference: the "
        "interval does not hold 0, and all seeds have the same sign. Of "
        f"{len(s['arms']) - 1} comparisons one in twenty would pass the first test by chance."
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
        parts += [
            f"**{task}**",
            table(
                head,
                [
                    row("base", "before RL", found["base"]),
                    *(row(arm, s["arms"][arm], shown[arm]) for arm in order),
                ],
            ),
        ]
    return "\n\n".join([*parts, pass_table(s["pass_at_k"])])


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
