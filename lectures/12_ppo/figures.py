"""Lecture 12's figure: what lambda trades, and what the clip is for. Both on problems small enough
to know the truth.

    python lectures/12_ppo/figures.py            measure (seconds of one core), and draw
    python lectures/12_ppo/figures.py --draw     only draw what was measured

Left, exact: an answer of ten steps, each right with probability 0.9; reward 1 if all are right. How
much of a mistake do GAE's advantages see, for critics that know nothing, half, or all? Right,
simulated: bandits with 20 arms and noisy rewards. 20 batches of 64 pulls; how many optimizer steps
does a batch bear? The numbers are in data/results/lecture-12.json.
"""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # this clone, installed or not

from minilrm import curves, objectives
from minilrm.curves import LOOKS, REFERENCE
from minilrm.values import gae
from studies.lecture import main, save

HERE = Path(__file__).resolve().parent
STEPS, SKILL = 10, 0.9
CRITICS = {"knows nothing": 0.0, "knows half": 0.5, "knows all": 1.0}
LAMBDAS = [0.0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0]
ARMS, PULLS, BATCHES, NOISE, RATE, PROBLEMS, SEED = 20, 64, 20, 4.0, 1.0, 200, 0
UPDATES = [1, 2, 4, 8, 16, 32, 64]
CLIPS = {"no clip": 1e9, "clip 0.2": 0.2}


def signal_and_noise() -> dict:
    """Exact, over all episodes, for each lambda and critic.

    signal: how much better a right step looks than a mistake in the same place, on average, as a
    share of how much better it is. (A shift of both changes nothing: it is a baseline.) noise:
    standard deviation of the advantage of a step, given the place and whether it is right, while
    all before it is right.
    """
    right = np.arange(
        STEPS + 1
    )  # an episode is how many steps went right before the first wrong one
    chance = np.where(right < STEPS, SKILL**right * (1 - SKILL), SKILL**STEPS)
    hope = SKILL ** (
        STEPS - np.arange(STEPS + 1.0)
    )  # value before step t while all is right; after a mistake it is 0
    true = np.where(np.arange(STEPS) <= right[:, None], hope[:-1], 0.0)  # [episode, t]
    rewards = torch.zeros(STEPS + 1, STEPS)
    rewards[STEPS, -1] = 1.0
    out: dict = {"signal": {}, "noise": {}}
    for name, share in CRITICS.items():
        values = torch.tensor(share * true + (1 - share) * hope[0], dtype=torch.float32)
        signal, noise = [], []
        for lam in LAMBDAS:
            found = gae(rewards, values, torch.ones(STEPS + 1, STEPS), 1.0, lam)[0].numpy()
            seen = real = spread = places = 0.0
            for t in range(STEPS):
                good = chance * (right > t)
                mean = good @ found[:, t] / good.sum()
                seen += SKILL**t * (
                    mean - found[t, t]
                )  # episode t is the one whose first mistake is step t
                real += SKILL**t * hope[t + 1]
                spread += good @ np.square(found[:, t] - mean)
                places += SKILL**t
            signal.append(round(float(seen / real), 4))
            noise.append(round(float(np.sqrt(spread / places)), 4))
        out["signal"][name], out["noise"][name] = signal, noise
    return {"steps": STEPS, "skill": SKILL, "lambdas": LAMBDAS, **out}


def bandits(clip: float, updates: int) -> float:
    """Expected reward after BATCHES batches of PULLS, with so many optimizer steps on each; mean
    over PROBLEMS bandits."""
    generator = torch.Generator().manual_seed(SEED)
    pays = torch.randn(PROBLEMS, ARMS, generator=generator)
    theta = torch.zeros(PROBLEMS, ARMS)
    for _ in range(BATCHES):
        old = theta.log_softmax(1)
        actions = torch.multinomial(old.exp(), PULLS, replacement=True, generator=generator)
        rewards = pays.gather(1, actions) + NOISE * torch.randn(
            PROBLEMS, PULLS, generator=generator
        )
        advantages, old_logp = rewards - rewards.mean(1, keepdim=True), old.gather(1, actions)
        for _ in range(updates):
            theta.requires_grad_(True)
            logp = theta.log_softmax(1).gather(1, actions)
            terms = objectives.surrogate_terms(
                logp, (logp - old_logp).exp(), advantages, "grpo", 1 - clip, 1 + clip
            )
            (gradient,) = torch.autograd.grad(terms.mean(1).sum(), theta)
            theta = (theta + RATE * gradient).detach()
    return round(float((theta.softmax(1) * pays).sum(1).mean()), 4)


def draw(result: dict) -> None:
    figure, (left, right) = curves.panels(2, height=4.0)
    g = result["gae"]
    for (critic, rows), look in zip(g["signal"].items(), LOOKS, strict=False):
        curves.line(left, g["lambdas"], rows, look, f"signal, critic {critic}")
    label = "noise, critic knows half"
    curves.line(left, g["lambdas"], g["noise"]["knows half"], REFERENCE, label, marker="")
    curves.frame(left, "Answers of ten steps", x="lambda", y="share of the truth; noise")
    left.legend(loc="upper left", bbox_to_anchor=(-0.2, -0.18))
    b = result["bandits"]
    for (clip, rewards), look in zip(b["reward"].items(), (LOOKS[1], LOOKS[0]), strict=True):
        curves.line(right, b["updates"], rewards, look, clip)
    best = {"color": REFERENCE.color, "linestyle": REFERENCE.dash, "label": "always the best arm"}
    right.axhline(b["best_arm"], linewidth=1.3, **best)
    right.set_xscale("log", base=2)
    right.set_xticks(b["updates"], [str(n) for n in b["updates"]])
    words = "optimizer steps on each batch"
    curves.frame(right, "20 batches of 64 pulls", x=words, y="expected reward at the end")
    right.legend(loc="upper left", bbox_to_anchor=(0, -0.18))
    save(figure, HERE / "tradeoffs.png")


def measure() -> dict:
    pays = torch.randn(PROBLEMS, ARMS, generator=torch.Generator().manual_seed(SEED))
    return {
        "gae": signal_and_noise(),
        "bandits": {
            "arms": ARMS,
            "pulls": PULLS,
            "batches": BATCHES,
            "noise": NOISE,
            "rate": RATE,
            "seed": SEED,
            "problems": PROBLEMS,
            "best_arm": round(float(pays.amax(1).mean()), 4),
            "updates": UPDATES,
            "reward": {name: [bandits(clip, n) for n in UPDATES] for name, clip in CLIPS.items()},
        },
    }


if __name__ == "__main__":
    main(__file__, measure, draw)
