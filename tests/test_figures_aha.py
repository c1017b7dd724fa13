"""studies/aha/figures.py on made-up results: what is missing is said so, what fails in one seed
fails, differences are paired, and the same results give the same files. (That it reads what the
study writes: test_study_aha.py.)"""

import json
import sys

import pytest
from made_up_aha import arm, base, parallel, whole

from minilrm.errors import UserError
from studies.aha import figures, numbers, plots
from studies.aha.study import ARMS, TASKS

PAGE = "# x\n<!-- figures:aha -->\nold\n<!-- /figures:aha -->\nend\n"


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Write records, run the script, return (figures of countdown, the page)."""
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    monkeypatch.setattr(
        numbers,
        "paired_bootstrap",
        lambda a, b: (d := (sum(a) - sum(b)) / len(a), d - 0.05, d + 0.05),
    )

    def run(records, plots=False, baselines=()):
        if not plots:
            for name in ("draw_arms", "draw_pretraining", "draw_tokens"):
                monkeypatch.setattr(figures, name, lambda what, path: None)
        (tmp_path / "results").mkdir(exist_ok=True)
        (tmp_path / "results" / "aha.jsonl").write_text(
            "".join(json.dumps(r) + "\n" for r in records), encoding="utf-8"
        )
        (tmp_path / "results" / "aha-baselines.jsonl").write_text(
            "".join(json.dumps(r) + "\n" for r in baselines), encoding="utf-8"
        )
        page = tmp_path / "page.md"
        page.write_text(PAGE, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["figures", "--into", str(page)])
        figures.main()
        summary = json.loads((tmp_path / "results" / "aha.json").read_text(encoding="utf-8"))
        return summary["countdown"], page.read_text(encoding="utf-8")

    return run


def holds(summary, part):
    (found,) = [c for c in summary["claims"] if part in c["claim"]]
    return found["holds"]


# -- tests -----------------------------------------------------------------------------------------


def test_without_results_everything_is_said_to_be_missing(draw, tmp_path):
    summary, page = draw([], plots=True)
    assert (
        page.count("not measured yet: `python -m studies.aha") == 2
        and "old" not in page
        and page.endswith("end\n")
    )
    assert all(c["holds"] is None for c in summary["claims"]) and not list(
        (tmp_path / "results").glob("*.png")
    )


def test_a_whole_study(draw, tmp_path):
    summary, page = draw(whole())
    claims = {c["claim"]: c["holds"] for c in summary["claims"]}
    assert claims.pop("the same: at least 95 % (the aim)") is False
    assert set(claims.values()) == {True, "stated"} and len(claims) == 25
    assert page.count("| load-bearing |") >= 2 and "all measures, seed by seed" not in page
    whole_page = (tmp_path / "results" / "aha.md").read_text(encoding="utf-8")
    assert "*Control: rewards handed out at random*: all measures, seed by seed" in whole_page
    assert page.partition("### countdown")[2][:2000] in whole_page
    assert "seed 1 +3.0 points (-2.0 to 8.0, n = 200)" in page and "| absent |" in page
    assert "wait, 2 ok" in page and "### multiplication\n\nnot measured yet" in page


def test_the_same_results_give_the_same_files(draw, tmp_path):
    def files():
        draw(whole(), plots=True)
        return {
            path.name: path.read_bytes()
            for path in (*(tmp_path / "results").iterdir(), tmp_path / "page.md")
        }

    first = files()
    assert (
        set(first)
        == {
            "aha.jsonl",
            "aha-baselines.jsonl",
            "aha.json",
            "aha.md",
            "aha.png",
            "aha-pretraining.png",
            "page.md",
        }
        and files() == first
    )


def test_a_run_by_the_clock_outweighs_what_the_seeds_took_beside_each_other(draw):
    """Catches: minutes of runs that shared the machine taken for those of the command, or an old
    time kept beside a new one."""
    timed = {
        "task": "countdown",
        "kind": "timing",
        "seed": 0,
        "seconds_total": 1.0,
        "threads": 2,
        "accuracy": 0.9,
    }
    slow = [r | {"elapsed": 1000.0} if r["kind"] == "seeded" else r for r in whole()]
    assert holds(draw(slow)[0], "in at most 10 minutes") is None
    summary, page = draw([*slow, timed | {"elapsed": 900.0}, timed | {"elapsed": 590.0}])
    assert holds(summary, "alone on the machine") is True and "9.8 min" in page
    assert holds(draw([*slow, timed | {"elapsed": 900.0}])[0], "alone on the machine") is False


def test_one_failing_seed_fails_the_claim(draw):
    records = whole()
    records[3] = arm("seeded", 1, right=0.8, drop=0.0, spoiled=30)
    summary, page = draw(records)
    failing = ("at least 85 %", "load-bearing", "ablation gap", "20 times spoiled")
    assert [holds(summary, part) for part in failing] == [False] * 4
    assert holds(summary, "retry rate at least 90 %") is True and "no (2 of 3 seeds)" in page
    assert summary["arms"]["seeded"]["verdict"]["verdict"] == "superficial"


def test_a_gain_that_a_lower_temperature_explains_is_none(draw):
    """Catches: the base at T = 1 as the only rival, and shuffled rewards judged against it."""
    records = whole()
    records[0] = base(best=0.85)
    summary, _ = draw(records)
    assert holds(summary, "20 points above the base at its best") is False
    records = [r for r in whole() if r["kind"] != "shuffled"] + [
        arm("shuffled", s, right=0.7) for s in range(3)
    ]
    summary, _ = draw(records)
    assert holds(summary, "shuffled rewards: no gain") is False
    assert summary["arms"]["shuffled"]["seeds"]["0"]["over best temperature"][
        "difference"
    ] == pytest.approx(0.7 - 0.45)


def test_two_seeds_make_no_claim(draw):
    summary, page = draw([r for r in whole() if r["seed"] < 2])
    assert {c["holds"] for c in summary["claims"] if not c["claim"].startswith("base")} <= {
        None,
        False,
    }
    assert "2 seeds only: no claim" in page and "too few seeds so far (2 of 2 seeds)" in page


def test_too_few_cases_are_neither_yes_nor_no(draw):
    records = [arm("unseeded", s, retry=0.0, failed=12) for s in range(3)]
    summary, page = draw([base(seeded=False), *records])
    assert (
        holds(summary, "control without reflection: retry rate") is None and "too few cases" in page
    )


def test_more_than_ten_minutes_on_one_thread_prove_nothing(draw):
    summary, page = draw([base(), *(arm("seeded", s, elapsed=900.0) for s in range(3))])
    assert (
        holds(summary, "in at most 10 minutes") is None
        and "not shown by this" in page
        and "15.0 min" in page
    )


def test_the_readme_has_a_few_lines_of_it_and_the_lecture_all(tmp_path):
    """Mistakes: a base at T = 1 alone, where a lower temperature explains the gain; a run that
    stopped itself, in silence."""
    short = "# y\n<!-- figures:aha-short -->\nold\n<!-- /figures:aha-short -->\nend\n"
    stopped = [
        arm("shuffled", s, right=0.05, retry=0.05, drop=0.0) | {"steps": 2} for s in range(3)
    ]
    records = [base(), *(arm("seeded", s) for s in range(3)), *stopped]
    results = {
        task: {kind: {} for kind in ("bases", *ARMS, "parallel", "timing", "pretraining")}
        for task in TASKS
    }
    for r in records:
        home = results["countdown"]["bases" if r["kind"] == "base" else r["kind"]]
        home["seeded" if r["kind"] == "base" else str(r["seed"])] = r
    summary = numbers.summarise(results)
    page, whole_page = figures.fill(short, summary), figures.fill(PAGE, summary)
    head, _, right, tokens, tries = [x for x in page.splitlines() if x.startswith("|")]
    assert (
        "best temperature" in head and page.count("\n") == 9 and "\nold\n" not in page + whole_page
    )
    assert "made to try again" in head and tokens.split("|")[6].strip() == "60.0 (60.0 to 60.0)"
    best = max(f["accuracy"] for f in records[0]["temperatures"].values())
    assert f"{100 * best:.1f} %" in right.split("|")[3] and right.split("|")[8].strip() == "–"
    assert right.rstrip("| ").endswith("*")
    assert "tries again" in tries and "the run stopped itself" in whole_page
    with pytest.raises(UserError, match="marker"):
        figures.fill("# no place\n", summary)


def test_parallel_is_compared_at_equal_tokens(draw):
    """Catches: the n of the highest accuracy, and a budget that cannot be met passed over in
    silence."""
    summary, page = draw([parallel(0, budget=35.0), parallel(1, budget=100.0)])
    first, second = (summary["parallel"][seed]["parallel"] for seed in "01")
    assert (first["stops"]["n"], first["all"]["n"]) == (2, 2) and first["stops"]["budget_met"]
    assert (second["stops"]["n"], second["all"]["n"]) == (4, 4) and not second["stops"][
        "budget_met"
    ]
    assert "4 (the most there is)" in page and first["stops"]["sequential less parallel"][
        "difference"
    ] == pytest.approx(0.4)


def test_pretraining_is_compared_with_no_retry_data_seed_by_seed(draw):
    summary, _ = draw(whole())
    assert list(summary["pretraining"]) == ["0", "0.1", "0.5"]
    assert summary["pretraining"]["0"]["seeds"]["1"]["over none"] is None
    assert summary["pretraining"]["0.5"]["seeds"]["1"]["over none"]["difference"] == pytest.approx(
        0.25
    )


def test_bad_results_are_refused(draw):
    with pytest.raises(UserError, match="different problems"):
        draw([base(), base(seeded=False, problems_sha256="cd")])
    with pytest.raises(UserError, match="two lines of countdown, seeded, 0"):
        draw([arm("seeded", 0), arm("seeded", 0)])
    with pytest.raises(UserError, match="does not write"):
        draw([{"task": "chess", "kind": "seeded", "seed": 0}])


def test_text_of_a_model_stays_in_its_box(draw):
    record = arm("seeded", 0)
    record["transcripts"][0]["after"] = "```\n<!-- /figures:aha -->\n\x1b[31m# owned"
    _, page = draw([record])
    assert (
        page.count("```") == 2 and page.count("<!-- /figures:aha -->") == 1 and "\x1b" not in page
    )


def test_arms_are_told_apart_without_colour():
    looks = [look for _, look in plots.ARMS.values()]
    assert len({look.dash for look in looks}) == len({look.marker for look in looks}) == 4
    assert set(plots.ARMS) < set(ARMS)  # the other two have a row in the tables
