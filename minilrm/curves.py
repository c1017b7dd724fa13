"""How every figure of the project looks: README, lectures, notebooks, benchmarks, reports.

    @style()
    def draw(steps, seeds, tokens, loss):
        figure, (left, right) = panels(2)
        band(left, steps, seeds, LOOKS[0], "GRPO")         # mean of the seeds, least to greatest
        line(right, tokens, loss, LOOKS[1], "PPO")
        frame(left, "Accuracy", x="step", share=True)
        frame(right, "Loss", x="tokens", y="nats per token")
        label_ends(left)                                   # "GRPO" stands where its line ends
        return png(figure)

Four rules. A look is a colour, a dash and a marker, so that a reader who sees no colours, and a
printer that has none, tells two lines apart; the colours are those of Okabe and Ito (2008), chosen
for the colour-blind. A line is labelled where it ends, unless the ends are too many. Seeds are a
band with their mean. A figure is as wide as a page and has two panels side by side at most, so that
its text can still be read when a phone shrinks it to 375 pixels.

In a notebook: `plt.rcParams.update(STYLE)`, then draw as ever; the colours and dashes follow.
Drawing here goes without pyplot, which would want a display and change a notebook's settings.
"""

from __future__ import annotations

import functools
import html
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike
from PIL import Image

Dash = str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Look:
    """How one line differs from its neighbours: a colour, a dash, a marker, and for bars a hatch.

    ink is the colour of words about it: darker, as thin letters need more contrast than lines.
    """

    color: str
    ink: str
    dash: Dash = "-"
    marker: str = "o"
    hatch: str = ""


LOOKS = (
    Look("#0072B2", "#005A8C", "-", "o", ""),
    Look("#D55E00", "#A84A00", (0, (5, 1.8)), "s", "////"),
    Look("#009E73", "#00704F", (0, (1.4, 1.4)), "^", "...."),
    Look("#CC79A7", "#9A4273", (0, (6, 1.6, 1.2, 1.6)), "D", "\\\\\\\\"),
    Look("#E69F00", "#8A5F00", (0, (3, 1.2)), "v", "xxxx"),
    Look("#56B4E9", "#1C6E9C", (0, (8, 2, 1.2, 2, 1.2, 2)), "X", "----"),
)
INK = "#222222"  # text and axes
REFERENCE = Look("#777777", "#5F5F5F", (0, (2, 2)), "_", "")  # a level to compare with, a mark

WIDTH, HEIGHT = 6.0, 2.5  # inches: of a figure, of a row of panels
DPI = 160  # of a PNG: sharp on a page and on a screen
COLORS = 128  # of a PNG: enough for antialiased lines, and a third of the size
SHADE = 0.3  # the opacity of a band
MARKS = 7  # markers on a line of many points
CLOSE = 0.03  # a line that ends this near to the right edge is labelled outside the panel
GAP = 1.0  # points between two labels

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same picture on every machine
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.linewidth": 0.8,
    "axes.xmargin": 0.02,
    "axes.prop_cycle": cycler(color=[look.color for look in LOOKS])
    + cycler(linestyle=[look.dash for look in LOOKS]),
    "grid.color": "#888888",
    "grid.alpha": 0.28,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.7,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "figure.figsize": (WIDTH, HEIGHT),
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",  # no fonts in a page
    "svg.hashsalt": "minilrm",  # no random names: the same bytes for the same run
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor"),
        INK,
    ),
    **dict.fromkeys(("xtick.color", "ytick.color"), INK),
}
# For a function that draws (`@style()`) or a block (`with style():`).
style = functools.partial(matplotlib.rc_context, STYLE)


# -- panels ----------------------------------------------------------------------------------------


def panels(
    count: int,
    columns: int = 2,
    height: float = HEIGHT,
    width: float = WIDTH,
    margins: Mapping[str, float] | None = None,
    **grid: Any,
) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, row by row; `height` is that of a row, in inches.

    margins: where the panels begin and end, as `Figure.subplots_adjust` takes them; without, they
    are worked out from what stands around the panels. grid: what `Figure.subplots` takes, such as
    sharey or width_ratios.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    layout: Any = "none" if margins else "constrained"  # None would be the style's, not none
    figure = Figure(figsize=(width, height * rows), layout=layout)
    if margins:
        figure.subplots_adjust(**margins)
    else:
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.07)
    table = figure.subplots(rows, columns, squeeze=False, **grid)
    for axes in table.flat[count:]:
        axes.set_axis_off()  # a free place, for a key
    return figure, list(table.flat[:count])


def frame(axes: Axes, title: str = "", x: str = "", y: str = "", share: bool = False) -> None:
    """What a panel shows and along what, with units; its values reach down to 0 unless they are
    negative, since a cut axis makes small changes look large.

    share: the values are shares of 1, shown in percent.
    """
    axes.set(title=title, xlabel=x, ylabel=y)
    if axes.get_xscale() == "linear" and x in ("step", "steps"):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, steps=[1, 2, 2.5, 5, 10]))
    if share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        axes.set_ylim(-0.02, 1.03)
    elif axes.get_yscale() == "linear" and axes.get_ylim()[0] > -0.05 * axes.get_ylim()[1]:
        axes.set_ylim(0, axes.get_ylim()[1])


# -- lines, bands, points, bars --------------------------------------------------------------------


def line(
    axes: Axes, x: ArrayLike, y: ArrayLike, look: Look, label: str = "", **more: Any
) -> Line2D:
    """A line. Its markers stand at a few points alone where it has many, and not where those of
    another look stand."""
    shift = LOOKS.index(look) if look in LOOKS else 0
    count = len(np.asarray(x))
    apart = max(1, count // MARKS)
    marks = (shift * apart // len(LOOKS), apart) if count > 2 * MARKS else 1
    return axes.plot(
        x,
        y,
        **{
            "color": look.color,
            "linestyle": look.dash,
            "marker": look.marker,
            "markevery": marks,
            "label": label or "_",
            **more,
        },
    )[0]


def band(axes: Axes, x: Sequence, rows: Any, look: Look, label: str = "", **more: Any) -> Line2D:
    """The mean of several rows [seeds, points] as a line, and behind it the least to the greatest.

    None and NaN are left out, so that the mean is that of the seeds that have a value there.
    """
    table = np.array(rows, dtype=float)
    known = ~np.isnan(table).all(0)
    x, table = np.asarray(x)[known], table[:, known]
    if len(table) > 1:
        low, high = np.nanmin(table, 0), np.nanmax(table, 0)
        axes.fill_between(x, low, high, color=look.color, alpha=SHADE, linewidth=0)
    return line(axes, x, np.nanmean(table, 0), look, label, **more)


def intervals(
    axes: Axes,
    x: Sequence,
    y: Sequence,
    ends: Iterable[tuple[float, float]],
    look: Look,
    label: str = "",
    **more: Any,
) -> None:
    """Points with their intervals (low, high), joined by the look's dash."""
    low, high = np.array(list(ends), dtype=float).T
    reach = np.maximum(0, [np.asarray(y) - low, high - np.asarray(y)])
    how = {"linestyle": look.dash, "marker": look.marker, "capsize": 2.5, "elinewidth": 1.1}
    axes.errorbar(x, y, yerr=reach, color=look.color, label=label or "_", **{**how, **more})


def bars(
    axes: Axes, x: Sequence, y: Sequence, look: Look, label: str = "", flat: bool = False, **more
):
    """Bars in the look's colour and hatch; flat ones lie, from the left to the right."""
    draw = axes.barh if flat else axes.bar
    face = (*matplotlib.colors.to_rgb(look.color), 0.35)
    return draw(
        x, y, facecolor=face, edgecolor=look.color, hatch=look.hatch, label=label or "_", **more
    )


def smoothed(values: ArrayLike, reach: int) -> np.ndarray:
    """Each value's place on the line of best fit through its neighbours, `reach` to either side.

    A mean of the neighbours would bend a slope at its ends, where there are none beyond.

    >>> smoothed([0.0, 1.0, 5.0, 3.0, 4.0], 1).round(1).tolist()
    [0.0, 2.0, 3.0, 4.0, 4.0]
    """
    row = np.asarray(values, dtype=float)
    found = row.copy()
    for i in range(len(row)):
        near = np.arange(max(0, i - reach), min(len(row), i + reach + 1))
        near = near[~np.isnan(row[near])]
        if len(near) > 1:
            found[i] = np.polyfit(near - i, row[near], 1)[1]
    return found


# -- labels ----------------------------------------------------------------------------------------


def label_ends(axes: Axes) -> None:
    """Write the name of each labelled line where it ends, in place of a key.

    Lines that reach the right edge are labelled outside of the panel; `png` and `svg` move those
    labels apart. Call it when all lines are drawn and the axes have their limits.
    """
    inks = {look.color: look.ink for look in (*LOOKS, REFERENCE)}
    left, right = axes.get_xlim()
    for drawn in axes.get_lines():
        name, color = str(drawn.get_label()), str(drawn.get_color())
        points = np.asarray(drawn.get_xydata(), dtype=float)
        points = points[np.isfinite(points[:, 1])]
        if name.startswith("_") or not len(points):
            continue
        x, y = points[-1].tolist()
        end = axes.transData.transform((x, y))[0]
        edges = axes.transData.transform([(left, y), (right, y)])[:, 0]
        outside = edges[1] - end < CLOSE * (edges[1] - edges[0])
        axes.annotate(
            name,
            xy=(1, y) if outside else (x, y),
            xycoords=axes.get_yaxis_transform() if outside else "data",
            xytext=(9 if outside else 6, 0),
            textcoords="offset points",
            va="center",
            color=inks.get(color, INK),
            fontsize=matplotlib.rcParams["font.size"] - 1,
            annotation_clip=False,
            gid="end" if outside else None,
            arrowprops={
                "arrowstyle": "-",
                "color": color,
                "linewidth": 0.9,
                "relpos": (0, 0.5),
                "shrinkA": 1,
                "shrinkB": 0,
            }
            if outside
            else None,
        )


def spread_labels(figure: Figure) -> None:
    """Move the labels outside of each panel apart, no further than needed."""
    if figure.get_layout_engine():
        figure.draw_without_rendering()  # only now it is known where everything stands
    points = 72 / figure.dpi
    for axes in figure.axes:
        marked = (text for text in axes.texts if text.get_gid() == "end")
        ends = [text for text in marked if isinstance(text, Annotation)]
        if not ends:
            continue
        ends.sort(key=lambda text: text.xy[1])
        bottom, top = (axes.get_window_extent().get_points()[:, 1] * points).tolist()
        heights = [Text.get_window_extent(text).height * points + GAP for text in ends]
        wanted = [axes.transData.transform((0, text.xy[1]))[1] * points for text in ends]
        for text, at, want in zip(ends, apart(wanted, heights, bottom, top), wanted, strict=True):
            text.set_position((text.get_position()[0], at - want))


def apart(wanted: Sequence[float], heights: Sequence[float], bottom: float, top: float) -> list:
    """Centres for labels of these heights, in rising order and without overlap, near to where they
    are wanted: clusters of neighbours that overlap are centred on the mean of their wishes.

    >>> apart([10.0, 12.0, 40.0], [8.0, 8.0, 8.0], 0.0, 100.0)
    [7.0, 15.0, 40.0]
    """
    clusters: list[tuple[list[int], float]] = []  # (its labels, its centre)

    def size(labels: Sequence[int]) -> float:
        return sum(heights[i] for i in labels)

    def centre(labels: Sequence[int]) -> float:
        """Where the cluster's wishes are met best, within the panel."""
        starts, reached = [], 0.0
        for i in labels:
            starts.append(wanted[i] - (reached + heights[i] / 2))
            reached += heights[i]
        half = size(labels) / 2
        middle = sum(starts) / len(starts) + half
        highest = top + heights[labels[-1]] / 2 - half
        return max(min(middle, highest), bottom - heights[labels[0]] / 2 + half)

    for i in range(len(wanted)):
        labels, middle = [i], centre([i])
        while clusters and middle - size(labels) / 2 < clusters[-1][1] + size(clusters[-1][0]) / 2:
            labels = clusters.pop()[0] + labels
            middle = centre(labels)
        clusters.append((labels, middle))
    found = []
    for labels, middle in clusters:
        at = middle - size(labels) / 2
        for i in labels:
            found.append(at + heights[i] / 2)
            at += heights[i]
    return found


def key(figure: Figure, columns: int = 3, **how: Any) -> None:
    """One key below all panels, for lines whose ends are too many to be labelled."""
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    where = {"loc": "outside lower center", "ncols": min(columns, len(handles)), **how}
    figure.legend(handles.values(), handles.keys(), **where)


# -- pictures --------------------------------------------------------------------------------------


def png(figure: Figure) -> bytes:
    """The figure on white, of few colours: small, and the same bytes for the same figures."""
    spread_labels(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    picture = Image.open(buffer).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    small = io.BytesIO()
    picture.save(small, format="PNG", optimize=True)
    return small.getvalue()


def svg(figure: Figure, told: str, number: int = 0) -> str:
    """The figure for a page of any background: text and axes take the page's own colour, and a look
    the page's `--look-0`, `--look-1`, ... where it names them.

    told: what it shows, for readers who hear it; number: of the figure on the page, since names in
    two pictures of one page must differ.
    """
    spread_labels(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    text = text[text.index("<svg") :]
    for ink in {INK, *(look.ink for look in (*LOOKS, REFERENCE))}:
        text = text.replace(ink.lower(), "currentColor")
    for place, look in enumerate(LOOKS):
        text = text.replace(look.color.lower(), f"var(--look-{place}, {look.color})")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>f{number}-", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{html.escape(told)}"', 1)
