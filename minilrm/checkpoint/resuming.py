"""Resuming: model and optimizers back where a run was, so that it goes on bit for bit.

What comes from where: weights, the optimizers' states and the loop's counters come from the
checkpoint; the optimizers' *options* (learning rate, betas, weight decay ...) are those that the
caller has made them with. A run that is resumed with its own options has the same ones, so nothing
changes; one that is resumed with another --lr takes it from the next step on, and keeps what Adam
has seen of the gradients.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from torch.optim import Optimizer

from minilrm.checkpoint.disk import reason, remove, rename, sweep
from minilrm.checkpoint.finding import newest_valid
from minilrm.checkpoint.integrity import read_checked_json, read_tensors
from minilrm.checkpoint.loading import compare_shapes, load
from minilrm.checkpoint.saving import OPTIMIZER, TRAINER
from minilrm.errors import UserError
from minilrm.model import Transformer

# Options that decide what a state holds; with another one, the saved state would not fit.
OF_THE_STATE = ("amsgrad",)


class Resumed(NamedTuple):
    """Where a run goes on: its last step, and what the loop had given to `save` as `trainer`."""

    step: int
    trainer: dict[str, Any]


def resume(folder: str | Path, model: Transformer, optimizers: Mapping[str, Optimizer]) -> Resumed:
    """Put model and optimizers back to the newest whole checkpoint of a run, in place.

    folder: the run's checkpoints. Broken ones are named, and set aside as step-000123.broken: the
    run will come by and save that step again. UserError if none is whole, or if it is of another
    model or of other optimizers.
    """
    sweep(Path(folder))
    step, path, skipped = newest_valid(folder)
    for broken, why in skipped:
        print(f"skipped {broken}: {why}", file=sys.stderr)
        set_aside(broken)
    weights = load(path)[0].state_dict()
    trouble = f"{path} is of another model than the one to go on with"
    compare_shapes(model.state_dict(), weights, trouble)
    trainer = load_trainer(path, optimizers)
    model.load_state_dict(weights)
    return Resumed(step, trainer)


def set_aside(broken: Path) -> None:
    """Give a broken checkpoint another name; an earlier one of that name goes."""
    aside = broken.with_name(broken.name + ".broken")
    if aside.exists():
        remove(aside)
    try:
        rename(broken, aside)
    except OSError as error:
        raise UserError(f"cannot rename {broken} to {aside.name}: {reason(error)}") from error


def load_trainer(folder: str | Path, optimizers: Mapping[str, Optimizer]) -> dict[str, Any]:
    """Put the saved states back into the optimizers, which keep their own options; returns what
    `trainer` was.

    UserError, with the optimizers untouched, if the states are damaged or do not fit.
    """
    folder = Path(folder)
    record, tensors = read_checked_json(folder, TRAINER), read_tensors(folder, OPTIMIZER)
    try:
        saved = record["optimizers"]
        if set(saved) != set(optimizers):
            raise ValueError(
                f"it has the optimizers {list(saved)}, where {list(optimizers)} are needed"
            )
        states = {
            name: optimizer_state(name, each, saved[name], tensors)
            for name, each in optimizers.items()
        }
        trainer = dict(record["trainer"])
        for name, optimizer in optimizers.items():
            optimizer.load_state_dict(states[name])
        return trainer
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UserError(
            f"cannot go on from {folder / TRAINER}: it is corrupt, or of a run with other options "
            f"({error!r}); start the run anew"
        ) from error


def optimizer_state(
    name: str, optimizer: Optimizer, saved: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> dict[str, Any]:
    """`flatten_optimizers` backwards, for one optimizer: the saved state beside the optimizer's own
    options, as `Optimizer.load_state_dict` takes it. ValueError where they do not fit each other.
    """
    own = optimizer.state_dict()["param_groups"]
    for mine, its in zip(own, saved["param_groups"], strict=True):
        if mine["params"] != its["params"]:
            raise ValueError(
                f"{name} had {len(its['params'])} parameters, not {len(mine['params'])}"
            )
        for key in OF_THE_STATE:
            if mine.get(key) != its.get(key):
                raise ValueError(f"{name} was made with {key} {its.get(key)}, not {mine.get(key)}")
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for full, value in (*tensors.items(), *saved["state"].items()):
        owner, i, key = full.rsplit(".", 2)
        if owner != name:
            continue
        if isinstance(value, Tensor):
            # A count, or as large as its parameter.
            if value.shape not in ((), parameters[int(i)].shape):
                raise ValueError(f"{full} has the shape {list(value.shape)}")
            value = value.clone()  # out of the mapped file
        state.setdefault(int(i), {})[key] = value
    return {"state": state, "param_groups": own}
