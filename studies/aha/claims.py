"""What the aha experiment was to show, claim by claim, each with its threshold."""

from collections.abc import Sequence

from studies.markdown import LEAST_SEEDS

TEN_MINUTES = 600


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
        *seeded_claims(seeds_of(s, "seeded"), list(s["timing"].values()), s["careless"]),
        *control_claims(s),
        *other_claims(s),
    ]


def seeds_of(s: dict, arm: str) -> list[dict]:
    return list(s["arms"][arm]["seeds"].values()) if arm in s["arms"] else []


def seeded_claims(seeds: Sequence[dict], timed: Sequence[dict], careless: float) -> list[dict]:
    """careless: the share of wrong attempts that are accepted in the base's corpus."""
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
        claim(
            "false accepts fall, intervals apart (from a corpus in which "
            f"{careless:.0%} of the wrong attempts are accepted)",
            "points",
            *fallen(seeds, "false_accept"),
        ),
        claim(
            "the same, of attempts that their own check shows to be wrong",
            "points",
            fallen(seeds, "careless_accept")[0],
        ),
        claim(
            "share of the gain that is left under the ban (sharpening)",
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
            "control without reflection: retry rate under 1 %",
            "share",
            tries,
            held(tries, lambda v: v < 0.01),
        ),
        claim(
            "control without reflection: what RL gains",
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
            "expert iteration less GRPO",
            "points",
            [d["difference"] for d in s["expert less default"].values()],
        ),
        claim(
            "expert iteration: tries again after failing",
            "share",
            [x["after"]["retry_rate"]["rate"] for x in seeds_of(s, "expert")],
        ),
        claim(
            "shuffled rewards at a rate that a policy survives: what RL gains",
            "points",
            [x["decomposition"]["gain"]["difference"] for x in seeds_of(s, "shuffled-slow")],
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


def rival_claims(s: dict) -> list[dict]:
    """What is left of the gain beside a base that is made to try again (`rivals.py`). None where it
    was not measured."""
    found = s["rivals"]["differences"]
    rows = []
    for name, words in (
        ("forced", "GRPO less its base made to try again, at the best temperature: above 0"),
        ("forced, equal tokens", "the same, the base cut off so that tokens are equal: above 0"),
        (
            "forced, repeats refused",
            "GRPO less its base made to try again without repeats: above 0",
        ),
    ):
        if d := found.get(f"GRPO less {name}"):
            shown = d["significant"] and d["difference"] > 0
            over = "; over seeds and problems"
            rows.append(claim(words + over, "points", d["each"], [shown] * len(d["each"])))
    if worth := s["rivals"]["counterfactuals"].values():
        shares = [x["share of the gain, trained without"] for x in worth]
        rows.append(claim("share of the gain that RL reaches without reflection", "share", shares))
        rows.append(
            claim(
                "reflection is worth, in training (less a policy trained without it)",
                "points",
                [x["worth in training"] for x in worth],
            )
        )
    return rows
