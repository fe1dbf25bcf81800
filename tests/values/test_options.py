"""What a person decided for a project travels with the ML backend in Label Studio, beside what else stands there."""

from typing import Any

import pytest

from nextlabel.errors import RefusedConfigError
from nextlabel.values.counting import HeldOut, LeftOut
from nextlabel.values.options import NO_OPTIONS, ProjectOptions


@pytest.mark.parametrize("extra_params", [None, {}, [], "", "text", 7, {"nextlabel": None}, {"other": 1}])
def test_without_ours_nothing_was_decided(extra_params: object) -> None:
    assert ProjectOptions.of(extra_params) == NO_OPTIONS


def test_options_come_back_as_they_were_put_and_all_else_is_kept() -> None:
    before: dict[str, Any] = {
        "other": [1],
        "nextlabel": {"before": {"sampling": "Sequential sampling"}, "fields": ["old"]},
    }
    options = ProjectOptions(
        ("title", "body"),
        {"pos": "positive"},
        {"window": 64, "strategy": "margin"},
        look_for={"": ("money back",), "refund": ("give it back", "I want a refund")},
        class_targets={"refund": 30},
        leave_out=(LeftOut("7"), LeftOut("9", "2026-11-03", "")),
        guideline_since="2026-11-20",
        older_labels=0.3,
        hold_out=HeldOut(0.2, "2026-11-20"),
        look_again=3,
        second_votes=0.05,
        reopened={17: 1, 4: 2},
        asked_since={"tone": "2026-01-31T12:00:00Z"},
        label_changes={"topic": {"refund": ["", "2026-01-31T12:00:00Z"]}},
    )
    after = options.put_into(before)
    assert ProjectOptions.of(after) == options
    assert after["other"] == [1]
    assert after["nextlabel"]["before"] == before["nextlabel"]["before"]
    assert NO_OPTIONS.put_into(after)["nextlabel"] == {"before": {"sampling": "Sequential sampling"}}


def test_a_value_of_0_is_a_decision_too() -> None:
    off = ProjectOptions(own={"control_share": 0.0})
    assert ProjectOptions.of(off.put_into({})) == off


@pytest.mark.parametrize(
    "ours",
    [
        {"fields": "title"},
        {"fields": [1]},
        {"label_map": ["pos"]},
        {"label_map": {"pos": 1}},
        {"ignored_labels": "Unsure"},
        {"look_for": 7},
        {"look_for": [""]},
        {"look_for": {"refund": []}},
        {"look_for": {"refund": ["money", 1]}},
        {"label_changes": {"topic": ["2026-01-31"]}},
        {"label_changes": {"topic": {"refund": "2026-01-31"}}},
        {"class_targets": 30},
        {"class_targets": {"refund": 0}},
        {"class_targets": {"refund": True}},
        {"look_again": -1},
        {"look_again": 21},
        {"look_again": True},
        {"look_again": "many"},
        {"second_votes": 0.6},
        {"second_votes": "half"},
        {"second_votes": True},
        {"leave_out": ["anna@example.org"]},
        {"leave_out": ["7 2026-02-30"]},
        {"guideline_since": "in spring"},
        {"older_labels": 1},
        {"hold_out": "0.2"},
        {"hold_out": "0.6 2026-11-20"},
        {"hold_out": "0.2 2026-02-30"},
        {"hold_out": 0.2},
    ],
)
def test_what_somebody_mistyped_is_named_with_what_is_expected(ours: dict[str, object]) -> None:
    [name] = ours
    with pytest.raises(RefusedConfigError, match=rf"nextlabel\.{name}=.*; expected .* such as"):
        ProjectOptions.of({"nextlabel": ours})


@pytest.mark.parametrize(
    ("given", "kept", "texts"),
    [
        ("about refunds", ["about refunds"], {"": ("about refunds",)}),
        (["a", "b"], ["a", "b"], {"": ("a", "b")}),
        ({"refund": "a", "": "b"}, {"refund": ["a"], "": ["b"]}, {"refund": ("a",), "": ("b",)}),
    ],
)
def test_what_is_looked_for_may_be_a_text_several_or_such_by_label(
    given: object, kept: object, texts: dict[str, tuple[str, ...]]
) -> None:
    options = ProjectOptions.of({"nextlabel": {"look_for": given}})
    assert options.look_for == texts
    assert options.put_into(None) == {"nextlabel": {"look_for": kept}}


def test_options_that_say_nothing_leave_nothing_behind() -> None:
    assert NO_OPTIONS.put_into(None) == NO_OPTIONS.put_into({}) == {}
    assert NO_OPTIONS.put_into({"nextlabel": {"window": 64, "fit_every": 8}}) == {}
    assert NO_OPTIONS.put_into({"other": 1, "nextlabel": {"fields": ["a"]}}) == {"other": 1}
