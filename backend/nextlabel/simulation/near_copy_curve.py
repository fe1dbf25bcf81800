"""Where near-copies begin: which texts are held back though they differ, and which questions are served twice."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel.learning.near_copies import Alike, held_back, vocabulary
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.simulation.datasets import questions
from nextlabel.simulation.datasets.corpora import LABELS, Corpus
from nextlabel.values import markdown
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example

SERVED = 40
COSINES = (0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99)
COMMON = (0.7, 0.8, 0.85, 0.88, 0.9, 0.95)
NEVER = 2.0  # no cosine reaches it
RULES = {
    **{f"cosine from {cosine}": Alike(cosine, -math.inf) for cosine in COSINES},
    **{f"words alone, common below {common}": Alike(NEVER, common) for common in COMMON},
    "both, as held back": Alike(),
}


@dataclass(frozen=True)
class Point:
    """What a rule does.

    The shares of the pairs of sentences of either kind that it calls near-copies, and how many different questions are
    among the first 40 served when all variants of a question rank in a row, by set of variants.
    """

    rule: str
    different: float
    same: float
    distinct: Mapping[str, int]


def measure(corpus: Corpus, base_model: str) -> list[Point]:
    """A point for each of `RULES`, on a corpus of pairs of sentences and on the questions in four variants."""
    encoder = classifiers.load_base(Recipe(base_model, 0, 0.0, 1, 128, 0))
    pairs = [pair for part in (corpus.train, corpus.holdout, corpus.test) for pair in part]
    firsts = [Example(2 * i, pair.sentence1) for i, pair in enumerate(pairs)]
    seconds = [Example(2 * i + 1, pair.sentence2) for i, pair in enumerate(pairs)]
    sentences = (firsts, encoder.embed(firsts), seconds, encoder.embed(seconds))
    same_N = np.array([pair.label == LABELS[0] for pair in pairs])
    asked = {name: encoder.embed(questions.questions(name)) for name in questions.SETS}
    found = []
    for rule, alike in RULES.items():
        held_N = _held(*sentences, alike)
        distinct = {name: distinct_served(asked_MD, alike, name) for name, asked_MD in asked.items()}
        found.append(Point(rule, float(held_N[~same_N].mean()), float(held_N[same_N].mean()), distinct))
    return found


def distinct_served(embeddings_MD: Array, alike: Alike, variants: str = "polite") -> int:
    """How many of the first 40 questions served are different, when the four variants of each rank in a row."""
    asked = questions.questions(variants)
    held = held_back(asked, embeddings_MD, [], embeddings_MD[:0], vocabulary(asked), SERVED, alike)
    served = [example.id for example in asked if example.id not in held][:SERVED]
    return len({id // questions.VARIANTS for id in served})


def _held(
    firsts: Sequence[Example], firsts_ND: Array, seconds: Sequence[Example], seconds_ND: Array, alike: Alike
) -> Array:
    """Whether the second sentence of each pair waits when the first is at the head."""
    words = vocabulary([*firsts, *seconds])
    rows = zip(firsts, firsts_ND[:, None], seconds, seconds_ND[:, None], strict=True)
    return np.array([bool(held_back([b], b_1D, [a], a_1D, words, 1, alike)) for a, a_1D, b, b_1D in rows])


def to_markdown(points: Sequence[Point]) -> str:
    """A line for each rule."""
    head = ["near-copies by", "pairs that differ", "pairs that say the same", *points[0].distinct]
    rows = (
        [point.rule, f"{point.different:.2%}", f"{point.same:.2%}", *map(str, point.distinct.values())]
        for point in points
    )
    return markdown.table(head, rows)
