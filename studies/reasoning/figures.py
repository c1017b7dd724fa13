"""Four kinds of reasoning on one base, before and after GRPO, from data/results/reasoning.jsonl.

    python -m studies.reasoning.figures

It writes

    data/results/reasoning.json   every number
    data/results/reasoning.png    the ladders as one picture
    data/results/reasoning.md     the ladders as tables, each rung with its definition
    README.md                     what stands between <!-- figures:reasoning --> and its end
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilrm.files import write_bytes_atomic, write_json_atomic
from minilrm.intervals import paired_bootstrap
from studies import common, ladders
from studies.markdown import MISSING, points, put, show, spread, table
from studies.pages import over_seeds
from studies.reasoning.study import KINDS

README = Path(__file__).resolve().parents[2] / "README.md"
NAMES = {
    "logic": "puzzles (`logic`)",
    "ledger": "cash (`ledger`)",
    "program": "programs (`program`)",
    "gsm8k-mini": "word problems (`gsm8k-mini`)",
}
Summary = dict[str, Any]


# -- numbers ---------------------------------------------------------------------------------------


def summarise(records: Sequence[dict[str, Any]]) -> Summary:
    """kind -> its figures before and after, and the gain at equal decoding over structures."""
    base = next((r for r in records if r["kind"] == "base"), None)
    trained = sorted((r for r in records if r["kind"] == "grpo"), key=lambda r: r["seed"])
    if base is None:
        return {}
    kinds = {kind: of_kind(kind, base, trained) for kind in KINDS}
    steps = next((r["summary"]["steps"] for r in trained), None)
    return {"kinds": kinds, "seeds": [r["seed"] for r in trained], "steps": steps}


def of_kind(kind: str, base: dict[str, Any], trained: Sequence[dict[str, Any]]) -> dict[str, Any]:
    before, structures = base["test"][kind], base["structures"][kind]
    rungs = {
        rung: {
            "meaning": found["meaning"],
            "base": cell(found["greedy_forced"]),
            "grpo": [r["ladder"][kind][rung]["greedy"]["accuracy"] for r in trained],
        }
        for rung, found in base["ladder"].get(kind, {}).items()
    }
    return {
        "n": before["sampled"]["n"],
        "structures": len(set(structures)),
        "base": {way: cell(before[way]) for way in ("sampled", "greedy", "greedy_forced")},
        "thinks": before["sampled"]["think_rate"],
        "grpo": {
            way: over_seeds([r["test"][kind][way]["accuracy"] for r in trained])
            for way in ("sampled", "greedy")
        },
        "equal": [gain(r["test"][kind], before, structures) for r in trained],
        "rungs": rungs,
    }


def cell(found: dict[str, Any]) -> dict[str, Any]:
    return {"value": found["accuracy"], "ci": found["ci"], "n": found["n"]}


def gain(after: dict[str, Any], before: dict[str, Any], structures: list[int]) -> dict[str, Any]:
    """GRPO greedily less the base greedily with thinking forced, with an interval over
    structures."""
    ours, theirs = after["greedy"]["outcomes"], before["greedy_forced"]["outcomes"]
    numbers = [[int(bit) for bit in bits] for bits in (ours, theirs)]
    value, low, high = paired_bootstrap(*numbers, clusters=structures)
    return {"value": value, "ci": [low, high], "n": len(structures)}


# -- words -----------------------------------------------------------------------------------------


def readme_block(summary: Summary) -> str:
    if not summary:
        return f"Figures: {MISSING}. `python -m studies.reasoning all` measures."
    rows = []
    for kind, found in summary["kinds"].items():
        gains = "; ".join(show(cell, points) for cell in found["equal"])
        base = found["base"]
        rows.append(
            [
                NAMES[kind],
                show(base["sampled"]),
                show(base["greedy_forced"]),
                spread(found["grpo"]["sampled"]),
                spread(found["grpo"]["greedy"]),
                gains or MISSING,
            ]
        )
    head = (
        "test split", "base, sampled", "base, thinking forced, greedy", "GRPO, sampled",
        "GRPO, greedy", "gain at equal decoding, points",
    )  # fmt: skip
    sizes = ", ".join(f"{f['structures']} of {k}" for k, f in summary["kinds"].items())
    n = next(iter(summary["kinds"].values()))["n"]
    return "\n\n".join(
        [
            table(head, rows),
            f"n = {n} or nearly so; GRPO on all four together, {summary['steps'] or 'no'} steps, "
            f"{seeds_words(len(summary['seeds']))}. No structure of the test "
            f"stands in training; it has these many: {sizes}. The last column is GRPO greedily "
            "less the base greedily with thinking forced, seed by seed, with intervals over "
            "structures. The ladders: [data/results/reasoning.md](data/results/reasoning.md).",
        ]
    )


def seeds_words(count: int) -> str:
    """How many seeds there are, and what a row shows of them."""
    return "one seed" if count == 1 else f"{count} seeds (mean, least to greatest)"


def ladder_tables(summary: Summary) -> str:
    """All ladders in Markdown."""
    parts = ["# Puzzles, cash, programs: how far does reasoning carry?"]
    parts.append("![right answers, rung by rung, base and after GRPO](reasoning.png)")
    heads = [f"GRPO, seed {seed}" for seed in summary["seeds"]]
    for kind, found in summary["kinds"].items():
        rows = [
            [f"{rung}: {of['meaning']}", show(of["base"]), *(f"{x:.1%}" for x in of["grpo"])]
            for rung, of in found["rungs"].items()
        ]
        if rows:
            parts += [f"## {NAMES[kind]}", table(("rung", "base, thinking forced", *heads), rows)]
    parts.append("All greedy. In brackets: 95 % Wilson interval over problems.")
    return "\n\n".join(parts) + "\n"


def rows(summary: Summary) -> list[ladders.Row]:
    """All rungs of all kinds as rows of the picture."""
    return [
        ladders.Row(f"{kind}: {rung}", of["base"]["value"], of["base"]["ci"], of["grpo"])
        for kind, found in summary["kinds"].items()
        for rung, of in found["rungs"].items()
    ]


def main() -> None:
    common.parser("studies.reasoning.figures", __doc__).parse_args()
    summary, folder = summarise(common.load_results("reasoning")), common.results_folder()
    write_json_atomic(folder / "reasoning.json", summary)
    if summary:
        write_bytes_atomic(folder / "reasoning.png", ladders.draw(rows(summary)))
        write_bytes_atomic(folder / "reasoning.md", ladder_tables(summary).encode())
    page = put(README.read_text(encoding="utf-8"), "figures:reasoning", readme_block(summary))
    write_bytes_atomic(README, page.encode())
    print(f"written: {folder / 'reasoning.json'}")


if __name__ == "__main__":
    common.command(main)
