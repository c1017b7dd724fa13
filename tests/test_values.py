"""The formulas of minilrm/values.py: by hand, against slow references, and by enumeration of a
policy small enough to list.

Each check takes the module it looks at as `c`, so that the wrong versions at the end of this file
can be shown to it.
"""

import doctest
import math
import warnings
from pathlib import Path

import pytest
import torch

from minilrm import values as critic
from minilrm.objectives import policy_loss
from tests.mutants import Mutant, rejected_by, run
from tests.test_objectives import close, double
from tests.test_policy_gradient import (
    ALL,
    LOGITS,
    LONGEST,
    MASK,
    REWARDS,
    cosine,
    exact_gradient,
    gradient_of,
    logprobs,
    norm_ratio,
    probabilities,
)

NAN = math.nan
SOURCE = Path(critic.__file__).read_text(encoding="utf-8")
CHECKS = []


def check(function):
    """Put a check on the list that the real module must pass and every mutant must fail
    somewhere."""
    CHECKS.append(function)
    return function


def random_batch(seed=0, rows=5, width=9):
    """Rewards, values and a mask with holes (inserted text) and padding; NaN wherever the mask is
    0."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(rows, width, generator=generator) < 0.7
    mask[0] = True  # a row without holes, one of a single token, and one of none
    mask[1], mask[2] = torch.arange(width) == 3, False
    rewards, values = torch.randn(2, rows, width, generator=generator, dtype=torch.float64)
    return rewards.masked_fill(~mask, NAN), values.masked_fill(~mask, NAN), mask


def slow_gae(rewards, values, gamma, lam):
    """The definition, by a double loop over the steps of one sequence: A_t = sum_k (gamma lam)^k
    delta_{t+k}."""
    n = len(rewards)
    delta = [
        rewards[t] + gamma * (values[t + 1] if t + 1 < n else 0.0) - values[t] for t in range(n)
    ]
    return [sum((gamma * lam) ** k * delta[t + k] for k in range(n - t)) for t in range(n)]


# -- rewards a token -------------------------------------------------------------------------------


@check
def check_the_reward_comes_with_the_last_sampled_token(c):
    """Whether it is EOS, a token at the limit, or one before a tool's last word; padding gets
    nothing."""
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    close(
        c.token_rewards(double([1.0, 2.0, 3.0, 4.0]), mask),
        [[0, 0, 0, 1], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]],
    )


@check
def check_the_kl_is_a_price_of_each_sampled_token(c):
    mask = torch.tensor([[1, 0, 1, 0]])
    kl = double([[0.5, NAN, -0.2, NAN]]).requires_grad_()
    paid = c.token_rewards(double([1.0]), mask, kl, 0.1)
    close(paid, [[-0.05, 0, 1.02, 0]])
    assert not paid.requires_grad
    close(c.token_rewards(double([1.0]), mask, kl, 0.0), [[0, 0, 1, 0]])


# -- GAE -------------------------------------------------------------------------------------------


@check
def check_gae_by_hand(c):
    """gamma .9, lam .5: delta = (.9*.4-.2, .9*.6-.4, 1-.6) = (.16, .14, .4); A_2 = .14 + .45*.4,
    A_1 = .16 + .45*.32."""
    advantages, returns = c.gae(
        double([[0, 0, 1]]), double([[0.2, 0.4, 0.6]]), torch.ones(1, 3), 0.9, 0.5
    )
    close(advantages, [[0.304, 0.32, 0.4]])
    close(returns, [[0.504, 0.72, 1.0]])


@check
def check_gae_is_its_definition_over_sampled_tokens(c):
    """Catches: values or advantages carried over from padding or from inserted text, a bootstrap
    after the end."""
    rewards, values, mask = random_batch()
    for gamma, lam in ((1.0, 0.95), (0.9, 0.5), (1.0, 0.0), (1.0, 1.0), (0.0, 0.7)):
        advantages, returns = c.gae(rewards, values, mask, gamma, lam)
        for row, keep in enumerate(mask):
            close(
                advantages[row][keep],
                slow_gae(rewards[row][keep].tolist(), values[row][keep].tolist(), gamma, lam),
            )
            close(returns[row][keep], advantages[row][keep] + values[row][keep])
        close(advantages[~mask], torch.zeros_like(advantages[~mask]))
        close(returns[~mask], torch.zeros_like(returns[~mask]))


@check
def check_the_two_ends_of_gae(c):
    """lam = 1: what was still to come, minus the value. lam = 0: the error of one step."""
    rewards, values, _ = random_batch()
    rewards, values, mask = rewards[:1], values[:1], torch.ones(1, 9)
    to_come = rewards.flip(1).cumsum(1).flip(1)
    close(c.gae(rewards, values, mask, 1.0, 1.0)[0], to_come - values)
    close(c.gae(rewards, values, mask, 1.0, 1.0)[1], to_come)
    following = torch.cat([values[:, 1:], torch.zeros(1, 1)], 1)
    close(c.gae(rewards, values, mask, 0.8, 0.0)[0], rewards + 0.8 * following - values)
    # the defaults
    assert torch.equal(c.gae(rewards, values, mask)[0], c.gae(rewards, values, mask, 1.0, 0.95)[0])


@check
def check_no_gradient_flows_into_the_critic_through_advantages(c):
    rewards, values, mask = random_batch()
    assert not any(x.requires_grad for x in c.gae(rewards, values.requires_grad_(), mask))


# -- is it the policy gradient? (test_policy_gradient.py) ------------------------------------------


def perfect_values(rewards):
    """V(prompt, prefix) = E[reward | prefix], by enumeration: [2, 15, 3], before each token of each
    completion."""
    chance, values = probabilities(), torch.zeros(2, len(ALL), LONGEST, dtype=torch.float64)
    for i, whole in enumerate(ALL):
        for t in range(len(whole)):
            alike = torch.tensor([other[:t] == whole[:t] for other in ALL])
            values[:, i, t] = (chance * rewards)[:, alike].sum(1) / chance[:, alike].sum(1)
    return values


def expected_ascent(c, values, lam, token_rewards):
    """Minus the expected gradient of PPO's loss, one completion of each prompt a batch, times L:
    [2, 7, 3]."""
    mask = MASK.repeat(2, 1)
    advantages, _ = c.gae(token_rewards, values.view(-1, LONGEST), mask, 1.0, lam)
    # on-policy the gradient is linear in the advantages
    weighted = advantages * probabilities().view(-1, 1)

    def loss(logits):
        return policy_loss(
            logprobs(logits).view(-1, LONGEST),
            None,
            weighted,
            mask,
            aggregation="constant",
            max_length=LONGEST,
            denominator=2,
        )[0]

    return -gradient_of(loss) * LONGEST


def terminal(c, rewards):
    return c.token_rewards(rewards.flatten(), MASK.repeat(2, 1))


@check
def check_with_a_perfect_critic_it_is_the_policy_gradient_for_every_lambda(c):
    for rewards in REWARDS.values():
        for lam in (0.0, 0.5, 0.95, 1.0):
            found = expected_ascent(c, perfect_values(rewards), lam, terminal(c, rewards))
            torch.testing.assert_close(found, exact_gradient(rewards), rtol=0, atol=1e-12)


def wrong_values():
    """A critic that knows nothing."""
    return 0.5 + 0.4 * torch.sin(torch.arange(2.0 * len(ALL) * LONGEST, dtype=torch.float64)).view(
        2, -1, LONGEST
    )


def of_prefixes(values):
    """The same value for the same prefix: that of the first completion that begins so. A critic
    sees no more than that."""
    out = values.clone()
    for i, whole in enumerate(ALL):
        for t in range(len(whole)):
            out[:, i, t] = values[
                :,
                next(j for j, other in enumerate(ALL) if other[:t] == whole[:t] and len(other) > t),
                t,
            ]
    return out


@check
def check_with_lambda_one_any_critic_will_do(c):
    for rewards in REWARDS.values():
        found = expected_ascent(c, of_prefixes(wrong_values()), 1.0, terminal(c, rewards))
        torch.testing.assert_close(found, exact_gradient(rewards), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "lam, direction, norm", [(0.0, -0.1931, 1.1917), (0.5, 0.3623, 0.7045), (0.95, 0.9969, 0.9167)]
)
def test_with_a_wrong_critic_a_smaller_lambda_is_another_direction(lam, direction, norm):
    """The price of low variance: what the critic gets wrong, the policy learns. At 0 it is all that
    the policy learns."""
    rewards = REWARDS["graded"]
    exact = exact_gradient(rewards)
    found = expected_ascent(critic, of_prefixes(wrong_values()), lam, terminal(critic, rewards))
    assert [cosine(found, exact), norm_ratio(found, exact)] == pytest.approx(
        [direction, norm], abs=1e-4
    )


def test_a_critic_that_sees_the_token_it_values_is_no_baseline():
    """V after the token instead of before it: even lam = 1 is wrong, for the baseline then depends
    on the action."""
    rewards = REWARDS["graded"]
    before = perfect_values(rewards)
    after = torch.cat([before[:, :, 1:], torch.zeros_like(before[:, :, :1])], -1)
    ends = torch.tensor([len(whole) - 1 for whole in ALL])
    after[:, torch.arange(len(ALL)), ends] = rewards
    found = expected_ascent(critic, after, 1.0, terminal(critic, rewards))
    assert found.norm() < 1e-12  # here all that was to be learnt is taken away


@check
def check_the_kl_in_the_reward_is_the_gradient_of_the_penalised_objective(c):
    """k1 a token, lam = 1: the gradient of E[R] - beta KL(pi || ref) of the whole sequence, what
    comes later included."""
    beta, rewards = 0.3, REWARDS["graded"]
    ref = torch.where(
        MASK, torch.full((2, len(ALL), LONGEST), 1 / 3, dtype=torch.float64).log(), 0.0
    )

    def objective(logits):
        logp = logprobs(logits)
        return (logp.sum(-1).exp() * (rewards - beta * (logp - ref).sum(-1))).sum(1).mean()

    k1 = (logprobs(LOGITS) - ref).view(-1, LONGEST)
    paid = c.token_rewards(rewards.flatten(), MASK.repeat(2, 1), k1, beta)
    found = expected_ascent(c, of_prefixes(wrong_values()), 1.0, paid)
    torch.testing.assert_close(found, gradient_of(objective), rtol=0, atol=1e-12)


# -- whitening -------------------------------------------------------------------------------------


@check
def check_whitening_is_over_the_sampled_tokens_of_the_batch(c):
    advantages, mask = (
        double([[1.0, 3.0, NAN], [5.0, NAN, NAN]]),
        torch.tensor([[1, 1, 0], [1, 0, 0]]),
    )
    close(c.whiten(advantages, mask, eps=0.0), [[-1, 0, 0], [1, 0, 0]])  # mean 3, std 2
    close(c.whiten(advantages, mask, eps=1.0), [[-2 / 3, 0, 0], [2 / 3, 0, 0]])
    many = (
        torch.randn(8, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.01
        + 7
    )
    close(c.whiten(many, torch.ones(8, 9)).mean(), 0.0, 1e-9)
    close(c.whiten(many, torch.ones(8, 9)).std(), 1.0, 0.02)


@check
def check_nothing_to_whiten_is_zero(c):
    close(c.whiten(double([[0.5, 0.5]]), torch.ones(1, 2)), [[0, 0]])
    with warnings.catch_warnings(action="error"):  # torch warns of the spread of one value
        close(c.whiten(double([[0.5, NAN]]), torch.tensor([[1, 0]])), [[0, 0]])
        close(c.whiten(double([[NAN, NAN]]), torch.tensor([[0, 0]])), [[0, 0]])


# -- the value loss --------------------------------------------------------------------------------


def gradient_of_value(c, value, old, goal, **more):
    """Loss and gradient of a single value."""
    value = double([[value]]).requires_grad_()
    loss, share = c.value_loss(value, double([[old]]), double([[goal]]), torch.ones(1, 1), **more)
    return loss.item(), torch.autograd.grad(loss, value)[0].item(), share.item()


@check
def check_the_value_clip_on_both_sides(c):
    """Value before .5, clip .2. (value, return) -> loss, gradient, clipped."""
    for value, goal, loss, gradient, clipped in [
        (0.6, 1.0, 0.08, -0.4, 0),  # on its way up
        (0.9, 1.0, 0.045, 0.0, 1),  # far enough for one batch
        (0.1, 1.0, 0.405, -0.9, 0),  # went the wrong way: pulled back however far it is
        (0.4, 0.0, 0.08, 0.4, 0),  # the same downwards
        (0.1, 0.0, 0.045, 0.0, 1),
        (0.9, 0.0, 0.405, 0.9, 0),
        (0.9, 0.6, 0.045, 0.3, 0),  # past its return
    ]:
        close(gradient_of_value(c, value, 0.5, goal), [loss, gradient, clipped])
    close(gradient_of_value(c, 0.9, 0.5, 1.0, clip=None), [0.005, -0.1, 0])
    close(gradient_of_value(c, 0.9, 0.5, 1.0, clip=0.5), [0.005, -0.1, 0])


@check
def check_the_value_loss_is_a_mean_over_sampled_tokens(c):
    _, goal, mask = random_batch(1)
    values, old = (goal.nan_to_num() + x for x in (0.3, 0.2))
    values, old = values.masked_fill(~mask, NAN).requires_grad_(), old.masked_fill(~mask, NAN)
    loss, share = c.value_loss(values, old, goal, mask)
    close(loss, 0.045)
    close(share, 0.0)
    (gradient,) = torch.autograd.grad(loss, values)
    close(gradient, torch.where(mask, 0.3 / mask.sum(), 0.0).double())
    old = old.requires_grad_()
    assert (
        torch.autograd.grad(c.value_loss(values, old, goal, mask)[0], old, allow_unused=True)[0]
        is None
    )
    close(c.value_loss(values, old, goal, torch.zeros_like(mask))[0], 0.0)


@check
def check_value_losses_of_micro_batches_add_up(c):
    _, goal, mask = random_batch(2)
    values, old = goal.nan_to_num() + 0.7, goal.nan_to_num() - 0.1
    whole = c.value_loss(values, old, goal, mask)
    parts = [
        c.value_loss(values[rows], old[rows], goal[rows], mask[rows], denominator=int(mask.sum()))
        for rows in (slice(0, 1), slice(1, 5))
    ]
    for i in (0, 1):
        close(parts[0][i] + parts[1][i], whole[i])


# -- explained variance ----------------------------------------------------------------------------


@check
def check_explained_variance(c):
    goal, ones = double([[0, 1, 0, 1, NAN]]), torch.tensor([[1, 1, 1, 1, 0]])
    for values, explained in ((goal, 1), (goal / 2 + 5, 0.75), (goal * 0, 0), (1 - goal, -3)):
        close(c.explained_variance(values, goal, ones), explained)
    # in float32 the variance of eleven 2.1 is not 0
    for equal in (torch.full((1, 11), 2.1), goal[:, :0]):
        assert c.explained_variance(
            torch.arange(equal.shape[1])[None], equal, torch.ones_like(equal)
        ).isnan()


# -- the module ------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", CHECKS, ids=lambda one: one.__name__.removeprefix("check_"))
def test_critic(one):
    one(critic)


def test_examples_in_docstrings():
    results = doctest.testmod(critic)
    assert results.failed == 0 and results.attempted >= 6


MUTANTS = [
    Mutant(*fields)
    for fields in [
        (
            "reward_at_the_padded_end",
            "gives the reward to the last column",
            "mask & (still_to_come == 1)",
            "torch.arange(mask.shape[1]) == mask.shape[1] - 1",
        ),
        (
            "reward_on_every_token",
            "repeats the reward on every token",
            "mask & (still_to_come == 1)",
            "mask",
        ),
        (
            "kl_is_paid_out",
            "rewards the distance from the reference",
            "return out - kl_coef",
            "return out + kl_coef",
        ),
        (
            "kl_with_gradient",
            "lets the gradient into the reward",
            "torch.where(mask, kl.detach(), 0.0)",
            "torch.where(mask, kl, 0.0)",
        ),
        (
            "gae_without_lambda",
            "forgets lambda",
            "gamma * lam * next_advantage",
            "gamma * next_advantage",
        ),
        (
            "gae_without_gamma",
            "discounts values, not advantages",
            "gamma * lam * next_advantage",
            "lam * next_advantage",
        ),
        (
            "gae_without_bootstrap",
            "leaves V_{t+1} out",
            "+ gamma * next_value - values[:, t]",
            "- values[:, t]",
        ),
        (
            "gae_value_forgotten",
            "leaves V_t out",
            "+ gamma * next_value - values[:, t]",
            "+ gamma * next_value",
        ),
        (
            "gae_forwards",
            "runs through time in the wrong direction",
            "in reversed(range(values.shape[1]))",
            "in range(values.shape[1])",
        ),
        (
            "gae_after_the_end",
            "bootstraps from the last value where nothing follows",
            "next_value = next_advantage = torch.zeros_like(values[:, 0])",
            "next_value, next_advantage = values[:, -1], torch.zeros_like(values[:, 0])",
        ),
        (
            "gae_stops_at_tools",
            "takes inserted text for the end of the episode",
            "next_value = torch.where(here, values[:, t], next_value)",
            "next_value = values[:, t]",
        ),
        (
            "gae_forgets_across_tools",
            "loses the advantage at inserted text",
            "next_advantage = torch.where(here, advantage, next_advantage)",
            "next_advantage = advantages[:, t]",
        ),
        (
            "gae_over_padding",
            "counts padding as steps",
            "here = mask[:, t]",
            "here = torch.ones_like(mask[:, t])",
        ),
        (
            "gae_learns",
            "lets the policy loss train the critic",
            "values = torch.where(mask, values.detach(), 0.0)\n    advantages",
            "values = torch.where(mask, values, 0.0)\n    advantages",
        ),
        (
            "returns_without_values",
            "trains the critic on advantages",
            "return advantages, advantages + values",
            "return advantages, advantages",
        ),
        (
            "returns_minus_values",
            "takes V off twice",
            "return advantages, advantages + values",
            "return advantages, advantages - values",
        ),
        (
            "whiten_over_padding",
            "mean and std over padding too",
            "inside = advantages[mask]",
            "inside = advantages.flatten()",
        ),
        (
            "whiten_scale_only",
            "forgets the mean",
            "(advantages - mean) / (std + eps)",
            "advantages / (std + eps)",
        ),
        (
            "whiten_by_variance",
            "forgets the root",
            "(inside.mean(), devices.std(inside))",
            "(inside.mean(), inside.var())",
        ),
        (
            "value_clip_optimistic",
            "min for max: a value that went astray is left there",
            "torch.maximum(square, clipped)",
            "torch.minimum(square, clipped)",
        ),
        (
            "value_clip_alone",
            "clips without the max",
            "torch.maximum(square, clipped).sum()",
            "clipped.sum()",
        ),
        (
            "value_clip_around_zero",
            "clips the value, not its change",
            "old_values + (values - old_values).clamp(-clip, clip)",
            "values.clamp(-clip, clip)",
        ),
        (
            "value_not_clipped",
            "leaves the clip out",
            "torch.maximum(square, clipped).sum()",
            "square.sum()",
        ),
        ("value_half_forgotten", "twice the gradient", ".sum() / 2 / tokens", ".sum() / tokens"),
        (
            "value_micro_batch",
            "divides by the micro-batch's own tokens",
            "mask.sum() if denominator is None else denominator",
            "mask.sum()",
        ),
        (
            "value_over_padding",
            "divides by padding too",
            "mask.sum() if denominator is None else denominator",
            "mask.numel() if denominator is None else denominator",
        ),
        (
            "value_mask_by_product",
            "values * mask: 0 * NaN is NaN",
            "torch.where(mask, x, 0.0) for x in (values,",
            "x * mask for x in (values,",
        ),
        (
            "value_target_learns",
            "moves the goal towards the value",
            "old_values.detach(), returns.detach()",
            "old_values, returns.detach()",
        ),
        (
            "variance_explained_of_values",
            "divides by the critic's own variance",
            "devices.moments(goal).std",
            "devices.moments(values[inside]).std",
        ),
        (
            "variance_explained_of_noise",
            "divides where all returns are equal",
            "len({end for part in ends for end in part}) < 2",
            "not any(ends)",
        ),
    ]
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_wrong_version_is_rejected(mutant):
    assert rejected_by(run(mutant, SOURCE), CHECKS), (
        f"no check notices a student who {mutant.story}"
    )
