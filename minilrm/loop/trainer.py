"""What one run of training carries: its options, its counters, its model, and how they are measured
and saved."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from minilrm import checkpoint, devices, machine
from minilrm.errors import UserError
from minilrm.measure import Scores, measure
from minilrm.model import Transformer, count_parameters
from minilrm.optim import Guard
from minilrm.options import (
    CommandOptions,
    chat_option,
    device_option,
    flag,
    option,
    seed_option,
    threads_option,
    to_dict,
)
from minilrm.progress import Interrupt
from minilrm.rollout import Episode
from minilrm.runlog import RunLog, version
from minilrm.sampler.workers import Workers
from minilrm.tasks import TASKS, Problem, Task, get_task
from minilrm.tokenizer import Tokenizer
from minilrm.tools import Toolbox


@dataclass
class Options(CommandOptions):
    """What every training command is asked."""

    several: ClassVar[bool] = True  # torchrun may start it in several processes
    task: str = option("gsm8k-mini", "what to learn", choices=TASKS)
    data: Path | None = option(None, "file of problems of your own, for --task gsm8k")
    seed: int = seed_option("seed of weights, problems and samples")
    eval_every: int = option(50, "steps between evaluations", minimum=1, group="evaluation")
    eval_n: int = option(500, "validation problems before and after", minimum=1, group="evaluation")
    save_every: int = option(100, "steps between checkpoints", minimum=1)
    keep: int = option(2, "newest checkpoints to keep, besides the best", minimum=1)
    out: Path | None = option(None, "run folder; runs/<command>-... if not given")
    resume: Path | None = option(None, "run folder to resume")
    log: str = option(
        "files",
        "where the figures go: metrics.jsonl in the run folder alone, or for TensorBoard as well",
        choices=("files", "tensorboard"),
    )
    chat: bool = chat_option()
    gradient_checkpointing: bool = option(
        False,
        "keep only the input of each layer for the backward pass, which computes the rest again: "
        "a fraction of the memory, a third more time",
        group="memory",
    )
    weights: str = option(
        "float32",
        "precision of the weights that are trained; with bfloat16 the optimizer keeps its states "
        "and a copy of the weights in float32",
        choices=("float32", "bfloat16"),
        group="memory",
    )
    device: str = device_option()
    threads: int | None = threads_option()


@dataclass
class State:
    """The counters of a run. They are saved with every checkpoint.

    seconds: of training steps alone; elapsed: of the whole run, evaluations included. best: name of
    the checkpoint with the best accuracy in an evaluation; low_evals: how many evaluations in a row
    were below `collapse` times that. before: the scores at step 0.
    """

    step: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    tokens_generated: int = 0
    tokens_trained: int = 0
    skipped_steps: int = 0
    best: str | None = None
    best_accuracy: float = -1.0
    low_evals: int = 0
    before: Scores | None = None

    def as_dict(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {"before": self.before and self.before.as_dict()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Take over what `as_dict` gave, as read from JSON."""
        for field in dataclasses.fields(self):
            if field.name in saved:
                setattr(self, field.name, saved[field.name])
        self.before = Scores.from_dict(saved["before"]) if saved.get("before") else None


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found: `scores` and the `episodes` they count, and further figures to log.
    A run whose model does not yet answer anything has no scores."""

    scores: Scores | None = None
    episodes: Sequence[Episode] = ()
    figures: Mapping[str, float | None] = dataclasses.field(default_factory=dict)


class Trainer:
    """What one run carries. A subclass sets in its `__init__`, after this one's:

    model, tokenizer: what is trained, and what reads its texts; origin: where the model comes from
    in words. optimizers: by name, one of them "adamw". heads: modules to be saved beside the model.

    Whatever can be refused is refused in `__init__`: only then is a run folder made.
    """

    command: ClassVar[str]  # its name on the command line
    state: State
    model: Transformer
    tokenizer: Tokenizer
    optimizers: dict[str, torch.optim.Optimizer]
    origin: str
    group: Sequence[Episode] = ()  # one of the last step's, where it learns from groups
    batch_option: ClassVar[str]  # how many items a step has, for several processes to share
    collapse = 0.0  # a run stops when its accuracy falls below this share of its best; 0: never
    log_every = 1  # steps
    tools: Toolbox | None = None  # what the model may call while it answers
    takes_recipe = True  # whether the task's recipe fills in what was not given

    @classmethod
    def complete(cls, options: Any, saved: Mapping[str, Any]) -> Any:
        """The options with what a command fills in by rules of its own; `saved`: those of a run
        that is resumed."""
        return options

    @classmethod
    def kept(cls, options: Any) -> Sequence[str]:
        """Options that say what a run is and where it began: a resumed run cannot take others."""
        return ("task",)

    def __init__(self, options: Any):
        self.options = options
        self.device = machine.choose_device(options.device)
        machine.raise_malloc_thresholds()
        machine.set_threads(options.threads)
        machine.seed_everything(options.seed)
        self.task: Task = get_task(options.task, **self.task_options())
        self.state = State()
        self.heads: dict[str, nn.Module] = {}
        self.guard = Guard(options.clip)
        # Decoding in bfloat16 is faster where the processor has it.
        self.decoding_dtype = torch.bfloat16 if machine.bfloat16_pays(self.device) else None
        self.workers: Workers | None = None
        # How evaluations ask: as training does.
        self.style, self.temperature = "plain", 1.0
        self.max_new_tokens = self.task.max_new_tokens

    def ready(self, model: Transformer) -> Transformer:
        """The model as the options want it trained: on the device, in the precision of its weights,
        with as little kept for the backward pass as they say; and the tokenizer begins a chat where
        that is asked for. In place."""
        if self.options.chat:
            self.tokenizer.start_chat()
        for block in model.layers:
            block.gradient_checkpointing = self.options.gradient_checkpointing
        dtype = torch.bfloat16 if self.options.weights == "bfloat16" else torch.float32
        return model.to(device=self.device, dtype=dtype)

    def task_options(self) -> dict[str, Any]:
        return {"data": self.options.data}

    # -- the algorithm ---------------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """One optimizer step or, in reinforcement learning, one round. Returns what is logged of
        it."""
        raise NotImplementedError

    def descend(self, parts: Iterable[Tensor]) -> tuple[float, float]:
        """Take an optimizer step on the sum of losses, each of which is a part of one batch's.
        Returns (loss, norm of its gradient before clipping)."""
        loss = 0.0
        for part in parts:
            part.backward()
            loss += float(part.detach())
        loss = devices.total(loss)
        return loss, self.update_weights(loss)

    def update_weights(self, loss: float) -> float:
        """Take the optimizer step for which the gradients were added up; a NaN skips it and is
        counted. Returns the gradient's norm before clipping, that of the model: heads are not
        clipped."""
        for head in self.heads.values():
            devices.sum_gradients(head.parameters())  # those of the model: optim.Guard
        norm = self.guard.step(self.model, self.optimizers, loss)
        self.state.skipped_steps += math.isnan(norm)
        return norm

    def parameters(self) -> Iterator[nn.Parameter]:
        """All that learns: the model's, and those of the heads."""
        return nn.ModuleList([self.model, *self.heads.values()]).parameters()

    def learning_rate(self) -> float:
        return self.optimizers["adamw"].param_groups[0]["lr"]

    # -- how far it is ---------------------------------------------------------------------------

    @property
    def goal(self) -> int:
        """When the run ends, in the unit of `done`: steps, unless a subclass counts tokens."""
        return self.options.steps

    @property
    def done(self) -> int:
        return self.state.step

    def begin(self, log: RunLog) -> None:
        """What a new run does before its first evaluation, whose checkpoint keeps the state."""

    def has_results(self, log: RunLog) -> bool:
        """Whether a new run that failed has something to resume from, or for others to use."""
        return self.state.step > 0

    def prepare(self, log: RunLog, interrupt: Interrupt) -> bool:
        """What comes between the first evaluation and the first step. False if Ctrl-C ended it."""
        return True

    def shown(self, metrics: Mapping[str, Any]) -> dict[str, Any]:
        """What stands beside the progress bar."""
        return {"loss": metrics["loss"]}

    # -- evaluation ------------------------------------------------------------------------------

    def fits(self, problem: Problem) -> bool:
        """Whether a prompt leaves room for a completion. Prompts that do not are dropped, never
        cut."""
        room = self.model.config.max_seq_len - self.max_new_tokens
        prompt = self.task.render(problem, self.style)
        return len(self.task.encode_prompt(self.tokenizer, prompt)) <= room

    def evaluate(self, full: bool) -> Evaluation:
        """Fresh problems of the validation split, one answer each; before and after (`full`) also
        greedily."""
        scores, episodes = self.answer(self.validation(full), self.temperature)
        if full:
            greedy, _ = self.answer(self.validation(full), 0.0)
            scores = dataclasses.replace(scores, greedy=greedy.accuracy)
        return Evaluation(scores, episodes)

    def validation(self, full: bool) -> list[Problem]:
        """The problems of an evaluation; `full` before and after, else in between."""
        return [p for p in self.task.problems("validation", self.options.eval_n) if self.fits(p)]

    def answer(
        self, problems: Sequence[Problem], temperature: float, model: Transformer | None = None
    ) -> tuple[Scores, list[Episode]]:
        return measure(
            model or self.model,
            self.tokenizer,
            self.task,
            problems,
            seed=1,
            style=self.style,
            max_new_tokens=self.max_new_tokens,
            temperature=temperature,
            dtype=self.decoding_dtype,
            workers=self.workers,
            tools=self.tools,
        )

    def transcript(self, episode: Episode) -> dict[str, Any]:
        """An answer as samples.jsonl keeps it, with the calls of tools that were made in it."""
        calls = [[call.tool, call.argument, call.result] for call in episode.calls]
        return {
            "key": episode.problem.key,
            "prompt": episode.problem.prompt,
            "completion": episode.text,
            "mark": self.task.mark,
            "answer": episode.problem.answer,
            "correct": episode.grade.correct,
            "reward": episode.reward,
            **({"calls": calls} if calls else {}),
        }

    # -- saving ----------------------------------------------------------------------------------

    def save(self, log: RunLog) -> Path:
        """The checkpoint of this step, saved (by process 0) unless it is there already; older ones
        go, except the best."""
        path = log.checkpoint_path(self.state.step)
        if devices.rank() == 0 and not path.exists():
            self.state.elapsed = log.seconds
            checkpoint.save(
                path,
                self.model,
                self.tokenizer,
                heads=self.heads,
                optimizers=self.optimizers,
                trainer=self.state.as_dict(),
                info=checkpoint.Info(
                    task=self.task.name,
                    init=self.origin,
                    options=to_dict(self.options),
                    step=self.state.step,
                ),
            )
            for _, old in log.checkpoints()[: -self.options.keep]:
                if old.name != self.state.best:
                    checkpoint.remove(old)
        return path

    def resume(self, log: RunLog) -> None:
        """Put everything back to the newest whole checkpoint of the run."""
        step, saved = checkpoint.resume(log.folder / "checkpoints", self.model, self.optimizers)
        if self.heads:
            checkpoint.load_heads(log.checkpoint_path(step), self.heads)
        self.state.restore(saved)
        log.seconds_before = self.state.elapsed
        log.truncate_after(step)

    def summary(self, after: Scores | None, last: Path) -> dict[str, Any]:
        """The outcome of a whole run, as summary.json keeps it."""
        state = self.state
        return {
            "task": self.task.name,
            "seed": self.options.seed,
            "steps": state.step,
            "split": "validation",
            "eval_n": after.n if after else 0,
            **before_and_after(state.before, after),
            "tokens_generated": state.tokens_generated,
            "tokens_trained": state.tokens_trained,
            "seconds": state.seconds,
            "skipped_steps": state.skipped_steps,
            "device": str(self.device),
            "machine": machine.describe(self.device),
            "version": version(),
            "init": self.origin,
            "parameters": count_parameters(self.model),
            "best": state.best or last.name,
            "last": last.name,
        }

    def close(self, summary: dict[str, Any]) -> None:
        """What comes after the summary of a whole run."""


def refuse_what_cannot_be_shared(make: type[Trainer], options: Options) -> None:
    """UserError unless a step has something for each of the processes that torchrun started."""
    processes = devices.count()
    if processes > 1 and (there := getattr(options, make.batch_option)) < processes:
        raise UserError(
            f"{flag(make.batch_option)} {there} cannot be shared among {processes} processes; use "
            "a multiple of them, or start fewer"
        )


def before_and_after(before: Scores | None, after: Scores | None) -> dict[str, Any]:
    """The scores at step 0 and at the end under the names of summary.json; None where nothing was
    measured."""
    out: dict[str, Any] = {}
    for when, scores in (("before", before), ("after", after)):
        values = scores.as_dict() if scores else {}
        out[f"accuracy_{when}_ci"] = values.get("accuracy_ci")
        for name in ("accuracy", "greedy", "think_rate", "accuracy_thinking"):
            out[f"{name}_{when}"] = values.get(name)
        out[f"length_{when}"] = values.get("mean_length")
    return out
