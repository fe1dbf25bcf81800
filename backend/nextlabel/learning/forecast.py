"""What the order saves, as a version forecasts it: the project played again in the version's own world. Pure.

A world is drawn: tasks that people labelled keep their labels, all others get one from the version's probabilities. In
it two arms are replayed with fresh heads on frozen features: the strategy in force, from the project's first labels on,
and random sampling. Both are judged by expected accuracy on a third of the tasks, which neither may choose. That is a
model's view of itself, not a measurement: say "forecast", and never "measured".
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nextlabel.learning.diversity import require
from nextlabel.learning.fresh_heads import Known, fresh_head
from nextlabel.learning.strategies import acquire, draws, most_informative_first
from nextlabel.values.arrays import Array, Features, Ints

DRAWS = 8
TASKS = 3_000  # of a larger pool, each draw has as many others
JUDGED = 3  # one task in so many judges
EVERY = 8  # labels, after which the strategy orders anew
LABELS_AT_MOST = 400
BAND = 0.05  # on either side of the gain; reports/helping says how often the truth was in it
TIMES = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0)  # the loop's labels, at which random sampling is followed
FACTOR = 1.5  # that number may be so many times less or more
SPREAD = 0.5  # of ln T beforehand: a few control labels must not make a version look certain
TEMPERATURES = np.exp(np.linspace(-2, 2, 401))
LEAST = 1e-6  # what counts of a probability below it: one label must not say all


@dataclass(frozen=True)
class World:
    """A project as its version sees it.

    Features (N, D) of unit length, of the base encoder; the version's probabilities (N, C), calibrated by `tempered`;
    the class numbers that people gave (N), -1 where none; and the positions of the first labels that the project began
    with, before there was an order by a version.
    """

    features_ND: Features
    probs_NC: Array
    human_N: Ints
    start: Ints


@dataclass(frozen=True)
class Forecast:
    """The gain in accuracy over random sampling at equal `labels`, in [-1, 1], and where it probably lies.

    `times` as many labels random sampling would need for the same accuracy, from and to; no end where that is more than
    5 or than a world has. None where the gain may be none.
    """

    labels: int
    gain: float
    times: tuple[float, float | None] | None

    @property
    def low(self) -> float:
        """The lower end of the band."""
        return self.gain - BAND

    @property
    def high(self) -> float:
        """The upper end of the band."""
        return self.gain + BAND


def temperature(probs_MC: Array, targets_M: Ints) -> float:
    """That of the forecast alone: what a version's log-probabilities are divided by so that they fit these labels of
    control tasks best, from 0.14 to 7.4. Without labels 1: ln T is normal around 0 beforehand."""
    logs_MC = np.log(np.maximum(probs_MC, LEAST))
    fits = [_log_likelihood(logs_MC / value, targets_M) - (np.log(value) / SPREAD) ** 2 / 2 for value in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmax(fits))])


def _log_likelihood(logits_MC: Array, targets_M: Ints) -> float:
    return float((logits_MC[np.arange(len(targets_M)), targets_M] - np.logaddexp.reduce(logits_MC, axis=1)).sum())


def tempered(probs_NC: Array, temperature: float) -> Array:
    """Probabilities (N, C) of another temperature; what was 0 stays 0."""
    powers_NC = (probs_NC / probs_NC.max(axis=1, keepdims=True)) ** (1 / temperature)
    return np.asarray(powers_NC / powers_NC.sum(axis=1, keepdims=True))


def no_pause() -> None:
    """Goes on at once."""


def forecast(world: World, strategy: str, labels: int, seed: int, pause: Callable[[], None] = no_pause) -> Forecast:
    """At so many labels of the project, or 400 if it has more: the mean of 8 worlds, the same for the same seed.
    `pause` is called before each of them, and may raise.

    The pool may have any size: of a larger one each world has 3,000 tasks. Raises `ValueError` when a label of the
    start is missing, or of a world fewer than `labels` tasks may be chosen.
    """
    if (world.human_N[world.start] < 0).any():
        raise ValueError("a first label is missing; give the positions of tasks that people labelled")
    labels = min(labels, LABELS_AT_MOST)
    times_T = np.array([times for times in TIMES if times * labels <= choosable(world)] or TIMES[:1])
    played = []
    for number in range(DRAWS):
        pause()
        played.append(_play(world, strategy, labels, times_T, number, seed))
    curve_T = np.mean([by_chance_T for _, by_chance_T in played], axis=0)
    gain = float(np.mean([by_strategy for by_strategy, _ in played]) - curve_T[0])
    return Forecast(labels, gain, _times(times_T, curve_T, curve_T[0] + gain) if gain > BAND else None)


def replayed(pool: Known, start: Ints, strategy: str, labels: int, seed: int) -> Ints:
    """The positions in the pool that a strategy asks for, in order, from those of the start on: fresh heads order it
    anew after every 8 labels. Raises `ValueError` when the pool has fewer."""
    require(labels, len(pool))
    known, head = start[:labels], None
    while len(known) < labels:
        head = fresh_head(pool.of(known), head)
        open_N = np.setdiff1d(np.arange(len(pool)), known)
        probs_NC = head.probabilities(pool.features_ND[open_N], max(2, 1 + int(pool.targets_N.max())))
        values_N = acquire(strategy, probs_NC[:, None, :], draws(open_N, seed))
        known = np.concatenate([known, open_N[most_informative_first(values_N)[: min(EVERY, labels - len(known))]]])
    return known


def _play(world: World, strategy: str, labels: int, times_T: Array, number: int, seed: int) -> tuple[float, Array]:
    """Expected accuracy of the strategy at so many labels, and of random sampling at so many times as many."""
    rng = np.random.default_rng([seed, number])
    others = rng.permutation(np.setdiff1d(np.arange(len(world.human_N)), world.start))[:TASKS]
    judges, rest = np.split(others, [len(others) // JUDGED])
    pool = _drawn(world, np.concatenate([world.start, rest]), rng)
    judging_ND, expected_NC = _features(world, judges), _expected(world, judges)

    def accuracy(known: Ints) -> float:
        predictions_N = fresh_head(pool.of(known)).predictions(judging_ND)
        return float(expected_NC[np.arange(len(judges)), predictions_N].mean())

    by_strategy = accuracy(replayed(pool, np.arange(len(world.start)), strategy, labels, seed))
    by_chance = rng.permutation(len(pool))
    return by_strategy, np.array([accuracy(by_chance[: round(times * labels)]) for times in times_T])


def choosable(world: World) -> int:
    """How many tasks of a world may be asked for."""
    others = min(TASKS, len(world.human_N) - len(world.start))
    return len(world.start) + others - others // JUDGED


def _features(world: World, rows: Ints) -> Features:
    return world.features_ND[rows].astype(np.float64)


def _expected(world: World, rows: Ints) -> Array:
    """The probabilities of each class (N, C) in the world: certain where people said it."""
    expected_NC, human_N = world.probs_NC[rows], world.human_N[rows]
    said = np.flatnonzero(human_N >= 0)
    expected_NC[said] = 0.0
    expected_NC[said, human_N[said]] = 1.0
    return expected_NC


def _drawn(world: World, rows: Ints, rng: np.random.Generator) -> Known:
    """These tasks with labels of one world."""
    sums_NC = np.cumsum(_expected(world, rows), axis=1)
    return Known(_features(world, rows), (sums_NC < rng.random((len(rows), 1)) * sums_NC[:, -1:]).sum(axis=1))


def _times(times_T: Array, curve_T: Array, target: float) -> tuple[float, float | None]:
    """Where random sampling's curve reaches the target, less and more by a factor, rounded outwards to halves."""
    found = reached(times_T, curve_T, target)
    least = max(1.0, math.floor(2 * (float(times_T[-1]) if found is None else found) / FACTOR) / 2)
    most = None if found is None else math.ceil(2 * found * FACTOR) / 2
    return least, None if most is None or most > times_T[-1] else most


def reached(times_T: Array, curve_T: Array, target: float) -> float | None:
    """How many times as many labels it takes a curve to reach a target at first; None where it does not."""
    above = np.flatnonzero(curve_T >= target)
    if not len(above):
        return None
    ends = slice(max(0, int(above[0]) - 1), int(above[0]) + 1)
    return float(np.interp(target, curve_T[ends], times_T[ends]))
