"""The mutants of lecture 13: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch

from course.grade import mutant


@mutant("bradley_terry_loss", "minus is missing")
def disagrees(chosen, rejected):
    return torch.nn.functional.logsigmoid(chosen - rejected).mean()


@mutant("bradley_terry_loss", "exchanged")
def exchanged(chosen, rejected):
    return -torch.nn.functional.logsigmoid(rejected - chosen).mean()


@mutant("bradley_terry_loss", "sigmoid is missing")
def bare_difference(chosen, rejected):
    return -(chosen - rejected).mean()


@mutant("bradley_terry_loss", "not infinity")
def log_of_sigmoid(chosen, rejected):
    return -torch.sigmoid(chosen - rejected).log().mean()


@mutant("bradley_terry_loss", "logarithm is missing")
def minus_probability(chosen, rejected):
    return -torch.sigmoid(chosen - rejected).mean()


@mutant("bradley_terry_loss", "rejected scores")
def one_sided(chosen, rejected):
    return -torch.nn.functional.logsigmoid(chosen - rejected.detach()).mean()


@mutant("bradley_terry_loss", "not 0 or NaN")
def clamped(chosen, rejected):
    p = torch.sigmoid(chosen - rejected)
    value = torch.nn.functional.softplus(rejected - chosen).detach()
    return (value - p.clamp(min=1e-12).log() + p.clamp(min=1e-12).log().detach()).mean()


@mutant("bradley_terry_loss", "7 comparisons")
def four_comparisons(chosen, rejected):
    losses = -torch.nn.functional.logsigmoid(chosen - rejected)
    return losses.sum() / min(4, len(losses))


@mutant("preference_accuracy", "compare exactly")
def nearly_equal(chosen, rejected):
    d = chosen - rejected
    return ((d > 1e-3).double() + 0.5 * (d.abs() <= 1e-3).double()).mean().item()


@mutant("preference_accuracy", "the 8 comparisons")
def five_comparisons(chosen, rejected):
    right = (chosen > rejected).double() + 0.5 * (chosen == rejected).double()
    return right.sum().item() / min(5, len(right))


@mutant("preference_accuracy", "a Python number")
def a_tensor(chosen, rejected):
    return ((chosen > rejected).double() + 0.5 * (chosen == rejected).double()).mean()


@mutant("preference_accuracy", "worse than a coin")
def ties_wrong(chosen, rejected):
    return (chosen > rejected).double().mean().item()


@mutant("preference_accuracy", "would be perfect")
def ties_right(chosen, rejected):
    return (chosen >= rejected).double().mean().item()


@mutant("preference_accuracy", "whether the preferred score is positive")
def above_zero(chosen, rejected):
    return (chosen > 0).double().mean().item()


@mutant("preference_accuracy", "mean probability")
def mean_probability(chosen, rejected):
    return torch.sigmoid(chosen - rejected).mean().item()


@mutant("preference_accuracy", "a count")
def count(chosen, rejected):
    return ((chosen > rejected).double() + 0.5 * (chosen == rejected).double()).sum().item()


def at_the_end(rewards, mask):
    still_to_come = mask.bool().flip(1).cumsum(1).flip(1)
    return torch.where(mask.bool() & (still_to_come == 1), rewards[:, None], 0.0)


def kept(values, mask):
    return torch.where(mask.bool(), values, 0.0)


def right_rewards(rewards, logp, ref_logp, mask, beta):
    price = beta * kept(logp - ref_logp, mask).detach()
    return at_the_end(rewards.detach(), mask) - price


@mutant("token_rewards", "here your beta is 0.1")
def one_beta(rewards, logp, ref_logp, mask, beta):
    return right_rewards(rewards, logp, ref_logp, mask, min(beta, 0.1))


@mutant("token_rewards", "should have the shape (4, 5)")
def three_answers(rewards, logp, ref_logp, mask, beta):
    return right_rewards(rewards[:3], logp[:3], ref_logp[:3], mask[:3], beta)


@mutant("token_rewards", "into ref_logp")
def reference_learns(rewards, logp, ref_logp, mask, beta):
    return at_the_end(rewards, mask) - beta * kept(logp.detach() - ref_logp, mask)


@mutant("token_rewards", "from your result into rewards")
def rewards_learn(rewards, logp, ref_logp, mask, beta):
    return at_the_end(rewards, mask) - beta * kept(logp - ref_logp, mask).detach()


@mutant("token_rewards", "did not sample")
def prices_the_holes(rewards, logp, ref_logp, mask, beta):
    price = beta * (logp - ref_logp).nan_to_num().detach()
    return at_the_end(rewards.detach(), mask) - price


@mutant("token_rewards", "last column")
def in_the_last_column(rewards, logp, ref_logp, mask, beta):
    out = -beta * kept(logp - ref_logp, mask)
    out[:, -1] += rewards
    return out


@mutant("token_rewards", "every token gets the whole reward")
def everywhere(rewards, logp, ref_logp, mask, beta):
    return kept(rewards[:, None] - beta * (logp - ref_logp), mask)


@mutant("token_rewards", "other way round")
def paid_for_leaving(rewards, logp, ref_logp, mask, beta):
    return at_the_end(rewards, mask) + beta * kept(logp - ref_logp, mask)


@mutant("token_rewards", "pays nothing")
def last_token_free(rewards, logp, ref_logp, mask, beta):
    end = at_the_end(rewards, mask)
    return torch.where(end != 0, end, -beta * kept(logp - ref_logp, mask))


@mutant("token_rewards", "0 * NaN is NaN")
def mask_by_product(rewards, logp, ref_logp, mask, beta):
    return at_the_end(rewards, mask) - beta * (logp - ref_logp).detach() * mask


@mutant("token_rewards", "estimator k3")
def k3_in_the_reward(rewards, logp, ref_logp, mask, beta):
    d = kept(ref_logp - logp, mask)
    return at_the_end(rewards, mask) - beta * (d.exp() - 1 - d)


@mutant("token_rewards", "detach it")
def with_gradient(rewards, logp, ref_logp, mask, beta):
    return at_the_end(rewards, mask) - beta * kept(logp - ref_logp, mask)


@mutant("token_rewards", "mask.sum() - 1")
def counts_the_mask(rewards, logp, ref_logp, mask, beta):
    out = -beta * kept(logp - ref_logp, mask).detach()
    out[torch.arange(len(out)), mask.sum(1) - 1] += rewards
    return out
