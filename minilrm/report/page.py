"""The page of a report, top to bottom."""

from __future__ import annotations

from minilrm.files import read_json
from minilrm.report.outcome import outcome
from minilrm.report.panels import curves_svg, is_number
from minilrm.report.transcripts import render_transcripts
from minilrm.report.words import display, duration, escape, last_step
from minilrm.runlog import RunLog


def render_page(log: RunLog) -> str:
    """The whole page, top to bottom; a part that has nothing to show is left out."""
    ended = (log.folder / "summary.json").exists()
    summary = read_json(log.folder / "summary.json") if ended else {}
    config, metrics = log.config, log.metrics()
    named = " · ".join(str(config[key]) for key in ("command", "task") if config.get(key))
    title = named or log.folder.name
    last = {line.get("event"): line for line in metrics}
    body = [
        f"<h1>{escape(title)}</h1><p class=where>{escape(log.folder.name)}</p>",
        f"<p class=outcome>{outcome(summary, metrics)}</p>",
        section("Curves", render_curves(curves_svg(metrics), HOW_TO_READ)),
        section("What it wrote", render_transcripts(log.samples())),
        section("Cost", html_table(cost(config, summary, metrics))),
        folded("Options", html_table(config.get("options"))),
        folded(
            "Last figures logged",
            "".join(html_table(line, f"event: {event}") for event, line in last.items()),
        ),
    ]
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(body))


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


def render_curves(pictures: list[str], how_to_read: str) -> str:
    """The panels side by side, as many as the page has room for."""
    if not pictures:
        return ""
    return f"<p>{how_to_read}</p><div class=curves>{''.join(pictures)}</div>"


def section(heading: str, body: str) -> str:
    return f"<section><h2>{heading}</h2>{body}</section>" if body else ""


def folded(heading: str, body: str) -> str:
    """A section of many lines, of which few are looked for: it opens by a click."""
    return f"<details><summary><h2>{heading}</h2></summary>{body}</details>" if body else ""


def html_table(rows: object, caption: str = "") -> str:
    pairs = rows.items() if isinstance(rows, dict) else ()
    body = "".join(f"<tr><th>{escape(name)}<td>{escape(display(value))}" for name, value in pairs)
    return f"<table><caption>{escape(caption)}</caption>{body}</table>" if body else ""


HOW_TO_READ = (
    "Training is one batch per step: faint as logged, bold smoothed. What is held out was measured "
    "on validation problems, with 95 % intervals where they are known."
)
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'">
<style>{style}</style></head><body>
{body}</body></html>
"""
STYLE = """
:root { color-scheme: light dark;
  --ink: #222; --soft: #5a5a5a; --line: #ddd; --card: #f6f6f4; --paper: #fff }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e0; --soft: #b0b0b0; --line: #444; --card: #242424; --paper: #181818;
    --look-0: #4ca6e2; --look-1: #f2853c; --look-2: #2fc79b } }
* { box-sizing: border-box }
body { max-width: 66rem; margin: 2.5rem auto; padding: 0 1.2rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, sans-serif; overflow-wrap: break-word }
h1, h3, h4 { margin: 0 0 .4rem; font-size: 1rem }
h2 { margin: 2.4rem 0 .7rem; font-size: 1.2rem }
h1 { font-size: 1.7rem }
.where, .none, summary, caption, h4, th { color: var(--soft); font-weight: 400 }
p { max-width: 48rem }
.outcome { font-size: 1.1rem }
.curves { display: grid; gap: 1.2rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)) }
.curves svg { width: 100%; max-width: 24rem; height: auto }
.wide { overflow-x: auto }
pre { margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font: .9rem/1.45 ui-monospace, monospace }
article { margin: 0 0 1rem; padding: 1rem 1.2rem; background: var(--card); border-radius: 6px;
  break-inside: avoid }
.pair { display: grid; gap: 0 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)) }
.pair > div { border-top: 1px solid var(--line); padding: .6rem 0 }
.pair p { margin: .3rem 0 }
summary { cursor: pointer }
summary h2 { display: inline-block; color: var(--ink) }
.answer { font-weight: 700 }
i { font-style: normal }
.right { text-decoration: underline }
.wrong { color: var(--soft) }
mark { background: #f5d76e; color: #222; padding: 0 .15em; font-weight: 700 }
table { border-collapse: collapse; margin: 0 0 1.2rem; font-variant-numeric: tabular-nums;
  max-width: 100% }
caption { text-align: left }
th, td { padding: .15rem 1rem .15rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere }
td { padding-right: 0 }
/* On paper nothing can be unfolded, so the thinking is printed in full. */
@media print { body { margin: 0 }
  details::details-content { content-visibility: visible; block-size: auto } }
"""
