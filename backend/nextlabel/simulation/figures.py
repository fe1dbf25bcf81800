"""Figures of learning curves and of what they save. Knows matplotlib's objects, draws what it is given."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from nextlabel.simulation.curves import Estimate
from nextlabel.values.arrays import Array, Ints

# Okabe and Ito's palette, which people with any kind of colour vision can tell apart: jfly.uni-koeln.de/color
BLACK, GREY = "#000000", "#777777"
RANDOM_COLOUR = "#D55E00"
COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "^", "D", "v", "P")
RANDOM_MARKER = "s"
LARGEST_LOSS, LEAST_WIDTH = -100, 10  # of savings in percent: what is drawn, and how far the axis goes on either side
PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # behind words, so that no line runs through them

STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that figures look the same everywhere
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "legend.frameon": False,
    "svg.hashsalt": "nextlabel",  # ids that do not change from one writing to the next
    "svg.fonttype": "path",
    "figure.facecolor": "white",
}


@dataclass(frozen=True)
class Line:
    """A mean curve: labels used at R rounds, and mean score and interval at each."""

    name: str
    labels_R: Ints
    means: Sequence[Estimate]


@dataclass(frozen=True)
class Part:
    """One panel of learning curves. `goal` is a score with what it is called."""

    title: str
    score: str
    lines: Sequence[Line]
    full: Estimate | None
    goal: tuple[str, float] | None = None


@dataclass(frozen=True)
class Saving:
    """What an arm saves under two rules, in shares; where it is None, `remark` says why."""

    name: str
    sustained: Estimate | None
    first_look: Estimate | None
    remark: str


@dataclass(frozen=True)
class Spread:
    """Numbers of one arm by seed, None where there is none, and their mean where it means anything."""

    name: str
    values: Sequence[float | None]
    mean: Estimate | None = None


def learning_curves(parts: Sequence[Part]) -> Figure:
    """Dev and test side by side, with 95 % bands over seeds; the full-data mean is dashed."""
    with styled():
        figure = Figure(figsize=(5.2 * len(parts) if len(parts) > 1 else 6.4, 4.5), layout="constrained")
        for part, axes in zip(parts, _panels(figure, len(parts), sharey=True), strict=True):
            _draw_curves(axes, part)
            axes.tick_params(labelleft=True)
        handles, names = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
        return figure


def savings(panels: Mapping[str, Sequence[Saving]]) -> Figure:
    """A panel for each comparison: point and interval of the sustained rule, and, hollow, of the first look."""
    rows = max(len(items) for items in panels.values())
    with styled():
        figure = Figure(figsize=(4.1 * len(panels) + 0.9, 1.7 + 0.75 * rows), layout="constrained")
        free = _panels(figure, len(panels), sharey=True, sharex=True)
        for (title, items), axes in zip(panels.items(), free, strict=True):
            _draw_savings(axes, title, items)
            axes.tick_params(labelleft=axes is free[0])
        _rows(free[0], [item.name for item in max(panels.values(), key=len)])
        drawn = [item for items in panels.values() for item in items if item.sustained]
        _limit_savings(free[0], bool(drawn))
        handles, names = _rule_handles(figure.axes[0], any(item.first_look for item in drawn))
        figure.legend(handles, names, loc="outside lower center", ncols=min(2, len(panels)))
        return figure


def seeds(needed: Sequence[Spread], fewest: int, most: int, areas: Sequence[Spread]) -> Figure:
    """Every seed as a point: labels to the target, from the start set to all there are; area beyond random's."""
    panels = [bool(needed), bool(areas)]
    rows = max(len(needed), len(areas))
    with styled():
        figure = Figure(figsize=(5.0 * sum(panels) + 0.6, 1.6 + 0.75 * rows), layout="constrained")
        free = iter(_panels(figure, sum(panels)))
        if needed:
            _draw_needed(next(free), needed, fewest, most)
        if areas:
            _draw_areas(next(free), areas)
        return figure


def save(figure: Figure, out: Path, name: str) -> str:
    """Write `NAME.png` and `NAME.svg`, the same bytes for the same figure; returns the SVG."""
    FigureCanvasAgg(figure)
    with styled():
        figure.savefig(out / f"{name}.png", dpi=200, metadata={"Software": None})
        buffer = BytesIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue().decode()
    (out / f"{name}.svg").write_text(svg, encoding="utf-8")
    return svg


@contextmanager
def styled() -> Iterator[None]:
    """In here figures are made and drawn as all of ours are."""
    with mpl.rc_context(STYLE):
        yield


def _panels(figure: Figure, count: int, sharex: bool = False, sharey: bool = False) -> list[Axes]:
    return list(figure.subplots(1, count, squeeze=False, sharex=sharex, sharey=sharey)[0])


def _look(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each arm, the same in every figure of the same arms."""
    others = [name for name in names if name != "random"]
    looks = {name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(others)}
    return {**looks, "random": (RANDOM_COLOUR, RANDOM_MARKER)}


def _draw_curves(axes: Axes, part: Part) -> None:
    looks = _look([line.name for line in part.lines])
    for line in part.lines:
        colour, marker = looks[line.name]
        every = max(1, len(line.labels_R) // 12)
        means = [e.mean for e in line.means]
        axes.plot(
            line.labels_R, means, color=colour, marker=marker, markevery=every, markersize=4.5, lw=1.7, label=line.name
        )
        _band(axes, line.labels_R, line.means, colour)
    if part.full:
        axes.axhline(part.full.mean, color=BLACK, ls=(0, (5, 3)), lw=1.2, label="full data (mean)")
        if part.full.low is not None and part.full.high is not None:
            axes.axhspan(part.full.low, part.full.high, color=BLACK, alpha=0.10, lw=0)
    if part.goal:
        axes.axhline(part.goal[1], color=GREY, ls=":", lw=1.4, label=part.goal[0])
    axes.set(title=part.title, xlabel="labels used", ylabel=part.score)
    axes.margins(x=0.02)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _band(axes: Axes, labels_R: Ints, means: Sequence[Estimate], colour: str) -> None:
    ends = [(e.low, e.high) for e in means if e.low is not None and e.high is not None]
    if len(ends) == len(means):
        low, high = zip(*ends, strict=True)
        axes.fill_between(labels_R, low, high, color=colour, alpha=0.18, lw=0)


def _limit_savings(axes: Axes, any_drawn: bool) -> None:
    """Around 0 and no wider than losses are drawn; matplotlib's own are a hair wide where all savings are 0."""
    low, high = axes.get_xlim()
    if any_drawn:
        axes.set_xlim(max(LARGEST_LOSS, min(low, -LEAST_WIDTH)), max(high, LEAST_WIDTH))
    else:
        axes.set_xlim(-5, 100)


def _draw_savings(axes: Axes, title: str, items: Sequence[Saving]) -> None:
    looks = _look([item.name for item in items])
    for row, item in enumerate(items):
        colour, marker = looks[item.name]
        if item.sustained is None:
            axes.text(0.5, row, item.remark, transform=axes.get_yaxis_transform(), ha="center", va="center", bbox=PAPER)
            continue
        if item.first_look is not None:
            _point(axes, item.first_look, row + 0.2, colour, marker, hollow=True)
        _point(axes, item.sustained, row - 0.06, colour, marker)
        note = ", ".join(filter(None, (_percent(item.sustained), item.remark)))
        axes.annotate(
            note,
            (_drawn_at(item.sustained.mean), row - 0.06),
            (0, 7),
            textcoords="offset points",
            ha="center" if item.sustained.mean > LARGEST_LOSS / 100 else "left",
            fontsize=8.5,
            bbox=PAPER,
        )
    axes.axvline(0, color=BLACK, lw=0.8, zorder=1)
    axes.set(title=title, xlabel="labels saved (%)")
    _rows(axes, [item.name for item in items])
    axes.margins(x=0.25)


def _point(axes: Axes, of: Estimate, height: float, colour: str, marker: str, hollow: bool = False) -> None:
    if of.low is not None and of.high is not None:
        width, alpha = (1.0, 0.7) if hollow else (2.2, 1.0)
        axes.plot([_drawn_at(of.low), _drawn_at(of.high)], [height] * 2, color=colour, lw=width, alpha=alpha)
    face, at = "white" if hollow else colour, _drawn_at(of.mean)
    marker = marker if at == 100 * of.mean else "<"
    axes.plot([at], [height], marker=marker, markersize=5.5 if hollow else 7, mec=colour, mfc=face, ls="")


def _drawn_at(share: float) -> float:
    """In percent; a larger loss than is drawn stands near the edge, as an arrow."""
    return max(100 * share, 0.95 * LARGEST_LOSS)


def _rule_handles(axes: Axes, first_look: bool) -> tuple[list[Artist], list[str]]:
    sustained = axes.plot([], [], marker="o", mfc=GREY, mec=GREY, ls="-", color=GREY, lw=2.2)
    look = axes.plot([], [], marker="o", mfc="white", mec=GREY, ls="-", color=GREY, lw=1.0)
    handles, names = [*sustained], ["sustained crossing (mean of 3 rounds)"]
    if first_look:
        handles, names = [*handles, *look], [*names, "first look (one round, the tutorial's rule)"]
    return list(handles), names


def _percent(of: Estimate) -> str:
    if of.low is None or of.high is None:
        return f"{100 * of.mean:.1f} %"
    return f"{100 * of.mean:.1f} % [{100 * of.low:.1f}, {100 * of.high:.1f}]"


def _spaced(values: Sequence[float]) -> Array:
    """Heights between -1 and 1 that keep points apart; by order in value, not by chance, so that figures repeat."""
    heights = np.empty(len(values))
    heights[np.argsort(values, kind="stable")] = [(-0.9, 0.3, -0.3, 0.9, 0.0)[i % 5] for i in range(len(values))]
    return heights


def _draw_needed(axes: Axes, spreads: Sequence[Spread], fewest: int, most: int) -> None:
    looks = _look([spread.name for spread in spreads])
    for row, spread in enumerate(spreads):
        colour, marker = looks[spread.name]
        known = [value for value in spread.values if value is not None]
        axes.scatter(known, row + 0.2 * _spaced(known), s=22, marker=marker, color=colour, alpha=0.75, lw=0)
        median = np.median([*known, *[np.inf] * (len(spread.values) - len(known))])
        if np.isfinite(median):
            axes.plot([median] * 2, [row - 0.27, row + 0.27], color=colour, lw=2)
        axes.annotate(
            f"reached in {len(known)} of {len(spread.values)} seeds",
            (0, row - 0.4),
            (4, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            fontsize=8.5,
            bbox=PAPER,
        )
    axes.axvline(most, color=BLACK, ls=(0, (5, 3)), lw=1.0)
    axes.annotate("all labels", (most, -0.6), (-4, 0), textcoords="offset points", ha="right", fontsize=8.5, bbox=PAPER)
    axes.set(title="Labels to the full-data score, by seed", xlabel="labels used at the sustained crossing")
    _rows(axes, [spread.name for spread in spreads])
    axes.set_xlim(fewest - 0.04 * (most - fewest), most + 0.04 * (most - fewest))


def _draw_areas(axes: Axes, spreads: Sequence[Spread]) -> None:
    looks = _look([spread.name for spread in spreads])
    for row, spread in enumerate(spreads):
        colour, marker = looks[spread.name]
        known = [value for value in spread.values if value is not None]
        axes.scatter(known, row + 0.2 * _spaced(known), s=22, marker=marker, color=colour, alpha=0.55, lw=0)
        if spread.mean:
            mean = spread.mean
            if mean.low is not None and mean.high is not None:
                axes.plot([mean.low, mean.high], [row - 0.36] * 2, color=BLACK, lw=2)
            axes.plot([mean.mean], [row - 0.36], marker="|", color=BLACK, markersize=10, mew=2, ls="")
    axes.axvline(0, color=BLACK, lw=0.8)
    axes.set(title="Area under the dev curve minus random's, by seed", xlabel="difference in mean dev score")
    _rows(axes, [spread.name for spread in spreads])
    axes.margins(x=0.06)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_ylim(len(names) - 0.5, -0.7)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(6))
