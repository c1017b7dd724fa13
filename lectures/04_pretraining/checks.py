"""What lecture 4 holds its exercises to. Reference values: by hand, and in float64 from the
formulas."""

import math

import torch

from course.grade import close, exercise, expect, expect_close, gradients, reject

FORBIDDEN = ("minilrm.objectives", "minilrm.optim", "minilrm.pretrain")


# -- masked_cross_entropy --------------------------------------------------------------------------


def batch():
    """Two rows of five tokens, seven words, float64; the mask leaves out a prompt and a padded
    end."""
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return (
        logits,
        torch.tensor([[1, 4, 2, 0, 6], [3, 3, 5, 1, 2]]),
        torch.tensor([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]]),
    )


def pick(log_p, ids):
    return log_p.gather(-1, ids.unsqueeze(-1)).squeeze(-1)


@exercise("masked_cross_entropy", points=2)
def value(student):
    """Five targets that count, by hand."""
    logits, ids, mask = batch()
    log_p = logits.log_softmax(-1)
    terms = -pick(log_p[:, :-1], ids[:, 1:])
    m = mask[:, 1:].double()
    wanted = (terms * m).sum() / m.sum()
    same = -pick(log_p, ids) * mask
    expect_close(
        student.masked_cross_entropy(logits, ids, mask),
        wanted,
        "the mean of -log p over the five targets that count",
        {
            "the mask is not used: the mean runs over all targets": terms.mean(),
            "you divide by all targets; divide by the number that counts, mask[:, 1:].sum()": (
                terms * m
            ).mean(),
            "a sum; the mean over the targets that count is wanted": (terms * m).sum(),
            "the minus is missing": -wanted,
            "no shift: you ask the logits at t for token t, which they have just read": same.sum()
            / mask.sum(),
            "the mask is that of the tokens before the targets: with ids[:, 1:] goes mask[:, 1:]": (
                terms * mask[:, :-1]
            ).sum()
            / mask[:, :-1].sum(),
            "the mean of each row first, then of the rows; here every token weighs the same": (
                (terms * m).sum(1) / m.sum(1)
            ).mean(),
            "in bits: take the natural logarithm": wanted / math.log(2),
            "bare logits: a log-probability subtracts logsumexp over the vocabulary": -(
                pick(logits[:, :-1], ids[:, 1:]) * m
            ).sum()
            / m.sum(),
            "probabilities: take their logarithm": -(
                pick(log_p[:, :-1], ids[:, 1:]).exp() * m
            ).sum()
            / m.sum(),
        },
        tolerance=1e-6,
    )


@exercise("masked_cross_entropy", points=1)
def nothing_counts(student):
    """A row of padding alone: 0, with a gradient of 0."""
    logits, ids, mask = batch()
    logits.requires_grad_(True)
    loss = student.masked_cross_entropy(logits, ids, torch.zeros_like(mask))
    expect(
        not torch.as_tensor(loss).isnan().any(),
        "where nothing counts your loss is NaN: 0 / 0. Divide by at least 1",
    )
    expect_close(loss, 0.0, "where nothing counts the loss is 0")
    (found,) = gradients(loss, logits)
    expect(
        not found.any(),
        "where nothing counts the gradient is 0 everywhere, and yours is not (or is NaN)",
    )


@exercise("masked_cross_entropy", points=2)
def what_the_mask_hides(student):
    """NaN, infinities and ids of -1 where the target is masked out."""
    logits, ids, mask = batch()
    wanted = student.masked_cross_entropy(logits, ids, mask)
    padded = ids.clone()
    padded[1, 3:] = -1
    padded[0, 0] = -1
    found = student.masked_cross_entropy(logits, padded, mask)
    expect_close(found, wanted, "an id of -1 where the mask is 0 changes your loss")
    wild = logits.clone()
    wild[0, 0], wild[1, 2:], wild[:, -1] = math.inf, math.nan, math.nan
    wild.requires_grad_(True)
    found = student.masked_cross_entropy(wild, ids, mask)
    expect(
        not torch.as_tensor(found).isnan().any(),
        "NaN in masked logits makes your loss NaN: NaN times 0 is NaN, so pick "
        "out what counts (logits[keep]) instead of multiplying by the mask",
    )
    expect_close(found, wanted, "what stands in masked logits changes your loss")
    (found,) = gradients(found, wild)
    expect(
        torch.isfinite(found).all(),
        "what stands in masked logits makes the gradient NaN: pick out what counts before the "
        "softmax, not after it",
    )
    kept = torch.zeros(2, 5, dtype=torch.bool)
    kept[:, :-1] = mask[:, 1:].bool()
    expect(
        not found[~kept].any() and found[kept].any(-1).all(),
        "the gradient reaches the logits before each target that counts, and no others",
    )


# -- lr_at -----------------------------------------------------------------------------------------


@exercise("lr_at", points=2)
def schedule(student):
    """Six steps by hand; then another peak, a floor, no warm-up."""

    def curve(warmup, peak, floor, steps=range(10)):
        return [student.lr_at(step, 10, warmup, peak, floor) for step in steps]

    t = torch.arange(10.0)
    wanted = torch.where(t < 2, (t + 1) / 2, (10 - t) / 8)
    expect_close(
        curve(2, 1.0, 0.0),
        wanted,
        "total 10, warmup 2, peak 1, floor 0, steps 0 to 9",
        {
            "the first step has a rate of 0 and learns nothing: it is (step + 1) / warmup": torch.where(
                t < 2, t / 2, (10 - t) / 8
            ),
            "the decay is measured from step 0; it begins at warmup: (total - step) / (total - warmup)": torch.where(
                t < 2, (t + 1) / 2, (10 - t) / 10
            ),
            "there is no decay: after the warm-up the rate stays at its peak": torch.where(
                t < 2, (t + 1) / 2, 1.0
            ),
            "there is no warm-up": (10 - t) / 8,
            "this is a cosine; here the decay is a straight line": torch.where(
                t < 2, (t + 1) / 2, 0.5 * (1 + torch.cos(math.pi * (t - 2) / 8))
            ),
            "your decay arrives at the floor one step too early": torch.where(
                t < 2, (t + 1) / 2, (9 - t) / 8
            ),
        },
    )
    expect_close(
        curve(2, 0.02, 0.0),
        0.02 * wanted,
        "the same with peak 0.02",
        {"the peak is not used": wanted},
    )
    floored = torch.where(t < 2, (t + 1) / 2, 0.2 + 0.8 * (10 - t) / 8)
    expect_close(
        curve(2, 1.0, 0.2),
        floored,
        "the same with floor 0.2: the line runs from the peak down to the floor",
        {
            "you cut at the floor (max); the line should run down to it": wanted.clamp(min=0.2),
            "the floor is added to everything; the peak must stay the peak": wanted + 0.2,
            "the floor is not used": wanted,
        },
    )


@exercise("lr_at", points=1)
def ends(student):
    """No warm-up, and steps beyond the end."""
    expect_close(student.lr_at(0, 10, 0, 0.5), 0.5, "with warmup 0 the first step has the peak")
    expect_close(
        [student.lr_at(s, 10, 2, 1.0, 0.1) for s in (10, 11, 500)],
        [0.1] * 3,
        "from step `total` on the rate is the floor; a negative rate would climb",
    )


# -- overfit_one_batch -----------------------------------------------------------------------------


def descent(ids, vocab, steps, lr, *, sign=1, summed=False, kept=False, shift=1):
    """Losses by the formula for the gradient, in float64; and, by the keywords, of known
    mistakes."""
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


BATCH = torch.tensor([[0, 1, 2, 3, 1, 0], [3, 1, 2, 0, 1, 2], [2, 2, 3, 1, 0, 1]])


@exercise("overfit_one_batch", points=2)
def losses(student):
    """The losses of eight steps, number for number."""
    given = BATCH.clone()
    found = student.overfit_one_batch(given, 4, 8, 2.0)
    expect(
        isinstance(found, list) and all(type(x) is float for x in found),
        "a list of Python floats is wanted: loss.item()",
    )
    wanted = descent(BATCH, 4, 8, 2.0)
    if len(found) == 8:
        reject(
            "eight losses for 8 steps: one is missing. The loss before the first step and the one after each step make nine"
        )
    expect(
        len(found) == 9,
        f"8 steps give 9 losses (before the first, after each), and you gave {len(found)}",
    )
    expect_close(
        found[0],
        math.log(4),
        "a table of zeros gives each of 4 tokens 1/4: the first loss is log 4",
        {
            "the first loss is not that of the untouched table: record it before the step": wanted[
                1
            ],
            "the first loss is that of all pairs together: take the mean": math.log(4) * 15,
        },
        tolerance=1e-4,
    )
    expect_close(
        found,
        wanted,
        "the losses of plain gradient descent on this batch",
        {
            "gradients pile up from step to step: clear them (zero_grad, or grad = None) before each backward()": descent(
                BATCH, 4, 8, 2.0, kept=True
            ),
            "the loss goes up: a step is W - lr * gradient": descent(BATCH, 4, 8, 2.0, sign=-1),
            "the gradient is that of the sum, not of the mean: your steps are too long": descent(
                BATCH, 4, 8, 2.0, summed=True
            ),
            "the loss never changes: is the step taken on the table itself, and not on a copy?": [
                math.log(4)
            ]
            * 9,
            "no shift: you train each token to predict itself; the target of ids[:, :-1] is ids[:, 1:]": descent(
                BATCH, 4, 8, 2.0, shift=0
            ),
        },
        tolerance=1e-4,
    )
    expect(torch.equal(given, BATCH), "your function changes the batch that it was given")


@exercise("overfit_one_batch", points=1)
def floor(student):
    """Long enough, the loss arrives at the batch's own entropy and no lower."""
    sure = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]])
    found = student.overfit_one_batch(sure, 4, 300, 20.0)[-1]
    expect(
        found < 0.01,
        f"where each token has one successor alone, 300 steps reach a loss below 0.01, and yours is "
        f"{found:.3g}",
    )
    open_ = torch.tensor([[0, 1, 0, 2, 0, 1, 0, 2, 0]])
    found = student.overfit_one_batch(open_, 3, 400, 4.0)[-1]
    expect(
        abs(found - math.log(2) / 2) < 0.02,
        "in 0 1 0 2 0 1 0 2 0 half of the pairs begin with 0, followed by 1 or 2 "
        f"equally often: no table gets below log(2) / 2 = 0.3466, and a good one gets there; yours ends at {found:.4f}",
    )


# -- data_mixture ----------------------------------------------------------------------------------


@exercise("data_mixture", points=2)
def shares(student):
    """In proportion to the weights, as far as each source reaches."""
    plenty = {"web": 10_000, "books": 10_000, "code": 10_000}
    weights = {"web": 2.0, "books": 1.0, "code": 1.0}

    def check(available, weights, budget, epochs, wanted, why, mistakes=None):
        found = student.data_mixture(available, weights, budget, epochs)
        expect(
            isinstance(found, dict) and set(found) == set(available),
            f"one entry for each source is wanted, {sorted(available)}, a weight of 0 included; you gave {found!r}",
        )
        said = [found[name] for name in available]
        if not close(said, wanted, 1e-6):
            for message, value in (mistakes or {}).items():
                expect(not close(said, value, 1e-6), message)
            reject(
                f"{why}: {wanted}, and you gave {said} (available {available}, weights {weights}, budget {budget}, "
                f"max_epochs {epochs})"
            )

    check(
        plenty,
        weights,
        1000,
        1,
        [500, 250, 250],
        "shares in proportion to the weights",
        {
            "weights need not sum to 1: divide by their sum": [2000, 1000, 1000],
            "equal shares: the weights are not used": [1000 / 3] * 3,
        },
    )
    check(
        {"web": 9000, "books": 3000, "code": 3000},
        weights,
        1000,
        1,
        [500, 250, 250],
        "shares in proportion to the weights",
        {
            "you weigh by size, too; the size of a source is a limit and nothing else": [
                750,
                125,
                125,
            ],
            "shares go by the size of the sources; they should go by the weights": [600, 200, 200],
        },
    )
    check(
        plenty,
        {"web": 1.0, "books": 0.0, "code": 1.0},
        1000,
        1,
        [500, 0, 500],
        "a weight of 0 gets nothing",
    )
    check(
        {"a": 100, "b": 1000, "c": 2000},
        {"a": 4.0, "b": 1.0, "c": 3.0},
        800,
        2,
        [200, 150, 450],
        "a would get 400 and can give 200; the rest is shared 1 : 3",
        {
            "what a full source cannot take is lost; share it among the others": [200, 100, 300],
            "what a full source cannot take is shared equally; share it by the weights": [
                200,
                200,
                400,
            ],
            "a source is read more than max_epochs times: at most max_epochs * available": [
                400,
                100,
                300,
            ],
            "max_epochs is not used: a source may be read twice here": [100, 175, 525],
        },
    )


@exercise("data_mixture", points=2)
def again_and_again(student):
    """A rest that fills the next source; all full; zero weights stay zero; the inputs stay as they
    were."""

    def check(available, weights, budget, epochs, wanted, why):
        found = student.data_mixture(dict(available), dict(weights), budget, epochs)
        said = [found.get(name) for name in available]
        expect(
            close(said, wanted, 1e-6),
            f"{why}: {wanted}, and you gave {said} (available {available}, weights {weights}, "
            f"budget {budget}, max_epochs {epochs})",
        )

    check(
        {"a": 100, "b": 320, "c": 5000},
        {"a": 2.0, "b": 1.0, "c": 1.0},
        1000,
        1,
        [100, 320, 580],
        "a is full, its rest fills b (450 of 320), and b's rest goes to c: repeat until nobody is over the limit",
    )
    check(
        {"a": 100, "b": 50, "c": 10},
        {"a": 1.0, "b": 1.0, "c": 1.0},
        1000,
        2,
        [200, 100, 20],
        "all are full: nobody is read more often, and the budget is not used up",
    )
    check(
        {"a": 100, "b": 1000},
        {"a": 1.0, "b": 0.0},
        1000,
        1,
        [100, 0],
        "a weight of 0 gets nothing, not even what is left over",
    )
    check(
        {"a": 0, "b": 1000}, {"a": 1.0, "b": 1.0}, 600, 1, [0, 600], "an empty source gives nothing"
    )
    check({"a": 100}, {"a": 3.0}, 0, 1, [0], "a budget of 0")
    available, weights = {"a": 100, "b": 1000}, {"a": 1.0, "b": 1.0}
    student.data_mixture(available, weights, 600, 1)
    expect(
        (available, weights) == ({"a": 100, "b": 1000}, {"a": 1.0, "b": 1.0}),
        "your function changes what it was given: copy it first",
    )
