"""Options, their parsing and checks, and how a command ends."""

import dataclasses
import errno
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from minilrm import __main__ as listing
from minilrm import distill, grpo, ppo, pretrain, sft
from minilrm.cli import parse, run_command
from minilrm.errors import UserError
from minilrm.options import (
    CommandOptions,
    check,
    fill,
    option,
    options_table,
    resumed,
    to_dict,
    with_recipe,
)

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Options(CommandOptions):
    task: str = option(
        "countdown", "which problems", choices=("countdown", "gsm8k-mini", "none"), group="what"
    )
    steps: int = option(100, "optimizer steps, 100% of them", minimum=1, maximum=10_000)
    lr: float | None = option(None, "learning rate", exclusive_minimum=0.0)
    temperature: float = option(1.0, "of sampling", minimum=0)
    weights: dict[str, float] = option({"right": 1.0}, "what counts, and how much", minimum=0)
    out: Path | None = option(None, "folder of the run")
    mark_spoiled: bool = option(False, "mark them")
    quick: bool | None = option(None, "be quick")
    top_k: list[int] = option([1, 4], "which k", minimum=1)
    tags: tuple[str, ...] = option((), "words")
    plain: int = 7
    hidden: int = field(default=3, init=False)


def read(*argv):
    return parse(Options, argv, prog="test", description="A test.")


def failure(capsys, *argv, options_class=Options):
    """The one line that a bad command line gives."""
    with pytest.raises(SystemExit) as stopped:
        parse(options_class, argv, prog="test", description="A test.")
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err[len("error: ") : -1]


# -- parsing ---------------------------------------------------------------------------------------


def test_nothing_given_is_the_defaults():
    assert read() == Options()


BOTH_WAYS = pytest.mark.parametrize(
    "ask",
    [
        lambda **given: Options(**given),
        lambda **given: read(*(w for k, v in given.items() for w in (f"--{k}", str(v)))),
    ],
    ids=["in Python", "on the command line"],
)


@BOTH_WAYS
def test_a_task_s_recipe_fills_in_what_was_not_asked_for(ask):
    """Catches: `--task countdown` and `Options(task="countdown")` that train differently; a recipe
    that overrides somebody who asked for the default value."""
    recipe = {"steps": 200, "lr": 0.5, "no_option": 1}
    cooked = with_recipe(ask(task="countdown"), recipe)
    assert (cooked.steps, cooked.lr) == (200, 0.5)
    assert with_recipe(ask(task="countdown", steps=100), recipe).steps == 100
    assert with_recipe(ask(), {}) == Options()


@BOTH_WAYS
def test_resuming_takes_what_was_asked_for_even_if_it_is_the_default(ask):
    """Catches: `--resume RUN --steps 100` that goes on with the run's 50 steps, as 100 is what the
    option has anyway."""
    saved = {"task": "gsm8k-mini", "steps": 50, "lr": 0.5}
    named = resumed(ask(task="countdown", steps=100), saved)
    assert (named.task, named.steps, named.lr) == ("countdown", 100, 0.5)
    assert resumed(ask(), saved).steps == 50


@pytest.mark.parametrize(
    ("saved", "words"),
    [
        ({"steps": "50"}, "--steps must be a whole number, not '50'"),
        ({"steps": 0}, "--steps must be at least 1, not 0"),
        ({"mark_spoiled": "false"}, "--mark-spoiled must be true or false, not 'false'"),
        ({"lr": [1]}, "--lr must be a number, not [1]"),
        ({"top_k": 3}, "--top-k must be a list, not 3"),
        ({"out": 7}, "--out must be a path, not 7"),
        ({"task": None}, "--task must be a text, not None"),
        ({"weights": {"right": "1"}}, "--weights right: must be a number, not '1'"),
    ],
)
def test_the_options_saved_with_a_run_are_checked_like_any_others(saved, words):
    """Catches: an edited config.json that ends in a traceback, and a "false" that becomes True."""
    with pytest.raises(UserError) as raised:
        resumed(Options(), saved)
    assert str(raised.value) == f"the options saved with the run are out of order: {words}"


def test_a_copy_remembers_what_was_given():
    options = Options(steps=100).replace(lr=0.5)
    assert options.lr == 0.5 and options.given == {"steps"}
    assert Options("countdown", 100).given == {"task", "steps"} and Options().given == set()


def test_every_type_is_read():
    options = read(
        "--task",
        "gsm8k-mini",
        "--steps",
        "5",
        "--lr=1e-3",
        "--out",
        "runs/a b",
        "--mark-spoiled",
        "--no-quick",
        "--top-k",
        "2",
        "8",
        "--tags",
        "a,b",
        "--plain",
        "1",
        "--weights",
        "right=1",
        "tidy=0.5",
    )
    assert options == Options(
        "gsm8k-mini",
        5,
        1e-3,
        1.0,
        {"right": 1.0, "tidy": 0.5},
        Path("runs/a b"),
        True,
        False,
        [2, 8],
        ("a", "b"),
        1,
    )
    assert (
        isinstance(options.out, Path)
        and isinstance(options.top_k, list)
        and isinstance(options.tags, tuple)
    )


def test_lists_may_be_given_with_commas_and_are_not_shared():
    assert read("--top-k", "1,2", "3").top_k == [1, 2, 3]
    read().top_k.append(99)
    Options().top_k.append(99)
    assert read().top_k == Options().top_k == [1, 4]


def test_the_last_of_a_repeated_option_holds():
    # so `make grpo ARGS="--task x"` can override the task
    assert read("--steps", "1", "--steps", "2").steps == 2


def test_none_can_be_given_where_it_is_allowed_but_stays_a_text_for_texts():
    assert read("--lr", "none", "--out", "None") == Options()
    assert read("--task", "none").task == "none"
    from minilrm.grpo import Options as Grpo

    given = [
        parse(Grpo, argv, prog="", description="")
        for argv in (["--aggregation", "none"], ["--normalize", "none"], [])
    ]
    assert [(o.aggregation, o.normalize) for o in given] == [
        (None, "std"),
        ("token", "none"),
        ("token", "std"),
    ]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--steps", "ten"], "--steps must be a whole number, not 'ten'"),
        (["--steps", "1.5"], "--steps must be a whole number, not '1.5'"),
        (["--steps", "9" * 5000], "--steps must be a whole number, not '999"),
        (["--steps", "0"], "--steps must be at least 1, not 0"),
        (["--steps", "1" + "0" * 400], "--steps must be at most 10000, not 1000"),
        (["--steps", "none"], "--steps must be a whole number, not 'none'"),
        (["--steps"], "--steps: expected one argument"),
        (["--steps="], "--steps must be a whole number, not ''"),
        (["--lr", "0"], "--lr must be above 0.0, not 0.0"),
        (["--lr", "nan"], "--lr must be a finite number, not nan"),
        (["--temperature", "inf"], "--temperature must be a finite number, not inf"),
        (["--temperature", "-0.5"], "--temperature must be at least 0, not -0.5"),
        (["--top-k", "1", "0"], "--top-k must be at least 1, not 0"),
        (["--top-k", "1", "x"], "--top-k must be a whole number, not 'x'"),
        (
            ["--task", "countdwn"],
            "--task cannot be 'countdwn'; did you mean countdown? (choices: countdown, gsm8k-mini",
        ),
        (["--task", "gsm8k"], "did you mean gsm8k-mini?"),
        (["--stps", "3"], "unknown option --stps; did you mean --steps? (--help lists all)"),
        (["--mark_spoiled"], "unknown option --mark_spoiled; did you mean --mark-spoiled?"),
        # no silent abbreviations
        (["--step", "3"], "unknown option --step; did you mean --steps?"),
        (["--zzz=1"], "unknown option --zzz (--help lists all)"),
        (["--hidden", "1"], "unknown option --hidden (--help lists all)"),
        (["countdown"], "no option belongs to countdown"),
    ],
)
def test_a_mistake_is_one_line(capsys, argv, words):
    assert words in failure(capsys, *argv)


def test_a_missing_option_and_a_bad_combination_are_one_line_too(capsys):
    @dataclass
    class Strict:
        folder: Path = option(dataclasses.MISSING, "where the model is")
        low: int = option(0, "from")
        high: int = option(9, "to")

        def __post_init__(self):
            if self.low > self.high:
                raise UserError("low is above high;\nswap them")

    assert failure(capsys, options_class=Strict) == "--folder must be given: where the model is"
    assert (
        failure(capsys, "--folder", "x", "--low", "10", options_class=Strict)
        == "low is above high; swap them"
    )


def test_help_shows_defaults_choices_and_groups(capsys):
    with pytest.raises(SystemExit) as stopped:
        read("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert stopped.value.code == 0
    for words in (
        "A test.",
        "what:",
        "which problems (countdown, gsm8k-mini, none) (default: countdown)",
        "optimizer steps, 100% of them (default: 100)",
        "--mark-spoiled, --no-mark-spoiled",
        "which k (default: 1 4)",
    ):
        assert words in text


def test_a_type_no_command_line_can_fill_is_our_own_mistake():
    @dataclass
    class Odd:
        table: dict[int, int] = option(None, "a table")

    with pytest.raises(TypeError, match="dict"):
        parse(Odd, [], prog="test", description="")


# -- the same checks in Python ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"steps": 0}, "--steps must be at least 1, not 0"),
        ({"steps": True}, "--steps must be a whole number, not True"),
        ({"steps": "5"}, "--steps must be a whole number, not '5'"),
        ({"steps": None}, "--steps must be a whole number, not None"),
        ({"lr": float("nan")}, "--lr must be a finite number, not nan"),
        ({"lr": -1}, "--lr must be above 0.0, not -1"),
        ({"task": "x"}, "--task cannot be 'x' (choices: countdown, gsm8k-mini, none)"),
        ({"top_k": 3}, "--top-k must be a list, not 3"),
        ({"top_k": [1, -3]}, "--top-k must be at least 1, not -3"),
        ({"mark_spoiled": 1}, "--mark-spoiled must be true or false, not 1"),
        ({"weights": ["right"]}, "--weights must be names with numbers, such as accuracy=1, not ["),
        ({"weights": {"right": -1.0}}, "--weights right: must be at least 0, not -1.0"),
        ({"out": "a\0b"}, "--out cannot be"),
        ({"out": "x" * 5000}, "file name too long"),
        ({"out": "a\udcffb"}, "--out is no valid text: a\\udcffb"),
        ({"out": Path(__file__) / "within"}, "a file stands where a folder would have to be"),
    ],
)
def test_options_made_in_python_are_checked_in_the_same_words(values, words):
    with pytest.raises(UserError) as raised:
        check(Options(**values))
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_check_passes_what_is_right():
    check(Options(lr=1, out="as/text", top_k=(1, 2), quick=True, steps=10_000, weights={}))


@pytest.mark.parametrize(
    ("loop", "wrong", "words"),
    [
        (grpo, {"style": "cott"}, "--style cannot be 'cott'; did you mean cot?"),
        (grpo, {"reward": {"format": -3.0}}, "--reward format: must be at least 0, not -3.0"),
        (grpo, {"objective": "grop"}, "--objective cannot be 'grop'; did you mean grpo?"),
        (grpo, {"normalize": "mean"}, "--normalize cannot be 'mean'"),
        (grpo, {"seed": 2**70}, "--seed must be at most"),
        (grpo, {"reward": {}}, "--reward needs at least one reward"),
        (
            grpo,
            {"reward": {"acuracy": 1.0}},
            "no reward is called 'acuracy'; did you mean accuracy? (there are accuracy, format",
        ),
        (ppo, {"critic": "none"}, "--critic cannot be 'none'"),
        (sft, {"threads": 10**9}, "--threads must be at most 1024"),
        (
            pretrain,
            {"task": "gsm8k-mimi"},
            "--task cannot be 'gsm8k-mimi'; did you mean gsm8k-mini?",
        ),
        (distill, {"way": "trace"}, "--way cannot be 'trace'; did you mean traces?"),
    ],
)
def test_every_train_checks_its_options_first(tmp_path, loop, wrong, words):
    """Catches: a wrong option that is found after the evaluation of step 0, and leaves a run
    folder."""
    with pytest.raises(UserError) as raised:
        loop.train(loop.Options(out=tmp_path / "run", **wrong))
    assert words in str(raised.value)
    assert not (tmp_path / "run").exists()


# -- showing and completing ------------------------------------------------------------------------


def test_describe_is_an_aligned_table_of_all():
    lines = options_table(Options(out=Path("a"))).splitlines()
    assert len(lines) == len(dataclasses.fields(Options))
    assert lines[0] == "  task          countdown"
    assert (
        "  mark_spoiled  no" in lines
        and "  lr            -" in lines
        and "  top_k         1 4" in lines
    )


def test_to_dict_is_strict_json():
    values = to_dict(Options(out=Path("a") / "b", tags=("x",)))
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert (
        values["out"] == str(Path("a") / "b")
        and values["weights"] == {"right": 1.0}
        and values["tags"] == ["x"]
    )
    assert values["lr"] is None and values["mark_spoiled"] is False


def test_fill_replaces_only_what_is_none():
    options = Options(quick=False)
    filled = fill(options, {"lr": 0.5, "steps": 3, "quick": True, "no_option": 1})
    assert (filled.lr, filled.steps, filled.quick) == (0.5, 100, False)
    assert options.lr is None  # a copy


# -- how a command ends ----------------------------------------------------------------------------


def ending(capsys, error, *argv):
    """Exit code and stderr of a command whose function raises this."""

    def function(options):
        raise error

    with pytest.raises(SystemExit) as stopped:
        run_command(function, Options, argv, prog="test", description="")
    return stopped.value.code, capsys.readouterr().err


def test_a_command_gets_its_options_and_returns(capsys):
    seen = []
    assert run_command(seen.append, Options, ["--steps", "4"], prog="test", description="") is None
    with pytest.raises(SystemExit) as stopped:  # what a command returns is its exit code
        run_command(lambda options: 130, Options, [], prog="test", description="")
    assert stopped.value.code == 130
    assert seen == [Options(steps=4)] and capsys.readouterr().err == ""


def test_what_the_user_can_mend_is_one_line(capsys):
    assert ending(capsys, UserError("no such\ntask")) == (2, "error: no such task\n")
    assert ending(capsys, KeyboardInterrupt()) == (130, "interrupted\n")
    code, err = ending(capsys, OSError(errno.ENOSPC, "No space left on device", "runs/x"))
    assert code == 2 and err == (
        "error: No space left on device (runs/x): make room on the disk, or choose another folder\n"
    )
    code, err = ending(capsys, PermissionError(errno.EACCES, "Permission denied"))
    assert code == 2 and err.startswith("error: Permission denied: ") and err.count("\n") == 1


def test_our_own_mistakes_keep_their_traceback():
    def function(options):
        raise error

    for error in (ValueError("ours"), FileNotFoundError(errno.ENOENT, "gone"), AssertionError()):
        with pytest.raises(type(error)):
            run_command(function, Options, [], prog="test", description="")


def run_python(folder, *words):
    """Python in another working directory, on this clone."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows reports a closed pipe in another way")
def test_a_closed_pipe_is_quiet(tmp_path):
    (tmp_path / "talk.py").write_text(
        "import os, sys\n"
        "from dataclasses import dataclass\n"
        "from minilrm.cli import run_command\n"
        "@dataclass\n"
        "class Options:\n"
        "    pass\n"
        "reader, writer = os.pipe()\n"
        "os.close(reader)\n"
        "os.dup2(writer, 1)\n"
        "run_command(lambda options: print('x' * 100_000), Options, [], prog='talk', "
        "description='')\n"
    )
    answer = run_python(tmp_path, "talk.py")
    assert (answer.returncode, answer.stderr) == (141, "")


# -- python -m minilrm -----------------------------------------------------------------------------


def test_a_command_runs_where_all_streams_are_closed(monkeypatch):
    """`<&- >&- 2>&-` in a shell, or pythonw: Python has None in the place of the streams. Catches:
    an AttributeError at the first question whether stdout is a terminal."""

    def talk(options):
        print("to nobody", sys.stdin.readline())
        assert not sys.stdin.isatty() and not sys.stdout.isatty() and not sys.stderr.isatty()
        sys.stdout.write("to nobody")
        raise UserError("nobody hears of it")

    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    with pytest.raises(SystemExit) as end:
        run_command(talk, Options, [], prog="", description="")
    assert end.value.code == 2


@pytest.mark.parametrize(
    "encoding, shown", [("cp1252", r"\u0141ukasz \u674e\u96f7 Zoë"), ("utf-8", "")]
)
def test_any_name_is_printed_on_any_console(monkeypatch, encoding, shown):
    """As on Windows, where output that goes to a file has the old code page: a run's folder, a file
    of problems, a model's text. Catches: a UnicodeEncodeError after hours of training."""
    name = "Łukasz 李雷 Zoë"
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)

    def talk(options):
        print(name)
        raise UserError(name)

    with pytest.raises(SystemExit) as end:
        run_command(talk, Options, [], prog="", description="")
    for stream in (out, err):
        stream.flush()
        assert (shown or name) in stream.buffer.getvalue().decode(encoding)
    assert end.value.code == 2


def test_the_list_of_commands_names_only_what_is_there(tmp_path):
    answer = run_python(tmp_path, "-m", "minilrm")
    assert answer.returncode == 0, answer.stderr
    for verb, line in listing.COMMANDS.items():
        there = any(
            (ROOT / "minilrm" / name).exists() for name in (f"{verb}.py", f"{verb}/__main__.py")
        )
        assert (f"python -m minilrm.{verb} " in answer.stdout) == there
        assert (line in answer.stdout) == there


def test_a_verb_in_the_wrong_place_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(listing, "find_spec", lambda name: True)
    assert listing.main(["grop"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "python -m minilrm.grpo" in err
    assert listing.main(["--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3 + len(listing.COMMANDS)
