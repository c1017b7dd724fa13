"""Tasks that need a tool: what their solutions say of a tool is what the tool says; only looking up
helps; and what is counted of calls."""

import doctest
import importlib
import itertools
import random
import re

import pytest

from minilrm import machine, rewards, tool_use
from minilrm.corpus import Solved, build
from minilrm.errors import UserError
from minilrm.rollout import Episode, episode, rollout
from minilrm.sampler import Completion, Force
from minilrm.tasks import Grade, get_task
from minilrm.tasks.tooled import facts
from minilrm.tasks.tooled.loops import TURNS
from minilrm.tokenizer import Tokenizer
from minilrm.tools import Call, Database, Toolbox, calculate, inserted, run_code, sampled_mask
from minilrm.tools.box import remembering, toolbox
from minilrm.tools.tool import ToolFailed

NAMES = ("long-sums", "prices", "loops")
CALL = re.compile(r"<tool:(\w+)>(.*?)</tool><result>(.*?)</result>", re.DOTALL)


@pytest.fixture(scope="module")
def shipped():
    """The project's own tokenizer, which has the tags of tools."""
    return Tokenizer.load(machine.data_folder() / "tokenizer")


def problems(name, n, split="train", seed=0):
    task, rng = get_task(name), random.Random(f"{name}/{split}/{seed}")
    return task, [task.sample(rng, split) for _ in range(n)]


@pytest.mark.parametrize("name", ["task", "long_sums", "prices"])
def test_the_examples_in_the_text_are_true(name):
    module = importlib.import_module(f"minilrm.tasks.tooled.{name}")
    assert doctest.testmod(module).failed == 0


# -- the tasks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", (*NAMES, "tools"))
def test_solutions_are_graded_as_they_are_meant(name):
    for split in ("train", "test", "ood"):
        task, drawn = problems(name, 20, split)
        for problem in drawn:
            assert task.level(problem) in get_task(problem.task).levels
        for problem, style in itertools.product(drawn, task.styles):
            text = task.solution(problem, random.Random(1), style)
            grade = task.grade(problem, text)
            assert grade.correct == (style != "careless") and grade.formatted, text
            assert task.thinks(text) or style != "tool"
            # The grader reads what was sampled, without the results.
            bare = re.sub("<result>.*?</result>", "", text, flags=re.DOTALL)
            assert task.grade(problem, bare) == grade


def test_a_solution_says_of_a_tool_what_the_tool_says():
    for name, n in (("long-sums", 150), ("prices", 150), ("loops", 6)):
        task, drawn = problems(name, n)
        ways = set()
        for problem in drawn:
            tools = {"calculator": calculate, "code": run_code}
            if name == "prices":
                tools["database"] = Database(task.database(problem))
            text = task.solution(problem, random.Random(problem.key), "tool")
            calls = CALL.findall(text)
            assert calls and {tool for tool, _, _ in calls} <= set(task.tools)
            for tool, argument, result in calls:
                assert tools[tool](argument) == result
            ways.add((len(calls), text.index("<tool:") > 1, calls[0][0]))
        assert len(ways) > 1  # calls in several places, or policies have nothing to compare


@pytest.mark.parametrize("name", NAMES)
def test_splits_share_no_problem(name):
    n = 20 if name == "loops" else 200
    keys = [{p.key for p in problems(name, n, split)[1]} for split in ("train", "test", "ood")]
    assert not any(a & b for a, b in itertools.combinations(keys, 2))


def test_sums_have_more_digits_out_of_distribution():
    digits = {
        split: [
            max(map(len, re.findall("[0-9]+", p.prompt)))
            for p in problems("long-sums", 80, split)[1]
        ]
        for split in ("test", "ood")
    }
    assert max(digits["test"]) == 4 and min(digits["ood"]) == 5


def test_loops_turn_as_often_as_their_level_says():
    task, drawn = problems("loops", 30)
    for problem in drawn:
        low, high = TURNS[task.level(problem)]
        steps = task.solution(problem, random.Random(0), "steps")
        if task.level(problem) == 3:
            assert steps == f" #### {problem.answer}"  # too long to be traced
        assert low <= high and problem.difficulty > low
    with pytest.raises(UserError, match="asked like this"):
        task.question("How are you?")


@pytest.mark.parametrize("name", (*NAMES, "tools"))
def test_an_unknown_split_or_style_is_refused(name):
    task, [problem] = problems(name, 1)
    with pytest.raises(ValueError, match="guess"):
        task.solution(problem, random.Random(0), "guess")
    with pytest.raises(UserError, match="tset"):
        task.sample(random.Random(0), "tset")


# -- the tables of facts ---------------------------------------------------------------------------


def test_the_shipped_tables_are_those_of_the_script(tmp_path):
    for path in facts.write(tmp_path):
        assert facts.read(path.stem) == facts.make()[path.stem]


def test_no_value_stands_in_two_tables():
    values = [
        v for kinds in facts.make().values() for kind in kinds.values() for v in kind.values()
    ]
    assert len(values) == len(set(values)) == 8 * (len(facts.GOODS) + len(facts.PEAKS))


def test_a_question_is_of_its_own_splits_table():
    task, drawn = problems("prices", 200)
    assert {p.meta["table"] for p in drawn} == set(facts.TABLES["train"])
    for split in ("validation", "test", "ood"):
        for problem in problems("prices", 40, split)[1]:
            assert task.database(problem) == facts.path_of(*facts.TABLES[split])
            names = facts.unseen if split == "ood" else facts.seen
            assert set(problem.meta["values"]) <= set(names(problem.meta["kind"]))


def test_what_the_question_tells_counts_before_the_table():
    _, drawn = problems("prices", 300)
    told = [p for p in drawn if p.meta["level"] == 0 and len(p.meta["values"]) == 1]
    assert told and all(p.answer in p.prompt for p in told)


def asks_one(problem):
    """Whether it asks for one value, which has to be looked up."""
    return problem.meta["level"] == len(problem.meta["values"]) == 1


def test_made_up_facts():
    task, drawn = problems("prices", 200, "test")
    fact = next(p for p in drawn if asks_one(p) and p.meta["kind"] == "goods")
    table = facts.read("test")["goods"]
    assert task.made_up(fact, f" #### {fact.answer}") is False
    other = next(v for v in table.values() if str(v) != fact.answer)
    assert task.made_up(fact, f" #### {other}") is False  # wrong, but not made up
    remembered = facts.read("train-0")["goods"]["cup"]
    assert task.made_up(fact, f" #### {remembered}") is True
    assert task.made_up(fact, " #### a lot") is True
    assert task.made_up(fact, "I do not know.") is None
    worked_out = next(p for p in drawn if len(p.meta["values"]) == 2)
    assert task.made_up(worked_out, " #### 1") is None


# -- masks -----------------------------------------------------------------------------------------


def test_results_are_read_and_not_learnt(shipped):
    text = "\n<tool:calculator>12*7</tool><result>84</result> so\n#### 84"
    ids = shipped.encode(text, allow_special=True)
    mask = sampled_mask(shipped, ids)
    hidden = shipped.decode([i for i, chosen in zip(ids, mask, strict=True) if not chosen])
    assert hidden == "<result>84</result>"
    plain = shipped.encode(text)  # a user's text has no tags, whatever it looks like
    assert sampled_mask(shipped, plain) == [1] * len(plain)


def test_a_base_reads_calls_and_never_learns_their_results(shipped):
    from minilrm.pretrain import Reader

    pages = build(shipped, 20_000, Solved("long-sums"), chunk=300)
    reader = Reader(pages, 512, 4096, 0, shipped)
    [ids] = itertools.islice(reader.micro_batches(), 1)
    read = [[-2 - i for i in row if i < -1] for row in ids.tolist()]
    with_calls = [shipped.decode(row) for row in read if row]
    assert len(with_calls) > 0.2 * len(read)
    assert all(re.fullmatch(r"(<result>\d+</result>)+", text) for text in with_calls)
    raw = ids.where(ids >= -1, -2 - ids)
    assert (inserted(shipped, raw) & (raw >= 0)).equal(ids < -1)


# -- the toolbox -----------------------------------------------------------------------------------


def test_each_problem_has_its_own_table(shipped):
    task, drawn = problems("prices", 60)
    pair = [next(p for p in drawn if p.meta["table"] == t) for t in ("train-0", "train-1")]
    hook = Toolbox(["database"], task).hook(shipped, pair, n=2)
    query = "<tool:database>SELECT price FROM goods WHERE name='cup'</tool>"
    ids = shipped.encode(query, allow_special=True)
    for row in range(4):
        for end in range(1, len(ids) + 1):
            hook(row, ids[:end])
    said = [hook.made(row)[0].result for row in range(4)]
    prices = [facts.read(t)["goods"]["cup"] for t in ("train-0", "train-1")]
    assert said == [f"price\n{prices[row // 2]}" for row in range(4)]


def test_what_cannot_be_used_is_refused_at_once(tmp_path):
    task = get_task("long-sums")
    with pytest.raises(UserError, match="long-sums brings none"):
        Toolbox(["database"], task)
    with pytest.raises(UserError, match="did you mean calculator"):
        toolbox("calculater", None, task)
    with pytest.raises(UserError, match="--tools database"):
        toolbox("calculator", facts.path_of("test"), task)
    with pytest.raises(UserError, match="no such database"):
        toolbox("database", tmp_path / "none.sqlite", task)
    assert toolbox(None, None, task) is None


def test_a_tool_is_asked_once_for_each_text():
    asked = []

    def tool(text):
        asked.append(text)
        if text == "bad":
            raise ToolFailed("no")
        return text.upper()

    remembered = remembering(tool)
    assert [remembered("a"), remembered("a")] == ["A", "A"]
    for _ in range(2):
        with pytest.raises(ToolFailed, match="no"):
            remembered("bad")
    assert asked == ["a", "bad"]


def test_a_rollout_keeps_the_calls_of_each_answer(shipped):
    from minilrm.model import SCALES, Transformer

    task, drawn = problems("long-sums", 2)
    said = shipped.encode("<tool:calculator>6*7</tool>", allow_special=True)

    def allowed(row, ids):
        return Force([said[len(ids)]]) if len(ids) < len(said) and row % 2 == 0 else None

    groups = rollout(
        Transformer(SCALES["pico"]), shipped, task, drawn, group_size=2, max_new_tokens=40, seed=0,
        tools=Toolbox(["calculator"], task), allowed=allowed, workers=None,
    )  # fmt: skip
    for called, _ in groups:
        assert [(c.argument, c.result, c.failed) for c in called.calls] == [("6*7", "42", False)]
        assert called.mask.count(0) == 4 and "<result>" not in called.text  # 2 tags, 2 digits


# -- figures ---------------------------------------------------------------------------------------


def answered(problem, text, *calls):
    task = get_task("prices")
    done = Completion(text, text, [1, 2], [1, 1], [0.0, 0.0], "eos")
    return episode(task, problem, [1], done, calls)


def test_figures_of_tools():
    task, drawn = problems("prices", 200, "test")
    fact = next(p for p in drawn if asks_one(p))
    told = next(p for p in drawn if p.meta["level"] == 0)
    good, bad = (
        Call("database", "q", "r", False, 0, 1),
        Call("database", "q", "error: no", True, 0, 1),
    )
    episodes = [
        answered(fact, f" #### {fact.answer}", good, bad),
        answered(fact, "<result>5</result> #### 5"),
        answered(told, f" #### {told.answer}"),
        answered(told, " #### 1", good),
    ]
    found = tool_use.figures(task, episodes)
    assert (found["calls"], found["call_rate"]) == (0.75, 0.5)
    assert (found["errors"], found["calls_n"], found["forged"]) == (1 / 3, 3, 0.25)
    assert found["by_level"][1]["calls"] == 1.0 and found["by_level"][0]["accuracy"] == 0.5
    counted = 2 + 2 * (len(told.meta["values"]) == 1)
    assert found["facts_n"] == counted and found["made_up"] >= 1 / counted
    live = tool_use.live(task, [episodes])
    assert live["tools/calls"] == 0.75 and live["tools/call_rate/level-0"] == 0.5


def test_each_call_has_its_price():
    call = Call("calculator", "1", "1", False, 0, 1)
    e = Episode(None, [], [], [], [], "", "eos", Grade(True, True, "", ""), True, [call, call])
    e.reward = 1.0
    tool_use.charge_calls([[e]], 0.25)
    assert e.reward == 0.5
    assert rewards.REWARDS["accuracy"]([e]) == [1.0]
