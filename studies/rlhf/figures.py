"""Learning from preferences: its numbers, pictures and tables, from the finished parts in
data/results/rlhf.jsonl.

    python -m studies.rlhf.figures                print the tables
    python -m studies.rlhf.figures --into FILE    fill this Markdown file, too: what stands between
                                                  the markers <!-- figures:NAME --> and
                                                  <!-- /figures:NAME -->, NAME one of BLOCKS

It writes data/results/rlhf.json, and rlhf-labels.png and overoptimisation.png as far as their parts
are there. What is true of an answer is the grader's verdict; what is promised is the preference
model's score, which is between 0 and 1, too.
"""

from collections.abc import Sequence
from typing import Any

from minilrm import curves
from minilrm.intervals import mean
from studies import common
from studies.markdown import DASH, percent, plain_number, points, spread, table
from studies.pages import Figures, Summary, not_yet, over_seeds
from studies.rlhf import gao
from studies.rlhf.study import LABELS

RL = {"grpo": "GRPO, no penalty", "grpo-kl": "GRPO, penalty for leaving"}
POLICIES = {
    "exact": "GRPO on the grader's verdicts (what was wanted)",
    "grpo": "GRPO on the preference model",
    "grpo-kl": "GRPO on it, with a penalty for leaving",
    "dpo": "DPO on its verdicts",
}
REACH, END = 4, 10  # steps to either side that are smoothed over; steps that make up the end
NOT_YET = not_yet("rlhf")

Part = dict[str, Any]


# -- numbers ---------------------------------------------------------------------------------------


def summarise() -> Summary:
    """Every number that is drawn or told; kinds that are missing are left out."""
    parts = sorted(common.load_results("rlhf"), key=lambda part: part["seed"])

    def of(kind: str) -> list[Part]:
        return [part for part in parts if part["kind"] == kind]

    kinds = (*(f"labels-{n}" for n in LABELS), "matched")
    runs = {kind: [climbed(part) for part in of(kind)] for kind in RL if of(kind)}
    return {
        "labels": {kind: labelled(of(kind)) for kind in kinds if of(kind)},
        "best_of": [best_of(part) for part in of("best-of")],
        "rl": runs,
        "penalty": penalty(runs),
        "test": {kind: tested(of(kind)) for kind in POLICIES if of(kind)},
    }


def labelled(parts: Sequence[Part]) -> dict[str, Any]:
    """Preference models of one number of labels: a value for each seed."""
    keys = {"order": "order_accuracy", "longer": "longer_is_better"}
    found = {name: [part["summary"][key] for part in parts] for name, key in keys.items()}
    return {"pairs": parts[0]["pairs"], "noise": parts[0]["noise"], **found}


def best_of(part: Part) -> dict[str, Any]:
    """One seed: what is true and what is promised over the distance, the n of the highest point,
    and the fitted form."""
    rows = part["rows"]
    top = max(rows, key=lambda row: row["true"])["n"]
    found = {key: [row[key] for row in rows] for key in ("n", "d", "true", "promised")}
    fit = fitted(found["d"], found["true"], gao.squared)
    return {"seed": part["seed"], "top": top, **found, **fit}


def climbed(part: Part) -> dict[str, Any]:
    """One run of GRPO: a value a step over the distance, where what is true is highest, and what is
    left of it at the end."""
    of = part["curves"]
    true, promised = (curves.smoothed(of[key], REACH).tolist() for key in ("accuracy", "reward"))
    best = max(range(len(true)), key=true.__getitem__)
    return {
        "seed": part["seed"],
        "d": of["d"],
        "true": [round(x, 4) for x in true],
        "promised": [round(x, 4) for x in promised],
        "top": {"step": best, "d": of["d"][best], "true": true[best], "promised": promised[best]},
        "end": {
            "d": mean(of["d"][-END:]),
            "true": mean(of["accuracy"][-END:]),
            "promised": mean(of["reward"][-END:]),
            "length": mean(of["completions/mean_length"][-END:]),
        },
        **fitted(of["d"], of["accuracy"], gao.d_log_d),
    }


def fitted(d: Sequence[float], true: Sequence[float], form: gao.Form) -> dict[str, Any]:
    found = gao.fit(d, true, form)
    return {"fit": found, "turn": gao.turn(found, form, max(d))}


def penalty(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """What the penalty changes at equal distance, seed by seed. A penalty that acts like stopping
    early changes nothing there."""
    without = {run["seed"]: run for run in runs.get("grpo", ())}
    pairs = [(run, without[run["seed"]]) for run in runs.get("grpo-kl", ())
             if run["seed"] in without]  # fmt: skip
    return {
        key: over_seeds([
            gao.at_equal_distance((ours["d"], ours[key]), (theirs["d"], theirs[key]))
            for ours, theirs in pairs
        ])
        for key in ("true", "promised")
    }  # fmt: skip


def tested(parts: Sequence[Part]) -> dict[str, list[float]]:
    keys = {"sampled": "accuracy", "greedy": "greedy", "length": "mean_length"}
    found = {name: [part["test"][key] for part in parts] for name, key in keys.items()}
    return {**found, "n": [part["test"]["n"] for part in parts]}


# -- pictures --------------------------------------------------------------------------------------


@curves.style()
def draw_labels(summary: Summary) -> bytes | None:
    """How often new pairs are put in the right order, over the number of labels."""
    found = {kind: of for kind, of in summary["labels"].items() if kind != "matched"}
    if not found:
        return None
    figure, [axes] = curves.panels(1, height=2.8)
    pairs = [of["pairs"] for of in found.values()]
    seeds = min(len(of["order"]) for of in found.values())
    for key, look, name in (
        ("order", curves.LOOKS[0], "the preference model"),
        ("longer", curves.LOOKS[1], "the longer answer is the better one"),
    ):
        rows = [[of[key][seed] for of in found.values()] for seed in range(seeds)]
        curves.band(axes, pairs, rows, look, name)
    axes.axhline(0.5, color=curves.REFERENCE.color, linestyle="--", linewidth=0.9)
    axes.set_xscale("log")
    curves.frame(axes, "Pairs in the right order", x="labelled pairs", share=True)
    axes.legend(loc="lower right")
    return curves.png(figure)


@curves.style()
def draw_climb(summary: Summary) -> bytes | None:
    """What is true and what is promised over the distance: best-of-n at the left, GRPO at the
    right, and behind them the fitted forms."""
    if not (summary["best_of"] or summary["rl"]):
        return None
    figure, (left, right) = curves.panels(2, height=3.4)
    promised, true = curves.LOOKS[1], curves.LOOKS[0]
    if runs := summary["best_of"]:
        d = runs[0]["d"]
        curves.band(left, d, [run["promised"] for run in runs], promised, "promised")
        curves.band(left, d, [run["true"] for run in runs], true, "true")
        for run in runs:
            draw_fit(left, run, gao.squared)
    looks = {"grpo": (true, promised), "grpo-kl": (curves.LOOKS[2], curves.LOOKS[4])}
    for kind, runs in summary["rl"].items():
        for i, run in enumerate(runs):
            for key, look in zip(("true", "promised"), looks[kind], strict=True):
                words = "with penalty" if kind == "grpo-kl" else "no penalty"
                name = f"{key}, {words}" if i == 0 else ""
                curves.line(right, run["d"], run[key], look, name, linewidth=1.0, markersize=3)
            if kind == "grpo":
                draw_fit(right, run, gao.d_log_d)
    for axes, title in ((left, "The best of n"), (right, "GRPO")):
        curves.frame(axes, title, x="distance from the base, sqrt(KL)", share=True)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7.5)
    return curves.png(figure)


def draw_fit(axes: Any, run: dict[str, Any], form: gao.Form) -> None:
    """The fitted form as a broad pale line."""
    if run["fit"]:
        d = sorted(run["d"])
        values = gao.curve(run["fit"], d, form)
        axes.plot(d, values, color=curves.LOOKS[0].color, alpha=0.25, linewidth=4, linestyle="-")


# -- words -----------------------------------------------------------------------------------------


def picture(alt: str, name: str) -> str:
    return f"![{alt}](../../data/results/{name})"


def labels_block(summary: Summary) -> str:
    if not summary["labels"]:
        return NOT_YET
    rows = []
    for kind, of in summary["labels"].items():
        name = f"{of['pairs']:,}" + (", lengths alike" if kind == "matched" else "")
        order, longer = over_seeds(of["order"]), over_seeds(of["longer"])
        rows.append([name, str(len(of["order"])), spread(order), spread(longer)])
    noise = next(iter(summary["labels"].values()))["noise"]
    head = ("labelled pairs", "seeds", "in the right order", "the longer one is better")
    parts = [
        table(head, rows),
        f"The annotator puts {percent(noise)} of the pairs the wrong way round.",
    ]
    if set(summary["labels"]) != {"matched"}:
        alt = "pairs in the right order over the number of labels"
        parts.insert(0, picture(alt, "rlhf-labels.png"))
    return "\n\n".join(parts)


def climb_block(summary: Summary) -> str:
    """Where true quality turns, for best-of-n and for GRPO, and what the penalty changes."""
    if not (summary["best_of"] or summary["rl"]):
        return NOT_YET
    parts = [picture("true and promised quality over the distance", "overoptimisation.png")]
    if summary["best_of"]:
        parts += [
            "**The best of n**, mean of the seeds (least to greatest):",
            best_of_table(summary),
        ]
    if summary["rl"]:
        parts += [f"**GRPO**; its end is the mean of the last {END} steps:", rl_table(summary)]
    if any(summary["penalty"].values()):
        gaps = {key: spread(over, points) for key, over in summary["penalty"].items()}
        parts.append(
            "At equal distance the run with the penalty differs from the one without by "
            f"{gaps['true']} points in what is true, and by {gaps['promised']} points in what is "
            "promised."
        )
    return "\n\n".join(parts)


def best_of_table(summary: Summary) -> str:
    runs = summary["best_of"]
    numbers = runs[0]["n"]
    rows = [
        [said, *[spread(over_seeds([run[key][i] for run in runs])) for i in range(len(numbers))]]
        for key, said in (("true", "right"), ("promised", "its mean score"))
    ]
    top = spread(over_seeds([run["top"] for run in runs]), lambda n: f"{n:.0f}")
    said = f"What was measured is highest at n = {top}. {turning(runs)}"
    return table(("best of", *map(str, numbers)), rows) + "\n\n" + said


def rl_table(summary: Summary) -> str:
    """A row a kind of run: at its highest, and at its end."""
    rows = []
    for kind, runs in summary["rl"].items():
        top, end = ([run[key] for run in runs] for key in ("top", "end"))
        rows.append([
            RL[kind],
            str(len(runs)),
            *[spread(over_seeds([at[key] for at in top])) for key in ("true", "promised")],
            spread(over_seeds([at["d"] for at in top]), plain_number),
            *[spread(over_seeds([at[key] for at in end])) for key in ("true", "promised")],
            *[spread(over_seeds([at[key] for at in end]), plain_number) for key in ("d", "length")],
        ])  # fmt: skip
    head = ("", "seeds", "right at most", "score there", "d there", "right at the end",
            "score at the end", "d at the end", "tokens an answer")  # fmt: skip
    said = [f"{RL[kind]}: {turning(runs)}" for kind, runs in summary["rl"].items()]
    return "\n\n".join([table(head, rows), *said])


def turning(runs: Sequence[dict[str, Any]]) -> str:
    """Where the fitted form turns: mean, least and greatest of the seeds in which it does."""
    turns = over_seeds([run["turn"] for run in runs])
    if not turns:
        return f"The fitted form turns nowhere within what was measured, in {len(runs)} seeds."
    at = spread(turns, lambda value: f"{value:.2f}")
    return f"The fitted form turns at d = {at}, in {turns['seeds']} of {len(runs)} seeds."


def test_block(summary: Summary) -> str:
    if not summary["test"]:
        return NOT_YET
    rows = [
        [
            POLICIES[kind],
            str(len(of["n"])),
            *[spread(over_seeds(of[key])) for key in ("sampled", "greedy")],
            spread(over_seeds(of["length"]), plain_number) or DASH,
        ]
        for kind, of in summary["test"].items()
    ]
    head = ("", "seeds", "right, sampled", "right, greedily", "tokens an answer")
    n = next(iter(summary["test"].values()))["n"][0]
    return f"Test, n = {n}; mean of the seeds (least to greatest).\n\n{table(head, rows)}"


FIGURES = Figures(
    "rlhf",
    summarise,
    {"rlhf-labels.png": draw_labels, "overoptimisation.png": draw_climb},
    {
        "figures:rlhf-labels": labels_block,
        "figures:overoptimisation": climb_block,
        "figures:rlhf-test": test_block,
    },
)


def main() -> None:
    FIGURES.main(__doc__)


if __name__ == "__main__":
    common.command(main)
