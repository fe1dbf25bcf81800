"""Whether the order helps, asked of a project's local copy: what is measured, forecast and said of the next labels."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.house import CONFIG, PROJECT, RIGHT, House
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.learning.control import Control
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.fitting import recipe_of
from nextlabel.loop.helping import Asked, look
from nextlabel.problems.helping import Helping
from nextlabel.problems.helping_words import sentences
from nextlabel.settings import for_project
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import LATEST, ProjectOptions

SHARE = 0.25
FIRST, LATER, CONTROL, LEFT = range(1, 25), range(25, 81), range(1001, 1193), range(2001, 2101)


def row(task_id: int, minute: int | None, control: bool = False) -> TaskRow:
    """A task, labelled in that minute."""
    word = ("yes", "no")[task_id % 2]
    when = f"2026-11-29T{(minute or 0) // 60:02}:{(minute or 0) % 60:02}:00.000000Z"
    votes = () if minute is None else (Vote(RIGHT[word], False, when),)
    example = Example(task_id, f"{word}, {word}, number {task_id}")
    return TaskRow(
        task_id, example, False, bool(votes), False, len(votes), votes, draw=f"{task_id:064}" if control else ""
    )


def labelled(house: House, tasks: Sequence[int], first_minute: int, control: bool = False) -> None:
    house.pool.upsert([row(task, first_minute + place, control) for place, task in enumerate(tasks)])


def asked(house: House, share: float = SHARE, strategy: str = "margin") -> Helping:
    version = house.active_version
    own = for_project(house.settings, ProjectOptions(defaults=LATEST, own={"strategy": strategy}))
    config = replace(parse_label_config(CONFIG), control=Control("seed", share))
    embedder = Embedder(recipe_of(house.settings, 0, own, 0), house.resident, lambda project: None)  # type: ignore[arg-type,return-value]
    about = Asked(house.pool, config, own, house.registry.card(PROJECT, version), version, 0)
    return look(about, house.registry, house.resident, embedder)


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    found = House(tmp_path, tiny, fit_every=20)
    found.pool.upsert([row(task, None) for task in LEFT])
    labelled(found, FIRST, 0)
    found.fit()
    labelled(found, LATER, 40)
    found.fit()
    yield found
    found.pool.__exit__()


def test_before_there_are_control_labels_only_the_forecast_says_something(house: House) -> None:
    labelled(house, CONTROL[:8], 5, control=True)
    found = asked(house)
    assert (found.order, found.measured.labels, found.measured.more) == (house.active_version, 0, 192 - 8)
    assert found.forecast.labels == len(FIRST) + len(LATER)
    assert found.forecast.gain is not None
    assert found.forecast.low is not None
    assert found.forecast.high is not None
    assert found.forecast.low < found.forecast.gain < found.forecast.high
    said = " ".join(sentences(found))
    assert "cannot tell yet whether the order helps: about 184 more control labels may" in said
    assert "Forecast, by a replay on the model's own view" in said
    assert "labels saved" not in said.lower()


def test_at_a_planned_look_the_gain_is_measured_by_control_labels(house: House) -> None:
    labelled(house, CONTROL, 5, control=True)
    measured = asked(house).measured
    assert (measured.labels, measured.why) == (192, "")
    assert measured.gain is not None
    assert measured.error is not None
    assert -1 <= measured.gain <= 1
    assert measured.error > 0
    assert asked(house).measured == measured, "the same when asked again"


def test_what_the_last_labels_changed_is_what_both_versions_say_of_the_tasks_left(house: House) -> None:
    found = asked(house).next_labels
    left = house.pool.open_examples()
    cards = house.registry.cards(PROJECT)[:2]
    now, before = ([probs_C.argmax() for probs_C in house.resident.score(c, left, exact=False).probs_NC] for c in cards)
    assert (found.labels, found.tasks, found.seconds) == (len(LATER), len(left), 60.0)
    assert "they take 56 minutes" in " ".join(sentences(asked(house)))
    quick = replace(asked(house), next_labels=replace(found, seconds=1.0))
    assert "they take 56 seconds" in " ".join(sentences(quick))
    assert found.changed == sum(a != b for a, b in zip(now, before, strict=True)) / len(left)


def test_what_cannot_be_told_says_why(house: House) -> None:
    assert asked(house, share=0.0).measured.why == "the project has no control set"
    labelled(house, CONTROL[:8], 200, control=True)
    assert asked(house).measured.why.startswith("80 labels were there before the first one of the control set")
    assert asked(house, strategy="random").forecast.why == "the order is random"
    left = house.pool.open_ids()
    for gone in (left[:-8], left[-8:]):  # eight tasks are left to choose from, then none
        house.pool.forget(gone)
        assert asked(house).forecast.why == "too few tasks are left to replay 80 labels"
    assert asked(house).next_labels.why == "no task is left"
    house.registry.discard(PROJECT, house.registry.cards(PROJECT)[1].version)
    assert asked(house).next_labels.why == "there is no version before the active one to compare it with"
    assert sentences(Helping()) == [], "nobody has asked"
