"""What is listed and what is opened again: never what judges, never with one person, never more than there is room."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.told_studio import Studio as ToldStudio
from helpers.told_studio import backend
from nextlabel.errors import InUseError, NoProjectError, StudioError
from nextlabel.labelstudio.client import MLBackend, Project, Served
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.project_options import (
    change,
    note_asked,
    note_audits,
    note_reopened,
    put_back,
    take_new_defaults,
)
from nextlabel.learning.control import Control
from nextlabel.learning.second_votes import Draw, drawn
from nextlabel.learning.suspects import Answered, LookedAt
from nextlabel.loop.look_again import AGAIN, ANEW, DRAWN_OPEN, EVERY, Again, Labelled
from nextlabel.loop.marks import Marks
from nextlabel.problems.look_again import OPEN, LookAgain, Suspect
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.settings import Settings
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.pool import EMBEDDINGS, NOTED, Pool, pool_path
from nextlabel.store.state import AgainState
from nextlabel.store.status import StatusBoard
from nextlabel.values.arrays import Features
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.options import LATEST, OF_0_1_0, ProjectOptions
from nextlabel.values.queue import Published
from nextlabel.versions.registry import Registry

LABELS = ("cat", "dog", "eel")
CONFIG = replace(
    parse_label_config(
        '<View><Text name="t" value="$text"/><Choices name="c" toName="t" choice="single">'
        + "".join(f'<Choice value="{label}"/>' for label in LABELS)
        + "</Choices></View>"
    ),
    control=Control("s", 0.1),
)
TASKS = 90
ODD = (7, 10, 20, 33, 40)  # labelled otherwise than all that is near them


class Studio(ToldStudio):
    """Keeps how tasks are served, and the options of the backend."""

    def __init__(self, options: ProjectOptions):
        super().__init__(backend(options.put_into({})))
        self.tasks = {task: Served(1, 1, True) for task in range(1, TASKS + 1)}
        self.log: list[str] = []
        self.then: Callable[[], None] = lambda: None
        self.written: Callable[[], None] = lambda: None

    def served(self, project: int, task_id: int) -> Served | None:
        return self.tasks.get(task_id)

    def serve_to(self, task_id: int, people: int, finished: bool) -> bool:
        self.log.append(f"task {task_id}")
        self.then()
        self.tasks[task_id] = Served(people, self.tasks[task_id].annotations, finished)
        return True

    def update_ml_backend(
        self, backend: int, project: int, url: str, title: str, user: str, password: str, extra: Any
    ) -> None:
        self.log.append("options")
        self.written()
        self._backends = [replace(row, extra_params=extra) for row in self._backends]

    def disconnect(self) -> None:
        self._backends = list[MLBackend]()

    @property
    def options(self) -> Mapping[str, Any]:
        return self._backends[0].extra_params or {}

    def put(self, options: ProjectOptions) -> None:
        self._backends = [replace(row, extra_params=options.put_into({})) for row in self._backends]

    @property
    def reopened(self) -> Mapping[int, int]:
        return ProjectOptions.of(self.options).reopened

    @property
    def open(self) -> set[int]:
        return {task for task, served in self.tasks.items() if served != Served(1, served.annotations, True)}


class Embedder:
    """Embeddings that are there."""

    name = "known"

    def embed(self, pool: Pool, project: int, examples: object) -> None:
        points_ND = np.eye(3, 6)[np.arange(TASKS) % 3] + 0.15 * np.random.default_rng(0).normal(size=(TASKS, 6))
        points_ND /= np.linalg.norm(points_ND, axis=1, keepdims=True)
        pool.put_vectors(EMBEDDINGS, self.name, pool.examples(range(1, TASKS + 1)), points_ND.astype(np.float16))


class Scene:
    """A project with all tasks labelled by Anna and Ben in turn."""

    def __init__(self, home: Path, **options: Any):
        self.home, self.settings = home, Settings(_env_file=None, model_dir=home)
        self.registry, self.board = Registry(home), StatusBoard(home)
        self.registry.know(1)
        self.set(Studio(ProjectOptions(**{"defaults": LATEST, "control_seed": "s", **options})))
        self.pool = Pool(pool_path(home, 1))
        self.pool.upsert(self.row(task) for task in range(1, TASKS + 1))

    def set(self, studio: Studio) -> None:
        self.studio, self.people, self.ours, self.pause, self.hinted = studio, 1, True, False, False
        options = ProjectOptions.of(studio._backends[0].extra_params)
        self.registry.put_options(1, options)
        self.again = Again(self.settings, self.registry, self.board, studio, Embedder(), lambda: 1.0)  # type: ignore[arg-type]

    def become(self, **changes: Any) -> None:
        """A person changes options."""
        options = replace(ProjectOptions.of(self.studio.options), **changes)
        self.studio.put(options)
        self.registry.put_options(1, options)

    def row(self, task: int, *more: tuple[str, str], draw: str = "", holdout: bool = False, **changes: Any) -> TaskRow:
        label = LABELS[(task - 1 + (task in ODD)) % 3]
        given = [(label, "12"[task % 2]), *more]
        votes = tuple(Vote(label, False, f"2026-11-0{n}", account=who) for n, (label, who) in enumerate(given))
        example = Example(task, f"text {task}")
        return replace(TaskRow(task, example, holdout, True, False, len(votes), votes, draw=draw), **changes)

    def look(self) -> LookAgain:
        project = Project(1, "", "", "", None, False, 0, 0, False, False, people=self.people)
        self.again.look(Labelled(self.pool, project, SingleChoice(LABELS), self.ours, self.pause, lambda: self.hinted))
        return self.board.look_again(1)

    def set_options(self, **changes: Any) -> None:
        """As a person does in Label Studio, and the trainer takes over."""
        options = replace(self.registry.options(1), **changes)
        self.studio.update_ml_backend(1, 1, "", "", "", "", options.put_into({}))
        self.registry.put_options(1, options)

    def answer(self, task: int, label: str, who: str, closed: bool = True) -> None:
        """A second person's, which closes the task in Label Studio."""
        served = self.studio.tasks[task]
        self.studio.tasks[task] = Served(served.people, served.annotations + 1, closed)
        self.pool.upsert([self.row(task, (label, who), closed=closed)])

    def sync(self) -> None:
        """Have the copy know what is open."""
        for task, served in self.studio.tasks.items():
            if not served.finished:
                self.pool.upsert([self.row(task, closed=False)])


def odd_ones(question: SingleChoice, answered: Sequence[Answered], features_ND: Features, most: int) -> LookedAt:
    """All that is odd and that one person alone has labelled: how doubtful labels are is no matter of these tests."""
    assert len(features_ND) == len(answered)
    ones = (example.id for example, votes in answered if len({vote.account for vote in votes}) == 1)
    return LookedAt(tuple(Suspect(task, LABELS[task % 3], 0.9, ("odd",)) for task in ones if task in ODD), {})


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Scene]]:
    made: list[Scene] = []

    monkeypatch.setattr("nextlabel.learning.suspects.look", odd_ones)
    monkeypatch.setattr("nextlabel.labelstudio.registration.LOOK_S", 0.0)

    def make(**options: Any) -> Scene:
        made.append(Scene(tmp_path / str(len(made)), **options))
        return made[-1]

    yield make
    for one in made:
        one.pool.__exit__()


def test_all_that_is_odd_is_listed_and_nothing_of_what_judges_ever_is(scene: Callable[..., Scene]) -> None:
    project = scene(look_again=20)
    project.pool.upsert([project.row(7, draw="01"), project.row(10, holdout=True)])
    found = project.look()
    assert {one.task for one in found.tasks} == {20, 33, 40}
    assert project.studio.open == {20, 33, 40} == set(project.studio.reopened)
    again = scene(second_votes=0.5)
    again.pool.upsert([again.row(task, draw=f"{task:02}") for task in drawn("s", 0.5, range(1, TASKS + 1))])
    again.look()
    assert again.studio.open == set(), "nor is one drawn for a second vote"


def test_in_a_project_of_0_1_0_labels_are_looked_at_only_once_somebody_asks_for_it(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    decides = LookedAt((), {7: "1"})
    monkeypatch.setattr("nextlabel.learning.suspects.look", lambda *given: decides)
    project = scene(defaults=OF_0_1_0)
    project.look()
    assert project.pool.state(AgainState).casting == {}, "of two different answers the latest counts, as it did"
    assert len(project.pool.without_vector(EMBEDDINGS, Embedder.name, range(1, TASKS + 1))) == TASKS
    project.become(look_again=2)
    project.look()
    assert project.pool.state(AgainState).casting == decides.casting
    later = scene()
    later.look()
    assert later.pool.state(AgainState).casting == decides.casting, "without the option, too"


@pytest.mark.parametrize("why", ["off", "one person", "people", "not ours"])
def test_nothing_is_opened_and_all_is_put_back_where_that_would_be_wrong(scene: Callable[..., Scene], why: str) -> None:
    project = scene(look_again=2, second_votes=0.2)
    project.look()
    assert len(project.studio.open) == 2 + DRAWN_OPEN
    if why == "off":
        project.set_options(look_again=0, second_votes=0)
    elif why == "one person":
        rows = [project.row(task) for task in range(1, TASKS + 1)]
        project.pool.upsert([replace(row, votes=(replace(row.votes[0], account="1"),)) for row in rows])
    elif why == "people":
        project.people = 2
    else:
        project.ours = False
    said = project.look()
    as_all = {Served(project.people, 1, project.people == 1)}
    assert set(project.studio.tasks.values()) <= {Served(1, 1, True), *as_all}, "as the project asks about all others"
    assert bool(project.studio.open) == (why == "people")
    assert project.studio.reopened == {}
    assert said.open == 0
    assert bool(said.why) == (why != "off")
    calls = len(project.studio.log)
    project.look()
    assert len(project.studio.log) == calls, "what is done costs nothing"


def test_a_task_that_a_second_person_confirms_is_off_the_list_and_one_that_is_changed_too(
    scene: Callable[..., Scene],
) -> None:
    project = scene(look_again=2)
    first, second = sorted(project.look().tasks, key=lambda one: one.state != OPEN)[:2]
    project.sync()
    side = project.again.side(project.pool, 1, 20)
    assert (side.kind, side.hidden, list(side.places)) == (AGAIN, True, [9, 19])
    assert set(side.tasks) == {first.task, second.task}
    project.answer(first.task, first.label, "21"[first.task % 2])
    project.answer(second.task, LABELS[(second.task - 1) % 3], "21"[second.task % 2])
    found = project.look()
    assert (found.confirmed, found.changed, found.open) == (1, 1, 2)
    assert not {first.task, second.task} & {one.task for one in found.tasks}
    assert not {first.task, second.task} & project.studio.open
    assert project.studio.tasks[first.task] == Served(1, 2, True)


def test_a_second_person_who_differs_confirms_nothing_though_the_casting_vote_keeps_the_label(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = scene(look_again=2)
    kept, confirmed = (one.task for one in project.look().tasks if one.state == OPEN)
    first, label = "12"[kept % 2], LABELS[kept % 3]
    project.answer(kept, LABELS[(kept + 1) % 3], "21"[kept % 2])
    project.answer(confirmed, LABELS[confirmed % 3], "21"[confirmed % 2])
    cast = LookedAt((), {kept: first})
    monkeypatch.setattr("nextlabel.learning.suspects.look", lambda *_: cast)
    found = project.look()
    assert project.pool.labels(SingleChoice(LABELS), holdout=False)[kept] == label, "as it was"
    assert (found.confirmed, found.changed, found.kept) == (1, 0, 1)
    project.pool.update(AgainState, lambda state: replace(state, casting={}))
    found = project.look()
    assert (found.confirmed, found.changed, found.kept) == (1, 1, 0)


def test_what_a_third_person_says_is_laid_beside_the_first_label_and_nothing_before_they_say_it(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = scene(look_again=1)
    [task] = [one.task for one in project.look().tasks if one.state == OPEN]
    first, other = LABELS[task % 3], LABELS[(task + 1) % 3]
    project.answer(task, other, "21"[task % 2])
    again = LookedAt((Suspect(task, other, 0.9, ("odd",)),), {})
    monkeypatch.setattr("nextlabel.learning.suspects.look", lambda *_: again)
    project.pool.upsert([project.row(80, ("cat", "3"))])
    found = project.look()
    assert (project.studio.open, found.confirmed, found.changed, found.kept) == ({task}, 0, 1, 0)
    project.pool.upsert([project.row(task, (other, "21"[task % 2]), (first, "3"))])
    project.studio.tasks[task] = Served(3, 3, True)
    found = project.look()
    assert (found.confirmed, found.changed, found.kept) == (1, 0, 0)


def test_while_somebody_waits_the_list_is_old_and_nothing_is_opened_by_it_but_not_for_long(
    scene: Callable[..., Scene],
) -> None:
    project = scene(look_again=2)
    project.hinted = True
    assert len(project.look().tasks) == len(ODD), "what was never looked at is overdue"
    opened = project.studio.open
    project.set_options(look_again=3)
    project.pool.update(AgainState, lambda state: replace(state, votes=TASKS - ANEW))
    answered = min(set(ODD) - opened)
    project.answer(answered, "cat", "3")
    project.look()
    assert project.studio.open == opened
    project.hinted = False
    assert answered not in {one.task for one in project.look().tasks}
    assert len(project.studio.open) == 3
    assert opened < project.studio.open <= set(ODD) - {answered}


def test_what_is_skipped_or_has_lost_its_label_is_put_back(scene: Callable[..., Scene]) -> None:
    project = scene(look_again=2)
    first, second = sorted(project.look().tasks, key=lambda one: one.state != OPEN)[:2]
    project.pool.upsert([project.row(first.task, closed=False, skipped=True)])
    project.pool.upsert([replace(project.row(second.task, closed=False), votes=(), annotations=0)])
    project.studio.tasks[second.task] = Served(2, 0, False)
    found = project.look()
    assert first.task not in project.studio.open
    assert project.studio.tasks[second.task] == Served(1, 0, False), "it is served like any other that has no label"
    assert not {first.task, second.task} & project.studio.reopened.keys()
    assert found.open == 2


def test_no_more_are_asked_again_than_one_in_so_many_labels(scene: Callable[..., Scene]) -> None:
    project = scene(look_again=20)
    earned = project.pool.votes() // EVERY
    project.pool.update(
        AgainState, lambda state: replace(state, asked=dict.fromkeys(range(1000, 1000 + earned - 2), ""))
    )
    found = project.look()
    assert (found.open, found.why) == (2, "")
    project.pool.update(AgainState, lambda state: replace(state, asked=dict.fromkeys(range(1000, 1000 + earned), "")))
    assert project.look().why == f"at most one label in {EVERY} is asked about again, and {earned} of {TASKS} were"


def test_second_votes_that_are_switched_off_leave_the_agreement_and_the_room_of_what_is_doubtful(
    scene: Callable[..., Scene],
) -> None:
    project = scene(second_votes=0.4)
    draw = drawn("s", 0.4, range(1, TASKS + 1))
    while len(project.again.drawn(project.pool, 1)) < len(draw) - DRAWN_OPEN:
        found = project.look()
        project.sync()
        for task in project.studio.open:
            project.answer(task, LABELS[(task - 1 + (task in ODD)) % 3], "21"[task % 2])
    assert (found.confirmed, found.changed, found.kept) == (0, 0, 0), "none of them was doubtful"
    known = project.again.drawn(project.pool, 1)
    assert len(known) > TASKS // EVERY
    project.become(second_votes=0, look_again=20)
    found = project.look()
    assert project.studio.open == set(ODD) - set(known)
    assert (found.why, project.again.drawn(project.pool, 1)) == ("", known)
    project.become(second_votes=0.4)
    project.look()
    assert set(known) <= set(project.again.drawn(project.pool, 1))


def test_what_is_drawn_comes_in_the_order_of_the_draw_and_never_because_it_is_doubtful(
    scene: Callable[..., Scene],
) -> None:
    project = scene(look_again=20, second_votes=0.4)
    draw = drawn("s", 0.4, range(1, TASKS + 1))
    assert set(ODD) & set(draw)
    project.look()
    assert project.studio.open == set(draw[:DRAWN_OPEN]) | (set(ODD) - set(draw))
    project.sync()
    project.answer(draw[0], LABELS[(draw[0] - 1) % 3], "21"[draw[0] % 2])
    project.look()
    assert project.studio.open & set(draw) == set(draw[1 : DRAWN_OPEN + 1])


def test_what_was_opened_as_doubtful_tells_of_agreement_once_the_draw_has_come_to_it_and_not_before(
    scene: Callable[..., Scene],
) -> None:
    project = scene(look_again=20)
    assert {one.task for one in project.look().tasks} == set(ODD) == project.studio.open
    for task in ODD:
        project.answer(task, LABELS[(task - 1) % 3], "21"[task % 2])
    project.look()
    project.become(second_votes=0.4)
    draw = drawn("s", 0.4, range(1, TASKS + 1))
    known = list[list[int]]()
    while not known or len(known[-1]) < len(draw):
        known.append(project.again.drawn(project.pool, 1))
        project.look()
        project.sync()
        for task in project.studio.open:
            project.answer(task, LABELS[(task - 1) % 3], "21"[task % 2])
        assert len(known) < len(draw)
    assert known[0] == [], "though all that is doubtful has a second answer"
    assert all(draw[: len(so_far)] == so_far for so_far in known), "in the order of the draw"
    assert len(known) > 5


def test_a_look_that_makes_no_list_reads_no_texts(scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch) -> None:
    project = scene(look_again=2, second_votes=0.1)
    project.look()
    project.sync()

    def refused(self: Pool, holdout: bool) -> None:
        raise AssertionError("of 100,000 labels that takes a second")

    monkeypatch.setattr(Pool, "answered", refused)
    opened = project.studio.open
    project.set_options(look_again=3)
    assert project.look().most_open == 3 + DRAWN_OPEN
    assert len(project.studio.open - opened) == 1
    assert project.again.drawn(project.pool, 1)


def test_a_draw_that_is_remembered_is_the_same_whatever_came_and_went() -> None:
    draw, rng = Draw(), np.random.default_rng(0)
    for seed, share in (("s", 0.3), ("s", 0.3), ("s", 0.3), ("t", 0.3), ("t", 0.6), ("", 0.3), ("s", 0.0)):
        some = set(rng.choice(300, size=100, replace=False).tolist())
        assert draw.of(seed, share, some) == drawn(seed, share, some)


def test_whose_vote_decides_between_two_holds_for_all_that_is_learnt_and_outlives_other_tables(
    scene: Callable[..., Scene],
) -> None:
    project, question = scene(), SingleChoice(LABELS)
    project.pool.upsert([project.row(5, ("eel", "1"))])
    assert project.pool.labels(question, holdout=False)[5] == "eel", "the latest one"
    for account, label in (("2", "dog"), ("1", "eel"), ("3", "eel")):
        project.pool.update(AgainState, lambda state, account=account: replace(state, casting={5: account}))  # type: ignore[misc]
        assert project.pool.labels(question, holdout=False)[5] == label
        assert {one.id: given for one, given in project.pool.labelled(question, holdout=False)}[5] == label
    assert AgainState in NOTED


def test_it_is_noted_before_it_is_opened_and_found_again_without_our_files(
    scene: Callable[..., Scene], tmp_path: Path
) -> None:
    project = scene(look_again=2)

    def killed() -> None:
        raise KeyboardInterrupt

    project.studio.then = killed
    with pytest.raises(KeyboardInterrupt):
        project.look()
    assert project.studio.log[:2] == [
        "options",
        f"task {min(project.studio.reopened, key=list(project.studio.reopened).index)}",
    ]
    project.studio.then = lambda: None
    another = Scene(tmp_path / "another", look_again=2)
    another.set(project.studio)
    with another.pool:
        assert another.look().open == 2
        assert set(another.studio.reopened) == another.studio.open


def test_a_disconnect_while_tasks_are_opened_leaves_none_open(scene: Callable[..., Scene]) -> None:
    project = scene(look_again=2)
    project.studio.then = project.studio.disconnect
    with pytest.raises(NoProjectError):
        project.look()
    assert project.studio.open == set()


def test_while_somebody_disconnects_nothing_is_opened_for_good(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = scene(look_again=2)
    monkeypatch.setattr("nextlabel.labelstudio.project_options.PATIENCE_S", 0.0)
    (project.home / "locks").mkdir(exist_ok=True)
    turn = lock(project.home, "options.1")

    def between_the_notes() -> None:
        turn.acquire()

    project.studio.then = between_the_notes
    with pytest.raises(InUseError):
        project.look()
    turn.release(force=True)
    assert project.studio.open == set()
    project.studio.then = lambda: None
    project.look()
    assert project.studio.open == set(project.studio.reopened), "the next look finds out what is open"


def test_on_pause_what_is_open_stays_so_until_nobody_is_to_be_asked_again(scene: Callable[..., Scene]) -> None:
    project = scene(look_again=2)
    project.look()
    opened = project.studio.open
    project.sync()
    project.pause = True
    project.become(look_again=20)
    assert (project.look().most_open, project.studio.open) == (2, opened)
    assert len(opened) == 2
    project.become(look_again=0)
    found = project.look()
    assert (found.on, found.open, project.studio.open, project.studio.reopened) == (False, 0, set(), {})


def test_who_switches_it_off_before_anything_was_opened_is_told_so(scene: Callable[..., Scene]) -> None:
    project = scene(look_again=2)
    project.people = 2
    assert project.look().on
    project.become(look_again=0)
    found = project.look()
    assert (found.on, found.most_open, found.why) == (False, 0, "")


of_each_write = pytest.mark.parametrize(
    "write",
    [
        lambda studio, settings: note_audits(studio, settings, 1, 3),
        lambda studio, settings: note_asked(studio, settings, 1, {"tone": "2026-01-31T12:00:00Z"}, {}),
        lambda studio, settings: note_reopened(studio, settings, 1, {7: 1}, ()),
        lambda studio, settings: change(studio, settings, 1, {"pause": "on"}),
        lambda studio, settings: take_new_defaults(studio, settings, 1),
        lambda studio, settings: put_back(studio, settings, 1, lambda extra: {"other": 7, **extra}),
    ],
    ids=["audits", "asked", "reopened", "change", "defaults", "restore"],
)


@of_each_write
def test_options_are_read_and_written_by_one_at_a_time(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch, write: Callable[..., object]
) -> None:
    project, turns = scene(defaults=OF_0_1_0), list[bool]()
    monkeypatch.setattr("nextlabel.labelstudio.project_options.PATIENCE_S", 0.0)
    (project.home / "locks").mkdir(exist_ok=True)

    def look(self: Studio, project_id: int) -> list[MLBackend]:
        turns.append(is_held(project.home))
        return self._backends

    monkeypatch.setattr(Studio, "ml_backends", look)
    project.studio.written = lambda: turns.append(is_held(project.home))
    before = project.studio.options
    write(project.studio, project.settings)
    assert turns
    assert all(turns), "from the first look to the last word"
    after = project.studio.options
    assert after != before
    with lock(project.home, "options.1"), pytest.raises(InUseError, match="Try again"):
        write(project.studio, project.settings)
    assert project.studio.options == after
    assert not is_held(project.home)


@of_each_write
def test_what_a_listing_at_the_same_moment_saves_as_it_was_is_written_again(
    scene: Callable[..., Scene], write: Callable[..., object]
) -> None:
    project = scene(defaults=OF_0_1_0)
    as_it_was, saved = project.studio._backends, list[bool]()

    def listed(studio: Studio, project_id: int) -> list[MLBackend]:
        if studio.log == ["options"] and not saved:
            saved.append(True)
            studio._backends = as_it_was
        return studio._backends

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Studio, "ml_backends", listed)
        write(project.studio, project.settings)
    assert saved
    assert project.studio.options != as_it_was[0].extra_params


def test_what_never_stays_is_given_up_in_a_sentence(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = scene()
    as_it_was = project.studio._backends
    monkeypatch.setattr(Studio, "ml_backends", lambda studio, project_id: as_it_was)
    with pytest.raises(StudioError, match="does not stay: something else"):
        change(project.studio, project.settings, 1, {"pause": "on"})


def test_where_no_lock_may_be_taken_options_are_changed_all_the_same(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = scene()

    def refused(model_dir: Path, name: str) -> None:
        raise PermissionError(name)

    for there in (False, True):
        shutil.rmtree(project.home / "locks", ignore_errors=True)
        if there:
            (project.home / "locks").mkdir()
            monkeypatch.setattr("nextlabel.labelstudio.project_options.lock", refused)
        note_audits(project.studio, project.settings, 1, 3 + there)
        assert project.studio.options["nextlabel"]["audits"] == 3 + there
        assert (project.home / "locks").exists() == there, "a command that is run elsewhere leaves nothing there"


def is_held(home: Path) -> bool:
    try:
        with lock(home, "options.1"):
            return False
    except LockHeld:
        return True


def test_the_place_of_a_task_that_is_open_again_marks_no_control_text(
    scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    project, marked = scene(look_again=1), list[Mapping[str, float]]()
    [task] = [one.task for one in project.look().tasks if one.state == OPEN]
    project.pool.note_published(Published(1, 3, "v1", 0.2), Published(2, task, "v1", 0.7))
    monkeypatch.setattr(Marks, "_mark", lambda self, pool, project, lowest, *_: marked.append(lowest))
    Marks(project.registry).look(project.pool, 1, CONFIG, "v1")
    assert marked == [{"v1": 0.8}], "only what was asked for by its value says how far down the order was asked for"
