"""What logits say of tokens: log-probabilities, entropy, and the distance of two distributions."""

import math

import torch
from torch import Tensor

from minilrm.objectives.exact import count, full_precision


def selected_logprobs(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each target under its own row of logits: `logits[..., V]`, `targets[...]`
    -> `[...]`.

        log p(y) = z_y / tau - log sum_v exp(z_v / tau)

    The temperature is the one that the tokens were *sampled* with: a policy at tau = 0.8 is another
    distribution than the model at 1, and it is the sampled one whose gradient REINFORCE estimates
    (Williams 1992). logsumexp and gather instead of log_softmax and gather: no second [..., V]
    tensor is kept for the backward pass. 16-bit logits are raised to float32 first; their 8 bits of
    mantissa would drown the ratio of two close policies.

    >>> logits, targets = torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.tensor([1, 0])
    >>> selected_logprobs(logits, targets).exp()  # 1/2, e^2 / (e^2 + 1)
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
    >>> mask = torch.tensor([1, 0])  # the second is left out
    >>> round(cross_entropy(logits, targets, mask).item(), 6)  # log 2
    0.693147
    """
    keep = mask.bool()
    total = -selected_logprobs(logits[keep], targets[keep]).sum()
    return total / count(denominator, keep.sum())


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
    return divergence.sum() / count(denominator, keep.sum())


def _scaled(logits: Tensor, temperature: float) -> Tensor:
    if temperature <= 0:
        raise ValueError(
            f"temperature must be above 0, not {temperature}: at 0 there is only an argmax"
        )
    logits = full_precision(logits)
    return logits if temperature == 1 else logits / temperature


def _log_softmax(logits: Tensor, temperature: float) -> Tensor:
    """log p of the whole vocabulary, bounded below so that a banned token (-inf) gives p log p = 0
    and not NaN."""
    return _scaled(logits, temperature).log_softmax(-1).clamp(min=-1e4)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) = sum_v p_v (log p_v - log q_v): `[..., V]` x2 -> `[...]`."""
    return (log_p.exp() * (log_p - log_q)).sum(-1)
