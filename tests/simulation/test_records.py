"""Records on disk: what is written comes back, what a killed process left is mended, what is damaged is named."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextlabel.errors import BadRunError
from nextlabel.simulation import records
from nextlabel.simulation.records import (
    Record,
    Run,
    append,
    digest_of,
    merge,
    read_rounds,
    read_run,
    repair,
    write_json,
)

SCORES = {"accuracy": 0.75, "f1": 0.85, "combined": 0.8, "examples": 408}
FIRST = Record(3, "entropy", 0, 1100, SCORES, SCORES, (7, 9), {"fit": 1.5}, "cpu", {"torch": "2"})
SETTING = {"data": {"train": 3668, "labels": ["ja", "nein"]}, "batch": 64}


def after(record: Record, **changes: Any) -> Record:
    return replace(record, round=record.round + 1, labels=record.labels + 64, **changes)


def a_run(directory: Path, *rounds: Record, **setting: object) -> Path:
    directory.mkdir()
    write_json(directory / "setting.json", {**SETTING, **setting})
    write_json(directory / "run.json", {"invocations": [{"command": f"simulate {directory.name}"}]})
    for record in rounds:
        append(directory / "rounds.jsonl", record)
    return directory


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rounds.jsonl"
    rounds = [FIRST, replace(FIRST, strategy="full", test=None, chosen=()), after(FIRST, head={"dev_macro_f1": 0.7})]
    for record in rounds:
        append(path, record)
    assert read_rounds(path) == rounds
    assert repair(path) == b""
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


def test_no_file_holds_no_rounds(tmp_path: Path) -> None:
    assert read_rounds(tmp_path / "rounds.jsonl") == []
    assert repair(tmp_path / "rounds.jsonl") == b""


@settings(derandomize=True, deadline=None, max_examples=60)
@given(kept=st.integers(0, 2), cut=st.integers(0, 400))
def test_a_file_cut_anywhere_keeps_its_whole_lines_and_can_be_appended_to(
    tmp_path_factory: pytest.TempPathFactory, kept: int, cut: int
) -> None:
    path = tmp_path_factory.mktemp("cut") / "rounds.jsonl"
    rounds = [FIRST, after(FIRST), after(after(FIRST))]
    for record in rounds[:kept]:
        append(path, record)
    whole = path.stat().st_size if kept else 0
    append(path, rounds[kept])
    end = min(whole + cut, path.stat().st_size - 1)
    with path.open("r+b") as file:
        file.truncate(end)
    assert read_rounds(path) == rounds[:kept]
    assert len(repair(path)) == end - whole
    append(path, rounds[kept])
    assert read_rounds(path) == rounds[: kept + 1]


def test_a_broken_last_line_is_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "rounds.jsonl"
    append(path, FIRST)
    path.write_bytes(path.read_bytes() + b"\0\0\0\n")
    with caplog.at_level(logging.WARNING):
        assert read_rounds(path) == [FIRST]
    assert "left out a broken last line (4 bytes)" in caplog.text
    assert repair(path) == b"\0\0\0\n"


def test_a_broken_line_elsewhere_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rounds.jsonl"
    append(path, FIRST)
    path.write_text('{"seed": 3, "strat\n' + path.read_text())
    with pytest.raises(BadRunError, match=r"rounds\.jsonl, line 1 is not a record"):
        read_rounds(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seed": "3"}, "'3' is not a whole number"),
        ({"labels": -1}, "-1 is not a whole number"),
        ({"round": True}, "True is not a whole number"),
        ({"dev": None}, "is not a record"),
        ({"dev": {**SCORES, "combined": 85.7}}, "combined=85.7 is not within 0 and 1"),
        ({"dev": {**SCORES, "f1": float("nan")}}, "f1=nan is not within 0 and 1"),
        ({"test": {"accuracy": 1}}, "without 'f1'"),
        ({"seconds": [1]}, "is not a record"),
        ({"chosen": 5}, "is not a record"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    path = tmp_path / "rounds.jsonl"
    append(path, FIRST)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}) + "\n")
    with pytest.raises(BadRunError, match="line 1") as refused:
        read_rounds(path)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("second", "complaint"),
    [
        (FIRST, "Round 0 of entropy, seed 3, is there twice"),
        (after(after(FIRST)), "Round 2 of entropy, seed 3, is there, but round 1 is missing"),
        (replace(after(FIRST), labels=1100), "has 1100 labels, the round before had more or as many"),
    ],
)
def test_rounds_that_are_double_missing_or_stand_still_are_refused(
    tmp_path: Path, second: Record, complaint: str
) -> None:
    for record in (FIRST, second):
        append(tmp_path / "rounds.jsonl", record)
    with pytest.raises(BadRunError, match=complaint):
        read_rounds(tmp_path / "rounds.jsonl")


def test_a_directory_is_read_whole(tmp_path: Path) -> None:
    run = read_run(a_run(tmp_path / "one", FIRST))
    assert run == Run(SETTING, [{"command": "simulate one"}], [FIRST])


@pytest.mark.parametrize("name", ["setting.json", "run.json"])
def test_a_missing_or_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    directory = a_run(tmp_path / "one", FIRST)
    for content, complaint in (("[1]", "holds no JSON object"), ("{", "cannot be read")):
        (directory / name).write_text(content)
        with pytest.raises(BadRunError, match=f"{name} {complaint}"):
            read_run(directory)
    (directory / name).unlink()
    with pytest.raises(BadRunError, match=f"{name} is missing"):
        read_run(directory)


def test_a_directory_without_rounds_or_of_mixed_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRunError, match="no finished round"):
        read_run(a_run(tmp_path / "empty"))
    with pytest.raises(BadRunError, match="several settings: abc, def"):
        read_run(a_run(tmp_path / "mixed", replace(FIRST, setting="abc"), after(FIRST, setting="def")))


def test_rounds_of_another_setting_than_the_one_that_is_told_are_refused(tmp_path: Path) -> None:
    made = replace(FIRST, setting=digest_of({**SETTING, "batch": 32}))
    assert read_run(a_run(tmp_path / "as-made", made, batch=32)).rounds == [made]
    with pytest.raises(BadRunError, match=rf"of the setting {made.setting}, and setting\.json there tells another"):
        read_run(a_run(tmp_path / "changed", made))


def test_other_seeds_of_the_same_setting_are_put_together(tmp_path: Path) -> None:
    other = replace(FIRST, seed=4)
    one, two = read_run(a_run(tmp_path / "one", FIRST)), read_run(a_run(tmp_path / "two", other, after(other)))
    merged = merge({"one": one, "two": two})
    assert merged.rounds == [FIRST, other, after(other)]
    assert [i["command"] for i in merged.invocations] == ["simulate one", "simulate two"]


def test_different_settings_are_refused_with_key_and_both_values(tmp_path: Path) -> None:
    one = read_run(a_run(tmp_path / "one", FIRST))
    two = read_run(a_run(tmp_path / "two", FIRST, batch=256, data={"train": 3668, "labels": ["ja"]}, extra=1))
    with pytest.raises(BadRunError) as refused:
        merge({"one": one, "two": two})
    assert str(refused.value).splitlines()[:4] == [
        "one and two cannot be compared, their settings differ:",
        '  data.labels: ["ja", "nein"], not ["ja"]',
        "  batch: 64, not 256",
        "  extra: nothing, not 1",
    ]


def test_the_same_round_counts_once_when_its_result_is_the_same(tmp_path: Path) -> None:
    slower = replace(FIRST, seconds={"fit": 9.0})
    one, two = read_run(a_run(tmp_path / "one", FIRST)), read_run(a_run(tmp_path / "two", slower))
    assert merge({"one": one, "two": two}).rounds == [FIRST]
    three = read_run(a_run(tmp_path / "three", replace(FIRST, dev={**SCORES, "combined": 0.81})))
    with pytest.raises(BadRunError, match=r"Round 0 of entropy, seed 3, has another result in three than in one"):
        merge({"one": one, "three": three})


def test_settings_are_compared_as_they_are_written() -> None:
    assert records.differences({"a": (1, 2), "b": {}}, {"a": [1, 2], "b": {}}) == []
    assert records.differences({"a": 1}, {"a": 1.5}) == ["a: 1, not 1.5"]


def test_of_the_same_texts_it_does_not_matter_where_they_lie_and_how_their_copies_were_counted() -> None:
    one, other = (
        {"data": {"fingerprint": "a", "source": s, "shared": n}} for s, n in (("x", {}), ("y", {"copies": 3}))
    )
    assert records.differences(one, other) == []


def test_what_was_planned_and_what_failed_is_read_of_all_starts(tmp_path: Path) -> None:
    directory = a_run(tmp_path / "run", FIRST)
    assert (read_run(directory).planned, read_run(directory).failures) == ({}, {})
    first = {"seeds": [3, 4], "strategies": ["entropy"], "rounds": 5, "failures": []}
    second = {"seeds": [4], "strategies": ["entropy", "random"], "rounds": None}
    why = {"failures": [{"seed": 4, "strategy": "random", "why": "the loss is not finite"}]}
    write_json(directory / "run.json", {"invocations": [{"command": "x"}, first, {**second, **why}]})
    run = read_run(directory)
    assert run.planned == {(3, "entropy"): 5, (4, "entropy"): None, (4, "random"): None}
    assert run.failures == {(4, "random"): "the loss is not finite"}
    last = replace(FIRST, seed=4, strategy="random", chosen=())
    assert replace(run, rounds=[FIRST, last]).failures == {}
    write_json(directory / "run.json", {"invocations": [{"failures": [{"seed": 4}]}]})
    with pytest.raises(BadRunError, match="what failed, cannot be read"):
        read_run(directory)
