"""Rows of a version's last layer under a form that has changed: by names, and what each label begins with."""

import numpy as np
import pytest

from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.learning.carrying import Rows, carried, rows_for, turned
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED, Cut, Layout, asks, encoded
from nextlabel.values.linear import Linear
from nextlabel.values.options import LATEST, ProjectOptions

TONES = Cut("tones", ANY_OF, ("glad", "cross"), 2.0, (0.3, 0.6))
VERSION = Layout((Cut("topic", ONE_OF, ("food", "sea", "hills")), TONES, Cut("stars", ORDERED, ("1", "2", "3"))))
LAYER = Linear(np.square(np.arange(16.0)).reshape(8, 2), np.square(np.arange(8.0)))
TOPIC = ("food", "sea", "hills")


def choices(name: str, labels: tuple[str, ...], more: str = "") -> str:
    inside = "".join(f'<Choice value="{label}"/>' for label in labels)
    return f'<Choices name="{name}" toName="text" {more}>{inside}</Choices>'


def config_of(*controls: str, **options: object) -> LabelConfig:
    xml = f'<View><Text name="text" value="$text"/>{"".join(controls)}</View>'
    return parse_label_config(xml, ProjectOptions(defaults=LATEST, **options))  # type: ignore[arg-type]


def rows(
    config: LabelConfig, *answers: str, layout: Layout | None = VERSION, labels: tuple[str, ...] = VERSION.labels
) -> Rows | None:
    return rows_for(labels, layout, config.question, config.asked[0].name, config.label_of, answers)


MULTIPLE, STARS = 'choice="multiple"', '<Rating name="stars" toName="text" maxRating="3"/>'
AS_IT_WAS = (choices("topic", TOPIC), choices("tones", ("glad", "cross"), MULTIPLE), STARS)


def test_of_the_same_form_all_rows_are_the_versions_own() -> None:
    found = rows(config_of(*AS_IT_WAS))
    assert found == Rows.all(VERSION.labels, VERSION)
    assert found.taken(LAYER) is LAYER


def test_rows_go_by_name_whatever_the_order_and_what_is_gone_leaves_the_others() -> None:
    config = config_of(choices("tones", ("cross", "glad"), MULTIPLE), choices("topic", ("hills", "food")))
    found = rows(config)
    assert found is not None
    assert found.labels == ("tones: cross", "tones: glad", "topic: hills", "topic: food")
    np.testing.assert_array_equal(found.taken(LAYER).weights_CD, LAYER.weights_CD[[4, 3, 2, 0]])
    np.testing.assert_array_equal(found.taken(LAYER).bias_C, np.array([16.0, 9, 4, 0]))
    assert found.layout is not None
    assert found.layout.cuts[0] == Cut("tones", ANY_OF, ("cross", "glad"), 2.0, (0.6, 0.3)), "with their thresholds"
    said = carried(found, config.question)
    assert (said.kept, said.begun, said.missing) == (found.labels, (), ())


def test_a_new_label_comes_once_it_is_given_and_withheld_and_begins_like_its_question() -> None:
    config = config_of(choices("topic", (*TOPIC, "town")), choices("tones", ("odd", "glad", "cross"), MULTIPLE), STARS)
    town, food = encoded({"topic": ("town",), "tones": ("odd",)}), encoded({"topic": ("food",)}, {})
    found = rows(config, food)
    assert found is not None
    assert carried(found, config.question).missing == ("topic: town", "tones: odd")
    found = rows(config, town, food)
    assert found is not None
    assert carried(found, config.question).missing == ("tones: odd",), "given by all who were asked"
    assert carried(found, config.question).begun == ("topic: town",)
    layer = found.taken(LAYER)
    np.testing.assert_allclose(layer.weights_CD[3], LAYER.weights_CD[:3].mean(axis=0))
    found = rows(config, town, food, encoded({"tones": ()}))
    assert found is not None
    assert carried(found, config.question).missing == ()
    layer, at = found.taken(LAYER), found.labels.index("tones: odd")
    assert layer.bias_C is not None
    assert not layer.weights_CD[at].any()
    assert layer.bias_C[at] == 0
    assert found.layout is not None
    assert found.layout.cuts[1].thresholds == (0.5, 0.3, 0.6)


def test_a_label_that_has_another_name_now_keeps_its_row() -> None:
    config = config_of(choices("topic", ("food", "coast", "hills")), label_map={"sea": "coast"})
    found = rows(config)
    assert found is not None
    assert found == Rows(("food", "coast", "hills"), None, ((0,), (1,), (2,)))
    both = config_of(choices("topic", ("coast", "hills")), label_map={"sea": "coast", "food": "coast"})
    assert rows(both) == Rows(("coast", "hills"), None, ((0,), (2,)))


def test_a_version_of_one_question_is_carried_to_the_only_one_with_its_labels() -> None:
    labels = ("food", "sea")
    form = config_of(choices("mood", ("good", "bad")), choices("place", ("sea", "food", "hills")))
    found = rows(form, layout=None, labels=labels)
    assert found is not None
    assert found.layout == Layout((Cut("place", ONE_OF, ("sea", "food")),))
    assert found.of == ((1,), (0,))
    twice = config_of(choices("mood", ("food", "bad")), choices("place", ("sea", "food")))
    assert rows(twice, layout=None, labels=labels) is None, "nobody can tell whose they were"


def test_a_question_of_another_kind_is_another_one_and_is_learnt_from_the_answers_at_hand() -> None:
    config = config_of(choices("topic", ("food", "sea"), MULTIPLE), choices("stars", ("1", "2")))
    assert rows(config) is None
    given = [encoded({"topic": topic, "stars": (star,)}) for topic, star in ((("food",), "1"), ((), "2"))]
    found = rows(config, *given)
    assert found is not None
    assert found.labels == ("topic: food", "stars: 1", "stars: 2")
    assert not found.taken(LAYER).weights_CD.any()


@pytest.mark.parametrize("left", [("food",), ()])
def test_a_question_with_one_answer_is_left_out_that_keeps_fewer_than_two_labels(left: tuple[str, ...]) -> None:
    found = rows(config_of(choices("topic", (*left, "town", "moor")), STARS))
    assert found is not None
    assert found.layout is not None
    assert [cut.name for cut in found.layout.cuts] == ["stars"]


def test_questions_of_another_kind_are_named_with_the_one_that_they_had() -> None:
    several = config_of(choices("topic", TOPIC, MULTIPLE), choices("tones", ("glad", "cross")), STARS)
    assert turned(VERSION.labels, VERSION, several.question, "topic") == {"topic": ONE_OF, "tones": ANY_OF}
    alone = config_of(choices("topic", TOPIC, MULTIPLE))
    assert turned(TOPIC, None, alone.question, "topic") == {"topic": ONE_OF}
    assert turned(TOPIC, None, config_of(choices("topic", TOPIC), STARS).question, "topic") == {}
    assert turned(("glad", "cross"), Layout((TONES,)), config_of(choices("tones", ("glad", "cross"))).question, "tones")


@pytest.mark.parametrize(("most", "named"), [(10, {"stars": ORDERED}), (2, {"stars": ORDERED}), (3, {})])
def test_a_scale_with_other_ends_is_named(most: int, named: dict[str, str]) -> None:
    stars = f'<Rating name="stars" toName="text" maxRating="{most}"/>'
    assert turned(VERSION.labels, VERSION, config_of(choices("topic", TOPIC), stars).question, "topic") == named
    other = config_of(choices("topic", TOPIC), choices("stars", ("1", "2"))).question
    assert turned(VERSION.labels, VERSION, other, "topic") == {}, "whose answers are none of it"


def test_what_an_answer_says_is_read_in_the_rows_that_there_are() -> None:
    found = rows(config_of(choices("tones", ("glad", "odd"), MULTIPLE), choices("topic", ("food", "sea", "town"))))
    assert found is not None
    answer = encoded({"tones": ("glad", "odd"), "topic": ("town",)})
    assert found.known_as(answer) == encoded({"tones": ("glad",)}), "another topic than those that it knows"
    assert found.known_as(encoded({"tones": ()}, {"tones": ("odd",)})) == encoded({"tones": ()})
    assert found.known_as(encoded({"topic": ("town",)})) == ""
    assert asks(found.layout)
    single = Rows(("food", "sea"), None, ((0,), (1,)))
    assert [single.known_as(label) for label in ("sea", "town")] == ["sea", ""]


def test_what_each_question_counts_for_stays_until_the_next_version() -> None:
    config = config_of(*AS_IT_WAS[:2], question_weights={"tones": 0.5, "topic": 0.1}, combine_questions="maximum")
    found = rows(config)
    assert found is not None
    assert found.layout is not None
    assert [cut.weight for cut in found.layout.cuts] == [1.0, 2.0]
    assert found.layout.combine == VERSION.combine
