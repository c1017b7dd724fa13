# %% [markdown]
# # Policy gradients: learning from a number
#
# Lecture 11, to see and to touch. A three-armed bandit learns by REINFORCE, once without a baseline
# and once with; then the same two gradients are measured on a language model, and the language
# model learns by them.
#
# **Time**: about 2 minutes on two CPU cores, nearly all of it in the last part. With `FAST=1` in
# the environment everything is cut down until it takes seconds and shows nothing but that the code
# runs.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from tqdm.auto import tqdm

from minilrm import checkpoint, grpo, machine, objectives, runlog
from minilrm.rollout import episode_logprobs, rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
machine.set_threads(None)

# %% [markdown]
# ## 1. A bandit
#
# Three arms pay 1, 2 and 4, and some noise. The policy is a softmax over three logits. Each step
# pulls twice. Two hundred learners at once, each with its own luck.

# %%
PAYS, PULLS, STEPS, LEARNERS = torch.tensor([1.0, 2.0, 4.0]), 2, 150, 200


def learn(baseline: bool, offset: float, rate: float = 0.2, seed: int = 0) -> torch.Tensor:
    """Probability of the best arm, [STEPS, LEARNERS]."""
    generator = torch.Generator().manual_seed(seed)
    theta = torch.zeros(LEARNERS, 3)
    best = []
    for _ in range(STEPS):
        pi = theta.softmax(1)
        best.append(pi[:, 2])
        actions = torch.multinomial(pi, PULLS, replacement=True, generator=generator)
        rewards = PAYS[actions] + offset + torch.randn(actions.shape, generator=generator)
        weights = rewards
        if baseline:
            weights = rewards - (rewards.sum(1, keepdim=True) - rewards) / (PULLS - 1)
        scores = torch.nn.functional.one_hot(actions, 3) - pi[:, None]
        theta = theta + rate * (weights[:, :, None] * scores).mean(1)
    return torch.stack(best)


figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for axis, offset in zip(axes, (0.0, 8.0), strict=True):
    for baseline, style, hatch in ((False, "k-", "//"), (True, "k--", "..")):
        curve = learn(baseline, offset)
        axis.plot(curve.mean(1), style, label="with baseline" if baseline else "no baseline")
        axis.fill_between(
            range(STEPS),
            curve.quantile(0.1, dim=1),
            curve.quantile(0.9, dim=1),
            facecolor="none",
            edgecolor="0.6",
            hatch=hatch,
            linewidth=0,
        )
    axis.set(title=f"rewards + {offset:g}", xlabel="step", ylim=(0, 1))
axes[0].set_ylabel("probability of the best arm")
axes[0].legend(frameon=False)
figure.tight_layout()
plt.show()

# %% [markdown]
# The bands hold 80 % of the learners. With 8 added to each reward the task is the same, and without
# a baseline many learners fall for an arm that they happened to pull early. The baseline does not
# notice the constant.
#
# ## 2. The same on a language model
#
# An action is now a whole answer, its log-probability the sum over its tokens. We take the gradient
# of a few batches, each with other problems, and ask how well two such gradients agree (their
# cosine). 1: no noise. 0: nothing but noise.

# %%
task = get_task("gsm8k-mini")
model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
model.eval()
cpu = torch.device("cpu")
dtype = torch.bfloat16 if machine.bfloat16_pays(cpu) else None
BATCHES, PROMPTS, GROUP = (2, 2, 2) if FAST else (6, 8, 8)
problems = task.problems("validation", BATCHES * PROMPTS)


def gradient(groups, advantages):
    """REINFORCE's gradient of one batch as a long vector."""
    model.zero_grad(set_to_none=True)
    logp, mask = episode_logprobs(model, [e for g in groups for e in g], 1.0, cpu)
    loss, _ = objectives.policy_loss(
        logp, None, advantages.flatten(), mask, objective="reinforce", max_length=100
    )
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


found = {"reward 0 or 1": [], "reward 1 or 2": [], "minus mean of the others": []}
for batch in tqdm(range(BATCHES), desc="gradients"):
    groups = rollout(
        model,
        tokenizer,
        task,
        problems[batch * PROMPTS : (batch + 1) * PROMPTS],
        group_size=GROUP,
        max_new_tokens=task.max_new_tokens,
        seed=batch,
        dtype=dtype,
    )
    rewards = torch.tensor([[float(e.grade.correct) for e in g] for g in groups])
    for name, weights in zip(
        found, (rewards, rewards + 1, objectives.group_advantages(rewards, "rloo")), strict=True
    ):
        found[name].append(gradient(groups, weights))

for name, rows in found.items():
    rows = torch.nn.functional.normalize(torch.stack(rows), dim=1)
    pairs = (rows @ rows.T)[torch.tril_indices(BATCHES, BATCHES, -1).unbind()]
    print(f"{name:26} mean cosine of {len(pairs)} pairs: {pairs.mean():.2f}")

# %% [markdown]
# ## 3. Does it learn?
#
# REINFORCE with the bare reward, and with the mean of the other seven answers as the baseline.
# Twenty steps of 16 problems × 8 answers each: enough to see a direction, too few for a verdict.

# %%
runs = {}
for name in ("reward", "rloo"):
    options = grpo.Options(
        task="gsm8k-mini",
        objective="reinforce",
        aggregation="constant",
        normalize=name,
        steps=2 if FAST else 20,
        prompts=2 if FAST else 16,
        group_size=2 if FAST else 8,
        max_new_tokens=16 if FAST else None,
        eval_n=4 if FAST else 200,
        eval_quick=4 if FAST else 100,
        out=Path(tempfile.mkdtemp()) / name,
    )
    runs[name] = runlog.RunLog.open(grpo.train(options)).metrics("train")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
for train, style, label in zip(
    runs.values(), ("k-", "k--"), ("no baseline", "mean of the others"), strict=True
):
    axes[0].plot([m["accuracy"] for m in train], style, label=label)
    axes[1].plot([m["completions/think_rate"] for m in train], style, label=label)
for axis, title in zip(axes, ("right", "thinks"), strict=True):
    axis.set(title=f"share of completions: {title}", xlabel="step", ylim=(0, 1))
axes[0].legend(frameon=False)
figure.tight_layout()
plt.show()
for name, train in runs.items():
    print(
        f"{name:8} mean accuracy of the last five batches: {np.mean([m['accuracy'] for m in train[-5:]]):.1%}"
    )

# %% [markdown]
# ## Three things to try
#
# 1. In part 1 give the learners `PULLS = 8`, then 64. Where does the baseline stop mattering?
# 2. In part 1 use the mean of *all* rewards as the baseline. Predict first: does it go wrong, or
#    only more slowly?
# 3. In part 3 set `seed=1` in the options. How large is the difference between two seeds beside
#    that between the two methods?
