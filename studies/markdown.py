"""Numbers -> the cells and tables of a page in Markdown. Nothing is computed here."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from minilrm.errors import UserError
from minilrm.files import write_bytes_atomic
from minilrm.intervals import TOO_FEW
from minilrm.painter import neutralise

LEAST_SEEDS = 3  # fewer make no claim
MISSING, DASH = "not measured yet", "–"
Form = Callable[[float], str]  # how a number is written


# -- cells -----------------------------------------------------------------------------------------


def percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    """A difference in percentage points."""
    return f"{100 * value:+.1f}"


def plain_number(value: float) -> str:
    return f"{value:.1f}"


def show(cell: dict | None, form: Form = percent) -> str:
    """`31.2 % (28.4 to 34.1)` of {"value", "ci", "n"}; a dash for what is missing, and no rate of
    fewer than 20 cases."""
    if not cell or cell["value"] is None:
        return DASH
    if cell["n"] is not None and cell["n"] < TOO_FEW:
        return f"too few (n = {cell['n']})"
    if not cell["ci"]:
        return form(cell["value"])
    low, high = (points(end) if form is points else f"{100 * end:.1f}" for end in cell["ci"])
    return f"{form(cell['value'])} ({low} to {high})"


def spread(over: dict | None, form: Form = percent) -> str:
    """`93.1 % (92.4 to 93.9)`: mean, least and greatest of the seeds; of a single one `93.1 %`."""
    if not over:
        return DASH
    if over.get("seeds") == 1:
        return form(over["mean"])
    low, high = (form(over[end]).removesuffix(" %") for end in ("min", "max"))
    return f"{form(over['mean'])} ({low} to {high})"


def duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def when(record: dict) -> str:
    """When a line was measured."""
    return record.get("time", "")[:16].replace("T", " ") or "some day"


def machine_words(machine: dict | None) -> str:
    if not machine:
        return "machine not noted"
    memory = f", {machine['memory_gb']:.0f} GB" if machine.get("memory_gb") else ""
    threads = f"{machine['threads']} thread{'s' if machine['threads'] != 1 else ''}"
    return (
        f"{machine['cores']} cores of {machine['processor']}{memory}, {machine['platform']}, "
        f"Python {machine['python']}, torch {machine['torch']}, {machine['device']}, {threads}"
    )


# -- blocks ----------------------------------------------------------------------------------------


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    lines.insert(1, "|---" + "|---:" * (len(head) - 1) + "|")
    return "\n".join(lines)


def boxed(text: str) -> str:
    """A model's text in a box of its own, which no sign in the text can close."""
    text = neutralise(text).replace("<!--", "<! --").replace("```", "'''")
    return f"```text\n{text}\n```"


# -- pages -----------------------------------------------------------------------------------------


def put(page: str, name: str, body: str) -> str:
    """The page with what stands between <!-- name --> and <!-- /name --> replaced."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(start) != 1 or page.count(end) != 1 or page.index(start) > page.index(end):
        raise UserError(f"the page needs the markers {start} and {end}, in this order, once each")
    return page[: page.index(start) + len(start)] + "\n" + body + "\n" + page[page.index(end) :]


def fill(files: Iterable[Path], filled: Callable[[str], str]) -> list[Path]:
    """Write the pages anew; none of them if one lacks its markers."""
    pages = {file: filled(file.read_text(encoding="utf-8")) for file in files}
    for file, page in pages.items():
        write_bytes_atomic(file, page.encode())
    return list(pages)
