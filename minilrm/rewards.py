"""Rewards: episodes in, numbers out. Those here are rules (DeepSeek-R1, arXiv 2501.12948, section
2.2.2).

A reward function looks at a whole batch of finished episodes and returns a number for each, so that
a model can be one, too:

    def short(episodes):
        return [1.0 if episode.length < 50 else 0.0 for episode in episodes]

    grpo.train(grpo.Options(reward={"accuracy": 1.0, "short": 0.1}), rewards={"short": short})

On the command line, `--reward accuracy=1 my_module:short=0.1`. An episode earns the weighted sum.
Where a function raises, hangs, or gives something that is no finite number, the episode is marked
invalid and counted apart from "wrong": it enters neither its group's mean nor the loss.
"""

from __future__ import annotations

import ctypes
import importlib
import math
import random
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch

from minilrm import devices, manner, objectives
from minilrm.errors import UserError
from minilrm.options import nearest
from minilrm.rollout import Episode, valid_episodes
from minilrm.scorers import ByModel, Written, open_judge, share_tokenizer
from minilrm.tasks import get_task
from minilrm.tokenizer import Tokenizer

RewardFunction = Callable[[Sequence[Episode]], Sequence[float]]

DEADLINE = 60.0  # seconds that a function which is not one of ours may take for a batch


# -- the rules -------------------------------------------------------------------------------------


def accuracy(episodes: Sequence[Episode]) -> list[float]:
    """1 if the answer is right, else 0."""
    return [float(e.grade.correct) for e in episodes]


def formatted(episodes: Sequence[Episode]) -> list[float]:
    """1 if there is exactly one answer, in the form the task asks for, with nothing after it and
    the end reached."""
    return [float(e.grade.formatted and e.finish_reason == "eos") for e in episodes]


REWARDS: dict[str, RewardFunction] = {
    "accuracy": accuracy,
    "format": formatted,
    "language": manner.shares,
    "one-language": manner.one_language,
    "repetition": manner.repetition,
    "length": manner.length,
}
MODEL = "model@"  # what stands before the folder of a reward model


# -- several together ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reward:
    """A function under its name, with its weight in the sum. `ours`: a rule of this file, which can
    neither hang nor fail."""

    name: str
    function: RewardFunction
    weight: float
    ours: bool = False


def chosen(
    weights: Mapping[str, float], own: Mapping[str, RewardFunction] | None = None
) -> list[Reward]:
    """The rewards that an option such as `{"accuracy": 1, "format": 0.1}` names; weight 0 leaves
    one out.

    A name is one of REWARDS, one of `own`, `module:function`, or `model@FOLDER` for a reward model.
    UserError for any other name.
    """
    found = []
    for name, weight in weights.items():
        if not weight:
            continue
        if own and name in own:
            found.append(Reward(name, own[name], weight))
        elif name in REWARDS:
            found.append(Reward(name, REWARDS[name], weight, ours=True))
        elif name.startswith(MODEL):
            found.append(Reward(name, ByRewardModel(name.removeprefix(MODEL)), weight, ours=True))
        else:
            found.append(Reward(name, imported(name), weight))
    return found


def imported(name: str) -> RewardFunction:
    """The function that "module:function" names. UserError if there is none."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise UserError(
            f"no reward is called {name!r}{nearest(name, REWARDS)} (there are "
            f"{', '.join(REWARDS)}, and {MODEL}FOLDER for a reward model); one of your own is "
            "named module:function, or passed in Python: train(options, rewards={name: function})"
        )
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # importing runs code of the user's, which may fail in any way
        raise UserError(f"the reward {name!r} cannot be imported: {error!r}") from error
    if not callable(function):
        raise UserError(f"the reward {name!r} is no function")
    return function


class ByRewardModel:
    """What a reward model says of whole answers: its score at the last token, in [0, 1].

    It is opened at once, so that a folder which is none is refused before the run begins."""

    def __init__(self, folder: str):
        self.folder = folder
        self.scorers: dict[str, ByModel] = {}
        self.judge = open_judge(folder, get_task("arithmetic"))

    def __call__(self, episodes: Sequence[Episode]) -> list[float]:
        pieces = [
            (e.problem, Written(tuple(e.completion_ids), e.text, len(e.completion_ids), 0.0))
            for e in episodes
        ]
        judge = self.of_task(episodes[0].problem.task) if episodes else self.judge
        return [scores[-1] for scores in judge(pieces)]

    def of_task(self, name: str) -> ByModel:
        """The judge as one of this task's answers, whose prompts and steps it has to know."""
        if name not in self.scorers:
            judge = self.judge
            self.scorers[name] = ByModel(judge.model, judge.head, judge.tokenizer, get_task(name))
        return self.scorers[name]


class Judge:
    """Applies rewards to episodes, and says once what is wrong with a function that fails."""

    def __init__(self, rewards: Sequence[Reward], deadline: float = DEADLINE):
        self.rewards, self.deadline = rewards, deadline
        self.complained: set[str] = set()

    def __call__(self, groups: Sequence[Sequence[Episode]]) -> int:
        """Set `rewards`, `reward` and `valid` of every episode; return how many are invalid."""
        episodes = [e for group in groups for e in group]
        for e in episodes:
            e.rewards, e.reward, e.valid = {}, 0.0, True
        for reward in self.rewards:
            for e, value in zip(episodes, self.values(reward, episodes), strict=True):
                e.rewards[reward.name] = value
                e.valid = e.valid and math.isfinite(value)
                e.reward += reward.weight * value
        for e in episodes:
            e.reward = e.reward if e.valid else 0.0
        return sum(not e.valid for e in episodes)

    def values(self, reward: Reward, episodes: Sequence[Episode]) -> list[float]:
        """What a function says of each episode; NaN where it says nothing that can be used."""
        try:
            given = (
                reward.function(episodes)
                if reward.ours
                else within(self.deadline, reward.function, episodes)
            )
            given = given.tolist() if hasattr(given, "tolist") else list(given)
            if len(given) != len(episodes):
                raise ValueError(f"it returned {len(given)} numbers for {len(episodes)} episodes")
        # A user's function may fail in any way; that must not stop the run.
        except Exception as error:
            self.complain(reward, repr(error))
            return [math.nan] * len(episodes)
        values = [as_number(value) for value in given]
        bad = next(
            (v for v, number in zip(given, values, strict=True) if not math.isfinite(number)), None
        )
        if bad is not None:
            self.complain(reward, f"it returned {bad!r:.60}, which is no finite number")
        return values

    def share_tokenizer(self, tokenizer: Tokenizer) -> None:
        """Let reward models read as the policy does. UserError for one of another tokenizer."""
        for reward in self.rewards:
            if isinstance(reward.function, ByRewardModel):
                share_tokenizer(reward.function.judge, reward.function.folder, tokenizer)

    def complain(self, reward: Reward, trouble: str) -> None:
        if reward.name not in self.complained:
            self.complained.add(reward.name)
            print(
                f"the reward {reward.name!r} failed: {trouble}. Its completions count as invalid, "
                "not as wrong (said once)",
                file=sys.stderr,
                flush=True,
            )


def as_number(value: Any) -> float:
    """A value as a float; NaN for what is no number. True and "1" are no numbers.

    >>> [as_number(v) for v in (1, 0.5, True, "1", None)]
    [1.0, 0.5, nan, nan, nan]
    """
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan


# -- a function that may hang or leave -------------------------------------------------------------


class Late(Exception):
    """Raised within a function that has run past its deadline."""


def within(seconds: float, function: RewardFunction, episodes: Sequence[Episode]) -> Any:
    """`function(episodes)`, given up after so many seconds (TimeoutError).

    It runs in a thread of its own. What hangs in Python is ended there by an exception; what hangs
    in another library stays behind, asleep or busy, until this process ends. SystemExit becomes an
    error like any other.
    """
    result: list[Any] = []
    failure: list[BaseException] = []

    def call() -> None:
        try:
            result.append(function(episodes))
        except BaseException as error:  # SystemExit, too: a function has no right to end the run
            failure.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(thread.ident or 0), ctypes.py_object(Late)
        )
        raise TimeoutError(f"it took longer than {seconds:g} seconds")
    if failure:
        raise failure[0] if isinstance(failure[0], Exception) else RuntimeError(repr(failure[0]))
    return result[0]


# -- behind the sum -------------------------------------------------------------------------------


def punish_length(groups: Sequence[Sequence[Episode]], longest: int, cache: int) -> None:
    """Take DAPO's soft overlong penalty from the rewards."""
    episodes = valid_episodes(groups)
    lengths = torch.tensor([e.length for e in episodes])
    penalties = objectives.soft_overlong_penalty(lengths, longest, cache)
    for e, penalty in zip(episodes, penalties.tolist(), strict=True):
        e.reward += penalty


# -- a control -------------------------------------------------------------------------------------


def shuffle(groups: Sequence[Sequence[Episode]], seed: int) -> None:
    """Hand the batch's rewards out at random among its valid episodes, those of other processes
    too: as many as before, but for nothing. A control."""
    parts = devices.joined([[e.reward for e in group if e.valid] for group in groups])
    values = [reward for part in parts for reward in part]
    random.Random(seed).shuffle(values)
    dealt = iter(values)
    places = devices.share([[next(dealt) for _ in part] for part in parts])
    for group, own in zip(groups, places, strict=True):
        for episode, value in zip([e for e in group if e.valid], own, strict=True):
            episode.reward = value
