"""What measures a cluster: killed and given again it goes on with what is missing, and says what the runs come to."""

import json
from pathlib import Path

import pytest

from nextlabel.errors import NextlabelError
from nextlabel.lab import measure_cluster
from nextlabel.lab.measure_cluster import Figures, measure, of_linear


def figures(nodes: int, pool_s: float, fits_s: float) -> Figures:
    return Figures(nodes, 1000, pool_s, 0, 184.0, 24.0, 40.0, 11.0, 20, fits_s, (1,))


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
    assert len(json.loads(out.read_text())["runs"]) == 3
    monkeypatch.setattr(measure_cluster, "_measured", lambda *asked: figures(2, 6.25, 8.0))
    capsys.readouterr()
    measure(1000, 20, [1, 2], 2, None, out)
    held = json.loads(out.read_text())
    assert list(held["runs"]) == ["1 nodes, turn 1", "2 nodes, turn 1", "1 nodes, turn 2", "2 nodes, turn 2"]
    assert held["of_linear"]["2"] == pytest.approx([0.9, 0.5])
    *rows, said = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == 4
    assert said == "2 nodes: 0.90 of linear for the pool, 0.50 for fits"
    with pytest.raises(NextlabelError, match="holds runs of 1000 tasks and 20 projects, not of 2000 and 20"):
        measure(2000, 20, [1, 2], 2, None, out)


def test_of_linear_is_a_share_of_what_the_nodes_would_bring() -> None:
    found = [figures(2, 5.0, 4.0), figures(6, 2.0, 1.0), figures(2, 7.0, 8.0), figures(2, 6.0, 6.0)]
    assert of_linear(found) == {6: pytest.approx((1.0, 2.0))}
    assert of_linear(found[:1]) == {}
