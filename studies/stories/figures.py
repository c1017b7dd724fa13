"""The ladder before and after GRPO, drawn from data/results/stories.jsonl by code.

    python -m studies.stories.figures

It writes

    data/results/stories.json    every number: rung by rung, each seed with its interval
    data/results/ladder.png      the ladder as a picture
    data/results/ladder.md       the ladder as a table
    README.md                    what stands between <!-- figures:stories --> and its end

What has not been measured is left out. Rungs stand in their own order, from the easiest change to
another author.
"""

from pathlib import Path
from typing import Any

from minilrm.files import write_bytes_atomic, write_json_atomic
from studies import common, ladders
from studies.markdown import put
from studies.stories.errors import KINDS
from studies.stories.text import comparison, readme_block

README = Path(__file__).resolve().parents[2] / "README.md"
WAYS = ("greedy", "greedy_forced", "sampled")
LABELS = {
    "new stories": "new stories",
    "seen stories": "stories whose plan was seen",
    "new pairs": "new pairs of relations",
    "new shapes": "new shapes of graph",
    "new wording": "one sentence worded anew",
    "new words": "new names and things",
    "other order": "told in another order",
    "irrelevant number": "a number that does not matter",
    "6 steps": "one step longer",
    "7 steps": "two steps longer",
    "to 600": "numbers up to 600 (seen: 300)",
    "to 1000": "numbers up to 1,000",
    "to 2000": "numbers up to 2,000",
    "hand-written": "stories of another author",
}


def summarise(records: list[dict[str, Any]]) -> dict[str, Any]:
    """rung -> {"meaning", "base": way -> figures, "grpo": way -> {"mean", "seeds"}}."""
    base = next((r for r in records if r["kind"] == "base"), None)
    trained = sorted((r for r in records if r["kind"] == "grpo"), key=lambda r: r["seed"])
    rungs = {}
    for rung in (base or {}).get("ladder", {}):
        found = base["ladder"][rung]  # type: ignore[index]
        after = {way: [r["ladder"][rung][way]["accuracy"] for r in trained] for way in WAYS}
        rungs[rung] = {
            "meaning": found["meaning"],
            "base": {way: {k: found[way][k] for k in ("accuracy", "ci", "n")} for way in WAYS},
            "grpo": {
                way: {"mean": sum(seeds) / len(seeds), "seeds": seeds}
                for way, seeds in after.items()
                if seeds
            },
        }
    return {"rungs": rungs, "seeds": [r["seed"] for r in trained]}


def beyond(summary: dict[str, Any]) -> list[str]:
    """The rungs on which every seed lies above the interval of the base with thinking forced."""
    return [
        LABELS.get(name, name)
        for name, rung in summary["rungs"].items()
        if (seeds := rung["grpo"].get("greedy", {}).get("seeds"))
        and min(seeds) > rung["base"]["greedy_forced"]["ci"][1]
    ]


def rows(summary: dict[str, Any]) -> list[ladders.Row]:
    """The rungs as rows of the picture."""
    return [
        ladders.Row(
            LABELS.get(name, name),
            rung["base"]["greedy_forced"]["accuracy"],
            rung["base"]["greedy_forced"]["ci"],
            rung["grpo"].get("greedy", {}).get("seeds", ()),
        )
        for name, rung in summary["rungs"].items()
    ]


def table(summary: dict[str, Any]) -> str:
    """The ladder in Markdown."""
    seeds = summary["seeds"]
    heads = "".join(f" GRPO, seed {seed} |" for seed in seeds)
    lines = [
        f"| rung | base | base, thinking forced |{heads}",
        "|---|---:|---:|" + "---:|" * len(seeds),
    ]
    for name, rung in summary["rungs"].items():
        base = rung["base"]
        cells = [with_interval(base[way]) for way in ("greedy", "greedy_forced")]
        cells += [f"{value:.1%}" for value in rung["grpo"].get("greedy", {}).get("seeds", ())]
        lines.append(f"| {LABELS.get(name, name)}: {rung['meaning']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


RARE = 40  # problems: of a relation that fewer have, no rate is printed


def errors_table(found: dict[str, Any]) -> str:
    """What goes wrong, in Markdown: right answers by relation and by steps, then first errors."""
    lines = [
        "## What goes wrong\n",
        f"The base with thinking forced, greedily, on {found['n']} validation problems. "
        f"Right answers to stories that have a relation (of {RARE} problems or more), or so many "
        "steps:\n",
        "| in the story | problems | right |",
        "|---|---:|---:|",
    ]
    by = {name: cell for name, cell in found["by"].items() if cell[1] >= RARE}
    for name, (right, n) in sorted(by.items(), key=lambda item: item[1][0] / item[1][1]):
        lines.append(f"| {name} | {n} | {right / n:.0%} |")
    lines += [
        "\nThe first wrong step of each wrong answer:\n",
        "| what is wrong | answers |",
        "|---|---:|",
    ]
    lines += [f"| {meaning} | {found['errors'][kind]} |" for kind, meaning in KINDS.items()]
    return "\n".join(lines) + "\n"


def with_interval(figures: dict[str, Any]) -> str:
    low, high = figures["ci"]
    return f"{figures['accuracy']:.1%} ({low:.0%} to {high:.0%})"


def main() -> None:
    common.parser("studies.stories.figures", __doc__).parse_args()
    parts = common.load_results("stories")
    summary = summarise(parts)
    folder = common.results_folder()
    write_json_atomic(folder / "stories.json", summary)
    if summary["rungs"]:
        write_bytes_atomic(folder / "ladder.png", ladders.draw(rows(summary)))
        wrong = [errors_table(record) for record in parts if record["kind"] == "errors"]
        write_bytes_atomic(folder / "ladder.md", "\n".join([table(summary), *wrong]).encode())
    base = next((r for r in parts if r["kind"] == "base"), None)
    trained = sorted((r for r in parts if r["kind"] == "grpo"), key=lambda r: r["seed"])
    runs = {str(r["seed"]): r for r in trained}
    compared = comparison(base, runs) if base else None
    text = put(
        README.read_text(encoding="utf-8"),
        "figures:stories",
        readme_block(compared, beyond(summary)),
    )
    write_bytes_atomic(README, text.encode())
    print(f"written: {folder / 'stories.json'}")


if __name__ == "__main__":
    common.command(main)
