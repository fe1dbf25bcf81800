"""A simulation whose cluster gives tasks back: what is refused is played here, and the cluster is asked again."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nextlabel.compute.tasks import ClusterAwayError, Running, Task
from nextlabel.model.classifier import Recipe
from nextlabel.simulation import records
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.simulation.experiment import Event, Experiment, ExperimentPlan
from nextlabel.simulation.on_cluster import on_cluster
from nextlabel.simulation.records import Record
from nextlabel.simulation.replay import RunProtocol, arms

PLAN = ExperimentPlan(arms(["random", "entropy"], [0]), rounds=2)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data() -> TextSet:
    pairs = own_pairs()
    return of_pairs(replace(pairs, train=pairs.train[:40], holdout=pairs.holdout[:12], test=pairs.holdout[12:20]))


@pytest.fixture
def protocol(tiny: Path) -> RunProtocol:
    return RunProtocol(Recipe(str(tiny), 3, 1e-3, 8, max_length=48, seed=0, device="cpu"), start=16, batch=10)


class Moody:
    """Computes at once what it is given, or gives it back."""

    words = "full: it has no room"

    def __init__(self) -> None:
        self.rests, self.computed = True, 0

    def submit(self, task: Task) -> Running:
        running = Running(task)
        if self.rests:
            running.set_exception(ClusterAwayError("The cluster is full."))
        else:
            self.computed += 1
            shared = [one.open(one.make()) for one in task.shared]
            running.set_result(task.job(lambda stage, done, total: None, *shared, *task.args))
        return running


def records_in(out: Path) -> list[Record]:
    found = records.read_rounds(out / records.ROUNDS)
    return sorted((replace(r, seconds={}) for r in found), key=lambda r: (r.seed, r.strategy, r.round))


def test_what_is_refused_is_played_here_until_the_cluster_can_be_had_and_both_are_said_once(
    tmp_path: Path, data: TextSet, protocol: RunProtocol, caplog: pytest.LogCaptureFixture
) -> None:
    cluster: Any = Moody()
    seen = list[Event]()

    def show(event: Event) -> None:
        seen.append(event)
        cluster.rests = len(seen) < 4  # of the first round of two arms and the baseline, and one more

    with Experiment(tmp_path / "here", data, protocol) as experiment:
        experiment.play(PLAN, "the command")
    with Experiment(tmp_path / "there", data, protocol) as experiment, caplog.at_level(logging.WARNING):
        assert experiment.play(replace(PLAN, cluster="a cluster"), "the command", show, on_cluster(cluster)) == []
    assert records_in(tmp_path / "there") == records_in(tmp_path / "here")
    assert len(seen) == 7
    assert cluster.computed == 3, "the rest was computed there"
    said = [one.getMessage() for one in caplog.records if one.name == "nextlabel.simulation.on_cluster"]
    assert said == [
        "The cluster is full: it has no room; what it gives back is played here, a round at a time.",
        "Rounds are played on the cluster again.",
    ]
