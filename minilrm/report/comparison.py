"""Several runs on one page: what came out of each, their curves laid over each other, and the
options in which they differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minilrm.curves import LOOKS, frame, label_ends, line, panels, smoothed, style, svg
from minilrm.errors import UserError
from minilrm.files import read_json
from minilrm.report.outcome import facts_so_far
from minilrm.report.page import PAGE, STYLE, render_curves, section
from minilrm.report.panels import (
    DOTS,
    GREEDY,
    MARGINS,
    WHEN_FITTED,
    WHEN_REINFORCED,
    Panel,
    Point,
    interval,
    is_number,
    points,
)
from minilrm.report.words import display, duration, escape, last_step, percent
from minilrm.runlog import RunLog

MOST = len(LOOKS)  # more runs could not be told apart


def render_comparison(folders: Sequence[Path]) -> str:
    """The page of some runs, by number: run 1 is the first that was named. UserError for more than
    can be told apart, and for one that is named twice."""
    if len(folders) > MOST:
        raise UserError(f"{len(folders)} runs are too many for one page; name at most {MOST}")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UserError("a run is named twice; name each once")
    logs = [RunLog.open(folder) for folder in folders]
    metrics = [log.metrics() for log in logs]
    title = f"{len(logs)} runs compared"
    body = [
        f"<h1>{title}</h1>",
        section("What came out", outcomes(logs, metrics)),
        section("Curves", render_curves(laid_over(metrics), HOW_TO_READ)),
        section("Options that differ", differences(logs)),
    ]
    return PAGE.format(title=title, style=STYLE, body="\n".join(body))


# -- tables ----------------------------------------------------------------------------------------


def outcomes(logs: Sequence[RunLog], metrics: Sequence[list[dict]]) -> str:
    """A row a run: its figures before and after, and its cost. They stand beside each other only
    where the runs were asked alike, so the number of problems stands there too."""
    heads = ["run", "folder", "command", "task", "steps", "problems"]
    heads += ["accuracy before", "accuracy after", "greedy after", "time"]
    rows = []
    for number, (log, lines) in enumerate(zip(logs, metrics, strict=True), start=1):
        path = log.folder / "summary.json"
        facts = read_json(path) if path.exists() else facts_so_far(lines)
        steps = f"{last_step(lines):,}" + ("" if path.exists() else ", not ended")
        rows.append(
            [
                str(number),
                escape(log.folder.name),
                escape(log.config.get("command")),
                escape(log.config.get("task")),
                steps,
                escape(display(facts.get("eval_n"))),
                share(facts, "accuracy_before"),
                share(facts, "accuracy_after"),
                share(facts, "greedy_after"),
                duration(facts["seconds"]) if is_number(facts.get("seconds")) else "–",
            ]
        )
    return table(heads, rows)


def share(facts: dict, name: str) -> str:
    value = facts.get(name)
    return percent(value, interval(facts.get(f"{name}_ci"))) if is_number(value) else "–"


def differences(logs: Sequence[RunLog]) -> str:
    """A row for each option that is not the same in all runs. Where they are kept is none."""
    chosen = [log.config.get("options") or {} for log in logs]
    names = dict.fromkeys(name for options in chosen for name in options)
    rows = [
        [escape(name), *(escape(display(options.get(name))) for options in chosen)]
        for name in names
        if name not in ("out", "resume")
        and any(options.get(name) != chosen[0].get(name) for options in chosen)
    ]
    if not rows:
        return "<p>None: the runs were asked for in the same way.</p>"
    return table(["option", *(f"run {i + 1}" for i in range(len(logs)))], rows)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already."""
    body = [f"<tr><th>{'<th>'.join(heads)}"]
    body += [f"<tr><td>{'<td>'.join(row)}" for row in rows]
    return f"<div class=wide><table>{''.join(body)}</table></div>"


# -- curves ----------------------------------------------------------------------------------------


@style()
def laid_over(metrics: Sequence[list[dict]]) -> list[str]:
    """A picture for each panel in which some run has a curve. A run has one line in each, named by
    its number: of what is held out where that was measured, else of training, smoothed."""
    known = {panel.title: panel for panel in (*WHEN_REINFORCED, *WHEN_FITTED)}
    pictures: list[str] = []
    for panel in known.values():
        curves = [curve_of(panel, lines) for lines in metrics]
        if not any(curves):
            continue
        figure, (axes,) = panels(1, width=3.5, height=2.4, margins=MARGINS)
        for number, (curve, look) in enumerate(zip(curves, LOOKS, strict=False), start=1):
            if curve:
                steps, values = np.array([(step, value) for step, value, _ in curve], float).T
                line(axes, steps, values, look, f"run {number}")
        frame(axes, panel.title, x="step", share=panel.share)
        label_ends(axes)
        pictures.append(svg(figure, f"{panel.title}, over steps, by run", len(pictures)))
    return pictures


def curve_of(panel: Panel, metrics: list[dict]) -> list[Point]:
    """The one curve of a panel by which a run is compared; empty if it logged none."""
    for source, event, key in sorted(panel.curves, key=lambda curve: curve[0].noisy):
        found = points(metrics, key, event)
        if found and source is not GREEDY:
            return smooth(found) if source.noisy else found
    return []


def smooth(found: list[Point]) -> list[Point]:
    """A training curve without the noise of its batches."""
    values = smoothed([value for _, value, _ in found], max(1, len(found) // 20))
    thin = max(1, len(found) // DOTS)
    both = zip(found, values, strict=True)
    kept: list[Point] = [(step, float(value), None) for (step, _, _), value in both]
    return kept[::thin]


HOW_TO_READ = (
    "One line a run, named by its number. What is held out was measured on validation problems; "
    "where it was not measured, the line is that of training, smoothed."
)
