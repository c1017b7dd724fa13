"""Proximal Policy Optimization with a learned critic (PPO: arXiv 1707.06347; GAE: 1506.02438).

    for step = 1 .. steps:
        sample completions o of questions q from the policy pi_old                rollout
        R = reward(q, o)                                                           rule-based
        V_t = V(q, o_<t)             what the critic expects before token t is chosen
        r_t = -beta (log pi_old(o_t) - log pi_ref(o_t)),  and R more at the last token
        A_t = sum_k lam^k delta_t+k,  delta_t = r_t + V_t+1 - V_t                  gae, whiten
        Y_t = A_t + V_t              what the critic should have said
        for each optimizer step on this batch:
            policy:  maximise  mean_t min(rho_t A_t, clip(rho_t, 1 - e, 1 + e) A_t)
                     with  rho_t = pi(o_t) / pi_old(o_t)
            critic:  minimise  mean_t 1/2 max((V_t - Y_t)^2, (V'_t - Y_t)^2)
                     with  V'_t = clip(V_t, V_old,t - c, V_old,t + c)

GRPO compares a completion with others of its question. PPO asks a second network, the critic, and
gets an answer for each token: it can blame the line in which a sum went wrong and spare the lines
before it. The price is the critic itself: a second model to train, wrong at first
(`--critic-warmup`), and no better than what it has seen.

Its relatives, all on the same episodes:

    REINFORCE               python -m minilrm.grpo --objective reinforce --normalize reward
    ... with a baseline     python -m minilrm.grpo --objective reinforce --normalize rloo
    actor-critic            python -m minilrm.ppo --updates 1       (the ratio is 1: no clipping)
    PPO                     python -m minilrm.ppo --updates 4
    GRPO                    python -m minilrm.grpo

For text: InstructGPT (2203.02155). The papers have a learned reward model, an entropy bonus, an
adaptive KL coefficient and several rollout workers. This leaves them out. Tokens are the steps; a
completion that was cut off for its length ends there like any other.

    python -m minilrm.ppo --task gsm8k-mini
"""

import copy
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from minilrm import cli, devices, loop, machine, objectives, rl
from minilrm.batches import pad
from minilrm.beginnings import reference_model
from minilrm.model import ScalarHead, Transformer
from minilrm.optim import Guard, adamw, add_gradients, falling, set_lr
from minilrm.options import option
from minilrm.rewards import RewardFunction
from minilrm.rl import means
from minilrm.rollout import (
    Episode,
    episode_states,
    micro_batches,
    stack,
    state_logprobs,
    unstack,
    valid_episodes,
)
from minilrm.values import explained_variance, gae, token_rewards, value_loss, whiten


@dataclass
class Options(rl.Options):
    """Reinforcement learning from rule-based rewards with a critic that values every token
    (actor-critic, PPO)."""

    group_size: int = option(
        8,
        "completions per question; PPO compares none of them, so 1 will do",
        minimum=1,
        group="rollout",
    )
    clip_low: float = option(0.2, "clip range of the ratio below 1", minimum=0, group="objective")
    clip_high: float = option(0.2, "clip range of the ratio above 1", minimum=0, group="objective")
    whiten: bool = option(
        True, "advantages with mean 0 and standard deviation 1 over the batch", group="objective"
    )
    kl_coef: float = option(
        0.0,
        "weight of the KL to the reference model (k1) in each token's reward",
        minimum=0,
        group="objective",
    )
    critic: str = option(
        "separate",
        "what the critic sees: a copy of the policy that learns to see for itself (separate), "
        "or what the policy sees (shared)",
        choices=("separate", "shared"),
        group="critic",
    )
    gamma: float = option(
        1.0,
        "discount: what a reward one token later is worth",
        minimum=0,
        maximum=1,
        group="critic",
    )
    lam: float = option(
        0.95,
        "lambda of GAE: 0 trusts the critic alone, 1 the rewards alone",
        minimum=0,
        maximum=1,
        group="critic",
    )
    value_clip: float | None = option(
        0.2,
        "how far a value may go in one batch; none: any way",
        exclusive_minimum=0,
        group="critic",
    )
    value_coef: float = option(
        0.5,
        "weight of the critic's loss beside the policy's; it matters where they share",
        exclusive_minimum=0,
        group="critic",
    )
    critic_lr: float = option(
        3e-4, "learning rate of the critic's AdamW", exclusive_minimum=0, group="critic"
    )
    critic_warmup: int = option(
        0, "steps at the beginning in which the critic alone learns", minimum=0, group="critic"
    )


class Critic(nn.Module):
    """V(q, o_<t): one number for each hidden state of the policy's trunk, or of a trunk of its own.

    The head begins at 0: so do all values. A trunk of its own begins as a copy of the policy's,
    which can read already.
    """

    def __init__(self, policy: Transformer, separate: bool):
        super().__init__()
        self.trunk = copy.deepcopy(policy) if separate else None
        self.head = ScalarHead(policy.config.dim)

    def forward(self, batch: Sequence[Episode], states: Tensor | None, device) -> Tensor:
        """Values [B, T]; `states` [B, T, D] are the policy's own, which a critic with a trunk does
        not need."""
        if self.trunk is not None:
            states, _, _ = episode_states(self.trunk, batch, device)
        # a value needs more digits than bfloat16 has: the critic's loss is a difference
        assert states is not None, "a critic without a trunk reads the policy's states"
        return self.head(states.float())


class Trainer(rl.Trainer):
    """The policy and its critic, each with its optimizer, and the reference model if there is a KL
    term."""

    command = "ppo"
    batch_option = "prompts"

    def __init__(self, options: Options, rewards: Mapping[str, RewardFunction] | None = None):
        super().__init__(options, rewards)
        self.reference = reference_model(options, self.model) if options.kl_coef else None
        self.critic = Critic(self.model, options.critic == "separate").to(self.device)
        self.heads = {"critic": self.critic}
        critic_optimizer = adamw(self.critic, options.critic_lr)["adamw"]
        self.optimizers = adamw(self.model, options.lr) | {"critic": critic_optimizer}
        # Two norms to clip, so that a critic with much to learn does not make the policy's steps
        # small.
        self.critic_guard = Guard(options.clip)

    # -- the algorithm box -----------------------------------------------------------------------

    def step(self, step: int) -> dict[str, Any]:
        """One round: sample, reward, value each token, update policy and critic. Returns the step's
        metrics."""
        o, started = self.options, time.perf_counter()
        groups = self.sample(step)
        sampled = time.perf_counter()
        self.record_values(groups)
        figures = set_advantages(valid_episodes(groups), o)
        # Each learning rate rises from its own first step.
        for name, begun in (("adamw", step - o.critic_warmup), ("critic", step)):
            factor = falling(max(0, begun), o.warmup, o.lr_hold)
            set_lr({name: self.optimizers[name]}, factor)
        warm = step >= o.critic_warmup
        update = means([self.optimizer_step(share, warm) for share in self.shares(groups)])
        if o.group_size == 1:
            # The spread of rewards over the batch, where a group has none.
            groups = [[e for g in groups for e in g]]
        return self.metrics(groups, figures | update, started, sampled)

    @torch.no_grad()
    def record_values(self, groups: list[list[Episode]]) -> None:
        """Before any update: what the critic expects at each token, and the log-probs that the
        update compares with."""
        o = self.options
        if o.updates * o.epochs > 1 or o.kl_coef:
            self.record_logprobs(groups, old=True)
        for batch in micro_batches(valid_episodes(groups), o.max_tokens_per_batch):
            shared = self.critic.trunk is None
            states = episode_states(self.model, batch, self.device)[0] if shared else None
            unstack(batch, "values", self.critic(batch, states, self.device))

    def optimizer_step(
        self, groups: list[list[Episode]], policy_too: bool = True
    ) -> dict[str, float]:
        """One step of both optimizers on whole groups (of the critic's alone while it warms up)."""
        episodes = valid_episodes(groups)
        tokens = max(1, devices.total(sum(e.length for e in episodes)))
        parameters = [*self.critic.parameters(), *(self.model.parameters() if policy_too else ())]

        def gradient(batch: list[Episode]) -> tuple[tuple[Tensor | None, ...], dict[str, Tensor]]:
            loss, stats = self.loss(batch, tokens, policy_too)
            # A critic with a trunk of its own has no use for that trunk's output layer.
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
            return found, {"loss": loss.detach(), **stats}

        totals: dict[str, float] = {"loss": 0.0}
        batches = micro_batches(
            episodes, self.options.max_tokens_per_batch // machine.together(self.device)
        )
        for gradients, stats in machine.side_by_side(gradient, batches, self.device):
            add_gradients(parameters, gradients)
            for key, value in stats.items():
                totals[key] = totals.get(key, 0.0) + float(value)
        totals = devices.totals(totals)
        if not devices.total(len(episodes)):
            return totals
        read = sum(len(e.prompt_ids) + len(e.completion_ids) for e in episodes)
        self.state.tokens_trained += devices.total(read)
        totals["grad_norm"], totals["val/grad_norm"] = self.update_both(totals["loss"], policy_too)
        return totals

    def update_both(self, loss: float, policy_too: bool) -> tuple[float, float]:
        """Step policy and critic; the norms of their gradients before clipping."""
        policy = {"adamw": self.optimizers["adamw"]}
        critic = {"critic": self.optimizers["critic"]}
        norm = self.guard.step(self.model, policy, loss) if policy_too else 0.0
        critic_norm = self.critic_guard.step(self.critic, critic, loss)
        self.state.skipped_steps += math.isnan(norm) or math.isnan(critic_norm)
        return norm, critic_norm

    def loss(
        self, batch: list[Episode], tokens: float, policy_too: bool = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of both on a part of the batch that has so many sampled tokens, and what to
        log."""
        o = self.options
        with torch.set_grad_enabled(policy_too):
            states, targets, mask = episode_states(self.model, batch, self.device)
            logp = state_logprobs(self.model, states, targets, o.temperature, self.device)
        recorded = batch[0].old_logprobs is not None
        policy_loss, stats = objectives.policy_loss(
            logp,
            stack(batch, "old_logprobs", logp) if recorded else None,
            stack(batch, "advantages", logp),
            mask,
            objective="grpo",
            aggregation="token",
            clip_low=o.clip_low,
            clip_high=o.clip_high,
            denominator=tokens,
        )
        values = self.critic(batch, states, self.device)
        critic_loss, clipped = value_loss(
            values,
            stack(batch, "values", values),
            stack(batch, "returns", values),
            mask,
            o.value_clip,
            denominator=tokens,
        )
        sampled = stack(batch, "logprobs", logp)
        stats |= {
            "loss/policy_avg": policy_loss.detach(),
            "loss/value_avg": critic_loss.detach(),
            "val/clipfrac_avg": clipped,
            "sampling/logp_difference": ((logp.detach() - sampled).abs() * mask).sum() / tokens,
        }
        return policy_loss + o.value_coef * critic_loss, stats


# -- pure pieces -----------------------------------------------------------------------------------


def set_advantages(episodes: Sequence[Episode], o: Options) -> dict[str, float | None]:
    """Give every episode its `advantages` and `returns`, [T] each, out of its reward and its
    `values`; what to log of it. A process without an episode makes the same calls as the others,
    which wait for its part."""
    mask = pad([e.mask for e in episodes]) if episodes else torch.zeros(0, 1, dtype=torch.int64)
    like = torch.zeros(mask.shape)
    values = stack(episodes, "values", like)
    kl = None
    if o.kl_coef:
        kl = stack(episodes, "old_logprobs", like) - stack(episodes, "ref_logprobs", like)
    earned = token_rewards(torch.tensor([e.reward for e in episodes]), mask, kl, o.kl_coef)
    advantages, returns = gae(earned, values, mask, o.gamma, o.lam)
    if o.whiten:
        advantages = whiten(advantages, mask, moments=devices.moments(advantages[mask.bool()]))
    unstack(episodes, "advantages", advantages)
    unstack(episodes, "returns", returns)
    # The reward that really came after each token.
    _, came = gae(earned, values, mask, o.gamma, lam=1.0)
    chosen = mask.bool()  # over inserted text a critic says something, too
    shown = {"val/mean": values} | ({} if kl is None else {"kl": kl})
    figures = devices.means({name: of[chosen].tolist() for name, of in shown.items()})
    return figures | {"val/explained_variance": float(explained_variance(values, came, mask))}


def train(options: Options, rewards: Mapping[str, RewardFunction] | None = None) -> loop.Result:
    """A whole run, or the rest of one. `rewards`: functions of your own for names in
    `options.reward` (see rewards.py)."""
    return loop.train(Trainer, options, rewards=rewards)


def main(options: Options) -> int:
    return loop.train(Trainer, options, show_options=True).exit_code


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.ppo", description=Options.__doc__)
