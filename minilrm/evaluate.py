"""How good a model is, how sure that is, and which simpler things would explain it away.

`quick` is what training loops call between steps. `evaluate`, also a command, is for final figures:

    python -m minilrm.evaluate --checkpoint gsm8k-mini-base --split test --n 1000 --samples 8 --out
    base.json

It answers every problem `samples` times at one temperature, and then again in the ways that could
explain a gain away: greedily, at lower temperatures, with thinking forced by the prompt, and in
other words. Two rules keep it honest. A figure with an interval uses the *first* sample of each
problem, so that it stands on n independent problems; all samples together serve pass@k, votes and
`accuracy_all_samples`. And every rate carries the number of its cases.

What it leaves out: comparing two models. Their `outcomes` (a 0 or 1 a problem) are kept for
`paired_bootstrap`.
"""

import hashlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path

import torch

from minilrm import checkpoint, cli, files, machine, runlog
from minilrm.cli import option
from minilrm.errors import UserError
from minilrm.intervals import (  # noqa: F401  (training loops and notebooks find them here)
    TOO_FEW,
    calibration,
    majority,
    majority_at_k,
    mean,
    paired_bootstrap,
    pass_at_k,
    rate,
    wilson_interval,
)
from minilrm.model import Transformer
from minilrm.rollout import Episode, fitting, rollout
from minilrm.sampler.workers import Workers, beside_this
from minilrm.tasks import TASKS, get_task
from minilrm.tasks.base import SPLITS, Problem, Task, problem_rng
from minilrm.tokenizer import Tokenizer

# a lower temperature alone can make a model look better: try these
TEMPERATURES = (0.0, 0.3, 0.6, 1.0)
REWORDINGS, REWORDED = 4, 250  # how many other wordings, of how many problems

Groups = Sequence[Sequence[Episode]]


@dataclass
class Options:
    """Measure a checkpoint: accuracy, pass@k, votes, baselines, with intervals and costs."""

    checkpoint: str = option(
        MISSING, "a checkpoint's folder, a run's (then its last), or the name of a shipped one"
    )
    task: str | None = option(
        None, "what to ask; the checkpoint's own task if not given", choices=tuple(TASKS)
    )
    split: str = option(
        "test", "which problems; all: the whole of --data", choices=(*SPLITS, "all")
    )
    n: int = option(1000, "problems", minimum=1)
    samples: int = option(8, "answers to each problem, for pass@k and votes", minimum=1)
    seed: int = option(0, "seed of the samples", minimum=0)
    temperature: float = option(1.0, "of the main figures; 0 is greedy", minimum=0)
    max_new_tokens: int | None = option(
        None, "longest answer; the task's own limit if not given", minimum=1
    )
    quick: bool = option(False, "skip the baselines: temperatures, forced thinking, other wordings")
    data: Path | None = option(None, "JSONL file of problems in GSM8K's schema, for --task gsm8k")
    out: Path | None = option(None, "JSON file for the result")
    device: str = option("auto", "auto, cpu or cuda", choices=("auto", "cpu", "cuda"))
    threads: int | None = option(
        None, "threads; the available cores, at most 4, if not given", minimum=1
    )


# -- in-run evaluation -----------------------------------------------------------------------------


def quick(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    *,
    seed: int,
    max_new_tokens: int,
    temperature: float = 1.0,
    style: str = "plain",
    samples: int = 1,
    dtype: torch.dtype | None = None,
    workers: Workers | None = None,
) -> tuple[dict, list[Episode]]:
    """Answer the problems once (or `samples` times) each: (figures, episodes).

    Prompts too long for the context are left out; `n` counts the problems that were asked. `dtype`
    is the precision to decode in (None: the model's own). `workers`: processes that decode a share
    of them.
    """
    asker = Asker(
        model,
        tokenizer,
        task,
        list(problems),
        max_new_tokens,
        seed,
        dtype,
        styles=(style,),
        workers=workers,
    )
    groups = asker(temperature, style, samples)
    return {**score(groups), "seconds": asker.seconds}, [e for group in groups for e in group]


@dataclass
class Asker:
    """Puts the same problems to a model in several ways, and counts what that costs.

    Problems whose prompt is too long in any of `styles` are dropped at the start, so that all ways
    ask the same ones.
    """

    model: Transformer
    tokenizer: Tokenizer
    task: Task
    problems: list[Problem]
    max_new_tokens: int
    seed: int
    dtype: torch.dtype | None = None
    styles: tuple[str, ...] = ("plain",)
    say: Callable[[str], None] = field(default=lambda line: None)
    workers: Workers | None = None
    too_long: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __post_init__(self):
        asked = self.problems
        for style in self.styles:
            asked = self.fitting(asked, style)
        self.too_long = len(self.problems) - len(asked)
        self.problems = asked
        if not asked:
            raise UserError(
                f"no prompt leaves room for {self.max_new_tokens} new tokens in a context of "
                f"{self.model.config.max_seq_len}; there is nothing to ask"
            )

    def fitting(self, problems: Sequence[Problem], style: str = "plain") -> list[Problem]:
        return fitting(
            self.task,
            self.tokenizer,
            problems,
            self.model.config.max_seq_len - self.max_new_tokens,
            style,
        )

    def __call__(
        self,
        temperature: float,
        style: str = "plain",
        samples: int = 1,
        problems: Sequence[Problem] | None = None,
    ) -> list[list[Episode]]:
        """`samples` graded answers to each problem."""
        started = time.perf_counter()
        groups = rollout(
            self.model,
            self.tokenizer,
            self.task,
            self.problems if problems is None else problems,
            group_size=samples,
            max_new_tokens=self.max_new_tokens,
            temperature=temperature,
            seed=self.seed,
            style=style,
            dtype=self.dtype,
            workers=self.workers,
        )
        figures, seconds = score(groups), time.perf_counter() - started
        self.tokens += figures["tokens"]
        self.seconds += seconds
        self.say(
            f"{style}, temperature {temperature:g}: {len(groups)} x {samples} answers, "
            f"{figures['accuracy']:.1%} right, {seconds:.0f} s"
        )
        return groups


def score(groups: Groups) -> dict:
    """The figures of one pass over the problems. Rates of nothing are NaN, which our JSON writes as
    null.

    accuracy_ci counts problems, not samples: two samples of one problem are not independent, and an
    interval that took them as such would be too narrow.
    """
    episodes = [e for group in groups for e in group]
    accuracy = mean([e.grade.correct for e in episodes])
    return {
        "accuracy": accuracy,
        "accuracy_ci": list(wilson_interval(accuracy * len(groups), len(groups))),
        "formatted": mean([e.grade.formatted and e.finish_reason == "eos" for e in episodes]),
        "think_rate": mean([e.thinks for e in episodes]),
        "accuracy_thinking": mean([e.grade.correct for e in episodes if e.thinks]),
        "accuracy_reflex": mean([e.grade.correct for e in episodes if not e.thinks]),
        "mean_length": mean([e.length for e in episodes]),
        "clipped_ratio": mean([e.finish_reason == "length" for e in episodes]),
        "n": len(groups),
        "tokens": sum(e.length for e in episodes),
    }


# -- final figures ---------------------------------------------------------------------------------


def evaluate(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    problems: Sequence[Problem],
    options: Options,
    say: Callable[[str], None] = lambda line: None,
) -> dict:
    """All the figures of a checkpoint on these problems, as one JSON object (see the head of this
    file).

    `say` is told of every pass as it ends.
    """
    started = time.perf_counter()
    device = next(model.parameters()).device
    dtype = torch.bfloat16 if machine.bfloat16_pays(device) else None
    asker = Asker(
        model,
        tokenizer,
        task,
        list(problems),
        options.max_new_tokens or task.max_new_tokens,
        options.seed,
        dtype,
        styles=("plain",) if options.quick else ("plain", "cot"),
        say=say,
        workers=beside_this(device),
    )
    # at temperature 0 all samples are alike
    samples = options.samples if options.temperature > 0 else 1
    groups = asker(options.temperature, samples=samples)
    first, greedy = firsts(groups), asker(0.0) if options.temperature > 0 else groups
    outcomes = {"sampled": outcome(first), "greedy": outcome(greedy)}
    result = {
        "task": task.name,
        "split": options.split,
        "n": len(groups),
        "samples": samples,
        "seed": options.seed,
        "temperature": options.temperature,
        "max_new_tokens": asker.max_new_tokens,
        "too_long": asker.too_long,
        **sampled_figures(first),
        "accuracy_all_samples": score(groups)["accuracy"],
        "greedy": short(greedy)["accuracy"],
        "greedy_ci": short(greedy)["ci"],
        **several_figures(task, groups),
        "by_steps": breakdown(first, lambda p: p.difficulty),
        "by_language": breakdown(first, lambda p: p.meta.get("language", "en")),
        "by_ood": breakdown(first, lambda p: p.meta.get("ood")),
        "reasons": dict(Counter(e.grade.reason for group in first for e in group).most_common()),
    }
    if not options.quick:
        result |= baselines(asker, options.temperature, first, greedy, outcomes)
    return {
        **result,
        "outcomes": outcomes,
        "problems_sha256": fingerprint(asker.problems),
        "tokens": asker.tokens,
        "seconds": time.perf_counter() - started,
        "peak_memory_mb": machine.peak_memory_mb(),
        "decoding_dtype": str(dtype or next(model.parameters()).dtype).removeprefix("torch."),
        "machine": machine.describe(device),
        "version": runlog.version(),
        "checkpoint": options.checkpoint,
    }


def firsts(groups: Groups) -> list[list[Episode]]:
    """The first sample of each problem."""
    return [[group[0]] for group in groups]


def outcome(groups: Groups) -> str:
    """Who was right, a character a problem: "0110..."; `[int(c) for c in ...]` goes into
    `paired_bootstrap`."""
    return "".join(str(int(group[0].grade.correct)) for group in groups)


def fingerprint(problems: Sequence[Problem]) -> str:
    """Equal for two results on the same problems in the same order: only then may their outcomes be
    paired."""
    return hashlib.sha256(
        "\n".join(p.key + "\t" + p.prompt for p in problems).encode("utf-8", "replace")
    ).hexdigest()


def short(groups: Groups) -> dict:
    """The figures of a baseline: one answer a problem."""
    figures = score(groups)
    return {
        **rate([group[0].grade.correct for group in groups]),
        **{name: figures[name] for name in ("think_rate", "mean_length", "tokens")},
    }


def sampled_figures(first: Groups) -> dict:
    """The main figures, from one sample a problem."""
    episodes = [group[0] for group in first]
    figures = score(first)
    for name, thinks in (("thinking", True), ("reflex", False)):
        found = rate([e.grade.correct for e in episodes if e.thinks == thinks])
        figures |= {
            f"accuracy_{name}": found["accuracy"],
            f"accuracy_{name}_ci": found["ci"],
            f"{name}_n": found["n"],
        }
    figures["mean_length_right"] = mean([e.length for e in episodes if e.grade.correct])
    figures["mean_length_wrong"] = mean([e.length for e in episodes if not e.grade.correct])
    del figures["tokens"]  # the result's own count is that of all passes
    return figures


def several_figures(task: Task, groups: Groups) -> dict:
    """What several samples of each problem tell: pass@k, votes among k, and how far a clear vote
    can be trusted."""
    n = len(groups[0])
    ks = sorted({k for k in (1, 2, 4, 8, 16, 32, 64) if k <= n} | {n})
    votes = [
        ([task.vote_key(e.problem, e.grade.answer) for e in g], [e.grade.correct for e in g])
        for g in groups
    ]
    return {
        "pass_at_k": {k: mean([pass_at_k(n, sum(correct), k) for _, correct in votes]) for k in ks},
        "majority_at_k": {
            k: mean([majority_at_k(keys, correct, k) for keys, correct in votes]) for k in ks
        },
        "calibration": calibration(votes) if n >= 4 else None,
    }


def breakdown(groups: Groups, by: Callable[[Problem], object]) -> dict:
    """Accuracy by some property of the problem; problems where that is None are left out."""
    cells: dict[object, list[bool]] = {}
    for group in groups:
        cells.setdefault(by(group[0].problem), []).append(group[0].grade.correct)
    return {
        str(name): {"n": len(cells[name]), "accuracy": mean(cells[name])}
        for name in sorted((c for c in cells if c is not None), key=lambda c: (str(type(c)), c))
    }


# -- baselines that could explain a gain away ------------------------------------------------------


def baselines(
    asker: Asker, temperature: float, first: Groups, greedy: Groups, outcomes: dict[str, str]
) -> dict:
    """The same problems at other temperatures, with thinking forced by the prompt, and in other
    words."""
    known = {0.0: greedy, temperature: first}
    temperatures = {}
    for t in TEMPERATURES:
        groups = known[t] if t in known else asker(t)
        temperatures[f"{t:g}"] = short(groups)
        outcomes[f"temperature {t:g}"] = outcome(groups)
    forced = {}
    for t in (0.0, 1.0):
        groups = asker(t, style="cot")
        forced[f"{t:g}"] = short(groups)
        outcomes[f"forced {t:g}"] = outcome(groups)
    best = max(temperatures, key=lambda t: temperatures[t]["accuracy"])
    return {
        "temperatures": temperatures,
        "best_temperature": {"temperature": float(best), **temperatures[best]},
        "thinking_forced": forced,
        "consistency": consistency(asker),
    }


def consistency(asker: Asker) -> dict | None:
    """How often a problem gets one and the same answer in four other wordings, decoded greedily.

    alike: share of problems; accuracy: of all answers. None for a task that has one wording a
    problem. An unreadable answer is like no other.
    """
    families = []
    for i, problem in enumerate(asker.problems[:REWORDED]):
        family = [
            asker.task.reword(problem, problem_rng(asker.seed, i * REWORDINGS + j, "reword"))
            for j in range(REWORDINGS)
        ]
        if len(asker.fitting(family)) == REWORDINGS:
            families.append(family)
    if len({p.prompt for family in families for p in family}) <= len(families):
        return None
    flat = asker(0.0, problems=[p for family in families for p in family])
    answers = [asker.task.vote_key(e.problem, e.grade.answer) for (e,) in flat]
    alike = [
        None not in four and len(set(four)) == 1
        for four in (answers[i : i + REWORDINGS] for i in range(0, len(answers), REWORDINGS))
    ]
    found = rate(alike)
    return {
        "alike": found["accuracy"],
        "ci": found["ci"],
        "n": len(alike),
        "rewordings": REWORDINGS,
        "accuracy": mean([e.grade.correct for (e,) in flat]),
    }


# -- the command -----------------------------------------------------------------------------------


def open_model(where: str, device: torch.device) -> tuple[Path, Transformer, Tokenizer, dict]:
    """(folder, model, tokenizer, info) of a checkpoint folder, of a run's last checkpoint, or of a
    shipped one."""
    folder = checkpoint.resolve(where)
    model, tokenizer, info = checkpoint.load(folder, device=device)
    if tokenizer is None:
        raise UserError(
            f"{folder} has no tokenizer that minilrm wrote; it can be loaded, but not asked"
        )
    return folder, model.eval(), tokenizer, info


def choose_task(options: Options, info: dict) -> Task:
    """The task that was asked for, or the one that the checkpoint was made for."""
    name = options.task or ("gsm8k" if options.data else info.get("task"))
    if name not in TASKS:
        raise UserError(
            f"the checkpoint does not say what it is for; choose with --task: {', '.join(TASKS)}"
        )
    if options.data and name != "gsm8k":
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


def table(result: dict) -> str:
    """The result for a person to read."""
    r = result
    lines = [
        f"{r['task']}, {r['split']} split: {r['n']} problems, {r['samples']} samples each at temperature "
        f"{r['temperature']:g}"
        + (f" ({r['too_long']} prompts too long, left out)" if r["too_long"] else ""),
        "",
        line("accuracy", r["accuracy"], r["accuracy_ci"], r["n"]),
    ]
    for name, key in (("when thinking", "thinking"), ("by reflex", "reflex")):
        lines.append(
            line("  " + name, r[f"accuracy_{key}"], r[f"accuracy_{key}_ci"], r[f"{key}_n"])
        )
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
    lines.append(
        "verdicts: " + ", ".join(f"{reason} {count}" for reason, count in r["reasons"].items())
    )
    return "\n".join([*lines, f"cost: {r['tokens']:,} tokens generated, {r['seconds']:.0f} s"])


def line(name: str, value: float, interval: Sequence[float] | None, n: int) -> str:
    """One row of the table. A rate of fewer than 20 cases is none."""
    if n < TOO_FEW:
        return f"{name:<26}too few (n = {n})"
    ends = f"{interval[0]:.1%} to {interval[1]:.1%}, " if interval else ""
    return f"{name:<26}{value:6.1%}   ({ends}n = {n})"


def main(options: Options) -> None:
    if options.out and (options.out.is_dir() or not options.out.absolute().parent.is_dir()):
        raise UserError(f"--out {options.out} must name a file in a folder that is there")
    device = machine.choose_device(options.device)
    machine.raise_malloc_thresholds()
    machine.set_threads(options.threads)
    folder, model, tokenizer, info = open_model(options.checkpoint, device)
    task = choose_task(options, info)
    problems = task.problems("test" if options.split == "all" else options.split, options.n)
    print(cli.describe(options), flush=True)
    result = evaluate(
        model, tokenizer, task, problems, options, say=lambda text: print(text, file=sys.stderr)
    )
    result["checkpoint"] = str(folder)
    print(table(result))
    if options.out:
        files.write_json_atomic(options.out, result)
        print(f"written to {options.out}")


if __name__ == "__main__":
    cli.run_command(main, Options, prog="python -m minilrm.evaluate", description=Options.__doc__)
