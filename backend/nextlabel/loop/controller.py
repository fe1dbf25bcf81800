"""The loop itself: compares what is with what should be, for one project, and does the least that closes the gap.

Called by hints and by the clock. Killed anywhere, the next call finishes the work.
"""

import functools
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from nextlabel.errors import (
    NextlabelError,
    NoModelError,
    RefusedConfigError,
    StudioError,
    with_project,
    without_password,
)
from nextlabel.labelstudio import notices
from nextlabel.labelstudio.client import (
    UNCERTAINTY,
    LabelStudioClient,
    MLBackend,
    Project,
    StudioRefusedError,
    iso,
)
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.connection import Credentials
from nextlabel.labelstudio.notices import told
from nextlabel.labelstudio.registration import (
    ensure_webhook,
    hook_of,
    is_at,
    remove_webhooks,
)
from nextlabel.learning.heads import Head
from nextlabel.loop.afterwards import Afterwards, Checked
from nextlabel.loop.asking import Asker
from nextlabel.loop.auditing import AuditOrder, Progress, certified_tasks, progress, speaks_for
from nextlabel.loop.backlog import Backlog
from nextlabel.loop.base_model import BaseModel
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.controlling import control_side
from nextlabel.loop.copies import HOLD, learnt_from
from nextlabel.loop.elsewhere import elsewhere_of
from nextlabel.loop.embedding import Embedder
from nextlabel.loop.fitting import FitDecision, Fitter
from nextlabel.loop.head_order import HeadOrder, Valued
from nextlabel.loop.heading import HeadMaker, has_heads
from nextlabel.loop.history import Historian, InForce
from nextlabel.loop.judging import Judge
from nextlabel.loop.look_again import Again
from nextlabel.loop.marks import Marks
from nextlabel.loop.near_copies import Holding, Words, in_queue, not_yet_known
from nextlabel.loop.next_tasks import NextTasksTeller, Served
from nextlabel.loop.noticing import Noticer, Seen
from nextlabel.loop.orders import Order, VersionOrder
from nextlabel.loop.ownership import whose
from nextlabel.loop.pressing import Pressing
from nextlabel.loop.publishing import (
    HEAD,
    Free,
    Publication,
    Publisher,
    all_free,
    check_published,
    take_back_choices,
)
from nextlabel.loop.questions import with_new_questions
from nextlabel.loop.sides import Side
from nextlabel.loop.starting import StartOrders
from nextlabel.loop.sync import (
    annotators_at_work,
    repair,
    sync,
    verify,
)
from nextlabel.loop.telling import STANDS_LOOKS, Teller
from nextlabel.loop.wanted import Want, WantedTasks, wants_of
from nextlabel.model.tokens import TokenCache
from nextlabel.problems.look_again import LookAgain
from nextlabel.problems.people import People
from nextlabel.processes import trim_heap
from nextlabel.settings import ProjectSettings, Settings, control_of, for_project
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.pool import Pool, pool_path, tokens_path
from nextlabel.store.state import OutsideState, ProjectState, QueueState, StartState
from nextlabel.store.status import StatusBoard
from nextlabel.store.summary import DISCONNECTED, ENDED
from nextlabel.store.traces import erase, traces
from nextlabel.values.options import ANY, NO_OPTIONS, ProjectOptions
from nextlabel.values.versions import Card, is_ours, version_number, version_of
from nextlabel.versions import heads
from nextlabel.versions.audits import Audits
from nextlabel.versions.endings import Endings
from nextlabel.versions.loaded import LoadedVersions
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

LOADED_VERSIONS = 2  # each a model in memory
HEADS_WINDOW = 12  # tasks that are published of a head, and one more for each further annotator
ON_SCREEN = 2  # tasks for each annotator that may be there, or be the next, when the queue is switched
HEADS_FIRST = 4  # of them before the queue is switched from one head to the next
NICENESS = 5  # of scoring: fits come after it, and what keeps the queue full goes first
RETRY_S = 5.0  # after Label Studio did not answer
PROJECT_BUSY_S = 0.25  # when another thread has the project, which sees the hint and gives it up soon
PACE_S = 1.0  # between two looks of which nothing but removals is left
NOTHING_SAID: dict[str, object] = {"first": "", "warnings": (), "remarks": ()}  # what was said before is of another day
NOTHING_COMES: dict[str, object] = {**NOTHING_SAID, "due": "", "paused": "", "window": 0, "held": 0, "unscored": 0}
GONE = (
    "the project does not exist any more in Label Studio; `nextlabel forget --project {project}` deletes what is here"
)
HAS_ENDED = (
    "the project has ended: `nextlabel finish` wrote the machine's labels into Label Studio, and nothing is read, "
    "fitted or published any more; `nextlabel finish --project {project} --undo` takes that back"
)
NO_BACKEND = (
    "the project has no Nextlabel ML backend; `nextlabel connect --project {project}` connects it, and "
    "`nextlabel forget --project {project}` deletes what is here"
)
OF_ANOTHER = (
    "the project is connected to another Nextlabel backend, {url}, which has other versions, so this one leaves it "
    "alone; `nextlabel connect --project {project} --backend-url URL` gives it to the one at URL. If this is the one, "
    "have its web process and its trainer use the same MODEL_DIR"
)


class _DisconnectedError(Exception):
    """The project is none of ours, or not any more."""

    state = DISCONNECTED


class _EndedError(_DisconnectedError):
    """`nextlabel finish` has ended it."""

    state = ENDED


@dataclass(frozen=True)
class _Found:
    """What a reconcile works with. `version` is the active one; None when there is none yet."""

    project: Project
    config: LabelConfig
    decision: FitDecision
    version: str | None


class Controller:
    """Does jobs, and asks for more. Thread-safe: one reconcile and one fit a project at a time, one fit at a time in
    this process."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        board: StatusBoard,
        studio: LabelStudioClient,
        jobs: JobQueue,
        now: Callable[[], float] = time.time,
    ):
        self._settings, self._registry, self._board, self._studio = settings, registry, board, studio
        self._jobs, self._now = jobs, now
        caches = functools.cache(lambda project: TokenCache(tokens_path(settings.model_dir, project)))
        self._resident = LoadedVersions(settings, registry, LOADED_VERSIONS, caches, NICENESS)
        self._turn = ComputeGate()
        self._heads, self._valued = HeadMaker(registry, self._resident), dict[int, Valued]()
        self._logged = dict[int, str]()
        self._audits, self._endings = Audits(settings.model_dir), Endings(settings.model_dir)
        self._elsewhere = elsewhere_of(settings)
        self._backlog = Backlog(settings, registry, jobs, self._resident, self._turn, self._elsewhere)
        self._fitter = Fitter(settings, registry, board, jobs, self._resident, self._turn, caches, now, self._elsewhere)
        base = self._fitter.recipe(settings.seed, for_project(settings, NO_OPTIONS), 0)
        self._base_model = BaseModel(base, board, now)
        self._noticer = Noticer(settings, registry, board, self._audits, self._fitter, self._elsewhere)
        self._embedder, self._words = Embedder(base, self._resident, caches), Words()
        self._marks, self._judge = Marks(registry), Judge(registry, board)
        self._wanted, self._pressing = WantedTasks(self._embedder), Pressing(settings, registry, studio, jobs)
        self._history = Historian(registry, board, now)
        self._asker = Asker(
            settings, registry, board, jobs, self._resident, self._embedder, self._turn, self._history, now
        )
        self._next = NextTasksTeller(registry, board, self._embedder, now)
        self._again = Again(settings, registry, board, studio, self._embedder, now)
        teller = Teller(settings.advice_webhook.get_secret_value(), STANDS_LOOKS * settings.reconcile_s)
        self._afterwards = Afterwards(
            registry, board, studio, jobs, self._audits, self._asker, self._again, teller, now
        )
        self._starts = StartOrders(settings, registry, board, jobs, self._embedder, self._turn, now)

    def fit(self, project: int) -> None:
        """Fit a version, if one is due."""
        if self._works_on(project):
            self._fitter.fit(project)

    def look_at_base_model(self) -> None:
        """Say whether fits can begin with the base checkpoint."""
        self._base_model.look()

    def say_interrupted(self) -> None:
        """Say that fits have ended which died with an earlier trainer."""
        self._fitter.say_interrupted()

    def score(self, project: int, version: str, first: int, last: int) -> None:
        """Score a part of what is left of a pool."""
        try:
            self._backlog.score(project, version, first, last)
        except NoModelError as error:
            self._go_on_without(project, error)
        except LockHeld:  # it is being forgotten
            return

    def start(self, project: int) -> None:
        """Make the order before there is a version."""
        if self._works_on(project):
            self._starts.make(project)

    def helping(self, project: int) -> None:
        """Find out whether the order helps."""
        if self._works_on(project):
            self._asker.ask(project)

    def _works_on(self, project: int) -> bool:
        """Not on one that has ended, or was forgotten while the job waited, which would leave files."""
        return self._registry.knows(project) and not self._endings.holds(project)

    def _go_on_without(self, project: int, error: NoModelError) -> None:
        """The active version cannot be loaded: the next reconcile finds another active one."""
        log.error("project %d: %s", project, error)
        self._jobs.hint(project, delay_s=PROJECT_BUSY_S)

    def reconcile(self, project: int, thorough: bool) -> None:
        """Make the published queue of a project right. Never raises what a later call may repair."""
        try:
            with lock(self._settings.model_dir, f"{project}.queue"):
                ours = True
                with self._reported(project), Pool(pool_path(self._settings.model_dir, project)) as pool:
                    ours = self._close_gap(pool, project, thorough)
                if not ours and not self._registry.knows(project):  # a late hint, or one that anybody may have sent
                    erase(traces(self._settings.model_dir, project))
        except LockHeld:
            self._jobs.hint(project, thorough, PROJECT_BUSY_S)

    @contextmanager
    def _reported(self, project: int) -> Iterator[None]:
        """What goes wrong is said, and tried again; what nobody thought of is raised as well."""
        try:
            yield
        except RefusedConfigError as error:
            self._log_news(project, logging.WARNING, error)
            self._say(project, state="refused", message=with_project(str(error), project), **NOTHING_SAID)
        except StudioError as error:
            self._log_news(project, logging.WARNING, error)
            away = not isinstance(error, StudioRefusedError) or error.code >= 500  # or its data base was locked
            self._failed(project, str(error), away)
            if away:
                self._jobs.hint(project, delay_s=min(RETRY_S, self._settings.reconcile_s))
        except NoModelError as error:
            self._failed(project, str(error))
            self._go_on_without(project, error)
        except NextlabelError as error:
            self._log_news(project, logging.ERROR, error)
            self._failed(project, str(error))
        except Exception as error:  # the log has the traceback, the people's page a short word; the clock tries again
            self._failed(project, f"internal error ({type(error).__name__}); see the trainer's log")
            raise

    def _log_news(self, project: int, level: int, error: NextlabelError) -> None:
        """Once by each trainer, however often it is tried again: Label Studio may be away all night."""
        if not str(error) == self._board.queue(project).message == self._logged.get(project):
            log.log(level, "project %d: %s", project, error)
        self._logged[project] = str(error)

    def _close_gap(self, pool: Pool, project_id: int, thorough: bool) -> bool:
        """Whether the project is connected with us."""
        try:
            if self._endings.holds(project_id):
                raise _EndedError(HAS_ENDED.format(project=project_id))
            thorough = thorough or self._pressing.waits(project_id)
            project = self._project(project_id, with_counts=thorough)
            with self._until_it_is_gone(project_id):
                if thorough or not pool.state(ProjectState).connected:
                    self._find_connection(pool, project_id)
                self._pressing.do(project_id)
                self._make_right(pool, project, thorough)
        except _DisconnectedError as error:
            pool.update(ProjectState, lambda state: replace(state, connected=False))
            self._board.put_people(project_id, People())  # names are kept no longer than they are wanted
            self._board.put_look_again(project_id, LookAgain())  # nothing is open any more
            self._pressing.refuse(project_id, str(error))
            self._say(project_id, state=error.state, message=str(error), **NOTHING_COMES)
            self._next.forget(project_id)
            return False
        return True

    def _project(self, project_id: int, with_counts: bool) -> Project:
        try:
            return self._studio.project(project_id, with_counts)
        except StudioRefusedError as error:
            if error.code == 404:
                raise _DisconnectedError(GONE.format(project=project_id)) from error
            raise

    @contextmanager
    def _until_it_is_gone(self, project_id: int) -> Iterator[None]:
        """Label Studio refuses what is asked of a project that was deleted meanwhile."""
        try:
            yield
        except StudioRefusedError as error:
            if error.code == 404:
                self._project(project_id, with_counts=False)
            raise

    def _make_right(self, pool: Pool, project: Project, thorough: bool) -> None:
        options = with_new_questions(self._studio, self._settings, self._registry, pool, project, self._now())
        config = parse_label_config(project.label_config, options)
        config = replace(config, control=control_of(self._settings, options))
        self._take_back_choices(pool, project, config)  # first, as annotators see them
        sync(self._studio, pool, config, project, self._now, functools.partial(self._tell_reading, project))
        if thorough:
            repair(self._studio, pool, config, project)
            check_published(self._studio, pool, project.id)
            self._take_back_choices(pool, project, config)  # of those that were not known
        self._marks.look(
            pool, project.id, config, project.model_version or "", self._certified(pool, project.id, config)
        )
        decision = self._fitter.decide(pool, project.id, config)
        if decision.reason:
            self._jobs.want_fit(project.id)
        if thorough:
            self._base_model.look(anew=False)
        found = _Found(project, config, decision, self._registry.current(project.id))
        if audit := self._audit(pool, project.id, config):
            self._keep_to_audit(pool, found, audit)
        elif found.version is None:
            self._begin_in_order(pool, found)
        else:
            self._keep_in_order(pool, found, found.version)
        if thorough:
            self._afterwards.look(pool, self._checked(pool, found, options, in_order=audit is None))
        self._verify(pool, project, config, thorough)  # last, as nobody waits for it

    def _checked(self, pool: Pool, found: _Found, options: ProjectOptions, in_order: bool) -> Checked:
        project, version = found.project, found.version
        ours = in_order and version is not None and project.sampling == UNCERTAINTY
        ours = ours and not self._chosen_by_a_person(pool, project, version or "")
        return Checked(project, found.config, options, version, ours)

    def _verify(self, pool: Pool, project: Project, config: LabelConfig, thorough: bool) -> None:
        if verify(self._studio, pool, config, project.id, thorough, functools.partial(self._jobs.hinted, project.id)):
            self._jobs.hint(project.id)
        self._board.put_traffic(self._studio.traffic())

    def _take_back_choices(self, pool: Pool, project: Project, config: LabelConfig) -> None:
        if not project.show_predictions:
            return
        hinted = functools.partial(self._jobs.hinted, project.id)
        if take_back_choices(self._studio, pool, config, project, hinted, _others_at_work(pool)):
            self._jobs.hint(project.id)

    def _find_connection(self, pool: Pool, project_id: int) -> None:
        """Raises `_DisconnectedError` when the project has no backend of ours."""
        backend = self._our_backend(pool, project_id)
        # Asking for the backends made Label Studio call our /setup; a project that is known gets no new hint from it.
        self._registry.know(project_id)
        options = ProjectOptions.of(backend.extra_params)
        for_project(self._settings, options)  # refuses impossible ones
        self._registry.put_options(project_id, options)
        headers = Credentials.of(self._settings).webhook_headers()
        done = ensure_webhook(self._studio, project_id, backend.url, headers, known_for_ours=False)
        if (known_at := pool.state(ProjectState).backend_url) and not is_at(backend, known_at):
            # Whoever moves it in Label Studio's own form leaves a webhook behind, for which annotators would wait.
            here, there = hook_of(backend.url), hook_of(known_at)
            done += remove_webhooks(self._studio, project_id, {there}, but=here)
        for what in done:
            log.warning("project %d: %s", project_id, without_password(what))
        pool.update(
            ProjectState,
            lambda state: replace(
                state,
                connected=True,
                backend_title=backend.title,
                backend_url=backend.url,
                since=backend.since,
                seen=state.seen or iso(self._now()),
            ),
        )

    def _our_backend(self, pool: Pool, project_id: int) -> MLBackend:
        ours, found = whose(self._studio, self._registry, project_id, pool.state(ProjectState).backend_url)
        if ours is None:
            url = without_password(found[0].url) if found else ""
            raise _DisconnectedError((OF_ANOTHER if found else NO_BACKEND).format(url=url, project=project_id))
        return ours

    def _before_a_switch(self, pool: Pool, project: Project) -> None:
        """The queue may be no longer ours to switch. And when it has followed nothing, because the project was
        disconnected and connected again or somebody deleted a version, what we published is gone."""
        self._find_connection(pool, project.id)
        if not project.model_version:
            check_published(self._studio, pool, project.id)

    def _begin_in_order(self, pool: Pool, found: _Found) -> None:
        """Have the queue follow the start order, unless a person has chosen otherwise, or it follows a version that was
        lost, which will do until the next fit, or until it runs dry."""
        project, followed = found.project, found.project.model_version or ""
        stands = self._fitter.stands(project.id) and pool.state(StartState).name
        fit_comes = found.decision.reason and not self._turn.fit_of_another_runs(project.id)
        order = self._starts.look(pool, project.id, may_ask=not (fit_comes or stands))
        ours = order is not None and not self._chosen_by_a_person(pool, project, order.name)
        left, others = len(pool.waiting(followed)), _others_at_work(pool)
        will_do = version_number(version_of(followed)) > 0 and left >= HEADS_FIRST + others
        if order is None or not ours or will_do:
            chosen = order is not None and not ours
            self._report(pool, found, state="overruled" if chosen else "waiting")
            return
        if project.model_version != order.name:
            self._before_a_switch(pool, project)
        outcome = self._bring(
            pool,
            found,
            order,
            depth=min(self._own(project.id).window, HEADS_WINDOW + others),  # the first version comes soon
            superseded=lambda: self._registry.current(project.id) is not None,
        )
        self._report_published(pool, found, order, outcome)

    def _keep_in_order(self, pool: Pool, found: _Found, version: str) -> None:
        """Have the queue follow the version, unless a person has chosen otherwise."""
        project = found.project
        if self._chosen_by_a_person(pool, project, version):
            self._report(pool, found, state="overruled", version=version)
            return
        if version_of(project.model_version or "") != version:
            self._before_a_switch(pool, project)
        card = self._registry.card(project.id, version)
        unscored = self._backlog.look(pool, card)
        order = self._order(pool, found, card)
        outcome = self._publish(pool, found, card, order, unscored)
        switched = self._switched(project, version, outcome)
        self._report_published(pool, found, order, outcome, version=version, unscored=unscored, **switched)

    def _audit(self, pool: Pool, project: int, config: LabelConfig) -> Progress | None:
        """The audit that runs, unless it has come to its end."""
        audit = self._audits.running(project)
        found = progress(pool, config, audit) if audit else None
        if audit is None or found is None or not found.over:
            return found
        log.info("project %d: %s; over, as %s", project, found.message, found.over)
        if found.part is None or self._own(project).after_certificate != "hold":
            self._audits.release(project)
        self._audits.end(project, found.over)
        self._jobs.hint(project)  # fits may have waited
        return None

    def _keep_to_audit(self, pool: Pool, found: _Found, audit: Progress) -> None:
        """Have the queue hold the audit's tasks alone, unless a person has chosen otherwise."""
        project, order = found.project, AuditOrder(audit)
        found = replace(found, decision=replace(found.decision, message=audit.message))
        if self._chosen_by_a_person(pool, project, order.name):
            self._report(pool, found, state="overruled", version=found.version or "")
            return
        if project.model_version != order.name:
            self._before_a_switch(pool, project)
        outcome = self._bring(
            pool,
            found,
            order,
            depth=min(self._own(project.id).window, HEADS_WINDOW + _others_at_work(pool)),
            superseded=lambda: not self._audits.runs(project.id),
            alone=True,
        )
        self._report_published(pool, found, order, outcome, version=found.version or "")

    def _report_published(
        self, pool: Pool, found: _Found, order: Order, outcome: Publication, **changes: object
    ) -> None:
        followed = found.project.sampling == UNCERTAINTY
        self._report(
            pool,
            found,
            follows=None if outcome.seconds_to_switch is None else order.name,
            state=("publishing" if outcome.unfinished else "published") if followed else "overruled",
            order=order.name,
            known=order.known,
            stale=outcome.stale,
            held=outcome.held,
            **changes,
        )
        if followed:
            self._tell_next(pool, found, order, outcome)

    def _tell_next(self, pool: Pool, found: _Found, order: Order, outcome: Publication) -> None:
        """What comes next in an order that the queue follows; not while a hint waits, as the next look does it."""
        project = found.project
        follows = project.model_version == order.name or outcome.seconds_to_switch is not None
        if follows and not self._jobs.hinted(project.id):
            card = self._registry.card(project.id, found.version) if found.version else None
            way = self._own(project.id).start_order
            self._next.look(pool, project.id, Served(found.config, order, card, outcome, way, found.decision.labels))

    def _order(self, pool: Pool, found: _Found, card: Card) -> Order:
        """The version's head, fitted again if it is time, or the version as it was fitted."""
        exactly = functools.partial(self._resident.predict, card, features=card.features > 0)
        if head := self._head(pool, found, card):
            valued = self._valued.setdefault(card.project, Valued())
            return HeadOrder(pool, found.config, card, *head, exactly, valued)
        return VersionOrder(pool, found.config, card, exactly)

    def _head(self, pool: Pool, found: _Found, card: Card) -> tuple[str, Head] | None:
        if not has_heads(card, self._own(card.project)):
            return None
        if self._fitter.stands(card.project):
            return heads.newest(self._registry.path(card.project, card.version))
        learnt = learnt_from(pool, found.config.question, self._own(card.project).near_copies)
        labels = {example.id: label for example, label in learnt.to_fit}
        others, followed = _others_at_work(pool), found.project.model_version or ""
        return self._heads.newest(pool, card, found.config, labels, others, learnt.lighter, followed)

    def _publish(self, pool: Pool, found: _Found, card: Card, order: Order, unscored: int) -> Publication:
        own = self._own(card.project)
        depth, renewed = own.window, has_heads(card, own)
        if renewed:  # what is soon to be published anew is not written in full length
            depth = min(depth, HEADS_WINDOW + _others_at_work(pool))
        # What is best of a part of the pool gives way to what is best of all.
        if unscored:
            depth = min(depth, max(HEAD, depth // 2))
        return self._bring(
            pool,
            found,
            order,
            depth,
            superseded=lambda: self._registry.current(card.project) != card.version,
            settled=not unscored,
            first=HEADS_FIRST if isinstance(order, HeadOrder) else HEAD,
            changes=renewed,
        )

    def _bring(
        self,
        pool: Pool,
        found: _Found,
        order: Order,
        depth: int,
        superseded: Callable[[], bool],
        settled: bool = True,
        first: int = HEAD,
        changes: bool = True,
        alone: bool = False,
    ) -> Publication:
        """Publish an order, all of it and nothing beside it if it stands `alone`, and ask to be called again for what
        is left."""
        project, fitting = found.project, self._turn.fit_runs
        hinted = functools.partial(self._jobs.hinted, project.id)
        pointless, free = ((), all_free) if alone else self._kept_out(pool, found, order)
        with Publisher(
            self._studio,
            pool,
            order,
            superseded,
            hinted,
            others=_others_at_work(pool),
            first=first,
            changes=changes,
            announce=functools.partial(self._jobs.expect_echo, project.id),
            pointless=pointless,
            free=free,
            sides=[] if alone else self._sides(pool, found, order, depth, pointless),
        ) as publisher:
            outcome = publisher.publish(project, depth, settled, fitting)
            if changes and outcome.seconds_to_switch is not None:  # the rest at once: another look would cost requests
                switched = replace(project, model_version=order.name)
                outcome = outcome.and_then(publisher.publish(switched, depth, settled, fitting))
        self._wanted.stood(project.id, outcome.head)
        if outcome.written:
            log.info("project %d: predictions published: %d", project.id, outcome.written)
            trim_heap()  # what the exact scores took
        if outcome.unfinished:
            self._jobs.hint(project.id)
        elif outcome.stale and not fitting:  # a fit's end is a hint, too
            self._jobs.hint(project.id, delay_s=PACE_S)
        return outcome

    def _sides(self, pool: Pool, found: _Found, order: Order, depth: int, pointless: Collection[int]) -> list[Side]:
        """Tasks that come next for another reason than the order, the first kinds first."""
        control, options = found.config.control, self._registry.options(found.project.id)
        others, wants = _others_at_work(pool), self._wants(pool, found)
        sides = [control_side(pool, control, options.control_first, others, depth + others)]
        if found.version and any(want.texts and not want.tasks for want in wants):
            self._starts.look_for(pool, found.project.id)
        sides.append(self._again.side(pool, found.project.id, depth + others))
        if not all(want.met for want in wants):
            project, done = found.project.id, pool.done_size()
            sides.append(self._wanted.side(pool, project, order, wants, done, depth + others, pointless))
        return sides

    def _wants(self, pool: Pool, found: _Found) -> list[Want]:
        options = self._registry.options(found.project.id)
        if not (options.look_for or options.class_targets):
            return []
        return wants_of(options, found.config, pool.labels(found.config.question, holdout=False))

    def _kept_out(self, pool: Pool, found: _Found, order: Order) -> tuple[Collection[int], Free]:
        """Of an order tasks that are certified or copies of labelled ones, and what holds near-copies back."""
        project, question = found.project, found.config.question
        certified = pool.open_copies_of(self._certified(pool, project.id, found.config))
        if self._own(project.id).near_copies != HOLD:
            return certified, all_free
        labelled = {example.id for example, _ in learnt_from(pool, question, HOLD).to_fit}
        unknown = not_yet_known(pool, question, labelled, self._registry, project.id, found.version)
        others = _others_at_work(pool)
        published = in_queue(pool, order.name, project.model_version or "", ON_SCREEN * (1 + others))

        def best(limit: int) -> Sequence[int]:
            return [task.task_id for task in order.ranked(limit, skipped=False)]

        holding = Holding(pool, project.id, self._words, self._embedder, published, unknown, best, HEAD + others)
        return pool.copies_of_labelled(question) | certified, holding

    def _certified(self, pool: Pool, project: int, config: LabelConfig) -> list[int]:
        """Tasks that are left to the machine, as a person wants it, if nobody has labelled them."""
        audit = self._audits.over(project) if self._own(project).after_certificate == "uncertain" else None
        return certified_tasks(pool, config, audit) if audit else []

    def _own(self, project: int) -> ProjectSettings:
        return for_project(self._settings, self._registry.options(project))

    def _switched(self, project: Project, version: str, outcome: Publication) -> dict[str, float]:
        """What to note of a switch: how long it took; of one to another version also on its card, with the way from the
        label that made the fit due, as far as we saw it."""
        if outcome.seconds_to_switch is None:
            return {}
        seconds, card = {"publish": round(outcome.seconds_to_switch, 3)}, self._registry.card(project.id, version)
        if version_of(project.model_version or "") != version:
            if card.due_at and "total" not in card.seconds:
                seconds["total"] = round(self._now() - card.due_at, 3)
            self._registry.add_seconds(project.id, version, seconds)
        return {"publish_seconds": seconds["publish"]}

    def _chosen_by_a_person(self, pool: Pool, project: Project, version: str) -> bool:
        """Whether the project follows predictions that neither we set, nor Label Studio by itself."""
        followed = project.model_version
        if not followed or followed == pool.state(ProjectState).backend_title or version_of(followed) == version:
            return False
        ours = pool.state(QueueState)  # empty when MODEL_DIR was lost
        return not is_ours(followed) or (bool(ours.after) and followed not in (ours.before, ours.after))

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        """Drop those of the tasks that Label Studio deleted; the event that says so could be anybody's."""
        path = pool_path(self._settings.model_dir, project)
        if path.exists():
            with Pool(path) as pool:
                self._forget(pool, project, pool.task_ids() & set(task_ids))
        self._jobs.hint(project)

    def _forget(self, pool: Pool, project: int, known: set[int]) -> None:
        if not known:
            return
        try:
            pool.forget(known - self._studio.task_ids(project, min(known), max(known)))
        except StudioError as error:  # the clock compares the counts
            log.warning("project %d: %s", project, error)

    # Status

    def _report(self, pool: Pool, found: _Found, follows: str | None = None, **changes: object) -> None:
        """Say how the project is. `follows`: what the queue does now, if that was switched since it was asked."""
        project, decision = found.project, found.decision
        ordered_by = (follows or project.model_version or "") if project.sampling == UNCERTAINTY else ""
        words, before = told(self._noticer.notices(pool, self._seen(pool, found))), self._board.queue(project.id)
        if before.state in ("failed", "refused"):
            log.info("project %d: works again", project.id)
        known = {_without_numbers(sentence) for sentence in (before.first, *before.warnings)}
        for sentence in filter(None, (words.first, *words.warnings)):
            if _without_numbers(sentence) not in known:
                log.warning("project %d: %s", project.id, sentence)
        self._say(
            project.id,
            message=decision.message,
            title=project.title,
            first=words.first,
            warnings=words.warnings,
            remarks=words.remarks,
            tasks=pool.size(),
            unreadable=pool.unreadable(),
            pool=pool.open_size(),
            left=pool.left_size(),
            window=pool.published_size(ordered_by),
            labels=decision.labels,
            by_class=dict(decision.by_class),
            control=pool.control_labels(),
            outside=pool.state(OutsideState).total,
            pending=decision.pending,
            due=decision.reason,
            paused=self._paused(project.id),
            how_to_find=notices.how_to_find(found.config.asked[0]),
            holdout=len(pool.labels(found.config.question, holdout=True)),
            wanted={want.label: want.progress() for want in self._wants(pool, found) if want.label != ANY},
            **{"held": 0, "unscored": 0, **changes},
        )
        if changes["state"] in ("waiting", "overruled"):
            self._next.forget(project.id)
        card = self._registry.card(project.id, found.version) if found.version else None
        follows_now = str(changes.get("order", found.version or ""))
        order = speaks_for(self._audits.running(project.id), follows_now)
        judged = self._judge.look(pool, project.id, found.config, order, card)
        in_force = InForce(order, card, int(str(changes.get("known", 0)))) if card else None
        self._history.look(pool, project.id, found.config, in_force, anew=judged)

    def _seen(self, pool: Pool, found: _Found) -> Seen:
        project, ours = found.project, found.version or pool.state(StartState).name
        certified = pool.open_copies_of(self._certified(pool, project.id, found.config))
        chosen = bool(ours) and self._chosen_by_a_person(pool, project, ours)
        return Seen(project, found.config, found.version, ours, len(certified), chosen)

    def _paused(self, project: int) -> str:
        """Why nothing is fitted though nothing else is asked for; empty when fits go on or an audit runs."""
        rests = self._registry.options(project).pause or self._audits.rests(project)
        return self._fitter.stands(project) if rests else ""

    def _tell_reading(self, project: Project, tasks: int) -> None:
        message = f"Reading the project's tasks: {tasks} so far"
        self._board.put_queue(project.id, self._now(), state="reading", message=message, title=project.title)

    def _say(self, project_id: int, **changes: object) -> None:
        done = self._board.queue(project_id).reconciles + 1
        self._board.put_queue(project_id, self._now(), reconciles=done, **changes)
        self._board.put_traffic(self._studio.traffic())

    def _failed(self, project_id: int, message: str, away: bool = False) -> None:
        known = self._board.queue(project_id)
        counts = {"errors": known.errors + 1, "unanswered": known.unanswered + away}
        self._say(project_id, state="failed", message=message, **counts)


def _without_numbers(sentence: str) -> str:
    """By which a sentence that was said before is known again, although its counts and its example have changed."""
    return re.sub(r"\d[\d,.]*", "", sentence)


def _others_at_work(pool: Pool) -> int:
    """Annotators beside one."""
    return max(0, annotators_at_work(pool) - 1)
