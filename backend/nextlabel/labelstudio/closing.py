"""Closes tasks that nobody needs to label, copies of labelled ones, and opens them again. Keeps no list of them.

Label Studio itself closes no task without an answer or a skip: so they are found again.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.registration import find_backend
from nextlabel.labelstudio.tasks import read_task
from nextlabel.store.pool import Pool
from nextlabel.values.options import NO_OPTIONS, ProjectOptions


def close_copies(studio: LabelStudioClient, project: int, dry_run: bool = False) -> list[int]:
    """Have Label Studio serve no copies of labelled texts any more; returns the ids of those that it served."""
    with _read(studio, project) as (pool, config):
        found = pool.copies_of_labelled(config.question)
    return _changed(studio, found, served=False, dry_run=dry_run)


def open_copies(studio: LabelStudioClient, project: int, dry_run: bool = False) -> list[int]:
    """Have it serve again the copies of other tasks that are closed without an answer; returns their ids."""
    with _read(studio, project) as (pool, _):
        found = pool.closed_copies()
    return _changed(studio, found, served=True, dry_run=dry_run)


@contextmanager
def _read(studio: LabelStudioClient, project: int) -> Iterator[tuple[Pool, LabelConfig]]:
    """The project as it is now, in a copy that is thrown away."""
    backend = find_backend(studio, project)
    options = ProjectOptions.of(backend.extra_params) if backend else NO_OPTIONS
    config = parse_label_config(studio.project(project).label_config, options)
    with TemporaryDirectory() as directory, Pool(Path(directory) / "project.sqlite") as pool:
        for page in studio.tasks_after(project, 0):
            pool.upsert(read_task(config, task) for task in page)
        yield pool, config


def _changed(studio: LabelStudioClient, task_ids: Iterable[int], served: bool, dry_run: bool) -> list[int]:
    return [task_id for task_id in sorted(task_ids) if dry_run or studio.serve_task(task_id, served)]
