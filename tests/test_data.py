"""The problem sets that are shipped: made by code that can make them again, and what they claim to
be."""

import importlib.util
import json
import random
from dataclasses import asdict
from pathlib import Path

import pytest

from minilrm import machine
from minilrm.errors import UserError
from minilrm.tasks import get_task, split_of
from minilrm.tasks.gsm8k import GSM8K
from minilrm.tasks.gsm8k_mini import GSM8KMini
from minilrm.tasks.templates import HELD_OUT, TRAINING

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data" / "gsm8k-mini"
FILES = {"test": "test", "ood": "ood", "train_sample": "train"}


@pytest.fixture(scope="module")
def make_data():
    spec = importlib.util.spec_from_file_location("make_data", ROOT / "scripts" / "make_data.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name):
    return (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", FILES)
def test_the_files_can_be_made_again(make_data, name):
    """If this fails because stories have changed: python scripts/make_data.py, and measure
    everything again."""
    assert make_data.files_of("gsm8k-mini") == FILES
    assert read(name)[:50] == make_data.lines("gsm8k-mini", FILES[name], 50)


def test_what_is_shipped_is_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000
    assert all(len(read(name)) == 1000 for name in FILES)


@pytest.mark.parametrize("split", ["test", "ood"])
def test_a_shipped_problem_is_the_made_one_with_all_its_meta(split):
    task = GSM8KMini()
    shipped, made = task.problems(split, 200), task.make(split, 200)
    assert [asdict(p) for p in shipped] == [asdict(p) for p in made]


@pytest.mark.parametrize("name", FILES)
def test_each_problem_is_in_its_split_once_and_its_answer_is_right(name):
    task, rng = GSM8KMini(), random.Random(0)
    problems = task.read_shipped(FOLDER / f"{name}.jsonl")
    assert len({p.key for p in problems}) == len({p.prompt for p in problems}) == len(problems)
    held_out, known = {t.name for t in HELD_OUT}, {t.name for t in TRAINING}
    for p in problems:
        if name == "ood":
            assert p.meta["template"] in (held_out if p.meta["ood"] == "new story" else known)
        else:
            assert split_of(p.key) == FILES[name] and p.meta["template"] in known
        assert task.grade(p, task.solution(p, rng, "steps")).reason == "right"
        assert task.grade(p, task.solution(p, rng, "plan_verify")).reason == "right"
        assert not task.grade(p, task.solution(p, rng, "careless")).correct


def test_a_shipped_problem_can_be_reworded():
    task, rng = GSM8KMini(), random.Random(0)
    for problem in task.problems("test", 50):
        again = task.reword(problem, rng)
        assert (again.key, again.answer) == (problem.key, problem.answer)
        assert again.meta["language"] == problem.meta["language"]


def test_both_languages_and_all_lengths_are_there():
    problems = GSM8KMini().problems("test", 1000)
    assert 0.2 < sum(p.meta["language"] == "es" for p in problems) / 1000 < 0.3
    assert {p.difficulty for p in problems} == {2, 3, 4, 5}


def test_they_are_in_the_schema_that_any_gsm8k_file_has():
    task = get_task("gsm8k", data=FOLDER / "train_sample.jsonl", split_all=True)
    assert isinstance(task, GSM8K) and len(task.problems("test", 10_000)) == 1000
    for line in read("test")[:20]:
        assert list(json.loads(line)) == ["question", "answer", "key", "difficulty", "meta"]


def test_other_options_another_seed_or_more_problems_are_made_anew():
    assert all(p.meta["language"] == "en" for p in GSM8KMini(spanish=0.0).problems("test", 40))
    assert GSM8KMini().problems("test", 40, seed=1) == GSM8KMini().make("test", 40, seed=1)
    assert len(GSM8KMini().problems("test", 1001)) == 1001


def test_without_the_files_they_are_made_anew(tmp_path, monkeypatch):
    expected = GSM8KMini().problems("test", 20)
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    assert machine.data_folder() == tmp_path and GSM8KMini().problems("test", 20) == expected


def test_a_file_of_other_stories_says_what_to_do(tmp_path, monkeypatch):
    record = {
        **GSM8KMini().to_record(GSM8KMini().problems("test", 1)[0]),
        "meta": {"template": "no_such_story"},
    }
    (tmp_path / "gsm8k-mini").mkdir()
    (tmp_path / "gsm8k-mini" / "test.jsonl").write_text(json.dumps(record) + "\n")
    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    with pytest.raises(UserError, match="make_data"):
        GSM8KMini().problems("test", 1)
