# %% [markdown]
# # Pretraining on a very small web
#
# You look at the corpus, train a model of 0.29 million parameters on it from random weights, watch
# what it learns first, and take its loss apart by kind of token, beside that of the shipped base.
#
# **Time**: about 1 minute on two CPU cores, most of it in one cell with a progress bar. With
# `FAST=1` in the environment everything is cut down until it takes seconds and shows nothing but
# that the code runs.

# %%
import math
import os
import re
from collections import Counter
from dataclasses import replace

import matplotlib.pyplot as plt
import torch

from minilrm import checkpoint, corpus, curves, generate, machine
from minilrm.model import SCALES, Transformer, count_parameters
from minilrm.objectives import selected_logprobs
from minilrm.optim import Guard, pretraining_optimizers, set_lr
from minilrm.pretrain import Reader, loss_of, validation_loss
from minilrm.progress import Progress
from minilrm.tokenizer import Tokenizer

FAST = os.environ.get("FAST") == "1"
TOKENS = 20_000 if FAST else 2_000_000
CPU = torch.device("cpu")
machine.raise_malloc_thresholds()
machine.set_threads(None)
plt.rcParams.update(curves.STYLE)
machine.seed_everything(0)
tokenizer = Tokenizer.load(machine.data_folder() / "tokenizer")
web = corpus.Web(seed=0)

# %% [markdown]
# ## 1. What it reads
#
# Eleven kinds of pages. Most forum pages blurt the answer out; the share of *tokens* differs from
# the share of documents.

# %%
documents, tokens = Counter(), Counter()
for page in map(web.document, range(200 if FAST else 3000)):
    documents[page.kind] += 1
    tokens[page.kind] += len(tokenizer.encode(page.text)) + 1
print(f"{'kind':14}{'documents':>11}{'tokens':>9}")
for kind, count in documents.most_common():
    print(f"{kind:14}{count / documents.total():>11.1%}{tokens[kind] / tokens.total():>9.1%}")
for kind in ("reflex", "steps", "drill"):
    print("-" * 60, kind, sep="\n")
    print(web.document(0, kind).text)

# %% [markdown]
# ## 2. Overfit one batch first
#
# Before any training: can this model and this loop memorise 16 pages? If not, something is broken.
# The first loss must be near log V = 6.93.


# %%
def fresh():
    return Transformer(replace(SCALES["pico"], vocab_size=len(tokenizer), max_seq_len=512))


pages = corpus.build(tokenizer, TOKENS, web, chunk=500)
held_out = corpus.build(
    tokenizer, 3_000 if FAST else 20_000, corpus.Web(1, "validation"), chunk=50 if FAST else 200
)
batch = next(Reader(pages, 512, 2048, 0).micro_batches())
model = fresh()
optimizers, guard = pretraining_optimizers(model, 0.02, 0.003), Guard(1.0)
losses = []
for _ in range(5 if FAST else 150):
    loss = loss_of(model, batch, CPU)
    loss.backward()
    losses.append(float(loss.detach()))
    guard.step(model, optimizers, losses[-1])
print(
    f"log V = {math.log(len(tokenizer)):.2f}; first loss {losses[0]:.2f}; "
    f"after {len(losses)} steps on the same batch {losses[-1]:.3f}"
)

# %% [markdown]
# ## 3. Now on the corpus
#
# One question is put to the model as it learns. First it learns what a page looks like, then words,
# then which numbers to copy.

# %%
model = fresh()
optimizers, guard = pretraining_optimizers(model, 0.02, 0.003), Guard(1.0)
print(f"{count_parameters(model):,} parameters, {len(pages.ids):,} tokens")
question = (
    "Question: Tom has 3 boxes with 4 pens each. Tom buys 5 pens. "
    "How many pens does Tom have?\nAnswer:\n"
)
seen, curve, answers = 0, [], []
stream = Reader(pages, 512, 2048, 0).micro_batches()
bar = Progress(TOKENS, label="pretrain")
step = 0
while seen < TOKENS * 0.85:  # the rest is padding
    if step % (5 if FAST else 100) == 0:
        curve.append((seen, validation_loss(model, held_out, CPU)))
        model.eval()
        ((answer,),) = generate(model, tokenizer, [question], max_new_tokens=40, temperature=0)
        answers.append((seen, answer.text))
        model.train()
    ids = next(stream)
    set_lr(optimizers, min((step + 1) / 20, max(0.05, 1 - seen / TOKENS)))
    loss = loss_of(model, ids, CPU)
    loss.backward()
    guard.step(model, optimizers, float(loss.detach()))
    count = int((ids[:, 1:] >= 0).sum())
    seen, step = seen + count, step + 1
    bar.update(count, loss=float(loss.detach()))
bar.close()
for read, answer in answers:
    print(f"\n{read:>9,} tokens: {answer!r}")

# %%
figure, axis = plt.subplots()
curves.line(axis, [x / 1e6 for x, _ in curve], [y for _, y in curve], curves.LOOKS[0])
axis.axhline(math.log(len(tokenizer)), color="gray", linestyle=":", label="log V: all tokens alike")
curves.frame(axis, "Validation loss", x="million tokens read", y="nats per token")
axis.legend(loc="center right")
plt.show()

# %% [markdown]
# ## 4. The loss by kind of token
#
# Beside your model the shipped base, which has read more than ten times as much and is nine times
# as large.

# %%
KINDS = (
    "question",
    "first token of the answer",
    "words of the solution",
    "numbers of a sum",
    "result of a sum",
)


def kinds(text):
    """What each character of a forum page with a worked solution is."""
    start = re.search(r"\n(Answer|Respuesta):", text).end()
    kind = ["question"] * start + ["words of the solution"] * (len(text) - start)
    kind[start] = "first token of the answer"
    for match in re.finditer(r"<<([^=]*)=([^>]*)>>", text):
        for name, (a, b) in (
            ("numbers of a sum", match.span(1)),
            ("result of a sum", match.span(2)),
        ):
            kind[a:b] = [name if c.isdigit() else "words of the solution" for c in text[a:b]]
    return kind


def loss_by_kind(model, texts):
    found = {kind: [] for kind in KINDS}
    for text in texts:
        ids, kind, at = tokenizer.encode(text), kinds(text), 0
        with torch.inference_mode():
            losses = -selected_logprobs(model(torch.tensor([ids[:-1]]))[0], torch.tensor(ids[1:]))
        for token, value in zip(ids, [None, *losses.tolist()], strict=True):
            if value is not None:
                found[kind[min(at, len(kind) - 1)]].append(value)
            at += len(tokenizer.token_bytes(token).decode("utf-8", "replace"))
    return [sum(found[kind]) / max(1, len(found[kind])) for kind in KINDS]


texts = [corpus.Web(1, "validation").document(i, "steps").text for i in range(10 if FAST else 100)]
base = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))[0].eval()
figure, axis = plt.subplots(figsize=(6, 3))
for shift, name, reader, look in (
    (-0.2, "yours", model.eval(), curves.LOOKS[0]),
    (0.2, "base", base, curves.LOOKS[1]),
):
    rows = [i + shift for i in range(len(KINDS))]
    curves.bars(axis, rows, loss_by_kind(reader, texts), look, name, flat=True, height=0.38)
axis.set_yticks(range(len(KINDS)), KINDS)
axis.invert_yaxis()
axis.grid(axis="x")
axis.grid(False, axis="y")
axis.set(xlabel="loss, nats per token")
axis.legend(loc="lower right")
plt.show()

# %% [markdown]
# ## 5. A base model is a sample of its corpus
#
# How likely does the base hold it that an answer begins with a newline, that is, with a chain?
# Compare with the share of forum pages that think: (careless + steps + plan_verify) / (these +
# reflex).

# %%
share = {kind: part for kind, (part, _) in corpus.MIX.items()}
thinks = share["careless"] + share["steps"] + share["plan_verify"]
prompts = [text[: re.search(r"\n(Answer|Respuesta):", text).end()] for text in texts]
newline = tokenizer.encode("\n")[0]
with torch.inference_mode():
    p = [
        base(torch.tensor([tokenizer.encode(prompt)]))[0, -1].softmax(-1)[newline].item()
        for prompt in prompts
    ]
print(f"forum pages that think: {thinks / (thinks + share['reflex']):.1%}")
print(f"the base, on average:   {sum(p) / len(p):.1%}")

# %% [markdown]
# ## Three things to try
#
# 1. A corpus without `drill` pages (`corpus.Web(0, mix={...})`): which bars of section 4 change?
# 2. Set Muon's rate to 0.1, then to 0.001. What does the curve look like in each case, and what
#    does `guard.step` return?
# 3. Write a mix in which 90 % of the forum pages think. What is section 5's second number after
#    training on it?
