"""DeepSeek-R1's recipe in miniature: its numbers, picture and tables, from the finished parts in
data/results/r1.jsonl.

    python -m studies.r1.figures                print the tables
    python -m studies.r1.figures --into FILE    fill this Markdown file, too: what stands between
                                                the markers <!-- figures:NAME --> and
                                                <!-- /figures:NAME -->, NAME one of BLOCKS

It writes data/results/r1.json and r1.png. All figures are of the test split. A value a seed is
kept; tables give their mean, the least and the greatest.
"""

from collections.abc import Callable, Sequence
from typing import Any

from minilrm import curves
from studies import common
from studies.markdown import DASH, percent, plain_number, points, spread, table
from studies.pages import Figures, Summary, not_yet, over_seeds
from studies.r1 import students_text

MODELS = {
    "base": "base",
    "r1-zero": "R1-Zero",
    "sft-1": "SFT 1",
    "rl-1": "RL 1",
    "sft-2": "SFT 2",
    "rl-2": "RL 2",
}
EXAMPLES = {"cold-start": "cold start", "rejection-sampling": "rejection sampling"}
ROWS = {
    "accuracy": "right, sampled",
    "greedy": "right, greedily",
    "second wording": "right, greedily, second wording of the prompt",
    "general": "general requests",
    "mixing": "thinks in two languages",
    "mixing, Spanish": "the same, of those asked in Spanish",
    "repetition": "words that repeat",
    "length": "tokens an answer",
    "seconds": "seconds of the stage",
}
FATES = {
    "sampled": "samples",
    "wrong": "wrong",
    "untidy": "right, untidy",
    "duplicates": "said before",
    "unwanted": "unreadable",
    "kept": "kept",
    "general": "general requests",
}
ALONE = {"language": "R1-Zero with the reward for one language", "even": "R1-Zero, control"}
MIXED, GENERAL, BOUND = 0.02, 0.20, 0.05  # what the models are held to
NOT_YET = not_yet("r1")

Part = dict[str, Any]
BySeed = dict[int, float | None]


# -- numbers ---------------------------------------------------------------------------------------


def summarise() -> Summary:
    """Every number that is drawn or told, a list over the seeds; what is missing is left out."""
    parts = sorted(common.load_results("r1"), key=lambda part: part["seed"])
    pipelines = [part for part in parts if part["kind"] == "pipeline"]
    stages = {
        name: gathered(pipelines, lambda part, name=name: part["stages"][name])
        for name in MODELS
        if pipelines and all(name in part["stages"] for part in pipelines)
    }
    kept = {
        name: {fate: [part["stages"][name]["kept"].get(fate, 0) for part in pipelines]
               for fate in FATES}
        for name in EXAMPLES
        if pipelines
    }  # fmt: skip
    alone = {
        kind: gathered([p for p in parts if p["kind"] == kind], lambda part: part["after"])
        for kind in ALONE
        if any(part["kind"] == kind for part in parts)
    }
    controls = [part for part in parts if part["kind"] == "even"]
    if controls:
        alone["even-base"] = gathered(controls, lambda part: part["base"])
    found = {
        "seeds": [part["seed"] for part in pipelines],
        "n": pipelines[0]["stages"]["base"]["n"] if pipelines else None,
        "stages": stages,
        "kept": kept,
        "alone": alone,
        "students": students_text.summarise(pipelines),
    }
    return found | {"claims": claims(stages, alone)}


def gathered(parts: Sequence[Part], of: Callable[[Part], dict[str, Any]]) -> dict[str, Any]:
    """The figures of one model: a list over the seeds for each row, and for each rung."""
    models = [of(part) for part in parts]
    return {
        "seed": [part["seed"] for part in parts],
        **{key: [model.get(key) for model in models] for key in ROWS},
        "rungs": {
            rung: [model["rungs"][rung] for model in models] for rung in models[0].get("rungs", {})
        },
    }


def less(a: BySeed, b: BySeed) -> BySeed:
    """Differences, seed by seed: of those that both have been measured for."""
    pairs = {seed: (a[seed], b[seed]) for seed in a if seed in b}
    return {
        seed: x - y if x is not None and y is not None else None for seed, (x, y) in pairs.items()
    }


def claims(stages: dict[str, Any], alone: dict[str, Any]) -> list[dict[str, Any]]:
    """What was expected, and whether it holds in every seed; None where a part is missing."""

    def of(name: str, key: str) -> BySeed:
        model = (stages | alone).get(name)
        return dict(zip(model["seed"], model[key], strict=True)) if model else {}

    def change(key: str, after: str, before: str) -> BySeed:
        return less(of(after, key), of(before, key))

    def loss(name: str) -> BySeed:
        return less(of(name, "greedy"), of(name, "second wording"))

    return [
        claim("R1-Zero mixes languages more than its base",
              change("mixing, Spanish", "r1-zero", "base"), "points", lambda x: x > 0),
        claim("the control, for which mixing does not pay, stays within 5 points of its base",
              change("mixing, Spanish", "even", "even-base"), "points", lambda x: abs(x) <= BOUND),
        claim("thinks in two languages, with the reward for one language alone: at most 2 %",
              of("language", "mixing"), "share", lambda x: x <= MIXED),
        claim("the same after RL 1: at most 2 %", of("rl-1", "mixing"), "share",
              lambda x: x <= MIXED),
        claim("what that reward costs: right answers, less R1-Zero's",
              change("accuracy", "language", "r1-zero"), "points"),
        claim("a dip after the cold start: SFT 1 less R1-Zero",
              change("accuracy", "sft-1", "r1-zero"), "points", lambda x: x < 0),
        claim("and RL 1 makes up for it: RL 1 less SFT 1",
              change("accuracy", "rl-1", "sft-1"), "points", lambda x: x > 0),
        claim("the final model is at least as accurate as R1-Zero",
              change("accuracy", "rl-2", "r1-zero"), "points", lambda x: x >= 0),
        claim("and at least 20 points better at general requests",
              change("general", "rl-2", "r1-zero"), "points", lambda x: x >= GENERAL),
        claim("it loses at most 5 points under the second wording", loss("rl-2"), "points",
              lambda x: x <= BOUND),
        claim("R1-Zero's own loss under the second wording", loss("r1-zero"), "points"),
    ]  # fmt: skip


def claim(
    words: str, values: BySeed, unit: str, holds: Callable[[float], bool] | None = None
) -> dict[str, Any]:
    """One claim. holds: whether a value keeps to the bound; None for what is told without one."""
    known = [value for value in values.values() if value is not None]
    every = all(map(holds, known)) if holds and known else None
    return {"claim": words, "values": known, "unit": unit, "holds": every}


# -- the picture -----------------------------------------------------------------------------------


@curves.style()
def draw(summary: Summary) -> bytes | None:
    """Right answers at the left and mixing at the right, model by model: a line is the mean of the
    seeds, and a band goes from the least to the greatest."""
    stages = summary["stages"]
    if not stages:
        return None
    figure, (left, right) = curves.panels(2, height=3.6)
    one_panel(left, stages, ("greedy", "second wording", "general"))
    one_panel(right, stages, ("mixing", "mixing, Spanish"))
    curves.frame(left, "Right, greedily", share=True)
    curves.frame(right, "Thinks in two languages", share=True)
    return curves.png(figure)


PANEL = {  # what the lines are called in the picture
    "greedy": "as in training",
    "second wording": "second wording",
    "general": "general requests",
    "mixing": "of all",
    "mixing, Spanish": "asked in Spanish",
}


def one_panel(axes: Any, stages: dict[str, Any], keys: Sequence[str]) -> None:
    places = range(len(stages))
    seeds = min(len(of["accuracy"]) for of in stages.values())
    for key, look in zip(keys, curves.LOOKS, strict=False):
        rows = [[of[key][seed] for of in stages.values()] for seed in range(seeds)]
        curves.band(axes, places, rows, look, PANEL[key])
    axes.set_xticks(places, [MODELS[name] for name in stages], rotation=40)
    axes.legend(fontsize=8)


# -- words -----------------------------------------------------------------------------------------


def form_of(key: str) -> Callable[[float], str]:
    return plain_number if key in ("length", "seconds") else percent


def stages_block(summary: Summary) -> str:
    """The picture, and a column a model."""
    stages = summary["stages"]
    if not stages:
        return NOT_YET
    seeds = len(summary["seeds"])
    said = f"{seeds} seeds: mean (least to greatest)" if seeds > 1 else "one seed"
    alt = "right answers and mixing of languages, stage by stage"
    rows = [
        [words, *[spread(over_seeds(of[key]), form_of(key)) for of in stages.values()]]
        for key, words in ROWS.items()
    ]
    rungs = next(iter(stages.values()))["rungs"]
    rows += [
        [
            f"rung: {rung}",
            *[spread(over_seeds(of["rungs"].get(rung, []))) for of in stages.values()],
        ]
        for rung in rungs
    ]
    head = ("", *[MODELS[name] for name in stages])
    return (
        f"![{alt}](../../data/results/r1.png)\n\nTest, n = {summary['n']}, {said}.\n\n"
        f"{table(head, rows)}"
    )


def kept_block(summary: Summary) -> str:
    """What became of the samples of the two stages that make examples."""
    if not summary["kept"]:
        return NOT_YET
    rows = [
        [EXAMPLES[name], *[spread(over_seeds(of[fate]), lambda x: f"{x:,.0f}") for fate in FATES]]
        for name, of in summary["kept"].items()
    ]
    return table(("", *FATES.values()), rows)


def alone_block(summary: Summary) -> str:
    """What one reward does, without any other stage, and what the control does."""
    if not summary["alone"]:
        return NOT_YET
    stages, alone = summary["stages"], summary["alone"]
    models = {
        "base": stages.get("base"),
        "R1-Zero": stages.get("r1-zero"),
        ALONE["language"]: alone.get("language"),
        "the control's base": alone.get("even-base"),
        ALONE["even"]: alone.get("even"),
    }
    keys = ("accuracy", "mixing", "mixing, Spanish", "length")
    rows = [
        [name, *[spread(over_seeds(of[key]), form_of(key)) for key in keys]]
        for name, of in models.items()
        if of
    ]
    return table(("", *[ROWS[key] for key in keys]), rows)


def claims_block(summary: Summary) -> str:
    """What was expected beside what was found."""
    if all(over_seeds(found["values"]) is None for found in summary["claims"]):
        return NOT_YET
    rows = []
    for found in summary["claims"]:
        form = points if found["unit"] == "points" else percent
        over = over_seeds(found["values"])
        holds = {True: "yes", False: "**no**", None: DASH}[found["holds"]]
        seeds = str(over["seeds"]) if over else "not measured yet"
        rows.append([found["claim"], spread(over, form), seeds, holds])
    return table(("", "mean (least to greatest)", "seeds", "in all of them"), rows)


FIGURES = Figures(
    "r1",
    summarise,
    {"r1.png": draw},
    {
        "figures:r1-stages": stages_block,
        "figures:r1-claims": claims_block,
        "figures:r1-alone": alone_block,
        "figures:r1-kept": kept_block,
        "figures:r1-students": students_text.block,
    },
)


def main() -> None:
    FIGURES.main(__doc__)


if __name__ == "__main__":
    common.command(main)
