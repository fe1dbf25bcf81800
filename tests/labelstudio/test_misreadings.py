"""Inputs of real users that were dropped or misread in silence: each is read now, or said with a task and a remedy.

Against a real Label Studio, with web process and trainer running: what the page and the doctor say, what is fitted on.
"""

import json
import os
import shlex
import sqlite3
import subprocess
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from helpers.paths import ROOT
from helpers.ports import own_port
from helpers.waiting import wait_until
from nextlabel.errors import RefusedConfigError
from nextlabel.lab.sandbox import PLAIN_ORDER, LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import (
    Credentials,
    connect,
    disconnect,
    what_is_read,
)
from nextlabel.labelstudio.doctor import Finding, examine
from nextlabel.labelstudio.tasks import read_task
from nextlabel.store.status import QueueStatus, StatusBoard
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.values.versions import Card
from nextlabel.versions.registry import Registry

FIT_EVERY = 6
Data = dict[str, Any]

GOOD = ["I love how fast this kettle boils.", "Lovely staff and warm soup.", "The best seats that we ever had."]
BAD = ["The zip broke after two days.", "The fan is loud and useless.", "Cold food and a rude waiter."]
POS_NEG = '<Choice value="pos"/><Choice value="neg"/>'


def text_of(number: int) -> str:
    """Good texts and bad ones in turn, each different from all others."""
    return f"{(GOOD, BAD)[number % 2][number // 2 % 3]} That was visit {number}."


def label_of(number: int) -> str:
    return ("pos", "neg")[number % 2]


def xml(texts: str = '<Text name="text" value="$text"/>', choices: str = POS_NEG) -> str:
    return f'<View>{texts}<Choices name="label" toName="text">{choices}</Choices></View>'


def answer(choices: object, **item: object) -> list[Data]:
    """An annotation's result."""
    return [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": choices}, **item}]


def tasks(count: int, labelled: int, data_of: Callable[[int], Data] = lambda i: {"text": text_of(i)}) -> list[Data]:
    """The first ones with their label."""
    given = [{"annotations": [{"result": answer([label_of(i)])}]} if i < labelled else {} for i in range(count)]
    return [{"data": data_of(i), **some} for i, some in enumerate(given)]


class Misread:
    """A project of somebody who has not read all of the documentation."""

    def __init__(self, studio: LabelStudioClient, backend: LocalBackend, config: str, tasks: Sequence[Data]):
        self.studio, self.backend = studio, backend
        self.id = studio.create_project("misread", config)
        studio.import_tasks(self.id, list(tasks))
        self.board, self.registry = StatusBoard(backend.model_dir), Registry(backend.model_dir)

    def connect(self, **options: Any) -> None:
        connect(self.studio, self.id, self.backend.url, Credentials(), False, **options)

    def status(self) -> QueueStatus:
        return self.board.queue(self.id)

    def settled(self) -> QueueStatus:
        """What the page says when the trainer has looked at all tasks and done what it can."""
        looks = self.status().reconciles
        wait_until(
            lambda: self.status().reconciles > looks and self.status().state in ("waiting", "published"), "a look"
        )
        return self.status()

    def fitted(self) -> dict[int, str]:
        """The labels that the active version was fitted on."""
        wait_until(lambda: self.registry.current(self.id), "a version")
        version = self.registry.current(self.id)
        assert version is not None
        return self.registry.fitted_labels(self.id, version)

    def card(self) -> Card:
        """That of the active version."""
        return self.registry.card(self.id, self.registry.current(self.id) or "")

    def said(self, words: str) -> str:
        """The sentence with these words, once the page has it."""

        def sentences() -> list[str]:
            now = self.status()
            return [s for s in (now.first, *now.warnings, *now.remarks) if words in s]

        wait_until(sentences, f"{words!r} on the page, which says {self.status()}", 60)
        return sentences()[0]

    def doctor(self) -> list[Finding]:
        token = self.studio._api_key
        return list(examine(self.studio, token, self.backend.url, Credentials(), self.id))

    def first_task(self) -> int:
        return min(self.studio.task_ids(self.id))


def silent(status: QueueStatus) -> bool:
    return not (status.first or status.warnings or status.remarks)


@pytest.fixture(scope="module")
def backend(label_studio: LocalStudio, wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBackend]:
    home = tmp_path_factory.mktemp("misreadings")
    running = LocalBackend(
        label_studio, home, own_port(19100), base_model=wide, fit_every=FIT_EVERY, fit_steps=4, learning_rate=1e-4,
        precision="fp32", window=8, reconcile_s=1, promote_margin=1, **PLAIN_ORDER,
    )  # fmt: skip
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def project(studio: LabelStudioClient, backend: LocalBackend) -> Iterator[Callable[..., Misread]]:
    """Makes a project; it is deleted after the test."""
    made: list[Misread] = []

    def make(config: str, tasks: Sequence[Data]) -> Misread:
        made.append(Misread(studio, backend, config, tasks))
        return made[-1]

    yield make
    for one in made:
        studio._call("DELETE", f"api/projects/{one.id}/")


MakeProject = Callable[..., Misread]


# What is read


READ = {
    "a nested field": ('<Text name="text" value="$review.body"/>', lambda i: {"review": {"body": text_of(i)}}),
    "an element of a list": ('<Text name="text" value="$texts[1]"/>', lambda i: {"texts": ["no", text_of(i)]}),
    "an element of a nested list": (
        '<Text name="text" value="$doc.parts[0].text"/>',
        lambda i: {"doc": {"parts": [{"text": text_of(i)}]}},
    ),
    "words around a field": ('<Text name="text" value="Ticket: $text"/>', lambda i: {"text": text_of(i)}),
    "base64": (
        '<Text name="text" value="$text" encoding="base64"/>',
        lambda i: {"text": b64encode(text_of(i).encode()).decode()},
    ),
    "a field name in Chinese": ('<Text name="text" value="$内容"/>', lambda i: {"内容": text_of(i)}),
    "a dialogue, a table and a text": (
        '<Paragraphs name="talk" value="$talk" nameKey="role" textKey="said"/><Table name="facts" value="$facts"/>'
        '<Text name="text" value="$text"/>',
        lambda i: {
            "talk": [{"role": "guest", "said": text_of(i)}],
            "facts": {"seats": i},
            "text": f"Table {i} is free.",
        },
    ),
}


@pytest.mark.parametrize(("text", "data_of"), READ.values(), ids=READ)
def test_what_the_editor_shows_is_learnt_from(text: str, data_of: Callable[[int], Data], project: MakeProject) -> None:
    here = project(xml(text), tasks(20, 10, data_of))
    here.connect()
    assert len(here.fitted()) == 10
    wait_until(lambda: here.status().state == "published" and here.status().window, "a queue")
    assert here.status().unreadable == 0
    assert silent(here.status()), here.status()
    assert all(finding.ok for finding in here.doctor())


def test_labels_that_can_only_mean_one_thing_count(project: MakeProject) -> None:
    ways: list[object] = ["pos", ["pos", "pos"], [" pos "], ["pos"], "neg", ["neg "], ["neg"], ["neg", "neg"]]
    given = [{"data": {"text": text_of(i)}, "annotations": [{"result": answer(way)}]} for i, way in enumerate(ways)]
    here = project(xml(), [*given, *tasks(8, 0)])
    here.connect()
    assert sorted(here.fitted().values()) == ["neg"] * 4 + ["pos"] * 4
    assert silent(here.settled())


def test_labels_that_are_numbers_count(project: MakeProject) -> None:
    ways: list[object] = [[0], [1], ["0"], ["1"], 0, 1]
    given = [{"data": {"text": text_of(i)}, "annotations": [{"result": answer(way)}]} for i, way in enumerate(ways)]
    here = project(xml(choices='<Choice value="0"/><Choice value="1"/>'), [*given, *tasks(8, 0)])
    here.connect()
    assert sorted(here.fitted().values()) == ["0"] * 3 + ["1"] * 3


PAIR = '<Text name="title" value="$title"/><Text name="text" value="$body"/>'


def test_an_empty_title_is_no_reason_to_drop_the_body(project: MakeProject) -> None:
    here = project(xml(PAIR), tasks(24, 12, lambda i: {"title": "" if i % 3 else f"Visit {i}", "body": text_of(i)}))
    here.connect()
    assert len(here.fitted()) == 12
    now = here.settled()
    assert now.unreadable == 0
    assert [now.first, *now.warnings] == [""]
    assert "In 16 of 24 tasks the field 'title' is empty" in here.said("title")


def test_an_identifier_beside_the_text_is_left_out_until_somebody_wants_it(
    project: MakeProject, studio: LabelStudioClient
) -> None:
    config = xml('<Text name="ticket" value="$ticket_id"/><Text name="text" value="$text"/>')
    here = project(config, tasks(20, 10, lambda i: {"ticket_id": f"T-{4000 + i}", "text": text_of(i)}))
    before = studio.project(here.id)
    here.connect()
    assert "'ticket_id' is an identifier by its name" in here.said("ticket_id")
    assert what_is_read(studio, here.id)[0] == "the text is text; the labels are pos, neg"
    one = {"id": 1, "data": {"ticket_id": "T-1", "text": text_of(0)}}
    here.fitted()

    def answered(data: Data) -> Any:
        body = {"project": f"{here.id}.1", "label_config": config, "tasks": [{**one, "data": data}]}
        [found] = httpx.post(f"{here.backend.url}/predict", json=body, timeout=60).json()["results"]
        return found["result"][0]["meta"]["probabilities"]

    assert answered(one["data"]) == answered({"text": text_of(0)})  # type: ignore[arg-type]
    here.connect(fields=("ticket_id", "text"))
    assert what_is_read(studio, here.id)[0] == "the pair is ticket_id and text; the labels are pos, neg"
    wait_until(lambda: not here.status().remarks, "the choice of the fields to be known")
    wait_until(lambda: answered(one["data"]) != answered({"text": text_of(0)}), "the web process to know it")  # type: ignore[arg-type]
    here.connect(fields=())
    assert "'ticket_id' is an identifier by its name" in here.said("ticket_id")
    disconnect(studio, here.id)
    after = studio.project(here.id)
    assert (after.sampling, after.show_predictions) == (before.sampling, before.show_predictions), "is remembered"


def test_other_fields_are_learnt_from_at_once(project: MakeProject) -> None:
    here = project(xml(PAIR), tasks(20, 10, lambda i: {"title": f"Visit {i}", "body": text_of(i)}))
    here.connect()
    here.fitted()
    here.connect(fields=("body", "title"))
    wait_until(lambda: here.card().texts == "body, title", "a version that was fitted on the texts in this order")
    assert here.card().reason == "what makes the text changed"
    here.connect(fields=("body",))
    wait_until(lambda: here.card().texts == "body", "a version that was fitted on the one text")


def test_two_mails_that_differ_in_the_depth_are_two_texts(project: MakeProject, studio: LabelStudioClient) -> None:
    def mail(i: int) -> Data:
        return {"text": "<blockquote><div>" * 200 + text_of(i) + "</div></blockquote>" * 200 + "<p>Yours</p>"}

    here = project(xml('<HyperText name="text" value="$text"/>'), tasks(16, 8, mail))
    here.connect()
    here.fitted()
    assert here.settled().unreadable == 0
    wait_until(lambda: len(studio.our_predictions(here.id)) == 8, "a queue")
    assert len({prediction.score for prediction in studio.our_predictions(here.id)}) == 8


def test_what_was_moved_from_another_project_is_no_answer_to_a_question_that_is_asked_here_alone(
    studio: LabelStudioClient, label_studio: LocalStudio
) -> None:
    tags = '<Choices name="tags" toName="text" choice="multiple"><Choice value="rude"/><Choice value="long"/></Choices>'
    form = xml().replace("</View>", f"{tags}</View>")
    config = parse_label_config(form, ProjectOptions(defaults=LATEST))

    def answers(project: int) -> list[str]:
        read = (read_task(config, task) for page in studio.tasks_after(project, 0) for task in page)
        return [vote.label for row in read for vote in row.votes]

    here, there = studio.create_project("here", form), studio.create_project("there", form)
    studio.import_tasks(here, [{"data": {"text": text_of(0)}}])
    [[task]] = studio.tasks_after(here, 0)
    studio.annotate(task["id"], answer(["pos"]), lead_time_s=3.2)
    assert answers(here) == ['{"label":["pos"],"tags":[]}']
    url, token = (
        f"{label_studio.url}/api/projects/{here}/export",
        {"Authorization": f"Token {label_studio.login.token}"},
    )
    export = httpx.get(url, params={"exportType": "JSON"}, headers=token, timeout=60).raise_for_status().json()
    studio.import_tasks(there, export)
    [[moved]] = studio.tasks_after(there, 0)
    assert moved["annotations"][0]["lead_time"] == 3.2, "as if it had been submitted there"
    assert answers(there) == ['{"label":["pos"]}']


# What is said


def test_labels_of_another_spelling_are_counted_and_a_command_has_them_learnt(project: MakeProject) -> None:
    given = tasks(20, 12)
    for i in range(12):
        given[i]["annotations"][0]["result"] = answer([("Pos", "Neg")[i % 2]])
    here = project(xml(), given)
    here.connect()
    said = here.said("carry labels that the labelling config does not have")
    first = here.first_task()
    assert said.startswith("12 annotations carry labels")
    assert f"'Pos' 6, 'Neg' 6 (for example task {first})" in said
    assert f"--project {here.id} --map-label Pos=pos --map-label Neg=neg" in said
    assert here.status().first == said
    assert said in [finding.answer for finding in here.doctor() if not finding.ok]
    here.connect(label_map={"Pos": "pos", "Neg": "neg"})
    assert sorted(here.fitted().values()) == ["neg"] * 6 + ["pos"] * 6
    wait_until(lambda: silent(here.status()), "the sentence to go")
    [row] = [task for page in here.studio.tasks_after(here.id, 0) for task in page if task["id"] == first]
    assert row["annotations"][0]["result"][0]["value"] == {"choices": ["Pos"]}, "nothing is changed in Label Studio"


def test_a_label_that_is_renamed_is_said_with_what_it_may_mean(project: MakeProject) -> None:
    here = project(xml(), tasks(20, 12))
    here.connect()
    here.fitted()
    here.studio.update_project(here.id, label_config=xml(choices='<Choice value="positive"/><Choice value="neg"/>'))
    said = here.said("carry labels that the labelling config does not have")
    assert "6 annotations" in said
    assert "'pos' 6" in said
    assert "--map-label pos=positive" in said
    here.connect(label_map={"pos": "positive"})
    wait_until(lambda: sorted(set(here.fitted().values())) == ["neg", "positive"], "a fit on the new name")


def test_annotations_without_a_type_are_counted(project: MakeProject) -> None:
    given = tasks(12, 8)
    for i in range(3):
        del given[i]["annotations"][0]["result"][0]["type"]
    here = project(xml(), given)
    here.connect()
    said = here.said("no label can be read")
    assert said.startswith("3 annotations of which no label can be read are not learnt from: the type is missing")


def test_when_all_is_held_out_that_comes_first(project: MakeProject) -> None:
    here = project(xml(), tasks(14, 14, lambda i: {"text": text_of(i), "split": "Eval"}))
    here.connect()
    assert "All 14 tasks are held out by the word in `split`: eval (14, for example task" in here.said("held out")
    assert here.status().first


def test_texts_that_are_paths_and_a_script_that_is_unknown_are_said(project: MakeProject) -> None:
    paths = project(xml(), tasks(12, 4, lambda i: {"text": f"/data/local-files/?d=texts/{i}.txt"}))
    thai = project(xml(), tasks(12, 4, lambda i: {"text": "ร้านนี้ดีมาก อาหารอร่อย" + "ๆ" * i}))
    for here in (paths, thai):
        here.connect()
    assert "the field 'text' holds no words: an address (12, for example task" in paths.said("no words")
    said = thai.said("tokenizer")
    assert said.startswith("All 12 texts that were looked at consist mostly of what the tokenizer of")
    assert thai.status().first == said


def test_a_project_of_which_no_task_can_be_read_is_refused_before_anything_is_touched(project: MakeProject) -> None:
    here = project(xml(), tasks(6, 2))
    here.studio.update_project(here.id, label_config=xml('<Text name="text" value="$headline"/>'))
    before = here.studio.project(here.id)
    with pytest.raises(
        RefusedConfigError, match=r"None of the first 6 tasks .* the field 'headline' is missing; it has 'text'"
    ):
        here.connect()
    assert here.studio.project(here.id) == before
    assert here.studio.ml_backends(here.id) == []


def test_a_map_of_labels_leaves_predictions_shown_as_somebody_wanted_them(project: MakeProject) -> None:
    here = project(xml(), tasks(6, 2))

    def connected(**options: Any) -> bool:
        connect(here.studio, here.id, here.backend.url, Credentials(), **options)
        return here.studio.project(here.id).show_predictions

    assert not connected(), "hidden in a new project"
    assert connected(show_predictions=True)
    assert connected(label_map={"Pos": "pos"})
    assert not connected(show_predictions=False)
    assert not connected(label_map={"Neg": "neg"})


def test_connecting_again_mends_options_that_somebody_spoilt(project: MakeProject, label_studio: LocalStudio) -> None:
    here = project(xml(), tasks(6, 2))
    here.connect(label_map={"Pos": "pos"})
    [backend] = here.studio.ml_backends(here.id)
    kept = {"control_seed": "a seed", "audits": 2}
    spoilt = json.dumps(
        {"nextlabel": {"fields": 7, **kept}, "other": 1}
    )  # Label Studio itself asks us, and would refuse it

    def said() -> bool:
        # Again and again: a look of the trainer has Label Studio save the row as it was when the look began.
        with closing(sqlite3.connect(label_studio.data_dir / "label_studio.sqlite3", timeout=30)) as database, database:
            database.execute("UPDATE ml_mlbackend SET extra_params = ? WHERE id = ?", (spoilt, backend.id))
        return "extra_params in Label Studio have nextlabel.fields=7" in here.status().message

    wait_until(said, "it to be said")
    here.connect(label_map={"Pos": "pos"})
    [mended] = here.studio.ml_backends(here.id)
    ours = {"label_map": {"Pos": "pos"}, "defaults": LATEST, **kept}
    assert mended.extra_params == {"nextlabel": ours, "other": 1}


def test_of_tasks_with_an_ignored_label_nothing_is_learnt(project: MakeProject) -> None:
    given = tasks(20, 12)
    for i in range(3):
        given[i]["annotations"][0]["result"] = answer(["Unsure"])
    here = project(xml(choices='<Choice value="pos"/><Choice value="neg"/><Choice value="Unsure"/>'), given)
    with pytest.raises(RefusedConfigError, match="No label 'Unsur' can be ignored, as the labelling config does not"):
        here.connect(ignored_labels=["Unsur"])
    here.connect(ignored_labels=["Unsure"])
    assert Counter(here.fitted().values()) == {"pos": 4, "neg": 5}
    assert here.card().labels == ("pos", "neg")
    assert here.said("labels that are ignored").startswith("3 annotations with labels that are ignored")
    assert any("; ignored: Unsure" in finding.answer for finding in here.doctor())
    here.connect(ignored_labels=[])
    wait_until(lambda: here.card().labels == ("pos", "neg", "Unsure"), "a version that knows all labels")
    assert Counter(here.fitted().values()) == {"pos": 4, "neg": 5, "Unsure": 3}


def test_a_map_to_a_label_that_does_not_exist_is_refused(project: MakeProject) -> None:
    here = project(xml(), tasks(6, 2))
    with pytest.raises(
        RefusedConfigError, match="No label can be learnt as 'positiv', which the labelling config does"
    ):
        here.connect(label_map={"pos": "positiv"})


@pytest.mark.parametrize("label_map", [{"pos": "neg"}, {"pos": "neg", "neg": "pos"}], ids=["one", "a swap"])
def test_a_label_of_the_config_is_not_mapped(label_map: dict[str, str], project: MakeProject) -> None:
    here = project(xml(), tasks(6, 2))
    with pytest.raises(RefusedConfigError, match="'pos' cannot be learnt as 'neg', because it is a label of the label"):
        here.connect(label_map=label_map)
    here.connect(label_map={"pos": "pos"})


def pasted(command: str, here: Misread) -> None:
    """The command of a sentence, in a shell. The settings are those of the backend, which is not at the default URL."""
    environment = {
        **os.environ,
        "LABEL_STUDIO_URL": here.studio.url,
        "LABEL_STUDIO_API_KEY": here.studio._api_key,
        "MODEL_DIR": str(here.backend.model_dir),
    }
    line = command.replace("nextlabel ", f"{shlex.quote(sys.executable)} -m nextlabel ", 1)
    subprocess.run(["bash", "-c", line], cwd=ROOT, env=environment, check=True, timeout=300, stdout=subprocess.DEVNULL)


def test_the_commands_of_the_sentences_can_be_pasted_and_leave_nothing_behind(project: MakeProject) -> None:
    names = ("don't know", "-1")
    choices = "".join(f'<Choice value="{name}"/>' for name in names)
    given = tasks(20, 12)
    for i in range(12):
        given[i]["annotations"][0]["result"] = answer([("Don't know", "- 1")[i % 2]])
    here = project(xml(choices=choices), given)
    here.connect()
    said = here.said("carry labels that the labelling config does not have")
    pasted(said.split("`")[-2], here)
    assert sorted(here.fitted().values()) == sorted(names * 6)
    wait_until(lambda: silent(here.status()), "the sentence to go")
    assert [backend.url for backend in here.studio.ml_backends(here.id)] == [here.backend.url], "no second one"
    here.studio.update_project(here.id, label_config=xml(choices='<Choice value="no"/><Choice value="yes"/>'))
    said = here.said("Labels are to be learnt as others")
    pasted(said.split("`")[-2], here)
    wait_until(lambda: not any("are to be learnt" in s for s in here.status().warnings), "the map to be empty")
    here.studio.update_project(
        here.id, label_config=xml(choices="".join(f'<Choice value="{n}"/>' for n in ("Don't know", "- 1")))
    )
    wait_until(lambda: silent(here.status()), "the old labels to be those of the config", 60)


def test_most_tasks_without_a_text_come_first_and_the_rest_is_learnt(project: MakeProject) -> None:
    here = project(xml(), tasks(6, 6))
    here.studio.update_project(here.id, label_config=xml('<Text name="text" value="$body"/>'))
    here.studio.import_tasks(here.id, tasks(3, 3, lambda i: {"body": text_of(i)}))
    here.connect()
    said = here.said("cannot be read")
    assert said.startswith(
        "6 of 9 tasks cannot be read, though 6 labels stand on them: the field 'body' is missing (6, "
    )
    assert here.status().first == said


def test_what_was_said_of_a_project_goes_when_it_is_no_longer_served(project: MakeProject) -> None:
    here = project(xml(), tasks(8, 8, lambda i: {"text": text_of(i), "split": "test"}))
    here.connect()
    here.said("held out")
    regions = xml().replace("<Choices ", '<Choices perRegion="true" ')
    here.studio.update_project(here.id, label_config=regions)
    wait_until(lambda: here.status().state == "refused", "the refusal")
    assert silent(here.status())
    here.studio.update_project(here.id, label_config=xml())
    here.said("held out")
    disconnect(here.studio, here.id)
    wait_until(lambda: here.status().state == "disconnected", "the trainer to know it")
    assert silent(here.status())


# All is well


def test_a_healthy_project_is_silent_in_each_of_its_states(project: MakeProject) -> None:
    held = [{"data": {"text": text_of(i), "split": "validation"}} for i in range(40, 43)]
    here = project(xml(), [*tasks(20, 0), *held])
    here.connect()
    assert silent(here.settled())
    for i in range(FIT_EVERY + len(held)):  # before the first version Label Studio serves those, too
        task = here.studio.next_task(here.id)
        assert task is not None
        here.studio.annotate(task["id"], answer([label_of(i)]))
    here.fitted()
    wait_until(lambda: here.status().state == "published", "a queue")
    assert silent(here.status())
    assert [finding for finding in here.doctor() if not finding.ok] == []
    page = httpx.get(here.backend.url).text
    assert "The trainer can use the base model: BertForSequenceClassification" in page


def test_a_base_model_that_is_not_there_is_said_before_the_first_label(
    studio: LabelStudioClient, start_backend: Callable[..., LocalBackend]
) -> None:
    backend = start_backend(base_model="some-lab/no-such-model")
    here = Misread(studio, backend, xml(), tasks(8, 0))
    here.connect()
    said = here.said("No fit is possible")
    assert "some-lab/no-such-model" in said
    assert here.status().first == said
    assert said in [finding.answer for finding in here.doctor() if not finding.ok]
    assert "some-lab/no-such-model" in httpx.get(backend.url).text.partition("No fit is possible")[2]
