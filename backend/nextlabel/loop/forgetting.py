"""Forgets a project: no file of it is left in MODEL_DIR. Refuses one that is connected, or that a trainer works on."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from nextlabel.errors import BadSettingError, InUseError, NextlabelError, PoolError, without_password
from nextlabel.labelstudio.client import LabelStudioClient, StudioRefusedError
from nextlabel.loop.ownership import whose
from nextlabel.settings import Settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import ProjectState
from nextlabel.store.traces import erase, traces
from nextlabel.versions.audits import Audits
from nextlabel.versions.endings import Endings
from nextlabel.versions.registry import Registry

PATIENCE_S = 5.0  # with a trainer that looks whether the project is still connected
AT_WORK = (
    "{}.queue",
    "fit.{}",
    "start.{}",
    "score.{}",
    "card.{}",
    "history.{}",
    "helping.{}",
)  # locks that a trainer holds


def what_goes(settings: Settings, studio: LabelStudioClient, project: int) -> str:
    """What there is to forget, and whether Label Studio does not know the project: then nobody can tell whether it is
    connected. Raises `BadSettingError` when there is nothing, `StudioError` when Label Studio cannot be asked."""
    if not _files(settings.model_dir, project):
        raise BadSettingError(
            f"MODEL_DIR={settings.model_dir} holds nothing of project {project}, but projects "
            f"{Registry(settings.model_dir).projects()}. Set MODEL_DIR to the backend's, and --project to the number "
            "in its address."
        )
    versions = len(Registry(settings.model_dir).versions(project))
    audits = Audits(settings.model_dir).next_number(project) - 1
    lost = "; no certificate of it can be verified any more" if audits else ""
    lost += "; what was written at its end can not be taken back" if Endings(settings.model_dir).holds(project) else ""
    unknown = "" if is_there(studio, project) else f". {not_there(studio, project)}"
    return f"{versions} versions and {audits} audits of project {project}{lost}{unknown}"


def is_there(studio: LabelStudioClient, project: int) -> bool:
    """Whether Label Studio has the project, as far as the account may see."""
    try:
        studio.project(project, with_counts=False)
    except StudioRefusedError as error:
        if error.code != 404:
            raise
        return False
    return True


def not_there(studio: LabelStudioClient, project: int) -> str:
    """That it has not, or not any more, and what else may be wrong."""
    return (
        f"Label Studio at {without_password(studio.url)} does not have project {project} (any more), or shows it to "
        "others only: if it should be there, correct LABEL_STUDIO_URL or LABEL_STUDIO_API_KEY"
    )


def forget(settings: Settings, studio: LabelStudioClient, jobs: JobQueue, project: int) -> None:
    """Delete every file of the project. Killed half-way, it can be run again.

    Raises `InUseError` before anything is touched when the project is connected or a trainer is at work on it;
    `StudioError` when Label Studio cannot be asked; `NextlabelError` when a file cannot be deleted.
    """
    with taken(settings.model_dir, project):
        _require_disconnected(settings.model_dir, studio, project)
        jobs.drop(project)
        try:
            erase(_files(settings.model_dir, project))
        except OSError as error:
            raise NextlabelError(
                f"Not all of project {project} is deleted ({error}). Mend that, and run it again."
            ) from None


@contextmanager
def taken(model_dir: Path, project: int, names: Sequence[str] = AT_WORK) -> Iterator[None]:
    """While no trainer works on the project, or does what takes these locks. Raises `InUseError` when one does not make
    room."""
    with ExitStack() as held:
        try:
            for name in names:
                held.enter_context(lock(model_dir, name.format(project)).acquire(timeout=PATIENCE_S))
        except LockHeld:
            raise InUseError(
                f"A trainer is at work on project {project}. Stop it, or try again when it is done: the page at the "
                "backend's address says what it does."
            ) from None
        yield


def _require_disconnected(model_dir: Path, studio: LabelStudioClient, project: int) -> None:
    """Once another backend has taken the project over, what is here is of no use to it."""
    if not is_there(studio, project):
        return
    ours, _ = whose(studio, Registry(model_dir), project, _known_at(model_dir, project))
    if ours is not None:
        raise InUseError(
            f"Project {project} is still connected with {without_password(ours.url)}. Run `nextlabel connect "
            f"--project {project} --disconnect` first. (If that is a backend with another MODEL_DIR by now, have it "
            "run, so that Label Studio reaches it: then this goes ahead, and the project stays connected with it.)"
        )


def _known_at(model_dir: Path, project: int) -> str:
    """Where our backend was when the project was looked at last; empty when that is not known."""
    path = pool_path(model_dir, project)
    if not path.exists():
        return ""
    with suppress(PoolError), Pool(path) as pool:
        return pool.state(ProjectState).backend_url
    return ""


def _files(model_dir: Path, project: int) -> list[Path]:
    """Versions last but for the locks: while they are there, the project is known, and what was cut short is seen."""
    homes = (Audits(model_dir).home(project), Registry(model_dir).home(project))
    found = [*traces(model_dir, project), *(home for home in homes if home.exists())]
    return sorted(found, key=lambda path: path.parent.name == "locks")
