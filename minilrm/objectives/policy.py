"""Policy losses: from log-probabilities and advantages to one number to minimise."""

import math

import torch
from torch import Tensor

from minilrm.objectives.exact import count, full_precision, inside

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


def kl_estimate(logp: Tensor, ref_logp: Tensor, kind: str = "k3") -> Tensor:
    """Estimate of KL(pi || ref) from the log-probs of tokens sampled from pi: any shape -> the same
    shape.

    Schulman, "Approximating KL divergence" (2020), with d = ref_logp - logp:

        k1 = -d                 unbiased, may be negative
        k2 = d^2 / 2            biased, low variance
        k3 = exp(d) - d - 1     unbiased, >= 0; the one in GRPO's loss (2402.03300)

    A good *value* is not a good *gradient*. For on-policy samples of one categorical, E[grad k] is
    (proof by enumeration in tests/test_policy_gradient.py):

        as a loss (gradient through logp)  k1: ZERO  k2: grad KL(pi || ref)  k3: grad KL(ref || pi)
        in the reward (detached, times the score) k1: grad KL(pi || ref); k2, k3: not

    Over a sequence, per-token k2 and k3 in the loss ignore what a token does to later states: near
    the true direction, not on it. Exact there: (sum_t d_t)^2 / 2 as a loss, or sum_t k1_t
    subtracted from the sequence's reward (without std normalisation). Off-policy (samples from an
    older policy) every kind needs the importance ratio as a factor.

    >>> logp, ref = torch.tensor(0.0), torch.tensor(1.0)  # d = 1
    >>> [round(kl_estimate(logp, ref, kind).item(), 6) for kind in ("k1", "k2", "k3")]
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


def aggregate(
    values: Tensor,
    mask: Tensor,
    how: str = "sequence",
    max_length: int | None = None,
    denominator: float | Tensor | None = None,
) -> Tensor:
    """One number out of per-token values: `values[B, T]`, `mask[B, T]` -> scalar.

        sequence  1/B sum_i 1/|o_i| sum_t v_it  GRPO, 2402.03300: a long answer's tokens weigh less
        token     1/N sum_i sum_t v_it          DAPO, 2503.14476: N tokens, all weigh the same
        constant  1/(B L) sum_i sum_t v_it      Dr. GRPO, 2503.20783: L = max_length, a constant

    `denominator` replaces B (sequence, constant) or N (token) by the count over the WHOLE optimizer
    batch, so that the results of micro-batches *add up* to that of the batch, however it is split.
    Sequences without a learning signal that skip the forward pass still belong in it.

    >>> losses = torch.tensor([[2.0] * 4 + [0.0] * 4, [1.0] * 8])
    >>> mask = torch.tensor([[1] * 4 + [0] * 4, [1] * 8])
    >>> [round(aggregate(losses, mask, how, max_length=10).item(), 6) for how in AGGREGATIONS]
    [1.5, 1.333333, 0.8]
    """
    mask = mask.bool()
    sums = inside(values, mask).sum(1)
    if how == "sequence":
        return (sums / mask.sum(1).clamp(min=1)).sum() / count(denominator, len(mask))
    if how == "token":
        return sums.sum() / count(denominator, mask.sum())
    if how != "constant":
        raise ValueError(f"aggregation must be one of {AGGREGATIONS}, not {how!r}")
    if max_length is None:
        raise ValueError(
            "aggregation 'constant' divides by max_length (the longest a completion may be): "
            "pass it"
        )
    return sums.sum() / (max_length * count(denominator, len(mask)))


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

        loss = aggregate( - surrogate(rho, A) + kl_coef * kl_estimate(logp, ref_logp) )
        with rho = exp(logp - old_logp)

    `surrogate_terms` has the surrogates; OBJECTIVES the aggregation and clips that None stands for;
    `aggregate` explains `max_length` and `denominator`. `old_logp` None: the samples are this
    policy's own (rho = 1), and the gradient is then REINFORCE's with the objective's advantages and
    aggregation, though the value may read 0. The KL term carries no ratio, as in GRPO's paper
    (2402.03300, eq. 3); TRL's default multiplies it by the ratio.

    `stats` (detached, TRL's names: ratio/mean, kl, and those of `clipped`) are sums over this
    call's tokens divided by `token_denominator`, the tokens of the whole optimizer batch: like the
    loss, those of micro-batches add up. Without it, they are this call's means (with aggregation
    "token", `denominator` is that count).

    >>> logp = torch.log(torch.tensor([[0.65, 0.5]]))
    >>> old = torch.log(torch.tensor([[0.5, 0.5]]))  # rho = 1.3 and 1: one token of two is clipped
    >>> loss, stats = policy_loss(logp, old, torch.tensor([1.0]), torch.ones(1, 2))
    >>> round(loss.item(), 4), stats["clip_ratio/high_mean"].item()  # -(1.2 + 1) / 2
    (-1.1, 0.5)
    """
    aggregation, low, high = settings(objective, aggregation, clip_low, clip_high)
    if kl_coef and ref_logp is None:
        raise ValueError("kl_coef is not 0: pass ref_logp, the log-probs of the reference model")
    mask = mask.bool()
    # From here on every masked-out entry is a plain 0: exp() and minimum() never see what was
    # there.
    logp, advantages = inside(full_precision(logp), mask), inside(by_token(advantages), mask)
    old = logp.detach() if old_logp is None else inside(full_precision(old_logp.detach()), mask)
    ratio = importance_ratio(logp, old, mask, per_sequence=objective == "gspo")
    values = -surrogate_terms(logp, ratio, advantages, objective, 1 - low, 1 + high)
    logged = {"ratio/mean": ratio} | clipped(ratio, advantages, low, high)
    if ref_logp is not None:
        logged["kl"] = kl_estimate(logp, inside(full_precision(ref_logp.detach()), mask), kl_kind)
        values = values + kl_coef * logged["kl"]
    known = denominator if aggregation == "token" else None
    tokens = known if token_denominator is None else token_denominator
    means = {name: x.detach().to(logp.dtype) for name, x in logged.items()}
    stats = {name: aggregate(x, mask, "token", None, tokens) for name, x in means.items()}
    return aggregate(values, mask, aggregation, max_length, denominator), stats


def settings(
    objective: str, aggregation: str | None, clip_low: float | None, clip_high: float | None
) -> tuple[str, float, float]:
    """(aggregation, clip_low, clip_high) of an objective; None stands for the objective's own.

    reinforce has no clip, cispo no lower one, whatever is passed. ValueError for an unknown
    objective.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f"objective must be one of {tuple(OBJECTIVES)}, not {objective!r}")
    own_aggregation, own_low, own_high = OBJECTIVES[objective]
    low = own_low if clip_low is None or objective in ("reinforce", "cispo") else clip_low
    high = own_high if clip_high is None or objective == "reinforce" else clip_high
    return own_aggregation if aggregation is None else aggregation, low, high


def by_token(advantages: Tensor) -> Tensor:
    """`advantages[B]` -> `[B, 1]`, the same for every token; `[B, T]` as it is. No gradient
    flows."""
    return (advantages.unsqueeze(1) if advantages.dim() == 1 else advantages).detach()


def clipped(ratio: Tensor, advantages: Tensor, low: float, high: float) -> dict[str, Tensor]:
    """Which tokens the clip takes out of the gradient: two `[B, T]` -> bool `[B, T]` by TRL's
    names.

    low_mean: A < 0 under the lower bound; high_mean: A > 0 above the upper one; region_mean:
    either. GSPO counts tokens here, where TRL counts sequences.
    """
    under, over = (ratio < 1 - low) & (advantages < 0), (ratio > 1 + high) & (advantages > 0)
    return {
        "clip_ratio/low_mean": under,
        "clip_ratio/high_mean": over,
        "clip_ratio/region_mean": under | over,
    }


def importance_ratio(
    logp: Tensor, old_logp: Tensor, mask: Tensor, per_sequence: bool = False
) -> Tensor:
    """rho = pi(o_t) / pi_old(o_t) per token, or GSPO's (2507.18071) one for the whole sequence:
    `[B, T]` x3 -> `[B, T]`.

        token     rho_t = exp(logp_t - old_logp_t)            a difference of logs, no quotient
        sequence  s = exp(1/|o| sum_t (logp_t - old_logp_t))  the geometric mean, for each token

    The sequence form is the paper's GSPO-token: value s, gradient s * grad logp_t. With one
    advantage per sequence it is GSPO itself; with advantages per token, each token's gradient keeps
    its own advantage.

    >>> d = torch.tensor([[0.2, -0.1, 0.05]])
    >>> ratio = importance_ratio(d, torch.zeros(1, 3), torch.ones(1, 3), per_sequence=True)
    >>> round(ratio[0, 0].item(), 6)
    1.051271
    """
    mask = mask.bool()
    log_ratio = inside(logp - old_logp, mask)
    if per_sequence:
        mean = log_ratio.sum(1, keepdim=True) / mask.sum(1, keepdim=True).clamp(min=1)
        # logp - logp.detach() is 0 and has the gradient of logp
        log_ratio = mean.detach() + inside(logp - logp.detach(), mask)
    return log_ratio.exp()


def surrogate_terms(
    logp: Tensor, ratio: Tensor, advantages: Tensor, objective: str, lower: float, upper: float
) -> Tensor:
    """The per-token terms that are maximised: three tensors `[B, T]` -> `[B, T]`.

        reinforce                   A logp                                     Williams 1992
        grpo, dr_grpo, dapo, gspo   min(rho A, clip(rho, lower, upper) A)     PPO, 1707.06347, eq. 7
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
