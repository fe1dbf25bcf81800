"""Predictions as Label Studio stores them: the choice, its score, and what the score hides."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.labelling_configs import SINGLE, choices, text, view
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.controls.results import shown as shown_of
from nextlabel.labelstudio.objects.fields import TextField
from nextlabel.labelstudio.predictions import no_prediction, to_prediction
from nextlabel.learning.strategies import acquire
from nextlabel.values.options import ProjectOptions
from nextlabel.values.queue import to_score

laws = settings(derandomize=True, deadline=None, max_examples=100)


# Predictions


def test_an_entropy_prediction_scores_one_minus_the_normalised_entropy() -> None:
    probs_NC = np.array([[0.9, 0.1], [0.5, 0.5], [1.0, 0.0]])
    values_N = acquire("entropy", probs_NC[:, None], np.zeros(3))
    scores = [to_prediction(SINGLE, SINGLE.labels, p, v, "v")["score"] for p, v in zip(probs_NC, values_N, strict=True)]
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert scores == pytest.approx([1 - entropy / np.log(2), 0.0, 1.0], abs=1e-12)


def test_a_prediction_keeps_what_the_score_hides() -> None:
    prediction = to_prediction(SINGLE, ("pos", "neg"), np.array([0.25, 0.75]), 0.4, "nextlabel-1")
    assert prediction["model_version"] == "nextlabel-1"
    (item,) = prediction["result"]
    assert (item["from_name"], item["to_name"], item["type"]) == ("label", "text", "choices")
    assert (item["value"], item["score"]) == ({"choices": ["neg"]}, 0.75)
    assert item["meta"]["probabilities"] == {"pos": 0.25, "neg": 0.75}
    assert item["meta"]["entropy"] == pytest.approx(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))


@laws
@given(
    weights=st.lists(st.integers(0, 10**9), min_size=2, max_size=5).filter(any),
    value=st.floats(allow_nan=True, allow_infinity=True),
)
def test_every_prediction_is_one_that_label_studio_can_store(weights: list[int], value: float) -> None:
    labels = tuple("abcde"[: len(weights)])
    config = LabelConfig("label", "text", (TextField("$text", "text"),), labels)
    prediction = to_prediction(config, labels, np.array(weights) / sum(weights), value, "v")
    json.dumps(prediction, allow_nan=False)
    (item,) = prediction["result"]
    assert 0 <= prediction["score"] <= 1
    assert 0 <= item["score"] <= 1
    assert sum(item["meta"]["probabilities"].values()) == pytest.approx(1)
    assert item["meta"]["probabilities"][item["value"]["choices"][0]] == item["score"]


def test_the_more_informative_scores_lower() -> None:
    assert [to_score(value) for value in (1.0, 0.75, 0.0)] == [0.0, 0.25, 1.0]


def test_a_choice_that_the_config_lost_is_not_shown() -> None:
    prediction = to_prediction(SINGLE, ("pos", "gone"), np.array([0.2, 0.8]), 0.5, "v")
    assert prediction == {"result": [], "score": 0.5, "model_version": "v"}


def test_a_choice_that_is_mapped_is_shown_as_what_it_is_mapped_to() -> None:
    config = parse_label_config(view(text("text"), choices()), ProjectOptions(label_map={"gone": "neg"}))
    prediction = to_prediction(config, ("pos", "gone"), np.array([0.2, 0.8]), 0.5, "v")
    assert prediction["result"][0]["value"] == {"choices": ["neg"]}


def test_a_prediction_says_when_the_text_was_not_read_to_its_end() -> None:
    probs_C = np.array([0.2, 0.8])
    whole, part = (to_prediction(SINGLE, ("pos", "neg"), probs_C, 0.5, "v", truncated=t) for t in (False, True))
    assert part["result"][0]["meta"] == {**whole["result"][0]["meta"], "truncated": True}


def test_no_prediction_shows_nothing_and_says_why() -> None:
    assert no_prediction(1.0, "v", "empty") == {"result": [], "score": 1.0, "model_version": "v", "reason": "empty"}


TWO = [
    {"from_name": "stars", "type": "rating", "value": {"rating": 3}},
    {"from_name": "label", "type": "choices", "value": {"choices": ["pos"]}},
]
STRANGE: list[object] = [None, {}, "pos", [None], [{}], [{"value": "pos"}], [{"value": {"choices": "pos"}}]]
STRANGE += [[{"value": {"choices": [1, None]}}]]


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (to_prediction(SINGLE, ("pos", "neg"), np.array([0.25, 0.75]), 0.5, "v")["result"], "neg"),
        (to_prediction(SINGLE, ("pos", "gone"), np.array([0.2, 0.8]), 0.5, "v")["result"], ""),
        (TWO, '[["stars", "rating", {"rating": 3}], ["label", "choices", {"choices": ["pos"]}]]'),
        *((strange, "") for strange in STRANGE),
    ],
)
def test_what_a_prediction_shows_is_read_from_it(result: object, shown: str) -> None:
    assert shown_of(result) == shown
