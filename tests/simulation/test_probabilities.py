"""What versions said, kept small: classes exactly, probabilities in steps, one file a seed, never half written."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nextlabel.errors import BadRunError
from nextlabel.simulation import probabilities
from nextlabel.simulation.probabilities import Targets
from nextlabel.values.arrays import Array

PROBS = np.array([[0.501, 0.499, 0.0], [0.2, 0.2, 0.6]])


@given(odds=arrays.arrays(np.float64, (5, 4), elements=st.floats(0.001, 1.0)))
def test_classes_are_those_before_rounding_and_probabilities_are_near(
    tmp_path_factory: pytest.TempPathFactory, odds: Array
) -> None:
    out = tmp_path_factory.mktemp("said")
    probs_NC = odds / odds.sum(axis=1, keepdims=True)
    probabilities.write(out, 3, "margin", 2, {"dev": probs_NC})
    said = probabilities.read(out, 3, "margin", 2)
    assert said.keys() == {"dev"}
    assert said["dev"].classes_N.tolist() == probs_NC.argmax(axis=1).tolist()
    assert np.abs(said["dev"].probs_NC - probs_NC).max() <= 0.5 / 255 + 1e-12


def test_a_seed_has_one_file_to_which_rounds_are_added_and_from_which_an_arm_can_be_taken(tmp_path: Path) -> None:
    for strategy in ("margin", "tfidf:margin"):
        for number in (0, 1):
            probabilities.write(tmp_path, 3, strategy, number, {"dev": PROBS, "test": PROBS[:1]})
    assert [path.name for path in (tmp_path / "probabilities").iterdir()] == ["seed-3.zip"]
    probabilities.forget(tmp_path, 3, "margin")
    probabilities.forget(tmp_path, 4, "margin")  # never played
    assert probabilities.read(tmp_path, 3, "tfidf:margin", 1)["test"].classes_N.tolist() == [0]
    with pytest.raises(BadRunError, match=r"seed-3.zip holds nothing of round 1 of margin"):
        probabilities.read(tmp_path, 3, "margin", 1)


def test_the_same_rounds_make_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        probabilities.write(tmp_path / name, 0, "random", 0, {"dev": PROBS})
    one, other = (tmp_path / name / "probabilities" / "seed-0.zip" for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_many_classes_fit(tmp_path: Path) -> None:
    probs_NC = np.full((1, 300), 1 / 300)
    probs_NC[0, 299] += 0.01
    probabilities.write(tmp_path, 0, "random", 0, {"dev": probs_NC})
    assert probabilities.read(tmp_path, 0, "random", 0)["dev"].classes_N.tolist() == [299]


def test_a_damaged_file_is_named_and_never_written_over(tmp_path: Path) -> None:
    probabilities.write(tmp_path, 3, "margin", 0, {"dev": PROBS})
    path = tmp_path / "probabilities" / "seed-3.zip"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadRunError, match=r"seed-3\.zip cannot be read"):
        probabilities.read(tmp_path, 3, "margin", 0)
    with pytest.raises(BadRunError, match=r"seed-3\.zip cannot be read"):
        probabilities.write(tmp_path, 3, "margin", 1, {"dev": PROBS})
    assert not zipfile.is_zipfile(path)


def test_whatever_byte_is_another_a_file_is_read_as_it_was_or_named(tmp_path: Path) -> None:
    probabilities.write(tmp_path, 3, "margin", 0, {"dev": PROBS})
    path = tmp_path / "probabilities" / "seed-3.zip"
    whole = path.read_bytes()

    def refusal() -> str:
        try:
            assert probabilities.read(tmp_path, 3, "margin", 0)["dev"].classes_N.tolist() == [0, 2]
            probabilities.forget(tmp_path, 3, "entropy")
        except BadRunError as error:
            return str(error)
        return ""

    found = []
    for place, byte in enumerate(whole):
        path.write_bytes(whole[:place] + bytes([byte ^ 0xFF]) + whole[place + 1 :])
        found.append(refusal())
    assert all("seed-3.zip" in said for said in found if said)
    assert len(list(filter(None, found))) > len(whole) / 3


@pytest.mark.parametrize("content", ["[]", "3", '{"dev": 3}', '{"dev": {"ids": [1]}}', '{"dev": {}, "questions": 3}'])
def test_right_answers_that_are_none_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "targets.json").write_text(content, encoding="utf-8")
    for read in (probabilities.read_targets, probabilities.read_question):
        with pytest.raises(BadRunError, match=r"targets\.json cannot be read"):
            read(tmp_path)


def test_right_answers_come_back_and_their_loss_is_named(tmp_path: Path) -> None:
    targets = Targets(np.array([7, 9]), np.array([0, 2]))
    nothing = Targets(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    probabilities.write_targets(tmp_path, ["a", "b", "c"], {"dev": targets, "test": nothing})
    found = probabilities.read_targets(tmp_path)
    assert found.keys() == {"dev"}
    assert (found["dev"].ids_N.tolist(), found["dev"].classes_N.tolist()) == ([7, 9], [0, 2])
    (tmp_path / "targets.json").write_text("{}x", encoding="utf-8")
    with pytest.raises(BadRunError, match=r"targets\.json cannot be read"):
        probabilities.read_targets(tmp_path)
