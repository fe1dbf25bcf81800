"""What holds for a project where it has no option of its own: as its running backend says, else as far as is known
here. A command is run in an environment that may be another than the backend's."""

import httpx

from nextlabel.errors import without_password
from nextlabel.labelstudio.connection import Credentials
from nextlabel.labelstudio.reaching import remedy_of
from nextlabel.settings import ProjectSettings, Settings, for_project, without_own
from nextlabel.values.options import OWN, ProjectOptions

THERE = {"environment": "environment of the backend", "built in": "built in"}
HERE = {"environment": "environment of this shell", "built in": "built in, unless the backend's environment differs"}
OTHER_ADDRESS = "Start it, or give --backend-url with an address at which it answers from here."


def in_force(settings: Settings, options: ProjectOptions, project: int, url: str) -> list[str]:
    """`name=value (source)` for each; before these, if the backend at `url` cannot be asked, why. Raises
    `RefusedConfigError` for impossible options."""
    own, why = for_project(settings, options), ""
    try:
        others, words = _asked(url, Credentials.of(settings), project), THERE
    except (httpx.HTTPError, OSError, ImportError, LookupError, TypeError, ValueError) as error:
        others, words, why = without_own(settings, options), HERE, _why(url, project, error)
    sources = {name: "project" if own.sources[name] == "project" else words[others.sources[name]] for name in OWN}
    values = {name: getattr(own if source == "project" else others, name) for name, source in sources.items()}
    return [*([why] if why else []), *ProjectSettings(**values, sources=sources).lines()]


def _asked(url: str, credentials: Credentials, project: int) -> ProjectSettings:
    answer = httpx.get(f"{url.rstrip('/')}/api/projects/{project}", headers=credentials.headers(), timeout=3)
    answer.raise_for_status()
    said = answer.json()["otherwise"]
    return ProjectSettings(**{name: said[name] for name in (*OWN, "sources")})


def _why(url: str, project: int, error: Exception) -> str:
    so = f"what is not the project's own is said as this shell knows it, as the backend at {without_password(url)}"
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == httpx.codes.NOT_FOUND:
        return f"{so} does not know project {project} yet. Ask again in a moment."
    reason = without_password(next(iter(str(error).splitlines()), type(error).__name__))
    return f"{so} cannot be asked from here ({reason}). {remedy_of(url, error, OTHER_ADDRESS)}"
