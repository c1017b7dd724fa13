# %% [markdown]
# # Distillation: three ways to learn from a teacher
#
# A model that reinforcement learning has taught to think again teaches another one that never does.
# You let it teach in three ways: by what it writes (*hard traces*), by what it expects of each next
# token (*logits*), and by correcting what the student writes itself (*on-policy*). One table and
# one figure compare them at equal cost to the student.
#
# **Time**: about 10 minutes on two CPU cores, three of them for the teacher's own training; every
# long part has a progress bar. With `FAST=1` in the environment everything is cut down until it
# takes seconds and shows nothing but that the code runs.
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
    distill,
    evaluate,
    files,
    grpo,
    intervals,
    machine,
    objectives,
    reflection,
    runlog,
)
from minilrm.rollout import rollout
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
N = 24 if FAST else 500
machine.raise_malloc_thresholds()
machine.set_threads(None)
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
small = (
    {
        "steps": 1,
        "prompts": 4,
        "group_size": 4,
        "max_new_tokens": 64,
        "eval_n": 24,
        "eval_quick": 24,
    }
    if FAST
    else {}
)
recipe = grpo.RECIPES["countdown"] | {"steps": 40, "eval_every": 40, "eval_n": 200} | small
teacher_folder = grpo.train(grpo.Options(task="countdown", out=runs / "teacher", **recipe))
teacher, tokenizer = opened(teacher_folder)
student, own_tokenizer = opened("countdown-base-unseeded")
assert (
    own_tokenizer.fingerprint() == tokenizer.fingerprint()
)  # else their tokens could not be compared

# %%
how = {
    "max_new_tokens": task.max_new_tokens,
    "dtype": torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None,
}


def answers(model, temperature=1.0):
    """One answer to each validation problem."""
    return [
        group[0]
        for group in rollout(
            model, tokenizer, task, problems, seed=0, temperature=temperature, **how
        )
    ]


def measured(model):
    """Accuracy with its interval, greedy accuracy, and how often it tries again after a first try that failed."""
    found, greedy = (
        reflection.measures(task, answers(model)),
        evaluate.score([[e] for e in answers(model, 0.0)]),
    )
    return {
        **{name: found[name] for name in ("final_accuracy", "first_try_accuracy", "retry_rate")},
        "length": found["mean_length"]["mean"],
        "greedy": greedy["accuracy"],
    }


def percent(rate):
    return "too few" if rate["too_few"] else f"{rate['rate']:.1%}"


rows = {"teacher": measured(teacher), "student before": measured(student)}
for name, row in rows.items():
    print(
        f"{name:16} right {percent(row['final_accuracy']):>7}   tries again {percent(row['retry_rate']):>7}   length {row['length']:.0f}"
    )

# %% [markdown]
# ## 2. What one token says, and what a distribution says
#
# Both models read one trace of the teacher. At each place both have an opinion about the next
# token: two distributions, T and S. The KL divergence between them says how far the student's
# opinion is off. Where would you expect it to be large?

# %%
written = answers(teacher)
example = next(
    (e for e in written if e.grade.correct and task.parse_trace(e.text).reflections), written[0]
)
ids = torch.tensor([example.prompt_ids + example.completion_ids])
with torch.no_grad():
    start = len(example.prompt_ids) - 1  # the logits at t speak of the token at t + 1
    T, S = (model(ids)[0, start:-1].log_softmax(-1) for model in (teacher, student))
kl = (T.exp() * (T - S)).sum(-1)
pieces = [repr(tokenizer.decode([i]))[1:-1] or "EOS" for i in example.completion_ids]

figure, axis = plt.subplots(figsize=(10, 2.8))
axis.bar(range(len(kl)), kl, color="0.4")
worst = int(kl.argmax())
axis.annotate(
    f"here comes {pieces[worst]!r}", (worst, kl[worst]), xytext=(8, -4), textcoords="offset points"
)
axis.set_xticks(range(len(kl)), pieces, rotation=90, fontsize=6)
axis.set(
    ylabel="KL(T || S), nats",
    title="One trace of the teacher: where does the student think otherwise?",
)
figure.tight_layout()
plt.show()

for name, logp in (("teacher", T), ("student", S)):
    top = logp[worst].exp().topk(3)
    print(
        f"{name}: "
        + ", ".join(f"{tokenizer.decode([int(i)])!r} {p:.1%}" for p, i in zip(*top, strict=True))
    )
hard_nats, soft_nats = -S.gather(1, ids[0, start + 1 :, None]).sum(), kl.sum()
print(
    f"surprise of the student at this trace {hard_nats:.1f} nats, KL divergence along it {soft_nats:.1f} nats"
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
print(
    "the teacher, undecided: "
    + ", ".join(f"{tokenizer.decode([int(i)])!r} {x:.1%}" for x, i in zip(*p.topk(4), strict=True))
)
print(
    f"largest error of the gradient from one draw {(onehot - p).abs().amax(1).mean():.3f}, from the mean of all {(onehot.mean(0) - p).abs().max():.4f}"
)
assert torch.allclose(q - onehot.mean(0), q - p, atol=0.03)

logits = (
    S[place].clone().requires_grad_()
)  # the library's soft loss (beta 0 is the KL), and its gradient
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
# | `on-policy` | JSD_½(T, S) | half of the batches: the *student* | its logits in every step, about texts it never wrote |
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
curves, costs, students = {}, {}, {}
for way in distill.WAYS:
    pool = runs / "traces" / "traces.jsonl"  # written by the first way, read by the others
    started = time.perf_counter()
    log = runlog.RunLog.open(
        distill.train(
            distill.Options(
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
        )
    )
    costs[way] = files.read_json(log.folder / "summary.json") | {
        "wall": time.perf_counter() - started
    }
    learnt = {0: 0} | {m["step"]: m["tokens"] for m in log.metrics("train")}
    curves[way] = [(learnt[e["step"]], e["accuracy"]) for e in log.metrics("eval")]
    students[way] = opened(log.folder)[0]
    rows[way] = measured(students[way])
    print()

# %% [markdown]
# ## 4. The table and the figure

# %%
best = rows["teacher"]["final_accuracy"]["rate"]
print(
    f"{'':16}{'right':>7}  {'95 %':16}{'greedy':>8}{'first try':>11}{'tries again':>13}{'length':>8}{'kept':>8}"
)
for name, row in rows.items():
    low, high = row["final_accuracy"]["ci"]
    print(
        f"{name:16}{row['final_accuracy']['rate']:>7.1%}  {f'{low:.1%} to {high:.1%}':16}{row['greedy']:>8.1%}"
        f"{percent(row['first_try_accuracy']):>11}{percent(row['retry_rate']):>13}{row['length']:>8.0f}"
        + (f"{row['final_accuracy']['rate'] / best:>8.0%}" if best else "")
    )
print(f"\n{'':16}{'learnt from':>12}{'student wrote':>15}{'steps':>7}{'seconds':>9}   (tokens)")
for way, cost in costs.items():
    own = cost["tokens_generated"] - cost["traces"]["tokens"]
    print(f"{way:16}{cost['tokens_trained']:>12,}{own:>15,}{cost['steps']:>7}{cost['wall']:>9.0f}")
traces = costs["traces"]["traces"]
print(
    f"the pool: {traces['sampled']:,} answers of the teacher, {traces['tokens']:,} tokens; {traces['kept']:,} were right and well-formed, and kept"
)

# %%
alone = [
    r["study"]["after"]["final_accuracy"]["rate"]
    for r in files.read_jsonl(machine.data_folder() / "results" / "aha.jsonl")
    if r["task"] == "countdown" and r["kind"] == "unseeded"
]
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(3, 2))
for (way, curve), style in zip(curves.items(), ("k-o", "k--s", "k:^"), strict=True):
    axes[0].plot(
        [x / 1000 for x, _ in curve],
        [y for _, y in curve],
        style,
        markerfacecolor="white",
        markersize=5,
        label=way,
    )
axes[0].axhline(best, color="0.5", linewidth=2.5)
axes[0].annotate("teacher", (0, best), xytext=(3, 4), textcoords="offset points")
if alone:
    axes[0].axhline(intervals.mean(alone), color="0.5", linestyle="-.")
    axes[0].annotate(
        "the student's own RL (lecture 17)",
        (0, intervals.mean(alone)),
        xytext=(3, 4),
        textcoords="offset points",
    )
axes[0].set(
    xlabel="thousand completion tokens learnt from",
    ylabel="right, sampled",
    ylim=(0, 1),
    title="Validation accuracy",
)
axes[0].legend(frameon=False)
for i, row in enumerate(rows.values()):
    first, final = row["first_try_accuracy"]["rate"], row["final_accuracy"]["rate"]
    low, high = row["final_accuracy"]["ci"]
    axes[1].bar(
        i, first, color="0.45", edgecolor="black", label="by the first try" if not i else None
    )
    axes[1].bar(
        i,
        max(0, final - first),
        bottom=first,
        color="white",
        edgecolor="black",
        hatch="///",
        label="by trying again" if not i else None,
    )
    axes[1].errorbar(i, final, [[final - low], [high - final]], color="black", capsize=3)
axes[1].set_xticks(range(len(rows)), [name.replace(" ", "\n") for name in rows], fontsize=8)
axes[1].set(ylim=(0, 1), title="Where the right answers come from")
axes[1].legend(frameon=False, loc="upper right", fontsize=8)
figure.tight_layout()
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


taught, untaught = answers(students["traces"]), answers(student)
pair = next(
    (
        (b, a)
        for b, a in zip(untaught, taught, strict=True)
        if a.grade.correct and not b.grade.correct and task.parse_trace(a.text).reflections
    ),
    (untaught[0], taught[0]),
)
print(task.render(pair[0].problem), end="\n\n")
show("before", pair[0])
show("after traces", pair[1])

# %% [markdown]
# ## 6. A student of a quarter of the teacher's size
#
# So far there was room enough. `studies/distill.py` asks the other question: a teacher of 2.6
# million parameters, trained by GRPO on gsm8k-mini, and students of 0.63 million, all from one base
# that has read the same corpus. Test split, n = 1000, sampled at T = 1; *kept* is the share of the
# teacher's accuracy.

# %%
study = sorted(
    files.read_jsonl(machine.data_folder() / "results" / "distill.jsonl"),
    key=lambda r: (["teacher", "base", *distill.WAYS].index(r["kind"]), r["seed"]),
)
most = next((r["test"]["accuracy"] for r in study if r["kind"] == "teacher"), None)
print(f"{'':10} seed   right  95 %               greedy    kept" if study else "not measured yet")
for r in study if most else ():
    low, high = r["test"]["accuracy_ci"]
    print(
        f"{r['kind']:10} {r['seed']:>4}  {r['test']['accuracy']:>6.1%}  {f'{low:.1%} to {high:.1%}':17}{r['test']['greedy']:>8.1%}{r['test']['accuracy'] / most:>8.0%}"
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
