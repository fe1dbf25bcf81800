"""A rare class that a person looks for, against a real Label Studio: its tasks come in their slots, from the first on,
until there are enough."""

from collections.abc import Callable
from pathlib import Path

from helpers.fits import FIT_EVERY
from helpers.waiting import wait_until
from nextlabel.lab.sandbox import LocalBackend
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.project_options import change
from nextlabel.learning.wanted import EVERY
from nextlabel.settings import Settings
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import version_number, version_of

StartBackend = Callable[..., LocalBackend]
CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text" choice="single">'
    '<Choice value="weather"/><Choice value="refund"/></Choices></View>'
)
TEXTS = [f"refund {i}: give me my money back" if i % 12 == 7 else f"it rains in town on day {i}" for i in range(120)]
TARGET = 4


class Wanted:
    """A project in which one class of two is rare and wanted."""

    def __init__(self, studio: LabelStudioClient, backend: LocalBackend):
        self.studio, self.board = studio, StatusBoard(backend.model_dir)
        self.id = studio.create_project("refunds", CONFIG)
        studio.import_tasks(self.id, [{"data": {"text": text}} for text in TEXTS])
        connect(studio, self.id, backend.url, Credentials())
        wanted = {"look_for": '{"refund": "money back"}', "class_targets": f'{{"refund": {TARGET}}}'}
        change(studio, Settings(_env_file=None), self.id, wanted)
        wait_until(lambda: self.board.queue(self.id).wanted == {"refund": {"labels": 0, "target": TARGET}}, "the want")

    def wait(self, labels: int) -> None:
        """Until the published queue knows of so many labels, and is complete; where they are enough for a fit, until it
        is a version's: one that is labelled while the queue is switched has its place by the labels of before."""

        def complete() -> bool:
            status = self.board.queue(self.id)
            known = (status.labels, status.state, status.stale) == (labels, "published", 0)
            fitted = labels < FIT_EVERY or version_number(version_of(status.order)) > 0
            followed = known and fitted and bool(status.order)
            return followed and self.studio.project(self.id).model_version == status.order

        wait_until(complete, f"the queue with {labels} labels")

    def label(self, labels: int) -> bool:
        """Label the task that is served, the trainer having seen `labels`; returns whether it is of the rare class."""
        self.wait(labels)
        task = self.studio.next_task(self.id)
        assert task is not None
        is_rare = "refund" in task["data"]["text"]
        value = {"choices": ["refund" if is_rare else "weather"]}
        self.studio.annotate(task["id"], [{"from_name": "label", "to_name": "text", "type": "choices", "value": value}])
        return is_rare

    def written(self) -> int:
        """The id of the last prediction."""
        return max(p.prediction_id for p in self.studio.our_predictions(self.id))


def test_a_rare_class_has_its_slots_until_its_target_and_a_label_costs_no_more_requests_for_it(
    studio: LabelStudioClient, start_backend: StartBackend, minilm: Path
) -> None:
    more = {"start_order": "typiclust", "head": "on", "query_strategy": "margin", "learning_rate": "auto"}
    backend = start_backend(**more, base_model=minilm)
    project = Wanted(studio, backend)
    rare, written = list[bool](), list[int]()
    while sum(rare) < TARGET:
        project.wait(len(rare))
        written.append(project.written())
        rare.append(project.label(len(rare)))
    assert all(rare[number] for number in range(EVERY - 1, len(rare), EVERY))
    assert len(rare) > FIT_EVERY, "some come in the order of a version"
    assert written[FIT_EVERY - 1] - written[0] == FIT_EVERY - 1, "of the start order each label takes one"
    project.wait(len(rare))
    assert project.board.queue(project.id).wanted == {"refund": {"labels": TARGET, "target": TARGET}}
