"""The mutants of lecture 4: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import math

import torch
from checks import descent, pick

from course.grade import mutant


@mutant("masked_cross_entropy", "the mask is not used")
def unmasked(logits, ids, mask):
    return -pick(logits[:, :-1].log_softmax(-1), ids[:, 1:]).mean()


@mutant("masked_cross_entropy", "no shift")
def no_shift(logits, ids, mask):
    return -(pick(logits.log_softmax(-1), ids) * mask).sum() / mask.sum().clamp(min=1)


@mutant("masked_cross_entropy", "with ids[:, 1:] goes mask[:, 1:]")
def mask_of_the_inputs(logits, ids, mask):
    terms = pick(logits[:, :-1].log_softmax(-1), ids[:, 1:])
    return -(terms * mask[:, :-1]).sum() / mask[:, :-1].sum().clamp(min=1)


@mutant("masked_cross_entropy", "0 / 0")
def divides_by_zero(logits, ids, mask):
    keep = mask[:, 1:].bool()
    return -pick(logits[:, :-1][keep].log_softmax(-1), ids[:, 1:][keep]).mean()


@mutant("masked_cross_entropy", "every token weighs the same")
def row_means(logits, ids, mask):
    m = mask[:, 1:].double()
    terms = -pick(logits[:, :-1].log_softmax(-1), ids[:, 1:].clamp(min=0)) * m
    return (terms.sum(1) / m.sum(1).clamp(min=1)).mean()


@mutant("masked_cross_entropy", "instead of multiplying by the mask")
def by_product(logits, ids, mask):
    m = mask[:, 1:].double()
    return -(
        pick(logits[:, :-1].log_softmax(-1), ids[:, 1:].clamp(min=0)) * m
    ).sum() / m.sum().clamp(min=1)


@mutant("masked_cross_entropy", "before the softmax, not after it")
def where_after_softmax(logits, ids, mask):
    keep = mask[:, 1:].bool()
    terms = pick(logits[:, :-1].log_softmax(-1), ids[:, 1:].clamp(min=0))
    return -torch.where(keep, terms, 0.0).sum() / keep.sum().clamp(min=1)


@mutant("masked_cross_entropy", "divide by the number that counts")
def over_all_targets(logits, ids, mask):
    return -(pick(logits[:, :-1].log_softmax(-1), ids[:, 1:]) * mask[:, 1:]).mean()


@mutant("lr_at", "learns nothing")
def first_step_zero(step, total, warmup, peak, floor=0.0):
    return (
        peak * step / warmup
        if step < warmup
        else floor + (peak - floor) * max(0, total - step) / (total - warmup)
    )


@mutant("lr_at", "it begins at warmup")
def decay_from_zero(step, total, warmup, peak, floor=0.0):
    return (
        peak * (step + 1) / warmup
        if step < warmup
        else floor + (peak - floor) * max(0, total - step) / total
    )


@mutant("lr_at", "this is a cosine")
def cosine(step, total, warmup, peak, floor=0.0):
    if step < warmup:
        return peak * (step + 1) / warmup
    return floor + (peak - floor) * 0.5 * (
        1 + math.cos(math.pi * min(1, (step - warmup) / (total - warmup)))
    )


@mutant("lr_at", "you cut at the floor")
def cut_at_the_floor(step, total, warmup, peak, floor=0.0):
    return (
        peak * (step + 1) / warmup
        if step < warmup
        else max(floor, peak * (total - step) / (total - warmup))
    )


@mutant("lr_at", "a negative rate would climb")
def goes_below(step, total, warmup, peak, floor=0.0):
    return (
        peak * (step + 1) / warmup
        if step < warmup
        else floor + (peak - floor) * (total - step) / (total - warmup)
    )


@mutant("lr_at", "ZeroDivisionError")
def needs_a_warmup(step, total, warmup, peak, floor=0.0):
    return min(
        peak * (step + 1) / warmup, floor + (peak - floor) * max(0, total - step) / (total - warmup)
    )


def trained(ids, vocab, steps, lr, **mistake):
    return descent(ids, vocab, steps, lr, **mistake)


@mutant("overfit_one_batch", "gradients pile up")
def never_cleared(ids, vocab, steps, lr):
    return trained(ids, vocab, steps, lr, kept=True)


@mutant("overfit_one_batch", "the loss goes up")
def ascends(ids, vocab, steps, lr):
    return trained(ids, vocab, steps, lr, sign=-1)


@mutant("overfit_one_batch", "that of the sum")
def sum_of_losses(ids, vocab, steps, lr):
    return trained(ids, vocab, steps, lr, summed=True)


@mutant("overfit_one_batch", "predict itself")
def predicts_itself(ids, vocab, steps, lr):
    return trained(ids, vocab, steps, lr, shift=0)


@mutant("overfit_one_batch", "the loss never changes")
def frozen(ids, vocab, steps, lr):
    return trained(ids, vocab, steps, 0.0)


@mutant("overfit_one_batch", "one is missing")
def last_loss_missing(ids, vocab, steps, lr):
    return trained(ids, vocab, steps, lr)[:-1]


@mutant("overfit_one_batch", "loss.item()")
def tensors(ids, vocab, steps, lr):
    return torch.tensor(trained(ids, vocab, steps, lr))


@mutant("overfit_one_batch", "record it before the step")
def after_the_step(ids, vocab, steps, lr):
    return trained(ids, vocab, steps + 1, lr)[1:]


def limited(available, weights, budget, epochs):
    total = sum(weights.values()) or 1
    return {n: min(budget * weights[n] / total, epochs * available[n]) for n in available}


@mutant("data_mixture", "is lost")
def rest_is_lost(available, weights, budget, max_epochs):
    return limited(available, weights, budget, max_epochs)


@mutant("data_mixture", "shared equally")
def rest_in_equal_parts(available, weights, budget, max_epochs):
    taken = limited(available, weights, budget, max_epochs)
    open_ = [n for n in available if weights[n] and taken[n] < max_epochs * available[n]]
    rest = budget - sum(taken.values())
    return {n: taken[n] + (rest / len(open_) if n in open_ else 0) for n in available}


@mutant("data_mixture", "repeat until nobody is over the limit")
def one_round(available, weights, budget, max_epochs):
    taken = limited(available, weights, budget, max_epochs)
    open_ = [n for n in available if weights[n] and taken[n] < max_epochs * available[n]]
    rest, total = budget - sum(taken.values()), sum(weights[n] for n in open_) or 1
    return {n: taken[n] + (rest * weights[n] / total if n in open_ else 0) for n in available}


@mutant("data_mixture", "divide by their sum")
def weights_as_shares(available, weights, budget, max_epochs):
    return {n: min(budget * weights[n], max_epochs * available[n]) for n in available}


@mutant("data_mixture", "more than max_epochs times")
def no_limit(available, weights, budget, max_epochs):
    total = sum(weights.values())
    return {n: budget * weights[n] / total for n in available}


@mutant("data_mixture", "a limit and nothing else")
def by_size_and_weight(available, weights, budget, max_epochs):
    total = sum(weights[n] * available[n] for n in available)
    return {
        n: min(budget * weights[n] * available[n] / total, max_epochs * available[n])
        for n in available
    }


@mutant("data_mixture", "one entry for each source")
def zeros_left_out(available, weights, budget, max_epochs):
    return {n: x for n, x in limited(available, weights, budget, max_epochs).items() if x}
