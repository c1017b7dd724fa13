"""studies/aha in miniature, from a tiny random base: its records are what its figures read, an
interrupted run is resumed, and nothing is measured on half a run."""

import json
import sys
from types import SimpleNamespace

import pytest
from conftest import pay

from minilrm import checkpoint, grpo, loop, reflection, runlog
from minilrm.errors import UserError
from minilrm.loop import Result
from minilrm.loop import run as loop_run
from minilrm.tasks.countdown import Countdown
from minilrm.tasks.traces import Attempt, Trace
from studies import common
from studies.aha import numbers, text
from studies.aha import study as study_aha


@pytest.fixture
def study(base, tmp_path, monkeypatch):
    """The study with one step, a tiny model, and rewards out of the blue; results go to a folder of
    their own."""
    monkeypatch.setattr(Countdown, "max_new_tokens", 8)
    problems = Countdown().problems
    monkeypatch.setattr(
        Countdown, "problems", lambda self, split, n, seed=0: problems("validation", n, seed)
    )
    pay(monkeypatch)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)
    monkeypatch.setattr(study_aha, "base_of", lambda task, seeded=True: str(base))
    monkeypatch.chdir(tmp_path)
    small = {"prompts": 2, "group_size": 4, "eval_n": 3, "steps": 1, "save_every": 1}
    given = []

    def options(**how):
        given.append(how)
        return grpo.Options(**how) if "resume" in how else grpo.Options(**how | small)

    monkeypatch.setattr(study_aha, "grpo", SimpleNamespace(train=grpo.train, Options=options))
    monkeypatch.setattr(common, "results_file", lambda name: tmp_path / f"{name}.jsonl")
    for name, value in (("N", 22), ("MOST", 3), ("SEEDS", (0,))):
        monkeypatch.setattr(study_aha, name, value)
    study_aha.given = given
    return study_aha


def kinds():
    return [r["kind"] for r in common.load_results("aha")]


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["aha", *words])
    study_aha.main()


def test_all_parts_run_once_and_the_figures_can_read_them(study, tmp_path, monkeypatch):
    """Catches: a record without the outcomes that paired differences need; a part done twice; a key
    of another room's result that is no longer called so; a path of this machine in a result."""
    trained = []
    monkeypatch.setattr(
        study.pretrain,
        "train",
        lambda options: trained.append(options) or pretend_pretrained(options),
    )
    run(monkeypatch, "countdown", "all")
    assert kinds() == [
        "base",
        "base",
        "seeded",
        "hot",
        "unseeded",
        "shuffled",
        "shuffled-slow",
        "expert",
        "parallel",
        *["pretraining"] * 4,
    ]
    assert [o.reflection for o in trained] == [0.0, 0.1, 0.25, 0.5] and {
        o.tokens for o in trained
    } == {study.SHARE_TOKENS}
    lines = (tmp_path / "aha.jsonl").read_text(encoding="utf-8")
    assert str(tmp_path) not in lines
    run(monkeypatch, "countdown", "all")
    assert (tmp_path / "aha.jsonl").read_text(encoding="utf-8") == lines
    summary = numbers.summarise(numbers.read_results())["countdown"]
    assert set(summary["arms"]) == set(study.ARMS)
    seed = summary["arms"]["seeded"]["seeds"]["0"]
    assert seed["n"] == 22 and seed["over best temperature"]["n"] == 22
    # no measure is lost on the way
    assert set(seed["after"]) == set(reflection.measures(Countdown(), []))
    assert len(summary["parallel"]) == 1 and list(summary["pretraining"]) == [
        "0",
        "0.1",
        "0.25",
        "0.5",
    ]
    text.block({"countdown": summary})
    run(monkeypatch, "countdown", "timing")
    run(monkeypatch, "countdown", "timing")  # as often as asked: the code may have become faster
    timed = numbers.summarise(numbers.read_results())["countdown"]["timing"]
    assert kinds()[-2:] == ["timing"] * 2 and list(timed) == ["0"] and timed["0"]["elapsed"] > 0


def pretend_pretrained(options):
    """A run folder as pretraining leaves it, without the training."""
    model, tokenizer, _ = checkpoint.load(study_aha.base_of(options.task))
    log = runlog.RunLog.create("pretrain", options.task, {}, options.out)
    checkpoint.save(
        log.checkpoint_path(5), model, tokenizer, info=checkpoint.Info(task=options.task)
    )
    log.summary({"tokens_trained": 10_000})
    return Result(log.folder, finished=True)


def test_each_arm_differs_from_the_first_as_it_says(study, monkeypatch):
    """Catches: a control that starts from the seeded base, or an arm that leaves its base to the
    command's default."""
    monkeypatch.setattr(study, "base_of", lambda task, seeded=True: "with" if seeded else "without")

    def stop(train, options, where, **chosen):
        options(out=where, **chosen)
        raise InterruptedError

    monkeypatch.setattr(loop, "carry_on", stop)
    for arm in study.ARMS:
        with pytest.raises(InterruptedError):
            study.study_arm("countdown", arm, 2)
    own = [
        {k: v for k, v in how.items() if k not in ("task", "seed", "threads", "out")}
        for how in study.given
    ]
    assert own == [
        {"init": "with"},
        {"init": "with", "temperature": 1.25},
        {"init": "without"},
        {"init": "with", "shuffle_rewards": True},
        {"init": "with", "shuffle_rewards": True, "lr": 5e-5},
        {"init": "with", **study.ARMS["expert"]},
    ]


def test_a_pretraining_that_was_broken_off_goes_on(study, monkeypatch):
    """Mistake: a folder without a summary is thrown away, and an hour with it."""
    how = []

    def broken_off(options):
        how.append(options)
        folder = study.folder("countdown", "pretraining-0.5", 0)
        (folder / "checkpoints" / "step-000500").mkdir(parents=True, exist_ok=True)
        return Result(folder, finished=False)

    monkeypatch.setattr(study.pretrain, "train", broken_off)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):  # and half of it is no result
            study.study_pretraining("countdown", 0, 0.5)
    assert how[0].resume is None and how[0].reflection == 0.5 and how[1].resume == how[0].out


def test_an_interrupted_run_is_no_result(study, monkeypatch):
    """Mistake: Ctrl-C ends the loop in good order, and the half-trained policy is taken for the
    arm's."""
    monkeypatch.setattr(study.grpo, "train", lambda options: Result(options.out, finished=False))
    with pytest.raises(KeyboardInterrupt):
        study.study_arm("countdown", "seeded", 0)
    assert kinds() == []


def test_a_base_that_is_missing_is_measured_though_the_other_is_there(study):
    """Mistake: both bases in one part, and a break between them loses the control's for ever."""
    study.append("countdown", "base", 0, {"seeded": True})
    assert [p[1:] for p in study.missing("countdown", "bases", None)] == [("countdown", False)]


def test_parallel_wants_finished_runs(study):
    with pytest.raises(UserError, match=r"make it first: python -m studies.aha countdown seeded 0"):
        study.study_parallel("countdown", 0)


def test_the_first_answer_that_its_own_check_accepts(study):
    """Mistakes: the grader's verdict in place of the writer's (an oracle), and tokens of answers
    that were never written."""
    traces = {
        "no": Trace((Attempt(0, 1, "", False),), 0, True),
        "ok": Trace((Attempt(0, 1, "", True),), 0, True),
        "noise": Trace((), 0, False),
    }
    task = SimpleNamespace(parse_trace=traces.__getitem__)
    group = [
        SimpleNamespace(text=t, length=n)
        for t, n in (("noise", 1), ("no", 10), ("ok", 100), ("ok", 1000))
    ]
    assert study.self_checked(task, group) == (group[2], 111)
    assert study.self_checked(task, group[:2]) == (group[1], 11)


def test_transcripts_are_of_problems_that_came_right_by_trying_again(study):
    """Mistake: a first try that was right, doubted for nothing, and written once more."""
    again, doubted, once = (
        ("attempt-wrong", "reflection", "attempt-right"),
        ("attempt-right", "reflection", "attempt-right"),
        ("attempt-right",),
    )
    samples = [
        {
            "step": step,
            "key": key,
            "prompt": key,
            "completion": f"{key}{step}",
            "correct": right,
            "pieces": [["..", "plain"], *([["..", kind] for kind in kinds])],
        }
        for step, key, kinds, right in (
            (0, "a", (), False),
            (0, "b", (), True),
            (0, "c", (), False),
            (0, "e", (), False),
            (2, "a", again, True),
            (2, "b", again, True),
            (2, "c", once, True),
            (2, "d", again, True),
            (2, "e", doubted, True),
        )
    ]
    log = SimpleNamespace(samples=lambda: samples)
    assert study.transcripts(log) == [{"prompt": "a", "before": "a0", "after": "a2"}]


def test_records_are_json_without_holes(study, tmp_path):
    study.study_base("countdown", False)
    (record,) = common.load_results("aha")
    assert set(record["temperatures"]) == {"0", "0.3", "0.6", "1"} and record["seeded"] is False
    assert all(len(f["right"]) == f["n"] == 22 for f in record["temperatures"].values())
    assert record["measures"]["n"] == 22 and "NaN" not in json.dumps(record)
