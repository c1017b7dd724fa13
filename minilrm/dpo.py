"""Direct preference optimisation: learning from pairs, without a reward model (arXiv 2305.18290).

    minimise  - log sigma(beta [log pi/pi_ref (y_w | x) - log pi/pi_ref (y_l | x)])

over pairs of a better and a worse answer to one question. The model that training starts from
answers each question several times, and one of the best answers is paired with one of the worst.
What is good, `reward` says: the grader's verdict unless told otherwise. Questions whose answers are
equally good teach nothing and are drawn past. That model is also the reference, as in the paper.
Bigger recipes take many pairs a question, and label smoothing. This leaves them out.

    python -m minilrm.dpo --task gsm8k-mini
    python -m minilrm.dpo --task gsm8k-mini --reward model@runs/PREFERENCE_MODEL=1
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minilrm import checkpoint, cli, devices, loop, objectives, preferences
from minilrm.beginnings import named_or_base
from minilrm.errors import UserError
from minilrm.model import Transformer
from minilrm.optim import adamw, lr_factor, set_lr
from minilrm.options import option
from minilrm.preferences import Annotator, Pair
from minilrm.rollout import Episode, episode_logprobs, rollout
from minilrm.sampler import Engine
from minilrm.tasks import Problem
from minilrm.tasks.base import problem_rng

PATIENCE = 20  # rounds of questions that are asked for the pairs of one step


@dataclass
class Options(preferences.Options):
    """Learn from pairs of a right and a wrong answer."""

    init: str | None = option(
        None,
        "where to start, and the reference: a shipped model, a checkpoint or a run folder; the "
        "task's base if not given",
    )
    steps: int = option(60, "optimizer steps", minimum=1)
    pairs: int = option(64, "pairs per step", minimum=1)
    beta: float = option(0.1, "how dear the distance to the reference is", exclusive_minimum=0)
    lr: float = option(1e-4, "highest learning rate of AdamW", exclusive_minimum=0)
    warmup: int = option(5, "steps over which the learning rate rises", minimum=0)
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0)


class Trainer(loop.Trainer):
    command = "dpo"
    batch_option = "pairs"
    takes_recipe = False  # a task's recipe is one for online reinforcement learning

    @classmethod
    def kept(cls, options: Options) -> Sequence[str]:
        return ("task", "init")

    def __init__(self, options: Options):
        super().__init__(options)
        start = named_or_base(options.init, self.task)
        _, self.reference, self.tokenizer, _ = checkpoint.open_model(start, self.device)
        self.reference.requires_grad_(False)
        self.model = self.ready(copy.deepcopy(self.reference)).requires_grad_(True)
        self.origin = start
        self.optimizers = adamw(self.model, options.lr)
        self.engine = Engine(self.reference, self.decoding_dtype)
        judge = preferences.judge_of(options, self.tokenizer)
        self.annotator = Annotator(judge, noise=options.noise)

    # -- the algorithm box -----------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """Pairs are drawn and learnt from."""
        o, started = self.options, time.perf_counter()
        pairs = self.draw(step)
        count = devices.total(len(pairs))
        set_lr(self.optimizers, lr_factor(step, o.steps, o.warmup, final=0.1))
        margins: list[Tensor] = []

        def losses():
            for start in range(0, len(pairs), o.pairs_per_batch):
                part = pairs[start : start + o.pairs_per_batch]
                loss, margin = pair_loss(self.model, self.reference, part, o.beta, self.device)
                margins.append(margin)
                yield loss * len(part) / count

        loss, norm = self.descend(losses())
        found = [float(margin) for part in margins for margin in part]
        self.state.tokens_trained += devices.total(sum(e.length for pair in pairs for e in pair))
        self.state.seconds += time.perf_counter() - started
        return {
            "loss": loss,
            "grad_norm": norm,
            **devices.means(
                {"rewards/margins": found, "rewards/accuracies": [x > 0 for x in found]}
            ),
            "learning_rate": self.learning_rate(),
            "seconds": self.state.seconds,
        }

    def draw(self, step: int) -> list[Pair]:
        """As many pairs as a step takes, one a question: of several processes each has those that
        its questions gave, and together they have as many."""
        o, found = self.options, list[Pair]()
        missing = o.pairs
        for turn in range(PATIENCE):
            rows, problems = self.questions(step * PATIENCE + turn)
            groups = rollout(
                self.engine,
                self.tokenizer,
                self.task,
                problems,
                places=rows,
                group_size=o.samples,
                max_new_tokens=self.max_new_tokens,
                seed=o.seed * 1_000_003 + step * PATIENCE + turn,
                workers=self.workers,
            )
            generated = sum(e.length for group in groups for e in group)
            self.state.tokens_generated += devices.total(generated)
            rngs = [random.Random(f"{o.seed}/{step}/{turn}/{row}/pairs") for row in rows]
            pairs = self.annotator.of_each(groups, rngs)
            taken = first_ones(devices.joined([pair is not None for pair in pairs]), missing)
            own = zip(pairs, devices.share(taken), strict=True)
            found += [pair for pair, take in own if pair and take]
            missing -= sum(taken)
            if not missing:
                break
        if missing == o.pairs:
            raise UserError(
                f"{self.origin} answers no question of {self.task.name} both better and worse in "
                f"{o.samples} samples: there are no pairs to learn from"
            )
        return found

    def questions(self, turn: int) -> tuple[Sequence[int], Sequence[Problem]]:
        """This process's share of a turn's questions, each with its number among them."""
        n, name = self.options.pairs, f"{self.task.name}/dpo"
        drawn = [
            self.task.sample(problem_rng(self.options.seed, turn * n + i, name), "train")
            for i in range(n)
        ]
        fitting = [p for p in drawn if self.fits(p)]
        return devices.share(range(len(fitting))), devices.share(fitting)


# -- pure pieces -----------------------------------------------------------------------------------


def first_ones(flags: Sequence[bool], count: int) -> list[bool]:
    """The flags with only the first `count` of those that are set.

    >>> first_ones([True, False, True, True], 2)
    [True, False, True, False]
    """
    left = count
    return [flag and (left := left - 1) >= 0 for flag in flags]


def pair_loss(
    model: Transformer,
    reference: Transformer,
    pairs: Sequence[Pair],
    beta: float,
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """The mean loss of some pairs, and their margins."""
    episodes = [e for pair in pairs for e in pair]
    logp = summed(model, episodes, device)
    with torch.no_grad():
        ref = summed(reference, episodes, device)
    return objectives.dpo_loss(logp[0::2], logp[1::2], ref[0::2], ref[1::2], beta)


def summed(model: Transformer, episodes: Sequence[Episode], device: torch.device) -> Tensor:
    """log p(completion | prompt) of each episode, [B]: the sum over its tokens."""
    logprobs, mask = episode_logprobs(model, episodes, 1.0, device)
    return torch.where(mask.bool(), logprobs, 0.0).sum(1)


def train(options: Options) -> loop.Result:
    """A whole run, or the rest of one."""
    return loop.train(Trainer, options)


def main(options: Options) -> int:
    return loop.train(Trainer, options, show_options=True).exit_code


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.dpo", description=Options.__doc__)
