"""The mutants of lecture 16: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch
from checks import surrogate

from course.grade import mutant


def centred(rewards):
    return (rewards - rewards.mean(1, keepdim=True)).reshape(-1, 1)


def ratio_of(logp, old_logp):
    return torch.exp(logp - old_logp.detach())


@mutant("dr_grpo_loss", "you divide by the std")
def keeps_the_std(logp, old_logp, rewards, mask, max_length, clip=0.2):
    a = centred(rewards) / (rewards.std(1, keepdim=True) + 1e-4).repeat_interleave(
        rewards.shape[1], 0
    )
    return -(surrogate(ratio_of(logp, old_logp), a) * mask).sum() / (len(logp) * max_length)


@mutant("dr_grpo_loss", "by its own length")
def sequence_mean(logp, old_logp, rewards, mask, max_length, clip=0.2):
    return -(
        (surrogate(ratio_of(logp, old_logp), centred(rewards)) * mask).sum(1) / mask.sum(1)
    ).mean()


@mutant("dr_grpo_loss", "DAPO's mean")
def token_mean(logp, old_logp, rewards, mask, max_length, clip=0.2):
    return -(surrogate(ratio_of(logp, old_logp), centred(rewards)) * mask).sum() / mask.sum()


@mutant("dr_grpo_loss", "padded width")
def over_the_width(logp, old_logp, rewards, mask, max_length, clip=0.2):
    return -(surrogate(ratio_of(logp, old_logp), centred(rewards)) * mask).mean()


@mutant("dr_grpo_loss", "row p * G + g")
def groups_interleaved(logp, old_logp, rewards, mask, max_length, clip=0.2):
    a = (rewards - rewards.mean(1, keepdim=True)).T.reshape(-1, 1)
    return -(surrogate(ratio_of(logp, old_logp), a) * mask).sum() / (len(logp) * max_length)


@mutant("dr_grpo_loss", "bare reward")
def no_baseline(logp, old_logp, rewards, mask, max_length, clip=0.2):
    return -(surrogate(ratio_of(logp, old_logp), rewards.reshape(-1, 1)) * mask).sum() / (
        len(logp) * max_length
    )


@mutant("dr_grpo_loss", "the old policy is fixed")
def old_not_detached(logp, old_logp, rewards, mask, max_length, clip=0.2):
    return -(surrogate((logp - old_logp).exp(), centred(rewards)) * mask).sum() / (
        len(logp) * max_length
    )


@mutant("gspo_ratio", "the root is missing")
def bare_product(logp, old_logp, mask):
    return ((logp - old_logp.detach()) * mask).sum(1).exp()


@mutant("gspo_ratio", "mean of the tokens' ratios")
def arithmetic_mean(logp, old_logp, mask):
    return (((logp - old_logp.detach()) * mask).exp() * mask).sum(1) / mask.sum(1).clamp(min=1)


@mutant("gspo_ratio", "padded width")
def padded_mean(logp, old_logp, mask):
    return ((logp - old_logp.detach()) * mask).mean(1).exp()


@mutant("gspo_ratio", "the mask is not used")
def unmasked(logp, old_logp, mask):
    return (logp - old_logp.detach()).mean(1).exp()


@mutant("gspo_ratio", "upside down")
def inverted(logp, old_logp, mask):
    return ((old_logp.detach() - logp) * mask).sum(1).div(mask.sum(1).clamp(min=1)).exp()


@mutant("gspo_ratio", "not NaN")
def empty_is_nan(logp, old_logp, mask):
    return ((logp - old_logp.detach()) * mask).sum(1).div(mask.sum(1)).exp()


@mutant("cispo_loss", "gradient flows through the ratio")
def weight_not_detached(logp, old_logp, advantages, mask, cap=1.28):
    weight = ((logp - old_logp.detach()) * mask).exp().clamp(max=cap)
    return -(weight * advantages.unsqueeze(1) * logp * mask).sum() / mask.sum()


@mutant("cispo_loss", "a clip has stopped")
def ppo_in_disguise(logp, old_logp, advantages, mask, cap=1.28):
    terms = surrogate(
        ((logp - old_logp.detach()) * mask).exp(), advantages.unsqueeze(1), 2 - cap, cap
    )
    return -(terms * mask).sum() / mask.sum()


@mutant("cispo_loss", "lower bound")
def bounded_below(logp, old_logp, advantages, mask, cap=1.28):
    weight = ((logp - old_logp) * mask).exp().clamp(0.8, cap).detach()
    return -(weight * advantages.unsqueeze(1) * logp * mask).sum() / mask.sum()


@mutant("cispo_loss", "not bounded by the cap")
def no_cap(logp, old_logp, advantages, mask, cap=1.28):
    weight = ((logp - old_logp) * mask).exp().detach()
    return -(weight * advantages.unsqueeze(1) * logp * mask).sum() / mask.sum()


@mutant("cispo_loss", "holds the ratio itself")
def ratio_as_value(logp, old_logp, advantages, mask, cap=1.28):
    ratio = ((logp - old_logp.detach()) * mask).exp()
    ratio = ratio * (ratio.clamp(max=cap) / ratio).detach()
    return -(ratio * advantages.unsqueeze(1) * mask).sum() / mask.sum()


@mutant("cispo_loss", "a mean of each sequence first")
def cispo_by_sequence(logp, old_logp, advantages, mask, cap=1.28):
    weight = ((logp - old_logp) * mask).exp().clamp(max=cap).detach()
    return -((weight * advantages.unsqueeze(1) * logp * mask).sum(1) / mask.sum(1)).mean()


@mutant("soft_overlong", "a cliff")
def cliff(lengths, max_length, cache):
    return [-1.0 if n >= max_length else 0.0 for n in lengths]


@mutant("soft_overlong", "begins too late")
def late(lengths, max_length, cache):
    return [max(-1.0, min(0.0, (max_length - n) / cache)) for n in lengths]


@mutant("soft_overlong", "it does not go on falling")
def bottomless(lengths, max_length, cache):
    return [min(0.0, (max_length - cache - n) / cache) for n in lengths]


@mutant("soft_overlong", "a bonus")
def bonus(lengths, max_length, cache):
    return [max(-1.0, (max_length - cache - n) / cache) for n in lengths]


@mutant("soft_overlong", "a penalty is negative")
def reward_for_length(lengths, max_length, cache):
    return [max(0.0, min(1.0, (n - max_length + cache) / cache)) for n in lengths]


def collect(draw, wanted, rounds, teaches):
    kept, drawn = [], 0
    while len(kept) < wanted and drawn < rounds:
        kept += [g for g in draw() if teaches(g)]
        drawn += 1
    return kept[:wanted], drawn


def spread(group):
    return max(group) > min(group)


@mutant("dynamic_filter", "the form was paid")
def not_all_nought_or_one(draw, wanted, rounds):
    return collect(draw, wanted, rounds, lambda g: 0 < sum(g) < len(g))


@mutant("dynamic_filter", "although no answer in it is right")
def some_right(draw, wanted, rounds):
    return collect(draw, wanted, rounds, lambda g: spread(g) and max(g) >= 1)


@mutant("dynamic_filter", "computed in floats")
def by_standard_deviation(draw, wanted, rounds):
    return collect(draw, wanted, rounds, lambda g: sum((r - sum(g) / len(g)) ** 2 for r in g) > 0)


@mutant("dynamic_filter", "no more than `wanted`")
def keeps_the_surplus(draw, wanted, rounds):
    kept, drawn = [], 0
    while len(kept) < wanted and drawn < rounds:
        kept += [g for g in draw() if spread(g)]
        drawn += 1
    return kept, drawn


@mutant("dynamic_filter", "keep what earlier draws")
def forgets(draw, wanted, rounds):
    kept, drawn = [], 0
    while len(kept) < wanted and drawn < rounds:
        kept = [g for g in draw() if spread(g)]
        drawn += 1
    return kept[:wanted], drawn


@mutant("dynamic_filter", "one draw was enough")
def always_all_rounds(draw, wanted, rounds):
    kept = [g for _ in range(rounds) for g in draw() if spread(g)]
    return kept[:wanted], rounds


@mutant("dynamic_filter", "where is the bound")
def without_end(draw, wanted, rounds):
    return collect(draw, wanted, 10**9, spread)


@mutant("length_bias", "a whole answer")
def whole_answers(lengths, how, max_length):
    if how not in ("sequence", "token", "constant"):
        raise ValueError
    return {
        "sequence": [1 / len(lengths)] * len(lengths),
        "token": [n / sum(lengths) for n in lengths],
        "constant": [n / (len(lengths) * max_length) for n in lengths],
    }[how]


@mutant("length_bias", "divide by their number")
def without_the_batch(lengths, how, max_length):
    return {
        "sequence": [1 / n for n in lengths],
        "token": [1 / sum(lengths)] * len(lengths),
        "constant": [1 / max_length] * len(lengths),
    }[how]


@mutant("length_bias", "the longest answer")
def longest_of_the_batch(lengths, how, max_length):
    return {
        "sequence": [1 / (len(lengths) * n) for n in lengths],
        "token": [1 / sum(lengths)] * len(lengths),
        "constant": [1 / (len(lengths) * max(lengths))] * len(lengths),
    }[how]


@mutant("length_bias", "are exchanged")
def words_exchanged(lengths, how, max_length):
    return {
        "token": [1 / (len(lengths) * n) for n in lengths],
        "sequence": [1 / sum(lengths)] * len(lengths),
        "constant": [1 / (len(lengths) * max_length)] * len(lengths),
    }[how]


@mutant("length_bias", "raises ValueError")
def any_word(lengths, how, max_length):
    if how == "sequence":
        return [1 / (len(lengths) * n) for n in lengths]
    return [1 / (sum(lengths) if how == "token" else len(lengths) * max_length)] * len(lengths)


def words_of(metrics, order=None, span=4, done=0.9, clipped=None, ends=None):
    quarter = max(1, len(metrics["accuracy"]) // span) if span else 1

    def part(values):
        return sum(values) / len(values)

    first = {name: part(values[:quarter]) for name, values in metrics.items()}
    last = {name: part(values[-quarter:]) for name, values in metrics.items()}
    begin = last if ends else first
    rules = {
        "cut off": begin["cut"] > 0.5,
        "all wrong": begin["dull"] > 0.8 and begin["accuracy"] < 0.1,
        "all right": begin["dull"] > 0.5 and begin["accuracy"] > 0.9,
        "stale": (part(metrics["clipped"]) if clipped is None else clipped(metrics)) > 0.1,
        "too fast": last["accuracy"] < first["accuracy"] / 2,
        "collapsed": last["entropy"] < first["entropy"] / 10 and last["accuracy"] < done,
        "wrong reward": last["reward"] > last["accuracy"] + 0.5,
    }
    return next((word for word in order or rules if rules[word]), "healthy")


@mutant("diagnose", "the limit is the cause")
def wrong_before_cut(metrics):
    return words_of(
        metrics,
        ["all wrong", "cut off", "all right", "stale", "too fast", "collapsed", "wrong reward"],
    )


@mutant("diagnose", "at the END are symptoms")
def looks_at_the_end(metrics):
    return words_of(metrics, ends=True)


@mutant("diagnose", "entropy is a symptom")
def collapse_before_all(metrics):
    return words_of(
        metrics,
        ["cut off", "all wrong", "all right", "collapsed", "stale", "too fast", "wrong reward"],
    )


@mutant("diagnose", "how success looks")
def success_is_collapse(metrics):
    return words_of(metrics, done=2.0)


@mutant("diagnose", "that is the cause")
def loss_before_its_cause(metrics):
    return words_of(
        metrics,
        ["cut off", "all wrong", "all right", "too fast", "stale", "collapsed", "wrong reward"],
    )


@mutant("diagnose", "take means over a quarter")
def single_steps(metrics):
    return words_of(metrics, span=0)


@mutant("diagnose", "a quarter has at least one")
def empty_quarter(metrics):
    return words_of(metrics) if len(metrics["accuracy"]) >= 4 else "healthy"


@mutant("diagnose", "over ALL steps")
def clipped_at_first(metrics):
    return words_of(metrics, clipped=lambda m: m["clipped"][0])


@mutant("diagnose", "it need not rise")
def reward_must_rise(metrics):
    word = words_of(metrics)
    rose = metrics["reward"][-1] - metrics["reward"][0] > 0.2
    return word if rose or word != "wrong reward" else "healthy"


@mutant("diagnose", "run a")
def everything_is_fine(metrics):
    return "healthy"
