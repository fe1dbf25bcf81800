"""The clock: how often it looks after projects, also after one that wants its labels fitted sooner than others."""

import threading
from pathlib import Path

import pytest

from nextlabel.loop.trainer import SHORTEST_S, _tick
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.values.options import ProjectOptions
from nextlabel.versions.registry import Registry


class OneTick(threading.Event):
    """An event that ends the clock at its first pause, and knows how long that would have been."""

    pause_s: float | None = None

    def wait(self, timeout: float | None = None) -> bool:
        self.pause_s = timeout
        return True


@pytest.mark.parametrize(
    ("own", "pause_s"),
    [
        ([{}, {}], 60.0),
        ([{}, {"fit_max_wait_s": 7}], 7.0),
        ([{"fit_max_wait_s": 20}, {"fit_max_wait_s": "9"}], 9.0),
        ([{"fit_max_wait_s": 86400}], 60.0),
        ([{"fit_max_wait_s": 0.001}], SHORTEST_S),
        ([{"fit_max_wait_s": "soon"}], 60.0),
    ],
    ids=["the settings", "a hasty project", "the hastiest", "a patient one", "no sooner than that", "a mistyped one"],
)
def test_no_project_waits_longer_than_it_allows(own: list[dict[str, object]], pause_s: float, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, model_dir=tmp_path, reconcile_s=60, fit_max_wait_s=600)
    registry, stop = Registry(tmp_path), OneTick()
    for project, options in enumerate(own, start=1):
        registry.know(project)
        registry.put_options(project, ProjectOptions(own=options))
    _tick(settings, registry, JobQueue(tmp_path), stop)
    assert stop.pause_s == pause_s
