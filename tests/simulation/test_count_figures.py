"""Figures over label counts: nothing is written over anything else, and no end of an interval is made up."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from nextlabel.simulation.count_figures import (
    Bar,
    BarPanel,
    CurvePanel,
    apart,
    bars,
    learning_curves,
    look,
    small_multiples,
)
from nextlabel.simulation.curves import Estimate
from nextlabel.simulation.figures import Line

ARMS = ("entropy", "margin", "live", "random", "tfidf:random", "tfidf:margin", "frozen:random", "frozen:margin")
AT = np.array([32, 64, 128, 256, 512])


def panel(title: str, arms: Sequence[str] = ARMS, top: float = 0.9) -> CurvePanel:
    """Curves that all end at the same score."""
    means = [Estimate(top - 0.1 * i, top - 0.1 * i - 0.02, top - 0.1 * i + 0.02, 10) for i in reversed(range(5))]
    return CurvePanel(title, [Line(name, AT, means) for name in arms], Estimate(top, top - 0.01, top, 3))


def overlaps(figure: Figure) -> list[tuple[str, str]]:
    """Texts of a drawn figure that lie over each other."""
    canvas = FigureCanvasAgg(figure)
    figure.draw(canvas.get_renderer())  # type: ignore[no-untyped-call]
    beyond = set(beyond_the_axes(figure))
    texts = [t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_visible() and t.get_text().strip()]
    boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t not in beyond]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


def beyond_the_axes(figure: Figure) -> Iterator[Text]:
    """Labels of ticks that are kept, and not drawn."""
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        yield from (tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high)


def test_every_kind_of_arm_has_a_look_of_its_own() -> None:
    looks = [look(f"{kind}margin") for kind in ("", "head:", "tfidf:", "frozen:")]
    assert len({dashes for _, _, dashes in looks}) == 4
    assert len({colour for colour, _, _ in looks}) == 1


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("arms", [1, 2, 4, 8])
def test_names_at_the_ends_of_lines_do_not_meet(arms: int) -> None:
    assert overlaps(learning_curves(panel("Reuters R52", ARMS[:arms]), "macro-F1 on test")) == []


@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("corpora", [1, 2, 3, 4, 9])
def test_small_panels_keep_their_titles_apart(corpora: int) -> None:
    titles = [f"Film reviews, a tenth positive\n{i + 2} classes" for i in range(corpora)]
    assert overlaps(small_multiples([panel(title, ARMS[:4]) for title in titles], "macro-F1 on test")) == []


@pytest.mark.usefixtures("patience")
def test_rows_keep_names_and_words_apart() -> None:
    rows = {
        group: [Bar(name, 40.0, 20.0, 60.0, "not reached [open to 100]") for name in ("entropy", "margin")]
        for group in ("Reuters R8", "Film reviews, a tenth positive")
    }
    panels = [BarPanel(title, "labels saved (%)", -100, 100, rows, percent=True) for title in ("Left", "Labels saved")]
    assert overlaps(bars(panels)) == []


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=10).map(sorted),
    st.floats(0.01, 0.08),
)
def test_values_are_moved_apart_in_order_and_stay_inside(values: list[float], gap: float) -> None:
    moved = apart(values, gap, 0.0, 1.0)
    assert all(b - a >= gap - 1e-9 for a, b in pairwise(moved))
    assert moved[0] >= -1e-9
    assert moved[-1] <= 1 + 1e-9


@given(st.lists(st.integers(0, 20), min_size=1, max_size=10, unique=True).map(sorted))
def test_values_that_are_apart_stay_where_they_are(values: list[int]) -> None:
    assert apart(values, 0.5, -1, 21) == pytest.approx(values)


def test_arms_look_different_and_the_same_everywhere() -> None:
    assert len({str(look(name)) for name in ARMS}) == len(ARMS)
    assert look("margin")[:2] == look("tfidf:margin")[:2]


def arrows(bar: Bar) -> list[tuple[float, float]]:
    """Where arrows begin and end on the axis."""
    figure = bars([BarPanel("", "", -100, 100, {"": [bar]}, percent=True)])
    drawn = [text for text in figure.axes[0].texts if isinstance(text, Annotation) and not text.get_text()]
    return [(float(arrow.xyann[0]), float(vars(arrow)["xy"][0])) for arrow in drawn]


@pytest.mark.parametrize(
    ("bar", "ends"),
    [
        (Bar("margin", 40, 20, 60, ""), []),
        (Bar("margin", 40, 20, None, "", least=True), [(40, 100)]),
        (Bar("margin", 40, None, 60, "", most=True), [(40, -100)]),
        (Bar("margin", None, None, 10, ""), [(10, -100)]),
        (Bar("margin", None, 30, None, ""), [(30, 100)]),
        (Bar("margin", None, None, None, ""), []),
        (Bar("margin", -300, -400, -50, ""), [(-92, -100)]),
    ],
)
def test_an_open_end_or_one_beyond_the_axis_is_an_arrow(bar: Bar, ends: list[tuple[float, float]]) -> None:
    assert arrows(bar) == ends
