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

from minilrm import checkpoint, curves, grpo, machine, objectives, runlog
from minilrm.progress import track
from minilrm.rollout import episode_logprobs, rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
print(f"{machine.set_threads(None)} threads")
plt.rcParams.update(curves.STYLE)

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


figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), sharey=True)
for axis, offset in zip(axes, (0.0, 8.0), strict=True):
    for baseline, name in ((False, "no baseline"), (True, "with baseline")):
        curve = learn(baseline, offset)
        (drawn,) = axis.plot(curve.mean(1), label=name)
        low, high = curve.quantile(0.1, dim=1), curve.quantile(0.9, dim=1)
        axis.fill_between(range(STEPS), low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)
    curves.frame(axis, f"Rewards + {offset:g}", x="step", share=True)
axes[0].set_ylabel("probability of the best arm")
axes[0].legend(loc="lower right")
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
how = {"group_size": GROUP, "max_new_tokens": task.max_new_tokens, "dtype": dtype}
for batch in track(range(BATCHES), "gradients"):
    part = problems[batch * PROMPTS : (batch + 1) * PROMPTS]
    groups = rollout(model, tokenizer, task, part, seed=batch, **how)
    rewards = torch.tensor([[float(e.grade.correct) for e in g] for g in groups])
    compared = objectives.group_advantages(rewards, "rloo")
    for name, weights in zip(found, (rewards, rewards + 1, compared), strict=True):
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
    runs[name] = runlog.RunLog.open(grpo.train(options).folder).metrics("train")

# %%
figure, axes = plt.subplots(1, 2, figsize=(7, 2.8))
for train, name in zip(runs.values(), ("no baseline", "mean of the others"), strict=True):
    steps = [m["step"] for m in train]
    axes[0].plot(steps, [m["accuracy"] for m in train], label=name)
    axes[1].plot(steps, [m["completions/think_rate"] for m in train], label=name)
curves.frame(axes[0], "Right", x="step", y="share of completions", share=True)
curves.frame(axes[1], "Thinks", x="step", share=True)
axes[0].legend(loc="lower right")
plt.show()
for name, train in runs.items():
    last = np.mean([m["accuracy"] for m in train[-5:]])
    print(f"{name:8} mean accuracy of the last five batches: {last:.1%}")

# %% [markdown]
# ## Three things to try
#
# 1. In part 1 give the learners `PULLS = 8`, then 64. Where does the baseline stop mattering?
# 2. In part 1 use the mean of *all* rewards as the baseline. Predict first: does it go wrong, or
#    only more slowly?
# 3. In part 3 set `seed=1` in the options. How large is the difference between two seeds beside
#    that between the two methods?
