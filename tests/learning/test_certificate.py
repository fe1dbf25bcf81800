"""The certificate: what it says of an audit, and that a file which the records contradict is named by the field."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.audits import problems
from nextlabel.errors import BadAuditError
from nextlabel.learning.certificate import (
    Answer,
    Audit,
    Certified,
    Records,
    answered,
    certified_labels,
    digest,
    issue,
    key_hash,
    seed_of,
    text_hash,
    verdict,
)
from nextlabel.learning.control import control_set
from nextlabel.values.arrays import Array

NOW = datetime(2026, 3, 1, tzinfo=timezone.utc)
SEED, HEAD, LABELS = "a key that nobody else knows", "nextlabel-5.12-20260101T000000", ("bad", "good", "other")


def audit_of(confidences_N: Array, said: Sequence[str], seed: str = SEED, number: int = 1, most: int = 200) -> Audit:
    keys = control_set(seed_of(seed, number), [(f"text {place}", None) for place in range(len(said))], share=1)
    return Audit(
        project=7,
        number=number,
        version=HEAD,
        fitted_on=64,
        begun_at="2026-01-01T00:00:00+00:00",
        key_hash=key_hash(seed),
        labels=LABELS,
        risk=0.05,
        delta=0.05,
        most_labels=most,
        ids_N=np.array([int(text.split()[1]) + 1 for text, _ in keys]),
        texts=tuple(map(text_hash, keys)),
        said=tuple(said),
        confidences_N=confidences_N,
    )


def records_of(audit: Audit, labels: Sequence[str | None], **changed: Any) -> Records:
    answers = {
        int(task): Answer(label, 1, f"2026-01-02T{place // 60:02}:{place % 60:02}:00Z")
        if label
        else Answer(None, 0, "")
        for place, (task, label) in enumerate(zip(audit.ids_N, labels, strict=False))
    }
    keys = {int(task): (f"text {task - 1}", None) for task in audit.ids_N}
    return replace(Records(audit, SEED, answers, keys, LABELS, HEAD, NOW), **changed)


def issued(records: Records) -> dict[str, Any]:
    """The certificate as a file gives it back."""
    made = issue(records.audit, answered(records.audit, records.answers), "2026-01-03T00:00:00+00:00")
    again: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    return again


# A thousand tasks; of the first 180 it was wrong on four of which it is unsure, and one was skipped.
SAID = ["bad", "good"] * 500
SURE_N = np.random.default_rng(0).normal(3, 1, 1_000)
AUDIT = audit_of(SURE_N, SAID)
UNSURE = np.argsort(SURE_N[:180])[[0, 4, 8, 40]].tolist()
GIVEN: list[str | None] = [None if place == 30 else SAID[place + (place in UNSURE)] for place in range(180)]
KNOWN = records_of(AUDIT, GIVEN)


def test_a_certificate_says_what_it_is_about_and_the_records_have_nothing_against_it() -> None:
    found = issued(KNOWN)
    assert problems(found, KNOWN) == []
    threshold = found["result"]["threshold"]
    inside_n, size = SURE_N[:180] >= threshold, int(np.sum(threshold <= SURE_N))
    assert (found["result"]["size"], found["result"]["share"]) == (size, size / 1_000)
    assert found["result"]["labels"] + found["result"]["skipped"] == int(inside_n.sum())
    assert found["result"]["errors"] == inside_n[UNSURE].sum()
    assert found["result"]["unknown"] == "nothing is known about: other"
    assert f"the {size} tasks that it is surest of, of 1000" in found["claim"]
    assert f"at most {size // 20} are others" in found["claim"]
    assert SEED not in json.dumps(found)


def test_the_labels_that_it_is_about_are_people_s_where_they_gave_one() -> None:
    found = certified_labels(AUDIT, answered(AUDIT, KNOWN.answers))
    surest_N = issued(KNOWN)["result"]["threshold"] <= SURE_N
    skipped = {int(task) for task, label in zip(AUDIT.ids_N, GIVEN, strict=False) if label is None}
    surest = AUDIT.ids_N[surest_N].tolist()
    assert skipped & set(surest)
    assert [one.task for one in found] == sorted(set(surest) - skipped), "the claim leaves out what was skipped"
    by_people = {int(task): label for task, label in zip(AUDIT.ids_N, GIVEN, strict=False) if label}
    said = dict(zip(AUDIT.ids_N.tolist(), SAID, strict=True))
    for task, label, by in found:
        assert (label, by) == ((by_people[task], "people") if task in by_people else (said[task], "machine"))
    assert certified_labels(AUDIT, []) == []
    one, other = [task for task in AUDIT.ids_N[180:].tolist() if task in surest][:2]
    answers = answered(AUDIT, KNOWN.answers)
    later = certified_labels(AUDIT, answers, {one: "other", other: None, AUDIT.ids_N.tolist()[0]: "other"})
    assert set(later) - set(found) == {Certified(one, "other", "people")}
    assert {task.task for task in set(found) - set(later)} == {one, other}


def test_only_the_longest_answered_beginning_of_the_draw_counts_and_no_more_than_were_asked_for() -> None:
    tasks = AUDIT.ids_N.tolist()
    without = {task: answer for task, answer in KNOWN.answers.items() if task != tasks[40]}
    assert answered(AUDIT, without) == [KNOWN.answers[task] for task in tasks[:40]]
    assert len(answered(replace(AUDIT, most_labels=100), KNOWN.answers)) == 100


def test_a_certificate_stays_in_force_when_more_labels_come_that_certify_as_much_and_that_is_said() -> None:
    found = issued(KNOWN)
    size = found["result"]["size"]
    wrong, [sentence, _] = verdict(found, records_of(AUDIT, [*GIVEN, *SAID[180:200]]))
    assert wrong == []
    words = f"20 more labels since, of which 0 are wrong: by all of them {size} tasks are certified."
    assert sentence.removeprefix("It stays so with ") == words


def test_the_first_answers_alone_are_outdated_once_all_of_them_certify_nothing() -> None:
    audit = audit_of(np.full(1_000, 3.0), ["good"] * 1_000)
    first = issued(records_of(audit, ["good"] * 86))
    assert first["result"]["size"] == 1_000
    found = verdict(first, records_of(audit, [*["good"] * 140, *["bad"] * 60]))
    words = "114 more labels since, of which 60 are wrong: by all of them nothing is certified."
    assert found.wrong == [f"Outdated: {words}"]


def test_more_labels_than_there_are_tasks_are_forged() -> None:
    small = records_of(audit_of(np.random.default_rng(0).normal(3, 1, 60), SAID[:60]), SAID[:60])
    found = issued(small)
    assert problems(found, small) == []
    found["labels"].append({**found["labels"][0], "task": 61})
    assert "Forged: labels is a list of 61, and the records give a list of 60." in problems(found, small)


def test_what_was_not_issued_is_forged_though_the_records_have_nothing_else_against_it() -> None:
    found = issued(KNOWN)
    noted = replace(KNOWN, issued=[digest(found)], recorded=True)
    assert verdict(found, noted) == ([], [])
    place, given = GIVEN.index("bad", 9), "2026-01-02T00:00:30Z"  # it may have been: no other check tells
    earlier = {**KNOWN.answers, AUDIT.ids_N[place]: replace(KNOWN.answers[AUDIT.ids_N[place]], given=given)}
    forged = issued(replace(KNOWN, answers=earlier))
    assert digest(forged) != digest(found)
    [sentence] = problems(forged, noted)
    assert sentence.startswith("Forged: the file is none of the 1 that were issued of audit 1 of project 7; or ")


def test_of_an_audit_of_an_earlier_build_it_is_said_that_it_was_not_noted_what_was_issued() -> None:
    [sentence] = verdict(issued(KNOWN), KNOWN).to_know
    assert "earlier build" in sentence
    assert verdict(issued(KNOWN), replace(KNOWN, issued=[digest(issued(KNOWN))])).to_know == []


def test_of_an_issued_file_an_answer_that_was_taken_back_since_is_no_forgery() -> None:
    tasks = AUDIT.ids_N.tolist()
    twice = {**KNOWN.answers, tasks[3]: replace(KNOWN.answers[tasks[3]], annotators=2, given="2026-01-02T23:00:00Z")}
    found = issued(replace(KNOWN, answers=twice))
    assert problems(found, replace(KNOWN, issued=[digest(found)], recorded=True)) == []
    assert [sentence.split(" is ")[0] for sentence in problems(found, KNOWN)] == ["Forged: labels[3].given"]


def test_a_machine_that_is_never_wrong_and_sure_to_12_digits_is_certified_whole_by_86_labels() -> None:
    audit = audit_of(np.full(20_000, np.log((1 - 1e-12) / 1e-12)), ["good"] * 20_000)
    certain = audit_of(np.full(20_000, np.inf), ["good"] * 20_000)
    for sure in (audit, certain):
        with pytest.raises(BadAuditError, match="certifies nothing: of 85 tasks 0 are wrong"):
            issued(records_of(sure, ["good"] * 85))
        records = records_of(sure, ["good"] * 86)
        assert issued(records)["result"]["size"] == 20_000
        assert problems(issued(records), records) == []


def test_one_class_for_all_gets_no_certificate_if_another_has_more_than_5_percent() -> None:
    truth = np.random.default_rng(1).permutation(["good"] * 1_880 + ["bad"] * 120).tolist()
    audit = audit_of(np.full(2_000, 9.0), ["good"] * 2_000, most=2_000)
    for labels in (100, 500, 1_000, 2_000):
        with pytest.raises(BadAuditError, match="certifies nothing"):
            issued(records_of(audit, truth[:labels]))


def test_thresholds_that_differ_in_the_seventh_digit_are_different_ones() -> None:
    sure_N = 1 - 1e-9 * np.random.default_rng(2).permutation(1_000).astype(np.float64)
    records = records_of(audit_of(sure_N, SAID, most=500), SAID[:400])
    found = issued(records)
    assert len({part["size"] for part in found["parts"]}) > 5
    assert problems(found, records) == []
    for part in found["parts"]:
        part["threshold"] = round(part["threshold"], 6)
    assert [sentence.split(" is ")[0] for sentence in problems(found, records)] == ["Forged: parts[0].threshold"]


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Put the last into the place that the others name."""

    def change(found: dict[str, Any]) -> None:
        place: Any = found
        for step in path[:-2]:
            place = place[step]
        place[path[-2]] = path[-1]

    return change


def puts(*changes: tuple[Any, ...]) -> Callable[[dict[str, Any]], None]:
    """Several of these."""

    def change(found: dict[str, Any]) -> None:
        for path in changes:
            put(*path)(found)

    return change


def swap(found: dict[str, Any]) -> None:
    found["labels"][3], found["labels"][4] = found["labels"][4], found["labels"][3]


def make_all_right(found: dict[str, Any]) -> None:
    for row in found["labels"]:
        row["label"] = row["said"]


@pytest.mark.parametrize(
    ("forge", "named"),
    [
        (put("result", "errors", 7), ["result.errors"]),
        (put("result", "classes", 0, "labels", 99), ["result.classes[0].labels"]),
        (put("result", "unknown", ""), ["result.unknown"]),
        (put("result", "size", 1_000), ["result.size"]),
        (put("result", None), ["result"]),
        (put("log_e", 0, "left_out", 60, 9.0), ["log_e[0].left_out[60]"]),
        (put("labels", 7, "confidence", 3.25), ["labels[7].confidence"]),
        (put("labels", 7, "said", "other"), ["labels[7].said"]),
        (put("labels", 30, "annotators", 2), ["labels[30].label"]),
        (puts(("labels", 7, "annotators", 5), ("labels", 7, "given", "2026-01-02T09:00:00Z")), ["labels[7].given"]),
        (put("labels", 7, "given", "2025-12-31T23:00:00Z"), ["labels[7].given"]),
        (put("labels", 7, "given", "2027-01-01T00:00:00Z"), ["labels[7].given"]),
        (puts(("labels", 7, "given", ""), ("labels", 7, "annotators", 2)), ["labels[7].given"]),
        (
            puts(("labels", 7, "given", "2026-01-01T09:00:00Z"), ("labels", 7, "annotators", 0)),
            ["labels[7].annotators"],
        ),
        (put("issued_at", "2026-01-02T00:00:00Z"), ["issued_at"]),
        (put("issued_at", "2026-04-01T00:00:00Z"), ["issued_at"]),
        (put("issued_at", "yesterday"), ["issued_at"]),
        (put("level", 0.05), ["level"]),
        (put("risk", 0.2), ["risk"]),
        (put("version", "nextlabel-6-20260101T000000"), ["version"]),
        (put("claim", "All labels are right."), ["claim"]),
        (put("signed", "by us"), ["signed"]),
        (swap, ["labels[3].task"]),
        (lambda found: found["labels"].pop(), ["log_e[0].left_out"]),
    ],
)
def test_what_was_forged_is_named(forge: Callable[[dict[str, Any]], None], named: list[str]) -> None:
    found = issued(KNOWN)
    forge(found)
    said = [sentence for sentence in problems(found, KNOWN) if sentence.startswith("Forged: ")]
    assert said
    assert named[0] in {sentence.removeprefix("Forged: ").split(" is ")[0] for sentence in said}


def test_labels_that_were_forged_to_be_right_are_named_one_by_one() -> None:
    found = issued(KNOWN)
    make_all_right(found)
    named = [place for place in (30, *UNSURE) if any(f"labels[{place}].label" in s for s in problems(found, KNOWN))]
    assert named == [30, *UNSURE]


@pytest.mark.parametrize("field", ["project", "audit", "key_hash", "pool"])
def test_another_project_s_certificate_is_refused_by_the_field_that_tells(field: str) -> None:
    other_N = np.random.default_rng(3).normal(3, 1, 1_000)
    others = {
        "project": replace(AUDIT, project=8),
        "audit": replace(AUDIT, number=2),
        "key_hash": audit_of(SURE_N, SAID, seed="another key"),
        "pool": audit_of(other_N, SAID),
    }
    records = records_of(others[field], SAID[:180])
    [first, *_] = problems(issued(records), KNOWN)
    assert first.startswith(f"Of another project or audit: {field} is ")


def test_what_has_changed_since_makes_a_certificate_outdated_and_not_forged() -> None:
    found, tasks = issued(KNOWN), AUDIT.ids_N.tolist()
    again = {**KNOWN.answers, tasks[9]: Answer("other", 1, "2026-02-01T00:00:00Z")}
    assert problems(found, replace(KNOWN, answers=again)) == [
        f"Outdated: labels[9].label is {SAID[9]!r}, and task {tasks[9]} was answered 'other' since."
    ]
    gone = {task: answer for task, answer in KNOWN.answers.items() if task != tasks[9]}
    assert problems(found, replace(KNOWN, answers=gone)) == [
        f"Outdated: labels[9].label is {SAID[9]!r}, and task {tasks[9]} has no final answer any more."
    ]
    assert problems(found, replace(KNOWN, in_force="nextlabel-6-20260101T000000")) == [
        f"Outdated: version is {HEAD}, and nextlabel-6-20260101T000000 is in force."
    ]
    edited = {**KNOWN.keys, tasks[500]: ("another text", None)}
    assert problems(found, replace(KNOWN, keys=edited)) == [
        f"Outdated: pool has 1 task that was edited or deleted since, task {tasks[500]} first."
    ]
    renamed = replace(KNOWN, labels=("bad", "good", "Other"))
    assert [sentence.split(" of ")[0] for sentence in problems(found, renamed)] == ["Outdated: result.classes are"]
    assert problems(found, replace(KNOWN, key="a new key")) == [
        "Outdated: key_hash is that of another control key than the project has now."
    ]


def test_an_audit_that_did_not_ask_in_the_order_of_the_draw_is_refused() -> None:
    order = np.random.default_rng(4).permutation(1_000)
    chosen = replace(AUDIT, ids_N=AUDIT.ids_N[order], texts=tuple(AUDIT.texts[place] for place in order))
    records = records_of(chosen, SAID[:180])
    assert problems(issued(records), records) == ["Forged: pool is not in the order of the draw."]


def test_a_claim_says_how_much_of_what_people_did_not_answer_may_be_wrong() -> None:
    audit = audit_of(np.zeros(300), ["good"] * 300)
    given = ["good"] * 113
    made = issued(records_of(audit, given))
    assert (made["result"]["size"], made["result"]["untouched_wrong_at_most"]) == (300, 15 / 187)
    assert (
        "at least 95 % are right: at most 15 are others than this project's people would give, and of the 187 that the "
        "audit did not reach at most 15 (8.0 %). Copies"
    ) in made["claim"]


@pytest.mark.parametrize("other", [None, [], "certified", {}, {"format": 1}])
def test_what_is_no_certificate_is_said_to_be_none(other: object) -> None:
    assert problems(other, KNOWN) == ["The file is no certificate of format 2: field format is missing or another."]


@pytest.mark.parametrize(
    "labels",
    [
        None,
        "many",
        [3],
        [{"label": 3}],
        [{"label": "good", "annotators": 1}],
        [{"task": [1], "label": None, "annotators": 1, "given": ""}],
    ],
)
def test_labels_that_cannot_be_read_are_named(labels: object) -> None:
    found = {**issued(KNOWN), "labels": labels}
    assert problems(found, KNOWN) == ["Forged: labels is no list of entries with task, label, annotators and given."]


def places(found: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in it, lists and objects too."""
    steps = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for step, value in steps:
        yield (*path, step)
        yield from places(value, (*path, step))


GOOD = issued(KNOWN)
PLACES = list(places(GOOD))
VALUES = st.none() | st.booleans() | st.integers(-2, 2) | st.floats() | st.text(max_size=3)


ANY = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(max_size=3), VALUES)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(PLACES), ANY, min_size=1, max_size=2))
def test_whatever_is_put_into_any_place_or_two_is_noticed(changes: dict[tuple[Any, ...], Any]) -> None:
    found = json.loads(json.dumps(GOOD))
    for path in sorted(changes, key=len, reverse=True):  # what is in a place before the place
        put(*path, changes[path])(found)
    assume(json.dumps(found) != json.dumps(GOOD))
    assert problems(found, KNOWN)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(st.integers(0, 179), st.integers(0, 9), st.datetimes(), st.datetimes())
def test_what_is_said_of_an_answer_but_its_label_is_noticed(
    place: int, annotators: int, given: datetime, issued_at: datetime
) -> None:
    found = json.loads(json.dumps(GOOD))
    found["labels"][place] |= {"annotators": annotators, "given": given.isoformat()}
    found["issued_at"] = issued_at.isoformat()
    assert problems(found, replace(KNOWN, issued=[digest(GOOD)], recorded=True))


def test_a_file_that_lacks_a_field_is_no_certificate() -> None:
    found = issued(KNOWN)
    del found["result"]["classes"]
    del found["bets"]
    assert {sentence.split(" is ")[0] for sentence in problems(found, KNOWN)} == {"Forged: result", "Forged: bets"}
