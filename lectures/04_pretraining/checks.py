"""What lecture 4 holds its exercises to. Reference values: by hand, by the library on random
batches, and tables of losses that were computed in float64 (cases.py)."""

import math
from pathlib import Path

import torch

from course.grade import close, exercise, expect, expect_close, gradients, reject
from course.grade.lecture import load_module

FORBIDDEN = ("minilrm.objectives", "minilrm.optim", "minilrm.pretrain")
CASES = load_module(Path(__file__).with_name("cases.py"), "lecture_04_cases")


# -- masked_cross_entropy --------------------------------------------------------------------------


@exercise("masked_cross_entropy", points=2)
def value(student):
    """Batches of several sizes whose masks have holes; then logits of a thousand."""
    for seed, shape in ((4, (2, 5, 7)), (5, (4, 9, 3)), (6, (1, 11, 5)), (7, (3, 3, 2))):
        logits, ids, mask = CASES.batch(seed, *shape)
        wanted, mistakes = CASES.cross_entropy(logits, ids, mask)
        expect_close(
            student.masked_cross_entropy(logits.clone(), ids.clone(), mask.clone()),
            wanted,
            f"logits {list(shape)}: the mean of -log p over the {mask[:, 1:].sum()} targets that "
            "count",
            mistakes,
            tolerance=1e-6,
        )
    far = torch.tensor([[[1000.0, 0.0], [0.0, 0.0]]])
    expect_close(
        student.masked_cross_entropy(far, torch.tensor([[0, 1]]), torch.ones(1, 2)),
        1000.0,
        "logits 1000 and 0 give a loss of 1000 for the second token, not infinity or NaN: use "
        "log_softmax, not log(softmax)",
    )


@exercise("masked_cross_entropy", points=1)
def nothing_counts(student):
    """A row of padding alone: 0, with a gradient of 0."""
    logits, ids, mask = CASES.batch(4, 2, 5, 7)
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
    logits, ids, mask = CASES.batch(4, 2, 5, 7)
    kept = torch.zeros(2, 5, dtype=torch.bool)  # the logits before a target that counts
    kept[:, :-1] = mask[:, 1:].bool()
    calm = student.masked_cross_entropy(logits.clone(), ids.clone(), mask.clone())
    found = student.masked_cross_entropy(logits.clone(), ids * mask + mask - 1, mask.clone())
    expect_close(found, calm, "an id of -1 where the mask is 0 changes your loss")
    wild = torch.where(kept.unsqueeze(-1), logits, math.nan)
    wild[~kept.any(1)] = math.inf
    given = wild.clone().requires_grad_(True), ids.clone(), mask.clone()
    found = student.masked_cross_entropy(*given)
    expect(
        not torch.as_tensor(found).isnan().any(),
        "NaN in the logits before a masked target makes your loss NaN. NaN times 0 is NaN, so pick "
        "out what counts (logits[keep]) instead of multiplying by the mask",
    )
    expect_close(found, calm, "what stands in masked logits changes your loss")
    wild.requires_grad_(True)
    (slope,) = gradients(student.masked_cross_entropy(wild, ids.clone(), mask.clone()), wild)
    expect(
        torch.isfinite(slope).all(),
        "what stands in masked logits makes the gradient NaN: pick out what counts before the "
        "softmax, not after it",
    )
    expect(
        not slope[~kept].any() and slope[kept].any(-1).all(),
        "the gradient reaches the logits before each target that counts, and no others",
    )


# -- lr_at -----------------------------------------------------------------------------------------


@exercise("lr_at", points=2)
def schedule(student):
    """Ten steps by hand; the same with another peak and a floor; then a longer schedule."""

    def curve(warmup, peak, floor, steps=range(10), total=10):
        return [student.lr_at(step, total, warmup, peak, floor) for step in steps]

    t = torch.arange(10.0)
    rise, wanted = t < 2, torch.tensor([0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])
    expect_close(
        curve(2, 1.0, 0.0),
        wanted,
        "total 10, warmup 2, peak 1, floor 0, steps 0 to 9",
        {
            "the first step has a rate of 0 and learns nothing: it is (step + 1) / warmup": (
                torch.where(rise, t / 2, wanted)
            ),
            "the decay is measured from step 0; it begins at warmup: (total - step) / (total - "
            "warmup)": torch.where(rise, wanted, (10 - t) / 10),
            "there is no decay: after the warm-up the rate stays at its peak": wanted.where(
                rise, 1.0
            ),
            "there is no warm-up": (10 - t) / 8,
            "this is a cosine; here the decay is a straight line": (
                wanted.where(rise, 0.5 * (1 + torch.cos(math.pi * (t - 2) / 8)))
            ),
            "your decay arrives at the floor one step too early": wanted.where(rise, (9 - t) / 8),
        },
    )
    expect_close(
        curve(2, 0.02, 0.0),
        0.02 * wanted,
        "the same with peak 0.02",
        {"the peak is not used": wanted},
    )
    expect_close(
        curve(2, 1.0, 0.2),
        wanted.where(rise, 0.2 + 0.8 * wanted),
        "the same with floor 0.2: the line runs from the peak down to the floor",
        {
            "you cut at the floor (max); the line should run down to it": wanted.clamp(min=0.2),
            "the floor is added to everything; the peak must stay the peak": wanted + 0.2,
            "the floor is not used": wanted,
            "the warm-up begins at the floor in your function; it begins at 0": 0.2 + 0.8 * wanted,
        },
    )
    expect_close(
        curve(5, 0.02, 0.002, (0, 2, 4, 5, 21, 36), 37),
        [0.004, 0.012, 0.02, 0.02, 0.011, 0.0025625],
        "total 37, warmup 5, peak 0.02, floor 0.002, steps 0, 2, 4, 5, 21, 36",
        {
            "the floor is a share of the peak in your function; it is a rate": (
                [0.004, 0.012, 0.02, 0.02, 0.01002, 0.0006638]
            ),
        },
        tolerance=1e-7,
    )


@exercise("lr_at", points=1)
def ends(student):
    """No warm-up, and steps beyond the end."""
    for total, warmup, peak in ((10, 0, 0.5), (3, 0, 0.02)):
        expect_close(
            student.lr_at(0, total, warmup, peak), peak, "with warmup 0 the first step has the peak"
        )
    for total, peak, floor in ((10, 1.0, 0.1), (25, 0.02, 0.004)):
        expect_close(
            [student.lr_at(step, total, 2, peak, floor) for step in (total, total + 1, 500)],
            [floor] * 3,
            "from step `total` on the rate is the floor; a negative rate would climb",
        )


# -- overfit_one_batch -----------------------------------------------------------------------------


@exercise("overfit_one_batch", points=2)
def losses(student):
    """The losses of eight steps, number for number; then of five on another batch."""
    for (rows, vocab, steps, lr), wanted, mistakes in CASES.DESCENTS:
        ids = torch.tensor(rows)
        given = ids.clone()
        found = student.overfit_one_batch(given, vocab, steps, lr)
        expect(torch.equal(given, ids), "your function changes its argument, the batch")
        expect(
            isinstance(found, list) and all(type(x) is float for x in found),
            "a list of Python floats is wanted: loss.item()",
        )
        expect(
            len(found) == steps + 1,
            f"{steps} steps give {steps + 1} losses (the one before the first step and the one "
            f"after each step), and you gave {len(found)}"
            + (": one is missing" if len(found) == steps else ""),
        )
        pairs = ids[:, 1:].numel()
        expect_close(
            found[0],
            math.log(vocab),
            f"a table of zeros gives each of {vocab} tokens 1/{vocab}, so the first loss is log "
            f"{vocab}",
            {
                "the first loss is not that of the untouched table: record it before the step": (
                    wanted[1]
                ),
                "the first loss is that of all pairs together: take the mean": (
                    math.log(vocab) * pairs
                ),
                "your table has no rows and columns for numbers that do not occur; `vocab` says "
                "how many there are": math.log(int(ids.max()) + 1),
            },
            tolerance=1e-4,
        )
        expect_close(
            found,
            wanted,
            f"the losses of {steps} steps of plain gradient descent on this batch, lr {lr:g}",
            mistakes
            | {
                "the loss never changes: is the step taken on the table itself, not on a copy?": (
                    [math.log(vocab)] * (steps + 1)
                ),
            },
            tolerance=1e-4,
        )


@exercise("overfit_one_batch", points=1)
def floor(student):
    """Long enough, the loss arrives at the batch's own entropy and no lower."""
    sure = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]])
    found = student.overfit_one_batch(sure, 4, 300, 20.0)[-1]
    expect(
        found < 0.01,
        "where each token has one successor alone, 300 steps reach a loss below 0.01, and yours is "
        f"{found:.3g}",
    )
    open_ = torch.tensor([[0, 1, 0, 2, 0, 1, 0, 2, 0]])
    found = student.overfit_one_batch(open_, 3, 400, 4.0)[-1]
    expect(
        abs(found - math.log(2) / 2) < 0.02,
        "in 0 1 0 2 0 1 0 2 0 half of the pairs begin with 0, followed by 1 or 2 equally often: no "
        "table gets below log(2) / 2 = 0.3466, and a good one gets there; yours ends at "
        f"{found:.4f}",
    )


# -- data_mixture ----------------------------------------------------------------------------------


def expect_mixtures(student, rows):
    """Rows of (available, weights, budget, max_epochs), the tokens to read, why, known mistakes."""
    for (available, weights, budget, epochs), wanted, why, mistakes in rows:
        found = student.data_mixture(dict(available), dict(weights), budget, epochs)
        expect(
            isinstance(found, dict) and set(found) == set(available),
            f"one entry for each source is wanted, {sorted(available)}, a weight of 0 included; "
            f"you gave {found!r}",
        )
        said = [found[name] for name in available]
        if close(said, wanted, 1e-6):
            continue
        for message, value in mistakes.items():
            expect(not close(said, value, 1e-6), message)
        reject(
            f"{why}: {wanted}, and you gave {said} (available {available}, weights {weights}, "
            f"budget {budget}, max_epochs {epochs})"
        )


@exercise("data_mixture", points=2)
def shares(student):
    """In proportion to the weights, as far as each source reaches."""
    expect_mixtures(student, CASES.SHARES)


@exercise("data_mixture", points=2)
def again_and_again(student):
    """A rest that fills the next source; all full; zero weights stay zero; the inputs stay as they
    were."""
    expect_mixtures(student, CASES.RESTS)
    available, weights = {"a": 100, "b": 1000}, {"a": 1.0, "b": 1.0}
    student.data_mixture(available, weights, 600, 1)
    expect(
        (available, weights) == ({"a": 100, "b": 1000}, {"a": 1.0, "b": 1.0}),
        "your function changes its argument: copy it first",
    )
