"""What people read of a judgement: a number wherever something cannot be told yet, and nothing that nobody knows."""

from dataclasses import replace
from functools import partial

import pytest

from nextlabel.problems import quality_words
from nextlabel.problems.intervals import NOTHING_KNOWN, Interval
from nextlabel.problems.judgement import NO_JUDGEMENT, Figures, Judgement, NextAudit, OfClass, Sample
from nextlabel.problems.quality import Estimate
from nextlabel.problems.quality_words import confusions, each, how_good, percent, rows, sooner
from nextlabel.values.layout import ANY_OF, ORDERED

sentences = partial(quality_words.sentences, project=7)
UNKNOWN = Estimate(None, NOTHING_KNOWN, 0)


def of_class(label: str, n: int) -> OfClass:
    if not n:
        return OfClass(label, Estimate(0.0, Interval(0.0, 0.09), 39), UNKNOWN, UNKNOWN)
    recall, f1 = Estimate(0.95, Interval(0.75, 0.998), n), Estimate(0.9, Interval(0.8, 0.97), n)
    return OfClass(label, Estimate(n / 39, Interval(0.3, 0.7), 39), recall, f1)


FIGURES = Figures(
    Estimate(36 / 39, Interval(0.797, 0.974), 39),
    Estimate(36 / 41, Interval(0.744, 0.948), 41),
    Estimate(0.91, Interval(0.81, 0.97), 39),
    Estimate(0.041, Interval(-0.06, 0.13), 39),
    (of_class("pos", 20), of_class("neg", 19)),
)
TOLD = Judgement(
    "nextlabel-5.2", 0.1, Sample(96, answered=39, skipped=2), "", FIGURES, Estimate(1.0, Interval(0.88, 1.0), 28)
)


def test_all_that_is_known_is_said_in_a_few_sentences() -> None:
    assert sentences(TOLD) == [
        "nextlabel-5.2, judged by 39 of 96 texts drawn at random and never learnt from:",
        "New texts like these: 92 % right (36 of 39; 80 % to 97 %).",
        "The machine's labels on what is left: 100 % right (28 of 28; 88 % to 100 %).",
        "Macro-F1: 0.91 (0.81 to 0.97).",
        "Calibration: on average it is 4 points surer than it is right (-6 to +13 points).",
        "2 of 41 texts have no answer that counts; had the machine been wrong on all of them, 88 % would be right "
        "(74 % to 95 %).",
    ]


def test_of_one_text_without_an_answer_it_is_not_said_that_it_is_several() -> None:
    said = sentences(replace(TOLD, sample=replace(TOLD.sample, skipped=1)))[-1]
    assert said.startswith("1 of 40 texts has no answer that counts; had the machine been wrong on it, 88 % would")


def test_the_most_frequent_mistake_is_told_once_it_is_a_pattern() -> None:
    confused = [
        replace(of_class("acq", 40), taken_for="earn", times=12),
        replace(of_class("earn", 90), taken_for="acq"),
    ]
    figures = replace(FIGURES, classes=(replace(confused[1], times=1), confused[0], of_class("crude", 3)))
    assert confusions(figures, 5) == ["12 of 40 'acq' were called 'earn'"]
    told = "Most often confused: 12 of 40 'acq' were called 'earn'."
    assert told in sentences(replace(TOLD, figures=figures))
    assert "Most often confused" not in " ".join(sentences(TOLD))


def test_an_audit_is_advised_where_it_may_pay() -> None:
    many, wrong = Estimate(49 / 50, Interval(0.89, 0.99), 50), Estimate(48 / 50, Interval(0.86, 0.99), 50)
    told = [TOLD, replace(TOLD, left=many), replace(TOLD, left=wrong), replace(TOLD, left=None, why_left="it was lost")]
    assert [quality_words.worth_an_audit(one, 7, NextAudit(10_000, 122)) for one in told] == [
        "",
        "`nextlabel certificate start --project 7 --dry-run` says how many labels it takes: about 122 if none that it "
        "tests is wrong, and more if any is; what is skipped or given an ignored label counts as wrong where that is "
        "more than 2.5 % of them",
        "",
        "",
    ]


def test_how_good_it_is_is_said_without_advice_that_an_audit_at_work_contradicts() -> None:
    told = replace(TOLD, left=Estimate(1.0, Interval(0.93, 1.0), 50))
    assert quality_words.worth_an_audit(told, 7, NextAudit(10_000, 122))
    assert "audit" not in " ".join(sentences(told))


@pytest.mark.parametrize(
    ("audit", "worth_it"),
    [
        (NextAudit(0, 0), False),
        (NextAudit(40, 30), False),
        (NextAudit(240, 120), False),  # though it saves half, since it does not of 250
        (NextAudit(300, 124), True),
        (NextAudit(300, 157), False),  # of a project that has had several
    ],
)
def test_no_audit_is_advised_where_people_would_label_more_than_half_anyway(audit: NextAudit, worth_it: bool) -> None:
    told = replace(TOLD, left=Estimate(1.0, Interval(0.9, 1.0), 50))
    assert bool(quality_words.worth_an_audit(told, 7, audit)) == worth_it


def test_what_cannot_be_told_yet_comes_with_how_many_labels_it_takes() -> None:
    figures = replace(
        FIGURES,
        accuracy=Estimate(8 / 9, Interval(0.565, 0.98), 9),
        macro_f1=Estimate(None, Interval(0.2, 0.9), 9),
        calibration=Estimate(0.1, Interval(-0.2, 0.4), 9),
        classes=(of_class("pos", 9), *(of_class(f"class {k}", 0) for k in range(6))),
    )
    sample = Sample(400, answered=9, waiting=3, missing=2, in_hand=1, newer=40)
    judgement = Judgement(
        "nextlabel-5", 0.1, sample, "", figures, None, "MODEL_DIR was lost", more=21, more_for_macro_f1=831
    )
    assert sentences(judgement) == [
        "nextlabel-5, judged by 9 of 400 texts drawn at random and never learnt from:",
        "New texts like these: cannot tell yet; 8 of 9 right may mean 56 % to 98 %; about 21 more labels of the "
        "control set are needed, about 210 in all.",
        "The machine's labels on what is left: cannot tell, as MODEL_DIR was lost.",
        "Macro-F1: cannot tell yet; not possible with the tasks left: about 830 more labels of the control set are "
        "needed, and it has 391 left; more texts or a larger control_share add to it.",
        "Nothing is known about 'class 0', 'class 1', 'class 2', 'class 3', 'class 4' and 1 more: no control task has "
        "that label.",
        "3 more are labelled and not counted yet, as 2 texts before still wait for an answer, 1 of them for that of "
        "further annotators.",
        "40 texts of the control set came with a later import. Those that are due are served first; until they are "
        "labelled, the figures are about the tasks that were there before.",
        "`nextlabel connect --project 7 --holdout 30` has as many texts of the control set labelled before all others.",
    ]


def test_without_a_label_the_numbers_alone_are_said() -> None:
    figures = Figures(
        UNKNOWN, UNKNOWN, UNKNOWN, Estimate(None, Interval(-1, 1), 0), (of_class("a", 0), of_class("b", 0))
    )
    judgement = Judgement("nextlabel-1", 0.1, Sample(96), "", figures, UNKNOWN, more=58, more_for_macro_f1=32)
    assert sentences(judgement) == [
        "nextlabel-1, judged by none of 96 texts drawn at random and never learnt from:",
        "New texts like these: cannot tell yet; about 58 more labels of the control set are needed, about 580 in all.",
        "The machine's labels on what is left: cannot tell yet.",
        "Macro-F1: cannot tell yet; about 32 more labels of the control set are needed, about 320 in all.",
        "`nextlabel connect --project 7 --holdout 60` has as many texts of the control set labelled before all others.",
    ]
    assert (
        "cannot tell yet; about 58 more labels of the control set are needed, about 580 in all, and as it has no more "
        "left, these may not be enough."
    ) in " ".join(sentences(replace(judgement, sample=Sample(58))))


FEW = replace(
    TOLD,
    sample=Sample(96, answered=20),
    figures=replace(FIGURES, accuracy=Estimate(18 / 20, Interval(0.683, 0.988), 20)),
    left=Estimate(12 / 13, Interval(0.64, 0.998), 13),
    more=12,
)


def test_from_ten_control_labels_on_a_range_is_told_and_how_long_it_takes_to_a_figure() -> None:
    said = sentences(FEW)
    assert said[1:3] == [
        "New texts like these: 68 % to 99 % right (18 of 20), too wide a range for one figure; about 12 more labels of "
        "the control set are needed, about 120 in all.",
        "The machine's labels on what is left: 64 % to 99.8 % right (12 of 13), too wide a range for one figure.",
    ]
    first = (
        "`nextlabel connect --project 7 --holdout 40` has as many texts of the control set labelled before all others."
    )
    assert said[-1] == first
    assert "about 12 in all" in sentences(FEW, first=40)[1], "which come before all others"
    assert "about 57 in all" in sentences(FEW, first=27)[1], "7 of them do"


def test_what_has_just_come_to_be_shown_is_said_to_be_rather_too_high() -> None:
    wide = Interval(0.75, 0.98)
    figures = replace(FIGURES, accuracy=Estimate(0.9, wide, 30), macro_f1=Estimate(0.91, wide, 30))
    said, before = sentences(replace(TOLD, figures=figures)), sentences(TOLD)
    rather = "; a figure that has just come to be shown is rather too high."
    assert said[1] == f"New texts like these: 90 % right (27 of 30; 75 % to 98 %){rather}"
    assert said[3] == f"Macro-F1: 0.91 (0.75 to 0.98){rather}"
    assert "rather" not in " ".join(before)


@pytest.mark.parametrize(
    ("judgement", "first", "wanted"),
    [
        (FEW, 0, 40),
        (FEW, 39, 40),
        (FEW, 40, 0),  # they come first already
        (replace(FEW, sample=Sample(39, answered=20)), 0, 0),  # there are not as many
        (replace(FEW, sample=Sample(96, answered=20, skipped=9)), 0, 50),
        (TOLD, 0, 0),  # there is a figure
        (replace(FEW, figures=None), 0, 0),  # no version could be judged by them
    ],
)
def test_labelling_the_control_set_first_is_offered_where_it_brings_a_figure(
    judgement: Judgement, first: int, wanted: int
) -> None:
    assert sooner(judgement, first) == wanted
    assert any("--holdout" in said for said in sentences(judgement, first)) == bool(wanted)


def test_a_version_that_cannot_be_judged_has_a_reason_and_no_figure() -> None:
    judgement = Judgement("nextlabel-1", 0.1, Sample(96, answered=4, waiting=1, missing=1), "no version is fitted yet")
    assert sentences(judgement) == [
        "Nothing can be said of a version yet: no version is fitted yet.",
        "1 more is labelled and not counted yet, as 1 text before still waits for an answer.",
    ]
    assert sentences(NO_JUDGEMENT) == [], "there is no control set"


def test_before_the_machines_labels_are_taken_it_is_said_what_is_known_of_them() -> None:
    known, early = how_good(TOLD), how_good(FEW)
    assert known == ["The machine's labels: 100 % right (28 of 28; 88 % to 100 %)."]
    assert early == ["The machine's labels: 64 % to 99.8 % right (12 of 13), too wide a range for one figure."]
    assert how_good(replace(TOLD, left=None)) == ["New texts like these: 92 % right (36 of 39; 80 % to 97 %)."]
    unknown = "Nothing is known of how good these labels are"
    assert how_good(NO_JUDGEMENT) == [f"{unknown}: the project has no control set."]
    assert how_good(replace(NO_JUDGEMENT, control_share=0.1, why="it is lost")) == [f"{unknown}: it is lost."]
    none = Judgement("nextlabel-1", 0.1, Sample(96), "", replace(FIGURES, accuracy=UNKNOWN), UNKNOWN)
    assert how_good(none) == [f"{unknown}: none of 96 texts of the control set has a label."]
    form = replace(none, questions=(replace(none, question="stars"), replace(TOLD, question="tone")))
    assert [said.partition(":")[0] for said in how_good(form)] == [
        f"{unknown} on 'stars'",
        "The machine's labels on 'tone'",
    ]


def test_the_table_has_the_classes_with_a_label() -> None:
    figures = replace(
        FIGURES, classes=(of_class("few", 2), of_class("none", 0), of_class("most", 30), of_class("some", 7))
    )
    assert [row[:2] for row in rows(figures)] == [("few", "2"), ("most", "30"), ("some", "7")]
    assert rows(FIGURES)[0] == ("pos", "20", "51 % (30 % to 70 %)", "95 % (75 % to 99.8 %)", "0.90 (0.80 to 0.97)")


@pytest.mark.parametrize(
    ("share", "said"), [(0, "0 %"), (1, "100 %"), (0.996, "99.6 %"), (0.004, "0.4 %"), (0.125, "12 %"), (0.994, "99 %")]
)
def test_nearly_all_is_not_all(share: float, said: str) -> None:
    assert percent(share) == said


def test_each_question_of_a_form_has_its_sentences_and_what_all_share_is_said_once() -> None:
    topic = replace(TOLD, question="topic", sample=Sample(96, answered=39, skipped=2, waiting=1, missing=1))
    error = Estimate(0.42, Interval(0.3, 0.6), 39)
    stars = replace(topic, question="stars", kind=ORDERED, figures=replace(FIGURES, error=error))
    five = replace(FIGURES, error=error, classes=FIGURES.classes[:1] * 5)
    tones = replace(topic, question="tones", kind=ANY_OF, sample=Sample(80, answered=30))
    said = sentences(replace(topic, questions=(topic, tones, stars, replace(stars, figures=five))))
    assert [line for line in said if "judged by" in line] == [
        "nextlabel-5.2 on 'topic', judged by 39 of 96 texts drawn at random and never learnt from:",
        "nextlabel-5.2 on 'tones', judged by 30 of 80 texts drawn at random and never learnt from:",
        *["nextlabel-5.2 on 'stars', judged by 39 of 96 texts drawn at random and never learnt from:"] * 2,
    ]
    assert "New texts like these, all labels of each: 92 % right (36 of 39; 80 % to 97 %)." in said
    assert [line for line in said if "Mean error" in line] == [
        "Mean error: cannot tell yet; 0.30 to 0.60 steps.",
        "Mean error: 0.42 steps (0.30 to 0.60).",
    ]
    assert sum("counted yet" in line for line in said) == 1
    assert [one.question for one in each(replace(topic, questions=(topic, tones)))] == ["topic", "tones"]
    assert each(TOLD) == (TOLD,)
    untold = replace(topic, figures=None, why="no version is fitted yet")
    both = replace(untold, questions=(untold, replace(untold, question="tones")))
    assert sum("no version is fitted yet" in line for line in sentences(both)) == 1
