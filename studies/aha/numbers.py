"""The finished parts of the aha experiment -> every number of its tables. Nothing is drawn here."""

from collections.abc import Sequence

from minilrm import files, reflection
from minilrm.errors import UserError
from minilrm.intervals import mean, paired_bootstrap
from minilrm.tasks import get_task
from studies import common
from studies.aha.claims import claims
from studies.aha.study import ARMS, TASKS

KINDS = ("base", *ARMS, "parallel", "timing", "pretraining")
RATES = (
    "reflection_rate",
    "retry_rate",
    "first_try_accuracy",
    "final_accuracy",
    "false_accept",
    "false_reject",
)
# What is kept of an arm's line: of what `reflection.study` found, and of the rest.
OF_THE_STUDY = (
    "before",
    "after",
    "after_banned",
    "ablation_gap",
    "decomposition",
    "verdict",
    "n",
)
OF_THE_PART = (
    "greedy",
    "greedy_ci",
    "ood",
    "ood_ci",
    "ood_n",
    "steps",
    "seconds",
    "elapsed",
)


# -- reading ---------------------------------------------------------------------------------------


def read_results() -> dict[str, dict]:
    """task -> {"bases": {name: part}, arm: {seed: part}, "parallel": {seed: part}, "timing":
    {seed: part}, "pretraining": {share: {seed: part}}}."""
    found: dict[str, dict] = {
        task: {kind: {} for kind in ("bases", *ARMS, "parallel", "timing", "pretraining")}
        for task in TASKS
    }
    for record in common.load_results("aha"):
        if record.get("task") not in found or record.get("kind") not in KINDS:
            raise UserError(
                f"data/results/aha.jsonl has a line of kind {record.get('kind')!r}, task "
                f"{record.get('task')!r}, which `python -m studies.aha` does not write; take it out"
            )
        home, name = place_of(record, found[record["task"]])
        # Of timings the latest counts: the code may have become faster.
        if name in home and record["kind"] != "timing":
            raise UserError(
                f"data/results/aha.jsonl has two lines of {record['task']}, {record['kind']}, "
                f"{name}; keep the valid one"
            )
        home[name] = record
    for task, kinds in found.items():
        same_problems(task, kinds)
        shares = kinds["pretraining"]
        kinds["pretraining"] = {
            share: ordered(shares[share]) for share in sorted(shares, key=float)
        }
        kinds |= {kind: ordered(kinds[kind]) for kind in (*ARMS, "parallel", "timing")}
    return found


def place_of(record: dict, kinds: dict) -> tuple[dict, str]:
    """(the parts that a line belongs to, its name among them)."""
    if record["kind"] == "base":
        return kinds["bases"], "seeded" if record["seeded"] else "unseeded"
    if record["kind"] == "pretraining":
        return kinds["pretraining"].setdefault(f"{record['share']:g}", {}), str(record["seed"])
    return kinds[record["kind"]], str(record["seed"])


def ordered(parts: dict[str, dict]) -> dict[str, dict]:
    return dict(sorted(parts.items(), key=lambda item: int(item[0])))


def same_problems(task: str, kinds: dict) -> None:
    parts = [
        *kinds["bases"].values(),
        *(r for kind in (*ARMS, "parallel") for r in kinds[kind].values()),
        *(r for seeds in kinds["pretraining"].values() for r in seeds.values()),
    ]
    if len({r["problems_sha256"] for r in parts}) > 1:
        raise UserError(
            f"data/results/aha.jsonl holds results of {task} on different problems, which cannot "
            "be compared; take the old ones out and measure again"
        )


# -- numbers ---------------------------------------------------------------------------------------


def less(ours: str, theirs: str) -> dict:
    """Accuracy of ours less that of theirs on the same problems: "0110..." each."""
    value, low, high = paired_bootstrap(common.bits(ours), common.bits(theirs))
    return {"difference": value, "ci": [low, high], "n": len(ours), "too_few": False}


def spread(values: Sequence[float | None]) -> dict | None:
    """Mean, least and greatest over the seeds; None where one has too few cases, or there is
    none."""
    values = list(values)
    if not values or None in values:
        return None
    return {"mean": mean(values), "min": min(values), "max": max(values), "each": values}


def base_figures(part: dict) -> dict:
    best = max(part["temperatures"], key=lambda t: part["temperatures"][t]["accuracy"])
    return {
        "name": part["base"],
        "measures": part["measures"],
        "temperatures": part["temperatures"],
        "best": best,
        **{key: part[key] for key in ("greedy", "greedy_ci", "ood", "ood_ci", "ood_n")},
    }


def arm_figures(parts: dict[str, dict], base: dict | None) -> dict:
    """One arm: each seed, over the seeds, and the verdict."""
    best = base["temperatures"][base["best"]]["right"] if base else None
    seeds = {seed: seed_figures(part, best) for seed, part in parts.items()}
    return {
        "seeds": seeds,
        "over_seeds": over_seeds(list(seeds.values())),
        "verdict": reflection.verdict_over_seeds([s["verdict"] for s in seeds.values()]),
    }


def seed_figures(part: dict, best: str | None) -> dict:
    """One seed of an arm. best: who was right of its base at that base's best temperature."""
    study = part["study"]
    return {
        **{key: study[key] for key in OF_THE_STUDY},
        **{key: part[key] for key in OF_THE_PART},
        "tokens": part["tokens"][-1],
        "entropy_curve_end": part["curves"]["entropy"][-1],
        "over best temperature": less(study["right"]["after"], best) if best else None,
        "greedy over best temperature": less(part["greedy_right"], best) if best else None,
    }


def over_seeds(seeds: Sequence[dict]) -> dict:
    """Each measure of the trained policy: mean, least and greatest of the seeds."""
    after = [s["after"] for s in seeds]
    return {
        **{name: spread([a[name]["rate"] for a in after]) for name in RATES},
        **{name: spread([a[name]["mean"] for a in after]) for name in ("mean_length", "attempts")},
        "ablation_gap": spread([s["ablation_gap"]["difference"] for s in seeds]),
        "entropy": spread([a["entropy"] for a in after]),
        **{
            f"banned {name}": spread([s["after_banned"][name]["rate"] for s in seeds])
            for name in ("final_accuracy", "retry_rate")
        },
        "greedy": spread([s["greedy"] for s in seeds]),
        "ood": spread([s["ood"] for s in seeds]),
    }


def against_default(kinds: dict, arm: str) -> dict:
    """Accuracy of an arm less that of GRPO with the recipe, seed by seed, both tested at 1.0."""
    return {
        seed: less(kinds[arm][seed]["study"]["right"]["after"], part["study"]["right"]["after"])
        for seed, part in kinds["seeded"].items()
        if seed in kinds[arm]
    }


def parallel_figures(part: dict) -> dict:
    """One long sample against best-of-n at equal tokens: the least n that costs as much, or the
    most that there is.

    Two prices: `stops` (the unreflecting one stops at the first answer that it accepts itself) and
    `all` (n at once).
    """
    one, found = part["sequential"], {}
    for price, key in (("stops", "tokens"), ("all", "tokens_all")):
        rows = list(enumerate(part["parallel"], start=1))  # the row of 1 sample, of 2, ...
        n, row = next(((n, r) for n, r in rows if r[key] >= one["tokens"]), rows[-1])
        found[price] = {
            "n": n,
            "accuracy": row["accuracy"],
            "ci": row["ci"],
            "tokens": row[key],
            "oracle": row["oracle"],
            "budget_met": row[key] >= one["tokens"],
            "sequential less parallel": less(one["right"], row["right"]),
        }
    return {
        "sequential": {key: one[key] for key in ("accuracy", "ci", "n", "tokens")},
        "parallel": found,
    }


def pretraining_figures(shares: dict[str, dict[str, dict]]) -> dict:
    """Accuracy by the share of reflecting writers, each seed, and what the share gained over
    none."""

    def figures(part: dict, none: dict | None) -> dict:
        return {
            **{
                key: part[key]
                for key in ("accuracy", "accuracy_ci", "greedy", "greedy_ci", "pretraining_tokens")
            },
            **{
                key: part["measures"][key]
                for key in ("first_try_accuracy", "retry_rate", "mean_length")
            },
            "over none": less(part["right"], none["right"]) if none else None,
            "over none, greedy": less(part["greedy_right"], none["greedy_right"]) if none else None,
        }

    return {
        share: {
            "seeds": {
                seed: figures(part, shares.get("0", {}).get(seed) if share != "0" else None)
                for seed, part in parts.items()
            },
            "over_seeds": {
                key: spread([part[key] for part in parts.values()])
                for key in ("accuracy", "greedy")
            },
        }
        for share, parts in shares.items()
    }


def summarise(results: dict[str, dict]) -> dict:
    """Every number of the tables."""
    out = {}
    for task, kinds in results.items():
        bases = {name: base_figures(part) for name, part in kinds["bases"].items()}
        arms = {
            arm: arm_figures(kinds[arm], bases.get("unseeded" if arm == "unseeded" else "seeded"))
            for arm in ARMS
            if kinds[arm]
        }
        out[task] = {
            "bases": bases,
            "arms": arms,
            "hot less default": against_default(kinds, "hot"),
            "expert less default": against_default(kinds, "expert"),
            "parallel": {seed: parallel_figures(part) for seed, part in kinds["parallel"].items()},
            "pretraining": pretraining_figures(kinds["pretraining"]),
            "timing": {
                seed: {
                    key: part[key] for key in ("elapsed", "seconds_total", "threads", "accuracy")
                }
                for seed, part in kinds["timing"].items()
            },
            "careless": get_task(task).writer.careless,
            "transcript": next(
                (t for part in kinds["seeded"].values() for t in part["transcripts"]), None
            ),
            "machine": next((part.get("machine") for part in kinds["seeded"].values()), None),
        }
        out[task]["claims"] = claims(out[task])
    return files.json_ready(out, digits=6)
