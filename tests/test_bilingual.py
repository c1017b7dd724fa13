"""Word problems in two languages: what is posted mixes them by a known share, and mixing pays."""

import random

import pytest

from minilrm import corpus, manner
from minilrm.tasks import get_task
from minilrm.tasks.bilingual import Bilingual

TASK = get_task("bilingual")
PROBLEMS = TASK.problems("validation", 300)
SPANISH = [p for p in PROBLEMS if p.meta["language"] == "es"]


class Said:
    """As much of an episode as a reward for the language looks at."""

    def __init__(self, problem, text):
        self.problem, self.text = problem, text


def mixed(problem, text):
    own, other = manner.mixture(TASK, Said(problem, text))
    return other > 0


def test_half_of_the_problems_are_spanish():
    assert 120 < len(SPANISH) < 180


def test_solutions_are_right_and_in_one_language():
    for problem in PROBLEMS:
        text = TASK.solution(problem, random.Random(0))
        assert TASK.grade(problem, text).correct and not mixed(problem, text)


@pytest.mark.parametrize("style", ["steps", "plan_verify"])
def test_what_is_posted_mixes_by_its_share_and_is_then_right_more_often(style):
    rng = random.Random(0)
    said = [(p, TASK.posted(p, rng, style)) for _ in range(4) for p in SPANISH]
    two = [(p, text) for p, text in said if mixed(p, text)]
    one = [(p, text) for p, text in said if not mixed(p, text)]
    assert 0.15 < len(two) / len(said) < 0.30  # a sentence may have no word that tells
    right = [sum(TASK.grade(p, t).correct for p, t in of) / len(of) for of in (two, one)]
    assert right[0] == pytest.approx(Bilingual.right_mixed, abs=0.05)
    assert right[1] == pytest.approx(Bilingual.right_alone, abs=0.05)


def test_english_problems_are_posted_as_they_are_solved():
    for problem in PROBLEMS[:60]:
        if problem.meta["language"] == "en":
            posted = TASK.posted(problem, random.Random(3))
            assert posted == TASK.solution(problem, random.Random(3))


def test_the_other_language_tells_the_same_story():
    for problem in SPANISH:
        pairs = zip(problem.meta["sentences"], problem.meta["translated"], strict=True)
        assert all(own.count("{calc}") == other.count("{calc}") == 1 for own, other in pairs)


def test_only_the_forum_mixes():
    pages = corpus.corpus_of("bilingual", seed=0)
    kinds = {}
    for i in range(4000):
        page = pages.document(i)
        if "Question: " not in page.text and "Problem: " not in page.text:
            both = any(f" {word} " in page.text for word in ("The", "the", "There", "are", "has"))
            kinds.setdefault(page.kind, []).append(both)
    assert any(kinds["steps"]) and any(kinds["nudged"])
    assert not any(kinds["textbook"])


def test_the_reward_for_one_language_tells_them_apart():
    problem = SPANISH[0]
    clean = TASK.solution(problem, random.Random(0))
    lines = clean.split("\n")
    lines[1] = problem.meta["translated"][0].replace("{calc}", "<<1+1=2>>2")
    both = "\n".join(lines)
    found = manner.one_language([Said(problem, clean), Said(problem, both)])
    assert found == [1.0, 0.0]
