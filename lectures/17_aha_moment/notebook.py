# %% [markdown]
# # The aha moment, measured
#
# DeepSeek-R1's report shows one transcript in which the model writes "Wait, wait. That's an aha
# moment" and a curve of growing length (arXiv 2501.12948, figure 3 and table 3). Here you make it
# happen, on two CPU cores, and then ask what nobody asks of a transcript: does thinking again *do*
# anything, and how much of the gain is it?
#
# **Time**: about 30 minutes on two cores that are busy with other work too, as this run was; some 6
# alone. Most of it is in one cell with a progress bar. With `FAST=1` in the environment everything
# is cut down until it takes seconds and shows nothing but that the code runs.
#
# The task is *countdown*: make a target from three numbers, each used once. It cannot be worked out
# from left to right. Somebody has to try, look at what came out, and perhaps try again.

# %%
import json
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from minilrm import checkpoint, corpus, curves, grpo, machine, reflection, runlog
from minilrm.rollout import rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
N = 24 if FAST else 500
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)

task = get_task("countdown")
problem = task.problems("validation", 1)[0]
print(task.render(problem))
print("one right answer:", problem.answer)

# %% [markdown]
# ## 1. What the base has read
#
# The base model has read pages of people who try. Half of the first attempts are planned and right,
# and 3 in 10 of the later ones; the others are random. Each ends with a check, `ok` or `no`. After
# a `no` most people leave it at that. A small, known share of *writers* goes on: "wait, ..." That
# share is the seed. It is in the corpus because we put it there; reinforcement learning will not
# invent it.

# %%
_, tokenizer, info = checkpoint.load(checkpoint.shipped("countdown-base"))
share = info.options["reflection"]  # of the writers, as in the corpus that the base has read
pages = corpus.Attempts("countdown", seed=0, reflection=share)
for what, value in corpus.census(pages, tokenizer, 200 if FAST else 3000).items():
    print(f"{what:48} {value:8.3f}")
print()
print(next(d.text for d in map(pages.document, range(1000)) if d.text.count("wait") == 2))

# %% [markdown]
# ## 2. Before: samples, and every one parsed
#
# A completion follows a small grammar, so each attempt can be judged exactly, whatever its writer
# says of it. In the listing `+` marks an attempt that reaches the target and `-` one that does not.

# %%
base, tokenizer, _ = checkpoint.load(checkpoint.shipped("countdown-base"))
base.eval()
problems = task.problems("validation", N)
how = {
    "max_new_tokens": task.max_new_tokens,
    "seed": 0,
    "dtype": torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None,
}


def show(episode):
    """One completion, a mark in front of each attempt."""
    mark = {"attempt-right": "[+]", "attempt-wrong": "[-]"}
    pieces = reflection.highlight(task, episode.problem, episode.text)
    marked = "".join(mark.get(kind, "") + piece for piece, kind in pieces)
    print(task.render(episode.problem) + marked)
    print("-> right" if episode.grade.correct else f"-> {episode.grade.reason}", end="\n\n")


before = rollout(base, tokenizer, task, problems, **how)
for group in before[:4]:
    show(group[0])


# %%
def cell(rate):
    """A rate with its count; no rate where there are too few cases."""
    value = "too few" if rate["too_few"] else f"{rate['rate']:.1%}"
    return f"{value:>10} ({rate['count']:>4}/{rate['n']:>4})"


def table(**columns):
    """The measures side by side."""
    names = (
        "final_accuracy",
        "first_try_accuracy",
        "reflection_rate",
        "retry_rate",
        "false_accept",
        "careless_accept",
        "false_reject",
        "repeated_attempts",
    )
    print(f"{'':22}" + "".join(f"{name:>22}" for name in columns))
    for name in names:
        print(f"{name:22}" + "".join(cell(m[name]) for m in columns.values()))
    for name in ("corrected", "spoiled"):
        print(f"{name:22}" + "".join(f"{m[name]:>22}" for m in columns.values()))
    lengths = [m["mean_length"]["mean"] for m in columns.values()]
    print(f"{'mean length':22}" + "".join(f"{length:>22.1f}" for length in lengths))


m_before = reflection.measures(task, before)
table(before=m_before)

# %% [markdown]
# Most first tries fail, and hardly anyone tries again: `retry_rate` is the share that goes on *of
# those whose first try failed*. `false_accept` is the share of wrong attempts that their writer
# accepts, `careless_accept` the same of those attempts whose own result misses the target, so that
# a look at it would have been enough.
#
# ## 3. Reinforcement learning from right and wrong
#
# GRPO (lecture 15). The reward looks at the answer alone: nobody is paid for length, for the word
# "wait", or for checking.

# %%
# What `grpo --task countdown` does (the task's own recipe), with smaller evaluations on the way.
size = {"eval_n": 300, "eval_quick": 200}
if FAST:
    size = {"steps": 2, "prompts": 4, "group_size": 4, "eval_n": 24, "eval_quick": 24}
    size["max_new_tokens"] = 64
options = grpo.Options(task="countdown", out=Path(tempfile.mkdtemp()) / "run", **size)
log = runlog.RunLog.open(grpo.train(options).folder)

# %%
train = log.metrics("train")
steps = [m["step"] for m in train]
panels = (
    ("Right", {"accuracy": "final answer", "reflection/first_try_accuracy": "first try"}),
    (
        "After a wrong attempt",
        {
            "reflection/retry_rate": "tries again after a failed first try",
            "reflection/false_accept": "accepts a wrong attempt",
        },
    ),
    ("Mean length", {"completions/mean_length": "mean length"}),
)
figure, axes = plt.subplots(3, 1, figsize=(6, 7))
for axis, (title, lines) in zip(axes, panels, strict=True):
    for name, label in lines.items():
        axis.plot(steps, [m.get(name) for m in train], label=label)
    curves.frame(axis, title, x="step", y="share", share=len(lines) > 1)
axes[0].legend()
axes[1].legend()
axes[2].set_ylabel("tokens")
plt.show()

# %% [markdown]
# ## 4. After, and the control that matters: take the word away
#
# Longer answers and more "wait" prove nothing yet. So the same policy answers the same problems
# with the same random numbers once more, with the reflection word banned at decoding. What it loses
# by that, the word was worth.

# %%
policy, _, _ = checkpoint.load(log.checkpoints()[-1][1])
policy.eval()
after = rollout(policy, tokenizer, task, problems, **how)
banned = reflection.ablate(policy, tokenizer, task, problems, seed=0, dtype=how["dtype"])
m_after, m_banned = reflection.measures(task, after), reflection.measures(task, banned)
table(before=m_before, after=m_after, banned=m_banned)

# %% [markdown]
# Did the check become better, too? Compare `careless_accept` before and after. What is accepted
# beyond it is of another kind: a false sum that ends in the target, or a number that was not given,
# which anyone who compares the results alone cannot see.
#
# From first try to final answer:

# %%
for first in ("right", "wrong", "none"):
    row = m_after["transitions"][first]
    print(f"first try {first:6}  ->  answer right {row['right']:4}   wrong {row['wrong']:4}")

# %% [markdown]
# ## 5. How much of the gain is reflection?
#
# gain = sharpening (better without reflection) + retrying (better by reflection). Sharpening is
# what a lower sampling temperature would partly have given for nothing: say so whenever you report
# a gain.

# %%
parts = reflection.decompose(before, after, banned)
for name, part in parts.items():
    share = "" if part["share"] is None else f"   {part['share']:.0%} of the gain"
    low, high = (100 * end for end in part["ci"])
    points = 100 * part["difference"]
    print(f"{name:12} {points:+6.1f} points  ({low:+.1f} to {high:+.1f}){share}")

verdict = reflection.verdict(m_before, m_after, reflection.ablation_gap(after, banned))
print("\nverdict:", verdict["verdict"], json.dumps(verdict["conditions"]))

# %% [markdown]
# The verdict is `load-bearing` if the retry rate rose, at least five answers were corrected for
# each one spoiled, and accuracy falls without the word. One run is one seed; the lecture's figures
# are over three.
#
# ## 6. The same problem, before and after


# %%
def solved_by_reflection(b, a):
    """Wrong before; right after, by trying again."""
    return a.grade.correct and not b.grade.correct and bool(task.parse_trace(a.text).reflections)


pairs = [(b, a) for (b,), (a,) in zip(before, after, strict=True) if solved_by_reflection(b, a)]
for b, a in pairs[:2]:
    print("BEFORE")
    show(b)
    print("AFTER")
    show(a)

# %% [markdown]
# ## What this shows and what it does not
#
# - Reflection was *amplified* from a seed of some percent of writers. From a base without the seed
#   (`--init countdown-base-unseeded`) nothing of it appears: `data/results/aha.jsonl` has that
#   control, and the one with shuffled rewards. That is also what is known of the large models:
#   their bases say "wait" before any reinforcement learning.
# - Part of the gain in sampled accuracy is sharpening. Compare with the base decoded greedily
#   before you celebrate.
#
# ## Three things to try
#
# 1. Start from `init="countdown-base-unseeded"`. What does the policy do instead of trying again?
# 2. Sample the rollouts at `temperature=1.25`. Which of the measures changes first?
# 3. Ask the trained policy four numbers (`task.problems("ood", N)`), which it has never seen. Does
#    it still try again? Does it help?
