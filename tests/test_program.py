"""Programs to trace: Python itself gives the same answers, no structure of a test program stands in
training, each rung varies what it says, and solutions are judged line by line."""

import doctest
import importlib
import json
import random
import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilrm.errors import UserError
from minilrm.tasks import get_task
from minilrm.tasks.base import SOLUTION_STYLES, problem_rng, split_of
from minilrm.tasks.program import language
from minilrm.tasks.program.drafts import SEEN, UNSEEN
from minilrm.tasks.program.interpreter import execute
from minilrm.tasks.program.ladder import LADDER, LARGEST, LENGTHS, MOST_TURNS
from minilrm.tasks.program.language import ProgramError, parse
from minilrm.tasks.program.solutions import REASONS, canonical
from minilrm.tasks.program.task import pose

TASK = get_task("program")
N = 60
repeatable = settings(derandomize=True, deadline=None, max_examples=100)


@pytest.fixture(scope="module")
def training():
    return [TASK.sample(problem_rng(1, i, "test of programs"), "train") for i in range(N)]


@pytest.fixture(scope="module")
def rungs():
    return {name: TASK.rung_problems(name, 3) for name in TASK.rungs}


@pytest.fixture(scope="module")
def everything(training, rungs):
    return training + [problem for problems in rungs.values() for problem in problems]


def tree_of(problem):
    return parse(problem.meta["program"])


@pytest.mark.parametrize("name", ["language", "interpreter", "solutions", "task"])
def test_the_examples_in_the_text_are_true(name):
    failed, run = doctest.testmod(importlib.import_module(f"minilrm.tasks.program.{name}"))
    assert run and not failed


# -- answers ---------------------------------------------------------------------------------------

# Real Python runs each program, in a process of its own, and tells what it ended with.
REFEREE = """
import json, sys, traceback
told = []
for program in json.load(sys.stdin):
    names = {}
    try:
        exec(compile(program, "program", "exec"), names)
        names.pop("__builtins__")
        told.append({name: repr(value) for name, value in names.items()})
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)[1:]
        stack = [[f.lineno, f.name.replace("<module>", "main")] for f in frames]
        told.append({"error": type(error).__name__, "stack": stack})
print(json.dumps(told))
"""


def test_python_itself_gives_the_same_answers(everything):
    """Catches: an interpreter that agrees with its own solutions alone."""
    programs = json.dumps([p.meta["program"] for p in everything])
    command = [sys.executable, "-I", "-S", "-c", REFEREE]
    done = subprocess.run(command, input=programs, capture_output=True, text=True, check=True)
    for problem, told in zip(everything, json.loads(done.stdout), strict=True):
        run = execute(tree_of(problem))
        if problem.meta["question"] == "value":
            assert told[problem.meta["name"]] == problem.answer
        else:
            assert told["error"] == REASONS[run.crash.reason], problem.prompt
            assert [tuple(place) for place in told["stack"]] == list(run.crash.stack)
        if problem.meta["question"] == "crash":
            assert problem.answer == f"line {told['stack'][-1][0]}, {run.crash.reason}"
        if problem.meta["question"] == "blame":
            assert problem.prompt.endswith(told["error"])


@pytest.mark.parametrize(
    ("program", "made"),
    [
        ("x = 0\ny = x\nz = 5 // y", 1),  # a copy makes nothing
        ("def f(p):\n    return 7 // p\nx = 3\nx = x - 3\ny = f(x)", 4),  # nor an argument
        ("def f(p):\n    if p > 5:\n        return p\nx = f(2)\ny = x + 1", 4),  # no `return`
        ("a = [4]\nfor i in range(3):\n    x = a[i]", 2),
        ("d = {'red': 1}\nk = 'blue'\nx = d[k]", 2),
        ("d = {'red': 1}\nx = d.get('blue')\ny = x + 1", 2),
        ("x = 3\nx -= 3\nwhile x < 9:\n    x = x % x", 2),
    ],
)
def test_which_line_made_it(program, made):
    assert pose(program, "blame", "").answer == f"line {made}"


def test_every_question_and_reason_is_asked(training):
    asked = {(p.meta["question"], p.answer.partition(", ")[2]) for p in training}
    assert {("crash", reason) for reason in REASONS} <= asked
    assert {"value", "blame"} <= {question for question, _ in asked}


# -- structures ------------------------------------------------------------------------------------


def test_no_structure_of_another_split_by_enumeration(training, rungs):
    """Catches: a split by numbers or names, after which a test program's shape is in training."""
    keys = {p.key for p in training}
    assert len(keys) > 0.8 * N and {split_of(key) for key in keys} == {"train"}
    assert {split_of(p.key) for p in rungs["new structures"]} == {"test"}
    for name, problems in rungs.items():
        assert name == "seen structures" or not keys & {p.key for p in problems}
        if name != "seen structures" and not LADDER[name].unseen:
            assert {split_of(p.key) for p in problems} == {"test"}
    tuned_on = TASK.rung_problems("other order", 4, "validation")
    assert not {p.key for p in tuned_on} & {p.key for p in rungs["other order"]}


def test_the_key_has_no_numbers_names_or_operators():
    one = "def f(p):\n    return p * 2\nx = 3\nif x > 2:\n    x = f(x)"
    two = "def g(u):\n    return u - 9\ny = 8\nif y < 5:\n    y = g(y)"
    other = "def g(u):\n    return u - 9\ny = 8\nif y < 5:\n    y = g(4)"
    assert pose(one, "value", "x").key == pose(two, "value", "y").key
    assert pose(one, "value", "x").key != pose(other, "value", "y").key


# -- rungs -----------------------------------------------------------------------------------------


def facts(problem):
    """What the rungs vary, read from the program and its run."""
    tree, run = tree_of(problem), execute(tree_of(problem))
    numbers = [int(n) for step in run.steps for n in re.findall(r"[0-9]+", str(step))]
    text = problem.meta["program"].split("\n")
    return {
        "statements": language.count_statements(tree),
        "depth": language.depth(tree.body),
        "turns": run.turns,
        "largest": max(numbers),
        "nested": run.nested,
        "calls in loops": language.calls_in_loops(tree),
        "late": any(line.startswith("def") for line in text) and not text[0].startswith("def"),
    }


def test_training_shows_nothing_that_a_rung_varies(training):
    names = {name for kind in vars(UNSEEN).values() for name in kind} - {
        name for kind in vars(SEEN).values() for name in kind
    }
    for problem in training:
        found = facts(problem)
        assert found["statements"] in LENGTHS and found["depth"] <= 2
        assert found["turns"] <= MOST_TURNS and found["largest"] <= LARGEST
        assert found["nested"] <= 1 and not found["calls in loops"] and not found["late"]
        assert not names & set(re.findall(r"\w+", problem.meta["program"]))


def test_each_rung_varies_what_it_says(rungs):
    found = {name: [facts(problem) for problem in problems] for name, problems in rungs.items()}
    assert {it["statements"] for it in found["11 statements"]} == {11}
    assert {it["statements"] for it in found["12 statements"]} == {12}
    assert {it["depth"] for it in found["deeper nesting"]} == {3}
    assert all(99 < it["largest"] <= 300 for it in found["to 300"])
    assert all(300 < it["largest"] <= 1000 for it in found["to 1000"])
    assert all(4 <= it["turns"] <= 6 for it in found["longer loops"])
    assert all(it["late"] for it in found["other order"])
    assert all(it["calls in loops"] and it["nested"] for it in found["calls in loops"])
    assert all(it["nested"] >= 2 for it in found["calls of calls"])
    for problem in rungs["new names"]:
        seen = set(SEEN.numbers + SEEN.lists + SEEN.dicts + SEEN.functions + SEEN.keys)
        assert not seen & set(re.findall(r"\w+", problem.meta["program"]))


def test_prompt_and_solution_stay_below_400_tokens(everything, tokenizer):
    for problem in everything:
        for style in SOLUTION_STYLES:
            solution = TASK.solution(problem, random.Random(0), style)
            assert len(tokenizer.encode(TASK.render(problem) + solution)) < 400
            assert len(tokenizer.encode(solution)) < TASK.max_new_tokens


# -- solutions and their judges --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "right"), [("reflex", 1), ("steps", 1), ("plan_verify", 1), ("careless", 0)]
)
def test_solutions_are_right_and_the_careless_ones_wrong(everything, style, right):
    for problem in everything:
        solution = TASK.solution(problem, random.Random(0), style)
        grade = TASK.grade(problem, solution)
        assert grade.formatted and grade.correct == bool(right), (problem.prompt, solution)
        assert TASK.thinks(solution) == (style != "reflex") and not TASK.runs_on(solution)
        labels = TASK.step_labels(problem, solution)
        assert labels[-1] == bool(right) and (all(labels) if right else labels[0])
        assert labels == sorted(labels, reverse=True)  # once wrong, always wrong


def test_step_labels_find_the_first_false_line():
    problem = pose("x = 3\nfor i in range(2):\n    x += i", "value", "x")
    lines = TASK.solution(problem, random.Random(0)).split("\n")[1:]
    for at in range(len(lines)):
        for change in ("", lines[at] + "0"):
            broken = [*lines[:at], *([change] if change else []), *lines[at + 1 :]]
            labels = TASK.step_labels(problem, "\n" + "\n".join(broken))
            # A step left out shows in the step behind it; the last one, or the answer, nowhere.
            expected = 1 + at if at < len(lines) - 2 or change else len(labels)
            assert sum(labels) == min(expected, len(labels)), broken
    assert TASK.step_labels(problem, "") == []


@pytest.mark.parametrize(
    ("answer", "right", "wrong"),
    [
        ("12", ("12", " 12 ", "12."), ("-12", "1 2", "12, 13", "line 12", "", "1e1", "٣")),
        ("[3, 5]", ("[3,5]", "[ 3, 5 ]"), ("[5, 3]", "[3]", "3, 5", "[3, 5")),
        ("None", ("None",), ("0", "none")),
        ("line 4, zero", ("4, zero", "Line 4: ZERO"), ("line 4", "line 4, key", "zero")),
        ("line 4", ("4", "line 4."), ("line 5", "line 4, zero", "line four")),
    ],
)
def test_how_answers_are_read(answer, right, wrong):
    program = {"12": "x = 12", "[3, 5]": "x = [3, 5]", "None": "x = None"}
    broken = (
        "x = 2\ny = 3\nz = y\ny = x // 0"
        if "," in answer
        else "x = 2\ny = x\nz = 3\nu = 0\nx = y // u"
    )
    question = "value" if answer in program else "crash" if "," in answer else "blame"
    problem = pose(program.get(answer, broken), question, "x")
    assert problem.answer == answer
    for text in right:
        assert TASK.grade(problem, f"\n#### {text}").correct, text
        assert TASK.vote_key(problem, text) == answer
    for text in wrong:
        assert not TASK.grade(problem, f"\n#### {text}").correct, text


@repeatable
@given(st.one_of(st.text(), st.text(alphabet="#0123456789:[], lineNozrk<>=+-\n")))
def test_judges_are_total(text):
    problem = pose("x = 3\nx += 4", "value", "x")
    grade = TASK.grade(problem, text)
    assert isinstance(grade.correct, bool) and grade.reason
    assert all(isinstance(label, bool) for label in TASK.step_labels(problem, text))
    assert TASK.vote_key(problem, text) in (None, canonical(text))
    assert isinstance(TASK.thinks(text), bool)


# -- the language ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "import os", "x = __import__('os')", "x = (lambda: 3)()", "x = [i for i in a]",
        "x = 3.5", "x = True", "x = 10**9", "del x", "x = y", "x = a.b", "print(3)", "x: int = 3",
        "def f(p=3):\n    return p\nx = f()", "while 1 < 2:\n    x = 3", "x = [[1]]", "x = {1, 2}",
        "def f(p):\n    x = f(p)\n    return x\ny = f(1)", "x = -x", "a = [1]\na.append(a)",
        "x = 999999\nwhile x > 0:\n    x = x * x", "x = " + "(" * 300 + "1" + ")" * 300, "",
        "x = " + "1+" * 300 + "1", "x" * 3000, "x = 'a' * 9", "x = 3\nx()", "\x00", "x = d[1:2]",
    ],
)  # fmt: skip
def test_what_is_not_in_the_language_is_refused(text):
    with pytest.raises(ProgramError):
        execute(parse(text))


@repeatable
@given(st.text(alphabet="xyaf()[]{}:=+-*/%<>., \n0123'defifwhilereturnNone", max_size=80))
def test_any_text_is_a_program_or_refused(text):
    try:
        execute(parse(text))
    except ProgramError:
        pass


def test_a_program_of_ones_own():
    text = "What is x at the end?\nx = 3\nif x > 2:\n    x = x + 4\n"
    problem = TASK.question(text)
    assert problem.answer == "7" and TASK.render(problem).endswith("3     x = x + 4\nAnswer:")
    assert TASK.question(problem.prompt) == problem  # with line numbers
    broken = TASK.question("Which line crashes, and why?\nx = 0\ny = 5 // x")
    assert broken.answer == "line 2, zero"
    asked = "Which line made the zero?\nx = 0\ny = 5 // x\nTraceback: line 2 in main"
    assert TASK.question(asked).answer == "line 1"
    for wrong in ("x = 3", "What is x at the end?", "What is y at the end?\nx = 3", "hello\nx = 3",
                  "What is x at the end?\nx = 1 // 0", "Which line crashes?\nx = 1"):  # fmt: skip
        with pytest.raises(UserError):
            TASK.question(wrong)


def test_a_problem_survives_json_and_comes_again(training):
    for problem in training[:10]:
        assert TASK.from_record(json.loads(json.dumps(TASK.to_record(problem)))) == problem
    assert TASK.rung_problems("new names", 2) == TASK.rung_problems("new names", 4)[:2]
    with pytest.raises(UserError, match="tset"):
        TASK.sample(random.Random(0), "tset")
    assert "ood" in TASK.sample(random.Random(0), "ood").meta
