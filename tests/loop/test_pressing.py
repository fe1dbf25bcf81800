"""What becomes of a press, without Label Studio's answer: of a fit that is asked for, and where nothing can be done."""

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.house import FIT_EVERY, PROJECT, RIGHT, TRAIN, House
from helpers.told_studio import Studio, backend
from helpers.versions import make_card, write_weights
from nextlabel.loop.controller import Controller
from nextlabel.loop.pressing import Pressing
from nextlabel.problems.look_again import LookAgain
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.presses import ASKED, DONE, FIT, REFUSED, Presses
from nextlabel.store.status import StatusBoard
from nextlabel.versions.endings import Ending, Endings
from nextlabel.versions.registry import Registry

ENDING = Ending(PROJECT, "run", "nextlabel-1", "all", 0, {}, "2026-01-01T00:00:00+00:00")


def outcomes(model_dir: Path) -> list[str]:
    return [press.outcome for press in Presses(model_dir).all(PROJECT)]


def asked_for(model_dir: Path) -> None:
    """As the page does."""
    JobQueue(model_dir).demand_fit(PROJECT)
    Presses(model_dir).add(PROJECT, "me", FIT, "", ASKED)


def test_a_fit_is_asked_for_until_it_begins(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house, seen = House(tmp_path, tiny), list[str]()
    house.label(TRAIN[:1], RIGHT)
    asked_for(tmp_path)
    pressing = Pressing(house.settings, house.registry, Studio(), house.jobs)
    pressing.do(PROJECT)
    house.fit()
    assert (outcomes(tmp_path), pressing.waits(PROJECT)) == ([ASKED], False), "labels of one class alone make no fit"
    house.label(TRAIN[:FIT_EVERY], RIGHT)

    def look(*_: object) -> None:
        seen.extend(outcomes(tmp_path))
        raise KeyboardInterrupt

    monkeypatch.setattr(house.fitter, "_make_version", look)
    with pytest.raises(KeyboardInterrupt):
        house.fit()
    assert seen == [DONE]


def test_a_fit_that_was_made_before_its_press_was_noted_is_done(tmp_path: Path) -> None:
    Presses(tmp_path).add(PROJECT, "me", FIT, "", ASKED)
    settings, jobs = Settings(_env_file=None, model_dir=tmp_path), JobQueue(tmp_path)
    Pressing(settings, Registry(tmp_path), Studio(), jobs).do(PROJECT)
    assert outcomes(tmp_path) == [DONE]


@pytest.mark.parametrize(
    ("state", "studio"), [("disconnected", Studio()), ("disconnected", Studio(there=False)), ("ended", Studio())]
)
def test_of_a_project_that_is_left_alone_nothing_is_open_and_no_fit_comes_later(
    state: str, studio: Studio, tmp_path: Path
) -> None:
    registry, board, jobs = Registry(tmp_path), StatusBoard(tmp_path), JobQueue(tmp_path)
    registry.save(make_card(1), {1: "pos"}, write_weights)
    board.put_look_again(PROJECT, LookAgain(1.0, on=True, open=1, most_open=3))
    board.put_queue(
        PROJECT, 1.0, labels=64, left=100, due="64 new labels", paused="It rests", window=12, held=2, unscored=9
    )
    if state == "ended":
        studio = Studio(backend({}))
        Endings(tmp_path).begin(replace(ENDING, project=PROJECT), [])
    asked_for(tmp_path)
    settings = Settings(_env_file=None, model_dir=tmp_path, device="cpu")
    Controller(settings, registry, board, studio, jobs).reconcile(PROJECT, thorough=False)
    assert (board.queue(PROJECT).state, board.look_again(PROJECT)) == (state, LookAgain())
    found = board.queue(PROJECT)
    assert (found.due, found.paused, found.window, found.held, found.unscored) == ("", "", 0, 0, 0), "nothing comes"
    assert (found.labels, found.left) == (64, 100), "what it has it keeps"
    assert (outcomes(tmp_path), jobs.demanded(PROJECT)) == ([REFUSED], "")
    assert Presses(tmp_path).all(PROJECT)[0].why == board.queue(PROJECT).message
