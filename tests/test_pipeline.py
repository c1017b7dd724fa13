"""The pipeline in miniature: its stages, what is done, and what an interruption leaves."""

import json

import pytest
from conftest import pay
from miniature import interrupt_in_step, keep_ended

from minilrm import grpo, manner, pipeline, sft
from minilrm.errors import UserError
from minilrm.loop import run as loop_run
from minilrm.pipeline import Options, r1
from minilrm.pipeline.stages import Stage, fingerprint, run, table
from minilrm.tasks import get_task
from minilrm.tasks.gsm8k_mini import GSM8KMini
from minilrm.tasks.mixture import mixture_of

NAMES = ["r1-zero", "cold-start", "sft-1", "rl-1", "rejection-sampling", "sft-2", "rl-2"]


def keep_ended_as_thoughts(episodes, seen):
    """In the place of `keep_right`: a random model is never right and never thinks."""
    kept, counts = keep_ended(episodes, seen)
    for e in kept:
        e.thinks = True
    return kept, counts


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Short answers, of which every one that ends is worth learning from; no pages of runs."""
    monkeypatch.setattr(GSM8KMini, "max_new_tokens", 8)
    monkeypatch.setattr(r1, "keep_right", keep_ended_as_thoughts)
    monkeypatch.setattr(r1, "readable", lambda episodes: [True] * len(episodes))
    monkeypatch.setattr(manner, "READ", 40)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)
    pay(monkeypatch)


def options(base, out, **more):
    few = {"rl_steps": 2, "sft_steps": 2, "prompts": 24, "samples": 2, "group_size": 2}
    tiny = {"base": str(base), "questions": 2, "eval_n": 3, "threads": 1, "device": "cpu"}
    return Options(out=out, **few | tiny | more)


def hashes(folder):
    """What every stage made."""
    return {
        name: json.loads((folder / name / "stage.json").read_text())["sha256"] for name in NAMES
    }


def test_every_stage_leaves_its_artefact_whether_interrupted_or_not(base, tmp_path, monkeypatch):
    folder = tmp_path / "r1"
    assert pipeline.make(options(base, folder)) == 0
    made = hashes(folder)
    assert set(made) == set(NAMES)
    page = (folder / "report.html").read_text(encoding="utf-8")
    models = ("base", "r1-zero", "sft-1", "rl-1", "sft-2", "rl-2")
    assert all(f"<h4>{name}</h4>" in page for name in models) and "second wording" in page
    rejected = (folder / "rejection-sampling" / "traces.jsonl").read_text(encoding="utf-8")
    head, *records = map(json.loads, rejected.splitlines())
    assert head["general"] == head["kept"] // 3 and len(records) == head["kept"] + head["general"]

    broken, codes = tmp_path / "broken", []
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "write_page", lambda *_: None)
        for command in ("grpo", "sft"):  # in r1-zero, then in sft-1
            interrupt_in_step(patch, command, 1)
            codes.append(pipeline.make(options(base, broken)))
        assert [*codes, pipeline.make(options(base, broken))] == [130, 130, 0]
    assert hashes(broken) == made

    def refuse(*_, **__):
        raise AssertionError("a finished stage is run again")

    monkeypatch.setattr(grpo, "train", refuse)
    monkeypatch.setattr(sft, "train", refuse)
    assert pipeline.make(options(base, folder)) == 0 and hashes(folder) == made


def test_from_makes_a_stage_and_all_behind_it_anew_and_only_makes_one(base, tmp_path):
    folder = tmp_path / "r1"
    assert pipeline.make(options(base, folder, only="r1-zero")) == 0
    assert not (folder / "cold-start").exists()
    with pytest.raises(UserError, match="sft-1 needs cold-start"):
        pipeline.make(options(base, folder, only="sft-1"))


def test_what_was_changed_or_made_from_something_else_is_refused(tmp_path):
    def write(text):
        def work(place, inputs):
            path = place / "traces.jsonl"
            path.write_text(json.dumps({"seconds": 1.0}) + f"\n{text}\n")
            return path, {}

        return work

    stages = [Stage("one", "", (), write("a")), Stage("two", "", ("one",), write("b"))]
    quiet = {"report": lambda text: None}
    done = run(tmp_path, stages, **quiet)
    assert set(done) == {"one", "two"} and done["two"].inputs == {"one": done["one"].sha256}
    path = tmp_path / "one" / "traces.jsonl"
    path.write_text(path.read_text().replace("1.0", "2.0"))  # the clock does not count
    assert run(tmp_path, stages, **quiet) == done
    path.write_text(path.read_text().replace("a\n", "c\n"))
    with pytest.raises(UserError, match="one made has been changed"):
        run(tmp_path, stages, **quiet)
    record = tmp_path / "one" / "stage.json"
    record.write_text(record.read_text().replace(done["one"].sha256, fingerprint(path)))
    with pytest.raises(UserError, match="two was made from another one"):
        run(tmp_path, stages, **quiet)
    assert set(run(tmp_path, stages, start="two", **quiet)) == {"one", "two"}
    record.write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        run(tmp_path, stages, **quiet)
    with pytest.raises(UserError, match="no stage is called 'three'"):
        run(tmp_path, stages, only="three", **quiet)


def test_a_folder_belongs_to_what_was_asked_for_first(base, tmp_path):
    folder = tmp_path / "r1"
    pipeline.keep_to(folder, {"rl_steps": 2})
    with pytest.raises(UserError, match="--rl-steps 2, not 3"):
        pipeline.keep_to(folder, {"rl_steps": 3})
    other = tmp_path / "mine"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(UserError, match="is no pipeline"):
        pipeline.keep_to(other, {})


def test_where_nothing_is_worth_keeping_it_is_said(base, tmp_path, monkeypatch):
    monkeypatch.setattr(r1, "readable", lambda episodes: [False] * len(episodes))
    with pytest.raises(UserError, match="nothing to learn from"):
        pipeline.make(options(base, tmp_path / "r1"))


def test_general_requests_are_graded_as_what_they_are():
    task = get_task(mixture_of({"gsm8k-mini": 1, "general": 1}))
    problems = task.problems("validation", 40)
    kinds = {p.task for p in problems}
    assert kinds == {"gsm8k-mini", "general"}
    for p in problems:
        right = f" {p.answer}" if p.task == "general" else f"\n#### {p.answer}"
        assert task.grade(p, right).correct


def test_the_table_says_what_is_done_and_what_is_left():
    stages = [Stage("one", "first", (), None, 1.0), Stage("two", "second", (), None, 3.0)]
    done = {"one": pipeline.stages.Done("x", "", {}, 60.0, {})}
    lines = table(stages, done, running="two").splitlines()
    assert "done in 60 s" in lines[0] and "running" in lines[1]
    assert lines[2] == "about 3 minutes left"
