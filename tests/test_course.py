"""The course keeps what it promises: its own proofs find what they look for, lecture 15 is right,
its figures are those of the committed results, and what students get holds no answers."""

import doctest
import json
import re
import sys
from pathlib import Path

import pytest

from course import build as course
from course import grade
from minilrm.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
GRPO = ROOT / "lectures" / "15_grpo"
LECTURES = sorted(path.parent for path in ROOT.glob("lectures/*/solutions.py"))

SOLUTION = '''"""One exercise."""


def double(x: float) -> float:
    """Twice x: 2 gives 4."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
'''
CHECKS = """from course.grade import exercise, expect_close, mutant


@exercise("double", points=1)
def value(student):
    expect_close(student.double(3.0), 6.0, "twice x", {"you squared it": 9.0})


### BEGIN MUTANTS

@mutant("double", "you squared it")
def square(x):
    return x * x


@mutant("double", "twice x")
def same(x):
    return x


@mutant("double", "twice x")
def none(x):
    return None

### END MUTANTS
"""


def a_course(
    folder, solution=SOLUTION, checks=CHECKS, readme="# One\n\n`double`\n", exercises=None
):
    lecture = folder / "lectures" / "01_one"
    lecture.mkdir(parents=True)
    for name, text in {"solutions.py": solution, "checks.py": checks, "README.md": readme}.items():
        (lecture / name).write_text(text, encoding="utf-8")
    made = course.student_version(solution) if exercises is None else exercises
    (lecture / "exercises.py").write_text(made, encoding="utf-8")
    return lecture


def test_a_proper_lecture_has_no_problems(tmp_path):
    assert list(course.problems(a_course(tmp_path))) == []


@pytest.mark.parametrize(
    "change, found",
    [
        ({"exercises": "x = 1\n"}, "stale"),
        ({"exercises": SOLUTION}, "holds answers"),
        ({"readme": "# One\n"}, "does not mention"),
        ({"solution": SOLUTION.replace("2 * x", "3 * x")}, "the solution fails"),
        ({"solution": SOLUTION.replace('    """Twice x: 2 gives 4."""\n', "")}, "docstring"),
        (
            {"checks": CHECKS.replace("return x * x", "return x + x")},
            "mutant square is not rejected",
        ),
        (
            {"checks": CHECKS.replace('"you squared it")', '"you cubed it")')},
            "should read 'you cubed it'",
        ),
        (
            {"checks": CHECKS.replace('@mutant("double", "twice x")\ndef same', "def same")},
            "has 2 mutants",
        ),
        (
            {"checks": CHECKS.replace("    expect_close", "    return\n    expect_close")},
            "a stub is not rejected",
        ),
        ({"readme": "`double` ![x](missing.png)"}, "missing.png"),
        (
            {
                "readme": "`double`\n<!-- quote: minilrm/intervals.py pass_at_k -->\n"
                "```python\nreturn 1\n```\n"
            },
            "quotes",
        ),
    ],
)
def test_each_problem_is_found(tmp_path, change, found):
    assert any(found in problem for problem in course.problems(a_course(tmp_path, **change)))


@pytest.mark.parametrize(
    "source",
    [
        "    ### BEGIN SOLUTION\n",
        "    ### END SOLUTION\n",
        "    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n    ### END SOLUTION\n",
    ],
)
def test_markers_that_do_not_match_are_refused(source):
    """A missing end would hand out the solution, or swallow the next exercise."""
    with pytest.raises(UserError):
        course.student_version(source)


def test_a_quotation_may_leave_the_docstring_out_and_nothing_else(tmp_path):
    file = tmp_path / "a.py"
    file.write_text('def f(x):\n    """Doc."""\n    y = x\n\n    return y\n', encoding="utf-8")
    assert course.is_quotation("def f(x):\n    y = x\n    return y\n", file, "f")
    assert course.is_quotation("return y\n", file, "f")
    assert not course.is_quotation("y = x + 1\n", file, "f")
    assert not course.is_quotation("turn y\n", file, "f")
    assert not course.is_quotation("return y\n", file, "g")
    assert not course.is_quotation("\n", file, "f")


def test_the_example_in_the_docstring_holds():
    found = doctest.testmod(course)
    assert found.attempted and not found.failed


def test_a_release_holds_no_answers(tmp_path):
    lecture = a_course(tmp_path, exercises="stale = True\n")
    (lecture.parent / "README.md").write_text("# Course\n")
    (lecture / "mutants.py").write_text("def cube(x):\n    return x ** 3\n")
    out = tmp_path / "out"
    course.release([lecture], out)
    everything = {str(f.relative_to(out)): f.read_text() for f in out.rglob("*") if f.is_file()}
    assert set(everything) == {
        "README.md",
        "01_one/README.md",
        "01_one/exercises.py",
        "01_one/checks.py",
    }
    assert not any("2 * x" in text or "def square" in text for text in everything.values())
    assert "NotImplementedError" in everything["01_one/exercises.py"]
    released = grade.load_lecture(out / "01_one")
    assert len(released.exercises) == 1 and not released.mutants
    with pytest.raises(UserError, match="not empty"):
        course.release([lecture], out)


def test_mutants_may_stand_in_a_file_of_their_own(tmp_path):
    """Catches: mutants.py not read at all, or left unable to use what checks.py has."""
    inside, mutants = CHECKS.split("### BEGIN MUTANTS")
    lecture = a_course(tmp_path, checks=inside + "\n\ndef times(x, n):\n    return x * n\n")
    head = "from checks import times\n\nfrom course.grade import mutant\n\n"
    body = mutants.replace("### END MUTANTS\n", "").replace("return x * x", "return times(x, x)")
    (lecture / "mutants.py").write_text(head + body)
    assert list(course.problems(lecture)) == []
    (lecture / "mutants.py").write_text(head + body.replace('"you squared it"', '"you cubed it"'))
    assert "you cubed it" in " ".join(course.problems(lecture))
    assert "checks" not in sys.modules


@pytest.mark.parametrize(
    "mine", [SOLUTION, SOLUTION.replace("    ### END SOLUTION\n", ""), "caf\xe9"]
)
def test_generate_never_writes_over_answers(tmp_path, mine):
    """A student who runs the command must not lose an evening's work, be it finished, half broken
    or in latin-1."""
    lecture = a_course(tmp_path)
    file = lecture / "exercises.py"
    file.write_bytes(mine.encode("latin-1"))
    assert "left alone" in course.generate(lecture) and file.read_bytes() == mine.encode("latin-1")
    file.unlink()
    assert course.generate(lecture) == "written" and course.generate(lecture) == "as it was"


def test_the_command(tmp_path, capsys):
    lecture = a_course(tmp_path, exercises="")
    root = ["--root", str(lecture.parent)]
    with pytest.raises(SystemExit) as left:
        course.main(["check", *root])
    assert left.value.code == 1 and "stale" in capsys.readouterr().out
    course.main(["generate", "--lectures", "1", *root])
    course.main(["check", "--lectures", "lectures/01_one", *root])
    assert "1 exercises, 1 points, 3 mutants: all proved" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        course.main(["check", "--lectures", "9", *root])
    assert left.value.code == 2 and "01_one" in capsys.readouterr().err


# -- the lectures that stand -----------------------------------------------------------------------


@pytest.mark.parametrize("lecture", LECTURES, ids=lambda folder: folder.name)
def test_a_lecture_is_proved(lecture):
    """Catches: a solution that fails, a mutant that passes, a stale stub, a quotation that the
    library no longer holds."""
    assert list(course.problems(lecture)) == []


def test_lecture_15_gives_the_figures_of_the_results():
    """A table written by hand goes stale; this one is compared with the file it names."""
    readme = (GRPO / "README.md").read_text(encoding="utf-8")
    results = json.loads((ROOT / "data" / "results" / "main.json").read_text(encoding="utf-8"))
    rows = {
        "right, sampled at T = 1": "sampled",
        "thinks before it answers": "thinks",
        "right when it thinks": "right when thinking",
        "right, thinking forced by the prompt, T = 0": "forced 0",
        "right on stories never seen": "new story",
    }
    for row, key in rows.items():
        values = [
            results["base"][key]["value"],
            *(results["grpo"][seed][key]["value"] for seed in "012"),
        ]
        wanted = " | ".join(f"{100 * value:.1f} %" for value in values)
        assert f"| {row} | {wanted} |" in readme, f"{row}: {wanted}"


@pytest.mark.parametrize("folder", LECTURES, ids=lambda folder: folder.name)
def test_points_and_exercises_are_those_of_the_lecture_s_table(folder):
    lecture = grade.load_lecture(folder)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    table = {
        name: int(points)
        for name, points in re.findall(r"^\| `(\w+)` \| (\d+) \|", readme, flags=re.MULTILINE)
    }
    assert table == {
        f: sum(e.points for e in lecture.exercises if e.function == f) for f in lecture.functions
    }
    assert f"({sum(table.values())} points)" in readme


@pytest.mark.parametrize(
    "page",
    [*sorted(ROOT.glob("lectures/*.md")), *(folder / "README.md" for folder in LECTURES)],
    ids=lambda page: f"{page.parent.name}/{page.stem}",
)
def test_links_lead_somewhere(page):
    prose = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for target in re.findall(r"\]\(([^)\s#]+)", prose):
        assert target.startswith("http") or (page.parent / target).exists(), target
