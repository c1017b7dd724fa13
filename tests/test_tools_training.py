"""Training and evaluation with tools: the options, what is logged, what is refused."""

import random

import pytest

from minilrm import evaluate, grpo, ppo, runlog, sft
from minilrm.errors import UserError
from minilrm.files import read_json, read_jsonl
from minilrm.runlog import RunLog
from minilrm.sft import solved_example
from minilrm.tasks import get_task
from minilrm.tools import Call, ToolCalls

FEW = {"threads": 1, "device": "cpu", "eval_n": 3, "steps": 1}
SMALL = {**FEW, "prompts": 2, "group_size": 2, "max_new_tokens": 12}


@pytest.fixture
def calling(monkeypatch):
    """Every answer has called the database once, in vain."""
    call = Call("database", "SELECT", "error: incomplete input", True, 0, 0)
    monkeypatch.setattr(ToolCalls, "made", lambda self, row: [call])


@pytest.mark.parametrize("module", [grpo, ppo])
def test_calls_are_counted_and_charged(module, base, tmp_path, calling):
    out = tmp_path / "run"
    options = module.Options(
        task="prices",
        init=str(base),
        tools="database, calculator",
        call_price=0.25,
        out=out,
        **SMALL,
    )
    assert module.train(options).finished
    log = RunLog.open(out)
    [step] = log.metrics("train")
    assert (step["tools/calls"], step["tools/call_rate"], step["tools/errors"]) == (1.0, 1.0, 1.0)
    assert step["reward"] == step["accuracy"] - 0.25
    assert all(e["tools/calls"] == 1.0 for e in log.metrics("eval"))
    samples = read_jsonl(out / "samples.jsonl")
    assert samples[0]["calls"] == [["database", "SELECT", "error: incomplete input"]]


def test_evaluation_counts_calls(base, tmp_path, calling, capsys):
    out = tmp_path / "found.json"
    options = evaluate.Options(
        checkpoint=str(base), task="prices", tools="database", n=25, samples=1, quick=True, out=out,
        max_new_tokens=4, threads=1, device="cpu",
    )  # fmt: skip
    evaluate.main(options)
    assert read_json(out)["tools"]["calls"] == 1.0
    assert "calls per answer" in capsys.readouterr().out


def test_fine_tuning_on_calls_leaves_their_results_out(base, tmp_path, tokenizer):
    task = get_task("long-sums")
    example = solved_example(task, tokenizer, random.Random(0), "tool")
    hidden = [i for i, m in zip(example.completion_ids, example.mask, strict=True) if not m]
    assert tokenizer.decode(hidden).startswith("<result>") and example.length > len(hidden)
    options = sft.Options(
        task="long-sums", init=str(base), style="tool", tools="calculator", batch=2,
        out=tmp_path / "sft", **FEW,
    )  # fmt: skip
    assert sft.train(options).finished


@pytest.mark.parametrize(
    "module, chosen, said",
    [
        (grpo, {"tools": "calculater"}, "did you mean calculator"),
        (grpo, {"call_price": 0.1}, "no --tools to call"),
        (grpo, {"task": "long-sums", "tools": "database"}, "long-sums brings none"),
        (grpo, {"tools": "calculator", "database": "x"}, "--tools database"),
        (sft, {"task": "gsm8k-mini", "style": "tool"}, "no solutions in the style tool"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_folder_is_made(
    base, tmp_path, module, chosen, said
):
    options = module.Options(
        **{"task": "prices", "init": str(base), "out": tmp_path / "run", **chosen}
    )
    with pytest.raises(UserError, match=said):
        module.train(options)
    assert not (tmp_path / "run").exists()


def test_a_tasks_colon_is_in_no_folders_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # Windows has no file of such a name
    folder = runlog.RunLog.create("sft", "gym:leg_counting", {}).folder
    assert folder.is_dir() and ":" not in folder.name and "leg_counting" in folder.name
