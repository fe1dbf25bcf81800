"""What was decided for one project, as it is kept with its ML backend in Label Studio: shown, and changed."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nextlabel.errors import BadSettingError, NoProjectError, StudioError
from nextlabel.labelstudio.client import LabelStudioClient, MLBackend, StudioRefusedError
from nextlabel.labelstudio.connection import Credentials, find_backend, remedy_of
from nextlabel.settings import Settings, for_project, own_value
from nextlabel.values.options import OWN, ProjectOptions

CONNECTS = {
    "fields": "--fields",
    "label_map": "--map-label",
    "ignored_labels": "--ignore-label",
    "control_first": "--holdout",
}  # options that `connect` changes, as they need the config


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


def audits_begun(studio: LabelStudioClient, project: int) -> int:
    """How many audits the project has ever begun, as it is known in Label Studio; none if it is not connected."""
    backend = find_backend(studio, project)
    return ProjectOptions.of(backend.extra_params).audits if backend else 0


def note_audits(studio: LabelStudioClient, settings: Settings, project: int, begun: int) -> None:
    """Have it known there. Raises as `change` does."""
    backend = _backend(studio, project)
    _write(studio, settings, project, backend, replace(ProjectOptions.of(backend.extra_params), audits=begun))


def change(studio: LabelStudioClient, settings: Settings, project: int, given: Mapping[str, str]) -> None:
    """Set options, or take out those that are given empty. The trainer takes them over at once.

    Raises `BadSettingError` for a name that is no option and for an impossible value, before anything is touched;
    `StudioError` when Label Studio or the backend refuses.
    """
    wanted = {name: own_value(_known(name), value) if value else None for name, value in given.items()}
    backend = _backend(studio, project)
    options = ProjectOptions.of(backend.extra_params)
    own = {name: value for name, value in {**options.own, **wanted}.items() if value is not None}
    _write(studio, settings, project, backend, replace(options, own=own))


def _write(
    studio: LabelStudioClient, settings: Settings, project: int, backend: MLBackend, options: ProjectOptions
) -> None:
    credentials, extra = Credentials.of(settings), options.put_into(backend.extra_params)
    try:
        studio.update_ml_backend(
            backend.id, project, backend.url, backend.title, credentials.user, credentials.password, extra
        )
    except StudioRefusedError as error:
        raise StudioError(f"{error} {remedy_of(error, backend.url)}") from None


def _known(name: str) -> str:
    if name in CONNECTS:
        raise BadSettingError(f"The option {name} is changed with nextlabel connect {CONNECTS[name]}.")
    if name not in OWN:
        raise BadSettingError(f"A project has no option {name!r}. Give one of {', '.join(OWN)}.")
    return name


def _backend(studio: LabelStudioClient, project: int) -> MLBackend:
    backend = find_backend(studio, project)
    if backend is None:
        raise NoProjectError(
            f"Project {project} has no Nextlabel ML backend, with which options are kept. Run nextlabel connect "
            f"--project {project}."
        )
    return backend
