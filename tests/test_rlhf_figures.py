"""studies/rlhf on made-up results: the two forms of over-optimisation find what was put in, and the
tables show the numbers of the records."""

import doctest
import json
import math
import sys
from pathlib import Path

import pytest

from studies.rlhf import figures, gao

LECTURE = Path(__file__).resolve().parent.parent / "lectures" / "18_r1_pipeline" / "README.md"
BLOCKS = figures.FIGURES.blocks
PAGE = "# x\n" + "".join(f"<!-- {n} -->\nSTALE\n<!-- /{n} -->\n" for n in BLOCKS) + "end\n"
STEPS = 60


def labelled(pairs, order, kind=None):
    summary = {"order_accuracy": order, "longer_is_better": 0.5, "labelled": pairs}
    kind = kind or f"labels-{pairs}"
    return [{"kind": kind, "seed": seed, "pairs": pairs, "noise": 0.1, "summary": summary}
            for seed in range(2)]  # fmt: skip


def best_of(seed, turn=1.0):
    """True quality that turns exactly there."""
    rows = [{"n": n, "d": d, "true": 0.2 + d * (2 * turn - d) / 10, "promised": 0.3 + d / 4}
            for n, d in ((1, 0.0), (4, 0.8), (16, 1.35), (64, 1.78))]  # fmt: skip
    return {"kind": "best-of", "seed": seed, "rows": rows}


def climbed(kind, seed, farthest=6.0, above=0.0):
    """GRPO whose true quality is 0.2 + d (0.3 - 0.15 log d): it turns at d = e."""
    d = [farthest * step / (STEPS - 1) for step in range(STEPS)]
    true = [0.2 + above + x * (0.3 - 0.15 * math.log(x or 1)) for x in d]
    found = {"d": d, "accuracy": true, "reward": [0.4 + 0.05 * x for x in d],
             "completions/mean_length": [80.0] * STEPS}  # fmt: skip
    test = {"accuracy": 0.5, "greedy": 0.6, "mean_length": 90.0, "n": 1000}
    return {"kind": kind, "seed": seed, "curves": found, "test": test}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Write records, run the script: (rlhf.json, the page, the folder)."""
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))

    def run(*records):
        folder = tmp_path / "results"
        folder.mkdir(exist_ok=True)
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / "rlhf.jsonl").write_text(text, encoding="utf-8")
        page = tmp_path / "README.md"
        page.write_text(PAGE, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["figures", "--into", str(page)])
        figures.main()
        summary = json.loads((folder / "rlhf.json").read_text(encoding="utf-8"))
        return summary, page.read_text(encoding="utf-8"), folder

    return run


def test_the_examples_in_the_docstrings_hold():
    found = doctest.testmod(gao)
    assert found.attempted and not found.failed


@pytest.mark.parametrize("form", [gao.squared, gao.d_log_d])
def test_a_fit_finds_the_form_that_made_the_points(form):
    """Catches: R(0) forced through a noisy first point, a sign of beta, log of 0."""
    d = [0.0, 0.3, 0.9, 1.7, 2.5, 4.0]
    made = gao.curve((0.25, 0.5, 0.2), d, form)
    assert gao.fit(d, made, form) == pytest.approx((0.25, 0.5, 0.2))
    at = gao.turn((0.25, 0.5, 0.2), form, 9.0)
    near = gao.curve((0.25, 0.5, 0.2), [at - 0.1, at, at + 0.1], form)
    assert max(near) == near[1]


def test_a_form_that_never_turns_within_the_measured_has_no_turning_point():
    assert gao.turn((0.2, 0.1, -0.3), gao.squared, 9.0) is None  # it only rises
    assert gao.turn((0.2, -0.1, 0.3), gao.squared, 9.0) is None  # it only falls
    assert gao.turn((0.2, 5.0, 0.001), gao.d_log_d, 9.0) is None  # far beyond; no overflow
    assert gao.fit([0.0, 0.0, 1.0], [0.1, 0.2, 0.3], gao.squared) is None


def test_runs_are_compared_at_equal_distance_and_not_at_equal_steps():
    """Two runs on one curve, of which one goes half as fast: at equal distance nothing differs."""
    slow = [x / 10 for x in range(11)]
    fast = [x / 5 for x in range(11)]
    values = [[x**2 for x in d] for d in (slow, fast)]
    assert abs(gao.at_equal_distance((slow, values[0]), (fast, values[1]), bins=5)) < 0.05
    assert gao.at_equal_distance(([0.0], [1.0]), (fast, values[1])) is None


def test_nothing_measured_is_said_so_and_draws_nothing(made):
    summary, page, folder = made()
    assert page.count("Not measured yet") == len(BLOCKS) and "STALE" not in page
    assert not list(folder.glob("*.png")) and not any(summary["penalty"].values())


def test_a_whole_study_gives_the_records_numbers_its_pictures_and_its_tables(made):
    runs = [climbed(kind, seed) for kind in ("grpo", "exact") for seed in range(2)]
    runs += [climbed("grpo-kl", seed, farthest=3.0, above=0.01) for seed in range(2)]
    dpo = {"kind": "dpo", "seed": 0, "summary": {}, "test": runs[0]["test"]}
    summary, page, folder = made(
        *labelled(100, 0.6), *labelled(1000, 0.8), *labelled(1000, 0.7, "matched"),
        best_of(0, 0.9), best_of(1, 1.1), *runs, dpo,
    )  # fmt: skip
    for name in ("rlhf-labels.png", "overoptimisation.png"):
        assert 5_000 < (folder / name).stat().st_size < 100_000
    assert [run["turn"] for run in summary["best_of"]] == pytest.approx([0.9, 1.1])
    assert [run["turn"] for run in summary["rl"]["grpo"]] == pytest.approx([math.e] * 2)
    assert summary["rl"]["grpo"][0]["top"]["d"] == pytest.approx(math.e, abs=0.2)
    assert summary["penalty"]["true"]["mean"] == pytest.approx(0.01, abs=0.015)
    for line in (
        "| 1,000, lengths alike | 2 | 70.0 % (70.0 to 70.0) | 50.0 % (50.0 to 50.0) |",
        "What was measured is highest at n = 10 (4 to 16). The fitted form turns at d = 1.00 "
        "(0.90 to 1.10), in 2 of 2 seeds.",
        "GRPO, no penalty: The fitted form turns at d = 2.72 (2.72 to 2.72), in 2 of 2 seeds.",
        "| DPO on its verdicts | 1 | 50.0 % | 60.0 % |",
    ):
        assert line in page, line
    assert "Not measured yet" not in page and "At equal distance" in page


@pytest.mark.parametrize("record", [best_of(0), climbed("grpo-kl", 0), climbed("grpo", 1)])
def test_one_part_alone_is_drawn(made, record):
    """Catches: a picture or a table that needs all parts."""
    _, page, folder = made(record)
    assert [path.name for path in folder.glob("*.png")] == ["overoptimisation.png"]
    assert "Not measured yet" in page and "At equal distance" not in page


def test_the_lecture_shows_the_figures_of_the_results():
    """If this fails: python -m studies.rlhf.figures --into lectures/18_r1_pipeline/README.md."""
    text = LECTURE.read_text(encoding="utf-8")
    summary = json.loads(json.dumps(figures.summarise()))
    assert figures.FIGURES.filled(text, summary) == text
