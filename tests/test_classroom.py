"""A class is graded: each submission is its own result, whatever it does; grades are kept one by
one; a name is a name in any alphabet; and what is broken on our side is never somebody's 0."""

import contextlib
import csv
import io
import json
import sys
from pathlib import Path

import pytest

from course import build, grade
from course.grade import classroom, command, process, results
from minilrm.errors import UserError
from tests.toy_lecture import RIGHT, SLOPE, a_lecture

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return grade.load_lecture(a_lecture(tmp_path_factory.mktemp("course") / "01_toy"))


HOSTILE = {  # body of double -> what its author reads
    "hangs": ("while True: pass", "took longer than 1 s"),
    "leaves": ("import sys; sys.exit(0)", "leaves the program"),
    "kills itself": ("import os; os._exit(0)", "ended the process"),
    "prints megabytes": ("print('x' * 20_000_000); return x + x", ""),
    "eats memory": ("return torch.zeros(10**10)", "memory"),
    "saves by torch": ("torch.save(x, 'here.pt'); return x + x", "tried PyTorchFileWriter"),
    "shares memory with a file": (
        "return torch.from_file('here', shared=True, size=1)",
        "tried torch.from_file",
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
    grades = dict(grade.grade_class(toy, folder, say=said.append, seconds=1, memory_mb=2048))
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
    lines = [classroom.row(name, outcomes) for name, outcomes in grades.items()]
    rows = list(csv.DictReader([classroom.header(toy), *lines]))
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


# -- grades are kept one by one --------------------------------------------------------------------


def a_class(folder, **files):
    """A folder with these submissions."""
    (folder / "class").mkdir()
    for name, text in files.items():
        (folder / "class" / f"{name}.py").write_text(text, encoding="utf-8")
    return ["--submissions", str(folder / "class"), "--csv", str(folder / "grades.csv")]


def totals(folder):
    """The table as it is on the disk."""
    with (folder / "grades.csv").open(encoding="utf-8", newline="") as file:
        return {row["submission"]: row["total"] for row in csv.DictReader(file)}


def test_ctrl_c_loses_no_grade_that_is_finished(toy, tmp_path, capsys, monkeypatch):
    """Catches: a table that is written when the last submission has been graded."""
    graded, on_disk = [], []

    def at_the_third(lecture, file, **limits):
        if graded == ["ana", "ben"]:
            on_disk.append(totals(tmp_path))
            raise KeyboardInterrupt
        graded.append(file.stem)
        return results.grade_file(lecture, file, **limits)

    monkeypatch.setattr(classroom, "grade_file", at_the_third)
    words = a_class(tmp_path, ana=RIGHT, ben="x = 1\n", cem=RIGHT, dua=RIGHT)
    with pytest.raises(SystemExit) as left:
        grade.main([str(toy.folder), *words])
    assert left.value.code == 130 and "graded so far: 2" in capsys.readouterr().err
    assert on_disk == [{"ana": "5", "ben": "0"}] == [totals(tmp_path)]


def test_a_reference_that_fails_after_the_last_student_is_said(tmp_path, capsys):
    """Something that a submission did to the grader would show there."""
    checks = (
        "from course.grade import exercise, expect\nCALLS = []\n@exercise('double', points=1)\n"
        "def value(student):\n    CALLS.append(student.double(1))\n"
        "    expect(len(CALLS) < 3, 'tired')\n"
    )
    tiring = a_lecture(tmp_path / "01_tiring", checks)
    with pytest.raises(SystemExit) as left:
        grade.main([str(tiring), *a_class(tmp_path, ana=RIGHT)])
    error = capsys.readouterr().err
    assert left.value.code == 2 and "the reference itself fails 'double: value' (tired)" in error
    assert "do not use these grades" in error and totals(tmp_path) == {"ana": "1"}


# -- names in any alphabet -------------------------------------------------------------------------

NAMES = ("Łukasz", "李雷", "Zoë")


@contextlib.contextmanager
def a_console_of(encoding, monkeypatch):
    """stdout and stderr as on a Windows machine whose output goes to a file."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        yield streams
        for stream in streams:
            stream.flush()


def test_names_of_students_are_no_error_on_any_console(toy, tmp_path, monkeypatch):
    """The table is UTF-8 in a file as on stdout; the console shows what it can."""
    for name in NAMES:
        (tmp_path / "class" / name).mkdir(parents=True)
        text = f"def double(x):\n    raise ValueError('{name}')\n" + SLOPE
        (tmp_path / "class" / name / "exercises.py").write_text(text, encoding="utf-8")
    words = [str(toy.folder), "--submissions", str(tmp_path / "class")]
    with a_console_of("cp1252", monkeypatch) as (out, _):
        grade.main([*words, "--csv", str(tmp_path / "grades.csv")])
        said = out.buffer.getvalue().decode("cp1252")
    table = (tmp_path / "grades.csv").read_text(encoding="utf-8")
    assert all(f"{name},3,5," in table and f"ValueError: {name}" in table for name in NAMES)
    assert r"\u0141ukasz" in said and r"\u674e\u96f7" in said and "Zoë" in said
    with a_console_of("cp1252", monkeypatch) as (out, err):
        grade.main(words)
        assert out.buffer.getvalue().decode("utf-8") == table, "what is said meanwhile is not in it"
        assert r"\u0141ukasz" in err.buffer.getvalue().decode("cp1252")


def test_a_file_s_name_and_an_answer_s_text_are_no_error_on_any_console(toy, tmp_path, monkeypatch):
    file = tmp_path / "李雷.py"
    file.write_text("def double(x):\n    raise ValueError('Łódź')\n" + SLOPE, encoding="utf-8")
    with a_console_of("cp1252", monkeypatch) as (out, _):
        grade.main([str(toy.folder), "--file", str(file)])
        said = out.buffer.getvalue().decode("cp1252")
    assert r"\u0141\xf3d\u017a" in said.replace("ó", r"\xf3") and r"\u674e\u96f7.py" in said
    folder = a_lecture(tmp_path / "lectures" / "01_żółw")
    with a_console_of("ascii", monkeypatch) as (out, _), pytest.raises(SystemExit):
        build.main(["check", "--root", str(folder.parent), "--lectures", "7"])


# -- Gradescope ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "upload, said",
    [
        (["my_answers.py"], "no exercises.py was handed in, but my_answers.py"),
        (["15_grpo.ipynb"], "but 15_grpo.ipynb"),
        ([], "nothing was handed in: the folder is empty"),
        (["a/exercises.py", "b/exercises.py"], "2 files are called exercises.py"),
        (["homework/exercises.py"], ""),
    ],
)
def test_gradescope_gets_results_whatever_was_uploaded(toy, tmp_path, upload, said):
    """As in a class: 0 and the name found, or the one exercises.py that lies deeper."""
    for name in upload:
        (tmp_path / "submission" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "submission" / name).write_text(RIGHT)
    (tmp_path / "submission").mkdir(exist_ok=True)
    file, found = tmp_path / "submission" / "exercises.py", tmp_path / "results.json"
    grade.main([str(toy.folder), "--file", str(file), "--json", str(found)])
    wrote = json.loads(found.read_text(encoding="utf-8"))
    assert wrote["score"] == (0 if said else 5)
    assert all(said in test["output"] for test in wrote["tests"])


# -- one way to name a lecture ---------------------------------------------------------------------


@pytest.mark.parametrize("word", ["15", "grpo", "15_grpo", "lectures/15_grpo", "lectures/15_grpo/"])
def test_a_lecture_has_the_same_names_in_both_commands(tmp_path, monkeypatch, word):
    """From any folder: what is recommended in one place works in another."""
    monkeypatch.chdir(tmp_path)
    wanted = ROOT / "lectures" / "15_grpo"
    assert grade.find_lecture(word) == wanted
    assert build.chosen(build.Options(lectures=[word])) == [wanted]


def test_a_folder_of_one_s_own_is_a_lecture(tmp_path, monkeypatch):
    a_lecture(tmp_path / "15_mine")
    monkeypatch.chdir(tmp_path)
    assert grade.find_lecture("15_mine").resolve() == tmp_path / "15_mine"
    (tmp_path / "without").mkdir()
    with pytest.raises(grade.GraderError, match="checks.py is missing"):
        grade.load_lecture(grade.find_lecture("without"))


@pytest.mark.parametrize("word", ["99", "grppo", "no/such/folder", "1 5"])
def test_an_unknown_lecture_is_one_line_with_the_known_ones(capsys, word):
    with pytest.raises(SystemExit) as left:
        grade.main([word])
    error = capsys.readouterr().err
    assert left.value.code == 2 and "15_grpo" in error and error.count("\n") == 1


def test_no_lecture_at_all_is_one_line(capsys):
    with pytest.raises(SystemExit) as left:
        grade.main([])
    assert left.value.code == 2 and "python -m course.grade 15" in capsys.readouterr().err


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
    monkeypatch.setattr(classroom, "grade_student", lambda *a, **k: wrong)
    with pytest.raises(grade.GraderError, match="the reference itself fails .* no grades"):
        classroom.prove(toy, "no grades")


def test_a_check_that_cannot_run_is_an_error_of_the_grader(capsys, tmp_path, monkeypatch):
    checks = (
        "from course.grade import exercise\n@exercise('double', points=1)\n"
        "def value(student): import no_such_thing\n"
    )
    broken = grade.load_lecture(a_lecture(tmp_path / "02_broken", checks))
    with pytest.raises(grade.GraderError, match="no_such_thing"):
        grade.grade_student(broken, grade.LocalStudent({"double": abs}))
    monkeypatch.setattr(
        command,
        "grade_file",
        lambda *a, **k: grade.grade_student(broken, grade.LocalStudent({"double": abs})),
    )
    with pytest.raises(SystemExit) as left:
        (broken.folder / "exercises.py").write_text("")
        grade.main([str(broken.folder)])
    assert left.value.code == 2 and "not graded" in capsys.readouterr().err


def test_a_process_that_does_not_start_is_an_error_of_the_grader(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    monkeypatch.setattr(process, "_server", [])
    with pytest.raises(grade.GraderError, match="not graded"):
        grade.grade_file(toy, toy.folder / "solutions.py")


@pytest.mark.parametrize("checks", ["def broken(:", "x = 1"])
def test_checks_that_cannot_be_used_are_an_error_of_the_grader(tmp_path, checks):
    with pytest.raises(grade.GraderError):
        grade.load_lecture(a_lecture(tmp_path / "03_bad", checks))
