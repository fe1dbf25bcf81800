"""Which advice goes before which, and since when it has been given."""

import pytest

from nextlabel.problems.advice import Advice, advise, standing
from nextlabel.problems.helping import Helping, NextLabels
from nextlabel.problems.intervals import Interval
from nextlabel.problems.judgement import NO_JUDGEMENT, Judgement
from nextlabel.problems.quality import Estimate

SURE = Judgement(left=Estimate(0.98, Interval(0.95, 0.995), 120))
UNSURE = Judgement(left=Estimate(0.98, Interval(0.85, 0.999), 12))
STEADY = Helping(next_labels=NextLabels(64, 0.004, 1000))
MOVING = Helping(next_labels=NextLabels(64, 0.08, 1000))


@pytest.mark.parametrize(
    ("trouble", "audited", "done", "judgement", "helping", "key"),
    [
        ("failed", True, True, SURE, STEADY, "repair"),
        ("", True, True, SURE, STEADY, "audit"),
        ("", False, True, SURE, STEADY, "done"),
        ("", False, False, SURE, STEADY, "certify"),
        ("", False, False, UNSURE, STEADY, "little_changes"),
        ("", False, False, UNSURE, MOVING, "label"),
        ("", False, False, NO_JUDGEMENT, Helping(), "label"),
    ],
)
def test_the_weightiest_advice_is_given(
    trouble: str, audited: bool, done: bool, judgement: Judgement, helping: Helping, key: str
) -> None:
    advice = advise(trouble, audited, done, judgement, helping)
    assert advice.key == key
    assert advice.sentence.endswith(".")


def test_an_advice_stands_since_its_key_was_first_given() -> None:
    first = standing(Advice(), Advice("label", "Go on."), 5.0)
    assert first == Advice("label", "Go on.", 5.0)
    assert standing(first, Advice("label", "Go on, please."), 9.0) == Advice("label", "Go on, please.", 5.0)
    assert standing(first, Advice("audit", "Audit."), 9.0).since == 9.0
