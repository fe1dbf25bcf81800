"""Runs with label counts whose versions are made up, right as often as is asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.problems.metrics import evaluate, macro_f1
from nextlabel.simulation import probabilities
from nextlabel.simulation.probabilities import Targets
from nextlabel.simulation.records import FULL, Record, append, write_json
from nextlabel.values.arrays import Array, Ints

AT = (16, 32, 64)
TRAIN, SIZES = 400, {"dev": 60, "test": 90}
FULL_SKILL, START_SKILL, STEP = 3.0, 0.6, 0.4  # how far the right answer stands out, by round


def play(
    directory: Path,
    seeds: Sequence[int],
    skills: Mapping[str, float],
    labels: Sequence[str] = ("ham", "spam", "news"),
    full_seeds: int = 2,
    source: str = "Letters <b>&</b> | more (letters==1)",
    **setting: Any,
) -> Path:
    """A run on the corpus `source`, whose arms gain `STEP` of skill a round, and `skills` from the second on; the same
    seed, the same noise."""
    directory.mkdir(parents=True)
    targets = {part: np.arange(size) % len(labels) for part, size in SIZES.items()}
    probabilities.write_targets(directory, labels, {part: Targets(np.arange(len(t)), t) for part, t in targets.items()})
    write_json(directory / "setting.json", {**_setting(source, labels, targets), **setting})
    planned = {"seeds": list(seeds), "strategies": [FULL, *skills], "rounds": None}
    started = {"command": f"nextlabel simulate --out {directory.name}", "machine": "a machine", "device": "cpu"}
    write_json(directory / "run.json", {"invocations": [{**started, **planned, "versions": {"numpy": "2"}}]})
    for seed in seeds:
        if seed < full_seeds:
            _add(directory, Record(seed, FULL, 0, TRAIN, {}, {}, (), {"fit": 9.0}), targets, FULL_SKILL)
        for name, skill in skills.items():
            for number, count in enumerate(AT):
                chosen = tuple(range(count, AT[number + 1])) if number + 1 < len(AT) else ()
                record = Record(
                    seed, name, number, count, {}, {}, chosen, {"fit": 2.0, "score": 1.0}, "cpu", {"numpy": "2"},
                    machine="a CPU", mix={labels[0]: len(chosen)}, near_copies=len(chosen) // 8, train_accuracy=1.0,
                )  # fmt: skip
                _add(directory, record, targets, START_SKILL + STEP * number + (skill if number else 0))
    return directory


def _setting(source: str, labels: Sequence[str], targets: Mapping[str, Ints]) -> dict[str, Any]:
    counts = {part: {label: int((t == i).sum()) for i, label in enumerate(labels)} for part, t in targets.items()}
    counts["train"] = {label: TRAIN // len(labels) for label in labels}
    data = {"source": source, "labels": list(labels), "train": TRAIN, **SIZES}
    recipe = {"steps": 100, "batch_size": 16, "learning_rate": 1e-4}
    return {
        "data": {**data, "counts": counts},
        "recipe": recipe,
        "at": list(AT),
        "epochs": 6.0,
        "measure": "macro_f1",
        "start_by": "random",
        "full_steps": 150,
    }


def _add(directory: Path, record: Record, targets: Mapping[str, Ints], skill: float) -> None:
    said, scores = {}, {}
    for part, right_N in targets.items():
        said[part] = _said(right_N, skill, np.random.default_rng([record.seed, record.round, len(right_N)]))
        classes_N = said[part].argmax(axis=1)
        judged = evaluate(right_N, classes_N, said[part].shape[1]).as_dict()
        scores[part] = {**judged, "macro_f1": macro_f1(right_N, classes_N)}
    probabilities.write(directory, record.seed, record.strategy, record.round, said)
    append(directory / "rounds.jsonl", Record(**{**vars(record), "dev": scores["dev"], "test": scores["test"]}))


def _said(right_N: Ints, skill: float, rng: np.random.Generator) -> Array:
    logits_NC = rng.normal(size=(len(right_N), int(right_N.max()) + 1))
    logits_NC[np.arange(len(right_N)), right_N] += skill
    odds_NC = np.exp(2 * logits_NC)
    return np.asarray(odds_NC / odds_NC.sum(axis=1, keepdims=True))
