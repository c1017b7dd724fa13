"""How far does reasoning carry? Each rung of a task's ladder, with its own interval.

    python -m minilrm.evaluate --checkpoint stories-base --ladder

A rung varies one thing that training never shows (`Task.rungs` says which, in a line). Every rung
is answered greedily, greedily with thinking forced by the prompt, and sampled once. The second is
the baseline of equal decoding: a policy that has only learnt *when* to think is no better than its
base with thinking forced.
"""

from collections.abc import Callable, Sequence
from typing import Any

from minilrm.evaluate.figures import Options, fingerprint, outcome, short
from minilrm.intervals import TOO_FEW
from minilrm.measure import Evaluator
from minilrm.model import Transformer
from minilrm.sampler.workers import beside_this
from minilrm.tasks import FILE_TASK, get_task
from minilrm.tasks.base import Problem, Task
from minilrm.tokenizer import Tokenizer

PROBLEMS = 500  # of a rung, unless --n was given
LONGEST_OF_FILE = 3  # steps of a problem of the user's file that is asked
WAYS = {"greedy": ("plain", 0.0), "greedy_forced": ("cot", 0.0), "sampled": ("plain", 1.0)}


def rungs_of(task: Task, options: Options) -> dict[str, tuple[Task, str, Sequence[Problem]]]:
    """name -> (task that grades, what the rung varies, problems). Last the short problems of the
    user's own file, if there is one."""
    n = options.n if "n" in options.given else PROBLEMS
    found: dict[str, tuple[Task, str, Sequence[Problem]]] = {
        name: (task, meaning, task.rung_problems(name, n, options.split))
        for name, meaning in task.rungs.items()
    }
    if options.data:
        file_task = get_task(FILE_TASK, data=options.data, split_all=True)
        of_file = [p for p in file_task.problems("test", 10**9) if p.difficulty <= LONGEST_OF_FILE]
        name = options.data.name
        found[name] = (file_task, f"problems of {name} of at most 3 steps", of_file[:n])
    return found


def climb(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    options: Options,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """rung -> its meaning and its figures, one way of answering after the other."""
    rungs = {}
    for name, (grader, meaning, problems) in rungs_of(task, options).items():
        report(f"{name}: {meaning}")
        limit = options.max_new_tokens or task.max_new_tokens
        ways = in_each_way(model, tokenizer, grader, problems, limit, options.seed, report)
        rungs[name] = {"meaning": meaning, **ways}
    return {"task": task.name, "split": options.split, "seed": options.seed, "rungs": rungs}


def in_each_way(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    max_new_tokens: int,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """way of WAYS -> the figures of its answers to these problems, and who was right."""
    evaluator = Evaluator(
        model,
        tokenizer,
        task,
        list(problems),
        max_new_tokens,
        seed,
        None,
        styles=("plain", "cot"),
        report=report,
        workers=beside_this(next(model.parameters()).device),
    )
    figures: dict[str, Any] = {}
    for way, (style, temperature) in WAYS.items():
        groups = evaluator(temperature, style)
        figures[way] = {**short(groups), "outcomes": outcome(groups)}
    return figures | {"problems_sha256": fingerprint(evaluator.problems)}


def ladder_table(result: dict[str, Any]) -> str:
    """The ladder for a person to read."""
    lines = [f"{'rung':<20}{'greedy':>8}  {'95 %':<13}{'forced':>7}{'sampled':>9}{'n':>6}"]
    for name, figures in result["rungs"].items():
        greedy = figures["greedy"]
        if greedy["n"] < TOO_FEW:
            lines.append(f"{name:<20}too few (n = {greedy['n']})")
            continue
        low, high = greedy["ci"]
        forced, sampled = (figures[way]["accuracy"] for way in ("greedy_forced", "sampled"))
        lines.append(
            f"{name:<20}{greedy['accuracy']:8.1%}  {f'{low:.0%} to {high:.0%}':<13}"
            f"{forced:7.1%}{sampled:9.1%}{greedy['n']:6}"
        )
    return "\n".join(lines)
