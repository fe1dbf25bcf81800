"""On a real Ray cluster: values and failures come back, what is lost begins again, simulations have equal records."""

import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from helpers import ray_jobs
from helpers.house import PROJECT, House
from helpers.paths import ROOT
from helpers.ports import own_port
from helpers.remote_house import RemoteHouse, assert_same_version, labelled
from helpers.waiting import wait_until
from nextlabel.compute.cluster import Cluster
from nextlabel.compute.tasks import Running, Shared, Task, TaskLostError
from nextlabel.errors import DivergedError, NoMemoryError
from nextlabel.lab.ray_nodes import RayNodes
from nextlabel.loop.backlog import Backlog
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.model.classifier import Recipe
from nextlabel.simulation import probabilities, records
from nextlabel.simulation.datasets.corpora import own_pairs
from nextlabel.simulation.datasets.textsets import TextSet, of_pairs
from nextlabel.simulation.experiment import Event, Experiment, ExperimentPlan, Show
from nextlabel.simulation.on_cluster import on_cluster
from nextlabel.simulation.records import Record
from nextlabel.simulation.replay import RunProtocol, arms
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow

pytestmark = pytest.mark.usefixtures("patience")

SOON_S = 300.0  # on a busy machine


@pytest.fixture(scope="module")
def port() -> int:
    return own_port(23000)


@pytest.fixture(scope="module")
def cluster(port: int) -> Iterator[Cluster]:
    with closing(Cluster(f"ray://127.0.0.1:{port}", away="wait")) as connected:
        yield connected


@pytest.fixture(scope="module")
def before(cluster: Cluster) -> Running:
    """Handed in before there is a cluster."""
    running = cluster.submit(Task("before", ray_jobs.double, (21,)))
    wait_until(lambda: "away" in cluster.words, "it is known that nobody listens", SOON_S)
    return running


@pytest.fixture(scope="module", autouse=True)
def nodes(before: Running, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """A head and three nodes, none of which sees what tests write."""
    started = RayNodes(port, 3, tmp_path_factory.getbasetemp(), [ROOT / "tests"])
    with patch.dict(os.environ, started.for_client):
        yield started
    started.end()


@pytest.fixture
def seen_by_all() -> Iterator[Path]:
    """A directory that nodes see, unlike those of other tests."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="seen-") as home:
        yield Path(home)


def value(running: Running) -> object:
    return running.result(timeout=SOON_S)


def test_a_task_waits_for_a_cluster_that_is_away_at_the_start(before: Running) -> None:
    assert value(before) == 42


def test_values_come_back_with_the_node_and_failures_as_they_were_raised(
    cluster: Cluster, nodes: RayNodes, tmp_path: Path
) -> None:
    doubled = [cluster.submit(Task(f"double {i}", ray_jobs.double, (i,))) for i in range(8)]
    assert [value(running) for running in doubled] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert all(running.node for running in doubled)
    assert "3 nodes with 3 cores" in cluster.words
    assert value(cluster.submit(Task("hidden", ray_jobs.exists, (str(tmp_path),)))) is not nodes.hides
    for kind, error in (("on purpose", DivergedError), ("memory", NoMemoryError), ("unforeseen", TaskLostError)):
        with pytest.raises(error) as raised:
            value(cluster.submit(Task(f"fail {kind}", ray_jobs.fail, (kind,))))
        assert type(raised.value) is error
    assert "ZeroDivisionError: why" in str(raised.value)
    gone = Shared("gone", ray_jobs.vanished, bytes)
    with pytest.raises(TaskLostError, match="the checkpoint is gone"):
        value(cluster.submit(Task("gone", ray_jobs.double, (1,), (gone,))))
    for threads in (2, 1, 3):  # the same processes, with what is asked for each time
        assert value(cluster.submit(Task(f"threads {threads}", ray_jobs.threads, threads=threads))) == threads


def test_a_worker_that_dies_begins_again_and_four_times_is_enough(cluster: Cluster, seen_by_all: Path) -> None:
    once = cluster.submit(Task("once", ray_jobs.die_first, (str(seen_by_all / "once"),)))
    always = cluster.submit(Task("always", ray_jobs.die, (str(seen_by_all / "always"),)))
    assert value(once) == "second"
    with pytest.raises(TaskLostError, match="4 times"):
        value(always)
    assert (seen_by_all / "always").read_text(encoding="utf-8").split() == ["begun"] * 4


def test_progress_is_told_and_what_it_raises_ends_the_task(cluster: Cluster, seen_by_all: Path) -> None:
    told: list[tuple[str, int, int]] = []

    class EnoughError(Exception):
        pass

    def tell(stage: str, done: int, total: int) -> None:
        if (stage, done) not in {(before, count) for before, count, _ in told}:
            told.append((stage, done, total))
        if done > 1 and len(told) > 3:
            raise EnoughError

    with pytest.raises(EnoughError):
        cluster.wait_for(cluster.submit(Task("long", ray_jobs.count, (str(seen_by_all / "long"), 10_000))), tell)
    assert told[0] == ("waiting for the cluster", 0, 1)
    assert {(stage, total) for stage, _, total in told[1:]} == {("count", 10_000)}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    # Its core is free again, as are the others.
    counts = [cluster.submit(Task(f"count {i}", ray_jobs.count, (str(seen_by_all / f"{i}"), 20))) for i in range(3)]
    assert [len(str(value(running)).split()) for running in counts] == [1, 1, 1]


@pytest.fixture(scope="module")
def data() -> TextSet:
    """40 of our own pairs to learn from, 12 dev, 8 test."""
    pairs = own_pairs()
    return of_pairs(replace(pairs, train=pairs.train[:40], holdout=pairs.holdout[:12], test=pairs.holdout[12:20]))


@pytest.fixture(scope="module")
def protocol(tiny: Path) -> RunProtocol:
    recipe = Recipe(str(tiny), 3, 1e-3, 8, max_length=48, seed=0, device="cpu")
    return RunProtocol(recipe, start=16, batch=10, full_steps=4)


PLAN = ExperimentPlan(arms(["random", "entropy", "tfidf:margin"], [0, 1]), rounds=2)
ROUNDS = 2 * (1 + 3 + 3 + 3)


def played(out: Path) -> list[Record]:
    """What is on disk, by arm, without what no two runs share."""
    found = records.read_rounds(out / records.ROUNDS)
    return sorted((replace(r, seconds={}) for r in found), key=lambda r: (r.seed, r.strategy, r.round))


@pytest.fixture(scope="module")
def of_one_machine(tmp_path_factory: pytest.TempPathFactory, data: TextSet, protocol: RunProtocol) -> list[Record]:
    out = tmp_path_factory.mktemp("one")
    with Experiment(out, data, protocol) as experiment:
        experiment.play(PLAN, "the command")
    return played(out)


def play(out: Path, data: TextSet, protocol: RunProtocol, cluster: Cluster, show: Show = lambda event: None) -> None:
    plan = replace(PLAN, cluster="a cluster")
    with Experiment(out, data, protocol) as experiment:
        assert experiment.play(plan, "the command", show, on_cluster(cluster)) == []


def test_three_nodes_give_the_records_of_one_machine(
    tmp_path: Path, cluster: Cluster, data: TextSet, protocol: RunProtocol, of_one_machine: list[Record]
) -> None:
    play(tmp_path, data, protocol, cluster)
    assert len(of_one_machine) == ROUNDS
    assert played(tmp_path) == of_one_machine
    (start,) = records.read_run(tmp_path).invocations
    assert start["cluster"] == "a cluster"


def test_they_do_so_at_label_counts_too_with_all_that_figures_are_computed_from(
    tmp_path: Path, cluster: Cluster, data: TextSet, protocol: RunProtocol
) -> None:
    counted = replace(protocol, at=(12, 20, 32))
    few = ExperimentPlan(arms(["random", "entropy"], [0]))
    for name, plan, make in (("one", few, None), ("three", replace(few, cluster="a cluster"), on_cluster(cluster))):
        with Experiment(tmp_path / name, data, counted) as experiment:
            assert experiment.play(plan, "the command", lambda event: None, make) == []
    assert played(tmp_path / "three") == played(tmp_path / "one")
    for strategy, number in (("random", 0), ("entropy", 2), ("full", 0)):
        ours, theirs = (probabilities.read(tmp_path / name, 0, strategy, number) for name in ("one", "three"))
        assert {part: said.probs_NC.tolist() for part, said in ours.items()} == {
            part: said.probs_NC.tolist() for part, said in theirs.items()
        }


def test_fits_and_parts_of_pools_that_no_node_can_read_are_those_of_this_machine(
    tmp_path: Path, nodes: RayNodes, cluster: Cluster, tiny: Path
) -> None:
    here, there = House(tmp_path / "here", tiny), RemoteHouse(tmp_path / "there", tiny, cluster)
    version = labelled(here).fit()
    killer = threading.Thread(target=nodes.kill_worker, daemon=True)
    killer.start()
    assert labelled(there).fit() == version
    killer.join()
    assert there.registry.card(PROJECT, version).node
    scoring = Backlog(here.settings, here.registry, here.jobs, here.resident, ComputeGate())
    for house, backlog in ((here, scoring), (there, there.backlog)):
        rows = [TaskRow(i, Example(i, f"yes, text {i}"), False, False, False, 0, ()) for i in range(301, 2301)]
        house.pool.upsert(rows)
        for part in house.pool.unscored_parts(version, 512):
            backlog.score(PROJECT, version, *part)
    wait_until(lambda: not there.pool.has_unscored(version), "all parts came back", SOON_S)
    assert_same_version(here, there, version)
    for house in (here, there):
        house.pool.__exit__()


def test_a_simulation_that_loses_workers_nodes_and_the_head_has_the_same_records(
    tmp_path: Path,
    nodes: RayNodes,
    data: TextSet,
    protocol: RunProtocol,
    of_one_machine: list[Record],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The last test of this cluster."""
    caplog.set_level(logging.WARNING)
    worker = threading.Thread(target=nodes.kill_worker, daemon=True)
    kills = {2: worker.start, 5: nodes.kill_node, 11: nodes.kill_head}
    seen: list[Event] = []

    def show(event: Event) -> None:
        seen.append(event)
        kills.get(len(seen), lambda: None)()

    with closing(Cluster(nodes.address)) as local_when_away:
        play(tmp_path, data, protocol, local_when_away, show)
        assert "away" in local_when_away.words
        assert not worker.is_alive()
    assert "a task was lost and begins again" in caplog.text
    assert "what it gives back is played here" in caplog.text
    assert len(seen) == len(records.read_rounds(tmp_path / records.ROUNDS)) == ROUNDS
    assert played(tmp_path) == of_one_machine
