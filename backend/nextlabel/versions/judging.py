"""What a version with its newest head says of texts of the control set, from its weights alone, in full precision."""

from collections.abc import Sequence

from nextlabel.errors import NoModelError
from nextlabel.learning.heads import Head
from nextlabel.learning.judging import Said
from nextlabel.settings import Settings
from nextlabel.values.examples import Example
from nextlabel.versions import heads
from nextlabel.versions.exporting import with_newest_head
from nextlabel.versions.registry import Registry


def said_of(settings: Settings, registry: Registry, project: int, version: str, examples: Sequence[Example]) -> Said:
    """What the checkpoint says that `nextlabel export` writes. Raises `NoModelError` when it cannot be loaded."""
    name, classifier = with_newest_head(settings, registry, project, version)
    probs_NC = classifier.predict_proba(examples)
    probs_of = {example.id: probs_C for example, probs_C in zip(examples, probs_NC, strict=True)}
    card, known = registry.card(project, version), known_to(registry, project, version, name)
    return Said(name, card.labels, probs_of, known, card.layout)


def head_of(registry: Registry, project: int, version: str, order: str) -> Head | None:
    """The version's head that the order is of; None for the version's own order, and when the head is gone."""
    try:
        return heads.named(registry.path(project, version), order) if order != version else None
    except NoModelError:
        return None


def known_to(registry: Registry, project: int, version: str, order: str) -> set[int] | None:
    """The tasks that the version, and the head that the order is of, were fitted on; None when that is not known."""
    fitted, head = registry.fitted_labels(project, version), head_of(registry, project, version, order)
    if not fitted or (order != version and head is None):
        return None
    return fitted.keys() | (head.known.keys() if head else set())
