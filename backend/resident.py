"""Versions loaded once and kept in memory while they are used. Caches by version, so nothing is ever invalidated."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backend.examples import Example
from backend.registry import Card, Registry
from backend.settings import Settings

if TYPE_CHECKING:
    from backend.classifier import Classifier
    from backend.learning import Scored


SLICE = 512  # examples


class Resident:
    """The classifiers used last. Thread-safe: one forward pass at a time, as two would fight for the same cores."""

    def __init__(self, settings: Settings, registry: Registry, capacity: int):
        self._settings, self._registry, self._capacity = settings, registry, capacity
        self._held: dict[Path, Classifier] = {}
        self._lock = threading.Lock()

    def score(self, card: Card, examples: Sequence[Example], exact: bool) -> "Scored":
        """What a version says of the examples. Raises `NoModelError` when it cannot be loaded."""
        from backend.learning import joined, score_pool

        path = self._registry.path(card.project, card.version)
        slices = [examples[i : i + SLICE] for i in range(0, len(examples), SLICE)] or [examples]
        parts = []
        for part in slices:
            with self._lock:  # released in between: a single pair does not wait behind a thousand
                parts.append(score_pool(self._get(path), part, card.strategy, card.seed, exact))
        return joined(parts)

    def keep(self, card: Card, classifier: "Classifier") -> None:
        """Keep a classifier that was just fitted."""
        with self._lock:
            self._hold(self._registry.path(card.project, card.version), classifier)

    def _get(self, path: Path) -> "Classifier":
        # torch is imported here, so that the web process answers before it is needed.
        from backend import classifier as classifiers

        found = self._held.pop(path, None) or classifiers.load(path, self._settings.device, self._settings.precision)
        self._hold(path, found)
        return found

    def _hold(self, path: Path, classifier: "Classifier") -> None:
        self._held[path] = classifier
        while len(self._held) > self._capacity:
            del self._held[next(iter(self._held))]
