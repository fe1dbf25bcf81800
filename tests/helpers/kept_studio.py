"""A Label Studio in one file, which outlives whoever writes into it and is killed: tasks, predictions, the queue."""

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nextlabel.labelstudio.client import LabelStudioClient, MLBackend, Project, StudioRefusedError
from nextlabel.labelstudio.registration import TITLE
from nextlabel.values.queue import Published

PEOPLES, OURS = "nextlabel-3-20261129T100000", 1


class KeptStudio(LabelStudioClient):
    """What the account `who` sees of it. `before_write` is called before each change."""

    def __init__(self, path: Path, who: int = OURS, before_write: Callable[[], None] = lambda: None):
        super().__init__("http://127.0.0.1:9", "not asked")
        self._path, self._who, self._before_write = path, who, before_write
        self.is_connected = True

    def begin(self, tasks: Mapping[int, int]) -> None:
        """Tasks that are served and have so many annotations of people each, in the order of a version of ours."""
        rows = {
            str(task): {
                "is_labeled": False,
                "overlap": 1 + given,
                "annotations": [_annotation(7, n) for n in range(given)],
            }
            for task, given in tasks.items()
        }
        queue = {"model_version": PEOPLES, "show_collab_predictions": False}
        predictions = {str(task): {"task": task, "model_version": PEOPLES} for task in tasks}
        self._path.write_text(json.dumps({"tasks": rows, "predictions": predictions, "queue": queue, "last": 1000}))

    def ml_backends(self, project: int) -> list[MLBackend]:
        """Ours, as long as the project is connected."""
        ours = MLBackend(1, "http://127.0.0.1:9090", TITLE, PEOPLES, "Connected", "", {})
        return [ours] if self.is_connected else []

    @property
    def seen(self) -> dict[str, Any]:
        """All that a person sees, without ids that Label Studio gives."""
        kept = self._read_all()
        given = {
            task: [(a["completed_by"], a["result"]) for a in row["annotations"]] for task, row in kept["tasks"].items()
        }
        return {
            "served": sorted(task for task, row in kept["tasks"].items() if not row["is_labeled"]),
            "annotations": given,
            "predictions": sorted((p["task"], p["model_version"]) for p in kept["predictions"].values()),
            "queue": kept["queue"],
        }

    def _read_all(self) -> dict[str, Any]:
        return dict(json.loads(self._path.read_text()))

    def _change(self, change: Callable[[dict[str, Any]], None]) -> int:
        self._before_write()
        kept = self._read_all()
        kept["last"] += 1
        change(kept)
        self._path.write_text(json.dumps(kept))
        return int(kept["last"])

    def account(self) -> int:
        return self._who

    def project(self, project: int, with_counts: bool = True) -> Project:
        queue = self._read_all()["queue"]
        version, shown = queue["model_version"], queue["show_collab_predictions"]
        return Project(project, "", "", "", version, shown, 0, 0, False, False)

    def update_project(self, project: int, **fields: Any) -> None:
        wanted = fields.get("model_version")
        if wanted and wanted not in {p["model_version"] for p in self._read_all()["predictions"].values()}:
            raise StudioRefusedError("model_version has no predictions", 400)
        self._change(lambda kept: kept["queue"].update({**fields, "model_version": wanted or None}))

    def predictions_of(self, project: int, version: str) -> list[Published]:
        rows = self._read_all()["predictions"].items()
        return [
            Published(int(number), p["task"], version, 0.5, "") for number, p in rows if p["model_version"] == version
        ]

    def create_prediction(self, task_id: int, prediction: Mapping[str, Any]) -> int:
        made = {"task": task_id, "model_version": prediction["model_version"]}
        return self._change(lambda kept: kept["predictions"].update({str(kept["last"]): made}))

    def delete_prediction(self, prediction_id: int) -> None:
        def delete(kept: dict[str, Any]) -> None:
            version = kept["predictions"].pop(str(prediction_id))["model_version"]
            if kept["queue"]["model_version"] == version:
                kept["queue"]["model_version"] = None  # as Label Studio does

        self._change(delete)

    def task(self, task_id: int) -> dict[str, Any]:
        return dict(self._read_all()["tasks"][str(task_id)])

    def serve_task(self, task_id: int, served: bool) -> bool:
        self._change(lambda kept: kept["tasks"][str(task_id)].update(is_labeled=not served))
        return True

    def annotate_once(self, task_id: int, result: Sequence[Mapping[str, Any]], unique_id: str) -> None:
        def annotate(kept: dict[str, Any]) -> None:
            row = kept["tasks"][str(task_id)]
            if unique_id not in {a["unique_id"] for a in row["annotations"]}:
                row["annotations"].append(_annotation(self._who, kept["last"], list(result), unique_id))
            row["is_labeled"] = len(row["annotations"]) >= row["overlap"]

        self._change(annotate)

    def delete_annotation(self, annotation: int) -> None:
        def delete(kept: dict[str, Any]) -> None:
            for row in kept["tasks"].values():
                left = [a for a in row["annotations"] if a["id"] != annotation]
                if left != row["annotations"]:
                    row |= {"annotations": left, "is_labeled": len(left) >= row["overlap"]}

        self._change(delete)


def _annotation(
    who: int, number: int, result: list[Mapping[str, Any]] | None = None, unique: str = ""
) -> dict[str, Any]:
    return {"id": number, "completed_by": who, "result": result or [], "was_cancelled": False, "unique_id": unique}


def killed_before(step: int, work: Callable[[Callable[[], None]], object]) -> bool:
    """Do the work in a process of its own, which SIGKILL ends when the work tells of its n-th step, from 1; returns
    whether it was ended so, and not by itself."""
    child = os.fork()
    if not child:
        left = step

        def tell() -> None:
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            work(tell)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), status
    return status == signal.SIGKILL
