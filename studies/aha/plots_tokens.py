"""Accuracy against tokens, of everything that spends them: `studies/aha/figures.py` calls this.

One panel a task: the base that draws anew, the base made to try again, the policies. Then pass@k,
where RL had no reflection to press and where the base had it.
"""

from pathlib import Path

from matplotlib.axes import Axes

from minilrm import curves
from minilrm.curves import LOOKS, REFERENCE, Look
from minilrm.files import write_bytes_atomic
from studies.aha.rivals import AT

LINES: dict[str, tuple[str, Look]] = {  # what spends tokens: its name in the key, its look
    "draws": ("base: draws anew until its check says ok", LOOKS[1]),
    "forced": ("base: made to try again", LOOKS[0]),
    "unrepeated": ("base: made to try again, repeats refused", LOOKS[2]),
    "collapsed": ("GRPO without reflection: draws anew", LOOKS[3]),
}
POINTS: dict[str, tuple[str, Look]] = {
    "best": ("base at its best temperature", REFERENCE),
    "policy": ("GRPO, each seed", LOOKS[4]),
}
PASS: dict[str, tuple[str, Look]] = {
    "base, seeded": ("base, with reflection", LOOKS[2]),
    "base, unseeded": ("base, without", LOOKS[1]),
    "RL, unseeded": ("without, after GRPO", LOOKS[3]),
}


@curves.style()
def draw_tokens(tasks: dict[str, dict], path: Path) -> None:
    """tasks: as in aha.json, those whose rivals have been measured."""
    figure, panels = curves.panels(2 * len(tasks), height=3.0)
    for axes, (task, s) in zip(panels, tasks.items(), strict=False):
        draw_task(axes, s)
        curves.frame(axes, f"{task}: right", x="tokens per answer", share=True)
    figure.axes[0].set_ylabel("test, n = 1000")
    for axes, (task, s) in zip(panels[len(tasks) :], tasks.items(), strict=True):
        draw_pass(axes, s["rivals"]["pass_at_k"])
        curves.frame(axes, f"{task}: any of k right", x="k, answers drawn", share=True)
    curves.key(figure, columns=1)
    write_bytes_atomic(path, curves.png(figure))


def draw_task(axes: Axes, s: dict) -> None:
    """Accuracy of each rival as it may spend more, and the policies as points."""
    r, most = s["rivals"], 0.0
    for kind, (label, look) in LINES.items():
        rows = curve_of(kind, s)
        if rows:
            x, y = [f["tokens"] for f in rows], [f["accuracy"] for f in rows]
            curves.line(axes, x, y, look, label, markersize=4)
            most = max(most, *x) if kind != "collapsed" else most
    base = s["bases"]["seeded"]["temperatures"][s["bases"]["seeded"]["best"]]
    label, look = POINTS["best"]
    how = {"linestyle": "none", "markersize": 8, "zorder": 5}
    curves.line(axes, [base["mean_length"]], [base["accuracy"]], look, label, **how, mew=2)
    if r["policy"]:
        label, look = POINTS["policy"]
        each = s["arms"]["seeded"]["over_seeds"]["final_accuracy"]["each"]
        curves.line(axes, r["policy"]["each tokens"], each, look, label, **how)
    axes.set_xlim(0, 1.05 * max(most, *(r["policy"] or {}).get("each tokens", [0.0])))


def curve_of(kind: str, s: dict) -> list[dict]:
    """[{"tokens", "accuracy"}] of a rival, in order of tokens."""
    r = s["rivals"]
    if kind == "collapsed":
        return r["without reflection"]
    found = r["draws"] if kind == "draws" else r[kind]["seeded"]
    return found["curve"] if found else []


def draw_pass(axes: Axes, found: dict) -> None:
    for name, (label, look) in PASS.items():
        if name in found:
            values = [found[name][str(k)] for k in AT]
            plain = [v["mean"] if isinstance(v, dict) else v for v in values]
            curves.line(axes, AT, plain, look, label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(AT, map(str, AT))
