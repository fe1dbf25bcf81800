"""What the routes work with, made once for each application."""

import threading
from dataclasses import dataclass

from flask import current_app

from nextlabel.errors import NoProjectError
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.status import StatusBoard
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry
from nextlabel.web.documents import Documents
from nextlabel.web.monitoring import Metrics

EXTENSION = "nextlabel"  # of the Flask application
LOADED_VERSIONS = 2  # each a model in memory
NICENESS = 5  # of predictions: webhooks and Label Studio's requests on the same machine go first, fits come after them
MAX_PREDICTIONS = 12  # requests for predictions at a time


@dataclass(frozen=True)
class Services:
    """One of each. `places` are for requests for predictions."""

    settings: Settings
    registry: Registry
    board: StatusBoard
    jobs: JobQueue
    resident: LoadedVersions
    metrics: Metrics
    places: threading.BoundedSemaphore
    documents: Documents


def make_services(settings: Settings) -> Services:
    """Loads no model until the first prediction is asked for."""
    registry, board = Registry(settings.model_dir), StatusBoard(settings.model_dir)
    jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name)
    resident = LoadedVersions(settings, registry, LOADED_VERSIONS, niceness=NICENESS)
    metrics, places = Metrics(settings, registry, board, jobs), threading.BoundedSemaphore(MAX_PREDICTIONS)
    return Services(settings, registry, board, jobs, resident, metrics, places, Documents())


def services() -> Services:
    """Those of the application that answers the request."""
    found: Services = current_app.extensions[EXTENSION]
    return found


def check_known(project: int) -> None:
    """Raises `NoProjectError` when the project is not connected to this backend."""
    known = services().registry.projects()
    if project not in known:
        raise NoProjectError(
            f"No project {project} is connected to this backend, only {known}. Connect it with "
            f"`nextlabel connect --project {project}`."
        )
