"""The pure parts of a round: whether there is enough to learn from, and labels as numbers."""

import pytest

from backend.learning import class_numbers, missing_labels, round_seed


@pytest.mark.parametrize("given", [["pos", "neg"], ["neg", "pos", "pos"], ["pos", "mixed"], ["pos", "neg", "gone"]])
def test_one_label_of_each_of_two_classes_is_enough(given: list[str]) -> None:
    assert missing_labels(("pos", "neg", "mixed"), given) == ""


@pytest.mark.parametrize("given", [[], ["gone", "lost"]], ids=["none", "only labels that the config lost"])
def test_without_a_usable_label_two_classes_are_asked_for(given: list[str]) -> None:
    assert "at least two classes need one label each" in missing_labels(("pos", "neg"), given)


def test_with_one_class_the_others_are_asked_for() -> None:
    complaint = missing_labels(("pos", "neg", "mixed"), ["neg", "neg", "neg", "gone"])
    assert complaint == "All 3 labels so far are 'neg'; label at least one task as one of ['pos', 'mixed']."


def test_classes_are_numbered_in_the_order_of_the_labels() -> None:
    numbers_N = class_numbers(("pos", "neg", "mixed"), ["mixed", "pos", "neg", "pos"])
    assert numbers_N.tolist() == [2, 0, 1, 0]
    assert numbers_N.dtype.kind == "i"
    assert class_numbers(("pos", "neg"), []).shape == (0,)


def test_every_round_of_every_run_has_a_seed_of_its_own() -> None:
    seeds = [round_seed(seed, number) for seed in range(30) for number in range(60)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert round_seed(3, 4) == round_seed(3, 4)
