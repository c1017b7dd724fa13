"""Traces read and counted: what each completion did, and every rate by the cases that it counts.

The parser of the grammar is the task's own (`Task.parse_trace`), and so is the judge of an attempt
(`Task.attempt_right`): both are exact, so nothing here is a guess about what a model "meant". Most
mistakes in figures of this kind are mistakes of the denominator, so all denominators stand in one
table, `RATES`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from minilrm import devices
from minilrm.errors import UserError
from minilrm.intervals import TOO_FEW, mean, wilson_interval
from minilrm.rollout import Episode
from minilrm.tasks import TracedTask, traced_tasks
from minilrm.tasks.base import Problem, Task
from minilrm.tasks.traces import REFLECTION_WORD, Trace

Groups = Sequence[Sequence[Episode]]


# -- reading one completion ------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """What one completion did.

    attempts: (right, accepted) of each; accepted is None where the text breaks off before the
    check's verdict. first_right: None where there is no first try that can be read up to its
    verdict (an answer out of the blue, noise, a text cut before). final_right: the grade of the
    answer. retried: there is a second attempt, announced or not. reflected: an attempt is announced
    by the reflection word. repeats: attempts that equal an earlier one. fails_check: of each
    attempt, whether its writer's own check, done with care, would have said no.
    """

    trace: Trace
    attempts: tuple[tuple[bool, bool | None], ...]
    first_right: bool | None
    final_right: bool
    retried: bool
    reflected: bool
    cut: bool
    repeats: int
    fails_check: tuple[bool, ...]


def traced(task: Task) -> TracedTask:
    """The same task, known to have traces; UserError if it has none."""
    if isinstance(task, TracedTask):
        return task
    raise UserError(
        f"the task {task.name!r} has no traces to read reflection from; choose one that has: "
        + ", ".join(traced_tasks())
    )


def read(task: Task, episode: Episode) -> Reading:
    """Parse a graded completion. Raises UserError for a task without traces."""
    task = traced(task)
    trace = task.parse_trace(episode.text)
    attempts = tuple((task.attempt_right(episode.problem, a), a.accepted) for a in trace.attempts)
    judged_first = bool(attempts) and attempts[0][1] is not None
    return Reading(
        trace,
        attempts,
        first_right=attempts[0][0] if judged_first else None,
        final_right=episode.grade.correct,
        retried=len(attempts) > 1,
        reflected=trace.reflections > 0,
        cut=episode.finish_reason == "length",
        repeats=len(attempts) - len({a.content for a in trace.attempts}),
        fails_check=tuple(task.fails_check(episode.problem, a) for a in trace.attempts),
    )


# -- counting --------------------------------------------------------------------------------------

#: A rate is defined by the cases that a completion contributes: none, one, or one an attempt.
RATES: dict[str, Callable[[Reading], list[bool]]] = {
    "reflection_rate": lambda r: [r.reflected],
    # of failed first tries alone
    "retry_rate": lambda r: [r.retried] if r.first_right is False else [],
    # of all: no readable first try is not right
    "first_try_accuracy": lambda r: [r.first_right is True],
    "final_accuracy": lambda r: [r.final_right],
    "false_accept": lambda r: [
        accepted for right, accepted in r.attempts if accepted is not None and not right
    ],
    # of wrong attempts that the check would catch
    "careless_accept": lambda r: [
        accepted
        for (_, accepted), fails in zip(r.attempts, r.fails_check, strict=True)
        if accepted is not None and fails
    ],
    "false_reject": lambda r: [
        not accepted for right, accepted in r.attempts if accepted is not None and right
    ],
    # of second and later attempts
    "repeated_attempts": lambda r: [i < r.repeats for i in range(len(r.attempts) - 1)],
    "well_formed": lambda r: [r.trace.well_formed],
    "cut": lambda r: [r.cut],
}


def share(clusters: Iterable[Sequence[bool]]) -> dict[str, Any]:
    """A rate of cases that come in clusters (the attempts of a completion, the completions of a
    problem).

    Wilson's interval takes cases as independent. Those of one cluster are not, so n is divided by
    the design effect (Kish 1965): how much more the clusters' sums vary than independent cases
    would.

        effect = max(1, sum_c (hits_c - p n_c)^2 / (n p (1 - p)))

    With one case per cluster it is exactly 1. Where p is 0 or 1 nothing varies, and a cluster is
    taken for one case. Fewer than 20 cases make no rate.

    >>> some = share([[True]] * 8 + [[False]] * 32)
    >>> some["rate"], some["count"], some["n"], [round(x, 3) for x in some["ci"]]
    (0.2, 8, 40, [0.105, 0.348])
    >>> twice = share([[True, True]] * 8 + [[False, False]] * 32)  # the same, each case told twice
    >>> [round(x, 3) for x in twice["ci"]]
    [0.105, 0.348]
    >>> share([[True]] * 19)
    {'rate': None, 'count': 19, 'n': 19, 'ci': None, 'too_few': True}
    """
    clusters = [c for c in clusters if c]
    count, n = sum(map(sum, clusters)), sum(map(len, clusters))
    if n < TOO_FEW:
        return {"rate": None, "count": count, "n": n, "ci": None, "too_few": True}
    p = count / n
    chance = n * p * (1 - p)
    effect = (
        max(1.0, sum((sum(c) - p * len(c)) ** 2 for c in clusters) / chance)
        if chance
        else n / len(clusters)
    )
    return {
        "rate": p,
        "count": count,
        "n": n,
        "ci": list(wilson_interval(count / effect, n / effect)),
        "too_few": False,
    }


def average(values: Sequence[float]) -> dict[str, Any]:
    """A mean with its count; of fewer than 20 values it is none."""
    return {
        "mean": mean(values) if len(values) >= TOO_FEW else None,
        "n": len(values),
        "too_few": len(values) < TOO_FEW,
    }


def measures(task: Task, answers: Groups | Sequence[Episode]) -> dict[str, Any]:
    """All measures of reflection over episodes, or groups of them. Raises UserError for a task
    without traces.

    Rates are as in `share`, with the problem as the cluster; means as in `average`.
    `transitions[first][final]` counts completions, first being right, wrong, or none (no readable
    first try), so that

        final right - first right = corrected - spoiled + transitions["none"]["right"]

    Corrected and spoiled compare the first try with the answer, whatever stands between: an answer
    copied wrongly from a right attempt is spoiled too.

    `entropy`: nats per token, estimated by the mean of -logprob of what was sampled; None where
    nothing was left to chance.
    """
    episodes = flatten(answers)
    readings = [read(task, e) for e in episodes]
    by_problem: dict[str, list[Reading]] = {}
    for episode, reading in zip(episodes, readings, strict=True):
        by_problem.setdefault(episode.problem.key, []).append(reading)
    transitions = transition_table(readings)
    logprobs = [x for e in episodes for x, m in zip(e.logprobs, e.mask, strict=True) if m]
    return {
        "n": len(episodes),
        "problems": len(by_problem),
        **{
            name: share([case for r in rs for case in cases(r)] for rs in by_problem.values())
            for name, cases in RATES.items()
        },
        "transitions": transitions,
        "corrected": transitions["wrong"]["right"],
        "spoiled": transitions["right"]["wrong"],
        "attempts": average([len(r.attempts) for r in readings]),
        "mean_length": average([e.length for e in episodes]),
        "mean_length_right": average([e.length for e in episodes if e.grade.correct]),
        "mean_length_wrong": average([e.length for e in episodes if not e.grade.correct]),
        "entropy": -mean(logprobs) if any(logprobs) else None,
        "tokens": sum(e.length for e in episodes),
    }


def flatten(answers: Groups | Sequence[Episode]) -> list[Episode]:
    return [e for a in answers for e in ([a] if isinstance(a, Episode) else a)]


def transition_table(readings: Iterable[Reading]) -> dict[str, dict[str, int]]:
    """Completions by first try (right, wrong, none) and answer (right, wrong)."""
    table = {first: {"right": 0, "wrong": 0} for first in ("right", "wrong", "none")}
    for r in readings:
        table[{True: "right", False: "wrong", None: "none"}[r.first_right]][
            "right" if r.final_right else "wrong"
        ] += 1
    return table


def live(task: Task, groups: Groups) -> dict[str, Any]:
    """A few figures of a training step, for the progress bar and `metrics.jsonl`; {} for a task
    without traces.

    Glimpses of one batch, of all processes that share it, without intervals; None where there was
    no case.
    """
    if not isinstance(task, TracedTask):
        return {}
    readings = [read(task, e) for e in flatten(groups)]
    shown = {"rate": "reflection_rate"} | {
        name: name
        for name in ("retry_rate", "first_try_accuracy", "final_accuracy", "false_accept")
    }
    cases: dict[str, Sequence[float]] = {
        name: [case for r in readings for case in RATES[rate](r)] for name, rate in shown.items()
    }
    cases["attempts"] = [len(r.attempts) for r in readings]
    return devices.means({f"reflection/{name}": values for name, values in cases.items()})


# -- showing one completion ------------------------------------------------------------------------

REFLECTION = re.compile(rf"\b{REFLECTION_WORD}\b,?")


def highlight(task: Task, problem: Problem, text: str) -> list[tuple[str, str]]:
    """A completion cut into (piece, kind), for a page that shows it. The pieces, joined, are the
    text.

    Kinds: attempt-right, attempt-wrong (as judged, not as their writer says), reflection, answer,
    plain. Raises UserError for a task without traces.
    """
    task = traced(task)
    pieces: list[tuple[str, str]] = []
    at = 0
    for attempt in task.parse_trace(text).attempts:
        kind = "attempt-right" if task.attempt_right(problem, attempt) else "attempt-wrong"
        pieces += reflections(text[at : attempt.start])
        pieces.append((text[attempt.start : attempt.end], kind))
        at = attempt.end
    return [piece for piece in pieces + ending(task, text[at:]) if piece[0]]


def ending(task: TracedTask, text: str) -> list[tuple[str, str]]:
    """What stands behind the last attempt: the answer with its mark, and what is around it."""
    before, mark, _ = text.partition(task.mark)
    if not mark:
        return reflections(text)
    answer = text.removesuffix(task.after_answer(text))[len(before) :].rstrip("\n")
    after = text[len(before) + len(answer) :]
    return [*reflections(before), (answer, "answer"), *reflections(after)]


def reflections(text: str) -> list[tuple[str, str]]:
    """What stands between attempts: reflection words, and plain text."""
    pieces: list[tuple[str, str]] = []
    at = 0
    for match in REFLECTION.finditer(text):
        pieces += [(text[at : match.start()], "plain"), (match.group(), "reflection")]
        at = match.end()
    return [*pieces, (text[at:], "plain")]
