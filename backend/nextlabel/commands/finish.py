"""Ends a project: writes the machine's labels into Label Studio as predictions for review, and closes the rest.

With --as-annotations --yes-really they become annotations of the account of LABEL_STUDIO_ROBOT_API_KEY instead. Either
way the trainer leaves the project alone from then on, and --undo has it be as it was. What is interrupted is gone on
with when it is run again. What people gave is never touched. Run it with the backend's environment (.env).
"""

import argparse
import sys
from collections.abc import Sequence

from tqdm import tqdm

from nextlabel.commands._common import agreed, new_parser, studio_from_settings
from nextlabel.errors import BadSettingError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.loop.ending import Finisher, Planned, Wish
from nextlabel.loop.leaving import judgement_of, source_of
from nextlabel.problems.quality_words import how_good
from nextlabel.settings import Settings, load_settings
from nextlabel.store.jobs import JobQueue
from nextlabel.versions.endings import ANNOTATE, CLOSE, PREDICT, WRITING
from nextlabel.versions.registry import Registry


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, end the project, go on with that, or take it back; the exit code is 1 when it is not
    wanted after all."""
    options = _options(arguments)
    settings = load_settings()
    registry, studio = Registry(settings.model_dir), studio_from_settings()
    jobs = JobQueue(settings.model_dir, settings.queue_url.get_secret_value(), settings.queue_name)
    finisher = Finisher(settings, registry, studio, jobs, options.project, _robot(settings))
    if options.undo:
        return _undo(finisher, options)
    under_way = finisher.under_way()
    if under_way is None or under_way.state != WRITING:
        source = source_of(settings, registry, options.project, options.version, options.audited or options.certified)
        wish = Wish(
            annotations=options.as_annotations,
            certified=options.certified,
            at_least=options.at_least,
            close_rest=not options.keep_open,
            anyway=options.anyway,
        )
        planned = finisher.plan(source, wish)
        print(described(planned, wish))
        if planned.count(PREDICT) + planned.count(ANNOTATE):
            for sentence in how_good(judgement_of(settings, registry, source)):
                print(sentence)
        if options.dry_run or not _wanted(studio, planned, options):
            return 0 if options.dry_run else 1
        finisher.begin(planned, wish)
    else:
        if options.dry_run:
            print(f"What was begun at {under_way.begun_at} would be gone on with.")
            return 0
        print(f"Going on with what was begun at {under_way.begun_at}.")
    with tqdm(desc="tasks", disable=not sys.stderr.isatty()) as bar:
        passed = finisher.go_on(lambda done: bar.update())
    others = f" {passed} tasks had been answered meanwhile, or are gone, and were left alone." if passed else ""
    print(f"Project {options.project} has ended.{others} --undo takes it back.")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = new_parser("nextlabel finish", __doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--undo", action="store_true", help="have the project be as it was before")
    what.add_argument("--dry-run", action="store_true", help="write nothing, only say what would be")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--version", help="name or number of the version, with its newest head (default: the active one)"
    )
    which.add_argument("--audited", action="store_true", help="the version or head that the last audit froze")
    which.add_argument("--certified", action="store_true", help="the same, and only labels that are certified")
    parser.add_argument(
        "--at-least", type=_share, default=0.0, metavar="P", help="only labels of at least this probability"
    )
    parser.add_argument("--keep-open", action="store_true", help="close nothing")
    parser.add_argument("--as-annotations", action="store_true", help="not as predictions; goes with --yes-really")
    parser.add_argument("--yes-really", action="store_true", help="annotations that no person gave are meant")
    parser.add_argument("--anyway", action="store_true", help="though people are labelling or a version is fitted")
    parser.add_argument("--yes", action="store_true", help="do not ask; of annotations it is asked all the same")
    options = parser.parse_args(arguments)
    if options.as_annotations != options.yes_really:
        parser.error("--as-annotations and --yes-really go together: other software takes annotations for people's")
    return options


def _share(text: str) -> float:
    try:
        if 0 <= float(text) <= 1:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no probability from 0 to 1, such as 0.95")


def _robot(settings: Settings) -> LabelStudioClient | None:
    key = settings.label_studio_robot_api_key.get_secret_value()
    return LabelStudioClient(str(settings.label_studio_url), key) if key else None


def described(planned: Planned, wish: Wish) -> str:
    """What would be done, in words."""
    kind = f"annotations of account {planned.ending.account}" if wish.annotations else "predictions"
    count = planned.count(ANNOTATE if wish.annotations else PREDICT)
    return (
        f"{count} labels that {planned.ending.name} gives, {planned.ending.which}, become {kind} in project "
        f"{planned.ending.project}; {planned.count(CLOSE)} tasks are closed without a label, {planned.left} stay open. "
        "The trainer then leaves the project alone."
    )


def _wanted(studio: LabelStudioClient, planned: Planned, options: argparse.Namespace) -> bool:
    if not options.as_annotations:
        return agreed("This can be taken back with --undo.", options.yes)
    title = studio.project(planned.ending.project, with_counts=False).title
    print("Annotations count as people's for all other software. Type the title of the project to go on: ", end="")
    sys.stdout.flush()
    if sys.stdin.readline().strip() == title.strip():
        return True
    raise BadSettingError(f"That is not the title, {title!r}. Nothing was written.")


def _undo(finisher: Finisher, options: argparse.Namespace) -> int:
    finisher.require_ending()
    if not agreed(f"All that was written at the end of project {options.project} is taken away.", options.yes):
        return 1
    with tqdm(desc="tasks", disable=not sys.stderr.isatty()) as bar:
        left = finisher.undo(lambda done: bar.update())
    others = f", but for {left} tasks that people have answered or changed since" if left else ""
    print(f"Project {options.project} is as it was{others}; the trainer goes on with it.")
    return 0
