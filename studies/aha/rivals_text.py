"""What stands beside the trained policies -> tables in Markdown; `rivals.py` has the numbers."""

from minilrm.intervals import TOO_FEW
from minilrm.reflection.command import points
from studies.aha.baselines import HEAT
from studies.aha.steps import POLICY
from studies.aha.study import MOST
from studies.aha.tables import rate
from studies.markdown import DASH, MISSING, percent, table

FORCED = {"forced": "made to try again", "unrepeated": "made to try again, repeats refused"}
SHARES = ("share of the gain, banned", "share of the gain, trained without")
WORTH = {
    "after": "after GRPO",
    "banned": "the same, the word banned at decoding",
    "trained without": "after GRPO from a base without reflection",
    "worth by the ban": "reflection is worth, by the ban",
    "worth in training": "reflection is worth, in training",
    SHARES[0]: "share of the gain that is left under the ban (sharpening)",
    SHARES[1]: "share of the gain that GRPO reaches without reflection",
    "first try, with": "first try right, trained with retries",
    "first try, without": "first try right, trained without",
}


def block(task: str, s: dict) -> list[str]:
    """The paragraphs of one task."""
    r = s.get("rivals")
    if not r:
        return []
    parts = [
        "*What comes without training, and what it costs.* Differences: over problems and seeds "
        "(of training for a policy, of sampling for a base). The policies were asked at T = 1, as "
        "they were trained, and greedily; no temperature was chosen for them.",
        rivals_table(s, r),
    ]
    if heat := heat_table(r):
        parts += [
            "*Validation, from which the temperatures were chosen* (n = 1000, one seed):",
            heat,
        ]
    if r["counterfactuals"]:
        parts += ["*Two counterfactuals.*", worth_table(r["counterfactuals"])]
    if r["pass_at_k"]:
        parts += [
            f"*pass@k*, T = 1, {MOST} draws a problem (policies: mean, least and greatest of the "
            "seeds):",
            pass_table(r["pass_at_k"]),
        ]
    if r.get("steps"):
        parts += [
            "*Which numbers carry weight?* One number of a right greedy answer is changed. "
            "*Direct*: all that follows stays; how much the probability of the right answer falls, "
            "in points. *Total*: the model goes on by itself; share still right.",
            steps_table(r["steps"]),
        ]
    if not (r["forced"]["seeded"] and r["draws"]):
        parts.append(f"Not all measured yet: `python -m studies.aha.baselines {task} all`.")
    return parts


# -- rivals ----------------------------------------------------------------------------------------


def rivals_table(s: dict, r: dict) -> str:
    """Accuracy, tokens, and what GRPO has above it, of everything that could explain it away."""
    head = [
        "test; mean (least to greatest of the seeds)",
        "right",
        "tokens per answer",
        "GRPO less this",
        "a difference?",
    ]
    rows = [*before_rows(s, r), *drawn_rows(r), *forced_rows(r), *policy_rows(s, r), *short_rows(r)]
    return table(head, rows)


def row(name: str, right: str, tokens: float | None, less: dict | None) -> list[str]:
    return [
        name,
        right,
        DASH if tokens is None else f"{tokens:.1f}",
        DASH if less is None else points(less),
        DASH if less is None else {True: "yes", False: "no", None: MISSING}[less["significant"]],
    ]


def over(found: dict) -> str:
    """`85.0 % (83.9 to 86.1)`: mean, least and greatest."""
    each = found["each"]
    return f"{percent(found['accuracy'])} ({100 * min(each):.1f} to {100 * max(each):.1f})"


def before_rows(s: dict, r: dict) -> list[list[str]]:
    """The best constant rule, and the base as it is."""
    rows = []
    if r["constant"]:
        rule, other = r["constant"]["best"], r["constant"]["chosen"]
        name = (
            f"the best of {r['constant']['rules']} rules that read no target: `{rule['rule']}` "
            f"(chosen on validation: `{other['rule']}`, {percent(other['accuracy'])})"
        )
        rows.append(row(name, rate(rule["accuracy"], rule["ci"]), None, None))
    if base := s["bases"].get("seeded"):
        heat, best = base["temperatures"], base["best"]
        for t, words in (("1", "the base, T = 1"), (best, f"the base, T = {best} (its best)")):
            less = r["differences"].get("GRPO less base, best temperature") if t == best else None
            f = heat[t]
            rows.append(row(words, rate(f["accuracy"], f["accuracy_ci"]), f["mean_length"], less))
    return rows


def drawn_rows(r: dict) -> list[list[str]]:
    if not (d := r["draws"]):
        return [[f"the base, best of {MOST}", MISSING, DASH, DASH, DASH]]
    name = (
        f"the base, first of {MOST} answers that its own check accepts (T = {d['temperature']:g})"
    )
    rows = [row(name, over(d), d["tokens"], r["differences"].get(f"GRPO less best of {MOST}"))]
    if equal := d.get("equal"):
        less = r["differences"].get("GRPO less best of n, equal tokens")
        words = f"... first of {equal['samples']}: as many tokens as GRPO"
        rows.append(row(words, over(equal), equal["tokens"], less))
    return rows


def forced_rows(r: dict) -> list[list[str]]:
    rows = []
    for kind, words in FORCED.items():
        for name, about in (("seeded", ""), ("unseeded", " without reflection in its corpus")):
            f = r[kind][name]
            if f is None:
                if (kind, name) != ("unrepeated", "unseeded"):
                    rows.append([f"the base{about}, {words}", MISSING, DASH, DASH, DASH])
                continue
            long = {"forced": "forced", "unrepeated": "forced, repeats refused"}[kind]
            less = r["differences"].get(f"GRPO less {long}") if name == "seeded" else None
            title = f"the base{about}, {words} (T = {f['temperature']:g})"
            if f["refused"] is not None:
                title += f"; {f['refused']:.0f} tokens of them refused"
            rows.append(row(title, over(f), f["tokens"], less))
            if name == "seeded" and f.get("equal"):
                less = r["differences"].get(f"GRPO less {long}, equal tokens")
                title = f"... cut off behind {f['equal']['limit']} tokens"
                rows.append(row(title, over(f["equal"]), f["equal"]["tokens"], less))
    return rows


def policy_rows(s: dict, r: dict) -> list[list[str]]:
    rows = []
    for arm, name, words in (
        ("unseeded", "final_accuracy", "GRPO from the base without reflection"),
        ("seeded", "banned final_accuracy", "GRPO, the word banned at decoding"),
        ("seeded", "final_accuracy", "**GRPO**"),
    ):
        if arm in s["arms"] and (found := s["arms"][arm]["over_seeds"][name]):
            less = r["differences"].get("GRPO less GRPO without reflection")
            length = s["arms"][arm]["over_seeds"]["mean_length"]["mean"]
            cells = {"accuracy": found["mean"], "each": found["each"]}
            of_arm = arm == "unseeded"
            known = length if name == "final_accuracy" else None
            rows.append(row(words, over(cells), known, less if of_arm else None))
    return rows


def short_rows(r: dict) -> list[list[str]]:
    """The policy of the short run, of one seed of training: what refused repeats do for it."""
    rows = []
    for kind, words in (("plain", ""), ("unrepeated", ", repeats refused")):
        if f := r["short"][kind]:
            title = f"{POLICY}{words} (T = {f['temperature']:g})"
            if f["refused"] is not None:
                title += f"; {f['refused']:.0f} tokens of them refused"
            rows.append(row(title, over(f), f["tokens"], None))
    return rows


def heat_table(r: dict) -> str:
    """Accuracy and tokens on validation at each temperature."""
    lines = {
        "made to try again": r["forced"]["seeded"],
        "the same, the base without reflection": r["forced"]["unseeded"],
        "repeats refused": r["unrepeated"]["seeded"],
        f"first of {MOST} that its check accepts": r["draws"],
        POLICY: r["short"]["plain"],
        f"{POLICY}, repeats refused": r["short"]["unrepeated"],
    }
    heat = [f"{t:g}" for t in HEAT]
    rows = []
    for name, found in lines.items():
        if found:
            tried = found["validation"]
            star = f"{found['temperature']:g}"
            rows.append([name, *(heat_cell(tried.get(t), t == star) for t in heat)])
    return (
        table(["right (tokens); a star: chosen", *(f"T = {t}" for t in heat)], rows) if rows else ""
    )


def heat_cell(f: dict | None, star: bool) -> str:
    return DASH if f is None else f"{percent(f['accuracy'])} ({f['tokens']:.0f})" + " *" * star


# -- from the runs ---------------------------------------------------------------------------------


def worth_table(found: dict[str, dict]) -> str:
    """Both counterfactuals, seed by seed."""

    def written(name: str, value: float | None) -> str:
        if value is None:
            return DASH
        return f"{100 * value:+.1f} points" if name.startswith("worth") else percent(value)

    head = ["test, n = 1000, T = 1", *(f"seed {seed}" for seed in found)]
    return table(
        head,
        [[words, *(written(n, x[n]) for x in found.values())] for n, words in WORTH.items()],
    )


def pass_table(found: dict) -> str:
    names = {
        "base, unseeded": "base, no reflection in its corpus",
        "RL, unseeded": "... after GRPO",
        "base, seeded": "base, with reflection",
        "short": f"... after {POLICY}",
    }
    shown = {name: found[name] for name in names if name in found}
    ks = list(next(iter(shown.values())))

    def cell(value: float | dict) -> str:
        if not isinstance(value, dict):
            return percent(value)
        return f"{percent(value['mean'])} ({100 * value['min']:.1f} to {100 * value['max']:.1f})"

    return table(
        ["any of k right", *(f"k = {k}" for k in ks)],
        [[names[name], *(cell(values[k]) for k in ks)] for name, values in shown.items()],
    )


def steps_table(found: dict[str, dict]) -> str:
    """Direct and total effect of a changed number, model by model."""
    head, kinds = ["what is changed"], {k for m in found.values() for k in m["kinds"]}
    for name in found:
        head += [f"{name}: direct", "total, right", "tries again"]
    order = [k for m in found.values() for k in m["kinds"]]
    rows = []
    for kind in sorted(kinds, key=order.index):
        cells = [kind]
        for model in found.values():
            f = model["kinds"].get(kind)
            cells += steps_cells(f) if f else [DASH] * 3
        rows.append(cells)
    return table(head, rows)


def steps_cells(f: dict) -> list[str]:
    if f["n"] < TOO_FEW:
        return [f"too few (n = {f['n']})", DASH, DASH]
    # 0.0 is added so that -0.0 is written as 0.0
    ends = (f["direct"]["difference"], *f["direct"]["ci"])
    value, low, high = (round(100 * x, 1) + 0.0 for x in ends)
    direct = f"{value:.1f} ({low:.1f} to {high:.1f}, n = {f['n']})"
    return [direct, rate(f["total"]["accuracy"], f["total"]["ci"]), percent(f["retried"])]
