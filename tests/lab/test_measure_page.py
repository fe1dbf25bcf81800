"""The measurement of open pages, short: what it counts is all there."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from helpers.served import client_of
from nextlabel.lab import measure_page
from nextlabel.lab.measure_page import PROJECT, PagePlan, fill_up, measure, report
from nextlabel.loop.look_again import SHOWN
from nextlabel.store.status import StatusBoard


@pytest.mark.usefixtures("patience")
def test_open_pages_are_counted_beside_none() -> None:
    with patch.object(measure_page, "EVERY_S", 0.4):
        result = measure(PagePlan(browsers=4, seconds=3.0, change_s=1.2))
    found = result["open"]
    assert list(found) == ["0", "1", "4"]
    assert found["0"]["polls"] == {}
    assert found["4"]["polls"]["200"] >= 4, "each has had the document"
    assert sum(found["4"]["polls"].values()) > sum(found["1"]["polls"].values())
    assert found["4"]["polls"]["304"] > 0, "a look that finds nothing new is no news"
    assert found["0"]["bytes_sent"] == 0 < found["1"]["bytes_sent"] < found["4"]["bytes_sent"]
    assert found["4"]["longest_document"] > 30_000, "a full page"
    for one in found.values():
        assert 0 < one["share_of_a_core"] < 1
        assert one["webhooks"] >= 3
        assert list(one["webhook_ms"]) == ["p50", "p95", "p99"]
    assert len(list(report(result))) == 3 + 3


def test_what_is_measured_is_a_full_page(tmp_path: Path) -> None:
    fill_up(tmp_path)
    client = client_of(tmp_path)
    address = f"/api/projects/{PROJECT}/page"

    def said() -> dict[str, Any]:
        return dict(client_of(tmp_path).get(address).get_json())

    first, board = said(), StatusBoard(tmp_path)
    sections = ("quality", "classes", "advice", "helping", "history", "random", "next", "people", "versions")
    assert [name for name in sections if not first[name]] == []
    assert (first["look_again"]["listed"], len(first["people"]["people"])) == (SHOWN, 2)
    assert all(task["text"] for task in first["next"]["tasks"])
    etag = client.get(address).headers["ETag"]
    measure_page._look(board)
    assert client_of(tmp_path).get(address).headers["ETag"] == etag
    measure_page._label(board)
    after = said()
    changed = [name for name in ("queue", "classes", "next", "people") if after[name] != first[name]]
    assert changed == ["queue", "classes", "next", "people"]
