"""What a person asks of an audit: begin one, see how far it is, give it up, issue its certificate, verify one.

Works on the same records as the trainer, in turns with it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from nextlabel.errors import BadAuditError
from nextlabel.labelstudio.client import LabelStudioClient, Project
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.project_options import audits_begun, note_audits
from nextlabel.learning.certificate import Audit, Certified, Records, Verdict, certified_labels, digest, issue, verdict
from nextlabel.loop.auditing import (
    InForce,
    Progress,
    answered_later,
    freeze_pool,
    hopeless,
    in_force,
    progress,
    records_of,
    said_since,
)
from nextlabel.loop.sync import sync
from nextlabel.problems.form import Form
from nextlabel.settings import Settings, control_of
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.state import SyncState
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry

PATIENCE_S = 60.0  # with the trainer


@dataclass(frozen=True)
class _Opened:
    pool: Pool
    project: Project
    config: LabelConfig
    key: str


class Auditor:
    """One project's audits. Each question is answered from labels that were read just before.

    Raises `BadAuditError` for what cannot be, and when the trainer does not make room; `StudioError` when Label Studio
    does not answer.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        studio: LabelStudioClient,
        jobs: JobQueue,
        project: int,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ):
        self._settings, self._registry, self._studio, self._jobs = settings, registry, studio, jobs
        self._project, self._now, self._audits = project, now, Audits(settings.model_dir)

    def plan(self, most_labels: int, risk: float, question: str = "") -> Audit:
        """What `start` would begin. Changes nothing."""
        with self._opened() as opened:
            return self._frozen(opened, most_labels, risk, question)[0]

    def start(self, most_labels: int, risk: float, question: str = "") -> Audit:
        """Begin an audit of what the queue follows: of a form of one question, else of all. Its number is spent,
        whatever becomes of it, so one that is `hopeless` is refused."""
        with self._opened() as opened, self._turn(f"fit.{self._project}", "a version is being fitted"):
            audit, version = self._frozen(opened, most_labels, risk, question)
            if why := hopeless(audit):
                raise BadAuditError(f"No audit of project {self._project} was begun. {why}")
            note_audits(self._studio, self._settings, self._project, audit.number)  # first: never twice the same
            self._audits.begin(audit, version.head)
        self._jobs.hint(self._project)
        return audit

    def status(self) -> tuple[Progress, str]:
        """How far the last audit is, and why it ended; that is empty while it runs."""
        with self._opened() as opened:
            audit = self._last()
            return progress(opened.pool, opened.config, audit), self._audits.ended(self._project)

    def stop(self) -> None:
        """Give the last audit up, or let its version be followed by others. What is certified stays so, of that one."""
        with self._turn(f"{self._project}.queue", "its queue is being changed, or an audit is being begun"):
            if not self._audits.holds(self._project):
                raise BadAuditError(
                    f"Project {self._project} has no audit that runs, or whose version is kept in force."
                )
            self._audits.give_up(self._project)
        self._jobs.hint(self._project)

    def issue(self) -> tuple[dict[str, Any], list[Certified], Verdict]:
        """The certificate of the last audit, of the labels given so far; the labels that it is about, people's also
        where they came after the audit, but for tasks that were edited or deleted since it began; and what the records
        say of it at once."""
        with self._opened() as opened:
            audit = self._last()
            counted = progress(opened.pool, opened.config, audit).counted
            made = issue(audit, counted, self._now().isoformat(timespec="seconds"))
            self._audits.note_issued(self._project, audit.number, digest(made))
            records = self._records(opened, audit)
            later = answered_later(opened.pool, opened.config, audit, len(counted))
            labels = [one for one in certified_labels(audit, counted, later) if one.task in records.kept]
            return made, labels, verdict(made, records)

    def verify(self, found: object) -> Verdict:
        """What the records have against a certificate, and what else is to be known of it."""
        begun = self._begun()
        number = found.get("audit") if isinstance(found, dict) else None
        if isinstance(number, int) and not 1 <= number <= begun:
            other = f"Of another project or audit: audit is {number}, and project {self._project} has begun {begun}."
            return Verdict([other], [])
        with self._opened() as opened:
            audit = self._audits.load(self._project, number) if isinstance(number, int) else self._last()
            wrong, to_know = verdict(found, self._records(opened, audit))
            return Verdict(wrong, [*to_know, *said_since(opened.pool, opened.config, self._audits, audit)])

    def _records(self, opened: _Opened, audit: Audit) -> Records:
        followed = opened.project.model_version or ""
        records = records_of(opened.pool, opened.config, opened.key, audit, followed, self._now())
        issued, recorded = self._audits.issued(self._project, audit.number)
        return replace(records, issued=issued, recorded=recorded)

    def _frozen(self, opened: _Opened, most_labels: int, risk: float, question: str) -> tuple[Audit, InForce]:
        if not opened.key:
            raise BadAuditError(
                f"Project {self._project} has no control key, by which tasks are drawn. Make one with `nextlabel "
                f"connect --project {self._project}`."
            )
        asks = _asks(opened.config, question)
        if running := self._audits.running(self._project):
            raise BadAuditError(
                f"Audit {running.number} of project {self._project} runs. Give it up first with `nextlabel certificate "
                f"stop --project {self._project}`."
            )
        version = in_force(self._registry, self._project, opened.project.model_version or "")
        number, at = self._begun() + 1, self._now().isoformat(timespec="seconds")
        audit = freeze_pool(
            opened.pool, self._registry, opened.config, opened.key, version, number, at, most_labels, risk, asks
        )
        return audit, version

    def _begun(self) -> int:
        """How many audits were ever begun: Label Studio knows it when MODEL_DIR was lost."""
        return max(self._audits.next_number(self._project) - 1, audits_begun(self._studio, self._project))

    def _last(self) -> Audit:
        audit = self._audits.last(self._project)
        if audit is None:
            raise BadAuditError(
                f"Project {self._project} has begun no audit. Begin one with `nextlabel certificate start --project "
                f"{self._project}`."
            )
        return audit

    @contextmanager
    def _opened(self) -> Iterator[_Opened]:
        """The records, in step with Label Studio, which nobody changes meanwhile."""
        if self._project not in self._registry.projects():
            raise BadAuditError(
                f"MODEL_DIR={self._settings.model_dir} holds nothing of project {self._project}, but projects "
                f"{self._registry.projects()}. Set MODEL_DIR to the backend's, and --project to the number in its "
                "address."
            )
        path = pool_path(self._settings.model_dir, self._project)
        with self._turn(f"{self._project}.queue", "its queue is being changed"), Pool(path) as pool:
            project = self._studio.project(self._project, with_counts=False)
            options = self._registry.options(self._project)
            config = parse_label_config(project.label_config, options)
            config = replace(config, control=control_of(self._settings, options))
            self._require_read(pool, config)
            sync(self._studio, pool, config, project, lambda: self._now().timestamp())
            yield _Opened(pool, project, config, options.control_seed)

    def _require_read(self, pool: Pool, config: LabelConfig) -> None:
        """To read all tasks anew, in another way, would cost the trainer what it knows of them."""
        known = pool.state(SyncState)
        if not known.complete or known.reading != config.reading:
            raise BadAuditError(
                f"The trainer has not read project {self._project} to the end, or reads it in another way than the "
                "environment here says. Run this with the backend's .env, and try again in a minute."
            )

    @contextmanager
    def _turn(self, name: str, why: str) -> Iterator[None]:
        """One at a time with the trainer, which is waited for."""
        taken = lock(self._settings.model_dir, name)
        try:
            taken.acquire(timeout=PATIENCE_S)
        except LockHeld:
            raise BadAuditError(f"Project {self._project} is busy, as {why}. Try again in a minute.") from None
        try:
            yield
        finally:
            taken.release()


def _asks(config: LabelConfig, question: str) -> tuple[str, ...]:
    """The questions of a form that an audit is about: the one that is named, or all; none where there is no form."""
    names = tuple(control.name for control in config.asked)
    if question and question not in names:
        raise BadAuditError(f"The project asks no question {question!r}; it asks {', '.join(names)}. Name one of them.")
    return () if not isinstance(config.question, Form) else (question,) if question else names
