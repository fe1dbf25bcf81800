"""Where Label Studio's program is found, from a checkout and elsewhere; and what is stopped with a program."""

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from nextlabel.errors import NextlabelError
from nextlabel.lab import sandbox
from nextlabel.lab.sandbox import label_studio

NAMED = "LABEL_STUDIO_EXECUTABLE"


def program(path: Path) -> Path:
    """An empty program."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o755)
    return path


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed package, in an empty directory, where nothing is named and nothing is on PATH."""
    monkeypatch.setattr(sandbox, "CHECKOUT", tmp_path / "lib")
    monkeypatch.delenv(NAMED, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)


def test_each_place_goes_before_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = ("bin/label-studio", "lib/.venv-label-studio/bin/label-studio", ".venv-label-studio/bin/label-studio")
    for place in places:
        there = program(tmp_path / place)
        assert Path(label_studio()).samefile(there)
    mine = program(tmp_path / "mine")
    monkeypatch.setenv(NAMED, str(mine))
    assert label_studio() == str(mine)


def test_where_there_is_none_the_remedy_is_named() -> None:
    with pytest.raises(
        NextlabelError, match=r"Label Studio is not installed.*scripts/setup.*set LABEL_STUDIO_EXECUTABLE"
    ):
        label_studio()


def test_a_name_that_is_no_program_is_not_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin/label-studio")
    monkeypatch.setenv(NAMED, "/nowhere/label-studio")
    with pytest.raises(NextlabelError, match="LABEL_STUDIO_EXECUTABLE=/nowhere/label-studio is no program"):
        label_studio()


def test_a_program_that_is_terminated_stops_what_it_started() -> None:
    program = """
import os, sys, time
from pathlib import Path
from nextlabel.lab.sandbox import Process

child = Process(["/bin/sleep", "600"], os.environ, Path("sleep.log"), Path.cwd())
try:
    print(child.pid, flush=True)
    time.sleep(600)
finally:
    child.stop()
"""
    started = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    child = psutil.Process(int(started.stdout.readline()))
    started.terminate()
    assert started.wait(60) == 128 + signal.SIGTERM
    started.stdout.close()
    assert not child.is_running()
