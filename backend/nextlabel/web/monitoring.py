"""Prometheus metrics: what the web process counts itself, and what the trainer says on the status board."""

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nextlabel import __version__
from nextlabel.problems.advice import KEYS
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard
from nextlabel.store.summary import STATES, summary_of
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

OF_QUEUE: Mapping[str, str] = MappingProxyType(  # gauges, named as in `QueueStatus`
    {
        "tasks": "Tasks of the project that can be read",
        "labels": "Labelled tasks that a fit would use",
        "pending": "Labels that the newest version has not seen",
        "control": "Labelled tasks of the control set, of which nothing is learnt",
        "outside": "Labels on tasks that the queue did not offer",
        "pool": "Open tasks in the pool",
        "window": "Published queue head, in tasks",
        "held": "Tasks that wait for a near-copy of theirs",
        "unscored": "Tasks of the pool that have no place in the queue yet",
    }
)
OTHER_GAUGES: Mapping[str, str] = MappingProxyType(
    {
        "fit_due": "1 while a fit is due, else 0",
        "fit_failures_in_a_row": "Failed fits since the last one that came to its end",
        "audit_running": "1 while an audit has the queue for itself, else 0",
        "switch_seconds": "From the start of publishing to the last switch of the queue",
        "trainer_timestamp_seconds": "When a trainer last said something of the project, in seconds since 1970",
        "version_timestamp_seconds": "When the active version was made, in seconds since 1970",
        "holdout_score": "Combined holdout score, 0 to 1",
        "control_accuracy": "Share of right answers to tasks of the control set, of what the queue follows",
        "control_accuracy_low": "The lower limit of its 95 % interval",
        "control_accuracy_high": "The upper limit of its 95 % interval",
    }
)
HELPING: Mapping[str, str] = MappingProxyType(  # as the last planned look found
    {
        "helping_gain": "Gain in accuracy of 64 labels of the order over random ones, as measured",
        "helping_error": "The standard error of that gain",
        "helping_found": "1 once the order was found to help, else 0",
        "forecast_gain": "Gain in accuracy over random sampling, as a replay in the version's own view forecasts it",
        "next_labels_change": "By how much as many labels as the last ones will hardly change the accuracy more",
        "helping_timestamp_seconds": "When that was found out, in seconds since 1970",
    }
)
OF_QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "question_accuracy": "Share of right answers to tasks of the control set, of a question of a form",
        "question_accuracy_low": "The lower limit of its 95 % interval",
        "question_accuracy_high": "The upper limit of its 95 % interval",
    }
)
COUNTERS: Mapping[str, str] = MappingProxyType(
    {
        "fits": "Finished fits",
        "fits_refused": "Finished fits whose version was not promoted",
        "fit_failures": "Failed fits",
        "reconciles": "Looks at a project, failed ones included",
        "reconcile_errors": "Failed reconciles",
        "label_studio_failures": "Reconciles that failed as Label Studio did not answer",
    }
)
Sample: TypeAlias = tuple[str, float]  # a name of those above, and its value


class Metrics:
    """What this process counts, and a collector that reads the rest at each scrape."""

    def __init__(self, settings: Settings, registry: Registry, board: StatusBoard, jobs: JobQueue):
        self.collector, self._registry = CollectorRegistry(), registry
        self._webhooks = Counter(
            "nextlabel_project_webhook_events", "Webhook events of a known project", ["project"], registry=None
        )
        self.collector.register(_TrainerCollector(settings, registry, board, jobs))
        self.collector.register(_OfKnownProjects(registry, self._webhooks))
        Info("nextlabel", "The release of the web process", registry=self.collector).info({"version": __version__})
        self.predictions = Counter(
            "nextlabel_predictions", "Tasks answered by /predict", ["kind"], registry=self.collector
        )
        self.seconds = Histogram("nextlabel_request_seconds", "Seconds per request", ["route"], registry=self.collector)
        self.events = Counter("nextlabel_webhook_events", "Webhook events", ["action"], registry=self.collector)
        self.errors = Counter(
            "nextlabel_web_errors", "Requests answered with an error", ["status"], registry=self.collector
        )

    def note_webhook(self, project: int) -> None:
        """One came. Those of projects that anybody may have made up add no series."""
        if self._registry.knows(project):
            self._webhooks.labels(project).inc()


class _OfKnownProjects(Collector):
    """A counter with a series for each project from the first scrape on, so that a rise from 0 can be seen."""

    def __init__(self, registry: Registry, counter: Counter):
        self._registry, self._counter = registry, counter

    def collect(self) -> Iterator[Metric]:
        for project in self._registry.projects():
            self._counter.labels(project)
        yield from self._counter.collect()


class _TrainerCollector(Collector):
    def __init__(self, settings: Settings, registry: Registry, board: StatusBoard, jobs: JobQueue):
        self._settings, self._registry, self._board, self._jobs = settings, registry, board, jobs
        self._audits = Audits(settings.model_dir)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {
            **{name: _gauge(name, text, "project") for name, text in {**OF_QUEUE, **OTHER_GAUGES, **HELPING}.items()},
            **{
                name: CounterMetricFamily(f"nextlabel_{name}", text, labels=["project"])
                for name, text in COUNTERS.items()
            },
        }
        states = _gauge("project_state", "1 for the state that the project is in, else 0", "project", "state")
        advice = _gauge("advice", "1 for the key of what to do next, 0 for all others", "project", "key")
        questions = {name: _gauge(name, text, "project", "question") for name, text in OF_QUESTIONS.items()}
        for project in self._registry.projects():
            for name, value in self._samples(project):
                families[name].add_metric([str(project)], value)
            state = self._state(project)
            for known in STATES:
                states.add_metric([str(project), known], known == state)
            if given := self._board.advice(project).key:
                for key in KEYS:
                    advice.add_metric([str(project), key], key == given)
            for name, question, value in self._by_question(project):
                questions[name].add_metric([str(project), question], value)
        waiting = _gauge("jobs_waiting", "Jobs that the trainer has not begun")
        waiting.add_metric([], self._jobs.waiting())
        yield from (*families.values(), states, advice, *questions.values(), waiting, *self._traffic())

    def _state(self, project: int) -> str:
        settings = self._settings
        return summary_of(self._board, project, settings.base_model, time.time(), settings.reconcile_s).state

    def _samples(self, project: int) -> Iterator[Sample]:
        queue, fit = self._board.queue(project), self._board.fit(project)
        yield from ((name, getattr(queue, name)) for name in OF_QUEUE)
        yield "fit_due", bool(queue.due)
        yield "fit_failures_in_a_row", fit.failures_in_a_row
        yield "audit_running", self._audits.runs(project)
        yield "switch_seconds", queue.publish_seconds
        if seen := max(queue.at, fit.at):
            yield "trainer_timestamp_seconds", seen
        counts = (fit.fits, fit.refused, fit.failures, queue.reconciles, queue.errors, queue.unanswered)
        yield from zip(COUNTERS, counts, strict=True)
        yield from self._accuracy(project)
        yield from self._helping(project)
        yield from self._active(project)

    def _accuracy(self, project: int) -> Iterator[Sample]:
        """The share and its limits; nothing while nothing is known."""
        figures = self._board.quality(project).figures
        if figures is not None and figures.accuracy.value is not None:
            yield "control_accuracy", figures.accuracy.value
            yield "control_accuracy_low", figures.accuracy.interval.low
            yield "control_accuracy_high", figures.accuracy.interval.high

    def _helping(self, project: int) -> Iterator[Sample]:
        """What is known of it; nothing while nobody has asked."""
        found = self._board.helping(project)
        changed = found.next_labels.changed
        values = (
            found.measured.gain,
            found.measured.error,
            float(found.measured.helps),
            found.forecast.gain,
            None if changed is None else changed / 2,
            found.at,
        )
        if found.at:
            yield from ((name, value) for name, value in zip(HELPING, values, strict=True) if value is not None)

    def _by_question(self, project: int) -> Iterator[tuple[str, str, float]]:
        """The same of each question of a form."""
        for one in self._board.quality(project).questions:
            if one.figures and one.figures.accuracy.value is not None:
                yield "question_accuracy", one.question, one.figures.accuracy.value
                yield "question_accuracy_low", one.question, one.figures.accuracy.interval.low
                yield "question_accuracy_high", one.question, one.figures.accuracy.interval.high

    def _active(self, project: int) -> Iterator[Sample]:
        version = self._registry.current(project)
        if version is None:
            return
        card = self._registry.card(project, version)
        if card.created_at:
            yield "version_timestamp_seconds", datetime.fromisoformat(card.created_at).timestamp()
        if card.scores:
            yield "holdout_score", card.scores["combined"]

    def _traffic(self) -> tuple[Metric, Metric]:
        traffic = self._board.traffic()
        requests = CounterMetricFamily("nextlabel_label_studio_requests", "Requests of the trainer to Label Studio")
        requests.add_metric([], traffic.requests)
        bodies = CounterMetricFamily(
            "nextlabel_label_studio_bytes", "Bytes of bodies, to and from Label Studio", labels=["direction"]
        )
        bodies.add_metric(["sent"], traffic.sent)
        bodies.add_metric(["received"], traffic.received)
        return requests, bodies


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"nextlabel_{name}", text, labels=labels)
