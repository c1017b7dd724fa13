"""The grader: right is right, each mistake is named, and values cross between two processes as they
are."""

import doctest
import json
import types
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course import grade
from course.grade import classroom, lecture, process, remote, results, student, writing
from course.grade.errors import Dead, Rejected
from course.submission import functions, wire
from tests.toy_lecture import CHECKS, SLOPE, a_lecture

ROOT = Path(__file__).resolve().parent.parent
LECTURES = sorted(path.parent for path in ROOT.glob("lectures/*/checks.py"))


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return grade.load_lecture(a_lecture(tmp_path_factory.mktemp("course") / "01_toy"))


# -- verdicts --------------------------------------------------------------------------------------


def test_a_forged_message_is_only_a_value(toy, tmp_path):
    """Whoever finds the pipe can claim a return value, not a grade; noise on the pipe is a broken
    line."""
    file = tmp_path / "forger.py"
    file.write_text(
        "import os\ndef double(x):\n    for n in range(3, 20):\n        try:\n"
        '            os.write(n, b\'{"value": 5, "score": 100, "passed": true}\\n\')\n'
        "        except OSError:\n            pass\n    return 0\n",
        encoding="utf-8",
    )
    first, second = grade.grade_file(toy, file, seconds=5)
    assert not first.passed and not second.passed


def test_patching_torch_in_the_submission_changes_no_verdict(toy, tmp_path):
    file = tmp_path / "patch.py"
    file.write_text(
        "import torch\ntorch.allclose = lambda *a, **k: True\n"
        "torch.Tensor.__eq__ = lambda *a: True\n"
        "def double(x):\n    return x * x\ndef slope(x):\n    return x.sum().detach()\n",
        encoding="utf-8",
    )
    first, second = grade.grade_file(toy, file, seconds=5)
    assert first.message == "you squared it" and "no gradient flows" in second.message


def test_an_exercise_that_hangs_hangs_once(tmp_path):
    """A class with a few endless loops must not take an afternoon."""
    checks = (
        CHECKS + "\n@exercise('double', points=1)\ndef again(student):\n    student.double(1.0)\n"
    )
    twice = grade.load_lecture(a_lecture(tmp_path / "04_twice", checks))
    calls = []

    class Hanging(grade.LocalStudent):
        def double(self, x):
            calls.append(x)
            raise Dead(["TimeoutError"], "took too long")

    first, second, third = grade.grade_student(
        twice, Hanging({"double": abs, "slope": lambda x: (x * x).sum()})
    )
    assert len(calls) == 1 and first.message == third.message == "took too long" and second.passed
    assert [o.exercise.points for o in (first, second, third)] == [2, 3, 1]


def test_a_busy_or_paused_machine_costs_nobody_points(tmp_path, monkeypatch):
    """Catches: a limit on the wall's clock alone, and an endless sleep that is never stopped."""
    now, state = [0.0], [0.0, "R"]
    monkeypatch.setattr(remote, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(process, "usage", lambda pid: tuple(state))
    student = remote.RemoteStudent(tmp_path / "exercises.py", seconds=2)
    student._process = types.SimpleNamespace(pid=1)
    student._wind(2)
    now[0], state[0] = 1000.0, 0.5
    assert student._left() == 1.5, "waited long for a processor, and used half a second of it"
    now[0], state[1] = 5000.0, "T"
    assert student._left() > 0, "somebody shut the laptop"
    state[1] = "S"
    for _ in range(5):
        now[0] += 2
        left = student._left()
    assert left <= 0, "it sleeps"
    student._wind(2)
    state[:] = 2.6, "R"
    assert student._left() <= 0, "it computes for too long"


def test_the_answers_may_not_be_imported(toy, tmp_path):
    file = tmp_path / "copy.py"
    file.write_text("x = 1\nfrom minilrm import objectives\n", encoding="utf-8")
    assert {(o.score, o.line) for o in grade.grade_file(toy, file)} == {(0, 2)}


# -- pieces ----------------------------------------------------------------------------------------


def test_an_odd_value_is_the_students_and_is_described(toy):
    for odd in ("text", None, torch.zeros(3), [1, 2, 3], {"a": 1}):
        functions = dict.fromkeys(("double", "slope"), lambda x, odd=odd: odd)
        outcomes = grade.grade_student(toy, grade.LocalStudent(functions))
        assert [o.score for o in outcomes] == [0, 0] and all(o.message for o in outcomes)


def test_results_in_gradescopes_format(toy):
    outcomes = grade.grade_student(
        toy, grade.LocalStudent({"double": lambda x: x * x, "slope": lambda x: (x * x).sum()})
    )
    found = json.loads(json.dumps(grade.gradescope(outcomes)))
    assert found["score"] == 3 and [t["score"] for t in found["tests"]] == [0, 3]
    assert found["tests"][0]["output"] == "you squared it" and found["tests"][0]["max_score"] == 2
    shown = grade.table(outcomes)
    assert "you squared it" in shown and "total" in shown and "3 / 5" in shown


def test_what_is_not_written_yet_is_called_so(toy):
    def stub(x):
        raise NotImplementedError

    outcomes = grade.grade_student(toy, grade.LocalStudent({"double": stub, "slope": stub}))
    assert [o.message for o in outcomes] == ["not written yet"] * 2 and all(
        o.unwritten for o in outcomes
    )


def test_terminal_escapes_of_a_submission_are_not_printed():
    error = student.student_error({"kinds": ["ValueError"], "text": "\x1b[2Jgone\n", "line": "x"})
    assert "\x1b" not in error.text and error.line is None


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.fractions()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(VALUES)
def test_values_cross_unchanged(value):
    crossed = wire.Codec(None).decode(json.loads(json.dumps(wire.Codec(None).encode(value))))
    assert repr(crossed) == repr(value)  # repr: NaN is NaN, and True is not 1


@settings(derandomize=True, max_examples=60, deadline=None)
@given(VALUES)
def test_a_value_that_has_crossed_has_the_same_content(value):
    """Catches: a function that is accused of changing what it has only been given."""
    sent = json.loads(json.dumps(wire.Codec(None).encode(value)))
    again = wire.Codec(None).encode(wire.Codec(None).decode(sent))
    assert wire.content(again) == wire.content(sent)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensors_cross_unchanged(dtype, shape):
    tensor = torch.ones(shape).to(dtype)
    crossed = wire.Codec(None).decode(json.loads(json.dumps(wire.Codec(None).encode(tensor))))
    assert crossed.dtype == dtype and crossed.shape == tensor.shape and torch.equal(crossed, tensor)


def test_what_cannot_cross_is_named():
    with pytest.raises(TypeError, match="a module"):
        wire.Codec(None).encode(torch)
    with pytest.raises(ValueError, match="unknown kind"):
        wire.Codec(None).decode({"~": "dataclass", "module": "subprocess", "name": "Popen"})


def test_functions_and_exceptions_cross(tmp_path):
    """A student's function may take functions, raise, and give back functions and generators."""
    file = tmp_path / "f.py"
    file.write_text(
        "def twice(f, x):\n    return f(f(x, by=0.25), by=0.25)\n\n"
        "def adder(n):\n    return lambda x: x + n\n\n"
        "def bad(x):\n    raise KeyError(x)\n\ndef gen(n):\n    yield from range(n)\n",
        encoding="utf-8",
    )
    with grade.RemoteStudent(file, seconds=10) as one:
        one.begin("twice")
        assert one.twice(lambda x, by: x + 2 * by, Fraction(1, 2)) == 1.5
        assert one.adder(2)(40) == 42
        assert list(one.gen(3)) == [0, 1, 2]
        grade.expect_raises(LookupError, lambda: one.bad("x"), "a base class will do")
        with pytest.raises(Rejected, match="KeyError"):
            grade.expect_raises(ValueError, lambda: one.bad("x"), "it must be a ValueError")
        with pytest.raises(grade.StudentError, match="no function missing"):
            one.begin("missing")


def test_gradients_cross_also_through_a_function_of_the_check(tmp_path):
    """Catches: the tensor that the check's function got, counted among the call's own."""
    file = tmp_path / "f.py"
    file.write_text("def f(g, x):\n    return (g(3 * x) * x * x).sum()\n", encoding="utf-8")
    with grade.RemoteStudent(file, seconds=10) as one:
        one.begin("f")
        x = torch.tensor([2.0], requires_grad=True)
        (slope,) = grade.gradients(one.f(lambda y: float(y.detach().sum()), x), x)
    assert slope.tolist() == [24.0], "6 * 2 * x, the factor 6 being a number"


def test_a_loop_that_asks_the_check_for_ever_is_stopped(tmp_path):
    """Catches: a clock that is looked at only where no message comes."""
    file = tmp_path / "f.py"
    file.write_text("def ask(f):\n    while True:\n        f(1)\n", encoding="utf-8")
    with grade.RemoteStudent(file, seconds=0.5) as one:
        one.begin("ask")
        with pytest.raises(Dead, match="took longer than 0.5 s"):
            one.ask(lambda x: x)


def test_a_mistake_is_named_and_an_unknown_one_is_shown():
    with pytest.raises(Rejected, match="^twice$"):
        grade.expect_close(2.0, 1.0, "wrong", {"twice": 2.0})
    with pytest.raises(Rejected, match="you returned 3.0, it should be 1.0"):
        grade.expect_close(3.0, 1.0, "wrong", {"twice": 2.0})
    with pytest.raises(Rejected, match="shape"):
        grade.expect_close(torch.zeros(1), torch.zeros(2), "wrong")
    grade.expect_close(1.0 + 1e-9, 1.0, "wrong")


@pytest.mark.parametrize("module", [wire, functions, lecture, writing, classroom])
def test_the_examples_in_the_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


def test_a_line_given_for_a_mistake_is_the_submissions_own(toy, tmp_path):
    """Not a line of torch, in which the exception arose."""
    file = tmp_path / "shape.py"
    file.write_text(
        "import torch\ndef double(x):\n    y = x\n    return torch.stack([y, torch.zeros(7)])\n"
        + SLOPE,
        encoding="utf-8",
    )
    first, second = grade.grade_file(toy, file, seconds=10)
    assert first.line == 4 and "RuntimeError" in first.message and second.passed
    assert "shape.py, line 4" in results.table([first, second], file.name)
