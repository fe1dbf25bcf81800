"""The experiment through Label Studio: annotators answer its own queue with gold labels, the live loop does the rest.

Writes the same records as an offline simulation, so that the two can be laid side by side.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from nextlabel.errors import BadRunError, BadSettingError, NextlabelError
from nextlabel.lab.annotators import annotate, gold_of
from nextlabel.lab.sandbox import PLAIN_ORDER
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.learning.rounds import score_holdout
from nextlabel.model import classifier as classifiers
from nextlabel.model.classifier import Recipe
from nextlabel.model.devices import describe
from nextlabel.settings import Settings, for_project, own_value
from nextlabel.simulation import records
from nextlabel.simulation.datasets.corpora import Corpus
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.simulation.experiment import Experiment, ExperimentPlan
from nextlabel.simulation.records import Record
from nextlabel.simulation.replay import Arm, Played, RunProtocol
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import Card
from nextlabel.versions.registry import Registry

LOOK_S = 0.3
PATIENCE_S = 120.0  # for a queue that serves nothing although tasks are left: twice the default RECONCILE_S


def api_keys(path: Path) -> list[str]:
    """Of each annotator, one a line. Raises `BadSettingError` when the file cannot be read or is empty."""
    try:
        keys = path.read_text(encoding="utf-8").split()
    except OSError as error:
        raise BadSettingError(f"--annotators {path} cannot be read: {error.strerror}.") from None
    if not keys:
        raise BadSettingError(f"--annotators {path} holds no API key; write one on each line.")
    return keys


@dataclass(frozen=True)
class Loop:
    """A connected project, the directory of its backend on this machine, and a client for each annotator."""

    annotators: Sequence[LabelStudioClient]
    project: int
    model_dir: Path

    def wait(self, newer_than: str | None) -> Card:
        """Until a newer version orders the queue and its whole window is there: who takes no time to think would empty
        the head of it before the rest is written. Raises `NextlabelError` when the fit failed or its version was
        refused."""
        registry, board = Registry(self.model_dir), StatusBoard(self.model_dir)
        while True:
            version = registry.current(self.project)
            if version is not None and version != newer_than:
                card = registry.card(self.project, version)
                if card.pool == 0 or self._filled(board, version):
                    return card
            newest = next(iter(registry.cards(self.project)), None)
            if newest is not None and newest.refused and newest.parent == newer_than:
                raise NextlabelError(f"{newest.version} was not promoted: {newest.refused}. Set PROMOTE_MARGIN=1.")
            fit = board.fit(self.project)
            if fit.state == "failed":
                raise NextlabelError(f"The fit failed: {fit.message}")
            time.sleep(LOOK_S)

    def _filled(self, board: StatusBoard, version: str) -> bool:
        known = board.queue(self.project)
        there = known.state == "published" and known.version == version
        return there and self.annotators[0].project(self.project).model_version == version


def require_plain_order(settings: Settings, registry: Registry, project: int) -> None:
    """Raise `BadSettingError` unless the project is served in batches by its versions alone, as an offline run is."""
    own = for_project(settings, registry.options(project))
    wanted = {name: value for name, value in PLAIN_ORDER.items() if name != "query_strategy"}
    if any(getattr(own, name) != own_value(name, value) for name, value in wanted.items()):
        changes = " ".join(f"{name}={value}" for name, value in wanted.items())
        raise BadSettingError(
            f"Project {project} is not served in batches by its versions alone, as an offline run is. Run `nextlabel "
            f"options --project {project} {changes}` before its first fit."
        )


def play(
    loop: Loop,
    corpus: Corpus,
    seed: int,
    batch: int,
    rounds: int | None,
    out: Path,
    command: str,
    show: Callable[[Record], None] = lambda record: None,
) -> list[Record]:
    """Label batch after batch, `rounds` of them or until the queue is empty; a record for every version.

    Goes on where it was killed, be it in the midst of a batch; a run that came to its end is not prolonged.
    `seed` and `batch` are the backend's SEED and FIT_EVERY.
    """
    data = of_pairs(corpus)
    card = loop.wait(None)
    with Experiment(out, data, _protocol(card, out, batch)) as experiment:
        arm = Arm(seed, card.strategy)
        experiment.begin(command, ExperimentPlan([arm], rounds, threads=torch.get_num_threads()))
        done = experiment.done().get(arm, [])
        if done and not done[-1].chosen:
            return done
        while True:
            _require_next(card, done, out)
            wanted = min(batch, card.pool) if rounds is None or len(done) < rounds else 0
            given = _answered(loop, card) if wanted else []
            given += _label(loop, corpus, wanted - len(given))
            following = _following(loop, card, len(given) < batch) if given else None
            record = experiment.write(Played(_record(loop, card, data, seed, len(done), given), {}))
            show(record)
            done = [*done, record]
            if following is None:
                return done
            card = following


def _protocol(card: Card, out: Path, batch: int) -> RunProtocol:
    """What offline does the same: the version's recipe, and as start set as many labels as the first version had."""
    known = records.read_json(out / records.SETTING)
    recipe = Recipe(**{**card.recipe, "seed": 0})
    return RunProtocol(recipe, start=known["start"] if known else card.examples, batch=batch, full_steps=recipe.steps)


def _require_next(card: Card, done: Sequence[Record], out: Path) -> None:
    if card.number != len(done) + 1:
        raise BadRunError(
            f"{out} holds {len(done)} rounds, and the project is at version {card.number}: rounds were played without "
            "being recorded. Begin with a project that has no version or its first one, and another --out."
        )


def _answered(loop: Loop, card: Card) -> list[int]:
    """Rows that were labelled after the version's fit, in the order of their labels: those of a run that was killed."""
    fitted = Registry(loop.model_dir).fitted_labels(loop.project, card.version)
    given = [
        (task["annotations"][0]["id"], int(task["data"]["row"]))
        for page in loop.annotators[0].tasks_after(loop.project, 0)
        for task in page
        if task["annotations"] and task["id"] not in fitted and task["data"].get("split") == "train"
    ]
    return [row for _, row in sorted(given)]


def _label(loop: Loop, corpus: Corpus, count: int) -> list[int]:
    """Have the annotators answer `count` tasks, side by side; the rows in the order of their first answers."""
    places: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(count):
        places.put(None)
    given: dict[int, None] = {}
    lock = threading.Lock()

    def work(studio: LabelStudioClient) -> None:
        while True:
            try:
                places.get_nowait()
            except queue.Empty:
                return
            row = _answer_one(studio, loop.project, corpus)
            with lock:
                if row in given:  # Label Studio may serve two people the same task when they ask at the same moment
                    places.put(None)
                given[row] = None

    with ThreadPoolExecutor(len(loop.annotators)) as threads:
        list(threads.map(work, loop.annotators))
    return list(given)


def _answer_one(studio: LabelStudioClient, project: int, corpus: Corpus) -> int:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        answer = next(annotate(studio, project, gold_of(corpus)), None)
        if answer is not None:
            return answer.row
        time.sleep(LOOK_S)
    raise NextlabelError(
        f"Label Studio's queue of project {project} has served nothing for {PATIENCE_S:.0f} s although tasks are left. "
        f"Run `nextlabel doctor --project {project}`."
    )


def _following(loop: Loop, card: Card, too_few_for_a_fit: bool) -> Card:
    if too_few_for_a_fit:
        loop.annotators[0].start_training(loop.project)
    return loop.wait(card.version)


def _record(loop: Loop, card: Card, data: TextSet, seed: int, number: int, given: Sequence[int]) -> Record:
    if card.scores is None:
        raise BadRunError(f"Version {card.version} has no score: the project has no labelled holdout.")
    version = Registry(loop.model_dir).path(loop.project, card.version)
    classifier = classifiers.load(version, card.recipe["device"], card.recipe["precision"])
    test = score_holdout(data.question, classifier, data.test)
    return Record(
        seed=seed,
        strategy=card.strategy,
        round=number,
        labels=card.examples,
        dev=card.scores,
        test=test.as_dict() if test else None,
        chosen=tuple(given),
        seconds=card.seconds,
        device=describe(card.recipe["device"]),
        versions=card.libraries,
    )


def first_differences(live: Sequence[Record], offline: Sequence[Record]) -> list[str]:
    """Round by round, in words, whether Label Studio's queue and an offline run of the same seed chose the same.

    A last live round, which nobody labelled, is left out.
    """
    lines = []
    for ours, theirs in zip(live, offline, strict=False):
        if not ours.chosen:
            break
        pairs = list(zip(ours.chosen, theirs.chosen, strict=False))
        place = next((i for i, (a, b) in enumerate(pairs, start=1) if a != b), 0)
        common = len(set(ours.chosen) & set(theirs.chosen))
        text = f"round {ours.round}: {common} of {len(ours.chosen)} tasks are the same"
        lines.append(f"{text}, first parting at place {place}" if place else f"{text}, in the same order")
    return lines
