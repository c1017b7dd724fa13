"""Reward models: a judge of whole answers (outcome) or of single steps (process).

    minimise  - sum_k  y_k log s_k + (1 - y_k) log(1 - s_k)      s_k = sigmoid(w . h(end of step k))

over the steps k of answers that a policy wrote. What a step's label y_k says:

    exact    whether the right answer can still be reached after it: the task's own rule knows
    soft     the share of continuations from there that end right      (Math-Shepherd, 2312.08935)
    hard     whether one of them does. With a chance of .25 each, 8 continuations make 9 labels in
             10 positive: a hard label says little where the policy is not weak
    outcome  whether the whole answer is right, on its last token alone       (2110.14168)

The policy's answers are drawn anew for each step of training; the judge begins as a copy of the
policy, which can read already, with a head of its own.

    python -m minilrm.reward_model --task countdown --labels exact
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from minilrm import checkpoint, cli, devices, loop, machine
from minilrm.batches import fill_batches, pad
from minilrm.beginnings import named_or_base
from minilrm.errors import UserError
from minilrm.labels import (
    Judged,
    against_the_truth,
    best_threshold,
    exact_label,
    read_feedback,
    step_places,
    verdicts,
)
from minilrm.measure import Scores
from minilrm.model import ScalarHead, Transformer
from minilrm.optim import adamw, lr_factor, set_lr
from minilrm.options import option
from minilrm.rollout import Episode, episode, rollout
from minilrm.sampler import Engine, generate
from minilrm.sampler.decoding import Completion
from minilrm.scorers import HEAD, ByModel
from minilrm.tasks import Problem, Task
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import Tokenizer

LABELS = ("exact", "soft", "hard", "outcome")


@dataclass
class Options(loop.Options):
    """Train a judge of answers or of their steps."""

    init: str | None = option(
        None,
        "the policy that writes the answers, and from whose weights the judge begins: a shipped "
        "model, a checkpoint or a run folder; the task's base if not given",
    )
    labels: str = option("exact", "who says what is right", choices=LABELS)
    feedback: Path | None = option(
        None, "people's labels, a file that minilrm.feedback wrote; then --labels does not count"
    )
    rollouts: int = option(8, "continuations from each step, for soft and hard labels", minimum=1)
    branch: float = option(
        0.0,
        "further answers, as a share of the first ones, that begin behind a right step: what a "
        "search will show the judge (with --labels exact)",
        minimum=0,
    )
    noise: float = option(0.0, "share of labels that are turned round", minimum=0, maximum=1)
    steps: int = option(300, "optimizer steps", minimum=1)
    prompts: int = option(32, "problems per step", minimum=1)
    samples: int = option(4, "answers to each", minimum=1)
    temperature: float = option(1.0, "at which they are written", exclusive_minimum=0)
    lr: float = option(1e-3, "highest learning rate of AdamW", exclusive_minimum=0)
    warmup: int = option(10, "steps over which the learning rate rises", minimum=0)
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0)
    max_tokens_per_batch: int = option(8192, "tokens in a micro-batch, padding included", minimum=1)
    eval_n: int = option(
        500, "validation problems whose answers are judged", minimum=1, group="evaluation"
    )


class Trainer(loop.Trainer):
    command = "reward_model"
    batch_option = "prompts"
    takes_recipe = False  # a task's recipe is one for its policy

    @classmethod
    def kept(cls, options: Options) -> Sequence[str]:
        return ("task", "init", "labels", "feedback")

    def __init__(self, options: Options):
        super().__init__(options)
        start = named_or_base(options.init, self.task)
        _, self.policy, self.tokenizer, _ = checkpoint.open_model(start, self.device)
        if options.branch and (options.labels != "exact" or options.feedback):
            raise UserError("--branch needs to know which steps are right: --labels exact")
        if options.labels != "outcome":
            # refused now, if ever
            self.task.step_labels(self.task.problems("validation", 1)[0], "")
        self.origin = start
        self.model = self.ready(copy.deepcopy(self.policy))
        self.head = ScalarHead(self.model.config.dim).to(self.device)
        self.heads = {HEAD: self.head}
        self.judge = ByModel(self.model, self.head, self.tokenizer, self.task)
        self.optimizers = adamw(torch.nn.ModuleList([self.model, self.head]), options.lr)
        self.engine = Engine(self.policy, self.decoding_dtype)
        self.found: dict[str, float] = {}  # by the last evaluation
        self.thumbs = read_feedback(options.feedback, self.task) if options.feedback else []

    # -- the algorithm box -----------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """Answers are written, labelled and learnt from."""
        o, started = self.options, time.perf_counter()
        judged = self.labelled(step)
        count = devices.total(sum(len(j.places) for j in judged))
        set_lr(self.optimizers, lr_factor(step, o.steps, o.warmup, final=0.05))
        loss, norm = self.descend(
            judging_loss(self.model, self.head, batch, count, self.device)
            for batch in micro_batches(judged, o.max_tokens_per_batch)
        )
        self.state.tokens_trained += devices.total(sum(len(j.ids) for j in judged))
        self.state.seconds += time.perf_counter() - started
        labels = [label for j in judged for label in j.labels]
        return {
            "loss": loss,
            "grad_norm": norm,
            **devices.means(
                {"label_mean": labels, "steps_per_answer": [len(j.labels) for j in judged]}
            ),
            "learning_rate": self.learning_rate(),
            "seconds": self.state.seconds,
        }

    def labelled(self, step: int) -> Sequence[Judged]:
        """What this step learns from: fresh answers, or a draw of what people have judged. Of
        several processes, this one's share."""
        o = self.options
        if self.thumbs:
            drawn = random.Random(f"{o.seed}/{step}/thumbs").choices(
                self.thumbs, k=min(len(self.thumbs), o.prompts * o.samples)
            )
            return devices.share(drawn)
        name, first = f"{self.task.name}/reward_model", step * o.prompts
        rows = devices.share(range(o.prompts))
        problems = [
            self.task.sample(problem_rng(o.seed, first + row, name), "train") for row in rows
        ]
        answers = [e for group in self.write(problems, o.samples, step, rows) for e in group]
        self.state.tokens_generated += devices.total(sum(e.length for e in answers))
        judged = self.label(answers, step)
        return judged + self.branches(answers, judged, step) if o.branch else judged

    def branches(
        self, answers: Sequence[Episode], judged: Sequence[Judged], step: int
    ) -> list[Judged]:
        """Answers that go on from right steps of others, with the labels of what is new in them.

        Of the policy's own answers most go wrong at once where problems are hard, and from there on
        every label is 0: nearly nothing is learnt of second steps.
        """
        o = self.options
        rng = self.rng(step, "branch")
        begun = [
            (e, place)
            for e, j in zip(answers, judged, strict=True)
            for place, label in zip(j.places[:-1], j.labels, strict=False)
            if label == 1
        ]
        chosen = rng.choices(begun, k=round(o.branch * len(answers))) if begun else []
        if not chosen:
            devices.total(0)  # of the tokens, which the others add up below
            return []
        longest = max(place + 1 for _, place in chosen)
        room = min(self.max_new_tokens, self.model.config.max_seq_len - longest)
        prefixes = [[*e.prompt_ids, *e.completion_ids][: place + 1] for e, place in chosen]
        groups = generate(
            self.engine, self.tokenizer, prefixes, max_new_tokens=room,
            temperature=o.temperature, seed=o.seed * 3_000_017 + step,
            places=devices.places(len(prefixes)),
        )  # fmt: skip
        further = [
            continued(self.task, self.tokenizer, e, prefix, group[0])
            for (e, _), prefix, group in zip(chosen, prefixes, groups, strict=True)
        ]
        generated = sum(len(group[0].token_ids) for group in groups)
        self.state.tokens_generated += devices.total(generated)
        found = []
        for j, (_, place) in zip(self.label(further, step), chosen, strict=True):
            new = [(p, y) for p, y in zip(j.places, j.labels, strict=True) if p > place]
            found.append(Judged(j.ids, [p for p, _ in new], [y for _, y in new]))
        return [j for j in found if j.places]

    def rng(self, step: int, what: str) -> random.Random:
        """Each process throws dice of its own over its own answers."""
        mine = f"/{devices.rank()}" if devices.rank() else ""
        return random.Random(f"{self.options.seed}/{step}/{what}{mine}")

    def write(
        self,
        problems: Sequence[Problem],
        samples: int,
        seed: int,
        rows: Sequence[int] | None = None,
    ) -> list[list[Episode]]:
        """The policy's answers. rows: the numbers of the problems in their batch, where this is a
        share of it."""
        o = self.options
        numbered = zip(range(len(problems)) if rows is None else rows, problems, strict=True)
        fitting = [(row, p) for row, p in numbered if self.fits(p)]
        return rollout(
            self.engine,
            self.tokenizer,
            self.task,
            [p for _, p in fitting],
            places=[row for row, _ in fitting],
            group_size=samples,
            max_new_tokens=self.max_new_tokens,
            temperature=o.temperature,
            seed=o.seed * 1_000_003 + seed,
            workers=self.workers,
        )

    def label(self, answers: Sequence[Episode], step: int) -> list[Judged]:
        """Every answer with its labels, some of them turned round where noise is asked for."""
        o = self.options
        rng = self.rng(step, "noise")
        judged = []
        places = [step_places(e, self.judge) for e in answers]
        if o.labels == "outcome":
            places = [found[-1:] for found in places]
        labels = self.labels(answers, places, step)
        for e, where, found in zip(answers, places, labels, strict=True):
            turned = [1 - y if rng.random() < o.noise else y for y in found]
            judged.append(Judged([*e.prompt_ids, *e.completion_ids], where, turned))
        return judged

    def labels(
        self, answers: Sequence[Episode], places: Sequence[Sequence[int]], step: int
    ) -> list[list[float]]:
        o = self.options
        if o.labels == "outcome":
            return [[float(e.grade.correct)] for e in answers]
        if o.labels == "exact":
            return [
                [exact_label(self.task, self.tokenizer, e, p) for p in where]
                for e, where in zip(answers, places, strict=True)
            ]
        shares = self.continue_from(answers, places, step)
        return shares if o.labels == "soft" else [[float(s > 0) for s in of] for of in shares]

    def continue_from(
        self, answers: Sequence[Episode], places: Sequence[Sequence[int]], step: int
    ) -> list[list[float]]:
        """The share of right ones among continuations from the end of each step; where the text
        ends, whether it is right."""
        o = self.options
        shares: list[list[float]] = [[0.0] * len(where) for where in places]
        asked = []
        for a, (e, where) in enumerate(zip(answers, places, strict=True)):
            whole = [*e.prompt_ids, *e.completion_ids]
            for k, place in enumerate(where):
                if place + 1 >= len(whole):
                    shares[a][k] = float(e.grade.correct)
                else:
                    asked.append((a, k, whole[: place + 1]))
        longest = self.model.config.max_seq_len
        groups = (
            generate(
                self.engine,
                self.tokenizer,
                [prefix for _, _, prefix in asked],
                n=o.rollouts,
                max_new_tokens=min(
                    self.max_new_tokens, longest - max((len(p) for _, _, p in asked), default=0)
                ),
                temperature=o.temperature,
                seed=o.seed * 7_000_003 + step,
                places=devices.places(len(asked)),
            )
            if asked
            else []
        )
        for (a, k, prefix), group in zip(asked, groups, strict=True):
            e = answers[a]
            begun = self.tokenizer.decode(prefix[len(e.prompt_ids) :])
            right = [self.task.grade(e.problem, begun + c.text).correct for c in group]
            shares[a][k] = sum(right) / len(right)
        return shares

    # -- around it -------------------------------------------------------------------------------

    def evaluate(self, full: bool) -> loop.Evaluation:
        """How the judge does against the exact labels, on answers to validation problems: the
        threshold is chosen on half of the problems, the figures are those of the other half."""
        problems = self.task.problems("validation", self.options.eval_n)
        groups = self.write(problems, self.options.samples, -1)
        first, second = (
            verdicts(self.judge, [e for group in groups[half::2] for e in group]) for half in (0, 1)
        )
        threshold = best_threshold(first)
        self.found = {"threshold": threshold, **against_the_truth(second, threshold)}
        return loop.Evaluation(figures=self.found)

    def summary(self, after: Scores | None, last: Path) -> dict[str, Any]:
        labels = "people" if self.thumbs else self.options.labels
        return super().summary(after, last) | {"labels": labels} | self.found


# -- pure pieces -----------------------------------------------------------------------------------


def continued(
    task: Task, tokenizer: Tokenizer, e: Episode, prefix: Sequence[int], c: Completion
) -> Episode:
    """The answer that begins as `e` does, up to the end of `prefix`, and goes on with `c`."""
    begun = list(prefix[len(e.prompt_ids) :])
    text = tokenizer.decode(begun) + c.sampled_text
    ids, ones = [*begun, *c.token_ids], [1] * (len(begun) + len(c.token_ids))
    logprobs = [*e.logprobs[: len(begun)], *c.logprobs]
    whole = Completion(text, text, ids, ones, logprobs, c.finish_reason)
    return episode(task, e.problem, e.prompt_ids, whole)


def judging_loss(
    model: Transformer,
    head: ScalarHead,
    batch: Sequence[Judged],
    count: int,
    device: torch.device,
) -> Tensor:
    """Binary cross-entropy at the ends of the steps, summed and divided by `count` of them."""
    ids = pad([j.ids for j in batch]).to(device)
    with machine.autocast(device):
        states = model.hidden(ids)
    numbers = head(states.float())
    rows = torch.tensor([row for row, j in enumerate(batch) for _ in j.places], device=device)
    places = torch.tensor([p for j in batch for p in j.places], device=device)
    labels = torch.tensor([y for j in batch for y in j.labels], device=device)
    chosen = numbers[rows, places]
    return F.binary_cross_entropy_with_logits(chosen, labels, reduction="sum") / max(1, count)


def micro_batches(judged: Sequence[Judged], max_tokens: int) -> list[list[Judged]]:
    ordered = sorted(judged, key=lambda j: len(j.ids))
    lengths = [len(j.ids) for j in ordered]
    rows = fill_batches(np.arange(len(ordered)), np.asarray(lengths), max_tokens)
    return [[ordered[i] for i in part] for part in rows]


def train(options: Options) -> loop.Result:
    """A whole run, or the rest of one."""
    return loop.train(Trainer, options)


def main(options: Options) -> int:
    return loop.train(Trainer, options, show_options=True).exit_code


if __name__ == "__main__":
    cli.run_command(
        main, Options, prog="python -m minilrm.reward_model", description=Options.__doc__
    )
