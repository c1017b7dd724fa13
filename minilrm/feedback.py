"""Thumbs up, thumbs down: a person says which step of an answer is right.

    python -m minilrm.feedback --task countdown --out thumbs.jsonl

The question and its right answer stand at the top, and the answer of a policy appears step by step.
One key a step:

    u   up: right, and it leads on        n   right, but it leads nowhere
    d   down: wrong; the next answer      ?   unsure: the step is not used
    b   back: take the last one back      q   quit: the same command goes on from here

An answer ends at its first wrong step, since nothing behind it can be judged (PRM800K, 2305.20050).
One step in ten is a test of the labeller: where the task can tell the truth, the share of agreement
is shown at the end. Every label is on the disk before the next step is shown, as a line of a JSONL
file which is only ever added to: `b` adds a line too. `minilrm.reward_model --feedback FILE` learns
from it.
"""

import importlib
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilrm import checkpoint, cli, machine
from minilrm.beginnings import named_or_base
from minilrm.errors import UserError
from minilrm.files import append_jsonl, read_log
from minilrm.intervals import TOO_FEW
from minilrm.labels import VALUES, standing
from minilrm.options import device_option, option, seed_option, threads_option
from minilrm.painter import DIM, Painter, neutralise
from minilrm.rollout import Episode, fitting, rollout
from minilrm.scorers import step_enders
from minilrm.tasks import TASKS, Task, get_task
from minilrm.tokenizer import Tokenizer

LABELS = {"u": "up", "n": "no progress", "d": "down", "?": "unsure"}
GOLD = 0.1  # share of steps on which the labeller is compared with the truth


@dataclass
class Options:
    """Judge the steps of a policy's answers, one key a step."""

    task: str = option("countdown", "whose problems", choices=TASKS)
    checkpoint: str | None = option(
        None,
        "who writes the answers: a shipped model, a checkpoint or a run folder; the task's base "
        "if not given",
    )
    out: Path = option(
        Path("feedback.jsonl"), "where the labels go; a file that is there is gone on with"
    )
    n: int = option(50, "answers to judge in all", minimum=1)
    labeller: str = option("", "your name, if several people share a file")
    seed: int = seed_option("seed of the answers")
    device: str = device_option()
    threads: int | None = threads_option()


@dataclass(frozen=True)
class Step:
    """A step to be judged. ids: of the completion up to its end. gold: whether the labeller is
    compared with `truth` (None where the task cannot tell)."""

    answer: int
    number: int
    before: str
    text: str
    ids: tuple[int, ...]
    gold: bool
    truth: bool | None


# -- the answers -----------------------------------------------------------------------------------


def write_answers(options: Options) -> tuple[Task, Tokenizer, list[Episode]]:
    """The answers that are to be judged, the same ones each time the command is run."""
    device = machine.choose_device(options.device)
    machine.set_threads(options.threads)
    task = get_task(options.task)
    where = named_or_base(options.checkpoint, task, "--checkpoint")
    _, model, tokenizer, _ = checkpoint.open_model(where, device)
    room = model.config.max_seq_len - task.max_new_tokens
    problems = fitting(task, tokenizer, task.problems("train", options.n, options.seed), room)
    groups = rollout(
        model, tokenizer, task, problems, max_new_tokens=task.max_new_tokens, seed=options.seed
    )
    return task, tokenizer, [group[0] for group in groups]


def steps_of(task: Task, tokenizer: Tokenizer, episode: Episode, answer: int) -> list[Step]:
    """An answer cut into its steps. Which of them are gold depends on the answer and the step
    alone."""
    ids, ends_step = episode.completion_ids, step_enders(task, tokenizer)
    ends = [i + 1 for i, token in enumerate(ids) if ends_step[token] or i + 1 == len(ids)]
    steps, start = [], 0
    for number, end in enumerate(ends):
        text = tokenizer.decode(ids[start:end])
        if not text.strip():
            continue  # an empty line is no step
        before = tokenizer.decode(ids[:start])
        try:
            truth: bool | None = task.step_labels(episode.problem, before + text)[-1]
        except UserError:
            truth = None
        gold = truth is not None and random.Random(f"{answer}/{number}").random() < GOLD
        steps.append(Step(answer, number, before, text, tuple(ids[:end]), gold, truth))
        start = end
    return steps


# -- the session -----------------------------------------------------------------------------------


@dataclass
class Session:
    """Shows steps, takes keys, and keeps what was said."""

    options: Options
    task: Task
    tokenizer: Tokenizer
    answers: Sequence[Episode]
    painter: Painter
    key: Callable[[], str]

    def __post_init__(self) -> None:
        self.steps = [
            steps_of(self.task, self.tokenizer, episode, answer)
            for answer, episode in enumerate(self.answers)
        ]

    def run(self) -> None:
        """Until all answers are judged, or q."""
        said = standing(read_log(self.options.out))
        todo = self.remaining(said)
        step = next(todo, None)
        while step is not None:
            self.show(step)
            started = time.perf_counter()
            pressed = self.key()
            if pressed in ("q", ""):
                break
            if pressed == "b":
                if said:
                    last = said.pop()
                    self.keep({"undo": [last["answer"], last["step"]]})
            elif pressed in LABELS:
                record = self.record(step, LABELS[pressed], time.perf_counter() - started)
                self.keep(record)
                said.append(record)
            else:
                self.painter.paint("one of u n d ? b q\n")
                continue
            step = next(self.remaining(said), None)
        self.painter.paint(words(said))

    def remaining(self, said: Sequence[dict[str, Any]]) -> Iterator[Step]:
        """The steps that are still to be judged, in order."""
        done = {(r["answer"], r["step"]) for r in said}
        over = {r["answer"] for r in said if r["label"] == "down"}
        for answer, steps in enumerate(self.steps):
            if answer not in over:
                yield from (step for step in steps if (answer, step.number) not in done)

    def show(self, step: Step) -> None:
        problem = self.answers[step.answer].problem
        if not step.before.strip():
            self.painter.paint(f"\n{step.answer + 1}/{len(self.answers)}  {problem.prompt}\n")
            self.painter.paint(f"right answer: {problem.answer}\n", DIM)
        self.painter.paint(f"  {step.text.strip()}   ")

    def record(self, step: Step, label: str, seconds: float) -> dict[str, Any]:
        episode = self.answers[step.answer]
        return {
            "task": self.task.name, "answer": step.answer, "step": step.number,
            "prompt_ids": episode.prompt_ids, "ids": list(step.ids),
            "prompt": episode.problem.prompt, "text": step.text, "label": label,
            "seconds": round(seconds, 2), "gold": step.gold, "truth": step.truth,
            "labeller": self.options.labeller,
        }  # fmt: skip

    def keep(self, record: dict[str, Any]) -> None:
        append_jsonl(self.options.out, record)


def words(said: Sequence[dict[str, Any]]) -> str:
    """What was done, and how well it agrees with the truth where that is known."""
    if not said:
        return "\nnothing was judged\n"
    seconds = sorted(r["seconds"] for r in said)[len(said) // 2]
    lines = [f"\n{len(said)} steps judged, {seconds:.1f} s a step (median)"]
    gold = [r for r in said if r["gold"] and r["label"] != "unsure"]
    if len(gold) >= TOO_FEW:
        agreed = sum((VALUES[r["label"]] > 0.5) == r["truth"] for r in gold) / len(gold)
        lines.append(f"agreement with the truth on {len(gold)} test steps: {agreed:.0%}")
    else:
        lines.append(f"test steps so far: {len(gold)}; agreement is shown from {TOO_FEW} on")
    return "\n".join(lines) + "\n"


def read_key() -> str:
    """One key, without Enter where the terminal can do that; else the first letter of a line."""
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip()[:1] or ("" if not line else " ")
    try:
        import termios
        import tty
    except ImportError:  # Windows
        return importlib.import_module("msvcrt").getwch()
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        key = sys.stdin.read(1)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
    print(neutralise(key), flush=True)
    return key


def main(options: Options) -> None:
    read_log(options.out)  # a damaged file is said now
    with_folder = options.out.absolute().parent
    if not with_folder.is_dir():
        raise UserError(f"--out {options.out}: there is no folder {with_folder}")
    task, tokenizer, answers = write_answers(options)
    Session(options, task, tokenizer, answers, Painter(), read_key).run()


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.feedback", description=Options.__doc__)
