"""A peer's arms: it asks our oracle for labels in its own order, we judge it at our label counts and keep the records.

Knows no peer's package: those are on the other side of the pipe (`channel`), in an environment of their own.
"""

import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.lab.peers import environment
from nextlabel.lab.peers.channel import Game
from nextlabel.learning.rounds import round_seed, run_round
from nextlabel.model import classifier as classifiers
from nextlabel.model.devices import describe, processor
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation import probabilities, records
from nextlabel.simulation.datasets.textsets import Labelled, TextSet
from nextlabel.simulation.experiment import Experiment, ExperimentPlan
from nextlabel.simulation.records import MACRO_F1, RANDOM, ROUNDS, Record
from nextlabel.simulation.replay import Arm, Played, start_set
from nextlabel.values.arrays import Array

# The peers, each with its module. What is learnt in Potato's order by our classifier is an arm, too: its own engine
# cannot take a transformer's recipe.
MODULES = {"small-text": "nextlabel.lab.peers.small_text", "potato": "nextlabel.lab.peers.potato"}
WITH_ORDER_ARM = ("potato",)

Show = Callable[[str], None]


@dataclass(frozen=True)
class Peer:
    """A tool and how it is run: `command` starts its side of the pipe. With `defaults` it fits and orders as it does
    out of the box, else on our checkpoint with our recipe, as near as it can. It queries `batch` labels at once at
    most (None: up to the next label count); `versions` by package."""

    name: str
    command: Sequence[str]
    defaults: bool = False
    batch: int | None = None
    versions: Mapping[str, str] | None = None

    @property
    def strategies(self) -> list[str]:
        """The names of its arms: its own, and ours in its order where there is one."""
        own = f"{self.name}-defaults" if self.defaults else self.name
        return [own, *([f"{own}-order"] if self.name in WITH_ORDER_ARM else [])]


def installed(name: str, cache: Path, defaults: bool = False, batch: int | None = None) -> Peer:
    """A peer in its environment, which is made below `cache` at the first time."""
    python = environment.prepared(name, cache)
    versions = dict(pin.split("==") for pin in environment.pins(name))
    return Peer(name, [str(python), "-m", MODULES[name]], defaults, batch, versions)


def play(
    experiment: Experiment, peer: Peer, seeds: Sequence[int], threads: int, command: str, show: Show = lambda line: None
) -> None:
    """Play what the experiment's directory does not hold yet; an arm of a peer that was cut short begins anew.

    Raises `BadRunError` for pairs, and when the peer fails or breaks the protocol.
    """
    if any(example.pair is not None for example, _ in experiment.data.train):
        raise BadRunError(f"{peer.name} reads one text, and {experiment.data.source} has pairs. Give another --corpus.")
    plan = ExperimentPlan([Arm(seed, name) for seed in seeds for name in peer.strategies], threads=threads)
    experiment.begin(command, plan)
    own, *ordered = peer.strategies
    for seed in seeds:
        for record in _play_own(experiment, peer, Arm(seed, own), threads, show):
            show(_line(record))
        for strategy in ordered:
            for record in _play_order(experiment, Arm(seed, own), Arm(seed, strategy)):
                show(_line(record))


# The peer's own arm


def _play_own(experiment: Experiment, peer: Peer, arm: Arm, threads: int, show: Show) -> Iterator[Record]:
    made, at = experiment.done().get(arm, []), _counts(experiment)
    if len(made) == len(at):
        return
    _forget(experiment, [Arm(arm.seed, strategy) for strategy in peer.strategies])
    oracle = Oracle(experiment.data, at)
    game = _game(experiment, peer, arm.seed, threads)
    show(f"seed {arm.seed}: {peer.name} begins")
    log = experiment.out / f"{peer.name}.log"
    words = list(conversation(peer, game, oracle.answer, threads, log))
    log.unlink()
    for number, word in enumerate(oracle.require_whole(peer.name, words)):
        yield experiment.write(_played(experiment, peer, arm, number, oracle.asked, word))


class Oracle:
    """Knows the class of each text of train, tells each once, and remembers the order in which it was asked."""

    def __init__(self, data: TextSet, at: Sequence[int]):
        self._classes_N = data.question.class_numbers([label for _, label in data.train])
        self._at = at
        self.asked: list[int] = []
        self._told_at: list[int] = []

    def answer(self, word: Mapping[str, Any]) -> list[int] | None:
        """Class numbers of the positions that are asked for; None when probabilities were told."""
        if "ask" not in word:
            self._told_at.append(len(self.asked))
            return None
        for position in word["ask"]:
            if not 0 <= position < len(self._classes_N) or position in self.asked:
                raise BadRunError(f"The peer asked for text {position} of train, which is not there or was asked for.")
            self.asked.append(position)
        return [int(self._classes_N[position]) for position in word["ask"]]

    def require_whole(self, name: str, words: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        """The words again. Raises `BadRunError` unless they were told at just the label counts."""
        if self._told_at != list(self._at):
            raise BadRunError(f"{name} told what it predicts at {self._told_at} labels, not at {list(self._at)}.")
        return words


def conversation(
    peer: Peer,
    game: Game,
    answer: Callable[[Mapping[str, Any]], list[int] | None],
    threads: int,
    log: Path,
) -> Iterator[dict[str, Any]]:
    """What a peer's process tells, its questions answered. What its libraries print is in `log`, also when it fails."""
    with tempfile.TemporaryDirectory() as home, log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            peer.command,
            cwd=home,
            env=environment.variables(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        )
        try:
            yield from _words(process, game, answer)
            ended = process.wait()
        finally:
            process.kill()
            process.wait()
    if ended:
        last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-5:])
        raise BadRunError(f"{peer.name} ended with exit code {ended}; all it said is in {log}:\n{last}")


def _words(
    process: subprocess.Popen[str], game: Game, answer: Callable[[Mapping[str, Any]], list[int] | None]
) -> Iterator[dict[str, Any]]:
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(game.line())
        process.stdin.flush()
        for line in process.stdout:
            word: dict[str, Any] = json.loads(line)
            answers = answer(word)
            if answers is None:
                yield word
            else:
                process.stdin.write(json.dumps(answers) + "\n")
                process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended; its exit code says how


def _game(experiment: Experiment, peer: Peer, seed: int, threads: int) -> Game:
    data, protocol, at = experiment.data, experiment.protocol, _counts(experiment)
    recipe, start = protocol.recipe, start_set(data, protocol, seed)
    texts = {name: [example.text for example, _ in part] for name, part in data.parts().items()}
    return Game(
        seed=seed,
        labels=data.labels,
        **texts,
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


def _played(
    experiment: Experiment, peer: Peer, arm: Arm, number: int, asked: Sequence[int], word: Mapping[str, Any]
) -> Played:
    data, at = experiment.data, _counts(experiment)
    said = {name: np.array(word[name]) for name, part in data.parts().items() if name != "train" and part}
    chosen = [data.train[i] for i in asked[at[number] : at[number + 1]]] if number + 1 < len(at) else []
    versions = {**classifiers.package_versions(), **(peer.versions or {})}
    return _recorded(experiment, arm, number, chosen, said, word["seconds"], versions)


# Our classifier, on the labels in the peer's order


def _play_order(experiment: Experiment, own: Arm, arm: Arm) -> Iterator[Record]:
    done = experiment.done()
    labelled = start_set(experiment.data, experiment.protocol, arm.seed)
    for record in done[own]:
        if record.round >= len(done.get(arm, [])):
            chosen = [item for item in experiment.data.train if item[0].id in set(record.chosen)]
            yield experiment.write(_fitted(experiment, arm, record.round, labelled, chosen))
        labelled = labelled | set(record.chosen)


def _fitted(
    experiment: Experiment, arm: Arm, number: int, labelled: set[int], chosen: Sequence[Labelled]
) -> Played:
    """A round of our recipe on these labels, as `Player` fits it."""
    data, protocol = experiment.data, experiment.protocol
    steps, seed = protocol.steps(len(labelled)), round_seed(arm.seed, number)
    items = [item for item in data.train if item[0].id in labelled]
    recipe = replace(protocol.recipe, seed=seed, steps=steps)
    played = run_round(recipe, data.question, items, [], data.dev, RANDOM)
    parts = {"dev": data.dev, **({"test": data.test} if data.test else {})}
    said = {
        name: played.classifier.predict_proba([example for example, _ in part], exact=False)
        for name, part in parts.items()
    }
    return _recorded(experiment, arm, number, chosen, said, played.seconds, classifiers.package_versions())


# Records


def _recorded(
    experiment: Experiment,
    arm: Arm,
    number: int,
    chosen: Sequence[Labelled],
    said: Mapping[str, Array],
    seconds: Mapping[str, float],
    versions: Mapping[str, str],
) -> Played:
    data = experiment.data
    scores = {name: _scores(data, part, said[name]) for name, part in data.parts().items() if name in said}
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
    )
    return Played(record, said)


def _scores(data: TextSet, part: Sequence[Labelled], probs_NC: Array) -> dict[str, float]:
    targets_N = data.question.class_numbers([label for _, label in part])
    predictions_N = data.question.predicted(probs_NC)
    return {**data.question.evaluate(targets_N, predictions_N).as_dict(), MACRO_F1: macro_f1(targets_N, predictions_N)}


def _forget(experiment: Experiment, arms: Sequence[Arm]) -> None:
    kept = [record for arm, made in experiment.done().items() if arm not in arms for record in made]
    records.write_rounds(experiment.out / ROUNDS, kept)
    for arm in arms:
        probabilities.forget(experiment.out, arm.seed, arm.strategy)


def _counts(experiment: Experiment) -> Sequence[int]:
    assert experiment.protocol.at is not None  # the command asks for it
    return experiment.protocol.at


def _line(record: Record) -> str:
    return f"seed {record.seed} {record.strategy}: {record.labels} labels, dev macro-F1 {record.dev[MACRO_F1]:.3f}"
