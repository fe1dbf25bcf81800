"""Figures of people: what is said of them, and what is not said for want of labels."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import pytest
from sklearn.metrics import cohen_kappa_score

from nextlabel.problems.intervals import clopper_pearson
from nextlabel.problems.people import (
    BREAK_S,
    CLEARLY_BELOW,
    KAPPA_ANSWERS,
    KAPPA_TASKS,
    LEAST_PACED,
    LEAST_SHARED,
    LIKE_THE_OTHERS,
    PACED,
    Answer,
    Given,
    People,
    Person,
    Today,
    agreement,
    crowd,
    pace_s,
    paced,
    persons,
    today,
)

Shared = list[tuple[Answer, Answer]]


def shared(one: str, other: str, labels: Sequence[tuple[str, str]]) -> Shared:
    return [(Answer(one, mine), Answer(other, theirs)) for mine, theirs in labels]


def alike(count: int, of: int) -> list[tuple[str, str]]:
    return [("pos", "pos")] * count + [("pos", "neg")] * (of - count)


def test_today_begins_at_midnight() -> None:
    given = [Given("a", at, 3.0) for at in (99.0, 100.0, 101.0)] + [Given("b", 150.0, 3.0)]
    assert today(given, 100.0) == Today(3, 2)
    assert today(given, 200.0) == Today(0, 0)


def test_the_pace_is_that_of_the_last_labels_without_breaks() -> None:
    slow = [Given("a", float(at), 90.0) for at in range(PACED)]
    quick = [Given("a", float(PACED + at), 2.0) for at in range(PACED)]
    assert pace_s([*quick, *slow]) == 2.0
    broken = [Given("a", 1e6 + at, seconds) for at, seconds in enumerate([BREAK_S, 0.0] * PACED)]
    assert pace_s(quick + broken) == 2.0
    assert pace_s(quick[: LEAST_PACED - 1]) is None


def test_without_names_nobodys_own_speed_is_told() -> None:
    given = [Given("abc"[at % 3], float(at), 9.0) for at in range(PACED)]
    assert (paced(given), paced([*given, *(Given("a", 1e6 + at, 9.0) for at in range(PACED))])) == (3, 1)
    assert crowd("aab") == 1, "more than half are of one, and so is what lies in the middle"
    assert [crowd(givers) for givers in ("", "a", "aabb", "aabbc")] == [0, 1, 2, 3]
    found = People(1.0, True, Today(9, 3), 9.0, None, "", (Person("a", 3, 9, 9.0, 0, 0, ""),), paced=3)
    shown = found.without_names
    assert (shown.names_shown, shown.people, shown.pace_s, shown.today) == (False, (), 9.0, Today(9, 3))
    for few in (0, 1, 2):
        assert replace(found, paced=few).without_names.pace_s is None


def test_of_few_shared_tasks_counts_are_said_with_an_exact_interval_and_no_kappa() -> None:
    found = agreement(shared("a", "b", alike(12, 15)))
    assert found is not None
    assert (found.alike, found.of, found.kappa) == (12, 15, None)
    assert (found.low, found.high) == clopper_pearson(12, 15)
    everybody = agreement(shared("a", "b", alike(15, 15)))
    assert everybody is not None
    assert everybody.low < 0.8, "that nobody differed is no proof"
    assert agreement([]) is None


def test_kappa_is_that_of_a_library_where_there_is_enough_to_tell() -> None:
    draw, labels = random.Random(0), ("pos", "neg", "mixed")
    said = [(one := draw.choice(labels), one if draw.random() < 0.7 else draw.choice(labels)) for _ in range(400)]
    found = agreement(shared("a", "b", said))
    assert found is not None
    both = [*said, *((other, one) for one, other in said)]  # in either order, Cohen's is Scott's
    assert found.kappa == pytest.approx(cohen_kappa_score(*zip(*both, strict=True), labels=labels))


@pytest.mark.parametrize(
    ("tasks", "rare", "told"),
    [(KAPPA_TASKS, KAPPA_ANSWERS, True), (KAPPA_TASKS - 1, KAPPA_ANSWERS, False), (KAPPA_TASKS, 4, False)],
)
def test_below_sixty_tasks_or_five_answers_of_a_class_kappa_is_not_told(tasks: int, rare: int, told: bool) -> None:
    said = [("pos", "neg")] * rare + [("pos", "pos")] * (tasks - rare)
    found = agreement(shared("a", "b", said))
    assert found is not None
    assert (found.kappa is not None) == told


def team(below: int) -> Shared:
    """Four people who agree on nine of ten tasks, but for one, who does on `below` of ten."""
    pairs = combinations("abcd", 2)
    return [row for one, other in pairs for row in shared(one, other, alike(4 * (below if other == "d" else 9), 40))]


def test_one_person_is_like_the_others_or_clearly_below_and_nobody_is_ranked() -> None:
    names = {"a": "Zoe", "b": "adam", "c": "Mia", "d": "Ben"}
    found = persons([Given("b", 5.0, 3.0)], team(5), names, 0.0)
    assert [person.name for person in found] == ["adam", "Ben", "Mia", "Zoe"]
    assert {person.name: person.verdict for person in found} == {
        "adam": LIKE_THE_OTHERS,
        "Ben": CLEARLY_BELOW,
        "Mia": LIKE_THE_OTHERS,
        "Zoe": LIKE_THE_OTHERS,
    }
    assert [(person.alike, person.of) for person in found] == [(92, 120), (60, 120), (92, 120), (92, 120)]
    assert (found[0].today, found[0].labels, found[0].pace_s) == (1, 1, None)
    assert {person.verdict for person in persons([], team(8), names, 0.0)} == {LIKE_THE_OTHERS}


def test_of_two_people_and_of_few_tasks_nobody_can_tell_who_is_below() -> None:
    assert {person.verdict for person in persons([], shared("a", "b", alike(10, 300)), {}, 0.0)} == {""}
    few = [*team(5)[:40], *shared("a", "d", alike(0, LEAST_SHARED - 1))]
    found = {person.name: person.verdict for person in persons([], few, {}, 0.0)}
    assert found["account d"] == ""
