"""The report of a run: one HTML file that needs nothing else, made from what the run folder holds.

    python -m minilrm.report runs/grpo-gsm8k-mini-20250131-142500

It says what came out (accuracy before and after, with intervals), draws the curves, shows what the
model wrote for the same problems before and after, and ends with the cost and the options. A run
that was interrupted has a report too.

What a model wrote is text from a stranger: every piece of it is escaped, and the page forbids
scripts altogether.
"""

from __future__ import annotations

import html
import io
from dataclasses import MISSING, dataclass
from pathlib import Path

from minilrm.cli import option, run_command
from minilrm.curves import (
    ACCURACY,
    LENGTH,
    REWARD,
    THINKING,
    curves_svg,
    draw_panels,
    interval,
    is_number,
    points,
)
from minilrm.files import read_json, write_bytes_atomic
from minilrm.runlog import RunLog


def write_report(folder: str | Path) -> Path:
    """Write report.html into a run folder and return its path. Training commands call this as they
    end."""
    log = RunLog.open(folder)
    path = log.folder / "report.html"
    # A completion may hold half a surrogate pair, which UTF-8 cannot spell: it becomes a question
    # mark.
    write_bytes_atomic(path, render_page(log).encode("utf-8", "replace"))
    return path


def plot_run(folder: str | Path, path: str | Path, *, title: str | None = None) -> Path:
    """A run in three small panels, as a PNG: R1-Zero's famous figure in miniature (accuracy,
    thinking, length)."""
    metrics = RunLog.open(folder).metrics()
    first = ACCURACY if points(metrics, "accuracy") else REWARD
    buffer = io.BytesIO()
    draw_panels(metrics, [first, THINKING, LENGTH], title).savefig(
        buffer, format="png", dpi=200, facecolor="white"
    )
    write_bytes_atomic(path, buffer.getvalue())
    return Path(path)


def render_page(log: RunLog) -> str:
    """The whole page, top to bottom; a part that has nothing to show is left out."""
    ended = (log.folder / "summary.json").exists()
    config, summary, metrics = (
        log.config,
        read_json(log.folder / "summary.json") if ended else {},
        log.metrics(),
    )
    title = (
        " · ".join(str(config[key]) for key in ("command", "task") if config.get(key))
        or log.folder.name
    )
    last = {line.get("event"): line for line in metrics}
    body = [
        f"<h1>{escape(title)}</h1><p class=where>{escape(log.folder.name)}</p>",
        f"<p class=outcome>{outcome(summary, metrics)}</p>",
        section("Curves", curves_svg(metrics)),
        section("What it wrote", render_transcripts(log.samples())),
        section("Cost", table(cost(config, summary, metrics))),
        section("Options", table(config.get("options"))),
        section(
            "Last figures logged",
            "".join(table(line, f"event: {event}") for event, line in last.items()),
        ),
    ]
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(body))


# The outcome, in words


def outcome(summary: dict, metrics: list[dict]) -> str:
    """One paragraph: what changed, how sure that is, and what it cost."""
    ended = (
        ""
        if summary
        else (
            "<b>This run has not ended</b>: it was interrupted, or is still going. "
            f"What follows is as of step {last_step(metrics):,}. "
        )
    )
    facts = summary or facts_so_far(metrics)
    return ended + " ".join(
        accuracy_sentences(facts) + loss_sentences(metrics) + cost_sentences(facts)
    )


def facts_so_far(metrics: list[dict]) -> dict:
    """What a summary would say about accuracy, out of the first and the last evaluation."""
    evals = [line for line in metrics if line.get("event") == "eval"]
    if len(evals) < 2:
        return {}
    facts = {"eval_n": evals[-1].get("n")}
    for when, line in (("before", evals[0]), ("after", evals[-1])):
        facts |= {
            f"accuracy_{when}": line.get("accuracy"),
            f"accuracy_{when}_ci": line.get("accuracy_ci"),
            f"greedy_{when}": line.get("greedy"),
            f"length_{when}": line.get("mean_length"),
        }
    return facts


def accuracy_sentences(facts: dict) -> list[str]:
    n, before, after = (
        facts.get("eval_n"),
        facts.get("accuracy_before"),
        facts.get("accuracy_after"),
    )
    if not is_number(before) or not is_number(after):
        return []
    first, last = (
        interval(facts.get("accuracy_before_ci")),
        interval(facts.get("accuracy_after_ci")),
    )
    said = [
        f"Sampled accuracy{f' on {n:,} problems' if is_number(n) else ''} went from {percent(before, first)} "
        f"to {percent(after, last)}."
    ]
    if is_number(n) and n < 20:
        said.append("That is too few problems to tell.")
    elif first and last and first[1] >= last[0] and last[1] >= first[0]:
        said.append(
            "The two intervals overlap: this run alone does not settle whether accuracy changed."
        )
    for name, words, unit in (
        ("greedy", "Greedy decoding", percent),
        ("length", "Tokens a completion", "{:.1f}".format),
    ):
        pair = facts.get(f"{name}_before"), facts.get(f"{name}_after")
        if all(map(is_number, pair)):
            said.append(f"{words}: {unit(pair[0])} before, {unit(pair[1])} after.")
    return said


def loss_sentences(metrics: list[dict]) -> list[str]:
    """For runs whose loss means something. A policy gradient's does not: it hovers around zero
    however well it goes."""
    losses = {
        "Training loss": points(metrics, "loss", "train"),
        "Held-out loss": points(metrics, "val_loss"),
    }
    losses = (
        {} if points(metrics, "reward") else {name: line for name, line in losses.items() if line}
    )
    return [
        f"{name}: {line[0][1]:.3f} at first, <b>{line[-1][1]:.3f}</b> at last."
        for name, line in losses.items()
    ]


def cost_sentences(facts: dict) -> list[str]:
    if not is_number(facts.get("seconds")):
        return []
    device = f" on {escape(facts['device'])}" if facts.get("device") else ""
    tokens = [
        f"{facts[key]:,} tokens {done}"
        for key, done in (("tokens_generated", "generated"), ("tokens_trained", "trained on"))
        if is_number(facts.get(key))
    ]
    return [
        f"It took {duration(facts['seconds'])}{device}{': ' if tokens else ''}{', '.join(tokens)}."
    ]


# What the model wrote


def choose_problems(
    samples: list[dict], most: int = 6
) -> tuple[list[tuple[dict, dict]], dict[str, int]]:
    """(before, after) of up to `most` problems sampled at the first and at the last evaluation, and
    a count of all.

    Chosen to teach, not to represent: mostly wrong → right, but one that stays wrong and one that
    was spoiled if there are any, so that nobody takes the choice for the whole. Hence the counts.
    """
    evals = [
        sample
        for sample in samples
        if sample.get("event") == "eval"
        and is_number(sample.get("step"))
        and sample.get("correct") is not None
    ]
    ends = sorted({sample["step"] for sample in evals})
    if len(ends) < 2:
        return [], {}
    # Of several samples of a problem the first counts: reversed, the first is written last.
    first, last = (
        {str(sample.get("key")): sample for sample in reversed(evals) if sample["step"] == step}
        for step in (ends[0], ends[-1])
    )
    kinds = {kind: [] for kind in ("wrong → right", "stays wrong", "right → wrong", "stays right")}
    for key in reversed(first):
        if key in last:
            kinds[change(first[key], last[key])].append((first[key], last[key]))
    fixed, wrong, spoiled, right = kinds.values()
    sobering = wrong[:1] + spoiled[:1]
    chosen = fixed[: most - len(sobering)] + sobering
    chosen += (wrong[1:] + right + spoiled[1:])[: most - len(chosen)]
    return chosen, {kind: len(pairs) for kind, pairs in kinds.items()}


def change(before: dict, after: dict) -> str:
    was, now = ("right" if sample.get("correct") else "wrong" for sample in (before, after))
    return f"stays {now}" if was == now else f"{was} → {now}"


def render_transcripts(samples: list[dict]) -> str:
    """Problems in cards, before and after side by side; without two evaluations, the last that were
    written."""
    chosen, counts = choose_problems(samples)
    told = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    intro = (
        f"<p>Of the {sum(counts.values()):,} problems sampled at the first and at the last evaluation: {told}. "
        "Those shown were picked to be instructive.</p>"
        if chosen
        else ""
    )
    cards = chosen or [(sample,) for sample in samples[-3:]]
    return intro + "\n".join(
        render_card(number, card) for number, card in enumerate(cards, start=1)
    )


def render_card(number: int, versions: tuple[dict, ...]) -> str:
    """A problem, its right answer, and one column for each version of what the model wrote."""
    kind = f" · {change(*versions)}" if len(versions) == 2 else ""
    columns = "".join(render_version(version) for version in versions)
    prompt, answer = (escape(versions[-1].get(key)).strip() for key in ("prompt", "answer"))
    return (
        f"<article><h3>Problem {number}{kind}</h3><pre>{prompt}</pre><p>Right answer: <b>{answer or '–'}</b></p>"
        f"<div class=pair>{columns}</div></article>"
    )


def render_version(sample: dict) -> str:
    pieces = sample.get("pieces")
    if (
        isinstance(pieces, list) and pieces
    ):  # a trace: short enough to be shown whole, attempts and second thoughts marked
        return (
            f"<div><h4>Step {escape(sample.get('step'))}</h4><pre>{render_pieces(pieces)}</pre>"
            f"<b>{verdict(sample)}</b></div>"
        )
    thinking, answer = split_answer(str(sample.get("completion") or ""))
    words = len(thinking.split())
    folded = (
        f"<details><summary>thinking: {words} words</summary><pre>{escape(thinking)}</pre></details>"
        if words
        else "<p class=none>no thinking</p>"
    )
    return (
        f"<div><h4>Step {escape(sample.get('step'))}</h4>{folded}"
        f"<pre class=answer>{escape(answer) or '(no answer)'}</pre><b>{verdict(sample)}</b></div>"
    )


def verdict(sample: dict) -> str:
    return {None: "", True: "✓ right", False: "✗ wrong"}[
        None if (ok := sample.get("correct")) is None else bool(ok)
    ]


def render_pieces(pieces: list) -> str:
    """A trace with its reflections highlighted and each attempt marked by what it is, not by what
    its writer says."""
    signs = {
        "attempt-right": "<i class=right>{}</i> ✓",
        "attempt-wrong": "<i class=wrong>{}</i> ✗",
        "reflection": "<mark>{}</mark>",
        "answer": "<b>{}</b>",
    }
    known = (piece for piece in pieces if isinstance(piece, (list, tuple)) and len(piece) == 2)
    return "".join(signs.get(str(kind), "{}").format(escape(text)) for text, kind in known).strip()


def split_answer(completion: str) -> tuple[str, str]:
    """Thinking and answer: the answer is the last line `#### N`, or the last line at all if there
    is no such line.

    >>> split_answer("3*4=12\\n#### 12")
    ('3*4=12', '#### 12')
    """
    lines = completion.strip().split("\n")
    cut = max(
        (i for i, line in enumerate(lines) if line.lstrip().startswith("####")),
        default=len(lines) - 1,
    )
    return "\n".join(lines[:cut]).strip(), "\n".join(lines[cut:]).strip()


# Tables and small pieces. Whatever comes from a file goes through `escape`.


def cost(config: dict, summary: dict, metrics: list[dict]) -> dict:
    facts = {
        "time": duration(summary["seconds"]) if is_number(summary.get("seconds")) else None,
        "steps": summary.get("steps", last_step(metrics)),
        "tokens generated": summary.get("tokens_generated"),
        "tokens trained on": summary.get("tokens_trained"),
        "device": summary.get("device"),
        "started": config.get("started"),
        "minilrm": config.get("version"),
    }
    facts = {name: value for name, value in facts.items() if value is not None}
    # The machine names a device as well, the one it would choose; the one that was used has the
    # last word.
    return facts | (config["machine"] if isinstance(config.get("machine"), dict) else {}) | facts


def section(heading: str, body: str) -> str:
    return f"<section><h2>{heading}</h2>{body}</section>" if body else ""


def table(rows: object, caption: str = "") -> str:
    pairs = rows.items() if isinstance(rows, dict) else ()
    body = "".join(f"<tr><th>{escape(name)}<td>{escape(display(value))}" for name, value in pairs)
    return f"<table><caption>{escape(caption)}</caption>{body}</table>" if body else ""


def display(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(display, value))
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return (
        f"{value:,}"
        if is_number(value) and abs(value) >= 10_000
        else "–"
        if value is None
        else str(value)
    )


def escape(value: object) -> str:
    return html.escape("" if value is None else str(value))


def percent(share: float, ends: tuple | None = None) -> str:
    return f"<b>{100 * share:.1f} %</b>" + (
        f" (95 % interval {100 * ends[0]:.1f}–{100 * ends[1]:.1f})" if ends else ""
    )


def duration(seconds: float) -> str:
    size, unit = (
        (1, "seconds") if seconds < 100 else (60, "minutes") if seconds < 6000 else (3600, "hours")
    )
    return f"{seconds / size:.{0 if size == 1 else 1}f} {unit}"


def last_step(metrics: list[dict]) -> int:
    return max((line["step"] for line in metrics if is_number(line.get("step"))), default=0)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>{style}</style></head><body>
{body}</body></html>
"""
STYLE = """
:root { color-scheme: light dark; --ink: #222; --soft: #666; --line: #ddd; --card: #f6f6f4; --paper: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e0; --soft: #aaa; --line: #444; --card: #242424; --paper: #181818 } }
body { max-width: 62rem; margin: 2.5rem auto; padding: 0 1.2rem; color: var(--ink); background: var(--paper);
  font: 16px/1.55 system-ui, sans-serif }
h1, h3, h4 { margin: 0 0 .4rem; font-size: 1rem } h2 { margin: 2.4rem 0 .7rem; font-size: 1.2rem }
h1 { font-size: 1.7rem } .where, .none, summary, caption, h4, th { color: var(--soft); font-weight: 400 }
.outcome { font-size: 1.1rem; max-width: 48rem } svg { max-width: 100%; height: auto }
pre { margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; font: .9rem/1.45 ui-monospace, monospace }
article { margin: 0 0 1rem; padding: 1rem 1.2rem; background: var(--card); border-radius: 6px; break-inside: avoid }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 0 1.5rem }
.pair > div { border-top: 1px solid var(--line); padding: .6rem 0 } .pair p { margin: .3rem 0 }
summary { cursor: pointer } .answer { font-weight: 700 } i { font-style: normal } .right { text-decoration: underline }
.wrong { color: var(--soft) } mark { background: #f5d76e; color: #222; padding: 0 .15em; font-weight: 700 }
table { border-collapse: collapse; margin: 0 0 1.2rem; font-variant-numeric: tabular-nums } caption { text-align: left }
th, td { padding: .15rem 1.5rem .15rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
/* On paper nothing can be unfolded, so the thinking is printed in full. */
@media print { body { margin: 0 } details::details-content { content-visibility: visible; block-size: auto } }
"""


@dataclass
class Options:
    run: str = option(MISSING, "the run folder, for example runs/grpo-countdown-20250131-142500")


def main(argv: list[str] | None = None) -> None:
    run_command(
        lambda options: print(write_report(options.run)),
        Options,
        argv,
        prog="python -m minilrm.report RUN",
        description="Write RUN/report.html: outcome, curves, transcripts before and after, cost.",
        first="run",
    )


if __name__ == "__main__":
    main()
