"""What the trainers share whose policy learns from what it says itself: grpo and ppo.

    problems -> rollout -> rewards -> [the trainer's own: advantages, losses] -> optimizer steps

No formula stands here: those are in objectives/ and values.py. The loop is in loop/.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from minilrm import devices, loop, machine, reflection, rewards, tool_use
from minilrm.beginnings import starting_point
from minilrm.errors import UserError
from minilrm.intervals import TOO_FEW
from minilrm.measure import Scores
from minilrm.model import SCALES, Transformer
from minilrm.options import fill, option
from minilrm.rollout import (
    Episode,
    episode_logprobs,
    group_metrics,
    micro_batches,
    rollout,
    unstack,
    valid_episodes,
)
from minilrm.sampler import WORTH_SHARING, workers
from minilrm.tasks import Problem, TracedTask
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import ForeignTokenizer, Tokenizer
from minilrm.tools import toolbox

Groups = Sequence[Sequence[Episode]]


@dataclass
class Options(loop.Options):
    """What every trainer is asked that samples from the policy it trains."""

    init: str = option("base", "start: base (shipped), scratch, or a checkpoint or run folder")
    scale: str = option("micro", "size of the model with --init scratch", choices=tuple(SCALES))
    steps: int = option(100, "rollout batches", minimum=0)
    prompts: int = option(32, "questions per step", minimum=1, group="rollout")
    group_size: int = option(8, "completions per question (G)", minimum=2, group="rollout")
    temperature: float = option(
        1.0, "sampling temperature of rollouts", exclusive_minimum=0, group="rollout"
    )
    max_new_tokens: int | None = option(
        None, "longest completion; the task's own if not given", minimum=1, group="rollout"
    )
    style: str = option(
        "plain", "how the prompt is written", choices=("plain", "cot"), group="rollout"
    )
    reward: dict[str, float] = option(
        {"accuracy": 1.0, "format": 0.1},
        "what is rewarded, each with its weight: accuracy, format, language, one-language, "
        "repetition, length, model@FOLDER (a reward model), or module:function (rewards.py)",
        minimum=0,
        group="reward",
    )
    shuffle_rewards: bool = option(
        False,
        "control: hand the rewards of each batch out at random, so that they teach nothing",
        group="reward",
    )
    overlong_cache: int | None = option(
        None,
        "the last so many tokens before the longest completion cost reward, from 0 down to -1 "
        "(DAPO's soft overlong penalty)",
        minimum=1,
        group="reward",
    )
    tools: str | None = tool_use.tools_option()
    database: Path | None = tool_use.database_option()
    call_price: float = option(
        0.0, "what each call of a tool takes from the reward", minimum=0, group="tools"
    )
    updates: int = option(
        1,
        "optimizer steps per rollout batch, each on a share of its questions",
        minimum=1,
        group="optimizer",
    )
    epochs: int = option(1, "passes over each rollout batch", minimum=1, group="optimizer")
    lr: float = option(
        2e-4, "highest learning rate of AdamW", exclusive_minimum=0, group="optimizer"
    )
    warmup: int = option(
        5, "steps over which the learning rate rises", minimum=0, group="optimizer"
    )
    lr_hold: int = option(
        15,
        "steps after which it falls as 1/step, whatever the length of the run; 0: never",
        minimum=0,
        group="optimizer",
    )
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0, group="optimizer")
    max_tokens_per_batch: int = option(
        4096,
        "completion tokens in a micro-batch, padding included: bounds the memory",
        minimum=1,
        group="optimizer",
    )
    eval_every: int = option(20, "steps between evaluations", minimum=1, group="evaluation")
    eval_n: int = option(
        1000, "validation problems before and after", minimum=1, group="evaluation"
    )
    eval_quick: int = option(300, "validation problems in between", minimum=1, group="evaluation")
    collapse: float = option(
        0.5,
        "stop when accuracy falls below this share of its best twice running",
        minimum=0,
        maximum=1,
        group="evaluation",
    )
    save_every: int = option(50, "steps between checkpoints", minimum=1)


@dataclass
class State(loop.State):
    """prompts_dropped: too long for the context; invalid_steps: how many steps in a row the reward
    function failed on most completions."""

    prompts_dropped: int = 0
    invalid_steps: int = 0


class Trainer(loop.Trainer):
    """A policy that samples, is rewarded and learns. A subclass brings its optimizers, a
    `reference` model if it has one, and says what a step is. `rewards`: functions of the caller's
    own, by name."""

    reference: Transformer | None = None

    @classmethod
    def kept(cls, options: Any) -> Sequence[str]:
        # A KL term needs the model of step 0, whose folder may have moved.
        return ("task", "scale") if options.kl_coef else ("task", "scale", "init")

    def __init__(
        self, options: Options, rewards: Mapping[str, rewards.RewardFunction] | None = None
    ):
        super().__init__(options)
        self.options = options = fill(options, {"max_new_tokens": self.task.max_new_tokens})
        self.max_new_tokens = options.max_new_tokens or self.task.max_new_tokens
        self.state: State = State()
        if (options.overlong_cache or 0) > self.max_new_tokens:
            raise UserError(
                f"--overlong-cache {options.overlong_cache} is longer than a completion may be "
                f"({self.max_new_tokens}); choose a smaller one, or raise --max-new-tokens"
            )
        self.tools = toolbox(options.tools, options.database, self.task)
        if options.call_price and not self.tools:
            raise UserError("--call-price is the price of a call, and there is no --tools to call")
        self.model, self.tokenizer, self.origin = starting_point(options)
        self.judge = judge_of(options, rewards, self.tokenizer)
        self.ready(self.model)
        self.style, self.temperature = options.style, options.temperature
        self.collapse = options.collapse
        self.refuse_what_does_not_fit()
        if not (self.tools or isinstance(self.tokenizer, ForeignTokenizer)):
            self.workers = workers.beside_this(self.device)  # they decode, started early
        if self.workers and options.prompts * options.group_size >= WORTH_SHARING:
            self.workers.start()

    def refuse_what_does_not_fit(self) -> None:
        """UserError if hardly any problem leaves room for a completion."""
        try:
            self.draw(0, count=1)
        finally:
            self.state.prompts_dropped = 0

    # -- what steps are made of ------------------------------------------------------------------

    def sample(
        self, step: int, places: Sequence[int] | None = None, again: int = 0
    ) -> list[list[Episode]]:
        """Groups of rewarded completions of the step's questions. `again` > 0: of other questions,
        for these `places` in the batch (see `draw`)."""
        o = self.options
        places = range(o.prompts) if places is None else places
        drawn = self.draw(step, len(places), again)
        rows = [row for row, place in enumerate(places) if devices.local([place])]
        groups = rollout(
            self.model,
            self.tokenizer,
            self.task,
            [drawn[row] for row in rows],
            places=rows,
            group_size=o.group_size,
            max_new_tokens=o.max_new_tokens,
            temperature=o.temperature,
            style=o.style,
            seed=mix_seed(o.seed, step, again),
            dtype=self.decoding_dtype,
            workers=self.workers,
            tools=self.tools,
        )
        invalid = devices.total(self.judge(groups))
        if not again:
            self.watch_invalid(invalid / devices.total(len(rows) * o.group_size))
        if o.overlong_cache:
            rewards.punish_length(groups, o.max_new_tokens, o.overlong_cache)
        if o.call_price:
            tool_use.charge_calls(groups, o.call_price)
        if o.shuffle_rewards:
            rewards.shuffle(groups, mix_seed(o.seed, step, again))
        self.state.tokens_generated += devices.total(sum(e.length for g in groups for e in g))
        self.group = groups[0] if groups else ()
        return groups

    def draw(self, step: int, count: int | None = None, again: int = 0) -> list[Problem]:
        """The step's questions: number i of a run is always the same problem. Too long prompts are
        dropped and counted."""
        count = self.options.prompts if count is None else count
        salt = f"{self.task.name}/redraw-{again}" if again else f"{self.task.name}/rollout"
        found: list[Problem] = []
        index = step * self.options.prompts
        for attempt in range(100 * count):
            if len(found) == count:
                return found
            rng = problem_rng(
                self.options.seed, index + len(found), f"{salt}/{attempt - len(found)}"
            )
            problem = self.task.sample(rng, "train")
            if self.fits(problem):
                found.append(problem)
            else:
                self.state.prompts_dropped += 1
        if len(found) == count:
            return found
        raise UserError(
            f"hardly any problem of {self.task.name} fits into a context of "
            f"{self.model.config.max_seq_len} tokens with --max-new-tokens {self.max_new_tokens}"
        )

    def watch_invalid(self, share: float) -> None:
        """A reward function that fails on most completions, ten steps running, teaches nothing:
        stop and say so."""
        self.state.invalid_steps = self.state.invalid_steps + 1 if share > 0.5 else 0
        if self.state.invalid_steps >= 10:
            raise UserError(
                "the reward function failed on over half of the completions for ten steps: it "
                "raises, hangs, or returns no finite number; mend it, then use --resume"
            )

    @torch.no_grad()
    def record_logprobs(self, groups: Groups, old: bool) -> None:
        """Log-probs under the sampling policy and under the reference, in the trainer's precision,
        before any update."""
        models = {"old_logprobs": self.model if old else None, "ref_logprobs": self.reference}
        for name, model in models.items():
            if model is not None:
                for batch in self.micro_batches(valid_episodes(groups)):
                    logps, _ = episode_logprobs(model, batch, self.options.temperature, self.device)
                    unstack(batch, name, logps)

    def micro_batches(self, episodes: Sequence[Episode]) -> Iterator[list[Episode]]:
        """Batches of like length within the limit on memory, which those that are worked on side by
        side share."""
        together = machine.together(self.device)
        # A little work is shared, too; 1.1: padding.
        share = 1.1 * sum(len(e.completion_ids) for e in episodes) / together
        limit = min(self.options.max_tokens_per_batch // together, math.ceil(share))
        return micro_batches(episodes, limit)

    def shares(self, groups: list[list[Episode]]) -> Iterator[list[list[Episode]]]:
        """What each optimizer step of a batch learns from: `epochs` passes, each cut into `updates`
        shares by question."""
        o = self.options
        for epoch in range(o.epochs):
            rng = np.random.default_rng((o.seed, self.state.step, epoch))
            order = rng.permutation(devices.total(len(groups)))
            for part in np.array_split(order, min(o.updates, len(order))):
                yield [groups[i] for i in devices.local(part)]

    def metrics(
        self, groups: Groups, update: dict[str, Any], started: float, sampled: float
    ) -> dict[str, Any]:
        """What is logged of a step; `started` and `sampled` are clock readings before and after the
        rollouts."""
        now = time.perf_counter()
        self.state.seconds += now - started
        return {
            **group_metrics(groups),
            **reflection.live(self.task, groups),
            **(tool_use.live(self.task, groups) if self.tools else {}),
            **update,
            "learning_rate": self.learning_rate(),
            "seconds/rollout": sampled - started,
            "seconds/update": now - sampled,
            "seconds": self.state.seconds,
            "tokens": self.state.tokens_generated,
        }

    # -- around them -----------------------------------------------------------------------------

    def shown(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """Reward and length; of enough completions also how many are right, and how many think or,
        where there are traces, try again."""
        names = {"reward": "reward", "accuracy": "accuracy", "length": "completions/mean_length"}
        if self.options.prompts * self.options.group_size < TOO_FEW:
            del names["accuracy"]
        elif "reflection/retry_rate" in metrics:
            names |= {
                "first": "reflection/first_try_accuracy",
                "retries": "reflection/retry_rate",
            }
        else:
            names |= {"thinks": "completions/think_rate"}
        return {word: metrics[key] for word, key in names.items() if metrics[key] is not None}

    def evaluate(self, full: bool) -> loop.Evaluation:
        found = super().evaluate(full)
        if not self.tools:
            return found
        return replace(found, figures=tool_use.live(self.task, [found.episodes]))

    def validation(self, full: bool) -> list[Problem]:
        n = self.options.eval_n if full else self.options.eval_quick
        return [p for p in self.task.problems("validation", n) if self.fits(p)]

    def transcript(self, episode: Episode) -> dict[str, Any]:
        """With the completion cut into (piece, kind) for the report to highlight, where there is a
        trace to read."""
        pieces = None
        if isinstance(self.task, TracedTask):
            pieces = reflection.highlight(self.task, episode.problem, episode.text)
        return {**super().transcript(episode), "pieces": pieces}

    def summary(self, after: Scores | None, last: Path) -> dict[str, Any]:
        return super().summary(after, last) | {"prompts_dropped": self.state.prompts_dropped}


# -- pure pieces -----------------------------------------------------------------------------------


def judge_of(
    options: Options, own: Mapping[str, rewards.RewardFunction] | None, tokenizer: Tokenizer
) -> rewards.Judge:
    """The rewards that the options name. UserError if there is none with a weight, and for a
    reward model of another tokenizer."""
    found = rewards.chosen(options.reward, own)
    if not found:
        raise UserError("--reward needs at least one reward with a weight above 0")
    judge = rewards.Judge(found)
    judge.share_tokenizer(tokenizer)
    return judge


def mix_seed(seed: int, step: int, again: int = 0) -> int:
    """A seed for each step, far from those of other steps and runs; `again` numbers further
    rollouts in one step."""
    return problem_rng(seed, step, f"redraw-{again}" if again else "rollout").getrandbits(63)


def means(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the optimizer steps that have it."""
    return {
        key: float(np.mean([m[key] for m in metrics if key in m])) for m in metrics for key in m
    }
