"""Supervised fine-tuning on full chain-of-thought answer keys.

    minimise  - sum_t log p(y_t | x, y_<t)       over the answer's tokens y, its end-of-text token included

The prompt x is read but not learnt: its tokens are masked out of the loss. What bigger recipes have
and this leaves out: packing, chat templates, low-rank adapters, mixing in pretraining text.

    python -m minilrm.sft --task gsm8k-mini
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from minilrm import checkpoint, cli, evaluate, machine, objectives
from minilrm.batches import fill_batches, pad
from minilrm.cli import option
from minilrm.errors import UserError
from minilrm.model import Transformer
from minilrm.optim import Guard, adamw, lr_factor, set_lr
from minilrm.progress import Interrupt, Progress
from minilrm.report import write_report
from minilrm.runlog import RunLog, version
from minilrm.tasks import TASKS, Task, get_task
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import Tokenizer

STYLES = ("steps", "plan_verify", "reflex", "careless")


@dataclass
class Options:
    """Fine-tune a model on worked solutions of a task."""

    task: str = option("gsm8k-mini", "what to learn", choices=tuple(TASKS))
    data: Path | None = option(None, "JSONL file of problems in GSM8K's schema, for --task gsm8k")
    init: str = option(
        "gsm8k-mini-base", "where to start: a shipped model, a checkpoint or a run folder"
    )
    style: str = option("steps", "how the answer keys are written", choices=STYLES)
    seed: int = option(0, "seed of problems and wordings")
    steps: int = option(200, "optimizer steps", minimum=1)
    batch: int = option(64, "examples a step", minimum=1)
    lr: float = option(3e-4, "highest learning rate of AdamW", exclusive_minimum=0)
    warmup: int = option(10, "steps over which the learning rate rises", minimum=0)
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0)
    max_tokens_per_batch: int = option(
        16_384, "tokens in a micro-batch, padding included", minimum=256
    )
    eval_every: int = option(50, "steps between evaluations", minimum=1)
    eval_n: int = option(500, "validation problems to answer at each evaluation", minimum=1)
    save_every: int = option(100, "steps between checkpoints", minimum=1)
    out: Path | None = option(None, "run folder; runs/sft-... if not given")
    resume: Path | None = option(None, "run folder to go on with")
    device: str = option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    threads: int | None = option(
        None, "threads; the available cores, at most 4, if not given", minimum=1
    )


@dataclass(frozen=True)
class Example:
    """ids of prompt and answer in one row; the first `prompt` of them are read, the others
    learnt."""

    ids: list[int]
    prompt: int


def build_example(tokenizer: Tokenizer, prompt: str, answer: str) -> Example:
    """Prompt, answer, end of text. Each part is encoded alone, as at generation, where the prompt
    stands alone too."""
    head = tokenizer.encode(prompt)
    return Example([*head, *tokenizer.encode(answer), tokenizer.eos_id], len(head))


def draw(
    task: Task, tokenizer: Tokenizer, options: Options, step: int, context: int
) -> list[Example]:
    """The examples of a step: fresh problems of the training split, by number. Those too long are
    dropped."""
    examples: list[Example] = []
    for i in range(100 * options.batch):
        if len(examples) == options.batch:
            return examples
        rng = problem_rng(options.seed, step * 100 * options.batch + i, f"{task.name}/sft")
        problem = task.sample(rng, "train")
        example = build_example(
            tokenizer, task.render(problem), task.solution(problem, rng, options.style)
        )
        if len(example.ids) <= context:
            examples.append(example)
    raise UserError(
        f"hardly any solved problem of {task.name} fits into a context of {context} tokens"
    )


def micro_batches(
    examples: Sequence[Example], max_tokens: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(ids [B, T], learnt [B, T]) of examples of like length; learnt is True on answer tokens."""
    lengths = np.array([len(e.ids) for e in examples])
    order = np.argsort(lengths, kind="stable")
    for rows in fill_batches(order, lengths[order], max_tokens):
        part = [examples[i] for i in rows]
        place = torch.arange(max(len(e.ids) for e in part))
        prompt, length = (
            torch.tensor(x)[:, None] for x in ([e.prompt for e in part], [len(e.ids) for e in part])
        )
        yield pad([e.ids for e in part]), (place >= prompt) & (place < length)


def loss_of(
    model: Transformer, ids: torch.Tensor, learnt: torch.Tensor, denominator: int, device
) -> torch.Tensor:
    ids, learnt = ids.to(device), learnt.to(device)
    with machine.autocast(device):
        logits = model(ids[:, :-1])
    return objectives.cross_entropy(logits, ids[:, 1:], learnt[:, 1:], denominator)


def train(options: Options) -> Path:
    log = RunLog.open(options.resume, "sft") if options.resume else None
    options = cli.resumed(options, log.config.get("options", {})) if log else options
    device = machine.choose_device(options.device)
    machine.raise_malloc_thresholds()
    machine.set_threads(options.threads)
    machine.seed_everything(options.seed)
    task = get_task(options.task, **({"data": options.data} if options.data else {}))
    model, tokenizer, _ = checkpoint.load(checkpoint.resolve(options.init), device=device)
    if tokenizer is None:
        raise UserError(
            f"{options.init} has no tokenizer that minilrm wrote; start from a checkpoint of minilrm's"
        )
    log = log or RunLog.create("sft", options.task, cli.to_dict(options), options.out)
    print(cli.describe(options))
    optimizers = adamw(model, options.lr)
    state = {"step": 0, "seconds": 0.0, "tokens_trained": 0, "skipped_steps": 0}
    if options.resume:
        state |= resume(log, model, optimizers)
    score = Scorer(model, tokenizer, task, options.eval_n, machine.bfloat16_pays(device))
    if state["step"] == 0:
        state["before"] = score(log, 0)
    finished = loop(options, model, tokenizer, task, optimizers, log, state, score, device)
    last = save(log, model, tokenizer, optimizers, state, options)
    if finished:
        log.summary(summary(options, state, score(log, state["step"]), last, device))
    print(f"report: {write_report(log.folder)}")
    return log.folder


def loop(options, model, tokenizer, task, optimizers, log, state, score, device) -> bool:
    guard = Guard(options.clip)
    with (
        Interrupt() as interrupt,
        Progress(options.steps, initial=state["step"], label="sft") as bar,
    ):
        while state["step"] < options.steps:
            started, loss = time.perf_counter(), 0.0
            examples = draw(task, tokenizer, options, state["step"], model.config.max_seq_len)
            answers = sum(len(e.ids) - e.prompt for e in examples)
            set_lr(optimizers, lr_factor(state["step"], options.steps, options.warmup, final=0.1))
            for ids, learnt in micro_batches(examples, options.max_tokens_per_batch):
                part = loss_of(model, ids, learnt, answers, device)
                part.backward()
                loss += float(part.detach())
            norm = guard.step(model, optimizers, loss)
            state["skipped_steps"] += math.isnan(norm)
            state["step"] += 1
            state["seconds"] += time.perf_counter() - started
            state["tokens_trained"] += answers
            log.log(
                state["step"],
                {
                    "loss": loss,
                    "grad_norm": norm,
                    "seconds": state["seconds"],
                    "learning_rate": optimizers["adamw"].param_groups[0]["lr"],
                },
            )
            bar.update(loss=loss)
            if state["step"] % options.eval_every == 0 and state["step"] < options.steps:
                scores = score(log, state["step"])
                bar.note(f"step {state['step']}: validation accuracy {scores['accuracy']:.1%}")
            if state["step"] % options.save_every == 0 or interrupt.requested:
                save(log, model, tokenizer, optimizers, state, options)
            if interrupt.requested and state["step"] < options.steps:
                bar.note(
                    f"stopped at step {state['step']}; go on with: python -m minilrm.sft --resume {log.folder}"
                )
                return False
    return True


class Scorer:
    """Answers the same validation problems again and again, sampled at temperature 1 and
    greedily."""

    def __init__(self, model, tokenizer, task, n: int, bfloat16: bool):
        self.model, self.tokenizer, self.task = model, tokenizer, task
        self.problems = task.problems("validation", n)
        self.dtype = torch.bfloat16 if bfloat16 else None

    def __call__(self, log: RunLog, step: int) -> dict:
        common = {"seed": 1, "max_new_tokens": self.task.max_new_tokens, "dtype": self.dtype}
        scores, episodes = evaluate.quick(
            self.model, self.tokenizer, self.task, self.problems, **common
        )
        greedy, _ = evaluate.quick(
            self.model, self.tokenizer, self.task, self.problems, temperature=0.0, **common
        )
        scores["greedy"] = greedy["accuracy"]
        log.log(step, scores, event="eval")
        log.sample(
            step,
            [
                {
                    "event": "eval",
                    "key": e.problem.key,
                    "prompt": e.problem.prompt,
                    "completion": e.text,
                    "answer": e.problem.answer,
                    "correct": e.grade.correct,
                    "reward": float(e.grade.correct),
                }
                for e in episodes[:40]
            ],
        )
        return scores


def save(log: RunLog, model, tokenizer, optimizers, state: dict, options: Options) -> Path:
    path = log.checkpoint_path(state["step"])
    if not path.exists():
        checkpoint.save(
            path,
            model,
            tokenizer,
            optimizers=optimizers,
            trainer=dict(state),
            info={"task": options.task, "options": cli.to_dict(options), "step": state["step"]},
        )
    return path


def resume(log: RunLog, model: Transformer, optimizers: dict) -> dict:
    step, state = checkpoint.go_on(log.folder / "checkpoints", model, optimizers)
    log.truncate_after(step)
    return state


def summary(options: Options, state: dict, after: dict, last: Path, device) -> dict:
    out = {
        "task": options.task,
        "seed": options.seed,
        "steps": state["step"],
        "split": "validation",
        "eval_n": after["n"],
        "device": str(device),
        "machine": machine.describe(device),
        "version": version(),
        "best": last.name,
        "last": last.name,
        "skipped_steps": state["skipped_steps"],
        "tokens_generated": 0,
        "tokens_trained": state["tokens_trained"],
        "seconds": state["seconds"],
    }
    for when, scores in (("before", state["before"]), ("after", after)):
        out |= {
            f"accuracy_{when}": scores["accuracy"],
            f"accuracy_{when}_ci": scores["accuracy_ci"],
            f"greedy_{when}": scores["greedy"],
            f"length_{when}": scores["mean_length"],
        }
    return out


if __name__ == "__main__":
    cli.run_command(train, Options, prog="python -m minilrm.sft", description=Options.__doc__)
