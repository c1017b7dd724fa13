"""The formulas of minilrm/objectives/ against reference values (each worked out by hand or in the
paper), and against what they promise: gradients, masks, micro-batches. Expected gradients of whole
policies are in test_policy_gradient.py.

Each check takes the module it looks at as `o`, so that tests/mutants.py can show it wrong versions
of objectives/. A test of the loss's *value* is not enough: on-policy it reads 0 for the right
formula and for most of the wrong ones.
"""

import doctest
import math

import pytest
import torch

from minilrm import objectives
from minilrm.objectives import advantages, exact, likelihood, policy

MODULES = (advantages, exact, likelihood, policy)
DOUBLE = torch.float64
RATIO_OBJECTIVES = ("grpo", "dr_grpo", "dapo", "gspo")
ALL_OBJECTIVES = ("reinforce", *RATIO_OBJECTIVES, "cispo")
CHECKS = []


def check(function):
    """Put a check on the list that the real module must pass and every mutant must fail
    somewhere."""
    CHECKS.append(function)
    return function


def double(values):
    return torch.tensor(values, dtype=DOUBLE)


def close(actual, expected, tolerance=1e-6):
    """Equal within the tolerance, shape included. NaN is equal to nothing."""
    actual = torch.as_tensor(actual, dtype=DOUBLE).detach()
    expected = torch.as_tensor(expected, dtype=DOUBLE).detach()
    assert actual.shape == expected.shape, (
        f"shape {tuple(actual.shape)}, expected {tuple(expected.shape)}"
    )
    assert bool(((actual - expected).abs() <= tolerance).all()), (
        f"{actual.tolist()}, expected {expected.tolist()}"
    )


def loss_and_gradient(o, logp, old_logp, advantages, mask, **options):
    """The loss, its gradient with respect to logp, and the stats."""
    logp = logp.clone().requires_grad_()
    loss, stats = o.policy_loss(logp, old_logp, advantages, mask, **options)
    (gradient,) = torch.autograd.grad(loss, logp)
    return loss.detach(), gradient, stats


# -- log-probabilities -----------------------------------------------------------------------------


@check
def check_logprobs_are_of_the_next_token(o):
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(1), dtype=DOUBLE)
    ids = torch.tensor([[0, 3, 6, 1, 2], [5, 5, 0, 4, 3]])
    expected = double(
        [[logits[b, t].softmax(0)[ids[b, t + 1]].log() for t in range(4)] for b in range(2)]
    )
    close(o.token_logprobs(logits, ids), expected)
    close(o.selected_logprobs(logits[:, :-1], ids[:, 1:]), expected)


@check
def check_logprobs_use_the_sampling_temperature(o):
    logits, ids = double([[[1.0, 0.0], [0.0, 0.0]]]), torch.tensor([[1, 0]])
    for temperature in (0.5, 1.0, 2.0):
        close(
            o.token_logprobs(logits, ids, temperature), [[-math.log1p(math.exp(-1 / temperature))]]
        )
    with pytest.raises(ValueError, match="temperature"):
        o.token_logprobs(logits, ids, 0.0)


@check
def check_logprobs_are_exact_for_large_and_for_16_bit_logits(o):
    close(
        o.selected_logprobs(double([[1000.0, 999.0]]), torch.tensor([0])),
        [-math.log1p(math.exp(-1))],
    )
    rough = torch.randn(4, 50, generator=torch.Generator().manual_seed(2)).bfloat16()
    ids = torch.arange(4)
    exact = rough.double().log_softmax(-1)[ids, ids]
    assert o.selected_logprobs(rough, ids).dtype == torch.float32
    close(o.selected_logprobs(rough, ids), exact)


@check
def check_entropy(o):
    close(o.token_entropy(double([[0.0] * 4, [math.log(7), 0.0, 0.0, 0.0]])), [1.386294, 0.940448])
    close(o.token_entropy(double([1.0, 0.0]), 0.5), o.token_entropy(double([2.0, 0.0])))
    banned = double([0.0, 0.0, -math.inf]).requires_grad_()
    entropy = o.token_entropy(banned)
    close(entropy, math.log(2))
    close(torch.autograd.grad(entropy, banned)[0], [0.0, 0.0, 0.0])


@check
def check_cross_entropy(o):
    logits = double(
        [[[0.0, 0.0], [math.log(3), 0.0]], [[0.0, 0.0], [math.nan, math.inf]]]
    ).requires_grad_()
    targets, mask = torch.tensor([[1, 1], [0, 1]]), torch.tensor([[1, 1], [1, 0]])
    loss = o.cross_entropy(logits, targets, mask)
    close(loss, (math.log(2) + math.log(4) + math.log(2)) / 3)
    gradient = torch.autograd.grad(loss, logits)[0]
    close(gradient, double([[[0.5, -0.5], [0.75, -0.75]], [[-0.5, 0.5], [0.0, 0.0]]]) / 3)
    halves = [o.cross_entropy(logits[i], targets[i], mask[i], denominator=3) for i in (0, 1)]
    close(sum(halves), loss)
    nothing = o.cross_entropy(logits, targets, torch.zeros(2, 2))
    close(nothing, 0.0)
    close(torch.autograd.grad(nothing, logits)[0], torch.zeros(2, 2, 2))


# -- advantages ------------------------------------------------------------------------------------


@check
def check_advantages(o):
    rewards = double([[1, 0, 0, 1], [1, 0, 0, 0], [1.2, 0.2, 0, 1.2]])
    expected = {
        "std": [
            [0.865875, -0.865875, -0.865875, 0.865875],
            [1.4997, -0.4999, -0.4999, -0.4999],
            [0.858822, -0.702672, -1.014971, 0.858822],
        ],
        "none": [[0.5, -0.5, -0.5, 0.5], [0.75, -0.25, -0.25, -0.25], [0.55, -0.45, -0.65, 0.55]],
        "rloo": [
            [2 / 3, -2 / 3, -2 / 3, 2 / 3],
            [1, -1 / 3, -1 / 3, -1 / 3],
            [0.733333, -0.6, -0.866667, 0.733333],
        ],
    }
    for normalize, values in expected.items():
        close(o.group_advantages(rewards, normalize), values)
        # a group knows nothing of the others
        close(o.group_advantages(rewards[1:2], normalize), values[1:2])
    close(o.group_advantages(rewards), expected["std"])
    flat = rewards.flatten().tolist()
    mean = sum(flat) / 12
    std = math.sqrt(sum((r - mean) ** 2 for r in flat) / 11)
    close(o.group_advantages(rewards, "batch"), double(expected["none"]) / (std + 1e-4))


@check
def check_equal_rewards_teach_nothing(o):
    same = torch.full((2, 23), 2.1)
    same[1, 0] = 0.0  # the second group has something to say
    for normalize in ("std", "none", "rloo", "batch"):
        for eps in (1e-4, 1e-8):
            advantages = o.group_advantages(same, normalize, eps)
            assert (advantages[0] == 0).all(), (
                f"{normalize}: {advantages[0].abs().max()} out of equal rewards"
            )
            assert (advantages[1] != 0).all() and advantages.isfinite().all()
            one_failed = o.group_advantages(
                same[:1], normalize, eps, valid=torch.arange(23)[None] > 0
            )
            assert (one_failed == 0).all()


@check
def check_invalid_rewards_count_nowhere(o):
    rewards = double([[1, 0, 0, 1, math.nan], [0.3, 5, 5, math.inf, -9], [5, 5, 5, 5, 5]])
    valid = torch.tensor([[1, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
    for normalize in ("std", "none", "rloo"):
        advantages = o.group_advantages(rewards, normalize, valid=valid)
        close(advantages[:1, :4], o.group_advantages(rewards[:1, :4], normalize))
        close(advantages[0, 4], 0.0)
        close(advantages[1:], torch.zeros(2, 5))  # one reward cannot be compared, none still less
    std = double([1, 0, 0, 1, 0.3]).std()
    close(
        o.group_advantages(rewards, "batch", valid=valid)[0],
        double([0.5, -0.5, -0.5, 0.5, 0]) / (std + 1e-4),
    )


@check
def check_soft_overlong_penalty(o):
    close(
        o.soft_overlong_penalty(torch.tensor([80, 85, 90, 100, 101, 1]), 100, 20),
        [0, -0.25, -0.5, -1, -1, 0],
    )
    close(o.soft_overlong_penalty(torch.tensor([99, 100]), 100, 1), [0, -1])
    with pytest.raises(ValueError, match="cache"):
        o.soft_overlong_penalty(torch.tensor([5]), 100, 0)


# -- KL --------------------------------------------------------------------------------------------


@check
def check_kl_estimates(o):
    logp = double([-1.0, -1.0, -1.0, -1.0]).requires_grad_()
    ref_logp = double([-0.9, -1.1, 0.0, -2.0])  # d = .1, -.1, 1, -1
    values = {
        "k1": [-0.1, 0.1, -1, 1],
        "k2": [0.005, 0.005, 0.5, 0.5],
        "k3": [0.005170918, 0.004837418, 0.718281828, 0.367879441],
    }
    gradients = {
        "k1": [1, 1, 1, 1],
        "k2": [-0.1, 0.1, -1, 1],
        "k3": [1 - math.exp(d) for d in (0.1, -0.1, 1, -1)],
    }
    for kind in values:
        estimate = o.kl_estimate(logp, ref_logp, kind)
        close(estimate, values[kind], 1e-9)
        close(torch.autograd.grad(estimate.sum(), logp)[0], gradients[kind], 1e-9)
    # exp(d) - d - 1 in float32 is 0.2 % off here
    tiny = o.kl_estimate(torch.tensor([0.0]), torch.tensor([1e-3]), "k3")
    close(tiny * 1e6, [0.5001667], 1e-3 * 0.5)
    with pytest.raises(ValueError, match="kind"):
        o.kl_estimate(logp, ref_logp, "k4")


@check
def check_expected_gradient_of_the_kl_estimates(o):
    """On one categorical, by enumeration: as a loss k1 gives 0, k2 grad KL(pi||ref), k3 grad
    KL(ref||pi)."""
    theta = double([0.3, -0.4, 1.0]).requires_grad_()
    ref = double([0.5, 0.2, -0.6]).log_softmax(0)
    log_pi = theta.log_softmax(0)
    # how often each outcome is sampled: a fact by now, no gradient through it
    pi = log_pi.detach().exp()

    def gradient(value):
        return torch.autograd.grad(value, theta, retain_graph=True)[0]

    reverse, forward = (log_pi.exp() * (log_pi - ref)).sum(), (ref.exp() * (ref - log_pi)).sum()
    for kind, expected in {
        "k1": torch.zeros(3),
        "k2": gradient(reverse),
        "k3": gradient(forward),
    }.items():
        close(gradient((pi * o.kl_estimate(log_pi, ref, kind)).sum()), expected, 1e-12)
    in_reward = (pi * o.kl_estimate(log_pi, ref, "k1").detach() * log_pi).sum()
    close(gradient(in_reward), gradient(reverse), 1e-12)


@check
def check_generalized_jsd(o):
    student, teacher = (
        double([[1, 0, -1], [math.nan] * 3]).requires_grad_(),
        double([[0, 1, 0], [9, 0, 0]]),
    )
    mask = torch.tensor([1, 0])
    for beta, value in {
        0: 0.432278,
        1: 0.474321,
        0.1: 0.038708,
        0.5: 0.108578,
        0.9: 0.041568,
    }.items():
        loss = o.generalized_jsd(student, teacher.requires_grad_(), beta, mask)
        close(loss, value)
        gradients = torch.autograd.grad(loss, (student, teacher), allow_unused=True)
        assert gradients[1] is None, "the teacher does not learn"
        assert (gradients[0][0] != 0).all() and (gradients[0][1] == 0).all()
        close(o.generalized_jsd(student / 2, teacher / 2, beta, mask, temperature=0.5), value)
        close(o.generalized_jsd(student, teacher, beta, mask, denominator=4), value / 4)
        close(o.generalized_jsd(student, teacher, beta, mask * 0), 0.0)
        two = o.generalized_jsd(
            student[:1].repeat(2, 1), teacher[:1].repeat(2, 1), beta, torch.ones(2)
        )
        close(two, value)
    close(
        torch.autograd.grad(o.generalized_jsd(student, teacher, 0, mask), student)[0][0],  # S - T
        student[0].softmax(0) - teacher[0].softmax(0),
    )


# -- aggregation -----------------------------------------------------------------------------------


@check
def check_aggregation(o):
    losses = double([[2] * 4 + [7] * 4, [1] * 8])
    mask = torch.tensor([[1] * 4 + [0] * 4, [1] * 8])
    for how, value in {"sequence": 1.5, "token": 16 / 12, "constant": 0.8}.items():
        close(o.aggregate(losses, mask, how, max_length=10), value)
        close(o.aggregate(losses, mask * 0, how, max_length=10), 0.0)
        leaf = losses.clone().requires_grad_()
        gradient = torch.autograd.grad(o.aggregate(leaf, mask, how, max_length=10), leaf)[0]
        close(gradient[1, 0] / gradient[0, 0], 0.5 if how == "sequence" else 1.0)
        assert (gradient[0, 4:] == 0).all()
    close(o.aggregate(losses, mask), 1.5)
    # an empty sequence still counts as one of two
    close(o.aggregate(losses, torch.stack([mask[0], mask[1] * 0])), 1.0)
    with pytest.raises(ValueError, match="max_length"):
        o.aggregate(losses, mask, "constant")
    with pytest.raises(ValueError, match="aggregation"):
        o.aggregate(losses, mask, "mean")


# -- the objectives, a token -----------------------------------------------------------------------


@check
def check_table_of_clips(o):
    """Value and gradient (with respect to logp) of the maximised term, for both signs of the
    advantage."""
    table = [  # A, rho, GRPO and Dr. GRPO .2/.2, DAPO .2/.28, CISPO's gradient
        (+1, 0.70, (0.7, 0.7), (0.7, 0.7), 0.7),
        (+1, 1.25, (1.2, 0.0), (1.25, 1.25), 1.25),
        (+1, 1.30, (1.2, 0.0), (1.28, 0.0), 1.28),
        (-1, 0.70, (-0.8, 0.0), (-0.8, 0.0), -0.7),
        (-1, 1.30, (-1.3, -1.3), (-1.3, -1.3), -1.28),
    ]
    for advantage, ratio, grpo, dapo, cispo in table:
        old, mask = double([[-1.5]]), torch.ones(1, 1)
        for objective, expected in (("grpo", grpo), ("dr_grpo", grpo), ("dapo", dapo)):
            value, gradient, _ = loss_and_gradient(
                o,
                old + math.log(ratio),
                old,
                double([advantage]),
                mask,
                objective=objective,
                max_length=1,
            )
            close([-value, -gradient[0, 0]], expected)
        # no lower bound, whatever is asked
        _, gradient, _ = loss_and_gradient(
            o,
            old + math.log(ratio),
            old,
            double([advantage]),
            mask,
            objective="cispo",
            clip_low=0.2,
        )
        close(-gradient, [[cispo]])


@check
def check_clips_can_be_set(o):
    old, mask, kinds = double([[-1.5]]), torch.ones(1, 1), ("grpo", "dr_grpo", "dapo", "gspo")
    for objective in kinds:
        for ratio, advantage, expected in (
            (1.6, 1, 1.5),
            (1.4, 1, 1.4),
            (0.6, -1, -0.7),
            (0.8, -1, -0.8),
        ):
            value, _, _ = loss_and_gradient(
                o,
                old + math.log(ratio),
                old,
                double([advantage]),
                mask,
                objective=objective,
                clip_low=0.3,
                clip_high=0.5,
                max_length=1,
            )
            close(-value, expected)
    _, gradient, _ = loss_and_gradient(
        o, old + math.log(4), old, double([1]), mask, objective="cispo", clip_high=2.0
    )
    close(-gradient, [[3.0]])


@check
def check_gspo(o):
    """One ratio a sequence: the geometric mean. Its clips are of the order of 1e-4."""
    old, mask = torch.zeros(1, 4, dtype=DOUBLE), torch.tensor([[1, 1, 1, 0]])
    logp = double([[0.2, -0.1, 0.05, 9.0]])
    value, gradient, stats = loss_and_gradient(
        o, logp, old, double([1.0]), mask, objective="gspo", clip_high=0.1
    )
    close([-value, stats["ratio/mean"]], [1.051271] * 2)
    close(-gradient, [[1.051271 / 3] * 3 + [0.0]])
    for mean, advantage, expected in (
        (3e-4, 1, math.exp(3e-4)),
        (6e-4, 1, 1 + 4e-4),
        (-2e-4, -1, -math.exp(-2e-4)),
        (-6e-4, -1, -(1 - 3e-4)),
        (6e-4, -1, -math.exp(6e-4)),
    ):
        # far from 1 a token, near it as a sequence
        logp = double([[mean, mean + 0.5, mean - 0.5, 0.0]])
        value, gradient, stats = loss_and_gradient(
            o, logp, old, double([advantage]), mask, objective="gspo"
        )
        close(-value, expected, 1e-9)
        clipped = abs(expected) in (1 + 4e-4, 1 - 3e-4)
        assert clipped == bool((gradient == 0).all()) == bool(stats["clip_ratio/region_mean"] == 1)
    two = double([[0.2, -0.1, 0.05], [0.0, 0.0, 0.3]])
    value, _, _ = loss_and_gradient(
        o,
        two,
        torch.zeros(2, 3, dtype=DOUBLE),
        double([1.0, -1.0]),
        torch.ones(2, 3),
        objective="gspo",
        clip_high=0.2,
    )
    close(-value, (math.exp(0.05) - math.exp(0.1)) / 2)


@check
def check_half_precision_inputs(o):
    """Log-probs in bfloat16 (autocast) are raised to float32 before any exp; integer advantages are
    fine."""
    logp = torch.tensor([[-1.0, -2.0]]).bfloat16()
    loss, _ = o.policy_loss(logp, logp - 0.25, torch.tensor([1]), torch.ones(1, 2), clip_high=9.0)
    assert loss.dtype == torch.float32
    close(loss, -math.exp(0.25), 1e-6)
    assert o.group_advantages(torch.tensor([[1, 0]])).dtype == torch.float32


@check
def check_unknown_names_are_errors(o):
    logp, old_logp, advantages, mask = torch.zeros(1, 2), None, torch.ones(1), torch.ones(1, 2)
    with pytest.raises(ValueError, match="objective"):
        o.policy_loss(logp, old_logp, advantages, mask, objective="ppo2")
    with pytest.raises(ValueError, match="normalize"):
        o.group_advantages(double([[1, 0]]), "mean")
    with pytest.raises(ValueError, match="beta"):
        o.generalized_jsd(double([[1, 0]]), double([[1, 0]]), 1.5, torch.ones(1))


# -- tests -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("check_", CHECKS, ids=lambda c: c.__name__.removeprefix("check_"))
def test_objectives(check_):
    check_(objectives)


def test_worked_examples_in_the_docstrings():
    results = [doctest.testmod(module) for module in MODULES]
    assert sum(r.failed for r in results) == 0 and sum(r.attempted for r in results) >= 15


def test_every_public_function_has_a_source_and_an_example():
    for name in objectives.__all__:
        if callable(function := getattr(objectives, name)):
            assert ">>>" in function.__doc__, name


def test_imports_torch_alone():
    for module in MODULES:
        with open(module.__file__) as file:
            imports = [line.split()[1] for line in file if line.startswith(("import ", "from "))]
        assert {name.partition(".")[0] for name in imports} <= {
            "collections",
            "math",
            "torch",
            "minilrm",
        }
        assert all(name.startswith("minilrm.objectives") for name in imports if "minilrm" in name)
