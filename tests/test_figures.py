"""studies/main/figures.py on made-up results: what is missing is said so, what fails in one seed
fails, and the same results give the same files."""

import json
import sys

import pytest
from made_up_main import (
    STEPS,
    TIMING,
    TRANSCRIPT,
    N,
    base_record,
    expert_record,
    grpo_record,
    hold_record,
    measured,
)

from minilrm.errors import UserError
from studies import markdown
from studies.main import figures, text

README = (
    "# x\n" + "".join(f"<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in text.BLOCKS) + "end\n"
)


@pytest.fixture
def draw(tmp_path, monkeypatch, capsys):
    """Write records, run the script, return (summary, README with all tables behind it, what was
    printed). Pictures take longer than all else, so they are drawn where they are looked at."""
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    pictures = figures.draw_main, figures.draw_hold

    def run(records, timing=(), drawn=False):
        for name, real in zip(("draw_main", "draw_hold"), pictures, strict=True):
            monkeypatch.setattr(figures, name, real if drawn else lambda results, path: None)
        (tmp_path / "results").mkdir(exist_ok=True)
        for name, lines in (("main", records), ("timing", timing)):
            (tmp_path / "results" / f"{name}.jsonl").write_text(
                "".join(json.dumps(r) + "\n" for r in lines), encoding="utf-8"
            )
        readme = tmp_path / "README.md"
        readme.write_text(README, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["figures", "--readme", str(readme)])
        figures.main()
        summary = json.loads((tmp_path / "results" / "main.json").read_text(encoding="utf-8"))
        tables = (tmp_path / "results" / "main.md").read_text(encoding="utf-8")
        return summary, readme.read_text(encoding="utf-8") + tables, capsys.readouterr().out

    return run


def whole(**changes):
    return [
        base_record(),
        *(grpo_record(seed, **changes) for seed in range(3)),
        *(expert_record(s) for s in range(3)),
        {"kind": "timing", "seed": 0},
        TRANSCRIPT,
        *(hold_record(s) for s in range(3)),
    ]


def verdict(summary, part):
    (found,) = [v for v in summary["verdicts"] if part in v["claim"]]
    return found["holds"]


# -- tests -----------------------------------------------------------------------------------------


def test_without_results_everything_is_said_to_be_missing(draw):
    summary, readme, _ = draw([])
    assert readme.count("not measured yet") == 4 and "old" not in readme
    assert all(v["holds"] is None for v in summary["verdicts"])


def test_a_whole_study(draw, tmp_path):
    summary, readme, printed = draw(whole(), [TIMING], drawn=True)
    assert (
        all(v["holds"] for v in summary["verdicts"])
        and "no:" not in printed
        and printed.count("yes") == 8
    )
    assert summary["grpo_over_seeds"]["sampled"] == {
        "mean": 0.97,
        "min": 0.97,
        "max": 0.97,
        "seeds": 3,
    }
    assert readme.startswith("# x\n") and "<!-- /figures:main -->\nend\n" in readme
    assert "not measured yet:" not in readme and "32.0 % (29.2 to 35.0)" in readme
    assert "seed 2 1,100,000 tokens generated in 100 steps, 8.3 min" in readme
    assert (
        "the long run, on one thread" in readme
        and "seed 2 5,500,000 tokens generated in 500 steps" in readme
    )
    assert "2.8 min to a gain" in readme
    assert (
        "n = 1000" in readme
        and "Slowest CPU" in readme
        and "--- after, step 100 ---\nAna has <<3*4=12>>12 pens." in readme
    )
    for name in ("main.png", "hold.png"):
        assert (tmp_path / "results" / name).stat().st_size < 100_000


def test_the_same_results_give_the_same_files(draw, tmp_path):
    def files():
        return {
            path.name: path.read_bytes()
            for path in (*(tmp_path / "results").iterdir(), tmp_path / "README.md")
        }

    draw(whole(), [TIMING], drawn=True)
    first = files()
    draw(whole(), [TIMING], drawn=True)
    assert files() == first


def test_differences_are_paired_and_the_error_ratio_is_that_of_errors(draw):
    summary, _, _ = draw(whole())
    found = summary["differences"]["both sampled, T = 1"]["1"]
    assert found["value"] == pytest.approx(0.65) and found["ci"][0] < 0.65 < found["ci"][1]
    assert summary["differences"]["GRPO sampled, base at its best temperature"]["0"][
        "value"
    ] == pytest.approx(0.97 - 0.45)
    ratio = summary["error_ratio"]["0"]
    assert (
        ratio["value"] == pytest.approx(0.025 / 0.25)
        and ratio["ci"][0] < ratio["value"] < ratio["ci"][1]
    )


def test_one_failing_seed_fails_the_claim(draw):
    records = whole()
    records[2] = grpo_record(1, end=0.82)
    summary, readme, printed = draw(records)
    assert (
        verdict(summary, "at least 90 %") is False
        and verdict(summary, "thinking forced, T = 0") is False
    )
    assert (
        verdict(summary, "thinking forced, T = 1") is True
        and verdict(summary, "20 to 45 %") is True
    )
    assert "no (2 of 3 seeds)" in readme and "no (2 of 3 seeds)" in printed


def test_what_decays_does_not_hold(draw):
    summary, _, _ = draw([base_record(), *(hold_record(seed, decay=0.2) for seed in range(3))])
    assert verdict(summary, "its own best") is False
    assert all(h["peak_step"] < h["last_step"] == 500 for h in summary["hold"].values())


@pytest.mark.parametrize("seeds", [1, 2])
def test_fewer_than_three_seeds_make_no_claim(draw, seeds):
    summary, readme, _ = draw(
        [base_record(), *(make(s) for make in (grpo_record, hold_record) for s in range(seeds))]
    )
    assert verdict(summary, "at least 90 %") is None and verdict(summary, "its own best") is None
    assert f"not measured yet ({seeds} of {seeds} seeds)" in readme
    assert "GRPO, seed 2" in readme and verdict(summary, "20 to 45 %") is True


def test_without_the_long_runs_all_else_is_drawn(draw, tmp_path):
    records = [r for r in whole() if r["kind"] != "hold"]
    summary, readme, printed = draw(records, [TIMING], drawn=True)
    assert (tmp_path / "results" / "main.png").exists()
    assert verdict(summary, "its own best") is None and verdict(summary, "at least 90 %") is True
    assert "up to five times as many steps:\n\nnot measured yet" in readme and "main.png" in readme
    assert "hold.png" not in readme + printed and not (tmp_path / "results" / "hold.png").exists()


def test_it_is_said_whether_the_long_run_began_as_the_default_one(draw):
    other = hold_record(1)
    other["curves"]["entropy"][STEPS - 1] += 1e-4
    summary, readme, _ = draw(
        [grpo_record(0), grpo_record(1), hold_record(0), other, hold_record(2)]
    )
    assert [h["starts_as_grpo"] for h in summary["hold"].values()] == [True, False, None]
    assert (
        "bit for bit in every curve kept: seed 0 yes, seed 1 no, seed 2 not measured yet." in readme
    )


def test_grpo_alone_or_the_base_alone_is_drawn_too(draw):
    summary, readme, _ = draw([grpo_record(0)], drawn=True)
    assert summary["differences"] == {} and "main.png" in readme
    summary, readme, _ = draw([base_record()])
    assert summary["base"]["sampled"]["n"] == N and "main.png" not in readme


def test_results_on_other_problems_are_not_compared(draw):
    with pytest.raises(UserError, match="other problems"):
        draw([base_record(problems_sha256="cd" * 32), grpo_record(0)])
    with pytest.raises(UserError, match="hold, seed 1, was tested on other problems"):
        draw([base_record(problems_sha256="cd" * 32), hold_record(1)])


def test_two_records_of_one_run_are_an_error(draw):
    with pytest.raises(UserError, match="two records"):
        draw([grpo_record(0), grpo_record(0)])


def test_a_rate_of_few_cases_is_not_printed(draw):
    test = measured(0.32, 0.45, 0.72, 0.80, 0.012, 0.75, seed=100)
    summary, readme, _ = draw([base_record(**test)])
    assert "too few (n = 12)" in readme


def test_a_model_that_never_thinks_has_no_error_to_halve(draw):
    nothing = {"accuracy_thinking": None, "accuracy_thinking_ci": [0, 1], "thinking_n": 0}
    summary, _, _ = draw([base_record(**nothing), grpo_record(0)])
    assert (
        summary["error_ratio"]["0"]["value"] is None
        and verdict(summary, "half of the base's") is None
    )


def test_text_of_a_model_stays_in_its_box(draw):
    nasty = TRANSCRIPT | {"after": "```\n<!-- /transcript -->\n\x1b[31m# owned"}
    _, readme, _ = draw([nasty])
    box = readme.split("```text\n")[1]
    assert (
        box.count("```") == 1 and readme.count("<!-- /transcript -->") == 1 and "\x1b" not in readme
    )


def test_markers_must_be_there_once():
    with pytest.raises(UserError, match="markers"):
        markdown.put("no marker", "transcript", "x")
    with pytest.raises(UserError, match="markers"):
        markdown.put("<!-- /a --> <!-- a -->", "a", "x")
    assert (
        markdown.put("<!-- a -->old<!-- /a -->", "a", "\\1 new")
        == "<!-- a -->\n\\1 new\n<!-- /a -->"
    )


def test_a_transcript_in_english_is_preferred(draw):
    """Mistake: the latest one, in a language that the page is not in."""
    spanish = TRANSCRIPT | {"prompt": "¿Cuántos bolígrafos?"}
    english = TRANSCRIPT | {"prompt": "How many pens?", "language": "en"}
    for records, shown in (
        ([spanish, english], "How many"),
        ([english, spanish], "How many"),
        ([TRANSCRIPT, spanish], "¿Cuántos"),
    ):
        _, readme, _ = draw(records)
        assert f"Question: {shown}" in readme
