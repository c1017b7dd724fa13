"""Group Relative Policy Optimization (DeepSeekMath, arXiv 2402.03300; DeepSeek-R1, 2501.12948).

    for step = 1 .. steps:
        draw questions q from the task
        sample G completions o_1 .. o_G of each q from the policy pi_old          rollout
        r_i = reward(q, o_i)                                                       rule-based
        A_i = (r_i - mean r) / std r          over the group of q                  advantages
        for each optimizer step on this batch:
            maximise  mean_i 1/|o_i| sum_t min(rho_it A_i, clip(rho_it, 1 - e, 1 + e) A_i)
                      - beta KL(pi || pi_ref)
            with  rho_it = pi(o_it | q, o_i<t) / pi_old(o_it | q, o_i<t)

The paper has a learned reward model, and it refreshes the reference model between iterations. This
leaves both out. By default there is one optimizer step per batch and no KL term. Then rho is 1, the
clip never acts, and the step is REINFORCE with group-relative advantages. `--updates`, `--kl-coef`
and `--objective` bring the rest.

DAPO (2503.14476) is `--objective dapo`, which brings its clip and its token mean, with
`--dynamic-sampling 3` and `--overlong-cache 32`. What grpo shares with ppo is in rl.py; the loop
around the steps is in loop/.

    python -m minilrm.grpo --task gsm8k-mini
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minilrm import cli, devices, loop, machine, objectives, rl
from minilrm.beginnings import reference_model
from minilrm.errors import UserError
from minilrm.optim import adamw, add_gradients, falling, set_lr
from minilrm.options import option
from minilrm.process import StepRewards
from minilrm.rewards import RewardFunction
from minilrm.rl import means
from minilrm.rollout import Episode, episode_logprobs, stack, valid_episodes


@dataclass
class Options(rl.Options):
    """Reinforcement learning from rule-based rewards with group-relative advantages."""

    dynamic_sampling: int = option(
        0,
        "at most so many times per step, groups of equal rewards give way to groups of other "
        "questions (DAPO); 0: they stay, and teach nothing",
        minimum=0,
        group="rollout",
    )
    objective: str = option(
        "grpo", "policy loss", choices=tuple(objectives.OBJECTIVES), group="objective"
    )
    normalize: str = option(
        "std",
        "advantages: the reward minus its group's mean, over the group's std (std), or over the "
        "batch's (batch), or as it is (none), or minus the mean of the others (rloo), or the bare "
        "reward",
        choices=(*objectives.NORMALIZATIONS, "reward"),
        group="objective",
    )
    process: str | None = option(
        None,
        "reward every step, too: exact (the task's own labels), or a run of minilrm.reward_model; "
        "the last one is worth the outcome's reward",
        group="reward",
    )
    credit: str = option(
        "sum",
        "with --process, what a step answers for: the sum of all that follow (as in the paper), or "
        "the worst of them (min)",
        choices=objectives.CREDITS,
        group="reward",
    )
    aggregation: str | None = option(
        "token",
        "mean over tokens: of the whole batch (token), of each sequence first (sequence, as in the "
        "paper), or over a constant; none: the objective's own",
        choices=objectives.AGGREGATIONS,
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
    kl_kind: str = option("k3", "its estimator", choices=objectives.KL_KINDS, group="objective")
    kl_in: str = option(
        "loss",
        "where it stands: in the loss, as in GRPO's paper, or, summed over the completion, taken "
        "from its reward, where k1 is the one with the right gradient (--kl-kind k1, best with "
        "--normalize none)",
        choices=("loss", "reward"),
        group="objective",
    )


class Trainer(rl.Trainer):
    """The policy, its optimizer, and the reference model if there is a KL term."""

    command = "grpo"
    batch_option = "prompts"

    def __init__(self, options: Options, rewards: Mapping[str, RewardFunction] | None = None):
        super().__init__(options, rewards)
        self.reference = reference_model(options, self.model) if options.kl_coef else None
        self.kl_in_reward = options.kl_in == "reward" and options.kl_coef > 0
        self.loss_kl_coef = 0.0 if self.kl_in_reward else options.kl_coef
        self.step_rewards = step_rewards(options, self)
        self.optimizers = adamw(self.model, options.lr)
        own = objectives.OBJECTIVES[options.objective][0]
        if options.objective != "grpo" and options.aggregation not in (None, own):
            print(
                f"note: --aggregation {options.aggregation}; {options.objective}'s own is {own}: "
                "--aggregation none takes it"
            )

    # -- the algorithm box -----------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """One round: sample, reward, compare within groups, update. Returns the step's metrics."""
        o, started = self.options, time.perf_counter()
        first = self.sample(step)
        groups, redrawn = self.sample_dynamically(step, first)
        penalties = self.take_kl_from_rewards(groups) if self.kl_in_reward else {}
        steps = self.compare(groups)
        sampled = time.perf_counter()
        set_lr(self.optimizers, falling(step, o.warmup, o.lr_hold))
        update = self.update(groups)
        # Reward, accuracy, length, ... of the first draw: the groups that were kept say more of the
        # choice than of the policy.
        return self.metrics(first, redrawn | penalties | steps | update, started, sampled)

    def compare(self, groups: list[list[Episode]]) -> dict[str, float]:
        """Give each token its advantage: that of its completion, or, where steps are rewarded, of
        its step. Returns what to log."""
        if self.step_rewards:
            return self.step_rewards.set_advantages(groups)
        set_advantages(groups, self.options.normalize)
        return {}

    def sample_dynamically(
        self, step: int, groups: list[list[Episode]]
    ) -> tuple[list[list[Episode]], dict[str, float]]:
        """DAPO's dynamic sampling (eq. 11): other questions in the place of those with zero-std
        groups, which teach nothing.

        DAPO goes on until the batch is full. Here `dynamic_sampling` bounds the rounds, as a policy
        that is always right, or never, would be asked for ever; zero-std groups that are left stay
        as they are, in the denominator too. DAPO asks whether some but not all answers are right,
        this whether the rewards differ.
        """
        most = self.options.dynamic_sampling
        groups, dropped, rounds = list(groups), 0, 0
        while rounds < most:
            teach_nothing = devices.joined([has_zero_std(group) for group in groups])
            places = [i for i, zero_std in enumerate(teach_nothing) if zero_std]
            if not places:
                break
            rounds, dropped = rounds + 1, dropped + len(places)
            fresh = self.sample(step, places, again=rounds)
            for i, group in zip(devices.local(places), fresh, strict=True):
                groups[i] = group
        redrawn: dict[str, float] = {"dynamic/rounds": rounds, "dynamic/dropped_groups": dropped}
        return groups, redrawn if most else {}

    def take_kl_from_rewards(self, groups: list[list[Episode]]) -> dict[str, float]:
        """What each completion pays for its distance from the reference: `kl_penalty` = beta sum_t
        KL_t. Returns what to log.

        The sum over all of its tokens, detached, takes part in the comparison of the group like any
        reward: so a token also answers for the KL of what it leads to, which the term in the loss
        leaves out (`objectives.kl_estimate`). Divided by the group's std, groups of equal rewards
        are told apart by this alone, at full size: hence --normalize none.
        """
        o = self.options
        self.record_logprobs(groups, old=True)
        episodes, total = valid_episodes(groups), 0.0
        for e in episodes:
            assert e.old_logprobs is not None and e.ref_logprobs is not None
            mask = torch.as_tensor(e.mask, device=e.old_logprobs.device)
            estimate = objectives.kl_estimate(e.old_logprobs, e.ref_logprobs, o.kl_kind)
            kl = (estimate * mask).sum().item()
            e.kl_penalty, total = o.kl_coef * kl, total + kl
        tokens = devices.total(sum(e.length for e in episodes))
        return {"kl": devices.total(total) / max(1, tokens)}

    def update(self, groups: list[list[Episode]]) -> dict[str, float]:
        """Optimizer steps on one rollout batch: `epochs` passes, each cut into `updates` steps by
        question."""
        o = self.options
        reuse = o.updates * o.epochs > 1  # then the policy moves away from the one that sampled
        if (reuse or o.kl_coef) and not self.kl_in_reward:  # there it has been done already
            self.record_logprobs(groups, old=reuse)
        return means([self.optimizer_step(share) for share in self.shares(groups)])

    def optimizer_step(self, groups: list[list[Episode]]) -> dict[str, float]:
        """One step of the optimizer on whole groups. Gradients of the micro-batches, and of the
        devices, add up to the batch's own."""
        episodes = valid_episodes(groups)
        learning = episodes if self.loss_kl_coef else [e for e in episodes if has_gradient(e)]
        tokens = max(1, devices.total(sum(e.length for e in episodes)))
        sequences = max(1, devices.total(len(episodes)))
        aggregation = self.options.aggregation or objectives.OBJECTIVES[self.options.objective][0]
        denominator = tokens if aggregation == "token" else sequences
        parameters = list(self.model.parameters())

        def gradient(batch: list[Episode]) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
            loss, stats = self.loss(batch, denominator, tokens)
            return torch.autograd.grad(loss, parameters), {"loss": loss.detach(), **stats}

        totals: dict[str, float] = {"loss": 0.0}
        batches = self.micro_batches(learning)
        for gradients, stats in machine.side_by_side(gradient, batches, self.device):
            add_gradients(parameters, gradients)
            for key, value in stats.items():
                totals[key] = totals.get(key, 0.0) + float(value)
        return self.finish_step(learning, devices.totals(totals), tokens)

    def finish_step(
        self, learning: list[Episode], totals: dict[str, float], tokens: float
    ) -> dict[str, float]:
        """Step, and bring what was summed into the form of the log."""
        read = sum(len(e.prompt_ids) + len(e.completion_ids) for e in learning)
        self.state.tokens_trained += devices.total(read)
        learnt_from = devices.total(sum(e.length for e in learning))
        # Every device steps if one of them has something to teach, or the others would wait for it.
        totals["grad_norm"] = self.update_weights(totals["loss"]) if learnt_from else 0.0
        for key in ("ratio/mean", "sampling/logp_difference"):  # of the tokens that were looked at
            if key in totals:
                totals[key] *= tokens / learnt_from
        return totals

    def loss(
        self, batch: list[Episode], denominator: float, tokens: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss on a part of a batch that has so many sequences or tokens (`denominator`) and so
        many sampled tokens, and what to log."""
        o = self.options
        logp, mask = episode_logprobs(self.model, batch, o.temperature, self.device)
        recorded = batch[0].old_logprobs is not None
        loss, stats = objectives.policy_loss(
            logp,
            stack(batch, "old_logprobs", logp) if recorded else None,
            stack(batch, "advantages", logp),
            mask,
            objective=o.objective,
            aggregation=o.aggregation,
            clip_low=o.clip_low,
            clip_high=o.clip_high,
            kl_coef=self.loss_kl_coef,
            kl_kind=o.kl_kind,
            ref_logp=stack(batch, "ref_logprobs", logp) if self.loss_kl_coef else None,
            max_length=o.max_new_tokens,
            denominator=denominator,
            token_denominator=tokens,
        )
        # How far sampling and training disagree, by their precision alone as long as the policy has
        # not moved.
        sampled = stack(batch, "logprobs", logp)
        difference = ((logp.detach() - sampled).abs() * mask).sum() / tokens
        return loss, stats | {"sampling/logp_difference": difference}


# -- pure pieces -----------------------------------------------------------------------------------


def step_rewards(options: Options, trainer: Trainer) -> StepRewards | None:
    """The judge of single steps that the options name. UserError if it cannot be used with the
    rest of them."""
    if options.process is None:
        return None
    if options.normalize != "std":
        raise UserError(
            f"--process compares the steps of a group by their mean and std, so --normalize "
            f"{options.normalize} has no meaning with it; leave it out"
        )
    if options.dynamic_sampling:
        raise UserError(
            "--dynamic-sampling drops groups whose outcomes are alike, whose steps --process "
            "would learn from; use one of the two"
        )
    return StepRewards(
        options.process, options.credit, trainer.task, trainer.tokenizer, trainer.device
    )


def has_zero_std(group: Sequence[Episode]) -> bool:
    """True if the group's rewards are all equal: no advantage, no gradient."""
    return len({e.reward for e in group if e.valid}) < 2


def has_gradient(episode: Episode) -> bool:
    """Whether an episode can teach something. One of a zero-std group has advantage 0 everywhere:
    its forward pass is skipped, but it stays in the denominator, so that the gradient is that of
    the full batch."""
    return episode.advantages is not None and bool(episode.advantages.any())


def set_advantages(groups: Sequence[Sequence[Episode]], normalize: str) -> None:
    """Compare each episode with its group (equation in the head of this file): `advantages` [T],
    the same for each of its tokens."""
    if not groups:
        return
    rewards = torch.tensor([[e.reward - e.kl_penalty for e in g] for g in groups])
    valid = torch.tensor([[e.valid for e in g] for g in groups])
    if normalize == "reward":
        # No comparison: with 0/1 rewards this is expert iteration, imitation of what was right.
        advantages = rewards * valid
    else:
        std = devices.moments(rewards[valid]).std if normalize == "batch" else None
        advantages = objectives.group_advantages(rewards, normalize, valid=valid, batch_std=std)
    for group, row in zip(groups, advantages, strict=True):
        for episode, advantage in zip(group, row, strict=True):
            episode.advantages = advantage.repeat(len(episode.completion_ids))


def train(options: Options, rewards: Mapping[str, RewardFunction] | None = None) -> loop.Result:
    """A whole run, or the rest of one. `rewards`: functions of your own for names in
    `options.reward` (see rewards.py)."""
    return loop.train(Trainer, options, rewards=rewards)


def main(options: Options) -> int:
    return loop.train(Trainer, options, show_options=True).exit_code


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.grpo", description=Options.__doc__)
