"""Has Label Studio ask about finished tasks again, and puts them back as they were. Keeps no list of them.

Whoever opens a task first notes it in the project's options, which Label Studio keeps with the ML backend: so it is
found again after any crash, without `MODEL_DIR` too.
"""

from collections.abc import Iterable, Mapping

from nextlabel.labelstudio.client import LabelStudioClient, Served


def finished(studio: LabelStudioClient, project: int, task_ids: Iterable[int]) -> dict[int, Served]:
    """Those of the tasks that have a label and that nobody is asked about any more, and how they are served."""
    found = ((task, studio.served(project, task)) for task in task_ids)
    return {task: served for task, served in found if served and served.finished and served.annotations}


def reopen(studio: LabelStudioClient, tasks: Mapping[int, Served]) -> None:
    """Have one more person asked about each. Label Studio closes a task by itself once that person has answered."""
    for task, served in tasks.items():
        studio.serve_to(task, served.annotations + 1, finished=False)


def put_back(studio: LabelStudioClient, project: int, people: Mapping[int, int]) -> list[int]:
    """Have as many people asked about each task as were before; returns those of which that was not so. A task that has
    lost its labels meanwhile is served as any other."""
    return [task for task, asked in people.items() if _put_back(studio, project, task, asked)]


def _put_back(studio: LabelStudioClient, project: int, task: int, people: int) -> bool:
    now = studio.served(project, task)
    if now is None or now == Served(people, now.annotations, now.annotations >= people):
        return False
    return studio.serve_to(task, people, finished=now.annotations >= people)
