"""With a real Label Studio: an annotator who labels in another order than ours, and is left out of training for it."""

from collections.abc import Callable

import pytest

from helpers.live_project import SEEDS, LiveProject
from helpers.waiting import wait_until
from nextlabel.errors import BadSettingError
from nextlabel.lab.annotators import sign_up
from nextlabel.lab.importing import result_of
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.connection import Credentials
from nextlabel.labelstudio.doctor import examine
from nextlabel.labelstudio.project_options import change, shown
from nextlabel.loop.outside import SOME
from nextlabel.settings import Settings
from nextlabel.simulation.datasets.corpora import Corpus

ANNA = "anna@example.org"
ANOTHER_WAY = "Labels come on tasks that the queue did not offer"


def test_who_ignores_the_order_is_noticed_and_left_out_of_training_and_let_in_again(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: Callable[..., LocalBackend], few_pairs: Corpus
) -> None:
    # An order that stays as it is between fits: a task that is offered meanwhile would not count.
    project = LiveProject(studio, start_backend(head="off", control_share=0), few_pairs)
    version, settings = project.wait(), Settings(_env_file=None)
    anna = LabelStudioClient(label_studio.url, sign_up(label_studio, ANNA))
    offered = set(project.published())
    tasks = [task for task in project.order_by_entropy(version) if task not in offered][-SOME:]
    for task in tasks:
        anna.annotate(task, result_of("different"), lead_time_s=4.2)
    wait_until(lambda: project.board.queue(project.id).outside == SOME, "the labels to be counted")
    [warning] = project.board.queue(project.id).warnings
    assert warning.startswith(tuple(f"{ANOTHER_WAY} (for example task {task})" for task in tasks))
    found = examine(studio, label_studio.login.token, project.backend.url, Credentials(), project.id)
    assert [finding.answer for finding in found if not finding.ok] == [warning]

    studio.start_training(project.id)
    version = project.wait(newer_than=version)
    assert set(tasks) <= project.registry.fitted_labels(project.id, version).keys()

    with pytest.raises(BadSettingError, match=rf"leave_out names the account 'ben@example.org', .*\({ANNA}\)"):
        change(studio, settings, project.id, {"leave_out": f"{ANNA}, ben@example.org"})
    change(studio, settings, project.id, {"leave_out": ANNA, "guideline_since": "2020-01-01"})
    version = project.wait(newer_than=version)
    card = project.registry.card(project.id, version)
    assert (card.examples, card.left_out, card.older) == (SEEDS, SOME, 0)
    assert not set(tasks) & project.registry.fitted_labels(project.id, version).keys()
    remark = (
        f"{SOME} labels of 1 person are left out and 0 labels from before the guideline of 2020-01-01 are left out."
    )
    lost = f" On {SOME} tasks nothing else counts"
    wait_until(lambda: any((remark + lost) in said for said in project.board.queue(project.id).remarks), "the remark")
    assert not set(tasks) & set(project.queue())
    assert {f"leave_out={ANNA} (project)", "guideline_since=2020-01-01 (project)"} <= {
        *shown(studio, settings, project.id)
    }

    change(studio, settings, project.id, {"leave_out": "", "guideline_since": ""})
    wait_until(lambda: project.board.queue(project.id).pending == SOME, "the labels to count again")
    studio.start_training(project.id)
    version = project.wait(newer_than=version)
    assert project.registry.card(project.id, version).examples == SEEDS + SOME
    assert not any("left out" in said for said in project.board.queue(project.id).remarks)
