"""What a restore would change of options, and what it never takes back."""

from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from helpers.told_studio import Studio, backend
from helpers.versions import make_card, write_weights
from nextlabel.commands import backup as command
from nextlabel.commands.restore import told
from nextlabel.errors import BadSettingError
from nextlabel.loop.controller import Controller, _DisconnectedError
from nextlabel.loop.keeping import _merged, back_up, plan, restore
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import ProjectState
from nextlabel.store.status import StatusBoard
from nextlabel.values.versions import UNTRAINED
from nextlabel.versions import archive
from nextlabel.versions.endings import Ending, Endings
from nextlabel.versions.registry import Registry

OURS: dict[str, Any] = {"control_seed": "ab", "window": 64, "audits": 1}
KEPT = {"nextlabel": OURS, "else": "mine"}


def planned(home: Path, kept: dict[str, Any], *there: dict[str, Any]) -> tuple[list[str], str]:
    """Names of the options that a restore would change, and why it can restore none."""
    out = home / "b.zip"
    archive.write(out, home, {7: kept}, "0.1.0", "")
    found = plan(Settings(_env_file=None, model_dir=home), Studio(*map(backend, there)), out)
    assert found.overwrites == bool(found.changed)
    return found.changed.get(7, []), found.lost.get(7, "")


@pytest.mark.parametrize(
    ("there", "changed"),
    [
        (KEPT, []),
        ({**KEPT, "more": "theirs"}, []),
        ({"nextlabel": {**OURS, "audits": 2}, "else": "mine"}, []),
        ({"nextlabel": {**OURS, "audits": 0}}, ["nextlabel.audits", "else"]),
        ({"nextlabel": {**OURS, "window": 32, "head": "off"}, "else": "mine"}, ["nextlabel.head", "nextlabel.window"]),
        ({"nextlabel": {"window": [], "fields": 3, "audits": 2}, "else": "mine"},
         ["nextlabel.control_seed", "nextlabel.fields", "nextlabel.window"]),
        ({}, ["nextlabel.audits", "nextlabel.control_seed", "nextlabel.window", "else"]),
    ],
    ids=["same", "more", "audits since", "fewer audits", "others", "spoilt", "none"],
)  # fmt: skip
def test_options_are_as_they_were_and_audits_that_have_begun_stay_counted(
    tmp_path: Path, there: dict[str, Any], changed: list[str]
) -> None:
    assert planned(tmp_path, KEPT, there) == (changed, "")


def test_what_only_grows_is_not_taken_back_and_what_a_connection_needs_is_not_lost(tmp_path: Path) -> None:
    before = {"sampling": "Uniform sampling"}
    needed: dict[str, Any] = {"before": before, "control_seed": "cd"}
    asked = {"tone": "2026-11-01", "stars": "2026-12-01"}
    there = {"nextlabel": {**needed, "audits": 3, "asked_since": asked, "window": 32}}
    kept = {"nextlabel": {"audits": 1, "asked_since": {"tone": "2026-10-01", "topic": "2026-09-01"}}}
    assert _merged(there, kept)["nextlabel"] == {
        **needed, "audits": 3, "asked_since": {**asked, "topic": "2026-09-01"}
    }  # fmt: skip
    assert planned(tmp_path, kept, there)[0] == ["nextlabel.asked_since", "nextlabel.window"]
    own: dict[str, Any] = {"before": {"sampling": "Sequential sampling"}, "control_seed": "ab"}
    assert _merged(there, {"nextlabel": own})["nextlabel"] == {**own, "audits": 3, "asked_since": asked}
    changes = [
        {"nextlabel": {**needed, "label_changes": {name: {"a": [when]}}}} for name, when in (("q", "2"), ("r", "1"))
    ]
    assert _merged(*changes)["nextlabel"]["label_changes"] == {"q": {"a": ["2"]}, "r": {"a": ["1"]}}
    since = {"a": ["", "5"], "b": ["4"], "c": ["6"]}
    then = {"a": ["1"], "b": ["1", "4"], "c": ["1"], "d": ["", "2"]}
    changes = [{"nextlabel": {**needed, "label_changes": {"q": labels}}} for labels in (since, then)]
    assert _merged(*changes)["nextlabel"]["label_changes"]["q"] == {
        "a": ["1", "5"], "b": ["4"], "c": ["6"], "d": ["", "2"]
    }  # fmt: skip
    assert _merged(changes[0], changes[0]) == changes[0]
    opened = {"nextlabel": {**needed, "reopened": {"17": 1}}}
    assert _merged(opened, {"nextlabel": {"reopened": {"4": 1}}})["nextlabel"] == {**needed, "reopened": {"17": 1}}
    spoilt = {"nextlabel": {**needed, "audits": "many", "asked_since": 3, "control_seed": 7}}
    assert _merged(spoilt, {}) == {"nextlabel": {"before": before}}


def test_options_that_cannot_come_back_are_named_and_stop_nothing_else(tmp_path: Path) -> None:
    assert planned(tmp_path, KEPT) == (
        [],
        "it is not connected; run `nextlabel connect --project 7`, and then this again",
    )
    changed, why = planned(tmp_path, {"nextlabel": {"fields": 3}}, KEPT)
    assert (changed, "were spoilt" in why) == ([], True)


def test_a_restore_says_that_an_end_is_left_out_which_was_taken_back(tmp_path: Path) -> None:
    Registry(tmp_path).save(make_card(1, project=7), {1: "pos"}, write_weights)
    settings, out, endings = Settings(_env_file=None, model_dir=tmp_path), tmp_path / "b.zip", Endings(tmp_path)
    endings.begin(Ending(7, "run", "nextlabel-1", "all", 0, {}, ""), [])
    archive.write(out, tmp_path, {}, "0.1.0", "")
    endings.forget(7)
    studio, jobs = Studio(backend({})), JobQueue(tmp_path)
    found = plan(settings, studio, out)
    said = list(told(found))
    assert "0 files are new here, 3 are the same, 0 are others and replaced" in said
    assert "  leaves out models/7/ending.json: the project's end has been taken back since" in said
    restore(settings, studio, jobs, out, found)
    assert not endings.holds(7)


@pytest.mark.parametrize(
    ("studio", "code", "why"),
    [
        (Studio(there=False), 1, "Label Studio at http://127.0.0.1:1 does not have project 7 (any more)"),
        (Studio(), 0, "it is not connected)"),
        (Studio(backend(KEPT)), 0, ""),
    ],
    ids=["not there", "not connected", "connected"],
)
def test_a_backup_fails_where_options_are_missing_that_may_be_elsewhere(
    studio: Studio,
    code: int,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Registry(tmp_path).save(make_card(1, project=7), {1: "pos"}, write_weights)
    monkeypatch.setenv("MODEL_DIR", str(tmp_path))
    monkeypatch.setattr(command, "studio_from_settings", lambda: studio)
    assert command.main(["--out", str(tmp_path / "b.zip")]) == code
    said = capsys.readouterr().out
    assert ("its options, 1 cards" in said) == (not why)
    assert f"(no options: {why}" in said if why else "no options" not in said


def test_a_model_dir_without_projects_is_most_likely_the_wrong_one(tmp_path: Path) -> None:
    settings, out = Settings(_env_file=None, model_dir=tmp_path / "data"), tmp_path / "b.zip"
    with pytest.raises(BadSettingError, match="holds no project, so that there is nothing to back up"):
        back_up(settings, Studio(), out, datetime.now(timezone.utc))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("weights", "ours"), [(True, False), (False, True)], ids=["whole", "cards alone"])
def test_cards_without_weights_that_moved_are_taken_for_nobody_elses(weights: bool, ours: bool, tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    registry.save(make_card(1, project=7), {1: "pos"}, write_weights)
    if not weights:
        (registry.path(7, make_card(1).version) / "model.safetensors").unlink()
    moved = replace(backend({}, "http://new:9090"), model_version=UNTRAINED)
    settings = Settings(_env_file=None, model_dir=tmp_path, device="cpu")
    controller = Controller(settings, registry, StatusBoard(tmp_path), Studio(moved), JobQueue(tmp_path))
    with Pool(pool_path(tmp_path, 7)) as pool:
        pool.update(ProjectState, lambda state: replace(state, backend_url="http://old:9090"))
        with (
            nullcontext() if ours else pytest.raises(_DisconnectedError, match="connected to another Nextlabel backend")
        ):
            assert controller._our_backend(pool, 7) == moved
