"""The head of the queue: the best tasks of each kind in its slots, each once, in the order of their scores."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.composer import INFORMATIVE, STEP, all_informative, compose
from nextlabel.values.queue import Placed, Ranked

laws = settings(derandomize=True, deadline=None, max_examples=200)
CONTROL = "control"


def informative(fresh: Sequence[Ranked], skipped: Sequence[Ranked], depth: int) -> list[Ranked]:
    """The head of a queue of one kind, as tasks."""
    head = compose({INFORMATIVE: fresh}, all_informative, depth, skipped)
    return [Ranked(task.task_id, task.value) for task in head]


def test_the_head_is_the_most_informative_tasks() -> None:
    pool = [Ranked(1, 0.9), Ranked(2, 0.8), Ranked(3, 0.7)]
    assert informative(pool, [], 2) == pool[:2]
    assert informative(pool, [], 5) == pool


def test_skipped_tasks_stay_in_the_head_without_using_up_its_depth() -> None:
    fresh, skipped = [Ranked(2, 0.8), Ranked(4, 0.6), Ranked(5, 0.5)], [Ranked(1, 0.9), Ranked(3, 0.7), Ranked(6, 0.4)]
    assert [task.task_id for task in informative(fresh, skipped, 2)] == [1, 2, 3, 4]
    assert [task.task_id for task in informative(fresh, skipped, 1)] == [1, 2]
    assert [task.task_id for task in informative(fresh, skipped, 9)] == [1, 2, 3, 4, 5, 6]


def every_third(place: int) -> str:
    return CONTROL if place % 3 == 2 else INFORMATIVE


def ids_and_kinds(head: Sequence[Placed]) -> list[tuple[int, str]]:
    return [(task.task_id, task.kind) for task in head]


def test_a_task_of_another_kind_stands_in_its_slot_midway_between_its_neighbours() -> None:
    lists = {INFORMATIVE: [Ranked(1, 0.75), Ranked(2, 0.5), Ranked(3, 0.25)], CONTROL: [Ranked(9, 0.1)]}
    head = compose(lists, every_third, 4)
    assert ids_and_kinds(head) == [(1, INFORMATIVE), (2, INFORMATIVE), (9, CONTROL), (3, INFORMATIVE)]
    assert [task.value for task in head] == [0.75, 0.5, 0.1, 0.25]
    assert [task.score for task in head] == [0.25, 0.5, 0.625, 0.75]


def test_a_slot_at_either_end_lies_between_its_neighbour_and_what_follows() -> None:
    lists = {INFORMATIVE: [Ranked(1, 0.5), Ranked(2, 0.25)], CONTROL: [Ranked(8, 0.0), Ranked(9, 0.0)]}
    head = compose(lists, lambda place: INFORMATIVE if place == 1 else CONTROL, 3)
    assert [(task.task_id, task.score) for task in head] == [(8, 0.25), (1, 0.5), (9, 0.625)]


def test_equal_values_are_a_step_apart_and_a_slot_between_them_is_kept() -> None:
    lists = {INFORMATIVE: [Ranked(2, 0.5), Ranked(3, 0.5), Ranked(8, 0.5)], CONTROL: [Ranked(1, 0.5)]}
    head = compose(lists, every_third, 4, [Ranked(5, 0.5), Ranked(9, 0.5)])
    assert [task.task_id for task in head] == [2, 3, 1, 5, 8]
    assert [task.score for task in head] == [0.5 + STEP * place for place in range(5)]
    certain = compose({INFORMATIVE: [Ranked(task, 0.0) for task in range(3)]}, all_informative, 3)
    assert [task.score for task in certain] == [1 - 2 * STEP, 1 - STEP, 1.0]


def test_a_slot_whose_kind_has_run_out_goes_to_an_informative_task() -> None:
    lists = {INFORMATIVE: [Ranked(n, 1 - n / 10) for n in range(1, 7)], CONTROL: [Ranked(1, 0.9), Ranked(6, 0.4)]}
    assert ids_and_kinds(compose(lists, every_third, 6)) == [
        *((1, INFORMATIVE), (2, INFORMATIVE), (6, CONTROL)),
        *((3, INFORMATIVE), (4, INFORMATIVE), (5, INFORMATIVE)),
    ]


values = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1)
pools = st.dictionaries(st.integers(1, 30), values, max_size=20)


def by_rank(pool: Mapping[int, float]) -> list[Ranked]:
    return [Ranked(task, value) for task, value in sorted(pool.items(), key=lambda item: (-item[1], item[0]))]


@laws
@given(fresh=pools, skipped=pools, depth=st.integers(0, 25))
def test_of_one_kind_the_best_come_in_their_order_each_once(
    fresh: dict[int, float], skipped: dict[int, float], depth: int
) -> None:
    skipped = {100 + task: value for task, value in skipped.items()}
    head = compose({INFORMATIVE: by_rank(fresh)}, all_informative, depth, by_rank(skipped))
    assert len({task.task_id for task in head}) == len(head)
    assert [(task.value, -task.task_id) for task in head] == sorted(((t.value, -t.task_id) for t in head), reverse=True)
    assert all(0 <= before.score < after.score <= 1 for before, after in pairwise(head))
    for task in head:
        near = [other for other in head if abs(other.value - task.value) <= STEP * len(head)]
        assert abs(task.score - (1 - task.value)) <= STEP * (len(near) - 1), "a step for each one that is equal"
    assert [task.task_id for task in head if task.task_id < 100] == [t.task_id for t in by_rank(fresh)[:depth]]
    if depth >= len(fresh) + 1:
        assert len(head) == len(fresh) + len(skipped)


# No two alike, so that there is room for a task of another kind between any two.
apart = st.lists(st.integers(1, 127), unique=True, max_size=20).map(
    lambda values: {task: value / 128 for task, value in enumerate(values)}
)


@laws
@given(fresh=apart, others=apart, depth=st.integers(0, 25), slots=st.lists(st.booleans(), min_size=25, max_size=25))
def test_of_several_kinds_each_task_comes_once_in_the_order_of_the_scores(
    fresh: dict[int, float], others: dict[int, float], depth: int, slots: list[bool]
) -> None:
    lists = {INFORMATIVE: by_rank(fresh), CONTROL: by_rank(others)}
    head = compose(lists, lambda place: CONTROL if slots[place] else INFORMATIVE, depth)
    assert len({task.task_id for task in head}) == len(head) <= depth
    assert [task.score for task in head] == sorted(task.score for task in head)
    assert all(task.score == 1 - task.value == 1 - fresh[task.task_id] for task in head if task.kind == INFORMATIVE)
    assert all(task.value == others[task.task_id] for task in head if task.kind == CONTROL)
    for kind, ranked in lists.items():
        served = [task.task_id for task in head if task.kind == kind]
        assert served == [task.task_id for task in ranked if task.task_id in served], "each kind in its own order"
    assert len({task.score for task in head}) == len(head)
    if depth <= len(fresh):
        assert len(head) == depth
