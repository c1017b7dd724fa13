"""The aha moment's figures, drawn from the finished parts in data/results/aha.jsonl by code: no
number is typed by hand.

    python scripts/figures_aha.py --into lectures/17_aha_moment/README.md README.md

It reads what scripts/study_aha.py has written, for `countdown` and `multiplication`, and writes

    data/results/aha.json              every number: each seed with its count and interval, then mean, minimum and maximum
    data/results/aha.png               accuracy, first try, retry rate and length over the steps, arm by arm
    data/results/aha-pretraining.png   retry data in pretraining, before any reinforcement learning
    each FILE                          what stands between <!-- figures:aha --> and <!-- /figures:aha -->; or, in a file that
                                       has <!-- figures:aha-short --> and its end, a table of a few
                                       lines there

The same results give the same files. What has not been measured is said so. A claim holds only if
it holds in every one of at least three seeds; accuracies of two models are compared problem by
problem (paired bootstrap).
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]  # a clone's own package, installed or not

from figures_aha_plots import draw_arms, draw_pretraining  # noqa: E402
from figures_aha_text import block, headline  # noqa: E402
from figures_text import LEAST_SEEDS, put  # noqa: E402

from minilrm import cli, files, machine, reflection, runlog  # noqa: E402
from minilrm.errors import UserError  # noqa: E402
from minilrm.intervals import mean, paired_bootstrap  # noqa: E402

TASKS, ARMS = ("countdown", "multiplication"), ("seeded", "hot", "unseeded", "shuffled")
TEN_MINUTES = 600


# -- reading ---------------------------------------------------------------------------------------


def read_results() -> dict[str, dict]:
    """task -> {"bases": {name: part}, arm: {seed: part}, "parallel": {seed: part}, "pretraining":
    {share: {seed: part}}}."""
    found = {
        task: {kind: {} for kind in ("bases", *ARMS, "parallel", "timing", "pretraining")}
        for task in TASKS
    }
    for r in runlog.load_results("aha"):
        if r.get("task") not in found or r.get("kind") not in (
            "base",
            *ARMS,
            "parallel",
            "timing",
            "pretraining",
        ):
            raise UserError(
                f"data/results/aha.jsonl has a line of kind {r.get('kind')!r}, task {r.get('task')!r}, which "
                "scripts/study_aha.py does not write; take it out"
            )
        kinds = found[r["task"]]
        if r["kind"] == "base":
            home, name = kinds["bases"], "seeded" if r["seeded"] else "unseeded"
        elif r["kind"] == "pretraining":
            home, name = kinds["pretraining"].setdefault(f"{r['share']:g}", {}), str(r["seed"])
        else:
            home, name = kinds[r["kind"]], str(r["seed"])
        if (
            name in home and r["kind"] != "timing"
        ):  # of those the latest holds: the code may have become faster
            raise UserError(
                f"data/results/aha.jsonl has two lines of {r['task']}, {r['kind']}, {name}; keep the valid one"
            )
        home[name] = r
    for task, kinds in found.items():
        same_problems(task, kinds)
        shares = kinds["pretraining"]
        kinds["pretraining"] = {
            share: ordered(shares[share]) for share in sorted(shares, key=float)
        }
        kinds |= {kind: ordered(kinds[kind]) for kind in (*ARMS, "parallel", "timing")}
    return found


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
            f"data/results/aha.jsonl holds results of {task} on different problems, which cannot be compared; take "
            "the old ones out and measure again"
        )


# -- numbers ---------------------------------------------------------------------------------------


def bits(right: str) -> list[int]:
    return [int(c) for c in right]


def less(ours: str, theirs: str) -> dict:
    """Accuracy of ours less that of theirs on the same problems: "0110..." each."""
    value, low, high = paired_bootstrap(bits(ours), bits(theirs))
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
    seeds, best = {}, base["temperatures"][base["best"]]["right"] if base else None
    for seed, part in parts.items():
        study = part["study"]
        seeds[seed] = {
            **{
                key: study[key]
                for key in (
                    "before",
                    "after",
                    "after_banned",
                    "ablation_gap",
                    "decomposition",
                    "verdict",
                    "n",
                )
            },
            **{
                key: part[key]
                for key in (
                    "greedy",
                    "greedy_ci",
                    "ood",
                    "ood_ci",
                    "ood_n",
                    "steps",
                    "seconds",
                    "elapsed",
                )
            },
            "tokens": part["tokens"][-1],
            "entropy_curve_end": part["curves"]["entropy"][-1],
            "over best temperature": less(study["right"]["after"], best) if base else None,
            "greedy over best temperature": less(part["greedy_right"], best) if base else None,
        }
    after = [s["after"] for s in seeds.values()]
    over = {
        name: spread([a[name]["rate"] for a in after])
        for name in (
            "reflection_rate",
            "retry_rate",
            "first_try_accuracy",
            "final_accuracy",
            "false_accept",
            "false_reject",
        )
    }
    over |= {name: spread([a[name]["mean"] for a in after]) for name in ("mean_length", "attempts")}
    over |= {
        "ablation_gap": spread([s["ablation_gap"]["difference"] for s in seeds.values()]),
        "entropy": spread([a["entropy"] for a in after]),
        **{
            f"banned {name}": spread([s["after_banned"][name]["rate"] for s in seeds.values()])
            for name in ("final_accuracy", "retry_rate")
        },
        "greedy": spread([s["greedy"] for s in seeds.values()]),
        "ood": spread([s["ood"] for s in seeds.values()]),
    }
    return {
        "seeds": seeds,
        "over_seeds": over,
        "verdict": reflection.verdict_over_seeds([s["verdict"] for s in seeds.values()]),
    }


def hot_against_default(kinds: dict) -> dict:
    """Rollouts at 1.25 less those at 1.0, seed by seed, both tested at 1.0."""
    return {
        seed: less(kinds["hot"][seed]["study"]["right"]["after"], part["study"]["right"]["after"])
        for seed, part in kinds["seeded"].items()
        if seed in kinds["hot"]
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
            "hot less default": hot_against_default(kinds),
            "parallel": {seed: parallel_figures(part) for seed, part in kinds["parallel"].items()},
            "pretraining": pretraining_figures(kinds["pretraining"]),
            "timing": {
                seed: {
                    key: part[key] for key in ("elapsed", "seconds_total", "threads", "accuracy")
                }
                for seed, part in kinds["timing"].items()
            },
            "transcript": next(
                (t for part in kinds["seeded"].values() for t in part["transcripts"]), None
            ),
            "machine": next((part.get("machine") for part in kinds["seeded"].values()), None),
        }
        out[task]["claims"] = claims(out[task])
    return files.plain(out, digits=6)


# -- claims ----------------------------------------------------------------------------------------


def claim(
    text: str,
    unit: str,
    found: Sequence,
    held: Sequence[bool | None] | None = None,
    needed: int = LEAST_SEEDS,
) -> dict:
    """holds: True if it holds in every seed, False if it fails in one, None as long as seeds (or
    cases) are missing.

    held None: nothing was claimed but that the figure be stated. unit: share, points, times,
    seconds, nats or word.
    """
    if held is None:
        holds = "stated" if len(found) >= needed and None not in found else None
        return {
            "claim": text,
            "unit": unit,
            "found": list(found),
            "held": None,
            "of": len(found),
            "holds": holds,
        }
    holds = False if False in held else True if len(held) >= needed and None not in held else None
    return {
        "claim": text,
        "unit": unit,
        "found": list(found),
        "held": sum(h is True for h in held),
        "of": len(held),
        "holds": holds,
    }


def held(values: Sequence[float | None], test) -> list[bool | None]:
    """The test on each value; None where there were too few cases for one."""
    return [None if v is None else test(v) for v in values]


def claims(s: dict) -> list[dict]:
    """What the experiment was to show, claim by claim."""
    base = s["bases"].get("seeded")
    start = [base["temperatures"]["1"]["accuracy"]] if base else []
    tries = [base["measures"]["retry_rate"]["rate"]] if base else []
    return [
        claim(
            "base, sampled: at most 30 % right",
            "share",
            start,
            held(start, lambda v: v <= 0.30),
            needed=1,
        ),
        claim(
            "base: retry rate at most 10 %",
            "share",
            tries,
            held(tries, lambda v: v <= 0.10),
            needed=1,
        ),
        *seeded_claims(seeds_of(s, "seeded"), list(s["timing"].values())),
        *control_claims(s),
        *other_claims(s),
    ]


def seeds_of(s: dict, arm: str) -> list[dict]:
    return list(s["arms"][arm]["seeds"].values()) if arm in s["arms"] else []


def seeded_claims(seeds: Sequence[dict], timed: Sequence[dict]) -> list[dict]:
    after = [s["after"] for s in seeds]
    right, tries = (
        [a["final_accuracy"]["rate"] for a in after],
        [a["retry_rate"]["rate"] for a in after],
    )
    over = [s["over best temperature"] and s["over best temperature"]["difference"] for s in seeds]
    longer = [
        ratio(s["after"]["mean_length"]["mean"], s["before"]["mean_length"]["mean"]) for s in seeds
    ]
    gaps = [s["ablation_gap"]["difference"] for s in seeds]
    per_spoiled = [ratio(a["corrected"], a["spoiled"]) for a in after]
    words = [s["verdict"]["verdict"] for s in seeds]
    return [
        claim(
            "GRPO, sampled: at least 85 % right", "share", right, held(right, lambda v: v >= 0.85)
        ),
        claim(
            "the same: at least 95 % (the aim)", "share", right, held(right, lambda v: v >= 0.95)
        ),
        claim(
            "at least 20 points above the base at its best temperature",
            "points",
            over,
            held(over, lambda v: v >= 0.20),
        ),
        claim("retry rate at least 90 %", "share", tries, held(tries, lambda v: v >= 0.90)),
        claim("mean length at least doubled", "times", longer, held(longer, lambda v: v >= 2)),
        time_claim(seeds, timed),
        claim(
            "verdict load-bearing",
            "word",
            words,
            [None if w == "too few" else w == "load-bearing" for w in words],
        ),
        claim("ablation gap at least 30 points", "points", gaps, held(gaps, lambda v: v >= 0.30)),
        claim(
            "corrected at least 20 times spoiled",
            "times",
            per_spoiled,
            [a["corrected"] >= 20 * a["spoiled"] and a["corrected"] > 0 for a in after],
        ),
        claim("false accepts fall, intervals apart", "points", *fallen(seeds, "false_accept")),
        claim(
            "the same, of attempts that their own check shows to be wrong",
            "points",
            fallen(seeds, "careless_accept")[0],
        ),
        claim(
            "share of the gain that is sharpening",
            "share",
            [s["decomposition"]["sharpening"]["share"] for s in seeds],
        ),
    ]


def fallen(seeds: Sequence[dict], name: str) -> tuple[list[float | None], list[bool | None]]:
    """(after less before, whether the intervals are apart) of a rate in each seed; None where there
    were too few cases."""
    pairs = [(s["before"][name], s["after"][name]) for s in seeds]
    known = [None if b["too_few"] or a["too_few"] else a["rate"] - b["rate"] for b, a in pairs]
    return known, [
        None if d is None else a["ci"][1] < b["ci"][0]
        for d, (b, a) in zip(known, pairs, strict=True)
    ]


def time_claim(seeds: Sequence[dict], timed: Sequence[dict]) -> dict:
    """By the run that was timed alone; until there is one, by the seeds' runs on one thread, beside
    whatever else ran. One thread within the time is proof enough; more than that on one thread says
    nothing of two cores."""
    took = [run["elapsed"] for run in timed or seeds]
    words = "alone on the machine" if timed else "on one thread"
    in_time = [True if t <= TEN_MINUTES else False if timed else None for t in took]
    return claim(
        f"in at most 10 minutes on two cores (found: the run with its evaluations, {words})",
        "seconds",
        took,
        in_time,
        needed=1 if timed else LEAST_SEEDS,
    )


def ratio(above: float | None, below: float | None) -> float | None:
    """None where there is nothing to divide by."""
    return above / below if above is not None and below else None


def control_claims(s: dict) -> list[dict]:
    plain, shuffled = seeds_of(s, "unseeded"), seeds_of(s, "shuffled")
    tries = [x["after"]["retry_rate"]["rate"] for x in plain]
    over = [x["over best temperature"] for x in shuffled]
    return [
        claim(
            "unseeded control: retry rate under 1 %",
            "share",
            tries,
            held(tries, lambda v: v < 0.01),
        ),
        claim(
            "unseeded control: what RL gains without reflection",
            "points",
            [x["decomposition"]["gain"]["difference"] for x in plain],
        ),
        claim(
            "shuffled rewards: no gain over the base's best temperature",
            "points",
            [d and d["difference"] for d in over],
            [None if d is None else d["ci"][0] <= 0 for d in over],
        ),
        claim(
            "shuffled rewards: entropy at the end",
            "nats",
            [x["after"]["entropy"] for x in shuffled],
        ),
    ]


def other_claims(s: dict) -> list[dict]:
    most = max(s["pretraining"], key=float, default="0")
    learnt = s["pretraining"][most]["seeds"].values() if s["pretraining"] else ()
    gains = [x["over none"]["difference"] for x in learnt if x["over none"]]
    share = f"share {most}" if gains else "the largest share"
    against = [
        x["parallel"]["stops"]["sequential less parallel"]["difference"]
        for x in s["parallel"].values()
    ]
    return [
        claim(
            "rollouts at T = 1.25 less those at T = 1",
            "points",
            [d["difference"] for d in s["hot less default"].values()],
        ),
        claim(
            f"retry data in pretraining: {share} of reflecting writers less none, sampled",
            "points",
            gains,
        ),
        claim(
            "one long sample less best-of-n of the unreflecting, equal tokens", "points", against
        ),
    ]


# -- the command -----------------------------------------------------------------------------------


def fill(text: str, summary: dict) -> str:
    """The page with the table of a few lines, if it has a place for it, or else with everything."""
    if "<!-- figures:aha-short -->" in text:
        return put(text, "figures:aha-short", headline(summary))
    return put(text, "figures:aha", block(summary))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--into",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="Markdown files whose block is filled",
    )
    into = parser.parse_args().into
    results = read_results()
    summary = summarise(results)
    texts = {
        file: fill(file.read_text(encoding="utf-8"), summary) for file in into
    }  # all or none: a marker may be missing
    folder = machine.data_folder() / "results"
    folder.mkdir(exist_ok=True)
    files.write_json_atomic(folder / "aha.json", summary)
    written = [folder / "aha.json"]
    for name, draw, drawn in (
        (
            "aha.png",
            draw_arms,
            {task: k for task, k in results.items() if any(k[arm] for arm in ARMS)},
        ),
        (
            "aha-pretraining.png",
            draw_pretraining,
            {task: s["pretraining"] for task, s in summary.items() if s["pretraining"]},
        ),
    ):
        if drawn:
            draw(drawn, folder / name)
            written.append(folder / name)
    for file, text in texts.items():
        files.write_bytes_atomic(file, text.encode())
        written.append(file)
    if not texts:
        print(block(summary))
    print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as error:
        cli.fail(str(error))
