"""Problems of a user's own, and the real GSM8K, through the commands: sft, grpo, evaluate, and what
each says of the problems it leaves out."""

import json
import re
import shlex
import shutil
from dataclasses import replace

import pytest
import torch
from conftest import ROOT, TINY

from minilrm import checkpoint, evaluate, grpo, machine, sft
from minilrm.cli import run_command
from minilrm.evaluate.command import choose_problems
from minilrm.model import Transformer
from minilrm.runlog import RunLog
from minilrm.tasks import get_task

COMMANDS = {"sft": sft, "grpo": grpo, "evaluate": evaluate}
REAL = ROOT.parent / "shared" / "gsm8k"
FEW = {
    "sft": "--steps 2 --batch 2 --eval-n 2 --threads 1".split(),
    "grpo": "--steps 2 --prompts 2 --group-size 2 --max-new-tokens 16 --eval-n 2 --eval-quick 2 "
    "--threads 1".split(),
    "evaluate": "--samples 1 --quick --max-new-tokens 16 --threads 1".split(),
}


def command(name, *argv):
    """Run a command as from a shell; its exit code."""
    module = COMMANDS[name]
    try:
        run_command(module.main, module.Options, [*map(str, argv)], prog=name, description="")
    except SystemExit as end:
        return end.code
    return 0


@pytest.fixture
def roomy(tokenizer, tmp_path):
    """The folder of a tiny model that can read 1,024 tokens."""
    torch.manual_seed(0)
    model = Transformer(replace(TINY, max_seq_len=1024))
    return checkpoint.save(tmp_path / "roomy", model, tokenizer)


def write_problems(path, solutions):
    """A file in GSM8K's schema, a problem for each worked solution."""
    path.write_text(
        "".join(
            json.dumps({"question": f"{i} plus 1?", "answer": f"{worked}\n#### {i + 1}"}) + "\n"
            for i, worked in enumerate(solutions)
        )
    )
    return path


# -- a file of one's own ---------------------------------------------------------------------------


def test_the_way_that_is_named_where_no_base_is_shipped_works(base, tmp_path, monkeypatch, capsys):
    """Issue 14, 1.7. Catches: advice that is refused in its turn. The recommended line is run as it
    stands; only its sizes are made smaller."""
    shutil.copytree(machine.data_folder() / "tokenizer", tmp_path / "data" / "tokenizer")
    shutil.copytree(base, tmp_path / "data" / "checkpoints" / "gsm8k-mini-base")
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    file = write_problems(tmp_path / "my own.jsonl", [f"It is {i} + 1." for i in range(60)])
    wanted = ["--data", file, *FEW["grpo"]]
    assert command("grpo", *wanted) == 2
    line = capsys.readouterr().err
    assert line.startswith("error: no base is shipped for gsm8k") and line.count("\n") == 1
    first, then = re.search(r"python -m minilrm\.(sft .+?); .*?(--init \S+)$", line).groups()
    assert command(*shlex.split(first), *FEW["sft"]) == 0
    assert command("grpo", *wanted, *shlex.split(then)) == 0
    finished = [p for p in (tmp_path / "runs").glob("*/summary.json")]
    assert sorted(RunLog.open(p.parent).config["command"] for p in finished) == ["grpo", "sft"]
    assert {RunLog.open(p.parent).config["task"] for p in finished} == {"gsm8k"}


def test_sft_says_how_many_solutions_were_too_long(base, tmp_path, capsys):
    """Issue 15, 5. On the screen, in the summary and on the page. Catches: 90 of 100 dropped
    without a word."""
    worked = [f"It is {i} + 1. " + "Think again. " * (60 if i % 4 else 0) for i in range(200)]
    file = write_problems(tmp_path / "long.jsonl", worked)
    out = tmp_path / "run"
    assert command("sft", "--init", base, "--data", file, "--out", out, *FEW["sft"]) == 0
    summary = json.loads((out / "summary.json").read_text())
    dropped, drawn = summary["examples_dropped"], summary["examples_drawn"]
    assert drawn - dropped == 4 and 0 < dropped  # two steps of two
    said = f"{dropped} of {drawn} solved problems were too long for the "
    assert f"{said}context of 320 tokens and were left out" in capsys.readouterr().out
    assert f"{said}model's context and were left out" in (out / "report.html").read_text()
    file = write_problems(tmp_path / "short.jsonl", worked[::4])
    assert command("sft", "--init", base, "--data", file, "--out", tmp_path / "2", *FEW["sft"]) == 0
    assert "too long" not in capsys.readouterr().out + (tmp_path / "2" / "report.html").read_text()


def test_all_means_the_whole_file_unless_a_number_is_given(base, tmp_path, capsys):
    """Issue 15, 3: GSM8K's test.jsonl has 1,319 problems. Catches: the default of --n taken for
    what was asked for."""
    file = write_problems(tmp_path / "test.jsonl", [""] * 1319)
    task = get_task("gsm8k", data=file, split_all=True)

    def asked(**given):
        found = evaluate.Options(checkpoint=str(base), split="all", data=file, **given)
        return len(choose_problems(task, found))

    assert asked() == 1319 and asked(n=1000) == 1000 and asked(n=7) == 7
    argv = ["--checkpoint", base, "--data", file, "--split", "all", *FEW["evaluate"]]
    assert command("evaluate", *argv, "--max-new-tokens", 1) == 0
    said = capsys.readouterr().out
    assert "gsm8k, all split: 1319 problems" in said and re.search(r"\n  n +1319\n", said)


# -- the real one ----------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL.is_dir(), reason="needs GSM8K beside the clone")
def test_real_gsm8k_goes_through_sft_grpo_and_evaluate(roomy, tmp_path, capsys):
    tuned, trained, out = tmp_path / "sft", tmp_path / "grpo", tmp_path / "result.json"
    data = ["--data", REAL / "train.jsonl"]
    assert command("sft", "--init", roomy, *data, "--out", tuned, *FEW["sft"]) == 0
    assert command("grpo", "--init", tuned, *data, "--out", trained, *FEW["grpo"]) == 0
    for folder in (tuned, trained):
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["task"] == "gsm8k" and summary["steps"] == 2
        assert summary["tokens_trained" if folder == tuned else "tokens_generated"] > 0
        assert {s["correct"] for s in RunLog.open(folder).samples()} <= {True, False}
    argv = ["--checkpoint", trained, "--data", REAL / "test.jsonl", "--split", "all", "--n", 20]
    assert command("evaluate", *argv, *FEW["evaluate"], "--out", out) == 0
    result = json.loads(out.read_text())
    assert (result["task"], result["split"], result["n"]) == ("gsm8k", "all", 20)
    assert sum(result["reasons"].values()) == 20 and len(result["outcomes"]["sampled"]) == 20
    assert "gsm8k, all split: 20 problems" in capsys.readouterr().out
