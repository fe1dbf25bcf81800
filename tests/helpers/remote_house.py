"""A house whose fits and scores are computed elsewhere, and what must be equal to one that computes here."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from helpers.house import HOLDOUT, PROJECT, RIGHT, TRAIN, House
from nextlabel.compute.cluster import Cluster
from nextlabel.loop.backlog import Backlog
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.elsewhere import Elsewhere
from nextlabel.loop.fitting import Fitter
from nextlabel.store.pool import FEATURES
from nextlabel.values.versions import Card

AnyHouse = TypeVar("AnyHouse", bound=House)


class RemoteHouse(House):
    """A house whose fits and scores another process computes."""

    def __init__(self, model_dir: Path, tiny: Path, cluster: Cluster):
        super().__init__(model_dir, tiny, fit_schedule="8,16")
        self.cluster, self.elsewhere = cluster, Elsewhere(self.settings, cluster)
        gate, jobs, self.fitter_here = ComputeGate(), self.jobs, self.fitter
        self.fitter = Fitter(
            self.settings, self.registry, self.board, jobs, self.resident, gate, lambda project: None,
            lambda: self.now, self.elsewhere,
        )  # fmt: skip
        self.backlog = Backlog(self.settings, self.registry, jobs, self.resident, gate, self.elsewhere)


def labelled(house: AnyHouse) -> AnyHouse:
    house.label(HOLDOUT, RIGHT, holdout=True)
    house.label(TRAIN, RIGHT)
    return house


def without_place(card: Card) -> dict[str, Any]:
    return {**asdict(replace(card, node="", seconds={}, due_at=0.0)), "recipe": {**card.recipe, "base_model": ""}}


def assert_same_version(one: House, other: House, version: str) -> None:
    cards = [house.registry.card(PROJECT, version) for house in (one, other)]
    assert without_place(cards[0]) == without_place(cards[1])
    paths = [house.registry.path(PROJECT, version) for house in (one, other)]
    for name in ("model.safetensors", "config.json", "tokenizer.json", "labels.json"):
        assert (paths[0] / name).read_bytes() == (paths[1] / name).read_bytes(), name
    ranked = [house.pool.ranked(version, 10_000, skipped=False) for house in (one, other)]
    assert ranked[0] == ranked[1]
    ids = [found.task_id for found in ranked[0]]
    vectors = [house.pool.vectors(FEATURES, version, ids) for house in (one, other)]
    assert [part.tolist() for part in vectors[0]] == [part.tolist() for part in vectors[1]]
