"""Group Relative Policy Optimization (DeepSeekMath, arXiv 2402.03300; used by DeepSeek-R1,
2501.12948).

    for step = 1 .. steps:
        draw questions q from the task
        sample G completions o_1 .. o_G of each q from the policy pi_old                      rollout
        r_i = reward(q, o_i)                                                                   rule-based
        A_i = (r_i - mean r) / std r          over the group of q                              advantages
        for each optimizer step on this batch:
            maximise  mean_i 1/|o_i| sum_t min(rho_it A_i, clip(rho_it, 1 - e, 1 + e) A_i) - beta KL(pi || pi_ref)
            with  rho_it = pi(o_it | q, o_i<t) / pi_old(o_it | q, o_i<t)

What the paper has and this leaves out: a learned reward model, and refreshing the reference model
between iterations. By default there is one optimizer step a batch and no KL term; then rho is 1,
the clip never acts, and the step is REINFORCE with group-relative advantages. `--updates`,
`--kl-coef` and `--objective` bring the rest.

DAPO (2503.14476) is `--objective dapo`, which brings its clip and its token mean, with
`--dynamic-sampling 3` and `--overlong-cache 32`. What every loop shares that samples from the
policy it trains is in rl.py.

    python -m minilrm.grpo --task gsm8k-mini
"""

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from minilrm import cli, machine, objectives, rl
from minilrm.cli import option
from minilrm.optim import Guard, adamw, add_gradients, falling, set_lr
from minilrm.report import write_report
from minilrm.rl import means, stack, valid_ones
from minilrm.rollout import Episode, episode_logprobs


@dataclass
class Options(rl.Options):
    """Reinforcement learning from rule-based rewards with group-relative advantages."""

    dynamic_sampling: int = option(
        0,
        "at most so many times a step, groups of equal rewards give way to groups of other "
        "questions (DAPO); 0: they stay, and teach nothing",
        minimum=0,
        group="rollout",
    )
    objective: str = option(
        "grpo",
        "policy loss",
        choices=("reinforce", "grpo", "dr_grpo", "dapo", "gspo", "cispo"),
        group="objective",
    )
    normalize: str = option(
        "std",
        "advantages: the reward minus its group's mean, over the group's std (std), or over the "
        "batch's (batch), or as it is (none), or minus the mean of the others (rloo), or the bare reward",
        choices=("std", "none", "rloo", "batch", "reward"),
        group="objective",
    )
    aggregation: str | None = option(
        "token",
        "mean over tokens: of the whole batch (token), of each sequence first "
        "(sequence, as in the paper), or over a constant; none: the objective's own",
        choices=("sequence", "token", "constant"),
        group="objective",
    )
    clip_low: float | None = option(
        None, "clip range below 1; the objective's own if not given", minimum=0, group="objective"
    )
    clip_high: float | None = option(
        None, "clip range above 1; the objective's own if not given", minimum=0, group="objective"
    )
    kl_coef: float = option(
        0.0, "weight of the KL to the reference model (beta)", minimum=0, group="objective"
    )
    kl_kind: str = option("k3", "its estimator", choices=("k1", "k2", "k3"), group="objective")
    kl_in: str = option(
        "loss",
        "where it stands: in the loss, as in GRPO's paper, or, summed over the completion, taken from "
        "its reward, where k1 is the one with the right gradient (--kl-kind k1, best with --normalize none)",
        choices=("loss", "reward"),
        group="objective",
    )


# What countdown wants otherwise (tuned on validation, LOG.md). The command line takes these where
# nothing else is said; in Python: Options(task="countdown", **RECIPES["countdown"]). multiplication
# learns at less than a third of countdown's rate: faster, its base unlearns to check (LOG.md).
RECIPES = {
    "countdown": {"steps": 100, "group_size": 16, "lr": 5e-4, "lr_hold": 40, "eval_every": 25},
    "multiplication": {
        "steps": 120,
        "group_size": 16,
        "lr": 1.5e-4,
        "lr_hold": 90,
        "eval_every": 30,
    },
}


class Trainer(rl.Trainer):
    """The policy, its optimizer, and the reference model if there is a KL term."""

    command = "grpo"

    def __init__(self, options: Options):
        super().__init__(options)
        self.reference = (
            copy.deepcopy(self.policy).eval().requires_grad_(False) if options.kl_coef else None
        )
        self.kl_in_reward = options.kl_in == "reward" and options.kl_coef > 0
        self.loss_kl_coef = 0.0 if self.kl_in_reward else options.kl_coef
        self.optimizers = adamw(self.policy, options.lr)
        self.guard = Guard(options.clip)
        own = objectives.OBJECTIVES[options.objective][0]
        if options.objective != "grpo" and options.aggregation not in (None, own):
            print(
                f"note: --aggregation {options.aggregation}; {options.objective}'s own is {own}: --aggregation none takes it"
            )

    # -- the algorithm box -------------------------------------------------------------------------

    def step(self, step: int) -> dict:
        """One round: sample, reward, compare within groups, update. Returns the step's metrics."""
        o, started = self.options, time.perf_counter()
        first = self.sample(step)
        groups, redrawn = self.replace_dull(step, first)
        charged = self.charge_kl(groups) if self.kl_in_reward else {}
        give_advantages(groups, o.normalize)
        sampled = time.perf_counter()
        set_lr(self.optimizers, falling(step, o.warmup, o.lr_hold))
        update = self.update(groups)
        # Reward, accuracy, length, ... of the first draw: the groups that were kept say more of the
        # choice than of the policy.
        return self.metrics(first, redrawn | charged | update, started, sampled)

    def replace_dull(
        self, step: int, groups: list[list[Episode]]
    ) -> tuple[list[list[Episode]], dict]:
        """DAPO's dynamic sampling (eq. 11): other questions in the place of those whose groups
        teach nothing.

        DAPO goes on until the batch is full. Here `dynamic_sampling` bounds the rounds, as a policy
        that is always right, or never, would be asked for ever; dull groups that are left stay as
        they are, in the denominator too. DAPO asks whether some but not all answers are right, this
        whether the rewards differ.
        """
        groups, dropped, rounds = list(groups), 0, 0
        while rounds < self.options.dynamic_sampling and (
            dull := [i for i, g in enumerate(groups) if is_dull(g)]
        ):
            rounds, dropped = rounds + 1, dropped + len(dull)
            for i, fresh in zip(dull, self.sample(step, len(dull), again=rounds), strict=True):
                groups[i] = fresh
        return groups, {
            "dynamic/rounds": rounds,
            "dynamic/dropped_groups": dropped,
        } if self.options.dynamic_sampling else {}

    def charge_kl(self, groups: list[list[Episode]]) -> dict:
        """What each completion pays for its distance from the reference: `kl_penalty` = beta sum_t
        KL_t. Returns what to log.

        The sum over all of its tokens, detached, takes part in the comparison of the group like any
        reward: so a token also answers for the KL of what it leads to, which the term in the loss
        leaves out (`objectives.kl_estimate`). Divided by the group's std, groups of equal rewards
        are told apart by this alone, at full size: hence --normalize none.
        """
        o = self.options
        self.remember_logprobs(groups, old=True)
        total = 0.0
        for e in valid_ones(groups):
            mask = torch.as_tensor(e.mask, device=e.old_logprobs.device)
            kl = (
                (objectives.kl_estimate(e.old_logprobs, e.ref_logprobs, o.kl_kind) * mask)
                .sum()
                .item()
            )
            e.kl_penalty, total = o.kl_coef * kl, total + kl
        return {"kl": total / max(1, sum(e.length for e in valid_ones(groups)))}

    def update(self, groups: list[list[Episode]]) -> dict:
        """Optimizer steps on one rollout batch: `epochs` passes, each cut into `updates` steps by
        question."""
        o = self.options
        reuse = o.updates * o.epochs > 1  # then the policy moves away from the one that sampled
        if (reuse or o.kl_coef) and not self.kl_in_reward:  # there `charge_kl` has done so
            self.remember_logprobs(groups, old=reuse)
        return means([self.optimizer_step(share) for share in self.shares(groups)])

    def optimizer_step(self, groups: list[list[Episode]]) -> dict:
        """One step of the optimizer on whole groups. Gradients of the micro-batches add up to the
        batch's own."""
        everyone = valid_ones(groups)
        # A group of equal rewards has advantage 0 everywhere and no gradient: its forward pass is
        # skipped, but it stays in the denominator, so that the gradient is that of the full batch.
        learning = everyone if self.loss_kl_coef else [e for e in everyone if e.advantage != 0]
        aggregation = self.options.aggregation or objectives.OBJECTIVES[self.options.objective][0]
        tokens = max(1, sum(e.length for e in everyone))
        denominator = tokens if aggregation == "token" else max(1, len(everyone))
        parameters = list(self.policy.parameters())

        def gradient(batch: list[Episode]) -> tuple[tuple[torch.Tensor, ...], dict]:
            loss, stats = self.loss(batch, denominator, tokens)
            return torch.autograd.grad(loss, parameters), {"loss": loss.detach(), **stats}

        totals: dict[str, float] = {"loss": 0.0}
        for gradients, stats in machine.side_by_side(
            gradient, self.micro_batches(learning), self.device
        ):
            add_gradients(parameters, gradients)
            for key, value in stats.items():
                totals[key] = totals.get(key, 0.0) + float(value)
        # Several devices would sum their gradients and metrics here, and nowhere else.
        self.state["tokens_trained"] += sum(
            len(e.prompt_ids) + len(e.completion_ids) for e in learning
        )
        totals["grad_norm"] = (
            self.guard.step(self.policy, self.optimizers, totals["loss"]) if learning else 0.0
        )
        self.state["skipped_steps"] = self.guard.skipped
        # of the tokens that were looked at
        for key in ("ratio/mean", "sampling/logp_difference") if learning else ():
            totals[key] *= tokens / sum(e.length for e in learning)
        return totals

    def loss(
        self, batch: list[Episode], denominator: int, tokens: int
    ) -> tuple[torch.Tensor, dict]:
        o = self.options
        logp, mask = episode_logprobs(self.policy, batch, o.temperature, self.device)
        old = stack(batch, "old_logprobs", logp) if hasattr(batch[0], "old_logprobs") else None
        ref = stack(batch, "ref_logprobs", logp) if self.loss_kl_coef else None
        advantages = torch.tensor([e.advantage for e in batch], device=self.device)
        loss, stats = objectives.policy_loss(
            logp,
            old,
            advantages,
            mask,
            objective=o.objective,
            aggregation=o.aggregation,
            clip_low=o.clip_low,
            clip_high=o.clip_high,
            kl_coef=self.loss_kl_coef,
            kl_kind=o.kl_kind,
            ref_logp=ref,
            max_length=o.max_new_tokens,
            denominator=denominator,
            token_denominator=tokens,
        )
        # How far sampling and training disagree, by their precision alone as long as the policy has
        # not moved.
        sampled = stack(batch, "logprobs", logp)
        stats["sampling/logp_difference"] = ((logp.detach() - sampled).abs() * mask).sum() / tokens
        return loss, stats


# -- pure pieces -----------------------------------------------------------------------------------


def is_dull(group: Sequence[Episode]) -> bool:
    """True if the group's rewards are all equal: no advantage, no gradient."""
    return len({e.reward for e in group if e.valid}) < 2


def give_advantages(groups: Sequence[Sequence[Episode]], normalize: str) -> None:
    """Compare each episode with its group (equation in the head of this file)."""
    table = torch.tensor([[e.reward - getattr(e, "kl_penalty", 0.0) for e in g] for g in groups])
    valid = torch.tensor([[e.valid for e in g] for g in groups])
    # no comparison: with 0/1 rewards this is expert iteration, imitation of what was right
    if normalize == "reward":
        advantages = table * valid
    else:
        advantages = objectives.group_advantages(table, normalize, valid=valid)
    for group, row in zip(groups, advantages.tolist(), strict=True):
        for episode, advantage in zip(group, row, strict=True):
            episode.advantage = advantage


def train(options: Options) -> Path:
    folder = rl.train(Trainer, options)
    print(f"report: {write_report(folder)}")
    return folder


if __name__ == "__main__":
    cli.run_command(
        train, Options, prog="python -m minilrm.grpo", description=Options.__doc__, recipes=RECIPES
    )
