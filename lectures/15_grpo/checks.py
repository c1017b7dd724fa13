"""What lecture 15 holds its exercises to. Reference values: computed by hand and in float64, as in
tests/test_objectives.py."""

import torch

from course.grade import close, exercise, expect, expect_close, gradients, mutant

FORBIDDEN = ("minilrm.objectives", "minilrm.grpo")


# -- group_advantages ------------------------------------------------------------------------------


@exercise("group_advantages", points=2)
def table(student):
    """Three groups whose advantages are known."""
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 0.0, 0.0, 0.0], [1.2, 0.2, 0.0, 1.2]])
    wanted = torch.tensor(
        [
            [0.865875, -0.865875, -0.865875, 0.865875],
            [1.4997, -0.4999, -0.4999, -0.4999],
            [0.858822, -0.702672, -1.014971, 0.858822],
        ]
    )
    centered = rewards - rewards.mean(1, keepdim=True)
    everyone = rewards - rewards.mean()
    std = rewards.std(1, keepdim=True)
    expect_close(
        student.group_advantages(rewards),
        wanted,
        "the advantages are (r - mean) / (std + eps) of each group",
        {
            "your std divides by G; the group is a sample, so it is G - 1 (Bessel's correction)": centered
            / (rewards.std(1, keepdim=True, correction=0) + 1e-4),
            "you divide by the variance; the root is missing": centered / (std.square() + 1e-4),
            "you only subtract the mean; that is Dr. GRPO, here it is divided by the std too": centered,
            "your mean runs over all prompts; each group is compared with itself alone (dim=1)": everyone
            / (rewards.std() + 1e-4),
            "your mean and std run over dim 0, across prompts; a group is a row (dim=1)": (
                rewards - rewards.mean(0)
            )
            / (rewards.std(0) + 1e-4),
            "worse completions get the higher advantage: it is r - mean, not mean - r": -wanted,
        },
        tolerance=1e-4,
    )


@exercise("group_advantages", points=1)
def equal_rewards(student):
    """A group of equal rewards teaches nothing: exactly 0."""
    for value, size in ((1.0, 4), (0.0, 4), (2.1, 23), (0.1, 7)):
        rewards = torch.tensor([[value] * size, [1.0] + [0.0] * (size - 1)])
        first = student.group_advantages(rewards)[0]
        expect(not torch.isnan(first).any(), "a group of equal rewards gives NaN: 0 / 0")
        worst = first.abs().max().item()
        expect(
            worst == 0,
            f"{size} equal rewards of {value} must give exactly 0, and give up to {worst:.2g}: "
            "the mean is rounded, and a std of nearly 0 makes that large; compare max and min",
        )


# -- token_logprobs --------------------------------------------------------------------------------


@exercise("token_logprobs", points=2)
def alignment(student):
    """Each token is paired with the logits before it."""
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[1, 4, 2, 0, 6], [3, 3, 5, 1, 2]])
    log_p = logits.log_softmax(-1)

    def pick(rows, tokens):
        return rows.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)

    expect_close(
        student.token_logprobs(logits, ids),
        pick(log_p[:, :-1], ids[:, 1:]),
        "out[b, t] is the log-probability of ids[b, t + 1] under the logits at t",
        {
            "off by one: you ask the logits at t for token t, which the model has just read; they are about t + 1": pick(
                log_p[:, :-1], ids[:, :-1]
            ),
            "off by one the other way: the logits at t + 1 have already seen token t + 1": pick(
                log_p[:, 1:], ids[:, 1:]
            ),
            "one column too many: nothing predicted the first token, and the last logits predict a token that is not there": pick(
                log_p, ids
            ),
            "these are probabilities; take their logarithm": pick(log_p[:, :-1], ids[:, 1:]).exp(),
            "these are bare logits; a log-probability subtracts logsumexp over the vocabulary": pick(
                logits[:, :-1], ids[:, 1:]
            ),
        },
    )


@exercise("token_logprobs", points=1)
def temperature(student):
    """The policy that sampled at 0.7 is another than the one at 1."""
    logits = torch.randn(1, 4, 5, generator=torch.Generator().manual_seed(1))
    ids = torch.tensor([[0, 3, 1, 4]])

    def at(scaled):
        return scaled[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)

    expect_close(
        student.token_logprobs(logits, ids, 0.7),
        at(logits / 0.7),
        "the logits are divided by the temperature",
        {
            "the temperature changes nothing in your function": at(logits),
            "you multiply by the temperature; logits are divided by it": at(logits * 0.7),
            "you divide the log-probabilities, which then no longer sum to 1; divide the logits": at(
                logits
            )
            / 0.7,
        },
    )
    huge = student.token_logprobs(
        torch.tensor([[[1000.0, 0.0], [0.0, 0.0]]]), torch.tensor([[0, 1]])
    )
    expect(
        close(huge, [[-1000.0]]),
        "a logit of 1000 must give -1000 for the other token, not -inf or NaN: use log_softmax "
        "or logsumexp, not log(softmax)",
    )


# -- kl_k3 -----------------------------------------------------------------------------------------


@exercise("kl_k3", points=2)
def value(student):
    """Four values of d, from the definition."""
    d = torch.tensor([0.1, -0.1, 1.0, -1.0], dtype=torch.float64)
    logp = torch.tensor([-1.0, -2.0, -3.0, -0.5], dtype=torch.float64)
    wanted = torch.tensor([0.005170918, 0.004837418, 0.718281828, 0.367879441], dtype=torch.float64)
    expect_close(
        student.kl_k3(logp, logp + d),
        wanted,
        "k3 is exp(d) - d - 1",
        {
            "backwards: d is ref_logp - logp, and you took logp - ref_logp": torch.exp(-d) + d - 1,
            "this is k1 = -d: unbiased as a value, but as a loss its expected gradient is zero": -d,
            "this is k2 = d^2 / 2, another estimator": d.square() / 2,
            "the term -d is missing: exp(d) - 1 is 0 on average and says nothing": d.exp() - 1,
            "the -1 is missing: your estimate is 1 where both agree": d.exp() - d,
            "the sum of all tokens; return one value a token": wanted.sum(),
        },
        tolerance=1e-7,
    )
    expect_close(student.kl_k3(logp, logp), torch.zeros(4), "where both agree the estimate is 0")


# -- grpo_loss -------------------------------------------------------------------------------------


def one_token(ratio, advantage):
    """A sequence of one token with this ratio, ready for autograd."""
    old = torch.tensor([[-1.0]], dtype=torch.float64)
    logp = (old + torch.tensor(ratio, dtype=torch.float64).log()).requires_grad_(True)
    return logp, old, torch.tensor([advantage], dtype=torch.float64), torch.ones(1, 1)


# advantage, ratio -> value of the maximised term and its gradient with respect to logp (clip 0.2)
CASES = [
    (1.0, 0.7, 0.7, 0.7),
    (1.0, 1.1, 1.1, 1.1),
    (1.0, 1.3, 1.2, 0.0),
    (-1.0, 0.7, -0.8, 0.0),
    (-1.0, 0.9, -0.9, -0.9),
    (-1.0, 1.3, -1.3, -1.3),
]


@exercise("grpo_loss", points=2)
def values(student):
    """One token, both signs of the advantage, the ratio under, in and above the clip range."""
    for advantage, ratio, wanted, _ in CASES:
        logp, old, weight, mask = one_token(ratio, advantage)
        clipped = min(max(ratio, 0.8), 1.2)
        expect_close(
            student.grpo_loss(logp, old, weight, mask),
            -torch.tensor(wanted),
            f"A = {advantage}, ratio {ratio}: the loss is -min(rho A, clip(rho) A)",
            {
                "the minus is missing: this would make right answers less likely": wanted,
                "your ratio divides log-probabilities; exponentiate their difference": -min(
                    (logp / old).item() * advantage, (logp / old).clamp(0.8, 1.2).item() * advantage
                ),
                "your ratio is upside down: it is exp(logp - old_logp)": -min(
                    advantage / ratio, min(max(1 / ratio, 0.8), 1.2) * advantage
                ),
                "you clip without the min (or take the max): the bound must be the pessimistic one": -clipped
                * advantage,
                "min before the multiplication: for a negative advantage your clip acts on the wrong side": -min(
                    ratio, clipped
                )
                * advantage,
                "there is no clip in your loss": -ratio * advantage,
            },
        )


@exercise("grpo_loss", points=2)
def gradient(student):
    """The same six cases, by gradient; and none through the old policy."""
    for advantage, ratio, _, wanted in CASES:
        logp, old, weight, mask = one_token(ratio, advantage)
        old.requires_grad_(True)
        found, through_old = gradients(student.grpo_loss(logp, old, weight, mask), logp, old)
        expect_close(
            found,
            torch.tensor([[-wanted]]),
            f"A = {advantage}, ratio {ratio}: the gradient with respect to logp",
            {"no gradient through the ratio: only old_logp is detached": torch.zeros(1, 1)}
            if wanted
            else None,
        )
        expect(
            not through_old.any(),
            "gradient flows into old_logp: the old policy is fixed, detach it",
        )


@exercise("grpo_loss", points=2)
def mean_over_tokens(student):
    """First the mean of each sequence, then the mean of the sequences; padding and foreign text
    count nowhere."""
    mask = torch.tensor([[1.0] * 4 + [0.0] * 4, [1.0] * 8])
    logp = torch.full((2, 8), -1.0)
    logp[0, 4:] = -30.0  # padding may hold anything
    loss = student.grpo_loss(logp, torch.full((2, 8), -1.0), torch.tensor([2.0, 1.0]), mask)
    expect_close(
        loss,
        -1.5,
        "two sequences of 4 and 8 tokens, advantages 2 and 1",
        {
            "a mean over all tokens (DAPO); GRPO takes each sequence's mean first": -(2 * 4 + 8)
            / 12,
            "you divide by the padded width; divide by the number of tokens that count, mask.sum(1)": -(
                2 * 4 / 8 + 1
            )
            / 2,
            "a sum over sequences, not their mean": -3.0,
            "the mask is not used: prompt and padding are trained": -((2 * 4 + 2 * 0) / 8 + 1) / 2,
        },
    )
    ends = torch.full((1, 3), -1.0, requires_grad=True)
    (found,) = gradients(
        student.grpo_loss(ends, torch.full((1, 3), -1.0), torch.tensor([1.0]), torch.ones(1, 3)),
        ends,
    )
    expect(
        found[0, 2] != 0,
        "the last token gets no gradient: it is the EOS, and a policy that never learns it never stops",
    )


@exercise("grpo_loss", points=1)
def what_the_mask_hides(student):
    """A padded entry may hold anything, also what overflows."""
    wild, old = torch.tensor([[-1.0, 2000.0]], requires_grad=True), torch.tensor([[-1.0, -1.0]])
    (found,) = gradients(
        student.grpo_loss(wild, old, torch.tensor([-1.0]), torch.tensor([[1, 0]])), wild
    )
    expect(
        torch.isfinite(found).all(),
        "what stands where the mask is 0 makes the gradient NaN: exp overflows there, and "
        "inf * 0 is NaN; replace masked log-ratios by 0 before exp (torch.where)",
    )


### BEGIN MUTANTS


def parts(rewards):
    return rewards - rewards.mean(1, keepdim=True), rewards.std(1, keepdim=True)


@mutant("group_advantages", "Bessel")
def std_over_g(rewards, eps=1e-4):
    return parts(rewards)[0] / (rewards.std(1, keepdim=True, correction=0) + eps)


@mutant("group_advantages", "the root is missing")
def variance(rewards, eps=1e-4):
    centered, std = parts(rewards)
    return centered / (std**2 + eps)


@mutant("group_advantages", "all prompts")
def one_baseline(rewards, eps=1e-4):
    return (rewards - rewards.mean()) / (rewards.std() + eps)


@mutant("group_advantages", "Dr. GRPO")
def not_scaled(rewards, eps=1e-4):
    return parts(rewards)[0]


@mutant("group_advantages", "exactly 0")
def trusts_the_division(rewards, eps=1e-4):
    centered, std = parts(rewards)
    return centered / (std + eps)


@mutant("group_advantages", "NaN")
def no_eps(rewards, eps=1e-4):
    centered, std = parts(rewards)
    return centered / torch.where(std > 1e-9, std + eps, std)


def picked(rows, tokens):
    return rows.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


@mutant("token_logprobs", "has just read")
def no_shift(logits, ids, temperature=1.0):
    return picked((logits[:, :-1] / temperature).log_softmax(-1), ids[:, :-1])


@mutant("token_logprobs", "the other way")
def shifts_the_logits(logits, ids, temperature=1.0):
    return picked((logits[:, 1:] / temperature).log_softmax(-1), ids[:, 1:])


@mutant("token_logprobs", "one column too many")
def all_columns(logits, ids, temperature=1.0):
    return picked((logits / temperature).log_softmax(-1), ids)


@mutant("token_logprobs", "bare logits")
def logits_only(logits, ids, temperature=1.0):
    return picked(logits[:, :-1] / temperature, ids[:, 1:])


@mutant("token_logprobs", "changes nothing")
def temperature_forgotten(logits, ids, temperature=1.0):
    return picked(logits[:, :-1].log_softmax(-1), ids[:, 1:])


@mutant("token_logprobs", "log_softmax")
def log_of_softmax(logits, ids, temperature=1.0):
    return picked((logits[:, :-1] / temperature).softmax(-1).log(), ids[:, 1:])


@mutant("kl_k3", "backwards")
def d_backwards(logp, ref_logp):
    d = logp - ref_logp
    return torch.exp(d) - d - 1


@mutant("kl_k3", "k1 = -d")
def k1(logp, ref_logp):
    return logp - ref_logp


@mutant("kl_k3", "k2 = d^2 / 2")
def k2(logp, ref_logp):
    return (ref_logp - logp) ** 2 / 2


@mutant("kl_k3", "term -d is missing")
def without_d(logp, ref_logp):
    return torch.exp(ref_logp - logp) - 1


def surrogate(ratio, advantages, clip):
    a = advantages.unsqueeze(1)
    return torch.minimum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a)


def sequence_mean(terms, mask):
    return -(torch.where(mask.bool(), terms, 0.0).sum(1) / mask.sum(1)).mean()


@mutant("grpo_loss", "exponentiate their difference")
def quotient_of_logs(logp, old_logp, advantages, mask, clip=0.2):
    return sequence_mean(surrogate(logp / old_logp, advantages, clip), mask)


@mutant("grpo_loss", "clip without the min")
def clip_alone(logp, old_logp, advantages, mask, clip=0.2):
    return sequence_mean(
        torch.exp(logp - old_logp).clamp(1 - clip, 1 + clip) * advantages.unsqueeze(1), mask
    )


@mutant("grpo_loss", "take the max")
def optimistic_bound(logp, old_logp, advantages, mask, clip=0.2):
    ratio, a = torch.exp(logp - old_logp), advantages.unsqueeze(1)
    return sequence_mean(torch.maximum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a), mask)


@mutant("grpo_loss", "wrong side")
def inverted_clip(logp, old_logp, advantages, mask, clip=0.2):
    ratio = torch.exp(logp - old_logp)
    return sequence_mean(
        torch.minimum(ratio, ratio.clamp(1 - clip, 1 + clip)) * advantages.unsqueeze(1), mask
    )


@mutant("grpo_loss", "no clip")
def no_clip(logp, old_logp, advantages, mask, clip=0.2):
    return sequence_mean(torch.exp(logp - old_logp) * advantages.unsqueeze(1), mask)


@mutant("grpo_loss", "minus is missing")
def minus_forgotten(logp, old_logp, advantages, mask, clip=0.2):
    return -sequence_mean(surrogate(torch.exp(logp - old_logp), advantages, clip), mask)


@mutant("grpo_loss", "old policy is fixed")
def old_policy_learns(logp, old_logp, advantages, mask, clip=0.2):
    return sequence_mean(surrogate(torch.exp(logp - old_logp), advantages, clip), mask)


@mutant("grpo_loss", "no gradient flows")
def all_detached(logp, old_logp, advantages, mask, clip=0.2):
    return sequence_mean(surrogate(torch.exp(logp - old_logp), advantages, clip), mask).detach()


@mutant("grpo_loss", "mean over all tokens")
def token_mean(logp, old_logp, advantages, mask, clip=0.2):
    terms = surrogate(torch.exp(logp - old_logp.detach()), advantages, clip)
    return -torch.where(mask.bool(), terms, 0.0).sum() / mask.sum()


@mutant("grpo_loss", "padded width")
def over_the_width(logp, old_logp, advantages, mask, clip=0.2):
    terms = surrogate(torch.exp(logp - old_logp.detach()), advantages, clip)
    return -torch.where(mask.bool(), terms, 0.0).mean(1).mean()


@mutant("grpo_loss", "inf * 0 is NaN")
def mask_by_product(logp, old_logp, advantages, mask, clip=0.2):
    terms = surrogate(torch.exp(logp - old_logp.detach()), advantages, clip)
    return -((terms * mask).sum(1) / mask.sum(1)).mean()


@mutant("grpo_loss", "EOS")
def eos_never_trained(logp, old_logp, advantages, mask, clip=0.2):
    terms = surrogate(torch.exp(logp - old_logp.detach()), advantages, clip)
    terms = torch.cat([terms[:, :-1], terms[:, -1:].detach()], dim=1)
    return sequence_mean(terms, mask)


### END MUTANTS
