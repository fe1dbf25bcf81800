"""Lists a project's versions, makes one active, goes back to the one before, or deletes old ones.

Works on MODEL_DIR, with the same environment (.env) as the backend. The trainer brings Label Studio's queue into the
order of the active version by itself; that version stays active until a fit gives one that is not clearly worse.
"""

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from nextlabel.commands._common import new_parser, print_table
from nextlabel.errors import BadSettingError
from nextlabel.settings import load_settings
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import QueueState
from nextlabel.values.versions import Card, is_audit, version_of
from nextlabel.versions import promotion
from nextlabel.versions.registry import Registry

HEADER = ("number", "version", "labels", "accuracy", "F1", "combined", "size", "age", "state")


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and do what it says."""
    options = _options(arguments)
    settings = load_settings()
    registry = Registry(settings.model_dir)
    if not registry.versions(options.project):
        raise BadSettingError(
            f"MODEL_DIR={settings.model_dir} holds no version of project {options.project}, but projects "
            f"{registry.projects()}. Set MODEL_DIR to the backend's, and --project to the number in its address."
        )
    if options.action == "list":
        print_table([HEADER, *(_row(registry, card) for card in registry.cards(options.project))])
    elif options.action == "prune":
        followed = _followed(settings.model_dir, options.project)
        for version in registry.prune(options.project, options.keep, followed) or ["nothing"]:
            print(f"deleted {version}")
    else:
        jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name)
        if options.action == "promote":
            version = promotion.named(registry, options.project, options.version)
            promotion.promote(registry, jobs, options.project, version)
        else:
            version = promotion.roll_back(registry, jobs, options.project)
        print(f"{version} is active; the trainer brings the queue into its order.")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = new_parser("nextlabel versions", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="every version, newest first")
    promote = actions.add_parser("promote", help="make a version active, a refused one too")
    promote.add_argument("version", help="its name or its number")
    actions.add_parser("rollback", help="make the version active that was so before this one")
    prune = actions.add_parser(
        "prune", help="delete all but the newest versions, the active one, and the one in the queue"
    )
    prune.add_argument("--keep", type=_positive, required=True, metavar="N", help="how many of the newest to keep")
    return parser.parse_args(arguments)


def _followed(model_dir: Path, project: int) -> str:
    """The version whose order the queue is in, or was before the audit that it holds, as far as is known here: its last
    head may know labels that no other one knows yet."""
    path = pool_path(model_dir, project)
    if not path.exists():
        return ""
    with Pool(path) as pool:
        queue = pool.state(QueueState)
    return version_of(queue.before if is_audit(queue.after) else queue.after)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of versions, at least 1")
    return int(text)


def _row(registry: Registry, card: Card) -> tuple[str, ...]:
    scores = [f"{card.scores[name]:.3f}" if card.scores else "-" for name in ("accuracy", "f1", "combined")]
    age_h = (datetime.now(timezone.utc) - datetime.fromisoformat(card.created_at)).total_seconds() / 3600
    return (
        str(card.number),
        card.version,
        card.fitted_on,
        *scores,
        f"{_bytes(registry.path(card.project, card.version)) / 2**20:.0f} MiB",
        f"{age_h:.1f} h" if age_h < 48 else f"{age_h / 24:.0f} days",
        _state(registry, card),
    )


def _state(registry: Registry, card: Card) -> str:
    damage = registry.damage(card.project, card.version)
    states = ["active"] if card.version == registry.current(card.project) else []
    states += [f"damaged: {damage}"] if damage else []
    states += [f"refused, because {card.refused}"] if card.refused else [card.verdict] if card.verdict else []
    return "; ".join(states)


def _bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir())
