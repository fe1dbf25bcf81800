"""Prometheus metrics: what the web process counts itself, and what the trainer says on the status board."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from nextlabel.problems.advice import KEYS
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard
from nextlabel.versions.registry import Registry

GAUGES = {
    "labels": "Labelled tasks that a fit would use",
    "pending": "Labels that the newest version has not seen",
    "control": "Labelled tasks of the control set, of which nothing is learnt",
    "pool": "Open tasks in the pool",
    "window": "Published queue head, in tasks",
}
QUALITY = {
    "control_accuracy": "Share of right answers to tasks of the control set, of what the queue follows",
    "control_accuracy_low": "The lower limit of its 95 % interval",
    "control_accuracy_high": "The upper limit of its 95 % interval",
}
HELPING = {
    "helping_gain": "Gain in accuracy of 64 labels of the order over random ones, as measured at the last planned look",
    "helping_error": "The standard error of that gain",
    "helping_found": "1 once a planned look found that the order helps, else 0",
    "forecast_gain": "Gain in accuracy over random sampling, as a replay in the version's own view forecasts it",
    "next_labels_change": "By how much as many labels as the last ones will hardly change the accuracy more",
    "helping_asked_seconds": "When that was found out, in seconds since 1970",
}
COUNTERS = {
    "fits": "Finished fits",
    "fits_refused": "Finished fits whose version was not promoted",
    "fit_failures": "Failed fits",
    "reconciles": "Looks at a project, failed ones included",
    "reconcile_errors": "Failed reconciles",
}


class Metrics:
    """What this process counts, and a collector that reads the rest at each scrape."""

    def __init__(self, registry: Registry, board: StatusBoard, jobs: JobQueue):
        self.collector = CollectorRegistry()
        self.predictions = Counter(
            "nextlabel_predictions", "Tasks answered by /predict", ["kind"], registry=self.collector
        )
        self.seconds = Histogram("nextlabel_request_seconds", "Seconds per request", ["route"], registry=self.collector)
        self.events = Counter("nextlabel_webhook_events", "Webhook events", ["action"], registry=self.collector)
        self.errors = Counter(
            "nextlabel_web_errors", "Requests answered with an error", ["status"], registry=self.collector
        )
        self.collector.register(_TrainerCollector(registry, board, jobs))


class _TrainerCollector(Collector):
    def __init__(self, registry: Registry, board: StatusBoard, jobs: JobQueue):
        self._registry, self._board, self._jobs = registry, board, jobs

    def collect(self) -> Iterator[Metric]:
        gauges = {key: GaugeMetricFamily(f"nextlabel_{key}", text, labels=["project"]) for key, text in GAUGES.items()}
        counters = {
            key: CounterMetricFamily(f"nextlabel_{key}", text, labels=["project"]) for key, text in COUNTERS.items()
        }
        score = GaugeMetricFamily("nextlabel_holdout_score", "Combined holdout score, 0 to 1", labels=["project"])
        quality = {
            key: GaugeMetricFamily(f"nextlabel_{key}", text, labels=["project"]) for key, text in QUALITY.items()
        }
        helping = {
            key: GaugeMetricFamily(f"nextlabel_{key}", text, labels=["project"]) for key, text in HELPING.items()
        }
        advice = GaugeMetricFamily(
            "nextlabel_advice", "1 for the key of what to do next, 0 for all others", labels=["project", "key"]
        )
        for project in self._registry.projects():
            queue, fit = self._board.queue(project), self._board.fit(project)
            for key, gauge in gauges.items():
                gauge.add_metric([str(project)], getattr(queue, key))
            counts = (fit.fits, fit.refused, fit.failures, queue.reconciles, queue.errors)
            for key, count in zip(COUNTERS, counts, strict=True):
                counters[key].add_metric([str(project)], count)
            for key, figure in zip(QUALITY, self._accuracy(project), strict=False):
                quality[key].add_metric([str(project)], figure)
            for key, found in zip(HELPING, self._helping(project), strict=False):
                if found is not None:
                    helping[key].add_metric([str(project)], found)
            given = self._board.advice(project).key
            for key in KEYS if given else ():
                advice.add_metric([str(project), key], float(key == given))
            scores = self._scores(project)
            if scores:
                score.add_metric([str(project)], scores["combined"])
        waiting = GaugeMetricFamily("nextlabel_jobs_waiting", "Jobs that the trainer has not begun")
        waiting.add_metric([], self._jobs.waiting())
        told = (*gauges.values(), *counters.values(), *quality.values(), *helping.values(), advice, score, waiting)
        yield from (*told, *self._traffic())

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

    def _accuracy(self, project: int) -> tuple[float, ...]:
        """The share and its limits; nothing while nothing is known."""
        figures = self._board.quality(project).figures
        if figures is None or figures.accuracy.value is None:
            return ()
        return figures.accuracy.value, *figures.accuracy.interval

    def _helping(self, project: int) -> tuple[float | None, ...]:
        """As `HELPING` names them, None for what is not known; nothing while nobody has asked."""
        found = self._board.helping(project)
        if not found.at:
            return ()
        changed = found.next_labels.changed
        return (
            found.measured.gain,
            found.measured.error,
            float(found.measured.helps),
            found.forecast.gain,
            None if changed is None else changed / 2,
            found.at,
        )

    def _scores(self, project: int) -> dict[str, float] | None:
        version = self._registry.current(project)
        return self._registry.card(project, version).scores if version else None
