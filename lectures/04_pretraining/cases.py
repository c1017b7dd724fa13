"""Batches and tables for checks.py, and what known mistakes give: a message and the value."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minilrm import objectives

# -- masked_cross_entropy --------------------------------------------------------------------------


def batch(seed: int, rows: int, width: int, vocab: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits in float64, ids, and a mask that leaves out prompts, ends, and tokens in between."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, width, vocab, generator=generator, dtype=torch.float64)
    ids = torch.randint(vocab, (rows, width), generator=generator)
    mask = (torch.rand(rows, width, generator=generator) < 0.5).long()
    mask[0, :3], mask[:, -1] = torch.tensor([0, 1, 0]), 1
    mask[-1, -1] = 0 if rows > 1 else 1
    return logits, ids, mask


def prefix(mask: Tensor) -> Tensor:
    """As many ones in each row, all of them at its beginning."""
    return (torch.arange(mask.shape[1]) < mask.sum(1, keepdim=True)).long()


def filled(mask: Tensor) -> Tensor:
    """Ones from the first one of each row to its last."""
    return ((mask.cumsum(1) > 0) & (mask.flip(1).cumsum(1).flip(1) > 0)).long()


def cross_entropy(logits: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss by the library, and message -> what this mistake makes of the batch."""
    said, targets, counts = logits[:, :-1], ids[:, 1:], mask[:, 1:]
    own = objectives.cross_entropy
    wanted, kept = own(said, targets, counts), counts.bool()
    rows = [own(*row) for row in zip(said, targets, counts, strict=True) if row[2].any()]
    return wanted, {
        "the mask is not used: the mean runs over all targets": own(
            said, targets, torch.ones_like(counts)
        ),
        "you divide by all targets; divide by the number that counts, mask[:, 1:].sum()": (
            wanted * counts.double().mean()
        ),
        "a sum; the mean over the targets that count is wanted": wanted * counts.sum(),
        "the minus is missing": -wanted,
        "no shift: you ask the logits at t for token t, which they have just read": own(
            logits, ids, mask
        ),
        "the mask is that of the tokens before the targets: with ids[:, 1:] goes mask[:, 1:]": own(
            said, targets, mask[:, :-1]
        ),
        "the mean of each row first, then of the rows; here every token weighs the same": (
            torch.stack(rows).mean()
        ),
        "in bits: take the natural logarithm": wanted / torch.tensor(2.0).log(),
        "bare logits: a log-probability subtracts logsumexp over the vocabulary": F.nll_loss(
            said[kept], targets[kept]
        ),
        "probabilities: take their logarithm": F.nll_loss(said[kept].softmax(-1), targets[kept]),
        "you take the first mask.sum(1) tokens of each row; the ones may stand anywhere": own(
            said, targets, prefix(counts)
        ),
        "you count all from the first 1 of a row to its last; each token has a 1 or 0 of its own": (
            own(said, targets, filled(counts))
        ),
    }


# -- overfit_one_batch -----------------------------------------------------------------------------

PILE_UP = (
    "gradients pile up from step to step: clear them (zero_grad, or grad = None) before each "
    "backward()"
)
UPHILL = "the loss goes up: a step is W - lr * gradient"
SUMMED = "the gradient is that of the sum, not of the mean: your steps are too long"
NO_SHIFT = (
    "no shift: you train each token to predict itself; the target of ids[:, :-1] is ids[:, 1:]"
)
# (ids, vocab, steps, lr) -> the losses, and those of known mistakes. The second batch lacks the 3
# and the 5 of its vocabulary of 6.
DESCENTS = [
    (
        ([[0, 1, 2, 3, 1, 0], [3, 1, 2, 0, 1, 2], [2, 2, 3, 1, 0, 1]], 4, 8, 2.0),
        [1.386294, 1.201127, 1.061273, 0.957076, 0.879511, 0.821219, 0.776707, 0.742075, 0.714609],
        {
            PILE_UP: [
                *(1.386294, 1.201127, 0.926548, 0.703422, 0.594040, 0.557955, 0.544654),
                *(0.531904, 0.519087),
            ],
            UPHILL: [
                *(1.386294, 1.595768, 1.854946, 2.166844, 2.530968, 2.943487, 3.398738),
                *(3.891405, 4.417665),
            ],
            SUMMED: [
                *(1.386294, 0.647753, 1.132675, 1.503118, 0.695833, 0.819200, 1.257612),
                *(1.475422, 0.706376),
            ],
            NO_SHIFT: [
                *(1.386294, 1.022380, 0.765429, 0.589983, 0.469247, 0.383959, 0.321854),
                *(0.275291, 0.239449),
            ],
        },
    ),
    (
        ([[0, 1, 4, 1, 0, 2, 1], [2, 2, 0, 1, 4, 4, 1]], 6, 5, 0.7),
        [1.791759, 1.734289, 1.680227, 1.629497, 1.582002, 1.537627],
        {
            PILE_UP: [1.791759, 1.734289, 1.626321, 1.482059, 1.322453, 1.171992],
            UPHILL: [1.791759, 1.850931, 1.913486, 1.979449, 2.048823, 2.121589],
            SUMMED: [1.791759, 1.232542, 1.042413, 0.961014, 0.913938, 0.883493],
            NO_SHIFT: [1.791759, 1.648136, 1.513486, 1.388141, 1.272256, 1.165807],
        },
    ),
]


# -- data_mixture ----------------------------------------------------------------------------------

# (available, weights, budget, max_epochs), the tokens to read, why, message -> a known mistake
PLENTY = {"web": 10_000, "books": 10_000, "code": 10_000}
BY_WEIGHT = {"web": 2.0, "books": 1.0, "code": 1.0}
SHARES = [
    (
        (PLENTY, BY_WEIGHT, 1000, 1),
        [500, 250, 250],
        "shares in proportion to the weights",
        {
            "weights need not sum to 1: divide by their sum": [2000, 1000, 1000],
            "equal shares: the weights are not used": [1000 / 3] * 3,
        },
    ),
    (
        ({"web": 9000, "books": 3000, "code": 3000}, BY_WEIGHT, 1000, 1),
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
    ),
    (
        (PLENTY, {"web": 1.0, "books": 0.0, "code": 1.0}, 1000, 1),
        [500, 0, 500],
        "a weight of 0 gets nothing",
        {},
    ),
    (
        ({"a": 100, "b": 1000, "c": 2000}, {"a": 4.0, "b": 1.0, "c": 3.0}, 800, 2),
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
    ),
]
ORDER = "the order of the weights does not matter"
RESTS = [
    (
        ({"a": 100, "b": 320, "c": 5000}, {"a": 2.0, "b": 1.0, "c": 1.0}, 1000, 1),
        [100, 320, 580],
        "a is full, its rest fills b (450 of 320), and b's rest goes to c: repeat until no source "
        "is over its limit",
        {},
    ),
    (
        (
            {"a": 100, "b": 410, "c": 480, "d": 500, "e": 5000},
            {"e": 1.0, "d": 1.0, "c": 1.0, "b": 1.0, "a": 1.0},
            2000,
            1,
        ),
        [100, 410, 480, 500, 510],
        "one source after the other is full: repeat until no source is over its limit",
        {},
    ),
    (
        ({"a": 101, "b": 1000}, {"b": 3.0, "a": 1.0}, 5555.5, 1.5),
        [151.5, 1500],
        f"max_epochs, budget and shares need not be whole numbers; {ORDER}",
        {},
    ),
    (
        ({"a": 100, "b": 50, "c": 10}, {"a": 1.0, "b": 1.0, "c": 1.0}, 1000, 2),
        [200, 100, 20],
        "all are full: no source is read more often, and the budget is not used up",
        {},
    ),
    (
        ({"a": 100, "b": 1000}, {"a": 1.0, "b": 0.0}, 1000, 1),
        [100, 0],
        "a weight of 0 gets nothing, not even what is left over",
        {},
    ),
    (
        ({"a": 0, "b": 1000}, {"a": 1.0, "b": 1.0}, 600, 1),
        [0, 600],
        "an empty source gives nothing",
        {},
    ),
    (({"a": 100}, {"a": 3.0}, 0, 1), [0], "a budget of 0", {}),
    (
        ({"a": 10**7, "b": 10**7}, {"b": 1.0, "a": 3.0}, 10**6, 1),
        [750_000, 250_000],
        f"a budget of a million; {ORDER}",
        {},
    ),
]
