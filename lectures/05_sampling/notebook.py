# %% [markdown]
# # Sampling and the chain of thought
#
# A language model gives probabilities; what it *says* is decided by how you draw from them. Here
# you look at the one token that decides whether the shipped base model thinks, turn the
# temperature, force thinking on and off, and cut it short.
#
# **Time**: about 1 minute on two CPU cores. With `FAST=1` in the environment everything is cut down
# until it takes seconds and shows nothing but that the code runs.

# %%
import os
import random

import matplotlib.pyplot as plt
import torch

from minilrm import checkpoint, curves, generate, machine
from minilrm.intervals import mean, wilson_interval
from minilrm.objectives import token_entropy
from minilrm.progress import track
from minilrm.rollout import rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
N = 12 if FAST else 120
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)

task = get_task("gsm8k-mini")
model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
model.eval()
problems = task.problems("validation", N)
print(task.render(problems[0]))
print("right answer:", problems[0].answer)

# %% [markdown]
# ## 1. One token decides
#
# The five likeliest first tokens. The token ` ####` begins an answer blurted out; a newline begins
# a chain of thought.

# %%
with torch.inference_mode():
    first = model(torch.tensor([tokenizer.encode(task.render(problems[0]))]))[0, -1].softmax(-1)
for p, i in zip(*first.topk(5), strict=True):
    print(f"{p.item():6.1%}  {tokenizer.decode([i.item()])!r}")

# %% [markdown]
# Four samples at temperature 1, and the greedy answer. Greedy decoding takes the likeliest *token*,
# not the likeliest *answer*.

# %%
prompt, limit = task.render(problems[0]), task.max_new_tokens
for completion in generate(model, tokenizer, [prompt], n=4, max_new_tokens=limit, seed=3)[0]:
    print(repr(completion.text))
greedy = generate(model, tokenizer, [prompt], max_new_tokens=limit, temperature=0)[0][0]
print("greedy:", repr(greedy.text))

# %% [markdown]
# ## 2. Temperature, with thinking left to chance and with thinking forced

# %%
temperatures = (0.0, 1.0) if FAST else (0.0, 0.3, 0.6, 1.0, 1.3)
right, thinks = {}, {}
ways = [(style, t) for style in ("plain", "cot") for t in temperatures]
for style, t in track(ways, "temperatures"):
    how = {"max_new_tokens": limit, "temperature": t, "style": style, "seed": 0}
    episodes = [group[0] for group in rollout(model, tokenizer, task, problems, **how)]
    right[style, t] = mean([e.grade.correct for e in episodes])
    thinks[style, t] = mean([e.thinks for e in episodes])
figure, axis = plt.subplots(figsize=(6, 3.2))
for rates, style, name, look in (
    (right, "cot", "right, thinking forced", curves.LOOKS[0]),
    (right, "plain", "right, plain prompt", curves.LOOKS[1]),
    (thinks, "plain", "thinks, plain prompt", curves.LOOKS[2]),
):
    curves.line(axis, temperatures, [rates[style, t] for t in temperatures], look, name)
title = f"Base model, {N} validation problems"
curves.frame(axis, title, x="temperature", y="share of the answers", share=True)
axis.legend(loc="center", bbox_to_anchor=(0.5, 0.6))
plt.show()

# %% [markdown]
# ## 3. Where along a chain is anything undecided?
#
# The entropy of the next token, along one right solution. High bars are choices; low bars follow
# from what stands before.

# %%
solution = task.solution(problems[1], random.Random(0))
prompt, ids = tokenizer.encode(task.render(problems[1])), tokenizer.encode(solution)
with torch.inference_mode():
    entropy = token_entropy(model(torch.tensor([prompt + ids]))[0, len(prompt) - 1 : -1])
print(problems[1].prompt)
pieces = [repr(tokenizer.decode([i]))[1:-1] for i in ids]
figure, axis = plt.subplots(figsize=(10, 3))
curves.bars(axis, range(len(ids)), entropy.tolist(), curves.LOOKS[0])
axis.set_xticks(range(len(ids)), pieces, rotation=90, fontsize=7)
axis.set(xlabel="token of the solution", ylabel="entropy before it, nats")
plt.show()

# %% [markdown]
# ## 4. A budget for thinking
#
# After `budget` tokens without an answer, `\n####` is put into the model's mouth by the sampler's
# `intervene` hook. More thinking, more right answers, until the chain is complete. What is put in
# has mask 0: a policy is never trained on it.


# %%
def stop_thinking_after(budget):
    mark = tokenizer.encode("\n####")
    return lambda row, ids: (
        mark if len(ids) == budget and "####" not in tokenizer.decode(ids) else None
    )


budgets = (1, 40) if FAST else (1, 15, 30, 45, 60, 80, 120)
counts = []
for budget in track(budgets, "budgets"):
    groups = rollout(
        model,
        tokenizer,
        task,
        problems,
        max_new_tokens=limit,
        temperature=0,
        style="cot",
        seed=0,
        intervene=stop_thinking_after(budget),
    )
    texts = [tokenizer.decode(g[0].completion_ids, skip_special=True) for g in groups]
    counts.append(sum(task.grade(p, t).correct for p, t in zip(problems, texts, strict=True)))
ends = [wilson_interval(c, N) for c in counts]
figure, axis = plt.subplots()
curves.intervals(axis, budgets, [c / N for c in counts], ends, curves.LOOKS[0])
title = f"Thinking forced, T = 0, {N} problems, 95 % intervals"
curves.frame(axis, title, x="most tokens of thinking", y="right", share=True)
plt.show()

# %% [markdown]
# ## 5. Few-shot: examples instead of an instruction
#
# A solved example that shows its work, and one that blurts. The model goes on as its page began.

# %%
shot = task.problems("train", 1)[0]
# Example and question must fit into the context.
asked = [p for p in problems if len(tokenizer.encode(task.render(p))) < 90]
for style in ("steps", "reflex"):
    examples = ((shot, task.solution(shot, random.Random(0), style)),)
    prompts = [task.render(p, "few_shot", examples) for p in asked]
    outputs = generate(model, tokenizer, prompts, max_new_tokens=limit, seed=0, stop=["\n\n"])
    texts = [output[0].sampled_text for output in outputs]
    right_ones = [task.grade(p, text).correct for p, text in zip(asked, texts, strict=True)]
    print(
        f"examples by {style:6}: thinks {mean([task.thinks(text) for text in texts]):.0%}, "
        f"right {mean(right_ones):.0%}   (n = {len(prompts)})"
    )

# %% [markdown]
# ## Three things to try
#
# 1. Add `top_p=0.9` to the rollouts of section 2 (it goes to the sampler). What happens to the
#    share that thinks, and why?
# 2. Ask for longer thinking: ban the tokens of `####` for the first 60 tokens (`allowed=lambda row,
#    ids: Ban(...)`, from `minilrm.sampler`). Does this model gain from it, as s1's did (arXiv
#    2501.19393)?
# 3. Draw section 3 for a problem of the `ood` split. Where do the bars grow?
