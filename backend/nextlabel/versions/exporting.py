"""A version with its newest head in the place of its last layer, as a checkpoint that plain transformers loads."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError

from nextlabel.errors import NextlabelError
from nextlabel.learning.certificate import Audit
from nextlabel.learning.heads import Head, load
from nextlabel.settings import Settings
from nextlabel.values.layout import Layout, labels_in
from nextlabel.values.versions import Card, version_of
from nextlabel.versions import heads
from nextlabel.versions.audits import HEAD, Audits
from nextlabel.versions.registry import Registry

if TYPE_CHECKING:
    from nextlabel.model.classifier import Classifier


@dataclass(frozen=True)
class Source:
    """What is taken away: a version by its card or, if there is one, its `head`, under its `name`, with the labels and
    questions of that. `fitted` is the answer of each task that it was fitted on, by task id; none where that is not
    known."""

    card: Card
    name: str
    head: Head | None
    fitted: dict[int, str]

    @property
    def layout(self) -> Layout | None:
        """How its numbers are divided among questions, with the thresholds of the version."""
        return self.head.layout if self.head else self.card.layout

    @property
    def label_counts(self) -> dict[str, int]:
        """How many of the answers that it was fitted on give each label."""
        if not self.fitted:
            return dict(self.card.label_counts)
        counts = dict.fromkeys(self.card.labels, 0)
        for label in (label for answer in self.fitted.values() for label in labels_in(answer, self.layout)):
            counts[label] = counts.get(label, 0) + 1
        return counts

    @property
    def fitted_on(self) -> int:
        """How many labelled tasks it knows."""
        return len(self.fitted) or self.card.examples


def newest(registry: Registry, project: int, version: str) -> Source:
    """A version with its newest head, if it has one. Raises `NoModelError` when it is gone."""
    name, head = heads.newest(registry.path(project, version)) or (version, None)
    return _source(registry, project, version, name, head)


def audited(registry: Registry, audits: Audits, audit: Audit) -> Source:
    """What an audit froze, for which its head is kept. Raises `NoModelError` when the version is gone."""
    version, kept = version_of(audit.version), audits.home(audit.project) / str(audit.number) / HEAD
    return _source(registry, audit.project, version, audit.version, load(kept) if kept.exists() else None)


def _source(registry: Registry, project: int, version: str, name: str, head: Head | None) -> Source:
    known = dict(head.known) if head else registry.fitted_labels(project, version)
    return Source(heads.as_of(registry.card(project, version), head), name, head, known)


def classifier_of(settings: Settings, registry: Registry, source: Source) -> "Classifier":
    """Its weights, with the head in the place of the last layer: what transformers computes from them, once saved, is
    what predictions of that name say. Raises `NoModelError` when it cannot be loaded."""
    from nextlabel.model import classifier as classifiers  # imports torch

    project, version = source.card.project, source.card.version
    registry.verify(project, version)
    classifier = classifiers.load(registry.path(project, version), settings.device, settings.precision)
    if source.head is not None:
        classifier.answer(source.card.labels, source.head.layer)
    classifier.layout = source.layout  # the weights were written before their thresholds were known
    return classifier


def require_empty(directory: Path) -> None:
    """Raises `NextlabelError` when something is in the place that is to be written."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise NextlabelError(f"{directory} is not empty. Name a directory that does not exist yet.")


@contextmanager
def whole(directory: Path) -> Iterator[Path]:
    """A directory beside, which gets the name at the end: whoever is killed leaves nothing that looks complete, but a
    hidden `.NAME.part`, which the next one deletes. Raises `NextlabelError` when it cannot be written."""
    require_empty(directory)
    beside = directory.absolute().with_name(f".{directory.absolute().name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        yield beside
        beside.replace(directory)
    except (OSError, SafetensorError) as error:
        raise NextlabelError(f"{directory} cannot be written ({error}). Name another directory.") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
