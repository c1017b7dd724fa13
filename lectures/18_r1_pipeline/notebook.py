# %% [markdown]
# # DeepSeek-R1's pipeline in miniature
#
# You run the whole recipe of DeepSeek-R1's report (arXiv 2501.12948v2) on a base model of 0.8M
# parameters: reinforcement learning on the base, its readable answers as a cold start, fine-tuning,
# reinforcement learning with a reward for one language, rejection sampling, fine-tuning again, and
# reinforcement learning for all. You see what each stage repairs and what it costs. Then you train
# a judge from preferences and look at what it promises and what is true.
#
# **Time**: about 10 minutes on two CPU cores. Two cells take nearly all of it: the pipeline, and
# the judge. With `FAST=1` in the environment everything is cut down until it takes seconds and
# shows nothing but that the code runs.
#
# The task is *bilingual*: word problems, half of them in Spanish. On the forum that the base has
# read, some people who work out a Spanish problem go over to English on the way, and they are right
# more often. So mixing languages pays.

# %%
import html
import math
import os
import random
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML, display

from minilrm import checkpoint, curves, machine, manner, pipeline, preference_model
from minilrm.files import read_json, read_log
from minilrm.intervals import mean
from minilrm.pipeline.stages import finished
from minilrm.rewards import ByRewardModel
from minilrm.rollout import rollout
from minilrm.sampler import Engine
from minilrm.tasks import get_task
from minilrm.tasks.frames import language

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)
runs = Path(tempfile.mkdtemp())
task = get_task("bilingual")

# %% [markdown]
# ## 1. What the base has read
#
# A page of the forum. Words that only Spanish has are blue, words that only English has are orange.
# Digits, names and words of both languages are neutral. Which word is which, the library learns
# from the task's own solved problems.

# %%
LISTS = manner.words_of("bilingual")
COLORS = {"es": curves.LOOKS[0].color, "en": curves.LOOKS[1].color}


def coloured(text):
    """A text as HTML, its words in the colour of the language that alone has them."""

    def one(found):
        word = found.group()
        of = next((name for name in LISTS if word.lower() in LISTS[name]), None)
        return f'<b style="color:{COLORS[of]}">{word}</b>' if of else word

    return f"<pre>{manner.WORD.sub(one, html.escape(text, quote=False))}</pre>"


def page(i):
    """(a Spanish problem, what somebody posted)"""
    rng = random.Random(f"notebook/{i}")
    while True:
        problem = task.sample(rng, "train")
        if language(problem) == "es":
            return problem, task.posted(problem, rng)


def mixes(text):
    """Whether an answer to a Spanish problem has English words."""
    return bool(set(manner.words(text)) & LISTS["en"])


pages = [page(i) for i in range(40 if FAST else 1000)]
problem, posted = next(p for p in pages if mixes(p[1]))
display(HTML(coloured(task.render(problem) + posted)))
for kind, said in ((True, "mixed"), (False, "Spanish alone")):
    right = [task.grade(p, text).correct for p, text in pages if mixes(text) == kind]
    print(f"{said:14} {len(right) / len(pages):6.1%} of the chains, right {mean(right):6.1%}")

# %% [markdown]
# ## 2. The rewards
#
# Four rewards of the library on answers of the base. `language` is the share of words of the
# question's language, `one-language` its strict form. `repetition` is 0 where nothing comes twice.
# `length` is Kimi k1.5's: within the answers to one question the short right ones are above the
# long ones. The pipeline uses the first. Look for an answer that is right and not in one language.

# %%
_, base, tokenizer, _ = checkpoint.open_model(task.base)
engine = Engine(base)


def answers(problems, n, seed, engine=engine, **how):
    """n graded answers to each problem: a list of lists of episodes."""
    return rollout(
        engine, tokenizer, task, problems, group_size=n, max_new_tokens=task.max_new_tokens,
        seed=seed, **how,
    )  # fmt: skip


problems = task.problems("validation", 8 if FAST else 100)
groups = answers(problems, 4, seed=18)
spanish = [e for group in groups for e in group if language(e.problem) == "es" and e.thinks]
print("right   language  one-language  repetition  length   answer")
group = next((g for g in groups if len({e.grade.correct for e in g}) > 1), groups[0])
table = zip(
    group, manner.shares(group), manner.one_language(group), manner.repetition(group),
    manner.length(group), strict=True,
)  # fmt: skip
for e, share, one, again, length in table:
    text = " ".join(e.text.split())
    print(
        f"{e.grade.correct!s:7} {share:6.2f} {one:9.0f} {again:15.2f} {length:9.2f}    {text:.46}"
    )
if spanish:
    share = 1 - mean(manner.one_language(spanish))
    print(f"\nof {len(spanish)} Spanish answers that think, {share:.1%} are not in one language")

# %% [markdown]
# ## 3. The pipeline
#
# Seven stages. Each leaves one artefact in its folder, a model or a file of examples, with a hash.
# If you stop this cell and run it again, it goes on at the stage that it was in, and ends with the
# same artefacts. The table is printed anew before each stage.
#
# The sizes are small, so that all of it takes minutes. The lecture's figures are those of 60 steps
# for each reinforcement learning and three seeds.

# %%
size = {"rl_steps": 20, "sft_steps": 40, "prompts": 600, "eval_n": 100, "questions": 32}
if FAST:
    size = {"rl_steps": 1, "sft_steps": 1, "prompts": 24, "eval_n": 2, "questions": 2}
    size |= {"samples": 2, "group_size": 2}
options = pipeline.Options(task="bilingual", out=runs / "r1", **size)
pipeline.make(options)

# %% [markdown]
# ## 4. Stage by stage
#
# The same validation problems for all. *Second wording* asks them in other words than those that
# training used: reinforcement learning binds a policy to its prompt. *General* are requests that
# are no word problems. The report has a dip after the cold start (on AIME 77.9, then 59.0, 74.0,
# 78.1, 79.8). With 100 problems and one seed a difference below ten points says nothing.

# %%
figures = read_json(options.out / "figures.json")
keys = ("accuracy", "greedy", "second wording", "general", "mixing, Spanish", "length")
print(f"{'':10}" + "".join(f"{key:>17}" for key in keys))
for name, found in figures.items():
    cells = [found[key] for key in keys]
    words = ["-" if x is None else f"{x:.0f}" if x > 1 else f"{x:.1%}" for x in cells]
    print(f"{name:10}" + "".join(f"{word:>17}" for word in words))

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2))
places = range(len(figures))
shown = ((left, ("greedy", "second wording", "general")), (right, ("mixing", "mixing, Spanish")))
for axis, lines in shown:
    for key, look in zip(lines, curves.LOOKS, strict=False):
        values = [math.nan if f[key] is None else f[key] for f in figures.values()]
        curves.line(axis, places, values, look, key)
    axis.set_xticks(places, list(figures), rotation=40)
    axis.legend(fontsize=8)
curves.frame(left, "Right, greedily", share=True)
curves.frame(right, "Thinks in two languages", share=True)
plt.show()

# %% [markdown]
# ## 5. The examples
#
# The cold start keeps what is right, readable and in one language; rejection sampling keeps what
# is right, each text once and at most four a problem, and adds general requests, one to three.

# %%
done = {stage.name: finished(options.out, stage.name) for stage in pipeline.R1(options).stages()}
for name in ("cold-start", "rejection-sampling"):
    print(name, {key: n for key, n in done[name].figures.items() if key != "tokens"})
_, *examples = read_log(options.out / "rejection-sampling" / done["rejection-sampling"].artefact)
for example in examples[:3]:
    display(HTML(coloured(example["prompt"] + example["completion"])))

# %% [markdown]
# ## 6. One problem, asked of every model
#
# A Spanish one, greedily.

# %%
asked = next(p for p in task.problems("validation", 40) if language(p) == "es")
display(HTML(coloured(task.render(asked)) + f"<p>right: {asked.answer}</p>"))
for name in figures:
    stage = done.get(name)
    where = options.out / name / stage.artefact if stage else task.base
    _, model, _, _ = checkpoint.open_model(where)
    (said,) = answers([asked], 1, seed=0, engine=Engine(model), temperature=0.0)[0]
    verdict = "right" if said.grade.correct else said.grade.reason
    display(HTML(f"<b>{name}</b>: {html.escape(verdict)}{coloured(said.text)}"))

# %% [markdown]
# ## 7. A judge from preferences
#
# Most requests have no grader. So people say which of two answers is better, and a model learns to
# agree with them. Here the person is simulated: the better answer is the right one, and one verdict
# in ten is wrong. 300 pairs are few.

# %%
small = {"pairs": 300, "steps": 60, "eval_n": 100}
if FAST:
    small = {"pairs": 4, "steps": 1, "samples": 2, "batch": 4, "eval_n": 4}
run = preference_model.train(
    preference_model.Options(task="bilingual", noise=0.1, out=runs / "judge", **small)
)
found = read_json(run.folder / "summary.json")
print({key: found[key] for key in ("labelled", "order_accuracy", "longer_is_better")})

# %% [markdown]
# ## 8. What it promises, and what is true
#
# The best of n answers by this judge, for n from 1 to 32. No training is needed for that. The
# distance from the policy is $d = \sqrt{\log n - (n-1)/n}$. The score rises with every doubling.
# The line behind the true share is Gao, Schulman and Hilton's form: $R(0) + d(\alpha - \beta d)$.

# %%
MOST, SOME = (4, 4) if FAST else (32, 80)
judge = ByRewardModel(str(run.folder))
groups = answers(task.problems("validation", SOME), MOST, seed=7)
scored = [list(zip(judge(g), (e.grade.correct for e in g), strict=True)) for g in groups]
numbers = [2**k for k in range(int(math.log2(MOST)) + 1)]
distance = [math.sqrt(max(0.0, math.log(n) - (n - 1) / n)) for n in numbers]


def best_of(n):
    """(mean score, share that is right) of the best of n by the score."""
    best = [
        max(of[i : i + n], key=lambda pair: pair[0])
        for of in scored
        for i in range(0, MOST, n)
    ]  # fmt: skip
    return mean([score for score, _ in best]), mean([right for _, right in best])


promised, true = zip(*map(best_of, numbers), strict=True)
d = np.array(distance)
columns = np.stack([d, -d * d], 1)
(alpha, beta), *_ = np.linalg.lstsq(columns, np.array(true) - true[0], rcond=None)
for n, p, t in zip(numbers, promised, true, strict=True):
    print(f"best of {n:2}   score {p:.2f}   right {t:6.1%}")
turn = alpha / (2 * beta) if beta > 0 else math.inf
inside = 0 < turn < d[-1]
print("the fitted curve turns at", f"d = {turn:.2f}" if inside else "no distance measured here")

figure, axis = plt.subplots(figsize=(6, 3))
fine = np.linspace(0, d[-1], 50)
fitted = true[0] + fine * (alpha - beta * fine)
axis.plot(fine, fitted, color=curves.LOOKS[0].color, alpha=0.25, linewidth=4, linestyle="-")
curves.line(axis, d, promised, curves.LOOKS[1], "promised: its mean score")
curves.line(axis, d, true, curves.LOOKS[0], "true: share that is right")
curves.frame(axis, "The best of n", x="distance from the policy, sqrt(KL)", share=True)
axis.legend()
plt.show()

# %% [markdown]
# ## Three things to try
#
# 1. Give the reward for one language the weight 0 and then 0.5 (`language=` in section 3, another
#    `out`). How does mixing change from `sft-1` to `rl-1`? Lecture 18 says from which weight mixing
#    no longer pays.
# 2. Let the second fine-tuning start from `rl-1`, as popular accounts tell it
#    (`sft2_from="rl-1"`). Which of the figures of `sft-2` changes?
# 3. Buy 100 pairs, and then 3,000 (`pairs=`), and draw section 8 again. What happens to the gap
#    between what is promised and what is true?
