"""What a form is measured by: by hand, against scikit-learn, and held against what a run stored."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, mean_absolute_error

from nextlabel.errors import BadRunError
from nextlabel.problems.form import Form
from nextlabel.simulation import probabilities, records
from nextlabel.simulation.measures import brier, calibration_error, check, measure_form, measured, unfolded
from nextlabel.simulation.probabilities import Said, Targets
from nextlabel.simulation.records import Record, read_run
from nextlabel.simulation.scores import by_question, scores
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, Cut, Layout

LAYOUT = Layout(
    (Cut("topic", ONE_OF, ("a", "b", "c")), Cut("tags", ANY_OF, ("x", "y")), Cut("stars", ORDERED, ("1", "2", "3")))
)
FORM = Form.of_layout(LAYOUT)
EXAMPLES = 60


def drawn(seed: int) -> tuple[Array, Array]:
    """Answers, some of which are missing, and probabilities that know something of them."""
    rng = np.random.default_rng(seed)
    targets_NC = np.zeros((EXAMPLES, 8))
    for part in (slice(0, 3), slice(5, 8)):
        targets_NC[np.arange(EXAMPLES), part.start + rng.integers(0, 3, EXAMPLES)] = 1
    targets_NC[:, 3:5] = rng.integers(0, 2, (EXAMPLES, 2))
    probs_NC = LAYOUT.probabilities(rng.normal(size=targets_NC.shape) + targets_NC)
    for _, part in LAYOUT.parts:
        targets_NC[rng.random(EXAMPLES) < 0.2, part] = np.nan
    return targets_NC, probs_NC


def test_measures_of_each_question_are_scikit_learns_and_those_of_all_their_means() -> None:
    targets_NC, probs_NC = drawn(0)
    given_NC = FORM.predicted(probs_NC)
    of = by_question(FORM, targets_NC, given_NC)
    assert of is not None
    for name, part in (("topic", slice(0, 3)), ("stars", slice(5, 8))):
        asked_N = ~np.isnan(targets_NC[:, part.start])
        right_M, said_M = (hot_NC[asked_N, part].argmax(axis=1) for hot_NC in (targets_NC, given_NC))
        assert of[name]["macro_f1"] == pytest.approx(f1_score(right_M, said_M, average="macro"))
    assert of["stars"]["mean_absolute_error"] == pytest.approx(mean_absolute_error(right_M, said_M))
    assert of["stars"]["kappa"] == pytest.approx(cohen_kappa_score(right_M, said_M, weights="quadratic"))
    asked_N = ~np.isnan(targets_NC[:, 3])
    right_ML, said_ML = targets_NC[asked_N, 3:5], given_NC[asked_N, 3:5]
    for average in ("macro", "micro"):
        assert of["tags"][f"{average}_f1"] == pytest.approx(f1_score(right_ML, said_ML, average=average))
    assert [of["tags"]["f1 x"], of["tags"]["f1 y"]] == pytest.approx(f1_score(right_ML, said_ML, average=None))
    assert of["tags"]["exact_match"] == pytest.approx((right_ML == said_ML).all(axis=1).mean())
    of_all = scores(FORM, targets_NC, given_NC)
    assert of_all["macro_f1"] == pytest.approx(np.mean([of[name]["macro_f1"] for name in ("topic", "tags", "stars")]))
    rights = [of["topic"]["accuracy"], of["tags"]["exact_match"], of["stars"]["accuracy"]]
    assert of_all["accuracy"] == pytest.approx(np.mean(rights))


def test_calibration_takes_each_label_that_may_be_given_for_an_example_of_two_classes() -> None:
    levels_NC = np.array([[255, 51], [102, 204]])
    said = Said((levels_NC >= 128).astype(np.int64), levels_NC / 255)
    layout = Layout((Cut("tags", ANY_OF, ("x", "y")),))
    [(one, right_N)] = unfolded(layout, said, np.array([[1.0, 1.0], [np.nan, np.nan]]))
    np.testing.assert_array_equal(one.probs_NC * 255, [[255, 0], [51, 204]])
    assert one.classes_N.tolist() == [0, 1]
    assert right_N.tolist() == [0, 0]
    assert calibration_error(one, right_N) == pytest.approx(0.8 / 2)
    assert brier(one, right_N) == pytest.approx(2 * 0.8**2 / 2)
    found = measure_form(Form.of_layout(layout), said, np.array([[1.0, 1.0], [np.nan, np.nan]]))
    assert (found.accuracy, found.macro_f1, found.f1) == (0.0, 0.5, (1.0, 0.0))
    assert [found.ece, found.brier] == pytest.approx([0.4, 0.64])


def run_of(out: Path) -> Path:
    """A run of one round whose records are those of what it stored."""
    out.mkdir()
    parts = {part: drawn(seed) for seed, part in enumerate(("dev", "test"), start=1)}
    told = {part: Targets(np.arange(EXAMPLES), targets_NC) for part, (targets_NC, _) in parts.items()}
    probabilities.write_targets(out, FORM.labels, told, LAYOUT)
    said = {part: probs_NC for part, (_, probs_NC) in parts.items()}
    probabilities.write(out, 0, "margin", 0, said, FORM.predicted)
    scored = {
        part: scores(FORM, targets_NC, FORM.predicted(probs_NC)) for part, (targets_NC, probs_NC) in parts.items()
    }
    of = {part: by_question(FORM, t_NC, FORM.predicted(p_NC)) or {} for part, (t_NC, p_NC) in parts.items()}
    line = Record(0, "margin", 0, 32, scored["dev"], scored["test"], (), {}, questions=of)
    records.append(out / records.ROUNDS, line)
    records.write_json(out / records.SETTING, {"data": {"labels": list(FORM.labels), "questions": LAYOUT.as_dict()}})
    records.write_json(out / records.INVOCATIONS, {"invocations": []})
    return out


def test_all_that_a_record_says_can_be_computed_again_from_what_was_stored(tmp_path: Path) -> None:
    out = run_of(tmp_path / "run")
    run = read_run(out)
    check(out, run)
    targets = probabilities.read_targets(out)
    np.testing.assert_array_equal(targets["test"].classes_N, drawn(2)[0])
    assert probabilities.read_question(out) == FORM
    found = measured(out, run.rounds[0], targets)["test"]
    assert run.rounds[0].questions is not None
    assert found.questions == run.rounds[0].questions["test"]
    assert run.rounds[0].test is not None
    assert found.macro_f1 == pytest.approx(run.rounds[0].test["macro_f1"])


def test_a_measure_of_a_question_that_was_changed_is_named(tmp_path: Path) -> None:
    out = run_of(tmp_path / "run")
    text = (out / records.ROUNDS).read_text()
    kappa = read_run(out).rounds[0].questions["test"]["stars"]["kappa"]  # type: ignore[index]
    (out / records.ROUNDS).write_text(text.replace(str(kappa), "0.5"))
    with pytest.raises(BadRunError, match=r"round 0: kappa of stars on test is 0\.5 in .*by the stored classes"):
        check(out, read_run(out))
