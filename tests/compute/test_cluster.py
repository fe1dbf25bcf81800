"""Who goes first on a cluster, and that no fault of it is waited for without end. No Ray is needed for any of this."""

import functools
import importlib.util
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from helpers import ray_jobs, scripted_cluster
from helpers.waiting import wait_until
from nextlabel.compute import cluster as clusters
from nextlabel.compute.cluster import Cluster, Serve
from nextlabel.compute.tasks import FIT, MOVE_S, PART, RETURNS, ClusterAwayError, Running, Shared, Task, TaskLostError
from nextlabel.errors import MissingPackageError, NoMemoryError

pytestmark = pytest.mark.usefixtures("patience")

SOON_S = 300.0


@pytest.fixture
def connected() -> Iterator[Any]:
    """Makes clusters, and closes them."""
    with ExitStack() as open_ones:

        def connect(serve: Serve, away: str = "local") -> Cluster:
            return open_ones.enter_context(closing(Cluster("ray://nowhere:1", away, serve)))

        yield connect


def hand_in(cluster: Cluster, key: str, rank: int = PART) -> Running:
    return cluster.submit(Task(key, ray_jobs.double, (1,), rank=rank))


def test_labels_go_before_the_backlog_and_a_task_under_way_is_not_handed_in_twice(connected: Any) -> None:
    cluster = connected(scripted_cluster.in_order)
    parts = [hand_in(cluster, f"part {i}") for i in range(8)]
    assert hand_in(cluster, "part 7") is parts[7]
    parts[1].result(timeout=SOON_S)
    places = [part.result(timeout=SOON_S) for part in (hand_in(cluster, "fit", FIT), *parts)]
    assert sorted(places) == list(range(1, 10))
    assert places[0] <= 6  # one is computed, two are handed out
    assert places[1:] == sorted(places[1:])


def test_a_silent_task_begins_again_and_what_its_first_attempt_says_later_is_not_heard(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "BEATS_S", 0.5)
    assert hand_in(connected(scripted_cluster.silent_task), "a task").result(timeout=SOON_S) == "second"


def test_a_task_that_lives_and_gets_no_further_begins_again(connected: Any) -> None:
    task = Task("a task", ray_jobs.double, (1,), still_s=0.5)
    assert connected(scripted_cluster.stuck).submit(task).result(timeout=SOON_S) == "second"


def test_what_a_node_cannot_fetch_is_no_failure_of_the_task(connected: Any) -> None:
    shared = Shared("a checkpoint", ray_jobs.three_bytes, bytes)
    cluster = connected(functools.partial(scripted_cluster.through_ray, fault="unfetched"))
    assert cluster.submit(Task("a task", ray_jobs.added, (1,), (shared,))).result(timeout=SOON_S) == 4


def test_a_connection_that_is_away_for_a_while_has_no_task_begun_again(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "BEATS_S", 0.5)
    assert hand_in(connected(scripted_cluster.away_for_a_while), "a task").result(timeout=SOON_S) == 1


@pytest.mark.parametrize(
    ("serve", "limit", "why"),
    [
        (scripted_cluster.full, "BEGIN_S", "full: .* no room"),
        (scripted_cluster.no_nodes, "BEGIN_S", "too small: .* no nodes"),
        (scripted_cluster.silent, "SILENT_S", "nothing was heard for"),
    ],
)
def test_a_full_or_silent_cluster_gives_tasks_back(
    connected: Any, monkeypatch: pytest.MonkeyPatch, serve: Serve, limit: str, why: str
) -> None:
    monkeypatch.setattr(clusters, limit, 0.5)
    with pytest.raises(ClusterAwayError, match=why):
        hand_in(connected(serve), "a task").result(timeout=SOON_S)


def test_whoever_waits_is_told_that_the_cluster_is_full_until_it_is_not(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "BEGIN_S", 0.5)
    cluster = connected(scripted_cluster.full, "wait")
    running = hand_in(cluster, "a task")
    wait_until(lambda: cluster.is_away, "it is full", SOON_S)
    assert cluster.words.startswith("full: ray://nowhere:1 has had no room")
    assert not running.done()
    cluster.cancel(running)
    wait_until(lambda: cluster.words.startswith("1 node") and not cluster.is_away, "nothing waits there", SOON_S)


def test_a_cluster_that_tells_nothing_of_its_tasks_gives_them_back(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "BEATS_S", -clusters.SILENT_S)
    with pytest.raises(ClusterAwayError, match="nothing was heard of tasks"):
        hand_in(connected(scripted_cluster.unreadable_board), "a task").result(timeout=SOON_S)


def test_our_own_long_task_does_not_make_the_cluster_full(connected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "BEGIN_S", 0.5)
    cluster = connected(scripted_cluster.one_after_the_other)
    tasks = [hand_in(cluster, name) for name in ("long", "next")]
    assert [task.result(timeout=SOON_S) for task in tasks] == ["done", "done"]
    assert not cluster.is_away


@pytest.mark.parametrize("half", [False, True], ids=["as it is sent to", "in half a word"])
def test_a_connection_that_is_stopped_is_not_waited_for(
    connected: Any, monkeypatch: pytest.MonkeyPatch, half: bool
) -> None:
    monkeypatch.setattr(clusters, "SILENT_S", 0.5)
    cluster = connected(functools.partial(scripted_cluster.stopped, half=half))
    more_than_a_pipe_holds = Task("a task", ray_jobs.double, (bytes(4_000_000),))
    with pytest.raises(ClusterAwayError, match="the connection ended"):
        cluster.submit(more_than_a_pipe_holds).result(timeout=SOON_S)


def test_gpus_are_handed_out_where_they_are_scarcer_than_cores(connected: Any) -> None:
    cluster = connected(functools.partial(scripted_cluster.quiet, nodes=[(8.0, 1.0)]))
    tasks = [cluster.submit(Task(f"part {i}", ray_jobs.double, gpus=1.0)) for i in range(5)]
    assert max(task.result(timeout=SOON_S) for task in tasks) <= 2
    assert "1 node with 8 cores and 1 GPU at" in cluster.words
    assert (cluster.room(4, 0.0), cluster.room(4, 0.5), cluster.room(9, 1.0), cluster.room(1, 2.0)) == (5, 5, 3, 1)


def test_what_was_killed_for_memory_is_alone_the_second_time(connected: Any) -> None:
    cluster = connected(functools.partial(scripted_cluster.quiet, nodes=[(2.0, 0.0)], short=True))
    tasks = [hand_in(cluster, f"part {i}") for i in range(6)]
    assert tasks[0].result(timeout=SOON_S) == 1
    assert all(task.result(timeout=SOON_S) for task in tasks[1:])


def test_while_an_object_moves_the_connection_gives_signs_of_life(connected: Any) -> None:
    shared = Shared("a checkpoint", ray_jobs.three_bytes, bytes)
    cluster = connected(functools.partial(scripted_cluster.through_ray, fault="slow"))
    tasks = [cluster.submit(Task(f"part {i}", ray_jobs.added, (i,), (shared,))) for i in range(3)]
    assert [task.result(timeout=SOON_S) for task in tasks] == [3, 4, 5]
    assert "1 node with 4 cores and 1 GPU at" in cluster.words


def test_while_an_object_moves_no_task_waits_for_room(connected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "BEGIN_S", 0.5)
    assert hand_in(connected(scripted_cluster.long_move), "a task").result(timeout=SOON_S) == "done"


def test_a_result_that_is_long_on_its_way_is_waited_for(connected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "BEATS_S", 0.5)
    cluster = connected(functools.partial(scripted_cluster.through_ray, fault="late"))
    running = hand_in(cluster, "a task")
    assert running.result(timeout=SOON_S) == 2
    assert running.told == RETURNS


def test_a_result_that_waits_until_another_one_is_here_is_not_lost(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = connected(scripted_cluster.results_one_by_one)
    take, moves = cluster._take, list[str]()

    def take_slowly(connection: Any, kind: str, said: Any) -> None:
        moves.extend([kind] * (kind == "moves"))
        take(connection, kind, said)

    monkeypatch.setattr(cluster, "_take", take_slowly)
    monkeypatch.setattr(cluster, "_now", lambda: time.monotonic() + MOVE_S / 15 * len(moves))
    tasks = [hand_in(cluster, name) for name in ("one", "another")]
    assert [task.result(timeout=SOON_S) for task in tasks] == [2, 2]
    assert len(moves) > 15


def test_a_result_that_does_not_come_in_time_is_asked_for_again(connected: Any) -> None:
    cluster = connected(functools.partial(scripted_cluster.through_ray, fault="untimely"))
    assert hand_in(cluster, "a task").result(timeout=SOON_S) == 2


def test_a_task_that_hangs_gives_its_core_back(connected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "MOVE_S", 0.5)
    cluster = connected(functools.partial(scripted_cluster.through_ray, fault="hung"))
    assert hand_in(cluster, "a task").result(timeout=SOON_S) == 2


def test_who_is_cancelled_is_interrupted_so_that_it_cleans_up(connected: Any) -> None:
    cluster = connected(functools.partial(scripted_cluster.through_ray, fault="busy"))
    running, other = hand_in(cluster, "a task"), hand_in(cluster, "another")
    wait_until(lambda: running.told == RETURNS, "it is under way", SOON_S)
    cluster.cancel(running)
    assert other.result(timeout=SOON_S) == 2


def test_a_task_whose_result_was_lost_does_not_tell_that_it_is_on_its_way(connected: Any) -> None:
    running = hand_in(connected(scripted_cluster.lost_result), "a task")
    assert running.result(timeout=SOON_S) == "second"
    assert running.told is None


def test_what_could_not_be_shared_is_shared_anew(connected: Any) -> None:
    shared = Shared("a checkpoint", ray_jobs.three_bytes, bytes)
    cluster = connected(functools.partial(scripted_cluster.through_ray, fault="once"))
    with pytest.raises(TaskLostError, match="no room for it"):
        cluster.submit(Task("a task", ray_jobs.added, (1,), (shared,))).result(timeout=SOON_S)
    assert cluster.submit(Task("another", ray_jobs.added, (1,), (shared,))).result(timeout=SOON_S) == 4


def test_whoever_waits_for_room_can_give_up(connected: Any) -> None:
    cluster = connected(scripted_cluster.full, "wait")
    running, told = hand_in(cluster, "a task"), list[str]()

    def tell(stage: str, done: int, total: int) -> None:
        told.append(stage)
        if len(told) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        cluster.wait_for(running, tell)
    assert told == ["waiting for the cluster"] * 2
    wait_until(running.cancelled, "it is not waited for any more", SOON_S)


def test_a_lost_cluster_is_not_asked_again_at_once_and_whoever_waits_goes_on_waiting(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "SILENT_S", 0.5)
    patient, local = (connected(scripted_cluster.silent, away) for away in ("wait", "local"))
    waiting = hand_in(patient, "a task")
    with pytest.raises(ClusterAwayError):
        hand_in(local, "a task").result(timeout=SOON_S)
    start = time.monotonic()
    with pytest.raises(ClusterAwayError, match="away at ray://nowhere:1"):
        hand_in(local, "another").result(timeout=SOON_S)
    assert time.monotonic() - start < clusters.AGAIN_S / 2
    wait_until(lambda: patient.rests, "it was lost", SOON_S)
    assert not waiting.done()


def test_it_stays_away_in_words_until_it_is_back_also_when_it_may_be_asked_again(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "AGAIN_S", 0.0)
    cluster = connected(scripted_cluster.nobody)
    assert (cluster.is_away, cluster.words) == (False, "ray://nowhere:1, not asked yet")
    with pytest.raises(ClusterAwayError):
        hand_in(cluster, "a task").result(timeout=SOON_S)
    assert (cluster.is_away, cluster.rests) == (True, False)
    assert cluster.words == "away at ray://nowhere:1 (ConnectionRefusedError: nobody listens)"


def test_one_that_is_back_is_not_called_away_until_the_next_task(
    connected: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clusters, "AGAIN_S", 0.0)
    lives = tmp_path / "lives"
    cluster = connected(functools.partial(scripted_cluster.back_again, lives=lives))
    assert hand_in(cluster, "a task").result(timeout=SOON_S) == "done"
    wait_until(lambda: lives.exists() and len(lives.read_text()) > 1, "it is asked again", SOON_S)
    wait_until(lambda: not cluster.is_away and cluster.words.startswith("1 node"), "it stands again", SOON_S)


def test_one_that_was_lost_is_asked_again_in_time_also_when_nobody_waits(
    connected: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(clusters, "AGAIN_S", 0.5)
    cluster = connected(functools.partial(scripted_cluster.back_again, lives=tmp_path / "lives"))
    wait, waits = cluster._wake.wait, list[float]()

    def note(timeout: float) -> None:
        waits.append(timeout)
        wait(timeout)

    monkeypatch.setattr(cluster._wake, "wait", note)
    assert hand_in(cluster, "a task").result(timeout=SOON_S) == "done"
    wait_until(lambda: waits, "it was lost", SOON_S)
    assert max(waits) <= clusters.AGAIN_S


def test_a_task_killed_for_memory_is_tried_once_more_alone_on_a_node(connected: Any) -> None:
    with pytest.raises(NoMemoryError, match="4 cores"):
        hand_in(connected(scripted_cluster.short_of_memory), "a task").result(timeout=SOON_S)


def test_what_cannot_be_sent_or_read_fails_and_the_next_task_does_not(connected: Any) -> None:
    cluster = connected(scripted_cluster.compute)
    for job, given in ((ray_jobs.double, lambda: 0), (ray_jobs.unreadable, 0)):
        with pytest.raises(TaskLostError, match="cannot be"):
            cluster.submit(Task("a task", job, (given,))).result(timeout=SOON_S)
    assert hand_in(cluster, "another").result(timeout=SOON_S) == 2


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"RAY_ADDRESS=ray://head:10001 needs .* ray.*pip install '\.\[ray\]'"
    ):
        Cluster("ray://head:10001")
