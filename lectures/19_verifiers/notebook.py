# %% [markdown]
# # A judge of steps
#
# You train a small *process reward model* on what the shipped countdown base writes. You read its
# scores beside the truth, step by step. You ask whether its scores mean what they say, whether it
# finds the first wrong step, and whether it is worth its price. At the end you are the judge.
#
# **Time**: about 8 minutes on two CPU cores, most of it in the cell that trains. With `FAST=1` in
# the environment everything is cut down until it takes seconds and shows nothing but that the code
# runs.

# %%
import html
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import HTML, display

from minilrm import curves, feedback, inference, machine, reward_model
from minilrm.compare import figures, worth
from minilrm.files import read_log
from minilrm.inference import Driver
from minilrm.intervals import mean
from minilrm.labels import (
    against_the_truth,
    best_threshold,
    exact_label,
    read_feedback,
    standing,
    step_places,
    verdicts,
)
from minilrm.painter import Painter, neutralise
from minilrm.progress import track
from minilrm.scorers import open_judge

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)
runs = Path(tempfile.mkdtemp())

# %% [markdown]
# ## 1. Where labels come from
#
# A trainer of the library writes answers with the policy and labels their steps. Here are the
# labels of a few answers from three sources: the exact rule of countdown (can this attempt still
# reach the target?), the share of 8 roll-outs that end right (soft), and whether any of the 8 does
# (hard). Look at the means: which source says "good" most often? Look for a step that the rule
# calls wrong and from which some roll-outs end right: they gave the attempt up and tried again.

# %%
how = {"task": "countdown", "rollouts": 2 if FAST else 8, "eval_n": 2 if FAST else 100}
trainer = reward_model.Trainer(reward_model.Options(**how))
task, tokenizer = trainer.task, trainer.tokenizer
some = [g[0] for g in trainer.write(task.problems("validation", 2 if FAST else 40), 1, seed=1)]
places = [step_places(e, trainer.judge) for e in some]
EOS = tokenizer.decode([tokenizer.eos_id])


def clean(text):
    """A step as it is shown: without the token that ends an answer, and without control signs."""
    return neutralise(text.replace(EOS, "")).strip()


exact = [
    [exact_label(task, tokenizer, e, p) for p in of] for e, of in zip(some, places, strict=True)
]
soft = trainer.continue_from(some, places, step=0)
hard = [[float(share > 0) for share in of] for of in soft]
for name, labels in (("exact", exact), ("soft", soft), ("hard", hard)):
    print(f"{name:6} mean label {mean([y for of in labels for y in of]):.2f}")

print("\n" + task.render(some[0].problem))
before = 0
for place, *said in zip(places[0], exact[0], soft[0], hard[0], strict=True):
    end = place + 1 - len(some[0].prompt_ids)
    text = clean(tokenizer.decode(some[0].completion_ids[before:end]))
    before = end
    print(f"{text:26} exact {said[0]:.0f}   soft {said[1]:.2f}   hard {said[2]:.0f}")

# %% [markdown]
# ## 2. Train the judge
#
# The judge begins as a copy of the policy, with a head that gives one number a token. In each
# step of training the policy writes fresh answers, the exact rule labels their steps, and the
# judge learns them by cross-entropy.

# %%
size = {"steps": 2, "prompts": 2, "samples": 2} if FAST else {"steps": 100}
options = reward_model.Options(labels="exact", out=runs / "judge", eval_every=150, **size, **how)
run = reward_model.train(options)
judge_of_steps = open_judge(str(run.folder), task)

# %% [markdown]
# ## 3. Read its scores
#
# Blue is a high score, orange a low one. Behind each step stands the score, and + or - for what is
# true: can the target still be reached? Where the judge is wrong, ask why. Would you have known?

# %%
groups = trainer.write(task.problems("validation", 6 if FAST else 200), 2, seed=2)
answers = [e for group in groups for e in group]
rows = verdicts(judge_of_steps, answers)


def coloured(e, row):
    """An answer with its steps shaded by their scores, as HTML."""
    parts, before = [html.escape(e.problem.prompt) + "<br>"], 0
    ends = [place + 1 - len(e.prompt_ids) for place in step_places(e, judge_of_steps)]
    for end, score, true in zip(ends, row.scores, row.truth, strict=False):
        text = html.escape(clean(tokenizer.decode(e.completion_ids[before:end])))
        before, color = end, "0,114,178" if score > 0.5 else "213,94,0"
        shade = f"background: rgba({color},{0.1 + abs(score - 0.5):.2f})"
        parts.append(f'<code style="{shade}">{text}</code> {score:.2f} {"-+"[true]} &nbsp;')
    return "<p>" + " ".join(parts) + "</p>"


display(HTML("".join(coloured(e, row) for e, row in list(zip(answers, rows, strict=True))[:8])))

# %% [markdown]
# ## 4. Do the scores mean what they say?
#
# Of the steps with a score near 0.7, seven in ten should be right. The points of a calibrated
# judge lie on the diagonal; the *expected calibration error* is the mean distance from it, weighed
# by the number of steps. Steps behind the first wrong one do not count.

# %%
pairs = [
    (score, float(true))
    for row in rows
    for score, true in list(zip(row.scores, row.truth, strict=True))[: row.until]
]
BINS = 10
in_bins = [[p for p in pairs if min(BINS - 1, int(p[0] * BINS)) == b] for b in range(BINS)]
filled = [of for of in in_bins if of]
said, true = ([mean([p[i] for p in of]) for of in filled] for i in (0, 1))
error = sum(len(of) * abs(s - t) for of, s, t in zip(filled, said, true, strict=True)) / len(pairs)
figure, axis = plt.subplots(figsize=(4.2, 3.4))
curves.line(axis, [0, 1], [0, 1], curves.REFERENCE, "calibrated", marker="")
curves.line(axis, said, true, curves.LOOKS[0], "the judge")
title = f"Calibration error {error:.3f}, {len(pairs)} steps"
curves.frame(axis, title, x="mean score of a bin", y="share of right steps", share=True)
axis.legend()
plt.show()

# %% [markdown]
# ## 5. Does it find the first wrong step?
#
# ProcessBench's measure: of the answers with a wrong step, how often is the first one that the
# judge holds for wrong the first that is? Of those without, how often does it hold none for wrong?
# `f1` is their harmonic mean. What counts as "holds for wrong" is a threshold, and it is chosen on
# other problems than those that are reported.

# %%
half = len(rows) // 2  # answers to one problem stand side by side: no problem is in both halves
threshold = best_threshold(rows[:half])
keys = ("error_accuracy", "right_accuracy", "f1")
for at in (0.5, threshold):
    found = against_the_truth(rows[half:], at)
    print(f"threshold {at:.2f}  ", "   ".join(f"{key} {found[key]:.2f}" for key in keys))
grid = [k / 25 for k in range(1, 25)]
figure, axis = plt.subplots(figsize=(6, 3))
for key, look in zip(keys, curves.LOOKS, strict=False):
    curves.line(axis, grid, [against_the_truth(rows[half:], t)[key] for t in grid], look, key)
curves.frame(axis, "First wrong steps", x="threshold", share=True)
axis.legend()
plt.show()

# %% [markdown]
# ## 6. Is it worth its price?
#
# The judge is as large as the policy, and reads all that the policy writes. So at equal tokens
# best-of-n has half of the chains that a vote has. Every line below gets the same tokens, those
# that the judge reads included. `retry` asks nobody: it goes on after the model's own `no`.

# %%
N, WORTHS = (4, (1, 2)) if FAST else (100, (1, 2, 4, 8, 16))
problems = task.problems("validation", N)
judged = Driver(trainer.engine, tokenizer, task, judge_of_steps)
free = Driver(trainer.engine, tokenizer, task, inference.ByLikelihood(), written=judged.written)
unit = worth(free, problems)
methods = {
    "best-of-n, the judge": (judged, inference.best_of_n),
    "weighted, the judge": (judged, inference.weighted),
    "best-of-n, likelihood": (free, inference.best_of_n),
    "majority": (free, inference.majority),
    "retry": (free, inference.METHODS["retry"][0]),
}
figure, axis = plt.subplots(figsize=(6, 3.4))
for (name, (who, method)), look in zip(
    track(methods.items(), "methods"), curves.LOOKS, strict=False
):
    budgets = [max(1, round(k * unit)) for k in WORTHS]
    found = [figures(task, problems, who.solve(method, problems, b), b) for b in budgets]
    spent = [row["tokens"] + row["verifier_tokens"] for row in found]
    curves.line(axis, spent, [row["accuracy"] for row in found], look, name)
    print(f"{name:22}", "  ".join(f"{row['accuracy']:6.1%}" for row in found))
axis.set_xscale("log", base=2)
title = f"countdown, {N} validation problems"
curves.frame(axis, title, x="tokens a problem, the judge's included", share=True)
axis.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## 7. Be the judge
#
# `python -m minilrm.feedback` shows answers step by step and takes one key a step. This is the same
# session in a notebook. `show()` lists the steps that are to be judged. `judge(index, verdict)`
# keeps a verdict, as a line of the same kind of file. The verdicts are the keys of the command:
# `"u"` right and leads on, `"n"` right but leads nowhere, `"d"` wrong, `"?"` unsure. `"b"` takes
# the verdict on this step back. An answer ends at its first wrong step.

# %%
file = runs / "thumbs.jsonl"
asked = feedback.Options(task="countdown", out=file, labeller="me")
mine = [g[0] for g in trainer.write(task.problems("train", 3 if FAST else 20), 1, seed=3)]
session = feedback.Session(asked, task, tokenizer, mine, Painter(), key=lambda: "q")
steps = [step for of in session.steps for step in of]
clock = {"shown": time.perf_counter()}


def waiting():
    """The indices of the steps that are still to be judged."""
    left = list(session.remaining(standing(read_log(file))))
    return [i for i, step in enumerate(steps) if step in left]


def show(count=6):
    for i in waiting()[:count]:
        problem = mine[steps[i].answer].problem
        if not steps[i].before.strip():
            print(f"\n{problem.prompt}   (right: {problem.answer})")
        print(f"  [{i}] {clean(steps[i].text)}")
    clock["shown"] = time.perf_counter()


def judge(index, verdict):
    """Keep a verdict on step `index`: u, n, d or ?; b takes the one on this step back."""
    step = steps[index]
    if verdict == "b":
        session.keep({"undo": [step.answer, step.number]})
    elif verdict not in feedback.LABELS:
        print("one of u n d ? b")
    elif index not in waiting():
        print("this step has its verdict, or stands behind a wrong one")
    else:
        seconds = time.perf_counter() - clock["shown"]
        session.keep(session.record(step, feedback.LABELS[verdict], seconds))
    clock["shown"] = time.perf_counter()


show()

# %% [markdown]
# As an example, a judge who is in a hurry. This judge calls a step wrong where the model itself
# wrote `no`, and every other step right. How often is that true, and which steps does it miss?

# %%
while left := waiting():
    judge(left[0], "d" if steps[left[0]].text.rstrip().endswith("no") else "u")
kept = standing(read_log(file))
agreed = [(r["label"] == "up") == r["truth"] for r in kept]
print(f"{sum(agreed)} of {len(kept)} verdicts agree with the exact labels")
missed = [r for r in kept if r["label"] == "up" and not r["truth"]]
for r in missed[:4]:
    print(f"  held for right: {r['prompt']}  {clean(r['text'])}")
print(f"a judge could learn from {len(read_feedback(file, task))} answers of {file.name}")

# %% [markdown]
# ## Three things to try
#
# 1. Remove the file (`file.unlink()`), judge the steps yourself, and compare your agreement with
#    that of the judge in a hurry. Then let the library learn from you:
#    `reward_model.Options(task="countdown", feedback=file, steps=50)`.
# 2. Train with `labels="outcome"` for as many steps. What becomes of sections 4 and 5, and what of
#    section 6?
# 3. Train GRPO with the judge in place of the exact rule (`grpo.Options(process=...)`), with
#    `credit="sum"` and `credit="min"`. Watch `process/steps`, the number of steps of an answer.
