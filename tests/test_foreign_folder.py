"""A model folder of another project, tokenizer included, opens like one of ours: it is measured,
asked and saved again. What cannot be used is one line that says why, exit code 2."""

import json
import shutil
import subprocess
import sys

import pytest
import safetensors.torch
import torch

from minilrm import ask, checkpoint, evaluate
from minilrm.cli import run_command
from minilrm.sampler import Workers, generate
from minilrm.tokenizer import ForeignTokenizer
from tests import foreign
from tests.checkpoints import refused, rewrite, same_weights

TEXT = "Question: Tom has 3 boxes of 4 pens.\nAnswer:"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return foreign.folder(tmp_path_factory.mktemp("foreign") / "model", "smollm")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_it_opens_with_its_tokenizer_and_its_end_of_text(folder):
    _, model, tokenizer, info = checkpoint.open_model(folder)
    assert isinstance(tokenizer, ForeignTokenizer) and info == checkpoint.Info()
    assert tokenizer.decode([tokenizer.eos_id]) == "<|endoftext|>"
    assert len(tokenizer) == model.config.vocab_size == 512
    library = foreign.tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.encode(TEXT) == library.encode(TEXT).ids


def test_a_checkpoint_keeps_its_files_as_they_are(folder, tmp_path):
    _, model, tokenizer, _ = checkpoint.open_model(folder)
    saved = checkpoint.save(tmp_path / "saved", model, tokenizer)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (saved / name).read_bytes() == (folder / name).read_bytes()
    again = checkpoint.open_model(saved)
    assert again.tokenizer == tokenizer and same_weights(model, again.model)
    (saved / "tokenizer.json").write_text("{}")
    refused(lambda: checkpoint.open_model(saved), "tokenizer.json", "not what was saved")


def test_each_of_several_ends_ends_a_text(tmp_path):
    two = foreign.folder(tmp_path / "two", ends=("<|im_end|>", "<|endoftext|>"))
    assert json.loads((two / "generation_config.json").read_text())["eos_token_id"] == [422, 420]
    _, model, tokenizer, _ = checkpoint.open_model(two)
    assert tokenizer.end_ids == (422, 420)
    with torch.no_grad():  # now the other one is as likely
        weight = model.embed_tokens.weight
        weight[420] = weight[422]
    answers = generate(model, tokenizer, [TEXT], n=60, max_new_tokens=40, seed=0)[0]
    ended = [a for a in answers if a.finish_reason == "eos"]
    assert {a.token_ids[-1] for a in ended} == {420, 422}
    assert all(not {420, 422} & set(a.token_ids[:-1]) for a in answers)
    assert all(a.text == tokenizer.decode(a.token_ids[:-1]) for a in ended)


def test_no_model_of_another_project_is_sent_to_other_processes(folder):
    _, model, tokenizer, _ = checkpoint.open_model(folder)
    workers = Workers(1)
    how = {"n": 70, "max_new_tokens": 2, "seed": 0}
    here = generate(model, tokenizer, [TEXT], workers=None, **how)
    assert generate(model, tokenizer, [TEXT], workers=workers, **how) == here
    assert workers.processes is None


def test_it_is_measured(folder, tmp_path, capsys):
    out = tmp_path / "figures.json"
    evaluate.main(
        evaluate.Options(
            checkpoint=str(folder),
            task="gsm8k-mini",
            split="validation",
            n=4,
            samples=2,
            device="cpu",
            threads=1,
            out=out,
        )
    )
    assert json.loads(out.read_text())["n"] == 4 and "accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("more", [{}, {"samples": 3}, {"method": "majority", "budget": 60}])
def test_it_is_asked(folder, capsys, more):
    question = "Tom has 3 boxes of 4 <|im_end|> pens. How many pens does he have?"
    o = ask.Options(
        checkpoint=str(folder),
        question=question,
        max_new_tokens=12,
        device="cpu",
        threads=1,
        **more,
    )
    ask.main(o)
    assert capsys.readouterr().out.strip()


# -- what cannot be used ---------------------------------------------------------------------------


@pytest.fixture
def says(capsys):
    """The line with which `ask` refuses a folder."""

    def line(folder):
        with pytest.raises(SystemExit) as stopped:
            argv = ["--checkpoint", str(folder), "--question", "2 + 2?"]
            run_command(ask.main, ask.Options, argv, prog="ask", description="")
        said = capsys.readouterr().err
        assert stopped.value.code == 2
        assert said.startswith("error: ") and said.count("\n") == 1 and "Traceback" not in said
        return said

    return line


def test_a_tokenizer_that_is_no_byte_level_bpe(copy, says):
    (copy / "tokenizer.json").write_text('{"model": {"type": "WordPiece", "vocab": {"a": 0}}}')
    assert checkpoint.load(copy)[1] is None  # the model itself can be loaded
    line = says(copy)
    assert "WordPiece, not BPE" in line and "choose another model" in line


def test_a_vocabulary_that_does_not_fit_the_embedding(copy, says):
    tensors = safetensors.torch.load_file(copy / "model.safetensors")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:400].clone()
    safetensors.torch.save_file(tensors, copy / "model.safetensors")
    rewrite(copy / "config.json", vocab_size=400)
    line = says(copy)
    assert "426 tokens" in line and "only 400" in line


def test_no_word_about_the_end_of_a_text(copy, says):
    (copy / "generation_config.json").unlink()
    assert says_end(copy) == 420  # config.json says it as well
    rewrite(copy / "config.json", eos_token_id=None)
    assert "eos_token_id" in says(copy)
    for wrong in ("x", [1.5], [], -1, True):
        rewrite(copy / "config.json", eos_token_id=wrong)
        assert "eos_token_id" in says(copy)
    rewrite(copy / "config.json", eos_token_id=511)
    assert "511 is not in the vocabulary" in says(copy)


def says_end(folder):
    return checkpoint.open_model(folder).tokenizer.eos_id


def test_the_library_is_not_installed(copy, says, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    line = says(copy)
    assert "needs the package tokenizers" in line and '".[real]"' in line


def test_our_own_models_need_no_library(base):
    code = (
        "import sys; sys.modules['tokenizers'] = None\n"
        "from minilrm.checkpoint import open_model\n"
        f"open_model({str(base)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
