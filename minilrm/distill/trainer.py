"""A run of distillation: teacher and student, the pool of traces, the steps."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from minilrm import checkpoint, devices, loop
from minilrm.batches import Answered, example_batches
from minilrm.distill.loss import WAYS, loss_of
from minilrm.errors import UserError
from minilrm.measure import Scores
from minilrm.model import SCALES, Transformer, count_parameters
from minilrm.optim import adamw, set_lr
from minilrm.options import fill, option
from minilrm.progress import Interrupt
from minilrm.rollout import Episode, rollout
from minilrm.runlog import RunLog
from minilrm.tasks import Problem
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import Tokenizer
from minilrm.traces import Pool, draw_problems, read_pool, walk, write_pool


@dataclass
class Options(loop.Options):
    """Teach a small model what a larger one can do: by its traces, by its logits, or on the
    student's own samples."""

    teacher: str | None = option(
        None, "the model to learn from: a checkpoint, a run folder or a shipped model"
    )
    student: str = option(
        "scratch",
        "where the student starts: scratch, or a checkpoint, a run folder or a shipped model",
    )
    student_scale: str = option(
        "nano", "size of the student with --student scratch", choices=tuple(SCALES)
    )
    way: str = option(
        "traces", "how to learn: sets --lmbda, --beta and --hard-weight", choices=tuple(WAYS)
    )
    steps: int = option(300, "optimizer steps", minimum=1)
    tokens: int | None = option(
        None,
        "stop after learning from this many completion tokens, whatever --steps says",
        minimum=1,
    )
    prompts: int = option(
        6000, "training problems that the teacher answers", minimum=1, group="samples"
    )
    samples: int = option(1, "its answers to each", minimum=1, group="samples")
    pool: Path | None = option(
        None, "traces.jsonl of an earlier run, to learn from again", group="samples"
    )
    temperature: float = option(
        1.0, "at which both of them sample", exclusive_minimum=0, group="samples"
    )
    lmbda: float | None = option(
        None, "share of batches that the student writes", minimum=0, maximum=1, group="objective"
    )
    beta: float | None = option(
        None,
        "of the JSD: 0 is KL(T || S), 1 is KL(S || T)",
        minimum=0,
        maximum=1,
        group="objective",
    )
    hard_weight: float | None = option(
        None, "weight of cross-entropy on traces", minimum=0, maximum=1, group="objective"
    )
    loss_temperature: float = option(
        1.0, "tau of the divergence", exclusive_minimum=0, group="objective"
    )
    batch: int = option(64, "completions per step", minimum=1, group="optimizer")
    lr: float = option(
        1e-3,
        "highest learning rate of AdamW; it falls to a tenth",
        exclusive_minimum=0,
        group="optimizer",
    )
    warmup: int = option(
        10, "steps over which the learning rate rises", minimum=0, group="optimizer"
    )
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0, group="optimizer")
    max_tokens_per_batch: int = option(
        8192, "tokens in a micro-batch, with padding", minimum=1, group="optimizer"
    )
    eval_every: int = option(100, "steps between evaluations", minimum=1, group="evaluation")


@dataclass
class State(loop.State):
    """teacher: its scores on the problems that the student is measured on."""

    teacher: Scores | None = None

    def as_dict(self) -> dict[str, Any]:
        return super().as_dict() | {"teacher": self.teacher and self.teacher.as_dict()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        super().restore(saved)
        self.teacher = Scores.from_dict(saved["teacher"]) if saved.get("teacher") else None


class Trainer(loop.Trainer):
    """The student is the `model` that is trained; beside it the teacher and the pool of its
    traces."""

    command = "distill"
    batch_option = "batch"

    @classmethod
    def kept(cls, options: Options) -> Sequence[str]:
        return ("task", "way", "student", "student_scale")

    @classmethod
    def complete(cls, options: Options, saved: Mapping[str, Any]) -> Options:
        """The teacher's own folder, and the numbers of the way."""
        if options.teacher is None:
            raise UserError(
                "--teacher must be given: the model to learn from, a checkpoint, a run folder or a "
                "shipped model"
            )
        # A run that is still going may have a newer checkpoint tomorrow.
        teacher = checkpoint.resolve(options.teacher).resolve()
        full = fill(options.replace(teacher=str(teacher)), WAYS[options.way])
        divergence = options.beta is not None or options.loss_temperature != 1
        if not saved and divergence and full.hard_weight == 1 and full.lmbda == 0:
            raise UserError(
                "--beta, --loss-temperature are of the divergence: --way logits or on-policy, or "
                "--hard-weight below 1"
            )
        return full

    def __init__(self, options: Options):
        super().__init__(options)
        self.state: State = State()
        self.teacher, self.model, self.tokenizer = teacher_and_student(options, self.device)
        self.ready(self.model)
        self.origin = f"{options.student}; teacher of {count_parameters(self.teacher):,} parameters"
        self.optimizers = adamw(self.model, options.lr)
        if not self.validation(full=True):
            raise UserError(
                f"no question and its answer of up to {self.max_new_tokens} tokens fit into "
                f"{self.context} tokens, the shorter context of teacher and student; choose others"
            )
        self.pool = Pool()
        if options.pool and options.lmbda != 1:
            self.pool = read_pool(options.pool, self.task, self.tokenizer)

    # -- the algorithm box -----------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """Take a batch of the teacher's traces or of the student's own samples, compare, update.
        Returns the metrics."""
        o, started = self.options, time.perf_counter()
        own = problem_rng(o.seed, step, "distill/own").random() < o.lmbda
        rows, metrics = self.own_samples(step) if own else (self.from_pool(step), {})
        tokens = devices.total(sum(sum(row.mask) for row in rows))
        warm = min(1.0, (step + 1) / o.warmup) if o.warmup else 1.0
        set_lr(self.optimizers, warm * (1 - 0.9 * self.done / self.goal))
        loss, norm = self.descend(
            loss_of(
                self.model,
                self.teacher,
                ids,
                mask,
                hard=0.0 if own else o.hard_weight,
                beta=o.beta,
                temperature=o.loss_temperature,
                denominator=tokens,
            )
            for ids, mask in example_batches(rows, o.max_tokens_per_batch)
        )
        self.state.tokens_trained += tokens
        self.state.seconds += time.perf_counter() - started
        return {
            "loss": loss,
            "grad_norm": norm,
            "own": float(own),
            **metrics,
            "tokens": self.state.tokens_trained,
            "learning_rate": self.learning_rate(),
            "seconds": self.state.seconds,
        }

    def from_pool(self, step: int) -> Sequence[Answered]:
        o = self.options
        places = walk(len(self.pool.examples), o.seed, step * o.batch, o.batch)
        return devices.share([self.pool.examples[i] for i in places])

    def own_samples(self, step: int) -> tuple[list[Episode], dict[str, float | None]]:
        """The student's answers to fresh problems, right or wrong: the teacher will say what it
        thinks of each token."""
        o = self.options
        numbers = devices.share(range(step * o.batch, (step + 1) * o.batch))
        problems = draw_problems(self.task, self.fits, o.seed, numbers, "own")
        episodes = self.sample(self.model, problems, 1, "distill/student", step)
        self.state.tokens_generated += devices.total(sum(e.length for e in episodes))
        return episodes, devices.means(
            {
                "accuracy": [e.grade.correct for e in episodes],
                "completions/mean_length": [e.length for e in episodes],
                "completions/clipped_ratio": [e.finish_reason == "length" for e in episodes],
            }
        )

    def sample(
        self, model: Transformer, problems: Sequence[Problem], samples: int, what: str, number: int
    ) -> list[Episode]:
        """Answers to this process's share of some problems."""
        # Far from the seeds of other steps and runs.
        seed = problem_rng(self.options.seed, number, what).getrandbits(63)
        groups = rollout(
            model,
            self.tokenizer,
            self.task,
            problems,
            places=devices.places(len(problems)),
            group_size=samples,
            seed=seed,
            dtype=self.decoding_dtype,
            max_new_tokens=self.max_new_tokens,
            temperature=self.options.temperature,
        )
        return [e for group in groups for e in group]

    # -- how far it is ---------------------------------------------------------------------------

    @property
    def goal(self) -> int:
        return self.options.tokens or self.options.steps

    @property
    def done(self) -> int:
        return self.state.tokens_trained if self.options.tokens else self.state.step

    # -- around it -------------------------------------------------------------------------------

    @property
    def context(self) -> int:
        return min(self.teacher.config.max_seq_len, self.model.config.max_seq_len)

    def fits(self, problem: Problem) -> bool:
        prompt = self.task.encode_prompt(self.tokenizer, self.task.render(problem))
        return len(prompt) + self.max_new_tokens <= self.context

    def begin(self, log: RunLog) -> None:
        """Measure the teacher on the student's problems."""
        problems = self.validation(full=True)
        sampled, _ = self.answer(problems, 1.0, self.teacher)
        greedy, _ = self.answer(problems, 0.0, self.teacher)
        self.state.teacher = replace(sampled, greedy=greedy.accuracy)
        figures = self.state.teacher.as_dict() | {"parameters": count_parameters(self.teacher)}
        log.log(0, figures, event="teacher")
        print(f"the teacher on these problems: {self.state.teacher.words()}", flush=True)

    def has_results(self, log: RunLog) -> bool:
        """The teacher's traces can be learnt from again."""
        return super().has_results(log) or (log.folder / "traces.jsonl").exists()

    def prepare(self, log: RunLog, interrupt: Interrupt) -> bool:
        """Have the teacher's traces written, or read those of this run."""
        if self.pool.examples or self.options.lmbda == 1:  # every batch is the student's own
            return True
        path = log.folder / "traces.jsonl"
        if not path.exists():
            o = self.options

            def ask(problems: Sequence[Problem], number: int) -> list[Episode]:
                return self.sample(self.teacher, problems, o.samples, "distill/traces", number)

            counts = write_pool(
                path, self.task, self.tokenizer, ask, self.fits, o.seed, o.prompts, interrupt
            )
            if counts is None:
                return False
            log.log(0, counts, event="traces")
        self.pool = read_pool(path, self.task, self.tokenizer)
        return True

    def resume(self, log: RunLog) -> None:
        super().resume(log)
        traces = log.folder / "traces.jsonl"
        if traces.exists() and not self.pool.examples:
            self.pool = read_pool(traces, self.task, self.tokenizer)

    def summary(self, after: Scores | None, last: Path) -> dict[str, Any]:
        """What every run reports, and the teacher's figures beside it."""
        out, teacher, counts = super().summary(after, last), self.state.teacher, self.pool.counts
        assert teacher is not None and after is not None
        for name in ("accuracy", "accuracy_ci", "greedy", "mean_length"):
            out[f"teacher_{name}"] = getattr(teacher, name)
        return out | {
            "tokens_generated": self.state.tokens_generated + counts["tokens"],
            "seconds": self.state.seconds + counts["seconds"],
            "way": self.options.way,
            "student": self.options.student,
            "teacher": self.options.teacher,
            "teacher_parameters": count_parameters(self.teacher),
            "accuracy_kept": after.accuracy / teacher.accuracy if teacher.accuracy else None,
            "traces": counts,
            "traces_kept": counts["kept"] / counts["sampled"] if counts["sampled"] else None,
        }


def teacher_and_student(
    options: Options, device: torch.device
) -> tuple[Transformer, Transformer, Tokenizer]:
    """Teacher, student, and their tokenizer: the loss compares them id by id, so both must mean the
    same by each."""
    _, teacher, tokenizer, _ = checkpoint.open_model(str(options.teacher), device)
    teacher.requires_grad_(False)
    shape = teacher.config
    if not options.resume and options.student == "scratch":
        scale = SCALES[options.student_scale]
        small = replace(scale, vocab_size=shape.vocab_size, max_seq_len=shape.max_seq_len)
        return teacher, Transformer(small).to(device), tokenizer
    # Of a resumed run only the student's shape is wanted here; where it had started may be gone.
    start: Path | str = options.student
    if options.resume:
        start = checkpoint.newest_valid(options.resume / "checkpoints")[1]
    _, student, own, _ = checkpoint.open_model(start, device)
    if own.fingerprint() != tokenizer.fingerprint():
        raise UserError(
            f"teacher {options.teacher} and student {options.student} have different tokenizers, "
            "so their tokens cannot be compared; choose a student with the teacher's, or --student "
            "scratch"
        )
    if student.config.vocab_size != shape.vocab_size:
        raise UserError(
            f"the teacher has logits for {shape.vocab_size} tokens and the student for "
            f"{student.config.vocab_size}; choose a student with as many, or --student scratch"
        )
    return teacher, student, tokenizer


def train(options: Options) -> loop.Result:
    """A whole run, or the rest of one."""
    return loop.train(Trainer, options)


def main(options: Options) -> int:
    return loop.train(Trainer, options, show_options=True).exit_code
