"""Lecture 10's figure: two ways to learn values, and the values of half-finished answers.

    python lectures/10_values/figures.py            measure (a minute of one core), and draw
    python lectures/10_values/figures.py --draw     only draw what was measured

Left: a walk over five states, left or right by a coin; the right end pays 1. Error of the values
after each episode, by Monte Carlo and by TD(0). Right: answers of gsm8k-mini-base that think; each
is cut after every line, and 16 continuations tell what it is worth. The numbers are in
data/results/lecture-10.json.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, curves, machine
from minilrm.curves import LOOKS
from minilrm.rollout import rollout
from minilrm.sampler import generate
from minilrm.tasks import get_task
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent
STATES, EPISODES, RUNS, SEED = 5, 100, 200, 0
RATES = {"Monte Carlo": 0.03, "TD(0)": 0.1}
PROBLEMS, EACH, CONTINUATIONS = 96, 7, 16


def walk(rng: np.random.Generator) -> tuple[list[int], float]:
    """The states of one walk from the middle, and its reward."""
    states = [STATES // 2]
    while 0 <= states[-1] < STATES:
        states.append(states[-1] + (1 if rng.random() < 0.5 else -1))
    return states[:-1], float(states[-1] == STATES)


def random_walk() -> dict:
    """Root mean squared error of the five values, after each episode; mean of RUNS learners on the
    same walks."""
    exact = np.arange(1, STATES + 1) / (STATES + 1)
    error = {name: np.zeros(EPISODES + 1) for name in RATES}
    rng = np.random.default_rng(SEED)
    for _ in range(RUNS):
        values = {name: np.full(STATES, 0.5) for name in RATES}
        for episode in range(EPISODES + 1):
            for name, v in values.items():
                error[name][episode] += np.sqrt(np.square(v - exact).mean()) / RUNS
            states, reward = walk(rng)
            mc, td = values["Monte Carlo"], values["TD(0)"]
            for s, following in zip(states, states[1:] + [None], strict=True):
                mc[s] += RATES["Monte Carlo"] * (reward - mc[s])
                target = reward if following is None else td[following]
                td[s] += RATES["TD(0)"] * (target - td[s])
    rmse = {name: rows.round(4).tolist() for name, rows in error.items()}
    return {"states": STATES, "runs": RUNS, "seed": SEED, "rates": RATES, "rmse": rmse}


def half_finished() -> dict:
    """Share of right continuations after each line of some right and some wrong answers."""
    task = get_task("gsm8k-mini")
    _, model, tokenizer, _ = checkpoint.open_model("gsm8k-mini-base")
    dtype = torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None
    how = {"max_new_tokens": task.max_new_tokens, "dtype": dtype}
    groups = rollout(
        model, tokenizer, task, task.problems("validation", PROBLEMS), style="cot", seed=SEED, **how
    )
    chosen: dict[bool, list] = {True: [], False: []}
    for e in (g[0] for g in groups):
        if (
            e.finish_reason == "eos"
            and e.text.strip().count("\n") >= 2
            and len(chosen[e.grade.correct]) < EACH
        ):
            chosen[e.grade.correct].append(e)
    answers = []
    for e in chosen[True] + chosen[False]:
        cuts = [0] + [
            t + 1 for t, token in enumerate(e.completion_ids) if "\n" in tokenizer.decode([token])
        ]
        cuts = [
            c for c in cuts if tokenizer.decode(e.completion_ids[:c]).strip() or c == 0
        ]  # a first empty line is no step
        prompts = [e.prompt_ids + e.completion_ids[:c] for c in cuts]
        parts = generate(
            model, tokenizer, prompts, n=CONTINUATIONS, temperature=1.0, seed=SEED + 1, **how
        )
        right = [
            sum(
                task.grade(
                    e.problem, tokenizer.decode(e.completion_ids[:c]) + p.sampled_text
                ).correct
                for p in part
            )
            for c, part in zip(cuts, parts, strict=True)
        ]
        answers.append(
            {
                "key": e.problem.key,
                "question": e.problem.prompt,
                "answer": e.problem.answer,
                "text": e.text,
                "correct": e.grade.correct,
                "right_of_16": right,
            }
        )
    return {
        "model": "gsm8k-mini-base",
        "style": "cot",
        "temperature": 1.0,
        "split": "validation",
        "problems": PROBLEMS,
        "continuations": CONTINUATIONS,
        "seed": SEED,
        "answers": answers,
    }


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.3)
    w = result["random_walk"]
    for (way, rows), look in zip(w["rmse"].items(), LOOKS, strict=False):
        label = f"{way},\nstep {w['rates'][way]:g}"
        curves.line(left, range(len(rows)), rows, look, label)
    curves.frame(left, "Walk over five states", x="episodes", y="error of the values (RMS)")
    left.legend(loc="upper right")
    for correct, look in ((True, LOOKS[0]), (False, LOOKS[1])):
        label = f"came out {'right' if correct else 'wrong'}"
        for a in result["half_finished"]["answers"]:
            if a["correct"] == correct:
                values = [n / result["half_finished"]["continuations"] for n in a["right_of_16"]]
                values.append(float(correct))
                shown = values[: values.index(0) + 1] if 0 in values else values
                curves.line(right, range(len(shown)), shown, look, label, linewidth=1.1)
                label = ""  # in the key once
    words = "lines written\n(last point: the outcome)"
    curves.frame(right, "Continuations right", x=words, share=True)
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28))
    save(figure, HERE / "values.png")


def measure() -> dict:
    return {"random_walk": random_walk(), "half_finished": half_finished()}


if __name__ == "__main__":
    main(__file__, measure, draw)
