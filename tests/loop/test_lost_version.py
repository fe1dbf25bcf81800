"""What a queue follows whose version is gone: the rest of its order, then the start order."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nextlabel.labelstudio.client import UNCERTAINTY, Project
from nextlabel.loop.controller import HEADS_FIRST, Controller
from nextlabel.loop.orders import StartOrder
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow
from nextlabel.values.queue import Published
from nextlabel.versions.registry import Registry

LOST, START = "nextlabel-5.12-20261129T100000", "nextlabel-start-20261201T000000"


@pytest.mark.parametrize(("left", "brought"), [(HEADS_FIRST, []), (HEADS_FIRST - 1, [START])])
def test_the_start_order_follows_where_the_order_of_a_lost_version_runs_dry(
    left: int, brought: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio: Any = SimpleNamespace()
    settings = Settings(_env_file=None, model_dir=tmp_path, device="cpu")
    controller = Controller(settings, Registry(tmp_path), StatusBoard(tmp_path), studio, JobQueue(tmp_path))
    found: Any = SimpleNamespace(
        project=Project(1, "one", "", UNCERTAINTY, LOST, False, 0, 0, False, False),
        decision=SimpleNamespace(reason=""),
        version=None,
    )
    came = list[str]()
    with Pool(pool_path(tmp_path, 1)) as pool:
        examples = [Example(i, f"text {i}") for i in range(1, 21)]
        pool.upsert([TaskRow(e.id, e, False, False, False, 0, ()) for e in examples])
        pool.replace_published([Published(100 + i, i, LOST, i / 100) for i in range(1, 1 + left)])
        monkeypatch.setattr(controller._starts, "look", lambda pool, project, may_ask: StartOrder(pool, START))
        monkeypatch.setattr(controller, "_before_a_switch", lambda pool, project: None)
        monkeypatch.setattr(controller, "_bring", lambda pool, found, order, **_: came.append(order.name))
        for said in ("_report", "_report_published"):
            monkeypatch.setattr(controller, said, lambda *_, **__: None)
        controller._begin_in_order(pool, found)
    assert came == brought
