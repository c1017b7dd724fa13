"""The course keeps what it promises: its own proofs find what they look for, lecture 15 is right,
its figures are those of the committed results, and what students get holds no answers."""

import doctest
import json
import re
import sys
from pathlib import Path

import pytest

from course import build, grade, leaks, proofs, sources
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
    made = sources.student_version(solution) if exercises is None else exercises
    (lecture / "exercises.py").write_text(made, encoding="utf-8")
    return lecture


def test_a_proper_lecture_has_no_problems(tmp_path):
    assert list(proofs.problems(a_course(tmp_path))) == []


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
        ({"checks": CHECKS + 'FORBIDDEN = ("minilrm.moved",)\n'}, "forbids minilrm.moved"),
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
    assert any(found in problem for problem in proofs.problems(a_course(tmp_path, **change)))


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
        sources.student_version(source)


def test_a_quotation_may_leave_the_docstring_out_and_nothing_else(tmp_path):
    file = tmp_path / "a.py"
    file.write_text('def f(x):\n    """Doc."""\n    y = x\n\n    return y\n', encoding="utf-8")
    assert proofs.is_quotation("def f(x):\n    y = x\n    return y\n", file, "f")
    assert proofs.is_quotation("return y\n", file, "f")
    assert not proofs.is_quotation("y = x + 1\n", file, "f")
    assert not proofs.is_quotation("turn y\n", file, "f")
    assert not proofs.is_quotation("return y\n", file, "g")
    assert not proofs.is_quotation("\n", file, "f")


def test_a_stale_quotation_says_what_to_do(tmp_path):
    file = tmp_path / "a.py"
    file.write_text('import os\n\n\ndef f(x):\n    """What it does."""\n    y = x\n    return y\n')
    assert proofs.remedy("y = x + 1\nreturn y\n", file, "f") == (
        "it no longer has the line 'y = x + 1': copy today's lines from a.py, line 4, into the "
        "README"
    )
    assert proofs.remedy("return y\ny = x\n", file, "f").startswith(
        "its lines are in no such order"
    )
    for missing, name in ((file, "g"), (tmp_path / "b.py", "f")):
        assert "no such function or class now" in proofs.remedy("return y\n", missing, name)


@pytest.mark.parametrize("module", [sources, leaks])
def test_the_examples_in_the_docstrings_hold(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


def contents(folder):
    """name -> text of all files in it."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_text() for file in files}


def test_a_release_holds_no_answers(tmp_path):
    lecture = a_course(tmp_path, exercises="stale = True\n")
    (lecture.parent / "README.md").write_text("# Course\n")
    (lecture / "mutants.py").write_text("def cube(x):\n    return x ** 3\n")
    for name in ("notebook.py", "notebook_b.py", "minimal.py"):
        (lecture / name).write_text("def own_double(x):\n    return 2 * x\n")
    (lecture / "images").mkdir()
    (lecture / "images" / "a.svg").write_text("<svg/>")
    out = tmp_path / "out"
    sources.release([lecture], out)
    everything = contents(out)
    assert set(everything) == {
        "README.md",
        "01_one/README.md",
        "01_one/exercises.py",
        "01_one/checks.py",
        "01_one/images/a.svg",
    }
    assert not any("2 * x" in text or "def square" in text for text in everything.values())
    assert "NotImplementedError" in everything["01_one/exercises.py"]
    released = grade.load_lecture(out / "01_one")
    assert len(released.exercises) == 1 and not released.mutants
    with pytest.raises(UserError, match="not empty"):
        sources.release([lecture], out)


def test_notebooks_are_released_when_asked_for(tmp_path, capsys):
    """After the deadline."""
    lecture = a_course(tmp_path)
    (lecture / "notebook.py").write_text("def own_double(x):\n    return 2 * x\n")
    words = ["release", "--root", str(lecture.parent), "--out", str(tmp_path / "out")]
    build.main([*words, "--with-notebooks"])
    assert "own_double" in contents(tmp_path / "out")["01_one/notebook.py"]
    assert "solutions.py" not in str(list(contents(tmp_path / "out")))
    assert str(tmp_path / "out" / "01_one") in capsys.readouterr().out


LOOP = """
def twice(number, times=2):
    total = 0
    for _ in range(times):
        total = total + number
    return total
"""
TWO_LINES = SOLUTION.replace(
    "    return 2 * x\n",
    "    table = {0: x, 1: x + x, 2: x * x}\n    return table[1] if x else x\n",
)


@pytest.mark.parametrize(
    "name, shown",
    [
        (
            "figures.py",
            "def own(y):\n    t = {0: y, 1: y + y, 2: y * y}\n    return t[1] if y else y\n",
        ),
        (
            "checks.py",
            CHECKS + "def wanted(a):\n    if a:\n        b = {0: a, 1: a + a, 2: a * a}\n"
            "        right = b[1] if a else a\n        return right\n",
        ),
        ("checks.py", CHECKS + LOOP),
    ],
)
def test_an_answer_in_a_released_file_is_found(tmp_path, name, shown):
    """By its shape, with other names and in another place; or by the points that it earns."""
    lecture = a_course(tmp_path, solution=TWO_LINES)
    assert list(proofs.leaks(lecture)) == []
    (lecture / name).write_text(shown, encoding="utf-8")
    assert [found for found in proofs.leaks(lecture) if name in found and "double" in found]
    for free in ("notebook.py", "mutants.py"):
        (lecture / name).rename(lecture / free)
        (lecture / "checks.py").write_text(CHECKS, encoding="utf-8")
        assert list(proofs.leaks(lecture)) == [], "students do not get it"
        (lecture / free).rename(lecture / name)


def test_what_calls_the_library_is_no_answer(tmp_path):
    """A submission may not import it, so nothing comes of pasting it."""
    library = LOOP.replace("total + number", "total + objectives.answer(number)").replace(
        "0", "0.0"
    )
    checks = "import objectives\n" + CHECKS + library + 'FORBIDDEN = ("objectives",)\n'
    (tmp_path / "objectives.py").write_text("def answer(x):\n    return x\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        lecture = a_course(tmp_path, checks=checks)
        assert list(proofs.leaks(lecture)) == []
        (lecture / "checks.py").write_text(checks.replace('("objectives",)', "()"))
        assert len(list(proofs.leaks(lecture))) == 1
    sys.modules.pop("objectives")


def test_a_helper_that_never_ends_is_no_answer(tmp_path):
    """Called with arguments that it is not made for."""
    checks = CHECKS + "def waits(x):\n    while x > 0:\n        x += 1 + 0 * (x - x)\n"
    assert list(proofs.leaks(a_course(tmp_path, checks=checks))) == []


def test_mutants_may_stand_in_a_file_of_their_own(tmp_path):
    """Catches: mutants.py not read at all, or left unable to use what checks.py has."""
    inside, mutants = CHECKS.split("### BEGIN MUTANTS")
    lecture = a_course(tmp_path, checks=inside + "\n\ndef times(x, n):\n    return x * n\n")
    head = "from checks import times\n\nfrom course.grade import mutant\n\n"
    body = mutants.replace("### END MUTANTS\n", "").replace("return x * x", "return times(x, x)")
    (lecture / "mutants.py").write_text(head + body)
    assert list(proofs.problems(lecture)) == []
    (lecture / "mutants.py").write_text(head + body.replace('"you squared it"', '"you cubed it"'))
    assert "you cubed it" in " ".join(proofs.problems(lecture))
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
    assert "left alone" in sources.generate(lecture) and file.read_bytes() == mine.encode("latin-1")
    file.unlink()
    assert sources.generate(lecture) == "written" and sources.generate(lecture) == "as it was"


def test_the_command(tmp_path, capsys):
    lecture = a_course(tmp_path, exercises="")
    root = ["--root", str(lecture.parent)]
    with pytest.raises(SystemExit) as left:
        build.main(["check", *root])
    assert left.value.code == 1 and "stale" in capsys.readouterr().out
    build.main(["generate", "--lectures", "1", *root])
    build.main(["check", "--lectures", "lectures/01_one", *root])
    assert "1 exercises, 1 points, 3 mutants: all proved" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        build.main(["check", "--lectures", "9", *root])
    assert left.value.code == 2 and "01_one" in capsys.readouterr().err


# -- the lectures that stand -----------------------------------------------------------------------


@pytest.mark.parametrize("lecture", LECTURES, ids=lambda folder: folder.name)
def test_what_is_released_of_a_lecture_shows_no_answer(lecture):
    """Catches: a reference solution in checks.py, an exercise's body in a script of figures."""
    assert list(proofs.leaks(lecture)) == []


@pytest.mark.parametrize("lecture", LECTURES, ids=lambda folder: folder.name)
def test_a_lecture_is_proved(lecture):
    """Catches: a solution that fails, a mutant that passes, a stale stub, a quotation that the
    library no longer holds."""
    assert list(proofs.problems(lecture)) == []


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
