"""Made-up results of the aha experiment, as its measurements would be: for test_figures_aha.py."""

import random

from minilrm import reflection

N = 200


def bits(rate, seed):
    right = [1] * round(rate * N) + [0] * (N - round(rate * N))
    random.Random(seed).shuffle(right)
    return "".join(map(str, right))


def share(rate, n=N):
    return reflection.share([[i < round(rate * n)] for i in range(n)])


def average(value):
    return {"mean": value, "n": N, "too_few": False}


def measured(right, retry, length, accepts=0.2, corrected=0, spoiled=0, failed=N):
    found = dict.fromkeys(reflection.reading.RATES, share(0.5))
    return found | {
        "n": N,
        "problems": N,
        "final_accuracy": share(right),
        "retry_rate": share(retry, failed),
        "false_accept": share(accepts),
        "corrected": corrected,
        "spoiled": spoiled,
        "transitions": {},
        "attempts": average(2.0),
        "mean_length": average(length),
        "entropy": 0.2,
        "mean_length_right": average(length),
        "mean_length_wrong": average(length),
        "tokens": 9,
    }


def gap(value):
    return {"difference": value, "ci": [value - 0.05, value + 0.05], "n": N, "too_few": False}


def base(task="countdown", seeded=True, best=0.45, **changes):
    heat = {
        t: {
            "accuracy": a,
            "accuracy_ci": [a - 0.05, a + 0.05],
            "mean_length": 20.0,
            "n": N,
            "right": bits(a, 9),
        }
        for t, a in (("0", best), ("0.3", 0.4), ("0.6", 0.35), ("1", 0.25))
    }
    return {
        "task": task,
        "kind": "base",
        "seed": 0,
        "base": f"{task}-base",
        "seeded": seeded,
        "problems_sha256": "ab",
        "measures": measured(0.25, 0.05 if seeded else 0.0, 20.0),
        "temperatures": heat,
        **ends(0.45, 0),
        **changes,
    }


def ends(greedy, seed):
    return {
        "greedy": greedy,
        "greedy_ci": [greedy - 0.05, greedy + 0.05],
        "greedy_right": bits(greedy, seed),
        "ood": 0.3,
        "ood_ci": [0.25, 0.35],
        "ood_n": N,
    }


def arm(
    kind,
    seed,
    right=0.9,
    retry=0.95,
    drop=0.4,
    task="countdown",
    elapsed=500.0,
    before=0.05,
    **counts,
):
    then = measured(0.25, before, 20.0, accepts=0.5)
    now = measured(right, retry, 60.0, **{"corrected": 90, "spoiled": 2} | counts)
    parts = {
        "gain": gap(right - 0.25),
        "sharpening": gap(right - drop - 0.25),
        "retrying": gap(drop),
    }
    study = {
        "n": N,
        "before": then,
        "after": now,
        "after_banned": measured(right - drop, 0.0, 20.0),
        "ablation_gap": gap(drop),
        "decomposition": {
            name: p | {"share": p["difference"] / (right - 0.25) if right > 0.3 else None}
            for name, p in parts.items()
        },
        "verdict": reflection.verdict(then, now, gap(drop)),
        "right": {"after": bits(right, seed)},
    }
    curve = [0.25 + (right - 0.25) * i / 39 for i in range(40)]
    return {
        "task": task,
        "kind": kind,
        "seed": seed,
        "study": study,
        "problems_sha256": "ab",
        **ends(right, seed + 5),
        "steps": 40,
        "seconds": 300.0,
        "elapsed": elapsed,
        "tokens": [100 * i for i in range(40)],
        "evals": [],
        "curves": {
            "accuracy": curve,
            "reflection/first_try_accuracy": curve,
            "entropy": curve,
            "reflection/retry_rate": [None, *curve[1:]],
            "completions/mean_length": [60 * c for c in curve],
        },
        "transcripts": [{"prompt": "Make 53.", "before": " 1 no", "after": " 1 no\nwait, 2 ok"}],
    }


def parallel(seed, budget=100.0):
    rows = [
        {
            "n": N,
            "samples": n,
            "accuracy": 0.5,
            "ci": [0.45, 0.55],
            "right": bits(0.5, 3),
            "tokens": 20.0 + 10 * n,
            "tokens_all": 30.0 * n,
            "oracle": 0.8,
        }
        for n in range(1, 5)
    ]
    return {
        "task": "countdown",
        "kind": "parallel",
        "seed": seed,
        "problems_sha256": "ab",
        "parallel": rows,
        "sequential": {
            "accuracy": 0.9,
            "ci": [0.85, 0.94],
            "n": N,
            "right": bits(0.9, seed),
            "tokens": budget,
        },
    }


def pretrained(share_of, seed, right):
    return {
        "task": "countdown",
        "kind": "pretraining",
        "seed": seed,
        "share": share_of,
        "problems_sha256": "ab",
        "accuracy": right,
        "accuracy_ci": [right - 0.05, right + 0.05],
        "right": bits(right, seed),
        "pretraining_tokens": 10_000_000,
        "measures": measured(right, share_of, 30.0),
        **ends(right, seed),
    }


def whole():
    plain = [arm("unseeded", s, right=0.5, retry=0.0, drop=0.0, before=0.0) for s in range(3)]
    random_ones = [arm("shuffled", s, right=0.25, retry=0.05, drop=0.0) for s in range(3)]
    return [
        base(),
        base(seeded=False),
        *(arm("seeded", s) for s in range(3)),
        *(arm("hot", s, right=0.93) for s in range(3)),
        *plain,
        *random_ones,
        *(arm("shuffled-slow", s, right=0.26, retry=0.09, drop=0.0) for s in range(3)),
        *(arm("expert", s, right=0.85) for s in range(3)),
        *(parallel(s) for s in range(3)),
        *(pretrained(r, s, 0.2 + r / 2) for r in (0.5, 0.0, 0.1) for s in range(3)),
    ]
