"""studies/r1/figures.py on made-up results: what is missing is said so, the numbers are those of
the records, a claim holds only if it holds in every seed, and lecture 18 shows what was found."""

import json
import sys
from pathlib import Path

import pytest

from minilrm.errors import UserError
from studies import pages
from studies.r1 import figures

LECTURE = Path(__file__).resolve().parent.parent / "lectures" / "18_r1_pipeline" / "README.md"
BLOCKS = figures.FIGURES.blocks
PAGE = "# x\n" + "".join(f"<!-- {n} -->\nSTALE\n<!-- /{n} -->\n" for n in BLOCKS) + "end\n"


def model(accuracy, mixing, general=0.1, wording=None):
    greedy = accuracy + 0.05
    return {
        "accuracy": accuracy, "accuracy_ci": [0, 1], "greedy": greedy,
        "second wording": greedy if wording is None else wording, "general": general,
        "mixing": mixing / 2, "mixing, Spanish": mixing, "repetition": 0.1, "length": 60.0,
        "n": 1000, "rungs": {"6 steps": 0.25},
    }  # fmt: skip


def examples(sampled):
    fates = {"sampled": sampled, "wrong": 2, "untidy": 1, "duplicates": 3, "kept": 300}
    return {"seconds": 5.0, "kept": fates | {"unwanted": 7, "general": 100, "tokens": 9}}


def pipeline(seed, *, dip=0.1, general=0.6):
    """As `study_pipeline` writes it."""
    models = {
        "base": model(0.3, 0.2),
        "r1-zero": model(0.6, 0.7, wording=0.25),
        "sft-1": model(0.6 - dip, 0.02),
        "rl-1": model(0.65, 0.01),
        "sft-2": model(0.62, 0.02, general),
        "rl-2": model(0.7, 0.01, general),
    }
    trained = {"seconds": 60.0, "kept": {"steps": 60}}
    stages = {k: v if k == "base" else v | trained for k, v in models.items()}
    kept = {"cold-start": examples(4000), "rejection-sampling": examples(8000)}
    return {"kind": "pipeline", "seed": seed, "stages": stages | kept}


def others(seed):
    """The reward for one language alone, and the control."""
    return [
        {"kind": "language", "seed": seed, "curves": {}, "after": model(0.58, 0.02)},
        {"kind": "even", "seed": seed, "base": model(0.3, 0.2), "after": model(0.6, 0.22)},
    ]


@pytest.fixture
def made(tmp_path, monkeypatch, capsys):
    """Write records, run the script: (r1.json, the page, the folder)."""
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))

    def run(*records, taught=()):
        folder = tmp_path / "results"
        folder.mkdir(exist_ok=True)
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "r1.jsonl").write_text(text, encoding="utf-8")
        (folder / "r1-students.jsonl").write_text(
            "".join(json.dumps(part) + "\n" for part in taught), encoding="utf-8"
        )
        page = tmp_path / "README.md"
        page.write_text(PAGE, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["figures", "--into", str(page)])
        figures.main()
        summary = json.loads((folder / "r1.json").read_text(encoding="utf-8"))
        return summary, page.read_text(encoding="utf-8"), folder

    return run


def student(part, accuracy, seed=0):
    """As studies/r1/students.py writes it."""
    test = {"accuracy": accuracy, "greedy": accuracy, "second wording": 0.2, "mixing": 0.0}
    return {"kind": f"quarter-{part}", "seed": seed, "test": test, "flops": 2e12}


def holds(summary, words):
    (found,) = [claim for claim in summary["claims"] if words in claim["claim"]]
    return found["holds"]


def test_nothing_measured_is_said_so_and_draws_nothing(made):
    summary, page, folder = made()
    assert page.count("Not measured yet") == len(BLOCKS) and "STALE" not in page
    assert not list(folder.glob("*.png"))
    assert all(claim["holds"] is None for claim in summary["claims"])


def test_a_whole_study_gives_the_records_numbers_its_picture_and_its_tables(made):
    records = [part for seed in range(3) for part in (pipeline(seed), *others(seed))]
    summary, page, folder = made(*records, taught=[student("traces", 0.6), student("rl", 0.4)])
    assert summary["seeds"] == [0, 1, 2] and summary["stages"]["rl-1"]["accuracy"] == [0.65] * 3
    assert 5_000 < (folder / "r1.png").stat().st_size < 100_000
    assert "STALE" not in page and "Not measured yet" not in page and "**no**" not in page
    for line in (
        "| cold start | 4,000 (4,000 to 4,000) | 2 (2 to 2) |",
        "| R1-Zero's own loss under the second wording | +40.0 (+40.0 to +40.0) | 3 | – |",
        "| R1-Zero, control | 60.0 % (60.0 to 60.0) | 11.0 % (11.0 to 11.0) |",
        "| rung: 6 steps | 25.0 % (25.0 to 25.0) |",
    ):
        assert line in page, line


def test_what_a_student_keeps_is_a_share_of_its_own_teacher(made):
    """Catches: the share of another seed's teacher; RL of one seed beside a student of another."""
    taught = [student("traces", 0.65, 1), student("rl", 0.7, 0), student("rl", 0.6, 1)]
    _, page, _ = made(pipeline(0), pipeline(1), taught=taught)
    assert "| a quarter | distilled by traces | 1 | 65.0 % | 92.9 % |" in page
    assert "keeps 92.9 % of the teacher's accuracy, as the 85.0 % asked; " in page
    assert "GRPO on the same base at equal compute has less." in page
    _, page, _ = made(pipeline(0), taught=[student("traces", 0.35), student("rl", 0.4)])
    assert "keeps 50.0 % of the teacher's accuracy, less than the 85.0 % asked; " in page
    assert "at equal compute has not less." in page


def test_a_claim_that_fails_in_one_seed_fails(made):
    """Catches: the mean of the seeds taken for all of them."""
    summary, page, _ = made(pipeline(0), pipeline(1, dip=-0.02), pipeline(2, general=0.2))
    assert holds(summary, "a dip after") is False and holds(summary, "20 points better") is False
    assert holds(summary, "R1-Zero mixes") is True and page.count("**no**") == 2


def test_what_costs_has_no_verdict_and_a_missing_part_is_named(made):
    summary, page, _ = made(pipeline(0), *others(0)[:1])
    assert holds(summary, "what that reward costs") is None
    (cost,) = [c for c in summary["claims"] if "costs" in c["claim"]]
    assert cost["values"] == [pytest.approx(-0.02)]
    row = next(line for line in page.splitlines() if line.startswith("| the control, for which"))
    assert "not measured yet" in row


def test_what_is_compared_is_of_one_seed(made):
    """Catches: the second seed of one part taken less the first of another."""
    summary, _, _ = made(pipeline(0), pipeline(1), *others(1)[:1])
    (cost,) = [c for c in summary["claims"] if "costs" in c["claim"]]
    assert len(cost["values"]) == 1
    summary, _, _ = made(pipeline(0), *others(1)[:1])
    (cost,) = [c for c in summary["claims"] if "costs" in c["claim"]]
    assert cost["values"] == []


def test_a_model_that_never_thinks_has_no_share_of_mixing(made):
    """Catches: None taken for 0, and a picture that fails."""
    record = pipeline(0)
    record["stages"]["base"] |= {"mixing": None, "mixing, Spanish": None}
    summary, page, folder = made(record)
    assert (folder / "r1.png").is_file() and holds(summary, "R1-Zero mixes") is None
    assert "| thinks in two languages | – | 35.0 % |" in page


def test_a_page_without_markers_is_refused():
    with pytest.raises(UserError, match="none of the markers"):
        figures.FIGURES.filled("# x\n", {})


def test_seeds_without_a_value_are_left_out():
    assert pages.over_seeds([None]) is None
    assert pages.over_seeds([0.5, None, 1.0])["seeds"] == 2


def test_the_lecture_shows_the_figures_of_the_results():
    """If this fails: python -m studies.r1.figures --into lectures/18_r1_pipeline/README.md."""
    text = LECTURE.read_text(encoding="utf-8")
    summary = json.loads(json.dumps(figures.summarise()))
    assert figures.FIGURES.filled(text, summary) == text
