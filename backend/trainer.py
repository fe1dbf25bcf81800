"""The background process: works on the job queue and keeps the clock. Never serves requests."""

import logging
import os
import threading

from backend.jobs import JobQueue
from backend.processes import yield_cores_while_waiting
from backend.registry import Registry
from backend.settings import Settings
from backend.status import StatusBoard

log = logging.getLogger(__name__)

THREADS = 3  # one may be busy with a fit for minutes; the others keep the queues topped up
NICENESS = 10  # annotators' requests to a Label Studio on the same machine go first


def run_trainer(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT. A fit in progress is given up; the next start finds that it is still due."""
    from backend.controller import Controller
    from backend.studio import Studio

    os.nice(NICENESS)
    yield_cores_while_waiting()
    registry = Registry(settings.model_dir)
    studio = Studio(str(settings.label_studio_url), settings.label_studio_api_key.get_secret_value())
    controller = Controller(settings, registry, StatusBoard(settings.model_dir), studio)
    controller.jobs.restart()
    stop = threading.Event()
    threading.Thread(target=_tick, args=(settings, registry, controller.jobs, stop), daemon=True).start()
    consumer = controller.jobs.huey.create_consumer(
        workers=THREADS, periodic=False, initial_delay=0.05, max_delay=0.5, scheduler_interval=1
    )
    log.info("trainer ready, process %d", os.getpid())
    consumer.run()
    stop.set()
    log.info("trainer stopped")
    logging.shutdown()
    # A fit in a worker thread would hold up the interpreter's exit for minutes; nothing of it needs saving.
    os._exit(0)


def _tick(settings: Settings, registry: Registry, jobs: JobQueue, stop: threading.Event) -> None:
    while True:
        try:
            for project in registry.projects():
                jobs.hint(project, thorough=True)
        except Exception:  # a locked queue file or a full disk must not stop the clock
            log.exception("the clock missed a tick")
        if stop.wait(min(settings.reconcile_s, settings.fit_max_wait_s)):
            return
