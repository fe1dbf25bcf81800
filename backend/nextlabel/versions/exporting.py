"""A version with its newest head in the place of its last layer, as a checkpoint that plain transformers loads."""

from pathlib import Path
from typing import TYPE_CHECKING

from nextlabel.errors import NextlabelError
from nextlabel.settings import Settings
from nextlabel.versions import heads
from nextlabel.versions.registry import Registry

if TYPE_CHECKING:
    from nextlabel.model.classifier import Classifier


def export(settings: Settings, registry: Registry, project: int, version: str, directory: Path) -> str:
    """Write it; returns the name of the head, or of the version when that has none. What transformers computes from it
    is what predictions of that name say.

    Raises `NextlabelError` when there is something in the directory already or it cannot be written, `NoModelError`
    when the version cannot be loaded.
    """
    require_empty(directory)
    name, classifier = with_newest_head(settings, registry, project, version)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        classifier.save(directory)
    except OSError as error:
        raise NextlabelError(f"{directory} cannot be written ({error}). Name another directory.") from None
    return name


def with_newest_head(settings: Settings, registry: Registry, project: int, version: str) -> "tuple[str, Classifier]":
    """The classifier, and the name of its head, or of the version when that has none. Raises `NoModelError`."""
    from nextlabel.model import classifier as classifiers  # imports torch

    path = registry.path(project, version)
    registry.verify(project, version)
    classifier = classifiers.load(path, settings.device, settings.precision)
    name, head = heads.newest(path) or (version, None)
    if head is not None:
        classifier.last_layer = head.layer
    return name, classifier


def require_empty(directory: Path) -> None:
    """Raises `NextlabelError` when something is in the place that is to be written."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise NextlabelError(f"{directory} is not empty. Name a directory that does not exist yet.")
