"""Backs up what cannot be made again, and brings it back: files of MODEL_DIR, and options that lie in Label Studio."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from nextlabel import __version__
from nextlabel.errors import BadSettingError, RefusedConfigError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.project_options import put_back
from nextlabel.labelstudio.registration import BEFORE, find_backend
from nextlabel.loop.forgetting import is_there, not_there, taken
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.values.options import KEY, LabelChanges, ProjectOptions, of_ours, possible
from nextlabel.versions import archive
from nextlabel.versions.archive import Contents


@dataclass(frozen=True)
class NoOptions:
    """Why there are no options of a project. `unknown`: Label Studio does not have it, or something else is asked."""

    why: str
    unknown: bool = False


def back_up(
    settings: Settings, studio: LabelStudioClient, out: Path, now: datetime, only: int | None = None
) -> tuple[Contents, dict[int, NoOptions]]:
    """Write the archive, of all projects or of `only` one; returns what is in it, and of projects without
    options there, why.

    Raises `BadSettingError` when there is nothing, `StudioError` when Label Studio does not answer, `BadBackupError`
    when the archive cannot be written.
    """
    projects = [found for found in archive.kept_projects(settings.model_dir) if only in (None, found)]
    if not projects:
        raise BadSettingError(
            f"MODEL_DIR={settings.model_dir} holds no project, so that there is nothing to back up. Set it to the "
            "backend's: run this in the directory of the backend's .env, or in its container."
        )
    options, without = {}, {}
    for project in projects:
        found = _options(studio, project)
        if isinstance(found, NoOptions):
            without[project] = found
        else:
            options[project] = found
    made_at = now.isoformat(timespec="seconds")
    return archive.write(out, settings.model_dir, options, __version__, made_at, projects), without


def _options(studio: LabelStudioClient, project: int) -> Mapping[str, Any] | NoOptions:
    """Those in Label Studio, as they lie there, or why there are none."""
    if not is_there(studio, project):
        return NoOptions(not_there(studio, project), unknown=True)
    backend = find_backend(studio, project)
    if backend is None:
        return NoOptions("it is not connected")
    return backend.extra_params or {}


@dataclass(frozen=True)
class Plan:
    """What a restore would do: files that it brings, that it replaces and that it leaves out, names of options that
    change, by project, and projects whose options cannot be restored, with a reason and what to do."""

    contents: Contents
    new: list[str]
    replaced: list[str]
    left_out: list[str]
    changed: Mapping[int, list[str]]
    lost: Mapping[int, str]

    @property
    def overwrites(self) -> bool:
        """Whether anything that is there would be lost."""
        return bool(self.replaced or self.changed)


def plan(settings: Settings, studio: LabelStudioClient, path: Path) -> Plan:
    """Look at an archive, MODEL_DIR and Label Studio; changes nothing. Raises `BadBackupError` for an archive that is
    none, `StudioError` when Label Studio does not answer."""
    contents = archive.read(path)
    changed, lost = {}, {}
    for project, extra in contents.options.items():
        there = _options(studio, project)
        if isinstance(there, NoOptions):
            again = "" if there.unknown else f"; run `nextlabel connect --project {project}`, and then this again"
            lost[project] = there.why + again
        elif not _are_possible(extra):
            lost[project] = "they were spoilt in Label Studio when the archive was made; take an older one"
        elif names := _differing(there, _merged(there, extra)):
            changed[project] = names
    new, replaced = archive.differing(contents, settings.model_dir)
    return Plan(contents, new, replaced, archive.taken_back(contents, settings.model_dir), changed, lost)


def _are_possible(extra: Mapping[str, Any]) -> bool:
    try:
        ProjectOptions.of(extra)
    except RefusedConfigError:
        return False
    return True


def restore(settings: Settings, studio: LabelStudioClient, jobs: JobQueue, path: Path, plan: Plan) -> None:
    """Do it: files first, then options. Killed half-way, it can be run again.

    Raises `InUseError` before anything is touched when a trainer is at work on one of the projects; `BadBackupError`
    when a file cannot be written, `StudioError` when Label Studio or the backend refuses options.
    """
    with ExitStack() as held:
        for project in plan.contents.projects:
            held.enter_context(taken(settings.model_dir, project))
        archive.restore(path, plan.contents, [*plan.new, *plan.replaced], settings.model_dir)
    for project in plan.changed:
        extra = plan.contents.options[project]
        put_back(studio, settings, project, partial(_merged, extra=extra))
    for project in plan.contents.projects:
        jobs.hint(project, thorough=True)


def _merged(there: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """The archive's options in the place of those that are there, of which some may be spoilt. What only grows is not
    taken back: the risk of audits that were begun since is spent, and what was asked since, questions and labels, stays
    asked. What is open again now is what is to be put back. What a connection needs, and the archive has not, stays as
    it is there."""
    ours, options = possible(there), ProjectOptions.of(extra)
    now = ProjectOptions.of({KEY: ours})
    audits, since = max(now.audits, options.audits), {**options.asked_since, **now.asked_since}
    changes = _joined(options.label_changes, now.label_changes)
    kept = replace(options, audits=audits, asked_since=since, label_changes=changes, reopened=now.reopened)
    merged = kept.put_into(extra)
    needed = {name: ours[name] for name in (BEFORE, "control_seed") if name in ours}
    return {**there, **merged, KEY: {**needed, **of_ours(merged)}}


def _joined(then: LabelChanges, now: LabelChanges) -> LabelChanges:
    """What is known of each label by both. Who connected anew has known it only since, and took it for one that was
    always there or never."""
    return {
        name: {
            label: _times(then.get(name, {}).get(label, ()), now.get(name, {}).get(label, ()))
            for label in {**then.get(name, {}), **now.get(name, {})}
        }
        for name in {**then, **now}
    }


def _times(then: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """At which a label came and went, in turn; it is there, or not, as it is `now`."""
    joined = [*then, *(when for when in now if when > max(then, default=""))]
    return joined if len(joined) % 2 == len(now or then) % 2 else now


def _differing(there: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    before, after = of_ours(there), of_ours(then)
    ours = [f"{KEY}.{name}" for name in sorted({*before, *after}) if not _same(before.get(name), after.get(name))]
    others = [name for name in sorted(then) if name != KEY and not _same(there.get(name), then[name])]
    return [*ours, *others]


def _same(one: object, other: object) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
