"""The five training commands in miniature, for the tests of the loop: runs of a few steps, what
they leave behind, and how to interrupt one."""

import contextlib
import json
import signal
from collections import Counter

import pytest
import safetensors.torch
from conftest import pay

from minilrm import corpus, distill, grpo, ppo, pretrain, sft, traces
from minilrm.loop import run as loop_run
from minilrm.runlog import RunLog
from minilrm.tasks.gsm8k_mini import GSM8KMini

LOOPS = {"pretrain": pretrain, "sft": sft, "grpo": grpo, "ppo": ppo, "distill": distill}
WRITE_REPORT = loop_run.write_report
SUMMARY_KEYS = set(
    "task seed steps eval_n accuracy_before accuracy_before_ci accuracy_after accuracy_after_ci "
    "greedy_before greedy_after length_before length_after tokens_generated tokens_trained seconds "
    "device version best last".split()
)

ROLLOUTS = {
    "steps": 6,
    "prompts": 3,
    "group_size": 4,
    "max_new_tokens": 12,
    "eval_every": 2,
    "save_every": 2,
    "eval_n": 5,
    "eval_quick": 3,
    "max_tokens_per_batch": 64,
}
FEW = {
    "pretrain": {
        "scale": "pico",
        "tokens": 10_000,
        "max_tokens_per_batch": 512,
        "accumulate": 1,
        "eval_every": 15,
        "save_every": 10,
        "eval_n": 2,
    },
    "sft": {
        "steps": 6,
        "batch": 4,
        "max_tokens_per_batch": 256,
        "warmup": 2,
        "eval_every": 2,
        "save_every": 2,
        "eval_n": 3,
    },
    "grpo": ROLLOUTS,
    "ppo": ROLLOUTS,
    "distill": {
        "way": "on-policy",
        "steps": 6,
        "prompts": 24,
        "batch": 6,
        "lr": 1e-2,
        "max_tokens_per_batch": 400,
        "warmup": 2,
        "eval_every": 2,
        "save_every": 2,
        "eval_n": 3,
    },
}


def keep_ended(episodes, seen):
    """In the place of `traces.keep_right`: a random model is never right."""
    kept = [e for e in episodes if e.finish_reason == "eos"]
    tokens = sum(e.length for e in episodes)
    return kept, Counter(sampled=len(episodes), kept=len(kept), tokens=tokens)


@contextlib.contextmanager
def miniature():
    """Less to read and to write, so that a run takes a second or two: all else is as it always
    is."""
    build = corpus.build
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GSM8KMini, "max_new_tokens", 8)
        patch.setattr(
            corpus,
            "build",
            lambda tokenizer, tokens, pages, chunk=20: build(
                tokenizer, tokens if pages.split == "train" else 2000, pages, chunk=20
            ),
        )
        patch.setattr(traces, "keep_right", keep_ended)
        pay(patch)
        yield patch


@pytest.fixture
def small():
    """`miniature`, and without the page at the end, which takes longer than the run."""
    with miniature() as patch:
        patch.setattr(loop_run, "write_report", lambda folder: folder)
        yield patch


def options(name, base, out, **more):
    """Options of a run of a few steps."""
    common = {"out": out, "threads": 1, "device": "cpu"}
    return LOOPS[name].Options(**common | FEW[name] | starts(name, base) | more)


def starts(name, base):
    """Where a command begins: at the tiny base, which also teaches itself in a distillation."""
    if name == "pretrain":
        return {}
    base = str(base)
    return {"teacher": base, "student": base} if name == "distill" else {"init": base}


@pytest.fixture(scope="module")
def runs(base, tmp_path_factory):
    """One uninterrupted run of each loop, made when first asked for, with its page."""
    made = {}

    def run(name):
        if name not in made:
            with (
                miniature() as patch
            ):  # with its page, even where a test that is `small` asks first
                patch.setattr(loop_run, "write_report", WRITE_REPORT)
                made[name] = (
                    LOOPS[name]
                    .train(options(name, base, tmp_path_factory.mktemp(name) / "run"))
                    .folder
                )
        return made[name]

    return run


def weights(folder):
    """The last checkpoint's tensors, those of the optimizers too."""
    last = RunLog(folder, {}).checkpoints()[-1][1]
    return {
        f"{file}/{name}": tensor
        for file in ("model", "optimizer", "heads")
        if (last / f"{file}.safetensors").exists()
        for name, tensor in safetensors.torch.load_file(last / f"{file}.safetensors").items()
    }


def timeless(record):
    """A record without what the clock put into it, in whatever depth."""
    if isinstance(record, dict):
        return {
            key: timeless(value)
            for key, value in record.items()
            if key.split("/")[0] not in ("seconds", "elapsed", "machine", "started", "options")
        }
    return record


def is_the_same_run(a, b):
    """Assert that two runs left the same behind, bit for bit."""
    one, other = weights(a), weights(b)
    assert one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)
    for file in ("metrics.jsonl", "samples.jsonl"):
        if (a / file).exists() or (b / file).exists():
            first, second = (
                [timeless(json.loads(line)) for line in (run / file).read_text().splitlines()]
                for run in (a, b)
            )
            assert first == second, file
    first, second = (timeless(json.loads((run / "summary.json").read_text())) for run in (a, b))
    assert first == second
    assert RunLog(a, {}).checkpoints()[-1][0] == RunLog(b, {}).checkpoints()[-1][0]


def interrupt_in_step(patch, name, number):
    """Press Ctrl-C in the middle of a step (counted from 1)."""
    once_a_step = {
        "pretrain": (pretrain, "loss_of"),
        "sft": (sft.Trainer, "draw"),
        "grpo": (grpo.Trainer, "update"),
        "ppo": (ppo, "set_advantages"),
        "distill": (distill.Trainer, "descend"),
    }
    owner, attribute = once_a_step[name]
    original, calls = getattr(owner, attribute), []

    def hooked(*args, **more):
        calls.append(1)
        if len(calls) == number:
            signal.raise_signal(signal.SIGINT)
        return original(*args, **more)

    patch.setattr(owner, attribute, hooked)
