"""The mutants of lecture 16: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import torch

from course.grade import mutant
from minilrm import objectives


def mutants(function, table, make):
    """Register many at once: name -> (the message, what `make` makes the answer of)."""
    for name, (message, different) in table.items():
        answer = make(different)
        answer.__name__ = name
        mutant(function, message)(answer)


def centred(rewards):
    return (rewards - rewards.mean(1, keepdim=True)).reshape(-1, 1)


def ratio_of(logp, old_logp, mask):
    return torch.exp((logp - old_logp.detach()) * mask)


def surrogate(ratio, a, clip):
    return torch.minimum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a)


def dr_grpo(logp, old_logp, a, mask, max_length, clip):
    """The right loss but for what it is given."""
    terms = surrogate(ratio_of(logp, old_logp, mask), a.detach(), clip) * mask
    return -terms.sum() / (len(logp) * max_length)


def with_advantages(of):
    def answer(logp, old_logp, rewards, mask, max_length, clip=0.2):
        return dr_grpo(logp, old_logp, of(rewards).reshape(-1, 1), mask, max_length, clip)

    return answer


BASELINES = {
    "keeps_the_std": ("you divide by the std", objectives.group_advantages),
    "groups_interleaved": ("row p * G + g", lambda r: (r - r.mean(1, keepdim=True)).T),
    "no_baseline": ("bare reward", lambda r: r),
    "one_baseline": ("the mean of all rewards", lambda r: r - r.mean()),
    "constant_baseline": ("you subtract 0.5", lambda r: r - 0.5),
    "two_in_a_group": ("2 prompts of 3 answers", lambda r: r - r.sum(1, keepdim=True) / 2),
}
mutants("dr_grpo_loss", BASELINES, with_advantages)


def with_sum(of):
    def answer(logp, old_logp, rewards, mask, max_length, clip=0.2):
        terms = surrogate(ratio_of(logp, old_logp, mask), centred(rewards).detach(), clip) * mask
        return -of(terms, mask)

    return answer


DIVISORS = {
    "sequence_mean": ("by its own length", lambda x, mask: (x.sum(1) / mask.sum(1)).mean()),
    "token_mean": ("DAPO's mean", lambda x, mask: x.sum() / mask.sum()),
    "over_the_width": ("padded width", lambda x, mask: x.mean()),
    "fixed_length": ("max_length 40", lambda x, mask: x.sum() / (12 * len(x))),
}
mutants("dr_grpo_loss", DIVISORS, with_sum)


@mutant("dr_grpo_loss", "your clip range is 0.2")
def fixed_clip(logp, old_logp, rewards, mask, max_length, clip=0.2):
    return dr_grpo(logp, old_logp, centred(rewards), mask, max_length, 0.2)


@mutant("dr_grpo_loss", "may stand anywhere")
def first_tokens(logp, old_logp, rewards, mask, max_length, clip=0.2):
    begins = (torch.arange(mask.shape[1]) < mask.sum(1, keepdim=True)).to(mask)
    return dr_grpo(logp, old_logp, centred(rewards), begins, max_length, clip)


@mutant("dr_grpo_loss", "you clip the product")
def clips_the_product(logp, old_logp, rewards, mask, max_length, clip=0.2):
    product = ratio_of(logp, old_logp, mask) * centred(rewards)
    terms = torch.minimum(product, product.clamp(1 - clip, 1 + clip))
    return -(terms * mask).sum() / (len(logp) * max_length)


@mutant("dr_grpo_loss", "the old policy is fixed")
def old_not_detached(logp, old_logp, rewards, mask, max_length, clip=0.2):
    terms = surrogate(((logp - old_logp) * mask).exp(), centred(rewards).detach(), clip)
    return -(terms * mask).sum() / (len(logp) * max_length)


@mutant("dr_grpo_loss", "into the rewards")
def rewards_learn(logp, old_logp, rewards, mask, max_length, clip=0.2):
    terms = surrogate(ratio_of(logp, old_logp, mask), centred(rewards), clip)
    return -(terms * mask).sum() / (len(logp) * max_length)


@mutant("dr_grpo_loss", "a logp of 2000")
def mask_after_exp(logp, old_logp, rewards, mask, max_length, clip=0.2):
    terms = surrogate((logp - old_logp.detach()).exp(), centred(rewards).detach(), clip)
    return -(terms * mask).sum() / (len(logp) * max_length)


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


@mutant("gspo_ratio", "may stand anywhere")
def of_the_first_tokens(logp, old_logp, mask):
    means = [
        (now[:n] - old[:n].detach()).mean() if n else torch.zeros(())
        for now, old, n in zip(logp, old_logp, mask.sum(1).int(), strict=True)
    ]
    return torch.stack(means).exp()


@mutant("gspo_ratio", "overflows")
def root_of_the_careful_product(logp, old_logp, mask):
    return ratio_of(logp, old_logp, mask).prod(1) ** (1 / mask.sum(1).clamp(min=1))


@mutant("gspo_ratio", "a logp of 2000")
def root_of_the_product(logp, old_logp, mask):
    each = (logp - old_logp.detach()).exp() ** mask
    return each.prod(1) ** (1 / mask.sum(1).clamp(min=1))


@mutant("gspo_ratio", "d s / d logp_t is s / |o|")
def gradient_of_the_sum(logp, old_logp, mask):
    s = ((logp - old_logp) * mask).sum(1).div(mask.sum(1).clamp(min=1)).exp().detach()
    kept = logp * mask
    return s * (kept - kept.detach()).sum(1).exp()


def cispo(weight, logp, advantages, mask):
    terms = weight.detach() * advantages.detach().unsqueeze(1) * logp * mask
    return -terms.sum() / mask.sum()


@mutant("cispo_loss", "gradient flows through the ratio")
def weight_not_detached(logp, old_logp, advantages, mask, cap=1.28):
    weight = ratio_of(logp, old_logp, mask).clamp(max=cap)
    return -(weight * advantages.unsqueeze(1) * logp * mask).sum() / mask.sum()


@mutant("cispo_loss", "no gradient reaches this token")
def ppo_in_disguise(logp, old_logp, advantages, mask, cap=1.28):
    a = advantages.detach().unsqueeze(1)
    terms = surrogate(ratio_of(logp, old_logp, mask), a, cap - 1)
    return -(terms * mask).sum() / mask.sum()


def with_bounds(of):
    def answer(logp, old_logp, advantages, mask, cap=1.28):
        return cispo(of(ratio_of(logp, old_logp, mask), cap), logp, advantages, mask)

    return answer


BOUNDS = {
    "bounded_below": ("lower bound", lambda ratio, cap: ratio.clamp(0.8, cap)),
    "no_cap": ("not bounded by the cap", lambda ratio, cap: ratio),
    "fixed_cap": ("your cap is 1.28", lambda ratio, cap: ratio.clamp(max=1.28)),
}
mutants("cispo_loss", BOUNDS, with_bounds)


@mutant("cispo_loss", "the cap bounds rho A")
def caps_the_product(logp, old_logp, advantages, mask, cap=1.28):
    product = ratio_of(logp, old_logp, mask) * advantages.unsqueeze(1)
    return cispo(product.clamp(max=cap), logp, torch.ones_like(advantages), mask)


@mutant("cispo_loss", "holds the ratio itself")
def ratio_as_value(logp, old_logp, advantages, mask, cap=1.28):
    ratio = ratio_of(logp, old_logp, mask)
    return cispo((ratio.clamp(max=cap) / ratio), ratio, advantages, mask)


@mutant("cispo_loss", "a mean of each sequence first")
def cispo_by_sequence(logp, old_logp, advantages, mask, cap=1.28):
    weight = ratio_of(logp, old_logp, mask).clamp(max=cap).detach()
    return -((weight * advantages.unsqueeze(1) * logp * mask).sum(1) / mask.sum(1)).mean()


@mutant("cispo_loss", "may stand anywhere")
def cispo_of_the_first_tokens(logp, old_logp, advantages, mask, cap=1.28):
    begins = (torch.arange(mask.shape[1]) < mask.sum(1, keepdim=True)).to(mask)
    return cispo(ratio_of(logp, old_logp, begins).clamp(max=cap), logp, advantages, begins)


@mutant("cispo_loss", "into the advantages")
def cispo_advantages_learn(logp, old_logp, advantages, mask, cap=1.28):
    weight = ratio_of(logp, old_logp, mask).clamp(max=cap).detach()
    return -(weight * advantages.unsqueeze(1) * logp * mask).sum() / mask.sum()


@mutant("cispo_loss", "a logp of 2000")
def cispo_mask_after_exp(logp, old_logp, advantages, mask, cap=1.28):
    weight = (logp - old_logp).exp() * mask
    return cispo(weight.clamp(max=cap), logp, advantages, mask)


def for_each(penalty):
    return lambda lengths, most, cache: [penalty(n, most, cache) for n in lengths]


PENALTIES = {
    "cliff": ("a cliff", lambda n, most, cache: -1.0 if n >= most else 0.0),
    "late": ("too late", lambda n, most, cache: max(-1.0, min(0.0, (most - n) / cache))),
    "bottomless": ("go on falling", lambda n, most, cache: min(0.0, (most - cache - n) / cache)),
    "bonus": ("a bonus", lambda n, most, cache: max(-1.0, (most - cache - n) / cache)),
    "reward_for_length": (
        "a penalty is negative",
        lambda n, most, cache: max(0.0, min(1.0, (n - most + cache) / cache)),
    ),
}
mutants("soft_overlong", PENALTIES, for_each)


def collect(draw, wanted, rounds, teaches):
    kept, drawn = [], 0
    while len(kept) < wanted and drawn < rounds:
        kept += [g for g in draw() if teaches(g)]
        drawn += 1
    return kept[:wanted], drawn


def spread(group):
    return max(group) > min(group)


def that_teach(teaches):
    return lambda draw, wanted, rounds: collect(draw, wanted, rounds, teaches)


TEACHES = {
    "not_all_nought_or_one": ("the form was paid", lambda g: 0 < sum(g) < len(g)),
    "some_right": ("no answer in it is right", lambda g: spread(g) and max(g) >= 1),
    "by_deviation": ("in floats", lambda g: sum((r - sum(g) / len(g)) ** 2 for r in g) > 0),
    "first_two_rewards": ("not at the first two", lambda g: g[0] != g[1]),
    "large_spreads": ("if only by a little", lambda g: max(g) - min(g) > 0.05),
}
mutants("dynamic_filter", TEACHES, that_teach)


@mutant("dynamic_filter", "none is wanted")
def draws_first(draw, wanted, rounds):
    return collect(draw, max(wanted, 1), rounds, spread)


@mutant("dynamic_filter", "no more than `wanted`")
def keeps_the_surplus(draw, wanted, rounds):
    kept, drawn = [], 0
    while len(kept) < wanted and drawn < rounds:
        kept += [g for g in draw() if spread(g)]
        drawn += 1
    return kept, drawn


@mutant("dynamic_filter", "the first 2 groups")
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


def with_weights(of):
    def answer(lengths, how, max_length):
        ways = ("sequence", "token", "constant")
        rows = [of(k, len(lengths), sum(lengths), max_length, max(lengths)) for k in lengths]
        return [dict(zip(ways, row, strict=True))[how] for row in rows]

    def raises(lengths, how, max_length):
        try:
            return answer(lengths, how, max_length)
        except KeyError:
            raise ValueError(how) from None

    return raises


# k tokens of one answer, of n answers with N tokens, max_length L, the longest answer M
WEIGHTS = {
    "whole_answers": ("a whole answer", lambda k, n, N, L, M: (1 / n, k / N, k / (n * L))),
    "without_the_batch": ("divide by their number", lambda k, n, N, L, M: (1 / k, 1 / N, 1 / L)),
    "of_the_batch": ("the longest", lambda k, n, N, L, M: (1 / (n * k), 1 / N, 1 / (n * M))),
    "words_exchanged": ("are exchanged", lambda k, n, N, L, M: (1 / N, 1 / (n * k), 1 / (n * L))),
    "four_answers": ("lengths [3, 1, 5]", lambda k, n, N, L, M: (0.25 / k, 1 / N, 0.25 / L)),
    "always_ten": ("max_length 32", lambda k, n, N, L, M: (1 / (n * k), 1 / N, 0.1 / n)),
    "sixteen_tokens": ("lengths [3, 1, 5]", lambda k, n, N, L, M: (1 / (n * k), 1 / 16, 1 / n / L)),
}
mutants("length_bias", WEIGHTS, with_weights)


@mutant("length_bias", "raises ValueError")
def any_word(lengths, how, max_length):
    if how == "sequence":
        return [1 / (len(lengths) * n) for n in lengths]
    return [1 / (sum(lengths) if how == "token" else len(lengths) * max_length)] * len(lengths)


def words_of(metrics, word=None, span=4, done=0.9, spent=10, clipped=None, ends=None):
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
        "collapsed": last["entropy"] < first["entropy"] / spent and last["accuracy"] < done,
        "wrong reward": last["reward"] > last["accuracy"] + 0.5,
    }
    order = sorted(rules, key=lambda other: other != word)  # this one first
    return next((word for word in order if rules[word]), "healthy")


OTHER_RULES = {
    "wrong_before_cut": ("the limit is the cause", {"word": "all wrong"}),
    "collapse_before_all": ("entropy is a symptom", {"word": "collapsed"}),
    "loss_before_its_cause": ("that is the cause", {"word": "too fast"}),
    "looks_at_the_end": ("at the END are symptoms", {"ends": True}),
    "success_is_collapse": ("how success looks", {"done": 2.0}),
    "single_steps": ("take means over a quarter", {"span": 0}),
    "thirds": ("the first quarter is the first 4", {"span": 3}),
    "halves": ("the first quarter is the first 4", {"span": 2}),
    "fifths": ("the first quarter is the first 4", {"span": 5}),
    "clipped_at_first": ("over ALL steps", {"clipped": lambda m: m["clipped"][0]}),
    "other_limits": ("all else healthy", {"spent": 5}),
    "done_too_early": ("accuracy 0.5 at first, 0.85 at last", {"done": 0.8}),
}
mutants("diagnose", OTHER_RULES, lambda other: lambda metrics: words_of(metrics, **other))


@mutant("diagnose", "a quarter has at least one")
def empty_quarter(metrics):
    return words_of(metrics) if len(metrics["accuracy"]) >= 4 else "healthy"


@mutant("diagnose", "it need not rise")
def reward_must_rise(metrics):
    word = words_of(metrics)
    rose = metrics["reward"][-1] - metrics["reward"][0] > 0.2
    return word if rose or word != "wrong reward" else "healthy"


@mutant("diagnose", "run a")
def everything_is_fine(metrics):
    return "healthy"
