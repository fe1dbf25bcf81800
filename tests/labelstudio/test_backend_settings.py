"""Where an option has its value from: what the backend says counts, not the environment of whoever asks."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from nextlabel.labelstudio.backend_settings import in_force
from nextlabel.settings import Settings, without_own
from nextlabel.values.options import LATEST, ProjectOptions

URL = "http://user:secret@backend:9090/"
OPTIONS = ProjectOptions(own={"window": 64}, defaults=LATEST)


def settings(home: Path, **changes: Any) -> Settings:
    return Settings(_env_file=None, model_dir=home, **changes)


def test_what_is_not_the_projects_own_is_as_the_backend_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, here = settings(tmp_path, fit_every=7, window=9), settings(tmp_path, fit_every=1000, head="off")
    asked = list[str]()

    def get(url: str, **_: object) -> httpx.Response:
        asked.append(url)
        said = {"otherwise": asdict(without_own(there, OPTIONS))}
        return httpx.Response(200, json=said, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    lines = in_force(here, OPTIONS, 7, URL)
    assert asked == ["http://user:secret@backend:9090/api/projects/7"]
    assert {"window=64 (project)", "fit_every=7 (environment of the backend)", "head=on (built in)"} <= set(lines)


def test_a_project_that_was_connected_just_now_is_not_known_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx, "get", lambda url, **_: httpx.Response(404, request=httpx.Request("GET", url)))
    why, *_ = in_force(settings(tmp_path), OPTIONS, 7, URL)
    assert why.endswith(
        "the backend at http://********@backend:9090/ does not know project 7 yet. Ask again in a moment."
    )


@pytest.mark.parametrize("answer", [httpx.Response(401), httpx.Response(200, json={"settings": {}}), None])
def test_where_the_backend_cannot_be_asked_that_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: httpx.Response | None
) -> None:
    def get(url: str, **_: object) -> httpx.Response:
        if answer is None:
            raise httpx.ConnectError("refused")
        answer.request = httpx.Request("GET", url)
        return answer

    monkeypatch.setattr(httpx, "get", get)
    why, *lines = in_force(settings(tmp_path, fit_every=1000), OPTIONS, 7, URL)
    assert "as the backend at http://********@backend:9090/ cannot be asked from here" in why
    assert ("secret" in why, "--backend-url" in why) == (False, True)
    assert {"window=64 (project)", "fit_every=1000 (environment of this shell)"} <= set(lines)
    assert "head=on (built in, unless the backend's environment differs)" in lines
