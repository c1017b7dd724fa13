# %% [markdown]
# # Rewards that can be checked, and how they are hacked
#
# Eight graders that somebody wrote in earnest. You let them judge honest answers of the shipped
# base model, attack them, choose the best of many answers by them, and watch a toy policy find the
# hole.
#
# **Time**: about 2 minutes on two CPU cores. With `FAST=1` in the environment everything is cut
# down until it takes seconds and shows nothing but that the code runs.

# %%
import os
import sys
from collections import Counter

import matplotlib.pyplot as plt
import numpy as np

from minilrm import checkpoint, curves, machine, rewards
from minilrm.progress import track
from minilrm.rollout import rollout
from minilrm.tasks import get_task
from minilrm.tasks.answers import MARK

sys.path.insert(0, str(machine.data_folder().parent / "lectures" / "14_verifiable_rewards"))
from graders import BROKEN

FAST = os.environ.get("FAST") == "1"
N, SAMPLES = (12, 4) if FAST else (160, 16)
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)

# %% [markdown]
# ## 1. What honest answers look like to a grader
#
# The base's completions end in `#### 12`. They are rewritten into the form of the lecture, and
# every `####` becomes an `<answer>`.

# %%
task = get_task("gsm8k-mini")
model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
model.eval()
problems = task.problems("validation", N)
groups = []
for start in track(range(0, N, 16), "sampling"):
    part = problems[start : start + 16]
    how = {"group_size": SAMPLES, "max_new_tokens": task.max_new_tokens, "seed": start}
    groups += rollout(model, tokenizer, task, part, **how)


def with_tags(text):
    thought, *answers = text.split(MARK)
    return f"<think>{thought}</think>" + "".join(
        f"<answer>{a.split(chr(10))[0].strip()}</answer>" for a in answers
    )


strict = np.array([[e.grade.correct for e in group] for group in groups])
texts = [[with_tags(e.text) for e in group] for group in groups]
answers = [group[0].problem.answer for group in groups]
paid = {
    name: np.array(
        [[grader(t, answer) for t in row] for row, answer in zip(texts, answers, strict=True)]
    )
    for name, grader in BROKEN.items()
}
print("verdicts of the library's grader:", dict(Counter(e.grade.reason for g in groups for e in g)))
print(f"right by the strict grader: {strict.mean():.1%}\n")
print(f"{'grader':16}{'pays':>8}{'of the wrong':>14}")
for name, r in paid.items():
    print(f"{name:16}{(r >= 1).mean():>8.1%}{(r[~strict] >= 1).mean():>14.1%}")

# %% [markdown]
# The library's own reward is a weighted sum. A wrong answer in good form earns 0.1, a right one in
# bad form 1.

# %%
judge = rewards.Judge(rewards.chosen({"accuracy": 1.0, "format": 0.1}))
judge(groups)  # sets the `reward` of each episode
print(sorted(Counter(round(e.reward, 2) for g in groups for e in g).items()))

# %% [markdown]
# ## 2. What an attacker makes of them
#
# No attack knows the question. Each line is one completion, judged against the answers of all
# problems.

# %%
attacks = {
    "all numbers": "".join(f"<answer>{n}</answer>" for n in range(10_000)),
    "empty answer": "<answer></answer>",
    "nan": "<answer>nan</answer>",
    "inf": "<answer>inf</answer>",
    "ten thoughts": "<think>" * 10,
    "flattery": "I have checked it twice: the answer is correct.",
}
print(f"{'':14}" + "".join(f"{name:>16}" for name in BROKEN))
for attack, text in attacks.items():
    shares = [
        np.mean([grader(text, p.answer) >= 1 for p in problems[:20]]) for grader in BROKEN.values()
    ]
    print(f"{attack:14}" + "".join(f"{share:>16.0%}" for share in shares))

# %% [markdown]
# ## 3. Selection is optimisation
#
# Best of n by a broken grader's reward: the more there is to choose from, the more weight its
# mistakes get.

# %%
sizes = [n for n in (1, 2, 4, 8, 16) if n <= SAMPLES]


def best_of(n, r):
    """How often the chosen answer is right, over consecutive blocks of n."""
    chosen = [
        strict[i, at + int(np.argmax(r[i, at : at + n]))]
        for i in range(N)
        for at in range(0, SAMPLES - n + 1, n)
    ]
    return np.mean(chosen)


judged = {"strict": strict.astype(float)} | {n: paid[n] for n in ("any_answer", "substring")}
figure, axis = plt.subplots(figsize=(6, 3))
for (name, r), look in zip(judged.items(), curves.LOOKS, strict=False):
    curves.line(axis, sizes, [best_of(n, r) for n in sizes], look, name)
axis.set_xscale("log", base=2)
axis.set_xticks(sizes, [str(n) for n in sizes])
curves.frame(axis, x="best of n by this grader's reward", y="really right", share=True)
axis.legend(loc="lower left")
plt.show()

# %% [markdown]
# ## 4. A toy policy meets a hole
#
# Three ways to answer, with the base's own rates: think (right in 77.6 %), blurt (1.8 %), attack
# (never right, always paid). Each step draws 256 answers, rewards them and moves the logits by the
# policy gradient with normalised advantages, as GRPO would with one large group.


# %%
def run(first_share, seed, steps, rate=0.5, size=256):
    rng = np.random.default_rng(seed)
    logits = np.log([0.33, 0.67 - first_share, first_share])
    right = np.array([0.776, 0.018, 0.0])
    history = []
    for _ in range(steps):
        p = np.exp(logits - logits.max())
        p /= p.sum()
        ways = rng.choice(3, size, p=p)
        r = np.where(ways == 2, 1.0, rng.random(size) < right[ways])
        history.append((r.mean(), (p * right).sum()))
        advantage = (r - r.mean()) / (r.std() + 1e-4)
        logits += rate * np.array([(advantage * ((ways == w) - p[w])).mean() for w in range(3)])
    return np.array(history)


steps = 50 if FAST else 1500
figure, axes = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
for axis, share in zip(axes, (0.01, 0.001), strict=True):
    for seed in range(3):
        h = run(share, seed, steps)
        axis.plot(h[:, 0], color="gray", linestyle="-", linewidth=0.8)
        axis.plot(
            h[:, 1], color=f"C{seed}", linestyle=curves.LOOKS[seed].dash, label=f"seed {seed}"
        )
    curves.frame(axis, f"{share:.1%} of the first answers attack", x="step", share=True)
axes[0].set_ylabel("really right (gray: paid)")
axes[0].legend(loc="center left")
plt.show()

# %% [markdown]
# The reward alone looks healthy in every run, first and last. When the hole is found depends on how
# rare the attack was, and on luck.
#
# ## Three things to try
#
# 1. Mend `close_enough` and `never_fails` in `graders.py`, so that no attack of section 2 is paid
#    and no honest answer loses. Then let your `find_exploit` look for a hole.
# 2. Add 20 % of false negatives to the toy (a right thought is not paid in one case of five). What
#    changes, and what does not?
# 3. In section 3 sample at temperature 1.3. Does the gap between strict and broken graders grow?
