"""Rollouts: `sampler.generate` beside `transformers.generate`, in useful tokens a second.

Both sample at temperature 1 from the same weights, 8 completions for each of 32 or 64 training
prompts of gsm8k-mini. A token is useful up to and with the end-of-text token of its completion;
what a batch computes behind it is waste.

    plain   the prompt as in training; the shipped base mostly blurts out a short answer, now and
            then it thinks
    cot     thinking is forced ("Let's think step by step."), so lengths are about those of a
            trained policy
    equal   48 new tokens in every row, the end of text is ignored on both sides: nothing to gain
            from rows that end

In `plain` and `cot` each side draws its own completions, so their lengths differ by chance: the
rate counts what each has made. Text goes in and text comes out on both sides. minilrm also keeps
each token's log-probability; the peer is not asked for it.

    python -m benchmarks.rollout
    python -m benchmarks.rollout --checkpoint RUN --cases plain      a trained policy
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import common, same
from benchmarks.sides import Link, Worker
from minilrm import checkpoint, machine
from minilrm.cli import run_command
from minilrm.options import option
from minilrm.sampler import generate
from minilrm.sampler.workers import beside_this
from minilrm.tasks import get_task
from minilrm.tokenizer import Tokenizer

TASK, GROUP = "gsm8k-mini", 8
EQUAL_LENGTH = 48


@dataclass
class Options(common.Options):
    """Useful tokens a second, against transformers.generate."""

    checkpoint: str = option(
        "gsm8k-mini-base", "the model: a shipped one, a run or a checkpoint folder"
    )
    cases: list[str] = option(
        ["plain", "cot", "equal"], "what to measure", choices=("plain", "cot", "equal")
    )
    sequences: list[int] = option([256, 512], "completions decoded together", minimum=GROUP)


class Endless(Tokenizer):
    """The tokenizer with an end of text that no token is: every completion runs to its full
    length."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.eos_id = -1


def ours(link: Link, folder: Path, prompts: list[str], new_tokens: int, endless: bool) -> None:
    """A worker: minilrm, decoding in bfloat16 where that pays, as its trainer does."""
    model, tokenizer, _ = checkpoint.load(folder)
    if endless:
        tokenizer = Endless(tokenizer.merges, tokenizer.specials)
    cpu = torch.device("cpu")
    dtype, workers = torch.bfloat16 if machine.bfloat16_pays(cpu) else None, beside_this(cpu)
    while True:
        job = link.next()
        started = time.perf_counter()
        groups = generate(
            model,
            tokenizer,
            prompts,
            n=GROUP,
            max_new_tokens=new_tokens,
            temperature=1.0,
            seed=job["turn"],
            dtype=dtype,
            workers=workers,
        )
        seconds = time.perf_counter() - started
        answer(
            link,
            seconds,
            [len(c.token_ids) for group in groups for c in group],
            helpers_mb=workers.peaks_mb if workers else [],
        )


def peer(
    link: Link, folder: Path, prompts: list[str], new_tokens: int, endless: bool, setting: str
) -> None:
    """A worker: transformers, in one of its own settings."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype, attention = setting.split(",")[0].split()
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=getattr(torch, dtype), attn_implementation=attention
    ).eval()
    end = tokenizer.eos_token_id
    if endless:
        model.generation_config.eos_token_id = end = None
    while True:
        job = link.next()
        torch.manual_seed(job["turn"])
        started = time.perf_counter()
        batch = tokenizer(prompts, return_tensors="pt", padding=True)
        ids = model.generate(
            **batch,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            max_new_tokens=new_tokens,
            num_return_sequences=GROUP,
            pad_token_id=tokenizer.pad_token_id,
        )
        rows = ids[:, batch["input_ids"].shape[1] :]
        tokenizer.batch_decode(rows, skip_special_tokens=True)
        seconds = time.perf_counter() - started
        answer(link, seconds, [useful(row, end) for row in rows.tolist()])


def useful(row: list[int], end: int | None) -> int:
    """How many tokens of a row count: up to and with the first end of text.

    >>> useful([5, 6, 0, 1, 1], end=0), useful([5, 6, 7], end=0), useful([0, 6], end=None)
    (3, 3, 2)
    """
    return row.index(end) + 1 if end is not None and end in row else len(row)


def answer(link: Link, seconds: float, lengths: list[int], **more) -> None:
    link.answer(
        seconds=seconds,
        work=sum(lengths),
        tokens=sum(lengths),
        mean_length=sum(lengths) / len(lengths),
        longest=max(lengths),
        **more,
    )


def measure(
    case: str,
    sequences: int,
    options: Options,
    folder: Path,
    threads: int,
    settings: Sequence[str],
    peak: float,
) -> dict:
    """One row of the table. settings: the peer's candidates."""
    task, tokenizer = get_task(TASK), Tokenizer.load(folder)
    problems = same.training_problems(task, max(1, sequences // GROUP))
    prompts = [task.render(p, "cot" if case == "cot" else "plain") for p in problems]
    new_tokens = 6 if options.quick else EQUAL_LENGTH if case == "equal" else task.max_new_tokens
    work = {
        "folder": folder,
        "prompts": prompts,
        "new_tokens": new_tokens,
        "endless": case == "equal",
        "threads": threads,
    }

    def start(setting: str) -> Worker:
        return Worker(peer, memory=setting != common.AS_INSTALLED, setting=setting, **work)

    rounds, note = common.duel(
        lambda: Worker(ours, **work), start if options.peer else None, settings, options.pairs
    )
    read, parameters = sum(len(tokenizer.encode(p)) for p in prompts), same.parameters_of(folder)
    for pair in rounds:
        for side in pair.values():
            side["flops"] = common.flops(parameters, forward=read + side["tokens"])
    count = len(prompts) * GROUP
    return {
        "name": f"{case}, {count} sequences, {threads} thread(s)",
        "case": case,
        "sequences": count,
        "prompts": len(prompts),
        "prompt_tokens": read,
        "max_new_tokens": new_tokens,
        "parameters": parameters,
        "threads": threads,
        **note,
        **common.compare(rounds, peak),
    }


def run(options: Options) -> Path:
    """All cases; writes the report."""
    if options.peer:
        common.require("transformers")
    folder = checkpoint.resolve(options.checkpoint)
    threads = options.threads or machine.default_threads()
    report = common.new_report("rollout", options, [threads])
    task = get_task(TASK)
    if options.peer:
        some = [
            task.render(p, "cot") for p in same.training_problems(task, 2 if options.quick else 16)
        ]
        report["same_model"] = same.prove_same_model(folder, some, threads)
    report["checkpoint"] = options.checkpoint
    for case in options.cases:
        settings: Sequence[str] = common.SETTINGS[:2] if options.quick else common.SETTINGS
        for sequences in [2 * GROUP] if options.quick else options.sequences:
            result = measure(
                case, sequences, options, folder, threads, settings, common.peak(report, threads)
            )
            settings = [result["peer_setting"]]  # found with the first size, kept for the others
            report["cases"].append(result)
            common.say(f"{result['name']} (peer: {result['peer_setting']})", result)
    return common.write(report, options)


if __name__ == "__main__":
    run_command(run, Options, prog="python -m benchmarks.rollout", description=Options.__doc__)
