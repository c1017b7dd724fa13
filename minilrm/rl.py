"""What the loops share that train a policy on what it says itself: grpo, ppo, and distillation on
the student's own words.

    start from a checkpoint; evaluate
    for step = 1 .. steps:
        metrics = trainer.step(step)          <- the algorithm: the one thing that a loop brings itself
        now and then: evaluate, keep the best, stop if accuracy has collapsed; save all it takes to go on bit for bit
    evaluate, write the summary

A loop is a subclass of `Trainer` with its optimizers and a `step` (see grpo.py, which is the
shortest), and options of its own on top of `Options`. Here is no formula: those are in
objectives.py and values.py.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from minilrm import checkpoint, cli, evaluate, machine, objectives, reflection, rewards
from minilrm.cli import option
from minilrm.errors import UserError
from minilrm.model import SCALES, Transformer, count_parameters
from minilrm.optim import Guard
from minilrm.progress import Interrupt, Progress
from minilrm.rollout import Episode, episode_logprobs, group_metrics, micro_batches, rollout
from minilrm.runlog import RunLog, version
from minilrm.sampler import WORTH_SHARING, workers
from minilrm.tasks import TASKS, Problem, Task, get_task
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import Tokenizer

# A shipped model that has read problems of this kind, to start from.
BASES = {
    "gsm8k-mini": "gsm8k-mini-base",
    "arithmetic": "gsm8k-mini-base",
    "general": "gsm8k-mini-base",
    "countdown": "countdown-base",
    "multiplication": "multiplication-base",
}


@dataclass
class Options:
    """What every loop is asked that samples from the policy it trains."""

    task: str = option("gsm8k-mini", "what to learn", choices=tuple(TASKS))
    data: Path | None = option(None, "JSONL file of problems in GSM8K's schema, for --task gsm8k")
    init: str = option(
        "base", "where to start: base (shipped), scratch, or a checkpoint or run folder"
    )
    scale: str = option("micro", "size of the model with --init scratch", choices=tuple(SCALES))
    seed: int = option(0, "seed of problems and samples")
    steps: int = option(100, "rollout batches", minimum=0)
    prompts: int = option(32, "questions a step", minimum=1, group="rollout")
    group_size: int = option(8, "completions a question (G)", minimum=2, group="rollout")
    temperature: float = option(
        1.0, "sampling temperature of rollouts", exclusive_minimum=0, group="rollout"
    )
    max_new_tokens: int | None = option(
        None, "longest completion; the task's own if not given", minimum=1, group="rollout"
    )
    style: str = option(
        "plain", "how the prompt is written", choices=("plain", "cot"), group="rollout"
    )
    accuracy_weight: float = option(1.0, "reward for a right answer", minimum=0, group="reward")
    format_weight: float = option(
        0.1, "reward for one well-formed answer and a proper end", minimum=0, group="reward"
    )
    shuffle_rewards: bool = option(
        False,
        "control: hand the rewards of each batch out at random, so that they teach nothing",
        group="reward",
    )
    overlong_cache: int | None = option(
        None,
        "the last so many tokens before the longest completion cost reward, from 0 "
        "down to -1 (DAPO's soft overlong penalty)",
        minimum=1,
        group="reward",
    )
    updates: int = option(
        1,
        "optimizer steps a rollout batch, each on a share of its questions",
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
        minimum=256,
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
    keep: int = option(2, "newest checkpoints to keep, besides the best", minimum=1)
    out: Path | None = option(None, "run folder; runs/<command>-... if not given")
    resume: Path | None = option(None, "run folder to go on with")
    device: str = option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    threads: int | None = option(
        None, "threads; the available cores, at most 4, if not given", minimum=1
    )


class Trainer:
    """What one run carries: the policy, its task, its counters.

    A subclass adds its `optimizers` and its `guard`, a `reference` model if it has one and `heads`
    to be saved beside the policy if it has any, and says what a step is.
    """

    command = ""  # its name on the command line
    reference: Transformer | None = None
    heads: dict[str, nn.Module] = {}
    optimizers: dict[str, torch.optim.Optimizer]
    guard: Guard

    def __init__(self, options: Options):
        self.task: Task = get_task(options.task, **({"data": options.data} if options.data else {}))
        self.options = options = cli.fill(options, {"max_new_tokens": self.task.max_new_tokens})
        if (options.overlong_cache or 0) > options.max_new_tokens:
            raise UserError(
                f"--overlong-cache {options.overlong_cache} is longer than a completion may be "
                f"({options.max_new_tokens}); choose a smaller one, or raise --max-new-tokens"
            )
        self.device = machine.choose_device(options.device)
        machine.raise_malloc_thresholds()
        machine.set_threads(options.threads)
        machine.seed_everything(options.seed)
        self.policy, self.tokenizer, self.origin = starting_point(options)
        self.policy.to(self.device)
        self.reward = rewards.weighted(
            {"accuracy": options.accuracy_weight, "format": options.format_weight}
        )
        # Decoding in bfloat16 is faster where the processor has it. The log-probs of the loss are
        # the trainer's own.
        self.rollout_dtype = torch.bfloat16 if machine.bfloat16_pays(self.device) else None
        # they decode; they start while this process gets ready
        self.workers = workers.beside_this(self.device)
        if self.workers and options.prompts * options.group_size >= WORTH_SHARING:
            self.workers.start()
        room = self.policy.config.max_seq_len - options.max_new_tokens
        self.fits = lambda p: len(self.tokenizer.encode(self.task.render(p, options.style))) <= room
        self.state = {
            "step": 0,
            "seconds": 0.0,
            "tokens_generated": 0,
            "tokens_trained": 0,
            "prompts_dropped": 0,
            "best_accuracy": -1.0,
            "best": None,
            "low_evals": 0,
            "skipped_steps": 0,
        }

    def step(self, step: int) -> dict:
        """The algorithm: one batch of rollouts and what is learnt from it. Returns the step's
        metrics."""
        raise NotImplementedError

    # -- what steps are made of --------------------------------------------------------------------

    def sample(self, step: int, count: int | None = None, again: int = 0) -> list[list[Episode]]:
        """Groups of rewarded completions of the step's questions. `again` > 0: of `count` other
        ones (see `draw`)."""
        o = self.options
        problems = self.draw(step, count, again)  # several devices would each draw a share of these
        groups = rollout(
            self.policy,
            self.tokenizer,
            self.task,
            problems,
            group_size=o.group_size,
            max_new_tokens=o.max_new_tokens,
            temperature=o.temperature,
            style=o.style,
            seed=mix_seed(o.seed, step, again),
            dtype=self.rollout_dtype,
            workers=self.workers,
        )
        invalid = rewards.apply(groups, self.reward)
        if not again:
            self.watch_invalid(invalid / (len(problems) * o.group_size))
        if o.overlong_cache:
            punish_length(groups, o.max_new_tokens, o.overlong_cache)
        if o.shuffle_rewards:
            rewards.shuffle(groups, mix_seed(o.seed, step, again))
        self.state["tokens_generated"] += sum(e.length for g in groups for e in g)
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
            fresh = f"{salt}/{attempt - len(found)}"
            problem = self.task.sample(
                problem_rng(self.options.seed, index + len(found), fresh), "train"
            )
            if self.fits(problem):
                found.append(problem)
            else:
                self.state["prompts_dropped"] += 1
        raise UserError(
            f"hardly any problem of {self.task.name} fits into a context of {self.policy.config.max_seq_len} "
            f"tokens with --max-new-tokens {self.options.max_new_tokens}"
        )

    def watch_invalid(self, share: float) -> None:
        """A reward function that fails on most completions, ten steps running, teaches nothing:
        stop and say so."""
        self.state["invalid_steps"] = self.state.get("invalid_steps", 0) + 1 if share > 0.5 else 0
        if self.state["invalid_steps"] >= 10:
            raise UserError(
                f"the reward function failed on {share:.0%} of the completions and on over half of them for ten "
                "steps: it raises, or returns no finite number; mend it and go on with --resume"
            )

    @torch.no_grad()
    def remember_logprobs(self, groups: Sequence[Sequence[Episode]], old: bool) -> None:
        """Log-probs under the sampling policy and under the reference, in the trainer's precision,
        before any update."""
        models = {"old_logprobs": self.policy if old else None, "ref_logprobs": self.reference}
        for name, model in models.items():
            for batch in self.micro_batches(valid_ones(groups)) if model is not None else ():
                logps, _ = episode_logprobs(model, batch, self.options.temperature, self.device)
                unstack(batch, name, logps)

    def micro_batches(self, episodes: Sequence[Episode]) -> Iterator[list[Episode]]:
        """Batches of like length within the limit on memory, which those that are worked on side by
        side share."""
        together = torch.get_num_threads() if self.device.type == "cpu" else 1
        # a little work is shared, too; 1.1: padding
        share = 1.1 * sum(len(e.completion_ids) for e in episodes) / together
        return micro_batches(
            episodes, min(self.options.max_tokens_per_batch // together, math.ceil(share))
        )

    def shares(self, groups: list[list[Episode]]) -> Iterator[list[list[Episode]]]:
        """What each optimizer step of a batch learns from: `epochs` passes, each cut into `updates`
        shares by question."""
        o = self.options
        for epoch in range(o.epochs):
            order = np.random.default_rng((o.seed, self.state["step"], epoch)).permutation(
                len(groups)
            )
            for part in np.array_split(order, min(o.updates, len(groups))):
                yield [groups[i] for i in part]

    def metrics(
        self, groups: list[list[Episode]], update: dict, started: float, sampled: float
    ) -> dict:
        """What is logged of a step; `started` and `sampled` are clock readings before and after the
        rollouts."""
        now = time.perf_counter()
        self.state["seconds"] += now - started
        return {
            **group_metrics(groups),
            **reflection.live(self.task, groups),
            **update,
            "learning_rate": self.optimizers["adamw"].param_groups[0]["lr"],
            "seconds/rollout": sampled - started,
            "seconds/update": now - sampled,
            "seconds": self.state["seconds"],
            "tokens": self.state["tokens_generated"],
        }

    # -- around them -------------------------------------------------------------------------------

    def evaluate(self, n: int, temperature: float) -> tuple[dict, list[Episode]]:
        """Fresh problems of the validation split, one answer each."""
        problems = [p for p in self.task.problems("validation", n) if self.fits(p)]
        return evaluate.quick(
            self.policy,
            self.tokenizer,
            self.task,
            problems,
            seed=1,
            style=self.options.style,
            max_new_tokens=self.options.max_new_tokens,
            temperature=temperature,
            dtype=self.rollout_dtype,
            workers=self.workers,
        )

    def save(self, log: RunLog) -> Path:
        path = log.checkpoint_path(self.state["step"])
        if not path.exists():
            checkpoint.save(
                path,
                self.policy,
                self.tokenizer,
                heads=self.heads,
                optimizers=self.optimizers,
                trainer=dict(self.state),
                info={
                    "task": self.task.name,
                    "init": self.origin,
                    "options": cli.to_dict(self.options),
                    "step": self.state["step"],
                },
            )
            self.prune(log)
        return path

    def prune(self, log: RunLog) -> None:
        for _, path in log.checkpoints()[: -self.options.keep]:
            if path.name != self.state["best"]:
                checkpoint.remove(path)

    def resume(self, log: RunLog) -> None:
        step, saved = checkpoint.go_on(log.folder / "checkpoints", self.policy, self.optimizers)
        if self.heads:
            checkpoint.load_heads(log.checkpoint_path(step), self.heads)
        self.state |= saved
        self.guard.skipped = self.state["skipped_steps"]
        log.truncate_after(step)


# -- pure pieces -----------------------------------------------------------------------------------


def mix_seed(seed: int, step: int, again: int = 0) -> int:
    """A seed for each step, far from those of other steps and runs; `again` numbers further
    rollouts in one step."""
    return problem_rng(seed, step, f"redraw-{again}" if again else "rollout").getrandbits(63)


def valid_ones(groups: Sequence[Sequence[Episode]]) -> list[Episode]:
    return [e for g in groups for e in g if e.valid]


def punish_length(groups: Sequence[Sequence[Episode]], longest: int, cache: int) -> None:
    """Take DAPO's soft overlong penalty from the rewards."""
    episodes = valid_ones(groups)
    penalties = objectives.soft_overlong_penalty(
        torch.tensor([e.length for e in episodes]), longest, cache
    )
    for e, penalty in zip(episodes, penalties.tolist(), strict=True):
        e.reward += penalty


def stack(batch: Sequence[Episode], name: str, like: Tensor) -> Tensor:
    """Rows kept with the episodes as one matrix [B, T], padded like another."""
    out = torch.zeros_like(like)
    for i, e in enumerate(batch):
        row = torch.as_tensor(getattr(e, name))
        out[i, : len(row)] = row
    return out


def unstack(batch: Sequence[Episode], name: str, rows: Tensor) -> None:
    """Keep each row of a matrix [B, T] with its episode, without the padding: `stack` backwards."""
    for e, row in zip(batch, rows, strict=True):
        setattr(e, name, row[: len(e.completion_ids)])


def means(metrics: Sequence[dict]) -> dict:
    """The mean of each figure over the optimizer steps that have it."""
    return {
        key: float(np.mean([m[key] for m in metrics if key in m])) for m in metrics for key in m
    }


def starting_point(options: Options) -> tuple[Transformer, Tokenizer, str]:
    """The policy at step 0, and where it comes from."""
    if options.init == "scratch":
        tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
        return (
            Transformer(replace(SCALES[options.scale], vocab_size=len(tokenizer))),
            tokenizer,
            "scratch",
        )
    if options.init == "base":
        if options.task not in BASES:
            raise UserError(
                f"no base is shipped for {options.task}; start from one of your own with --init DIR (python -m "
                "minilrm.pretrain makes one in about 35 minutes on two cores), or from nothing with --init scratch"
            )
        path = checkpoint.shipped(BASES[options.task])
    else:
        path = checkpoint.resolve(options.init)
    model, tokenizer, _ = checkpoint.load(path)
    if tokenizer is None:
        raise UserError(
            f"{path} has no tokenizer that minilrm wrote; start from a checkpoint of minilrm's own"
        )
    return model, tokenizer, options.init


# -- the run ---------------------------------------------------------------------------------------


def train(make: type[Trainer], options: Options) -> Path:
    """A whole run, or the rest of one; returns its folder."""
    log = RunLog.open(options.resume, make.command) if options.resume else None
    options = cli.resumed(options, log.config.get("options", {})) if log else options
    trainer = make(options)
    if log:
        trainer.resume(log)
    else:
        log = RunLog.create(make.command, options.task, cli.to_dict(options), options.out)
    print(cli.describe(options))
    print(
        f"{count_parameters(trainer.policy):,} parameters from {trainer.origin}; run folder {log.folder}",
        flush=True,
    )
    if "before" not in trainer.state:
        evaluate_fully(trainer, log)
    finished = loop(trainer, log)
    last = trainer.save(log)
    if finished:
        after = evaluate_fully(trainer, log)
        log.summary(summary(trainer, after, last))
    return log.folder


def loop(trainer: Trainer, log: RunLog) -> bool:
    """Steps until the end, the collapse stop, or Ctrl-C (then False)."""
    o, state = trainer.options, trainer.state
    with (
        Interrupt() as interrupt,
        Progress(o.steps, initial=state["step"], label=trainer.command) as bar,
    ):
        while state["step"] < o.steps:
            metrics = trainer.step(state["step"])
            state["step"] += 1
            log.log(state["step"], metrics)
            bar.update(**shown(metrics))
            if state["step"] % o.eval_every == 0 and state["step"] < o.steps:
                scores, episodes = trainer.evaluate(o.eval_quick, o.temperature)
                record_eval(trainer, log, scores, episodes)
                bar.note(
                    f"step {state['step']}: validation accuracy {scores['accuracy']:.1%}, thinks "
                    f"{scores['think_rate']:.1%}, right when thinking {scores['accuracy_thinking']:.1%}"
                )
                if state["low_evals"] >= 2:
                    bar.note(
                        f"collapsed: accuracy fell below {o.collapse:g} of its best; the best is {state['best']}"
                    )
                    return True
            if state["step"] % o.save_every == 0 or interrupt.requested:
                trainer.save(log)
            if interrupt.requested and state["step"] < o.steps:
                bar.note(
                    f"stopped at step {state['step']}; go on with: "
                    f"python -m minilrm.{trainer.command} --resume {log.folder}"
                )
                return False
    return True


def shown(metrics: dict) -> dict:
    """What stands beside the progress bar: how many think, or, where there are traces, how many try
    again."""
    names = {"reward": "reward", "accuracy": "accuracy", "length": "completions/mean_length"}
    if "reflection/retry_rate" in metrics:
        names |= {"first": "reflection/first_try_accuracy", "retries": "reflection/retry_rate"}
    else:
        names |= {"thinks": "completions/think_rate"}
    return {word: metrics[name] for word, name in names.items() if metrics[name] is not None}


def record_eval(trainer: Trainer, log: RunLog, scores: dict, episodes: list[Episode]) -> None:
    """Log an evaluation with its first transcripts; keep the best policy; notice a collapse."""
    state = trainer.state
    log.log(state["step"], {**scores, "elapsed": log.seconds}, event="eval")
    log.sample(
        state["step"],
        [
            {
                "event": "eval",
                "key": e.problem.key,
                "prompt": e.problem.prompt,
                "completion": e.text,
                "answer": e.problem.answer,
                "correct": e.grade.correct,
                "reward": e.reward,
                "pieces": pieces(trainer.task, e),
            }
            for e in episodes[:40]
        ],
    )
    state.setdefault("before", scores)
    fallen = scores["accuracy"] < trainer.options.collapse * state["best_accuracy"]
    state["low_evals"] = state["low_evals"] + 1 if fallen else 0
    if scores["accuracy"] > state["best_accuracy"]:
        state["best_accuracy"], state["best"] = (
            scores["accuracy"],
            log.checkpoint_path(state["step"]).name,
        )
        trainer.save(log)  # last, so that what is saved is the state to go on from


def pieces(task: Task, episode: Episode) -> list | None:
    """A completion cut into (piece, kind) for the report to highlight; None where there is no trace
    to read."""
    return (
        reflection.highlight(task, episode.problem, episode.text)
        if reflection.has_traces(task)
        else None
    )


def evaluate_fully(trainer: Trainer, log: RunLog) -> dict:
    """The figures before and after: `eval_n` validation problems, sampled as in rollouts, and
    greedily."""
    sampled, episodes = trainer.evaluate(trainer.options.eval_n, trainer.options.temperature)
    greedy, _ = trainer.evaluate(trainer.options.eval_n, 0.0)
    sampled["greedy"] = greedy["accuracy"]
    record_eval(trainer, log, sampled, episodes)
    low, high = sampled["accuracy_ci"]
    print(
        f"step {trainer.state['step']}: validation accuracy {sampled['accuracy']:.1%} ({low:.1%} to {high:.1%}), greedy "
        f"{greedy['accuracy']:.1%}, thinks {sampled['think_rate']:.1%}, right when thinking "
        f"{sampled['accuracy_thinking']:.1%}, mean length {sampled['mean_length']:.0f}",
        flush=True,
    )
    return sampled


def summary(trainer: Trainer, after: dict, last: Path) -> dict:
    before, state = trainer.state["before"], trainer.state
    out = {
        "task": trainer.task.name,
        "seed": trainer.options.seed,
        "steps": state["step"],
        "split": "validation",
        "eval_n": after["n"],
        "device": str(trainer.device),
        "best": state["best"],
        "last": last.name,
        "init": trainer.origin,
        "machine": machine.describe(trainer.device),
        "version": version(),
    }
    for when, scores in (("before", before), ("after", after)):
        for name, key in (
            ("accuracy", "accuracy"),
            ("greedy", "greedy"),
            ("length", "mean_length"),
            ("think_rate", "think_rate"),
            ("accuracy_thinking", "accuracy_thinking"),
        ):
            out[f"{name}_{when}"] = scores[key]
        out[f"accuracy_{when}_ci"] = scores["accuracy_ci"]
    for key in (
        "tokens_generated",
        "tokens_trained",
        "seconds",
        "prompts_dropped",
        "skipped_steps",
    ):
        out[key] = state[key]
    return out
