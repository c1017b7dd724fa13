# %% [markdown]
# # Tokens
#
# The notebook of lecture 2. You look at the tokens of a text, watch merges being learnt, see what a
# larger vocabulary buys, and what happens to numbers when digits may merge.
#
# **Time**: about 1 minute on two cores. With `FAST=1` in the environment everything is cut down
# until it takes seconds and shows nothing but that the code runs.

# %%
import os
from collections import Counter
from unittest import mock

import matplotlib.pyplot as plt
import regex

from minilrm import corpus, curves, get_task, machine
from minilrm.progress import track
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import PATTERN, SPECIALS, Tokenizer, split_words, train_bpe, training

FAST = os.environ.get("FAST") == "1"
DOCUMENTS, PROBLEMS = (150, 20) if FAST else (3000, 300)
shipped = Tokenizer.load(machine.data_folder() / "tokenizer")
plt.rcParams.update(curves.STYLE)


def pieces(tok, text):
    """The text with a bar between tokens."""
    return "|".join(tok.token_bytes(i).decode("utf-8", errors="replace") for i in tok.encode(text))


# %% [markdown]
# ## 1. A text in tokens
#
# The project's tokenizer: 32 special tokens, 256 bytes, 736 merges. First the cut into words, which
# merges never cross, then the tokens.

# %%
for text in (
    "Tom buys 3 boxes of 12 pencils.",
    "<<3*12=36>>36 pencils\n#### 36",
    "Ana compra 3 lápices.",
    "日本 👩‍🚀",
):
    print("words ", "|".join(split_words(text)).replace("\n", "\\n"))
    print(
        "tokens",
        pieces(shipped, text).replace("\n", "\\n"),
        "  ids",
        shipped.encode(text)[:12],
        end="\n\n",
    )

# %% [markdown]
# What a user writes never becomes a special token; in documents of our own it does.

# %%
print(shipped.encode("<|endoftext|>"), shipped.encode("<|endoftext|>", allow_special=True))

# %% [markdown]
# ## 2. Learning merges
#
# From a few thousand documents of the base model's corpus. The first merges are what stands
# together most often.

# %%
pages = corpus.corpus_of("gsm8k-mini", seed=0)
texts = [pages.document(i).text for i in track(range(DOCUMENTS), "documents")]
merges = train_bpe(texts, 600 if FAST else 2048)
print(" ".join((a + b).decode().replace(" ", "_") for a, b in merges[:60]))

# %% [markdown]
# ## 3. What a vocabulary buys
#
# Tokens of a word problem with its solution, which the tokenizer has not seen.


# %%
def solved(spanish):
    task = get_task("gsm8k-mini", spanish=spanish)
    problems = task.make("validation", PROBLEMS, seed=0)
    return [task.render(p) + task.solution(p, problem_rng(0, i)) for i, p in enumerate(problems)]


sizes = [n for n in (288, 320, 384, 512, 768, 1024, 1536, 2048) if n - 288 <= len(merges)]
figure, axis = plt.subplots(figsize=(6, 3))
for (language, spanish), look in zip(
    (("English", 0.0), ("Spanish", 1.0)), curves.LOOKS, strict=False
):
    held_out = solved(spanish)
    lengths = []
    for size in track(sizes, language):
        tok = Tokenizer(merges[: size - 256 - len(SPECIALS)])
        lengths.append(sum(len(tok.encode(text)) for text in held_out) / len(held_out))
    curves.line(axis, sizes, lengths, look, language)
    print(language, [round(x, 1) for x in lengths])
axis.set(xscale="log")
curves.frame(axis, x="vocabulary, tokens", y="tokens of a solved problem")
axis.set_xticks(sizes[::2], [str(n) for n in sizes[::2]])
axis.minorticks_off()
curves.label_ends(axis)
plt.show()

# %% [markdown]
# ## 4. Numbers, if digits may merge
#
# The same training with one change: runs of digits stay together in the cut.

# %%
together = PATTERN.replace(r"\p{N}|", r"\p{N}+|")
with mock.patch.object(training, "split_words", lambda text: regex.findall(together, text)):
    merging = Tokenizer(train_bpe(texts, 600 if FAST else 1024))
cut = {
    n: [piece.decode() for piece in merging.merge_all(str(n).encode())] for n in range(100, 1000)
}
print("  ".join("|".join(cut[n]) for n in range(340, 356)))
shapes = Counter("+".join(str(len(piece)) for piece in found) for found in cut.values())

figure, axis = plt.subplots()
curves.bars(axis, list(shapes), list(shapes.values()), curves.LOOKS[0])
curves.frame(axis, x="digits in each token", y="numbers from 100 to 999")
plt.show()

# %% [markdown]
# ## Three things to try
#
# 1. Train on English pages alone (`corpus.corpus_of("gsm8k-mini", seed=0, spanish=0.0)`). How many
#    tokens does Spanish take then?
# 2. Train on half of the documents. Which of the merges change, the early or the late ones?
# 3. Encode `"Answer: the"` with `shipped` as one text; then `"Answer:"` and `" the"`; then
#    `"Answer: "` and `"the"`. Which two ways agree? What does that mean for a prompt that ends in a
#    blank?
