# %% [markdown]
# # What is a half-finished answer worth?
#
# Lecture 10, to see. Value iteration on a small map, Monte Carlo against temporal difference on a
# random walk, and then a language model: answers are cut after each line and continued sixteen
# times. Where does a right end become impossible?
#
# **Time**: about 2 minutes on two CPU cores, most of it in part 3. With `FAST=1` in the environment
# everything is cut down until it takes seconds and shows nothing but that the code runs.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

from minilrm import checkpoint, curves, machine
from minilrm.progress import track
from minilrm.rollout import rollout
from minilrm.sampler import generate
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
print(f"{machine.set_threads(None)} threads")
plt.rcParams.update(curves.STYLE)

# %% [markdown]
# ## 1. Value iteration: news travels one step per sweep
#
# A map with walls (#). The goal pays 1 and ends the walk, gamma is 0.9. Four actions. Each sweep
# lets every field look one step ahead.

# %%
MAP = [
    "..........",
    ".####.###.",
    ".#......#.",
    ".#.####.#.",
    "...#G...#.",
    ".#.####.#.",
    ".#......#.",
    ".##.#####.",
    "..........",
]
height, width = len(MAP), len(MAP[0])
free = np.array([[c != "#" for c in row] for row in MAP])
goal = next((y, x) for y in range(height) for x in range(width) if MAP[y][x] == "G")


def sweep(values: np.ndarray) -> np.ndarray:
    """V(s) <- max over the four neighbours of reward + 0.9 V(neighbour)."""
    new = np.zeros_like(values)
    for y, x in zip(*np.nonzero(free), strict=True):
        if (y, x) == goal:
            continue
        options = []
        for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
            v, u = y + dy, x + dx
            if not (0 <= v < height and 0 <= u < width and free[v, u]):
                v, u = y, x  # a wall: one stays where one is
            options.append(float((v, u) == goal) + 0.9 * values[v, u])
        new[y, x] = max(options)
    return new


values, pictures = np.zeros((height, width)), {}
for n in range(1, 41):
    values = sweep(values)
    if n in (2, 8, 40):
        pictures[n] = values


def mark(picture, y, x):
    """What stands on a field: its value as a tenth, or a wall, or the goal."""
    if not free[y, x]:
        return "#"
    if (y, x) == goal:
        return "G"
    return f"{picture[y, x]:.1f}".lstrip("0") if picture[y, x] > 0.005 else ""


figure, axes = plt.subplots(1, 3, figsize=(9, 2.9))
for axis, (n, picture) in zip(axes, pictures.items(), strict=True):
    shades = axis.imshow(np.where(free, picture, np.nan), cmap="Greys", vmin=0, vmax=1.4)
    for y, x in np.ndindex(height, width):
        color = "white" if picture[y, x] > 0.75 else "black"
        axis.text(x, y, mark(picture, y, x), ha="center", va="center", fontsize=7, color=color)
    axis.set(title=f"After {n} sweeps", xticks=[], yticks=[])
    axis.grid(False)
figure.colorbar(shades, ax=axes, label="value", shrink=0.8)
plt.show()

# %% [markdown]
# ## 2. Monte Carlo against temporal difference
#
# A walk over five states by the toss of a coin; the right end pays 1. Mean error of the five values
# over 100 learners, for several step sizes.

# %%
EXACT, EPISODES, RUNS = np.arange(1, 6) / 6, 100, 5 if FAST else 100


def learn(method: str, alpha: float) -> np.ndarray:
    """Root mean squared error before each episode, [EPISODES]."""
    rng, error = np.random.default_rng(0), np.zeros(EPISODES)
    for _ in range(RUNS):
        v = np.full(5, 0.5)
        for episode in range(EPISODES):
            error[episode] += np.sqrt(np.square(v - EXACT).mean()) / RUNS
            path = [2]
            while 0 <= path[-1] < 5:
                path.append(path[-1] + (1 if rng.random() < 0.5 else -1))
            reward = float(path[-1] == 5)
            for s, following in zip(path[:-1], path[1:], strict=True):
                done = not 0 <= following < 5
                target = reward if method == "MC" or done else v[following]
                v[s] += alpha * (target - v[s])
    return error


figure, axis = plt.subplots(figsize=(6, 3.2))
for method, alpha in (("MC", 0.01), ("MC", 0.03), ("TD", 0.05), ("TD", 0.1), ("TD", 0.3)):
    axis.plot(learn(method, alpha), label=f"{method}, step {alpha:g}")
curves.frame(axis, "Mean error of the five values", x="episodes", y="root mean square")
axis.legend(ncols=2)
plt.show()

# %% [markdown]
# ## 3. A language model's half-finished answers
#
# The shipped base model, made to think by the prompt. We take wrong answers, cut them after every
# line and continue each piece sixteen times.

# %%
task = get_task("gsm8k-mini")
model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
model.eval()
dtype = torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None
how = {"max_new_tokens": 24 if FAST else task.max_new_tokens, "dtype": dtype}
N = 4 if FAST else 16

problems = task.problems("validation", 6 if FAST else 200)
groups = rollout(model, tokenizer, task, problems, style="cot", seed=3, **how)
episodes = [g[0] for g in groups]
print(f"{sum(e.grade.correct for e in episodes)} of {len(episodes)} right")
wrong = [e for e in episodes if not e.grade.correct and e.text.strip().count("\n") >= 2] or episodes


def worth(e) -> list[tuple[str, float]]:
    """(line, share of right continuations after it), beginning with the question itself."""
    ends = [t for t, token in enumerate(e.completion_ids) if "\n" in tokenizer.decode([token])]
    starts = [e.completion_ids[:cut] for cut in [0, *(t + 1 for t in ends)]]
    prompts = [e.prompt_ids + start for start in starts]
    parts = generate(model, tokenizer, prompts, n=N, temperature=1.0, seed=4, **how)
    found = []
    for piece, part in zip(map(tokenizer.decode, starts), parts, strict=True):
        if piece.strip() or not found:
            line = piece.strip().split("\n")[-1] if piece.strip() else "(the question alone)"
            right = [task.grade(e.problem, piece + p.sampled_text).correct for p in part]
            found.append((line, sum(right) / N))
    return found


for e in track(wrong[: 2 if FAST else 5], "answers"):
    print("\nQ:", e.problem.prompt, "| right:", e.problem.answer)
    before = None
    for line, value in worth(e):
        fall = "   <-- here" if before is not None and before - value > 0.5 else ""
        print(f"  {value:4.0%}  {line}{fall}")
        before = value
    print(f"        {e.text.strip().splitlines()[-1] if e.text.strip() else ''}")

# %% [markdown]
# Where the number falls, look at the line. Sometimes it is a slip in a sum. Sometimes the sum is
# right and the model goes on talking after its answer, which the grader refuses: the value tells
# where, not why. And where the number is low from the start, no line is to blame.
#
# ## Three things to try
#
# 1. In part 1 set gamma to 0.5 and look at the corners. Why do values vanish there, and does the
#    best action?
# 2. In part 3 replace sixteen continuations by four. How often does the line of the fall change?
# 3. Sample the continuations at `temperature=0.5`. Which policy's value is that?
