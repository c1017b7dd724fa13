"""Where a policy begins: at a shipped base, at random weights, at a checkpoint, or where its run
was stopped. `options` are those of rl.py."""

import copy
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from minilrm import checkpoint, machine
from minilrm.errors import UserError
from minilrm.model import SCALES, Transformer
from minilrm.tasks import Task, task_class
from minilrm.tokenizer import Tokenizer


def starting_point(options: Any) -> tuple[Transformer, Tokenizer, str]:
    """The policy at the first step of this stretch, its tokenizer, and where the run began. A
    resumed run's own checkpoint holds all of it."""
    if options.resume:
        newest = checkpoint.newest_valid(options.resume / "checkpoints")[1]
        return *opened(newest), options.init
    return *beginning(options), options.init


def beginning(options: Any) -> tuple[Transformer, Tokenizer]:
    """The policy at step 0."""
    if options.init == "scratch":
        tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
        config = replace(SCALES[options.scale], vocab_size=len(tokenizer))
        return Transformer(config), tokenizer
    if options.init == "base":
        return opened(shipped_base(options))
    return opened(checkpoint.resolve(options.init))


def opened(path: Path) -> tuple[Transformer, Tokenizer]:
    """A model with a tokenizer that we can use."""
    _, model, tokenizer, _ = checkpoint.open_model(path)
    return model, tokenizer


def shipped_base(options: Any) -> Path:
    """The folder of the shipped model that a task starts from. UserError that names a way which
    works where there is none."""
    base = task_class(options.task).base
    if base:
        return checkpoint.shipped(base)
    data = f" --data {shlex.quote(str(options.data))}" if options.data else ""
    raise UserError(
        f"no base is shipped for {options.task}. Fine-tune one that is on solved problems first: "
        f"python -m minilrm.sft --task {options.task}{data} --out runs/my-sft; then start from "
        "it: --init runs/my-sft"
    )


def named_or_base(named: str | None, task: Task, option: str = "--init") -> str:
    """The model that a user named, else the task's base; `option`: the one to name it with.
    UserError where there is neither.

    >>> from minilrm.tasks import get_task
    >>> task = get_task("countdown")
    >>> named_or_base(None, task), named_or_base("runs/mine", task)
    ('countdown-base', 'runs/mine')
    """
    found = named or task.base
    if found is None:
        raise UserError(f"no base is shipped for {task.name}; name a model with {option}")
    return found


def reference_model(options: Any, policy: Transformer) -> Transformer:
    """The frozen model that a KL term compares with: the policy at step 0. UserError if a resumed
    run's beginning is no longer there."""
    if not options.resume:
        return copy.deepcopy(policy).eval().requires_grad_(False)
    try:
        reference = beginning(options)[0].to(next(policy.parameters()))
    except UserError as error:
        raise UserError(
            "this run has a KL term, whose reference model is the one it began with (--init "
            f"{options.init}): {error}; if it has moved, name its folder with --init"
        ) from error
    return reference.eval().requires_grad_(False)
