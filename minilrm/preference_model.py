"""Preference models: a reward model that learns from which of two answers is better.

    minimise  - mean log sigma(r(x, y_w) - r(x, y_l))              (Bradley and Terry; 2203.02155)

over pairs that an annotator has put in order. r is a number at the last token of the answer. Only
differences of r are learnt: the score of an answer means nothing by itself.

Labels are what costs: `pairs` of them are bought once, before training, and read again and again.
The annotator here is simulated. It knows the quality of each answer (`--reward`, the grader's
verdict unless told otherwise) and errs in a stated share of cases. Bigger recipes rank more than
two answers a question and let people say "about the same". This leaves both out.

    python -m minilrm.preference_model --task gsm8k-mini --pairs 1000 --noise 0.1
    python -m minilrm.grpo --task gsm8k-mini --reward model@runs/RUN=1
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minilrm import checkpoint, cli, devices, loop, machine, objectives, preferences
from minilrm.batches import pad
from minilrm.beginnings import named_or_base
from minilrm.errors import UserError
from minilrm.intervals import mean
from minilrm.measure import Scores
from minilrm.model import ScalarHead, Transformer
from minilrm.optim import adamw, lr_factor, set_lr
from minilrm.options import option
from minilrm.preferences import Annotator, Pair
from minilrm.rollout import Episode, rollout
from minilrm.sampler import Engine
from minilrm.scorers import HEAD
from minilrm.tasks import Problem
from minilrm.tasks.base import problem_rng

QUESTIONS = 64  # that are answered at once while pairs are collected
PATIENCE = 20  # times as many questions are asked as pairs are wanted, at most


@dataclass
class Options(preferences.Options):
    """Train a judge of whole answers from pairs."""

    init: str | None = option(
        None,
        "the policy that writes the answers, and from whose weights the judge begins: a shipped "
        "model, a checkpoint or a run folder; the task's base if not given",
    )
    pairs: int = option(1000, "pairs that are labelled, one a question", minimum=1)
    match_lengths: bool = option(
        False, "pairs whose lengths differ least, so that length cannot be learnt"
    )
    steps: int = option(150, "optimizer steps", minimum=1)
    batch: int = option(64, "pairs per step", minimum=1)
    lr: float = option(5e-4, "highest learning rate of AdamW", exclusive_minimum=0)
    warmup: int = option(10, "steps over which the learning rate rises", minimum=0)
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0)


class Trainer(loop.Trainer):
    command = "preference_model"
    batch_option = "batch"
    takes_recipe = False  # a task's recipe is one for its policy

    @classmethod
    def kept(cls, options: Options) -> Sequence[str]:
        return ("task", "init", "pairs", "samples", "reward", "noise", "match_lengths", "seed")

    def __init__(self, options: Options):
        super().__init__(options)
        start = named_or_base(options.init, self.task)
        _, self.policy, self.tokenizer, _ = checkpoint.open_model(start, self.device)
        judge = preferences.judge_of(options, self.tokenizer)
        self.annotator = Annotator(judge, noise=options.noise, matched=options.match_lengths)
        self.exact = Annotator(judge, matched=options.match_lengths)
        self.origin = start
        self.model = self.ready(copy.deepcopy(self.policy))
        self.head = ScalarHead(self.model.config.dim).to(self.device)
        self.heads = {HEAD: self.head}
        self.optimizers = adamw(torch.nn.ModuleList([self.model, self.head]), options.lr)
        self.engine = Engine(self.policy, self.decoding_dtype)
        self.bought: list[Pair] = []  # the labelled pairs, once they are
        self.found: dict[str, float] = {}  # by the last evaluation

    # -- the algorithm box -----------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """A batch of the labelled pairs is learnt from."""
        o, started = self.options, time.perf_counter()
        self.bought = self.bought or self.buy()
        batch = devices.share(epoch_batch(self.bought, step, o.batch, o.seed))
        count = devices.total(len(batch))
        set_lr(self.optimizers, lr_factor(step, o.steps, o.warmup, final=0.05))
        parts = [batch[i : i + o.pairs_per_batch] for i in range(0, len(batch), o.pairs_per_batch)]
        ordered: list[bool] = []

        def losses():
            for part in parts:
                chosen, rejected = self.scores(part)
                ordered.extend((chosen > rejected).tolist())
                yield objectives.bradley_terry_loss(chosen, rejected) * len(part) / count

        loss, norm = self.descend(losses())
        self.state.tokens_trained += devices.total(sum(e.length for pair in batch for e in pair))
        self.state.seconds += time.perf_counter() - started
        return {
            "loss": loss,
            "grad_norm": norm,
            **devices.means({"accuracy_of_order": ordered}),
            "learning_rate": self.learning_rate(),
            "seconds": self.state.seconds,
        }

    def buy(self) -> list[Pair]:
        """The labelled pairs: the same ones whenever they are drawn, so a resumed run has them
        again. Of several processes each collects all of them, since any may come up in its
        share."""
        o, found = self.options, list[Pair]()
        print(f"collecting {o.pairs} pairs ...", flush=True)
        for turn in range(1 + PATIENCE * o.pairs // QUESTIONS):
            name = f"{self.task.name}/preference_model"
            problems = [
                self.task.sample(problem_rng(o.seed, turn * QUESTIONS + i, name), "train")
                for i in range(QUESTIONS)
            ]
            groups = self.write(problems, turn)
            self.state.tokens_generated += sum(e.length for group in groups for e in group)
            found += self.annotator(groups, random.Random(f"{o.seed}/{turn}/pairs"))
            if len(found) >= o.pairs:
                return found[: o.pairs]
        if not found:
            raise UserError(
                f"{self.origin} answers no question of {self.task.name} both better and worse in "
                f"{o.samples} samples: there are no pairs to learn from"
            )
        return found

    def write(self, problems: Sequence[Problem], turn: int) -> list[list[Episode]]:
        """The policy's answers."""
        return rollout(
            self.engine,
            self.tokenizer,
            self.task,
            [p for p in problems if self.fits(p)],
            group_size=self.options.samples,
            max_new_tokens=self.max_new_tokens,
            seed=self.options.seed * 1_000_003 + turn,
            workers=self.workers,
        )

    def scores(self, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
        """(of the better, of the worse answers), [pairs] each."""
        found = last_scores(self.model, self.head, [e for pair in pairs for e in pair], self.device)
        return found[0::2], found[1::2]

    # -- around it -------------------------------------------------------------------------------

    def evaluate(self, full: bool) -> loop.Evaluation:
        """How often pairs of new answers are put in the right order, and how often by length
        alone."""
        problems = self.task.problems("validation", self.options.eval_n)
        pairs = self.exact(self.write(problems, -1), random.Random(f"{self.options.seed}/eval"))
        order, longer = [], []
        with torch.inference_mode():
            for start in range(0, len(pairs), self.options.pairs_per_batch):
                part = pairs[start : start + self.options.pairs_per_batch]
                chosen, rejected = self.scores(part)
                order += (chosen > rejected).tolist()
                longer += [better.length > worse.length for better, worse in part]
        self.found = {
            "order_accuracy": mean(order),
            "longer_is_better": mean(longer),
            "pairs": len(pairs),
        }
        return loop.Evaluation(figures=self.found)

    def summary(self, after: Scores | None, last: Path) -> dict[str, Any]:
        return super().summary(after, last) | {"labelled": len(self.bought)} | self.found


# -- pure pieces -----------------------------------------------------------------------------------


def epoch_batch(pairs: Sequence[Pair], step: int, size: int, seed: int) -> list[Pair]:
    """The pairs of a step: each pass over all of them has an order of its own, and a batch goes on
    into the next pass.

    >>> [epoch_batch(["a", "b", "c"], step, 2, seed=0) for step in range(3)]
    [['a', 'c'], ['b', 'a'], ['c', 'b']]
    """
    found: list[Pair] = []
    for place in range(step * size, (step + 1) * size):
        turn, within = divmod(place, len(pairs))
        if within == 0 or not found:
            order = random.Random(f"{seed}/{turn}/epoch").sample(range(len(pairs)), len(pairs))
        found.append(pairs[order[within]])
    return found


def last_scores(
    model: Transformer, head: ScalarHead, episodes: Sequence[Episode], device: torch.device
) -> Tensor:
    """The number at the last token of each answer, [B]."""
    rows = [[*e.prompt_ids, *e.completion_ids] for e in episodes]
    with machine.autocast(device):
        states = model.hidden(pad(rows).to(device))
    last = torch.tensor([len(row) - 1 for row in rows], device=device)
    return head(states.float())[torch.arange(len(rows), device=device), last]


def train(options: Options) -> loop.Result:
    """A whole run, or the rest of one."""
    return loop.train(Trainer, options)


def main(options: Options) -> int:
    return loop.train(Trainer, options, show_options=True).exit_code


if __name__ == "__main__":
    cli.run_command(
        main, Options, prog="python -m minilrm.preference_model", description=Options.__doc__
    )
