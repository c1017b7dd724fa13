"""Rewards for the check of a product: what is true in it, and what is only written."""

from types import SimpleNamespace

import pytest

from studies.aha import remainders

RIGHT = " 347*86=27760+2082=29842~25~7, 14~5 14~5 5*5~7 ok"


def said(*texts):
    return [SimpleNamespace(text=text) for text in texts]


@pytest.mark.parametrize(
    "wrong, which",
    [
        (RIGHT.replace("~25~7", "~25~6"), [False, True, True, True]),
        (RIGHT.replace("~25~7", "~24~6"), [False, True, True, True]),  # of another sum of digits
        (RIGHT.replace(", 14~5", ", 14~6"), [True, False, True, True]),
        (RIGHT.replace("5*5~7", "5*4~2"), [True, True, True, False]),  # true, but of other factors
    ],
)
def test_a_false_remainder_is_found(wrong, which):
    assert remainders.checks(RIGHT) == [[True] * 4]
    assert remainders.checks(wrong) == [which]


def test_truth_is_paid_and_form_is_the_control():
    wrong = RIGHT.replace("~25~7", "~25~6")
    episodes = said(RIGHT, wrong, f"{wrong.replace('ok', 'no')}\nwait,{RIGHT}", " #### 29842")
    assert remainders.true(episodes) == [4, 3, 3.5, 0]
    assert remainders.form(episodes) == [4, 4, 4, 0]
