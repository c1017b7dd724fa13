# %% [markdown]
# # A reward model in thirty lines
#
# Lecture 13, to see. Somebody compares answers of the shipped base model and prefers right ones,
# most of the time. We fit a reward model to the comparisons, on the hidden states of the base model
# itself, and ask: does it agree with the judge, does it pick good answers, and what has it really
# learnt?
#
# **Time**: about 1 minute on two CPU cores, nearly all of it sampling the answers. With `FAST=1` in
# the environment everything is cut down until it takes seconds and shows nothing but that the code
# runs.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

from minilrm import checkpoint, curves, machine
from minilrm.model import ScalarHead
from minilrm.progress import track
from minilrm.rollout import episode_states, rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)
cpu = torch.device("cpu")

# %% [markdown]
# ## 1. Answers, and a judge
#
# Eight answers to each question, sampled at temperature 1 with the prompt that makes the model
# think in half of the questions (so that there is something to compare). The judge prefers a right
# answer to a wrong one in nine of ten cases; between two of the same kind it tosses a coin.

# %%
task = get_task("gsm8k-mini")
model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
model.eval()
dtype = torch.bfloat16 if machine.bfloat16_pays(cpu) else None
QUESTIONS, GROUP = (6, 4) if FAST else (160, 8)
problems = task.problems("validation", QUESTIONS)
groups, limit = [], 16 if FAST else task.max_new_tokens
for start in track(range(0, QUESTIONS, 16), "answers"):
    part = problems[start : start + 16]
    how = {"group_size": GROUP, "max_new_tokens": limit, "seed": start, "dtype": dtype}
    style = "cot" if start % 32 else "plain"
    groups += rollout(model, tokenizer, task, part, style=style, **how)


@torch.no_grad()
def last_state(group) -> torch.Tensor:
    """What the model knows before the last token of each answer: [GROUP, dim]."""
    states, _, mask = episode_states(model, group, cpu)
    return states[torch.arange(len(group)), mask.sum(1).long() - 1].float()


states = torch.stack([last_state(g) for g in track(groups, "reading")])  # [question, answer, dim]
right = torch.tensor([[float(e.grade.correct) for e in g] for g in groups])
lengths = torch.tensor([[float(e.length) for e in g] for g in groups])
print(f"{right.mean():.0%} of {right.numel()} answers are right")

rng = np.random.default_rng(0)
half = QUESTIONS // 2  # the first half to learn from, the second to test: no question is in both


def compare(questions, n):
    """n comparisons: (question, preferred answer, other answer)."""
    out = []
    for _ in range(n):
        q = rng.choice(questions)
        a, b = rng.choice(GROUP, 2, replace=False)
        difference = right[q, a] - right[q, b]
        if rng.random() > {1.0: 0.9, 0.0: 0.5, -1.0: 0.1}[float(difference)]:
            a, b = b, a
        out.append((q, a, b))
    return np.array(out)


COMPARISONS = 40 if FAST else 2000
learnt, held = compare(range(half), COMPARISONS), compare(range(half, QUESTIONS), COMPARISONS)

# %% [markdown]
# ## 2. Fit
#
# One number out of each hidden state; the Bradley-Terry loss on the comparisons. The base model
# itself is not touched.

# %%
mean, std = states[:half].mean((0, 1)), states[:half].std((0, 1)) + 1e-6
inputs = (states - mean) / std
head = ScalarHead(inputs.shape[-1])
optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2, weight_decay=0.1)


def scores_of(pairs):
    """Scores of the preferred and of the other answers."""
    q, a, b = torch.tensor(pairs).T
    return head(inputs[q, a]), head(inputs[q, b])


curve = []
for _ in track(range(20 if FAST else 200), "reward model"):
    chosen, rejected = scores_of(learnt)
    loss = -torch.nn.functional.logsigmoid(chosen - rejected).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    with torch.no_grad():
        chosen, rejected = scores_of(held)
        curve.append((loss.item(), (chosen > rejected).double().mean().item()))

q, a, b = held.T
ceiling = np.where(right[q, a] == right[q, b], 0.5, (right[q, a] > right[q, b]).double())
figure, axes = plt.subplots(1, 2, figsize=(7, 2.8))
axes[0].plot([x for x, _ in curve])
axes[0].set(xlabel="step", ylabel="loss", title="Learning from comparisons")
axes[1].plot([x for _, x in curve], label="reward model")
axes[1].axhline(ceiling.mean(), color="gray", linestyle="--", label="knows the answer")
axes[1].set(xlabel="step", ylabel="agreement with the judge", ylim=(0.4, 1))
axes[1].set_title("Questions not learnt from")
axes[1].legend(loc="lower right")
plt.show()

# %% [markdown]
# ## 3. Use it: the best of n
#
# On the questions that it has not seen: take n of the eight answers at random and keep the one with
# the highest score.

# %%
with torch.no_grad():
    score = head(inputs[half:])
truth = right[half:]
ns, picked, possible = range(1, GROUP + 1), [], []
for n in ns:
    hits, hopes = [], []
    for _ in range(50):
        order = torch.rand(score.shape).argsort(1)[:, :n]
        best = score.gather(1, order).argmax(1, keepdim=True)
        hits.append(truth.gather(1, order).gather(1, best).mean().item())
        hopes.append(truth.gather(1, order).amax(1).mean().item())
    picked.append(np.mean(hits))
    possible.append(np.mean(hopes))
figure, axis = plt.subplots(figsize=(6, 3))
curves.line(axis, ns, possible, curves.LOOKS[1], "one of the n is right (pass@n)")
curves.line(axis, ns, picked, curves.LOOKS[0], "the reward model's choice is right")
axis.axhline(truth.mean(), color="gray", linestyle=":", label="chosen at random")
curves.frame(axis, "Best of n", x="n", y="share of questions", share=True)
axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## 4. What has it learnt?
#
# How the score goes with being right, with length, and with thinking. If it follows length nearly
# as well as rightness, beware: a policy that climbs this score will write long answers.


# %%
def correlation(x, y):
    return float(np.corrcoef(x.flatten(), y.flatten())[0, 1])


thinks = torch.tensor([[float(e.thinks) for e in g] for g in groups[half:]])
for name, other in (("right", truth), ("length", lengths[half:]), ("thinks", thinks)):
    print(f"correlation of the score with {name:8} {correlation(score, other):+.2f}")
if thinks.bool().any():
    inside = thinks.bool()
    value = correlation(score[inside], truth[inside])
    print(f"... with right, among answers that think: {value:+.2f}")

# %% [markdown]
# ## Three things to try
#
# 1. Let the judge prefer the *longer* answer where both are wrong. Nobody is paid for it; how much
#    of the score is length now?
# 2. Learn from 50 comparisons, and from 10,000. Where does the agreement stop rising, and why not
#    at the dashed line?
# 3. Train with the rewards of the library and a leash: `ppo.Options(task="gsm8k-mini",
#    kl_coef=0.05)`, and compare `kl` in the metrics with `kl_coef=0`.
