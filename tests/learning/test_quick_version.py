"""Which labels the quick first version of a project is fitted on."""

from collections import Counter

import numpy as np

from nextlabel.learning.quick_version import LABELS, MANY, OF_EACH, comes_first, part_of


def test_labels_are_drawn_from_all_and_of_rare_classes_some_or_what_there_is() -> None:
    labels = ["common"] * 9000 + ["other"] * 990 + ["rare"] * 20 + ["once"]
    answers = [(label,) for label in labels]
    part = part_of(answers, seed=0)
    assert len(set(part.tolist())) == LABELS
    assert sorted(part.tolist()) == part.tolist(), "as all labels come: by id"
    counts = Counter(labels[position] for position in part)
    assert (counts["rare"], counts["once"]) == (OF_EACH, 1)
    assert 0.05 < counts["other"] / LABELS < 0.15, "other classes keep their shares: 0.099"
    assert np.array_equal(part, part_of(answers, seed=0))
    assert not np.array_equal(part, part_of(answers, seed=1))


def test_of_very_many_classes_each_has_its_turn() -> None:
    labels = [f"class {i % 300}" for i in range(30_000)]
    counts = Counter(labels[position] for position in part_of([(label,) for label in labels], seed=3))
    assert set(counts.values()) == {1, 2}
    assert len(counts) == 300


def test_answers_of_several_labels_are_drawn_for_the_rare_ones_among_them() -> None:
    answers = [("often",)] * 3000 + [("often", "rare")] * 5 + [()] * 3000
    part = part_of(answers, seed=0)
    assert set(range(3000, 3005)) < set(part.tolist())
    assert 100 < sum(not answers[position] for position in part) < 300, "no label at all is an answer, too"


def test_a_quick_version_comes_where_the_thorough_one_knows_many_more_labels() -> None:
    assert not comes_first(MANY)
    assert comes_first(MANY + 1)
    assert MANY >= 2 * LABELS
