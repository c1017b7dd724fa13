"""The main job's figures, drawn from the finished runs in data/results by code, so that no number
is typed by hand.

    python scripts/figures.py

It reads data/results/main.jsonl and timing.jsonl (scripts/study_main.py writes them) and writes

    data/results/main.json     every number of the tables: each seed with its interval, then mean, minimum and maximum
    data/results/main.png      R1-Zero's figure in miniature: thinking, length and accuracy over the default run
    data/results/hold.png      the same run, five times as long (once that is measured)
    README.md                  what stands between <!-- figures:main -->, <!-- figures:plot -->, <!-- transcript -->
                               and their closing markers

The same results give the same files, byte for byte (the plots: with the same matplotlib). What has
not been measured is said so. A claim holds only if it holds in every one of at least three seeds.
"""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]  # a clone's own package, installed or not

from figures_plots import draw_hold, draw_main  # noqa: E402
from figures_text import LEAST_SEEDS, fill_readme, verdict_lines  # noqa: E402

from minilrm import cli, files, machine, runlog  # noqa: E402
from minilrm.errors import UserError  # noqa: E402
from minilrm.intervals import TOO_FEW, paired_bootstrap, wilson_interval  # noqa: E402

BASE = "gsm8k-mini-base"
DIFFERENCES = {  # what is subtracted: whose outcomes of GRPO, whose of the base
    "both sampled, T = 1": ("sampled", "sampled"),
    "GRPO sampled, base at its best temperature": ("sampled", "best"),
    "GRPO sampled, base with thinking forced, T = 1": ("sampled", "forced 1"),
    "GRPO sampled, base with thinking forced, T = 0": ("sampled", "forced 0"),
    "both with thinking forced, T = 1": ("forced 1", "forced 1"),
    "both greedy": ("greedy", "greedy"),
}


# -- reading ---------------------------------------------------------------------------------------


def read_results() -> dict:
    """The finished runs: {"base": record or None, "grpo": {seed: record}, "again", "expert",
    "hold": alike, "transcript", "timing"}."""
    found = {"base": {}, "grpo": {}, "again": {}, "expert": {}, "hold": {}}
    transcript = None
    for record in runlog.load_results("main"):
        kind, seed = record.get("kind"), record.get("seed")
        if kind == "transcript":
            transcript = record
        elif kind in found:
            if str(seed) in found[kind]:
                raise UserError(
                    f"data/results/main.jsonl has two records of {kind}, seed {seed}; keep the valid one"
                )
            found[kind][str(seed)] = record
    base = found["base"].get("0")
    runs = {
        kind: dict(sorted(found[kind].items(), key=lambda item: int(item[0])))
        for kind in found
        if kind != "base"
    }
    for kind, records in runs.items():
        for seed, record in records.items():
            test = record["long_test" if kind == "hold" else "test"]
            if base and test["problems_sha256"] != base["test"]["problems_sha256"]:
                raise UserError(
                    f"{kind}, seed {seed}, was tested on other problems than the base; they cannot be compared: "
                    "measure one of them again"
                )
    return {
        "base": base,
        **runs,
        "transcript": transcript,
        "timing": runlog.load_results("timing"),
        "pretraining": read_pretraining(),
    }


def read_pretraining() -> dict | None:
    """What the shipped base says of its own training."""
    path = machine.data_folder() / "checkpoints" / BASE / "minilrm.json"
    scores = files.read_json(path).get("info", {}).get("scores") if path.is_file() else None
    return (
        {key: scores.get(key) for key in ("parameters", "tokens_trained", "seconds", "machine")}
        if scores
        else None
    )


# -- numbers ---------------------------------------------------------------------------------------


def cell(value: float | None, ci: Sequence[float] | None = None, n: int | None = None) -> dict:
    return {"value": value, "ci": ci, "n": n}


def rate_cell(value: float | None, n: int) -> dict:
    """A rate whose interval was not kept: made from its count."""
    return cell(value, wilson_interval(round(value * n), n) if value is not None else None, n)


def figures_of(test: dict, ood: dict | None) -> dict[str, dict]:
    """The figures of one checkpoint by name, each {"value", "ci", "n"}."""
    n = test["n"]
    thinking = cell(test["accuracy_thinking"], test["accuracy_thinking_ci"], test["thinking_n"])
    found = {
        "sampled": cell(test["accuracy"], test["accuracy_ci"], n),
        "greedy": cell(test["greedy"], test["greedy_ci"], n),
    }
    if best := test.get("best_temperature"):
        found["best"] = cell(best["accuracy"], best["ci"], n) | {"temperature": best["temperature"]}
        found |= {
            f"forced {t}": cell(f["accuracy"], f["ci"], n)
            for t, f in test["thinking_forced"].items()
        }
    found |= {
        "pass@8": cell(test["pass_at_k"].get("8"), None, n),
        "vote of 8": cell(test["majority_at_k"].get("8"), None, n),
        "thinks": rate_cell(test["think_rate"], n),
        "right when thinking": thinking,
        "error when thinking": complement(thinking),
        "right by reflex": cell(
            test["accuracy_reflex"], test["accuracy_reflex_ci"], test["reflex_n"]
        ),
        "mean length": cell(test["mean_length"], None, n),
    }
    if alike := test.get("consistency"):
        found["same in four wordings"] = cell(alike["alike"], alike["ci"], alike["n"])
    for name, part in (ood or {}).get("by_ood", {}).items():
        found[name] = rate_cell(part["accuracy"], part["n"])
    return found


def complement(rate: dict) -> dict:
    """1 - rate, with its interval turned over."""
    if rate["value"] is None:
        return rate
    return {**rate, "value": 1 - rate["value"], "ci": [1 - end for end in reversed(rate["ci"])]}


def is_known(c: dict) -> bool:
    return c["value"] is not None and (c["n"] is None or c["n"] >= TOO_FEW)


def over_seeds(cells: Iterable[dict]) -> dict | None:
    """Mean, least and greatest of the seeds that have enough cases."""
    known = [c["value"] for c in cells if is_known(c)]
    return (
        {"mean": sum(known) / len(known), "min": min(known), "max": max(known), "seeds": len(known)}
        if known
        else None
    )


def outcomes(test: dict, name: str) -> list[int]:
    """Who was right, problem by problem."""
    if name == "best":
        name = f"temperature {test['best_temperature']['temperature']:g}"
    return [int(right) for right in test["outcomes"][name]]


def difference(ours: list[int], theirs: list[int]) -> dict:
    value, low, high = paired_bootstrap(ours, theirs)
    return cell(value, [low, high], len(ours))


def differences(base: dict, tests: dict[str, dict]) -> dict[str, dict]:
    """What RL gained, on the same problems: {what is subtracted: {seed: difference}}."""
    return {
        name: {
            seed: difference(outcomes(test, ours), outcomes(base, theirs))
            for seed, test in tests.items()
        }
        for name, (ours, theirs) in DIFFERENCES.items()
    }


def error_ratio(before: dict, after: dict) -> dict:
    """Error after / error before. The interval sets the ends of the two against each other: wider
    than 95 %."""
    if not (is_known(before) and is_known(after) and before["value"]):
        return cell(None)
    ends = [after["ci"][0] / before["ci"][1], after["ci"][1] / before["ci"][0]]
    return cell(after["value"] / before["value"], ends)


def hold(record: dict, short: dict | None) -> dict:
    """The long run against its own peak, on validation; a noisy peak is too high, so this errs on
    the strict side."""
    evals = record["evals"]
    peak = max(evals, key=lambda e: e["accuracy"])
    last, test = evals[-1], record["long_test"]
    return {
        "n": last["n"],
        "peak": peak["accuracy"],
        "peak_step": peak["step"],
        "last": last["accuracy"],
        "last_ci": last["accuracy_ci"],
        "last_step": last["step"],
        "ratio": last["accuracy"] / peak["accuracy"],
        "test": cell(test["accuracy"], test["accuracy_ci"], test["n"]),
        "starts_as_grpo": starts_as(record, short) if short else None,
    }


def starts_as(long: dict, short: dict) -> bool:
    """Whether the long run began as the short one: the same numbers at each of its steps."""
    steps = len(short["tokens"])
    return long["tokens"][:steps] == short["tokens"] and all(
        long["curves"][name][:steps] == values for name, values in short["curves"].items()
    )


def rival(record: dict, base: dict | None, ours: dict | None) -> dict:
    """Expert iteration on the same problems, and what RL has over it with as many generated
    tokens."""
    test = record["test"]
    return {
        "steps": record["steps"],
        "tokens": record["tokens"][-1],
        "seconds": record["seconds"],
        "sampled": cell(test["accuracy"], test["accuracy_ci"], test["n"]),
        "greedy": cell(test["greedy"], test["greedy_ci"], test["n"]),
        "thinks": rate_cell(test["think_rate"], test["n"]),
        "grpo - expert": difference(outcomes(ours["test"], "sampled"), outcomes(test, "sampled"))
        if ours
        else None,
    }


def once_more(record: dict, first: dict | None) -> dict:
    """The same run with later code, and what it has over the first on the same problems."""
    test = record["test"]
    return {
        "time": record.get("time"),
        "sampled": cell(test["accuracy"], test["accuracy_ci"], test["n"]),
        "greedy": cell(test["greedy"], test["greedy_ci"], test["n"]),
        "seconds": record["seconds"],
        "again - first": difference(outcomes(test, "sampled"), outcomes(first["test"], "sampled"))
        if first
        else None,
    }


def cost(record: dict) -> dict:
    """What a run cost, and its test after it."""
    summary, test = record.get("summary") or {}, record.get("test") or record["long_test"]
    return {
        "steps": len(record["tokens"]),
        "tokens_generated": record["tokens"][-1],
        "tokens_trained": summary.get("tokens_trained"),
        "seconds": record["seconds"],
        "skipped_steps": summary.get("skipped_steps"),
        "test_tokens": test.get("tokens"),
        "test_seconds": test.get("seconds"),
        "peak_memory_mb": test.get("peak_memory_mb"),
    }


def summarise(results: dict) -> dict:
    """Every number of the tables."""
    base, grpo = results["base"], results["grpo"]
    first = base or next(iter(grpo.values()), None)
    before = figures_of(base["test"], base.get("ood")) if base else None
    seeds = {seed: figures_of(r["test"], r.get("ood")) for seed, r in grpo.items()}
    names = list(dict.fromkeys(name for figures in seeds.values() for name in figures))
    summary = {
        "seeds": list(seeds),
        "steps": next(
            (r["steps"] for kind in ("grpo", "hold") for r in results[kind].values()), None
        ),
        "long_steps": next((r["long_steps"] for r in results["hold"].values()), None),
        "n": first["test"]["n"] if first else None,
        "problems_sha256": first["test"]["problems_sha256"] if first else None,
        "machine": first.get("machine") if first else None,
        "base": before,
        "grpo": seeds,
        "grpo_over_seeds": {
            name: over_seeds(f[name] for f in seeds.values() if name in f) for name in names
        },
        "differences": differences(base["test"], {s: r["test"] for s, r in grpo.items()})
        if base
        else {},
        "error_ratio": {
            s: error_ratio(before["error when thinking"], f["error when thinking"])
            for s, f in seeds.items()
        }
        if base
        else {},
        "again": {
            seed: once_more(record, grpo.get(seed)) for seed, record in results["again"].items()
        },
        "hold": {seed: hold(record, grpo.get(seed)) for seed, record in results["hold"].items()},
        "expert": {
            seed: rival(record, base, grpo.get(seed)) for seed, record in results["expert"].items()
        },
        "cost": {
            kind: {seed: cost(record) for seed, record in results[kind].items()}
            for kind in ("grpo", "hold")
        },
        "pretraining": results["pretraining"],
        "timing": results["timing"],
    }
    summary["verdicts"] = verdicts(summary)
    return files.plain(summary, digits=6)


# -- verdicts --------------------------------------------------------------------------------------


def verdict(
    claim: str, unit: str, found: Sequence[float], held: Sequence[bool], needed: int = LEAST_SEEDS
) -> dict:
    """True if it holds in every seed, False if it fails in one; None as long as seeds are
    missing."""
    holds = False if not all(held) else True if len(held) >= needed else None
    return {
        "claim": claim,
        "unit": unit,
        "found": list(found),
        "held": sum(held),
        "of": len(held),
        "holds": holds,
    }


def verdicts(s: dict) -> list[dict]:
    """What this run was to show, claim by claim. unit: share, times (the base's), or points (of
    percentage)."""
    base = s["base"]
    name = f"GRPO after {s['steps']} steps" if s["steps"] else "GRPO"
    start = [base["sampled"]["value"]] if base else []
    cells = [figures["sampled"] for figures in s["grpo"].values()]
    sampled = [c["value"] for c in cells]
    ratios = [r["value"] for r in s["error_ratio"].values() if r["value"] is not None]
    held = [h["ratio"] for h in s["hold"].values()]
    found = [
        verdict(
            "base, sampled at T = 1: 20 to 45 % right",
            "share",
            start,
            [0.20 <= v <= 0.45 for v in start],
            needed=1,
        ),
        verdict(
            f"{name}, sampled at T = 1: at least 90 % right",
            "share",
            sampled,
            [v >= 0.90 for v in sampled],
        ),
        verdict(
            "the same: at least 97 % (the aim)", "share", sampled, [v >= 0.97 for v in sampled]
        ),
        verdict(
            "share of wrong answers when it thinks: at most half of the base's",
            "times",
            ratios,
            [r <= 0.5 for r in ratios],
        ),
    ]
    for label, rival in (
        ("with thinking forced, T = 1", "forced 1"),
        ("with thinking forced, T = 0", "forced 0"),
        ("at its best temperature", "best"),
    ):
        pairs = [(c, base[rival]) for c in cells] if base else []
        found.append(
            verdict(
                f"{name}, sampled: above the base {label}, intervals apart",
                "points",
                [c["value"] - b["value"] for c, b in pairs],
                [c["ci"][0] > b["ci"][1] for c, b in pairs],
            )
        )
    found.append(
        verdict(
            f"after {s['long_steps'] or 'five times as many'} steps: at least 97 % of its own best",
            "share",
            held,
            [ratio >= 0.97 for ratio in held],
        )
    )
    return found


# -- the command -----------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--readme", type=Path, default=ROOT / "README.md", help="file whose blocks are filled"
    )
    readme = parser.parse_args().readme
    results = read_results()
    summary = summarise(results)
    text = fill_readme(readme.read_text(encoding="utf-8"), summary, results["transcript"])
    folder = machine.data_folder() / "results"
    folder.mkdir(exist_ok=True)
    files.write_json_atomic(folder / "main.json", summary)
    written = [str(readme), str(folder / "main.json")]
    for kind, name, draw in (("grpo", "main.png", draw_main), ("hold", "hold.png", draw_hold)):
        if results[kind]:
            draw(results[kind], folder / name)
            written.append(str(folder / name))
    files.write_bytes_atomic(readme, text.encode())
    print("\n".join(verdict_lines(summary)))
    print(f"written: {', '.join(written)}")


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        cli.fail(str(error))
