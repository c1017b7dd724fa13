"""The command: everything, a budget of minutes, or the record table."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from minilrm import cli, machine, pipeline
from minilrm.checkpoint import open_model
from minilrm.errors import UserError
from minilrm.files import append_jsonl, read_json, write_bytes_atomic, write_json_atomic
from minilrm.intervals import wilson_interval
from minilrm.model import count_parameters
from minilrm.options import (
    CommandOptions,
    device_option,
    flag,
    option,
    options_table,
    seed_option,
    threads_option,
)
from minilrm.pipeline.stages import Done, Stage, run
from minilrm.runlog import refuse_taken, version
from minilrm.speedrun import budget, records
from minilrm.speedrun.card import card
from minilrm.speedrun.everything import SIZES, Everything


@dataclass
class Options(CommandOptions):
    """From random weights through everything: tokenizer, pretraining, fine-tuning, reinforcement
    learning, R1's recipe, distillation, evaluation. Or a record within a budget of minutes."""

    scale: str = option(
        "nano",
        "size of the model and of all stages; planned for 6, 33 and 90 minutes on two idle cores",
        choices=tuple(SIZES),
    )
    out: Path | None = option(
        None, "folder; runs/speedrun-<scale> if not given. One that is there is gone on with"
    )
    only: str | None = option(None, "run this stage alone")
    from_: str | None = option(None, "make this stage and all behind it anew")
    record: bool = option(
        False, "add what came of it to data/results: the times of all stages, or the entry"
    )
    budget: int | None = option(
        None, "minutes: train what fits into them, and write an entry", minimum=1, group="records"
    )
    by: str = option("minilrm", "whose entry it is", group="records")
    check: Path | None = option(None, "folder of an entry: does it hold?", group="records")
    table: bool = option(False, "write RECORDS.md anew from its lines", group="records")
    seed: int = seed_option("seed of everything")
    device: str = device_option()
    threads: int | None = threads_option()


WAYS = ("budget", "check", "table")  # each is another thing to do
OF_ALL_STAGES = ("only", "from_")  # what only the speedrun itself can be asked


def make(options: Options) -> int:
    """Do what is asked for; the exit code."""
    asked = [way for way in WAYS if getattr(options, way)]
    if len(asked) > 1:
        raise UserError(f"{flag(asked[0])} and {flag(asked[1])} are two things; choose one")
    for name in OF_ALL_STAGES if asked else ():
        if getattr(options, name) is not None:
            raise UserError(f"{flag(name)} is for the stages; {flag(asked[0])} has none")
    if options.table:
        print(f"records: {records.write_page()}")
        return 0
    if options.check:
        return check_entry(options, options.check)
    return within(options, options.budget) if options.budget else everything(options)


# -- all stages ------------------------------------------------------------------------------------


def everything(options: Options) -> int:
    """Run the stages, or what is left of them; then the card. 130 after Ctrl-C."""
    out = options.out or Path("runs") / f"speedrun-{options.scale}"
    wanted = {"scale": options.scale, "seed": options.seed}
    pipeline.keep_to(out, wanted, "speedrun")
    print(options_table(options), flush=True)
    path = Everything(options.scale, out, options.seed, options.device, options.threads)
    stages = path.stages()
    done = run(out, stages, options.only, options.from_)
    if done is None:
        return cli.INTERRUPTED
    if len(done) < len(stages):
        return 0
    last = stages[-1].name
    figures = read_json(out / last / done[last].artefact)
    computer = machine.describe(options.device)
    text = card(options.scale, options.seed, computer, stages, done, figures)
    write_bytes_atomic(out / "card.md", text.encode("utf-8", "replace"))
    print(f"\n{text}\ncard: {out / 'card.md'}")
    if options.record:
        record_times(options, stages, done, figures, computer)
    return 0


def record_times(
    options: Options,
    stages: tuple[Stage, ...],
    done: dict[str, Done],
    figures: dict[str, Any],
    computer: dict[str, Any],
) -> None:
    """A line of the history. UserError if a stage was interrupted: its time is not whole."""
    torn = [name for name, d in done.items() if d.resumed]
    if torn:
        raise UserError(
            f"nothing is recorded, as the stage {torn[0]} was interrupted and its time is not "
            "whole; run all stages in one piece, in another --out"
        )
    measured = {
        model: {k: v for k, v in of.items() if k not in ("answers", "rungs")}
        for model, of in figures.items()
    }
    seconds = {stage.name: done[stage.name].seconds for stage in stages}
    path = machine.data_folder() / "results" / "speedrun.jsonl"
    line = {
        "scale": options.scale,
        "seed": options.seed,
        "seconds": sum(seconds.values()),
        "stages": seconds,
        "models": measured,
        "machine": computer,
        "version": version(),
        "time": now(),
    }
    append_jsonl(path, line)
    print(f"recorded in {path}")


# -- records ---------------------------------------------------------------------------------------


def within(options: Options, minutes: int) -> int:
    """Train for so many minutes, measure, and write an entry. 130 after Ctrl-C."""
    started = time.monotonic()
    threads = records.CORES if options.threads is None else options.threads
    out = options.out or Path("runs") / f"record-{minutes}-{datetime.now():%Y%m%d-%H%M%S}"
    refuse_taken(out)
    if threads > records.CORES:
        raise UserError(f"--threads {threads}: records are for {records.CORES} cores")
    if options.record and minutes not in records.BUDGETS:
        known = " and ".join(map(str, records.BUDGETS))
        raise UserError(f"--budget {minutes}: the table of records has {known} minutes")
    if options.device == "cuda":
        raise UserError("--device cuda: records are for processors alone")
    print(options_table(options), flush=True)
    trained = budget.train(minutes, out, options.scale, options.seed, threads, started)
    if trained is None:
        return cli.INTERRUPTED
    model = budget.write_out(trained, out / records.MODEL)
    seconds = time.monotonic() - started
    print(f"{seconds:.0f} s; measuring on {records.PROBLEMS} test problems ...", flush=True)
    computer = machine.describe("cpu")
    entry, answers = records.claim(
        model, minutes, seconds, threads, count_parameters(open_model(model).model),
        by=options.by,
        how=f"{options.scale}: Muon on worked solutions, then GRPO",
        command=f"python -m minilrm.speedrun --budget {minutes} --scale {options.scale}"
        f" --seed {options.seed}",
        machine=f"{computer['processor']}, torch {computer['torch']}",
        version=version(),
        date=now(),
    )  # fmt: skip
    write_json_atomic(out / records.ENTRY, asdict(entry))
    low, high = wilson_interval(entry.accuracy * entry.n, entry.n)
    over, above = answers.interval()
    print(
        f"{entry.accuracy:.1%} of {entry.n} new stories right (95 % interval {low:.1%} to "
        f"{high:.1%} over problems, {over:.1%} to {above:.1%} over structures) after "
        f"{seconds:.0f} of {60 * minutes} s\nentry: {out / records.ENTRY}"
    )
    return add(entry) if options.record else 0


def check_entry(options: Options, folder: Path) -> int:
    """Judge an entry rule by rule: 0 if all hold, 1 if one does not."""
    machine.raise_malloc_thresholds()
    machine.set_threads(options.threads)
    entry, verdicts = records.examine(folder)
    print("\n".join(v.line() for v in verdicts))
    if not all(v.holds for v in verdicts):
        print("the entry does not hold")
        return 1
    print("the entry holds")
    return add(entry) if options.record else 0


def add(entry: records.Entry) -> int:
    """A line of the table, and the page anew. UserError for a time that is over, and for an entry
    that is there."""
    if entry.seconds > 60 * entry.minutes:
        raise UserError(f"{entry.seconds:.0f} s are more than {entry.minutes} minutes: no entry")
    if any(e.weights == entry.weights for e in records.read_entries()):
        raise UserError("an entry with these weights is in the table already")
    append_jsonl(records.lines_file(), asdict(entry))
    print(f"recorded in {records.lines_file()} and {records.write_page()}")
    return 0


def now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
