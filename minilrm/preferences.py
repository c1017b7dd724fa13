"""Preferences: pairs of answers to one question, and the annotator who says which is better.

An annotator compares two answers by a quality, which is a weighted sum of rewards (`rewards.py`):
the grader's verdict, a rule for the manner, a reward model. `noise` is the share of verdicts that
are the wrong way round, as some of people's are (Christiano et al., 1706.03741; Ouyang et al.,
2203.02155).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from minilrm import loop, rewards
from minilrm.options import option
from minilrm.rewards import Judge
from minilrm.rollout import Episode
from minilrm.tokenizer import Tokenizer


@dataclass
class Options(loop.Options):
    """What every command that learns from pairs is asked."""

    samples: int = option(
        8, "answers to each question, among which a pair is looked for", minimum=2
    )
    reward: dict[str, float] = option(
        {"accuracy": 1.0},
        "what makes an answer the better one: rewards with their weights, as in minilrm.grpo",
        minimum=0,
    )
    noise: float = option(
        0.0, "share of pairs that are taken the wrong way round", minimum=0, maximum=1
    )
    pairs_per_batch: int = option(16, "pairs in a micro-batch", minimum=1)


def judge_of(options: Options, tokenizer: Tokenizer) -> Judge:
    """The rewards that say which answer is better. UserError for a reward model that does not read
    as the policy does."""
    judge = Judge(rewards.chosen(options.reward))
    judge.share_tokenizer(tokenizer)
    return judge


class Pair(NamedTuple):
    """Two answers to one question."""

    better: Episode
    worse: Episode


def pair_of(
    group: Sequence[Episode],
    qualities: Sequence[float],
    rng: random.Random,
    *,
    noise: float = 0.0,
    matched: bool = False,
) -> Pair | None:
    """One of the best and one of the worst answers to a question, at random; None where all are
    equally good.

    noise: the chance that they are taken for one another. matched: of all such pairs, one whose
    lengths differ least, so that nothing can be learnt from the length.
    """
    high, low = max(qualities), min(qualities)
    if high == low:
        return None
    best = [e for e, quality in zip(group, qualities, strict=True) if quality == high]
    worst = [e for e, quality in zip(group, qualities, strict=True) if quality == low]
    if matched:
        pair = min(
            (Pair(b, w) for b in best for w in worst),
            key=lambda pair: abs(pair.better.length - pair.worse.length),
        )
    else:
        pair = Pair(rng.choice(best), rng.choice(worst))
    return Pair(*reversed(pair)) if noise and rng.random() < noise else pair


class Annotator:
    """Says which of the answers to a question is better, by the rewards of `judge`."""

    def __init__(self, judge: Judge, *, noise: float = 0.0, matched: bool = False):
        self.judge, self.noise, self.matched = judge, noise, matched

    def __call__(self, groups: Sequence[Sequence[Episode]], rng: random.Random) -> list[Pair]:
        """A pair of each group that has two answers of different quality."""
        return [pair for pair in self.of_each(groups, [rng] * len(groups)) if pair]

    def of_each(
        self, groups: Sequence[Sequence[Episode]], rngs: Sequence[random.Random]
    ) -> list[Pair | None]:
        """The pair of each group, drawn by dice of its own; None where it has no two answers of
        different quality. Answers whose quality cannot be told are left out."""
        self.judge(groups)
        return [self.pair(group, rng) for group, rng in zip(groups, rngs, strict=True)]

    def pair(self, group: Sequence[Episode], rng: random.Random) -> Pair | None:
        valid = [e for e in group if e.valid]
        if len(valid) < 2:
            return None
        qualities = [e.reward for e in valid]
        return pair_of(valid, qualities, rng, noise=self.noise, matched=self.matched)
