"""Versions loaded once and kept in memory while they are used. Caches by version, so nothing is ever invalidated."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from nextlabel.errors import NoModelError
from nextlabel.processes import lower_priority
from nextlabel.settings import Settings
from nextlabel.values.examples import Example
from nextlabel.values.versions import Card
from nextlabel.versions.registry import Registry

if TYPE_CHECKING:
    from nextlabel.learning.rounds import Scored
    from nextlabel.model.classifier import Classifier, Progress
    from nextlabel.model.tokens import TokenCache
    from nextlabel.values.linear import Linear

P = ParamSpec("P")
R = TypeVar("R")

SLICE = 512  # examples that go through the model at a time

Caches = Callable[[int], "TokenCache | None"]  # of a project


class LoadedVersions:
    """The classifiers used last. Thread-safe: one forward pass at a time, as two would fight for the same cores.

    Requests that arrive during a pass share the next one, so that many small ones wait for one pass, not for many. All
    passes are made by one thread, as each that made some would have torch start helpers of its own. On the CPU it
    yields to other threads and processes by `niceness` (0 to 19).
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        capacity: int,
        caches: Caches = lambda project: None,
        niceness: int = 0,
    ):
        self._settings, self._registry, self._capacity, self._caches = settings, registry, capacity, caches
        self._held: dict[Path, Classifier] = {}
        self._passes = ThreadPoolExecutor(1, "passes", initializer=lower_priority, initargs=(niceness,))
        self._waiting: list[_Request] = []
        self._arriving = threading.Lock()

    def score(
        self,
        card: Card,
        examples: Sequence[Example],
        exact: bool,
        progress: "Progress | None" = None,
        features: bool = False,
    ) -> "Scored":
        """What a version says of the examples, and its `features` of them. Raises `NoModelError` when it cannot be
        loaded.

        What `progress` raises ends the pass, and is raised here.
        """
        return self._ask(card, examples, exact, whether_cut=False, progress=progress, features=features)[0]

    def predict(
        self, card: Card, examples: Sequence[Example], exact: bool = True, features: bool = False
    ) -> "tuple[Scored, list[bool]]":
        """The same, and of which examples the version reads only the beginning."""
        return self._ask(card, examples, exact, whether_cut=True, features=features)

    def last_layer(self, card: Card) -> "Linear":
        """The layer that makes a version's logits. Raises `NoModelError` when it cannot be loaded or has none."""
        return self._passes.submit(lambda: self._get(card).last_layer).result()

    def _ask(
        self,
        card: Card,
        examples: Sequence[Example],
        exact: bool,
        whether_cut: bool,
        progress: "Progress | None" = None,
        features: bool = False,
    ) -> "tuple[Scored, list[bool]]":
        from nextlabel.learning.rounds import joined

        slices = [examples[i : i + SLICE] for i in range(0, len(examples), SLICE)] or [examples]
        requests = [_Request(card, part, exact, whether_cut, features, progress) for part in slices]
        return joined([self._answer(request) for request in requests]), [t for r in requests for t in r.truncated]

    def _answer(self, request: "_Request") -> "Scored":
        with self._arriving:
            self._waiting.append(request)
        self._passes.submit(self._serve_if_left, request).result()
        if request.error is not None:
            raise request.error
        assert request.scored is not None
        return request.scored

    def _serve_if_left(self, request: "_Request") -> None:
        if not request.served:
            self._serve(self._take(request))

    def _take(self, first: "_Request") -> list["_Request"]:
        """The request and those of the same kind that wait with it, as many as fit into a slice."""
        with self._arriving:
            taken, room = [first], SLICE - len(first.examples)
            for other in self._waiting:
                if other is not first and other.kind == first.kind and len(other.examples) <= room:
                    taken.append(other)
                    room -= len(other.examples)
            self._waiting = [request for request in self._waiting if request not in taken]
        return taken

    def _serve(self, requests: Sequence["_Request"]) -> None:
        from nextlabel.learning.rounds import score_pool

        card, exact, whether_cut, features, progress = requests[0].kind
        try:
            classifier = self._get(card)
            together = [example for request in requests for example in request.examples]
            scored = score_pool(classifier, together, card.strategy, card.seed, exact, progress, features)
            # Here, where no other thread is at the tokenizer.
            truncated = classifier.truncated(together) if whether_cut else []
        except Exception as error:  # noqa: BLE001  each thread raises it anew
            for request in requests:
                request.error = error
            return
        start = 0
        for request in requests:
            end = start + len(request.examples)
            request.truncated = truncated[start:end]
            request.scored = scored[start:end]
            start = end

    def run(self, job: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a job returns, or raises, that makes other passes: in the thread that makes all."""
        return self._passes.submit(job, *args, **kwargs).result()

    def keep(self, card: Card, classifier: "Classifier") -> None:
        """Keep a classifier that was just fitted; what its project had before is not needed any more."""
        self._passes.submit(self._keep, self._registry.path(card.project, card.version), classifier).result()

    def _keep(self, path: Path, classifier: "Classifier") -> None:
        self._held = {other: held for other, held in self._held.items() if other.parent != path.parent}
        self._hold(path, classifier)

    def _get(self, card: Card) -> "Classifier":
        # torch is imported here, so that the web process answers before it is needed.
        from nextlabel.model import classifier as classifiers

        path, settings = self._registry.path(card.project, card.version), self._settings
        found = self._held.pop(path, None)
        if found is None:
            try:
                self._registry.verify(card.project, card.version)
                found = classifiers.load(path, settings.device, settings.precision, self._caches(card.project))
            except NoModelError as error:
                self._registry.note_unloadable(card.project, card.version, str(error))
                raise
        self._hold(path, found)
        return found

    def _hold(self, path: Path, classifier: "Classifier") -> None:
        self._held[path] = classifier
        while len(self._held) > self._capacity:
            del self._held[next(iter(self._held))]


@dataclass(eq=False)
class _Request:
    """What a thread waits for: `scored` or an `error`."""

    card: Card
    examples: Sequence[Example]
    exact: bool
    whether_cut: bool  # is asked
    features: bool  # as well
    progress: "Progress | None" = None
    truncated: Sequence[bool] = ()
    scored: "Scored | None" = None
    error: Exception | None = None

    @property
    def served(self) -> bool:
        return self.scored is not None or self.error is not None

    @property
    def kind(self) -> "tuple[Card, bool, bool, bool, Progress | None]":
        """One pass serves requests of one kind."""
        return self.card, self.exact, self.whether_cut, self.features, self.progress
