"""Rule-based rewards: episodes in, numbers out (DeepSeek-R1, arXiv 2501.12948, section 2.2.2).

A reward function looks at one finished episode. If it raises or gives no finite number, that
episode is marked invalid and counted apart from "wrong": it enters neither its group's mean nor the
loss.
"""

import math
import random
from collections.abc import Callable, Sequence

from minilrm.rollout import Episode

RewardFunction = Callable[[Episode], float]


def accuracy(episode: Episode) -> float:
    """1 if the answer is right, else 0."""
    return float(episode.grade.correct)


def formatted(episode: Episode) -> float:
    """1 if there is exactly one answer, in the form the task asks for, with nothing after it and
    the end reached."""
    return float(episode.grade.formatted and episode.finish_reason == "eos")


REWARDS: dict[str, RewardFunction] = {"accuracy": accuracy, "format": formatted}


def weighted(weights: dict[str, float]) -> RewardFunction:
    """The weighted sum of named rewards: `weighted({"accuracy": 1, "format": 0.1})`."""
    parts = [(REWARDS[name], weight) for name, weight in weights.items() if weight]
    return lambda episode: sum(weight * function(episode) for function, weight in parts)


def apply(groups: Sequence[Sequence[Episode]], reward: RewardFunction) -> int:
    """Set `reward` and `valid` of every episode; return how many are invalid."""
    invalid = 0
    for episode in (e for group in groups for e in group):
        try:
            value = float(reward(episode))
        except Exception:  # a user's function may fail in any way; that must not stop the run
            value = math.nan
        episode.valid = math.isfinite(value)
        episode.reward = value if episode.valid else 0.0
        invalid += not episode.valid
    return invalid


def shuffle(groups: Sequence[Sequence[Episode]], seed: int) -> None:
    """Hand the batch's rewards out at random among its valid episodes: as many as before, but for
    nothing. A control."""
    episodes = [e for group in groups for e in group if e.valid]
    values = [e.reward for e in episodes]
    random.Random(seed).shuffle(values)
    for episode, value in zip(episodes, values, strict=True):
        episode.reward = value
