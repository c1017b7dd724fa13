# %% [markdown]
# # A transformer you can hold in your head
#
# The notebook of lecture 3. You follow a text through the shipped base model: its sheets, its
# heads, its logits. Then two properties that everything else stands on: the future cannot change
# the past, and keys and values can be kept.
#
# **Time**: about 1 minute on two cores. With `FAST=1` in the environment everything is cut down
# until it takes seconds and shows nothing but that the code runs.

# %%
import os
import random
from unittest import mock

import matplotlib.pyplot as plt
import torch

from minilrm import checkpoint, curves, get_task, machine, model
from minilrm.model import KVCache, apply_rope, count_parameters, rope_tables
from minilrm.progress import track

FAST = os.environ.get("FAST") == "1"
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)
network, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
network.eval()
print(network.config)
print(f"{count_parameters(network):,} parameters")

# %% [markdown]
# ## 1. What it says next
#
# The tokens of a question with the beginning of a chain, and the five likeliest next tokens after
# some of them.

# %%
text = (
    "Question: A pack has 5 candles. Each pack costs 9 dollars. Ben needs 90 candles. "
    "How many dollars does Ben pay?\nAnswer:\nBen buys <<90/5=18>>18 packs."
)
ids = torch.tensor([tokenizer.encode(text)])
pieces = [tokenizer.token_bytes(int(i)).decode(errors="replace") for i in ids[0]]
with torch.inference_mode():
    logits = network(ids)
for t in range(len(pieces) - 14, len(pieces)):
    p, likely = logits[0, t].softmax(-1).topk(5)
    guesses = "  ".join(
        f"{tokenizer.token_bytes(int(i)).decode(errors='replace')!r} {x:.2f}"
        for i, x in zip(likely, p, strict=True)
    )
    print(f"after {pieces[t]!r:12} {guesses}")

# %% [markdown]
# ## 2. Where the heads look
#
# Each small picture is one head of one layer. A row is a token that looks, a column a token that is
# looked at; both begin with the text's first token. White is no weight, black is all of it. A token
# cannot look ahead: above the diagonal all is white.

# %%
kept = []


def watching(q, k, v, mask):
    """The library's attention, and the weights put aside."""
    keys = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    scores = q @ keys.transpose(-1, -2) * q.shape[-1] ** -0.5
    kept.append(
        scores.masked_fill(
            torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1), float("-inf")
        ).softmax(-1)[0]
    )
    return attend(q, k, v, mask)


attend = model.attend
with torch.inference_mode(), mock.patch.object(model, "attend", watching):
    network(ids)
figure, axes = plt.subplots(6, 6, figsize=(7, 6.6))
for layer in range(6):
    for head in range(6):
        picture = axes[layer, head].imshow(kept[layer][head], cmap="Greys", vmin=0, vmax=1)
        axes[layer, head].set(xticks=[], yticks=[])
        axes[layer, head].grid(False)
    axes[layer, 0].set_ylabel(f"layer {layer}")
for head in range(6):
    axes[0, head].set_title(f"head {head}", loc="center")
figure.supxlabel("token looked at, from the first to the last")
figure.supylabel("token that looks, from the last up to the first")
figure.colorbar(picture, ax=axes, label="weight", shrink=0.6)
plt.show()

# %% [markdown]
# One head with all of its tokens, `_` for a blank: head 0 of layer 2.

# %%
names = [p.replace("\n", "\\n").replace(" ", "_") for p in pieces]
places = range(len(names))
figure, axis = plt.subplots(figsize=(8, 7.2))
picture = axis.imshow(kept[2][0], cmap="Greys", vmin=0, vmax=1)
axis.set_xticks(places, names, rotation=90, fontsize=6.5)
axis.set_yticks(places, names, fontsize=6.5)
axis.grid(False)
axis.set(title="Layer 2, head 0", xlabel="token looked at", ylabel="token that looks")
figure.colorbar(picture, label="weight", shrink=0.6)
plt.show()

# %% [markdown]
# One row of it as bars. From the `<<`, this head looks for the number that has to come next:

# %%
at = next(i for i, p in enumerate(pieces) if p.endswith("<<"))
figure, axis = plt.subplots(figsize=(8, 2.4))
curves.bars(axis, places[: at + 1], kept[2][0][at][: at + 1], curves.LOOKS[0])
axis.set_xticks(places[: at + 1], names[: at + 1], rotation=90, fontsize=6.5)
axis.set(title="What << looks at", xlabel="token looked at", ylabel="weight")
plt.show()

# %% [markdown]
# ## 3. The future cannot change the past
#
# Change the last ten tokens. What the model says at the places before them stays as it was, to the
# last digit or nearly.

# %%
changed = ids.clone()
changed[0, -10:] = torch.randint(32, 1024, (10,), generator=torch.Generator().manual_seed(0))
with torch.inference_mode():
    difference = (network(changed) - logits).abs().amax(-1)[0]
print(
    f"largest change before: {difference[:-10].max():.2g}, "
    f"at the last ten places: {difference[-10:].max():.2g}"
)

# %% [markdown]
# ## 4. Positions: only distances count
#
# A query and a key, turned by their positions. Moving both by the same amount changes nothing.

# %%
g = torch.Generator().manual_seed(1)
q, k = torch.randn(1, 1, 1, 32, generator=g), torch.randn(1, 1, 1, 32, generator=g)


def product(i, j):
    """The product of the query at position i with the key at position j."""
    turned = (
        apply_rope(x, *rope_tables(torch.tensor([p]), 32, 10_000.0)) for x, p in ((q, i), (k, j))
    )
    a, b = turned
    return float((a * b).sum())


print([round(product(i, i - 3), 4) for i in (3, 10, 50, 400)], "three back")
print([round(product(i, i - 7), 4) for i in (7, 10, 50, 400)], "seven back")

# %% [markdown]
# ## 5. Keys and values kept
#
# Token by token with a cache gives the same logits as the whole text at once. Count the work of
# both.

# %%
cache = KVCache(network.config, batch=1, capacity=ids.shape[1])
with torch.inference_mode():
    stepwise = torch.cat(
        [
            network(ids[:, t : t + 1], cache=cache)
            for t in track(range(ids.shape[1]), "token by token")
        ],
        dim=1,
    )
print(f"largest difference: {(stepwise - logits).abs().max():.2g}")

# %%
size, c = count_parameters(network), network.config


def work(start, end):
    """FLOPs of reading the tokens at the places start .. end - 1, the ones before them kept."""
    return 2 * size * (end - start) + 4 * c.n_layers * c.n_heads * c.head_dim * sum(
        range(start + 1, end + 1)
    )


lengths = range(10, 301, 10)
anew = [sum(work(0, 60 + i) for i in range(n)) / 1e9 for n in lengths]
with_cache = [work(0, 60 + n - 1) / 1e9 for n in lengths]
figure, axis = plt.subplots()
axis.plot(lengths, anew, label="all anew for each token")
axis.plot(lengths, with_cache, label="keys and values kept")
axis.set(xlabel="tokens written after a prompt of 60", ylabel="billion FLOPs", yscale="log")
axis.legend()
plt.show()

# %% [markdown]
# ## 6. Silence a head
#
# At the first `<<` of a chain the model has to name the number that comes next. Does it still, with
# a head set to zero? Over solved problems that it was not trained on.

# %%
task = get_task("gsm8k-mini", spanish=0.0)
cases = []
for problem in task.make("validation", 20 if FAST else 80, seed=5):
    whole = tokenizer.encode(task.render(problem) + task.solution(problem, random.Random(0)))
    place = next(i for i, t in enumerate(whole) if tokenizer.token_bytes(t).endswith(b"<<"))
    cases.append((whole[: place + 1], whole[place + 1]))


def right_without(silent=None):
    """How often the next token is right with head `silent` = (layer, head) set to zero."""
    layer = [-1]

    def attending(q, k, v, mask):
        layer[0] += 1
        out = attend(q, k, v, mask)
        if silent and layer[0] == silent[0]:
            out = out.clone()
            out[:, silent[1]] = 0
        return out

    width = max(len(read) for read, _ in cases)
    batch = torch.tensor([read + [0] * (width - len(read)) for read, _ in cases])
    last = torch.tensor([len(read) - 1 for read, _ in cases])
    wanted = torch.tensor([after for _, after in cases])
    with torch.inference_mode(), mock.patch.object(model, "attend", attending):
        hidden = network.hidden(batch)[torch.arange(len(cases)), last]
        return int((network.lm_head(hidden).argmax(-1) == wanted).sum())


chosen = [None, (2, 0), (0, 3), (2, 1), (5, 5)]
found = {silent: right_without(silent) for silent in track(chosen, "heads")}
for silent, right in found.items():
    name = f"layer {silent[0]}, head {silent[1]}" if silent else "nothing"
    print(f"{name} silenced: {right} of {len(cases)} right")

# %% [markdown]
# ## Three things to try
#
# 1. Which of the 36 heads look at the token right before? Average `kept[layer][head].diagonal(-1)`.
#    Is one of them the head whose silence costs most?
# 2. Silence layer 2, head 0, and look at *which* wrong digit the model writes. Another number of
#    the question?
# 3. Shift all positions by 200 (`network(ids, positions=torch.arange(200, 200 + ids.shape[1]))`).
#    By how much do the logits change, and why not more?
