# notebook: 17b_checking_multiplication
# %% [markdown]
# # Checking a multiplication by another route
#
# Notebook 17 made a model try again on countdown. There the check is part of the problem: anyone
# who has reached the target sees it. Here the task is a long multiplication, and a wrong product
# looks like any other number. So the writers of this corpus check by *another route*, the
# remainders by nine. That check is cheap, and it is not perfect. Does reflection pay where one's
# own check can err, and how far can it carry?
#
# **Time**: about 7 minutes on two CPU cores, most of it in one cell with a progress bar. With
# `FAST=1` in the environment everything is cut down until it takes seconds and shows nothing but
# that the code runs.

# %%
import json
import os
import random
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from minilrm import checkpoint, corpus, curves, grpo, machine, reflection, runlog
from minilrm.rollout import rollout
from minilrm.tasks import get_task
from minilrm.tasks.multiplication import multiply, passes, slip, write_attempt

FAST = os.environ.get("FAST") == "1"
N = 24 if FAST else 500
BASE = "multiplication-base"
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)

task = get_task("multiplication")
problem = task.problems("validation", 1)[0]
print(task.render(problem))
print("right answer:", problem.answer)

# %% [markdown]
# ## 1. Casting out nines
#
# As 10 leaves the remainder 1 when it is divided by nine, a number leaves that of the sum of its
# digits. `~` means "leaves the same remainder". If the product's remainder is not that of the
# factors' remainders multiplied, there is a mistake somewhere.

# %%
right = multiply(347, 86)
wrong = multiply(347, 86, slip_at=1, off=10)
escapes = multiply(347, 86, slip_at=1, off=90)
for work in (right, wrong, escapes):
    truth = "right" if work.result == work.a * work.b else "wrong"
    print(f"{write_attempt(work, passes(work)):46} really {truth}")

# %% [markdown]
# The third line is the trouble: off by a multiple of nine, and the check says `ok`. It is an
# *honest* ok. How often does that happen to the writers of the corpus?

# %%
rng, count = random.Random(0), 2_000 if FAST else 40_000
slips = [slip(rng.randint(100, 999), 86, rng) for _ in range(count)]
escaped = sum(map(passes, slips)) / count
print(f"{escaped:.1%} of {count:,} wrong products pass; one in nine is {1 / 9:.1%}")

# %% [markdown]
# ## 2. How far can checking carry?
#
# Let p be the chance that an attempt is right. A writer who tries again until the check says `ok`
# ends with a wrong answer only if a wrong attempt escapes it. Of all attempts a share p is right,
# and (1 - p) f is wrong and accepted, where f is the share of wrong attempts that are accepted:
#
# $$P(\text{right in the end}) = \frac{p}{p + (1 - p) f}$$
#
# With f = 0 (countdown, calculated rightly and checked with care) it is 1 for any p. With f = 1/9
# it is not: a perfect checker of this kind ends below 100 %, and the ceiling depends on the first
# try. (The formula takes every attempt for as good as the first and all products for equally hard.
# Neither is quite so: it is a ceiling to compare with, not a prediction.)


# %%
def ceiling(p, f):
    """Right in the end, for one who tries again until the check accepts."""
    return p / (p + (1 - p) * f)


print("  first try right   in the end, f = 1/9")
for p in (0.2, 0.4, 0.6, 0.8):
    print(f"{p:>17.0%}{ceiling(p, 1 / 9):>22.1%}")

# %% [markdown]
# ## 3. What the base has read
#
# One page is one product and what one writer put down. Most leave it at the first attempt, whatever
# the check says. A small, known share of *writers* goes on after a `no`: the seed. A few are
# careless and write `ok` although the remainders differ.

# %%
base, tokenizer, info = checkpoint.load(checkpoint.shipped(BASE))
base.eval()
share = info.options["reflection"]  # of the writers, as in the corpus that the base has read
pages = corpus.Attempts("multiplication", seed=0, reflection=share)
for what, value in corpus.census(pages, tokenizer, 200 if FAST else 3000).items():
    print(f"{what:48} {value:8.3f}")
print()
print(next(d.text for d in map(pages.document, range(1000)) if d.text.count("wait") == 2))

# %% [markdown]
# ## 4. Before: samples, and every one parsed
#
# In the listing `+` marks an attempt whose product is right and `-` one whose product is wrong,
# whatever its writer's check says of it.

# %%
problems = task.problems("validation", N)
how = {
    "max_new_tokens": 96 if FAST else task.max_new_tokens,
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

# %% [markdown]
# ## 5. Reinforcement learning from right and wrong
#
# GRPO as before. The reward looks at the answer alone; nobody is paid for checking, or for the word
# "wait". The learning rate is less than a third of countdown's, and is held longer (90 steps
# instead of 60, of 120 instead of 150). At countdown's rate the model *unlearns to check*
# (`LOG.md`): a writer who puts `no` and stops gives the same answer as one who puts `ok`, so no
# reward hangs on the sums of digits until second attempts are common; and while large steps sharpen
# the first try, the sums of digits go wrong, `no` loses its meaning, and trying again with it. A
# behaviour is amplified only as long as it works.

# %%
size = {"eval_every": 60, "eval_n": 300, "eval_quick": 200}
if FAST:
    size = {"steps": 2, "prompts": 4, "group_size": 4, "eval_n": 24, "eval_quick": 24}
    size["max_new_tokens"] = 96
out = Path(tempfile.mkdtemp()) / "run"
options = grpo.Options(task="multiplication", init=BASE, out=out, **size)
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
        values = [np.nan if m.get(name) is None else m[name] for m in train]  # a gap for no case
        axis.plot(steps, values, label=label)
    curves.frame(axis, title, x="step", y="share", share=len(lines) > 1)
axes[1].axhline(1 / 9, color="gray", linestyle=":", label="1/9")
axes[0].legend()
axes[1].legend()
axes[2].set_ylabel("tokens")
plt.show()

# %% [markdown]
# Watch how often a wrong attempt is accepted. Carelessness can be unlearnt, as an overlooked
# mistake costs reward. But no reward can teach these writers to see a slip of nine. The dotted line
# is where an honest check would end if the model slipped as the writers of the corpus do. Its own
# slips need not be theirs; section 7 counts how many escape.
#
# ## 6. After, and the verdict
#
# `reflection.study` does in one call what notebook 17 does in steps. Base and policy answer the
# same problems with the same random numbers, and then the policy once more with the reflection word
# banned at decoding. What is lost by that, the word was worth.

# %%
policy, _, _ = checkpoint.load(log.checkpoints()[-1][1])
policy.eval()
limit = how["max_new_tokens"]
found = reflection.study(
    base, policy, tokenizer, task, problems, seed=0, max_new_tokens=limit, report=print
)


def cell(rate):
    """A rate with its count; no rate where there are too few cases."""
    value = "too few" if rate["too_few"] else f"{rate['rate']:.1%}"
    return f"{value:>10} ({rate['count']:>4}/{rate['n']:>4})"


columns = {"before": found["before"], "after": found["after"], "word banned": found["after_banned"]}
print(f"\n{'':22}" + "".join(f"{name:>22}" for name in columns))
for name in (
    "final_accuracy",
    "first_try_accuracy",
    "reflection_rate",
    "retry_rate",
    "false_accept",
    "false_reject",
    "repeated_attempts",
    "well_formed",
):
    print(f"{name:22}" + "".join(cell(m[name]) for m in columns.values()))
for name in ("corrected", "spoiled"):
    print(f"{name:22}" + "".join(f"{m[name]:>22}" for m in columns.values()))
lengths = [m["mean_length"]["mean"] for m in columns.values()]
print(f"{'mean length':22}" + "".join(f"{length:>22.1f}" for length in lengths))

# %%
for name, part in found["decomposition"].items():
    of_the_gain = "" if part["share"] is None else f"   {part['share']:.0%} of the gain"
    low, high = (100 * end for end in part["ci"])
    difference = 100 * part["difference"]
    print(f"{name:12} {difference:+6.1f} points  ({low:+.1f} to {high:+.1f}){of_the_gain}")
for first in ("right", "wrong", "none"):
    row = found["after"]["transitions"][first]
    print(f"first try {first:6}  ->  answer right {row['right']:4}   wrong {row['wrong']:4}")
print("\nverdict:", found["verdict"]["verdict"], json.dumps(found["verdict"]["conditions"]))

# %% [markdown]
# gain = *sharpening* (better without reflection) + retrying (better by it). Notebook 17 says what
# each condition of the verdict means. "too few" stands where fewer than twenty cases would have to
# carry a rate.
#
# ## 7. Which wrong answers are left?
#
# A wrong attempt that was accepted has one of two reasons, and the parser can tell them apart: the
# product escapes the check (an honest `ok`), or the remainders do not agree, or were worked
# wrongly, and the writer said `ok` all the same.

# %%
after = rollout(policy, tokenizer, task, problems, **how)


def accepted_wrong(groups):
    """How many wrong attempts were judged; how many of them were accepted although the check shows
    it; how many were accepted as they escape the check."""
    judged = careless = honest = 0
    for episode in (e for g in groups for e in g):
        for attempt in task.parse_trace(episode.text).attempts:
            if attempt.accepted is None or task.attempt_right(episode.problem, attempt):
                continue
            judged += 1
            escapes = not task.fails_check(episode.problem, attempt)
            honest += attempt.accepted and escapes
            careless += attempt.accepted and not escapes
    return judged, careless, honest


points = {}
for name, groups in (("before", before), ("after", after)):
    judged, careless, honest = accepted_wrong(groups)
    print(
        f"{name:8} {judged:4} wrong attempts; "
        f"accepted although it shows: {careless / max(1, judged):6.1%}; "
        f"accepted because they escape: {honest / max(1, judged):6.1%}"
    )
    m = found[name]
    points[name] = (m["first_try_accuracy"]["rate"], m["final_accuracy"]["rate"])

# %%
p = np.linspace(0.01, 1, 100)
figure, axis = plt.subplots(figsize=(6, 4.2))
axis.plot(p, ceiling(p, 1 / 9), label="tries again until an honest check accepts (f = 1/9)")
axis.plot(p, p, label="never tries again")
for (name, (first, final)), look in zip(points.items(), curves.LOOKS[2:], strict=False):
    ends = found[name]["final_accuracy"]["ci"]
    curves.intervals(axis, [first], [final], [ends], look, name, linestyle="none", markersize=8)
title = "How much of what checking can give is used"
curves.frame(axis, title, x="first try right", y="right in the end", share=True)
axis.xaxis.set_major_formatter(axis.yaxis.get_major_formatter())
axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# The way up is reflection, the way to the right is *sharpening* of the first try. A point below the
# solid line still loses something between `no` and the answer: it stops too early, repeats an
# attempt, runs out of room, or accepts what it could have seen.
#
# ## 8. The same problem, before and after


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
# - A second task, a check of another kind, and a gentler learning rate. If the verdict is the same
#   as on countdown, the effect does not hang on one task. If it is not, compare p, f and the share
#   of sharpening before you give the blame to anything else.
# - Look at step 0 in the training's output: *greedily* the base was right more often than the
#   trained policy is at T = 1. The writers' slips are noise around the right digits, and a lower
#   temperature takes noise away for nothing. What reflection carries here it carries against the
#   noise of sampling. On countdown it is otherwise: there no temperature brings the base anywhere
#   near its policy.
# - One run is one seed, and a verdict over fewer than three seeds is no claim. The controls (a base
#   whose corpus held no reflection, rewards handed out at random) and the three seeds are the
#   business of `python -m studies.aha multiplication`.
# - A check that can err sets a ceiling that training does not lift. What lifts it is a better
#   check. That holds for verifiers of any size.
#
# ## Three things to try
#
# 1. Train with `lr=5e-4`, `lr_hold=60`. Watch first tries, the retry rate, and `false_reject` of
#    the result (right attempts that are rejected). Which goes first?
# 2. Sample eight answers to each problem and take the first whose check says `ok`, with the
#    reflection word banned. Does that beat one long answer at equal tokens? (`studies/aha` has it
#    as the arm `parallel`.)
# 3. Draw the line of a writer who checks by nines *and* by elevens (a slip escapes both if it is a
#    multiple of 99). What f does the corpus' `slip` give then?
