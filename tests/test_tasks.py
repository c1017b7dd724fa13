"""What every task must keep, whatever it is about; and what is particular to each."""

import importlib.util
import json
import random
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm.errors import UserError
from minilrm.tasks import (
    TASKS,
    Problem,
    Task,
    TracedTask,
    get_task,
    register,
    split_of,
    task_class,
    traced_tasks,
)
from minilrm.tasks.answers import check_equation, equations
from minilrm.tasks.arithmetic import Arithmetic, canonical_key
from minilrm.tasks.base import PROMPT_STYLES, SOLUTION_STYLES
from minilrm.tasks.calculator import evaluate
from minilrm.tasks.frames import SEPARATOR, render_frame
from minilrm.tasks.general import KINDS, General
from minilrm.tasks.gsm8k import GSM8K

repeatable = settings(derandomize=True, deadline=None, max_examples=100)
has_mini = importlib.util.find_spec("minilrm.tasks.gsm8k_mini") is not None
NAMES = ["arithmetic", "general", "gsm8k", *(["gsm8k-mini"] if has_mini else [])]
N = 60


@pytest.fixture(scope="module")
def gsm8k_file(tmp_path_factory):
    """A user's file: 200 sums in GSM8K's format, without the optional fields."""
    task, rng = Arithmetic(), random.Random(0)
    path = tmp_path_factory.mktemp("data") / "mine.jsonl"
    problems = task.problems("train", 200)
    path.write_text(
        "".join(
            json.dumps({"question": p.prompt, "answer": task.solution(p, rng).strip()}) + "\n"
            for p in problems
        )
    )
    return path


@pytest.fixture(scope="module", params=NAMES)
def task(request, gsm8k_file) -> Task:
    return get_task(request.param, data=gsm8k_file if request.param == "gsm8k" else None)


def splits(task: Task) -> list[str]:
    return ["train", "validation", "test"] + (["ood"] if task.name != "gsm8k" else [])


def draw(task: Task, split: str, n: int = N) -> list[Problem]:
    rng = random.Random(7)
    return [task.sample(rng, split) for _ in range(n)]


def drawn(task: Task):
    return [problem for split in splits(task) for problem in draw(task, split, N // 2)]


# ---- every task


def test_same_seed_same_problems(task):
    for split in splits(task):
        assert draw(task, split) == draw(task, split)
        assert task.problems(split, 10, seed=3) == task.problems(split, 10, seed=3)
        rng1, rng2 = random.Random(1), random.Random(1)
        for problem in draw(task, split, 8):
            for style in SOLUTION_STYLES:
                assert task.solution(problem, rng1, style) == task.solution(problem, rng2, style)


def test_problems_lie_in_their_split(task):
    for split in ("train", "validation", "test"):
        assert all(
            split_of(problem.key) == split
            for problem in draw(task, split) + task.problems(split, 20)
        )


def test_no_key_lies_in_two_splits(task):
    keys = [{problem.key for problem in draw(task, split, 300)} for split in splits(task)]
    for i, some in enumerate(keys):
        assert some
        for others in keys[i + 1 :]:
            assert not some & others


def test_a_key_has_one_answer(task):
    answers = {}
    for problem in draw(task, "train", 300):
        # "Hola, Ana" and "Hello, Ana": the same greeting in another language shares the key.
        name = (problem.key, problem.meta.get("language"))
        assert answers.setdefault(name, problem.answer) == problem.answer


def test_problems_are_well_made(task):
    for problem in drawn(task):
        assert problem.task == task.name
        assert problem.prompt.strip() and problem.answer.strip() and problem.key
        assert type(problem.difficulty) is int and problem.difficulty >= 1
        assert Problem(**json.loads(json.dumps(asdict(problem)))) == problem


def test_unknown_split_and_style_are_refused(task):
    if task.name == "gsm8k-mini":
        pytest.skip("left to its own tests")
    with pytest.raises(UserError, match="tset"):
        task.sample(random.Random(0), "tset")
    with pytest.raises(ValueError, match="guess"):
        task.solution(draw(task, "train", 1)[0], random.Random(0), "guess")


def test_prompts(task):
    rng = random.Random(2)
    first, second, third = draw(task, "train", 3)
    examples = tuple((problem, task.solution(problem, rng)) for problem in (second, third))
    shots = task.render(first, "few_shot", examples)
    plain = task.render(first)
    assert plain == task.render(first, "plain") == task.render(first, "few_shot")
    assert first.prompt in plain and plain[-1] == ":" and SEPARATOR not in plain
    assert task.render(first, "cot").startswith(plain) and task.render(first, "cot")[-1] == "."
    assert shots == SEPARATOR.join([task.render(p) + s for p, s in examples] + [plain])
    assert task.separator == SEPARATOR
    with pytest.raises(ValueError):
        task.render(first, "pirate")


def test_no_prompt_or_solution_holds_the_separator(task):
    rng = random.Random(3)
    for problem in drawn(task):
        for style in SOLUTION_STYLES:
            document = task.render(problem) + task.solution(problem, rng, style)
            assert SEPARATOR not in document and "####" not in task.render(problem)


@pytest.mark.parametrize("style", ["reflex", "steps", "plan_verify"])
def test_right_solutions_are_right(task, style):
    rng = random.Random(4)
    for problem in drawn(task):
        solution = task.solution(problem, rng, style)
        grade = task.grade(problem, solution)
        assert grade.correct and grade.formatted and grade.reason == "right", (
            problem,
            solution,
            grade,
        )
        assert solution[0] in " \n"
        assert task.vote_key(problem, grade.answer) is not None
        assert task.thinks(solution) == (task.name != "general" and style != "reflex")


def test_careless_solutions_are_wrong(task):
    rng = random.Random(5)
    for problem in drawn(task):
        solution = task.solution(problem, rng, "careless")
        grade = task.grade(problem, solution)
        assert not grade.correct and grade.formatted and grade.reason == "wrong answer", (
            problem,
            solution,
            grade,
        )


@pytest.mark.parametrize("style", ["steps", "plan_verify"])
def test_every_equation_of_a_right_solution_is_true(task, style):
    rng = random.Random(6)
    for problem in drawn(task):
        solution = task.solution(problem, rng, style)
        found = equations(solution)
        assert len(found) == solution.count("<<")
        assert all(check_equation(*equation) is True for equation in found), (problem, found)
        assert bool(found) == (task.name != "general")


def test_rewording_keeps_the_problem(task):
    rng = random.Random(8)
    for problem in draw(task, "train"):
        other = task.reword(problem, rng)
        assert (other.key, other.answer, other.difficulty) == (
            problem.key,
            problem.answer,
            problem.difficulty,
        )
        assert task.grade(other, task.solution(other, rng)).correct


@repeatable
@given(text=st.one_of(st.text(), st.text(alphabet="#<>=0123456789+-*/. \n$,")))
def test_graders_are_total(task, text):
    problem = task.problems("train", 1)[0]
    grade = task.grade(problem, text)
    assert isinstance(grade.correct, bool) and isinstance(grade.formatted, bool) and grade.reason
    key = task.vote_key(problem, grade.answer)
    assert key is None or isinstance(key, str)
    assert isinstance(task.thinks(text), bool)


# ---- the registry


def test_registry_names_its_tasks():
    for name in NAMES:
        assert issubclass(task_class(name), Task) and task_class(name).name == name
    assert set(NAMES) <= set(TASKS)


def test_registry_errors_help():
    with pytest.raises(
        UserError, match="did you mean gsm8k-mini.*arithmetic, general, gsm8k, gsm8k-mini"
    ):
        get_task("gsm8k_mini")
    with pytest.raises(UserError, match="no task is called 'xyzzy'. There are"):
        get_task("xyzzy")
    with pytest.raises(UserError, match="no option 'max_digit'; it has: min_digits, max_digits"):
        get_task("arithmetic", max_digit=3)
    assert get_task("arithmetic", max_digits=None).max_digits == 3


def test_a_registered_class_is_found_by_its_name_and_the_live_registry_is_what_everyone_reads():
    class Echo(Task):
        name = "echo"

    try:
        assert register(Echo) is Echo and TASKS["echo"] is Echo
        assert task_class("echo") is Echo and isinstance(get_task("echo"), Echo)
        with pytest.raises(UserError, match="has no option 'n'; it has: none"):
            get_task("echo", n=1)
    finally:
        del TASKS["echo"]


def test_a_file_of_ones_own_is_asked_for_but_a_question_needs_none():
    with pytest.raises(UserError, match="name its file with --data FILE"):
        get_task("gsm8k")
    task = task_class("gsm8k")()
    problem = task.question("Ana has 3 boxes\nof 4 pens. How many pens?")
    assert task.render(problem) == "Question: Ana has 3 boxes of 4 pens. How many pens?\nAnswer:"
    assert task.read_answer("\n#### 12") == "12" == task.read_answer(r"So \boxed{12}.")
    assert task.vote_key(problem, "**12 pens**") == "12" and not task.runs_on("#### **12 pens**")
    for refused in (task.sample, lambda rng: task.problems("test", 1)):
        with pytest.raises(UserError, match="name it with --data FILE"):
            refused(random.Random(0))


def test_traced_is_a_kind_of_task_and_no_list_of_names():
    assert traced_tasks() == ["countdown", "countdown-4", "multiplication"]
    for name in TASKS:
        traced = issubclass(task_class(name), TracedTask)
        assert traced == (name in traced_tasks()) == hasattr(task_class(name), "parse_trace")


# ---- what all tasks share


@pytest.mark.parametrize("name", [name for name in TASKS if name != "gsm8k"])
def test_a_task_finds_its_own_answers_and_sees_where_they_run_on(name):
    task, rng = get_task(name), random.Random(0)
    for problem in draw(task, "train", 20):
        for style in SOLUTION_STYLES:
            text = task.solution(problem, rng, style)
            answer = task.grade(problem, text).answer
            assert task.answers_in(text) == [answer] and task.read_answer(text) == answer
            assert not task.after_answer(text).strip() and not task.runs_on(text)
            longer = text + "\n\nQuestion: What"
            assert task.answers_in(longer) == [answer] and task.runs_on(longer)
            assert task.after_answer(longer).strip() == "Question: What"
            assert text.strip().startswith(task.mark) or task.mark in text
    assert task.answers_in("") == [] and task.read_answer(" ") is None and not task.runs_on("")


class Few(Task):
    """Seven problems, one of them drawn once in a thousand times."""

    name = "few"

    def sample(self, rng, split="train"):
        number = 7 if rng.random() < 0.001 else rng.randrange(6)
        return Problem(self.name, f"{number}?", str(number), f"few:{number}")


def test_there_is_one_rule_for_n_different_problems_and_it_ends():
    """Four tasks had four rules, one of which never ended."""
    assert sorted(p.answer for p in Few().problems("train", 7)) == list("0123457")
    with pytest.raises(UserError, match="few finds only 7 different train problems, not 8: ask"):
        Few().problems("train", 8)
    with pytest.raises(UserError, match="gsm8k-mini finds only 3 different"):
        task = get_task("gsm8k-mini")
        known = draw(task, "train", 3)
        task.sample = lambda rng, split: rng.choice(known)
        task.problems("train", 4)


def test_a_task_of_few_problems_may_repeat_them():
    class Often(Few):
        repeats = True

    made = Often().problems("train", 50)
    assert len(made) == 50 and len({p.key for p in made}) < 8
    assert made[:20] == Often().problems("train", 20)


def test_a_shipped_file_is_read_for_its_own_options_alone_and_a_damaged_line_is_named(
    tmp_path, monkeypatch
):
    class Shipped(Few):
        shipped = {"test": {"size": 2}}

        def __init__(self, size=2):
            self.size = size

    monkeypatch.setenv("MINILRM_DATA", str(tmp_path))
    (tmp_path / "few").mkdir()
    file = tmp_path / "few" / "test.jsonl"
    told = [Problem("few", f"the {i}th?", str(i), f"few:{i}") for i in range(3)]
    file.write_text("".join(json.dumps(Shipped().to_record(p)) + "\n" for p in told))
    assert Shipped().problems("test", 2) == told[:2]
    for other in (
        Shipped(3).problems("test", 2),
        Shipped().problems("test", 2, seed=1),
        Shipped().problems("validation", 2),
        Shipped().problems("test", 4),
    ):
        assert other[0] not in told
    for damage in ('{"task": "few"', '{"prompt": "?"}', "12"):
        file.write_text(file.read_text().split("\n")[0] + "\n" + damage + "\n")
        with pytest.raises(UserError, match="line 2: no problem as few .*make_data.py --task few"):
            Shipped().problems("test", 1)


# ---- the frame


def test_frames_word_for_word():
    one = Problem("demo", "What is {x}?", "1", "a")
    two = Problem("demo", "¿Qué?", "2", "b", meta={"language": "es"})
    assert render_frame(one) == "Question: What is {x}?\nAnswer:"
    assert render_frame(two) == "Pregunta: ¿Qué?\nRespuesta:"
    assert render_frame(one, "cot") == "Question: What is {x}?\nAnswer: Let's think step by step."
    assert render_frame(two, "cot") == "Pregunta: ¿Qué?\nRespuesta: Pensemos paso a paso."
    assert (
        render_frame(Problem("demo", "Quoi?", "2", "b", meta={"language": "fr"}))
        == "Question: Quoi?\nAnswer:"
    )
    assert set(PROMPT_STYLES) == {"plain", "cot", "few_shot", "textbook"}
    with pytest.raises(ValueError, match="belong to the style"):
        render_frame(one, "plain", ((two, " #### 2"),))


# ---- arithmetic


def test_arithmetic_answers_by_another_route():
    for problem in drawn(Arithmetic()):
        assert evaluate(problem.meta["expression"]) == int(problem.answer) >= 0
        assert problem.meta["expression"] in problem.prompt


def test_arithmetic_lengths():
    def longest(problem):
        return max(len(n) for n in problem.meta["expression"].split() if n.isdigit())

    task = Arithmetic(min_digits=1, max_digits=2)
    for kind, top in {"add": 2, "subtract": 2, "multiply": 2, "chain": 1}.items():
        task.kinds = (kind,)
        assert {longest(p) for p in draw(task, "train", 200)} == set(range(1, top + 1))
        assert {longest(p) for p in draw(task, "ood", 50)} == {top + 1}
    assert {longest(p) for p in draw(Arithmetic(1, 1, kinds=("chain",)), "ood", 50)} == {2}


def test_arithmetic_solutions_word_for_word():
    task, rng = Arithmetic(), random.Random(0)
    steps = ["40+30", "7+8", "s1+s2"]
    meta = {"kind": "add", "language": "en", "expression": "47 + 38", "steps": steps}
    problem = Problem("arithmetic", "What is 47 + 38?", "85", "add:38+47", 3, meta)
    assert task.solution(problem, rng, "reflex") == " #### 85"
    assert (
        task.solution(problem, rng, "steps")
        == "\n<<40+30=70>>70\n<<7+8=15>>15\n<<70+15=85>>85\n#### 85"
    )
    assert task.solution(problem, rng, "plan_verify") == (
        "\nPlan: tens, ones, sum.\n1. <<40+30=70>>70\n2. <<7+8=15>>15\n3. <<70+15=85>>85\n"
        "Check: <<85-38=47>>47, ok.\n#### 85"
    )


def test_a_careless_step_is_carried_on():
    """Exactly one equation is false: everything after the slip is worked faithfully on it."""
    task, rng = Arithmetic(), random.Random(9)
    for problem in drawn(task):
        found = equations(task.solution(problem, rng, "careless"))
        assert [check_equation(*equation) for equation in found].count(False) == 1
        assert len(found) == problem.difficulty


def test_arithmetic_keys():
    assert canonical_key("add", "47 + 38") == canonical_key("add", "38 + 47")
    assert canonical_key("chain", "6 * 4 - 5 + 2") == canonical_key("chain", "4 * 6 + 2 - 5")
    assert canonical_key("subtract", "9 - 5") != canonical_key("subtract", "5 - 9")
    assert canonical_key("chain", "9 - 5 + 2") != canonical_key("chain", "9 + 5 - 2")


def test_a_fixed_set_has_no_sum_twice():
    assert len({p.key for p in Arithmetic().problems("test", 1000)}) == 1000
    with pytest.raises(UserError, match="only .* different test problems"):
        Arithmetic(1, 1, kinds=("add",)).problems("test", 100)
    for options in (
        {"max_digits": 9},
        {"min_digits": 3, "max_digits": 2},
        {"kinds": ("divide",)},
        {"kinds": ()},
    ):
        with pytest.raises(UserError):
            Arithmetic(**options)


def test_a_quarter_is_spanish():
    for task in (Arithmetic(), General()):
        share = sum(p.meta["language"] == "es" for p in draw(task, "train", 1000)) / 1000
        assert 0.2 < share < 0.3
    assert all(p.meta["language"] == "en" for p in draw(Arithmetic(spanish=0), "train"))


# ---- general


def test_general_has_all_its_kinds_in_both_languages():
    seen = {(p.meta["kind"], p.meta["language"]) for p in draw(General(spanish=0.5), "train", 1500)}
    assert seen == {(kind.name, language) for kind in KINDS for language in ("en", "es")}
    assert len(KINDS) >= 8
    assert {p.meta["kind"] for p in draw(General(), "ood", 300)} == {
        kind.name for kind in KINDS if kind.grows
    }


def test_general_holds_out_the_content_of_skills_and_the_wording_of_facts():
    facts = {kind.name for kind in KINDS if kind.fact}
    for problem in draw(General(), "train", 400):
        kind = problem.meta["kind"]
        assert (problem.prompt in problem.key) == (kind in facts), problem


def test_general_samples_every_split_in_one_language():
    for spanish in (0, 1):
        for split in ("train", "validation", "test", "ood"):
            assert draw(General(spanish=spanish), split, 20)


def test_general_grades_line_and_case():
    task = General()
    hello = Problem(
        "general", "Say hello to Ana.", "Hello, Ana!", "greet:Ana", meta={"kind": "greet"}
    )
    capital = Problem(
        "general", "Capital letter: cat", "Cat", "capitalize:cat", meta={"kind": "capitalize"}
    )
    for problem, completion, correct, formatted, reason in [
        (hello, " Hello, Ana!", True, True, "right"),
        (hello, "\n HELLO, ANA! \n", True, True, "right"),
        (hello, " Hello, Ana!\nHello, Ben!", True, False, "text after the answer"),
        (hello, " Hello, Ana! And Ben!", False, True, "wrong answer"),
        (hello, " \n ", False, False, "no answer"),
        (hello, "\n<<1+1=2>>2\n#### Hello, Ana!", False, False, "wrong answer"),
        (capital, " Cat", True, True, "right"),
        (capital, " cat", False, True, "wrong answer"),
    ]:
        grade = task.grade(problem, completion)
        assert (grade.correct, grade.formatted, grade.reason) == (correct, formatted, reason), (
            completion
        )
    decomposed = Problem("general", "?", "París", "k", meta={"kind": "capital"})
    assert task.grade(decomposed, " Pari\u0301s").correct


# ---- gsm8k: a user's own file


def test_gsm8k_splits_by_question(gsm8k_file):
    task = GSM8K(gsm8k_file)
    sizes = {split: len(task.by_split[split]) for split in ("train", "validation", "test", "ood")}
    assert sum(sizes.values()) == 200 and sizes["train"] > 130 and sizes["ood"] == 0
    with pytest.raises(UserError, match="no problem in the split 'ood'"):
        task.sample(random.Random(0), "ood")
