"""The benchmarks' own arithmetic, their reports, their processes, and what they say where a peer is
not installed. Nothing here looks at a time. (What each side does: test_benchmarks_sides.py.)"""

import doctest
import importlib
import importlib.util
import json
import multiprocessing

import pytest
import torch

from benchmarks import all as everything
from benchmarks import common, grpo, rollout, scaling, sides, tokenizer, train
from minilrm.cli import run_command
from minilrm.errors import UserError

WITH_PEERS = {
    "rollout": rollout,
    "train": train,
    "grpo": grpo,
    "tokenizer": tokenizer,
    "all": everything,
}


# -- arithmetic ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["common", "same", "rollout", "train", "grpo", "tokenizer", "scaling", "all"]
)
def test_the_examples_in_the_docstrings(name):
    assert doctest.testmod(importlib.import_module(f"benchmarks.{name}")).failed == 0


def side(seconds, work, **more):
    return {
        "seconds": seconds,
        "work": work,
        "tokens": work,
        "peak_mb": 300.0,
        "start_mb": 200.0,
        **more,
    }


def test_the_ratio_is_of_rates_ours_over_the_peers_and_its_median():
    # ratios 4, 1 and 2. Not the ratio of the times (upside down where the work differs), not their
    # mean (7 / 3).
    rounds = [
        {"ours": side(1.0, 200), "peer": side(2.0, 100)},
        {"ours": side(1.0, 100), "peer": side(1.0, 100)},
        {"ours": side(1.0, 100), "peer": side(1.0, 50)},
    ]
    found = common.compare(rounds, peak=1e9)
    assert found["ratio"]["all"] == [4.0, 1.0, 2.0]
    assert (found["ratio"]["median"], found["ratio"]["min"], found["ratio"]["max"]) == (
        2.0,
        1.0,
        4.0,
    )
    assert found["ours"]["tokens_per_second"] == 100 and found["peer"]["tokens_per_second"] == 50


def test_the_share_of_the_peak_counts_two_operations_forward_and_six_with_backward():
    operations = common.flops(1000, forward=30, trained=10)
    assert operations == 2 * 1000 * 30 + 6 * 1000 * 10
    found = common.compare([{"ours": side(2.0, 1, flops=operations)}], peak=600_000)
    assert found["ours"]["share_of_peak"] == pytest.approx(0.1)
    assert "ratio" not in found  # there is no peer


def test_useful_tokens_end_with_the_first_end_of_text():
    # the end itself counts, what is behind it does not
    assert rollout.useful([7, 8, 0, 0, 1], end=0) == 3
    assert rollout.useful([7, 8], end=0) == 2
    assert rollout.useful([0, 7, 0], end=None) == 3  # where it is ignored, all count


def test_the_goals_of_the_table():
    assert (
        everything.verdict(3.9, 4, 8) == "MISSED" and everything.verdict(8.0, 4, 8) == "aim reached"
    )
    # less is better
    assert (
        everything.verdict(3.1, 3, 1.5) == "MISSED"
        and everything.verdict(1.5, 3, 1.5) == "aim reached"
    )
    ratio = {"median": 2.5, "min": 2.0, "max": 3.0}
    cases = [
        {"name": "a", "case": "plain", "ratio": ratio},
        {"name": "b", "case": "equal", "ratio": ratio},
    ]
    rows = everything.rows_of({"benchmark": "rollout", "cases": cases})
    # equal lengths have a goal of their own
    assert [row[3] for row in rows] == ["MISSED", "reached"]
    rows = everything.rows_of(
        {
            "benchmark": "grpo",
            "cases": [],
            "verify": {"completions": 512, "share_of_step": {"median": 0.031}},
        }
    )
    assert rows[0][3] == "MISSED"


def test_where_memory_ends_and_how_it_grows():
    assert scaling.memory_ends([1, 2, 4], [310, 320, 340], 1000) == pytest.approx(70)
    assert scaling.memory_ends([1, 2, 4], [300, 300, 300], 1000) is None
    points = [
        {"sequences": n, "seconds": s, "peak_mb": p, "start_mb": 200}
        for n, s, p in ((256, 2, 400), (1024, 6, 600))
    ]
    assert scaling.growth(points) == {"from": 256, "to": 1024, "seconds": 3, "peak": 1.5, "work": 2}
    assert scaling.growth(points[:1]) is None


def test_the_batches_of_a_turn():
    taken = [
        train.steps_of(list("abcdefgh"), accumulate=2, steps=2, turn=turn) for turn in range(3)
    ]
    assert taken == [[["a", "b"], ["c", "d"]], [["e", "f"], ["g", "h"]], [["a", "b"], ["c", "d"]]]
    # neither first tokens nor padding
    assert train.predicted([torch.tensor([[5, 6, 7], [5, 6, -1]])]) == 3


# -- reports ---------------------------------------------------------------------------------------


@pytest.fixture
def no_peak(monkeypatch):
    """No time is spent on measuring the machine."""
    monkeypatch.setattr(
        common, "measure_peak", lambda threads, quick: {"float32": 1e11, "bfloat16": 3e11}
    )
    monkeypatch.setattr(common, "busy_share", lambda: 0.0)


def test_a_report_says_on_what_it_was_measured_and_can_be_read_again(tmp_path, no_peak, capsys):
    report = common.new_report("rollout", common.Options(quick=True), [1])
    report["cases"].append(
        {"name": "a case", **common.compare([{"ours": side(1.0, 10), "peer": side(2.0, 10)}], 1e9)}
    )
    assert common.peak(report, 1) == 3e11
    path = common.write(report, common.Options(out=tmp_path / "new" / "bench.json"))
    found = json.loads(path.read_text())
    assert {
        "benchmark",
        "time",
        "command",
        "quick",
        "version",
        "versions",
        "machine",
        "threads",
        "busy_before",
        "peak_flops",
        "flop_rule",
        "memory_rule",
        "cases",
    } <= set(found)
    assert (
        found["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
        and found["machine"]["processor"]
    )
    assert found["cases"][0]["pairs"] and found["cases"][0]["ratio"]["median"] == 2.0
    common.say("a case", found["cases"][0])
    assert "2.00 (2.00 to 2.00)" in capsys.readouterr().out


def test_quick_times_never_land_among_the_results(no_peak, monkeypatch, tmp_path):
    monkeypatch.setattr(common.tempfile, "gettempdir", lambda: str(tmp_path))
    report = common.new_report("rollout", common.Options(quick=True), [1])
    assert common.write(report, common.Options(quick=True)).parent == tmp_path


@pytest.mark.parametrize("name", WITH_PEERS)
def test_a_missing_peer_is_one_line_that_names_the_extra(name, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    module = WITH_PEERS[name]
    with pytest.raises(SystemExit) as stop:
        run_command(module.run, module.Options, ["--quick"], prog="x", description="x")
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and ".[bench]" in error and "is not installed" in error


def test_the_figure_of_scaling(tmp_path):
    points = [
        {
            **scaling.CENTRE,
            "sequences": n,
            "seconds": n / 50,
            "rollout": n / 80,
            "update": n / 200,
            "peak_mb": 300.0 + n,
            "start_mb": 250.0,
            "parameters": 10**6 // n,
        }
        for n in (64, 128, 256)
    ]
    report = {
        "cases": [{"name": "sequences", "points": points}, {"name": "scale", "points": points}],
        "machine": {"memory_gb": 24.0},
    }
    scaling.finish(report)
    assert report["cases"][0]["memory_ends_at"] == pytest.approx(24e9 / 2**20 - 300)
    assert report["cases"][1]["memory_ends_at"] is None  # here, more parameters took less
    assert scaling.draw(report, tmp_path / "figure.png").read_bytes()[:4] == b"\x89PNG"


# -- processes -------------------------------------------------------------------------------------


def test_a_worker_answers_from_a_process_of_its_own():
    with sides.Worker(common.matmul_peak, threads=1, sizes=(16,), repeats=1) as worker:
        answer = worker(dtype="float32")
        assert answer["flops"] > 0
        assert answer["peak_mb"] is None or answer["peak_mb"] >= answer["start_mb"] > 10
        process = worker.process
    assert not process.is_alive()


def user_mistake(link):
    raise UserError("choose another folder")


def our_mistake(link):
    raise ZeroDivisionError("oops")


def test_failures_of_a_side_are_told():
    class Told(sides.Worker):  # the measuring end of a pipe, without a process
        def __init__(self, pipe):
            self.pipe = pipe

    for function, error, words in (
        (user_mistake, UserError, "another folder"),
        (our_mistake, RuntimeError, "oops"),
    ):
        near, far = multiprocessing.Pipe()
        sides.serve(far, function, threads=1, memory=False, settings={})
        with pytest.raises(error, match=words):
            Told(near)(turn=0)


def test_the_sides_take_turns_and_the_warm_up_is_thrown_away():
    calls = []

    def named(name):
        return lambda turn: calls.append((name, turn)) or {"seconds": 1.0, "work": turn}

    rounds = common.alternate({"ours": named("ours"), "peer": named("peer")}, pairs=2)
    assert calls == [("ours", 0), ("peer", 0), ("ours", 1), ("peer", 1), ("peer", 2), ("ours", 2)]
    assert [pair["ours"]["work"] for pair in rounds] == [1, 2] and list(rounds[1]) == [
        "ours",
        "peer",
    ]


def test_the_peers_fastest_setting_and_one_that_it_cannot_run():
    class Rate:
        def __init__(self, setting):
            self.setting = setting

        def __call__(self, turn):
            if self.setting == "broken":
                raise RuntimeError("no such kernel")
            # the first turn is warm-up
            return {"seconds": 1.0, "work": {"slow": 1, "fast": 9}[self.setting] * turn}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    assert common.fastest(["slow", "broken", "fast"], Rate) == (
        "fast",
        {"slow": 1.0, "broken": 0.0, "fast": 9.0},
    )
    with pytest.raises(RuntimeError, match="no such kernel"):
        common.fastest(["broken", "broken"], Rate)
