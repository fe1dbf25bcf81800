"""What a version with its newest head says of texts of the control set, from its weights alone, in full precision."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nextlabel.errors import NoModelError
from nextlabel.learning.heads import Head
from nextlabel.learning.judging import Said
from nextlabel.settings import Settings
from nextlabel.values.examples import Example
from nextlabel.values.versions import Card
from nextlabel.versions import heads
from nextlabel.versions.exporting import Source, classifier_of, newest
from nextlabel.versions.registry import Registry

if TYPE_CHECKING:
    from nextlabel.model.classifier import Classifier


def said_of(settings: Settings, registry: Registry, project: int, version: str, examples: Sequence[Example]) -> Said:
    """What the checkpoint says that `nextlabel export` writes. Raises `NoModelError` when it cannot be loaded."""
    source = newest(registry, project, version)
    return said_by(registry, source, classifier_of(settings, registry, source), examples)


def said_by(registry: Registry, source: Source, classifier: "Classifier", examples: Sequence[Example]) -> Said:
    """The same of one that is loaded."""
    probs_NC, card = classifier.predict_proba(examples), source.card
    probs_of = {example.id: probs_C for example, probs_C in zip(examples, probs_NC, strict=True)}
    fitted = registry.fitted_labels(card.project, card.version)
    known = fitted.keys() | source.fitted.keys() if fitted else None
    return Said(source.name, card.labels, probs_of, known, card.layout)


def head_of(registry: Registry, project: int, version: str, order: str) -> Head | None:
    """The version's head that the order is of; None for the version's own order, and when the head is gone."""
    try:
        return heads.named(registry.path(project, version), order) if order != version else None
    except NoModelError:
        return None


def card_of(registry: Registry, card: Card, order: str) -> Card:
    """The card with the labels and questions of the order: of the version, or of the head that it is of."""
    return heads.as_of(card, head_of(registry, card.project, card.version, order))


def known_to(registry: Registry, project: int, version: str, order: str) -> set[int] | None:
    """The tasks that the version, and the head that the order is of, were fitted on; None when that is not known."""
    fitted, head = registry.fitted_labels(project, version), head_of(registry, project, version, order)
    if not fitted or (order != version and head is None):
        return None
    return fitted.keys() | (head.known.keys() if head else set())
