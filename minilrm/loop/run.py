"""A run of training, from its options to its report."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from minilrm import cli, devices
from minilrm.errors import UserError
from minilrm.loop.trainer import Evaluation, Options, Trainer, refuse_what_cannot_be_shared
from minilrm.measure import Scores
from minilrm.model import count_parameters
from minilrm.options import check, flag, options_table, resumed, to_dict, with_recipe
from minilrm.progress import Interrupt, Progress
from minilrm.report import write_report
from minilrm.runlog import OnlookersLog, RunLog, refuse_taken, tensorboard_writer
from minilrm.tasks import FILE_TASK, task_class

GROUP_EVERY = 5  # steps between two groups of training that go into groups.jsonl
SAMPLES_KEPT = 40  # transcripts of an evaluation that go into samples.jsonl


@dataclass(frozen=True)
class Result:
    """What became of a run. `finished` is False after Ctrl-C: `--resume` goes on. `collapsed`: the
    run stopped itself as its accuracy fell; it has a summary, and its best checkpoint is whole."""

    folder: Path
    finished: bool
    collapsed: bool = False

    @property
    def exit_code(self) -> int:
        """0 for a whole run, 1 for a collapsed one, 130 after Ctrl-C, so that `sft && grpo` stops
        there."""
        return 1 if self.collapsed else 0 if self.finished else cli.INTERRUPTED


# -- a run -----------------------------------------------------------------------------------------


def train(make: type[Trainer], options: Options, show_options: bool = False, **more: Any) -> Result:
    """A whole run, or the rest of one (`options.resume`). `more` goes to the trainer.

    `show_options`: print all of them first, as the commands do.

    The options are checked first, in the command line's words; the task's recipe fills in what was
    not given. UserError for whatever the user can mend, before a run folder is made where possible.
    """
    with devices.group(options.device), devices.one_voice(), contextlib.ExitStack() as held:
        with devices.agreement():
            options, log = final_options(make, options)
            refuse_what_cannot_be_shared(make, options)
            if options.log == "tensorboard":
                tensorboard_writer()  # refused now, if ever
            if log:
                held.enter_context(log.lock())
            else:
                with contextlib.suppress(OSError):  # said by RunLog.create
                    refuse_taken(options.out)
            trainer = make(options, **more)
        devices.refuse_differences(to_dict(options) | {"device": str(trainer.device)})
        if log:
            resume(trainer, log)
            return run(trainer, log, show_options)
        log = new_log(make, options)
        devices.copy_first(trainer.parameters())
        try:
            with log.lock():
                return run(trainer, log, show_options)
        except (UserError, KeyboardInterrupt):
            if not trainer.has_results(log):
                log.discard()
            raise


def resume(trainer: Trainer, log: RunLog) -> None:
    """Put everything back to the newest whole checkpoint. Process 0 first, which sets aside what is
    broken; then the others read the same one."""
    for number_0 in (True, False):
        with devices.agreement():
            if (devices.rank() == 0) == number_0:
                trainer.resume(log)
    log.resume_with(to_dict(trainer.options))


def new_log(make: type[Trainer], options: Any) -> RunLog:
    """The folder of a new run, which process 0 makes."""
    log: RunLog | None = None
    with devices.agreement():
        if devices.rank() == 0:
            log = RunLog.create(make.command, options.task, to_dict(options), options.out)
    folder = devices.from_first(str(log.folder) if log else None)
    return log or OnlookersLog(Path(folder), {})


def carry_on(
    command: Callable[[Any], Result], options: Callable[..., Any], where: Path, **chosen: Any
) -> Result:
    """The run in `where`: trained from its beginning, or resumed if it was interrupted; one that
    has come to its end is not trained on.

    command: a command's `train`; options: its class of options; chosen: those of a fresh run. What
    is left of a run that died before its first checkpoint is removed.
    """
    begun = any((where / "checkpoints").glob("step-*"))
    if begun and (where / "summary.json").is_file():
        return Result(where, finished=True)
    if begun:
        return command(options(resume=where))
    shutil.rmtree(where, ignore_errors=True)
    return command(options(out=where, **chosen))


def final_options(make: type[Trainer], options: Any) -> tuple[Any, RunLog | None]:
    """The options that a run has, checked; and its folder, if it is there already."""
    check(options)
    if options.resume:
        if "out" in options.given and options.out is not None:
            raise UserError(
                "--out and --resume exclude each other: a resumed run stays in its folder"
            )
        kind = RunLog if devices.rank() == 0 else OnlookersLog
        log = kind.open(options.resume, make.command)
        saved = log.config.get("options", {})
        refuse_another_beginning(make, options, saved)
        return make.complete(resumed(options, saved).replace(out=None), saved), log
    if options.data and "task" not in options.given:
        options = options.replace(task=FILE_TASK)
    if make.takes_recipe:
        options = with_recipe(options, task_class(options.task).recipe)
    check(options)
    return make.complete(with_absolute_paths(options), {}), None


def refuse_another_beginning(make: type[Trainer], options: Any, saved: dict[str, Any]) -> None:
    """UserError for an option that a resumed run could only have taken when it began. Taken now, it
    would change nothing but what the run says of itself."""
    asked = with_absolute_paths(options)
    for name in make.kept(resumed(options, saved)):
        value = getattr(asked, name)
        if name in options.given and value != saved.get(name, value):
            raise UserError(
                f"{flag(name)} {value}: that run began with {saved[name]}, and a resumed run keeps "
                f"it; leave {flag(name)} away, or start another run"
            )


def with_absolute_paths(options: Any) -> Any:
    """A copy whose files and folders are found from any working directory, so that a run can be
    resumed from another one."""
    names = ("data", "init", "teacher", "student", "pool", "process", "feedback", "tokenizer")
    given = {name: getattr(options, name, None) for name in names}
    there = {n: value for n, value in given.items() if value is not None and Path(value).exists()}
    return options.replace(**{n: type(v)(Path(v).resolve()) for n, v in there.items()})


def run(trainer: Trainer, log: RunLog, show_options: bool) -> Result:
    """From the first evaluation to the report, seen by TensorBoard where that is asked for."""
    wanted = trainer.options.log == "tensorboard"
    with log.tensorboard(after=trainer.state.step) if wanted else contextlib.nullcontext():
        return first_to_last(trainer, log, show_options)


def first_to_last(trainer: Trainer, log: RunLog, show_options: bool) -> Result:
    """Evaluate, take the steps, evaluate, and write down what came out."""
    state = trainer.state
    if show_options:
        print(options_table(trainer.options))
    print(
        f"{count_parameters(trainer.model):,} parameters from {trainer.origin}; "
        f"run folder {log.folder}",
        flush=True,
    )
    if state.step == 0 and state.before is None:
        if devices.rank() == 0:
            trainer.begin(log)
        measure(trainer, log, full=True, when="before")
    with Interrupt() as interrupt:
        whole = trainer.prepare(log, interrupt) and steps(trainer, log, interrupt)
    last = trainer.save(log)
    after = measure(trainer, log, full=True, when="after").scores if whole else None
    if devices.rank() == 0:
        if whole:
            summary = trainer.summary(after, last)
            log.summary(summary | {"collapsed": state.low_evals >= 2})
            trainer.close(summary)
        else:
            print(
                f"stopped at step {state.step}; resume with: "
                f"python -m minilrm.{trainer.command} --resume {log.folder}",
                file=sys.stderr,
            )
        print(f"report: {write_report(log.folder)}")
    return Result(log.folder, whole, collapsed=state.low_evals >= 2)


def steps(trainer: Trainer, log: RunLog, interrupt: Interrupt) -> bool:
    """Steps until the goal or the collapse stop (True), or until Ctrl-C (False), in whichever of
    several processes it was heard."""
    o, state = trainer.options, trainer.state
    with Progress(trainer.goal, initial=trainer.done, label=trainer.command) as bar:
        while trainer.done < trainer.goal:
            before = trainer.done
            metrics = trainer.step(state.step)
            state.step += 1
            if state.step % trainer.log_every == 0:
                log.log(state.step, metrics)
            if state.step % GROUP_EVERY == 0 and trainer.group:
                log.group(state.step, [trainer.transcript(e) for e in trainer.group])
            bar.update(trainer.done - before, **trainer.shown(metrics))
            unfinished = trainer.done < trainer.goal
            if state.step % o.eval_every == 0 and unfinished:
                bar.note(measure(trainer, log, full=False).words)
                if state.low_evals >= 2:
                    bar.note(
                        f"collapsed: accuracy fell below {trainer.collapse:g} of its best twice "
                        f"running; the run stops here, and its best checkpoint is {state.best}"
                    )
                    return True
            stopping = devices.anywhere(interrupt.requested)
            if state.step % o.save_every == 0 or stopping:
                devices.refuse_drift(trainer.parameters())
                trainer.save(log)
            if stopping and unfinished:
                return False
    return True


class Measured(NamedTuple):
    """The scores of an evaluation, if it has any, and the line that tells a person."""

    scores: Scores | None
    words: str


def measure(trainer: Trainer, log: RunLog, full: bool, when: str = "") -> Measured:
    """Evaluate and record it: in process 0 alone, whose state the others then take over."""
    found = Measured(None, "")
    if devices.rank() == 0:
        evaluation = trainer.evaluate(full)
        found = Measured(evaluation.scores, record(trainer, log, evaluation, when))
    if devices.count() > 1:
        trainer.state.restore(devices.from_first(trainer.state.as_dict()))
    return found


def record(trainer: Trainer, log: RunLog, evaluation: Evaluation, when: str = "") -> str:
    """Log an evaluation with its first transcripts, keep the best model, notice a collapse. Returns
    the line that tells a person.

    Logged once: a resumed run that evaluates the same step again leaves one line.
    """
    state, scores = trainer.state, evaluation.scores
    log.forget(state.step, "eval")
    figures = {**(scores.as_dict() if scores else {}), **evaluation.figures}
    if figures:
        log.log(state.step, {**figures, "elapsed": log.seconds}, event="eval")
    shown = evaluation.episodes[:SAMPLES_KEPT]
    log.sample(state.step, [{"event": "eval", **trainer.transcript(e)} for e in shown])
    if scores is None:
        words = ", ".join(f"{name} {value:.3f}" for name, value in evaluation.figures.items())
        return f"step {state.step}: {words}"
    if when == "before":
        state.before = scores
    fallen = scores.accuracy < trainer.collapse * state.best_accuracy
    state.low_evals = state.low_evals + 1 if fallen else 0
    if scores.accuracy > state.best_accuracy:
        state.best_accuracy, state.best = scores.accuracy, log.checkpoint_path(state.step).name
        trainer.save(log)  # last, so that what is saved is the state to resume from
    words = f"step {state.step}: validation {scores.words()}"
    if when:
        print(words, flush=True)
    return words
