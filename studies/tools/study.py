"""What is a tool worth to a small model, and does the model learn when to call one?

    python -m studies.tools base             one base for all three tasks, some of whose pages hold
                                             calls: pretraining, then the test split with and
                                             without tools
    python -m studies.tools zero-shot        a base that has never read a call, with a calculator
    python -m studies.tools sft              the base, fine-tuned on solutions with calls alone
    python -m studies.tools grpo-prices 0    GRPO with the tools of the task, reward for the right
                                             answer alone; so grpo-long-sums, grpo-loops
    python -m studies.tools price-prices 0   goes on from there, and each call costs a twentieth of
                                             a right answer; so price-long-sums, price-loops
    python -m studies.tools early-prices 0   that price from the first step on, before the tool is
                                             mastered; so early-long-sums, early-loops
    python -m studies.tools alone-prices 0   GRPO without tools: what the model learns to do itself;
                                             so alone-long-sums, alone-loops
    python -m studies.tools all              everything that is missing, one after another

Each finished part is a line of data/results/tools.jsonl; what stands there is not run again. Test
split, n = 1000, one answer a problem at temperature 1 and one at temperature 0, with the tools of
the task and without any. One thread.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from minilrm import grpo, pretrain, sft, tool_use
from minilrm.errors import UserError
from minilrm.evaluate.figures import fingerprint, outcome
from minilrm.measure import Evaluator, Scores
from minilrm.tasks import get_task
from minilrm.tools import Toolbox
from studies import common

MIXED, TASKS, SEEDS, N = "tools", ("long-sums", "prices", "loops"), (0, 1, 2), 1000
BASE: dict[str, Any] = {  # small steps: it learns to copy within fewer tokens
    "scale": "pico",
    "tokens": 6_000_000,
    "accumulate": 1,
    "max_tokens_per_batch": 2048,
}
STEPS, PRICE_STEPS, SFT_STEPS = 100, 60, 100
PRICE = 0.05  # of a call, where it has one; a right answer earns 1
STRANGER = "gsm8k-mini-base"  # a base that has never read a call

#: task -> what its GRPO is asked for; a program in the sandbox takes a twentieth of a second
OF_TASK: dict[str, dict[str, Any]] = {"loops": {"prompts": 16}}
#: arm -> what its GRPO is asked for beyond the task; "tools" means the task's own
ARMS: dict[str, dict[str, Any]] = {
    "grpo": {"tools": True},
    "price": {"tools": True, "call_price": PRICE, "steps": PRICE_STEPS},
    "early": {"tools": True, "call_price": PRICE},
    "alone": {},
}


# -- measuring -------------------------------------------------------------------------------------


def on_and_off(where: str | Path, names: tuple[str, ...] = TASKS, n: int = N) -> dict[str, Any]:
    """task -> "on" and "off" -> the figures of a checkpoint with the task's tools and without."""
    model, tokenizer = common.open_model(where)
    found: dict[str, Any] = {}
    for name in names:
        task = get_task(name)
        found[name] = {}
        for way, tools in (("on", Toolbox(task.tools, task)), ("off", None)):
            evaluator = Evaluator(
                model,
                tokenizer,
                task,
                task.problems("test", n),
                task.max_new_tokens,
                0,
                common.decoding_dtype(model),
                report=lambda line, name=name, way=way: print(f"{name}, tools {way}: {line}"),
                tools=tools,
            )
            found[name][way] = cell(evaluator)
    return found


def cell(evaluator: Evaluator) -> dict[str, Any]:
    """One answer a problem at temperature 1, and how the tools were used in it; a greedy one."""
    groups, greedy = evaluator(1.0), evaluator(0.0)
    episodes = [group[0] for group in groups]
    scores = Scores.of(groups)
    return {
        "accuracy": scores.accuracy,
        "ci": scores.accuracy_ci,
        "greedy": Scores.of(greedy).accuracy,
        "n": scores.n,
        "mean_length": scores.mean_length,
        "right": outcome(groups),
        "problems_sha256": fingerprint(evaluator.problems),
        "tools": tool_use.figures(evaluator.task, episodes),
    }


# -- the parts -------------------------------------------------------------------------------------


def base_run(seed: int = 0) -> Path:
    """The folder of the base: one that is trained here, for all arms."""
    return common.folder("tools", "base", seed)


def study_base(seed: int) -> dict[str, Any]:
    log = common.run(
        pretrain.train, pretrain.Options, base_run(seed), task=MIXED, seed=seed, threads=1,
        **BASE,
    )  # fmt: skip
    return {"summary": common.summary(log), "test": on_and_off(common.last(log))}


def study_zero_shot(seed: int) -> dict[str, Any]:
    """Does a model call what nobody has told it of?"""
    return {"checkpoint": STRANGER, "test": on_and_off(STRANGER, ("long-sums",))}


def study_sft(seed: int) -> dict[str, Any]:
    log = common.run(
        sft.train, sft.Options, common.folder("tools", "sft", seed), task=MIXED, seed=seed,
        threads=1, init=str(base_run()), style="tool", steps=SFT_STEPS, save_every=SFT_STEPS,
        eval_every=SFT_STEPS,
    )  # fmt: skip
    return {"summary": common.summary(log), "test": on_and_off(common.last(log))}


def study_grpo(arm: str, name: str, seed: int) -> dict[str, Any]:
    """GRPO on one task from the base, or from the policy that GRPO has taught to use the tool; then
    the test split of this task."""
    chosen = {"steps": STEPS, **OF_TASK.get(name, {}), **ARMS[arm]}
    if chosen.pop("tools", False):
        chosen["tools"] = ",".join(get_task(name).tools)
    start = common.folder("tools", "grpo", name, seed) if arm == "price" else base_run()
    if arm == "price" and not (start / "summary.json").exists():
        raise UserError(f"first: python -m studies.tools grpo-{name} {seed}")
    log = common.run(
        grpo.train, grpo.Options, common.folder("tools", arm, name, seed), task=name, seed=seed,
        threads=1, init=str(start), save_every=STEPS, eval_every=STEPS, eval_n=300, **chosen,
    )  # fmt: skip
    names = ["reward", "accuracy", "entropy", "completions/mean_length", "tools/calls"]
    levels = [f"tools/call_rate/level-{level}" for level in get_task(name).levels]
    return {
        "task": name,
        "options": chosen,
        "curves": {k: v for k, v in common.curves(log, [*names, *levels]).items() if any(v)},
        "summary": common.summary(log),
        "test": on_and_off(common.last(log), (name,)),
    }


STUDIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "base": study_base,
    "zero-shot": study_zero_shot,
    "sft": study_sft,
    **{
        f"{arm}-{name}": (lambda seed, arm=arm, name=name: study_grpo(arm, name, seed))
        for arm in ARMS
        for name in TASKS
    },
}


def main() -> None:
    parts = {
        kind: (study, SEEDS if "-" in kind and kind != "zero-shot" else (0,))
        for kind, study in STUDIES.items()
    }
    common.measure_missing("tools", "studies.tools", __doc__, parts)


if __name__ == "__main__":
    common.command(main)
