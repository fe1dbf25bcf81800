"""The measurement of open pages, short: what it counts is all there."""

from unittest.mock import patch

import pytest

from nextlabel.lab import measure_page
from nextlabel.lab.measure_page import PagePlan, measure, report


@pytest.mark.usefixtures("patience")
def test_open_pages_are_counted_beside_none() -> None:
    with patch.object(measure_page, "EVERY_S", 0.4):
        result = measure(PagePlan(browsers=4, seconds=3.0, change_s=1.2))
    found = result["open"]
    assert list(found) == ["0", "1", "4"]
    assert found["0"]["polls"] == {}
    assert found["4"]["polls"]["200"] >= 4, "each has had the document"
    assert sum(found["4"]["polls"].values()) > sum(found["1"]["polls"].values())
    for one in found.values():
        assert 0 < one["share_of_a_core"] < 1
        assert one["webhooks"] >= 3
        assert list(one["webhook_ms"]) == ["p50", "p95", "p99"]
    assert len(list(report(result))) == 2 + 3
