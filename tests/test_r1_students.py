"""studies/r1/students.py in miniature: its parts begin at one base, and compute is counted."""

import pytest
from test_distill import make_small

from minilrm import model
from minilrm.errors import UserError
from minilrm.loop import run as loop_run
from minilrm.model import Transformer, count_parameters
from minilrm.options import check
from studies import common
from studies.r1 import students


@pytest.fixture
def tiny(base, tmp_path, monkeypatch):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(students, "teacher_of", lambda seed: base)
    monkeypatch.setattr(students, "student_base", lambda size, seed: base)
    monkeypatch.setattr(students, "figures", lambda where, seed: {"accuracy": 0.5})
    monkeypatch.setattr(students, "TASK", "gsm8k-mini")
    make_small(monkeypatch)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)
    monkeypatch.setattr(students, "ROLLOUTS", {"prompts": 2, "group_size": 2, "max_new_tokens": 8})
    for name, value in {"TOKENS": 60, "PROMPTS": 40, "FIRST": 1, "EVAL_N": 2}.items():
        monkeypatch.setattr(students, name, value)


def test_grpo_takes_as_much_compute_as_the_traces(tiny):
    traces = students.study_way("quarter", "traces", 0)
    common.append_result(students.STUDY, {"kind": "quarter-traces", "seed": 0, **traces})
    rl = students.study_rl("quarter", 0)
    assert rl["flops"] >= traces["flops"] > 0 and rl["steps"] > 1
    assert rl["flops"] < 3 * traces["flops"]
    # Asked again, as after a stop in the measurement: nothing is trained on, nothing is refused.
    assert students.study_rl("quarter", 0) == rl


def test_without_the_traces_nothing_says_how_much_is_equal(tiny):
    with pytest.raises(UserError, match="quarter-traces 0 comes first"):
        students.study_rl("quarter", 0)


@pytest.mark.parametrize("size", students.SIZES)
def test_a_size_of_the_study_is_one_that_pretraining_takes(base, monkeypatch, size):
    """Catches: choices that were counted before the study named its own."""
    monkeypatch.setattr(students, "teacher_of", lambda seed: base)
    monkeypatch.setattr(students, "count", lambda place: 820_608)
    monkeypatch.setattr(common, "run", lambda train, make, where, **chosen: check(make(**chosen)))
    monkeypatch.setattr(common, "last", lambda log: log)
    assert students.student_base(size, 0) is None


@pytest.mark.parametrize("size", students.SIZES)
def test_a_student_is_as_small_as_it_is_called(size):
    whole = count_parameters(Transformer(model.SCALES["nano"]))
    assert 0.9 < count_parameters(Transformer(students.SIZES[size])) / (
        whole * students.SHARES[size]
    ) <= 1  # fmt: skip
