"""What a submission does to its arguments stays with it: the check, its expectation and the next
student have their own."""

import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from course import grade
from course.grade import lecture
from course.grade.errors import Rejected
from tests.toy_lecture import a_lecture

ROOT = Path(__file__).resolve().parent.parent
LECTURES = sorted(path.parent for path in ROOT.glob("lectures/*/checks.py"))

CHANGES = """
import random
import torch

def scale(q, k):
    q *= 2
    return q @ k

def keyword(q, k=None):
    k.append(1)

def nested(items):
    items[0][1].add(5)

def swap(*rows):
    rows[1].reverse()

def array(a):
    a[0] = 7

def table(d, value):
    d["x"] = value
    return value

def draw(rng, generator):
    return [rng.random(), torch.rand(1, generator=generator).item()]

def sort(items, more=()):
    items.sort()

def fill(x, d, s, a, rng):
    x.fill_(3), d.clear(), s.add(9), a.fill(1), rng.random()

def nothing(x, d, s, items, rows, f, it, r):
    f(1)
    return [len(list(it)), x, sorted(d), sorted(s), items, rows, list(r)]

def module(items):
    items.append(random)
"""


@pytest.fixture(scope="module", params=["in this process", "in its own"])
def changer(request, tmp_path_factory):
    """A student who changes arguments, both ways in which one can be had: a check cannot tell
    which."""
    file = tmp_path_factory.mktemp("changer") / "exercises.py"
    file.write_text(CHANGES, encoding="utf-8")
    if request.param == "in its own":
        with grade.RemoteStudent(file, seconds=10) as one:
            yield one
    else:
        yield grade.LocalStudent(vars(lecture.load_module(file, "changer")))


@pytest.mark.parametrize(
    "name, args, kwargs, changed",
    [
        ("scale", (torch.ones(2), torch.ones(2)), {}, "q"),
        ("keyword", (1,), {"k": []}, "k"),
        ("nested", ([(1, {2})],), {}, "items"),
        ("swap", ([1, 2], [3, 4]), {}, "rows"),
        ("array", (np.zeros(2),), {}, "a"),
        ("table", ({}, float("nan")), {}, "d"),
        ("module", ([],), {}, "items"),
    ],
)
def test_a_function_that_changes_an_argument_reads_which(changer, name, args, kwargs, changed):
    """And nothing reaches the check's own value, out of which it computes what it expects."""
    before = repr((args, kwargs))
    changer.begin(name)
    with pytest.raises(Rejected) as verdict:
        getattr(changer, name)(*args, **kwargs)
    assert str(verdict.value) == f"your function changes its argument `{changed}`; work on a copy"
    assert repr((args, kwargs)) == before


def test_a_function_that_changes_nothing_is_not_accused(changer):
    """Whatever the arguments are: NaN, sets (which have no order), ranges, iterators, functions."""
    x = torch.tensor([float("nan"), -0.0])
    words = {f"word {i}" for i in range(50)}
    rows = ([1.5, float("nan")], np.arange(3), Fraction(1, 3), None, b"x", frozenset(words))
    changer.begin("nothing")
    found = changer.nothing(x, {1: "x"}, words, [], rows, abs, iter([1, 2]), range(3))
    assert found[0] == 2 and found[3] == sorted(words) and found[-1] == [0, 1, 2]


def test_drawing_from_a_generator_is_no_change_and_goes_on(changer):
    rng, twin = random.Random(3), random.Random(3)
    generator, other = (torch.Generator().manual_seed(4) for _ in range(2))
    changer.begin("draw")
    for _ in range(2):
        wanted = [twin.random(), torch.rand(1, generator=other).item()]
        assert changer.draw(rng, generator) == wanted


def test_a_check_may_ask_for_what_a_function_does_in_place(changer):
    x, d, s, a, rng = torch.zeros(2), {1: 2}, {1}, np.zeros(2), random.Random(1)
    changer.begin("fill", in_place=True)
    changer.fill(x, d, s, a, rng)
    assert x.tolist() == [3, 3] and d == {} and s == {1, 9} and a.tolist() == [1, 1]
    items = [3, 1, 2]
    changer.sort(items=items)
    assert items == [1, 2, 3]
    changer.begin("fill")
    with pytest.raises(Rejected, match="changes its argument `d`"):
        changer.fill(x, {1: 2}, s, a, rng)


def test_in_place_is_said_where_the_check_is_written(tmp_path):
    checks = (
        "from course.grade import exercise, expect\n"
        "@exercise('order', points=1, in_place=True)\ndef sorts(student):\n"
        "    items = [2, 1]\n    student.order(items)\n    expect(items == [1, 2], 'not sorted')\n"
        "@exercise('order', points=1)\ndef leaves(student):\n    student.order([2, 1])\n"
    )
    both = grade.load_lecture(a_lecture(tmp_path / "01_order", checks))
    outcomes = grade.grade_student(both, grade.LocalStudent({"order": lambda items: items.sort()}))
    assert [o.message for o in outcomes] == [
        "",
        "your function changes its argument `items`; work on a copy",
    ]


SPOILS = """

import functools, random, torch

def spoil(value):
    if isinstance(value, torch.Tensor):
        value.detach().zero_()
    elif isinstance(value, (list, dict, set)):
        value.clear()
    elif isinstance(value, tuple):
        [spoil(part) for part in value]
    elif isinstance(value, random.Random):
        value.random()
    elif isinstance(value, torch.Generator):
        torch.rand(1, generator=value)

def spoiling(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        found = function(*args, **kwargs)
        [spoil(value) for value in (*args, *kwargs.values())]
        return found
    return call

for name in {names}:
    globals()[name] = spoiling(globals()[name])
"""


@pytest.mark.parametrize("folder", LECTURES, ids=lambda folder: folder.name)
def test_a_student_who_changes_every_argument_harms_nobody(folder, tmp_path):
    """The reference solution, graded after one whose right functions change what they are given:
    full points; and the other reads what it is about, and nothing else."""
    found = grade.load_lecture(folder)
    text = (folder / "solutions.py").read_text(encoding="utf-8")
    file = tmp_path / "exercises.py"
    file.write_text(text + SPOILS.format(names=found.functions), encoding="utf-8")
    spoiler = grade.grade_file(found, file)
    assert all("changes its argument" in o.message for o in spoiler if not o.passed)
    reference = grade.grade_file(found, folder / "solutions.py")
    assert [o.message for o in reference if not o.passed] == []
