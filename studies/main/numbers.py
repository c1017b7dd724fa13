"""The finished parts of the main job -> every number of its tables. Nothing is drawn here."""

from collections.abc import Iterable, Sequence

from minilrm import files, machine
from minilrm.errors import UserError
from minilrm.intervals import TOO_FEW, paired_bootstrap, wilson_interval
from studies import common
from studies.main.study import BASE
from studies.main.verdicts import verdicts

KINDS = ("grpo", "again", "expert", "hold")  # of which there is a line a seed
DIFFERENCES = {  # what is subtracted: whose outcomes of GRPO, whose of the base
    "both sampled, T = 1": ("sampled", "sampled"),
    "GRPO sampled, base at its best temperature": ("sampled", "best"),
    "GRPO sampled, base with thinking forced, T = 1": ("sampled", "forced 1"),
    "GRPO sampled, base with thinking forced, T = 0": ("sampled", "forced 0"),
    "both with thinking forced, T = 1": ("forced 1", "forced 1"),
    "both greedy": ("greedy", "greedy"),
    "GRPO greedy, base greedy with thinking forced": ("greedy", "forced 0"),
}


# -- reading ---------------------------------------------------------------------------------------


def read_results() -> dict:
    """The finished parts: {"base": record or None, "grpo": {seed: record}, "again", "expert",
    "hold": alike, "transcript", "timing", "pretraining"}."""
    lines = common.load_results("main")
    runs = {kind: by_seed(kind, lines) for kind in KINDS}
    base = by_seed("base", lines).get("0")
    for kind, records in runs.items():
        for seed, record in records.items():
            test = record["long_test" if kind == "hold" else "test"]
            if base and test["problems_sha256"] != base["test"]["problems_sha256"]:
                raise UserError(
                    f"{kind}, seed {seed}, was tested on other problems than the base; they cannot "
                    "be compared: measure one of them again"
                )
    return {
        "base": base,
        **runs,
        "transcript": best_transcript([r for r in lines if r.get("kind") == "transcript"]),
        "timing": common.load_results("timing"),
        "pretraining": read_pretraining(),
    }


def by_seed(kind: str, lines: Sequence[dict]) -> dict[str, dict]:
    """The lines of one kind, in the order of their seeds. UserError if a seed has two."""
    found: dict[str, dict] = {}
    for record in lines:
        if record.get("kind") == kind:
            seed = str(record.get("seed"))
            if seed in found:
                raise UserError(
                    f"data/results/main.jsonl has two records of {kind}, seed {seed}; keep the "
                    "valid one"
                )
            found[seed] = record
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def best_transcript(records: Sequence[dict]) -> dict | None:
    """The first one in English, as the README is; else the latest there is."""
    english = (r for r in records if r.get("language") == "en")
    return next(english, records[-1] if records else None)


def read_pretraining() -> dict | None:
    """What the shipped base says of its own training."""
    path = machine.data_folder() / "checkpoints" / BASE / "minilrm.json"
    scores = files.read_json(path).get("info", {}).get("scores") if path.is_file() else None
    keys = ("parameters", "tokens_trained", "seconds", "machine")
    return {key: scores.get(key) for key in keys} if scores else None


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


def difference(ours: list[int], theirs: list[int], clusters: list[int] | None = None) -> dict:
    value, low, high = paired_bootstrap(ours, theirs, clusters=clusters)
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
    return files.json_ready(summary, digits=6)
