"""The figure of lecture 1: one pass against a chain. Writes data/results/lecture-01.json, then
draws one_pass.png from it.

    python lectures/01_reflex_and_reasoning/figures.py            measure (half a minute of one core), then draw
    python lectures/01_reflex_and_reasoning/figures.py --draw     only draw what was measured

The shipped base answers validation problems of 2 to 5 sums, 150 of each kind: by reflex (the prompt
ends in "####", so that only the answer is left to write) and thinking (the prompt ends in "Let's
think step by step."). And single sums in two forms: the first of each problem, written down as
"<<12+30="; and the last one, to be done on the way to the answer: all of the chain but its last
line is given, then "####".
"""

import sys
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, generate, get_task, machine
from minilrm.intervals import wilson_interval
from minilrm.tasks import answers
from minilrm.tasks.base import problem_rng
from minilrm.tasks.gsm8k_mini import worked_steps
from studies.lecture import main, save

SUMS, EACH, SEED = (2, 3, 4, 5), 150, 0
INK, SOFT = "#1a1a1a", "#7a7a7a"


def measure() -> dict:
    model, tokenizer, _ = checkpoint.load(checkpoint.shipped("gsm8k-mini-base"))
    model.eval()
    task = get_task("gsm8k-mini")
    made = task.make("validation", 1600, SEED)
    problems = [p for n in SUMS for p in [p for p in made if p.difficulty == n][:EACH]]
    dtype = torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None

    def answer(prompts, temperature, longest):
        return [
            found[0]
            for found in generate(
                model,
                tokenizer,
                prompts,
                max_new_tokens=longest,
                temperature=temperature,
                seed=SEED,
                dtype=dtype,
            )
        ]

    rows = []
    for temperature in (1.0, 0.0):
        sums = [worked_steps(p)[0] for p in problems]
        written = answer([f"<<{text}=" for text, _ in sums], temperature, 8)
        right = sum(
            o.text.partition(">")[0] == str(value)
            for o, (_, value) in zip(written, sums, strict=True)
        )
        rows.append(
            {
                "how": "one sum",
                "temperature": temperature,
                "sums": 1,
                "n": len(problems),
                "right": right,
            }
        )
        written = answer(
            [given + "\n####" for given, _ in map(all_but_the_last, problems)], temperature, 12
        )
        graded = [
            task.grade(p, "####" + o.sampled_text) for p, o in zip(problems, written, strict=True)
        ]
        last = [result for _, result in map(all_but_the_last, problems)]
        rows.append(
            {
                "how": "last sum",
                "temperature": temperature,
                "sums": 1,
                "n": len(problems),
                "right": sum(g.correct for g in graded),
                "copied": sum(g.answer == result for g, result in zip(graded, last, strict=True)),
            }
        )
        for how, style, opening, longest in (
            ("reflex", "plain", " ####", 12),
            ("think", "cot", "", task.max_new_tokens),
        ):
            found = answer(
                [task.render(p, style) + opening for p in problems], temperature, longest
            )
            for n in SUMS:
                mine = [(p, o) for p, o in zip(problems, found, strict=True) if p.difficulty == n]
                rows.append(
                    {
                        "how": how,
                        "temperature": temperature,
                        "sums": n,
                        "n": len(mine),
                        "right": sum(
                            task.grade(p, opening + o.sampled_text).correct for p, o in mine
                        ),
                        "tokens": sum(len(o.token_ids) for _, o in mine),
                        "prompt_tokens": sum(
                            len(tokenizer.encode(task.render(p))) for p, _ in mine
                        ),
                    }
                )
                if how == "think":
                    graded = [(task.grade(p, o.sampled_text), o.sampled_text) for p, o in mine]
                    rows[-1]["wrong"] = Counter(
                        why_wrong(g, text) for g, text in graded if not g.correct
                    )
    return {
        "what": "validation problems of gsm8k-mini, answered by the shipped base in one pass and by a chain; single sums",
        "seed": SEED,
        "rows": rows,
        "totals": {
            f"{how}, T = {t:g}": totals(rows, how, t)
            for how in ("reflex", "think")
            for t in (1.0, 0.0)
        },
    }


def all_but_the_last(problem) -> tuple[str, str]:
    """The prompt with the right chain up to its last sum, and the last result that stands there."""
    task = get_task("gsm8k-mini")
    lines = task.solution(problem, problem_rng(SEED, 0, problem.key)).strip().split("\n")[:-2]
    return task.render(problem) + "\n" + "\n".join(lines), str(worked_steps(problem)[-2][1])


def why_wrong(grade, text: str) -> str:
    """What went wrong in a chain: no single answer to read, a sum with a wrong result, or right
    sums that are not the ones."""
    if grade.answer is None:
        return "no single answer"
    return (
        "a wrong sum"
        if any(answers.check_equation(*e) is False for e in answers.equations(text))
        else "other sums"
    )


def totals(rows: list[dict], how: str, temperature: float) -> dict:
    """Over all problems: share of right answers, tokens an answer, tokens a right answer (prompts
    not counted)."""
    mine = [r for r in rows if r["how"] == how and r["temperature"] == temperature]
    n, right, tokens, prompts = (
        sum(r[key] for r in mine) for key in ("n", "right", "tokens", "prompt_tokens")
    )
    return {
        "n": n,
        "right": right,
        "share": round(right / n, 4),
        "tokens_an_answer": round(tokens / n, 2),
        "tokens_a_prompt": round(prompts / n, 2),
        "tokens_a_right_answer": round(tokens / right, 2) if right else None,
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
        1, 2, figsize=(6.4, 3.0), layout="constrained", width_ratios=(1.5, 1)
    )
    for how, marker, line, label in (
        ("one sum", "s", "", "one sum, written down"),
        ("think", "o", "", "a chain"),
        ("reflex", "^", ":", "the answer at once"),
        ("last sum", "D", "", "one sum left, answer at once"),
    ):
        rows = [r for r in result["rows"] if r["how"] == how and r["temperature"] == 1.0]
        share = [r["right"] / r["n"] for r in rows]
        ends = [wilson_interval(r["right"], r["n"]) for r in rows]
        errors = [
            [s - e[0] for s, e in zip(share, ends, strict=True)],
            [e[1] - s for s, e in zip(share, ends, strict=True)],
        ]
        left.errorbar(
            [r["sums"] for r in rows],
            share,
            yerr=errors,
            fmt=marker + line,
            color=INK,
            markerfacecolor="white",
            markersize=5,
            capsize=2.5,
            linewidth=1,
            label=label,
        )
    one = next(r for r in result["rows"] if r["how"] == "one sum" and r["temperature"] == 1.0)
    p = one["right"] / one["n"]
    left.plot(
        range(1, 6),
        [p**n for n in range(1, 6)],
        "--",
        color=SOFT,
        linewidth=1,
        label="p to the power n",
        zorder=0,
    )
    left.set(
        xlabel="sums in the problem, n",
        ylim=(0, 1.05),
        xticks=range(1, 6),
        title="share right, T = 1",
    )
    left.legend(frameon=False, fontsize=7, loc="center", bbox_to_anchor=(0.6, 0.42))
    ways = [result["totals"][f"{how}, T = 1"] for how in ("reflex", "think")]
    for place, (way, hatch) in enumerate(zip(ways, ("", "////"), strict=True)):
        for group, key in enumerate(("tokens_an_answer", "tokens_a_right_answer")):
            x = group + 0.36 * (place - 0.5)
            right.bar(
                x,
                way[key],
                0.34,
                facecolor="white",
                edgecolor=INK,
                hatch=hatch,
                linewidth=0.8,
                label=("at once", "a chain")[place] if not group else None,
            )
            right.text(x, way[key] + 6, f"{way[key]:.0f}", ha="center", fontsize=7.5)
    right.set(
        xticks=(0, 1), xticklabels=("an answer", "a right answer"), title="tokens written for ..."
    )
    right.set_ylim(0, 1.1 * max(way["tokens_a_right_answer"] for way in ways))
    right.legend(frameon=False, fontsize=7, loc="upper left")
    save(figure, Path(__file__).with_name("one_pass.png"))


if __name__ == "__main__":
    main(__file__, measure, draw)
