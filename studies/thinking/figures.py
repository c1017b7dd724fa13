"""The study of thinking longer: its numbers, pictures and tables, from the finished parts in
data/results/thinking.jsonl.

    python -m studies.thinking.figures                print the tables
    python -m studies.thinking.figures --into FILE    fill this Markdown file, too: what stands
                                                      between the markers <!-- figures:NAME --> and
                                                      <!-- /figures:NAME -->, NAME one of BLOCKS

It writes data/results/thinking.json, and thinking.png, budgets.png and best-of.png as far as their
parts are there.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from minilrm import curves
from minilrm.compare import pareto
from minilrm.intervals import paired_bootstrap
from studies import common
from studies.markdown import DASH, percent, points, show, table
from studies.pages import Figures, Summary, not_yet
from studies.thinking import judges

#: kind of a part -> the verifier in it; the first one that is there is drawn whole
VERIFIERS = {
    "compare": "a process model of exact labels",
    "likelihood": "the model's own likelihood",
    "checker": "the exact checker",
}
STORIES = {
    "stories-judge": "compare",
    "stories-likelihood": "likelihood",
    "stories-checker": "checker",
}
CHAINS = ("direct", "majority", "adaptive", "best-of-n", "weighted")
SEARCHES = ("weighted", "beam", "dvts", "tree", "mcts")
RIVAL = "weighted"  # what a search has to beat
ROW = ("budget", "tokens", "verifier_tokens", "accuracy", "ci")
WAYS = {  # of guessing how hard a problem is
    "probes": "four chains first, paid for",
    "length": "the length of the question",
    "judge": "a process model, on the question alone",
    "known": "the share of 64 chains that are right (a bound)",
}
LEVEL = "8"  # chains for all: what the ways are to reach with fewer tokens
NOT_YET = not_yet("thinking")


# -- numbers ---------------------------------------------------------------------------------------


def summarise() -> Summary:
    """Every number that is drawn or told; kinds that are missing are left out."""
    parts = sorted(common.load_results("thinking"), key=lambda part: part.get("seed", 0))
    found: dict[str, dict[str, Any]] = {}
    for part in parts:
        found.setdefault(part["kind"], part)
    kinds = {kind: compared(found[kind]) for kind in VERIFIERS if kind in found}
    stories = {kind: compared(found[kind]) for kind in STORIES if kind in found}
    budgets = by_difficulty(found["budgets"]) if "budgets" in found else None
    return {"kinds": kinds, "stories": stories, "budgets": budgets, **judges.summarise(parts)}


def compared(part: dict[str, Any]) -> dict[str, Any]:
    """Methods at equal tokens with one verifier, and each search less the weighted vote, problem by
    problem."""
    methods: dict[str, list[dict[str, Any]]] = part["methods"]
    right = {
        name: {row["budget"]: common.bits(row["right"]) for row in rows}
        for name, rows in methods.items()
    }
    rival = right.get(RIVAL, {})
    return {
        "unit": part["unit"],
        "seed": part.get("seed", 0),
        "n": next((len(bits) for of in right.values() for bits in of.values()), 0),
        "budgets": part["budgets"],
        "methods": {
            name: [{key: row[key] for key in ROW} for row in rows] for name, rows in methods.items()
        },
        f"less {RIVAL}": {
            name: [
                {"budget": budget, **difference(bits, rival[budget])}
                for budget, bits in right[name].items()
                if budget in rival
            ]
            for name in SEARCHES
            if name in right and name != RIVAL
        },
    }


def difference(after: Sequence[int], before: Sequence[int]) -> dict[str, Any]:
    value, low, high = paired_bootstrap(after, before)
    return {"value": value, "ci": (low, high), "n": len(after)}


def by_difficulty(part: dict[str, Any]) -> dict[str, Any]:
    """Uniform and each way of guessing, and the share of uniform's tokens that a way needs for
    uniform's accuracy at LEVEL."""
    uniform = in_order(part["uniform"])
    goal = uniform.get(LEVEL)
    ways = {name: in_order(rows) for name, rows in part["by"].items()}
    share = {}
    for name, rows in ways.items():
        tokens = needed([*rows.values()], goal["accuracy"]) if goal else None
        share[name] = tokens / goal["tokens"] if goal and tokens else None
    return {"price": part["price"], "uniform": uniform, "by": ways, "share": share}


def in_order(rows: dict[Any, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By the number of chains; JSON has made texts of these numbers."""
    return {str(k): rows[k] for k in sorted(rows, key=int)}


def needed(rows: Sequence[dict[str, Any]], accuracy: float) -> float | None:
    """The tokens at which a curve reaches an accuracy, on the line between two neighbours over the
    logarithm of the tokens; None where it never does.

    >>> rows = [{"tokens": 10, "accuracy": 0.2}, {"tokens": 40, "accuracy": 0.6}]
    >>> round(needed(rows, 0.4)), needed(rows, 0.1), needed(rows, 0.7)
    (20, 10, None)
    """
    before = None
    for row in sorted(rows, key=lambda row: row["tokens"]):
        if row["accuracy"] >= accuracy:
            if before is None or row["accuracy"] == before["accuracy"]:
                return row["tokens"]
            part = (accuracy - before["accuracy"]) / (row["accuracy"] - before["accuracy"])
            low, high = math.log(before["tokens"]), math.log(row["tokens"])
            return math.exp(low + part * (high - low))
        before = row
    return None


# -- pictures --------------------------------------------------------------------------------------


def spent(row: dict[str, Any]) -> float:
    return row["tokens"] + row["verifier_tokens"]


@curves.style()
def draw(kinds: dict[str, Any]) -> bytes:
    """Accuracy over tokens, many chains at the left and search at the right; behind both what no
    other setting with that verifier beats. Another verifier's tree search stands beside it."""
    kind = next(kind for kind in VERIFIERS if kind in kinds)
    methods = kinds[kind]["methods"]
    figure, (left, right) = curves.panels(2, height=3.3)
    front = pareto({"methods": methods})
    for axes, names in ((left, CHAINS), (right, SEARCHES)):
        axes.step(
            [x for x, _, _ in front],
            [y for _, y, _ in front],
            where="post",
            color=curves.REFERENCE.color,
            linewidth=3.5,
            alpha=0.35,
            linestyle="-",
        )
        for name, look in zip(names, curves.LOOKS, strict=False):
            if name in methods:
                one_line(axes, methods[name], look, name)
    beside = [other for other in VERIFIERS if other in kinds and other != kind]
    for other, look in zip(beside, (curves.LOOKS[5], curves.REFERENCE), strict=False):
        if "tree" in kinds[other]["methods"]:
            one_line(right, kinds[other]["methods"]["tree"], look, f"tree, {other}")
    for axes, title in ((left, "Many chains"), (right, "Search")):
        axes.set_xscale("log", base=2)
        curves.frame(axes, title, x="tokens, verifier's included", share=True)
        axes.legend(fontsize=8)
    return curves.png(figure)


def one_line(axes: Any, rows: Sequence[dict[str, Any]], look: curves.Look, name: str) -> None:
    curves.line(axes, [spent(r) for r in rows], [r["accuracy"] for r in rows], look, name)


@curves.style()
def draw_budgets(found: dict[str, Any]) -> bytes:
    """Accuracy over tokens: the same number of chains for all against each way of guessing."""
    figure, [axes] = curves.panels(1, height=3.0)
    lines = {"the same for all": (found["uniform"], curves.REFERENCE)}
    known = [name for name in WAYS if name in found["by"]]
    for name, look in zip(known, curves.LOOKS, strict=False):
        lines[name] = found["by"][name], look
    for name, (rows, look) in lines.items():
        x, y = ([row[key] for row in rows.values()] for key in ("tokens", "accuracy"))
        curves.line(axes, x, y, look, name)
    axes.set_xscale("log", base=2)
    title = "A right chain is among those that are drawn"
    curves.frame(axes, title, x="tokens a problem", share=True)
    axes.legend()
    return curves.png(figure)


# -- words -----------------------------------------------------------------------------------------


def methods_table(found: dict[str, Any], names: Sequence[str]) -> str:
    """Accuracy by method (rows) and budget (columns); the last entry of a method stays, since more
    budget changes nothing for it."""
    worths = [f"{budget / found['unit']:.0f}" for budget in found["budgets"]]
    rows = []
    for name in names:
        cells = [show({**r, "value": r["accuracy"], "n": found["n"], "ci": None})
                 for r in found["methods"].get(name, ())]  # fmt: skip
        if cells:
            rows.append([name, *cells, *[DASH] * (len(worths) - len(cells))])
    return table(("samples' worth", *worths), rows)


def differences_table(found: dict[str, Any]) -> str:
    worth = {budget: f"{budget / found['unit']:.0f}" for budget in found["budgets"]}
    rows = []
    for name, cells in found[f"less {RIVAL}"].items():
        of = {cell["budget"]: cell for cell in cells}
        rows.append([name, *[show(of.get(budget), points) for budget in worth]])
    return table((f"less {RIVAL}, points", *worth.values()), rows)


def head(kind: str, found: dict[str, Any]) -> str:
    """kind: a key of VERIFIERS."""
    return (
        f"**Verifier: {VERIFIERS[kind]}.** Test, n = {found['n']}, seed {found['seed']}; a sample "
        f"is worth {found['unit']:.0f} tokens, and what a verifier reads is paid for."
    )


def chains_block(summary: Summary) -> str:
    """For lecture 7."""
    return block(summary, CHAINS, with_differences=False)


def search_block(summary: Summary) -> str:
    """For lecture 8."""
    return block(summary, SEARCHES, with_differences=True)


def stories_block(summary: Summary) -> str:
    """Longer word problems: all methods, and the searches less the vote."""
    if not summary["stories"]:
        return NOT_YET
    parts = []
    for kind, found in summary["stories"].items():
        names = (*CHAINS, *SEARCHES[1:])
        parts += [head(STORIES[kind], found), methods_table(found, names), differences_table(found)]
    return "\n\n".join(parts)


def block(summary: Summary, names: Sequence[str], with_differences: bool) -> str:
    kinds = summary["kinds"]
    if not kinds:
        return NOT_YET
    alt = "accuracy over tokens: many chains at the left, search at the right"
    parts = [f"![{alt}](../../data/results/thinking.png)"]
    for kind, found in kinds.items():
        text = methods_table(found, names)
        if text.count("\n") > 1 and (with_differences or kind == next(iter(kinds))):
            parts += [head(kind, found), text]
            if with_differences and found[f"less {RIVAL}"]:
                parts.append(differences_table(found))
    missing = [VERIFIERS[kind] for kind in VERIFIERS if kind not in kinds]
    if missing:
        parts.append(f"Not measured yet: {', '.join(missing)}.")
    return "\n\n".join(parts)


def budgets_block(summary: Summary) -> str:
    """For the lectures on votes and on costs."""
    found = summary["budgets"]
    if not found:
        return NOT_YET
    ks = list(found["uniform"])
    rows = [["the same for all", *[percent(found["uniform"][k]["accuracy"]) for k in ks], DASH]]
    for name, said in WAYS.items():
        if name in found["by"]:
            of, share = found["by"][name], found["share"][name]
            cells = [percent(of[k]["accuracy"]) if k in of else DASH for k in ks]
            rows.append([f"{name}: {said}", *cells, DASH if share is None else percent(share)])
    columns = ("chains a problem", *ks, f"tokens for what {LEVEL} for all reach")
    alt = "accuracy over tokens: uniform against each way of guessing"
    return (
        f"![{alt}](../../data/results/budgets.png)\n\n{table(columns, rows)}\n\n"
        f"A chain costs {found['price']:.0f} tokens. A problem counts where one of its chains is "
        "right, so this is for a judge that finds it."
    )


def of_judges(key: str, write: Callable[[Summary], str]) -> Callable[[Summary], str]:
    """A block of judges.py, or that its part is missing."""
    return lambda summary: write(summary) if summary[key] else NOT_YET


BLOCKS: dict[str, Callable[[Summary], str]] = {
    "figures:thinking-chains": chains_block,
    "figures:thinking-search": search_block,
    "figures:budgets": budgets_block,
    "figures:thinking-stories": stories_block,
    **{name: of_judges(key, write) for name, (key, write) in judges.BLOCKS.items()},
}


FIGURES = Figures(
    "thinking",
    summarise,
    {
        "thinking.png": lambda summary: draw(summary["kinds"]) if summary["kinds"] else None,
        "budgets.png": lambda s: draw_budgets(s["budgets"]) if s["budgets"] else None,
        "best-of.png": lambda s: judges.draw(s["best_of"]) if s["best_of"] else None,
    },
    BLOCKS,
)


def main() -> None:
    FIGURES.main(__doc__)


if __name__ == "__main__":
    common.command(main)
