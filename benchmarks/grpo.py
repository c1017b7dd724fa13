"""One whole GRPO step (rollout, reward, update): minilrm beside TRL's GRPOTrainer, in seconds a
step.

Both start from the same weights and see the same training prompts of gsm8k-mini in the same order,
8 or 32 prompts a step with 8 completions each of at most 64 tokens, thinking forced so that most
completions are that long. Both use the rule-based reward of `minilrm.grpo` (a right answer 1, its
form 0.1), advantages over the group's standard deviation, the policy loss averaged over each
sequence first, no KL term, one optimizer step of fused AdamW at the same learning rate.

What has to be said to TRL, or it does something else: `use_cpu`; `bf16` (on by default; both values
are tried); `loss_type="grpo"` (the default is dapo); `gradient_checkpointing=False` (the default
computes the forward pass twice); `beta=0`, which is its default (with more, it loads the reference
model once more from the folder); `report_to="none"`. A callback keeps it waiting between its steps
while the other side works.

minilrm leaves out the forward and backward pass of groups whose rewards are all equal (their
gradient is zero, they stay in the denominator); TRL computes them. How many there are hangs on the
rule: with at most 64 tokens many answers are cut off and earn nothing, so minilrm skips more than
in a real run (`frac_reward_zero_std` is noted). So there are two rewards:

    rule      the rule-based reward, as it comes
    parity    1 if the sum of a completion's token ids is odd: a reward that no rule makes scarce.
              Yet with thinking forced the base often writes one and the same answer eight times,
              and those groups are skipped all the same

A last part times verifying and rewarding of 512 completions against the step that made them.

    python -m benchmarks.grpo
"""

import itertools
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import common, same
from benchmarks.sides import Link, Worker
from minilrm import checkpoint, grpo
from minilrm.cli import run_command
from minilrm.options import option
from minilrm.rollout import rollout
from minilrm.tasks import Problem, get_task
from minilrm.tokenizer import Tokenizer

TASK, GROUP, STYLE, LEARNING_RATE = "gsm8k-mini", 8, "cot", 1e-4
WEIGHTS = {"accuracy": 1.0, "format": 0.1}


@dataclass
class Options(common.Options):
    """Seconds a GRPO step, against TRL's GRPOTrainer."""

    checkpoint: str = option(
        "gsm8k-mini-base", "the model: a shipped one, a run or a checkpoint folder"
    )
    prompts: list[int] = option([8, 32], "prompts a step, 8 completions each", minimum=1)
    max_new_tokens: int = option(64, "longest completion", minimum=1)
    threads: list[int] = option(
        [1, 2], "threads of each side; several are measured one after another", minimum=1
    )
    rewards: list[str] = option(["rule", "parity"], "what is rewarded", choices=("rule", "parity"))
    verify: bool = option(True, "time verifying and rewarding too")


def trainer_of(
    folder: Path, prompts: int, max_new_tokens: int | None, reward: str = "rule"
) -> grpo.Trainer:
    """minilrm's trainer with the options that TRL's is given too."""
    return grpo.Trainer(
        grpo.Options(
            task=TASK,
            init=str(folder),
            prompts=prompts,
            group_size=GROUP,
            max_new_tokens=max_new_tokens,
            style=STYLE,
            reward=dict(WEIGHTS) if reward == "rule" else {"parity": 1.0},
            objective="grpo",
            aggregation="sequence",
            normalize="std",
            kl_coef=0.0,
            lr=LEARNING_RATE,
            warmup=0,
            clip=1.0,
            device="cpu",
            threads=torch.get_num_threads(),
        ),
        rewards={"parity": lambda episodes: [parity(e.completion_ids) for e in episodes]},
    )


def parity(ids: list[int]) -> float:
    """A reward that half of all completions earn, whatever they say."""
    return float(sum(ids) % 2)


def ours(link: Link, folder: Path, prompts: int, max_new_tokens: int, reward: str) -> None:
    """A worker: `grpo.Trainer.step`."""
    trainer = trainer_of(folder, prompts, max_new_tokens, reward)
    for step in itertools.count():
        if (
            trainer.draw(step)
            != same.training_problems(trainer.task, (step + 1) * prompts)[step * prompts :]
        ):
            raise RuntimeError(
                "the two sides do not get the same prompts; bring same.training_problems up to date"
            )
        link.next()
        before = trainer.state.tokens_generated
        started = time.perf_counter()
        metrics = trainer.step(step)
        link.answer(
            seconds=time.perf_counter() - started,
            work=1,
            tokens=trainer.state.tokens_generated - before,
            rollout_seconds=metrics["seconds/rollout"],
            update_seconds=metrics["seconds/update"],
            reward=metrics["reward"],
            mean_length=metrics["completions/mean_length"],
            frac_reward_zero_std=metrics["frac_reward_zero_std"],
            helpers_mb=trainer.workers.peaks_mb if trainer.workers else [],
        )


def peer(
    link: Link,
    folder: Path,
    prompts: int,
    max_new_tokens: int,
    steps: int,
    reward: str,
    setting: str,
) -> None:
    """A worker: TRL's trainer, which waits at the beginning of each step for its turn."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOTrainer

    problems = same.training_problems(get_task(TASK), steps * prompts)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    attention = setting.split(",")[0].split()[1]
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    )
    asked = [get_task(TASK).render(p, STYLE) for p in problems]
    data = Dataset.from_dict({"prompt": asked, "number": list(range(len(problems)))})
    seen: dict = {}
    with tempfile.TemporaryDirectory() as out:
        GRPOTrainer(
            model,
            trl_reward(problems, reward, tokenizer.eos_token_id, seen),
            args=trl_config(out, prompts, max_new_tokens, steps, setting),
            train_dataset=data,
            processing_class=tokenizer,
            callbacks=[turns(link, prompts, seen)],
        ).train()


def trl_reward(problems: list[Problem], reward: str, end: int, seen: dict) -> Callable:
    """The same rule as ours, as TRL calls it: right answer, form, and the end of text reached.
    `seen` is told what the last batch was."""

    def reward_of(completions, completion_ids, number, **_) -> list[float]:
        values = []
        for i, text, ids in zip(number, completions, completion_ids, strict=True):
            grade = get_task(TASK).grade(problems[i], text)
            formatted = grade.formatted and ids[-1] == end
            values.append(WEIGHTS["accuracy"] * grade.correct + WEIGHTS["format"] * formatted)
        if reward == "parity":
            values = [parity(ids) for ids in completion_ids]
        seen.update(tokens=sum(map(len, completion_ids)), reward=sum(values) / len(values))
        return values

    return reward_of


def turns(link: Link, prompts: int, seen: dict):
    """A callback that keeps TRL waiting for its turn, and answers after each step."""
    from transformers import TrainerCallback

    class Turns(TrainerCallback):
        def on_step_begin(self, args, state, control, **_):
            link.next()
            self.started = time.perf_counter()

        def on_step_end(self, args, state, control, **_):
            link.answer(
                seconds=time.perf_counter() - self.started,
                work=1,
                **seen,
                mean_length=seen["tokens"] / (prompts * GROUP),
            )

    return Turns()


def trl_config(out: str, prompts: int, max_new_tokens: int, steps: int, setting: str):
    """TRL's options. A setting is precision, attention and, where it ends in "x 4", the number of
    micro-batches."""
    from trl import GRPOConfig

    parts = int(setting.split(" x ")[1]) if " x " in setting else 1
    return GRPOConfig(
        output_dir=out,
        use_cpu=True,
        bf16=setting.startswith("bfloat16"),
        gradient_checkpointing=False,
        per_device_train_batch_size=prompts * GROUP // parts,
        gradient_accumulation_steps=parts,
        num_generations=GROUP,
        max_completion_length=max_new_tokens,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        beta=0.0,
        num_iterations=1,
        loss_type="grpo",
        scale_rewards="group",
        shuffle_dataset=False,
        max_steps=steps,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        warmup_steps=0,
        optim="adamw_torch_fused",
        adam_beta1=0.9,
        adam_beta2=0.95,
        weight_decay=0.0,
        max_grad_norm=1.0,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        seed=0,
    )


def settings_for(prompts: int, quick: bool) -> list[str]:
    """The peer's candidates: for many prompts also in micro-batches of 64 completions."""
    names = list(common.SETTINGS[:1] if quick else common.SETTINGS)
    many = prompts % 4 == 0 and prompts > 8
    return names + [f"{name} x 4" for name in common.SETTINGS[:2] if many]


def measure(
    prompts: int,
    threads: int,
    reward: str,
    settings: list[str],
    options: Options,
    folder: Path,
    peak: float,
) -> dict:
    """One row of the table. settings: the peer's candidates."""
    work = {
        "folder": folder,
        "prompts": prompts,
        "max_new_tokens": 6 if options.quick else options.max_new_tokens,
        "threads": threads,
        "reward": reward,
    }

    def start(setting: str) -> Worker:
        return Worker(
            peer,
            memory=setting != common.AS_INSTALLED,
            steps=options.pairs + 2,
            setting=setting,
            **work,
        )

    rounds, note = common.duel(
        lambda: Worker(ours, **work), start if options.peer else None, settings, options.pairs
    )
    parameters = same.parameters_of(folder)
    tokens = prompt_tokens(folder, prompts, options.pairs + 2)
    for turn, pair in enumerate(rounds, start=1):  # turn 0 was the warm-up
        for side in pair.values():
            useful = tokens[turn] + side["tokens"]
            # What we leave out is no work done.
            trained = useful * (1 - side.get("frac_reward_zero_std", 0))
            side["flops"] = common.flops(parameters, forward=useful, trained=trained)
    return {
        "name": f"{prompts} x {GROUP} x {work['max_new_tokens']} tokens, {reward}, "
        f"{threads} thread(s)",
        "prompts": prompts,
        "sequences": prompts * GROUP,
        "max_new_tokens": work["max_new_tokens"],
        "threads": threads,
        "reward": reward,
        "parameters": parameters,
        **note,
        **common.compare(rounds, peak),
    }


def skipped(case: dict) -> float:
    """The share of groups with equal rewards on our side."""
    return sum(pair["ours"]["frac_reward_zero_std"] for pair in case["pairs"]) / len(case["pairs"])


def prompt_tokens(folder: Path, prompts: int, steps: int) -> list[int]:
    """How many tokens the prompts of each step have, every prompt once."""
    task, tokenizer = get_task(TASK), Tokenizer.load(folder)
    lengths = [
        len(tokenizer.encode(task.render(p, STYLE)))
        for p in same.training_problems(task, steps * prompts)
    ]
    return [sum(lengths[i : i + prompts]) for i in range(0, len(lengths), prompts)]


# -- verifying and rewarding -----------------------------------------------------------------------


def verify(link: Link, folder: Path, prompts: int, max_new_tokens: int | None) -> None:
    """A worker: whole steps, and apart from them the grading and rewarding of as many
    completions."""
    trainer = trainer_of(folder, prompts, max_new_tokens)
    task, o = trainer.task, trainer.options
    groups = rollout(
        trainer.model,
        trainer.tokenizer,
        task,
        trainer.draw(0),
        group_size=GROUP,
        style=STYLE,
        max_new_tokens=o.max_new_tokens,
        seed=0,
        dtype=trainer.decoding_dtype,
    )
    while True:
        step = link.next()["turn"]
        started = time.perf_counter()
        for group in groups:
            for e in group:
                task.grade(e.problem, e.text)
                task.thinks(e.text)
        trainer.judge(groups)
        verifying = time.perf_counter() - started
        trainer.step(step)
        link.answer(
            seconds=time.perf_counter() - started - verifying, work=1, verify_seconds=verifying
        )


def measure_verify(threads: int, options: Options, folder: Path) -> dict:
    """The share of a step of 512 completions, of lengths as they come, that goes into verifying and
    rewarding them."""
    prompts, length = (2, 6) if options.quick else (64, None)
    with Worker(
        verify, threads=threads, folder=folder, prompts=prompts, max_new_tokens=length
    ) as worker:
        rounds = common.alternate({"ours": worker}, options.pairs)
    shares = [pair["ours"]["verify_seconds"] / pair["ours"]["seconds"] for pair in rounds]
    return {
        "completions": prompts * GROUP,
        "threads": threads,
        "share_of_step": common.spread(shares),
        "step_seconds": common.spread([pair["ours"]["seconds"] for pair in rounds]),
        "verify_seconds": common.spread([pair["ours"]["verify_seconds"] for pair in rounds]),
    }


def run(options: Options) -> Path:
    """All rows; writes the report."""
    if options.peer:
        common.require("transformers", "trl", "datasets", "accelerate")
    folder = checkpoint.resolve(options.checkpoint)
    report = common.new_report("grpo", options, options.threads)
    report["checkpoint"] = options.checkpoint
    task = get_task(TASK)
    if options.peer:
        problems = same.training_problems(task, 2 if options.quick else 16)
        some = [task.render(p, STYLE) for p in problems]
        report["same_model"] = same.prove_same_model(folder, some, options.threads[0])
    sizes = [2] if options.quick else options.prompts
    for threads, prompts in itertools.product(options.threads, sizes):
        settings = settings_for(prompts, options.quick)
        for reward in options.rewards:
            case = measure(
                prompts, threads, reward, settings, options, folder, common.peak(report, threads)
            )
            settings = [case["peer_setting"]]  # found with the first reward, kept for the other
            report["cases"].append(case)
            common.say(f"{case['name']} (peer: {case['peer_setting']})", case)
            equal = f"{skipped(case):.0%} of the groups have equal rewards"
            print(f"  {equal}; minilrm's update leaves them out", flush=True)
    if options.verify:
        report["verify"] = measure_verify(options.threads[-1], options, folder)
        count, share = report["verify"]["completions"], report["verify"]["share_of_step"]
        print(f"verifying and rewarding {count} completions: {share['median']:.2%} of the step")
    return common.write(report, options)


if __name__ == "__main__":
    run_command(run, Options, prog="python -m benchmarks.grpo", description=Options.__doc__)
