"""The figure of lecture 2: what a vocabulary buys, and what merging does to numbers; out of
data/results/lecture-02.json.

    python lectures/02_tokens/figures.py            measure (ten seconds of one core), and draw
    python lectures/02_tokens/figures.py --draw     only draw what was measured

Tokenizers are trained on 3,000 documents of the base model's corpus and measured on 300 validation
problems with their solutions, which they have not seen. The last measurement trains one with the
cut between digits taken away.
"""

import sys
from collections import Counter
from pathlib import Path
from unittest import mock

import regex

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import corpus, curves
from minilrm.curves import LOOKS, REFERENCE
from minilrm.tasks import get_task
from minilrm.tasks.base import problem_rng
from minilrm.tokenizer import PATTERN, SPECIALS, Tokenizer, train_bpe, training
from studies.lecture import main, save

SIZES = (288, 320, 384, 512, 768, 1024, 1536, 2048)
DOCUMENTS, PROBLEMS, SEED = 3000, 300, 0
NUMBERS = range(100, 1000)


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
        "what": "tokens of 300 solved validation problems a language; how numbers are cut if "
        "digits may merge",
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
    with mock.patch.object(training, "split_words", lambda text: regex.findall(together, text)):
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
    figure, (left, right) = curves.panels(2, height=2.9, width_ratios=(1.25, 1))
    for language, look in (("English", LOOKS[0]), ("Spanish", LOOKS[1])):
        rows = [r for r in result["rows"] if r["language"] == language]
        tokens = [r["tokens"] / r["n"] for r in rows]
        curves.line(left, [r["vocabulary"] for r in rows], tokens, look, language)
    left.set_xscale("log")
    curves.frame(left, "Tokens of a problem", x="vocabulary, tokens")
    left.set_ylim(bottom=0)
    left.set_xticks([288, 512, 1024, 2048], ["288", "512", "1024", "2048"])
    left.minorticks_off()
    left.axvline(1024, color=REFERENCE.color, linestyle=REFERENCE.dash, linewidth=1)
    left.text(1070, 6, "ours", color=REFERENCE.ink)
    curves.label_ends(left)
    shapes = result["merged_digits"]["shapes"]
    total = sum(shapes.values())
    names = [shape for shape in ("3", "2+1", "1+2", "1+1+1") if shape in shapes]
    drawn = curves.bars(
        right, names, [shapes[shape] / total for shape in names], LOOKS[0], width=0.65
    )
    right.bar_label(drawn, [shapes[shape] for shape in names], padding=2, fontsize=9)
    right.margins(y=0.12)
    curves.frame(right, "If digits may merge", x="digits in each token", y="share of 100 to 999")
    save(figure, Path(__file__).with_name("vocabulary.png"))


if __name__ == "__main__":
    main(__file__, measure, draw)
