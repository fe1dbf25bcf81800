"""How good predictions are on labelled examples. Knows numpy only."""

from dataclasses import asdict, dataclass

import numpy as np

from nextlabel.values.arrays import Ints, Targets


@dataclass(frozen=True)
class Scores:
    """Holdout scores, each in [0, 1]. `combined` is the mean of the other two, as GLUE reports MRPC."""

    accuracy: float
    f1: float
    combined: float
    examples: int

    def as_dict(self) -> dict[str, float]:
        """Plain numbers for a card or a record."""
        return asdict(self)


def evaluate(targets_N: Ints, predictions_N: Ints, classes: int) -> Scores:
    """Accuracy and F1 of class numbers. F1 is that of the first class when there are two, else the macro mean.

    The first label of a labelling config is by custom the positive one. The mean is over the classes that are present
    or guessed, as scikit-learn takes it. Raises `ValueError` on no examples.
    """
    if len(targets_N) == 0:
        raise ValueError("cannot evaluate on 0 examples")
    accuracy = float(np.mean(targets_N == predictions_N))
    judged = [0] if classes == 2 else np.union1d(targets_N, predictions_N).tolist()
    f1 = float(np.mean([f1_of_class(targets_N, predictions_N, c) for c in judged]))
    return Scores(accuracy, f1, (accuracy + f1) / 2, len(targets_N))


def macro_f1(targets_N: Ints, predictions_N: Ints) -> float:
    """The mean F1 of the classes that have examples, in [0, 1]; which these are does not depend on the predictions.

    Raises `ValueError` on no examples.
    """
    if len(targets_N) == 0:
        raise ValueError("cannot evaluate on 0 examples")
    return float(np.mean([f1_of_class(targets_N, predictions_N, c) for c in np.unique(targets_N).tolist()]))


def f1_of_class(targets_N: Targets, predictions_N: Targets, positive: int) -> float:
    """Harmonic mean of precision and recall of one class; 0 when it is neither present nor guessed."""
    true_positives = int(np.sum((targets_N == positive) & (predictions_N == positive)))
    wrong = int(np.sum((targets_N == positive) != (predictions_N == positive)))
    return 2 * true_positives / (2 * true_positives + wrong) if true_positives else 0.0


def weighted_kappa(targets_N: Ints, predictions_N: Ints, steps: int) -> float:
    """Agreement on ordered classes beyond chance, a miss weighing as the square of its steps (Cohen 1968): 1 where all
    is right, about 0 for guesses that do not depend on the text, which is what it is where all are one class."""
    seen_SS = np.zeros((steps, steps))
    np.add.at(seen_SS, (targets_N, predictions_N), 1.0)
    misses_SS = np.subtract.outer(np.arange(steps), np.arange(steps)) ** 2.0
    chance = float((np.outer(seen_SS.sum(axis=1), seen_SS.sum(axis=0)) / len(targets_N) * misses_SS).sum())
    return 1 - float((seen_SS * misses_SS).sum()) / chance if chance else 0.0
