"""The report card of a speedrun: what each stage took, and how good each model is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minilrm.intervals import TOO_FEW
from minilrm.pipeline.stages import Done, Stage
from minilrm.report.words import duration

#: the stage that made a model -> what the card calls the model
MODELS = {
    "pretrain": "base",
    "sft": "base + SFT",
    "grpo": "base + SFT + GRPO",
    "pipeline": "base + R1's recipe",
    "distill": "student of it",
}
STAGE_COLUMNS = ("stage", "what it does", "time", "what came of it")
#: figure of `pipeline.page.look` -> heading
COLUMNS = {
    "accuracy": "right, sampled (95 % interval)",
    "greedy": "right, greedily",
    "second wording": "greedily, second wording",
    "general": "general requests",
    "mixing": "mixes languages",
}


def card(
    scale: str,
    seed: int,
    machine: Mapping[str, Any],
    stages: Sequence[Stage],
    done: Mapping[str, Done],
    figures: Mapping[str, Mapping[str, Any]],
) -> str:
    """The card in Markdown.

    machine: `machine.describe()`. figures: of each model, by the stage that made it.
    """
    total = sum(d.seconds for d in done.values())
    n = next(iter(figures.values()))["n"]
    lines = [
        f"# Speedrun, scale {scale}: {duration(total)} from random weights to a student",
        "",
        f"{machine['cores']} cores of {machine['processor']}, {machine['threads']} threads, "
        f"{machine['platform']}, torch {machine['torch']}, {machine['device']}; seed {seed}.",
        "",
        table(STAGE_COLUMNS, [stage_row(s, done[s.name]) for s in stages]),
    ]
    if any(d.resumed for d in done.values()):
        lines += ["", "*: interrupted on the way; the time is that of its last stretch."]
    lines += [
        "",
        f"{n} test problems, the same for all models:",
        "",
        table(("model", "parameters", *COLUMNS.values(), "tokens an answer"), rows(figures)),
    ]
    return "\n".join(lines) + "\n"


def stage_row(stage: Stage, done: Done) -> tuple[str, ...]:
    time = duration(done.seconds) + ("*" if done.resumed else "")
    return stage.name, stage.does, time, came_of_it(done.figures)


def came_of_it(figures: Mapping[str, Any]) -> str:
    """The counts of a stage in words.

    >>> came_of_it({"vocabulary": 1024})
    '1,024 tokens in the vocabulary'
    >>> came_of_it({"steps": 50, "tokens_generated": 900000, "tokens_trained": 1000000})
    '50 steps, 900,000 tokens generated, 1,000,000 learnt from'
    """
    words = {
        "vocabulary": "tokens in the vocabulary",
        "steps": "steps",
        "tokens_generated": "tokens generated",
        "tokens_trained": "learnt from",
    }
    return ", ".join(f"{figures[k]:,} {what}" for k, what in words.items() if figures.get(k))


def rows(figures: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row for each model."""
    found = []
    for name, of in figures.items():
        rates = [share(of.get(key), of["n"]) for key in COLUMNS]
        if of["n"] >= TOO_FEW:
            low, high = of["accuracy_ci"]
            rates[0] += f" ({100 * low:.1f} to {100 * high:.1f})"
        found.append((MODELS[name], f"{of['parameters']:,}", *rates, f"{of['length']:.0f}"))
    return found


def share(value: float | None, n: int) -> str:
    """A rate; of fewer than 20 cases it is none."""
    if n < TOO_FEW:
        return f"too few (n = {n})"
    return "–" if value is None else f"{100 * value:.1f} %"


def table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (head, *body)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
