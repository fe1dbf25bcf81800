"""How a pool is measured: a small one, alone and beside another checkout."""

import re
import subprocess
from pathlib import Path

import pytest

from nextlabel.__main__ import main
from nextlabel.errors import BadSettingError, NextlabelError
from nextlabel.lab.loop_benchmark.builds import Build
from nextlabel.lab.measure_pool import compare, figures_of

TABLE = """\
| | |
|---|---|
| tasks | 300 |
| filling the local copy | {fill} s |
| model in memory | 512 MiB |
| the rest | 200 tasks in 0.5 s (400 a second) |
"""


def older(directory: Path, fill: float) -> Path:
    """A checkout whose command says so much, whatever it is asked."""
    program = directory / "backend" / "nextlabel" / "__main__.py"
    program.parent.mkdir(parents=True)
    program.write_text(f"print({TABLE.format(fill=fill)!r})")
    return directory


def test_each_row_of_a_build_gives_its_first_figure_with_a_unit(tmp_path: Path) -> None:
    checkout = older(tmp_path, 2.5)
    build = Build("it", ("python3", "-m", "nextlabel"), (), str(checkout / "backend"))
    assert figures_of(build, []) == {"filling the local copy": 2.5, "model in memory": 512.0, "the rest": 0.5}


def test_two_builds_measure_in_turns_and_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[str] = []
    fills = {"new": iter((3.0, 1.0, 2.5)), "old": iter((4.0, 4.0, 5.0))}

    def run(command: list[str], env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[-2:] == ["--tasks", "300"]
        ran.append("old" if env["PYTHONPATH"].startswith(str(tmp_path)) else "new")
        return subprocess.CompletedProcess(command, 0, TABLE.format(fill=next(fills[ran[-1]])), "")

    monkeypatch.setattr("nextlabel.lab.measure_pool.subprocess.run", run)
    compare(older(tmp_path, 0), 3, ["--tasks", "300"])
    assert ran == ["new", "old", "old", "new", "new", "old"]
    said = capsys.readouterr().out
    assert "| filling the local copy | 2.5 | 4.0 | 0.500 | 0.250 to 0.750 |" in said
    assert "| model in memory | 512.0 | 512.0 | 1.000 | 1.000 to 1.000 |" in said


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadSettingError, match="no checkout of Nextlabel"):
        compare(tmp_path, 1, [])
    program = older(tmp_path, 0) / "backend" / "nextlabel" / "__main__.py"
    program.write_text("raise SystemExit('no such command')")
    build = Build("the older build", ("python3", "-m", "nextlabel"), (), str(tmp_path / "backend"))
    with pytest.raises(NextlabelError, match="the older build cannot measure: no such command"):
        figures_of(build, [])


@pytest.mark.long
def test_a_small_pool_is_measured(capfd: pytest.CaptureFixture[str]) -> None:
    main(["measure-pool", "--tasks", "300", "--device", "cpu"])
    said = capfd.readouterr().out
    assert "| tasks | 300 |" in said
    assert re.search(r"the rest \| \d+ tasks in [\d.]+ s", said)
