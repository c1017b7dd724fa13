"""One chain, asked for in different ways, by the shipped base of the word problems."""

import pytest

from minilrm import checkpoint
from minilrm import inference as inf
from minilrm.errors import UserError
from minilrm.inference.driver import SHOTS, Prompts, worked_examples
from minilrm.inference.requests import Write
from minilrm.sampler import Engine
from minilrm.tasks import get_task

TASK = get_task("gsm8k-mini")
PROBLEMS = TASK.problems("validation", 8)


@pytest.fixture(scope="module")
def driver():
    _, model, tokenizer, _ = checkpoint.open_model("gsm8k-mini-base")
    return inf.Driver(Engine(model), tokenizer, TASK)


def lines(answer: inf.Answer) -> list[str]:
    return answer.text.strip().split("\n")


def test_a_plan_comes_first_and_a_check_last(driver):
    answers = driver.solve(inf.plan_verify, PROBLEMS, 10**4)
    whole = [a for a in answers if a.answer is not None]
    assert len(whole) >= 6
    for a in whole:
        assert lines(a)[0].startswith("Plan:") and lines(a)[-1].startswith("####")
        assert lines(a)[-2].startswith(("Check:", "Prueba:"))


def test_each_part_can_be_left_out(driver):
    unplanned = driver.solve(inf.plan_verify, PROBLEMS, 10**4, plan=False)
    assert all(lines(a)[0].startswith("1.") for a in unplanned)
    assert sum("Plan:" in a.text for a in unplanned) <= 1  # what the model itself may still do
    unchecked = driver.solve(inf.plan_verify, PROBLEMS, 10**4, check=False)
    whole = [a for a in unchecked if a.answer is not None]
    assert len(whole) >= 6
    for a in whole:
        assert "Check:" not in a.text and "Prueba:" not in a.text and "Plan:" in a.text
    # What was taken away had been written.
    assert all(a.tokens > len(driver.tokenizer.encode(a.text)) - 4 for a in whole)


def test_a_task_without_plans_is_refused():
    _, model, tokenizer, _ = checkpoint.open_model("countdown-base")
    task = get_task("countdown")
    with pytest.raises(UserError, match="no plan"):
        inf.Driver(Engine(model), tokenizer, task).solve(
            inf.plan_verify, task.problems("validation", 1), 100
        )


def test_solved_problems_of_training_stand_in_front_in_the_language_of_the_question(driver):
    prompts = Prompts(TASK, driver.tokenizer, PROBLEMS, room=288)
    for i, problem in enumerate(PROBLEMS):
        text = driver.tokenizer.decode(list(prompts.ids(i, Write(style="few_shot"))))
        assert text.endswith(TASK.render(problem)) and "####" in text
        head = "Pregunta" if problem.meta["language"] == "es" else "Question"
        assert text.count(head + ":") == SHOTS + 1
        assert problem.key not in {p.key for p, _ in worked_examples(TASK, "en")}


def test_what_does_not_fit_is_left_out(driver):
    plain = Prompts(TASK, driver.tokenizer, PROBLEMS, room=288).ids(0, Write())
    tight = Prompts(TASK, driver.tokenizer, PROBLEMS, room=len(plain))
    assert tight.ids(0, Write(style="few_shot")) == plain


def test_a_few_shot_answer_ends_where_the_model_would_ask_another_question(driver):
    answers = driver.solve(inf.few_shot, PROBLEMS, 10**4)
    assert sum(a.answer is not None for a in answers) >= 6
    assert all(a.text.count("Question:") + a.text.count("Pregunta:") == 0 for a in answers)
