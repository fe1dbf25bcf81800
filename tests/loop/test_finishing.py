"""The last version: it knows the control set and the holdout, says that nothing judged it, and enters no queue."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification

from helpers.house import HOLDOUT, POOL, PROJECT, RIGHT, TRAIN, House
from nextlabel.errors import NextlabelError, NotEnoughLabelsError
from nextlabel.loop.finishing import WHAT, write_final
from nextlabel.values.counting import PERSON
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote

CONTROL = range(301, 311)


def test_the_last_version_is_fitted_on_everything_and_is_nowhere_but_where_it_was_written(
    tmp_path: Path, tiny: Path
) -> None:
    house, out = House(tmp_path, tiny), tmp_path / "final"
    with pytest.raises(NotEnoughLabelsError):
        write_final(house.settings, house.registry, PROJECT, out)
    assert not out.exists()
    house.label(TRAIN, RIGHT)
    house.label(HOLDOUT, RIGHT, holdout=True)
    votes = (Vote("pos", False, ""),)
    house.pool.upsert(
        TaskRow(task, Example(task, f"yes, control {task}"), False, True, False, 1, votes, draw="0") for task in CONTROL
    )
    left_out = Vote("neg", False, "", account="7", weight=0, why=PERSON)
    house.pool.upsert([TaskRow(401, Example(401, "yes, somebody erred"), False, True, False, 1, (left_out,))])
    assert write_final(house.settings, house.registry, PROJECT, out) == len(TRAIN) + len(HOLDOUT) + len(CONTROL)
    card = json.loads((out / "card.json").read_text())
    assert card["what"] == WHAT
    assert card["counted_less"] == {"labels": 1, "people": 1, "older": 0, "weighed": 0, "lost": 1}
    assert card["label_counts"] == {"pos": (len(TRAIN) + len(HOLDOUT)) // 2 + len(CONTROL), "neg": 32}
    readme = (out / "README.md").read_text()
    assert f"Nothing can be said of it from tasks that it was not fitted on: it is {WHAT}." in readme
    assert "model-index" not in readme
    model = AutoModelForSequenceClassification.from_pretrained(out)
    assert list(model.config.id2label.values()) == ["pos", "neg"]
    assert house.registry.versions(PROJECT) == []
    assert set(house.pool.open_ids()) == set(POOL)
    with pytest.raises(NextlabelError, match="is not empty"):
        write_final(house.settings, house.registry, PROJECT, out)
    with pytest.raises(NextlabelError, match="holds no copy of project 9 that was read to the end"):
        write_final(house.settings, house.registry, 9, tmp_path / "other")
    house.pool.__exit__()
