"""What is said before a project is connected: what changes for whom, which labels count, what it takes."""

from dataclasses import replace

import pytest

from nextlabel.labelstudio import preview_words as words
from nextlabel.labelstudio.client import SEQUENTIAL, UNCERTAINTY, MLBackend, Project
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Plan
from nextlabel.labelstudio.preview_words import Counted, FirstOrder, Fits, Room
from nextlabel.values.layout import encoded
from nextlabel.values.options import LATEST, ProjectOptions
from nextlabel.values.survey import NOT_COUNTED, CountedLess, Note, Seen, Survey
from nextlabel.values.versions import is_ours

URL = "http://localhost:9090"
CHOICES = '<Choice value="a"/><Choice value="b"/>'
XML = f'<View><Text name="t" value="$body"/><Choices name="c" toName="t">{CHOICES}</Choices></View>'
NEW = Project(7, "tickets", XML, SEQUENTIAL, "bert-v3", True, 20_000, 10_000, False, False)
OPTIONS = ProjectOptions(defaults=LATEST)
BACKEND = MLBackend(3, URL, "Nextlabel", "nextlabel-5-x", "Connected", "", OPTIONS.put_into({}))
GIB = 2**30
UNSURE = ProjectOptions(ignored_labels=("c",))


def plan(project: Project = NEW, backend: MLBackend | None = None, shown: bool = False) -> Plan:
    another = not is_ours(project.model_version) and bool(project.model_version)
    registered = (backend,) if backend else ()
    return Plan(project, URL, registered, backend, OPTIONS, parse_label_config(XML), shown, another)


def test_settings_are_told_before_and_after() -> None:
    assert words.on_settings(plan(), True, []) == (
        "settings: sampling 'Sequential sampling' becomes 'Uncertainty sampling'; show_collab_predictions True becomes "
        "False; model_version 'bert-v3' becomes ''; the ML backend http://localhost:9090 is registered; its webhook is "
        "created. `--disconnect` puts it back."
    )


def test_of_a_connected_project_only_what_differs_is_told() -> None:
    connected = replace(NEW, sampling=UNCERTAINTY, show_predictions=False, model_version="nextlabel-5-x")
    assert words.on_settings(plan(connected, BACKEND), False, []) == "settings: nothing changes."
    spoilt = replace(BACKEND, state="Error")
    assert words.on_settings(plan(connected, spoilt), True, ["takes over head=on (before: off)"]) == (
        "settings: the ML backend http://localhost:9090 is corrected; its webhook is made right; takes over head=on "
        "(before: off). `--disconnect` puts back what was before the first connection."
    )


def test_a_backend_that_moves_is_told_with_both_addresses() -> None:
    connected = replace(NEW, sampling=UNCERTAINTY, show_predictions=False, model_version="nextlabel-5-x")
    elsewhere = replace(BACKEND, url="http://old.example.org:9090")
    assert "the ML backend http://old.example.org:9090 moves to http://localhost:9090" in words.on_settings(
        plan(connected, elsewhere), True, []
    )


def test_registrations_that_go_and_options_that_are_taken_out_are_told() -> None:
    connected = replace(NEW, sampling=UNCERTAINTY, show_predictions=False, model_version="nextlabel-5-x")
    other = replace(BACKEND, id=4, url="http://me:secret@old.example.org:9090")
    found = plan(connected, BACKEND)
    found = replace(found, registered=(BACKEND, other), spoilt=("nextlabel.fields=7",))
    assert words.on_settings(found, False, []) == (
        "settings: the ML backend http://********@old.example.org:9090, an earlier address, is removed; "
        "nextlabel.fields=7, which is not possible, is taken out. `--disconnect` puts back what was before the first "
        "connection."
    )


@pytest.mark.parametrize(
    ("project", "shown", "said"),
    [
        (NEW, False, "those of 'bert-v3' (5,000 predictions) vanish for annotators; Label Studio keeps them."),
        (NEW, True, "Nextlabel's guesses are shown."),
        (replace(NEW, model_version="Our GPT"), False, "those of the ML backend 'Our GPT' vanish for annotators"),
        (replace(NEW, model_version=""), False, "follows no model version, so annotators see none and none vanish"),
        (replace(NEW, show_predictions=False), False, "annotators see none now, so none vanish. Nextlabel's guesses"),
        (replace(NEW, model_version="nextlabel-5-x"), True, "those of nextlabel-5-x stay."),
        (replace(NEW, model_version="nextlabel-5-x"), False, "those of nextlabel-5-x vanish for annotators."),
    ],
)
def test_it_is_said_whose_prelabels_annotators_lose(project: Project, shown: bool, said: str) -> None:
    assert said in words.on_prelabels(plan(project, shown=shown), {"bert-v3": 5000, "older": 9})


def test_predictions_without_a_version_are_seen_while_the_project_follows_none() -> None:
    follows_none, forgot = plan(replace(NEW, model_version="")), plan(replace(NEW, model_version=None))
    assert words.on_prelabels(follows_none, {"": 1, "older": 9}) == (
        "pre-labels: those without a version (1 prediction) vanish for annotators; Label Studio keeps them. "
        "Nextlabel's guesses stay hidden (--show-predictions)."
    )
    assert "annotators see none and none vanish" in words.on_prelabels(forgot, {"": 3})
    hidden = plan(replace(NEW, model_version="", show_predictions=False))
    assert "annotators see none now" in words.on_prelabels(hidden, {"": 3})


def test_prelabels_of_a_version_that_the_queue_follows_no_more_vanish() -> None:
    found = replace(plan(replace(NEW, model_version="nextlabel-3-x"), shown=True), follows_another=True)
    assert "those of nextlabel-3-x vanish for annotators." in words.on_prelabels(found, {})


def survey(votes: dict[str, int], notes: dict[str, int]) -> Survey:
    noted = {Note(NOT_COUNTED, why): Seen(count, 1) for why, count in notes.items()}
    return Survey(100, 98, 2, noted, {label: Seen(count, 1) for label, count in votes.items()}, {})


def test_labels_are_counted_and_each_that_is_not_learnt_has_a_reason() -> None:
    config = parse_label_config(XML.replace("</Choices>", '<Choice value="c"/></Choices>'), UNSURE)
    found = survey({"a": 60, "C": 3, "c": 2, "b": 12}, {"nothing is chosen": 4})
    assert words.on_labels(Counted(97, 70, 2, 9, 5, 2), found, config, CountedLess()) == (
        "labels: of 97 labelled tasks 70 are learnt from; the others are 9 drawn for the control set, which tells "
        "how good versions are; 5 held out by `split`; 2 copies of other texts, which count once with them; 2 on "
        "tasks that cannot be read; 9 that do not count, as 'C' is no label of the config (3), 'c' is ignored (2), "
        "nothing is chosen (4)."
    )


def test_of_several_questions_each_unknown_label_is_a_reason_by_itself() -> None:
    more = f'<Choices name="d" toName="t" choice="multiple">{CHOICES}</Choices>'
    config = parse_label_config(XML.replace("</View>", f"{more}</View>"), OPTIONS)
    found = survey({encoded({"c": ("a",), "d": ("b", "x")}): 3, encoded({"c": ("y",)}): 2}, {})
    said = words.on_labels(Counted(9, 4, 0, 0, 0, 0), found, config, CountedLess())
    assert "5 that do not count, as 'y' is no label of the config (2), 'x' is no label of the config (3)." in said


def test_labels_from_before_a_guideline_are_no_reason_where_they_are_weighed() -> None:
    config, found = parse_label_config(XML), survey({}, {})
    said = [
        words.on_labels(Counted(9, 4, 0, 0, 0, 0), found, config, CountedLess(labels=2, older=3, weighed=weighed))
        for weighed in (0, 3)
    ]
    assert "as their account is left out (2), they are from before the guideline (3)." in said[0]
    assert said[1].endswith("as their account is left out (2).")


def test_where_all_labels_count_nothing_else_is_said() -> None:
    config, nothing = parse_label_config(XML), survey({}, {})
    assert words.on_labels(Counted(0, 0, 0, 0, 0, 0), nothing, config, CountedLess()) == "labels: none yet."
    assert words.on_labels(Counted(1, 1, 0, 0, 0, 0), nothing, config, CountedLess()) == (
        "labels: of 1 labelled task 1 is learnt from."
    )
    many = survey({f"old {n}": 10 - n for n in range(7)}, {})
    said = words.on_labels(Counted(50, 1, 0, 0, 0, 0), many, config, CountedLess())
    assert "49 that do not count, as 'old 0' is no label of the config (10), 'old 1'" in said
    assert said.endswith(", and 2 other reasons.")


def test_times_are_told_rather_too_long_than_too_short() -> None:
    assert [words.about(s) for s in (0, 1.2, 89, 91, 700, 7199, 7300)] == [
        "1 s", "2 s", "89 s", "2 min", "12 min", "120 min", "2.1 h",
    ]  # fmt: skip


ORDER = FirstOrder("that of the quick version", {"to read the tasks": 18.0, "for the fit": 54.5})


def test_when_there_is_an_order_is_told_by_what_it_takes_or_why_not() -> None:
    assert words.on_order(ORDER) == (
        "first order, that of the quick version: about 73 s after connecting (18 s to read the tasks, 55 s for the "
        "fit), and some more to write it into Label Studio; until then tasks come at random."
    )
    assert words.on_order(None) == "first order: that of the first version; until then tasks come at random."


def test_of_a_project_with_a_version_it_is_said_whether_another_comes_at_once() -> None:
    stays, changes = words.on_version("nextlabel-5-x", ""), words.on_version("nextlabel-5-x", "the labels changed")
    assert stays == "order: the queue follows nextlabel-5-x. Its card tells how long a fit takes."
    assert "nextlabel-5-x until the next one is fitted, which begins at once, as the labels changed." in changes


@pytest.mark.parametrize(
    ("fits", "said"),
    [
        (Fits(300, 163, 81.0), "about 81 s on 300 labels (163 steps at most)."),
        (
            Fits(8981, 1684, 700.0, 1600, 54.0),
            "about 54 s for a quick version on 1,600 of 8,981 labels; the thorough one, on all, follows at once and "
            "takes about 12 min (1,684 steps).",
        ),
        (
            Fits(8, 100, 30.0, waits_for="It comes with 8 labels."),
            "It comes with 8 labels. Then about 30 s on 8 labels (100 steps at most).",
        ),
    ],
)
def test_how_long_the_first_fit_takes_is_told(fits: Fits, said: str) -> None:
    assert words.on_fit(fits) == f"first fit: {said}"


def test_where_nothing_can_be_measured_the_reason_is_told() -> None:
    known = words.on_unknown(Fits(300), "there is no model.")
    assert known == "first fit: What it takes, and when there is an order, cannot be known: there is no model."
    waiting = words.on_unknown(Fits(8, waits_for="It comes with 8 labels."), "there is no model.")
    assert waiting.startswith("first fit: It comes with 8 labels. What it takes")


def test_what_was_measured_is_told_and_that_it_says_nothing_of_another_machine() -> None:
    here = words.on_speed("m", "cpu", 0.529, 1067.9)
    assert here == (
        "times: measured on this machine just now, with m on cpu: 0.53 s for a step of a fit, 1,068 texts a second "
        "scored."
    )
    beside = words.on_speed("m", "cpu", 0.5, 10, beside=1.3)
    assert "0.5 s for a step of a fit (1.3 times that are counted, as Label Studio needs the cores, too), 10" in beside
    assert "the backend at http://gpu.lan:9090 seems to run on another one" in words.on_speed(
        "m", "cpu", 1, 1, "http://gpu.lan:9090"
    )
    away = words.on_speed("m", "cpu", 1, 1, cluster=True)
    assert away.endswith("as RAY_ADDRESS is set, fits are computed on that cluster, of which they say nothing.")


def test_too_little_room_on_the_disk_is_said() -> None:
    memory, disk = words.on_room(Room(int(1.3 * GIB), 0, 16 * GIB, 6, 91 * 2**20, 54 * 2**20, 40 * GIB), "data")
    assert memory == (
        "memory: about 1.3 GiB in the trainer during a fit, and for moments up to half as much again; this machine has "
        "16.0 GiB."
    )
    assert disk == (
        "disk: about 600 MiB in MODEL_DIR=data: 6 versions of 91 MiB, 54 MiB for the texts; 40.0 GiB are free."
    )
    gpu, short = words.on_room(Room(GIB, 3 * GIB, GIB, 6, 440 * 2**20, 54 * 2**20, GIB), "data")
    assert gpu == (
        "memory: about 1.0 GiB in the trainer during a fit, and 3.0 GiB on the GPU, and for moments up to half as much "
        "again; this machine has 1.0 GiB."
    )
    assert short.endswith("; 1.0 GiB are free. That is too little.")
