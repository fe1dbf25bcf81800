"""What a fine-tuned transformer has to beat: logistic regression on words, or on what the encoder says before any fit.

Both are fitted in a moment. Knows scikit-learn; refuses torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nextlabel.errors import of_extra
from nextlabel.learning.heads import FOLDS
from nextlabel.learning.thresholds import best_threshold
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example
from nextlabel.values.layout import ANY_OF, Cut, Layout

TFIDF, FROZEN = "tfidf", "frozen"
KINDS = (TFIDF, FROZEN)
STRATEGIES = ("random", "entropy", "margin")  # those whose values come from one pass of probabilities
C = 10.0  # inverse strength of the L2 penalty, for both
STEPS = 1000  # of the solver, at most; it ends earlier

Features = Callable[[Sequence[Example]], Any]  # N examples to a matrix (N, D), dense or sparse


@dataclass(frozen=True)
class Baseline:
    """Fitted logistic regressions, each of which says the probabilities of some of `classes` numbers: of a form one for
    each question or label. The `layout` is the form's, with thresholds."""

    features: Features
    parts: tuple[tuple[slice, "Part"], ...]
    classes: int
    layout: Layout | None = None

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Class probabilities (N, C), rows summing to 1, or as of the layout; 0 for a class that it has seen no example
        of."""
        probs_NC = np.zeros((len(examples), self.classes))
        if examples:
            read = self.features(examples)
            for at, part in self.parts:
                probs_NC[:, at] = part.probabilities(read)
        return probs_NC


@dataclass(frozen=True)
class Part:
    """A regression over `classes` classes, of which it may have seen only some: of two the probability of the second
    one. With one class seen, or none, there is no regression, and that class is certain."""

    regression: Any
    seen: Ints
    classes: int

    @classmethod
    def fitted(cls, read: Any, targets_N: Ints, classes: int) -> "Part":
        """On what the features read of N examples."""
        from sklearn.linear_model import LogisticRegression

        seen = np.unique(targets_N)
        several = len(seen) > 1
        return cls(LogisticRegression(C=C, max_iter=STEPS).fit(read, targets_N) if several else None, seen, classes)

    def probabilities(self, read: Any) -> Array:
        """(N, C), or (N, 1) where it is yes or no."""
        probs_NC = np.zeros((read.shape[0], max(2, self.classes)))
        probs_NC[:, self.seen] = self.regression.predict_proba(read) if self.regression is not None else 1.0
        return probs_NC if self.classes > 1 else probs_NC[:, 1:]


def kind_of(arm: str) -> str:
    """`tfidf` or `frozen` for an arm such as `tfidf:margin`; empty for one that fits the transformer."""
    kind = arm.partition(":")[0]
    return kind if ":" in arm and kind in KINDS else ""


def fit(kind: str, data: TextSet, labelled: set[int], embeddings: Mapping[int, Array] | None = None) -> Baseline:
    """Fit on the labelled training examples; the words of TF-IDF are counted in the whole training part.

    `embeddings` by example's id are what `frozen` reads. Raises `MissingPackageError` without scikit-learn.
    """
    with of_extra("simulation", "A baseline"):
        import sklearn.linear_model  # noqa: F401
    if kind == FROZEN:
        assert embeddings is not None
        features = _of_encoder(embeddings)
    else:
        features = _of_words([example for example, _ in data.train])
    items = [item for item in data.train if item[0].id in labelled]
    targets = data.question.class_numbers([label for _, label in items])
    read, layout, classes = features([example for example, _ in items]), data.question.layout, len(data.labels)
    if layout is None:
        return Baseline(features, ((slice(0, classes), Part.fitted(read, targets, classes)),), classes)
    parts = [(at, _of_question(cut, read, targets[:, at])) for cut, at in layout.parts]
    cuts = tuple(_with_thresholds(cut, read, targets[:, at]) for cut, at in layout.parts)
    columns = tuple((slice(at.start + c, at.start + c + width), one) for at, of in parts for c, width, one in of)
    return Baseline(features, columns, classes, replace(layout, cuts=cuts))


def _of_question(cut: Cut, read: Any, targets_NC: Array) -> list[tuple[int, int, Part]]:
    """Its regressions, each with its first column and their number."""
    if cut.kind == ANY_OF:
        return [(c, 1, _yes_or_no(read, targets_N)) for c, targets_N in enumerate(targets_NC.T)]
    asked_N = ~np.isnan(targets_NC).any(axis=1)
    return [(0, len(cut.labels), Part.fitted(read[asked_N], targets_NC[asked_N].argmax(axis=1), len(cut.labels)))]


def _yes_or_no(read: Any, targets_N: Array) -> Part:
    asked_N = ~np.isnan(targets_N)
    return Part.fitted(read[asked_N], targets_N[asked_N].astype(np.int64), 1)


def _with_thresholds(cut: Cut, read: Any, targets_NC: Array) -> Cut:
    """As `learning.thresholds` chooses them: by F1 on texts that the regression which says it was not fitted on."""
    if cut.kind != ANY_OF:
        return cut
    fold_N, probs_NC = np.arange(len(targets_NC)) % FOLDS, np.zeros_like(targets_NC)
    for column, targets_N in enumerate(targets_NC.T):
        for fold in range(FOLDS):
            out_N = fold_N == fold
            probs_NC[out_N, column] = _yes_or_no(read[~out_N], targets_N[~out_N]).probabilities(read[out_N])[:, 0]
    return replace(cut, thresholds=tuple(map(best_threshold, probs_NC.T, targets_NC.T)))


def _of_encoder(embeddings: Mapping[int, Array]) -> Features:
    return lambda examples: np.array([embeddings[example.id] for example in examples])


def _of_words(examples: Sequence[Example]) -> Features:
    """Words and pairs of words, sublinear counts; a pair's two texts are read one after the other."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    words.fit([_text(example) for example in examples])
    return lambda some: words.transform([_text(example) for example in some])


def _text(example: Example) -> str:
    return " ".join(example.texts)
