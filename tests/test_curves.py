"""The one style of all figures: readable without colour, on paper, on a dark page, on a phone; and
the labels at the ends of lines stay apart."""

import doctest
import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from minilrm import curves
from minilrm.curves import LOOKS, REFERENCE

PHONE = 343  # pixels that a page leaves to a picture on a phone of 375


def luminance(color):
    """Relative luminance (WCAG 2)."""
    parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


# -- looks -----------------------------------------------------------------------------------------


def test_looks_differ_without_colour():
    for part in ("dash", "marker", "hatch"):
        assert len({getattr(look, part) for look in LOOKS}) == len(LOOKS)


def test_the_words_about_a_line_can_be_read_on_white():
    """4.5 is what WCAG asks of small text; lines need 3, and the first four looks nearly have it on
    white and on a dark page."""
    assert min(contrast(look.ink, "white") for look in (*LOOKS, REFERENCE)) >= 4.5
    for page in ("white", "#181818"):
        assert min(contrast(look.color, page) for look in LOOKS[:4]) >= 2.8


def test_text_can_be_read_on_a_phone():
    """Mistake: three panels side by side, eleven inches wide: letters of four pixels."""
    shrunk = PHONE / (72 * curves.WIDTH)
    assert (curves.STYLE["font.size"] - 1) * shrunk >= 7


@curves.style()
def test_panels_begin_and_end_where_their_margins_say():
    """Mistake: a layout of matplotlib's own overrides the margins, and says so in a warning."""
    margins = {"left": 0.2, "right": 0.8, "bottom": 0.25, "top": 0.9}
    figure, (axes,) = curves.panels(1, margins=margins)
    curves.png(figure)
    assert axes.get_position().extents.tolist() == pytest.approx([0.2, 0.25, 0.8, 0.9])


# -- labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted", [[50.0] * 5, [0.0, 1.0, 2.0], [98.0, 99.0, 100.0], [10.0, 40.0, 41.0, 90.0]]
)
def test_labels_keep_apart_in_order_and_near_to_their_lines(wanted):
    heights = [10.0] * len(wanted)
    found = curves.apart(wanted, heights, 0.0, 100.0)
    assert all(b - a >= 10 - 1e-9 for a, b in itertools.pairwise(found))
    assert -1e-9 <= found[0] and found[-1] <= 100 + 1e-9
    assert sum(found) / len(found) == pytest.approx(sum(wanted) / len(wanted), abs=10)


@curves.style()
def drawn():
    figure, (axes,) = curves.panels(1)
    for look, end in zip(LOOKS, (0.9, 0.91, 0.92, 0.2), strict=False):
        curves.line(axes, range(101), np.linspace(0, end, 101), look, f"ends at {end}")
    curves.line(axes, range(51), np.linspace(0.5, 0.4, 51), LOOKS[4], "stops")
    curves.frame(axes, "Accuracy", x="step", share=True)
    curves.label_ends(axes)
    return figure, axes


def test_each_line_is_labelled_where_it_ends():
    figure, axes = drawn()
    curves.spread_labels(figure)
    boxes = {text.get_text(): Text.get_window_extent(text) for text in axes.texts}
    assert set(boxes) == {"stops", *(f"ends at {end}" for end in (0.9, 0.91, 0.92, 0.2))}
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)
    panel = axes.get_window_extent()
    assert boxes["ends at 0.2"].x0 > panel.x1 > boxes["stops"].x1
    heights = [boxes[f"ends at {end}"].y0 for end in (0.2, 0.9, 0.91, 0.92)]
    assert heights == sorted(heights)  # in the order of their lines
    assert figure.get_window_extent().x1 >= max(box.x1 for box in boxes.values())


# -- bands, pictures -------------------------------------------------------------------------------


def test_a_band_reaches_from_the_least_to_the_greatest_seed_and_leaves_out_what_is_unknown():
    _, (axes,) = curves.panels(1)
    mean = curves.band(axes, range(3), [[0, 1, None], [0.5, 3, None]], LOOKS[0])
    assert mean.get_xydata().tolist() == [[0, 0.25], [1, 2.0]]
    edge = axes.collections[0].get_paths()[0].vertices
    assert (edge[:, 1].min(), edge[:, 1].max()) == (0, 3)


def test_a_cut_axis_is_not_made():
    """Mistake: an axis from 90 to 95 that makes a small change look large."""
    _, (axes,) = curves.panels(1)
    curves.line(axes, [0, 1], [90, 95], LOOKS[0])
    curves.frame(axes, "Tokens", x="step")
    assert axes.get_ylim()[0] == 0


def test_the_same_figure_gives_the_same_small_picture():
    first, second = (curves.png(drawn()[0]) for _ in range(2))
    assert first == second and first.startswith(b"\x89PNG") and len(first) < 60_000


def test_a_name_that_a_page_is_told_is_escaped():
    assert 'aria-label="&lt;b&gt;' in curves.svg(drawn()[0], "<b>")


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(curves).failed == 0
