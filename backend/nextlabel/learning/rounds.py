"""One round of active learning: fit, evaluate, score the pool, order it. Does not know where labels come from.

`run_round` serves production and simulation alike.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nextlabel.errors import DivergedError, NotEnoughLabelsError
from nextlabel.learning.strategies import (
    STRATEGIES,
    Candidates,
    Strategy,
    acquire,
    draws,
    most_informative_first,
)
from nextlabel.model import classifier as classifiers
from nextlabel.model import training
from nextlabel.model.classifier import Classifier, Recipe
from nextlabel.model.tokens import TokenCache
from nextlabel.problems.metrics import Scores
from nextlabel.problems.question import Question
from nextlabel.values.arrays import Array, Features, Targets
from nextlabel.values.examples import Example

StageProgress = Callable[[str, int, int], None]  # stage, done, total

PASSES = 10  # of Monte-Carlo dropout, for the strategies that need them
NOTHING = np.empty((0, 0))  # embeddings that a strategy does not ask for


@dataclass(frozen=True)
class Scored:
    """What a version says of some examples: probabilities (N, C) and acquisition values (N) in [0, 1].

    `features_ND` is what its last layer read for that, where it was asked for and there is such a layer.
    """

    examples: Sequence[Example]
    probs_NC: Array
    values_N: Array
    features_ND: Features | None = None

    @property
    def width(self) -> int:
        """How many numbers the features of a text are; 0 without any."""
        return 0 if self.features_ND is None else self.features_ND.shape[1]

    def rows(self, places: Sequence[int]) -> "Scored":
        """What is said of those at these places."""
        at = list(places)
        features_ND = None if self.features_ND is None else self.features_ND[at]
        return Scored([self.examples[i] for i in at], self.probs_NC[at], self.values_N[at], features_ND)

    def __getitem__(self, part: slice) -> "Scored":
        features_ND = None if self.features_ND is None else self.features_ND[part]
        return Scored(self.examples[part], self.probs_NC[part], self.values_N[part], features_ND)


@dataclass(frozen=True)
class Round:
    """The outcome of a round. `holdout_NC` are probabilities on the labelled holdout, without which `scores` is None.

    `steps` of the optimiser were made; `labelled` is what the version says of what it was fitted on, with features, if
    these were asked for; `seconds` are by stage. `where` names the
    node of a cluster that made it, with device and precision; empty where it was made here.
    """

    classifier: Classifier
    scores: Scores | None
    holdout_NC: Array
    pool: Scored
    seconds: Mapping[str, float]
    steps: int
    labelled: Scored | None = None
    where: Mapping[str, Any] = field(default_factory=dict)


def run_round(
    recipe: Recipe,
    question: Question,
    labelled: Sequence[tuple[Example, str]],
    pool: Sequence[Example],
    holdout: Sequence[tuple[Example, str]],
    strategy: str,
    progress: StageProgress = lambda stage, done, total: None,
    cache: TokenCache | None = None,
    features: bool = False,
    weights_N: Array | None = None,
) -> Round:
    """Fit on `labelled`, evaluate on `holdout`, and value every example of `pool` by `strategy`.

    Pool values come from the fast precision. With a `cache` no text is tokenised twice. With `features`, for which a
    model needs a last layer, those of the pool and of what is labelled come along. Labels count by `weights_N`, from 0
    to 1; without, all alike. Raises `NotEnoughLabelsError` when the question misses labels, `DivergedError` when the
    model's weights have become useless.
    """
    answers = [label for _, label in labelled]
    complaint = question.missing_labels(answers)
    if complaint:
        raise NotEnoughLabelsError(complaint)
    clock, made = _Clock(), 0

    def fitted(done: int, total: int) -> None:
        nonlocal made
        made = done
        if done == 0:
            clock.stop("prepare")
        progress("fit", done, total)

    classifier = training.fit(
        recipe,
        question.labels,
        [example for example, _ in labelled],
        question.class_numbers(answers),
        fitted,
        cache,
        question.layout,
        weights_N,
    )
    clock.stop("fit")
    if not np.isfinite(classifier.predict_proba([labelled[0][0]])).all():
        raise DivergedError(
            f"The fit ended in weights that are not numbers; the learning rate {recipe.learning_rate} is too high."
        )
    holdout_NC = classifier.predict_proba([example for example, _ in holdout], exact=False)
    predictions = question.predicted(holdout_NC)
    scores = _scores(question, holdout, predictions)
    clock.stop("evaluate")
    features = features and classifier.has_last_layer
    known = score_pool(classifier, [e for e, _ in labelled], strategy, recipe.seed, features=True) if features else None
    scored = score_pool(
        classifier, pool, strategy, recipe.seed, progress=lambda d, t: progress("score", d, t), features=features
    )
    clock.stop("score")
    return Round(classifier, scores, holdout_NC, scored, clock.seconds, made, known)


def score_pool(
    classifier: Classifier,
    examples: Sequence[Example],
    strategy: str,
    seed: int,
    exact: bool = False,
    progress: classifiers.Progress | None = None,
    features: bool = False,
) -> Scored:
    """Probabilities and values of examples. Of a strategy that picks a batch, the values that it starts from.

    Without Monte-Carlo passes an example's value does not depend on what it is batched with. `features`, which come
    from such a pass, raise `NoModelError` for a model without a last layer.
    """
    features_ND = None
    if STRATEGIES[strategy].passes:
        probs_NKC = classifier.sample_proba(examples, PASSES, seed)
    elif features:
        probs_NC, features_ND = classifier.predict_with_features(examples, exact, progress)
        probs_NKC = probs_NC[:, None, :]
    else:
        probs_NKC = classifier.predict_proba(examples, exact, progress)[:, None, :]
    ids_N = np.array([e.id for e in examples], dtype=np.int64)
    values_N = acquire(strategy, probs_NKC, draws(ids_N, seed), classifier.layout)
    return Scored(examples, probs_NKC.mean(axis=1), values_N, features_ND)


def select(
    classifier: Classifier,
    pool: Scored,
    strategy: str,
    count: int,
    seed: int,
    labelled: Sequence[Example] = (),
) -> list[Example]:
    """The next batch to label: `count` examples of the scored pool, or all when there are fewer.

    The same that the live queue would serve: the head is scored again in fp32 until it holds only exact values.
    `labelled` are the examples labelled so far, for strategies that look at them.
    """
    count = min(count, len(pool.examples))
    declared = STRATEGIES[strategy]
    if declared.batch is not None:
        return _picked(classifier, pool, declared, count, seed, labelled)
    return [example for example, _ in most_informative(classifier, pool, strategy, count, seed)]


def most_informative(
    classifier: Classifier, pool: Scored, strategy: str, count: int, seed: int
) -> list[tuple[Example, float]]:
    """The `count` examples of the highest values, or all when there are fewer, with values that are exact."""
    values_N = pool.values_N.copy()
    exact_N = np.full(len(values_N), not STRATEGIES[strategy].exact)
    while True:
        order_N = most_informative_first(values_N)
        head = order_N[:count]
        if exact_N[head].all():
            return [(pool.examples[i], float(values_N[i])) for i in head]
        ahead = order_N[: count + count // 4 + 1]  # some more, as exact values change places
        inexact = ahead[~exact_N[ahead]]
        values_N[inexact] = score_pool(
            classifier, [pool.examples[i] for i in inexact], strategy, seed, exact=True
        ).values_N
        exact_N[inexact] = True


def _picked(
    classifier: Classifier,
    pool: Scored,
    strategy: Strategy,
    count: int,
    seed: int,
    labelled: Sequence[Example],
) -> list[Example]:
    assert strategy.batch is not None
    size = None if strategy.shortlist is None else count * strategy.shortlist
    shortlist = most_informative_first(pool.values_N)[:size]
    examples = [pool.examples[i] for i in shortlist]
    candidates = Candidates(
        pool.values_N[shortlist],
        classifier.embed(examples) if strategy.embeddings else NOTHING,
        classifier.embed(labelled) if strategy.labelled else NOTHING,
    )
    return [examples[i] for i in strategy.batch(candidates, count, np.random.default_rng(seed))]


def round_seed(seed: int, number: int) -> int:
    """The seed of round `number` (0: the start set) of a run: its training and its draws, whatever the strategy."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def joined(parts: Sequence[Scored]) -> Scored:
    """One after the other as one; at least one part."""
    features = [part.features_ND for part in parts if part.features_ND is not None]
    return Scored(
        [example for part in parts for example in part.examples],
        np.concatenate([part.probs_NC for part in parts]),
        np.concatenate([part.values_N for part in parts]),
        np.concatenate(features) if len(features) == len(parts) else None,
    )


def score_holdout(question: Question, classifier: Classifier, holdout: Sequence[tuple[Example, str]]) -> Scores | None:
    """Accuracy, F1 and their mean on the labelled holdout; None when it is empty."""
    return _scores(question, holdout, predict_classes(question, classifier, holdout))


def predict_classes(question: Question, classifier: Classifier, holdout: Sequence[tuple[Example, str]]) -> Targets:
    """What the model answers for each example, in the fast precision."""
    return question.predicted(classifier.predict_proba([example for example, _ in holdout], exact=False))


def _scores(question: Question, holdout: Sequence[tuple[Example, str]], predictions: Targets) -> Scores | None:
    if not holdout:
        return None
    return question.evaluate(question.class_numbers([label for _, label in holdout]), predictions)


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._since, 3)
        self._since = now
