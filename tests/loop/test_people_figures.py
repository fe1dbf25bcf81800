"""People's figures from the local copy: of work in the editor, and of tasks that were drawn at random alone."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from helpers.house import CONFIG
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.loop.people import NONE_SHARED, OF_FORMS, figures
from nextlabel.problems.people import People, Today
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.counting import DELETED
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote

SINGLE = parse_label_config(CONFIG)
NOON = datetime(2026, 11, 29, 12).timestamp()
TODAY, YESTERDAY = (datetime(2026, 11, day, 11).astimezone().isoformat() for day in (29, 28))


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, 1)) as found:
        yield found


def row(task_id: int, *votes: Vote, draw: str = "") -> TaskRow:
    return TaskRow(task_id, Example(task_id, f"text {task_id}"), False, False, False, len(votes), votes, draw=draw)


def vote(account: str, label: str = "pos", when: str = TODAY, seconds: float | None = 4.0) -> Vote:
    return Vote(label, False, when, account=account, seconds=seconds)


def test_what_was_given_in_the_editor_counts_and_what_was_imported_does_not(pool: Pool) -> None:
    pool.upsert([row(task, vote("7", seconds=3.0 + task % 3)) for task in range(9)])
    pool.upsert([row(20, vote("8", when=YESTERDAY)), row(21, vote("9", seconds=None))])
    found = figures(pool, SINGLE, None, NOON)
    assert (found.today, found.pace_s, found.names_shown, found.people) == (Today(9, 1), 4.0, False, ())
    assert (found.agreement, found.why, found.paced) == (None, NONE_SHARED, 1), "more than half of them are of one"
    pool.upsert([row(task, vote("8")) for task in range(30, 38)])
    assert figures(pool, SINGLE, None, NOON).paced == 2, "what was imported is of nobody's speed"


def test_only_tasks_that_were_drawn_at_random_tell_how_far_people_agree(pool: Pool) -> None:
    pool.upsert([row(task, vote("7"), vote("8", "neg")) for task in range(10)])
    assert figures(pool, SINGLE, None, NOON).agreement is None
    pool.upsert(
        [
            row(20, vote("7"), vote("8"), draw="a"),
            row(21, vote("8", "neg", YESTERDAY), vote("7"), vote("9"), draw="b"),
            row(22, vote("7"), vote("7", "neg"), draw="c"),
            row(23, vote("7"), vote(DELETED), draw="d"),
            row(24, vote("7"), vote("8", seconds=None), draw="e"),
            row(25, vote("7"), vote("8", "none of these"), draw="f"),
            row(26, vote("7", "neg", YESTERDAY), vote("7"), vote("8"), draw="g"),
        ]
    )
    found = figures(pool, SINGLE, None, NOON)
    assert found.agreement is not None
    assert (found.agreement.alike, found.agreement.of, found.why) == (1, 3, "")
    also = figures(pool, SINGLE, None, NOON, drawn=[0, 1, 20])
    assert also.agreement is not None
    assert (also.agreement.alike, also.agreement.of) == (1, 5), "of the pool only what was drawn, too"


def test_names_are_asked_for_only_where_they_are_shown(pool: Pool, tmp_path: Path) -> None:
    pool.upsert([row(20, vote("7"), vote("8"), draw="a")])
    found = figures(pool, SINGLE, lambda: {"7": "anna@example.org"}, NOON)
    assert [(one.name, one.today, one.alike, one.of, one.verdict) for one in found.people] == [
        ("account 8", 1, 1, 1, ""),
        ("anna@example.org", 1, 1, 1, ""),
    ]
    board = StatusBoard(tmp_path)
    board.put_people(1, found)
    assert board.people(1) == found
    (tmp_path / "status" / "1.people.json").write_text('{"people": 7}')
    assert board.people(1) == People()


def test_of_forms_no_agreement_is_said(pool: Pool) -> None:
    two = CONFIG.replace(
        "</View>", '<Choices name="tone" toName="text"><Choice value="x"/><Choice value="y"/></Choices></View>'
    )
    form = parse_label_config(two)
    pool.upsert([row(20, vote("7", '{"label": ["pos"]}'), vote("8", '{"label": ["pos"]}'), draw="a")])
    found = figures(pool, form, None, NOON)
    assert (found.agreement, found.why, found.today.people) == (None, OF_FORMS, 2)
