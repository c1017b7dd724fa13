"""Whatever a user can do wrong ends with one line that says what to do, and exit code 2: no
traceback, ever."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from minilrm import checkpoint, evaluate, grpo, machine, pretrain, sft
from minilrm.cli import run_command
from minilrm.runlog import RunLog

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = {
    "grpo": grpo.train,
    "sft": sft.train,
    "pretrain": pretrain.train,
    "evaluate": evaluate.main,
}
MODULES = {"grpo": grpo, "sft": sft, "pretrain": pretrain, "evaluate": evaluate}
GOOD = json.dumps({"question": "3 times 4?", "answer": "It is <<3*4=12>>12.\n#### 12"})
SMALL = ["--threads", "1", "--device", "cpu", "--steps", "1"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """In an empty working directory, so that nothing is found there or left there."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


@pytest.fixture
def refused(capsys):
    """Run a command that must fail; returns its one line."""

    def run(command, *argv):
        with pytest.raises(SystemExit) as stopped:
            run_command(
                COMMANDS[command],
                MODULES[command].Options,
                [str(word) for word in argv],
                prog=f"python -m minilrm.{command}",
                description="",
            )
        err = capsys.readouterr().err
        assert stopped.value.code == 2
        assert err.startswith("error: ") and err.count("\n") == 1 and err.endswith("\n"), err
        assert "Traceback" not in err and len(err) < 500
        return err[len("error: ") : -1]

    return run


@pytest.fixture
def questions(tmp_path):
    """A data file in GSM8K's schema, with problems of every split."""
    path = tmp_path / "mine.jsonl"
    path.write_text(
        "".join(
            json.dumps({"question": f"{i} plus 1?", "answer": f"#### {i + 1}"}) + "\n"
            for i in range(60)
        )
    )
    return path


# -- options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command, argv, words",
    [
        (
            "grpo",
            ["--task", "gsm8k-min"],
            "--task cannot be 'gsm8k-min'; did you mean gsm8k-mini? (choices: ",
        ),
        ("sft", ["--task", "countdwn"], "--task cannot be 'countdwn'"),
        ("evaluate", ["--checkpoint", "x", "--task", "arithmetics"], "did you mean arithmetic?"),
        ("grpo", ["--group-size", "1"], "--group-size must be at least 2, not 1"),
        ("grpo", ["--temperature", "0"], "--temperature must be above 0, not 0.0"),
        ("grpo", ["--lr=-1e-4"], "--lr must be above 0, not -0.0001"),
        ("grpo", ["--lr", "nan"], "--lr must be a finite number, not nan"),
        ("grpo", ["--collapse", "1.5"], "--collapse must be at most 1, not 1.5"),
        ("grpo", ["--objective", "grop"], "did you mean grpo?"),
        ("grpo", ["--stpes", "3"], "unknown option --stpes; did you mean --steps?"),
        ("sft", ["--style", "step"], "--style cannot be 'step'; did you mean steps?"),
        ("pretrain", ["--scale", "tiny"], "--scale cannot be 'tiny'"),
        ("pretrain", ["--tokens", "0"], "--tokens must be at least 1, not 0"),
        ("pretrain", ["--spanish", "50"], "--spanish must be at most 1.0, not 50.0"),
        ("evaluate", [], "--checkpoint must be given"),
    ],
)
def test_an_option_out_of_order(refused, command, argv, words):
    assert words in refused(command, *argv)


@pytest.mark.parametrize("name", ["--top-p", "--top-k", "--min-p", "--repetition-penalty", "--ban"])
def test_rollouts_know_temperature_and_nothing_else(refused, name):
    """Top-p and the like would make the sampled distribution another one than the loss believes."""
    assert refused("grpo", name, "0.9").startswith(f"unknown option {name}")
    assert refused("sft", name, "0.9").startswith(f"unknown option {name}")


def test_from_a_shell_it_is_one_line_too(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "minilrm.grpo", "--init", str(tmp_path / "no where"), *SMALL],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        timeout=300,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"error: there is no checkpoint folder {tmp_path / 'no where'}; check the path\n"
    )
    # and no run folder was begun
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cwd"]


# -- where to start --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\udcff", "x" * 300 + "/y"], ids=range(4))
@pytest.mark.parametrize(
    "command, words",
    [
        ("ask", ["--question", "2 + 2?", "--checkpoint"]),
        ("distill", ["--teacher"]),
        ("distill", ["--student"]),
        ("doctor", ["--run"]),
        ("evaluate", ["--checkpoint"]),
        ("grpo", ["--init"]),
        ("ppo", ["--init"]),
        ("reflection", ["--checkpoint"]),
        ("report", ["--run"]),
        ("sft", ["--init"]),
    ],
)
def test_a_name_that_no_file_can_have(command, words, name, capsys, monkeypatch):
    """Of a checkpoint or a run, in every command. Catches: a traceback of the operating system."""
    monkeypatch.setattr(sys, "argv", [command, *words, name])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module(f"minilrm.{command}", run_name="__main__")
    err = capsys.readouterr().err
    assert stopped.value.code == 2 and err.startswith("error: ") and err.count("\n") == 1
    assert len(err) < 500 and "Traceback" not in err


@pytest.mark.parametrize("command", ["grpo", "sft"])
def test_a_missing_starting_point(refused, tmp_path, command):
    assert f"no checkpoint folder {tmp_path / 'a' / 'b'}" in refused(
        command, "--init", tmp_path / "a" / "b", *SMALL
    )
    line = refused(command, "--init", "nobodys-model", *SMALL)
    assert "no checkpoint 'nobodys-model' is shipped (there are: " in line
    assert refused("evaluate", "--checkpoint", "nobodys-model").startswith(
        "no checkpoint 'nobodys-model'"
    )
    (tmp_path / "empty").mkdir()
    assert "has no config.json, so it is no checkpoint" in refused(
        command, "--init", tmp_path / "empty", *SMALL
    )
    assert not list((tmp_path / "cwd").iterdir())


def test_a_task_without_a_base_says_how_to_make_one(refused, questions):
    """That the way works is for tests/test_gsm8k_stages.py, which runs it."""
    for task in ([], ["--task", "gsm8k"]):  # a file of problems is of GSM8K's kind
        line = refused("grpo", *task, "--data", questions, *SMALL)
        assert line.startswith("no base is shipped for gsm8k")
        assert f"python -m minilrm.sft --task gsm8k --data {questions} --out runs/my-sft" in line
        assert line.endswith("--init runs/my-sft")


def test_a_base_that_is_not_there_says_which_command_makes_it(refused, tmp_path, monkeypatch):
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path / "data"))
    assert "MINILRM_DATA names" in refused("grpo", *SMALL)
    (tmp_path / "data").mkdir()
    line = refused("grpo", *SMALL)
    assert line.endswith(
        "make it with: python -m minilrm.pretrain --export data/checkpoints/gsm8k-mini-base"
    )
    assert refused("sft", *SMALL) == line


@pytest.mark.parametrize("command", ["grpo", "sft", "evaluate"])
def test_a_corrupt_checkpoint(refused, base, tmp_path, command):
    broken = tmp_path / "broken"
    shutil.copytree(base, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    argv = ["--checkpoint", broken] if command == "evaluate" else ["--init", broken, *SMALL]
    line = refused(command, *argv)
    assert str(weights) in line and "restore it" in line
    (broken / "minilrm.json").unlink()  # as in a folder of another project, where no sha256 tells
    line = refused(command, *argv)
    assert str(weights) in line and "corrupt or cut short" in line


@pytest.mark.parametrize("command", ["grpo", "sft", "evaluate"])
def test_a_checkpoint_with_somebody_elses_tokenizer(refused, base, tmp_path, command):
    model, _, _ = checkpoint.load(base)
    folder = checkpoint.save(
        tmp_path / "foreign", model, None, info=checkpoint.Info(task="gsm8k-mini")
    )
    argv = ["--checkpoint", folder] if command == "evaluate" else ["--init", folder, *SMALL]
    assert "has no tokenizer that minilrm wrote" in refused(command, *argv)


# -- data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["grpo", "sft"])
def test_a_bad_line_is_named(refused, base, tmp_path, command):
    path = tmp_path / "mine.jsonl"
    for bad, words in (
        ('{"question": "Who', "not JSON; is the line cut short?"),
        ("[1]", "not an object"),
        ('{"question": "Who?", "answer": "Ana"}', 'no line "#### number"'),
    ):
        path.write_text(f"{GOOD}\n{GOOD}\n{bad}\n{GOOD}\n")
        line = refused(command, "--task", "gsm8k", "--data", path, "--init", base, *SMALL)
        assert line.startswith(f"{path}, line 3: ") and words in line


def test_data_that_is_empty_missing_or_for_another_task(refused, base, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text("\n \n")
    for command in ("grpo", "sft"):
        gsm8k = (command, "--init", base, *SMALL, "--task", "gsm8k")
        assert f"{path} holds no problems" in refused(*gsm8k, "--data", path)
        assert "cannot read" in refused(*gsm8k, "--data", tmp_path / "nowhere.jsonl")
        assert "--data FILE" in refused(*gsm8k)
        mini = (command, "--init", base, *SMALL, "--task", "gsm8k-mini")
        assert "'gsm8k-mini' has no option 'data'" in refused(*mini, "--data", path)


def test_data_without_a_problem_of_a_split_that_is_needed(refused, base, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text(GOOD + "\n")
    for command in ("grpo", "sft"):
        line = refused(
            command,
            "--task",
            "gsm8k",
            "--data",
            path,
            "--init",
            base,
            *SMALL,
            "--out",
            tmp_path / command,
        )
        assert f"{path} has no problem in the split" in line


# -- run folders -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["grpo", "sft", "pretrain"])
def test_a_run_folder_that_is_taken(refused, base, tmp_path, command):
    """Catches: a second run that writes into the files of the first."""
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "metrics.jsonl").write_text("mine\n")
    argv = ["--scale", "pico"] if command == "pretrain" else ["--init", base, *SMALL]
    assert (
        f"{taken} is not empty; choose another --out, or go on with that run by --resume"
        in refused(command, *argv, "--out", taken)
    )
    assert (taken / "metrics.jsonl").read_text() == "mine\n" and len(list(taken.iterdir())) == 1
    assert "is a file" in refused(command, *argv, "--out", taken / "metrics.jsonl")


@pytest.mark.parametrize("command", ["grpo", "sft", "pretrain"])
def test_nothing_to_resume(refused, base, tmp_path, command):
    assert f"there is no run folder {tmp_path / 'a'}" in refused(
        command, "--resume", tmp_path / "a"
    )
    (tmp_path / "empty").mkdir()
    assert "not a run folder: it has no config.json" in refused(
        command, "--resume", tmp_path / "empty"
    )
    run = tmp_path / "run"
    RunLog.create("evaluate", "gsm8k-mini", {}, run)
    assert f"{run} is a run of evaluate, not of {command}" in refused(command, "--resume", run)


def test_a_run_that_never_came_to_a_checkpoint(refused, base, tmp_path):
    run = tmp_path / "run"
    RunLog.create("grpo", "gsm8k-mini", {"init": str(base), "threads": 1}, run)
    line = refused("grpo", "--resume", run)
    assert "there is no whole checkpoint in" in line and "without --resume" in line


def test_an_export_that_is_there_already_is_refused_before_the_work(refused, base):
    assert f"--export {base} is there already" in refused(
        "pretrain", "--scale", "pico", "--export", base
    )


# -- prompts and devices ---------------------------------------------------------------------------


def test_prompts_that_leave_no_room(refused, base, questions, tmp_path):
    for task, more in (("gsm8k-mini", []), ("gsm8k", ["--data", questions])):
        out = tmp_path / task
        line = refused(
            "grpo", "--init", base, *SMALL, "--max-new-tokens", 5000, "--out", out, *more
        )
        assert f"hardly any problem of {task} fits into a context of 320 tokens with" in line
        assert "--max-new-tokens 5000" in line and not out.exists()
    assert "no prompt leaves room" in refused(
        "evaluate", "--checkpoint", base, "--max-new-tokens", 5000, "--n", 3
    )


def test_sft_problems_that_do_not_fit(refused, base, tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_text(
        "".join(
            json.dumps(
                {"question": f"{i} plus 1? " + "Think well. " * 300, "answer": f"#### {i + 1}"}
            )
            + "\n"
            for i in range(60)
        )
    )
    line = refused("sft", "--task", "gsm8k", "--data", path, "--init", base, *SMALL)
    assert "no prompt leaves room" in line


def test_a_device_that_is_not_there(refused, base, monkeypatch):
    monkeypatch.setattr(machine.torch.cuda, "is_available", lambda: False)
    for command in ("grpo", "sft"):
        assert "no CUDA GPU can be used here" in refused(
            command, "--init", base, "--device", "cuda"
        )
    assert "no CUDA GPU can be used here" in refused(
        "evaluate", "--checkpoint", base, "--device", "cuda"
    )
