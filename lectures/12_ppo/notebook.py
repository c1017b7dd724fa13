# %% [markdown]
# # A critic reads along
#
# Lecture 12, to see. First PPO's clipped term as a curve. Then a critic is trained for the shipped
# base model, which itself stays as it is, and forecasts the reward of an answer token by token:
# does it notice where a calculation goes wrong?
#
# **Time**: about 2 minutes on two CPU cores, nearly all of it in part 2. With `FAST=1` in the
# environment everything is cut down until it takes seconds and shows nothing but that the code
# runs.

# %%
import os

import matplotlib.pyplot as plt
import torch

from minilrm import curves, machine, objectives, ppo
from minilrm.progress import track
from minilrm.values import gae

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
print(f"{machine.set_threads(None)} threads")
plt.rcParams.update(curves.STYLE)

# %% [markdown]
# ## 1. The four cases
#
# The term that PPO maximises for one token, against the ratio of new to old probability. Where the
# curve is flat nothing is pushed.

# %%
ratio = torch.linspace(0.4, 1.6, 121)
figure, axes = plt.subplots(1, 2)
for axis, advantage in zip(axes, (1.0, -1.0), strict=True):
    a = torch.full_like(ratio, advantage)
    term = objectives.surrogate_terms(ratio.log(), ratio, a, "grpo", 0.8, 1.2)
    axis.plot(ratio, term, label="PPO")
    axis.plot(ratio, ratio * a, label="without clip")
    axis.axvline(1, color="gray", linewidth=0.8)
    axis.set(title=f"Advantage {advantage:+g}", xlabel="ratio", ylabel="term")
axes[0].legend()
plt.show()

# %% [markdown]
# ## 2. Train the critic alone
#
# `critic_warmup` keeps the policy as it is while the critic learns. The critic is a copy of the
# model with one number as its output, trained to forecast the reward (here 1 for right, 0 for
# wrong). `explained variance`: 1 is a perfect forecast, 0 no better than always saying the mean,
# below 0 worse.

# %%
STEPS = 2 if FAST else 25
trainer = ppo.Trainer(
    ppo.Options(
        task="gsm8k-mini",
        prompts=2 if FAST else 16,
        group_size=2 if FAST else 8,
        critic_warmup=STEPS,
        lam=1.0,
        reward={"accuracy": 1.0},
        max_new_tokens=24 if FAST else None,
        lr_hold=0,
    )
)
history = []
for step in track(range(STEPS), "critic"):
    metrics = trainer.step(step)
    trainer.state.step += 1
    history.append(metrics)

figure, axis = plt.subplots()
axis.plot([m["val/explained_variance"] for m in history], marker="o")
axis.axhline(0, color="gray", linewidth=0.8)
axis.set(title="Forecast of fresh answers, before each update", ylim=(-1, 1))
axis.set(xlabel="step", ylabel="explained variance")
plt.show()

# %% [markdown]
# ## 3. What it says while it reads
#
# Fresh problems. We look at answers that think, right ones and wrong ones. The number in front of
# each line is the forecast before its last token.

# %%
groups = trainer.sample(10_000)
trainer.record_values(groups)  # gives every episode its `values`
episodes = [e for g in groups for e in g]
thinking = [e for e in episodes if e.thinks] or episodes


def show(e):
    """The answer line by line, with the critic's forecast at the end of each."""
    print("Q:", e.problem.prompt, "| right:", e.problem.answer)
    line = ""
    for token, value in zip(e.completion_ids, e.values.tolist(), strict=True):
        piece = trainer.tokenizer.decode([token])
        line += piece
        if "\n" in piece:
            print(f"  {value:5.2f}  {line.strip()}")
            line = ""
    print(f"  {value:5.2f}  {line.strip()}    -> reward {e.reward:g}\n")


for correct in (True, False):
    for e in [e for e in thinking if e.grade.correct == correct][:2]:
        show(e)

# %%
right, wrong = ([e.values for e in thinking if e.grade.correct == c] for c in (True, False))
if right and wrong:
    width = torch.linspace(0, 1, 21)
    figure, axis = plt.subplots()
    for rows, name in ((right, "right"), (wrong, "wrong")):
        curve = torch.stack([row[(width * (len(row) - 1)).round().long()] for row in rows])
        axis.plot(width, curve.mean(0), label=f"answers that came out {name} ({len(rows)})")
    curves.frame(axis, "Answers that think", x="place in the answer", y="mean forecast")
    axis.legend()
    plt.show()
    pairs = [float(r[-1]) > float(w[-1]) for r in right for w in wrong]
    print(
        f"a right answer's last forecast is above a wrong one's in {sum(pairs) / len(pairs):.0%} "
        f"of {len(pairs)} pairs (50 % is chance)"
    )

# %% [markdown]
# Where do the two curves part? At the very beginning the critic knows the question alone, so a
# difference there says that some questions are easier. If they part only at the end, it reads the
# answer and does not follow the calculation: it has seen some three thousand answers.
#
# ## 4. Lambda, on these very answers
#
# The advantages of one wrong answer for three values of lambda.

# %%
e = next((e for e in thinking if not e.grade.correct), thinking[0])
values = e.values[None].float()
rewards = torch.zeros_like(values)
rewards[0, -1] = e.reward
figure, axis = plt.subplots(figsize=(6, 3))
for lam in (0.0, 0.95, 1.0):
    advantages, _ = gae(rewards, values, torch.ones_like(values), 1.0, lam)
    axis.plot(advantages[0], label=f"lambda {lam:g}")
axis.axhline(0, color="gray", linewidth=0.8)
axis.set(xlabel="token", ylabel="advantage", title="One wrong answer")
axis.legend()
plt.show()

# %% [markdown]
# ## Three things to try
#
# 1. Set `critic="shared"`: the critic then sees what the policy sees and learns a single line of
#    weights. How much does it explain?
# 2. Train the critic with `lam=0.0`. It then learns from its own forecasts alone, one step at a
#    time. Why is it so slow?
# 3. Give `critic_warmup=0` and `updates=4`, and the policy learns, too: that is PPO. Plot
#    `accuracy` and `clip_ratio/region_mean` from the metrics.
