"""A task made of others, and the corpus of its base."""

import random
from collections import Counter

import pytest

from minilrm import corpus
from minilrm.tasks import TASKS, get_task
from minilrm.tasks.mixture import mixture_of


@pytest.fixture
def registry(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr("minilrm.tasks.TASKS", type(TASKS)(TASKS))


def test_problems_come_by_their_shares(registry):
    task = get_task(mixture_of({"logic": 3, "arithmetic": 1}))
    rng = random.Random(0)
    counts = Counter(task.sample(rng).task for _ in range(200))
    assert set(counts) == {"logic", "arithmetic"}
    assert 125 < counts["logic"] < 175


def test_each_problem_is_posed_solved_and_judged_by_its_own_task():
    task = get_task("reasoning")
    problems = task.problems("validation", 40)
    assert {problem.task for problem in problems} == set(task.parts)
    for problem in problems:
        own = get_task(problem.task)
        solution = task.solution(problem, random.Random(1))
        assert solution == own.solution(problem, random.Random(1))
        assert task.render(problem, "textbook") == own.render(problem, "textbook")
        assert task.grade(problem, solution).correct
        assert task.vote_key(problem, problem.answer) == own.vote_key(problem, problem.answer)


def test_steps_are_judged_by_the_task_of_the_problem():
    task = get_task("reasoning")
    logic = get_task("logic").problems("validation", 1)[0]
    solution = task.solution(logic, random.Random(0))
    assert all(task.step_labels(logic, solution))


def test_its_base_reads_the_documents_of_the_bases_of_its_parts():
    pages = corpus.corpus_of("reasoning", seed=3, split="train")
    kinds = Counter(pages.document(i).kind.partition(":")[0] for i in range(300))
    assert set(kinds) == {"logic", "ledger", "program", "gsm8k-mini"}
    assert min(kinds.values()) > 45
    own = corpus.corpus_of("logic", seed=3, split="train")
    logic = next(i for i in range(300) if pages.document(i).kind.startswith("logic"))
    assert pages.document(logic).text == own.document(logic).text
    assert pages.document(7) == pages.document(7)


def test_a_base_knows_textbooks_that_always_show_their_work():
    pages = corpus.Solved("ledger", seed=1)
    problem = pages.document(0, "textbook").text
    assert problem.startswith("Problem: ") and "<<" in problem
    assert "step by step" in pages.document(0, "nudged").text
    assert pages.document(0, "reflex").text.count("\n") == 1
