"""What happens on a node of a cluster: a task is unpacked and computed. Knows no engine."""

import pickle
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nextlabel import __version__
from nextlabel.compute.tasks import Outcome, TaskLostError, Tell
from nextlabel.errors import NextlabelError, NoMemoryError

HELD = 4  # shared objects that a process keeps open


class FetchError(Exception):
    """What a task needs did not come to its node. That says nothing of the task."""


Fetch = Callable[[], Any]

_held: dict[str, Any] = {}


def perform(
    node: str, packed: bytes, fetches: Sequence[Fetch], threads: int, libraries: Mapping[str, str], tell: Tell
) -> bytes:
    """The pickled `Outcome` of a packed task: a failure is a value, too, as engines start again what raises. Raises
    `FetchError`.

    Threads are set here for each task: a process keeps those of the task before, and the last bits depend on them.
    """
    try:
        _require(node, libraries)
        _use_threads(threads)
        job, args, shared = pickle.loads(packed)
        objects = [_open(key, opener, fetch) for (key, opener), fetch in zip(shared, fetches, strict=True)]
        outcome = Outcome(node, job(tell, *objects, *args))
    except FetchError:
        raise
    except NextlabelError as error:
        outcome = Outcome(node, error=error)
    except MemoryError:
        outcome = Outcome(node, error=NoMemoryError(f"The memory of node {node} does not suffice."))
    except Exception as error:  # noqa: BLE001  said where it can be read
        last = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        outcome = Outcome(node, error=TaskLostError(f"A task failed on node {node}: {why}"))
    return pickle.dumps(outcome, protocol=5)


def _require(node: str, libraries: Mapping[str, str]) -> None:
    """Other releases give other bits, if they run at all."""
    here = versions()
    differing = [f"{name} {here[name]}, not {wanted}" for name, wanted in libraries.items() if here[name] != wanted]
    if differing:
        raise NextlabelError(
            f"Node {node} of the cluster has {', '.join(differing)}. Install the same releases on every node: "
            f"in a checkout of nextlabel {libraries['nextlabel']}, pip install '.[ray]'."
        )


def versions() -> dict[str, str]:
    """The releases that results depend on."""
    from nextlabel.model.classifier import package_versions

    return {"nextlabel": __version__, **package_versions()}


def _use_threads(threads: int) -> None:
    from nextlabel.model.devices import use_threads

    use_threads(threads)


def _open(key: str, opener: Callable[[Any], Any], fetch: Fetch) -> Any:
    found = _held.pop(key) if key in _held else opener(fetch())
    _held[key] = found
    while len(_held) > HELD:
        del _held[next(iter(_held))]
    return found
