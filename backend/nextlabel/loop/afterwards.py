"""What a thorough check does when all that annotators wait for is done: says what to do next and who labels, and looks
at labels again."""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass

from nextlabel.labelstudio.client import LabelStudioClient, Project
from nextlabel.labelstudio.config import LabelConfig
from nextlabel.learning.audit import next_audit
from nextlabel.learning.certificate import Audit
from nextlabel.loop.asking import Asker
from nextlabel.loop.auditing import certified_questions, certified_tasks, claim_of, progress
from nextlabel.loop.look_again import Again, Labelled
from nextlabel.loop.people import figures, names_of
from nextlabel.loop.telling import Teller
from nextlabel.problems.advice import Certified, advise
from nextlabel.store.jobs import JobQueue
from nextlabel.store.pool import Pool
from nextlabel.store.status import CertificateStatus, StatusBoard
from nextlabel.values.options import ProjectOptions
from nextlabel.versions.audits import Audits
from nextlabel.versions.registry import Registry


@dataclass(frozen=True)
class Checked:
    """A project as the check has left it. `version` is the active one, None when there is none yet; `ours`: the queue
    follows its order."""

    project: Project
    config: LabelConfig
    options: ProjectOptions
    version: str | None
    ours: bool


class Afterwards:
    """Of all projects. Nobody waits for it."""

    def __init__(
        self,
        registry: Registry,
        board: StatusBoard,
        studio: LabelStudioClient,
        jobs: JobQueue,
        audits: Audits,
        asker: Asker,
        again: Again,
        teller: Teller,
        now: Callable[[], float] = time.time,
    ):
        self._registry, self._board, self._studio, self._jobs = registry, board, studio, jobs
        self._audits, self._asker, self._again, self._teller, self._now = audits, asker, again, teller, now

    def look(self, pool: Pool, checked: Checked) -> None:
        """All of it."""
        self._look_ahead(pool, checked)
        self._put_people(pool, checked)
        self._look_again(pool, checked)

    def _look_ahead(self, pool: Pool, checked: Checked) -> None:
        """Whether it is time to ask if the order helps; what is certified; what to do next by all that is known, and
        who hears of it."""
        project = checked.project.id
        if checked.version and not self._audits.holds(project):
            self._asker.look(pool, project, checked.config, self._registry.card(project, checked.version))
        over, last = self._audits.over(project), self._board.advice(project)
        certified = self._certified(pool, checked, over) if over else None
        done = certified_questions(pool, checked.config, over) if over else ()
        self._put_certificate(pool, checked, self._audits.running(project) or over, claimed=over is not None)
        judgement, helping = self._board.quality(project), self._board.helping(project)
        runs = self._audits.runs(project)
        audit = next_audit(pool.left_size(), self._audits.next_number(project))
        advice = advise(judgement, helping, runs, certified, self._now(), last, done, project=project, audit=audit)
        if advice != last:
            self._board.put_advice(project, advice)
        self._teller.look(pool, project, advice, self._now())

    def _put_certificate(self, pool: Pool, checked: Checked, audit: Audit | None, claimed: bool) -> None:
        """How far the audit is. What its certificate would say, and how many labels are others than the machine's, is
        only `claimed` once it has come to its end: after each label that would tell people what the machine said."""
        now = CertificateStatus()
        if audit:
            found = progress(pool, checked.config, audit)
            labels, certified = len(found.counted) - found.skipped, found.part.size if found.part else 0
            claim, wrong = (claim_of(pool, checked.config, audit), found.wrong) if claimed else ("", None)
            now = CertificateStatus(audit.number, claim, labels, audit.asked_for, wrong, found.skipped, certified)
        if now != self._board.certificate(checked.project.id):
            self._board.put_certificate(checked.project.id, now)

    def _certified(self, pool: Pool, checked: Checked, over: Audit) -> Certified | None:
        """Nothing once the queue follows another version or head, of which nothing is certified."""
        followed = self._board.queue(checked.project.id).order if checked.ours else ""
        tasks = certified_tasks(pool, checked.config, over) if over.version == followed else []
        if not tasks:
            return None
        wrong = progress(pool, checked.config, over).wrong_at_most
        return Certified(over.version, len(tasks), pool.unanswered_of(tasks), over.risk, wrong)

    def _put_people(self, pool: Pool, checked: Checked) -> None:
        """What can be said of who labels, by tasks that were drawn for a second vote."""
        options = checked.options
        names = functools.partial(names_of, self._studio) if options.show_people else None
        second = self._again.drawn(pool, checked.project.id)
        self._board.put_people(checked.project.id, figures(pool, checked.config, names, self._now(), second))

    def _look_again(self, pool: Pool, checked: Checked) -> None:
        """At labels, and at what is open again."""
        project = checked.project
        hinted = functools.partial(self._jobs.hinted, project.id)
        pause = checked.options.pause
        if self._again.look(Labelled(pool, project, checked.config.question, checked.ours, pause, hinted)):
            self._jobs.hint(project.id)
