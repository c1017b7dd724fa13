"""Put a set of problems to a model, grade its answers, and count: what training and final figures
have in common.

    scores, episodes = measure(model, tokenizer, task, problems, seed=1,
    max_new_tokens=task.max_new_tokens)

Two rules keep the figures honest. An interval counts problems, not samples: two samples of one
problem are not independent, and an interval that took them as such would be too narrow. And a rate
of fewer than 20 cases is never printed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from minilrm.errors import UserError
from minilrm.intervals import TOO_FEW, mean, wilson_interval
from minilrm.model import Transformer
from minilrm.rollout import Episode, fitting, rollout
from minilrm.sampler.workers import Workers
from minilrm.tasks.base import Problem, Task
from minilrm.tokenizer import Tokenizer
from minilrm.tools import Toolbox

Groups = Sequence[Sequence[Episode]]


@dataclass(frozen=True)
class Scores:
    """The figures of one pass over a set of problems. A rate of nothing is NaN, which our JSON
    writes as null.

    accuracy: share of right answers, of all samples; accuracy_ci: its 95 % Wilson interval over `n`
    problems. formatted: share that is well-formed and ends by itself. think_rate: share that thinks
    before it answers; accuracy_thinking, accuracy_reflex: accuracy of those and of the others;
    thinking_n: how many think. mean_length: tokens per completion; clipped_ratio: share cut off at
    the limit; tokens: all of them. greedy: accuracy at temperature 0 on the same problems, where it
    was measured.
    """

    accuracy: float
    accuracy_ci: tuple[float, float]
    formatted: float
    think_rate: float
    thinking_n: int
    accuracy_thinking: float
    accuracy_reflex: float
    mean_length: float
    clipped_ratio: float
    n: int
    tokens: int
    seconds: float = float("nan")
    greedy: float | None = None

    @classmethod
    def of(cls, groups: Groups) -> Scores:
        """The scores of graded answers: a group of samples for each problem."""
        episodes = [e for group in groups for e in group]
        accuracy = mean([e.grade.correct for e in episodes])
        thinking = [e.grade.correct for e in episodes if e.thinks]
        return cls(
            accuracy=accuracy,
            accuracy_ci=wilson_interval(accuracy * len(groups), len(groups)),
            formatted=mean([e.grade.formatted and e.finish_reason == "eos" for e in episodes]),
            think_rate=mean([e.thinks for e in episodes]),
            thinking_n=len(thinking),
            accuracy_thinking=mean(thinking),
            accuracy_reflex=mean([e.grade.correct for e in episodes if not e.thinks]),
            mean_length=mean([e.length for e in episodes]),
            clipped_ratio=mean([e.finish_reason == "length" for e in episodes]),
            n=len(groups),
            tokens=sum(e.length for e in episodes),
        )

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Scores:
        """`as_dict` backwards, as read from JSON (where NaN is null)."""
        nan = float("nan")
        values: dict[str, Any] = {
            name: nan if value is None and name != "greedy" else value
            for name, value in saved.items()
        }
        return cls(**{**values, "accuracy_ci": tuple(values["accuracy_ci"])})

    def as_dict(self) -> dict[str, Any]:
        """For a log: `greedy` only where it was measured."""
        values = asdict(self)
        return (
            values
            if self.greedy is not None
            else {k: v for k, v in values.items() if k != "greedy"}
        )

    def words(self) -> str:
        """The figures in a line for a person; a rate of fewer than 20 cases is none."""
        if self.n < TOO_FEW:
            return f"too few problems for a rate (n = {self.n}), mean length {self.mean_length:.0f}"
        low, high = self.accuracy_ci
        parts = [f"accuracy {self.accuracy:.1%} ({low:.1%} to {high:.1%})"]
        parts += [] if self.greedy is None else [f"greedy {self.greedy:.1%}"]
        parts += [f"thinks {self.think_rate:.1%}"]
        if self.thinking_n >= TOO_FEW:
            parts += [f"right when thinking {self.accuracy_thinking:.1%}"]
        return ", ".join([*parts, f"mean length {self.mean_length:.0f}"])


def measure(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    *,
    seed: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    style: str = "plain",
    samples: int = 1,
    dtype: torch.dtype | None = None,
    workers: Workers | None = None,
    tools: Toolbox | None = None,
) -> tuple[Scores, list[Episode]]:
    """Answer the problems once (or `samples` times) each: (scores, episodes).

    Prompts too long for the context are left out; `n` counts the problems that were asked. `dtype`
    is the precision to decode in (None: the model's own). `workers`: processes that decode a share
    of them. `tools`: what the model may call. UserError if no prompt fits.
    """
    evaluator = Evaluator(
        model,
        tokenizer,
        task,
        list(problems),
        max_new_tokens,
        seed,
        dtype,
        styles=(style,),
        workers=workers,
        tools=tools,
    )
    groups = evaluator(temperature, style, samples)
    return evaluator.scores(groups), [e for group in groups for e in group]


@dataclass
class Evaluator:
    """Puts the same problems to a model in several ways, and counts what that costs.

    Problems whose prompt is too long in any of `styles` are dropped at the start, so that all ways
    ask the same ones. `report` is told of every pass as it ends.
    """

    model: Transformer
    tokenizer: Tokenizer
    task: Task
    problems: list[Problem]
    max_new_tokens: int
    seed: int
    dtype: torch.dtype | None = None
    styles: tuple[str, ...] = ("plain",)
    report: Callable[[str], None] = field(default=lambda line: None)
    workers: Workers | None = None
    tools: Toolbox | None = None
    too_long: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        asked = self.problems
        for style in self.styles:
            asked = self.fitting(asked, style)
        self.too_long = len(self.problems) - len(asked)
        self.problems = asked
        if not asked:
            raise UserError(
                f"no prompt leaves room for {self.max_new_tokens} new tokens in a context of "
                f"{self.model.config.max_seq_len}; there is nothing to ask"
            )

    def fitting(self, problems: Sequence[Problem], style: str = "plain") -> list[Problem]:
        room = self.model.config.max_seq_len - self.max_new_tokens
        return fitting(self.task, self.tokenizer, problems, room, style)

    def __call__(
        self,
        temperature: float,
        style: str = "plain",
        samples: int = 1,
        problems: Sequence[Problem] | None = None,
    ) -> list[list[Episode]]:
        """`samples` graded answers to each problem."""
        started = time.perf_counter()
        groups = rollout(
            self.model,
            self.tokenizer,
            self.task,
            self.problems if problems is None else problems,
            group_size=samples,
            max_new_tokens=self.max_new_tokens,
            temperature=temperature,
            seed=self.seed,
            style=style,
            dtype=self.dtype,
            workers=self.workers,
            tools=self.tools,
        )
        scores, seconds = Scores.of(groups), time.perf_counter() - started
        self.tokens += scores.tokens
        self.seconds += seconds
        right = f"{scores.accuracy:.1%} right" if len(groups) >= TOO_FEW else "too few for a rate"
        self.report(
            f"{style}, temperature {temperature:g}: {len(groups)} x {samples} answers, {right}, "
            f"{seconds:.0f} s"
        )
        return groups

    def scores(self, groups: Groups) -> Scores:
        """The scores of answers, with the seconds that all passes so far took."""
        return Scores(**{**vars(Scores.of(groups)), "seconds": self.seconds})
