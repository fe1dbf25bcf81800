"""When a fit is due, and which of its versions become active. With a real model, however small."""

import json
import re
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helpers.house import CHOICES, CONFIG, FIT_EVERY, HOLDOUT, POOL, PROJECT, RIGHT, TRAIN, WRONG, House
from nextlabel.learning import auto_recipe, quick_version
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.fitting import (
    FEW,
    FIRST,
    FIT_NOW,
    LABELLED_OUT,
    LEAST,
    LOOK_S,
    MOST,
    NOT_KNOWN,
    Fitter,
)
from nextlabel.settings import Settings, for_project
from nextlabel.store.locks import lock
from nextlabel.store.state import FitState
from nextlabel.values.examples import Example
from nextlabel.values.labels import TaskRow, Vote
from nextlabel.values.layout import encoded
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.values.versions import Card

MakeHouse = Callable[..., House]


@pytest.fixture
def house_of(tmp_path: Path, tiny: Path) -> Iterator[MakeHouse]:
    made: list[House] = []

    def make(base_model: Path = tiny, **settings: object) -> House:
        made.append(House(tmp_path, base_model, **settings))
        return made[-1]

    yield make
    for house in made:
        house.pool.__exit__()


@pytest.fixture
def fitted(house_of: MakeHouse) -> House:
    """A house with a good active version."""
    house = house_of()
    house.label(HOLDOUT, RIGHT, holdout=True)
    house.label(TRAIN, RIGHT)
    assert house.combined(house.fit()) > 0.8
    return house


def test_when_no_task_is_left_people_hear_how_to_take_the_results_away(house_of: MakeHouse) -> None:
    house = house_of(fit_every=1000, fit_max_wait_s=3600)
    house.label(TRAIN, RIGHT)
    house.label(POOL, RIGHT)
    last = TaskRow(9001, Example(9001, "the last one"), False, False, False, 0, ())
    of_control = replace(last, draw="0.5")
    for task in (last, replace(last, skipped=True), of_control):
        house.pool.upsert([task])
        assert "until the next fit" in house.look().message
    house.pool.upsert([replace(of_control, skipped=True)])
    assert house.look().message == FIT_NOW
    house.fit_on_demand()
    assert house.look().message == LABELLED_OUT.format(PROJECT)
    house.label(range(9002, 9003), RIGHT)
    assert house.look().message == LABELLED_OUT.format(PROJECT) + NOT_KNOWN


@pytest.mark.parametrize("few", [4, 40])
def test_when_no_task_is_left_and_one_class_has_no_label_people_hear_that_more_are_needed(
    few: int, house_of: MakeHouse
) -> None:
    house = house_of(fit_every=20, fit_max_wait_s=3600)
    house.pool.forget(house.pool.task_ids())
    house.label(range(1, 1 + few), {"yes": "pos", "no": "pos"})
    message = house.look().message
    assert message.startswith("No task is left to label, and there is no version: import more. All ")
    assert "labels so far are 'pos'" in message


def test_a_projects_own_schedule_and_strategy_are_those_of_its_fits(house_of: MakeHouse) -> None:
    house = house_of(fit_every=1000, fit_max_wait_s=3600)
    house.label(TRAIN, RIGHT)
    assert house.look().message == f"{len(TRAIN)} of 1000 new labels until the next fit"
    assert house.look().by_class == {"pos": 12, "neg": 12}
    house.registry.know(PROJECT)
    own = {"fit_every": 30, "fit_max_wait_s": 90, "fit_steps": 7, "strategy": "least_confidence"}
    house.registry.put_options(PROJECT, ProjectOptions(own=own))
    assert house.look().message == f"{len(TRAIN)} of 30 new labels until the next fit"
    house.now += 90
    assert house.look().reason == f"{len(TRAIN)} new labels have waited 90 s"
    house.registry.put_options(PROJECT, ProjectOptions(own={**own, "fit_every": len(TRAIN)}))
    assert house.look().reason == f"{len(TRAIN)} new labels"
    card = house.registry.card(PROJECT, house.fit())
    assert (card.strategy, card.recipe["steps"]) == ("least_confidence", 7)


def test_a_label_that_is_ignored_from_now_on_is_no_class_of_the_next_version(house_of: MakeHouse) -> None:
    three = CONFIG.replace(CHOICES, CHOICES + '<Choice value="unsure"/>')
    house = house_of()
    house.configure(three)
    house.label(TRAIN, RIGHT)
    house.label(range(301, 305), {"yes": "unsure", "no": "unsure"})
    first = house.registry.card(PROJECT, house.fit())
    assert first.label_counts == {"pos": 12, "neg": 12, "unsure": 4}
    house.registry.put_options(PROJECT, ProjectOptions(ignored_labels=("unsure",)))
    second = house.registry.card(PROJECT, house.fit())
    assert second.reason == "the project's labels changed"
    assert second.label_counts == {"pos": 12, "neg": 12}
    assert house.registry.fitted_labels(PROJECT, second.version).keys() == set(TRAIN)


def test_while_it_is_paused_nothing_is_fitted_and_what_was_asked_for_comes_when_it_is_resumed(
    house_of: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = house_of(fit_every=len(TRAIN))
    house.label(TRAIN, RIGHT)
    house.registry.know(PROJECT)
    real = house.board.put_fit

    def pause(project: int, now: float, **changes: object) -> None:
        real(project, now, **changes)
        house.registry.put_options(PROJECT, ProjectOptions(pause=True))
        house.now += LOOK_S + 1

    assert house.look().reason == f"{len(TRAIN)} new labels"
    with monkeypatch.context() as in_mid_fit:
        in_mid_fit.setattr(house.board, "put_fit", pause)
        house.fitter.fit(PROJECT)
    assert house.registry.versions(PROJECT) == []
    assert house.board.fit(PROJECT).message == "The last fit was given up, its labels are kept"
    house.jobs.demand_fit(PROJECT)
    found = house.look()
    assert (found.reason, found.labels, found.pending) == ("", len(TRAIN), len(TRAIN))
    assert found.message.startswith("Paused: nothing is fitted")
    house.fitter.fit(PROJECT)
    assert house.registry.versions(PROJECT) == []
    house.registry.put_options(PROJECT, ProjectOptions())
    assert house.look().reason == "Fit now or Start Training was pressed"
    assert house.registry.card(PROJECT, house.fit()).examples == len(TRAIN)


def copy_of(house: House, task_id: int, original: int, label: str) -> None:
    text = f"{('Yes', 'No')[original % 2]},  {('yes', 'no')[original % 2]}, NUMBER {original}"
    house.pool.upsert([TaskRow(task_id, Example(task_id, text), False, True, False, 1, (Vote(label, False, "z"),))])


def test_labels_of_copies_are_fitted_on_once_and_are_all_known(house_of: MakeHouse) -> None:
    house = house_of(near_copies="hold")
    house.label(TRAIN, RIGHT)
    house.label(HOLDOUT, RIGHT, holdout=True)
    copy_of(house, 501, TRAIN[0], RIGHT["yes"])
    copy_of(house, 502, TRAIN[0], RIGHT["yes"])
    copy_of(house, 503, TRAIN[1], RIGHT["yes"])
    copy_of(house, 504, HOLDOUT[0], RIGHT["yes"])
    version = house.fit()
    card, known = house.registry.card(PROJECT, version), house.registry.fitted_labels(PROJECT, version)
    assert card.examples == len(TRAIN)
    assert card.label_counts == {"pos": 13, "neg": 11}, "of the first text most copies are positive"
    assert known.keys() == {*TRAIN, 501, 502, 503, 504}
    assert house.look().pending == 0
    assert house.look().labels == len(TRAIN) + 4


def test_copies_are_no_labels_that_a_fit_does_not_know(house_of: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house = house_of(near_copies="hold", fit_schedule="8,16")
    house.label(TRAIN[:6], RIGHT)
    for task_id in range(501, 531):
        copy_of(house, task_id, TRAIN[0], RIGHT["no"])
    real, looks = house.board.put_fit, list[float]()

    def tell(project: int, now: float, **changes: object) -> None:
        real(project, now, **changes)
        looks.append(now)
        house.now += LOOK_S + 1

    monkeypatch.setattr(house.board, "put_fit", tell)
    card = house.registry.card(PROJECT, house.fit())
    assert card.examples == 6
    assert len(looks) > 1, "it looked whether it was to be given up"


def test_where_near_copies_are_served_each_label_counts(house_of: MakeHouse) -> None:
    house = house_of(near_copies="serve")
    house.label(TRAIN, RIGHT)
    copy_of(house, 501, TRAIN[0], "neg")
    version = house.fit()
    assert house.registry.card(PROJECT, version).examples == len(TRAIN) + 1
    assert house.registry.fitted_labels(PROJECT, version).keys() == {*TRAIN, 501}


def test_one_text_with_two_labels_is_no_second_class(house_of: MakeHouse) -> None:
    house = house_of(near_copies="hold", fit_every=2)
    copy_of(house, 501, 1, "pos")
    copy_of(house, 502, 1, "neg")
    assert house.look().message.startswith("Waiting for labels: All 1 labels so far are 'neg'")
    copy_of(house, 503, 3, "pos")
    assert house.look().reason == "3 new labels"


def test_auto_gives_steps_and_rate_by_labels_and_checkpoint_and_the_card_tells_the_steps_made(
    house_of: MakeHouse,
) -> None:
    house = house_of(fit_steps="auto", learning_rate="auto")
    house.label(TRAIN, RIGHT)
    card = house.registry.card(PROJECT, house.fit())
    assert card.recipe["steps"] == auto_recipe.steps(len(TRAIN), 16)
    assert card.recipe["learning_rate"] == auto_recipe.learning_rate(32)
    assert (card.recipe["warmup"], card.recipe["stop_loss"]) == (0.1, 0.05)
    assert 0 < card.steps <= card.recipe["steps"]


def test_a_card_tells_when_its_labels_were_read_from_label_studio_not_when_the_fit_began_or_ended(
    house_of: MakeHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = house_of()
    house.label(TRAIN, RIGHT)
    synchronised, real = house.now + 30, house.board.put_fit
    house.synchronised(synchronised)

    def tell(project: int, now: float, **changes: object) -> None:
        real(project, now, **changes)
        house.now += 10  # while it is fitted

    monkeypatch.setattr(house.board, "put_fit", tell)
    card = house.registry.card(PROJECT, house.fit())
    assert datetime.fromisoformat(card.read_at).timestamp() == synchronised
    assert datetime.fromisoformat(card.created_at).timestamp() > synchronised + 30


@pytest.fixture
def many_labels(house_of: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> House:
    """A new project that has more labels than a quick version takes."""
    monkeypatch.setattr(quick_version, "LABELS", 16)
    monkeypatch.setattr(quick_version, "MANY", 20)
    house = house_of(fit_steps="auto", fit_every=len(TRAIN), head="on", promote_margin=1)
    house.label(TRAIN, RIGHT)
    return house


def test_the_first_version_on_many_labels_is_quick_and_the_thorough_one_follows_at_once(many_labels: House) -> None:
    house = many_labels
    assert house.look().message == f"Fitting: {len(TRAIN)} new labels; first a quick version on 16 of them"
    quick = house.registry.card(PROJECT, house.fit())
    assert (quick.examples, quick.of_labels, quick.recipe["steps"]) == (16, len(TRAIN), auto_recipe.steps(16))
    assert (quick.fitted_on, quick.features) == (f"16 (quick, of {len(TRAIN)})", 0)
    assert len(house.registry.fitted_labels(PROJECT, quick.version)) == 16
    assert (house.active_version, house.look().pending) == (quick.version, len(TRAIN) - 16)
    assert f"16 (quick, of {len(TRAIN)}) labels" in house.board.fit(PROJECT).message
    thorough = house.registry.card(PROJECT, house.fit())
    assert thorough.reason == f"{quick.version} was a quick one, on 16 of {len(TRAIN)} labels"
    assert (thorough.examples, thorough.of_labels, house.active_version) == (len(TRAIN), 0, thorough.version)
    assert thorough.recipe["steps"] == auto_recipe.steps(len(TRAIN))
    assert thorough.features > 0
    assert (house.look().reason, house.look().pending) == ("", 0)


def test_a_quick_version_is_not_given_up_for_the_labels_that_it_leaves_out(
    many_labels: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_version, "LABELS", 8)  # less than half of the labels
    house, real, looks = many_labels, many_labels.board.put_fit, list[float]()

    def tell(project: int, now: float, **changes: object) -> None:
        real(project, now, **changes)
        looks.append(now)
        house.now += LOOK_S + 1

    monkeypatch.setattr(house.board, "put_fit", tell)
    assert house.registry.card(PROJECT, house.fit()).examples == 8
    assert len(looks) > 1, "it looked whether it was to be given up"


def test_who_chose_the_steps_or_has_a_version_waits_for_no_quick_one(many_labels: House) -> None:
    many_labels.registry.know(PROJECT)
    many_labels.registry.put_options(PROJECT, ProjectOptions(own={"fit_steps": 3}))
    first = many_labels.registry.card(PROJECT, many_labels.fit_on_demand())
    assert (first.examples, first.of_labels, first.recipe["steps"]) == (len(TRAIN), 0, 3)
    many_labels.registry.put_options(PROJECT, ProjectOptions(defaults=LATEST))
    second = many_labels.registry.card(PROJECT, many_labels.fit_on_demand())
    assert (second.examples, second.of_labels) == (len(TRAIN), 0)


@pytest.mark.parametrize(
    ("given", "batch", "stop_loss"),
    [
        ({"fit_steps": "auto"}, auto_recipe.BATCH, 0.05),
        ({"fit_steps": "auto", "batch_size": 8}, 8, 0.05),
        ({"fit_steps": 343}, 32, 0.0),
        ({"fit_steps": 343, "batch_size": 8}, 8, 0.0),
    ],
)
def test_numbers_stay_what_they_are(
    given: dict[str, object], batch: int, stop_loss: float, tmp_path: Path, house_of: MakeHouse
) -> None:
    house = house_of()
    settings = Settings(_env_file=None, model_dir=tmp_path, learning_rate=3e-5, base_model="none", **given)  # type: ignore[arg-type]
    fitter = Fitter(
        settings, house.registry, house.board, house.jobs, house.resident, ComputeGate(), lambda project: None
    )  # fmt: skip
    own = for_project(settings, ProjectOptions())
    recipe = fitter.recipe(0, own, 100)
    steps = auto_recipe.steps(100, batch) if given["fit_steps"] == "auto" else 343
    assert (recipe.steps, recipe.batch_size, recipe.learning_rate, recipe.stop_loss) == (steps, batch, 3e-5, stop_loss)


@pytest.mark.parametrize(
    ("scored", "seconds", "base_model", "first"),
    [
        (3000, 2.0, None, 6000),
        (3000, 60.0, None, LEAST),
        (3000, 0.0, None, MOST),
        (0, 0.0, None, FIRST),
        (3000, 2.0, "another", FIRST),
    ],
    ids=["as fast as before", "slow", "very fast", "unknown", "another model"],
)
def test_as_many_tasks_are_scored_first_as_some_seconds_allow(
    scored: int, seconds: float, base_model: str | None, first: int, fitted: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = fitted.registry.card(PROJECT, fitted.active_version)
    assert card.scored == len(POOL)
    card = replace(
        card,
        scored=scored,
        seconds={**card.seconds, "score": seconds},
        base_model=base_model or card.base_model,
    )
    monkeypatch.setattr(fitted.registry, "card", lambda project, version: card)
    assert fitted.fitter._first(PROJECT) == first


def test_the_first_version_of_a_project_scores_a_fixed_number_first(house_of: MakeHouse) -> None:
    assert house_of().fitter._first(PROJECT) == FIRST


def test_a_version_as_good_as_the_active_one_is_promoted(fitted: House) -> None:
    first = fitted.active_version
    fitted.label(POOL[:FIT_EVERY], RIGHT)
    fitted.due_since(1.0)
    second = fitted.fit()
    assert fitted.active_version == second != first
    card = fitted.registry.card(PROJECT, second)
    assert (card.parent, card.refused, card.due_at) == (first, "", 1.0)
    assert (fitted.board.fit(PROJECT).fits, fitted.board.fit(PROJECT).refused) == (2, 0)


def test_a_worse_version_is_kept_and_changes_nothing(fitted: House) -> None:
    good = fitted.active_version
    ranked = fitted.pool.ranked(good, 100, skipped=False)
    assert len(ranked) == len(POOL)
    fitted.due_since(1.0)
    fitted.label(TRAIN, WRONG)
    bad = fitted.fit()
    assert fitted.active_version == good != bad
    assert fitted.pool.ranked(good, 100, skipped=False) == ranked
    assert fitted.pool.ranked(bad, 100, skipped=False) == []
    assert fitted.pool.state(FitState).due_at is None
    card = fitted.registry.card(PROJECT, bad)
    loss = fitted.combined(good) - fitted.combined(bad)
    assert loss > 0.5
    assert card.refused == (
        f"its combined score on the holdout, {fitted.combined(bad):.3f}, is {loss:.3f} below that of {good}, "
        "more than PROMOTE_MARGIN=0.05"
    )
    status = fitted.board.fit(PROJECT)
    assert (status.state, status.fits, status.refused, status.failures) == ("idle", 2, 1, 0)
    assert status.message == f"{bad} was not promoted: {card.refused}"


def test_the_gate_judges_all_questions_of_a_form(house_of: MakeHouse) -> None:
    names = ("topic", "tone")
    asked = "".join(f'<Choices name="{name}" toName="text">{CHOICES}</Choices>' for name in names)
    right = {word: encoded(dict.fromkeys(names, (label,))) for word, label in RIGHT.items()}
    wrong = {word: encoded(dict.fromkeys(names, (label,))) for word, label in WRONG.items()}
    half = {word: encoded({"topic": (RIGHT[word],), "tone": (WRONG[word],)}) for word in RIGHT}
    house = house_of()
    house.configure(f'<View><Text name="text" value="$text"/>{asked}</View>')
    house.label(HOLDOUT, right, holdout=True)
    house.label(TRAIN, right)
    good = house.fit()
    assert house.combined(good) > 0.8
    for worse in (wrong, half):
        house.label(TRAIN, worse)
        card = house.registry.card(PROJECT, house.fit_on_demand())
        assert "its combined score on the holdout" in card.refused
        assert house.active_version == good
    house.label(TRAIN, right)
    better = house.registry.card(PROJECT, house.fit_on_demand())
    assert (better.refused, better.judged) == ("", f"the holdout ({len(HOLDOUT)})")
    assert house.active_version == better.version


def test_a_refused_version_is_not_made_again_of_the_same_labels(fitted: House) -> None:
    fitted.label(TRAIN, WRONG)
    bad = fitted.fit()
    fitted.now += 10 * fitted.settings.fit_max_wait_s
    assert (fitted.look().reason, fitted.look().pending) == ("", 0)
    assert fitted.fit() == bad
    fitted.label(POOL[: FIT_EVERY - 1], RIGHT)
    assert fitted.look().reason == ""
    fitted.label(POOL[:FIT_EVERY], RIGHT)
    assert fitted.look().reason == f"{FIT_EVERY} new labels"


def test_a_demand_that_came_after_the_last_look_at_label_studio_stands(fitted: House) -> None:
    fitted.now = time.time()
    fitted.synchronised(fitted.now - 5)
    first = fitted.active_version
    second = fitted.fit_on_demand()
    assert second != first
    assert fitted.look().reason == ""
    assert fitted.fit() == second, "no other label is known yet"
    assert fitted.jobs.demanded(PROJECT)
    fitted.synchronised(fitted.now)
    fitted.label(POOL[:1], RIGHT)
    assert fitted.look().reason == "Fit now or Start Training was pressed"
    third = fitted.fit()
    assert third != second
    assert fitted.look().reason == ""


def test_a_demand_that_stands_is_met_when_the_next_look_finds_no_other_labels(fitted: House) -> None:
    fitted.now = time.time()
    fitted.synchronised(fitted.now - 5)
    second = fitted.fit_on_demand()
    fitted.synchronised(fitted.now)
    assert fitted.look().reason == ""
    assert fitted.jobs.demanded(PROJECT) == ""
    assert fitted.fit() == second


def test_a_demand_stands_although_label_studio_was_read_while_its_fit_ran(
    fitted: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted.now = time.time()
    fitted.synchronised(fitted.now - 5)
    make = Fitter._round

    def read_meanwhile(fitter: Fitter, *arguments: Any) -> Any:
        fitted.synchronised(fitted.now)
        fitted.label(POOL[:1], RIGHT)
        return make(fitter, *arguments)

    monkeypatch.setattr(Fitter, "_round", read_meanwhile)
    fitted.fit_on_demand()
    assert fitted.look().reason == "Fit now or Start Training was pressed"


def test_what_fell_due_before_the_last_fit_ended_is_not_due_for_ever(fitted: House) -> None:
    fitted.due_since(1.0)
    assert fitted.look().reason == ""
    assert fitted.pool.state(FitState).due_at is None


def test_labels_do_not_wait_longer_because_the_clock_was_set_back(fitted: House) -> None:
    fitted.label(POOL[:FEW], RIGHT)
    assert fitted.look().reason == ""
    fitted.now -= 3600
    assert fitted.look().reason == ""
    fitted.now += fitted.settings.fit_max_wait_s
    assert f"{FEW} new labels have waited" in fitted.look().reason


def test_a_few_labels_are_no_reason_for_a_fit_until_somebody_labels_again(fitted: House) -> None:
    fitted.registry.put_options(PROJECT, ProjectOptions(defaults=LATEST))
    version = fitted.active_version
    for labels in range(1, FEW):
        fitted.label(POOL[:labels], RIGHT)
        assert fitted.look().reason == ""
        fitted.now += 10
    for _ in range(10):  # the night, in which the clock looks
        fitted.now += fitted.settings.fit_max_wait_s
        assert fitted.fit() == version
    assert fitted.look().message == f"{FEW - 1} of {FIT_EVERY} new labels until the next fit"
    fitted.label(POOL[:1], WRONG)
    assert fitted.look().reason == "", "a label that was changed is none that came"
    fitted.label(POOL[:FEW], RIGHT)
    assert f"{FEW} new labels have waited" in fitted.look().reason


def test_in_a_project_of_0_1_0_any_label_has_waited_long_enough_after_that_time(fitted: House) -> None:
    fitted.label(POOL[:1], RIGHT)
    assert fitted.look().reason == ""
    fitted.now += fitted.settings.fit_max_wait_s
    assert "1 new labels have waited" in fitted.look().reason


def test_one_label_in_the_evening_and_one_in_the_morning_are_fitted_in_the_morning(fitted: House) -> None:
    fitted.registry.put_options(PROJECT, ProjectOptions(defaults=LATEST))
    fitted.label(POOL[:1], RIGHT)
    assert fitted.look().reason == ""
    fitted.now += 10 * fitted.settings.fit_max_wait_s
    assert fitted.look().reason == ""
    fitted.label(POOL[:2], RIGHT)
    assert "2 new labels have waited" in fitted.look().reason


def test_a_failed_fit_is_tried_again_although_the_clock_was_set_back(fitted: House) -> None:
    fitted.pool.update(FitState, lambda state: replace(state, failures_in_a_row=1, failed_at=fitted.now))
    fitted.label(POOL[:FIT_EVERY], RIGHT)
    assert fitted.look().message.startswith("The last fit failed; the next try is in 60 s")
    fitted.now -= 3600
    assert fitted.look().reason == f"{FIT_EVERY} new labels"


def test_once_the_labels_are_right_again_so_is_the_version(fitted: House) -> None:
    good = fitted.active_version
    fitted.label(TRAIN, WRONG)
    fitted.fit()
    fitted.label(TRAIN, RIGHT)
    third = fitted.fit_on_demand()
    assert fitted.active_version == third
    assert fitted.registry.card(PROJECT, third).parent == good
    assert fitted.jobs.demanded(PROJECT) == ""


def test_a_demanded_version_can_be_refused_too(fitted: House) -> None:
    good = fitted.active_version
    fitted.label(TRAIN, WRONG)
    assert fitted.registry.card(PROJECT, fitted.fit_on_demand()).refused
    assert fitted.active_version == good
    assert fitted.jobs.demanded(PROJECT) == ""


def test_with_a_margin_of_one_every_version_is_promoted(house_of: MakeHouse) -> None:
    house = house_of(promote_margin=1)
    house.label(HOLDOUT, RIGHT, holdout=True)
    house.label(TRAIN, RIGHT)
    assert house.combined(house.fit()) > 0.8
    house.label(TRAIN, WRONG)
    bad = house.fit()
    assert house.combined(bad) < 0.5
    assert house.active_version == bad


def test_both_are_measured_on_the_holdout_of_today(house_of: MakeHouse) -> None:
    house = house_of()
    house.label(HOLDOUT, WRONG, holdout=True)
    house.label(TRAIN, RIGHT)
    good = house.fit()
    assert house.combined(good) < 0.2
    house.label(HOLDOUT, RIGHT, holdout=True)
    house.label(TRAIN, WRONG)
    bad = house.fit()
    assert house.combined(bad) < 0.2, "by the cards they are alike"
    assert house.active_version == good
    house.label(HOLDOUT, WRONG, holdout=True)
    new = house.fit_on_demand()
    assert house.active_version == new != bad


def test_labels_held_out_that_the_active_version_has_learnt_do_not_speak_against_the_next(house_of: MakeHouse) -> None:
    house = house_of()
    house.label(TRAIN, RIGHT)
    house.label(HOLDOUT, RIGHT)
    first = house.fit()
    house.label(HOLDOUT, RIGHT, holdout=True)
    second = house.fit()
    assert house.registry.card(PROJECT, second).parent == first
    assert "the holdout" not in house.registry.card(PROJECT, second).verdict
    third = house.fit_on_demand()
    assert house.active_version == third
    assert house.registry.card(PROJECT, third).verdict == f"judged by the holdout ({len(HOLDOUT)})"


def test_without_a_holdout_a_version_that_knows_its_labels_is_promoted(house_of: MakeHouse) -> None:
    house = house_of()
    house.label(TRAIN, RIGHT)
    first = house.fit()
    house.label(TRAIN, WRONG)
    new = house.fit()
    assert house.active_version == new != first
    why = f"24 labels are too few, or too hard for {first}, to tell whether it is worse"
    assert house.registry.card(PROJECT, new).unjudged == why
    house.label(POOL[:FIT_EVERY], WRONG)
    third = house.fit()
    assert house.registry.card(PROJECT, third).verdict == "judged by the labels that it was fitted on (32)"
    assert "32 labels, no labelled holdout, judged by the labels" in house.board.fit(PROJECT).message


@pytest.mark.parametrize(
    ("head", "spoilt", "held_out"),
    [
        ("on", {"learning_rate": 0.5}, 0),
        ("off", {"learning_rate": 0.5}, 0),
        ("on", {"fit_steps": 1, "learning_rate": 1e-4}, 3),
    ],
    ids=["collapsed", "without heads", "hardly fitted, with a holdout that is too small"],
)
def test_a_fit_that_went_wrong_is_refused_without_a_holdout_and_the_next_one_comes_with_new_labels(
    head: str, spoilt: dict[str, object], held_out: int, house_of: MakeHouse
) -> None:
    house = house_of(head=head)
    house.label(HOLDOUT[:held_out], RIGHT, holdout=True)
    house.label(TRAIN, RIGHT)
    good = house.fit()
    broken = house_of(head=head, **spoilt)
    broken.label(TRAIN, RIGHT)
    broken.label(POOL[:FIT_EVERY], RIGHT)
    bad = broken.fit()
    assert broken.active_version == good != bad
    card = broken.registry.card(PROJECT, bad)
    assert re.fullmatch(
        rf"its combined score on the labels that both were fitted on, 0\.\d+, is 0\.\d+ below that of {good}, "
        r"more than PROMOTE_MARGIN=0\.05",
        card.refused,
    )
    assert (card.judged, card.unjudged) == ("the labels that both were fitted on (24)", "")
    assert (broken.board.fit(PROJECT).refused, broken.look().reason, broken.look().pending) == (1, "", 0)
    again = house_of(head=head)
    again.label(POOL[: FIT_EVERY - 1], RIGHT)
    again.label(POOL[: 2 * FIT_EVERY], RIGHT)
    assert again.active_version == good
    third = again.fit()
    assert again.active_version == third
    assert again.registry.card(PROJECT, third).parent == good


def test_the_gate_asks_nothing_about_the_control_set(house_of: MakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    house, asked = house_of(head="off"), list[int]()
    house.label(HOLDOUT[:3], RIGHT, holdout=True)
    control = [
        TaskRow(i, Example(i, f"yes, {i}"), False, False, False, 1, (Vote("pos", False, ""),), draw="a") for i in POOL
    ]
    house.pool.upsert(control[:4])
    house.label(TRAIN, RIGHT)
    house.fit()
    score = house.resident.score

    def scored(card: Card, examples: Sequence[Example], *rest: Any, **named: Any) -> Any:
        asked.extend(example.id for example in examples)
        return score(card, examples, *rest, **named)

    monkeypatch.setattr(house.resident, "score", scored)
    second = house.fit_on_demand()
    assert house.registry.card(PROJECT, second).judged
    assert sorted(asked) == sorted([*TRAIN, *TRAIN, *HOLDOUT[:3]]), "of both, then all"


def test_too_few_labels_to_tell_are_said(house_of: MakeHouse) -> None:
    house = house_of(fit_every=4, fit_steps=1)
    house.label(TRAIN[:4], RIGHT)
    first = house.fit()
    assert house.registry.card(PROJECT, first).verdict == "", "there was none before"
    house.label(TRAIN[:8], RIGHT)
    card = house.registry.card(PROJECT, house.fit())
    assert (card.refused, card.judged) == ("", "")
    assert card.unjudged == f"8 labels are too few, or too hard for {first}, to tell whether it is worse"
    assert house.active_version == card.version


def test_with_other_classes_there_is_nothing_to_compare(fitted: House) -> None:
    first = fitted.active_version
    fitted.configure(CONFIG.replace(CHOICES, CHOICES + '<Choice value="other"/>'))
    fitted.label(TRAIN, WRONG)
    assert fitted.look().reason == "the project's labels changed"
    new = fitted.fit()
    assert fitted.active_version == new != first
    assert fitted.look().reason == ""
    assert fitted.registry.card(PROJECT, new).unjudged == f"{first} has other classes"


def test_a_version_that_cannot_be_loaded_keeps_none_from_its_place(fitted: House, house_of: MakeHouse) -> None:
    good = fitted.active_version
    weights = fitted.registry.path(PROJECT, good) / "model.safetensors"
    weights.write_bytes(bytes(weights.stat().st_size))
    restarted = house_of()
    restarted.label(TRAIN, WRONG)
    assert restarted.active_version == good, "a look does not tell"
    new = restarted.fit()
    assert restarted.active_version == new
    assert restarted.board.fit(PROJECT).refused == 0
    assert restarted.registry.card(PROJECT, new).unjudged == f"{good} cannot be loaded"


def test_after_a_rollback_the_older_version_stays_until_the_next_fit(fitted: House) -> None:
    first = fitted.active_version
    fitted.label(POOL[:FIT_EVERY], RIGHT)
    second = fitted.fit()
    fitted.registry.promote(PROJECT, first)
    fitted.now += 10 * fitted.settings.fit_max_wait_s
    assert fitted.look().reason == ""
    assert fitted.fit() == second
    assert fitted.active_version == first
    fitted.label(POOL[FIT_EVERY : 2 * FIT_EVERY], RIGHT)
    third = fitted.fit()
    assert fitted.active_version == third
    assert fitted.registry.card(PROJECT, third).parent == first


def test_a_damaged_version_is_replaced_by_a_fit_on_the_same_labels(fitted: House, house_of: MakeHouse) -> None:
    first = fitted.active_version
    fitted.label(POOL[:FIT_EVERY], RIGHT)
    second = fitted.fit()
    (fitted.registry.path(PROJECT, second) / "model.safetensors").unlink()
    restarted = house_of()
    restarted.label(POOL[:FIT_EVERY], RIGHT)
    assert restarted.active_version == first
    assert restarted.look().reason == f"{FIT_EVERY} new labels"
    third = restarted.fit()
    assert third not in (first, second)
    assert restarted.active_version == third


def test_a_fit_that_ends_in_no_numbers_changes_nothing(fitted: House, house_of: MakeHouse, tmp_path: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(fitted.settings.base_model)
    torch.nn.init.constant_(model.classifier.weight, float("nan"))
    model.save_pretrained(tmp_path / "nan")
    AutoTokenizer.from_pretrained(fitted.settings.base_model).save_pretrained(tmp_path / "nan")
    version = fitted.active_version
    house = house_of(tmp_path / "nan")
    house.label(POOL[:FIT_EVERY], RIGHT)
    assert house.fit() == version
    assert house.active_version == version
    assert house.board.fit(PROJECT).state == "failed"
    assert "weights that are not numbers" in house.board.fit(PROJECT).message


def test_a_fit_that_died_with_its_trainer_is_not_said_to_run(fitted: House) -> None:
    fitted.board.put_fit(PROJECT, 0.0, state="fitting", stage="score", done=287, total=343)
    with lock(fitted.settings.model_dir, f"fit.{PROJECT}"):
        fitted.fitter.say_interrupted()
        assert fitted.board.fit(PROJECT).state == "fitting", "another trainer is at it"
    fitted.fitter.say_interrupted()
    assert (fitted.board.fit(PROJECT).state, fitted.board.fit(PROJECT).failures) == ("idle", 0)
    assert "was interrupted" in fitted.board.fit(PROJECT).message


def test_a_full_disk_changes_nothing_and_is_said(fitted: House) -> None:
    # Real writes fail: no file may become as large as the weights are.
    version = fitted.active_version
    fitted.label(POOL[:FIT_EVERY], RIGHT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        assert fitted.fit() == version
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert fitted.active_version == version
    there = {path.name for path in fitted.registry.path(PROJECT, version).parent.iterdir()}
    assert there == {version, "CURRENT", "ACTIVE_BEFORE", "history.jsonl"}
    status = fitted.board.fit(PROJECT)
    assert (status.state, status.failures_in_a_row) == ("failed", 1)
    assert f"cannot be saved in MODEL_DIR={fitted.settings.model_dir}" in status.message
    assert "File too large" in status.message
    assert "prune --keep 1` deletes old versions" in status.message
    new = fitted.fit_on_demand()
    assert fitted.active_version == new != version


# Another text


WITH_ID = CONFIG.replace("<Text ", '<Text name="key" value="$text_id"/><Text ', 1)


@pytest.mark.parametrize(
    ("texts", "config", "reason"),
    [
        ("text", CONFIG, ""),
        ("title, text", CONFIG, "what makes the text changed"),
        ("", CONFIG, ""),  # a card of a release that left nothing out
        ("", WITH_ID, "what makes the text changed"),  # that release took the identifier for half of a pair
        ("text", WITH_ID, ""),
    ],
    ids=["the same", "chosen anew", "an old card", "an old card of a pair", "left out before"],
)
def test_a_version_that_was_fitted_on_other_fields_is_made_anew(
    fitted: House, texts: str, config: str, reason: str
) -> None:
    path = fitted.registry.path(PROJECT, fitted.active_version) / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "texts": texts}))
    fitted.configure(config)
    assert fitted.look().reason == reason
