"""The figure of lecture 2: what a vocabulary buys, and what merging does to numbers. Writes
data/results/lecture-02.json, then draws vocabulary.png from it.

    python lectures/02_tokens/figures.py            measure (about ten seconds of one core), then draw
    python lectures/02_tokens/figures.py --draw     only draw what was measured

Tokenizers are trained on 3,000 documents of the base model's corpus and measured on 300 validation
problems with their solutions, which they have not seen. The last measurement trains one with the
cut between digits taken away.
"""

import sys
from collections import Counter
from pathlib import Path
from unittest import mock

import matplotlib.pyplot as plt
import regex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import corpus, tokenizer
from minilrm.tasks import get_task
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import PATTERN, SPECIALS, Tokenizer, train_bpe
from studies.lecture import main, save

SIZES = (288, 320, 384, 512, 768, 1024, 1536, 2048)
DOCUMENTS, PROBLEMS, SEED = 3000, 300, 0
NUMBERS = range(100, 1000)
INK = "#1a1a1a"


def solved_problems(spanish: float) -> list[str]:
    """Validation problems with their worked solutions, all in one language."""
    task = get_task("gsm8k-mini", spanish=spanish)
    return [
        task.render(p) + task.solution(p, problem_rng(SEED, i, "lecture-02"))
        for i, p in enumerate(task.make("validation", PROBLEMS, SEED))
    ]


def measure() -> dict:
    pages = corpus.corpus_of("gsm8k-mini", seed=SEED)
    texts = [pages.document(i).text for i in range(DOCUMENTS)]
    merges = train_bpe(texts, max(SIZES))
    held_out = {"English": solved_problems(0.0), "Spanish": solved_problems(1.0)}
    rows = []
    for size in SIZES:
        tok = Tokenizer(merges[: size - 256 - len(SPECIALS)])
        for language, solved in held_out.items():
            rows.append(
                {
                    "vocabulary": len(tok),
                    "language": language,
                    "n": len(solved),
                    "bytes": sum(len(text.encode()) for text in solved),
                    "tokens": sum(len(tok.encode(text)) for text in solved),
                }
            )
    return {
        "what": "tokens of 300 solved validation problems a language; how numbers are cut if digits may merge",
        "seed": SEED,
        "documents": DOCUMENTS,
        "rows": rows,
        "first_merges": [(a + b).decode() for a, b in merges[:40]],
        "merged_digits": merged_digits(texts),
    }


def merged_digits(texts: list[str]) -> dict:
    """Train once more with runs of digits kept together, and see how 100 to 999 are cut."""
    together = PATTERN.replace(r"\p{N}|", r"\p{N}+|")
    assert together != PATTERN
    with mock.patch.object(tokenizer, "split_words", lambda text: regex.findall(together, text)):
        tok = Tokenizer(train_bpe(texts, 1024))
    cut = {n: [piece.decode() for piece in tok.merge_all(str(n).encode())] for n in NUMBERS}
    shapes = Counter("+".join(str(len(piece)) for piece in pieces) for pieces in cut.values())
    return {
        "vocabulary": len(tok),
        "numbers": [NUMBERS[0], NUMBERS[-1]],
        "shapes": dict(shapes.most_common()),
        "tokens_of_digits": sum(token.isdigit() for token in tok.ordinary[256:]),
        "examples": {
            str(n): "|".join(cut[n]) for n in (*range(118, 126), 250, 347, 348, 349, 500, 999)
        },
    }


def draw(result: dict) -> None:
    plt.rcParams.update(
        {
            "font.size": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "hatch.linewidth": 0.6,
        }
    )
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(6.4, 2.9), layout="constrained", width_ratios=(1.3, 1)
    )
    for language, marker, line in (("English", "o", "-"), ("Spanish", "s", "--")):
        rows = [r for r in result["rows"] if r["language"] == language]
        left.plot(
            [r["vocabulary"] for r in rows],
            [r["tokens"] / r["n"] for r in rows],
            marker + line,
            color=INK,
            markerfacecolor="white",
            markersize=4.5,
            linewidth=1,
            label=language,
        )
    left.axvline(1024, color="#999999", linewidth=0.8, linestyle=":")
    left.annotate(
        "ours", (1024, 20), (4, 0), textcoords="offset points", fontsize=7.5, color="#555555"
    )
    left.set(
        xscale="log",
        xlabel="vocabulary, tokens",
        ylim=(0, None),
        title="tokens of a solved problem",
    )
    left.set_xticks([288, 512, 1024, 2048], ["288", "512", "1024", "2048"])
    left.minorticks_off()
    left.legend(frameon=False)
    shapes = result["merged_digits"]["shapes"]
    total = sum(shapes.values())
    names = [name for name in ("3", "2+1", "1+2", "1+1+1") if name in shapes]
    bars = right.bar(
        names,
        [shapes[name] / total for name in names],
        0.65,
        facecolor="white",
        edgecolor=INK,
        linewidth=0.8,
    )
    for bar, hatch, name in zip(bars, ("", "////", "\\\\\\\\", "...."), names, strict=False):
        bar.set_hatch(hatch)
        right.text(
            bar.get_x() + bar.get_width() / 2,
            bar.get_height() + 0.01,
            shapes[name],
            ha="center",
            fontsize=7.5,
        )
    right.set(
        title="100 to 999, if digits may merge",
        ylabel="share",
        xlabel="digits in each token",
        ylim=(0, 1.15 * max(shapes.values()) / total),
    )
    save(figure, Path(__file__).with_name("vocabulary.png"))


if __name__ == "__main__":
    main(__file__, measure, draw)
