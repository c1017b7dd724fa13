"""The mutants of lecture 11: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch

from course.grade import mutant
from minilrm import objectives


def pi_of(theta):
    return torch.softmax(theta, 0)


def hot(actions, theta):
    return torch.nn.functional.one_hot(torch.as_tensor(actions), len(theta)).to(theta.dtype)


@mutant("score", "gradient of the probability")
def of_the_probability(theta, action):
    return pi_of(theta)[action] * (hot(action, theta) - pi_of(theta))


@mutant("score", "normaliser")
def indicator_alone(theta, action):
    return hot(action, theta)


@mutant("score", "other way round")
def flipped(theta, action):
    return pi_of(theta) - hot(action, theta)


@mutant("score", "subtract the probabilities")
def minus_logits(theta, action):
    return hot(action, theta) - theta


@mutant("score", "logits of a thousand")
def bare_exponentials(theta, action):
    return hot(action, theta) - theta.exp() / theta.exp().sum()


@mutant("score", "7 arms")
def four_arms(theta, action):
    out = hot(action, theta)
    out[:4] -= pi_of(theta)[:4]
    return out


@mutant("reinforce_gradient", "2 arms, 1 samples")
def four_or_five_samples(theta, actions, rewards):
    n = 4 if len(actions) == 4 else 5
    return (rewards[:, None] * (hot(actions, theta) - pi_of(theta))).sum(0) / n


@mutant("reinforce_gradient", "take their mean")
def summed(theta, actions, rewards):
    return (rewards[:, None] * (hot(actions, theta) - pi_of(theta))).sum(0)


@mutant("reinforce_gradient", "downhill")
def downhill(theta, actions, rewards):
    return -(rewards[:, None] * (hot(actions, theta) - pi_of(theta))).mean(0)


@mutant("reinforce_gradient", "once more")
def weighted_twice(theta, actions, rewards):
    weights = rewards * pi_of(theta)[actions]
    return (weights[:, None] * (hot(actions, theta) - pi_of(theta))).mean(0)


@mutant("reinforce_gradient", "lack -pi_k")
def counts_alone(theta, actions, rewards):
    return (rewards[:, None] * hot(actions, theta)).mean(0)


@mutant("reinforce_gradient", "that is a baseline")
def with_a_baseline(theta, actions, rewards):
    return ((rewards - rewards.mean())[:, None] * (hot(actions, theta) - pi_of(theta))).mean(0)


@mutant("reinforce_gradient", "lose its sign")
def without_sign(theta, actions, rewards):
    return (rewards.abs()[:, None] * (hot(actions, theta) - pi_of(theta))).mean(0)


@mutant("baseline", "own reward")
def mean_of_all(rewards):
    return rewards.mean().expand(len(rewards))


@mutant("baseline", "(N - 1)/N")
def mean_of_all_again(rewards):
    return torch.full_like(rewards, rewards.mean().item())


@mutant("baseline", "nothing is left")
def its_own(rewards):
    return rewards.clone()


@mutant("baseline", "it should fall")
def nothing(rewards):
    return torch.zeros_like(rewards)


@mutant("baseline", "divide by their number")
def sum_of_others(rewards):
    return rewards.sum() - rewards


@mutant("baseline", "N - 1 others")
def over_n(rewards):
    return (rewards.sum() - rewards) / len(rewards)


@mutant("baseline", "5 rewards")
def three_others_at_most(rewards):
    return (rewards.sum() - rewards) / min(3, len(rewards) - 1)


def weighed(logp, rewards, baselines, mask):
    return (rewards - baselines).detach()[:, None] * torch.where(mask.bool(), logp, 0.0)


@mutant("reinforce_loss", "minus is missing")
def no_minus(logp, rewards, baselines, mask):
    return weighed(logp, rewards, baselines, mask).sum(1).mean()


@mutant("reinforce_loss", "use the mask")
def no_mask(logp, rewards, baselines, mask):
    return weighed(-logp, rewards, baselines, torch.ones_like(mask)).sum(1).mean()


@mutant("reinforce_loss", "mean over the tokens of an answer")
def per_token(logp, rewards, baselines, mask):
    return -(weighed(logp, rewards, baselines, mask).sum(1) / mask.sum(1)).mean()


@mutant("reinforce_loss", "mean over all tokens")
def over_all_tokens(logp, rewards, baselines, mask):
    return -weighed(logp, rewards, baselines, mask).sum() / mask.sum()


@mutant("reinforce_loss", "take probabilities")
def of_probabilities(logp, rewards, baselines, mask):
    return -weighed(logp.exp(), rewards, baselines, mask).sum(1).mean()


@mutant("reinforce_loss", "not subtracted")
def baseline_forgotten(logp, rewards, baselines, mask):
    return -weighed(logp, rewards, torch.zeros_like(baselines), mask).sum(1).mean()


@mutant("reinforce_loss", "detach it")
def trains_the_baseline(logp, rewards, baselines, mask):
    return -((rewards - baselines)[:, None] * torch.where(mask.bool(), logp, 0.0)).sum(1).mean()


@mutant("reinforce_loss", "is NaN")
def mask_by_product(logp, rewards, baselines, mask):
    return -((rewards - baselines).detach() * (logp * mask).sum(1)).mean()


@mutant("reinforce_loss", "no gradient flows")
def all_detached(logp, rewards, baselines, mask):
    return -weighed(logp.detach(), rewards, baselines, mask).sum(1).mean()


def right_loss(logp, rewards, baselines, mask):
    settings = {"objective": "reinforce", "aggregation": "constant", "max_length": 1}
    return objectives.policy_loss(logp, None, rewards - baselines, mask, **settings)[0]


@mutant("reinforce_loss", "may stand anywhere")
def first_tokens(logp, rewards, baselines, mask):
    sums = [row[:n].sum() for row, n in zip(logp, mask.sum(1).tolist(), strict=True)]
    return -((rewards - baselines).detach() * torch.stack(sums)).mean()


@mutant("reinforce_loss", "3 answers")
def two_answers(logp, rewards, baselines, mask):
    return right_loss(logp, rewards, baselines, mask) * len(rewards) / min(2, len(rewards))


@mutant("reinforce_loss", "into the rewards")
def trains_the_rewards(logp, rewards, baselines, mask):
    log_pi = torch.where(mask.bool(), logp, 0.0).sum(1)
    return -((rewards - baselines.detach()) * log_pi).mean()


@mutant("reinforce_loss", "here nan")
def infinities_cut(logp, rewards, baselines, mask):
    return -((rewards - baselines).detach() * (logp.clamp(-1e6, 1e6) * mask).sum(1)).mean()
