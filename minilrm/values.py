"""The mathematics of an actor with a critic, as pure functions on tensors: from rewards and values
to advantages.

    reward per completion -> token_rewards -> gae (with the critic's values)
        -> whiten -> policy_loss (objectives/)
        -> returns -> value_loss, what the critic learns from

Shapes: B sequences, T tokens. `mask[B, T]` is 1 on the tokens that the policy itself sampled, EOS
included, and 0 on padding and on text that a tool wrote. `values[b, t]` = V(prompt, o_<t): the
critic's guess *before* token t is chosen, so it stands beside that token's log-prob.

**One step is one sampled token.** Text that a tool inserted belongs to the world's answer: the step
goes from a sampled token to the next sampled one, over whatever stands in between. After the last
sampled token there is nothing left to earn: its next value is 0, also where the completion was cut
off for its length (the reward was given all the same). Where the mask is 0 an input may hold
anything, NaN included: what comes out is 0, its gradient too.

Proved in tests/test_values.py, which also lists the famous wrong versions. Nothing here knows a
model or a loop.
"""

import torch
from torch import Tensor

from minilrm import devices


def token_rewards(
    rewards: Tensor, mask: Tensor, kl: Tensor | None = None, kl_coef: float = 0.0
) -> Tensor:
    """The reward of each token: `rewards[B]`, `mask[B, T]`, `kl[B, T]` -> `[B, T]`.

        r_t = R  if t is the last sampled token, else 0;  minus kl_coef * kl_t        (2203.02155)

    `kl` is k1 = logp - ref_logp of the sampled tokens, without gradient: in the reward k1 is the
    right estimate (see `objectives.kl_estimate`), and the critic learns what it will cost.

    >>> token_rewards(torch.tensor([1.0]), torch.tensor([[1, 1, 0, 1, 0]]))
    tensor([[0., 0., 0., 1., 0.]])
    """
    mask = mask.bool()
    still_to_come = mask.flip(1).cumsum(1).flip(1)
    out = torch.where(mask & (still_to_come == 1), rewards[:, None], 0.0)
    if kl is None or not kl_coef:
        return out
    return out - kl_coef * torch.where(mask, kl.detach(), 0.0)


def gae(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (1506.02438): three `[B, T]` -> (advantages `[B, T]`,
    returns `[B, T]`).

        delta_t = r_t + gamma V_{t+1} - V_t             how much better it went than expected
        A_t     = delta_t + gamma lam A_{t+1}           = sum_k (gamma lam)^k delta_{t+k}
        return  = A_t + V_t                             what the critic should have said

    t + 1 is the next *sampled* token; after the last one V and A are 0. No gradient flows.

    lam = 0: A is delta, all trust in the critic (low variance, wrong where the critic is). lam = 1,
    gamma = 1: A is (reward still to come) - V, the critic is a mere baseline: right on average
    whatever it says. With a perfect critic every lam is right on average.

    >>> r, v = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.5, 0.25, 0.75]])
    >>> found = [gae(r, v, torch.ones(1, 3), lam=lam)[0][0].tolist() for lam in (0.0, 0.5, 1.0)]
    >>> [[round(x, 4) for x in row] for row in found]
    [[-0.25, 0.5, 0.25], [0.0625, 0.625, 0.25], [0.5, 0.75, 0.25]]
    """
    mask = mask.bool()
    rewards = torch.where(mask, rewards.detach(), 0.0)
    values = torch.where(mask, values.detach(), 0.0)
    advantages = torch.zeros_like(values)
    next_value = next_advantage = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        here = mask[:, t]
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        advantage = delta + gamma * lam * next_advantage
        advantages[:, t] = torch.where(here, advantage, 0.0)
        # over inserted text the next sampled token stays
        next_value = torch.where(here, values[:, t], next_value)
        next_advantage = torch.where(here, advantage, next_advantage)
    return advantages, advantages + values


def whiten(
    advantages: Tensor,
    mask: Tensor,
    eps: float = 1e-4,
    moments: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Mean 0 and standard deviation 1 over the sampled tokens of the whole batch: two `[B, T]` ->
    `[B, T]`.

        (A - mean A) / (std A + eps)          std with Bessel's correction

    So the step has one size however large the rewards are. It also makes a batch in which all went
    as expected as loud as any other: where hardly anything is left to learn, go without. Fewer than
    two tokens: all 0. `moments`: mean and std of the whole batch, where several devices hold a part
    of it each; None: of the advantages given.

    >>> whiten(torch.tensor([[1.0, 3.0, 99.0]]), torch.tensor([[1, 1, 0]]))
    tensor([[-0.7071,  0.7071,  0.0000]])
    """
    mask = mask.bool()
    inside = advantages[mask]
    mean, std = (inside.mean(), devices.std(inside)) if moments is None else moments
    if len(inside) < 2 and not std > 0:
        return torch.zeros_like(advantages)
    return torch.where(mask, (advantages - mean) / (std + eps), 0.0)


def value_loss(
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    clip: float | None = 0.2,
    denominator: float | Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """What the critic minimises, and how often the clip acts: four `[B, T]` -> (loss, share of
    tokens), scalars.

        1/N sum_t 1/2 max( (V_t - Y_t)^2, (V'_t - Y_t)^2 )                     Y: returns
        with V'_t = clip(V_t, V_old,t - c, V_old,t + c)

    The max is as pessimistic as PPO's min: a value that has already gone c from where it was,
    towards its return, gets no more gradient from this batch; one that went away from its return
    does, always. (Not in PPO's paper, but in its authors' code, and in TRL's.) `clip` None: the
    plain square. `denominator` replaces N by the sampled tokens of the whole optimizer batch, so
    that micro-batches add up. The share counts tokens where the clipped square is the larger.

    >>> v, old = torch.tensor([[0.9, 0.1, 0.4]]), torch.tensor([[0.5, 0.5, 0.5]])
    >>> loss, share = value_loss(v, old, torch.ones(1, 3), torch.ones(1, 3))
    >>> round(loss.item(), 4), round(share.item(), 4)
    (0.21, 0.3333)
    """
    mask = mask.bool()
    values, old_values, returns = (
        torch.where(mask, x, 0.0) for x in (values, old_values.detach(), returns.detach())
    )
    square = clipped = (values - returns).square()
    if clip is not None:
        clipped = (old_values + (values - old_values).clamp(-clip, clip) - returns).square()
    tokens = max(mask.sum() if denominator is None else denominator, 1)
    return torch.maximum(square, clipped).sum() / 2 / tokens, (clipped > square).sum() / tokens


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """How much of the returns the critic foresaw: three `[B, T]` -> scalar, 1 perfect, 0 no better
    than a constant.

        1 - Var(Y - V) / Var(Y)          over the sampled tokens; below 0: worse than a constant

    Give it the reward that really came (`gae` with lam = 1), not the lam-returns: those hold the
    critic's own values, and it foresees itself easily. Returns that are all equal leave nothing to
    explain: NaN. Of several processes, each gives its tokens and gets the figure of all.

    >>> goal = torch.tensor([[0.0, 1.0, 0.0, 1.0]])
    >>> guesses = goal, goal / 2 + 5, 0 * goal, 1 - goal
    >>> [round(explained_variance(v, goal, torch.ones(1, 4)).item(), 4) for v in guesses]
    [1.0, 0.75, 0.0, -3.0]
    """
    inside = mask.bool()
    goal, error = returns[inside], (returns - values)[inside]
    ends = devices.gathered([float(end) for end in torch.aminmax(goal)] if len(goal) else [])
    # compared, not divided: rounding would leave some noise to explain
    if len({end for part in ends for end in part}) < 2:
        return returns.new_full((), torch.nan)
    return 1 - (devices.moments(error).std / devices.moments(goal).std).square()
