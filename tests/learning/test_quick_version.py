"""Which labels the quick first version of a project is fitted on."""

from collections import Counter

import numpy as np

from nextlabel.learning import quick_version
from nextlabel.learning.quick_version import OF_EACH, TEXTS, comes_first, part_of, steps


def test_as_many_labels_are_drawn_as_a_fit_sees_once_and_of_rare_classes_what_there_is() -> None:
    labels = ["common"] * 9000 + ["other"] * 990 + ["rare"] * 7 + ["once"]
    part = part_of(labels, seed=0)
    assert len(set(part.tolist())) == TEXTS == steps(16) * 16
    assert sorted(part.tolist()) == part.tolist(), "as all labels come: by id"
    counts = Counter(labels[position] for position in part)
    assert (counts["rare"], counts["once"]) == (7, 1)
    assert 0.05 < counts["other"] / TEXTS < 0.15, "classes keep their shares: 0.099"
    assert np.array_equal(part, part_of(labels, seed=0))
    assert not np.array_equal(part, part_of(labels, seed=1))


def test_of_very_many_classes_each_has_its_turn() -> None:
    labels = [f"class {i % 1000}" for i in range(100_000)]
    counts = Counter(labels[position] for position in part_of(labels, seed=3))
    assert set(counts.values()) == {1, 2}
    assert len(counts) == 1000


def test_nothing_is_quick_that_would_leave_no_label_out() -> None:
    assert not comes_first(quick_version.TEXTS)
    assert comes_first(quick_version.TEXTS + 1)
    assert OF_EACH * 100 < TEXTS
