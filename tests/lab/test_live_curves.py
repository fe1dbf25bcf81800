"""The live loop beside a simulation: an oracle on a real Label Studio, and what is compared."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from nextlabel.errors import BadRunError
from nextlabel.lab.live_curves import (
    ARMS,
    LiveCurve,
    LivePlan,
    Point,
    at,
    beside,
    is_due,
    play,
    require_comparable,
    to_markdown,
)
from nextlabel.lab.sandbox import LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.learning import auto_recipe
from nextlabel.model import checkpoints
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.records import Record, Run
from nextlabel.values.examples import Example

KINDS = ("the parcel number {} is late", "lovely weather on day {}")
LABELS = 16


@pytest.fixture
def data() -> TextSet:
    """Texts of two kinds."""
    rows = [(Example(100 + i, KINDS[i % 2].format(i)), "ab"[i % 2]) for i in range(60)]
    return TextSet("Small", ("a", "b"), tuple(rows[:44]), tuple(rows[44:50]), tuple(rows[50:]))


def test_an_oracle_labels_what_is_served_and_goes_on_after_a_kill(
    data: TextSet, wide: Path, label_studio_program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"fit_steps": 6, "learning_rate": 1e-4, "max_length": 16, "device": "cpu", "precision": "fp32"}
    plan, said = LivePlan(LABELS, (0,), 0.0, f"{wide}", settings), list[str]()
    monkeypatch.setattr(LabelStudioClient, "annotate", cut_short(LabelStudioClient.annotate, after=5))
    with pytest.raises(KeyboardInterrupt):
        play(data, plan, tmp_path, said.append)
    monkeypatch.undo()
    curves = play(data, plan, tmp_path, said.append)
    assert [(curve.strategy, curve.seed, len(set(curve.asked))) for curve in curves] == [
        (name, 0, LABELS) for name in ARMS
    ]
    by_arm = {curve.strategy: curve for curve in curves}
    assert {row for curve in curves for row in curve.asked} <= {example.id for example, _ in data.train}
    assert [point.labels for point in by_arm["random"].points] == [8, LABELS]
    control = LABELS - by_arm["live"].points[-1].labels
    assert by_arm["live"].points[0].labels == 8
    assert 1 <= control <= LABELS // 5, (
        "the first of the control set comes within 15 labels, and the next 5 later at least"
    )
    assert all(0 < point.macro_f1 <= 1 for curve in curves for point in curve.points)
    monkeypatch.setattr(LocalStudio, "start", None)
    assert play(data, plan, tmp_path, said.append) == curves, "nothing is played twice"
    with pytest.raises(BadRunError, match=r"was played with .*'labels': 16.*Give another --out"):
        play(data, replace(plan, labels=20), tmp_path, said.append)


def cut_short(annotate: Callable[..., int], after: int) -> Callable[..., int]:
    """The same, until so many were given."""
    given: list[int] = []

    def annotated(*args: object) -> int:
        if len(given) == after:
            raise KeyboardInterrupt
        given.append(annotate(*args))
        return given[-1]

    return annotated


def test_fits_are_waited_for_where_new_projects_have_them() -> None:
    assert [labels for labels in range(200) if is_due(labels)] == [8, 16, 32, 64, 128, 192]


def test_curves_are_compared_at_the_labels_that_were_learnt_from() -> None:
    def record(strategy: str, seed: int, labels: int, score: float, control: int = 0) -> Record:
        judged = {"control": {"labels": control}} if control else {}
        return Record(seed, strategy, 0, labels, {}, {"macro_f1": score}, (), {}, **judged)  # type: ignore[arg-type]

    curves = [
        LiveCurve("live", 0, (), (Point(8, 0.2), Point(32, 0.6), Point(64, 0.9))),
        LiveCurve("random", 0, (), (Point(8, 0.1), Point(64, 0.4))),
    ]
    assert at(curves[0].points, 16) == pytest.approx(0.4)
    assert (at(curves[0].points, 4), at(curves[0].points, 65)) == (None, None)
    rounds = [record("live", seed, 36, score, control=4) for seed, score in ((0, 0.5), (1, 0.7))]
    rounds += [record("random", 0, 64, 0.5), record("random", 0, 128, 0.6), record("entropy", 0, 64, 0.5)]
    found = beside(curves, Run({}, [], rounds))
    assert [(one.strategy, one.labels, one.learnt, one.live, one.simulated, one.within) for one in found] == [
        ("live", 36, 32, (0.6,), (0.5, 0.7), 1),
        ("random", 64, 64, (0.4,), (0.5,), 0),
    ]
    assert "| live | 36 | 32 | 0.600 (0.600 to 0.600; 1) | 0.600 (0.500 to 0.700; 2) | 1 of 1 |" in to_markdown(found)
    with pytest.raises(BadRunError, match="no rounds of live or random within the labels"):
        beside(curves, Run({}, [], rounds[-1:]))
    spread = [record("live", seed, 20, 0.4, control=4) for seed in (0, 1)]
    spread += [record("live", 0, 72, 0.6, control=8), record("live", 1, 72, 0.8, control=40)]
    last = beside(curves, Run({}, [], spread))[-1]
    assert (last.labels, last.learnt, last.live) == (72, 32, (0.6,)), "seeds have more or fewer control labels"
    assert last.simulated == pytest.approx((0.5, 0.8)), "each is read off at the labels that it learnt from"


def test_a_simulation_of_something_else_is_refused_before_anything_is_played(data: TextSet, tiny: Path) -> None:
    plan = LivePlan(LABELS, (0,), 0.0, f"{tiny}", {"max_length": 16})
    recipe = {"max_length": 16, "steps": auto_recipe.RULE}
    recipe["learning_rate"] = auto_recipe.learning_rate(checkpoints.width(f"{tiny}"))
    name = f"another name ({checkpoints.identity(str(tiny)).rpartition('(')[2]}"
    setting = {"data": {"fingerprint": data.fingerprint}, "base_model": name, "recipe": recipe}
    rounds = [Record(0, "random", 0, 32, {}, {"macro_f1": 0.5}, (), {})]
    require_comparable(data, plan, Run(setting, [], rounds))
    for other, said in (
        ({"data": {"fingerprint": "abc"}}, 'data.fingerprint: "abc", not "'),
        ({"base_model": "tiny (sha256 abc)"}, "base_model: "),
        ({"recipe": {**recipe, "max_length": 64}}, "recipe.max_length: 64, not 16"),
        ({"recipe": {**recipe, "steps": 150}}, "recipe.steps: 150, not "),
    ):
        with pytest.raises(BadRunError, match=f"not of what is played live: {said}.*Give --compare another one"):
            require_comparable(data, plan, Run({**setting, **other}, [], rounds))
    with pytest.raises(BadRunError, match=r"no rounds of live or random\. Give --compare another one"):
        require_comparable(data, plan, Run(setting, [], [replace(rounds[0], strategy="margin")]))
