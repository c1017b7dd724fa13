"""Tasks called gym:NAME, on a stand-in of the same interface as the package reasoning-gym; on the
package itself where it is installed."""

import importlib.util
import json
import random
import re
import sys
import types

import pytest

from minilrm import ask, cli, distill, evaluate, grpo, ppo, sft
from minilrm.errors import UserError
from minilrm.files import read_json
from minilrm.tasks import TASKS, get_task, gym, split_of, task_class

REAL = importlib.util.find_spec("reasoning_gym") is not None
TINY = {"threads": 1, "device": "cpu"}


class Sums:
    """As in the package: item i of the set of seed s is item 0 of that of seed s + i."""

    answer = True

    def __init__(self, seed, size):
        self.seed, self.size = seed, size

    def __getitem__(self, item):
        rng = random.Random(self.seed + item)
        a, b = rng.randint(0, 999), rng.randint(0, 999)
        answer = str(a + b) if self.answer else None
        # What it is made of need not survive JSON.
        return {"question": f"{a} + {b}?", "answer": answer, "metadata": {"sum": (a + b, object())}}

    def score_answer(self, answer, entry):
        return 1.0 if float(answer) == entry["metadata"]["sum"][0] else 0.01


class Judged(Sums):
    """A task that tells no answer."""

    answer = False


class Evaluates(Sums):
    def score_answer(self, answer, entry):
        return float(eval(answer) == entry["metadata"]["sum"][0])


def somewhere_else(answer):
    return eval(answer)


class EvaluatesWithin(Sums):
    """Through a method and a function of the package's own."""

    def score_answer(self, answer, entry):
        return float(self.value(answer) == entry["metadata"]["sum"][0])

    def value(self, answer):
        return somewhere_else(answer)


class Compiles(Sums):
    """`re.compile` beside the builtin of the same name."""

    def score_answer(self, answer, entry):
        return float(
            bool(re.compile("1").match(answer)) and compile(answer, "", "eval") is not None
        )


class Same(Sums):
    def __getitem__(self, item):
        return {"question": "1 + 1?", "answer": "2", "metadata": {"sum": (2,)}}


SETS = {
    "sums": Sums,
    "judged": Judged,
    "evaluates": Evaluates,
    "within": EvaluatesWithin,
    "compiles": Compiles,
    "same": Same,
    "countdown": Sums,
}
CACHES = (gym.gym_task, gym.package, gym.data_set, gym.entry_of)


@pytest.fixture(autouse=True)
def package(monkeypatch, request):
    """The stand-in in the place of the package."""
    for cache in CACHES:
        cache.cache_clear()
    if "real" not in request.keywords and "real" not in request.fixturenames:
        whole, factory = types.ModuleType("reasoning_gym"), types.ModuleType("factory")
        factory.DATASETS = {name: (cls, None) for name, cls in SETS.items()}
        whole.factory = factory
        whole.create_dataset = lambda name, seed, size: SETS[name](seed, size)
        monkeypatch.setitem(sys.modules, "reasoning_gym", whole)
        monkeypatch.setitem(sys.modules, "reasoning_gym.factory", factory)
    yield
    for cache in CACHES:
        cache.cache_clear()


def test_a_name_makes_a_task_and_is_in_no_list():
    task = get_task("gym:sums")
    assert type(task) is task_class("gym:sums") and task.name == "gym:sums"
    assert "gym:anything" in TASKS and not [name for name in TASKS if name.startswith("gym:")]
    assert "gymnastics" not in TASKS and 3 not in TASKS


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("countdown", "refused: its scorer gives the answer to sympy's parser"),
        ("evaluates", "refused: its scorer calls eval()"),
        ("within", "refused: its scorer calls eval()"),
        ("compiles", "refused: its scorer calls compile()"),
        ("n_queens", "refused: its scorer evaluates the answer"),
        ("sum", "did you mean gym:sums?"),
        ("", "has no task ''"),
    ],
)
def test_what_is_refused_is_one_line(name, words):
    with pytest.raises(UserError) as error:
        get_task(f"gym:{name}")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    with pytest.raises(UserError, match=r'pip install -e "\.\[gym\]"'):
        get_task("gym:sums")
    with pytest.raises(UserError, match="refused"):  # that is known without it
        get_task("gym:countdown")


def test_the_sets_of_the_splits_are_apart():
    """Catches: seeds next to each other, whose sets hold the same problems."""
    seeds = sorted(gym.SPLIT_SEEDS.values())
    assert all(b - a > gym.SIZE for a, b in zip(seeds, seeds[1:], strict=False))
    assert gym.data_set("sums", "test")[0] != gym.data_set("sums", "validation")[0]
    task = get_task("gym:sums")
    keys = {split: {p.key for p in task.problems(split, 60)} for split in gym.SPLIT_SEEDS}
    assert all(split_of(key) == split for split in keys for key in keys[split])
    assert all(len(found) == 60 for found in keys.values())
    assert task.problems("test", 5) == task.problems("test", 5) != task.problems("test", 5, seed=1)
    with pytest.raises(UserError, match="no problems in the split 'ood'"):
        task.sample(random.Random(0), "ood")
    with pytest.raises(UserError, match="too few different questions"):
        for split in gym.SPLIT_SEEDS:
            get_task("gym:same").sample(random.Random(0), split)


def test_the_packages_scorer_judges():
    task = get_task("gym:sums")
    [problem] = task.problems("train", 1)
    for completion, correct, reason in (
        (f" so\n#### {problem.answer}", True, "right"),
        (f" #### {problem.answer}.0 ", True, "right"),
        (" #### 5.5", False, "wrong answer"),
        (" #### no number", False, "wrong answer"),  # there the scorer raises
        (f" {problem.answer}", False, "no answer"),
        (" #### ", False, "no answer"),
        (f" #### {problem.answer}\n#### 3", False, "two answers"),
        (" #### " + "9" * 5000, False, "wrong answer"),
        (" #### 1e99999999", False, "wrong answer"),
    ):
        grade = task.grade(problem, completion)
        assert (grade.correct, grade.reason) == (correct, reason), completion
    again = task.from_record(json.loads(json.dumps(task.to_record(problem))))
    assert again == problem and task.grade(again, f" #### {problem.answer}").correct
    assert task.vote_key(problem, "12.0") == task.vote_key(problem, "12") == "12"
    assert task.vote_key(problem, "a\n b") == "a b" and task.vote_key(problem, None) is None


def test_solutions_are_the_answer_where_the_package_tells_it():
    task, rng = get_task("gym:sums"), random.Random(0)
    [problem] = task.problems("train", 1)
    for style, right in (("steps", True), ("reflex", True), ("careless", False)):
        assert task.grade(problem, task.solution(problem, rng, style)).correct == right
    judged = get_task("gym:judged")
    with pytest.raises(UserError, match="only judges"):
        judged.solution(judged.problems("train", 1)[0], rng)


@pytest.mark.parametrize("command", [sft, grpo, ppo, distill, evaluate, ask])
def test_it_can_be_named_on_the_command_line(command):
    argv = ["--checkpoint", "anything"] if command is evaluate else []
    options = cli.parse(command.Options, [*argv, "--task", "gym:sums"], prog="it", description="")
    assert options.task == "gym:sums"


def test_every_command_works_on_it(base, tmp_path, capsys):
    """Fine-tuned, trained by rewards, measured and asked: a few steps on a tiny model."""
    common = {"task": "gym:sums", "eval_n": 20} | TINY
    sft.train(sft.Options(**common, init=str(base), steps=2, batch=4, out=tmp_path / "sft"))
    grpo.train(
        grpo.Options(
            **common, init=str(tmp_path / "sft"), steps=2, prompts=2, group_size=2, eval_quick=20,
            max_new_tokens=16, out=tmp_path / "grpo",
        )
    )  # fmt: skip
    assert read_json(tmp_path / "grpo" / "summary.json")["task"] == "gym:sums"
    evaluate.main(
        evaluate.Options(checkpoint=str(tmp_path / "grpo"), n=20, samples=2, quick=True, **TINY)
    )
    assert "gym:sums, test split: 20 problems" in capsys.readouterr().out
    checkpoint = str(tmp_path / "grpo")
    ask.main(ask.Options(checkpoint=checkpoint, task="gym:sums", question="3 + 4?", **TINY))
    assert capsys.readouterr().out.strip()


# -- the package itself ----------------------------------------------------------------------------


@pytest.fixture
def real():
    if not REAL:
        pytest.skip("reasoning-gym is not installed")


@pytest.mark.parametrize("name", ["leg_counting", "chain_sum", "spell_backward", "coin_flip"])
def test_the_real_package(real, name):
    task = get_task(f"gym:{name}")
    for problem in task.problems("validation", 3):
        assert task.grade(problem, task.solution(problem, random.Random(0))).correct
        assert not task.grade(problem, " #### nonsense").correct


def test_every_scorer_of_the_real_package_that_evaluates_is_refused(real):
    for name, (cls, _) in gym.package().factory.DATASETS.items():
        if gym.calls_of(cls.score_answer) & gym.DANGEROUS:
            assert name in gym.REFUSED or name in gym.READ_BY_HAND, name
