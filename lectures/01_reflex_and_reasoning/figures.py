"""The figure of lecture 1: one pass against a chain, out of data/results/lecture-01.json.

    python lectures/01_reflex_and_reasoning/figures.py           measure (half a minute), and draw
    python lectures/01_reflex_and_reasoning/figures.py --draw    only draw what was measured

The shipped base answers validation problems of 2 to 5 sums, 150 of each kind: by reflex (the prompt
ends in "####", so that only the answer is left to write) and thinking (the prompt ends in "Let's
think step by step."). And single sums in two forms: the first of each problem, written down as
"<<12+30="; and the last one, to be done on the way to the answer: all of the chain but its last
line is given, then "####".
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import Completion, Tokenizer, checkpoint, curves, generate, get_task, machine
from minilrm.curves import LOOKS, REFERENCE
from minilrm.intervals import wilson_interval
from minilrm.tasks import answers
from minilrm.tasks.base import Problem, Task, problem_rng
from minilrm.tasks.gsm8k_mini import worked_steps
from studies.lecture import main, save

SUMS, EACH, SEED = (2, 3, 4, 5), 150, 0


Answer = Callable[[list[str], float, int], list[Completion]]  # prompts, temperature, longest


def measure() -> dict:
    _, model, tokenizer, _ = checkpoint.open_model("gsm8k-mini-base")
    task = get_task("gsm8k-mini")
    made = task.make("validation", 1600, SEED)
    problems = [p for n in SUMS for p in [p for p in made if p.difficulty == n][:EACH]]
    dtype = torch.bfloat16 if machine.bfloat16_pays(torch.device("cpu")) else None

    def answer(prompts: list[str], temperature: float, longest: int) -> list[Completion]:
        how = {"max_new_tokens": longest, "temperature": temperature, "seed": SEED, "dtype": dtype}
        return [found[0] for found in generate(model, tokenizer, prompts, **how)]

    rows = []
    for temperature in (1.0, 0.0):
        rows.append(single_sums(problems, answer, temperature))
        rows.append(last_sums(task, problems, answer, temperature))
        rows += whole_problems(task, tokenizer, problems, answer, temperature)
    return {
        "what": "validation problems of gsm8k-mini, answered by the shipped base in one pass and "
        "by a chain; single sums",
        "seed": SEED,
        "rows": rows,
        "totals": {
            f"{how}, T = {t:g}": totals(rows, how, t)
            for how in ("reflex", "think")
            for t in (1.0, 0.0)
        },
    }


def single_sums(problems: list[Problem], answer: Answer, temperature: float) -> dict:
    """The first sum of each problem, written down: "<<12+30="."""
    sums = [worked_steps(p)[0] for p in problems]
    written = answer([f"<<{text}=" for text, _ in sums], temperature, 8)
    right = [
        o.text.partition(">")[0] == str(value) for o, (_, value) in zip(written, sums, strict=True)
    ]
    return row("one sum", temperature, 1, right)


def last_sums(task: Task, problems: list[Problem], answer: Answer, temperature: float) -> dict:
    """The last sum of each problem, to be done on the way to the answer."""
    begun = [all_but_the_last(p) for p in problems]
    written = answer([given + "\n####" for given, _ in begun], temperature, 12)
    graded = [
        task.grade(p, "####" + o.sampled_text) for p, o in zip(problems, written, strict=True)
    ]
    copied = sum(g.answer == result for g, (_, result) in zip(graded, begun, strict=True))
    return row("last sum", temperature, 1, [g.correct for g in graded]) | {"copied": copied}


def whole_problems(
    task: Task, tokenizer: Tokenizer, problems: list[Problem], answer: Answer, temperature: float
) -> list[dict]:
    """Each problem by reflex and by a chain, counted by its number of sums."""
    rows = []
    for how, style, opening, longest in (
        ("reflex", "plain", " ####", 12),
        ("think", "cot", "", task.max_new_tokens),
    ):
        found = answer([task.render(p, style) + opening for p in problems], temperature, longest)
        for n in SUMS:
            mine = [(p, o) for p, o in zip(problems, found, strict=True) if p.difficulty == n]
            graded = [(task.grade(p, opening + o.sampled_text), o.sampled_text) for p, o in mine]
            prompts = [tokenizer.encode(task.render(p)) for p, _ in mine]
            rows.append(
                row(how, temperature, n, [g.correct for g, _ in graded])
                | {
                    "tokens": sum(len(o.token_ids) for _, o in mine),
                    "prompt_tokens": sum(map(len, prompts)),
                }
            )
            if how == "think":
                wrong = [why_wrong(g, text) for g, text in graded if not g.correct]
                rows[-1]["wrong"] = Counter(wrong)
    return rows


def row(how: str, temperature: float, sums: int, right: list[bool]) -> dict:
    found = {"n": len(right), "right": sum(right)}
    return {"how": how, "temperature": temperature, "sums": sums, **found}


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


WAYS = {  # how a problem was answered: its name in the key, its look
    "one sum": ("one sum, written down", LOOKS[2]),
    "think": ("a chain", LOOKS[0]),
    "reflex": ("the answer at once", LOOKS[1]),
    "last sum": ("one sum left, answer at once", LOOKS[3]),
}


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.6)
    for how, (label, look) in WAYS.items():
        rows = [r for r in result["rows"] if r["how"] == how and r["temperature"] == 1.0]
        ends = [wilson_interval(r["right"], r["n"]) for r in rows]
        dash = {"linestyle": look.dash if how == "reflex" else "none"}
        share = [r["right"] / r["n"] for r in rows]
        curves.intervals(left, [r["sums"] for r in rows], share, ends, look, label, **dash)
    one = next(r for r in result["rows"] if r["how"] == "one sum" and r["temperature"] == 1.0)
    p = one["right"] / one["n"]
    expected = [p**n for n in range(1, 6)]
    curves.line(left, range(1, 6), expected, REFERENCE, "$p^n$, p of one sum", marker="", zorder=0)
    curves.frame(left, "Right at T = 1", x="sums in the problem, n", share=True)
    left.margins(x=0.06)
    left.legend(loc="upper left", bbox_to_anchor=(-0.1, -0.22))
    draw_costs(right, {how: result["totals"][f"{how}, T = 1"] for how in ("reflex", "think")})
    save(figure, Path(__file__).with_name("one_pass.png"))


def draw_costs(axes, ways: dict[str, dict]) -> None:
    """Tokens for an answer and for a right answer, by each way."""
    keys = ("tokens_an_answer", "tokens_a_right_answer")
    for place, (how, way) in enumerate(ways.items()):
        label, look = WAYS[how]
        x = [group + 0.4 * (place - 0.5) for group in range(len(keys))]
        drawn = curves.bars(axes, x, [way[key] for key in keys], look, label, width=0.36)
        axes.bar_label(drawn, fmt="%.0f", padding=2, fontsize=9)
    axes.set_xticks(range(len(keys)), ["an answer", "a right\nanswer"])
    axes.margins(y=0.12)
    curves.frame(axes, "Tokens written for")
    axes.legend(loc="upper left", bbox_to_anchor=(0, -0.22))


if __name__ == "__main__":
    main(__file__, measure, draw)
