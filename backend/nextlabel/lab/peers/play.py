"""A peer's arms: it asks our oracle for labels in its own order, we judge it at our label counts and keep the records.

Knows no peer's package: those are on the other side of the pipe, in an environment of their own.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.lab.peers.channel import Game
from nextlabel.lab.peers.process import Oracle, Peer, played
from nextlabel.learning.rounds import round_seed, run_round
from nextlabel.model import classifier as classifiers
from nextlabel.model.devices import describe, processor
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation import probabilities, records
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.simulation.experiment import Experiment, ExperimentPlan
from nextlabel.simulation.records import MACRO_F1, RANDOM, ROUNDS, Record
from nextlabel.simulation.replay import Arm, Played, start_of, start_set
from nextlabel.values.arrays import Array

LEARNT = "learnt"  # beside dev and test: the labelled texts, in the order in which they were asked for

Show = Callable[[str], None]


def play(
    experiment: Experiment, peer: Peer, seeds: Sequence[int], threads: int, command: str, show: Show = lambda line: None
) -> None:
    """Play what the experiment's directory does not hold yet; a peer's arm that was cut short begins anew.

    Raises `BadRunError` for pairs, and when the peer fails or breaks the rules.
    """
    if any(example.pair is not None for example, _ in experiment.data.train):
        raise BadRunError(f"{peer.name} reads one text, and {experiment.data.source} has pairs. Give another --corpus.")
    plan = ExperimentPlan([Arm(seed, name) for seed in seeds for name in peer.strategies], threads=threads)
    experiment.begin(command, plan)
    own, *ordered = peer.strategies
    for seed in seeds:
        _play_own(experiment, peer, Arm(seed, own), threads, show)
        for strategy in ordered:
            _play_order(experiment, Arm(seed, own), Arm(seed, strategy), show)


# The peer's own arm


def _play_own(experiment: Experiment, peer: Peer, arm: Arm, threads: int, show: Show) -> None:
    data, at = experiment.data, _counts(experiment)
    if len(experiment.done().get(arm, [])) == len(at):
        return
    _forget(experiment, [Arm(arm.seed, strategy) for strategy in peer.strategies])
    show(f"seed {arm.seed}: {peer.name} plays {data.source}")
    oracle = Oracle(data.question.class_numbers([label for _, label in data.train]))
    told = played(peer, _game(experiment, peer, arm.seed, threads), oracle, experiment.out / f"{peer.name}.log")
    bounds = [*at[1:], at[-1]]  # after the last count nothing is chosen
    for number, word in enumerate(told):
        learnt, chosen = (
            [data.train[i] for i in asked]
            for asked in (oracle.asked[: at[number]], oracle.asked[at[number] : bounds[number]])
        )
        said = {name: np.array(word[name]) for name in [*_judged(data), LEARNT]}
        versions = {**classifiers.package_versions(), **peer.versions}
        _write(experiment, _round(experiment, arm, number, learnt, chosen, said, word["seconds"], versions), show)


def _game(experiment: Experiment, peer: Peer, seed: int, threads: int) -> Game:
    data, protocol, at = experiment.data, experiment.protocol, _counts(experiment)
    recipe, start = protocol.recipe, start_set(data, protocol, seed)
    return Game(
        seed=seed,
        labels=data.labels,
        **{name: [example.text for example, _ in part] for name, part in data.parts().items()},
        start=[i for i, (example, _) in enumerate(data.train) if example.id in start],
        at=at,
        batch=peer.batch or at[-1],
        defaults=peer.defaults,
        base_model=str(Path(recipe.base_model).resolve()),
        steps=[protocol.steps(labels) for labels in range(at[-1] + 1)],
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        max_length=recipe.max_length,
        threads=threads,
    )


def _forget(experiment: Experiment, arms: Sequence[Arm]) -> None:
    kept = [record for arm, made in experiment.done().items() if arm not in arms for record in made]
    records.write_rounds(experiment.out / ROUNDS, kept)
    for arm in arms:
        probabilities.forget(experiment.out, arm.seed, arm.strategy)


# Our classifier, on the labels in the peer's order


def _play_order(experiment: Experiment, own: Arm, arm: Arm, show: Show) -> None:
    done = experiment.done()
    labelled = start_set(experiment.data, experiment.protocol, arm.seed)
    for record in done[own]:
        if record.round >= len(done.get(arm, [])):
            _write(experiment, _fitted(experiment, arm, record, labelled), show)
        labelled = labelled | set(record.chosen)


def _fitted(experiment: Experiment, arm: Arm, record: Record, labelled: set[int]) -> Played:
    """A round as every arm of ours is fitted; what is chosen next is what the peer's `record` chose."""
    data, protocol = experiment.data, experiment.protocol
    seed, steps = round_seed(arm.seed, record.round), protocol.steps(len(labelled))
    items = [item for item in data.train if item[0].id in labelled]
    fit = run_round(replace(protocol.recipe, seed=seed, steps=steps), data.question, items, [], data.dev, RANDOM)
    said = {
        name: fit.classifier.predict_proba([example for example, _ in part], exact=False)
        for name, part in {**_judged(data), LEARNT: items}.items()
    }
    by_id = {item[0].id: item for item in data.train}
    chosen = [by_id[id] for id in record.chosen]
    return _round(experiment, arm, record.round, items, chosen, said, fit.seconds, classifiers.package_versions())


# Records


def _round(
    experiment: Experiment,
    arm: Arm,
    number: int,
    learnt: Sequence[Labelled],
    chosen: Sequence[Labelled],
    said: Mapping[str, Array],
    seconds: Mapping[str, float],
    versions: Mapping[str, str],
) -> Played:
    data = experiment.data
    scores = {name: _scores(data, part, said[name]) for name, part in _judged(data).items()}
    record = Record(
        seed=arm.seed,
        strategy=arm.strategy,
        round=number,
        labels=_counts(experiment)[number],
        dev=scores["dev"],
        test=scores.get("test"),
        chosen=tuple(example.id for example, _ in chosen),
        seconds=seconds,
        device=describe(experiment.protocol.recipe.device),
        versions=versions,
        machine=processor(),
        mix=dict(Counter(label for _, label in chosen)),
        train_accuracy=_scores(data, learnt, said[LEARNT])["accuracy"],
        exchanged=None if number else start_of(data, experiment.protocol, arm.seed).exchanged,
    )
    return Played(record, {name: said[name] for name in scores})


def _scores(data: TextSet, part: Sequence[Labelled], probs_NC: Array) -> dict[str, float]:
    targets_N = data.question.class_numbers([label for _, label in part])
    predictions_N = data.question.predicted(probs_NC)
    return {**data.question.evaluate(targets_N, predictions_N).as_dict(), MACRO_F1: macro_f1(targets_N, predictions_N)}


def _write(experiment: Experiment, played: Played, show: Show) -> None:
    record = experiment.write(played)
    show(f"seed {record.seed} {record.strategy}: {record.labels} labels, dev macro-F1 {record.dev[MACRO_F1]:.3f}")


def _judged(data: TextSet) -> dict[str, tuple[Labelled, ...]]:
    return {name: part for name, part in data.parts().items() if name != "train" and part}


def _counts(experiment: Experiment) -> Sequence[int]:
    assert experiment.protocol.at is not None  # the command gives them
    return experiment.protocol.at
