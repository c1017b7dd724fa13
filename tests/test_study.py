"""scripts/study_main.py in miniature: what its records hold, and that the long run begins as the
default one."""

import functools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import pay

from minilrm import grpo, runlog
from minilrm.tasks.gsm8k_mini import GSM8KMini

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

import figures  # noqa: E402
import study_main  # noqa: E402


@pytest.fixture
def study(base, tmp_path, monkeypatch):
    """The study with two steps, a tiny model, and no measurements but their names."""
    monkeypatch.setattr(GSM8KMini, "max_new_tokens", 8)
    pay(monkeypatch)
    monkeypatch.setattr(grpo, "write_report", lambda folder: folder)
    monkeypatch.chdir(tmp_path)
    options = functools.partial(
        grpo.Options, init=str(base), prompts=2, group_size=4, eval_n=3, eval_every=1
    )
    monkeypatch.setattr(study_main, "grpo", SimpleNamespace(train=grpo.train, Options=options))
    monkeypatch.setattr(
        study_main,
        "measure",
        lambda where, split, **how: {"of": Path(where).name, "split": split, **how},
    )
    for name, value in (("STEPS", 2), ("TIMES", 2), ("N", 5)):
        monkeypatch.setattr(study_main, name, value)
    return study_main


def test_the_long_run_goes_on_from_the_default_one(study, tmp_path):
    short, long = study.study_grpo(1), study.study_hold(1)
    assert short["steps"] == len(short["tokens"]) == 2
    assert short["test"] == {"of": "step-000002", "split": "test", "quick": False}
    assert (long["steps"], long["long_steps"], len(long["tokens"])) == (2, 4, 4)
    assert long["long_test"] == {"of": "step-000004", "split": "test", "quick": True, "samples": 1}
    assert [(e["step"], e["n"]) for e in long["evals"]][-2:] == [(2, 3), (4, 3)]
    assert figures.starts_as(long, short) and not figures.starts_as(long, study.study_grpo(2))
    assert short["summary"]["last"] == "step-000002" and str(tmp_path.parent) not in json.dumps(
        [short, long]
    )


def test_the_long_run_begins_as_the_default_one_where_that_is_gone(study):
    long = study.study_hold(1)
    assert figures.starts_as(long, study.study_grpo(1)) and len(long["tokens"]) == 4


def test_the_rival_goes_on_until_it_has_generated_as_much(study, monkeypatch):
    """Catches: rivals compared at equal steps, which differ in length and so in cost."""
    results = [{"kind": "grpo", "seed": 1, "tokens": [60, 150]}]
    monkeypatch.setattr(
        study, "runlog", SimpleNamespace(RunLog=runlog.RunLog, load_results=lambda name: results)
    )
    tokens = study.study_expert(1)["tokens"]
    assert tokens[-1] >= 150 > tokens[-2] or len(tokens) == 6


def test_all_runs_what_is_missing_in_order(monkeypatch, tmp_path):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    runlog.append_result("main", {"kind": "grpo", "seed": 1})
    for kind, (_, seeds) in list(study_main.STUDIES.items()):
        monkeypatch.setitem(study_main.STUDIES, kind, (lambda seed: {}, seeds))
    monkeypatch.setattr(sys, "argv", ["study_main.py", "all"])
    study_main.main()
    assert [f"{r['kind']} {r['seed']}" for r in runlog.load_results("main")] == [
        "grpo 1",
        "base 0",
        "grpo 0",
        "grpo 2",
        "expert 0",
        "expert 1",
        "expert 2",
        "timing 0",
        "hold 0",
        "hold 1",
        "hold 2",
        "again 0",
        "again 1",
        "again 2",
    ]
