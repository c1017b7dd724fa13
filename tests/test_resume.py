"""What people do to runs: resume one twice at the same time, or from elsewhere, or after it was
killed at a bad moment; give options that are refused; choose a learning rate that destroys it."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import miniature
import pytest
from conftest import ROOT
from miniature import LOOPS, interrupt_in_step, is_the_same_run, options, weights

from minilrm import checkpoint, distill, grpo, ppo, rewards, runlog, sft
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.loop import run as loop_run
from minilrm.runlog import RunLog

small, runs = miniature.small, miniature.runs
WITHOUT_KL = [name for name in LOOPS if name != "pretrain"]


def interrupted(name, base, folder, step=3, **more):
    """A run that Ctrl-C ended in this step."""
    with pytest.MonkeyPatch.context() as patch:
        interrupt_in_step(patch, name, step)
        return LOOPS[name].train(options(name, base, folder, **more)).folder


def command(name, *argv):
    """Run a command as from a shell; its exit code."""
    module = LOOPS[name]
    try:
        run_command(module.main, module.Options, [*map(str, argv)], prog=name, description="")
    except SystemExit as end:
        return end.code
    return 0


# -- two at once -----------------------------------------------------------------------------------


def test_a_run_that_is_alive_cannot_be_resumed_and_is_not_harmed_by_the_try(
    runs, small, base, tmp_path
):
    """Catches: a second process that removes the half-written checkpoint of the first, and doubles
    its lines."""
    whole, folder = runs("sft"), tmp_path / "run"
    draw, said = sft.Trainer.draw, []

    def resumed_meanwhile(self, step):
        with pytest.raises(UserError) as refused:
            sft.train(sft.Options(resume=folder))
        said.append(str(refused.value))
        return draw(self, step)

    small.setattr(sft.Trainer, "draw", resumed_meanwhile)
    sft.train(options("sft", base, folder))
    assert len(said) == 6 and len(set(said)) == 1
    assert said[0].startswith(f"{folder} is being written by another process (number {os.getpid()}")
    assert said[0].endswith("wait for it, or stop it first")
    is_the_same_run(folder, whole)
    assert not (folder / ".holder.json").exists()


HOLDER = """
import sys
from minilrm.runlog import RunLog
with RunLog.open(sys.argv[1]).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_after_its_process_was_killed_a_run_can_be_resumed(runs, small, base, tmp_path):
    """Catches: a lock that outlives its holder."""
    folder = interrupted("sft", base, tmp_path / "run")
    words = [sys.executable, "-c", HOLDER, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(words, env=environment, **pipes) as holder:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(UserError, match=rf"another process \(number {holder.pid}, since 20"):
            sft.train(sft.Options(resume=folder))
        holder.kill()
    sft.train(sft.Options(resume=folder))
    is_the_same_run(folder, runs("sft"))


# -- what a resumed run tells ----------------------------------------------------------------------


def test_the_time_of_a_resumed_run_goes_on_from_the_time_before(small, base, tmp_path):
    """Catches: `elapsed` that begins at 0 again, so that a chart against the time folds back."""
    clock = itertools.count(step=10.0)
    told = SimpleNamespace(monotonic=lambda: next(clock), strftime=time.strftime)
    small.setattr(runlog, "time", told)
    folder = interrupted("grpo", base, tmp_path / "run")
    saved = json.loads((folder / "checkpoints" / "step-000003" / "trainer.json").read_text())
    before = [line["elapsed"] for line in RunLog.open(folder).metrics("eval")]
    grpo.train(grpo.Options(resume=folder))
    elapsed = [line["elapsed"] for line in RunLog.open(folder).metrics("eval")]
    assert elapsed[: len(before)] == before and elapsed == sorted(set(elapsed))
    assert elapsed[len(before)] > saved["trainer"]["elapsed"] > before[-1] > 0
    # The clock of the new process stood far beyond: what it did before the resume does not count.
    assert elapsed[len(before)] - saved["trainer"]["elapsed"] < 100


@pytest.mark.parametrize("name", LOOPS)
def test_a_run_killed_after_its_last_evaluation_has_it_once(runs, small, base, tmp_path, name):
    """Catches: its last evaluation in metrics.jsonl and samples.jsonl twice, three times ..."""
    folder = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunLog, "summary", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            LOOPS[name].train(options(name, base, folder))
        with pytest.raises(ZeroDivisionError):
            LOOPS[name].train(LOOPS[name].Options(resume=folder))
    LOOPS[name].train(LOOPS[name].Options(resume=folder))
    is_the_same_run(folder, runs(name))


# -- what a resumed run needs ----------------------------------------------------------------------


@pytest.mark.parametrize("name", WITHOUT_KL)
def test_a_resumed_run_does_not_need_the_folder_it_began_with(runs, small, base, tmp_path, name):
    """Its own checkpoint holds everything. (A distillation needs its teacher, which is asked in
    every step, but not the folder of the student.)"""
    shutil.copytree(base, tmp_path / "start")
    start = {"student" if name == "distill" else "init": str(tmp_path / "start")}
    folder = interrupted(name, base, tmp_path / "run", **start)
    shutil.rmtree(tmp_path / "start")
    LOOPS[name].train(LOOPS[name].Options(resume=folder))
    one, other = weights(folder), weights(runs(name))
    assert all(one[key].equal(other[key]) for key in other)


@pytest.mark.parametrize("name, more", [("grpo", {"kl_coef": 0.1}), ("ppo", {"kl_coef": 0.1})])
def test_a_resumed_run_with_a_kl_term_says_why_it_needs_that_folder(
    small, base, tmp_path, name, more
):
    shutil.copytree(base, tmp_path / "start")
    folder = interrupted(name, base, tmp_path / "run", **{"init": str(tmp_path / "start")} | more)
    shutil.rmtree(tmp_path / "start")
    with pytest.raises(UserError) as refused:
        LOOPS[name].train(LOOPS[name].Options(resume=folder))
    said = str(refused.value)
    assert said.startswith("this run has a KL term, whose reference model is the one it began with")
    assert f"no checkpoint folder {tmp_path / 'start'}" in said and "\n" not in said
    assert said.endswith("if it has moved, name its folder with --init")
    moved = shutil.copytree(base, tmp_path / "moved")
    assert LOOPS[name].train(LOOPS[name].Options(resume=folder, init=str(moved))).finished


def questions(path):
    """A data file in GSM8K's schema, with problems of every split."""
    lines = (
        json.dumps({"question": f"{i} plus 1?", "answer": f"#### {i + 1}"}) + "\n"
        for i in range(60)
    )
    path.write_text("".join(lines))


@pytest.mark.parametrize("name", WITHOUT_KL)
def test_a_run_can_be_resumed_from_another_working_directory(small, base, tmp_path, name):
    """With relative paths of model and data. A KL term, where there may be one: then the model at
    step 0 is read again."""
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
    small.chdir(tmp_path / "here")
    shutil.copytree(base, "start")
    questions(Path("mine.jsonl"))
    start = {"init": "start"}
    if name == "distill":
        start = {"teacher": "start", "student": "start", "lmbda": 1.0}
    kl = {"kl_coef": 0.1} if name in ("grpo", "ppo") else {}
    short = {"task": "gsm8k", "max_new_tokens": 12} if kl else {"task": "gsm8k"}
    small.setattr("minilrm.tasks.gsm8k.GSM8K.max_new_tokens", 12)
    folder = interrupted(
        name, base, Path("run"), data=Path("mine.jsonl"), **start | kl | short
    ).absolute()
    small.chdir(tmp_path / "there")
    result = LOOPS[name].train(LOOPS[name].Options(resume=folder))
    assert result.finished and not list(Path().iterdir())


# -- folders ---------------------------------------------------------------------------------------


def test_a_refused_command_does_not_block_the_corrected_one(small, base, tmp_path, capsys):
    """Catches: a folder that was made, then refused, and is "not empty" for the next try."""
    out, argv = tmp_path / "run", ["--init", base, "--steps", 1, "--eval-n", 2, "--threads", 1]
    few = ["--prompts", 2, "--group-size", 2]
    assert command("grpo", *argv, *few, "--max-new-tokens", 319, "--out", out) == 2
    assert "hardly any problem of gsm8k-mini fits" in capsys.readouterr().err and not out.exists()
    assert command("grpo", *argv, *few, "--max-new-tokens", 8, "--out", out) == 0
    assert RunLog.open(out).checkpoints()


@pytest.mark.parametrize("problem", [UserError("no prompt leaves room"), KeyboardInterrupt()])
def test_a_run_that_fails_in_its_first_evaluation_leaves_no_folder(small, base, tmp_path, problem):
    def fail(self, full):
        raise problem

    with pytest.MonkeyPatch.context() as patch, pytest.raises(type(problem)):
        patch.setattr(sft.Trainer, "evaluate", fail)
        sft.train(options("sft", base, tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    sft.train(options("sft", base, tmp_path / "run", steps=1))


def test_a_teacher_that_is_never_right_leaves_no_folder_but_its_traces_are_kept(
    small, base, tmp_path
):
    """Catches: a distillation whose folder is in the way though it never came to a step; and one
    that throws away what the teacher wrote for an hour."""
    distilled = options("distill", base, tmp_path / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minilrm.traces.keep_right", lambda episodes, seen: ([], {"sampled": 2}))
        with pytest.raises(UserError, match="none of the teacher's"):
            distill.train(distilled)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="broken down"):
        distill.train(distilled.replace(lr=1e30))
    assert (tmp_path / "run" / "traces.jsonl").exists()


def test_a_resumed_run_that_fails_keeps_its_folder(runs, small, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs("sft"), folder)
    small.setattr(loop_run, "steps", lambda *args: (_ for _ in ()).throw(UserError("no")))
    with pytest.raises(UserError, match="no"):
        sft.train(sft.Options(resume=folder, steps=9))
    assert weights(folder)


def test_a_resumed_run_cannot_move(runs, small, tmp_path, capsys):
    """Catches: `--out` that is not looked at."""
    assert command("sft", "--resume", runs("sft"), "--out", tmp_path / "elsewhere") == 2
    assert "--out and --resume exclude each other" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "name, option",
    [
        ("pretrain", "scale"),
        ("sft", "init"),
        ("sft", "task"),
        ("grpo", "init"),
        ("grpo", "scale"),
        ("ppo", "task"),
        ("distill", "student"),
        ("distill", "student_scale"),
        ("distill", "way"),
    ],
)
def test_a_resumed_run_cannot_have_begun_elsewhere(runs, small, tmp_path, name, option):
    """Catches: `--resume R --init X`, which trains R's own weights and says that they are from X;
    and another task in the same curves."""
    folder, asked = (
        tmp_path / "run",
        {"task": "countdown", "way": "traces", "student_scale": "pico"}.get(option, "nano"),
    )
    shutil.copytree(runs(name), folder)
    before = (folder / "config.json").read_text()
    with pytest.raises(UserError) as refused:
        LOOPS[name].train(LOOPS[name].Options(resume=folder, **{option: asked}))
    flag = "--" + option.replace("_", "-")
    assert str(refused.value).startswith(f"{flag} {asked}: that run began with ")
    assert f"leave {flag} away, or start another run" in str(refused.value)
    assert (folder / "config.json").read_text() == before


def test_a_resumed_run_may_be_told_its_own_beginning(runs, small, base, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(runs("sft"), folder)
    small.chdir(base.parent)
    assert sft.train(sft.Options(resume=folder, init=base.name, task="gsm8k-mini")).finished


@pytest.mark.parametrize("name", ["sft", "grpo"])
def test_a_command_whose_output_is_closed_ends_well(small, base, tmp_path, name):
    """`>&-` in a shell, or pythonw: Python has None in the place of stdout. Catches: an
    AttributeError after all of the work."""
    few = {"sft": ["--batch", 2], "grpo": ["--prompts", 2, "--group-size", 2]}[name]
    out = tmp_path / "run"
    small.setattr(sys, "stdout", None)
    argv = ["--init", base, "--steps", 1, "--eval-n", 2, "--threads", 1, "--out", out, *few]
    assert command(name, *argv) == 0
    assert (out / "summary.json").exists()


# -- figures on the screen -------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOOPS)
def test_a_rate_of_fewer_than_20_cases_is_never_on_the_screen(small, base, tmp_path, capsys, name):
    """Issue 15, 14. Catches: `nan%` for one problem, `accuracy 33.3%` for three."""
    more = {"tokens": 300} if name == "pretrain" else {"steps": 2}
    for n in (1, 3):
        LOOPS[name].train(options(name, base, tmp_path / str(n), eval_n=n, **more))
    said = capsys.readouterr()
    everything = said.out + said.err
    assert "too few problems for a rate (n = 1)" in everything
    assert "too few problems for a rate (n = 3)" in everything
    for line in everything.splitlines():
        if line.startswith(
            (f"{name}:", "traces:")
        ):  # a bar: how much is done is no rate of answers
            assert "accuracy=" not in line and "thinks=" not in line, line
        else:
            assert "%" not in line and not re.search(r"\bnan\b", line), line


# -- a learning rate that destroys -----------------------------------------------------------------


@pytest.mark.parametrize("rate", [1e30, 1e10])
@pytest.mark.parametrize("name", WITHOUT_KL)
def test_a_rate_that_destroys_the_weights_stops_the_run_and_keeps_what_it_had(
    runs, small, base, tmp_path, capsys, name, rate
):
    """At 1e30 the squares of the weights overflow, every logit is 0, and neither loss nor gradient
    need be NaN. Catches: exit code 0 without a word, and checkpoints of noise that push out all
    others."""
    folder = tmp_path / "run"
    shutil.copytree(runs(name), folder)
    kept = {path.name for _, path in RunLog(folder, {}).checkpoints()}
    assert command(name, "--resume", folder, "--steps", 30, "--lr", rate) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: the training has broken down: after this step a weight is ")
    assert "the checkpoints before it are kept" in error and "lower learning rate" in error
    assert {path.name for _, path in RunLog(folder, {}).checkpoints()} == kept
    for name_of_it in kept:
        model = checkpoint.load(folder / "checkpoints" / name_of_it)[0]
        assert all(p.abs().max() < 100 for p in model.parameters())


def test_such_a_run_goes_on_with_a_lower_rate(runs, small, base, tmp_path):
    """And without anything left of the rate that destroyed it."""
    folder, other = tmp_path / "run", tmp_path / "other"
    for place in (folder, other):
        shutil.copytree(runs("sft"), place)
    with pytest.raises(UserError, match="broken down"):
        sft.train(sft.Options(resume=folder, steps=8, lr=1e30))
    for place in (folder, other):
        sft.train(sft.Options(resume=place, steps=8, lr=1e-4))
    is_the_same_run(folder, other)


def test_a_new_run_at_such_a_rate_is_not_in_the_way_of_the_next(small, base, tmp_path):
    for module in (grpo, ppo):
        name = module.Trainer.command
        assert command(name, *flags(options(name, base, tmp_path / name, lr=1e30))) == 2
        assert not (tmp_path / name).exists()


def flags(asked):
    """The command line of these options."""
    for name in sorted(asked.given):
        yield f"--{name.replace('_', '-')}"
        yield getattr(asked, name)


# -- a reward that fails ---------------------------------------------------------------------------


def test_a_reward_that_always_fails_stops_the_run_with_its_checkpoints_kept(small, base, tmp_path):
    small.setitem(rewards.REWARDS, "accuracy", lambda episodes: [float("nan")] * len(episodes))
    with pytest.raises(UserError, match="failed on over half of the completions for ten steps"):
        grpo.train(options("grpo", base, tmp_path / "run", steps=20, eval_every=99))
    assert checkpoint.newest_valid(tmp_path / "run" / "checkpoints")[0] == 8
