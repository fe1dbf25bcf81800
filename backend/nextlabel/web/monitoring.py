"""Prometheus metrics: what the web process counts itself, and what the trainer says on the status board."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import starmap
from types import MappingProxyType
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram, Info
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nextlabel import __version__
from nextlabel.problems.advice import KEYS
from nextlabel.problems.helping import change_at_most
from nextlabel.problems.intervals import Interval
from nextlabel.problems.judgement import tells
from nextlabel.problems.quality import Estimate
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard
from nextlabel.store.summary import STATES, summary_of
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry
from nextlabel.web.classes import tables

OF_QUEUE: Mapping[str, str] = MappingProxyType(  # gauges, named as in `QueueStatus`
    {
        "tasks": "Tasks of the project that can be read",
        "labels": "Labelled tasks that a fit would use",
        "pending": "Labels that the newest version has not seen",
        "control": "Labelled tasks of the control set, of which nothing is learnt",
        "holdout": "Labels of the holdout, of which nothing is learnt",
        "outside": "Labels on tasks that the queue did not offer",
        "left": "Tasks left to label, of the pool and of the control set",
        "pool": "Tasks left to label that are in the pool, whose labels are learnt",
        "window": "Tasks left to label that are published, so that they come next",
        "held": "Tasks that wait for a near-copy of theirs",
        "unscored": "Tasks of the pool that have no place in the queue yet",
    }
)
OTHER_GAUGES: Mapping[str, str] = MappingProxyType(
    {
        "fit_due": "1 while a fit is due, else 0",
        "fit_failures_in_a_row": "Failed fits since the last one that came to its end",
        "audit_running": "1 while an audit has the queue for itself, else 0",
        "audit_labels": "Labels of the last audit that count, unless it was given up",
        "audit_wrong": "Those of them that are others than the machine's; none while the audit runs",
        "audit_certified": "Tasks that the last audit certifies by the labels of now",
        "switch_seconds": "From the start of publishing to the last switch of the queue",
        "trainer_timestamp_seconds": "When a trainer last said something of the project, in seconds since 1970",
        "version_timestamp_seconds": "When the active version was made, in seconds since 1970",
        "holdout_score": "Combined holdout score, 0 to 1",
        "suspects": "Labels that are worth a second look",
        "reopened": "Labelled tasks that are open again for a second person",
        "labels_today": "Labels that people gave since midnight",
        "people_today": "People who gave a label since midnight",
        "label_seconds": "Seconds a label, the median of the last 200, where it is nobody's own speed",
    }
)
AUDIT = ("audit_labels", "audit_wrong", "audit_certified")
# Shares with the limits of their 95 % intervals. A figure is told where the page tells it, the limits from the first
# label on; as on the page, of a form they are about one question.
ESTIMATES: Mapping[str, str] = MappingProxyType(
    {
        "control_accuracy": "Share of right answers to tasks of the control set, of what the queue follows",
        "left_accuracy": "Share of right answers on what is left, without a label by a person",
        "macro_f1": "Mean F1 of all classes, by the control set",
        "overconfidence": "By how much it is surer than it is right, by the control set",
        "agreement": "Share of tasks drawn at random to which two people gave the same answer",
    }
)
OF_QUESTIONS: Mapping[str, str] = MappingProxyType(  # of a form, with the question as a label
    {"question_accuracy": "Share of right answers to tasks of the control set, of a question of a form"}
)
OF_CLASSES: Mapping[str, str] = MappingProxyType(  # with question and class as labels
    {"class_recall": "Of the texts of a class the share that is found, by the labels that judge"}
)
LIMITS = ("low", "high")
HELPING: Mapping[str, str] = MappingProxyType(  # as the last planned look found
    {
        "helping_gain": "Gain in accuracy of 64 labels of the order over random ones, as measured",
        "helping_error": "Standard error of nextlabel_helping_gain",
        "helping_found": "1 once the order was found to help, else 0",
        "forecast_gain": "Gain in accuracy over random sampling, as a replay in the version's own view forecasts it",
        "next_labels_change": "By how much as many labels as the last ones will hardly change the accuracy more",
        "helping_timestamp_seconds": "When it was last found out whether the order helps, in seconds since 1970",
    }
)
BY_QUESTION, BY_CLASS = ("question",), ("question", "class")
LABELLED: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(  # gauges with labels beside the project
    {
        "project_state": (("state",), "1 for the state that the project is in, else 0"),
        "advice": (("key",), "1 for the key of what to do next, 0 for all others"),
        "class_labels": (BY_CLASS, "Labels of a class that a fit would use"),
        "class_judging": (BY_CLASS, "Labels of a class that judge: of the control set or, without one, the holdout"),
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


class Sample(NamedTuple):
    """Of a project: a name of those above, its value and its other labels."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


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
        families = _families()
        for project in self._registry.projects():
            for name, value, labels in self._samples(project):
                families[name].add_metric([str(project), *labels], value)
        waiting = GaugeMetricFamily("nextlabel_jobs_waiting", "Jobs that the trainer has not begun")
        waiting.add_metric([], self._jobs.waiting())
        yield from (*families.values(), waiting, *self._traffic())

    def _samples(self, project: int) -> Iterator[Sample]:
        queue, fit = self._board.queue(project), self._board.fit(project)
        yield from (Sample(name, getattr(queue, name)) for name in OF_QUEUE)
        yield Sample("fit_due", bool(queue.due))
        yield Sample("fit_failures_in_a_row", fit.failures_in_a_row)
        yield Sample("audit_running", self._audits.runs(project))
        audit = self._board.certificate(project)
        values = (audit.labels, audit.wrong, audit.certified)
        yield from (Sample(name, value) for name, value in zip(AUDIT, values, strict=True) if value is not None)
        yield Sample("switch_seconds", queue.publish_seconds)
        if seen := max(queue.at, fit.at):
            yield Sample("trainer_timestamp_seconds", seen)
        counts = (fit.fits, fit.refused, fit.failures, queue.reconciles, queue.errors, queue.unanswered)
        yield from starmap(Sample, zip(COUNTERS, counts, strict=True))
        yield from self._state(project)
        yield from self._quality(project)
        yield from self._classes(project)
        yield from self._people(project)
        yield from self._helping(project)
        yield from self._active(project)

    def _state(self, project: int) -> Iterator[Sample]:
        base_model, reconcile_s = self._settings.base_model, self._settings.reconcile_s
        state = summary_of(self._board, project, base_model, time.time(), reconcile_s).state
        yield from (Sample("project_state", known == state, (known,)) for known in STATES)
        if given := self._board.advice(project).key:
            yield from (Sample("advice", key == given, (key,)) for key in KEYS)

    def _quality(self, project: int) -> Iterator[Sample]:
        """The shares and their limits; nothing while nothing is known."""
        judgement = self._board.quality(project)
        yield from _told("left_accuracy", judgement.left)
        if figures := judgement.figures:
            yield from _told("control_accuracy", figures.accuracy)
            yield from _told("macro_f1", figures.macro_f1)
            yield from _told("overconfidence", figures.calibration, tells(figures.accuracy))
        for one in judgement.questions:
            yield from _told("question_accuracy", one.figures.accuracy if one.figures else None, labels=(one.question,))

    def _classes(self, project: int) -> Iterator[Sample]:
        """All of them, also those that the page folds away."""
        queue, cards = self._board.queue(project), self._registry.cards(project)
        for table in tables(self._board.quality(project), cards, queue):
            for of_class, learnt in ((row.of_class, row.learnt) for row in table.rows):
                labels = (table.question, of_class.label)
                if learnt is not None:
                    yield Sample("class_labels", learnt, labels)
                yield Sample("class_judging", of_class.recall.examples, labels)
                yield from _told("class_recall", of_class.recall, told=True, labels=labels)

    def _people(self, project: int) -> Iterator[Sample]:
        """Of all people together, and what is worth a second look."""
        found, again = self._board.people(project), self._board.look_again(project)
        if found.at:
            yield Sample("labels_today", found.today.labels)
            yield Sample("people_today", found.today.people)
        if (pace_s := found.without_names.pace_s) is not None:
            yield Sample("label_seconds", pace_s)
        if alike := found.agreement:
            share = Estimate(alike.alike / alike.of, Interval(alike.low, alike.high), alike.of)
            yield from _told("agreement", share, told=True)
        if again.at:
            yield Sample("suspects", len(again.tasks))
            yield Sample("reopened", again.open)

    def _helping(self, project: int) -> Iterator[Sample]:
        """What is known of it; nothing while nobody has asked."""
        found = self._board.helping(project)
        changed = found.next_labels.changed
        values = (
            found.measured.gain,
            found.measured.error,
            float(found.measured.helps),
            found.forecast.gain,
            None if changed is None else change_at_most(changed),
            found.at,
        )
        if found.at:
            yield from (Sample(name, value) for name, value in zip(HELPING, values, strict=True) if value is not None)

    def _active(self, project: int) -> Iterator[Sample]:
        version = self._registry.current(project)
        if version is None:
            return
        card = self._registry.card(project, version)
        if card.created_at:
            yield Sample("version_timestamp_seconds", datetime.fromisoformat(card.created_at).timestamp())
        if card.scores:
            yield Sample("holdout_score", card.scores["combined"])

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


def _families() -> dict[str, GaugeMetricFamily | CounterMetricFamily]:
    """By the names above, without a sample."""
    estimates: Sequence[tuple[Mapping[str, str], tuple[str, ...]]] = (
        (ESTIMATES, ()),
        (OF_QUESTIONS, BY_QUESTION),
        (OF_CLASSES, BY_CLASS),
    )
    gauges = [
        *((name, (), text) for name, text in {**OF_QUEUE, **OTHER_GAUGES, **HELPING}.items()),
        *((name, labels, text) for name, (labels, text) in LABELLED.items()),
        *(
            one
            for named, labels in estimates
            for name, text in named.items()
            for one in _with_limits(name, labels, text)
        ),
    ]
    return {
        **{name: GaugeMetricFamily(f"nextlabel_{name}", text, labels=["project", *of]) for name, of, text in gauges},
        **{name: CounterMetricFamily(f"nextlabel_{name}", text, labels=["project"]) for name, text in COUNTERS.items()},
    }


def _with_limits(name: str, labels: tuple[str, ...], text: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    yield name, labels, text
    for limit, which in zip(LIMITS, ("lower", "upper"), strict=True):
        yield f"{name}_{limit}", labels, f"The {which} limit of its 95 % interval"


def _told(
    name: str, estimate: Estimate | None, told: bool | None = None, labels: tuple[str, ...] = ()
) -> Iterator[Sample]:
    """A figure, if it is `told` or, where that is not given, says enough; and its limits, from the first label on."""
    if estimate is None or not estimate.examples:
        return
    if estimate.value is not None and (tells(estimate) if told is None else told):
        yield Sample(name, estimate.value, labels)
    yield from (Sample(f"{name}_{limit}", getattr(estimate.interval, limit), labels) for limit in LIMITS)
