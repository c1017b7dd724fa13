"""What lecture 12 holds its exercises to. Reference values: by hand, and GAE by the double sum that
defines it."""

import math

import torch

from course.grade import exercise, expect, expect_close, gradients

FORBIDDEN = ("minilrm.objectives", "minilrm.values", "minilrm.ppo", "minilrm.grpo")

DOUBLE = torch.float64


def double(numbers):
    return torch.tensor(numbers, dtype=DOUBLE)


# -- gae -------------------------------------------------------------------------------------------

REWARDS, VALUES = double([0.0, 0.3, 0.0, -0.2, 1.0]), double([0.5, 0.1, 0.7, 0.4, 0.9])


def deltas(rewards, values, gamma, after=0.0):
    return rewards + gamma * torch.cat([values[1:], double([after])]) - values


def summed(delta, decay):
    """A_t = sum_k decay^k delta_{t+k}, as it stands."""
    return torch.stack(
        [sum(decay**k * delta[t + k] for k in range(len(delta) - t)) for t in range(len(delta))]
    )


@exercise("gae", points=2)
def recursion(student):
    """Five steps, gamma 0.9, lambda 0.5."""
    gamma, lam = 0.9, 0.5
    delta = deltas(REWARDS, VALUES, gamma)
    wanted = summed(delta, gamma * lam)
    previous = torch.cat([double([0.0]), VALUES[:-1]])
    expect_close(
        student.gae(REWARDS.clone(), VALUES.clone(), gamma, lam),
        wanted,
        "A_t = delta_t + gamma lam A_{t+1}",
        {
            "these are the deltas alone; each advantage also gets gamma lam times the next one": delta,
            "your sum decays by lam alone; it is gamma times lam": summed(delta, lam),
            "your sum decays by gamma alone; it is gamma times lam": summed(delta, gamma),
            "gamma is missing in delta: it is r + gamma V_next - V": summed(
                deltas(REWARDS, VALUES, 1.0), gamma * lam
            ),
            "after the last step you count the last value once more; the episode is over, the next value is 0": summed(
                deltas(REWARDS, VALUES, gamma, VALUES[-1].item()), gamma * lam
            ),
            "your delta looks at the value before, not at the one after": summed(
                REWARDS + gamma * previous - VALUES, gamma * lam
            ),
            "these are the returns, A + V; the critic learns from them, the policy from A": wanted
            + VALUES,
            "you sum from the front; credit flows backwards, from the last step to the first": summed(
                delta.flip(0), gamma * lam
            ).flip(0),
            "the rewards do not enter": summed(deltas(0 * REWARDS, VALUES, gamma), gamma * lam),
        },
    )


@exercise("gae", points=1)
def lambda_0(student):
    """All trust in the critic: the error of one step. Gamma as it is by default."""
    expect_close(
        student.gae(REWARDS.clone(), VALUES.clone(), lam=0.0),
        deltas(REWARDS, VALUES, 1.0),
        "with lam 0 an advantage is delta, r + V_next - V",
    )


@exercise("gae", points=1)
def lambda_1(student):
    """All trust in the rewards: what was still to come, minus the value."""
    to_come = REWARDS.flip(0).cumsum(0).flip(0)
    expect_close(
        student.gae(REWARDS.clone(), VALUES.clone(), lam=1.0),
        to_come - VALUES,
        "with lam 1 and gamma 1 an advantage is the reward still to come, minus V",
        {"with lam 1 yours is the reward still to come; V is not subtracted": to_come},
    )
    expect_close(
        student.gae(double([1.0]), double([0.25])),
        double([0.75]),
        "an episode of one step: A = r - V",
    )


@exercise("gae", points=1)
def values_are_numbers(student):
    """The policy's loss must not train the critic; what came in stays as it was."""
    values = VALUES.clone().requires_grad_(True)
    rewards = REWARDS.clone()
    out = student.gae(rewards, values)
    expect(
        not getattr(out, "requires_grad", False),
        "gradient flows from the advantages into the critic: the policy's loss "
        "would bend its values; detach them",
    )
    expect(
        torch.equal(rewards, REWARDS),
        "your function changes its argument `rewards`; work on a new tensor",
    )


# -- ppo_clip_loss ---------------------------------------------------------------------------------

# advantage, ratio -> value of the maximised term and its gradient with respect to logp (clip 0.2)
CASES = [
    (1.0, 0.7, 0.7, 0.7),
    (1.0, 1.3, 1.2, 0.0),
    (-1.0, 0.7, -0.8, 0.0),
    (-1.0, 1.3, -1.3, -1.3),
    (2.0, 1.1, 2.2, 2.2),
    (-2.0, 0.9, -1.8, -1.8),
]


def token(ratio):
    old = double([-1.0])
    return (old + math.log(ratio)).requires_grad_(True), old


@exercise("ppo_clip_loss", points=2)
def values(student):
    """One token: both signs of the advantage, the ratio below, in and above the range."""
    for a, ratio, wanted, _ in CASES:
        logp, old = token(ratio)
        clipped = min(max(ratio, 0.8), 1.2)
        quotient = (logp / old).item()
        expect_close(
            student.ppo_clip_loss(logp, old, double([a])),
            -wanted,
            f"A = {a:g}, ratio {ratio:g}: the loss is -min(rho A, clip(rho) A)",
            {
                "the minus is missing: an optimizer would make good actions less likely": wanted,
                "your ratio divides log-probabilities; exponentiate their difference": -min(
                    quotient * a, min(max(quotient, 0.8), 1.2) * a
                ),
                "your ratio is upside down: it is exp(logp - old_logp)": -min(
                    a / ratio, min(max(1 / ratio, 0.8), 1.2) * a
                ),
                "you clip without the min, or take the max: the bound must be the pessimistic one": -clipped
                * a,
                "min before the multiplication: for a negative advantage your clip acts on the wrong side": -min(
                    ratio, clipped
                )
                * a,
                "there is no clip in your loss": -ratio * a,
            },
        )


@exercise("ppo_clip_loss", points=2)
def gradient(student):
    """The same cases by gradient: 0 where the step has already gone far enough, and only there."""
    for a, ratio, _, wanted in CASES:
        logp, old = token(ratio)
        (found,) = gradients(student.ppo_clip_loss(logp, old, double([a])), logp)
        expect_close(
            found,
            double([-wanted]),
            f"A = {a:g}, ratio {ratio:g}: the gradient with respect to logp",
            {"no gradient through the ratio: only old_logp is detached": double([0.0])}
            if wanted
            else {
                f"A = {a:g}, ratio {ratio:g} has gone far enough in its direction, and your loss still pushes it on": double(
                    [-ratio * a]
                )
            },
        )


@exercise("ppo_clip_loss", points=2)
def batch(student):
    """Four tokens with an advantage each, another clip range; nothing but logp is trained."""
    ratio, a = double([0.7, 1.5, 0.8, 1.05]), double([1.0, 0.5, -3.0, 2.0])
    old = double([-1.0, -2.0, -0.5, -3.0])
    logp = (old + ratio.log()).requires_grad_(True)
    old.requires_grad_(True)
    advantages = a.clone().requires_grad_(True)
    loss = student.ppo_clip_loss(logp, old, advantages, 0.1)
    terms = torch.minimum(ratio * a, ratio.clamp(0.9, 1.1) * a)
    at_two = torch.minimum(ratio * a, ratio.clamp(0.8, 1.2) * a)
    expect_close(
        loss,
        -terms.mean(),
        "four tokens with clip 0.1: minus the mean of the terms",
        {
            "the sum of the tokens, not their mean": -terms.sum(),
            "your clip range is always 0.2; use the argument `clip`": -at_two.mean(),
            "you average ratios and advantages before you multiply: each token has its own": -torch.minimum(
                ratio.mean() * a.mean(), ratio.mean().clamp(0.9, 1.1) * a.mean()
            ),
        },
    )
    _, through_old, through_advantages = gradients(loss, logp, old, advantages)
    expect(
        not through_old.any(), "gradient flows into old_logp: the old policy is fixed, detach it"
    )
    expect(
        not through_advantages.any(),
        "gradient flows into the advantages: they are numbers here, detach them",
    )


# -- kl_categorical --------------------------------------------------------------------------------


@exercise("kl_categorical", points=2)
def by_hand(student):
    """Two distributions over two and three tokens."""
    for p, q in (
        (double([0.5, 0.5]), double([0.75, 0.25])),
        (double([0.2, 0.7, 0.1]), double([0.3, 0.3, 0.4])),
    ):
        log_p, log_q = p.log(), q.log()
        wanted = (p * (log_p - log_q)).sum()
        middle = (p + q) / 2
        expect_close(
            student.kl_categorical(log_p + 1.5, log_q - 0.3),
            wanted,
            "KL(p || q) = sum p (log p - log q)",
            {
                "backwards: this is KL(q || p), weighted by q; the first argument does the sampling": (
                    q * (log_q - log_p)
                ).sum(),
                "the sign is the other way round: KL is never negative": -wanted,
                "you use the logits as they are; log-probabilities come from log_softmax": (
                    p * (log_p + 1.5 - log_q + 0.3)
                ).sum(),
                "you weigh by exp(logits), which do not sum to 1: take softmax": (
                    (log_p + 1.5).exp() * (log_p - log_q)
                ).sum(),
                "this is the cross-entropy; subtract the entropy of p": -(p * log_q).sum(),
                "a mean over the vocabulary; it is a sum, p holds the weights": wanted / len(p),
                "in bits; use the natural logarithm": wanted / math.log(2),
                "this is the Jensen-Shannon divergence, which is symmetric; KL is not": (
                    (p * (log_p - middle.log())).sum() + (q * (log_q - middle.log())).sum()
                )
                / 2,
            },
            tolerance=1e-6,
        )


@exercise("kl_categorical", points=1)
def batches(student):
    """Any axes before the vocabulary; 0 where both agree."""
    generator = torch.Generator().manual_seed(0)
    p, q = torch.randn(2, 2, 3, 5, generator=generator, dtype=DOUBLE)
    q[1, 2] = p[1, 2] + 4
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    wanted = (log_p.exp() * (log_p - log_q)).sum(-1)
    expect_close(
        student.kl_categorical(p, q),
        wanted,
        "logits [2, 3, 5] give one KL for each of the 2 x 3 pairs",
        {
            "one number for all; sum over the last axis alone": wanted.sum(),
            "a mean over the batch; keep one KL a pair": wanted.mean(),
            "your softmax runs over another axis than the vocabulary, the last": (
                p.softmax(0) * (p.log_softmax(0) - q.log_softmax(0))
            ).sum(-1),
        },
    )


@exercise("kl_categorical", points=1)
def banned_tokens(student):
    """Logits of -inf."""
    inf = math.inf
    found = student.kl_categorical(double([0.0, 0.0, -inf]), double([0.0, 0.0, 0.0]))
    expect_close(
        found,
        math.log(1.5),
        "a token that p never samples costs nothing: 0 * log 0 is 0 here, NaN for a "
        "computer; put 0 there with torch.where",
    )
    both = student.kl_categorical(double([0.0, 0.0, -inf]), double([0.0, 0.0, -inf]))
    expect_close(
        both,
        0.0,
        "a token that is banned in both costs nothing: -inf - -inf is NaN; put 0 there with torch.where",
    )
    expect_close(
        student.kl_categorical(double([0.0, 0.0]), double([0.0, -inf])),
        inf,
        "where p samples what q never does, KL is infinite; do not clamp it away",
    )
