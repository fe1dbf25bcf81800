"""Lists the labelled tasks that are worth a second look, with reasons and links; that is no verdict on anybody.

Reads what the trainer found last in MODEL_DIR, with the same environment (.env) as the backend, and asks Label Studio
nothing. docs/look-again.md explains it, and how a second person is asked about some of them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from nextlabel.commands._common import new_parser
from nextlabel.problems.look_again import OPEN, LookAgain, Suspect
from nextlabel.settings import load_settings
from nextlabel.store.status import StatusBoard


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, print."""
    parser = new_parser("nextlabel look-again", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument("--json", action="store_true", help="all that is known of the tasks")
    options = parser.parse_args(arguments)
    settings = load_settings()
    found = StatusBoard(settings.model_dir).look_again(options.project)
    if options.json:
        print(json.dumps({"id": options.project, **asdict(found)}, indent=1, ensure_ascii=False))
        return
    for line in lines(found, f"{str(settings.label_studio_url).rstrip('/')}/projects/{options.project}/data?task="):
        print(line)


def lines(found: LookAgain, link: str) -> Iterator[str]:
    """In words; `link` leads to a task once its id follows."""
    if not found.tasks:
        yield "No label is worth a second look" if found.at else "Labels have not been looked at yet"
    for suspect in found.tasks:
        yield from _of_task(suspect, link)
    if found.on:
        yield f"open again for a second person: {found.open} of at most {found.most_open}"
        outcomes = f"{found.confirmed} confirmed, {found.changed} changed, {found.kept} kept against their answer"
        yield f"answered by a second person: {outcomes}"
    if found.why:
        yield f"nothing {'more of the list ' if found.open else ''}is opened: {found.why}"


def _of_task(suspect: Suspect, link: str) -> Iterator[str]:
    state = ", open again" if suspect.state == OPEN else ""
    yield f"task {suspect.task}, labelled {suspect.label!r}, doubt {suspect.doubt:.2f}{state}  {link}{suspect.task}"
    for reason in suspect.reasons:
        yield f"  {reason}"
