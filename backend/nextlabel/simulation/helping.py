"""What the answers to "is it helping?" are worth: replayed on frozen features, where the truth is known.

Knows no fits of a transformer: a version is a fresh head on all labels so far.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning import forecast, helping
from nextlabel.learning.forecast import TIMES, World
from nextlabel.learning.fresh_heads import FreshHead, Known, fresh_head
from nextlabel.learning.helping import BUDGET, LOOKS
from nextlabel.learning.stability import changed_share
from nextlabel.learning.start_order import start_order
from nextlabel.learning.strategies import SERVED
from nextlabel.model.classifier import Recipe
from nextlabel.simulation.cells import kept, setting_of
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.records import RANDOM
from nextlabel.simulation.starts import Frozen, frozen_parts
from nextlabel.values import markdown
from nextlabel.values.arrays import Ints

START, START_LABELS = "typiclust", 16
FORECAST_AT = (100, 200)
STEPS = (64, 128, 192, 256)
CONTROL_EVERY = 10  # labels, of which one is a control label
TRUE_HEADS, TRUE_CURVES = 40, 4  # heads of random labels, by whose mean the truth is known, and a point of a curve
RANDOM_ORDERS = 3
JUDGES = 200  # texts that are neither control tasks nor in the pool, at least
ABOUT = f"""\
A version is a logistic regression on the base encoder's frozen features; the order is `{SERVED}`, made anew after every
{forecast.EVERY} labels, from {START_LABELS} labels by `{START}` on. Texts that are neither in the pool nor control
tasks tell the truth: accuracy there, less the mean of {TRUE_HEADS} heads of as many random labels. When a forecast is
made, one label in {CONTROL_EVERY} was a control label. The {RANDOM_ORDERS} random orders of a seed are judged by the
same control labels."""
MORE = 99.0  # times as many labels: more than the curve tells


@dataclass(frozen=True)
class HelpingPlan:
    """Seeds, with how many of the first ones forecasts are made, and how many texts a pool has."""

    seeds: Sequence[int]
    forecasts: int
    pool: int


@dataclass(frozen=True)
class Measured:
    """Whether an order helps, in one replay: the true gain at 64 labels, gain and error at the planned looks, and at
    how many control labels it was first said to help."""

    corpus: str
    seed: int
    order: str
    truth: float
    gains: tuple[float, ...]
    errors: tuple[float, ...]
    said_at: int | None


@dataclass(frozen=True)
class Forecasted:
    """A forecast of one replay beside the truth. `most` is 0 where no times were given, 99 for more than can be told,
    as in `true_times`."""

    corpus: str
    seed: int
    labels: int
    gain: float
    truth: float
    least: float
    most: float
    true_times: float


@dataclass(frozen=True)
class Step:
    """D of a step that ended at so many labels, and how much accuracy changed in the next one."""

    corpus: str
    seed: int
    labels: int
    changed: float
    gain: float


Cell = Measured | Forecasted | Step
Some = TypeVar("Some", bound=Cell)


@dataclass(frozen=True)
class _Replay:
    """One project: its control labels and its pool, the texts that judge, and in which order the pool was asked for."""

    corpus: str
    seed: int
    control: Known
    pool: Known
    judges: Known
    order: Ints
    rng: np.random.Generator

    def accuracy(self, known: Ints) -> float:
        """True accuracy of the head of these labels."""
        return float(np.mean(self.head(known).predictions(self.judges.features_ND) == self.judges.targets_N))

    def head(self, known: Ints) -> FreshHead:
        return fresh_head(self.pool.of(known))

    def by_chance(self, labels: int, heads: int) -> float:
        """Mean accuracy at so many random labels."""
        size = len(self.pool)
        return float(np.mean([self.accuracy(self.rng.permutation(size)[:labels]) for _ in range(heads)]))


def _replay(corpus: str, texts: Known, size: int, seed: int) -> _Replay:
    rng = np.random.default_rng((seed, *corpus.encode()))
    control, pool, judges = map(texts.of, np.split(rng.permutation(len(texts)), [LOOKS[-1], LOOKS[-1] + size]))
    start = start_order(START, pool.features_ND, START_LABELS, seed)
    order = forecast.replayed(pool, start, SERVED, STEPS[-1], seed)
    return _Replay(corpus, seed, control, pool, judges, order, rng)


def _measured(replay: _Replay) -> Iterator[Measured]:
    by_chance = replay.by_chance(BUDGET, TRUE_HEADS)
    by_random = [(RANDOM, replay.rng.permutation(len(replay.pool))) for _ in range(RANDOM_ORDERS)]
    orders = [(SERVED, replay.order), *by_random]
    looked = helping.compared(replay.control, [replay.pool.of(order[:BUDGET]) for _, order in orders])
    for (name, order), looks in zip(orders, looked, strict=True):
        gains, errors = ([round(getattr(look, name), 5) for look in looks] for name in ("gain", "error"))
        truth = round(replay.accuracy(order[:BUDGET]) - by_chance, 5)
        said_at = next((look.labels for look in looks if look.helps), None)
        yield Measured(replay.corpus, replay.seed, name, truth, tuple(gains), tuple(errors), said_at)


def _forecasts(replay: _Replay, classes: int) -> Iterator[Forecasted]:
    for labels in FORECAST_AT:
        found = forecast.forecast(_world(replay, labels, classes), SERVED, labels, replay.seed)
        accuracy, by_chance = replay.accuracy(replay.order[:labels]), replay.by_chance(labels, TRUE_HEADS)
        further = [replay.by_chance(round(times * labels), TRUE_CURVES) for times in TIMES[1:]]
        true_times = forecast.reached(np.array(TIMES), np.array([by_chance, *further]), accuracy)
        least, most = found.times or (0.0, 0.0)
        numbers = (found.gain, accuracy - by_chance, least, _told(most), _told(true_times))
        yield Forecasted(replay.corpus, replay.seed, labels, *(round(number, 5) for number in numbers))


def _world(replay: _Replay, labels: int, classes: int) -> World:
    """As the version of so many labels sees it, by a temperature of the control labels that it has by then."""
    own = replay.order[:labels]
    version = replay.head(own)
    control = replay.control.of(slice(labels // (CONTROL_EVERY - 1)))
    value = forecast.temperature(version.probabilities(control.features_ND, classes), control.targets_N)
    probs_NC = forecast.tempered(version.probabilities(replay.pool.features_ND, classes), value)
    human_N: Ints = np.full(len(replay.pool), -1, dtype=np.int64)
    human_N[own] = replay.pool.targets_N[own]
    return World(replay.pool.features_ND, probs_NC, human_N, own[:START_LABELS])


def _told(times: float | None) -> float:
    return MORE if times is None else times


def _steps(replay: _Replay) -> Iterator[Step]:
    heads = [replay.head(replay.order[:labels]) for labels in STEPS]
    said = [head.predictions(replay.pool.features_ND) for head in heads]
    accuracies = [replay.accuracy(replay.order[:labels]) for labels in STEPS]
    for i in range(1, len(STEPS) - 1):
        changed, gain = changed_share(said[i - 1], said[i]), accuracies[i + 1] - accuracies[i]
        yield Step(replay.corpus, replay.seed, STEPS[i], round(changed, 5), round(gain, 5))


def _play(corpus: str, train: Frozen, test: Frozen, classes: int, plan: HelpingPlan) -> Iterator[Cell]:
    texts = Known(np.concatenate([train.points_ND, test.points_ND]), np.concatenate([train.targets_N, test.targets_N]))
    most = len(texts) - LOOKS[-1] - JUDGES
    if not STEPS[-1] <= plan.pool <= most:
        raise BadRunError(
            f"--pool is {plan.pool}. It must have {STEPS[-1]} texts to label, and {corpus} has {most} beside "
            f"{LOOKS[-1]} control tasks and {JUDGES} texts to judge by. Give a pool between them, or leave it out."
        )
    for seed in plan.seeds:
        replay = _replay(corpus, texts, plan.pool, seed)
        yield from _measured(replay)
        yield from _steps(replay)
        if seed in plan.seeds[: plan.forecasts]:
            yield from _forecasts(replay, classes)


def play(directory: Path, plan: HelpingPlan, base_model: str, out: Path) -> list[Cell]:
    """The cells of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or the corpus is too small for the pool.
    """
    data, word_pieces = fetched.read_single(directory)

    def cells() -> Iterator[Cell]:
        parts = frozen_parts(data, Recipe(base_model, 0, 0.0, 1, word_pieces, 0))
        return _play(directory.name, *parts, len(data.labels), plan)

    return list(map(cell_of, kept(out / f"{directory.name}.json", setting_of(plan, base_model, data), cells)))


KINDS = (Measured, Forecasted, Step)


def cell_of(row: Mapping[str, Any]) -> Cell:
    """The cell with these fields."""
    return next(kind(**row) for kind in KINDS if row.keys() == {field.name for field in fields(kind)})


# Tables

ALL = "all"
FALSE_HEAD = ("worth no more", "said", "random order", "said", "worth no more", "said")
FORECAST_HEAD = ("replays", "forecast", "truth", "distance", "within .02", "within the band", "times told", "and so")


def to_markdown(cells: Sequence[Cell]) -> str:
    """The tables, each under what it shows; a corpus a row."""
    measured = [cell for cell in cells if isinstance(cell, Measured)]
    served = [cell for cell in measured if cell.order == SERVED]
    forecasts = [cell for cell in cells if isinstance(cell, Forecasted)]
    steps = [cell for cell in cells if isinstance(cell, Step)]
    at_looks = [f"{labels}" for labels in LOOKS]
    return f"""\
## Measured: "helps" where nothing is gained

Replays in which the first 64 labels by `{SERVED}` were worth no more than random ones, and in how many of them it was
ever said to help. Then replays in which the loop labels in random order, which gains nothing on average: in how many of
them it was said, and the same of those whose 64 labels were in fact worth no more.

{_table(measured, _false_row, FALSE_HEAD)}

## Measured: when "helps" is said

By `{SERVED}`: the true gain in accuracy at 64 labels, mean and standard deviation; the share of replays in which
"helps" has been said at so many control labels.

{_table(served, _said_row, ("replays", "true gain", *at_looks))}

## Measured: how far off

By `{SERVED}`: the mean of measured less true gains at so many control labels, and the share of replays in which the
truth is within 1.96 errors.

{_table(served, _error_row, at_looks)}

{_of_forecasts(forecasts)}## The next 64 labels

D, the share of the pool whose predicted class changed over the last 64 labels; by how much the next 64 changed
accuracy; the share of replays in which that was at most D, and at most D / 2.

{_table(steps, _step_row, ("replays", "D", "next gain", "at most D", "at most D / 2"))}
"""


def _of_forecasts(forecasts: Sequence[Forecasted]) -> str:
    """Nothing where none was made."""
    if not forecasts:
        return ""
    return f"""\
## Forecast

Gains in accuracy over random sampling at equal labels; the mean distance of forecast and truth; the share of replays in
which it is at most .02, and at most the band's {forecast.BAND:g}; in how many it was told how many times as many labels
random sampling needs, and how often that was so.

{_table(forecasts, _forecast_row, FORECAST_HEAD)}

"""


def _table(cells: Sequence[Some], row: Callable[[Sequence[Some]], list[str]], head: Sequence[str]) -> str:
    """A row for each corpus, and for each number of labels where cells have one; then one for all."""
    groups: dict[tuple[str, ...], list[Some]] = {}
    for cell in cells:
        labels = () if isinstance(cell, Measured) else (f"{cell.labels}",)
        groups.setdefault((cell.corpus, *labels), []).append(cell)
    rows = [[*group, *row(of_group)] for group, of_group in groups.items()]
    names = ["corpus", "labels"][: len(next(iter(groups)))]
    return markdown.table([*names, *head], [*rows, [ALL, *([""] * len(names[1:])), *row(cells)]])


def _false_row(cells: Sequence[Measured]) -> list[str]:
    by_chance = [cell for cell in cells if cell.order == RANDOM]
    served = [cell for cell in cells if cell.order == SERVED]
    nothing = [[cell for cell in some if cell.truth <= 0] for some in (served, by_chance)]
    counted = (nothing[0], by_chance, nothing[1])
    return [f"{number}" for some in counted for number in (len(some), sum(map(_said, some)))]


def _said_row(cells: Sequence[Measured]) -> list[str]:
    truths = np.array([cell.truth for cell in cells])
    return [f"{len(cells)}", f"{truths.mean():+.3f} ± {truths.std():.3f}", *(_share(cells, _by(m)) for m in LOOKS)]


def _by(labels: int) -> Callable[[Measured], bool]:
    return lambda cell: cell.said_at is not None and cell.said_at <= labels


def _said(cell: Measured) -> bool:
    return cell.said_at is not None


def _error_row(cells: Sequence[Measured]) -> list[str]:
    off_SL = np.array([cell.gains for cell in cells]) - np.array([[cell.truth] for cell in cells])
    inside_SL = np.abs(off_SL) <= 1.96 * np.array([cell.errors for cell in cells])
    return [
        f"{off:+.3f}, {inside:.2f}" for off, inside in zip(off_SL.mean(axis=0), inside_SL.mean(axis=0), strict=True)
    ]


def _forecast_row(cells: Sequence[Forecasted]) -> list[str]:
    gains, truths = (np.array([getattr(cell, name) for cell in cells]) for name in ("gain", "truth"))
    told = [cell for cell in cells if cell.most]
    return [
        f"{len(cells)}",
        f"{gains.mean():+.3f}",
        f"{truths.mean():+.3f}",
        f"{np.abs(gains - truths).mean():.3f}",
        _share(cells, lambda cell: abs(cell.gain - cell.truth) <= 0.02),
        _share(cells, lambda cell: abs(cell.gain - cell.truth) <= forecast.BAND),
        f"{len(told)}",
        _share(told, lambda cell: cell.least <= cell.true_times <= cell.most),
    ]


def _step_row(cells: Sequence[Step]) -> list[str]:
    changed, gain = (np.mean([getattr(cell, name) for cell in cells]) for name in ("changed", "gain"))
    return [
        f"{len(cells)}",
        f"{changed:.3f}",
        f"{gain:+.3f}",
        _share(cells, lambda cell: abs(cell.gain) <= cell.changed),
        _share(cells, lambda cell: abs(cell.gain) <= cell.changed / 2),
    ]


def _share(cells: Sequence[Some], holds: Callable[[Some], bool]) -> str:
    return f"{sum(map(holds, cells)) / len(cells):.2f}" if cells else ""
