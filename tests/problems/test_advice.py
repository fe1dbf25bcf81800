"""What to do next is one of a few keys, and the line of random sampling holds nothing that is not known."""

from dataclasses import replace
from functools import partial

import pytest

from nextlabel.problems import advice
from nextlabel.problems.advice import KEYS, NO_ADVICE, Advice, Certified
from nextlabel.problems.helping import FORECAST, MEASURED, Forecast, Helping, Measured, NextLabels, RandomPoint
from nextlabel.problems.helping_words import sentences
from nextlabel.problems.history import CONTROL_SET, HOLDOUT, Point
from nextlabel.problems.intervals import Interval, wilson
from nextlabel.problems.judgement import NO_JUDGEMENT, Figures, Judgement, NextAudit, Sample
from nextlabel.problems.quality import Estimate
from nextlabel.problems.random_line import random_line

LEFT = NextAudit(900, 123)
advise = partial(advice.advise, project=7, audit=LEFT)


def share(right: int, of: int) -> Estimate:
    return Estimate(right / of if of else None, wilson(right, of), of)


def judged(right: int, of: int, left: Estimate | None = None) -> Judgement:
    unknown = Estimate(None, Interval(0, 1), 0)
    figures = Figures(share(right, of), unknown, unknown, Estimate(0.0, Interval(-0.1, 0.1), of), ())
    return Judgement("nextlabel-2", 0.1, Sample(100, answered=of), "", figures, left, more=21)


SOME = Certified("nextlabel-5.12-20260101T000000", 812, 640, 0.05, 38)
KNOWN, SURE = judged(80, 100), judged(97, 100, share(50, 50))
CHANGED, STILL = (Helping(at=1.0, next_labels=NextLabels(64, changed, 900)) for changed in (0.03, 0.01))


@pytest.mark.parametrize(
    ("key", "judgement", "helping", "auditing", "certified", "words"),
    [
        (advice.AUDITING, SURE, STILL, True, None, "to the end"),
        (
            advice.CERTIFIED,
            SURE,
            STILL,
            False,
            SOME,
            "At least 95 % of the labels of version 5.12 on 812 tasks are right, as your people would label, by an "
            "audit (with 95 % confidence). Nobody has labelled 640 of them, and of these at most 38 (5.9 %) are wrong. "
            "If that suffices, stop: `nextlabel certificate issue --project 7 --out "
            "certificate.json --labels labels.csv` writes these labels to a file, and `nextlabel finish --project 7 "
            "--certified` into Label Studio",
        ),
        (
            advice.CANNOT_TELL,
            NO_JUDGEMENT,
            CHANGED,
            False,
            None,
            "no control set, so that nothing can be told: `nextlabel quality --project 7` says how to get one",
        ),
        (
            advice.TOO_EARLY,
            replace(KNOWN, figures=None, why="no version is fitted yet"),
            CHANGED,
            False,
            None,
            "no version",
        ),
        (advice.TOO_EARLY, judged(8, 10), CHANGED, False, None, "about 21 more labels of the control set"),
        (
            advice.TOO_EARLY,
            replace(judged(8, 10), sample=Sample(31, answered=10)),
            CHANGED,
            False,
            None,
            "are needed, and as it has no more left, these may not be enough.",
        ),
        (advice.TOO_EARLY, judged(0, 0), CHANGED, False, None, "Go on labelling. How good it is cannot be told yet: "),
        (
            advice.TOO_EARLY,
            replace(judged(8, 10), sample=Sample(30, answered=8, skipped=2)),
            CHANGED,
            False,
            None,
            "cannot be told: not possible with the tasks left: about 21 more labels of the control set are needed, and "
            "it has 20 left; more texts",
        ),
        (advice.AUDIT_WORTH_IT, SURE, STILL, False, None, "`nextlabel certificate start --project 7 --dry-run`"),
        (advice.AUDIT_WORTH_IT, replace(SURE, question="a tone"), STILL, False, None, "--dry-run --question 'a tone'"),
        (advice.GO_ON, KNOWN, CHANGED, False, None, "the next 64 labels may change"),
        (
            advice.HARDLY_CHANGES,
            KNOWN,
            Helping(next_labels=NextLabels(64, 0.0, 900)),
            False,
            None,
            "more than 0.1 points",
        ),
        (
            advice.HARDLY_CHANGES,
            KNOWN,
            STILL,
            False,
            None,
            "See whether this accuracy is enough: the next 64 labels will hardly change it by more than 0.5",
        ),
        (advice.CANNOT_TELL, KNOWN, Helping(), False, None, "still to be found out"),
        (
            advice.CANNOT_TELL,
            KNOWN,
            Helping(next_labels=NextLabels(why="no task is left")),
            False,
            None,
            "no task is left",
        ),
    ],
)
def test_the_advice_follows_from_what_is_known(
    key: str, judgement: Judgement, helping: Helping, auditing: bool, certified: Certified | None, words: str
) -> None:
    found = advise(judgement, helping, auditing, certified, 9.0, NO_ADVICE)
    assert (found.key, found.since) == (key, 9.0)
    assert key in KEYS
    assert words in found.sentence


@pytest.mark.parametrize(
    ("left", "key", "words"),
    [
        (12, advice.GO_ON, "Go on: the labels of the 12 tasks left may change"),
        (0, advice.CANNOT_TELL, "No task is left to label: import more, or `nextlabel export --project 7 --everything"),
    ],
)
def test_the_advice_is_about_the_tasks_that_are_left_now(left: int, key: str, words: str) -> None:
    before = replace(CHANGED, next_labels=replace(CHANGED.next_labels, left=900))
    found = advise(KNOWN, before, False, None, 9.0, NO_ADVICE, audit=replace(LEFT, tasks=left))
    assert found.key == key
    assert found.sentence.startswith(words)


def test_of_the_last_task_it_is_not_said_that_it_is_several() -> None:
    last = Helping(at=1.0, next_labels=NextLabels(64, 0.02, 900, 12.0, left=1))
    assert sentences(last)[-1].endswith("It is about 12 seconds of people's work.")


def test_no_audit_is_worth_it_of_a_question_that_is_certified() -> None:
    tone, topic = (replace(SURE, question=name) for name in ("tone", "topic"))
    form = replace(tone, questions=(tone, topic))

    def said(*done: str) -> Advice:
        return advise(form, STILL, False, None, 1.0, NO_ADVICE, done)

    assert said().sentence.count("--question tone") == 1
    assert said("tone").sentence.count("--question topic") == 1
    assert said("tone", "topic").key == advice.HARDLY_CHANGES


def test_no_audit_is_worth_it_where_it_would_hardly_save_a_label() -> None:
    assert advise(SURE, STILL, False, None, 1.0, NO_ADVICE).key == advice.AUDIT_WORTH_IT
    few = NextAudit(40, 30)
    assert advise(SURE, STILL, False, None, 1.0, NO_ADVICE, audit=few).key == advice.HARDLY_CHANGES


def test_what_an_older_version_was_found_to_gain_is_not_said_of_the_one_in_force() -> None:
    of_it, of_another = (replace(STILL, order=order) for order in ("nextlabel-2.7", "nextlabel-1.3"))
    said = advise(KNOWN, of_it, False, None, 9.0, NO_ADVICE)
    assert said == advise(KNOWN, STILL, False, None, 9.0, NO_ADVICE)
    assert advise(KNOWN, of_another, False, None, 9.0, NO_ADVICE) == replace(
        said, sentence=f"{said.sentence} That was found for version 1.3."
    )


def test_the_same_advice_stands_since_it_was_first_given() -> None:
    now = 9.0
    before = Advice(advice.GO_ON, "Go on: as it was then.", 5.0)
    found = advise(KNOWN, CHANGED, False, None, now, before)
    assert (found.key, found.since) == (advice.GO_ON, 5.0)
    assert found.sentence != before.sentence
    assert advise(KNOWN, STILL, False, None, now, before).since == now


def test_an_audit_that_was_worth_it_stays_so_when_one_label_more_is_wrong() -> None:
    less, low = judged(97, 100, share(48, 50)), judged(97, 100, share(47, 50))
    worth = advise(SURE, STILL, False, None, 1.0, NO_ADVICE)
    assert [advise(one, STILL, False, None, 2.0, worth).since for one in (less, low)] == [1.0, 2.0]
    assert advise(less, STILL, False, None, 2.0, NO_ADVICE).key == advice.HARDLY_CHANGES


POINT = Point("nextlabel-2", "2", 105, 9.0, judged_by=CONTROL_SET, accuracy=Estimate(0.8, Interval(0.74, 0.85), 200))
ASKED = Helping(at=1.0, forecast=Forecast(100, 0.05, 0.02, 0.08))


def test_a_forecast_is_taken_from_the_accuracy_at_about_as_many_labels() -> None:
    far = replace(POINT, labels=98, accuracy=Estimate(0.6, Interval(0.5, 0.7), 200))
    [found] = random_line(ASKED, [replace(POINT, labels=50), POINT, far])
    assert (found.labels, found.kind) == (100, FORECAST)
    assert found.value == pytest.approx(0.6 - 0.05), "98 are nearer to 100 than 105"
    [found] = random_line(ASKED, [POINT])
    assert (found.value, found.low, found.high) == pytest.approx(
        (0.75, 0.75 - (0.06**2 + 0.03**2) ** 0.5, 0.75 + (0.05**2 + 0.03**2) ** 0.5)
    )
    [lowest] = random_line(ASKED, [replace(POINT, accuracy=Estimate(0.02, Interval(0.0, 0.05), 200))])
    assert (lowest.value, lowest.low) == (0.0, 0.0), "a share is never below 0"


def test_where_nothing_can_be_told_the_line_is_empty() -> None:
    for other in (replace(POINT, labels=89), replace(POINT, judged_by=HOLDOUT), replace(POINT, accuracy=None)):
        assert random_line(ASKED, [other]) == ()
    assert random_line(Helping(), [POINT]) == ()
    measured = RandomPoint(64, 0.7, 0.6, 0.8, MEASURED)
    assert random_line(replace(ASKED, measured=Measured(at_random=(measured,))), []) == (measured,)
