"""One step on one batch, by minilrm and by TRL: the loss and the norm of its gradient.

Both get the same weights in float32 and the same ids. Each objective is TRL's of the same name; the
completions are sampled here, half of them have an odd sum of ids and earn 1, and the log-probs of
the policy that sampled are moved a little, so that some ratios are clipped. Advantages are computed
here and given to both, since TRL adds another number to the std. SFT is the mean over the tokens of
the answers. No weight is changed.

    python -m benchmarks.equal                           # the shipped model, 2.6M parameters
    python -m minilrm.checkpoint import SmolLM2-135M-Instruct.Q4_1.gguf --out smollm2
    python -m benchmarks.equal --checkpoint smollm2      # a real one, 135M
    python -m benchmarks.equal --readme                  # write what was found into README.md

It ends with exit code 1 where a loss or a norm differs by more than a ten-thousandth of it.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor, nn

from benchmarks import common
from benchmarks.all import write_readme
from benchmarks.grpo import parity
from minilrm import checkpoint, grpo, machine, sft
from minilrm.batches import Example, pad
from minilrm.cli import run_command
from minilrm.files import read_json, write_json_atomic
from minilrm.options import option
from minilrm.rollout import Episode, stack

LARGEST = 1e-4  # difference that passes, as a share of TRL's number
KL = 0.04


class Objective(NamedTuple):
    """One objective under both names: options of `minilrm.grpo`, and of TRL's GRPOConfig."""

    ours: dict[str, Any]
    theirs: dict[str, Any]


OBJECTIVES = {
    "GRPO": Objective({"objective": "grpo", "aggregation": "sequence"}, {"loss_type": "grpo"}),
    "GRPO, KL in the loss": Objective(
        {"objective": "grpo", "aggregation": "sequence", "kl_coef": KL},
        {"loss_type": "grpo", "beta": KL},
    ),
    "GRPO, mean over tokens": Objective(
        {"objective": "grpo", "aggregation": "token"}, {"loss_type": "bnpo"}
    ),
    "Dr. GRPO": Objective({"objective": "dr_grpo", "aggregation": None}, {"loss_type": "dr_grpo"}),
    "DAPO": Objective(
        {"objective": "dapo", "aggregation": None}, {"loss_type": "dapo", "epsilon_high": 0.28}
    ),
    "GSPO": Objective(
        {"objective": "gspo", "aggregation": None},
        {"loss_type": "grpo", "importance_sampling_level": "sequence",
         "epsilon": 3e-4, "epsilon_high": 4e-4},
    ),
    "CISPO": Objective(
        {"objective": "cispo", "aggregation": None},
        {"loss_type": "cispo", "epsilon_high": 1.28},  # TRL's number is the cap itself
    ),
}  # fmt: skip


@dataclass
class Options:
    """The loss and the gradient's norm of one step, minilrm's and TRL's, on the same batch."""

    checkpoint: str = option("gsm8k-mini-base", "the model: a shipped one, a run or a model folder")
    prompts: int = option(3, "questions of the batch", minimum=2)
    group_size: int = option(4, "completions of each question", minimum=2)
    max_new_tokens: int = option(48, "longest completion", minimum=1)
    threads: int | None = option(None, "threads; the available cores, at most 4, if not given")
    out: Path | None = option(
        None, "JSON file to write; data/results/bench-equal-MODEL.json if not given"
    )
    readme: bool = option(
        False, "measure nothing: write the table of what was found into benchmarks/README.md"
    )


class Step(NamedTuple):
    """What one step computes."""

    loss: float
    norm: float


# -- ours ------------------------------------------------------------------------------------------


def norm_alone(trainer: Any) -> None:
    """Let a trainer measure its gradient in the place of taking a step."""
    trainer.update_weights = lambda loss: gradient_norm(trainer.model)


def gradient_norm(model: nn.Module) -> float:
    """The norm of the gradient, which is cleared."""
    norm = float(
        nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    )
    model.zero_grad(set_to_none=True)
    return norm


def our_grpo(o: Options, folder: Path, objective: Objective) -> tuple[Step, list[Episode]]:
    """A step of `minilrm.grpo`, and the episodes that it was of."""
    kl = objective.ours.get("kl_coef", 0.0)
    trainer = grpo.Trainer(
        grpo.Options(
            task="gsm8k-mini", init=str(folder), prompts=o.prompts, group_size=o.group_size,
            max_new_tokens=o.max_new_tokens, reward={"parity": 1.0}, device="cpu",
            threads=torch.get_num_threads(), **objective.ours,
        ),
        rewards={"parity": lambda episodes: [parity(e.completion_ids) for e in episodes]},
    )  # fmt: skip
    norm_alone(trainer)
    groups = trainer.sample(0)
    grpo.set_advantages(groups, trainer.options.normalize)
    episodes = [e for group in groups for e in group]
    if kl:
        move(trainer.reference)
        trainer.record_logprobs(groups, old=False)
    for i, e in enumerate(episodes):
        way = torch.sin(torch.arange(len(e.logprobs)) + i)
        e.old_logprobs = torch.tensor(e.logprobs) + 0.3 * way
    found = trainer.optimizer_step(groups)
    return Step(found["loss"], found["grad_norm"]), episodes


def move(model: nn.Module) -> None:
    """Another model near by, always the same, for a reference that differs from the policy."""
    dice = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.01 * p.std() * torch.randn(p.shape, generator=dice)


def our_sft(o: Options, folder: Path) -> tuple[Step, list[Example]]:
    """A step of `minilrm.sft`, and the examples that it was of."""
    trainer = sft.Trainer(
        sft.Options(
            task="gsm8k-mini", init=str(folder), batch=o.prompts * o.group_size, device="cpu",
            threads=torch.get_num_threads(),
        )
    )  # fmt: skip
    norm_alone(trainer)
    found = trainer.step(0)
    return Step(found["loss"], found["grad_norm"]), trainer.draw(0)


# -- TRL's -----------------------------------------------------------------------------------------


def their_step(trainer: Any, inputs: dict[str, Any], tokens: Tensor | None) -> Step:
    """A loss of TRL's, its gradient, and the norm of that."""
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    loss = trainer.compute_loss(trainer.model, inputs, num_items_in_batch=tokens)
    loss.backward()
    return Step(float(loss.detach()), gradient_norm(trainer.model))


def trainer_of(kind: str, folder: Path, o: Options, **settings: Any) -> Any:
    """TRL's trainer of a kind, with the model of this folder in float32 and no other use than its
    loss."""
    import datasets
    import trl
    from transformers import AutoModelForCausalLM, AutoTokenizer, logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    rows = o.prompts * o.group_size
    args = getattr(trl, f"{kind}Config")(
        output_dir=tempfile.mkdtemp(), use_cpu=True, bf16=False, gradient_checkpointing=False,
        per_device_train_batch_size=rows, report_to="none", disable_tqdm=True, **settings,
    )  # fmt: skip
    column = "prompt" if kind == "GRPO" else "text"
    more = {"reward_funcs": lambda completions, **_: [0.0] * len(completions)}
    return getattr(trl, f"{kind}Trainer")(
        model=AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=args,
        train_dataset=datasets.Dataset.from_dict({column: ["a question"] * rows}),
        processing_class=AutoTokenizer.from_pretrained(folder),
        **(more if kind == "GRPO" else {}),
    )


def their_grpo(o: Options, folder: Path, objective: Objective, episodes: list[Episode]) -> Step:
    trainer = trainer_of(
        "GRPO", folder, o, num_generations=o.group_size, temperature=1.0,
        max_completion_length=o.max_new_tokens, num_iterations=2,
        **{"beta": 0.0, "use_bias_correction_kl": False} | objective.theirs,
    )  # fmt: skip
    mask = pad([e.mask for e in episodes])
    prompts = [e.prompt_ids for e in episodes]
    width = max(map(len, prompts))
    like = mask.float()
    inputs = {
        "prompt_ids": torch.tensor([[0] * (width - len(ids)) + ids for ids in prompts]),
        "prompt_mask": torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts]),
        "completion_ids": pad([e.completion_ids for e in episodes]),
        "completion_mask": mask,
        "advantages": stack(episodes, "advantages", like),
        "old_per_token_logps": stack(episodes, "old_logprobs", like),
        "num_items_in_batch": mask.sum(),
    }
    if "beta" in objective.theirs:
        inputs["ref_per_token_logps"] = stack(episodes, "ref_logprobs", like)
    trainer.args.steps_per_generation = 1
    return their_step(trainer, inputs, None)


def their_sft(o: Options, folder: Path, examples: list[Example]) -> Step:
    trainer = trainer_of("SFT", folder, o)
    rows = [e.prompt_ids + e.completion_ids for e in examples]
    kept = [[-100] * len(e.prompt_ids) + e.completion_ids for e in examples]
    labels = pad(kept, value=-100)
    inputs = {
        "input_ids": pad(rows),
        "attention_mask": pad([[1] * len(row) for row in rows]),
        "labels": labels,
    }
    return their_step(trainer, inputs, (labels >= 0).sum())


# -- side by side ----------------------------------------------------------------------------------


def measure(o: Options, folder: Path) -> list[dict[str, Any]]:
    """A row a loss: what each side computes, and how far apart they are."""
    step, examples = our_sft(o, folder)
    rows = [row("SFT", step, their_sft(o, folder, examples))]
    for name, objective in OBJECTIVES.items():
        step, episodes = our_grpo(o, folder, objective)
        rows.append(row(name, step, their_grpo(o, folder, objective, episodes)))
    return rows


def row(name: str, ours: Step, theirs: Step) -> dict[str, Any]:
    apart = {
        key: abs(a - b) / max(abs(b), 1e-12)
        for key, a, b in zip(Step._fields, ours, theirs, strict=True)
    }
    print(
        f"{name:<24} loss {ours.loss:+.7f} {theirs.loss:+.7f}   norm {ours.norm:.6f} "
        f"{theirs.norm:.6f}   apart {apart['loss']:.1e} {apart['norm']:.1e}",
        flush=True,
    )
    return {"name": name, "ours": ours._asdict(), "trl": theirs._asdict(), "apart": apart}


def table(reports: list[dict[str, Any]]) -> str:
    """What was found, as Markdown: for each model and loss both numbers, and how far apart."""
    lines = [
        "| model | loss | value, minilrm | TRL | norm of the gradient, minilrm | TRL | apart |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for report in reports:
        for row in report["rows"]:
            ours, theirs, apart = (Step(**row[side]) for side in ("ours", "trl", "apart"))
            lines.append(
                f"| {report['model']} | {row['name']} | {ours.loss:+.6f} | {theirs.loss:+.6f} | "
                f"{ours.norm:.5f} | {theirs.norm:.5f} | {max(apart):.0e} |"
            )
    versions = reports[0]["versions"]
    return "\n".join([*lines, "", f"Apart: the larger of the two differences, as a share of TRL's "
                      f"number; float32, trl {versions.get('trl')}."])  # fmt: skip


def found() -> list[dict[str, Any]]:
    """The reports in data/results/, by model."""
    folder = machine.data_folder() / "results"
    return [read_json(path) for path in sorted(folder.glob("bench-equal-*.json"))]


def main(o: Options) -> int:
    if o.readme:
        write_readme(Path(__file__).with_name("README.md"), table(found()), "equal")
        return 0
    common.require("trl", "transformers", "datasets")
    threads = machine.set_threads(o.threads)
    folder = checkpoint.resolve(o.checkpoint)
    started = time.perf_counter()
    # Both sides in float32: in bfloat16 each rounds in its own places.
    with mock.patch.object(machine, "bfloat16_pays", return_value=False):
        rows = measure(o, folder)
    worst = max(max(r["apart"].values()) for r in rows)
    print(f"largest difference: {worst:.1e} (at most {LARGEST:.0e}), minilrm's first, TRL's second")
    path = o.out or machine.data_folder() / "results" / f"bench-equal-{folder.name}.json"
    report = {
        "command": " ".join(["python -m benchmarks.equal", *sys.argv[1:]]),
        "model": folder.name,
        "batch": {"prompts": o.prompts, "group_size": o.group_size,
                  "max_new_tokens": o.max_new_tokens},
        "machine": machine.describe("cpu"),
        "threads": threads,
        "versions": common.versions(),
        "seconds": round(time.perf_counter() - started, 1),
        "worst": worst,
        "rows": rows,
    }  # fmt: skip
    write_json_atomic(path, report)
    return 0 if worst <= LARGEST else 1


if __name__ == "__main__":
    run_command(main, Options, prog="python -m benchmarks.equal", description=Options.__doc__)
