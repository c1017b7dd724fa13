"""Rewards for the manner of an answer: whose words count, and what each function says."""

import doctest

import pytest
import torch

from minilrm import checkpoint, manner, rewards
from minilrm.errors import UserError
from minilrm.model import ScalarHead
from minilrm.rollout import Episode
from minilrm.scorers import HEAD, ByModel
from minilrm.tasks import get_task
from minilrm.tasks.base import Grade, Problem
from minilrm.tokenizer import Tokenizer

ENGLISH = Problem("gsm8k-mini", "Ana has 3 apples. How many?", "3", "k", meta={"language": "en"})
SPANISH = Problem("gsm8k-mini", "Ana tiene 3 manzanas.", "3", "k", meta={"language": "es"})


def answer(text, problem=ENGLISH, correct=True, tokens=3):
    ids = [5] * tokens
    grade = Grade(correct, True, "3", "right" if correct else "wrong answer")
    return Episode(problem, [1], ids, [1] * tokens, [-1.0] * tokens, text, "eos", grade, True)


def test_the_example_in_the_docstring_holds():
    found = doctest.testmod(manner)
    assert found.attempted and not found.failed


def test_the_words_of_two_languages_have_nothing_in_common():
    lists = manner.words_of("gsm8k-mini")
    assert {"has", "each", "there"} <= lists["en"] and {"cada", "hay", "quedan"} <= lists["es"]
    assert not lists["en"] & lists["es"]


@pytest.mark.parametrize(
    ("text", "problem", "share"),
    [
        ("\nThere are <<3+1=4>>4 left.\n#### 4", ENGLISH, 1.0),
        ("\nQuedan <<3+1=4>>4.\n#### 4", ENGLISH, 0.0),
        ("\nQuedan <<3+1=4>>4.\n#### 4", SPANISH, 1.0),
        ("\nHay <<3+1=4>>4 left.\n#### 4", ENGLISH, 0.5),
        ("\n<<3+1=4>>4\n#### 4", ENGLISH, 0.0),  # no words: not clean, but empty
        (" #### 4", ENGLISH, 0.0),
        ("\nThere are 4 grimapos.", ENGLISH, 1.0),  # what neither has is neutral
    ],
)
def test_the_share_is_of_the_words_of_either_language(text, problem, share):
    """Catches: digits, operators and names counted; an empty thinking rewarded as a clean one."""
    assert manner.shares([answer(text, problem)]) == [share]
    assert manner.one_language([answer(text, problem)]) == [float(share == 1)]


def test_a_word_that_the_question_has_is_a_quotation():
    quoting = Problem("gsm8k-mini", "The shop is called Cada. How many are there?", "3", "k")
    assert manner.shares([answer("\nThere are 4 at Cada.", quoting)]) == [1.0]


def test_repetition_is_nought_where_nothing_comes_twice_and_falls_towards_minus_one():
    once, often = answer("Ana has 3 apples and Ben has 4."), answer("no no no " * 40)
    clean, looping = manner.repetition([once, often])
    assert clean == 0 and -1 < looping < -0.95
    assert manner.repetition([answer("no")]) == [0.0]


def test_length_pays_the_shorter_of_two_right_answers_and_no_wrong_one():
    problem = Problem("gsm8k-mini", "?", "3", "k")
    group = [answer("", problem, True, 10), answer("", problem, True, 20),
             answer("", problem, False, 10), answer("", problem, False, 30)]  # fmt: skip
    assert manner.length(group) == [0.5, 0.0, 0.0, -0.5]
    assert manner.length([answer("", ENGLISH, True, 9)] * 3) == [0.0] * 3
    # Another problem's lengths do not count.
    other = answer("", Problem("gsm8k-mini", "!", "3", "k2"), True, 90)
    assert manner.length([*group, other])[:4] == [0.5, 0.0, 0.0, -0.5]


def test_a_reward_model_is_a_reward_by_the_name_of_its_folder(tmp_path):
    _, model, tokenizer, _ = checkpoint.open_model("countdown-base")
    head, task = ScalarHead(model.config.dim), get_task("countdown")
    torch.nn.init.normal_(next(head.parameters()))
    folder = checkpoint.save(tmp_path / "judge", model, tokenizer, heads={HEAD: head})
    [reward] = rewards.chosen({f"model@{folder}": 0.5})
    problem = task.problems("validation", 1)[0]
    ids = task.encode(tokenizer, " 1+2=3")
    e = Episode(problem, [], ids, [1] * len(ids), [-1.0] * len(ids), " 1+2=3", "length",
                Grade(False, False, None, "no answer"), True)  # fmt: skip
    rewards.Judge([reward])([[e]])
    prompt = task.encode(tokenizer, task.render(problem))
    with torch.inference_mode():
        number = head(
            ByModel(model, head, tokenizer, task).model.hidden(torch.tensor([prompt + ids]))
        )
    assert e.reward == pytest.approx(0.5 * number[0, -1].sigmoid().item(), abs=1e-3)


def test_a_reward_model_of_another_tokenizer_is_refused_before_the_run(tmp_path):
    """Catches: a policy's tokens read as other texts."""
    _, model, tokenizer, _ = checkpoint.open_model("countdown-base")
    folder = checkpoint.save(
        tmp_path / "judge", model, tokenizer, heads={HEAD: ScalarHead(model.config.dim)}
    )
    judge = rewards.Judge(rewards.chosen({f"model@{folder}": 0.5, "accuracy": 1.0}))
    judge.share_tokenizer(tokenizer)
    other = Tokenizer(tokenizer.merges[:-1])
    with pytest.raises(UserError, match="another tokenizer"):
        judge.share_tokenizer(other)


def test_what_is_no_reward_model_is_refused_before_the_run():
    with pytest.raises(UserError, match="nowhere"):
        rewards.chosen({"model@nowhere": 1.0})
    with pytest.raises(UserError, match="model@FOLDER"):
        rewards.chosen({"languages": 1.0})
