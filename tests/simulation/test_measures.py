"""Measures from what was stored: by hand, against other programs, and held against the records."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from helpers.counted import write_run
from nextlabel.errors import BadRunError
from nextlabel.simulation import probabilities
from nextlabel.simulation.measures import Measures, brier, calibration_error, check, measure, measured
from nextlabel.simulation.probabilities import Said
from nextlabel.simulation.records import read_run

laws = settings(derandomize=True, deadline=None, max_examples=80)


def said(*levels: tuple[int, ...]) -> Said:
    """Probabilities by their stored numbers, and their likeliest classes."""
    levels_NC = np.array(levels)
    return Said(levels_NC.argmax(axis=1), levels_NC / 255)


def test_calibration_and_brier_by_hand() -> None:
    two = said((255, 0), (204, 51))  # certain and right; 0.8 and wrong
    right = np.array([0, 1])
    assert calibration_error(two, right) == pytest.approx(0.8 / 2)
    assert brier(two, right) == pytest.approx((0 + 2 * 0.8**2) / 2)
    assert measure(two, right) == Measures(0.5, (2 / 3) / 2, (2 / 3, 0.0), 0.4, 0.64)


def test_a_bin_has_its_upper_end_and_not_its_lower() -> None:
    # 0.8 = 204 / 255 ends a bin and 205 begins the next: apart, their errors do not cancel.
    right_and_wrong = np.array([0, 1])
    apart = calibration_error(said((204, 51), (205, 50)), right_and_wrong)
    together = calibration_error(said((205, 50), (206, 49)), right_and_wrong)
    assert apart == pytest.approx((51 + 205) / 510)
    assert together == pytest.approx(abs(50 - 206) / 510)


def test_what_is_as_often_right_as_it_says_has_no_error() -> None:
    fifth = said(*[(204, 51)] * 5)
    assert calibration_error(fifth, np.array([0, 0, 0, 0, 1])) == 0
    assert brier(said((255, 0, 0)), np.array([1])) == 2
    assert brier(said((255, 0, 0)), np.array([0])) == 0


@laws
@given(st.integers(0, 10_000), st.integers(2, 6), st.integers(1, 40))
def test_measures_are_those_of_plain_loops_and_of_scikit_learn(seed: int, classes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    levels = np.rint(255 * rng.dirichlet(np.ones(classes), count)).astype(int)
    right = rng.integers(0, classes, count)
    found = measure(said(*map(tuple, levels.tolist())), right)
    guessed = levels.argmax(axis=1)
    assert found.accuracy == accuracy_score(right, guessed)
    by_class = f1_score(right, guessed, labels=list(range(classes)), average=None, zero_division=0)
    assert found.f1 == pytest.approx(by_class.tolist())
    assert found.macro_f1 == pytest.approx(np.mean([by_class[c] for c in set(right.tolist())]))
    bins: dict[int, list[float]] = {}
    squares = 0.0
    for row, target in zip(levels.tolist(), right.tolist(), strict=True):
        top = row.index(max(row))
        at = next(b for b in range(15) if row[top] <= 17 * (b + 1))
        bins.setdefault(at, []).append((top == target) - row[top] / 255)
        squares += sum((level / 255 - (c == target)) ** 2 for c, level in enumerate(row))
    assert found.ece == pytest.approx(sum(abs(sum(gaps)) for gaps in bins.values()) / count)
    assert found.brier == pytest.approx(squares / count)


# ---- records and what was stored


@pytest.fixture
def played(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def test_the_records_of_a_run_are_what_was_stored(played: Path) -> None:
    run, targets = read_run(played), probabilities.read_targets(played)
    check(played, run)
    for record in run.rounds:
        found = measured(played, record, targets)
        assert found["dev"].macro_f1 == record.dev["macro_f1"]
        assert record.test is not None
        assert found["test"].accuracy == record.test["accuracy"]
        assert json.loads(json.dumps(found["test"].as_dict()))["brier"] <= 2


def test_a_changed_score_is_named_with_both_values(played: Path) -> None:
    lines = (played / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    told = json.loads(lines[2])
    right, told["test"]["macro_f1"] = told["test"]["macro_f1"], 0.987
    (played / "rounds.jsonl").write_text("\n".join([*lines[:2], json.dumps(told), *lines[3:], ""]), encoding="utf-8")
    wanted = f"Seed 0, {told['strategy']}, round {told['round']}: macro_f1 on test is 0.987 in "
    with pytest.raises(BadRunError, match=re.escape(wanted)) as error:
        check(played, read_run(played))
    assert repr(right) in str(error.value)


def cut_targets(run: Path) -> None:
    told = json.loads((run / "targets.json").read_text(encoding="utf-8"))
    told["dev"] = {key: values[1:] for key, values in told["dev"].items()}
    (run / "targets.json").write_text(json.dumps(told), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (cut_targets, "Seed 0, full, round 0: 60 examples of dev are stored, and targets.json has 59"),
        (lambda run: (run / "targets.json").unlink(), "targets.json cannot be read"),
        (lambda run: (run / "probabilities" / "seed-1.zip").unlink(), "seed-1.zip cannot be read"),
        (lambda run: probabilities.forget(run, 1, "entropy"), "holds nothing of round 0 of entropy"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_named(played: Path, damage: Callable[[Path], None], complaint: str) -> None:
    damage(played)
    with pytest.raises(BadRunError, match=complaint):
        check(played, read_run(played))
