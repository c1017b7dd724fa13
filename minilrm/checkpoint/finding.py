"""Finding: a checkpoint by what a user calls it (its folder, a run, a shipped name), and the newest
whole one of a run."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from minilrm import machine
from minilrm.checkpoint.integrity import verify
from minilrm.checkpoint.loading import load, read_tokenizer
from minilrm.checkpoint.record import Info
from minilrm.checkpoint.saving import WEIGHTS
from minilrm.errors import UserError
from minilrm.model import Transformer
from minilrm.options import problem_with_path
from minilrm.tokenizer import Tokenizer
from minilrm.tokenizer.foreign import FILE

# What makes a shipped checkpoint anew, for anyone who has none. (minilrm.json beside each says what
# made that one.)
PRETRAIN = "python -m minilrm.pretrain"
COUNTDOWN = f"{PRETRAIN} --task countdown --scale nano --tokens 20000000"
MULTIPLICATION = f"{PRETRAIN} --task multiplication --scale nano --tokens 9000000"
SHELF = "data/checkpoints"
RECIPES = {
    "gsm8k-mini-base": f"{PRETRAIN} --export {SHELF}/gsm8k-mini-base",
    "countdown-base": f"{COUNTDOWN} --reflection 0.1 --export {SHELF}/countdown-base",
    "countdown-base-unseeded": (
        f"{COUNTDOWN} --reflection 0 --export {SHELF}/countdown-base-unseeded"
    ),
    "multiplication-base": (
        f"{MULTIPLICATION} --reflection 0.1 --export {SHELF}/multiplication-base"
    ),
    "multiplication-base-unseeded": (
        f"{MULTIPLICATION} --reflection 0 --export {SHELF}/multiplication-base-unseeded"
    ),
    "countdown-4-base": (
        f"{PRETRAIN} --task countdown-4 --scale nano --tokens 10000000 --accumulate 1 "
        f"--export {SHELF}/countdown-4-base"
    ),
    "stories-base": f"{PRETRAIN} --task stories --accumulate 2 --export {SHELF}/stories-base",
    "reasoning-base": (
        f"{PRETRAIN} --task reasoning --scale nano --tokens 27000000 --accumulate 1 "
        f"--max-tokens-per-batch 2048 --export {SHELF}/reasoning-base"
    ),
    "tools-base": (
        f"{PRETRAIN} --task tools --scale pico --tokens 6000000 --accumulate 1 "
        f"--max-tokens-per-batch 2048 --export {SHELF}/tools-base"
    ),
    "bilingual-base": (
        f"{PRETRAIN} --task bilingual --scale nano --tokens 11000000 --accumulate 1 "
        f"--max-tokens-per-batch 2048 --export {SHELF}/bilingual-base"
    ),
}


class Opened(NamedTuple):
    """A model that is ready to be asked."""

    folder: Path
    model: Transformer
    tokenizer: Tokenizer
    info: Info


def open_model(where: str | Path, device: str | torch.device = "cpu") -> Opened:
    """The model that a user means by `where`: the folder of a checkpoint, a run (its newest
    checkpoint), or the name of a shipped one.

    >>> folder, model, tokenizer, info = open_model("gsm8k-mini-base")

    UserError if there is none, if it is damaged, or if it has no tokenizer that can be used
    here (ours, or a byte-level BPE).
    """
    folder = resolve(where)
    model, tokenizer, info = load(folder, device=device)
    if tokenizer is None:
        if (folder / FILE).is_file():
            read_tokenizer(folder, model.config.vocab_size)  # says why it cannot be used
        raise UserError(
            f"{folder} has no tokenizer that minilrm wrote, nor another project's tokenizer.json, "
            "so its model can be loaded, but not be asked in words; choose another checkpoint"
        )
    return Opened(folder, model.eval(), tokenizer, info)


def resolve(where: str | Path) -> Path:
    """A checkpoint by what a user calls it: its folder, a run's folder (its newest checkpoint), or
    a shipped name."""
    problem = problem_with_path(where)
    if problem:
        raise UserError(f"the name of a checkpoint {problem}")
    path = Path(where)
    if (path / "checkpoints").is_dir():
        advice = "choose another run, or a checkpoint"
        _, newest, skipped = newest_valid(path / "checkpoints", advice)
        for _, reason in skipped:
            print(f"skipped a checkpoint: {reason}", file=sys.stderr)
        return newest
    if path.is_dir() or len(path.parts) != 1:
        return path  # `load` says what is wrong with it
    return shipped(path.name)


def newest_valid(
    folder: str | Path, advice: str = "start the run anew, without --resume"
) -> tuple[int, Path, list[tuple[Path, str]]]:
    """The newest whole checkpoint among step-000123 folders, as (step, path), and what was skipped,
    with the reason: damaged ones, and those with NaN or infinite weights.

    UserError, with the advice, if there is none.
    """
    skipped: list[tuple[Path, str]] = []
    for step, path in sorted(step_folders(Path(folder)), reverse=True):
        try:
            verify(path, {"config.json", WEIGHTS})
            return step, path, skipped
        except UserError as error:
            skipped.append((path, str(error)))
    broken = f" ({len(skipped)} broken; {skipped[0][1]})" if skipped else ""
    raise UserError(f"there is no whole checkpoint in {folder}{broken}; {advice}")


def step_folders(folder: Path) -> Iterator[tuple[int, Path]]:
    """(step, path) of each step-000123 in a folder. Half-written ones have other names."""
    for path in folder.iterdir() if folder.is_dir() else ():
        match = re.fullmatch(r"step-(\d+)", path.name)
        if match and path.is_dir():
            yield int(match[1]), path


def shipped(name: str) -> Path:
    """The folder of a checkpoint that comes with the project."""
    shelf = machine.data_folder() / "checkpoints"
    if name == Path(name).name and (shelf / name / "config.json").is_file():
        return shelf / name
    there = ", ".join(sorted(path.parent.name for path in shelf.glob("*/config.json"))) or "none"
    advice = (
        f"make it with: {RECIPES[name]}"
        if name in RECIPES
        else "or give the folder of a checkpoint"
    )
    raise UserError(f"no checkpoint {name!r} is shipped (there are: {there}); {advice}")
