"""Several devices as one: what has to be added up before a step is the step of the whole batch.

Each process works on a share of a batch (`share`). Three things cannot be computed from a share:

    counts      the denominators of a loss (`total`): a mean of means is not the mean
    moments     mean and standard deviation (`moments`): for normalising by the batch, for whitening
    gradients   summed once per optimizer step (`sum_gradients`), after every micro-batch. Since the
                denominators are those of the whole batch, gradients are added and not averaged.

Every process has to make the same calls in the same order, also one whose share has nothing to
teach: the others would wait for it for ever.

With one process each function is the identity: it returns what it was given, bit for bit. Where
torchrun has started several, `group` joins them, and the same calls go through torch.distributed
(NCCL between GPUs, gloo between CPUs and for whatever lies in the memory of a CPU):

    torchrun --nproc-per-node 2 -m minilrm.grpo --task gsm8k-mini

and on two machines of eight GPUs, each with its own --node-rank, 0 or 1:

    torchrun --nnodes 2 --node-rank 0 --nproc-per-node 8 --master-addr HOST --master-port 29500 \\
        -m minilrm.grpo --task gsm8k-mini

Both need the files that the options name; to resume, and for the traces of a teacher, both need to
see the run folder. torchrun sends a signal on and kills what has not ended 30 seconds later: where
a step and its checkpoint take longer, give it --shutdown-timeout.

Process 0 alone writes, evaluates and speaks to the user. What can be refused is refused in all of
them (`agreement`), a signal to one stops all at the same step (`anywhere`), and where one process
dies, the next call ends the others with a line (`Lost`).
"""

import contextlib
import datetime
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn

from minilrm import machine
from minilrm.errors import UserError

Item = TypeVar("Item")
Number = TypeVar("Number", int, float)

# How long a process waits for the others. They wait while process 0 evaluates; that one has died
# is noticed at once, by its closed connection.
PATIENCE = datetime.timedelta(days=1)
BUCKET = 1 << 24  # numbers of gradients that are added up in one call


class Moments(NamedTuple):
    """Mean and standard deviation (with Bessel's correction) of a batch, scalars."""

    mean: Tensor
    std: Tensor


class Lost(UserError):
    """Another process has ended, and this one cannot go on without it."""


# -- the processes ---------------------------------------------------------------------------------


def launched() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", 1))


@contextlib.contextmanager
def group(device: str) -> Iterator[None]:
    """Inside, the processes that torchrun has started work together, each on a device of its own.
    Nothing happens for one process, or where a group is there already.

    device: auto, cpu or cuda, as `machine.choose_device` takes it. UserError where there are more
    processes on this machine than GPUs.
    """
    if launched() == 1 or grouped():
        yield
        return
    torch.distributed.init_process_group(backend_for(device), timeout=PATIENCE)
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def backend_for(device: str) -> str:
    """What carries the sums, by the memory in which they lie. Takes the GPU of this process."""
    kind = machine.choose_device(device).type
    if kind == "mps":
        raise UserError(
            f"--device {device} is Apple's GPU here, and there is one of it: torchrun shares a run "
            "among CPUs or CUDA GPUs; use --device cpu, or start one process without torchrun"
        )
    if kind == "cpu":
        return "gloo"
    here, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if here >= gpus:
        raise UserError(
            f"torchrun started more processes on this machine than it has GPUs ({gpus}); use "
            f"--nproc-per-node {gpus}, or --device cpu"
        )
    torch.cuda.set_device(here)
    return "cpu:gloo,cuda:nccl" if torch.distributed.is_nccl_available() else "gloo"


@contextlib.contextmanager
def one_voice() -> Iterator[None]:
    """Inside, what a process other than number 0 prints goes nowhere."""
    if rank() == 0:
        yield
        return
    with (
        open(os.devnull, "w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield


@contextlib.contextmanager
def agreement() -> Iterator[None]:
    """What one process refuses inside with a UserError, all refuse. No other function of this file
    may be called inside: a process that refuses would not make that call."""
    error: UserError | None = None
    try:
        yield
    except UserError as refused:
        error = refused
    said = gathered(None if error is None else str(error))
    if error is not None:
        raise error
    for number, words in enumerate(said):
        if words is not None:
            raise UserError(f"in process {number}: {words}")


def refuse_differences(options: Mapping[str, Any]) -> None:
    """UserError unless every process was given the same options, what JSON can hold."""
    for number, other in enumerate(gathered(dict(options))):
        for name, value in other.items():
            if value != options[name]:
                raise UserError(
                    f"process {number} has {name} {value}, and process {rank()} has "
                    f"{options[name]}: start all of them with the same options"
                )


def count() -> int:
    """How many processes work together."""
    return torch.distributed.get_world_size() if grouped() else 1


def rank() -> int:
    """The number of this process, from 0. Number 0 writes and evaluates."""
    return torch.distributed.get_rank() if grouped() else 0


def grouped() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


# -- the parts of a batch --------------------------------------------------------------------------


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


def places(count_here: int) -> range:
    """`local` backwards: the places in the batch of this process's items, which are so many.

    >>> places(3)
    range(0, 3)
    """
    return range(rank(), rank() + count_here * count(), count())


def joined(items: Sequence[Any]) -> list[Any]:
    """`share` backwards: the batch of which `items` are this process's part. They have to be what
    JSON can hold.

    >>> joined(["a", "b", "c"])
    ['a', 'b', 'c']
    """
    parts = gathered(list(items))
    whole = range(sum(len(part) for part in parts))
    return [parts[place % count()][place // count()] for place in whole]


# -- sums ------------------------------------------------------------------------------------------


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


def means(cases: Mapping[str, Sequence[float]]) -> dict[str, float | None]:
    """The mean of each figure over its cases in all processes; None where there is no case.

    >>> means({"accuracy": [1, 1, 1, 0], "accuracy_thinking": []})
    {'accuracy': 0.75, 'accuracy_thinking': None}
    """
    parts = gathered({name: [float(sum(of)), len(of)] for name, of in cases.items()})
    found: dict[str, float | None] = {}
    for name in cases:
        of_all, count_of_all = (sum(part[name][i] for part in parts) for i in (0, 1))
        found[name] = of_all / count_of_all if count_of_all else None
    return found


def anywhere(flag: bool) -> bool:
    """Whether it is so in any process."""
    return total(int(flag)) > 0


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
    for bucket in buckets(list(parameters)):
        missing = (torch.zeros_like(p) if p.grad is None else p.grad for p in bucket)
        flat = added(torch.cat([gradient.flatten() for gradient in missing]))
        for p, gradient in zip(bucket, flat.split([p.numel() for p in bucket]), strict=True):
            p.grad = gradient.view_as(p).clone()  # not a view: the bucket's memory is let go


def buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    """Parameters of one type and device that are sent together: fewer and longer messages."""
    bucket: list[nn.Parameter] = []
    for p in parameters:
        full = sum(q.numel() for q in bucket) + p.numel() > BUCKET
        if bucket and (full or (p.dtype, p.device) != (bucket[0].dtype, bucket[0].device)):
            yield bucket
            bucket = []
        bucket.append(p)
    if bucket:
        yield bucket


def copy_first(tensors: Iterable[Tensor]) -> None:
    """Make tensors what they are in process 0, in place: all begin at the same weights."""
    if count() > 1:
        with lost_where_one_has_ended():
            for tensor in tensors:
                torch.distributed.broadcast(tensor.detach(), src=0)


def refuse_drift(parameters: Iterable[nn.Parameter]) -> None:
    """UserError unless all processes have the same weights. They start alike and take the same
    steps, so a difference is a fault: of the machine, or of a step that is not the same in all."""
    if count() == 1:
        return
    sums = gathered([float(p.detach().double().sum()) for p in parameters])
    if any(other != sums[0] for other in sums):
        raise UserError(
            "the weights of the processes have drifted apart, so a step was not the same in all of "
            "them; start them on machines of one kind, or go on with one process by --resume"
        )


def from_first(value: Any) -> Any:
    """What process 0 has, in all of them: what JSON can hold. Number 0 gets back what it gave."""
    if count() == 1:
        return value
    return gathered(value if rank() == 0 else None)[0]


def gathered(value: Any) -> list[Any]:
    """The values of all processes, by number: what JSON can hold, of any size."""
    if count() == 1:
        return [value]
    text = np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)
    lengths = torch.zeros(count(), dtype=torch.int64)
    lengths[rank()] = len(text)
    lengths = added(lengths)
    rows = torch.zeros(count(), int(lengths.max()), dtype=torch.uint8)
    rows[rank(), : len(text)] = torch.tensor(text)
    texts = (row.numpy().tobytes() for row in added(rows))
    return [json.loads(text[:n]) for text, n in zip(texts, lengths.tolist(), strict=True)]


def added(tensor: Tensor) -> Tensor:
    """The sum of a tensor over all processes, the same on each of them."""
    summed = tensor.detach().clone()
    with lost_where_one_has_ended():
        torch.distributed.all_reduce(summed)
    return summed


@contextlib.contextmanager
def lost_where_one_has_ended() -> Iterator[None]:
    """torch.distributed's error for a broken connection as one line: `Lost`."""
    try:
        yield
    except RuntimeError as error:
        raise Lost(
            f"process {rank()} has lost the others, so one of them has ended (its own words are "
            "above, if it had any); go on from the last checkpoint by --resume"
        ) from error
