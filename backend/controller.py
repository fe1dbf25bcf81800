"""The loop itself: compares what is with what should be, for one project, and does the least that closes the gap.

Called by hints and by the clock. Killed anywhere, the next call finishes the work.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

from backend import classifier as classifiers
from backend.classifier import Recipe
from backend.connecting import Credentials, ensure_webhook, find_backend
from backend.errors import NextlabelError, RefusedConfigError, StudioError
from backend.examples import Example
from backend.jobs import JobQueue
from backend.label_config import LabelConfig, parse_label_config
from backend.learning import Round, missing_labels, run_round
from backend.pool import Pool, pool_path
from backend.publishing import Publisher, check_published
from backend.registry import Busy, Card, Registry, is_ours, version_name, version_number
from backend.resident import Resident
from backend.settings import Settings
from backend.status import StatusBoard
from backend.studio import UNCERTAINTY, Project, Studio, StudioRefusedError
from backend.sync import repair, sync

log = logging.getLogger(__name__)

RESIDENT_VERSIONS = 2
RETRY_S = 5.0  # after Label Studio did not answer
BUSY_S = 1.0  # when another thread has the project
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 60.0, 3600.0  # after a failed fit, unless a person demands one


@dataclass(frozen=True)
class Pending:
    """How the labels differ from those the current version was fitted on."""

    count: int
    waited_s: float


class Controller:
    """Reconciles projects and fits versions. Thread-safe: one reconcile a project, one fit a machine at a time."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        board: StatusBoard,
        studio: Studio,
        now: Callable[[], float] = time.time,
    ):
        self.jobs = JobQueue(settings.model_dir, worker=self)
        self._settings, self._registry, self._board, self._studio, self._now = settings, registry, board, studio, now
        self._resident = Resident(settings, registry, RESIDENT_VERSIONS)

    # Reconcile

    def reconcile(self, project: int, thorough: bool) -> None:
        """Make the published queue of a project right. Never raises what a later call may mend."""
        try:
            with self._registry.lock(f"{project}.queue"):
                self._reconcile(project, thorough)
        except Busy:
            self.jobs.hint(project, thorough, delay_s=BUSY_S)
        except RefusedConfigError as error:
            log.warning("project %d cannot be served: %s", project, error)
            self._say(project, state="refused", message=str(error))
        except StudioError as error:
            log.warning("project %d: %s", project, error)
            self._failed(project, str(error))
            if not isinstance(error, StudioRefusedError):
                self.jobs.hint(project, thorough, delay_s=min(RETRY_S, self._settings.reconcile_s))
        except NextlabelError as error:
            log.error("project %d: %s", project, error)
            self._failed(project, str(error))
        except Exception as error:  # the log has the traceback, the people's page a short word; the clock tries again
            self._failed(project, f"internal error ({type(error).__name__}); see the trainer's log")
            raise

    def _reconcile(self, project_id: int, thorough: bool) -> None:
        project = self._project(project_id)
        with Pool(pool_path(self._settings.model_dir, project_id)) as pool:
            if project is None or not self._connected(pool, project_id, thorough):
                pool.put("connected", "")
                self._say(project_id, state="disconnected", message="the project has no Nextlabel ML backend")
                return
            config = parse_label_config(project.label_config)
            self._registry.know(project_id)
            sync(self._studio, pool, config, project, self._now())
            pool.put("label_config", project.label_config)  # what a fit reads, so that it needs no Label Studio
            if thorough:
                repair(self._studio, pool, config, project)
                check_published(self._studio, pool, project_id)
            message = self._ask_for_fit(pool, project_id, config)
            version = self._registry.current(project_id)
            if version is None:
                self._report(pool, project, config, state="waiting", message=message)
            else:
                self._publish(pool, project, config, version, message)

    def _project(self, project_id: int) -> Project | None:
        try:
            return self._studio.project(project_id)
        except StudioRefusedError as error:
            if error.code == 404:
                return None
            raise

    def _connected(self, pool: Pool, project_id: int, thorough: bool) -> bool:
        if pool.get("connected") and not thorough:
            return True
        backend = find_backend(self._studio, project_id)
        if backend is None:
            return False
        credentials = Credentials(self._settings.basic_auth_user, self._settings.basic_auth_pass.get_secret_value())
        for what in ensure_webhook(self._studio, project_id, backend.url, credentials.headers()):
            log.warning("project %d: %s", project_id, what)
        pool.put("connected", "yes")
        pool.put("backend_title", backend.title)
        return True

    def _publish(self, pool: Pool, project: Project, config: LabelConfig, version: str, message: str) -> None:
        warnings = self._warnings(pool, project)
        if warnings:
            log.warning("project %d: %s", project.id, " ".join(warnings))
        if self._chosen_by_a_person(pool, project):
            self._report(pool, project, config, state="published", message=message, version=version, warnings=warnings)
            return
        card = self._registry.card(project.id, version)
        self._score_new(pool, project.id, card)
        publisher = Publisher(
            self._studio,
            pool,
            config,
            card,
            exact=lambda examples: self._resident.score(card, examples, exact=True),
            superseded=lambda: self._registry.current(project.id) != version,
        )
        outcome = publisher.publish(project, self._settings.window)
        if outcome.written or outcome.removed:
            log.info("project %d: wrote %d and removed %d predictions", project.id, outcome.written, outcome.removed)
        if outcome.unfinished:
            self.jobs.hint(project.id, delay_s=BUSY_S)
        extra = {} if outcome.seconds_to_switch is None else {"publish_seconds": round(outcome.seconds_to_switch, 3)}
        self._report(
            pool,
            project,
            config,
            state="publishing" if outcome.unfinished else "published",
            message=message,
            version=version,
            window=outcome.window,
            warnings=warnings,
            **extra,
        )

    def _score_new(self, pool: Pool, project_id: int, card: Card) -> None:
        new = pool.unscored(card.version)
        if new:
            log.info("project %d: scoring %d tasks that %s has not seen", project_id, len(new), card.version)
            scored = self._resident.score(card, new, exact=False)
            pool.put_scores(card.version, scored.examples, scored.values_N, scored.probs_NC, exact=False)

    def _chosen_by_a_person(self, pool: Pool, project: Project) -> bool:
        """Whether the project follows predictions of someone else's: not empty, not ours, not our backend's title."""
        version = project.model_version
        return bool(version) and not is_ours(version) and version != pool.get("backend_title")

    def _warnings(self, pool: Pool, project: Project) -> tuple[str, ...]:
        found = []
        if project.sampling != UNCERTAINTY:
            found.append(
                f"The sampling mode is {project.sampling!r}, so the queue does not follow the model. It was changed "
                "by a person and is left alone; connect_project.py sets it again."
            )
        if self._chosen_by_a_person(pool, project):
            found.append(
                f"The project follows the predictions of {project.model_version!r}. That was chosen by a person and "
                "is left alone; connect_project.py sets it back."
            )
        return tuple(found)

    # When to fit

    def _ask_for_fit(self, pool: Pool, project_id: int, config: LabelConfig) -> str:
        """Queue a fit if one is due; returns what a person wants to know about it."""
        reason, message = self._due(pool, project_id, config)
        if reason:
            self.jobs.want_fit(project_id)
        return message

    def _due(self, pool: Pool, project_id: int, config: LabelConfig) -> tuple[str, str]:
        """The reason for a fit now (empty: none) and a message."""
        settings = self._settings
        labels = {example.id: label for example, label in pool.labelled(config.labels, holdout=False)}
        demanded = self.jobs.demanded(project_id)
        pending = self._pending(pool, project_id, labels)
        reason = ""
        if demanded:
            reason = "Start Training was pressed"
        elif self._labels_changed(project_id, config):
            reason = "the project's labels changed"
        elif pending.count >= settings.fit_every:
            reason = f"{pending.count} new labels"
        elif pending.count and pending.waited_s >= settings.fit_max_wait_s:
            reason = f"{pending.count} new labels have waited {pending.waited_s:.0f} s"
        if not reason:
            return "", f"{pending.count} of {settings.fit_every} new labels until the next fit"
        complaint = missing_labels(config.labels, list(labels.values()))
        if complaint:
            return "", f"Waiting for labels: {complaint}"
        rest = self._backoff_s(project_id)
        if rest > 0 and not demanded:
            return "", f"The last fit failed; the next try is in {rest:.0f} s, or at once with Start Training."
        return reason, f"Fitting: {reason}"

    def _pending(self, pool: Pool, project_id: int, labels: dict[int, str]) -> Pending:
        version = self._registry.current(project_id)
        fitted = self._registry.fitted_labels(project_id, version) if version else {}
        count = sum(labels.get(task) != fitted.get(task) for task in labels.keys() | fitted.keys())
        since_version, _, since = pool.get("pending_since").partition(" ")
        if not count:
            pool.put("pending_since", "")
            return Pending(0, 0.0)
        if not since or since_version != (version or "none"):
            since = repr(self._now())
            pool.put("pending_since", f"{version or 'none'} {since}")
        return Pending(count, self._now() - float(since))

    def _labels_changed(self, project_id: int, config: LabelConfig) -> bool:
        version = self._registry.current(project_id)
        return version is not None and self._registry.card(project_id, version).labels != config.labels

    def _backoff_s(self, project_id: int) -> float:
        status = self._board.fit(project_id)
        if not status.failures_in_a_row:
            return 0.0
        wait = min(FIRST_BACKOFF_S * 2.0 ** (status.failures_in_a_row - 1), LONGEST_BACKOFF_S)
        return float(max(0.0, status.at + wait - self._now()))

    # Fit

    def fit(self, project: int) -> None:
        """Fit a version on all labels, if a fit is due, and promote it."""
        try:
            with self._registry.lock("fit"):
                self._fit(project)
        except Busy:
            self.jobs.want_fit(project, delay_s=BUSY_S)
        except Exception as error:
            failures = self._board.fit(project)
            self._board.put_fit(
                project,
                self._now(),
                state="failed",
                message=str(error) if isinstance(error, NextlabelError) else f"{type(error).__name__}: {error}",
                failures=failures.failures + 1,
                failures_in_a_row=failures.failures_in_a_row + 1,
            )
            self.jobs.hint(project)
            if not isinstance(error, NextlabelError):
                raise
            log.error("project %d: the fit failed, its labels are kept: %s", project, error)

    def _fit(self, project_id: int) -> None:
        with Pool(pool_path(self._settings.model_dir, project_id)) as pool:
            config = parse_label_config(pool.get("label_config"))
            demand = self.jobs.demanded(project_id)
            reason, _ = self._due(pool, project_id, config)
            if not reason:
                return
            labelled = pool.labelled(config.labels, holdout=False)
            log.info("project %d: fitting on %d labels, because %s", project_id, len(labelled), reason)
            result = run_round(
                self._recipe(),
                config.labels,
                labelled,
                pool.open_examples(),
                pool.labelled(config.labels, holdout=True),
                self._settings.query_strategy,
                _Reporter(self._board, project_id, self._now),
            )
            card = self._save(project_id, config, labelled, result, reason)
            pool.put_scores(card.version, result.pool.examples, result.pool.values_N, result.pool.probs_NC, exact=False)
            self._resident.keep(card, result.classifier)
            self._registry.promote(project_id, card.version)
            pool.keep_scores_of(card.version)
        self.jobs.demand_met(project_id, demand)
        self._registry.prune(project_id, self._settings.keep_versions)
        self._fitted(project_id, card)
        self.jobs.hint(project_id)

    def _recipe(self) -> Recipe:
        s = self._settings
        return Recipe(
            s.base_model, s.fit_steps, s.learning_rate, s.batch_size, s.max_length, s.seed, s.device, s.precision
        )

    def _save(
        self,
        project_id: int,
        config: LabelConfig,
        labelled: Sequence[tuple[Example, str]],
        result: Round,
        reason: str,
    ) -> Card:
        newest = next(iter(self._registry.versions(project_id)), "")
        number = version_number(newest) + 1
        created = datetime.fromtimestamp(self._now(), timezone.utc)
        labels = {example.id: label for example, label in labelled}
        card = Card(
            version=version_name(number, created),
            number=number,
            project=project_id,
            parent=self._registry.current(project_id),
            labels=config.labels,
            label_counts={name: sum(label == name for label in labels.values()) for name in config.labels},
            base_model=self._settings.base_model,
            strategy=self._settings.query_strategy,
            seed=self._settings.seed,
            recipe=asdict(self._recipe()),
            scores=result.scores.as_dict() if result.scores else None,
            pool=len(result.pool.examples),
            seconds=dict(result.seconds),
            device=str(result.classifier.device),
            precision=str(result.classifier.precision).removeprefix("torch."),
            libraries=classifiers.library_versions(),
            created_at=created.isoformat(),
            reason=reason,
        )
        self._registry.save(card, labels, result.classifier.save)
        return card

    def _fitted(self, project_id: int, card: Card) -> None:
        score = f"holdout combined {card.scores['combined']:.3f}" if card.scores else "no labelled holdout"
        seconds = ", ".join(f"{stage} {s:.1f} s" for stage, s in card.seconds.items())
        message = f"{card.version}: {card.examples} labels, {score} ({seconds})"
        log.info("project %d: %s", project_id, message)
        self._board.put_fit(
            project_id,
            self._now(),
            state="idle",
            message=message,
            fits=self._board.fit(project_id).fits + 1,
            failures_in_a_row=0,
            version=card.version,
            seconds=card.seconds,
        )

    def forget(self, project: int, task_ids: Sequence[int]) -> None:
        """Drop tasks that Label Studio deleted."""
        path = pool_path(self._settings.model_dir, project)
        if path.exists():
            with Pool(path) as pool:
                pool.forget(task_ids)
        self.jobs.hint(project)

    # Status

    def _report(self, pool: Pool, project: Project, config: LabelConfig, **changes: object) -> None:
        labels = {example.id: label for example, label in pool.labelled(config.labels, holdout=False)}
        self._say(
            project.id,
            title=project.title,
            tasks=pool.size(),
            pool=pool.open_size(),
            unreadable=pool.unreadable(),
            labels=len(labels),
            pending=self._pending(pool, project.id, labels).count,
            holdout=len(pool.labelled(config.labels, holdout=True)),
            **changes,
        )

    def _say(self, project_id: int, **changes: object) -> None:
        done = self._board.queue(project_id).reconciles + 1
        self._board.put_queue(project_id, self._now(), reconciles=done, **changes)

    def _failed(self, project_id: int, message: str) -> None:
        errors = self._board.queue(project_id).errors + 1
        self._say(project_id, state="failed", message=message, errors=errors)


class _Reporter:
    """Progress of a round, to the log at every tenth and to the status board at most once a second."""

    def __init__(self, board: StatusBoard, project: int, now: Callable[[], float]):
        self._board, self._project, self._now = board, project, now
        self._told = (0.0, "", -1)

    def __call__(self, stage: str, done: int, total: int) -> None:
        now, tenth = self._now(), 10 * done // total
        told_at, told_stage, told_tenth = self._told
        if now - told_at < 1 and stage == told_stage and done < total:
            return
        if (stage, tenth) != (told_stage, told_tenth):
            log.info("project %d: %s %d of %d", self._project, stage, done, total)
        self._told = (now, stage, tenth)
        self._board.put_fit(self._project, now, state="fitting", message="", stage=stage, done=done, total=total)
