"""Objectives over a whole batch: which tokens may have a gradient, what the policy gradient is
on-policy, and that the micro-batches of an optimizer batch add up to it. As in test_objectives.py a
check takes the module it looks at as `o`.
"""

import math

import pytest
import torch

from minilrm import objectives
from tests.test_objectives import (
    ALL_OBJECTIVES,
    DOUBLE,
    RATIO_OBJECTIVES,
    close,
    double,
    loss_and_gradient,
)

OWN_AGGREGATION = {
    "reinforce": "constant",
    "grpo": "sequence",
    "dr_grpo": "constant",
    "dapo": "token",
    "gspo": "sequence",
    "cispo": "token",
}
CHECKS = []


def check(function):
    """Put a check on the list that the real module must pass and every mutant must fail
    somewhere."""
    CHECKS.append(function)
    return function


def example(seed=0, sequences=6, tokens=5):
    """Sequences of unequal length, with a prompt token (column 0), a tool token (row 1, column 2)
    and padding."""
    generator = torch.Generator().manual_seed(seed)
    logp = -torch.rand(sequences, tokens, generator=generator, dtype=DOUBLE) - 0.1
    old_logp = logp + 0.4 * torch.randn(sequences, tokens, generator=generator, dtype=DOUBLE)
    advantages = torch.randn(sequences, generator=generator, dtype=DOUBLE)
    lengths = torch.randint(2, tokens + 1, (sequences,), generator=generator)
    mask = torch.arange(tokens) < lengths[:, None]
    mask[:, 0], mask[1, 2] = False, False
    return logp, old_logp, advantages, mask


@check
def check_reinforce(o):
    logp, old_logp, advantages, mask = example()
    value, gradient, stats = loss_and_gradient(
        o,
        logp,
        old_logp,
        advantages,
        mask,
        objective="reinforce",
        max_length=10,
        clip_low=0.01,
        clip_high=0.01,
    )
    close(value, -(advantages[:, None] * logp * mask).sum() / 60)
    close(gradient, -(advantages[:, None] * mask) / 60)
    close(stats["clip_ratio/region_mean"], 0.0)


@check
def check_on_policy_gradient_is_reinforce(o):
    """At rho = 1 each objective has the gradient of - aggregate(A logp); advantages a sequence or a
    token."""
    logp, _, advantages, mask = example()
    lengths = mask.sum(1, keepdim=True)
    weight = {
        "sequence": 1 / (6 * lengths.double()),
        "token": 1 / mask.sum().double(),
        "constant": 1 / 60,
    }
    per_token = torch.randn(6, 5, generator=torch.Generator().manual_seed(4), dtype=DOUBLE)
    for objective in ALL_OBJECTIVES:
        for A in (advantages, per_token):
            expected = (
                -(A[:, None] if A.dim() == 1 else A) * mask * weight[OWN_AGGREGATION[objective]]
            )
            for old in (None, logp):
                _, gradient, stats = loss_and_gradient(
                    o, logp, old, A, mask, objective=objective, max_length=10
                )
                close(gradient, expected, 1e-12)
                close([stats["ratio/mean"], stats["clip_ratio/region_mean"]], [1.0, 0.0])
        for how in weight:  # and with any other aggregation
            _, gradient, _ = loss_and_gradient(
                o, logp, None, advantages, mask, objective=objective, aggregation=how, max_length=10
            )
            close(gradient, -advantages[:, None] * mask * weight[how], 1e-12)


@check
def check_constant_aggregation_needs_a_length(o):
    for objective in ("reinforce", "dr_grpo"):
        with pytest.raises(ValueError, match="max_length"):
            o.policy_loss(
                torch.zeros(1, 2), None, torch.ones(1), torch.ones(1, 2), objective=objective
            )


@check
def check_masked_tokens_have_no_gradient_and_eos_has(o):
    """Garbage outside the mask changes neither value nor gradient; every token inside, the last one
    too, has one."""
    logp, old_logp, advantages, mask = example()
    old_logp = logp + 1e-5  # near enough that nothing is clipped
    for objective in ALL_OBJECTIVES:
        options = {
            "objective": objective,
            "max_length": 10,
            "kl_coef": 0.1,
            "ref_logp": old_logp - 0.3,
        }
        value, gradient, stats = loss_and_gradient(o, logp, old_logp, advantages, mask, **options)
        assert (gradient[~mask] == 0).all() and (gradient[mask] != 0).all()
        for garbage in (math.nan, math.inf, -math.inf, 1e30):
            spoiled = [torch.where(mask, x, garbage) for x in (logp, old_logp, old_logp - 0.3)]
            per_token = torch.where(mask, advantages[:, None], garbage)
            again = loss_and_gradient(
                o,
                spoiled[0],
                spoiled[1],
                per_token,
                mask.int(),
                **{**options, "ref_logp": spoiled[2]},
            )
            close(again[0], value, 0.0)
            close(again[1], gradient, 1e-15)
            assert (again[1][~mask] == 0).all()
            close([again[2][name] for name in stats], [stats[name] for name in stats], 0.0)


@check
def check_from_logits_the_prompt_has_no_gradient_and_eos_has(o):
    """The same from the logits on: those that predict prompt, tool text or padding get exactly
    0."""
    logits = torch.randn(
        1, 7, 4, generator=torch.Generator().manual_seed(5), dtype=DOUBLE
    ).requires_grad_()
    # prompt 1 2, then 3, a tool's 1, then 2, EOS = 0, padding = 0
    ids = torch.tensor([[1, 2, 3, 1, 2, 0, 0]])
    mask = torch.tensor([[0, 0, 1, 0, 1, 1, 0]])
    loss, _ = o.policy_loss(
        o.token_logprobs(logits, ids), None, double([1.0]), mask[:, 1:], objective="dapo"
    )
    norms = torch.autograd.grad(loss, logits)[0].norm(dim=-1)[0]
    assert (norms > 0).tolist() == [False, True, False, True, True, False, False]


@check
def check_micro_batches_add_up(o):
    """Loss, gradient and stats: the same however the optimizer batch is split."""
    logp, old_logp, advantages, mask = example(7)
    counts = {"sequence": 6, "constant": 6, "token": int(mask.sum())}
    for objective in ALL_OBJECTIVES:
        for how, count in counts.items():
            options = {"objective": objective, "aggregation": how, "max_length": 10, "kl_coef": 0.2}
            whole = loss_and_gradient(
                o, logp, old_logp, advantages, mask, ref_logp=logp - 0.3, **options
            )
            for rows in ([[0], [1, 2, 3, 4, 5]], [[0, 1], [2, 3], [4, 5]], [[5, 0, 3], [4, 1, 2]]):
                parts = [
                    loss_and_gradient(
                        o,
                        logp[r],
                        old_logp[r],
                        advantages[r],
                        mask[r],
                        ref_logp=logp[r] - 0.3,
                        denominator=torch.tensor(count) if len(rows) == 3 else count,
                        token_denominator=counts["token"],
                        **options,
                    )
                    for r in rows
                ]
                close(sum(part[0] for part in parts), whole[0], 1e-12)
                order = torch.tensor(sum(rows, [])).argsort()
                close(torch.cat([part[1] for part in parts])[order], whole[1], 1e-12)
                for name in whole[2]:
                    close(sum(part[2][name] for part in parts), whole[2][name], 1e-12)


@check
def check_groups_without_variance_stay_in_the_denominator(o):
    """Their forward pass may be skipped; the gradient must be that of the full batch."""
    rewards = double([[1, 0, 0], [1, 1, 1], [0, 0, 0.5], [0, 0, 0]])
    logp, old_logp, _, mask = example(3, sequences=12)
    for normalize in ("std", "none", "rloo", "batch"):
        advantages = o.group_advantages(rewards, normalize).flatten()
        keep = advantages != 0
        assert keep.tolist() == [True] * 3 + [False] * 3 + [True] * 3 + [False] * 3
        for how, count in {"sequence": 12, "constant": 12, "token": int(mask.sum())}.items():
            options = {"objective": "grpo", "aggregation": how, "max_length": 10}
            _, full, _ = loss_and_gradient(o, logp, old_logp, advantages, mask, **options)
            _, kept, _ = loss_and_gradient(
                o,
                logp[keep],
                old_logp[keep],
                advantages[keep],
                mask[keep],
                denominator=count,
                **options,
            )
            close(full[keep], kept, 1e-15)
            assert (full[~keep] == 0).all()


@check
def check_stats(o):
    """Names as in TRL. Tokens count, not sequences; a ratio counts as clipped only where the
    gradient stops."""
    ratio = double([[0.7, 1.0, 1.3, 5.0], [0.7, 1.3, 1.0, 1.0]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    old = torch.full_like(ratio, -1.0)
    logp = old + ratio.log()
    _, _, stats = loss_and_gradient(o, logp, old, double([0.5, -0.5]), mask, ref_logp=logp + 0.1)
    assert set(stats) == {
        "ratio/mean",
        "clip_ratio/low_mean",
        "clip_ratio/high_mean",
        "clip_ratio/region_mean",
        "kl",
    }
    assert not any(value.requires_grad for value in stats.values())
    close(
        [
            stats["clip_ratio/low_mean"],
            stats["clip_ratio/high_mean"],
            stats["clip_ratio/region_mean"],
            stats["ratio/mean"],
            stats["kl"],
        ],
        [1 / 7, 1 / 7, 2 / 7, 7 / 7, 0.005170918],
    )
    _, _, stats = loss_and_gradient(
        o, logp, old, double([1.0, -1.0]), mask, denominator=20, token_denominator=70
    )
    assert "kl" not in stats
    close(stats["clip_ratio/region_mean"], 2 / 70)
    for options, count in (
        ({"denominator": 20}, 7),
        ({"denominator": 20, "aggregation": "token"}, 20),
    ):
        _, _, stats = loss_and_gradient(o, logp, old, double([1.0, -1.0]), mask, **options)
        close(stats["clip_ratio/region_mean"], 2 / count)
    _, _, stats = loss_and_gradient(o, logp, old, double([0.0, 0.0]), mask)
    close(stats["clip_ratio/region_mean"], 0.0)  # no advantage, no gradient to stop


@check
def check_kl_term(o):
    logp, old_logp, advantages, mask = example()
    d = -0.3 + 0.1 * torch.arange(5, dtype=DOUBLE).expand(6, 5)
    slopes = {"k1": torch.ones_like(d), "k2": -d, "k3": 1 - d.exp()}
    for kind, slope in slopes.items():
        options = {
            "objective": "dr_grpo",
            "max_length": 10,
            "ref_logp": (logp + d).requires_grad_(),
        }
        plain = loss_and_gradient(o, logp, old_logp, advantages, mask, **options)
        with_kl = loss_and_gradient(
            o, logp, old_logp, advantages, mask, kl_coef=0.5, kl_kind=kind, **options
        )
        close(with_kl[1] - plain[1], 0.5 * slope * mask / 60, 1e-12)
        value = {"k1": -d, "k2": d**2 / 2, "k3": d.exp() - d - 1}[kind]
        close(with_kl[0] - plain[0], 0.5 * (value * mask).sum() / 60, 1e-12)
        close(with_kl[2]["kl"], (value * mask).sum() / mask.sum())
    default = loss_and_gradient(o, logp, old_logp, advantages, mask, kl_coef=0.5, **options)
    close(default[0], with_kl[0], 0.0)  # k3
    with pytest.raises(ValueError, match="ref_logp"):
        o.policy_loss(logp, old_logp, advantages, mask, kl_coef=0.5)


@check
def check_only_the_policy_learns(o):
    """Advantages (PPO makes them of a value head), the old and the reference log-probs are
    constants of the loss."""
    logp, old_logp, advantages, mask = example()
    inputs = [x.clone().requires_grad_() for x in (logp, old_logp, advantages, old_logp - 0.1)]
    for objective in ALL_OBJECTIVES:
        loss, _ = o.policy_loss(
            *inputs[:3], mask, objective=objective, max_length=10, kl_coef=1.0, ref_logp=inputs[3]
        )
        gradients = torch.autograd.grad(loss, inputs, allow_unused=True)
        assert [g is None for g in gradients] == [False, True, True, True]


@check
def check_gradients_numerically(o):
    """Finite differences in float64. CISPO and REINFORCE-like stop-gradients are checked above
    instead."""
    logp, old_logp, advantages, mask = example(11, 3, 4)
    for objective in RATIO_OBJECTIVES:
        for how in ("sequence", "token", "constant"):

            def loss(x, objective=objective, how=how):
                return o.policy_loss(
                    x,
                    old_logp,
                    advantages,
                    mask,
                    objective=objective,
                    aggregation=how,
                    max_length=7,
                    kl_coef=0.3,
                    ref_logp=old_logp - 0.2,
                    clip_low=0.25,
                    clip_high=0.25,
                )[0]

            assert torch.autograd.gradcheck(loss, logp.clone().requires_grad_())
    logits = torch.randn(
        2, 3, 4, generator=torch.Generator().manual_seed(3), dtype=DOUBLE
    ).requires_grad_()
    ids, keep = torch.tensor([[0, 1, 2], [3, 0, 1]]), torch.tensor([[1, 1, 0], [0, 1, 1]])
    assert torch.autograd.gradcheck(lambda x: o.token_logprobs(x, ids, 0.7), logits)
    assert torch.autograd.gradcheck(lambda x: o.token_entropy(x, 0.7), logits)
    assert torch.autograd.gradcheck(lambda x: o.cross_entropy(x, ids, keep), logits)
    teacher = 2 * logits.detach()
    for beta in (0, 0.3, 1):
        assert torch.autograd.gradcheck(
            lambda x, b=beta: o.generalized_jsd(x, teacher, b, keep), logits
        )


@pytest.mark.parametrize("check_", CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
def test_objectives_over_a_batch(check_):
    check_(objectives)
