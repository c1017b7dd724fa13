"""Labels of steps: what a judge of steps learns from, and what it is measured by.

An answer is cut into steps where a token ends one (`Task.step_ends`). A label in [0, 1] says of
each whether the attempt that it belongs to can still become right. It comes from the task's own
rule, or from a person. (A model that gives an attempt up and begins another one may be right in the
end all the same: what continuations find is another quantity.)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm.errors import UserError
from minilrm.files import read_jsonl
from minilrm.intervals import mean
from minilrm.rollout import Episode
from minilrm.scorers import ByModel, Written
from minilrm.tasks import Task
from minilrm.tokenizer import Tokenizer

#: what a person's verdict is worth; of a step on which they are unsure nothing is learnt
VALUES = {"up": 1.0, "no progress": 1.0, "down": 0.0}


@dataclass(frozen=True)
class Judged:
    """An answer with its labels: ids of prompt and completion, the places of the tokens that end a
    step, and a label in [0, 1] for each."""

    ids: list[int]
    places: list[int]
    labels: list[float]


# -- the truth -------------------------------------------------------------------------------------


def step_places(e: Episode, judge: ByModel) -> list[int]:
    """Where the steps of an answer end, as places in prompt and completion together; its last token
    always does."""
    ids = [*e.prompt_ids, *e.completion_ids]
    found = [p for p in range(len(e.prompt_ids), len(ids)) if judge.ends_step[ids[p]]]
    return found if found and found[-1] == len(ids) - 1 else [*found, len(ids) - 1]


def exact_label(task: Task, tokenizer: Tokenizer, e: Episode, place: int) -> float:
    """Whether the attempt at this place can still become right; at the end, whether it is."""
    ids = e.completion_ids[: place + 1 - len(e.prompt_ids)]
    ended = ids[-1] in tokenizer.end_ids
    if ended:
        return float(e.grade.correct)
    labels = task.step_labels(e.problem, tokenizer.decode(ids))
    return float(bool(labels) and labels[-1])


@dataclass(frozen=True)
class Verdicts:
    """What a judge said of the steps of one answer, and what is true: [steps] each."""

    scores: Sequence[float]
    truth: Sequence[bool]

    def said(self, threshold: float) -> list[bool]:
        """Which steps the judge holds for right."""
        return [score > threshold for score in self.scores]

    @property
    def until(self) -> int:
        """How many steps there are up to the first wrong one, which is the last that counts."""
        return self.truth.index(False) + 1 if False in self.truth else len(self.truth)


def verdicts(judge: ByModel, answers: Sequence[Episode]) -> list[Verdicts]:
    """A judge's scores of all steps, beside the exact labels."""
    task, tokenizer = judge.task, judge.tokenizer
    pieces = [Written(tuple(e.completion_ids), e.text, len(e.completion_ids), 0.0) for e in answers]
    found = judge([(e.problem, piece) for e, piece in zip(answers, pieces, strict=True)])
    rows = []
    for e, scores in zip(answers, found, strict=True):
        places = step_places(e, judge)[: len(scores)]
        rows.append(Verdicts(scores, [exact_label(task, tokenizer, e, p) > 0.5 for p in places]))
    return rows


def against_the_truth(rows: Sequence[Verdicts], threshold: float = 0.5) -> dict[str, float]:
    """How a judge of steps does against the exact labels.

    error_accuracy: of the answers with a wrong step, the share whose first wrong step is the first
    that the judge holds for wrong (score at most `threshold`). right_accuracy: of those without
    one, the share of which it holds no step for wrong. f1: their harmonic mean, 0 where one of them
    is (ProcessBench, 2412.06559, where an answer with a wrong step is a wrong answer).
    step_accuracy: of all steps up to the first wrong one. brier: mean squared error of their
    scores.
    """
    wrong, right, steps, errors = [], [], [], []
    for row in rows:
        said, until = row.said(threshold), row.until
        steps += [a == b for a, b in zip(said[:until], row.truth[:until], strict=True)]
        errors += [(s - t) ** 2 for s, t in zip(row.scores[:until], row.truth[:until], strict=True)]
        if False in row.truth:
            wrong.append(False in said and said.index(False) == row.truth.index(False))
        else:
            right.append(all(said))
    low, high = mean(wrong), mean(right)
    return {
        "error_accuracy": low,
        "right_accuracy": high,
        "f1": 2 * low * high / (low + high) if low * high else min(low, high),
        "step_accuracy": mean(steps),
        "brier": sum(errors) / max(1, len(errors)),
        "n_wrong": len(wrong),
        "n_right": len(right),
    }


def best_threshold(rows: Sequence[Verdicts]) -> float:
    """The threshold with the greatest f1 on these answers. ProcessBench chooses it so, on problems
    that it does not report: where right steps are rare, few scores pass one half."""

    def f1(threshold: float) -> float:
        value = against_the_truth(rows, threshold)["f1"]
        return -1.0 if math.isnan(value) else value

    return max((k / 50 for k in range(1, 50)), key=f1)


# -- people ----------------------------------------------------------------------------------------


def read_feedback(path: Path, task: Task) -> list[Judged]:
    """The answers that people have judged, each with the labels of its steps. UserError for a file
    of another task, and one without labels."""
    answers: dict[tuple[Any, ...], Judged] = {}
    for record in standing(read_jsonl(path)):
        if record.get("task") != task.name:
            raise UserError(f"{path} holds labels for {record.get('task')}, not for {task.name}")
        if record["label"] not in VALUES:
            continue
        prompt, ids = record["prompt_ids"], record["ids"]
        name = (record["labeller"], record["answer"], tuple(prompt))
        known = answers.get(name, Judged([], [], []))
        answers[name] = Judged(
            max(known.ids, [*prompt, *ids], key=len),
            [*known.places, len(prompt) + len(ids) - 1],
            [*known.labels, VALUES[record["label"]]],
        )
    if not answers:
        raise UserError(f"{path} holds no labels to learn from")
    return list(answers.values())


def standing(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The labels that were not taken back.

    >>> label = {"answer": 0, "step": 1, "label": "up"}
    >>> standing([label, {"undo": [0, 1]}])
    []
    """
    kept: list[dict[str, Any]] = []
    for record in records:
        if "undo" in record:
            kept = [r for r in kept if [r["answer"], r["step"]] != record["undo"]]
        elif "label" in record:
            kept.append(record)
    return kept
