"""One round of active learning: fit, evaluate, score the pool, order it. Does not know where labels come from.

`run_round` serves production and simulation alike.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nextlabel.errors import DivergedError, NotEnoughLabelsError
from nextlabel.learning.diversity import diverse_batch
from nextlabel.learning.metrics import Scores, evaluate
from nextlabel.learning.strategies import (
    STRATEGIES,
    acquire,
    draws,
    most_informative_first,
    needs_passes,
)
from nextlabel.model import classifier as classifiers
from nextlabel.model import training
from nextlabel.model.classifier import Classifier, Recipe
from nextlabel.model.tokens import TokenCache
from nextlabel.values.arrays import Array, Ints
from nextlabel.values.examples import Example

StageProgress = Callable[[str, int, int], None]  # stage, done, total

CANDIDATES = 10  # informative examples per place in a diverse batch
PASSES = 10  # of Monte-Carlo dropout, for the strategies that need them
CHANCE = 2.0  # standard errors that a difference on the holdout must exceed
DIVERSE = "diverse_"
QUERY_STRATEGIES = (*STRATEGIES, *(DIVERSE + name for name in STRATEGIES if name != "random"))


@dataclass(frozen=True)
class Scored:
    """What a version says of some examples: probabilities (N, C) and acquisition values (N) in [0, 1]."""

    examples: Sequence[Example]
    probs_NC: Array
    values_N: Array

    def __getitem__(self, part: slice) -> "Scored":
        return Scored(self.examples[part], self.probs_NC[part], self.values_N[part])


@dataclass(frozen=True)
class Round:
    """The outcome of a round. `predictions_N` are classes on the labelled holdout, without which `scores` is None.

    `seconds` are by stage.
    """

    classifier: Classifier
    scores: Scores | None
    predictions_N: Ints
    pool: Scored
    seconds: Mapping[str, float]


def run_round(
    recipe: Recipe,
    labels: Sequence[str],
    labelled: Sequence[tuple[Example, str]],
    pool: Sequence[Example],
    holdout: Sequence[tuple[Example, str]],
    strategy: str,
    progress: StageProgress = lambda stage, done, total: None,
    cache: TokenCache | None = None,
) -> Round:
    """Fit on `labelled`, evaluate on `holdout`, and value every example of `pool` by `strategy`.

    Pool values come from the fast precision. With a `cache` no text is tokenised twice. Raises `NotEnoughLabelsError`
    when `missing_labels` has a complaint, `DivergedError` when the weights have become useless.
    """
    complaint = missing_labels(labels, [label for _, label in labelled])
    if complaint:
        raise NotEnoughLabelsError(complaint)
    clock = _Clock()

    def fitted(done: int, total: int) -> None:
        if done == 0:
            clock.stop("prepare")
        progress("fit", done, total)

    classifier = training.fit(
        recipe,
        labels,
        [example for example, _ in labelled],
        class_numbers(labels, [label for _, label in labelled]),
        fitted,
        cache,
    )
    clock.stop("fit")
    if not np.isfinite(classifier.predict_proba([labelled[0][0]])).all():
        raise DivergedError(
            f"The fit ended in weights that are not numbers; the learning rate {recipe.learning_rate} is too high."
        )
    predictions_N = predict_classes(classifier, holdout)
    scores = _scores(labels, holdout, predictions_N)
    clock.stop("evaluate")
    scored = score_pool(classifier, pool, strategy, recipe.seed, progress=lambda d, t: progress("score", d, t))
    clock.stop("score")
    return Round(classifier, scores, predictions_N, scored, clock.seconds)


def score_pool(
    classifier: Classifier,
    examples: Sequence[Example],
    strategy: str,
    seed: int,
    exact: bool = False,
    progress: classifiers.Progress | None = None,
) -> Scored:
    """Probabilities and values of examples. Of a `diverse_` strategy, the values that it starts from.

    Without Monte-Carlo passes an example's value does not depend on what it is batched with.
    """
    name = strategy.removeprefix(DIVERSE)
    if needs_passes(name):
        probs_NKC = classifier.sample_proba(examples, PASSES, seed)
    else:
        probs_NKC = classifier.predict_proba(examples, exact, progress)[:, None, :]
    ids_N = np.array([e.id for e in examples], dtype=np.int64)
    return Scored(examples, probs_NKC.mean(axis=1), acquire(name, probs_NKC, draws(ids_N, seed)))


def select(classifier: Classifier, pool: Scored, strategy: str, count: int, seed: int) -> list[Example]:
    """The next batch to label: `count` examples of the scored pool, or all when there are fewer.

    The same that the live queue would serve: the head is scored again in fp32 until it holds only exact values.
    """
    count = min(count, len(pool.examples))
    if strategy.startswith(DIVERSE):
        return _diverse(classifier, pool, count, seed)
    values_N = pool.values_N.copy()
    exact_N = np.full(len(values_N), needs_passes(strategy) or strategy == "random")
    while True:
        order_N = most_informative_first(values_N)
        head = order_N[:count]
        if exact_N[head].all():
            return [pool.examples[i] for i in head]
        ahead = order_N[: count + count // 4 + 1]  # some more, as exact values change places
        inexact = ahead[~exact_N[ahead]]
        values_N[inexact] = score_pool(
            classifier, [pool.examples[i] for i in inexact], strategy, seed, exact=True
        ).values_N
        exact_N[inexact] = True


def _diverse(classifier: Classifier, pool: Scored, count: int, seed: int) -> list[Example]:
    candidates = most_informative_first(pool.values_N)[: count * CANDIDATES]
    examples = [pool.examples[i] for i in candidates]
    rng = np.random.default_rng(seed)
    chosen = diverse_batch(pool.values_N[candidates], classifier.embed(examples), count, rng, CANDIDATES)
    return [examples[i] for i in chosen]


def round_seed(seed: int, number: int) -> int:
    """The seed of round `number` (0: the start set) of a run: its training and its draws, whatever the strategy."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def joined(parts: Sequence[Scored]) -> Scored:
    """One after the other as one; at least one part."""
    return Scored(
        [example for part in parts for example in part.examples],
        np.concatenate([part.probs_NC for part in parts]),
        np.concatenate([part.values_N for part in parts]),
    )


def score_holdout(classifier: Classifier, holdout: Sequence[tuple[Example, str]]) -> Scores | None:
    """Accuracy, F1 and their mean on the labelled holdout; None when it is empty."""
    return _scores(classifier.labels, holdout, predict_classes(classifier, holdout))


def predict_classes(classifier: Classifier, holdout: Sequence[tuple[Example, str]]) -> Ints:
    """The class that it finds likeliest for each example, in the fast precision."""
    predictions_N: Ints = classifier.predict_proba([example for example, _ in holdout], exact=False).argmax(axis=1)
    return predictions_N


def _scores(labels: Sequence[str], holdout: Sequence[tuple[Example, str]], predictions_N: Ints) -> Scores | None:
    if not holdout:
        return None
    return evaluate(class_numbers(labels, [label for _, label in holdout]), predictions_N, len(labels))


def score_drop(targets_N: Ints, before_N: Ints, after_N: Ints, classes: int) -> float:
    """By how much the combined score of the guesses `after_N` is below that of `before_N` on the same examples; 0 when
    no more right guesses have become wrong than chance explains.

    The bound is two standard errors of the paired difference (McNemar): on a small holdout much may be chance.
    """
    lost = int(np.sum((before_N == targets_N) & (after_N != targets_N)))
    won = int(np.sum((before_N != targets_N) & (after_N == targets_N)))
    if lost - won <= CHANCE * math.sqrt(lost + won):
        return 0.0
    before, after = (evaluate(targets_N, predictions_N, classes) for predictions_N in (before_N, after_N))
    return before.combined - after.combined


def missing_labels(labels: Sequence[str], given: Sequence[str]) -> str:
    """What is missing before a fit makes sense, in words for a person; empty when nothing is."""
    counts = Counter(given)
    present = [label for label in labels if counts[label]]
    if len(present) >= 2:
        return ""
    if not present:
        return "No usable label yet; at least two classes need one label each."
    absent = [label for label in labels if not counts[label]]
    return f"All {counts[present[0]]} labels so far are {present[0]!r}; label at least one task as one of {absent}."


def class_numbers(labels: Sequence[str], given: Sequence[str]) -> Ints:
    """Labels as positions in `labels`."""
    number = {label: i for i, label in enumerate(labels)}
    return np.array([number[label] for label in given], dtype=np.int64)


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def stop(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = round(now - self._since, 3)
        self._since = now
