"""What a fine-tuned transformer has to beat: logistic regression on words, or on what the encoder says before any fit.

Both are fitted in a moment. Knows scikit-learn; refuses torch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nextlabel.errors import of_extra
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example

TFIDF, FROZEN = "tfidf", "frozen"
KINDS = (TFIDF, FROZEN)
STRATEGIES = ("random", "entropy", "margin")  # those whose values come from one pass of probabilities
C = 10.0  # inverse strength of the L2 penalty, for both
STEPS = 1000  # of the solver, at most; it ends earlier

Features = Callable[[Sequence[Example]], Any]  # N examples to a matrix (N, D), dense or sparse


@dataclass(frozen=True)
class Baseline:
    """A fitted logistic regression over `classes` classes, of which it may have seen only some."""

    features: Features
    regression: Any
    classes: int

    def predict_proba(self, examples: Sequence[Example]) -> Array:
        """Class probabilities (N, C), rows summing to 1; 0 for a class that it has seen no example of."""
        probs_NC = np.zeros((len(examples), self.classes))
        if examples:
            probs_NC[:, self.regression.classes_] = self.regression.predict_proba(self.features(examples))
        return probs_NC


def kind_of(arm: str) -> str:
    """`tfidf` or `frozen` for an arm such as `tfidf:margin`; empty for one that fits the transformer."""
    kind = arm.partition(":")[0]
    return kind if ":" in arm and kind in KINDS else ""


def fit(kind: str, data: TextSet, labelled: set[int], embeddings: Mapping[int, Array] | None = None) -> Baseline:
    """Fit on the labelled training examples; the words of TF-IDF are counted in the whole training part.

    `embeddings` by example's id are what `frozen` reads. Raises `MissingPackageError` without scikit-learn.
    """
    with of_extra("simulation", "A baseline"):
        from sklearn.linear_model import LogisticRegression
    if kind == FROZEN:
        assert embeddings is not None
        features = _of_encoder(embeddings)
    else:
        features = _of_words([example for example, _ in data.train])
    items = [item for item in data.train if item[0].id in labelled]
    targets_N = data.question.class_numbers([label for _, label in items])
    regression = LogisticRegression(C=C, max_iter=STEPS)
    regression.fit(features([example for example, _ in items]), targets_N)
    return Baseline(features, regression, len(data.labels))


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
