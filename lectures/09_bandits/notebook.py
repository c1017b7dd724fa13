# %% [markdown]
# # Bandits, one of them a language model
#
# Lecture 9, to see. First ten arms and three learners. Then four ways to ask the shipped base model
# a question are the arms: a learner finds out on the job which one to use.
#
# **Time**: about 1 minute on two CPU cores, most of it sampling answers in part 2. With `FAST=1` in
# the environment everything is cut down until it takes seconds and shows nothing but that the code
# runs.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

from minilrm import checkpoint, curves, machine
from minilrm.progress import track
from minilrm.rollout import rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
print(f"{machine.set_threads(None)} threads")
plt.rcParams.update(curves.STYLE)

# %% [markdown]
# ## 1. Ten arms
#
# A learner keeps a running mean for each arm and mostly pulls the one that looks best. 500 learners
# at once.

# %%
LEARNERS, ARMS, PULLS = 500, 10, 1000
rng = np.random.default_rng(0)
worth = rng.standard_normal((LEARNERS, ARMS))
rows = np.arange(LEARNERS)


def learn(epsilon: float, first_guess: float = 0.0) -> np.ndarray:
    """Reward of each pull as a share of what the best arm would have paid, [PULLS]."""
    means, counts, earned = np.full(worth.shape, first_guess), np.zeros(worth.shape), []
    for _ in range(PULLS):
        greedy = (means + 1e-9 * rng.random(means.shape)).argmax(1)
        arm = np.where(rng.random(LEARNERS) < epsilon, rng.integers(ARMS, size=LEARNERS), greedy)
        reward = worth[rows, arm] + rng.standard_normal(LEARNERS)
        counts[rows, arm] += 1
        means[rows, arm] += (reward - means[rows, arm]) / counts[rows, arm]
        earned.append(worth[rows, arm].mean())
    return np.array(earned) / worth.max(1).mean()


figure, axis = plt.subplots(figsize=(6, 3))
for epsilon in (0.0, 0.01, 0.1):
    smooth = np.convolve(learn(epsilon), np.ones(10) / 10, "valid")
    axis.plot(smooth, label=f"epsilon {epsilon:g}")
curves.frame(axis, "Ten arms", x="pull", y="share of the best reward", share=True)
axis.legend()
plt.show()

# %% [markdown]
# ## 2. Four ways to ask
#
# The arms: the plain prompt, or one that forces the model to think, each sampled at temperature 1
# or 0. Each pull is a fresh question, the reward 1 if the answer is right. To let many learners
# play, we ask every question in all four ways once and hand out the answers as they are asked for.

# %%
task = get_task("gsm8k-mini")
model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
model.eval()
dtype = torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None
QUESTIONS = 8 if FAST else 200
problems = task.problems("validation", QUESTIONS)
arms = [("plain", 0.0), ("plain", 1.0), ("cot", 0.0), ("cot", 1.0)]
right = []
how = {"dtype": dtype, "max_new_tokens": 16 if FAST else task.max_new_tokens}
for style, temperature in track(arms, "ways to ask"):
    asked = {"style": style, "temperature": temperature, "seed": 0}
    groups = rollout(model, tokenizer, task, problems, **asked, **how)
    right.append([float(group[0].grade.correct) for group in groups])
right = np.array(right)  # [arm, question]
for (style, temperature), row in zip(arms, right, strict=True):
    print(f"{style:6} T = {temperature:g}   right: {row.mean():6.1%} of {QUESTIONS}")


# %%
def ask(epsilon: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One learner, all questions once in random order: (arm of each pull, reward of each pull)."""
    rng = np.random.default_rng(seed)
    means, counts, chosen, rewards = np.zeros(4), np.zeros(4), [], []
    for question in rng.permutation(QUESTIONS):
        best = rng.choice(np.flatnonzero(means == means.max()))
        arm = rng.integers(4) if rng.random() < epsilon else best
        reward = right[arm, question]
        counts[arm] += 1
        means[arm] += (reward - means[arm]) / counts[arm]
        chosen.append(arm)
        rewards.append(reward)
    return np.array(chosen), np.array(rewards)


figure, axes = plt.subplots(1, 2, figsize=(7, 2.8))
for epsilon in (0.0, 0.1, 0.5):
    played = [ask(epsilon, seed) for seed in range(20 if FAST else 300)]
    running = np.cumsum([rewards for _, rewards in played], 1) / np.arange(1, QUESTIONS + 1)
    axes[0].plot(running.mean(0), label=f"epsilon {epsilon:g}")
    best = right.mean(1).argmax()
    axes[1].plot(np.mean([chosen == best for chosen, _ in played], 0))
curves.frame(axes[0], "Right so far", x="questions asked", y="share", share=True)
curves.frame(axes[1], "Asks in the best way", x="questions asked", y="learners", share=True)
axes[0].legend()
plt.show()

# %% [markdown]
# The greedy learner does well at first and then stops improving: as soon as one way has been right,
# ways that have not are never tried again.
#
# ## 3. An answer as an episode
#
# One answer of the model, token by token: the action, its probability under the policy, the reward,
# the return. With a discount of 0.99 the beginning of a long right answer is worth less than that
# of a short guess.

# %%
groups = rollout(model, tokenizer, task, problems[:4], style="cot", seed=1, **how)
e = max((g[0] for g in groups), key=lambda e: (e.grade.correct, -e.length))
reward = float(e.grade.correct)
print("question:", e.problem.prompt, "\n")
for t, (token, logp) in enumerate(zip(e.completion_ids, e.logprobs, strict=True)):
    to_go = len(e.completion_ids) - 1 - t
    print(
        f"{t:3}  action {tokenizer.decode([token])!r:12} probability {np.exp(logp):.2f}   "
        f"reward {0 if to_go else reward:g}   "
        f"return {reward:g}, discounted {reward * 0.99**to_go:.2f}"
    )

# %% [markdown]
# ## Three things to try
#
# 1. In part 1 call `learn(0.0, first_guess=5.0)`: a greedy learner that begins with great
#    expectations. Why does it explore?
# 2. In part 2 let `epsilon` fall with the number of questions asked, for example as 10 / (10 + n).
#    Does it beat every fixed one?
# 3. Give two of the arms a price: a forced chain of thought is longer. Take 0.002 a token from the
#    reward and see which arm wins.
