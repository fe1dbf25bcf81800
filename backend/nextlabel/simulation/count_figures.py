"""Figures of runs that play label counts, and of several corpora. Draws what it is given, in the style of `figures`.

An arm has the same colour, line and marker in every figure of every run, so that corpora can be compared by eye.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from matplotlib.transforms import blended_transform_factory

from nextlabel.simulation.curves import Estimate
from nextlabel.simulation.figures import (
    BLACK,
    COLOURS,
    GREY,
    MARKERS,
    PAPER,
    RANDOM_COLOUR,
    RANDOM_MARKER,
    Line,
    styled,
)
from nextlabel.simulation.records import FULL, RANDOM
from nextlabel.values.arrays import Array

KNOWN = ("entropy", "margin", "live", "bald", "least_confidence")  # each has a colour of its own everywhere
# What is fitted, the transformer or a baseline, and whether its last layer alone is fitted in between.
DASHES = {"": "-", "tfidf": (0, (1, 1.2)), "frozen": (0, (4, 1.5)), "head": (0, (6, 1.2, 1, 1.2))}
ROW_IN, SMALL = 0.27, 8.5  # a row's height in inches, and the size of words beside points
COLUMNS = 3  # of small panels


@dataclass(frozen=True)
class CurvePanel:
    """Mean curves over label counts, with the score of all the data in `full` and what that is called."""

    title: str
    lines: Sequence[Line]
    full: Estimate | None
    full_name: str = "full data"


@dataclass(frozen=True)
class Bar:
    """An arm's number with its interval and, beside it, in words. `mean` is None where there is none to draw.

    `least` and `most`: the interval is open at this end; drawn as an arrow.
    """

    name: str
    mean: float | None
    low: float | None
    high: float | None
    words: str
    least: bool = False
    most: bool = False


@dataclass(frozen=True)
class BarPanel:
    """Bars by group on one axis from `low` to `high`; what is beyond is cut and drawn as an arrow.

    `line` is where a second line stands beside that at 0.
    """

    title: str
    label: str
    low: float
    high: float
    groups: Mapping[str, Sequence[Bar]]
    percent: bool = False
    line: float | None = None


@dataclass(frozen=True)
class ReliabilityPanel:
    """Mean confidence, share right and examples of each bin that is drawn, of the arm `name`."""

    title: str
    name: str
    confidence_B: Sequence[float]
    accuracy_B: Sequence[float]
    counts_B: Sequence[int]
    remark: str


def learning_curves(panel: CurvePanel, score: str) -> Figure:
    """One large panel, every line named at its end."""
    with styled():
        figure = Figure(figsize=(8.4, 4.9))
        axes = figure.add_axes((0.085, 0.12, 0.70, 0.80))
        _draw_curves(axes, panel, large=True)
        axes.set(title=panel.title, xlabel="labels used", ylabel=score)
        _name_ends(axes, panel)
        return figure


def small_multiples(panels: Sequence[CurvePanel], score: str) -> Figure:
    """A small panel a corpus, each on its own scale, with one legend for all."""
    columns = 2 if len(panels) == 4 else min(COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    with styled():
        figure = Figure(figsize=(max(3.1 * columns, 4.6), 2.5 * rows + 0.75), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw_curves(axes, panel, large=False)
            axes.set_title(panel.title)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("labels used", fontsize=9.5)
        figure.supylabel(score, fontsize=9.5)
        handles = _legend(panels)
        figure.legend(handles=handles, loc="outside upper center", ncols=min(5, len(handles)))
        return figure


def bars(panels: Sequence[BarPanel]) -> Figure:
    """Points with intervals, a row each, grouped; panels share their rows, and the words stand right of each panel."""
    rows = _rows(panels[0].groups)
    wide = len(panels) > 1
    size = (9.4 if wide else 8.4, ROW_IN * (rows[-1][1] + 1) + (1.0 if any(panel.title for panel in panels) else 0.7))
    with styled():
        figure = Figure(figsize=size)
        free = _columns(figure, panels)
        for axes, panel in zip(free, panels, strict=True):
            _draw_bars(axes, panel, rows)
        free[0].set_yticks([y for _, y, bar in rows if bar], [name for name, _, bar in rows if bar])
        _head_groups(free[0], rows)
        return figure


def reliability(panels: Sequence[ReliabilityPanel]) -> Figure:
    """How often each version is right where it is so sure: on the diagonal, were its confidence to be believed."""
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    with styled():
        figure = Figure(figsize=(max(2.15 * columns, 4.4) + 0.4, 2.5 * rows + 0.3), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, panel in zip(grid.flat, panels, strict=False):
            _draw_reliability(axes, panel)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("mean confidence", fontsize=9.5)
        figure.supylabel("share right", fontsize=9.5)
        return figure


def look(name: str) -> tuple[str, str, object]:
    """Colour, marker and dashes of an arm; baselines and heads have those of their strategy, with other dashes."""
    kind, _, strategy = name.rpartition(":")
    dashes = DASHES.get(kind, "-")
    if strategy == RANDOM:
        return RANDOM_COLOUR, RANDOM_MARKER, dashes
    if strategy == FULL:
        return BLACK, "o", dashes
    # Anything else shares the last colours; its name, which stands at every line, tells it apart.
    place = KNOWN.index(strategy) if strategy in KNOWN else 3 + len(strategy) % 2
    return COLOURS[place], MARKERS[place], dashes


def _draw_curves(axes: Axes, panel: CurvePanel, large: bool) -> None:
    if panel.full:
        axes.axhline(panel.full.mean, color=BLACK, ls=(0, (5, 3)), lw=1.1)
        if panel.full.low is not None and panel.full.high is not None:
            axes.axhspan(panel.full.low, panel.full.high, color=BLACK, alpha=0.09, lw=0)
    for line in panel.lines:
        _draw_line(axes, line, large)
    counts = sorted({int(count) for line in panel.lines for count in line.labels_R})
    axes.set_xscale("log", base=2)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.set_xlim(counts[0] * 2**-0.15, counts[-1] * (1 if large else 2**0.15))
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(6 if large else 4))
    axes.tick_params(labelsize=9.5 if large else 8)


def _draw_line(axes: Axes, line: Line, large: bool) -> None:
    colour, marker, dashes = look(line.name)
    means = [estimate.mean for estimate in line.means]
    size, width = (5, 1.8) if large else (3, 1.4)
    axes.plot(line.labels_R, means, color=colour, marker=marker, markersize=size, lw=width, ls=dashes, clip_on=False)
    ends = [(e.low, e.high) for e in line.means if e.low is not None and e.high is not None]
    if len(ends) == len(means):
        low, high = zip(*ends, strict=True)
        axes.fill_between(line.labels_R, low, high, color=colour, alpha=0.14, lw=0)


def _name_ends(axes: Axes, panel: CurvePanel) -> None:
    """Every line's name and last score, beside its end, moved apart where they would meet."""
    ends = [(line.means[-1].mean, line.name, look(line.name)[0]) for line in panel.lines]
    ends += [(panel.full.mean, panel.full_name, BLACK)] if panel.full else []
    ends.sort(key=lambda end: end[0])
    low, high = axes.get_ylim()
    heights = apart([end[0] for end in ends], 0.052 * (high - low), low, high)
    where = blended_transform_factory(axes.transAxes, axes.transData)
    for (score, name, colour), height in zip(ends, heights, strict=True):
        axes.plot([1.008, 1.03], [score, height], transform=where, color=colour, lw=0.8, clip_on=False)
        axes.text(1.036, height, f"{name}  {score:.3f}", transform=where, color=colour, va="center")


def apart(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Rising values moved as little as needs be, so that neighbours are `gap` apart; within the ends if they fit."""
    groups: list[tuple[float, int]] = []  # the middle of each group of neighbours, and how many they are
    for value in values:
        groups.append((value, 1))
        while True:
            middle, count = groups.pop()
            half = gap * (count - 1) / 2
            middle = max(min(middle, high - half), low + half)
            if not groups or middle - groups[-1][0] >= gap * (count + groups[-1][1]) / 2:
                break
            before, more = groups.pop()
            groups.append(((middle * count + before * more) / (count + more), count + more))
        groups.append((middle, count))
    return [middle + gap * (i - (count - 1) / 2) for middle, count in groups for i in range(count)]


def _legend(panels: Sequence[CurvePanel]) -> list[Line2D | Patch]:
    names = dict.fromkeys(line.name for panel in panels for line in panel.lines)
    looks = {name: look(name) for name in sorted(names, key=lambda name: (":" in name, name == RANDOM))}
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=colour, marker=marker, markersize=4.5, ls=dashes, label=name)
        for name, (colour, marker, dashes) in looks.items()
    ]
    if any(panel.full for panel in panels):
        handles.append(Line2D([], [], color=BLACK, ls=(0, (5, 3)), lw=1.1, label="full data"))
    return handles


Row = tuple[str, float, bool]  # a heading or an arm's name, its height, and whether it is an arm


def _rows(groups: Mapping[str, Sequence[Bar]]) -> list[Row]:
    rows: list[Row] = []
    y = 0.0
    for group, items in groups.items():
        if group:
            rows.append((group, y, False))
            y += 1
        for item in items:
            rows.append((item.name, y, True))
            y += 1
        y += 0.5
    return rows


def _columns(figure: Figure, panels: Sequence[BarPanel]) -> list[Axes]:
    """Axes side by side with room for words right of each, names left of the first, in shares of the figure."""
    width, height = figure.get_size_inches()
    left, words = 1.35 / width, 1.95 / width
    each = (1 - left) / len(panels) - words
    bottom, top = 0.55 / height, (0.35 if any(panel.title for panel in panels) else 0.05) / height
    return [figure.add_axes((left + i * (each + words), bottom, each, 1 - bottom - top)) for i in range(len(panels))]


def _draw_bars(axes: Axes, panel: BarPanel, rows: Sequence[Row]) -> None:
    heights = [y for _, y, is_bar in rows if is_bar]
    items = [bar for of in panel.groups.values() for bar in of]
    axes.axvline(0, color=BLACK, lw=0.9)
    if panel.line is not None:
        axes.axvline(panel.line, color=GREY, lw=0.9, ls=(0, (4, 2)))
    for bar, y in zip(items, heights, strict=True):
        _draw_bar(axes, bar, y, panel)
        axes.text(1.04, y, bar.words, transform=axes.get_yaxis_transform(), va="center", fontsize=SMALL)
    axes.set_xlim(panel.low, panel.high)
    axes.set_ylim(rows[-1][1] + 0.7, -0.7)
    axes.set(title=panel.title, xlabel=panel.label)
    axes.set_yticks([])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    if panel.percent:
        axes.set_xticks([-100, -50, 0, 50, 100], ["-100", "-50", "0", "50", "100"])
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:+.3g}" if abs(x) > 1e-9 else "0"))


def _draw_bar(axes: Axes, bar: Bar, y: float, panel: BarPanel) -> None:
    colour, marker, _ = look(bar.name)
    if bar.mean is None:
        _draw_open(axes, bar, y, panel, colour)
        return
    room = 0.02 * (panel.high - panel.low)
    inside = min(max(bar.mean, panel.low + room), panel.high - room)
    low, high = (bar.mean if end is None else end for end in (bar.low, bar.high))
    axes.plot([max(low, panel.low), min(high, panel.high)], [y, y], color=colour, lw=2, solid_capstyle="butt")
    if bar.least or high > panel.high:
        _arrow(axes, min(inside, panel.high - 2 * room), y, panel.high, colour)
    if bar.most or low < panel.low:
        _arrow(axes, max(inside, panel.low + 2 * room), y, panel.low, colour)
    face = "white" if inside != bar.mean else colour
    axes.plot([inside], [y], marker=marker, markersize=6, mfc=face, mec=colour, ls="")


def _draw_open(axes: Axes, bar: Bar, y: float, panel: BarPanel, colour: str) -> None:
    """An interval with one end that is known, of a number that is not."""
    if bar.low is not None and bar.high is None:
        _arrow(axes, max(bar.low, panel.low), y, panel.high, colour)
    if bar.high is not None and bar.low is None:
        _arrow(axes, min(bar.high, panel.high), y, panel.low, colour)


def _arrow(axes: Axes, start: float, y: float, end: float, colour: str) -> None:
    axes.annotate(
        "",
        (end, y),
        (start, y),
        arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.2, "shrinkA": 3, "shrinkB": 0},
    )


def _head_groups(axes: Axes, rows: Sequence[Row]) -> None:
    for name, y, is_bar in rows:
        if not is_bar:
            axes.annotate(
                name, (0, y), (-92, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points", va="center",
                weight="bold", bbox=PAPER, annotation_clip=False,
            )  # fmt: skip


def _draw_reliability(axes: Axes, panel: ReliabilityPanel) -> None:
    colour, marker, _ = look(panel.name)
    axes.plot([0, 1], [0, 1], color=GREY, lw=0.8, ls=(0, (4, 2)))
    axes.plot(panel.confidence_B, panel.accuracy_B, color=colour, lw=1.2)
    shares: Array = np.array(panel.counts_B) / max(1, sum(panel.counts_B))
    axes.scatter(
        panel.confidence_B,
        panel.accuracy_B,
        s=8 + 90 * shares,
        color=colour,
        marker=marker,
        lw=0,
        zorder=3,
        clip_on=False,
    )
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), title=panel.title, aspect="equal")
    axes.text(0.04, 0.97, panel.remark, va="top", fontsize=SMALL)
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    axes.grid(color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
