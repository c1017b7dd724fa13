# %% [markdown]
# # Variants of GRPO, and how runs go wrong
#
# What does each variant weigh? You let the library compute it: by autograd for single tokens, and
# on real answers of the shipped base for length, difficulty and groups of equal rewards. Then you
# look at eight recorded runs and diagnose them.
#
# **Time**: about 1 minute on two CPU cores. With `FAST=1` in the environment everything is cut down
# until it takes seconds and shows nothing but that the code runs.

# %%
import json
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

from minilrm import checkpoint, curves, machine, objectives
from minilrm.progress import track
from minilrm.rollout import rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
N, G = (8, 4) if FAST else (96, 8)
HERE = machine.data_folder().parent / "lectures" / "16_variants_and_pathologies"
machine.raise_malloc_thresholds()
print(f"{machine.set_threads(None)} threads")
plt.rcParams.update(curves.STYLE)

# %% [markdown]
# ## 1. One token under three objectives
#
# The gradient of the maximised term with respect to log p of the token, against the importance
# ratio. Where a curve lies on 0 the token learns nothing more from this batch. CISPO is the only
# one that never does.


# %%
def weight(objective, ratio, advantage):
    _, low, high = objectives.OBJECTIVES[objective]
    logp = torch.tensor([[ratio]]).log().requires_grad_(True)
    a = torch.tensor([[advantage]])
    term = objectives.surrogate_terms(logp, logp.exp(), a, objective, 1 - low, 1 + high)
    return torch.autograd.grad(term.sum(), logp)[0].item()


ratios = np.linspace(0.5, 1.5, 101)
figure, axes = plt.subplots(1, 2, figsize=(7, 2.8))
for axis, advantage in zip(axes, (1.0, -1.0), strict=True):
    for objective in ("cispo", "dapo", "grpo"):
        axis.plot(ratios, [weight(objective, r, advantage) for r in ratios], label=objective)
    axis.set(xlabel="ratio", ylabel="gradient on log p", title=f"A = {advantage:+g}")
axes[0].legend()
plt.show()

# %% [markdown]
# ## 2. Answers of the base: how long, how often right?

# %%
task = get_task("gsm8k-mini")
model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
model.eval()


def sample(problems, seed=0, label="sampling", **how):
    groups, how = [], {"group_size": G, "max_new_tokens": task.max_new_tokens, **how}
    for start in track(range(0, len(problems), 16), label):
        part = problems[start : start + 16]
        groups += rollout(model, tokenizer, task, part, seed=seed + start, **how)
    return groups


groups = sample(task.problems("validation", N))
lengths = np.array([[e.length for e in g] for g in groups])
right = np.array([[e.grade.correct for e in g] for g in groups])
print(
    f"right: {right.mean():.1%}   mean length of right answers {lengths[right].mean():.0f}, "
    f"of wrong ones {lengths[~right].mean():.0f}"
)

# %% [markdown]
# ## 3. The divisor: how much of the push do long wrong answers get?
#
# Take the advantages without the std and all ratios 1. Then a token's weight is its advantage over
# a divisor. The table shows the weight of one token of a wrong answer, mean over the short third
# and the long third of the wrong answers; the three averages are scaled so that their mean over all
# tokens is 1.

# %%
verdicts = torch.tensor(right, dtype=torch.float32)
a = objectives.group_advantages(verdicts, "none").numpy()
wrong = ~right & (a != 0)
short, long = np.quantile(lengths[wrong], [1 / 3, 2 / 3])
divisors = {
    "sequence": lengths,
    "token": np.full(lengths.shape, 1.0),
    "constant": np.full(lengths.shape, 1.0),
}
print(f"{'':10}{'short wrong':>14}{'long wrong':>14}{'ratio':>10}")
for how, divisor in divisors.items():
    per_token = np.abs(a) / divisor
    scale = (per_token * lengths).sum() / lengths.sum()
    low, high = (
        per_token[wrong & chosen].mean() / scale for chosen in (lengths <= short, lengths >= long)
    )
    print(f"{how:10}{low:14.2f}{high:14.2f}{high / low:10.2f}")

# %% [markdown]
# Whatever the two rows below show beside the first is no doing of length: long wrong answers may
# stand in other groups than short ones.
#
# ## 4. The std: who pays for difficulty?
#
# The push of a group is the sum of |A| over it. Each bar: all groups with so many right answers, as
# a share of the whole batch's push.

# %%
figure, axis = plt.subplots(figsize=(6, 3))
for offset, how, name, look in (
    (-0.2, "none", "r - mean (Dr. GRPO)", curves.LOOKS[0]),
    (0.2, "std", "(r - mean) / std (GRPO)", curves.LOOKS[1]),
):
    push = objectives.group_advantages(verdicts, how).abs().sum(1).numpy()
    shares = [push[right.sum(1) == c].sum() / push.sum() for c in range(G + 1)]
    curves.bars(axis, np.arange(G + 1) + offset, shares, look, name, width=0.4)
axis.set(xlabel=f"right answers in the group of {G}", ylabel="share of the push")
axis.legend()
plt.show()
equal = (right.all(1) | ~right.any(1)).mean()
print(f"groups of equal verdicts: {equal:.0%}. They have no bar of any height.")

# %% [markdown]
# ## 5. Dynamic sampling, and what it costs
#
# With thinking forced by the prompt, and cooler samples, the base is nearly always right. How often
# must one draw until 12 groups teach?

# %%
wanted, kept, drawn, asked = (2 if FAST else 12), [], 0, 0
pool = task.problems("validation", 4000)[1000:]
while len(kept) < wanted and drawn < (2 if FAST else 12):
    batch = pool[16 * drawn : 16 * drawn + (4 if FAST else 16)]
    drawn, asked = drawn + 1, asked + len(batch)
    fresh = sample(batch, seed=1000 * drawn, label=f"draw {drawn}", style="cot", temperature=0.7)
    kept += [g for g in fresh if len({e.grade.correct for e in g}) == 2]
    print(f"draw {drawn}: {len(kept)} groups teach, of {asked} asked")
print(
    "tokens sampled for each group that teaches: about "
    f"{asked / max(1, len(kept)):.1f} times those of one group"
)

# %% [markdown]
# ## 6. Eight runs
#
# Recorded with the commands in `recordings/`. Say for each what ails it before you look into the
# lecture.

# %%
NAMES = {
    "accuracy": "accuracy",
    "reward": "reward",
    "cut": "share cut off",
    "dull": "groups of equal rewards",
}
figure, axes = plt.subplots(4, 2, figsize=(7, 9), sharey=True)
for axis, file in zip(axes.flat, sorted((HERE / "recordings").glob("?.json")), strict=True):
    metrics = json.loads(file.read_text(encoding="utf-8"))["metrics"]
    steps = range(1, len(metrics["accuracy"]) + 1)
    entropy = [min(1, e / 0.4) for e in metrics["entropy"]]
    axis.fill_between(steps, entropy, color="#dddddd", linewidth=0, label="entropy / 0.4 nats")
    for name, label in NAMES.items():
        axis.plot(steps, metrics[name], label=label)
    curves.frame(axis, f"Run {file.stem}", x="step", share=True)
curves.key(figure)
plt.show()

# %% [markdown]
# The gray area is entropy, 0.4 nats at a height of 100 %, cut off above.
#
# ## Three things to try
#
# 1. Record run e again with a tenth of its learning rate, then a hundredth. From which one on does
#    it survive?
# 2. Take the command of run g and add `--dynamic-sampling 3`. Which curves of its log change, and
#    which cannot?
# 3. Make run a's limit soft: `--overlong-cache 20`. Does the policy learn to be brief within 30
#    steps?
