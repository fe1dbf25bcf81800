"""Takes a project's results away: the classifier, the labels of all tasks, the records.

--out DIR        a version with its newest head as a checkpoint that plain transformers loads, with a model card
--labels PATH    the label of every task, people's or the machine's: a .csv, .jsonl or .parquet file, or a directory
                 with all three
--archive DIR    answers of people, options, cards, audits
--summary DIR    a page for whoever paid, as HTML and Markdown
--everything DIR all of it, in directories of their own

Reads MODEL_DIR, with the same environment (.env) as the backend, while that works on. Ids of your own (--id-field),
options (--archive) and hours (--summary) are asked of Label Studio. docs/leaving.md says what is in each file.
"""

import argparse
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from nextlabel.commands._common import new_parser, owner_of, owner_options, studio_from_settings
from nextlabel.errors import BadSettingError
from nextlabel.loop.leaving import source_of, write_archive, write_checkpoint, write_labels, write_summary
from nextlabel.settings import Settings, load_settings
from nextlabel.versions.exporting import Source, require_empty
from nextlabel.versions.label_files import FORMATS, format_of, formats
from nextlabel.versions.registry import Registry


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and export."""
    options = _options(arguments)
    owner = owner_of(options)
    settings = load_settings()
    registry = Registry(settings.model_dir)
    source = source_of(settings, registry, options.project, options.version, options.audited)
    _require_free(options)
    if options.out:
        write_checkpoint(settings, registry, source, options.out, owner)
        print(f"wrote {source.name} to {options.out}; its card is {options.out / 'README.md'}")
    if options.labels:
        _write_labels(settings, registry, source, options)
    now = datetime.now(timezone.utc)
    if options.summary:
        write_summary(settings, registry, source, options.summary, studio_from_settings(), f"{now:%Y-%m-%d}")
        print(f"wrote a page for whoever paid to {options.summary / 'summary.html'}")
    if options.archive:
        answers = write_archive(settings, studio_from_settings(), options.project, options.archive, now)
        print(f"wrote {answers} answers of people and the records of the project to {options.archive}")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = new_parser("nextlabel export", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", help="name or number of the version (default: the active one)")
    which.add_argument("--audited", action="store_true", help="the version or head that the last audit froze")
    parser.add_argument("--out", type=Path, metavar="DIR", help="a directory that does not exist yet")
    parser.add_argument("--labels", type=Path, metavar="PATH", help="a file, or a directory that does not exist yet")
    parser.add_argument("--archive", type=Path, metavar="DIR", help="a directory that does not exist yet")
    parser.add_argument("--summary", type=Path, metavar="DIR", help="a directory that does not exist yet")
    parser.add_argument("--everything", type=Path, metavar="DIR", help="the same for all of them")
    parser.add_argument(
        "--id-field", action="append", default=[], metavar="FIELD", help="a field of the tasks' data, as a column"
    )
    owner_options(parser)
    options = parser.parse_args(arguments)
    if options.everything:
        for name, place in (("out", "model"), *((name, name) for name in ("labels", "archive", "summary"))):
            setattr(options, name, getattr(options, name) or options.everything / place)
    if not any((options.out, options.labels, options.archive, options.summary)):
        parser.error("nothing is asked for: give --out, --labels, --archive, --summary or --everything")
    options.id_field = list(dict.fromkeys(options.id_field))
    return options


def _require_free(options: argparse.Namespace) -> None:
    """Before hours are spent on what cannot be written."""
    for directory in (options.out, options.archive, options.summary):
        if directory:
            require_empty(directory)
    if options.labels and options.labels.suffix:
        format_of(options.labels)
    elif options.labels:
        require_empty(options.labels)
    places = [place for place in (options.out, options.labels, options.archive, options.summary) if place]
    if len(set(places)) < len(places):
        raise BadSettingError(f"Two of {', '.join(map(str, places))} are the same. Give each a place of its own.")


def _write_labels(settings: Settings, registry: Registry, source: Source, options: argparse.Namespace) -> None:
    studio = studio_from_settings() if options.id_field else None
    written = write_labels(settings, registry, source, options.labels, options.id_field, studio)
    unread = f"; {written.unread} tasks cannot be read and are not in it" if written.unread else ""
    print(f"wrote the labels of {written.rows} tasks to {options.labels} ({', '.join(written.files)}){unread}")
    if not options.labels.suffix and formats() != FORMATS:
        print("There is no Parquet file, as that needs the package pyarrow: in the checkout, pip install '.[export]'.")
