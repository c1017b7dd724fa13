# %% [markdown]
# # Search
#
# A chain of thought goes forward only. Here the shipped countdown base writes one step at a time, a
# judge reads each step, and a search decides where to go on: beams, a tree with backtracking, and
# Monte-Carlo tree search. Every token is counted, that of a pruned step, too.
#
# **Time**: about 3 minutes on two CPU cores, most of it in the cell with a bar. With `FAST=1` in
# the environment everything is cut down until it takes seconds and shows nothing but that the code
# runs.

# %%
import os
from functools import partial

import matplotlib.pyplot as plt

from minilrm import checkpoint, curves, inference, machine
from minilrm.compare import figures, worth
from minilrm.inference import Driver
from minilrm.inference.shown import cost_line, tree_lines
from minilrm.model import count_parameters
from minilrm.progress import track
from minilrm.sampler import Engine
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
N, WORTHS = (5, (1, 2)) if FAST else (80, (0.5, 1, 2, 4))
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)

task = get_task("countdown")
_, model, tokenizer, _ = checkpoint.open_model("countdown-base")
problems = task.problems("validation", N)
engine = Engine(model)
exact = Driver(engine, tokenizer, task, inference.ByChecker(task))
likely = Driver(engine, tokenizer, task, inference.ByLikelihood(), written=exact.written)
unit = worth(likely, problems)
print(f"a sampled answer has {unit:.1f} tokens on average; that is the unit of all budgets here")

# %% [markdown]
# ## 1. What is a good step?
#
# A step of countdown is good if the target can still be reached with what is left, not if it is
# near. Make 35 of 2, 18 and 19: 19-2=17 leads there, and so does 18+19=37. But 18*2=36, which is
# nearest, does not.

# %%
problem = task.question("Make 35 with 2, 19, 18.")
for step in (" 19-2=17,", " 18+19=37,", " 18*2=36,"):
    print(step, task.step_labels(problem, step))

# %% [markdown]
# ## 2. One tree
#
# `=>` is chosen, `x` pruned, `.` was never gone on from; the number is the judge's score. Watch
# where the search comes back to a place that it had left.

# %%
for problem in problems:
    [answer] = exact.solve(inference.tree, [problem], round(8 * unit), ways=2)
    if answer.tokens > unit or FAST:
        break
print(problem.prompt, "\n")
print("\n".join(tree_lines(answer.trace[0])))
print("\nanswer:", answer.answer, "-", task.grade(problem, answer.text).reason)
print(cost_line(answer, count_parameters(model), price=2.0))

# %% [markdown]
# ## 3. The same tokens for all
#
# Left with the exact checker, right with nothing but the model's own probabilities as a judge.
# `weighted` is no search: whole chains and a vote. With the checker it is right whenever any chain
# is.

# %%
methods = {
    "weighted": inference.weighted,
    "beam": inference.beam,
    "dvts": inference.dvts,
    "tree": inference.tree,
    "mcts": inference.mcts,
}
budgets = [round(k * unit) for k in WORTHS]
figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True)
judges = {"exact checker": exact, "the model's likelihood": likely}
for panel, (judge, driver) in zip(axes, judges.items(), strict=True):
    print(judge)
    for (name, method), look in zip(track(methods.items(), judge), curves.LOOKS, strict=False):
        rows = [figures(task, problems, driver.solve(method, problems, b), b) for b in budgets]
        curves.line(panel, [r["tokens"] for r in rows], [r["accuracy"] for r in rows], look, name)
        print(f"  {name:10}", "  ".join(f"{r['accuracy']:6.1%}" for r in rows))
    panel.set_xscale("log", base=2)
    curves.frame(panel, judge, x="tokens a problem", share=True)
axes[1].legend(fontsize=8)
plt.show()

# %% [markdown]
# ## 4. Why a search is cheap if its judge is right
#
# Let an answer have T steps, each right with probability q. Chains have to be right T times in a
# row; a search is told after each step.

# %%
q = 0.3
figure, axis = plt.subplots(figsize=(6, 3))
steps = range(1, 9)
curves.line(axis, steps, [t / q**t for t in steps], curves.LOOKS[1], "whole chains: T / q^T")
curves.line(axis, steps, [t / q for t in steps], curves.LOOKS[0], "search, exact judge: T / q")
axis.set_yscale("log")
title = f"Steps written until an answer is right, q = {q}"
curves.frame(axis, title, x="T, steps of an answer", y="steps")
axis.legend()
plt.show()

# %% [markdown]
# ## 5. Curiosity
#
# Monte-Carlo tree search with more or less of it. With an exact judge there is nothing to be
# curious about; with a poor one there may be.

# %%
for curiosity in (0.0, 0.5, 2.0):
    found = []
    for driver in (exact, likely):
        method = partial(inference.mcts, curiosity=curiosity)
        answers = driver.solve(method, problems, budgets[-1])
        found.append(figures(task, problems, answers, budgets[-1])["accuracy"])
    print(f"curiosity {curiosity:3.1f}: exact checker {found[0]:6.1%}, likelihood {found[1]:6.1%}")

# %% [markdown]
# ## Three things to try
#
# 1. Write a judge that says how *near* a step comes to the target, with an attribute `reads`, and
#    compare it with the exact one. Which problems does it lose?
# 2. Let the exact checker be wrong in one step of ten. Which search suffers most, and why?
# 3. Give `beam` a width of 1 and of 16 at the same budget. What does each of them spend its tokens
#    on?
