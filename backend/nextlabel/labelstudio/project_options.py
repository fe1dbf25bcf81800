"""What was decided for one project, as it is kept with its ML backend in Label Studio: shown, and changed."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from nextlabel.errors import BadSettingError, InUseError, NoProjectError
from nextlabel.labelstudio.backend_settings import in_force
from nextlabel.labelstudio.client import LabelStudioClient, MLBackend
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, change_backend, new_seed, with_new_defaults
from nextlabel.labelstudio.registration import LOOKS, find_backend, put_right_for_good
from nextlabel.settings import Settings, own_value
from nextlabel.store.locks import LockHeld, lock
from nextlabel.values.counting import (
    A_DAY,
    A_WEIGHT,
    ACCOUNTS,
    DELETED,
    SOME_LABELS,
    LeftOut,
    day_of,
    held_out_of,
    left_out_of,
    weight_of,
)
from nextlabel.values.options import (
    A_SHARE_AGAIN,
    ANY,
    CLASS_TARGETS,
    COMBINE,
    COMBINED,
    HOW_MANY_AGAIN,
    LOOK_FOR,
    NO_OPTIONS,
    ON_OR_OFF,
    OWN,
    QUESTION_WEIGHTS,
    SWITCHES,
    LabelChanges,
    ProjectOptions,
    combine_of,
    most_open_of,
    plain_texts,
    share_again_of,
    switch_of,
    targets_of,
    texts_of,
    weights_of,
)

Change = Callable[[ProjectOptions], ProjectOptions]
NAMED = 20  # accounts in one sentence
PATIENCE_S = 5.0  # with another who changes options
A_LOOK = 1  # of the trainer, which has more to do, that what it noted stays; it lists no backends meanwhile
CONNECTS = {
    "fields": "--fields A,B",
    "label_map": "--map-label OLD=NEW",
    "ignored_labels": "--ignore-label LABEL",
    "control_first": "--holdout 30",
}  # options that `connect` changes, as they need the config
NAMING = ("question_weights", "look_for", "class_targets")  # labels or questions
OTHERS: Mapping[str, tuple[Callable[[object], object], str]] = {
    "look_for": (texts_of, LOOK_FOR),
    "class_targets": (targets_of, CLASS_TARGETS),
    "question_weights": (weights_of, QUESTION_WEIGHTS),
    **dict.fromkeys(COMBINED, (combine_of, COMBINE)),
    "leave_out": (left_out_of, ACCOUNTS),
    "guideline_since": (day_of, A_DAY),
    "older_labels": (weight_of, A_WEIGHT),
    "hold_out": (held_out_of, SOME_LABELS),
    **dict.fromkeys(SWITCHES, (switch_of, ON_OR_OFF)),
    "look_again": (most_open_of, HOW_MANY_AGAIN),
    "second_votes": (share_again_of, A_SHARE_AGAIN),
}  # options with no setting in their place: how each is read, and what is expected
NAMES = (*OWN, *OTHERS)


def shown(studio: LabelStudioClient, settings: Settings, project: int, url: str = "") -> list[str]:
    """Every option, its value and where it comes from, which the backend is asked for at `url`, or where Label Studio
    has it. Raises `RefusedConfigError` when somebody has mistyped one."""
    backend = _backend(studio, project)
    options = ProjectOptions.of(backend.extra_params)
    emails = studio.accounts() if options.leave_out else {}
    counts = [*_what_counts(options, emails), *_what_is_asked_again(options)]
    return [*in_force(settings, options, project, url or backend.url), *counts, *_what_is_learnt(options)]


def _what_counts(options: ProjectOptions, emails: Mapping[int, str]) -> Iterator[str]:
    """Accounts are named by their e-mail addresses, as far as they are known."""
    names = {str(account): email for account, email in emails.items()}
    left_out = ", ".join(str(replace(one, account=names.get(one.account, one.account))) for one in options.leave_out)
    yield f"leave_out={left_out} ({'project' if left_out else 'built in'})"
    yield f"guideline_since={options.guideline_since} ({'project' if options.guideline_since else 'built in'})"
    yield f"older_labels={options.older_labels:g} ({'project' if options.older_labels else 'built in'})"
    yield f"hold_out={options.hold_out} ({'project' if options.hold_out else 'built in'})"


def _what_is_asked_again(options: ProjectOptions) -> Iterator[str]:
    yield f"look_again={options.look_again} ({'project' if options.look_again else 'built in'})"
    yield f"second_votes={options.second_votes:g} ({'project' if options.second_votes else 'built in'})"


def _what_is_learnt(options: ProjectOptions) -> Iterator[str]:
    source = "project" if options.fields else "labelling config"
    yield f"fields={','.join(options.fields)} ({source})"
    mapped = ", ".join(f"{old}={new}" for old, new in options.label_map.items())
    yield f"label_map={mapped} ({'project' if mapped else 'built in'})"
    ignored = ", ".join(options.ignored_labels)
    yield f"ignored_labels={ignored} ({'project' if ignored else 'built in'})"
    yield f"control_first={options.control_first} ({'project' if options.control_first else 'built in'})"
    for name, way in COMBINED.items():
        combined = getattr(options, name)
        yield f"{name}={combined} ({'built in' if combined == way else 'project'})"
    plain = (dict(options.question_weights), plain_texts(options.look_for), dict(options.class_targets))
    for name, wanted in zip(NAMING, plain, strict=True):
        shown = json.dumps(wanted, ensure_ascii=False) if wanted else ""
        yield f"{name}={shown} ({'project' if wanted else 'built in'})"
    for name in SWITCHES:
        yield f"{name}={'on (project)' if getattr(options, name) else 'off (built in)'}"


def audits_begun(studio: LabelStudioClient, project: int) -> int:
    """How many audits the project has ever begun, as it is known in Label Studio; none if it is not connected."""
    backend = find_backend(studio, project)
    return ProjectOptions.of(backend.extra_params).audits if backend else 0


def note_audits(studio: LabelStudioClient, settings: Settings, project: int, begun: int) -> None:
    """Have it known there. Raises as `change` does."""
    _keep(studio, settings, project, lambda options: replace(options, audits=begun), A_LOOK)


def note_asked(
    studio: LabelStudioClient, settings: Settings, project: int, since: Mapping[str, str], changes: LabelChanges
) -> None:
    """Have it known there from when on questions are asked, and when labels came and went. Raises as `change` does."""

    def noted(options: ProjectOptions) -> ProjectOptions:
        asked_since, label_changes = {**options.asked_since, **since}, {**options.label_changes, **changes}
        return replace(options, asked_since=asked_since, label_changes=label_changes)

    _keep(studio, settings, project, noted, A_LOOK)


def note_reopened(
    studio: LabelStudioClient, settings: Settings, project: int, add: Mapping[int, int], drop: Collection[int]
) -> ProjectOptions:
    """Have it known there which tasks we have opened again, and which are no longer; returns the options as they are
    then. Raises as `change` does."""

    def noted(options: ProjectOptions) -> ProjectOptions:
        tasks = {**add, **options.reopened}.items()
        return replace(options, reopened={task: people for task, people in tasks if task not in drop})

    return _keep(studio, settings, project, noted, A_LOOK)


def change(studio: LabelStudioClient, settings: Settings, project: int, given: Mapping[str, str]) -> ProjectOptions:
    """Set options, or take out those that are given empty; returns all. The trainer takes them over at once.

    Raises `BadSettingError` for a name that is no option and for an impossible value, before anything is touched;
    `StudioError` when Label Studio or the backend refuses; `InUseError` when somebody else is changing options.
    """
    values = {name: _value(_known(project, name), value) if value else None for name, value in given.items()}
    own = {name: value for name, value in values.items() if name in OWN}
    others = {
        name: getattr(NO_OPTIONS, name) if value is None else value for name, value in values.items() if name in OTHERS
    }
    if "leave_out" in others:
        others["leave_out"] = _by_id(studio, others["leave_out"])
    seed = new_seed() if others.get("hold_out") else ""
    named = [name for name in others if name in NAMING]
    config = studio.project(project).label_config if named else ""

    def changed(options: ProjectOptions) -> ProjectOptions:
        kept = {name: value for name, value in {**options.own, **own}.items() if value is not None}
        options = replace(options, own=kept, control_seed=options.control_seed or seed, **others)
        for name in named:
            _require_named(config, options, name)
        return options

    return _keep(studio, settings, project, changed)


def take_new_defaults(studio: LabelStudioClient, settings: Settings, project: int) -> ProjectOptions:
    """Have what is built in today hold where nobody decided; returns all options. Raises as `change` does."""
    return _keep(studio, settings, project, with_new_defaults)


def put_back(
    studio: LabelStudioClient,
    settings: Settings,
    project: int,
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
) -> None:
    """Put all `extra_params` in the place of those that are there, which `change` is given. Raises as `change` does."""
    with alone(settings, project):
        _keep_extra(studio, settings, project, change)


def _keep(
    studio: LabelStudioClient, settings: Settings, project: int, change: Change, looks: int = LOOKS
) -> ProjectOptions:
    """Have Label Studio keep changed options; returns all of them."""

    def changed(extra: Mapping[str, Any]) -> Mapping[str, Any]:
        options = ProjectOptions.of(extra)
        wanted = change(options)
        return extra if wanted == options else wanted.put_into(extra)

    with alone(settings, project):
        return ProjectOptions.of(_keep_extra(studio, settings, project, changed, looks))


def _keep_extra(
    studio: LabelStudioClient,
    settings: Settings,
    project: int,
    change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    looks: int = LOOKS,
) -> Mapping[str, Any]:
    """Write what `change` makes of the `extra_params`, until it stays so: whoever lists backends at the same moment, as
    a trainer and a browser do, has Label Studio save them as they were. `change` makes the same of its own result."""
    kept: Mapping[str, Any] = {}

    def put_right() -> bool:
        nonlocal kept
        backend = _backend(studio, project)
        kept = change(backend.extra_params)
        if kept == backend.extra_params:
            return False
        change_backend(studio, project, backend, backend.url, Credentials.of(settings), kept)
        return True

    if put_right():
        put_right_for_good(put_right, looks=looks)
    return kept


@contextmanager
def alone(settings: Settings, project: int) -> Iterator[None]:
    """While nobody else who shares MODEL_DIR changes options, which are read and written whole: of two at a time the
    first one's would be lost. Raises `InUseError` when somebody else takes long."""
    here = (settings.model_dir / "locks").is_dir()  # else the command is run elsewhere
    try:
        turn = lock(settings.model_dir, f"options.{project}").acquire(timeout=PATIENCE_S) if here else nullcontext()
    except LockHeld:
        raise InUseError(f"The options of project {project} are being changed already. Try again.") from None
    except PermissionError:  # of an account that has no part in MODEL_DIR
        turn = nullcontext()
    with turn:
        yield


def _known(project: int, name: str) -> str:
    if name in CONNECTS:
        command = f"`nextlabel connect --project {project} {CONNECTS[name]}`"
        raise BadSettingError(f"The option {name} is changed with {command}.")
    if name not in NAMES:
        raise BadSettingError(f"A project has no option {name!r}. Give one of {', '.join(NAMES)}.")
    return name


def _value(name: str, given: str) -> Any:
    if name in OWN:
        return own_value(name, given)
    read, expected = OTHERS[name]
    try:
        value = read(json.loads(given) if given[0] in "[{" else given)
    except ValueError:
        value = None
    if value is None:
        raise BadSettingError(f"{name}={given!r:.80} is not possible: expected {expected}.")
    return value


def _by_id(studio: LabelStudioClient, left_out: tuple[LeftOut, ...]) -> tuple[LeftOut, ...]:
    """The same with accounts named by their ids, which stay when an e-mail address changes."""
    emails = studio.accounts() if left_out else {}
    ids = {email.lower(): str(account) for account, email in emails.items()}
    ids |= {account: account for account in [*map(str, emails), DELETED]}
    for one in left_out:
        if one.account.lower() not in ids:
            known = ", ".join(f"{account} ({email})" for account, email in list(emails.items())[:NAMED])
            raise BadSettingError(
                f"leave_out names the account {one.account!r}, which Label Studio does not have. It has {known}"
                f"{' and others' if len(emails) > NAMED else ''}; labels of deleted accounts are those of {DELETED!r}."
            )
    return tuple(replace(one, account=ids[one.account.lower()]) for one in left_out)


def _require_named(xml: str, options: ProjectOptions, name: str) -> None:
    """That a project has the labels, or the questions, that an option names."""
    config = parse_label_config(xml, options)
    if name == "question_weights":
        asked = [control.name for control in config.asked]
        for question in options.question_weights:
            if question not in asked:
                raise BadSettingError(
                    f"{name} names the question {question!r}, which is not asked. Give one of {asked}."
                )
        return
    labels = config.labels
    for label in getattr(options, name):
        if label not in (ANY, *labels):
            raise BadSettingError(f"{name} names the label {label!r}, which is not learnt. Give one of {list(labels)}.")


def _backend(studio: LabelStudioClient, project: int) -> MLBackend:
    backend = find_backend(studio, project)
    if backend is None:
        raise NoProjectError(
            f"Project {project} has no Nextlabel ML backend, with which options are kept. Run `nextlabel connect "
            f"--project {project}`."
        )
    return backend
