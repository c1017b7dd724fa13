"""Notebooks come out of their sources: which there are, what a conversion keeps, and how a stale
one is found."""

import ast
import sys
from pathlib import Path

import pytest

pytest.importorskip("jupytext")  # pip install -e '.[notebooks]'
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
import notebooks  # noqa: E402
from course import grade  # noqa: E402

SOURCES = notebooks.sources()
KEPT = [name for name in SOURCES if (notebooks.NOTEBOOKS / f"{name}.ipynb").is_file()]
COLUMNS = 100  # of code on a page: a longer line runs out of a narrow window, or of a phone
SMALL = "# %% [markdown]\n# # Title\n\n# %%\nx = 1\n\n# %%\nprint(x)\n"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of its own: a folder with nothing but two notebooks."""
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "LECTURES", tmp_path / "lectures")
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path / "notebooks")
    folder = tmp_path / "lectures" / "21_some_thing"
    folder.mkdir(parents=True)
    (folder / "notebook.py").write_text(SMALL)
    (folder / "notebook_b.py").write_text("# notebook: 21b_other_thing\n" + SMALL)
    return folder


def test_a_folder_with_notebooks_alone_has_notebooks_and_is_no_lecture(course):
    """Catches: `course check` asking for exercises of a lecture that is not yet written; a second
    notebook without its name."""
    assert list(notebooks.sources()) == ["21_some_thing", "21b_other_thing"]
    assert grade.find_lectures(course.parent) == []


def test_a_conversion_is_the_same_each_time_and_the_name_s_line_is_no_cell(course):
    first, second = (
        notebooks.convert("21b_other_thing", course / "notebook_b.py") for _ in range(2)
    )
    assert first == second
    assert [c.cell_type for c in first.cells] == ["markdown", "code", "code"]
    assert len({c["id"] for c in first.cells}) == 3
    nbformat.validate(first)


def test_a_notebook_is_stale_if_a_cell_of_its_source_was_changed_or_it_never_ran(course):
    """Catches: figures of code that is no longer there."""
    name, source = "21_some_thing", course / "notebook.py"
    assert "is not there" in notebooks.stale(name, source)
    made = notebooks.convert(name, source)
    notebooks.NOTEBOOKS.mkdir()
    nbformat.write(made, notebooks.NOTEBOOKS / f"{name}.ipynb")
    assert "never run" in notebooks.stale(name, source)
    for count, cell in enumerate((c for c in made.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text=str(count))]  # outputs do not count
    nbformat.write(made, notebooks.NOTEBOOKS / f"{name}.ipynb")
    assert notebooks.stale(name, source) is None
    source.write_text(SMALL.replace("x = 1", "x = 2"))
    assert "is not that of" in notebooks.stale(name, source)


def test_changed_words_are_taken_over_without_a_run_and_changed_code_is_not(course):
    """Catches: outputs under code that did not make them."""
    name, source = "21_some_thing", course / "notebook.py"
    assert not notebooks.take_words(name, source)  # there is nothing yet
    made = notebooks.convert(name, source)
    for count, cell in enumerate((c for c in made.cells if c.cell_type == "code"), 1):
        cell.execution_count = count
        cell.outputs = [nbformat.v4.new_output("stream", text=str(count))]
    notebooks.NOTEBOOKS.mkdir()
    nbformat.write(made, notebooks.NOTEBOOKS / f"{name}.ipynb")
    source.write_text(SMALL.replace("Title", "Other"))
    assert notebooks.stale(name, source)
    assert notebooks.take_words(name, source)
    assert notebooks.stale(name, source) is None
    kept = nbformat.read(notebooks.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert kept.cells[0].source == "# Other"
    assert [c.outputs[0].text for c in kept.cells[1:]] == ["1", "2"]
    source.write_text(SMALL.replace("x = 1", "x = 2"))
    assert not notebooks.take_words(name, source)


def test_what_is_printed_names_no_place_of_one_machine():
    """Catches: the folder of the clone in the outputs of a committed notebook."""
    where = ROOT / "data" / "checkpoints" / "a-base"
    inside = str(Path("data", "checkpoints", "a-base"))
    assert (
        notebooks.calm(f"9 parameters from {where}; go on\n")
        == f"9 parameters from {inside}; go on\n"
    )


def test_what_is_printed_is_kept_calm():
    """Catches: a hundred states of one bar on the page; and bars of two runs, or a line between,
    taken for one."""
    assert (
        notebooks.calm("\ra:  0%| \ra: 50%|# \rstep 20: fine\n\ra: 100%|##\ra: 100%|##\n")
        == "step 20: fine\na: 100%|##\n"
    )
    assert notebooks.calm("a: 100%|##\n\ra:  0%| \ra: 100%|##\n") == "a: 100%|##\na: 100%|##\n"
    assert notebooks.calm("a: 100%|##\nb:  0%| \nb: 90%|# \n") == "a: 100%|##\nb: 90%|#\n"
    assert notebooks.calm("one\n\ntwo\n") == "one\n\ntwo\n" and notebooks.calm("\n") == ""
    cell = nbformat.v4.new_code_cell(
        outputs=[
            nbformat.v4.new_output("stream", name=n, text=t)
            for n, t in (("stdout", "x"), ("stdout", "y\n"), ("stderr", "\n"))
        ]
    )
    notebooks.tidy(cell)
    assert [(o.name, o.text) for o in cell.outputs] == [("stdout", "xy\n")]


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_keeps_the_form_of_the_course(name):
    """It is Python, states its time, has a fast mode, and ends with three things to try."""
    text = SOURCES[name].read_text(encoding="utf-8")
    ast.parse(text)
    cells = [
        c.source for c in notebooks.convert(name, SOURCES[name]).cells if c.cell_type == "markdown"
    ]
    assert cells[0].startswith("# ") and "**Time**: about" in cells[0] and "FAST" in text
    end = cells[-1].partition("## Three things to try")[2]
    assert [line[:2] for line in end.splitlines() if line[:2] in ("1.", "2.", "3.", "4.")] == [
        "1.",
        "2.",
        "3.",
    ]


@pytest.mark.parametrize("name", SOURCES)
def test_no_line_of_code_is_wider_than_the_page(name):
    """Catches: a notebook whose reader has to scroll sideways; text in quotes counts, too."""
    cells = notebooks.convert(name, SOURCES[name]).cells
    lines = [line for c in cells if c.cell_type == "code" for line in c.source.splitlines()]
    assert [line for line in lines if len(line) > COLUMNS] == []


@pytest.mark.parametrize("name", SOURCES)
def test_bars_and_figures_of_a_source_are_the_library_s(name):
    """Catches: a bar in the pink of errors (tqdm writes to stderr), and a figure in another style
    than those of README and lectures."""
    text = SOURCES[name].read_text(encoding="utf-8")
    assert "tqdm" not in text
    assert "plt.show()" not in text or "plt.rcParams.update(curves.STYLE)" in text


@pytest.mark.parametrize("name", KEPT)
def test_a_committed_notebook_shows_nothing_on_the_stream_of_errors(name):
    kept = nbformat.read(notebooks.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    outputs = [output for cell in kept.cells for output in cell.get("outputs", [])]
    assert [o.text for o in outputs if o.get("name") == "stderr"] == []


@pytest.mark.parametrize("name", KEPT)
def test_a_committed_notebook_is_that_of_its_source(name):
    assert notebooks.stale(name, SOURCES[name]) is None


@pytest.mark.parametrize("name", KEPT)
def test_a_notebook_promises_no_less_time_than_it_took(name):
    """Catches: a guess left in the head. The run is kept with its seconds; half a minute more is
    rounding."""
    notebook = nbformat.read(notebooks.NOTEBOOKS / f"{name}.ipynb", as_version=4)
    assert notebook.metadata["minilrm"]["seconds"] / 60 <= notebooks.promised(notebook) + 0.5
