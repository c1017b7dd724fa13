"""Asking a model: through pipes, on a random model whose words mean nothing; and what may reach a
terminal."""

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import torch

from minilrm import ask, checkpoint, machine
from minilrm.ask import Thinking, default_checkpoint
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.model import ModelConfig, Transformer
from minilrm.painter import Painter, neutralise
from minilrm.sampler import Completion
from minilrm.tasks import get_task
from minilrm.tasks.frames import guess_language
from minilrm.tokenizer import Tokenizer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.load(machine.data_folder() / "tokenizer")


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    torch.manual_seed(0)
    model = Transformer(
        ModelConfig(
            vocab_size=len(tokenizer),
            dim=32,
            n_layers=1,
            n_heads=2,
            n_kv_heads=1,
            head_dim=16,
            ffn_dim=64,
            max_seq_len=192,
        )
    )
    return checkpoint.save(
        tmp_path_factory.mktemp("model") / "tiny",
        model,
        tokenizer,
        info=checkpoint.Info(task="gsm8k-mini"),
    )


def run(folder, *argv):
    """In this process: quicker than a new one; pytest's capture stands for the pipe."""
    where = ["--checkpoint", str(folder)] if folder else []
    run_command(
        ask.main, ask.Options, [*where, "--max-new-tokens", "24", *argv], prog="ask", description=""
    )


@pytest.fixture
def says(monkeypatch):
    """Put words in the model's mouth: `says(" 3*4 = 12\\n#### 12")`."""

    def mouth(*texts):
        def generate(model, tokenizer, prompts, *, n, stream=None, **_):
            completions = [
                Completion(t, t, tokenizer.encode(t) + [tokenizer.eos_id], [], [], "eos")
                for t in texts
            ]
            for token in completions[0].token_ids if stream else ():
                stream(0, token, True)
            return [[completions[i % len(completions)] for i in range(n)]]

        monkeypatch.setattr(ask, "generate", generate)

    return mouth


# -- in a pipe -------------------------------------------------------------------------------------


def test_questions_from_a_pipe_one_a_line(folder, tmp_path):
    """The real command in a new process: two questions, one of them not even UTF-8, then an empty
    line ends it."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "minilrm.ask",
            "--checkpoint",
            str(folder),
            "--max-new-tokens",
            "16",
            "--seed",
            "1",
        ],
        input=b"Ana has 3 pens. How many?\ncaf\xe9 \xff 3?\n\nnever asked\n",
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    out = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert out.count("\n> ") + out.startswith("> ") == 2 and "never asked" not in out
    assert "\x1b" not in out and f"model: {folder}" in done.stderr.decode()


def test_one_question_and_its_answer(folder, says, capsys):
    says("\n3*4 = <<3*4=12>>12 pens\n#### 12")
    run(folder, "--question", "Ana has 3 boxes of 4 pens. How many?")
    assert capsys.readouterr().out == "3*4 = <<3*4=12>>12 pens\n12\n"
    run(folder, "--question", "Ana has 3 boxes of 4 pens. How many?", "--hide-thinking")
    assert capsys.readouterr().out == "12\n"


@pytest.mark.parametrize("text", [" 12", " #### ", " #### 7\n#### 8", ""])
def test_no_clear_answer_is_called_so(folder, says, capsys, text):
    says(text)
    run(folder, "--question", "How many?")
    assert capsys.readouterr().out.endswith("no answer\n")


def test_a_vote(folder, says, capsys):
    says(" #### 7", " #### 12", " #### 12.0", " nothing")
    run(folder, "--question", "How many?", "--samples", "4", "--hide-thinking")
    assert capsys.readouterr().out == "votes: 12 x2, 7 x1 (of 4)\n12\n"


def test_thinking_is_forced_by_the_prompt(folder, tokenizer, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        ask,
        "generate",
        lambda m, t, prompts, **_: (
            asked.append(t.decode(prompts[0])) or [[Completion("", "", [], [], [], "eos")]]
        ),
    )
    run(folder, "--question", "¿Cuántos\n son?", "--think")
    run(folder, "--question", "¿Cuántos son?", "--language", "en")
    assert asked == [
        "Pregunta: ¿Cuántos son?\nRespuesta: Pensemos paso a paso.",
        "Question: ¿Cuántos son?\nAnswer:",
    ]


def test_a_question_that_is_too_long(folder, capsys, monkeypatch):
    with pytest.raises(SystemExit) as stop:
        run(folder, "--question", "7" * 300)
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert stop.value.code == 2 and error.startswith("error: the question is too long: 3")
    lines = iter(["7" * 300, "How many?", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    run(folder)  # among others it is passed over
    out = capsys.readouterr().out
    assert "the question is too long" in out and "> How many?" in out


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--task", "gsm8k-mni"], "did you mean gsm8k-mini"),
        (["--samples", "4", "--temperature", "0"], "--temperature above 0"),
        (["--question", " "], "empty"),
        (["--checkpoint", "no-such-model", "--question", "x"], "no-such-model"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(argv, words, capsys):
    with pytest.raises(SystemExit) as stop:
        run(None, *argv)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and words in error and "\n" not in error


def test_a_question_is_answered_where_stdout_is_closed(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    run(folder, "--question", "Ana has 3 pens. How many?", "--max-new-tokens", "8")


# -- which model -----------------------------------------------------------------------------------


def test_the_default_is_the_newest_finished_grpo_run_of_the_task(folder, tmp_path):
    """Issue 15, 22. Catches: the newest run chosen though its checkpoints are gone or damaged."""

    def add(name, command, task, age, finished=True):
        run = tmp_path / name
        shutil.copytree(folder, run / "checkpoints" / "step-000001")
        (run / "config.json").write_text(json.dumps({"command": command, "task": task}))
        if finished:
            (run / "summary.json").write_text("{}")
            os.utime(run / "summary.json", (1e9 - age, 1e9 - age))

    assert default_checkpoint("gsm8k-mini", tmp_path / "none") == "gsm8k-mini-base"
    add("old", "grpo", "gsm8k-mini", age=100)
    add("new", "grpo", "gsm8k-mini", age=10)
    add("newer", "sft", "gsm8k-mini", age=5)
    add("newest", "grpo", "arithmetic", age=1)
    add("running", "grpo", "gsm8k-mini", age=0, finished=False)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "summary.json").write_text("{}")
    assert default_checkpoint("gsm8k-mini", tmp_path) == str(tmp_path / "new")
    (tmp_path / "new" / "checkpoints" / "step-000001" / "model.safetensors").write_bytes(b"")
    assert default_checkpoint("gsm8k-mini", tmp_path) == str(tmp_path / "old")
    shutil.rmtree(tmp_path / "old" / "checkpoints")
    assert default_checkpoint("gsm8k-mini", tmp_path) == "gsm8k-mini-base"


def test_language_is_seen_from_the_words():
    for text in ("¿Cuánto es 3 + 4?", "Ana tiene 3 lápices y compra 4", "Cuántas manzanas hay?"):
        assert guess_language(text) == "es"
    for text in ("Ana has 3 pens. How many?", "El Paso is 3 miles from here", "3 + 4"):
        assert guess_language(text) == "en"


def test_language_of_real_problems():
    problems = get_task("gsm8k-mini").problems("test", 300)
    wrong = [p.prompt for p in problems if guess_language(p.prompt) != p.meta["language"]]
    assert not wrong, wrong


def test_reading_the_answer():
    task = get_task("gsm8k-mini")
    assert task.read_answer("\nx\n#### 1,200") == "1,200"
    assert task.read_answer("#### 1\n#### 2") is None and task.read_answer("12") is None
    assert get_task("general").read_answer(" Hello, Ana!") == "Hello, Ana!"


# -- what reaches the terminal ---------------------------------------------------------------------

EVIL = (
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b2J",
    "back\x08space",
    "over\rwritten",
    "\x00",
    "\x7f",
    "a\u202eb",
    "a\u2028b",
    "\u200b",
    "\udc80",
)


def test_control_characters_never_get_through():
    for text in EVIL:
        shown = neutralise(text)
        assert all(c in "\n\t" or unicodedata.category(c)[0] != "C" for c in shown), repr(shown)
        # shown as a symbol, not swallowed: what a model says is not hidden
        assert len(shown) == len(text)
    assert neutralise("Año 3*4 = 12 ¿sí?\n\t€ 🙂") == "Año 3*4 = 12 ¿sí?\n\t€ 🙂"


@pytest.mark.parametrize("argv", [[], ["--samples", "2"]])
@pytest.mark.parametrize("evil", EVIL[:5])
def test_escape_sequences_of_a_model_are_neutralised(folder, says, capsys, evil, argv):
    says(f" first {evil} then\n#### {evil}")
    run(folder, "--question", f"say {evil}", *argv)
    captured = capsys.readouterr()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", captured.out + captured.err)


def test_every_byte_that_a_model_can_sample_is_safe(tokenizer, capsys):
    painter = Painter(coloured=False)
    for token in range(len(tokenizer)):
        painter.paint(tokenizer.decode([token]))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", capsys.readouterr().out)


def test_styles_only_on_a_terminal_that_wants_them(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Painter().coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert not Painter().coloured
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False, raising=False)
    assert not Painter().coloured
    Painter(coloured=True).answer("12")
    assert capsys.readouterr().out == "\x1b[1m12\x1b[0m\n"


# -- the stream ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_thinking_ends_at_the_mark_however_it_is_cut_up(size):
    text, said = "\n3 # 4 ## 5\n<<3*4=12>>12 pens\n#### 12\n#### 13", []
    thinking = Thinking(said.append)
    for start in range(0, len(text), size):
        thinking.push(text[start : start + size])
    thinking.end()
    assert "".join(said) == "3 # 4 ## 5\n<<3*4=12>>12 pens"


def test_thinking_that_never_comes_to_an_answer_is_shown_to_its_end():
    said = []
    thinking = Thinking(said.append)
    for piece in (" 3", " ##", "# "):
        thinking.push(piece)
    thinking.end()
    assert "".join(said) == "3 ###"


# -- countdown -------------------------------------------------------------------------------------


def test_a_countdown_is_read_from_its_numbers_target_first():
    task = get_task("countdown")
    problem = task.question("Make 53 with 4, 7 and 25!")
    assert (problem.meta["target"], sorted(problem.meta["numbers"])) == (53, [4, 7, 25])
    for question, words in (
        ("Make 54 with 4, 7, 25", "cannot be reached"),
        ("What is love?", "asked like this"),
        ("Make 5 with 3, 1000000", "2 to 5 whole numbers"),
    ):
        with pytest.raises(UserError, match=words):
            task.question(question)


def test_the_answer_of_a_countdown_stands_between_its_tags_and_the_thinking_ends_before_them():
    task, said = get_task("countdown"), []
    text = " 25-7=18, 18+4=22 no\nwait, 4*7=28, 28+25=53 ok\n<answer>4*7+25</answer>"
    assert task.read_answer(text) == "4*7+25" and task.read_answer(text + text) is None
    assert task.read_answer("\n<answer>20\n</answer>") == "20"
    assert task.read_answer("\n<answer>20") is None  # not closed: no answer, as in grading
    thinking = ask.Thinking(said.append, task.mark)
    for piece in (text[:-20], text[-20:-16], text[-16:]):
        thinking.push(piece)
    thinking.end()
    assert "".join(said) == text.partition("\n<answer>")[0].strip()
