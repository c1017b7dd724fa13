# %% [markdown]
# # Reflex and reasoning
#
# The notebook of lecture 1. One small model, asked in two ways: for the bare answer, and for a
# chain of steps. You see what it can do in one pass, what goes wrong in its chains, and what a
# right answer costs.
#
# **Time**: about 1 minute on two cores. With `FAST=1` in the environment everything is cut down
# until it takes seconds and shows nothing but that the code runs.

# %%
import os
from collections import Counter

import matplotlib.pyplot as plt
import torch

from minilrm import checkpoint, curves, generate, get_task, machine
from minilrm.intervals import wilson_interval
from minilrm.model import count_parameters
from minilrm.progress import track
from minilrm.tasks.gsm8k_mini import worked_steps

FAST = os.environ.get("FAST") == "1"
EACH = 4 if FAST else 120  # problems of each length
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)

model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
model.eval()
task = get_task("gsm8k-mini")
made = task.make("validation", 40 if FAST else 1300, seed=1)
problems = {n: [p for p in made if p.difficulty == n][:EACH] for n in (2, 3, 4, 5)}
precision = torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None


def ask(prompts, temperature=1.0, longest=task.max_new_tokens):
    """One completion for each prompt."""
    return [
        found[0]
        for found in generate(
            model,
            tokenizer,
            prompts,
            max_new_tokens=longest,
            temperature=temperature,
            seed=0,
            dtype=precision,
        )
    ]


# %% [markdown]
# ## 1. The same question, asked in two ways
#
# If the prompt ends in `####`, only the number is left to write: a reflex. If it ends in "Let's
# think step by step.", a chain follows.

# %%
problem = problems[3][0]
reflex = task.render(problem) + " ####"
chain = task.render(problem, "cot")
for prompt in (reflex, chain):
    print(prompt + ask([prompt], temperature=0.0)[0].text, end="\n\n")
print("right:", problem.answer)

# %% [markdown]
# ## 2. What fits into one pass?
#
# Each problem's first sum alone (`<<12+30=`), then whole problems of 2 to 5 sums by reflex, then
# the same problems by a chain.

# %%
rows = []
for n in track(problems, "sums in a problem"):
    sums = [worked_steps(p)[0] for p in problems[n]]
    single = ask([f"<<{text}=" for text, _ in sums], longest=8)
    rows.append(
        (
            "one sum",
            1,
            [o.text.partition(">")[0] == str(v) for o, (_, v) in zip(single, sums, strict=True)],
            [],
        )
    )
    for how, prompts, opening in (
        ("reflex", [task.render(p) + " ####" for p in problems[n]], " ####"),
        ("chain", [task.render(p, "cot") for p in problems[n]], ""),
    ):
        found = ask(prompts, longest=12 if how == "reflex" else task.max_new_tokens)
        right = [
            task.grade(p, opening + o.sampled_text).correct
            for p, o in zip(problems[n], found, strict=True)
        ]
        rows.append((how, n, right, [len(o.token_ids) for o in found]))

# %%
figure, axis = plt.subplots(figsize=(6, 3.2))
for how, look in zip(("chain", "reflex", "one sum"), curves.LOOKS, strict=False):
    points = {}
    for name, n, right, _ in rows:
        if name == how:
            points.setdefault(n, []).extend(right)
    shares = [sum(r) / len(r) for r in points.values()]
    ends = [wilson_interval(sum(r), len(r)) for r in points.values()]
    curves.intervals(axis, list(points), shares, ends, look, how)
curves.frame(axis, x="sums in the problem", y="right, T = 1", share=True)
axis.set_xticks(range(1, 6))
axis.legend(loc="center right")
plt.show()

# %% [markdown]
# ## 3. What an answer costs, and what a right answer costs
#
# Two FLOPs per parameter for each token read or written. What counts is not the price of an answer,
# but that of a right one.

# %%
size = count_parameters(model)
print(f"{size:,} parameters")
for how in ("reflex", "chain"):
    right = [r for name, _, found, _ in rows if name == how for r in found]
    written = sum(sum(lengths) for name, _, _, lengths in rows if name == how)
    read = sum(len(tokenizer.encode(task.render(p))) for n in problems for p in problems[n])
    flops = 2 * size * (read + written)
    a_right_one = (
        f"{flops / sum(right) / 1e6:8.0f} million FLOPs, {written / sum(right):6.1f} tokens written"
        if any(right)
        else "none"
    )
    print(f"{how:8} {sum(right):4} of {len(right)} right")
    print(
        f"    an answer:       {flops / len(right) / 1e6:8.0f} million FLOPs, "
        f"{written / len(right):6.1f} tokens written"
    )
    print(f"    a right answer:  {a_right_one}")

# %% [markdown]
# ## 4. What goes wrong in a chain

# %%
found = ask([task.render(p, "cot") for p in problems[4]])
grades = [task.grade(p, o.sampled_text) for p, o in zip(problems[4], found, strict=True)]
print(Counter(g.reason for g in grades))
for p, o, g in [x for x in zip(problems[4], found, grades, strict=True) if not x[2].correct][:3]:
    print(f"\n--- {g.reason}; right is {p.answer}\n{p.prompt}\n{o.text.strip()}")

# %% [markdown]
# ## Three things to try
#
# 1. Ask at temperature 0. Which of the failures of section 4 go away, which stay? (Lecture 5.)
# 2. Give nearly all of the chain away: the right chain without its last line, then `####`, so that
#    *one* sum is left to do. What does the model write, and where have you seen that number before?
# 3. At which price of a token would the reflex be the better buy? Take a right answer to be worth
#    1, and solve the inequality of section 2 of the lecture with the numbers above.
