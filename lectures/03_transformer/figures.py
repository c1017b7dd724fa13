"""The figure of lecture 3: a head that looks up a number, and what a cache saves; out of
data/results/lecture-03.json.

    python lectures/03_transformer/figures.py            measure (a minute of one core), and draw
    python lectures/03_transformer/figures.py --draw     only draw what was measured

The shipped base reads solved validation problems. At the "<<" of the first sum it has to say which
number comes next, and that number stands in the question. For each of its 36 heads: how much does
it look there? And, on other problems: what happens to the prediction when a head is silenced?
"""

import re
import sys
from pathlib import Path
from unittest import mock

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, curves, get_task, model
from minilrm.curves import LOOKS, REFERENCE, WIDTH
from minilrm.model import count_parameters
from minilrm.tasks.base import problem_rng
from minilrm.tasks.gsm8k_mini import worked_steps
from studies.lecture import main, save

EACH, SEED = 120, 0  # problems to find the head on, and as many others to silence heads on
PROMPT, ANSWER = 60, range(10, 301, 10)  # tokens, for the cost of writing


def find_places(task, tokenizer, n: int):
    """n solved problems: (ids, place of the first "<<", the id that follows it, places of that
    number in the question)."""
    found, index = [], 0
    for problem in task.make("validation", 6 * n, SEED):
        index += 1
        number = re.match(r"[0-9]+", worked_steps(problem)[0][0])[0]
        prompt = tokenizer.encode(task.render(problem))
        ids = prompt + tokenizer.encode(
            task.solution(problem, problem_rng(SEED, index, "lecture-03"))
        )
        pieces = [tokenizer.token_bytes(i) for i in ids]
        digits = "".join(p.decode() if p.isdigit() else " " for p in pieces[: len(prompt)])
        runs = [m.span() for m in re.finditer(r"[0-9]+", digits) if m[0] == number]
        if len(runs) == 1:  # the number is there, once
            at = next(i for i, p in enumerate(pieces) if i >= len(prompt) and p.endswith(b"<<"))
            found.append(
                {
                    "ids": ids[: at + 1],
                    "at": at,
                    "next": ids[at + 1],
                    "source": list(range(*runs[0])),
                    "pieces": pieces,
                }
            )
        if len(found) == n:
            return found
    raise RuntimeError("too few problems")


class Heads:
    """Stands in for `model.attend`: keeps the weights of the layers in order, or silences one
    head."""

    def __init__(self, silent: tuple[int, int] | None = None):
        self.silent, self.weights = silent, []

    def __call__(self, q, k, v, mask):
        layer = len(self.weights)
        keys = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
        scores = q @ keys.transpose(-1, -2) * q.shape[-1] ** -0.5
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        self.weights.append(scores.masked_fill(hidden, float("-inf")).softmax(-1))
        out = ORIGINAL(q, k, v, mask)
        if self.silent and self.silent[0] == layer:
            out = out.clone()
            out[:, self.silent[1]] = 0
        return out


ORIGINAL = model.attend


@torch.inference_mode()
def run(network, cases, silent=None):
    """(weights from "<<" [cases, layers, heads, tokens], share of cases whose next token is
    predicted)."""
    width = max(len(c["ids"]) for c in cases)
    ids = torch.tensor([c["ids"] + [0] * (width - len(c["ids"])) for c in cases])
    rows, at = torch.arange(len(cases)), torch.tensor([c["at"] for c in cases])
    with mock.patch.object(model, "attend", Heads(silent)) as heads:
        logits = network.lm_head(network.hidden(ids)[rows, at])
    right = (logits.argmax(-1) == torch.tensor([c["next"] for c in cases])).sum().item()
    return torch.stack([w[rows, :, at] for w in heads.weights], dim=1), right


def measure() -> dict:
    _, network, tokenizer, _ = checkpoint.open_model("gsm8k-mini-base")
    cases = find_places(get_task("gsm8k-mini", spanish=0.0), tokenizer, 2 * EACH)
    first, second = cases[:EACH], cases[EACH:]
    weights, _ = run(network, first)
    there = torch.stack([weights[i, :, :, c["source"]].sum(-1) for i, c in enumerate(first)]).mean(
        0
    )  # [layers, heads]
    share = sum(len(c["source"]) / (c["at"] + 1) for c in first) / EACH
    best = divmod(int(there.argmax()), there.shape[1])
    n_layers, n_heads = there.shape
    silenced = [
        [run(network, second, (layer, head))[1] for head in range(n_heads)]
        for layer in range(n_layers)
    ]
    shown = min(second, key=lambda c: c["at"])
    shown_weights = run(network, [shown])[0][0][best][: shown["at"] + 1]
    config = network.config
    return {
        "what": "attention from the first << to the number that follows; heads silenced; the cost "
        "of writing",
        "seed": SEED,
        "n_find": EACH,
        "n_silence": EACH,
        "layers": config.n_layers,
        "heads": config.n_heads,
        "parameters": count_parameters(network),
        "looks_there": [[round(x, 4) for x in row] for row in there.tolist()],
        "if_spread_evenly": round(share, 4),
        "best": {"layer": best[0], "head": best[1], "looks_there": round(float(there.max()), 4)},
        "right_of_n_silence": run(network, second)[1],
        "right_when_silenced": silenced,
        "example": {
            "pieces": [p.decode() for p in shown["pieces"][: shown["at"] + 2]],
            "source": shown["source"],
            "weights": [round(x, 4) for x in shown_weights.tolist()],
        },
        "writing": costs(config, count_parameters(network)),
    }


def costs(config, parameters: int) -> dict:
    """FLOPs to write n tokens after a prompt, all keys and values kept, or everything computed anew
    for each token."""

    def reading(start: int, end: int) -> int:
        """Tokens at the places start .. end - 1, each looking at all up to itself."""
        looked_at = sum(range(start + 1, end + 1))
        return (
            2 * parameters * (end - start)
            + 4 * config.n_layers * config.n_heads * config.head_dim * looked_at
        )

    return {
        "prompt": PROMPT,
        "tokens": list(ANSWER),
        "with_cache": [reading(0, PROMPT + n - 1) for n in ANSWER],
        "without": [sum(reading(0, PROMPT + i) for i in range(n)) for n in ANSWER],
        "attention_share_130": round(1 - 2 * parameters * 130 / reading(0, 130), 4),
        "cache_numbers_a_token": 2 * config.n_layers * config.n_kv_heads * config.head_dim,
    }


def draw(result: dict) -> None:
    figure = Figure(figsize=(WIDTH, 4.9), layout="constrained")
    places = figure.subplot_mosaic(
        [["top", "top"], ["left", "right"]], height_ratios=(1, 1.15), width_ratios=(1, 1.3)
    )
    draw_example(places["top"], result["example"], result["best"])
    left, writing = places["left"], result["writing"]
    for layer, row in enumerate(result["looks_there"]):
        how = {"linestyle": "none", "markerfacecolor": "white", "markevery": 1}
        curves.line(left, [layer] * len(row), row, LOOKS[0], **how)
    even = result["if_spread_evenly"]
    left.axhline(even, color=REFERENCE.color, linestyle=REFERENCE.dash, linewidth=1)
    curves.frame(left, "On the number needed", x="layer (a circle: a head)", y="weight", share=True)
    right = places["right"]
    for key, look, label in (
        ("without", LOOKS[1], "all anew for\neach token"),
        ("with_cache", LOOKS[0], "keys and\nvalues kept"),
    ):
        curves.line(right, writing["tokens"], [x / 1e9 for x in writing[key]], look, label)
    right.set_yscale("log")
    curves.frame(right, "Cost of writing", x="tokens written", y="billion FLOPs")
    curves.label_ends(right)
    save(figure, Path(__file__).with_name("attention.png"))


def draw_example(axes: Axes, example: dict, best: dict) -> None:
    """Where the last token looks: a bar per token, those of the number needed in another look."""
    pieces, weights = example["pieces"][:-1], example["weights"]
    for look, needed in ((LOOKS[0], False), (LOOKS[1], True)):
        x = [i for i in range(len(weights)) if (i in example["source"]) == needed]
        curves.bars(axes, x, [weights[i] for i in x], look, width=0.8)
    words = [piece.replace("\n", "\\n").replace(" ", "_") for piece in pieces]
    axes.set_xticks(range(len(pieces)), words, rotation=90, fontsize=8)
    axes.set_xlim(-0.7, len(weights) - 0.3)
    where = f"layer {best['layer']}, head {best['head']}"
    curves.frame(axes, f"Where the last token looks: {where}", y="weight", share=True)


if __name__ == "__main__":
    main(__file__, measure, draw)
