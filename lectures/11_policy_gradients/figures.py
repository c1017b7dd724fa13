"""Lecture 11's figure: what a baseline does to the noise of a policy gradient, on a bandit and on
the shipped base model.

    python lectures/11_policy_gradients/figures.py            measure (a minute), and draw
    python lectures/11_policy_gradients/figures.py --draw     only draw what was measured

Left, exact: every batch of four pulls of a three-armed bandit, with its probability. Right,
sampled: gradients of the 2.6 million weights of gsm8k-mini-base, each from a batch of its own; how
well do two of them agree? The numbers are in data/results/lecture-11.json.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import checkpoint, curves, machine, objectives
from minilrm.curves import LOOKS, REFERENCE
from minilrm.rollout import episode_logprobs, micro_batches, rollout
from minilrm.tasks import get_task
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent
PI, EARNS, PULLS = np.array([0.5, 0.25, 0.25]), np.array([1.0, 2.0, 4.0]), 4
OFFSETS = np.linspace(-6, 4, 41)
SEED, BATCHES, PROMPTS, GROUP = 0, 12, 8, 8
WEIGHTS = {
    "reward 0 or 1": lambda r: r,
    "reward 1 or 2": lambda r: r + 1,
    "minus mean of the others": lambda r: objectives.group_advantages(r, "rloo"),
}


def bandit() -> dict:
    """Variance (sum over the logits) of the gradient of four pulls, for rewards moved up or down by
    a constant."""
    batches = np.array(list(itertools.product(range(3), repeat=PULLS)))
    chance = PI[batches].prod(1)
    scores = np.eye(3)[batches] - PI  # [81, 4, 3]

    def variance(weights: np.ndarray) -> float:
        estimates = (weights[:, :, None] * scores).mean(1)
        return float(chance @ np.square(estimates - chance @ estimates).sum(1))

    plain, with_baseline = [], []
    for offset in OFFSETS:
        rewards = EARNS[batches] + offset
        others = (rewards.sum(1, keepdims=True) - rewards) / (PULLS - 1)
        plain.append(variance(rewards))
        with_baseline.append(variance(rewards - others))
    return {
        "pi": PI.tolist(),
        "earns": EARNS.tolist(),
        "pulls": PULLS,
        "offsets": OFFSETS.tolist(),
        "plain": plain,
        "mean of the others": with_baseline,
    }


def language_model() -> dict:
    """Pairwise cosines of the gradients of independent batches, for each way to weigh a
    completion."""
    task = get_task("gsm8k-mini")
    _, model, tokenizer, _ = checkpoint.open_model("gsm8k-mini-base")
    device = torch.device("cpu")
    problems = task.problems("validation", BATCHES * PROMPTS)
    dtype = torch.bfloat16 if machine.bfloat16_pays(device) else None
    gradients: dict[str, list] = {name: [] for name in WEIGHTS}
    right = 0
    for batch in range(BATCHES):
        groups = rollout(
            model,
            tokenizer,
            task,
            problems[batch * PROMPTS : (batch + 1) * PROMPTS],
            group_size=GROUP,
            max_new_tokens=task.max_new_tokens,
            seed=SEED + batch,
            dtype=dtype,
        )
        rewards = torch.tensor([[float(e.grade.correct) for e in group] for group in groups])
        right += int(rewards.sum())
        for name, weigh in WEIGHTS.items():
            gradients[name].append(gradient(model, groups, weigh(rewards), device))
    return {
        "model": "gsm8k-mini-base",
        "split": "validation",
        "batches": BATCHES,
        "prompts": PROMPTS,
        "group": GROUP,
        "seed": SEED,
        "right": right,
        "completions": BATCHES * PROMPTS * GROUP,
        "cosines": {name: cosines(torch.stack(rows)) for name, rows in gradients.items()},
    }


def gradient(model, groups: list, weights: torch.Tensor, device) -> torch.Tensor:
    """The gradient of REINFORCE's loss on one batch, as one long vector."""
    weight = {
        id(e): w
        for group, row in zip(groups, weights.tolist(), strict=True)
        for e, w in zip(group, row, strict=True)
    }
    model.zero_grad(set_to_none=True)
    for part in micro_batches([e for group in groups for e in group], 4096):
        logp, mask = episode_logprobs(model, part, 1.0, device)
        loss, _ = objectives.policy_loss(
            logp,
            None,
            torch.tensor([weight[id(e)] for e in part]),
            mask,
            objective="reinforce",
            max_length=100,
            denominator=weights.numel(),
        )
        loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def cosines(rows: torch.Tensor) -> list[float]:
    """Of each pair of rows."""
    rows = torch.nn.functional.normalize(rows, dim=1)
    products = rows @ rows.T
    return [round(float(products[i, j]), 4) for i in range(len(rows)) for j in range(i)]


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=3.2, width_ratios=(1.2, 1))
    b = result["bandit"]
    curves.line(left, b["offsets"], b["plain"], LOOKS[1], "no baseline")
    label = "minus mean\nof the others"
    curves.line(left, b["offsets"], b["mean of the others"], LOOKS[0], label)
    curves.frame(left, "Bandit, 4 pulls, exact", x="constant added to every reward")
    left.set_ylabel("variance of the gradient")
    left.legend(loc="upper center")
    cosines = result["language_model"]["cosines"]
    boxes = right.boxplot(
        list(cosines.values()),
        widths=0.6,
        patch_artist=True,
        medianprops={"color": curves.INK, "linewidth": 2, "linestyle": "-"},
        flierprops={"markersize": 3},
    )
    for box, look in zip(boxes["boxes"], (LOOKS[1], LOOKS[3], LOOKS[0]), strict=True):
        box.set(facecolor="white", edgecolor=look.color, hatch=look.hatch)
    right.axhline(0, color=REFERENCE.color, linewidth=0.8)
    right.set_xticklabels(["0 or 1", "1 or 2", "minus mean\nof the others"])
    right.set(title="Base model, 64 answers", xlabel="weight of an answer")
    right.set_ylabel("cosine of two gradients")
    save(figure, HERE / "noise.png")


def measure() -> dict:
    result = {"bandit": bandit(), "language_model": language_model()}
    result["language_model"]["median"] = {
        k: float(np.median(v)) for k, v in result["language_model"]["cosines"].items()
    }
    return result


if __name__ == "__main__":
    main(__file__, measure, draw)
