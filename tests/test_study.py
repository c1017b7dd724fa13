"""What studies share, and studies/main in miniature: what its records hold, and that the long run
begins as the default one."""

import functools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import pay

from minilrm import grpo, loop
from minilrm.loop import Result
from minilrm.loop import run as loop_run
from minilrm.runlog import RunLog
from minilrm.tasks.gsm8k_mini import GSM8KMini
from studies import common
from studies.main import numbers
from studies.main import study as main_study

# -- what studies share ----------------------------------------------------------------------------


def test_results_are_kept_with_machine_and_time(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    assert common.load_results("aha") == []
    common.append_result("aha", {"seed": 0, "accuracy": 0.123456789})
    common.append_result("aha", {"seed": 1, "accuracy": float("nan")})
    first, second = common.load_results("aha")
    assert (first["seed"], first["accuracy"], second["accuracy"]) == (0, 0.123456789, None)
    assert first["machine"]["platform"] and first["time"][:2] == "20"
    assert (tmp_path / "results" / "aha.jsonl").exists()
    assert common.records("aha", seed=1) == [second] and not common.records("aha", kind="base")


@pytest.mark.parametrize(
    "asked, measured",
    [
        (["all"], ["base 0", "grpo 1"]),  # grpo 0 stands there; seed after seed
        (["grpo"], ["grpo 1"]),
        (["base", "5"], ["base 5"]),  # a seed that the study does not have
        (["all", "1"], ["grpo 1"]),
        (["grpo", "0"], []),
    ],
)
def test_what_is_missing_is_measured_and_nothing_twice(tmp_path, monkeypatch, asked, measured):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["study", *asked])
    common.append_result("demo", {"kind": "grpo", "seed": 0})
    done = []

    def part(kind):
        return lambda seed: done.append(f"{kind} {seed}") or {"found": seed}

    parts = {"grpo": (part("grpo"), (0, 1)), "base": (part("base"), (0,))}
    common.measure_missing("demo", "studies.demo", "A study.", parts)
    assert done == measured
    kept = [f"{r['kind']} {r['found']}" for r in common.load_results("demo")[1:]]
    assert kept == measured


def pretend(folder, *, ends):
    """A training that writes a checkpoint, and comes to its end or is interrupted."""

    def train(options):
        log = RunLog(folder, {})
        log.checkpoint_path(1).mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text("{}")
        if ends:
            log.summary({"steps": 1, "last": "step-000001", "home": str(folder)})
        return Result(folder, finished=ends)

    return train


def test_a_run_is_begun_resumed_and_then_left_alone(tmp_path):
    """Catches: half a run taken for a result; a finished run trained on; an interrupted one begun
    again."""
    given, where = [], tmp_path / "run"

    def options(**how):
        given.append(how)
        return how

    with pytest.raises(KeyboardInterrupt):
        common.run(pretend(where, ends=False), options, where, seed=3)
    log = common.run(pretend(where, ends=True), options, where, seed=3)
    assert given == [{"out": where, "seed": 3}, {"resume": where}]
    assert common.run(None, None, where).folder == where
    assert common.summary(log) == {"steps": 1, "last": "step-000001"}  # no path of this machine


def test_the_remains_of_a_run_that_died_at_once_are_cleared_away(tmp_path):
    where = tmp_path / "run"
    (where / "checkpoints").mkdir(parents=True)
    (where / "config.json").write_text("half of it")
    clean = []
    loop.carry_on(lambda how: clean.append(not where.exists()), dict, where)
    assert clean == [True]


def test_ctrl_c_says_how_to_go_on_and_ends_with_130(capsys):
    """Mistake: exit code 0 or 1, so that a script goes on as if the study were done."""

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        common.command(interrupted)
    assert ended.value.code == 130 and "goes on from here" in capsys.readouterr().err


# -- the main study --------------------------------------------------------------------------------


@pytest.fixture
def study(base, tmp_path, monkeypatch):
    """The study with two steps, a tiny model, and no measurements but their names."""
    monkeypatch.setattr(GSM8KMini, "max_new_tokens", 8)
    pay(monkeypatch)
    monkeypatch.setattr(loop_run, "write_report", lambda folder: folder)
    monkeypatch.chdir(tmp_path)
    options = functools.partial(
        grpo.Options, init=str(base), prompts=2, group_size=4, eval_n=3, eval_every=1
    )
    monkeypatch.setattr(main_study, "grpo", SimpleNamespace(train=grpo.train, Options=options))
    monkeypatch.setattr(
        main_study,
        "measure",
        lambda where, split, **how: {"of": Path(where).name, "split": split, **how},
    )
    for name, value in (("STEPS", 2), ("TIMES", 2), ("N", 5)):
        monkeypatch.setattr(main_study, name, value)
    return main_study


def test_the_long_run_goes_on_from_the_default_one(study, tmp_path):
    short, long = study.study_grpo(1), study.study_hold(1)
    assert short["steps"] == len(short["tokens"]) == 2
    assert short["test"] == {"of": "step-000002", "split": "test", "quick": False}
    assert (long["steps"], long["long_steps"], len(long["tokens"])) == (2, 4, 4)
    assert long["long_test"] == {"of": "step-000004", "split": "test", "quick": True, "samples": 1}
    assert [(e["step"], e["n"]) for e in long["evals"]][-2:] == [(2, 3), (4, 3)]
    assert numbers.starts_as(long, short) and not numbers.starts_as(long, study.study_grpo(2))
    assert short["summary"]["last"] == "step-000002" and str(tmp_path.parent) not in json.dumps(
        [short, long]
    )


def test_the_long_run_begins_as_the_default_one_where_that_is_gone(study):
    long = study.study_hold(1)
    assert numbers.starts_as(long, study.study_grpo(1)) and len(long["tokens"]) == 4


def test_the_rival_goes_on_until_it_has_generated_as_much(study, monkeypatch):
    """Catches: rivals compared at equal steps, which differ in length and so in cost."""
    rival = {"kind": "grpo", "seed": 1, "tokens": [60, 150]}
    monkeypatch.setattr(common, "load_results", lambda name: [rival])
    tokens = study.study_expert(1)["tokens"]
    assert tokens[-1] >= 150 > tokens[-2] or len(tokens) == 6


def test_all_runs_what_is_missing_in_order(monkeypatch, tmp_path):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    common.append_result("main", {"kind": "grpo", "seed": 1})
    for kind, (_, seeds) in list(main_study.STUDIES.items()):
        monkeypatch.setitem(main_study.STUDIES, kind, (lambda seed: {}, seeds))
    monkeypatch.setattr(sys, "argv", ["main", "all"])
    main_study.main()
    assert [f"{r['kind']} {r['seed']}" for r in common.load_results("main")] == [
        "grpo 1",
        "base 0",
        "grpo 0",
        "grpo 2",
        "expert 0",
        "expert 1",
        "expert 2",
        "timing 0",
        "transcript 0",
        "hold 0",
        "hold 1",
        "hold 2",
        "again 0",
        "again 1",
        "again 2",
    ]
    monkeypatch.setattr(sys, "argv", ["main", "transcript", "--again"])
    main_study.main()
    assert len(common.records("main", kind="transcript")) == 2
    monkeypatch.setattr(sys, "argv", ["main", "grpo", "--again"])
    with pytest.raises(SystemExit):
        main_study.main()


def test_the_transcript_is_the_first_in_english_that_came_right(monkeypatch):
    """Catches: a Spanish problem in an English README; one that was right before; another end than
    the default run's."""
    texts = ("¿Cuántos?", "How many?", "How much?", "How long?")
    languages = ("es", "en", "en", "en")
    problems = [
        SimpleNamespace(prompt=text, meta={"language": language})
        for text, language in zip(texts, languages, strict=True)
    ]
    task = SimpleNamespace(problems=lambda split, n: problems)
    monkeypatch.setattr(main_study, "get_task", lambda name: task)
    samples = [
        {
            "step": step,
            "key": text,
            "prompt": text,
            "completion": f"{text} {step}",
            "answer": "7",
            "correct": right[step > 0],
        }
        for step in (0, main_study.STEPS, 5 * main_study.STEPS)
        for text, right in zip(texts, ((0, 1), (1, 1), (0, 0), (0, 1)), strict=True)
    ]
    found = main_study.transcript(SimpleNamespace(samples=lambda: samples))
    assert found == {
        "language": "en",
        "prompt": "How long?",
        "before": "How long? 0",
        "after": f"How long? {main_study.STEPS}",
        "answer": "7",
        "step_after": main_study.STEPS,
    }
