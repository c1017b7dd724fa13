"""Notebooks out of their sources: lectures/NN_slug/notebook.py (percent format) ->
notebooks/NN_slug.ipynb.

    python scripts/notebooks.py                  convert and execute all of them; outputs are kept
    python scripts/notebooks.py 17_aha_moment    only this one
    python scripts/notebooks.py --fast           execute with FAST=1 and keep nothing: do they run?
    python scripts/notebooks.py --check          execute nothing: is every committed notebook that
                                                 of its source?
    python scripts/notebooks.py --text           execute nothing: take over changed words where no
                                                 line of code has changed

A source is a plain Python file in which `# %%` begins a cell of code and `# %% [markdown]` one of
text: it can be read, reviewed and linted like any other file. The conversion is deterministic: cell
ids are made of the notebook's name and the cell's number, and a notebook carries a hash of its
cells' sources, by which a stale one is found. Outputs do not count. It carries the seconds that its
run took, too, and its head must not promise less.
"""

import argparse
import ast
import hashlib
import os
import platform
import re
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LECTURES, NOTEBOOKS = ROOT / "lectures", ROOT / "notebooks"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
SECONDS_A_CELL = 1800
BAR = re.compile(r"(.*?):?\s*(\d+)%\|")  # (what is counted, per cent) of a line that tqdm drew


def sources() -> dict[str, Path]:
    """Name of the notebook -> its source. A lecture has `notebook.py`; a second one is
    `notebook_b.py`, for NNb_slug."""
    found = {}
    for path in sorted(LECTURES.glob("[0-9][0-9]_*/notebook*.py")):
        letter = path.stem.removeprefix("notebook").removeprefix("_")
        number, _, slug = path.parent.name.partition("_")
        if letter:  # its first line names it: # notebook: 17b_checking_multiplication
            slug = (
                path.read_text(encoding="utf-8")
                .splitlines()[0]
                .removeprefix("# notebook:")
                .strip()
                .partition("_")[2]
            )
        found[f"{number}{letter}_{slug}"] = path
    return found


def convert(name: str, source: Path):
    """The notebook of a source, without outputs."""
    import jupytext

    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("# notebook:")]
    notebook.metadata = {
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
        "minilrm": {
            "source": source.relative_to(ROOT).as_posix(),
            "sha256": digest(notebook.cells),
        },
    }
    for number, cell in enumerate(notebook.cells):
        cell["id"] = hashlib.sha256(f"{name}:{number}".encode()).hexdigest()[:8]
        cell.metadata = {}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def digest(cells) -> str:
    """A hash of what the cells say, in order; outputs do not count."""
    text = "\x00".join(f"{cell.cell_type}\x01{cell.source}" for cell in cells)
    return hashlib.sha256(text.encode()).hexdigest()


def execute(notebook, fast: bool) -> None:
    """Run all cells in place, from the project's own root, with this interpreter."""
    from nbclient import NotebookClient

    os.environ["FAST"] = "1" if fast else ""
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))
    )
    NotebookClient(
        notebook,
        timeout=SECONDS_A_CELL,
        kernel_name="python3",
        resources={"metadata": {"path": str(ROOT)}},
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran: it would change with every run
        tidy(cell)


def tidy(cell) -> None:
    """Printed pieces that follow each other become one, and what is no use to a reader goes
    (`calm`)."""
    outputs = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and outputs and outputs[-1].get("name") == output.name:
            outputs[-1].text += output.text
        else:
            outputs.append(output)
    for output in outputs:
        if output.output_type == "stream":
            output.text = calm(output.text)
    if "outputs" in cell:
        cell.outputs = [o for o in outputs if o.output_type != "stream" or o.text]


def calm(text: str) -> str:
    r"""Of a progress bar its last state; left out are the names of temporary folders, other in
    each run, and the place of the clone.

    >>> calm("\rrun: 10%|# | 1/10\rrun: 100%|##| 10/10\nreport: /tmp/tmpab12_xyz/run/report.html\n")
    'run: 100%|##| 10/10\nreport: TEMPORARY/run/report.html\n'
    """
    lines: list[str] = []
    for line in re.split(r"\n\r|\r\n|\r|\n", text.replace("\x1b[A", "")):
        if not line.strip() and BAR.match(lines[-1] if lines else ""):
            continue
        if bar := BAR.match(line):
            begun = [i for i, kept in enumerate(lines) if (b := BAR.match(kept)) and b[1] == bar[1]]
            if begun and (BAR.match(lines[begun[-1]])[2] != "100" or bar[2] == "100"):
                del lines[begun[-1]]
        temporary = r"/\S*?/tmp[a-z0-9_]{8}(?=[/\s])|/tmp/tmp[a-z0-9_]{8}"
        lines.append(re.sub(temporary, "TEMPORARY", line.replace(f"{ROOT}{os.sep}", "")).rstrip())
    return (
        "\n".join(lines).strip("\n") + ("\n" if text.endswith("\n") else "") if any(lines) else ""
    )


def promised(notebook) -> float:
    """The minutes that the head of a notebook states, as in "**Time**: about 4 minutes on two CPU
    cores"."""
    found = re.search(r"\*\*Time\*\*: about (\d+) minutes?\b", notebook.cells[0].source)
    if not found:
        raise ValueError('the first cell must say "**Time**: about N minutes"')
    return float(found[1])


def stale(name: str, source: Path) -> str | None:
    """What is wrong with the committed notebook; None if nothing is."""
    import nbformat

    path = NOTEBOOKS / f"{name}.ipynb"
    if not path.is_file():
        return f"{path.relative_to(ROOT)} is not there; make it: make notebooks"
    committed, wanted = nbformat.read(path, as_version=4), digest(convert(name, source).cells)
    if digest(committed.cells) != wanted or committed.metadata["minilrm"]["sha256"] != wanted:
        return (
            f"{path.relative_to(ROOT)} is not that of {source.relative_to(ROOT)}; make it anew: "
            "make notebooks"
        )
    if any(
        cell.cell_type == "code" and cell.execution_count is None
        for cell in committed.cells
        if cell.source.strip()
    ):
        return (
            f"{path.relative_to(ROOT)} has cells that were never run; make it anew: make notebooks"
        )
    return None


def make(name: str, source: Path, fast: bool) -> float:
    """Convert and execute one notebook, and keep it unless `fast`. Returns the seconds it took."""
    import nbformat

    started = time.perf_counter()
    notebook = convert(name, source)
    execute(notebook, fast)
    seconds = time.perf_counter() - started
    if not fast:
        notebook.metadata["minilrm"] |= {
            "seconds": round(seconds),
            "cores": os.cpu_count(),
            "machine": platform.machine(),
        }
        NOTEBOOKS.mkdir(exist_ok=True)
        nbformat.write(notebook, NOTEBOOKS / f"{name}.ipynb")
    return seconds


def take_words(name: str, source: Path) -> bool:
    """Put the source's text into the committed notebook, whose outputs stay; False if there is
    code that was not run."""
    import nbformat

    path, fresh = NOTEBOOKS / f"{name}.ipynb", convert(name, source)
    committed = nbformat.read(path, as_version=4) if path.is_file() else None
    if committed is None or code_of(committed.cells) != code_of(fresh.cells):
        return False
    ran = iter([cell for cell in committed.cells if cell.cell_type == "code"])
    for cell in fresh.cells:
        if cell.cell_type == "code":
            cell.update(
                {
                    key: value
                    for key, value in next(ran).items()
                    if key in ("outputs", "execution_count")
                }
            )
            tidy(cell)
    fresh.metadata = committed.metadata
    fresh.metadata["minilrm"]["sha256"] = digest(fresh.cells)
    nbformat.write(fresh, path)
    return True


def code_of(cells) -> list[str]:
    """What the cells of code do, however they are laid out: line breaks and comments do not
    count."""
    return [ast.dump(ast.parse(cell.source)) for cell in cells if cell.cell_type == "code"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="notebooks to make; all if none is named")
    parser.add_argument("--fast", action="store_true", help="run with FAST=1 and keep nothing")
    parser.add_argument(
        "--check", action="store_true", help="run nothing; fail if a committed notebook is stale"
    )
    parser.add_argument(
        "--text",
        action="store_true",
        help="run nothing; take over changed words where no code has changed",
    )
    chosen = parser.parse_args()
    known = sources()
    if unknown := [name for name in chosen.names if name not in known]:
        print(
            f"error: no notebook is called {unknown[0]}; there are {', '.join(known)}",
            file=sys.stderr,
        )
        return 2
    wanted = {name: known[name] for name in chosen.names or known}
    if chosen.check:
        problems = list(filter(None, (stale(name, source) for name, source in wanted.items())))
        print("\n".join(problems) or f"{len(wanted)} notebooks are those of their sources")
        return 1 if problems else 0
    if chosen.text:
        failed = [name for name, source in wanted.items() if not take_words(name, source)]
        print(
            "\n".join(
                f"{name}: its code has changed since it ran; make it anew: make notebooks"
                for name in failed
            )
        )
        return 1 if failed else 0
    for name, source in wanted.items():
        print(f"{name} ...", flush=True)
        print(f"{name}: {make(name, source, chosen.fast):.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
