"""Group Relative Policy Optimization (DeepSeekMath, arXiv 2402.03300; used by DeepSeek-R1, 2501.12948).

    for step = 1 .. steps:
        draw questions q from the task
        sample G completions o_1 .. o_G of each q from the policy pi_old                      rollout
        r_i = reward(q, o_i)                                                                   rule-based
        A_i = (r_i - mean r) / std r          over the group of q                              advantages
        for each optimizer step on this batch:
            maximise  mean_i 1/|o_i| sum_t min(rho_it A_i, clip(rho_it, 1 - e, 1 + e) A_i) - beta KL(pi || pi_ref)
            with  rho_it = pi(o_it | q, o_i<t) / pi_old(o_it | q, o_i<t)

What the paper has and this leaves out: a learned reward model, and refreshing the reference model between iterations.
By default there is one optimizer step a batch and no KL term; then rho is 1, the clip never acts, and the step is
REINFORCE with group-relative advantages. `--updates`, `--kl-coef` and `--objective` bring the rest.

    python -m minilrm.grpo --task gsm8k-mini
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from minilrm import checkpoint, cli, evaluate, machine, objectives, rewards
from minilrm.cli import option
from minilrm.errors import UserError
from minilrm.model import SCALES, Transformer, count_parameters
from minilrm.report import write_report
from minilrm.rollout import Episode, episode_logprobs, group_metrics, micro_batches, rollout
from minilrm.runlog import Interrupt, Progress, RunLog, version
from minilrm.tasks import TASKS, Problem, Task, get_task
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import Tokenizer
from minilrm.training import Guard, adamw, set_lr

# A shipped model that has read problems of this kind, to start from.
BASES = {"gsm8k-mini": "gsm8k-mini-base", "arithmetic": "gsm8k-mini-base", "general": "gsm8k-mini-base"}


@dataclass
class Options:
    """Reinforcement learning from rule-based rewards with group-relative advantages."""

    task: str = option("gsm8k-mini", "what to learn", choices=tuple(TASKS))
    data: Path | None = option(None, "JSONL file of problems in GSM8K's schema, for --task gsm8k")
    init: str = option("base", "where to start: base (shipped), scratch, or a checkpoint or run folder")
    scale: str = option("micro", "size of the model with --init scratch", choices=tuple(SCALES))
    seed: int = option(0, "seed of problems and samples")
    steps: int = option(100, "rollout batches", minimum=0)
    prompts: int = option(32, "questions a step", minimum=1, group="rollout")
    group_size: int = option(8, "completions a question (G)", minimum=2, group="rollout")
    temperature: float = option(1.0, "sampling temperature of rollouts", exclusive_minimum=0, group="rollout")
    max_new_tokens: int | None = option(None, "longest completion; the task's own if not given", minimum=1,
                                        group="rollout")
    style: str = option("plain", "how the prompt is written", choices=("plain", "cot"), group="rollout")
    accuracy_weight: float = option(1.0, "reward for a right answer", minimum=0, group="reward")
    format_weight: float = option(0.1, "reward for one well-formed answer and a proper end", minimum=0, group="reward")
    objective: str = option("grpo", "policy loss", choices=("reinforce", "grpo", "dr_grpo", "dapo", "gspo", "cispo"),
                            group="objective")
    normalize: str = option("std", "advantages: the reward minus its group's mean, over the group's std (std), or over the "
                            "batch's (batch), or as it is (none), or minus the mean of the others (rloo), or the bare reward",
                            choices=("std", "none", "rloo", "batch", "reward"), group="objective")
    aggregation: str | None = option("token", "mean over tokens: of the whole batch (token), of each sequence first "
                                     "(sequence, as in the paper), or over a constant; none: the objective's own",
                                     choices=("sequence", "token", "constant"), group="objective")
    clip_low: float | None = option(None, "clip range below 1; the objective's own if not given", minimum=0,
                                    group="objective")
    clip_high: float | None = option(None, "clip range above 1; the objective's own if not given", minimum=0,
                                     group="objective")
    kl_coef: float = option(0.0, "weight of the KL to the reference model (beta)", minimum=0, group="objective")
    kl_kind: str = option("k3", "its estimator", choices=("k1", "k2", "k3"), group="objective")
    updates: int = option(1, "optimizer steps a rollout batch, each on a share of its questions", minimum=1,
                          group="optimizer")
    epochs: int = option(1, "passes over each rollout batch", minimum=1, group="optimizer")
    lr: float = option(1e-4, "learning rate of AdamW", exclusive_minimum=0, group="optimizer")
    warmup: int = option(5, "steps over which the learning rate rises", minimum=0, group="optimizer")
    clip: float = option(1.0, "largest gradient norm", exclusive_minimum=0, group="optimizer")
    max_tokens_per_batch: int = option(4096, "completion tokens in a micro-batch, padding included: bounds the memory",
                                       minimum=256, group="optimizer")
    eval_every: int = option(20, "steps between evaluations", minimum=1, group="evaluation")
    eval_n: int = option(1000, "validation problems before and after", minimum=1, group="evaluation")
    eval_quick: int = option(300, "validation problems in between", minimum=1, group="evaluation")
    collapse: float = option(0.5, "stop when accuracy falls below this share of its best twice running", minimum=0,
                             maximum=1, group="evaluation")
    save_every: int = option(50, "steps between checkpoints", minimum=1)
    keep: int = option(2, "newest checkpoints to keep, besides the best", minimum=1)
    out: Path | None = option(None, "run folder; runs/grpo-... if not given")
    resume: Path | None = option(None, "run folder to go on with")
    device: str = option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    threads: int | None = option(None, "threads; the available cores, at most 4, if not given", minimum=1)


class Trainer:
    """What one run carries: the policy and its optimizer, the task, the log."""

    def __init__(self, options: Options):
        self.task: Task = get_task(options.task, **({"data": options.data} if options.data else {}))
        self.options = options = cli.fill(options, {"max_new_tokens": self.task.max_new_tokens})
        self.device = machine.choose_device(options.device)
        machine.raise_malloc_thresholds()
        machine.set_threads(options.threads)
        machine.seed_everything(options.seed)
        self.policy, self.tokenizer, self.origin = starting_point(options)
        self.policy.to(self.device)
        self.reference = copy.deepcopy(self.policy).eval().requires_grad_(False) if options.kl_coef else None
        self.optimizers = adamw(self.policy, options.lr)
        self.guard = Guard(options.clip)
        self.reward = rewards.weighted({"accuracy": options.accuracy_weight, "format": options.format_weight})
        # Decoding in bfloat16 is faster where the processor has it. The log-probs of the loss are the trainer's own.
        self.rollout_dtype = torch.bfloat16 if machine.bfloat16_pays(self.device) else None
        room = self.policy.config.max_seq_len - options.max_new_tokens
        self.fits = lambda p: len(self.tokenizer.encode(self.task.render(p, options.style))) <= room
        self.state = {"step": 0, "seconds": 0.0, "tokens_generated": 0, "tokens_trained": 0, "prompts_dropped": 0,
                      "best_accuracy": -1.0, "best": None, "low_evals": 0, "skipped_steps": 0}

    # -- the algorithm box --------------------------------------------------------------------------------------------

    def step(self, step: int) -> dict:
        """One round: sample, reward, compare within groups, update. Returns the step's metrics."""
        o, started = self.options, time.perf_counter()
        problems = self.draw(step)  # several devices would each draw a share of these
        groups = rollout(self.policy, self.tokenizer, self.task, problems, group_size=o.group_size,
                         max_new_tokens=o.max_new_tokens, temperature=o.temperature, style=o.style,
                         seed=mix_seed(o.seed, step), dtype=self.rollout_dtype)
        self.watch_invalid(rewards.apply(groups, self.reward) / (o.prompts * o.group_size))
        give_advantages(groups, o.normalize)
        sampled = time.perf_counter()
        set_lr(self.optimizers, min(1.0, (step + 1) / o.warmup) if o.warmup else 1.0)
        update = self.update(groups)
        self.state["seconds"] += time.perf_counter() - started
        self.state["tokens_generated"] += sum(e.length for g in groups for e in g)
        return {**group_metrics(groups), **update, "learning_rate": self.optimizers["adamw"].param_groups[0]["lr"],
                "seconds/rollout": sampled - started, "seconds/update": time.perf_counter() - sampled,
                "seconds": self.state["seconds"], "tokens": self.state["tokens_generated"]}

    def draw(self, step: int) -> list[Problem]:
        """The step's questions: number i of a run is always the same problem. Too long prompts are dropped and counted."""
        found: list[Problem] = []
        index = step * self.options.prompts
        for attempt in range(100 * self.options.prompts):
            if len(found) == self.options.prompts:
                return found
            fresh = f"{self.task.name}/rollout/{attempt - len(found)}"
            problem = self.task.sample(problem_rng(self.options.seed, index + len(found), fresh), "train")
            if self.fits(problem):
                found.append(problem)
            else:
                self.state["prompts_dropped"] += 1
        raise UserError(f"hardly any problem of {self.task.name} fits into a context of {self.policy.config.max_seq_len} "
                        f"tokens with --max-new-tokens {self.options.max_new_tokens}")

    def watch_invalid(self, share: float) -> None:
        """A reward function that fails on most completions, ten steps running, teaches nothing: stop and say so."""
        self.state["invalid_steps"] = self.state.get("invalid_steps", 0) + 1 if share > 0.5 else 0
        if self.state["invalid_steps"] >= 10:
            raise UserError(f"the reward function failed on {share:.0%} of the completions and on over half of them for ten "
                            "steps: it raises, or returns no finite number; mend it and go on with --resume")

    def update(self, groups: list[list[Episode]]) -> dict:
        """Optimizer steps on one rollout batch: `epochs` passes, each cut into `updates` steps by question."""
        o = self.options
        reuse = o.updates * o.epochs > 1  # then the policy moves away from the one that sampled
        if reuse or o.kl_coef:
            self.remember_logprobs(groups, old=reuse)
        metrics: list[dict] = []
        for epoch in range(o.epochs):
            order = np.random.default_rng((o.seed, self.state["step"], epoch)).permutation(len(groups))
            for part in np.array_split(order, min(o.updates, len(groups))):
                metrics.append(self.optimizer_step([groups[i] for i in part]))
        return {key: float(np.mean([m[key] for m in metrics if key in m])) for m in metrics for key in m}

    def optimizer_step(self, groups: list[list[Episode]]) -> dict:
        """One step of the optimizer on whole groups. Gradients of the micro-batches add up to the batch's own."""
        everyone = [e for g in groups for e in g if e.valid]
        # A group of equal rewards has advantage 0 everywhere and no gradient: its forward pass is skipped, but it stays
        # in the denominator, so that the gradient is that of the full batch.
        learning = everyone if self.options.kl_coef else [e for e in everyone if e.advantage != 0]
        aggregation = self.options.aggregation or objectives.OBJECTIVES[self.options.objective][0]
        tokens = max(1, sum(e.length for e in everyone))
        denominator = tokens if aggregation == "token" else max(1, len(everyone))
        totals: dict[str, float] = {"loss": 0.0}
        for batch in micro_batches(learning, self.options.max_tokens_per_batch):
            loss, stats = self.loss(batch, denominator, tokens)
            loss.backward()
            totals["loss"] += float(loss.detach())
            for key, value in stats.items():
                totals[key] = totals.get(key, 0.0) + float(value)
        # Several devices would sum their gradients and metrics here, and nowhere else.
        self.state["tokens_trained"] += sum(len(e.prompt_ids) + len(e.completion_ids) for e in learning)
        totals["grad_norm"] = self.guard.step(self.policy, self.optimizers, totals["loss"]) if learning else 0.0
        self.state["skipped_steps"] = self.guard.skipped
        for key in ("ratio/mean", "sampling/logp_difference") if learning else ():  # of the tokens that were looked at
            totals[key] *= tokens / sum(e.length for e in learning)
        return totals

    def loss(self, batch: list[Episode], denominator: int, tokens: int) -> tuple[torch.Tensor, dict]:
        o = self.options
        logp, mask = episode_logprobs(self.policy, batch, o.temperature, self.device)
        old = stack(batch, "old_logprobs", logp) if hasattr(batch[0], "old_logprobs") else None
        ref = stack(batch, "ref_logprobs", logp) if o.kl_coef else None
        advantages = torch.tensor([e.advantage for e in batch], device=self.device)
        loss, stats = objectives.policy_loss(
            logp, old, advantages, mask, objective=o.objective, aggregation=o.aggregation, clip_low=o.clip_low,
            clip_high=o.clip_high, kl_coef=o.kl_coef, kl_kind=o.kl_kind, ref_logp=ref, max_length=o.max_new_tokens,
            denominator=denominator, token_denominator=tokens)
        # How far sampling and training disagree, by their precision alone as long as the policy has not moved.
        sampled = torch.zeros_like(logp)
        for i, e in enumerate(batch):
            sampled[i, :len(e.logprobs)] = torch.tensor(e.logprobs)
        stats["sampling/logp_difference"] = ((logp.detach() - sampled).abs() * mask).sum() / tokens
        return loss, stats

    @torch.no_grad()
    def remember_logprobs(self, groups: list[list[Episode]], old: bool) -> None:
        """Log-probs under the sampling policy and under the reference, in the trainer's precision, before any update."""
        episodes = [e for g in groups for e in g if e.valid]
        for batch in micro_batches(episodes, self.options.max_tokens_per_batch):
            models = {"old_logprobs": self.policy if old else None, "ref_logprobs": self.reference}
            for name, model in models.items():
                if model is not None:
                    logps, _ = episode_logprobs(model, batch, self.options.temperature, self.device)
                    for e, row in zip(batch, logps, strict=True):
                        setattr(e, name, row[:len(e.completion_ids)])

    # -- around it ----------------------------------------------------------------------------------------------------

    def evaluate(self, n: int, temperature: float) -> tuple[dict, list[Episode]]:
        """Fresh problems of the validation split, one answer each."""
        problems = [p for p in self.task.problems("validation", n) if self.fits(p)]
        return evaluate.quick(self.policy, self.tokenizer, self.task, problems, seed=1, style=self.options.style,
                              max_new_tokens=self.options.max_new_tokens, temperature=temperature, dtype=self.rollout_dtype)

    def save(self, log: RunLog) -> Path:
        path = log.checkpoint_path(self.state["step"])
        if not path.exists():
            checkpoint.save(path, self.policy, self.tokenizer, optimizers=self.optimizers, trainer=dict(self.state),
                            info={"task": self.task.name, "init": self.origin, "options": cli.to_dict(self.options),
                                  "step": self.state["step"]})
            self.prune(log)
        return path

    def prune(self, log: RunLog) -> None:
        for _, path in log.checkpoints()[:-self.options.keep]:
            if path.name != self.state["best"]:
                checkpoint.remove(path)

    def resume(self, log: RunLog) -> None:
        step, saved = checkpoint.go_on(log.folder / "checkpoints", self.policy, self.optimizers)
        self.state |= saved
        self.guard.skipped = self.state["skipped_steps"]
        log.truncate_after(step)


# -- pure pieces ------------------------------------------------------------------------------------------------------------

def mix_seed(seed: int, step: int) -> int:
    """A seed for each step, far from those of other steps and runs."""
    return problem_rng(seed, step, "rollout").getrandbits(63)


def give_advantages(groups: Sequence[Sequence[Episode]], normalize: str) -> None:
    """Compare each episode with its group (equation in the head of this file)."""
    table = torch.tensor([[e.reward for e in g] for g in groups])
    valid = torch.tensor([[e.valid for e in g] for g in groups])
    if normalize == "reward":  # no comparison: with 0/1 rewards this is expert iteration, imitation of what was right
        advantages = table * valid
    else:
        advantages = objectives.group_advantages(table, normalize, valid=valid)
    for group, row in zip(groups, advantages.tolist(), strict=True):
        for episode, advantage in zip(group, row, strict=True):
            episode.advantage = advantage


def stack(batch: Sequence[Episode], name: str, like: torch.Tensor) -> torch.Tensor:
    out = torch.zeros_like(like)
    for i, e in enumerate(batch):
        row = getattr(e, name)
        out[i, :len(row)] = row
    return out


def starting_point(options: Options) -> tuple[Transformer, Tokenizer, str]:
    """The policy at step 0, and where it comes from."""
    if options.init == "scratch":
        tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
        return Transformer(replace(SCALES[options.scale], vocab_size=len(tokenizer))), tokenizer, "scratch"
    if options.init == "base":
        if options.task not in BASES:
            raise UserError(f"no base is shipped for {options.task}; start from one of your own with --init DIR (python -m "
                            "minilrm.pretrain makes one in about 35 minutes on two cores), or from nothing with --init scratch")
        path = checkpoint.shipped(BASES[options.task])
    else:
        path = checkpoint.resolve(options.init)
    model, tokenizer, _ = checkpoint.load(path)
    if tokenizer is None:
        raise UserError(f"{path} has no tokenizer that minilrm wrote; start from a checkpoint of minilrm's own")
    return model, tokenizer, options.init


# -- the run ----------------------------------------------------------------------------------------------------------------

def train(options: Options) -> Path:
    log = RunLog.open(options.resume, "grpo") if options.resume else None
    options = cli.resumed(options, log.config.get("options", {})) if log else options
    trainer = Trainer(options)
    if log:
        trainer.resume(log)
    else:
        log = RunLog.create("grpo", options.task, cli.to_dict(options), options.out)
    print(cli.describe(options))
    print(f"{count_parameters(trainer.policy):,} parameters from {trainer.origin}; run folder {log.folder}", flush=True)
    if "before" not in trainer.state:
        evaluate_fully(trainer, log)
    finished = loop(trainer, log)
    last = trainer.save(log)
    if finished:
        after = evaluate_fully(trainer, log)
        log.summary(summary(trainer, after, last))
    print(f"report: {write_report(log.folder)}")
    return log.folder


def loop(trainer: Trainer, log: RunLog) -> bool:
    """Steps until the end, the collapse stop, or Ctrl-C (then False)."""
    o, state = trainer.options, trainer.state
    with Interrupt() as interrupt, Progress(o.steps, initial=state["step"], label="grpo") as bar:
        while state["step"] < o.steps:
            metrics = trainer.step(state["step"])
            state["step"] += 1
            log.log(state["step"], metrics)
            bar.update(reward=metrics["reward"], accuracy=metrics["accuracy"], thinks=metrics["completions/think_rate"],
                       length=metrics["completions/mean_length"])
            if state["step"] % o.eval_every == 0 and state["step"] < o.steps:
                scores, episodes = trainer.evaluate(o.eval_quick, o.temperature)
                record_eval(trainer, log, scores, episodes)
                bar.note(f"step {state['step']}: validation accuracy {scores['accuracy']:.1%}, thinks "
                         f"{scores['think_rate']:.1%}, right when thinking {scores['accuracy_thinking']:.1%}")
                if state["low_evals"] >= 2:
                    bar.note(f"collapsed: accuracy fell below {o.collapse:g} of its best; the best is {state['best']}")
                    return True
            if state["step"] % o.save_every == 0 or interrupt.requested:
                trainer.save(log)
            if interrupt.requested and state["step"] < o.steps:
                bar.note(f"stopped at step {state['step']}; go on with: python -m minilrm.grpo --resume {log.folder}")
                return False
    return True


def record_eval(trainer: Trainer, log: RunLog, scores: dict, episodes: list[Episode]) -> None:
    """Log an evaluation with its first transcripts; keep the best policy; notice a collapse."""
    state = trainer.state
    log.log(state["step"], {**scores, "elapsed": log.seconds}, event="eval")
    log.sample(state["step"], [{"event": "eval", "key": e.problem.key, "prompt": e.problem.prompt, "completion": e.text,
                                "answer": e.problem.answer, "correct": e.grade.correct, "reward": e.reward}
                               for e in episodes[:40]])
    state.setdefault("before", scores)
    fallen = scores["accuracy"] < trainer.options.collapse * state["best_accuracy"]
    state["low_evals"] = state["low_evals"] + 1 if fallen else 0
    if scores["accuracy"] > state["best_accuracy"]:
        state["best_accuracy"], state["best"] = scores["accuracy"], log.checkpoint_path(state["step"]).name
        trainer.save(log)  # last, so that what is saved is the state to go on from


def evaluate_fully(trainer: Trainer, log: RunLog) -> dict:
    """The figures before and after: `eval_n` validation problems, sampled as in rollouts, and greedily."""
    sampled, episodes = trainer.evaluate(trainer.options.eval_n, trainer.options.temperature)
    greedy, _ = trainer.evaluate(trainer.options.eval_n, 0.0)
    sampled["greedy"] = greedy["accuracy"]
    record_eval(trainer, log, sampled, episodes)
    low, high = sampled["accuracy_ci"]
    print(f"step {trainer.state['step']}: validation accuracy {sampled['accuracy']:.1%} ({low:.1%} to {high:.1%}), greedy "
          f"{greedy['accuracy']:.1%}, thinks {sampled['think_rate']:.1%}, right when thinking "
          f"{sampled['accuracy_thinking']:.1%}, mean length {sampled['mean_length']:.0f}", flush=True)
    return sampled


def summary(trainer: Trainer, after: dict, last: Path) -> dict:
    before, state = trainer.state["before"], trainer.state
    out = {"task": trainer.task.name, "seed": trainer.options.seed, "steps": state["step"], "split": "validation",
           "eval_n": after["n"], "device": str(trainer.device), "best": state["best"], "last": last.name,
           "init": trainer.origin, "machine": machine.describe(trainer.device), "version": version()}
    for when, scores in (("before", before), ("after", after)):
        for name, key in (("accuracy", "accuracy"), ("greedy", "greedy"), ("length", "mean_length"),
                          ("think_rate", "think_rate"), ("accuracy_thinking", "accuracy_thinking")):
            out[f"{name}_{when}"] = scores[key]
        out[f"accuracy_{when}_ci"] = scores["accuracy_ci"]
    for key in ("tokens_generated", "tokens_trained", "seconds", "prompts_dropped", "skipped_steps"):
        out[key] = state[key]
    return out


if __name__ == "__main__":
    cli.run_command(train, Options, prog="python -m minilrm.grpo", description=Options.__doc__)
