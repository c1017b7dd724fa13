"""Rewards: rules, functions of a user's own, and what becomes of those that fail, hang or leave."""

import sys
import time

import pytest
import torch

from minilrm import rewards
from minilrm.errors import UserError
from minilrm.grpo import set_advantages
from minilrm.rollout import Episode
from minilrm.tasks.base import Grade, Problem

PROBLEM = Problem("toy", "1 + 1?", "2", "toy:1+1")


def make_episode(correct=False, finish="eos", valid=True):
    grade = Grade(correct, True, "2", "right" if correct else "wrong answer")
    three = [5, 6, 7]
    return Episode(PROBLEM, [1], three, [1] * 3, [-1.0] * 3, "", finish, grade, True, valid=valid)


def judge(*functions, deadline=5.0):
    made = [rewards.Reward(f"r{i}", f, 1.0) for i, f in enumerate(functions)]
    return rewards.Judge(made, deadline)


def instead_of_the_first(value):
    """Right answers earn 1, but the first episode of a batch gets this."""
    return lambda episodes: [value, *rewards.accuracy(episodes)[1:]]


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), None, "high", "1", True, [1.0, 2.0]]
)
def test_a_value_that_is_no_number_makes_the_episode_invalid_not_wrong(value):
    """Catches: a failed grader counted as reward 0, which would teach away from what may have been
    right; a text or True taken for a number."""
    group = [make_episode(correct=i < 2) for i in range(4)]
    assert judge(instead_of_the_first(value))([group]) == 1
    assert [e.valid for e in group] == [False, True, True, True]
    assert [e.reward for e in group] == [0, 1, 0, 0]
    set_advantages([group], "none")
    # The mean of three, not of four.
    assert [float(e.advantages[0]) for e in group] == pytest.approx([0, 2 / 3, -1 / 3, -1 / 3])


def raises(episodes):
    raise RuntimeError("the grader fell over")


def leaves(episodes):
    sys.exit(3)


def hangs(episodes):
    while True:
        time.sleep(0.01)


def gives_too_few(episodes):
    return [1.0]


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raises, "the grader fell over"),
        (leaves, "SystemExit(3)"),
        (hangs, "it took longer than 0.2 seconds"),
        (gives_too_few, "it returned 1 numbers for 2 episodes"),
    ],
)
def test_a_function_that_fails_is_named_once_and_the_run_goes_on(function, said, capsys):
    """Catches: an exception whose text is thrown away, sys.exit that ends the run, a hang for
    ever."""
    judging = judge(function, deadline=0.2)
    for _ in range(2):
        group = [make_episode(correct=True), make_episode()]
        assert judging([group]) == 2 and not any(e.valid or e.reward for e in group)
    err = capsys.readouterr().err
    assert err.count("the reward 'r0' failed") == 1 and said in err


def test_a_function_that_failed_once_counts_again_when_it_works():
    group, answers = [make_episode(correct=True)], iter([None, 0.5])
    judging = judge(lambda episodes: [next(answers)])
    assert judging([group]) == 1 and not group[0].valid
    assert judging([group]) == 0 and group[0].valid and group[0].reward == 0.5


def test_ctrl_c_while_a_reward_is_computed_is_heard(monkeypatch):
    class Pressed:
        def __init__(self, *args, **more):
            pass

        def start(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(rewards.threading, "Thread", Pressed)
    with pytest.raises(KeyboardInterrupt):
        judge(lambda episodes: [1.0])([[make_episode()]])


def test_a_tensor_of_numbers_will_do():
    group = [make_episode(), make_episode()]
    assert judge(lambda episodes: torch.tensor([0.25, 0.5]))([group]) == 0
    assert [e.reward for e in group] == [0.25, 0.5]


def test_rewards_are_added_with_their_weights_and_kept_apart():
    right, cut_off = make_episode(correct=True), make_episode(correct=True, finish="length")
    wrong = make_episode()
    rewards.Judge(rewards.chosen({"accuracy": 1.0, "format": 0.1}))([[right, cut_off, wrong]])
    assert [e.reward for e in (right, cut_off, wrong)] == pytest.approx([1.1, 1.0, 0.1])
    assert right.rewards == {"accuracy": 1.0, "format": 1.0}
    assert cut_off.rewards == {"accuracy": 1.0, "format": 0.0}
    assert [r.name for r in rewards.chosen({"accuracy": 1.0, "format": 0.0})] == ["accuracy"]


def short(episodes):
    return [1.0 if e.length < 5 else 0.0 for e in episodes]


def test_a_function_of_ones_own_is_passed_or_named_by_its_module():
    (passed,) = rewards.chosen({"short": 0.5}, {"short": short})
    (named,) = rewards.chosen({"operator:length_hint": 0.5})
    assert passed.function is short and passed.weight == 0.5 and not passed.ours
    assert named.function.__name__ == "length_hint" and not named.ours


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acuracy", "did you mean accuracy?"),
        ("no_such_module:f", "cannot be imported"),
        ("operator:no_such_function", "cannot be imported"),
        ("sys:version", "is no function"),
    ],
)
def test_a_name_that_stands_for_no_function_is_one_line(name, words):
    with pytest.raises(UserError) as raised:
        rewards.chosen({name: 1.0})
    assert words in str(raised.value) and "\n" not in str(raised.value)


def test_shuffled_rewards_are_the_same_ones_in_another_place():
    group = [make_episode(correct=i < 3) for i in range(8)]
    group[0].valid = False
    judge(rewards.accuracy)([group])
    group[0].valid = False
    before = [e.reward for e in group]
    rewards.shuffle([group], seed=1)
    assert (
        sorted(e.reward for e in group[1:]) == sorted(before[1:]) and group[0].reward == before[0]
    )
