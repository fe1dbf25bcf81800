"""With a real Label Studio: an annotator who labels in another order than ours, and is left out of training for it."""

from collections.abc import Callable

import pytest

from helpers.live_project import SEEDS, LiveProject
from helpers.offers import Offers
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
from nextlabel.store.pool import Pool, pool_path

ANNA = "anna@example.org"
ANOTHER_WAY = "Labels come on tasks that the queue did not offer"


def test_who_ignores_the_order_is_noticed_and_left_out_of_training_and_let_in_again(
    label_studio: LocalStudio, studio: LabelStudioClient, start_backend: Callable[..., LocalBackend], few_pairs: Corpus
) -> None:
    offers = Offers(label_studio)
    project = LiveProject(studio, start_backend(head="on"), few_pairs)
    version, settings = project.wait(), Settings(_env_file=None)
    anna = LabelStudioClient(label_studio.url, sign_up(label_studio, ANNA))
    # The order changes while she labels: what is offered meanwhile is no other way, and what she labels while a window
    # is nearly empty is counted by nobody.
    tasks: list[int] = []
    with Pool(pool_path(project.backend.model_dir, project.id)) as pool:
        while project.board.queue(project.id).outside < SOME:
            tasks.append(max(set(pool.open_ids()) - offers.of(project.id)))
            anna.annotate(tasks[-1], result_of("different"), lead_time_s=4.2)
            wait_until(lambda: tasks[-1] in pool.labelled_ids(), "the label to be read")
    another_way = set(tasks) - offers.of(project.id)
    assert len(another_way) >= SOME
    [warning] = project.board.queue(project.id).warnings
    assert warning.startswith(tuple(f"{ANOTHER_WAY} (for example task {task})" for task in another_way))
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
    assert (card.examples, card.left_out, card.older) == (SEEDS, len(tasks), 0)
    assert not set(tasks) & project.registry.fitted_labels(project.id, version).keys()
    remark = (
        f"{len(tasks)} labels of 1 person are left out and "
        "0 labels from before the guideline of 2020-01-01 are left out."
    )
    lost = f" On {len(tasks)} tasks nothing else counts"
    wait_until(lambda: any((remark + lost) in said for said in project.board.queue(project.id).remarks), "the remark")
    assert not set(tasks) & set(project.queue())
    assert {f"leave_out={ANNA} (project)", "guideline_since=2020-01-01 (project)"} <= {
        *shown(studio, settings, project.id)
    }

    change(studio, settings, project.id, {"leave_out": "", "guideline_since": ""})
    wait_until(lambda: project.board.queue(project.id).pending == len(tasks), "the labels to count again")
    studio.start_training(project.id)
    version = project.wait(newer_than=version)
    assert project.registry.card(project.id, version).examples == SEEDS + len(tasks)
    assert not any("left out" in said for said in project.board.queue(project.id).remarks)
