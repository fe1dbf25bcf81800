"""What the control set says of a version: which of its texts count, and figures as other programs compute them."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta, binom
from sklearn.metrics import accuracy_score, f1_score, recall_score

from nextlabel.learning.judging import (
    ANSWERED,
    IN_HAND,
    LEFT_OUT,
    NO_VERSION,
    NOT_NOTED,
    OPEN,
    SKIPPED,
    ControlText,
    Said,
    counting,
    judge,
)
from nextlabel.problems import quality
from nextlabel.problems.intervals import NOTHING_KNOWN, Interval, wilson
from nextlabel.problems.intervals import clopper_pearson as clopper_pearson_of
from nextlabel.problems.judgement import WIDE, Figures, Judgement, Sample
from nextlabel.values.arrays import Array
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, Cut, Layout, encoded

AB, ABC = ("a", "b"), ("a", "b", "c")
EVERY = 10**6  # a task id above all


def texts(*states: str) -> list[ControlText]:
    """A letter that is a class stands for its answer; the ids are 1, 2, 3."""
    known = {"o": OPEN, "h": IN_HAND, "s": SKIPPED, "-": LEFT_OUT}
    return [
        ControlText((number,), known.get(state, ANSWERED), "" if state in known else state)
        for number, state in enumerate(states, 1)
    ]


def said(labels: Sequence[str], probs: Sequence[Sequence[float]], known: Collection[int] | None = ()) -> Said:
    return Said("nextlabel-1", tuple(labels), {i: np.array(row) for i, row in enumerate(probs, 1)}, known)


def judged(
    some: Sequence[ControlText], labels: Sequence[str], probs: Sequence[Sequence[float]], last_task: int = EVERY
) -> Judgement:
    return judge(0.1, some, last_task, tuple(labels), said(labels, probs), noted=True)


def figures_of(judgement: Judgement) -> Figures:
    assert judgement.figures is not None
    return judgement.figures


def random_answers(texts_N: int, classes: int, sure: float, seed: int = 0) -> tuple[list[ControlText], Array]:
    """Texts with an answer each, and probabilities that are highest at it in so many of 1."""
    rng = np.random.default_rng(seed)
    right_N = rng.integers(0, classes, texts_N)
    said_N = np.where(rng.random(texts_N) < sure, right_N, rng.integers(0, classes, texts_N))
    probs_NK = rng.dirichlet(np.ones(classes), texts_N) * 0.4
    probs_NK[np.arange(texts_N), said_N] += 0.6
    names = [f"class {k}" for k in range(classes)]
    return [ControlText((n + 1,), ANSWERED, names[k]) for n, k in enumerate(right_N)], probs_NK


# Which texts count


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ("", Sample()),
        ("ooo", Sample(3)),
        ("aab", Sample(3, answered=3)),
        ("aoab", Sample(4, answered=1, waiting=2, missing=1)),
        ("ahaob", Sample(5, answered=1, waiting=2, missing=2, in_hand=1)),
        ("asbo", Sample(4, answered=2, skipped=1)),
        ("sho", Sample(3, skipped=1)),
        ("a-b-", Sample(2, answered=2)),
        ("-o-a", Sample(2, waiting=1, missing=1)),
    ],
)
def test_what_counts_ends_at_the_first_text_for_which_an_answer_is_waited_for(states: str, expected: Sample) -> None:
    some = texts(*states)
    assert judge(0.1, some, EVERY, AB, None, noted=True).sample == expected
    assert len(counting(some)) == expected.answered + expected.skipped


def test_texts_that_were_imported_later_do_not_count_until_they_are_caught_up_with() -> None:
    old, new = texts(*"abab"), [ControlText((900,), OPEN), ControlText((901,), ANSWERED, "a")]
    together = [old[0], new[0], *old[1:], new[1]]
    probs = [[0.9, 0.1]] * 4
    before = judged(together, AB, probs, last_task=4)
    assert before.sample == Sample(6, answered=4, newer=2)
    assert judged(together, AB, probs).sample == Sample(6, answered=1, waiting=4, missing=1)
    copy_of_old = ControlText((2, 903), ANSWERED, "b")
    assert judged([old[0], copy_of_old], AB, probs, last_task=4).sample == Sample(2, answered=2)


# Figures


def clopper_pearson(right: int, trials: int) -> tuple[float, float]:
    if not trials:
        return 0.0, 1.0
    low = beta.ppf(0.025, right, trials - right + 1) if right else 0.0
    high = beta.ppf(0.975, right + 1, trials - right) if right < trials else 1.0
    return float(low), float(high)


@pytest.mark.parametrize(("size", "classes"), [(1, 2), (39, 2), (400, 3), (300, 52)])
def test_the_figures_are_those_of_other_programs(size: int, classes: int) -> None:
    some, probs_NK = random_answers(size, classes, sure=0.85)
    names = [f"class {k}" for k in range(classes)]
    judgement = judged(some, names, probs_NK.tolist())
    figures, right = figures_of(judgement), [text.answer for text in some]
    predicted = [names[k] for k in probs_NK.argmax(axis=1)]
    hits = sum(a == b for a, b in zip(right, predicted, strict=True))
    assert figures.accuracy.value == pytest.approx(accuracy_score(right, predicted))
    assert figures.accuracy.interval == pytest.approx(clopper_pearson(hits, size), abs=1e-9)
    assert judgement.left == figures.accuracy, "nothing is marked"
    assert figures.calibration.value == pytest.approx(probs_NK.max(axis=1).mean() - hits / size)
    recalls = recall_score(right, predicted, labels=names, average=None, zero_division=np.nan)
    f1s = f1_score(right, predicted, labels=names, average=None, zero_division=np.nan)
    for name, of_class, recall, f1 in zip(names, figures.classes, recalls, f1s, strict=True):
        n = right.count(name)
        either = sum(name in pair for pair in zip(right, predicted, strict=True))
        both = sum(pair == (name, name) for pair in zip(right, predicted, strict=True))
        assert (of_class.label, of_class.recall.examples, of_class.f1.examples) == (name, n, either)
        assert of_class.share.value == pytest.approx(n / size)
        assert of_class.share.interval == pytest.approx(clopper_pearson(n, size), abs=1e-9)
        assert of_class.recall.value == (pytest.approx(recall) if n else None)
        assert of_class.recall.interval == pytest.approx(clopper_pearson(both, n), abs=1e-9)
        assert of_class.f1.value == (pytest.approx(f1) if either else None)
        limits = [2 * j / (1 + j) for j in clopper_pearson(both, either)]
        assert of_class.f1.interval == pytest.approx(limits, abs=1e-9)
        wrong = Counter(said for is_so, said in zip(right, predicted, strict=True) if is_so == name != said)
        assert of_class.times == max(wrong.values(), default=0)
        assert of_class.times == wrong.get(of_class.taken_for, 0)
    if figures.macro_f1.value is not None:
        of_seen = [f1 if name in right else 0.5 for name, f1 in zip(names, f1s, strict=True)]
        assert figures.macro_f1.value == pytest.approx(np.mean(of_seen))
    assert (figures.macro_f1.value is None) == (size == 1)


def test_a_version_with_the_classes_in_another_order_is_judged_the_same() -> None:
    some, probs_NK = random_answers(60, 3, sure=0.8)
    names, turned = ("class 0", "class 1", "class 2"), ("class 2", "class 0", "class 1")
    other = said(turned, probs_NK[:, [2, 0, 1]].tolist())
    assert judge(0.1, some, EVERY, names, other, noted=True) == judged(some, names, probs_NK.tolist())


def test_a_skipped_text_is_no_answer_and_counts_as_wrong_in_the_worst_case_alone() -> None:
    judgement = judged(texts(*"aassbb"), AB, [[0.9, 0.1]] * 2 + [[0.9, 0.1]] * 2 + [[0.1, 0.9], [0.9, 0.1]])
    figures = figures_of(judgement)
    assert (figures.accuracy.value, figures.accuracy.examples) == (3 / 4, 4)
    assert (figures.at_worst.value, figures.at_worst.examples) == (3 / 6, 6)
    assert figures.at_worst.interval == pytest.approx(clopper_pearson(3, 6), abs=1e-9)


def test_what_is_left_is_judged_by_texts_that_no_model_would_have_asked_for() -> None:
    some = [
        ControlText((number,), ANSWERED, answer, marked)
        for number, (answer, marked) in enumerate([("a", False), ("b", True), ("b", True), ("a", False)], 1)
    ]
    probs = [[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.8, 0.2]]
    judgement = judged(some, AB, probs)
    assert figures_of(judgement).accuracy.value == 3 / 4
    assert judgement.left is not None
    assert (judgement.left.value, judgement.left.examples) == (1.0, 2)
    assert judgement.left.interval == pytest.approx(clopper_pearson(2, 2), abs=1e-9)
    unknown = judge(0.1, some, EVERY, AB, said(AB, probs), noted=False)
    assert (unknown.left, unknown.why_left) == (None, NOT_NOTED)
    assert unknown.figures == judgement.figures


@pytest.mark.parametrize("classes", [2, 52])
@pytest.mark.parametrize("size", [0, 1, 9, 39])
def test_with_few_labels_only_that_is_said_of_which_the_interval_is_narrow_and_how_many_more_it_takes(
    size: int, classes: int
) -> None:
    some, probs_NK = random_answers(size, classes, sure=0.9)
    names = [f"class {k}" for k in range(classes)]
    judgement = judged(some, names, probs_NK.tolist())
    figures = figures_of(judgement)
    assert (figures.macro_f1.value is None) == (figures.macro_f1.interval.width >= WIDE) == (size < 39 or classes == 52)
    assert (judgement.more_for_macro_f1 > 0) == (figures.macro_f1.value is None)
    assert (figures.accuracy.value is None) == (size == 0)
    assert (judgement.more > 0) == (figures.accuracy.interval.width >= WIDE) == (size < 39)
    if size:
        needed = size + judgement.more
        low, high = clopper_pearson(round(sum(figures.accuracy.interval) / 2 * needed), needed)
        assert high - low < WIDE
    unknown = [of_class for of_class in figures.classes if of_class.recall.value is None]
    assert len(unknown) >= classes - size
    assert all(of_class.recall.interval == NOTHING_KNOWN for of_class in unknown)


@pytest.mark.parametrize(("right", "of"), [(0, 1), (1, 1), (19, 20), (20, 20), (38, 40), (300, 400)])
def test_as_many_of_as_many_have_one_interval_whatever_they_are(right: int, of: int) -> None:
    """All labels are of one class, so that accuracy and recall are the same share."""
    judgement = judged(texts(*"a" * of), AB, [[0.9, 0.1]] * right + [[0.1, 0.9]] * (of - right))
    figures = figures_of(judgement)
    of_history = quality.accuracy(np.array([[right, of - right], [0, 0]]))
    shares = [figures.accuracy, figures.at_worst, figures.classes[0].recall, judgement.left, of_history]
    all_a = judged(texts(*"a" * right, *"b" * (of - right)), AB, [[0.9, 0.1]] * of)
    shares.append(figures_of(all_a).classes[0].share)
    assert [share and share.interval for share in shares] == [clopper_pearson_of(right, of)] * len(shares)


@pytest.mark.parametrize("size", range(10, 17))
def test_the_range_before_a_figure_covers_the_truth_where_wilsons_interval_does_not(size: int) -> None:
    judgements = [
        judged(texts(*"a" * right, *"b" * (size - right)), AB, [[0.9, 0.1]] * size) for right in range(size + 1)
    ]
    shown = [figures_of(judgement).accuracy.interval for judgement in judgements]
    of_wilson = [wilson(right, size) for right in range(size + 1)]
    truths = np.linspace(0.005, 0.995, 199)

    def covered(intervals: Sequence[Interval], truth: float) -> float:
        return float(sum(binom.pmf(k, size, truth) for k, limits in enumerate(intervals) if limits.covers(truth)))

    assert min(covered(shown, truth) for truth in truths) >= 0.95
    assert min(covered(of_wilson, truth) for truth in truths) < 0.9
    assert all(a.width >= b.width - 1e-9 for a, b in zip(shown, of_wilson, strict=True))


def test_with_one_class_seen_nothing_is_known_of_the_other() -> None:
    figures = figures_of(judged(texts(*"aaaaaaaa"), AB, [[0.9, 0.1]] * 8))
    seen, unseen = figures.classes
    assert (seen.recall.value, seen.recall.examples, seen.share.value) == (1.0, 8, 1.0)
    assert (unseen.recall.value, unseen.f1.value, unseen.share.value) == (None, None, 0.0)
    assert figures.macro_f1.value is None
    assert figures.macro_f1.interval.low < 0.5 < figures.macro_f1.interval.high


def test_without_any_label_the_accuracy_is_not_known_and_takes_as_many_as_it_may_take_at_most() -> None:
    judgement = judged([], AB, [])
    assert figures_of(judgement).accuracy.interval == Interval(0.0, 1.0)
    low, high = clopper_pearson(round(judgement.more / 2), judgement.more)
    assert (judgement.more, high - low < WIDE) == (67, True)


@pytest.mark.parametrize(
    ("states", "more"),
    [
        ("o" * 60, 60),  # 67 where half of them are right, and 13 may do
        ("a" * 3 + "o" * 37, 37),
        ("a" * 9 + "o" * 4, 4),
        ("o" * 12, 67),  # not even with all right
        ("a" * 9 + "o" * 3, 32),
        ("o" * 100, 67),
    ],
)
def test_no_more_labels_are_asked_for_than_the_set_has_as_long_as_these_may_do(states: str, more: int) -> None:
    assert judged(texts(*states), AB, [[0.9, 0.1]] * states.count("a")).more == more


# Questions of a form


def of_form(cut: Cut, answers: Sequence[Sequence[str]], probs: Sequence[Sequence[float]]) -> Judgement:
    """What a version says, by answers to one question of that kind."""
    given = [encoded({cut.name: tuple(labels)}) if cut.kind == ANY_OF else labels[0] for labels in answers]
    some = [ControlText((number,), ANSWERED, answer) for number, answer in enumerate(given, 1)]
    version = replace(said(cut.labels, probs), layout=Layout((cut,)))
    return judge(0.1, some, EVERY, cut.labels, version, True, cut.kind)


def test_where_any_labels_may_be_given_each_is_judged_by_itself_and_all_at_once() -> None:
    rng, names = np.random.default_rng(0), ("glad", "cross", "odd")
    given_NK = rng.random((400, 3)) < [0.5, 0.2, 0.4]
    probs_NK = np.clip(0.2 + 0.5 * given_NK + rng.normal(0, 0.25, (400, 3)), 0, 1)
    cut = Cut("tones", ANY_OF, names, thresholds=(0.4, 0.5, 0.6))
    guessed_NK = probs_NK >= [0.4, 0.5, 0.6]
    answers = [[name for name, is_given in zip(names, row, strict=True) if is_given] for row in given_NK]
    judgement = of_form(cut, answers, probs_NK.tolist())
    figures, exact = figures_of(judgement), (given_NK == guessed_NK).all(axis=1)
    assert figures.accuracy.value == pytest.approx(accuracy_score(given_NK, guessed_NK))
    assert figures.accuracy.interval == pytest.approx(clopper_pearson(int(exact.sum()), 400))
    assert figures.macro_f1.value == pytest.approx(f1_score(given_NK, guessed_NK, average="macro"))
    recalls, f1s = (score(given_NK, guessed_NK, average=None) for score in (recall_score, f1_score))
    for k, of_label in enumerate(figures.classes):
        both, n = int((given_NK & guessed_NK)[:, k].sum()), int(given_NK[:, k].sum())
        assert (of_label.label, of_label.recall.examples) == (names[k], n)
        assert of_label.share.value == pytest.approx(n / 400)
        assert of_label.recall.value == pytest.approx(recalls[k])
        assert of_label.recall.interval == pytest.approx(clopper_pearson(both, n), abs=1e-9)
        assert of_label.f1.value == pytest.approx(f1s[k])
    assert figures.macro_f1.interval.low == pytest.approx(np.mean([one.f1.interval.low for one in figures.classes]))
    assert (figures.calibration.value, figures.error, judgement.kind) == (None, None, ANY_OF)
    turned = [2, 0, 1]
    other = Cut("tones", ANY_OF, tuple(names[k] for k in turned), thresholds=(0.6, 0.4, 0.5))
    same = judge(
        0.1,
        [ControlText((number,), ANSWERED, encoded({"tones": tuple(row)})) for number, row in enumerate(answers, 1)],
        EVERY,
        names,
        replace(said(other.labels, probs_NK[:, turned].tolist()), layout=Layout((other,))),
        True,
        ANY_OF,
    )
    assert same == judgement, "whatever the order of the version's labels"


def test_no_label_at_all_is_an_answer_and_a_label_that_was_never_given_is_not_known() -> None:
    cut = Cut("tones", ANY_OF, ("glad", "cross"))
    figures = figures_of(of_form(cut, [[], ["glad"], []], [[0.1, 0.1], [0.9, 0.1], [0.9, 0.1]]))
    assert (figures.accuracy.value, figures.accuracy.examples) == (2 / 3, 3)
    glad, cross = figures.classes
    assert glad.recall.value == 1.0
    assert glad.f1.value == pytest.approx(2 / 3)
    assert (cross.recall.value, cross.f1.value, cross.recall.interval) == (None, None, NOTHING_KNOWN)
    only = Cut("tones", ANY_OF, ("glad",))
    assert judge(0.1, [], EVERY, only.labels, None, True, ANY_OF).more_for_macro_f1 > 0, "with one label, too"


def test_what_says_nothing_of_a_label_judges_the_others_and_no_text_as_a_whole() -> None:
    cut = Cut("tones", ANY_OF, ("glad", "cross"))
    older = [ControlText((n,), ANSWERED, encoded({"tones": ("glad",)}, {"tones": ("cross",)})) for n in range(1, 31)]
    newer = [ControlText((n,), ANSWERED, encoded({"tones": ("cross",)})) for n in range(31, 51)]
    probs = [[0.9, 0.9]] * 30 + [[0.1, 0.9]] * 15 + [[0.9, 0.1]] * 5
    version = replace(said(cut.labels, probs), layout=Layout((cut,)))
    judgement = judge(0.1, [*older, *newer], EVERY, cut.labels, version, True, ANY_OF)
    figures, (glad, cross) = figures_of(judgement), figures_of(judgement).classes
    assert (judgement.sample.answered, figures.accuracy.examples, figures.accuracy.value) == (50, 20, 0.75)
    assert judgement.left is not None
    assert judgement.left.examples == 20
    assert (glad.share.value, glad.share.examples, glad.recall.value) == (0.6, 50, 1.0)
    assert (cross.share.value, cross.share.examples, cross.recall.value) == (1.0, 20, 0.75)
    assert figures_of(judge(0.1, older, EVERY, cut.labels, version, True, ANY_OF)).accuracy.value is None


def test_of_steps_it_is_known_how_far_off_the_answers_are() -> None:
    cut = Cut("stars", ORDERED, ("1", "2", "3", "4", "5"))
    answers, probs = [["1"], ["3"], ["5"], ["5"]] * 20, [np.eye(5)[k].tolist() for k in (0, 3, 1, 4)] * 20
    judgement = of_form(cut, answers, probs)
    figures = figures_of(judgement)
    assert figures.accuracy.value == 0.5
    assert figures.error is not None
    assert (figures.error.value, figures.error.examples) == (1.0, 80)
    assert 0.7 < figures.error.interval.low < 1.0 < figures.error.interval.high < 1.4
    assert judgement.kind == ORDERED
    plain = figures_of(of_form(replace(cut, kind=ONE_OF), answers, probs))
    assert replace(figures, error=None) == plain, "all else is as of classes without an order"


# Versions of which nothing can be said

SAMPLE = texts(*"abo")
RIGHT = [[0.9, 0.1], [0.1, 0.9]]


@pytest.mark.parametrize(
    ("version", "why"),
    [
        (None, NO_VERSION),
        (said(ABC, [[0.8, 0.1, 0.1]] * 2), "nextlabel-1 answers with other labels than the project has now"),
        (said(AB, RIGHT, known={3, 77}), "nextlabel-1 was fitted on 1 of the texts of the control set"),
        (said(AB, RIGHT, known=None), "it is not known what nextlabel-1 was fitted on"),
        (said(AB, RIGHT[:1]), "nextlabel-1 has still to score 1 of them"),
    ],
)
def test_no_figure_is_given_of_what_cannot_be_judged_and_it_says_why(version: Said | None, why: str) -> None:
    judgement = judge(0.1, SAMPLE, EVERY, AB, version, noted=True)
    assert (judgement.figures, judgement.left) == (None, None)
    assert judgement.why.startswith(why)
    assert judgement.why_left == judgement.why
    assert judgement.sample.answered == 2
    assert judgement.more > 0
