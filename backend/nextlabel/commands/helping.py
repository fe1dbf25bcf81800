"""Says whether the order helps, and what the next labels may bring.

What is measured comes from the control set, and late; the forecast replays the project on the model's own view of its
texts, and comes early. Reads the local copy in MODEL_DIR and the version's weights, with the same environment (.env) as
the backend, and asks Label Studio nothing. docs/quality.md explains every sentence.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

from nextlabel.commands._common import new_parser
from nextlabel.errors import NoModelError
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.fitting import recipe_of
from nextlabel.loop.helping import asked_of, look
from nextlabel.model.tokens import TokenCache
from nextlabel.problems.helping import Helping
from nextlabel.problems.helping_words import sentences
from nextlabel.settings import Settings, for_project, load_settings
from nextlabel.store.pool import Pool, pool_path, tokens_path
from nextlabel.store.status import StatusBoard
from nextlabel.values.options import NO_OPTIONS
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, look, print, and say it on the page."""
    parser = new_parser("nextlabel helping", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument(
        "--question", default="", metavar="NAME", help="of a form this one alone, which the page is not told"
    )
    parser.add_argument("--json", action="store_true", help="all numbers, as in /api/projects/ID")
    options = parser.parse_args(arguments)
    settings = load_settings()
    found = look_at(settings, options.project, options.question)
    if not options.question:
        StatusBoard(settings.model_dir).put_helping(options.project, found)
    if options.json:
        print(json.dumps({"id": options.project, **asdict(found)}, indent=1, ensure_ascii=False))
        return
    for sentence in sentences(found):
        print(sentence)


def look_at(settings: Settings, project: int, question: str = "") -> Helping:
    """What can be told of a project now, of a form of one question or of all. Raises `NoModelError` when it has no
    version yet."""
    registry = Registry(settings.model_dir)
    version, path = registry.current(project), pool_path(settings.model_dir, project)
    if version is None or not path.exists():
        raise NoModelError(
            f"Project {project} has no version yet, of {registry.projects()}: label on until the first fit."
        )
    resident = LoadedVersions(settings, registry, 2)
    recipe = recipe_of(settings, settings.seed, for_project(settings, NO_OPTIONS), 0)
    embedder = Embedder(recipe, resident, lambda number: TokenCache(tokens_path(settings.model_dir, number)))
    with Pool(path) as pool:
        board, card = StatusBoard(settings.model_dir), registry.card(project, version)
        asked = asked_of(settings, registry, board, pool, card, question=question)
        return look(asked, registry, resident, embedder)
