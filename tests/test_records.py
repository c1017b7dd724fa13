"""The record table: what fits into a budget, what an entry claims, and what is read of it."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from minilrm import corpus, speedrun
from minilrm.errors import UserError
from minilrm.loop import run as loop_run
from minilrm.runlog import RunLog
from minilrm.speedrun import budget, records
from minilrm.speedrun.records import Answers, Entry
from minilrm.tasks import Problem
from minilrm.tasks.stories import Stories

ROOT = Path(__file__).resolve().parent.parent
ENTRY = Entry(
    minutes=10, by="Ana", how="by hand", command="python train.py", accuracy=0.25, n=1000,
    seconds=590.0, threads=2, parameters=800_000, weights="w", problems="p", machine="P, torch 2",
    version="0.1.0", date="2026-11-30T12:00:00+00:00",
)  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(Stories, "max_new_tokens", 6)
    monkeypatch.setattr(records, "PROBLEMS", 4)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)


# -- the page --------------------------------------------------------------------------------------


def test_the_page_is_that_of_the_lines():
    """If this fails: python -m minilrm.speedrun --table"""
    entries = records.read_entries()
    assert (ROOT / "RECORDS.md").read_text(encoding="utf-8") == records.render(entries)


def test_the_rules_are_ten_lines():
    rules = [line for line in records.RULES.splitlines() if line[:1].isdigit()]
    assert [line.split(".")[0] for line in rules] == [str(i) for i in range(1, 11)]


def test_the_best_stands_first_and_a_text_stays_in_its_cell():
    better = dataclasses.replace(ENTRY, accuracy=0.5, by="| Bo\n<script>`")
    page = records.render([ENTRY, better])
    ten, thirty = page.split("## 30 minutes")
    first, second = [line for line in ten.splitlines() if " to " in line and line[0] == "|"]
    assert first.startswith("| 50.0 % | 46.9 to 53.1 | / Bo &lt;script>` | by hand | 800,000 | 590")
    assert second.startswith("| 25.0 %") and "No entry yet" in thirty


def test_a_line_that_is_no_entry_is_named(tmp_path):
    line = dataclasses.asdict(ENTRY)
    assert records.entry_from(json.loads(json.dumps(line)), Path("x")) == ENTRY
    for field, value in (("accuracy", "a half"), ("by", None), ("threads", True)):
        with pytest.raises(UserError, match=f"'{field}' must be"):
            records.entry_from(line | {field: value}, Path("x"))
    with pytest.raises(UserError, match="is no entry"):
        records.read_entry(tmp_path)


# -- an entry is examined --------------------------------------------------------------------------


@pytest.fixture
def folder(base, tmp_path):
    """An entry of the tiny random model, which claims what is true of it."""
    where = tmp_path / "entry"
    model = budget.write_out(base, where / "model")
    words = {name: getattr(ENTRY, name) for name in ("by", "how", "command", "machine")}
    entry, _ = records.claim(model, 10, 590.0, 2, 1000, version="0", date="2026-11-30", **words)
    write(where, entry)
    return where


def write(where, entry):
    (where / "entry.json").write_text(json.dumps(dataclasses.asdict(entry)))


def test_an_entry_that_is_true_holds_and_can_be_recorded(folder, tmp_path, monkeypatch, capsys):
    (tmp_path / "data" / "results").mkdir(parents=True)
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path / "data"))
    ask = speedrun.Options(check=folder, threads=1)
    assert speedrun.make(ask) == 0 and not (tmp_path / "RECORDS.md").exists()
    assert capsys.readouterr().out.count("holds") == 8
    recorded = speedrun.Options(check=folder, threads=1, record=True)
    assert speedrun.make(recorded) == 0
    assert records.read_entries() == [records.read_entry(folder)]
    assert "| Ana |" in (tmp_path / "RECORDS.md").read_text(encoding="utf-8")
    with pytest.raises(UserError, match="in the table already"):
        speedrun.make(recorded)


@pytest.mark.parametrize(
    "lie, rule",
    [
        ({"accuracy": 0.99}, "the accuracy is as claimed"),
        ({"seconds": 601.0}, "within the time"),
        ({"threads": 4}, "two threads"),
        ({"minutes": 20}, "the budget"),
        ({"weights": "0" * 64}, "the weights"),
        ({"problems": "0" * 64}, "the test problems are today's"),
    ],
)
def test_a_claim_that_is_false_fails_by_its_rule(folder, lie, rule, capsys):
    write(folder, dataclasses.replace(records.read_entry(folder), **lie))
    assert speedrun.make(speedrun.Options(check=folder, threads=1)) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILS")]
    assert len(failed) == 1 and rule in failed[0]


def test_a_model_that_knows_the_test_file_by_heart_is_found_out(folder, monkeypatch):
    problems = [Problem("stories", "", "", f"structure {i % 8}") for i in range(40)]

    def by_heart(model, seed=0):
        return Answers(problems, [int(seed == 0)] * 40)

    monkeypatch.setattr(records, "ask", by_heart)
    _, verdicts = records.examine(folder)
    assert "test problems drawn anew are no harder" in [v.rule for v in verdicts if not v.holds]


# -- a budget of minutes ---------------------------------------------------------------------------


def test_training_stops_by_the_clock_and_its_learning_rate_has_fallen(tmp_path, monkeypatch):
    """With a clock that goes on by a second whenever somebody looks at it."""
    now = iter(range(10**6))
    clock = SimpleNamespace(monotonic=lambda: float(next(now)), perf_counter=lambda: 0.0)
    build = corpus.build
    monkeypatch.setattr(budget, "time", clock)
    monkeypatch.setattr(budget, "measure_speed", lambda scale, seed: budget.Speed(90.0, 90.0))
    monkeypatch.setattr(budget, "BATCH", 512)
    monkeypatch.setattr(
        corpus, "build", lambda words, tokens, pages: build(words, tokens, pages, chunk=10)
    )
    model = budget.train(2, tmp_path / "run", "pico", 0, 1, started=clock.monotonic())
    assert model and model.is_relative_to(tmp_path / "run" / "grpo")
    end = clock.monotonic()
    assert end <= 2 * 60  # looked at between steps, a step never goes over
    reading = RunLog.open(tmp_path / "run" / "pretrain")
    wanted = reading.config["options"]
    assert wanted["mix"] == dict(budget.MIX) and 4000 <= wanted["tokens"] <= 45 * 120
    assert json.loads((reading.folder / "summary.json").read_text())["steps"] >= 5
    rewarded = RunLog.open(tmp_path / "run" / "grpo")
    assert len(rewarded.metrics("train")) >= 1


def test_a_step_that_does_not_fit_is_not_begun():
    trainer = object.__new__(budget.Pretraining)
    trainer.state, trainer.begins, trainer.ends, trainer.longest = SimpleNamespace(step=3), 0, 10, 4
    with pytest.MonkeyPatch.context() as patch:
        at = {}
        patch.setattr(budget, "time", SimpleNamespace(monotonic=lambda: at["now"]))
        for now, over in ((5.9, False), (6.1, True)):
            at["now"] = now
            assert (trainer.done >= trainer.goal) is over


def test_the_measured_speed_is_that_of_this_machine(monkeypatch):
    """With a clock that goes on by a second whenever somebody looks at it."""
    monkeypatch.setattr(budget, "MEASURED_SECONDS", 3.0)
    monkeypatch.setattr(budget, "SAMPLE", 8)
    monkeypatch.setattr(budget, "BATCH", 1024)
    ticks = iter(range(100))
    clock = SimpleNamespace(perf_counter=lambda: float(next(ticks)))
    monkeypatch.setattr(budget, "time", clock)
    speed = budget.measure_speed("pico", 0)
    assert speed.writes > 500  # eight documents in a second
    assert 200 < speed.reads <= 2 * 1024 / 4  # two steps in four seconds
