"""Numbers -> the README's tables, in Markdown. `studies/main/figures.py` calls this."""

from collections.abc import Sequence

from studies.markdown import (
    DASH,
    LEAST_SEEDS,
    MISSING,
    boxed,
    duration,
    machine_words,
    percent,
    plain_number,
    points,
    put,
    show,
    spread,
    table,
    when,
)

BLOCKS = ("figures:plot", "transcript", "figures:main")
RUNS = {"grpo": "GRPO", "hold": "the long run"}
ROWS = {
    "sampled": "right, sampled at T = 1",
    "greedy": "right, greedy (T = 0)",
    "best": "right, at its best temperature",
    "forced 1": "right, thinking forced, T = 1",
    "forced 0": "right, thinking forced, T = 0",
    "pass@8": "one of 8 samples right (pass@8)",
    "vote of 8": "right by a vote of 8",
    "thinks": "thinks before it answers",
    "right when thinking": "right when it thinks",
    "error when thinking": "wrong when it thinks",
    "right by reflex": "right when it does not think",
    "same in four wordings": "same answer in four wordings",
    "new story": "right on stories never seen",
    "larger numbers": "right on larger numbers",
    "mean length": "mean length of an answer, tokens",
}


def accuracy_table(s: dict, seeds: Sequence[str], rows: Sequence[str] = tuple(ROWS)) -> str:
    def row(name: str) -> list[str]:
        form = plain_number if name == "mean length" else percent
        cells = [s["base"], *(s["grpo"].get(seed) for seed in seeds)]
        return [
            ROWS[name],
            *(show((c or {}).get(name), form) for c in cells),
            spread(s["grpo_over_seeds"].get(name), form),
        ]

    return table(
        ["", "base", *(f"GRPO, seed {seed}" for seed in seeds), "mean (least to greatest)"],
        map(row, rows),
    )


def found_words(v: dict) -> str:
    form = {"share": percent, "times": "x {:.2f}".format, "points": points}[v["unit"]]
    return "; ".join(map(form, v["found"])) or DASH


def holds_words(v: dict) -> str:
    word = {True: "yes", False: "no", None: MISSING}[v["holds"]]
    return word + (
        f" ({v['held']} of {v['of']} seeds)"
        if v["of"] > 1 or (v["holds"] is None and v["of"])
        else ""
    )


def verdict_lines(s: dict) -> list[str]:
    """The verdicts for a terminal."""
    return [f"{holds_words(v)}: {v['claim']} [{found_words(v)}]" for v in s["verdicts"]]


def verdict_table(s: dict) -> str:
    return table(
        ["claim", "found", "holds"],
        ([v["claim"], found_words(v), holds_words(v)] for v in s["verdicts"]),
    )


def ratio_line(s: dict) -> str:
    ratios = (
        f"seed {seed} x {r['value']:.2f} ({r['ci'][0]:.2f} to {r['ci'][1]:.2f})"
        for seed, r in s["error_ratio"].items()
        if r["value"] is not None
    )
    return (
        "Wrong answers among those that think, GRPO / base (each interval's one end over the "
        f"other's other: wider than 95 %): {', '.join(ratios) or MISSING}."
    )


def difference_table(s: dict, seeds: Sequence[str]) -> str:
    rows = [
        [name, *(show(found.get(seed), points) for seed in seeds)]
        for name, found in s["differences"].items()
    ]
    rows.append(
        [
            "both sampled, GRPO − expert iteration",
            *(show(s["expert"].get(seed, {}).get("grpo - expert"), points) for seed in seeds),
        ]
    )
    return table(["GRPO − base, percentage points", *(f"seed {seed}" for seed in seeds)], rows)


def hold_table(s: dict) -> str:
    rows = [
        [
            seed,
            f"{percent(h['peak'])} (step {h['peak_step']})",
            f"{percent(h['last'])} (step {h['last_step']})",
            percent(h["ratio"]),
            show(h["test"]),
        ]
        for seed, h in s["hold"].items()
    ]
    return "\n\n".join(
        [
            table(
                ["seed", "best, validation", "last, validation", "last / best", "last, test"], rows
            ),
            same_run_line(s),
            "![accuracy, length and entropy over the long run](hold.png)",
        ]
    )


def same_run_line(s: dict) -> str:
    words = {True: "yes", False: "no", None: MISSING}
    seeds = ", ".join(f"seed {seed} {words[h['starts_as_grpo']]}" for seed, h in s["hold"].items())
    return (
        f"Their first {s['steps']} steps are the same run as above, bit for bit in every curve "
        f"kept: {seeds}."
    )


def hold_n(s: dict) -> str:
    return next(
        (f" (each evaluation: n = {h['n']} validation problems)" for h in s["hold"].values()), ""
    )


def again_line(s: dict) -> str:
    """Speed-ups change rounding, so the seeds were run once more."""
    found = "; ".join(
        f"seed {seed} ({when(a)}) {show(a['sampled'])}, {show(a['again - first'], points)} points"
        for seed, a in s["again"].items()
    )
    return (
        "- The same seeds with faster code, which changes rounding alone, sampled: "
        f"{found or MISSING}."
    )


def expert_table(s: dict) -> str:
    rows = [
        [
            seed,
            show(e["sampled"]),
            show(e["greedy"]),
            show(e["thinks"]),
            f"{e['steps']}",
            f"{e['tokens']:,}",
        ]
        for seed, e in s["expert"].items()
    ]
    return table(["seed", "sampled, T = 1", "greedy", "thinks", "steps", "tokens generated"], rows)


def cost_lines(s: dict) -> list[str]:
    clocked = {t["kind"]: t for t in s["timing"]}.values()  # the latest: the code gets faster
    grpo = [timing_line(t) for t in clocked if t["kind"] != "pretraining"]
    return [
        base_line(s["pretraining"]),
        *(speed_line(t, s["pretraining"]) for t in clocked if t["kind"] == "pretraining"),
        *(grpo or [f"- `make grpo` by the clock: {MISSING}."]),
        *(runs_line(s["cost"][kind], name) for kind, name in RUNS.items() if s["cost"][kind]),
        again_line(s),
    ]


def base_line(p: dict | None) -> str:
    if p is None:
        return f"- The base: {MISSING}."
    return (
        f"- The base: {p['parameters']:,} parameters, {p['tokens_trained']:,} tokens read, "
        f"{duration(p['seconds'])}, not alone on the machine ({machine_words(p['machine'])})."
    )


def speed_line(t: dict, base: dict | None) -> str:
    """How fast pretraining is, and so how long the base takes."""
    minutes = ""
    if base:
        seconds = base["tokens_trained"] / t["tokens_per_second"]
        minutes = f"; at this speed the base takes {duration(seconds)}"
    return (
        f"- Pretraining alone on the machine ({when(t)}): {t['tokens_per_second']:,.0f} tokens a "
        f"second over {t['tokens']:,} tokens{minutes} ({machine_words(t.get('machine'))})."
    )


def timing_line(t: dict) -> str:
    gain = (
        "no gain with intervals apart"
        if t["seconds_to_gain"] is None
        else f"{duration(t['seconds_to_gain'])} to a gain with intervals apart"
    )
    return (
        f"- `{t['kind']}`, seed {t['seed']} ({when(t)}): {duration(t['seconds_to_step0'])} to the "
        f"figures of step 0, {gain}, {duration(t['seconds_total'])} in all "
        f"({machine_words(t.get('machine'))})."
    )


def runs_line(costs: dict[str, dict], name: str) -> str:
    each = "; ".join(
        f"seed {seed} {c['tokens_generated']:,} tokens generated in {c['steps']} steps, "
        f"{duration(c['seconds'])}, steps skipped: {c['skipped_steps']}"
        for seed, c in costs.items()
    )
    return f"- {name}, on one thread, not alone on the machine: {each}."


#: what a newcomer should see first; all rows stand in data/results/main.md
FIRST = ("sampled", "greedy", "forced 0", "thinks", "new story", "larger numbers", "mean length")
EQUAL_DECODING = "GRPO greedy, base greedy with thinking forced"


def short_block(s: dict) -> str:
    """The README's table, and what is left of the gain at equal decoding."""
    if not s["base"] and not s["grpo"]:
        return (
            f"Figures: {MISSING}. `python -m studies.main all` measures, "
            "`python -m studies.main.figures` writes them here."
        )
    seeds = all_seeds(s)
    equal = s["differences"].get(EQUAL_DECODING, {})
    each = "; ".join(show(equal.get(seed), points) for seed in seeds)
    return "\n\n".join(
        [
            heading(s),
            accuracy_table(s, seeds, FIRST),
            "At equal decoding, GRPO greedy against the base greedy with thinking forced, the gain "
            f"in points is {each}: what is learnt is *when* to think. All rows, claims, "
            "differences, costs, the long run and expert iteration: "
            "[data/results/main.md](data/results/main.md).",
        ]
    )


def heading(s: dict, task: str = "gsm8k-mini") -> str:
    steps = f"{s['steps']} steps" if s["steps"] else "some steps"
    return (
        f"{task}, test split, n = {s['n']} problems, the same for all; base and GRPO after "
        f"{steps}, {len(s['seeds'])} seeds, last checkpoint. In brackets: 95 % Wilson interval "
        f"over problems; in the last column: least and greatest of the seeds. A dash: {MISSING}."
    )


def all_seeds(s: dict) -> list[str]:
    return sorted({*s["seeds"], *map(str, range(LEAST_SEEDS))}, key=int)


def details(s: dict) -> str:
    """data/results/main.md: everything that was measured."""
    if not s["base"] and not s["grpo"]:
        return f"# The main job\n\nFigures: {MISSING}.\n"
    seeds = all_seeds(s)
    longer = s["long_steps"] or "five times as many"
    parts = [
        "# The main job: GRPO on gsm8k-mini",
        heading(s),
        accuracy_table(s, seeds),
        "*What this was to show.* A claim holds if it holds in every seed.",
        verdict_table(s),
        ratio_line(s),
        "*Differences on the same problems*, with 95 % intervals by paired bootstrap:",
        difference_table(s, seeds) if s["differences"] else MISSING,
        f"*Does it hold?* The same runs once more, up to {longer} steps{hold_n(s)}:",
        hold_table(s) if s["hold"] else MISSING,
        "*A plainer rival*: expert iteration (imitate the right answers, compare nothing) until as "
        "many tokens are generated:",
        expert_table(s) if s["expert"] else MISSING,
        "*Costs.*",
        "\n".join(cost_lines(s)),
        f"Measured by `python -m studies.main all` ({machine_words(s['machine'])}); every number: "
        "[main.json](main.json).",
    ]
    return "\n\n".join(parts) + "\n"


def plot_block(s: dict) -> str:
    if not s["grpo"]:
        return f"The plot: {MISSING}."
    return (
        f"![share of answers that think, their length, and accuracy, over {s['steps']} steps of "
        "GRPO](data/results/main.png)"
    )


def transcript_block(record: dict | None) -> str:
    """One problem before and after. It is picked: the first that was wrong and came right; the
    tables count them all."""
    if not record:
        return f"A transcript: {MISSING}."
    return boxed(
        f"Question: {record['prompt']}\nRight answer: {record['answer']}\n\n"
        f"--- before, step 0 ---\n{record['before'].strip()}\n\n"
        f"--- after, step {record['step_after']} ---\n{record['after'].strip()}"
    )


def fill_readme(text: str, summary: dict, transcript: dict | None) -> str:
    bodies = (plot_block(summary), transcript_block(transcript), short_block(summary))
    for name, body in zip(BLOCKS, bodies, strict=True):
        text = put(text, name, body)
    return text
