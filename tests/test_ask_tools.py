"""`ask --tools`: a model that calls, in miniature. Its words are forced; all else is the real way:
sampler, hook, tools, painter."""

import doctest
import sqlite3

import pytest

from minilrm import ask, painter
from minilrm.checkpoint import load
from minilrm.cli import run_command
from minilrm.errors import UserError
from minilrm.painter import CALL, DIM, RESET, RESULT, CallPainter, Painter
from minilrm.sampler import Force, generate
from minilrm.tasks import get_task
from minilrm.tools import named, named_tools, run_code

SUM = " So <tool:calculator>12*7</tool> pens.\n#### 84"


def run(base, *argv):
    """The command in this process."""
    argv = ["--checkpoint", str(base), "--max-new-tokens", "90", "--question", "How many?", *argv]
    run_command(ask.main, ask.Options, argv, prog="ask", description="")


@pytest.fixture
def forced(monkeypatch, tokenizer):
    """`forced(text, ...)`: what the rows sample, token by token."""

    def mouth(*texts):
        scripts = [[*tokenizer.encode(t), tokenizer.eos_id] for t in texts]

        def speak(*args, **options):
            at = [0] * len(scripts)

            def allowed(row, ids):  # asked only where something is sampled
                at[row] += 1
                return Force([scripts[row][at[row] - 1]])

            return generate(*args, **options, allowed=allowed)

        monkeypatch.setattr(ask, "generate", speak)

    return mouth


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE goods (name TEXT, price INTEGER)")
        connection.execute("INSERT INTO goods VALUES (?, 12)", ("pen\x1b[2J#### 9",))
    connection.close()
    return path


def test_a_call_and_its_result_stream_with_the_thinking(base, forced, capsys):
    forced(SUM)
    run(base, "--tools", "calculator")
    out = capsys.readouterr().out
    assert out == "So <tool:calculator>12*7</tool><result>84</result> pens.\n84\n"
    run(base, "--tools", "calculator", "--hide-thinking")
    assert capsys.readouterr().out == "84\n"
    run(base)  # without the option a call is but text
    assert capsys.readouterr().out == "So <tool:calculator>12*7</tool> pens.\n84\n"


def test_tags_and_results_are_drawn_apart(base, tokenizer, forced, capsys):
    forced(SUM)
    task = get_task("gsm8k-mini")
    tools = named_tools("calculator", None)
    options = ask.Options(tools="calculator", max_new_tokens=90)
    asker = ask.Asker(options, load(base)[0], tokenizer, task, Painter(coloured=True), tools)
    asker.ask("How many?", 0)
    out = capsys.readouterr().out
    for piece in (
        f"{CALL}<tool:calculator>{RESET}",
        f"{CALL}</tool>{RESET}{CALL}<result>{RESET}{RESULT}84{RESET}{CALL}</result>{RESET}",
        f"{DIM}So{RESET}",
    ):
        assert piece in out, out


def test_a_result_that_the_model_wrote_itself_is_told(base, forced, capsys):
    forced(" <result>84</result>\n#### 84")
    run(base, "--tools", "calculator")
    assert "which no tool said" in capsys.readouterr().out
    forced(SUM)
    run(base, "--tools", "calculator")
    assert "which no tool said" not in capsys.readouterr().out


def test_what_a_tool_says_is_no_answer_and_no_control_character(base, forced, shop, capsys):
    forced(" <tool:database>SELECT name FROM goods</tool> ok\n#### 5")
    run(base, "--tools", "database", "--database", str(shop))
    out = capsys.readouterr().out
    assert "\x1b" not in out and "pen␛[2J#### 9</result> ok\n5\n" in out


def test_errors_are_shown_like_results(base, forced, capsys):
    forced(" <tool:calculator>1/0</tool><tool:oracle>x</tool>\n#### 5")
    run(base, "--tools", "calculator")
    out = capsys.readouterr().out
    assert "<result>error: division by zero</result>" in out
    assert "<result>error: no tool is called oracle; there are: calculator</result>" in out


def test_a_program_goes_to_the_sandbox(base, forced, monkeypatch, capsys):
    assert named_tools("code", None) == {"code": run_code}
    monkeypatch.setattr(named, "run_code", lambda code: f"ran {code}")
    forced(" <tool:code>print(6*7)</tool>\n#### 42")
    run(base, "--tools", "code")
    assert "<tool:code>print(6*7)</tool><result>ran print(6*7)</result>" in capsys.readouterr().out


def test_each_answer_of_a_vote_has_its_own_calls(base, forced, capsys):
    forced(SUM, " #### 7", " <tool:calculator>1+1</tool>\n#### 84")
    run(base, "--tools", "calculator", "--samples", "3")
    out = capsys.readouterr().out
    assert "[1] So <tool:calculator>12*7</tool><result>84</result> pens.\n#### 84\n" in out
    assert "[2] #### 7\n" in out and "<result>2</result>" in out
    assert out.endswith("votes: 84 x2, 7 x1 (of 3)\n84\n")


def test_where_all_of_the_text_is_the_answer_the_calls_stand_before_it(base, forced, capsys):
    forced(" <tool:calculator>12*7</tool>It is 84.")
    run(base, "--tools", "calculator", "--task", "general")
    out = capsys.readouterr().out
    assert out == "calculator: 12*7 -> 84\n<tool:calculator>12*7</tool>It is 84.\n"


def test_a_task_whose_tags_are_special_tokens_gets_them(base, tokenizer, forced, monkeypatch):
    monkeypatch.setattr(get_task("gsm8k-mini").__class__, "special_tokens", True)
    seen, speak = [], ask.Asker.sample
    monkeypatch.setattr(
        ask.Asker, "sample", lambda *a, **k: seen.append(found := speak(*a, **k)) or found
    )
    forced(SUM)
    run(base, "--tools", "calculator")
    [[completion]] = seen
    inserted = [i for i, m in zip(completion.token_ids, completion.mask, strict=True) if not m]
    tags = [tokenizer.special_ids[tag] for tag in ("<result>", "</result>")]
    assert [inserted[0], inserted[-1]] == tags and len(inserted) == 4


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--tools", "calculater"], "did you mean calculator"),
        (["--tools", ""], "no tool is called ''"),
        (["--tools", "database"], "name it with --database"),
        (["--database", "x.sqlite"], "--tools database"),
        (["--tools", "database", "--database", "no-such-file"], "there is no such database"),
        (["--tools", "database", "--database", __file__], "is no SQLite database"),
        (["--tools", "calculator", "--method", "beam"], "calls no tools"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(base, argv, words, capsys):
    from minilrm.inference import METHODS

    argv = [next(iter(METHODS)) if word == "beam" else word for word in argv]
    with pytest.raises(SystemExit) as stop:
        run(base, *argv)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and words in error and "\n" not in error


def test_names_with_blanks_and_twice():
    assert list(named_tools(" code, calculator,code", None)) == ["code", "calculator"]
    with pytest.raises(UserError):
        named_tools("calculator,", None)


# -- the painter of calls --------------------------------------------------------------------------


def pieces_of(text, size):
    painted = []
    apart = CallPainter(lambda piece, style: painted.append((piece, style)))
    for start in range(0, len(text), size):
        apart.said(text[start : start + size])
    apart.end()
    return painted


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_calls_are_found_however_they_are_cut_up(size):
    text = "a < b <tool:x>1 < 2</to</tool> c <tool:calculator>3</tool><tool: <result>9</result> <to"
    painted = pieces_of(text, size)
    assert "".join(piece for piece, _ in painted) == text
    called = "".join(piece for piece, style in painted if style == CALL)
    assert called == "<tool:x>1 < 2</to</tool><tool:calculator>3</tool>"
    assert not any(style == RESULT for _, style in painted)  # nothing was inserted


def test_nothing_is_held_back_for_long():
    """Catches: a stream that waits for a tag which never comes."""
    apart = CallPainter(lambda piece, style: None)
    for piece in ("<", "<tool", "<tool:" + "a" * 40, "<<<<", "</tool", "<" * 99):
        apart.said(piece)
        assert len(apart.held) <= 40


def test_the_examples_in_the_text_are_true():
    assert doctest.testmod(painter).failed == 0
    assert doctest.testmod(named).failed == 0
