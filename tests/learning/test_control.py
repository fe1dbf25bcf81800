"""The control set: a rule of seed and text that knows no order of import, no ids and no other task."""

from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.control import DRAWS, NO_CONTROL, Control, control_set, draw, places
from nextlabel.values.examples import Example, Key, key_of

laws = settings(derandomize=True, deadline=None, max_examples=60)
keys = st.lists(st.tuples(st.text(max_size=4), st.none() | st.text(max_size=4)), max_size=20)
shares = st.floats(0, 1)


def test_a_draw_is_the_hash_that_anybody_can_compute() -> None:
    said = sha256(b'["a seed", "caf\\u00e9 au lait", null]').hexdigest()
    assert draw("a seed", key_of(Example(7, "Café  au lait"))) == int(said, 16)


@laws
@given(keys, st.randoms(use_true_random=False), shares)
def test_the_same_seed_and_tasks_give_the_same_set_in_the_same_order_however_they_come(
    some: list[Key], chance: Random, share: float
) -> None:
    shuffled = chance.sample(some, len(some))
    assert control_set("seed", shuffled, share) == control_set("seed", some, share)


@laws
@given(keys, keys, shares)
def test_more_tasks_change_nothing_of_those_that_were_there(some: list[Key], more: list[Key], share: float) -> None:
    before, after = control_set("seed", some, share), control_set("seed", [*more, *some], share)
    assert [key for key in after if key in set(some)] == before
    assert set(after) - set(before) <= set(more)


@laws
@given(keys, shares, shares)
def test_a_smaller_share_is_the_beginning_of_a_larger_one(some: list[Key], one: float, other: float) -> None:
    small, large = sorted([control_set("seed", some, one), control_set("seed", some, other)], key=len)
    assert large[: len(small)] == small


@laws
@given(keys)
def test_a_share_of_0_reserves_no_task_and_one_of_1_every_task_once(some: list[Key]) -> None:
    assert control_set("seed", some, 0.0) == []
    every = control_set("seed", some, 1.0)
    assert len(every) == len(set(some))
    assert [draw("seed", key) for key in every] == sorted({draw("seed", key) for key in some})


def test_the_greatest_draw_of_all_is_reserved_by_a_share_of_1() -> None:
    assert DRAWS - 1 < 1.0 * DRAWS


def test_a_share_reserves_as_many_as_drawing_would_and_other_ones_with_another_seed() -> None:
    pool: list[Key] = [(f"text {number}", None) for number in range(10_000)]
    sets = [control_set(f"seed {number}", pool, 0.1) for number in range(10)]
    assert all(850 < len(one) < 1150 for one in sets)  # five standard deviations
    assert len(set(sets[0]) & set(sets[1])) < 200


def test_no_seed_and_text_are_mistaken_for_others() -> None:
    seen: list[tuple[str, Key]] = [
        ("a", ("bc", None)),
        ("ab", ("c", None)),
        ("a", ("b", "c")),
        ("a", ("bc", "")),
        ("a", ("bc", "null")),
        ('a", "b', ("c", None)),
    ]
    assert len({draw(seed, key) for seed, key in seen}) == len(seen)


def test_what_is_drawn_sorts_as_the_draws_do_and_says_nothing_of_other_tasks() -> None:
    control, some = Control("a seed", 0.3), [Example(number, f"text {number}") for number in range(500)]
    drawn = {control.drawn(example): key_of(example) for example in some if control.drawn(example)}
    assert [drawn[place] for place in sorted(drawn)] == control_set("a seed", map(key_of, some), 0.3)
    assert {len(place) for place in drawn} == {64}
    assert not any(NO_CONTROL.drawn(example) or Control("a seed", 0.0).drawn(example) for example in some)


def drawn(lengths: Iterable[float]) -> list[str]:
    """Draws whose last digits say steps of so much more than half of their mean."""
    return [f"{number:032x}{0:016x}{int(length * 2**64):016x}" for number, length in enumerate(lengths)]


def test_tasks_of_the_set_come_after_ten_labels_on_average_and_the_overdue_once_for_each_annotator() -> None:
    assert places(0.1, 0, drawn([0.5, 0.5, 0.5]), others=0) == [9, 19, 29]
    assert places(0.1, 0, drawn([0, 0.75, 0.25]), others=0) == [4, 16, 23]
    assert places(0.1, 9, drawn([0.5, 0.5]), others=0) == [0, 10]
    assert places(0.1, 500, drawn([0.5, 0.5, 0.25]), others=0) == [0, 10, 17], "many labels before the set began"
    assert places(0.1, 500, drawn([0.5] * 4), others=2) == [0, 1, 2, 10]
    assert places(0.25, 0, drawn([0.5, 0.5]), others=0) == [3, 7]
    assert places(0.1, 0, drawn([0.5] * 4), others=0, first=2) == [0, 1, 29, 39]
    assert places(0.1, 0, [], others=0) == []


@laws
@given(st.floats(0.001, 1), st.integers(0, 50), st.integers(0, 5), st.integers(0, 5))
def test_no_place_is_given_twice(share: float, since: int, others: int, first: int) -> None:
    found = places(share, since, some_draws(20), others, first)
    assert len(set(found)) == 20
    assert found == sorted(found)


def some_draws(count: int) -> list[str]:
    """Those of a control set, in its order."""
    rule = Control("a seed", 1.0)
    return sorted(rule.drawn(Example(number, f"text {number}")) for number in range(count))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.15, 0.3, 0.5])
def test_the_share_is_kept_whole_or_not(share: float) -> None:
    assert places(share, 0, some_draws(4000), others=0)[-1] / 4000 == pytest.approx(1 / share, rel=0.02)


def test_whoever_counts_cannot_tell_them_and_two_people_at_one_pace_share_them() -> None:
    draws, given = some_draws(200), list[bool]()
    while sum(given) < 200:
        since = given[::-1].index(True) if True in given else len(given)
        given.append(0 in places(0.1, since, draws[sum(given) :], others=0))
    of_set = [place for place, control in enumerate(given) if control]
    steps = Counter(after - before for before, after in pairwise(of_set))
    assert set(steps) == set(range(5, 16))
    assert max(steps.values()) < 0.25 * 200
    assert 80 < sum(place % 2 for place in of_set) < 120
