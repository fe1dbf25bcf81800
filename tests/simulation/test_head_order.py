"""An order that heads renew: which labels are chosen by what, and what is said of it."""

import numpy as np
import pytest

from nextlabel.learning.heads import acquisition_values, probabilities, refitted, refitted_form
from nextlabel.problems.form import Form
from nextlabel.simulation import head_order
from nextlabel.simulation.baselines import kind_of
from nextlabel.simulation.head_order import EVERY, HeadOrder, is_head
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ANY_OF, ONE_OF, Cut, Layout
from nextlabel.values.linear import Linear

CLASSES, WIDTH, TRAIN = 3, 6, 60
BEGUN = 12  # labels


def an_order(seed: int = 0, informative: bool = True) -> HeadOrder:
    rng = np.random.default_rng(seed)
    means_CD = rng.normal(size=(CLASSES, WIDTH)) * (2 if informative else 0)
    targets_N, dev_N = rng.integers(CLASSES, size=TRAIN), np.arange(20) % CLASSES
    train_ND, dev_ND = (means_CD[of] + rng.normal(size=(len(of), WIDTH)) for of in (targets_N, dev_N))
    layer = Linear(0.1 * rng.normal(size=(CLASSES, WIDTH)), np.zeros(CLASSES))
    return HeadOrder(layer, 100 + np.arange(TRAIN), train_ND, targets_N, list(range(BEGUN)), dev_ND, dev_N)


def margins(layer: Linear, order: HeadOrder) -> Array:
    top_N2 = np.sort(probabilities(layer, order.train_ND), axis=1)[:, -2:]
    return 1 - (top_N2[:, 1] - top_N2[:, 0])


def test_the_first_are_by_the_version_and_the_next_by_a_head_that_knows_the_first() -> None:
    order = an_order()
    chosen = order.choose("margin", 2 * EVERY, 0)
    layer, known = order.fitted, list(range(BEGUN))
    for batch in (chosen[:EVERY], chosen[EVERY:]):
        values_N = margins(layer, order)
        values_N[known] = -1
        assert batch == (100 + np.argsort(-values_N, kind="stable")[:EVERY]).tolist()
        known += [id - 100 for id in batch]
        layer = refitted(order.fitted, order.train_ND[known], order.targets_N[known])
    assert order.refused == 0


def test_a_forms_questions_are_fitted_again_each_to_those_who_answered_it() -> None:
    rng, layout = np.random.default_rng(1), Layout((Cut("kind", ONE_OF, ("a", "b")), Cut("tags", ANY_OF, ("x", "y"))))
    kind_N, tags_N2 = rng.integers(2, size=TRAIN), rng.integers(2, size=(TRAIN, 2))
    targets_NC = np.hstack([np.eye(2)[kind_N], tags_N2]).astype(np.float64)
    train_ND = rng.normal(size=(TRAIN, WIDTH)) + targets_NC @ rng.normal(size=(4, WIDTH))
    targets_NC[rng.random(TRAIN) < 0.3, 2:] = np.nan
    layer, form = Linear(0.1 * rng.normal(size=(4, WIDTH)), np.zeros(4)), Form.of_layout(layout)
    ids_N, known = 100 + np.arange(TRAIN), list(range(BEGUN))
    order = HeadOrder(layer, ids_N, train_ND, targets_NC, [*known], train_ND, targets_NC, form)
    chosen, by = order.choose("margin", 2 * EVERY, 0), layer
    for batch in (chosen[:EVERY], chosen[EVERY:]):
        values_N = acquisition_values(by, train_ND, ids_N, "margin", 0, layout)
        values_N[known] = -1
        assert batch == ids_N[np.argsort(-values_N, kind="stable")[:EVERY]].tolist()
        known += [id - 100 for id in batch]
        by = refitted_form(layer, train_ND[known], targets_NC[known], layout)
    said_NC = form.predicted(layout.probabilities(by(train_ND)))
    expected = np.mean([of["macro_f1"] for of in form.measures(targets_NC, said_NC).values()])
    assert order.record()["dev_macro_f1"] == pytest.approx(expected)


@pytest.mark.parametrize("count", [3, EVERY, EVERY + 3, TRAIN])
def test_as_many_are_chosen_as_are_wanted_or_left_and_none_twice(count: int) -> None:
    chosen = an_order().choose("entropy", count, 0)
    assert len(set(chosen)) == len(chosen) == min(count, TRAIN - BEGUN)
    assert set(chosen) <= set(range(100 + BEGUN, 100 + TRAIN))


def test_where_a_head_is_no_better_than_the_majority_the_version_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_order, "beats_majority", lambda *_: False)
    order = an_order()
    chosen = order.choose("margin", 3 * EVERY, 0)
    assert order.refused == 2
    values_N = margins(order.fitted, order)
    values_N[:BEGUN] = -1
    assert chosen == (100 + np.argsort(-values_N, kind="stable")[: 3 * EVERY]).tolist()


def test_the_record_tells_of_the_head_that_knows_the_chosen() -> None:
    order = an_order()
    order.choose("margin", 20, 0)
    record = order.record()
    assert (record["labels"], record["every"], record["precision"]) == (BEGUN + 20, EVERY, 0.1)
    assert record["dev_macro_f1"] > 0.8


def test_an_arm_of_heads_fits_the_model_and_is_no_baseline() -> None:
    assert is_head("head:margin")
    assert not is_head("margin")
    assert not is_head("tfidf:margin")
    assert [kind_of(name) for name in ("head:margin", "margin", "tfidf:margin")] == ["", "", "tfidf"]
