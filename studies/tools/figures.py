"""The study of tools: its numbers, picture and tables, from the finished parts in
data/results/tools.jsonl.

    python -m studies.tools.figures                print the tables
    python -m studies.tools.figures --into FILE    fill this Markdown file, too: what stands between
                                                   the markers <!-- figures:NAME --> and
                                                   <!-- /figures:NAME -->, NAME one of BLOCKS

It writes data/results/tools.json, and tools.png as soon as one arm of GRPO is there.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from minilrm import curves, files
from minilrm.errors import UserError
from minilrm.intervals import TOO_FEW, mean, paired_bootstrap
from minilrm.objectives import group_advantages
from minilrm.tasks import get_task
from studies import common, markdown
from studies.markdown import DASH, percent, points, table
from studies.tools.study import ARMS, PRICE, STEPS, TASKS

COMMAND = "`python -m studies.tools all`, then `python -m studies.tools.figures --into` this file"
MISSING = f"Not measured yet: {COMMAND}."
WORDS = {
    "zero-shot": "a base that has never read a call",
    "base": "the base",
    "sft": "fine-tuned on calls alone",
    "grpo": "GRPO with tools",
    "price": f"then each call costs {PRICE:g}",
    "early": f"GRPO, each call costs {PRICE:g} from the start",
    "alone": "GRPO without tools",
}

Summary = dict[str, Any]


# -- numbers ---------------------------------------------------------------------------------------


def summarise() -> Summary:
    """task -> model -> the figures of each seed, with tools and without, and their difference."""
    found: Summary = {}
    for part in sorted(common.load_results("tools"), key=lambda part: part["seed"]):
        model = part["kind"].split("-")[0] if "task" in part else part["kind"]
        for name, ways in part["test"].items():
            seed = {"seed": part["seed"], "gain": gain(ways)}
            for way, cell in ways.items():  # who was right, problem by problem, is in the gain
                seed[way] = {key: value for key, value in cell.items() if key != "right"}
            if "curves" in part:
                seed["curves"] = part["curves"]
            found.setdefault(name, {}).setdefault(model, []).append(seed)
    return found


def gain(ways: dict[str, Any]) -> dict[str, Any]:
    """What the tools are worth to a model: right answers with them less those without, on the same
    problems."""
    on, off = (common.bits(ways[way]["right"]) for way in ("on", "off"))
    value, low, high = paired_bootstrap(on, off)
    return {"value": value, "ci": (low, high), "n": len(on)}


def over_seeds(values: Sequence[float | None], form: Callable[[float], str] = percent) -> str:
    """`93.1 % (92.4 to 93.9)`: the mean of the seeds, the least and the greatest; of one seed its
    value."""
    there = [value for value in values if value is not None]
    if not there:
        return DASH
    if len(there) == 1:
        return form(there[0])
    low, high = (form(end).removesuffix(" %") for end in (min(there), max(there)))
    return f"{form(mean(there))} ({low} to {high})"


# -- the picture -----------------------------------------------------------------------------------


@curves.style()
def draw(summary: Summary) -> bytes:
    """How often a tool is called at each level, step by step; a line is the mean of the seeds.
    Whole: without a price. Dashed: with one, behind it."""
    figure, axes = curves.panels(len(TASKS), height=3.0)
    for axis, name in zip(axes, TASKS, strict=True):
        for arm, style in (("grpo", "-"), ("price", "--")):
            for (level, words), look in zip(
                get_task(name).levels.items(), curves.LOOKS, strict=False
            ):
                key = f"tools/call_rate/level-{level}"
                seeds = [
                    seed["curves"][key]
                    for seed in summary.get(name, {}).get(arm, ())
                    if key in seed.get("curves", {})
                ]
                if seeds:
                    rates = over_steps(seeds)
                    first = 0 if arm == "grpo" else STEPS
                    label = words if arm == "grpo" else None
                    steps = range(first, first + len(rates))
                    axis.plot(steps, rates, style, color=look.color, label=label)
        curves.frame(axis, name, x="step", y="share of answers with a call", share=True)
        if axis.lines:
            axis.legend(fontsize=7)
    return curves.png(figure)


def over_steps(seeds: Sequence[Sequence[float | None]]) -> list[float]:
    """The mean of the seeds at each step that all have reached; NaN where a step had no problem of
    the level."""
    means = []
    for values in zip(*seeds, strict=False):
        there = [value for value in values if value is not None]
        means.append(mean(there) if there else float("nan"))
    return means


# -- words -----------------------------------------------------------------------------------------


def worth_block(summary: Summary) -> str:
    """Right answers with tools and without, before and after reinforcement learning."""
    rows = []
    for name in TASKS:
        for model, words in WORDS.items():
            seeds = summary.get(name, {}).get(model)
            if not seeds:
                continue
            certain = sum(seed["gain"]["ci"][0] > 0 for seed in seeds)
            rows.append(
                [
                    f"{name}: {words}",
                    over_seeds([seed["on"]["accuracy"] for seed in seeds]),
                    over_seeds([seed["off"]["accuracy"] for seed in seeds]),
                    f"{points(mean([seed['gain']['value'] for seed in seeds]))}, "
                    f"{certain} of {len(seeds)}",
                    over_seeds([seed["on"]["tools"]["calls"] for seed in seeds], two_places),
                ]
            )
    head = ("right answers", "tools on", "tools off", "gain, certain in", "calls an answer")
    return table(head, rows) if rows else MISSING


def two_places(value: float) -> str:
    return f"{value:.2f}"


def levels_block(summary: Summary) -> str:
    """Who calls a tool when: share of answers with a call, and right answers, by level."""
    parts = []
    for name in TASKS:
        models = [model for model in ("base", *ARMS) if model in summary.get(name, {})]
        models = [model for model in models if model != "alone"]
        if not models:
            continue
        rows = []
        for level, words in get_task(name).levels.items():
            cells = [level_cell(summary[name][model], level) for model in models]
            if any(cell != DASH for cell in cells):
                rows.append([words, *cells])
        head = (f"{name}: answers with a call / right", *(WORDS[model] for model in models))
        parts.append(table(head, rows))
    picture = "![share of answers with a call, by level](../../data/results/tools.png)"
    return "\n\n".join([picture, *parts]) if parts else MISSING


def level_cell(seeds: Sequence[dict[str, Any]], level: int) -> str:
    """`92.0 % / 88.1 %` over the seeds; JSON has made texts of the levels."""
    found = [seed["on"]["tools"]["by_level"].get(str(level)) for seed in seeds]
    of = [cell for cell in found if cell]
    if not of:
        return DASH
    if min(cell["n"] for cell in of) < TOO_FEW:
        return "too few"
    rates = (mean([cell[key] for cell in of]) for key in ("call_rate", "accuracy"))
    return " / ".join(map(percent, rates))


def made_up_block(summary: Summary) -> str:
    """How often an answer that should be a fact is one that nobody told."""
    rows = []
    for model, words in WORDS.items():
        seeds = summary.get("prices", {}).get(model)
        if seeds:
            used = {way: [seed[way]["tools"] for seed in seeds] for way in ("on", "off")}
            cells = [over_seeds([of["made_up"] for of in used[way]]) for way in used]
            n = min(of["facts_n"] for way in used for of in used[way])
            rows.append([words, *cells, str(n)])
    head = ("made-up facts", "database on", "database off", "answers, at least")
    return table(head, rows) if rows else MISSING


def price_block(summary: Summary) -> str:
    """What the price of a call does to the advantages of a group in which all answers are right;
    nothing is measured here, the library computes it."""
    groups = {
        "all right, half call": ([1.0] * 8, [1, 1, 1, 1, 0, 0, 0, 0]),
        "half right, those call": ([1.0] * 4 + [0.0] * 4, [1, 1, 1, 1, 0, 0, 0, 0]),
    }
    rows = []
    for words, (rewards, calls) in groups.items():
        for normalize in ("std", "none"):
            cells = []
            for price in (0.0, 0.001, 0.1):
                paid = [r - price * c for r, c in zip(rewards, calls, strict=True)]
                first = group_advantages(torch.tensor([paid]), normalize)[0, 0]
                cells.append(f"{float(first):+.3f}")
            rows.append([f"{words}; {normalize}", *cells])
    return table(("advantage of an answer with a call", "price 0", "0.001", "0.1"), rows)


BLOCKS: dict[str, Callable[[Summary], str]] = {
    "figures:tools-worth": worth_block,
    "figures:tools-levels": levels_block,
    "figures:made-up": made_up_block,
    "figures:call-price": price_block,
}


def filled(page: str, summary: Summary) -> str:
    """The page with its blocks written anew; UserError if it has none."""
    names = [name for name in re.findall(r"<!-- (figures:[\w-]+) -->", page) if name in BLOCKS]
    if not names:
        raise UserError(f"the page has none of the markers {', '.join(BLOCKS)}")
    for name in names:
        page = markdown.put(page, name, BLOCKS[name](summary))
    return page


# -- the command -----------------------------------------------------------------------------------


def main() -> None:
    parser = common.parser("studies.tools.figures", __doc__)
    words = "Markdown files whose blocks are filled"
    parser.add_argument("--into", type=Path, nargs="+", default=[], metavar="FILE", help=words)
    into = parser.parse_args().into
    summary, folder = summarise(), common.results_folder()
    if summary:
        folder.mkdir(exist_ok=True)
        files.write_json_atomic(folder / "tools.json", summary)
    if any("grpo" in models for models in summary.values()):
        files.write_bytes_atomic(folder / "tools.png", draw(summary))
    markdown.fill(into, lambda page: filled(page, summary))
    for write in BLOCKS.values():
        print(write(summary), end="\n\n")


if __name__ == "__main__":
    common.command(main)
