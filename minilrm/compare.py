"""What does more thinking buy? Every method of inference on the same problems, at equal tokens.

    python -m minilrm.compare --task countdown --scorer runs/MY-JUDGE
    python -m minilrm.compare --task countdown --scorer checker --methods majority,weighted,tree

A budget is so many *samples' worth*: the tokens of as many answers of mean length as the policy
samples. It pays for all that a method writes and for all that the verifier reads; what was pruned
has been paid for, and no method exceeds it. Prefixes that are read again are not counted, for
writer and verifier alike. The picture has the accuracy over the tokens that were really spent.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm import checkpoint, cli, curves, files, inference, machine
from minilrm.beginnings import named_or_base
from minilrm.errors import UserError
from minilrm.inference import METHODS, Answer, Driver
from minilrm.intervals import mean, wilson_interval
from minilrm.options import chat_option, device_option, option, options_table, threads_option
from minilrm.rollout import fitting
from minilrm.sampler import Engine
from minilrm.scorers import verifier
from minilrm.tasks import TASKS, Problem, Task, get_task, traced_tasks

BUDGETS = "1,2,4,8,16,32,64"
PROBES = 200  # validation problems whose answers say what a sample is worth


@dataclass
class Options:
    """Compare methods of inference at equal tokens."""

    task: str = option("countdown", "whose problems", choices=TASKS)
    checkpoint: str | None = option(
        None,
        "who answers: a shipped model, a checkpoint or a run folder; the task's base if not given",
    )
    scorer: str = option(
        "likelihood",
        "the verifier: checker (the task's exact rule), likelihood (the model's own), or the "
        "checkpoint or run folder of a reward model",
    )
    methods: str | None = option(
        None, "which, with commas between; if not given, all that the task allows"
    )
    budgets: str = option(BUDGETS, "in samples' worth of tokens, with commas between")
    split: str = option("test", "of the problems", choices=("validation", "test"))
    n: int = option(1000, "problems", minimum=1)
    seed: int = option(0, "seed of the samples", minimum=0)
    chat: bool = chat_option()
    out: Path | None = option(None, "folder for compare.json and compare.png")
    device: str = device_option()
    threads: int | None = threads_option()


def main(options: Options) -> None:
    if options.out and options.out.exists():
        raise UserError(f"--out {options.out} is there already; choose another folder")
    names, worths = chosen(options), numbers(options.budgets)
    device = machine.choose_device(options.device)
    machine.raise_malloc_thresholds()
    machine.set_threads(options.threads)
    task = get_task(options.task)
    where = named_or_base(options.checkpoint, task, "--checkpoint")
    _, model, tokenizer, _ = checkpoint.open_model(where, device)
    if options.chat:
        tokenizer.start_chat()
    scorer = verifier(options.scorer, task, tokenizer, device)
    print(options_table(options), flush=True)
    driver = Driver(Engine(model), tokenizer, task, scorer, options.seed)
    room = model.config.max_seq_len - task.max_new_tokens
    problems = fitting(task, tokenizer, task.problems(options.split, options.n), room)
    unit = worth(driver, fitting(task, tokenizer, task.problems("validation", PROBES), room))
    print(f"a sample is worth {unit:.1f} tokens")
    result = compare(driver, problems, names, [round(w * unit) for w in worths])
    result |= {
        "task": task.name, "checkpoint": str(where), "scorer": options.scorer, "unit": unit,
        "split": options.split, "n": len(problems), "seed": options.seed,
        "machine": machine.describe(device),
    }  # fmt: skip
    print(table(result))
    if options.out:
        options.out.mkdir(parents=True)
        files.write_json_atomic(options.out / "compare.json", result)
        files.write_bytes_atomic(options.out / "compare.png", draw(result))
        print(f"written: {options.out / 'compare.json'} and compare.png")


def chosen(options: Options) -> list[str]:
    """The methods that were asked for; else all that make sense: `retry` where answers have
    attempts to repeat, examples and plans where they have none."""
    traced = options.task in traced_tasks()
    if options.methods is None:
        left_out = ("few-shot", "plan-verify") if traced else ("retry", "plan-verify")
        return [name for name in METHODS if name not in left_out]
    names = [name.strip() for name in options.methods.split(",")]
    for name in names:
        if name not in METHODS:
            raise UserError(f"no method is called {name!r}; there are {', '.join(METHODS)}")
    return names


def numbers(budgets: str) -> list[float]:
    try:
        found = [float(text) for text in budgets.split(",")]
    except ValueError:
        found = []
    if not found or not all(0 < b < math.inf for b in found):
        raise UserError(
            f"--budgets {budgets}: numbers above 0, with commas between, such as 1,4,16"
        )
    return found


# -- the comparison --------------------------------------------------------------------------------


def worth(driver: Driver, problems: Sequence[Problem]) -> float:
    """The mean length of a sampled answer, in tokens."""
    return mean([a.tokens for a in driver.solve(inference.sample, problems, 10**6)])


def compare(
    driver: Driver, problems: Sequence[Problem], names: Sequence[str], budgets: Sequence[int]
) -> dict[str, Any]:
    """name -> budget by budget: accuracy with its interval, and what it cost."""
    found: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        method, _ = METHODS[name]
        rows = []
        for budget in budgets:
            started = time.perf_counter()
            answers = driver.solve(method, problems, budget)
            rows.append(figures(driver.task, problems, answers, budget))
            rows[-1]["seconds"] = time.perf_counter() - started
            print(f"{name}, {budget} tokens: {rows[-1]['accuracy']:.1%}", flush=True)
            if len(rows) > 1 and rows[-1]["tokens"] == rows[-2]["tokens"]:
                break  # more budget changes nothing: one answer is all that it gives
        found[name] = rows
    return {"budgets": list(budgets), "methods": found}


def figures(
    task: Task, problems: Sequence[Problem], answers: Sequence[Answer], budget: int
) -> dict[str, Any]:
    right = [task.grade(p, a.text).correct for p, a in zip(problems, answers, strict=True)]
    return {
        "budget": budget,
        "accuracy": mean(right),
        "ci": wilson_interval(sum(right), len(right)),
        "tokens": mean([a.tokens for a in answers]),
        "verifier_tokens": mean([a.verifier_tokens for a in answers]),
        "calls": mean([a.calls for a in answers]),
        "right": "".join(str(int(r)) for r in right),
    }


def pareto(result: dict[str, Any]) -> list[tuple[float, float, str]]:
    """What no other setting beats with fewer or equally many tokens: (tokens, accuracy, method)."""
    points = sorted(
        (row["tokens"] + row["verifier_tokens"], -row["accuracy"], name)
        for name, rows in result["methods"].items()
        for row in rows
    )
    front: list[tuple[float, float, str]] = []
    for tokens, loss, name in points:
        if -loss > (front[-1][1] if front else 0.0):  # never right is no bargain
            front.append((tokens, -loss, name))
    return front


# -- for a person ----------------------------------------------------------------------------------


def table(result: dict[str, Any]) -> str:
    """Accuracy by method and budget."""
    budgets = result["budgets"]
    lines = [f"{'tokens':<14}" + "".join(f"{b:>8}" for b in budgets)]
    for name, rows in result["methods"].items():
        lines.append(f"{name:<14}" + "".join(f"{row['accuracy']:>8.1%}" for row in rows))
    front = ", ".join(f"{name} ({tokens:.0f}: {a:.1%})" for tokens, a, name in pareto(result))
    return "\n".join([*lines, f"Pareto front: {front}"])


@curves.style()
def draw(result: dict[str, Any]) -> bytes:
    """Accuracy over tokens: chains at the left, search at the right, the front behind both."""
    figure, panels = curves.panels(2, height=3.2)
    groups = {
        "Many chains": ("direct", "retry", "majority", "adaptive", "best-of-n", "weighted"),
        "Search": ("weighted", "beam", "dvts", "tree", "mcts"),
    }
    front = pareto(result)
    for axes, (title, names) in zip(panels, groups.items(), strict=True):
        axes.step(
            [x for x, _, _ in front], [y for _, y, _ in front], where="post",
            color=curves.REFERENCE.color, linewidth=3.5, alpha=0.35, linestyle="-",
        )  # fmt: skip
        for name, look in zip(names, curves.LOOKS, strict=False):
            rows = result["methods"].get(name, ())
            x = [row["tokens"] + row["verifier_tokens"] for row in rows]
            axes.plot(
                x, [row["accuracy"] for row in rows], color=look.color, linestyle=look.dash,
                marker=look.marker, label=name,
            )  # fmt: skip
        axes.set_xscale("log", base=2)
        curves.frame(axes, title, x="tokens, verifier's included", share=True)
        axes.legend(fontsize=8)
    return curves.png(figure)


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.compare", description=Options.__doc__)
