"""Lecture 15, GRPO: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/15_grpo

Shapes: P prompts, G completions a prompt, B sequences (B = P * G), T tokens, V vocabulary. Each
function is worth writing on paper first. None needs a loop over tokens, and none needs more than
eight lines.
"""

import torch
from torch import Tensor


def group_advantages(rewards: Tensor, eps: float = 1e-4) -> Tensor:
    """How much better each completion is than its own group: `rewards[P, G]` -> `[P, G]`, float.

        A_i = (r_i - mean r) / (std r + eps)

    Mean and std run over the group; the std has G - 1 below (Bessel's correction).
    A group whose rewards are all equal gets **exactly** 0: compare, do not rely on the division.

    Rewards are floats and G is at least 2. `[[1, 0, 0, 1]]` gives
    `[[0.865875, -0.865875, -0.865875, 0.865875]]`: the mean is 1/2, the std 0.577350.
    """
    ### BEGIN SOLUTION
    mean = rewards.mean(dim=1, keepdim=True)
    std = rewards.std(dim=1, keepdim=True)
    advantages = (rewards - mean) / (std + eps)
    all_equal = rewards.amax(dim=1, keepdim=True) == rewards.amin(dim=1, keepdim=True)
    return advantages.masked_fill(all_equal, 0.0)
    ### END SOLUTION


def token_logprobs(logits: Tensor, ids: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each token given those before it: `logits[B, T, V]`, `ids[B, T]` ->
    `[B, T - 1]`.

        out[b, t] = log p(ids[b, t + 1] | ids[b, :t + 1])          p = softmax(logits / temperature)

    The logits at position t are about token t + 1. The temperature, above 0, is the one that the
    tokens were sampled with. Logits may be as large as 1000. The result has B rows also if B is 1.
    Gradient flows back into the logits.

    Logits `[[[0, 0], [9, 0], [0, 0]]]` and ids `[[0, 1, 0]]` give probabilities 1/2 (of token 1,
    from the first row) and 0.9999 (of token 0, from the second row); the third row is about a token
    that is not there.
    """
    ### BEGIN SOLUTION
    log_p = torch.log_softmax(logits[:, :-1] / temperature, dim=-1)
    return log_p.gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze(-1)
    ### END SOLUTION


def kl_k3(logp: Tensor, ref_logp: Tensor) -> Tensor:
    """Estimate of KL(pi || ref) from tokens sampled from pi, one value a token: any shape -> the
    same shape.

        d = ref_logp - logp          k3 = exp(d) - d - 1

    Never negative, and 0 where the two agree. It is the estimator in GRPO's loss, so gradient flows
    through `logp`.

    `logp` 0 and `ref_logp` 1 (so d = 1) give e - 2 = 0.718282; d = -1 gives 1/e = 0.367879.
    """
    ### BEGIN SOLUTION
    d = ref_logp - logp
    return torch.exp(d) - d - 1
    ### END SOLUTION


def grpo_loss(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, clip: float = 0.2
) -> Tensor:
    """GRPO's policy loss, to be minimised: `logp, old_logp, mask [B, T]`, `advantages[B]` -> a
    tensor without axes.

        rho = exp(logp - old_logp)
        term = min(rho A, clip(rho, 1 - clip, 1 + clip) A)
        loss = - 1/B sum_i 1/|o_i| sum_t term[i, t]

    `mask` is 1 on the tokens that the policy sampled, EOS included, and 0 on all others, as whole
    numbers or floats; |o_i| is the number of ones in row i, at least 1. Where it is 0, `logp` may
    hold anything (padding), and neither value nor gradient may depend on it. Gradient flows through
    `logp` alone, not through `old_logp`. The KL term is not part of this function.

    One sequence of two tokens, A = 1, with ratios 1.3 and 1: the terms are 1.2 (clipped) and 1, the
    loss -1.1.
    """
    ### BEGIN SOLUTION
    # The mask acts before exp, which may overflow where it is 0.
    log_ratio = torch.where(mask.bool(), logp - old_logp.detach(), 0.0)
    ratio = torch.exp(log_ratio)
    weights = advantages.detach().unsqueeze(1)
    terms = torch.minimum(ratio * weights, ratio.clamp(1 - clip, 1 + clip) * weights)
    terms = torch.where(mask.bool(), terms, 0.0)
    return -(terms.sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()
    ### END SOLUTION
