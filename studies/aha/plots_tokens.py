"""Accuracy against tokens, of everything that spends them: `studies/aha/figures.py` calls this.

Above: the base that draws anew, the base made to try again, and the policies. Below: pass@k, of a
base without reflection before and after RL, and of one with it. Of countdown alone: greedily, the
base of multiplication is nearly always right at once, so there is nothing to spend.
"""

from pathlib import Path

from matplotlib.axes import Axes

from minilrm import curves
from minilrm.curves import LOOKS, REFERENCE, Look
from minilrm.files import write_bytes_atomic
from studies.aha.rivals import AT

LINES: dict[str, tuple[str, Look]] = {  # what spends tokens: its name in the key, its look
    "unrepeated": ("base made to try again, repeats refused", LOOKS[2]),
    "draws": ("base draws anew until its check says ok", LOOKS[1]),
    "forced": ("base made to try again", LOOKS[0]),
    "collapsed": ("GRPO without reflection, draws anew", LOOKS[3]),
}
POINTS: dict[str, tuple[str, Look, dict]] = {
    "policy": ("GRPO (each seed)", LOOKS[4], {}),
    "banned": ("GRPO, the word banned", LOOKS[4], {"markerfacecolor": "white"}),
    "best": ("base, greedy", REFERENCE, {"marker": "P"}),
}
PASS: dict[str, tuple[str, Look]] = {
    "base, seeded": ("base with reflection", LOOKS[2]),
    "short": ("base with, after 40 steps of GRPO", LOOKS[0]),
    "base, unseeded": ("base without", LOOKS[1]),
    "RL, unseeded": ("base without, after GRPO (3 seeds)", LOOKS[3]),
}


@curves.style()
def draw_tokens(s: dict, path: Path) -> None:
    """s: the figures of countdown, as in aha.json."""
    figure, (tokens, passes) = curves.panels(2, columns=1, height=3.2, height_ratios=(1.5, 1))
    draw_task(tokens, s)
    curves.frame(tokens, "Right (test)", x="tokens per answer", share=True)
    draw_pass(passes, s["rivals"]["pass_at_k"])
    curves.frame(passes, "Any of k answers right (test)", x="k, answers drawn at T = 1", share=True)
    for axes in (tokens, passes):
        axes.legend(loc="lower right", labelspacing=0.3)
    write_bytes_atomic(path, curves.png(figure))


def draw_task(axes: Axes, s: dict) -> None:
    """Accuracy of each rival as it may spend more, and what has one price as points."""
    for kind, (label, look) in LINES.items():
        if rows := curve_of(kind, s):
            x, y = [f["tokens"] for f in rows], [f["accuracy"] for f in rows]
            curves.line(axes, x, y, look, label, markersize=4)
    for kind, (label, look, how) in POINTS.items():
        if found := point_of(kind, s):
            x, y = zip(*found, strict=True)
            style = {"linestyle": "none", "markersize": 7, "zorder": 5, **how}
            curves.line(axes, x, y, look, label, **style)
    axes.set_xlim(0, None)


def curve_of(kind: str, s: dict) -> list[dict]:
    """[{"tokens", "accuracy"}] of a rival in order of tokens, from those of one plain answer."""
    r = s["rivals"]
    if kind == "collapsed":
        return r["without reflection"]
    found = r["draws"] if kind == "draws" else r[kind]["seeded"]
    least = s["bases"]["seeded"]["temperatures"]["0"]["mean_length"]
    return [f for f in found["curve"] if f["tokens"] >= least] if found else []


def point_of(kind: str, s: dict) -> list[tuple[float, float]]:
    """[(tokens, accuracy)], seed by seed."""
    if kind == "best":
        base = s["bases"]["seeded"]["temperatures"]["0"]
        return [(base["mean_length"], base["accuracy"])]
    studied = {"policy": "after", "banned": "after_banned"}[kind]
    seeds = s["arms"]["seeded"]["seeds"].values() if "seeded" in s["arms"] else ()
    found = [seed[studied] for seed in seeds]
    return [(f["mean_length"]["mean"], f["final_accuracy"]["rate"]) for f in found]


def draw_pass(axes: Axes, found: dict) -> None:
    for name, (label, look) in PASS.items():
        if name in found:
            values = [found[name][str(k)] for k in AT]
            plain = [v["mean"] if isinstance(v, dict) else v for v in values]
            curves.line(axes, AT, plain, look, label)
            if isinstance(values[0], dict):
                ends = ([v[end] for v in values] for end in ("min", "max"))
                axes.fill_between(AT, *ends, color=look.color, alpha=curves.SHADE, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(AT, map(str, AT))
