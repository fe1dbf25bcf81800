"""What a lead would have been told, and what was true: in a round's record, and in the tables made from records."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.count_runs import AT, play
from nextlabel.__main__ import main
from nextlabel.learning import forecast
from nextlabel.learning.forecast import World
from nextlabel.learning.fresh_heads import Known
from nextlabel.learning.helping import LOOKS
from nextlabel.simulation import probabilities, told_report
from nextlabel.simulation.records import Record, append, read_rounds
from nextlabel.simulation.told import told
from nextlabel.simulation.told_report import AUDITS, Told
from nextlabel.values.arrays import Ints

OPEN, GIVEN, CONTROL = 120, 70, 8


def some(rng: np.random.Generator, count: int) -> Known:
    targets_N = rng.integers(2, size=count)
    features_ND = rng.normal(size=(count, 4)) + 2 * np.eye(4)[targets_N]
    return Known(features_ND / np.linalg.norm(features_ND, axis=1, keepdims=True), targets_N)


def test_a_round_keeps_what_the_page_would_say(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given, left, control = (some(rng, count) for count in (GIVEN, OPEN, CONTROL))
    probs_NC, control_MC = rng.dirichlet((1, 1), size=OPEN), rng.dirichlet((1, 1), size=CONTROL)
    found = told(given, left.features_ND, probs_NC, control, control_MC, "margin", 3)
    calm = forecast.tempered(probs_NC, forecast.temperature(control_MC, control.targets_N))
    world = World(
        np.concatenate([given.features_ND, left.features_ND]),
        np.concatenate([np.full((GIVEN, 2), 0.5), calm]),
        np.concatenate([given.targets_N, [-1] * OPEN]),
        np.arange(16),
    )
    expected = forecast.forecast(world, "margin", GIVEN, 3)
    assert found["forecast"]["labels"] == GIVEN
    assert found["forecast"]["gain"] == pytest.approx(expected.gain, abs=1e-5)
    assert found["measured"] == {"control": CONTROL, "helps": False, "more": LOOKS[0] - CONTROL}
    few = told(given.of(slice(7)), left.features_ND, probs_NC, control.of(slice(0)), control_MC[:0], "margin", 3)
    assert few == {"forecast": None, "measured": None}
    record = Record(0, "live", 0, 8, SCORES, None, (), {}, told=found)
    append(tmp_path / "rounds.jsonl", record)
    assert read_rounds(tmp_path / "rounds.jsonl") == [record]


SCORES = {"accuracy": 0.5, "f1": 0.5, "combined": 0.5, "examples": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seeds, of an arm that is as good as random and one that is all but perfect."""
    return play(tmp_path_factory.mktemp("told") / "letters", range(3), {"random": 0.0, "margin": 9.0})


def test_what_was_true_is_read_off_the_test_part(run: Path) -> None:
    found = told_report.read(run)
    right_N = probabilities.read_targets(run)["test"].classes_N

    def classes(one: Told, number: int) -> Ints:
        return probabilities.read(run, one.record.seed, one.record.strategy, number)["test"].classes_N

    by_place = {(one.record.seed, *one.row[1:]): one for one in found}
    assert len(by_place) == 3 * 2 * len(AT)
    for (seed, name, labels), one in by_place.items():
        number = AT.index(labels)
        assert one.accuracy == np.mean(classes(one, number) == right_N)
        random = by_place[seed, "random", labels].accuracy
        assert one.gain == (None if name == "random" else one.accuracy - random)
        if number:
            assert one.changed == np.mean(classes(one, number) != classes(one, number - 1))
            assert by_place[seed, name, AT[number - 1]].next_gain == pytest.approx(
                one.accuracy - by_place[seed, name, AT[number - 1]].accuracy
            )


def test_audits_certify_versions_that_are_right_and_no_others(run: Path) -> None:
    by_arm = {(one.record.strategy, one.record.labels): one for one in told_report.read(run) if one.record.seed == 0}
    good, poor = by_arm["margin", AT[-1]], by_arm["random", AT[0]]
    assert good.accuracy > 0.98
    assert poor.accuracy < 0.8
    assert len(good.certified) == AUDITS
    assert min(good.certified) > 0.8
    assert (good.false, max(poor.certified)) == (0, 0.0)
    page = told_report.to_markdown(list(by_arm.values()))
    assert "| letters | margin | 64 | 1 | +0." in page
    assert "No record has control labels yet." in page
    assert "| no control set |" in page


def test_the_spread_of_a_gain_is_that_of_a_sample(run: Path) -> None:
    [gains] = [[o.gain or 0.0 for o in told_report.read(run) if o.row[1:] == ("margin", labels)] for labels in AT[-1:]]
    spread = f"{np.mean(gains):+.3f} ± {np.std(gains, ddof=1):.3f}"
    assert f"| letters | margin | {AT[-1]} | 3 | {spread} |" in told_report.to_markdown(told_report.read(run))


def test_the_page_is_written_where_no_directory_is_yet_and_fixed_batches_are_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "reports" / "told.md"
    assert main(["report-told", str(run), "--out", str(page)]) == 0
    assert "Made by `nextlabel report-told " in page.read_text(encoding="utf-8")
    (tmp_path / "batches").mkdir()
    (tmp_path / "batches" / "setting.json").write_text('{"batch": 64}', encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["report-told", str(tmp_path / "batches")])
    assert "batches holds no run with label counts (--labels-at)" in capsys.readouterr().err


def test_of_the_live_arms_last_round_it_is_said_that_nothing_was_asked() -> None:
    live = Record(0, "live", 4, 512, SCORES, SCORES, (), {})
    changed: list[dict[str, Any]] = [
        {},
        {"labels": 32, "told": {"forecast": None, "measured": None}},
        {"strategy": "margin"},
    ]
    told = [Told("letters", replace(live, **changes), 0.5, 0.0, (0.0,), 0, None, None) for changes in changed]
    page = told_report.to_markdown(told)
    for arm, labels, said in (
        ("live", 512, "not asked"),
        ("live", 32, "too few labels"),
        ("margin", 512, "no control set"),
    ):
        assert f"| letters | {arm} | {labels} | 1 | +0.000 |  |  |  |  |  | {said} |" in page
