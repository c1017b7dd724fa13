# %% [markdown]
# # Distillation: three ways to learn from a teacher
#
# A model that reinforcement learning has taught to think again teaches another one that never does.
# You let it teach in three ways: by what it writes (*hard traces*), by what it expects of each next
# token (*logits*), and by correcting what the student writes itself (*on-policy*). One table and
# one figure compare them at equal cost to the student.
#
# **Time**: about 30 minutes on two CPU cores that are busy with other work too, as this run was;
# some 8 alone, three of them for the teacher's own training. Every long part has a progress bar.
# With `FAST=1` in the environment everything is cut down until it takes seconds and shows nothing
# but that the code runs.
#
# Why this pair? In DeepSeek-R1's report (arXiv 2501.12948) reinforcement learning on a model of 32B
# parameters reaches 47.0 on AIME 2024, and distillation from the large model 72.6. We have a small
# case of the same: the base `countdown-base-unseeded` has read no page on which anybody tries
# again, so its own reinforcement learning finds nothing of the kind (lecture 17). Can it be *told*?
#
# Here student and teacher are of equal size, so that what is missing is a habit and not room. A
# student of a quarter of the teacher's parameters is what `studies/distill.py` is about.

# %%
import os
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from minilrm import (
    checkpoint,
    curves,
    distill,
    files,
    grpo,
    intervals,
    machine,
    objectives,
    reflection,
    runlog,
)
from minilrm.measure import Scores
from minilrm.rollout import rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
N = 24 if FAST else 500
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)
task = get_task("countdown")
problems = task.problems("validation", N)
runs = Path(tempfile.mkdtemp())


def opened(where):
    """(model, tokenizer) of a checkpoint, ready to sample."""
    model, tokenizer, _ = checkpoint.load(checkpoint.resolve(where))
    return model.eval(), tokenizer


# %% [markdown]
# ## 1. A teacher
#
# Forty steps of GRPO from the base that has seen reflection (less than half of what lecture 17
# takes; the teacher need not be perfect, as its wrong answers are thrown away).

# %%
size = {"steps": 40, "eval_every": 40, "eval_n": 200}
if FAST:
    size = {"steps": 1, "prompts": 4, "group_size": 4, "eval_n": 24, "eval_quick": 24}
    size["max_new_tokens"] = 64
options = grpo.Options(task="countdown", out=runs / "teacher", **size)
teacher_folder = grpo.train(options).folder
teacher, tokenizer = opened(teacher_folder)
student, own_tokenizer = opened("countdown-base-unseeded")
# Else their tokens could not be compared.
assert own_tokenizer.fingerprint() == tokenizer.fingerprint()

# %%
how = {
    "max_new_tokens": task.max_new_tokens,
    "dtype": torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None,
}


def answers(model, temperature=1.0):
    """One answer to each validation problem."""
    groups = rollout(model, tokenizer, task, problems, seed=0, temperature=temperature, **how)
    return [group[0] for group in groups]


def measured(model):
    """Accuracy with its interval, greedy accuracy, and how often it tries again after a first try
    that failed."""
    found = reflection.measures(task, answers(model))
    return {
        **{name: found[name] for name in ("final_accuracy", "first_try_accuracy", "retry_rate")},
        "length": found["mean_length"]["mean"],
        "greedy": Scores.of([[e] for e in answers(model, 0.0)]).accuracy,
    }


def percent(rate):
    return "too few" if rate["too_few"] else f"{rate['rate']:.1%}"


rows = {"teacher": measured(teacher), "student before": measured(student)}
for name, row in rows.items():
    print(
        f"{name:16} right {percent(row['final_accuracy']):>7}   "
        f"tries again {percent(row['retry_rate']):>7}   length {row['length']:.0f}"
    )

# %% [markdown]
# ## 2. What one token says, and what a distribution says
#
# Both models read one trace of the teacher. At each place both have an opinion about the next
# token: two distributions, T and S. The KL divergence between them says how far the student's
# opinion is off. Where would you expect it to be large?

# %%
written = answers(teacher)
good = [e for e in written if e.grade.correct and task.parse_trace(e.text).reflections]
example = min(good or written, key=lambda e: e.length)
ids = torch.tensor([example.prompt_ids + example.completion_ids])
with torch.no_grad():
    start = len(example.prompt_ids) - 1  # the logits at t speak of the token at t + 1
    T, S = (model(ids)[0, start:-1].log_softmax(-1) for model in (teacher, student))
kl = (T.exp() * (T - S)).sum(-1)
pieces = [repr(tokenizer.decode([i]))[1:-1] or "EOS" for i in example.completion_ids]

worst = int(kl.argmax())
figure, axis = plt.subplots(figsize=(10, 3))
curves.bars(axis, range(len(kl)), kl.tolist(), curves.LOOKS[0])
here = {"xytext": (8, -4), "textcoords": "offset points"}
axis.annotate(f"here comes {pieces[worst]!r}", (worst, kl[worst]), **here)
axis.set_xticks(range(len(kl)), pieces, rotation=90, fontsize=6.5)
axis.set(xlabel="next token of the teacher's trace", ylabel="KL(T || S), nats")
axis.set_title("Where does the student think otherwise?")
plt.show()


def likeliest(p, n):
    """The n likeliest tokens of a distribution [V], in words."""
    return ", ".join(
        f"{tokenizer.decode([int(i)])!r} {x:.1%}" for x, i in zip(*p.topk(n), strict=True)
    )


for name, logp in (("teacher", T), ("student", S)):
    print(f"{name}: {likeliest(logp[worst].exp(), 3)}")
hard_nats, soft_nats = -S.gather(1, ids[0, start + 1 :, None]).sum(), kl.sum()
print(
    f"surprise of the student at this trace {hard_nats:.1f} nats, "
    f"KL divergence along it {soft_nats:.1f} nats"
)

# %% [markdown]
# As long as the teacher makes its first attempt the two agree: the student can calculate. They part
# where the teacher goes on, and behind that. The word "wait" is a special case: no page that the
# student has read holds it, so its opinion of that token is as untrained as of any other that it
# never met. It has to learn that there is such a word at all; in its first steps it will put other
# words of that kind in its place.
#
# The student's surprise at a trace is this divergence and the teacher's own surprise (nearly: the
# trace is one draw). The second part no teaching takes away.
#
# At a place where the two differ the trace names a single token, while the logits name the whole of
# T. With respect to the student's logits the gradient of the *hard* loss is S - onehot(token), that
# of the *soft* one is S - T. A token is a draw from T, so the first is the second on average, with
# noise. Ten thousand draws show it, at the place of this trace at which the teacher itself is least
# sure.

# %%
place = int((T.exp() * T).sum(-1).argmin())  # where the entropy of T is largest
p, q = T[place].exp(), S[place].exp()
drawn = torch.multinomial(p, 10_000, replacement=True, generator=torch.Generator().manual_seed(0))
onehot = torch.nn.functional.one_hot(drawn, len(p)).float()
one, mean = (onehot - p).abs().amax(1).mean(), (onehot.mean(0) - p).abs().max()
print("the teacher, undecided:", likeliest(p, 4))
print(f"largest error of the gradient from one draw {one:.3f}, from the mean of all {mean:.4f}")
assert torch.allclose(q - onehot.mean(0), q - p, atol=0.03)

# The library's soft loss (beta 0 is the KL), and its gradient.
logits = S[place].clone().requires_grad_()
objectives.generalized_jsd(logits[None], T[place][None], 0.0, torch.ones(1)).backward()
assert torch.allclose(logits.grad, q - p, atol=1e-5)

# %% [markdown]
# ## 3. Three ways
#
# With y the completion, its tokens y_t, and S and T as above at each place:
#
# | way | minimise | who writes y | what it asks of the teacher |
# |---|---|---|---|
# | `traces` | - log S(y_t) | the teacher; kept if right | the text alone, once |
# | `logits` | KL(T ‖ S) | the same | its logits in every step |
# | `on-policy` | JSD_½(T, S) | in half of the batches the *student* | its logits in every step |
#
# The first is what R1 did to small models; the second is Hinton's (arXiv 1503.02531); the third is
# GKD (2306.13649). The reason for the third: a student that learns from perfect traces alone has
# never seen the places into which its own mistakes lead it. The divergence of the third, JSD, lies
# between both directions of KL (`objectives.generalized_jsd`).
#
# Equal is what the student learns from: so many completion tokens. What the teacher and the student
# write for that stands beside it. Sixteen completions make a step: with 64, so few tokens give a
# quarter of the steps, and the student has only just learnt when to say "wait" by then (`LOG.md`).

# %%
TOKENS, PROMPTS = (1_500, 48) if FAST else (320_000, 2_400)
small = {"batch": 8, "eval_n": 24} if FAST else {"batch": 16, "eval_n": 200, "eval_every": 100}
learning, costs, students = {}, {}, {}
for way in distill.WAYS:
    pool = runs / "traces" / "traces.jsonl"  # written by the first way, read by the others
    options = distill.Options(
        teacher=str(teacher_folder),
        student="countdown-base-unseeded",
        task="countdown",
        way=way,
        tokens=TOKENS,
        prompts=PROMPTS,
        pool=pool if pool.exists() else None,
        out=runs / way,
        **small,
    )
    started = time.perf_counter()
    log = runlog.RunLog.open(distill.train(options).folder)
    costs[way] = files.read_json(log.folder / "summary.json") | {
        "wall": time.perf_counter() - started
    }
    learnt = {0: 0} | {m["step"]: m["tokens"] for m in log.metrics("train")}
    learning[way] = [(learnt[e["step"]], e["accuracy"]) for e in log.metrics("eval")]
    students[way] = opened(log.folder)[0]
    rows[way] = measured(students[way])
    print()

# %% [markdown]
# ## 4. The table and the figure

# %%
best = rows["teacher"]["final_accuracy"]["rate"]
print(
    f"{'':16}{'right':>7}  {'95 %':16}{'greedy':>8}{'first try':>11}{'tries again':>13}"
    f"{'length':>8}{'kept':>8}"
)
for name, row in rows.items():
    low, high = row["final_accuracy"]["ci"]
    right = row["final_accuracy"]["rate"]
    print(
        f"{name:16}{right:>7.1%}  {f'{low:.1%} to {high:.1%}':16}{row['greedy']:>8.1%}"
        f"{percent(row['first_try_accuracy']):>11}{percent(row['retry_rate']):>13}"
        f"{row['length']:>8.0f}" + (f"{right / best:>8.0%}" if best else "")
    )
print(f"\n{'':16}{'learnt from':>12}{'student wrote':>15}{'steps':>7}{'seconds':>9}   (tokens)")
for way, cost in costs.items():
    own = cost["tokens_generated"] - cost["traces"]["tokens"]
    print(f"{way:16}{cost['tokens_trained']:>12,}{own:>15,}{cost['steps']:>7}{cost['wall']:>9.0f}")
traces = costs["traces"]["traces"]
print(
    f"the pool: {traces['sampled']:,} answers of the teacher, {traces['tokens']:,} tokens; "
    f"{traces['kept']:,} were right and well-formed, and kept"
)

# %%
alone = [
    r["study"]["after"]["final_accuracy"]["rate"]
    for r in files.read_jsonl(machine.data_folder() / "results" / "aha.jsonl")
    if r["task"] == "countdown" and r["kind"] == "unseeded"
]
figure, axis = plt.subplots(figsize=(6, 3.2))
for (way, points), look in zip(learning.items(), curves.LOOKS, strict=False):
    curves.line(axis, [x / 1000 for x, _ in points], [y for _, y in points], look, way)
axis.axhline(best, color="gray", linewidth=2.5, label="teacher")
if alone:
    own = intervals.mean(alone)
    axis.axhline(own, color="gray", linestyle="-.", label="the student's own RL (lecture 17)")
x = "thousand completion tokens learnt from"
curves.frame(axis, "Validation accuracy", x=x, y="right, sampled", share=True)
axis.legend(ncols=2)
plt.show()

# %%
first = [row["first_try_accuracy"]["rate"] for row in rows.values()]
final = [row["final_accuracy"]["rate"] for row in rows.values()]
again = [max(0, b - a) for a, b in zip(first, final, strict=True)]
ends = [row["final_accuracy"]["ci"] for row in rows.values()]
places = range(len(rows))
figure, axis = plt.subplots(figsize=(6, 3))
curves.bars(axis, places, first, curves.LOOKS[0], "by the first try", width=0.6)
curves.bars(axis, places, again, curves.LOOKS[1], "by trying again", width=0.6, bottom=first)
curves.intervals(axis, places, final, ends, curves.REFERENCE, linestyle="none")
axis.set_xticks(places, [name.replace(" ", "\n") for name in rows])
curves.frame(axis, "Where the right answers come from", y="right, sampled", share=True)
axis.legend()
plt.show()

# %% [markdown]
# Traces and logits bring the habit over. On-policy does not: not once does this student try again,
# and that is no accident of one run. Take a token that the teacher wants (T = 1) and the student
# never writes (S near 0), here the word "wait". The gradient of KL(T ‖ S) on its logit is S - T, so
# -1: full force. That of JSD is a finite number *times S*, so nothing: a mixture of both that
# already holds the token forgives the student that it does not. And what it writes itself, half of
# the batches, never shows the place behind a "wait". On-policy distillation polishes what a student
# does; what it never does, somebody has to show it first (in practice: traces first, on-policy
# after).
#
# ## 5. The same problem, before and after
#
# `+` marks an attempt that reaches the target and `-` one that does not, as in lecture 17.


# %%
def show(title, episode):
    mark = {"attempt-right": "[+]", "attempt-wrong": "[-]"}
    pieces = reflection.highlight(task, episode.problem, episode.text)
    print(f"{title}:{''.join(mark.get(kind, '') + piece for piece, kind in pieces)}\n")


pairs = list(zip(answers(student), answers(students["traces"]), strict=True))
solved = [
    (before, after)
    for before, after in pairs
    if after.grade.correct and not before.grade.correct and task.parse_trace(after.text).reflections
]
before, after = (solved or pairs)[0]
print(task.render(before.problem), end="\n\n")
show("before", before)
show("after traces", after)

# %% [markdown]
# ## 6. A student of a quarter of the teacher's size
#
# So far there was room enough. `studies/distill.py` asks the other question: a teacher of 2.6
# million parameters, trained by GRPO on gsm8k-mini, and students of 0.63 million, all from one base
# that has read the same corpus. Test split, n = 1000, sampled at T = 1; *kept* is the share of the
# teacher's accuracy.

# %%
kinds = ["teacher", "base", *distill.WAYS]
study = files.read_jsonl(machine.data_folder() / "results" / "distill.jsonl")
study.sort(key=lambda r: (kinds.index(r["kind"]), r["seed"]))
most = next((r["test"]["accuracy"] for r in study if r["kind"] == "teacher"), None)
print(f"{'':10} seed   right  95 %               greedy    kept" if study else "not measured yet")
for r in study if most else ():
    right, (low, high) = r["test"]["accuracy"], r["test"]["accuracy_ci"]
    print(
        f"{r['kind']:10} {r['seed']:>4}  {right:>6.1%}  {f'{low:.1%} to {high:.1%}':17}"
        f"{r['test']['greedy']:>8.1%}{right / most:>8.0%}"
    )

# %% [markdown]
# ## What this shows and what it does not
#
# - What a policy does not sample, reinforcement learning cannot reward. A teacher can put it there:
#   that is why small models are taught by large ones first. The dash-dotted line is the same
#   student after 100 steps of its own GRPO, on the test split (`data/results/aha.jsonl`); the other
#   figures are of the validation split.
# - The student has learnt *when* to try again from somebody who had learnt it from rewards. It
#   could be trained by GRPO from here on: distillation and reinforcement learning add up.
# - One seed, one teacher, one budget. Differences between the three ways that are smaller than the
#   intervals in the table are none. Section 6 rests on `studies/distill.py`, with its seeds and
#   intervals.
#
# ## Three things to try
#
# 1. Give the student a tenth of `TOKENS`. Which way needs the fewest tokens? Look back at section 2
#    for the reason.
# 2. Take `student="scratch", student_scale="pico"`. Which of the three ways suffers most from a
#    student that can do nothing yet, and why?
# 3. Keep the wrong traces as well (`minilrm.traces.keep_right` drops them; write the pool yourself
#    with `rollout`). What does the student copy then?
