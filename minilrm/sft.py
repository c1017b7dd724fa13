"""Supervised fine-tuning on full chain-of-thought solutions.

    minimise  - sum_t log p(y_t | x, y_<t)     over the answer's tokens y, the end of text included

The model reads the prompt x, and the loss leaves its tokens out, as it does those of the results
that a tool gave in a solution. Bigger recipes have packing, chat
templates, low-rank adapters, and some pretraining text in the mix. This leaves them out.

    python -m minilrm.sft --task gsm8k-mini
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minilrm import checkpoint, cli, devices, loop, machine, objectives, tool_use
from minilrm.batches import Example, example_batches
from minilrm.errors import UserError
from minilrm.measure import Scores
from minilrm.model import Transformer
from minilrm.optim import adamw, lr_factor, set_lr
from minilrm.options import option
from minilrm.rollout import state_logprobs
from minilrm.tasks.base import SOLUTION_STYLES, TOOL_STYLE, Task, problem_rng
from minilrm.tokenizer import Tokenizer
from minilrm.tools import sampled_mask, toolbox
from minilrm.traces import read_pool, walk


@dataclass
class Options(loop.Options):
    """Fine-tune a model on worked solutions of a task."""

    init: str = option(
        "gsm8k-mini-base", "where to start: a shipped model, a checkpoint or a run folder"
    )
    style: str = option(
        "steps",
        "how the solutions are written; tool, with calls and their results, is of tasks that need "
        "one",
        choices=(*SOLUTION_STYLES, TOOL_STYLE),
    )
    pool: Path | None = option(
        None,
        "learn from this traces.jsonl, what a model has said and somebody kept, instead of the "
        "task's own solutions; then --style does not count",
    )
    tools: str | None = tool_use.tools_option()
    database: Path | None = tool_use.database_option()
    steps: int = option(200, "optimizer steps", minimum=1)
    batch: int = option(64, "examples per step", minimum=1)
    lr: float = option(3e-4, "highest learning rate of AdamW", exclusive_minimum=0)
    warmup: int = option(10, "steps over which the learning rate rises", minimum=0)
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0)
    max_tokens_per_batch: int = option(
        16_384, "tokens in a micro-batch, padding included", minimum=1
    )


@dataclass
class State(loop.State):
    """examples_dropped: solved problems that were too long for the context; examples_drawn: all."""

    examples_dropped: int = 0
    examples_drawn: int = 0


class Trainer(loop.Trainer):
    command = "sft"
    batch_option = "batch"

    @classmethod
    def kept(cls, options: Options) -> Sequence[str]:
        return ("task", "init")

    def __init__(self, options: Options):
        super().__init__(options)
        self.state: State = State()
        if options.style not in self.task.styles:
            raise UserError(
                f"{options.task} has no solutions in the style {options.style}; there are: "
                f"{', '.join(self.task.styles)}"
            )
        self.tools = toolbox(options.tools, options.database, self.task)
        self.model, self.tokenizer = starting_point(options, self.device)
        self.ready(self.model)
        self.origin = options.init
        self.pool = self.read(options.pool) if options.pool else []
        self.optimizers = adamw(self.model, options.lr)

    def read(self, path: Path) -> list[Example]:
        """The traces of a pool that fit into the context. UserError if there are none."""
        found, context = read_pool(path, self.task, self.tokenizer).examples, self.context
        fitting = [e for e in found if len(e.prompt_ids) + len(e.completion_ids) <= context]
        if len(fitting) < len(found):
            print(f"{len(found) - len(fitting)} of {len(found)} traces do not fit and are left out")
        if not fitting:
            raise UserError(f"no trace of {path} fits into a context of {context} tokens")
        return fitting

    @property
    def context(self) -> int:
        return self.model.config.max_seq_len

    # -- the algorithm box -----------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """One step of the optimizer on fresh examples."""
        o, started = self.options, time.perf_counter()
        examples = devices.share(self.draw(step))
        tokens = devices.total(sum(e.length for e in examples))
        set_lr(self.optimizers, lr_factor(step, o.steps, o.warmup, final=0.1))
        loss, norm = self.descend(
            loss_of(self.model, ids, mask, tokens, self.device)
            for ids, mask in example_batches(examples, o.max_tokens_per_batch)
        )
        self.state.tokens_trained += tokens
        self.state.seconds += time.perf_counter() - started
        return {
            "loss": loss,
            "grad_norm": norm,
            "seconds": self.state.seconds,
            "learning_rate": self.learning_rate(),
        }

    def draw(self, step: int) -> list[Example]:
        """The examples of a step: the next ones of the pool, each round in a new order; or fresh
        problems of the training split, by number. Those too long for the context are dropped and
        counted."""
        o, context = self.options, self.context
        if self.pool:
            places = walk(len(self.pool), o.seed, step * o.batch, o.batch)
            return [self.pool[i] for i in places]
        examples: list[Example] = []
        for i in range(100 * o.batch):
            rng = problem_rng(o.seed, step * 100 * o.batch + i, f"{self.task.name}/sft")
            example = solved_example(self.task, self.tokenizer, rng, o.style)
            self.state.examples_drawn += 1
            if len(example.prompt_ids) + len(example.completion_ids) <= context:
                examples.append(example)
            else:
                self.state.examples_dropped += 1
            if len(examples) == o.batch:
                return examples
        raise UserError(
            f"hardly any solved problem of {self.task.name} fits into a context of {context} tokens"
        )

    # -- around it -------------------------------------------------------------------------------

    def summary(self, after: Scores | None, last: Path) -> dict[str, Any]:
        dropped, drawn = self.state.examples_dropped, self.state.examples_drawn
        if dropped:
            print(
                f"{dropped} of {drawn} solved problems were too long for the context of "
                f"{self.context} tokens and were left out"
            )
        return super().summary(after, last) | {
            "examples_dropped": dropped,
            "examples_drawn": drawn,
        }


# -- pure pieces -----------------------------------------------------------------------------------


def solved_example(task: Task, tokenizer: Tokenizer, rng: random.Random, style: str) -> Example:
    """A problem of the training split with one of its solutions."""
    problem = task.sample(rng, "train")
    return build_example(task, tokenizer, task.render(problem), task.solution(problem, rng, style))


def build_example(task: Task, tokenizer: Tokenizer, prompt: str, answer: str) -> Example:
    """Prompt, answer, end of text. Each part is encoded alone, as at generation, where the prompt
    stands alone too. The results of tools are read and not learnt."""
    completion = [*task.encode(tokenizer, answer), tokenizer.eos_id]
    mask = sampled_mask(tokenizer, completion)
    return Example(task.encode_prompt(tokenizer, prompt), completion, mask)


def loss_of(
    model: Transformer, ids: Tensor, mask: Tensor, denominator: float, device: torch.device
) -> Tensor:
    """Cross-entropy of ids [B, T] where the loss mask [B, T] is True, over `denominator` tokens."""
    ids, mask = ids.to(device), mask.to(device)
    if model.config.vocab_size >= objectives.LARGE_VOCABULARY:
        keep = mask[:, 1:]
        with machine.autocast(device):
            states = model.hidden(ids[:, :-1])[keep]
        return -state_logprobs(model, states, ids[:, 1:][keep], 1.0, device).sum() / denominator
    with machine.autocast(device):
        logits = model(ids[:, :-1])
    return objectives.cross_entropy(logits, ids[:, 1:], mask[:, 1:], denominator)


def starting_point(options: Options, device: torch.device) -> tuple[Transformer, Tokenizer]:
    """The model to fine-tune; of a resumed run its own newest checkpoint."""
    start: Path | str = options.init
    if options.resume:
        start = checkpoint.newest_valid(options.resume / "checkpoints")[1]
    _, model, tokenizer, _ = checkpoint.open_model(start, device)
    return model, tokenizer


def train(options: Options) -> loop.Result:
    """A whole run, or the rest of one."""
    return loop.train(Trainer, options)


def main(options: Options) -> int:
    return loop.train(Trainer, options, show_options=True).exit_code


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.sft", description=Options.__doc__)
