"""The students of the recipe's result: their numbers and their table, from the finished parts in
data/results/r1-students.jsonl (`studies/r1/students.py`)."""

from typing import Any

from studies import common
from studies.markdown import DASH, percent, spread, table
from studies.pages import over_seeds

STUDY = "r1-students"
PARTS = {
    "base": "its base",
    "traces": "distilled by traces",
    "logits": "distilled by logits",
    "on-policy": "distilled on-policy",
    "rl": "GRPO from the base, as much compute as the traces",
    "after": "GRPO after the traces",
}
ROWS = ("accuracy", "greedy", "second wording", "mixing")
NOT_YET = (
    "Not measured yet: `python -m studies.r1.students all`, then "
    "`python -m studies.r1.figures --into` this file."
)
KEPT = 0.85  # the share of the teacher's accuracy that a student should keep

Part = dict[str, Any]


def summarise(pipelines: list[Part]) -> dict[str, Any]:
    """By size and part, a list over the seeds for each figure; the teacher is the recipe's last
    model of the same seed. Parts that are missing are left out."""
    parts = sorted(common.load_results(STUDY), key=lambda part: part["seed"])
    teachers = {part["seed"]: part["stages"]["rl-2"] for part in pipelines}
    found: dict[str, Any] = {}
    for part in parts:
        teacher = teachers.get(part["seed"])
        size, _, kind = part["kind"].partition("-")
        of = found.setdefault(size, {}).setdefault(kind, {})
        values = {key: part["test"].get(key) for key in ROWS} | {
            "seed": part["seed"],
            "flops": part.get("flops"),
            "parameters": part.get("parameters"),
            "kept": part["test"]["accuracy"] / teacher["accuracy"] if teacher else None,
        }
        for key, value in values.items():
            of.setdefault(key, []).append(value)
    if found and teachers:
        found["teacher"] = {key: [t.get(key) for t in teachers.values()] for key in ROWS}
    return found


def block(summary: dict[str, Any]) -> str:
    """A row a student, below the teacher's; and whether what was asked of a quarter holds."""
    sizes = {size: of for size, of in summary["students"].items() if size != "teacher"}
    if not sizes:
        return NOT_YET
    rows = [["", "the teacher", *figures_of(summary["students"].get("teacher", {}))]]
    for size, parts in sizes.items():
        rows += [
            [f"a {size}", words, *figures_of(parts[kind])]
            for kind, words in PARTS.items()
            if kind in parts
        ]
    head = ("size", "", "seeds", "right, sampled", "of the teacher's", "greedily",
            "second wording", "thinks in two languages", "10^12 operations")  # fmt: skip
    return "\n\n".join([table(head, rows), *map(verdict, sizes.items())])


def figures_of(of: dict[str, list[float | None]]) -> list[str]:
    def cell(key: str, form: Any = percent) -> str:
        return spread(over_seeds(of.get(key, [])), form) or DASH

    flops = [f / 1e12 for f in of.get("flops", []) if f is not None]
    cost = spread(over_seeds(flops), lambda x: f"{x:.1f}") if flops else DASH
    seeds = str(len(of.get("accuracy", [])))
    return [
        seeds, cell("accuracy"), cell("kept"), cell("greedy"), cell("second wording"),
        cell("mixing"), cost,
    ]  # fmt: skip


def verdict(sized: tuple[str, dict[str, Any]]) -> str:
    """What is asked of a student: most of the teacher's accuracy, and more than RL gives it."""
    size, parts = sized
    taught = {kind: parts[kind] for kind in ("traces", "logits", "on-policy") if kind in parts}
    if not taught:
        return ""
    best = max(taught, key=lambda kind: min(taught[kind]["accuracy"]))
    kept = [share for share in taught[best]["kept"] if share is not None]
    said = f"Of a {size} the best way ({PARTS[best].removeprefix('distilled ')}) keeps "
    said += f"{spread(over_seeds(kept))} of the teacher's accuracy, "
    said += f"{'as' if kept and min(kept) >= KEPT else 'less than'} the {percent(KEPT)} asked"
    if "rl" in parts:
        alone = dict(zip(parts["rl"]["seed"], parts["rl"]["accuracy"], strict=True))
        both = zip(taught[best]["seed"], taught[best]["accuracy"], strict=True)
        more = all(right > alone[seed] for seed, right in both if seed in alone)
        said += f"; GRPO on the same base at equal compute has {'less' if more else 'not less'}"
    return said + "."
