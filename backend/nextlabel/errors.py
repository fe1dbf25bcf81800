"""What is raised on purpose: every message names the thing, the value and the remedy."""

import re
from collections.abc import Iterator
from contextlib import contextmanager


def without_password(text: object) -> str:
    """The text with `user:password@` and `?password=` of any URL in it masked, for logs, pages and messages."""
    masked = re.sub(r"//[^/@\s]*@", "//********@", str(text))
    return re.sub(r"([?&]\w*password=)[^&\s]*", r"\1********", masked)


def with_project(sentence: str, project: int) -> str:
    """The sentence with the number of the project in commands that whoever wrote it did not know the number for."""
    return sentence.replace("--project ID", f"--project {project}")


class NextlabelError(Exception):
    """Base of all deliberate errors. `status` is the HTTP status a web route answers with."""

    status = 500


class BadSettingError(NextlabelError):
    """A setting in the environment or in `.env` has an impossible value."""


class MissingPackageError(NextlabelError):
    """Something was asked for that needs a package of an extra, and the package is not installed."""


@contextmanager
def of_extra(extra: str, what: str) -> Iterator[None]:
    """Around the import of a package of `extra`, which `what` needs. Raises `MissingPackageError`, which names both."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{what} needs the package {error.name}, which is not installed: in the checkout, pip install '.[{extra}]' "
            f"or pip install -r requirements/{extra}.txt."
        ) from None


def of_missing(error: ImportError) -> str:
    """What to do about a package that every command, or this one, needs. Raises the error itself when it is our own."""
    if (error.name or "").partition(".")[0] == "nextlabel":
        raise error
    what = f"The package {error.name} is not installed" if isinstance(error, ModuleNotFoundError) else f"{error}"
    return (
        f"{what}. In the checkout scripts/setup makes an environment, .venv, with all that nextlabel needs, and "
        ".venv/bin/python runs the scripts; pip install '.[lab,simulation]' there installs it into another environment."
    )


class BadRequestError(NextlabelError):
    """A request body that is not what Label Studio's ML backend protocol sends."""

    status = 400


class RefusedConfigError(NextlabelError):
    """A labelling config that this backend cannot serve; nothing is wrong with the server."""

    status = 422


class NoProjectError(NextlabelError):
    """A project that is not connected to this backend."""

    status = 404


class NoModelError(NextlabelError):
    """A base checkpoint or a saved version that cannot be loaded."""


class NotAllowedError(NextlabelError):
    """Somebody asked for what is not for them, or a page of another server did in their name."""

    status = 403


class NotPossibleError(NextlabelError):
    """What somebody asked for on the page cannot be done as the project is; nothing is wrong with the server."""

    status = 409


class NoVersionError(NextlabelError):
    """A project has no version of that name, or none to go back to."""

    status = 404


class NoMemoryError(NextlabelError):
    """The memory of the device does not suffice, even for one text at a time."""

    status = 503


class NotEnoughLabelsError(NextlabelError):
    """A fit was asked for before there was anything to learn from."""


class DivergedError(NextlabelError):
    """A fit that ended in numbers that are none."""


class StudioError(NextlabelError):
    """Label Studio refused a request or did not answer."""

    status = 502


class IncompleteImportError(StudioError):
    """An import that came to an end before the project held everything."""


class WrongProjectError(NextlabelError):
    """A project that holds something else than what it was to be completed with; nothing is wrong with the server."""

    status = 409


class QueueError(NextlabelError):
    """The job queue cannot be used: its server did not answer or refused, its file is locked."""

    status = 503


class PoolError(NextlabelError):
    """The local copy of a project cannot be used: it is locked, damaged, or its disk is full."""


class InUseError(NextlabelError):
    """A project's files or options cannot be deleted or replaced now: it is connected, or somebody is at work on it."""

    status = 409


class BadBackupError(NextlabelError):
    """An archive that cannot be written, or that is none of `nextlabel backup`'s, damaged or dangerous."""


class BadCorpusError(NextlabelError):
    """A data file that is missing, damaged or not what it claims to be."""


class BadRunError(NextlabelError):
    """A simulation that cannot be played or read: its options, its directory or its records."""


class BadAuditError(NextlabelError):
    """An audit that cannot be planned or judged: its confidences, its number or its labels."""
