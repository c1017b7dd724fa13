"""Reflection taken away, and what that proves.

The word is banned at decoding, so nothing of the model changes but what it may say. Accuracies are
compared over the same problems, with the same random numbers.
"""

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from minilrm import machine
from minilrm.errors import UserError
from minilrm.intervals import TOO_FEW, mean, paired_bootstrap
from minilrm.model import Transformer
from minilrm.reflection.reading import Groups, flatten, measures, traced
from minilrm.rollout import Episode, fitting, rollout
from minilrm.sampler import Ban
from minilrm.tasks.base import Problem, Task
from minilrm.tasks.traces import REFLECTION_WORD
from minilrm.tokenizer import Tokenizer

CORRECTED_PER_SPOILED = 5  # what reflection must correct for one answer that it spoils
SEEDS = 3  # fewer make no claim


# -- taking reflection away ------------------------------------------------------------------------


def reflection_ids(tokenizer: Tokenizer) -> list[int]:
    """The tokens without which the reflection word cannot be said, in one piece or several.

    Those that hold it, and those that end in its beginning ("w", " wa"), which the next token might
    complete. The traces have no other word that begins so; the "wer" of "answer" stays allowed.
    """
    begun = "|".join(REFLECTION_WORD[:k] for k in range(1, len(REFLECTION_WORD)))
    dangerous = re.compile(rf"{REFLECTION_WORD}|(?:^|[^A-Za-z])(?:{begun})$".encode())
    return [i for i in range(len(tokenizer)) if dangerous.search(tokenizer.token_bytes(i))]


def ban_reflection(tokenizer: Tokenizer) -> Callable[[int, list[int]], Ban]:
    """An `allowed` hook for `sampler.generate` that makes the reflection word impossible: one and
    the same ban always."""
    ban = Ban(tuple(reflection_ids(tokenizer)))
    return lambda row, ids: ban


def ablate(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    **sampling: Any,
) -> list[list[Episode]]:
    """Groups of answers that cannot reflect. `sampling` as in `rollout`; of it, `seed` must be
    given."""
    sampling = {"max_new_tokens": task.max_new_tokens, **sampling}
    return rollout(model, tokenizer, task, problems, allowed=ban_reflection(tokenizer), **sampling)


def difference(a: Groups, b: Groups) -> dict[str, Any]:
    """Accuracy of `a` less that of `b` on the same problems, with its interval by paired bootstrap
    over the problems.

    Raises ValueError unless the problems are the same, in the same order.
    """
    if [g[0].problem.key for g in a] != [g[0].problem.key for g in b]:
        raise ValueError("accuracies are compared over the same problems in the same order")
    first, second = ([mean([e.grade.correct for e in g]) for g in groups] for groups in (a, b))
    value, low, high = paired_bootstrap(first, second)
    return {"difference": value, "ci": [low, high], "n": len(a), "too_few": len(a) < TOO_FEW}


def ablation_gap(after: Groups, banned: Groups) -> dict[str, Any]:
    """What the model loses when it cannot reflect: accuracy - accuracy with the word banned."""
    return difference(after, banned)


def decompose(before: Groups, after: Groups, banned: Groups) -> dict[str, Any]:
    """The gain of training, split in two that add up to it: better without reflection (sharpening),
    and by reflection.

    Shares are of the gain; None unless its interval is above 0, for shares of nothing mean nothing.
    """
    parts = {
        "gain": difference(after, before),
        "sharpening": difference(banned, before),
        "retrying": difference(after, banned),
    }
    gained = parts["gain"]["ci"][0] > 0 and not parts["gain"]["too_few"]
    for part in parts.values():
        part["share"] = part["difference"] / parts["gain"]["difference"] if gained else None
    return parts


# -- judging ---------------------------------------------------------------------------------------


def verdict(before: dict[str, Any], after: dict[str, Any], gap: dict[str, Any]) -> dict[str, Any]:
    """The verdict on one seed: {"verdict", "conditions", "failed", "evidence"}.

    before, after: from `measures`; gap: from `ablation_gap`. "Rose" means that the intervals do not
    touch. A condition is None where it rests on fewer than 20 cases (a base whose first tries
    hardly ever fail); if the verdict then hangs on it, it is "too few".
    """
    retry = before["retry_rate"], after["retry_rate"]
    conditions = {
        "retry_rate_rose": None
        if any(r["too_few"] for r in retry)
        else retry[1]["ci"][0] > retry[0]["ci"][1],
        "corrected_5_times_spoiled": 0
        < after["corrected"]
        >= CORRECTED_PER_SPOILED * after["spoiled"],
        "ablation_gap_above_0": None if gap["too_few"] else gap["ci"][0] > 0,
    }
    if conditions["retry_rate_rose"] is False:
        word = "absent"
    elif False in conditions.values() and conditions["retry_rate_rose"]:
        word = "superficial"
    else:
        word = "too few" if None in conditions.values() else "load-bearing"
    failed = [name for name, held in conditions.items() if held is False]
    return {
        "verdict": word,
        "conditions": conditions,
        "failed": failed,
        "evidence": {
            "retry_rate_before": retry[0],
            "retry_rate_after": retry[1],
            "corrected": after["corrected"],
            "spoiled": after["spoiled"],
            "ablation_gap": gap,
        },
    }


def verdict_over_seeds(verdicts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One verdict from those of the seeds, the weakest of them: a claim holds if it holds in every
    seed.

    `claim` is False for fewer than three seeds, and where they differ. Of retry rate and ablation
    gap it keeps mean, minimum, maximum and each.
    """
    if not verdicts:
        raise ValueError("no seeds, no verdict")
    each = [v["verdict"] for v in verdicts]
    word = next((w for w in ("absent", "too few", "superficial") if w in each), "load-bearing")
    gaps = [v["evidence"]["ablation_gap"]["difference"] for v in verdicts]
    rates = [v["evidence"]["retry_rate_after"]["rate"] for v in verdicts]
    claim = len(verdicts) >= SEEDS and len(set(each)) == 1
    return {
        "verdict": word,
        "claim": claim,
        "each": each,
        "failed": [v["failed"] for v in verdicts],
        "retry_rate": over_seeds(rates),
        "ablation_gap": over_seeds(gaps),
    }


def over_seeds(values: Sequence[float | None]) -> dict[str, Any] | None:
    each = [value for value in values if value is not None]
    if len(each) < len(values):
        return None
    return {"mean": mean(each), "minimum": min(each), "maximum": max(each), "each": each}


# -- the whole of it -------------------------------------------------------------------------------


def study(
    model_before: Transformer | None,
    model_after: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    *,
    seed: int = 0,
    temperature: float = 1.0,
    samples: int = 1,
    max_new_tokens: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Everything about one trained model, ready for JSON: `after`, `after_banned`, `ablation_gap`,
    and, given the model that it was trained from, `before`, `decomposition` and `verdict`. All
    answer the same problems with the same seed.

    `right` keeps which answers were right (the first sample of each problem: "0110..."). `report`
    is told of each pass. Raises UserError for a task without traces.
    """
    traced(task)  # complain before the work, not after
    started = time.perf_counter()
    models = [model for model in (model_before, model_after) if model is not None]
    context = min(model.config.max_seq_len for model in models)
    limit = max_new_tokens or task.max_new_tokens
    asked = fitting(task, tokenizer, problems, context - limit)
    if not asked:
        raise UserError(
            f"no prompt leaves room for {limit} new tokens in a context of {context}; lower "
            "max_new_tokens"
        )
    figures = {
        "task": task.name,
        "n": len(asked),
        "too_long": len(problems) - len(asked),
        "samples": samples,
        "seed": seed,
        "temperature": temperature,
        "max_new_tokens": limit,
    }
    sampling = {
        "seed": seed,
        "temperature": temperature,
        "max_new_tokens": limit,
        "group_size": samples,
    }
    groups = answer_all(model_before, model_after, tokenizer, task, asked, sampling, report)
    right = {
        name: "".join(str(int(g[0].grade.correct)) for g in answers)
        for name, answers in groups.items()
    }
    seconds = time.perf_counter() - started
    return {**figures, **judged(task, groups), "right": right, "seconds": seconds}


def answer_all(
    model_before: Transformer | None,
    model_after: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    sampling: dict[str, Any],
    report: Callable[[str], None],
) -> dict[str, list[list[Episode]]]:
    """The answers of each pass: before, after, and after with the word banned."""
    started, device = time.perf_counter(), next(model_after.parameters()).device
    dtype = torch.bfloat16 if machine.bfloat16_pays(device) else None
    passes: dict[str, tuple[Callable[..., Any], Transformer | None]] = {
        "before": (rollout, model_before),
        "after": (rollout, model_after),
        "after_banned": (ablate, model_after),
    }
    groups = {}
    for name, (ask, model) in passes.items():
        if model is not None:
            groups[name] = ask(model, tokenizer, task, problems, dtype=dtype, **sampling)
            accuracy = mean([e.grade.correct for e in flatten(groups[name])])
            report(f"{name}: {accuracy:.1%} right, {time.perf_counter() - started:.0f} s so far")
    return groups


def judged(task: Task, groups: dict[str, list[list[Episode]]]) -> dict[str, Any]:
    """The measures of each pass, what separates them, and the verdict if there is a pass before."""
    result: dict[str, Any] = {name: measures(task, answers) for name, answers in groups.items()}
    gap = ablation_gap(groups["after"], groups["after_banned"])
    if "before" in groups:
        result["decomposition"] = decompose(
            groups["before"], groups["after"], groups["after_banned"]
        )
        result["verdict"] = verdict(result["before"], result["after"], gap)
    return {**result, "ablation_gap": gap}
