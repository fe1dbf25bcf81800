"""The demo's simulated annotator. It has an account of its own, and gives way to the person beside it.

With the person's account both would be served the same task. With its own they still can be, on SQLite, when they ask
at the same moment: then the robot takes its annotation back.
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx

from nextlabel.lab.annotators import Answer, sign_up
from nextlabel.lab.importing import result_of
from nextlabel.lab.sandbox import LocalStudio

EMAIL = "robot@example.com"


class Robot:
    """Labels one task of a project after the other; the person is the account that Label Studio was started with."""

    def __init__(self, server: LocalStudio, project: int, gold: Callable[[dict[str, Any]], str]):
        own, person = token_of_robot(server), server.login.token
        self._studio, self._project, self._gold = server.connect(own), project, gold
        self._own, self._person = (
            httpx.Client(base_url=server.url, headers={"Authorization": f"Token {token}"}, timeout=60)
            for token in (own, person)
        )

    def answers(self) -> Iterator[Answer]:
        """What it labels, until nothing is left for it."""
        left: set[int] = set()
        while (task := self._studio.next_task(self._project)) is not None and task["id"] not in left:
            label = self._gold(task)
            annotation = self._studio.annotate(task["id"], result_of(label))
            if task["id"] in self._served_to_person():
                self._leave(task["id"], annotation)
                left.add(task["id"])
            else:
                yield Answer(task["id"], int(task["data"].get("row", task["id"])), label)

    def _served_to_person(self) -> set[int]:
        answer = self._person.get(f"/api/projects/{self._project}/label-stream-history/").raise_for_status()
        return {served["taskId"] for served in answer.json()}

    def _leave(self, task: int, annotation: int) -> None:
        """Take the annotation back, and have the task served to the robot last of all: a postponed one is."""
        self._own.delete(f"/api/annotations/{annotation}/").raise_for_status()
        postponed = {"result": [], "was_postponed": True, "lead_time": 0}
        self._own.post(f"/api/tasks/{task}/drafts", json=postponed).raise_for_status()


def token_of_robot(server: LocalStudio) -> str:
    """The token of the robot's account, which is made on first use."""
    path = server.data_dir / "robot-token"
    if not path.exists():
        token = sign_up(server, EMAIL)
        path.touch(mode=0o600)
        path.write_text(token)
    return path.read_text()
