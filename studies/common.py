"""What all studies share: their results on the disk, their training runs, their measurements.

A part of a study (one arm, one seed) goes through this file from end to end:

    log = run(grpo.train, grpo.Options, folder("main", "grpo", 0), task="gsm8k-mini", seed=0)
    append_result("main", {"kind": "grpo", "seed": 0, **curves(log, ("reward", "accuracy"))})

A part whose line stands in data/results is not measured again, and a run that was interrupted is
resumed from its last checkpoint under runs/.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from minilrm import checkpoint, cli, evaluate, loop, machine
from minilrm.errors import UserError
from minilrm.files import append_jsonl, read_json, read_log
from minilrm.intervals import mean, wilson_interval
from minilrm.loop import Result
from minilrm.measure import Evaluator, Groups
from minilrm.model import Transformer, count_parameters
from minilrm.runlog import RunLog
from minilrm.tasks import Problem, Task, get_task
from minilrm.tokenizer import Tokenizer

# -- results: a line a finished part, in data/results/<study>.jsonl --------------------------------


def append_result(study: str, record: dict) -> None:
    """Add a finished part to the study's results, with the machine and the time."""
    path = results_file(study)
    path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    append_jsonl(path, {**record, "machine": machine.describe(), "time": now})


def load_results(study: str) -> list[dict]:
    """All finished parts of a study; none is no error, since a study starts with none."""
    return read_log(results_file(study))


def records(study: str, **fields: Any) -> list[dict]:
    """The finished parts whose fields have these values.

    `records("main", kind="grpo", seed=0)` is empty as long as that part has not been measured.
    """
    return [r for r in load_results(study) if all(r.get(k) == v for k, v in fields.items())]


def results_file(study: str) -> Path:
    return results_folder() / f"{study}.jsonl"


def results_folder() -> Path:
    return machine.data_folder() / "results"


# -- runs ------------------------------------------------------------------------------------------


def folder(*words: object) -> Path:
    """Where a run of a study is kept: `folder("main", "grpo", 0)` is runs/study-main-grpo-0."""
    return Path("runs") / "-".join(["study", *map(str, words)])


def run(
    train: Callable[[Any], Result], options: Callable[..., Any], where: Path, **chosen: Any
) -> RunLog:
    """The finished run in `where`: trained from its beginning, or resumed if it was interrupted.

    train: a command's `train`; options: its class of options; chosen: those of a fresh run. A run
    that has come to its end is not trained on. KeyboardInterrupt if it was interrupted once more:
    half a run is no result.
    """
    return whole(loop.carry_on(train, options, where, **chosen))


def trained(train: Callable[[Any], Result], options: Any) -> RunLog:
    """Train with these options; the run, if it came to its end."""
    return whole(train(options))


def whole(result: Result) -> RunLog:
    """The run; KeyboardInterrupt for one that was interrupted."""
    if not result.finished:
        raise KeyboardInterrupt
    return RunLog.open(result.folder)


def last(log: RunLog) -> Path:
    """The run's last checkpoint: that of its last step, however the run ended."""
    return log.checkpoints()[-1][1]


def summary(log: RunLog) -> dict:
    """The run's summary.json without this machine's paths."""
    outcome = read_json(log.folder / "summary.json")
    return {k: v for k, v in outcome.items() if not (isinstance(v, str) and Path(v).is_absolute())}


def curves(log: RunLog, names: Sequence[str]) -> dict[str, list[float | None]]:
    """These metrics of every training step, with four digits behind the point; None where a step
    did not log one."""
    steps = log.metrics("train")
    return {n: [None if m.get(n) is None else round(m[n], 4) for m in steps] for n in names}


def evaluations(log: RunLog, keys: Sequence[str]) -> list[dict]:
    """These figures of every evaluation within the run."""
    return [{key: e.get(key) for key in keys} for e in log.metrics("eval")]


# -- measurements ----------------------------------------------------------------------------------


def open_model(where: str | Path) -> tuple[Transformer, Tokenizer]:
    """A checkpoint's model, ready to decode, and its tokenizer."""
    opened = checkpoint.open_model(where)
    return opened.model, opened.tokenizer


def decoding_dtype(model: Transformer) -> torch.dtype | None:
    """The precision that decodes fastest here; None: the model's own."""
    return torch.bfloat16 if machine.bfloat16_pays(next(model.parameters()).device) else None


def measure(
    where: str | Path, task_name: str, split: str, n: int, *, quick: bool, samples: int = 8
) -> dict:
    """A checkpoint on a shipped split: one JSON object, as `python -m minilrm.evaluate` writes
    it."""
    (model, tokenizer), task = open_model(where), get_task(task_name)
    options = evaluate.Options(
        checkpoint=str(where), task=task_name, split=split, n=n, samples=samples, quick=quick
    )
    found = evaluate.evaluate(
        model, tokenizer, task, task.problems(split, n), options, report=print
    )
    return found | {"checkpoint": Path(where).name, "parameters": count_parameters(model)}


def evaluator(
    where: str | Path, task: Task, problems: list[Problem], styles: tuple[str, ...] = ("plain",)
) -> Evaluator:
    """A checkpoint and these problems: call it with a temperature, and one of the styles."""
    model, tokenizer = open_model(where)
    limit, dtype = task.max_new_tokens, decoding_dtype(model)
    return Evaluator(model, tokenizer, task, problems, limit, 0, dtype, styles=styles, report=print)


def outcomes(groups: Groups) -> dict[str, Any]:
    """One answer a problem: the share of right ones, its interval, and who was right, "0110..."."""
    right = evaluate.outcome(groups)
    return {
        "accuracy": mean(bits(right)),
        "ci": wilson_interval(sum(bits(right)), len(right)),
        "right": right,
    }


def bits(right: str) -> list[int]:
    """Who was right, problem by problem: "0110..." as numbers."""
    return [int(c) for c in right]


# -- the command -----------------------------------------------------------------------------------


def parser(module: str, about: str | None) -> argparse.ArgumentParser:
    """A parser for `python -m <module>`, which explains itself by the module's docstring."""
    head, _, rest = (about or "").partition("\n\n")
    return argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=" ".join(head.split()),
        epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


#: what measures a part, from its seed to its record; and the seeds of which the study consists
Part = tuple[Callable[[int], dict[str, Any]], Sequence[int]]


def measure_missing(study: str, module: str, about: str | None, parts: Mapping[str, Part]) -> None:
    """The command line of a study, `python -m <module> KIND [SEED]`: measure a part, or `all`, and
    add it to the results. What stands there is not measured again.

    Seed after seed, so that an early stop leaves one seed whole. A seed that is named may be one
    that the study does not have.
    """
    asked = parser(module, about)
    asked.add_argument("what", choices=(*parts, "all"))
    asked.add_argument("seed", nargs="?", type=int)
    chosen = asked.parse_args()
    one_thread()
    measure_parts(study, parts, chosen.what, chosen.seed)


def measure_parts(study: str, parts: Mapping[str, Part], what: str, only: int | None) -> None:
    """What `measure_missing` does once it knows the part, or `all`, and the seed (None: all)."""
    everything = what == "all"
    named = parts if everything else {what: parts[what]}
    known = sorted({seed for _, seeds in named.values() for seed in seeds})
    for seed in known if only is None else (only,):
        for kind, (measured, seeds) in named.items():
            if seed not in seeds and (everything or only is None):
                continue
            if records(study, kind=kind, seed=seed):
                print(f"{kind} {seed}: done before")
                continue
            append_result(study, {"kind": kind, "seed": seed, **measured(seed)})


def one_thread() -> None:
    """Two parts can then run side by side on two cores, and a seed gives the same bits anywhere."""
    machine.raise_malloc_thresholds()
    machine.set_threads(1)


def command(main: Callable[[], None]) -> None:
    """Run a study's `main`: what a user can mend is one line, and Ctrl-C says how to go on."""
    try:
        main()
    except (UserError, OSError) as error:
        cli.fail(str(error))
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(cli.INTERRUPTED)
