"""The background process: works on the job queue and keeps the clock. Never serves requests.

There may be several on one queue and one MODEL_DIR; one of them keeps the clock.
"""

import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING

from nextlabel.errors import QueueError, RefusedConfigError
from nextlabel.processes import (
    keep_few_kernels,
    lower_priority,
    share_cores,
    share_heaps,
    without_collecting,
    yield_cores_while_waiting,
)
from nextlabel.settings import Settings, for_project
from nextlabel.store.jobs import JobQueue, Worker
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.status import StatusBoard
from nextlabel.versions.registry import Registry

if TYPE_CHECKING:
    from nextlabel.loop.controller import Controller

log = logging.getLogger(__name__)

THREADS = 4  # a fit may have one for minutes, a first order one beside it; the others keep the queues topped up
SCHEDULE_S = 0.25  # how often delayed jobs are looked for
NICENESS = 5  # of the look at the base checkpoint: projects go first
SHORTEST_S = 1.0  # between two ticks, whatever a project asks for
TAKE_OVER_S = 1.0  # how often a trainer without the clock asks whether its keeper is gone


def run_trainer(settings: Settings, number: int = 0) -> None:
    """Work until SIGTERM or SIGINT. A fit in progress is given up; the next start finds that it is still due.

    `number` counts the trainers of this machine from 0, `settings.workers` of them: each has its share of the cores.
    """
    yield_cores_while_waiting()
    keep_few_kernels()
    share_heaps()
    share_cores(settings.workers)
    with without_collecting():  # here, as they import torch, which must find all that is set above
        from nextlabel.labelstudio.client import LabelStudioClient
        from nextlabel.loop.controller import Controller

    settings = _with_own_device(settings, number)
    registry = Registry(settings.model_dir)
    studio = LabelStudioClient(str(settings.label_studio_url), settings.label_studio_api_key.get_secret_value())
    jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name, patient=True)
    controller = Controller(settings, registry, StatusBoard(settings.model_dir), studio, jobs)
    controller.say_interrupted()
    threading.Thread(target=_look_at_base_model, args=(controller,), daemon=True).start()
    work_off(settings, registry, jobs, controller)
    log.info("trainer stopped")
    logging.shutdown()
    # A fit in a worker thread would hold up the interpreter's exit for minutes; nothing of it needs saving.
    os._exit(0)


def _look_at_base_model(controller: "Controller") -> None:
    """Long before the first fit, so that people hear of it while they set things up."""
    lower_priority(NICENESS)
    controller.look_at_base_model()


def work_off(settings: Settings, registry: Registry, jobs: JobQueue, worker: Worker) -> None:
    """Have `worker` do the jobs, and keep the clock if nobody does, until SIGTERM or SIGINT."""
    jobs.assign(worker)
    stop = threading.Event()
    threading.Thread(target=_keep_clock, args=(settings, registry, jobs, stop), daemon=True).start()
    workers = THREADS + (settings.compute_fits if settings.ray_address else 0)  # each waits for a fit elsewhere
    consumer = jobs.huey.create_consumer(workers=workers, periodic=False, initial_delay=0.05, max_delay=0.2)
    consumer.scheduler.interval = SCHEDULE_S  # as an argument, huey makes it a second at least
    log.info("trainer ready, process %d", os.getpid())
    consumer.run()
    stop.set()


def _with_own_device(settings: Settings, number: int) -> Settings:
    if settings.workers == 1 or settings.device not in ("auto", "cuda"):
        return settings
    from nextlabel.model.devices import device_of_trainer  # imports torch

    return settings.model_copy(update={"device": device_of_trainer(settings.device, number)})


def _keep_clock(settings: Settings, registry: Registry, jobs: JobQueue, stop: threading.Event) -> None:
    """Keep the clock for all trainers, or wait until its keeper is gone: the lock dies with its holder."""
    while not stop.is_set():
        try:
            with lock(settings.model_dir, "clock"):
                log.info("keeping the clock")
                with contextlib.suppress(QueueError):  # then the marks of lost jobs wait until they are overdue
                    jobs.restart()
                _tick(settings, registry, jobs, stop)
        except LockHeld:
            stop.wait(TAKE_OVER_S)
        except Exception:  # such as a full disk; nothing must stop the clock
            log.exception("the clock cannot be kept")
            stop.wait(TAKE_OVER_S)


def _tick(settings: Settings, registry: Registry, jobs: JobQueue, stop: threading.Event) -> None:
    while True:
        pause_s = min(settings.reconcile_s, settings.fit_max_wait_s)
        try:
            for project in registry.projects():
                jobs.hint(project, thorough=True)
                pause_s = min(pause_s, max(SHORTEST_S, _max_wait_s(settings, registry, project)))
        except QueueError as error:
            log.warning("the clock missed a tick: %s", error)
        except Exception:  # such as a full disk; nothing must stop the clock
            log.exception("the clock missed a tick")
        if stop.wait(pause_s):
            return


def _max_wait_s(settings: Settings, registry: Registry, project: int) -> float:
    try:
        return for_project(settings, registry.options(project)).fit_max_wait_s
    except RefusedConfigError:  # the page says so
        return settings.fit_max_wait_s
