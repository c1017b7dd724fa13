"""The study of how many stories it takes: each arm trains on so many stories and no more, and none
of them is a test story."""

import random

import pytest

from minilrm.tasks import get_task
from minilrm.tasks.problem import split_of
from minilrm.tasks.stories.graph import key
from studies.stories import how_many

LIMITED = [count for count, limit in how_many.COUNTS.items() if limit]


@pytest.mark.parametrize("count", ["50", "150", "500"])
def test_an_arm_draws_its_problems_from_so_many_stories(count):
    stories = how_many.first_stories(how_many.COUNTS[count])
    known = {(theme.name, key(graph)) for theme, graph in stories}
    assert len(known) == how_many.COUNTS[count]
    task, rng = get_task(how_many.name_of(count)), random.Random(0)
    drawn = [task.sample(rng) for _ in range(400)]
    assert {(p.meta["theme"], p.key) for p in drawn} <= known
    assert all(split_of(p.key) == "train" for p in drawn)
    assert len({p.prompt for p in drawn}) > 390, "each time with new numbers, names and words"


def test_the_stories_of_a_smaller_arm_are_among_those_of_a_larger_one():
    few, more = how_many.first_stories(50), how_many.first_stories(150)
    assert more[:50] == few


def test_what_an_arm_is_asked_in_the_end_it_has_not_read():
    """Catches: a test split that is drawn from the arm's own stories."""
    own = get_task(how_many.name_of("50")).make("test", 50, 0)
    assert all(split_of(p.key) == "test" for p in own)
