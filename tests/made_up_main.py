"""Made-up results of the main study, as its measurements would be: for test_figures.py."""

import math
import random

from minilrm.intervals import wilson_interval

STEPS, TIMES, N = 100, 5, 1000
MACHINE = {
    "platform": "Linux x86_64",
    "processor": "Slowest CPU",
    "cores": 2,
    "memory_gb": 24.0,
    "python": "3.11.9",
    "torch": "2.13.0",
    "device": "cpu",
    "threads": 1,
}


def bits(rate, seed):
    """`rate` of N problems right, exactly; which ones is drawn."""
    right = [1] * round(rate * N) + [0] * (N - round(rate * N))
    random.Random(seed).shuffle(right)
    return "".join(map(str, right))


def rate(value, n=N):
    return {"accuracy": value, "ci": list(wilson_interval(round(value * n), n)), "n": n}


def measured(
    sampled, greedy, forced1, forced0, thinks, right_thinking, seed, *, quick=False, n_thinking=None
):
    """A result as `minilrm.evaluate` writes it."""
    n_thinking = round(thinks * N) if n_thinking is None else n_thinking
    thinking, reflex = rate(right_thinking, n_thinking), rate(0.2, N - n_thinking)
    test = {
        "n": N,
        "accuracy": sampled,
        "accuracy_ci": rate(sampled)["ci"],
        "greedy": greedy,
        "greedy_ci": rate(greedy)["ci"],
        "think_rate": thinks,
        "accuracy_thinking": thinking["accuracy"],
        "accuracy_thinking_ci": thinking["ci"],
        "thinking_n": n_thinking,
        "accuracy_reflex": reflex["accuracy"],
        "accuracy_reflex_ci": reflex["ci"],
        "reflex_n": N - n_thinking,
        "mean_length": 20 + 60 * thinks,
        "pass_at_k": {"1": sampled, "8": min(1.0, sampled + 0.3)},
        "majority_at_k": {"8": greedy},
        "by_ood": {
            "new story": {"n": 490, "accuracy": sampled / 2},
            "larger numbers": {"n": 510, "accuracy": sampled / 3},
        },
        "outcomes": {"sampled": bits(sampled, seed), "greedy": bits(greedy, seed + 1)},
        "problems_sha256": "ab" * 32,
        "tokens": 500_000,
        "seconds": 300.0,
        "peak_memory_mb": 900.0,
        "machine": MACHINE,
    }
    if not quick:
        best = max((greedy, 0.0), (sampled, 1.0))
        test |= {
            "best_temperature": {"temperature": best[1], **rate(best[0])},
            "thinking_forced": {"0": rate(forced0), "1": rate(forced1)},
            "consistency": {"alike": 0.6, **rate(0.6, 250)},
        }
        test["outcomes"] |= {
            "temperature 0": bits(greedy, seed + 1),
            "temperature 1": bits(sampled, seed),
            "forced 0": bits(forced0, seed + 2),
            "forced 1": bits(forced1, seed + 3),
        }
    return test


def run_curves(seed, steps, start, end, decay=0.0, fast=22):
    """Curves and evaluations of a run that rises from start to end, and sinks again if there is a
    decay."""
    rng = random.Random(seed)

    def level(step):
        return (
            start
            + (end - start) * (1 - math.exp(-max(0, step - 4 - seed) / fast))
            - decay * step / steps
        )

    def noisy(value, n):
        return min(1.0, max(0.0, rng.gauss(value, math.sqrt(max(value * (1 - value), 1e-4) / n))))

    train = [noisy(level(i), 256) for i in range(steps)]
    thinks = [noisy(0.3 + 0.68 * (1 - math.exp(-max(0, i - 2) / 12)), 256) for i in range(steps)]
    curves = {
        "reward": train,
        "accuracy": train,
        "accuracy_thinking": train,
        "completions/think_rate": thinks,
        "completions/mean_length": [25 + 50 * t + rng.gauss(0, 2) for t in thinks],
        "entropy": [0.7 - 0.5 * t + rng.gauss(0, 0.01) for t in thinks],
        "frac_reward_zero_std": train,
        "completions/clipped_ratio": [0.0] * steps,
    }
    evals = []
    for step in range(0, steps + 1, 20):
        value, share = noisy(level(step), N), thinks[min(step, steps - 1)]
        evals.append(
            {
                "step": step,
                "n": N,
                "accuracy": value,
                "accuracy_ci": rate(value)["ci"],
                "greedy": None,
                "think_rate": share,
                "accuracy_thinking": value,
                "mean_length": 25 + 50 * share,
            }
        )
    return {
        "curves": curves,
        "tokens": [11_000 * (i + 1) for i in range(steps)],
        "seconds": 5.0 * steps,
        "evals": evals,
    }


def base_record(**changes):
    test = measured(0.32, 0.45, 0.72, 0.80, 0.30, 0.75, seed=100) | changes
    return {
        "kind": "base",
        "seed": 0,
        "test": test,
        "ood": measured(0.2, 0.3, 0, 0, 0.3, 0.6, 5, quick=True),
        "machine": MACHINE,
    }


def grpo_record(seed, end=0.97, **changes):
    test = measured(end, end + 0.01, end, end, 0.99, end + 0.005, seed=seed) | changes
    run = first_steps(run_curves(seed, TIMES * STEPS, 0.32, end))
    return {
        "kind": "grpo",
        "seed": seed,
        "steps": STEPS,
        **run,
        "test": test,
        "ood": measured(0.5, 0.5, 0, 0, 0.99, 0.5, seed + 9, quick=True),
        "summary": {"tokens_trained": 900_000, "skipped_steps": 0},
        "machine": MACHINE,
    }


def first_steps(run):
    """The default run, cut from the long one."""
    return {
        "curves": {name: values[:STEPS] for name, values in run["curves"].items()},
        "tokens": run["tokens"][:STEPS],
        "seconds": 5.0 * STEPS,
        "evals": [e for e in run["evals"] if e["step"] <= STEPS],
    }


def hold_record(seed, end=0.97, decay=0.0):
    return {
        "kind": "hold",
        "seed": seed,
        "steps": STEPS,
        "long_steps": TIMES * STEPS,
        **run_curves(seed, TIMES * STEPS, 0.32, end, decay),
        "long_test": measured(end, end, 0, 0, 0.99, end, seed + 19, quick=True),
        "summary": {"tokens_trained": 9_000_000, "skipped_steps": 0},
        "machine": MACHINE,
    }


def expert_record(seed):
    return {
        "kind": "expert",
        "seed": seed,
        "steps": 130,
        **run_curves(seed, 130, 0.32, 0.8),
        "test": measured(0.8, 0.85, 0, 0, 0.95, 0.84, seed=seed + 40, quick=True),
        "machine": MACHINE,
    }


TRANSCRIPT = {
    "kind": "transcript",
    "seed": 0,
    "prompt": "Ana has 3 boxes of 4 pens. How many pens?",
    "before": " #### 7",
    "after": "\nAna has <<3*4=12>>12 pens.\n#### 12",
    "answer": "12",
    "step_after": 100,
}
TIMING = {
    "kind": "make grpo",
    "seed": 0,
    "steps": 100,
    "seconds_to_step0": 41.0,
    "seconds_to_gain": 170.0,
    "seconds_total": 700.0,
    "peak_memory_mb": 900.0,
    "machine": MACHINE,
}
