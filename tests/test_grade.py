"""The grader: right is right, each mistake is named, a hostile submission harms nobody else, and
what is broken on our side is never somebody's 0."""

import csv
import doctest
import json
import random
import sys
import types
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course import grade
from course.grade import classroom, lecture, nursery, remote, results, wire
from minilrm.errors import UserError

CHECKS = """
import torch
from course.grade import exercise, expect, expect_close, gradients

FORBIDDEN = ("minilrm.objectives",)

@exercise("double", points=2)
def value(student):
    expect_close(student.double(torch.tensor([1.0, 2.0])), torch.tensor([2.0, 4.0]), "twice x",
                 {"you squared it": torch.tensor([1.0, 4.0])})

@exercise("slope", points=3)
def by_autograd(student):
    x = torch.tensor([3.0], requires_grad=True)
    found, = gradients(student.slope(x), x)
    expect_close(found, torch.tensor([6.0]), "the slope of x^2")
"""
RIGHT = "def double(x):\n    return x + x\n\ndef slope(x):\n    return (x * x).sum()\n"
SLOPE = "\n\ndef slope(x):\n    return (x * x).sum()\n"


def a_lecture(folder, checks=CHECKS, solution=RIGHT):
    folder.mkdir(parents=True)
    (folder / "checks.py").write_text(checks, encoding="utf-8")
    (folder / "solutions.py").write_text(solution, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return grade.load_lecture(a_lecture(tmp_path_factory.mktemp("course") / "01_toy"))


# -- one file, each case in the one child process that the module shares where it can --------------

HOSTILE = {  # body of double -> what its author reads
    "hangs": ("while True: pass", "took longer than 1 s"),
    "leaves": ("import sys; sys.exit(0)", "leaves the program"),
    "kills itself": ("import os; os._exit(0)", "ended the process"),
    "prints megabytes": ("print('x' * 20_000_000); return x + x", ""),
    "eats memory": ("return torch.zeros(10**10)", "memory"),
    "saves by torch": ("torch.save(x, 'here.pt'); return x + x", "tried to write a file by torch"),
    "shares memory with a file": (
        "return torch.from_file('here', shared=True, size=1)",
        "tried to write a file by torch",
    ),
    "opens a database": ("import sqlite3; sqlite3.connect('here.db')", "tried sqlite3.connect"),
}


@pytest.fixture(scope="module")
def graded(toy, tmp_path_factory):
    """A class of honest, wrong, broken and hostile submissions, graded once."""
    folder = tmp_path_factory.mktemp("class")
    victim = folder.parent / "victim.txt"
    victim.write_text("mine")
    bodies = {name: body for name, (body, _) in HOSTILE.items()}
    bodies["writes outside"] = f"open({str(victim)!r}, 'w'); return x + x"
    files = {
        name: f"import torch\ndef double(x):\n    {body}{SLOPE}" for name, body in bodies.items()
    }
    files["cannot be imported"] = "import no_such_module\n" + RIGHT
    files["=ana"] = files["two words"] = RIGHT
    for name, text in files.items():
        (folder / name).mkdir()
        (folder / name / "exercises.py").write_text(text, encoding="utf-8")
    as_bytes = {
        "bom": b"\xef\xbb\xbf" + RIGHT.encode(),
        "crlf": RIGHT.replace("\n", "\r\n").encode(),
        "latin": ("# caf\xe9\n" + RIGHT).encode("latin-1"),
    }
    for name, data in as_bytes.items():
        (folder / f"{name}.py").write_bytes(data)
    said = []
    grades = grade.grade_class(toy, folder, say=said.append, seconds=1, memory_mb=2048)
    return grades, victim, said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_submission_is_its_own_result(graded, name):
    outcomes = graded[0][name]
    wanted = HOSTILE[name][1]
    assert wanted in outcomes[0].message and outcomes[0].score == (0 if wanted else 2)
    assert outcomes[1].passed, "the next exercise of the same file is graded in a fresh process"


def test_a_submission_cannot_write_outside(graded):
    grades, victim, _ = graded
    assert "tried to write victim.txt" in grades["writes outside"][0].message
    assert victim.read_text() == "mine"


def test_an_import_error_names_the_module_and_the_line(graded):
    outcome = graded[0]["cannot be imported"][0]
    assert "no_such_module" in outcome.message and outcome.line == 1


def test_the_others_are_not_harmed(graded, toy):
    grades, _, said = graded
    assert [o.score for o in grades["=ana"]] == [2, 3]
    rows = list(csv.DictReader(grade.to_csv(toy, grades).splitlines()))
    assert len(rows) == len(said) == 15
    assert {row["submission"]: row["total"] for row in rows}["'=ana"] == "5", (
        "a name must not become a formula"
    )
    assert sum(row["total"] == "5" for row in rows) == 5


def test_encodings_of_editors(graded):
    """Bytes that editors put in do no harm; what is not UTF-8 is told so in words that help."""
    grades = graded[0]
    assert [sum(o.score for o in grades[name]) for name in ("bom", "crlf", "two words")] == [
        5,
        5,
        5,
    ]
    assert all(o.score == 0 and "encoding UTF-8" in o.message for o in grades["latin"])


# -- what lies in a folder of submissions ----------------------------------------------------------


def test_each_student_gets_a_row_and_a_reason(toy, tmp_path):
    """Catches: two students of one name of whom one is lost, an archive that is dropped in silence,
    a link to the answers."""
    for name in (
        "ana/exercises.py",
        "ana.py",
        "two/exercises.py",
        "two/old/exercises.py",
        "other/exercises (1).py",
        "deep/a b/exercises.py",
        "mac/exercises.py",
        "mac/__MACOSX/exercises.py",
        "carla.zip",
        ".hidden/x",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(RIGHT)
    (tmp_path / "empty").mkdir()
    found, others = classroom.submissions(tmp_path)
    assert {name for name, file in found.items() if not isinstance(file, str)} == {
        "ana",
        "ana.py",
        "deep",
        "mac",
    }
    assert (
        "2 files" in found["two"]
        and "exercises (1).py" in found["other"]
        and "empty" in found["empty"]
    )
    assert others == ["carla.zip"]
    with pytest.raises(UserError, match="unpack it"):
        classroom.submissions(tmp_path / "carla.zip")


def test_a_link_to_the_reference_is_not_followed(toy, tmp_path):
    (tmp_path / "eve").mkdir()
    try:
        (tmp_path / "eve" / "exercises.py").symlink_to(toy.folder / "solutions.py")
    except OSError:
        pytest.skip("this system makes no links")
    assert "outside the submission" in classroom.submissions(tmp_path)[0]["eve"]


def test_a_comment_is_said_once(toy):
    """A failed import is one reason, not one for each check."""
    outcomes = [results.Outcome(e, 0, "no such module") for e in toy.exercises]
    assert classroom.comments(outcomes) == "everything: no such module"
    assert results.table(outcomes).count("no such module") == 1
    mixed = [results.Outcome(toy.exercises[0], 0, "no"), results.Outcome(toy.exercises[1], 3)]
    assert classroom.comments(mixed) == "double: value: no"


@pytest.mark.parametrize(
    "words, said",
    [
        (["--submissions", "{}/class.zip", "--csv", "{}/g.csv"], "unpack it"),
        (["--submissions", "{}/none"], "there is no folder"),
        (["--submissions", "{}", "--csv", "{}/none/g.csv"], "there is no folder"),
        (["--submissions", "{}", "--csv", "{}"], "is a folder; name a file in it"),
        (["--submissions", "{}", "--json", "{}/r.json"], "give one pair"),
        (["--file", "{}/nobody.py"], "there is no file"),
        (["--file", "{}"], "is a folder; name the file in it"),
        (["--csv", "{}/g.csv"], "--submissions"),
    ],
)
def test_a_bad_command_is_one_line(toy, tmp_path, capsys, words, said):
    """And it is said before anything is graded: no process is started here."""
    (tmp_path / "class.zip").write_text("PK")
    with pytest.raises(SystemExit) as left:
        grade.main([str(toy.folder), *(word.format(tmp_path) for word in words)])
    error = capsys.readouterr().err
    assert left.value.code == 2 and said in error and error.count("\n") == 1


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
            raise remote.Dead(["TimeoutError"], "took too long")

    first, second, third = grade.grade_student(
        twice, Hanging({"double": abs, "slope": lambda x: (x * x).sum()})
    )
    assert len(calls) == 1 and first.message == third.message == "took too long" and second.passed
    assert [o.exercise.points for o in (first, second, third)] == [2, 3, 1]


def test_a_busy_or_paused_machine_costs_nobody_points(tmp_path, monkeypatch):
    """Catches: a limit on the wall's clock alone, and an endless sleep that is never stopped."""
    now, state = [0.0], [0.0, "R"]
    monkeypatch.setattr(remote, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(nursery, "usage", lambda pid: tuple(state))
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


# -- the grader's own faults are never a student's 0 -----------------------------------------------


def test_a_missing_reference_ends_the_grading(tmp_path):
    folder = a_lecture(tmp_path / "01_toy")
    (folder / "solutions.py").unlink()
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "ana.py").write_text(RIGHT)
    with pytest.raises(grade.GraderError, match="solutions.py is missing"):
        grade.grade_class(grade.load_lecture(folder), tmp_path / "class")


def test_a_reference_that_fails_ends_the_grading(toy, monkeypatch):
    wrong = [grade.Outcome(toy.exercises[0], 0, "wrong")]
    monkeypatch.setattr(classroom, "grade_file", lambda *a, **k: wrong)
    with pytest.raises(grade.GraderError, match="the reference itself fails"):
        classroom.prove(toy)


def test_a_check_that_cannot_run_is_an_error_of_the_grader(capsys, tmp_path, monkeypatch):
    checks = (
        "from course.grade import exercise\n@exercise('double', points=1)\n"
        "def value(student): import no_such_thing\n"
    )
    broken = grade.load_lecture(a_lecture(tmp_path / "02_broken", checks))
    with pytest.raises(grade.GraderError, match="no_such_thing"):
        grade.grade_student(broken, grade.LocalStudent({"double": abs}))
    monkeypatch.setattr(
        grade,
        "grade_file",
        lambda *a, **k: grade.grade_student(broken, grade.LocalStudent({"double": abs})),
    )
    with pytest.raises(SystemExit) as left:
        grade.main([str(broken.folder)])
    assert left.value.code == 2 and "nothing was graded" in capsys.readouterr().err


def test_a_process_that_does_not_start_is_an_error_of_the_grader(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    monkeypatch.setattr(nursery, "_nursery", [])
    with pytest.raises(grade.GraderError, match="nothing was graded"):
        grade.grade_file(toy, toy.folder / "solutions.py")


@pytest.mark.parametrize("checks", ["def broken(:", "x = 1"])
def test_checks_that_cannot_be_used_are_an_error_of_the_grader(tmp_path, checks):
    with pytest.raises(grade.GraderError):
        grade.load_lecture(a_lecture(tmp_path / "03_bad", checks))


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
    error = remote.student_error({"kinds": ["ValueError"], "text": "\x1b[2Jgone\n", "line": "x"})
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_tensors_cross_unchanged(dtype, shape):
    tensor = torch.ones(shape).to(dtype)
    crossed = wire.Codec(None).decode(json.loads(json.dumps(wire.Codec(None).encode(tensor))))
    assert crossed.dtype == dtype and crossed.shape == tensor.shape and torch.equal(crossed, tensor)


def test_what_cannot_cross_is_named():
    with pytest.raises(TypeError, match="a module"):
        wire.Codec(None).encode(torch)
    with pytest.raises(ValueError):
        wire.Codec(None).decode(
            {"~": "dataclass", "module": "subprocess", "name": "Popen", "fields": {}}
        )


def test_functions_generators_changes_and_exceptions_cross(tmp_path):
    """A student's function may take functions and random generators, change its arguments, raise
    and give back functions."""
    file = tmp_path / "f.py"
    file.write_text(
        "def twice(f, x):\n    return f(f(x))\n\ndef draw(rng):\n    return rng.random()\n\n"
        "def sort(items):\n    items.sort()\n\ndef adder(n):\n    return lambda x: x + n\n\n"
        "def bad(x):\n    raise KeyError(x)\n\ndef gen(n):\n    yield from range(n)\n",
        encoding="utf-8",
    )
    with grade.RemoteStudent(file, seconds=10) as student:
        student.begin("twice")
        assert student.twice(lambda x: x + 0.5, Fraction(1, 2)) == 1.5
        rng, twin = random.Random(3), random.Random(3)
        assert [student.draw(rng), student.draw(rng)] == [twin.random(), twin.random()]
        items = [3, 1, 2]
        student.sort(items)
        assert items == [1, 2, 3]
        assert student.adder(2)(40) == 42
        assert list(student.gen(3)) == [0, 1, 2]
        grade.expect_raises(LookupError, lambda: student.bad("x"), "a base class will do")
        with pytest.raises(lecture.Rejected, match="KeyError"):
            grade.expect_raises(ValueError, lambda: student.bad("x"), "it must be a ValueError")
        with pytest.raises(grade.StudentError, match="no function missing"):
            student.begin("missing")


def test_a_mistake_is_named_and_an_unknown_one_is_shown():
    with pytest.raises(lecture.Rejected, match="^twice$"):
        grade.expect_close(2.0, 1.0, "wrong", {"twice": 2.0})
    with pytest.raises(lecture.Rejected, match="you returned 3.0, it should be 1.0"):
        grade.expect_close(3.0, 1.0, "wrong", {"twice": 2.0})
    with pytest.raises(lecture.Rejected, match="shape"):
        grade.expect_close(torch.zeros(1), torch.zeros(2), "wrong")
    grade.expect_close(1.0 + 1e-9, 1.0, "wrong")


@pytest.mark.parametrize("module", [wire, lecture, classroom])
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
