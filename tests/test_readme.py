"""The README promises: its commands exist and take the options it names, its code runs, its links
lead somewhere, its layout is the package's, and its figures are those of the committed results."""

import ast
import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

from minilrm import __main__ as listing
from minilrm import checkpoint, cli, files, machine
from studies.main import numbers, text

ROOT = Path(__file__).resolve().parent.parent

README = (ROOT / "README.md").read_text(encoding="utf-8")
# without what figures.py writes
BY_HAND = re.sub(r"<!-- (\S+) -->.*?<!-- /\1 -->", "", README, flags=re.DOTALL)
COMMANDS = sorted(set(re.findall(r"python -m minilrm[^\n`#]*", README)))
STUDIES = sorted(set(re.findall(r"python -m (studies[\w.]*)", README)))
PATHS = sorted(
    set(re.findall(r"`((?:data|minilrm|tests)/[\w./-]+|[a-z_]+\.(?:py|txt|md))`", BY_HAND))
)
AGENTS = (ROOT / "AGENTS.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_what_the_tests_look_for_is_there():
    assert len(COMMANDS) > 12 and STUDIES and len(BLOCKS) == 2
    assert 150 <= README.count("\n") <= 320


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_exists_and_its_options_parse(command):
    _, _, module, *words = shlex.split(command)
    assert importlib.util.find_spec(module), f"there is no {module}"
    if module == "minilrm":
        assert not words
        return
    parser = cli.build_parser(importlib.import_module(module).Options, module, "")
    assert parser.format_help()
    if words:
        if words[0] == "r1":  # `pipeline r1` is short for `--recipe r1`
            words.insert(0, "--recipe")
        if words[0] == "import":  # `import FILE` is short for `--file FILE`
            words[0] = "--file"
        cli.parse(importlib.import_module(module).Options, words, prog=module, description="")


def test_a_wrong_option_would_be_noticed(capsys):
    with pytest.raises(SystemExit):
        cli.parse(
            importlib.import_module("minilrm.grpo").Options,
            ["--sheed", "1"],
            prog="x",
            description="",
        )
    assert "--seed" in capsys.readouterr().err


def test_the_table_lists_all_commands():
    rows = re.findall(r"^\| (`python -m minilrm\.[^|]*) \| (.*?) \|$", README, re.MULTILINE)
    named = [name for cell, _ in rows for name in re.findall(r"minilrm\.(\w+)", cell)]
    assert sorted(named) == sorted(listing.available())
    assert all(line[0].islower() for _, line in rows)


def test_options_named_in_the_text_exist():
    """`--word` in prose belongs to some command."""
    known = {
        option
        for verb in listing.available()
        for option in cli.build_parser(
            importlib.import_module(f"minilrm.{verb}").Options, verb, ""
        )._option_string_actions
    }
    named = set(re.findall(r"`(--[a-z-]+)", BY_HAND))
    assert named and named <= known


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z]+)", BY_HAND))))
def test_a_make_target_exists(target):
    assert re.search(
        rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )


@pytest.mark.parametrize("module", STUDIES)
def test_a_study_exists(module):
    assert importlib.util.find_spec(module), f"there is no {module}"


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_a_link_leads_somewhere(link):
    if link.startswith("#"):
        headings = re.findall(r"^#+ (.*)$", README, flags=re.MULTILINE)
        assert link[1:] in {heading.lower().replace(" ", "-") for heading in headings}
    else:
        assert (ROOT / link).is_file()


@pytest.mark.parametrize("path", PATHS)
def test_a_path_in_the_text_is_there(path):
    places = (ROOT / path, ROOT / "minilrm" / path)
    assert path.startswith("data/results") or any(place.exists() for place in places)


def test_the_layout_is_that_of_the_package():
    """Every module stands in the table of AGENTS.md, on the floor that the layout's test holds it
    to."""
    tree = ast.parse((ROOT / "tests" / "test_layout.py").read_text(encoding="utf-8"))
    names = {
        t.id: ast.literal_eval(n.value)
        for n in tree.body
        if isinstance(n, ast.Assign)
        for t in n.targets
        if isinstance(t, ast.Name) and t.id in ("FLOORS", "SIDE")
    }
    floors = {str(i): rooms for i, rooms in enumerate(names["FLOORS"])} | {
        "side": set(names["SIDE"])
    }
    there = {
        p.stem
        for p in (ROOT / "minilrm").iterdir()
        if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    rows = re.findall(r"^\| (\d|side) \| ((?:`[\w/]+` ?)+) \|", AGENTS, flags=re.MULTILINE)
    told = {
        floor: {room.rstrip("/") for room in re.findall(r"`([\w/]+)`", rooms)}
        for floor, rooms in rows
    }
    assert told == {floor: rooms & there for floor, rooms in floors.items() if rooms & there}


def test_versions_and_sizes_are_the_right_ones():
    low, high = re.search(r"Python (3\.\d+) to (3\.\d+)", README).groups()
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert (
        f">={low},<3.{int(high[2:]) + 1}" in project
        and "torch>=2.9" in project
        and "PyTorch of 2.9" in README
    )
    from minilrm.model import SCALES, Transformer, count_parameters

    assert (
        f"{count_parameters(Transformer(SCALES['micro'])) / 1e6:.1f} million parameters"
        in README.replace("\n", " ")
    )
    assert f"trains for {importlib.import_module('minilrm.grpo').Options.steps} steps" in README


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_code_runs(number, base, capsys):
    """With a tiny random model in the place of the shipped one."""
    if "transformers" in BLOCKS[number]:
        pytest.importorskip("transformers")
    code = BLOCKS[number].replace("data/checkpoints/gsm8k-mini-base", base.as_posix())
    assert code != BLOCKS[number]
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert (
        "Question: Tom has 3 boxes" in printed
        if "transformers" in code
        else len(ast.literal_eval(printed)) == 4
    )


def test_the_shipped_base_opens():
    folder = machine.data_folder() / "checkpoints" / "gsm8k-mini-base"
    if not folder.is_dir():
        pytest.skip("no base here")
    assert checkpoint.load_config(folder).vocab_size == 1024


def test_the_figures_are_those_of_the_results():
    """If this fails: python -m studies.main.figures"""
    folder = machine.data_folder() / "results"
    if not (folder / "main.jsonl").is_file():
        pytest.skip("no results here")
    results = numbers.read_results()
    summary = numbers.summarise(results)
    assert text.fill_readme(README, summary, results["transcript"]) == README
    assert files.read_json(folder / "main.json") == json.loads(json.dumps(summary))
    for kind, name in (("grpo", "main.png"), ("hold", "hold.png")):
        assert not results[kind] or 0 < (folder / name).stat().st_size < 100_000


def test_nothing_private_stands_in_it():
    assert not re.search(
        r"/(work|tmp|home|root)/|https?://(?!github)|pypi\.org|download\.pytorch", README
    )
