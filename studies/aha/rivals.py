"""What stands beside the trained policies -> numbers: the bases made to try again, drawn several
times, and the best constant rule (data/results/aha-baselines.jsonl); the two counterfactuals and
pass@k (data/results/aha.jsonl). `studies/aha/figures.py` calls this; nothing is drawn here.

Differences are over problems and seeds (`intervals.crossed_bootstrap`): seeds of training for a
policy, of sampling for a base.
"""

from collections.abc import Sequence

import numpy as np

from minilrm import files
from minilrm.errors import UserError
from minilrm.evaluate import TEMPERATURES
from minilrm.intervals import crossed_bootstrap, mean, pass_at_k, wilson_interval
from studies import common
from studies.aha.baselines import KINDS, SHORT, STUDY
from studies.aha.study import MOST, SEEDS, TASKS

AT = (1, 2, 4, 8, 16)  # the k of pass@k
Rows = Sequence[Sequence[float]]


def load() -> dict[str, list[dict]]:
    """task -> the finished parts of the baselines."""
    found: dict[str, list[dict]] = {task: [] for task in TASKS}
    for record in common.load_results(STUDY):
        if record.get("task") not in found or record.get("kind") not in (
            *KINDS,
            "plain",
            "constant",
        ):
            raise UserError(
                f"data/results/{STUDY}.jsonl has a line of kind {record.get('kind')!r}, task "
                f"{record.get('task')!r}, which `python -m studies.aha.baselines` does not write"
            )
        found[record["task"]].append(record)
    return found


def summarise(kinds: dict, parts: Sequence[dict], steps: Sequence[dict] = ()) -> dict:
    """All numbers of one task. kinds: its parts of aha.jsonl, as `numbers.read_results` has them;
    parts: those of the baselines; steps: of the weight of a solution's numbers (`steps.py`)."""
    same_problems(kinds, parts)
    policy = policy_rows(kinds["seeded"])
    found: dict = {
        "constant": next((p for p in parts if p["kind"] == "constant"), None),
        "policy": policy and {"tokens": mean(policy["tokens"]), "each tokens": policy["tokens"]},
        "counterfactuals": counterfactuals(kinds),
        "pass_at_k": pass_figures(kinds, parts),
    }
    for kind in ("forced", "unrepeated"):
        found[kind] = {
            name: rival(of(parts, kind, seeded), policy)
            for name, seeded in (("seeded", True), ("unseeded", False))
        }
    found["short"] = {kind: rival(of(parts, kind, None), policy) for kind in SHORT}
    found["draws"] = drawn(of(parts, "draws", True), policy)
    found["without reflection"] = parallel_curve(kinds["parallel"])
    found["differences"] = differences(kinds, parts)
    found["steps"] = {r["model"]: {key: r[key] for key in ("solutions", "kinds")} for r in steps}
    return files.json_ready(found, digits=6)


def same_problems(kinds: dict, parts: Sequence[dict]) -> None:
    """UserError unless the tests of both files are of the same problems."""
    asked = {p["problems_sha256"] for p in parts if p.get("split", "test") == "test"}
    asked |= {r["problems_sha256"] for r in kinds["bases"].values()}
    if len(asked) > 1:
        raise UserError(
            f"data/results/{STUDY}.jsonl and aha.jsonl are of different problems, which cannot be "
            "compared"
        )


def of(parts: Sequence[dict], kind: str, seeded: bool | None) -> dict[str, list[dict]]:
    """{"validation": by temperature, "test": at the chosen one, by seed}. seeded None: of the
    policy of the short run."""
    mine = [p for p in parts if p["kind"] == kind and p["seeded"] is seeded]
    tried = sorted((p for p in mine if p["split"] == "validation"), key=lambda p: p["temperature"])
    best = max(tried, key=lambda p: p["accuracy"], default=None)
    test = [
        p for p in mine if p["split"] == "test" and best and p["temperature"] == best["temperature"]
    ]
    return {"validation": tried, "test": sorted(test, key=lambda p: p["seed"])}


def policy_rows(parts: dict[str, dict]) -> dict | None:
    """Who was right and how long the answers are, seed by seed, after GRPO."""
    if not parts:
        return None
    studies = [part["study"] for part in parts.values()]
    return {
        "right": [common.bits(s["right"]["after"]) for s in studies],
        "tokens": [s["after"]["mean_length"]["mean"] for s in studies],
    }


# -- one rival -------------------------------------------------------------------------------------


def figures(rows: Rows, tokens: Sequence[float]) -> dict:
    """Accuracy of several seeds [seeds, n]: their mean with Wilson's interval over the n problems,
    each seed, and the tokens of an answer."""
    each = [mean(row) for row in rows]
    n, value = len(rows[0]), mean(each)
    return {
        "accuracy": value,
        "ci": list(wilson_interval(value * n, n)),
        "n": n,
        "each": each,
        "tokens": mean(tokens),
    }


def spent(part: dict) -> list[int]:
    """Tokens that each answer cost: its own, and those of attempts that were refused on its way."""
    refused = part.get("refused_each", [0] * len(part["lengths"]))
    return [kept + thrown for kept, thrown in zip(part["lengths"], refused, strict=True)]


def cut(parts: Sequence[dict], limit: float) -> tuple[Rows, list[float]]:
    """(who is right, mean tokens) of answers that are cut off behind `limit` tokens: one that had
    not come to its end by then is wrong."""
    lengths = np.array([spent(p) for p in parts])
    rows = np.array([common.bits(p["right"]) for p in parts]) * (lengths <= limit)
    return rows.tolist(), np.minimum(lengths, limit).mean(1).tolist()


def limit_for(part: dict, tokens: float) -> int | None:
    """The longest limit at which the answers of this part cost at most so many tokens on average;
    None where they cost no more without any."""
    lengths = np.array(spent(part))
    if lengths.mean() <= tokens:
        return None
    limits = range(int(lengths.max()), 0, -1)
    return next((n for n in limits if np.minimum(lengths, n).mean() <= tokens), 1)


def rival(found: dict[str, list[dict]], policy: dict | None) -> dict | None:
    """A base made to try again: validation at each temperature, the test at the chosen one, the
    same at the policy's tokens, and accuracy against tokens as the limit grows."""
    tried, test = found["validation"], found["test"]
    if not tried or not test:
        return None
    best = max(tried, key=lambda p: p["accuracy"])
    lengths = [mean(spent(p)) for p in test]
    right = [common.bits(p["right"]) for p in test]
    out: dict = {
        "base": best["base"],
        "temperature": best["temperature"],
        "validation": by_temperature(tried),
        **figures(right, lengths),
        "measures": [p["measures"] for p in test],
        "refused": mean([p["refused"] for p in test]) if "refused" in best else None,
    }
    if policy and (limit := limit_for(best, mean(policy["tokens"]))):
        rows, tokens = cut(test, limit)
        out["equal"] = {"limit": limit, **figures(rows, tokens)}
    most = max(max(spent(p)) for p in test)
    limits = np.unique(np.geomspace(20, most, 60).astype(int))  # the last: no limit at all
    curve = [(n, *cut(test, n)) for n in limits.tolist()]
    out["curve"] = [
        {"limit": n, "accuracy": float(np.mean(rows)), "tokens": mean(tokens)}
        for n, rows, tokens in curve
    ]
    return out


def by_temperature(tried: Sequence[dict]) -> dict[str, dict]:
    return {
        f"{p['temperature']:g}": {
            **{key: p[key] for key in ("accuracy", "ci", "n")},
            "tokens": p["tokens"] + p.get("refused", 0.0),
        }
        for p in tried
    }


def drawn(found: dict[str, list[dict]], policy: dict | None) -> dict | None:
    """Best of n by its own check, n = 1 to MOST, that stops at the first answer it accepts; at
    the policy's tokens: the least n that costs as much, where MOST cost more."""
    tried, test = found["validation"], found["test"]
    if not tried or not test:
        return None
    best = max(tried, key=lambda p: p["accuracy"])
    rows = [at_n(test, n) for n in range(1, MOST + 1)]
    out = {
        "base": best["base"],
        "temperature": best["temperature"],
        "validation": by_temperature(tried),
        **rows[-1],
        "curve": rows,
    }
    aim = mean(policy["tokens"]) if policy else rows[-1]["tokens"]
    if rows[-1]["tokens"] > aim:
        out["equal"] = next(row for row in rows if row["tokens"] >= aim)
    return out


def at_n(parts: Sequence[dict], n: int) -> dict:
    rows = [p["parallel"][n - 1] for p in parts]
    found = figures([common.bits(r["right"]) for r in rows], [r["tokens"] for r in rows])
    return {"samples": n, **found, "tokens_all": mean([r["tokens_all"] for r in rows])}


def parallel_curve(parts: dict[str, dict]) -> list[dict]:
    """The same of the policies trained without reflection: the mean of the seeds."""
    most = min((len(part["parallel"]) for part in parts.values()), default=0)
    rows = [[part["parallel"][n] for part in parts.values()] for n in range(most)]
    return [
        {
            "samples": n,
            "accuracy": mean([r["accuracy"] for r in row]),
            "each": [r["accuracy"] for r in row],
            "tokens": mean([r["tokens"] for r in row]),
        }
        for n, row in enumerate(rows, start=1)
    ]


# -- differences -----------------------------------------------------------------------------------


def difference(ours: Rows, theirs: Rows) -> dict:
    value, low, high = crossed_bootstrap(ours, theirs)
    other = mean([mean(row) for row in theirs])
    each = [mean(row) - other for row in ours]
    apart = (low > 0 and min(each) > 0) or (high < 0 and max(each) < 0)
    enough = len(ours) >= len(SEEDS)
    return {
        "difference": value,
        "ci": [low, high],
        "each": each,
        "n": len(ours[0]),
        "too_few": False,
        "significant": apart if enough else None,
    }


def differences(kinds: dict, parts: Sequence[dict]) -> dict[str, dict]:
    """Name -> accuracy of the first less that of the second; what is not measured is left out."""
    policy, found = policy_rows(kinds["seeded"]), {}
    rows: dict[str, Rows] = {"GRPO": policy["right"]} if policy else {}
    for kind, words in (("forced", "forced"), ("unrepeated", "forced, repeats refused")):
        mine = of(parts, kind, True)
        if not mine["test"]:
            continue
        rows[words] = [common.bits(p["right"]) for p in mine["test"]]
        if policy:
            best = max(mine["validation"], key=lambda p: p["accuracy"])
            if limit := limit_for(best, mean(policy["tokens"])):
                rows[f"{words}, equal tokens"] = cut(mine["test"], limit)[0]
    draws = of(parts, "draws", True)
    if draws["test"]:
        rows[f"best of {MOST}"] = [common.bits(p["parallel"][-1]["right"]) for p in draws["test"]]
        if policy and (equal := drawn(draws, policy).get("equal")):
            n = equal["samples"]
            rows["best of n, equal tokens"] = [
                common.bits(p["parallel"][n - 1]["right"]) for p in draws["test"]
            ]
    if kinds["unseeded"]:
        rows["GRPO without reflection"] = policy_rows(kinds["unseeded"])["right"]
    for kind, words in (("plain", "short run"), ("unrepeated", "short run, repeats refused")):
        if short := of(parts, kind, None)["test"]:
            rows[words] = [common.bits(p["right"]) for p in short]
    if kinds["hot"]:
        rows["GRPO, rollouts at T = 1.25"] = policy_rows(kinds["hot"])["right"]
    if base := kinds["bases"].get("seeded"):
        rows["base, best temperature"] = [common.bits(best_of(base)["right"])]
    for name in rows:
        if name != "GRPO" and policy:
            found[f"GRPO less {name}"] = difference(policy["right"], rows[name])
    again, alike = "forced, repeats refused", ", equal tokens"
    for ours, theirs in (
        (again, "forced"),
        ("short run, repeats refused", again),
        (again + alike, "best of n" + alike),
        ("forced" + alike, "best of n" + alike),
    ):
        if ours in rows and theirs in rows:
            found[f"{ours} less {theirs}"] = difference(rows[ours], rows[theirs])
    return found


def best_of(base: dict) -> dict:
    """A base at its best temperature."""
    heat = [f"{t:g}" for t in TEMPERATURES]
    return max((base["temperatures"][t] for t in heat), key=lambda f: f["accuracy"])


# -- from the runs themselves ----------------------------------------------------------------------


def counterfactuals(kinds: dict) -> dict[str, dict]:
    """Seed by seed, what reflection is worth: to a policy that has learnt to rely on it (the word
    banned at decoding), and to training (a policy trained without it)."""
    found = {}
    for seed in kinds["seeded"].keys() & kinds["unseeded"].keys():
        with_it, without = (kinds[arm][seed]["study"] for arm in ("seeded", "unseeded"))
        rates = {
            "after": with_it["after"]["final_accuracy"]["rate"],
            "banned": with_it["after_banned"]["final_accuracy"]["rate"],
            "trained without": without["after"]["final_accuracy"]["rate"],
            "first try, with": with_it["after"]["first_try_accuracy"]["rate"],
            "first try, without": without["after"]["first_try_accuracy"]["rate"],
        }
        gains = [s["decomposition"]["gain"]["difference"] for s in (with_it, without)]
        found[seed] = {
            **rates,
            "worth by the ban": rates["after"] - rates["banned"],
            "worth in training": rates["after"] - rates["trained without"],
            "share of the gain, banned": with_it["decomposition"]["sharpening"]["share"],
            "share of the gain, trained without": gains[1] / gains[0] if gains[0] > 0 else None,
        }
    return dict(sorted(found.items()))


def pass_figures(kinds: dict, parts: Sequence[dict]) -> dict:
    """pass@k at T = 1 of the bases (16 draws a problem), and of the policies trained without
    reflection (any of the first k of 16 draws; of these the problems one by one were not kept)."""
    found: dict = {}
    for name, seeded in (("base, seeded", True), ("base, unseeded", False), ("short", None)):
        drawn_at_1 = [
            p
            for p in parts
            if p["kind"] == "draws"
            and p["seeded"] is seeded
            and (p["split"], p["temperature"], p["seed"]) == ("test", 1.0, 0)
        ]
        for part in drawn_at_1:
            found[name] = {
                str(k): mean([pass_at_k(MOST, c, k) for c in part["counts"]]) for k in AT
            }
    each = {
        seed: {str(k): part["parallel"][k - 1]["oracle"] for k in AT}
        for seed, part in kinds["parallel"].items()
        if len(part["parallel"]) >= max(AT)
    }
    if each:
        found["RL, unseeded"] = {
            str(k): {
                "mean": mean([e[str(k)] for e in each.values()]),
                "min": min(e[str(k)] for e in each.values()),
                "max": max(e[str(k)] for e in each.values()),
            }
            for k in AT
        }
    return found
