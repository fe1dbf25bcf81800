"""Whether a second label pays more than a new one: some labels of a corpus are made wrong, and each way spends the same
number of further annotations.

Heads are fresh ones on the base encoder's frozen embeddings. Labels that are made wrong at random are easier to find
than people's own mistakes, so that what is gained here is the most that may be hoped for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning.doubt import SUSPECT, Cast, doubts, said, weigh
from nextlabel.learning.forecast import replayed
from nextlabel.learning.fresh_heads import Known, fresh_head
from nextlabel.learning.start_order import start_order
from nextlabel.learning.strategies import SERVED, acquire, most_informative_first
from nextlabel.model.classifier import Recipe
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation.cells import kept, setting_of
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.doubt import PEOPLE
from nextlabel.simulation.renewals import START, START_LABELS
from nextlabel.simulation.starts import Frozen, frozen_parts
from nextlabel.simulation.verdicts import difference
from nextlabel.values import markdown
from nextlabel.values.arrays import Ints

ROUNDS = 5  # in which the further annotations come
NEW, SUSPECTS, HALF, ALL = "new tasks", "suspects", "half again", "all again"
# Of the annotations of a round the share that may be second labels, and whether these are of suspects alone.
WAYS: Mapping[str, tuple[float, bool]] = {
    NEW: (0.0, False),
    SUSPECTS: (1.0, True),
    HALF: (0.5, False),
    ALL: (1.0, False),
}
MEASURES: Mapping[str, str] = {
    "accuracy": "Accuracy on test",
    "macro_f1": "Macro-F1 on test",
    "wrong": "Labels that are wrong in the end",
    "again": "Second labels, of the further annotations",
}
ABOUT = f"""\
The first labels come by `{SERVED}`, each from one of {PEOPLE} people. Then as many annotations again come in {ROUNDS}
rounds: as labels of new tasks by `{SERVED}` (`{NEW}`), or first as second labels, by another person, of labelled tasks:
of the suspects that look-again lists (`{SUSPECTS}`), or of the most doubtful ones, for half of the annotations or
for all. Each label is wrong with the share that is given, evenly over the other classes. Of two labels that differ that
one counts which model and people find more probable. A fresh head on the base encoder's frozen embeddings learns all
labels in force.

Means over seeds; then the difference to `{NEW}`, paired by seed, with Student's 95 % interval."""


@dataclass(frozen=True)
class SecondPlan:
    """How many tasks are labelled before, the shares of labels that are wrong, seeds, and texts at most in a pool."""

    labels: int
    wrong: Sequence[float]
    seeds: Sequence[int]
    pool: int


@dataclass(frozen=True)
class Cell:
    """A way on a corpus with a share of wrong labels, by seed: the measures of `MEASURES`, all from 0 to 1."""

    corpus: str
    wrong_share: float
    way: str
    accuracy: tuple[float, ...]
    macro_f1: tuple[float, ...]
    wrong: tuple[float, ...]
    again: tuple[float, ...]


def play(directory: Path, plan: SecondPlan, base_model: str, out: Path) -> list[Cell]:
    """The cells of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or the corpus has too few texts.
    """
    data, word_pieces = fetched.read_single(directory)

    def cells() -> Iterator[Cell]:
        train, test = frozen_parts(data, Recipe(base_model, 0, 0.0, 1, word_pieces, 0))
        if min(plan.pool, len(train.targets_N)) < 2 * plan.labels:
            raise BadRunError(
                f"A pool of {directory.name} has fewer than {2 * plan.labels} texts. Give fewer --labels."
            )
        return _play(directory.name, train, test, len(data.labels), plan)

    return [Cell(**cell) for cell in kept(out / f"{directory.name}.json", setting_of(plan, base_model, data), cells)]


def _play(corpus: str, train: Frozen, test: Frozen, classes: int, plan: SecondPlan) -> Iterator[Cell]:
    begun = [_begun(train, plan, seed) for seed in plan.seeds]
    for share in plan.wrong:
        for way in WAYS:
            found = []
            for (pool, first), seed in zip(begun, plan.seeds, strict=True):
                project = Project(pool, classes, share, np.random.default_rng([seed, round(share * 1000)]))
                project.label(first)
                for _ in range(ROUNDS):
                    project.annotate(way, plan.labels // ROUNDS)
                found.append(project.measured(test))
            yield Cell(corpus, share, way, **{name: tuple(one[name] for one in found) for name in MEASURES})


def _begun(train: Frozen, plan: SecondPlan, seed: int) -> tuple[Known, Ints]:
    """A pool, and the tasks that are labelled first."""
    drawn = np.random.default_rng(seed).permutation(len(train.targets_N))[: plan.pool]
    pool = Known(train.points_ND[drawn].astype(np.float64), train.targets_N[drawn])
    start = np.asarray(start_order(START, pool.features_ND, START_LABELS, seed))
    return pool, replayed(pool, start, SERVED, plan.labels, seed)


class Project:
    """Tasks of a `pool` that people label, a `share` of the labels wrong."""

    def __init__(self, pool: Known, classes: int, share: float, rng: np.random.Generator):
        self._pool, self._classes, self._share, self._rng = pool, classes, share, rng
        self.tasks: list[int] = []  # by row, the position in the pool
        self.casts: list[Cast] = []
        self.in_force_N: Ints = np.zeros(0, dtype=np.int64)
        self._first = 0  # labels before the first round

    def label(self, tasks: Sequence[int] | Ints) -> None:
        """First labels; each is in force."""
        rows = range(len(self.tasks), len(self.tasks) + len(tasks))
        self.tasks += [int(task) for task in tasks]
        given = [self._vote(row, row % PEOPLE) for row in rows]
        self.in_force_N = np.concatenate([self.in_force_N, np.array(given, dtype=np.int64)])

    def annotate(self, way: str, count: int) -> None:
        """A round: second labels as the way has it, and new tasks for the rest."""
        self._first = self._first or len(self.casts)
        share, suspects = WAYS[way]
        rows = self._doubtful(round(share * count), suspects) if share else []
        for row in rows:
            self._vote(row, (row + 1) % PEOPLE)
        new = self._informative(count - len(rows))
        self._settle(rows)
        self.label(new)

    def measured(self, test: Frozen) -> dict[str, float]:
        """By measure."""
        said_N = fresh_head(self._known()).predictions(test.points_ND.astype(np.float64))
        right_N = self._pool.targets_N[self.tasks]
        return {
            "accuracy": float(np.mean(said_N == test.targets_N)),
            "macro_f1": macro_f1(test.targets_N, said_N),
            "wrong": float(np.mean(self.in_force_N != right_N)),
            "again": (len(self.casts) - len(self.tasks)) / max(1, len(self.casts) - self._first),
        }

    def _known(self) -> Known:
        return Known(self._pool.features_ND[self.tasks], self.in_force_N)

    def _vote(self, row: int, person: int) -> int:
        """What the person says of it."""
        right, is_wrong = int(self._pool.targets_N[self.tasks[row]]), self._rng.random() < self._share
        choice = int(right + is_wrong * self._rng.integers(1, self._classes)) % self._classes
        self.casts.append(Cast(row, str(person), choice))
        return choice

    def _doubtful(self, count: int, suspects: bool) -> list[int]:
        """Rows with one label, the most doubtful first."""
        doubt_N, _ = doubts(self._known().features_ND, self.in_force_N, self.casts, self._classes)
        twice = {cast.row for cast in self.casts if cast.person != str(cast.row % PEOPLE)}
        rows = [int(row) for row in np.argsort(-doubt_N, kind="stable") if int(row) not in twice]
        return [row for row in rows if doubt_N[row] > 1 - SUSPECT or not suspects][:count]

    def _informative(self, count: int) -> list[int]:
        """New tasks."""
        open_N = np.setdiff1d(np.arange(len(self._pool)), self.tasks)
        probs_NC = fresh_head(self._known()).probabilities(self._pool.features_ND[open_N], self._classes)
        values_N = acquire(SERVED, probs_NC[:, None, :], np.zeros(len(open_N)))
        found: list[int] = open_N[most_informative_first(values_N)[:count]].tolist()
        return found

    def _settle(self, rows: Sequence[int]) -> None:
        """Of two labels of these tasks that differ, that which is more probable."""
        if not rows:
            return
        probs_NC = said(self._known().features_ND, self.in_force_N, self._classes)
        probs_NC = weigh(probs_NC, self.casts).probs_NC
        for row in rows:
            given = [cast.choice for cast in self.casts if cast.row == row]
            self.in_force_N[row] = max(given, key=lambda choice: (given.count(choice), probs_NC[row, choice]))


def to_markdown(cells: Sequence[Cell]) -> str:
    """For each share of wrong labels and measure corpora x ways, each with its difference to `NEW`."""
    return "\n\n".join(
        f"## {share * 100:g} % wrong\n\n"
        + "\n\n".join(f"{words}:\n\n{_table(share, name, cells)}" for name, words in MEASURES.items())
        for share in dict.fromkeys(cell.wrong_share for cell in cells)
    )


def _table(share: float, measure: str, cells: Sequence[Cell]) -> str:
    of = {(cell.corpus, cell.way): cell for cell in cells if cell.wrong_share == share}
    corpora = list(dict.fromkeys(corpus for corpus, _ in of))
    rows = [
        [corpus, *(_shown(getattr(of[corpus, way], measure), getattr(of[corpus, NEW], measure), way) for way in WAYS)]
        for corpus in corpora
    ]
    return markdown.table(["corpus", *WAYS], rows)


def _shown(values: Sequence[float], base: Sequence[float], way: str) -> str:
    mean = f"{np.mean(values):.3f}"
    if way == NEW:
        return mean
    gain = difference([value - of_base for value, of_base in zip(values, base, strict=True)])
    ends = "" if gain.low is None else f" [{gain.low:+.3f} to {gain.high:+.3f}]"
    return f"{mean} {gain.mean:+.3f}{ends}"
