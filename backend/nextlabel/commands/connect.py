"""Connects a Label Studio project to the backend, or disconnects it. Run again, it changes nothing."""

import argparse
from collections.abc import Sequence
from dataclasses import replace

from nextlabel.commands._common import show, studio_from_settings, whole_number
from nextlabel.errors import RefusedConfigError
from nextlabel.labelstudio.client import LabelStudioClient, MLBackend
from nextlabel.labelstudio.connection import Credentials, Plan, connect, disconnect, plan, what_is_read
from nextlabel.labelstudio.project_options import alone
from nextlabel.labelstudio.registration import extra_of, find_backend, registrations
from nextlabel.processes import keep_few_kernels, share_cores
from nextlabel.settings import Settings, changes, for_project, load_settings
from nextlabel.values.options import ProjectOptions


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, and connect, disconnect or say what connecting does."""
    options = _options(arguments)
    settings, studio = load_settings(), studio_from_settings()
    if options.disconnect:
        with alone(settings, options.project):
            done = disconnect(studio, options.project, options.backend_url or "", tell=show)
    else:
        fields = None if options.fields is None else tuple(filter(None, map(str.strip, options.fields.split(","))))
        registered = registrations(studio, options.project)
        known = registered[0] if registered else None
        url = options.backend_url or (known.url if known else f"http://localhost:{settings.port}")
        credentials, mapped = Credentials.of(settings), dict(options.map_label)
        ignored = None if options.ignore_label is None else list(filter(None, options.ignore_label))
        wanted = (options.show_predictions, fields, mapped, ignored, options.holdout)
        if options.preview:
            done = _preview(settings, studio, credentials, plan(studio, options.project, url, *wanted))
        else:
            with alone(settings, options.project):
                done = connect(studio, options.project, url, credentials, *wanted)
            done += today(settings, as_kept(registered), find_backend(studio, options.project))
            done = [*(done or ["nothing to change"]), *what_is_read(studio, options.project)]
    for what in done or ["nothing to change"]:
        print(f"project {options.project}: {what}")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nextlabel connect", description=__doc__)
    parser.add_argument("--project", type=int, required=True, help="id of the project: the number in its address")
    parser.add_argument(
        "--backend-url", help="where Label Studio reaches the backend (default: as before, else http://localhost:PORT)"
    )
    parser.add_argument(
        "--show-predictions",
        action=argparse.BooleanOptionalAction,
        help="show the model's guesses to annotators (default: as before; a new project hides them)",
    )
    parser.add_argument(
        "--fields",
        metavar="A[,B]",
        help="the fields, one to eight, that make the text, in this order; empty: what the labelling config shows",
    )
    parser.add_argument(
        "--map-label",
        action="append",
        type=mapping,
        default=[],
        metavar="OLD=NEW",
        help="learn annotations that say OLD as NEW, changing nothing in Label Studio; an empty NEW undoes it",
    )
    parser.add_argument(
        "--ignore-label",
        action="append",
        metavar="LABEL",
        help="learn nothing of tasks with this label, which is no class then; may be repeated, and takes the place of "
        "those given before; empty: ignore none",
    )
    parser.add_argument(
        "--holdout",
        type=whole_number,
        metavar="N",
        help="have N tasks labelled first that are drawn at random and tell how good each version is; nothing is ever "
        "learnt from them (default: as before; without it one label in ten is such a one)",
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--disconnect",
        action="store_true",
        help="undo the connection, wherever the backend is; the project's options go with it (nextlabel backup first)",
    )
    either.add_argument(
        "--preview", action="store_true", help="change nothing, and say what connecting changes, takes and costs"
    )
    return parser.parse_args(arguments)


def _preview(settings: Settings, studio: LabelStudioClient, credentials: Credentials, found: Plan) -> list[str]:
    keep_few_kernels()  # as a trainer does
    share_cores(settings.workers)
    from nextlabel.loop.preview import preview

    then = found.backend and replace(found.backend, extra_params=found.extra)
    takes_over = today(settings, as_kept(found.registered), then)
    return ["nothing is changed", *preview(settings, studio, credentials, found, takes_over, show)]


def as_kept(registered: Sequence[MLBackend]) -> MLBackend | None:
    """One backend of several, with what is kept of all."""
    return replace(registered[0], extra_params=extra_of(registered)) if registered else None


def today(settings: Settings, before: MLBackend | None, after: MLBackend | None) -> list[str]:
    """What a project that was connected with an earlier release takes over of what is built in today."""
    if before is None or after is None:
        return []
    try:
        then = for_project(settings, ProjectOptions.of(before.extra_params))
    except RefusedConfigError:  # somebody had spoilt it, and it was mended
        return []
    now = for_project(settings, ProjectOptions.of(after.extra_params))
    return [f"takes over what is built in today: {change}" for change in changes(then, now)]


def mapping(text: str) -> tuple[str, str]:
    """An old label, which may hold an equals sign, and the one that it is learnt as."""
    old, equals, new = text.rpartition("=")
    if not equals or not old:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form OLD=NEW, such as pos=positive")
    return old, new
