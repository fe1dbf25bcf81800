"""What Label Studio tells a backend: which events it must hear of, and what their bodies name. No I/O."""

import re
from collections.abc import Mapping
from typing import Any

from nextlabel.errors import BadRequestError

# Label Studio's names of the events that a backend must hear of (label_studio/webhooks/models.py).
WEBHOOK_ACTIONS = (
    "ANNOTATION_CREATED",
    "ANNOTATIONS_CREATED",
    "ANNOTATION_UPDATED",
    "ANNOTATIONS_DELETED",
    "TASKS_CREATED",
    "TASKS_DELETED",
    "PROJECT_UPDATED",
)


def project_id_of(value: object) -> int:
    """The numeric id in `17`, `"17"` or Label Studio's `"17.1795444751"` (id and creation time).

    Raises `BadRequestError` for anything else, a number with a fraction among it: 1.2e16 would begin like project 1.
    """
    known = isinstance(value, (int, str)) and not isinstance(value, bool)
    found = re.fullmatch(r"([0-9]{1,18})(\.[0-9]+)?", str(value)) if known else None  # a 64-bit database key
    if found is None:
        raise BadRequestError(f"project={str(value)[:40]!r} is not a Label Studio project id such as '17.1795444751'.")
    return int(found[1])


def project_in(event: Mapping[str, Any]) -> int:
    """The project that an event is about: its id, or the project as an object. Raises `BadRequestError`."""
    raw = event.get("project")
    return project_id_of(raw.get("id") if isinstance(raw, Mapping) else raw)


def task_ids_in(event: Mapping[str, Any]) -> list[int]:
    """The ids of the tasks that an event names; of anything else nothing."""
    tasks = event.get("tasks")
    ids = [task.get("id") for task in tasks if isinstance(task, Mapping)] if isinstance(tasks, list) else []
    return [i for i in ids if isinstance(i, int) and not isinstance(i, bool) and 0 <= i < 2**63]


def model_version_in(event: Mapping[str, Any]) -> object:
    """The model version that the event's project follows; None when it does not say."""
    project = event.get("project")
    return project.get("model_version") if isinstance(project, Mapping) else None
