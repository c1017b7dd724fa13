"""The same work on both sides, and the proof of it: the same problems, the same weights, the same
function of them."""

from pathlib import Path

import torch

from benchmarks.sides import Link, Worker
from minilrm import checkpoint
from minilrm.model import Transformer, count_parameters
from minilrm.sampler import generate
from minilrm.tasks import Problem, Task
from minilrm.tasks.base import problem_rng


def training_problems(task: Task, count: int, seed: int = 0) -> list[Problem]:
    """The first problems of a GRPO run with this seed (`grpo.Trainer.draw`), as long as none is
    dropped for its length."""
    return [
        task.sample(problem_rng(seed, i, f"{task.name}/rollout/0"), "train") for i in range(count)
    ]


def parameters_of(folder: Path) -> int:
    """How many parameters the model in a folder has; nothing is loaded."""
    with torch.device("meta"):
        return count_parameters(Transformer(checkpoint.load_config(folder)))


def same_model(link: Link, folder: Path, prompts: list[str], new_tokens: int) -> None:
    """A worker: open the folder on both sides, in float32, and compare logits and greedy
    continuations."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    link.next()
    ours, tokenizer, _ = checkpoint.load(folder)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    hf_tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    rows = [tokenizer.encode(p) for p in prompts]
    same_ids = rows == hf_tokenizer(prompts)["input_ids"]
    with torch.inference_mode():
        pairs = [(ours(torch.tensor([row])), theirs(torch.tensor([row])).logits) for row in rows]
    said = [
        c[0].token_ids
        for c in generate(ours, tokenizer, prompts, max_new_tokens=new_tokens, temperature=0)
    ]
    batch = hf_tokenizer(prompts, return_tensors="pt", padding=True)
    width = batch["input_ids"].shape[1]
    answers = theirs.generate(**batch, do_sample=False, max_new_tokens=new_tokens)[
        :, width:
    ].tolist()
    link.answer(
        same_prompt_ids=same_ids,
        prompts=len(prompts),
        logits_max_difference=max(float((a - b).abs().max()) for a, b in pairs),
        logits_max=max(float(a.abs().max()) for a, _ in pairs),
        greedy_equal=sum(row[: len(own)] == own for row, own in zip(answers, said, strict=True)),
    )


def prove_same_model(folder: Path, prompts: list[str], threads: int, new_tokens: int = 48) -> dict:
    """Both sides compute the same function: logits equal up to rounding, prompts cut into the same
    tokens."""
    with Worker(
        same_model, threads=threads, folder=folder, prompts=prompts, new_tokens=new_tokens
    ) as worker:
        found = worker()
    if not found["same_prompt_ids"] or found["logits_max_difference"] > 1e-4 * max(
        1.0, found["logits_max"]
    ):
        raise RuntimeError(f"the two sides do not run the same model: {found}")
    print(
        f"the same model on both sides: logits differ by {found['logits_max_difference']:.1e} at "
        f"most (the largest is {found['logits_max']:.3g}); {found['greedy_equal']} of "
        f"{found['prompts']} greedy answers are equal",
        flush=True,
    )
    return {key: found[key] for key in found if not key.endswith("_mb")}
