"""The mutants of lecture 12: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch

from course.grade import mutant


def backwards_sum(delta, decay):
    advantages = delta.clone()
    for t in reversed(range(len(delta) - 1)):
        advantages[t] = delta[t] + decay * advantages[t + 1]
    return advantages


def one_step(rewards, values, gamma, after=0.0):
    values = values.detach()
    return rewards + gamma * torch.cat([values[1:], values.new_full((1,), float(after))]) - values


@mutant("gae", "deltas alone")
def no_recursion(rewards, values, gamma=1.0, lam=0.95):
    return one_step(rewards, values, gamma)


@mutant("gae", "lam alone")
def decays_by_lambda(rewards, values, gamma=1.0, lam=0.95):
    return backwards_sum(one_step(rewards, values, gamma), lam)


@mutant("gae", "gamma alone")
def decays_by_gamma(rewards, values, gamma=1.0, lam=0.95):
    return backwards_sum(one_step(rewards, values, gamma), gamma)


@mutant("gae", "the episode is over")
def bootstraps_after_the_end(rewards, values, gamma=1.0, lam=0.95):
    return backwards_sum(one_step(rewards, values, gamma, values[-1].item()), gamma * lam)


@mutant("gae", "A + V")
def returns(rewards, values, gamma=1.0, lam=0.95):
    return backwards_sum(one_step(rewards, values, gamma), gamma * lam) + values.detach()


@mutant("gae", "from the front")
def forwards(rewards, values, gamma=1.0, lam=0.95):
    return backwards_sum(one_step(rewards, values, gamma).flip(0), gamma * lam).flip(0)


@mutant("gae", "into the critic")
def attached(rewards, values, gamma=1.0, lam=0.95):
    delta = rewards + gamma * torch.cat([values[1:], values.new_zeros(1)]) - values
    return torch.stack(
        [
            sum((gamma * lam) ** k * delta[t + k] for k in range(len(delta) - t))
            for t in range(len(delta))
        ]
    )


def right_advantages(rewards, values, gamma, lam):
    return backwards_sum(one_step(rewards.detach(), values, gamma), gamma * lam)


@mutant("gae", "gamma 1, lam 0.95")
def other_defaults(rewards, values, gamma=1.0, lam=0.9):
    return right_advantages(rewards, values, gamma, lam)


@mutant("gae", "2 steps, gamma 0.5")
def one_discount(rewards, values, gamma=1.0, lam=0.95):
    return right_advantages(rewards, values, 1.0 if gamma == 1 else 0.9, lam)


@mutant("gae", "9 steps, gamma 0.99")
def five_steps_ahead(rewards, values, gamma=1.0, lam=0.95):
    delta = one_step(rewards.detach(), values, gamma)
    return torch.stack(
        [
            sum((gamma * lam) ** k * delta[t + k] for k in range(min(5, len(delta) - t)))
            for t in range(len(delta))
        ]
    )


@mutant("gae", "one advantage for each step")
def five_steps_only(rewards, values, gamma=1.0, lam=0.95):
    return right_advantages(rewards[:5], values[:5], gamma, lam)


@mutant("gae", "into the rewards")
def rewards_attached(rewards, values, gamma=1.0, lam=0.95):
    return backwards_sum(one_step(rewards, values, gamma), gamma * lam)


@mutant("gae", "changes its argument `values`")
def uses_values_up(rewards, values, gamma=1.0, lam=0.95):
    out = right_advantages(rewards, values, gamma, lam)
    values.detach().zero_()
    return out


def clipped_terms(ratio, advantages, clip):
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


@mutant("ppo_clip_loss", "exponentiate their difference")
def quotient_of_logs(logp, old_logp, advantages, clip=0.2):
    return -clipped_terms(logp / old_logp.detach(), advantages.detach(), clip).mean()


@mutant("ppo_clip_loss", "clip without the min")
def clip_alone(logp, old_logp, advantages, clip=0.2):
    return -(
        torch.exp(logp - old_logp.detach()).clamp(1 - clip, 1 + clip) * advantages.detach()
    ).mean()


@mutant("ppo_clip_loss", "pessimistic")
def optimistic(logp, old_logp, advantages, clip=0.2):
    ratio, a = torch.exp(logp - old_logp.detach()), advantages.detach()
    return -torch.maximum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a).mean()


@mutant("ppo_clip_loss", "wrong side")
def inverted_clip(logp, old_logp, advantages, clip=0.2):
    ratio = torch.exp(logp - old_logp.detach())
    return -(torch.minimum(ratio, ratio.clamp(1 - clip, 1 + clip)) * advantages.detach()).mean()


@mutant("ppo_clip_loss", "still pushes")
def value_right_gradient_not(logp, old_logp, advantages, clip=0.2):
    ratio, a = torch.exp(logp - old_logp.detach()), advantages.detach()
    return (-clipped_terms(ratio, a, clip).detach() - (ratio * a - (ratio * a).detach())).mean()


@mutant("ppo_clip_loss", "no clip stops a ratio above")
def no_clip(logp, old_logp, advantages, clip=0.2):
    return -(torch.exp(logp - old_logp.detach()) * advantages.detach()).mean()


@mutant("ppo_clip_loss", "minus is missing")
def uphill(logp, old_logp, advantages, clip=0.2):
    return clipped_terms(torch.exp(logp - old_logp.detach()), advantages.detach(), clip).mean()


@mutant("ppo_clip_loss", "not their mean")
def sum_of_tokens(logp, old_logp, advantages, clip=0.2):
    return -clipped_terms(torch.exp(logp - old_logp.detach()), advantages.detach(), clip).sum()


@mutant("ppo_clip_loss", "use the argument `clip`")
def fixed_clip(logp, old_logp, advantages, clip=0.2):
    return -clipped_terms(torch.exp(logp - old_logp.detach()), advantages.detach(), 0.2).mean()


@mutant("ppo_clip_loss", "old policy is fixed")
def old_policy_learns(logp, old_logp, advantages, clip=0.2):
    return -clipped_terms(torch.exp(logp - old_logp), advantages.detach(), clip).mean()


@mutant("ppo_clip_loss", "into the advantages")
def trains_the_critic(logp, old_logp, advantages, clip=0.2):
    return -clipped_terms(torch.exp(logp - old_logp.detach()), advantages, clip).mean()


@mutant("ppo_clip_loss", "your clip range is 0.2")
def two_clips(logp, old_logp, advantages, clip=0.2):
    ratio = torch.exp(logp - old_logp.detach())
    return -clipped_terms(ratio, advantages.detach(), min(clip, 0.2)).mean()


@mutant("ppo_clip_loss", "9 tokens")
def four_tokens(logp, old_logp, advantages, clip=0.2):
    ratio = torch.exp(logp - old_logp.detach())
    return -clipped_terms(ratio, advantages.detach(), clip).sum() / min(4, len(logp))


@mutant("ppo_clip_loss", "you clip the product")
def clips_the_product(logp, old_logp, advantages, clip=0.2):
    product = torch.exp(logp - old_logp.detach()) * advantages.detach()
    return -torch.minimum(product, product.clamp(1 - clip, 1 + clip)).mean()


@mutant("ppo_clip_loss", "no clip stops a ratio below")
def clips_above_alone(logp, old_logp, advantages, clip=0.2):
    ratio, a = torch.exp(logp - old_logp.detach()), advantages.detach()
    return -torch.minimum(ratio * a, ratio.clamp(max=1 + clip) * a).mean()


@mutant("kl_categorical", "backwards")
def of_q_and_p(p_logits, q_logits):
    log_p, log_q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    return torch.where(log_q.isneginf(), 0.0, log_q.exp() * (log_q - log_p)).sum(-1)


@mutant("kl_categorical", "logits as they are")
def bare_logits(p_logits, q_logits):
    return (p_logits.softmax(-1) * (p_logits - q_logits)).sum(-1)


@mutant("kl_categorical", "cross-entropy")
def cross_entropy(p_logits, q_logits):
    return -(p_logits.softmax(-1) * q_logits.log_softmax(-1)).sum(-1)


@mutant("kl_categorical", "never negative")
def negative(p_logits, q_logits):
    log_p = p_logits.log_softmax(-1)
    return (log_p.exp() * (q_logits.log_softmax(-1) - log_p)).sum(-1)


@mutant("kl_categorical", "one number for all")
def summed_over_all(p_logits, q_logits):
    log_p = p_logits.log_softmax(-1)
    return (log_p.exp() * (log_p - q_logits.log_softmax(-1))).sum()


@mutant("kl_categorical", "0 * log 0")
def nan_where_banned(p_logits, q_logits):
    log_p = p_logits.log_softmax(-1)
    return (log_p.exp() * (log_p - q_logits.log_softmax(-1))).sum(-1)


@mutant("kl_categorical", "the logarithm of a softmax underflows")
def logs_of_softmax(p_logits, q_logits):
    p, q = p_logits.softmax(-1), q_logits.softmax(-1)
    return torch.where(p == 0, 0.0, p * (p.log() - q.log())).sum(-1)


@mutant("kl_categorical", "logits [4, 3]")
def three_axes(p_logits, q_logits):
    log_p, log_q = p_logits.log_softmax(-1), q_logits.log_softmax(-1)
    terms = torch.where(log_p.isneginf(), 0.0, log_p.exp() * (log_p - log_q))
    return terms.sum(2 if p_logits.dim() == 3 else 0)


@mutant("kl_categorical", "do not clamp")
def clamped(p_logits, q_logits):
    log_p, log_q = (x.log_softmax(-1).clamp(min=-1e4) for x in (p_logits, q_logits))
    return (log_p.exp() * (log_p - log_q)).sum(-1)
