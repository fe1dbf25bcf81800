"""What the gate refuses, played: which cases come out, and that they are kept."""

from dataclasses import replace
from pathlib import Path

import pytest

from nextlabel.errors import BadRunError
from nextlabel.simulation import gates
from nextlabel.simulation.datasets import fetched
from nextlabel.simulation.datasets.textsets import TextSet
from nextlabel.simulation.gates import FIT_SHUFFLED, GOOD, SPOILT, GatePlan
from nextlabel.values.examples import Example

PLAN = GatePlan((8, 16, 40), (0, 1), 1, 60, 30, 16)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A hundred texts of two kinds."""
    kinds = ("the parcel number {} is late", "lovely weather on day {}")
    rows = [(Example(i, kinds[i % 2].format(i)), "ab"[i % 2]) for i in range(100)]
    data = TextSet("Small", ("a", "b"), tuple(rows[:62]), tuple(rows[62:70]), tuple(rows[70:]))
    about = {"name": "small", "title": "Small", "package": "none", "word_pieces": 16, "removed": {}}
    fetched.write(tmp_path / "small", data, about)
    return tmp_path / "small"


def test_every_version_but_the_first_is_a_case_and_the_spoilt_ones_are_counted_apart(
    corpus: Path, tiny: Path, tmp_path: Path
) -> None:
    cases = gates.play(corpus, PLAN, str(tiny), tmp_path)
    both = [(0, n, fit) for n in (16, 40) for fit in (GOOD, *SPOILT, FIT_SHUFFLED)] + [(1, n, GOOD) for n in (16, 40)]
    assert [(case.seed, case.labels, case.fit) for case in cases] == both
    assert all(0 <= accuracy <= 1 for case in cases for accuracy in (case.before, case.after))
    text = gates.to_markdown(cases)
    assert text.count("| small |") == 1
    assert all(f"| {fit} |" in text for fit in (*SPOILT, FIT_SHUFFLED))
    kept = (tmp_path / "small.json").read_text()
    (tmp_path / "small.json").write_text(kept.replace('"refused": false', '"refused": true'))
    again = gates.play(corpus, PLAN, str(tiny), tmp_path)
    assert again == [replace(case, refused=True) for case in cases], "it is not played again"
    with pytest.raises(BadRunError, match=r"small\.json was played with .*Give another --out"):
        gates.play(corpus, replace(PLAN, seeds=(0,)), str(tiny), tmp_path)
    with pytest.raises(BadRunError, match="--labels-at goes to 70; give at most the 60 texts of a pool"):
        gates.play(corpus, replace(PLAN, labels=(8, 70)), str(tiny), tmp_path / "other")
