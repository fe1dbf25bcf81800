"""Runs that play label counts, without any fit: their scores are given, or those of drawn probabilities."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nextlabel.problems.metrics import evaluate, macro_f1
from nextlabel.simulation import probabilities, records
from nextlabel.simulation.probabilities import Targets
from nextlabel.simulation.records import FULL, Record, Run
from nextlabel.values.arrays import Array, Ints

AT = (32, 64, 128, 256, 512)
CLASSES = ("earn", "acq", "crude")
SETTING = {"at": list(AT), "measure": "macro_f1", "data": {"source": "made up", "labels": list(CLASSES), "train": 3000}}

Scores = Mapping[str, Mapping[int, Sequence[tuple[float, float]]]]  # dev and test by round, by strategy and seed


def record(seed: int, strategy: str, number: int, dev: Mapping[str, float], test: Mapping[str, float] | None) -> Record:
    labels = 3000 if strategy == FULL else AT[number]
    return Record(seed, strategy, number, labels, dev, test, () if strategy == FULL else (number,), {"fit": 1.0})


def run_of(scores: Scores) -> Run:
    """A run of these macro-F1 scores; its other scores are all 0.5."""
    return Run(
        SETTING,
        [],
        [
            record(seed, strategy, number, *({**dict.fromkeys(records.SCORES, 0.5), "macro_f1": s} for s in both))
            for strategy, by_seed in scores.items()
            for seed, rounds in by_seed.items()
            for number, both in enumerate(rounds)
        ],
    )


def write_run(out: Path, seeds: int = 3, strategies: Sequence[str] = ("random", "entropy"), base: int = 0) -> Path:
    """A run on disk: better the more labels there are, full data under two seeds; all that was said is stored."""
    out.mkdir(parents=True)
    rng = np.random.default_rng(base)
    targets = {"dev": rng.integers(0, 3, 60), "test": rng.integers(0, 3, 90)}
    told = {part: Targets(np.arange(len(classes)), classes) for part, classes in targets.items()}
    probabilities.write_targets(out, CLASSES, told)
    records.write_json(out / records.SETTING, SETTING)
    records.write_json(out / records.INVOCATIONS, {"invocations": []})
    for seed in range(seeds):
        for strategy in [*([FULL] if seed < 2 else []), *strategies]:
            for number in range(1 if strategy == FULL else len(AT)):
                skill = 0.5 * (len(AT) if strategy == FULL else number)
                said = {part: _drawn(rng, classes, skill) for part, classes in targets.items()}
                probabilities.write(out, seed, strategy, number, said)
                scores = {part: _scores(classes, said[part].argmax(axis=1)) for part, classes in targets.items()}
                line = record(seed, strategy, number, scores["dev"], scores["test"])
                records.append(out / records.ROUNDS, line)
    return out


def _drawn(rng: np.random.Generator, classes_N: Ints, skill: float) -> Array:
    logits_NC = rng.normal(0, 1, (len(classes_N), 3))
    logits_NC[np.arange(len(classes_N)), classes_N] += skill
    odds_NC = np.exp(logits_NC)
    return np.asarray(odds_NC / odds_NC.sum(axis=1, keepdims=True), dtype=np.float64)


def _scores(targets_N: Ints, classes_N: Ints) -> dict[str, float]:
    return {**evaluate(targets_N, classes_N, 3).as_dict(), "macro_f1": macro_f1(targets_N, classes_N)}
