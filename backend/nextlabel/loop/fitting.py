"""When a fit is due, and how labels become a version. Needs no Label Studio: it works from the local copy."""

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, TypeAlias

import numpy as np
from safetensors import SafetensorError

from nextlabel.compute import local
from nextlabel.compute.tasks import ClusterAwayError
from nextlabel.errors import NextlabelError, NoModelError, PoolError, QueueError, with_project
from nextlabel.labelstudio.config import LabelConfig, parse_label_config
from nextlabel.labelstudio.notices import missing_everywhere
from nextlabel.learning import auto_recipe, quick_version
from nextlabel.learning.gate import judge
from nextlabel.learning.heads import EVERY
from nextlabel.learning.rounds import (
    Round,
    StageProgress,
    round_seed,
    run_round,
)
from nextlabel.learning.thresholds import with_thresholds
from nextlabel.loop.compute_gate import ComputeGate
from nextlabel.loop.copies import Learnt, learnt_from
from nextlabel.loop.elsewhere import Elsewhere
from nextlabel.loop.orders import keep
from nextlabel.model import classifier as classifiers
from nextlabel.model.checkpoints import width
from nextlabel.model.classifier import Recipe
from nextlabel.model.devices import pick_device
from nextlabel.problems.form import Form
from nextlabel.problems.quality import confusion
from nextlabel.problems.question import Question
from nextlabel.processes import trim_heap
from nextlabel.settings import ProjectSettings, Settings, for_project
from nextlabel.store.jobs import JobQueue
from nextlabel.store.locks import LockHeld, lock
from nextlabel.store.pool import Pool, pool_path
from nextlabel.store.presses import Presses
from nextlabel.store.state import FitState, QueueState, SyncState
from nextlabel.store.status import StatusBoard
from nextlabel.values.arrays import Array, Targets
from nextlabel.values.examples import Example
from nextlabel.values.layout import asks, asks_in_any_order, labels_in
from nextlabel.values.options import OF_0_1_0
from nextlabel.values.versions import Card, version_name, version_number, version_of
from nextlabel.versions.audits import Audits
from nextlabel.versions.history import note_fits
from nextlabel.versions.loaded import Caches, LoadedVersions
from nextlabel.versions.registry import Registry

log = logging.getLogger(__name__)

FIT_BUSY_S = 1.0  # when another fit has this process, or the project
FIRST_S = 4.0  # for so long tasks of the pool are scored before a version becomes active
FIRST, LEAST, MOST = 4096, 1024, 65536  # such tasks: while it is not known how many a second; in any case
AUDITED = (
    "Nothing is fitted while an audit runs or its certificate stands, until `nextlabel certificate stop --project {}`"
)
PAUSED = (
    "Paused: nothing is fitted and the order stays as it is until somebody resumes, on the page or with `nextlabel "
    "options --project {} pause=off`; labels are read"
)
LABELLED_OUT = (
    "No task is left to label: import more, or take the results away with `nextlabel export --project {} --everything "
    "DIR`"
)
NO_TASK_TO_FIT = "No task is left to label, and there is no version: "
FIT_NOW = NO_TASK_TO_FIT + "Fit now makes one"
IMPORT_MORE = NO_TASK_TO_FIT + "import more. {}"
NOT_KNOWN = "; Fit now makes a version that knows the last labels, too"
FEW = EVERY  # new labels: fewer are not worth a head, and of themselves no fit
LOOK_S = 2.0  # between two looks during a fit at how many labels there are
FITTED_ON, OF_BOTH = "the labels that it was fitted on", "the labels that both were fitted on"
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 60.0, 3600.0  # after a failed fit, unless a person demands one

Labelled: TypeAlias = Sequence[tuple[Example, str]]
RunRound: TypeAlias = Callable[..., Round]  # `run_round`, here or elsewhere
Evidence: TypeAlias = tuple[
    str, Labelled, Array
]  # what it is, labelled texts, and a new version's probabilities (N, C)


@dataclass(frozen=True)
class FitDecision:
    """Whether a fit is due: the `reason` (empty: it is not) and what to tell a person. `pending` labels of `labels`
    differ from those the newest version was fitted on, whether it was promoted or not: what was refused or rolled back
    is not made again of the same labels. `by_class` says how many of the labels give each class."""

    reason: str
    message: str
    labels: int
    pending: int
    by_class: Mapping[str, int] = field(default_factory=dict)


def until_the_next(pending: int, step: int) -> str:
    """What people read while no fit is due: of the `step` new labels that it takes so many are `pending`."""
    return f"{pending} of {step} new labels until the next fit"


class Fitter:
    """Decides on fits and makes them: one at a time in a process, and of a project one at a time anywhere."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        board: StatusBoard,
        jobs: JobQueue,
        resident: LoadedVersions,
        turn: ComputeGate,
        caches: Caches,
        now: Callable[[], float] = time.time,
        elsewhere: Elsewhere | None = None,
    ):
        """`elsewhere` is asked first, where there is such a place."""
        self._settings, self._registry, self._board = settings, registry, board
        self._elsewhere = elsewhere
        self._jobs, self._resident, self._turn, self._caches, self._now = jobs, resident, turn, caches, now
        self._audits, self._presses = Audits(settings.model_dir), Presses(settings.model_dir)

    def decide(self, pool: Pool, project: int, config: LabelConfig) -> FitDecision:
        """What the labels in the local copy call for; since when is noted."""
        labels = pool.labels(config.question, holdout=False)
        decision = self._decided(pool, project, config, labels)
        return replace(decision, by_class=label_counts(config.question, list(labels.values())))

    def _decided(self, pool: Pool, project: int, config: LabelConfig, labels: dict[int, str]) -> FitDecision:
        version = self._registry.newest(project)
        pending = self._pending(project, version, labels)
        state = pool.update(FitState, lambda state: _with_pending(state, version or "", pending, self._now()))
        waited_s = _waited_s(state, self._now(), self._few(project))
        own, demanded = self._own(project), self._demand_stands(pool, project, pending)
        step = next_step(own, len(self._registry.fitted_labels(project, version)) if version else 0)
        if why := self.stands(project):
            return FitDecision("", why, len(labels), pending)
        reason = self._reason(project, version, config, own, demanded, pending, step, waited_s)
        if version and not demanded and self._counts_otherwise(pool, project, version, labels):
            reason = "labels that the last version knows count otherwise"
        if not reason:  # what was noted as due was so before the last fit ended
            pool.update(FitState, lambda state: replace(state, due_at=None))
            message = until_the_next(pending, step)
            if pool.is_labelled_out():
                message = LABELLED_OUT.format(project) + (NOT_KNOWN if pending else "")
                if not version:
                    complaint = config.question.missing_labels(list(labels.values()))
                    message = IMPORT_MORE.format(complaint) if complaint else FIT_NOW
            return FitDecision("", message, len(labels), pending)
        learnt = self._learnt(pool, project, config)
        obstacle = self._obstacle(pool, project, config, [label for _, label in learnt.to_fit])
        if obstacle:
            return FitDecision("", obstacle, len(labels), pending)
        pool.update(FitState, lambda state: replace(state, due_at=state.due_at or self._now()))
        first = f"; first a quick version on {quick_version.LABELS} of them" if self._is_quick(project, learnt) else ""
        return FitDecision(reason, f"Fitting: {reason}{first}", len(labels), pending)

    def stands(self, project: int) -> str:
        """Why no version and no head is made, in words; empty when they may be."""
        if self._registry.options(project).pause:
            return PAUSED.format(project)
        return AUDITED.format(project) if self._audits.holds(project) else ""

    def _own(self, project: int) -> ProjectSettings:
        return for_project(self._settings, self._registry.options(project))

    def _few(self, project: int) -> int:
        """Fewer labels than that are fitted only while people work. A project of release 0.1.0 has any fitted."""
        return 0 if self._registry.options(project).defaults == OF_0_1_0 else FEW

    def _learnt(self, pool: Pool, project: int, config: LabelConfig) -> Learnt:
        return learnt_from(pool, config.question, self._own(project).near_copies)

    def _demand_stands(self, pool: Pool, project: int, pending: int) -> bool:
        """Whether a person asks for a fit. One who was answered before it was known that all labels are read asks for
        another only if labels turn up that the first did not have; if none did, the demand is dropped as met."""
        demand = self._jobs.demanded(project)
        if not demand or pending or demand != pool.state(FitState).demand_fitted:
            return bool(demand)
        if pool.state(SyncState).synced_at >= float(demand):
            self._jobs.demand_met(project, demand)
        return False

    def _pending(self, project: int, version: str | None, labels: dict[int, str]) -> int:
        fitted = self._registry.fitted_labels(project, version) if version else {}
        return sum(labels.get(task) != fitted.get(task) for task in labels.keys() | fitted.keys())

    def _counts_otherwise(self, pool: Pool, project: int, version: str, labels: Mapping[int, str]) -> bool:
        """Whether the version was fitted on labels that are left out now, or that weigh more or less than then."""
        card = self._registry.card(project, version)
        if card.counting == pool.state(SyncState).counting:
            return False
        fitted = self._registry.fitted_labels(project, version)
        left_out = pool.with_uncounted() & fitted.keys()
        weighed = pool.counted_less().weighed or card.weighed
        return bool(weighed) or any(labels.get(task) != fitted[task] for task in left_out)

    def _reason(
        self,
        project: int,
        version: str | None,
        config: LabelConfig,
        own: ProjectSettings,
        demanded: bool,
        pending: int,
        step: int,
        waited_s: float,
    ) -> str:
        if demanded:
            return "Fit now or Start Training was pressed"
        card = self._registry.card(project, version) if version is not None else None
        if card and (why := why_another(card, config)):
            return why
        if pending >= step:
            return f"{pending} new labels"
        if pending and waited_s >= own.fit_max_wait_s:
            return f"{pending} new labels have waited {waited_s:.0f} s"
        return ""

    def _obstacle(self, pool: Pool, project: int, config: LabelConfig, labels: Sequence[str]) -> str:
        if nowhere := missing_everywhere(pool.survey()):
            return f"Waiting for the texts: {nowhere}."
        complaint = config.question.missing_labels(labels)
        if complaint:
            return IMPORT_MORE.format(complaint) if pool.is_labelled_out() else f"Waiting for labels: {complaint}"
        rest_s = self._backoff_s(project, pool.state(FitState))
        if rest_s > 0:
            return f"The last fit failed; the next try is in {rest_s:.0f} s, or at once with Start Training."
        return ""

    def _backoff_s(self, project: int, state: FitState) -> float:
        """Seconds until a failed fit is tried again; none after a demand made since the failure."""
        if not state.failures_in_a_row or float(self._jobs.demanded(project) or 0) > state.failed_at:
            return 0.0
        wait_s = min(FIRST_BACKOFF_S * 2.0 ** min(state.failures_in_a_row - 1, 10), LONGEST_BACKOFF_S)
        since_s = self._now() - state.failed_at
        return max(0.0, wait_s - since_s) if since_s >= 0 else 0.0  # less than 0: the clock was set back

    def fit(self, project: int) -> None:
        """Fit a version on all labels, if a fit is due, and promote it, unless it is clearly worse than the active
        one. A failed fit keeps its labels."""
        try:
            # The project first: a job too many must not make a backlog give way.
            with lock(self._settings.model_dir, f"fit.{project}"), self._place(project) as run:
                if run is not None:
                    with self._reported(project), Pool(pool_path(self._settings.model_dir, project)) as pool:
                        self._fit_if_due(pool, project, run)
                else:
                    self._jobs.want_fit(project, delay_s=FIT_BUSY_S)
        except LockHeld:
            self._jobs.want_fit(project, delay_s=FIT_BUSY_S)

    @contextmanager
    def _place(self, project: int) -> Iterator[RunRound | None]:
        """How a round is run, until the end; None where others are at it. A fit elsewhere lets a backlog go on here."""
        elsewhere = self._elsewhere if self._elsewhere and self._elsewhere.takes_tasks else None
        if elsewhere is not None:
            with elsewhere.for_fit() as ours:
                yield elsewhere.round if ours else None
            return
        with self._turn.for_fit(project) as ours:
            yield _run_here if ours else None

    @contextmanager
    def _reported(self, project: int) -> Iterator[None]:
        """What goes wrong is noted and said; what nobody thought of is raised as well."""
        try:
            yield
        except QueueError as error:  # what was done is done; the clock asks again for the rest
            log.warning("project %d: %s", project, error)
        except ClusterAwayError as error:  # next time it is not asked
            log.warning("project %d: the fit begins again here: %s", project, error)
            self._jobs.want_fit(project)
        except NextlabelError as error:
            log.error("project %d: the fit failed, its labels are kept: %s", project, error)
            self._failed(project, str(error))
        except Exception as error:
            self._failed(project, f"{type(error).__name__}: {error}")
            raise
        finally:
            self._say_ended(project, "was given up")

    def say_interrupted(self) -> None:
        """Of a fit that died with its trainer, the board says that it runs: say that it ended."""
        for project in self._registry.projects():
            with suppress(LockHeld), lock(self._settings.model_dir, f"fit.{project}"):
                self._say_ended(project, "was interrupted")

    def _say_ended(self, project: int, how: str) -> None:
        if self._board.fit(project).state == "fitting":
            self._board.put_fit(project, self._now(), state="idle", message=f"The last fit {how}, its labels are kept")

    def _fit_if_due(self, pool: Pool, project: int, run: RunRound) -> None:
        # Before the labels: what is read from Label Studio from now on is not in this fit.
        sync, demand = pool.state(SyncState), self._jobs.demanded(project)
        if not sync.complete:  # being read again; a reconcile will ask again
            return
        config = parse_label_config(sync.label_config, self._registry.options(project))
        decision = self.decide(pool, project, config)
        if not decision.reason:
            return
        self._presses.note_fit(project)
        if unfinished := self._registry.unfinished(project):
            log.warning("project %d: %s was saved and not promoted; it is made again", project, unfinished)
            self._registry.discard(project, unfinished)
        try:
            card = self._make_version(pool, project, config, decision.reason, run)
        except _PausedError:
            log.info("project %d: a fit was given up, as somebody paused", project)
            return
        except _OutdatedError as why:
            log.info("project %d: a fit was given up for a newer one: %s", project, why)
            pool.update(FitState, lambda state: replace(state, given_up=True))
            self._jobs.want_fit(project)
            return
        pool.update(
            FitState,
            lambda state: replace(state, due_at=None, demand_fitted=demand, failures_in_a_row=0, given_up=False),
        )
        self._done(project, card)
        self._jobs.hint(project)
        # One that came after the last look at Label Studio stands: the labels before it may not be here yet.
        if not sync.synced_at < float(demand or 0) <= self._now():
            self._jobs.demand_met(project, demand)
        # The rest can wait until the queue is in the new order.
        if not card.refused:
            pool.keep_scores_of(card.version)
        trim_heap()
        with suppress(OSError, LockHeld):  # the next look at the project keeps it
            note_fits(self._registry, project)
        followed = version_of(pool.state(QueueState).after)
        self._registry.prune(project, self._settings.keep_versions, followed)

    def _make_version(self, pool: Pool, project: int, config: LabelConfig, reason: str, run: RunRound) -> Card:
        """The card of a version that is saved, and active unless it is refused."""
        due_at, read_at = pool.state(FitState).due_at or self._now(), pool.state(SyncState).synced_at
        learnt = self._learnt(pool, project, config)
        # As in a simulation with the same seed.
        own, seed = self._own(project), round_seed(self._settings.seed, self._next_number(project) - 1)
        if self._is_quick(project, learnt):
            answers = [labels_in(answer, config.question.layout) for _, answer in learnt.to_fit]
            learnt = learnt.part(quick_version.part_of(answers, seed))
        labelled = learnt.to_fit
        recipe = self.recipe(seed, own, len(labelled))
        holdout = pool.labelled(config.question, holdout=True)
        log.info("project %d: fitting on %d labels, because %s", project, len(labelled), reason)
        result = self._round(pool, project, config, recipe, own, learnt, holdout, run)
        card = self._card(pool, project, config, [label for _, label in labelled], recipe, result, reason)
        card = replace(card, holdout=_fingerprint(holdout), strategy=own.strategy, of_labels=learnt.of_labels)
        card = replace(card, read_at=_in_utc(read_at).isoformat(), **result.where)
        card = replace(card, held_out=_held_out(config.question, holdout, result))
        card = replace(card, **_of_form(config.question, learnt, holdout, result))
        known = self._registry.fitted_labels(project, card.parent) if card.parent else {}
        card = self._judged(config.question, card, _evidence(holdout, known, learnt, result))
        if card.refused:
            self._save(card, learnt.known, result)
        else:
            self._activate(pool, replace(card, due_at=due_at), learnt.known, result)
        return card

    def _is_quick(self, project: int, learnt: Learnt) -> bool:
        """Whether a fit is of a project's first version, on so many labels that a quick one comes before the thorough
        one. Who chose the steps gets these."""
        first = self._registry.newest(project) is None
        return first and self._own(project).fit_steps == "auto" and quick_version.comes_first(len(learnt.to_fit))

    def _round(
        self,
        pool: Pool,
        project: int,
        config: LabelConfig,
        recipe: Recipe,
        own: ProjectSettings,
        learnt: Learnt,
        holdout: Sequence[tuple[Example, str]],
        run: RunRound,
    ) -> Round:
        rng, quick = np.random.default_rng(recipe.seed), learnt.of_labels > 0
        first = LEAST if quick else self._first(project)
        return run(
            recipe,
            config.question,
            learnt.to_fit,
            pool.first_to_score(first, self._registry.current(project), rng),
            holdout,
            own.strategy,
            self._progress(pool, project, config.question, learnt.of_labels or len(learnt.known)),
            self._caches(project),
            # A head of a quick version would first read all that it does not know, while the thorough one is fitted.
            features=own.head == "on" and not quick,
            weights_N=learnt.weights,
        )

    def _progress(self, pool: Pool, project: int, question: Question, labelled: int) -> StageProgress:
        """Tells how far a fit is, and gives it up when somebody pauses, or when it knows less than half of today's
        labels, if the one before was not."""
        tell, looked_at = _Reporter(self._board, project, self._now), [self._now()]
        may_be_outdated = self._own(project).fit_schedule != "off" and not pool.state(FitState).given_up

        def told(stage: str, done: int, total: int) -> None:
            tell(stage, done, total)
            if self._now() - looked_at[0] >= LOOK_S:
                looked_at[0] = self._now()
                if self._registry.options(project).pause:
                    raise _PausedError
                if may_be_outdated:
                    self._require_half(project, question, labelled)

        return told

    def _require_half(self, project: int, question: Question, labelled: int) -> None:
        """Raises `_OutdatedError` when so many labels are less than half of today's."""
        with Pool(pool_path(self._settings.model_dir, project)) as seen:  # in the thread of the fit
            now = len(seen.labels(question, holdout=False))
        if labelled < now / 2:
            raise _OutdatedError(f"there are {now} labels by now, and it knows {labelled}")

    def _first(self, project: int) -> int:
        """How many tasks are scored before a version becomes active, from how fast the one before it was."""
        current = self._registry.current(project)
        card = self._registry.card(project, current) if current else None
        here = (self._settings.base_model, str(pick_device(self._settings.device)))
        if card is None or not card.scored or (card.base_model, card.device) != here:
            return FIRST
        return int(min(MOST, max(LEAST, FIRST_S * card.scored / max(card.seconds["score"], 0.001))))

    def _judged(self, question: Question, card: Card, evidence: Iterable[Evidence]) -> Card:
        """The card with what tells whether the version is worse than the active one, and why it is refused if it is."""
        if card.parent is None or self._settings.promote_margin >= 1:
            return card
        rival = self._registry.card(card.project, card.parent)
        if rival.labels != card.labels or asks(rival.layout) != asks(card.layout):
            return replace(card, unjudged=f"{rival.version} has other classes")
        try:
            return self._compared(question, card, rival, evidence)
        except NoModelError as error:
            log.warning("project %d: %s", card.project, error)
            return replace(card, unjudged=f"{rival.version} cannot be loaded")

    def _compared(self, question: Question, card: Card, rival: Card, evidence: Iterable[Evidence]) -> Card:
        margin, count = self._settings.promote_margin, 0
        for what, labelled, after_NC in evidence:
            before_NC = self._resident.score(rival, [example for example, _ in labelled], exact=False).probs_NC
            before, after = _guesses(question, rival, before_NC), _guesses(question, card, after_NC)
            targets, count = question.class_numbers([label for _, label in labelled]), len(labelled)
            verdict = judge(question, targets, before, after, margin)
            if verdict.refused:
                score = question.evaluate(targets, after).combined
                card = replace(card, refused=worse(what, score, verdict.loss, rival.version, margin))
            if verdict.refused or (verdict.tells and what != OF_BOTH):
                return replace(card, judged=f"{what} ({count})")
        # Of what the active one does not know, nothing can be lost.
        why = f"{count} labels are too few, or too hard for {rival.version}, to tell whether it is worse"
        return replace(card, unjudged=why)

    def _save(self, card: Card, labels: Mapping[int, str], result: Round) -> None:
        try:
            if not card.refused:
                self._registry.announce(card.project, card.version)
            self._registry.save(card, labels, result.classifier.save)
        except (OSError, SafetensorError) as error:
            raise NextlabelError(
                f"{card.version} cannot be saved in MODEL_DIR={self._settings.model_dir} ({error}). Make room there; "
                f"`nextlabel versions --project {card.project} prune --keep 1` deletes old versions, of which "
                f"KEEP_VERSIONS={self._settings.keep_versions} are kept."
            ) from error

    def _activate(self, pool: Pool, card: Card, labels: Mapping[int, str], result: Round) -> None:
        start = time.perf_counter()
        try:
            self._save(card, labels, result)
            for said in (result.labelled, result.pool):
                if said is not None:
                    keep(pool, card.version, said)
            self._resident.keep(card, result.classifier)
            self._registry.promote(card.project, card.version)
        except BaseException:
            self._registry.discard(card.project, card.version)  # or every retry would leave one
            raise
        self._registry.add_seconds(card.project, card.version, {"save": round(time.perf_counter() - start, 3)})

    def _next_number(self, project: int) -> int:
        return version_number(next(iter(self._registry.versions(project)), "")) + 1

    def recipe(self, seed: int, own: ProjectSettings, labels: int) -> Recipe:
        """How versions of a project are fitted on so many labels."""
        return recipe_of(self._settings, seed, own, labels)

    def _card(
        self,
        pool: Pool,
        project: int,
        config: LabelConfig,
        labels: Sequence[str],
        recipe: Recipe,
        result: Round,
        reason: str,
    ) -> Card:
        number, less = self._next_number(project), pool.counted_less()
        created = _in_utc(self._now())
        return Card(
            version=version_name(number, created),
            number=number,
            project=project,
            parent=self._registry.current(project),
            labels=config.labels,
            label_counts=label_counts(config.question, labels),
            base_model=self._settings.base_model,
            strategy="",
            seed=recipe.seed,
            recipe=asdict(recipe),
            scores=result.scores.as_dict() if result.scores else None,
            pool=pool.open_size(),
            seconds=dict(result.seconds),
            device=str(result.classifier.device),
            precision=str(result.classifier.precision).removeprefix("torch."),
            libraries=classifiers.package_versions(),
            created_at=created.isoformat(),
            reason=reason,
            scored=len(result.pool.examples),
            steps=result.steps,
            texts=_texts(config),
            features=result.labelled.width if result.labelled else 0,
            counting=pool.state(SyncState).counting,
            left_out=less.labels,
            older=less.older,
            weighed=less.weighed,
        )

    def _done(self, project: int, card: Card) -> None:
        score = f"holdout combined {card.scores['combined']:.3f}" if card.scores else "no labelled holdout"
        seconds = ", ".join(f"{stage} {s:.1f} s" for stage, s in card.seconds.items())
        message = (
            f"{card.version}: {', '.join(filter(None, (f'{card.fitted_on} labels', score, card.verdict)))} ({seconds})"
        )
        if card.refused:
            message = f"{card.version} was not promoted: {card.refused}"
        log.log(logging.WARNING if card.refused else logging.INFO, "project %d: %s", project, message)
        status = self._board.fit(project)
        self._board.put_fit(
            project,
            self._now(),
            state="idle",
            message=message,
            fits=status.fits + 1,
            refused=status.refused + bool(card.refused),
            failures_in_a_row=0,
        )

    def _failed(self, project: int, message: str) -> None:
        status, in_a_row = self._board.fit(project), self._one_more_failure(project)
        self._board.put_fit(
            project,
            self._now(),
            state="failed",
            message=with_project(message, project),
            failures=status.failures + 1,
            failures_in_a_row=in_a_row,
        )
        self._jobs.hint(project)

    def _one_more_failure(self, project: int) -> int:
        def failed(state: FitState) -> FitState:
            return replace(state, failures_in_a_row=state.failures_in_a_row + 1, failed_at=self._now())

        try:
            with Pool(pool_path(self._settings.model_dir, project)) as pool:
                return pool.update(FitState, failed).failures_in_a_row
        except PoolError as error:  # no look at the project asks for a fit before the copy can be used again
            log.warning("project %d: %s", project, error)
            return 1


def _in_utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, timezone.utc)


class _PausedError(Exception):
    """Somebody paused while a fit ran."""


class _OutdatedError(Exception):
    """So many labels have come that a fit is given up for one that knows them."""


def _run_here(*args: Any, **kwargs: Any) -> Round:
    return local.run(run_round, *args, **kwargs)


def recipe_of(s: Settings, seed: int, own: ProjectSettings, labels: int) -> Recipe:
    """How a version is fitted on so many labels."""
    auto = own.fit_steps == "auto"
    # A batch size that somebody chose is kept, whatever the steps are.
    batch_size = auto_recipe.BATCH if auto and "batch_size" not in s.model_fields_set else s.batch_size
    steps = auto_recipe.steps(labels, batch_size) if auto else int(own.fit_steps)
    rate = own.learning_rate
    rate = auto_recipe.learning_rate(width(s.base_model)) if rate == "auto" else float(rate)
    recipe = Recipe(s.base_model, steps, rate, batch_size, s.max_length, seed, s.device, s.precision)
    return replace(recipe, **auto_recipe.FIXED) if auto else recipe


def next_step(own: ProjectSettings, fitted: int) -> int:
    """How many labels more than the `fitted` ones make a fit due: up to the next number of the schedule, or
    `fit_every`, if that is sooner or the schedule is at its end."""
    planned = [] if own.fit_schedule == "off" else [int(labels) for labels in own.fit_schedule.split(",")]
    return min([own.fit_every, *(labels - fitted for labels in planned if labels > fitted)])


def _evidence(holdout: Labelled, known: Mapping[int, str], learnt: Learnt, result: Round) -> Iterator[Evidence]:
    """What a version can be judged by: what neither has learnt from of the holdout, as some of it may have been held
    out only after the active one was fitted on labels `known` by task; and where that is too small, the labels that it
    was fitted on, those that count fully. It has seen all of them: what it does not know there, it has lost. First
    those that both were fitted on: of the others the order chose what the active one does not know, so that a version
    which knows little of either seems to win among them what it lost among these."""
    unseen = [i for i, (example, _) in enumerate(holdout) if example.id not in known]
    if unseen:
        yield "the holdout", [holdout[i] for i in unseen], result.holdout_NC[unseen]
    fitted_on, fully_N = learnt.to_fit, learnt.weights == 1
    if result.labelled is not None:
        probs_NC = result.labelled.probs_NC
    else:
        probs_NC = result.classifier.predict_proba([example for example, _ in fitted_on], exact=False)
    if fully_N.any():
        judging, said_NC = (
            [labelled for labelled, fully in zip(fitted_on, fully_N, strict=True) if fully],
            probs_NC[fully_N],
        )
        of_both = [i for i, (example, _) in enumerate(judging) if example.id in known]
        if of_both:
            yield OF_BOTH, [judging[i] for i in of_both], said_NC[of_both]
        yield FITTED_ON, judging, said_NC


def worse(what: str, score: float, loss: float, rival: str, margin: float) -> str:
    """Why a version is refused that is worse than its rival by what judges both, in words."""
    why = f"its combined score on {what}, {score:.3f}, is {loss:.3f} below that of {rival}"
    return f"{why}, more than PROMOTE_MARGIN={margin:g}"


def answers_form(card: Card, config: LabelConfig) -> bool:
    """Whether a version has the labels and questions of the form, in whatever order."""
    now = asks_in_any_order(config.labels, config.question.layout)
    return asks_in_any_order(card.labels, card.layout) == now


def why_another(card: Card, config: LabelConfig) -> str:
    """Why a version will not do, whatever new labels there are; empty when it will."""
    if not answers_form(card, config):
        return "the project's labels changed"
    # It would be given what it was not fitted on. Cards of earlier releases do not say what that was: then nothing
    # was left out.
    if card.texts != _texts(config) and (card.texts or config.left_out):
        return "what makes the text changed"
    return f"{card.version} was a quick one, on {card.examples} of {card.of_labels} labels" if card.of_labels else ""


def _with_pending(state: FitState, version: str, pending: int, now: float) -> FitState:
    """How long there have been labels that `version` does not know, and when the last of them came."""
    if not pending:
        return replace(state, pending_of="", pending_since=None, pending=0, last_came_at=None)
    since, last = state.pending_since, state.last_came_at
    if (
        since is None or last is None or state.pending_of != version or last > now
    ):  # later than now: the clock was set back
        return replace(state, pending_of=version, pending_since=now, pending=pending, last_came_at=now)
    return replace(state, pending=pending, last_came_at=now if pending > state.pending else last)


def _waited_s(state: FitState, now: float, few: int) -> float:
    """How long labels have waited for a fit. Fewer than `few` wait only while people work: until the last of them
    came."""
    if state.pending_since is None or state.last_came_at is None:
        return 0.0
    return (state.last_came_at if state.pending < few else now) - state.pending_since


def label_counts(question: Question, answers: Sequence[str]) -> dict[str, int]:
    """How many of the answers give each label."""
    given = Counter(label for answer in answers for label in labels_in(answer, question.layout))
    return {label: given[label] for label in question.labels}


def _of_form(question: Question, learnt: Learnt, holdout: Labelled, result: Round) -> dict[str, Any]:
    """What only the card of a form's version says."""
    if not isinstance(question, Form):
        return {}
    layout, said = question.layout, result.labelled
    if said is not None and said.features_ND is not None:
        targets_NC, full_N = question.class_numbers([answer for _, answer in learnt.to_fit]), learnt.weights == 1
        # What counts less judges nothing.
        last, features_MD = result.classifier.last_layer, said.features_ND[full_N]
        layout = with_thresholds(layout, last, features_MD, targets_NC[full_N])
    held_out_NC = question.class_numbers([answer for _, answer in holdout])
    found = {"asked": layout.as_dict(), "known": len(learnt.to_fit)}
    if not holdout:
        return found
    guesses_NC = layout.guesses(result.holdout_NC)
    scores = question.evaluate(held_out_NC, guesses_NC).as_dict()
    return {**found, "scores": scores, "measures": question.measures(held_out_NC, guesses_NC)}


def _held_out(question: Question, holdout: Labelled, result: Round) -> tuple[tuple[int, ...], ...]:
    """The confusion table of the holdout, where the question has exactly one answer."""
    if isinstance(question, Form) or not holdout:
        return ()
    targets_N = question.class_numbers([answer for _, answer in holdout])
    table_KK = confusion(targets_N.astype(np.int64), result.holdout_NC.argmax(axis=1), len(question.labels))
    return tuple(tuple(row) for row in table_KK.tolist())


def _guesses(question: Question, card: Card, probs_NC: Array) -> Targets:
    """What a version's predictions show, with its own thresholds."""
    return card.layout.guesses(probs_NC) if card.layout else question.predicted(probs_NC)


def _texts(config: LabelConfig) -> str:
    return ", ".join(config.fields)


def _fingerprint(holdout: Sequence[tuple[Example, str]]) -> str:
    """Tells one holdout from another by its texts and labels."""
    rows = [(example.id, example.text, example.pair, *example.more, label) for example, label in holdout]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16] if rows else ""


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
