"""What auto stands for: epochs enough, time within bounds, and a rate by the checkpoint's width."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig

from nextlabel.errors import NoModelError
from nextlabel.learning import auto_recipe
from nextlabel.model.checkpoints import width

REFERENCE = 343 * 32


def test_no_fit_is_shorter_than_one_of_fewer_labels_below_2000() -> None:
    steps = [auto_recipe.steps(labels) for labels in range(1, 2000)]
    assert steps == sorted(steps)
    assert steps[0] == 100


@given(st.integers(1, 1999), st.sampled_from([8, 16, 32]))
def test_below_2000_labels_a_fit_has_five_epochs_and_no_more_texts_than_the_tutorials(labels: int, batch: int) -> None:
    texts = auto_recipe.steps(labels, batch) * batch
    assert texts >= 5 * labels
    assert texts <= REFERENCE


def test_over_32_to_2000_labels_a_third_of_the_tutorials_texts_is_the_most() -> None:
    counts = [32, 64, 128, 256, 512, 1024, 2000]
    ratios = [auto_recipe.steps(labels) * auto_recipe.BATCH / REFERENCE for labels in counts]
    assert sum(ratios) / len(ratios) < 1 / 3
    ratios[-1] = auto_recipe.steps(1999) * auto_recipe.BATCH / REFERENCE
    assert round(sum(ratios) / len(ratios), 3) == 0.336, "as reports/recipes says: below 2,000 five epochs go first"


@given(st.integers(2500, 100_000))
def test_many_labels_are_seen_three_times(labels: int) -> None:
    assert 3 * labels <= auto_recipe.steps(labels) * auto_recipe.BATCH < 3 * labels + auto_recipe.BATCH


@pytest.mark.parametrize(("wide", "rate"), [(384, 2e-4), (768, 5e-5), (1024, 2e-5), (4096, 2e-5)])
def test_wider_checkpoints_learn_at_lower_rates(wide: int, rate: float) -> None:
    assert auto_recipe.learning_rate(wide) == rate


def test_a_checkpoints_width_is_read_from_its_config(tiny: Path, tmp_path: Path) -> None:
    assert width(str(tiny)) == BertConfig.from_pretrained(tiny).hidden_size
    with pytest.raises(NoModelError, match="There is no directory"):
        width(str(tmp_path / "none"))
