"""studies/thinking/figures.py on made-up results: what is missing is said so, the numbers are those
of the records, and the lectures show what was measured."""

import doctest
import json
import random
import sys
from pathlib import Path

import pytest

from minilrm.errors import UserError
from minilrm.intervals import wilson_interval
from studies.thinking import best_of, figures

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("07_many_chains", "08_search", "19_verifiers")
LECTURES = [ROOT / "lectures" / name / "README.md" for name in NAMES]
N, UNIT = 200, 40.0
WORTHS = (1, 2, 4, 8)
PAGE = "# x\n" + "".join(f"<!-- {n} -->\nold\n<!-- /{n} -->\n" for n in figures.BLOCKS) + "end\n"


def row(k, accuracy, seed, verifier=0.0):
    """`accuracy` of N problems right, exactly; which ones is drawn."""
    right = [1] * round(accuracy * N) + [0] * (N - round(accuracy * N))
    random.Random(seed).shuffle(right)
    budget = round(k * UNIT)
    return {
        "budget": budget,
        "accuracy": sum(right) / N,
        "ci": wilson_interval(sum(right), N),
        "tokens": budget * (1 - verifier),
        "verifier_tokens": budget * verifier,
        "calls": k,
        "right": "".join(map(str, right)),
        "seconds": 1.0,
    }


def compared(kind, gain=0.0, chains=True, verifier=0.0):
    """As `study_compare` writes it: the searches are better by `gain` than the vote."""
    names = [*figures.SEARCHES, *(figures.CHAINS if chains else ())]
    methods = {
        name: [
            row(k, 0.1 + 0.05 * i + (gain if name in figures.SEARCHES[1:] else 0), f"{name}{k}",
                verifier if name not in ("direct", "majority") else 0)
            for i, k in enumerate(WORTHS)
        ]
        for name in names
    }  # fmt: skip
    if chains:
        methods["direct"] = methods["direct"][:2]  # more budget changes nothing
    budgets = [round(k * UNIT) for k in WORTHS]
    return {"kind": kind, "seed": 0, "unit": UNIT, "budgets": budgets, "methods": methods}


def budgets():
    def rows(shift):
        return {
            k: {"accuracy": min(1.0, 0.1 * i + shift), "ci": [0.0, 1.0], "tokens": k * UNIT}
            for i, k in enumerate((1, 2, 4, 8, 16, 32))
        }

    ways = {"probes": rows(0.0), "length": rows(0.1), "judge": rows(0.2), "known": rows(-0.5)}
    return {"kind": "budgets", "seed": 0, "price": UNIT, "uniform": rows(0.0), "by": ways}


def judged(kind, seed=0):
    figures_ = {"f1": 0.6, "error_accuracy": 0.75, "right_accuracy": 0.5}
    more = {"step_accuracy": 0.8, "brier": 0.123, "threshold": 0.3}
    return {"kind": kind, "seed": seed, "losses": [1.0], "summary": figures_ | more}


def others():
    """One part of each kind that judges.py tells of."""
    ways = {way: row(1, 0.4, way) | {"seconds": 0.25} for way in ("direct", "few-shot")}
    rows = [{"n": n, "d": n / 8, "true": 0.1 * i, "ci": [0, 1], "promised": 0.9}
            for i, n in enumerate((1, 2, 4, 8))]  # fmt: skip
    test = {"accuracy": 0.25, "accuracy_ci": [0.2, 0.3], "greedy": 0.5, "greedy_ci": [0.4, 0.6]}
    curve = {"completions/mean_length": [60.0, 70.0], "process/steps": [4.0, 9.0]}
    return [
        {"kind": "chains", "seed": 0, "tasks": {"stories": {"base": "b", "ways": ways}}},
        judged("judge-exact"),
        judged("judge-exact", 1),
        {"kind": "best-of-exact", "seed": 0, "rows": rows, "alpha": 0.4, "beta": 0.1},
        {"kind": "grpo-sum", "seed": 2, "test": test | {"n": N}, "curves": curve},
    ]


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """Write records, run the script: (thinking.json, the page, what was printed, the folder)."""
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))

    def run(*records):
        folder = tmp_path / "results"
        folder.mkdir(exist_ok=True)
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "thinking.jsonl").write_text(text, encoding="utf-8")
        page = tmp_path / "README.md"
        page.write_text(PAGE, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["figures", "--into", str(page)])
        figures.main()
        summary = json.loads((folder / "thinking.json").read_text(encoding="utf-8"))
        return summary, page.read_text(encoding="utf-8"), capsys.readouterr().out, folder

    return run


@pytest.mark.parametrize("module", [figures, best_of])
def test_the_examples_in_the_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


def test_nothing_measured_is_said_so_and_draws_nothing(made):
    """Catches: an error, an empty picture, a table without rows."""
    summary, page, _, folder = made()
    assert not any(summary.values()) and len(summary) == 7
    assert page.count("Not measured yet") == len(figures.BLOCKS) and "old" not in page
    assert not list(folder.glob("*.png"))


def test_all_parts_give_the_records_numbers_their_pictures_and_their_tables(made):
    records = [compared("compare", 0.1, verifier=0.5), compared("checker", 0.3, chains=False),
               compared("likelihood", chains=False), budgets(), compared("stories-checker"),
               *others()]  # fmt: skip
    summary, page, printed, folder = made(*records)
    kinds = summary["kinds"]
    assert set(kinds) == {"compare", "checker", "likelihood"} and kinds["compare"]["n"] == N
    for record in records[:3]:
        for name, rows in record["methods"].items():
            kept = kinds[record["kind"]]["methods"][name]
            wanted = [{key: r[key] for key in figures.ROW} for r in rows]
            assert kept == json.loads(json.dumps(wanted))
    for name in ("thinking.png", "budgets.png", "best-of.png"):
        assert 5_000 < (folder / name).stat().st_size < 100_000
    assert "| tree | 20.0 % | 25.0 % | 30.0 % | 35.0 % |" in page
    assert "| direct | 10.0 % | 15.0 % | – | – |" in page
    assert "old" not in page and page.endswith("end\n") and "| tree |" in printed
    assert "Not measured yet" not in page
    for line in (
        "| stories: direct | 40.0 % (33.5 to 46.9) | 40.0 | 250 ms |",
        "| exact labels | 2 | 0.60 | 0.75 | 0.50 | 80.0 % | 0.123 |",
        "| a process model of exact labels: right | 0.0 % | 10.0 % | 20.0 % | 30.0 % | – |",
        "| its mean score | 0.90 | 0.90 | 0.90 | 0.90 | d = 2.00 |",
        "| steps, summed (DeepSeekMath) | 2 | 25.0 % (20.0 to 30.0) | 50.0 % (40.0 to 60.0) "
        "| 70.0 | 4.0 to 9.0 |",
    ):
        assert line in page, line


def test_a_search_is_compared_with_the_vote_problem_by_problem(made):
    """Catches: a difference of two rates with the interval of neither."""
    found = made(compared("compare", 0.1))[0]["kinds"]["compare"]["less weighted"]
    assert set(found) == {"beam", "dvts", "tree", "mcts"}
    for cell in found["tree"]:
        assert cell["value"] == pytest.approx(0.1) and cell["ci"][0] < 0.1 < cell["ci"][1]


@pytest.mark.parametrize("kind", ["compare", "checker", "likelihood", "budgets"])
def test_one_part_alone_is_drawn_and_the_others_are_named(made, kind):
    """Catches: a picture that needs all parts."""
    record = budgets() if kind == "budgets" else compared(kind, chains=kind == "compare")
    summary, page, _, folder = made(record)
    drawn = {path.name for path in folder.glob("*.png")}
    assert drawn == {"budgets.png" if kind == "budgets" else "thinking.png"}
    assert "Not measured yet" in page
    assert [k for k, found in summary["kinds"].items() if found] == (
        [] if kind == "budgets" else [kind]
    )


def test_the_share_of_uniform_s_tokens_is_read_off_the_curves(made):
    """Uniform has 0.3 with 8 chains; what is 0.1 better has it with 4, what is 0.2 better with
    2."""
    summary, page, _, _ = made(budgets())
    share = summary["budgets"]["share"]
    assert share["probes"] == pytest.approx(1) and share["known"] is None
    assert share["length"] == pytest.approx(1 / 2) and share["judge"] == pytest.approx(1 / 4)
    assert list(summary["budgets"]["uniform"]) == ["1", "2", "4", "8", "16", "32"]
    line = next(line for line in page.splitlines() if line.startswith("| judge"))
    assert line.endswith("| 25.0 % |")


def test_other_kinds_and_other_seeds_do_no_harm(made):
    """The judges' own lines stand in the same file."""
    other = compared("compare") | {"seed": 1, "unit": 99.0}
    summary = made(other, judged("judge-exact"), compared("compare"))[0]
    assert list(summary["kinds"]) == ["compare"] and summary["kinds"]["compare"]["unit"] == UNIT


def test_a_page_without_markers_is_refused(tmp_path):
    with pytest.raises(UserError, match="none of the markers"):
        figures.FIGURES.filled("# x\n", {})


@pytest.mark.parametrize("page", LECTURES, ids=lambda page: page.parent.name)
def test_a_lecture_shows_the_figures_of_the_results(page):
    """If this fails: python -m studies.thinking.figures --into and the pages of lectures 7,
    8 and 19."""
    text = page.read_text(encoding="utf-8")
    assert figures.FIGURES.filled(text, json.loads(json.dumps(figures.summarise()))) == text
