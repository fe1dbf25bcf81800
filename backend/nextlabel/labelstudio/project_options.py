"""What was decided for one project, as it is kept with its ML backend in Label Studio: shown, and changed."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from nextlabel.errors import BadSettingError, NoProjectError
from nextlabel.labelstudio.client import LabelStudioClient, MLBackend
from nextlabel.labelstudio.config import parse_label_config
from nextlabel.labelstudio.connection import Credentials, change_backend
from nextlabel.labelstudio.registration import find_backend
from nextlabel.settings import Settings, for_project, own_value
from nextlabel.values.layout import MEAN
from nextlabel.values.options import (
    ANY,
    CLASS_TARGETS,
    COMBINE_QUESTIONS,
    LOOK_FOR,
    OWN,
    QUESTION_WEIGHTS,
    ProjectOptions,
    combine_of,
    plain_texts,
    targets_of,
    texts_of,
    weights_of,
)

CONNECTS = {
    "fields": "--fields",
    "label_map": "--map-label",
    "ignored_labels": "--ignore-label",
    "control_first": "--holdout",
}  # options that `connect` changes, as they need the config
WANTED: Mapping[str, tuple[Callable[[object], Mapping[str, Any] | None], str]] = {
    "look_for": (texts_of, LOOK_FOR),
    "class_targets": (targets_of, CLASS_TARGETS),
    "question_weights": (weights_of, QUESTION_WEIGHTS),
}  # what is wanted of the queue: how each is read, and what is expected
COMBINE = "combine_questions"
NAMES = (*OWN, *WANTED, COMBINE)


def shown(studio: LabelStudioClient, settings: Settings, project: int) -> list[str]:
    """Every option, its value and where it comes from. Raises `RefusedConfigError` when somebody has mistyped one."""
    options = ProjectOptions.of(_backend(studio, project).extra_params)
    return [*for_project(settings, options).lines(), *_what_is_learnt(options)]


def _what_is_learnt(options: ProjectOptions) -> Iterator[str]:
    source = "project" if options.fields else "labelling config"
    yield f"fields={','.join(options.fields)} ({source})"
    mapped = ", ".join(f"{old}={new}" for old, new in options.label_map.items())
    yield f"label_map={mapped} ({'project' if mapped else 'built in'})"
    ignored = ", ".join(options.ignored_labels)
    yield f"ignored_labels={ignored} ({'project' if ignored else 'built in'})"
    yield f"control_first={options.control_first} ({'project' if options.control_first else 'built in'})"
    weights = dict(options.question_weights)
    plain = (plain_texts(options.look_for), dict(options.class_targets), weights)
    for name, wanted in zip(WANTED, plain, strict=True):
        shown = json.dumps(wanted, ensure_ascii=False) if wanted else ""
        yield f"{name}={shown} ({'project' if wanted else 'built in'})"
    yield f"{COMBINE}={options.combine_questions} ({'built in' if options.combine_questions == MEAN else 'project'})"


def audits_begun(studio: LabelStudioClient, project: int) -> int:
    """How many audits the project has ever begun, as it is known in Label Studio; none if it is not connected."""
    backend = find_backend(studio, project)
    return ProjectOptions.of(backend.extra_params).audits if backend else 0


def note_audits(studio: LabelStudioClient, settings: Settings, project: int, begun: int) -> None:
    """Have it known there. Raises as `change` does."""
    backend = _backend(studio, project)
    _write(studio, settings, project, backend, replace(ProjectOptions.of(backend.extra_params), audits=begun))


def note_asked(studio: LabelStudioClient, settings: Settings, project: int, since: Mapping[str, str]) -> None:
    """Have it known there from when on questions are asked. Raises as `change` does."""
    backend = _backend(studio, project)
    options = ProjectOptions.of(backend.extra_params)
    changed = replace(options, asked_since={**options.asked_since, **since})
    _write(studio, settings, project, backend, changed)


def change(studio: LabelStudioClient, settings: Settings, project: int, given: Mapping[str, str]) -> None:
    """Set options, or take out those that are given empty. The trainer takes them over at once.

    Raises `BadSettingError` for a name that is no option and for an impossible value, before anything is touched;
    `StudioError` when Label Studio or the backend refuses.
    """
    values = {name: _value(_known(name), value) if value else None for name, value in given.items()}
    backend = _backend(studio, project)
    options = ProjectOptions.of(backend.extra_params)
    own = {name: value for name, value in {**options.own, **values}.items() if name in OWN and value is not None}
    wanted: dict[str, Any] = {name: value or {} for name, value in values.items() if name in WANTED}
    changed = replace(options, own=own, **wanted)
    if COMBINE in values:
        changed = replace(changed, combine_questions=values[COMBINE] or MEAN)
    for name in wanted:
        _require_named(studio.project(project).label_config, changed, name)
    _write(studio, settings, project, backend, changed)


def _write(
    studio: LabelStudioClient, settings: Settings, project: int, backend: MLBackend, options: ProjectOptions
) -> None:
    extra = options.put_into(backend.extra_params)
    change_backend(studio, project, backend, backend.url, Credentials.of(settings), extra)


def _known(name: str) -> str:
    if name in CONNECTS:
        raise BadSettingError(f"The option {name} is changed with nextlabel connect {CONNECTS[name]}.")
    if name not in NAMES:
        raise BadSettingError(f"A project has no option {name!r}. Give one of {', '.join(NAMES)}.")
    return name


def _value(name: str, given: str) -> Any:
    if name in OWN:
        return own_value(name, given)
    read, expected = (combine_of, COMBINE_QUESTIONS) if name == COMBINE else WANTED[name]
    try:
        value = read(json.loads(given) if given[0] in "[{" else given)
    except ValueError:
        value = None
    if value is None:
        raise BadSettingError(f"{name}={given!r:.80} is not possible: expected {expected}.")
    return value


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
            f"Project {project} has no Nextlabel ML backend, with which options are kept. Run nextlabel connect "
            f"--project {project}."
        )
    return backend
