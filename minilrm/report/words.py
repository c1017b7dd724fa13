"""Values -> words of the page. Whatever comes from a file goes through `escape`."""

from __future__ import annotations

import html

from minilrm.report.panels import is_number


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


def last_step(metrics: list[dict]) -> int:
    return max((line["step"] for line in metrics if is_number(line.get("step"))), default=0)
