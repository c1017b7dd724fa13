"""Verifiers: who says how good a step is.

A scorer is called with (problem, text) pairs and gives each text a score for every step that
ended among its new tokens, in [0, 1], higher is better; `reads` says whether it reads the tokens
that it judges, and so has to be paid for them.

    ByChecker    the task's exact check: can the answer still be reached?     free, knows the truth
    ByLikelihood how likely the model found the step itself                    free
    ByModel      a reward model (`minilrm.reward_model`)                       a token per token
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from minilrm import checkpoint
from minilrm.batches import pad
from minilrm.errors import UserError
from minilrm.model import ScalarHead, Transformer
from minilrm.tasks.base import Problem, Task
from minilrm.tokenizer import Tokenizer


@dataclass(frozen=True)
class Written:
    """What a verifier is shown.

    ids, text: all tokens behind the prompt. new: how many of them, at the end, are to be judged.
    logprob: the sum over the new ones.
    """

    ids: tuple[int, ...]
    text: str
    new: int
    logprob: float


Rows = Sequence[tuple[Problem, Written]]
AT_ONCE = 256  # rows that a reward model reads side by side
HEAD = "reward"  # the head's name in a reward model's checkpoint


class Scorer(Protocol):
    reads: bool

    def __call__(self, rows: Rows) -> list[tuple[float, ...]]: ...


def step_enders(task: Task, tokenizer: Tokenizer) -> list[bool]:
    """For each token of the vocabulary, whether it ends a step of the task's solutions."""
    texts = [tokenizer.decode([i]) for i in range(len(tokenizer))]
    return [any(c in text for c in task.step_ends) for text in texts]


class ByLikelihood:
    """The geometric mean of the probabilities that the model gave to the new tokens."""

    reads = False

    def __call__(self, rows: Rows) -> list[tuple[float, ...]]:
        return [(float(torch.tensor(p.logprob / max(1, p.new)).exp()),) for _, p in rows]


class ByChecker:
    """1.0 for a step after which its attempt can still become right, 0.0 for one after which it
    cannot: exact, by the task's own rule. What no model can beat."""

    reads = False

    def __init__(self, task: Task):
        self.task = task

    def __call__(self, rows: Rows) -> list[tuple[float, ...]]:
        return [(float(self.task.step_labels(problem, piece.text)[-1]),) for problem, piece in rows]


class ByModel:
    """A reward model: a transformer with a head that gives one number per token. A step's score is
    the sigmoid of the number at the step's last token."""

    reads = True

    def __init__(self, model: Transformer, head: nn.Module, tokenizer: Tokenizer, task: Task):
        self.model, self.head, self.tokenizer, self.task = model, head, tokenizer, task
        self.ends_step = step_enders(task, tokenizer)
        for end in tokenizer.end_ids:
            self.ends_step[end] = True

    def __call__(self, rows: Rows) -> list[tuple[float, ...]]:
        found: dict[int, tuple[float, ...]] = {}
        whole = [
            [*self.task.encode_prompt(self.tokenizer, self.task.render(problem)), *piece.ids]
            for problem, piece in rows
        ]
        order = sorted(range(len(rows)), key=lambda i: len(whole[i]))
        for start in range(0, len(order), AT_ONCE):
            part = order[start : start + AT_ONCE]
            ids = pad([whole[i] for i in part], value=-1)
            with torch.inference_mode():
                numbers = self.head(self.model.hidden(ids.clamp(min=0))).sigmoid()
            for row, i in enumerate(part):
                found[i] = self.of_new(numbers[row].tolist(), whole[i], rows[i][1].new)
        return [found[i] for i in range(len(rows))]

    def of_new(self, numbers: list[float], ids: Sequence[int], new: int) -> tuple[float, ...]:
        """The scores at the ends of the new steps; at the last token if none has ended."""
        places = [p for p in range(len(ids) - new, len(ids)) if self.ends_step[ids[p]]]
        return tuple(numbers[p] for p in places or [len(ids) - 1])


# -- by name ---------------------------------------------------------------------------------------


def open_judge(where: str, task: Task, device: torch.device | None = None) -> ByModel:
    """A trained judge from its checkpoint or run folder, ready to score. UserError if it has no
    reward head."""
    folder, model, tokenizer, _ = checkpoint.open_model(where, device or torch.device("cpu"))
    head = ScalarHead(model.config.dim).to(next(model.parameters()).device)
    checkpoint.load_heads(folder, {HEAD: head})
    return ByModel(model, head, tokenizer, task)


def verifier(name: str, task: Task, tokenizer: Tokenizer, device: torch.device) -> Scorer:
    """The verifier that a user names: "likelihood", "checker", or a reward model's folder.
    UserError for a reward model whose tokens are not those of the model that it would judge."""
    if name == "likelihood":
        return ByLikelihood()
    if name == "checker":
        task.step_labels(task.problems("validation", 1)[0], "")  # refused now, if ever
        return ByChecker(task)
    judge = open_judge(name, task, device)
    share_tokenizer(judge, name, tokenizer)
    return judge


def share_tokenizer(judge: ByModel, name: str, tokenizer: Tokenizer) -> None:
    """Let a judge read prompts as the model that it judges does, which may chat. UserError for a
    judge that would take that model's tokens for other texts."""
    if judge.tokenizer.fingerprint() != tokenizer.fingerprint():
        raise UserError(f"the reward model {name} has another tokenizer than the model it judges")
    judge.tokenizer = tokenizer
