"""Takes a project's classifier away: a checkpoint, the model card that says what it is, and a certificate of it."""

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextlabel import __version__
from nextlabel.errors import BadAuditError, BadSettingError, NextlabelError
from nextlabel.labelstudio.client import LabelStudioClient
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.labelstudio.tasks import account_of, is_by_hand, is_machines
from nextlabel.learning.certificate import digest, issue
from nextlabel.loop.auditing import progress
from nextlabel.loop.controlling import control_texts
from nextlabel.loop.judging import judged, to_judge
from nextlabel.loop.keeping import back_up
from nextlabel.loop.machine_labels import SLICE, MachineLabels
from nextlabel.loop.sync import config_as_read
from nextlabel.problems.form import answered
from nextlabel.problems.history import Point
from nextlabel.problems.judgement import NO_JUDGEMENT, Judgement
from nextlabel.problems.people import CROWD, crowd
from nextlabel.settings import Settings
from nextlabel.store.files import replace_file
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.values.layout import decoded
from nextlabel.versions import label_files, promotion
from nextlabel.versions.audits import Audits
from nextlabel.versions.exporting import Source, audited, classifier_of, newest, require_empty, whole
from nextlabel.versions.judging import said_by
from nextlabel.versions.model_card import Facts, Owner, model_card
from nextlabel.versions.one_page import LONGEST_S, Effort, Outcome, html, markdown
from nextlabel.versions.registry import Registry

if TYPE_CHECKING:
    from nextlabel.model.classifier import Classifier

log = logging.getLogger(__name__)

README, CERTIFICATE = "README.md", "certificate.json"
ABOUT = """# Labels of project {project}

Of every task that can be read one row: its id in Label Studio, its label, whose that is (`person` or `machine`),
whether a certificate is about it, how many people's votes count, and what `{name}` says of it: the lowest
`probability` of its own answer, and that of every label. Labels are texts, whatever they look like. In the CSV file,
which is for spreadsheets, a text that one would take for a formula has an apostrophe in front; programs read another
file."""


@dataclass(frozen=True)
class Written:
    """How many tasks are in the `files`, and how many cannot be read and are not."""

    rows: int
    unread: int
    files: tuple[str, ...]


def source_of(settings: Settings, registry: Registry, project: int, version: str | None, of_audit: bool) -> Source:
    """What is meant: a version, by default the active one, with its newest head, or what the last audit froze.

    Raises `BadSettingError` when there is none in MODEL_DIR, `NoModelError` when it is gone.
    """
    current = registry.current(project)
    if current is None:
        raise BadSettingError(
            f"MODEL_DIR={settings.model_dir} holds no version of project {project}, but projects "
            f"{registry.projects()}. Set MODEL_DIR to the backend's, and --project to the number in its address."
        )
    if not of_audit:
        return newest(registry, project, promotion.named(registry, project, version) if version else current)
    audits = Audits(settings.model_dir)
    audit = audits.last(project)
    if audit is None:
        raise BadSettingError(
            f"Project {project} has begun no audit, so that there is nothing certified to take away. Leave --audited "
            f"out, or begin one with `nextlabel certificate start --project {project}`."
        )
    return audited(registry, audits, audit)


def write_checkpoint(
    settings: Settings, registry: Registry, source: Source, directory: Path, owner: Owner
) -> Judgement:
    """Write it whole, with its card and, if there is one, its certificate; returns what the control set says of it.

    Raises `NextlabelError` when the directory holds something or cannot be written, `NoModelError` when the version
    cannot be loaded.
    """
    require_empty(directory)
    classifier = classifier_of(settings, registry, source)
    facts = _facts(settings, registry, source, classifier, owner)
    with whole(directory) as beside:
        classifier.save(beside)
        replace_file(beside / README, model_card(facts))
        if facts.certificate:
            audits, number = Audits(settings.model_dir), facts.certificate["audit"]
            audits.note_issued(source.card.project, number, digest(facts.certificate))
            replace_file(beside / CERTIFICATE, json.dumps(facts.certificate, indent=1, ensure_ascii=False) + "\n")
    return facts.judgement


def _facts(settings: Settings, registry: Registry, source: Source, classifier: "Classifier", owner: Owner) -> Facts:
    card, form, judgement, certificate = source.card, "", NO_JUDGEMENT, None
    fields = tuple(filter(None, card.texts.split(", ")))
    with copy_of(settings, card.project) as pool:
        if pool is not None:
            config = config_as_read(pool, settings, registry.options(card.project))
            form, fields = pool.state(SyncState).label_config, config.fields
            judgement = _judged_by(pool, config, registry, source, classifier)
            certificate = certificate_of(settings, pool, config, source)
    base_model, on_hub = base_of(card.base_model)
    return Facts(
        name=source.name,
        release=__version__,
        project=card.project,
        is_head=source.head is not None,
        labels=card.labels,
        layout=source.layout,
        counts=source.label_counts,
        fitted_on=source.fitted_on,
        made_at=card.created_at,
        base_model=base_model,
        base_on_hub=on_hub,
        recipe=card.recipe,
        fields=fields,
        max_length=classifier.max_length,
        form=form,
        judgement=judgement,
        certificate=certificate,
        version_scores=card.scores,
        owner=owner,
    )


def judgement_of(settings: Settings, registry: Registry, source: Source) -> Judgement:
    """What the control set says of what is meant. Raises `NextlabelError` without a local copy, `NoModelError` when the
    version cannot be loaded."""
    project = source.card.project
    with full_copy_of(settings, project) as pool:
        config = config_as_read(pool, settings, registry.options(project))
        return _judged_by(pool, config, registry, source, classifier_of(settings, registry, source))


def _judged_by(
    pool: Pool, config: LabelConfig, registry: Registry, source: Source, classifier: "Classifier"
) -> Judgement:
    texts = control_texts(pool, answered(config.question))
    return judged(pool, config, texts, said_by(registry, source, classifier, pool.examples(to_judge(pool, texts))))


def base_of(base_model: str) -> tuple[str, bool]:
    """What a base checkpoint is called elsewhere, and whether others have it by that name: not a directory's."""
    on_disk = Path(base_model).exists() or base_model.startswith(("/", ".", "~"))
    return (Path(base_model).name, False) if on_disk else (base_model, True)


@contextmanager
def copy_of(settings: Settings, project: int) -> Iterator[Pool | None]:
    """The local copy of a project; None without one that was read to the end."""
    path = pool_path(settings.model_dir, project)
    if not path.exists():
        yield None
        return
    with Pool(path) as pool:
        yield pool if pool.state(SyncState).complete else None


@contextmanager
def full_copy_of(settings: Settings, project: int) -> Iterator[Pool]:
    """The same. Raises `NextlabelError` when there is none."""
    with copy_of(settings, project) as pool:
        if pool is None:
            raise NextlabelError(
                f"MODEL_DIR={settings.model_dir} holds no copy of project {project} that was read to the end. Set it "
                "to the backend's, or wait until its trainer has read the tasks."
            )
        yield pool


def certificate_of(settings: Settings, pool: Pool, config: LabelConfig, source: Source) -> dict[str, Any] | None:
    """What the last audit certifies by the labels of now, if that is of this version or head and no other one."""
    try:
        audit = Audits(settings.model_dir).last(source.card.project)
        if audit is None or audit.version != source.name:
            return None
        found = progress(pool, config, audit)
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return issue(found.audit, found.counted, now) if found.part else None
    except BadAuditError as error:
        log.warning("no certificate: %s", error)
        return None


# Labels


def write_labels(
    settings: Settings,
    registry: Registry,
    source: Source,
    path: Path,
    id_fields: Sequence[str] = (),
    studio: LabelStudioClient | None = None,
) -> Written:
    """Write the label of every task that can be read to a .csv, .jsonl or .parquet file, or to a directory that does
    not exist yet, which gets a directory for each format, with a card that tells `datasets` the types. `id_fields` of
    the tasks' data are asked of a `studio`, for the local copy does not have them.

    Raises as `label_files.write` does, and `NextlabelError` without a local copy.
    """
    with full_copy_of(settings, source.card.project) as pool:
        config = config_as_read(pool, settings, registry.options(source.card.project))
        labels = MachineLabels(settings, registry, pool, config, source)
        ids_of = id_reader(studio, source.card.project, id_fields) if studio and id_fields else None
        columns, slices = labels.columns(id_fields), labels.slices(ids_of, id_fields)
        unread = pool.unreadable()
        if path.suffix:
            rows = label_files.write({label_files.format_of(path): path}, columns, slices)
            return Written(rows, unread, (path.name,))
        names = {kind: f"{kind}/labels.{kind}" for kind in label_files.formats()}
        about = ABOUT.format(project=source.card.project, name=source.name)
        with whole(path) as beside:
            for kind in names:
                (beside / kind).mkdir()
                card = label_files.dataset_card(f"labels.{kind}", columns, about)
                replace_file(beside / kind / README, card)
            rows = label_files.write({kind: beside / name for kind, name in names.items()}, columns, slices)
        return Written(rows, unread, tuple(names.values()))


def id_reader(
    studio: LabelStudioClient, project: int, fields: Sequence[str]
) -> Callable[[Sequence[int]], Mapping[int, Sequence[str]]]:
    """What gives these fields of tasks, as texts, when asked for ids that only grow: pages are read as they are
    needed, and dropped."""
    pages, found = studio.tasks_after(project, 0), dict[int, list[str]]()

    def read(task_ids: Sequence[int]) -> Mapping[int, Sequence[str]]:
        for task in [task for task in found if task < task_ids[0]]:
            del found[task]
        while max(found, default=-1) < task_ids[-1] and (page := next(pages, None)):
            found.update({int(task["id"]): [_text(task.get("data"), name) for name in fields] for task in page})
        return found

    return read


def _text(data: object, name: str) -> str:
    value = data.get(name) if isinstance(data, Mapping) else None
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# One page


def write_summary(
    settings: Settings, registry: Registry, source: Source, directory: Path, studio: LabelStudioClient | None, day: str
) -> None:
    """Write the page for whoever paid, as summary.html and summary.md, into a directory that does not exist yet.
    Without a `studio` it does not say how many people worked for how long.

    Raises as `write_checkpoint` does, and `NextlabelError` without a local copy.
    """
    require_empty(directory)
    project = source.card.project
    with full_copy_of(settings, project) as pool:
        config = config_as_read(pool, settings, registry.options(project))
        certificate = certificate_of(settings, pool, config, source)
        judgement = _judged_by(pool, config, registry, source, classifier_of(settings, registry, source))
        counts, certified, by_people = Counter[str](), 0, 0
        labels = MachineLabels(settings, registry, pool, config, source)
        for label in labels.all():
            counts.update(labels.named(label))
            certified += label.certified
            by_people += not label.machines
        outcome = Outcome(
            project=project,
            name=source.name,
            written=day,
            tasks=pool.size() - pool.unreadable(),
            by_people=by_people,
            certified=certified,
            counts=dict(counts.most_common()),
            effort=effort_of(studio, project, registry.options(project).show_people) if studio else None,
            judgement=judgement,
            claim=str(certificate["claim"]) if certificate else "",
            curve=curve_of(StatusBoard(settings.model_dir).history(project).points),
        )
    with whole(directory) as beside:
        replace_file(beside / "summary.md", markdown(outcome))
        replace_file(beside / "summary.html", html(outcome))


def effort_of(studio: LabelStudioClient, project: int, show_people: bool) -> Effort:
    """By the times that Label Studio's editor has noted; without hours where these would tell somebody's own speed, and
    nobody wants that shown."""
    people, seconds, imported = list[str](), 0.0, 0
    for annotation in (one for page in studio.annotated_tasks(project) for task in page for one in task["annotations"]):
        if is_machines(annotation) or annotation.get("was_cancelled"):
            continue
        if not is_by_hand(annotation):
            imported += 1
            continue
        people.append(account_of(annotation))
        seconds += min(LONGEST_S, float(annotation["lead_time"]))
    shown = show_people or crowd(people) >= CROWD
    return Effort(len(set(people)), len(people), seconds / 3600 if shown else None, imported)


def curve_of(points: Sequence[Point]) -> list[tuple[int, float]]:
    """Labels and accuracy of the versions and heads that could be judged, deleted ones too."""
    judged = ((one.labels, one.accuracy.value) for one in points if one.accuracy)
    return sorted((labels, value) for labels, value in judged if value is not None)


# The archive


def write_archive(settings: Settings, studio: LabelStudioClient, project: int, directory: Path, now: datetime) -> int:
    """Write a directory with what `nextlabel backup` keeps of the project, cards, certificates' audits and options, and
    with every answer of people as a line of JSON; returns how many answers there are.

    Raises as `back_up` does, and `NextlabelError` without a local copy.
    """
    with full_copy_of(settings, project) as pool, whole(directory) as beside:
        beside.chmod(0o700)  # who answered what is its owner's business alone
        back_up(settings, studio, beside / "records.zip", now, only=project)
        answers = 0
        with (beside / "answers.jsonl").open("w", encoding="utf-8") as file:
            for answer in _answers(pool):
                file.write(json.dumps(answer, ensure_ascii=False) + "\n")
                answers += 1
        replace_file(beside / "form.xml", pool.state(SyncState).label_config)
    return answers


def _answers(pool: Pool) -> Iterator[Mapping[str, Any]]:
    """Accounts by their ids; `weight` 0: it is left out."""
    ids = pool.annotated()
    for at in range(0, len(ids), SLICE):
        for asked in pool.asked(ids[at : at + SLICE]):
            for vote in asked.votes:
                several = {name: list(labels) for name, labels in decoded(vote.label).items()}
                yield {
                    "task": asked.example.id,
                    "answers": several or {"label": [vote.label]},
                    "account": vote.account,
                    "at": vote.when,
                    "weight": vote.weight,
                    "ground_truth": vote.ground_truth,
                    "accepted_prediction": vote.accepted,
                }
