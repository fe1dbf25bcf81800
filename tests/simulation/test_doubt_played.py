"""Ways to find wrong labels compared: which figures come out, and what they must be where they are known."""

from pathlib import Path

import numpy as np
import pytest

from nextlabel.errors import BadRunError
from nextlabel.simulation import doubt
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.doubt import MARGIN, OWN, RANDOM, WAYS, DoubtPlan
from nextlabel.values.examples import Example


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Texts of two kinds that any encoder tells apart."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}")
    rows = [(Example(i, kinds[i % 2].format(i)), "ab"[i % 2]) for i in range(120)]
    data = TextSet("Small", ("a", "b"), tuple(rows[:90]), tuple(rows[90:100]), tuple(rows[100:]))
    fetched.write(
        tmp_path / "small",
        data,
        {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}},
    )
    return tmp_path / "small"


def test_every_way_lists_what_is_wrong_and_suspects_are_among_it(corpus: Path, minilm: Path, tmp_path: Path) -> None:
    plan = DoubtPlan(60, (0.0, 0.1), (0, 1), 80)
    cells = doubt.play(corpus, plan, str(minilm), tmp_path)
    expected = [(order, wrong, way) for order in (RANDOM, MARGIN) for wrong in (0.0, 0.1) for way in WAYS]
    assert [(cell.order, cell.wrong, cell.way) for cell in cells] == expected
    for cell in cells:
        if not cell.wrong:
            assert cell.in_force == 0
            assert set(cell.precision) == set(cell.average) == set(cell.found) == {0}
        elif cell.way == OWN:
            assert np.mean(cell.average) > 0.8
            assert all(right in (0, 1) for right in cell.right), "what it lists is wrong in so plain a corpus"
    text = doubt.to_markdown(cells)
    assert text.count("| small |") == 4
    assert "## margin, 10 % wrong" in text
    assert doubt.play(corpus, plan, str(minilm), tmp_path) == cells, "what is there is not played again"


def test_more_labels_than_there_are_texts_are_refused(corpus: Path, minilm: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match="small has fewer than 91 texts"):
        doubt.play(corpus, DoubtPlan(91, (0.1,), (0,), 80), str(minilm), tmp_path)


def test_with_real_people_a_vote_is_of_one_who_was_decided_and_a_place_is_one_person_for_thirty_lines() -> None:
    ballots = [doubt.Ballot(block, [0, 3, -1, 0]) for block in (0, 0, 1)] * 40
    casts = doubt._given(ballots, np.random.default_rng(0))
    first, second = casts[:120], casts[120:]
    assert [cast.row for cast in first] == list(range(120))
    assert 5 < len(second) < 40
    assert {cast.person for cast in casts} == {"0-1", "0-2", "1-1", "1-2"}
    assert all(cast.choice == (cast.person[-1] == "1") for cast in casts)
    assert all(len({cast.person for cast in casts if cast.row == row}) == 2 for row in {cast.row for cast in second})
