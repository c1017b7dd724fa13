# notebook: 16b_failures

# %% [markdown]
# # The failure gallery: bugs that do not crash
#
# A wrong line in reinforcement learning seldom raises an error. The loss is printed, the bar moves
# on, and the policy learns nothing, or the opposite. Here you switch classic bugs on, one at a
# time, beside a healthy run of the same seed, and look for the figure that gives each away.
#
# **Time**: about 2 minutes on an idle CPU core, with progress bars; runs that are there already are
# not made again. With `FAST=1` in the environment everything is cut down until it takes seconds and
# shows nothing but that the code runs.

# %%
import os
import random
import tempfile
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from IPython.display import Image, display

from minilrm import checkpoint, curves, failures, machine, objectives
from minilrm.failures import toy
from minilrm.progress import track
from minilrm.rollout import rollout

FAST = os.environ.get("FAST") == "1"
STEPS, SEED, OUT = (5, 0, Path(tempfile.mkdtemp())) if FAST else (40, 0, Path("runs/failures"))
if FAST:  # a base that has learnt nothing, and batches of eight answers
    toy.READING.update(expert=3, others=2)
    toy.DEFAULTS.update(prompts=2, group_size=4, max_new_tokens=12, eval_n=4, eval_quick=4)
machine.raise_malloc_thresholds()
machine.set_threads(1)
plt.rcParams.update(curves.STYLE)
print(failures.listing())

# %% [markdown]
# ## 1. The task, the base, and a healthy run
#
# Sums of three small numbers, and a transformer of 0.15 million parameters. What it has read mostly
# guesses; sometimes it works the sum out. So there is something to find: think first.

# %%
base, tokenizer, _ = checkpoint.load(toy.make_base(OUT, "plain"))
task = toy.Sums()
problems = task.problems("validation", 4)
for (episode,) in rollout(base.eval(), tokenizer, task, problems, max_new_tokens=48, seed=0):
    print(task.render(episode.problem) + episode.text, f"   -> {episode.grade.reason}", end="\n\n")

# %% [markdown]
# ## 2. Five sick runs and no names
#
# The solid line is the healthy run, the same in every panel. The broken runs differ from it in one
# line each:
#
# - the minus before the objective is forgotten,
# - the old log-probabilities carry a gradient too,
# - each group is taught with the advantages of another,
# - rollouts come from a copy of the policy that is refreshed every 20 steps,
# - the learning rate is twenty times too high.
#
# *Which panel is which?* Accuracy alone will not tell you all five. The next cell shows a second
# figure of each run.

# %%
NAMES = ["wrong-sign", "old-not-detached"]
if not FAST:
    NAMES += ["neighbours-advantage", "stale-rollouts", "learning-rate"]
random.Random(7).shuffle(NAMES)
logs = {
    name: failures.compare(failures.get(name), OUT, SEED, STEPS) for name in track(NAMES, "gallery")
}


# %%
def panels(key, top=None):
    """One figure of all runs, a panel each, beside the healthy one."""
    figure, axes = plt.subplots(2, 3, figsize=(7.5, 3.8), sharey=True)
    for letter, axis, name in zip("ABCDE", axes.flat, NAMES, strict=False):
        for run, log in logs[name].items():
            curves.line(axis, *failures.curve(log, key), failures.LOOKS[run], f"{run} run")
        axis.set(title=letter, xlabel="step", ylim=(0, top))
    for axis in axes.flat[len(NAMES) :]:
        axis.set_axis_off()
    figure.supylabel(key)
    axes[-1, -1].legend(*axes[0, 0].get_legend_handles_labels(), loc="center")
    plt.show()


panels("accuracy", top=1)

# %% [markdown]
# Now the second opinion. `grad_norm` is the length of the gradient, `sampling/logp_difference` how
# far the sampler and the trainer disagree about the log-probabilities of the same tokens (on-policy
# they should agree to rounding), `entropy` how undecided the policy is.

# %%
for key in ("grad_norm", "sampling/logp_difference", "entropy"):
    panels(key)

# %% [markdown]
# ## 3. The answers, and why
#
# Write your five guesses down before you run this.

# %%
for letter, name in zip("ABCDE", NAMES, strict=False):
    failure = failures.get(name)
    print(f"{letter} = {name}: {failure.title}\n")
    print(textwrap.fill(failure.why, 100), end="\n\n")

# %% [markdown]
# ## 4. Reward is not accuracy
#
# The next two are no slips of the pen. The code does what it was told, reward climbs, and the
# policy gets worse. Anyone who plots reward alone sees a success.

# %%
for name in ["length-bonus"] if FAST else ["format-dominates", "length-bonus"]:
    failure = failures.get(name)
    pair = failures.compare(failure, OUT, SEED, STEPS)
    picture = failures.draw(failure, pair, OUT / f"{name}.png")
    display(Image(picture, width=600))
    for key in ("reward", "accuracy"):
        first, last = failures.ends(pair["broken"], key)
        print(f"{name}: {key} {first:.2f} -> {last:.2f}")
    print("an answer at the end:", repr(pair["broken"].samples()[-1]["completion"][:120]))

# %% [markdown]
# ## 5. The test that takes a second
#
# Each of these runs would have cost days on a large model. A test of the formula costs nothing, if
# it asks the right question. Here the question is the *gradient*, not the value: on fresh samples
# of one good and one bad answer the loss reads 0 whatever is wrong.


# %%
def probe():
    """Loss and gradient of one good and one bad answer of two tokens, on fresh samples."""
    logp = torch.tensor([[-0.5, -1.0], [-0.7, -0.2]], requires_grad=True)
    advantages, mask = torch.tensor([1.0, -1.0]), torch.ones(2, 2)
    loss, _ = objectives.policy_loss(logp, None, advantages, mask, objective="grpo")
    return loss.item(), torch.autograd.grad(loss, logp)[0].flatten().tolist()


def show(name, answer):
    loss, gradient = answer
    print(f"{name:18} loss {loss + 0.0:.3f}   gradient " + "  ".join(f"{g:+.3f}" for g in gradient))


show("healthy", probe())
for name in ("wrong-sign", "old-not-detached", "quotient-of-logs", "eos-masked"):
    with failures.get(name).fault():
        show(name, probe())

# %% [markdown]
# The gradient of a descent step must be *negative* on the good answer (its log-probability shall
# rise) and positive on the bad one, the same on every token of an answer, and 0 nowhere. Each bug
# breaks one of these. What would have caught it in this project:

# %%
for failure in failures.FAILURES:
    print(f"{failure.name}{' (a setting)' if failure.is_setting else ''}\n    {failure.test}")

# %% [markdown]
# ## Three things to try
#
# 1. Make `stale-rollouts` milder: `faults.stale_rollouts(5)` in a `failures.Failure` of your own.
#    From which delay on does it hurt? Then set `options={"objective": "dapo", "updates": 2}` for
#    both runs: with old log-probabilities and a clip, does it hurt later?
# 2. Run `temperature-forgotten` with `--seed 0`, 1 and 2. Could you have found it by accuracy? By
#    which figure, at which step?
# 3. Write a bug of your own: a context manager as in `minilrm/failures/faults.py`, say a reward
#    that is 1 in every group but the first. Predict two curves before you draw them.
