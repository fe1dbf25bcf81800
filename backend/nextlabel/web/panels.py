"""What the page of a project says, as one document of plain JSON. A section that there is nothing for is null.

Gathers what the trainer, the registry and the audits say; computes no figure, and asks Label Studio nothing.
"""

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timezone
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from nextlabel.errors import BadAuditError, RefusedConfigError, without_password
from nextlabel.labelstudio import notices
from nextlabel.problems import helping_words, quality_words
from nextlabel.problems.history import Point
from nextlabel.problems.judgement import WIDE, Judgement
from nextlabel.problems.quality import Estimate
from nextlabel.problems.random_line import random_line
from nextlabel.settings import ProjectSettings, for_project, without_own
from nextlabel.store import summary
from nextlabel.store.presses import ASKED, REFUSED, Press, Presses
from nextlabel.store.status import CertificateStatus
from nextlabel.store.texts import texts_of
from nextlabel.values.options import KEY, LATEST, NO_OPTIONS, OWN, ProjectOptions
from nextlabel.values.versions import Card, short_name
from nextlabel.versions.audits import Audits
from nextlabel.web import access, classes
from nextlabel.web.classes import Row, Table
from nextlabel.web.services import services

Json: TypeAlias = dict[str, Any]

MOST_CLASSES, FOLDED_CLASSES = 12, 100  # rows of the table of classes, and of the one that is folded below it
MOST_PRESSES = 8
NEWS_S = 600.0  # for so long a press that was refused stands beside the buttons
MOST_SUSPECTS = 10  # tasks worth a second look, before somebody asks for all
LONGEST_TEXT = 240  # characters of a task
TONES: Mapping[str, str] = {  # how a state is shown, by that of a plain one; others are quiet
    "published": "published",
    **dict.fromkeys(("reading", "publishing", "fitting", "fit due"), "fitting"),
    **dict.fromkeys(("silent", "failed", "refused", "overruled", "fit failed", "no fit possible"), "failed"),
}
PRESSED: Mapping[str, str] = {  # what stands on them, by action and what it is about
    "fit": "Fit now",
    "pause": "Pause",
    "resume": "Resume",
    "rollback": "Roll back",
    "take_defaults": "Take the new defaults",
    "show_names on": "Show names and speed",
    "show_names off": "Hide names and speed",
    "look_again on": "Ask a second person",
    "look_again off": "Ask nobody any more",
}
SEED = "control_seed"  # an option that is a secret of the backend
AUDIT_RUNS = (
    "Nothing is fitted while an audit of project {0} runs: label its tasks to the end, or give it up with `nextlabel "
    "certificate stop --project {0}`."
)
OF_PEOPLE = ("look_for", "leave_out")  # options that hold texts, or people's accounts
# Of a queue, what changes with each look at a project and no page says: a document must stay what it is meanwhile.
NOT_SAID = ("at", "reconciles", "errors", "unanswered", "publish_seconds", "stale")


def document(project: int, may_see: bool) -> Json:
    """All that the page says of a project; texts of tasks and accounts only where who asks `may_see` them."""
    board, registry = services().board, services().registry
    queue, options, judgement = board.queue(project), registry.options(project), board.quality(project)
    cards, history, own = registry.cards(project), history_of(project), settings_of(project)
    return {
        "id": project,
        "title": queue.title or "Project",
        "label_studio": data_manager(project),
        "state": state_of(project),
        "queue": _without(asdict(queue), NOT_SAID),
        "start": _without(asdict(board.start(project)), ("at",)),
        "control_share": own.control_share,
        "start_order": own.start_order,
        "defaults": {"own": options.defaults, "latest": LATEST},
        "quality": _quality(judgement, project, options.control_first),
        "classes": _classes(project, classes.tables(judgement, cards, queue)),
        "advice": _advice(project),
        "helping": _helping(project),
        "audit": audit_of(project),
        "history": history,
        "random": random_of(project),
        "next": _with_texts(next_of(project), project, may_see),
        "people": people_of(project),
        "look_again": suspects_of(project, may_see, MOST_SUSPECTS),
        "presses": _presses(project, may_see),
        "versions": _versions(project, cards, history or []),
        "options": _options(own, options, may_see),
    }


def overview() -> Json:
    """A line for each project."""
    return {"projects": [_line(project) for project in services().registry.projects()]}


def _line(project: int) -> Json:
    queue, state = services().board.queue(project), state_of(project)
    return {
        "id": project,
        "title": queue.title or "Project",
        "state": state["state"],
        "tone": state["tone"],
        "wrong": state["first"] or _why_failed(state),
        "labels": queue.labels,
        "pending": queue.pending,
        **_accuracies(services().board.quality(project)),
    }


def _why_failed(state: Json) -> str:
    return next(iter(state["sentences"]), "") if state["tone"] == "failed" else ""


def label_studio() -> str:
    """Its address, as a browser may see it."""
    return str(without_password(services().settings.label_studio_url)).rstrip("/")


def data_manager(project: int) -> str:
    """Where a project's tasks are there."""
    return f"{label_studio()}/projects/{project}/data"


# What the trainer puts on the board


def next_of(project: int) -> Json | None:
    """The tasks that come next and, for who may see texts, why each."""
    found = access.next_shown(project)
    return asdict(found) if found.at else None


def history_of(project: int) -> list[Json] | None:
    """What every version and head was, the oldest first, also of those that are deleted."""
    found = services().board.history(project)
    return [_point(point) for point in found.points] if found.at else None


def _point(point: Point) -> Json:
    return {**asdict(point), "accuracy": _estimate(point.accuracy), "macro_f1": _estimate(point.macro_f1)}


def random_of(project: int) -> list[Json]:
    """The accuracy of as many random labels, as far as that was measured or forecast."""
    board = services().board
    return [asdict(one) for one in random_line(board.helping(project), board.history(project).points)]


def _advice(project: int) -> Json | None:
    found = services().board.advice(project)
    return asdict(found) if found.key else None


def people_of(project: int) -> Json | None:
    """Who labels, how much, how fast and how alike."""
    found = access.people_shown(project)
    return _without(asdict(found), ("at",)) if found.at else None


def suspects_of(project: int, may_see: bool, most: int | None = None) -> Json | None:
    """Tasks whose label is worth a second look, the first `most` of those that are `listed`."""
    found = services().board.look_again(project)
    if not found.at:
        return None
    shown = {**asdict(replace(found, tasks=found.tasks[:most])), "listed": len(found.tasks)}
    return _with_texts(shown, project, may_see)


def _without(said: Json, names: Collection[str]) -> Json:
    return {name: value for name, value in said.items() if name not in names}


def _presses(project: int, may_see: bool) -> list[Json]:
    """What was pressed last, the newest first."""
    found = Presses(services().settings.model_dir).all(project)[:MOST_PRESSES]
    return [_press(press, may_see) for press in found]


def _press(press: Press, may_see: bool) -> Json:
    words = PRESSED.get(
        f"{press.action} {press.about}".strip(), f"{press.action.capitalize()} {short_name(press.about)}"
    )
    refused_lately = press.outcome == REFUSED and time.time() - press.at < NEWS_S
    about = {"button": words, "at": _time(press.at), "who": press.who if may_see else ""}
    return {**asdict(press), **about, "news": press.outcome == ASKED or refused_lately}


def paused(project: int) -> bool:
    """Whether fits rest because somebody wanted it, or soon will."""
    return bool(services().board.queue(project).paused or services().registry.options(project).pause)


def left_alone(project: int) -> str:
    """Why nothing becomes of a press, in words, as the project is disconnected or has ended; else empty."""
    found = summary_of(project)
    return " ".join(found.sentences) if found.state in summary.LEFT_ALONE else ""


def no_fit(project: int) -> str:
    """Why no fit would come that somebody asks for, in words; empty when one may."""
    if why := left_alone(project):
        return why
    if paused(project):
        why = services().board.queue(project).paused or f"Project {project} is paused"
        return f"{why}. Press Resume first."
    return AUDIT_RUNS.format(project) if _audits_in(services().settings.model_dir).runs(project) else ""


# The state


def state_of(project: int) -> Json:
    """One state, the sentences that go with it, and how far a fit is."""
    found = summary_of(project)
    queue = services().board.queue(project)
    return {
        **asdict(found),
        "tone": TONES.get(found.state, ""),
        "first": queue.first,
        "warnings": list(queue.warnings),
        "remarks": list(queue.remarks),
        "no_control": _no_control(project),
        "paused": paused(project),
        "left_alone": found.state in summary.LEFT_ALONE,
        "no_fit": no_fit(project),
    }


def summary_of(project: int) -> summary.Summary:
    """The state in the words of `store.summary`."""
    settings = services().settings
    return summary.summary_of(services().board, project, settings.base_model, time.time(), settings.reconcile_s)


def settings_of(project: int) -> ProjectSettings:
    """Those that are active; of impossible ones, which the queue's state tells, none are."""
    try:
        return for_project(services().settings, services().registry.options(project))
    except RefusedConfigError:
        return for_project(services().settings, NO_OPTIONS)


def otherwise_of(project: int) -> ProjectSettings:
    """What would be active without the project's own options."""
    return without_own(services().settings, services().registry.options(project))


def _no_control(project: int) -> str:
    """What to say where somebody wanted no figures; why others have none, a remark says."""
    wanted = settings_of(project).control_share or not services().registry.options(project).control_seed
    return "" if wanted else notices.no_control_set(project, has_seed=True).text


# How good it is


def _estimate(estimate: Estimate | None) -> Json | None:
    if estimate is None or estimate.value is None:
        return None
    low, high = estimate.interval
    return {"value": estimate.value, "low": low, "high": high, "n": estimate.examples}


def _narrow(found: Json | None) -> Json | None:
    """A figure that says enough to be shown."""
    return found if found and found["high"] - found["low"] < WIDE else None


def _accuracies(judgement: Judgement) -> Json:
    """A figure, or the range in which it will be."""
    found = judgement.figures.accuracy if judgement.figures else None
    return {"accuracy": _narrow(_estimate(found)), "early": _early(found), "question": judgement.question}


def _early(estimate: Estimate | None) -> Json | None:
    """A range where there is no figure yet."""
    found = _estimate(estimate) if quality_words.early(estimate) else None
    return {**found, "right": round(found["value"] * found["n"])} if found else None


def _needed(labels: int, judgement: Judgement, first: int) -> Json | None:
    return asdict(quality_words.needed(labels, judgement, first)) if labels else None


def _quality(judgement: Judgement, project: int, first: int) -> Json | None:
    said = quality_words.sentences(judgement, first, project=project)
    if not said:
        return None
    figures = judgement.figures
    return {
        "order": judgement.order,
        "name": short_name(judgement.order),
        "answered": judgement.sample.answered,
        "sentences": said,
        **_of_question(judgement, first),
        "questions": [_of_question(one, first) for one in judgement.questions],
        "left": _narrow(_estimate(judgement.left)),
        "macro_f1": _narrow(_estimate(figures.macro_f1)) if figures else None,
        "calibration": _estimate(figures.calibration) if figures else None,
        "command": f"nextlabel quality --project {project}",
    }


def _of_question(judgement: Judgement, first: int) -> Json:
    """The accuracy on one question, or what is known until there is one; no name where it is the only question."""
    figures = judgement.figures
    return {
        "question": judgement.question,
        "accuracy": _narrow(_estimate(figures.accuracy)) if figures else None,
        "early": {"accuracy": _early(figures.accuracy) if figures else None, "left": _early(judgement.left)},
        "needed": {
            "range": _needed(quality_words.for_range(judgement), judgement, first),
            "accuracy": _needed(judgement.more, judgement, first),
            "macro_f1": _needed(judgement.more_for_macro_f1, judgement, first),
        },
    }


def _classes(project: int, found: Sequence[Table]) -> list[Json] | None:
    """Tables of all classes; None before there is any label."""
    return [{**_table(table), "command": f"nextlabel quality --project {project}"} for table in found] or None


def _table(table: Table) -> Json:
    """Of more than `MOST_CLASSES` those first of which most is known; the `others` stand below."""
    rows: Sequence[Row] = table.rows
    if len(rows) > MOST_CLASSES:
        rows = sorted(rows, key=lambda row: (-row.of_class.recall.examples, -(row.learnt or 0)))
    shown = [_class(row) for row in rows[: MOST_CLASSES + FOLDED_CLASSES]]
    return {
        "question": table.question,
        "judged_by": table.judged_by,
        "rows": shown[:MOST_CLASSES],
        "others": shown[MOST_CLASSES:],
        "more": len(rows) - len(shown),
    }


def _class(row: Row) -> Json:
    """Without a figure where the class has no label that judges."""
    one = row.of_class
    known = one.recall.examples > 0
    figures = {
        "share": _estimate(one.share),
        "recall": _estimate(one.recall),
        "f1": _estimate(one.f1 if known else None),
    }
    confused = f"{one.taken_for} ({one.times} of {one.recall.examples})" if one.times >= quality_words.PATTERN else ""
    return {"label": one.label, "learnt": row.learnt, "judging": one.recall.examples, "confused": confused, **figures}


def _helping(project: int) -> Json | None:
    found = access.helping_shown(project)
    active = services().registry.current(project) or ""
    said = helping_words.sentences(found, active)
    about = {"order": found.order, "name": short_name(found.order), "of_active": helping_words.is_of(found, active)}
    short = helping_words.in_short(found)
    return {**about, "at": _time(found.at), "short": short, "sentences": said} if said else None


def audit_of(project: int) -> Json | None:
    """What is known of the last audit, with its labels as the trainer counted them last."""
    audits = _audits_in(services().settings.model_dir)
    number = audits.next_number(project) - 1
    directory = audits.home(project) / str(number)
    if not directory.is_dir():
        return None
    try:
        about = {**_about_audit(audits, project, number, directory.stat().st_mtime_ns), "damaged": ""}
    except BadAuditError as error:
        about = {**_NOTHING_KNOWN, "number": number, "damaged": str(error)}
    certificate = services().board.certificate(project)
    counted = asdict(certificate if certificate.audit == number else CertificateStatus())
    del counted["audit"]
    return {
        **about,
        **counted,
        "runs": audits.runs(project),
        "ended": audits.ended(project),
        "holds": audits.holds(project),
    }


@cache
def _audits_in(model_dir: Path) -> Audits:
    return Audits(model_dir)  # always the same, to be known again


_NOTHING_KNOWN: Json = {"version": "", "questions": [], "risk": None, "delta": None, "tasks": 0, "begun_at": ""}


@lru_cache(maxsize=256)
def _about_audit(audits: Audits, project: int, number: int, _written: int) -> Json:
    """What stays as it is, without the many rows that were frozen."""
    audit = audits.load(project, number)
    return {
        "number": number,
        "version": short_name(audit.version),
        "questions": list(audit.asks),
        "risk": audit.risk,
        "delta": audit.delta,
        "tasks": len(audit.ids_N),
        "begun_at": audit.begun_at,
    }


# Tasks, versions, options


def _with_texts(section: Json | None, project: int, may_see: bool) -> Json | None:
    """The tasks with their texts, their neighbours too."""
    if section is None:
        return None
    tasks = section["tasks"]
    near = [neighbour["task"] for task in tasks for neighbour in task.get("neighbours", ())]
    ids = {task["task"] for task in tasks} | set(near)
    texts = texts_of(services().settings.model_dir, project, ids) if may_see else {}
    return {**section, "tasks": [_with_text(task, texts) for task in tasks]}


def _with_text(task: Json, texts: Mapping[int, str]) -> Json:
    text = " ".join(texts.get(task["task"], "").split())
    shown = {**task, "text": text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"}
    if "neighbours" in task:
        shown["neighbours"] = [_with_text(neighbour, texts) for neighbour in task["neighbours"]]
    return shown


def _versions(project: int, cards: Sequence[Card], history: Sequence[Json]) -> list[Json]:
    """Those on disk, the newest first."""
    active = services().board.queue(project).version
    measured = {entry["version"]: entry for entry in history}
    registry = services().registry
    is_active = any(card.version == active for card in cards) and registry.current(project) == active
    before = registry.before(project, active) if is_active else None
    return [_version(card, active, before, measured.get(card.version, {})) for card in cards]


def _version(card: Card, active: str, before: str | None, measured: Json) -> Json:
    return {
        "version": card.version,
        "name": short_name(card.version),
        "number": card.number,
        "fitted_on": card.fitted_on,
        "labels": card.examples,
        "at": card.created_at,
        "active": card.version == active,
        "refused": card.refused,
        "verdict": card.verdict,
        "before": short_name(before) if before and card.version == active else "",
        "accuracy": measured.get("accuracy"),
        "question": measured.get("question", ""),
        "scores": card.scores,
        "seconds": card.seconds,
        "reason": card.reason,
    }


def _options(own: ProjectSettings, options: ProjectOptions, may_see: bool) -> list[Json]:
    """What is in force, and whether it is built in, from the environment or the project's."""
    found = [{"name": name, "value": str(getattr(own, name)), "source": own.sources[name]} for name in OWN]
    return [*found, *({"name": name, "value": value, "source": "project"} for name, value in _others(options, may_see))]


def _others(options: ProjectOptions, may_see: bool) -> Iterator[tuple[str, str]]:
    """What a person decided beside that."""
    kept = options.put_into({}).get(KEY, {})
    for name, value in kept.items():
        if name in OWN or name in (SEED, "defaults", "audits") or (name in OF_PEOPLE and not may_see):
            continue
        words = _open_again(value) if name == "reopened" else str(value)
        yield name, re.sub(r"\s+", " ", words)


def _open_again(tasks: Mapping[str, int]) -> str:
    ids = ", ".join(f"#{task}" for task in sorted(map(int, tasks)))
    return f"{len(tasks)} task{'' if len(tasks) == 1 else 's'} open for a second person: {ids}"


def _time(seconds: float) -> str:
    """As ISO 8601 has it."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).isoformat(timespec="seconds")
