"""The command: a checkpoint in, a table of its reflection out, and a JSON file for anyone who wants
to go on with the figures."""

import sys
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any

from minilrm import files, machine, runlog
from minilrm.checkpoint import Info, open_model
from minilrm.errors import UserError
from minilrm.options import device_option, option, options_table
from minilrm.reflection.ablation import study
from minilrm.reflection.reading import traced
from minilrm.tasks import TASKS, TracedTask, get_task
from minilrm.tasks.base import SPLITS
from minilrm.tasks.traces import REFLECTION_WORD


@dataclass
class Options:
    """Measure reflection: how often a model tries again, what that corrects, and what it loses
    without the word."""

    checkpoint: str = option(
        MISSING, "a checkpoint's folder, a run's (then its last), or the name of a shipped one"
    )
    before: str | None = option(
        None, "the checkpoint that training began from: adds the split of the gain and the verdict"
    )
    task: str | None = option(
        None, "what to ask; the checkpoint's own task if not given", choices=TASKS
    )
    split: str = option("test", "which problems", choices=SPLITS)
    n: int = option(1000, "problems", minimum=1)
    samples: int = option(1, "answers to each problem", minimum=1)
    seed: int = option(0, "seed of the samples, the same with and without the ban", minimum=0)
    temperature: float = option(1.0, "of sampling; 0 is greedy", minimum=0)
    max_new_tokens: int | None = option(
        None, "longest answer; the task's own limit if not given", minimum=1
    )
    out: Path | None = option(None, "JSON file for the result")
    device: str = device_option()
    threads: int | None = option(
        None, "threads; the available cores, at most 4, if not given", minimum=1
    )


def main(options: Options) -> None:
    files.refuse_to_overwrite(options.out)
    device = machine.choose_device(options.device)
    machine.raise_malloc_thresholds()
    machine.set_threads(options.threads)
    folder, model, tokenizer, info = open_model(options.checkpoint, device)
    before = open_model(options.before, device) if options.before else None
    if before and before.tokenizer != tokenizer:
        raise UserError(
            f"{before.folder} and {folder} have different tokenizers; --before names what this "
            "model was trained from"
        )
    task = choose_task(options, info)
    if before and (made_for := before.info.task or task.name) != task.name:
        print(
            f"note: {before.folder} was made for {made_for}, and is asked about {task.name}",
            file=sys.stderr,
        )
    problems = task.problems(options.split, options.n)
    print(options_table(options), flush=True)
    result = study(
        before.model if before else None,
        model,
        tokenizer,
        task,
        problems,
        seed=options.seed,
        temperature=options.temperature,
        samples=options.samples,
        max_new_tokens=options.max_new_tokens,
        report=lambda text: print(text, file=sys.stderr),
    )
    result |= {
        "split": options.split,
        "checkpoint": str(folder),
        "checkpoint_before": str(before[0]) if before else None,
        "machine": machine.describe(device),
        "version": runlog.version(),
    }
    print(table(result))
    if options.out:
        files.write_json_atomic(options.out, result)
        print(f"written to {options.out}")


def choose_task(options: Options, info: Info) -> TracedTask:
    """The task that was asked for, or the one that the checkpoint was made for; UserError if it has
    no traces."""
    name = options.task or info.task
    if name not in TASKS:
        raise UserError(
            f"the checkpoint does not say what it is for; choose with --task: {', '.join(TASKS)}"
        )
    return traced(get_task(name))


# -- the result for a person to read ---------------------------------------------------------------

COLUMNS = {"before": "before", "after": "the model", "after_banned": f'"{REFLECTION_WORD}" banned'}
ROWS = {
    "reflection_rate": "reflects",
    "retry_rate": "tries again after failing",
    "first_try_accuracy": "first try right",
    "final_accuracy": "answer right",
    "corrected": "  corrected",
    "spoiled": "  spoiled",
    "false_accept": "accepts a wrong attempt",
    "careless_accept": "  although its check fails",
    "false_reject": "rejects a right attempt",
    "repeated_attempts": "repeats an attempt",
    "well_formed": "well-formed",
    "cut": "cut off at the limit",
    "attempts": "attempts a completion",
    "mean_length": "mean length, tokens",
    "mean_length_right": "  of right answers",
    "mean_length_wrong": "  of wrong answers",
    "entropy": "entropy, nats a token",
}
WIDTH = 27


def table(result: dict[str, Any]) -> str:
    """All measures side by side, the transitions, the ablation, and the verdict if there is one."""
    shown = [name for name in COLUMNS if name in result]
    lines = [
        f"{result['task']}, {result['split']} split: {result['n']} problems, answers to each: "
        f"{result['samples']}, at temperature {result['temperature']:g}"
        + (f" ({result['too_long']} prompts too long, left out)" if result["too_long"] else ""),
        "",
        " " * WIDTH + "".join(f"{COLUMNS[name]:<{WIDTH}}" for name in shown),
    ]
    lines += [
        f"{label:<{WIDTH}}" + "".join(f"{cell(result[name][row]):<{WIDTH}}" for name in shown)
        for row, label in ROWS.items()
    ]
    lines += ["", f"{'first try -> answer':<{WIDTH}}" + f"{'right  wrong':<{WIDTH}}" * len(shown)]
    for first in ("right", "wrong", "none"):
        counts = [result[name]["transitions"][first] for name in shown]
        lines.append(
            f"  {first:<{WIDTH - 2}}"
            + "".join(f"{c['right']:5} {c['wrong']:6}".ljust(WIDTH) for c in counts)
        )
    lines += ["", f"{'ablation gap':<{WIDTH}}{points(result['ablation_gap'])}"]
    for name, part in result.get("decomposition", {}).items():
        share = (
            f"   {part['share']:.0%} of the gain"
            if part["share"] is not None and name != "gain"
            else ""
        )
        lines.append(f"{name:<{WIDTH}}{points(part)}{share}")
    return "\n".join(line.rstrip() for line in [*lines, *remarks(result)])


def remarks(result: dict[str, Any]) -> list[str]:
    """What the figures alone do not say."""
    lines: list[str] = []
    retry = result["after"]["retry_rate"]
    if result["after"]["reflection_rate"]["count"] == 0:
        n = result["after"]["n"]
        lines.append(
            f'This model does not reflect: "{REFLECTION_WORD}" opens no attempt in {n} answers, '
            f"and of {retry['n']} failed first tries {retry['count']} were followed by another."
        )
    if "verdict" in result:
        found = result["verdict"]
        unmet = [
            name.replace("_", " ") + (" (too few cases)" if held is None else "")
            for name, held in found["conditions"].items()
            if not held
        ]
        lines.append(
            f"verdict: {found['verdict']}" + (f"; not shown: {', '.join(unmet)}" if unmet else "")
        )
    return ["", *lines, f"cost: {result['seconds']:.0f} s"]


def cell(value: dict[str, Any] | float | int | None) -> str:
    """A measure in a few characters: "34.5% 32-37 (345/1000)", "1.75", "too few (3/12)", "-"."""
    if value is None:
        return "-"
    if not isinstance(value, dict):
        return f"{value:.3f}" if isinstance(value, float) else str(value)
    if "rate" not in value:
        return f"too few ({value['n']})" if value["too_few"] else f"{value['mean']:.2f}"
    counts = f"({value['count']}/{value['n']})"
    if value["too_few"]:
        return f"too few {counts}"
    return f"{value['rate']:.1%} {100 * value['ci'][0]:.0f}-{100 * value['ci'][1]:.0f} {counts}"


def points(part: dict[str, Any]) -> str:
    """A difference of accuracies: "+40.1 points (37.0 to 43.2, n = 1000)"."""
    if part["too_few"]:
        return f"too few (n = {part['n']})"
    low, high = part["ci"]
    difference, n = 100 * part["difference"], part["n"]
    return f"{difference:+.1f} points ({100 * low:.1f} to {100 * high:.1f}, n = {n})"
