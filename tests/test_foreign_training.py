"""Every command that trains or compares takes a model folder of another project, and what it saves
opens again with that project's tokenizer, here and in `transformers`."""

import json

import pytest
import torch
from miniature import LOOPS, miniature, options

from minilrm import checkpoint, compare, loop, reward_model
from minilrm.cli import run_command
from minilrm.loop import run as loop_run
from minilrm.runlog import RunLog
from minilrm.tokenizer import ForeignTokenizer
from tests import foreign


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return foreign.folder(tmp_path_factory.mktemp("foreign") / "model")


@pytest.fixture
def small():
    with miniature() as patch:
        patch.setattr(loop_run, "write_report", lambda folder: folder)
        yield patch


def last(run):
    return RunLog(run, {}).checkpoints()[-1][1]


def keeps_the_tokenizer(run, folder):
    """Assert that the last checkpoint of a run has the tokenizer that it began with."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (last(run) / name).read_bytes() == (folder / name).read_bytes()
    opened, began = checkpoint.open_model(run), checkpoint.open_model(folder)
    assert isinstance(opened.tokenizer, ForeignTokenizer) and opened.tokenizer == began.tokenizer
    assert not torch.equal(opened.model.output_weight, began.model.output_weight)


@pytest.mark.parametrize("name", ["sft", "grpo", "ppo", "distill"])
def test_a_run_that_is_stopped_and_resumed(folder, small, tmp_path, name):
    out, module = tmp_path / "run", LOOPS[name]
    few = {"steps": 2, "eval_every": 2, "save_every": 1}
    result = module.train(options(name, folder, out, **few))
    assert result.finished and json.loads((out / "summary.json").read_text())["steps"] == 2
    keeps_the_tokenizer(out, folder)
    more = module.train(module.Options(resume=out, steps=3))
    assert more.finished and last(out).name == "step-000003"


def test_what_was_trained_opens_in_transformers(folder, small, tmp_path):
    transformers = pytest.importorskip("transformers")
    out = tmp_path / "run"
    LOOPS["sft"].train(options("sft", folder, out, steps=1, eval_every=5, save_every=5))
    _, model, tokenizer, _ = checkpoint.open_model(out)
    theirs = transformers.AutoTokenizer.from_pretrained(last(out))
    text = "Tom has 12 boxes. ¿Cuántas?"
    ids = theirs(text).input_ids
    assert ids == tokenizer.encode(text) and theirs.eos_token_id == tokenizer.eos_id
    with torch.no_grad():
        logits = (
            transformers.AutoModelForCausalLM.from_pretrained(last(out), dtype=torch.float32)
            .eval()(torch.tensor([ids]))
            .logits
        )
        torch.testing.assert_close(model(torch.tensor([ids])), logits, rtol=1e-4, atol=1e-4)


def test_a_small_student_from_scratch_has_the_teachers_vocabulary(folder, small, tmp_path):
    out = tmp_path / "run"
    few = {"student": "scratch", "student_scale": "pico", "steps": 1, "eval_every": 5}
    LOOPS["distill"].train(options("distill", folder, out, **few))
    opened = checkpoint.open_model(out)
    assert opened.model.config.vocab_size == 512
    assert opened.tokenizer == checkpoint.open_model(folder).tokenizer


def test_teacher_and_student_need_the_same_tokenizer(folder, small, tmp_path, capsys):
    other = foreign.folder(tmp_path / "other", "llama")
    with pytest.raises(SystemExit) as stopped:
        argv = ["--teacher", str(folder), "--student", str(other), "--device", "cpu"]
        module = LOOPS["distill"]
        run_command(module.main, module.Options, argv, prog="distill", description="")
    assert stopped.value.code == 2 and "different tokenizers" in capsys.readouterr().err


@pytest.fixture(scope="module")
def judge(folder, tmp_path_factory):
    """The run folder of a reward model of that policy."""
    out = tmp_path_factory.mktemp("judge") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop_run, "write_report", lambda folder: folder)
        loop.train(
            reward_model.Trainer,
            reward_model.Options(
                task="countdown",
                init=str(folder),
                steps=2,
                prompts=3,
                samples=2,
                eval_n=3,
                device="cpu",
                threads=1,
                out=out,
            ),
        )
    return out


def test_a_judge_of_its_answers_is_trained_and_compared_with_others(judge, folder, tmp_path, small):
    keeps_the_tokenizer(judge, folder)
    small.setattr(compare, "PROBES", 4)
    o = compare.Options(
        checkpoint=str(folder),
        scorer=str(judge),
        methods="majority,best-of-n",
        budgets="1,2",
        n=3,
        device="cpu",
        threads=1,
        out=tmp_path / "compared",
    )
    compare.main(o)
    assert json.loads((tmp_path / "compared/compare.json").read_text())["n"] == 3


def test_a_judge_of_another_tokenizer_is_refused(judge, base, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        argv = ["--checkpoint", str(base), "--scorer", str(judge), "--n", "2", "--device", "cpu"]
        run_command(compare.main, compare.Options, argv, prog="compare", description="")
    assert stopped.value.code == 2 and "another tokenizer" in capsys.readouterr().err
