"""Whose labels count is said in words that people write, and each label counts by them alone."""

import pytest

from nextlabel.values.counting import DELETED, EVERYTHING, GUIDELINE, PERSON, Counting, LeftOut, day_of, left_out_of
from nextlabel.values.counting import weight_of as weight


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("7", (LeftOut("7"),)),
        ([7, "anna@example.org"], (LeftOut("7"), LeftOut("anna@example.org"))),
        ("7 2026-11-03, deleted", (LeftOut("7", "2026-11-03", "2026-11-03"), LeftOut(DELETED))),
        ("7 2026-11-03..2026-11-04", (LeftOut("7", "2026-11-03", "2026-11-04"),)),
        ("7 2026-11-03..", (LeftOut("7", "2026-11-03", ""),)),
        ("7   ..2026-11-04", (LeftOut("7", "", "2026-11-04"),)),
        ([], ()),
    ],
)
def test_accounts_and_days_are_read_and_come_back_as_they_are_written(given: object, found: tuple[LeftOut]) -> None:
    assert left_out_of(given) == found
    assert left_out_of(list(map(str, found))) == found


@pytest.mark.parametrize(
    "given",
    [
        "", "anna", "7,,9", "7 yesterday", "7 2026-02-30", "7 2026-11-04..2026-11-03", "7 2026-11-4", "7 20261104",
        "-7", 7, None, True, [True], [None], {"7": ""}, ["7, 9"],
    ],
)  # fmt: skip
def test_what_names_no_accounts_or_days_is_told_from_what_does(given: object) -> None:
    assert left_out_of(given) is None


def test_a_day_is_one_of_the_calendar_and_a_weight_less_than_that_of_others() -> None:
    assert [day_of(day) for day in ("2028-02-29", "2026-02-29", "20260228", "", 20260228)] == [
        "2028-02-29",
        *[None] * 4,
    ]
    assert [weight(given) for given in ("0.3", 0, 0.999)] == [0.3, 0, 0.999]
    assert [weight(given) for given in (1, -0.1, "many", "nan", None, True, [0.3])] == [None] * 7


def test_days_are_whole_and_both_ends_are_among_them() -> None:
    some = LeftOut("7", "2026-11-03", "2026-11-04")
    times = ["2026-11-02T23:59:59.9Z", "2026-11-03T00:00:00Z", "2026-11-04T23:59:59.9Z", "2026-11-05T00:00:00Z"]
    assert [some.covers("7", when) for when in times] == [False, True, True, False]
    assert [LeftOut("7", "", "2026-11-04").covers("7", when) for when in times] == [True, True, True, False]
    assert [LeftOut("7", "2026-11-03").covers("7", when) for when in times] == [False, True, True, True]
    assert not some.covers("77", times[1])


def test_who_is_left_out_is_so_whenever_and_older_labels_weigh_less() -> None:
    counting = Counting((LeftOut("7"),), "2026-11-20", 0.3)
    old, new = "2026-11-19T23:59:59Z", "2026-11-20T00:00:00Z"
    assert [counting.why("7", old), counting.why("9", old), counting.why("9", new)] == [PERSON, GUIDELINE, ""]
    assert [counting.weight("7", new), counting.weight("9", old), counting.weight("9", new)] == [0, 0.3, 1]
    assert EVERYTHING.weight("7", "") == 1
