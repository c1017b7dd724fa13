"""The record table: how right a model can be on new stories after 10 and after 30 minutes on two
cores, from random weights.

    data/results/records.jsonl    an entry a line, its model left out
    RECORDS.md                    rules and tables, written out of these lines by `render`
    FOLDER/entry.json, model/     an entry as its owner keeps it: `examine` measures it anew
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm import checkpoint, machine
from minilrm.errors import UserError
from minilrm.evaluate import fingerprint
from minilrm.files import read_json, read_log, write_bytes_atomic
from minilrm.intervals import mean, paired_bootstrap, wilson_interval
from minilrm.measure import Evaluator
from minilrm.painter import neutralise
from minilrm.pipeline.stages import fingerprint as fingerprint_of_model
from minilrm.sampler.workers import beside_this
from minilrm.speedrun.card import table
from minilrm.tasks import Problem, get_task

TASK, PROBLEMS = "stories", 1000
BUDGETS = (10, 30)  # minutes
CORES = 2
ROUNDING = 0.005  # another processor rounds otherwise, so a few greedy answers may differ
FRESH = 1  # the seed of test problems that no file and no table has
ENTRY, MODEL, LINES, PAGE = "entry.json", "model", "records.jsonl", "RECORDS.md"


@dataclass(frozen=True)
class Entry:
    """An entry of the table. minutes: the budget; seconds: what was used of it, by the clock on the
    wall. by, how, command: who, in a few words how, and what to run to see it oneself. weights,
    problems: sha256 of the model's weights and of the test problems."""

    minutes: int
    by: str
    how: str
    command: str
    accuracy: float
    n: int
    seconds: float
    threads: int
    parameters: int
    weights: str
    problems: str
    machine: str
    version: str
    date: str


KINDS: dict[str, tuple[Any, str]] = {
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "a text"),
}


def entry_from(record: dict[str, Any], where: Path) -> Entry:
    """An entry out of its line. UserError that names the field which is missing or of another
    kind."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Entry):
        kind, words = KINDS[str(field.type)]
        value = record.get(field.name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UserError(f"{where}: {field.name!r} must be {words}, not {value!r:.60}")
        values[field.name] = value
    return Entry(**values)


def read_entry(folder: Path) -> Entry:
    """The entry of a folder. UserError if there is none, or if it cannot be one."""
    if not (folder / ENTRY).is_file():
        raise UserError(
            f"{folder} is no entry: it has no {ENTRY}; python -m minilrm.speedrun --budget 10 "
            "makes a folder that has one"
        )
    return entry_from(read_json(folder / ENTRY), folder / ENTRY)


# -- measuring -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answers:
    """Test problems and who was right, 0 or 1 a problem."""

    problems: Sequence[Problem]
    right: Sequence[int]

    @property
    def accuracy(self) -> float:
        return mean(self.right)

    def interval(self) -> tuple[float, float]:
        """95 %, over structures: stories of one structure are alike."""
        keys = [p.key for p in self.problems]
        _, low, high = paired_bootstrap(self.right, [0] * len(self.right), clusters=keys)
        return low, high


def ask(model: Path, seed: int = 0) -> Answers:
    """One answer to each test problem, greedily, to the plain prompt: what the table compares."""
    task, opened = get_task(TASK), checkpoint.open_model(model)
    evaluator = Evaluator(
        opened.model, opened.tokenizer, task, task.problems("test", PROBLEMS, seed),
        task.max_new_tokens, seed=0, workers=beside_this(machine.choose_device("cpu")),
    )  # fmt: skip
    groups = evaluator(0.0)
    return Answers(evaluator.problems, [int(group[0].grade.correct) for group in groups])


@dataclass(frozen=True)
class Verdict:
    """Whether one of the rules holds, and what was found."""

    rule: str
    holds: bool
    found: str

    def line(self) -> str:
        return f"{'holds' if self.holds else 'FAILS':<7}{self.rule}: {self.found}"


def examine(folder: Path) -> tuple[Entry, list[Verdict]]:
    """Measure an entry's model anew and judge each rule that can be judged from outside. What
    cannot: that the time was what it says, and that nobody learnt from the test split; for these
    there is the entry's command."""
    entry, model = read_entry(folder), folder / MODEL
    weights = fingerprint_of_model(checkpoint.resolve(model)) if model.is_dir() else ""
    if not weights:
        raise UserError(f"{folder} has no {MODEL}/: the checkpoint that the entry speaks of")
    asked, fresh = ask(model), ask(model, FRESH)
    problems = fingerprint(asked.problems)
    low, high = asked.interval()
    fresh_low, fresh_high = fresh.interval()
    limit, off = 60 * entry.minutes, abs(asked.accuracy - entry.accuracy)
    return entry, [
        Verdict("the budget is one of the table's", entry.minutes in BUDGETS, f"{entry.minutes}"),
        Verdict("within the time", 0 < entry.seconds <= limit, f"{entry.seconds:.0f} s of {limit}"),
        Verdict("two threads at most", 1 <= entry.threads <= CORES, f"{entry.threads}"),
        Verdict("the weights are those of the entry", weights == entry.weights, weights[:12]),
        Verdict(
            "the test problems are today's",
            (entry.n, entry.problems) == (len(asked.problems), problems),
            f"{len(asked.problems)} of fingerprint {problems[:12]}",
        ),
        Verdict(
            "the accuracy is as claimed",
            off <= ROUNDING,
            f"{asked.accuracy:.1%} measured, {entry.accuracy:.1%} claimed",
        ),
        Verdict(
            "test problems drawn anew are no harder",
            fresh_high >= low,
            f"{fresh.accuracy:.1%} ({fresh_low:.1%} to {fresh_high:.1%}), "
            f"beside {asked.accuracy:.1%} ({low:.1%} to {high:.1%})",
        ),
    ]


def claim(
    model: Path, minutes: int, seconds: float, threads: int, parameters: int, **said: str
) -> tuple[Entry, Answers]:
    """The entry of a model that has just been trained. said: by, how, command, machine, version,
    date."""
    answers = ask(model)
    entry = Entry(
        minutes=minutes,
        accuracy=answers.accuracy,
        n=len(answers.problems),
        seconds=round(seconds, 1),
        threads=threads,
        parameters=parameters,
        weights=fingerprint_of_model(model),
        problems=fingerprint(answers.problems),
        **said,
    )
    return entry, answers


# -- the page --------------------------------------------------------------------------------------


RULES = f"""\
# Records: new stories, from random weights, on two cores

How right can a model be on stories whose structure no training story has, after 10 and after 30
minutes? `python -m minilrm.speedrun --budget 10` runs the first entry's recipe. The rules:

1. The figure is the share of right answers to the {PROBLEMS:,} test problems of the task `{TASK}`.
2. One answer a problem: plain prompt, greedy (T = 0), the task's limit of new tokens, no tools.
3. The clock starts before the first document is written, and stops when the weights are saved.
4. Two processor cores, at most two threads, no GPU. Only the evaluation comes after the clock.
5. The weights start at random. No other model helps; the shipped tokenizer may be used.
6. Only the training split teaches, only the validation split decides; test is for the figure.
7. Size, data, method and code are free, as long as the checkpoint opens with `minilrm.load`.
8. An entry is a folder with `model/` and `entry.json`; `--budget` writes one to copy from.
9. `python -m minilrm.speedrun --check FOLDER` must hold; with `--record` it adds the line.
10. Send that line with code that anybody can run: until somebody has, the time is your word.

An interval is that of Wilson over problems, 95 %: two entries whose intervals overlap are not told
apart. Machines differ, and each entry names its own. This page is written from
`data/results/records.jsonl` by `python -m minilrm.speedrun --table`.
"""
COLUMNS = ("right", "95 %", "by", "how", "parameters", "seconds", "machine", "date", "command")


def render(entries: Sequence[Entry]) -> str:
    """The whole page: rules, then a table for each budget, the best first."""
    parts = [RULES]
    for minutes in BUDGETS:
        best = sorted((e for e in entries if e.minutes == minutes), key=lambda e: -e.accuracy)
        body = table(COLUMNS, [row(e) for e in best]) if best else "No entry yet."
        parts.append(f"## {minutes} minutes\n\n{body}\n")
    return "\n".join(parts)


def row(e: Entry) -> tuple[str, ...]:
    low, high = wilson_interval(e.accuracy * e.n, e.n)
    return (
        f"{100 * e.accuracy:.1f} %",
        f"{100 * low:.1f} to {100 * high:.1f}",
        cell(e.by),
        cell(e.how),
        f"{e.parameters:,}",
        f"{e.seconds:.0f}",
        cell(e.machine),
        cell(e.date[:10]),
        f"`{cell(e.command).replace('`', '')}`",
    )


def cell(text: str) -> str:
    """A text of somebody else's, which cannot leave its cell.

    >>> cell("a | b\\n<b>")
    'a / b &lt;b>'
    """
    return " ".join(neutralise(text).split()).replace("|", "/").replace("<", "&lt;")


def read_entries() -> list[Entry]:
    path = lines_file()
    return [entry_from(record, path) for record in read_log(path)]


def lines_file() -> Path:
    return machine.data_folder() / "results" / LINES


def write_page() -> Path:
    """RECORDS.md, written anew out of the lines. It stands beside the folder of data."""
    path = machine.data_folder().parent / PAGE
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path} cannot be written: no permission")
    write_bytes_atomic(path, render(read_entries()).encode("utf-8", "replace"))
    return path
