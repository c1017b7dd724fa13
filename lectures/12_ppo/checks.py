"""What lecture 12 holds its exercises to: numbers by hand, the equation that advantages must
fulfil, and the losses of the library and of PyTorch on random batches."""

import math

import torch
import torch.nn.functional as F

from course.grade import exercise, expect, expect_close, gradients
from minilrm import objectives

FORBIDDEN = ("minilrm.objectives", "minilrm.values", "minilrm.ppo", "minilrm.grpo")

DOUBLE = torch.float64


def double(numbers):
    return torch.tensor(numbers, dtype=DOUBLE)


def noise(seed, *shape):
    """Normal numbers in float64, the same at each run."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


# -- gae -------------------------------------------------------------------------------------------

REWARDS, VALUES = double([0.0, 0.3, 0.0, -0.2, 1.0]), double([0.5, 0.1, 0.7, 0.4, 0.9])


def expect_chain(found, rewards, values, gamma, lam):
    """Each advantage is its own delta and gamma lam times the next advantage, in plain numbers."""
    case = f"{len(rewards)} steps, gamma {gamma:g}, lam {lam:g}"
    expect(
        getattr(found, "shape", None) == rewards.shape,
        f"{case}: there is one advantage for each step",
    )
    ahead, advantages = [*values.tolist(), 0.0], [*found.tolist(), 0.0]
    for t, reward in enumerate(rewards.tolist()):
        delta = reward + gamma * ahead[t + 1] - ahead[t]
        right = delta + gamma * lam * advantages[t + 1]
        expect(
            abs(right - advantages[t]) < 1e-6,
            f"{case}: your advantage of step {t} is {advantages[t]:.6g}, and delta + gamma lam "
            f"A_(t+1), by your own next advantage, is {right:.6g}: both must be equal (after the "
            "last step V and A are 0)",
        )


@exercise("gae", points=2)
def recursion(student):
    """Five steps, gamma 0.9, lambda 0.5; then episodes of one to 30 steps, and the defaults."""
    wanted = double([-0.082113, 0.728638, -0.225250, 0.255, 0.1])
    expect_close(
        student.gae(REWARDS.clone(), VALUES.clone(), 0.9, 0.5),
        wanted,
        "five steps, gamma 0.9, lam 0.5: A_t = delta_t + gamma lam A_(t+1)",
        {
            "these are the deltas alone; each advantage also gets gamma lam times the next one": (
                double([-0.41, 0.83, -0.34, 0.21, 0.1])
            ),
            "your sum decays by lam alone; it is gamma times lam": double(
                [-0.0475, 0.725, -0.21, 0.26, 0.1]
            ),
            "your sum decays by gamma alone; it is gamma times lam": double(
                [0.2803, 0.767, -0.07, 0.3, 0.1]
            ),
            "gamma is missing in delta: it is r + gamma V_next - V": double(
                [-0.024312, 0.834862, -0.14475, 0.345, 0.1]
            ),
            "after the last step you count the last value once more; the episode is over, the next "
            "value is 0": double([-0.048898, 0.802449, -0.061225, 0.6195, 0.91]),
            "your delta looks at the value before, not at the one after": double(
                [-0.309428, 0.423492, -0.50335, 0.237, 0.46]
            ),
            "these are the returns, A + V; the critic learns from them, the policy from A": (
                wanted + VALUES
            ),
            "you sum from the front; credit flows backwards, from the last step to the first": (
                double([-0.41, 0.6455, -0.049525, 0.187714, 0.184471])
            ),
            "the rewards do not enter": double([-0.239894, 0.378013, -0.33775, 0.005, -0.9]),
        },
        tolerance=2e-6,
    )
    for steps, gamma, lam in ((1, 0.9, 0.9), (2, 0.5, 0.3), (9, 0.99, 0.8), (30, 1.0, 0.6)):
        rewards, values = noise(steps, steps), noise(steps + 1, steps)
        found = student.gae(rewards.clone(), values.clone(), gamma, lam)
        expect_chain(found, rewards, values, gamma, lam)
    rewards, values = noise(3, 7), noise(4, 7)
    expect_chain(student.gae(rewards.clone(), values.clone()), rewards, values, 1.0, 0.95)


@exercise("gae", points=1)
def lambda_0(student):
    """All trust in the critic: the error of one step. Gamma as it is by default, and another."""
    expect_close(
        student.gae(REWARDS.clone(), VALUES.clone(), lam=0.0),
        double([-0.4, 0.9, -0.3, 0.3, 0.1]),
        "with lam 0 and gamma 1 an advantage is delta, r + V_next - V",
    )
    expect_close(
        student.gae(REWARDS.clone(), VALUES.clone(), gamma=0.9, lam=0.0),
        double([-0.41, 0.83, -0.34, 0.21, 0.1]),
        "with lam 0 and gamma 0.9 an advantage is delta, r + gamma V_next - V",
    )


@exercise("gae", points=1)
def lambda_1(student):
    """All trust in the rewards: what was still to come, minus the value."""
    to_come = double([1.1, 1.1, 0.8, 0.8, 1.0])
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
    values, rewards = VALUES.clone().requires_grad_(True), REWARDS.clone().requires_grad_(True)
    out = student.gae(REWARDS.clone(), values)
    expect(
        not getattr(out, "requires_grad", False),
        "gradient flows from the advantages into the critic: the policy's loss "
        "would bend its values; detach them",
    )
    out = student.gae(rewards, VALUES.clone())
    expect(
        not getattr(out, "requires_grad", False),
        "gradient flows from the advantages into the rewards: advantages are numbers; detach them",
    )
    rewards, values = REWARDS.clone(), VALUES.clone()
    student.gae(rewards, values)
    for name, now, before in (("rewards", rewards, REWARDS), ("values", values, VALUES)):
        expect(
            torch.equal(now, before),
            f"your function changes its argument `{name}`; work on a new tensor",
        )


# -- ppo_clip_loss ---------------------------------------------------------------------------------

# advantage, ratio -> value of the maximised term and its gradient with respect to logp (clip 0.2)
CASES = [
    (2.0, 1.1, 2.2, 2.2),
    (2.0, 0.7, 1.4, 1.4),
    (2.0, 1.5, 2.4, 0.0),
    (-2.0, 0.9, -1.8, -1.8),
    (-2.0, 1.5, -3.0, -3.0),
    (-2.0, 0.7, -1.6, 0.0),
]


def token(ratio):
    old = double([-1.0])
    return old + math.log(ratio), old


def mistakes_in(a, ratio):
    """Message -> what this mistake makes of one token with clip 0.2. The first of the cases that
    goes wrong tells the mistakes apart."""
    clipped, product, quotient = min(max(ratio, 0.8), 1.2), ratio * a, 1 - math.log(ratio)
    found = {
        "the minus is missing: an optimizer would make good actions less likely": min(
            product, clipped * a
        ),
        "your ratio divides log-probabilities; exponentiate their difference": -quotient * a,
        "your ratio is upside down: it is exp(logp - old_logp)": -a / ratio,
    }
    if a > 0:
        about_product = "you clip the product rho A; the clip belongs around the ratio alone"
        found[about_product] = -min(product, min(max(product, 0.8), 1.2))
    if clipped == ratio:
        return found
    message, value = {
        (True, True): ("no clip stops a ratio above 1 + clip whose advantage is positive", product),
        (False, False): (
            "no clip stops a ratio below 1 - clip whose advantage is negative",
            product,
        ),
        (True, False): (
            "you clip without the min, or you take the max: the bound must be pessimistic",
            clipped * a,
        ),
        (False, True): (
            "for a negative advantage your clip acts on the wrong side, above 1 + clip. Multiply "
            "both by A first, and take the min then: min(rho A, clip(rho) A)",
            clipped * a,
        ),
    }[a > 0, ratio > 1]
    return found | {message: -value}


@exercise("ppo_clip_loss", points=2)
def values(student):
    """One token: both signs of the advantage, the ratio below, in and above the range."""
    for a, ratio, wanted, _ in CASES:
        expect_close(
            student.ppo_clip_loss(*token(ratio), double([a])),
            -wanted,
            f"A = {a:g}, ratio {ratio:g}: the loss is -min(rho A, clip(rho) A)",
            mistakes_in(a, ratio),
        )


@exercise("ppo_clip_loss", points=2)
def gradient(student):
    """The same cases by gradient: 0 where the step has already gone far enough, and only there."""
    for a, ratio, _, wanted in CASES:
        logp, old = token(ratio)
        logp.requires_grad_(True)
        (found,) = gradients(student.ppo_clip_loss(logp, old, double([a])), logp)
        case = f"A = {a:g}, ratio {ratio:g}"
        expect_close(
            found,
            [-wanted],
            f"{case}: the gradient with respect to logp",
            {
                f"{case}: no gradient reaches logp, and the clip must not act here: does yours, or "
                "is the ratio detached?": [0.0]
            }
            if wanted
            else {
                f"{case}: the ratio has gone far enough in its direction, and your loss still "
                "pushes it on": [-ratio * a]
            },
        )


@exercise("ppo_clip_loss", points=2)
def batch(student):
    """Batches of several sizes with an advantage a token, other clip ranges; nothing but logp is
    trained."""
    for seed, size, clip in ((1, 4, 0.1), (2, 9, 0.3), (3, 1, 0.05), (4, 6, 0.2)):
        old, a = noise(seed, size) - 2, 2 * noise(seed + 9, size)
        logp = old + 0.4 * noise(seed + 19, size)

        def loss(clip, logp=logp, old=old, a=a, reduce="token"):
            row, ones = (x.unsqueeze(0) for x in (a, torch.ones_like(a)))
            settings = {"clip_low": clip, "clip_high": clip, "aggregation": reduce}
            return objectives.policy_loss(logp[None], old[None], row, ones, **settings)[0]

        ratio, mean = (logp - old).exp(), a.mean()
        flat = loss(clip, ratio.mean().log().expand(1), torch.zeros(1), mean.expand(1))
        expect_close(
            student.ppo_clip_loss(logp.clone(), old.clone(), a.clone(), clip),
            loss(clip),
            f"{size} tokens with clip {clip}: minus the mean of the terms",
            {
                "the sum of the tokens, not their mean": loss(clip) * size,
                "here your clip range is 0.2; use the argument `clip`": loss(0.2),
                "you average ratios and advantages before you multiply: each token has its own": (
                    flat
                ),
            },
        )
    leaves = [x.clone().requires_grad_(True) for x in (logp, old, a)]
    _, through_old, through_advantages = gradients(student.ppo_clip_loss(*leaves), *leaves)
    expect(
        not through_old.any(), "gradient flows into old_logp: the old policy is fixed, detach it"
    )
    expect(
        not through_advantages.any(),
        "gradient flows into the advantages: they are numbers here, detach them",
    )


# -- kl_categorical --------------------------------------------------------------------------------


def divergence(p_logits, q_logits):
    """KL(p || q), by PyTorch's cross-entropy and the library's entropy."""
    p = p_logits.reshape(-1, p_logits.shape[-1])
    crossed = F.cross_entropy(q_logits.reshape(p.shape), p.softmax(-1), reduction="none")
    return (crossed - objectives.token_entropy(p)).reshape(p_logits.shape[:-1])


@exercise("kl_categorical", points=2)
def by_hand(student):
    """Distributions over two and three tokens, and over nine."""
    far = (noise(1, 9).softmax(0), noise(2, 9).softmax(0))
    for p, q in (
        (double([0.5, 0.5]), double([0.75, 0.25])),
        (double([0.2, 0.7, 0.1]), double([0.3, 0.3, 0.4])),
        far,
    ):
        log_p, log_q, middle = p.log(), q.log(), (p + q) / 2
        wanted, entropy = divergence(log_p, log_q), objectives.token_entropy(log_p)
        halves = divergence(log_p, middle.log()) + divergence(log_q, middle.log())
        expect_close(
            student.kl_categorical(log_p + 1.5, log_q - 0.3),
            wanted,
            "KL(p || q) = sum p (log p - log q)",
            {
                "backwards: this is KL(q || p), weighted by q; the first argument does the "
                "sampling": divergence(log_q, log_p),
                "the sign is the other way round: KL is never negative": -wanted,
                "you use the logits as they are; log-probabilities come from log_softmax": (
                    wanted + 1.8
                ),
                "you weigh by exp(logits), which do not sum to 1: take softmax": (
                    wanted * math.exp(1.5)
                ),
                "this is the cross-entropy; subtract the entropy of p": wanted + entropy,
                "a mean over the vocabulary; it is a sum, p holds the weights": wanted / len(p),
                "in bits; use the natural logarithm": wanted / math.log(2),
                "this is the Jensen-Shannon divergence, which is symmetric; KL is not": halves / 2,
            },
            tolerance=1e-6,
        )


@exercise("kl_categorical", points=1)
def batches(student):
    """Any axes before the vocabulary; 0 where both agree; logits that are far apart."""
    for seed, shape in ((0, (2, 3, 5)), (2, (4, 3)), (4, (2, 2, 3, 4))):
        p, q = noise(seed, *shape), noise(seed + 1, *shape)
        q[1] = p[1] + 4
        wanted = divergence(p, q)
        expect_close(
            student.kl_categorical(p.clone(), q.clone()),
            wanted,
            f"logits {list(shape)} give one KL for each distribution over {shape[-1]} tokens",
            {
                "one number for all; sum over the last axis alone": wanted.sum(),
                "a mean over the batch; keep one KL a pair": wanted.mean(),
                "your softmax runs over another axis than the vocabulary, the last": (
                    p.softmax(0) * (p.log_softmax(0) - q.log_softmax(0))
                ).sum(-1),
            },
        )
    apart = student.kl_categorical(torch.tensor([0.0, -200.0]), torch.tensor([-200.0, 0.0]))
    expect_close(
        apart,
        200.0,
        "logits 200 apart give 200: the logarithm of a softmax underflows, use log_softmax",
    )


@exercise("kl_categorical", points=1)
def banned_tokens(student):
    """Logits of -inf."""
    inf = math.inf
    expect_close(
        student.kl_categorical(double([0.0, 0.0, -inf]), double([0.0, 0.0, 0.0])),
        math.log(1.5),
        "p = (1/2, 1/2, 0) and q = (1/3, 1/3, 1/3): KL is log(1.5)",
        {
            "a token that p never samples costs nothing: 0 * log 0 is 0 here, NaN for a computer; "
            "put 0 there with torch.where": math.nan,
            "a token that p never samples costs nothing, and yours costs infinity": inf,
        },
    )
    expect_close(
        student.kl_categorical(double([0.0, 0.0, -inf]), double([0.0, 0.0, -inf])),
        0.0,
        "a token that is banned in both costs nothing: -inf - -inf is NaN; put 0 there with "
        "torch.where",
    )
    expect_close(
        student.kl_categorical(double([0.0, 0.0]), double([0.0, -inf])),
        inf,
        "where p samples what q never does, KL is infinite; do not clamp it away",
    )
