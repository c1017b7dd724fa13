"""The mutants of lecture 4: wrong answers that checks.py must reject, each with the piece of the
message that it must get."""

import math

import torch

from course.grade import mutant
from minilrm import objectives


def pick(log_p, ids):
    return log_p.gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def descent(ids, vocab, steps, lr, *, sign=1, summed=False, kept=False, shift=1):
    """Losses by the formula for the gradient, in float64; the keywords are the mistakes."""
    table, momentum = torch.zeros(vocab, vocab, dtype=torch.float64), 0.0
    before, targets = ids[:, :-1].flatten(), ids[:, shift : ids.shape[1] - 1 + shift].flatten()
    losses = []
    for _ in range(steps + 1):
        log_p = table[before].log_softmax(-1)
        losses.append(-pick(log_p, targets).mean().item())
        error = log_p.exp() - torch.nn.functional.one_hot(targets, vocab)
        gradient = torch.zeros_like(table).index_add_(0, before, error) / (
            1 if summed else len(targets)
        )
        momentum = momentum + gradient if kept else gradient
        table = table - sign * lr * momentum
    return losses


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


def right(logits, ids, mask):
    return objectives.cross_entropy(logits[:, :-1], ids[:, 1:], mask[:, 1:])


@mutant("masked_cross_entropy", "the ones may stand anywhere")
def first_targets(logits, ids, mask):
    first = torch.arange(mask.shape[1] - 1) < mask[:, 1:].sum(1, keepdim=True)
    return objectives.cross_entropy(logits[:, :-1], ids[:, 1:], first)


@mutant("masked_cross_entropy", "from the first 1 of a row to its last")
def from_first_to_last(logits, ids, mask):
    m = mask[:, 1:]
    inside = (m.cumsum(1) > 0) & (m.flip(1).cumsum(1).flip(1) > 0)
    return objectives.cross_entropy(logits[:, :-1], ids[:, 1:].clamp(min=0), inside)


@mutant("masked_cross_entropy", "logits [4, 9, 3]")
def two_rows(logits, ids, mask):
    return right(logits[:2], ids[:2], mask[:2])


@mutant("masked_cross_entropy", "not log(softmax)")
def log_of_softmax(logits, ids, mask):
    keep = mask[:, 1:].bool()
    p = pick(logits[:, :-1][keep].softmax(-1), ids[:, 1:][keep])
    return -p.log().sum() / keep.sum().clamp(min=1)


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


def right_rate(step, total, warmup, peak, floor):
    if step < warmup:
        return peak * (step + 1) / warmup
    return floor + (peak - floor) * max(0, total - step) / (total - warmup)


@mutant("lr_at", "total 37")
def ten_steps(step, total, warmup, peak, floor=0.0):
    return right_rate(step, 10, min(warmup, 9), peak, floor)


@mutant("lr_at", "warmup 5")
def two_steps_of_warmup(step, total, warmup, peak, floor=0.0):
    return right_rate(step, total, min(warmup, 2), peak, floor)


@mutant("lr_at", "begins at the floor")
def warms_up_from_the_floor(step, total, warmup, peak, floor=0.0):
    if step < warmup:
        return floor + (peak - floor) * (step + 1) / warmup
    return right_rate(step, total, warmup, peak, floor)


@mutant("lr_at", "a share of the peak")
def floor_as_a_share(step, total, warmup, peak, floor=0.0):
    return right_rate(step, total, warmup, peak, floor * peak)


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


@mutant("overfit_one_batch", "lr 0.7")
def always_lr_2(ids, vocab, steps, lr):
    return trained(ids, vocab, steps, 2.0)


@mutant("overfit_one_batch", "numbers that do not occur")
def as_many_as_occur(ids, vocab, steps, lr):
    return trained(ids, int(ids.max()) + 1, steps, lr)


@mutant("overfit_one_batch", "IndexError")
def four_words(ids, vocab, steps, lr):
    return trained(ids, 4, steps, lr)


@mutant("overfit_one_batch", "5 steps give 6 losses")
def eight_steps(ids, vocab, steps, lr):
    return trained(ids, vocab, max(steps, 8), lr)


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


@mutant("data_mixture", "repeat until no source is over its limit")
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


def in_rounds(available, weights, budget, max_epochs, rounds):
    """The right answer, if so many rounds are enough."""
    taken, left = dict.fromkeys(available, 0.0), budget
    for _ in range(rounds):
        open_ = [n for n in available if weights[n] and taken[n] < max_epochs * available[n]]
        total = sum(weights[n] for n in open_) or 1
        before = dict(taken)
        for n in open_:
            taken[n] = min(taken[n] + left * weights[n] / total, max_epochs * available[n])
        left -= sum(taken[n] - before[n] for n in open_)
    return taken


@mutant("data_mixture", "one source after the other is full")
def three_rounds(available, weights, budget, max_epochs):
    return in_rounds(available, weights, budget, max_epochs, 3)


@mutant("data_mixture", "need not be whole numbers")
def whole_epochs(available, weights, budget, max_epochs):
    return in_rounds(available, weights, budget, int(max_epochs), 9)


@mutant("data_mixture", "need not be whole numbers")
def whole_tokens(available, weights, budget, max_epochs):
    taken = in_rounds(available, weights, budget, max_epochs, 9)
    return {n: float(round(x)) for n, x in taken.items()}


@mutant("data_mixture", "the order of the weights")
def weights_by_place(available, weights, budget, max_epochs):
    by_place = dict(zip(available, weights.values(), strict=True))
    return in_rounds(available, by_place, budget, max_epochs, 9)
