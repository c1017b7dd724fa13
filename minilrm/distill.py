"""Distillation: a small student learns from what a larger teacher writes, or from what it thinks of
each next token.

x is a prompt, y a completion with its end-of-text token; T and S are what teacher and student
expect at y_t, having read x and y_<t: softmax(logits / tau).

    traces     minimise  - sum_t log S(y_t)            y written by the teacher, kept if right (tau = 1)
    logits     minimise  tau^2 sum_t KL(T || S)        the same y
    on-policy  minimise  tau^2 sum_t JSD_beta(T, S)    y written by the STUDENT with probability lambda, else as above

traces: sequence-level knowledge distillation (Kim & Rush, arXiv 1606.07947); so R1 taught small
models (2501.12948). logits: Hinton et al. (1503.02531). A distribution says more than the one token
drawn from it: at tau = 1 the gradient with respect to S's logits, S - T, is what that of the
traces, S - onehot(y_t), is on average. Why tau^2: the gradient of the KL is (S - T) / tau, and S -
T itself shrinks as 1 / tau; the factor keeps its size, and so the balance with the hard loss.
on-policy: GKD (2306.13649). The student is corrected where it goes wrong itself, in places that no
trace of the teacher visits. A sample is data: no gradient flows through the drawing of it. It wants
a student that can write already (--student): in noise there is little to correct, and where T and S
hardly meet, a JSD is flat.

All three are one loss, a mean over completion tokens, and a way is a row of three numbers in it
(`WAYS`):

    on the teacher's traces    hard_weight * (- log S(y_t)) + (1 - hard_weight) * tau^2 JSD_beta(T, S)
    on the student's samples   tau^2 JSD_beta(T, S)         where JSD_0 is KL(T || S) and JSD_1 is KL(S || T)

Left out: a reward beside the divergence (GKD), policy gradients of the reverse KL of whole
sequences (MiniLLM, 2306.08543), hidden states, beam search for traces, a teacher with another
tokenizer. The teacher is queried anew in each step, never stored.

    python -m minilrm.distill --teacher runs/grpo-gsm8k-mini-... --student-scale nano --way traces
"""

import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minilrm import checkpoint, cli, evaluate, machine, objectives, rewards, sft
from minilrm.batches import fill_batches, pad
from minilrm.cli import option
from minilrm.errors import UserError
from minilrm.files import read_jsonl, write_bytes_atomic
from minilrm.model import SCALES, Transformer, count_parameters
from minilrm.optim import Guard, adamw, set_lr
from minilrm.progress import Interrupt, Progress
from minilrm.report import write_report
from minilrm.rollout import Episode, rollout
from minilrm.runlog import RunLog
from minilrm.tasks import TASKS, Problem, Task, get_task
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import Tokenizer

# A way is a row of three numbers (see the head of this file); any of them can be set by hand.
WAYS = {
    "traces": {"lmbda": 0.0, "beta": 0.0, "hard_weight": 1.0},
    "logits": {"lmbda": 0.0, "beta": 0.0, "hard_weight": 0.0},
    "on-policy": {"lmbda": 0.5, "beta": 0.5, "hard_weight": 0.0},
}
PROMPTS_AT_ONCE = 128  # Ctrl-C is heard, and the bar moves, when the teacher has answered so many


@dataclass
class Options:
    """Teach a small model what a larger one can do: by its traces, by its logits, or on the
    student's own samples."""

    teacher: str | None = option(
        None, "whom to learn from: a checkpoint, a run folder or a shipped model"
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
    task: str = option("gsm8k-mini", "what to learn", choices=tuple(TASKS))
    data: Path | None = option(None, "JSONL file of problems in GSM8K's schema, for --task gsm8k")
    seed: int = option(0, "seed of weights, problems and samples", minimum=0)
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
    batch: int = option(64, "completions a step", minimum=1, group="optimizer")
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
        8192, "tokens in a micro-batch, with padding", minimum=256, group="optimizer"
    )
    eval_every: int = option(100, "steps between evaluations", minimum=1, group="evaluation")
    eval_n: int = option(
        500, "validation problems to answer at each evaluation", minimum=1, group="evaluation"
    )
    save_every: int = option(100, "steps between checkpoints", minimum=1)
    out: Path | None = option(None, "run folder; runs/distill-... if not given")
    resume: Path | None = option(None, "run folder to go on with")
    device: str = option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    threads: int | None = option(
        None, "threads; the available cores, at most 4, if not given", minimum=1
    )


# -- pure pieces -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """What is left of an `Episode` that was kept. mask: 1 on the tokens that the model itself
    chose."""

    prompt_ids: list[int]
    completion_ids: list[int]
    mask: list[int]


def micro_batches(
    rows: Sequence[Trace | Episode], max_tokens: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """(ids [B, T], learnt [B, T]) of rows of like length; learnt: a completion's own tokens,
    end-of-text included."""
    lengths = np.array([len(r.prompt_ids) + len(r.completion_ids) for r in rows])
    order = np.argsort(lengths, kind="stable")
    for places in fill_batches(order, lengths[order], max_tokens):
        part = [rows[i] for i in places]
        yield (
            pad([*r.prompt_ids, *r.completion_ids] for r in part),
            pad([0] * len(r.prompt_ids) + list(r.mask) for r in part).bool(),
        )


def loss_of(
    student: Transformer,
    teacher: Transformer,
    ids: Tensor,
    learnt: Tensor,
    *,
    hard: float,
    beta: float,
    temperature: float,
    denominator: int,
) -> Tensor:
    """hard * cross-entropy + (1 - hard) * tau^2 * JSD_beta over the learnt tokens of ids [B, T], a
    scalar.

    denominator: the learnt tokens of the whole optimizer batch, so that micro-batches add up. The
    teacher is asked here and now, about these tokens alone: its logits (tokens x vocabulary) for a
    whole pool would fill any memory.
    """
    device = student.norm.weight.device
    # the logits at t speak of the token at t + 1
    ids, learnt = (ids.to(device), learnt[:, 1:].to(device))
    every = torch.ones(int(learnt.sum()), dtype=torch.bool, device=device)
    with machine.autocast(device):
        logits = student.lm_head(student.hidden(ids[:, :-1])[learnt])
        with torch.no_grad():
            goal = teacher.lm_head(teacher.hidden(ids[:, :-1])[learnt]) if hard < 1 else None
    loss = logits.new_zeros((), dtype=torch.float32)
    if hard > 0:
        loss = loss + hard * objectives.cross_entropy(
            logits, ids[:, 1:][learnt], every, denominator
        )
    if goal is not None:
        soft = objectives.generalized_jsd(logits, goal, beta, every, temperature, denominator)
        loss = loss + (1 - hard) * temperature**2 * soft
    return loss


def keep_right(episodes: Sequence[Episode], seen: set) -> tuple[list[Episode], Counter]:
    """The traces worth learning from, and what became of all: right ones that end as they should,
    each once (`seen` grows)."""
    kept, tokens = [], sum(e.length for e in episodes)
    counts = Counter(sampled=len(episodes), kept=0, wrong=0, untidy=0, duplicates=0, tokens=tokens)
    for e in episodes:
        # untidy: right, but it went on behind its answer, or was cut off
        name = (tuple(e.prompt_ids), e.text)
        fate = (
            "wrong"
            if not e.grade.correct
            else "untidy"
            if not rewards.formatted(e)
            else "duplicates"
            if name in seen
            else "kept"
        )
        counts[fate] += 1
        if fate == "kept":
            seen.add(name)
            kept.append(e)
    return kept, counts


def pick(size: int, seed: int, first: int, count: int) -> list[int]:
    """Steps `first` to `first + count - 1` of an endless walk through `size` places: each round in
    a new order."""
    rounds = range(first // size, (first + count - 1) // size + 1)
    order = np.concatenate([np.random.default_rng((seed, n)).permutation(size) for n in rounds])
    return order[first % size :][:count].tolist()


def draw(
    task: Task, fits: Callable[[Problem], bool], seed: int, numbers: range, what: str
) -> list[Problem]:
    """Problems of the training split, each by its number alone. One too long for the context gives
    way to another."""
    found = [
        next(
            filter(
                fits,
                (
                    task.sample(
                        problem_rng(seed, i, f"{task.name}/distill-{what}/{again}"), "train"
                    )
                    for again in range(100)
                ),
            ),
            None,
        )
        for i in numbers
    ]
    if None in found:
        raise UserError(
            f"hardly any problem of {task.name} fits into the context of teacher and student; choose others"
        )
    return found


# -- teacher and student ---------------------------------------------------------------------------


def pair(options: Options, device: torch.device) -> tuple[Transformer, Transformer, Tokenizer]:
    """Teacher, student, and their tokenizer: the loss compares them id by id, so both must mean the
    same by each."""
    _, teacher, tokenizer, _ = evaluate.open_model(options.teacher, device)
    teacher.requires_grad_(False)
    shape = teacher.config
    if not options.resume and options.student == "scratch":
        small = replace(
            SCALES[options.student_scale],
            vocab_size=shape.vocab_size,
            max_seq_len=shape.max_seq_len,
        )
        return teacher, Transformer(small).to(device), tokenizer
    # Of a run to go on with only the student's shape is wanted here; where it had started may be
    # gone.
    start = (
        checkpoint.newest_valid(options.resume / "checkpoints")[1]
        if options.resume
        else options.student
    )
    _, student, own, _ = evaluate.open_model(start, device)
    if own.fingerprint() != tokenizer.fingerprint():
        raise UserError(
            f"teacher {options.teacher} and student {options.student} have different tokenizers, so their "
            "tokens cannot be compared; choose a student with the teacher's, or --student scratch"
        )
    if student.config.vocab_size != shape.vocab_size:
        raise UserError(
            f"the teacher has logits for {shape.vocab_size} tokens and the student for "
            f"{student.config.vocab_size}; choose a student with as many, or --student scratch"
        )
    return teacher, student, tokenizer


class Distiller:
    """What one run carries: teacher and student, the task, the pool of traces, the optimizer."""

    def __init__(self, options: Options):
        self.options = options
        self.task: Task = get_task(options.task, **({"data": options.data} if options.data else {}))
        self.device = machine.choose_device(options.device)
        machine.raise_malloc_thresholds()
        machine.set_threads(options.threads)
        machine.seed_everything(options.seed)
        self.teacher, self.student, self.tokenizer = pair(options, self.device)
        self.optimizers, self.guard = adamw(self.student, options.lr), Guard(options.clip)
        self.dtype = torch.bfloat16 if machine.bfloat16_pays(self.device) else None  # of decoding
        context = min(self.teacher.config.max_seq_len, self.student.config.max_seq_len)
        self.fits = lambda p: (
            len(self.tokenizer.encode(self.task.render(p))) + self.task.max_new_tokens <= context
        )
        self.score = sft.Scorer(
            self.student, self.tokenizer, self.task, options.eval_n, self.dtype is not None
        )
        self.score.problems = [p for p in self.score.problems if self.fits(p)]
        if not self.score.problems:
            raise UserError(
                f"no question and its answer of up to {self.task.max_new_tokens} tokens fit into {context} tokens, "
                "the shorter context of teacher and student; choose others"
            )
        self.pool: list[Trace] = []
        self.traces: dict = {"sampled": 0, "kept": 0, "tokens": 0, "seconds": 0.0}
        if options.pool and options.lmbda < 1:
            self.read_pool(options.pool)
        self.state = {
            "step": 0,
            "seconds": 0.0,
            "tokens_generated": 0,
            "tokens_trained": 0,
            "skipped_steps": 0,
        }

    # -- the algorithm box -------------------------------------------------------------------------

    def step(self, step: int) -> dict:
        """Take a batch of the teacher's traces or of the student's own samples, compare, update.
        Returns the metrics."""
        o, started = self.options, time.perf_counter()
        own = problem_rng(o.seed, step, "distill/own").random() < o.lmbda
        rows, metrics = (
            self.own_samples(step)
            if own
            else ([self.pool[i] for i in pick(len(self.pool), o.seed, step * o.batch, o.batch)], {})
        )
        learnt, loss = sum(sum(row.mask) for row in rows), 0.0
        warm = min(1.0, (step + 1) / o.warmup) if o.warmup else 1.0
        set_lr(self.optimizers, warm * (1 - 0.9 * self.share_done()))
        for ids, mask in micro_batches(rows, o.max_tokens_per_batch):
            part = loss_of(
                self.student,
                self.teacher,
                ids,
                mask,
                hard=0.0 if own else o.hard_weight,
                beta=o.beta,
                temperature=o.loss_temperature,
                denominator=learnt,
            )
            part.backward()
            loss += float(part.detach())
        norm = self.guard.step(self.student, self.optimizers, loss)
        self.state["skipped_steps"] += math.isnan(norm)
        self.state["tokens_trained"] += learnt
        self.state["seconds"] += time.perf_counter() - started
        return {
            "loss": loss,
            "grad_norm": norm,
            "own": float(own),
            **metrics,
            "tokens": self.state["tokens_trained"],
            "learning_rate": self.optimizers["adamw"].param_groups[0]["lr"],
            "seconds": self.state["seconds"],
        }

    def own_samples(self, step: int) -> tuple[list[Episode], dict]:
        """The student's answers to fresh problems, right or wrong: the teacher will say what it
        thinks of each token."""
        o = self.options
        problems = draw(
            self.task, self.fits, o.seed, range(step * o.batch, (step + 1) * o.batch), "own"
        )
        episodes = self.ask(self.student, problems, 1, "distill/student", step)
        figures = evaluate.score([[e] for e in episodes])
        self.state["tokens_generated"] += figures["tokens"]
        return episodes, {
            "accuracy": figures["accuracy"],
            "completions/mean_length": figures["mean_length"],
            "completions/clipped_ratio": figures["clipped_ratio"],
        }

    def ask(
        self, model: Transformer, problems: Sequence[Problem], samples: int, what: str, number: int
    ) -> list[Episode]:
        # far from those of other steps and runs
        seed = problem_rng(self.options.seed, number, what).getrandbits(63)
        groups = rollout(
            model,
            self.tokenizer,
            self.task,
            problems,
            group_size=samples,
            seed=seed,
            dtype=self.dtype,
            max_new_tokens=self.task.max_new_tokens,
            temperature=self.options.temperature,
        )
        return [e for group in groups for e in group]

    def share_done(self) -> float:
        """How much of the run is behind us, 0 to 1."""
        o = self.options
        return self.state["tokens_trained"] / o.tokens if o.tokens else self.state["step"] / o.steps

    def measure_start(self, log: RunLog) -> None:
        """Step 0: the student before it learns anything, and the teacher on the same validation
        problems."""
        self.state["before"] = before = self.score(log, 0)
        teacher, greedy = (
            evaluate.quick(
                self.teacher,
                self.tokenizer,
                self.task,
                self.score.problems,
                seed=1,
                temperature=t,
                max_new_tokens=self.task.max_new_tokens,
                dtype=self.dtype,
            )[0]
            for t in (1.0, 0.0)
        )
        self.state["teacher"] = teacher | {
            "greedy": greedy["accuracy"],
            "parameters": count_parameters(self.teacher),
        }
        log.log(0, self.state["teacher"], event="teacher")
        print(
            f"validation accuracy: teacher {teacher['accuracy']:.1%}, student {before['accuracy']:.1%}",
            flush=True,
        )

    def fill_pool(self, log: RunLog, interrupt: Interrupt) -> bool:
        """Have the traces written, or read those of this run. False if Ctrl-C came in between."""
        path = log.folder / "traces.jsonl"
        if self.pool or self.options.lmbda == 1:  # given, or every batch is the student's own
            return True
        if not path.exists():
            records = self.write_traces(interrupt)
            if interrupt.requested:
                return False
            write_bytes_atomic(
                path, "".join(json.dumps(record) + "\n" for record in records).encode()
            )
            log.log(0, records[0], event="traces")
        return self.read_pool(path)

    def read_pool(self, path: Path) -> bool:
        """Traces to learn from (True). UserError if they are none, or of another task or
        tokenizer."""
        try:
            counts, *records = read_jsonl(path)
            self.traces = {
                name: counts[name] for name in ("sampled", "kept", "tokens", "seconds")
            } | counts
            if counts.get("task", self.task.name) != self.task.name:
                raise ValueError(f"they are of the task {counts['task']}")
            self.pool = [
                Trace(
                    self.tokenizer.encode(r["prompt"]),
                    r["completion_ids"],
                    [1] * len(r["completion_ids"]),
                )
                for r in records
                if self.tokenizer.decode(r["completion_ids"][:-1]) == r["completion"]
            ]
            if not len(records) == len(self.pool) > 0:
                raise ValueError("the ids of a completion are not its text, or there is none")
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise UserError(
                f"{path} holds no traces to learn from ({error!r}); without it, they are made anew"
            ) from error
        return True

    def write_traces(self, interrupt: Interrupt) -> list[dict]:
        """What became of all samples, in numbers, and then a record of each that is kept."""
        o, started, seen, records, counts = self.options, time.perf_counter(), set(), [], Counter()
        with Progress(o.prompts, label="traces") as bar:
            for first in range(0, o.prompts, PROMPTS_AT_ONCE):
                numbers = range(first, min(first + PROMPTS_AT_ONCE, o.prompts))
                problems = draw(self.task, self.fits, o.seed, numbers, "traces")
                kept, found = keep_right(
                    self.ask(self.teacher, problems, o.samples, "distill/traces", first), seen
                )
                counts.update(found)
                records += [
                    {
                        "key": e.problem.key,
                        "prompt": self.tokenizer.decode(e.prompt_ids),
                        "completion": e.text,
                        "completion_ids": e.completion_ids,
                    }
                    for e in kept
                ]
                bar.update(len(problems), kept=len(records) / counts["sampled"])
                if interrupt.requested:
                    return []
        if not records:
            raise UserError(
                f"none of the teacher's {counts['sampled']} answers is right and well-formed: nothing to learn; "
                "choose another --teacher, or --way on-policy --lmbda 1"
            )
        return [
            {"task": self.task.name, **counts, "seconds": time.perf_counter() - started},
            *records,
        ]

    def save(self, log: RunLog) -> Path:
        return sft.save(
            log, self.student, self.tokenizer, self.optimizers, self.state, self.options
        )


# -- the run ---------------------------------------------------------------------------------------


def settle(options: Options, log: RunLog | None) -> Options:
    """The options as they will be saved: those of the run to go on with, the teacher's own folder,
    the numbers of the way."""
    saved = log.config.get("options", {}) if log else {}
    options = cli.resumed(options, saved)
    if options.way != saved.get("way", options.way):
        raise UserError(
            f"--way {options.way}: that run learns by {saved['way']}; leave --way away, or start another run"
        )
    if options.teacher is None:
        raise UserError(
            "--teacher must be given: whom to learn from, a checkpoint, a run folder or a shipped model"
        )
    teacher = checkpoint.resolve(
        options.teacher
    ).resolve()  # a run that is still going may have a newer one tomorrow
    full = cli.fill(replace(options, teacher=str(teacher)), WAYS[options.way])
    if (
        not log
        and full.hard_weight == 1
        and full.lmbda == 0
        and (options.beta is not None or options.loss_temperature != 1)
    ):
        raise UserError(
            "--beta, --loss-temperature are of the divergence: --way logits or on-policy, or --hard-weight below 1"
        )
    return full


def train(options: Options) -> Path:
    log = RunLog.open(options.resume, "distill") if options.resume else None
    run = Distiller(settle(options, log))
    options = run.options
    if log:
        run.state |= sft.resume(log, run.student, run.optimizers)
    else:
        log = RunLog.create("distill", options.task, cli.to_dict(options), options.out)
    print(cli.describe(options))
    print(
        f"parameters: teacher {count_parameters(run.teacher):,}, student {count_parameters(run.student):,}; in {log.folder}"
    )
    if "before" not in run.state:
        run.measure_start(log)
        run.save(log)  # so that Ctrl-C among the traces is no loss
    with Interrupt() as interrupt:
        finished = run.fill_pool(log, interrupt) and loop(run, log, interrupt)
    if finished:
        last = run.save(log)
        log.summary(summary(run, run.score(log, run.state["step"]), last))
    else:
        print(
            f"stopped at step {run.state['step']}; go on with: python -m minilrm.distill --resume {log.folder}",
            file=sys.stderr,
        )
    print(f"report: {write_report(log.folder)}")
    return log.folder


def loop(run: Distiller, log: RunLog, interrupt: Interrupt) -> bool:
    """Steps until the end (True) or Ctrl-C (False)."""
    o, state = run.options, run.state
    unit = "tokens_trained" if o.tokens else "step"
    with Progress(o.tokens or o.steps, initial=state[unit], label="distill") as bar:
        while run.share_done() < 1:
            was = state[unit]
            metrics = run.step(state["step"])
            state["step"] += 1
            log.log(state["step"], metrics)
            bar.update(state[unit] - was, loss=metrics["loss"])
            if state["step"] % o.eval_every == 0 and run.share_done() < 1:
                scores = run.score(log, state["step"])
                bar.note(
                    f"step {state['step']}: validation accuracy {scores['accuracy']:.1%}, greedy {scores['greedy']:.1%}"
                )
            if state["step"] % o.save_every == 0 or interrupt.requested:
                run.save(log)
            if interrupt.requested and run.share_done() < 1:
                return False
    return True


def summary(run: Distiller, after: dict, last: Path) -> dict:
    """What `sft` reports of a run, and the teacher's figures beside it."""
    o, state, teacher, traces = run.options, run.state, run.state["teacher"], run.traces
    out = sft.summary(o, state, after, last, run.device)
    out |= {
        "tokens_generated": state["tokens_generated"] + traces["tokens"],
        "seconds": state["seconds"] + traces["seconds"],
    }
    out |= {
        "way": o.way,
        "student": o.student,
        "teacher": o.teacher,
        "parameters": count_parameters(run.student),
    }
    out |= {
        f"teacher_{name}": teacher[name]
        for name in ("parameters", "accuracy", "accuracy_ci", "greedy", "mean_length")
    }
    out["accuracy_kept"] = after["accuracy"] / teacher["accuracy"] if teacher["accuracy"] else None
    return out | {
        "traces": traces,
        "traces_kept": traces["kept"] / traces["sampled"] if traces["sampled"] else None,
    }


if __name__ == "__main__":
    cli.run_command(train, Options, prog="python -m minilrm.distill", description=Options.__doc__)
