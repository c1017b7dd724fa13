"""The command: which problems to ask, and the result as a table."""

import sys
from collections.abc import Sequence
from typing import Any

from minilrm import checkpoint, files, machine
from minilrm.errors import UserError
from minilrm.evaluate.figures import REWORDINGS, Options, evaluate
from minilrm.evaluate.ladder import climb, ladder_table
from minilrm.intervals import TOO_FEW
from minilrm.options import options_table
from minilrm.tasks import FILE_TASK, TASKS, get_task, task_class
from minilrm.tasks.base import Problem, Task


def choose_task(options: Options, info: checkpoint.Info) -> Task:
    """The task that was asked for, or the one that the checkpoint was made for."""
    name = options.task or (FILE_TASK if options.data and not options.ladder else info.task)
    if name not in TASKS:
        raise UserError(
            f"the checkpoint does not say what it is for; choose with --task: {', '.join(TASKS)}"
        )
    if options.ladder:
        if options.tools:
            raise UserError("--ladder asks without tools; leave one of --ladder and --tools out")
        if options.split not in ("test", "validation"):
            raise UserError("--ladder has two sets of problems: --split test, or validation")
        return task_with_ladder(name)
    if options.data and not task_class(name).reads_file:
        raise UserError(f"--data goes with --task gsm8k; the problems of {name} are its own")
    if options.split == "all" and not options.data:
        raise UserError(
            "--split all means the whole of a file: name it with --data, or choose another split"
        )
    return (
        get_task(name, data=options.data, split_all=options.split == "all")
        if options.data
        else get_task(name)
    )


def task_with_ladder(name: str) -> Task:
    if not task_class(name).rungs:
        have = ", ".join(task for task in TASKS if task_class(task).rungs)
        raise UserError(f"{name} has no ladder; it is for {have}")
    return get_task(name)


def table(result: dict) -> str:
    """The result for a person to read."""
    r = result
    lines = [
        f"{r['task']}, {r['split']} split: {r['n']} problems, {r['samples']} samples each at "
        f"temperature {r['temperature']:g}"
        + (f" ({r['too_long']} prompts too long, left out)" if r["too_long"] else ""),
        "",
        line("accuracy", r["accuracy"], r["accuracy_ci"], r["n"]),
    ]
    for name, key in (("when thinking", "thinking"), ("by reflex", "reflex")):
        lines.append(
            line("  " + name, r[f"accuracy_{key}"], r[f"accuracy_{key}_ci"], r[f"{key}_n"])
        )
    if r["n"] < TOO_FEW:
        return "\n".join([*lines, cost(r)])
    lines += [
        line("greedy", r["greedy"], r["greedy_ci"], r["n"]),
        line("thinks", r["think_rate"], None, r["n"]),
        f"{'mean length':<26}{r['mean_length']:6.1f}   (well-formed {r['formatted']:.1%}, cut off "
        f"{r['clipped_ratio']:.1%})",
    ]
    for name, key in (("pass@k", "pass_at_k"), ("vote of k", "majority_at_k")):
        lines.append(f"{name:<26}" + "  ".join(f"{k}: {value:.1%}" for k, value in r[key].items()))
    for t, found in r.get("temperatures", {}).items():
        lines.append(line(f"temperature {t}", found["accuracy"], found["ci"], found["n"]))
    for t, found in r.get("thinking_forced", {}).items():
        lines.append(line(f"thinking forced, {t}", found["accuracy"], found["ci"], found["n"]))
    if alike := r.get("consistency"):
        lines.append(
            line(f"same in {REWORDINGS} wordings", alike["alike"], alike["ci"], alike["n"])
        )
    for name, key in (("steps", "by_steps"), ("language", "by_language"), ("ood", "by_ood")):
        lines += [
            line(f"{name} {value}", cell["accuracy"], None, cell["n"])
            for value, cell in r[key].items()
        ]
    for cell in r["calibration"] or ():
        share = (
            "unanimous" if cell["above"] == 1 else f"share {cell['above']:g} to {cell['up_to']:g}"
        )
        lines.append(line(f"vote {share}", cell["accuracy"], cell["ci"], cell["n"]))
    lines += tool_lines(r["tools"]) if "tools" in r else []
    lines.append(
        "verdicts: " + ", ".join(f"{reason} {count}" for reason, count in r["reasons"].items())
    )
    return "\n".join([*lines, cost(r)])


def tool_lines(found: dict[str, Any]) -> list[str]:
    """Calls per answer, by level too, and what was made up."""
    lines = [f"{'calls per answer':<26}{found['calls']:6.2f}"]
    for level, of in found["by_level"].items():
        lines.append(line(f"calls a tool, level {level}", of["call_rate"], None, of["n"]))
    for name, key, n in (
        ("calls that failed", "errors", "calls_n"),
        ("made-up facts", "made_up", "facts_n"),
    ):
        if found[n]:
            lines.append(line(name, found[key], None, found[n]))
    return lines


def cost(result: dict[str, Any]) -> str:
    return f"cost: {result['tokens']:,} tokens generated, {result['seconds']:.0f} s"


def line(name: str, value: float, interval: Sequence[float] | None, n: int) -> str:
    """One row of the table. A rate of fewer than 20 cases is none."""
    if n < TOO_FEW:
        return f"{name:<26}too few (n = {n})"
    ends = f"{interval[0]:.1%} to {interval[1]:.1%}, " if interval else ""
    return f"{name:<26}{value:6.1%}   ({ends}n = {n})"


def choose_problems(task: Task, options: Options) -> list[Problem]:
    """As many problems of the split as were asked for; of `all` every one, unless --n was given."""
    if options.split != "all":
        return task.problems(options.split, options.n)
    return task.problems("test", options.n if "n" in options.given else sys.maxsize)


def main(options: Options) -> None:
    files.refuse_to_overwrite(options.out)
    device = machine.choose_device(options.device)
    machine.raise_malloc_thresholds()
    machine.set_threads(options.threads)
    folder, model, tokenizer, info = checkpoint.open_model(options.checkpoint, device)
    if options.chat:
        tokenizer.start_chat()
    task = choose_task(options, info)
    if options.ladder:
        print(options_table(options), flush=True)
        result = climb(model, tokenizer, task, options, lambda text: print(text, file=sys.stderr))
        finish(result | {"checkpoint": str(folder)}, ladder_table(result), options)
        return
    problems = choose_problems(task, options)
    print(options_table(options.replace(n=len(problems))), flush=True)
    result = evaluate(
        model, tokenizer, task, problems, options, report=lambda text: print(text, file=sys.stderr)
    )
    finish(result | {"checkpoint": str(folder)}, table(result), options)


def finish(result: dict[str, Any], shown: str, options: Options) -> None:
    """Show the result, and keep it if that was asked for."""
    print(shown)
    if options.out:
        files.write_json_atomic(options.out, result)
        print(f"written to {options.out}")
