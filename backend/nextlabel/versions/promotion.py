"""What a person decides about versions: which one is meant, and that it becomes the active one."""

from nextlabel.errors import NotPossibleError, NoVersionError
from nextlabel.store.jobs import JobQueue
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry


def named(registry: Registry, project: int, name: str) -> str:
    """The one version of this name or number. Raises `NoVersionError` when there is none, or more than one."""
    cards = registry.cards(project)
    found = [card.version for card in cards if name in (card.version, str(card.number))]
    if len(found) != 1:
        known = ", ".join(card.version for card in cards)
        raise NoVersionError(
            f"Project {project} has {len(found)} versions that {name!r} names: give one of {known} in full."
        )
    return found[0]


def roll_back(registry: Registry, jobs: JobQueue, project: int) -> str:
    """Make the version active that was so before the present one; returns it. Raises `NoVersionError` when there is
    none, `NoModelError` when it is damaged, `NotPossibleError` when an audit keeps the present one in force."""
    _require_no_audit(registry, project)
    version = registry.roll_back(project)
    if version is None:
        raise NoVersionError(
            f"Project {project} has no intact version before {registry.current(project)}: promote one that `list` "
            "shows."
        )
    jobs.hint(project)
    return version


def promote(registry: Registry, jobs: JobQueue, project: int, version: str) -> None:
    """Make a version the active one and have the trainer bring the queue into its order. Raises `NoModelError` when it
    is damaged, `NotPossibleError` when an audit keeps the present one in force; then nothing has changed."""
    _require_no_audit(registry, project)
    registry.verify(project, version)
    registry.promote(project, version)
    jobs.hint(project)


def _require_no_audit(registry: Registry, project: int) -> None:
    """Its certificate is of the version that it holds, and the queue follows no other one until it is stopped."""
    if Audits(registry.root.parent).holds(project):
        raise NotPossibleError(
            f"An audit of project {project} keeps its version in force. Let others follow with `nextlabel certificate "
            f"stop --project {project}`, then choose one."
        )
