"""Several devices as one: what has to be added up before a step is the step of the whole batch.

Each process works on a share of a batch (`share`). Three things cannot be computed from a share:

    counts      the denominators of a loss (`total`): a mean of means is not the mean
    moments     mean and standard deviation (`moments`): for normalising by the batch, for whitening
    gradients   summed once per optimizer step (`sum_gradients`), after every micro-batch. Since the
                denominators are those of the whole batch, gradients are added and not averaged.

Every process has to make the same calls in the same order, also one whose share has nothing to
teach: the others would wait for it for ever.

With one process each function is the identity: it returns what it was given, bit for bit. Where a
process group of torch.distributed was started, the same calls go through it.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed
from torch import Tensor, nn

Item = TypeVar("Item")
Number = TypeVar("Number", int, float)


class Moments(NamedTuple):
    """Mean and standard deviation (with Bessel's correction) of a batch, scalars."""

    mean: Tensor
    std: Tensor


def count() -> int:
    """How many processes work together."""
    return torch.distributed.get_world_size() if grouped() else 1


def rank() -> int:
    """The number of this process, from 0. Number 0 writes and evaluates."""
    return torch.distributed.get_rank() if grouped() else 0


def grouped() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def share(items: Sequence[Item]) -> Sequence[Item]:
    """This process's part of the items: every `count()`-th, from `rank()` on.

    >>> share(["a", "b", "c"])
    ['a', 'b', 'c']
    """
    return items if count() == 1 else items[rank() :: count()]


def local(places: Iterable[int]) -> list[int]:
    """Places in a batch -> places in this process's share of it; those of others are left out.

    >>> local([2, 0])
    [2, 0]
    """
    return [place // count() for place in places if place % count() == rank()]


def joined(items: Sequence[Any]) -> list[Any]:
    """`share` backwards: the batch of which `items` are this process's part. They have to be what
    JSON can hold.

    >>> joined(["a", "b", "c"])
    ['a', 'b', 'c']
    """
    parts = gathered(list(items))
    whole = range(sum(len(part) for part in parts))
    return [parts[place % count()][place // count()] for place in whole]


def total(number: Number) -> Number:
    """The sum of a number over all processes: a count of tokens, of sequences, of steps."""
    if count() == 1:
        return number
    return type(number)(added(torch.tensor(float(number), dtype=torch.float64)).item())


def totals(numbers: Mapping[str, float]) -> dict[str, float]:
    """`total` of each of several figures that are parts of a sum, such as a loss over its whole
    denominator. A process with nothing to learn from may have fewer of them, or none."""
    if count() == 1:
        return dict(numbers)
    sums: dict[str, float] = {}
    for part in gathered(dict(numbers)):
        for name, number in part.items():
            sums[name] = sums.get(name, 0) + number
    return sums


def moments(values: Tensor) -> Moments:
    """Mean and standard deviation of the values of all processes; `values` [N] are this one's."""
    if count() == 1:
        return Moments(values.mean(), std(values))
    n = total(len(values))
    mean = added(values.sum()) / n
    return Moments(mean, (added((values - mean).square().sum()) / (n - 1)).sqrt())


def std(values: Tensor) -> Tensor:
    """Standard deviation of values [N] with Bessel's correction: NaN of fewer than two, as torch
    has it, without torch's warning."""
    return values.std() if len(values) > 1 else values.new_full((), math.nan)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add up each parameter's gradient over all processes, in place. A gradient that is missing
    counts as 0."""
    if count() == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        parameter.grad = added(parameter.grad)


def gathered(value: Any) -> list[Any]:
    """The values of all processes, by number: what JSON can hold, of any size."""
    if count() == 1:
        return [value]
    text = json.dumps(value).encode()
    lengths = torch.zeros(count(), dtype=torch.int64)
    lengths[rank()] = len(text)
    lengths = added(lengths)
    rows = torch.zeros(count(), int(lengths.max()), dtype=torch.uint8)
    rows[rank(), : len(text)] = torch.tensor(list(text), dtype=torch.uint8)
    texts = (bytes(row.tolist()) for row in added(rows))
    return [json.loads(text[:n]) for text, n in zip(texts, lengths.tolist(), strict=True)]


def added(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes, the same on each of them."""
    summed = tensor.detach().clone()
    torch.distributed.all_reduce(summed)
    return summed
