"""Which texts of the control set count as asked for by now, and whether that is known at all."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.house import CONFIG, PROJECT
from helpers.told_studio import Studio, backend
from helpers.versions import make_card, write_weights
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.objects.fields import TextField
from nextlabel.learning.control import DRAWS, Control
from nextlabel.loop import controller
from nextlabel.loop.marks import Marks, begin
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import ControlState, ProjectState
from nextlabel.store.status import StatusBoard
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.queue import Published
from nextlabel.versions.registry import Registry

RULE = Control("a seed", 0.1)
READING = replace(parse_label_config(CONFIG), control=RULE)
V1, V2 = make_card(1, project=PROJECT).version, make_card(2, project=PROJECT).version


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[Pool]:
    with Pool(pool_path(tmp_path, PROJECT)) as opened:
        yield opened


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    registry = Registry(tmp_path)
    for number in (1, 2):
        registry.save(make_card(number, project=PROJECT), {}, write_weights)
    return Marks(registry)


def row(task_id: int, label: str = "", control: bool = False, u: float = 0.0) -> TaskRow:
    votes = (Vote(label, False, ""),) if label else ()
    place = f"{int((u or task_id / 10_000) * DRAWS):064x}" if control else ""
    return TaskRow(
        task_id, Example(task_id, f"text {task_id}"), False, bool(label), False, len(votes), votes, draw=place
    )


def value(pool: Pool, version: str, **values: float) -> None:
    """What the version says of tasks: t7=0.5."""
    examples = [Example(int(name[1:]), f"text {name[1:]}") for name in values]
    pool.put_scores(version, examples, np.array(list(values.values())), np.full((len(examples), 2), 0.5), exact=False)


def publish(pool: Pool, order: str, task_id: int, at: float) -> None:
    pool.note_published(Published(task_id, task_id, order, 1 - at))


def marked(pool: Pool) -> set[int]:
    return {task.task_id for copies in pool.control() for task in copies if task.marked}


def look(marks: Marks, pool: Pool, followed: str = V1) -> set[int]:
    marks.look(pool, PROJECT, READING, followed)
    return marked(pool)


def test_what_stands_above_the_lowest_task_that_was_labelled_in_an_order_is_marked(pool: Pool, marks: Marks) -> None:
    pool.upsert([*(row(n) for n in (1, 2, 3)), *(row(n, control=True) for n in (11, 12, 13)), row(14, "pos", True)])
    begin(pool, READING, asked_before=False)
    pool.unmark_all()
    value(pool, V1, t1=0.9, t2=0.7, t3=0.5, t11=0.95, t12=0.7, t13=0.6, t14=0.8)
    for task_id, at in ((1, 0.9), (2, 0.7), (3, 0.5)):
        publish(pool, V1, task_id, at)
    assert look(marks, pool) == set(), "nothing was labelled"
    pool.upsert([row(1, "pos")])
    assert look(marks, pool) == {11}
    pool.upsert([row(2, "pos")])
    assert look(marks, pool) == {11, 12, 14}, "a control task that was labelled by its turn would have been asked, too"
    pool.upsert([row(13, "pos", control=True)])
    assert look(marks, pool) == {11, 12, 14}, "a label of the control set itself asks for nothing"


def test_marks_stay_when_another_version_thinks_otherwise(pool: Pool, marks: Marks) -> None:
    pool.upsert([row(1), row(2), row(11, control=True), row(12, control=True)])
    value(pool, V1, t11=0.9, t12=0.1)
    publish(pool, V1, 1, 0.8)
    pool.upsert([row(1, "pos")])
    assert look(marks, pool) == {11}
    pool.keep_scores_of(V2)
    value(pool, V2, t11=0.0, t12=0.4)
    publish(pool, V2, 2, 0.3)
    pool.upsert([row(2, "neg")])
    assert look(marks, pool, V2) == {11, 12}


def test_a_text_that_came_after_the_label_is_not_marked_by_it(pool: Pool, marks: Marks) -> None:
    pool.upsert([row(1), row(11, control=True)])
    value(pool, V1, t11=0.9)
    publish(pool, V1, 1, 0.8)
    pool.upsert([row(1, "pos")])
    assert look(marks, pool) == {11}
    pool.upsert([row(12, control=True)])
    value(pool, V1, t12=0.9)
    assert look(marks, pool) == {11}
    assert look(Marks(marks._registry), pool) == {11}, "nor after a restart"


def test_a_text_that_came_later_is_marked_by_labels_that_were_given_since(pool: Pool, marks: Marks) -> None:
    pool.upsert([row(1), row(11, control=True)])
    value(pool, V1, t11=0.2)
    publish(pool, V1, 1, 0.3)
    pool.upsert([row(1, "pos")])
    assert look(marks, pool) == set()
    pool.upsert([row(2), row(3), *(row(n, control=True) for n in (12, 13, 14))])
    value(pool, V1, t12=0.95, t13=0.85, t14=0.5)
    publish(pool, V1, 2, 0.9)
    pool.upsert([row(2, "pos")])
    assert look(marks, pool) == {12}, "though others had been labelled far below, before it came"
    publish(pool, V1, 3, 0.8)
    pool.upsert([row(3, "pos")])
    assert look(Marks(marks._registry), pool) == {12, 13}, "the same after a restart"


def test_what_is_certified_and_left_to_the_machine_is_not_marked(pool: Pool, marks: Marks) -> None:
    pool.upsert([row(1), *(row(n, control=True) for n in (11, 12))])
    value(pool, V1, t11=0.9, t12=0.9)
    publish(pool, V1, 1, 0.8)
    pool.upsert([row(1, "pos")])
    marks.look(pool, PROJECT, READING, V1, certified=[11, 99])
    assert marked(pool) == {12}


def test_the_start_order_and_other_peoples_predictions_mark_nothing(pool: Pool, marks: Marks) -> None:
    pool.upsert([row(1), row(2), row(11, control=True)])
    for task_id, order in ((1, "nextlabel-start-20261124T063000"), (2, "nextlabel-9-20261124T063000")):
        value(pool, order, t11=0.9)
        publish(pool, order, task_id, 0.1)
        pool.upsert([row(task_id, "pos")])
    assert look(marks, pool) == set()


def noted(pool: Pool) -> bool:
    return pool.state(ControlState).noted


def test_marks_are_complete_in_a_new_project_and_not_where_they_were_lost(tmp_path: Path, marks: Marks) -> None:
    for number, (registry, followed, complete) in enumerate(
        [
            (Registry(tmp_path / "new"), "", True),
            (Registry(tmp_path / "new"), "nextlabel-start-20261124T063000", True),
            (Registry(tmp_path / "new"), V1, False),  # MODEL_DIR was lost, and Label Studio knows of a version
            (Registry(tmp_path / "new"), "nextlabel-3.7-20261124T063000", False),  # or of its head
            (Registry(tmp_path), "", False),  # only the copy was lost
        ]
    ):
        with Pool(tmp_path / f"{number}.sqlite") as fresh:
            Marks(registry).look(fresh, PROJECT, READING, followed)
            assert noted(fresh) == complete, number
            Marks(registry).look(fresh, PROJECT, READING, V1)
            assert noted(fresh) == complete, "as was found at the first look"


@pytest.mark.parametrize(
    "followed", [V1, "nextlabel-audit-1-20260101T000000", "machine-labels-7", "my-own-model", "Nextlabel", ""]
)
def test_whatever_the_queue_follows_marks_may_be_lost_where_labels_were_given_since_the_connection(
    tmp_path: Path, followed: str
) -> None:
    """As Label Studio names none or another one, when somebody deleted the version or chose otherwise."""
    connected, before, after = "2026-01-01T12:00:00.5Z", "2026-01-01T11:00:00Z", "2026-01-01T12:00:01Z"
    by_name = followed in (V1, "nextlabel-audit-1-20260101T000000")
    for name, at, control, complete in (
        ("before", before, False, not by_name),
        ("after", after, False, False),
        ("of the set alone", after, True, not by_name),
    ):
        with Pool(tmp_path / f"{name}.sqlite") as fresh:
            fresh.update(ProjectState, lambda state: replace(state, since=connected))
            fresh.upsert([replace(row(1, "pos", control=control), votes=(Vote("pos", False, at),)), row(2)])
            Marks(Registry(tmp_path / "new")).look(fresh, PROJECT, READING, followed)
            assert noted(fresh) == complete, name


def test_labels_from_after_the_first_look_at_a_new_project_lose_no_marks_and_older_ones_may(
    tmp_path: Path,
) -> None:
    connected, seen = "2026-01-01T12:00:00.5Z", "2026-01-01T12:00:03Z"
    for name, at, complete in (("before", "2026-01-01T12:00:02Z", False), ("after", "2026-01-01T12:05:00Z", True)):
        with Pool(tmp_path / f"{name}.sqlite") as fresh:
            fresh.update(ProjectState, lambda state: replace(state, since=connected, seen=seen))
            fresh.upsert([replace(row(1, "pos"), votes=(Vote("pos", False, at),)), row(2)])
            Marks(Registry(tmp_path / "new")).look(fresh, PROJECT, READING, "Nextlabel")
            assert noted(fresh) == complete, name


def test_when_a_copy_first_hears_of_its_project_is_noted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((1767268803.0, 1767269999.0))
    settings = Settings(_env_file=None, model_dir=tmp_path, device="cpu")
    rest: Any = (StatusBoard(tmp_path), Studio(backend({})), JobQueue(tmp_path), lambda: next(now))
    monkeypatch.setattr(controller, "ensure_webhook", lambda *_, **__: [])
    with Pool(pool_path(tmp_path, PROJECT)) as fresh:
        for _ in range(2):
            controller.Controller(settings, Registry(tmp_path), *rest)._find_connection(fresh, PROJECT)
            assert fresh.state(ProjectState).seen == "2026-01-01T12:00:03.000000Z"


def test_the_start_order_s_labels_are_no_models(tmp_path: Path) -> None:
    with Pool(tmp_path / "copy.sqlite") as fresh:
        fresh.update(ProjectState, lambda state: replace(state, since="2026-01-01T12:00:00Z"))
        fresh.upsert([replace(row(1, "pos"), votes=(Vote("pos", False, "2026-01-02T12:00:00Z"),))])
        Marks(Registry(tmp_path / "new")).look(fresh, PROJECT, READING, "nextlabel-start-20261124T063000")
        assert noted(fresh)


def test_a_set_that_is_drawn_later_or_anew_begins_with_what_is_labelled_marked(pool: Pool) -> None:
    off, other_seed = replace(READING, control=Control()), replace(READING, control=Control("another", 0.1))
    begin(pool, off, asked_before=True)
    assert not noted(pool)
    pool.upsert([row(11, "pos", control=True), row(12, control=True)])
    begin(pool, READING, asked_before=True)
    assert noted(pool), "no model knew of these draws"
    assert marked(pool) == {11}
    pool.mark([12])
    pool.upsert([row(12, "neg", control=True)])
    begin(pool, READING, asked_before=True)
    assert marked(pool) == {11, 12}
    pool.upsert([row(11, control=True)])
    begin(pool, other_seed, asked_before=True)
    assert marked(pool) == {12}, "of other draws only what is labelled was asked for"


def test_a_set_that_grows_keeps_its_marks_and_marks_what_is_labelled_of_the_new_part(pool: Pool) -> None:
    begin(pool, READING, asked_before=False)
    pool.upsert([row(11, "pos", control=True, u=0.01), row(12, control=True, u=0.02)])
    pool.mark([12])
    pool.upsert([row(13, "pos", control=True, u=0.15), row(14, control=True, u=0.16)])
    begin(pool, replace(READING, control=Control("a seed", 0.2)), asked_before=True)
    assert marked(pool) == {12, 13}
    assert noted(pool)
    begin(pool, replace(READING, control=Control()), asked_before=True)
    begin(pool, READING, asked_before=True)
    assert marked(pool) == {11, 12, 13}, "switched off meanwhile, so that all could be asked for"


def test_texts_that_are_read_in_another_way_have_other_draws(pool: Pool) -> None:
    begin(pool, READING, asked_before=False)
    pool.upsert([row(11, control=True)])
    pool.mark([11])
    pool.upsert([row(11, control=True, u=0.05)])  # as it is drawn by its new text
    begin(pool, replace(READING, texts=(TextField("$body"),)), asked_before=True)
    assert marked(pool) == set()
    assert noted(pool)


def test_a_question_that_is_read_otherwise_leaves_the_draws_of_the_texts_as_they_are(pool: Pool) -> None:
    begin(pool, READING, asked_before=False)
    pool.upsert([row(11, "pos", control=True), row(12, control=True)])
    begin(pool, replace(READING, from_name="renamed"), asked_before=True)
    assert marked(pool) == set(), "no model has asked for the one that is labelled"


def test_marks_stay_when_a_release_names_the_same_texts_otherwise(pool: Pool) -> None:
    begin(pool, READING, asked_before=False)
    pool.upsert([row(11, control=True), row(12, "pos", control=True)])
    pool.mark([11])
    pool.update(ControlState, lambda state: replace(state, texts="as another release named it"))
    begin(pool, READING, asked_before=True)
    assert marked(pool) == {11}
    assert noted(pool)


# Whether the texts without a mark are a fair sample of what is left

TEXTS, VERSIONS, LABELS, REPLAYS = 160, 3, 12, 60


def replayed(directory: Path, marks: Marks, rng: np.random.Generator) -> tuple[float, float, float]:
    """The share of right answers on what is left, on texts without a mark, and on the whole control set.

    A text is the harder the higher its hidden number is, and each version finds that out in part.
    """
    hard_N, control_N = rng.random(TEXTS + 1), rng.random(TEXTS + 1) < 0.3
    right_N = rng.random(TEXTS + 1) > 0.5 * hard_N
    left = {n for n in range(1, TEXTS + 1) if not control_N[n]}
    with Pool(directory / "replayed.sqlite") as pool:
        begin(pool, READING, asked_before=False)
        pool.upsert(row(n, control=bool(control_N[n])) for n in range(1, TEXTS + 1))
        for version in (make_card(number, project=PROJECT).version for number in range(1, VERSIONS + 1)):
            values_N = 0.7 * hard_N + 0.3 * rng.random(TEXTS + 1)
            value(pool, version, **{f"t{n}": values_N[n] for n in range(1, TEXTS + 1)})
            asked = sorted(left, key=lambda n: -values_N[n])[:LABELS]
            for n in asked:
                publish(pool, version, n, values_N[n])
            pool.upsert(row(n, "pos") for n in asked)
            look(marks, pool, version)
            left -= set(asked)
        unmarked = [n for n in range(1, TEXTS + 1) if control_N[n] and n not in marked(pool)]
    return right_N[list(left)].mean(), right_N[unmarked].mean(), right_N[control_N].mean()


@pytest.mark.usefixtures("patience")
def test_texts_without_a_mark_are_a_fair_sample_of_what_is_left_and_all_of_the_set_are_not(tmp_path: Path) -> None:
    registry, rng, found = Registry(tmp_path), np.random.default_rng(0), []
    for number in range(1, VERSIONS + 1):
        registry.save(make_card(number, project=PROJECT), {}, write_weights)
    for replay in range(REPLAYS):
        (tmp_path / str(replay)).mkdir()
        found.append(replayed(tmp_path / str(replay), Marks(registry), rng))
    left_R, unmarked_R, all_R = np.array(found).T
    bias, of_all = unmarked_R - left_R, all_R - left_R
    assert abs(bias.mean()) < 3 * bias.std() / np.sqrt(REPLAYS)
    assert of_all.mean() < -5 * of_all.std() / np.sqrt(REPLAYS)
