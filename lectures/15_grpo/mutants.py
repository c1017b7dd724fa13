"""The mutants of lecture 15: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch

from course.grade import mutant
from minilrm import objectives


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


@mutant("group_advantages", "your eps is 1e-4")
def fixed_eps(rewards, eps=1e-4):
    return objectives.group_advantages(rewards)


@mutant("group_advantages", "not under the root")
def eps_under_the_root(rewards, eps=1e-4):
    centered, std = parts(rewards)
    return (centered / (std.square() + eps).sqrt()).masked_fill(std == 0, 0.0)


@mutant("group_advantages", "groups of 7")
def four_in_a_group(rewards, eps=1e-4):
    centered = rewards - rewards.sum(1, keepdim=True) / 4
    return centered / ((centered.square().sum(1, keepdim=True) / 3).sqrt() + eps)


@mutant("group_advantages", "makes all groups 0")
def all_or_nothing(rewards, eps=1e-4):
    if (rewards.amax(1) == rewards.amin(1)).any():
        return torch.zeros_like(rewards)
    return objectives.group_advantages(rewards, eps=eps)


@mutant("group_advantages", "not with a threshold")
def nearly_equal(rewards, eps=1e-4):
    centered, std = parts(rewards)
    return torch.where(std < 1e-4, 0.0, centered / (std + eps))


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


@mutant("token_logprobs", "no gradient flows")
def constants(logits, ids, temperature=1.0):
    return picked((logits[:, :-1] / temperature).log_softmax(-1), ids[:, 1:]).detach()


@mutant("token_logprobs", "it should have the shape (3, 1)")
def squeezes_all(logits, ids, temperature=1.0):
    log_p = (logits[:, :-1] / temperature).log_softmax(-1)
    return log_p.gather(-1, ids[:, 1:].unsqueeze(-1)).squeeze()


@mutant("token_logprobs", "temperature 1.6")
def one_temperature(logits, ids, temperature=1.0):
    return objectives.token_logprobs(logits, ids, 1.0 if temperature == 1 else 0.7)


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


@mutant("kl_k3", "no gradient flows")
def k3_as_a_number(logp, ref_logp):
    return objectives.kl_estimate(logp, ref_logp).detach()


@mutant("kl_k3", "exp(d) - d - 1 (you returned")
def k3_clamped(logp, ref_logp):
    d = (ref_logp - logp).clamp(-1, 1)
    return torch.exp(d) - d - 1


@mutant("kl_k3", "two rows of three tokens")
def k3_in_one_row(logp, ref_logp):
    return objectives.kl_estimate(logp.flatten(), ref_logp.flatten())


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


@mutant("grpo_loss", "into old_logp")
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


@mutant("grpo_loss", "0 * inf and 0 * NaN are NaN")
def mask_by_product(logp, old_logp, advantages, mask, clip=0.2):
    terms = surrogate(torch.exp(logp - old_logp.detach()), advantages, clip)
    return -((terms * mask).sum(1) / mask.sum(1)).mean()


@mutant("grpo_loss", "EOS")
def eos_never_trained(logp, old_logp, advantages, mask, clip=0.2):
    terms = surrogate(torch.exp(logp - old_logp.detach()), advantages, clip)
    terms = torch.cat([terms[:, :-1], terms[:, -1:].detach()], dim=1)
    return sequence_mean(terms, mask)


def careful(logp, old_logp, advantages, mask, clip=0.2):
    """The right loss, for mutants that give it a wrong argument."""
    return objectives.policy_loss(logp, old_logp, advantages, mask, clip_low=clip, clip_high=clip)[
        0
    ]


def inside(logp, old_logp, mask):
    return torch.exp(torch.where(mask.bool(), logp - old_logp.detach(), 0.0))


@mutant("grpo_loss", "your clip range is 0.2")
def fixed_clip(logp, old_logp, advantages, mask, clip=0.2):
    return careful(logp, old_logp, advantages, mask)


@mutant("grpo_loss", "may stand anywhere")
def first_tokens(logp, old_logp, advantages, mask, clip=0.2):
    losses = []
    for i, n in enumerate(mask.sum(1).int().tolist()):
        ratio = torch.exp(logp[i : i + 1, :n] - old_logp[i : i + 1, :n].detach())
        losses.append(surrogate(ratio, advantages[i : i + 1].detach(), clip).mean())
    return -torch.stack(losses).mean()


@mutant("grpo_loss", "into the advantages")
def advantages_learn(logp, old_logp, advantages, mask, clip=0.2):
    return sequence_mean(surrogate(inside(logp, old_logp, mask), advantages, clip), mask)


@mutant("grpo_loss", "you clip the product")
def clips_the_product(logp, old_logp, advantages, mask, clip=0.2):
    product = inside(logp, old_logp, mask) * advantages.detach().unsqueeze(1)
    return sequence_mean(torch.minimum(product, product.clamp(1 - clip, 1 + clip)), mask)


@mutant("grpo_loss", "no clip stops a ratio below")
def clips_above_alone(logp, old_logp, advantages, mask, clip=0.2):
    ratio, a = inside(logp, old_logp, mask), advantages.detach().unsqueeze(1)
    return sequence_mean(torch.minimum(ratio * a, ratio.clamp(max=1 + clip) * a), mask)


@mutant("grpo_loss", "a random batch of 3 rows")
def two_sequences(logp, old_logp, advantages, mask, clip=0.2):
    return careful(logp, old_logp, advantages, mask, clip) * len(logp) / min(len(logp), 2)


@mutant("grpo_loss", "logp nan where the mask is 0")
def log_ratio_times_mask(logp, old_logp, advantages, mask, clip=0.2):
    ratio = torch.exp((logp - old_logp.detach()) * mask)
    return sequence_mean(surrogate(ratio, advantages.detach(), clip), mask)
