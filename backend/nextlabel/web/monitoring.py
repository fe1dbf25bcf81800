"""Prometheus metrics: what the web process counts itself, and what the trainer says on the status board."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

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
        for project in self._registry.projects():
            queue, fit = self._board.queue(project), self._board.fit(project)
            for key, gauge in gauges.items():
                gauge.add_metric([str(project)], getattr(queue, key))
            counts = (fit.fits, fit.refused, fit.failures, queue.reconciles, queue.errors)
            for key, count in zip(COUNTERS, counts, strict=True):
                counters[key].add_metric([str(project)], count)
            for key, figure in zip(QUALITY, self._accuracy(project), strict=False):
                quality[key].add_metric([str(project)], figure)
            scores = self._scores(project)
            if scores:
                score.add_metric([str(project)], scores["combined"])
        waiting = GaugeMetricFamily("nextlabel_jobs_waiting", "Jobs that the trainer has not begun")
        waiting.add_metric([], self._jobs.waiting())
        yield from (*gauges.values(), *counters.values(), *quality.values(), score, waiting, *self._traffic())

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

    def _scores(self, project: int) -> dict[str, float] | None:
        version = self._registry.current(project)
        return self._registry.card(project, version).scores if version else None
