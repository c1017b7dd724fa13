"""What the doctor reads of a run: its options, its training lines, the transcripts of its last
evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilrm.errors import UserError
from minilrm.runlog import RunLog
from minilrm.tasks import TASKS, Task, task_class

COMMANDS = ("grpo", "ppo")  # whose logs have what the checks read
# in every training line of theirs
NEEDED = ("reward", "accuracy", "entropy", "completions/mean_length")
FIRST = 3  # steps before anything can have moved far


@dataclass(frozen=True)
class Run:
    """A run as the checks see it. `train`: figure -> one value per step, None where it was not
    logged.

    START and END of a figure are its means over the first and over the last fifth of the steps,
    five at least. Where a figure was not logged they are NaN, with which no comparison holds, so
    that no check speaks without evidence.

    >>> run = Run("demo", {"lr": 1e-4}, {"reward": [0.0] * 5 + [1.0] * 5})
    >>> run.start("reward"), run.end("reward"), run.end("kl")
    (0.0, 1.0, nan)
    """

    name: str
    options: Mapping[str, Any]
    train: Mapping[str, list[float | None]]
    samples: tuple[dict[str, Any], ...] = ()

    @property
    def steps(self) -> int:
        return len(self.train["reward"])

    @property
    def window(self) -> int:
        return max(5, self.steps // 5)

    @property
    def steps_per_batch(self) -> float:
        """Optimizer steps on one batch of rollouts; 1 is on-policy. A batch is cut by question, so
        at most `prompts` times."""
        return min(self.option("updates", 1), self.option("prompts", 32)) * self.option("epochs", 1)

    @property
    def task(self) -> type[Task]:
        """The class of the run's task, which finds the answers in its transcripts. A task that is
        not known here is taken to follow the base class's convention."""
        name = self.options.get("task")
        return task_class(name) if name in TASKS else Task

    @property
    def texts(self) -> list[str]:
        """What the model wrote in the last evaluation."""
        return [str(sample.get("completion", "")) for sample in self.samples]

    def option(self, name: str, default: float = 0) -> float:
        """An option's number; the default where it is unset, or no number."""
        value = self.options.get(name)
        return value if isinstance(value, (int, float)) else default

    def weight(self, reward: str) -> float:
        """The weight of a reward in the sum that was paid; the defaults where no option says."""
        weights = self.options.get("reward")
        weights = weights if isinstance(weights, Mapping) else {"accuracy": 1.0, "format": 0.1}
        value = weights.get(reward, 0.0)
        return value if isinstance(value, (int, float)) else 0.0

    def column(self, key: str) -> np.ndarray:
        """The figure in every step, NaN where it was not logged."""
        values = self.train.get(key, [None] * self.steps)
        return np.array([np.nan if value is None else float(value) for value in values])

    def values(self, key: str) -> np.ndarray:
        """The figure in the steps that logged it."""
        column = self.column(key)
        return column[~np.isnan(column)]

    def first(self, key: str) -> float:
        """The mean over the first three steps."""
        return _mean(self.values(key)[:FIRST])

    def start(self, key: str) -> float:
        return _mean(self.values(key)[: self.window])

    def end(self, key: str) -> float:
        return _mean(self.values(key)[-self.window :])

    def mean(self, key: str) -> float:
        return _mean(self.values(key))

    def best(self, key: str) -> float:
        """The highest mean over as many neighbouring steps as START and END have."""
        values, width = self.values(key), self.window
        return max(
            (_mean(values[i : i + width]) for i in range(max(1, len(values) - width + 1))),
            default=np.nan,
        )

    def format_rate(self) -> np.ndarray:
        """The share of well-formed answers in each step, as the reward tells it: (reward -
        w_accuracy accuracy) / w_format.

        Empty where the format is not paid for, or where something else is.
        """
        paid, weight = self.weight("accuracy") * self.column("accuracy"), self.weight("format")
        if not weight:
            return np.array([])
        rate = (self.column("reward") - paid) / weight
        return rate if np.all((rate > -0.05) & (rate < 1.05)) else np.array([])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def from_log(log: RunLog) -> Run:
    """The run in a folder. UserError if it is none of ours, or has nothing to read yet."""
    command, options = log.config.get("command"), log.config.get("options")
    if not isinstance(command, str) or not isinstance(options, dict):
        raise UserError(
            f"{log.folder / 'config.json'} was not written by minilrm: it names no command with "
            "options"
        )
    if command not in COMMANDS:
        raise UserError(
            f"{log.folder} is a run of {command}; the doctor reads runs of {' and '.join(COMMANDS)}"
        )
    lines = log.metrics("train")
    if not lines:
        raise UserError(
            f"{log.folder} is empty: no training step is in its metrics.jsonl; let it run, or name "
            "another"
        )
    return Run(
        str(log.folder),
        options,
        columns(lines, log.folder / "metrics.jsonl"),
        last_samples(log.samples()),
    )


def columns(lines: list[dict[str, Any]], where: Path) -> dict[str, list[float | None]]:
    """Training lines, figure by figure. UserError if one is not a line of grpo or ppo."""
    for number, line in enumerate(lines, start=1):
        # null: not finite
        odd = [
            key
            for key in NEEDED
            if not (_is_number(line.get(key, "")) or line.get(key, "") is None)
        ]
        if odd:
            raise UserError(
                f"{where}, training line {number}: no number under {odd[0]!r}; this is a log of "
                "another program, the doctor reads those of minilrm's grpo and ppo"
            )
    keys = dict.fromkeys(key for line in lines for key in line)
    return {
        key: [line[key] if _is_number(line.get(key)) else None for line in lines] for key in keys
    }


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def last_samples(samples: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The transcripts of the last evaluation."""
    last = max((sample.get("step") or 0 for sample in samples), default=0)
    return tuple(sample for sample in samples if (sample.get("step") or 0) == last)
