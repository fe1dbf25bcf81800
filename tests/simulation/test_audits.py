"""What audits cost and how often they are wrong: exact counts beside replays, and the tables."""

import json
from pathlib import Path

import numpy as np
import pytest

from helpers.paths import ROOT
from nextlabel.__main__ import main
from nextlabel.learning import audit
from nextlabel.simulation import audits

# By the share wrong: labels for a chance of 50 and of 90 %, of a first and a second audit, as leads are to be told.
TOLD = {0.0: (86, 86, 101, 101), 0.01: (150, 306, 166, 327), 0.02: (306, 671, 362, 755), 0.03: (809, 1835, 1002, 2048)}


@pytest.mark.usefixtures("patience")
def test_audits_cost_what_leads_are_told() -> None:
    costs = iter(audits.costs())
    found = {share: tuple(next(costs).labels for _ in range(4)) for share in audits.TRUE_SHARES}
    assert found == TOLD
    none, one, two, three = (labels[:2] for labels in TOLD.values())
    said = " ".join((ROOT / "docs" / "certificate.md").read_text(encoding="utf-8").split())
    assert f"{none[0]} if none is wrong; {one[0]} (with a chance of one half) to {one[1]} (nine tenths) if 1 %" in said
    assert f"are, {two[0]} to {two[1]} at 2 %, {three[0]} to {three[1]:,} at 3 %" in said


@pytest.mark.parametrize(
    ("level", "share", "told"), [(0.05, 0.01, (133, 250)), (0.05, 0.02, (250, 586)), (0.1, 0.01, (56, 194))]
)
def test_a_single_audit_that_may_spend_all_costs_less(level: float, share: float, told: tuple[int, int]) -> None:
    chances_N = audits.certain_by(share, level, 600)
    assert tuple(1 + int(np.argmax(chances_N >= chance)) for chance in audits.CHANCES) == told


def test_exact_chances_are_those_of_replays() -> None:
    wrong_Sn = np.random.default_rng(0).random((4_000, 300)) < 0.02
    by_Sn = np.maximum.accumulate(audit.log_e(wrong_Sn, None), axis=1) >= -np.log(audit.spent(1))
    exact_N = audits.certain_by(0.02, audit.spent(1), 300)
    assert np.abs(by_Sn.mean(axis=0) - exact_N).max() < 0.04  # five standard errors


@pytest.mark.usefixtures("patience")
def test_a_machine_wrong_in_5_percent_is_hardly_ever_certified_and_one_wrong_in_3_percent_nearly_always() -> None:
    assert audits.certain_by(audit.RISK, audit.spent(1))[-1] <= audit.spent(1)
    assert audits.certain_by(0.03, audit.spent(1))[-1] > 0.99


# The other two take longer; the committed tables have 2,000 replays of each.
@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize(("place", "replays"), [(0, 2_000), (1, 2_000), (2, 200), (3, 200)])
def test_ten_audits_in_a_row_of_machines_just_too_bad_rarely_certify_what_is_not_so(place: int, replays: int) -> None:
    outcome = audits.replay(audits.worlds()[place], replays)
    assert 0.05 < outcome.wrong_share <= 0.052
    assert outcome.false <= audit.DELTA


@pytest.mark.usefixtures("patience")
def test_replays_find_false_certificates_as_often_as_exact_arithmetic_does() -> None:
    exact = audits.false_in_a_row(0.0501, 2_000)
    assert exact <= audit.DELTA
    kept = json.loads((ROOT / "reports" / "coverage" / "audits.json").read_text(encoding="utf-8"))
    assert kept["exact"] == pytest.approx(exact)
    assert kept["false"][0]["false"] == pytest.approx(exact, abs=0.0136)  # three standard errors


def test_a_world_of_no_errors_is_certified_always_and_one_of_all_errors_never() -> None:
    for wrong in (False, True):
        world = audits.World("a world", np.zeros(300), np.full(300, wrong), 300)
        outcome = audits.replay(world, 5)
        assert (outcome.false, outcome.true) == (0.0, float(not wrong))


@pytest.mark.usefixtures("patience")
def test_the_command_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play-audits", "--replays", "2", "--out", str(tmp_path)]) == 0
    text = (tmp_path / "audits.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == f"{text}\n"
    assert "| 3 % | 809 | 1,835 | 1,002 | 2,048 |" in text
    kept = json.loads((tmp_path / "audits.json").read_text(encoding="utf-8"))
    assert kept["replays"] == 2
    assert [one["world"] for one in kept["false"]] == [world.name for world in audits.worlds()]


def test_the_committed_tables_keep_the_promise() -> None:
    kept = json.loads((ROOT / "reports" / "coverage" / "audits.json").read_text(encoding="utf-8"))
    assert kept["replays"] == 2_000
    assert max(one["false"] for one in kept["false"]) <= audit.DELTA
    labels = iter(kept["costs"])
    assert {share: tuple(next(labels)["labels"] for _ in told) for share, told in TOLD.items()} == TOLD
