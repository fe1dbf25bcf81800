"""How the doubts of several labels, or of several questions, are best made one value, and whether a rare question
drowns the others.

Forms are made of corpora with one label a text, on frozen embeddings: of texts on one or two topics, and of a topic
beside a rare yes or no. Heads are those of `learning.heads` around zero. Knows no fits of a transformer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning.heads import EVERY, refitted_form
from nextlabel.learning.start_order import start_order
from nextlabel.learning.strategies import SERVED, acquire, most_informative_first
from nextlabel.model.classifier import Recipe
from nextlabel.problems.metrics import f1_of_class, macro_f1
from nextlabel.simulation.cells import kept, setting_of
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.renewals import RANDOM, START, START_LABELS
from nextlabel.simulation.starts import Frozen, frozen_parts
from nextlabel.simulation.verdicts import difference
from nextlabel.simulation.wanted import SHARE, f1_of_thinned
from nextlabel.values import markdown
from nextlabel.values.arrays import Array, Bools, Ints
from nextlabel.values.layout import ANY_OF, MAXIMUM, MEAN, ONE_OF, Cut, Layout
from nextlabel.values.linear import Linear

TOPICS, RARE = "topics", "a rare question"
ALONE = "topic alone"
CARDINALITY = "label cardinality"
# Of each form the orders, the first of which the others are compared with.
ARMS: Mapping[str, tuple[str, ...]] = {
    TOPICS: (MAXIMUM, MEAN, CARDINALITY, RANDOM),
    RARE: (ALONE, MEAN, MAXIMUM, RANDOM),
}
MEASURES: Mapping[str, Mapping[str, str]] = {
    TOPICS: {"labels": "Mean F1 of the labels"},
    RARE: {"topic": "Macro-F1 of the topic", "rare": "F1 of the rare question's yes", "found": "Labels that say yes"},
}
ABOUT = f"""\
Heads around zero (`learning/heads`) on the base encoder's frozen embeddings, fitted again after every {EVERY} labels;
the first {START_LABELS} labels come in the order of `{START}`, the others by `{SERVED}`.

*{TOPICS}*: any labels may be given. Half of the texts are those of the corpus; half are two of them, their embedding
the mean of both, their labels those of both. The value of a text is the highest of its labels' values (`{MAXIMUM}`,
which is served), or their mean; or first come texts whose number of likely labels is farthest from the mean number that
labelled texts have, equal ones by `{MAXIMUM}` (`{CARDINALITY}`: Li & Guo 2013).

*{RARE}*: a question with one answer, and a yes or no whose yes is 1 % of the pool: a class that is thinned out, with
every seed another one; a text of it has no topic. The value is that of the topic alone, or the mean (which is served)
or the highest of both questions.

Means over seeds; then the difference to the first column, paired by seed, with Student's 95 % interval."""


@dataclass(frozen=True)
class FormPlan:
    """Rising label counts, seeds, and how many texts at most a pool has."""

    labels: Sequence[int]
    seeds: Sequence[int]
    pool: int


@dataclass(frozen=True)
class Cell:
    """An order of a form at one label count of a corpus, and a measure by seed."""

    corpus: str
    labels: int
    form: str
    arm: str
    measure: str
    by_seed: tuple[float, ...]


@dataclass(frozen=True)
class Answered:
    """Embeddings (N, D) of unit length, and answers (N, C) as `Layout.targets` writes them down."""

    points_ND: Array
    targets_NC: Array


@dataclass(frozen=True)
class Scene:
    """A form with a pool and a test: how each arm values texts, and the measures of a classifier's probabilities."""

    layout: Layout
    values: Mapping[str, Layout]
    pool: Answered
    test: Answered

    def best_first(self, arm: str, probs_NC: Array, known: Sequence[int]) -> Ints:
        """Positions of texts with these probabilities, once the `known` ones of the pool are labelled."""
        layout = self.values[MAXIMUM if arm == CARDINALITY else arm]
        values_N = acquire(SERVED, probs_NC[:, None, :], np.zeros(len(probs_NC)), layout)
        if arm != CARDINALITY:
            return most_informative_first(values_N)
        usual = self.pool.targets_NC[list(known)].sum(axis=1).mean()
        unusual_N = np.abs(self.layout.guesses(probs_NC).sum(axis=1) - usual)
        return np.asarray(np.lexsort((-values_N, -unusual_N)))

    def scores(self, probs_NC: Array) -> dict[str, float]:
        """By measure, of the test's probabilities."""
        if self.layout.cuts[0].kind == ANY_OF:
            guessed_NC = self.layout.guesses(probs_NC)
            each = [f1_of_class(self.test.targets_NC[:, at], guessed_NC[:, at], 1) for at in range(guessed_NC.shape[1])]
            return {"labels": float(np.mean(each))}
        (_, topics), (_, rare) = self.layout.parts
        asked_N = ~np.isnan(self.test.targets_NC[:, topics]).all(axis=1)
        right_M = self.test.targets_NC[asked_N, topics].argmax(axis=1)
        yes_N, guessed_N = (of_NC[:, rare][:, 0].round().astype(int) for of_NC in (self.test.targets_NC, probs_NC))
        return {
            "topic": macro_f1(right_M, probs_NC[asked_N, topics].argmax(axis=1)),
            "rare": f1_of_thinned(yes_N, guessed_N, 1)[1],
        }

    def found(self, known: Sequence[int]) -> dict[str, float]:
        """By measure, of what was labelled."""
        if self.layout.cuts[0].kind == ANY_OF:
            return {}
        return {"found": float(self.pool.targets_NC[list(known), -1].sum())}


def play(directory: Path, plan: FormPlan, base_model: str, out: Path) -> list[Cell]:
    """The cells of a corpus, which OUT/CORPUS.json keeps: what is there of the same plan is not played again.

    Raises `BadCorpusError` for what is no corpus, `NoModelError` for no checkpoint, `BadRunError` when the file has
    another plan, or a pool has fewer texts than labels are asked for.
    """
    data, word_pieces = fetched.read_single(directory)

    def cells() -> Iterator[Cell]:
        return _play(directory.name, *frozen_parts(data, Recipe(base_model, 0, 0.0, 1, word_pieces, 0)), plan)

    return [Cell(**cell) for cell in kept(out / f"{directory.name}.json", setting_of(plan, base_model, data), cells)]


def _play(corpus: str, train: Frozen, test: Frozen, plan: FormPlan) -> Iterator[Cell]:
    made = {TOPICS: topics, RARE: beside_a_rare_one}
    for form, arms in ARMS.items():
        scenes = [made[form](corpus, train, test, plan, seed) for seed in plan.seeds]
        for arm in arms:
            of_seed = [_of_arm(scene, arm, plan.labels, seed) for scene, seed in zip(scenes, plan.seeds, strict=True)]
            for labels in plan.labels:
                for measure in MEASURES[form]:
                    by_seed = tuple(found[labels][measure] for found in of_seed)
                    yield Cell(corpus, labels, form, arm, measure, by_seed)


def topics(corpus: str, train: Frozen, test: Frozen, plan: FormPlan, seed: int) -> Scene:
    """Texts on one or two topics. Raises `BadRunError` for a pool with fewer texts than labels are asked for."""
    rng = np.random.default_rng(seed)
    classes = int(max(train.targets_N.max(), test.targets_N.max())) + 1
    names = tuple(map(str, range(classes)))
    asked = (Cut("topics", ANY_OF, names),)
    values = {way: Layout(asked, combine_labels=way) for way in (MAXIMUM, MEAN)}
    pool = _joined(train, classes, rng)
    size = _enough(corpus, plan, len(pool.points_ND))
    pool = Answered(pool.points_ND[:size], pool.targets_NC[:size])
    return Scene(Layout(asked), values, pool, _joined(test, classes, rng))


def _joined(part: Frozen, classes: int, rng: np.random.Generator) -> Answered:
    """In random order: every third text alone, the next two together."""
    order = rng.permutation(len(part.targets_N))
    order = order[: len(order) // 3 * 3]
    alone, one, other = order[0::3], order[1::3], order[2::3]
    targets_NC = np.eye(classes)[part.targets_N]
    both_MD = part.points_ND[one] + part.points_ND[other]
    both_MD /= np.linalg.norm(both_MD, axis=1, keepdims=True)
    points_ND = np.concatenate([part.points_ND[alone], both_MD])
    given_NC = np.concatenate([targets_NC[alone], np.maximum(targets_NC[one], targets_NC[other])])
    mixed = rng.permutation(len(points_ND))
    return Answered(points_ND[mixed], given_NC[mixed])


def beside_a_rare_one(corpus: str, train: Frozen, test: Frozen, plan: FormPlan, seed: int) -> Scene:
    """A topic beside a rare yes or no. Raises `BadRunError` where no class can be thinned out, or none is left."""
    rng = np.random.default_rng(seed)
    counts_C = np.bincount(train.targets_N)
    sizes_C = np.minimum(plan.pool, len(train.targets_N) - counts_C)
    rare_C = np.maximum(1, np.round(sizes_C * SHARE / (1 - SHARE)).astype(int))
    possible = np.flatnonzero(
        (counts_C >= rare_C) & (sizes_C >= plan.labels[-1]) & np.isin(range(len(counts_C)), test.targets_N)
    )
    if not len(possible) or len(counts_C) < 3:
        raise BadRunError(f"No class of {corpus} can be the rare one with {plan.labels[-1]} labels. Leave it out.")
    rare = int(possible[seed % len(possible)])
    others = tuple(str(label) for label in range(len(counts_C)) if label != rare)
    first, second = Cut("topic", ONE_OF, others), Cut("rare", ANY_OF, ("yes",))
    values = {
        ALONE: Layout((first, Cut("rare", ANY_OF, ("yes",), weight=0.0))),
        MEAN: Layout((first, second), MEAN),
        MAXIMUM: Layout((first, second), MAXIMUM),
    }
    drawn = rng.permutation(
        np.concatenate(
            [
                rng.permutation(np.flatnonzero(train.targets_N == rare))[: rare_C[rare]],
                rng.permutation(np.flatnonzero(train.targets_N != rare))[: sizes_C[rare]],
            ]
        )
    )
    pool = Answered(train.points_ND[drawn], _beside(train.targets_N[drawn], rare, len(counts_C)))
    return Scene(values[MEAN], values, pool, Answered(test.points_ND, _beside(test.targets_N, rare, len(counts_C))))


def _beside(targets_N: Ints, rare: int, classes: int) -> Array:
    """Answers to both questions; who says yes to the second is not asked the first."""
    is_rare_N: Bools = targets_N == rare
    topics_NC = np.delete(np.eye(classes)[targets_N], rare, axis=1)
    topics_NC[is_rare_N] = np.nan
    return np.column_stack([topics_NC, is_rare_N])


def _enough(corpus: str, plan: FormPlan, texts: int) -> int:
    size = min(plan.pool, texts)
    if size < plan.labels[-1]:
        raise BadRunError(
            f"--labels-at ends at {plan.labels[-1]}, and a pool of {corpus} has {size} texts. Give fewer."
        )
    return size


def _of_arm(scene: Scene, arm: str, counts: Sequence[int], seed: int) -> dict[int, dict[str, float]]:
    """The measures by label count."""
    size = len(scene.pool.points_ND)
    known = start_order(START, scene.pool.points_ND, START_LABELS, seed).tolist()
    shuffled = np.setdiff1d(np.random.default_rng(seed).permutation(size), known, assume_unique=True).tolist()
    found, head = {}, None
    for labels in counts:
        while len(known) < labels:
            depth = min(EVERY, labels - len(known))
            if arm == RANDOM:
                known += shuffled[len(known) - START_LABELS :][:depth]
                continue
            head = _head(scene, known, head)
            left = np.setdiff1d(np.arange(size), known)
            probs_NC = scene.layout.probabilities(head(scene.pool.points_ND[left]))
            known += left[scene.best_first(arm, probs_NC, known)[:depth]].tolist()
        head = _head(scene, known, head)
        found[labels] = {**scene.scores(scene.layout.probabilities(head(scene.test.points_ND))), **scene.found(known)}
    return found


def _head(scene: Scene, known: Sequence[int], near: Linear | None) -> Linear:
    """Around zero; the last one makes it sooner."""
    points_MD, targets_MC = scene.pool.points_ND[list(known)], scene.pool.targets_NC[list(known)]
    zero = Linear(np.zeros((targets_MC.shape[1], points_MD.shape[1])), np.zeros(targets_MC.shape[1]))
    return refitted_form(zero, points_MD, targets_MC, scene.layout, near=near)


def to_markdown(cells: Sequence[Cell]) -> str:
    """For each form, measure and label count corpora x orders, the mean with the difference to the form's first."""
    counts = sorted({cell.labels for cell in cells})
    return "\n\n".join(
        f"## {form[0].upper()}{form[1:]}\n\n"
        + "\n\n".join(
            f"{words}, {labels} labels:\n\n{_table(form, measure, labels, cells)}"
            for measure, words in MEASURES[form].items()
            for labels in counts
        )
        for form in ARMS
    )


def _table(form: str, measure: str, labels: int, cells: Sequence[Cell]) -> str:
    chosen = [cell for cell in cells if (cell.form, cell.measure, cell.labels) == (form, measure, labels)]
    of = {(cell.corpus, cell.arm): cell for cell in chosen}
    corpora, arms = list(dict.fromkeys(cell.corpus for cell in chosen)), ARMS[form]
    rows = [[corpus, *(_shown(of[corpus, arm], of[corpus, arms[0]]) for arm in arms)] for corpus in corpora]
    means = [f"{np.mean([np.mean(of[corpus, arm].by_seed) for corpus in corpora]):.3f}" for arm in arms]
    return markdown.table(["corpus", *arms], [*rows, ["mean", *means]])


def _shown(cell: Cell, base: Cell) -> str:
    mean = f"{np.mean(cell.by_seed):.3f}"
    if cell.arm == base.arm:
        return mean
    gain = difference([value - of_base for value, of_base in zip(cell.by_seed, base.by_seed, strict=True)])
    ends = "" if gain.low is None else f" [{gain.low:+.3f} to {gain.high:+.3f}]"
    return f"{mean} {gain.mean:+.3f}{ends}"
