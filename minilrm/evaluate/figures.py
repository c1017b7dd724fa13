"""All the figures of a checkpoint on a set of problems."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path

import torch

from minilrm import machine, runlog, tool_use
from minilrm.intervals import (
    calibration,
    majority_at_k,
    mean,
    pass_at_k,
    rate,
)
from minilrm.measure import Evaluator, Groups, Scores
from minilrm.model import Transformer
from minilrm.options import (
    CommandOptions,
    chat_option,
    device_option,
    option,
    seed_option,
    threads_option,
)
from minilrm.rollout import Episode
from minilrm.sampler.workers import beside_this
from minilrm.tasks import TASKS
from minilrm.tasks.base import SPLITS, Problem, Task, problem_rng
from minilrm.tokenizer import Tokenizer
from minilrm.tools import toolbox

TEMPERATURES = (0.0, 0.3, 0.6, 1.0)
REWORDINGS, REWORDED = 4, 250  # how many other wordings, of how many problems


@dataclass
class Options(CommandOptions):
    """Measure a checkpoint: accuracy, pass@k, votes, baselines, with intervals and costs."""

    checkpoint: str = option(
        MISSING, "a checkpoint's folder, a run's (then its last), or the name of a shipped one"
    )
    task: str | None = option(
        None, "what to ask; the checkpoint's own task if not given", choices=TASKS
    )
    split: str = option(
        "test", "which problems; all: the whole of --data", choices=(*SPLITS, "all")
    )
    n: int = option(1000, "problems", minimum=1)
    samples: int = option(8, "answers to each problem, for pass@k and votes", minimum=1)
    seed: int = seed_option("seed of the samples")
    temperature: float = option(1.0, "of the main figures; 0 is greedy", minimum=0)
    max_new_tokens: int | None = option(
        None, "longest answer; the task's own limit if not given", minimum=1
    )
    quick: bool = option(False, "skip the baselines: temperatures, forced thinking, other wordings")
    ladder: bool = option(False, "ask every rung of the task's ladder instead of a split")
    tools: str | None = tool_use.tools_option()
    database: Path | None = tool_use.database_option()
    data: Path | None = option(
        None, "file of problems of your own, for --task gsm8k, or as a last rung of --ladder"
    )
    chat: bool = chat_option()
    out: Path | None = option(None, "JSON file for the result")
    device: str = device_option()
    threads: int | None = threads_option()


# -- final figures ---------------------------------------------------------------------------------


def evaluate(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    options: Options,
    report: Callable[[str], None] = lambda line: None,
) -> dict:
    """All the figures of a checkpoint on these problems, as one JSON object (see the head of this
    file).

    `report` is told of every pass as it ends.
    """
    started = time.perf_counter()
    device = next(model.parameters()).device
    dtype = torch.bfloat16 if machine.bfloat16_pays(device) else None
    evaluator = Evaluator(
        model,
        tokenizer,
        task,
        list(problems),
        options.max_new_tokens or task.max_new_tokens,
        options.seed,
        dtype,
        styles=("plain",) if options.quick else ("plain", "cot"),
        report=report,
        workers=beside_this(device),
        tools=toolbox(options.tools, options.database, task),
    )
    figures = main_figures(evaluator, options)
    return figures | {
        "problems_sha256": fingerprint(evaluator.problems),
        "tokens": evaluator.tokens,
        "seconds": time.perf_counter() - started,
        "peak_memory_mb": machine.peak_memory_mb(),
        "decoding_dtype": str(dtype or next(model.parameters()).dtype).removeprefix("torch."),
        "machine": machine.describe(device),
        "version": runlog.version(),
        "checkpoint": options.checkpoint,
    }


def main_figures(evaluator: Evaluator, options: Options) -> dict:
    """What the samples at the one temperature tell, and the baselines beside them."""
    # At temperature 0 all samples are alike.
    samples = options.samples if options.temperature > 0 else 1
    groups = evaluator(options.temperature, samples=samples)
    first, greedy = firsts(groups), evaluator(0.0) if options.temperature > 0 else groups
    outcomes = {"sampled": outcome(first), "greedy": outcome(greedy)}
    figures = {
        "task": evaluator.task.name,
        "split": options.split,
        "n": len(groups),
        "samples": samples,
        "seed": options.seed,
        "temperature": options.temperature,
        "max_new_tokens": evaluator.max_new_tokens,
        "too_long": evaluator.too_long,
        **sampled_figures(first),
        "accuracy_all_samples": Scores.of(groups).accuracy,
        "greedy": short(greedy)["accuracy"],
        "greedy_ci": short(greedy)["ci"],
        **several_figures(evaluator.task, groups),
        "by_steps": breakdown(first, lambda p: p.difficulty),
        "by_language": breakdown(first, lambda p: p.meta.get("language", "en")),
        "by_ood": breakdown(first, lambda p: p.meta.get("ood")),
        "reasons": dict(Counter(e.grade.reason for group in first for e in group).most_common()),
    }
    if evaluator.tools:
        figures["tools"] = tool_use.figures(evaluator.task, [group[0] for group in first])
    if not options.quick:
        figures |= baselines(evaluator, options.temperature, first, greedy, outcomes)
    return figures | {"outcomes": outcomes}


def firsts(groups: Groups) -> list[list[Episode]]:
    """The first sample of each problem."""
    return [[group[0]] for group in groups]


def outcome(groups: Groups) -> str:
    """Which problems were right, one character per problem: "0110..."; `[int(c) for c in ...]`
    goes into `paired_bootstrap`."""
    return "".join(str(int(group[0].grade.correct)) for group in groups)


def fingerprint(problems: Sequence[Problem]) -> str:
    """Equal for two results on the same problems in the same order: only then may their outcomes be
    paired."""
    return hashlib.sha256(
        "\n".join(p.key + "\t" + p.prompt for p in problems).encode("utf-8", "replace")
    ).hexdigest()


def short(groups: Groups) -> dict:
    """The figures of a baseline: one answer per problem."""
    scores = Scores.of(groups)
    return {
        **rate([group[0].grade.correct for group in groups]),
        "think_rate": scores.think_rate,
        "mean_length": scores.mean_length,
        "tokens": scores.tokens,
    }


def sampled_figures(first: Groups) -> dict:
    """The main figures, from one sample per problem."""
    episodes = [group[0] for group in first]
    figures = Scores.of(first).as_dict()
    for name, thinks in (("thinking", True), ("reflex", False)):
        found = rate([e.grade.correct for e in episodes if e.thinks == thinks])
        figures |= {
            f"accuracy_{name}": found["accuracy"],
            f"accuracy_{name}_ci": found["ci"],
            f"{name}_n": found["n"],
        }
    figures["mean_length_right"] = mean([e.length for e in episodes if e.grade.correct])
    figures["mean_length_wrong"] = mean([e.length for e in episodes if not e.grade.correct])
    for name in ("tokens", "seconds"):  # the result's own counts are those of all passes
        del figures[name]
    return figures


def several_figures(task: Task, groups: Groups) -> dict:
    """What several samples of each problem tell: pass@k, votes among k, and how far a clear vote
    can be trusted."""
    n = len(groups[0])
    ks = sorted({k for k in (1, 2, 4, 8, 16, 32, 64) if k <= n} | {n})
    votes = [
        ([task.vote_key(e.problem, e.grade.answer) for e in g], [e.grade.correct for e in g])
        for g in groups
    ]
    return {
        "pass_at_k": {k: mean([pass_at_k(n, sum(correct), k) for _, correct in votes]) for k in ks},
        "majority_at_k": {
            k: mean([majority_at_k(keys, correct, k) for keys, correct in votes]) for k in ks
        },
        "calibration": calibration(votes) if n >= 4 else None,
    }


def breakdown(groups: Groups, by: Callable[[Problem], object]) -> dict:
    """Accuracy by some property of the problem; problems where that is None are left out."""
    cells: dict[object, list[bool]] = {}
    for group in groups:
        cells.setdefault(by(group[0].problem), []).append(group[0].grade.correct)
    return {
        str(name): {"n": len(cells[name]), "accuracy": mean(cells[name])}
        for name in sorted((c for c in cells if c is not None), key=lambda c: (str(type(c)), c))
    }


# -- baselines that could explain a gain away ------------------------------------------------------


def baselines(
    evaluator: Evaluator,
    temperature: float,
    first: Groups,
    greedy: Groups,
    outcomes: dict[str, str],
) -> dict:
    """The same problems at other temperatures, with thinking forced by the prompt, and in other
    words."""
    known = {0.0: greedy, temperature: first}
    temperatures = {}
    for t in TEMPERATURES:
        groups = known[t] if t in known else evaluator(t)
        temperatures[f"{t:g}"] = short(groups)
        outcomes[f"temperature {t:g}"] = outcome(groups)
    forced = {}
    for t in (0.0, 1.0):
        groups = evaluator(t, style="cot")
        forced[f"{t:g}"] = short(groups)
        outcomes[f"forced {t:g}"] = outcome(groups)
    best = max(temperatures, key=lambda t: temperatures[t]["accuracy"])
    return {
        "temperatures": temperatures,
        "best_temperature": {"temperature": float(best), **temperatures[best]},
        "thinking_forced": forced,
        "consistency": consistency(evaluator),
    }


def consistency(evaluator: Evaluator) -> dict | None:
    """How often a problem gets one and the same answer in four other wordings, decoded greedily.

    alike: share of problems; accuracy: of all answers. None for a task that has one wording a
    problem. An unreadable answer is like no other.
    """
    families = []
    for i, problem in enumerate(evaluator.problems[:REWORDED]):
        family = [
            evaluator.task.reword(
                problem, problem_rng(evaluator.seed, i * REWORDINGS + j, "reword")
            )
            for j in range(REWORDINGS)
        ]
        if len(evaluator.fitting(family)) == REWORDINGS:
            families.append(family)
    if len({p.prompt for family in families for p in family}) <= len(families):
        return None
    flat = evaluator(0.0, problems=[p for family in families for p in family])
    answers = [evaluator.task.vote_key(e.problem, e.grade.answer) for (e,) in flat]
    alike = [
        None not in four and len(set(four)) == 1
        for four in (answers[i : i + REWORDINGS] for i in range(0, len(answers), REWORDINGS))
    ]
    found = rate(alike)
    return {
        "alike": found["accuracy"],
        "ci": found["ci"],
        "n": len(alike),
        "rewordings": REWORDINGS,
        "accuracy": mean([e.grade.correct for (e,) in flat]),
    }
