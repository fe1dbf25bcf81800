"""A project that asks several questions, with a real Label Studio: one encoder, one head, one queue."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers.fits import QUICK
from helpers.waiting import wait_until
from nextlabel.__main__ import main
from nextlabel.lab.sandbox import LocalBackend, LocalStudio
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, connect
from nextlabel.labelstudio.tasks import result_of
from nextlabel.learning.certificate import Answer, Audit, passed
from nextlabel.learning.heads import EVERY
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.layout import decoded, encoded, unasked
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.values.versions import is_audit, version_of
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

StartBackend = Callable[..., LocalBackend]
CONFIG = """<View><Text name="text" value="$text"/>
<Choices name="topic" toName="text"><Choice value="food"/><Choice value="travel"/></Choices>
<Choices name="where" toName="text" visibleWhen="choice-selected" whenTagName="topic" whenChoiceValue="travel">
  <Choice value="sea"/><Choice value="hills"/></Choices>
<Choices name="tones" toName="text" choice="multiple"><Choice value="glad"/><Choice value="cross"/></Choices>
<Rating name="stars" toName="text" maxRating="3"/></View>"""
WORDS = {"food": ("the soup", "our bread"), "sea": ("a beach", "the ship"), "hills": ("a hut", "the path")}
TONES: dict[tuple[str, ...], str] = {
    ("glad",): "was lovely",
    ("cross",): "made us angry",
    (): "is there",
    ("cross", "glad"): "was odd but fine",
}
STARS = {("glad",): "3", ("cross",): "1", (): "2", ("cross", "glad"): "2"}
ON = {
    **QUICK,
    "head": "on",
    "query_strategy": "margin",
    "fit_every": 1000,
    "fit_max_wait_s": 3600,
    "fit_schedule": "24",
}


def material() -> list[tuple[str, str]]:
    """Texts, and what an annotator answers."""
    found = []
    for day in range(8):
        for place, things in WORDS.items():
            for tones, verb in TONES.items():
                thing = things[day % 2]
                topic = {"topic": ("food",)} if place == "food" else {"topic": ("travel",), "where": (place,)}
                answer = encoded({**topic, "tones": tones, "stars": (STARS[tones],)})
                found.append((f"On day {day} {thing} {verb}.", answer))
    np.random.default_rng(0).shuffle(found)
    return found


class FormProject:
    """With its annotator, who answers as the material says."""

    def __init__(self, studio: LabelStudioClient, backend: LocalBackend):
        self.studio, self.backend = studio, backend
        self.answers = dict(material())
        self.config = parse_label_config(CONFIG, ProjectOptions(defaults=LATEST))
        self.id = studio.create_project("form", CONFIG)
        studio.import_tasks(self.id, [{"data": {"text": text}} for text in self.answers])
        self.registry, self.board = Registry(backend.model_dir), StatusBoard(backend.model_dir)

    def tasks(self) -> Iterable[dict[str, Any]]:
        return (task for page in self.studio.tasks_after(self.id, 0) for task in page)

    def label(self, count: int) -> list[int]:
        """The tasks that were served."""
        return [self._label() for _ in range(count)]

    def _label(self) -> int:
        task = self.studio.next_task(self.id)
        assert task is not None
        self.studio.annotate(task["id"], result_of(self.config, self.answers[task["data"]["text"]]))
        return int(task["id"])

    def follows(self) -> str:
        """The order that Label Studio follows in full; empty while none."""
        status, name = self.board.queue(self.id), self.studio.project(self.id).model_version or ""
        return name if status.order == name and status.state == "published" and self.registry.current(self.id) else ""

    def scores(self, name: str) -> dict[int, float]:
        """Of open tasks, under an order's name."""
        labelled = {task["id"] for task in self.tasks() if task["annotations"]}
        ours = self.studio.our_predictions(self.id)
        return {p.task_id: p.score for p in ours if p.version == name and p.task_id not in labelled}


@pytest.fixture
def project(studio: LabelStudioClient, start_backend: StartBackend) -> FormProject:
    found = FormProject(studio, start_backend(**ON))
    connect(studio, found.id, found.backend.url, Credentials(), show_predictions=True)
    found.label(24)
    wait_until(lambda: found.follows() != "", "a first version")
    return found


def value_of(probs: np.ndarray) -> float:  # type: ignore[type-arg]
    """By the numbers of the checkpoint, in their order, as docs/questions.md says."""
    margin_of_topic = 1 - abs(probs[0] - probs[1])
    margin_of_where = 1 - abs(probs[2] - probs[3])
    tones = max(1 - abs(2 * p - 1) for p in probs[4:6])
    steps = np.arange(3)
    spread = float(probs[6:] @ steps**2 - (probs[6:] @ steps) ** 2)
    return float(np.mean([margin_of_topic, margin_of_where, tones, spread]))


def plain_scores(directory: Path, texts: dict[int, str], head: Path | None = None) -> dict[int, float]:
    """By plain transformers, with the rows in a head's file in the place of the last layer."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    if head is not None:
        with np.load(head) as arrays, torch.no_grad():
            model.classifier.weight.copy_(torch.from_numpy(arrays["weights_CD"]))
            model.classifier.bias.copy_(torch.from_numpy(arrays["bias_C"]))
    found = {}
    for task, text in texts.items():
        with torch.no_grad():
            logits = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0].double()
        of_one = [torch.softmax(logits[at], dim=0) for at in (slice(0, 2), slice(2, 4), slice(6, 9))]
        probs = torch.cat([*of_one[:2], torch.sigmoid(logits[4:6]), of_one[2]]).numpy()
        found[task] = 1 - value_of(probs)
    return found


def shown_items(project: FormProject) -> Iterable[list[dict[str, Any]]]:
    """Of our predictions, as Label Studio holds them."""
    for task in project.tasks():
        for prediction in project.studio.task(task["id"])["predictions"]:
            if prediction["result"]:
                yield prediction["result"]


@pytest.fixture
def command(
    project: FormProject,
    label_studio: LocalStudio,
    wide: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str]]:
    """A command of the project, with the settings of its backend: the exit code, and what it says."""
    at = {"label_studio_url": label_studio.url, "label_studio_api_key": label_studio.login.token, "base_model": wide}
    for name, value in {**ON, **at, "model_dir": project.backend.model_dir}.items():
        monkeypatch.setenv(name.upper(), str(value))

    def call(*words: object) -> tuple[int, str]:
        capsys.readouterr()
        return main([*map(str, words), "--project", str(project.id)]), "".join(capsys.readouterr())

    return call


def audit_and_answer(project: FormProject, command: Callable[..., tuple[int, str]], *about: str) -> Audit:
    """Begin an audit, and answer what is served as the version does until all is certified."""
    number = project.studio.project(project.id).model_version
    code, said = command("certificate", "start", "--risk", 0.4, "--labels", 12, *about)
    assert (code, "has begun: the queue holds its tasks alone" in said) == (0, True), said
    audit = Audits(project.backend.model_dir).running(project.id)
    assert audit is not None
    assert version_of(audit.version) == version_of(number or ""), "or a head of it that has come since"
    right = [Answer(one, 1, "") for one in audit.said[: audit.most_labels]]
    needed = next(n for n in range(1, len(right) + 1) if passed(audit, right[:n]) == audit.plan.parts[-1])
    for place in range(needed):
        task = int(audit.ids_N[place])
        wait_until(lambda task=task: task in audited(project), "the audit's next task")  # type: ignore[misc]
        served = project.studio.next_task(project.id)
        assert served is not None
        assert served["id"] == task, "in the order of the draw"
        project.studio.annotate(task, result_of(project.config, audit.said[place]))
    wait_until(lambda: "ended, as all tasks are certified" in command("certificate", "status")[1], "the audit's end")
    return audit


def audited(project: FormProject) -> set[int]:
    """Tasks that an audit holds in the queue."""
    followed = project.studio.project(project.id).model_version or ""
    ours = project.studio.our_predictions(project.id)
    return {p.task_id for p in ours if p.version == followed and is_audit(followed)}


def test_whether_the_order_helps_and_an_audit_are_about_one_question_or_all(
    project: FormProject, command: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, said = command("helping", "--question", "tones", "--json")
    assert code == 0, said
    assert json.loads(said[said.index("{") :])["measured"]["why"] == "the project has no control set"
    code, said = command("helping", "--question", "colour")
    assert (code, "asks no question 'colour', but topic, where, tones, stars" in said) == (1, True), said

    audit = audit_and_answer(project, command, "--question", "topic")
    assert audit.asks == ("topic",)
    assert {tuple(decoded(answer)) for answer in audit.said} == {("topic",)}
    file = tmp_path / "topic.json"
    assert command("certificate", "issue", "--out", file)[0] == 0
    assert command("certificate", "verify", file) == (0, ANY)
    [first, *_] = audit.ids_N.tolist()
    [given] = next(task["annotations"] for task in project.tasks() if task["id"] == first)
    other = {"food": "travel", "travel": "food"}[decoded(audit.said[0])["topic"][0]]
    result = result_of(project.config, encoded({"topic": (other,)}))
    project.studio._call("PATCH", f"api/annotations/{given['id']}/", json={"result": result})
    code, said = command("certificate", "verify", file)
    assert (code, f"task {first} was answered" in said) == (1, True), said
    assert command("certificate", "stop")[0] == 0
    wait_until(lambda: not is_audit(project.follows()) and project.follows() != "", "the order of before")

    audit = audit_and_answer(project, command)
    assert audit.asks == ("topic", "where", "tones", "stars")
    file = tmp_path / "all.json"
    assert command("certificate", "issue", "--out", file)[0] == 0
    code, said = command("certificate", "verify", file)
    assert (code, "All of it is so, and in force." in said) == (0, True), said


def known(project: FormProject, task_id: int) -> str:
    """What the local copy holds of a task's answer."""
    with Pool(pool_path(project.backend.model_dir, project.id)) as pool:
        label_config = project.studio.project(project.id).label_config
        config = parse_label_config(label_config, project.registry.options(project.id))
        return pool.labels(config.question, holdout=False).get(task_id, "{}")


def test_one_queue_serves_all_questions_and_what_is_added_is_learnt_from_then_on(project: FormProject) -> None:
    version = project.registry.current(project.id) or ""
    card, directory = project.registry.card(project.id, version), project.registry.path(project.id, version)
    texts = {task["id"]: task["data"]["text"] for task in project.tasks()}
    assert card.examples == 24
    assert card.labels[:3] == ("topic: food", "topic: travel", "where: sea")
    questions = json.loads((directory / "config.json").read_text())["nextlabel_layout"]["cuts"]
    assert [(cut["name"], cut["kind"]) for cut in questions] == [
        ("topic", "one_of"),
        ("where", "one_of"),
        ("tones", "any_of"),
        ("stars", "ordered"),
    ]
    published = project.scores(version)
    assert len(published) >= 8
    expected = plain_scores(directory, {task: texts[task] for task in published})
    assert published == pytest.approx(expected, abs=2e-5)

    items_of = [{item["from_name"]: item["value"] for item in items} for items in shown_items(project)]
    assert {"topic", "stars"} <= {name for items in items_of for name in items}
    assert all(items["topic"] == {"choices": ["travel"]} for items in items_of if "where" in items)
    questions_of = [set(items[0]["meta"]["probabilities"]) for items in shown_items(project)]
    assert all(found == {"topic", "where", "tones", "stars"} for found in questions_of)

    project.label(EVERY + 1)  # a head, of all questions
    wait_until(lambda: project.follows() not in ("", version), "the order of a head")
    name = project.follows()
    [head] = sorted((directory / "heads").glob("*.npz"))[-1:]
    published = project.scores(name)
    expected = plain_scores(directory, {task: texts[task] for task in published}, head)
    assert published == pytest.approx(expected, abs=2e-5)

    more = CONFIG.replace('<Choice value="cross"/>', '<Choice value="cross"/><Choice value="odd"/>').replace(
        "</View>", '<Choices name="spam" toName="text" choice="multiple"><Choice value="spam"/></Choices></View>'
    )
    project.studio.update_project(project.id, label_config=more)
    wait_until(lambda: project.registry.current(project.id) not in (None, version), "a version that knows the question")
    card = project.registry.card(project.id, project.registry.current(project.id) or "")
    assert card.labels[-1] == "spam: spam"
    assert card.reason == "the project's labels changed"
    assert card.examples == 24 + EVERY + 1
    assert card.label_counts["topic: food"] > 0
    # Nobody was asked about spam yet.
    answers = project.registry.fitted_labels(project.id, card.version).values()
    assert not any("spam" in decoded(answer) for answer in answers)
    assert {unasked(answer)["tones"] for answer in answers} == {("odd",)}
    [last] = project.label(1)
    wait_until(lambda: "spam" in decoded(known(project, last)), "what nothing ticked says from now on")
    assert unasked(known(project, last)) == {}, "who answers now is asked about the new label, too"
