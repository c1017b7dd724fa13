"""The bugs themselves, each as a context manager: inside it, training has the bug; outside, nothing
has changed.

They reach in where formulas are looked up by name (`objectives.surrogate_terms`, `rewards.Judge`,
...), so that the training code needs no flag for any of them. A bug that is an option's wrong value
needs no fault at all.
"""

import contextlib
import copy
import functools
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import torch

from minilrm import grpo, objectives, rewards
from minilrm.model import Transformer
from minilrm.objectives import policy
from minilrm.rollout import valid_episodes

Fault = Callable[[], AbstractContextManager]
none = contextlib.nullcontext  # for failures that are an option's wrong value


@contextlib.contextmanager
def replaced(module, name: str, make: Callable) -> Iterator[None]:
    """Inside, `module.name` is `make(what stood there)`."""
    original = getattr(module, name)
    setattr(
        module,
        name,
        functools.wraps(original)(make(original))
        if not isinstance(original, type)
        else make(original),
    )
    try:
        yield
    finally:
        setattr(module, name, original)


# -- in the log-probabilities ----------------------------------------------------------------------


def shifted_logprobs() -> AbstractContextManager:
    """Each token gets the probability that the model gives it *after* having read it: off by
    one."""

    def make(right):
        return lambda logits, targets, temperature=1.0: right(
            logits.roll(-1, 1) if logits.dim() == 3 else logits, targets, temperature
        )

    return replaced(objectives, "selected_logprobs", make)


def temperature_forgotten() -> AbstractContextManager:
    """Sampled at a temperature, trained on log-probs at 1."""
    return replaced(
        objectives,
        "selected_logprobs",
        lambda right: lambda logits, targets, temperature=1.0: right(logits, targets),
    )


# -- in the loss -----------------------------------------------------------------------------------


def eos_masked() -> AbstractContextManager:
    """The last token of each completion, the end of text, is left out of the loss."""

    def make(right):
        def loss(logp, old_logp, advantages, mask, **more):
            following = torch.cat((mask[:, 1:], torch.zeros_like(mask[:, :1])), dim=1)
            return right(logp, old_logp, advantages, mask * following, **more)

        return loss

    return replaced(objectives, "policy_loss", make)


def padding_trained() -> AbstractContextManager:
    """Padding counts as if it had been sampled: it has the advantage of its completion."""

    def make(right):
        def loss(logp, old_logp, advantages, mask, **more):
            whole = advantages.reshape(len(mask), -1)[:, :1].expand_as(mask)
            return right(logp, old_logp, whole, torch.ones_like(mask), **more)

        return loss

    return replaced(objectives, "policy_loss", make)


def inverted_clip() -> AbstractContextManager:
    """min(rho, clip(rho)) A for min(rho A, clip(rho) A): for negative A, the bound stands on the
    wrong side."""

    def make(right):
        return lambda logp, ratio, advantages, objective, lower, upper: (
            advantages * torch.minimum(ratio, ratio.clamp(lower, upper))
        )

    return replaced(policy, "surrogate_terms", make)


def wrong_sign() -> AbstractContextManager:
    """The minus before the objective is forgotten: what was rewarded becomes less likely."""
    return replaced(policy, "surrogate_terms", lambda right: lambda *args: -right(*args))


def quotient_of_logs() -> AbstractContextManager:
    """rho = log p / log p_old for p / p_old. Both logs are negative, so the gradient has the wrong
    sign."""

    def make(right):
        def ratio(logp, old_logp, mask, per_sequence=False):
            return torch.where(mask.bool(), logp / old_logp.clamp(max=-1e-3), 0.0)

        return ratio

    return replaced(policy, "importance_ratio", make)


def old_not_detached() -> AbstractContextManager:
    """rho = exp(logp - logp): always 1, and without any gradient."""

    def make(right):
        return lambda logp, old_logp, mask, per_sequence=False: right(
            logp, logp, mask, per_sequence
        )

    return replaced(policy, "importance_ratio", make)


def entropy_sign(weight: float) -> AbstractContextManager:
    """An entropy bonus that is added to the loss instead of taken from it."""

    def make(right):
        def loss_with_bonus(logp, old_logp, advantages, mask, **more):
            loss, stats = right(logp, old_logp, advantages, mask, **more)
            # The gradient of the entropy is -E[log p grad log p]: the mean of -log p itself would
            # have none.
            entropy = objectives.aggregate(
                -logp.detach() * logp, mask, "token", denominator=more.get("token_denominator")
            )
            return loss + weight * entropy, stats

        return loss_with_bonus

    return replaced(objectives, "policy_loss", make)


# -- in the advantages and rewards -----------------------------------------------------------------


def neighbours_advantage() -> AbstractContextManager:
    """Advantages and completions are in different orders: every group is taught with those of the
    next one."""
    return replaced(
        objectives,
        "group_advantages",
        lambda right: lambda *args, **more: right(*args, **more).roll(1, 0),
    )


def no_baseline(constant: float = 1.0) -> AbstractContextManager:
    """The bare reward in place of the advantage, and every completion earns a constant on top."""
    return replaced(
        objectives, "group_advantages", lambda right: lambda given, *args, **more: given + constant
    )


def paid(change: Callable) -> AbstractContextManager:
    """Another reward: `change(episode, random) -> number`, given what the right one is in
    `episode.reward`."""

    def make(right):
        rng = random.Random(0)

        class Paying(right):
            def __call__(self, groups):
                invalid = super().__call__(groups)
                for episode in valid_episodes(groups):
                    episode.reward = change(episode, rng)
                return invalid

        return Paying

    return replaced(rewards, "Judge", make)


def reward_noise(flipped: float = 0.0, spread: float = 0.0) -> AbstractContextManager:
    """A grader that says the opposite in this share of cases, or adds normal noise of this standard
    deviation."""

    def change(episode, rng):
        wrong = rng.random() < flipped
        return (1.0 - episode.reward if wrong else episode.reward) + rng.gauss(0.0, 1.0) * spread

    return paid(change)


def length_bonus(per_token: float = 0.03) -> AbstractContextManager:
    """Long answers are paid for being long."""
    return paid(lambda episode, rng: episode.reward + per_token * episode.length)


# -- in the loop -----------------------------------------------------------------------------------


def stale_rollouts(delay: int = 10) -> AbstractContextManager:
    """A copy of the policy samples, and is brought up to date only every `delay` steps; the trainer
    takes what it wrote for its own."""

    def make(right):
        class Stale(right):
            model: Transformer

            def step(self, step: int) -> dict:
                if step % delay == 0:
                    self.sampling = copy.deepcopy(self.model)
                self.learning, self.model = self.model, self.sampling
                return super().step(step)

            def update(self, groups) -> dict:
                self.model = self.learning
                return super().update(groups)

            def record_logprobs(self, groups, old: bool) -> None:
                """With several updates per batch, the ratio is to the copy that wrote: a loop that
                knows mends half of it."""
                self.model = self.sampling
                super().record_logprobs(groups, old)
                self.model = self.learning

        return Stale

    return replaced(grpo, "Trainer", make)
