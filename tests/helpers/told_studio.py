"""A Label Studio that says of every project what it was told to, for tests of what follows from that."""

from collections.abc import Mapping
from typing import Any

from nextlabel.labelstudio.client import LabelStudioClient, MLBackend, Project, StudioRefusedError


class Studio(LabelStudioClient):
    """Has no project, or one with such backends."""

    def __init__(self, *backends: MLBackend, there: bool = True):
        super().__init__("http://127.0.0.1:1", "not asked")
        self._backends, self._there = list(backends), there

    def project(self, project: int, with_counts: bool = True) -> Project:
        if not self._there:
            raise StudioRefusedError("Not found.", 404)
        return Project(project, "", "", "", None, False, 0, 0, False, False)

    def ml_backends(self, project: int) -> list[MLBackend]:
        return self._backends


def backend(extra_params: Mapping[str, Any], url: str = "http://host:9090") -> MLBackend:
    """One of ours, with such options."""
    return MLBackend(1, url, "Nextlabel", "", "Connected", "", extra_params)
