"""A corpus labelled through a real Label Studio by an oracle that takes what its queue serves, as new projects are
served and at random; and the curves of the versions beside those of a simulation.

Every arm of every seed has a project and a backend of its own. What is labelled stays in OUT, so that a run goes on.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nextlabel.errors import BadRunError
from nextlabel.lab.loop_benchmark.material import Material, make_project
from nextlabel.lab.sandbox import LocalBackend, LocalStudio, free_port, wait_until
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.tasks import result_of
from nextlabel.learning import auto_recipe
from nextlabel.model import checkpoints
from nextlabel.model import classifier as classifiers
from nextlabel.problems.metrics import macro_f1
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.frozen_default import content_of
from nextlabel.simulation.records import LIVE, RANDOM, Record, Run, differences
from nextlabel.store.files import replace_file
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values import markdown
from nextlabel.versions.registry import Registry

ARMS: Mapping[str, Mapping[str, object]] = {
    LIVE: {},
    RANDOM: {"query_strategy": RANDOM, "start_order": "off", "head": "off", "near_copies": "serve", "control_share": 0},
}
FITS, EVERY = (8, 16, 32, 64), 64  # as new projects have them
KEPT = {"keep_versions": 1000, "reconcile_s": 2, "promote_margin": 1}
PORT = 18700


@dataclass(frozen=True)
class LivePlan:
    """How many labels and seeds, seconds between two labels, the checkpoint, and settings of the backend beside."""

    labels: int
    seeds: Sequence[int]
    think_s: float
    base_model: str
    settings: Mapping[str, object]


@dataclass(frozen=True)
class Point:
    """A version's macro-F1 on test, by the labels that it was fitted on."""

    labels: int
    macro_f1: float


@dataclass(frozen=True)
class LiveCurve:
    """An arm of a seed: the rows of the corpus in the order in which they were labelled, and its versions."""

    strategy: str
    seed: int
    asked: tuple[int, ...]
    points: tuple[Point, ...]


Show = Callable[[str], None]


def require_comparable(data: TextSet, plan: LivePlan, simulated: Run) -> None:
    """Raises `BadRunError` unless a simulation is of these data and this checkpoint, fitted as new projects are, and
    has an arm of ours: what it is compared with takes hours."""
    width = checkpoints.width(plan.base_model)
    ours = {
        "data": {"fingerprint": data.fingerprint},
        "base_model": content_of(checkpoints.identity(plan.base_model)),
        "recipe": {
            "max_length": plan.settings["max_length"],
            "steps": auto_recipe.RULE,
            "learning_rate": auto_recipe.learning_rate(width),
        },
    }
    told, recipe = simulated.setting, simulated.setting["recipe"]
    theirs = {
        "data": {"fingerprint": told["data"].get("fingerprint")},
        "base_model": content_of(told["base_model"]),
        "recipe": {name: recipe.get(name) for name in ours["recipe"]},
    }
    differing = differences(theirs, ours)
    if differing:
        raise BadRunError(
            f"The simulation is not of what is played live: {'; '.join(differing)}. Give --compare another one, as "
            "`nextlabel simulate --frozen FILE.json` makes it."
        )
    if not {record.strategy for record in simulated.rounds} & ARMS.keys():
        raise BadRunError(f"The simulation has no rounds of {' or '.join(ARMS)}. Give --compare another one.")


def play(data: TextSet, plan: LivePlan, out: Path, show: Show) -> list[LiveCurve]:
    """The curves of all arms; those that OUT holds are not played again, and one that was cut short goes on."""
    material = Material(replace(data, dev=()), 0)
    out.mkdir(parents=True, exist_ok=True)
    _require_same(out / "plan.json", {**asdict(plan), "fingerprint": data.fingerprint})
    curves, server = dict[tuple[int, str], LiveCurve](), LocalStudio(out.absolute() / "label-studio", free_port(PORT))
    left = [(seed, name) for seed in plan.seeds for name in ARMS if not (out / f"{name}-{seed}.json").exists()]
    if left:
        try:
            server.start()
            for seed, name in left:
                curve = _Arm(server, material, plan, out.absolute() / f"{name}-{seed}", name, seed, show).play()
                replace_file(out / f"{name}-{seed}.json", json.dumps(asdict(curve)) + "\n")
        finally:
            server.stop()
    for seed in plan.seeds:
        curves |= {(seed, name): read(out / f"{name}-{seed}.json") for name in ARMS}
    return list(curves.values())


def _require_same(path: Path, plan: Mapping[str, Any]) -> None:
    """Note the plan, or see that it is the one noted; more seeds may be asked for."""
    told = json.loads(json.dumps({name: value for name, value in plan.items() if name != "seeds"}))
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else told
    if known != told:
        raise BadRunError(f"{path.parent} was played with {known}, and {told} is asked for. Give another --out.")
    replace_file(path, json.dumps(told) + "\n")


def read(path: Path) -> LiveCurve:
    """A curve that was played to its end."""
    told = json.loads(path.read_text(encoding="utf-8"))
    points = tuple(Point(**point) for point in told["points"])
    return LiveCurve(told["strategy"], told["seed"], tuple(told["asked"]), points)


class _Arm:
    """One project while it is labelled."""

    def __init__(
        self, server: LocalStudio, material: Material, plan: LivePlan, home: Path, name: str, seed: int, show: Show
    ):
        self._material, self._plan, self._home, self._name, self._seed = material, plan, home, name, seed
        self._studio, self._show = server.connect(), show
        settings = {**KEPT, **plan.settings, **ARMS[name], "seed": seed, "base_model": plan.base_model}
        self._backend = LocalBackend(server, home, free_port(PORT + 100), "serve", **settings)
        self._registry, self._board = Registry(home), StatusBoard(home)

    def play(self) -> LiveCurve:
        """Label what is left to label; the curve."""
        try:
            self._backend.start()
            self._project = _project_of(self._studio, self._imported(), f"{self._name} {self._seed}")
            connect(self._studio, self._project, self._backend.url, Credentials(), show_predictions=False)
            asked = list(self._answered().values())
            while len(asked) < self._plan.labels:
                wait_until(self._serves)
                asked.append(self._label())
                self._wait_for_a_fit(len(asked) == self._plan.labels)
            return LiveCurve(self._name, self._seed, tuple(asked), tuple(self._points()))
        finally:
            self._backend.stop()

    def _imported(self) -> Material:
        """At random in an order of the seed, as Label Studio's own holds until there is a version."""
        data = self._material.data
        if self._name == RANDOM:
            places = np.random.default_rng(self._seed).permutation(len(data.train))
            data = replace(data, train=tuple(data.train[place] for place in places))
        return replace(self._material, data=data)

    def _serves(self) -> bool:
        """Whether the queue is in an order of ours, once there is a version in one of that; or is to be in none yet."""
        version, queue = self._registry.current(self._project), self._board.queue(self._project)
        if version is None and self._name == RANDOM:
            return True
        return queue.state == "published" and queue.version == (version or "")

    def _label(self) -> int:
        task = self._studio.next_task(self._project)
        if task is None:
            raise BadRunError(f"The queue of {self._name}, seed {self._seed}, is empty. Give fewer --labels.")
        time.sleep(self._plan.think_s)
        row = int(task["data"]["row"])
        self._studio.annotate(task["id"], result_of(self._material.config, self._material.gold[row]))
        return row

    def _answered(self) -> dict[int, int]:
        """Rows by tasks that have a label, in the order of their labels."""
        tasks = [task for page in self._studio.tasks_after(self._project, 0) for task in page if task["annotations"]]
        in_order = sorted(tasks, key=lambda task: int(task["annotations"][0]["id"]))
        return {int(task["id"]): int(task["data"]["row"]) for task in in_order}

    def _learnt(self) -> int:
        """Labels that versions learn, hence without those of the control set; 0 while they are of one class."""
        rows = self._answered()
        reserved = Pool(pool_path(self._home, self._project)).reserved(rows)
        learnt = [self._material.gold[row] for task, row in rows.items() if task not in reserved]
        return len(learnt) if len(set(learnt)) > 1 else 0

    def _wait_for_a_fit(self, is_last: bool) -> None:
        """Where a fit is due, until there is its version: in a simulation it takes no time. After the last label one is
        asked for."""
        labels = self._learnt()
        if not labels or not (is_last or is_due(labels)):
            return
        if not is_due(labels):
            self._studio.start_training(self._project)
        wait_until(lambda: any(card.examples >= labels for card in self._registry.cards(self._project)))
        self._show(f"{self._name}, seed {self._seed}: a version of {labels} labels")

    def _points(self) -> Iterator[Point]:
        """Of every version, by rising labels."""
        test, question = self._material.data.test, self._material.config.question
        targets_N = question.class_numbers([label for _, label in test])
        for card in sorted(self._registry.cards(self._project), key=lambda card: card.examples):
            model = classifiers.load(self._registry.path(self._project, card.version), card.device, card.precision)
            predictions_N = question.predicted(model.predict_proba([example for example, _ in test], exact=False))
            yield Point(card.examples, macro_f1(targets_N, predictions_N))


def is_due(labels: int) -> bool:
    """Whether new projects have a fit with so many labels."""
    return labels in FITS or (labels > FITS[-1] and (labels - FITS[-1]) % EVERY == 0)


def _project_of(studio: LabelStudioClient, material: Material, title: str) -> int:
    """The project of that title, made where there is none."""
    there = {name: project for project, name in studio.projects().items()}
    return there[title] if title in there else make_project(studio, material, title)


# Beside a simulation


@dataclass(frozen=True)
class Beside:
    """At a label count of the simulation, of which `learnt` are learnt from: macro-F1 on test of the live seeds and of
    the simulated ones, read off between two versions on a logarithmic scale."""

    strategy: str
    labels: int
    learnt: int
    live: tuple[float, ...]
    simulated: tuple[float, ...]

    @property
    def within(self) -> int:
        """How many live seeds lie within the range of the simulated ones."""
        return sum(min(self.simulated) <= value <= max(self.simulated) for value in self.live)


def beside(curves: Sequence[LiveCurve], simulated: Run) -> list[Beside]:
    """All counts that lie within the live curves. Compared is at as many labels that are learnt from as every simulated
    seed has there, in both. Raises `BadRunError` when the simulation has none of the arms."""
    found = []
    for name in ARMS:
        ours = [curve.points for curve in curves if curve.strategy == name]
        rounds = [record for record in simulated.rounds if record.strategy == name]
        theirs = [_simulated(rounds, seed) for seed in dict.fromkeys(record.seed for record in rounds)]
        for count in sorted({record.labels for record in rounds}):
            learnt = min(_learnt_from(record) for record in rounds if record.labels == count)
            live, scores = ([at(points, learnt) for points in those] for those in (ours, theirs))
            if live and None not in live:
                found.append(Beside(name, count, learnt, _known(live), _known(scores)))
    if not found:
        raise BadRunError(f"The simulation has no rounds of {' or '.join(ARMS)} within the labels that were given.")
    return found


def _simulated(rounds: Sequence[Record], seed: int) -> list[Point]:
    """The curve of a seed."""
    return [Point(_learnt_from(r), float((r.test or {})["macro_f1"])) for r in rounds if r.seed == seed]


def _learnt_from(record: Record) -> int:
    """The labels of a round without those of the control set."""
    return record.labels - int((record.control or {}).get("labels", 0))


def _known(values: Sequence[float | None]) -> tuple[float, ...]:
    """Without seeds that have not come that far."""
    return tuple(value for value in values if value is not None)


def at(points: Sequence[Point], labels: int) -> float | None:
    """Macro-F1 at so many labels; None where no version has as many or as few."""
    counts, scores = ([getattr(point, name) for point in points] for name in ("labels", "macro_f1"))
    if not counts or not counts[0] <= labels <= counts[-1]:
        return None
    return float(np.interp(np.log2(labels), np.log2(counts), scores))


def to_markdown(found: Sequence[Beside]) -> str:
    """A row for each count of each arm."""
    rows = [
        [
            one.strategy,
            f"{one.labels}",
            f"{one.learnt}",
            *map(_spread, (one.live, one.simulated)),
            f"{one.within} of {len(one.live)}",
        ]
        for one in found
    ]
    head = ["arm", "labels", "learnt from", "live", "simulated", "live seeds within the simulated range"]
    return f"""\
# The live loop beside the simulation

Macro-F1 on test, mean (lowest to highest seed; seeds). Live: an oracle labelled what the queue of a real Label Studio
served. Control tasks are labelled and not learnt from, more or fewer by the seed: both are compared at as many labels
that are learnt from as the simulated seed with the fewest has; between two versions values are read off on a
logarithmic scale.

{markdown.table(head, rows)}
"""


def _spread(values: Sequence[float]) -> str:
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f}; {len(values)})"
