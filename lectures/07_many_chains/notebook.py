# %% [markdown]
# # Many chains
#
# One chain of thought is one draw. Here you draw many from the shipped countdown base and choose
# among them: by votes, by a score, by the model's own check. Every method gets the same number of
# tokens, and what it throws away has been paid for.
#
# **Time**: about 3 minutes on two CPU cores, most of it in the cell with a bar. With `FAST=1` in
# the environment everything is cut down until it takes seconds and shows nothing but that the code
# runs.

# %%
import os
import random
from collections import Counter

import matplotlib.pyplot as plt

from minilrm import checkpoint, curves, inference, machine
from minilrm.compare import figures, worth
from minilrm.inference import Driver, sequential
from minilrm.inference.shown import cost_line, trace_lines
from minilrm.inference.voting import stays_ahead
from minilrm.intervals import mean
from minilrm.model import count_parameters
from minilrm.progress import track
from minilrm.sampler import Engine
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
N, WORTHS = (6, (1, 2)) if FAST else (100, (1, 2, 4, 8))
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)

task = get_task("countdown")
_, model, tokenizer, _ = checkpoint.open_model("countdown-base")
problems = task.problems("validation", N)
driver = Driver(Engine(model), tokenizer, task, inference.ByLikelihood())
unit = worth(driver, problems)
print(f"a sampled answer has {unit:.1f} tokens on average; that is the unit of all budgets here")

# %% [markdown]
# ## 1. When does a vote help?
#
# No model yet, only dice: each chain is right with the chance that stands first, and gives one of
# the wrong answers otherwise. A vote needs the right answer to be the *most frequent* one. It need
# not have half of the votes.


# %%
def vote_of(k, chances, rng):
    drawn = rng.choices(range(len(chances)), chances, k=k)
    return Counter(drawn).most_common(1)[0][0] == 0


rng, sizes = random.Random(0), (1, 3, 5, 9, 17, 33)
figure, axis = plt.subplots(figsize=(6, 3))
for (name, chances), look in zip(
    {
        "60 % right, one wrong answer": (0.6, 0.4),
        "40 % right, six wrong answers": (0.4, *[0.1] * 6),
        "40 % right, one wrong answer": (0.4, 0.6),
    }.items(),
    curves.LOOKS,
    strict=False,
):
    draws = 50 if FAST else 2000
    shares = [mean([vote_of(k, chances, rng) for _ in range(draws)]) for k in sizes]
    curves.line(axis, sizes, shares, look, name)
curves.frame(axis, "A vote of k", x="k chains", y="the vote is right", share=True)
axis.legend()
plt.show()

# %% [markdown]
# ## 2. Eight chains for one problem
#
# Each line is a chain. In countdown everybody knows the target, so the vote goes over *expressions*
# that mean the same, not over values: such a vote would be a check.

# %%
problem = problems[1]
print(task.render(problem), "\n")
[answer] = driver.solve(inference.majority, [problem], round(8 * unit))
print("\n".join(trace_lines(task, problem, answer)))
print("chosen:", answer.answer, "-", task.grade(problem, answer.text).reason)
print(cost_line(answer, count_parameters(model), price=2.0))

# %% [markdown]
# ## 3. The same tokens for all
#
# `majority` counts votes, `adaptive` stops when its leader is safe, `weighted` adds up the
# probabilities that the model gave to its own chains, `best-of-n` takes the likeliest chain,
# `retry` goes on after its own `no`. The last line has a judge who knows the truth: it is right
# whenever *any* chain is (pass@k).

# %%
exact = Driver(driver.engine, tokenizer, task, inference.ByChecker(task), written=driver.written)
methods = {
    "majority": (driver, inference.majority),
    "adaptive": (driver, inference.adaptive),
    "weighted": (driver, inference.weighted),
    "best-of-n": (driver, inference.best_of_n),
    "retry": (driver, sequential.retry),
    "any chain is right": (exact, inference.best_of_n),
}
budgets = [round(k * unit) for k in WORTHS]
answers = {
    (name, budget): who.solve(method, problems, budget)
    for name, (who, method) in track(methods.items(), "methods")
    for budget in budgets
}
figure, axis = plt.subplots(figsize=(6, 3.4))
for name, look in zip(methods, curves.LOOKS, strict=False):
    rows = [figures(task, problems, answers[name, budget], budget) for budget in budgets]
    curves.line(axis, [r["tokens"] for r in rows], [r["accuracy"] for r in rows], look, name)
    print(f"{name:20}", "  ".join(f"{r['accuracy']:6.1%}" for r in rows))
axis.set_xscale("log", base=2)
title = f"countdown, {N} validation problems"
curves.frame(axis, title, x="tokens a problem", y="right", share=True)
axis.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## 4. Where the votes are lost
#
# A problem whose right answer is among the chains and loses the vote is what a verifier could win.

# %%
lost = Counter()
for problem, answer in zip(problems, answers["majority", budgets[-1]], strict=True):
    there = any(p.ended and task.grade(problem, p.text).correct for p in answer.trace)
    won = task.grade(problem, answer.text).correct
    lost["the vote is right" if won else "right answer outvoted" if there else "none right"] += 1
for what, count in lost.most_common():
    print(f"{what:24} {count:4} of {N}")

# %% [markdown]
# ## 5. When to stop
#
# How probable it is that the leader of a vote would stay ahead, and how many chains `adaptive` drew
# with the largest budget.

# %%
for first, second in ((1, 0), (2, 0), (3, 0), (4, 0), (4, 1), (4, 2), (7, 2), (9, 8)):
    print(f"{first} votes against {second}: {stays_ahead(first, second):.3f}")
drawn = [len(answer.trace) for answer in answers["adaptive", budgets[-1]]]
print("\nchains drawn:", dict(sorted(Counter(drawn).items())))

# %% [markdown]
# ## 6. A check of one's own
#
# `retry` lets one chain go on after each `no`. Its last word is the answer. What did the first
# attempt say, and what did the last one?

# %%
table = Counter()
for problem, answer in zip(problems, answers["retry", budgets[-1]], strict=True):
    attempts = task.parse_trace(answer.text or answer.trace[-1].text).attempts
    if attempts:
        first = task.attempt_right(problem, attempts[0])
        last = task.grade(problem, answer.text).correct
        table[f"{'right' if first else 'wrong'} -> {'right' if last else 'wrong'}"] += 1
for what, count in table.most_common():
    print(f"first attempt -> answer: {what:16} {count}")

# %% [markdown]
# ## Three things to try
#
# 1. Replace `ByLikelihood` by a judge of your own: a function of rows (problem, piece) that gives a
#    tuple of scores each, with an attribute `reads`. Try one that likes short chains.
# 2. Ask with `sequential.budget_forcing` and `least=60`. Does more thinking by force help here?
# 3. Draw section 3 over `seconds` in place of tokens. Which methods can draw their chains side by
#    side, and which have to wait?
