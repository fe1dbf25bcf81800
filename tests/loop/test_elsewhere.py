"""Fits and parts of a pool that another process computes, as a node of a cluster does: the same to the bit, or here."""

import html
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
import torch

from helpers import scripted_cluster
from helpers.house import CONFIG, PROJECT, RIGHT, TRAIN, House
from helpers.remote_house import RemoteHouse, assert_same_version, labelled
from helpers.served import client_of
from helpers.waiting import wait_until
from nextlabel.compute import cluster as clusters
from nextlabel.compute import local
from nextlabel.compute.cluster import Cluster, Serve
from nextlabel.compute.tasks import ClusterAwayError, Running, Task, TaskLostError
from nextlabel.labelstudio import doctor
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials
from nextlabel.labelstudio.notices import told
from nextlabel.loop import backlog as backlogs
from nextlabel.loop import orders
from nextlabel.loop.backlog import Backlog
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.elsewhere import Elsewhere
from nextlabel.loop.finishing import write_final
from nextlabel.loop.fitting import LOOK_S
from nextlabel.loop.noticing import Noticer, Seen
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow

pytestmark = pytest.mark.usefixtures("patience")

MORE = range(301, 1401)  # tasks: more than a fit of so few labels scores, in two parts of 1024 ids


@pytest.fixture
def remote_house(tmp_path: Path, tiny: Path) -> Iterator[Callable[[Serve], RemoteHouse]]:
    with ExitStack() as open_ones:

        def make(serve: Serve) -> RemoteHouse:
            cluster = open_ones.enter_context(closing(Cluster("ray://nowhere:1", "local", serve)))
            house = RemoteHouse(tmp_path / "remote", tiny, cluster)
            open_ones.callback(house.pool.__exit__)
            return house

        yield make


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    made = House(tmp_path / "here", tiny, fit_schedule="8,16")
    yield made
    made.pool.__exit__()


@pytest.fixture
def other_threads() -> Iterator[None]:
    """Whoever asks for a fit computes with another number of threads than whoever makes it."""
    local.run(int)  # that thread is there now
    before = torch.get_num_threads()
    torch.set_num_threads(1 if before > 1 else 2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("other_threads")
def test_a_fit_elsewhere_is_the_one_here_to_the_bit_and_its_card_says_where(
    house: House, remote_house: Callable[[Serve], RemoteHouse]
) -> None:
    there = remote_house(scripted_cluster.compute)
    version = labelled(house).fit()
    assert labelled(there).fit() == version
    assert_same_version(house, there, version)
    card = there.registry.card(PROJECT, version)
    assert (card.node, card.device, house.registry.card(PROJECT, version).node) == ("a node", "cpu", "")
    assert there.active_version == version
    assert "computed on a cluster: 1 node with 1 core at" in there.elsewhere.words(PROJECT, version)


def test_a_fit_elsewhere_tells_how_far_it_is_and_is_given_up_for_many_more_labels(
    remote_house: Callable[[Serve], RemoteHouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    house = remote_house(scripted_cluster.slow_fit)
    house.label(TRAIN[:8], RIGHT)
    real, told = house.board.put_fit, list[tuple[str, int]]()

    def tell(project: int, now: float, **changes: Any) -> None:
        real(project, now, **changes)
        told.append((changes.get("stage", ""), changes.get("total", 0)))
        if told[-1] == ("fit", 100):
            house.label(TRAIN, RIGHT)
        house.now += LOOK_S + 1

    monkeypatch.setattr(house.board, "put_fit", tell)
    assert house.fit() == ""
    assert ("fit", 100) in told
    assert house.board.fit(PROJECT).message == "The last fit was given up, its labels are kept"
    wait_until(lambda: house.cluster.room(1, 0.0) == 3, "nothing is under way")


FAULTS = {
    "away at the start": (scripted_cluster.nobody, "away at .*nobody listens"),
    "full": (scripted_cluster.full, "full: .* no room"),
    "no nodes": (scripted_cluster.no_nodes, "too small: .* no nodes"),
    "lost while under way": (scripted_cluster.slow_fit_then_gone, "away at .*the head is gone"),
}


@pytest.fixture(params=FAULTS)
def faulty_house(
    request: pytest.FixtureRequest,
    remote_house: Callable[[Serve], RemoteHouse],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[RemoteHouse]:
    """Whose cluster has a fault, which it says in the end, and as something that somebody should know."""
    serve, said = FAULTS[request.param]
    limits = {"BEGIN_S": 3600.0 if said.startswith("away") else 0.5, "AGAIN_S": 3600.0, "LONGEST_AGAIN_S": 3600.0}
    for name, seconds in limits.items():  # it is not asked again in this test
        monkeypatch.setattr(clusters, name, seconds)
    house = labelled(remote_house(serve))
    assert "not asked yet" in house.elsewhere.words(PROJECT, None)
    assert not house.elsewhere.is_amiss(PROJECT, None)
    yield house
    words = house.elsewhere.words(PROJECT, None)
    assert re.search(f"The cluster is {said}.*; this machine computes until it is back", words)
    assert house.elsewhere.is_amiss(PROJECT, None)


def test_a_fit_that_the_cluster_gives_back_is_made_here(faulty_house: RemoteHouse) -> None:
    house = faulty_house
    assert house.fit() == ""
    assert house.jobs.waiting() == 1, "the fit is asked for again"
    assert house.board.fit(PROJECT).failures_in_a_row == 0
    version = house.fit()
    assert house.registry.card(PROJECT, version).node == ""


def test_a_part_that_the_cluster_gives_back_is_scored_here_and_nothing_twice(faulty_house: RemoteHouse) -> None:
    house = faulty_house
    house.fitter = house.fitter_here
    version = house.fit()
    waiting, size = house.jobs.waiting(), with_many(house, version)
    known = house.pool.scored_records(version)
    part = parts_of(house, version)[0]
    house.backlog.score(PROJECT, version, *part)
    wait_until(lambda: house.jobs.waiting() == waiting + 1, "it is asked for again")
    for each in parts_of(house, version):
        house.backlog.score(PROJECT, version, *each)
    assert not house.pool.has_unscored(version)
    assert house.pool.scored_records(version) == known + size


def test_what_keeps_failing_there_is_said_also_when_it_was_scored_here(
    remote_house: Callable[[Serve], RemoteHouse],
) -> None:
    house = labelled(remote_house(scripted_cluster.failing))
    house.fitter = house.fitter_here
    version = house.fit()
    with_many(house, version)
    part = parts_of(house, version)[0]
    for _ in range(backlogs.TRIES + 1):
        house.backlog.score(PROJECT, version, *part)
        wait_until(lambda: not house.backlog._under_way, "it failed, or was scored here")
    assert part not in parts_of(house, version)
    assert house.elsewhere.is_amiss(PROJECT, version)
    words = house.elsewhere.words(PROJECT, version)
    assert "Parts of this project's pool failed on the cluster of 1 node with 1 core at ray://nowhere:1" in words
    assert "install the same one on every node" in words
    assert "No module named 'nextlabel'" in words


class ByHand:
    """A cluster that stands as the test says, and whose tasks end as it does."""

    words, is_away = "3 nodes", False

    def lacks(self, threads: int, gpus: float) -> str:
        return ""

    def submit(self, task: Task) -> Running:
        return Running(task)


@pytest.mark.parametrize("is_away", [True, False])
def test_page_and_doctor_say_how_the_cluster_stands(
    house: House, monkeypatch: pytest.MonkeyPatch, is_away: bool
) -> None:
    cluster, client = ByHand(), client_of(house.settings.model_dir)
    cluster.is_away = is_away
    elsewhere = Elsewhere(house.settings, cast(Any, cluster))
    nothing = cast(Any, None)
    noticer = Noticer(house.settings, house.registry, house.board, nothing, house.fitter, elsewhere)
    project = cast(Any, SimpleNamespace(id=PROJECT))
    words = told(noticer.notices(house.pool, Seen(project, parse_label_config(CONFIG), None, "", 0, False)))
    house.registry.know(PROJECT)
    house.board.put_queue(
        PROJECT, house.now, first=words.first, warnings=words.warnings, remarks=words.remarks, state="published"
    )

    def get(url: str, **_: object) -> httpx.Response:
        said = client.get(urlsplit(url).path).get_json()
        return httpx.Response(200, json=said, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    found = list(doctor._said_by_trainer(project, "http://backend", Credentials()))
    said = elsewhere.words(PROJECT, None)
    assert (said in words.remarks) != is_away
    assert [finding.ok for finding in found if finding.answer == said] == [not is_away]
    assert said in html.unescape(client.get("/").get_data(as_text=True))


def test_what_fails_there_is_said_to_its_project_until_a_part_comes_back_from_there(house: House) -> None:
    version = labelled(house).fit()
    elsewhere = Elsewhere(house.settings, cast(Any, ByHand()))

    def part_of(project: int) -> Running:
        card = replace(house.registry.card(PROJECT, version), project=project)
        return elsewhere.score(card, house.registry.path(PROJECT, version), [Example(1, "a text")])

    part_of(1).set_exception(TaskLostError("No module named 'nextlabel'"))
    part_of(2).set_result("of another project")
    part_of(1).cancel()
    part_of(1).set_exception(ClusterAwayError("The cluster is full."))
    assert elsewhere.words(1, version).endswith("The last one: No module named 'nextlabel'")
    everyone = [(1, version), (1, "its next version"), (1, None), (2, version)]
    assert [elsewhere.is_amiss(*each) for each in everyone] == [True, False, False, False]
    part_of(1).set_result("of this one")
    assert elsewhere.words(1, version).endswith("are computed on a cluster: 3 nodes.")
    assert not elsewhere.is_amiss(1, version)


def test_the_last_version_is_fitted_elsewhere_and_here_if_that_is_away_the_same_to_the_bit(
    house: House, tmp_path: Path
) -> None:
    labelled(house)
    ways = {"there": scripted_cluster.compute, "away": scripted_cluster.gone}
    for name, serve in ways.items():
        with closing(Cluster("ray://nowhere:1", "local", serve)) as cluster:
            elsewhere = Elsewhere(house.settings, cluster)
            write_final(house.settings, house.registry, PROJECT, tmp_path / name, elsewhere=elsewhere)
    assert len({(tmp_path / name / "model.safetensors").read_bytes() for name in ways}) == 1
    cards = [json.loads((tmp_path / name / "card.json").read_text()) for name in ways]
    assert [card.get("node") for card in cards] == ["a node", None]


def with_many(house: House, version: str) -> int:
    house.pool.upsert([TaskRow(i, Example(i, f"yes, text {i}"), False, False, False, 0, ()) for i in MORE])
    return house.pool.unscored_size(version)


def parts_of(house: House, version: str) -> list[tuple[int, int]]:
    return house.pool.unscored_parts(version, 512)


def test_parts_scored_elsewhere_are_the_record_of_here_and_none_is_in_it_twice(
    house: House, remote_house: Callable[[Serve], RemoteHouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = remote_house(scripted_cluster.compute)
    version = labelled(house).fit()
    labelled(there).fit()
    here = Backlog(house.settings, house.registry, house.jobs, house.resident, ComputeGate())
    assert with_many(house, version) == with_many(there, version) == len(MORE)
    kept = list[int]()

    def keep(pool: Any, version: str, scored: Any) -> None:
        kept.extend(example.id for example in scored.examples)
        orders.keep(pool, version, scored)

    for part in parts_of(house, version):
        here.score(PROJECT, version, *part)
    monkeypatch.setattr(backlogs, "keep", keep)
    for part in parts_of(there, version) * 2:  # asked for by two looks
        there.backlog.score(PROJECT, version, *part)
    edited = MORE[-1]
    there.pool.upsert([TaskRow(edited, Example(edited, "another text"), False, False, False, 0, ())])
    wait_until(lambda: there.pool.unscored_size(version) <= 1, "all came back")
    assert sorted({*kept, edited}) == list(MORE)
    assert len(kept) == len(set(kept))
    left = [example.id for example in there.pool.unscored(version)]
    for part in parts_of(there, version):
        there.backlog.score(PROJECT, version, *part)
    wait_until(lambda: not there.pool.has_unscored(version), "the edited one came back")
    assert left in ([edited], [])  # what was said of the old text may have come before the new one
    house.pool.upsert([TaskRow(edited, Example(edited, "another text"), False, False, False, 0, ())])
    here.score(PROJECT, version, edited, edited)
    assert_same_version(house, there, version)
