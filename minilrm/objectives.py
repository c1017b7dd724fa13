"""The mathematics of reinforcement learning from verifiable rewards, as pure functions on tensors.

Nothing here knows a model, a tokenizer or a training loop: tensors go in, a number comes out. In
the order of use:

    rewards -> group_advantages -> policy_loss(token_logprobs(...), ...) -> aggregate -> a scalar to
    call backward() on

Shapes: P prompts, G completions a prompt, B sequences (B = P * G), T tokens, V vocabulary. `mask`
is 1 (or True) on the tokens that the policy itself sampled, **EOS included**, and 0 on the prompt,
on padding and on text that a tool wrote. Where it is 0 an input may hold anything, NaN included: it
gets a gradient of exactly 0.

Every formula is proved in tests/test_objectives.py and tests/test_policy_gradient.py;
tests/mutants.py lists the famous wrong versions, each of which those tests reject. An equation's
source stands in its docstring with its arXiv number.
"""

import math

import torch
from torch import Tensor

NORMALIZATIONS = ("std", "none", "rloo", "batch")
AGGREGATIONS = ("sequence", "token", "constant")
KL_KINDS = ("k1", "k2", "k3")

# objective -> (aggregation, clip_low, clip_high): what the papers use, taken where the caller says
# None.
OBJECTIVES = {
    "reinforce": ("constant", math.inf, math.inf),  # Williams 1992: no ratio, so nothing to clip
    "grpo": ("sequence", 0.2, 0.2),  # 2402.03300
    "dr_grpo": ("constant", 0.2, 0.2),  # 2503.20783
    "dapo": ("token", 0.2, 0.28),  # 2503.14476, "clip higher"
    "gspo": ("sequence", 3e-4, 4e-4),  # 2507.18071: the ratio is a mean, so it moves far less
    "cispo": ("token", math.inf, 0.28),  # 2506.13585: a cap, no lower bound
}


# -- log-probabilities -----------------------------------------------------------------------------


def selected_logprobs(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each target under its own row of logits: `logits[..., V]`, `targets[...]`
    -> `[...]`.

        log p(y) = z_y / tau - log sum_v exp(z_v / tau)

    The temperature is the one that the tokens were *sampled* with: a policy at tau = 0.8 is another
    distribution than the model at 1, and it is the sampled one whose gradient REINFORCE estimates
    (Williams 1992). logsumexp and gather instead of log_softmax and gather: no second [..., V]
    tensor is kept for the backward pass. 16-bit logits are raised to float32 first; their 8 bits of
    mantissa would drown the ratio of two close policies.

    >>> selected_logprobs(torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([1, 0])).exp()  # 1/2, e^2 / (e^2 + 1)
    tensor([0.5000, 0.8808])
    """
    logits = _scaled(logits, temperature)
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return chosen - logits.logsumexp(-1)


def token_logprobs(logits: Tensor, ids: Tensor, temperature: float = 1.0) -> Tensor:
    """log p(ids[:, 1:] | what stands before): `logits[B, T, V]`, `ids[B, T]` -> `[B, T-1]`.

        out[b, t] = log p(ids[b, t+1] | ids[b, :t+1])

    Logits at position t speak about token t+1: the last logits predict nothing we have, the first
    id nobody predicted. So a mask over `ids` is used as `mask[:, 1:]`.

    >>> logits = torch.tensor([[[0.0, 0.0], [9.0, 0.0], [0.0, 0.0]]])
    >>> token_logprobs(logits, torch.tensor([[0, 1, 0]])).exp()  # 1/2, then nearly sure of token 0
    tensor([[0.5000, 0.9999]])
    """
    return selected_logprobs(logits[:, :-1], ids[:, 1:], temperature)


def token_entropy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Entropy in nats of each row's distribution: `logits[..., V]` -> `[...]`.

        H = - sum_v p_v log p_v

    Falls towards 0 as RL sharpens the policy; DAPO (2503.14476) calls a fast fall entropy collapse.
    A banned token (logit -inf) counts 0, as p log p does in the limit.

    >>> round(token_entropy(torch.zeros(4)).item(), 6)  # uniform over 4: log 4
    1.386294
    """
    log_p = _log_softmax(logits, temperature)
    return -(log_p.exp() * log_p).sum(-1)


def cross_entropy(
    logits: Tensor, targets: Tensor, mask: Tensor, denominator: float | Tensor | None = None
) -> Tensor:
    """Mean negative log-likelihood where mask is 1: `logits[..., V]`, `targets[...]`, `mask[...]`
    -> scalar.

        L = - 1/N sum_{mask} log p(target)        N = number of masked-in targets, or `denominator`

    Logits and targets are already aligned (`logits[:, :-1]`, `ids[:, 1:]`). Pass the tokens of the
    whole optimizer batch as `denominator` and the losses (and gradients) of its micro-batches add
    up. All masked: 0, not NaN. Rows are picked out *before* the softmax: it costs less, and what
    stands in the others cannot matter, not even NaN.

    >>> logits, targets = torch.tensor([[0.0, 0.0], [5.0, 0.0]]), torch.tensor([1, 1])
    >>> round(cross_entropy(logits, targets, torch.tensor([1, 0])).item(), 6)  # log 2; the second is masked out
    0.693147
    """
    keep = mask.bool()
    total = -selected_logprobs(logits[keep], targets[keep]).sum()
    return total / _count(denominator, keep.sum())


# -- advantages ------------------------------------------------------------------------------------


def group_advantages(
    rewards: Tensor,
    normalize: str = "std",
    eps: float = 1e-4,
    valid: Tensor | None = None,
    batch_std: Tensor | None = None,
) -> Tensor:
    """How much better each completion is than its group: `rewards[P, G]` -> `[P, G]`, a group's sum
    is 0.

        std    (r - mean) / (std + eps)       GRPO, 2402.03300; std with Bessel's correction (G - 1), as TRL
        none   r - mean                       Dr. GRPO, 2503.20783: (G-1)/G of the exact policy gradient
        rloo   r - mean of the OTHERS         2402.14740: = G/(G-1) (r - mean); the exact policy gradient
        batch  (r - mean) / (batch std + eps) REINFORCE++-baseline, 2501.03262: one scale for all prompts

    A group whose rewards are all equal gets exactly 0, by comparison and not by division: float32
    rounding in the mean, divided by a std of nearly 0, would otherwise teach from noise.
    `valid[P, G]` False (a grader that failed) gives 0, and that reward, NaN included, enters
    neither mean nor std; G is then the number of valid ones. `batch_std`: the std of the whole
    batch, where several devices hold a part of it each; None: of the rewards given.

    >>> group_advantages(torch.tensor([[1.0, 0.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]), "rloo")
    tensor([[ 0.6667, -0.6667, -0.6667,  0.6667],
            [ 0.0000,  0.0000,  0.0000,  0.0000]])
    """
    if normalize not in NORMALIZATIONS:
        raise ValueError(f"normalize must be one of {NORMALIZATIONS}, not {normalize!r}")
    rewards = _full_precision(rewards)
    valid = torch.ones_like(rewards, dtype=torch.bool) if valid is None else valid.bool()
    n = valid.sum(1, keepdim=True)
    # With fewer than two valid rewards this divides 0 by 0; the last line has no use for what comes
    # out.
    centered = rewards - _inside(rewards, valid).sum(1, keepdim=True) / n
    if normalize == "rloo":
        centered = centered * n / (n - 1)
    elif normalize == "std":
        variance = _inside(centered, valid).square().sum(1, keepdim=True) / (n - 1)
        centered = centered / (variance.sqrt() + eps)
    elif normalize == "batch" and valid.sum() > 1:
        std = rewards[valid].std() if batch_std is None else batch_std
        centered = centered / (std + eps)
    highest = rewards.masked_fill(~valid, -math.inf).amax(1, keepdim=True)
    lowest = rewards.masked_fill(~valid, math.inf).amin(1, keepdim=True)
    return _inside(centered, valid & (highest > lowest))


def soft_overlong_penalty(lengths: Tensor, max_length: int, cache: int) -> Tensor:
    """What DAPO (2503.14476, eq. 13) adds to the reward of a long completion: `lengths[...]` ->
    `[...]` in [-1, 0].

        0                                    length <= max_length - cache
        (max_length - cache - length)/cache  in between: a slope instead of a cliff
        -1                                   length >= max_length

    >>> soft_overlong_penalty(torch.tensor([80, 85, 90, 100, 101]), max_length=100, cache=20).tolist()
    [0.0, -0.25, -0.5, -1.0, -1.0]
    """
    if not 0 < cache <= max_length:
        raise ValueError(f"cache must be between 1 and max_length {max_length}, not {cache}")
    return ((max_length - cache - lengths) / cache).clamp(-1.0, 0.0)


# -- KL --------------------------------------------------------------------------------------------


def kl_estimate(logp: Tensor, ref_logp: Tensor, kind: str = "k3") -> Tensor:
    """Estimate of KL(pi || ref) from the log-probs of tokens sampled from pi: any shape -> the same
    shape.

    Schulman, "Approximating KL divergence" (2020), with d = ref_logp - logp:

        k1 = -d                 unbiased, may be negative
        k2 = d^2 / 2            biased, low variance
        k3 = exp(d) - d - 1     unbiased, >= 0; the one in GRPO's loss (2402.03300)

    A good *value* is not a good *gradient*. For on-policy samples of one categorical, E[grad k] is
    (proof by enumeration in tests/test_policy_gradient.py):

        as a loss (gradient flows through logp)   k1: ZERO   k2: grad KL(pi || ref)   k3: grad KL(ref || pi)
        in the reward (detached, times the score) k1: grad KL(pi || ref); k2, k3: not

    Over a sequence, per-token k2 and k3 in the loss ignore what a token does to later states: near
    the true direction, not on it. Exact there: (sum_t d_t)^2 / 2 as a loss, or sum_t k1_t
    subtracted from the sequence's reward (without std normalisation). Off-policy (samples from an
    older policy) every kind needs the importance ratio as a factor.

    >>> [round(kl_estimate(torch.tensor(0.0), torch.tensor(1.0), k).item(), 6) for k in ("k1", "k2", "k3")]  # d = 1
    [-1.0, 0.5, 0.718282]
    """
    d = ref_logp - logp
    if kind == "k1":
        return -d
    if kind == "k2":
        return d.square() / 2
    if kind == "k3":
        return torch.expm1(d) - d  # expm1: exp(d) - 1 without losing the digits of a small d
    raise ValueError(f"kind must be one of {KL_KINDS}, not {kind!r}")


def generalized_jsd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    beta: float,
    mask: Tensor,
    temperature: float = 1.0,
    denominator: float | Tensor | None = None,
) -> Tensor:
    """Distance of student and teacher for distillation: two `logits[..., V]`, `mask[...]` ->
    scalar, mean over tokens.

    Generalised Jensen-Shannon divergence (GKD, 2306.13649), T teacher, S student, M = beta T + (1 -
    beta) S:

        JSD_beta = beta KL(T || M) + (1 - beta) KL(S || M)
        beta = 0 means KL(T || S) (forward: cover all that the teacher may say)
        beta = 1 means KL(S || T) (reverse: say only what the teacher finds likely)

    The ends are special cases: the formula itself goes to 0 there. No gradient flows to the
    teacher. To a token that the teacher wants and the student never says, the forward end gives the
    gradient S - T, near -1; with any beta > 0 it is a finite number times S, near 0: what the
    student never does, only the forward end can teach it.

    >>> s, t = torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[0.0, 1.0, 0.0]])
    >>> [round(generalized_jsd(s, t, b, torch.ones(1)).item(), 6) for b in (0, 0.5, 1)]
    [0.432278, 0.108578, 0.474321]
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"beta must be between 0 and 1, not {beta}")
    keep = mask.bool()
    log_s = _log_softmax(student_logits[keep], temperature)
    log_t = _log_softmax(teacher_logits[keep].detach(), temperature)
    if beta == 0:
        divergence = _kl(log_t, log_s)
    elif beta == 1:
        divergence = _kl(log_s, log_t)
    else:
        log_m = torch.logaddexp(log_t + math.log(beta), log_s + math.log(1 - beta))
        divergence = beta * _kl(log_t, log_m) + (1 - beta) * _kl(log_s, log_m)
    return divergence.sum() / _count(denominator, keep.sum())


# -- from tokens to a loss -------------------------------------------------------------------------


def aggregate(
    values: Tensor,
    mask: Tensor,
    how: str = "sequence",
    max_length: int | None = None,
    denominator: float | Tensor | None = None,
) -> Tensor:
    """One number out of per-token values: `values[B, T]`, `mask[B, T]` -> scalar.

        sequence  1/B sum_i 1/|o_i| sum_t v_it     GRPO, 2402.03300: a token of a long answer weighs less
        token     1/N sum_i sum_t v_it             DAPO, 2503.14476: N tokens in the batch, all weigh the same
        constant  1/(B L) sum_i sum_t v_it         Dr. GRPO, 2503.20783: L = max_length, whatever the lengths turn out

    `denominator` replaces B (sequence, constant) or N (token) by the count over the WHOLE optimizer
    batch, so that the results of micro-batches *add up* to that of the batch, however it is split.
    Sequences without a learning signal that skip the forward pass still belong in it.

    >>> losses, mask = torch.tensor([[2.0] * 4 + [0.0] * 4, [1.0] * 8]), torch.tensor([[1] * 4 + [0] * 4, [1] * 8])
    >>> [round(aggregate(losses, mask, how, max_length=10).item(), 6) for how in ("sequence", "token", "constant")]
    [1.5, 1.333333, 0.8]
    """
    mask = mask.bool()
    sums = _inside(values, mask).sum(1)
    if how == "sequence":
        return (sums / mask.sum(1).clamp(min=1)).sum() / _count(denominator, len(mask))
    if how == "token":
        return sums.sum() / _count(denominator, mask.sum())
    if how != "constant":
        raise ValueError(f"aggregation must be one of {AGGREGATIONS}, not {how!r}")
    if max_length is None:
        raise ValueError(
            "aggregation 'constant' divides by max_length (the longest a completion may be): pass it"
        )
    return sums.sum() / (max_length * _count(denominator, len(mask)))


def policy_loss(
    logp: Tensor,
    old_logp: Tensor | None,
    advantages: Tensor,
    mask: Tensor,
    *,
    objective: str = "grpo",
    aggregation: str | None = None,
    clip_low: float | None = None,
    clip_high: float | None = None,
    kl_coef: float = 0.0,
    kl_kind: str = "k3",
    ref_logp: Tensor | None = None,
    max_length: int | None = None,
    denominator: float | Tensor | None = None,
    token_denominator: float | Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss to minimise: `logp, old_logp, mask [B, T]`, `advantages[B]` or `[B, T]` -> (scalar,
    stats).

        loss = aggregate( - surrogate(rho, A) + kl_coef * kl_estimate(logp, ref_logp) ),   rho = exp(logp - old_logp)

    `surrogate_terms` has the surrogates; OBJECTIVES the aggregation and clips that None stands for
    (reinforce has no clip, cispo no lower one, whatever is passed); `aggregate` explains
    `max_length` and `denominator`. `old_logp` None: the samples are this policy's own (rho = 1),
    and the gradient is then REINFORCE's with the objective's advantages and aggregation, though the
    value may read 0. The KL term carries no ratio, as in GRPO's paper (2402.03300, eq. 3).

    `stats` (detached, TRL's names) are sums over this call's tokens divided by `token_denominator`,
    the tokens of the whole optimizer batch: like the loss, those of micro-batches add up. Without
    it, they are this call's means (with aggregation "token", `denominator` is that count).
    clip_ratio/low_mean: tokens with A < 0 under the lower bound; high_mean: A > 0 above the upper
    one; region_mean: either; ratio/mean; kl (where ref_logp is given).

    >>> logp, old = torch.log(torch.tensor([[0.65, 0.5]])), torch.log(torch.tensor([[0.5, 0.5]]))  # rho = 1.3 and 1
    >>> loss, stats = policy_loss(logp, old, torch.tensor([1.0]), torch.ones(1, 2))
    >>> round(loss.item(), 4), stats["clip_ratio/high_mean"].item()  # -(1.2 + 1) / 2; one token of two is clipped
    (-1.1, 0.5)
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {tuple(OBJECTIVES)}, not {objective!r}")
    if kl_coef and ref_logp is None:
        raise ValueError("kl_coef is not 0: pass ref_logp, the log-probs of the reference model")
    own_aggregation, own_low, own_high = OBJECTIVES[objective]
    aggregation = own_aggregation if aggregation is None else aggregation
    low = own_low if clip_low is None or objective in ("reinforce", "cispo") else clip_low
    high = own_high if clip_high is None or objective == "reinforce" else clip_high
    mask = mask.bool()
    if advantages.dim() == 1:
        advantages = advantages.unsqueeze(1)
    # From here on every masked-out entry is a plain 0: whatever stood there, exp() and minimum()
    # never see it.
    logp, advantages = _inside(_full_precision(logp), mask), _inside(advantages.detach(), mask)
    old_logp = (
        logp.detach() if old_logp is None else _inside(_full_precision(old_logp.detach()), mask)
    )
    ratio = importance_ratio(logp, old_logp, mask, per_sequence=objective == "gspo")
    values = -surrogate_terms(logp, ratio, advantages, objective, 1 - low, 1 + high)
    clipped_low, clipped_high = (
        (ratio < 1 - low) & (advantages < 0),
        (ratio > 1 + high) & (advantages > 0),
    )
    logged = {
        "ratio/mean": ratio,
        "clip_ratio/low_mean": clipped_low,
        "clip_ratio/high_mean": clipped_high,
        "clip_ratio/region_mean": clipped_low | clipped_high,
    }
    if ref_logp is not None:
        logged["kl"] = kl_estimate(logp, _inside(_full_precision(ref_logp.detach()), mask), kl_kind)
        values = values + kl_coef * logged["kl"]
    tokens = (
        denominator if token_denominator is None and aggregation == "token" else token_denominator
    )
    stats = {
        name: aggregate(x.detach().to(logp.dtype), mask, "token", None, tokens)
        for name, x in logged.items()
    }
    return aggregate(values, mask, aggregation, max_length, denominator), stats


def importance_ratio(
    logp: Tensor, old_logp: Tensor, mask: Tensor, per_sequence: bool = False
) -> Tensor:
    """rho = pi(o_t) / pi_old(o_t) a token, or GSPO's (2507.18071) one for the whole sequence:
    `[B, T]` x3 -> `[B, T]`.

        token     rho_t = exp(logp_t - old_logp_t)          a difference of logs, never a quotient of logs
        sequence  s = exp(1/|o| sum_t (logp_t - old_logp_t))   the geometric mean, repeated for each token

    The sequence form is the paper's GSPO-token: value s, gradient s * grad logp_t. With one
    advantage a sequence it is GSPO itself; with advantages a token, each token's gradient keeps its
    own advantage.

    >>> d = torch.tensor([[0.2, -0.1, 0.05]])
    >>> round(importance_ratio(d, torch.zeros(1, 3), torch.ones(1, 3), per_sequence=True)[0, 0].item(), 6)
    1.051271
    """
    mask = mask.bool()
    log_ratio = _inside(logp - old_logp, mask)
    if per_sequence:
        mean = log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
        # logp - logp.detach() is 0 and has the gradient of logp
        log_ratio = mean.detach() + _inside(logp - logp.detach(), mask)
    return log_ratio.exp()


def surrogate_terms(
    logp: Tensor, ratio: Tensor, advantages: Tensor, objective: str, lower: float, upper: float
) -> Tensor:
    """The per-token terms that are maximised: three tensors `[B, T]` -> `[B, T]`.

        reinforce                   A logp                                     Williams 1992
        grpo, dr_grpo, dapo, gspo   min(rho A, clip(rho, lower, upper) A)      PPO, 1707.06347, eq. 7
        cispo                       stop_gradient(min(rho, upper)) A logp      2506.13585

    min() makes the bound pessimistic for both signs of A: it stops the gradient only where the
    ratio has already moved the way the advantage asks for. CISPO stops none: each token keeps a
    gradient, its weight is capped.

    >>> rho, A = torch.tensor([1.3, 0.7, 1.3, 0.7]), torch.tensor([1.0, 1.0, -1.0, -1.0])
    >>> [round(x, 4) for x in surrogate_terms(rho.log(), rho, A, "grpo", 0.8, 1.2).tolist()]
    [1.2, 0.7, -1.3, -0.8]
    """
    if objective == "reinforce":
        return advantages * logp
    if objective == "cispo":
        return ratio.clamp(max=upper).detach() * advantages * logp
    return torch.minimum(ratio * advantages, ratio.clamp(lower, upper) * advantages)


# -- small helpers ---------------------------------------------------------------------------------


def _full_precision(x: Tensor) -> Tensor:
    """float64 stays (tests use it), all else becomes float32."""
    return x if x.dtype == torch.float64 else x.float()


def _scaled(logits: Tensor, temperature: float) -> Tensor:
    if temperature <= 0:
        raise ValueError(
            f"temperature must be above 0, not {temperature}: at 0 there is only an argmax"
        )
    logits = _full_precision(logits)
    return logits if temperature == 1 else logits / temperature


def _log_softmax(logits: Tensor, temperature: float) -> Tensor:
    """log p of the whole vocabulary, bounded below so that a banned token (-inf) gives p log p = 0
    and not NaN."""
    return _scaled(logits, temperature).log_softmax(-1).clamp(min=-1e4)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sum_v p_v (log p_v - log q_v): `[..., V]` x2 -> `[...]`."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _inside(values: Tensor, mask: Tensor) -> Tensor:
    """0 where mask is False. Not `values * mask`: 0 * NaN is NaN, and so would be the gradient."""
    return torch.where(mask, values, 0.0)


def _count(denominator: float | Tensor | None, own: int | Tensor) -> float | Tensor:
    """The divisor: the whole batch's count where given, else this call's own; at least 1, so that
    nothing is 0 / 0."""
    return max(own if denominator is None else denominator, 1)
