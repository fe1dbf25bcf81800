"""Whether the order helps, asked of a project's local copy: what is measured, forecast and said of the next labels."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from helpers.house import CHOICES, CONFIG, PROJECT, RIGHT, House
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.learning.control import Control
from nextlabel.loop.asking import EVERY_S, GROWTH, Asker
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.fitting import recipe_of
from nextlabel.loop.helping import Asked, _given, look
from nextlabel.loop.history import Historian
from nextlabel.loop.judging import Judge
from nextlabel.problems.helping import Helping, Measured
from nextlabel.problems.helping_words import sentences
from nextlabel.problems.judgement import Judgement, Sample
from nextlabel.settings import for_project
from nextlabel.store.locks import lock
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import Answers, encoded
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.values.versions import Card
from nextlabel.versions.history import FILE

SHARE, READ = 0.25, parse_label_config(CONFIG)
FIRST, LATER, CONTROL, LEFT = range(1, 25), range(25, 89), range(1001, 1193), range(2001, 2101)


def row(task_id: int, minute: int | None, control: bool = False) -> TaskRow:
    """A task, labelled in that minute."""
    word = ("yes", "no")[task_id % 2]
    when = f"2026-11-29T{(minute or 0) // 60:02}:{(minute or 0) % 60:02}:00.000000Z"
    votes = () if minute is None else (Vote(RIGHT[word], False, when, seconds=20.0),)
    example = Example(task_id, f"{word}, {word}, number {task_id}")
    return TaskRow(
        task_id, example, False, bool(votes), False, len(votes), votes, draw=f"{task_id:064}" if control else ""
    )


def labelled(house: House, tasks: Sequence[int], first_minute: int, control: bool = False) -> None:
    house.pool.upsert([row(task, first_minute + place, control) for place, task in enumerate(tasks)])


def embedder_of(house: House) -> Embedder:
    own = for_project(house.settings, ProjectOptions(defaults=LATEST))
    return Embedder(recipe_of(house.settings, 0, own, 0), house.resident, lambda project: None)  # type: ignore[arg-type,return-value]


def asked(
    house: House, share: float = SHARE, strategy: str = "margin", form: LabelConfig = READ, **more: Any
) -> Helping:
    version = house.active_version
    own = for_project(house.settings, ProjectOptions(defaults=LATEST, own={"strategy": strategy}))
    config = replace(form, control=Control("seed", share))
    about = Asked(house.pool, config, own, house.registry.card(PROJECT, version), version, 0, **more)
    return look(about, house.registry, house.resident, embedder_of(house))


@pytest.fixture
def house(tmp_path: Path, tiny: Path) -> Iterator[House]:
    found = House(tmp_path, tiny, fit_every=20)
    found.pool.upsert([row(task, None) for task in LEFT])
    labelled(found, FIRST, 0)
    found.fit()
    labelled(found, LATER, 40)
    found.fit()
    yield found
    found.pool.__exit__()


def test_before_there_are_control_labels_only_the_forecast_says_something(house: House) -> None:
    labelled(house, CONTROL[:8], 5, control=True)
    found = asked(house)
    assert (found.order, found.measured.labels, found.measured.more) == (house.active_version, 0, 192 - 8)
    assert found.forecast.labels == len(FIRST) + len(LATER)
    assert found.forecast.gain is not None
    assert found.forecast.low is not None
    assert found.forecast.high is not None
    assert found.forecast.low < found.forecast.gain < found.forecast.high
    said = " ".join(sentences(found))
    cannot = "cannot tell yet whether the order helps: not possible with the tasks left: about 184 more labels of the"
    assert f"{cannot} control set are needed, and it has none left" in said
    assert "Forecast, by a replay on the model's own view" in said
    assert "labels saved" not in said.lower()


def test_at_a_planned_look_the_gain_is_measured_by_control_labels(house: House) -> None:
    labelled(house, CONTROL, 5, control=True)
    measured = asked(house).measured
    assert (measured.labels, measured.why) == (192, "")
    assert measured.gain is not None
    assert measured.error is not None
    assert -1 <= measured.gain <= 1
    assert measured.error > 0
    assert asked(house).measured == measured, "the same when asked again"
    other_order = parse_label_config(CONFIG.replace(CHOICES, "".join(reversed(re.findall("<[^>]*>", CHOICES)))))
    assert other_order.question.labels == tuple(reversed(parse_label_config(CONFIG).question.labels))
    some = [row(task, 5 + task - CONTROL[0], control=True) for task in CONTROL[::4]]
    house.pool.upsert([replace(one, votes=(replace(one.votes[0], label="pos"),)) for one in some])
    again = asked(house).measured
    assert (again.gain, again.error) == (measured.gain, measured.error), "a look is taken once, whatever is relabelled"
    again = asked(house, form=other_order).measured
    assert (again.gain, again.error) == (measured.gain, measured.error), "in whichever order the form has its labels"
    (house.registry.home(PROJECT) / FILE).unlink()
    assert asked(house).measured.gain != measured.gain, "that is kept beside the versions, which a backup has"
    assert [point.labels for point in measured.at_random] == [16, 32, 64]
    assert all(0 <= point.low <= point.value <= point.high <= 1 for point in measured.at_random)


def test_texts_that_are_imported_after_a_look_do_not_take_it_back_nor_have_it_taken_again(house: House) -> None:
    judge = Judge(house.registry, house.board)
    config = replace(parse_label_config(CONFIG), control=Control("seed", SHARE))

    def judged_and_measured() -> Measured:
        judge.look(house.pool, PROJECT, config, "", None)
        return asked(house).measured

    labelled(house, CONTROL, 5, control=True)
    before = judged_and_measured()
    assert before.labels == 192
    news = range(3001, 3006)  # whose turn is before all others'
    house.pool.upsert([replace(row(task, None), draw=f"{place:064}") for place, task in enumerate(news)])
    assert judged_and_measured() == replace(before, left=len(news)), "until they are caught up with"
    house.pool.upsert([replace(row(task, 300 + place), draw=f"{place:064}") for place, task in enumerate(news)])
    caught_up = judged_and_measured()
    assert house.board.quality(PROJECT).sample.answered == len(CONTROL) + len(news)
    assert (caught_up.labels, caught_up.gain, caught_up.error) == (192, before.gain, before.error)


def test_the_control_set_has_left_what_does_not_count_yet_and_not_what_is_left_out(house: House) -> None:
    labelled(house, CONTROL[:150], 5, control=True)
    house.pool.upsert([row(CONTROL[150], None, control=True)])
    labelled(house, CONTROL[151:181], 200, control=True)
    with_unsure = CONFIG.replace(CHOICES, f'{CHOICES}<Choice value="Unsure"/>')
    form = parse_label_config(with_unsure, ProjectOptions(ignored_labels=("Unsure",)))
    ignored = Vote("Unsure", False, "2026-11-29T05:00:00.000000Z")
    house.pool.upsert(replace(row(task, 300, control=True), votes=(ignored,)) for task in CONTROL[181:])
    judge, config = Judge(house.registry, house.board), replace(form, control=Control("seed", SHARE))
    judge.look(house.pool, PROJECT, config, "", None)
    assert asked(house, form=form).measured.left == house.board.quality(PROJECT).sample.left == 31


def test_what_the_last_labels_changed_is_what_both_versions_say_of_the_tasks_left(house: House) -> None:
    found = asked(house).next_labels
    left = house.pool.open_examples()
    cards = house.registry.cards(PROJECT)[:2]
    now, before = ([probs_C.argmax() for probs_C in house.resident.score(c, left, exact=False).probs_NC] for c in cards)
    assert (found.labels, found.tasks, found.seconds, found.people) == (len(LATER), len(left), 20.0, 1)
    assert "They are about 21 minutes of people's work" in " ".join(sentences(asked(house)))
    quick = replace(asked(house), next_labels=replace(found, seconds=1.0))
    assert "They are about 64 seconds of people's work" in " ".join(sentences(quick))
    assert found.changed == sum(a != b for a, b in zip(now, before, strict=True)) / len(left)


def test_a_step_of_a_few_labels_says_nothing_of_the_next_and_is_added_to_those_before(house: House) -> None:
    version, known = house.active_version, len(FIRST) + len(LATER)
    labelled(house, range(89, 109), 300)
    house.fit()
    assert house.active_version != version
    assert asked(house).next_labels.labels == known + 20 - len(FIRST), "since the version before the last one"
    house.registry.discard(PROJECT, house.registry.cards(PROJECT)[2].version)
    found = asked(house).next_labels
    assert (found.labels, found.changed) == (0, None)
    said = " ".join(sentences(Helping(at=1.0, next_labels=found)))
    assert "cannot be told: no version is kept that knows 64 labels less than the active one; with fits" in said


def test_a_label_that_is_edited_stays_among_the_first(house: House) -> None:
    about = Asked(house.pool, parse_label_config(CONFIG), None, None, "", 0)  # type: ignore[arg-type]
    before = [one.example.id for one in _given(about)]
    assert before == [*FIRST, *LATER]
    first = row(FIRST[0], 0)
    edited = replace(first.votes[0], when="2026-11-30T00:00:00.000000Z", first=first.votes[0].when)
    house.pool.upsert([replace(first, votes=(edited,))])
    assert [one.example.id for one in _given(about)] == before


def test_what_cannot_be_told_says_why(house: House) -> None:
    assert asked(house, share=0.0).measured.why == "the project has no control set"
    labelled(house, CONTROL[:8], 200, control=True)
    assert asked(house).measured.why.startswith("88 labels were there before the first one of the control set")
    assert asked(house, strategy="random").forecast.why == "the order is random"
    left = house.pool.open_ids()
    for gone in (left[:-8], left[-8:]):  # eight tasks are left to choose from, then none
        house.pool.forget(gone)
        assert asked(house).forecast.why == "too few tasks are left to replay 88 labels"
    assert asked(house).next_labels.why == "no task is left"
    house.registry.discard(PROJECT, house.registry.cards(PROJECT)[1].version)
    kept = "no version is kept that knows 64 labels less than the active one"
    remedy = (
        "; with fits so frequent, set KEEP_VERSIONS to more, or FIT_MAX_WAIT_S to an hour or more with FIT_EVERY at "
    )
    remedy += "least 64"
    assert asked(house).next_labels.why == kept + remedy
    (house.registry.home(PROJECT) / FILE).unlink()
    assert asked(house).next_labels.why == kept, "there may have been none yet"
    assert sentences(Helping()) == [], "nobody has asked"


# Of forms

FORM = (
    '<View><Text name="t" value="$text"/><Choices name="topic" toName="t"><Choice value="pos"/><Choice value="neg"/>'
    '</Choices><Choices name="tags" toName="t" choice="multiple"><Choice value="yes"/><Choice value="odd"/>'
    "</Choices></View>"
)


def answer_to(task_id: int) -> str:
    """Of every fifth task the tags are not said."""
    topic: Answers = {"topic": ("pos" if task_id % 2 == 0 else "neg",)}
    return encoded(topic if task_id % 5 == 0 else {**topic, "tags": ("yes",) if task_id % 2 == 0 else ("odd",)})


def test_of_a_form_all_questions_are_compared_or_one(tmp_path: Path, tiny: Path) -> None:
    house = House(tmp_path, tiny, fit_every=20)
    options = ProjectOptions(defaults=LATEST)
    house.registry.know(PROJECT)
    house.registry.put_options(PROJECT, options)
    house.configure(FORM)
    house.pool.upsert([row(task, None) for task in LEFT])
    for tasks, minute, control in ((FIRST, 0, False), (CONTROL, 5, True), (LATER, 40, False)):
        rows = [row(task, minute + place, control) for place, task in enumerate(tasks)]
        house.pool.upsert([replace(one, votes=(replace(one.votes[0], label=answer_to(one.id)),)) for one in rows])
        house.fit()
    version, own = house.active_version, for_project(house.settings, options)
    card = house.registry.card(PROJECT, version)
    config = replace(parse_label_config(FORM, options), control=Control("seed", SHARE))
    found = {}
    for question in ("", "topic", "tags"):
        about = Asked(house.pool, config, own, card, version, 0, question=question)
        found[question] = look(about, house.registry, house.resident, embedder_of(house))
    assert [one.questions for one in found.values()] == [("topic", "tags"), ("topic",), ("tags",)]
    assert [one.measured.labels for one in found.values()] == [192, 192, 0]
    assert found["tags"].measured.more == 192 - sum(task % 5 != 0 for task in CONTROL)
    assert found[""].measured.at_random == (), "the curve is of one question"
    assert "a replay would have to draw whole answers" in found[""].forecast.why
    cards = house.registry.cards(PROJECT)[:2]
    left = house.pool.open_examples()
    now, before = (
        card.layout.guesses(house.resident.score(card, left, exact=False).probs_NC) for card in cards if card.layout
    )
    for question, columns in (("", slice(0, 4)), ("topic", slice(0, 2)), ("tags", slice(2, 4))):
        changed = (now[:, columns] != before[:, columns]).any(axis=1).mean()
        assert found[question].next_labels.changed == pytest.approx(changed)
    said = " ".join(sentences(found[""]))
    assert said.startswith("Of topic and tags together: accuracy is the share of them that is right. Measured: ")
    assert " ".join(sentences(found["tags"])).startswith("Of tags: an answer is right if all its labels are")
    house.pool.__exit__()


# By itself


class Gate(ComputeGate):
    """A fit comes when it was asked so often whether one runs."""

    def __init__(self, patience: int = 10**9):
        super().__init__()
        self.patience = patience

    @property
    def fit_runs(self) -> bool:
        self.patience -= 1
        return self.patience < 0


def asker(house: House, patience: int = 10**9) -> Asker:
    return Asker(
        house.settings, house.registry, house.board, house.jobs, house.resident, embedder_of(house), Gate(patience),
        Historian(house.registry, house.board), lambda: house.now,
    )  # fmt: skip


def wanted(house: House, last: Helping, control: int = 0, **changes: Any) -> bool:
    """Whether it is wanted, of an active version that knows 88 labels."""
    share, fits, card = changes.pop("share", SHARE), changes.pop("fits", False), active_card(house, **changes)
    house.board.put_helping(PROJECT, last)
    house.board.put_quality(PROJECT, Judgement(control_share=share, sample=Sample(answered=control)))
    before = house.jobs.waiting()
    config = replace(parse_label_config(CONFIG), control=Control("seed", share))
    asker(house, patience=0 if fits else 10**9).look(house.pool, PROJECT, config, card)
    house.jobs.drop(PROJECT)
    return house.jobs.waiting() > before


def active_card(house: House, **changes: Any) -> Card:
    return replace(house.registry.card(PROJECT, house.active_version), **changes)


def test_it_is_wanted_when_the_answer_can_be_another_and_seldom(house: House) -> None:
    house.now, known = 10 * EVERY_S, len(FIRST) + len(LATER)
    last = Helping(house.active_version, house.now - EVERY_S, known=known, control=191)
    assert wanted(house, Helping()), "nobody has asked yet"
    assert not wanted(house, last, control=191), "nothing has changed"
    assert wanted(house, last, control=192), "a look is planned"
    assert not wanted(house, replace(last, control=192), control=255), "none is planned in between"
    older = replace(last, order="nextlabel-1.7-20261129T000000", known=int(known / GROWTH))
    assert wanted(house, older, control=191), "another version that knows many more labels"
    assert not wanted(house, replace(older, known=int(known / GROWTH) + 1), control=191)
    later = replace(last, order="nextlabel-9.1-20261129T000000")
    assert wanted(house, later, control=191), "somebody has gone back to this version"
    assert not wanted(house, replace(older, at=last.at + 1), control=256), "it is too soon"
    assert wanted(house, replace(older, at=house.now + 1), control=191), "the clock was set back"
    assert not wanted(house, Helping(), share=0.0), "without a control set"
    assert not wanted(house, Helping(), of_labels=4000), "a quick version"
    assert not wanted(house, Helping(), fits=True)


def test_what_is_found_is_what_the_command_finds(house: House) -> None:
    labelled(house, CONTROL, 5, control=True)
    house.registry.put_options(PROJECT, ProjectOptions(defaults=LATEST, control_seed="seed"))
    house.board.put_quality(PROJECT, Judgement(sample=Sample(answered=192)))
    asker(house).ask(PROJECT)
    found = house.board.helping(PROJECT)
    assert (found.known, found.control) == (len(FIRST) + len(LATER), 192)
    assert replace(found, at=0.0) == replace(asked(house, control=192), at=0.0)
    assert not wanted(house, found, control=192)


def test_a_fit_that_comes_is_given_way_to_at_any_stage_and_nothing_is_said(house: House) -> None:
    labelled(house, CONTROL, 5, control=True)
    house.registry.put_options(PROJECT, ProjectOptions(defaults=LATEST, control_seed="seed"))
    gate = Gate()
    counting = Asker(
        house.settings, house.registry, house.board, house.jobs, house.resident, embedder_of(house), gate,
        Historian(house.registry, house.board), lambda: house.now,
    )  # fmt: skip
    counting.ask(PROJECT)  # embeds what is not embedded yet
    gate.patience = 10**9
    house.board.put_helping(PROJECT, Helping())
    counting.ask(PROJECT)
    asked_so_often, done = 10**9 - gate.patience, house.board.helping(PROJECT)
    assert asked_so_often > 10, "before each world, and between others"
    assert done.at > 0
    house.board.put_helping(PROJECT, Helping())
    for patience in range(0, asked_so_often, 3):
        asker(house, patience).ask(PROJECT)
        assert house.board.helping(PROJECT) == Helping()


def test_one_project_at_a_time_and_none_that_is_gone(house: House) -> None:
    for name in ("helping", f"helping.{PROJECT}"):
        with lock(house.settings.model_dir, name):
            asker(house).ask(PROJECT)
    assert house.board.helping(PROJECT) == Helping()
    asker(house).ask(2)
    assert house.board.helping(2).measured == Measured()
    assert house.board.helping(2).at == 0, "there is nothing to ask about"
