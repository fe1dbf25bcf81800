"""What measures a cluster: killed and given again it goes on with what is missing, and says what the runs come to."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.waiting import wait_until
from nextlabel.errors import MissingPackageError, NextlabelError
from nextlabel.lab import measure_cluster, ray_nodes
from nextlabel.lab.measure_cluster import Figures, measure, of_linear
from nextlabel.lab.ray_nodes import RayNodes


def figures(nodes: int, pool_s: float, fits_s: float) -> Figures:
    return Figures(nodes, 1000, pool_s, 184.0, 24.0, 40.0, 11.0, 20, fits_s, (1,))


def test_a_run_that_was_killed_goes_on_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, measured = tmp_path / "cluster.json", list[int]()

    def once(tasks: int, projects: int, nodes: int, mrpc_dir: Path | None) -> Figures:
        if len(measured) == 3:
            raise KeyboardInterrupt
        measured.append(nodes)
        return figures(nodes, 10.0 / nodes, 8.0)

    monkeypatch.setattr(measure_cluster, "_measured", once)
    with pytest.raises(KeyboardInterrupt):
        measure(1000, 20, [1, 2], 2, None, out)
    begun = json.loads(out.read_text())
    assert len(begun["runs"]) == 3
    begun["runs"]["1 nodes, turn 1"]["twice"] = 3
    del begun["runs"]["2 nodes, turn 1"]["twice"]  # as in files of a while
    out.write_text(json.dumps(begun))
    monkeypatch.setattr(measure_cluster, "_measured", lambda *asked: figures(2, 6.25, 8.0))
    capsys.readouterr()
    measure(1000, 20, [1, 2], 2, None, out)
    held = json.loads(out.read_text())
    assert list(held["runs"]) == ["1 nodes, turn 1", "2 nodes, turn 1", "1 nodes, turn 2", "2 nodes, turn 2"]
    assert held["of_linear"]["2"] == pytest.approx([0.9, 0.5])
    *rows, said = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[2] for row in rows] == ["3", "", "", ""]
    assert said == "2 nodes: 0.90 of linear for the pool, 0.50 for fits"
    with pytest.raises(NextlabelError, match="holds runs of 1000 tasks and 20 projects, not of 2000 and 20"):
        measure(2000, 20, [1, 2], 2, None, out)


def test_of_linear_is_a_share_of_what_the_nodes_would_bring() -> None:
    found = [figures(2, 5.0, 4.0), figures(6, 2.0, 1.0), figures(2, 7.0, 8.0), figures(2, 6.0, 6.0)]
    assert of_linear(found) == {6: pytest.approx((1.0, 2.0))}
    assert of_linear(found[:1]) == {}


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"nextlabel measure-cluster needs .* ray.*pip install '\.\[ray\]'"):
        measure(1000, 20, [1], 1, None, None)


@pytest.mark.parametrize(("says", "seconds"), [("echo no port is free >&2", 600.0), ("exec sleep 600", 0.2)])
def test_nodes_that_do_not_start_are_ended_with_the_last_they_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, seconds: float
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(ray_nodes, "START_S", seconds)
    with pytest.raises(NextlabelError, match="Ray's nodes did not say 'ready' on this machine") as raised:
        RayNodes(1, 1)
    assert ("no port is free" in str(raised.value)) == ("no port is free" in says)


def test_what_several_processes_take_is_counted_together() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "held = bytearray(range(256)) * 2**18; input()"], stdin=subprocess.PIPE
    ) as child:
        both = [str(os.getpid()), str(child.pid)]
        wait_until(lambda: measure_cluster._reset(both[1:]) > 64, "the child holds something")
        assert measure_cluster._reset(both) > measure_cluster._reset(both[:1]) + 64
        assert measure_cluster._cpu_s(both) >= measure_cluster._cpu_s(both[1:]) > 0
        child.communicate(b"\n")
