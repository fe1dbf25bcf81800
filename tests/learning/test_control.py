"""The control set: a rule of seed and text that knows no order of import, no ids and no other task."""

from hashlib import sha256
from random import Random

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


def test_one_label_in_ten_is_of_the_control_set_and_what_is_overdue_comes_once_for_each_annotator() -> None:
    assert places(0.1, since=0, tasks=3, others=0) == [9, 19, 29]
    assert places(0.1, since=9, tasks=2, others=0) == [0, 10]
    assert places(0.1, since=500, tasks=3, others=0) == [0, 10, 20], "many labels before the set began"
    assert places(0.1, since=500, tasks=4, others=2) == [0, 1, 2, 10]
    assert places(0.25, since=0, tasks=2, others=0) == [3, 7]
    assert places(0.1, since=0, tasks=4, others=0, first=2) == [0, 1, 29, 39]
    assert places(0.1, since=0, tasks=0, others=0) == []


def test_annotators_who_label_what_comes_first_give_one_label_in_ten_to_the_set() -> None:
    given: list[bool] = []
    while len(given) < 200:
        since = given[::-1].index(True) if True in given else len(given)
        given.append(0 in places(0.1, since, tasks=5, others=0))
    assert [place for place, control in enumerate(given) if control] == list(range(9, 200, 10))
