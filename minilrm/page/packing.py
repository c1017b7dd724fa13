"""A checkpoint, as the page holds it: shape, weights, tokenizer, task and problems, ready for JSON.

Weights are bfloat16, as the shipped checkpoints are on the disk. All upper bytes (sign and
exponent) come before all lower ones: the exponents of a trained model are much alike, so gzip takes
away what base64 adds, and more. A page holds 1.8 bytes a weight.
"""

import base64
import gzip
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from minilrm import checkpoint
from minilrm.errors import UserError
from minilrm.files import read_json
from minilrm.model import ModelConfig, Transformer, count_parameters
from minilrm.reflection.ablation import reflection_ids
from minilrm.tasks import TASKS, get_task, task_class
from minilrm.tasks.base import Problem, Task
from minilrm.tasks.countdown import Countdown
from minilrm.tasks.traces import AGAIN, REFLECTION_WORD, REJECT, TracedTask
from minilrm.tokenizer import PATTERN, ForeignTokenizer, Tokenizer

MOST_PARAMETERS = 30_000_000  # a page of some 55 MB; beyond that a browser is the wrong place


def pack(
    where: str | Path, *, task: str | None = None, label: str | None = None, n_problems: int = 24
) -> dict[str, Any]:
    """What the page needs to know of one model.

    where: as `checkpoint.open_model` takes it. task: what it is asked; the one it was trained for
    if None. UserError for a model or a task that the page cannot run.
    """
    folder, model, tokenizer, info = checkpoint.open_model(where)
    refuse_other_kinds(model, tokenizer, folder)
    asked = choose_task(task, info.task, folder)
    return {
        "label": label or default_label(where, folder, info),
        "made_by": info.command or made_by(folder, info),
        "parameters": count_parameters(model),
        "config": asdict(model.config),
        "tensors": [[name, tensor.numel()] for name, tensor in model.state_dict().items()],
        "weights": pack_weights(model),
        "tokenizer": pack_tokenizer(tokenizer),
        "task": pack_task(asked, tokenizer, n_problems),
    }


def refuse_other_kinds(model: Transformer, tokenizer: Tokenizer, folder: Path) -> None:
    """UserError, with what is in the way, unless the page's transformer can run this model."""
    usual = ModelConfig()
    other = [
        name
        for name in ("qk_norm", "qkv_bias", "tie_embeddings")
        if getattr(model.config, name) != getattr(usual, name)
    ]
    if other:
        raise UserError(
            f"{folder} is a model of another architecture ({', '.join(other)}): the page runs "
            "those that minilrm trains; choose one of them"
        )
    if isinstance(tokenizer, ForeignTokenizer):
        raise UserError(
            f"{folder} has the tokenizer of another project; the page reads minilrm's own: choose "
            "a model that minilrm trained"
        )
    if count_parameters(model) > MOST_PARAMETERS:
        raise UserError(
            f"{folder} has {count_parameters(model):,} parameters; a page holds at most "
            f"{MOST_PARAMETERS:,}: choose a smaller model"
        )


def choose_task(named: str | None, trained_for: str | None, folder: Path) -> Task:
    """The task that was asked for, or the one that the model was made for."""
    name = named or trained_for
    if name not in TASKS:
        raise UserError(
            f"there is no task {named!r}; choose one of: {', '.join(TASKS)}"
            if named
            else f"{folder} does not say what it is for; choose with --task: {', '.join(TASKS)}"
        )
    if task_class(name).reads_file:
        raise UserError(f"the task {name} reads a file; the page needs one that makes its problems")
    return get_task(name)


def default_label(where: str | Path, folder: Path, info: checkpoint.Info) -> str:
    """A shipped name, or the run that it is a step of, with the step."""
    if folder.parent.name == "checkpoints" and folder.name.startswith("step-"):
        return f"{folder.parent.parent.name}, step {info.step}"
    return folder.name


def made_by(folder: Path, info: checkpoint.Info) -> str:
    """The command of the run that a checkpoint belongs to, and the step; "" if there is no run."""
    config = folder.parent.parent / "config.json"
    if folder.parent.name != "checkpoints" or not config.is_file():
        return ""
    run = read_json(config)
    command, task, seed = run["command"], run["task"], run.get("options", {}).get("seed", 0)
    return f"python -m minilrm.{command} --task {task} --seed {seed}, at step {info.step}"


# -- parts -----------------------------------------------------------------------------------------


def pack_weights(model: Transformer) -> str:
    """All weights in the order of `state_dict`: bfloat16, upper bytes first, gzip, base64.

    >>> from minilrm.model import SCALES
    >>> packed = pack_weights(Transformer(SCALES["pico"]))
    >>> len(gzip.decompress(base64.b64decode(packed)))  # two bytes a weight
    557760
    """
    flat = torch.cat([tensor.flatten() for tensor in model.state_dict().values()])
    bits = flat.bfloat16().view(torch.int16).numpy().astype("<u2")
    upper, lower = (bits >> 8).astype("u1"), (bits & 255).astype("u1")
    packed = gzip.compress(upper.tobytes() + lower.tobytes(), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")


def pack_tokenizer(tokenizer: Tokenizer) -> dict[str, Any]:
    """Tokens as texts with one character a byte, in the order of their ids; special ones by
    name."""
    return {
        # JavaScript's \s is not that of the others: Unicode's own name for it is the same in all.
        "pattern": PATTERN.replace(r"\s", r"\p{White_Space}").replace(r"\S", r"\P{White_Space}"),
        "specials": list(tokenizer.specials),
        "tokens": [token.decode("latin-1") for token in tokenizer.ordinary],
        "eos": tokenizer.eos_id,
    }


def pack_task(task: Task, tokenizer: Tokenizer, n_problems: int) -> dict[str, Any]:
    """The task: how it asks, where its steps and its answer are, and some problems.

    reflection: of tasks whose traces announce another attempt, the word, the ids without which it
    cannot be said, and the text that a force puts behind a rejected attempt.
    """
    traced = isinstance(task, TracedTask)
    return {
        "name": task.name,
        "mark": task.mark,
        "step_ends": task.step_ends,
        "longest": task.max_new_tokens,
        "judge": "countdown" if isinstance(task, Countdown) else "answer",
        "frames": {
            language: task.render(Problem(task.name, "{}", "", "", meta={"language": language}))
            for language in ("en", "es")
        },
        "reflection": {
            "word": REFLECTION_WORD,
            "ban": reflection_ids(tokenizer),
            "reject": f" {REJECT}",
            "again": AGAIN,
        }
        if traced
        else None,
        "problems": [
            pack_problem(task, problem) for problem in task.problems("validation", n_problems)
        ],
    }


def pack_problem(task: Task, problem: Problem) -> dict[str, Any]:
    """The question, the prompt, and the right answer."""
    packed = {
        "question": problem.prompt,
        "prompt": task.render(problem),
        "answer": problem.answer,
    }
    if isinstance(task, Countdown):
        packed |= {key: problem.meta[key] for key in ("numbers", "target")}
    return packed
