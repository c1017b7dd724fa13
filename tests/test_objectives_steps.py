"""Objectives of single steps and of pairs, against values worked out by hand. As in
test_objectives.py a check takes the module it looks at as `o`.
"""

import pytest
import torch

from minilrm import objectives

DOUBLE = torch.float64
CHECKS = []


def check(function):
    """Put a check on the list that the real module must pass and every mutant must fail
    somewhere."""
    CHECKS.append(function)
    return function


def rounded(advantages):
    return [[round(x, 4) for x in row.tolist()] for row in advantages]


#: two completions: right, wrong, wrong; and right, right. Mean .6, std .5477 over the five steps
STEPS, ENDS, LENGTHS = [[1.0, 0.0, 0.0], [1.0, 1.0]], [[1, 2, 4], [0, 3]], [5, 4]


@check
def check_sum_of_steps(o):
    """Normalised over all steps of the group: .7303 for a right one, -1.0954 for a wrong one; a
    token answers for its own step and all that follow."""
    right, wrong = 0.4 / 0.5477226, -0.6 / 0.5477226
    found = o.process_advantages(STEPS, ENDS, LENGTHS, "sum", eps=0.0)
    all_, last_two, last = right + 2 * wrong, 2 * wrong, wrong
    expected = [[all_, all_, last_two, last, last], [2 * right, right, right, right]]
    assert rounded(found) == [[round(x, 4) for x in row] for row in expected]


@check
def check_worst_of_steps(o):
    """Returns 0, 0, 0 and 1, 1: mean .4, std .5477. The right step ahead of two wrong ones gets
    nothing for being right; and nobody gets more for more steps."""
    found = o.process_advantages(STEPS, ENDS, LENGTHS, "min", eps=0.0)
    low, high = round(-0.4 / 0.5477226, 4), round(0.6 / 0.5477226, 4)
    assert rounded(found) == [[low] * 5, [high] * 4]


@check
def check_worst_of_what_follows(o):
    """A mistake that came before is no reason to punish what follows it."""
    found = o.process_advantages([[0.0, 1.0], [1.0]], [[0, 1], [0]], [2, 1], "min", eps=0.0)
    low, high = round(-2 / 3 / 0.5773503, 4), round(1 / 3 / 0.5773503, 4)
    assert rounded(found) == [[low, high], [high]]


@check
def check_equal_steps_teach_nothing(o):
    for credit in o.CREDITS:
        third = [0.1, 0.1, 0.1]  # whose mean in floating point is not .1
        found = o.process_advantages([third, third], [[0, 1, 2]] * 2, [3, 3], credit)
        assert all((row == 0).all() for row in found)
    # Steps that differ, and whose worst is the same everywhere.
    found = o.process_advantages([[1.0, 0.0], [0.0]], [[0, 1], [0]], [2, 1], "min")
    assert all((row == 0).all() for row in found)


@check
def check_tokens_behind_the_last_step(o):
    found = o.process_advantages([[1.0], [0.0]], [[1], [0]], [3, 1], "sum", eps=0.0)
    assert rounded(found) == [[0.7071, 0.7071, 0.0], [-0.7071]]


def summed_pairs():
    chosen, rejected = (torch.tensor([x], dtype=DOUBLE, requires_grad=True) for x in (-3.0, -5.0))
    return chosen, rejected, torch.tensor([-5.0]).double(), torch.tensor([-4.0]).double()


@check
def check_dpo(o):
    """Log-ratios 2 and -1, beta .1: -log sigma(.3)."""
    chosen, rejected, *reference = summed_pairs()
    loss, margins = o.dpo_loss(chosen, rejected, *reference, beta=0.1)
    assert loss.item() == pytest.approx(0.554355, abs=1e-6)
    assert margins.item() == pytest.approx(0.3) and not margins.requires_grad
    better, worse = torch.autograd.grad(loss, [chosen, rejected])
    assert better.item() == pytest.approx(-0.0425557, abs=1e-7) and worse.item() == -better.item()


@check
def check_dpo_of_several_pairs(o):
    one = torch.tensor([2.0, 0.0], dtype=DOUBLE)
    loss, _ = o.dpo_loss(one, 0 * one, 0 * one, 0 * one, beta=0.5)
    assert loss.item() == pytest.approx((0.313262 + 0.693147) / 2, abs=1e-6)


@check
def check_bradley_terry(o):
    loss = o.bradley_terry_loss(torch.tensor([2.0, -1.0]), torch.tensor([0.5, 0.5]))
    assert loss.item() == pytest.approx((0.201413 + 1.701413) / 2, abs=1e-6)


@pytest.mark.parametrize("check_", CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
def test_objectives(check_):
    check_(objectives)


def test_an_unknown_credit_is_refused():
    with pytest.raises(ValueError, match="credit"):
        objectives.process_advantages([[1.0]], [[0]], [1], "product")


def test_summed_rewards_pay_for_many_easy_steps_and_the_worst_of_them_does_not():
    """The known way to game a process reward: the same wrong answer behind ten easy right steps
    instead of one."""
    rewards = [[1.0] * 10 + [0.0], [1.0, 0.0]]
    ends = [list(range(11)), [0, 1]]
    first = {
        credit: [a[0].item() for a in objectives.process_advantages(rewards, ends, [11, 2], credit)]
        for credit in objectives.CREDITS
    }
    assert first["sum"][0] > 0 > first["sum"][1]
    assert first["min"][0] == first["min"][1]
