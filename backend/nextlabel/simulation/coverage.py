"""How often the intervals of a random sample cover the truth: drawn again and again from known confusion tables.

Knows no models. What is drawn are examples of a large population, with replacement; how sure the model is of an example
depends on whether it is right. The true figures are those of the table.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel.problems import quality
from nextlabel.problems.intervals import Interval, any_time, clopper_pearson, wilson
from nextlabel.problems.quality import Estimate
from nextlabel.simulation.confusion_tables import CONFIDENCES, ConfusionTable
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Ints

LABELS = (20, 40, 80, 160)
REPLAYS = 1_000
DRAWS = 200  # of a bootstrap
ENOUGH = 0.93  # a nominal 95 % interval below it is marked

ABOUT = f"""\
Samples of {LABELS[0]} to {LABELS[-1]} examples, drawn {REPLAYS:,} times from known confusion tables
(`simulation/confusion_tables.py`): in how many the nominal 95 % interval covers the table's own figure, and how wide it
is on average. **Bold**: below {ENOUGH}; {REPLAYS:,} replays tell a coverage to about ± 0.014. Wilson's goes up and down
with the truth: where one class of two is absent it is at 0.91 to 0.93 by exact arithmetic, too.

Figures of single classes are counted over all classes and replays where the sample has an example. F1 of a class that
is neither there nor predicted counts as 0 in the true macro-F1. The bootstrap takes percentiles of {DRAWS} resamples;
its macro-F1 is over the classes seen in the resample, as scikit-learn's is by default. Where a figure is looked at
after each label, what the intervals of all looks have in common must cover it. Labels of which any may be given are
counted on the same tables, where one belongs to each text; steps are the classes in their order."""


@dataclass(frozen=True)
class Sample:
    """The first examples of a replay: positions in the flattened table, and how sure the model is of each."""

    classes: int
    cells_N: Ints
    confidences_N: Array
    seed: tuple[int, ...]

    @functools.cached_property
    def confusion(self) -> Ints:
        """The sample's own table (K x K)."""
        return quality.confusion(self.cells_N // self.classes, self.cells_N % self.classes, self.classes)

    @functools.cached_property
    def right(self) -> Ints:
        """By example (N): 1 for a right answer, else 0."""
        return np.asarray(self.cells_N // self.classes == self.cells_N % self.classes, dtype=np.int64)

    @property
    def step_errors(self) -> Ints:
        """By example (N): by how many steps the answer misses, were the classes steps."""
        return np.asarray(np.abs(self.cells_N // self.classes - self.cells_N % self.classes), dtype=np.int64)

    @property
    def resampled(self) -> Ints:
        """Positions of the bootstrap's resamples (B x N), the same each time; not kept, as they are large."""
        examples = len(self.cells_N)
        return np.random.default_rng([*self.seed, examples]).integers(0, examples, (DRAWS, examples))


@dataclass(frozen=True)
class Method:
    """A way to an interval for a figure that has one value, or one for each class; None where there is none."""

    figure: str
    name: str
    truths: Callable[[ConfusionTable], Sequence[float | None]]
    intervals: Callable[[Sample], Sequence[Interval | None]]


@dataclass(frozen=True)
class Cell:
    """Of one method on one table at one number of labels: the share of intervals that cover the truth, mean width.

    `truth` is the mean over classes.
    """

    table: str
    figure: str
    method: str
    labels: int
    truth: float
    coverage: float
    width: float


def play(table: ConfusionTable, methods: Sequence[Method], replays: int = REPLAYS) -> list[Cell]:
    """Every method at every number of labels; the same numbers each time."""
    samples = [list(_prefixes(table, replay)) for replay in range(replays)]
    return [
        _cell(table, method, labels, [of_replay[i] for of_replay in samples])
        for method in methods
        for i, labels in enumerate(LABELS)
    ]


def _prefixes(table: ConfusionTable, replay: int) -> Iterator[Sample]:
    seed = (replay, *table.name.encode())
    rng = np.random.default_rng(seed)
    cells_N = rng.choice(table.counts_KK.size, LABELS[-1], p=(table.counts_KK / table.counts_KK.sum()).ravel())
    right_N = cells_N // table.classes == cells_N % table.classes
    drawn = [rng.choice(CONFIDENCES, LABELS[-1], p=weights) for weights in (table.when_right, table.when_wrong)]
    confidences_N = np.where(right_N, drawn[0], drawn[1]).astype(np.float64)
    for labels in LABELS:
        yield Sample(table.classes, cells_N[:labels], confidences_N[:labels], seed)


def _cell(table: ConfusionTable, method: Method, labels: int, samples: Sequence[Sample]) -> Cell:
    truths = method.truths(table)
    pairs = [
        (truth, interval)
        for sample in samples
        for truth, interval in zip(truths, method.intervals(sample), strict=True)
        if truth is not None and interval is not None
    ]
    known = [truth for truth in truths if truth is not None]
    coverage = sum(interval.covers(truth) for truth, interval in pairs) / len(pairs)
    width = sum(interval.width for _, interval in pairs) / len(pairs)
    numbers = (round(number, 4) for number in (sum(known) / len(known), coverage, width))
    return Cell(table.name, method.figure, method.name, labels, *numbers)


def _of_right(interval: Callable[[int, int], Interval]) -> Callable[[Sample], list[Interval]]:
    return lambda sample: [interval(int(sample.right.sum()), len(sample.right))]


def _watched(interval: Callable[[int, int], Interval]) -> Callable[[Sample], list[Interval]]:
    """What is in the intervals of all looks, one after each label."""

    def common(sample: Sample) -> list[Interval]:
        looks = [interval(right, i + 1) for i, right in enumerate(sample.right.cumsum().tolist())]
        return [Interval(max(look.low for look in looks), min(look.high for look in looks))]

    return common


def _estimated(estimates: Callable[[Ints], Sequence[Estimate]]) -> Callable[[Sample], list[Interval | None]]:
    return lambda sample: [
        None if estimate.value is None else estimate.interval for estimate in estimates(sample.confusion)
    ]


def _wilson_of_recalls(confusion_KK: Ints) -> list[Estimate]:
    pairs = zip(np.diag(confusion_KK).tolist(), confusion_KK.sum(axis=1).tolist(), strict=True)
    return [Estimate(right / n if n else None, wilson(right, n), n) for right, n in pairs]


def _bootstrap(figure: Callable[[Sample], Array]) -> Callable[[Sample], list[Interval]]:
    def percentiles(sample: Sample) -> list[Interval]:
        low, high = np.quantile(figure(sample), (0.025, 0.975)).tolist()
        return [Interval(low, high)]

    return percentiles


def _resampled_macro_f1(sample: Sample) -> Array:
    """Of each resample (B), over the classes that it has."""
    cells, places_N = np.unique(sample.cells_N, return_inverse=True)
    counts_BC = (places_N[sample.resampled][:, :, None] == np.arange(len(cells))).sum(axis=1)
    seen = np.union1d(cells // sample.classes, cells % sample.classes)
    is_CK, said_CK = cells[:, None] // sample.classes == seen, cells[:, None] % sample.classes == seen
    right_BK, both_BK = counts_BC @ (is_CK & said_CK), counts_BC @ (is_CK.astype(int) + said_CK)
    f1_BK = 2 * right_BK / np.maximum(both_BK, 1)
    return np.asarray(f1_BK.sum(axis=1) / (both_BK > 0).sum(axis=1), dtype=np.float64)


def _each_and_the_rest(confusion_KK: Ints) -> list[Ints]:
    """Of each class a table (2 x 2): not it, and it."""
    right_K, is_K, said_K = np.diag(confusion_KK), confusion_KK.sum(axis=1), confusion_KK.sum(axis=0)
    neither_K = confusion_KK.sum() - is_K - said_K + right_K
    cells = zip(
        neither_K.tolist(), (said_K - right_K).tolist(), (is_K - right_K).tolist(), right_K.tolist(), strict=True
    )
    return [np.array(counts, dtype=np.int64).reshape(2, 2) for counts in cells]


def _gaps(sample: Sample) -> Array:
    return sample.confidences_N - sample.right


WILSON, EXACT, ANY_TIME = "Wilson", "Clopper-Pearson", "any time"
BOOTSTRAP = "bootstrap percentile"
_any_time = functools.cache(any_time)
_wilson = functools.cache(wilson)

METHODS = (
    Method("accuracy", WILSON, lambda table: [table.accuracy], _of_right(_wilson)),
    Method("accuracy", EXACT, lambda table: [table.accuracy], _of_right(functools.cache(clopper_pearson))),
    Method("accuracy", ANY_TIME, lambda table: [table.accuracy], _of_right(_any_time)),
    Method(
        "accuracy",
        BOOTSTRAP,
        lambda table: [table.accuracy],
        _bootstrap(lambda sample: sample.right[sample.resampled].mean(axis=1)),
    ),
    Method("accuracy, looked at after each label", ANY_TIME, lambda table: [table.accuracy], _watched(_any_time)),
    Method("accuracy, looked at after each label", WILSON, lambda table: [table.accuracy], _watched(_wilson)),
    Method("recall of each class", EXACT, lambda table: table.recalls, _estimated(quality.recalls)),
    Method("recall of each class", WILSON, lambda table: table.recalls, _estimated(_wilson_of_recalls)),
    Method("F1 of each class", f"{EXACT} of J", lambda table: table.f1s, _estimated(quality.f1s)),
    Method(
        "macro-F1",
        "square-and-add",
        lambda table: [table.macro_f1],
        _estimated(lambda confusion_KK: [quality.macro_f1(confusion_KK)]),
    ),
    Method(
        "macro-F1",
        "square-and-add of Wilson alone",
        lambda table: [table.macro_f1],
        lambda sample: [quality.mean_f1(sample.confusion, wilson)[1]],
    ),
    Method("macro-F1", BOOTSTRAP, lambda table: [table.macro_f1], _bootstrap(_resampled_macro_f1)),
    Method(
        "mean confidence minus accuracy",
        "paired square-and-add",
        lambda table: [table.overconfidence],
        lambda sample: [quality.calibration(sample.confidences_N, sample.right).interval],
    ),
    Method(
        "mean confidence minus accuracy",
        BOOTSTRAP,
        lambda table: [table.overconfidence],
        _bootstrap(lambda sample: _gaps(sample)[sample.resampled].mean(axis=1)),
    ),
    Method(
        "macro-F1, as of labels of which any may be given",
        "mean of the labels' limits",
        lambda table: [table.macro_f1],
        lambda sample: [quality.macro_f1_of_labels(_each_and_the_rest(sample.confusion)).interval],
    ),
    Method(
        "mean error, as of steps",
        "sum of the shares' limits",
        lambda table: [table.step_error],
        lambda sample: [quality.step_error(sample.step_errors, sample.classes).interval],
    ),
)


def to_markdown(cells: Sequence[Cell]) -> str:
    """For each figure a table: confusion tables and methods by numbers of labels, each with coverage and width."""
    figures = dict.fromkeys(cell.figure for cell in cells)
    return "\n\n".join(_section(figure, [cell for cell in cells if cell.figure == figure]) for figure in figures)


def _section(figure: str, cells: Sequence[Cell]) -> str:
    of = {(cell.table, cell.method, cell.labels): cell for cell in cells}
    rows = [
        [table, f"{of[table, method, LABELS[0]].truth:.3f}", method, *(_shown(of[table, method, n]) for n in LABELS)]
        for table, method in dict.fromkeys((table, method) for table, method, _ in of)
    ]
    return f"## {figure[0].upper()}{figure[1:]}\n\n" + markdown.table(
        ["table", "truth", "interval", *(f"n = {n}: coverage, width" for n in LABELS)], rows
    )


def _shown(cell: Cell) -> str:
    mark = "**" if cell.coverage < ENOUGH else ""
    return f"{mark}{cell.coverage:.3f}{mark}, {cell.width:.2f}"
