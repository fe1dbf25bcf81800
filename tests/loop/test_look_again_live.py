"""Labels that are worth a second look, against a real Label Studio: opened again for somebody else, a few at a time,
answered, put back, and undone by a disconnect."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from helpers.waiting import wait_until
from nextlabel.lab.annotators import sign_up
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect, disconnect
from nextlabel.labelstudio.project_options import change
from nextlabel.loop.look_again import DRAWN_OPEN, EVERY
from nextlabel.problems.look_again import LISTED, OPEN, LookAgain
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text" choice="single">'
    '<Choice value="weather"/><Choice value="refund"/></Choices></View>'
)
TEXTS = [f"refund {i}: give me my money back" if i % 2 else f"it rains in town on day {i}" for i in range(90)]
LABELLED = 52
NEVER = Settings(_env_file=None)


def right(task: Mapping[str, Any]) -> str:
    return "refund" if "refund" in task["data"]["text"] else "weather"


def other(label: str) -> str:
    return "weather" if label == "refund" else "refund"


def label(studio: LabelStudioClient, task: int, label: str) -> None:
    value = {"choices": [label]}
    studio.annotate(task, [{"from_name": "label", "to_name": "text", "type": "choices", "value": value}], 1.5)


class TwoPeople:
    """A project of which two people labelled a part; one of Anna's labels is another than all else says."""

    def __init__(self, studio: LabelStudioClient, anna: LabelStudioClient, ben: LabelStudioClient, home: Path):
        self.studio, self.anna, self.ben, self.home, self.board = studio, anna, ben, home, StatusBoard(home)
        self.id = studio.create_project("refunds", CONFIG)
        studio.import_tasks(self.id, [{"data": {"text": text}} for text in TEXTS])

    def label(self, backend: LocalBackend) -> int:
        """Returns that task. Some of the control set are labelled otherwise, too."""
        connect(self.studio, self.id, backend.url, Credentials())
        wait_until(lambda: self.board.queue(self.id).tasks == len(TEXTS), "the tasks to be read")
        with Pool(pool_path(self.home, self.id)) as pool:
            control = pool.reserved(pool.task_ids())
        tasks = {task: row for task, row in self.tasks().items() if task not in control}
        odd = list(tasks)[9]
        for number, (task, row) in enumerate(list(tasks.items())[:LABELLED]):
            who = self.ben if number % 3 == 2 and task != odd else self.anna
            label(who, task, other(right(row)) if task == odd else right(row))
        rows = self.tasks()
        for task in sorted(control)[:3]:
            label(self.anna, task, other(right(rows[task])))
        return odd

    def tasks(self) -> dict[int, Mapping[str, Any]]:
        return {task["id"]: task for page in self.studio.tasks_after(self.id, 0) for task in page}

    def served(self) -> dict[int, tuple[int, bool]]:
        """How many people each task is served to, and whether it is finished."""
        fields = {"fields": "all", "include": "id,overlap,is_labeled", "page_size": 1000}
        found = self.studio._call("GET", "api/tasks", params={"project": self.id, **fields})["tasks"]
        return {task["id"]: (task["overlap"], task["is_labeled"]) for task in found}

    def found(self) -> LookAgain:
        return self.board.look_again(self.id)

    def wait_open(self, task: int) -> None:
        wait_until(lambda: {one.task: one.state for one in self.found().tasks}.get(task) == OPEN, "it to be open again")
        wait_until(lambda: task in self.published(), "it to be published")

    def published(self) -> set[int]:
        """Tasks that the queue offers."""
        followed = self.studio.project(self.id).model_version
        return {p.task_id for p in self.studio.our_predictions(self.id) if p.version == followed and not p.choice}


def test_a_doubtful_label_is_shown_to_another_person_and_put_back_and_a_disconnect_undoes_what_is_open(
    label_studio: LocalStudio,
    studio: LabelStudioClient,
    start_backend: Callable[..., LocalBackend],
    minilm: Path,
) -> None:
    backend = start_backend(head="on", base_model=minilm, fit_every=LABELLED)
    anna, ben = (LabelStudioClient(label_studio.url, sign_up(label_studio, f"{who}@again.org")) for who in "ab")
    project = TwoPeople(studio, anna, ben, backend.model_dir)
    odd = project.label(backend)
    wait_until(lambda: [one.task for one in project.found().tasks] == [odd], "the list")
    assert all(one.state == LISTED and "would rather say" in one.reasons[0] for one in project.found().tasks)
    assert not project.found().on
    before = project.served()
    assert set(before.values()) == {(1, True), (1, False)}, "nothing is open before anybody wants it"

    change(studio, NEVER, project.id, {"look_again": "1"})
    project.wait_open(odd)
    assert (project.found().open, project.found().most_open) == (1, 1)
    assert project.served() == {**before, odd: (2, False)}
    wait_until(lambda: bool(project.board.queue(project.id).remarks), "the remark")
    assert any("open again for a second person" in said for said in project.board.queue(project.id).remarks)

    tasks = project.tasks()
    seen = []
    for _ in range(EVERY):
        task = anna.next_task(project.id)
        assert task is not None
        seen.append(task["id"])
        label(anna, task["id"], right(task))
    assert odd not in seen, "nobody is asked twice"
    served = []
    while odd not in served:
        task = ben.next_task(project.id)
        assert task is not None
        served.append(task["id"])
        label(ben, task["id"], right(tasks[task["id"]]))
        assert len(served) <= EVERY
    assert all(not said["result"] for said in studio.task(odd)["predictions"]), "a guess would be no second opinion"
    wait_until(lambda: (project.found().changed, project.found().confirmed) == (1, 0), "the second label")
    wait_until(lambda: studio.served(project.id, odd) == (1, 2, True), "it to be put back")

    change(studio, NEVER, project.id, {"look_again": "", "second_votes": "0.5"})
    wait_until(lambda: project.found().open == DRAWN_OPEN, "tasks that are drawn to be open")
    left = project.served()
    drawn = {task for task, served in left.items() if served == (2, False)}
    assert len(drawn) == DRAWN_OPEN
    assert odd not in drawn
    disconnect(studio, project.id)
    assert project.served() == {**left, **dict.fromkeys(drawn, (1, True))}
    assert all(people == 1 for people, _ in project.served().values())
    JobQueue(backend.model_dir).hint(project.id, thorough=True)
    wait_until(lambda: project.board.queue(project.id).state == "disconnected", "the trainer to know it")
    assert project.found() == LookAgain(), "nothing is said to be open"
