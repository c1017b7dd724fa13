"""What goes wrong in a wrong answer to a story: its first wrong step, named."""

import random

import pytest

from minilrm.tasks import Problem, get_task
from minilrm.tasks.base import problem_rng
from studies.stories.errors import first_error
from studies.stories.figures import errors_table

MORE = Problem(
    "stories", "Ben has 29 pens. Ana has 9 more than Ben. Then Ana loses 8.", "30",
    "loses(more(has))", 2,
    {"numbers": {"a0": 29, "d1": 9, "d2": 8}, "expressions": ["a0+d1", "s1-d2"], "language": "en"},
)  # fmt: skip


@pytest.mark.parametrize(
    ("completion", "error"),
    [
        ("Ana has <<29-9=20>>20 pens.\nAna has <<20-8=12>>12 pens left.\n#### 12", "operation"),
        ("Ana has <<29+8=37>>37 pens.\n#### 37", "number"),
        ("Ana has <<29+9=39>>39 pens.\nAna has <<39-8=31>>31 pens left.\n#### 31", "sum"),
        ("Ana has <<9+29=38>>38 pens.\nAna has <<38+8=46>>46 pens left.\n#### 46", "operation"),
        ("Ana has <<4*5=20>>20 pens.\n#### 20", "step"),
        ("Ana has <<29+9=38>>38 pens.\n#### 38", "missing"),
        ("Ana has <<29+9=38>>38 pens.\nAna has <<38-8=30>>30 pens left.\n#### 38", "answer"),
        ("#### 7", "missing"),
    ],
)
def test_the_first_wrong_step_says_what_is_wrong(completion, error):
    assert first_error(MORE, completion) == error


def test_a_right_solution_lacks_no_step():
    """Catches: steps compared by their place, where their order is free."""
    task = get_task("stories")
    for i in range(60):
        problem = task.sample(problem_rng(0, i, "errors"))
        assert first_error(problem, task.solution(problem, random.Random(0))) == "answer"


def test_the_table_leaves_out_what_is_rare():
    found = {
        "n": 100,
        "by": {"more": [30, 60], "lasts": [1, 3], "2 steps": [50, 100]},
        "errors": {kind: 1 for kind in ("operation", "number", "step", "sum", "missing", "answer")},
    }
    table = errors_table(found)
    assert "| more | 60 | 50% |" in table and "lasts" not in table
