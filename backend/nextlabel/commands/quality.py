"""Says how good a version is, by the control set: tasks that were drawn at random and that nothing is learnt from.

Reads the local copy in MODEL_DIR and the version's weights, with the same environment (.env) as the backend, and asks
Label Studio nothing. docs/quality.md explains every figure.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

from nextlabel.commands._common import new_parser, print_table
from nextlabel.errors import BadSettingError
from nextlabel.labelstudio import notices
from nextlabel.loop.controlling import control_texts
from nextlabel.loop.judging import judged, to_judge
from nextlabel.loop.sync import config_as_read
from nextlabel.problems import quality_words
from nextlabel.problems.form import answered
from nextlabel.problems.judgement import Judgement
from nextlabel.settings import Settings, load_settings
from nextlabel.store.pool import Pool, pool_path
from nextlabel.versions import promotion
from nextlabel.versions.judging import said_of
from nextlabel.versions.registry import Registry


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, judge, print."""
    parser = new_parser("nextlabel quality", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument(
        "--version", help="name or number of the version, with its newest head (default: the active one)"
    )
    parser.add_argument("--json", action="store_true", help="all numbers, as under /api/projects/ID/quality")
    options = parser.parse_args(arguments)
    settings = load_settings()
    registry = Registry(settings.model_dir)
    judgement = _judged(settings, registry, options.project, options.version)
    if options.json:
        print(json.dumps({"id": options.project, **asdict(judgement)}, indent=1, ensure_ascii=False))
        return
    own = registry.options(options.project)
    none = notices.no_control_set(options.project, has_seed=bool(own.control_seed)).text
    said = quality_words.sentences(judgement, own.control_first, project=options.project)
    for sentence in said or [none]:
        print(sentence)
    for one in quality_words.each(judgement):
        if one.figures and one.sample.answered:
            if one.question:
                print(f"{one.question}:")
            print_table([quality_words.HEADER, *quality_words.rows(one.figures)])


def _judged(settings: Settings, registry: Registry, project: int, name: str | None) -> Judgement:
    path, options = pool_path(settings.model_dir, project), registry.options(project)
    if not path.exists():
        raise BadSettingError(
            f"MODEL_DIR={settings.model_dir} holds no copy of project {project}, but projects {registry.projects()}. "
            "Set MODEL_DIR to the backend's, and --project to the number in its address."
        )
    version = promotion.named(registry, project, name) if name else registry.current(project)
    with Pool(path) as pool:
        config = config_as_read(pool, settings, options)
        texts = control_texts(pool, answered(config.question))
        examples = pool.examples(to_judge(pool, texts))
        said = said_of(settings, registry, project, version, examples) if version else None
        return judged(pool, config, texts, said)
