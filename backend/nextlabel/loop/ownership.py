"""Which of a project's Nextlabel backends works with our MODEL_DIR. Asks Label Studio, and changes nothing."""

from collections.abc import Sequence

from nextlabel.labelstudio.client import LabelStudioClient, MLBackend
from nextlabel.labelstudio.registration import is_anothers, registrations
from nextlabel.versions.registry import Registry


def whose(
    studio: LabelStudioClient, registry: Registry, project: int, known_at: str
) -> tuple[MLBackend | None, Sequence[MLBackend]]:
    """Our own backend, None when there is none or another one has taken the project over; and all of Nextlabel.
    `known_at` is where ours was last."""
    before = registry.versions(project)
    at = known_at if registry.current(project) else ""  # cards without weights answer as if untrained
    found = registrations(studio, project)
    versions = {*before, *registry.versions(project)}  # it may have been promoted meanwhile
    return next((backend for backend in found if not is_anothers(backend, versions, at)), None), found
