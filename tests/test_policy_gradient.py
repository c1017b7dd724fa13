"""Is it the gradient of expected reward? Proof by enumeration: a policy so small that every
completion can be listed.

Two prompts, vocabulary a, b, EOS, at most 3 tokens: 15 completions a prompt (8 of them cut off
without EOS) and 7 prefixes, so 42 logits are the whole policy. With all probabilities known, the
exact gradient of J = mean over prompts of E[reward] is one backward pass, and what GRPO and its
relatives compute on average is a sum over all groups of G.

    advantages   aggregation     expected gradient, against grad J
    rloo         constant x L    equal
    none         constant x L    (G-1)/G of it, same direction
    std          constant x L    another direction: hard and easy prompts weigh too much
    rloo         sequence        another direction: long completions weigh less
    rloo         token           another direction: completions of short groups weigh more

Everything in float64; what is enumerated holds to 1e-12, what is sampled (G = 8) to about 1 %.
"""

import itertools

import pytest
import torch

from minilrm.objectives import group_advantages, kl_estimate, policy_loss

A, B, EOS, LONGEST = 0, 1, 2, 3
DOUBLE = torch.float64


def completions(prefix=()):
    """All of them: a completion ends with EOS or with its third token."""
    if prefix and prefix[-1] == EOS or len(prefix) == LONGEST:
        return [prefix]
    return [whole for token in (A, B, EOS) for whole in completions((*prefix, token))]


ALL = completions()
PREFIXES = sorted({whole[:t] for whole in ALL for t in range(len(whole))})
LENGTHS = torch.tensor([len(whole) for whole in ALL])
MASK = torch.arange(LONGEST) < LENGTHS[:, None]  # [15, 3]
IDS = torch.tensor([whole + (0,) * (LONGEST - len(whole)) for whole in ALL])
STATES = torch.tensor(
    [[PREFIXES.index(whole[:t]) if t < len(whole) else 0 for t in range(LONGEST)] for whole in ALL]
)
LOGITS = torch.stack(
    [
        torch.sin(4 + torch.arange(21.0, dtype=DOUBLE)),
        1.2 * torch.sin(3 + 4 * torch.arange(21.0, dtype=DOUBLE)),
    ]
).view(2, len(PREFIXES), 3)


def right(prompt, whole):
    """Prompt 0 (hard, success 0.10): EOS after two tokens, a `b` among them. Prompt 1 (0.52): EOS,
    a `b` before it."""
    return B in whole and whole[-1] == EOS and (prompt == 1 or len(whole) == 3)


BINARY = torch.tensor(
    [[float(right(prompt, whole)) for whole in ALL] for prompt in (0, 1)], dtype=DOUBLE
)
# 1.2, 0.2 (well formed) or 0
GRADED = BINARY + 0.2 * torch.tensor([whole[-1] == EOS for whole in ALL]).double()
REWARDS = {"binary": BINARY, "graded": GRADED}


def logprobs(logits):
    """Per-token log-probs of every completion: [2, 7, 3] -> [2, 15, 3]; 0 after the end."""
    return torch.where(MASK, logits.log_softmax(-1)[:, STATES, IDS], 0.0)


def probabilities(logits=LOGITS):
    """[2, 15]: how often each completion is sampled."""
    return logprobs(logits).sum(-1).exp()


def gradient_of(function):
    """Gradient of a function of the logits at LOGITS: [2, 7, 3]."""
    leaf = LOGITS.clone().requires_grad_()
    return torch.autograd.grad(function(leaf), leaf)[0]


def exact_gradient(rewards):
    """grad J, J = mean over prompts of E[reward]."""
    return gradient_of(lambda logits: (probabilities(logits) * rewards).sum(1).mean())


def all_groups(group_size):
    """Every batch of one group a prompt: indices of completions [C, 2, G] and the probability [C]
    of each.

    G = 2: 15^4 = 50,625 batches. For G = 3 the two prompts' groups are listed side by side instead
    of crossed, which is the same wherever a prompt's contribution does not depend on the other's:
    probabilities [C, 2] then.
    """
    group = torch.tensor(list(itertools.product(range(len(ALL)), repeat=group_size)))
    chance = probabilities()[:, group].prod(-1)  # [2, 15^G]
    if group_size > 2:
        return group[:, None].expand(-1, 2, -1), chance.T
    left, right_ = torch.meshgrid(torch.arange(len(group)), torch.arange(len(group)), indexing="ij")
    left, right_ = left.flatten(), right_.flatten()
    return torch.stack([group[left], group[right_]], 1), (chance[0, left] * chance[1, right_])[
        :, None
    ].expand(-1, 2)


def expected_ascent(groups, weights, rewards, normalize, aggregation, mask=MASK):
    """Sum over batches of weight x (-gradient of policy_loss), times L for the constant
    aggregation: [2, 7, 3].

    One call for all batches: on-policy the gradient is linear in the advantages, so the weight (and
    for the token mean 1/N of that batch) is multiplied into them. test_one_call_for_all_batches
    checks that against one call a batch.
    """
    _, prompts, size = groups.shape
    prompt = torch.arange(prompts)[None, :, None].expand_as(groups)
    advantages = group_advantages(rewards[prompt, groups].reshape(-1, size), normalize)
    advantages = advantages.view_as(groups) * weights[..., None]
    if aggregation == "token":
        advantages = advantages / LENGTHS[groups].sum((1, 2), keepdim=True)

    def loss(logits):
        logp = logprobs(logits)[prompt, groups].flatten(0, 2)
        return policy_loss(
            logp,
            None,
            advantages.flatten(),
            mask[groups].flatten(0, 2),
            objective="grpo",
            aggregation=aggregation,
            max_length=LONGEST,
            denominator=1 if aggregation == "token" else prompts * size,
        )[0]

    return -gradient_of(loss) * (LONGEST if aggregation == "constant" else 1)


def sampled_ascent(group_size, rewards, normalize, aggregation, batches=20_000):
    """The same for groups too many to list: the mean over sampled batches."""
    generator = torch.Generator().manual_seed(0)
    groups = torch.multinomial(
        probabilities(), batches * group_size, replacement=True, generator=generator
    )
    groups = groups.view(2, batches, group_size).transpose(0, 1)
    return expected_ascent(
        groups, torch.full((batches, 2), 1 / batches), rewards, normalize, aggregation
    )


def cosine(x, y):
    return (torch.nn.functional.cosine_similarity(x.flatten(), y.flatten(), dim=0)).item()


def norm_ratio(x, y):
    return (x.norm() / y.norm()).item()


# -- the ground ------------------------------------------------------------------------------------


def test_the_enumeration_is_complete():
    assert len(ALL) == 15 and len(PREFIXES) == 7 and sorted(set(LENGTHS.tolist())) == [1, 2, 3]
    assert probabilities().sum(1).tolist() == pytest.approx([1, 1], abs=1e-12)
    assert (probabilities() * BINARY).sum(1).tolist() == pytest.approx([0.0957, 0.5161], abs=1e-4)
    assert sorted(set(GRADED.flatten().tolist())) == [0, 0.2, 1.2]


@pytest.mark.parametrize("aggregation", ["constant", "sequence", "token"])
def test_one_call_for_all_batches(aggregation):
    """The short cut of expected_ascent against the plain reading: one policy_loss a batch, times
    its probability."""
    groups, weights = all_groups(2)
    some = torch.arange(0, len(groups), 997)
    groups, weights = groups[some], weights[some]

    def expected_loss(logits):
        total = 0.0
        for batch, weight in zip(groups, weights[:, 0], strict=True):
            advantages = group_advantages(
                torch.stack([GRADED[p, batch[p]] for p in (0, 1)]), "rloo"
            )
            logp = torch.cat([logprobs(logits)[p, batch[p]] for p in (0, 1)])
            loss, _ = policy_loss(
                logp,
                None,
                advantages.flatten(),
                MASK[batch.flatten()],
                objective="grpo",
                aggregation=aggregation,
                max_length=LONGEST,
            )
            total = total + weight * loss
        return total

    plain = -gradient_of(expected_loss) * (LONGEST if aggregation == "constant" else 1)
    torch.testing.assert_close(
        expected_ascent(groups, weights, GRADED, "rloo", aggregation), plain, rtol=0, atol=1e-14
    )


# -- what is exact, and what is not ----------------------------------------------------------------


@pytest.mark.parametrize("rewards", REWARDS)
@pytest.mark.parametrize("group_size", [2, 3])
def test_rloo_with_constant_aggregation_is_the_policy_gradient(rewards, group_size):
    groups, weights = all_groups(group_size)
    expected = expected_ascent(groups, weights, REWARDS[rewards], "rloo", "constant")
    torch.testing.assert_close(expected, exact_gradient(REWARDS[rewards]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rewards", REWARDS)
@pytest.mark.parametrize("group_size", [2, 3])
def test_without_the_others_mean_it_is_a_fraction_of_it(rewards, group_size):
    """r - mean (Dr. GRPO): the mean holds r itself, so 1/G of the signal is lost. A learning rate,
    no more."""
    groups, weights = all_groups(group_size)
    expected = expected_ascent(groups, weights, REWARDS[rewards], "none", "constant")
    exact = exact_gradient(REWARDS[rewards])
    torch.testing.assert_close(expected, exact * (group_size - 1) / group_size, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rewards", REWARDS)
def test_larger_groups_by_sampling(rewards):
    """G = 8, 20,000 batches: exact and 7/8 within 1 %."""
    exact = exact_gradient(REWARDS[rewards])
    for normalize, factor in (("rloo", 1.0), ("none", 7 / 8)):
        sampled = sampled_ascent(8, REWARDS[rewards], normalize, "constant")
        assert cosine(sampled, exact) > 0.9995
        assert norm_ratio(sampled, exact) == pytest.approx(factor, rel=0.01)


@pytest.mark.parametrize(
    "group_size, direction, hard, easy, within",
    [(2, 0.8924, 1.2996, 0.6237, 0.2999), (3, 0.9106, 1.9647, 1.0099, 0.3419)],
)
def test_std_changes_the_direction(group_size, direction, hard, easy, within):
    """Graded rewards: a group that differs by 0.2 in format counts as much as one that differs by
    1.2 in being right.

    So the hard prompt, whose groups mostly differ in format alone, is pushed twice as hard as the
    easy one, and within its gradient format drowns correctness: cosine with the true one 0.30 (G =
    2) and 0.34 (G = 3).
    """
    exact = exact_gradient(GRADED)
    biased = expected_ascent(*all_groups(group_size), GRADED, "std", "constant")
    assert cosine(biased, exact) == pytest.approx(direction, abs=1e-4)
    assert [norm_ratio(biased[p], exact[p]) for p in (0, 1)] == pytest.approx(
        [hard, easy], abs=1e-4
    )
    assert cosine(biased[0], exact[0]) == pytest.approx(within, abs=1e-4)


def test_std_weighs_prompts_by_their_difficulty():
    """Binary rewards: each prompt keeps its direction, but its weight depends on its success rate
    (2503.20783).

    G = 8: 2.19 at success 0.10 against 1.74 at 0.52, a hard prompt counts 26 % more. At G = 2 and 3
    there is nothing to see: every mixed group has the same std.
    """
    exact = exact_gradient(BINARY)
    for group_size, scale in ((2, 2**-0.5 / (1 + 2**0.5 * 1e-4)), (3, (2 / 3) / (3**-0.5 + 1e-4))):
        expected = expected_ascent(*all_groups(group_size), BINARY, "std", "constant")
        torch.testing.assert_close(expected, scale * exact, rtol=0, atol=1e-12)
    biased = sampled_ascent(8, BINARY, "std", "constant")
    assert norm_ratio(biased[0], exact[0]) == pytest.approx(2.1875, rel=0.02)
    assert norm_ratio(biased[1], exact[1]) == pytest.approx(1.7361, rel=0.01)


@pytest.mark.parametrize("rewards, direction", [("binary", 0.9617), ("graded", 0.9717)])
def test_sequence_mean_changes_the_direction(rewards, direction):
    """1/|o|: a token of a three-token completion gets a third of what a lone EOS gets. The same for
    any G."""
    exact = exact_gradient(REWARDS[rewards])
    for group_size in (2, 3):
        biased = expected_ascent(*all_groups(group_size), REWARDS[rewards], "rloo", "sequence")
        assert cosine(biased, exact) == pytest.approx(direction, abs=1e-4)


@pytest.mark.parametrize("rewards, direction", [("binary", 0.99807), ("graded", 0.99839)])
def test_token_mean_changes_the_direction_a_little(rewards, direction):
    """1/N: N is random and depends on the very completions it weighs. The bias shrinks as batches
    grow."""
    exact = exact_gradient(REWARDS[rewards])
    two = cosine(expected_ascent(*all_groups(2), REWARDS[rewards], "rloo", "token"), exact)
    assert two == pytest.approx(direction, abs=1e-5)
    assert two < 0.9990 < cosine(sampled_ascent(8, REWARDS[rewards], "rloo", "token"), exact)


@pytest.mark.parametrize(
    "rewards, direction, norm", [("binary", 0.8805, 0.8566), ("graded", 0.8932, 0.8755)]
)
def test_a_mask_without_eos_is_not_the_gradient(rewards, direction, norm):
    """The policy chose EOS: leave it out and it never learns when to stop."""
    exact = exact_gradient(REWARDS[rewards])
    biased = expected_ascent(
        *all_groups(2), REWARDS[rewards], "rloo", "constant", mask=MASK & (IDS != EOS)
    )
    assert [cosine(biased, exact), norm_ratio(biased, exact)] == pytest.approx(
        [direction, norm], abs=1e-4
    )


# -- KL --------------------------------------------------------------------------------------------


def kl(log_p, log_q):
    return (log_p.exp() * (log_p - log_q)).sum()


def one_step(theta):
    """A categorical of four outcomes as a completion of one token: its log-probs [4, 1]."""
    return theta.log_softmax(0)[:, None]


THETA, OLD, REF = (
    torch.tensor(x, dtype=DOUBLE)
    for x in ([0.3, -0.4, 1.0, 0.1], [0.9, -0.5, 0.2, -0.2], [0.5, 0.2, -0.6, 0.0])
)


def test_old_samples_need_the_ratio():
    """One token, samples of an older policy: the PPO term unclipped is exact, plain REINFORCE is
    not."""
    rewards = torch.tensor([1.0, 0.0, 0.2, 0.0], dtype=DOUBLE)
    theta = THETA.clone().requires_grad_()
    exact = torch.autograd.grad((theta.softmax(0) * rewards).sum(), theta)[0]
    options = {
        "mask": torch.ones(4, 1),
        "denominator": 1,
        "max_length": 1,
        "aggregation": "constant",
    }
    weighted = rewards * OLD.softmax(0)
    for objective, right_ in (("grpo", True), ("cispo", True), ("reinforce", False)):
        loss, _ = policy_loss(
            one_step(theta),
            one_step(OLD),
            weighted,
            objective=objective,
            clip_low=9.0,
            clip_high=9.0,
            **options,
        )
        gradient = -torch.autograd.grad(loss, theta)[0]
        assert torch.allclose(gradient, exact, atol=1e-12) == right_


def test_kl_off_policy_needs_the_ratio():
    """Samples of an old policy: k2's gradient needs the ratio as a factor (detached); with the
    gradient through the ratio too, that of every *unbiased* estimate, k1 and k3, is right."""
    theta = THETA.clone().requires_grad_()
    log_pi, log_old, log_ref = (x.log_softmax(0) for x in (theta, OLD, REF))
    exact = torch.autograd.grad(kl(log_pi, log_ref), theta, retain_graph=True)[0]
    ratio = (log_pi - log_old).exp()

    def gradient(kind, weight):
        value = (log_old.exp() * weight * kl_estimate(log_pi, log_ref, kind)).sum()
        return torch.autograd.grad(value, theta, retain_graph=True)[0]

    assert cosine(gradient("k2", torch.ones(4)), exact) == pytest.approx(0.975, abs=1e-3)
    torch.testing.assert_close(gradient("k2", ratio.detach()), exact, rtol=0, atol=1e-12)
    for kind in ("k1", "k3"):
        assert not torch.allclose(gradient(kind, ratio.detach()), exact, atol=1e-2)
        torch.testing.assert_close(gradient(kind, ratio), exact, rtol=0, atol=1e-12)


# nine completions of two tokens
FIRST, SECOND = (torch.arange(3).repeat_interleave(3), torch.arange(3).repeat(3))
UNIFORM = torch.full((9, 2), 1 / 3, dtype=DOUBLE).log()  # the reference model


def two_steps(theta):
    """theta[0]: logits of the first of two tokens; theta[1 + first]: of the second. Log-probs [9,
    2]."""
    log_p = theta.log_softmax(-1)
    return torch.stack([log_p[0, FIRST], log_p[1 + FIRST, SECOND]], 1)


def two_step_policy(root):
    """After token 0 the policy is far from the reference, after token 1 on it; `root` is how far
    the first step is."""
    return torch.tensor(
        [[root, 0, -root], [2, 0, -2], [0, 0, 0], [0, 1, 0]], dtype=DOUBLE
    ).requires_grad_()


def gradients_over_two_steps(root):
    """As a loss, expected: per-token k1, k2, k3 (by policy_loss), (sum d)^2 / 2; exact:
    KL(pi||ref), KL(ref||pi)."""
    theta = two_step_policy(root)
    logp = two_steps(theta)
    chance, d = logp.detach().sum(1).exp(), UNIFORM - logp

    def gradient(value):
        return torch.autograd.grad(value, theta, retain_graph=True)[0]

    def per_token(kind):
        options = {"objective": "dr_grpo", "max_length": 1, "kl_coef": 1.0, "kl_kind": kind}
        losses = [
            policy_loss(
                logp[i : i + 1],
                None,
                torch.zeros(1),
                torch.ones(1, 2),
                ref_logp=UNIFORM[i : i + 1],
                **options,
            )[0]
            for i in range(9)
        ]
        return gradient((chance * torch.stack(losses)).sum())

    found = {kind: per_token(kind) for kind in ("k1", "k2", "k3")}
    found["whole"] = gradient((chance * d.sum(1).square() / 2).sum())
    found["reverse"] = gradient(kl(logp.sum(1), UNIFORM.sum(1)))
    found["forward"] = gradient(kl(UNIFORM.sum(1), logp.sum(1)))
    return found


def test_kl_of_a_sequence_as_a_loss():
    found = gradients_over_two_steps(0.6)
    torch.testing.assert_close(found["whole"], found["reverse"], rtol=0, atol=1e-12)
    assert found["k1"].abs().max() < 1e-12
    assert cosine(found["k2"], found["reverse"]) == pytest.approx(0.959, abs=1e-3)
    assert cosine(found["k3"], found["forward"]) == pytest.approx(0.958, abs=1e-3)
    assert cosine(found["k3"], found["reverse"]) == pytest.approx(0.804, abs=1e-3)


def test_per_token_kl_does_not_see_the_future():
    """The first step is on the reference, what follows token 0 is not. The KL asks for less of
    token 0; the per-token losses ask nothing of the first step: exactly 0."""
    found = gradients_over_two_steps(0.0)
    assert found["reverse"][0, 0] > 0.1
    for kind in ("k2", "k3"):
        assert found[kind][0].abs().max() < 1e-12 < found[kind][1].abs().max()


def test_kl_of_a_sequence_in_the_reward():
    """sum_t k1_t taken from the reward, RLOO, G = 2: the gradient of E[r] - beta KL; with std
    another direction."""
    beta, rewards = 0.3, torch.tensor([1.0, 0, 0, 0.2, 0, 1, 0, 0, 0], dtype=DOUBLE)
    theta = two_step_policy(0.6)
    logp = two_steps(theta)
    objective = (logp.sum(1).exp() * rewards).sum() - beta * kl(logp.sum(1), UNIFORM.sum(1))
    exact = torch.autograd.grad(objective, theta, retain_graph=True)[0]
    groups = torch.cartesian_prod(torch.arange(9), torch.arange(9))
    chance = logp.detach().sum(1).exp()[groups].prod(1, keepdim=True)
    shaped = rewards - beta * kl_estimate(logp.detach(), UNIFORM, "k1").sum(1)
    found = {}
    for normalize in ("rloo", "std"):
        advantages = (group_advantages(shaped[groups], normalize) * chance).flatten()
        loss, _ = policy_loss(
            logp[groups.flatten()],
            None,
            advantages,
            torch.ones(162, 2),
            objective="dr_grpo",
            max_length=1,
            denominator=2,
        )
        found[normalize] = -torch.autograd.grad(loss, theta, retain_graph=True)[0]
    torch.testing.assert_close(found["rloo"], exact, rtol=0, atol=1e-12)
    assert cosine(found["std"], exact) < 0.99
