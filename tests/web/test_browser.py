"""The pages in a real browser: what is drawn, kept, said and pressed, on a phone, in the dark, by keyboard."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from helpers import screenshots
from helpers.browser import answering, browsing, context_of
from helpers.paths import ROOT
from helpers.served import client_of
from helpers.shown_project import as_another, fill
from helpers.told_studio import Studio as ToldStudio
from helpers.told_studio import backend
from helpers.waiting import WAIT_S, wait_until
from nextlabel.loop.pressing import Pressing
from nextlabel.problems.look_again import LookAgain
from nextlabel.problems.people import People, Person, Today
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.presses import ASKED, DONE, Presses
from nextlabel.store.status import StatusBoard
from nextlabel.values.options import LATEST, OF_0_1_0, ProjectOptions
from nextlabel.versions.registry import Registry
from nextlabel.web import access

PROJECT = 7
HURRIED = """() => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = (ms) => timeout(ms * (window.hurry ?? 1));
}"""  # the page's patience is no matter of its clock
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"
DRAWN = """() => {
    const canvas = document.querySelector("#plot canvas");
    const seen = canvas?.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data ?? [];
    return new Set(seen.filter((_, i) => i % 4 === 3)).size;
}"""
# WCAG 2.2, 1.4.3: of each text that is shown, how far its colour stands out from the ground behind it.
FAINT = """() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (rgb) => {
        const [r, g, b] = rgb.map((c) => c / 255).map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const [r, g, b, a = 1] = parts(getComputedStyle(at).backgroundColor);
            if (a === 1) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return [...document.querySelectorAll("body *")].filter((e) => own(e) && e.checkVisibility()).map((e) => {
        const [a, b] = [light(parts(getComputedStyle(e).color).slice(0, 3)), light(ground(e))];
        return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.localName + " " + e.className];
    }).filter(([contrast]) => contrast < 4.5);
}"""


@pytest.fixture(scope="module")
def browser(patience: None) -> Iterator[Any]:
    with browsing() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path, PROJECT, datetime.now(timezone.utc))
    return tmp_path


@pytest.fixture
def address(home: Path) -> Iterator[str]:
    with answering(client_of(home).application) as found:
        yield found


class Shown:
    """A page in a browser, with all that the browser complains of and asks for."""

    def __init__(self, browser: Any, **options: Any):
        self.context = context_of(browser, **{"viewport": DESK, **options})
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))

    def open(self, address: str) -> Any:
        """Load it, and wait until the first document has come."""
        with self.page.expect_response(lambda answer: "/api/" in answer.url):
            self.page.goto(address)
        return self.page


def test_the_whole_page_is_drawn_and_nothing_is_complained_of(browser: Any, address: str) -> None:
    for look in ({}, {"viewport": PHONE}, {"color_scheme": "dark"}, {"viewport": PHONE, "color_scheme": "dark"}):
        shown = Shown(browser, **look)
        page = shown.open(address)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        page.wait_for_selector("#plot canvas")
        assert page.evaluate(DRAWN) > 2, "lines, and a band that shines through"
        assert page.evaluate(OVERFLOW) <= 0, look
        assert page.evaluate(FAINT) == [], look
        assert shown.complaints == []
        assert {urlsplit(url).netloc for url in shown.asked} == {urlsplit(address).netloc}
        shown.context.close()


def test_below_the_curve_stand_the_newest_versions_values_until_another_is_pointed_to(
    browser: Any, address: str, home: Path
) -> None:
    shown = Shown(browser)
    page = shown.open(address)
    page.wait_for_selector("#plot canvas")
    newest = StatusBoard(home).history(PROJECT).points[-1]
    assert newest.accuracy is not None
    assert newest.accuracy.value is not None
    told = page.locator("#plot .u-legend")
    words = [str(newest.labels), f"{100 * newest.accuracy.value:.0f} %"]
    assert [word for word in words if word not in told.inner_text()] == []
    page.hover("#plot .u-over", position={"x": 5, "y": 50})
    page.wait_for_function(
        "(labels) => !document.querySelector('#plot .u-legend').innerText.includes(labels)", arg=words[0]
    )
    page.mouse.move(0, 0)
    page.wait_for_function(
        "(labels) => document.querySelector('#plot .u-legend').innerText.includes(labels)", arg=words[0]
    )
    shown.context.close()


def test_what_is_polled_changes_in_its_place(browser: Any, address: str, home: Path) -> None:
    shown = Shown(browser, viewport={"width": 900, "height": 300})
    shown.page.clock.install()
    page = shown.open(address)
    page.wait_for_selector("#plot canvas")
    page.click("#options > summary")
    page.click("#ask-promote-7 > summary")
    page.focus("#press-promote-7")
    where = page.evaluate("window.scrollY")
    now = datetime.now(timezone.utc)
    StatusBoard(home).put_queue(PROJECT, now.timestamp(), labels=351, warnings=("A new one.",))
    StatusBoard(home).put_queue(PROJECT, now.timestamp(), how_to_find="Versions change, too.")
    page.clock.run_for(4000)
    page.wait_for_selector("#panel-versions >> text=Versions change, too")
    page.wait_for_selector("#panel-figures >> text=351")
    assert page.inner_text("#panel-notes").count("A new one.") == 1
    assert page.evaluate("[options.open, document.getElementById('ask-promote-7').open]") == [True, True]
    assert page.evaluate("document.activeElement.id") == "press-promote-7"
    assert abs(page.evaluate("window.scrollY") - where) < 60, "by no more than the sections above have grown"
    assert page.locator("#plot canvas").count() == 1
    assert shown.complaints == []
    shown.context.close()


def test_the_first_screen_of_a_phone_answers_a_leads_first_question(browser: Any, address: str, home: Path) -> None:
    board, at = StatusBoard(home), datetime.now(timezone.utc).timestamp()
    one = board.quality(PROJECT)
    of_form = tuple(replace(one, question=name) for name in ("topic", "tone", "urgency"))
    board.put_quality(PROJECT, replace(of_form[0], questions=of_form))
    shown = Shown(browser, viewport={"width": 390, "height": 844})
    shown.page.clock.install()
    page = shown.open(address)
    for words in ("published", "What next:", "Label", "Accuracy, urgency", "Does the order help?", "Left to label"):
        place = page.locator("main").get_by_text(words).first.bounding_box()
        assert place["y"] + place["height"] < 844, words
    assert page.evaluate("document.documentElement.scrollHeight") < 2 * 844
    assert page.locator("details[open]").count() == 0
    page.focus("#classes > summary")
    page.keyboard.press("Enter")
    assert page.is_visible("text=by the control set's labels >> nth=0")
    board.put_quality(PROJECT, replace(of_form[0], questions=of_form[:2]))
    board.put_queue(PROJECT, at, how_to_find="Versions change, too.")
    page.clock.run_for(4000)
    renewed = ("!document.getElementById('panel-classes').textContent.includes('urgency')",
               "document.getElementById('panel-versions').textContent.includes('Versions change, too')")  # fmt: skip
    wait_until(lambda: all(page.evaluate(one) for one in renewed), "both sections anew")
    open_ones = "[...document.querySelectorAll('details[open]')].map((one) => one.id)"
    assert page.evaluate(open_ones) == ["classes"], "what changes is as open as it was"
    page.click("#curve > summary")
    page.wait_for_selector("#plot canvas")
    assert shown.complaints == []
    shown.context.close()


def test_on_a_wide_screen_all_but_tables_for_a_few_stands_open(browser: Any, address: str) -> None:
    shown = Shown(browser)
    page = shown.open(address)
    shut = "[...document.querySelectorAll('details[id]:not([open]):not(.ask)')].map((one) => one.id)"
    assert page.evaluate(shut) == ["curve-table", "options", "timings"]
    assert page.is_visible("#people > p")
    page.click("#people > summary")
    page.evaluate("scrollTo(0, 0)")
    assert page.is_hidden("#people > p")
    shown.context.close()


def test_a_backend_that_does_not_answer_is_said_until_it_does(browser: Any, home: Path) -> None:
    shown, app = Shown(browser), client_of(home).application
    shown.page.clock.install()
    with ExitStack() as first:
        address = first.enter_context(answering(app))
        page = shown.open(address)
        assert page.is_hidden("#unreachable")
    for _ in range(2):
        with page.expect_event("requestfailed"):
            page.clock.run_for(7000)
    page.wait_for_selector("#unreachable >> text=The backend does not answer. What stands here was so at")
    assert "347" in page.inner_text("#panel-figures"), "what was known still stands there"
    with answering(app, urlsplit(address).port or 0):
        with page.expect_response(lambda answer: answer.status in (200, 304)):
            page.clock.run_for(13_000)
        page.wait_for_selector("#unreachable", state="hidden")
    shown.context.close()


def test_a_backend_that_takes_too_long_is_said_not_to_answer_and_believed_again_once_it_does(
    browser: Any, home: Path
) -> None:
    shown, app, may_answer = Shown(browser), client_of(home).application, threading.Event()
    answer = app.wsgi_app

    def slowly(environ: dict[str, Any], start: Any) -> Any:
        assert not environ["PATH_INFO"].endswith("/page") or may_answer.wait(WAIT_S)
        return answer(environ, start)

    may_answer.set()
    shown.page.clock.install()
    shown.page.add_init_script(HURRIED)
    with patch.object(app, "wsgi_app", slowly), answering(app) as address:
        page = shown.open(address)

        def later() -> bool:
            page.clock.run_for(13_000)
            return bool(page.is_visible("#unreachable"))

        may_answer.clear()
        page.evaluate("window.hurry = 0.01")
        wait_until(later, "it to be said")
        assert "The backend does not answer. What stands here was so at" in page.inner_text("#unreachable")
        assert "347" in page.inner_text("#panel-figures"), "what was known still stands there"
        page.evaluate("window.hurry = 1")
        StatusBoard(home).put_queue(PROJECT, datetime.now(timezone.utc).timestamp(), labels=351)
        may_answer.set()
        wait_until(lambda: not later(), "it to be believed again")
        page.wait_for_selector("#panel-figures >> text=351")
    shown.context.close()


def test_a_hidden_tab_asks_once_a_minute(browser: Any, address: str) -> None:
    shown = Shown(browser)
    shown.page.clock.install()
    shown.page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => true})")
    page = shown.open(address)
    page.clock.run_for(55_000)
    assert sum("/api/" in url for url in shown.asked) == 1
    with page.expect_response(lambda answer: "/api/" in answer.url):
        page.clock.run_for(6_000)
    shown.context.close()


def test_who_comes_back_to_a_page_finds_buttons_that_work(browser: Any, address: str) -> None:
    shown, token = Shown(browser), "document.querySelector('#form-fit > input').value"
    page = shown.open(address)
    page.evaluate(f"{token} = 'of last week'")
    with page.expect_response("**/actions"):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    wait_until(lambda: page.evaluate(f"{token} !== 'of last week'"), "another token")
    with page.expect_navigation() as pressed:
        page.click("#press-fit")
    assert pressed.value.status == 200
    shown.context.close()


def test_a_button_is_reached_and_pressed_by_keyboard(browser: Any, address: str, home: Path) -> None:
    shown, board = Shown(browser), StatusBoard(home)
    with patch.object(access, "form_token", "{} {}".format):
        page, reached = shown.open(address), list[str]()
    page.route("**/actions/*", lambda route: route.fulfill(status=204))
    while not reached or reached[-1] != "ask-promote-7":
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.parentElement.id"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", "seen where it is"
        assert len(reached) < 200
    following, doubtful = board.next_tasks(PROJECT).tasks[0].task, board.look_again(PROJECT).tasks[0].task
    assert {"press-fit", f"next-{following}", f"again-{doubtful}", "press-label"} <= set(reached)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    with page.expect_request("**/actions/promote") as pressed:
        page.keyboard.press("Enter")
    sent = pressed.value.post_data_json
    assert (sent["token"], sent["about"][:12]) == (f"{PROJECT} promote", "nextlabel-7-")
    shown.context.close()


def test_without_scripts_the_page_says_the_same(browser: Any, address: str, home: Path) -> None:
    shown = Shown(browser, java_script_enabled=False)
    shown.page.goto(address)
    for words in ("347", StatusBoard(home).next_tasks(PROJECT).tasks[0].why, "Fit now", "Promote"):
        assert words in shown.page.inner_text("main")
    shown.page.click("#curve-table > summary")
    assert shown.page.is_visible("text=Accuracy of random sampling")
    shown.context.close()


def test_the_documentations_pictures_are_of_this_page_and_load_fast(browser: Any, tmp_path: Path) -> None:
    screenshots.take(browser, tmp_path)
    assert {path.name for path in tmp_path.glob("*.png")} == set(screenshots.PICTURES)
    shown = (ROOT / "docs" / "page.md").read_text(encoding="utf-8")
    for name in screenshots.PICTURES:
        assert f"]({name})" in shown
        for directory in (tmp_path, ROOT / "docs"):
            assert 10_000 < (directory / name).stat().st_size < 300_000


def test_twenty_projects_fit_on_a_phone_and_lead_to_theirs(browser: Any, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    fill(tmp_path, 20, now, "Mails of the shop in the old town, part 20")
    for project in range(1, 20):
        as_another(tmp_path, 20, project, f"Mails of the shop in the old town, part {project}")
    with answering(client_of(tmp_path).application) as address:
        shown = Shown(browser, viewport=PHONE, color_scheme="dark")
        shown.page.clock.install()
        page = shown.open(address)
        assert page.locator("tbody tr").count() == 20
        assert page.evaluate(OVERFLOW) <= 0
        StatusBoard(tmp_path).put_queue(3, now.timestamp(), labels=999)
        page.clock.run_for(4000)
        page.wait_for_selector("tbody tr:nth-child(3) >> text=999")
        with page.expect_response(lambda answer: "/api/projects/20/page" in answer.url):
            page.click("#project-20")
        assert "part 20 #20" in page.inner_text("h1")
        assert shown.complaints == []
        shown.context.close()


def test_who_asks_for_what_is_not_there_is_led_to_what_is(browser: Any, address: str) -> None:
    shown = Shown(browser, viewport=PHONE, color_scheme="dark")
    shown.page.goto(f"{address}/projects/99")
    assert "No project 99 is connected to this backend, only 7." in shown.page.inner_text("main")
    assert (shown.page.evaluate(FAINT), shown.page.evaluate(OVERFLOW) <= 0) == ([], True)
    with shown.page.expect_response(lambda answer: "/api/" in answer.url):
        shown.page.click("text=All projects")
    assert "Mails to the shop" in shown.page.inner_text("h1")
    shown.context.close()


def test_pressed_buttons_do_what_they_say(browser: Any, address: str, home: Path) -> None:
    shown, registry = Shown(browser), Registry(home)
    page = shown.open(address)
    with page.expect_navigation():
        page.click("#press-fit")
    assert JobQueue(home).demanded(PROJECT)
    assert "Mails to the shop" in page.inner_text("h1"), "the page again"
    page.click("#ask-promote-7 > summary")
    with page.expect_navigation():
        page.click("#press-promote-7")
    assert registry.promoted(PROJECT).startswith("nextlabel-7-")
    with page.expect_download() as download:
        page.click("#zip-8")
    assert download.value.suggested_filename.startswith("nextlabel-8-")
    assert shown.complaints == []
    shown.context.close()


class Studio(ToldStudio):
    """Keeps the options of the backend."""

    def update_ml_backend(
        self, backend: int, project: int, url: str, title: str, user: str, password: str, extra: Mapping[str, Any]
    ) -> None:
        self._backends = [replace(row, extra_params=extra) for row in self._backends]


class Pressed:
    """A page whose buttons are pressed, and a trainer that answers."""

    def __init__(self, shown: Shown, address: str, home: Path):
        self.page, self.presses, self.registry = shown.open(address), Presses(home), Registry(home)
        studio = Studio(backend(self.registry.options(PROJECT).put_into({})))
        settings = Settings(_env_file=None, model_dir=home)
        self.trainer = Pressing(settings, self.registry, studio, JobQueue(home))

    def press(self, *clicks: str) -> ProjectOptions:
        """One after the other, of which the last sends the form; the options that the trainer has made of it."""
        *before, last = clicks
        for selector in before:
            self.page.click(selector)
        return self.send(last)

    def send(self, selector: str) -> ProjectOptions:
        """Press a button that asks the trainer."""
        with self.page.expect_navigation():
            self.page.click(selector)
        assert self.presses.all(PROJECT)[0].outcome == ASKED
        assert "asked of the trainer" in self.page.inner_text("#panel-actions")
        self.trainer.do(PROJECT)
        assert self.presses.all(PROJECT)[0].outcome == DONE
        self.page.wait_for_selector("#panel-actions >> text=asked of the trainer", state="detached")
        return self.registry.options(PROJECT)


def test_buttons_for_the_trainer_change_what_is_kept_and_what_is_offered_next(
    browser: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextlabel.labelstudio.registration.LOOK_S", 0.0)
    board, registry = StatusBoard(home), Registry(home)
    board.put_look_again(PROJECT, LookAgain(1.0))
    board.put_people(
        PROJECT, People(1.0, True, Today(3, 1), 9.1, people=(Person("ada@shop.example", 3, 9, 9.1, 0, 0, ""),))
    )
    registry.put_options(PROJECT, replace(registry.options(PROJECT), defaults=OF_0_1_0, own={}))
    shown = Shown(browser)
    with answering(client_of(home).application) as address:
        lead = Pressed(shown, address, home)
        page = lead.page
        assert lead.press("#press-pause").pause
        page.wait_for_selector("#press-resume")
        assert not page.query_selector("#press-fit, #press-pause")
        assert not lead.press("#press-resume").pause
        page.wait_for_selector("#press-fit")
        assert lead.press("#ask-look_again > summary", "#press-look_again").look_again == 3
        assert not page.query_selector("text=ada@shop.example")
        assert lead.press("#ask-show_names > summary", "#press-show_names").show_people
        page.wait_for_selector("#panel-people >> text=ada@shop.example")
        assert not lead.press("#press-show_names").show_people
        page.wait_for_selector("#panel-people >> text=ada@shop.example", state="detached")
        with page.expect_navigation():
            page.click("#press-take_defaults")
        assert "strategy=margin (before: entropy)" in page.inner_text("main")
        assert (registry.options(PROJECT).defaults, lead.presses.asked(PROJECT)) == (OF_0_1_0, []), "not yet"
        assert lead.send("text=Take them").defaults == LATEST
        page.wait_for_selector("#press-take_defaults", state="detached")
    assert shown.complaints == []
    shown.context.close()


def test_a_version_is_rolled_back_to_what_was_active_before(browser: Any, address: str, home: Path) -> None:
    shown, registry = Shown(browser), Registry(home)
    newest, older = (registry.versions(PROJECT)[n] for n in (0, 2))
    registry.promote(PROJECT, older)
    registry.promote(PROJECT, newest)
    page = shown.open(address)
    page.click("#ask-rollback > summary")
    with page.expect_navigation():
        page.click("#press-rollback")
    assert registry.promoted(PROJECT) == older
    assert Presses(home).all(PROJECT)[0].outcome == DONE
    assert shown.complaints == []
    shown.context.close()
