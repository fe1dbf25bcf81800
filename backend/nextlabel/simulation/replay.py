"""Replays active learning on labelled data, the labels hidden behind an oracle. Knows no Label Studio.

Every finished round is a record on disk at once, and a run goes on from its records: killed anywhere, it neither
loses nor repeats a round.
"""

import functools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.learning.diversity import typical
from nextlabel.learning.rounds import (
    Round,
    round_seed,
    run_round,
    score_holdout,
    select,
)
from nextlabel.learning.start_set import seed_positions, seed_size
from nextlabel.learning.strategies import STRATEGIES, draws, most_informative_first
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.model.devices import describe
from nextlabel.simulation.datasets.corpora import MRPC_SIZES
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.records import FULL, RANDOM, Record
from nextlabel.values.arrays import Array
from nextlabel.values.examples import Example

START_BY = ("random", "typicality")


@dataclass(frozen=True)
class RunProtocol:
    """How every arm of a run is played; two runs with another protocol cannot be compared.

    `recipe.seed` is set anew for each round. `start` is a share of the training data below 1, else a count; `batch`
    a number of labels per round. `full_steps` are those of the full-data baseline. With `training_seed` every fit
    has the same seed, as in the tutorial. A run ends where the combined dev score reaches `stop_at`.
    """

    recipe: Recipe
    start: float = 0.3
    start_by: str = "random"
    batch: int = 64
    full_steps: int = 343
    training_seed: int | None = None
    stop_at: float | None = None


# "Transformers meet active learning: less data, better performance": 343 = int(3668 / 32 * 3), three epochs of all the
# data, in every round; its start set has a seed of its own, its training always this one.
TUTORIAL = RunProtocol(
    Recipe("google-bert/bert-base-cased", 343, 2e-5, 32, max_length=128, seed=0, warmup=0.0),
    training_seed=12,
    stop_at=0.8568,
)


TUTORIAL_SEED = 123  # of the start set


@dataclass(frozen=True)
class Arm:
    """One strategy under one seed; `full` is the baseline that is fitted on all the data, once."""

    seed: int
    strategy: str


def arms(strategies: Sequence[str], seeds: Sequence[int], baseline: bool = True) -> list[Arm]:
    """All arms, seed by seed, so that a run that is stopped early has whole pairs."""
    names = [*([FULL] if baseline else []), *dict.fromkeys(strategies)]
    return [Arm(seed, name) for seed in dict.fromkeys(seeds) for name in names]


def check(data: TextSet, protocol: RunProtocol, seeds: Sequence[int]) -> None:
    """Raises `BadRunError` before the first fit when an arm could not be played to its end.

    Loads the checkpoint once, so that one that cannot be loaded is known before anything is written.
    """
    classifiers.load_base(protocol.recipe)
    size, available = seed_size(len(data.train), protocol.start), len(data.train)
    if not 2 <= size < available:
        raise BadRunError(
            f"--start {protocol.start:g} is {size} of the {available} training examples; "
            f"it must leave a pool and hold at least 2: give a share between 0 and 1, or a count below {available}."
        )
    for seed in seeds:
        start = start_set(data, protocol, seed)
        complaint = data.question.missing_labels([label for example, label in data.train if example.id in start])
        if complaint:
            raise BadRunError(
                f"Seed {seed} starts with examples of one class only. {complaint} Give a larger --start than "
                f"{protocol.start:g}, or leave out this seed."
            )


def deviations(data: TextSet, protocol: RunProtocol, strategies: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """In what a run differs from the tutorial's experiment, in words."""
    ours, theirs = _compared(protocol), _compared(TUTORIAL)
    found = [f"{name}: {ours[name]}, not {theirs[name]}" for name in theirs if ours[name] != theirs[name]]
    if (len(data.train), len(data.dev)) != MRPC_SIZES:
        found.append(f"data: {data.source}, not MRPC")
    if list(strategies) != ["entropy"]:
        found.append(f"strategies: {', '.join(strategies)}, not entropy")
    if list(seeds) != [TUTORIAL_SEED]:
        found.append(f"seeds: {', '.join(map(str, seeds))}, not {TUTORIAL_SEED}")
    return found


def _compared(protocol: RunProtocol) -> dict[str, object]:
    known = {**vars(protocol), **vars(protocol.recipe)}
    return {name: known[name] for name in known if name not in ("recipe", "seed", "device", "precision")}


def rounds_in(data: TextSet, protocol: RunProtocol, arm: Arm, rounds: int | None) -> int:
    """How many records an arm has when it is played to its end, at most."""
    if arm.strategy == FULL:
        return 1
    pool = len(data.train) - seed_size(len(data.train), protocol.start)
    until_empty = math.ceil(pool / protocol.batch)
    return 1 + (until_empty if rounds is None else min(rounds, until_empty))


def replay(
    data: TextSet,
    protocol: RunProtocol,
    arm: Arm,
    done: Sequence[Record],
    rounds: int | None = None,
) -> Iterator[Record]:
    """The rounds of an arm that are not among its `done` ones, in order; `rounds` of labelling after the start set.

    The same arguments on the same device with the same number of threads give the same records, but for the seconds.
    """
    labelled = (
        {example.id for example, _ in data.train} if arm.strategy == FULL else start_set(data, protocol, arm.seed)
    )
    for record in done:
        labelled |= set(record.chosen)
    number = len(done)
    goes_on = number == 0 or bool(done[-1].chosen)
    while goes_on and number < rounds_in(data, protocol, arm, rounds):
        record = _round(data, protocol, arm, number, labelled)
        yield record
        labelled = labelled | set(record.chosen)
        number += 1
        goes_on = bool(record.chosen)


def _round(data: TextSet, protocol: RunProtocol, arm: Arm, number: int, labelled: set[int]) -> Record:
    pool = [example for example, _ in data.train if example.id not in labelled]
    judges = arm.strategy != FULL and STRATEGIES[arm.strategy].predictions
    played = run_round(
        _recipe(protocol, arm, number),
        data.question,
        [item for item in data.train if item[0].id in labelled],
        pool if judges else [],
        data.dev,
        arm.strategy if judges else RANDOM,
    )
    start_s = time.perf_counter()
    test = score_holdout(data.question, played.classifier, data.test)
    tested_s = time.perf_counter()
    assert played.scores is not None  # a text set has a dev part
    ends = arm.strategy == FULL or (protocol.stop_at is not None and played.scores.combined >= protocol.stop_at)
    learnt = [example for example, _ in data.train if example.id in labelled]
    chosen = [] if ends else _choose(played, pool, learnt, protocol, arm, number)
    seconds = {**played.seconds, "select": time.perf_counter() - tested_s}
    seconds["evaluate"] += tested_s - start_s
    return Record(
        seed=arm.seed,
        strategy=arm.strategy,
        round=number,
        labels=len(labelled),
        dev=played.scores.as_dict(),
        test=test.as_dict() if test else None,
        chosen=tuple(chosen),
        seconds={stage: round(s, 3) for stage, s in seconds.items()},
        device=describe(protocol.recipe.device),
        versions=classifiers.package_versions(),
    )


def _recipe(protocol: RunProtocol, arm: Arm, number: int) -> Recipe:
    seed = round_seed(arm.seed, number) if protocol.training_seed is None else protocol.training_seed
    return replace(
        protocol.recipe, seed=seed, steps=protocol.full_steps if arm.strategy == FULL else protocol.recipe.steps
    )


def _choose(
    played: Round,
    pool: Sequence[Example],
    labelled: Sequence[Example],
    protocol: RunProtocol,
    arm: Arm,
    number: int,
) -> list[int]:
    """Ids of the next batch, the most informative first; in the last round whatever is left."""
    if not STRATEGIES[arm.strategy].predictions:  # the pool was not scored
        draws_N = draws(np.array([e.id for e in pool], dtype=np.int64), round_seed(arm.seed, number))
        return [pool[i].id for i in most_informative_first(draws_N)[: protocol.batch]]
    seed = _recipe(protocol, arm, number).seed
    return [e.id for e in select(played.classifier, played.pool, arm.strategy, protocol.batch, seed, labelled)]


def start_set(data: TextSet, protocol: RunProtocol, seed: int) -> set[int]:
    """Ids of the examples that are labelled before the first fit: the same for every strategy."""
    examples = [example for example, _ in data.train]
    if protocol.start_by == "random":
        positions = seed_positions(len(examples), protocol.start, seed)
    else:
        size = seed_size(len(examples), protocol.start)
        positions = typical(_embeddings(protocol.recipe, tuple(examples)), size, np.random.default_rng(seed))
    return {examples[i].id for i in positions}


@functools.lru_cache(maxsize=1)
def _embeddings(recipe: Recipe, examples: tuple[Example, ...]) -> Array:
    return classifiers.load_base(recipe).embed(examples)
