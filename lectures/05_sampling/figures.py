"""The figure and numbers of lecture 5, from data/results/main.jsonl and from the shipped base.

    python lectures/05_sampling/figures.py            measure (a minute of one core), and draw
    python lectures/05_sampling/figures.py --draw     only draw what was measured

It measures the base on 200 validation problems (budgets of thinking, entropy by kind of token),
writes data/results/lecture-05.json and, from that file, lectures/05_sampling/sampling.png.
"""

import random
import re
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, curves
from minilrm.curves import LOOKS
from minilrm.intervals import rate
from minilrm.objectives import token_entropy
from minilrm.rollout import rollout
from minilrm.tasks import get_task
from studies.lecture import main, main_study, save

HERE = Path(__file__).resolve().parent

N, SEED = 200, 0
BUDGETS = (1, 10, 20, 30, 40, 50, 60, 80, 100, 130)


def stop_thinking_after(budget: int, tokenizer):
    """An `intervene` hook: after `budget` tokens without an answer, the answer's mark is put into
    the model's mouth."""
    mark = tokenizer.encode("\n####")

    def intervene(row, ids):
        return mark if len(ids) == budget and "####" not in tokenizer.decode(ids) else None

    return intervene


def budgets(model, tokenizer, task, problems) -> dict:
    """Accuracy, thinking forced and greedy, if the answer is forced after so many tokens."""
    found = {}
    for budget in BUDGETS:
        groups = rollout(
            model,
            tokenizer,
            task,
            problems,
            max_new_tokens=task.max_new_tokens,
            temperature=0,
            seed=SEED,
            style="cot",
            intervene=stop_thinking_after(budget, tokenizer),
        )
        # An episode's own grade looks at sampled text alone; here the inserted mark belongs to the
        # answer.
        texts = [tokenizer.decode(g[0].completion_ids, skip_special=True) for g in groups]
        found[str(budget)] = {
            **rate(
                [task.grade(g[0].problem, t).correct for g, t in zip(groups, texts, strict=True)]
            ),
            "mean_length": sum(len(g[0].completion_ids) for g in groups) / len(groups),
        }
    return found


def kinds(text: str) -> list[str]:
    """What each character of a worked solution is."""
    kind = ["words"] * len(text)
    for match in re.finditer(r"<<([^=]*)=([^>]*)>>", text):
        for name, (start, end) in (
            ("numbers of a sum", match.span(1)),
            ("result of a sum", match.span(2)),
        ):
            kind[start:end] = [name if c.isdigit() else "signs" for c in text[start:end]]
    return kind


def entropies(model, tokenizer, task, problems) -> dict:
    """Mean entropy of the next token, by what that token is, along right solutions."""
    sums: dict[str, list[float]] = {}
    for i, problem in enumerate(problems):
        text = task.solution(problem, random.Random(i), "steps")
        prompt, ids = tokenizer.encode(task.render(problem)), tokenizer.encode(text)
        with torch.inference_mode():
            h = token_entropy(model(torch.tensor([prompt + ids]))[0, len(prompt) - 1 : -1])
        kind, at = kinds(text), 0
        for place, (token, value) in enumerate(zip(ids, h.tolist(), strict=True)):
            piece = tokenizer.token_bytes(token).decode("utf-8", "replace")
            name = "first token" if place == 0 else kind[min(at, len(kind) - 1)]
            sums.setdefault(name, []).append(value)
            at += len(piece)
    return {name: {"nats": sum(v) / len(v), "tokens": len(v)} for name, v in sums.items()}


def measure() -> dict:
    parts = main_study("base") + main_study("grpo")
    test = {(r["kind"], r["seed"]): r["test"] for r in parts}
    _, model, tokenizer, _ = checkpoint.open_model("gsm8k-mini-base")
    task = get_task("gsm8k-mini")
    problems = task.problems("validation", N)
    return {
        "n": N,
        "seed": SEED,
        "split": "validation",
        "temperatures": {
            f"{kind} {seed}": {t: row["accuracy"] for t, row in found["temperatures"].items()}
            for (kind, seed), found in sorted(test.items())
        },
        "forced": {t: row["accuracy"] for t, row in test["base", 0]["thinking_forced"].items()},
        "budgets": budgets(model, tokenizer, task, problems),
        "entropy": entropies(model, tokenizer, task, problems),
    }


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.3)
    lines = (
        (result["temperatures"]["grpo 0"], LOOKS[0], "GRPO, seed 0"),
        (result["forced"], LOOKS[2], "base, thinking\nforced"),
        (result["temperatures"]["base 0"], LOOKS[1], "base"),
    )
    for values, look, label in lines:
        heat = [float(temperature) for temperature in values]
        curves.line(left, heat, list(values.values()), look, label)
    curves.frame(left, "Right, 1,000 test problems", x="temperature", share=True)
    left.legend(loc="center", bbox_to_anchor=(0.62, 0.62), fontsize=9)
    found = result["budgets"].values()
    budgets = [int(budget) for budget in result["budgets"]]
    accuracy, ends = [f["accuracy"] for f in found], [f["ci"] for f in found]
    curves.intervals(right, budgets, accuracy, ends, LOOKS[2])
    title = f"Right, T = 0, n = {result['n']}"
    curves.frame(right, title, x="most tokens of thinking,\nthen ####", share=True)
    save(figure, HERE / "sampling.png")


if __name__ == "__main__":
    main(__file__, measure, draw)
