"""The published queue head and the wanted one: what is written, what is taken away, what is left alone."""

import json
from collections.abc import Mapping
from itertools import count, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.learning.composer import CONTROL, INFORMATIVE, STEP, all_informative, compose
from nextlabel.loop.window import FIRST, SCORE_TOLERANCE, WindowPlan, plan_window
from nextlabel.values.queue import Placed, Published, Ranked

laws = settings(derandomize=True, deadline=None, max_examples=150)
OLD, NEW = "nextlabel-1", "nextlabel-2"


def placed(task_id: int, value: float) -> Placed:
    return Placed(task_id, INFORMATIVE, value, 1 - value)


def ranked(*values: float) -> list[Placed]:
    """Tasks 1, 2, 3 … with falling values."""
    return [placed(task_id, value) for task_id, value in enumerate(values, start=1)]


def publish(wanted: list[Placed], version: str = NEW) -> list[Published]:
    return [Published(100 + task.task_id, task.task_id, version, task.score) for task in wanted]


def values_of(wanted: list[Placed]) -> dict[int, float]:
    return {task.task_id: task.value for task in wanted}


def test_there_is_nothing_to_do_when_nothing_changed() -> None:
    wanted = ranked(0.9, 0.8, 0.7)
    assert plan_window(wanted, publish(wanted), NEW, values_of(wanted)) == WindowPlan((), ())


def test_missing_predictions_are_written_best_first() -> None:
    wanted = [placed(7, 0.9), placed(3, 0.8), placed(5, 0.7), placed(1, 0.6)]
    plan = plan_window(wanted, publish([wanted[1]]), NEW, values_of(wanted))
    assert plan == WindowPlan(create=(wanted[0], wanted[2], wanted[3]), delete=())


def test_predictions_of_other_versions_go_even_those_of_labelled_tasks() -> None:
    wanted = ranked(0.9)
    published = publish([*wanted, placed(50, 0.5)], version=OLD)
    assert plan_window(wanted, published, NEW, values_of(wanted)) == WindowPlan(create=(wanted[0],), delete=(101, 150))


def test_a_changed_score_is_replaced() -> None:
    before, after = ranked(0.9, 0.8), ranked(0.9, 0.3)
    assert plan_window(after, publish(before), NEW, values_of(after)) == WindowPlan(create=(after[1],), delete=(102,))


def test_a_changed_score_outside_the_head_is_only_taken_away() -> None:
    wanted = ranked(0.9)
    published = publish([*wanted, placed(2, 0.8)])
    assert plan_window(wanted, published, NEW, {1: 0.9, 2: 0.1}) == WindowPlan(create=(), delete=(102,))


def test_the_last_bits_of_a_score_are_no_change() -> None:
    wanted = ranked(0.9)
    assert plan_window(wanted, publish(wanted), NEW, {1: 0.9 + 1e-8}) == WindowPlan((), ())


def test_an_edited_text_that_is_nearly_as_uncertain_takes_its_new_place() -> None:
    # As seen: of a hardly fitted version the most uncertain tasks are this near to each other.
    before = [placed(1, 1 - 2.5e-5), placed(2, 1 - 2.7e-5)]
    after = [before[1], placed(1, 1 - 8.9e-5)]
    assert plan_window(after, publish(before), NEW, values_of(after)) == WindowPlan((after[1],), (101,))


def test_predictions_of_labelled_tasks_and_of_tasks_outside_the_head_stay() -> None:
    wanted = ranked(0.9)
    published = publish([*wanted, placed(2, 0.8), placed(3, 0.7)])
    assert plan_window(wanted, published, NEW, {1: 0.9, 2: 0.8}) == WindowPlan((), ())


def test_predictions_of_tasks_that_do_not_belong_in_the_queue_go_labelled_or_not() -> None:
    wanted = ranked(0.9)
    published = publish([*wanted, placed(2, 0.8), placed(3, 0.7)])
    plan = plan_window(wanted, published, NEW, {1: 0.9}, misplaced={2})
    assert plan == WindowPlan(create=(), delete=(102,))


def test_a_right_prediction_beside_a_wrong_one_is_enough() -> None:
    published = [Published(1, 1, NEW, 0.5), Published(2, 1, NEW, 0.1), Published(3, 1, OLD, 0.1)]
    assert plan_window(ranked(0.9), published, NEW, {1: 0.9}) == WindowPlan(create=(), delete=(1, 3))


def test_of_equal_predictions_the_oldest_is_enough() -> None:
    published = [
        Published(3, 1, NEW, 0.1),
        Published(2, 1, NEW, 0.1),
        Published(5, 7, NEW, 0.4),
        Published(4, 7, NEW, 0.4),
    ]
    assert plan_window(ranked(0.9), published, NEW, {1: 0.9}) == WindowPlan(create=(), delete=(3, 5))


values = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def test_a_task_of_another_kind_stands_before_what_follows_by_whatever_little() -> None:
    head = [Placed(9, "control", 0.0, 0.0099984), placed(1, 0.990001), placed(2, 0.99)]
    later = [Published(109, 9, NEW, 0.0100005), *publish(head[1:])]
    assert plan_window(head, later, NEW, values_of(head[1:])) == WindowPlan(create=(head[0],), delete=(109,))
    earlier = [Published(109, 9, NEW, 0.0099), *publish(head[1:])]
    assert plan_window(head, earlier, NEW, values_of(head[1:])) == WindowPlan((), ())


orders = st.tuples(
    st.integers(0, 9),  # so many of the control set are labelled
    st.lists(st.booleans(), min_size=10, max_size=10),  # its places
    st.integers(1, 10),
)


@laws
@given(looks=st.lists(orders, min_size=2, max_size=6))
def test_tasks_of_another_kind_are_served_in_their_order_however_many_came_before_or_come_now(
    looks: list[tuple[int, list[bool], int]],
) -> None:
    control, informative = [Ranked(task, 0.0) for task in range(31, 41)], by_rank({i: 1 - i / 16 for i in range(1, 9)})
    published: list[Published] = []
    numbers = count(1)
    for labelled, places, depth in sorted(looks, key=lambda look: look[0]):
        kinds = [CONTROL if is_control else INFORMATIVE for is_control in places]
        wanted = compose({INFORMATIVE: informative, CONTROL: control[labelled:]}, kinds.__getitem__, depth)
        plan = plan_window(wanted, published, NEW, {task.task_id: task.value for task in informative})
        published += [Published(next(numbers), task.task_id, NEW, task.score) for task in plan.create]
        published = [p for p in published if p.prediction_id not in plan.delete]
        scores = {p.task_id: p.score for p in published}
        served = [scores[task.task_id] for task in wanted if task.kind == CONTROL]
        assert served == sorted(served)


publications = st.lists(st.tuples(st.integers(1, 8), st.sampled_from([OLD, NEW]), values), max_size=15)


@laws
@given(open_values=st.dictionaries(st.integers(1, 8), values), depth=st.integers(1, 8), rows=publications)
def test_carrying_out_the_plan_publishes_the_wanted_head(
    open_values: dict[int, float], depth: int, rows: list[tuple[int, str, float]]
) -> None:
    pool = by_rank(open_values)
    wanted = compose({INFORMATIVE: pool}, all_informative, depth)
    before = [Published(number, *row) for number, row in enumerate(rows)]
    plan = plan_window(wanted, before, NEW, open_values)
    written = [Published(1000 + task.task_id, task.task_id, NEW, task.score) for task in plan.create]
    after = [p for p in before if p.prediction_id not in plan.delete] + written

    scores = {p.task_id: p.score for p in after}
    assert all(abs(scores[task.task_id] - (1 - task.value)) <= STEP * len(after) for task in wanted)
    assert len({p.score for p in written} - {p.score for p in before if p.version == NEW}) == len(written)
    assert all(p.version == NEW for p in after)
    assert len(after) == len({p.task_id for p in after})
    open_scores = {task_id: 1 - value for task_id, value in open_values.items()}
    assert all(abs(p.score - open_scores[p.task_id]) <= STEP * len(after) for p in after if p.task_id in open_scores)
    assert plan_window(wanted, after, NEW, open_values) == WindowPlan((), ()), "a second time there is nothing to do"


def by_rank(pool: Mapping[int, float]) -> list[Ranked]:
    return [Ranked(task, value) for task, value in sorted(pool.items(), key=lambda item: (-item[1], item[0]))]


ties = values | st.sampled_from([0.5 + STEP, 0.5 + 4 * STEP, 1 - STEP, 1e-20])
looks = st.tuples(
    st.dictionaries(st.integers(1, 12), ties, max_size=12),  # the pool: what is missing has a label by now
    st.dictionaries(st.integers(21, 24), ties, max_size=3),  # tasks that somebody skipped
    st.lists(st.integers(31, 36), unique=True, max_size=4),  # of the control set
    st.lists(st.booleans(), min_size=10, max_size=10),  # its places
    st.integers(1, 10),
)


@laws
@given(seen=st.lists(looks, min_size=1, max_size=6))
def test_no_two_scores_of_an_order_are_ever_equal_in_label_studio(
    seen: list[tuple[dict[int, float], dict[int, float], list[int], list[bool], int]],
) -> None:
    published: list[Published] = []
    numbers = count(1)
    for pool, skipped, control, places, depth in seen:
        lists = {INFORMATIVE: by_rank(pool), CONTROL: [Ranked(task, 0.0) for task in control]}
        kinds = [CONTROL if is_control else INFORMATIVE for is_control in places]
        wanted = compose(lists, kinds.__getitem__, depth, by_rank(skipped))
        plan = plan_window(wanted, published, NEW, pool | skipped)
        for task in plan.create:
            stored = json.loads(json.dumps(task.score))  # as sent; Label Studio's column holds doubles
            published.append(Published(next(numbers), task.task_id, NEW, stored))
            assert 0 <= stored <= 1
            assert len({p.score for p in published}) == len(published)
        published = [p for p in published if p.prediction_id not in plan.delete]
        assert plan_window(wanted, published, NEW, pool | skipped) == WindowPlan((), ()), "it settles"
        scores = {p.task_id: p.score for p in published}
        for task, following in pairwise(task for task in wanted if task.kind == INFORMATIVE):
            near = task.value - following.value <= SCORE_TOLERANCE
            assert near or scores[task.task_id] < scores[following.task_id]
        for task, following in pairwise(wanted):
            if task.kind == CONTROL and following.kind == INFORMATIVE:
                assert scores[task.task_id] < max(scores[following.task_id], following.score, FIRST)
