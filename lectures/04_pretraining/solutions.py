"""Lecture 4, pretraining: the exercises. Write the functions below, then check them:

    python -m course.grade lectures/04_pretraining

Shapes: B sequences, T tokens, V vocabulary. `lr_at` and `data_mixture` need no torch.
"""

import torch
from torch import Tensor


def masked_cross_entropy(logits: Tensor, ids: Tensor, mask: Tensor) -> Tensor:
    """Mean loss of the next token, in nats: `logits[B, T, V]`, `ids[B, T]`, `mask[B, T]` -> a
    tensor without axes.

        loss = - 1/N sum over all (b, t) with mask[b, t + 1] = 1 of log p(ids[b, t + 1] | ids[b, :t
        + 1])

    with p the softmax of logits[b, t], and N the number of terms. The logits at t have read the
    tokens up to t and speak about token t + 1; `mask[b, t]` says whether *token* t counts. The
    first token of a row is predicted by nothing.

    Where nothing counts the loss is 0, not NaN, with a gradient of 0. What stands in logits and ids
    where the target is masked out must not matter, not even NaN, and not even an id of -1 (which is
    how padding is marked). Elsewhere logits may be as large as 1000.

    Two tokens, V = 2, logits [[0, 0], [7, 7]], ids [0, 1], mask [1, 1]: one term, -log(1/2) =
    0.693147.
    """
    ### BEGIN SOLUTION
    keep = mask[:, 1:].bool()
    # [N, V] and [N]: what is masked out is gone before the softmax.
    chosen, targets = logits[:, :-1][keep], ids[:, 1:][keep]
    log_p = torch.log_softmax(chosen, dim=-1).gather(-1, targets.unsqueeze(-1))
    return -log_p.sum() / keep.sum().clamp(min=1)
    ### END SOLUTION


def lr_at(step: int, total: int, warmup: int, peak: float, floor: float = 0.0) -> float:
    """Learning rate of a step, counted from 0: linear warm-up to `peak`, then linear decay to
    `floor`.

        step < warmup:            peak (step + 1) / warmup
        warmup <= step < total:   floor + (peak - floor) (total - step) / (total - warmup)
        total <= step:            floor

    So the first step learns, too. 0 <= warmup < total. With warmup 0 the first step has the peak.

    total 10, warmup 2, peak 1, floor 0: steps 0, 1, 2, 6, 9, 10 give 0.5, 1, 1, 0.5, 0.125, 0.
    """
    ### BEGIN SOLUTION
    if step < warmup:
        return peak * (step + 1) / warmup
    return floor + (peak - floor) * max(0, total - step) / (total - warmup)
    ### END SOLUTION


def overfit_one_batch(ids: Tensor, vocab: int, steps: int, lr: float) -> list[float]:
    """The smallest language model, trained on one batch: `ids[B, T]` of numbers below `vocab` ->
    `steps + 1` losses.

    The model is a table of logits W[vocab, vocab], all 0 at the start: the logits for the next
    token are the row of the token before, W[ids[b, t]], for the target ids[b, t + 1]. The loss is
    the mean cross-entropy over all B (T - 1) pairs. One step is plain gradient descent on the whole
    batch: W <- W - lr dloss/dW, with the gradient at the present W alone.

    Returned are the loss before the first step and after each step, as Python floats. No randomness
    is in it, so every right solution gives the same numbers. Autograd or the formula (lecture,
    section 2): as you like.

    ids [[0, 1, 0]], vocab 2, 1 step, lr 1: the first loss is log 2 = 0.693147. Both rows of the
    table see one pair, so the gradient of W[0] is (1/2)(0.5, -0.5), W[0] becomes (-0.25, 0.25),
    W[1] likewise, and the second loss is 0.474077.
    """
    ### BEGIN SOLUTION
    table = torch.zeros(vocab, vocab, requires_grad=True)
    before, targets = ids[:, :-1].flatten(), ids[:, 1:].flatten()
    losses = []
    for step in range(steps + 1):
        loss = torch.nn.functional.cross_entropy(table[before], targets)
        losses.append(loss.item())
        if step < steps:
            (gradient,) = torch.autograd.grad(loss, table)
            with torch.no_grad():
                table -= lr * gradient
    return losses
    ### END SOLUTION


def data_mixture(
    available: dict[str, int], weights: dict[str, float], budget: float, max_epochs: float
) -> dict[str, float]:
    """How many tokens to read of each source: one entry for each name in `available`.

    Each source gets a share of the budget in proportion to its weight (weights need not sum to 1; a
    weight of 0 gets nothing), but no source is read more than `max_epochs` times: at most
    max_epochs * available[name] tokens. What a source cannot take is shared among those that are
    not full, again in proportion to their weights; if that fills another one, again. If all are
    full, the budget is not used up.

    `weights` has the same names as `available`, and no weight is negative.

    available {"a": 100, "b": 1000, "c": 1000}, weights {"a": 2, "b": 1, "c": 1}, budget 800,
    max_epochs 2: a would get 400 and can give 200; the other 600 are shared between b and c, 300
    each.
    """
    ### BEGIN SOLUTION
    taken = {name: 0.0 for name in available}
    limits = {name: max_epochs * tokens for name, tokens in available.items()}
    waiting = {name: weights[name] for name in available if weights[name] > 0}
    left = budget
    while waiting:
        total = sum(waiting.values())
        full = [name for name, weight in waiting.items() if left * weight / total >= limits[name]]
        if not full:
            return taken | {name: left * weight / total for name, weight in waiting.items()}
        for name in full:
            taken[name] = limits[name]
            del waiting[name]
        left -= sum(limits[name] for name in full)
    return taken
    ### END SOLUTION
