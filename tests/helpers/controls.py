"""Every kind of control that is served, with what Label Studio's editor stores of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from helpers.labelling_configs import text, view
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.predictions import to_prediction
from nextlabel.values.layout import ANY_OF, ONE_OF, ORDERED
from nextlabel.values.options import LATEST, ProjectOptions

NEW = ProjectOptions(defaults=LATEST)


def tags(tag: str, attributes: str, *choices: str) -> str:
    inside = "".join(f'<Choice value="{choice}"/>' for choice in choices)
    return f'<{tag} toName="text" {attributes}>{inside}</{tag}>'


TREE = """<Taxonomy name="tree" toName="text" {}>
  <Choice value="Animal" alias="an"><Choice value="Dog"/><Choice value="Cat" alias="ca"/></Choice><Choice value="Rock"/>
</Taxonomy>"""
NESTED = """<Choices name="q" toName="text" allowNested="true" {}>
  <Choice value="A"><Choice value="A1"/><Choice value="A2"/></Choice><Choice value="B"/>
</Choices>"""
# What people ask, the kind of question, its labels, and the value of an item as Label Studio's editor stores it.
CONTROLS: Mapping[str, tuple[str, str, tuple[str, ...], dict[str, Any]]] = {
    "one choice": (tags("Choices", 'name="q"', "a", "b"), ONE_OF, ("a", "b"), {"choices": ["b"]}),
    "several choices": (
        tags("Choices", 'name="q" choice="multiple"', "a", "b", "c"),
        ANY_OF,
        ("a", "b", "c"),
        {"choices": ["a", "b"]},
    ),
    "one choice that may be given": (
        tags("Choices", 'name="q" choice="multiple"', "spam"),
        ANY_OF,
        ("spam",),
        {"choices": ["spam"]},
    ),
    "a tree": (TREE.format(""), ANY_OF, ("an", "an > Dog", "an > ca", "Rock"), {"taxonomy": [["an"], ["an", "ca"]]}),
    "leaves of a tree": (
        TREE.format('leafsOnly="true"'),
        ANY_OF,
        ("an > Dog", "an > ca", "Rock"),
        {"taxonomy": [["an", "Dog"]]},
    ),
    "one leaf of a tree": (
        TREE.format('leafsOnly="true" maxUsages="1"'),
        ONE_OF,
        ("an > Dog", "an > ca", "Rock"),
        {"taxonomy": [["an", "ca"]]},
    ),
    "flat choices that may be nested": (
        tags("Choices", 'name="q" allowNested="true"', "a", "b"),
        ONE_OF,
        ("a", "b"),
        {"choices": [["b"]]},
    ),
    "several flat choices that may be nested": (
        tags("Choices", 'name="q" choice="multiple" allowNested="true"', "a", "b", "c"),
        ANY_OF,
        ("a", "b", "c"),
        {"choices": [["a"], ["c"]]},
    ),
    "nested choices": (NESTED.format(""), ONE_OF, ("A", "A > A1", "A > A2", "B"), {"choices": [["A", "A1"]]}),
    "a parent of nested choices": (
        NESTED.format(""),
        ONE_OF,
        ("A", "A > A1", "A > A2", "B"),
        {"choices": [["A"], ["A", "A1"], ["A", "A2"]]},
    ),
    "several nested choices": (
        NESTED.format('choice="multiple"'),
        ANY_OF,
        ("A > A1", "A > A2", "B"),
        {"choices": [["A", "A2"], ["B"]]},
    ),
    "all below a parent of nested choices": (
        NESTED.format('choice="multiple"'),
        ANY_OF,
        ("A > A1", "A > A2", "B"),
        {"choices": [["A"], ["A", "A1"], ["A", "A2"]]},
    ),
    "stars": (tags("Rating", 'name="q"'), ORDERED, ("1", "2", "3", "4", "5"), {"rating": 4}),
    "ten stars": (tags("Rating", 'name="q" maxRating="10"'), ORDERED, tuple(map(str, range(1, 11))), {"rating": 10}),
    "a number": (tags("Number", 'name="q" min="0" max="10" step="5"'), ORDERED, ("0", "5", "10"), {"number": 5}),
}


def config_of(*controls: str) -> LabelConfig:
    return parse_label_config(view(text("text"), *controls), NEW)


def annotation(config: LabelConfig, **values: Mapping[str, Any]) -> dict[str, Any]:
    """As Label Studio's editor stores it."""
    kinds = {control.name: control for control in config.asked}
    items = [
        {
            "id": "x",
            "from_name": name,
            "to_name": "text",
            "type": kinds[name].item_type,
            "value": value,
            "origin": "manual",
        }
        for name, value in values.items()
    ]
    return {"result": items, "created_at": "2026", "lead_time": 1.0}


def predicted(config: LabelConfig, answer: str) -> dict[str, Any]:
    """The prediction of a version that is sure of this answer."""
    [target] = config.question.class_numbers([answer])
    hot_C = target if config.question.layout else np.eye(len(config.labels))[target]
    probs_C = np.where(hot_C == 1, 0.9, 0.1 / max(1, len(hot_C) - 1))
    return to_prediction(config, config.labels, probs_C, 0.5, "v", layout=config.question.layout)
