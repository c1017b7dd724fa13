# %% [markdown]
# # GRPO, line by line
#
# The notebook of lecture 15. You write Group Relative Policy Optimization in a few short functions:
# sample, reward, compare, weigh, update. Each is checked against the library's by an `assert`:
# where yours and the library's differ, the cell stops. With your own lines you then train for some
# steps, and at last hand over to the library's loop, which does the same faster and writes it all
# down.
#
# **Time**: about 8 minutes on two CPU cores, most of it in two cells with a progress bar. With
# `FAST=1` in the environment everything is cut down until it takes seconds and shows nothing but
# that the code runs.
#
# The task is `gsm8k-mini`: word problems, answered by `#### number`. The policy is the shipped base
# model, which has read pages of worked problems and of blurted answers. It can think, and mostly
# does not.

# %%
import os
import random
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from minilrm import checkpoint, curves, grpo, machine, measure, objectives, rewards, runlog
from minilrm.batches import pad
from minilrm.progress import Progress
from minilrm.rollout import episode_logprobs, rollout
from minilrm.sampler import uniform_noise
from minilrm.tasks import get_task

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)
task = get_task("gsm8k-mini")
LIMIT = 48 if FAST else task.max_new_tokens  # tokens of a completion


def fresh_policy():
    model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
    return model.eval(), tokenizer


# Where the processor can, the library computes in bfloat16, which rounds at the third digit. The
# next sections compare digits, so there it does not.
own_choice, machine.bfloat16_pays = machine.bfloat16_pays, lambda device: False
policy, tokenizer = fresh_policy()

# %% [markdown]
# ## 1. Sample: G answers to one question
#
# A rollout is the policy answering. One token after the other: read everything so far, take the
# distribution over the next token, draw. The drawing is a lookup: a uniform number u falls
# somewhere on the scale of summed-up probabilities. So one number per token is all the chance there
# is, and two programs that are given the same numbers must say the same words.


# %%
def sample(model, prompt_ids, noise):
    """One completion: token ids, the end-of-text token (EOS) included."""
    ids = list(prompt_ids)
    for u in noise:
        with torch.no_grad():
            cumulative = model(torch.tensor([ids]))[0, -1].softmax(-1).cumsum(-1)
        ids.append(int(torch.searchsorted(cumulative, u * cumulative[-1], right=True)))
        if ids[-1] == tokenizer.eos_id:
            break
    return ids[len(prompt_ids) :]


G = 2 if FAST else 4
problem = task.problems("validation", 1)[0]
prompt_ids = tokenizer.encode(task.render(problem))
own = [sample(policy, prompt_ids, noise) for noise in uniform_noise(G, LIMIT, seed=0)]

group = rollout(policy, tokenizer, task, [problem], group_size=G, max_new_tokens=LIMIT, seed=0)[0]
assert own == [e.completion_ids for e in group]
print(task.render(problem), "\n")
for e in group:
    print(f"[{e.grade.reason}]{e.text}\n")

# %% [markdown]
# The library says the same tokens. It gets there much sooner, because it keeps keys and values of
# what was read (lecture 3) and has all answers grow side by side.
#
# ## 2. Reward: a rule, no judge
#
# Right or wrong, from the answer alone (lecture 14). A right answer earns 1; one well-formed answer
# with a proper end earns 0.1 more, right or not.


# %%
def value(text):
    try:
        return float(text.strip().replace(",", "").strip("$%."))
    except ValueError:
        return None


def own_reward(e):
    _, *tails = e.text.split("####")
    if len(tails) != 1:  # two answers are none: else guessing would pay
        return 0.0
    answer, _, rest = tails[0].partition("\n")
    found = value(answer)
    right = found is not None and found == value(e.problem.answer)
    ends = found is not None and not rest.strip() and e.finish_reason == "eos"
    return 1.0 * right + 0.1 * ends


P, G = (4, 4) if FAST else (16, 8)
problems = task.problems("validation", P)
groups = rollout(policy, tokenizer, task, problems, group_size=G, max_new_tokens=LIMIT, seed=1)
judge = rewards.Judge(rewards.chosen({"accuracy": 1.0, "format": 0.1}))
judge(groups)  # the library's reward, kept with each episode
assert all(own_reward(e) == e.reward for g in groups for e in g)
table = torch.tensor([[own_reward(e) for e in g] for g in groups])  # [P, G]
for row in table[:6].tolist():
    print("  ".join(f"{r:.1f}" for r in row))

# %% [markdown]
# Each line is a question, each column an answer to it. Which lines can teach anything?
#
# ## 3. Compare: advantages within the group
#
# The mean of a group says what was to be expected of this question. How much better an answer did
# is its *advantage*. No critic is needed: the siblings are the baseline (lecture 11).


# %%
def own_advantages(table, eps=1e-4):
    centered = table - table.mean(1, keepdim=True)
    differ = table.amax(1, keepdim=True) > table.amin(1, keepdim=True)
    return torch.where(differ, centered / (table.std(1, keepdim=True) + eps), 0.0)


advantages = own_advantages(table)
assert torch.allclose(advantages, objectives.group_advantages(table), atol=1e-5)
mixed = [i for i in range(P) if advantages[i].any()]  # groups whose answers differ
print("rewards    ", "  ".join(f"{r:+.2f}" for r in table[mixed[0]].tolist()))
print("advantages ", "  ".join(f"{a:+.2f}" for a in advantages[mixed[0]].tolist()))
print(f"{(advantages == 0).all(1).float().mean():.0%} of the groups teach nothing")

# %% [markdown]
# Why the comparison of max and min? Eight equal rewards of 0.1 should give eight zeros. Their mean
# in float32 is off by a rounding error, so is their std, and the quotient of two rounding errors
# can be as large as an honest advantage. The small eps hides it, until somebody leaves the eps
# away.

# %%
equal = torch.full((1, 8), 0.1)
naive = (equal - equal.mean(1, keepdim=True)) / equal.std(1, keepdim=True)
for name, row in (("without comparison and eps", naive), ("with them", own_advantages(equal))):
    print(f"{name:28}", "  ".join(f"{a:+.2f}" for a in row[0].tolist()))

# %% [markdown]
# ## 4. Log-probabilities: what the policy thinks of what it said
#
# The gradient will need log p of each sampled token, as a function of the weights. One pass over
# prompt and completion gives all of them; the logits at t speak of the token at t + 1. The *mask*
# is 1 on what the policy chose, EOS included, and 0 on prompt and padding.


# %%
def own_logprobs(model, episodes):
    """log p of each token given those before it, and the mask: two [B, T]."""
    ids = pad(e.prompt_ids + e.completion_ids for e in episodes)
    logp = model(ids)[:, :-1].log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    mask = pad([0] * (len(e.prompt_ids) - 1) + [1] * len(e.completion_ids) for e in episodes).bool()
    return logp, mask


some = [e for i in mixed[:2] for e in groups[i]]
with torch.no_grad():
    logp, mask = own_logprobs(policy, some)
    theirs, their_mask = episode_logprobs(policy, some, 1.0, torch.device("cpu"))
assert torch.allclose(logp[mask], theirs[their_mask.bool()], atol=1e-4)
written_down = torch.tensor([x for e in some for x in e.logprobs])  # by the sampler
assert torch.allclose(logp[mask], written_down, atol=1e-4)
print(
    f"{mask.sum()} tokens, mean log-probability {logp[mask].mean():.3f}; "
    f"so the entropy is about {-logp[mask].mean():.3f} nats per token"
)

# %% [markdown]
# The second `assert` is the most useful one in practice. A shift by one, a forgotten temperature, a
# wrong mask: all of them show as a difference between what the sampler drew from and what the loss
# believes.
#
# ## 5. Weigh: the clipped objective
#
# rho is the *importance ratio*: how much likelier a token is now than when it was sampled. The clip
# (lecture 12) stops the gradient of a token that has already moved far enough where its advantage
# wanted it. We average over all tokens of the batch, as the library does by default; the first
# paper averages each answer first (lecture 16 on what that does).


# %%
def own_loss(logp, old_logp, advantages, mask, epsilon=0.2, denominator=None):
    ratio = torch.where(mask, logp - old_logp, 0.0).exp()
    A = advantages[:, None]
    terms = torch.minimum(ratio * A, ratio.clamp(1 - epsilon, 1 + epsilon) * A)
    return -(terms * mask).sum() / (denominator or mask.sum())


# A policy that has moved since it sampled: some ratios are beyond the clip.
A = advantages[mixed[:2]].flatten()
change = 0.2 * torch.randn(logp.shape, generator=torch.Generator().manual_seed(0))
moved = (logp + change).requires_grad_()
mine = own_loss(moved, logp, A, mask)
(my_gradient,) = torch.autograd.grad(mine, moved)
their, stats = objectives.policy_loss(moved, logp, A, mask, objective="grpo", aggregation="token")
(their_gradient,) = torch.autograd.grad(their, moved)
assert torch.allclose(mine, their, atol=1e-6)
assert torch.allclose(my_gradient, their_gradient, atol=1e-7)
assert (my_gradient[~mask] == 0).all()  # not small: zero
print(f"loss {mine:.4f}; {stats['clip_ratio/region_mean']:.0%} of the tokens are clipped")

# %% [markdown]
# And if the samples are fresh? Then every ratio is 1, and the loss is minus the mean of the
# advantages, each answer weighted by its length. With the paper's mean of means it is exactly 0.
# Neither number says how well the policy does, and neither is what trains it: the *gradient* is.

# %%
fresh = logp.clone().requires_grad_()
for how in ("token", "sequence"):
    loss, _ = objectives.policy_loss(fresh, None, A, mask, objective="grpo", aggregation=how)
    (gradient,) = torch.autograd.grad(loss, fresh)
    print(f"mean by {how:9} loss {loss:+.4f}   gradient norm {gradient.norm():.4f}")

# %% [markdown]
# ## 6. Update: one step, and what it did
#
# The answers of the whole batch, in micro-batches so that memory is bounded. Mind the denominator:
# it is the number of tokens of the whole batch, groups without differences included, so that the
# sum over micro-batches is the gradient of the batch, however it is cut.


# %%
def add_gradients(model, groups, advantages, rows=32):
    """Put the gradient of the loss on fresh samples into the parameters."""
    episodes = [e for g in groups for e in g]
    tokens = sum(e.length for e in episodes)
    pairs = zip(episodes, advantages.flatten().tolist(), strict=True)
    learning = sorted(((e, a) for e, a in pairs if a != 0), key=lambda pair: pair[0].length)
    for start in range(0, len(learning), rows):
        part, weights = zip(*learning[start : start + rows], strict=True)
        logp, mask = own_logprobs(model, part)
        own_loss(logp, logp.detach(), torch.tensor(weights), mask, denominator=tokens).backward()


add_gradients(policy, groups, advantages)
norm = torch.nn.utils.get_total_norm([p.grad for p in policy.parameters()])

# The same gradient by the library's own functions, all in one batch.
reference, _ = fresh_policy()
episodes = [e for g in groups for e in g]
logp, mask = episode_logprobs(reference, episodes, 1.0, torch.device("cpu"))
objectives.policy_loss(logp, None, advantages.flatten(), mask, aggregation="token")[0].backward()
for p, q in zip(policy.parameters(), reference.parameters(), strict=True):
    assert torch.allclose(p.grad, q.grad, atol=1e-4 * float(norm))
print(f"gradient norm {norm:.3f}, the same by both")

# %% [markdown]
# Now the step itself: AdamW with the gradient's norm bounded. Then look at each answer once more:
# is it likelier than before?


# %%
def optimizer_of(model, lr=2e-4):
    return torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.95), weight_decay=0.0)


def update(model, optimizer):
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


update(policy, optimizer_of(policy))
with torch.no_grad():
    after, _ = episode_logprobs(policy, episodes, 1.0, torch.device("cpu"))
moved = torch.where(mask.bool(), after - logp.detach(), 0.0)
change = moved.sum(1)  # of the whole answer's log-probability
flat = advantages.flatten()
assert (flat * change).sum() > 0

figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(flat[flat > 0], change[flat > 0], "C0^", label="better than its group")
axis.plot(flat[flat < 0], change[flat < 0], "C1o", markerfacecolor="none", label="worse")
axis.axhline(0, color="gray", linewidth=0.8)
axis.axvline(0, color="gray", linewidth=0.8)
axis.set(title="One update, one mark per answer", xlabel="advantage")
axis.set_ylabel("change of log p(answer), nats")
axis.legend()
plt.show()

# %% [markdown]
# A better answer need not have become likelier. All answers share the same weights: a good one that
# looks like many bad ones goes down with them. That is why a step is small and the batch is not.
# And the least likely answers move furthest: where p is small, log p has far to go.
#
# ## 7. Your own loop
#
# A few lines in a loop. Sampling is left to the library's `rollout` (section 1 has shown that it
# says what yours would say, only sooner); the rest is yours. Each step asks fresh questions: an
# answer is used once and thrown away, for it was the old policy's.

# %%
STEPS = 2 if FAST else 20
policy, _ = fresh_policy()
optimizer = optimizer_of(policy)
by_hand = []
how = {"group_size": G, "max_new_tokens": LIMIT}
with Progress(STEPS, label="by hand") as bar:
    for step in range(STEPS):
        problems = [task.sample(random.Random(1000 * step + i), "train") for i in range(P)]
        groups = rollout(policy, tokenizer, task, problems, seed=step, **how)  # sample
        table = torch.tensor([[own_reward(e) for e in g] for g in groups])  # reward
        add_gradients(policy, groups, own_advantages(table))  # compare, weigh
        for settings in optimizer.param_groups:
            settings["lr"] = 2e-4 * min(1, (step + 1) / 5)  # warm-up
        update(policy, optimizer)  # update
        episodes = [e for g in groups for e in g]
        by_hand.append(
            {
                "accuracy": sum(e.grade.correct for e in episodes) / len(episodes),
                "thinks": sum(e.thinks for e in episodes) / len(episodes),
                "length": sum(e.length for e in episodes) / len(episodes),
            }
        )
        bar.update(**by_hand[-1])
first, last = by_hand[0]["accuracy"], by_hand[-1]["accuracy"]
print(f"right: {first:.1%} of the first batch, {last:.1%} of the last")

# %% [markdown]
# ## 8. The library's loop
#
# `minilrm.grpo.train` does the same on batches twice as large, decodes on all cores, keeps its best
# checkpoint, stops if accuracy collapses, goes on after Ctrl-C, and writes a report. `grpo.py` is
# short: read `Trainer.step` beside your own lines.

# %%
machine.bfloat16_pays = own_choice  # from here on as fast as the processor can
size = {"eval_n": 300, "eval_quick": 200}
if FAST:
    size = {"steps": 2, "prompts": 4, "group_size": 4, "eval_n": 8, "eval_quick": 8}
options = grpo.Options(
    task="gsm8k-mini", max_new_tokens=LIMIT, out=Path(tempfile.mkdtemp()) / "run", **size
)
folder = grpo.train(options).folder
train = runlog.RunLog.open(folder).metrics("train")

# %%
figure, axes = plt.subplots(2, 2, figsize=(7, 5))
steps = [m["step"] for m in train]
pictures = (
    ("accuracy", "accuracy", "Right", "completions"),
    ("completions/think_rate", "thinks", "Thinks before it answers", "completions"),
    ("completions/mean_length", "length", "Mean length", "tokens"),
    ("frac_reward_zero_std", None, "Groups of equal rewards", "groups"),
)
for axis, (theirs, mine, title, unit) in zip(axes.flat, pictures, strict=True):
    axis.plot(steps, [m[theirs] for m in train], label="the library's loop")
    if mine:
        axis.plot(range(1, STEPS + 1), [m[mine] for m in by_hand], label="by hand")
    curves.frame(axis, title, x="step", y=unit, share=unit != "tokens")
axes[0, 0].legend(loc="lower right")
plt.show()

# %% [markdown]
# Read the fourth picture with the first. Where every answer of a group is right, the group teaches
# nothing: as the policy gets better, less and less of what it samples counts. (Dynamic sampling,
# lecture 16, is one answer to that.)
#
# ## 9. What was learnt, and what was there before
#
# The last line of the table is the base model, untrained, when it is *made* to think by its prompt
# and decoded greedily.

# %%
trained, _, _ = checkpoint.load(checkpoint.resolve(folder))
base, _ = fresh_policy()
problems = task.problems("validation", 16 if FAST else 300)
dtype = torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None
print(f"{'':36}{'right':>8}   {'95 %':16}{'thinks':>8}{'length':>8}")
for name, model, how in (
    ("base, sampled", base, {}),
    ("base, greedy", base, {"temperature": 0.0}),
    ("trained, sampled", trained.eval(), {}),
    ("trained, greedy", trained, {"temperature": 0.0}),
    ("base, thinking forced, greedy", base, {"temperature": 0.0, "style": "cot"}),
):
    scores, _ = measure.measure(
        model, tokenizer, task, problems, seed=0, max_new_tokens=LIMIT, dtype=dtype, **how
    )
    low, high = scores.accuracy_ci
    print(
        f"{name:36}{scores.accuracy:>8.1%}   {f'{low:.1%} to {high:.1%}':16}"
        f"{scores.think_rate:>8.1%}{scores.mean_length:>8.0f}"
    )

# %% [markdown]
# Reinforcement learning has taught the policy *when* to do what it could do already, and to do it
# more surely. That is worth a lot, and it is not the same as learning to calculate. Section 4 of
# the lecture has the figures of three seeds on the test split.
#
# ## Three things to try
#
# 1. In `own_advantages` leave out the division by the std (Dr. GRPO). Compare the gradient norms of
#    section 6, then train by hand again.
# 2. Leave EOS out of the mask in `own_logprobs`. Which `assert` stops you? Take the asserts away
#    and train: what happens to the length?
# 3. Make two optimizer steps on each batch in section 7. What must `old_logp` be then, and what
#    would go wrong with `logp.detach()`?
