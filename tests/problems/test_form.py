"""Several questions: what votes come to, what is missing, how good guesses are."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextlabel.problems.form import Form, Part, answer_to, answered, measured, with_labels
from nextlabel.problems.metrics import weighted_kappa
from nextlabel.problems.single_choice import SingleChoice
from nextlabel.values.labels import Vote
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, Answers, decoded, encoded, unasked

FORM = Form(
    (
        Part("topic", ONE_OF, SingleChoice(("a", "b"), {"old": "a"}, ("unsure",))),
        Part("tones", ANY_OF, SingleChoice(("x", "y", "z"))),
        Part("stars", ORDERED, SingleChoice(("1", "2", "3", "4", "5"))),
    )
)


def vote(when: int = 0, ground_truth: bool = False, **answers: str | list[str]) -> Vote:
    plain = {name: (labels,) if isinstance(labels, str) else tuple(labels) for name, labels in answers.items()}
    return Vote(encoded(plain), ground_truth, f"2026-01-01T00:00:{when:02}")


def agreed(*votes: Vote) -> dict[str, tuple[str, ...]] | None:
    answer = FORM.consensus(votes)
    return None if answer is None else dict(decoded(answer))


def test_one_answer_is_what_it_says_in_the_labels_that_are_learnt() -> None:
    assert agreed(vote(topic="old", tones=["y ", "x"])) == {"topic": ("a",), "tones": ("x", "y")}


def test_a_question_whose_label_is_unknown_or_ignored_is_not_answered() -> None:
    assert agreed(vote(topic="unsure", tones=["x", "gone"], stars="3")) == {"stars": ("3",)}
    assert agreed(vote(topic="gone")) is None
    assert agreed() is None


def test_each_question_is_counted_among_those_who_answered_it() -> None:
    votes = vote(1, topic="a"), vote(2, topic="b", stars="5"), vote(3, topic="a", tones=[])
    assert agreed(*votes) == {"topic": ("a",), "tones": (), "stars": ("5",)}


def test_the_latest_answer_breaks_a_tie_of_each_kind() -> None:
    votes = vote(1, topic="a", tones=["x", "y"], stars="1"), vote(2, topic="b", tones=["x", "z"], stars="5")
    assert agreed(*votes) == {"topic": ("b",), "tones": ("x", "z"), "stars": ("5",)}
    assert agreed(*reversed(votes)) == agreed(*votes)


def test_of_steps_the_middle_one_is_taken_and_of_labels_what_most_gave() -> None:
    votes = vote(1, tones=["x"], stars="1"), vote(2, tones=["x", "y"], stars="5"), vote(3, tones=[], stars="4")
    assert agreed(*votes) == {"tones": ("x",), "stars": ("4",)}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ((0.3, 0.3, 1.0), {"topic": ("b",), "tones": ("z",), "stars": ("5",)}),
        ((0.5, 0.5, 1.0), {"topic": ("b",), "tones": ("z",), "stars": ("5",)}),
        ((0.6, 0.6, 1.0), {"topic": ("a",), "tones": ("x",), "stars": ("2",)}),
        ((1.0, 1.0, 0.1), {"topic": ("a",), "tones": ("x",), "stars": ("2",)}),
    ],
    ids=["one outweighs two", "the latest of as much", "two outweigh one", "one hardly counts"],
)
def test_answers_of_each_kind_count_by_their_weights(
    weights: tuple[float, ...], expected: dict[str, tuple[str, ...]]
) -> None:
    votes = (
        vote(1, topic="a", tones=["x"], stars="1"),
        vote(2, topic="a", tones=["x", "y"], stars="2"),
        vote(3, topic="b", tones=["z"], stars="5"),
    )
    assert agreed(*(replace(one, weight=weight) for one, weight in zip(votes, weights, strict=True))) == expected


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sets(st.sampled_from("xyz")), st.sampled_from("12345")), min_size=1),
    st.sampled_from([0.1, 0.3, 1 / 3, 0.7]),
)
def test_answers_that_all_weigh_the_same_come_to_what_they_would_with_full_weight(
    answers: list[tuple[str, set[str], str]], weight: float
) -> None:
    votes = [vote(n, topic=topic, tones=[*tones], stars=stars) for n, (topic, tones, stars) in enumerate(answers)]
    assert agreed(*(replace(one, weight=weight) for one in votes)) == agreed(*votes)


def test_ground_truth_goes_before_all_other_answers_to_its_question() -> None:
    votes = vote(1, ground_truth=True, topic="b"), vote(2, topic="a", stars="2"), vote(3, topic="a")
    assert agreed(*votes) == {"topic": ("b",), "stars": ("2",)}


def test_a_task_is_left_out_when_ignored_labels_are_all_there_is() -> None:
    assert FORM.leaves_out([vote(topic="unsure")])
    assert not FORM.leaves_out([vote(topic="unsure", stars="1")])
    assert not FORM.leaves_out([vote(tones=[])])


def test_a_fit_makes_sense_once_some_question_has_two_answers() -> None:
    alike = [encoded({"topic": ("a",)})] * 3
    assert "at least one question needs two different answers" in FORM.missing_labels([])
    assert "All 3 labelled tasks so far are answered alike" in FORM.missing_labels(alike)
    assert "answered alike" in FORM.missing_labels([encoded({"topic": ("a",)}), encoded({"stars": ("5",)})])
    assert FORM.missing_labels([*alike, encoded({"topic": ("b",)})]) == ""
    assert FORM.missing_labels([encoded({"tones": ()}), encoded({"tones": ("x",)})]) == ""


PROBS = np.array([[0.9, 0.1, 0.5, 0.4, 0.9, 0.1, 0.2, 0.4, 0.2, 0.1]])


def test_the_likeliest_label_is_predicted_or_all_that_are_likelier_than_not() -> None:
    assert FORM.predicted(PROBS).tolist() == [[1, 0, 1, 0, 1, 0, 0, 1, 0, 0]]


def test_only_answered_questions_count_and_each_as_a_whole() -> None:
    targets = FORM.class_numbers([encoded({"topic": ("a",), "tones": ("x",)}), encoded({"stars": ("3",)})])
    predictions = FORM.predicted(np.repeat(PROBS, 2, axis=0))
    assert FORM.right(targets, predictions).tolist() == [True, False, True]
    scores = FORM.evaluate(targets, predictions)
    assert scores.accuracy == pytest.approx((1 + 0 + 1) / 3)
    assert scores.examples == 2
    with pytest.raises(ValueError, match="0 examples"):
        FORM.evaluate(targets[:0], predictions[:0])


def test_measures_are_by_question_and_label() -> None:
    answers: list[Answers] = [{"tones": ("x", "y"), "stars": ("1",)}, {"tones": ("x",), "stars": ("5",)}]
    targets = FORM.class_numbers([encoded(answer) for answer in answers])
    predictions = FORM.predicted(np.repeat(PROBS, 2, axis=0))  # x and z, three stars
    found = FORM.measures(targets, predictions)
    assert found["tones"] == {
        "exact_match": 0.0,
        "macro_f1": pytest.approx(1 / 3),
        "micro_f1": pytest.approx(2 * 2 / (2 * 2 + 3)),
        "f1 x": 1.0,
        "f1 y": 0.0,
        "f1 z": 0.0,
        "examples": 2.0,
    }
    assert found["stars"]["mean_absolute_error"] == 2.0
    assert found["stars"]["kappa"] == 0.0
    assert "topic" not in found


def test_the_most_frequent_answer_is_what_a_blind_guess_would_be() -> None:
    answers: list[Answers] = [{"topic": ("a",), "tones": ("x",)}, {"topic": ("a",), "tones": ("x", "y")}]
    answers.append({"topic": ("b",)})
    targets = FORM.class_numbers([encoded(answer) for answer in answers])
    assert FORM.most_frequent(targets)[0, :5].tolist() == [1, 0, 1, 1, 0]
    assert FORM.most_frequent(targets).shape == targets.shape


def test_weighted_kappa_compares_misses_with_those_of_chance() -> None:
    rng = np.random.default_rng(0)
    targets_N, said_N = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    # By its definition: one less the mean squared miss over that of pairs that have nothing to do with each other.
    by_chance = np.subtract.outer(targets_N, said_N) ** 2.0
    expected = 1 - ((targets_N - said_N) ** 2.0).mean() / by_chance.mean()
    assert weighted_kappa(targets_N, said_N, 5) == pytest.approx(expected)
    assert weighted_kappa(targets_N, targets_N, 5) == 1.0


def test_figures_are_about_the_first_question_with_exactly_one_answer() -> None:
    about = measured(FORM)
    assert about.labels == ("a", "b")
    assert about.consensus([vote(topic="old", tones=["x"])]) == "a"
    assert about.consensus([vote(tones=["x"])]) is None
    assert about.leaves_out([vote(tones=["x"])])
    assert not about.leaves_out([])
    assert measured(SingleChoice(("a", "b"))) == SingleChoice(("a", "b"))


def test_where_any_labels_may_be_given_they_are_about_whether_the_first_one_is() -> None:
    tones = Form((Part("tones", ANY_OF, SingleChoice(("x", "y"))),))
    about = tones.measured
    assert (about.name, about.labels) == ("tones: x", ("x", "not x"))
    assert [about.consensus([vote(tones=given)]) for given in (["x", "y"], ["y"], [])] == ["x", "not x", "not x"]
    np.testing.assert_allclose(about.narrowed(tones.layout, np.array([[0.9, 0.3]])), [[0.9, 0.1]])


def test_what_control_texts_answer_is_any_question_of_the_form() -> None:
    about = answered(FORM)
    assert about.labels == FORM.labels
    given = about.consensus([vote(topic="old", tones=["x"])])
    assert given is not None
    assert [answer_to(part, given) for part in FORM.parts] == ["a", encoded({"tones": ("x",)}), None]
    assert about.consensus([vote(topic="gone")]) is None
    assert about.leaves_out([vote(topic="gone")])
    assert not about.leaves_out([vote(tones=[])])
    assert not about.leaves_out([])
    assert answered(SingleChoice(("a", "b"))) == SingleChoice(("a", "b"))


def test_an_audit_of_one_question_goes_on_when_the_form_asks_more() -> None:
    assert with_labels(FORM, ("a", "b")).consensus([vote(topic="a", stars="1")]) == "a"
    assert with_labels(FORM, ("gone",)) is FORM
    assert with_labels(SingleChoice(("a", "b")), ("a", "b")) == SingleChoice(("a", "b"))


def test_of_a_versions_numbers_those_of_the_question_are_taken_by_its_name() -> None:
    about = FORM.measured
    older = Form((FORM.parts[2], FORM.parts[0])).layout
    numbers = np.arange(7, dtype=np.float64)[None]
    assert about.narrowed(older, numbers).tolist() == [[5, 6]]
    assert about.labels_of(older) == ("a", "b")
    assert about.narrowed(Form(FORM.parts[1:]).layout, np.ones((1, 8))).shape == (1, 0)
    assert about.labels_of(None) == ()


# Labels that came and went: x was there always, y from second 10 on, z until second 20; w is what z is called since.
CHANGING = Form(
    (
        Part(
            "tones",
            ANY_OF,
            SingleChoice(("x", "y", "w"), {"z": "w"}),
            changes={"y": ["2026-01-01T00:00:10"], "z": ["", "2026-01-01T00:00:20"], "w": ["2026-01-01T00:00:20"]},
        ),
    )
)


def of_tones(*votes: Vote) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    answer = CHANGING.consensus(votes)
    return None if answer is None else (decoded(answer)["tones"], unasked(answer).get("tones", ()))


@pytest.mark.parametrize(
    ("when", "tones", "expected"),
    [
        (5, ["x"], (("x",), ("y",))),
        (5, [], ((), ("y",))),
        (5, ["y"], (("y",), ())),
        (10, ["x"], (("x",), ())),
        (5, ["z"], (("w",), ("y",))),
        (25, [], ((), ())),
    ],
    ids=["not asked", "none of those there", "given all the same", "asked by then", "by its old name", "of now"],
)
def test_an_answer_says_nothing_of_a_label_that_came_later(
    when: int, tones: list[str], expected: tuple[tuple[str, ...], tuple[str, ...]]
) -> None:
    assert of_tones(vote(when, tones=tones)) == expected


def test_each_label_is_decided_by_those_who_were_asked_about_it() -> None:
    assert of_tones(vote(1, tones=["x"]), vote(2, tones=["x"]), vote(11, tones=["y"])) == (("x", "y"), ())
    assert of_tones(vote(1, tones=["x"]), vote(11, tones=["y"])) == (("y",), ())
    assert of_tones(vote(1, tones=["x"]), vote(2, tones=[])) == ((), ("y",))


def test_a_label_that_is_gone_leaves_the_others_and_one_that_came_back_was_away_meanwhile() -> None:
    part = replace(CHANGING.parts[0], spellings=SingleChoice(("x", "y", "w")))
    gone = Form((part,)).consensus([vote(5, tones=["x", "z"])])
    assert gone == encoded({"tones": ("x",)}, {"tones": ("w", "y")})
    assert Form((part,)).consensus([vote(5, tones=["x", "never there"])]) is None
    back = Part(
        "tones", ANY_OF, SingleChoice(("x", "y")), changes={"y": ["", *(f"2026-01-01T00:00:{s}" for s in (10, 20))]}
    )
    said = [Form((back,)).consensus([vote(when, tones=["x"])]) for when in (5, 15, 25)]
    assert [unasked(answer or "") for answer in said] == [{}, {"tones": ("y",)}, {}]


def test_where_nobody_was_asked_about_any_label_the_question_is_not_answered() -> None:
    part = Part("tones", ANY_OF, SingleChoice(("y",)), changes={"y": ["2026-01-01T00:00:10"]})
    assert Form((part,)).consensus([vote(5, tones=[])]) is None


def test_labels_that_were_not_asked_about_are_neither_right_nor_wrong() -> None:
    first, second = ({"tones": ("x",)}, {"tones": ("y",)}), {"tones": ("x", "y")}
    targets = CHANGING.class_numbers([encoded(*first), encoded(second)])
    predictions = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    assert CHANGING.right(targets, predictions).tolist() == [True, False]
    found = CHANGING.measures(targets, predictions)["tones"]
    assert (found["f1 x"], found["f1 y"], found["examples"]) == (1.0, 0.0, 2.0)
    assert found["micro_f1"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    nobody = CHANGING.measures(targets[:1], predictions[:1])["tones"]
    assert "f1 y" not in nobody
    assert nobody["macro_f1"] == 0.5
    assert CHANGING.missing_labels([encoded({"tones": ()}), encoded({"tones": ()}, {"tones": ("y",)})]) != ""


def test_the_answer_to_one_question_keeps_what_was_not_asked() -> None:
    answer = encoded({"tones": ("x",)}, {"tones": ("y",)})
    assert answer_to(CHANGING.parts[0], answer) == answer
    first = Form((Part("tones", ANY_OF, SingleChoice(("y", "x"))),)).measured
    assert first.label_in(answer) is None
