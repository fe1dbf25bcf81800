"""How numbers are divided among questions, and how answers are written down."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextlabel.values.layout import (
    ANY_OF,
    ONE_OF,
    ORDERED,
    Cut,
    Layout,
    agree,
    asks,
    asks_in_any_order,
    decoded,
    encoded,
    labels_in,
    unasked,
)

LAYOUT = Layout(
    (Cut("topic", ONE_OF, ("a", "b", "c")), Cut("tones", ANY_OF, ("x", "y")), Cut("stars", ORDERED, ("1", "2")))
)
NAN = np.nan


def test_each_number_has_a_name_after_its_question_where_there_are_several() -> None:
    assert LAYOUT.labels == ("topic: a", "topic: b", "topic: c", "tones: x", "tones: y", "stars: 1", "stars: 2")
    assert Layout((Cut("tones", ANY_OF, ("x", "y")),)).labels == ("x", "y")


def test_what_is_not_answered_is_no_target_and_an_empty_answer_says_none() -> None:
    answers = [encoded({"topic": ("b",), "tones": ("y", "x")}), encoded({"tones": ()}), encoded({"stars": ("2",)})]
    expected = [[0, 1, 0, 1, 1, NAN, NAN], [NAN, NAN, NAN, 0, 0, NAN, NAN], [NAN] * 5 + [0, 1]]
    np.testing.assert_array_equal(LAYOUT.targets(answers), expected)


@pytest.mark.parametrize("answer", [{"topic": ("gone",)}, {"gone": ("a",)}, {"gone": ()}])
def test_a_label_or_a_question_that_is_unknown_is_no_target(answer: dict[str, tuple[str, ...]]) -> None:
    assert not LAYOUT.holds(encoded(answer))
    with pytest.raises(KeyError):
        LAYOUT.targets([encoded(answer)])


def test_an_answer_of_which_all_is_known_is_held() -> None:
    assert LAYOUT.holds(encoded({"topic": ("a",), "tones": ()}))


@given(st.lists(st.lists(st.floats(-800, 800), min_size=7, max_size=7), min_size=1, max_size=4))
def test_labels_of_one_question_share_certainty_and_labels_of_any_number_do_not(logits: list[list[float]]) -> None:
    probs_NC = LAYOUT.probabilities(np.array(logits))
    assert ((probs_NC >= 0) & (probs_NC <= 1)).all()
    np.testing.assert_allclose(probs_NC[:, :3].sum(axis=1), 1)
    np.testing.assert_allclose(probs_NC[:, 5:].sum(axis=1), 1)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(probs_NC[:, 3:5], 1 / (1 + np.exp(-np.array(logits)[:, 3:5])))


def test_equal_answers_are_one_text_and_are_read_again() -> None:
    one, other = encoded({"tones": ("y", "x"), "topic": ("ü",)}), encoded({"topic": ("ü",), "tones": ("x", "y")})
    assert one == other
    assert dict(decoded(one)) == {"tones": ("x", "y"), "topic": ("ü",)}


@pytest.mark.parametrize("label", ["news", "1", "[1]", "null", "{", '{"a": 1}'])
def test_the_label_of_a_single_question_answers_no_form(label: str) -> None:
    assert decoded(label) == {}
    assert not LAYOUT.holds(label)


def test_labels_in_an_answer_are_named_as_the_numbers_are() -> None:
    assert labels_in("pos", None) == ("pos",)
    assert labels_in(encoded({"tones": ("x",), "topic": ("a",)}), LAYOUT) == ("tones: x", "topic: a")
    assert labels_in(encoded({"tones": ()}), Layout((Cut("tones", ANY_OF, ("x",)),))) == ()


def test_a_layout_is_the_same_after_it_was_written_down() -> None:
    weighted = Layout((Cut("topic", ONE_OF, ("a", "b"), 0.5),), "maximum")
    assert Layout.of(weighted.as_dict()) == weighted
    assert Layout.of({}) is None
    assert Layout.of(None) is None


def test_what_a_question_counts_for_is_no_part_of_what_is_asked() -> None:
    heavy, light = (Layout((Cut("topic", ONE_OF, ("a", "b"), weight),)) for weight in (1.0, 0.1))
    assert asks(heavy) == asks(light) != asks(LAYOUT)
    assert asks(None) == ()


def test_the_part_about_one_question_is_a_layout_with_its_thresholds() -> None:
    tones = Cut("tones", ANY_OF, ("x", "y"), thresholds=(0.2, 0.3))
    layout = Layout((Cut("topic", ONE_OF, ("a", "b")), tones))
    assert layout.of_question("tones", ANY_OF) == (Layout((tones,)), slice(2, 4))
    assert layout.of_question("tones", ORDERED) is None, "of that name, and another kind"
    assert layout.of_question("gone", ANY_OF) is None


def test_of_a_label_that_was_not_asked_about_nothing_is_a_target() -> None:
    answer = encoded({"tones": ("x",), "topic": ("a",)}, {"tones": ("y", "gone")})
    assert dict(decoded(answer)) == {"tones": ("x",), "topic": ("a",)}
    assert dict(unasked(answer)) == {"tones": ("gone", "y")}
    np.testing.assert_array_equal(LAYOUT.targets([answer]), [[1, 0, 0, 1, NAN, NAN, NAN]])
    assert LAYOUT.holds(answer)
    assert encoded({"tones": ("x",)}, {"tones": ()}) == encoded({"tones": ("x",)})
    assert unasked(encoded({"tones": ()})) == {}
    assert LAYOUT.narrowed(answer) == encoded({"tones": ("x",), "topic": ("a",)}, {"tones": ("y",)})
    older = Layout((LAYOUT.cuts[0], Cut("tones", ANY_OF, ("x",))))
    assert older.narrowed(answer) == encoded({"tones": ("x",), "topic": ("a",)}), "as it was before y came"


def test_an_answer_is_narrowed_to_the_questions_and_labels_that_a_layout_has() -> None:
    answer = encoded({"tones": ("x", "new"), "topic": ("new",), "gone": ("a",)}, {"tones": ("y", "newer")})
    assert LAYOUT.narrowed(answer) == encoded({"tones": ("x",)}, {"tones": ("y",)})
    assert LAYOUT.narrowed(encoded({"gone": ("a",), "topic": ("new",)})) == ""
    assert LAYOUT.narrowed("a") == "", "the label of a single question"


def test_the_order_of_questions_and_labels_is_no_part_of_what_is_asked_but_that_of_steps_is() -> None:
    one = Layout((Cut("topic", ONE_OF, ("a", "b")), Cut("stars", ORDERED, ("1", "2"))))
    other = Layout((Cut("stars", ORDERED, ("1", "2")), Cut("topic", ONE_OF, ("b", "a"))))
    steps = Layout((Cut("topic", ONE_OF, ("a", "b")), Cut("stars", ORDERED, ("2", "1"))))
    assert asks_in_any_order(one.labels, one) == asks_in_any_order(other.labels, other)
    assert asks_in_any_order(one.labels, one) != asks_in_any_order(steps.labels, steps)
    assert asks_in_any_order(("a", "b"), None) == asks_in_any_order(("b", "a"), None) != asks_in_any_order(("a",), None)


def test_answers_agree_that_differ_in_what_one_of_them_says_nothing_of() -> None:
    older = encoded({"tones": ("x",), "topic": ("a",)}, {"tones": ("y",)})
    same = [encoded({"tones": tones, "topic": ("a",)}) for tones in (("x",), ("x", "y"))]
    others = [encoded(given) for given in ({"tones": ("y",), "topic": ("a",)}, {"tones": ("x",), "topic": ("b",)})]
    for one in (older, *same):
        assert agree(older, one)
        assert agree(one, older)
    for other in (*others, encoded({"tones": ("x",)}), "pos", ""):
        assert not agree(older, other)
        assert not agree(other, older)
    assert not agree(*same)
    assert agree("pos", "pos")
    assert not agree("pos", "neg")
