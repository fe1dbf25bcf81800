"""One value for several labels or questions: the forms that are made of a corpus, the figures, what is served."""

import json
from pathlib import Path

import numpy as np
import pytest

from nextlabel.errors import BadRunError
from nextlabel.learning.strategies import SERVED, acquire
from nextlabel.simulation import form_orders
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.form_orders import ALONE, ARMS, CARDINALITY, MEASURES, RARE, TOPICS, Answered, FormPlan, Scene
from nextlabel.simulation.starts import Frozen
from nextlabel.values.examples import Example
from nextlabel.values.layout import ANY_OF, MAXIMUM, MEAN, ONE_OF, Cut, Layout


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three hundred texts of three kinds."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}", "goal in minute {}")
    rows = [(Example(i, kinds[i % 3].format(i)), "abc"[i % 3]) for i in range(300)]
    data = TextSet("Small", ("a", "b", "c"), tuple(rows[:231]), tuple(rows[231:240]), tuple(rows[240:]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}}
    fetched.write(tmp_path / "small", data, about)
    return tmp_path / "small"


def test_every_order_has_its_cells_the_same_each_time(corpus: Path, tiny: Path, tmp_path: Path) -> None:
    plan = FormPlan((20, 30), (0, 1, 2), 60)
    cells = form_orders.play(corpus, plan, str(tiny), tmp_path)
    assert [(cell.form, cell.arm, cell.labels, cell.measure) for cell in cells] == [
        (form, arm, labels, measure)
        for form, arms in ARMS.items()
        for arm in arms
        for labels in (20, 30)
        for measure in MEASURES[form]
    ]
    assert all(0 <= score <= 1 for cell in cells if cell.measure != "found" for score in cell.by_seed)
    assert {score for cell in cells if cell.measure == "found" for score in cell.by_seed} <= {0.0, 1.0}, "1 % of 60"
    (tmp_path / "again").mkdir()
    assert form_orders.play(corpus, plan, str(tiny), tmp_path / "again") == cells
    text = form_orders.to_markdown(cells)
    assert text.count("| small |") == 2 * sum(map(len, MEASURES.values()))
    kept = json.loads((tmp_path / "small.json").read_text())
    kept["cells"][0]["by_seed"] = [0.5, 0.5, 0.5]
    (tmp_path / "small.json").write_text(json.dumps(kept))
    assert form_orders.play(corpus, plan, str(tiny), tmp_path)[0].by_seed == (0.5, 0.5, 0.5), "not played again"


def frozen(classes: int, each: int) -> Frozen:
    rng = np.random.default_rng(0)
    points_ND = rng.normal(size=(classes * each, 8))
    return Frozen(points_ND / np.linalg.norm(points_ND, axis=1, keepdims=True), np.arange(classes * each) % classes)


def test_the_value_that_is_served_is_the_one_called_maximum() -> None:
    scene = form_orders.topics("it", frozen(4, 30), frozen(4, 6), FormPlan((20,), (0,), 40), 0)
    probs_N1C = np.random.default_rng(1).uniform(size=(50, 1, 4))
    served, zeros_N = Layout((Cut("topics", ANY_OF, ("0", "1", "2", "3")),)), np.zeros(50)
    highest_N = acquire(SERVED, probs_N1C, zeros_N, scene.values[MAXIMUM])
    assert np.array_equal(highest_N, acquire(SERVED, probs_N1C, zeros_N, served))
    each_NC = 1 - np.abs(2 * probs_N1C[:, 0] - 1)
    assert np.allclose(highest_N, each_NC.max(axis=1))
    assert np.allclose(acquire(SERVED, probs_N1C, zeros_N, scene.values[MEAN]), each_NC.mean(axis=1))


def test_by_label_cardinality_unusual_numbers_of_labels_come_first() -> None:
    known = Answered(np.zeros((2, 1)), np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))  # two labels each
    layout = Layout((Cut("topics", ANY_OF, ("0", "1", "2")),))
    scene = Scene(layout, {MAXIMUM: layout}, known, known)
    probs_NC = np.array([[0.9, 0.9, 0.1], [0.9, 0.1, 0.4], [0.1, 0.1, 0.1], [0.9, 0.1, 0.1]])  # 2, 1, 0, 1 labels
    assert scene.best_first(CARDINALITY, probs_NC, [0, 1]).tolist() == [2, 1, 3, 0]
    assert scene.best_first(MAXIMUM, probs_NC, [0, 1]).tolist() == [1, 0, 2, 3]


def test_texts_are_on_one_or_two_topics() -> None:
    train = frozen(4, 30)
    scene = form_orders.topics("it", train, frozen(4, 6), FormPlan((20,), (0,), 1000), 3)
    assert scene.pool.points_ND.shape == (80, 8), "of 120 texts a third alone, the others in twos"
    assert np.allclose(np.linalg.norm(scene.pool.points_ND, axis=1), 1)
    topics_N = scene.pool.targets_NC.sum(axis=1)
    assert set(topics_N) == {1.0, 2.0}
    texts = {tuple(np.round(row, 9)) for row in train.points_ND}
    alone_N = np.array([tuple(np.round(row, 9)) in texts for row in scene.pool.points_ND])
    assert alone_N.sum() == 40
    assert set(topics_N[alone_N]) == {1.0}


def test_the_rare_question_is_one_in_a_hundred_and_leaves_the_topic_unasked() -> None:
    scene = form_orders.beside_a_rare_one("it", frozen(3, 200), frozen(3, 6), FormPlan((20,), (0,), 200), 1)
    yes_N = scene.pool.targets_NC[:, -1] == 1
    assert (len(yes_N), yes_N.sum()) == (202, 2)
    assert np.isnan(scene.pool.targets_NC[yes_N, :2]).all()
    assert (scene.pool.targets_NC[~yes_N, :2].sum(axis=1) == 1).all()
    topic_N2 = np.random.default_rng(2).dirichlet((1, 1), 9)
    probs_N1C = np.column_stack([topic_N2, np.linspace(0, 1, 9)])[:, None]
    alone_N, zeros_N = 1 - np.abs(topic_N2[:, 0] - topic_N2[:, 1]), np.zeros(9)
    rare_N = 1 - np.abs(2 * np.linspace(0, 1, 9) - 1)
    found = {arm: acquire(SERVED, probs_N1C, zeros_N, layout) for arm, layout in scene.values.items()}
    assert np.allclose(found[ALONE], alone_N)
    assert np.allclose(found[MEAN], (alone_N + rare_N) / 2)
    assert np.allclose(found[MAXIMUM], np.maximum(alone_N, rare_N))


def test_measures_are_of_what_was_asked() -> None:
    layout = Layout((Cut("topic", ONE_OF, ("a", "b")), Cut("rare", ANY_OF, ("yes",))))
    right_NC = np.array([[1, 0, 0], [0, 1, 0], [np.nan, np.nan, 1], [0, 1, 0]])
    test = Answered(np.zeros((4, 1)), right_NC)
    scene = Scene(layout, {}, test, test)
    probs_NC = np.array([[0.9, 0.1, 0.2], [0.2, 0.8, 0.2], [0.9, 0.1, 0.8], [0.7, 0.3, 0.1]])
    assert scene.scores(probs_NC) == pytest.approx({"topic": 2 / 3, "rare": 1.0})
    assert scene.found([0, 2, 3]) == {"found": 1.0}


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(BadRunError, match="ends at 90, and a pool of it has 80 texts"):
        form_orders.topics("it", frozen(4, 30), frozen(4, 6), FormPlan((90,), (0,), 1000), 0)
    with pytest.raises(BadRunError, match="No class of it can be the rare one with 20 labels"):
        form_orders.beside_a_rare_one("it", frozen(2, 30), frozen(2, 6), FormPlan((20,), (0,), 1000), 0)
    assert set(ARMS) == {TOPICS, RARE}
